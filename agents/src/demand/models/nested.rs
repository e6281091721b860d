//! Nested logit demand: products of a nest are closer to each other than to others (McFadden 1978; σ as in Berry 1994).
//!
//! With λ = 1 − σ and D_g = Σ_{j in g} e^{V_j / λ}: P_k = e^{V_k / λ} D_g^{λ − 1} / (1 + Σ_h D_h^λ). σ = 0 is the logit. The
//! likelihood is maximised by Fisher scoring in the logit's coefficients and σ, from the least squares of Berry (1994) at a
//! given σ. Least squares that find σ as well would need instruments for shares within nests: there are none.

use super::errors::Equation;
use super::{Drawn, Linear, Logit, Model, Row, Week, finite, times};
use crate::demand::{Method, PriceEffect, Sales, checks};

/// Steps in which scoring must have settled.
const MOST_STEPS: usize = 200;
/// Twice the gain, in nats, that may be left.
const SETTLED: f64 = 1e-13;
/// The largest σ: beyond it products of a nest are one and the same.
pub const MOST_CORRELATED: f64 = 0.99;
/// Where the search for σ begins.
const START: f64 = 0.4;

#[derive(Clone)]
pub(super) struct NestedLogit {
    /// Its method is maximum likelihood.
    logit: Logit,
    nests: Nests,
    /// σ, the same in all nests.
    correlation: f64,
    /// Whether σ was estimated, and is not at the end of its range.
    inside: bool,
}

/// Which products are close to each other.
#[derive(Clone)]
struct Nests {
    /// The nest of each product.
    of: Vec<usize>,
    count: usize,
}

impl Sales {
    /// The products of each nest that has several; of a table without nests, all products are in one.
    pub fn nests_of_several(&self) -> Vec<Vec<usize>> {
        let nest = |k: usize| self.nests.get(k).copied().unwrap_or(0);
        let all = 0..self.names.len();
        let members = |g: usize| all.clone().filter(|k| nest(*k) == g).collect::<Vec<_>>();
        all.clone().map(members).filter(|members| members.len() > 1).collect()
    }
}

/// What customers of a week do.
struct Choices {
    /// P_k.
    shares: Vec<f64>,
    /// Of those who buy in the nest of k, who buys k.
    within: Vec<f64>,
    /// ln D_g.
    log_sums: Vec<f64>,
    /// ln (1 + Σ D_g^λ).
    log_total: f64,
}

/// ln Σ e^x.
fn log_sum(all: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = all.clone().fold(f64::NEG_INFINITY, f64::max);
    if top.is_finite() { top + all.map(|x| (x - top).exp()).sum::<f64>().ln() } else { top }
}

impl Nests {
    fn of(sales: &Sales) -> Self {
        let of = if sales.nests.is_empty() { vec![0; sales.names.len()] } else { sales.nests.clone() };
        Self { count: of.iter().max().map_or(0, |most| most + 1), of }
    }

    /// Whether a nest has two products, without which σ means nothing.
    fn matter(&self) -> bool {
        (0..self.count).any(|g| self.of.iter().filter(|of| **of == g).count() > 1)
    }

    fn members(&self, nest: usize) -> impl Iterator<Item = usize> + Clone {
        self.of.iter().enumerate().filter(move |(_, of)| **of == nest).map(|(k, _)| k)
    }

    fn choices(&self, utilities: &[f64], correlation: f64) -> Choices {
        let scale = 1.0 - correlation;
        let log_sums: Vec<f64> =
            (0..self.count).map(|g| log_sum(self.members(g).map(|k| utilities[k] / scale))).collect();
        let log_total = log_sum(log_sums.iter().map(|x| scale * x).chain([0.0]));
        let within: Vec<f64> = utilities.iter().zip(&self.of).map(|(v, g)| (v / scale - log_sums[*g]).exp()).collect();
        let shares = within.iter().zip(&self.of).map(|(q, g)| q * (scale * log_sums[*g] - log_total).exp()).collect();
        Choices { shares, within, log_sums, log_total }
    }

    /// The derivatives of ln P of every product, and of buying nothing, by the utilities and by σ.
    fn slopes(&self, utilities: &[f64], correlation: f64, choices: &Choices) -> Vec<Vec<f64>> {
        let (n, scale) = (utilities.len(), 1.0 - correlation);
        let means: Vec<f64> =
            (0..self.count).map(|g| self.members(g).map(|k| choices.within[k] * utilities[k]).sum()).collect();
        // Of −ln (1 + Σ D_g^λ): what all choices have in common.
        let mut common: Vec<f64> = choices.shares.iter().map(|p| -p).collect();
        let bought = |g: usize| (scale * choices.log_sums[g] - choices.log_total).exp();
        common.push((0..self.count).map(|g| bought(g) * (choices.log_sums[g] - means[g] / scale)).sum());
        let mut all = vec![common; n + 1];
        for (k, slopes) in all[..n].iter_mut().enumerate() {
            let g = self.of[k];
            self.members(g).for_each(|j| slopes[j] -= correlation / scale * choices.within[j]);
            slopes[k] += 1.0 / scale;
            slopes[n] += (utilities[k] - correlation * means[g]) / (scale * scale) - choices.log_sums[g];
        }
        all
    }
}

impl NestedLogit {
    /// Fits the first weeks of a table; none where no nest has two products, where the weeks say too little, or scoring does
    /// not settle.
    pub fn fit(sales: &Sales, numbers: &[f64], weeks: usize, effect: PriceEffect, calendar: bool) -> Option<Self> {
        let mut logit = Logit::new(sales, numbers, weeks, effect, calendar);
        logit.method = Method::Likelihood;
        let mut model = Self { logit, nests: Nests::of(sales), correlation: START, inside: true };
        if !model.nests.matter() || weeks <= model.effects() {
            return None;
        }
        let rows = model.logit.rows(sales, numbers, weeks);
        let within = |t: usize, k: usize| {
            let nest: f64 = model.nests.members(model.nests.of[k]).map(|j| sales.units[t][j].max(super::FEWEST)).sum();
            START * (sales.units[t][k].max(super::FEWEST) / nest).ln()
        };
        model.logit.least_squares(&rows, sales, weeks, &within)?; // a start that is near
        model.climb(&rows, sales, weeks)?;
        finite(&model.logit.theta).then_some(model)
    }

    fn climb(&mut self, rows: &[Row], sales: &Sales, weeks: usize) -> Option<()> {
        let (n, count) = (self.nests.of.len(), self.logit.theta.len() + 1);
        let mut value = self.log_likelihood(rows, sales, weeks);
        for _ in 0..MOST_STEPS {
            let (mut slope, mut information) = (vec![0.0; count], vec![vec![0.0; count]; count]);
            for t in 0..weeks {
                self.week_score(&rows[t * n..][..n], sales, t, &mut slope, &mut information);
            }
            let at_end = (self.correlation <= 0.0 && slope[count - 1] <= 0.0)
                || (self.correlation >= MOST_CORRELATED && slope[count - 1] >= 0.0);
            self.inside = !at_end;
            let mut step = Vec::new();
            if !at_end {
                step = times(&checks::inverse(&information).ok()?, &slope);
            }
            // σ stays at its end, too, while the others must move before it can.
            if at_end || (self.correlation_by(&step) == self.correlation && step[count - 1] != 0.0) {
                without_last(&mut slope, &mut information);
                step = times(&checks::inverse(&information).ok()?, &slope);
            }
            let gain: f64 = step.iter().zip(&slope).map(|(a, b)| a * b).sum();
            if gain < SETTLED {
                return Some(());
            }
            // As far as σ may go.
            let by = step.get(count - 1).copied().unwrap_or(0.0);
            let end = if by > 0.0 { MOST_CORRELATED } else { 0.0 };
            let mut rate = if by == 0.0 { 1.0 } else { ((end - self.correlation) / by).clamp(0.0, 1.0) };
            loop {
                let by: Vec<f64> = step.iter().map(|d| rate * d).collect();
                let mut next = self.by(&by);
                if by.len() == count && (next.correlation - end).abs() < 1e-12 {
                    next.correlation = end;
                }
                let there = next.log_likelihood(rows, sales, weeks);
                if there >= value - 1e-13 * value.abs() {
                    (*self, value) = (next, there);
                    break;
                }
                rate *= 0.5;
                if rate < 1e-8 {
                    return None;
                }
            }
        }
        None
    }

    /// The same with its coefficients moved.
    fn by(&self, by: &[f64]) -> Self {
        let mut next = self.clone();
        next.logit.theta.iter_mut().zip(by).for_each(|(x, d)| *x += d);
        next.correlation = self.correlation_by(by);
        next
    }

    fn correlation_by(&self, by: &[f64]) -> f64 {
        (self.correlation + by.get(self.logit.theta.len()).unwrap_or(&0.0)).clamp(0.0, MOST_CORRELATED)
    }

    /// The log-likelihood, apart from what does not change.
    fn log_likelihood(&self, rows: &[Row], sales: &Sales, weeks: usize) -> f64 {
        let (n, scale) = (self.nests.of.len(), 1.0 - self.correlation);
        let week = |t: usize| {
            let utilities: Vec<f64> = rows[t * n..][..n].iter().map(|row| row.dot(&self.logit.theta)).collect();
            let choices = self.nests.choices(&utilities, self.correlation);
            let chosen = (0..n).filter(|k| sales.units[t][*k] > 0.0).map(|k| {
                sales.units[t][k] * (utilities[k] / scale - self.correlation * choices.log_sums[self.nests.of[k]])
            });
            chosen.sum::<f64>() - sales.customers[t] * choices.log_total
        };
        (0..weeks).map(week).sum()
    }

    /// Adds a week's scores and Fisher information, by the logit's coefficients and σ.
    fn week_score(&self, rows: &[Row], sales: &Sales, t: usize, score: &mut [f64], information: &mut [Vec<f64>]) {
        let (n, last) = (rows.len(), self.logit.theta.len());
        let utilities: Vec<f64> = rows.iter().map(|row| row.dot(&self.logit.theta)).collect();
        let choices = self.nests.choices(&utilities, self.correlation);
        let (units, customers) = (&sales.units[t], sales.customers[t]);
        let (mut by_utility, mut square) = (vec![0.0; n + 1], vec![vec![0.0; n + 1]; n + 1]);
        for (k, slopes) in self.nests.slopes(&utilities, self.correlation, &choices).iter().enumerate() {
            let nothing = k == n;
            let share = if nothing { (-choices.log_total).exp() } else { choices.shares[k] };
            let bought = if nothing { customers - units.iter().sum::<f64>() } else { units[k] };
            if share == 0.0 && bought == 0.0 {
                continue; // absent
            }
            for (i, a) in slopes.iter().enumerate() {
                by_utility[i] += bought * a;
                square[i].iter_mut().zip(slopes).for_each(|(x, b)| *x += customers * share * a * b);
            }
        }
        let sigma = [(last, 1.0)];
        let entries = |k: usize| rows.get(k).map_or(&sigma[..], Row::entries);
        for (k, line) in square.iter().enumerate() {
            for (i, x) in entries(k) {
                score[*i] += x * by_utility[k];
                for (l, m) in line.iter().enumerate() {
                    entries(l).iter().for_each(|(j, z)| information[*i][*j] += x * m * z);
                }
            }
        }
    }
}

/// Leaves out σ.
fn without_last(slope: &mut Vec<f64>, information: &mut Vec<Vec<f64>>) {
    slope.pop();
    information.pop();
    information.iter_mut().for_each(|line| line.truncate(slope.len()));
}

impl Model for NestedLogit {
    fn expected(&self, week: Week<'_>) -> Vec<f64> {
        let n = self.nests.of.len();
        let utilities: Vec<f64> = (0..n).map(|k| self.logit.row(week, k).dot(&self.logit.theta)).collect();
        let choices = self.nests.choices(&utilities, self.correlation);
        choices.shares.into_iter().map(|share| share * week.customers).collect()
    }

    fn effects(&self) -> usize {
        self.logit.theta.len() + 1
    }

    fn moved(&self, by: &[f64]) -> Drawn {
        Drawn { nest_correlation: Some(self.correlation_by(by)), ..self.logit.moved(by) }
    }

    fn equations(&self, sales: &Sales, numbers: &[f64], groups: &[Vec<usize>]) -> Option<Vec<Equation>> {
        let (n, count) = (self.nests.of.len(), self.effects());
        let rows = self.logit.rows(sales, numbers, sales.customers.len());
        let (mut scores, mut information) = (Vec::new(), Vec::new());
        for group in groups {
            let (mut score, mut own) = (vec![0.0; count], vec![vec![0.0; count]; count]);
            group.iter().for_each(|t| self.week_score(&rows[t * n..][..n], sales, *t, &mut score, &mut own));
            if !self.inside {
                without_last(&mut score, &mut own);
            }
            scores.push(score);
            information.push(own);
        }
        // The information is the variance that customers' luck gives the scores.
        Some(vec![Equation::of_choices(scores, information)?])
    }

    fn elasticity(&self, sales: &Sales, k: usize, j: usize) -> Linear {
        let bought = |j: usize| sales.units.iter().map(|week| week[j]).sum::<f64>();
        let share = bought(j) / sales.customers.iter().sum::<f64>();
        let (own, scale) = (f64::from(u8::from(j == k)), 1.0 - self.correlation);
        let within = match self.nests.of[k] == self.nests.of[j] {
            true => bought(j) / self.nests.members(self.nests.of[j]).map(bought).sum::<f64>(),
            false => 0.0,
        };
        let price = sales.mean(&sales.prices, j);
        let factor = -price * ((own - self.correlation * within) / scale - share);
        let at = self.own_effect(j);
        let effect = self.logit.theta[at];
        let mut slopes = vec![(at, factor)];
        if self.inside {
            slopes.push((self.logit.theta.len(), -price * effect * (own - within) / (scale * scale)));
        }
        Linear { value: factor * effect, slopes }
    }

    fn own_effect(&self, k: usize) -> usize {
        self.logit.own_effect(k)
    }

    fn nest_correlation(&self) -> Option<(f64, Option<usize>)> {
        Some((self.correlation, self.inside.then_some(self.logit.theta.len())))
    }

    fn covariate(&self, k: usize, covariate: usize) -> usize {
        self.logit.covariate(k, covariate)
    }

    fn coefficient(&self, index: usize) -> f64 {
        self.logit.theta.get(index).copied().unwrap_or(self.correlation)
    }

    fn shifted(&self, by: &[f64], _: &Sales, _: &[f64], _: usize) -> Box<dyn Model> {
        Box::new(self.by(by))
    }
}
