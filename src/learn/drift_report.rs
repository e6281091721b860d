//! Whether new rows are like the training part of a run: told beside predictions.

use crate::table_task::TableTask;
use agon::Outcome;
use agon::scenario::Source;
use agon_agents::agent::NEVER;
use agon_agents::data::drift::{Drift, drift};
use agon_agents::data::text::lengths;
use agon_agents::data::{Column, Kind, Raw, cells};
use agon_agents::supervised::two_sample::two_sample;
use std::path::Path;

/// Rows from which on something can be said.
const ENOUGH: usize = 30;
/// Columns that are told.
const SHOWN: usize = 12;
/// A shift that calls for new training, as it is usually taken.
const LARGE: f64 = 0.2;

/// Tells how far the rows of a table are from the training part of the run of this scenario. Nothing of few rows; where the
/// run's copy of its table is gone, only that.
pub fn tell(scenario: &Path, source: &Source, raw: &Raw) {
    if raw.rows() < ENOUGH {
        return;
    }
    match lines(scenario, source, raw) {
        Ok(lines) => lines.iter().for_each(|line| agon::tell!("{line}")),
        Err(why) => agon::tell!("note: drift is not known: {why}"),
    }
}

fn lines(scenario: &Path, source: &Source, raw: &Raw) -> Outcome<Vec<String>> {
    let data = TableTask::read(scenario, source)?.into_data();
    let rows = &data.split.train;
    let mut found: Vec<Drift> = Vec::new();
    let (mut old, mut new): (Vec<&Column>, Vec<Column>) = (Vec::new(), Vec::new());
    for column in &data.columns {
        let Some(at) = raw.find(&column.name) else { continue };
        let Ok(fresh) = cells::read_as(raw, at, column.kind, column.way) else { continue };
        if column.kind == Kind::Text {
            // Hardly a text comes twice: how long they are can be compared.
            found.push(drift(&lengths(column), rows, &lengths(&fresh)));
            continue;
        }
        found.push(drift(column, rows, &fresh));
        old.push(column);
        new.push(fresh);
    }
    found.sort_by(|a, b| b.psi.total_cmp(&a.psi));
    let mut lines = vec![format!("drift: {} new rows beside {} of the training part", raw.rows(), rows.len())];
    let wide = found.iter().take(SHOWN).map(|d| d.column.chars().count()).max().unwrap_or(0);
    lines.extend(found.iter().take(SHOWN).map(|d| line(d, wide)));
    if found.len() > SHOWN {
        lines.push(format!("  and {} more columns with a lower index", found.len() - SHOWN));
    }
    let apart = || two_sample(&old, rows, &new.iter().collect::<Vec<_>>(), NEVER);
    if !old.is_empty()
        && let Ok(Some(apart)) = apart()
    {
        let what = match apart.auc {
            auc if auc > apart.by_chance => "they differ",
            auc if auc < 1.0 - apart.by_chance => "some seem to be training rows once more",
            _ => "no difference is sure",
        };
        lines.push(format!(
            "  a classifier tells new rows from training rows with an AUC of {:.3} (0.5 is not at all; by chance up to {:.3}): \
             {what}",
            apart.auc, apart.by_chance
        ));
    }
    if found.iter().any(|d| d.psi > LARGE && d.psi > d.psi_by_chance) {
        lines.push(
            "  a PSI above 0.2 is usually taken for a shift that calls for new training; 0.1 to 0.2 for a small one"
                .into(),
        );
    }
    Ok(lines)
}

/// `age  PSI 0.312 (by chance up to 0.041)  Kolmogorov-Smirnov 0.22, p 0.000  SHIFTED`
fn line(d: &Drift, wide: usize) -> String {
    let mut line = format!("  {:<wide$}  PSI {:.3} (by chance up to {:.3})", d.column, d.psi, d.psi_by_chance);
    if let Some([far, p]) = d.smirnov {
        line += &format!("  Kolmogorov-Smirnov {far:.3}, p {p:.3}");
    }
    let [before, now] = d.missing.map(|share| 100.0 * share);
    if (before - now).abs() > 1.0 {
        line += &format!("  missing {now:.0} %, in training {before:.0} %");
    }
    if d.psi > LARGE && d.psi > d.psi_by_chance {
        line += "  SHIFTED";
    }
    line
}
