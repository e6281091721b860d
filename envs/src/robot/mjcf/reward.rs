//! What a step earns: the sum of weighted terms, each a row of [`TERMS`].

use super::control::Control;
use super::reading::{ANGULAR, EFFORT, GRAVITY, LINEAR, PLACE, POWER, Point, Readings};
use super::{MjcfSettings, names};
use crate::robot::costs;
use crate::robot::simulator::Look;
use agon_core::settings::{Setting, hint, nearest};
use agon_core::{EnvError, settings};
use mujoco_rs::wrappers::mj_model::MjModel;
use serde_json::Value;

/// What a term is computed from: a step, and the settings of the term.
pub struct Moment<'a> {
    /// Before the step.
    pub before: Look<'a>,
    /// After it.
    pub now: Look<'a>,
    /// Seconds of a step.
    pub dt: f64,
    /// The action, and the one before it.
    pub action: [&'a [f64]; 2],
    /// What is to be tracked: x and y, m/s; about z, rad/s.
    pub command: [f64; 3],
    /// Whether the rules end the episode here.
    pub over: bool,
    /// `[nq]` coordinates of the pose.
    pub pose: &'a [f64],
    /// For the driven joints.
    pub control: &'a Control,
}

impl Moment<'_> {
    /// m/s along the world's x.
    pub fn forward_velocity(&self) -> f64 {
        (self.now.read[PLACE] - self.before.read[PLACE]) / self.dt
    }

    /// Squared: how far the base's horizontal velocity is from the command, (m/s)².
    pub fn velocity_error(&self) -> f64 {
        let [x, y, _] = self.command;
        (self.now.read[LINEAR] - x).powi(2) + (self.now.read[LINEAR + 1] - y).powi(2)
    }

    /// Squared: how far the base's yaw rate is from the command, (rad/s)².
    pub fn yaw_error(&self) -> f64 {
        (self.now.read[ANGULAR + 2] - self.command[2]).powi(2)
    }
}

/// A row of the table.
#[derive(Debug)]
pub struct Kind {
    /// As scenarios name it.
    pub name: &'static str,
    /// What it is before it is weighted, with units. s is the term's `scale`, t its `target`.
    pub formula: &'static str,
    compute: fn(&Term, &Moment<'_>) -> f64,
}

/// All terms. v and ω: the base's velocities in its own frame; c: the command; g: the direction of gravity in the base's
/// frame; a: the action. `track_*`, the squared velocities, `action_rate` and `energy` are those of Rudin, Hoeller, Reist
/// and Hutter 2022, table 2; `forward_velocity`, `control_cost` and `alive` Gymnasium's.
pub const TERMS: &[Kind] = &[
    Kind {
        name: "forward_velocity",
        formula: "Δx/Δt of the base in the world, m/s",
        compute: |_, m| m.forward_velocity(),
    },
    Kind {
        name: "track_velocity",
        formula: "exp(−((v_x − c_x)² + (v_y − c_y)²)/s), s in (m/s)²",
        compute: |t, m| (-m.velocity_error() / t.scale).exp(),
    },
    Kind {
        name: "track_yaw",
        formula: "exp(−(ω_z − c_yaw)²/s), s in (rad/s)²",
        compute: |t, m| (-m.yaw_error() / t.scale).exp(),
    },
    Kind { name: "vertical_velocity", formula: "v_z², (m/s)²", compute: |_, m| m.now.read[LINEAR + 2].powi(2) },
    Kind {
        name: "angular_velocity_xy",
        formula: "ω_x² + ω_y², (rad/s)²",
        compute: |_, m| costs::squares(&m.now.read[ANGULAR..ANGULAR + 2]),
    },
    Kind {
        name: "upright",
        formula: "the cosine of the base's tilt, −g_z: 1 upright, −1 upside down",
        compute: |_, m| -m.now.read[GRAVITY + 2],
    },
    Kind {
        name: "tilt",
        formula: "g_x² + g_y²: 0 upright, 1 on its side",
        compute: |_, m| costs::squares(&m.now.read[GRAVITY..GRAVITY + 2]),
    },
    Kind {
        name: "height",
        formula: "(z − t)² of the base, m²",
        compute: |t, m| (m.now.read[PLACE + 2] - t.target).powi(2),
    },
    Kind {
        name: "pose",
        formula: "Σ (q − pose)² over the driven joints, rad²",
        compute: |_, m| m.control.off_pose(m.now.qpos, m.pose),
    },
    Kind { name: "control_cost", formula: "Σ a²", compute: |_, m| costs::squares(m.action[0]) },
    Kind {
        name: "action_rate",
        formula: "Σ (a − the action before)²",
        compute: |_, m| m.action[0].iter().zip(m.action[1]).map(|(a, b)| (a - b).powi(2)).sum(),
    },
    Kind { name: "energy", formula: "Σ |force · velocity| of the actuators, W", compute: |_, m| m.now.read[POWER] },
    Kind { name: "effort", formula: "Σ force² of the actuators, (N m)²", compute: |_, m| m.now.read[EFFORT] },
    Kind { name: "alive", formula: "1 unless the rules end the episode", compute: |_, m| f64::from(u8::from(!m.over)) },
    Kind { name: "distance", formula: "‖to − from‖, m", compute: |t, m| t.distance(m) },
    Kind {
        name: "reach", formula: "exp(−‖to − from‖/s), s in m", compute: |t, m| (-t.distance(m) / t.scale).exp()
    },
];

/// The name of a term.
#[derive(Clone, Copy, Debug)]
pub struct TermName(&'static Kind);

impl PartialEq for TermName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Default for TermName {
    fn default() -> Self {
        Self(&TERMS[0])
    }
}

impl Setting for TermName {
    fn kind() -> String {
        TERMS.iter().map(|t| t.name).collect::<Vec<_>>().join(" | ")
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let name = value.as_str().unwrap_or_default();
        TERMS.iter().find(|t| t.name == name).map(Self).ok_or_else(|| {
            let near = hint(&nearest(name, TERMS.iter().map(|t| t.name)));
            format!("no term of the reward is called {value}{near}; there are {}", Self::kind().replace(" |", ","))
        })
    }

    fn to_value(&self) -> Value {
        self.0.name.into()
    }
}

settings! {
    /// One term of the reward.
    pub struct Weighted {
        /// Which.
        term: TermName = TermName::default();
        /// What one of it is worth in a step; below 0 it costs.
        weight: f64 = 1.0, in [-1e9, 1e9];
        /// The width of an exponential term.
        scale: f64 = 0.25, in [1e-9, 1e9];
        /// The height that is aimed at, m.
        target: f64 = 0.0, in [-1e6, 1e6];
        /// A site, body or geom, for terms of a distance.
        from: String = String::new();
        /// The other one.
        to: String = String::new();
    }
}

/// A term as a model has it.
#[derive(Debug)]
pub struct Term {
    /// Its row.
    pub kind: &'static Kind,
    /// What one of it is worth.
    pub weight: f64,
    scale: f64,
    target: f64,
    /// Where the way from one point to the other is read.
    offset: usize,
}

impl Term {
    fn distance(&self, m: &Moment<'_>) -> f64 {
        costs::squares(&m.now.read[self.offset..self.offset + 3]).sqrt()
    }

    /// What it is worth in this step.
    pub fn worth(&self, moment: &Moment<'_>) -> f64 {
        self.weight * (self.kind.compute)(self, moment)
    }
}

/// Finds what the terms name in the model.
pub fn terms(set: &MjcfSettings, model: &MjModel, readings: &mut Readings) -> Result<Vec<Term>, EnvError> {
    let mut all = Vec::new();
    for (place, one) in (1..).zip(&set.reward) {
        let place = place.to_string();
        let kind = one.term.0;
        let mut offset = 0;
        if ["distance", "reach"].contains(&kind.name) {
            let point = |key: &str, name: &str| match name {
                "" => Err(names::wrong(&["reward", &place, key], format!("`{}` needs `from` and `to`", kind.name))),
                name => Point::named(model, name, &["reward", &place, key]),
            };
            offset = readings.offset(point("from", &one.from)?, point("to", &one.to)?);
        } else if !one.from.is_empty() || !one.to.is_empty() {
            let key = if one.from.is_empty() { "to" } else { "from" };
            let message = format!("`{}` is between no two things: only `distance` and `reach` are", kind.name);
            return Err(names::wrong(&["reward", &place, key], message));
        }
        all.push(Term { kind, weight: one.weight, scale: one.scale, target: one.target, offset });
    }
    Ok(all)
}
