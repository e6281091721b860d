//! What data must be for demand to be estimated from them: true numbers, columns that move and do not move together,
//! more weeks than coefficients, and a likelihood that has a maximum.

use super::matrix::{dot, inverse};
use super::{DemandError, Sales};

/// Movements this small beside the numbers themselves are rounding.
const STILL: f64 = 1e-9;

/// Whether all numbers are the same, up to rounding.
pub(super) fn still(numbers: impl Iterator<Item = f64> + Clone) -> bool {
    let low = numbers.clone().fold(f64::INFINITY, f64::min);
    let high = numbers.clone().fold(f64::NEG_INFINITY, f64::max);
    high - low <= STILL * numbers.map(f64::abs).fold(0.0, f64::max)
}

impl Sales {
    /// Whether a product's price never moves: then nothing is known of its effect.
    pub fn price_stands_still(&self, product: usize) -> bool {
        still(self.prices.iter().map(|week| week[product]))
    }
}

/// Numbers that are finite and can be: nothing negative, fewer units than customers, and every product bought.
pub(super) fn true_numbers(sales: &Sales) -> Result<(), DemandError> {
    let (weeks, n) = (sales.customers.len(), sales.names.len());
    let wrong = |week: usize, what: String| DemandError::Untrue { week: sales.label(week), what };
    for t in 0..weeks {
        let lists = [("units", &sales.units[t]), ("price", &sales.prices[t]), ("display", &sales.displays[t])];
        for (what, list) in lists {
            if let Some(k) = (0..n).find(|k| !(0.0..=1e15).contains(&list[*k])) {
                return Err(wrong(t, format!("{what} of {} is {}", sales.names[k], list[k])));
            }
        }
        let (sold, customers) = (sales.units[t].iter().sum::<f64>(), sales.customers[t]);
        if !(sold < customers && customers <= 1e18) {
            return Err(wrong(t, format!("{sold} units were sold to {customers} customers")));
        }
    }
    match (0..n).find(|k| sales.units.iter().all(|week| week[*k] <= 0.0)) {
        Some(k) => Err(DemandError::NeverBought(sales.names[k].clone())),
        None => Ok(()),
    }
}

/// What of a row no vector of an orthonormal basis makes up, at length one; nothing if that is rounding.
fn apart(row: &[f64], basis: &[Vec<f64>]) -> Option<Vec<f64>> {
    let length = dot(row, row).sqrt();
    let mut rest: Vec<f64> = row.iter().map(|x| x / length).collect();
    // Twice: the first time leaves rounding behind.
    for vector in basis.iter().chain(basis) {
        let along = dot(&rest, vector);
        rest.iter_mut().zip(vector).for_each(|(r, v)| *r -= along * v);
    }
    let length = dot(&rest, &rest).sqrt();
    (length > 1e-7).then(|| rest.into_iter().map(|x| x / length).collect())
}

/// A direction in which the likelihood rises for ever (Albert and Anderson 1984): it leaves the utility of what was sold
/// as it is and only lowers that of what was not. `row`: one of weeks × products, `[coefficients]`. Answers which rows it
/// lowers; none if the likelihood has a maximum.
pub(super) fn separated(row: &dyn Fn(usize) -> Vec<f64>, units: &[f64]) -> Vec<usize> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for i in (0..units.len()).filter(|i| units[*i] > 0.0) {
        let row = row(i);
        basis.extend(apart(&row, &basis));
        if basis.len() == row.len() {
            return Vec::new();
        }
    }
    let (at, unsold): (Vec<usize>, Vec<Vec<f64>>) = (0..units.len())
        .filter(|i| units[*i] <= 0.0)
        .filter_map(|i| apart(&row(i), &basis).map(|row| (i, row)))
        .unzip();
    let Some(direction) = lowering(&unsold) else { return Vec::new() };
    at.into_iter().zip(&unsold).filter(|(_, row)| dot(row, &direction) < -1e-9).map(|(i, _)| i).collect()
}

/// A direction whose product with every row is 0 or less, and not always 0. By Stiemke's alternative there is none
/// exactly if positive weights exist with which the rows sum to zero; the weights come by non-negative least squares
/// (Lawson and Hanson 1974), and what they leave over is the direction.
fn lowering(rows: &[Vec<f64>]) -> Option<Vec<f64>> {
    let width = rows.first()?.len();
    let sum = |weights: &[f64]| -> Vec<f64> {
        (0..width).map(|c| -rows.iter().zip(weights).map(|(r, w)| r[c] * w).sum::<f64>()).collect()
    };
    let least = 1.0 / rows.len() as f64;
    let target = sum(&vec![least; rows.len()]);
    let (mut weights, mut free): (Vec<f64>, Vec<usize>) = (vec![0.0; rows.len()], Vec::new());
    let mut like_others: Vec<usize> = Vec::new();
    let mut rest = target.clone();
    for _ in 0..10 * rows.len() + 10 {
        let gain = |i: &usize| dot(&rows[*i], &rest);
        let others = (0..rows.len()).filter(|i| !free.contains(i) && !like_others.contains(i));
        let Some(next) = others.max_by(|a, b| gain(a).total_cmp(&gain(b))) else { break };
        if gain(&next) < 1e-12 {
            break;
        }
        free.push(next);
        loop {
            let gram: Vec<Vec<f64>> =
                free.iter().map(|i| free.iter().map(|j| dot(&rows[*i], &rows[*j])).collect()).collect();
            let right: Vec<f64> = free.iter().map(|i| dot(&rows[*i], &target)).collect();
            let Ok(inverse) = inverse(&gram) else {
                // The newest row is all but a mixture of the others.
                like_others.extend(free.pop());
                break;
            };
            // With these, what is left over is at right angles to every free row.
            let wanted: Vec<f64> = inverse.iter().map(|row| dot(row, &right)).collect();
            let step = |i: usize, w: f64| if w > 0.0 { 1.0 } else { weights[i] / (weights[i] - w).max(1e-300) };
            let share = free.iter().zip(&wanted).map(|(i, w)| step(*i, *w)).fold(1.0, f64::min);
            for (i, w) in free.iter().zip(&wanted) {
                weights[*i] += share * (w - weights[*i]);
            }
            if share >= 1.0 {
                break;
            }
            free.retain(|i| weights[*i] > 1e-14);
            weights.iter_mut().enumerate().filter(|(i, _)| !free.contains(i)).for_each(|(_, w)| *w = 0.0);
        }
        let used = sum(&weights);
        rest = target.iter().zip(&used).map(|(t, u)| t + u).collect();
    }
    (dot(&rest, &rest).sqrt() > 1e-8).then_some(rest)
}
