//! What board games share: sets of cells, names of cells, symmetries, drawings in letters.

use agon_core::game::{Action, Symmetry};

/// The numbers of the set bits, ascending.
pub struct Ones(pub u128);

impl Iterator for Ones {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        (self.0 != 0).then(|| {
            let at = self.0.trailing_zeros();
            self.0 &= self.0 - 1;
            at
        })
    }
}

/// The number of the k-th set bit of a set that has more than k.
#[inline]
pub fn nth_one(mut set: u64, k: u32) -> u32 {
    for _ in 0..k {
        set &= set - 1;
    }
    set.trailing_zeros()
}

/// Saves sets of up to 128 cells as hexadecimal text: JSON numbers are too short.
pub mod hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(sets: &[u128; 2], s: S) -> Result<S::Ok, S::Error> {
        sets.map(|b| format!("{b:x}")).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u128; 2], D::Error> {
        let [a, b] = <[String; 2]>::deserialize(d)?;
        let read = |text: String| u128::from_str_radix(&text, 16).map_err(|e| D::Error::custom(format!("{text}: {e}")));
        Ok([read(a)?, read(b)?])
    }
}

/// A cell as players of most games write it: `a1` is the left cell of the top row.
pub fn cell_name(cell: usize, columns: usize) -> String {
    let column = char::from(b'a' + (cell % columns) as u8);
    format!("{column}{}", cell / columns + 1)
}

/// Writes 1 where a cell of a plane is in the set.
#[inline]
pub fn fill(plane: &mut [f32], holds: impl Fn(usize) -> bool) {
    plane.iter_mut().enumerate().for_each(|(cell, x)| *x = f32::from(u8::from(holds(cell))));
}

/// Rows of letters with a frame of coordinates: letters below, numbers at the left.
pub fn letters(rows: usize, columns: usize, letter: impl Fn(usize) -> char) -> String {
    let mut text = String::new();
    for row in 0..rows {
        text += &format!("{:>2}", row + 1);
        (0..columns).for_each(|column| text.extend([' ', letter(row * columns + column)]));
        text.push('\n');
    }
    text += "  ";
    (0..columns).for_each(|column| text.extend([' ', char::from(b'a' + column as u8)]));
    text
}

/// A symmetry from where each cell of the new board comes from. Actions beyond the cells stay what they are.
pub fn symmetry(planes: usize, cells: usize, actions: usize, from: impl Fn(usize) -> usize) -> Symmetry {
    let mut action: Vec<Action> = (0..actions as Action).collect();
    (0..cells).for_each(|cell| action[from(cell)] = cell as Action);
    let observation = (0..planes * cells).map(|i| (i / cells * cells + from(i % cells)) as u32).collect();
    Symmetry { observation, action }
}

/// The seven symmetries of a square board beside the identity.
pub fn square(n: usize, planes: usize, actions: usize) -> Vec<Symmetry> {
    let turned = |k: usize, cell: usize| {
        let (mut row, mut column) = (cell / n, cell % n);
        if k & 1 != 0 {
            row = n - 1 - row;
        }
        if k & 2 != 0 {
            column = n - 1 - column;
        }
        if k & 4 != 0 {
            (row, column) = (column, row);
        }
        row * n + column
    };
    (1..8).map(|k| symmetry(planes, n * n, actions, |cell| turned(k, cell))).collect()
}
