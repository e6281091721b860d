//! `agon price init FILE`: what the table's columns are is guessed, told in a few lines, checked by fitting demand, and
//! written into a scenario.

use super::guess::Guess;
use crate::market;
use crate::sales::{self, FitSettings, Rows, SalesTable, UnitsAs, long};
use crate::table_file;
use agon::cli::PriceInit;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::data::Raw;
use agon_core::settings::Settings;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Products of a market that nobody chose, at most.
const MOST_PRODUCTS: usize = 8;
/// All products are taken where there are no more.
const FEW_PRODUCTS: usize = 12;
/// All products of a table with columns for each are taken where there are no more: of more, weeks are seldom enough to tell
/// the coefficients of all.
const MOST_COLUMNS: usize = 30;
/// Products that are looked at to find those.
const CANDIDATES: usize = 40;
/// A product of which this many times the usual units are sold at a time is counted in another measure.
const OTHER_MEASURE: f64 = 50.0;
/// Rows of a market from which on an episode is long.
const LONG: usize = 1000;

/// Runs the command.
pub fn run(args: &PriceInit) -> Outcome {
    let file = &args.file;
    let wrong = |why: String| Failure::Input(format!("{}: {why}", file.display()));
    let raw = table_file::read(file)?;
    if raw.rows() == 0 {
        return Err(wrong("it has a header but no rows".into()));
    }
    let given = given(args)?;
    let mut guess = Guess::of(&raw, &given).map_err(wrong)?;
    let mut fit = std::mem::take(&mut guess.fit);
    let settings = read_settings(&fit)?;
    let (settings, found) = choose_products(&raw, &settings, &mut fit).map_err(wrong)?;
    let settings =
        if given.contains_key("covariates") { settings } else { with_covariates(&raw, settings, &mut guess) };
    if !settings.covariates.is_empty() {
        fit.insert("covariates".into(), settings.covariates.clone().into());
    }
    let out = args.out.clone().unwrap_or_else(|| file.with_extension("toml"));
    if out.exists() && !args.force {
        return Err(Failure::Input(format!(
            "{} is there already: --force replaces it, -o writes another",
            out.display()
        )));
    }
    let table = sales::of(&raw, &settings).map_err(wrong)?;
    for line in lines(file, &raw, &settings, &table, &found) {
        agon::tell!("{line}");
    }
    guess.notes.iter().for_each(|note| agon::tell!("  note: {note}"));
    agon::tell!("  if any of it is wrong: --map KEY=COLUMN, as in --map units=COLUMN; keys: `agon scenarios --keys`");
    fit.insert("data".into(), data_beside(file, &out).into());
    let weeks = table.weeks.len();
    let text = scenario(file, &fit, weeks, true);
    // What cannot be fitted is refused here and not after an hour.
    let source = Source::parse(&out, text.clone(), &[])?;
    let settings = FitSettings::read(&source.section("fit")?)
        .map_err(|issues| source.wrong(&issues.into_iter().map(|i| i.within("fit")).collect::<Vec<_>>()))?;
    let (mut env, begun) = (Map::new(), Instant::now());
    let report = market::fill_from(file, table, &settings, &mut env)?;
    report.lines.iter().for_each(|line| agon::tell!("{line}"));
    agon::tell!("  compared and fitted in {:.1} s", begun.elapsed().as_secs_f64());
    let text = if has_optimum(env) { text } else { scenario(file, &fit, weeks, false) };
    std::fs::write(&out, text).map_err(|e| Failure::write(&out, &e))?;
    agon::say!("wrote {}\nnext:\n  agon train {}", out.display(), out.display());
    Ok(())
}

/// What `--map` says.
pub fn mapped(maps: &[String]) -> Outcome<Map<String, Value>> {
    let mut given = Map::new();
    for map in maps {
        let wrong = |why: &str| Failure::Input(format!("--map {map}: {why}"));
        let (key, value) = map.split_once('=').ok_or_else(|| wrong("write it as KEY=VALUE, such as units=Menge"))?;
        let (key, value) = (key.trim(), value.trim());
        let declared = FitSettings::declared();
        let Some(setting) = declared.iter().find(|d| d.name == key) else {
            let near = agon_core::settings::nearest(key, declared.iter().map(|d| d.name));
            return Err(wrong(&format!("[fit] has no `{key}`{}", agon_core::settings::hint(&near))));
        };
        let text: Value = value.into();
        let parsed: Value = serde_json::from_str(value).unwrap_or_else(|_| text.clone());
        given.insert(key.into(), if setting.default.is_string() { text } else { parsed });
    }
    read_settings(&given)?;
    Ok(given)
}

/// What `--map` and `--products` say.
fn given(args: &PriceInit) -> Outcome<Map<String, Value>> {
    let mut given = mapped(&args.map)?;
    if !args.products.is_empty() {
        given.insert("products".into(), args.products.clone().into());
    }
    read_settings(&given)?;
    Ok(given)
}

pub fn read_settings(fit: &Map<String, Value>) -> Outcome<FitSettings> {
    FitSettings::read(fit).map_err(|issues| {
        let all: Vec<String> = issues.iter().map(|i| format!("--map {}: {}", i.path.join("."), i.message)).collect();
        Failure::Input(all.join("; "))
    })
}

/// The products that are used: all where they are few; else those with the most rows of which prices move, so many that
/// there are several weeks for each coefficient. And all there are.
fn choose_products(
    raw: &Raw,
    settings: &FitSettings,
    fit: &mut Map<String, Value>,
) -> Result<(FitSettings, Vec<String>), String> {
    let counts = if settings.product.is_empty() { Vec::new() } else { long::products(raw, settings)? };
    let all: Vec<String> = match (settings.product.is_empty(), settings.products.is_empty()) {
        (true, false) => return Ok((settings.clone(), settings.products.clone())),
        (true, true) => by_sales(&sales::of(raw, settings)?),
        (false, _) => counts.iter().map(|(name, _)| name.clone()).collect(),
    };
    // Few columns of products are all meant; of many as many are taken as of many products of rows.
    if !settings.products.is_empty() || settings.product.is_empty() && all.len() <= MOST_COLUMNS {
        return Ok((settings.clone(), all));
    }
    let candidates: Vec<String> = all.iter().take(CANDIDATES).cloned().collect();
    let wide = FitSettings { products: candidates.clone(), ..settings.clone() };
    let table = sales::of(raw, &wide)?;
    let rows = table.weeks.len();
    if rows < 4 {
        return Err(format!("{rows} weeks are too few to estimate demand from them: use more"));
    }
    let present = |k: usize| (0..rows).filter(|t| table.sales.present(*t, k)).count();
    // What is sold below cost in most weeks teaches nothing of what it could earn.
    let below = |k: usize| (0..rows).filter(|t| table.sales.prices[*t][k] < table.costs[*t][k]).count();
    let loses = |k: usize| !settings.cost.is_empty() && 2 * below(k) > rows;
    let given_away: Vec<&str> = (0..candidates.len()).filter(|k| loses(*k)).map(|k| candidates[k].as_str()).collect();
    if !given_away.is_empty() && all.len() > FEW_PRODUCTS {
        agon::tell!("left out, as they are sold below cost in most weeks: {}", given_away.join(", "));
    }
    // Fuel by the drop among loaves by the piece: customers who buy one or the other cannot be counted together.
    let measure = |k: usize| {
        let units: f64 = table.sales.units.iter().map(|week| week[k]).sum();
        counts.get(k).map_or(f64::NAN, |(_, rows)| units / *rows as f64)
    };
    let usual = sales::median((0..candidates.len()).map(measure).filter(|units| *units > 0.0));
    let strange =
        |k: usize| settings.rows == Rows::Sales && !settings.units.is_empty() && measure(k) > OTHER_MEASURE * usual;
    for k in (0..candidates.len()).filter(|k| all.len() > FEW_PRODUCTS && strange(*k)) {
        agon::tell!(
            "left out, as its units are of another measure: {} ({:.0} a sale, where others have {usual:.1})",
            candidates[k],
            measure(k)
        );
    }
    let kept = |k: usize| all.len() <= FEW_PRODUCTS || !(loses(k) || strange(k));
    let moves = |k: &usize| !table.sales.price_stands_still(*k) && present(*k) > 2 && kept(*k);
    let moving: Vec<usize> = (0..candidates.len()).filter(moves).collect();
    let Some(best) = moving.iter().map(|k| present(*k)).max() else {
        let (n, some) = (candidates.len(), candidates[..candidates.len().min(3)].join(", "));
        return Err(format!(
            "no price ever moves: each of the {n} products looked at ({some}, …) has one price in all its weeks; demand \
             can only be estimated from prices that were changed"
        ));
    };
    let most =
        if all.len() <= FEW_PRODUCTS && 4 * all.len() <= rows { all.len() } else { (rows / 4).clamp(1, MOST_PRODUCTS) };
    let mut order: Vec<usize> = moving;
    // Those that were nearly always there come first, in the order of their rows.
    order.sort_by_key(|k| (5 * present(*k) < 4 * best, *k));
    order.truncate(most);
    order.sort_unstable();
    let products: Vec<String> = order.into_iter().map(|k| candidates[k].clone()).collect();
    fit.insert("products".into(), products.clone().into());
    Ok((FitSettings { products, ..settings.clone() }, all))
}

/// With those of the columns that may be covariates whose effects can be told apart.
fn with_covariates(raw: &Raw, mut settings: FitSettings, guess: &mut Guess<'_>) -> FitSettings {
    for pattern in std::mem::take(&mut guess.more) {
        let mut more = settings.clone();
        more.covariates.push(pattern.clone());
        let tells = sales::of(raw, &more).map(|table| market::uninformative(&table).is_none());
        match tells {
            Ok(true) => settings = more,
            Ok(false) => guess.notes.push(format!("`{pattern}` tells nothing beside prices and displays: not used")),
            Err(_) => {} // words or numbers that are no covariate
        }
    }
    settings
}

/// Whether somebody knows the market's best prices, so that the player `optimal` can be compared with.
fn has_optimum(mut env: Map<String, Value>) -> bool {
    let Ok(market) = agon_envs::find("pricing/retail") else { return false };
    // Every draw is checked when it is built; none of them matters here.
    env.retain(|key, _| !key.starts_with("drawn_"));
    market.build(&env, 1, 1).is_ok_and(|env| agon_core::policy::by_name(&*env, "optimal", 1).is_ok())
}

/// The products of a table with columns for each, those with the most units first.
fn by_sales(table: &SalesTable) -> Vec<String> {
    let sold = |k: usize| table.sales.units.iter().map(|week| week[k]).sum::<f64>();
    let mut order: Vec<(f64, &String)> = table.products.iter().enumerate().map(|(k, p)| (sold(k), p)).collect();
    order.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    order.into_iter().map(|(_, product)| product.clone()).collect()
}

/// The table's path as the scenario has it.
fn data_beside(file: &Path, out: &Path) -> String {
    let folder = |path: &Path| path.parent().map_or(PathBuf::new(), Path::to_owned);
    let beside = folder(file) == folder(out);
    let name = if beside { file.file_name().map(PathBuf::from) } else { std::path::absolute(file).ok() };
    name.unwrap_or_else(|| file.to_owned()).display().to_string()
}

/// What was understood.
fn lines(file: &Path, raw: &Raw, s: &FitSettings, table: &SalesTable, found: &[String]) -> Vec<String> {
    let wide = s.product.is_empty() && s.shop.is_empty() && s.rows == Rows::Weeks;
    let row = match (wide, s.rows) {
        (true, _) => "a row is a week, with columns for each product",
        (_, Rows::Weeks) => "a row is a product's week",
        (_, Rows::Sales) => "a row is a sale: they are added up by week",
    };
    let weeks = if s.dates == sales::calendar::Dates::Rows { "rows in order".into() } else { format!("`{}`", s.week) };
    let shops = if s.shop.is_empty() { "one shop".into() } else { format!("shops in `{}`", s.shop) };
    let product = if s.product.is_empty() { String::new() } else { format!(" in `{}`", s.product) };
    let names = table.products.join(", ");
    let short: String = names.chars().take(90).collect();
    let dots = if short.len() < names.len() { "…" } else { "" };
    let as_units = match s.units_as {
        UnitsAs::Units => "",
        UnitsAs::Log => " (logarithms)",
        UnitsAs::Share => " (shares of all customers)",
    };
    let money = |m: sales::MoneyAs| match m {
        sales::MoneyAs::Unit => "",
        sales::MoneyAs::Total => " (of all units of the row)",
        sales::MoneyAs::Margin => " (margin in per cent)",
    };
    let units =
        if s.units.is_empty() { "each row is one unit".into() } else { format!("units in `{}`{as_units}", s.units) };
    let costs = match (s.cost.is_empty(), s.costs.is_empty()) {
        (false, _) => format!("costs in `{}`{}", s.cost, money(s.cost_as)),
        (_, false) => "costs as [fit] costs says".into(),
        _ => format!("costs are in no column: {} of each product's median price is taken (cost_share)", s.cost_share),
    };
    let customers = match (s.customers.is_empty(), s.units_as) {
        (false, _) => format!("customers in `{}`", s.customers),
        (_, UnitsAs::Share) => "customers are those of the shares".into(),
        _ => {
            format!("customers are in no column: {} times a shop's largest week is taken (market_size)", s.market_size)
        }
    };
    let more: Vec<&String> = s.covariates.iter().chain(&s.holidays).chain(&s.rivals).collect();
    let more = match more.is_empty() {
        true => String::new(),
        false => format!(", covariates {}", more.iter().map(|m| format!("`{m}`")).collect::<Vec<_>>().join(", ")),
    };
    let display = if s.display.is_empty() { "no displays".into() } else { format!("displays in `{}`", s.display) };
    let mut told = vec![
        format!("{}: {} rows of {} columns; {row}", file.display(), raw.rows(), raw.names.len()),
        format!("  weeks in {weeks}, {shops}: {}", table.summary),
        format!("  {} products{product}, {} used: {short}{dots}", found.len(), table.products.len())
            .replace("weeks in rows", "weeks: rows"),
        format!("  {units}, prices in `{}`{}, {display}{more}", s.price, money(s.price_as)),
        format!("  {costs}; {customers}"),
    ];
    let others: Vec<&str> = found.iter().filter(|p| !table.products.contains(p)).take(4).map(String::as_str).collect();
    if let [first, ..] = others[..] {
        told.push(format!(
            "  others: --products {first},… takes those you list (most rows first: {}{}); --map product=COLUMN, such as a \
             category, makes them fewer",
            others.join(", "),
            if found.len() > table.products.len() + others.len() { ", …" } else { "" }
        ));
    }
    told
}

/// The scenario's text.
fn scenario(file: &Path, fit: &Map<String, Value>, rows: usize, optimum: bool) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let quoted = |text: &str| Value::from(text).to_string();
    let order: Vec<&str> = FitSettings::declared().iter().map(|d| d.name).collect();
    let mut keys: Vec<(&String, &Value)> = fit.iter().collect();
    keys.sort_by_key(|(key, _)| order.iter().position(|o| o == key));
    let of_fit: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    // An episode is the whole table: of a long one few are enough. But what is right for many shops takes longer to learn.
    let (episodes, last, steps, every) =
        if rows > LONG { (1, 4, 1_200_000, 300_000) } else { (10, 50, 400_000, 50_000) };
    let ahead = fit.contains_key("reference_memory");
    let fixed = if ahead { "" } else { ", \"best-fixed-prices\"" };
    let optimal = if optimum && !ahead { ", \"optimal\"" } else { "" };
    let (gamma, why) = match ahead {
        true => ("0.9", "Customers get used to prices, so the agent looks some weeks ahead."),
        false => ("0.0", "Nothing carries over from week to week, so the agent need not look ahead."),
    };
    format!(
        "about = {}\n\n# Written by `agon price init`; docs/pricing.md says what is estimated and checked.\n[fit]\n{of_fit}\n\
         [env]\nid = \"pricing/retail\"\n# Customers buy the expected amounts: nothing has to be learned through chance.\nsales = \"expected\"\n\n# {why}\n\
         [agent]\nkind = \"ppo\"\nhidden = [64, 64]\ngamma = {gamma}\nrollout_steps = 64\nminibatch = 256\nepochs = 10\n\
         learning_rate = 1e-3\nlog_std = -0.5\nnormalize_observation = true\nnormalize_reward = true\n\n\
         [train]\nsteps = {steps}\nenvs = 16\nseed = 1\n\n[eval]\nevery = {every}\nepisodes = {episodes}\n\
         final_episodes = {last}\nbaselines = [\"random\", \"charged\"{fixed}, \"myopic\"{optimal}]\n",
        quoted(&format!("Prices for the sales in {name}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The scenario names no player that cannot play.
    #[test]
    fn the_optimum_is_compared_with_where_it_is_known() {
        let settings = |value: Value| value.as_object().cloned().unwrap();
        assert!(has_optimum(settings(json!({}))));
        assert!(!has_optimum(settings(json!({"rules": {"max_change": 0.1}}))));
        let text = |optimum| scenario(Path::new("sales.csv"), &Map::new(), 10, optimum);
        assert!(text(true).contains("\"optimal\"") && !text(false).contains("optimal"));
    }
}
