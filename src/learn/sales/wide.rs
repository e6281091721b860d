//! Tables with a row a week and columns for each product.

use super::calendar::{Dates, Weeks, is_total, spacing};
use super::columns::Columns;
use super::dialect::Numbers;
use super::order::{self, Row};
use super::week::Week;
use super::{FitSettings, SalesTable, clean, given_cost, median, names};
use agon_agents::data::Raw;
use agon_agents::data::cells::is_missing;
use std::collections::HashSet;

/// Reads and cleans such a table.
pub fn read(raw: &Raw, settings: &FitSettings) -> Result<SalesTable, String> {
    let columns = Columns::find(&raw.names, settings)?;
    let names = names(settings, &columns.products)?;
    let all = [&columns.units, &columns.prices, &columns.costs, &columns.displays].into_iter().flatten();
    let used: Vec<usize> = all.copied().chain(columns.customers).collect();
    let numbers = Numbers::new(raw, &used, settings.decimal)?;
    let (mut totals, mut without) = (0, Vec::new());
    let mut rows: Vec<usize> = Vec::new();
    for row in 0..raw.rows() {
        let cell = columns.week.map_or("", |week| raw.cell(row, week));
        match columns.week {
            Some(_) if is_total(cell) => totals += 1,
            Some(_) if is_missing(cell) => without.push(format!("line {}: it names no week", raw.lines[row])),
            _ => rows.push(row),
        }
    }
    let column = columns.week.map_or("week", |week| raw.names[week].as_str());
    let cells: Vec<(&str, u64)> =
        rows.iter().map(|row| (columns.week.map_or("", |week| raw.cell(*row, week)), raw.lines[*row])).collect();
    let mut moments = match settings.dates {
        Dates::Rows => {
            Weeks { numbers: (1..=rows.len() as i64).map(Some).collect(), dates: false, weekdays: Vec::new() }
        }
        dates => Weeks::read(&cells, column, dates)?,
    };
    let number = |row: usize, at: usize| -> Result<f64, String> {
        let Some(x) = numbers.read(row, at)? else { return Ok(f64::NAN) };
        if x < 0.0 && !columns.units.contains(&at) {
            let place = format!("line {}, column `{}`", raw.lines[row], raw.names[at]);
            return Err(format!("{place}: {} cannot be; numbers here are 0 or more", raw.cell(row, at)));
        }
        Ok(x)
    };
    let n = names.len();
    let mut weeks = Vec::new();
    for row in rows {
        let all = |columns: &[usize]| columns.iter().map(|&c| number(row, c)).collect::<Result<Vec<f64>, String>>();
        let line = raw.lines[row];
        let mut week = Week {
            line,
            row,
            label: columns.week.map_or(format!("{}", weeks.len() + 1), |week| raw.cell(row, week).to_owned()),
            week: 0,
            customers: columns.customers.map_or(Ok(f64::NAN), |c| number(row, c))?,
            units: all(&columns.units)?,
            prices: all(&columns.prices)?,
            costs: if columns.costs.is_empty() { vec![f64::NAN; n] } else { all(&columns.costs)? },
            displays: if columns.displays.is_empty() { vec![0.0; n] } else { all(&columns.displays)? },
            absent: vec![""; n],
            rest: columns.rest.iter().map(|c| raw.cell(row, *c).to_owned()).collect(),
        };
        for k in 0..n {
            week.absent[k] = match (week.prices[k], week.units[k]) {
                (price, _) if price.is_nan() => "without a price",
                (_, units) if units.is_nan() => "without units",
                (_, units) if units < 0.0 => "with negative units (returns)",
                _ => "",
            };
            if week.displays[k].is_nan() {
                week.displays[k] = 0.0;
            }
        }
        weeks.push(week);
    }
    if weeks.is_empty() {
        return Err("none of its rows names a week".into());
    }
    let with_numbers = |weeks: &mut Vec<Week>, moments: &Weeks| {
        weeks.iter_mut().zip(&moments.numbers).for_each(|(week, n)| week.week = n.unwrap_or(0));
    };
    let years = moments.of_years(column)?;
    with_numbers(&mut weeks, &moments);
    let numbers: Vec<(&str, i64)> = weeks.iter().map(|w| (w.label.as_str(), w.week)).collect();
    spacing(&numbers, moments.dates).map_err(|why| format!("column `{column}`: {why}"))?;
    let mut remarks = fill_in(&mut weeks, &names, settings, &columns);
    let newest_first = order::newest_first(&weeks.iter().map(|w| w.week).collect::<Vec<_>>());
    if newest_first {
        weeks.reverse();
    }
    let swapped = order::swap_neighbours(&mut weeks);
    let apart = (0..columns.rest.len()).find(|c| tells_apart(&weeks, *c)).map(|c| raw.names[columns.rest[c]].as_str());
    let check = |weeks: &[Week]| {
        let rows: Vec<Row> = weeks.iter().map(|w| Row { line: w.line, label: &w.label, week: w.week }).collect();
        order::check(&rows, apart)
    };
    if let Err(why) = check(&weeks) {
        // Dates are an order in themselves, whatever the rows' is.
        let distinct: HashSet<i64> = weeks.iter().map(|w| w.week).collect();
        if !moments.dates || distinct.len() < weeks.len() {
            return Err(why);
        }
        weeks.sort_by_key(|w| w.week);
        remarks.push("its rows were in no order of time: they were sorted by date".into());
    }
    let mut table = clean::clean(weeks, years || moments.dates, names, settings)?;
    table.products = columns.products;
    table.remarks.extend(swapped);
    table.remarks.extend(remarks);
    if totals > 0 {
        table.remarks.push(format!("{totals} rows of totals were left out"));
    }
    table.left_out.splice(..0, without);
    table.summary = format!("{} weeks kept, {} left out", table.weeks.len(), table.left_out.len());
    if newest_first {
        table.remarks.insert(0, "the newest week comes first: its rows were turned round".into());
    }
    Ok(table)
}

/// Costs and customers that are in no column, and costs that are missing from theirs.
fn fill_in(weeks: &mut [Week], names: &[String], settings: &FitSettings, columns: &Columns) -> Vec<String> {
    let mut remarks = Vec::new();
    for (k, name) in names.iter().enumerate() {
        let known = median(weeks.iter().map(|w| w.costs[k]));
        let given = given_cost(settings, k, median(weeks.iter().map(|w| w.prices[k])));
        let cost = if columns.costs.is_empty() || known == 0.0 { given } else { known };
        let lost = weeks.iter_mut().filter(|w| w.costs[k].is_nan());
        let count = lost.map(|w| w.costs[k] = cost).count();
        if count > 0 && !columns.costs.is_empty() {
            remarks
                .push(format!("{count} costs of {name} are missing: its median {} stands for them", super::show(cost)));
        }
    }
    if columns.customers.is_none() {
        let sold = |w: &Week| w.units.iter().filter(|u| **u > 0.0).sum::<f64>();
        let peak = weeks.iter().map(sold).fold(0.0, f64::max);
        weeks.iter_mut().for_each(|w| w.customers = (settings.market_size * peak).max(1.0));
    }
    remarks
}

/// Whether a column has the same few words in many rows, and never the same one twice in a week.
fn tells_apart(weeks: &[Week], column: usize) -> bool {
    let words: HashSet<&str> = weeks.iter().map(|w| w.rest[column].as_str()).collect();
    let both: HashSet<(&str, i64)> = weeks.iter().map(|w| (w.rest[column].as_str(), w.week)).collect();
    words.len() > 1 && 2 * words.len() <= weeks.len() && both.len() == weeks.len()
}
