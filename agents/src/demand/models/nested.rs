//! Nested logit demand: products of a nest are closer to each other than to others (McFadden 1978; σ as in Berry 1994).
//!
//! With λ = 1 − σ and D_g = Σ_{j in g} e^{V_j / λ}: P_k = e^{V_k / λ} D_g^{λ − 1} / (1 + Σ_h D_h^λ). σ = 0 is the logit. The
//! likelihood is maximised by Fisher scoring in the logit's coefficients and σ, from the least squares of Berry (1994) at a
//! given σ. Least squares that find σ as well would need instruments for shares within nests: there are none.

use super::errors::{Equation, InformationOfGroup, MANY};
use super::logit::{Rows, Sums};
use super::{Asked, Drawn, Linear, Logit, MeanWeek, Model, Take, Week, finite};
use crate::demand::matrix::{self, Factor, times};
use crate::demand::{Method, PriceEffect, Sales};

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
}

impl NestedLogit {
    /// Fits the first weeks of a table; none where no nest has two products, where the weeks say too little, or scoring does
    /// not settle. `start`: coefficients that are near, σ the last.
    pub fn fit(
        sales: &Sales,
        numbers: &[f64],
        weeks: usize,
        effect: PriceEffect,
        calendar: bool,
        start: Option<&[f64]>,
    ) -> Option<Self> {
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
        match start.filter(|start| start.len() == model.effects()) {
            Some(start) => {
                let (theta, correlation) = start.split_at(start.len() - 1);
                model.logit.theta.copy_from_slice(theta);
                model.correlation = correlation[0];
            }
            None => model.logit.least_squares(&rows, sales, weeks, &within)?,
        }
        model.climb(&rows, sales, weeks)?;
        finite(&model.logit.theta).then_some(model)
    }

    fn climb(&mut self, rows: &Rows, sales: &Sales, weeks: usize) -> Option<()> {
        let count = self.effects();
        let mut value = self.log_likelihood(rows, sales, weeks);
        for _ in 0..MOST_STEPS {
            let mut sums = Sums::new(count);
            (0..weeks).for_each(|t| self.add_score(rows, sales, t, &mut sums));
            let (mut slope, mut information) = sums.finish();
            let at_end = (self.correlation <= 0.0 && slope[count - 1] <= 0.0)
                || (self.correlation >= MOST_CORRELATED && slope[count - 1] >= 0.0);
            self.inside = !at_end;
            let mut step = Vec::new();
            if !at_end {
                step = Factor::of(&information).ok()?.solve(&slope);
            }
            // σ stays at its end, too, while the others must move before it can.
            if at_end || (self.correlation_by(&step) == self.correlation && step[count - 1] != 0.0) {
                slope.pop();
                without_last(&mut information);
                step = Factor::of(&information).ok()?.solve(&slope);
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
    fn log_likelihood(&self, rows: &Rows, sales: &Sales, weeks: usize) -> f64 {
        let (n, scale) = (self.nests.of.len(), 1.0 - self.correlation);
        let week = |t: usize| {
            let utilities: Vec<f64> = rows.week(t).map(|row| row.dot(&self.logit.theta)).collect();
            let choices = self.nests.choices(&utilities, self.correlation);
            let chosen = (0..n).filter(|k| sales.units[t][*k] > 0.0).map(|k| {
                sales.units[t][k] * (utilities[k] / scale - self.correlation * choices.log_sums[self.nests.of[k]])
            });
            chosen.sum::<f64>() - sales.customers[t] * choices.log_total
        };
        (0..weeks).map(week).sum()
    }

    /// Adds a week's scores and Fisher information, by the logit's coefficients and σ.
    ///
    /// With q the shares within nests and Q_g those of nests, ∇ ln P_k = e_k / λ − (σ / λ) q_g − P, so that the information of
    /// a customer is diag(P) / λ² − (1 / λ² − 1) Σ Q_g q_g q_gᵀ − P Pᵀ in utilities.
    fn add_score(&self, rows: &Rows, sales: &Sales, t: usize, sums: &mut Sums) {
        let (last, sigma, scale) = (self.logit.theta.len(), self.correlation, 1.0 - self.correlation);
        let utilities: Vec<f64> = rows.week(t).map(|row| row.dot(&self.logit.theta)).collect();
        let choices = self.nests.choices(&utilities, sigma);
        let (units, customers) = (&sales.units[t], sales.customers[t]);
        // Of ln P_k by σ: what is its own, and sums of that over what is bought in a nest and at all.
        let mean = |g: usize| self.nests.members(g).map(|k| choices.within[k] * utilities[k]).sum::<f64>();
        let means: Vec<f64> = (0..self.nests.count).map(mean).collect();
        let own: Vec<f64> = (0..utilities.len())
            .map(|k| {
                let g = self.nests.of[k];
                let absent = choices.shares[k] == 0.0 && units[k] == 0.0;
                if absent { 0.0 } else { (utilities[k] - sigma * means[g]) / (scale * scale) - choices.log_sums[g] }
            })
            .collect();
        let of_nest = |what: &dyn Fn(usize) -> f64, g: usize| self.nests.members(g).map(what).sum::<f64>();
        let in_nests =
            |what: &dyn Fn(usize) -> f64| (0..self.nests.count).map(|g| of_nest(what, g)).collect::<Vec<f64>>();
        let [bought, shares, slopes]: [Vec<f64>; 3] =
            [in_nests(&|k| units[k]), in_nests(&|k| choices.shares[k]), in_nests(&|k| choices.shares[k] * own[k])];
        let slope: f64 = slopes.iter().sum();
        sums.score[last] += units.iter().zip(&own).map(|(u, s)| u * s).sum::<f64>() - customers * slope;
        let square: f64 = choices.shares.iter().zip(&own).map(|(p, s)| p * s * s).sum();
        sums.information[last][last] += customers * (square - slope * slope);
        let all = sums.subtracted.len();
        sums.subtracted.resize(all + last + 1, 0.0);
        for (k, row) in rows.week(t).enumerate() {
            let (g, share, within) = (self.nests.of[k], choices.shares[k], choices.within[k]);
            let score = (units[k] - sigma * within * bought[g]) / scale - customers * share;
            let with_sigma = customers * ((share * own[k] - sigma * within * slopes[g]) / scale - share * slope);
            for (i, x) in row.entries() {
                sums.score[i] += x * score;
                sums.subtracted[all + i] += x * customers.sqrt() * share;
                sums.information[i][last] += x * with_sigma;
                sums.information[last][i] += x * with_sigma;
            }
            row.add_square(customers * share / (scale * scale), &mut sums.information);
        }
        for (g, share) in shares.iter().enumerate() {
            let members = rows.week(t).zip(&self.nests.of).zip(&choices.within).filter(|((_, of), _)| **of == g);
            let factor = (customers * share).sqrt() * ((scale * scale).recip() - 1.0).max(0.0).sqrt();
            sums.subtract_square(members.map(|((row, _), within)| (row, factor * within)));
        }
    }
}

/// Leaves out the last row and column.
fn without_last(matrix: &mut Vec<Vec<f64>>) {
    matrix.pop();
    matrix.iter_mut().for_each(|line| line.truncate(line.len() - 1));
}

impl Model for NestedLogit {
    fn expected(&self, week: Week<'_>) -> Vec<f64> {
        let choices = self.nests.choices(&self.logit.utilities(week), self.correlation);
        choices.shares.into_iter().map(|share| share * week.customers).collect()
    }

    fn effects(&self) -> usize {
        self.logit.theta.len() + 1
    }

    fn moved(&self, by: &[f64]) -> Drawn {
        Drawn { nest_correlation: Some(self.correlation_by(by)), ..self.logit.moved(by) }
    }

    fn equations(&self, asked: &Asked<'_>, take: &mut Take<'_>) -> Option<()> {
        let Asked { sales, numbers, groups, whole } = *asked;
        let (count, n) = (self.effects(), self.nests.of.len());
        let rows = self.logit.rows(sales, numbers, asked.rows()?);
        let (mut scores, mut each, mut information) = (Vec::new(), Vec::new(), vec![vec![0.0; count]; count]);
        for group in groups {
            let mut sums = Sums::new(count);
            group.iter().for_each(|t| self.add_score(&rows, sales, *t, &mut sums));
            let (score, own) = sums.finish();
            matrix::add(&mut information, 1.0, &own);
            scores.push(score);
            if whole && groups.len() <= MANY {
                each.push(own);
            }
        }
        if !self.inside {
            // σ is taken for known.
            scores.iter_mut().for_each(|score| score.truncate(count - 1));
            each.iter_mut().chain([&mut information]).for_each(without_last);
        }
        // The information is the variance that customers' luck gives the scores.
        let (factor, luck) = (Factor::of(&information).ok()?, information.clone());
        let apart = !each.is_empty();
        let of_group =
            apart.then(|| -> InformationOfGroup { Box::new(move |group, vector| times(&each[group], vector)) });
        let effective_coefficients = 1.0 + (count - 1) as f64 / n as f64;
        take(Equation { factor, scores, information, of_group, luck, pull: Vec::new(), effective_coefficients })
    }

    fn elasticity(&self, mean: &MeanWeek, k: usize, j: usize) -> Linear {
        let (own, scale) = (f64::from(u8::from(j == k)), 1.0 - self.correlation);
        let within = match self.nests.of[k] == self.nests.of[j] {
            true => mean.shares[j] / self.nests.members(self.nests.of[j]).map(|i| mean.shares[i]).sum::<f64>(),
            false => 0.0,
        };
        let price = mean.prices[j];
        let factor = -price * ((own - self.correlation * within) / scale - mean.shares[j]);
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
