//! Curves over a common axis with their band, their points, and their names: prices by week, demand by price.

use super::chart::{self, Drawn, Level, Sheet, dots, line};
use super::{Theme, fit, in_lines};
use agon_core::graph::{Curve, Graph};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};

/// Colours of lines, the first of which matters most, and the letters of all others where there are no colours.
const LINES: [Color; 6] =
    [Color::Yellow, Color::Cyan, Color::Magenta, Color::Green, Color::LightRed, Color::LightGreen];
const LETTERS: [char; 6] = ['⠒', 'b', 'c', 'd', 'e', 'f'];
/// The same of bands and points.
const BAND: (Color, char) = (Color::DarkGray, '·');
const POINTS: (Color, char) = (Color::Blue, '∘');
/// Colours of levels.
const LEVELS: [Color; 3] = [Color::Gray, Color::White, Color::Green];

fn pairs(curve: &Curve) -> impl Iterator<Item = (f64, f64)> {
    curve.at.iter().map(|[x, y]| (f64::from(*x), f64::from(*y)))
}

/// Draws a graph in a frame with a title. `notes`: what else is to be said, by name.
pub fn draw(frame: &mut Frame<'_>, area: Rect, title: &str, graph: &Graph, notes: &[(String, String)], theme: Theme) {
    let title = fit(title, usize::from(area.width.saturating_sub(4)));
    let block = Block::bordered().title(format!(" {title} "));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inside.width);
    let mut legend = legend(graph, width, theme);
    legend.extend(in_lines(notes.iter().map(|(name, value)| (format!("{name} {value}"), Color::Reset)), width, theme));
    let height = (legend.len() as u16).min(inside.height / 3);
    let [picture, words] = Layout::vertical([Constraint::Min(0), Constraint::Length(height)]).areas(inside);
    frame.render_widget(Paragraph::new(legend), words);
    let [left, right, ..] = graph.bounds();
    let mut drawn: Vec<Drawn> = Vec::new();
    for end in graph.band.iter().flat_map(|band| [1, 2].map(|end| band.at.iter().map(move |at| (at[0], at[end])))) {
        drawn.push(line(BAND.0, end.map(|(x, y)| (f64::from(x), f64::from(y)))).lettered(BAND.1));
    }
    drawn.extend(graph.points.as_ref().map(|own| dots(POINTS.0, Marker::Braille, pairs(own)).lettered(POINTS.1)));
    for (place, own) in graph.lines.iter().enumerate().rev() {
        let one = line(LINES[place % LINES.len()], pairs(own));
        drawn.push(if place == 0 { one } else { one.lettered(LETTERS[place % LETTERS.len()]) });
    }
    let level = |((name, value), colour): (&(String, f32), Color)| Level {
        name: name.clone(),
        value: f64::from(*value),
        colour,
    };
    let levels = graph.levels.iter().zip(LEVELS.into_iter().cycle()).map(level).collect();
    chart::draw(frame, picture, &Sheet { drawn, levels, x: [left, right] }, theme);
}

/// What the axes are, and what lines, points and the band are: as many names in a line as it holds.
fn legend(graph: &Graph, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let [x, y] = &graph.axes;
    let mut lines = vec![Line::styled(fit(&format!("→ {x}  ↑ {y}"), width), theme.faint())];
    let line = |(place, own): (usize, &Curve)| {
        let letter = if theme.colour { '─' } else { LETTERS[place % LETTERS.len()] };
        (letter, own.name.clone(), LINES[place % LINES.len()])
    };
    let mut named: Vec<(char, String, Color)> = graph.lines.iter().enumerate().map(line).collect();
    named.extend(graph.points.iter().map(|own| (POINTS.1, own.name.clone(), POINTS.0)));
    named.extend(graph.band.iter().map(|own| (BAND.1, own.name.clone(), BAND.0)));
    let words = named.into_iter().map(|(letter, name, colour)| (format!("{letter} {name}"), colour));
    lines.extend(in_lines(words, width, theme));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::graph::Band;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn screen(graph: &Graph, colour: bool, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), "demand of can-1", graph, &[], Theme { colour })).unwrap();
        let rows = terminal.backend().buffer().content().chunks(width as usize);
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect()).collect()
    }

    fn graph() -> Graph {
        let at: Vec<[f32; 2]> = (0..20u8).map(|x| [f32::from(x), 40.0 - f32::from(x)]).collect();
        let curve =
            |name: &str, lower: f32| Curve { name: name.into(), at: at.iter().map(|[x, y]| [*x, y - lower]).collect() };
        Graph {
            axes: ["price [$]", "units a week"].map(String::from),
            band: Some(Band { name: "95 %".into(), at: at.iter().map(|[x, y]| [*x, y - 5.0, y + 5.0]).collect() }),
            lines: vec![curve("fitted", 0.0), curve("other", 30.0)],
            points: Some(Curve { name: "weeks".into(), at: vec![[12.0, 45.0], [17.0, 44.0]] }),
            levels: vec![("Nash".into(), 20.0)],
            ..Graph::default()
        }
    }

    /// Lines, points and the band are named and told apart, in colours and without; 80 columns by 24 rows leave a pane of
    /// about 40 by 11.
    #[test]
    fn everything_is_named_and_told_apart() {
        let plain = screen(&graph(), false, 40, 14);
        let text = plain.concat();
        for part in ["demand of can-1", "→ price [$]  ↑ units a week", "⠒ fitted", "b other", "∘ weeks", "· 95 %"]
        {
            assert!(text.contains(part), "{part} in {plain:#?}");
        }
        let picture = plain[1..10].concat();
        let count = |letter: char| picture.chars().filter(|c| *c == letter).count();
        assert!(count('b') >= 10 && count('·') >= 20 && count('∘') == 2, "{plain:#?}");
        assert!(picture.contains("Nash 20"), "{plain:#?}");
        let mut terminal = Terminal::new(TestBackend::new(40, 14)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), "", &graph(), &[], Theme { colour: true })).unwrap();
        let buffer = terminal.backend().buffer();
        let has = |colour| (1..10).any(|y| (8..39).any(|x| buffer[(x, y)].fg == colour));
        assert!([LINES[0], LINES[1], BAND.0, POINTS.0, LEVELS[0]].into_iter().all(has), "{buffer:?}");
    }

    #[test]
    fn no_size_is_too_small_and_nothing_is_shown_of_nothing() {
        for graph in [graph(), Graph::default()] {
            for (width, height) in [(1, 1), (3, 3), (12, 5), (79, 24), (300, 80)] {
                screen(&graph, false, width, height);
                screen(&graph, true, width, height);
            }
        }
    }
}
