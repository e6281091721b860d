//! Learning a policy from a log as a training of one step, and its value on rows that it never saw.

use super::decisions::{Decisions, Part as Rows};
use super::{Config, Method, Policy, probabilities};
use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::quantile;
use crate::demand::Estimate;
use crate::off_policy_evaluation::outcome_model::{self, OutcomeModel, cross_fitted};
use crate::off_policy_evaluation::{ESTIMATORS, Estimator, Overlap, RESAMPLES, Scores};
use crate::supervised::solvers::minimise;
use crate::train::{Examined, Part, Times, Training};
use agon_core::Metric;
use agon_core::metric::Goal;
use serde_json::{Value, json};
use std::time::Instant;

/// Penalties that the validation part chooses among.
const PENALTIES: [f64; 5] = [1.0, 0.1, 0.01, 1e-3, 1e-4];
/// The share of rows with the lowest weights; of the others switch-DR takes the model's word alone.
const SWITCH: f64 = 0.99;
/// The largest entry of the gradient of a mean reward, in standard deviations, at which a policy is learned.
const TOLERANCE: f64 = 1e-6;

/// A policy with the log that it is learned from.
pub struct Bandit {
    config: Config,
    data: Decisions,
    policy: Option<Policy>,
    /// The penalty that was chosen.
    l2: f64,
    seed: u64,
    /// A sum that tells these data from others.
    sum: u32,
    times: Times,
}

impl Bandit {
    /// Nothing is learned yet.
    pub fn new(config: Config, data: Decisions, seed: u64) -> Self {
        let numbers = data.parts.iter().flat_map(|part| part.x.x.iter().chain(&part.rewards).chain(&part.propensities));
        let sum = numbers.fold(0, |sum, x| crc32c::crc32c_append(sum, &x.to_le_bytes()));
        Self { config, data, policy: None, l2: 0.0, seed, sum, times: Times::default() }
    }

    fn rows(part: &Rows) -> outcome_model::Rows<'_> {
        outcome_model::Rows { x: &part.x, actions: &part.actions, rewards: &part.rewards, count: part.count }
    }

    /// What each action is estimated to bring in each row of the training part, `[rows, actions]`, in standard deviations.
    fn gains(&self, stop: Stop<'_>) -> Result<Vec<f64>, AgentError> {
        let (part, k) = (&self.data.parts[0], self.data.actions.len());
        let n = part.rewards.len() as f64;
        let mean = part.rewards.iter().sum::<f64>() / n;
        let deviation = (part.rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / n).sqrt();
        let mut gains = match self.config.method {
            Method::DoublyRobust => cross_fitted(self.config.outcomes, Self::rows(part), self.seed, stop)?,
            _ => vec![mean; part.rewards.len() * k],
        };
        for (row, action) in part.actions.iter().enumerate() {
            let at = row * k + action;
            gains[at] += (part.rewards[row] - gains[at]) / part.propensities[row];
        }
        gains.iter_mut().for_each(|g| *g = (*g - mean) / deviation);
        Ok(gains)
    }

    /// The weights that maximise the mean gain less ½ l2 ‖w‖².
    fn climb(&self, gains: &[f64], l2: f64, start: Vec<f64>, stop: Stop<'_>) -> Result<Vec<f64>, AgentError> {
        let (part, k) = (&self.data.parts[0], self.data.actions.len());
        let (d, n) = (part.x.width, part.rewards.len() as f64);
        let of = |weights: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            gradient.iter_mut().zip(weights).for_each(|(g, w)| *g = l2 * w);
            for (row, gains) in gains.chunks_exact(k).enumerate() {
                let x = part.x.row(row);
                let p = probabilities(weights, x);
                let mean: f64 = p.iter().zip(gains).map(|(p, g)| p * g).sum();
                value += mean / n;
                for ((line, p), gain) in gradient.chunks_exact_mut(d + 1).zip(&p).zip(gains) {
                    // The derivative of −mean gain by the action's score.
                    let slope = -p * (gain - mean) / n;
                    line.iter_mut().zip(x).for_each(|(g, x)| *g += slope * x);
                    line[d] += slope;
                }
            }
            0.5 * l2 * weights.iter().map(|w| w * w).sum::<f64>() - value
        };
        Ok(minimise(start, TOLERANCE, stop, of)?.x)
    }

    fn learn(&self, stop: Stop<'_>) -> Result<(Policy, f64), AgentError> {
        let (part, k) = (&self.data.parts[0], self.data.actions.len());
        let all: Vec<usize> = (0..part.rewards.len()).collect();
        let fit = |stop| OutcomeModel::fit(self.config.outcomes, Self::rows(part), &all, self.seed, stop);
        let policy = |weights, outcomes| Policy { config: self.config.clone(), outcomes, weights, count: k };
        if self.config.method == Method::Direct {
            return Ok((policy(Vec::new(), fit(stop)?), 0.0));
        }
        let gains = self.gains(stop)?;
        let mut weights = vec![0.0; k * (part.x.width + 1)];
        if let Some(l2) = self.config.l2 {
            return Ok((policy(self.climb(&gains, l2, weights, stop)?, fit(stop)?), l2));
        }
        let mut best: Option<(Policy, f64, f64)> = None;
        for l2 in PENALTIES {
            weights = self.climb(&gains, l2, weights, stop)?;
            let found = policy(weights.clone(), fit(stop)?);
            let value = self.scores(&found, 1, Estimator::DoublyRobust).value();
            if best.as_ref().is_none_or(|(_, _, most)| value > *most) {
                best = Some((found, l2, value));
            }
        }
        let (policy, l2, _) = best.ok_or(AgentError::Stopped)?;
        Ok((policy, l2))
    }

    fn scores(&self, policy: &Policy, part: usize, estimator: Estimator) -> Scores {
        let part = &self.data.parts[part];
        let target = policy.probabilities(&part.x);
        estimator.scores(part.log(), &target, &policy.expected(&part.x), most(&part.log().weights(&target)))
    }

    /// Of the rewards as they were logged.
    fn logged(part: &Rows) -> Scores {
        Scores { top: part.rewards.clone(), bottom: vec![1.0; part.rewards.len()] }
    }

    /// The action that is worth most where the same is taken in every row, by the training part.
    fn best_action(&self, policy: &Policy) -> usize {
        let part = &self.data.parts[0];
        let expected = policy.expected(&part.x);
        let value = |action: usize| {
            let target = one(action, part);
            Estimator::SelfNormalised.scores(part.log(), &target, &expected, 0.0).value()
        };
        let tried = |action: &usize| part.actions.contains(action);
        (0..part.count).filter(tried).max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(0)
    }
}

/// The weight above which switch-DR does not correct the model.
fn most(weights: &[f64]) -> f64 {
    let mut sorted = weights.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, SWITCH)
}

/// The probabilities of always the same action.
fn one(action: usize, part: &Rows) -> Vec<f64> {
    (0..part.rewards.len() * part.count).map(|i| f64::from(u8::from(i % part.count == action))).collect()
}

fn metric(name: &str, scores: &Scores, seed: u64) -> Metric {
    let found = scores.estimate(RESAMPLES, seed);
    Metric {
        name: name.into(),
        value: found.value,
        interval: Some(found.interval),
        ci95: None,
        goal: Goal::Highest,
        over: (scores.top.len() as u64, "decisions".into()),
    }
}

impl Training for Bandit {
    fn step(&self) -> u64 {
        u64::from(self.policy.is_some())
    }

    fn steps(&self) -> u64 {
        1
    }

    fn may_end_early(&self) -> bool {
        true
    }

    fn task_scalars(&self) -> Vec<String> {
        vec!["value".into()]
    }

    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        let begun = Instant::now();
        let (policy, l2) = match self.learn(stop) {
            Err(AgentError::Stopped) => return Ok(None),
            other => other?,
        };
        let value = self.scores(&policy, 1, Estimator::DoublyRobust).value();
        (self.policy, self.l2) = (Some(policy), l2);
        self.times.learn += begun.elapsed();
        let report = vec![("value".into(), value)];
        crate::agent::all_finite(&report)?;
        Ok(Some(report))
    }

    fn warm(&mut self, _: &Saved) -> Result<(), AgentError> {
        Err(AgentError::Checkpoint("a policy is learned at once: there is nothing to begin with".into()))
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn examine(&self, part: Part, seed: u64) -> Vec<Examined> {
        let Some(policy) = &self.policy else { return Vec::new() };
        let at = if part == Part::Validation { 1 } else { 2 };
        let rows = &self.data.parts[at];
        let own = self.scores(policy, at, Estimator::DoublyRobust);
        let mut metrics: Vec<Metric> = ESTIMATORS
            .into_iter()
            .map(|estimator| metric(&estimator.words().replace(' ', "_"), &self.scores(policy, at, estimator), seed))
            .collect();
        metrics[0].name = "value".into();
        let expected = policy.expected(&rows.x);
        let of = |target: &[f64]| Estimator::DoublyRobust.scores(rows.log(), target, &expected, 0.0);
        let best = self.best_action(policy);
        let uniform = vec![1.0 / rows.count as f64; rows.rewards.len() * rows.count];
        let others = [
            ("logged policy".to_owned(), Self::logged(rows)),
            (format!("always {}", self.data.actions[best]), of(&one(best, rows))),
            ("any action alike".to_owned(), of(&uniform)),
        ];
        let beside = others.into_iter().map(|(name, scores)| Examined {
            name,
            metrics: vec![metric("value", &scores, seed)],
            better_by: Some(metric("value", &own.less(&scores), seed)),
        });
        let own = Examined { name: "learned policy".into(), metrics, better_by: None };
        std::iter::once(own).chain(beside).collect()
    }

    /// How often the policy takes each action on the test part.
    fn learned(&self) -> Vec<(String, Estimate)> {
        let Some(policy) = &self.policy else { return Vec::new() };
        let (part, n) = (&self.data.parts[2], self.data.parts[2].rewards.len() as f64);
        let mut shares = vec![0.0; part.count];
        for row in policy.probabilities(&part.x).chunks_exact(part.count) {
            shares.iter_mut().zip(row).for_each(|(s, p)| *s += p / n);
        }
        let mut all: Vec<(String, Estimate)> = self
            .data
            .actions
            .iter()
            .cloned()
            .zip(shares.into_iter().map(|value| Estimate { value, error: 0.0 }))
            .collect();
        all.sort_by(|a, b| b.1.value.total_cmp(&a.1.value));
        all
    }

    fn details(&self) -> Value {
        let Some(policy) = &self.policy else { return Value::Null };
        let part = &self.data.parts[2];
        let overlap = Overlap::of(part.log(), &policy.probabilities(&part.x));
        let mut warnings = overlap.warnings();
        if self.data.estimated {
            warnings.push(
                "propensities were estimated from the context: values hold only if nothing else decided the actions"
                    .into(),
            );
        }
        json!({
            "overlap": {
                "rows": overlap.rows,
                "effective_rows": overlap.effective,
                "heaviest_row": overlap.heaviest,
                "mean_weight": overlap.mean,
                "untried": overlap.untried,
            },
            "warnings": warnings,
            "l2": self.l2,
            "switch_above": most(&part.log().weights(&policy.probabilities(&part.x))),
        })
    }

    fn save(&self) -> (Saved, Value) {
        let state = json!({
            "policy": self.policy.as_ref().map(Policy::save),
            "l2": self.l2,
            "action": self.data.names[0],
            "actions": self.data.actions,
            "encoder": self.data.encoder.save(),
        });
        (Saved { tensors: Vec::new(), state }, json!({"step": self.step(), "data": self.sum}))
    }

    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError> {
        if rest.is_some_and(|rest| rest["data"] != self.sum) {
            return Err(AgentError::Checkpoint("the data are not those that it was learned from".into()));
        }
        let l2 = saved.part("l2")?;
        let (width, count) = (self.data.parts[0].x.width, self.data.actions.len());
        self.policy = match &saved.state["policy"] {
            Value::Null => None,
            policy => Some(Policy::load(&self.config, policy, width, count)?),
        };
        self.l2 = l2;
        Ok(())
    }
}
