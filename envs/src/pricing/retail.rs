//! A shelf of products priced week by week. Demand is multinomial logit with an outside option (see [`super::logit`]);
//! unit costs, displays and customers come from a table of weeks, replayed in order or drawn at random.
//!
//! The agent sees a week's costs, displays and customers, sets every price, and earns the week's profit. Nothing
//! carries over from one week to the next, so the best price for this week is the best price: myopic is optimal.

use super::logit::{Logit, Week};
use agon_core::env::Player;
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec, Status};
use rand_distr::{Binomial, Distribution};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

agon_core::choices! {
    /// Which week follows.
    pub enum Weeks {
        /// The next of the table, from a random start, round and round.
        Replay = "replay",
        /// Any of the table.
        Resample = "resample",
    }
}

agon_core::choices! {
    /// What customers do.
    pub enum Sales {
        /// Each decides at random.
        Sampled = "sampled",
        /// They buy exactly the expected amounts.
        Expected = "expected",
    }
}

agon_core::settings! {
    pub struct RetailSettings {
        /// Names of the products.
        names: Vec<String> = ["plain", "fine", "best"].map(String::from).to_vec();
        /// Utility at price zero, a product each.
        intercepts: Vec<f64> = vec![2.0, 1.5, 1.0];
        /// Utility lost a dollar, a product each; positive.
        price_effects: Vec<f64> = vec![1.0; 3], in [1e-9, 1e9];
        /// Utility of a full display, a product each.
        display_effects: Vec<f64> = vec![0.5; 3];
        /// The lowest price allowed, a product each.
        low: Vec<f64> = vec![0.5; 3], in [0.0, 1e9];
        /// The highest price allowed, a product each.
        high: Vec<f64> = vec![4.0; 3], in [0.0, 1e9];
        /// Unit costs: a row a week.
        costs: Vec<Vec<f64>> = vec![vec![0.5, 0.4, 0.3], vec![0.7, 0.5, 0.3]], in [0.0, 1e9];
        /// Share of stores with a display: a row a week.
        displays: Vec<Vec<f64>> = vec![vec![0.0; 3], vec![1.0, 0.0, 0.0]], in [0.0, 1.0];
        /// Customers: a number a week.
        customers: Vec<f64> = vec![1000.0, 1200.0], in [1.0, 1e12];
        /// Prices really charged: a row a week; may be left out.
        charged: Vec<Vec<f64>> = Vec::new(), in [0.0, 1e9];
        /// Weeks an episode; the whole table if left out.
        periods: Option<u32> = None, in [1.0, 1e6];
        /// Which week follows.
        weeks: Weeks = Weeks::Replay;
        /// What customers do.
        sales: Sales = Sales::Sampled;
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct State {
    week: u32,
    prices: Vec<f64>,
    units: Vec<f64>,
    profit: f64,
}

#[derive(Clone)]
pub struct Retail {
    settings: RetailSettings,
    demand: Logit,
    spec: Spec,
    mean_customers: f64,
    fixed: OnceLock<Vec<f64>>,
}

impl Retail {
    fn week(&self, i: usize) -> Week<'_> {
        let s = &self.settings;
        Week { costs: &s.costs[i], displays: &s.displays[i], customers: s.customers[i] }
    }

    fn all(&self) -> impl Iterator<Item = Week<'_>> + Clone {
        (0..self.settings.customers.len()).map(|i| self.week(i))
    }

    /// Total expected profit over the whole table if week i is priced by `prices(i, out)`.
    pub fn total(&self, mut prices: impl FnMut(usize, &mut [f64])) -> f64 {
        let mut out = vec![0.0; self.demand.len()];
        self.all()
            .enumerate()
            .map(|(i, week)| {
                prices(i, &mut out);
                week.customers * self.demand.profit(week, &out)
            })
            .sum()
    }

    /// The best prices of one week.
    pub fn best(&self, week: usize, out: &mut [f64]) -> f64 {
        self.demand.optimum(self.week(week), &self.settings.low, &self.settings.high, out)
    }

    /// The best prices that never change.
    pub fn best_fixed(&self) -> &[f64] {
        self.fixed.get_or_init(|| self.demand.best_fixed(&self.all(), &self.settings.low, &self.settings.high))
    }

    /// Weeks an episode.
    pub fn periods(&self) -> u32 {
        self.settings.periods.unwrap_or(self.settings.customers.len() as u32)
    }
}

impl Env for Retail {
    type Settings = RetailSettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] = &[
        Player { name: "charged", about: "the prices that the shop really charged that week" },
        Player { name: "best-fixed-prices", about: "the prices that earn most if never changed" },
        Player { name: "myopic", about: "each week's own best prices" },
        Player { name: "optimal", about: "the exact optimum: each week's own best prices, as nothing carries over" },
    ];

    fn new(settings: RetailSettings) -> Result<Self, EnvError> {
        let (s, n, weeks) = (&settings, settings.intercepts.len(), settings.customers.len());
        let length = |name: &str, found: usize, wanted: usize, what: &str| {
            let message = format!("has {found} entries where {wanted} are needed, one a {what}");
            if found == wanted { Ok(()) } else { Err(EnvError::setting(name, message)) }
        };
        if n == 0 || weeks == 0 {
            return Err(EnvError::setting("intercepts", "a market needs at least one product and one week"));
        }
        length("names", s.names.len(), n, "product")?;
        for (name, list) in [
            ("price_effects", &s.price_effects),
            ("display_effects", &s.display_effects),
            ("low", &s.low),
            ("high", &s.high),
        ] {
            length(name, list.len(), n, "product")?;
        }
        let charged = if s.charged.is_empty() { &s.costs } else { &s.charged };
        for (name, table) in [("costs", &s.costs), ("displays", &s.displays), ("charged", charged)] {
            length(name, table.len(), weeks, "week")?;
            table.iter().try_for_each(|row| length(name, row.len(), n, "product"))?;
        }
        for k in 0..n {
            if s.low[k] >= s.high[k] {
                return Err(EnvError::setting("low", format!("of {} must be below its `high`", s.names[k])));
            }
            if s.costs.iter().all(|row| row[k] >= s.high[k]) {
                let message = format!("of {} is never above its cost: nothing can be earned", s.names[k]);
                return Err(EnvError::setting("high", message));
            }
        }
        let mut fields = Vec::new();
        for name in &s.names {
            fields.push(Field::new(format!("cost {name}"), "$", 0.0, f32::INFINITY));
        }
        for name in &s.names {
            fields.push(Field::new(format!("display {name}"), "share", 0.0, 1.0));
        }
        fields.push(Field::new("customers", "of the mean", 0.0, f32::INFINITY));
        let price = |k: usize| Field::new(format!("price {}", s.names[k]), "$", s.low[k] as f32, s.high[k] as f32);
        let action = ActionSpec::Continuous { fields: (0..n).map(price).collect() };
        let demand = Logit {
            intercepts: s.intercepts.clone(),
            price_effects: s.price_effects.clone(),
            display_effects: s.display_effects.clone(),
        };
        let spec = Spec::new(fields, action, s.periods.unwrap_or(weeks as u32));
        let mean_customers = s.customers.iter().sum::<f64>() / weeks as f64;
        Ok(Self { demand, spec, mean_customers, fixed: OnceLock::new(), settings })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        state.week = rng.below(self.settings.customers.len() as u32);
        state.profit = 0.0;
        for list in [&mut state.prices, &mut state.units] {
            list.clear();
            list.resize(self.demand.len(), 0.0);
        }
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let week = self.week(state.week as usize);
        let mut sum = 1.0;
        for (k, a) in actions.continuous().iter().enumerate() {
            state.prices[k] = f64::from(*a).clamp(self.settings.low[k], self.settings.high[k]);
            state.units[k] = self.demand.weight(k, state.prices[k], week.displays[k]);
            sum += state.units[k];
        }
        // One after the other, each product takes its share of the customers who are left.
        let (mut left, mut rest, mut profit) = (week.customers.round(), sum, 0.0);
        for k in 0..state.units.len() {
            let weight = state.units[k];
            state.units[k] = match self.settings.sales {
                Sales::Expected => week.customers * weight / sum,
                Sales::Sampled => {
                    let chance = (weight / rest).clamp(0.0, 1.0);
                    Binomial::new(left as u64, chance).map_or(0.0, |d| d.sample(rng) as f64)
                }
            };
            left -= state.units[k];
            rest -= weight;
            profit += state.units[k] * (state.prices[k] - week.costs[k]);
        }
        state.profit = profit;
        reward[0] = profit as f32;
        let weeks = self.settings.customers.len() as u32;
        state.week = match self.settings.weeks {
            Weeks::Replay => (state.week + 1) % weeks,
            Weeks::Resample => rng.below(weeks),
        };
        Status::Running
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        let week = self.week(state.week as usize);
        for (o, x) in obs.iter_mut().zip(week.costs.iter().chain(week.displays)) {
            *o = *x as f32;
        }
        obs[2 * self.demand.len()] = (week.customers / self.mean_customers) as f32;
    }

    fn offers(&self, player: usize) -> Result<(), String> {
        if Self::PLAYERS[player].name == "charged" && self.settings.charged.is_empty() {
            return Err("the settings hold no `charged` prices".into());
        }
        Ok(())
    }

    fn play(&self, player: usize, state: &State, mut actions: ActionsMut<'_>) {
        let week = state.week as usize;
        let mut best = vec![0.0; self.demand.len()];
        let prices = match Self::PLAYERS[player].name {
            "charged" => &self.settings.charged[week],
            "best-fixed-prices" => self.best_fixed(),
            _ => {
                self.best(week, &mut best);
                &best
            }
        };
        prices.iter().enumerate().for_each(|(k, p)| actions.set(k, *p));
    }

    /// Over a whole table every week comes once from any start, and over any number each is as likely: the mean is exact.
    fn optimum(&self) -> Option<f64> {
        let total = self.total(|i, out| {
            self.best(i, out);
        });
        Some(total / self.settings.customers.len() as f64 * f64::from(self.periods()))
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        let (n, s) = (self.demand.len() as f64, &self.settings);
        let week = self.week(state.week as usize);
        scene.window([0.0, n], [-0.12, 1.0]);
        for (k, p) in state.prices.iter().enumerate() {
            let x = k as f64;
            let at = |price: f64| ((price - s.low[k]) / (s.high[k] - s.low[k])).clamp(0.0, 1.0);
            scene.rect(x + 0.2, 0.0, 0.6, at(*p).max(0.01), Ink::Agent);
            scene.line(x + 0.1, at(week.costs[k]), x + 0.9, at(week.costs[k]), Ink::Danger);
            scene.text(x + 0.2, -0.1, &s.names[k], Ink::Frame);
            scene.note(s.names[k].clone(), format!("{p:.2} $ × {:.0}", state.units[k]));
        }
        scene.note("week", format!("{} of {}", state.week + 1, s.customers.len()));
        scene.note("profit", format!("{:.0} $", state.profit));
    }
}
