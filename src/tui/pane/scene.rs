//! A scene on a braille canvas, its notes below it.

use super::Theme;
use agon_core::scene::{Ink, Scene, Shape};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::Line as Words;
use ratatui::widgets::canvas::{Canvas, Circle, Line, Rectangle};
use ratatui::widgets::{Block, Paragraph};

fn colour(ink: Ink) -> Color {
    match ink {
        Ink::Frame => Color::Gray,
        Ink::Body => Color::Blue,
        Ink::Agent => Color::Yellow,
        Ink::Goal => Color::Green,
        Ink::Danger => Color::Red,
    }
}

pub fn draw(frame: &mut Frame<'_>, area: Rect, title: &str, scene: Option<&Scene>, theme: Theme) {
    let block = Block::bordered().title(format!(" {title} "));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let Some(scene) = scene else {
        frame.render_widget(Paragraph::new("no picture yet").style(theme.faint()), inside);
        return;
    };
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
