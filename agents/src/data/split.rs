//! Rows divided into a training, a validation and a test part.

use super::{Column, Raw};
use crate::agent::AgentError;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use std::collections::BTreeMap;

agon_core::choices! {
    /// How rows are divided into parts.
    pub enum Method {
        Auto = "auto",
        Random = "random",
        Stratified = "stratified",
        Group = "group",
        Time = "time",
        Given = "given",
    }
}

/// The rows of each part, in the order of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// What is learned from.
    pub train: Vec<usize>,
    /// What decides when learning ends, and what probabilities and intervals are calibrated on.
    pub validation: Vec<usize>,
    /// What is looked at once, at the end.
    pub test: Vec<usize>,
}

impl Split {
    fn sorted(mut self) -> Self {
        [&mut self.train, &mut self.validation, &mut self.test].into_iter().for_each(|part| part.sort_unstable());
        self
    }
}

/// How many of `n` are for validation and for the test.
fn counts(n: usize, [validation, test]: [f64; 2]) -> [usize; 2] {
    [validation, test].map(|share| (share * n as f64).round() as usize)
}

/// Whole units, whatever they are, in random order: the first ones for the test, the next for validation. `units[i]` are
/// rows that must stay together. Equal seeds give equal parts.
fn deal(units: &[Vec<usize>], shares: [f64; 2], rng: &mut Rng, into: &mut Split) {
    let rows: usize = units.iter().map(Vec::len).sum();
    let [validation, test] = counts(rows, shares);
    let mut order: Vec<usize> = (0..units.len()).collect();
    rng.shuffle(&mut order);
    let (mut tested, mut validated) = (0, 0);
    for unit in order.into_iter().map(|i| &units[i]) {
        let half = unit.len().div_ceil(2);
        if tested + half <= test {
            tested += unit.len();
            into.test.extend(unit);
        } else if validated + half <= validation {
            validated += unit.len();
            into.validation.extend(unit);
        } else {
            into.train.extend(unit);
        }
    }
}

/// At random. `units`: a number for each row; rows with the same number, such as duplicates, stay together.
pub fn random(units: &[u32], shares: [f64; 2], seed: u64) -> Split {
    let mut split = Split::default();
    deal(&together(units, |_| true), shares, &mut Rng::new(seed, Stream::Shuffle, 0), &mut split);
    split.sorted()
}

/// At random within each class, so that all parts have about the same shares of the classes.
pub fn stratified(units: &[u32], class: &[u32], shares: [f64; 2], seed: u64) -> Split {
    let (mut split, mut lane) = (Split::default(), 0);
    let mut classes: Vec<u32> = class.to_vec();
    classes.sort_unstable();
    classes.dedup();
    // A unit belongs to the class of its first row.
    let mut of_unit: BTreeMap<u32, u32> = BTreeMap::new();
    units.iter().zip(class).for_each(|(unit, class)| {
        of_unit.entry(*unit).or_insert(*class);
    });
    for class in classes {
        let all = together(units, |unit| of_unit[&unit] == class);
        deal(&all, shares, &mut Rng::new(seed, Stream::Shuffle, lane), &mut split);
        lane += 1;
    }
    split.sorted()
}

/// The last rows in time for the test, those before for validation; rows of the same time stay together.
pub fn by_time(time: &[f64], shares: [f64; 2]) -> Split {
    let mut order: Vec<usize> = (0..time.len()).collect();
    order.sort_by(|a, b| time[*a].total_cmp(&time[*b]));
    let [validation, test] = counts(time.len(), shares);
    let n = time.len();
    // A boundary goes back to the first row of its time.
    let cut = |at: usize| {
        let mut at = at.min(n);
        while at > 0 && at < n && time[order[at - 1]] == time[order[at]] {
            at -= 1;
        }
        at
    };
    let (second, first) = (cut(n - test), cut(n - test - validation));
    Split { train: order[..first].to_vec(), validation: order[first..second].to_vec(), test: order[second..].to_vec() }
        .sorted()
}

/// Whether a cell of such a column says that its row is learned from.
pub fn is_training(cell: &str) -> bool {
    ["train", "training"].contains(&cell)
}

/// As a column says: train, validation or test.
///
/// # Errors
/// [`AgentError::Settings`] where it says something else, with the line.
pub fn given(raw: &Raw, column: &Column) -> Result<Split, AgentError> {
    let mut split = Split::default();
    let at = raw.find(&column.name).unwrap_or(0);
    for row in 0..raw.rows() {
        match raw.cell(row, at) {
            cell if is_training(cell) => split.train.push(row),
            "validation" => split.validation.push(row),
            "test" => split.test.push(row),
            other => {
                let what = format!("line {}: `{other}` is none of train, validation, test", raw.lines[row]);
                return Err(Issue::value("split_by", what).into());
            }
        }
    }
    Ok(split)
}

/// Folds of about the same size and with about the same shares of the classes; rows with the same unit are in one fold, which
/// has the class of its first row. Equal seeds give equal folds.
pub fn folds(units: &[u32], class: &[u32], count: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut all = together(units, |_| true);
    Rng::new(seed, Stream::Shuffle, FOLDS).shuffle(&mut all);
    all.sort_by_key(|rows| class[rows[0]]);
    let mut folds = vec![Vec::new(); count];
    // The smallest one is next, so that large units do not make one fold larger than the others.
    for rows in all {
        let next = (0..count).min_by_key(|fold| folds[*fold].len()).unwrap_or(0);
        folds[next].extend(rows);
    }
    folds.iter_mut().for_each(|fold| fold.sort_unstable());
    folds
}

/// The lane of the random numbers behind folds.
const FOLDS: u32 = u32::MAX - 5;

/// The rows of each unit, units in the order of their numbers.
fn together(units: &[u32], wanted: impl Fn(u32) -> bool) -> Vec<Vec<usize>> {
    let mut all: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, unit) in units.iter().enumerate().filter(|(_, unit)| wanted(**unit)) {
        all.entry(*unit).or_default().push(row);
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_whole(split: &Split, n: usize) {
        let mut all: Vec<usize> =
            [&split.train, &split.validation, &split.test].into_iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..n).collect::<Vec<_>>());
    }

    #[test]
    fn every_row_is_in_one_part_and_the_seed_decides() {
        let rows: Vec<u32> = (0..200).collect();
        let split = random(&rows, [0.15, 0.15], 1);
        is_whole(&split, 200);
        assert_eq!((split.validation.len(), split.test.len()), (30, 30));
        assert_eq!(split, random(&rows, [0.15, 0.15], 1));
        assert_ne!(split, random(&rows, [0.15, 0.15], 2));
    }

    #[test]
    fn folds_are_even_and_keep_units_and_shares() {
        let (units, class): (Vec<u32>, Vec<u32>) = (0..300).map(|i| (i / 3, u32::from(i / 3 % 5 == 0))).unzip();
        let found = folds(&units, &class, 5, 1);
        let mut all: Vec<usize> = found.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..300).collect::<Vec<_>>());
        for fold in &found {
            assert_eq!((fold.len(), fold.iter().filter(|row| class[**row] == 1).count()), (60, 12));
            assert!((0..100).all(|unit| [0, 3].contains(&fold.iter().filter(|row| units[**row] == unit).count())));
        }
        assert!(found == folds(&units, &class, 5, 1) && found != folds(&units, &class, 5, 2));
    }

    #[test]
    fn strata_keep_their_shares() {
        let (rows, class): (Vec<u32>, Vec<u32>) = (0..1000).map(|i| (i, u32::from(i % 10 == 0))).unzip();
        let split = stratified(&rows, &class, [0.2, 0.1], 3);
        is_whole(&split, 1000);
        for (part, many) in [(&split.validation, 20), (&split.test, 10)] {
            assert_eq!(part.iter().filter(|row| class[**row] == 1).count(), many);
        }
    }

    #[test]
    fn units_stay_together_and_time_is_not_turned_back() {
        let units: Vec<u32> = (0..300).map(|row| row / 10).collect();
        let split = random(&units, [0.15, 0.15], 5);
        is_whole(&split, 300);
        for part in [&split.train, &split.validation, &split.test] {
            assert!(!part.is_empty());
            assert!((0..30).all(|unit| [0, 10].contains(&part.iter().filter(|row| units[**row] == unit).count())));
        }
        let time: Vec<f64> = (0..100).map(|i| f64::from((i * 37) % 100 / 3)).collect();
        let split = by_time(&time, [0.15, 0.15]);
        is_whole(&split, 100);
        let ends = |part: &[usize]| {
            let times = || part.iter().map(|row| time[*row]);
            [times().fold(f64::INFINITY, f64::min), times().fold(f64::NEG_INFINITY, f64::max)]
        };
        assert!(ends(&split.train)[1] < ends(&split.validation)[0]);
        assert!(ends(&split.validation)[1] < ends(&split.test)[0]);
    }
}
