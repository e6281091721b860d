//! The task's own curve over steps: episode returns, scores of evaluations, or what else the run says it is.

use super::{Theme, number};
use crate::tui::model::{Model, Point};
use agon_core::event::Chart as Shown;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType};

/// Points of one curve, and how they are drawn.
pub struct Drawn {
    points: Vec<(f64, f64)>,
    colour: Color,
    kind: GraphType,
    marker: Marker,
}

impl Drawn {
    fn set(&self, theme: Theme) -> Dataset<'_> {
        Dataset::default().data(&self.points).graph_type(self.kind).marker(self.marker).style(theme.ink(self.colour))
    }
}

/// Colours of the curves where there are several.
const SEVERAL: [Color; 5] = [Color::Cyan, Color::Yellow, Color::Magenta, Color::Blue, Color::White];

/// A line through these points.
pub fn line(colour: Color, points: impl IntoIterator<Item = (f64, f64)>) -> Drawn {
    Drawn { points: points.into_iter().collect(), colour, kind: GraphType::Line, marker: Marker::Braille }
}

fn dots(colour: Color, marker: Marker, points: impl IntoIterator<Item = (f64, f64)>) -> Drawn {
    Drawn { points: points.into_iter().collect(), colour, kind: GraphType::Scatter, marker }
}

fn at(points: &[Point], y: fn(&Point) -> f64) -> impl Iterator<Item = (f64, f64)> {
    points.iter().map(move |p| (p.step, y(p)))
}

/// The one curve that says most of a run.
pub fn main_curve(model: &Model) -> Vec<(f64, f64)> {
    match &model.chart {
        Shown::Returns => model.returns.smooth(),
        Shown::Evaluations => at(&model.evaluations, |p| p.mean).collect(),
        Shown::Scalars(names) => {
            let first = names.iter().find_map(|name| model.scalars.get(name));
            first.map_or_else(Vec::new, |curve| at(&curve.points, |p| p.mean).collect())
        }
    }
}

/// The curves, those that lie on top last, and the words above them.
fn curves(model: &Model, theme: Theme) -> (Vec<Drawn>, Line<'static>) {
    let evaluations = dots(Color::Yellow, Marker::Dot, at(&model.evaluations, |p| p.mean));
    match &model.chart {
        Shown::Returns => {
            let (points, smooth) = (&model.returns.points, model.returns.smooth());
            let last = smooth.last().map(|p| p.1);
            let all = vec![
                line(Color::DarkGray, at(points, |p| p.low)),
                line(Color::DarkGray, at(points, |p| p.high)),
                dots(Color::Blue, Marker::Braille, at(points, |p| p.mean)),
                line(Color::Cyan, smooth),
                evaluations,
            ];
            (all, title("episode return", last, model, theme))
        }
        Shown::Evaluations => {
            let points = &model.evaluations;
            let all = vec![
                line(Color::DarkGray, at(points, |p| p.low)),
                line(Color::DarkGray, at(points, |p| p.high)),
                line(Color::Cyan, at(points, |p| p.mean)),
                evaluations,
            ];
            (all, title("score against opponents", points.last().map(|p| p.mean), model, theme))
        }
        Shown::Scalars(names) => {
            let (mut all, mut words) = (Vec::new(), vec![Span::raw(" ")]);
            for ((name, curve), colour) in
                names.iter().filter_map(|n| Some((n, model.scalars.get(n)?))).zip(SEVERAL.into_iter().cycle())
            {
                all.push(line(colour, at(&curve.points, |p| p.mean)));
                let last = curve.last().map_or(String::new(), number);
                words.push(Span::styled(format!("{} {last} ", name.replace('_', " ")), theme.ink(colour)));
            }
            if let (Some(metric), Some(last)) = (&model.metric, model.evaluations.last()) {
                let text = format!("• {} of evaluations {} ", metric.replace('_', " "), number(last.mean));
                words.push(Span::styled(text, theme.ink(Color::Yellow)));
                all.push(evaluations);
            }
            (all, Line::from(words))
        }
    }
}

fn title(name: &str, last: Option<f64>, model: &Model, theme: Theme) -> Line<'static> {
    let mut words = vec![
        Span::raw(format!(" {name} ")),
        Span::styled(last.map_or(String::new(), number), theme.ink(Color::Cyan)),
        Span::styled(" • evaluations ", theme.ink(Color::Yellow)),
    ];
    // An evaluation has no exploration in it: where there is one, it is what the optimum is compared with.
    let latest = model.evaluations.last().map(|p| p.mean).or(last);
    if let (Some(latest), Some(optimum)) = (latest, model.optimum.filter(|o| *o > 0.0)) {
        words.push(Span::styled(format!("{:.2} % of optimum ", 100.0 * latest / optimum), theme.ink(Color::Green)));
    }
    Line::from(words)
}

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let (mut all, title) = curves(model, theme);
    let right = (model.steps.max(model.step) as f64).max(1.0);
    let task = !matches!(model.chart, Shown::Scalars(_));
    if let Some(optimum) = model.optimum.filter(|_| task) {
        // Below the others: the agent's own curve must never be hidden by the line it strives for.
        all.insert(0, line(Color::Green, [(0.0, optimum), (right, optimum)]));
    }
    plot(frame, area, &all, title, right, theme);
}

/// Draws curves over steps from 0 to `right`.
pub fn plot(frame: &mut Frame<'_>, area: Rect, all: &[Drawn], title: Line<'static>, right: f64, theme: Theme) {
    let right = right.max(1.0);
    let ys = all.iter().flat_map(|d| &d.points).map(|p| p.1).filter(|y| y.is_finite());
    let (mut bottom, mut top) = ys.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), y| (a.min(y), b.max(y)));
    if bottom > top {
        (bottom, top) = (0.0, 1.0);
    }
    let margin = ((top - bottom) * 0.05).max(1e-9 + top.abs() * 1e-3);
    (bottom, top) = (bottom - margin, top + margin);
    // What the line above does not hold is in the one below.
    let (mut above, mut below) = (Line::default(), Line::default());
    for word in title.spans {
        let fits = below.spans.is_empty() && above.width() + word.width() + 2 <= usize::from(area.width);
        if fits { &mut above } else { &mut below }.push_span(word);
    }
    let chart = Chart::new(all.iter().map(|d| d.set(theme)).collect())
        .block(Block::bordered().title(above).title_bottom(below))
        .x_axis(Axis::default().bounds([0.0, right]).labels(["0".into(), number(right / 2.0), number(right)]))
        .y_axis(Axis::default().bounds([bottom, top]).labels([bottom, (bottom + top) / 2.0, top].map(number)));
    frame.render_widget(chart, area);
}
