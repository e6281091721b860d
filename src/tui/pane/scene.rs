//! A scene on a braille canvas, its notes below it; in three dimensions with bars beside it.

use super::Theme;
use crate::raster::{Orbit, Picture};
use agon_core::scene::{Bar, Cell, Ink, Scene, Shape, Space};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier};
use ratatui::symbols::Marker;
use ratatui::text::{Line as Words, Span};
use ratatui::widgets::canvas::{Canvas, Circle, Line, Rectangle};
use ratatui::widgets::{Block, Paragraph, Wrap};

fn colour(ink: Ink) -> Color {
    match ink {
        Ink::Frame => Color::Gray,
        Ink::Body => Color::Blue,
        Ink::Agent => Color::Yellow,
        Ink::Goal => Color::Green,
        Ink::Danger => Color::Red,
    }
}

/// The colour of a dot in three dimensions, darker the darker or farther it is (of the 256 colours of terminals).
fn shade(ink: Ink, tone: f64) -> Color {
    let steps = match ink {
        Ink::Frame => [237, 239, 242, 245],
        Ink::Body => [24, 25, 32, 75],
        Ink::Agent => [94, 136, 178, 221],
        Ink::Goal => [22, 28, 34, 83],
        Ink::Danger => [88, 124, 160, 203],
    };
    Color::Indexed(steps[((tone - 0.25) / 0.6 * 4.0).clamp(0.0, 3.0) as usize])
}

/// A picture in three dimensions.
fn solids(frame: &mut Frame<'_>, area: Rect, space: &Space, orbit: Orbit, theme: Theme) {
    let picture = Picture::new(space, orbit, 2 * usize::from(area.width), 4 * usize::from(area.height));
    let span = |row: u16, column: u16| {
        let (letter, nearest) = picture.cell(column.into(), row.into());
        nearest.map_or(Span::raw(" "), |dot| Span::styled(letter.to_string(), theme.ink(shade(dot.ink, dot.tone))))
    };
    let line = |row| (0..area.width).map(|column| span(row, column)).collect::<Words<'_>>();
    frame.render_widget(Paragraph::new((0..area.height).map(line).collect::<Vec<_>>()), area);
}

/// One bar a line, from 0 to its value, with as much of its name as there is room for.
fn bars(frame: &mut Frame<'_>, area: Rect, bars: &[Bar], theme: Theme) {
    let width = usize::from(area.width.saturating_sub(1)).min(10);
    let name = usize::from(area.width).saturating_sub(width + 2);
    let line = |bar: &Bar| {
        let [low, high] = bar.range;
        let place = |x: f64| (x - low) / (high - low) * width as f64;
        let (zero, end) = (place(0f64.clamp(low, high)), place(bar.value));
        let cell = |i: usize| {
            let (from, to) = (i as f64, i as f64 + 1.0);
            // What fills half of a character or more.
            let filled = zero.max(end).min(to) - zero.min(end).max(from) >= 0.5;
            match (filled, from <= zero && zero < to) {
                (true, _) => Span::styled("━", theme.ink(Color::Yellow)),
                (false, true) => Span::styled("│", theme.faint()),
                (false, false) => Span::styled("╌", theme.faint()),
            }
        };
        let short: String = bar.name.chars().take(name).collect();
        let mut spans: Vec<Span<'_>> = vec![Span::raw(format!(" {short:<name$} "))];
        spans.extend((0..width).map(cell));
        Words::from(spans)
    };
    frame.render_widget(Paragraph::new(bars.iter().map(line).collect::<Vec<_>>()), area);
}

/// A board is shown whole, or not at all; what is left of the room is for the notes.
fn board(frame: &mut Frame<'_>, area: Rect, scene: &Scene, theme: Theme) {
    let width = scene.board.iter().map(Vec::len).max().unwrap_or(0);
    let height = scene.board.len();
    if usize::from(area.width) < width || usize::from(area.height) < height {
        let notice =
            format!("the board needs {width} × {height} characters, here are {} × {}", area.width, area.height);
        frame.render_widget(Paragraph::new(notice).wrap(Wrap { trim: true }).style(theme.strong()), area);
        return;
    }
    let style = |cell: &Cell| {
        let style = theme.ink(colour(cell.ink));
        let style = if cell.ink == Ink::Agent { style.add_modifier(Modifier::BOLD) } else { style };
        if cell.changed { style.add_modifier(Modifier::REVERSED) } else { style }
    };
    let span = |cell: &Cell| Span::styled(cell.letter.to_string(), style(cell));
    let mut lines: Vec<Words<'_>> = scene.board.iter().map(|row| row.iter().map(span).collect()).collect();
    lines.extend(scene.notes.iter().map(|(name, value)| Words::from(format!("{name:<12} {value}"))));
    frame.render_widget(Paragraph::new(lines), area);
}

/// Draws a scene in a frame with a title. `orbit`: where people have turned the camera to.
pub fn draw(frame: &mut Frame<'_>, area: Rect, title: &str, scene: Option<&Scene>, orbit: Orbit, theme: Theme) {
    let block = Block::bordered().title(format!(" {title} "));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let Some(scene) = scene else {
        frame.render_widget(Paragraph::new("no picture yet").style(theme.faint()), inside);
        return;
    };
    if !scene.board.is_empty() {
        return board(frame, inside, scene, theme);
    }
    let notes = (scene.notes.len() as u16).min(inside.height / 2);
    let [picture, words] = Layout::vertical([Constraint::Min(0), Constraint::Length(notes)]).areas(inside);
    let line = |(name, value): &(String, String)| Words::from(format!("{name:<12} {value}"));
    let lines: Vec<Words<'_>> = scene.notes.iter().map(line).collect();
    frame.render_widget(Paragraph::new(lines), words);
    if let Some(space) = &scene.space {
        let beside = if scene.bars.is_empty() { 0 } else { (picture.width / 4).min(26) };
        let [picture, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(beside)]).areas(picture);
        solids(frame, picture, space, orbit, theme);
        return bars(frame, right, &scene.bars, theme);
    }
    let canvas = Canvas::default().marker(Marker::Braille).x_bounds(scene.x).y_bounds(scene.y).paint(|ctx| {
        for shape in &scene.shapes {
            match shape {
                Shape::Line { ends: [x1, y1, x2, y2], ink } => {
                    ctx.draw(&Line::new(*x1, *y1, *x2, *y2, theme.paint(colour(*ink))));
                }
                Shape::Circle { at: [x, y, radius], ink } => {
                    let color = theme.paint(colour(*ink));
                    ctx.draw(&Circle { x: *x, y: *y, radius: *radius, color });
                }
                Shape::Rect { at: [x, y, width, height], ink } => {
                    let color = theme.paint(colour(*ink));
                    ctx.draw(&Rectangle { x: *x, y: *y, width: *width, height: *height, color });
                }
                Shape::Text { at: [x, y], text, ink } => {
                    ctx.print(*x, *y, Words::styled(text.clone(), theme.ink(colour(*ink))));
                }
            }
        }
    });
    frame.render_widget(canvas, picture);
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::scene::Solid;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::Map;

    fn shown(scene: &Scene, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let theme = Theme { colour: true };
        terminal.draw(|frame| draw(frame, frame.area(), "game", Some(scene), Orbit::default(), theme)).unwrap();
        let rows = terminal.backend().buffer().content().chunks(width as usize);
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect()).collect()
    }

    /// Every cell of every game's board is on the screen, or a notice says why none is.
    #[test]
    fn a_board_is_shown_whole_or_not_at_all() {
        for id in agon_envs::games::NAMES {
            let env = agon_envs::find(id).unwrap().build(&Map::new(), 1, 1).unwrap();
            let mut solo = agon_core::episode::Solo::new(env);
            solo.reset(1, agon_core::rng::Stream::Env);
            let mut scene = Scene::default();
            solo.env().draw(0, agon_core::View::Now, &mut scene);
            let rows: Vec<String> =
                scene.board.iter().map(|row| row.iter().map(|c| c.letter).collect::<String>()).collect();
            assert!(!rows.is_empty(), "{id}");
            for (width, height) in [(80, 21), (40, 9), (24, 6), (3, 3)] {
                let screen = shown(&scene, width, height);
                let whole = rows.iter().zip(&screen[1..]).all(|(row, line)| line.contains(row.trim_end()));
                let notice = screen.iter().any(|line| line.contains("the board"));
                let room = usize::from(height) >= rows.len() + 2;
                assert!(width == 3 || (whole && room) != notice, "{id} {width} × {height}: {screen:?}");
            }
        }
    }

    #[test]
    fn the_last_move_is_marked_and_players_have_colours_of_their_own() {
        let scene = |text: &str| {
            let mut scene = Scene::default();
            scene.board(text, |_, _, c| if c == 'x' { Ink::Agent } else { Ink::Danger });
            scene
        };
        let (before, mut after) = (scene("x .\n. o"), scene("x .\nx o"));
        after.mark_changes(&before);
        let mut terminal = Terminal::new(TestBackend::new(9, 4)).unwrap();
        let theme = Theme { colour: true };
        terminal.draw(|frame| draw(frame, frame.area(), "", Some(&after), Orbit::default(), theme)).unwrap();
        let cell = |x, y| terminal.backend().buffer()[(x, y)].clone();
        assert!(cell(1, 2).modifier.contains(Modifier::REVERSED) && !cell(1, 1).modifier.contains(Modifier::REVERSED));
        assert_ne!(cell(1, 1).fg, cell(3, 2).fg);
    }
    /// A ball in front of a wall, with two bars, in colours and without, in all sizes.
    #[test]
    fn three_dimensions_fill_the_pane() {
        let ball = Solid::Capsule { ends: [[0.0; 3]; 2], radius: 0.5 };
        let space = Space { solids: vec![(ball, Ink::Agent)], reach: 1.0, ground: Some(-0.5), ..Space::default() };
        let mut scene = Scene { space: Some(space), ..Scene::default() };
        let field = |name: &str| agon_core::Field::new(name, "", -1.0, 1.0);
        scene.show_action(&[field("hip"), field("knee")], &[1.0, -0.5]);
        scene.note("x", "0 m");
        let screen = shown(&scene, 80, 21);
        let text = screen.concat();
        assert!(text.contains('⣿') && text.contains("x            0 m"), "{screen:#?}");
        assert!(screen[1].contains("hip") && screen[1].contains("╌╌╌╌╌━━━━━"), "{screen:#?}");
        assert!(screen[2].contains("knee") && screen[2].contains("╌╌━━━│"), "{screen:#?}");
        for (width, height) in [(1, 1), (3, 3), (12, 5), (200, 60)] {
            shown(&scene, width, height);
        }
    }
}
