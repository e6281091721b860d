//! Which client holds which row of a federation: by a column, or drawn.

use crate::agent::AgentError;
use crate::data::Column;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Setting;
use serde_json::Value;
use std::collections::HashMap;

/// The lane of the division.
const DIVISION: u32 = u32::MAX - 5;

/// Who the clients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Rows with the same value of this column are of one client.
    Column(String),
    /// So many, to which rows are dealt at random.
    Count(usize),
}

impl Setting for Clients {
    fn kind() -> String {
        "column or integer".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(name) if !name.is_empty() => Ok(Self::Column(name.clone())),
            Value::Number(_) => usize::from_value(value).map(Self::Count),
            _ => Err("expected the name of a column, or a number of clients".into()),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Column(name) => name.as_str().into(),
            Self::Count(count) => (*count).into(),
        }
    }

    fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Column(_) => Vec::new(),
            Self::Count(count) => vec![*count as f64],
        }
    }
}

/// The client of each row by a column: numbers from 0 on, in the order in which they come.
///
/// # Errors
/// [`AgentError::Data`] where a row has no value there.
pub fn by_column(column: &Column, rows: &[usize]) -> Result<Vec<u32>, AgentError> {
    let gaps = rows.iter().filter(|row| column.is_missing(**row)).count();
    if gaps > 0 {
        let why = format!("`{}` is missing in {gaps} rows of the training part: whose are they?", column.name);
        return Err(AgentError::Data(why));
    }
    let mut known: HashMap<u64, u32> = HashMap::new();
    let mut number = |row: &usize| {
        let next = known.len() as u32;
        *known.entry(column.key(*row)).or_insert(next)
    };
    Ok(rows.iter().map(&mut number).collect())
}

/// The client of each row, drawn: with `alpha`, the rows of each class are divided by shares from a Dirichlet distribution
/// with that concentration (Hsu, Qi and Brown 2019): at 0.1 most clients have few classes, at 100 all have the same.
/// `y`: the class of each row.
pub fn drawn(clients: usize, alpha: Option<f64>, y: &[f64], classes: usize, seed: u64) -> Vec<u32> {
    let mut rng = Rng::new(seed, Stream::Shuffle, DIVISION);
    let mut of = vec![0; y.len()];
    let mut deal = |rows: &mut Vec<usize>, shares: &[f64], rng: &mut Rng| {
        rng.shuffle(rows);
        let all: f64 = shares.iter().sum();
        let (mut from, mut below) = (0, 0.0);
        for (client, share) in (0..).zip(shares) {
            below += share / all;
            let to = ((below * rows.len() as f64).round() as usize).min(rows.len());
            rows[from.min(to)..to].iter().for_each(|row| of[*row] = client);
            from = to;
        }
    };
    match alpha {
        None => deal(&mut (0..y.len()).collect(), &vec![1.0; clients], &mut rng),
        Some(alpha) => (0..classes).for_each(|class| {
            let mut rows: Vec<usize> = (0..y.len()).filter(|row| y[*row] as usize == class).collect();
            let shares: Vec<f64> = (0..clients).map(|_| gamma(alpha, &mut rng)).collect();
            deal(&mut rows, &shares, &mut rng);
        }),
    }
    of
}

/// A number of the gamma distribution with this shape and scale 1 (Marsaglia and Tsang 2000); positive.
pub(super) fn gamma(shape: f64, rng: &mut Rng) -> f64 {
    if shape < 1.0 {
        let u = 1.0 - rng.f64();
        return (gamma(shape + 1.0, rng) * u.powf(1.0 / shape)).max(f64::MIN_POSITIVE);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = rng.normal();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && (1.0 - rng.f64()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Kind;

    /// Mean and variance of the gamma distribution are its shape.
    #[test]
    fn gamma_numbers_have_the_right_moments() {
        for shape in [0.3, 1.0, 4.0] {
            let mut rng = Rng::new(1, Stream::Env, 0);
            let all: Vec<f64> = (0..40_000).map(|_| gamma(shape, &mut rng)).collect();
            let mean = all.iter().sum::<f64>() / 4e4;
            let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4e4;
            assert!((mean / shape - 1.0).abs() < 0.04 && (variance / shape - 1.0).abs() < 0.08, "{mean} {variance}");
        }
    }

    #[test]
    fn a_small_concentration_skews_the_classes() {
        let y: Vec<f64> = (0..2000).map(|i| f64::from(i % 10)).collect();
        // The mean share of a client's commonest class.
        let skew = |alpha| {
            let of = drawn(20, alpha, &y, 10, 3);
            let mut counts = vec![[0usize; 10]; 20];
            of.iter().zip(&y).for_each(|(client, y)| counts[*client as usize][*y as usize] += 1);
            assert_eq!(counts.iter().flatten().sum::<usize>(), 2000);
            let share = |c: &[usize; 10]| *c.iter().max().unwrap() as f64 / c.iter().sum::<usize>().max(1) as f64;
            counts.iter().map(share).sum::<f64>() / 20.0
        };
        assert!(skew(Some(0.1)) > 0.5 && skew(Some(1000.0)) < 0.2 && skew(None) < 0.25);
        let even = drawn(7, None, &y[..100], 10, 3);
        let counts = (0..7).map(|client| even.iter().filter(|of| **of == client).count());
        assert!(counts.into_iter().all(|n| (14..=15).contains(&n)));
    }

    #[test]
    fn a_column_names_the_clients() {
        let cells = [Some("north"), Some("south"), Some("north"), None, Some("west")];
        let column = Column::labels("shop", Kind::Category, cells.into_iter());
        assert_eq!(by_column(&column, &[0, 1, 2, 4]).unwrap(), [0, 1, 0, 2]);
        let why = by_column(&column, &[0, 3]).unwrap_err().to_string();
        assert!(why.contains("`shop` is missing in 1 rows"), "{why}");
    }
}
