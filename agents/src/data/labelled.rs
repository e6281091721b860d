//! The rows of a table that have a target, and those that have none.

use super::report::Report;
use super::{Raw, cells};
use crate::agent::AgentError;

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
    let of = |rows: Vec<usize>| {
        let mut kept = Raw::new(raw.names.clone(), raw.decimal_comma);
        for row in rows {
            kept.push(raw.lines[row], (0..raw.names.len()).map(|column| raw.cell(row, column)));
        }
        kept
    };
    Ok((of(known), of(unknown)))
}
