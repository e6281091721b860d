//! The returns of actions while all others act at random: the initial values of Calvano et al. 2020.

use agon_core::rng::Stream;
use agon_core::{Actions, FirstBuf, StepBuf, VecEnv};

/// The mean of each action's reward over everything the others can do from the start, times 1 / (1 − γ).
pub(crate) fn random_rivals(env: &mut dyn VecEnv, seed: u64, actions: usize, gamma: f64) -> Vec<f32> {
    let (agents, envs, rows) = (env.spec().agents, env.envs(), env.rows());
    let mask_len = if env.spec().masked { rows * actions } else { 0 };
    let (mut obs, mut mask) = (vec![0.0; rows * env.spec().obs_len()], vec![true; mask_len]);
    let mut final_obs = obs.clone();
    let (mut reward, mut terminated, mut truncated) = (vec![0.0; rows], vec![false; rows], vec![false; rows]);
    let (mut sum, mut count) = (vec![0.0; actions], vec![0.0f64; actions]);
    let joint = actions.pow(agents as u32);
    let choice = |joint: usize, agent: usize| (joint / actions.pow(agent as u32)) % actions;
    for first in (0..joint).step_by(envs) {
        env.reset(seed, Stream::Env, FirstBuf { obs: &mut obs, mask: &mut mask });
        let tried: Vec<i64> =
            (0..rows).map(|row| choice((first + row / agents) % joint, row % agents) as i64).collect();
        let out = StepBuf {
            obs: &mut obs,
            mask: &mut mask,
            reward: &mut reward,
            terminated: &mut terminated,
            truncated: &mut truncated,
            final_obs: &mut final_obs,
            final_mask: &mut [],
        };
        env.step(Actions::Discrete(&tried), out);
        // The first agent's rewards: sellers are alike, or there is one table's worth of them.
        for row in (0..rows).step_by(agents).take_while(|row| first + row / agents < joint) {
            sum[tried[row] as usize] += f64::from(reward[row]);
            count[tried[row] as usize] += 1.0;
        }
    }
    let forever = 1.0 / (1.0 - gamma).max(1e-9);
    sum.iter().zip(&count).map(|(s, n)| (s / n.max(1.0) * forever) as f32).collect()
}
