//! Swimmer: three links that swim in a plane (Coulom 2002). Gymnasium's Swimmer-v5 and -v4, which differ in no number.
//!
//! Earned: `forward_reward_weight` · Δx/dt − `ctrl_cost_weight` · Σ action². Never over before the step limit.

use super::mujoco;
use super::simulator::{Look, Robot, Task};
use super::{Version, costs, noise};
use agon_core::{EnvError, Field, Rng, settings};
use mujoco_rs::wrappers::mj_model::MjModel;

settings! {
    /// Gymnasium's names and defaults.
    pub struct SwimmerSettings {
        /// Of Gymnasium's definition.
        version: Version = Version::V5;
        /// The model: one of Gymnasium's, or a path that begins with `.`, `/` or `~/`.
        xml_file: String = "swimmer.xml".into();
        /// `mj_step`s of one step.
        frame_skip: u32 = 4, in [1.0, 1000.0];
        /// What a metre a second is worth.
        forward_reward_weight: f64 = 1.0;
        /// What squared controls cost.
        ctrl_cost_weight: f64 = 1e-4;
        /// How far from rest an episode starts, uniform.
        reset_noise_scale: f64 = 0.1, in [0.0, 1e3];
        /// Whether x and y are left out of observations.
        exclude_current_positions_from_observation: bool = true;
        /// Steps after which an episode is truncated.
        step_limit: u32 = 1000, in [1.0, 1e9];
    }
}

/// The rules.
pub struct Swimmer {
    set: SwimmerSettings,
    dt: f64,
}

impl Swimmer {
    fn skip(&self) -> usize {
        if self.set.exclude_current_positions_from_observation { 2 } else { 0 }
    }
}

impl Robot for Swimmer {
    type Settings = SwimmerSettings;
    const FROM_ABOVE: bool = true;

    fn task(set: &SwimmerSettings) -> Task {
        Task { xml_file: set.xml_file.clone(), frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn new(set: SwimmerSettings, model: &MjModel, dt: f64) -> Result<Self, EnvError> {
        mujoco::needs(model, 3, 1)?;
        Ok(Self { set, dt })
    }

    fn fields(&self, model: &MjModel) -> Vec<Field> {
        [mujoco::positions(model, self.skip()), mujoco::velocities(model, f64::INFINITY)].concat()
    }

    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        noise::uniform(qpos, self.set.reset_noise_scale, rng);
        noise::uniform(qvel, self.set.reset_noise_scale, rng);
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        now.qpos[self.skip()..].iter().chain(now.qvel).for_each(|x| see(*x));
    }

    fn reward(&self, before: Look<'_>, now: Look<'_>, action: &[f64]) -> f64 {
        let speed = (now.qpos[0] - before.qpos[0]) / self.dt;
        self.set.forward_reward_weight * speed - self.set.ctrl_cost_weight * costs::squares(action)
    }
}
