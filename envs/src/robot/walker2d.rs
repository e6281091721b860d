//! Walker2d: two legs that walk in a plane (Erez, Tassa and Todorov 2011). Gymnasium's Walker2d-v5 and -v4.
//!
//! Earned: `forward_reward_weight` · Δx/dt + `healthy_reward` while healthy − `ctrl_cost_weight` · Σ action². Over where
//! the torso is too low, too high, or leans too far. v4 has feet of different friction (its own model), and pays the
//! healthy reward in the last step too.

use super::mujoco;
use super::simulator::{Look, Robot, Task};
use super::{Range, Version, costs, noise};
use agon_core::{EnvError, Field, Rng, settings};
use mujoco_rs::wrappers::mj_model::MjModel;

settings! {
    /// Gymnasium's names and defaults.
    pub struct Walker2dSettings {
        /// Of Gymnasium's definition.
        version: Version = Version::V5;
        /// The model: one of Gymnasium's, or a path that begins with `.`, `/` or `~/`; none for the version's own.
        xml_file: Option<String> = None;
        /// `mj_step`s of one step.
        frame_skip: u32 = 4, in [1.0, 1000.0];
        /// What a metre a second is worth.
        forward_reward_weight: f64 = 1.0;
        /// What squared controls cost.
        ctrl_cost_weight: f64 = 1e-3;
        /// What a healthy step is worth.
        healthy_reward: f64 = 1.0;
        /// Whether the episode ends where the robot is not healthy.
        terminate_when_unhealthy: bool = true;
        /// Where the torso's height is healthy, m.
        healthy_z_range: Range = Range(0.8, 2.0);
        /// Where the torso's angle is healthy, rad.
        healthy_angle_range: Range = Range(-1.0, 1.0);
        /// How far from rest an episode starts, uniform.
        reset_noise_scale: f64 = 5e-3, in [0.0, 1e3];
        /// Whether x is left out of observations.
        exclude_current_positions_from_observation: bool = true;
        /// Steps after which an episode is truncated.
        step_limit: u32 = 1000, in [1.0, 1e9];
    }
}

/// The rules.
pub struct Walker2d {
    set: Walker2dSettings,
    dt: f64,
}

impl Walker2d {
    fn healthy(&self, now: Look<'_>) -> bool {
        self.set.healthy_z_range.around(now.qpos[1]) && self.set.healthy_angle_range.around(now.qpos[2])
    }
}

impl Robot for Walker2d {
    type Settings = Walker2dSettings;

    fn task(set: &Walker2dSettings) -> Task {
        let own = if set.version == Version::V4 { "walker2d.xml" } else { "walker2d_v5.xml" };
        let xml_file = set.xml_file.clone().unwrap_or_else(|| own.into());
        Task { xml_file, frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn new(set: Walker2dSettings, model: &MjModel, dt: f64) -> Result<Self, EnvError> {
        mujoco::needs(model, 3, 1)?;
        Ok(Self { set, dt })
    }

    fn fields(&self, model: &MjModel) -> Vec<Field> {
        let skip = usize::from(self.set.exclude_current_positions_from_observation);
        [mujoco::positions(model, skip), mujoco::velocities(model, 10.0)].concat()
    }

    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        noise::uniform(qpos, self.set.reset_noise_scale, rng);
        noise::uniform(qvel, self.set.reset_noise_scale, rng);
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        let skip = usize::from(self.set.exclude_current_positions_from_observation);
        now.qpos[skip..].iter().for_each(|x| see(*x));
        now.qvel.iter().for_each(|v| see(v.clamp(-10.0, 10.0)));
    }

    fn reward(&self, before: Look<'_>, now: Look<'_>, action: &[f64]) -> f64 {
        let set = &self.set;
        let forward = set.forward_reward_weight * ((now.qpos[0] - before.qpos[0]) / self.dt);
        let paid = self.healthy(now) || set.version == Version::V4 && set.terminate_when_unhealthy;
        let healthy = if paid { set.healthy_reward } else { 0.0 };
        forward + healthy - set.ctrl_cost_weight * costs::squares(action)
    }

    fn terminated(&self, now: Look<'_>) -> bool {
        self.set.terminate_when_unhealthy && !self.healthy(now)
    }
}
