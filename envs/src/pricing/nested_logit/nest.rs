//! The best prices of one nest at the value m of a customer: those that maximise Σ w_k (p_k − c_k − m) = D^{λ − 1} S with
//! S = Σ e_k (p_k − c_k − m), D = Σ e_k, e_k = e^{V_k / λ}.
//!
//! With R the mean margin of who buys in the nest, the first-order condition is p_k = c_k + λ/b_k + τ, τ = (1 − λ) R + λ m, within
//! bounds (Gallego and Wang 2014). Of prices on menus the same τ says which: the one that maximises e_k (p − c_k − τ), because
//! D^{1 − λ} is the least of its tangents. So all candidates are on one line, τ. There may be several stationary points: the line
//! is searched whole, by branch and bound.

/// One product: V = utility − effect · p.
pub(super) struct Line<'a> {
    pub utility: f64,
    /// b > 0.
    pub effect: f64,
    pub cost: f64,
    pub range: [f64; 2],
    /// Rising; empty if all prices of the range are allowed.
    pub menu: &'a [f64],
}

impl Line<'_> {
    /// V / λ.
    fn log(&self, price: f64, scale: f64) -> f64 {
        (self.utility - self.effect * price) / scale
    }

    /// Where no menu says which price, that of τ.
    fn price(&self, tau: f64, scale: f64) -> f64 {
        (self.cost + scale / self.effect + tau).clamp(self.range[0], self.range[1])
    }

    /// The places of τ at which the best price on the menu changes: the upper envelope of lines e (p − c) − e τ.
    fn breaks(&self, scale: f64) -> Vec<f64> {
        let (mut at, mut found) = (0, Vec::new());
        while at + 1 < self.menu.len() {
            // e_i (m_i − τ) = e_j (m_j − τ), with r = e_j / e_i < 1.
            let [p, margin] = [self.menu[at], self.menu[at] - self.cost];
            let crossing = |j: &usize| {
                let ratio = (self.effect * (p - self.menu[*j]) / scale).exp();
                (margin - ratio * (self.menu[*j] - self.cost)) / (1.0 - ratio)
            };
            let later = at + 1..self.menu.len();
            let Some(next) = later.rev().min_by(|a, b| crossing(a).total_cmp(&crossing(b))) else { break };
            found.push(crossing(&next));
            at = next;
        }
        found
    }

    /// The price of τ on the menu, or within bounds.
    fn chosen(&self, tau: f64, scale: f64) -> f64 {
        let worth = |p: &&f64| {
            let margin = **p - self.cost - tau;
            // ln of what is positive is above all that is not.
            (
                margin > 0.0,
                if margin > 0.0 { self.log(**p, scale) + margin.ln() } else { -self.log(**p, scale) - (-margin).ln() },
            )
        };
        let better = |a: &&f64, b: &&f64| {
            let (a, b) = (worth(a), worth(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        };
        self.menu.iter().max_by(better).copied().unwrap_or_else(|| self.price(tau, scale))
    }
}

/// A part of the line narrower than this, beside its ends, is its ends.
const NARROW: f64 = 1e-13;
/// Parts that are looked at, far more than any market has needed.
const MOST_PARTS: usize = 20_000;

/// One search of the line.
struct Search<'a> {
    lines: &'a [Line<'a>],
    scale: f64,
    /// m.
    value: f64,
    best: Vec<f64>,
    /// What the best prices earn, and what none can exceed.
    found: f64,
    bound: f64,
}

/// The best prices of a nest and what no prices can exceed: D^{λ − 1} S, which they reach but for rounding, unless prices are on
/// menus and all lose.
pub(super) fn best(lines: &[Line<'_>], scale: f64, value: f64) -> (Vec<f64>, f64) {
    let mut search =
        Search { lines, scale, value, best: Vec::new(), found: f64::NEG_INFINITY, bound: f64::NEG_INFINITY };
    search.run();
    if search.found <= 0.0 && lines.iter().any(|line| !line.menu.is_empty()) {
        // The tangents say nothing of what loses: no menu is better than all prices.
        let free: Vec<Line<'_>> = lines.iter().map(|line| Line { menu: &[], ..*line }).collect();
        return (search.best, best(&free, scale, value).1.max(search.bound));
    }
    (search.best, search.bound)
}

impl Search<'_> {
    fn run(&mut self) {
        let (lines, scale) = (self.lines, self.scale);
        let free = || lines.iter().filter(|line| line.menu.is_empty());
        let ends = |i: usize| free().map(move |line| line.range[i] - line.cost - scale / line.effect);
        let mut cuts: Vec<f64> = lines.iter().flat_map(|line| line.breaks(scale)).collect();
        let whole = [ends(0).fold(f64::INFINITY, f64::min), ends(1).fold(f64::NEG_INFINITY, f64::max)];
        cuts.extend(whole.into_iter().filter(|x| x.is_finite()));
        cuts.sort_by(f64::total_cmp);
        cuts.dedup();
        let (Some(first), Some(last)) = (cuts.first().copied(), cuts.last().copied()) else {
            self.look_at(0.0, None); // one price each
            return;
        };
        cuts.splice(..0, [first - 1.0]);
        cuts.push(last + 1.0);
        let parts = cuts.windows(2).map(|ends| [ends[0], ends[1]]);
        // Between two cuts no price on a menu changes.
        let mut open: Vec<([f64; 2], Vec<f64>)> = Vec::new();
        for part in parts {
            let chosen: Vec<f64> = lines.iter().map(|line| line.chosen(0.5 * (part[0] + part[1]), scale)).collect();
            for tau in part {
                self.look_at(tau, Some(&chosen));
            }
            open.push((part, chosen));
        }
        for _ in 0..MOST_PARTS {
            let Some((part, chosen)) = open.pop() else { return };
            let [a, z] = part;
            let most = self.most(part, &chosen);
            if most < self.found {
                self.bound = self.bound.max(self.found.max(most));
                continue;
            }
            if z - a <= NARROW * (1.0 + a.abs() + z.abs()) {
                self.bound = self.bound.max(self.found);
                continue;
            }
            if self.one_turn(part, &chosen) {
                self.climb(part, &chosen);
                continue;
            }
            let middle = 0.5 * (a + z);
            self.look_at(middle, Some(&chosen));
            open.push(([a, middle], chosen.clone()));
            open.push(([middle, z], chosen));
        }
        self.bound = f64::INFINITY;
    }

    /// Prices of τ, those on menus as `chosen`.
    fn prices(&self, tau: f64, chosen: Option<&[f64]>) -> Vec<f64> {
        let one = |(k, line): (usize, &Line<'_>)| match chosen {
            Some(chosen) if !line.menu.is_empty() => chosen[k],
            _ => line.chosen(tau, self.scale),
        };
        self.lines.iter().enumerate().map(one).collect()
    }

    /// Looks at the prices of τ, and keeps them if they are the best so far; τ as they have it: (1 − λ) R + λ m.
    fn look_at(&mut self, tau: f64, chosen: Option<&[f64]>) -> f64 {
        let prices = self.prices(tau, chosen);
        let logs: Vec<f64> = self.lines.iter().zip(&prices).map(|(line, p)| line.log(*p, self.scale)).collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut earned) = (0.0, 0.0);
        for ((line, p), log) in self.lines.iter().zip(&prices).zip(&logs) {
            let e = (log - top).exp();
            sum += e;
            earned += e * (p - line.cost);
        }
        let margin = earned / sum;
        let value = (self.scale * (top + sum.ln())).exp() * (margin - self.value);
        if self.best.is_empty() || value > self.found {
            (self.best, self.found) = (prices, value);
            self.bound = self.bound.max(value);
        }
        (1.0 - self.scale) * margin + self.scale * self.value
    }

    /// What no τ between `a` and `z` can exceed: each e_k (p_k − c_k − m) rises to p = c_k + λ/b_k + m and falls after; D is least
    /// at z and most at a.
    fn most(&self, [a, z]: [f64; 2], chosen: &[f64]) -> f64 {
        let logs = |tau: f64| -> Vec<f64> {
            let prices = self.prices(tau, Some(chosen));
            self.lines.iter().zip(&prices).map(|(line, p)| line.log(*p, self.scale)).collect()
        };
        let (least, most) = (logs(z), logs(a));
        let log_sum = |logs: &[f64]| {
            let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            top + logs.iter().map(|x| (x - top).exp()).sum::<f64>().ln()
        };
        let (least, most) = (log_sum(&least), log_sum(&most));
        let (first, last) = (self.prices(a, Some(chosen)), self.prices(z, Some(chosen)));
        let mut sum = 0.0;
        for (k, line) in self.lines.iter().enumerate() {
            let top = line.cost + self.scale / line.effect + self.value;
            let price = top.clamp(first[k], last[k]);
            sum += (line.log(price, self.scale) - least).exp() * (price - line.cost - self.value);
        }
        // S / D^{1 − λ}, S in units of the least D.
        let power = if sum > 0.0 { self.scale * least } else { least - (1.0 - self.scale) * most };
        sum * power.exp()
    }

    /// Whether τ(prices of τ) − τ surely falls between `a` and `z`, so that the nest's profit has one turn at most: bounds on
    /// (1 − λ) R' = (1 − λ) Σ q_k (1 − b_k / λ (margin_k − R)), over products whose price moves.
    fn one_turn(&self, [a, z]: [f64; 2], chosen: &[f64]) -> bool {
        let (first, last) = (self.prices(a, Some(chosen)), self.prices(z, Some(chosen)));
        let logs = |prices: &[f64]| -> Vec<f64> {
            self.lines.iter().zip(prices).map(|(line, p)| line.log(*p, self.scale)).collect()
        };
        let (most, least) = (logs(&first), logs(&last));
        let top = most.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let [most, least] = [most, least].map(|logs| logs.iter().map(|x| (x - top).exp()).collect::<Vec<f64>>());
        let margins: Vec<f64> = self.lines.iter().zip(&last).map(|(line, p)| p - line.cost).collect();
        // The largest mean of the largest margins, by Dinkelbach's iteration over the weights.
        let mut mean = f64::NEG_INFINITY;
        loop {
            let (mut sum, mut earned) = (0.0, 0.0);
            for ((margin, most), least) in margins.iter().zip(&most).zip(&least) {
                let e = if *margin > mean { most } else { least };
                sum += e;
                earned += e * margin;
            }
            if sum <= 0.0 || earned / sum <= mean + 1e-15 * mean.abs() {
                break;
            }
            mean = earned / sum;
        }
        let others: f64 = least.iter().sum();
        let moves = |k: &usize| first[*k] < last[*k];
        let steepest: f64 = (0..margins.len())
            .filter(moves)
            .map(|k| {
                let share = (most[k] / (most[k] + others - least[k])).min(1.0);
                let line = &self.lines[k];
                share * (1.0 - line.effect / self.scale * (first[k] - line.cost - mean)).max(0.0)
            })
            .sum();
        (1.0 - self.scale) * steepest < 1.0
    }

    /// Bisects to the only turn between `a` and `z`.
    fn climb(&mut self, [mut a, mut z]: [f64; 2], chosen: &[f64]) {
        while z - a > NARROW * (1.0 + a.abs() + z.abs()) {
            let middle = 0.5 * (a + z);
            if self.look_at(middle, Some(chosen)) > middle {
                a = middle;
            } else {
                z = middle;
            }
        }
        self.bound = self.bound.max(self.found);
    }
}
