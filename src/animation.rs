//! Episodes as animated pictures (GIF89a): what is drawn, without words and numbers.

use crate::raster::{Orbit, Picture};
use crate::tui::pane::Theme;
use crate::tui::pictures::Choice;
use agon_core::Scene;
use agon_core::scene::Ink;
use gif::{Encoder, Frame, Repeat};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use std::borrow::Cow;

/// Dots of a picture.
const SIZE: [usize; 2] = [480, 360];
/// Hundredths of a second that a picture is shown.
const DELAY: u16 = 5;
/// Of longer episodes some steps are left out.
const MOST_PICTURES: usize = 500;
/// Steps from dark to light.
const TONES: usize = 16;
const BACKGROUND: [u8; 3] = [16, 18, 24];
const INKS: [(Ink, [u8; 3]); 5] = [
    (Ink::Frame, [170, 170, 170]),
    (Ink::Body, [90, 160, 255]),
    (Ink::Agent, [255, 200, 80]),
    (Ink::Goal, [90, 230, 110]),
    (Ink::Danger, [255, 90, 90]),
];

/// The background, then every ink from dark to light.
fn palette() -> Vec<u8> {
    let mut palette = BACKGROUND.to_vec();
    for (_, full) in INKS {
        for tone in 1..=TONES {
            let mixed = |(dark, light): (u8, u8)| {
                let share = tone as f64 / TONES as f64;
                (f64::from(dark) + share * (f64::from(light) - f64::from(dark))) as u8
            };
            palette.extend(BACKGROUND.into_iter().zip(full).map(mixed));
        }
    }
    palette
}

/// The place of a colour in the palette.
fn colour(ink: Ink, tone: f64) -> u8 {
    let place = INKS.iter().position(|(other, _)| *other == ink).unwrap_or(0);
    (1 + place * TONES + (tone * TONES as f64).clamp(0.0, TONES as f64 - 1.0) as usize) as u8
}

/// The animation, as the bytes of a file. An error if these scenes are boards of characters, or if nothing is drawn.
pub fn of(scenes: &[Scene]) -> Result<Vec<u8>, String> {
    if scenes.iter().any(|scene| scene.space.is_none() && scene.shapes.is_empty() && scene.graphs.is_empty()) {
        return Err("its pictures are text: write a .cast instead".into());
    }
    let [width, height] = SIZE;
    let broken = |e: gif::EncodingError| e.to_string();
    let mut encoder = Encoder::new(Vec::new(), width as u16, height as u16, &palette()).map_err(broken)?;
    encoder.set_repeat(Repeat::Infinite).map_err(broken)?;
    for scene in scenes.iter().step_by(scenes.len().div_ceil(MOST_PICTURES).max(1)) {
        let buffer = Cow::Owned(if scene.space.is_some() { deep(scene) } else { flat(scene) });
        let frame = Frame { width: width as u16, height: height as u16, delay: DELAY, buffer, ..Frame::default() };
        encoder.write_frame(&frame).map_err(broken)?;
    }
    encoder.into_inner().map_err(|e| e.to_string())
}

/// A picture in three dimensions, dot for dot.
fn deep(scene: &Scene) -> Vec<u8> {
    let [width, height] = SIZE;
    let Some(space) = &scene.space else { return vec![0; width * height] };
    let picture = Picture::new(space, Orbit::default(), width, height);
    let dot = |i: usize| picture.at(i % width, i / width).map_or(0, |dot| colour(dot.ink, dot.tone));
    (0..width * height).map(dot).collect()
}

/// A flat picture: what the braille canvas of the dashboard shows, each dot two by two.
fn flat(scene: &Scene) -> Vec<u8> {
    let [width, height] = SIZE;
    let scene = Scene { notes: Vec::new(), ..scene.clone() };
    // Two columns and two rows of characters are the pane's frame.
    let (columns, rows) = (width / 4, height / 8);
    let Ok(mut terminal) = Terminal::new(TestBackend::new(columns as u16 + 2, rows as u16 + 2));
    let theme = Theme { colour: true };
    let Ok(_) = terminal.draw(|frame| {
        let choice = Choice::default();
        choice.draw(frame, frame.area(), "", choice.of(Some(&scene), &[]), Orbit::default(), theme);
    });
    let screen = terminal.backend().buffer();
    /// The bit of each dot of a braille character, by row and column (Unicode's order).
    const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    let dot = |i: usize| {
        let (x, y) = (i % width / 2, i / width / 2);
        let cell = &screen[((x / 2) as u16 + 1, (y / 4) as u16 + 1)];
        let bits = cell.symbol().chars().next().map_or(0, u32::from).wrapping_sub(0x2800);
        let ink = match cell.fg {
            Color::Blue | Color::Cyan => Ink::Body,
            Color::Yellow => Ink::Agent,
            Color::Green => Ink::Goal,
            Color::Red => Ink::Danger,
            _ => Ink::Frame,
        };
        if bits < 256 && bits & BITS[y % 4][x % 2] != 0 { colour(ink, 1.0) } else { 0 }
    };
    (0..width * height).map(dot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::scene::{Solid, Space};

    /// Read back by the decoder: as many pictures, in which the same things have the same colours.
    #[test]
    fn pictures_are_read_back() {
        let mut flat = Scene::default();
        flat.window([-1.0, 1.0], [-1.0, 1.0]);
        flat.line(-1.0, 0.0, 1.0, 0.0, Ink::Agent);
        let ball = Solid::Capsule { ends: [[0.0; 3]; 2], radius: 0.5 };
        let space = Space { solids: vec![(ball, Ink::Goal)], reach: 1.0, ..Space::default() };
        let deep = Scene { space: Some(space), ..Scene::default() };
        for (scene, ink) in [(flat, Ink::Agent), (deep, Ink::Goal)] {
            let bytes = of(&vec![scene; 3]).unwrap();
            let mut options = gif::DecodeOptions::new();
            options.set_color_output(gif::ColorOutput::Indexed);
            let mut decoder = options.read_info(bytes.as_slice()).unwrap();
            let mut pictures = 0;
            while let Some(frame) = decoder.read_next_frame().unwrap() {
                pictures += 1;
                let (first, last) = (colour(ink, 0.0), colour(ink, 1.0));
                let painted = frame.buffer.iter().filter(|c| (first..=last).contains(*c)).count();
                assert!(painted > 400 && frame.buffer.iter().all(|c| *c == 0 || (first..=last).contains(c)));
            }
            assert_eq!(pictures, 3);
        }
    }

    #[test]
    fn boards_have_no_animation() {
        let mut scene = Scene::default();
        scene.board("x .", |_, _, _| Ink::Agent);
        assert!(of(&[scene]).unwrap_err().contains(".cast"));
    }
}
