//! Where prices may be: the bounds of the settings, products that are held, and the rules that every price obeys, whoever
//! sets it.

use super::{Carried, Carry, Retail, State};
use crate::pricing::rules::{Now, Room, Rules};
use agon_core::{EnvError, Field};

impl Retail {
    /// A product's price in a row's week, moved to where it may be but for rules.
    pub(super) fn charged(&self, row: usize, carried: Option<(&Carry, &Carried)>, k: usize, price: f64) -> f64 {
        if self.held[k] {
            return self.settings.charged[row][k];
        }
        let low = carried.map_or(self.settings.low[k], |(carry, c)| carry.low(c, k, self.settings.low[k]));
        price.clamp(low, self.settings.high[k])
    }

    /// From where to where prices may move in a state's week; last week's prices aside.
    pub(super) fn range(&self, state: &State) -> [Vec<f64>; 2] {
        let (row, carried) = (state.week as usize, self.carry.as_ref().zip(state.carried.as_ref()));
        let mut now = Vec::new();
        self.now(row, carried, &[], &[], &mut now);
        let ends = |(k, now): (usize, &Now)| match &self.rules {
            Some(rules) => rules.interval(self.number(row), k, now),
            None => now.range,
        };
        let ends: Vec<[f64; 2]> = now.iter().enumerate().map(ends).collect();
        [0, 1].map(|i| ends.iter().map(|end| end[i]).collect())
    }

    /// The prices that rules allow each product in a state's week, whatever was charged before; an empty list where they are
    /// too many to be listed. None without rules.
    pub(super) fn menus(&self, state: &State) -> Option<Vec<Vec<f64>>> {
        let rules = self.rules.as_ref()?;
        let (row, carried) = (state.week as usize, self.carry.as_ref().zip(state.carried.as_ref()));
        let mut now = Vec::new();
        self.now(row, carried, &[], &[], &mut now);
        Some(now.iter().enumerate().map(|(k, now)| rules.menu(self.number(row), k, now)).collect())
    }

    /// Moves prices to some that obey in a state's week, whatever was charged before.
    pub(super) fn obey(&self, state: &State, prices: &mut [f64]) {
        let (row, carried) = (state.week as usize, self.carry.as_ref().zip(state.carried.as_ref()));
        let (mut now, mut room) = (Vec::new(), Room::default());
        self.now(row, carried, &[], &[], &mut now);
        self.project(row, &mut now, prices, &mut room);
    }

    /// The calendar's week of a row.
    pub(super) fn number(&self, row: usize) -> usize {
        self.settings.week_numbers.get(row).map_or(row, |week| *week as usize)
    }

    /// What rules ask of each product in a row's week. `last`: last week's prices, 0 where there are none.
    pub(super) fn now(
        &self,
        row: usize,
        carried: Option<(&Carry, &Carried)>,
        last: &[f64],
        since: &[u32],
        now: &mut Vec<Now>,
    ) {
        now.clear();
        now.extend((0..self.demand.len()).map(|k| Now {
            cost: self.settings.costs[row][k],
            range: [f64::NEG_INFINITY, f64::INFINITY].map(|end| self.charged(row, carried, k, end)),
            charged: self.settings.charged.get(row).map(|prices| prices[k]),
            last: last.get(k).copied().filter(|price| *price > 0.0),
            since: since.get(k).copied().unwrap_or(u32::MAX),
            held: self.held[k],
        }));
    }

    /// Moves prices to where they may be. Where last week's prices leave nothing that obeys, all other rules hold.
    pub(super) fn project(&self, row: usize, now: &mut [Now], prices: &mut [f64], room: &mut Room) {
        let Some(rules) = &self.rules else {
            prices.iter_mut().zip(now).for_each(|(price, now)| *price = price.clamp(now.range[0], now.range[1]));
            return;
        };
        if rules.project(self.number(row), now, prices, room).is_err() {
            now.iter_mut().for_each(|now| now.last = None);
            // These were found to leave prices when the market was made.
            if rules.project(self.number(row), now, prices, room).is_err() {
                prices.iter_mut().zip(now).for_each(|(price, now)| *price = price.clamp(now.range[0], now.range[1]));
            }
        }
    }

    /// Counts on for how many weeks prices have stayed; `now`: what rules asked of them.
    pub(super) fn age(&self, since: &mut [u32], now: &[Now], prices: &[f64]) {
        let most = self.cooldown();
        for ((since, now), price) in since.iter_mut().zip(now).zip(prices) {
            *since = if now.last == Some(*price) { (*since + 1).min(most) } else { 1 };
        }
    }

    /// Weeks that a price stays once it was changed.
    pub(super) fn cooldown(&self) -> u32 {
        self.rules.as_ref().map_or(0, Rules::cooldown)
    }

    /// Refuses rules that leave no prices in a week of the table, whatever was charged before.
    pub(super) fn rules_leave_prices(&self) -> Result<(), EnvError> {
        let Some(rules) = &self.rules else { return Ok(()) };
        let mut now = Vec::new();
        for row in 0..self.settings.customers.len() {
            let mut carried = Carried::default();
            let carried = self.carry.as_ref().map(|carry| {
                carry.reset(&mut carried, row as u32);
                (carry, &carried)
            });
            self.now(row, carried, &[], &[], &mut now);
            rules.possible(self.number(row), &now).map_err(|conflict| {
                EnvError::setting("rules", format!("in row {} of the table: {}", row + 1, rules.explain(&conflict)))
            })?;
        }
        Ok(())
    }

    /// What is observed of last week's prices, where rules depend on them.
    pub(super) fn remembered(rules: Option<&Rules>, names: &[String]) -> Vec<Field> {
        let Some(rules) = rules.filter(|rules| rules.remember()) else { return Vec::new() };
        let price = |name: &String| Field::new(format!("last price {name}"), "$", 0.0, f32::INFINITY);
        let stay = |name: &String| Field::new(format!("weeks {name} must stay"), "weeks", 0.0, f32::INFINITY);
        let stays = if rules.cooldown() > 0 { names } else { &[] };
        names.iter().map(price).chain(stays.iter().map(stay)).collect()
    }

    /// Writes those numbers; how many they are.
    pub(super) fn remember(&self, state: &State, out: &mut [f32]) -> usize {
        if !self.rules.as_ref().is_some_and(Rules::remember) {
            return 0;
        }
        let stays = state.since.iter().map(|since| f64::from(self.cooldown() - since));
        let all = state.prices.iter().copied().chain(stays);
        out.iter_mut().zip(all).map(|(o, x)| *o = x as f32).count().min(state.prices.len() + state.since.len())
    }
}
