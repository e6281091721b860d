//! The rows of a table that have a target, and those that have none.

use super::cells::Reading;
use super::report::Report;
use super::{Kind, Raw, cells};
use crate::agent::AgentError;
use std::collections::HashMap;

/// The rows that have a target, and those that have none.
pub(super) fn by_label(
    raw: &Raw,
    target: usize,
    sure: Option<f64>,
    report: &mut Report,
) -> Result<(Raw, Raw), AgentError> {
    let name = &raw.names[target];
    let is_known = |row: &usize| !cells::is_missing(raw.cell(*row, target));
    let (known, unknown): (Vec<usize>, Vec<usize>) = (0..raw.rows()).partition(is_known);
    let lost = unknown.len();
    if known.is_empty() {
        return Err(AgentError::Data(format!("the target `{name}` is missing in all {lost} rows")));
    }
    if lost > 0 {
        let what = format!("the target is missing in {lost} of {} rows", raw.rows());
        let done = match sure {
            Some(sure) => {
                format!("kept for training alone: a first model labels those it is {:.0} % sure of", 100.0 * sure)
            }
            None => {
                "these rows are left out (`agon predict` predicts them; of classes data.pseudo_labels = 0.95 learns)"
                    .into()
            }
        };
        report.find(Some(name), what, done);
    } else if sure.is_some() {
        report.find(Some(name), "no row lacks the target", "data.pseudo_labels changes nothing");
    }
    Ok((raw.some(known), raw.some(unknown)))
}

/// Rows of a class that is to be learned, and in every part, at least.
const FEWEST: usize = 5;

/// A sample of a table without the rows of classes that it has too few rows of: there may be enough in the table, but the
/// sample cannot say so. `classes`: whether the target holds classes, where that is set.
pub(super) fn without_rare(
    raw: Raw,
    target: usize,
    classes: Option<bool>,
    reading: Reading,
    report: &mut Report,
) -> Raw {
    if !classes.unwrap_or_else(|| cells::infer_by(&raw, target, reading).kind != Kind::Number) {
        return raw;
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    (0..raw.rows()).for_each(|row| *counts.entry(raw.cell(row, target)).or_default() += 1);
    let mut rare: Vec<&str> = counts.iter().filter(|(_, n)| **n < FEWEST).map(|(class, _)| *class).collect();
    rare.sort_unstable();
    let Some(first) = rare.first().filter(|_| rare.len() < counts.len()) else { return raw };
    let what = format!("{} classes have fewer than {FEWEST} rows in the sample, such as `{first}`", rare.len());
    report.warn(Some(&raw.names[target]), what, "left out; a larger sample (data.stream) has more of them");
    raw.some((0..raw.rows()).filter(|row| counts[raw.cell(*row, target)] >= FEWEST))
}
