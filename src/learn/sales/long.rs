//! Tables with a row for each product's week, in one shop or several, or for each single sale. An observation is a product
//! in a week of a shop: what is missing or cannot be true leaves out that observation alone. What sold nothing and has no
//! row was not on offer, as far as is known: demand is estimated from what was there.

use super::calendar::{Dates, Weeks, is_total, is_total_name, spacing};
use super::clean::{below, leave_out};
use super::dialect::Numbers;
use super::{FitSettings, MoneyAs, Rows, SalesTable, UnitsAs, given_cost, median, names, show};
use agon_agents::data::Raw;
use agon_agents::data::cells::is_missing;
use agon_agents::demand::Sales;
use agon_core::settings::{hint, nearest};
use std::collections::{BTreeMap, HashMap};

/// Potential customers where only shares of them are known.
const CUSTOMERS_OF_SHARES: f64 = 10_000.0;

/// The columns that the settings name.
struct Places {
    week: Option<usize>,
    shop: Option<usize>,
    product: Vec<usize>,
    units: Option<usize>,
    /// One for all products, or one each: then a row tells the prices of all.
    prices: Vec<usize>,
    each: bool,
    cost: Option<usize>,
    /// As prices; none where there are no displays.
    displays: Vec<usize>,
    customers: Option<usize>,
    stock: Option<usize>,
}

/// Where a column of this name is.
pub fn find(raw: &Raw, key: &str, name: &str) -> Result<usize, String> {
    raw.find(name).ok_or_else(|| {
        let near = nearest(name, raw.names.iter().map(String::as_str));
        let known = raw.names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
        let known = if near.is_some() { hint(&near) } else { format!("; its columns are {known}") };
        format!("[fit] {key}: no column is called `{name}`{known}")
    })
}

impl Places {
    fn find(raw: &Raw, settings: &FitSettings, products: &[String]) -> Result<Self, String> {
        let some = |key: &str, name: &str| match name {
            "" => Ok(None),
            name => find(raw, key, name).map(Some),
        };
        let each = settings.price.contains("{}");
        let prices = match each {
            true => products.iter().map(|p| find(raw, "price", &settings.price.replace("{}", p))).collect(),
            false => find(raw, "price", &settings.price).map(|column| vec![column]),
        }?;
        if settings.units.is_empty() && settings.rows == Rows::Weeks {
            return Err("[fit] units names no column; only rows = \"sales\" counts each row as one unit".into());
        }
        let own = |product: &String| settings.display.replace("{}", product);
        let displays = match settings.display.contains("{}") {
            false => some("display", &settings.display)?.into_iter().collect(),
            // Only rows that tell all prices can tell all displays.
            true if each && products.iter().any(|p| raw.find(&own(p)).is_some()) => {
                products.iter().map(|p| find(raw, "display", &own(p))).collect::<Result<_, _>>()?
            }
            true => Vec::new(),
        };
        Ok(Self {
            week: if settings.dates == Dates::Rows { None } else { some("week", &settings.week)? },
            shop: some("shop", &settings.shop)?,
            product: columns_of_product(raw, settings)?,
            units: some("units", &settings.units)?,
            prices,
            each,
            cost: some("cost", &settings.cost)?,
            displays,
            customers: some("customers", &settings.customers)?,
            stock: some("stock", &settings.stock)?,
        })
    }
}

/// The columns that name the product together.
fn columns_of_product(raw: &Raw, settings: &FitSettings) -> Result<Vec<usize>, String> {
    if settings.product.is_empty() {
        return Ok(Vec::new());
    }
    settings.product.split(" + ").map(|name| find(raw, "product", name.trim())).collect()
}

/// The product of a row; none where a part of it is missing.
fn product_of(raw: &Raw, columns: &[usize], row: usize) -> Option<String> {
    let cells: Vec<&str> = columns.iter().map(|c| raw.cell(row, *c)).collect();
    (!cells.iter().any(|cell| is_missing(cell))).then(|| cells.join(" "))
}

/// All products of a table (in the shops that the settings list), each with the number of its rows, the most frequent first.
pub fn products(raw: &Raw, settings: &FitSettings) -> Result<Vec<(String, usize)>, String> {
    let columns = columns_of_product(raw, settings)?;
    let shop = if settings.shops.is_empty() { None } else { raw.find(&settings.shop) };
    let wanted = |row: usize| shop.is_none_or(|c| settings.shops.iter().any(|shop| shop == raw.cell(row, c)));
    let mut counts: HashMap<String, usize> = HashMap::new();
    for row in (0..raw.rows()).filter(|row| wanted(*row)) {
        if let Some(product) = product_of(raw, &columns, row).filter(|p| !is_total_name(p)) {
            *counts.entry(product).or_default() += 1;
        }
    }
    let mut all: Vec<(String, usize)> = counts.into_iter().collect();
    all.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
    Ok(all)
}

/// Products of a table that are not listed in the settings, at most.
const MOST_PRODUCTS: usize = 30;

/// What is left out, by reason: how often, and where first.
#[derive(Default)]
struct Lost(BTreeMap<&'static str, (u64, String)>);

impl Lost {
    fn add(&mut self, why: &'static str, place: impl FnOnce() -> String) {
        match self.0.get_mut(why) {
            Some((count, _)) => *count += 1,
            None => drop(self.0.insert(why, (1, place()))),
        }
    }
}

/// A product's week in a shop: sums of its rows.
#[derive(Clone, Default)]
struct Cell {
    line: u64,
    /// Its rows of the file.
    of: Vec<usize>,
    rows: f64,
    units: f64,
    paid: f64,
    /// Of rows that tell a price whatever was sold.
    prices: [f64; 2],
    costs: [f64; 2],
    /// The sum of those that rows tell, and how many do.
    displays: [f64; 2],
}

impl Cell {
    /// Counts a row's display; a missing one is none.
    fn show(&mut self, display: Option<f64>) {
        self.displays = [self.displays[0] + display.unwrap_or(0.0).clamp(0.0, 1.0), self.displays[1] + 1.0];
    }
}

/// A shop's week.
struct Week {
    /// A product each.
    cells: Vec<Cell>,
    /// NaN where they are not known.
    customers: f64,
    /// The first row that tells those of a day, and how many.
    days: BTreeMap<String, (u64, f64)>,
    /// What the first of its rows calls the week.
    label: String,
}

/// Reads and cleans such a table.
pub fn read(raw: &Raw, settings: &FitSettings) -> Result<SalesTable, String> {
    let products: Vec<String> = match (settings.product.is_empty(), settings.products.is_empty()) {
        (true, true) => vec!["product".into()],
        (_, false) => settings.products.clone(),
        (false, true) => products(raw, settings)?.into_iter().map(|(name, _)| name).collect(),
    };
    if products.len() > MOST_PRODUCTS && settings.products.is_empty() {
        let (n, some) = (products.len(), products[..4].join(", "));
        return Err(format!("{n} products ({some}, …) are too many for one market: list the [fit] products to use"));
    }
    let mut plain: Vec<(String, &String)> = products.iter().map(|p| (p.to_lowercase(), p)).collect();
    plain.sort();
    if let Some(pair) = plain.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1) {
        let [a, b] = [pair[0].1, pair[1].1];
        return Err(format!(
            "products `{a}` and `{b}` differ in capital letters alone: write them alike in the table, or list one of them \
             in the [fit] products"
        ));
    }
    let names = names(settings, &products)?;
    let places = Places::find(raw, settings, &products)?;
    let index: HashMap<&str, usize> = products.iter().enumerate().map(|(k, p)| (p.as_str(), k)).collect();
    let (kept_rows, mut lost, totals) = rows_of(raw, &places, settings, &index);
    for product in products.iter().filter(|_| !settings.product.is_empty()) {
        if !kept_rows.iter().any(|(_, k)| products[*k] == *product) {
            let all: Vec<String> = self::products(raw, settings)?.into_iter().map(|(name, _)| name).collect();
            let near = hint(&nearest(product, all.iter().map(String::as_str)));
            return Err(format!("[fit] products: no row is of `{product}`{near}"));
        }
    }
    let used = [places.units, places.cost, places.customers, places.stock];
    let of_products = places.prices.iter().chain(&places.displays).copied();
    let used: Vec<usize> = used.into_iter().flatten().chain(of_products).collect();
    let numbers = Numbers::new(raw, &used, settings.decimal)?;

    // Whether a row tells the displays of all products.
    let displayed = places.displays.len() > 1;
    let shop_of = |row: usize| places.shop.map_or("", |c| raw.cell(row, c));
    let mut shops: Vec<&str> = kept_rows.iter().map(|(row, _)| shop_of(*row)).collect();
    shops.sort_unstable();
    shops.dedup();
    let moments = moments_of(raw, &places, settings, &kept_rows)?;
    let parts = if settings.rows == Rows::Sales { moments.parts() } else { Vec::new() };
    let mut table: BTreeMap<(i64, usize), Week> = BTreeMap::new();
    for ((row, k), week) in kept_rows.iter().zip(&moments.numbers) {
        let (row, k, line) = (*row, *k, raw.lines[*row]);
        let place = || format!("line {line}");
        let Some(week) = *week else {
            lost.add("without a week", place);
            continue;
        };
        if parts.contains(&week) {
            lost.add("of a week of which the table holds some days alone", place);
            continue;
        }
        let read = |column: Option<usize>| column.map_or(Ok(None), |c| numbers.read(row, c));
        let shop = shops.binary_search(&shop_of(row)).unwrap_or(0);
        let label = || places.week.map_or_else(|| week.to_string(), |c| raw.cell(row, c).to_owned());
        let (cells, customers) = {
            let new = || Week {
                cells: vec![Cell::default(); products.len()],
                customers: f64::NAN,
                days: BTreeMap::new(),
                label: label(),
            };
            let week = table.entry((week, shop)).or_insert_with(new);
            (&mut week.cells, &mut week.days)
        };
        if let Some(count) = read(places.customers)? {
            let moment = places.week.map_or("", |c| raw.cell(row, c));
            let day = moment.split(['T', ' ']).next().unwrap_or_default().to_owned();
            let (first, known) = customers.entry(day).or_insert((line, count));
            if settings.rows == Rows::Sales && *known != count {
                return Err(format!(
                    "lines {first} and {line} are of one day or week, {moment}, and name {known} and {count} customers: if \
                     the table holds several shops, name their column with shop; else leave the customers out"
                ));
            }
            *known = known.max(count);
        }
        if places.each {
            for (cell, column) in cells.iter_mut().zip(&places.prices) {
                if let Some(price) = numbers.read(row, *column)?.filter(|p| *p > 0.0) {
                    cell.prices = [cell.prices[0] + price, cell.prices[1] + 1.0];
                }
            }
            if displayed {
                for (cell, column) in cells.iter_mut().zip(&places.displays) {
                    cell.show(numbers.read(row, *column)?);
                }
            }
        }
        if read(places.stock)?.is_some_and(|stock| stock <= 0.0) {
            lost.add("with an empty shelf", place);
            continue;
        }
        let units = if places.units.is_none() { Some(1.0) } else { read(places.units)? };
        let Some(mut units) = units else {
            lost.add("without units", place);
            continue;
        };
        match settings.units_as {
            UnitsAs::Units => {}
            UnitsAs::Log => units = units.exp(),
            UnitsAs::Share => units *= CUSTOMERS_OF_SHARES,
        }
        if units < 0.0 {
            lost.add("with negative units (returns)", place);
            continue;
        }
        let price = numbers.read(row, places.prices[if places.each { k } else { 0 }])?;
        let Some(mut price) = price.filter(|p| *p > 0.0) else {
            lost.add("without a price above 0", place);
            continue;
        };
        let total = |money: f64, money_as: MoneyAs| if money_as == MoneyAs::Total { money / units } else { money };
        if units == 0.0 && (settings.price_as == MoneyAs::Total || settings.rows == Rows::Sales) {
            lost.add("of no units", place);
            continue;
        }
        price = total(price, settings.price_as);
        let cell = &mut cells[k];
        if cell.rows > 0.0 && settings.rows == Rows::Weeks {
            return Err(again(raw, &places, cell.line, row));
        }
        cell.line = if cell.rows > 0.0 { cell.line } else { line };
        cell.rows += 1.0;
        cell.of.push(row);
        cell.units += units;
        cell.paid += price * units.max(f64::MIN_POSITIVE);
        if !places.each {
            cell.prices = [cell.prices[0] + price, cell.prices[1] + 1.0];
        }
        let cost = read(places.cost)?.map(|cost| match settings.cost_as {
            MoneyAs::Margin => price * (1.0 - cost / 100.0),
            money_as => total(cost, money_as),
        });
        if let Some(cost) = cost.filter(|c| *c > 0.0 && c.is_finite()) {
            let weight = units.max(1e-9);
            cell.costs = [cell.costs[0] + cost * weight, cell.costs[1] + weight];
        }
        if !displayed {
            cell.show(read(places.displays.first().copied())?);
        }
    }
    let daily = customers_of_days(&mut table);
    if places.week.is_some() {
        let mut weeks: Vec<(&str, i64)> = table.iter().map(|((n, _), week)| (week.label.as_str(), *n)).collect();
        weeks.dedup_by_key(|(_, n)| *n);
        let column = places.week.map_or("", |c| raw.names[c].as_str());
        spacing(&weeks, moments.dates).map_err(|why| format!("column `{column}`: {why}"))?;
    }
    if places.each && settings.rows == Rows::Sales {
        // Rows tell the prices of what was not bought.
        for week in table.values_mut() {
            week.cells.iter_mut().filter(|cell| cell.prices[1] > 0.0).for_each(|cell| cell.rows = cell.rows.max(1.0));
        }
    }
    Build { settings, places: &places, names, products, shops, lost, totals, dates: moments.dates, daily }.build(table)
}

/// Customers of weeks from those of their days: their sum. Where all days of every week tell the same number, weeks differ
/// and no week sold more, it is the number of the week that stands beside each of its days. What is to be remarked of it.
fn customers_of_days(table: &mut BTreeMap<(i64, usize), Week>) -> Option<&'static str> {
    let counts = |week: &Week| week.days.values().map(|(_, count)| *count).collect::<Vec<f64>>();
    let alike = |list: &[f64]| list.windows(2).all(|pair| pair[0] == pair[1]);
    let sold = |week: &Week| week.cells.iter().map(|cell| cell.units).sum::<f64>();
    let firsts: Vec<f64> = table.values().filter_map(|week| counts(week).first().copied()).collect();
    let days = table.values().any(|week| week.days.len() > 1);
    let enough = |week: &Week| counts(week).first().is_none_or(|count| sold(week) < *count);
    let of_weeks = !alike(&firsts) && table.values().all(|week| alike(&counts(week)) && enough(week));
    for week in table.values_mut().filter(|week| !week.days.is_empty()) {
        let counts = counts(week);
        week.customers = if of_weeks { counts[0] } else { counts.iter().sum() };
    }
    days.then_some(match of_weeks {
        true => "all days of a week name as many customers: they are taken for those of the week",
        false => "customers are told of each day: they are added up by week",
    })
}

/// The rows of wanted products and shops, each with its product; what else is left out; how many are totals.
fn rows_of(
    raw: &Raw,
    places: &Places,
    settings: &FitSettings,
    index: &HashMap<&str, usize>,
) -> (Vec<(usize, usize)>, Lost, usize) {
    let (mut rows, mut lost, mut totals) = (Vec::new(), Lost::default(), 0);
    for row in 0..raw.rows() {
        let mut named = [places.shop, places.product.first().copied()].into_iter().flatten();
        if places.week.is_some_and(|c| is_total(raw.cell(row, c))) || named.any(|c| is_total_name(raw.cell(row, c))) {
            totals += 1;
            continue;
        }
        let product = match places.product.is_empty() {
            true => Some(0),
            false => match product_of(raw, &places.product, row) {
                None => {
                    lost.add("without a product", || format!("line {}", raw.lines[row]));
                    None
                }
                Some(product) => index.get(product.as_str()).copied(),
            },
        };
        let shop = places.shop.map_or("", |c| raw.cell(row, c));
        let wanted = settings.shops.is_empty() || settings.shops.iter().any(|s| s == shop);
        rows.extend(product.filter(|_| wanted).map(|k| (row, k)));
    }
    (rows, lost, totals)
}

fn moments_of(raw: &Raw, places: &Places, settings: &FitSettings, rows: &[(usize, usize)]) -> Result<Weeks, String> {
    let Some(column) = places.week else {
        let mut count: HashMap<(&str, usize), i64> = HashMap::new();
        let mut next = |(row, k): &(usize, usize)| {
            let week = count.entry((places.shop.map_or("", |c| raw.cell(*row, c)), *k)).or_default();
            *week += 1;
            Some(*week)
        };
        return Ok(Weeks { numbers: rows.iter().map(&mut next).collect(), dates: false, weekdays: Vec::new() });
    };
    let cells: Vec<(&str, u64)> = rows.iter().map(|(row, _)| (raw.cell(*row, column), raw.lines[*row])).collect();
    let mut weeks = Weeks::read(&cells, &raw.names[column], settings.dates)?;
    weeks.dates |= weeks.of_years(&raw.names[column])?;
    Ok(weeks)
}

/// Why two rows of one product's week are refused.
fn again(raw: &Raw, places: &Places, first: u64, row: usize) -> String {
    let named = places.week.into_iter().chain(places.product.iter().copied()).chain(places.shop);
    let what: Vec<String> = named.map(|c| format!("{} {}", raw.names[c], raw.cell(row, c))).collect();
    let line = raw.lines[row];
    let how = match places.shop {
        None => {
            "if the table holds several shops, name their column with shop; if rows are single sales or days, say rows \
             = \"sales\""
        }
        Some(_) => "if rows are single sales or days, say rows = \"sales\"; else keep one of them",
    };
    format!("lines {first} and {line} are both of {}: {how}", what.join(", "))
}

/// What rows became, on the way to a table of weeks.
struct Build<'a> {
    settings: &'a FitSettings,
    places: &'a Places,
    names: Vec<String>,
    products: Vec<String>,
    shops: Vec<&'a str>,
    lost: Lost,
    totals: usize,
    dates: bool,
    /// What became of customers of days.
    daily: Option<&'static str>,
}

impl Build<'_> {
    fn build(mut self, cells: BTreeMap<(i64, usize), Week>) -> Result<SalesTable, String> {
        let (n, several) = (self.names.len(), self.shops.len() > 1);
        let price_of = |cell: &Cell| match (self.places.each, cell.prices[1] > 0.0) {
            (true, true) => cell.prices[0] / cell.prices[1],
            _ if cell.units > 0.0 => cell.paid / cell.units,
            _ => cell.prices[0] / cell.prices[1],
        };
        let cost_of = |cell: &Cell| if cell.costs[1] > 0.0 { cell.costs[0] / cell.costs[1] } else { f64::NAN };
        let of = |k: usize| cells.values().map(move |week| &week.cells[k]).filter(|cell| cell.rows > 0.0);
        let medians: Vec<f64> = (0..n).map(|k| median(of(k).map(price_of))).collect();
        let median_costs: Vec<f64> = (0..n).map(|k| median(of(k).map(cost_of))).collect();
        let standing = |k: usize| match median_costs[k] > 0.0 {
            true => median_costs[k],
            false => given_cost(self.settings, k, medians[k]),
        };
        let mut sales = Sales { names: self.names.clone(), ..Sales::default() };
        let (mut costs, mut weeks, mut absent, mut rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut kept, mut without_cost, mut losses) = (0, 0, 0);
        let first = cells.keys().next().map_or(0, |(week, _)| *week);
        let first = if self.dates { first } else { i64::from(first > 0) };
        let (mut shops_of, mut last) = (Vec::new(), None);
        for ((week, shop), Week { cells: all, customers, label, .. }) in &cells {
            let mut gone = vec![true; n];
            for (k, cell) in all.iter().enumerate().filter(|(_, cell)| cell.rows > 0.0) {
                let price = price_of(cell);
                let factor = self.settings.outlier_factor;
                if price > medians[k] * factor || price < medians[k] / factor {
                    let place = || {
                        let (price, median) = (show(price), show(medians[k]));
                        format!("line {}: {} at {price}, its median {median}", cell.line, self.names[k])
                    };
                    self.lost.add("with a price too far off its median", place);
                    continue;
                }
                gone[k] = false;
            }
            let count = gone.iter().filter(|gone| !**gone).count();
            if count == 0 {
                continue;
            }
            let units: Vec<f64> = (0..n).map(|k| if gone[k] { 0.0 } else { all[k].units }).collect();
            if !customers.is_nan() && units.iter().sum::<f64>() >= *customers {
                let line = all.iter().map(|cell| cell.line).max().unwrap_or(0);
                self.lost.add("of weeks in which more was sold than customers came", || format!("line {line}"));
                continue;
            }
            if self.places.customers.is_some() && customers.is_nan() {
                self.lost.add("of weeks without customers", || format!("week {label}"));
                continue;
            }
            kept += count;
            let row = weeks.len();
            absent.extend((0..n).filter(|k| gone[*k]).map(|k| (row, k)));
            let cost = |k: usize| match (gone[k], cost_of(&all[k])) {
                (false, cost) if cost > 0.0 => cost,
                _ => standing(k),
            };
            without_cost +=
                (0..n).filter(|k| !gone[*k] && self.places.cost.is_some() && cost_of(&all[*k]).is_nan()).count();
            let prices: Vec<f64> = (0..n).map(|k| if gone[k] { medians[k] } else { price_of(&all[k]) }).collect();
            costs.push((0..n).map(cost).collect::<Vec<f64>>());
            losses += (0..n).filter(|k| !gone[*k] && prices[*k] < costs[row][*k]).count();
            let shown = |k: usize| if gone[k] { 0.0 } else { all[k].displays[0] / all[k].displays[1].max(1.0) };
            sales.displays.push((0..n).map(shown).collect());
            sales.units.push(units);
            rows.push(all.iter().map(|cell| cell.of.clone()).collect());
            sales.prices.push(prices);
            sales.customers.push(*customers);
            let line = all.iter().filter(|cell| cell.line > 0).map(|cell| cell.line).min().unwrap_or(0);
            let shop_name = self.shops[*shop];
            sales.labels.push(match several {
                true => format!("line {line}, week {label}, {shop_name}"),
                false => format!("line {line}, week {label}"),
            });
            if last != Some(*week) {
                sales.begins.push(row);
                last = Some(*week);
            }
            shops_of.push(*shop as u32);
            weeks.push(u32::try_from(week - first).unwrap_or(0));
        }
        if weeks.is_empty() {
            let why = self.reasons().join("; ");
            return Err(format!("no observation is left{}{why}", if why.is_empty() { "" } else { ": " }));
        }
        self.guess_customers(&mut sales, &shops_of);
        leave_out(&mut sales, &absent);
        let distinct = sales.begins.len();
        match several {
            true => sales.shops = shops_of,
            false => sales.begins.clear(),
        }
        let lost: u64 = self.lost.0.values().map(|(count, _)| count).sum();
        let shops = if several { format!(" of {} shops", self.shops.len()) } else { String::new() };
        let kept_weeks = if several { "shop-weeks" } else { "weeks" };
        let mut remarks = Vec::new();
        if several {
            remarks.push(
                "each shop's week is one observation, and one demand is fitted to all shops: errors are clustered by \
                 week, or by shop where shops are more"
                    .into(),
            );
        }
        remarks.extend(self.daily.map(String::from));
        if self.totals > 0 {
            remarks.push(format!("{} rows of totals were left out", self.totals));
        }
        if !absent.is_empty() {
            remarks.push(format!(
                "products are missing in {} of {} places: demand is fitted to what was there; in the simulated market \
                 all products are on offer in every week",
                absent.len(),
                n * weeks.len()
            ));
        }
        if without_cost > 0 {
            remarks.push(format!("{without_cost} costs are missing: the product's median stands for them"));
        }
        if losses > 0 {
            remarks.push(format!("{losses} prices are below {}; they are kept", below(self.settings)));
        }
        Ok(SalesTable {
            summary: format!(
                "{} {kept_weeks}{shops} ({distinct} weeks), {kept} observations kept, {lost} rows left out",
                weeks.len()
            ),
            sales,
            products: self.products.clone(),
            rows,
            first_week: self.dates.then_some(first),
            costs,
            weeks,
            left_out: self.reasons(),
            remarks,
        })
    }

    fn reasons(&self) -> Vec<String> {
        let line = |(why, (count, place)): (&&str, &(u64, String))| format!("{count} rows {why}, first {place}");
        self.lost.0.iter().map(line).collect()
    }

    /// Customers that nobody counted: a multiple of the largest sales of each shop.
    fn guess_customers(&self, sales: &mut Sales, shops: &[u32]) {
        if self.places.customers.is_some() {
            return;
        }
        let mut peaks = vec![0.0f64; self.shops.len()];
        let sold: Vec<f64> = sales.units.iter().map(|units| units.iter().sum()).collect();
        sold.iter().zip(shops).for_each(|(sold, shop)| peaks[*shop as usize] = peaks[*shop as usize].max(*sold));
        for (customers, shop) in sales.customers.iter_mut().zip(shops) {
            *customers = match self.settings.units_as {
                UnitsAs::Share => CUSTOMERS_OF_SHARES,
                _ => (self.settings.market_size * peaks[*shop as usize]).max(1.0),
            };
        }
    }
}
