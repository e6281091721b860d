//! Prices week by week, for the picture of a shop: beside where they may be, what was really charged, and a rival's price.

use super::{Carried, Carry, Retail, State};
use agon_core::graph::{Band, Curve, Graph};

/// Prices that a state keeps for its picture, over weeks and products; of few weeks at most, and of others at least.
const PRICES: usize = 2600;
const MOST: usize = 52;
const LEAST: usize = 26;

/// The last weeks of an episode: each takes the place of the one that is too long ago.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Weeks of the episode so far.
    weeks: usize,
    rows: Vec<u32>,
    rival: Vec<f32>,
    /// Prices of a week side by side.
    prices: Vec<f32>,
    /// For how many weeks prices had stayed before; nothing where no rule asks.
    since: Vec<u32>,
}

/// Weeks that are shown of a shop with so many products.
fn shown(products: usize) -> usize {
    (PRICES / products.max(1)).clamp(LEAST, MOST)
}

/// A row of a table whose rows have so many entries.
fn row<T>(table: &[T], place: usize, entries: usize) -> &[T] {
    &table[place * entries..][..entries]
}

impl Trail {
    /// An episode's beginning. `counts`: whether it is counted for how many weeks prices stay.
    pub fn begin(&mut self, products: usize, counts: bool) {
        // One more than is shown: what rules allow depends on the price before.
        let kept = shown(products) + 1;
        self.weeks = 0;
        self.rows.resize(kept, 0);
        self.rival.resize(kept, 0.0);
        self.prices.resize(kept * products, 0.0);
        self.since.resize(if counts { kept * products } else { 0 }, 0);
    }

    /// Adds a week: its row of the table, its prices, and for how many weeks they had stayed before. What was restored has no
    /// beginning, and keeps nothing until the next one.
    pub fn push(&mut self, row: usize, rival: f64, prices: &[f64], since: &[u32]) {
        if self.rows.is_empty() {
            self.begin(prices.len(), !since.is_empty());
        }
        let place = self.place(self.weeks);
        self.weeks += 1;
        (self.rows[place], self.rival[place]) = (row as u32, rival as f32);
        let n = prices.len();
        self.prices[place * n..][..n].iter_mut().zip(prices).for_each(|(kept, price)| *kept = *price as f32);
        if !self.since.is_empty() {
            self.since[place * n..][..n].copy_from_slice(since);
        }
    }

    /// Where a week of the episode is kept.
    fn place(&self, week: usize) -> usize {
        week % self.rows.len().max(1)
    }
}

impl Retail {
    /// A graph of each product: its price in the last weeks, from where to where its own rules (and last week's price) let it
    /// move, the price that the shop really charged, and the rival's. Gaps between products are not in the band.
    pub(super) fn paths(&self, state: &State) -> Vec<Graph> {
        let (n, trail, s) = (self.demand.len(), &state.trail, &self.settings);
        let weeks = trail.weeks.saturating_sub(shown(n))..trail.weeks;
        let ends: Vec<Vec<[f64; 2]>> = weeks.clone().map(|week| self.allowed(state, week)).collect();
        let curve = |name: &str, price: &dyn Fn(usize) -> f32| Curve {
            name: name.into(),
            at: weeks.clone().map(|week| [(week + 1) as f32, price(trail.place(week))]).collect(),
        };
        let bound = if self.rules.is_some() { "where rules let it move" } else { "lowest and highest" };
        let graph = |k: usize| {
            let mut lines = vec![curve("price", &|i| trail.prices[i * n + k])];
            if !s.charged.is_empty() {
                lines.push(curve("the shop's", &|i| s.charged[trail.rows[i] as usize][k] as f32));
            }
            if self.carry.as_ref().is_some_and(Carry::has_rival) {
                lines.push(curve("the rival's", &|i| trail.rival[i]));
            }
            let at = weeks.clone().zip(&ends).map(|(week, ends)| {
                let [low, high] = ends[k].map(|end| end as f32);
                [(week + 1) as f32, low, high]
            });
            Graph {
                name: s.names[k].clone(),
                axes: ["week of the episode", "price [$]"].map(String::from),
                band: Some(Band { name: bound.into(), at: at.collect() }),
                lines,
                ..Graph::default()
            }
        };
        (0..n).map(graph).collect()
    }

    /// From where to where each price could move in a week of the episode that is kept.
    fn allowed(&self, state: &State, week: usize) -> Vec<[f64; 2]> {
        let (n, trail) = (self.demand.len(), &state.trail);
        let place = trail.place(week);
        let table_row = trail.rows[place] as usize;
        let carried = state.carried.as_ref().map(|carried| carried.earlier(trail.weeks - week));
        let carried: Option<(_, &Carried)> = self.carry.as_ref().zip(carried.as_ref());
        let prices = |week: usize| row(&trail.prices, trail.place(week), n).iter().map(|p| f64::from(*p));
        let before: Vec<f64> = week.checked_sub(1).into_iter().flat_map(prices).collect();
        let since = if trail.since.is_empty() { &[] } else { row(&trail.since, place, n) };
        let mut now = Vec::new();
        self.now(table_row, carried, &before, since, &mut now);
        let Some(rules) = &self.rules else { return now.iter().map(|now| now.range).collect() };
        let interval = |k: usize, last: bool| {
            let mut now = now[k];
            if let Some(charged) = now.charged.filter(|_| rules.stopped()) {
                return [charged; 2];
            }
            now.last = now.last.filter(|_| last);
            rules.interval(self.number(table_row), k, &now)
        };
        let holds = |(k, price): (usize, f64)| {
            let ([low, high], rest) = (interval(k, true), 1e-6 * price.abs());
            (low - rest..=high + rest).contains(&price)
        };
        // Where last week's prices left nothing that obeys, they were put aside: see [`Retail::project`].
        let last = prices(week).enumerate().all(holds);
        (0..n).map(|k| interval(k, last)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::retail::RetailSettings;
    use crate::pricing::rules::RuleSettings;
    use agon_core::rng::Stream;
    use agon_core::{Actions, Env, Rng};

    /// Three products, a rival, charged prices, and a rule that prices move by a tenth at most within floors and ceilings.
    fn shop() -> Retail {
        let rules = RuleSettings {
            floors: vec![1.0, 1.0, 1.0],
            ceilings: vec![3.0, 3.5, 3.0],
            max_change: Some(0.1),
            ..RuleSettings::default()
        };
        let s = RetailSettings {
            rules: Some(rules),
            charged: vec![vec![2.0, 2.5, 2.0], vec![2.2, 2.5, 1.8]],
            rival: Some(1.0),
            periods: Some(400),
            ..RetailSettings::default()
        };
        Retail::new(s).unwrap()
    }

    /// Whatever is asked for, each path has the prices that were charged, in the band of the rules that held then: the shares
    /// of last week's price are computed here anew.
    #[test]
    fn paths_are_what_was_charged_and_allowed() {
        let shop = shop();
        let (mut state, mut rng) = (State::default(), Rng::new(1, Stream::Env, 0));
        shop.reset(&mut state, &mut rng);
        assert!(shop.paths(&state).iter().all(|graph| graph.lines[0].at.is_empty()));
        let (mut prices, mut rivals, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..350 {
            rows.push(state.week as usize);
            rivals.push(state.carried.as_ref().unwrap().rival());
            let wanted: Vec<f32> = (0..3).map(|_| rng.range(0.5, 4.0) as f32).collect();
            shop.step(&mut state, Actions::Continuous(&wanted), &mut [0.0], &mut rng);
            prices.push(state.prices.clone());
            let graphs = shop.paths(&state);
            let weeks = prices.len();
            for (k, graph) in graphs.iter().enumerate() {
                let [own, charged, rival] = &graph.lines[..] else { panic!("{graph:?}") };
                let band = &graph.band.as_ref().unwrap().at;
                assert_eq!((own.at.len(), band.len()), (weeks.min(MOST), weeks.min(MOST)));
                for (i, [week, price]) in own.at.iter().enumerate() {
                    let t = weeks - own.at.len() + i;
                    assert_eq!((*week, *price), ((t + 1) as f32, prices[t][k] as f32));
                    assert_eq!(charged.at[i][1], shop.settings.charged[rows[t]][k] as f32);
                    assert_eq!(rival.at[i][1], rivals[t] as f32);
                    let (mut low, mut high): (f64, f64) = (1.0, [3.0, 3.5, 3.0][k]);
                    if t > 0 {
                        (low, high) = (low.max(0.9 * prices[t - 1][k]), high.min(1.1 * prices[t - 1][k]));
                    }
                    let near = |a: f32, b: f64| (f64::from(a) / b - 1.0).abs() < 1e-6;
                    assert!(band[i][0] == *week && near(band[i][1], low) && near(band[i][2], high), "{:?}", band[i]);
                    assert!(low - 1e-9 <= prices[t][k] && prices[t][k] <= high + 1e-9);
                }
            }
        }
    }

    /// A saved state has no trail, and its hash does not depend on one.
    #[test]
    fn the_trail_is_no_part_of_the_state() {
        let shop = shop();
        let (mut state, mut rng) = (State::default(), Rng::new(1, Stream::Env, 0));
        shop.reset(&mut state, &mut rng);
        shop.step(&mut state, Actions::Continuous(&[2.0; 3]), &mut [0.0], &mut rng);
        let saved = serde_json::to_string(&state).unwrap();
        assert!(!saved.contains("trail"), "{saved}");
        let restored: State = serde_json::from_str(&saved).unwrap();
        assert!(shop.paths(&restored)[0].lines[0].at.is_empty() && shop.paths(&state)[0].lines[0].at.len() == 1);
    }

    #[test]
    fn many_products_show_fewer_weeks() {
        assert_eq!([1, 7, 65, 200].map(shown), [52, 52, 40, 26]);
    }
}
