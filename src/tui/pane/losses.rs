//! Losses and the like: the newest value of each, and its curve in small.

use super::{Theme, number};
use crate::tui::model::Model;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::widgets::{Block, Paragraph, Sparkline};

/// Characters of a value, and of a curve at least.
const VALUE: u16 = 10;
const CURVE: u16 = 8;

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let block = Block::bordered().title(" learning ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let shown = || model.scalars.iter().take(inside.height as usize);
    // Names are whole as long as a value and some of its curve fit beside them.
    let longest = shown().map(|(name, _)| name.chars().count() as u16).max().unwrap_or(0).max(18);
    let width = longest.min(inside.width.saturating_sub(VALUE + CURVE)) + 2;
    for (i, (name, curve)) in shown().enumerate() {
        let row = Rect { y: inside.y + i as u16, height: 1, ..inside };
        let [label, value, line] =
            Layout::horizontal([Constraint::Length(width), Constraint::Length(VALUE), Constraint::Min(0)]).areas(row);
        let name: String = name.replace('_', " ").chars().take(usize::from(width) - 1).collect();
        frame.render_widget(Paragraph::new(name), label);
        let text = curve.last().map_or(String::new(), number);
        frame.render_widget(Paragraph::new(text).style(theme.strong()), value);
        let shown = &curve.points[curve.points.len().saturating_sub(line.width as usize)..];
        let (low, high) =
            shown.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| (a.min(p.mean), b.max(p.mean)));
        let height = |x: f64| if high > low { 1 + ((x - low) / (high - low) * 63.0) as u64 } else { 1 };
        let bars: Vec<u64> = shown.iter().map(|p| height(p.mean)).collect();
        frame.render_widget(Sparkline::default().data(&bars).max(64).style(theme.ink(Color::Blue)), line);
    }
}
