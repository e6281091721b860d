//! Ant: four legs that walk (Schulman, Moritz, Levine, Jordan and Abbeel 2015). Gymnasium's Ant-v5 and -v4.
//!
//! Earned: `forward_reward_weight` · Δx/dt of the main body + `healthy_reward` while healthy − `ctrl_cost_weight` ·
//! Σ action² − `contact_cost_weight` · Σ contact force², each force clipped. Over where the torso is too low or too high.
//! In v4 contact forces are neither seen nor paid for unless `use_contact_forces`, and the healthy reward is paid in the
//! last step too.

use super::mujoco::{self, Data};
use super::simulator::{Look, Robot, Task};
use super::{Part, Range, Version, costs, noise, only_in};
use agon_core::{EnvError, Field, Rng, settings};
use mujoco_rs::wrappers::mj_model::MjModel;

settings! {
    /// Gymnasium's names and defaults.
    pub struct AntSettings {
        /// Of Gymnasium's definition.
        version: Version = Version::V5;
        /// The model: one of Gymnasium's, or a path that begins with `.`, `/` or `~/`.
        xml_file: String = "ant.xml".into();
        /// `mj_step`s of one step.
        frame_skip: u32 = 5, in [1.0, 1000.0];
        /// What a metre a second is worth.
        forward_reward_weight: f64 = 1.0;
        /// What squared controls cost.
        ctrl_cost_weight: f64 = 0.5;
        /// What squared contact forces cost.
        contact_cost_weight: f64 = 5e-4;
        /// What a healthy step is worth.
        healthy_reward: f64 = 1.0;
        /// The body whose speed counts: its name or number.
        main_body: Part = Part::Number(1);
        /// Whether the episode ends where the robot is not healthy.
        terminate_when_unhealthy: bool = true;
        /// Where the torso's height is healthy, m.
        healthy_z_range: Range = Range(0.2, 1.0);
        /// What contact forces are clipped to.
        contact_force_range: Range = Range(-1.0, 1.0);
        /// How far from rest an episode starts: uniform for coordinates, normal for velocities.
        reset_noise_scale: f64 = 0.1, in [0.0, 1e3];
        /// Whether x and y are left out of observations.
        exclude_current_positions_from_observation: bool = true;
        /// Whether contact forces are observed; v5 only.
        include_cfrc_ext_in_observation: bool = true;
        /// Whether contact forces are observed and paid for; v4 only.
        use_contact_forces: bool = false;
        /// Steps after which an episode is truncated.
        step_limit: u32 = 1000, in [1.0, 1e9];
    }
}

/// The rules. Read: x of the main body, then all contact forces where they matter.
pub struct Ant {
    set: AntSettings,
    dt: f64,
    body: usize,
    /// The first body whose contact forces are seen, if they are.
    seen_from: Option<usize>,
}

impl Ant {
    fn healthy(&self, now: Look<'_>) -> bool {
        self.set.healthy_z_range.holds(now.qpos[2])
    }

    fn skip(&self) -> usize {
        if self.set.exclude_current_positions_from_observation { 2 } else { 0 }
    }
}

impl Robot for Ant {
    type Settings = AntSettings;

    fn task(set: &AntSettings) -> Task {
        Task { xml_file: set.xml_file.clone(), frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn new(set: AntSettings, model: &MjModel, dt: f64) -> Result<Self, EnvError> {
        mujoco::needs(model, 3, 1)?;
        let seen_from = match set.version {
            Version::V5 => {
                only_in(Version::V4, &[("use_contact_forces", set.use_contact_forces)])?;
                set.include_cfrc_ext_in_observation.then_some(1)
            }
            Version::V4 => {
                only_in(Version::V5, &[("include_cfrc_ext_in_observation", !set.include_cfrc_ext_in_observation)])?;
                set.use_contact_forces.then_some(0)
            }
        };
        let body = set.main_body.of("main_body", model)?;
        Ok(Self { set, dt, body, seen_from })
    }

    fn fields(&self, model: &MjModel) -> Vec<Field> {
        let Range(low, high) = self.set.contact_force_range;
        let forces = self.seen_from.map(|first| mujoco::bodies(model, "contact force", 6, first, (low, high)));
        let own = [mujoco::positions(model, self.skip()), mujoco::velocities(model, f64::INFINITY)];
        [&own[..], &forces.into_iter().collect::<Vec<_>>()].concat().concat()
    }

    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        noise::uniform(qpos, self.set.reset_noise_scale, rng);
        noise::normal(qvel, self.set.reset_noise_scale, rng);
    }

    fn contact_forces(&self) -> bool {
        self.set.version == Version::V5 || self.set.use_contact_forces
    }

    fn read(&self, data: &Data, out: &mut Vec<f64>) {
        out.push(data.xpos()[self.body][0]);
        if self.contact_forces() {
            out.extend(data.cfrc_ext().as_flattened());
        }
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        now.qpos[self.skip()..].iter().chain(now.qvel).for_each(|x| see(*x));
        if let Some(first) = self.seen_from {
            now.read[1 + 6 * first..].iter().for_each(|f| see(self.set.contact_force_range.clip(*f)));
        }
    }

    fn reward(&self, before: Look<'_>, now: Look<'_>, action: &[f64]) -> f64 {
        let set = &self.set;
        let forward = set.forward_reward_weight * ((now.read[0] - before.read[0]) / self.dt);
        let paid = self.healthy(now) || set.version == Version::V4 && set.terminate_when_unhealthy;
        let healthy = if paid { set.healthy_reward } else { 0.0 };
        let contact = now.read[1..].iter().map(|f| set.contact_force_range.clip(*f).powi(2)).sum::<f64>();
        let costs = set.ctrl_cost_weight * costs::squares(action) + set.contact_cost_weight * contact;
        forward + healthy - costs
    }

    fn terminated(&self, now: Look<'_>) -> bool {
        self.set.terminate_when_unhealthy && !self.healthy(now)
    }
}
