//! What the humanoids observe: coordinates, velocities, and what MuJoCo computes about each body.

use super::Version;
use super::mujoco::{self, Data};
use super::simulator::Look;
use agon_core::Field;
use mujoco_rs::wrappers::mj_model::MjModel;

/// Parts of the observation in order. v5 leaves out the world's own rows and the free joint's actuators, which are zero.
pub struct Anatomy {
    /// Whose world is it that is observed.
    pub version: Version,
    /// Coordinates that are left out at the beginning.
    pub skip: usize,
    /// Whether each body's inertia is observed: 10 numbers.
    pub inertia: bool,
    /// Whether each body's velocity is: 6.
    pub velocity: bool,
    /// Whether the forces of actuators on joints are.
    pub actuator: bool,
    /// Whether the contact forces on each body are: 6.
    pub contact: bool,
}

impl Anatomy {
    /// The first body, and the first degree of freedom, that is observed.
    fn first(&self) -> (usize, usize) {
        if self.version == Version::V4 { (0, 0) } else { (1, 6) }
    }

    /// What is observed, in order.
    pub fn fields(&self, model: &MjModel) -> Vec<Field> {
        let (body, dof) = self.first();
        let bodies = |what, parts| mujoco::bodies(model, what, parts, body, (f64::NEG_INFINITY, f64::INFINITY));
        let mut all = mujoco::positions(model, self.skip);
        all.extend(mujoco::velocities(model, f64::INFINITY));
        if self.inertia {
            all.extend(bodies("inertia", 10));
        }
        if self.velocity {
            all.extend(bodies("velocity", 6));
        }
        if self.actuator {
            let joints = mujoco::velocities(model, f64::INFINITY).split_off(dof);
            all.extend(joints.into_iter().map(|f| Field {
                name: format!("{} actuator", f.name),
                unit: String::new(),
                ..f
            }));
        }
        if self.contact {
            all.extend(bodies("contact force", 6));
        }
        all
    }

    /// Keeps what is observed beside coordinates and velocities.
    pub fn read(&self, data: &Data, out: &mut Vec<f64>) {
        let (body, dof) = self.first();
        if self.inertia {
            out.extend(data.cinert()[body..].as_flattened());
        }
        if self.velocity {
            out.extend(data.cvel()[body..].as_flattened());
        }
        if self.actuator {
            out.extend(&data.qfrc_actuator()[dof..]);
        }
        if self.contact {
            out.extend(data.cfrc_ext()[body..].as_flattened());
        }
    }

    /// Tells the observation; `read`: what [`Anatomy::read`] kept.
    pub fn observe(&self, now: Look<'_>, read: &[f64], see: &mut impl FnMut(f64)) {
        now.qpos[self.skip..].iter().chain(now.qvel).chain(read).for_each(|x| see(*x));
    }
}
