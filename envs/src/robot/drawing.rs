//! A robot in three dimensions: the model's own parts, with a camera that follows its centre of mass.

use super::mujoco::Data;
use agon_core::Scene;
use agon_core::scene::{Ink, Solid, Space, Vector};
use mujoco_rs::wrappers::mj_model::{MjModel, MjtGeomBase, MjtObjBase};

/// Where a robot is looked at from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// rad above the horizon.
    elevation: f64,
    /// rad from the x axis: a little beside straight across the way of those that walk along x.
    azimuth: f64,
    /// What is so near to the centre of mass is in the picture, m.
    reach: f64,
}

impl Camera {
    /// A picture that the robot and what stands about it fill. `data`: the robot at rest, kinematics up to date. `from_above`: it moves in the
    /// plane of x and y.
    pub fn new(data: &Data, from_above: bool) -> Self {
        let (model, centre) = (data.model(), data.subtree_com()[0]);
        let far = |geom: usize| {
            let apart = data.geom_xpos()[geom].iter().zip(centre).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            apart + model.geom_rbound()[geom]
        };
        let parts = geoms(model).filter(|g| model.geom_type()[*g] != MjtGeomBase::mjGEOM_PLANE);
        let reach = parts.map(far).fold(0.0, f64::max).clamp(0.01, 1e6);
        let [elevation, azimuth] = if from_above { [60f64, -90.0] } else { [14.0, -76.0] }.map(f64::to_radians);
        Self { elevation, azimuth, reach }
    }

    /// Draws `data`, whose kinematics and contacts are up to date. Meshes and other forms are their bounding boxes.
    pub fn draw(&self, data: &Data, scene: &mut Scene) {
        let (model, centre) = (data.model(), data.subtree_com()[0]);
        *scene = Scene::default();
        let mut ground = None;
        let mut solids = Vec::new();
        for geom in geoms(model) {
            match model.geom_type()[geom] {
                MjtGeomBase::mjGEOM_PLANE => ground = Some(data.geom_xpos()[geom][2]),
                _ => solids.push((solid(data, geom), ink(model, geom))),
            }
        }
        let contacts = data.contact().iter().map(|c| c.pos).collect();
        let Self { reach, azimuth, elevation } = *self;
        scene.space = Some(Space { solids, contacts, ground, centre, reach, azimuth, elevation });
        scene.note("x", format!("{:.2} m", centre[0]));
        scene.note("time", format!("{:.2} s", data.time()));
    }
}

fn geoms(model: &MjModel) -> std::ops::Range<usize> {
    0..model.ffi().ngeom as usize
}

fn moves(model: &MjModel, geom: usize) -> bool {
    model.body_weldid()[model.geom_bodyid()[geom] as usize] != 0
}

/// The form of a part where it is now.
fn solid(data: &Data, geom: usize) -> Solid {
    let (model, at, turn) = (data.model(), data.geom_xpos()[geom], data.geom_xmat()[geom]);
    let size = model.geom_size()[geom];
    // Column k of the rotation is the part's own axis k.
    let axis = |k: usize, half: f64| -> Vector { [turn[k] * half, turn[3 + k] * half, turn[6 + k] * half] };
    let axes = |halves: [f64; 3]| [axis(0, halves[0]), axis(1, halves[1]), axis(2, halves[2])];
    let moved = |by: Vector, sign: f64| -> Vector { std::array::from_fn(|i| at[i] + sign * by[i]) };
    match model.geom_type()[geom] {
        MjtGeomBase::mjGEOM_SPHERE => Solid::Capsule { ends: [at, at], radius: size[0] },
        MjtGeomBase::mjGEOM_CAPSULE => {
            let along = axis(2, size[1]);
            Solid::Capsule { ends: [moved(along, -1.0), moved(along, 1.0)], radius: size[0] }
        }
        MjtGeomBase::mjGEOM_CYLINDER => Solid::Cylinder { centre: at, half_axes: axes([size[0], size[0], size[1]]) },
        MjtGeomBase::mjGEOM_ELLIPSOID => Solid::Ellipsoid { centre: at, half_axes: axes(size) },
        MjtGeomBase::mjGEOM_BOX => Solid::Box { centre: at, half_axes: axes(size) },
        _ => {
            let [x, y, z, width, depth, height] = model.geom_aabb()[geom];
            let [a, b, c] = axes([x, y, z]);
            let centre = std::array::from_fn(|i| at[i] + a[i] + b[i] + c[i]);
            Solid::Box { centre, half_axes: axes([width, depth, height]) }
        }
    }
}

/// The colour of a part: what stands still, what is to be reached, the trunk, the limbs.
fn ink(model: &MjModel, geom: usize) -> Ink {
    let body = model.geom_bodyid()[geom] as usize;
    match model.id_to_name(MjtObjBase::mjOBJ_BODY, body) {
        _ if !moves(model, geom) => Ink::Frame,
        Some("target" | "goal") => Ink::Goal,
        _ if model.body_parentid()[body] == 0 => Ink::Body,
        _ => Ink::Agent,
    }
}
