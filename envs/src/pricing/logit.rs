//! Multinomial logit demand with an outside option, and its exact optimal prices.
//!
//! Utility u_k = a_k − b_k p_k + g_k d_k, share s_k = e^{u_k} / (1 + Σ e^{u_j}), profit a customer Σ s_k (p_k − c_k).

use super::rules::{Difference, ROUNDING, narrow};

/// How often ranges are divided for the bound under gaps, and the share of a price up to which a gap counts as kept.
const SPLITS: usize = 400;
const KEPT: f64 = 1e-8;

/// The demand of some products. All lists have one entry a product; `price_effects` are positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Logit {
    /// a_k: utility at price zero without a display.
    pub intercepts: Vec<f64>,
    /// b_k > 0: utility lost a unit of price.
    pub price_effects: Vec<f64>,
    /// g_k: utility of a full display.
    pub display_effects: Vec<f64>,
}

/// One week of a market as a seller sees it.
#[derive(Clone, Copy, Debug)]
pub struct Week<'a> {
    /// Unit costs.
    pub costs: &'a [f64],
    /// Displays, 0 to 1.
    pub displays: &'a [f64],
    /// Customers who may buy one unit each.
    pub customers: f64,
    /// The weight of whatever else they may do: 1 for buying nothing alone.
    pub outside: f64,
    /// What the time of the year adds to utility, or to ln units; empty if nothing.
    pub added: &'a [f64],
}

impl Logit {
    /// Products.
    pub fn len(&self) -> usize {
        self.intercepts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.intercepts.is_empty()
    }

    /// u_k at a price.
    #[inline]
    pub fn utility(&self, week: Week<'_>, k: usize, price: f64) -> f64 {
        let utility = self.intercepts[k] - self.price_effects[k] * price + self.display_effects[k] * week.displays[k];
        week.added.get(k).map_or(utility, |x| utility + x)
    }

    /// e^{u_k} at a price.
    #[inline]
    pub fn weight(&self, week: Week<'_>, k: usize, price: f64) -> f64 {
        self.utility(week, k, price).exp()
    }

    /// Expected profit a customer.
    pub fn profit(&self, week: Week<'_>, prices: &[f64]) -> f64 {
        let (mut sum, mut earned) = (week.outside, 0.0);
        for (k, &p) in prices.iter().enumerate() {
            let w = self.weight(week, k, p);
            sum += w;
            earned += w * (p - week.costs[k]);
        }
        earned / sum
    }

    /// The prices within bounds that maximise a week's expected profit, and that profit a customer; exact.
    ///
    /// A ratio of sums is maximised by Dinkelbach's iteration (1967): for the value m, every product alone maximises
    /// e^{u_k} (p − c_k − m), which rises to p = c_k + 1/b_k + m and falls after, so bounds are met by clipping.
    pub fn optimum(&self, week: Week<'_>, low: &[f64], high: &[f64], prices: &mut [f64]) -> f64 {
        let mut value = 0.0;
        loop {
            for (k, p) in prices.iter_mut().enumerate() {
                *p = (week.costs[k] + 1.0 / self.price_effects[k] + value).clamp(low[k], high[k]);
            }
            let next = self.profit(week, prices);
            // The values rise to the optimum quadratically; where they stop rising it is reached.
            let rises = next > value + 1e-15 * value.abs();
            if !rises {
                return next.max(value);
            }
            value = next;
        }
    }

    /// The prices in ranges, and on menus where those are not empty, that earn the most of a week's expected profit, and that
    /// profit a customer; exact, by the same iteration.
    fn best_within(&self, week: Week<'_>, ranges: &[[f64; 2]], menus: &[Vec<f64>]) -> (Vec<f64>, f64) {
        let within = |k: usize, p: &f64| *p >= ranges[k][0] && *p <= ranges[k][1];
        let (mut value, mut prices) = (f64::NEG_INFINITY, Vec::with_capacity(ranges.len()));
        prices
            .extend((0..ranges.len()).map(|k| menus[k].iter().copied().find(|p| within(k, p)).unwrap_or(ranges[k][0])));
        let mut best = prices.clone();
        loop {
            let next = self.profit(week, &prices);
            if next <= value + 1e-15 * value.abs() {
                return (best, next.max(value));
            }
            value = next;
            best.copy_from_slice(&prices);
            for (k, price) in prices.iter_mut().enumerate() {
                let worth = |p: &f64| self.weight(week, k, *p) * (p - week.costs[k] - value);
                let any = (week.costs[k] + 1.0 / self.price_effects[k] + value).clamp(ranges[k][0], ranges[k][1]);
                let listed = menus[k].iter().copied().filter(|p| within(k, p));
                *price = listed.max_by(|a, b| worth(a).total_cmp(&worth(b))).unwrap_or(any);
            }
        }
    }

    /// What no prices within bounds, on menus (rising; an empty one has all within bounds) and that keep gaps can exceed of a
    /// week's expected profit a customer. Exact without gaps. With them by branch and bound: where the best prices of some
    /// ranges break a gap, either the cheaper product is cheaper or the dearer one dearer than they have it.
    pub fn bound_among(
        &self,
        week: Week<'_>,
        low: &[f64],
        high: &[f64],
        menus: &[Vec<f64>],
        gaps: &[Difference],
    ) -> f64 {
        let ends = |k: usize| match menus[k][..] {
            [] => [low[k], high[k]],
            [first, .., last] => [first, last],
            [one] => [one, one],
        };
        let mut open = Vec::new();
        let consider = |mut ranges: Vec<[f64; 2]>, open: &mut Vec<(Vec<[f64; 2]>, Vec<f64>, f64)>| {
            let some = |(range, menu): (&[f64; 2], &Vec<f64>)| {
                menu.is_empty() || menu.iter().any(|p| *p >= range[0] && *p <= range[1])
            };
            if narrow(gaps, menus, false, &mut ranges) && ranges.iter().zip(menus).all(some) {
                let (prices, value) = self.best_within(week, &ranges, menus);
                open.push((ranges, prices, value));
            }
        };
        consider((0..self.len()).map(ends).collect(), &mut open);
        for _ in 0..SPLITS {
            let Some(at) = (0..open.len()).max_by(|a, b| open[*a].2.total_cmp(&open[*b].2)) else { break };
            let prices = &open[at].1;
            let broken = |(dearer, cheaper, gap): &Difference| prices[*cheaper] + gap - prices[*dearer];
            let Some(worst) = gaps.iter().max_by(|a, b| broken(a).total_cmp(&broken(b))) else { break };
            let (&(dearer, cheaper, gap), much) = (worst, broken(worst));
            if much <= KEPT * prices[cheaper].abs() {
                break;
            }
            let middle = prices[cheaper] - 0.5 * much;
            let ranges = open.swap_remove(at).0;
            let (mut below, mut above) = (ranges.clone(), ranges);
            below[cheaper][1] = middle;
            above[cheaper][0] = middle;
            above[dearer][0] = above[dearer][0].max(middle + gap - ROUNDING * (middle + gap).abs());
            consider(below, &mut open);
            consider(above, &mut open);
        }
        open.iter().map(|(_, _, bound)| *bound).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The prices within bounds that, held fixed over all weeks, earn the most; a stationary point of the total profit,
    /// reached from the mean of the weekly optima. At it p_k = 1/b_k + the mean of c_k + profit, weighted by sales.
    /// `held`: the price of a product in a week (counted from 0), where it has one whatever else is charged; its entry of the
    /// answer means nothing.
    pub fn best_fixed<'a>(
        &self,
        weeks: &(impl Iterator<Item = Week<'a>> + Clone),
        low: &[f64],
        high: &[f64],
        held: &dyn Fn(usize, usize) -> Option<f64>,
    ) -> Vec<f64> {
        let n = self.len();
        let mut prices = mean_prices(weeks.clone(), n, |week, best| _ = self.optimum(week, low, high, best));
        let mut share = vec![0.0; n];
        for _ in 0..10_000 {
            let (mut sold, mut earned) = (vec![0.0; n], vec![0.0; n]);
            for (t, week) in weeks.clone().enumerate() {
                let mut sum = week.outside;
                for k in 0..n {
                    share[k] = self.weight(week, k, held(t, k).unwrap_or(prices[k]));
                    sum += share[k];
                }
                let margin = |k: usize| held(t, k).unwrap_or(prices[k]) - week.costs[k];
                let profit: f64 = (0..n).map(|k| share[k] / sum * margin(k)).sum();
                for k in 0..n {
                    let units = week.customers * share[k] / sum;
                    sold[k] += units;
                    earned[k] += units * (week.costs[k] + profit);
                }
            }
            let mut moved: f64 = 0.0;
            for k in 0..n {
                let next = (1.0 / self.price_effects[k] + earned[k] / sold[k]).clamp(low[k], high[k]);
                moved = moved.max((next - prices[k]).abs());
                prices[k] = next;
            }
            if moved < 1e-12 {
                break;
            }
        }
        prices
    }
}

/// The mean over weeks of each week's own best prices.
pub(super) fn mean_prices<'a>(
    weeks: impl Iterator<Item = Week<'a>>,
    products: usize,
    best: impl Fn(Week<'a>, &mut [f64]),
) -> Vec<f64> {
    let (mut mean, mut one, mut count) = (vec![0.0; products], vec![0.0; products], 0.0);
    for week in weeks {
        best(week, &mut one);
        mean.iter_mut().zip(&one).for_each(|(p, o)| *p += o);
        count += 1.0;
    }
    mean.iter_mut().for_each(|p| *p /= count);
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The common-slope case has a closed form by Lambert's W: b·profit = W(Σ e^{a_k − b c_k − 1}).
    #[test]
    fn the_optimum_is_lamberts() {
        let demand =
            Logit { intercepts: vec![2.0, 1.5, 1.0], price_effects: vec![1.0; 3], display_effects: vec![0.0; 3] };
        let week = Week { costs: &[0.5, 0.4, 0.3], displays: &[0.0; 3], customers: 1.0, outside: 1.0, added: &[] };
        let mut prices = [0.0; 3];
        let profit = demand.optimum(week, &[0.0; 3], &[100.0; 3], &mut prices);
        assert!((profit - 1.129_486_982_2).abs() < 1e-10, "{profit}");
        assert!((demand.profit(week, &prices) - profit).abs() < 1e-12);
    }

    /// Of every choice from menus none earns more; a product without one has its best price beside them.
    #[test]
    fn the_best_of_menus_is_the_best_of_all_choices() {
        let demand = Logit {
            intercepts: vec![2.0, 1.5, 1.0],
            price_effects: vec![1.0, 0.8, 1.3],
            display_effects: vec![0.0; 3],
        };
        let week = Week { costs: &[0.5, 0.4, 0.3], displays: &[0.0; 3], customers: 1.0, outside: 1.0, added: &[] };
        let menus = [vec![0.99, 1.99, 2.99], vec![0.49, 1.49, 2.49, 3.49], vec![1.0, 1.1, 1.2]];
        let mut most = f64::NEG_INFINITY;
        for (a, b, c) in (0..36).map(|i| (i % 3, i / 3 % 4, i / 12)) {
            most = most.max(demand.profit(week, &[menus[0][a], menus[1][b], menus[2][c]]));
        }
        let found = demand.bound_among(week, &[0.0; 3], &[9.0; 3], &menus, &[]);
        assert!((found - most).abs() < 1e-12, "{found} {most}");
        let mut prices = [0.0; 3];
        let free = demand.optimum(week, &[0.0; 3], &[9.0; 3], &mut prices);
        let found = demand.bound_among(week, &[0.0; 3], &[9.0; 3], &[vec![], vec![], vec![]], &[]);
        assert!((found - free).abs() < 1e-12, "{found} {free}");
    }
}
