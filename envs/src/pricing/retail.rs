//! A shelf of products priced week by week. Demand is multinomial logit with an outside option (see [`super::logit`]);
//! unit costs, displays and customers come from a table of weeks, replayed in order or drawn at random.
//!
//! The agent sees a week's costs, displays and customers, sets every price, and earns the week's profit. Nothing
//! carries over from one week to the next, so the best price for this week is the best price: myopic is optimal. Unless
//! the settings ask for what does carry over (see [`carry`]): then myopic is a baseline, and for one product `planned` is
//! a good answer, though no exact one (see [`plan`]).

pub mod carry;
mod draws;
pub mod plan;

use super::logit::{Logit, Week};
use agon_core::env::{Fold, Measure, Player, ensure, within};
use agon_core::rng::Stream;
use agon_core::scene::{Ink, Scene, money};
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec, Status};
use carry::{Carried, Carry};
use plan::RetailPlan;
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
        /// The calendar's week of each row of the table, from 0: what seasons and promotions follow. Row after row if left out.
        week_numbers: Vec<u32> = Vec::new(), in [0.0, 4e9];
        /// Weeks an episode; the whole table if left out.
        periods: Option<u32> = None, in [1.0, 1e6];
        /// Which week follows.
        weeks: Weeks = Weeks::Replay;
        /// What customers do.
        sales: Sales = Sales::Sampled;
        /// Units of each product at the start of an episode; without end if left out.
        stock: Vec<f64> = Vec::new(), in [0.0, 1e12];
        /// Utility of every product that is added in each week of a cycle; none if left out.
        seasons: Vec<f64> = Vec::new(), in [-100.0, 100.0];
        /// Utility lost a dollar above the price that customers are used to, and won below it (Kopalle et al. 1996).
        reference_effect: f64 = 0.0, in [0.0, 1e6];
        /// How much of the price that customers are used to stays; the rest is the price they see.
        reference_memory: f64 = 0.7, in [0.0, 1.0];
        /// A rival's product: its utility at price zero; no rival if left out.
        rival: Option<f64> = None, in [-100.0, 100.0];
        /// Utility that the rival's product loses a dollar.
        rival_price_effect: f64 = 1.0, in [1e-9, 1e9];
        /// The rival's lowest and highest price; it starts in the middle.
        rival_prices: Vec<f64> = vec![0.5, 4.0], in [0.0, 1e9];
        /// How far the rival moves each week to the lowest of our prices: 0 never, 1 all the way.
        rival_follows: f64 = 0.5, in [0.0, 1.0];
        /// Weeks of a cycle in which prices may fall below `regular_low`; all if left out.
        promotions: Vec<bool> = Vec::new();
        /// The lowest price outside promotions, a product each.
        regular_low: Vec<f64> = Vec::new(), in [0.0, 1e9];
        /// How many of the drawn demands below episodes take theirs from, one each; 0: all have the fitted demand.
        draws: u32 = 0, in [0.0, 1e4];
        /// Demands as they may be, given the error of their estimation: `[fit]` draws them. Utility at price zero: a row a draw.
        drawn_intercepts: Vec<Vec<f64>> = Vec::new();
        /// The same of utility lost a dollar.
        drawn_price_effects: Vec<Vec<f64>> = Vec::new();
        /// The same of utility of a full display.
        drawn_display_effects: Vec<Vec<f64>> = Vec::new();
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    week: u32,
    /// The seed of the weeks to come, and how many came: whatever is charged and sold, episodes that begin alike have
    /// the same weeks.
    calendar: (u64, u32),
    prices: Vec<f64>,
    units: Vec<f64>,
    profit: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carried: Option<Carried>,
    /// Which drawn demand the episode has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    draw: Option<u32>,
}

#[derive(Clone)]
pub struct Retail {
    settings: RetailSettings,
    /// What players know of: the fitted demand.
    demand: Logit,
    /// What episodes have, if they are drawn.
    drawn: Vec<Logit>,
    spec: Spec,
    mean_customers: f64,
    fixed: OnceLock<Vec<f64>>,
    carry: Option<Carry>,
    plan: OnceLock<RetailPlan>,
}

impl Retail {
    fn week(&self, i: usize) -> Week<'_> {
        let s = &self.settings;
        // Who decides one by one comes in whole numbers.
        let customers = if s.sales == Sales::Sampled { s.customers[i].round() } else { s.customers[i] };
        Week { costs: &s.costs[i], displays: &s.displays[i], customers, outside: 1.0 }
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

    /// The best prices of the week that a state is in, whatever comes after it and as if stock had no end; what a
    /// customer then earns the shop.
    fn myopic(&self, state: &State, out: &mut [f64]) -> f64 {
        let (Some(carry), Some(carried)) = (&self.carry, &state.carried) else {
            return self.best(state.week as usize, out);
        };
        let (mut demand, mut low) = (self.demand.clone(), self.settings.low.clone());
        for (k, low) in low.iter_mut().enumerate() {
            let (added, lost) = carry.tilt(carried, k);
            demand.intercepts[k] += added;
            demand.price_effects[k] += lost;
            *low = carry.low(carried, k, *low);
        }
        let week = Week { outside: carry.outside(carried), ..self.week(state.week as usize) };
        demand.optimum(week, &low, &self.settings.high, out)
    }

    /// What the best prices earn in an episode where all that carries over is a calendar: the mean over the weeks in
    /// which it can begin.
    fn calendar_optimum(&self, carry: &Carry) -> f64 {
        let (weeks, cycle) = (self.settings.customers.len(), carry.cycle());
        let by_time = Self { carry: Some(carry.by_rows()), ..self.clone() };
        let mut prices = vec![0.0; self.demand.len()];
        let mut profit = |week: usize, time: usize| {
            let mut state = State { week: week as u32, ..State::default() };
            carry.reset(state.carried.get_or_insert_default(), time as u32);
            self.week(week).customers * by_time.myopic(&state, &mut prices)
        };
        let table: Vec<f64> = (0..weeks * cycle).map(|i| profit(i / cycle, i % cycle)).collect();
        // Of every week of the table at a time of the cycle, and their mean.
        let at = |week: usize, time: usize| table[week * cycle + time % cycle];
        let mean = |time: usize| (0..weeks).map(|week| at(week, time)).sum::<f64>() / weeks as f64;
        let means: Vec<f64> = (0..cycle).map(mean).collect();
        let mut total = 0.0;
        for first in 0..weeks {
            for age in 0..self.periods() as usize {
                let time = carry.moment(first, age);
                total += match self.settings.weeks {
                    Weeks::Resample if age > 0 => means[time % cycle],
                    _ => at((first + age) % weeks, time),
                };
            }
        }
        total / weeks as f64
    }

    /// The best prices that never change.
    pub fn best_fixed(&self) -> &[f64] {
        self.fixed.get_or_init(|| self.demand.best_fixed(&self.all(), &self.settings.low, &self.settings.high))
    }

    /// The plan of a shop of one product in which something carries over; made when first asked for.
    fn plan(&self) -> &RetailPlan {
        self.plan.get_or_init(|| RetailPlan::new(self))
    }

    /// A product's price, moved to where it may be.
    fn charged(&self, carried: Option<(&Carry, &Carried)>, k: usize, price: f64) -> f64 {
        let low = carried.map_or(self.settings.low[k], |(carry, c)| carry.low(c, k, self.settings.low[k]));
        price.clamp(low, self.settings.high[k])
    }

    /// The demand of an episode.
    fn market(&self, draw: Option<u32>) -> &Logit {
        draw.and_then(|i| self.drawn.get(i as usize)).unwrap_or(&self.demand)
    }

    /// A product's price, moved to where it may be, and its weight in customers' choice.
    fn offer(
        &self,
        market: &Logit,
        week: Week<'_>,
        carried: Option<(&Carry, &Carried)>,
        k: usize,
        price: f64,
    ) -> (f64, f64) {
        let price = self.charged(carried, k, price);
        let weight = market.weight(k, price, week.displays[k]);
        let (added, lost) = carried.map_or((0.0, 0.0), |(carry, c)| carry.tilt(c, k));
        (price, if carried.is_some() { weight * (added - lost * price).exp() } else { weight })
    }

    /// The highest prices allowed.
    pub fn highest(&self, out: &mut [f64]) {
        out.copy_from_slice(&self.settings.high);
    }

    /// Weeks an episode.
    pub fn periods(&self) -> u32 {
        self.settings.periods.unwrap_or(self.settings.customers.len() as u32)
    }
}

impl Env for Retail {
    type Settings = RetailSettings;
    type State = State;
    const VERSION: u32 = 3;
    const PLAYERS: &'static [Player] = &[
        Player { name: "charged", about: "the prices that the shop really charged that week" },
        Player { name: "best-fixed-prices", about: "the prices that earn most if never changed" },
        Player { name: "myopic", about: "each week's own best prices, as if stock had no end" },
        Player {
            name: "planned",
            about: "value iteration on a discretised model: one product, something carries over",
        },
        Player { name: "optimal", about: "the exact optimum: each week's own best prices, as nothing carries over" },
    ];

    const MEASURES: &'static [Measure] = &[
        Measure { name: "revenue", unit: "$", fold: Fold::Sum },
        Measure { name: "profit", unit: "$", fold: Fold::Sum },
        Measure { name: "units sold", unit: "", fold: Fold::Sum },
        Measure { name: "units left", unit: "", fold: Fold::Last },
        Measure { name: "mean price asked", unit: "$", fold: Fold::Mean },
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
        if let Some(name) = s.names.iter().enumerate().find(|(k, name)| s.names[..*k].contains(name)).map(|(_, n)| n) {
            return Err(EnvError::setting(
                "names",
                format!("holds `{name}` twice; each product needs a name of its own"),
            ));
        }
        if !s.week_numbers.is_empty() {
            length("week_numbers", s.week_numbers.len(), weeks, "week")?;
        }
        for (k, units) in s.stock.iter().enumerate().filter(|(k, _)| *k < n) {
            if *units < 1.0 || (s.sales == Sales::Sampled && units.fract() != 0.0) {
                let message = format!("of {} is {units}: it must be one unit or more, in whole units", s.names[k]);
                return Err(EnvError::setting("stock", message));
            }
        }
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
            let [low, high] = [s.low[k], s.high[k]];
            let outside = s.charged.iter().enumerate().find(|(_, row)| row[k] < low || row[k] > high);
            if let Some((week, row)) = outside {
                let (name, price) = (&s.names[k], row[k]);
                let message =
                    format!("{name} at {price} in row {} is not between `low` {low} and `high` {high}", week + 1);
                return Err(EnvError::setting("charged", message));
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
        let drawn = draws::read(s)?;
        let carry = Carry::new(s)?;
        let added = |k: usize| carry.as_ref().map_or(0.0, |c| c.most_added(s.high[k] - s.low[k]));
        // A drawn price effect may have the wrong sign.
        let worth = |d: &Logit, k: usize| {
            let lost = (d.price_effects[k] * s.low[k]).min(d.price_effects[k] * s.high[k]);
            d.intercepts[k] - lost + d.display_effects[k].max(0.0) + added(k)
        };
        let worths = drawn.iter().chain([&demand]).flat_map(|d| (0..n).map(move |k| (d, k)));
        let worths = worths.map(|(d, k)| worth(d, k));
        let most = worths.chain(carry.as_ref().map(Carry::most_outside)).fold(0.0, f64::max);
        if most > 600.0 {
            let message =
                format!("a product can be worth a utility of {most:.0}: e to that power is no number any more");
            return Err(EnvError::setting("intercepts", message));
        }
        fields.extend(carry.iter().flat_map(|c| c.fields(&s.names)));
        let spec = Spec::new(fields, action, s.periods.unwrap_or(weeks as u32));
        let mean_customers = s.customers.iter().sum::<f64>() / weeks as f64;
        let (fixed, plan) = (OnceLock::new(), OnceLock::new());
        Ok(Self { demand, drawn, spec, mean_customers, fixed, plan, carry, settings })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        state.week = rng.below(self.settings.customers.len() as u32);
        state.calendar = (rng.below(u32::MAX).into(), 0);
        state.profit = 0.0;
        for list in [&mut state.prices, &mut state.units] {
            list.clear();
            list.resize(self.demand.len(), 0.0);
        }
        if let Some(carry) = &self.carry {
            carry.reset(state.carried.get_or_insert_default(), state.week);
        }
        state.draw = (!self.drawn.is_empty()).then(|| rng.below(self.drawn.len() as u32));
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let (week, market) = (self.week(state.week as usize), self.market(state.draw));
        let mut carried = self.carry.as_ref().zip(state.carried.as_mut());
        let mut sum = carried.as_ref().map_or(1.0, |(carry, carried)| carry.outside(carried));
        for (k, a) in actions.continuous().iter().enumerate() {
            let beside = carried.as_ref().map(|(carry, carried)| (*carry, &**carried));
            (state.prices[k], state.units[k]) = self.offer(market, week, beside, k, f64::from(*a));
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
            // Whoever finds the shelf empty goes home.
            if let Some((carry, carried)) = &mut carried {
                state.units[k] = carry.sell(carried, k, state.units[k]);
            }
            profit += state.units[k] * (state.prices[k] - week.costs[k]);
        }
        let over = carried.is_some_and(|(carry, carried)| {
            carry.after(carried, &state.prices);
            carry.is_over(carried)
        });
        state.profit = profit;
        reward[0] = profit as f32;
        let weeks = self.settings.customers.len() as u32;
        state.week = match self.settings.weeks {
            Weeks::Replay => (state.week + 1) % weeks,
            Weeks::Resample => {
                let (seed, came) = &mut state.calendar;
                *came += 1;
                Rng::new(*seed, Stream::Env, *came).below(weeks)
            }
        };
        if over { Status::Terminated } else { Status::Running }
    }

    fn settle(&self, state: &State, mut actions: ActionsMut<'_>) {
        let carried = self.carry.as_ref().zip(state.carried.as_ref());
        if let ActionsMut::Continuous(prices) = &mut actions {
            for (k, price) in prices.iter_mut().enumerate() {
                *price = self.charged(carried, k, f64::from(*price)) as f32;
            }
        }
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        let (s, n, weeks) = (&self.settings, self.demand.len(), self.settings.customers.len() as u32);
        ensure(state.week < weeks, "`week` is not in the table")?;
        ensure(state.prices.len() == n && state.units.len() == n, "there must be a price and units for each product")?;
        // Before the first week nothing was charged or sold.
        let begun = state.prices.iter().chain(&state.units).any(|x| *x != 0.0) || state.profit != 0.0;
        let most = s.customers.iter().copied().fold(0.0, f64::max).ceil();
        let mut stake = 0.0;
        for k in (0..n).filter(|_| begun) {
            within("a price", state.prices[k], s.low[k], s.high[k])?;
            within("the units sold of a product", state.units[k], 0.0, most)?;
            let cost = s.costs.iter().map(|row| row[k]).fold(0.0, f64::max);
            stake += state.units[k] * s.high[k].max(cost);
        }
        within("profit", state.profit, -stake * (1.0 + 1e-9), stake * (1.0 + 1e-9))?;
        let (seed, came) = state.calendar;
        match s.weeks {
            Weeks::Replay => ensure(came == 0, "`calendar` counts weeks although they follow the table")?,
            Weeks::Resample => {
                let age = state.carried.as_ref().map_or(came as usize, Carried::age);
                ensure(age == came as usize, "`calendar` does not count the weeks of the episode")?;
                ensure(came <= self.periods(), "`calendar` counts more weeks than an episode has")?;
                let drawn = came == 0 || state.week == Rng::new(seed, Stream::Env, came).below(weeks);
                ensure(drawn, "`week` is not the one that `calendar` drew")?;
            }
        }
        match state.draw {
            None => ensure(self.drawn.is_empty(), "`draw` is missing")?,
            Some(i) => ensure((i as usize) < self.drawn.len(), "`draw` is none of the drawn demands")?,
        }
        let over = match (&self.carry, &state.carried) {
            (None, None) => false,
            (Some(carry), Some(carried)) => carry.check(carried, state.week, s)?,
            (None, Some(_)) => return Err("nothing carries over: `carried` must be left out".into()),
            (Some(_), None) => return Err("`carried` is missing".into()),
        };
        Ok(if over { Status::Terminated } else { Status::Running })
    }

    fn age(&self, state: &State) -> Option<u32> {
        let drawn = (self.settings.weeks == Weeks::Resample).then_some(state.calendar.1);
        state.carried.as_ref().map(|carried| carried.age() as u32).or(drawn)
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        let week = self.week(state.week as usize);
        for (o, x) in obs.iter_mut().zip(week.costs.iter().chain(week.displays)) {
            *o = *x as f32;
        }
        let own = 2 * self.demand.len();
        obs[own] = (week.customers / self.mean_customers) as f32;
        if let Some((carry, carried)) = self.carry.as_ref().zip(state.carried.as_ref()) {
            carry.observe(carried, &mut obs[own + 1..]);
        }
    }

    fn offers(&self, player: usize) -> Result<(), String> {
        if Self::PLAYERS[player].name == "charged" {
            let (charged, lowest) = (&self.settings.charged, &self.settings.regular_low);
            if charged.is_empty() {
                return Err("the settings hold no `charged` prices".into());
            }
            if charged.iter().any(|row| row.iter().zip(lowest).any(|(price, low)| price < low)) {
                return Err("some `charged` prices are below `regular_low`: it could not charge them every week".into());
            }
        }
        if Self::PLAYERS[player].name == "planned" {
            return RetailPlan::possible(self);
        }
        match (Self::PLAYERS[player].name, &self.carry) {
            ("optimal", _) if !self.drawn.is_empty() => {
                Err("with `draws` nobody knows the demand of an episode: `myopic` takes the fitted one for true".into())
            }
            ("optimal", Some(carry)) if !carry.is_a_calendar() => Err(
                "with a stock, usual prices or a rival who follows nobody knows it (`planned` comes near for one product)".into(),
            ),
            ("best-fixed-prices", Some(_)) => {
                Err("with stock, seasons, usual prices, a rival or promotions nobody knows them".into())
            }
            _ => Ok(()),
        }
    }

    fn play(&self, player: usize, state: &State, mut actions: ActionsMut<'_>) {
        let week = state.week as usize;
        let mut best = vec![0.0; self.demand.len()];
        let prices = match Self::PLAYERS[player].name {
            "charged" => &self.settings.charged[week],
            "best-fixed-prices" => self.best_fixed(),
            "planned" => {
                best[0] = state.carried.as_ref().map_or(0.0, |carried| self.plan().best(self, carried).0);
                &best
            }
            _ => {
                self.myopic(state, &mut best);
                &best
            }
        };
        prices.iter().enumerate().for_each(|(k, p)| actions.set(k, *p));
    }

    /// Over a whole table every week comes once from any start, and over any number each is as likely: the mean is exact.
    fn optimum(&self) -> Option<f64> {
        if !self.drawn.is_empty() {
            return None;
        }
        if let Some(carry) = &self.carry {
            return carry.is_a_calendar().then(|| self.calendar_optimum(carry));
        }
        let total = self.total(|i, out| {
            self.best(i, out);
        });
        Some(total / self.settings.customers.len() as f64 * f64::from(self.periods()))
    }

    fn measure(&self, state: &State, out: &mut [f64]) {
        let revenue = state.prices.iter().zip(&state.units).map(|(p, u)| p * u).sum();
        let mean = state.prices.iter().sum::<f64>() / state.prices.len().max(1) as f64;
        // A stock without end leaves nothing to count.
        let left = state.carried.as_ref().filter(|c| !c.stock.is_empty()).map_or(f64::NAN, |c| c.stock.iter().sum());
        out.copy_from_slice(&[revenue, state.profit, state.units.iter().sum(), left, mean]);
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
            scene.note(s.names[k].clone(), format!("{} $ × {:.0}", money(*p), state.units[k]));
        }
        match self.carry.as_ref().zip(state.carried.as_ref()) {
            Some((carry, carried)) => carry.draw(carried, &s.names, scene),
            None => scene.note("week", format!("{} of {}", state.week + 1, s.customers.len())),
        }
        scene.note(
            "profit",
            if state.profit.abs() < 10.0 {
                format!("{} $", money(state.profit))
            } else {
                format!("{:.0} $", state.profit)
            },
        );
    }
}

#[cfg(test)]
mod tests;
