//! What an action does: the actuators' own controls, or positions that joints are to take.

use super::super::mujoco::{self, Data};
use super::{GAIN, LATENCY, MjcfSettings, names};
use agon_core::{ActionSpec, EnvError, Field, choices};
use mujoco_rs::wrappers::mj_model::{MjModel, MjtBias, MjtJoint, MjtObjBase, MjtTrn};

choices! {
    /// What the numbers of an action are.
    pub enum Kind {
        /// Each actuator's control, within its `ctrlrange`.
        Control = "control",
        /// In [−1, 1]: the position of each actuator's joint is to be that of the pose plus `action_scale` times the
        /// number.
        Target = "target",
    }
}

/// One number of an action.
#[derive(Debug)]
struct Channel {
    control: usize,
    /// The control is rest + scale × number.
    rest: f64,
    scale: f64,
    /// The range of the control, infinite where it has none.
    range: (f64, f64),
    /// The coordinate and the velocity of the joint that it moves, if it moves one.
    joint: Option<(usize, usize)>,
}

/// Everything about actions.
#[derive(Debug)]
pub struct Control {
    channels: Vec<Channel>,
    /// Controls that no action sets, and what they are.
    idle: Vec<(usize, f64)>,
    /// Names of an action's numbers.
    pub names: Vec<String>,
    /// Their bounds.
    bounds: Vec<(f32, f32)>,
    /// Stiffness and damping where joints are driven by a controller of ours: N m/rad, N m s/rad.
    servo: Option<(f64, f64)>,
    frame_skip: u32,
}

impl Control {
    /// Finds the actuators. `pose`: `[nq]` coordinates.
    pub fn new(set: &MjcfSettings, model: &MjModel, keyframe: Option<usize>, pose: &[f64]) -> Result<Self, EnvError> {
        let count = model.ffi().nu as usize;
        if model.ffi().nactuator != model.ffi().nu {
            return Err(names::wrong(&["model"], "actuators with several controls are not supported".into()));
        }
        let find = |name: &String| names::one(model, MjtObjBase::mjOBJ_ACTUATOR, name, &["actuators"]);
        let chosen: Vec<usize> = match &set.actuators[..] {
            [] => (0..count).collect(),
            some => some.iter().map(find).collect::<Result<_, _>>()?,
        };
        if let Some(twice) = (1..chosen.len()).find(|i| chosen[..*i].contains(&chosen[*i])) {
            return Err(names::wrong(&["actuators"], format!("`{}` is there twice", set.actuators[twice])));
        }
        let servo = set.kp.map(|kp| (kp, set.kd));
        if set.action == Kind::Control && servo.is_some() {
            return Err(names::wrong(&["kp"], "only `action = \"target\"` has a stiffness".into()));
        }
        let still = |id: usize| (id, keyframe.map_or(0.0, |key| model.key_ctrl()[key * count + id]));
        let mut all = Self {
            idle: (0..count).filter(|id| !chosen.contains(id)).map(still).collect(),
            channels: Vec::new(),
            names: Vec::new(),
            bounds: Vec::new(),
            servo,
            frame_skip: set.frame_skip,
        };
        let ranged = match set.action {
            Kind::Control => mujoco::actions(model).map_err(|e| super::about("model", e))?,
            Kind::Target => ActionSpec::Continuous { fields: Vec::new() },
        };
        let ActionSpec::Continuous { fields: ranged } = ranged else { return Ok(all) };
        for id in chosen {
            let name = model.id_to_name(MjtObjBase::mjOBJ_ACTUATOR, id).filter(|n| !n.is_empty());
            let name = name.map_or(format!("actuator {id}"), Into::into);
            let [low, high] = model.actuator_ctrlrange()[id];
            let range = if model.actuator_ctrllimited()[id] { (low, high) } else { (-f64::INFINITY, f64::INFINITY) };
            let channel = |rest, scale, joint| Channel { control: id, rest, scale, range, joint };
            let joint = match model.actuator_trntype()[id] {
                MjtTrn::mjTRN_JOINT | MjtTrn::mjTRN_JOINTINPARENT => Some(model.actuator_trnid()[id][0] as usize),
                _ => None,
            };
            let turns = |j: &usize| matches!(model.jnt_type()[*j], MjtJoint::mjJNT_HINGE | MjtJoint::mjJNT_SLIDE);
            let at = |j: usize| (model.jnt_qposadr()[j] as usize, model.jnt_dofadr()[j] as usize);
            let joint = joint.filter(turns).map(at);
            if set.action == Kind::Control {
                all.channels.push(channel(0.0, 1.0, joint));
                all.names.push(ranged[id].name.clone());
                all.bounds.push((ranged[id].low, ranged[id].high));
                continue;
            }
            let Some(at) = joint else {
                let message = format!("actuator `{name}` moves no hinge or slide: it cannot be given a position");
                return Err(names::wrong(&["action"], message));
            };
            let own = model.actuator_biastype()[id] != MjtBias::mjBIAS_NONE;
            if own == servo.is_some() {
                let message = if own {
                    format!("actuator `{name}` has a stiffness of its own: leave out `kp` and `kd`")
                } else {
                    format!("actuator `{name}` takes forces: positions need a stiffness, `kp` (and `kd`)")
                };
                return Err(names::wrong(&[if own { "kp" } else { "action" }], message));
            }
            all.channels.push(channel(pose[at.0], set.action_scale, joint));
            all.names.push(name);
            all.bounds.push((-1.0, 1.0));
        }
        Ok(all)
    }

    /// Numbers of an action.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Actions that are remembered: the newest, the one before, and those that a latency of so many `mj_step`s asks for.
    pub fn kept(&self, latency: f64) -> usize {
        1 + (latency / f64::from(self.frame_skip)).ceil().max(1.0) as usize
    }

    /// As a spec says it.
    pub fn spec(&self) -> ActionSpec {
        let field = |(name, (low, high)): (&String, &(f32, f32))| Field::new(name.clone(), "", *low, *high);
        ActionSpec::Continuous { fields: self.names.iter().zip(&self.bounds).map(field).collect() }
    }

    /// Whether a remembered action can be one: within its bounds, or 0 before there was any.
    pub fn holds(&self, action: &[f64]) -> bool {
        let mut both = action.iter().zip(&self.bounds);
        both.all(|(a, (low, high))| *a == 0.0 || *a >= f64::from(*low) && *a <= f64::from(*high))
    }

    /// Writes the controls of `mj_step` number `frame` of a step. `actions`: those remembered, the newest first.
    pub fn drive(&self, frame: u32, memory: &[f64], actions: &[f64], data: &mut Data) {
        // A latency of d `mj_step`s: at the frame it is the action that was the newest d steps ago.
        let late = (memory[LATENCY] as u32).saturating_sub(frame).div_ceil(self.frame_skip) as usize;
        let action = &actions[late * self.len()..(late + 1) * self.len()];
        self.idle.iter().for_each(|(control, still)| data.ctrl_mut()[*control] = *still);
        for (channel, a) in self.channels.iter().zip(action) {
            let asked = channel.rest + channel.scale * a;
            let control = match (self.servo, channel.joint) {
                (Some((kp, kd)), Some((q, v))) => kp * (asked - data.qpos()[q]) - kd * data.qvel()[v],
                _ => asked,
            };
            data.ctrl_mut()[channel.control] = control.clamp(channel.range.0, channel.range.1) * memory[GAIN];
        }
    }

    /// The coordinates of the driven joints less those of the pose: squared and summed.
    pub fn off_pose(&self, qpos: &[f64], pose: &[f64]) -> f64 {
        self.channels.iter().filter_map(|c| c.joint).map(|(q, _)| (qpos[q] - pose[q]).powi(2)).sum()
    }
}
