//! Domain randomisation (Tobin et al. 2017; Peng, Andrychowicz, Zaremba and Abbeel 2018): what differs from episode to
//! episode. All of it is drawn from the episode's generator and is a part of the state.

use super::super::mujoco::Data;
use super::observation::joints;
use super::{DAMPING, FRICTION, GAIN, LATENCY, MASS, names};
use crate::robot::Range;
use agon_core::env::{ensure, within};
use agon_core::{EnvError, Rng, settings};
use mujoco_rs::wrappers::mj_model::{MjModel, MjtJoint, MjtObjBase};

settings! {
    /// What differs from episode to episode, drawn uniformly from `[low, high]`.
    pub struct Randomize {
        /// A factor of all masses and inertias.
        mass: Range = Range(1.0, 1.0);
        /// A factor of all sliding friction.
        friction: Range = Range(1.0, 1.0);
        /// A factor of the damping of all joints.
        damping: Range = Range(1.0, 1.0);
        /// A factor of what actuators do: torque, or stiffness and damping.
        gain: Range = Range(1.0, 1.0);
        /// How late an action takes effect, in whole `mj_step`s.
        latency: Range = Range(0.0, 0.0);
        /// How far hinges and slides start off the pose at most, rad or m.
        pose: f64 = 0.0, in [0.0, 1e3];
        /// How large velocities are at the start at most.
        velocity: f64 = 0.0, in [0.0, 1e3];
        /// Hinges and slides that start anywhere in their range.
        anywhere: Vec<String> = Vec::new();
        /// Steps between pushes; 0: none.
        push_every: u32 = 0, in [0.0, 1e9];
        /// A push changes the base's horizontal velocity by at most this along each axis, m/s.
        push: f64 = 0.5, in [0.0, 1e3];
    }
}

/// The factors: where each is in memory, and its key.
const FACTORS: [(usize, &str); 4] = [(MASS, "mass"), (FRICTION, "friction"), (DAMPING, "damping"), (GAIN, "gain")];

/// The same in a model.
#[derive(Debug)]
pub struct Randomization {
    set: Randomize,
    /// Coordinates of hinges and slides that start off the pose.
    loose: Vec<usize>,
    /// Coordinates that start anywhere in a range.
    anywhere: Vec<(usize, [f64; 2])>,
    /// The first velocity of the base's free joint.
    pushed: Option<usize>,
}

impl Randomization {
    /// Checks the ranges and finds the joints.
    pub fn new(set: Randomize, model: &MjModel, base: usize) -> Result<Self, EnvError> {
        let place = |key: &'static str| move |message: String| names::wrong(&["randomize", key], message);
        for (at, key) in FACTORS {
            let Range(low, high) = set.range(at);
            let least = if key == "mass" || key == "gain" { 1e-3 } else { 0.0 };
            if low < least || high > 1e3 {
                return Err(place(key)(format!("factors must lie in {least} to 1000")));
            }
        }
        let Range(low, high) = set.latency;
        if low < 0.0 || high > 1000.0 || low.fract() != 0.0 || high.fract() != 0.0 {
            return Err(place("latency")("must be integers, 0 to 1000".into()));
        }
        let path = ["randomize", "anywhere"];
        let chosen = if set.anywhere.is_empty() { Vec::new() } else { joints(model, &set.anywhere, &path)? };
        let at = |joint: usize| model.jnt_qposadr()[joint] as usize;
        let mut anywhere = Vec::new();
        for (joint, name) in chosen.iter().zip(&set.anywhere) {
            let [low, high] = model.jnt_range()[*joint];
            if !model.jnt_limited()[*joint] || low >= high {
                return Err(place("anywhere")(format!("joint `{name}` has no range")));
            }
            anywhere.push((at(*joint), [low, high]));
        }
        let all = joints(model, &[], &path)?;
        let loose = all.into_iter().filter(|joint| !chosen.contains(joint)).map(at).collect();
        let free = |joint: &usize| {
            model.jnt_bodyid()[*joint] as usize == base && model.jnt_type()[*joint] == MjtJoint::mjJNT_FREE
        };
        let pushed = (0..model.ffi().njnt as usize).find(free).map(|joint| model.jnt_dofadr()[joint] as usize);
        if set.push_every > 0 && pushed.is_none() {
            let name = model.id_to_name(MjtObjBase::mjOBJ_BODY, base).unwrap_or_default();
            return Err(place("push_every")(format!("the base, `{name}`, has no free joint: it cannot be pushed")));
        }
        Ok(Self { set, loose, anywhere, pushed })
    }

    /// The longest latency, in `mj_step`s.
    pub fn latency(&self) -> f64 {
        self.set.latency.1
    }

    /// Whether the model itself differs.
    pub fn varies(&self) -> bool {
        FACTORS.iter().any(|(at, _)| self.set.range(*at) != Range(1.0, 1.0))
    }

    /// Draws an episode.
    pub fn draw(&self, memory: &mut [f64], qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        for (at, _) in FACTORS {
            let Range(low, high) = self.set.range(at);
            memory[at] = rng.range(low, high);
        }
        let Range(low, high) = self.set.latency;
        memory[LATENCY] = low + f64::from(rng.below((high - low) as u32 + 1));
        self.loose.iter().for_each(|q| qpos[*q] += rng.range(-self.set.pose, self.set.pose));
        self.anywhere.iter().for_each(|(q, [low, high])| qpos[*q] = rng.range(*low, *high));
        qvel.iter_mut().for_each(|v| *v += rng.range(-self.set.velocity, self.set.velocity));
    }

    /// Pushes the base if it is time. `age`: steps of the episode.
    pub fn push(&self, age: f64, data: &mut Data, rng: &mut Rng) {
        let Some(at) = self.pushed.filter(|_| self.set.push_every > 0) else { return };
        if age > 0.0 && age % f64::from(self.set.push_every) == 0.0 {
            let push = self.set.push;
            data.qvel_mut()[at..at + 2].iter_mut().for_each(|v| *v += rng.range(-push, push));
        }
    }

    /// Whether a memory holds what could have been drawn.
    pub fn check(&self, memory: &[f64]) -> Result<(), String> {
        for (at, key) in FACTORS {
            let Range(low, high) = self.set.range(at);
            within(key, memory[at], low, high)?;
        }
        within("latency", memory[LATENCY], self.set.latency.0, self.set.latency.1)?;
        ensure(memory[LATENCY].fract() == 0.0, "latency is an integer")
    }

    /// Makes `own` what an episode's memory says; `model` is the one that was read. With masses their sums change as
    /// much, and what the constraint solver derives of them inversely: that is exact where joints have no armature.
    pub fn vary(memory: &[f64], model: &MjModel, own: &mut MjModel) {
        fn scaled<const N: usize>(own: &mut [[f64; N]], model: &[[f64; N]], factor: f64) {
            own.as_flattened_mut().iter_mut().zip(model.as_flattened()).for_each(|(own, x)| *own = x * factor);
        }
        fn all(own: &mut [f64], model: &[f64], factor: f64) {
            own.iter_mut().zip(model).for_each(|(own, x)| *own = x * factor);
        }
        let mass = memory[MASS];
        all(own.body_mass_mut(), model.body_mass(), mass);
        all(own.body_subtreemass_mut(), model.body_subtreemass(), mass);
        scaled(own.body_inertia_mut(), model.body_inertia(), mass);
        scaled(own.body_invweight0_mut(), model.body_invweight0(), 1.0 / mass);
        all(own.dof_invweight0_mut(), model.dof_invweight0(), 1.0 / mass);
        all(own.dof_damping_mut(), model.dof_damping(), memory[DAMPING]);
        for (own, geom) in own.geom_friction_mut().iter_mut().zip(model.geom_friction()) {
            own[0] = geom[0] * memory[FRICTION];
        }
        // force = gain · control + bias: controls are multiplied as they are written, their ranges with them.
        scaled(own.actuator_biasprm_mut(), model.actuator_biasprm(), memory[GAIN]);
        scaled(own.actuator_ctrlrange_mut(), model.actuator_ctrlrange(), memory[GAIN]);
    }
}

impl Randomize {
    fn range(&self, at: usize) -> Range {
        match at {
            MASS => self.mass,
            FRICTION => self.friction,
            DAMPING => self.damping,
            _ => self.gain,
        }
    }
}
