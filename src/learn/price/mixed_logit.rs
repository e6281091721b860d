//! `agon price mixed-logit FILE`: demand of many markets in which people differ, from a table of products and one of people.

use crate::table_file;
use agon::cli::price::MixedLogit;
use agon::scenario::Source;
use agon::{Failure, Outcome, files};
use agon_agents::data::Raw;
use agon_agents::demand::Estimate;
use agon_agents::demand::mixed::{Conduct, Fit, Markets, MixedError, Parameter, Problem, elasticities};
use agon_core::scene::significant;
use agon_core::settings::{Issue, Settings, hint, nearest};
use serde_json::{Value, json};
use std::ops::Range;
use std::path::Path;

agon_core::settings! {
    /// How people value a characteristic differently, by a node of integration or by a demographic.
    pub struct Taste {
        /// The characteristic: a column of products, or 1.
        of: String = String::new();
        /// The column of people.
        by: String = String::new();
        /// Where the search begins.
        start: f64 = 0.1, in [-1e6, 1e6];
    }
}

agon_core::settings! {
    /// The two tables, and what their columns are.
    pub struct DemandSettings {
        /// The table of products, beside the file: a product of a market a row.
        products: String = String::new();
        /// The table of people drawn in each market.
        people: String = String::new();
        /// Column of the market, in both tables.
        market: String = "market_ids".into();
        /// Column of the share of all customers.
        share: String = "shares".into();
        /// Column of the price.
        price: String = "prices".into();
        /// Column of the firm; empty: costs and prices after a merger are not computed.
        firm: String = "firm_ids".into();
        /// Column of groups whose own mean utility is absorbed, such as the brand; empty if there are none.
        group: String = "product_ids".into();
        /// Columns that mean utility is linear in beside the price; they are instruments, too. 1 is a constant.
        linear: Vec<String> = Vec::new();
        /// Columns of instruments; `{}` stands for 0, 1, 2 and so on as far as there are columns.
        instruments: Vec<String> = vec!["demand_instruments{}".into()];
        /// Column of people's weights, which sum to 1 in a market.
        weight: String = "weights".into();
        /// How people differ.
        tastes: Vec<Taste> = Vec::new();
    }
}

/// A table whose columns are asked for by name.
struct Table {
    raw: Raw,
    name: String,
}

impl Table {
    fn read(scenario: &Path, key: &str, name: &str, source: &Source) -> Outcome<Self> {
        let path = scenario.parent().unwrap_or(Path::new(".")).join(name);
        if name.is_empty() || !path.is_file() {
            let message = format!("no file at {}", path.display());
            return Err(source.wrong(&[Issue::value(key, message).within("demand")]));
        }
        let raw = table_file::read(&path)?;
        if raw.rows() == 0 {
            return Err(Failure::Input(format!("{}: it has a header but no rows", path.display())));
        }
        Ok(Self { raw, name: path.display().to_string() })
    }

    fn place(&self, column: &str) -> Outcome<usize> {
        self.raw.find(column).ok_or_else(|| {
            let near = hint(&nearest(column, self.raw.names.iter().map(String::as_str)));
            Failure::Input(format!("{}: no column is called `{column}`{near}", self.name))
        })
    }

    fn labels(&self, column: &str) -> Outcome<Vec<&str>> {
        let at = self.place(column)?;
        Ok((0..self.raw.rows()).map(|row| self.raw.cell(row, at)).collect())
    }

    fn numbers(&self, column: &str) -> Outcome<Vec<f64>> {
        if column == "1" && self.raw.find(column).is_none() {
            return Ok(vec![1.0; self.raw.rows()]);
        }
        let at = self.place(column)?;
        let number = |(row, cell): (usize, &str)| {
            self.raw.number(row, at).ok_or_else(|| {
                let line = self.raw.lines[row];
                Failure::Input(format!("{}:{line}: `{cell}` in column `{column}` is no number", self.name))
            })
        };
        self.labels(column)?.into_iter().enumerate().map(number).collect()
    }

    /// Columns as rows.
    fn rows(&self, columns: &[String]) -> Outcome<Vec<Vec<f64>>> {
        let columns = columns.iter().map(|name| self.numbers(name)).collect::<Outcome<Vec<_>>>()?;
        Ok((0..self.raw.rows()).map(|row| columns.iter().map(|column| column[row]).collect()).collect())
    }

    /// The labels of a column in the order in which they come first, and the place of each row's among them.
    fn codes(&self, column: &str) -> Outcome<(Vec<String>, Vec<usize>)> {
        let (mut seen, mut codes) = (std::collections::HashMap::new(), Vec::new());
        let mut all: Vec<String> = Vec::new();
        for label in self.labels(column)? {
            codes.push(*seen.entry(label).or_insert_with(|| {
                all.push(label.to_owned());
                all.len() - 1
            }));
        }
        Ok((all, codes))
    }

    /// The markets, whose rows must follow each other.
    fn markets(&self, column: &str) -> Outcome<(Vec<String>, Vec<Range<usize>>)> {
        let (names, codes) = self.codes(column)?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (row, code) in codes.iter().enumerate() {
            if *code == ranges.len() {
                ranges.push(row..row + 1);
            } else if *code + 1 == ranges.len() {
                ranges[*code].end = row + 1;
            } else {
                let (line, name) = (self.raw.lines[row], &names[*code]);
                let why = format!("market {name} comes again after others: sort the table by market");
                return Err(Failure::Input(format!("{}:{line}: {why}", self.name)));
            }
        }
        Ok((names, ranges))
    }
}

/// The place of the price among characteristics.
const PRICE: usize = 0;

/// Both tables, understood.
struct Input {
    settings: DemandSettings,
    problem: Problem,
    linear: Vec<String>,
    firms: Option<(Vec<String>, Vec<usize>)>,
    markets: Vec<String>,
}

impl Input {
    fn read(args: &MixedLogit) -> Outcome<Self> {
        let source = Source::read(&args.file, &args.set)?;
        let section = source.section("demand")?;
        let within =
            |issues: Vec<Issue>| source.wrong(&issues.into_iter().map(|i| i.within("demand")).collect::<Vec<_>>());
        let s = DemandSettings::read(&section).map_err(within)?;
        let twice = |(i, t): &(usize, &Taste)| s.tastes[..*i].iter().any(|o| (&o.of, &o.by) == (&t.of, &t.by));
        if let Some((_, t)) = s.tastes.iter().enumerate().find(twice) {
            let message = format!("{{ of = \"{}\", by = \"{}\" }} is there twice: leave one out", t.of, t.by);
            return Err(source.wrong(&[Issue::value("tastes", message).within("demand")]));
        }
        if s.tastes.is_empty() {
            let message = "people differ in nothing: `tastes = [{ of = \"1\", by = \"nodes0\", start = 0.3 }, …]`";
            return Err(source.wrong(&[Issue::value("tastes", message).within("demand")]));
        }
        let products = Table::read(&args.file, "products", &s.products, &source)?;
        let people = Table::read(&args.file, "people", &s.people, &source)?;
        let read = [args.file.as_path(), Path::new(&products.name), Path::new(&people.name)];
        if let Some(file) = args.export.as_deref().filter(|file| read.iter().any(|own| files::same(file, own))) {
            return Err(Failure::Input(format!("--export {}: this is a file that is read", file.display())));
        }
        let (markets, ranges) = products.markets(&s.market)?;
        let ranges_of: Vec<usize> = ranges.iter().map(|range| range.start).collect();
        let (theirs, drawn) = people.markets(&s.market)?;
        if let Some((own, other)) = markets.iter().zip(&theirs).find(|(a, b)| a != b) {
            let why = format!("markets are in another order than those of products: {other} where {own} is");
            return Err(Failure::Input(format!("{}: {why}", people.name)));
        }
        if markets.len() != theirs.len() {
            let why = format!("{} markets of products, and {} of people", markets.len(), theirs.len());
            return Err(Failure::Input(format!("{}: {why}", people.name)));
        }
        // The price is a characteristic wherever somebody's taste is of it, and for what prices would be, always.
        let mut characteristics = vec![s.price.clone()];
        let mut tastes: Vec<String> = Vec::new();
        let place = |all: &mut Vec<String>, name: &String| {
            all.iter().position(|known| known == name).unwrap_or_else(|| {
                all.push(name.clone());
                all.len() - 1
            })
        };
        let mut parameter = |t: &Taste| Parameter {
            characteristic: place(&mut characteristics, &t.of),
            taste: place(&mut tastes, &t.by),
            value: t.start,
        };
        let parameters: Vec<Parameter> = s.tastes.iter().map(&mut parameter).collect();
        let counted = |pattern: &String| -> Vec<String> {
            if !pattern.contains("{}") {
                return vec![pattern.clone()];
            }
            let names = (0..).map(|i| pattern.replace("{}", &format!("{i}")));
            names.take_while(|name| products.raw.find(name).is_some()).collect()
        };
        let mut instruments: Vec<String> = s.instruments.iter().flat_map(counted).collect();
        instruments.extend(s.linear.iter().cloned());
        let linear: Vec<String> = [s.price.clone()].into_iter().chain(s.linear.iter().cloned()).collect();
        let tables = Markets {
            products: ranges,
            people: drawn,
            shares: products.numbers(&s.share)?,
            characteristics: products.rows(&characteristics)?,
            linear: products.rows(&linear)?,
            instruments: products.rows(&instruments)?,
            groups: if s.group.is_empty() { Vec::new() } else { products.codes(&s.group)?.1 },
            weights: people.numbers(&s.weight)?,
            tastes: people.rows(&tastes)?,
        };
        if !s.firm.is_empty() && products.raw.find(&s.firm).is_none() {
            let why =
                format!("no column is called `{}`: name that of firms, or say firm = \"\" if there is none", s.firm);
            return Err(source.wrong(&[Issue::value("firm", why).within("demand")]));
        }
        let firms = if s.firm.is_empty() { None } else { Some(products.codes(&s.firm)?) };
        let problem = Problem::new(tables, parameters).map_err(|e| match e {
            MixedError::Untrue { market, what } => {
                let (line, name) = (products.raw.lines[ranges_of[market - 1]], &markets[market - 1]);
                Failure::Input(format!("{}:{line}: market {name}, which begins here: {what}", products.name))
            }
            other => Failure::Input(format!("{}: {other}", args.file.display())),
        })?;
        Ok(Self { settings: s, problem, linear, firms, markets })
    }

    fn conduct<'a>(&self, market: usize, firms: &'a [usize], fit: &Fit) -> Conduct<'a> {
        let rows = self.problem.markets().products[market].clone();
        Conduct { market, firms: &firms[rows], beta: fit.at.beta[0], price: PRICE }
    }
}

/// What an estimate says of a product of a market.
struct Line {
    market: usize,
    row: usize,
    price: f64,
    elasticity: f64,
    cost: Option<f64>,
    merged: Option<f64>,
}

/// Runs the command.
pub fn run(args: &MixedLogit) -> Outcome {
    let input = Input::read(args)?;
    let merger = args.merge.as_deref().map(|merge| merged(&input, merge)).transpose()?;
    let fit = input.problem.fit().map_err(|e| Failure::Input(format!("{}: {e}", args.file.display())))?;
    let lines = lines(&input, &fit, merger.as_deref())?;
    if let Some(file) = &args.export {
        std::fs::write(file, csv(&input, &lines)).map_err(|e| Failure::write(file, &e))?;
        agon::tell!("wrote {}", file.display());
    }
    if args.json.json {
        agon::say!("{}", json_of(&input, &fit, &lines));
    } else {
        agon::failure::say(format_args!("{}", text(&input, &fit, &lines)));
    }
    Ok(())
}

/// The firm of each product after a merger `A=B`: what is A's is B's.
fn merged(input: &Input, merge: &str) -> Outcome<Vec<usize>> {
    let wrong = |why: String| Failure::Input(format!("--merge {merge}: {why}"));
    let (names, firms) = input.firms.as_ref().ok_or_else(|| wrong("[demand] names no column of firms".into()))?;
    let (one, other) = merge.split_once('=').ok_or_else(|| wrong("write it as FIRM=FIRM".into()))?;
    let place = |name: &str| {
        let near = || hint(&nearest(name, names.iter().map(String::as_str)));
        names.iter().position(|n| n == name).ok_or_else(|| wrong(format!("no firm is called `{name}`{}", near())))
    };
    let (one, other) = (place(one.trim())?, place(other.trim())?);
    if one == other {
        return Err(wrong("name two firms".into()));
    }
    Ok(firms.iter().map(|firm| if *firm == one { other } else { *firm }).collect())
}

fn lines(input: &Input, fit: &Fit, merger: Option<&[usize]>) -> Outcome<Vec<Line>> {
    let (markets, mut all) = (input.problem.markets(), Vec::new());
    let nobody = vec![0; markets.shares.len()];
    for (market, rows) in markets.products.iter().enumerate() {
        let firms = input.firms.as_ref().map_or(&nobody, |(_, firms)| firms);
        let conduct = input.conduct(market, firms, fit);
        let table = elasticities(conduct, markets, &fit.parameters, &fit.at.delta);
        let costs = input.firms.as_ref().and_then(|_| conduct.costs(markets, &fit.parameters, &fit.at.delta));
        let prices = match (merger, &costs) {
            (Some(firms), Some(costs)) => {
                let conduct = input.conduct(market, firms, fit);
                let found = conduct.equilibrium(markets, &fit.parameters, &fit.at.delta, costs);
                let none = || {
                    let name = &input.markets[market];
                    Failure::Input(format!("market {name}: prices after the merger do not settle under this demand"))
                };
                Some(found.ok_or_else(none)?)
            }
            _ => None,
        };
        all.extend(rows.clone().enumerate().map(|(j, row)| Line {
            market,
            row,
            price: markets.characteristics[row][PRICE],
            elasticity: table[j][j],
            cost: costs.as_ref().map(|costs| costs[j]),
            merged: prices.as_ref().map(|prices| prices[j]),
        }));
    }
    Ok(all)
}

/// What is said of products: the mean of something, its least and its most.
fn spread(numbers: &[f64]) -> [f64; 3] {
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let end = |pick: fn(f64, f64) -> f64| numbers.iter().copied().reduce(pick).unwrap_or(mean);
    [mean, end(f64::min), end(f64::max)]
}

fn text(input: &Input, fit: &Fit, lines: &[Line]) -> String {
    let m = input.problem.markets();
    let mut out = format!(
        "mixed logit of {} products in {} markets with {} people: objective {:.6} (generalised method of moments, {} \
         instruments), {} evaluations\n",
        m.shares.len(),
        m.products.len(),
        m.weights.len(),
        fit.at.objective,
        m.instruments[0].len(),
        fit.evaluations
    );
    let names: Vec<String> = input.settings.tastes.iter().map(|t| format!("{} by {}", t.of, t.by)).collect();
    let wide = names.iter().chain(&input.linear).map(|name| name.chars().count()).max().unwrap_or(0);
    out += "  estimates (± standard errors, robust to heteroscedasticity):\n";
    let estimates = input.linear.iter().zip(fit.at.beta.iter().copied().zip(fit.beta_errors.iter().copied()));
    let tastes = names.iter().zip(fit.parameters.iter().map(|p| p.value).zip(fit.errors.iter().copied()));
    for (name, (value, error)) in estimates.chain(tastes) {
        let shown = match error.is_finite() {
            true => Estimate { value, error }.to_string(),
            false => format!("{} ± unknown", significant(value, 3)),
        };
        out += &format!("    {name:<wide$}  {shown}\n");
    }
    if fit.errors.iter().chain(&fit.beta_errors).any(|error| !error.is_finite()) {
        out += "WARNING: the data cannot tell these parameters apart: leave tastes out, or give more instruments\n";
    }
    let [mean, low, high] = spread(&lines.iter().map(|line| line.elasticity).collect::<Vec<_>>());
    out += &format!("  own-price elasticities: {mean:.2} on average, from {low:.2} to {high:.2}\n");
    let margins: Vec<f64> = lines.iter().filter_map(|line| Some(1.0 - line.cost? / line.price)).collect();
    if !margins.is_empty() {
        let [mean, ..] = spread(&margins).map(|x| 100.0 * x);
        out += &format!(
            "  margins, if firms set prices against each other (Bertrand): {mean:.1} % of the price on average\n"
        );
        if margins.len() < lines.len() {
            out += "  note: in some markets no costs explain the prices; they are left out of that\n";
        }
    }
    let moved: Vec<f64> = lines.iter().filter_map(|line| Some(line.merged? / line.price - 1.0)).collect();
    if !moved.is_empty() {
        let [mean, low, high] = spread(&moved).map(|x| 100.0 * x);
        out += &format!("  prices after the merger: {mean:+.2} % on average, from {low:+.2} % to {high:+.2} %\n");
    }
    if lines.iter().any(|line| line.elasticity >= 0.0) {
        out += "WARNING: some products sell more at a higher price under this demand: it is no basis for prices\n";
    }
    out
}

fn json_of(input: &Input, fit: &Fit, lines: &[Line]) -> Value {
    let linear = input.linear.iter().zip(fit.at.beta.iter().zip(&fit.beta_errors));
    let tastes = input.settings.tastes.iter().zip(fit.parameters.iter().zip(&fit.errors));
    let [mean, ..] = spread(&lines.iter().map(|line| line.elasticity).collect::<Vec<_>>());
    json!({
        "objective": fit.at.objective,
        "gradient": fit.at.gradient,
        "evaluations": fit.evaluations,
        "linear": linear.map(|(n, (b, e))| json!({"of": n, "value": b, "error": e})).collect::<Vec<_>>(),
        "tastes": tastes.map(|(t, (p, e))| json!({"of": t.of, "by": t.by, "value": p.value, "error": e})).collect::<Vec<_>>(),
        "mean_own_elasticity": mean,
    })
}

fn csv(input: &Input, lines: &[Line]) -> String {
    let mut out = String::from("row,market,price,share,own_elasticity,cost,price_after_merger\n");
    let cell = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x}"));
    for line in lines {
        let share = input.problem.markets().shares[line.row];
        let name = input.markets[line.market].replace('"', "\"\"");
        let (row, price, elasticity) = (line.row + 1, line.price, line.elasticity);
        out += &format!("{row},\"{name}\",{price},{share},{elasticity},{},{}\n", cell(line.cost), cell(line.merged));
    }
    out
}
