//! Groups of a column as people read them: metrics of each, and how far groups are apart beside what chance gives.

use agon::report::model::shown;
use agon_agents::supervised::slices::{FEW, Gap, Group, LEAST, Sliced};
use agon_core::scene::significant;

/// Metrics that are shown; `evaluation.json` has all.
const SHOWN: [&str; 6] = ["log_loss", "accuracy", "auc", "rmse", "mae", "r2"];

/// A table of a column's groups and its gaps, of the rows that were judged; `positive` is the second of two classes.
pub fn text(sliced: &Sliced, rows: &str, positive: Option<&str>) -> String {
    let wide = sliced.groups.iter().map(|group| group.value.chars().count().min(30)).max().unwrap_or(0).max(8);
    let names = sliced.groups.iter().flat_map(|group| &group.metrics).map(|metric| metric.name.as_str());
    let names: Vec<&str> = SHOWN.into_iter().filter(|name| names.clone().any(|own| own == *name)).collect();
    let mut out = format!("\ngroups of `{}`, of the {rows}\n  {:<wide$}{:>8}", sliced.column, "", "rows");
    names.iter().for_each(|name| out += &format!("{:>26}", name.replace('_', " ")));
    out += "\n";
    for group in &sliced.groups {
        out += line(group, &names, wide).trim_end();
        out += "\n";
    }
    if sliced.more > 0 {
        out += &format!("  and {} smaller groups, left out\n", sliced.more);
    }
    sliced.gaps.iter().for_each(|gap| out += &gap_line(gap, positive));
    match (sliced.gaps.is_empty(), positive) {
        (true, _) => out += &format!("  no gaps: fewer than two groups have {LEAST} rows\n"),
        (false, Some(positive)) => out += &format!("  positive is `{positive}` as the likeliest class\n"),
        (false, None) => {}
    }
    out
}

fn line(group: &Group, names: &[&str], wide: usize) -> String {
    let value: String = group.value.chars().take(30).collect();
    let mut out = format!("  {value:<wide$}{:>8}", group.rows);
    if group.metrics.is_empty() {
        return out + &format!("  too few rows to judge ({LEAST} at least)");
    }
    for name in names {
        let found = group.metrics.iter().find(|metric| metric.name == *name);
        out += &format!("{:>26}", found.map_or_else(|| "-".into(), shown));
    }
    if group.rows < FEW {
        out += "  few rows: little is sure";
    }
    out
}

/// The gap, its interval, and whether chance alone would make one as large.
fn gap_line(gap: &Gap, positive: Option<&str>) -> String {
    let name = match gap.of.as_str() {
        "positive rate" if positive.is_some() => "positive rate (demographic parity)",
        other => other,
    };
    let short = |x: f64| significant(x, 3);
    let mut out = format!("  gap in {name:<36}{}", short(gap.value));
    if let Some([low, high]) = gap.interval {
        out += &format!(" [{}, {}]", short(low), short(high));
    }
    if let Some(chance) = gap.by_chance {
        let what = if gap.value > chance { "GROUPS DIFFER" } else { "no difference is sure" };
        out += &format!("  by chance up to {}: {what}", short(chance));
    }
    out + "\n"
}
