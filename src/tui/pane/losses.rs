//! Losses and the like: the newest value of each, and its curve in small.

use super::{Theme, number};
use crate::tui::model::Model;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::widgets::{Block, Paragraph, Sparkline};

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let block = Block::bordered().title(" learning ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    for (i, (name, curve)) in model.scalars.iter().enumerate().take(inside.height as usize) {
        let row = Rect { y: inside.y + i as u16, height: 1, ..inside };
        let [label, value, line] =
            Layout::horizontal([Constraint::Length(20), Constraint::Length(10), Constraint::Min(0)]).areas(row);
        frame.render_widget(Paragraph::new(name.as_str()), label);
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
