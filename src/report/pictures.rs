//! The pictures of a run in a page: rows as points, demand and price paths as curves, tables.

use super::Story;
use crate::html::chart::Chart;
use crate::html::{Cell, Page, Table};
use crate::replay;
use agon_core::graph::Graph;
use agon_core::plot::{self, Body, Plot, Points};

/// Graphs of a kind at most, and tables: the rest is in files.
const MOST: usize = 12;

/// What the run has drawn, and the curves of its newest episode.
pub fn sections(page: &mut Page, story: &Story) {
    if let Some(newest) = story.run.episodes().pop() {
        let paths = replay::graphs(&newest);
        if !paths.is_empty() {
            page.heading("Price paths");
            page.text("Prices of the newest saved episode, step by step, and between which ends they could be set.");
            graphs(page, "prices", &paths);
        }
    }
    for Plot { title, body } in story.run.plots() {
        match &body {
            // What predictions look like is told of the test part instead.
            Body::Points(points) if points.diagonal => {}
            Body::Points(points) => {
                page.heading("Map");
                map(page, &title, points);
            }
            Body::Graphs { graphs: all } => {
                page.heading(&capital(&title));
                graphs(page, &title, all);
            }
            Body::Tables { tables } => {
                page.heading(&capital(&title));
                for own in tables.iter().take(MOST) {
                    page.part(&own.name);
                    table(page, own);
                }
                rest(page, tables.len());
            }
            // Those of models are in the sections on models.
            Body::Table(own) if story.evaluation["mean_return"].is_number() => {
                page.heading(&capital(&title));
                table(page, own);
            }
            Body::Table(_) | Body::Confusion { .. } => {}
        }
    }
}

fn capital(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn rest(page: &mut Page, all: usize) {
    if all > MOST {
        page.text(&format!("The other {} are in the dashboard (agon watch).", all - MOST));
    }
}

fn map(page: &mut Page, title: &str, points: &Points) {
    let mut chart = Chart::new(title, &points.axes[0], &points.axes[1]);
    let names = if points.groups.is_empty() { vec![String::new()] } else { points.groups.clone() };
    for (group, name) in names.iter().enumerate() {
        let is = |i: usize| points.group.get(i).is_none_or(|own| usize::from(*own) == group);
        let own = points.at.iter().enumerate().filter(|(i, _)| is(*i));
        chart.dots(name, own.map(|(_, [x, y])| (f64::from(*x), f64::from(*y))).collect());
    }
    page.chart(&chart);
}

fn graphs(page: &mut Page, title: &str, all: &[Graph]) {
    for graph in all.iter().take(MOST) {
        let title = if graph.name.is_empty() { title.to_owned() } else { format!("{}: {title}", graph.name) };
        page.chart(&chart(&title, graph));
    }
    rest(page, all.len());
}

/// A graph as a chart. The band has the colour of the first line, which names it.
fn chart(title: &str, graph: &Graph) -> Chart {
    let mut chart = Chart::new(title, &graph.axes[0], &graph.axes[1]);
    let wide = |at: &[[f32; 2]]| at.iter().map(|[x, y]| (f64::from(*x), f64::from(*y))).collect::<Vec<_>>();
    if let Some(band) = &graph.band {
        chart.band(band.at.iter().map(|[x, low, high]| (f64::from(*x), f64::from(*low), f64::from(*high))).collect());
    }
    for (place, line) in graph.lines.iter().enumerate() {
        let band = graph.band.as_ref().filter(|_| place == 0).map_or(String::new(), |band| format!(" ({})", band.name));
        chart.line(&format!("{}{band}", line.name), wide(&line.at));
    }
    graph.points.iter().for_each(|points| chart.dots(&points.name, wide(&points.at)));
    graph.levels.iter().for_each(|(name, level)| chart.level(name, f64::from(*level)));
    chart
}

fn table(page: &mut Page, own: &plot::Table) {
    let cell = |(k, text): (usize, &String)| if k == 0 { Cell::text(text) } else { Cell::number(text) };
    let mut table = Table::new(own.head.iter().enumerate().map(cell));
    own.rows.iter().for_each(|row| table.row(row.iter().enumerate().map(cell)));
    page.table(&table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::graph::{Band, Curve};

    /// All that a graph has is drawn and named.
    #[test]
    fn a_graph_becomes_a_chart() {
        let line = Curve { name: "fitted".into(), at: vec![[1.0, 9.0], [2.0, 4.0]] };
        let graph = Graph {
            name: "can <1>".into(),
            axes: ["price [$]", "units a week"].map(String::from),
            band: Some(Band { name: "95 %".into(), at: vec![[1.0, 8.0, 10.0], [2.0, 3.0, 5.0]] }),
            lines: vec![line],
            points: Some(Curve { name: "weeks".into(), at: vec![[1.5, 6.0]] }),
            levels: vec![("Nash".into(), 5.0)],
        };
        let mut page = Page::new("t");
        graphs(&mut page, "demand", &vec![graph; MOST + 3]);
        let text = page.finish();
        for part in
            ["can &lt;1&gt;: demand", "price [$]", "units a week", "fitted (95 %)", "weeks", "Nash", "The other 3 "]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.contains("<polyline") && text.contains("<polygon") && text.contains("<circle"));
        assert_eq!(text.matches("<svg").count(), MOST);
    }
}
