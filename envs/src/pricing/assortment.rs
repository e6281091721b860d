//! Several products on one shelf that customers choose among by a multinomial logit with one price effect for all: the
//! case with a closed form (Li and Huh 2011; Aravindakshan and Ratchford 2011).
//!
//! At the best prices every product has the same margin m = (1 + W(Σ e^{a_k − b c_k − 1})) / b, where W is Lambert's, and
//! a customer is worth W / b. The market is that of [`super::retail`] with one kind of week.

use super::retail::{Retail, RetailSettings, Sales, State, Weeks};
use agon_core::env::{Measure, Player};
use agon_core::{Actions, ActionsMut, Env, EnvError, Rng, Scene, Spec, Status};

agon_core::settings! {
    pub struct AssortmentSettings {
        /// a_k: what each product is worth to customers.
        values: Vec<f64> = vec![2.0, 1.5, 1.0], in [-100.0, 100.0];
        /// c_k: what a unit of each costs.
        costs: Vec<f64> = vec![0.5, 0.4, 0.3], in [0.0, 1e9];
        /// b: utility lost a unit of price, of every product.
        price_effect: f64 = 1.0, in [1e-9, 1e9];
        /// The highest price allowed.
        highest: f64 = 5.0, in [1e-9, 1e9];
        /// Customers a period.
        customers: f64 = 100.0, in [1.0, 1e12];
        /// Periods of an episode.
        periods: u32 = 20, in [1.0, 1e6];
        /// What customers do.
        sales: Sales = Sales::Sampled;
    }
}

#[derive(Clone)]
pub struct Assortment(Retail);

impl Env for Assortment {
    type Settings = AssortmentSettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] = &[
        Player { name: "highest", about: "the highest prices allowed" },
        Player { name: "optimal", about: "the exact optimum" },
    ];
    const MEASURES: &'static [Measure] = Retail::MEASURES;

    fn new(s: AssortmentSettings) -> Result<Self, EnvError> {
        let n = s.values.len();
        if n == 0 {
            return Err(EnvError::setting("values", "there must be a product"));
        }
        if s.sales == Sales::Sampled && s.customers.fract() != 0.0 {
            return Err(EnvError::setting("customers", "who decides one by one comes in whole numbers"));
        }
        if s.costs.len() != n {
            let message = format!("must have one cost a product: {n}, not {}", s.costs.len());
            return Err(EnvError::setting("costs", message));
        }
        if s.costs.iter().any(|c| *c >= s.highest) {
            return Err(EnvError::setting(
                "highest",
                "is not above every cost: nothing can be earned with such a product",
            ));
        }
        let market = Retail::new(RetailSettings {
            names: (1..=n).map(|k| format!("product {k}")).collect(),
            intercepts: s.values,
            price_effects: vec![s.price_effect; n],
            display_effects: vec![0.0; n],
            low: vec![0.0; n],
            high: vec![s.highest; n],
            costs: vec![s.costs],
            displays: vec![vec![0.0; n]],
            customers: vec![s.customers],
            charged: Vec::new(),
            periods: Some(s.periods),
            weeks: Weeks::Replay,
            sales: s.sales,
            ..RetailSettings::default()
        })?;
        Ok(Self(market))
    }

    fn spec(&self) -> &Spec {
        self.0.spec()
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        self.0.reset(state, rng);
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        self.0.step(state, actions, reward, rng)
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        self.0.check(state)
    }

    fn age(&self, state: &State) -> Option<u32> {
        self.0.age(state)
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        self.0.observe(state, obs);
    }

    fn play(&self, player: usize, _: &State, mut actions: ActionsMut<'_>) {
        let mut prices = vec![0.0; self.spec().action.len()];
        if Self::PLAYERS[player].name == "optimal" {
            self.0.best(0, &mut prices);
        } else {
            self.0.highest(&mut prices);
        }
        prices.iter().enumerate().for_each(|(k, p)| actions.set(k, *p));
    }

    fn optimum(&self) -> Option<f64> {
        self.0.optimum()
    }

    fn measure(&self, state: &State, out: &mut [f64]) {
        self.0.measure(state, out);
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        self.0.draw(state, scene);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimum_is_lamberts() {
        let market = Assortment::new(AssortmentSettings { customers: 1.0, periods: 1, ..Default::default() }).unwrap();
        assert!((market.optimum().unwrap() - 1.129_486_982_2).abs() < 1e-9, "{:?}", market.optimum());
        let mut prices = [0f32; 3];
        market.play(1, &State::default(), ActionsMut::Continuous(&mut prices));
        let margins: Vec<f32> = prices.iter().zip([0.5, 0.4, 0.3]).map(|(p, c)| p - c).collect();
        assert!(margins.iter().all(|m| (m - 2.129_487).abs() < 1e-5), "one margin for all: {margins:?}");
    }
}
