//! A shelf of products priced week by week. Demand is multinomial logit with an outside option (see [`super::logit`]), nested
//! logit ([`super::nested_logit`]) or log-log ([`super::log_log`]);
//! unit costs, displays and customers come from a table of weeks, replayed in order or drawn at random.
//!
//! The agent sees a week's costs, displays and customers, sets every price, and earns the week's profit. Nothing
//! carries over from one week to the next, so the best price for this week is the best price: myopic is optimal. Unless
//! the settings ask for what does carry over (see [`carry`]): then myopic is a baseline, and for one product `planned` is
//! a good answer, though no exact one (see [`plan`]).

mod allowed;
pub mod carry;
mod curve;
mod customers;
mod linked;
mod market;
mod paths;
pub mod plan;
mod settings;

use super::logit::Week;
use super::rules::{Now, Room, Rules};
use agon_core::env::{Fold, Measure, Player, ensure, within};
use agon_core::rng::Stream;
use agon_core::scene::{Ink, Scene, money};
use agon_core::settings::Issue;
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec, Status};
use carry::{Carried, Carry};
pub use market::Demands;
use market::{Form, Market};
use paths::Trail;
use plan::RetailPlan;
use serde::{Deserialize, Serialize};
pub use settings::{Demand, RetailSettings, Sales, Weeks, nests_of};
use std::sync::OnceLock;

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
    /// Where rules keep prices for some time: for how many weeks they have stayed, at most as many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    since: Vec<u32>,
    #[serde(skip)]
    now: Vec<Now>,
    #[serde(skip)]
    room: Room,
    /// The last weeks, for the picture alone: whoever restores a state begins a new one.
    #[serde(skip)]
    trail: Trail,
    /// Which drawn demand the episode has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    draw: Option<u32>,
}

/// The best prices found are the optimum if nothing can earn more than by this share.
const PROVEN: f64 = 1e-6;

#[derive(Clone)]
pub struct Retail {
    settings: RetailSettings,
    /// What players know of: the fitted demand.
    demand: Market,
    /// What episodes have, if they are drawn.
    drawn: Vec<Market>,
    held: Vec<bool>,
    /// Covariates that are observed.
    covariates: Vec<(String, usize)>,
    rules: Option<Rules>,
    spec: Spec,
    mean_customers: f64,
    fixed: OnceLock<Vec<f64>>,
    /// Each row's own best prices, where they take a search.
    searched: Vec<OnceLock<Vec<f64>>>,
    optima: OnceLock<Option<[f64; 2]>>,
    carry: Option<Carry>,
    plan: OnceLock<RetailPlan>,
}

impl Retail {
    /// A row of the table as a demand sees it.
    fn week<'a>(&'a self, i: usize, market: &'a Market) -> Week<'a> {
        let s = &self.settings;
        // Who decides one by one comes in whole numbers.
        let customers = if s.sales == Sales::Sampled { s.customers[i].round() } else { s.customers[i] };
        Week { costs: &s.costs[i], displays: &s.displays[i], customers, outside: 1.0, added: market.added(i) }
    }

    fn all(&self) -> impl Iterator<Item = Week<'_>> + Clone {
        (0..self.settings.customers.len()).map(|i| self.week(i, &self.demand))
    }

    /// Total expected profit over the whole table if week i is priced by `prices(i, out)`.
    pub fn total(&self, mut prices: impl FnMut(usize, &mut [f64])) -> f64 {
        let mut out = vec![0.0; self.demand.len()];
        self.all()
            .enumerate()
            .map(|(i, week)| {
                prices(i, &mut out);
                week.customers * self.demand.form.profit(week, &out)
            })
            .sum()
    }

    /// The best prices of one week; what a customer then earns the shop.
    pub fn best(&self, week: usize, out: &mut [f64]) -> f64 {
        self.myopic(&State { week: week as u32, ..State::default() }, out)
    }

    /// The form of demand of a state's week with all that is carried over, but what is in [`Retail::week`]; and the weight of
    /// what is not ours.
    fn tilted(&self, state: &State) -> Option<(Form, f64)> {
        let (carry, carried) = self.carry.as_ref().zip(state.carried.as_ref())?;
        Some((self.demand.tilted(carry, carried), carry.outside(carried)))
    }

    /// The best prices of the week that a state is in, whatever comes after it and as if stock had no end; what a
    /// customer then earns the shop.
    fn myopic(&self, state: &State, out: &mut [f64]) -> f64 {
        let row = state.week as usize;
        let [low, high] = self.range(state);
        match self.tilted(state) {
            Some((form, outside)) => form.optimum(Week { outside, ..self.week(row, &self.demand) }, &low, &high, out),
            None if self.demand.form.is_searched() => {
                out.copy_from_slice(self.searched[row].get_or_init(|| self.search(row)));
                self.demand.form.profit(self.week(row, &self.demand), out)
            }
            None => self.demand.form.optimum(self.week(row, &self.demand), &low, &high, out),
        }
    }

    /// The best prices found of a row by which nothing is carried over.
    fn search(&self, row: usize) -> Vec<f64> {
        let [low, high] = self.range(&State { week: row as u32, ..State::default() });
        let mut prices = vec![0.0; self.demand.len()];
        self.demand.form.optimum(self.week(row, &self.demand), &low, &high, &mut prices);
        prices
    }

    /// What a customer of a state's week earns the shop at its best prices, and what none can exceed.
    fn best_and_bound(&self, state: &State) -> [f64; 2] {
        let mut prices = vec![0.0; self.demand.len()];
        let best = self.myopic(state, &mut prices);
        let [low, high] = self.range(state);
        let tilted = self.tilted(state);
        let form = tilted.as_ref().map_or(&self.demand.form, |(form, _)| form);
        let week = self.week(state.week as usize, &self.demand);
        if let Some(menus) = self.menus(state) {
            let gaps = self.rules.as_ref().map_or(&[][..], Rules::gaps);
            let obey = |prices: &mut [f64]| self.obey(state, prices);
            return [best, form.bound_among(week, &[low, high], &menus, gaps, obey)];
        }
        [best, if form.is_searched() { form.bound(week, &low, &high, &prices) } else { best }]
    }

    /// What the best prices earn in an episode, and what none can exceed; none where they depend on what the shop does.
    /// Over a whole table every week comes once from any start, and over any number each is as likely: the mean is exact.
    fn optima(&self) -> Option<[f64; 2]> {
        if !self.drawn.is_empty() {
            return None;
        }
        if let Some(carry) = &self.carry {
            return carry.is_a_calendar().then(|| self.calendar_optima(carry));
        }
        let weeks = self.settings.customers.len();
        let mut total = [0.0; 2];
        for i in 0..weeks {
            let customers = self.week(i, &self.demand).customers;
            let found = self.best_and_bound(&State { week: i as u32, ..State::default() });
            (0..2).for_each(|j| total[j] += customers * found[j]);
        }
        let [best, bound] = total.map(|x| x / weeks as f64 * f64::from(self.periods()));
        Some([best, self.linked_bound().map_or(bound, |linked| bound.min(linked))])
    }

    /// The same where all that carries over is a calendar: the mean over the weeks in which an episode can begin.
    fn calendar_optima(&self, carry: &Carry) -> [f64; 2] {
        let (weeks, cycle) = (self.settings.customers.len(), carry.cycle());
        let by_time = Self { carry: Some(carry.by_rows()), ..self.clone() };
        let profit = |week: usize, time: usize| {
            let mut state = State { week: week as u32, ..State::default() };
            carry.reset(state.carried.get_or_insert_default(), time as u32);
            by_time.best_and_bound(&state).map(|x| self.week(week, &self.demand).customers * x)
        };
        let table: Vec<[f64; 2]> = (0..weeks * cycle).map(|i| profit(i / cycle, i % cycle)).collect();
        [0, 1].map(|which| {
            // Of every week of the table at a time of the cycle, and their mean.
            let at = |week: usize, time: usize| table[week * cycle + time % cycle][which];
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
        })
    }

    /// The best prices that never change, but for those of held products.
    pub fn best_fixed(&self) -> &[f64] {
        let s = &self.settings;
        let held = |week: usize, k: usize| self.held[k].then(|| s.charged[week][k]);
        self.fixed.get_or_init(|| match &self.demand.form {
            Form::Logit(demand) => demand.best_fixed(&self.all(), &s.low, &s.high, &held),
            Form::Nested(demand) => demand.best_fixed(&self.all(), &s.low, &s.high, &held),
            Form::LogLog(demand) => demand.best_fixed(self.all(), &s.low, &s.high, &held),
        })
    }

    /// The plan of a shop of one product in which something carries over; made when first asked for.
    fn plan(&self) -> &RetailPlan {
        self.plan.get_or_init(|| RetailPlan::new(self))
    }

    /// The demand of an episode.
    fn market(&self, draw: Option<u32>) -> &Market {
        draw.and_then(|i| self.drawn.get(i as usize)).unwrap_or(&self.demand)
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
        settings.check()?;
        let (s, n, weeks) = (&settings, settings.intercepts.len(), settings.customers.len());
        let mut fields = Vec::new();
        for name in &s.names {
            fields.push(Field::new(format!("cost {name}"), "$", 0.0, f32::INFINITY));
        }
        for name in &s.names {
            fields.push(Field::new(format!("display {name}"), "share", 0.0, 1.0));
        }
        fields.push(Field::new("customers", "of the mean", 0.0, f32::INFINITY));
        if !s.calendar_effects.is_empty() {
            fields.push(Field::new("trend", "years", -f32::INFINITY, f32::INFINITY));
            fields.extend(["sine", "cosine"].map(|of| Field::new(format!("{of} of the year"), "", -1.0, 1.0)));
        }
        let covariates = s.observed_covariates();
        fields.extend(covariates.iter().map(|(name, _)| Field::new(name.clone(), "", -f32::INFINITY, f32::INFINITY)));
        let wrong = |issues: Vec<Issue>| EnvError::Settings(issues.into_iter().map(|i| i.within("rules")).collect());
        let rules = s.rules.clone().map(|set| Rules::new(&s.names, set).map_err(wrong)).transpose()?;
        fields.extend(Self::remembered(rules.as_ref(), &s.names));
        let price = |k: usize| Field::new(format!("price {}", s.names[k]), "$", s.low[k] as f32, s.high[k] as f32);
        let action = ActionSpec::Continuous { fields: (0..n).map(price).collect() };
        let demand = Market::fitted(s);
        let drawn = market::drawn(s)?;
        let carry = Carry::new(s)?;
        let added = |k: usize| carry.as_ref().map_or(0.0, |c| c.most_added(s.high[k] - s.low[k]));
        let worths = drawn.iter().chain([&demand]).flat_map(|d| (0..n).map(move |k| (d, k)));
        let worths = worths.map(|(d, k)| d.most_utility(k, [s.low[k], s.high[k]]) + added(k));
        let most = worths.chain(carry.as_ref().map(Carry::most_outside)).fold(0.0, f64::max);
        if most > 600.0 {
            let message =
                format!("a product can be worth a utility of {most:.0}: e to that power is no number any more");
            return Err(EnvError::setting("intercepts", message));
        }
        fields.extend(carry.iter().flat_map(|c| c.fields(&s.names)));
        let spec = Spec::new(fields, action, s.periods.unwrap_or(weeks as u32));
        let mean_customers = s.customers.iter().sum::<f64>() / weeks as f64;
        let held = (0..n).map(|k| s.is_held(k)).collect();
        let (fixed, optima, plan) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let searched = vec![OnceLock::new(); weeks];
        let made = Self {
            demand,
            drawn,
            held,
            covariates,
            rules,
            spec,
            mean_customers,
            fixed,
            searched,
            optima,
            plan,
            carry,
            settings,
        };
        made.rules_leave_prices()?;
        Ok(made)
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
        let (n, cooldown) = (self.demand.len(), self.cooldown());
        state.now.clear();
        state.now.reserve(n);
        state.room.grow(n);
        state.trail.begin(n, cooldown > 0);
        state.since.clear();
        state.since.resize(if cooldown > 0 { n } else { 0 }, cooldown);
        state.draw = (!self.drawn.is_empty()).then(|| rng.below(self.drawn.len() as u32));
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let (row, market) = (state.week as usize, self.market(state.draw));
        let week = self.week(row, market);
        let carried = self.carry.as_ref().zip(state.carried.as_ref());
        self.now(row, carried, &state.prices, &state.since, &mut state.now);
        state.prices.iter_mut().zip(actions.continuous()).for_each(|(price, a)| *price = f64::from(*a));
        self.project(row, &mut state.now, &mut state.prices, &mut state.room);
        state.trail.push(row, carried.map_or(0.0, |(_, carried)| carried.rival()), &state.prices, &state.since);
        self.age(&mut state.since, &state.now, &state.prices);
        self.sell(market, week, state, rng);
        let mut carried = self.carry.as_ref().zip(state.carried.as_mut());
        let mut profit = 0.0;
        for k in 0..state.units.len() {
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
        let (row, carried) = (state.week as usize, self.carry.as_ref().zip(state.carried.as_ref()));
        if let ActionsMut::Continuous(prices) = &mut actions {
            let (mut now, mut room) = (Vec::new(), Room::default());
            self.now(row, carried, &state.prices, &state.since, &mut now);
            let mut settled: Vec<f64> = prices.iter().map(|price| f64::from(*price)).collect();
            self.project(row, &mut now, &mut settled, &mut room);
            prices.iter_mut().zip(settled).for_each(|(price, charged)| *price = charged as f32);
        }
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        let (s, n, weeks) = (&self.settings, self.demand.len(), self.settings.customers.len() as u32);
        ensure(state.week < weeks, "`week` is not in the table")?;
        ensure(state.prices.len() == n && state.units.len() == n, "there must be a price and units for each product")?;
        // Before the first week nothing was charged or sold.
        let begun = state.prices.iter().chain(&state.units).any(|x| *x != 0.0) || state.profit != 0.0;
        // Counts around a mean have no end.
        let counted = s.demand == Demand::LogLog || !s.drawn_elasticities.is_empty();
        let choose = !counted || s.sales == Sales::Expected;
        let most = if choose { s.customers.iter().copied().fold(0.0, f64::max).ceil() } else { 1e18 };
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
        let cooldown = self.cooldown();
        ensure(state.since.len() == if cooldown > 0 { n } else { 0 }, "`since` must hold a number for each product")?;
        ensure(
            state.since.iter().all(|weeks| (1..=cooldown).contains(weeks)),
            "`since` is more weeks than prices stay",
        )?;
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
        let week = self.week(state.week as usize, &self.demand);
        for (o, x) in obs.iter_mut().zip(week.costs.iter().chain(week.displays)) {
            *o = *x as f32;
        }
        let own = 2 * self.demand.len();
        obs[own] = (week.customers / self.mean_customers) as f32;
        let mut next = own + 1;
        if !self.settings.calendar_effects.is_empty() {
            let now = market::moment(&self.settings, state.week as usize);
            obs[next..next + 3].iter_mut().zip(now).for_each(|(o, x)| *o = x as f32);
            next += 3;
        }
        for (_, place) in &self.covariates {
            obs[next] = self.settings.covariates[state.week as usize][*place] as f32;
            next += 1;
        }
        next += self.remember(state, &mut obs[next..]);
        if let Some((carry, carried)) = self.carry.as_ref().zip(state.carried.as_ref()) {
            carry.observe(carried, &mut obs[next..]);
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
                "with a stock, reference prices or a rival who follows nobody knows it (`planned` comes near for one product)".into(),
            ),
            ("best-fixed-prices", Some(_)) => {
                Err("with stock, seasons, reference prices, a rival or promotions nobody knows them".into())
            }
            ("optimal", None) if self.optimum().is_none() => {
                Err("nobody knows it: leave it out of `baselines` in [eval]; `myopic` has the best prices that were found, \
                     below an upper bound"
                    .into())
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

    fn optimum(&self) -> Option<f64> {
        if self.rules.is_some() {
            return None; // of prices that obey only a bound is known
        }
        let [best, bound] = (*self.optima.get_or_init(|| self.optima()))?;
        (bound - best <= PROVEN * bound.abs()).then_some(best)
    }

    fn bound(&self) -> Option<f64> {
        self.optima.get_or_init(|| self.optima()).map(|[_, bound]| bound).filter(|bound| bound.is_finite())
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
        let week = self.week(state.week as usize, &self.demand);
        scene.window([0.0, n], [-0.12, 1.0]);
        scene.graphs = self.paths(state);
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
