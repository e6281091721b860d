//! Speed, where the time goes, memory, what was saved.

use super::{Theme, duration, number};
use crate::tui::model::Model;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let mut lines = Vec::new();
    if let Some(speed) = &model.speed {
        let pair = |name: &str, value: String| {
            Line::from(vec![Span::raw(format!("{name:<10}")), Span::styled(value, theme.strong())])
        };
        let now = if model.dead { "0".into() } else { number(speed.steps_per_second) };
        lines.push(pair("steps/s", now));
        lines.push(pair("elapsed", duration(speed.seconds)));
        if model.outcome.is_none() && !model.dead {
            lines.push(pair("remaining", model.left().unwrap_or("?".into())));
        }
        if !model.dead {
            lines.push(pair("memory", format!("{:.0} MB", speed.memory)));
        }
        let parts =
            [("simulate", Color::Green), ("infer", Color::Cyan), ("learn", Color::Magenta), ("rest", Color::Gray)];
        let width = f64::from(area.width.saturating_sub(22));
        // Where nothing is simulated, all time is learning.
        let of_data = model.is_of_data();
        for ((name, colour), share) in parts.into_iter().zip(speed.shares).filter(|_| !of_data) {
            let bar = "█".repeat((share * width).round().max(0.0) as usize);
            lines.push(Line::from(vec![
                Span::raw(format!("{name:<10}")),
                Span::styled(format!("{:>4.0} % ", share * 100.0), theme.strong()),
                Span::styled(bar, theme.ink(colour)),
            ]));
        }
    }
    lines.push(Line::from(format!("device    {}", model.device)));
    if !model.is_of_data() {
        lines.push(Line::from(format!("episodes  {}", model.episodes)));
    }
    if let Some(step) = model.saved {
        lines.push(Line::from(format!("saved at  {step}")));
    }
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" speed ")), area);
}
