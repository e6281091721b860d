//! Reacher: an arm of two links whose fingertip is to reach a target. Gymnasium's Reacher-v5 and -v4.
//!
//! Earned: −`reward_dist_weight` · the distance from fingertip to target − `reward_control_weight` · Σ action²; in v4 the
//! distance is that before the step. Never over before the step limit. v4 observes the vector's third part, zero, too.

use super::mujoco::{self, Data};
use super::simulator::{Look, Robot, Task};
use super::{Version, costs, noise, only_in};
use agon_core::{EnvError, Field, Rng, settings};
use mujoco_rs::wrappers::mj_model::MjModel;

settings! {
    /// Gymnasium's names and defaults.
    pub struct ReacherSettings {
        /// Of Gymnasium's definition.
        version: Version = Version::V5;
        /// The model: one of Gymnasium's, or a path that begins with `.`, `/` or `~/`.
        xml_file: String = "reacher.xml".into();
        /// `mj_step`s of one step.
        frame_skip: u32 = 2, in [1.0, 1000.0];
        /// What a metre to the target costs; v5 only.
        reward_dist_weight: f64 = 1.0;
        /// What squared controls cost; v5 only.
        reward_control_weight: f64 = 1.0;
        /// Steps after which an episode is truncated.
        step_limit: u32 = 50, in [1.0, 1e9];
    }
}

/// The rules. Read: the vector from target to fingertip.
pub struct Reacher {
    set: ReacherSettings,
    fingertip: usize,
    target: usize,
}

impl Robot for Reacher {
    type Settings = ReacherSettings;
    const FROM_ABOVE: bool = true;

    fn task(set: &ReacherSettings) -> Task {
        Task { xml_file: set.xml_file.clone(), frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn new(set: ReacherSettings, model: &MjModel, _dt: f64) -> Result<Self, EnvError> {
        mujoco::needs(model, 4, 4)?;
        if set.version == Version::V4 {
            let weights = [set.reward_dist_weight, set.reward_control_weight].map(|w| w != 1.0);
            only_in(Version::V5, &[("reward_dist_weight", weights[0]), ("reward_control_weight", weights[1])])?;
        }
        Ok(Self { set, fingertip: mujoco::body(model, "fingertip")?, target: mujoco::body(model, "target")? })
    }

    fn fields(&self, model: &MjModel) -> Vec<Field> {
        let angle = |f: &str, i| Field::new(format!("{f} angle {i}"), "", -1.0, 1.0);
        let mut all = vec![angle("cos", 1), angle("cos", 2), angle("sin", 1), angle("sin", 2)];
        all.extend(mujoco::positions(model, 2));
        all.extend(mujoco::velocities(model, f64::INFINITY).into_iter().take(2));
        all.extend(mujoco::place("fingertip from target").into_iter().take(self.seen()));
        all
    }

    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        noise::uniform(qpos, 0.1, rng);
        let goal = loop {
            let goal = [rng.range(-0.2, 0.2), rng.range(-0.2, 0.2)];
            if goal[0].hypot(goal[1]) < 0.2 {
                break goal;
            }
        };
        let target = qpos.len() - 2;
        qpos[target..].copy_from_slice(&goal);
        noise::uniform(qvel, 0.005, rng);
        let target = qvel.len() - 2;
        qvel[target..].fill(0.0);
    }

    fn read(&self, data: &Data, out: &mut Vec<f64>) {
        let (tip, target) = (data.xpos()[self.fingertip], data.xpos()[self.target]);
        out.extend(tip.iter().zip(target).map(|(a, b)| a - b));
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        now.qpos[..2].iter().for_each(|x| see(x.cos()));
        now.qpos[..2].iter().for_each(|x| see(x.sin()));
        now.qpos[2..].iter().chain(&now.qvel[..2]).chain(&now.read[..self.seen()]).for_each(|x| see(*x));
    }

    fn reward(&self, before: Look<'_>, now: Look<'_>, action: &[f64]) -> f64 {
        let from = if self.set.version == Version::V4 { before } else { now };
        let distance = costs::squares(from.read).sqrt();
        -distance * self.set.reward_dist_weight - costs::squares(action) * self.set.reward_control_weight
    }
}

impl Reacher {
    /// Parts of the vector that are seen.
    fn seen(&self) -> usize {
        if self.set.version == Version::V4 { 3 } else { 2 }
    }
}
