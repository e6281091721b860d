//! Log-log demand with cross effects, its best prices, and a bound on what any prices can earn.
//!
//! ln(units of product k a customer) = a_k + Σ_j B_kj ln p_j + g_k d_k, and nobody takes more than one unit of a product.

use super::logit::Week;
use super::rules::{Difference, narrow};

/// The demand of some products. All lists have one entry a product.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLog {
    /// a_k: ln units a customer where every price is 1 and nothing is displayed.
    pub intercepts: Vec<f64>,
    /// B_kj: by how many percent sales of k change when the price of j rises by one.
    pub elasticities: Vec<Vec<f64>>,
    /// g_k: what a full display adds.
    pub display_effects: Vec<f64>,
}

/// Intervals into which a price's range is cut for the bound, and how often ranges are halved.
const CELLS: usize = 32;
const SPLITS: usize = 400;
/// Prices that are looked at along a line before the best is refined, and steps of that (golden section).
const LOOKS: usize = 24;
const REFINEMENTS: usize = 45;
/// Sweeps over all products within which prices settle.
const SWEEPS: usize = 200;
const GOLDEN: f64 = 0.618_033_988_749_895;

impl LogLog {
    /// ln units a customer of product k, all prices being 1.
    fn level(&self, week: Week<'_>, k: usize) -> f64 {
        self.intercepts[k] + self.display_effects[k] * week.displays[k] + week.added.get(k).unwrap_or(&0.0)
    }

    /// Expected units of product k a customer, from 0 to 1; `added`: to their logarithm.
    pub fn share(&self, week: Week<'_>, k: usize, prices: &[f64], added: f64) -> f64 {
        let moved: f64 = self.elasticities[k].iter().zip(prices).map(|(b, p)| b * p.ln()).sum();
        (self.level(week, k) + moved + added).min(0.0).exp()
    }

    /// Expected profit a customer.
    pub fn profit(&self, week: Week<'_>, prices: &[f64]) -> f64 {
        (0..prices.len()).map(|k| self.share(week, k, prices, 0.0) * (prices[k] - week.costs[k])).sum()
    }

    /// Prices within bounds that earn the most of a week's expected profit, and that profit a customer: the best of
    /// several ascents, product by product. [`LogLog::bound`] tells whether they are the best of all.
    pub fn optimum(&self, week: Week<'_>, low: &[f64], high: &[f64], prices: &mut [f64]) -> f64 {
        let levels: Vec<f64> = (0..prices.len()).map(|k| self.level(week, k)).collect();
        self.ascend(&levels, week.costs, low, high, prices)
    }

    /// The same of one week with these levels.
    fn ascend(&self, levels: &[f64], costs: &[f64], low: &[f64], high: &[f64], prices: &mut [f64]) -> f64 {
        let mut best = f64::NEG_INFINITY;
        for start in [0.5, 0.0, 1.0] {
            let mut logs: Vec<f64> =
                low.iter().zip(high).map(|(a, b)| (1.0 - start) * a.ln() + start * b.ln()).collect();
            let value = self.ascend_from(levels, costs, low, high, &mut logs);
            if value > best {
                best = value;
                for (k, p) in prices.iter_mut().enumerate() {
                    *p = logs[k].exp().clamp(low[k], high[k]);
                }
            }
        }
        best
    }

    fn ascend_from(&self, levels: &[f64], costs: &[f64], low: &[f64], high: &[f64], logs: &mut [f64]) -> f64 {
        let n = logs.len();
        // ln units at the prices so far, kept up as they move.
        let units = |logs: &[f64]| -> Vec<f64> {
            (0..n).map(|j| levels[j] + self.elasticities[j].iter().zip(logs).map(|(b, x)| b * x).sum::<f64>()).collect()
        };
        let mut value = f64::NEG_INFINITY;
        for _ in 0..SWEEPS {
            let mut l = units(logs);
            let mut earned = value;
            for k in 0..n {
                let from = logs[k];
                let margins: Vec<f64> = (0..n).map(|j| logs[j].exp() - costs[j]).collect();
                let profit = |x: f64| -> f64 {
                    let units = |j: usize| (l[j] + self.elasticities[j][k] * (x - from)).min(0.0).exp();
                    let others: f64 = (0..n).filter(|j| *j != k).map(|j| units(j) * margins[j]).sum();
                    others + units(k) * (x.exp() - costs[k])
                };
                let (x, found) = highest(&profit, low[k].ln(), high[k].ln(), logs[k]);
                l.iter_mut().enumerate().for_each(|(j, l)| *l += self.elasticities[j][k] * (x - logs[k]));
                logs[k] = x;
                earned = found;
            }
            let settled = earned <= value + 1e-14 * value.abs();
            value = value.max(earned);
            if settled {
                break;
            }
        }
        value
    }

    /// What no prices within bounds can exceed a customer, given the best prices known; infinite where it cannot be told.
    pub fn bound(&self, week: Week<'_>, low: &[f64], high: &[f64], known: &[f64]) -> f64 {
        self.bound_among(week, low, high, &vec![Vec::new(); known.len()], &[], known)
    }

    /// Prices among those on menus (rising; an empty one has all within bounds) that earn the most of what is found product
    /// by product, from the best prices of any kind.
    pub fn best_among(&self, week: Week<'_>, low: &[f64], high: &[f64], menus: &[Vec<f64>]) -> Vec<f64> {
        let mut prices = vec![0.0; low.len()];
        self.optimum(week, low, high, &mut prices);
        let any = prices.clone();
        let near =
            |menu: &Vec<f64>, p: f64| menu.iter().copied().min_by(|a, b| (a - p).abs().total_cmp(&(b - p).abs()));
        prices.iter_mut().zip(menus).for_each(|(price, menu)| *price = near(menu, *price).unwrap_or(*price));
        let mut best = self.profit(week, &prices);
        for _ in 0..SWEEPS {
            let before = best;
            for (k, menu) in menus.iter().enumerate() {
                // Where all prices are allowed, the best of any kind may no longer be: that is left to the bound.
                for price in menu.iter().copied().chain(menu.is_empty().then_some(any[k])) {
                    let old = std::mem::replace(&mut prices[k], price);
                    let earned = self.profit(week, &prices);
                    if earned > best {
                        best = earned;
                    } else {
                        prices[k] = old;
                    }
                }
            }
            if best <= before {
                break;
            }
        }
        prices
    }

    /// What no prices on menus (rising; an empty one has all within bounds) that keep gaps can exceed a customer, given the best
    /// prices known; infinite where it cannot be told. Branch and bound: ranges that may hold something better are narrowed,
    /// and halved where that no longer helps.
    pub fn bound_among(
        &self,
        week: Week<'_>,
        low: &[f64],
        high: &[f64],
        menus: &[Vec<f64>],
        gaps: &[Difference],
        known: &[f64],
    ) -> f64 {
        let n = known.len();
        let menus: Vec<Vec<f64>> = menus.iter().map(|menu| menu.iter().map(|p| p.ln()).collect()).collect();
        let levels: Vec<f64> = (0..n).map(|k| self.level(week, k)).collect();
        let known_logs: Vec<f64> = known.iter().map(|p| p.ln()).collect();
        let ends = |k: usize| match menus[k][..] {
            [] => [low[k].ln().min(known_logs[k]), high[k].ln().max(known_logs[k])],
            [first, .., last] => [first, last],
            [one] => [one, one],
        };
        let whole: Vec<[f64; 2]> = (0..n).map(ends).collect();
        let most = |k: usize| {
            let reach = |(b, ends): (&f64, &[f64; 2])| (b * ends[0]).max(b * ends[1]);
            levels[k] + self.elasticities[k].iter().zip(&whole).map(reach).sum::<f64>()
        };
        if (0..n).any(|k| most(k) > 0.0) {
            return f64::INFINITY; // somewhere all customers buy it, and the formula changes
        }
        let best = self.profit(week, known);
        let enough = good_enough(best);
        let consider = |mut ranges: Vec<[f64; 2]>, open: &mut Vec<(Vec<[f64; 2]>, f64)>| {
            if narrow(gaps, &menus, true, &mut ranges) {
                open.push(self.narrowed(&levels, week.costs, ranges, &menus, &known_logs, best));
            }
        };
        let mut open = Vec::new();
        consider(whole, &mut open);
        for _ in 0..SPLITS {
            let Some(at) = (0..open.len()).max_by(|a, b| open[*a].1.total_cmp(&open[*b].1)) else { break };
            if open[at].1 <= enough {
                break;
            }
            let ranges = open[at].0.clone();
            let wide = |k: &usize| ranges[*k][1] - ranges[*k][0];
            let k = (0..n).max_by(|a, b| wide(a).total_cmp(&wide(b))).unwrap_or(0);
            if wide(&k) <= 0.0 {
                break; // one price each: its profit is the bound
            }
            open.swap_remove(at);
            let middle = 0.5 * (ranges[k][0] + ranges[k][1]);
            let (below, above) = match &menus[k][..] {
                [] => (middle, middle),
                menu => {
                    let next = menu.partition_point(|x| *x <= middle);
                    (menu[next.saturating_sub(1)], menu[next.min(menu.len() - 1)])
                }
            };
            for half in [[ranges[k][0], below], [above, ranges[k][1]]] {
                let mut ranges = ranges.clone();
                ranges[k] = half;
                consider(ranges, &mut open);
            }
        }
        open.iter().map(|(_, bound)| *bound).fold(best, f64::max)
    }

    /// Ranges of ln prices, less what surely holds nothing better than `best`; and what they cannot exceed.
    ///
    /// With d_k what other prices than its own change of ln units since a point of the ranges, profit is Σ G_k(p_k) e^(d_k),
    /// and e^d ≤ 1 + d + R with R the largest rest in the ranges. G_k d_k = G_k* d_k + (G_k − G_k*) d_k then leaves a sum of
    /// functions of one price each, whose maxima are bounded cell by cell. Cells that cannot hold anything better are cut off.
    fn narrowed(
        &self,
        levels: &[f64],
        costs: &[f64],
        mut ranges: Vec<[f64; 2]>,
        menus: &[Vec<f64>],
        known: &[f64],
        best: f64,
    ) -> (Vec<[f64; 2]>, f64) {
        let (n, enough) = (ranges.len(), good_enough(best));
        let mut bound = f64::INFINITY;
        loop {
            let at: Vec<f64> = (0..n).map(|k| known[k].clamp(ranges[k][0], ranges[k][1])).collect();
            let own: Vec<Own> = (0..n)
                .map(|k| {
                    let moved: f64 = self.elasticities[k].iter().zip(&at).map(|(b, x)| b * x).sum();
                    Own { units: (levels[k] + moved).exp(), cost: costs[k], b: self.elasticities[k][k], at: at[k] }
                })
                .collect();
            // A cell is a part of a range, or a price on the menu.
            let parts: Vec<Vec<[f64; 2]>> = (0..n).map(|k| parts(ranges[k], &menus[k])).collect();
            let (mut tops, mut cells) = (vec![0.0; n], vec![Vec::new(); n]);
            for k in 0..n {
                let (mut slope, mut less, mut more) = (0.0, 0.0, 0.0);
                for j in (0..n).filter(|j| *j != k) {
                    slope += own[j].profit(at[j]) * self.elasticities[j][k];
                    let ends = ranges[j].map(|x| self.elasticities[k][j] * (x - at[j]));
                    less += ends[0].min(ends[1]);
                    more += ends[0].max(ends[1]);
                }
                let rest = (less.exp_m1() - less).max(more.exp_m1() - more).max(0.0);
                let most = |[a, z]: &[f64; 2]| own[k].most(*a, *z, slope, rest, (-less).max(more));
                cells[k] = parts[k].iter().map(most).collect::<Vec<f64>>();
                tops[k] = cells[k].iter().copied().fold(f64::NEG_INFINITY, f64::max);
            }
            let sum: f64 = tops.iter().sum();
            bound = bound.min(sum.max(best));
            if bound <= enough {
                return (ranges, bound);
            }
            let mut helps = false;
            for (k, range) in ranges.iter_mut().enumerate() {
                let keep = |i: &usize| cells[k][*i] + sum - tops[k] >= best;
                let first = (0..cells[k].len()).find(keep).unwrap_or(0);
                let last = (0..cells[k].len()).rev().find(keep).unwrap_or(cells[k].len() - 1);
                let [a, z] = [parts[k][first][0], parts[k][last][1]];
                helps |= z - a < 0.8 * (range[1] - range[0]);
                *range = [a, z.min(range[1])];
            }
            if !helps {
                return (ranges, bound);
            }
        }
    }

    /// The prices within bounds that, held fixed over all weeks, earn the most of what ascents find. `held`: the price of a
    /// product in a week (counted from 0), where it has one whatever else is charged; its entry of the answer means nothing.
    pub fn best_fixed<'a>(
        &self,
        weeks: impl Iterator<Item = Week<'a>>,
        low: &[f64],
        high: &[f64],
        held: &dyn Fn(usize, usize) -> Option<f64>,
    ) -> Vec<f64> {
        let n = self.intercepts.len();
        let (mut units, mut costs) = (vec![0.0; n], vec![0.0; n]);
        let is_held: Vec<bool> = (0..n).map(|k| held(0, k).is_some()).collect();
        for (t, week) in weeks.enumerate() {
            let moved =
                |k: usize| (0..n).filter_map(|j| held(t, j).map(|p| self.elasticities[k][j] * p.ln())).sum::<f64>();
            for k in 0..n {
                let sold = week.customers * (self.level(week, k) + moved(k)).exp();
                units[k] += sold;
                // A held product's price here is 1, and its cost whatever leaves its margin.
                costs[k] += sold * held(t, k).map_or(week.costs[k], |p| week.costs[k] - p + 1.0);
            }
        }
        // In units of the largest, far below the cap on units a customer.
        let most = units.iter().copied().fold(0.0, f64::max).ln() + 600.0;
        let levels: Vec<f64> = units.iter().map(|u| u.ln() - most).collect();
        costs.iter_mut().zip(&units).for_each(|(c, u)| *c /= u);
        let bound = |list: &[f64]| -> Vec<f64> { (0..n).map(|k| if is_held[k] { 1.0 } else { list[k] }).collect() };
        let (low, high) = (bound(low), bound(high));
        let mut prices = low.clone();
        self.ascend(&levels, &costs, &low, &high, &mut prices);
        prices
    }
}

/// A bound that is as good as the best known.
fn good_enough(best: f64) -> f64 {
    best + 1e-9 * best.abs()
}

/// A range of ln prices in equal parts, or the prices in it that are on a menu.
fn parts(range: [f64; 2], menu: &[f64]) -> Vec<[f64; 2]> {
    if menu.is_empty() {
        let width = (range[1] - range[0]) / CELLS as f64;
        return (0..CELLS).map(|i| [range[0] + width * i as f64, range[0] + width * (i + 1) as f64]).collect();
    }
    menu.iter().filter(|x| **x >= range[0] && **x <= range[1]).map(|x| [*x; 2]).collect()
}

/// A product's own profit a customer by ln price x, the other prices as known: u e^(b(x − at)) (e^x − c).
struct Own {
    units: f64,
    cost: f64,
    b: f64,
    at: f64,
}

impl Own {
    fn profit(&self, x: f64) -> f64 {
        self.units * (self.b * (x - self.at)).exp() * (x.exp() - self.cost)
    }

    /// What G(x) + slope (x − at) + rest max(G, 0) + |G − G*| spread cannot exceed between `a` and `z`.
    fn most(&self, a: f64, z: f64, slope: f64, rest: f64, spread: f64) -> f64 {
        let ends = [self.profit(a), self.profit(z)];
        let (mut least, mut most) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        // The only other place where G can turn.
        let turn = (self.cost * self.b / (1.0 + self.b)).ln();
        if turn > a && turn < z {
            (least, most) = (least.min(self.profit(turn)), most.max(self.profit(turn)));
        }
        // A chord bends by no more than the second derivative has it.
        let bend = |x: f64| {
            let units = self.units * (self.b * (x - self.at)).exp();
            ((1.0 + self.b).powi(2) * units * x.exp()).max(self.cost * self.b.powi(2) * units)
        };
        let line = (ends[0] + slope * (a - self.at)).max(ends[1] + slope * (z - self.at))
            + (bend(a) + bend(z)) * (z - a).powi(2) / 8.0;
        let now = self.profit(self.at);
        line + rest * most.max(0.0) + spread * (most - now).max(now - least).max(0.0)
    }
}

/// Where a function of one number is highest: a look at some places, refined by golden section around the best.
fn highest(f: &dyn Fn(f64) -> f64, low: f64, high: f64, now: f64) -> (f64, f64) {
    let mut best = (now.clamp(low, high), f(now.clamp(low, high)));
    if high <= low {
        return best;
    }
    let step = (high - low) / LOOKS as f64;
    let mut look = |x: f64| {
        let value = f(x);
        if value > best.1 {
            best = (x, value);
        }
        value
    };
    for i in 0..=LOOKS {
        look(low + step * i as f64);
    }
    let center = best.0;
    let mut look = |x: f64| {
        let value = f(x);
        if value > best.1 {
            best = (x, value);
        }
        value
    };
    let (mut a, mut z) = ((center - step).max(low), (center + step).min(high));
    let (mut x, mut y) = (z - GOLDEN * (z - a), a + GOLDEN * (z - a));
    let (mut fx, mut fy) = (look(x), look(y));
    for _ in 0..REFINEMENTS {
        if fx >= fy {
            (z, y, fy) = (y, x, fx);
            x = z - GOLDEN * (z - a);
            fx = look(x);
        } else {
            (a, x, fx) = (x, y, fy);
            y = a + GOLDEN * (z - a);
            fy = look(y);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand() -> LogLog {
        LogLog {
            intercepts: vec![-2.0, -2.5, -2.2],
            elasticities: vec![vec![-2.5, 0.3, 0.1], vec![0.2, -3.0, 0.2], vec![0.1, 0.0, -1.8]],
            display_effects: vec![0.0; 3],
        }
    }

    const WEEK: Week<'static> =
        Week { costs: &[0.6, 0.7, 0.5], displays: &[0.0; 3], customers: 1.0, outside: 1.0, added: &[] };

    /// Without cross effects each price is c b / (1 + b); the bound is then the optimum itself.
    #[test]
    fn one_product_has_its_closed_form() {
        let mut demand = demand();
        for k in 0..3 {
            (0..3).filter(|j| *j != k).for_each(|j| demand.elasticities[k][j] = 0.0);
        }
        let mut prices = [0.0; 3];
        let profit = demand.optimum(WEEK, &[0.6; 3], &[5.0; 3], &mut prices);
        for (k, b) in [-2.5f64, -3.0, -1.8].into_iter().enumerate() {
            assert!((prices[k] - WEEK.costs[k] * b / (1.0 + b)).abs() < 1e-6, "{prices:?}");
        }
        assert!((demand.profit(WEEK, &prices) - profit).abs() < 1e-12);
        let bound = demand.bound(WEEK, &[0.6; 3], &[5.0; 3], &prices);
        assert!((bound / profit - 1.0).abs() < 1e-9, "{bound} is not {profit}");
    }

    /// No prices of a fine grid earn more than the ascent finds or the bound says, which agree; from worse prices the
    /// bound is looser, and still one.
    #[test]
    fn the_bound_bounds() {
        let (demand, low, high) = (demand(), [0.6; 3], [2.5; 3]);
        let mut prices = [0.0; 3];
        let profit = demand.optimum(WEEK, &low, &high, &mut prices);
        let mut most: f64 = 0.0;
        for i in 0..40 * 40 * 40 {
            let at = |place: usize| 0.6 + 1.9 * (i / 40usize.pow(place as u32) % 40) as f64 / 39.0;
            most = most.max(demand.profit(WEEK, &[at(0), at(1), at(2)]));
        }
        let bound = demand.bound(WEEK, &low, &high, &prices);
        assert!(most <= profit && profit <= bound * (1.0 + 1e-12), "{most} {profit} {bound}");
        assert!(bound / profit < 1.0 + 1e-6, "{bound} is not {profit}");
        let worse = demand.bound(WEEK, &low, &high, &[2.0; 3]);
        assert!(worse >= profit * (1.0 - 1e-12), "{worse} {profit}");
    }

    /// Of every choice from menus none earns more than the bound, which is met; a product without a menu is bounded, too.
    #[test]
    fn the_bound_of_menus_bounds() {
        let (demand, low, high) = (demand(), [0.6; 3], [2.5; 3]);
        let menus = [vec![0.79, 0.99, 1.29], vec![0.89, 1.09, 1.49, 1.99], vec![0.95, 1.05, 1.25]];
        let mut most = f64::NEG_INFINITY;
        for (a, b, c) in (0..36).map(|i| (i % 3, i / 3 % 4, i / 12)) {
            most = most.max(demand.profit(WEEK, &[menus[0][a], menus[1][b], menus[2][c]]));
        }
        let found = demand.best_among(WEEK, &low, &high, &menus);
        let bound = demand.bound_among(WEEK, &low, &high, &menus, &[], &found);
        assert!(most <= bound * (1.0 + 1e-12) && bound / most < 1.0 + 1e-9, "{most} {bound}");
        let one = [menus[0].clone(), Vec::new(), Vec::new()];
        let found = demand.best_among(WEEK, &low, &high, &one);
        let bound = demand.bound_among(WEEK, &low, &high, &one, &[], &found);
        let mut most: f64 = 0.0;
        for i in 0..3 * 60 * 60 {
            let at = |place: usize| 0.6 + 1.9 * (i / 60usize.pow(place as u32) % 60) as f64 / 59.0;
            most = most.max(demand.profit(WEEK, &[menus[0][i / 3600], at(0), at(1)]));
        }
        assert!(most <= bound * (1.0 + 1e-12) && bound / most < 1.01, "{most} {bound}");
    }

    /// Where everybody would buy, the formula's bound does not hold, and none is given.
    #[test]
    fn no_bound_where_all_customers_buy() {
        let mut demand = demand();
        demand.intercepts[0] = 3.0;
        let mut prices = [0.0; 3];
        demand.optimum(WEEK, &[0.6; 3], &[2.5; 3], &mut prices);
        assert!(demand.bound(WEEK, &[0.6; 3], &[2.5; 3], &prices).is_infinite());
    }

    /// Prices that never change, of one week twice, are that week's; a held product keeps its own.
    #[test]
    fn fixed_prices_of_one_week_are_its_best() {
        let (demand, low, high) = (demand(), [0.6; 3], [2.5; 3]);
        let mut one = [0.0; 3];
        demand.optimum(WEEK, &low, &high, &mut one);
        let fixed = demand.best_fixed([WEEK, WEEK].into_iter(), &low, &high, &|_, _| None);
        (0..3).for_each(|k| assert!((fixed[k] - one[k]).abs() < 1e-5, "{fixed:?} {one:?}"));
        let held = |_: usize, k: usize| (k == 1).then_some(2.0);
        let fixed = demand.best_fixed([WEEK, WEEK].into_iter(), &low, &high, &held);
        let mut wanted = [0.0; 3];
        demand.optimum(WEEK, &[0.6, 2.0, 0.6], &[2.5, 2.0, 2.5], &mut wanted);
        [0, 2].into_iter().for_each(|k| assert!((fixed[k] - wanted[k]).abs() < 1e-5, "{fixed:?} {wanted:?}"));
    }
}
