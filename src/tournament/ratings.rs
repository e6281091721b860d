//! Ratings from all games at once: the Bradley-Terry model with Davidson's draws (1970) and a first-move advantage, by
//! maximum likelihood.
//!
//! With d = rᵢ − rⱼ + h for a game where i sits first, win, draw and loss have weights e^(d/2), ν, e^(−d/2). In r, h
//! and ln ν the likelihood is concave. A wide normal prior keeps ratings of undefeated players finite. Intervals come
//! from resampling pairs, never single games: the two games of an opening are not independent.

use super::sprt::Pairs;
use agon_core::Rng;
pub use agon_core::Score;
use agon_core::rng::Stream;
use rand_distr::{Binomial, Distribution};

/// Elo of one unit of the model.
pub const ELO: f64 = 400.0 / std::f64::consts::LN_10;
/// The prior's standard deviation in the model's units: about 1,040 Elo.
const PRIOR: f64 = 6.0;
/// Resamplings behind an interval.
const RESAMPLES: u32 = 1000;

/// The results of all pairs, each counted once for its two players i < j.
#[derive(Clone, Debug, PartialEq)]
pub struct Crosstable {
    players: usize,
    /// By matchup: pairs by i's result in the game where it sat first (× 3) and in the other one.
    cells: Vec<[u64; 9]>,
    /// By matchup: what i earned over both games of a pair, rising, and how many pairs earned it.
    earned: Vec<Vec<(f64, u64)>>,
}

impl Crosstable {
    /// Nothing played yet.
    pub fn new(players: usize) -> Self {
        let matchups = players * players.saturating_sub(1) / 2;
        Self { players, cells: vec![[0; 9]; matchups], earned: vec![Vec::new(); matchups] }
    }

    pub fn players(&self) -> usize {
        self.players
    }

    fn index(&self, i: usize, j: usize) -> usize {
        debug_assert!(i < j && j < self.players);
        i * (2 * self.players - i - 1) / 2 + (j - i - 1)
    }

    /// Counts one pair: `scores` are `a`'s in the game where it sat first and in the other, `earned` its returns.
    pub fn add(&mut self, a: usize, b: usize, scores: [Score; 2], earned: f64) {
        let [first, second] = scores.map(|s| s as usize);
        // Who sat first in a's second game is b.
        let (at, cell, earned) = if a < b {
            (self.index(a, b), 3 * first + second, earned + 0.0)
        } else {
            (self.index(b, a), 3 * (2 - second) + (2 - first), 0.0 - earned)
        };
        self.cells[at][cell] += 1;
        match self.earned[at].binary_search_by(|(x, _)| x.total_cmp(&earned)) {
            Ok(known) => self.earned[at][known].1 += 1,
            Err(between) => self.earned[at].insert(between, (earned, 1)),
        }
    }

    fn matchups(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..self.players)
            .flat_map(|i| (i + 1..self.players).map(move |j| (i, j)))
            .enumerate()
            .map(|(k, (i, j))| (i, j, k))
    }

    /// Pairs that two players played.
    pub fn pairs(&self, a: usize, b: usize) -> u64 {
        if a == b { 0 } else { self.cells[self.index(a.min(b), a.max(b))].iter().sum() }
    }

    /// `a`'s wins, draws and losses against `b`, sitting first and second.
    pub fn by_seat(&self, a: usize, b: usize) -> [[u64; 3]; 2] {
        let mut counts = [[0; 3]; 2];
        if a == b {
            return counts;
        }
        for (cell, n) in self.cells[self.index(a.min(b), a.max(b))].iter().enumerate() {
            // As the lower player saw it: 0 a win, 1 a draw, 2 a loss.
            let [own, other] = [2 - cell / 3, 2 - cell % 3];
            let [first, second] = if a < b { [own, other] } else { [2 - other, 2 - own] };
            counts[0][first] += n;
            counts[1][second] += n;
        }
        counts
    }

    /// `a`'s pairs against `b` by points.
    pub fn pentanomial(&self, a: usize, b: usize) -> Pairs {
        let mut pairs = [0; 5];
        if a != b {
            for (cell, n) in self.cells[self.index(a.min(b), a.max(b))].iter().enumerate() {
                let points = cell / 3 + cell % 3;
                pairs[if a < b { points } else { 4 - points }] += n;
            }
        }
        pairs
    }

    /// `a`'s mean return in a game against `b`; `None` where they did not meet.
    pub fn payoff(&self, a: usize, b: usize) -> Option<f64> {
        let games = 2 * self.pairs(a, b);
        if games == 0 {
            return None;
        }
        let all = &self.earned[self.index(a.min(b), a.max(b))];
        let earned = all.iter().map(|(x, n)| x * *n as f64).sum::<f64>() / games as f64;
        Some(if a < b { earned } else { 0.0 - earned })
    }
}

/// The parameters of the model.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    /// r for each player, then h, then ln ν.
    x: Vec<f64>,
}

impl Model {
    /// The probabilities of loss, draw and win for i sitting first against j, and d.
    fn probabilities(&self, i: usize, j: usize) -> [f64; 3] {
        let [.., h, draw] = self.x[..] else { unreachable!("two parameters at least") };
        let d = self.x[i] - self.x[j] + h;
        let top = (d.abs() / 2.0).max(draw);
        let weights = [-d / 2.0, draw, d / 2.0].map(|w| (w - top).exp());
        let sum: f64 = weights.iter().sum();
        weights.map(|w| w / sum)
    }

    /// The log posterior of weighted cells, its gradient, and minus its second derivative.
    fn posterior(&self, table: &Crosstable, cells: &[[f64; 9]], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let n = self.x.len();
        let mut sum: f64 = self.x.iter().map(|x| -x * x / (2.0 * PRIOR * PRIOR)).sum();
        hessian.fill(0.0);
        for (k, x) in self.x.iter().enumerate() {
            gradient[k] = -x / (PRIOR * PRIOR);
            hessian[k * n + k] = 1.0 / (PRIOR * PRIOR);
        }
        for (i, j, k) in table.matchups() {
            let cells = &cells[k];
            for (first, second, scores) in [(i, j, 0), (j, i, 1)] {
                // Losses, draws, wins of who sat first.
                let mut counts = [0.0; 3];
                for (cell, weight) in cells.iter().enumerate() {
                    counts[if scores == 0 { cell / 3 } else { 2 - cell % 3 }] += weight;
                }
                let games: f64 = counts.iter().sum();
                if games == 0.0 {
                    continue;
                }
                let p = self.probabilities(first, second);
                sum +=
                    counts.iter().zip(p).map(|(c, p)| if *c > 0.0 { c * p.max(1e-300).ln() } else { 0.0 }).sum::<f64>();
                // Derivatives by d and by ln ν.
                let by_d = (counts[2] - counts[0]) / 2.0 - games * (p[2] - p[0]) / 2.0;
                let by_draw = counts[1] - games * p[1];
                let dd = games * ((p[2] + p[0]) - (p[2] - p[0]).powi(2)) / 4.0;
                let cross = -games * (p[2] - p[0]) / 2.0 * p[1];
                let draws = games * p[1] * (1.0 - p[1]);
                let signs = [(first, 1.0), (second, -1.0), (n - 2, 1.0)];
                for (a, sa) in signs {
                    gradient[a] += sa * by_d;
                    for (b, sb) in signs {
                        hessian[a * n + b] += sa * sb * dd;
                    }
                    hessian[a * n + n - 1] += sa * cross;
                    hessian[(n - 1) * n + a] += sa * cross;
                }
                gradient[n - 1] += by_draw;
                hessian[(n - 1) * n + n - 1] += draws;
            }
        }
        sum
    }

    /// Newton's method from here, with steps halved until they climb.
    fn fit(mut self, table: &Crosstable, cells: &[[f64; 9]]) -> Self {
        let n = self.x.len();
        let (mut gradient, mut hessian) = (vec![0.0; n], vec![0.0; n * n]);
        let mut now = self.posterior(table, cells, &mut gradient, &mut hessian);
        for _ in 0..100 {
            let mut step = gradient.clone();
            solve(&mut hessian, &mut step);
            let mut size = 1.0;
            let (next, value) = loop {
                let next = Self { x: self.x.iter().zip(&step).map(|(x, s)| x + size * s).collect() };
                let value = next.posterior(table, cells, &mut gradient, &mut hessian);
                if value >= now || size < 1e-6 {
                    break (next, value);
                }
                size /= 2.0;
            };
            self = next;
            now = value;
            if step.iter().all(|s| s.abs() * size < 1e-9) {
                break;
            }
        }
        self
    }
}

/// Solves A x = b for a positive definite A (Cholesky), b becoming x.
fn solve(a: &mut [f64], b: &mut [f64]) {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            let rest = a[i * n + j] - dot;
            a[i * n + j] = if i == j { rest.max(1e-12).sqrt() } else { rest / a[j * n + j] };
        }
    }
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| a[i * n + k] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| a[k * n + i] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i * n + i];
    }
}

/// A number and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    /// A value with the middle 95 % of its resampled ones.
    fn of(value: f64, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |q: f64| samples[(q * (samples.len() - 1) as f64).round() as usize];
        Self { value, low: at(0.025).min(value), high: at(0.975).max(value) }
    }
}

/// What the games say of the players' strength.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratings {
    /// Elo of each player, 0 for the anchor, or on average without one.
    pub elo: Vec<Estimate>,
    /// Elo that sitting first is worth.
    pub first: Estimate,
    /// The chance of a draw between equals, seats swapped.
    pub draws: Estimate,
}

/// Rates all players. `anchor` is a player whose rating is known. The seed is that of the resampling.
pub fn rate(table: &Crosstable, anchor: Option<(usize, f64)>, seed: u64) -> Ratings {
    let n = table.players;
    let counted: Vec<[f64; 9]> = table.cells.iter().map(|c| c.map(|x| x as f64)).collect();
    let fit = Model { x: vec![0.0; n + 2] }.fit(table, &counted);
    let read = |model: &Model| -> Vec<f64> {
        let (zero, at) = match anchor {
            Some((player, elo)) => (model.x[player], elo),
            None => (model.x[..n].iter().sum::<f64>() / n.max(1) as f64, 0.0),
        };
        let nu = model.x[n + 1].exp();
        let elo = model.x[..n].iter().map(|r| at + ELO * (r - zero));
        elo.chain([ELO * model.x[n], nu / (2.0 + nu)]).collect()
    };
    let mut rng = Rng::new(seed, Stream::Eval, 0);
    let samples: Vec<Vec<f64>> =
        (0..RESAMPLES).map(|_| read(&fit.clone().fit(table, &resample(table, &fit, &mut rng)))).collect();
    let values = read(&fit);
    let estimate = |k: usize| Estimate::of(values[k], samples.iter().map(|s| s[k]).collect());
    Ratings { elo: (0..n).map(estimate).collect(), first: estimate(n), draws: estimate(n + 1) }
}

/// Each player's mean return a game, with an interval from resampling its pairs; for games with stakes, where how much
/// is won counts.
///
/// To the pairs of a meeting one more is added when they are resampled, half won and half lost at the size they had so
/// far (the root of their mean square; one unit where nothing was earned), so that one pair does not look certain.
pub fn mean_returns(table: &Crosstable, seed: u64) -> Vec<Estimate> {
    let n = table.players;
    let games: Vec<f64> = (0..n).map(|a| 2.0 * (0..n).map(|b| table.pairs(a, b)).sum::<u64>() as f64).collect();
    let means = |sums: &[f64]| -> Vec<f64> {
        let mut earned = vec![0.0; n];
        for (i, j, k) in table.matchups() {
            earned[i] += sums[k];
            earned[j] -= sums[k];
        }
        earned.iter().zip(&games).map(|(sum, games)| sum / games.max(1.0) + 0.0).collect()
    };
    let likely: Vec<Vec<(f64, f64)>> = table.earned.iter().map(|seen| likely(seen)).collect();
    let mut rng = Rng::new(seed, Stream::Eval, 1);
    let mut sample = || -> Vec<f64> {
        let sum = |(seen, likely): (&Vec<(f64, u64)>, &Vec<(f64, f64)>)| -> f64 {
            let pairs = seen.iter().map(|(_, n)| n).sum();
            let drawn = multinomial(pairs, likely.iter().map(|(_, p)| *p), &mut rng);
            drawn.iter().zip(likely).map(|(n, (x, _))| *n as f64 * x).sum()
        };
        means(&table.earned.iter().zip(&likely).map(sum).collect::<Vec<_>>())
    };
    let samples: Vec<Vec<f64>> = (0..RESAMPLES).map(|_| sample()).collect();
    let sums: Vec<f64> = table.earned.iter().map(|seen| seen.iter().map(|(x, n)| x * *n as f64).sum::<f64>()).collect();
    let values = means(&sums);
    (0..n).map(|a| Estimate::of(values[a], samples.iter().map(|s| s[a]).collect())).collect()
}

/// What a pair may earn and how likely that is, by those that were played and the one that is added.
fn likely(seen: &[(f64, u64)]) -> Vec<(f64, f64)> {
    let pairs: u64 = seen.iter().map(|(_, n)| n).sum();
    let square = seen.iter().map(|(x, n)| x * x * *n as f64).sum::<f64>() / pairs.max(1) as f64;
    let size = if square > 0.0 { square.sqrt() } else { 1.0 };
    let all = (pairs + 1) as f64;
    let played = seen.iter().map(|(x, n)| (*x, *n as f64 / all));
    played.chain([(size, 0.5 / all), (-size, 0.5 / all)]).collect()
}

/// As many pairs for each matchup, drawn from those that were played, half a pair that the model expects and half a
/// pair of even results, so that a result that was never observed is not taken for impossible.
fn resample(table: &Crosstable, fit: &Model, rng: &mut Rng) -> Vec<[f64; 9]> {
    let draw = |(i, j, k): (usize, usize, usize)| {
        let (cells, mut out) = (&table.cells[k], [0.0; 9]);
        let pairs: u64 = cells.iter().sum();
        if pairs == 0 {
            return out;
        }
        let (own, other) = (fit.probabilities(i, j), fit.probabilities(j, i));
        let p = (0..9).map(|cell| {
            let expected = (own[cell / 3] * other[2 - cell % 3] + 1.0 / 9.0) / 2.0;
            (cells[cell] as f64 + expected) / (pairs + 1) as f64
        });
        for (out, n) in out.iter_mut().zip(multinomial(pairs, p, rng)) {
            *out = n as f64;
        }
        out
    };
    table.matchups().map(draw).collect()
}

/// How often each of some cases comes up in `left` draws; their probabilities sum to 1.
fn multinomial(mut left: u64, probabilities: impl ExactSizeIterator<Item = f64>, rng: &mut Rng) -> Vec<u64> {
    let (last, mut rest) = (probabilities.len().saturating_sub(1), 1.0);
    let draw = |(i, p): (usize, f64)| {
        let share = if i == last { 1.0 } else { (p / rest).clamp(0.0, 1.0) };
        // A share within 0 and 1 is all that Binomial asks for.
        let n = Binomial::new(left, share).map_or(0, |b| b.sample(rng));
        left -= n;
        rest = (rest - p).max(1e-300);
        n
    };
    probabilities.enumerate().map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One game by the model's probabilities.
    fn game(probabilities: [f64; 3], rng: &mut Rng) -> Score {
        let x = rng.f64();
        match x {
            x if x < probabilities[0] => Score::Loss,
            x if x < probabilities[0] + probabilities[1] => Score::Draw,
            _ => Score::Win,
        }
    }

    fn play(truth: &Model, pairs: u64, rng: &mut Rng) -> Crosstable {
        let n = truth.x.len() - 2;
        let mut table = Crosstable::new(n);
        for i in 0..n {
            for j in i + 1..n {
                for _ in 0..pairs {
                    let own = game(truth.probabilities(i, j), rng);
                    let other = game(truth.probabilities(j, i), rng).other();
                    table.add(i, j, [own, other], 0.0);
                }
            }
        }
        table
    }

    #[test]
    fn two_players_have_a_closed_form() {
        // 30 wins, 10 draws, 10 losses, seats even: the score 0.7 has the odds e^r times those of the draws' halves.
        let mut table = Crosstable::new(2);
        for _ in 0..15 {
            table.add(0, 1, [Score::Win, Score::Win], 2.0);
        }
        for _ in 0..5 {
            table.add(1, 0, [Score::Win, Score::Win], 2.0);
            table.add(0, 1, [Score::Draw, Score::Draw], 0.0);
        }
        let r = rate(&table, None, 1);
        // Wins to losses stand as e^d: 3, so d = ln 3, but for the prior's pull.
        let apart = r.elo[0].value - r.elo[1].value;
        assert!((apart - ELO * 3f64.ln()).abs() < 2.0, "{apart}");
        assert!(r.first.value.abs() < 1e-6);
        // Draws are ν of e^½d + ν + e^−½d: a fifth, so ν = (√3 + 1/√3)/4.
        let nu = (3f64.sqrt() + 1.0 / 3f64.sqrt()) / 4.0;
        assert!((r.draws.value - nu / (2.0 + nu)).abs() < 2e-3, "{:?}", r.draws);
        assert_eq!(table.by_seat(0, 1), [[15, 5, 5], [15, 5, 5]]);
        assert_eq!(table.by_seat(1, 0), [[5, 5, 15], [5, 5, 15]]);
        assert_eq!(table.pentanomial(0, 1), [5, 0, 5, 0, 15]);
        assert_eq!(table.payoff(1, 0), Some(-0.4));
    }

    #[test]
    fn seats_are_told_apart() {
        let mut table = Crosstable::new(2);
        for _ in 0..9 {
            table.add(1, 0, [Score::Win, Score::Loss], 0.0); // who sits first wins
        }
        table.add(0, 1, [Score::Win, Score::Draw], 1.0);
        assert_eq!(table.by_seat(0, 1), [[10, 0, 0], [0, 1, 9]]);
        let r = rate(&table, Some((1, 1500.0)), 1);
        assert!(r.first.value > 400.0 && r.elo[0].value > 1500.0 && r.elo[1].value == 1500.0, "{r:?}");
    }

    #[test]
    fn a_clean_sweep_and_no_games_are_numbers() {
        let mut table = Crosstable::new(3);
        for _ in 0..10 {
            table.add(0, 1, [Score::Win, Score::Win], 2.0);
        }
        let r = rate(&table, None, 1);
        assert!(r.elo.iter().all(|e| e.value.is_finite() && e.low.is_finite() && e.high.is_finite()), "{r:?}");
        assert!(r.elo[0].value > 300.0 && r.elo[0].low < r.elo[0].value, "{r:?}");
        rate(&Crosstable::new(1), None, 1);
    }

    /// 300 tournaments of four with draws and a first-move advantage: how often the intervals cover the truth.
    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        let mut rng = Rng::new(3, Stream::Eval, 1);
        let (mut covered, mut all) = ([0; 6], 0);
        for run in 0..300 {
            let r: [f64; 4] = std::array::from_fn(|_| rng.normal() * 0.8);
            let mean = r.iter().sum::<f64>() / 4.0;
            let truth = Model { x: r.iter().copied().chain([0.3, -0.4]).collect() };
            let rated = rate(&play(&truth, 40, &mut rng), None, run);
            let nu = (-0.4f64).exp();
            let truths = r.map(|r| ELO * (r - mean)).into_iter().chain([ELO * 0.3, nu / (2.0 + nu)]);
            let estimates = rated.elo.iter().chain([&rated.first, &rated.draws]);
            for (k, (t, e)) in truths.zip(estimates).enumerate() {
                covered[k] += u32::from(e.low <= t && t <= e.high);
            }
            all += 1;
        }
        println!("the truth is covered in {covered:?} of {all}: four ratings, first seat, draws");
        for share in covered.map(|c| f64::from(c) / f64::from(all)) {
            assert!((0.90..=0.98).contains(&share), "{covered:?} of {all}");
        }
    }

    /// Pairs that earn −4 to 6 units, more small ones than large ones: how often the interval of the mean return holds
    /// the truth, over 1,000 matches of each length.
    #[test]
    fn intervals_of_mean_returns_cover_the_truth() {
        let worth = [(-4.0, 0.15), (-2.0, 0.2), (0.0, 0.3), (1.0, 0.2), (6.0, 0.15)];
        let truth = worth.iter().map(|(x, p)| x * p).sum::<f64>() / 2.0;
        let mut rng = Rng::new(4, Stream::Eval, 1);
        for pairs in [1, 3, 10, 40] {
            let covered = (0..1000).filter(|run| {
                let mut table = Crosstable::new(2);
                for _ in 0..pairs {
                    let mut x = rng.f64();
                    let drawn = worth.iter().find(|(_, p)| {
                        x -= p;
                        x < 0.0
                    });
                    table.add(1, 0, [Score::Draw; 2], drawn.map_or(0.0, |d| d.0));
                }
                let [other, own] = mean_returns(&table, *run)[..] else { unreachable!("two players") };
                assert!((own.value + other.value).abs() < 1e-12);
                own.low <= truth && truth <= own.high
            });
            let covered = covered.count();
            println!("{pairs} pairs: the truth is covered in {covered} of 1000");
            assert!(covered >= 880, "{pairs} pairs: {covered} of 1000");
        }
    }

    #[test]
    fn mean_returns_of_no_and_of_even_games_are_numbers() {
        let mut table = Crosstable::new(3);
        table.add(0, 1, [Score::Draw; 2], -0.0);
        let found = mean_returns(&table, 1);
        assert!(found[0].value == 0.0 && found[0].low < 0.0 && found[0].high > 0.0, "{found:?}");
        assert_eq!(found[2], Estimate { value: 0.0, low: 0.0, high: 0.0 });
        assert!(found.iter().all(|e| e.value.is_sign_positive()));
    }
}
