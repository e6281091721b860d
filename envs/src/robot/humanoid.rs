//! Humanoid: a person who walks (Tassa, Erez and Todorov 2012). Gymnasium's Humanoid-v5 and -v4.
//!
//! Earned: `forward_reward_weight` · Δx/dt of the centre of mass + `healthy_reward` while healthy − `ctrl_cost_weight` ·
//! Σ action² − the contact cost, `contact_cost_weight` · Σ contact force² clipped to `contact_cost_range`. Over where the
//! torso is too low or too high. v4 observes the world's own rows too, has no contact cost, and pays the healthy reward
//! in the last step too.

use super::anatomy::Anatomy;
use super::mujoco::{self, Data};
use super::simulator::{Look, Robot, Task};
use super::{Range, Version, costs, noise, only_in};
use agon_core::{EnvError, Field, Rng, settings};
use mujoco_rs::wrappers::mj_model::MjModel;

settings! {
    /// Gymnasium's names and defaults.
    pub struct HumanoidSettings {
        /// Of Gymnasium's definition.
        version: Version = Version::V5;
        /// The model: one of Gymnasium's, or a path that begins with `.`, `/` or `~/`.
        xml_file: String = "humanoid.xml".into();
        /// `mj_step`s of one step.
        frame_skip: u32 = 5, in [1.0, 1000.0];
        /// What a metre a second is worth.
        forward_reward_weight: f64 = 1.25;
        /// What squared controls cost.
        ctrl_cost_weight: f64 = 0.1;
        /// What squared contact forces cost; v5 only.
        contact_cost_weight: f64 = 5e-7;
        /// What the contact cost is clipped to; v5 only.
        contact_cost_range: Range = Range(f64::NEG_INFINITY, 10.0);
        /// What a healthy step is worth.
        healthy_reward: f64 = 5.0;
        /// Whether the episode ends where the robot is not healthy.
        terminate_when_unhealthy: bool = true;
        /// Where the torso's height is healthy, m.
        healthy_z_range: Range = Range(1.0, 2.0);
        /// How far from rest an episode starts, uniform.
        reset_noise_scale: f64 = 1e-2, in [0.0, 1e3];
        /// Whether x and y are left out of observations.
        exclude_current_positions_from_observation: bool = true;
        /// Whether inertias about the centre of mass are observed; v5 only.
        include_cinert_in_observation: bool = true;
        /// Whether velocities about the centre of mass are observed; v5 only.
        include_cvel_in_observation: bool = true;
        /// Whether the forces of actuators are observed; v5 only.
        include_qfrc_actuator_in_observation: bool = true;
        /// Whether contact forces are observed; v5 only.
        include_cfrc_ext_in_observation: bool = true;
        /// Steps after which an episode is truncated.
        step_limit: u32 = 1000, in [1.0, 1e9];
    }
}

/// The rules. Read: x of the centre of mass, Σ contact force², what `Anatomy` reads.
pub struct Humanoid {
    set: HumanoidSettings,
    dt: f64,
    anatomy: Anatomy,
}

impl Humanoid {
    fn healthy(&self, now: Look<'_>) -> bool {
        self.set.healthy_z_range.around(now.qpos[2])
    }
}

impl Robot for Humanoid {
    type Settings = HumanoidSettings;

    fn task(set: &HumanoidSettings) -> Task {
        Task { xml_file: set.xml_file.clone(), frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn new(set: HumanoidSettings, model: &MjModel, dt: f64) -> Result<Self, EnvError> {
        mujoco::needs(model, 7, 6)?;
        let (inertia, velocity) = (set.include_cinert_in_observation, set.include_cvel_in_observation);
        let (actuator, contact) = (set.include_qfrc_actuator_in_observation, set.include_cfrc_ext_in_observation);
        if set.version == Version::V4 {
            let usual = HumanoidSettings::default();
            only_in(
                Version::V5,
                &[
                    ("contact_cost_weight", set.contact_cost_weight != usual.contact_cost_weight),
                    ("contact_cost_range", set.contact_cost_range != usual.contact_cost_range),
                    ("include_cinert_in_observation", !inertia),
                    ("include_cvel_in_observation", !velocity),
                    ("include_qfrc_actuator_in_observation", !actuator),
                    ("include_cfrc_ext_in_observation", !contact),
                ],
            )?;
        }
        let skip = if set.exclude_current_positions_from_observation { 2 } else { 0 };
        let anatomy = Anatomy { version: set.version, skip, inertia, velocity, actuator, contact };
        Ok(Self { set, dt, anatomy })
    }

    fn fields(&self, model: &MjModel) -> Vec<Field> {
        self.anatomy.fields(model)
    }

    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        noise::uniform(qpos, self.set.reset_noise_scale, rng);
        noise::uniform(qvel, self.set.reset_noise_scale, rng);
    }

    fn contact_forces(&self) -> bool {
        true
    }

    fn read(&self, data: &Data, out: &mut Vec<f64>) {
        let masses = data.model().body_mass();
        let weighed: f64 = masses.iter().zip(data.xipos()).map(|(mass, at)| mass * at[0]).sum();
        out.push(weighed / masses.iter().sum::<f64>());
        out.push(costs::squares(data.cfrc_ext().as_flattened()));
        self.anatomy.read(data, out);
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        self.anatomy.observe(now, &now.read[2..], see);
    }

    fn reward(&self, before: Look<'_>, now: Look<'_>, action: &[f64]) -> f64 {
        let set = &self.set;
        let forward = set.forward_reward_weight * ((now.read[0] - before.read[0]) / self.dt);
        let control = set.ctrl_cost_weight * costs::squares(action);
        let (paid, contact) = match set.version {
            Version::V5 => (self.healthy(now), set.contact_cost_range.clip(set.contact_cost_weight * now.read[1])),
            Version::V4 => (self.healthy(now) || set.terminate_when_unhealthy, 0.0),
        };
        forward + if paid { set.healthy_reward } else { 0.0 } - (control + contact)
    }

    fn terminated(&self, now: Look<'_>) -> bool {
        self.set.terminate_when_unhealthy && !self.healthy(now)
    }
}
