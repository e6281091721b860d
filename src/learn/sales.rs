//! Users' sales tables: a CSV file and a mapping of its columns.
//!
//! What cannot be read is an error with line and column. What can be read but cannot be true leaves its week out, and
//! every such week is reported.

use agon::{Failure, Outcome};
use agon_agents::demand::{Method, PriceEffect, Sales};
use columns::{Columns, twice};
use order::Row;
use std::collections::HashSet;
use std::path::Path;

mod columns;
mod order;
#[cfg(test)]
mod tests;

agon_core::choices! {
    /// The form of demand.
    pub enum Shape { Logit = "logit", LogLog = "log-log" }
}

agon_core::settings! {
    /// Where sales are and how demand is estimated from them. `{}` in a column's name stands for the product.
    pub struct FitSettings {
        /// The CSV file, beside the scenario.
        data: String = String::new();
        /// The products, which replace `{}`; found from the header if left out.
        products: Vec<String> = Vec::new();
        /// Display names of the products; as `products` if left out.
        names: Vec<String> = Vec::new();
        /// Column of the week: integers or dates, one row per week.
        week: String = "week".into();
        /// Column of the potential customers of the week.
        customers: String = "customers".into();
        /// Columns of the units sold.
        units: String = "units_{}".into();
        /// Columns of the shelf prices.
        price: String = "price_{}".into();
        /// Columns of the unit costs.
        cost: String = "wholesale_{}".into();
        /// Columns of the displays, 0 to 1; empty if there are none.
        display: String = "display_{}".into();
        /// The form of demand: logit, or log-log with cross effects; if left out, as it forecasts best, or logit where `method`
        /// or `price_effect` is given.
        form: Option<Shape> = None;
        /// Whether demand has a trend and a yearly season; if left out, as it forecasts best, or not where `method` or
        /// `price_effect` is given.
        calendar: Option<bool> = None;
        /// How a logit is estimated; if left out, as it forecasts best (maximum-likelihood where nothing can be compared).
        method: Option<Method> = None;
        /// Whether all products share one price effect; if left out, by-product, or as it forecasts best if `method` is
        /// left out too.
        price_effect: Option<PriceEffect> = None;
        /// A price or cost more than this many times off its product's median counts as a recording error.
        outlier_factor: f64 = 3.0, in [1.0, 1e9];
    }
}

/// A table that was read and cleaned.
#[derive(Debug)]
pub struct SalesTable {
    /// What demand is estimated from.
    pub sales: Sales,
    /// What stands for `{}` in columns' names, a product each.
    pub products: Vec<String>,
    /// Unit costs, `[weeks][products]`.
    pub costs: Vec<Vec<f64>>,
    /// The weeks that were kept, counted from week 1, or from the file's first date: what seasons follow.
    pub weeks: Vec<u32>,
    /// What was left out and why.
    pub left_out: Vec<String>,
    /// What looks odd but was kept.
    pub remarks: Vec<String>,
}

/// One week before cleaning.
struct Week {
    line: u64,
    label: String,
    /// Its number, or the number of weeks before its date.
    week: i64,
    customers: f64,
    units: Vec<f64>,
    prices: Vec<f64>,
    costs: Vec<f64>,
    displays: Vec<f64>,
    /// Of the columns that are nothing of these.
    rest: Vec<String>,
}

impl Week {
    fn place(&self) -> String {
        format!("line {}, week {}", self.line, self.label)
    }
}

/// Reads and cleans a table.
pub fn read(path: &Path, settings: &FitSettings) -> Outcome<SalesTable> {
    let wrong = |why: String| Failure::Input(format!("{}: {why}", path.display()));
    let text = agon::text::read(path)?;
    if text.trim().is_empty() {
        return Err(wrong("the file is empty".into()));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().map_err(|e| wrong(e.to_string()))?.iter().map(String::from).collect();
    if let [one] = &header[..]
        && let Some(mark) = one.chars().find(|c| [';', '\t', '|'].contains(c))
    {
        return Err(wrong(format!("line 1: its fields seem to be parted by {mark:?}; save it with commas")));
    }
    let columns = Columns::find(&header, settings).map_err(wrong)?;
    let names = if settings.names.is_empty() { columns.products.clone() } else { settings.names.clone() };
    if names.len() != columns.units.len() {
        return Err(wrong(format!("[fit] names has {} entries for {} products", names.len(), columns.units.len())));
    }
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err(wrong("[fit] names holds an empty name; each product needs a name of its own".into()));
    }
    if let Some(name) = twice(&names.iter().map(|name| name.trim().to_owned()).collect::<Vec<_>>()) {
        return Err(wrong(format!("[fit] names holds `{name}` twice; each product needs a name of its own")));
    }

    let (mut weeks, mut dates) = (Vec::new(), None);
    for record in reader.records() {
        let record = record.map_err(|e| wrong(e.to_string()))?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        let week = record.get(columns.week).unwrap_or_default();
        // The first week says what all are.
        let dates = *dates.get_or_insert_with(|| day(week).is_some());
        let place = |at: usize| format!("line {line}, column `{}`", header[at]);
        let number = |at: usize| -> Outcome<f64> {
            let cell = record.get(at).unwrap_or_default();
            let number: f64 = cell.parse().map_err(|_| {
                wrong(format!("{}: `{cell}` is not a number; correct it or leave the line out", place(at)))
            })?;
            if !number.is_finite() || number < 0.0 {
                return Err(wrong(format!("{}: {cell} cannot be; numbers here are 0 or more", place(at))));
            }
            Ok(number)
        };
        let moment = || -> Outcome<i64> {
            if dates {
                let day =
                    day(week).ok_or_else(|| wrong(format!("line {line}: `{week}` is no date as those before it")))?;
                return Ok((day - MONDAY).div_euclid(7));
            }
            let how = "number the weeks 1, 2, 3, or write dates such as 2026-03-02";
            if week.parse::<f64>().is_err() {
                return Err(wrong(format!("{}: `{week}` is not a number; {how}", place(columns.week))));
            }
            let number = number(columns.week)?;
            if number.fract() != 0.0 || number > LAST_WEEK {
                return Err(wrong(format!("{}: {week} is no number of a week; {how}", place(columns.week))));
            }
            Ok(number as i64)
        };
        let all = |columns: &[usize]| columns.iter().map(|&c| number(c)).collect::<Outcome<Vec<f64>>>();
        let displays = &columns.displays;
        weeks.push(Week {
            line,
            label: week.to_owned(),
            week: moment()?,
            customers: number(columns.customers)?,
            units: all(&columns.units)?,
            prices: all(&columns.prices)?,
            costs: all(&columns.costs)?,
            displays: if displays.is_empty() { vec![0.0; names.len()] } else { all(displays)? },
            rest: columns.rest.iter().map(|c| record.get(*c).unwrap_or_default().to_owned()).collect(),
        });
    }
    if weeks.is_empty() {
        return Err(wrong("it has a header but no rows".into()));
    }
    // What most weeks look like they are: one that is mistyped stays the number it is, and is out of order.
    let in_years = weeks.iter().filter_map(|w| week_of_year(w.week)).count();
    let years = dates == Some(false) && in_years > 1 && 2 * in_years > weeks.len();
    let months = weeks.iter().all(|w| w.week % 100 <= 12);
    let (first, last) = (weeks.first().map(|w| w.week / 100), weeks.last().map(|w| w.week / 100));
    if years && months && first != last {
        let what = "numbers of weeks such as 202512 end in 12 at most: they may be months as well";
        return Err(wrong(format!(
            "column `{}`: {what}; write dates, or number the weeks 1, 2, 3",
            header[columns.week]
        )));
    }
    if years {
        weeks.iter_mut().for_each(|w| w.week = week_of_year(w.week).unwrap_or(w.week));
    }
    let numbers: Vec<i64> = weeks.iter().map(|w| w.week).collect();
    spacing(&weeks, dates == Some(true)).map_err(|why| wrong(format!("column `{}`: {why}", header[columns.week])))?;
    let newest_first = order::newest_first(&numbers);
    if newest_first {
        weeks.reverse();
    }
    let swapped = order::swap_neighbours(&mut weeks);
    let rows: Vec<Row> = weeks.iter().map(|w| Row { line: w.line, label: &w.label, week: w.week }).collect();
    let apart = (0..columns.rest.len()).find(|c| tells_apart(&weeks, *c)).map(|c| header[columns.rest[c]].as_str());
    order::check(&rows, apart).map_err(wrong)?;
    let mut table = clean(weeks, years || dates == Some(true), names, settings.outlier_factor).map_err(wrong)?;
    table.products = columns.products;
    table.remarks.extend(swapped);
    if newest_first {
        table.remarks.insert(0, "the newest week comes first: its rows were turned round".into());
    }
    Ok(table)
}

/// Refuses rows that are days or months apart by their numbers or dates.
fn spacing(weeks: &[Week], dates: bool) -> Result<(), String> {
    let steps = || weeks.windows(2).map(|pair| (pair[1].week - pair[0].week).abs());
    if weeks.len() < 4 {
        return Ok(());
    }
    if !dates && steps().all(|step| step > 0 && step % 7 == 0) {
        return Err("its numbers step by 7, as those of days do; write dates, or number the weeks 1, 2, 3".into());
    }
    let of_month = |week: &Week| week.label[week.label.len() - 2..].to_owned();
    let same_day = dates && weeks.iter().all(|week| of_month(week) == of_month(&weeks[0]));
    if same_day && steps().all(|step| (4..=5).contains(&step)) {
        return Err("its dates are a month apart; a row here is a week".into());
    }
    Ok(())
}

/// The latest number a week can have.
const LAST_WEEK: f64 = 1e9;

/// Whether a column has the same few words in many rows, and never the same one twice in a week.
fn tells_apart(weeks: &[Week], column: usize) -> bool {
    let words: HashSet<&str> = weeks.iter().map(|w| w.rest[column].as_str()).collect();
    let both: HashSet<(&str, i64)> = weeks.iter().map(|w| (w.rest[column].as_str(), w.week)).collect();
    words.len() > 1 && 2 * words.len() <= weeks.len() && both.len() == weeks.len()
}

/// A date such as 2026-03-02 as a number of days.
fn day(cell: &str) -> Option<i64> {
    // 20260302 is the same.
    let digits = cell.len() == 8 && cell.bytes().all(|b| b.is_ascii_digit()) && ("1900".."2101").contains(&&cell[..4]);
    let split = if digits { format!("{}-{}-{}", &cell[..4], &cell[4..6], &cell[6..]) } else { cell.to_owned() };
    let parts: Vec<i64> = split.split('-').map(|p| p.parse().ok()).collect::<Option<_>>()?;
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
    Some(days + (153 * month + 2) / 5 + day)
}

/// A week such as 202501, the first of 2025 by ISO 8601, as dates have it: weeks since the first Monday.
fn week_of_year(number: i64) -> Option<i64> {
    let (year, week) = (number / 100, number % 100);
    if !(1900..=2100).contains(&year) || !(1..=53).contains(&week) {
        return None;
    }
    // The fourth of January lies in the first week.
    let first = |year: i64| Some((day(&format!("{year}-01-04"))? - MONDAY).div_euclid(7));
    let (this, next) = (first(year)?, first(year + 1)?);
    (week <= next - this).then_some(this + week - 1) // most years have no week 53
}

/// A Monday, by [`day`]: weeks of dates begin on Mondays, as ISO 8601 has it.
const MONDAY: i64 = 6;

pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = numbers.collect();
    all.sort_by(f64::total_cmp);
    let n = all.len();
    if n == 0 { 0.0 } else { 0.5 * (all[(n - 1) / 2] + all[n / 2]) }
}

/// Leaves out what cannot be true: first weeks that contradict themselves, then the fewest whose number is out of order.
fn clean(weeks: Vec<Week>, dates: bool, names: Vec<String>, factor: f64) -> Result<SalesTable, String> {
    let n = names.len();
    let middle = |x: fn(&Week, usize) -> f64, k: usize| median(weeks.iter().map(|w| x(w, k)));
    let crowd = middle(|w, _| w.customers, 0);
    let medians: Vec<[f64; 2]> =
        (0..n).map(|k| [middle(|w, k| w.prices[k], k), middle(|w, k| w.costs[k], k)]).collect();
    for (k, name) in names.iter().enumerate() {
        let above = weeks.iter().filter(|w| w.displays[k] > 1.0).count();
        if above * 5 > weeks.len() {
            let (all, ask) = (weeks.len(), "are they in per cent? A display is a share from 0 to 1");
            return Err(format!("in {above} of {all} weeks the display of {name} is above 1: {ask}"));
        }
    }
    let mut why: Vec<Vec<String>> = weeks.iter().map(|w| untrue(w, &names, crowd, &medians, factor)).collect();
    let numbers: Vec<i64> = weeks.iter().map(|w| w.week).collect();
    let sound: Vec<usize> = (0..weeks.len()).filter(|i| why[*i].is_empty()).collect();
    let run = order::rising(&sound.iter().map(|i| numbers[*i]).collect::<Vec<_>>());
    let kept: Vec<usize> = run.into_iter().map(|i| sound[i]).collect();
    for i in sound.into_iter().filter(|i| kept.binary_search(i).is_err()) {
        let twin = kept.iter().find(|k| numbers[**k] == numbers[i]);
        why[i].push(match twin {
            Some(twin) => format!("line {} is of the same week", weeks[*twin].line),
            None => "it is out of order with the weeks around it".into(),
        });
    }
    // What is left out at the beginning shifts no season: numbers count from week 1, or 0 if they begin there, dates from the first.
    let begins = [order::rising(&numbers).first(), kept.first()].into_iter().flatten().map(|i| numbers[*i]).min();
    let first = begins.map_or(0, |begins| if dates { begins } else { i64::from(begins > 0) });
    let (total, lost) = (weeks.len(), weeks.len() - kept.len());
    let mut left_out: Vec<(u64, String)> = weeks
        .iter()
        .zip(&why)
        .filter(|(_, why)| !why.is_empty())
        .map(|(w, why)| (w.line, format!("{}: {}", w.place(), why.join("; "))))
        .collect();
    left_out.sort_by_key(|(line, _)| *line);
    let left_out: Vec<String> = left_out.into_iter().map(|(_, text)| text).collect();
    let example = left_out.first().map_or(String::new(), |w| format!(", such as {w}"));
    if kept.is_empty() {
        return Err(format!("none of its {total} weeks can be true{example}"));
    }
    if lost > kept.len() {
        let ask = "is a column mapped to the wrong thing?";
        return Err(format!("{lost} of its {total} weeks cannot be true{example}: {ask}"));
    }
    let mut remarks = Vec::new();
    let gap = |pair: &&[usize]| numbers[pair[1]] > numbers[pair[0]] + 1;
    if let Some(pair) = kept.windows(2).find(gap) {
        let missing = kept.windows(2).map(|p| numbers[p[1]] - numbers[p[0]] - 1).sum::<i64>();
        let [a, b] = [pair[0], pair[1]].map(|i| &weeks[i].label);
        let count = if missing == 1 { "1 week is missing".into() } else { format!("{missing} weeks are missing") };
        remarks.push(format!("{count} between those kept, first between {a} and {b}"));
    }
    let mut table = SalesTable {
        sales: Sales { names, ..Sales::default() },
        products: Vec::new(),
        costs: Vec::new(),
        weeks: kept.iter().map(|i| u32::try_from(numbers[*i] - first).unwrap_or(0)).collect(),
        left_out,
        remarks,
    };
    let (mut losses, mut first_loss) = (0, String::new());
    for (_, week) in weeks.into_iter().enumerate().filter(|(i, _)| kept.binary_search(i).is_ok()) {
        let below = (0..n).filter(|&k| week.prices[k] < week.costs[k]).count();
        if losses == 0 && below > 0 {
            first_loss = week.place();
        }
        losses += below;
        table.sales.labels.push(week.place());
        table.costs.push(week.costs);
        table.sales.customers.push(week.customers);
        table.sales.units.push(week.units);
        table.sales.prices.push(week.prices);
        table.sales.displays.push(week.displays);
    }
    if losses > 0 {
        table
            .remarks
            .push(format!("{losses} prices are below cost (loss leaders), first in {first_loss}; they are kept"));
    }
    Ok(table)
}

/// Why a week cannot be true, whatever the others are.
fn untrue(w: &Week, names: &[String], crowd: f64, medians: &[[f64; 2]], factor: f64) -> Vec<String> {
    let mut why = Vec::new();
    let sold: f64 = w.units.iter().sum();
    if sold >= w.customers {
        why.push(format!("{} units were sold to {} customers", show(sold), show(w.customers)));
    } else if !(1.0..=MOST_CUSTOMERS.min(CROWDED * crowd)).contains(&w.customers) {
        why.push(format!("{} customers came, the median is {}", show(w.customers), show(crowd)));
    }
    for (k, name) in names.iter().enumerate() {
        for (what, x, median) in [("price", w.prices[k], medians[k][0]), ("cost", w.costs[k], medians[k][1])] {
            if x <= 0.0 {
                why.push(format!("the {what} of {name} is {x}"));
            } else if x > median * factor || x < median / factor {
                why.push(format!("the {what} of {name} is {}, its median {}", show(x), show(median)));
            }
        }
        if w.displays[k] > 1.0 {
            why.push(format!("the display of {name} is {}, above 1", show(w.displays[k])));
        }
    }
    why
}

/// More customers than so many times their median are a recording error.
const CROWDED: f64 = 100.0;
/// The most customers that a market can have in a week.
const MOST_CUSTOMERS: f64 = 1e12;

/// A number of a table, short whatever it is.
fn show(x: f64) -> String {
    if x != 0.0 && !(1e-4..1e15).contains(&x.abs()) { format!("{x:e}") } else { format!("{}", (x * 1e4).round() / 1e4) }
}
