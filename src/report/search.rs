//! A search over settings in a page: its leaderboard, and how results hang together with each setting.

use crate::html::chart::Chart;
use crate::html::{Cell, Page, Table};
use crate::search::record::Folder;
use crate::search::{objective, ranked};
use crate::tui::pane::number;
use serde_json::Value;

/// The page of a search.
pub fn page(search: &Folder) -> String {
    let done = search.tried();
    let (name, space) = (objective(&done).map_or("value", |(name, _)| name).replace('_', " "), &search.search.space);
    let mut page = Page::new(&format!("Search: {}", search.record.scenario.display()));
    let settings = &search.search.settings;
    page.text(&format!(
        "{} of {} trials by {}, seed {}. The best of several looks better than it is: measure it on rows or episodes that \
         nothing was chosen by.",
        ranked(&done).len(),
        settings.trials,
        settings.method,
        settings.seed
    ));
    page.heading("Leaderboard");
    let names = space.all.iter().map(|(name, _)| Cell::text(name));
    let head = [Cell::number("rank"), Cell::number("trial"), Cell::number("steps"), Cell::number(&name)];
    let mut table = Table::new(head.into_iter().chain(names));
    let all = ranked(&done);
    for (rank, tried) in (1..).zip(&all) {
        let first =
            [rank.to_string(), (tried.job.trial + 1).to_string(), tried.job.steps.to_string()].map(Cell::number);
        let value = Cell::number(tried.value.map_or("failed".into(), number));
        let shown =
            |value: Value| value.as_f64().filter(|_| value.is_f64()).map_or_else(|| super::plain(&value), number);
        let settings = space.settings(&tried.job.at).into_iter().map(|(_, value)| Cell::text(shown(value)));
        table.row(first.into_iter().chain([value]).chain(settings));
    }
    page.table(&table);
    page.heading("Settings and results");
    let longest = all.iter().map(|tried| tried.job.steps).max();
    for (k, (setting, _)) in space.all.iter().enumerate() {
        let mut chart = Chart::new(setting, setting, &name);
        for (what, whole) in [("whole runs", true), ("shorter runs", false)] {
            let own = all.iter().filter(|tried| (Some(tried.job.steps) == longest) == whole);
            let point = own.filter_map(|tried| {
                let at = space.settings(&tried.job.at).swap_remove(k).1.as_f64()?;
                tried.value.map(|y| (at, y, y, y))
            });
            let points: Vec<_> = point.collect();
            if !points.is_empty() {
                chart.points(what, points);
            }
        }
        page.chart(&chart);
    }
    page.finish()
}
