//! What was found in a table before anything is learned from it, and what was done about each finding.

use super::encode::quantile;
use super::split::Split;
use super::{Column, Kind, Values};
use serde::Serialize;
use std::collections::HashMap;

/// Something odd about a table.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Of which column, if of one.
    pub column: Option<String>,
    /// What was found.
    pub what: String,
    /// What was done about it.
    pub done: String,
    /// Whether results may mean nothing because of it.
    pub warning: bool,
}

/// A column in the report.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Rows without a value.
    pub missing: usize,
    /// Different values.
    pub distinct: usize,
    /// `input`, `target`, or why it is not used.
    pub used: String,
}

impl About {
    /// Of a column that is used so.
    pub fn new(column: &Column, used: &str) -> Self {
        let missing = (0..column.len()).filter(|row| column.is_missing(*row)).count();
        Self { name: column.name.clone(), kind: column.kind, missing, distinct: column.distinct(), used: used.into() }
    }
}

/// The report of a table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// Rows in the file.
    pub rows: usize,
    /// What is predicted.
    pub target: String,
    /// `binary`, `multiclass` or `regression`.
    pub task: String,
    /// Classes and how many rows have each; nothing for a regression.
    pub classes: Vec<(String, usize)>,
    /// Rows of the training, validation and test part.
    pub parts: [usize; 3],
    /// How they were divided.
    pub split: String,
    /// All columns in the order of the file.
    pub columns: Vec<About>,
    /// What is odd.
    pub findings: Vec<Finding>,
    /// The size and colours of pictures; none of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<String>,
}

/// Columns that are listed in a terminal.
const SHOWN: usize = 40;

impl Report {
    /// Adds a finding.
    pub fn find(&mut self, column: Option<&str>, what: impl Into<String>, done: impl Into<String>) {
        let column = column.map(String::from);
        self.findings.push(Finding { column, what: what.into(), done: done.into(), warning: false });
    }

    /// Adds a finding that may make results meaningless.
    pub fn warn(&mut self, column: Option<&str>, what: impl Into<String>, done: impl Into<String>) {
        self.find(column, what, done);
        self.findings.last_mut().into_iter().for_each(|f| f.warning = true);
    }

    /// What there are so many of.
    pub fn noun(&self) -> &'static str {
        if self.pictures.is_some() { "pictures" } else { "rows" }
    }

    /// How many there are, and of what.
    pub fn extent(&self) -> String {
        match &self.pictures {
            Some(size) => format!("{} pictures, {size}", self.rows),
            None => format!("{} rows, {} columns", self.rows, self.columns.len()),
        }
    }

    /// For a terminal.
    pub fn lines(&self) -> Vec<String> {
        let columns = self.columns.len();
        let mut lines = vec![format!("{}: {}", self.file, self.extent())];
        let classes: Vec<String> = self.classes.iter().take(8).map(|(name, n)| format!("{name} {n}")).collect();
        let more = if self.classes.len() > 8 { ", …" } else { "" };
        lines.push(match self.classes.len() {
            0 if self.target.is_empty() => "  no target: what the columns say of each other".into(),
            0 => format!("  target `{}`: {}", self.target, self.task),
            n => format!("  target `{}`: {}, {n} classes ({}{more})", self.target, self.task, classes.join(", ")),
        });
        let [train, validation, test] = self.parts;
        lines.push(format!(
            "  split: {train} {} for training, {validation} validation, {test} test ({})",
            self.noun(),
            self.split
        ));
        let wide = self.columns.iter().take(SHOWN).map(|c| c.name.chars().count()).max().unwrap_or(0).clamp(6, 40);
        if columns > 0 {
            lines.push(format!("  {:<wide$}  {:<9}{:>8}{:>10}  use", "column", "type", "missing", "distinct"));
        }
        for c in self.columns.iter().take(SHOWN) {
            let name: String = c.name.chars().take(40).collect();
            lines.push(format!("  {name:<wide$}  {:<9}{:>8}{:>10}  {}", c.kind.word(), c.missing, c.distinct, c.used));
        }
        if columns > SHOWN {
            lines.push(format!("  and {} more columns (data-report.json has all)", columns - SHOWN));
        }
        for f in self.findings.iter().take(SHOWN) {
            let of = f.column.as_ref().map_or(String::new(), |c| format!("`{c}`: "));
            lines.push(format!("  {}: {of}{}; {}", if f.warning { "WARNING" } else { "note" }, f.what, f.done));
        }
        if self.findings.len() > SHOWN {
            lines.push(format!("  and {} more findings (data-report.json has all)", self.findings.len() - SHOWN));
        }
        lines
    }
}

/// For every row the number of the first row that is equal in these columns.
pub fn equal_rows(columns: &[&Column], rows: usize, key: impl Fn(&Column, usize) -> u64) -> Vec<u32> {
    let mut first: HashMap<Vec<u64>, u32> = HashMap::with_capacity(rows);
    (0..rows)
        .map(|row| {
            let keys = columns.iter().map(|c| key(c, row)).collect();
            *first.entry(keys).or_insert(row as u32)
        })
        .collect()
}

/// A value up to three significant digits of its number.
pub fn rounded(column: &Column, row: usize) -> u64 {
    match &column.values {
        Values::Numbers(x) if x[row].is_finite() && x[row] != 0.0 => {
            let size = 10f64.powf(x[row].abs().log10().floor() - 2.0);
            ((x[row] / size).round() * size).to_bits()
        }
        _ => column.key(row),
    }
}

/// How many rows are not the first of their kind.
pub fn repeated(first: &[u32]) -> usize {
    first.iter().enumerate().filter(|(row, first)| **first as usize != *row).count()
}

/// Rows of the training part that are far outside the middle half of its numbers.
pub fn outliers(x: &[f64], rows: &[usize]) -> usize {
    let mut seen: Vec<f64> = rows.iter().map(|row| x[*row]).filter(|x| !x.is_nan()).collect();
    if seen.len() < 20 {
        return 0;
    }
    seen.sort_by(f64::total_cmp);
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(&seen, share));
    let far = 10.0 * (high - low);
    if far > 0.0 { seen.iter().filter(|x| (*x - middle).abs() > far).count() } else { 0 }
}

/// How well a column alone predicts the target: learned of the training part, tested on the validation part. For classes
/// the share of right ones, for numbers R²; with what is right without any column. None where there are too few rows.
pub fn alone(column: &Column, y: &[f64], classes: usize, split: &Split) -> Option<[f64; 2]> {
    const BINS: usize = 64;
    if split.validation.len() < 20 || split.train.len() < 50 {
        return None;
    }
    let mut edges: Vec<f64> = Vec::new();
    if let Values::Numbers(x) = &column.values {
        let mut seen: Vec<f64> = split.train.iter().map(|row| x[*row]).filter(|x| !x.is_nan()).collect();
        seen.sort_by(f64::total_cmp);
        if seen.is_empty() {
            return None;
        }
        edges = (1..BINS).map(|i| quantile(&seen, i as f64 / BINS as f64)).collect();
        edges.dedup();
    }
    let bin = |row: usize| match &column.values {
        Values::Numbers(x) if x[row].is_nan() => usize::MAX,
        Values::Numbers(x) => edges.partition_point(|edge| *edge <= x[row]),
        Values::Labels(_, codes) => codes[row].map_or(usize::MAX, |code| code as usize),
    };
    let part = |rows: &[usize]| rows.iter().map(|row| (bin(*row), y[*row])).collect::<Vec<_>>();
    let (train, validation) = (part(&split.train), part(&split.validation));
    let n = validation.len() as f64;
    if classes == 0 {
        let mean = train.iter().map(|(_, y)| y).sum::<f64>() / train.len() as f64;
        let mut sums: HashMap<usize, [f64; 2]> = HashMap::new();
        for (bin, y) in &train {
            let sum = sums.entry(*bin).or_default();
            (sum[0], sum[1]) = (sum[0] + y, sum[1] + 1.0);
        }
        let guess = |bin: &usize| sums.get(bin).map_or(mean, |[sum, n]| sum / n);
        let error: f64 = validation.iter().map(|(bin, y)| (y - guess(bin)).powi(2)).sum();
        let spread: f64 = validation.iter().map(|(_, y)| (y - mean).powi(2)).sum();
        return (spread > 0.0).then(|| [1.0 - error / spread, 0.0]);
    }
    let mut counts: HashMap<usize, Vec<u32>> = HashMap::new();
    let mut whole = vec![0u32; classes];
    for (bin, y) in &train {
        counts.entry(*bin).or_insert_with(|| vec![0; classes])[*y as usize] += 1;
        whole[*y as usize] += 1;
    }
    let most = |counts: &[u32]| (0..classes).rev().max_by_key(|k| counts[*k]).unwrap_or(0);
    let right = |guess: &dyn Fn(usize) -> usize| {
        validation.iter().filter(|(bin, y)| guess(*bin) == *y as usize).count() as f64 / n
    };
    let majority = most(&whole);
    Some([right(&|bin| counts.get(&bin).map_or(majority, |c| most(c))), right(&|_| majority)])
}
