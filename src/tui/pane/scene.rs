//! A scene on a braille canvas, its notes below it.

use super::Theme;
use agon_core::scene::{Cell, Ink, Scene, Shape};
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

pub fn draw(frame: &mut Frame<'_>, area: Rect, title: &str, scene: Option<&Scene>, theme: Theme) {
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
    let line = |(name, value): &(String, String)| Words::from(format!("{name:<12} {value}"));
    let lines: Vec<Words<'_>> = scene.notes.iter().map(line).collect();
    frame.render_widget(Paragraph::new(lines), words);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::Map;

    fn shown(scene: &Scene, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let theme = Theme { colour: true };
        terminal.draw(|frame| draw(frame, frame.area(), "game", Some(scene), theme)).unwrap();
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
        terminal.draw(|frame| draw(frame, frame.area(), "", Some(&after), theme)).unwrap();
        let cell = |x, y| terminal.backend().buffer()[(x, y)].clone();
        assert!(cell(1, 2).modifier.contains(Modifier::REVERSED) && !cell(1, 1).modifier.contains(Modifier::REVERSED));
        assert_ne!(cell(1, 1).fg, cell(3, 2).fg);
    }
}
