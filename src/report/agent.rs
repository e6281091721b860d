//! An agent in a page: its returns beside baselines and the optimum, and what else was counted.

use super::{Story, plain};
use crate::html::chart::Chart;
use crate::html::{Cell, Page, Table};
use crate::tui::pane::number;
use serde_json::Value;

/// Baselines, the optimum and the bound as levels of a chart.
pub fn levels(chart: &mut Chart, evaluation: &Value) {
    for (key, name) in [("optimum", "exact optimum"), ("upper_bound", "upper bound")] {
        evaluation[key].as_f64().into_iter().for_each(|level| chart.level(name, level));
    }
    let against = |name: &str| name.starts_with("against ");
    for (name, score) in evaluation["baselines"].as_object().into_iter().flatten().filter(|(name, _)| !against(name)) {
        score["mean_return"].as_f64().into_iter().for_each(|level| chart.level(name, level));
    }
}

/// The final evaluation.
pub fn sections(page: &mut Page, story: &Story) {
    let found = &story.evaluation;
    page.heading("Result");
    found["warnings"].as_array().into_iter().flatten().for_each(|why| page.warning(&plain(why)));
    let mut scores: Vec<(String, &Value)> = vec![(plain(&found["agent"]), found)];
    scores.extend(found["baselines"].as_object().into_iter().flatten().map(|(name, score)| (name.clone(), score)));
    scores.sort_by(|a, b| {
        let mean = |score: &Value| score["mean_return"].as_f64().unwrap_or(f64::NEG_INFINITY);
        mean(b.1).total_cmp(&mean(a.1))
    });
    let games = scores.iter().any(|(_, score)| score["wins"].is_u64());
    let best = ["optimum", "upper_bound"].into_iter().find_map(|key| found[key].as_f64().map(|best| (key, best)));
    let mut head = vec![Cell::text("who"), Cell::number("mean return"), Cell::number("95 %"), Cell::number("episodes")];
    if games {
        head.extend(["wins", "draws", "losses"].map(Cell::number));
    }
    let share = best.filter(|(_, best)| *best > 0.0);
    head.extend(share.map(|(key, _)| Cell::number(if key == "optimum" { "of optimum" } else { "of bound" })));
    let mut table = Table::new(head);
    for (name, score) in &scores {
        let mean = score["mean_return"].as_f64().unwrap_or(f64::NAN);
        let half = score["ci95"].as_f64().map_or("–".into(), |half| format!("± {}", number(half)));
        let own = std::ptr::eq(*score, found);
        let mut row = vec![
            if own { Cell::text(name).strong() } else { Cell::text(name) },
            Cell::number(number(mean)),
            Cell::number(half),
            Cell::number(&score["episodes"]),
        ];
        if games {
            let count = |key: &str| Cell::number(score[key].as_u64().map_or(String::new(), |n| n.to_string()));
            row.extend(["wins", "draws", "losses"].map(count));
        }
        row.extend(share.map(|(_, best)| Cell::number(format!("{:.2} %", 100.0 * mean / best))));
        table.row(row);
    }
    if let Some((key, best)) = best {
        let name = if key == "optimum" { "exact optimum" } else { "upper bound: no policy earns more" };
        table.row([Cell::text(name), Cell::number(number(best))]);
    }
    page.table(&table);
    page.text(
        "Means over whole episodes from the same fixed seeds for everyone, without exploration. Intervals are over episodes: \
         they do not say how much another seed of training would change.",
    );
    if let Some(lift) = found.get("lift_over_charged") {
        page.text(&format!("Share earned more than by the prices charged: {lift}"));
    }
    let counted = found["counted"].as_array().map_or(&[][..], Vec::as_slice);
    if !counted.is_empty() {
        page.part("Counted in the same episodes");
        let mut table = Table::new([Cell::text("measure"), Cell::number("mean"), Cell::number("95 %")]);
        for one in counted {
            let half = one["ci95"].as_f64().map_or("–".into(), |half| format!("± {}", number(half)));
            let mean = one["mean"].as_f64().map_or("–".into(), number);
            table.row([Cell::text(plain(&one["name"])), Cell::number(mean), Cell::number(half)]);
        }
        page.table(&table);
    }
}
