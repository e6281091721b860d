//! Whether a policy only ever charges the lowest or the highest price that is allowed: then the demand says that better
//! prices are where it was never tried.

use crate::plan::Plan;
use agon_agents::evaluate::Seen;
use agon_core::Actions;
use serde_json::Value;

/// Whether every price of an evaluation is at an end of its range.
pub struct AtBounds {
    /// The lowest and the highest price of each product that is priced.
    ranges: Vec<Option<[f32; 2]>>,
    seen: bool,
    within: bool,
}

impl AtBounds {
    /// Of the evaluation that a plan describes; nothing was seen yet.
    pub fn new(plan: &Plan) -> Self {
        let list = |key: &str| plan.eval_env_settings.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let (names, held) = (list("names"), list("held"));
        let ends = list("low").into_iter().zip(list("high"));
        let range = |(k, (low, high)): (usize, (Value, Value))| {
            let priced = names.get(k).is_none_or(|name| !held.contains(name));
            priced.then_some([low.as_f64()? as f32, high.as_f64()? as f32])
        };
        Self { ranges: ends.enumerate().map(range).collect(), seen: false, within: false }
    }

    /// One more step.
    pub fn see(&mut self, seen: Seen<'_>) {
        let Actions::Continuous(prices) = seen.actions else { return };
        for (price, [low, high]) in prices.iter().zip(&self.ranges).filter_map(|(p, r)| Some((p, (*r)?))) {
            let near = 0.005 * (high - low);
            self.seen = true;
            self.within |= *price > low + near && *price < high - near;
        }
    }

    /// Whether all prices that were seen are at an end.
    pub fn all(&self) -> bool {
        self.seen && !self.within
    }
}
