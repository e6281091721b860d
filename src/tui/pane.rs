//! The panes of the dashboard, one file each.

pub mod chart;
pub mod curves;
pub mod graph;
pub mod losses;
pub mod plot;
pub mod scene;
pub mod speed;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::LineGauge;

/// What a thing looks like, with and without colours.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    pub colour: bool,
}

impl Theme {
    pub fn ink(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn faint(self) -> Style {
        if self.colour { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// How far something is, from 0 to 1, told apart from the rest by shape and not by colour alone.
    pub fn bar<'a>(self, share: f64, label: String) -> LineGauge<'a> {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        let gauge = LineGauge::default().ratio(share).label(label).filled_symbol("━").unfilled_symbol("╌");
        gauge.filled_style(self.ink(Color::Cyan)).unfilled_style(self.faint())
    }

    pub fn paint(self, colour: Color) -> Color {
        if self.colour { colour } else { Color::Reset }
    }
}

/// A text in so many characters, its end left out where it is longer.
pub fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).take(width).collect()
}

/// Names in their colours, as many in a line as it holds.
pub fn in_lines(names: impl IntoIterator<Item = (String, Color)>, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let (mut lines, mut line) = (Vec::new(), Line::default());
    for (name, colour) in names {
        let word = Span::styled(format!("{}  ", fit(&name, width.saturating_sub(2))), theme.ink(colour));
        if line.width() + word.width() > width + 2 && !line.spans.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        line.push_span(word);
    }
    lines.extend((!line.spans.is_empty()).then_some(line));
    lines
}

/// A number as people read it.
pub fn number(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        "0".into()
    } else if size >= 1e9 {
        format!("{:.2}G", x / 1e9)
    } else if size >= 1e6 {
        format!("{:.2}M", x / 1e6)
    } else if size >= 1e4 {
        format!("{:.1}k", x / 1e3)
    } else if size >= 100.0 {
        format!("{x:.0}")
    } else if size >= 1.0 {
        format!("{x:.2}")
    } else if size >= 1e-3 {
        format!("{x:.4}")
    } else {
        format!("{x:.1e}")
    }
}

/// Seconds as people read them.
pub fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}
