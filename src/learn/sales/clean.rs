//! Leaves out of a table of weeks what cannot be true.

use super::week::Week;
use super::{FitSettings, SalesTable, median, order, show};
use agon_agents::demand::Sales;

/// Leaves out what cannot be true: first weeks that contradict themselves, then the fewest whose number is out of order.
pub fn clean(weeks: Vec<Week>, dates: bool, names: Vec<String>, settings: &FitSettings) -> Result<SalesTable, String> {
    let (n, factor, costs) = (names.len(), settings.outlier_factor, below(settings));
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
        let free = (0..n).find(|k| medians[*k][1] == 0.0).map_or(String::new(), |k| {
            let how = "give it a small cost, such as a hundredth of its price, or leave it out with `products`";
            format!("; {} costs nothing in most weeks: {how}", names[k])
        });
        return Err(format!("none of its {total} weeks can be true{example}{free}"));
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
        rows: Vec::new(),
        first_week: dates.then_some(first),
        costs: Vec::new(),
        weeks: kept.iter().map(|i| u32::try_from(numbers[*i] - first).unwrap_or(0)).collect(),
        left_out,
        remarks,
        summary: String::new(),
    };
    let lacking: Vec<(usize, usize)> = kept
        .iter()
        .enumerate()
        .flat_map(|(row, i)| (0..n).filter(|k| !weeks[*i].absent[*k].is_empty()).map(move |k| (row, k)))
        .collect();
    table.remarks.extend(lacking_lines(&kept.iter().map(|i| &weeks[*i]).collect::<Vec<_>>(), &table.sales.names));
    let (mut losses, mut first_loss) = (0, String::new());
    for (_, week) in weeks.into_iter().enumerate().filter(|(i, _)| kept.binary_search(i).is_ok()) {
        let below = (0..n).filter(|&k| week.prices[k] < week.costs[k]).count(); // of missing prices none
        if losses == 0 && below > 0 {
            first_loss = week.place();
        }
        losses += below;
        table.rows.push(vec![vec![week.row]; n]);
        table.sales.labels.push(week.place());
        table.costs.push(week.costs);
        table.sales.customers.push(week.customers);
        table.sales.units.push(week.units);
        table.sales.prices.push(week.prices);
        table.sales.displays.push(week.displays);
    }
    leave_out(&mut table.sales, &lacking);
    if losses > 0 {
        table.remarks.push(format!("{losses} prices are below {costs}, first in {first_loss}; they are kept"));
    }
    Ok(table)
}

/// What a price is below that is below its cost: of a cost that is guessed nothing follows.
pub fn below(settings: &FitSettings) -> &'static str {
    match settings.cost.is_empty() && settings.costs.is_empty() {
        true => "the cost that is guessed (cost_share)",
        false => "cost (loss leaders)",
    }
}

/// Why a week cannot be true, whatever the others are.
fn untrue(w: &Week, names: &[String], crowd: f64, medians: &[[f64; 2]], factor: f64) -> Vec<String> {
    let mut why = Vec::new();
    let sold: f64 = w.units.iter().filter(|u| **u > 0.0).sum();
    if sold >= w.customers {
        why.push(format!("{} units were sold to {} customers", show(sold), show(w.customers)));
    } else if !w.customers.is_nan() && !(1.0..=MOST_CUSTOMERS.min(CROWDED * crowd)).contains(&w.customers) {
        why.push(format!("{} customers came, the median is {}", show(w.customers), show(crowd)));
    }
    if w.customers.is_nan() {
        why.push("its customers are missing".into());
    }
    if w.absent.iter().all(|why| !why.is_empty()) {
        why.push("no product has a price and units".into());
    }
    for (k, name) in names.iter().enumerate().filter(|(k, _)| w.absent[*k].is_empty()) {
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

/// Which products' weeks are left out, and why, a line each reason.
fn lacking_lines(weeks: &[&Week], names: &[String]) -> Vec<String> {
    let mut reasons: Vec<(&str, usize, String)> = Vec::new();
    for week in weeks {
        for (k, why) in week.absent.iter().enumerate().filter(|(_, why)| !why.is_empty()) {
            match reasons.iter_mut().find(|(reason, ..)| reason == why) {
                Some((_, count, _)) => *count += 1,
                None => reasons.push((why, 1, format!("{} in {}", names[k], week.place()))),
            }
        }
    }
    let line = |(why, count, first): (&str, usize, String)| {
        format!("{count} product-weeks {why} are left out, first {first}: the other products' weeks stay")
    };
    reasons.into_iter().map(line).collect()
}

/// Marks cells, row and product, as absent: no estimate depends on them.
pub fn leave_out(sales: &mut Sales, cells: &[(usize, usize)]) {
    if cells.is_empty() {
        return;
    }
    let n = sales.names.len();
    sales.absent = vec![vec![false; n]; sales.customers.len()];
    cells.iter().for_each(|(row, k)| sales.absent[*row][*k] = true);
    for k in 0..n {
        let there = |row: &usize| !sales.absent[*row][k];
        let rows: Vec<usize> = (0..sales.customers.len()).filter(there).collect();
        let mean = rows.iter().map(|row| sales.prices[*row][k]).sum::<f64>() / rows.len().max(1) as f64;
        for row in (0..sales.customers.len()).filter(|row| sales.absent[*row][k]) {
            (sales.prices[row][k], sales.units[row][k], sales.displays[row][k]) = (mean, 0.0, 0.0);
        }
    }
}
