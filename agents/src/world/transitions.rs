//! Recorded episodes as rows that networks of a world model learn from.

use super::loss;
use crate::on_policy::clone::Demonstration;
use agon_core::Spec;
use agon_core::world::{Standard, WIDEST, World, encode, encoded};

/// So many different changes of a number are few.
const FEW: usize = 32;
/// Recorded changes for each of them at least.
const EACH: usize = 20;
/// Changes that differ by less than this share of the number's range are the same one, up to rounding.
const SAME: f32 = 1e-5;

/// Transitions of some episodes, one after another.
#[derive(Debug, Default)]
pub struct Transitions {
    /// `[n, obs_len + encoded]`: observation and action, standardised.
    pub x: Vec<f32>,
    /// `[n, obs_len + 1]`: the change of the observation and the reward, standardised.
    pub y: Vec<f32>,
    /// `[n, outcome_inputs]`: what networks of rewards and ends read, see [`outcome_inputs`].
    pub next: Vec<f32>,
    /// `[n, obs_len]`: which of the few changes of each number it was; 0 where there are many.
    pub which: Vec<usize>,
    /// `[n]`: whether the rules ended the episode.
    pub ended: Vec<bool>,
    /// Where each episode ends.
    pub ends: Vec<usize>,
}

/// Means and deviations of rows of `width` numbers; what never changes has the deviation 1.
pub fn standard(rows: &[f32], width: usize) -> Standard {
    let n = (rows.len() / width).max(1) as f64;
    let column = |k: usize| rows.iter().skip(k).step_by(width).map(|x| f64::from(*x));
    let mean: Vec<f64> = (0..width).map(|k| column(k).sum::<f64>() / n).collect();
    let deviation = (0..width).map(|k| (column(k).map(|x| (x - mean[k]).powi(2)).sum::<f64>() / n).sqrt() as f32);
    let deviation = deviation.map(|d| if d > 1e-6 { d } else { 1.0 }).collect();
    Standard { mean: mean.iter().map(|m| *m as f32).collect(), deviation }
}

/// Standardises rows.
fn apply(standard: &Standard, rows: &mut [f32]) {
    for row in rows.chunks_exact_mut(standard.mean.len()) {
        let both = standard.mean.iter().zip(&standard.deviation);
        row.iter_mut().zip(both).for_each(|(x, (mean, deviation))| *x = (*x - mean) / deviation);
    }
}

/// The different changes of a number within `range`, where they are few; else none.
fn few(mut changes: Vec<f32>, range: f32) -> Vec<f32> {
    changes.sort_by(f32::total_cmp);
    let near = |pair: &[f32]| pair[1] - pair[0] <= SAME * range;
    let groups = changes.chunk_by(|a, b| near(&[*a, *b]));
    let mut found = Vec::new();
    for group in groups {
        // A chain of close numbers is no single one.
        if found.len() == FEW || group[group.len() - 1] - group[0] > 2.0 * SAME * range {
            return Vec::new();
        }
        found.push((group.iter().map(|x| f64::from(*x)).sum::<f64>() / group.len() as f64) as f32);
    }
    if changes.len() < EACH * found.len() { Vec::new() } else { found }
}

/// Of raw transitions: the few changes of each number; none at all where their scores would be too many.
pub fn values(raw: &Transitions, seen: &[[f32; 2]]) -> Vec<Vec<f32>> {
    let width = seen.len() + 1;
    let column = |k: usize| raw.y.iter().skip(k).step_by(width).copied().collect::<Vec<f32>>();
    let all: Vec<Vec<f32>> = seen.iter().enumerate().map(|(k, [low, high])| few(column(k), high - low)).collect();
    let outputs: usize = all.iter().map(|values| values.len().max(2)).sum();
    if outputs > WIDEST { vec![Vec::new(); seen.len()] } else { all }
}

impl Transitions {
    /// Raw ones.
    pub fn new(episodes: &[&Demonstration], spec: &Spec) -> Self {
        let (seen, asked, width) = (spec.obs_len(), encoded(&spec.action), spec.action.len());
        let (mut all, mut code) = (Self::default(), vec![0.0; asked]);
        for episode in episodes {
            let steps = episode.rewards.len();
            for at in 0..steps {
                let now = &episode.obs[at * seen..(at + 1) * seen];
                let next =
                    if at + 1 < steps { &episode.obs[(at + 1) * seen..(at + 2) * seen] } else { &episode.last[..] };
                encode(&spec.action, episode.actions.all().part(at * width, width), &mut code);
                all.x.extend_from_slice(now);
                all.x.extend_from_slice(&code);
                all.y.extend(next.iter().zip(now).map(|(next, now)| next - now));
                all.y.push(episode.rewards[at]);
                all.ended.push(episode.terminated && at + 1 == steps);
            }
            all.ends.push(all.ended.len());
        }
        all
    }

    /// Brings raw ones into the units of a world.
    pub fn standardise(&mut self, world: &World) {
        let seen = world.seen.len();
        for row in self.y.chunks_exact(seen + 1) {
            let nearest = |(change, values): (&f32, &Vec<f32>)| {
                let far = |i: &usize| (values[*i] - change).abs();
                (0..values.len()).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(0)
            };
            self.which.extend(row.iter().zip(&world.values).map(nearest));
        }
        apply(&world.input, &mut self.x);
        apply(&world.output, &mut self.y);
        let rows = self.x.chunks_exact(world.input.mean.len()).zip(self.y.chunks_exact(seen + 1));
        rows.for_each(|(x, y)| outcome_inputs(world, x, y, &mut self.next));
    }

    /// What networks of this kind (changes, rewards, ends) read of all transitions.
    pub fn inputs(&self, kind: usize) -> &[f32] {
        if kind == 0 { &self.x } else { &self.next }
    }

    /// The log loss of what a network of this kind (changes, rewards, ends) says of a transition; writes the gradient times a
    /// share at its outputs.
    pub fn loss(&self, world: &World, row: usize, kind: usize, out: &[f32], at: Option<(&mut [f32], f64)>) -> f64 {
        let seen = world.seen.len();
        let y = &self.y[row * (seen + 1)..(row + 1) * (seen + 1)];
        match kind {
            0 => loss::of_change(&world.values, out, y, &self.which[row * seen..(row + 1) * seen], at),
            1 => loss::of_reward(out, y[seen], at),
            _ => loss::of_end(out, self.ended[row], at),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ended.len()
    }

    /// How many steps follow each within its episode, with itself.
    pub fn left(&self) -> Vec<usize> {
        let mut from = 0;
        let mut all = Vec::with_capacity(self.len());
        for end in &self.ends {
            all.extend((from..*end).map(|i| end - i));
            from = *end;
        }
        all
    }
}

/// Writes the inputs of a network of rewards, or of ends: the next observation and the action in units of the input, the change in
/// units of the output. `x`: observation and action; `change`: both standardised.
pub fn outcome_inputs(world: &World, x: &[f32], change: &[f32], out: &mut Vec<f32>) {
    let World { input, output, seen, .. } = world;
    let unit = |k: usize| output.deviation[k] / input.deviation[k];
    for (k, [low, high]) in seen.iter().enumerate() {
        let [low, high] = [low, high].map(|end| (end - input.mean[k]) / input.deviation[k]);
        out.push((x[k] + change[k] * unit(k) + output.mean[k] / input.deviation[k]).clamp(low, high));
    }
    out.extend_from_slice(&x[seen.len()..]);
    out.extend_from_slice(&change[..seen.len()]);
}
