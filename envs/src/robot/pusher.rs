//! Pusher: an arm of seven joints that is to push an object to a goal. Gymnasium's Pusher-v5. Its v4 is defined for
//! MuJoCo below 3 alone, where the object weighed something else; Gymnasium refuses it on MuJoCo 3, and so does this.
//!
//! Earned: −`reward_dist_weight` · the distance from object to goal − `reward_near_weight` · the distance from object to
//! tip − `reward_control_weight` · Σ action². Never over before the step limit.

use super::mujoco::{self, Data};
use super::simulator::{Look, Robot, Task};
use super::{Version, costs, noise};
use agon_core::{EnvError, Field, Rng, settings};
use mujoco_rs::wrappers::mj_model::MjModel;

settings! {
    /// Gymnasium's names and defaults.
    pub struct PusherSettings {
        /// Of Gymnasium's definition; v5 alone.
        version: Version = Version::V5;
        /// The model: one of Gymnasium's, or a path that begins with `.`, `/` or `~/`.
        xml_file: String = "pusher_v5.xml".into();
        /// `mj_step`s of one step.
        frame_skip: u32 = 5, in [1.0, 1000.0];
        /// What a metre from object to tip costs.
        reward_near_weight: f64 = 0.5;
        /// What a metre from object to goal costs.
        reward_dist_weight: f64 = 1.0;
        /// What squared controls cost.
        reward_control_weight: f64 = 0.1;
        /// Steps after which an episode is truncated.
        step_limit: u32 = 100, in [1.0, 1e9];
    }
}

/// The rules. Read: the places of tip, object and goal.
pub struct Pusher {
    set: PusherSettings,
    bodies: [usize; 3],
}

impl Robot for Pusher {
    type Settings = PusherSettings;
    const FROM_ABOVE: bool = true;

    fn task(set: &PusherSettings) -> Task {
        Task { xml_file: set.xml_file.clone(), frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn new(set: PusherSettings, model: &MjModel, _dt: f64) -> Result<Self, EnvError> {
        if set.version == Version::V4 {
            let why = "v4 of pusher is defined for MuJoCo below 3 alone, and Gymnasium refuses it too; use \"v5\"";
            return Err(EnvError::setting("version", why));
        }
        mujoco::needs(model, 11, 11)?;
        let body = |name| mujoco::body(model, name);
        Ok(Self { set, bodies: [body("tips_arm")?, body("object")?, body("goal")?] })
    }

    fn fields(&self, model: &MjModel) -> Vec<Field> {
        let mut all: Vec<Field> = mujoco::positions(model, 0).into_iter().take(7).collect();
        all.extend(mujoco::velocities(model, f64::INFINITY).into_iter().take(7));
        all.extend(["tip", "object", "goal"].iter().flat_map(|name| mujoco::place(name)));
        all
    }

    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        let object = loop {
            let at = [rng.range(-0.3, 0.0), rng.range(-0.2, 0.2)];
            if at[0].hypot(at[1]) > 0.17 {
                break at;
            }
        };
        let last = qpos.len() - 4;
        qpos[last..].copy_from_slice(&[object[0], object[1], 0.0, 0.0]);
        noise::uniform(qvel, 0.005, rng);
        let last = qvel.len() - 4;
        qvel[last..].fill(0.0);
    }

    fn read(&self, data: &Data, out: &mut Vec<f64>) {
        self.bodies.iter().for_each(|body| out.extend(data.xpos()[*body]));
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        now.qpos[..7].iter().chain(&now.qvel[..7]).chain(now.read).for_each(|x| see(*x));
    }

    fn reward(&self, _before: Look<'_>, now: Look<'_>, action: &[f64]) -> f64 {
        let (tip, object, goal) = (&now.read[..3], &now.read[3..6], &now.read[6..]);
        let far = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let set = &self.set;
        let (near, dist) = (far(object, tip) * set.reward_near_weight, far(object, goal) * set.reward_dist_weight);
        -dist - costs::squares(action) * set.reward_control_weight - near
    }
}
