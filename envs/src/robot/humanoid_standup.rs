//! Humanoid-standup: a person who lies and is to stand up (Tassa, Erez and Todorov 2012). Gymnasium's
//! HumanoidStandup-v5 and -v4.
//!
//! Earned: the height of the torso divided by the time of one `mj_step` (Gymnasium's definition: `uph_cost_weight` is
//! taken and not used there) + 1 − `ctrl_cost_weight` · Σ action² − the impact cost, `impact_cost_weight` · Σ contact
//! force² clipped to `impact_cost_range`. Never over before the step limit. v4 has no options, and observes the world's
//! own rows too.

use super::anatomy::Anatomy;
use super::mujoco::{self, Data};
use super::simulator::{Look, Robot, Task};
use super::{Range, Version, costs, noise, only_in};
use agon_core::{EnvError, Field, Rng, settings};
use mujoco_rs::wrappers::mj_model::MjModel;

settings! {
    /// Gymnasium's names and defaults.
    pub struct HumanoidStandupSettings {
        /// Of Gymnasium's definition.
        version: Version = Version::V5;
        /// The model: one of Gymnasium's, or a path that begins with `.`, `/` or `~/`.
        xml_file: String = "humanoidstandup.xml".into();
        /// `mj_step`s of one step.
        frame_skip: u32 = 5, in [1.0, 1000.0];
        /// Without effect, as in Gymnasium.
        uph_cost_weight: f64 = 1.0;
        /// What squared controls cost.
        ctrl_cost_weight: f64 = 0.1;
        /// What squared contact forces cost.
        impact_cost_weight: f64 = 0.5e-6;
        /// What the impact cost is clipped to.
        impact_cost_range: Range = Range(f64::NEG_INFINITY, 10.0);
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

/// The rules. Read: Σ contact force², what `Anatomy` reads.
pub struct HumanoidStandup {
    set: HumanoidStandupSettings,
    timestep: f64,
    anatomy: Anatomy,
}

impl Robot for HumanoidStandup {
    type Settings = HumanoidStandupSettings;

    fn task(set: &HumanoidStandupSettings) -> Task {
        Task { xml_file: set.xml_file.clone(), frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn new(set: HumanoidStandupSettings, model: &MjModel, _dt: f64) -> Result<Self, EnvError> {
        mujoco::needs(model, 7, 6)?;
        let (inertia, velocity) = (set.include_cinert_in_observation, set.include_cvel_in_observation);
        let (actuator, contact) = (set.include_qfrc_actuator_in_observation, set.include_cfrc_ext_in_observation);
        if set.version == Version::V4 {
            only_in(
                Version::V5,
                &[
                    ("include_cinert_in_observation", !inertia),
                    ("include_cvel_in_observation", !velocity),
                    ("include_qfrc_actuator_in_observation", !actuator),
                    ("include_cfrc_ext_in_observation", !contact),
                ],
            )?;
        }
        let skip = if set.exclude_current_positions_from_observation { 2 } else { 0 };
        let anatomy = Anatomy { version: set.version, skip, inertia, velocity, actuator, contact };
        Ok(Self { set, timestep: model.opt().timestep, anatomy })
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
        out.push(costs::squares(data.cfrc_ext().as_flattened()));
        self.anatomy.read(data, out);
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        self.anatomy.observe(now, &now.read[1..], see);
    }

    fn reward(&self, _before: Look<'_>, now: Look<'_>, action: &[f64]) -> f64 {
        let set = &self.set;
        let impact = set.impact_cost_range.clip(set.impact_cost_weight * now.read[0]);
        now.qpos[2] / self.timestep - set.ctrl_cost_weight * costs::squares(action) - impact + 1.0
    }
}
