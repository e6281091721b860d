//! One product with a stock and a deadline (Gallego and van Ryzin 1994, "Optimal dynamic pricing of inventories with
//! stochastic demand over finite horizons"), in discrete periods.
//!
//! Each period the seller sets a price p, from a menu or within a range. Demand is one unit with probability
//! λ(p) = scale·e^(−decay·p), or Poisson with that mean; reward is the revenue. The episode ends with the stock or the
//! deadline. Observation: stock and time left, each as a share of the start.

use agon_core::env::Each;
use agon_core::env::{Fold, Measure, Player, ensure};
use agon_core::scene::{Ink, Scene, money};
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec, Status};
use rand_distr::{Distribution, Poisson};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

agon_core::choices! {
    /// How many units a period asks for.
    pub enum Demand {
        /// At most one.
        Single = "sale-probability",
        /// Any number.
        Poisson = "poisson",
    }
}

agon_core::settings! {
    pub struct PerishableSettings {
        /// Units at the start.
        stock: u32 = 20, in [1.0, 1e5];
        /// Periods to the deadline.
        periods: u32 = 100, in [1.0, 1e6];
        /// The menu, rising.
        prices: Vec<f64> = (1..=10).map(f64::from).collect(), in [0.0, 1e9];
        /// `[low, high]`: any price between, instead of the menu.
        price_range: Option<Vec<f64>> = None, in [0.0, 1e9];
        /// Demand at price zero: a probability, or a mean a period.
        scale: f64 = 0.8, in [1e-9, 1e6];
        /// How fast demand falls with the price.
        decay: f64 = 0.25, in [1e-9, 1e6];
        /// One unit at most, or a Poisson number.
        demand: Demand = Demand::Single;
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    stock: u32,
    period: u32,
    price: f64,
    sold: u32,
}

#[derive(Clone)]
pub struct Perishable {
    settings: PerishableSettings,
    spec: Spec,
    plans: OnceLock<Option<Plans>>,
}

/// The exact solutions: `best[t][n]` price and value with t periods and n units left, and the best fixed price.
#[derive(Clone)]
struct Plans {
    price: Vec<f64>,
    optimum: f64,
    fixed: f64,
}

/// Beyond so many products of states and prices the exact program would take more than some seconds.
const LARGEST_PROGRAM: f64 = 3e8;

impl Perishable {
    fn mean(&self, price: f64) -> f64 {
        self.settings.scale * (-self.settings.decay * price).exp()
    }

    fn price(&self, actions: Actions<'_>) -> f64 {
        match actions {
            Actions::Discrete(a) => self.settings.prices[a[0] as usize],
            Actions::Continuous(a) => {
                let (low, high) = self.range().unwrap_or((0.0, f64::INFINITY));
                f64::from(a[0].clamp(low as f32, high as f32))
            }
        }
    }

    /// The expected value of charging `price` with n units, where `next` is the value of 0..=n units a period later.
    fn value(&self, price: f64, next: &[f64]) -> f64 {
        let (n, mean) = (next.len() - 1, self.mean(price));
        if self.settings.demand == Demand::Single {
            return mean * (price + next[n - 1]) + (1.0 - mean) * next[n];
        }
        let (mut probability, mut left, mut value) = ((-mean).exp(), 1.0, 0.0);
        for sold in 0..n {
            value += probability * (price * sold as f64 + next[n - sold]);
            left -= probability;
            probability *= mean / (sold + 1) as f64;
        }
        value + left.max(0.0) * (price * n as f64 + next[0])
    }

    /// The best price and its value, where `next` is as in [`Self::value`].
    fn best(&self, next: &[f64]) -> (f64, f64) {
        match self.worthwhile(next[1]) {
            Some(range) => peak(range, 64, 1e-9, |p| self.value(p, next)),
            None => top(self.settings.prices.iter().copied(), |p| self.value(p, next)),
        }
    }

    /// Of a range, the prices worth a look where one unit can be worth so much later. Where customers are few, demand
    /// falls faster than what it earns rises from 1 / decay above that on; where they are many, from where they get few.
    /// Among not much more than these the peak is found also in a range that is very wide.
    fn worthwhile(&self, unit: f64) -> Option<(f64, f64)> {
        let (low, high) = self.range()?;
        let few = self.settings.scale.ln().max(0.0);
        Some((low, high.min(low.max(unit + (2.0 + few) / self.settings.decay))))
    }

    fn range(&self) -> Option<(f64, f64)> {
        self.settings.price_range.as_ref().map(|r| (r[0], r[1]))
    }

    /// The expected revenue of one price for all periods.
    fn fixed(&self, price: f64) -> f64 {
        let n = self.settings.stock as usize;
        let mut next = vec![0.0; n + 1];
        for _ in 0..self.settings.periods {
            for units in (1..=n).rev() {
                next[units] = self.value(price, &next[..=units]);
            }
        }
        next[n]
    }

    fn plans(&self) -> Option<&Plans> {
        self.plans
            .get_or_init(|| {
                let (n, periods) = (self.settings.stock as usize, self.settings.periods as usize);
                let prices = self.range().map_or(self.settings.prices.len(), |_| 128) as f64;
                let sums = if self.settings.demand == Demand::Single { 1.0 } else { n as f64 };
                if n as f64 * periods as f64 * prices * sums > LARGEST_PROGRAM {
                    return None;
                }
                let mut price = vec![0.0; periods * (n + 1)];
                let mut next = vec![0.0; n + 1];
                for left in 0..periods {
                    for units in (1..=n).rev() {
                        (price[left * (n + 1) + units], next[units]) = self.best(&next[..=units]);
                    }
                }
                // Nothing earns more a unit than the optimum does with one.
                let fixed = match self.worthwhile(next[1]) {
                    Some(range) => peak(range, 200, 1e-6, |p| self.fixed(p)).0,
                    None => top(self.settings.prices.iter().copied(), |p| self.fixed(p)).0,
                };
                Some(Plans { price, optimum: next[n], fixed })
            })
            .as_ref()
    }
}

/// The price of the highest value, and the value.
fn top(prices: impl Iterator<Item = f64>, value: impl Fn(f64) -> f64) -> (f64, f64) {
    prices.map(|p| (p, value(p))).fold((0.0, f64::NEG_INFINITY), |a, b| if b.1 > a.1 { b } else { a })
}

/// The same over a range: the best point of a grid, refined by golden sections to this share of the range.
fn peak((low, high): (f64, f64), grid: u32, precision: f64, value: impl Fn(f64) -> f64) -> (f64, f64) {
    let step = (high - low) / f64::from(grid);
    let (centre, _) = top((0..=grid).map(|i| low + step * f64::from(i)), &value);
    let (mut a, mut b) = ((centre - step).max(low), (centre + step).min(high));
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    // Each section leaves 0.62 of the range: after a hundred there is nothing left.
    for _ in 0..100 {
        if b - a <= precision * (high - low) {
            break;
        }
        let (c, d) = (b - GOLDEN * (b - a), a + GOLDEN * (b - a));
        if value(c) > value(d) { b = d } else { a = c }
    }
    let middle = 0.5 * (a + b);
    (middle, value(middle))
}

impl Env for Perishable {
    type Settings = PerishableSettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] = &[
        Player { name: "best-fixed-price", about: "the one price that earns most if never changed" },
        Player { name: "myopic", about: "the price that earns most this period, as if stock were free" },
        Player { name: "optimal", about: "the exact dynamic program" },
    ];

    const MEASURES: &'static [Measure] = &[
        Measure { name: "revenue", unit: "", fold: Fold::Sum },
        Measure { name: "units sold", unit: "", fold: Fold::Sum },
        Measure { name: "units left", unit: "", fold: Fold::Last },
        Measure { name: "mean price asked", unit: "", fold: Fold::Mean },
        Measure { name: "last price asked", unit: "", fold: Fold::Last },
    ];

    fn new(settings: PerishableSettings) -> Result<Self, EnvError> {
        let action = match &settings.price_range {
            None => {
                if settings.prices.is_empty() || settings.prices.windows(2).any(|w| w[0] >= w[1]) {
                    return Err(EnvError::setting("prices", "the menu must hold at least one price, in rising order"));
                }
                ActionSpec::discrete(&settings.prices)
            }
            Some(range) => match range[..] {
                [low, high] if low < high => {
                    ActionSpec::Continuous { fields: vec![Field::new("price", "", low as f32, high as f32)] }
                }
                _ => return Err(EnvError::setting("price_range", "must be [low, high] with low below high")),
            },
        };
        let cheapest = settings.price_range.as_ref().unwrap_or(&settings.prices)[0];
        let probability = settings.scale * (-settings.decay * cheapest).exp();
        if settings.demand == Demand::Single && probability > 1.0 {
            let message =
                format!("the sale probability at the lowest price {cheapest} would be {probability:.3}, above 1");
            return Err(EnvError::setting("scale", message));
        }
        if settings.demand == Demand::Poisson && probability > 700.0 {
            let message =
                format!("a period's demand would be {probability:.0} at the lowest price: use more, shorter periods");
            return Err(EnvError::setting("scale", message));
        }
        let stock = Field::share("stock left", f64::from(settings.stock), "units");
        let time = Field::share("time left", f64::from(settings.periods), "periods");
        let spec = Spec::new(vec![stock, time], action, settings.periods);
        Ok(Self { settings, spec, plans: OnceLock::new() })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, _: &mut Rng) {
        *state = State { stock: self.settings.stock, ..State::default() };
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let price = self.price(actions);
        let mean = self.mean(price);
        let asked = match self.settings.demand {
            Demand::Single => u32::from(rng.f64() < mean),
            // The mean was checked to be finite and positive; below the smallest normal number nobody buys.
            Demand::Poisson => Poisson::new(mean).map_or(0, |d| d.sample(rng) as u32),
        };
        state.sold = asked.min(state.stock);
        state.stock -= state.sold;
        state.period += 1;
        state.price = price;
        reward[0] = (price * f64::from(state.sold)) as f32;
        if state.stock == 0 || state.period == self.settings.periods { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        let s = &self.settings;
        ensure(state.stock <= s.stock && state.period <= s.periods, "there is more stock or time than at the start")?;
        let gone = s.stock - state.stock;
        ensure(state.sold <= gone, "`sold` is more than is missing of the stock")?;
        let single = s.demand == Demand::Single;
        ensure(!single || state.sold <= 1 && gone <= state.period, "more was sold than one unit a period")?;
        let charged = match &s.price_range {
            Some(range) => state.price >= f64::from(range[0] as f32) && state.price <= f64::from(range[1] as f32),
            None => s.prices.contains(&state.price),
        };
        // Before the first period nothing was charged.
        let begun = state.period > 0;
        ensure(if begun { charged } else { state.price == 0.0 && gone == 0 }, "`price` was not charged")?;
        let over = state.stock == 0 || state.period == s.periods;
        Ok(if over { Status::Terminated } else { Status::Running })
    }

    fn age(&self, state: &State) -> Option<u32> {
        Some(state.period)
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        obs[0] = state.stock as f32 / self.settings.stock as f32;
        obs[1] = 1.0 - state.period as f32 / self.settings.periods as f32;
    }

    fn offers(&self, _: usize) -> Result<(), String> {
        let large =
            "the exact program over stock, periods and prices would be too large: lower `stock`, `periods` or `prices`";
        self.plans().map(|_| ()).ok_or_else(|| large.into())
    }

    fn play(&self, player: usize, state: &State, mut actions: ActionsMut<'_>) {
        let Some(plans) = self.plans() else { return };
        let left = (self.settings.periods - state.period).max(1) as usize;
        let price = match Self::PLAYERS[player].name {
            "best-fixed-price" => plans.fixed,
            "myopic" => self.best(&vec![0.0; state.stock.max(1) as usize + 1]).0,
            _ => plans.price[(left - 1) * (self.settings.stock as usize + 1) + state.stock.max(1) as usize],
        };
        match self.settings.price_range {
            Some(_) => actions.set(0, price),
            None => actions.set(0, self.settings.prices.iter().position(|p| *p == price).unwrap_or(0) as f64),
        }
    }

    fn optimum(&self) -> Option<f64> {
        self.plans().map(|p| p.optimum)
    }

    fn starts(&self, each: &mut dyn FnMut(f64, &State)) -> bool {
        each(1.0, &State { stock: self.settings.stock, ..State::default() });
        self.settings.price_range.is_none()
    }

    fn outcomes(&self, state: &State, action: i64, each: Each<'_, State>) -> bool {
        let price = self.settings.prices[action as usize];
        let mean = self.mean(price);
        let mut left = 1.0;
        let mut probability = if self.settings.demand == Demand::Single { 1.0 - mean } else { (-mean).exp() };
        for sold in 0..=state.stock {
            // Whoever comes after the last unit finds none: the last number stands for all above it.
            let last = sold == state.stock || (self.settings.demand == Demand::Single && sold == 1);
            let p = if last { left } else { probability };
            let next = State { stock: state.stock - sold, period: state.period + 1, ..State::default() };
            let over = next.stock == 0 || next.period == self.settings.periods;
            each(p.max(0.0), price * f64::from(sold), (!over).then_some(&next));
            if last {
                break;
            }
            left -= probability;
            probability *= mean / f64::from(sold + 1);
        }
        true
    }

    fn measure(&self, state: &State, out: &mut [f64]) {
        let sold = f64::from(state.sold);
        out.copy_from_slice(&[state.price * sold, sold, f64::from(state.stock), state.price, state.price]);
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        let (stock, periods) = (f64::from(self.settings.stock), f64::from(self.settings.periods));
        scene.window([0.0, 1.0], [0.0, 1.0]);
        scene.line(0.0, 1.0, 1.0, 0.0, Ink::Frame);
        let now = f64::from(state.period) / periods;
        scene.rect(0.0, 0.0, now.max(0.001), f64::from(state.stock) / stock, Ink::Body);
        scene.circle(now, f64::from(state.stock) / stock, 0.02, Ink::Agent);
        scene.note("stock", format!("{} of {stock}", state.stock));
        scene.note("period", format!("{} of {periods}", state.period));
        scene.note("price", money(state.price));
        scene.note("sold", state.sold.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market(settings: PerishableSettings) -> Perishable {
        Perishable::new(settings).unwrap()
    }

    #[test]
    fn the_menu_program_gives_the_known_optima() {
        for (stock, periods, known) in [(20, 100, 105.8251), (10, 100, 76.7448), (5, 50, 36.4517)] {
            let value = market(PerishableSettings { stock, periods, ..Default::default() }).optimum().unwrap();
            assert!((value - known).abs() < 5e-5, "({stock}, {periods}): {value}");
        }
    }

    /// With many short periods the Poisson program approaches the closed form of Gallego and van Ryzin:
    /// J(n, t) = ln Σ_{i ≤ n} (a t / e)^i / i! for λ = a e^(−p), with an error in proportion to a period's length: two
    /// lengths tell where it goes.
    #[test]
    fn short_poisson_periods_approach_the_closed_form() {
        for (stock, at, known) in [(5u32, 20.0, 6.000_400_1), (10, 40.0, 12.697_616_4), (25, 100.0, 33.141_527_1)] {
            let value = |periods: u32| {
                let settings = PerishableSettings {
                    stock,
                    periods,
                    price_range: Some(vec![0.0, 20.0]),
                    scale: at / f64::from(periods),
                    decay: 1.0,
                    demand: Demand::Poisson,
                    ..Default::default()
                };
                market(settings).optimum().unwrap()
            };
            let (coarse, fine) = (value(750), value(1500));
            let limit = 2.0 * fine - coarse;
            assert!(coarse < fine && fine < known, "({stock}, {at}): {coarse} {fine}");
            assert!((limit / known - 1.0).abs() < 2e-4, "({stock}, {at}): {limit}, not {known}");
        }
    }

    /// However high prices may be.
    #[test]
    fn wide_ranges_have_the_same_answers() {
        let answers = |high: f64| {
            let settings = PerishableSettings {
                stock: 5,
                periods: 200,
                price_range: Some(vec![0.0, high]),
                scale: 0.1,
                decay: 1.0,
                demand: Demand::Poisson,
                ..Default::default()
            };
            let market = market(settings);
            let plans = market.plans().unwrap();
            (plans.optimum, plans.fixed)
        };
        let narrow = answers(20.0);
        for high in [1e3, 1e4, 1e9] {
            let wide = answers(high);
            assert!(
                (wide.0 - narrow.0).abs() < 1e-6 && (wide.1 - narrow.1).abs() < 1e-4,
                "{high}: {wide:?} {narrow:?}"
            );
        }
    }

    /// Crowds and few: the best price beside a fine grid of all prices.
    #[test]
    fn no_price_of_a_range_is_better() {
        for (stock, periods, scale, high) in
            [(1, 1, 100.0, 50.0), (5, 3, 100.0, 1e6), (3, 4, 2.0, 20.0), (2, 2, 0.1, 9.0)]
        {
            let settings = PerishableSettings {
                stock,
                periods,
                price_range: Some(vec![0.0, high]),
                scale,
                decay: 1.0,
                demand: Demand::Poisson,
                ..Default::default()
            };
            let market = market(settings);
            let plans = market.plans().unwrap();
            let mut next = vec![0.0; stock as usize + 1];
            for _ in 0..periods {
                for units in (1..=stock as usize).rev() {
                    let grid = (0..=20_000).map(|i| f64::from(i) * 0.001);
                    next[units] = top(grid, |p| market.value(p, &next[..=units])).1;
                }
            }
            let (optimum, grid) = (plans.optimum, next[stock as usize]);
            assert!(optimum > grid - 1e-9 && optimum < grid + 1e-5, "{scale}: {optimum} beside {grid}");
            let fixed = top((0..=20_000).map(|i| f64::from(i) * 0.001), |p| market.fixed(p)).1;
            assert!(market.fixed(plans.fixed) > fixed - 1e-6, "{scale}: {} beside {fixed}", plans.fixed);
        }
        let narrow = PerishableSettings { price_range: Some(vec![1e9 - 1.0, 1e9]), ..Default::default() };
        assert!(market(narrow).optimum().is_some());
    }

    #[test]
    fn a_program_that_is_too_large_is_refused() {
        let large = PerishableSettings { stock: 100_000, periods: 1_000_000, ..Default::default() };
        assert_eq!(market(large).optimum(), None);
    }
}
