//! What prices earn more than those charged, with an interval that holds the error of the demand's estimation: the policy
//! is evaluated under every drawn demand.

use crate::plan::{Plan, stopped};
use agon::{Failure, Outcome};
use agon_agents::evaluate::evaluate_until;
use agon_core::policy::{self, Actor};
use serde_json::{Map, Value, json};

/// The player whose prices are the shop's own.
pub const CHARGED: &str = "charged";
const DRAWN: [&str; 3] = ["drawn_intercepts", "drawn_price_effects", "drawn_display_effects"];
/// With fewer draws the ends of a 95 % interval are no more than their extremes.
const FEWEST: usize = 40;

/// The share by which a policy earns more than the prices charged.
#[derive(Clone, Debug)]
pub struct Lift {
    /// Under the fitted demand, where everybody buys the expected amounts.
    pub fitted: f64,
    /// The 95 % percentile interval over draws.
    pub interval: [f64; 2],
    /// How many.
    pub draws: usize,
}

impl Lift {
    /// Of one policy, if the plan's environment has drawn demands and prices that were charged.
    pub fn of(plan: &Plan, who: &mut dyn Actor, seed: u64, tell: &mut dyn FnMut(String)) -> Outcome<Option<Self>> {
        let settings = &plan.eval_env_settings;
        let rows = DRAWN.map(|key| settings.get(key).and_then(Value::as_array).filter(|rows| rows.len() >= FEWEST));
        let [Some(first), Some(second), Some(third)] = rows else { return Ok(None) };
        let count = first.len();
        // Each draw is the only one of an environment of its own, where players still know the fitted demand alone.
        let mut one = settings.clone();
        one.insert("sales".into(), "expected".into());
        let mut earned = |draw: Option<usize>| -> Outcome<Option<f64>> {
            for (key, rows) in DRAWN.iter().zip([first, second, third]) {
                let row: Vec<Value> = draw.iter().map(|i| rows[*i].clone()).collect();
                one.insert((*key).into(), row.into());
            }
            one.insert("draws".into(), u32::from(draw.is_some()).into());
            let mut env = plan.env.build(&one, 1, 1).map_err(|e| Failure::Input(e.to_string()))?;
            let Ok(mut charged) = policy::by_name(&*env, CHARGED, seed) else { return Ok(None) };
            let mut total = |who: &mut dyn Actor| {
                let done = evaluate_until(&mut *env, who, seed, 0, &mut |_| {}, &|| plan.stopped());
                done.map(|done| done.returns[0]).ok_or_else(stopped)
            };
            let (own, theirs) = (total(who)?, total(&mut *charged)?);
            // A share of nothing, or of a loss, says nothing.
            Ok((theirs > 0.0).then(|| own / theirs - 1.0))
        };
        let Some(fitted) = earned(None)? else { return Ok(None) };
        let mut lifts = Vec::with_capacity(count);
        for draw in 0..count {
            if draw % 50 == 0 {
                tell(format!("lift over the charged prices: draw {} of {count}", draw + 1));
            }
            lifts.extend(earned(Some(draw))?);
        }
        if lifts.len() < count {
            return Ok(None);
        }
        Ok(Some(Self { fitted, interval: interval(lifts), draws: count }))
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let [value, low, high] = [self.fitted, self.interval[0], self.interval[1]].map(|x| 100.0 * x);
        let draws = self.draws;
        format!(
            "more than charged: {value:+.1} %, 95 % interval [{low:+.1} %, {high:+.1} %] with the error of estimation ({draws} \
             demands drawn by blocks of weeks); it holds if demand is of the fitted form\n"
        )
    }

    /// The same as data.
    pub fn json(&self) -> Map<String, Value> {
        let all = json!({"share": self.fitted, "interval": self.interval, "draws": self.draws});
        all.as_object().cloned().unwrap_or_default()
    }
}

/// The 2.5th and the 97.5th percentile.
fn interval(mut all: Vec<f64>) -> [f64; 2] {
    all.sort_by(f64::total_cmp);
    let cut = (0.025 * all.len() as f64) as usize;
    [all[cut], all[all.len() - 1 - cut]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_19_of_20() {
        assert_eq!(interval((0..200).rev().map(f64::from).collect()), [5.0, 194.0]);
        assert_eq!(interval((0..40).map(f64::from).collect()), [1.0, 38.0]);
    }
}
