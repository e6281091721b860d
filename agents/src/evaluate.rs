//! Evaluation: whole episodes of a fixed policy, with a 95 % interval.

use crate::agent::{NEVER, Stop};
use agon_core::env::{Fold, Measure};
use agon_core::episode::{Action, Step};
use agon_core::policy::{Actor, Observed};
use agon_core::rng::Stream;
use agon_core::stats::student_975;
use agon_core::{Actions, Slab, VecEnv, View};
use serde_json::Value;

/// The result of an evaluation.
#[derive(Debug)]
pub struct Evaluation {
    /// The return of the actor's agent (see [`Actor::seat`]) in every episode, in the order of their seeds.
    pub returns: Vec<f64>,
    /// Mean length.
    pub length: f64,
    /// The measures of every episode.
    pub measures: Vec<(Measure, Vec<f64>)>,
    /// The episodes that were to be recorded.
    pub recorded: Vec<Recorded>,
}

/// One environment's step in an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The step's number in its episode, from 0.
    pub step: u32,
    /// The observations acted on, `[agents, obs_len]`.
    pub obs: &'a [f32],
    /// The actions, `[agents, len]`.
    pub actions: Actions<'a>,
    /// The measures of the step (see [`agon_core::Env::MEASURES`]).
    pub measures: &'a [f64],
}

/// A recorded episode, without the header's actor and environment.
#[derive(Debug)]
pub struct Recorded {
    /// The environment at the start.
    pub start: Value,
    /// The hash of its state.
    pub hash: u64,
    /// What happened.
    pub steps: Vec<Step>,
}

/// Mean, and half the width of its 95 % interval by Student's t; fewer than two numbers have none.
pub fn mean_ci95(x: &[f64]) -> (f64, Option<f64>) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n.max(1.0);
    if x.len() < 2 {
        return (mean, None);
    }
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, Some(student_975(n - 1.0) * (variance / n).sqrt()))
}

/// Plays one episode in every environment of the batch; the first `record` of them are recorded, and `watch` sees every
/// step.
pub fn evaluate(
    env: &mut dyn VecEnv,
    policy: &mut dyn Actor,
    seed: u64,
    record: usize,
    watch: &mut dyn FnMut(Seen<'_>),
) -> Evaluation {
    evaluate_until(env, policy, seed, record, watch, NEVER).expect("nobody stops it")
}

/// The same; none where it was asked to stop before it was done.
pub fn evaluate_until(
    env: &mut dyn VecEnv,
    policy: &mut dyn Actor,
    seed: u64,
    record: usize,
    watch: &mut dyn FnMut(Seen<'_>),
    stop: Stop<'_>,
) -> Option<Evaluation> {
    let (rows, spec) = (env.rows(), env.spec());
    let (agents, width, obs_len) = (spec.agents, spec.action.len(), spec.obs_len());
    let mut slab = Slab::new(spec, rows);
    slab.final_mask.clear(); // nobody looks at it

    let measures = env.measures().to_vec();
    let m = measures.len();
    let (mut counted, mut folded) = (vec![0.0; m], vec![0.0; m * env.envs()]);
    let mut acted_on = slab.obs.clone();
    let mut begins = vec![true; rows];
    env.keep_finals(record > 0 || m > 0);
    env.reset(seed, Stream::Eval, slab.first());
    let start = |i: usize| Recorded { start: env.save(i, View::Now), hash: env.hash(i, View::Now), steps: Vec::new() };
    let mut recorded: Vec<Recorded> = (0..record.min(env.envs())).map(start).collect();
    let mut ends: Vec<Option<(f64, u32)>> = vec![None; env.envs()];
    let (mut left, mut step) = (env.envs(), 0);
    while left > 0 {
        if stop() {
            return None;
        }
        acted_on.copy_from_slice(&slab.obs);
        let (obs, mask, actions) = slab.act();
        policy.act(env, Observed { obs, mask, begins: &begins }, actions);
        // What is written down is what was done: the price that was charged.
        env.settle(slab.actions_mut());
        let (actions, out) = slab.exchange();
        env.step(actions, out);
        let (actions, Slab { reward, terminated, truncated, .. }) = (slab.actions(), &slab);
        begins.iter_mut().zip(terminated.iter().zip(truncated)).for_each(|(begins, (a, b))| *begins = *a || *b);
        for i in (0..ends.len()).filter(|i| ends[*i].is_none()) {
            let over = terminated[i * agents] || truncated[i * agents];
            if m > 0 {
                env.measure(i, if over { View::Final } else { View::Now }, &mut counted);
            }
            for ((sum, x), measure) in folded[i * m..].iter_mut().zip(&counted).zip(&measures) {
                *sum = if measure.fold == Fold::Last { *x } else { *sum + x };
                if over && measure.fold == Fold::Mean {
                    *sum /= f64::from(step + 1);
                }
            }
            watch(Seen {
                step,
                obs: &acted_on[i * agents * obs_len..(i + 1) * agents * obs_len],
                actions: actions.part(i * agents * width, agents * width),
                measures: &counted,
            });
        }
        step += 1;
        for (i, episode) in recorded.iter_mut().enumerate().filter(|(i, _)| ends[*i].is_none()) {
            let rows = i * agents..(i + 1) * agents;
            let over = terminated[rows.start] || truncated[rows.start];
            episode.steps.push(Step {
                action: Action::of(actions.part(i * agents * width, agents * width)),
                reward: reward[rows.clone()].to_vec(),
                terminated: terminated[rows.start],
                truncated: truncated[rows.start],
                hash: env.hash(i, if over { View::Final } else { View::Now }),
            });
        }
        for end in env.ended() {
            let (i, agent) = (end.row as usize / agents, end.row as usize % agents);
            if agent != policy.seat(i) {
                continue;
            }
            let slot = &mut ends[i];
            if slot.is_none() {
                *slot = Some((end.total, end.length));
                left -= 1;
            }
        }
    }
    let ends: Vec<(f64, u32)> = ends.into_iter().flatten().collect();
    let length = ends.iter().map(|e| f64::from(e.1)).sum::<f64>() / ends.len() as f64;
    let all = |k: usize| (measures[k], folded.iter().skip(k).step_by(m).copied().collect());
    let measures = (0..m).map(all).collect();
    Some(Evaluation { returns: ends.into_iter().map(|e| e.0).collect(), length, measures, recorded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_students() {
        let (mean, half) = mean_ci95(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((mean - 3.0).abs() < 1e-12 && (half.unwrap() - 1.9632).abs() < 1e-2, "{half:?}");
        assert_eq!(mean_ci95(&[7.0]), (7.0, None), "one number says nothing of how far others lie");
    }
}
