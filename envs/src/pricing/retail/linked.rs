//! What no prices can earn where rules link them to last week's (`max_change`, `cooldown`), of a logit.
//!
//! With E = Σ w_k (p_k − c_k), D = outside + Σ w_k and m no less than any allowed profit E/D of the week, N = E − m D is never
//! above 0, so that E/D = m + N/D ≤ m + N/D' for every D' ≥ D. That is a sum of functions of one price each: for each product
//! a dynamic program over weeks finds the most of it that linked prices reach. Prices are cut into cells, of each of which the
//! best price counts, and steps between cells are taken that any two of their prices allow; so all of it errs upwards.
//!
//! Cells through which no path leads that earns as much as known prices do are then left out: between those that remain m and
//! D' are smaller, and the cells are halved. An episode begins in any week: its first week has no last one, and what links the
//! end of the table with its beginning is left out.

use super::market::Form;
use super::{Retail, Weeks};
use crate::pricing::logit::Logit;
use crate::pricing::rules::{ROUNDING, Room, Rules};
use std::ops::Range;

/// Cells of a product's prices at first, and at most.
const CELLS: usize = 64;
const MOST_CELLS: usize = 512;
/// Numbers that a table of one product may hold: weeks × cells × weeks since a change.
const MOST: usize = 1 << 20;
/// How often cells are left out and halved.
const ROUNDS: usize = 10;
/// By what share of a price cells reach beyond themselves: rounding of many weeks.
const PAD: f64 = 1e-6;
/// The bound is as good as the prices known.
const CLOSE: f64 = 1e-6;
const NEVER: f64 = f64::NEG_INFINITY;

/// One product's prices.
struct Product {
    held: bool,
    /// Rising; single prices where rules list them.
    cells: Vec<[f64; 2]>,
    /// From where to where prices may be by the product's own rules, week by week, and what they list there.
    own: Vec<[f64; 2]>,
    menus: Vec<Vec<f64>>,
    /// Whether the best prices may be there, by week and cell.
    alive: Vec<bool>,
    /// From which cells a change leads to each, and to which from each.
    before: Vec<Range<usize>>,
    after: Vec<Range<usize>>,
}

/// What a dynamic program found of one product.
struct Program {
    /// The most from each week on, as if it were the first.
    suffix: Vec<f64>,
    /// The most before each week.
    prefix: Vec<f64>,
    /// The most of the table with one free change anywhere.
    most: f64,
    /// The same through each week's cells.
    through: Vec<f64>,
    /// The cells of the best path.
    path: Vec<usize>,
}

/// What the program needs of the weeks.
struct Links {
    /// Weeks since a change that matter, one at least.
    stay: usize,
    /// Whether prices may be any in a week, as last week's may leave nothing.
    released: Vec<bool>,
    /// Weeks that have no last one.
    fresh: Vec<bool>,
}

impl Product {
    fn new(own: Vec<[f64; 2]>, menus: Vec<Vec<f64>>, held: bool, listed: bool, change: Option<f64>) -> Self {
        let cells = if held {
            vec![[f64::NEG_INFINITY, f64::INFINITY]]
        } else if listed {
            let mut all: Vec<f64> = menus.iter().flatten().copied().collect();
            all.sort_by(f64::total_cmp);
            let mut cells: Vec<[f64; 2]> = Vec::new();
            for price in all {
                match cells.last_mut().filter(|cell| price - cell[1] <= 4.0 * ROUNDING * price.abs()) {
                    Some(cell) => cell[1] = price,
                    None => cells.push([price, price]),
                }
            }
            cells
        } else {
            let low = own.iter().map(|ends| ends[0]).fold(f64::INFINITY, f64::min);
            let high = own.iter().map(|ends| ends[1]).fold(f64::NEG_INFINITY, f64::max);
            let at = |i: usize| low + (high - low) * i as f64 / CELLS as f64;
            (0..CELLS).map(|i| [at(i), at(i + 1)]).collect()
        };
        let mut made = Self { held, cells, own, menus, alive: Vec::new(), before: Vec::new(), after: Vec::new() };
        let inside = (0..made.own.len()).flat_map(|t| (0..made.cells.len()).map(move |i| (t, i)));
        made.alive = inside.map(|(t, i)| made.part(t, i).is_some()).collect();
        made.link(change);
        made
    }

    /// Which cells a change joins.
    fn link(&mut self, change: Option<f64>) {
        let n = self.cells.len();
        let Some(change) = change.filter(|_| !self.held) else {
            self.before = vec![0..n; n];
            self.after = vec![0..n; n];
            return;
        };
        let least = |cell: &[f64; 2]| cell[0] * (1.0 - change) - PAD * cell[0].abs();
        let most = |cell: &[f64; 2]| cell[1] * (1.0 + change) + PAD * cell[1].abs();
        let joined = |a: &[f64; 2], b: &[f64; 2]| b[1] >= least(a) && b[0] <= most(a);
        let span = |joins: &dyn Fn(usize) -> bool| {
            let first = (0..n).find(|i| joins(*i)).unwrap_or(0);
            first..(first..n).find(|i| !joins(*i)).unwrap_or(n)
        };
        self.before = (0..n).map(|j| span(&|i| joined(&self.cells[i], &self.cells[j]))).collect();
        self.after = (0..n).map(|i| span(&|j| joined(&self.cells[i], &self.cells[j]))).collect();
    }

    /// The part of a cell that is allowed in a week.
    fn part(&self, t: usize, i: usize) -> Option<[f64; 2]> {
        let ([a, z], [low, high]) = (self.cells[i], self.own[t]);
        if !self.menus[t].is_empty() && !self.held {
            let near = 4.0 * ROUNDING * z.abs();
            let next = self.menus[t].partition_point(|p| *p < a - near);
            return self.menus[t].get(next).filter(|p| **p <= z + near).map(|_| [a, z]);
        }
        let part = [a.max(low), z.min(high)];
        (part[0] <= part[1] + PAD * part[1].abs()).then_some([part[0].min(part[1]), part[0].max(part[1])])
    }

    fn alive(&self, t: usize) -> impl Iterator<Item = usize> + '_ {
        let n = self.cells.len();
        (0..n).filter(move |i| self.alive[t * n + i])
    }

    /// From where to where the best prices of a week may be, and what is listed there.
    fn remains(&self, t: usize) -> ([f64; 2], Vec<f64>) {
        let parts = self.alive(t).filter_map(|i| self.part(t, i));
        let ends = parts.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, z], part| [a.min(part[0]), z.max(part[1])]);
        let near = |p: &f64| *p >= ends[0] - ROUNDING * p.abs() && *p <= ends[1] + ROUNDING * p.abs();
        (ends, self.menus[t].iter().copied().filter(near).collect())
    }

    /// Cells of half the width, alive as they were.
    fn halve(&mut self, change: Option<f64>) {
        let (n, weeks) = (self.cells.len(), self.own.len());
        let halves = |[a, z]: &[f64; 2]| [[*a, 0.5 * (a + z)], [0.5 * (a + z), *z]];
        self.cells = self.cells.iter().flat_map(halves).collect();
        let old = std::mem::take(&mut self.alive);
        let inside = (0..weeks).flat_map(|t| (0..2 * n).map(move |i| (t, i)));
        self.alive = inside.map(|(t, i)| old[t * n + i / 2] && self.part(t, i).is_some()).collect();
        self.link(change);
    }

    /// The most of the sum of `worth` (by week and cell) that linked prices reach.
    fn program(&self, worth: &[f64], links: &Links) -> Program {
        let (n, weeks, stay) = (self.cells.len(), self.own.len(), links.stay);
        // Where a price may change: a first week is taken for one, so that whatever a path does it may do from any week on.
        let (size, open) = (stay * n, (stay - 1) * n);
        let now = |t: usize| &worth[t * n..(t + 1) * n];
        // What weeks after each earn, by state: weeks since a change, then cells; without and with a free change to come.
        let mut later = [vec![0.0; weeks * size], vec![0.0; weeks * size]];
        let mut suffix = vec![0.0; weeks + 1];
        let most = |list: &[f64]| list.iter().copied().fold(NEVER, f64::max);
        for t in (0..weeks).rev() {
            let begin = t * size;
            if t + 1 < weeks {
                let next = (t + 1) * size;
                let gain = |free: usize, s: usize| -> Vec<f64> {
                    let of = &later[free][next + s * n..next + (s + 1) * n];
                    now(t + 1).iter().zip(of).map(|(w, l)| w + l).collect()
                };
                let gains: Vec<Vec<Vec<f64>>> = (0..2).map(|f| (0..stay).map(|s| gain(f, s)).collect()).collect();
                for free in 0..2 {
                    let now = &mut later[free][begin..begin + size];
                    if links.fresh[t + 1] {
                        now.fill(most(&gains[free][stay - 1]));
                        continue;
                    }
                    let released = if links.released[t + 1] { most(&gains[free][0]) } else { NEVER };
                    let floor = if free == 1 { released.max(most(&gains[0][stay - 1])) } else { released };
                    let moved = windows(&gains[free][0], &self.after);
                    for (at, x) in now.iter_mut().enumerate() {
                        let (s, i) = (at / n, at % n);
                        let moves = if s + 1 == stay { moved[i] } else { NEVER };
                        *x = gains[free][(s + 1).min(stay - 1)][i].max(moves).max(floor);
                    }
                }
            }
            suffix[t] = (0..n).map(|i| now(t)[i] + later[0][begin + open + i]).fold(NEVER, f64::max);
        }
        let total = (0..n).map(|i| now(0)[i] + later[1][open + i]).fold(NEVER, f64::max);
        let path = self.path(worth, &later[0], links);
        // The same forwards, to tell what leads through each cell.
        let begun: Vec<f64> = vec![NEVER; open].into_iter().chain(now(0).iter().copied()).collect();
        let mut earned = [begun, vec![NEVER; size]];
        let (mut prefix, mut through) = (vec![0.0; weeks + 1], vec![NEVER; weeks * n]);
        for t in 0..weeks {
            if t > 0 {
                let [plain, freed] = [0, 1].map(|free| self.step(&earned[free], t, links));
                let anywhere = most(&earned[0]);
                earned = [plain, freed];
                earned[1][open..].iter_mut().for_each(|x| *x = x.max(anywhere));
                for list in &mut earned {
                    list.iter_mut().enumerate().for_each(|(at, x)| *x += now(t)[at % n]);
                }
            }
            prefix[t + 1] = most(&earned[0]);
            for at in 0..size {
                let [before, after] = [0, 1].map(|free| earned[free][at] + later[1 - free][t * size + at]);
                let found = &mut through[t * n + at % n];
                *found = found.max(before).max(after);
            }
        }
        Program { suffix, prefix, most: total, through, path }
    }

    /// What was earned before a week, by the states that lead into it.
    fn step(&self, earned: &[f64], t: usize, links: &Links) -> Vec<f64> {
        let (n, stay) = (self.cells.len(), links.stay);
        let mut next = vec![NEVER; stay * n];
        let most = earned.iter().copied().fold(NEVER, f64::max);
        if links.fresh[t] {
            next[(stay - 1) * n..].fill(most);
            return next;
        }
        for s in 0..stay {
            let to = (s + 1).min(stay - 1) * n;
            (0..n).for_each(|i| next[to + i] = next[to + i].max(earned[s * n + i]));
        }
        let moved = windows(&earned[(stay - 1) * n..], &self.before);
        let released = if links.released[t] { most } else { NEVER };
        next[..n].iter_mut().zip(moved).for_each(|(x, moved)| *x = x.max(moved).max(released));
        next
    }

    /// The best path, from what weeks after each earn.
    fn path(&self, worth: &[f64], later: &[f64], links: &Links) -> Vec<usize> {
        let (n, stay) = (self.cells.len(), links.stay);
        let value = |t: usize, s: usize, i: usize| worth[t * n + i] + later[(t * stay + s) * n + i];
        let best = |t: usize, s: usize, range: Range<usize>| {
            range.max_by(|a, b| value(t, s, *a).total_cmp(&value(t, s, *b))).map(|i| (s, i))
        };
        let mut at = best(0, stay - 1, 0..n).unwrap_or((0, 0));
        let mut path = vec![at.1];
        for t in 1..self.own.len() {
            let (s, i) = at;
            let stays = Some(((s + 1).min(stay - 1), i)).filter(|_| !links.fresh[t]);
            let moves = if links.fresh[t] {
                best(t, stay - 1, 0..n)
            } else if links.released[t] {
                best(t, 0, 0..n)
            } else if s + 1 == stay {
                best(t, 0, self.after[i].clone())
            } else {
                None
            };
            let all = stays.into_iter().chain(moves);
            at = all.max_by(|a, b| value(t, a.0, a.1).total_cmp(&value(t, b.0, b.1))).unwrap_or(at);
            path.push(at.1);
        }
        path
    }
}

/// The highest number in each of some ranges, of which neither end ever falls.
fn windows(values: &[f64], ranges: &[Range<usize>]) -> Vec<f64> {
    let mut queue = std::collections::VecDeque::new();
    let mut next = 0;
    let one = |range: &Range<usize>| {
        while next < range.end {
            while queue.back().is_some_and(|last| values[*last] <= values[next]) {
                queue.pop_back();
            }
            queue.push_back(next);
            next += 1;
        }
        while queue.front().is_some_and(|first| *first < range.start) {
            queue.pop_front();
        }
        queue.front().filter(|first| range.contains(first)).map_or(NEVER, |first| values[*first])
    };
    ranges.iter().map(one).collect()
}

impl Retail {
    /// What an episode cannot exceed under rules that link weeks; none where this program does not apply.
    pub(super) fn linked_bound(&self) -> Option<f64> {
        self.linked().map(|[_, bound]| bound)
    }

    /// The same, behind what the best prices known earn of the table from its first row to its last.
    fn linked(&self) -> Option<[f64; 2]> {
        let rules = self.rules.as_ref().filter(|rules| rules.remember() && !rules.stopped())?;
        let Form::Logit(demand) = &self.demand.form else { return None };
        if self.carry.is_some() || self.settings.weeks != Weeks::Replay {
            return None;
        }
        let (weeks, periods) = (self.settings.customers.len(), self.periods() as usize);
        // Tables that are longer than an episode are cut, so that each episode holds the end of one part and the beginning
        // of another.
        let part = periods.min(weeks);
        let stay = (rules.cooldown().max(1) as usize).min(part + 1);
        let mut products = self.products(rules)?;
        let size = |products: &[Product]| products.iter().map(|p| p.cells.len()).max().unwrap_or(1);
        if weeks * stay * size(&products) > MOST {
            return None;
        }
        let mut bound = f64::INFINITY;
        let mut known = self.greedy();
        for _ in 0..ROUNDS {
            let released = (0..weeks).map(|t| t > 0 && released(rules, &products, t)).collect();
            let links = Links { stay, released, fresh: (0..weeks).map(|t| t % part == 0).collect() };
            let (fixed, worths, prices) = self.separated(demand, rules, &products);
            if !fixed.iter().all(|x| x.is_finite()) {
                break; // rounding left no prices
            }
            let programs: Vec<Program> =
                products.iter().zip(&worths).map(|(product, worth)| product.program(worth, &links)).collect();
            let of_episodes = |p: &Program| (0..weeks).map(|s| episode(p, part, s, periods)).sum::<f64>();
            let linked: f64 = programs.iter().map(of_episodes).sum();
            let fixed_sum: f64 = fixed.iter().sum();
            bound = bound.min((fixed_sum * periods as f64 + linked) / weeks as f64);
            // Where episodes are no whole tables, what a table earns says nothing of each of them.
            if periods % weeks != 0 {
                break;
            }
            let path = |t: usize, k: usize| prices[k][t * products[k].cells.len() + programs[k].path[t]];
            known = known.max(self.linked_profit(path));
            let total = fixed_sum + programs.iter().map(|p| p.most).sum::<f64>();
            if total <= known + CLOSE * known.abs() {
                break;
            }
            let least = known - 1e-9 * known.abs();
            for (product, program) in products.iter_mut().zip(&programs) {
                let others = total - program.most;
                product.alive.iter_mut().zip(&program.through).for_each(|(alive, x)| *alive &= others + x >= least);
            }
            let larger = 2 * size(&products);
            if larger <= MOST_CELLS && weeks * stay * larger <= MOST {
                let listed = |k: usize| rules.listed(k) || products[k].held;
                let wide: Vec<usize> = (0..products.len()).filter(|k| !listed(*k)).collect();
                wide.into_iter().for_each(|k| products[k].halve(rules.max_change()));
            }
        }
        Some([known, bound])
    }

    /// Every product's prices; none where rules list more than can be gone through.
    fn products(&self, rules: &Rules) -> Option<Vec<Product>> {
        let weeks = self.settings.customers.len();
        let mut now = Vec::new();
        let (mut own, mut menus) = (vec![Vec::new(); self.demand.len()], vec![Vec::new(); self.demand.len()]);
        for t in 0..weeks {
            self.now(t, None, &[], &[], &mut now);
            for (k, now) in now.iter().enumerate() {
                own[k].push(rules.interval(self.number(t), k, now));
                menus[k].push(rules.menu(self.number(t), k, now));
            }
        }
        let made = own.into_iter().zip(menus).enumerate().map(|(k, (own, menus))| {
            let listed = rules.listed(k) && !self.held[k];
            let whole = !listed || menus.iter().all(|menu| !menu.is_empty());
            whole.then(|| Product::new(own, menus, self.held[k], listed, rules.max_change()))
        });
        made.collect()
    }

    /// Of each week what no prices change, then of each product what its cells add, and their best prices.
    fn separated(
        &self,
        demand: &Logit,
        rules: &Rules,
        products: &[Product],
    ) -> (Vec<f64>, Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let weeks = self.settings.customers.len();
        let mut fixed = Vec::with_capacity(weeks);
        let mut worths: Vec<Vec<f64>> = products.iter().map(|p| vec![NEVER; p.alive.len()]).collect();
        let mut prices: Vec<Vec<f64>> = products.iter().map(|p| vec![0.0; p.alive.len()]).collect();
        for t in 0..weeks {
            let week = self.week(t, &self.demand);
            let (ends, menus): (Vec<[f64; 2]>, Vec<Vec<f64>>) = products.iter().map(|p| p.remains(t)).unzip();
            let padded = |[a, z]: &[f64; 2]| [a - PAD * a.abs(), z + PAD * z.abs()];
            let [low, high] = [0, 1].map(|i| ends.iter().map(|ends| padded(ends)[i]).collect::<Vec<f64>>());
            let most = demand.bound_among(week, &low, &high, &menus, rules.gaps());
            let all = week.outside + low.iter().enumerate().map(|(k, p)| demand.weight(week, k, *p)).sum::<f64>();
            let scale = week.customers / all;
            fixed.push(week.customers * most - scale * most * week.outside);
            for (k, product) in products.iter().enumerate() {
                let n = product.cells.len();
                let best = week.costs[k] + 1.0 / demand.price_effects[k] + most;
                for i in product.alive(t) {
                    let Some(part) = product.part(t, i) else { continue };
                    let [a, z] = padded(&part);
                    let price = best.clamp(a, z);
                    worths[k][t * n + i] = scale * demand.weight(week, k, price) * (price - week.costs[k] - most);
                    prices[k][t * n + i] = price.clamp(part[0], part[1]);
                }
            }
        }
        (fixed, worths, prices)
    }

    /// What the table earns from its first row on, where each week's best prices are moved to allowed ones.
    fn greedy(&self) -> f64 {
        let weeks = self.settings.customers.len();
        let mut best = vec![vec![0.0; self.demand.len()]; weeks];
        best.iter_mut().enumerate().for_each(|(t, prices)| _ = self.best(t, prices));
        self.linked_profit(|t, k| best[t][k])
    }

    /// The same of any wanted prices.
    fn linked_profit(&self, wanted: impl Fn(usize, usize) -> f64) -> f64 {
        let n = self.demand.len();
        let (mut prices, mut since) = (vec![0.0; n], vec![self.cooldown(); if self.cooldown() > 0 { n } else { 0 }]);
        let (mut now, mut room, mut total) = (Vec::new(), Room::default(), 0.0);
        for t in 0..self.settings.customers.len() {
            self.now(t, None, &prices, &since, &mut now);
            prices.iter_mut().enumerate().for_each(|(k, price)| *price = wanted(t, k));
            self.project(t, &mut now, &mut prices, &mut room);
            self.age(&mut since, &now, &prices);
            let week = self.week(t, &self.demand);
            total += week.customers * self.demand.form.profit(week, &prices);
        }
        total
    }
}

/// Whether some prices of the week before may leave none in this week that obey all rules: then `max_change` and `cooldown`
/// hold nothing back.
fn released(rules: &Rules, products: &[Product], t: usize) -> bool {
    let in_gap = |k: usize| rules.gaps().iter().any(|(a, b, _)| *a == k || *b == k);
    let may = |k: usize| {
        let product = &products[k];
        if product.held {
            return in_gap(k);
        }
        let ([low, high], menu) = (product.own[t], &product.menus[t]);
        let some = |from: f64, to: f64| match menu[..] {
            [] => low <= to && high >= from,
            _ => menu.get(menu.partition_point(|p| *p < from)).is_some_and(|p| *p <= to),
        };
        product.alive(t - 1).filter_map(|i| product.part(t - 1, i)).any(|[a, z]| {
            let same = match menu[..] {
                [] => low <= a && z <= high,
                _ => some(a - ROUNDING * a.abs(), z + ROUNDING * z.abs()),
            };
            let stays = same || (rules.cooldown() < 2 && !in_gap(k));
            let moves = same || rules.max_change().is_none_or(|c| some(z * (1.0 - c), a * (1.0 + c)));
            !(stays && moves)
        })
    };
    (0..products.len()).any(may)
}

/// What a program says at most of an episode that begins in a week of a table cut into parts of so many weeks.
fn episode(p: &Program, part: usize, first: usize, periods: usize) -> f64 {
    let weeks = p.suffix.len() - 1;
    let (mut at, mut left, mut sum) = (first, periods, 0.0);
    while left > 0 {
        let end = ((at / part + 1) * part).min(weeks);
        if end - at > left {
            return sum + p.prefix[at + left] - p.prefix[at];
        }
        sum += p.suffix[at] - p.suffix[end];
        left -= end - at;
        at = end % weeks;
    }
    sum
}

#[cfg(test)]
mod tests;
