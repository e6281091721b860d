//! A pole, or two poles one on the other, on a cart (Barto, Sutton and Anderson 1983). Gymnasium's InvertedPendulum and
//! InvertedDoublePendulum, v5 and v4.
//!
//! One pole: 1 a step; over where it leans by more than 0.2 rad. v4 pays for the last step too. Two poles:
//! `healthy_reward` − 0.01 x² − (y − 2)² − 0.001 ω₁² − 0.005 ω₂², x and y those of the tip; over where y ≤ 1. v4 pays the
//! 10 in the last step too, and observes all constraint forces, of which all but the first are zero.

use super::mujoco::{self, Data};
use super::simulator::{Look, Robot, Task};
use super::{Version, noise, only_in};
use agon_core::{EnvError, Field, Rng, settings};
use mujoco_rs::wrappers::mj_model::MjModel;

settings! {
    /// Gymnasium's names and defaults.
    pub struct InvertedPendulumSettings {
        /// Of Gymnasium's definition.
        version: Version = Version::V5;
        /// The model: one of Gymnasium's, or a path that begins with `.`, `/` or `~/`.
        xml_file: String = "inverted_pendulum.xml".into();
        /// `mj_step`s of one step.
        frame_skip: u32 = 2, in [1.0, 1000.0];
        /// How far from rest an episode starts, uniform.
        reset_noise_scale: f64 = 0.01, in [0.0, 1e3];
        /// Steps after which an episode is truncated.
        step_limit: u32 = 1000, in [1.0, 1e9];
    }
}

/// The rules of one pole.
pub struct InvertedPendulum {
    set: InvertedPendulumSettings,
}

impl Robot for InvertedPendulum {
    type Settings = InvertedPendulumSettings;

    fn task(set: &InvertedPendulumSettings) -> Task {
        Task { xml_file: set.xml_file.clone(), frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn new(set: InvertedPendulumSettings, model: &MjModel, _dt: f64) -> Result<Self, EnvError> {
        mujoco::needs(model, 2, 1)?;
        Ok(Self { set })
    }

    fn fields(&self, model: &MjModel) -> Vec<Field> {
        [mujoco::positions(model, 0), mujoco::velocities(model, f64::INFINITY)].concat()
    }

    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        noise::uniform(qpos, self.set.reset_noise_scale, rng);
        noise::uniform(qvel, self.set.reset_noise_scale, rng);
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        now.qpos.iter().chain(now.qvel).for_each(|x| see(*x));
    }

    fn reward(&self, _before: Look<'_>, now: Look<'_>, _action: &[f64]) -> f64 {
        if self.set.version == Version::V5 && self.terminated(now) { 0.0 } else { 1.0 }
    }

    fn terminated(&self, now: Look<'_>) -> bool {
        now.qpos[1].abs() > 0.2
    }
}

settings! {
    /// Gymnasium's names and defaults.
    pub struct InvertedDoublePendulumSettings {
        /// Of Gymnasium's definition.
        version: Version = Version::V5;
        /// The model: one of Gymnasium's, or a path that begins with `.`, `/` or `~/`.
        xml_file: String = "inverted_double_pendulum.xml".into();
        /// `mj_step`s of one step.
        frame_skip: u32 = 5, in [1.0, 1000.0];
        /// What a step upright is worth; v5 only.
        healthy_reward: f64 = 10.0;
        /// How far from rest an episode starts: uniform for coordinates, normal for velocities.
        reset_noise_scale: f64 = 0.1, in [0.0, 1e3];
        /// Steps after which an episode is truncated.
        step_limit: u32 = 1000, in [1.0, 1e9];
    }
}

/// The rules of two poles. Read: x and height of the tip, constraint forces.
pub struct InvertedDoublePendulum {
    set: InvertedDoublePendulumSettings,
}

impl InvertedDoublePendulum {
    /// Constraint forces that are seen, of so many.
    fn seen(&self, forces: usize) -> usize {
        if self.set.version == Version::V4 { forces } else { 1 }
    }
}

impl Robot for InvertedDoublePendulum {
    type Settings = InvertedDoublePendulumSettings;

    fn task(set: &InvertedDoublePendulumSettings) -> Task {
        Task { xml_file: set.xml_file.clone(), frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn new(set: InvertedDoublePendulumSettings, model: &MjModel, _dt: f64) -> Result<Self, EnvError> {
        mujoco::needs(model, 3, 3)?;
        if model.ffi().nsite == 0 {
            return Err(EnvError::setting("xml_file", "the model has no site, whose place is the tip's"));
        }
        if set.version == Version::V4 {
            only_in(Version::V5, &[("healthy_reward", set.healthy_reward != 10.0)])?;
        }
        Ok(Self { set })
    }

    fn fields(&self, model: &MjModel) -> Vec<Field> {
        let velocities = mujoco::velocities(model, 10.0);
        let angles = mujoco::positions(model, 1);
        let of = |what: &str| -> Vec<Field> {
            angles.iter().map(|f| Field::new(format!("{what} {}", f.name), "", -1.0, 1.0)).collect()
        };
        let force = |f: &Field| Field::new(format!("{} constraint force", f.name), "", -10.0, 10.0);
        let forces = velocities[..self.seen(velocities.len())].iter().map(force).collect();
        let x = mujoco::positions(model, 0).swap_remove(0);
        [vec![x], of("sin"), of("cos"), velocities, forces].concat()
    }

    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        noise::uniform(qpos, self.set.reset_noise_scale, rng);
        noise::normal(qvel, self.set.reset_noise_scale, rng);
    }

    fn read(&self, data: &Data, out: &mut Vec<f64>) {
        let [x, _, y] = data.site_xpos()[0];
        out.extend([x, y]);
        out.extend(data.qfrc_constraint());
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        see(now.qpos[0]);
        now.qpos[1..].iter().for_each(|x| see(x.sin()));
        now.qpos[1..].iter().for_each(|x| see(x.cos()));
        let forces = &now.read[2..];
        now.qvel.iter().chain(&forces[..self.seen(forces.len())]).for_each(|x| see(x.clamp(-10.0, 10.0)));
    }

    fn reward(&self, _before: Look<'_>, now: Look<'_>, _action: &[f64]) -> f64 {
        let (x, y) = (now.read[0], now.read[1]);
        let place = 0.01 * x * x + (y - 2.0).powi(2);
        let speed = 1e-3 * now.qvel[1].powi(2) + 5e-3 * now.qvel[2].powi(2);
        let paid = self.set.version == Version::V4 || !self.terminated(now);
        (if paid { self.set.healthy_reward } else { 0.0 }) - place - speed
    }

    fn terminated(&self, now: Look<'_>) -> bool {
        now.read[1] <= 1.0
    }
}
