//! What moves demand beside a product's own price and display: columns of numbers or words, holidays, rivals' prices, the price
//! that customers are used to; and instruments, which move prices alone.

use super::calendar::{MONDAY, day};
use super::dialect::{Numbers, yes_or_no};
use super::long::find;
use super::{FitSettings, SalesTable};
use agon_agents::data::Raw;
use agon_agents::data::cells::is_missing;
use agon_core::settings::{hint, nearest};
use std::collections::HashSet;

/// Words of a column that become a covariate each, at most.
const MOST_WORDS: usize = 20;

/// A column of numbers, a row of the table and a product each.
struct Column {
    name: String,
    numbers: Vec<Vec<f64>>,
}

/// Adds to a table that was read whatever the settings name. Missing numbers are the mean of their column, or 0 where all
/// others are 0 or 1.
pub fn add(table: &mut SalesTable, raw: &Raw, settings: &FitSettings) -> Result<(), String> {
    let mut columns = Vec::new();
    for pattern in &settings.covariates {
        columns.extend(of_column(table, raw, settings, "covariates", pattern)?);
    }
    for pattern in &settings.rivals {
        for mut column in of_column(table, raw, settings, "rivals", pattern)? {
            if let Some(price) = column.numbers.iter().flatten().find(|price| **price <= 0.0) {
                return Err(format!("[fit] rivals: `{pattern}` holds {price}, which is no price above 0"));
            }
            column.numbers.iter_mut().flatten().for_each(|price| *price = price.ln());
            column.name = format!("ln {}", column.name);
            columns.push(column);
        }
    }
    for name in &settings.holidays {
        columns.push(Column { name: name.clone(), numbers: holiday(table, name)? });
    }
    if let Some(twice) =
        columns.iter().enumerate().find(|(i, c)| columns[..*i].iter().any(|other| other.name == c.name))
    {
        return Err(format!("[fit] `{}` is named twice among covariates, rivals and holidays", twice.1.name));
    }
    let mut instruments = Vec::new();
    for pattern in &settings.instruments {
        instruments.extend(of_column(table, raw, settings, "instruments", pattern)?);
    }
    let (rows, n) = (table.weeks.len(), table.sales.names.len());
    let each = |columns: &[Column]| -> Vec<Vec<Vec<f64>>> {
        let of = |row: usize, k: usize| columns.iter().map(|column| column.numbers[row][k]).collect();
        let rows = if columns.is_empty() { 0 } else { rows };
        (0..rows).map(|row| (0..n).map(|k| of(row, k)).collect()).collect()
    };
    (table.sales.covariates, table.sales.instruments) = (each(&columns), each(&instruments));
    table.sales.covariate_names = columns.into_iter().map(|column| column.name).collect();
    if let Some(memory) = settings.reference_memory {
        if !table.sales.shops.is_empty() {
            return Err("[fit] reference_memory needs the weeks of one shop: name it with `shops`".into());
        }
        table.sales.reference_prices = reference_prices(table, memory);
    }
    Ok(())
}

/// What customers were used to in each week: the first week's price, and then so much of it stays and the rest is the price
/// they saw.
fn reference_prices(table: &SalesTable, memory: f64) -> Vec<Vec<f64>> {
    let (sales, n) = (&table.sales, table.sales.names.len());
    let first = |k: usize| (0..sales.prices.len()).find(|t| sales.present(*t, k)).map_or(0.0, |t| sales.prices[t][k]);
    let mut usual: Vec<f64> = (0..n).map(first).collect();
    let week = |t: usize| {
        let before = usual.clone();
        for k in (0..n).filter(|k| sales.present(t, *k)) {
            usual[k] = memory * usual[k] + (1.0 - memory) * sales.prices[t][k];
        }
        before
    };
    (0..sales.prices.len()).map(week).collect()
}

/// The columns that a pattern names, with `{}` for the product, as numbers of each row and product; of words one for each.
fn of_column(
    table: &SalesTable,
    raw: &Raw,
    settings: &FitSettings,
    key: &str,
    pattern: &str,
) -> Result<Vec<Column>, String> {
    let each = pattern.contains("{}");
    let places: Vec<usize> = match each {
        true => table.products.iter().map(|p| find(raw, key, &pattern.replace("{}", p))).collect::<Result<_, _>>()?,
        false => vec![find(raw, key, pattern)?],
    };
    let name =
        pattern.replace("{}", " ").split(['_', ' ']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let name = if each { name } else { pattern.to_owned() };
    let place = |k: usize| places[if each { k } else { 0 }];
    let cells = || places.iter().flat_map(|c| (0..raw.rows()).map(|row| raw.cell(row, *c))).filter(|c| !is_missing(c));
    let written = Numbers::new(raw, &places, settings.decimal)?;
    let numeric = places.iter().flat_map(|c| (0..raw.rows()).map(move |row| (row, *c)));
    let numeric = numeric.filter(|(row, c)| matches!(written.read(*row, *c), Ok(Some(_)))).count();
    if key == "covariates" && 2 * numeric < cells().count() {
        let mut words: Vec<&str> = cells().filter(|cell| !is_no(cell)).collect();
        words.sort_unstable();
        words.dedup();
        if words.len() > MOST_WORDS {
            let message = format!("`{pattern}` holds {} words, such as `{}`", words.len(), words[0]);
            return Err(format!("[fit] {key}: {message}: {MOST_WORDS} at most become covariates"));
        }
        let only = words.len() == 1 || words.iter().all(|word| is_yes(word));
        let of = |word: &str| {
            let says = |row: usize, k: usize| Some(f64::from(u8::from(raw.cell(row, place(k)) == word)));
            let name = if only { name.clone() } else { format!("{name} {word}") };
            Column { name, numbers: numbers(table, each, &says) }
        };
        if only {
            let says = |row: usize, k: usize| Some(f64::from(u8::from(words.contains(&raw.cell(row, place(k))))));
            return Ok(vec![Column { name: name.clone(), numbers: numbers(table, each, &says) }]);
        }
        return Ok(words.into_iter().map(of).collect());
    }
    for (row, c) in places.iter().flat_map(|c| (0..raw.rows()).map(move |row| (row, *c))) {
        written.read(row, c).map_err(|why| format!("[fit] {key}: {why}"))?;
    }
    let read = |row: usize, k: usize| written.read(row, place(k)).unwrap_or_default();
    Ok(vec![Column { name, numbers: numbers(table, each, &read) }])
}

fn is_no(cell: &str) -> bool {
    let small = cell.trim().to_lowercase();
    yes_or_no(&small) == Some(false) || ["no", "n", "none", "-", "–", "0", "nein", "non"].contains(&small.as_str())
}

fn is_yes(cell: &str) -> bool {
    let small = cell.trim().to_lowercase();
    yes_or_no(&small) == Some(true) || ["yes", "y", "x", "1", "ja", "oui", "si", "sí"].contains(&small.as_str())
}

/// Means over the file's rows of each observation. A product that has none in a week gets what all others of that week have,
/// if they have the same.
fn numbers(table: &SalesTable, each: bool, read: &dyn Fn(usize, usize) -> Option<f64>) -> Vec<Vec<f64>> {
    let n = table.sales.names.len();
    let mean = |rows: &[usize], k: usize| {
        let known: Vec<f64> = rows.iter().filter_map(|row| read(*row, k)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let of_row = |own: &Vec<Vec<usize>>| -> Vec<Option<f64>> {
        let all: Vec<usize> = own.iter().flatten().copied().collect();
        let same = |k: usize| {
            let known: Vec<f64> = all.iter().filter_map(|row| read(*row, k)).collect();
            known.first().copied().filter(|first| known.iter().all(|x| x == first))
        };
        (0..n).map(|k| mean(&own[k], k).or_else(|| same(k))).collect()
    };
    let found: Vec<Vec<Option<f64>>> = table.rows.iter().map(of_row).collect();
    let known = |k: Option<usize>| {
        let of = move |row: &Vec<Option<f64>>| k.map_or_else(|| row.clone(), |k| vec![row[k]]);
        found.iter().flat_map(of).flatten().collect::<Vec<f64>>()
    };
    let standing = |k: usize| {
        let known = known(each.then_some(k));
        let flag = known.iter().all(|x| *x == 0.0 || *x == 1.0);
        if flag { 0.0 } else { known.iter().sum::<f64>() / known.len() as f64 }
    };
    let standing: Vec<f64> = (0..n).map(standing).collect();
    found.iter().map(|row| row.iter().zip(&standing).map(|(x, standing)| x.unwrap_or(*standing)).collect()).collect()
}

/// Days of every year that shops feel, by the names that settings call them.
const HOLIDAYS: [(&str, fn(i64) -> Option<i64>); 12] = [
    ("new-year", |year| date(year, 1, 1)),
    ("valentine", |year| date(year, 2, 14)),
    ("easter", easter),
    ("mothers-day", |year| weekday(year, 5, 6, 2)),
    ("memorial-day", |year| Some(weekday(year, 6, 0, 1)? - 7)),
    ("pentecost", |year| Some(easter(year)? + 49)),
    ("independence-day", |year| date(year, 7, 4)),
    ("labor-day", |year| weekday(year, 9, 0, 1)),
    ("halloween", |year| date(year, 10, 31)),
    ("thanksgiving", |year| weekday(year, 11, 3, 4)),
    ("christmas", |year| date(year, 12, 25)),
    ("new-years-eve", |year| date(year, 12, 31)),
];

fn date(year: i64, month: u32, of_month: u32) -> Option<i64> {
    day(&format!("{year:04}-{month:02}-{of_month:02}"))
}

/// The nth such day of the week (0: Monday) of a month.
fn weekday(year: i64, month: u32, wanted: i64, nth: i64) -> Option<i64> {
    let first = date(year, month, 1)?;
    Some(first + (wanted - (first - MONDAY)).rem_euclid(7) + 7 * (nth - 1))
}

/// Easter Sunday of the western churches (Meeus, Jones and Butcher).
fn easter(year: i64) -> Option<i64> {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let h = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    let l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    date(year, (n / 31) as u32, (n % 31 + 1) as u32)
}

/// 1 in the weeks (Monday to Sunday) that hold a holiday, `-1` or `+1` after its name: in those before or after them.
fn holiday(table: &SalesTable, wanted: &str) -> Result<Vec<Vec<f64>>, String> {
    let (name, shift) = match wanted.rfind(['-', '+']).map(|at| (&wanted[..at], wanted[at..].parse::<i64>())) {
        Some((name, Ok(shift))) => (name, shift),
        _ => (wanted, 0),
    };
    let known = HOLIDAYS.iter().map(|(name, _)| *name);
    let Some((_, of_year)) = HOLIDAYS.iter().find(|(known, _)| *known == name) else {
        let (near, all) = (hint(&nearest(name, known.clone())), known.collect::<Vec<_>>().join(", "));
        return Err(format!(
            "[fit] holidays: `{wanted}` is none that is known{near}. They are {all}, with -1 or +1 for the week before or \
             after; name a column of your own holidays under `covariates`"
        ));
    };
    let Some(first) = table.first_week else {
        return Err("[fit] holidays need weeks that are dates: name a column of holidays under `covariates`".into());
    };
    let week_of = |day: i64| (day - MONDAY).div_euclid(7);
    let weeks: HashSet<i64> = (1900..2101).filter_map(*of_year).map(|day| week_of(day) + shift).collect();
    let n = table.sales.names.len();
    let of = |week: &u32| vec![f64::from(u8::from(weeks.contains(&(first + i64::from(*week))))); n];
    Ok(table.weeks.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sales::{Rows, of};

    fn raw(text: &str) -> Raw {
        let mut lines = text.lines();
        let mut raw = Raw::new(lines.next().unwrap().split(',').map(String::from).collect(), false);
        lines.zip(2..).for_each(|(line, at)| raw.push(at, line.split(',')));
        raw
    }

    fn list(all: &[&str]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    /// A column a product, one for all, words, blanks, a rival, holidays, and the price that customers are used to; a week that
    /// is left out shifts none of them.
    #[test]
    fn a_wide_table_has_what_its_columns_say() {
        let raw = raw("week,units_a,price_a,deal_a,units_b,price_b,deal_b,feast,sun,rival,customers\n\
                       2025-04-07,10,2.0,yes,8,3.0,no,,5,2.5,100\n\
                       2025-04-14,11,2.2,no,8,3.0,no,Easter,,2.5,100\n\
                       2025-04-21,12,99,no,8,3.0,no,,7,2.0,5\n\
                       2025-04-28,13,1.8,,9,2.6,yes,May,9,2.0,100\n");
        let settings = FitSettings {
            cost: String::new(),
            display: String::new(),
            covariates: list(&["deal_{}", "feast", "sun"]),
            holidays: list(&["easter", "easter-1"]),
            rivals: list(&["rival"]),
            reference_memory: Some(0.5),
            ..FitSettings::default()
        };
        let table = of(&raw, &settings).unwrap();
        let s = &table.sales;
        assert_eq!(s.covariate_names, ["deal", "feast Easter", "feast May", "sun", "ln rival", "easter", "easter-1"]);
        let (two_fifty, two) = (2.5f64.ln(), 2f64.ln());
        assert_eq!(s.covariates[0][0], [1.0, 0.0, 0.0, 5.0, two_fifty, 0.0, 1.0]);
        assert_eq!(s.covariates[0][1], [0.0, 0.0, 0.0, 5.0, two_fifty, 0.0, 1.0]);
        assert_eq!(s.covariates[1][1], [0.0, 1.0, 0.0, 7.0, two_fifty, 1.0, 0.0], "the sun is the mean of those told");
        assert_eq!(s.covariates[2], [[0.0, 0.0, 1.0, 9.0, two, 0.0, 0.0], [1.0, 0.0, 1.0, 9.0, two, 0.0, 0.0]]);
        assert_eq!(s.reference_prices, [[2.0, 3.0], [2.0, 3.0], [2.1, 3.0]]);
    }

    /// Sales of a week are added up, and their promotion is the mean; who sold nothing has what is the same for all.
    #[test]
    fn a_long_table_has_the_means_of_its_rows() {
        let raw = raw("at,name,sold,price,coupon,feast\n\
                       2025-12-22,x,3,2.0,1,1\n2025-12-23,x,3,2.0,0,1\n2025-12-28,x,3,2.0,0,1\n2025-12-23,y,2,3.0,0,1\n\
                       2025-12-29,y,2,3.1,1,0\n2026-01-04,y,2,3.1,1,0\n\
                       2026-01-05,x,2,2.4,0,0\n2026-01-11,y,2,3.0,0,0\n");
        let settings = FitSettings {
            week: "at".into(),
            product: "name".into(),
            units: "sold".into(),
            price: "price".into(),
            cost: String::new(),
            display: String::new(),
            customers: String::new(),
            rows: Rows::Sales,
            covariates: list(&["coupon", "feast"]),
            holidays: list(&["christmas"]),
            instruments: list(&["coupon"]),
            ..FitSettings::default()
        };
        let table = of(&raw, &settings).unwrap();
        assert_eq!(table.sales.covariates[0], [[1.0 / 3.0, 1.0, 1.0], [0.0, 1.0, 1.0]]);
        assert_eq!(table.sales.covariates[1], [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]);
        assert_eq!(table.sales.instruments[0], [[1.0 / 3.0], [0.0]]);
        let twice = FitSettings { covariates: list(&["feast", "feast"]), ..settings };
        assert!(of(&raw, &twice).unwrap_err().contains("named twice"));
    }

    /// By calendars that were printed.
    #[test]
    fn holidays_are_on_their_days() {
        for (name, wanted) in [
            ("easter", "1990-04-15"),
            ("easter", "2000-04-23"),
            ("easter", "2008-03-23"),
            ("easter", "2025-04-20"),
            ("easter", "2038-04-25"),
            ("thanksgiving", "1990-11-22"),
            ("thanksgiving", "2024-11-28"),
            ("memorial-day", "2021-05-31"),
            ("memorial-day", "2026-05-25"),
            ("labor-day", "2025-09-01"),
            ("labor-day", "2024-09-02"),
            ("mothers-day", "2022-05-08"),
            ("pentecost", "2025-06-08"),
        ] {
            let of = HOLIDAYS.iter().find(|(known, _)| *known == name).unwrap().1;
            assert_eq!(of(wanted[..4].parse().unwrap()), day(wanted), "{name} {wanted}");
        }
    }
}
