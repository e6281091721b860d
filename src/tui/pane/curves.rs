//! The task's own curve over steps: episode returns, scores of evaluations, or what else the run says it is.

use super::chart::{self, Drawn, Level, Sheet, dots, line};
use super::{Theme, number};
use crate::tui::model::{Model, Point};
use agon_core::event::{Chart as Shown, UPPER_BOUND};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::Block;

/// Colours of the curves where there are several.
const SEVERAL: [Color; 5] = [Color::Cyan, Color::Yellow, Color::Magenta, Color::Blue, Color::White];
/// Colours of what evaluations are compared with.
const LEVELS: [Color; 4] = [Color::Magenta, Color::Blue, Color::LightRed, Color::White];

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
    let best = model.optimum.map(|optimum| (optimum, "optimum")).or(model.bound().map(|bound| (bound, "bound")));
    if let (Some(latest), Some((best, name))) = (latest, best.filter(|(best, _)| *best > 0.0)) {
        words.push(Span::styled(format!("{:.2} % of {name} ", 100.0 * latest / best), theme.ink(Color::Green)));
    }
    Line::from(words)
}

/// The optimum and what else evaluations are compared with.
fn levels(model: &Model) -> Vec<Level> {
    let optimum = model.optimum.map(|value| Level { name: "exact optimum".into(), value, colour: Color::Green });
    let mut colours = LEVELS.into_iter().cycle();
    let other = |(name, value): &(String, f64)| {
        let colour = if name == UPPER_BOUND { Some(Color::Green) } else { colours.next() };
        Level { name: name.clone(), value: *value, colour: colour.unwrap_or(Color::White) }
    };
    optimum.into_iter().chain(model.levels.iter().map(other)).collect()
}

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let (drawn, title) = curves(model, theme);
    let task = !matches!(model.chart, Shown::Scalars(_));
    let levels = if task { levels(model) } else { Vec::new() };
    let right = model.steps.max(model.step) as f64;
    plot(frame, area, Sheet { drawn, levels, x: [0.0, right] }, title, theme);
}

/// Draws curves over steps from 0 on, in a frame with a title.
pub fn plot(frame: &mut Frame<'_>, area: Rect, mut sheet: Sheet, title: Line<'static>, theme: Theme) {
    sheet.x[1] = sheet.x[1].max(1.0);
    // What the line above does not hold is in the one below.
    let (mut above, mut below) = (Line::default(), Line::default());
    for word in title.spans {
        let fits = below.spans.is_empty() && above.width() + word.width() + 2 <= usize::from(area.width);
        if fits { &mut above } else { &mut below }.push_span(word);
    }
    let block = Block::bordered().title(above).title_bottom(below);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    chart::draw(frame, inside, &sheet, theme);
}
