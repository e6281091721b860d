//! Users' sales tables: a CSV file and a mapping of its columns.
//!
//! What cannot be read is an error with line and column. What can be read but cannot be true leaves its week out, and
//! every such week is reported.

use agon::{Failure, Outcome};
use agon_agents::demand::{Method, PriceEffect, Sales};
use agon_core::settings::{hint, nearest};
use std::path::Path;

agon_core::settings! {
    /// Where sales are and how demand is estimated from them. `{}` in a column's name stands for the product.
    pub struct FitSettings {
        /// The CSV file, beside the scenario.
        data: String = String::new();
        /// What stands for `{}`, a product each; found from the header if left out.
        products: Vec<String> = Vec::new();
        /// Names to show, a product each; as `products` if left out.
        names: Vec<String> = Vec::new();
        /// Column of the week, rising.
        week: String = "week".into();
        /// Column of the customers that week.
        customers: String = "customers".into();
        /// Columns of the units sold.
        units: String = "units_{}".into();
        /// Columns of the shelf prices.
        price: String = "price_{}".into();
        /// Columns of the unit costs.
        cost: String = "wholesale_{}".into();
        /// Columns of the displays, 0 to 1; empty if there are none.
        display: String = "display_{}".into();
        /// How demand is estimated.
        method: Method = Method::Likelihood;
        /// Whether all products share one price effect.
        price_effect: PriceEffect = PriceEffect::ByProduct;
        /// A price or cost this many times off its product's median is a recording error.
        outlier_factor: f64 = 3.0, in [1.0, 1e9];
    }
}

/// A table that was read and cleaned.
#[derive(Debug)]
pub struct Table {
    /// What demand is estimated from.
    pub sales: Sales,
    /// What stands for `{}` in columns' names, a product each.
    pub products: Vec<String>,
    /// Unit costs, `[weeks][products]`.
    pub costs: Vec<Vec<f64>>,
    /// The weeks that were kept.
    pub weeks: Vec<f64>,
    /// What was left out and why.
    pub left_out: Vec<String>,
    /// What looks odd but was kept.
    pub remarks: Vec<String>,
}

/// One week before cleaning.
struct Week {
    line: u64,
    label: String,
    week: f64,
    customers: f64,
    units: Vec<f64>,
    prices: Vec<f64>,
    costs: Vec<f64>,
    displays: Vec<f64>,
}

/// Reads and cleans a table.
pub fn read(path: &Path, settings: &FitSettings) -> Outcome<Table> {
    let wrong = |why: String| Failure::Input(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| Failure::read(path, &e))?;
    if text.trim().is_empty() {
        return Err(wrong("the file is empty".into()));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().map_err(|e| wrong(e.to_string()))?.iter().map(String::from).collect();
    if let Some(name) = twice(&header) {
        return Err(wrong(format!("two columns are called `{name}`; rename one of them")));
    }
    let products = products(&header, settings).map_err(wrong)?;
    if let Some(name) = twice(&products) {
        return Err(wrong(format!("[fit] products names `{name}` twice")));
    }
    let column = |name: &str| {
        header.iter().position(|h| h == name).ok_or_else(|| {
            let near = nearest(name, header.iter().map(String::as_str));
            wrong(format!("no column is called `{name}`{}; map it in the scenario's [fit]", hint(&near)))
        })
    };
    let each =
        |pattern: &str| -> Outcome<Vec<usize>> { products.iter().map(|p| column(&pattern.replace("{}", p))).collect() };
    let (week, customers) = (column(&settings.week)?, column(&settings.customers)?);
    let (units, prices, costs) = (each(&settings.units)?, each(&settings.price)?, each(&settings.cost)?);
    let displays = if settings.display.is_empty() { Vec::new() } else { each(&settings.display)? };
    let mut used: Vec<usize> = [&units, &prices, &costs, &displays].into_iter().flatten().copied().collect();
    used.extend([week, customers]);
    used.sort_unstable();
    if let Some(pair) = used.windows(2).find(|pair| pair[0] == pair[1]) {
        let name = &header[pair[0]];
        let why = format!(
            "column `{name}` would be two things at once; map each in the scenario's [fit], with `{{}}` for the product"
        );
        return Err(wrong(why));
    }

    let (mut weeks, mut dates) = (Vec::new(), None);
    for record in reader.records() {
        let record = record.map_err(|e| wrong(e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        // The first week says what all are.
        let dates = *dates.get_or_insert_with(|| day(record.get(week).unwrap_or_default()).is_some());
        let number = |at: usize| -> Outcome<f64> {
            let cell = record.get(at).unwrap_or_default();
            let place = || format!("line {line}, column `{}`", header[at]);
            let number: f64 = cell.parse().map_err(|_| {
                wrong(format!("{}: `{cell}` is not a number; correct it or leave the line out", place()))
            })?;
            if !number.is_finite() || number < 0.0 {
                return Err(wrong(format!("{}: {cell} cannot be; numbers here are 0 or more", place())));
            }
            Ok(number)
        };
        let moment = |at: usize| -> Outcome<f64> {
            let cell = record.get(at).unwrap_or_default();
            if dates {
                day(cell).ok_or_else(|| wrong(format!("line {line}: `{cell}` is no date as those before it")))
            } else {
                number(at)
            }
        };
        let all = |columns: &[usize]| columns.iter().map(|&c| number(c)).collect::<Outcome<Vec<f64>>>();
        weeks.push(Week {
            line,
            label: record.get(week).unwrap_or_default().to_owned(),
            week: moment(week)?,
            customers: number(customers)?,
            units: all(&units)?,
            prices: all(&prices)?,
            costs: all(&costs)?,
            displays: if displays.is_empty() { vec![0.0; products.len()] } else { all(&displays)? },
        });
    }
    if weeks.is_empty() {
        return Err(wrong("it has a header but no rows".into()));
    }
    let names = if settings.names.is_empty() { products.clone() } else { settings.names.clone() };
    if names.len() != units.len() {
        return Err(wrong(format!("[fit] names has {} entries for {} products", names.len(), units.len())));
    }
    let table = clean(weeks, names, settings.outlier_factor).map_err(wrong)?;
    Ok(Table { products, ..table })
}

/// A name that comes twice.
fn twice(names: &[String]) -> Option<&String> {
    names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)).map(|(_, name)| name)
}

/// A date such as 2026-03-02 as a number of days.
fn day(cell: &str) -> Option<f64> {
    let parts: Vec<i64> = cell.split('-').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let [year @ 0..=9999, month @ 1..=12, day @ 1..=31] = parts[..] else { return None };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > longest {
        return None;
    }
    // Years begin in March: then the day that some have more is the last one.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some((days + (153 * month + 2) / 5 + day) as f64)
}

/// What stands for `{}`: as given, or whatever the header's columns of units hold there.
fn products(header: &[String], settings: &FitSettings) -> Result<Vec<String>, String> {
    if !settings.products.is_empty() {
        return Ok(settings.products.clone());
    }
    let Some((before, after)) = settings.units.split_once("{}") else {
        return Err("[fit] units must hold `{}` for the product, or `products` must be given".into());
    };
    let inner = |h: &String| h.strip_prefix(before)?.strip_suffix(after).map(String::from);
    let found: Vec<String> = header.iter().filter_map(inner).collect();
    if found.is_empty() {
        let pattern = &settings.units;
        return Err(format!("no column looks like `{pattern}`; its columns are {}", header.join(", ")));
    }
    Ok(found)
}

pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = numbers.collect();
    all.sort_by(f64::total_cmp);
    let n = all.len();
    if n == 0 { 0.0 } else { 0.5 * (all[(n - 1) / 2] + all[n / 2]) }
}

fn clean(weeks: Vec<Week>, names: Vec<String>, factor: f64) -> Result<Table, String> {
    let n = names.len();
    let medians: Vec<[f64; 2]> =
        (0..n).map(|k| [median(weeks.iter().map(|w| w.prices[k])), median(weeks.iter().map(|w| w.costs[k]))]).collect();
    let mut table = Table {
        sales: Sales { names: names.clone(), ..Sales::default() },
        products: Vec::new(),
        costs: Vec::new(),
        weeks: Vec::new(),
        left_out: Vec::new(),
        remarks: Vec::new(),
    };
    let total = weeks.len();
    let mut losses = 0;
    for week in weeks {
        let before = table.weeks.last().copied();
        let untrue = untrue(&week, before, &names, &medians, factor);
        if !untrue.is_empty() {
            table.left_out.push(format!("line {}, week {}: {}", week.line, week.label, untrue.join("; ")));
            continue;
        }
        losses += (0..n).filter(|&k| week.prices[k] < week.costs[k]).count();
        table.weeks.push(week.week);
        table.sales.labels.push(format!("line {}, week {}", week.line, week.label));
        table.costs.push(week.costs);
        table.sales.customers.push(week.customers);
        table.sales.units.push(week.units);
        table.sales.prices.push(week.prices);
        table.sales.displays.push(week.displays);
    }
    if table.weeks.is_empty() {
        let example = table.left_out.first().map_or(String::new(), |w| format!(", such as {w}"));
        return Err(format!("none of its {total} weeks can be true{example}"));
    }
    if table.left_out.len() > table.weeks.len() {
        let (lost, example) = (table.left_out.len(), &table.left_out[0]);
        let why = format!(
            "{lost} of its {total} weeks cannot be true, such as {example}: is a column mapped to the wrong thing?"
        );
        return Err(why);
    }
    if losses > 0 {
        table.remarks.push(format!("{losses} prices are below cost (loss leaders); they are kept"));
    }
    Ok(table)
}

/// Why a week cannot be true.
fn untrue(w: &Week, before: Option<f64>, names: &[String], medians: &[[f64; 2]], factor: f64) -> Vec<String> {
    let mut why = Vec::new();
    if before.is_some_and(|b| w.week <= b) {
        why.push("it does not come after the week before it".into());
    }
    let sold: f64 = w.units.iter().sum();
    if sold >= w.customers {
        why.push(format!("{sold} units were sold to {} customers", w.customers));
    }
    for (k, name) in names.iter().enumerate() {
        for (what, x, median) in [("price", w.prices[k], medians[k][0]), ("cost", w.costs[k], medians[k][1])] {
            if x <= 0.0 {
                why.push(format!("the {what} of {name} is {x}"));
            } else if x > median * factor || x < median / factor {
                why.push(format!("the {what} of {name} is {x}, its median {median:.4}"));
            }
        }
        if w.displays[k] > 1.0 {
            why.push(format!("the display of {name} is {}, above 1", w.displays[k]));
        }
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Outcome<Table> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), &FitSettings::default())
    }

    const HEADER: &str = "week,units_a,price_a,wholesale_a,display_a,customers\n";

    #[test]
    fn untrue_weeks_are_left_out_and_named() {
        let rows = "1,10,2,1,0,100\n2,10,2,0,0,100\n3,200,2,1,0,100\n4,10,2,1,0.5,100\n4,10,2,1,0,100\n\
                    5,10,20,1,2,100\n6,10,2,1,0,100\n7,10,2,1,0,100\n";
        let table = read_text(&format!("{HEADER}{rows}")).unwrap();
        assert_eq!(table.weeks, [1.0, 4.0, 6.0, 7.0]);
        let text = table.left_out.join("\n");
        for part in ["week 2: the cost of a is 0", "week 3: 200 units", "line 6, week 4: it does not come", "above 1"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_column_is_one_thing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "week,units_a,units_b,price_a,price_b,cost,display_a,display_b,customers\n1,5,5,2,2,1,0,0,100\n";
        std::fs::write(file.path(), text).unwrap();
        for (settings, part) in [
            (FitSettings { cost: "cost".into(), ..Default::default() }, "`cost` would be two things"),
            (FitSettings { cost: "price_{}".into(), ..Default::default() }, "`price_a` would be two things"),
            (FitSettings { products: vec!["a".into(), "a".into()], ..Default::default() }, "names `a` twice"),
        ] {
            let failure = read(file.path(), &settings).unwrap_err();
            assert!(failure.code() == 2 && failure.to_string().contains(part), "{part} in {failure}");
        }
    }

    #[test]
    fn weeks_may_be_dates() {
        assert_eq!(day("2024-03-01").unwrap() - day("2024-02-28").unwrap(), 2.0);
        assert_eq!(day("2023-03-01").unwrap() - day("2023-02-28").unwrap(), 1.0);
        assert_eq!(day("2001-01-01").unwrap() - day("1901-01-01").unwrap(), 36_525.0);
        for none in ["7", "-3", "2024-13-01", "2023-02-29", "2024-04-31", "99999999999999999-01-01"] {
            assert!(day(none).is_none(), "{none}");
        }
        let mixed = read_text(&format!("{HEADER}2026-12-28,10,2,1,0,100\n53,10,2,1,0,100\n")).unwrap_err();
        assert!(mixed.to_string().contains("line 3: `53` is no date"), "{mixed}");
        let table = read_text(&format!("{HEADER}2026-12-28,10,2,1,0,100\n2027-01-04,10,2,1,0,100\n")).unwrap();
        assert_eq!(table.weeks[1] - table.weeks[0], 7.0);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_with_its_place() {
        for (text, part) in [
            (String::new(), "empty"),
            (HEADER.into(), "no rows"),
            (format!("{HEADER}1,10,two,1,0,100\n"), "line 2, column `price_a`: `two` is not a number"),
            (format!("{HEADER}1,10,-2,1,0,100\n"), "-2 cannot be"),
            (format!("{HEADER}1,10,2\n"), "fields"),
            (HEADER.replace("price_a", "prize_a"), "did you mean `prize_a`"),
            (HEADER.replace("units_a", "sold"), "no column looks like `units_{}`"),
            (HEADER.replace("display_a", "price_a"), "two columns are called `price_a`"),
            (format!("{HEADER}1,10,2,1,0,100\n1,10,2,1,0,100\n1,10,2,1,0,100\n"), "2 of its 3 weeks cannot be true"),
        ] {
            let failure = read_text(&text).unwrap_err();
            assert!(failure.code() == 2 && failure.to_string().contains(part), "{part} in {failure}");
        }
    }
}
