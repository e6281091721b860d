//! Tables that people bring, for supervised training: cells become typed columns ([`cells`], [`written`]), rows are divided into parts
//! ([`split`]), a target and its task are found ([`dataset`]), what is odd is reported ([`report`]), and columns become
//! numbers by what the training part says of them ([`encode`]).

pub mod blocks;
pub mod cells;
pub mod dataset;
pub mod drift;
pub mod encode;
mod labelled;
pub mod report;
pub mod split;
pub mod text;
pub mod tokens;
pub mod unlabelled;
pub mod written;

use self::written::Way;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A table as it was read: every cell is text.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// Columns, in order.
    pub names: Vec<String>,
    /// The line of the file that each row begins on.
    pub lines: Vec<u64>,
    /// Whether a comma divides whole numbers from their fraction.
    pub decimal_comma: bool,
    text: String,
    ends: Vec<usize>,
}

impl Raw {
    /// A table with these columns and no rows.
    pub fn new(names: Vec<String>, decimal_comma: bool) -> Self {
        Self { names, decimal_comma, ..Self::default() }
    }

    /// Adds a row; `cells` must be as many as there are columns.
    pub fn push<'a>(&mut self, line: u64, cells: impl IntoIterator<Item = &'a str>) {
        for cell in cells {
            self.text.push_str(cell.trim());
            self.ends.push(self.text.len());
        }
        self.lines.push(line);
        debug_assert_eq!(self.ends.len(), self.lines.len() * self.names.len());
    }

    /// Some of its rows, in this order.
    pub fn some(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        let mut some = Self::new(self.names.clone(), self.decimal_comma);
        for row in rows {
            some.push(self.lines[row], (0..self.names.len()).map(|column| self.cell(row, column)));
        }
        some
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// A cell without spaces around it.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        let at = row * self.names.len() + column;
        &self.text[if at == 0 { 0 } else { self.ends[at - 1] }..self.ends[at]]
    }

    /// A cell as a plain number, with the table's decimal mark; none where it is none, or not finite.
    pub fn number(&self, row: usize, column: usize) -> Option<f64> {
        let cell = self.cell(row, column);
        let plain = if self.decimal_comma { cell.replace(',', ".") } else { cell.to_owned() };
        plain.parse().ok().filter(|x: &f64| x.is_finite())
    }

    /// The cells of a column, missing ones as none.
    pub fn column(&self, column: usize) -> impl Iterator<Item = Option<&str>> + Clone {
        (0..self.rows()).map(move |row| Some(self.cell(row, column)).filter(|cell| !cells::is_missing(cell)))
    }

    /// The column of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Numbers.
    Number,
    /// Dates, with or without a time: as numbers of days since 1970.
    Date,
    /// Yes or no.
    Boolean,
    /// One of a few labels.
    Category,
    /// Free text, which models may read as words; or names, of which hardly two are equal: not used.
    Text,
}

impl Kind {
    /// As people read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::Boolean => "boolean",
            Self::Category => "category",
            Self::Text => "text",
        }
    }
}

/// The values of a column, a row each.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers and dates; NaN where one is missing.
    Numbers(Vec<f64>),
    /// Labels in the order of the alphabet, and which of them each row has.
    Labels(Vec<String>, Vec<Option<u32>>),
}

/// A typed column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// A value for each row.
    pub values: Values,
    /// How they were written, of numbers and dates that were read from text.
    pub way: Option<Way>,
}

impl Column {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Numbers(x) => x.len(),
            Values::Labels(_, codes) => codes.len(),
        }
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a row's value is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match &self.values {
            Values::Numbers(x) => x[row].is_nan(),
            Values::Labels(_, codes) => codes[row].is_none(),
        }
    }

    /// Bits that are equal where values are equal; missing ones are equal too.
    pub fn key(&self, row: usize) -> u64 {
        match &self.values {
            Values::Numbers(x) if x[row].is_nan() => u64::MAX,
            // −0 is 0.
            Values::Numbers(x) => (x[row] + 0.0).to_bits(),
            Values::Labels(_, codes) => codes[row].map_or(u64::MAX, u64::from),
        }
    }

    /// How many different values there are, missing ones not counted.
    pub fn distinct(&self) -> usize {
        match &self.values {
            Values::Labels(labels, _) => labels.len(),
            Values::Numbers(_) => {
                let mut keys: Vec<u64> =
                    (0..self.len()).filter(|r| !self.is_missing(*r)).map(|r| self.key(r)).collect();
                keys.sort_unstable();
                keys.dedup();
                keys.len()
            }
        }
    }

    /// The column of this name of a table, of the rows that begin on these lines, which are in order; its type follows
    /// from all rows. None where no column is called so.
    pub fn of_lines(raw: &Raw, name: &str, lines: &[u64]) -> Option<Self> {
        let whole = cells::infer(raw, raw.find(name)?);
        let rows: Vec<usize> = lines.iter().filter_map(|line| raw.lines.binary_search(line).ok()).collect();
        let values = match &whole.values {
            Values::Numbers(x) => Values::Numbers(rows.iter().map(|row| x[*row]).collect()),
            Values::Labels(labels, codes) => {
                Values::Labels(labels.clone(), rows.iter().map(|row| codes[*row]).collect())
            }
        };
        Some(Self { values, ..whole })
    }

    /// A column of labels from its cells.
    pub fn labels<'a>(name: &str, kind: Kind, cells: impl Iterator<Item = Option<&'a str>> + Clone) -> Self {
        let all: BTreeMap<&str, u32> = cells.clone().flatten().map(|cell| (cell, 0)).collect();
        let order: BTreeMap<&str, u32> = all.into_keys().zip(0..).collect();
        let codes = cells.map(|cell| cell.map(|cell| order[cell])).collect();
        Self {
            name: name.into(),
            kind,
            values: Values::Labels(order.into_keys().map(String::from).collect(), codes),
            way: None,
        }
    }
}
