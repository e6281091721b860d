//! A seller who does not know demand and learns it while selling (Keskin and Zeevi 2014, "Dynamic pricing with an unknown
//! demand model"; den Boer and Zwart 2014, "Simultaneously learning and optimizing using controlled variance pricing").
//!
//! Demand at price p is α − β p + noise; α and β are drawn at the start of an episode and never shown. Reward is the
//! revenue p (α − β p + noise). As in these papers the line is the line: where it or its noise falls below zero, so does
//! demand, and what was sold comes back. Observation: time left, the last price and demand, and what least squares make of all
//! sales so far. The scripted players are the bandits of this literature: they see prices and sales, nothing else,
//! except `clairvoyant`. The measure `regret` is what they are expected to earn less than it in the same episode, at the
//! same α and β: no luck of draws or of noise is in it.

use agon_core::env::{Fold, Measure, Player, ensure, within};
use agon_core::rng::Stream;
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec, Status};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct LearnAndEarnSettings {
        /// `[least, greatest]` demand at price zero.
        intercept: Vec<f64> = vec![0.9, 1.3], in [1e-6, 1e9];
        /// `[least, greatest]` demand lost a unit of price.
        slope: Vec<f64> = vec![0.4, 0.6], in [1e-9, 1e9];
        /// Deviation of demand's noise.
        noise: f64 = 0.1, in [0.0, 1e9];
        /// `[lowest, highest]` price; it must hold the best price of every demand that can be.
        price_range: Vec<f64> = vec![0.5, 2.0], in [0.0, 1e9];
        /// Periods.
        periods: u32 = 1000, in [2.0, 1e7];
        /// Prices, evenly spread over the range, among which epsilon-greedy and ucb choose.
        arms: u32 = 16, in [2.0, 64.0];
    }
}

/// Sums over the sales so far: all that least squares need.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sales {
    n: f64,
    p: f64,
    pp: f64,
    d: f64,
    pd: f64,
}

impl Sales {
    /// The least-squares line: demand at price zero, and demand lost a unit of price. None before two prices were tried.
    fn line(&self) -> Option<(f64, f64)> {
        let spread = self.n * self.pp - self.p * self.p;
        if spread <= 1e-9 * self.n * self.pp {
            return None;
        }
        let slope = -(self.n * self.pd - self.p * self.d) / spread;
        Some(((self.d + slope * self.p) / self.n, slope))
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    alpha: f64,
    beta: f64,
    period: u32,
    price: f64,
    demand: f64,
    sales: Sales,
    /// Times each arm was chosen, and its revenue in all.
    tried: Vec<u32>,
    earned: Vec<f64>,
    /// What players that draw lots draw them from.
    lots: u64,
}

#[derive(Clone)]
pub struct LearnAndEarn {
    settings: LearnAndEarnSettings,
    spec: Spec,
    low: f64,
    high: f64,
}

impl LearnAndEarn {
    fn arm(&self, k: usize) -> f64 {
        self.low + (self.high - self.low) * k as f64 / f64::from(self.settings.arms - 1)
    }

    fn nearest_arm(&self, price: f64) -> usize {
        ((price - self.low) / (self.high - self.low) * f64::from(self.settings.arms - 1)).round() as usize
    }

    /// The price that would be best if the line were true.
    fn best(&self, (alpha, beta): (f64, f64)) -> f64 {
        // Where demand seems to rise with the price, the highest one is best.
        if beta <= 1e-9 { self.high } else { (alpha / (2.0 * beta)).clamp(self.low, self.high) }
    }

    /// The best price by the least-squares line; two prices are tried first.
    fn certainty_equivalent(&self, state: &State) -> f64 {
        let third = (self.high - self.low) / 3.0;
        let first = if state.sales.n == 0.0 { self.low + third } else { self.low + 2.0 * third };
        state.sales.line().map_or(first, |line| self.best(line))
    }

    /// The same, kept so far from the mean of past prices that their variance falls no faster than c / √t.
    fn controlled_variance(&self, state: &State) -> f64 {
        let (price, t) = (self.certainty_equivalent(state), state.sales.n);
        if t < 2.0 {
            return price;
        }
        let mean = state.sales.p / t;
        let c = 0.05 * (self.high - self.low).powi(2);
        let distance = (c * ((t + 1.0).sqrt() - t.sqrt()) * (t + 1.0) / t).sqrt();
        if (price - mean).abs() >= distance {
            return price;
        }
        let away = if price >= mean { mean + distance } else { mean - distance };
        if away >= self.low && away <= self.high { away } else { 2.0 * mean - away }
    }

    /// A line drawn from what a flat prior and the sales leave possible.
    fn thompson(&self, state: &State, lots: &mut Rng) -> f64 {
        let s = &state.sales;
        let Some((alpha, beta)) = s.line() else { return self.certainty_equivalent(state) };
        // (XᵀX)⁻¹ = [[Σp², −Σp], [−Σp, n]] / spread, by its Cholesky factor; the second number is −β.
        let spread = s.n * s.pp - s.p * s.p;
        let (aa, ab, bb) = (s.pp / spread, -s.p / spread, s.n / spread);
        let l11 = aa.sqrt();
        let (l21, l22) = (ab / l11, (bb - (ab / l11).powi(2)).max(0.0).sqrt());
        let (z1, z2) = (lots.normal() * self.settings.noise, lots.normal() * self.settings.noise);
        self.best((alpha + l11 * z1, beta - (l21 * z1 + l22 * z2)))
    }

    fn mean_revenue(&self, state: &State, arm: usize) -> f64 {
        state.earned[arm] / f64::from(state.tried[arm].max(1))
    }

    fn best_arm(&self, score: impl Fn(usize) -> f64) -> f64 {
        let arms = 0..self.settings.arms as usize;
        self.arm(arms.max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0))
    }

    /// UCB1 (Auer, Cesa-Bianchi and Fischer 2002, figure 1): after each arm once, the arm of the greatest
    /// x̄ⱼ + √(2 ln n / nⱼ), where rewards x lie in [0, 1], n counts all plays and nⱼ those of arm j. Here x is a revenue as
    /// a share of the greatest one that can be expected, α² / (4 β) at the greatest α and the least β.
    fn ucb(&self, state: &State) -> f64 {
        let scale = self.settings.intercept[1].powi(2) / (4.0 * self.settings.slope[0]);
        let t = state.sales.n.max(1.0);
        self.best_arm(|k| match state.tried[k] {
            0 => f64::INFINITY,
            n => self.mean_revenue(state, k) / scale + (2.0 * t.ln() / f64::from(n)).sqrt(),
        })
    }

    /// A random arm with probability (K / t)^(1/3), else the best so far.
    fn epsilon_greedy(&self, state: &State, lots: &mut Rng) -> f64 {
        let epsilon = (f64::from(self.settings.arms) / (state.sales.n + 1.0)).cbrt();
        if lots.f64() < epsilon {
            return self.arm(lots.below(self.settings.arms) as usize);
        }
        self.best_arm(|k| if state.tried[k] == 0 { f64::NEG_INFINITY } else { self.mean_revenue(state, k) })
    }
}

impl Env for LearnAndEarn {
    type Settings = LearnAndEarnSettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] = &[
        Player { name: "certainty-equivalence", about: "the best price by least squares, as if it were the truth" },
        Player { name: "controlled-variance", about: "the same, with prices kept apart (den Boer and Zwart 2014)" },
        Player { name: "thompson", about: "the best price of a demand drawn from what sales leave possible" },
        Player { name: "ucb", about: "UCB1 over a menu of prices" },
        Player { name: "epsilon-greedy", about: "the best of a menu so far, or at times any" },
        Player { name: "clairvoyant", about: "the best price, known from the start" },
    ];
    const MEASURES: &'static [Measure] = &[
        Measure { name: Measure::REGRET, unit: "", fold: Fold::Sum },
        Measure { name: Measure::CLAIRVOYANT, unit: "", fold: Fold::Sum },
        Measure { name: "revenue", unit: "", fold: Fold::Sum },
        Measure { name: "mean price asked", unit: "", fold: Fold::Mean },
        Measure { name: "last price asked", unit: "", fold: Fold::Last },
    ];

    fn new(settings: LearnAndEarnSettings) -> Result<Self, EnvError> {
        let pair = |name: &str, list: &[f64], strict: bool| match *list {
            [a, b] if a < b || (!strict && a == b) => Ok((a, b)),
            _ => Err(EnvError::setting(name, "must be two numbers, the smaller one first")),
        };
        let (a1, a2) = pair("intercept", &settings.intercept, false)?;
        let (b1, b2) = pair("slope", &settings.slope, false)?;
        let (low, high) = pair("price_range", &settings.price_range, true)?;
        let (least, greatest) = (a1 / (2.0 * b2), a2 / (2.0 * b1));
        if least < low || greatest > high {
            let message = format!("must hold every price that can be best: [{least:.4}, {greatest:.4}]");
            return Err(EnvError::setting("price_range", message));
        }
        let any = |name: &str| Field::new(name, "", -f32::INFINITY, f32::INFINITY);
        let fields = vec![
            Field::share("time left", f64::from(settings.periods), "periods"),
            Field::new("last price", "", 0.0, high as f32),
            any("last demand"),
            Field::new("mean price", "", 0.0, high as f32),
            Field::new("deviation of prices", "", 0.0, high as f32),
            any("estimated intercept"),
            any("estimated slope"),
        ];
        let action = ActionSpec::Continuous { fields: vec![Field::new("price", "", low as f32, high as f32)] };
        let spec = Spec::new(fields, action, settings.periods);
        Ok(Self { settings, spec, low, high })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        let arms = self.settings.arms as usize;
        let (mut tried, mut earned) = (std::mem::take(&mut state.tried), std::mem::take(&mut state.earned));
        tried.clear();
        tried.resize(arms, 0);
        earned.clear();
        earned.resize(arms, 0.0);
        let (intercept, slope) = (&self.settings.intercept, &self.settings.slope);
        *state = State {
            alpha: rng.range(intercept[0], intercept[1]),
            beta: rng.range(slope[0], slope[1]),
            lots: u64::from(rng.below(u32::MAX)),
            tried,
            earned,
            ..State::default()
        };
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let price = f64::from(actions.continuous()[0].clamp(self.low as f32, self.high as f32));
        let demand = state.alpha - state.beta * price + self.settings.noise * rng.normal();
        state.period += 1;
        (state.price, state.demand) = (price, demand);
        let s = &mut state.sales;
        s.n += 1.0;
        s.p += price;
        s.pp += price * price;
        s.d += demand;
        s.pd += price * demand;
        let arm = self.nearest_arm(price);
        state.tried[arm] += 1;
        state.earned[arm] += price * demand;
        reward[0] = (price * demand) as f32;
        if state.period == self.settings.periods { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        let (set, s, n) = (&self.settings, &state.sales, f64::from(state.period));
        let between = |what, x: f64, low: f64, high: f64| {
            let rest = 1e-9 * low.abs().max(high.abs()); // sums are rounded
            within(what, x, low - rest, high + rest)
        };
        ensure(state.period <= set.periods, "`period` is more than an episode has")?;
        between("alpha", state.alpha, set.intercept[0], set.intercept[1])?;
        between("beta", state.beta, set.slope[0], set.slope[1])?;
        let [low, high] = [f64::from(self.low as f32), f64::from(self.high as f32)];
        let begun = state.period > 0;
        within("price", state.price, if begun { low } else { 0.0 }, if begun { high } else { 0.0 })?;
        // No draw of the noise is farther off than 40 deviations.
        let most = set.intercept[1] + set.slope[1] * high + 40.0 * set.noise;
        let mean = if begun { state.alpha - state.beta * state.price } else { 0.0 };
        let away = if begun { 40.0 * set.noise } else { 0.0 };
        between("demand", state.demand, mean - away - 1e-9 * most, mean + away + 1e-9 * most)?;
        ensure(s.n == n, "`sales.n` is not the number of periods")?;
        between("sales.p", s.p, n * low, n * high)?;
        between("sales.pp", s.pp, (s.p * s.p / n.max(1.0)).min(n * low * low), n * high * high)?;
        ensure(s.p * s.p <= n * s.pp * (1.0 + 1e-9), "`sales.pp` is too small for `sales.p`")?;
        between("sales.d", s.d, -n * most, n * most)?;
        between("sales.pd", s.pd, -n * most * high, n * most * high)?;
        let arms = set.arms as usize;
        ensure(state.tried.len() == arms && state.earned.len() == arms, "there must be a number for each arm")?;
        let tried = state.tried.iter().map(|n| u64::from(*n)).sum::<u64>();
        ensure(tried == u64::from(state.period), "`tried` does not add up to the periods")?;
        for (tried, earned) in state.tried.iter().zip(&state.earned) {
            let top = f64::from(*tried) * most * high;
            between("`earned` of an arm", *earned, -top, top)?;
        }
        Ok(if state.period == set.periods { Status::Terminated } else { Status::Running })
    }

    fn age(&self, state: &State) -> Option<u32> {
        Some(state.period)
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        let (s, n) = (&state.sales, state.sales.n.max(1.0));
        let mean = s.p / n;
        // Early lines can be anything: what is shown stays within ten times what can be true.
        let (alpha, beta) = s.line().unwrap_or((0.0, 0.0));
        let (most, steepest) = (10.0 * self.settings.intercept[1], 10.0 * self.settings.slope[1]);
        let shown = [
            1.0 - f64::from(state.period) / f64::from(self.settings.periods),
            state.price,
            state.demand,
            mean,
            (s.pp / n - mean * mean).max(0.0).sqrt(),
            alpha.clamp(-most, most),
            beta.clamp(-steepest, steepest),
        ];
        obs.iter_mut().zip(shown).for_each(|(o, x)| *o = x as f32);
    }

    fn play(&self, player: usize, state: &State, mut actions: ActionsMut<'_>) {
        let mut lots = Rng::new(state.lots, Stream::Player, state.period);
        let price = match Self::PLAYERS[player].name {
            "certainty-equivalence" => self.certainty_equivalent(state),
            "controlled-variance" => self.controlled_variance(state),
            "thompson" => self.thompson(state, &mut lots),
            "ucb" => self.ucb(state),
            "epsilon-greedy" => self.epsilon_greedy(state, &mut lots),
            _ => self.best((state.alpha, state.beta)),
        };
        actions.set(0, price);
    }

    /// The clairvoyant's: periods · E(α²) E(1/β) / 4.
    fn optimum(&self) -> Option<f64> {
        let ([a1, a2], [b1, b2]) = (&self.settings.intercept[..2], &self.settings.slope[..2]) else { return None };
        let squares = (a1 * a1 + a1 * a2 + a2 * a2) / 3.0;
        let inverse = if b2 - b1 < 1e-12 * b2 { 1.0 / b1 } else { (b2 / b1).ln() / (b2 - b1) };
        Some(f64::from(self.settings.periods) * squares * inverse / 4.0)
    }

    fn measure(&self, state: &State, out: &mut [f64]) {
        let revenue = |p: f64| p * (state.alpha - state.beta * p);
        let best = revenue(state.alpha / (2.0 * state.beta));
        let regret = best - revenue(state.price);
        out.copy_from_slice(&[regret, best, state.price * state.demand, state.price, state.price]);
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        let top = self.settings.intercept[1].powi(2) / (4.0 * self.settings.slope[0]);
        scene.window([self.low, self.high], [0.0, top]);
        let revenue = |p: f64, (a, b): (f64, f64)| (p * (a - b * p)).max(0.0);
        let step = (self.high - self.low) / 40.0;
        let truth = (state.alpha, state.beta);
        for (line, ink) in [(Some(truth), Ink::Frame), (state.sales.line(), Ink::Body)] {
            let Some(line) = line else { continue };
            for k in 0..40 {
                let (a, b) = (self.low + step * f64::from(k), self.low + step * f64::from(k + 1));
                scene.line(a, revenue(a, line), b, revenue(b, line), ink);
            }
        }
        scene.circle(state.price, revenue(state.price, truth), 0.02, Ink::Agent);
        scene.note("period", format!("{} of {}", state.period, self.settings.periods));
        scene.note("price", format!("{:.3}", state.price));
        scene.note("best", format!("{:.3}", self.best(truth)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean regret of a player over `episodes`.
    fn regret(player: &str, periods: u32, episodes: u32) -> f64 {
        let market = LearnAndEarn::new(LearnAndEarnSettings { periods, ..Default::default() }).unwrap();
        let player = LearnAndEarn::PLAYERS.iter().position(|p| p.name == player).unwrap();
        let (mut state, mut total) = (State::default(), 0.0);
        for episode in 0..episodes {
            let mut rng = Rng::new(7, Stream::Env, episode);
            market.reset(&mut state, &mut rng);
            loop {
                let (mut action, mut reward, mut counted) = ([0f32], [0f32], [0.0; 5]);
                market.play(player, &state, ActionsMut::Continuous(&mut action));
                let status = market.step(&mut state, Actions::Continuous(&action), &mut reward, &mut rng);
                market.measure(&state, &mut counted);
                total += counted[0];
                if status == Status::Terminated {
                    break;
                }
            }
        }
        total / f64::from(episodes)
    }

    /// The exponent of regret's growth from 1,000 to 16,000 periods.
    fn growth(player: &str) -> f64 {
        (regret(player, 16_000, 60) / regret(player, 1000, 60)).ln() / 16f64.ln()
    }

    #[test]
    fn regret_grows_as_the_literature_says() {
        assert!(regret("clairvoyant", 1000, 20).abs() < 1e-3);
        for player in ["controlled-variance", "thompson"] {
            let exponent = growth(player);
            assert!(exponent <= 0.6, "{player}: T^{exponent:.3}");
        }
        // Uniform prices lose a fixed amount a period.
        assert!(growth("epsilon-greedy") > 0.6, "a menu and random prices cost more than √T");
    }

    /// The index of UCB1 by hand, at two arms: the greatest revenue is 1.3² / (4 · 0.4) = 1.05625.
    #[test]
    fn ucb_is_its_papers() {
        let market = LearnAndEarn::new(LearnAndEarnSettings { arms: 2, ..Default::default() }).unwrap();
        let index = |mean: f64, n: f64, tried: f64| mean / 1.056_25 + (2.0 * n.ln() / tried).sqrt();
        for (tried, means) in
            [([5, 95], [0.3, 0.9]), ([30, 70], [0.3, 0.9]), ([40, 60], [0.5, 0.52]), ([1, 3], [0.4, 0.8])]
        {
            let n = f64::from(tried[0] + tried[1]);
            let state = State {
                sales: Sales { n, ..Sales::default() },
                tried: tried.to_vec(),
                earned: (0..2).map(|k| means[k] * f64::from(tried[k])).collect(),
                ..State::default()
            };
            let first = index(means[0], n, f64::from(tried[0])) > index(means[1], n, f64::from(tried[1]));
            assert_eq!(market.ucb(&state), if first { 0.5 } else { 2.0 }, "{tried:?} {means:?}");
        }
        let untried = State { tried: vec![4, 0], earned: vec![4.0, 0.0], ..State::default() };
        assert_eq!(market.ucb(&untried), 2.0, "each arm once");
    }

    #[test]
    fn least_squares_by_hand() {
        let mut sales = Sales::default();
        for (p, d) in [(1.0, 0.7), (2.0, 0.1), (1.5, 0.43)] {
            sales =
                Sales { n: sales.n + 1.0, p: sales.p + p, pp: sales.pp + p * p, d: sales.d + d, pd: sales.pd + p * d };
        }
        let (alpha, beta) = sales.line().unwrap();
        assert!((beta - 0.6).abs() < 1e-12 && (alpha - 1.31).abs() < 1e-12, "{alpha} {beta}");
        assert!(Sales { n: 2.0, p: 2.0, pp: 2.0, d: 1.0, pd: 1.0 }.line().is_none(), "one price shows no slope");
    }

    #[test]
    fn a_range_without_every_best_price_is_refused() {
        let narrow = LearnAndEarnSettings { price_range: vec![1.0, 1.2], ..Default::default() };
        assert!(LearnAndEarn::new(narrow).is_err());
    }
}
