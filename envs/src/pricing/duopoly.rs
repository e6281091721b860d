//! Sellers of differentiated goods who set prices at once, again and again (Calvano, Calzolari, Denicolò and Pastorello
//! 2020, "Artificial intelligence, algorithmic pricing, and collusion").
//!
//! Demand of seller i is logit: q_i = e^{(a − p_i)/μ} / (Σ_j e^{(a − p_j)/μ} + e^{a₀/μ}), profit (p_i − c) q_i. Prices
//! come from a menu of equal steps that spans the one-period Nash price and the monopoly price and a share ξ of their
//! distance beyond each. Everybody sees all prices of the last period (memory 1), the own one first. Returns are
//! discounted by δ, as in the paper.
//!
//! Rivals are other learners, or scripted; then there is one agent.

use agon_core::env::Each;
use agon_core::env::{Fold, Measure, Player, ensure};
use agon_core::graph::{Curve, Graph};
use agon_core::scene::Scene;
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec, Status};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

agon_core::choices! {
    /// Who the other sellers are.
    pub enum Rivals {
        /// Agents that learn too.
        Learners = "learners",
        /// They charge what the first seller charged last.
        TitForTat = "tit-for-tat",
        /// They charge one step less than the first seller did last.
        Undercut = "undercut",
        /// They charge what they charged at the start.
        Fixed = "fixed",
    }
}

agon_core::settings! {
    pub struct DuopolySettings {
        /// Sellers.
        sellers: u32 = 2, in [1.0, 8.0];
        /// Who the sellers after the first are: learners, tit-for-tat, undercut or fixed.
        rivals: Rivals = Rivals::Learners;
        /// a: what a good is worth to customers.
        quality: f64 = 2.0, in [-100.0, 100.0];
        /// a₀: what buying nothing is worth.
        outside: f64 = 0.0, in [-100.0, 100.0];
        /// μ: how differently customers see the goods.
        spread: f64 = 0.25, in [1e-3, 1e3];
        /// c: what a unit costs.
        cost: f64 = 1.0, in [0.0, 1e6];
        /// Prices on the menu.
        prices: u32 = 15, in [2.0, 1000.0];
        /// ξ: how far the menu goes beyond the Nash and the monopoly price, as a share of their distance.
        margin: f64 = 0.1, in [0.0, 10.0];
        /// δ.
        discount: f64 = 0.95, in [0.0, 1.0];
        /// Periods of an episode.
        periods: u32 = 1000, in [1.0, 4e9];
        /// The place on the menu of everybody's last price at the start; random if not given.
        start: Option<u32> = None, in [0.0, 999.0];
        /// The period, from 0, in which the first seller is made to charge the best response to its rivals' last
        /// prices, if given: to see how they answer.
        deviate_at: Option<u32> = None, in [0.0, 4e9];
        /// Periods that the picture shows.
        shown: u32 = 40, in [2.0, 400.0];
    }
}

/// The most sellers.
const MOST: usize = 8;

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Everybody's last price, as a place on the menu.
    last: [u16; MOST],
    period: u32,
    /// The prices of the periods shown, sellers side by side.
    trail: Vec<u16>,
}

#[derive(Clone)]
pub struct Duopoly {
    settings: DuopolySettings,
    spec: Spec,
    sellers: usize,
    menu: Vec<f64>,
    /// e^{(a − p)/μ} of each price on the menu, and of the outside option.
    weight: Vec<f64>,
    outside: f64,
    /// One-period Nash and monopoly prices, and their profits.
    symmetric: [f64; 2],
    benchmark: [f64; 2],
    /// Against scripted rivals: the first seller's best choice and discounted profit after each of its last prices,
    /// when the end is far; and over a whole episode.
    plan: OnceLock<Option<(Vec<u16>, f64)>>,
}

/// Beyond so many products of periods and pairs of prices the program would take more than some seconds.
const LARGEST_PROGRAM: f64 = 3e8;

impl Duopoly {
    /// The symmetric price at which `p − c = μ / (1 − k q(p))`: Nash for k = 1, monopoly for k = sellers.
    fn symmetric_price(s: &DuopolySettings, k: f64) -> f64 {
        let n = f64::from(s.sellers);
        let gap = |p: f64| {
            let q = 1.0 / (n + ((s.outside - s.quality + p) / s.spread).exp());
            (p - s.cost) * (1.0 - k * q) - s.spread
        };
        let (mut low, mut high) = (s.cost, s.cost + s.spread);
        while gap(high) < 0.0 {
            high = s.cost + 2.0 * (high - s.cost);
        }
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if gap(middle) < 0.0 { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    /// The profit of the seller whose price is the first of `prices`, places on the menu.
    fn profit(&self, own: u16, sum: f64) -> f64 {
        (self.menu[usize::from(own)] - self.settings.cost) * self.weight[usize::from(own)] / sum
    }

    fn sum(&self, prices: &[u16]) -> f64 {
        self.outside + prices.iter().map(|p| self.weight[usize::from(*p)]).sum::<f64>()
    }

    /// What a scripted rival charges after everybody charged `last`.
    fn scripted(&self, last: &[u16], rival: usize) -> u16 {
        match self.settings.rivals {
            Rivals::Learners | Rivals::Fixed => last[rival],
            Rivals::TitForTat => last[0],
            Rivals::Undercut => last[0].saturating_sub(1),
        }
    }

    /// The first seller's profit for charging `own` after `last`, against scripted rivals.
    fn against_script(&self, last: &[u16], own: u16) -> f64 {
        let rivals = (1..self.sellers).map(|j| self.weight[usize::from(self.scripted(last, j))]).sum::<f64>();
        self.profit(own, self.outside + self.weight[usize::from(own)] + rivals)
    }

    /// The price that earns `seller` most in one period if the others charge `last` again.
    fn best_response(&self, last: &[u16], seller: usize) -> u16 {
        let others = self.sum(&last[..self.sellers]) - self.weight[usize::from(last[seller])];
        let profit = |p: u16| self.profit(p, others + self.weight[usize::from(p)]);
        (0..self.menu.len() as u16).max_by(|a, b| profit(*a).total_cmp(&profit(*b))).unwrap_or(0)
    }

    /// Backward induction over the first seller's last price: scripts look at nothing else. A rival that never moves is
    /// answered alike in every period.
    fn solve(&self) -> Option<(Vec<u16>, f64)> {
        let (s, m) = (&self.settings, self.menu.len() as u16);
        if s.rivals == Rivals::Learners || s.deviate_at.is_some() {
            return None;
        }
        let starts: Vec<u16> = s.start.map_or_else(|| (0..m).collect(), |place| vec![place as u16]);
        let mean =
            |value: &dyn Fn(u16) -> f64| starts.iter().map(|start| value(*start)).sum::<f64>() / starts.len() as f64;
        if s.rivals == Rivals::Fixed {
            if s.start.is_none() && self.sellers > 2 {
                return None; // prices that are drawn apart are too many to go through
            }
            let weight = (1.0 - s.discount.powf(f64::from(s.periods))) / (1.0 - s.discount);
            let weight = if s.discount == 1.0 { f64::from(s.periods) } else { weight };
            let best = |start: u16| {
                let last = [start; MOST];
                (0..m).map(|a| self.against_script(&last, a)).fold(f64::NEG_INFINITY, f64::max)
            };
            return Some((Vec::new(), weight * mean(&best)));
        }
        let (n, mut value) = (usize::from(m), vec![0.0; usize::from(m)]);
        let earned: Vec<f64> =
            (0..n * n).map(|i| self.against_script(&[(i / n) as u16; MOST], (i % n) as u16)).collect();
        let (mut next, mut choice) = (value.clone(), vec![0; n]);
        for period in 0..s.periods {
            if f64::from(period) * (n * n) as f64 > LARGEST_PROGRAM {
                return None;
            }
            let mut moved = 0f64;
            for own in 0..n {
                let worth = |a: usize| earned[own * n + a] + s.discount * value[a];
                let best = (0..n).max_by(|a, b| worth(*a).total_cmp(&worth(*b))).unwrap_or(0);
                next[own] = worth(best);
                moved = moved.max((next[own] - value[own]).abs());
                choice[own] = best as u16;
            }
            std::mem::swap(&mut value, &mut next);
            // Earlier periods would change nothing that a number could show.
            if moved <= 1e-13 * value[0].abs() {
                break;
            }
        }
        let total = mean(&|start| value[usize::from(start)]);
        Some((choice, total))
    }

    fn plan(&self) -> Option<&(Vec<u16>, f64)> {
        self.plan.get_or_init(|| self.solve()).as_ref()
    }
}

impl Env for Duopoly {
    type Settings = DuopolySettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] = &[
        Player { name: "nash", about: "the price nearest to the one-period Nash price" },
        Player { name: "monopoly", about: "the price nearest to the joint monopoly price" },
        Player { name: "best-response", about: "the price that earns most if the others charge the same again" },
        Player { name: "optimal", about: "the exact program against scripted rivals" },
    ];
    const MEASURES: &'static [Measure] = &[
        Measure { name: "collusion index", unit: "", fold: Fold::Mean },
        Measure { name: "profit of seller 1", unit: "a period", fold: Fold::Mean },
        Measure { name: "profit of seller 2", unit: "a period", fold: Fold::Mean },
        Measure { name: "price of seller 1", unit: "", fold: Fold::Mean },
        Measure { name: "price of seller 2", unit: "", fold: Fold::Mean },
    ];

    fn new(s: DuopolySettings) -> Result<Self, EnvError> {
        if s.rivals != Rivals::Learners && s.sellers < 2 {
            return Err(EnvError::setting("sellers", "scripted rivals need at least 2 sellers"));
        }
        if s.start.is_some_and(|place| place >= s.prices) {
            return Err(EnvError::setting("start", format!("the menu has places 0 to {}", s.prices - 1)));
        }
        let (nash, monopoly) = (Self::symmetric_price(&s, 1.0), Self::symmetric_price(&s, f64::from(s.sellers)));
        // One seller is its own rival: both prices are the same.
        let distance = if s.sellers > 1 { monopoly - nash } else { 0.5 * nash };
        let (low, high) = (nash - s.margin * distance, monopoly + s.margin * distance);
        let step = (high - low) / f64::from(s.prices - 1);
        let menu: Vec<f64> = (0..s.prices).map(|k| low + step * f64::from(k)).collect();
        if !(low.is_finite() && high.is_finite() && high - low > 1e-9 * nash.abs()) {
            let message = format!(
                "no menu lies between the competitive price {nash:.4} and the monopoly's {monopoly:.4}: at quality {}, \
                 cost {} and outside {} customers hardly buy, or margin is 0 and there is one seller",
                s.quality, s.cost, s.outside
            );
            return Err(EnvError::setting("quality", message));
        }
        if low < 0.0 {
            let message = format!("the menu would begin below zero, at {low:.4}");
            return Err(EnvError::setting("margin", message));
        }
        let weight = |p: f64| ((s.quality - p) / s.spread).exp();
        let outside = (s.outside / s.spread).exp();
        if !(menu.iter().all(|p| weight(*p).is_finite()) && outside.is_finite()) {
            return Err(EnvError::setting("spread", "too small for this quality: demand overflows"));
        }
        let profit = |p: f64| (p - s.cost) * weight(p) / (f64::from(s.sellers) * weight(p) + outside);
        let field = |i: usize| {
            let name = if i == 0 { "own last price".into() } else { format!("rival {i}'s last price") };
            Field::new(name, "", low as f32, high as f32)
        };
        let labels = menu.iter().map(|p| format!("{p:.4}"));
        let mut spec = Spec::new((0..s.sellers as usize).map(field).collect(), ActionSpec::discrete(labels), s.periods);
        spec.agents = if s.rivals == Rivals::Learners { s.sellers as usize } else { 1 };
        spec.discount = s.discount;
        Ok(Self {
            sellers: s.sellers as usize,
            weight: menu.iter().map(|p| weight(*p)).collect(),
            symmetric: [nash, monopoly],
            benchmark: [profit(nash), profit(monopoly)],
            outside,
            menu,
            spec,
            settings: s,
            plan: OnceLock::new(),
        })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        state.period = 0;
        state.trail.clear();
        state.trail.reserve(self.settings.shown as usize * self.sellers);
        for last in &mut state.last[..self.sellers] {
            *last = self.settings.start.unwrap_or_else(|| rng.below(self.settings.prices)) as u16;
        }
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], _: &mut Rng) -> Status {
        let (n, chosen) = (self.sellers, actions.discrete());
        let last = state.last;
        for (j, price) in state.last[..n].iter_mut().enumerate() {
            *price = if j < chosen.len() { chosen[j] as u16 } else { self.scripted(&last, j) };
        }
        if self.settings.deviate_at == Some(state.period) {
            state.last[0] = self.best_response(&last, 0);
        }
        let sum = self.sum(&state.last[..n]);
        for (reward, price) in reward.iter_mut().zip(&state.last) {
            *reward = self.profit(*price, sum) as f32;
        }
        state.period += 1;
        let room = self.settings.shown as usize * n;
        if state.trail.len() >= room {
            state.trail.drain(..n);
        }
        state.trail.extend_from_slice(&state.last[..n]);
        Status::Running
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        let (n, m) = (self.sellers, self.menu.len());
        let on_menu = |prices: &[u16]| prices.iter().all(|p| usize::from(*p) < m);
        ensure(on_menu(&state.last[..n]) && on_menu(&state.trail), "a price is not on the menu")?;
        ensure(state.last[n..].iter().all(|p| *p == 0), "`last` holds prices of sellers who are not there")?;
        ensure(state.period <= self.settings.periods, "`period` is more than an episode has")?;
        let shown = state.period.min(self.settings.shown) as usize;
        ensure(state.trail.len() == shown * n, "`trail` does not hold the prices of the periods shown")?;
        ensure(shown == 0 || state.trail.ends_with(&state.last[..n]), "`trail` does not end with `last`")?;
        Ok(Status::Running)
    }

    fn age(&self, state: &State) -> Option<u32> {
        Some(state.period)
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        let n = self.sellers;
        for (own, row) in obs.chunks_exact_mut(n).enumerate() {
            for (k, o) in row.iter_mut().enumerate() {
                *o = self.menu[usize::from(state.last[(own + k) % n])] as f32;
            }
        }
    }

    fn offers(&self, player: usize) -> Result<(), String> {
        let planned = Self::PLAYERS[player].name != "optimal" || self.plan().is_some();
        let why = "no exact program is known against learning rivals, with a forced deviation, or for so many prices";
        if planned { Ok(()) } else { Err(why.into()) }
    }

    fn play(&self, player: usize, state: &State, mut actions: ActionsMut<'_>) {
        let nearest = |price: f64| {
            let far = |k: &usize| (self.menu[*k] - price).abs();
            (0..self.menu.len()).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(0) as f64
        };
        for agent in 0..self.spec.agents {
            let choice = match Self::PLAYERS[player].name {
                "nash" => nearest(self.symmetric[0]),
                "monopoly" => nearest(self.symmetric[1]),
                "best-response" => f64::from(self.best_response(&state.last, agent)),
                _ => match self.plan().and_then(|p| p.0.get(usize::from(state.last[0]))) {
                    Some(choice) => f64::from(*choice),
                    None => f64::from(self.best_response(&state.last, agent)),
                },
            };
            actions.set(agent, choice);
        }
    }

    fn optimum(&self) -> Option<f64> {
        self.plan().map(|p| p.1)
    }

    fn starts(&self, each: &mut dyn FnMut(f64, &State)) -> bool {
        let m = self.menu.len() as u16;
        let pairs: Vec<[u16; 2]> = match self.settings.start {
            Some(place) => vec![[place as u16; 2]],
            None => (0..m).flat_map(|a| (0..m).map(move |b| [a, b])).collect(),
        };
        for pair in &pairs {
            let mut state = State::default();
            state.last[..self.sellers].fill(pair[1]);
            state.last[0] = pair[0];
            each(1.0 / pairs.len() as f64, &state);
        }
        // More sellers than two, each with a price of its own, are too many to go through.
        let told = self.settings.start.is_some() || self.sellers == 2;
        told && self.settings.rivals != Rivals::Learners && self.settings.deviate_at.is_none()
    }

    fn outcomes(&self, state: &State, action: i64, each: Each<'_, State>) -> bool {
        let mut next = State::default();
        for j in 0..self.sellers {
            next.last[j] = if j == 0 { action as u16 } else { self.scripted(&state.last, j) };
        }
        each(1.0, self.profit(next.last[0], self.sum(&next.last[..self.sellers])), Some(&next));
        true
    }

    fn measure(&self, state: &State, out: &mut [f64]) {
        let prices = &state.last[..self.sellers];
        let sum = self.sum(prices);
        let mean = prices.iter().map(|p| self.profit(*p, sum)).sum::<f64>() / self.sellers as f64;
        let [nash, monopoly] = self.benchmark;
        // Where there is one seller, nobody colludes and nobody is second.
        let second = |x: fn(&Self, u16, f64) -> f64| if self.sellers > 1 { x(self, prices[1], sum) } else { f64::NAN };
        out.copy_from_slice(&[
            if self.sellers > 1 { (mean - nash) / (monopoly - nash) } else { f64::NAN },
            self.profit(prices[0], sum),
            second(Self::profit),
            self.menu[usize::from(prices[0])],
            second(|market, price, _| market.menu[usize::from(price)]),
        ]);
    }

    /// Prices of the last periods, between the lines of Nash and monopoly.
    fn draw(&self, state: &State, scene: &mut Scene) {
        let (n, [nash, monopoly]) = (self.sellers, self.symmetric);
        let first = state.period as usize + 1 - state.trail.len() / n;
        let price = |place: u16| self.menu[usize::from(place)];
        let curve = |seller: usize| {
            let own = state.trail.iter().skip(seller).step_by(n).enumerate();
            let at = own.map(|(t, place)| [(first + t) as f32, price(*place) as f32]).collect();
            Curve { name: format!("seller {}", seller + 1), at }
        };
        let graph = Graph {
            axes: ["period", "price"].map(String::from),
            lines: (0..n).map(curve).collect(),
            levels: vec![("Nash".into(), nash as f32), ("monopoly".into(), monopoly as f32)],
            ..Graph::default()
        };
        *scene = Scene { graphs: vec![graph], ..Scene::default() };
        for seller in 0..n {
            scene.note(format!("seller {}", seller + 1), format!("{:.3}", price(state.last[seller])));
        }
        scene.note("period", state.period.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market(settings: DuopolySettings) -> Duopoly {
        Duopoly::new(settings).unwrap()
    }

    /// The paper's baseline; figures by bisection of the first-order conditions in another program.
    #[test]
    fn nash_and_monopoly_are_the_papers() {
        let s = DuopolySettings::default();
        let m = market(s.clone());
        assert!((Duopoly::symmetric_price(&s, 1.0) - 1.472_926_660_0).abs() < 1e-9);
        assert!((Duopoly::symmetric_price(&s, 2.0) - 1.924_980_919_0).abs() < 1e-9);
        assert!((m.benchmark[0] - 0.222_926_660_0).abs() < 1e-9 && (m.benchmark[1] - 0.337_490_459_5).abs() < 1e-9);
        // No price earns more against the Nash price than itself.
        let w = |p: f64| ((2.0 - p) / 0.25).exp();
        let own = |p: f64| (p - 1.0) * w(p) / (w(p) + w(1.472_926_66) + 1.0);
        assert!((1..4000).all(|k| own(1.0 + f64::from(k) * 5e-4) <= m.benchmark[0] + 1e-9));
    }

    /// Of any number of sellers: nobody gains by another price than Nash's, all together by none but the monopoly's.
    #[test]
    fn benchmarks_are_what_they_say() {
        for sellers in [1, 2, 3, 5, 8] {
            let m = market(DuopolySettings { sellers, ..Default::default() });
            let ([nash, monopoly], n) = (m.symmetric, f64::from(sellers));
            let w = |p: f64| ((2.0 - p) / 0.25).exp();
            let own = |p: f64| (p - 1.0) * w(p) / (w(p) + (n - 1.0) * w(nash) + 1.0);
            let each = |p: f64| (p - 1.0) * w(p) / (n * w(p) + 1.0);
            assert!((own(nash) - m.benchmark[0]).abs() < 1e-9 && (each(monopoly) - m.benchmark[1]).abs() < 1e-9);
            for price in (1..4000).map(|k| 1.0 + f64::from(k) * 5e-4) {
                assert!(
                    own(price) <= m.benchmark[0] + 1e-9 && each(price) <= m.benchmark[1] + 1e-9,
                    "{sellers}: {price}"
                );
            }
            assert!(if sellers == 1 { (nash - monopoly).abs() < 1e-9 } else { nash < monopoly });
        }
    }

    #[test]
    fn scripts_have_the_known_optima() {
        for (rivals, known) in [(Rivals::TitForTat, 6.633_925_454), (Rivals::Undercut, 6.244_541_814)] {
            let m = market(DuopolySettings { rivals, start: Some(7), ..Default::default() });
            assert!((m.optimum().unwrap() - known).abs() < 1e-8, "{:?}", m.optimum());
        }
    }

    /// Playing the plan earns what it promises.
    #[test]
    fn the_plan_earns_the_optimum() {
        for rivals in [Rivals::TitForTat, Rivals::Undercut, Rivals::Fixed] {
            let m = market(DuopolySettings { rivals, start: Some(3), ..Default::default() });
            let mut rng = Rng::new(0, agon_core::rng::Stream::Env, 0);
            let (mut state, mut total, mut weight) = (State::default(), 0.0, 1.0);
            m.reset(&mut state, &mut rng);
            for _ in 0..1000 {
                let (mut action, mut reward) = ([0i64], [0f32]);
                m.play(3, &state, ActionsMut::Discrete(&mut action));
                m.step(&mut state, Actions::Discrete(&action), &mut reward, &mut rng);
                total += weight * f64::from(reward[0]);
                weight *= 0.95;
            }
            assert!((total - m.optimum().unwrap()).abs() < 1e-5, "{rivals:?} {total}");
        }
    }

    /// NaN is what does not apply: it is neither shown nor counted.
    #[test]
    fn one_seller_has_no_second() {
        for (sellers, applies) in [(1, false), (2, true)] {
            let m = market(DuopolySettings { sellers, start: Some(3), ..Default::default() });
            let (mut state, mut out) = (State::default(), [0.0; 5]);
            m.reset(&mut state, &mut Rng::new(0, agon_core::rng::Stream::Env, 0));
            m.measure(&state, &mut out);
            assert_eq!(out.map(f64::is_finite), [applies, true, applies, true, applies], "{sellers}: {out:?}");
        }
    }

    #[test]
    fn a_deviation_is_forced_once() {
        let m = market(DuopolySettings { deviate_at: Some(2), start: Some(12), ..Default::default() });
        let mut rng = Rng::new(0, agon_core::rng::Stream::Env, 0);
        let mut state = State::default();
        m.reset(&mut state, &mut rng);
        let mut first = Vec::new();
        for _ in 0..5 {
            m.step(&mut state, Actions::Discrete(&[12, 12]), &mut [0.0; 2], &mut rng);
            first.push(state.last[0]);
        }
        assert_eq!([first[0], first[1], first[3], first[4]], [12; 4]);
        assert!(first[2] < 12, "the best response to a high price is below it: {}", first[2]);
    }
}
