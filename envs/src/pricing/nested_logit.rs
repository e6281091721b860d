//! Nested logit demand with an outside option, and its exact optimal prices.
//!
//! Utility as in [`super::logit`], V_k; products of a nest g are closer to each other than to others, by a correlation σ_g. With
//! λ = 1 − σ_g and D_g = Σ_{j in g} e^{V_j / λ}, share s_k = e^{V_k / λ} D_g^{λ − 1} / (1 + Σ_h D_h^λ); σ_g = 0 is the logit.

use super::logit::{Logit, Week, mean_prices};

mod nest;

use nest::Line;

/// Products that are close to each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Nest {
    /// Which, counted from 0.
    pub products: Vec<usize>,
    /// σ, from 0 to less than 1.
    pub correlation: f64,
}

/// The demand of some products.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedLogit {
    /// Utilities.
    pub logit: Logit,
    /// All nests; a product is in one of them.
    pub nests: Vec<Nest>,
}

/// Steps of Dinkelbach's iteration, which come to the end quadratically.
const STEPS: usize = 100;
/// Sweeps within which prices that never change settle.
const SWEEPS: usize = 10_000;

impl NestedLogit {
    /// Of products, some of which are in nests: all others are nests of their own.
    pub fn new(logit: Logit, mut nests: Vec<Nest>) -> Self {
        let alone = |k: &usize| nests.iter().all(|nest| !nest.products.contains(k));
        let others: Vec<usize> = (0..logit.len()).filter(alone).collect();
        nests.extend(others.into_iter().map(|k| Nest { products: vec![k], correlation: 0.0 }));
        Self { logit, nests }
    }

    /// Turns e^{V_k} of each product into its weight beside that of the outside option: e^{V_k / λ} D_g^{λ − 1}.
    pub fn weigh(&self, weights: &mut [f64]) {
        for Nest { products, correlation } in self.nests.iter().filter(|nest| nest.correlation > 0.0) {
            let scale = 1.0 - correlation;
            // Beside the largest, so that no power overflows.
            let top = products.iter().map(|k| weights[*k]).fold(0.0, f64::max);
            if top > 0.0 {
                let mut sum = 0.0;
                for k in products {
                    weights[*k] = (weights[*k] / top).powf(1.0 / scale);
                    sum += weights[*k];
                }
                let others = top * sum.powf(scale - 1.0);
                products.iter().for_each(|k| weights[*k] *= others);
            }
        }
    }

    /// The weights of all products at these prices.
    pub fn weights(&self, week: Week<'_>, prices: &[f64]) -> Vec<f64> {
        let mut weights: Vec<f64> = prices.iter().enumerate().map(|(k, p)| self.logit.weight(week, k, *p)).collect();
        self.weigh(&mut weights);
        weights
    }

    /// Expected profit a customer.
    pub fn profit(&self, week: Week<'_>, prices: &[f64]) -> f64 {
        let weights = self.weights(week, prices);
        let earned: f64 = weights.iter().zip(prices).zip(week.costs).map(|((w, p), c)| w * (p - c)).sum();
        earned / (week.outside + weights.iter().sum::<f64>())
    }

    /// The prices within bounds that maximise a week's expected profit, and that profit a customer; exact.
    pub fn optimum(&self, week: Week<'_>, low: &[f64], high: &[f64], prices: &mut [f64]) -> f64 {
        self.solve(week, low, high, &vec![Vec::new(); low.len()], prices)[0]
    }

    /// What no prices on menus (an empty one has all within bounds) can exceed a customer.
    pub fn bound_among(&self, week: Week<'_>, low: &[f64], high: &[f64], menus: &[Vec<f64>]) -> f64 {
        self.solve(week, low, high, menus, &mut low.to_vec())[1]
    }

    /// The best prices on menus, what they earn a customer, and what none can exceed.
    ///
    /// A ratio of sums is maximised by Dinkelbach's iteration (1967): for the value m, every nest alone maximises
    /// Σ_{k in g} w_k (p_k − c_k − m), see [`nest`].
    fn solve(&self, week: Week<'_>, low: &[f64], high: &[f64], menus: &[Vec<f64>], prices: &mut [f64]) -> [f64; 2] {
        for (k, price) in prices.iter_mut().enumerate() {
            let any = (week.costs[k] + 1.0 / self.logit.price_effects[k]).clamp(low[k], high[k]);
            *price = menus[k].iter().copied().min_by(|a, b| (a - any).abs().total_cmp(&(b - any).abs())).unwrap_or(any);
        }
        let mut value = self.profit(week, prices);
        let mut next = prices.to_vec();
        for _ in 0..STEPS {
            let mut most = 0.0;
            for Nest { products, correlation } in &self.nests {
                let lines: Vec<Line<'_>> = products
                    .iter()
                    .map(|k| Line {
                        utility: self.logit.utility(week, *k, 0.0),
                        effect: self.logit.price_effects[*k],
                        cost: week.costs[*k],
                        range: [low[*k], high[*k]],
                        menu: &menus[*k],
                    })
                    .collect();
                let (found, bound) = nest::best(&lines, 1.0 - correlation, value);
                most += bound;
                products.iter().zip(found).for_each(|(k, price)| next[*k] = price);
            }
            let earned = self.profit(week, &next);
            // No prices earn m' with (m' − m) · outside above what the nests have to spare.
            let bound = value + (most - value * week.outside).max(0.0) / week.outside;
            if earned <= value + 1e-15 * value.abs() {
                if earned >= value - 1e-14 * value.abs() {
                    prices.copy_from_slice(&next); // those of the last value
                }
                return [value, bound.max(value)];
            }
            value = earned;
            prices.copy_from_slice(&next);
        }
        [value, f64::INFINITY]
    }

    /// Prices within bounds that, held fixed over all weeks, earn the most of what is found: ascents of the total profit from
    /// the mean of the weekly optima and from both bounds. At each end p_k = λ/b_k + the mean of c_k + σ R_g + λ profit, weighted
    /// by sales, R_g being the margin of who buys in the nest. `held`: the price of a product in a week (counted from 0), where
    /// it has one whatever else is charged; its entry of the answer means nothing.
    pub fn best_fixed<'a>(
        &self,
        weeks: &(impl Iterator<Item = Week<'a>> + Clone),
        low: &[f64],
        high: &[f64],
        held: &dyn Fn(usize, usize) -> Option<f64>,
    ) -> Vec<f64> {
        let best = |week: Week<'a>, best: &mut [f64]| _ = self.optimum(week, low, high, best);
        let mean = mean_prices(weeks.clone(), self.logit.len(), best);
        let ends = [mean, low.to_vec(), high.to_vec()].map(|start| self.ascend_fixed(weeks, low, high, held, start));
        ends.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b)).map_or(Vec::new(), |(_, prices)| prices)
    }

    /// The total profit at the end of an ascent, and its prices.
    fn ascend_fixed<'a>(
        &self,
        weeks: &(impl Iterator<Item = Week<'a>> + Clone),
        low: &[f64],
        high: &[f64],
        held: &dyn Fn(usize, usize) -> Option<f64>,
        mut prices: Vec<f64>,
    ) -> (f64, Vec<f64>) {
        let n = prices.len();
        // The total profit at some prices, and those that its first-order condition then asks for.
        let look = |prices: &[f64]| {
            let (mut total, mut sold, mut asked) = (0.0, vec![0.0; n], vec![0.0; n]);
            for (t, week) in weeks.clone().enumerate() {
                let charged: Vec<f64> = prices.iter().enumerate().map(|(k, p)| held(t, k).unwrap_or(*p)).collect();
                let weights = self.weights(week, &charged);
                let sum = week.outside + weights.iter().sum::<f64>();
                let earned = |k: &usize| weights[*k] * (charged[*k] - week.costs[*k]);
                let profit = (0..n).map(|k| earned(&k)).sum::<f64>() / sum;
                total += week.customers * profit;
                for Nest { products, correlation } in &self.nests {
                    let bought: f64 = products.iter().map(|k| weights[*k]).sum();
                    let margin = if bought > 0.0 { products.iter().map(earned).sum::<f64>() / bought } else { 0.0 };
                    for k in products {
                        let units = week.customers * weights[*k] / sum;
                        let level = week.costs[*k] + correlation * margin + (1.0 - correlation) * profit;
                        sold[*k] += units;
                        asked[*k] += units * (level + (1.0 - correlation) / self.logit.price_effects[*k]);
                    }
                }
            }
            let wanted = |k: usize| if sold[k] > 0.0 { (asked[k] / sold[k]).clamp(low[k], high[k]) } else { prices[k] };
            (total, (0..n).map(wanted).collect::<Vec<f64>>())
        };
        let (mut total, mut wanted) = look(&prices);
        for _ in 0..SWEEPS {
            // The way to what is asked for rises, if not the whole of it.
            let mut rate = 1.0;
            let next = loop {
                let next: Vec<f64> = prices.iter().zip(&wanted).map(|(p, w)| p + rate * (w - p)).collect();
                let found = look(&next);
                if found.0 >= total || rate < 1e-6 {
                    break (next, found);
                }
                rate *= 0.5;
            };
            let moved = prices.iter().zip(&next.0).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            if next.1.0 < total || moved < 1e-12 {
                break;
            }
            (prices, (total, wanted)) = next;
        }
        (total, prices)
    }
}

#[cfg(test)]
mod tests;
