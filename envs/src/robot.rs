//! Robots. On MuJoCo 3.17.0, step for step equal to Gymnasium 1.4.0's: `ENTRIES`. Without it: `PLAIN`. To add one: a file,
//! a `mod` line, a row.
#[cfg(feature = "mujoco")]
mod anatomy;
#[cfg(feature = "mujoco")]
pub mod ant;
#[cfg(feature = "rapier")]
pub mod bipedal_walker;
#[cfg(feature = "mujoco")]
mod drawing;
#[cfg(feature = "mujoco")]
pub mod half_cheetah;
#[cfg(feature = "mujoco")]
pub mod hopper;
#[cfg(feature = "mujoco")]
pub mod humanoid;
#[cfg(feature = "mujoco")]
pub mod humanoid_standup;
pub mod lqr;
#[cfg(feature = "rapier")]
pub mod lunar_lander;
mod matrix;
#[cfg(feature = "mujoco")]
pub mod mjcf;
#[cfg(feature = "mujoco")]
pub mod mujoco;
#[cfg(feature = "mujoco")]
pub mod pendulums;
#[cfg(feature = "rapier")]
mod planar;
#[cfg(feature = "mujoco")]
pub mod pusher;
#[cfg(feature = "mujoco")]
pub mod reacher;
#[cfg(feature = "mujoco")]
pub mod simulator;
#[cfg(feature = "mujoco")]
pub mod swimmer;
pub mod swing_up;
#[cfg(feature = "mujoco")]
pub mod walker2d;

#[cfg(feature = "mujoco")]
use agon_core::EnvError;
use agon_core::settings::Setting;
use agon_core::{Entry, choices};
#[cfg(feature = "mujoco")]
use mujoco_rs::wrappers::mj_model::MjModel;
use serde_json::Value;
#[cfg(feature = "mujoco")]
use simulator::Robots;

#[cfg(feature = "mujoco")]
const GYM: &str = "states injected into Gymnasium 1.4.0 on MuJoCo 3.17.0, at most 1e-10 (tests/golden/robots.py)";

#[cfg(feature = "mujoco")]
const MJCF: &str =
    "Gymnasium's ant in the same steps, terms by hand, randomised models by MuJoCo's own (envs/tests/mjcf.rs)";

#[cfg(feature = "rapier")]
const PLANAR: &str =
    "flight of Gymnasium 1.4.0's on Box2D, its player's landings (tests/golden/planar.py); contacts are Rapier's";

/// Robots that need no MuJoCo.
pub const PLAIN: &[Entry] = &[
    Entry::env::<lqr::Lqr>(
        "robot/lqr",
        "Hold a linear system at rest, at quadratic costs",
        "scipy's solve_discrete_are, finite horizons by another recursion, at most 1e-9 (tests/golden/lqr.py)",
    ),
    Entry::env::<swing_up::SwingUp>(
        "robot/cartpole-swing-up",
        "Swing a pole up on a cart and hold it there",
        "the equations of motion in Lagrange's form, conserved energy; dm_control's formula of the reward",
    ),
    #[cfg(feature = "rapier")]
    Entry::env::<lunar_lander::LunarLander>("robot/lunar-lander", "Land on a pad with three engines", PLANAR)
        .allocating(),
    #[cfg(feature = "rapier")]
    Entry::env::<bipedal_walker::BipedalWalker>("robot/bipedal-walker", "Walk on two legs over hills", PLANAR)
        .allocating(),
];

/// Robots on MuJoCo.
#[cfg(feature = "mujoco")]
pub const ENTRIES: &[Entry] = &[
    Entry::states::<Robots<half_cheetah::HalfCheetah>>("robot/half-cheetah", "Run on two legs in a plane", GYM),
    Entry::states::<Robots<hopper::Hopper>>("robot/hopper", "Hop on one leg in a plane", GYM),
    Entry::states::<Robots<walker2d::Walker2d>>("robot/walker2d", "Walk on two legs in a plane", GYM),
    Entry::states::<Robots<ant::Ant>>("robot/ant", "Walk on four legs", GYM),
    Entry::states::<Robots<humanoid::Humanoid>>("robot/humanoid", "Walk like a person", GYM),
    Entry::states::<Robots<humanoid_standup::HumanoidStandup>>("robot/humanoid-standup", "Stand up like a person", GYM),
    Entry::states::<Robots<swimmer::Swimmer>>("robot/swimmer", "Swim with three links", GYM),
    Entry::states::<Robots<reacher::Reacher>>("robot/reacher", "Reach a target with an arm of two links", GYM),
    Entry::states::<Robots<pusher::Pusher>>("robot/pusher", "Push an object to a goal with an arm", GYM),
    Entry::states::<Robots<mjcf::Mjcf>>("robot/mjcf", "A robot of any MJCF file, by settings alone", MJCF),
    Entry::states::<Robots<pendulums::InvertedPendulum>>("robot/inverted-pendulum", "Balance a pole on a cart", GYM),
    Entry::states::<Robots<pendulums::InvertedDoublePendulum>>(
        "robot/inverted-double-pendulum",
        "Balance two poles, one on the other, on a cart",
        GYM,
    ),
];

choices! {
    /// Which of Gymnasium's definitions: v5, or v4 for comparison with older scores.
    pub enum Version { V5 = "v5", V4 = "v4" }
}

/// An error if a setting that only `version` has was changed. `changed`: names, and whether they were.
#[cfg(feature = "mujoco")]
fn only_in(version: Version, changed: &[(&str, bool)]) -> Result<(), EnvError> {
    let Some((name, _)) = changed.iter().find(|(_, changed)| *changed) else { return Ok(()) };
    let (has, other) = if version == Version::V5 { ("v5", "v4") } else { ("v4", "v5") };
    Err(EnvError::setting(name, format!("{other} of this robot does not have it; {has} does")))
}

/// A body of a model, by name or number.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Counted from the world, which is 0.
    Number(u32),
    /// As the model names it.
    Name(String),
}

#[cfg(feature = "mujoco")]
impl Part {
    /// Its number in this model. An error is about the setting `name`.
    fn of(&self, name: &str, model: &MjModel) -> Result<usize, EnvError> {
        match self {
            Self::Name(body) => mujoco::body(model, body),
            Self::Number(n) if i64::from(*n) < model.ffi().nbody => Ok(*n as usize),
            Self::Number(n) => {
                Err(EnvError::setting(name, format!("the model has {} bodies, none number {n}", model.ffi().nbody)))
            }
        }
    }
}

impl Setting for Part {
    fn kind() -> String {
        "name or number of a body".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some(name) => Ok(Self::Name(name.into())),
            None => u32::from_value(value).map(Self::Number),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Name(name) => name.as_str().into(),
            Self::Number(n) => (*n).into(),
        }
    }
}

/// An open or closed interval; each end is a number or the text `"inf"` or `"-inf"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range(pub f64, pub f64);

impl Range {
    /// Whether x lies between its ends, the ends excluded.
    pub fn around(self, x: f64) -> bool {
        self.0 < x && x < self.1
    }

    /// Whether x lies between its ends, the ends included.
    pub fn holds(self, x: f64) -> bool {
        self.0 <= x && x <= self.1
    }

    /// The nearest number that it holds.
    pub fn clip(self, x: f64) -> f64 {
        x.clamp(self.0, self.1)
    }
}

impl Setting for Range {
    fn kind() -> String {
        "list of two numbers, or \"-inf\", \"inf\"".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let end = |v: &Value| match v.as_str() {
            Some("inf") => Ok(f64::INFINITY),
            Some("-inf") => Ok(f64::NEG_INFINITY),
            _ => f64::from_value(v),
        };
        match value.as_array().map(Vec::as_slice) {
            Some([low, high]) => match (end(low)?, end(high)?) {
                (low, high) if low <= high => Ok(Self(low, high)),
                (low, high) => Err(format!("the first end, {low}, must not be above the second, {high}")),
            },
            _ => Err(format!("expected two numbers, found {value}")),
        }
    }

    fn to_value(&self) -> Value {
        let end = |x: f64| match x {
            f64::INFINITY => "inf".into(),
            f64::NEG_INFINITY => "-inf".into(),
            x => x.into(),
        };
        Value::Array(vec![end(self.0), end(self.1)])
    }
}

/// How episodes are started off rest.
#[cfg(feature = "mujoco")]
mod noise {
    use agon_core::Rng;

    /// Adds a number in [−scale, scale) to each.
    pub fn uniform(numbers: &mut [f64], scale: f64, rng: &mut Rng) {
        numbers.iter_mut().for_each(|x| *x += rng.range(-scale, scale));
    }

    /// Adds a normal number with this deviation to each.
    pub fn normal(numbers: &mut [f64], scale: f64, rng: &mut Rng) {
        numbers.iter_mut().for_each(|x| *x += scale * rng.normal());
    }
}

/// Parts of rewards.
#[cfg(feature = "mujoco")]
mod costs {
    /// Σ x²
    pub fn squares(numbers: &[f64]) -> f64 {
        numbers.iter().map(|x| x * x).sum()
    }
}
