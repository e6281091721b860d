//! Axes, and what is drawn between them: lines, points, and levels with their names.

use super::{Theme, number};
use agon_core::scene::significant;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};

/// Points of one curve, and how they are drawn.
pub struct Drawn {
    points: Vec<(f64, f64)>,
    colour: Color,
    kind: GraphType,
    marker: Marker,
    /// What it is drawn with where there are no colours to tell it by.
    letter: Option<char>,
}

impl Drawn {
    fn set(&self, theme: Theme) -> Dataset<'_> {
        let marker = self.letter.filter(|_| !theme.colour).map_or(self.marker, Marker::Custom);
        Dataset::default().data(&self.points).graph_type(self.kind).marker(marker).style(theme.ink(self.colour))
    }

    /// With a letter of its own where there are no colours.
    pub fn lettered(self, letter: char) -> Self {
        Self { letter: Some(letter), ..self }
    }
}

/// A line through these points.
pub fn line(colour: Color, points: impl IntoIterator<Item = (f64, f64)>) -> Drawn {
    let points = points.into_iter().collect();
    Drawn { points, colour, kind: GraphType::Line, marker: Marker::Braille, letter: None }
}

/// These points.
pub fn dots(colour: Color, marker: Marker, points: impl IntoIterator<Item = (f64, f64)>) -> Drawn {
    Drawn { points: points.into_iter().collect(), colour, kind: GraphType::Scatter, marker, letter: None }
}

/// A straight line across the chart, with its name and its value on it.
pub struct Level {
    pub name: String,
    pub value: f64,
    pub colour: Color,
}

/// What a chart shows.
#[derive(Default)]
pub struct Sheet {
    /// What lies on top last.
    pub drawn: Vec<Drawn>,
    /// Below all curves, which must never be hidden by what they strive for.
    pub levels: Vec<Level>,
    /// Left and right.
    pub x: [f64; 2],
}

impl Sheet {
    /// Bottom and top of all that is finite.
    fn y(&self) -> [f64; 2] {
        let levels = self.levels.iter().map(|level| level.value);
        let ys = self.drawn.iter().flat_map(|d| &d.points).map(|p| p.1).chain(levels).filter(|y| y.is_finite());
        let (mut bottom, mut top) = ys.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), y| (a.min(y), b.max(y)));
        if bottom > top {
            (bottom, top) = (0.0, 1.0);
        }
        let margin = ((top - bottom) * 0.05).max(1e-9 + top.abs() * 1e-3);
        [bottom - margin, top + margin]
    }
}

/// Draws a sheet with its axes.
pub fn draw(frame: &mut Frame<'_>, area: Rect, sheet: &Sheet, theme: Theme) {
    let ([left, right], [bottom, top]) = (sheet.x, sheet.y());
    let label = |x: f64| if x.abs() < 1e4 { significant(x, 4) } else { number(x) };
    let x_labels = [left, (left + right) / 2.0, right].map(label);
    let y_labels = [bottom, (bottom + top) / 2.0, top].map(label);
    let inside = between_axes(area, &x_labels, &y_labels);
    let across = |level: &Level| line(level.colour, [(left, level.value), (right, level.value)]);
    let levels: Vec<Drawn> = sheet.levels.iter().map(across).collect();
    let chart = Chart::new(levels.iter().chain(&sheet.drawn).map(|d| d.set(theme)).collect())
        .x_axis(Axis::default().bounds(sheet.x).labels(x_labels))
        .y_axis(Axis::default().bounds([bottom, top]).labels(y_labels));
    frame.render_widget(chart, area);
    if inside.height == 0 || inside.width == 0 {
        return;
    }
    // Names of levels that lie on one row stand beside each other there.
    let row = |level: &Level| ((top - level.value) / (top - bottom) * f64::from(inside.height - 1)).round() as u16;
    let mut free = vec![inside.x; usize::from(inside.height)];
    for level in &sheet.levels {
        let row = row(level).min(inside.height - 1);
        let at = &mut free[usize::from(row)];
        let name = Line::styled(format!("{} {} ", level.name, number(level.value)), theme.ink(level.colour));
        let width = (name.width() as u16).min(inside.right().saturating_sub(*at));
        frame.render_widget(name, Rect { x: *at, y: inside.y + row, width, height: 1 });
        *at += width;
    }
}

/// The room that ratatui's chart leaves to its curves, given the labels of its axes.
fn between_axes(area: Rect, x_labels: &[String; 3], y_labels: &[String; 3]) -> Rect {
    let width = |label: &String| label.chars().count() as u16;
    let y_width = y_labels.iter().map(width).max().unwrap_or(0);
    // The first label of the x axis may reach one character below the y axis.
    let left = y_width.max(width(&x_labels[0]).saturating_sub(1)).min(area.width / 3) + 1;
    Rect {
        x: area.x + left.min(area.width),
        width: area.width.saturating_sub(left),
        height: area.height.saturating_sub(2),
        ..area
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn screen(sheet: &Sheet, colour: bool, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), sheet, Theme { colour })).unwrap();
        let rows = terminal.backend().buffer().content().chunks(width as usize);
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect()).collect()
    }

    fn level(name: &str, value: f64) -> Level {
        Level { name: name.into(), value, colour: Color::Green }
    }

    /// A level's name stands on its line, behind the axis, whatever the widths of labels; those of one height beside each
    /// other.
    #[test]
    fn levels_have_their_names_on_them() {
        for (left, value) in [(0.0, 1.0), (123_456.0, 1.0), (0.0, 1.23456e6)] {
            let levels = vec![level("charged", value), level("myopic", 2.0 * value), level("bound", 2.0 * value)];
            let sheet = Sheet { levels, x: [left, left + 9.0], ..Sheet::default() };
            let rows = screen(&sheet, false, 70, 12);
            let at = |name: &str| rows.iter().position(|row| row.contains(name)).unwrap();
            assert!(at("charged") > at("myopic") && at("myopic") == at("bound"), "{rows:#?}");
            for name in ["charged", "myopic"] {
                let row: Vec<char> = rows[at(name)].chars().collect();
                let behind = row.iter().position(|c| "│┤".contains(*c)).unwrap();
                let text: String = row[behind + 1..].iter().collect();
                assert!(text.starts_with(name), "{rows:#?}");
                let (_, rest) = text.split_at(text.find("  ").unwrap_or(text.len()));
                assert!(rest.is_empty() && text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{rows:#?}");
            }
            for (width, height) in [(1, 1), (3, 3), (9, 5), (300, 80)] {
                screen(&sheet, true, width, height);
            }
        }
    }

    #[test]
    fn lines_are_told_apart_without_colours() {
        let drawn = vec![line(Color::Cyan, [(0.0, 0.0), (9.0, 0.0)]), line(Color::Red, [(0.0, 1.0), (9.0, 1.0)])];
        let [one, other]: [Drawn; 2] = drawn.try_into().ok().unwrap();
        let sheet = Sheet { drawn: vec![one, other.lettered('b')], x: [0.0, 9.0], ..Sheet::default() };
        let [plain, coloured] = [false, true].map(|colour| screen(&sheet, colour, 30, 8).concat());
        assert!(plain.contains("bbbbbbbb") && !coloured.contains('b'), "{plain}");
    }
}
