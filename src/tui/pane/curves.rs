//! Episode returns over steps: band, raw, smoothed, evaluations.

use super::{Theme, number};
use crate::tui::model::Model;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType};

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let points = &model.returns.points;
    let low: Vec<(f64, f64)> = points.iter().map(|p| (p.step, p.low)).collect();
    let high: Vec<(f64, f64)> = points.iter().map(|p| (p.step, p.high)).collect();
    let raw: Vec<(f64, f64)> = points.iter().map(|p| (p.step, p.mean)).collect();
    let smooth = model.returns.smooth();
    let evaluations: Vec<(f64, f64)> = model.evaluations.iter().map(|p| (p.step, p.mean)).collect();
    let all = raw.iter().chain(&low).chain(&high).chain(&evaluations).map(|p| p.1);
    let (mut bottom, mut top) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), y| (a.min(y), b.max(y)));
    if bottom > top {
        (bottom, top) = (0.0, 1.0);
    }
    let margin = ((top - bottom) * 0.05).max(1e-9 + top.abs() * 1e-3);
    (bottom, top) = (bottom - margin, top + margin);
    let right = (model.steps.max(model.step) as f64).max(1.0);
    let optimum = model.optimum.filter(|o| *o > bottom && *o < top).map(|o| [(0.0, o), (right, o)]);
    let mut sets = Vec::new();
    let mut add = |data, colour, kind, marker| {
        sets.push(Dataset::default().data(data).graph_type(kind).marker(marker).style(theme.ink(colour)));
    };
    // Later ones lie on top: the agent's own curve must never be hidden by the line it strives for.
    if let Some(optimum) = &optimum {
        add(&optimum[..], Color::Green, GraphType::Line, Marker::Braille);
    }
    add(&low[..], Color::DarkGray, GraphType::Line, Marker::Braille);
    add(&high, Color::DarkGray, GraphType::Line, Marker::Braille);
    add(&raw, Color::Blue, GraphType::Scatter, Marker::Braille);
    add(&smooth, Color::Cyan, GraphType::Line, Marker::Braille);
    add(&evaluations, Color::Yellow, GraphType::Scatter, Marker::Dot);
    let last = smooth.last().map_or(String::new(), |p| number(p.1));
    let title = Line::from(vec![
        Span::raw(" episode return "),
        Span::styled(last, theme.ink(Color::Cyan)),
        Span::styled(" • evaluations ", theme.ink(Color::Yellow)),
    ]);
    let chart = Chart::new(sets)
        .block(Block::bordered().title(title))
        .x_axis(Axis::default().bounds([0.0, right]).labels(["0".into(), number(right / 2.0), number(right)]))
        .y_axis(Axis::default().bounds([bottom, top]).labels([bottom, (bottom + top) / 2.0, top].map(number)));
    frame.render_widget(chart, area);
}
