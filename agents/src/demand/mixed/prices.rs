//! What an estimated mixed logit says of prices: elasticities, unit costs, and prices that no firm would change.

use super::shares::Market;
use super::{Markets, Parameter};
use crate::demand::matrix;

/// Steps within which equilibrium prices must settle.
const STEPS: usize = 5000;
/// The largest share of a price by which a step that has settled moves it.
const SETTLED: f64 = 1e-13;

/// Who owns what in one market, and how prices enter utility there.
#[derive(Clone, Copy, Debug)]
pub struct Conduct<'a> {
    /// The market, counted from 0.
    pub market: usize,
    /// The firm of each of its products.
    pub firms: &'a [usize],
    /// The linear coefficient of the price.
    pub beta: f64,
    /// The column of characteristics that is the price.
    pub price: usize,
}

/// Derivatives of shares by prices: Λ, which is diagonal, less Γ.
struct Slopes {
    shares: Vec<f64>,
    own: Vec<f64>,
    cross: Vec<Vec<f64>>,
}

impl Conduct<'_> {
    /// By how much each person's utility changes with a price.
    fn person(&self, all: &Markets, theta: &[Parameter], i: usize) -> f64 {
        let v = &all.tastes[all.people[self.market].start + i];
        let of_price = theta.iter().filter(|p| p.characteristic == self.price);
        self.beta + of_price.map(|p| p.value * v[p.taste]).sum::<f64>()
    }

    /// Shares and their derivatives where a market's products have these prices; `delta`: mean utilities at `from`.
    fn slopes(&self, all: &Markets, theta: &[Parameter], delta: &[f64], from: &[f64], prices: &[f64]) -> Slopes {
        let rows = all.products[self.market].clone();
        let mut moved = Markets {
            products: std::iter::once(0..rows.len()).collect(),
            people: std::iter::once(0..all.people[self.market].len()).collect(),
            shares: all.shares[rows.clone()].to_vec(),
            characteristics: all.characteristics[rows].to_vec(),
            weights: all.weights[all.people[self.market].clone()].to_vec(),
            tastes: all.tastes[all.people[self.market].clone()].to_vec(),
            ..Markets::default()
        };
        moved.characteristics.iter_mut().zip(prices).for_each(|(x, price)| x[self.price] = *price);
        let means: Vec<f64> =
            delta.iter().zip(prices.iter().zip(from)).map(|(d, (p, before))| d + self.beta * (p - before)).collect();
        let market = Market::new(&moved, 0, theta);
        let choices = market.choices(&means);
        let lost: Vec<f64> = (0..market.weights().len()).map(|i| self.person(all, theta, i)).collect();
        let n = prices.len();
        Slopes {
            shares: (0..n).map(|j| market.mean(|i| choices[i][j])).collect(),
            own: (0..n).map(|j| market.mean(|i| lost[i] * choices[i][j])).collect(),
            cross: (0..n)
                .map(|j| (0..n).map(|l| market.mean(|i| lost[i] * choices[i][j] * choices[i][l])).collect())
                .collect(),
        }
    }

    fn prices(&self, all: &Markets) -> Vec<f64> {
        all.characteristics[all.products[self.market].clone()].iter().map(|x| x[self.price]).collect()
    }

    /// Unit costs by which the market's prices are those of a Bertrand-Nash equilibrium: p − c solves its first-order
    /// conditions. `delta`: mean utilities of all markets. None where the conditions have no one solution.
    pub fn costs(&self, all: &Markets, theta: &[Parameter], delta: &[f64]) -> Option<Vec<f64>> {
        let prices = self.prices(all);
        let slopes = self.slopes(all, theta, &delta[all.products[self.market].clone()], &prices, &prices);
        let n = prices.len();
        // Σ_l (p_l − c_l) ∂s_l/∂p_j over products of the firm is −s_j.
        let cell = |j: usize, l: usize| {
            let own = if j == l { slopes.own[j] } else { 0.0 };
            if self.firms[j] == self.firms[l] { slopes.cross[j][l] - own } else { 0.0 }
        };
        let matrix: Vec<Vec<f64>> = (0..n).map(|j| (0..n).map(|l| cell(j, l)).collect()).collect();
        let inverse = matrix::inverse(&matrix).ok()?;
        let margin = |row: &Vec<f64>| row.iter().zip(&slopes.shares).map(|(a, s)| a * s).sum::<f64>();
        Some(prices.iter().zip(&inverse).map(|(p, row)| p - margin(row)).collect())
    }

    /// Prices that no firm would change, at these unit costs: steps to c + Λ⁻¹ (Γ (p − c) − s), which find them more surely
    /// than best responses do (Morrow and Skerlos 2011). None where they do not settle.
    pub fn equilibrium(&self, all: &Markets, theta: &[Parameter], delta: &[f64], costs: &[f64]) -> Option<Vec<f64>> {
        let from = self.prices(all);
        let delta = &delta[all.products[self.market].clone()];
        let mut prices = from.clone();
        for _ in 0..STEPS {
            let slopes = self.slopes(all, theta, delta, &from, &prices);
            let next: Vec<f64> = (0..prices.len())
                .map(|j| {
                    let own = (0..prices.len()).filter(|l| self.firms[*l] == self.firms[j]);
                    let lost: f64 = own.map(|l| slopes.cross[j][l] * (prices[l] - costs[l])).sum();
                    costs[j] + (lost - slopes.shares[j]) / slopes.own[j]
                })
                .collect();
            let apart = next.iter().zip(&prices).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
            prices = next;
            if !apart.is_finite() {
                return None;
            }
            if apart < SETTLED {
                return Some(prices);
            }
        }
        None
    }
}

/// By how many percent shares (rows) change with prices (columns) in a market.
pub fn elasticities(conduct: Conduct<'_>, all: &Markets, theta: &[Parameter], delta: &[f64]) -> Vec<Vec<f64>> {
    let prices = conduct.prices(all);
    let slopes = conduct.slopes(all, theta, &delta[all.products[conduct.market].clone()], &prices, &prices);
    let cell = |j: usize, l: usize| {
        let own = if j == l { slopes.own[j] } else { 0.0 };
        (own - slopes.cross[j][l]) * prices[l] / slopes.shares[j]
    };
    (0..prices.len()).map(|j| (0..prices.len()).map(|l| cell(j, l)).collect()).collect()
}
