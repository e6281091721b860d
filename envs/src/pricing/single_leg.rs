//! Seat control on one flight (Talluri and van Ryzin 2004, "The Theory and Practice of Revenue Management", §2.5).
//!
//! In each period before departure at most one customer asks for a seat, of fare class j with probability `arrivals[j]`.
//! The seller accepts, and earns the fare, or refuses. The episode ends with the seats or at departure. Observation:
//! seats and time left, each as a share of the start, and which class asks (none, or one of them).

use agon_core::env::Each;
use agon_core::env::{Fold, Measure, Player, ensure};
use agon_core::scene::{Ink, Scene, money};
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec, Status};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

agon_core::settings! {
    pub struct SingleLegSettings {
        /// Seats at the start.
        capacity: u32 = 20, in [1.0, 1e5];
        /// Periods to departure.
        periods: u32 = 100, in [1.0, 1e6];
        /// What a seat of each class costs, falling.
        fares: Vec<f64> = vec![100.0, 60.0, 35.0], in [0.0, 1e9];
        /// The probability that a customer of each class comes in a period.
        arrivals: Vec<f64> = vec![0.15, 0.25, 0.35], in [0.0, 1.0];
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    seats: u32,
    period: u32,
    /// Who asks now: 0 for nobody, j + 1 for class j.
    asks: u32,
    sold: u32,
    fare: f64,
}

#[derive(Clone)]
pub struct SingleLeg {
    settings: SingleLegSettings,
    spec: Spec,
    values: OnceLock<Option<Vec<f64>>>,
}

/// Beyond so many products of seats and periods the exact program would take more than some seconds.
const LARGEST_PROGRAM: f64 = 3e8;

const REFUSE: i64 = 0;
const ACCEPT: i64 = 1;

impl SingleLeg {
    /// The expected revenue with `left` periods to come and so many seats, `[left][seats]`:
    /// V_t(x) = Σ_j p_j max(f_j + V_{t−1}(x − 1), V_{t−1}(x)) + (1 − Σ p_j) V_{t−1}(x).
    fn values(&self) -> Option<&Vec<f64>> {
        let s = &self.settings;
        self.values
            .get_or_init(|| {
                let (n, periods) = (s.capacity as usize + 1, s.periods as usize);
                if n as f64 * periods as f64 * s.fares.len() as f64 > LARGEST_PROGRAM {
                    return None;
                }
                let mut value = vec![0.0; (periods + 1) * n];
                for t in 1..=periods {
                    for x in 1..n {
                        let (keep, sell) = (value[(t - 1) * n + x], value[(t - 1) * n + x - 1]);
                        let gain = s.fares.iter().zip(&s.arrivals).map(|(f, p)| p * (f + sell - keep).max(0.0));
                        value[t * n + x] = keep + gain.sum::<f64>();
                    }
                }
                Some(value)
            })
            .as_ref()
    }

    /// Belobaba's EMSR-b (1989, 1992), solved again every period: protect y seats from class j for the better ones,
    /// where y is the least number with P(D > y) ≤ f_j / f̄; D is their demand in the time left, which is binomial, and
    /// f̄ their mean fare.
    fn protected(&self, class: usize, left: u32) -> u32 {
        let s = &self.settings;
        let rate = s.arrivals[..class].iter().sum::<f64>();
        let weighted = s.fares.iter().zip(&s.arrivals).take(class).map(|(f, p)| f * p).sum::<f64>();
        if rate == 0.0 || weighted == 0.0 {
            return 0;
        }
        let ratio = s.fares[class] * rate / weighted;
        // ln P(D = k) from one k to the next: a long time would underflow the first one.
        let (n, odds) = (f64::from(left), (rate / (1.0 - rate).max(1e-300)).ln());
        let mut log = n * (1.0 - rate).max(1e-300).ln();
        let mut above = 1.0;
        for y in 0..=left {
            above -= log.exp();
            if above <= ratio {
                return y;
            }
            log += ((n - f64::from(y)) / f64::from(y + 1)).ln() + odds;
        }
        left
    }

    /// The state with everybody who can ask in it.
    fn each_asking(&self, state: &State, each: &mut dyn FnMut(f64, &State)) {
        let nobody = 1.0 - self.settings.arrivals.iter().sum::<f64>();
        for (asks, p) in [nobody].iter().chain(&self.settings.arrivals).enumerate() {
            each(*p, &State { asks: asks as u32, ..state.clone() });
        }
    }

    fn ask(&self, state: &mut State, rng: &mut Rng) {
        let mut left = rng.f64();
        let found = self.settings.arrivals.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        state.asks = found.map_or(0, |j| j as u32 + 1);
    }
}

impl Env for SingleLeg {
    type Settings = SingleLegSettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] = &[
        Player { name: "first-come", about: "accepts everybody" },
        Player { name: "emsr-b", about: "Belobaba's protection levels, solved again every period" },
        Player { name: "optimal", about: "the exact dynamic program" },
    ];
    const MEASURES: &'static [Measure] = &[
        Measure { name: "revenue", unit: "", fold: Fold::Sum },
        Measure { name: "seats sold", unit: "", fold: Fold::Sum },
        Measure { name: "seats left", unit: "", fold: Fold::Last },
    ];

    fn new(settings: SingleLegSettings) -> Result<Self, EnvError> {
        let classes = settings.fares.len();
        if classes == 0 || settings.fares.windows(2).any(|w| w[0] <= w[1]) {
            return Err(EnvError::setting("fares", "there must be at least one fare, in falling order"));
        }
        if settings.arrivals.len() != classes {
            let message = format!("must have one probability a fare: {classes}, not {}", settings.arrivals.len());
            return Err(EnvError::setting("arrivals", message));
        }
        let sum = settings.arrivals.iter().sum::<f64>();
        if sum > 1.0 + 1e-12 {
            let message = format!("at most one customer comes in a period: the sum must not exceed 1, it is {sum:.4}");
            return Err(EnvError::setting("arrivals", message));
        }
        let seats = Field::share("seats left", f64::from(settings.capacity), "seats");
        let mut fields = vec![seats, Field::share("time left", f64::from(settings.periods), "periods")];
        let asks = |j: usize| Field::new(format!("class {} asks", j + 1), "", 0.0, 1.0);
        fields.extend((0..classes).map(asks));
        let mut spec = Spec::new(fields, ActionSpec::discrete(["refuse", "accept"]), settings.periods);
        spec.masked = true;
        Ok(Self { settings, spec, values: OnceLock::new() })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        *state = State { seats: self.settings.capacity, ..State::default() };
        self.ask(state, rng);
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        state.sold = u32::from(actions.discrete()[0] == ACCEPT && state.asks > 0);
        state.fare = if state.sold > 0 { self.settings.fares[state.asks as usize - 1] } else { 0.0 };
        state.seats -= state.sold;
        state.period += 1;
        reward[0] = state.fare as f32;
        self.ask(state, rng);
        let over = state.seats == 0 || state.period == self.settings.periods;
        if over { Status::Terminated } else { Status::Running }
    }

    fn starts(&self, each: &mut dyn FnMut(f64, &State)) -> bool {
        self.each_asking(&State { seats: self.settings.capacity, ..State::default() }, each);
        true
    }

    fn outcomes(&self, state: &State, action: i64, each: Each<'_, State>) -> bool {
        let sold = action == ACCEPT && state.asks > 0;
        let reward = if sold { self.settings.fares[state.asks as usize - 1] } else { 0.0 };
        let next = State { seats: state.seats - u32::from(sold), period: state.period + 1, ..State::default() };
        if next.seats == 0 || next.period == self.settings.periods {
            each(1.0, reward, None);
        } else {
            self.each_asking(&next, &mut |p, next| each(p, reward, Some(next)));
        }
        true
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        let s = &self.settings;
        ensure(
            state.seats <= s.capacity && state.period <= s.periods,
            "there are more seats or time than at the start",
        )?;
        let gone = s.capacity - state.seats;
        ensure(state.sold <= 1 && state.sold <= gone && gone <= state.period, "more was sold than a seat a period")?;
        ensure(state.asks as usize <= s.fares.len(), "`asks` is no class of fares")?;
        let fare = if state.sold > 0 { s.fares.contains(&state.fare) } else { state.fare == 0.0 };
        ensure(fare, "`fare` is not what was sold")?;
        let over = state.seats == 0 || state.period == s.periods;
        Ok(if over { Status::Terminated } else { Status::Running })
    }

    fn age(&self, state: &State) -> Option<u32> {
        Some(state.period)
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        obs.fill(0.0);
        obs[0] = state.seats as f32 / self.settings.capacity as f32;
        obs[1] = 1.0 - state.period as f32 / self.settings.periods as f32;
        if state.asks > 0 {
            obs[1 + state.asks as usize] = 1.0;
        }
    }

    fn mask(&self, state: &State, mask: &mut [bool]) {
        mask[0] = true;
        mask[1] = state.asks > 0;
    }

    fn offers(&self, player: usize) -> Result<(), String> {
        let planned = Self::PLAYERS[player].name != "optimal" || self.values().is_some();
        if planned { Ok(()) } else { Err("the exact program over seats and periods would be too large".into()) }
    }

    fn play(&self, player: usize, state: &State, mut actions: ActionsMut<'_>) {
        let accept = state.asks > 0 && {
            let class = state.asks as usize - 1;
            // Periods that come after this one.
            let left = (self.settings.periods - state.period).saturating_sub(1);
            match Self::PLAYERS[player].name {
                "first-come" => true,
                "emsr-b" => state.seats > self.protected(class, left),
                _ => self.values().is_some_and(|value| {
                    let at = left as usize * (self.settings.capacity as usize + 1) + state.seats as usize;
                    state.seats > 0 && self.settings.fares[class] >= value[at] - value[at - 1]
                }),
            }
        };
        actions.set(0, if accept { ACCEPT } else { REFUSE } as f64);
    }

    fn optimum(&self) -> Option<f64> {
        let at = self.settings.periods as usize * (self.settings.capacity as usize + 1);
        self.values().map(|value| value[at + self.settings.capacity as usize])
    }

    fn measure(&self, state: &State, out: &mut [f64]) {
        out.copy_from_slice(&[state.fare, f64::from(state.sold), f64::from(state.seats)]);
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        let (seats, periods) = (f64::from(self.settings.capacity), f64::from(self.settings.periods));
        scene.window([0.0, 1.0], [0.0, 1.0]);
        scene.line(0.0, 1.0, 1.0, 0.0, Ink::Frame);
        let now = f64::from(state.period) / periods;
        scene.rect(0.0, 0.0, now.max(0.001), f64::from(state.seats) / seats, Ink::Body);
        scene.circle(now, f64::from(state.seats) / seats, 0.02, Ink::Agent);
        scene.note("seats", format!("{} of {seats}", state.seats));
        scene.note("period", format!("{} of {periods}", state.period));
        let asks = self.settings.fares.get((state.asks as usize).wrapping_sub(1));
        scene.note("asked for", asks.map_or("nothing".into(), |f| money(*f)));
        scene.note("sold for", money(state.fare));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(capacity: u32, periods: u32) -> SingleLeg {
        SingleLeg::new(SingleLegSettings { capacity, periods, ..Default::default() }).unwrap()
    }

    #[test]
    fn the_program_gives_the_known_optima() {
        for (capacity, periods, known) in [(10, 50, 871.177_42), (20, 100, 1_771.300_16)] {
            let value = flight(capacity, periods).optimum().unwrap();
            assert!((value - known).abs() < 5e-6, "({capacity}, {periods}): {value}");
        }
    }

    /// Littlewood's rule by hand: two classes, one period to come, half a better customer expected.
    #[test]
    fn protection_follows_littlewood() {
        let two = |fares: [f64; 2]| {
            let settings = SingleLegSettings { fares: fares.into(), arrivals: vec![0.5, 0.5], capacity: 5, periods: 5 };
            SingleLeg::new(settings).unwrap()
        };
        // P(D > 0) = 0.5 in one period: protect a seat exactly if 0.5 > f₂ / f₁.
        assert_eq!((two([100.0, 49.0]).protected(1, 1), two([100.0, 51.0]).protected(1, 1)), (1, 0));
        // Two periods: P(D > 0) = 0.75, P(D > 1) = 0.25.
        let levels = [20.0, 30.0, 80.0].map(|f| two([100.0, f]).protected(1, 2));
        assert_eq!(levels, [2, 1, 0]);
        assert_eq!(two([100.0, 20.0]).protected(0, 2), 0, "nobody is better than the best");
    }

    /// Exact values of a policy by the same recursion with its decisions: between accepting everybody and the optimum.
    #[test]
    fn emsr_b_lies_between_first_come_and_the_optimum() {
        let flight = flight(10, 50);
        let value = |player: usize| {
            let mut next = vec![0.0; 11];
            for left in 1..=50u32 {
                let mut now = next.clone();
                for seats in 1..=10u32 {
                    for (class, (fare, p)) in flight.settings.fares.iter().zip(&flight.settings.arrivals).enumerate() {
                        let asks = class as u32 + 1;
                        let state = State { seats, period: 50 - left, asks, ..State::default() };
                        let mut action = [0i64];
                        flight.play(player, &state, ActionsMut::Discrete(&mut action));
                        if action[0] == ACCEPT {
                            now[seats as usize] += p * (fare + next[seats as usize - 1] - next[seats as usize]);
                        }
                    }
                }
                next = now;
            }
            next[10]
        };
        let [first, emsr, best] = [0, 1, 2].map(value);
        assert!((best - 871.177_42).abs() < 5e-6 && first < emsr && emsr < best, "{first} {emsr} {best}");
        assert!(emsr > 0.94 * best, "{emsr}");
    }
}
