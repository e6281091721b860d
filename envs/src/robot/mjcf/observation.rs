//! What is observed: a list of fields, each with its own scale and noise.

use super::control::Control;
use super::reading::{ANGULAR, GRAVITY, LINEAR, PLACE, Point, Readings};
use super::{COMMAND, Memory, names};
use crate::robot::simulator::Look;
use agon_core::{EnvError, Field, choices, settings};
use mujoco_rs::wrappers::mj_model::{MjModel, MjtJoint, MjtObjBase};

choices! {
    /// A field. Joints are hinges and slides, all of them unless `of` names some; their positions are relative to the
    /// pose that episodes start from.
    pub enum Kind {
        /// All coordinates as MuJoCo has them: m, rad, parts of quaternions.
        Qpos = "qpos",
        /// All velocities as MuJoCo has them: m/s, rad/s.
        Qvel = "qvel",
        JointPositions = "joint_positions", JointVelocities = "joint_velocities",
        /// z of the base in the world, m.
        BaseHeight = "base_height",
        /// The direction of gravity in the base's frame, of length 1: (0, 0, −1) where it stands upright.
        ProjectedGravity = "projected_gravity",
        /// In the base's frame, m/s.
        BaseLinearVelocity = "base_linear_velocity",
        /// In the base's frame, rad/s.
        BaseAngularVelocity = "base_angular_velocity",
        /// The action before.
        LastAction = "last_action",
        /// The velocities to be tracked: x and y in m/s, about z in rad/s.
        Command = "command",
        /// The sensors that `of` names.
        Sensor = "sensor",
        /// Whether each geom or body that `of` names touches what stands still: 1 or 0.
        Contact = "contact",
        /// The sites, bodies or geoms that `of` names, in the world, m.
        Place = "place",
        /// From the first that `of` names to the second, m, along the world's axes.
        Offset = "offset",
    }
}

settings! {
    /// One observed field.
    pub struct Observed {
        /// Which.
        field: Kind = Kind::JointPositions;
        /// Names in the model, where the field needs them.
        of: Vec<String> = Vec::new();
        /// What its numbers are multiplied with.
        scale: f64 = 1.0, in [-1e6, 1e6];
        /// Noise added to each of its numbers in every step: uniform, at most this; before scaling.
        noise: f64 = 0.0, in [0.0, 1e6];
    }
}

/// Where a number comes from.
#[derive(Clone, Copy, Debug)]
enum From {
    /// A coordinate, less this.
    Qpos(usize, f64),
    Qvel(usize),
    Read(usize),
    Memory(usize),
}

#[derive(Clone, Copy, Debug)]
struct Number {
    from: From,
    scale: f64,
    /// Where its noise is in memory, if it has any.
    noise: Option<usize>,
}

/// All observed numbers in order.
#[derive(Debug, Default)]
pub struct Observation {
    numbers: Vec<Number>,
    /// Their names and units.
    pub fields: Vec<Field>,
    /// How much noise each noisy number has.
    pub noise: Vec<f64>,
}

impl Observation {
    /// Finds every field in the model. `pose`: `[nq]` coordinates that joint positions are relative to.
    pub fn new(
        list: &[Observed],
        model: &MjModel,
        pose: &[f64],
        control: &Control,
        memory: &Memory,
        readings: &mut Readings,
    ) -> Result<Self, EnvError> {
        let mut all = Self::default();
        if list.is_empty() {
            return Err(names::wrong(&["observe"], "name what is observed, such as \"joint_positions\"".into()));
        }
        for (place, one) in (1..).zip(list) {
            let place = place.to_string();
            all.add(one, &["observe", &place, "of"], model, pose, control, memory, readings)?;
        }
        if all.numbers.is_empty() {
            return Err(names::wrong(&["observe"], "the model has none of these: nothing would be observed".into()));
        }
        Ok(all)
    }

    #[allow(clippy::too_many_arguments)] // one call
    fn add(
        &mut self,
        one: &Observed,
        path: &[&str],
        model: &MjModel,
        pose: &[f64],
        control: &Control,
        memory: &Memory,
        readings: &mut Readings,
    ) -> Result<(), EnvError> {
        let takes_names = [Kind::JointPositions, Kind::JointVelocities, Kind::Sensor, Kind::Contact, Kind::Place];
        let needs = [Kind::Sensor, Kind::Contact, Kind::Place].contains(&one.field) && one.of.is_empty();
        if needs || one.field == Kind::Offset && one.of.len() != 2 {
            let how = if needs { "names" } else { "two names: from where, to where" };
            return Err(names::wrong(path, format!("this field needs {how}: `of = [..]`")));
        }
        if !takes_names.contains(&one.field) && one.field != Kind::Offset && !one.of.is_empty() {
            return Err(names::wrong(path, "this field has no parts that could be named".into()));
        }
        let mut push = |from: From, name: String, unit: &str| {
            let noise = (one.noise > 0.0).then_some(memory.noise + self.noise.len());
            self.noise.extend(noise.map(|_| one.noise));
            self.numbers.push(Number { from, scale: one.scale, noise });
            let unit = if one.scale == 1.0 { unit } else { "" };
            self.fields.push(Field::new(name, unit, -f32::INFINITY, f32::INFINITY));
        };
        let axes = ["x", "y", "z"];
        let mut three = |at: usize, name: &str, unit: &str| {
            axes.iter().zip(at..).for_each(|(axis, at)| push(From::Read(at), format!("{name} {axis}"), unit));
        };
        match one.field {
            Kind::Qpos => {
                let fields = super::super::mujoco::positions(model, 0);
                fields.into_iter().enumerate().for_each(|(i, f)| push(From::Qpos(i, 0.0), f.name, &f.unit));
            }
            Kind::Qvel => {
                let fields = super::super::mujoco::velocities(model, f64::INFINITY);
                fields.into_iter().enumerate().for_each(|(i, f)| push(From::Qvel(i), f.name, &f.unit));
            }
            Kind::JointPositions | Kind::JointVelocities => {
                for joint in joints(model, &one.of, path)? {
                    let name = model.id_to_name(MjtObjBase::mjOBJ_JOINT, joint).filter(|n| !n.is_empty());
                    let name = name.map_or(format!("joint {joint}"), Into::into);
                    let metres = model.jnt_type()[joint] == MjtJoint::mjJNT_SLIDE;
                    if one.field == Kind::JointPositions {
                        let at = model.jnt_qposadr()[joint] as usize;
                        push(From::Qpos(at, pose[at]), name, if metres { "m" } else { "rad" });
                    } else {
                        let unit = if metres { "m/s" } else { "rad/s" };
                        push(From::Qvel(model.jnt_dofadr()[joint] as usize), format!("{name} velocity"), unit);
                    }
                }
            }
            Kind::BaseHeight => push(From::Read(PLACE + 2), "base height".into(), "m"),
            Kind::ProjectedGravity => three(GRAVITY, "gravity", ""),
            Kind::BaseLinearVelocity => three(LINEAR, "base velocity", "m/s"),
            Kind::BaseAngularVelocity => three(ANGULAR, "base angular velocity", "rad/s"),
            Kind::LastAction => {
                let names = control.names.iter().enumerate();
                names.for_each(|(i, name)| push(From::Memory(memory.actions + i), format!("last {name}"), ""));
            }
            Kind::Command => {
                let parts = [("command x", "m/s"), ("command y", "m/s"), ("command yaw", "rad/s")];
                let parts = parts.iter().zip(COMMAND..);
                parts.for_each(|((name, unit), at)| push(From::Memory(at), (*name).into(), unit));
            }
            Kind::Sensor => {
                for name in &one.of {
                    let id = names::one(model, MjtObjBase::mjOBJ_SENSOR, name, path)?;
                    let (at, numbers) = readings.sensor(model, id);
                    (0..numbers).for_each(|k| push(From::Read(at + k), format!("{name} {}", k + 1), ""));
                }
            }
            Kind::Contact => {
                for name in &one.of {
                    let at = readings.contact(names::geoms(model, name, path)?);
                    push(From::Read(at), format!("{name} contact"), "");
                }
            }
            Kind::Place => {
                for name in &one.of {
                    three(readings.place(Point::named(model, name, path)?), name, "m");
                }
            }
            Kind::Offset => {
                let [from, to] = [&one.of[0], &one.of[1]];
                let at = readings.offset(Point::named(model, from, path)?, Point::named(model, to, path)?);
                three(at, &format!("{from} to {to}"), "m");
            }
        }
        Ok(())
    }

    /// Tells every number in order.
    pub fn tell(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        for number in &self.numbers {
            let x = match number.from {
                From::Qpos(at, rest) => now.qpos[at] - rest,
                From::Qvel(at) => now.qvel[at],
                From::Read(at) => now.read[at],
                From::Memory(at) => now.memory[at],
            };
            see(number.scale * (x + number.noise.map_or(0.0, |at| now.memory[at])));
        }
    }
}

/// Hinges and slides by name, or all of them.
pub fn joints(model: &MjModel, of: &[String], path: &[&str]) -> Result<Vec<usize>, EnvError> {
    let moves = |id: usize| matches!(model.jnt_type()[id], MjtJoint::mjJNT_HINGE | MjtJoint::mjJNT_SLIDE);
    if of.is_empty() {
        return Ok((0..model.ffi().njnt as usize).filter(|id| moves(*id)).collect());
    }
    let one = |name: &String| match names::one(model, MjtObjBase::mjOBJ_JOINT, name, path)? {
        id if moves(id) => Ok(id),
        _ => Err(names::wrong(path, format!("joint `{name}` is neither a hinge nor a slide"))),
    };
    of.iter().map(one).collect()
}
