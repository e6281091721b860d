//! What is looked at of a simulation beside coordinates and velocities, after every step. As everywhere on MuJoCo it is
//! of one `mj_step` before.

use super::super::mujoco::Data;
use super::names;
use agon_core::EnvError;
use mujoco_rs::wrappers::mj_model::{MjModel, MjtObjBase};

/// The base's place in the world, m.
pub const PLACE: usize = 0;
/// The direction of gravity in the base's frame, of length 1: (0, 0, −1) where it stands upright.
pub const GRAVITY: usize = 3;
/// The base's velocity in its own frame, m/s.
pub const LINEAR: usize = 6;
/// The base's angular velocity in its own frame, rad/s.
pub const ANGULAR: usize = 9;
/// Σ |force · velocity| of all actuators, W.
pub const POWER: usize = 12;
/// Σ force² of all actuators, (N m)².
pub const EFFORT: usize = 13;
const BASE: usize = 14;

/// A point of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point(MjtObjBase, usize);

impl Point {
    /// A site, body or geom by name.
    pub fn named(model: &MjModel, name: &str, path: &[&str]) -> Result<Self, EnvError> {
        let kinds = [MjtObjBase::mjOBJ_SITE, MjtObjBase::mjOBJ_BODY, MjtObjBase::mjOBJ_GEOM];
        names::one_of(model, &kinds, name, path).map(|(kind, id)| Self(kind, id))
    }

    fn of(self, data: &Data) -> [f64; 3] {
        match self.0 {
            MjtObjBase::mjOBJ_SITE => data.site_xpos()[self.1],
            MjtObjBase::mjOBJ_BODY => data.xpos()[self.1],
            _ => data.geom_xpos()[self.1],
        }
    }
}

#[derive(Debug, PartialEq)]
enum Reading {
    /// Numbers of `sensordata`: first and how many.
    Sensor(usize, usize),
    /// Whether one of these geoms touches what stands still: 1 or 0.
    Contact(Vec<usize>),
    /// From one point to another, world axes, m.
    Offset(Point, Point),
    /// A point in the world, m.
    Place(Point),
}

/// Everything that is read, in order.
#[derive(Debug)]
pub struct Readings {
    base: usize,
    items: Vec<Reading>,
    len: usize,
}

impl Readings {
    /// Only what is always read. `base`: a body.
    pub fn new(base: usize) -> Self {
        Self { base, items: Vec::new(), len: BASE }
    }

    fn add(&mut self, item: Reading, numbers: usize) -> usize {
        self.items.push(item);
        self.len += numbers;
        self.len - numbers
    }

    /// A sensor: where its numbers are, and how many.
    pub fn sensor(&mut self, model: &MjModel, id: usize) -> (usize, usize) {
        let (from, numbers) = (model.sensor_adr()[id] as usize, model.sensor_dim()[id] as usize);
        (self.add(Reading::Sensor(from, numbers), numbers), numbers)
    }

    /// Whether one of these geoms touches what stands still: where that number is.
    pub fn contact(&mut self, geoms: Vec<usize>) -> usize {
        self.add(Reading::Contact(geoms), 1)
    }

    /// From one point to another: where its three numbers are.
    pub fn offset(&mut self, from: Point, to: Point) -> usize {
        self.add(Reading::Offset(from, to), 3)
    }

    /// A point: where its three numbers are.
    pub fn place(&mut self, point: Point) -> usize {
        self.add(Reading::Place(point), 3)
    }

    /// Appends all of it.
    pub fn read(&self, data: &Data, out: &mut Vec<f64>) {
        let turn = &data.xmat()[self.base];
        let [wx, wy, wz, vx, vy, vz] = data.object_velocity(MjtObjBase::mjOBJ_XBODY, self.base, true);
        out.extend(data.xpos()[self.base]);
        out.extend([-turn[6], -turn[7], -turn[8], vx, vy, vz, wx, wy, wz]);
        let (force, speed) = (data.actuator_force(), data.actuator_velocity());
        out.push(force.iter().zip(speed).map(|(f, v)| (f * v).abs()).sum());
        out.push(force.iter().map(|f| f * f).sum());
        for item in &self.items {
            match item {
                Reading::Sensor(from, numbers) => out.extend(&data.sensordata()[*from..from + numbers]),
                Reading::Contact(geoms) => out.push(f64::from(u8::from(touches(data, geoms)))),
                Reading::Offset(from, to) => {
                    let (from, to) = (from.of(data), to.of(data));
                    out.extend([to[0] - from[0], to[1] - from[1], to[2] - from[2]]);
                }
                Reading::Place(point) => out.extend(point.of(data)),
            }
        }
    }
}

fn touches(data: &Data, geoms: &[usize]) -> bool {
    let model = data.model();
    let stands = |geom: i32| model.body_weldid()[model.geom_bodyid()[geom as usize] as usize] == 0;
    let named = |geom: i32| geoms.contains(&(geom as usize));
    // Parts of flexible bodies have no geom: −1.
    data.contact().iter().filter(|c| c.exclude == 0 && c.dist <= 0.0 && c.geom[0] >= 0 && c.geom[1] >= 0).any(|c| {
        let [a, b] = c.geom;
        named(a) && stands(b) || named(b) && stands(a)
    })
}
