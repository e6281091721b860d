//! A picture of a state in world units, flat or in three dimensions, for any front end to draw; independent of drawing
//! libraries.

use crate::graph::Graph;
use crate::observation::Field;

/// Decimals to print of a number: `usual`, or more where it is too small for them.
pub fn digits(x: f64, usual: usize) -> usize {
    let size = x.abs();
    if !size.is_normal() || size >= 10f64.powi(1 - usual as i32) {
        return usual;
    }
    usual.max((2.0 - size.log10().floor()) as usize)
}

/// A number to `n` significant digits without zeros at its end; whole digits are all kept: `24.75`, `0.0125`, `123457`.
pub fn significant(x: f64, n: usize) -> String {
    let size = if x == 0.0 { 0 } else { x.abs().log10().floor() as i32 };
    if !x.is_finite() || !(-5..12).contains(&size) {
        return format!("{x:.*e}", n.saturating_sub(1));
    }
    let text = format!("{x:.*}", (n as i32 - 1 - size).max(0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// An amount of money, in whatever currency: two decimals, or more where it is small.
pub fn money(x: f64) -> String {
    format!("{x:.*}", digits(x, 2))
}

/// The meaning of a colour: a front end chooses the colour itself, and may have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Ground, axes, frames.
    Frame,
    /// The thing that moves.
    Body,
    /// What the agent controls.
    Agent,
    /// Its goal.
    Goal,
    /// Obstacles and dangers.
    Danger,
}

/// One thing to draw. Coordinates are in the scene's own units, y upwards.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// From (x1, y1) to (x2, y2).
    Line {
        /// Start and end.
        ends: [f64; 4],
        /// Colour.
        ink: Ink,
    },
    /// A circle.
    Circle {
        /// x, y, radius.
        at: [f64; 3],
        /// Colour.
        ink: Ink,
    },
    /// A rectangle by its lower left corner, width and height.
    Rect {
        /// x, y, width, height.
        at: [f64; 4],
        /// Colour.
        ink: Ink,
    },
    /// Text.
    Text {
        /// x, y of the first character.
        at: [f64; 2],
        /// The text.
        text: String,
        /// Colour.
        ink: Ink,
    },
}

/// A point or a vector in three dimensions: x, y, and z upwards.
pub type Vector = [f64; 3];

/// One thing to draw in three dimensions.
#[derive(Clone, Debug, PartialEq)]
pub enum Solid {
    /// A thin line.
    Segment {
        /// Start and end.
        ends: [Vector; 2],
    },
    /// All points so near a line; a sphere where its ends are one.
    Capsule {
        /// Start and end of the line.
        ends: [Vector; 2],
        /// Its radius.
        radius: f64,
    },
    /// A box.
    Box {
        /// Its middle.
        centre: Vector,
        /// From there to the middles of three sides, perpendicular to each other.
        half_axes: [Vector; 3],
    },
    /// An ellipsoid.
    Ellipsoid {
        /// Its middle.
        centre: Vector,
        /// Perpendicular to each other.
        half_axes: [Vector; 3],
    },
    /// A cylinder.
    Cylinder {
        /// Its middle.
        centre: Vector,
        /// Perpendicular to each other, the third along it.
        half_axes: [Vector; 3],
    },
}

/// A picture in three dimensions, seen by a camera that follows `centre`. Front ends may let people turn it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    /// What stands there, in any order.
    pub solids: Vec<(Solid, Ink)>,
    /// Where things touch.
    pub contacts: Vec<Vector>,
    /// The height of level ground, if there is any.
    pub ground: Option<f64>,
    /// What the camera looks at.
    pub centre: Vector,
    /// What is so near to `centre` is in the picture.
    pub reach: f64,
    /// Where the camera stands, seen from `centre`: rad from the x axis towards the y axis.
    pub azimuth: f64,
    /// The same: rad above the horizon.
    pub elevation: f64,
}

/// A number in its range, to be shown as a bar from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its smallest and its largest value.
    pub range: [f64; 2],
}

/// A drawing and its window of the world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// Left, right.
    pub x: [f64; 2],
    /// Bottom, top.
    pub y: [f64; 2],
    /// In drawing order.
    pub shapes: Vec<Shape>,
    /// Named values to show beside the picture.
    pub notes: Vec<(String, String)>,
    /// A board of characters in place of shapes: rows of cells, to be shown completely or not at all.
    pub board: Vec<Vec<Cell>>,
    /// The actions that led here, as text.
    pub caption: String,
    /// A picture in three dimensions in place of shapes.
    pub space: Option<Space>,
    /// Bars beside a picture in three dimensions.
    pub bars: Vec<Bar>,
    /// What led here, as curves: of each product its prices, say. Shown one at a time, beside the picture or in its place.
    pub graphs: Vec<Graph>,
}

/// One character of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The character.
    pub letter: char,
    /// Colour.
    pub ink: Ink,
    /// Whether the last move changed it.
    pub changed: bool,
}

impl Scene {
    /// Empties it and sets the window.
    pub fn window(&mut self, x: [f64; 2], y: [f64; 2]) {
        *self = Self { x, y, ..Self::default() };
    }

    /// Whether there is a picture of the state itself, beside graphs of what led to it.
    pub fn has_picture(&self) -> bool {
        !self.shapes.is_empty() || !self.board.is_empty() || self.space.is_some() || self.graphs.is_empty()
    }

    /// Adds a line.
    pub fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, ink: Ink) {
        self.shapes.push(Shape::Line { ends: [x1, y1, x2, y2], ink });
    }

    /// Adds a circle.
    pub fn circle(&mut self, x: f64, y: f64, radius: f64, ink: Ink) {
        self.shapes.push(Shape::Circle { at: [x, y, radius], ink });
    }

    /// Adds a rectangle.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, ink: Ink) {
        self.shapes.push(Shape::Rect { at: [x, y, width, height], ink });
    }

    /// Adds text.
    pub fn text(&mut self, x: f64, y: f64, text: impl Into<String>, ink: Ink) {
        self.shapes.push(Shape::Text { at: [x, y], text: text.into(), ink });
    }

    /// Draws a board of characters.
    pub fn board(&mut self, text: &str, ink: impl Fn(usize, usize, char) -> Ink) {
        let cell = |row, (column, letter)| Cell { letter, ink: ink(row, column, letter), changed: false };
        let rows = text.lines().enumerate();
        self.board = rows.map(|(row, line)| line.chars().enumerate().map(|c| cell(row, c)).collect()).collect();
    }

    /// Marks the cells in which a board differs from the one before.
    pub fn mark_changes(&mut self, before: &Self) {
        for (row, old) in self.board.iter_mut().zip(&before.board) {
            row.iter_mut().zip(old).for_each(|(cell, old)| cell.changed = cell.letter != old.letter);
        }
    }

    /// Shows the numbers of an action as bars beside a picture in three dimensions; elsewhere it does nothing.
    pub fn show_action(&mut self, fields: &[Field], action: &[f32]) {
        let bar = |(field, value): (&Field, &f32)| {
            let (low, high) = (f64::from(field.low), f64::from(field.high));
            Bar { name: field.name.clone(), value: f64::from(*value).clamp(low, high), range: [low, high] }
        };
        if self.space.is_some() {
            self.bars = fields.iter().zip(action).map(bar).collect();
        }
    }

    /// Adds a named value.
    pub fn note(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.notes.push((name.into(), value.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        for (x, wanted) in [
            (0.0, "0"),
            (24.75, "24.75"),
            (-0.012_345, "-0.01235"),
            (123_456.7, "123457"),
            (1.5e-7, "1.500e-7"),
            (100.0, "100"),
        ] {
            assert_eq!(significant(x, 4), wanted);
        }
    }

    #[test]
    fn small_amounts_keep_their_digits() {
        let shown = [
            (0.61, "0.61"),
            (12.0, "12.00"),
            (0.0, "0.00"),
            (-0.012, "-0.0120"),
            (2.123e-5, "0.0000212"),
            (-3.5, "-3.50"),
        ];
        for (x, text) in shown {
            assert_eq!(money(x), text);
        }
        assert_eq!((digits(0.05, 3), digits(0.0005, 4), digits(f64::NAN, 2)), (3, 6, 2));
    }
}
