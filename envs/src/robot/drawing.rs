//! A robot from the side (x and z) or from above (x and y): the outlines of its parts, with a window that follows it.

use super::mujoco::Data;
use agon_core::Scene;
use agon_core::scene::Ink;
use mujoco_rs::wrappers::mj_model::{MjModel, MjtGeomBase, MjtObjBase};

/// Where a robot is looked at from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// The world's axis that is drawn upwards: 1 from above, 2 from the side.
    up: usize,
    /// Half the height of the window, m.
    reach: f64,
}

/// Half the width of the window, in half heights: about what a terminal's pane is.
const WIDE: f64 = 1.7;

impl Camera {
    /// A window that the robot fills. `data`: the robot at rest, kinematics up to date.
    pub fn new(data: &Data, from_above: bool) -> Self {
        let (model, centre) = (data.model(), data.subtree_com()[0]);
        let far = |geom: usize| {
            let apart = data.geom_xpos()[geom].iter().zip(centre).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            apart + model.geom_rbound()[geom]
        };
        let reach = geoms(model).filter(|g| moves(model, *g)).map(far).fold(0.0, f64::max);
        Self { up: if from_above { 1 } else { 2 }, reach: reach.clamp(0.01, 1e6) * 1.1 }
    }

    /// Draws `data`, whose kinematics are up to date. Planes are the ground, seen from the side; capsules, cylinders and
    /// boxes are outlines along their long axis; spheres and ellipsoids are circles.
    pub fn draw(&self, data: &Data, scene: &mut Scene) {
        let (model, up) = (data.model(), self.up);
        let (x, y) = (data.subtree_com()[0][0], data.subtree_com()[0][up]);
        let [left, right] = [x - WIDE * self.reach, x + WIDE * self.reach];
        scene.window([left, right], [y - self.reach, y + self.reach]);
        for geom in geoms(model) {
            let (at, turn, size) = (data.geom_xpos()[geom], data.geom_xmat()[geom], model.geom_size()[geom]);
            let inks = inks(model, geom);
            // Column k of the rotation is the part's own axis k.
            let axis = |k: usize, half: f64| [turn[k] * half, turn[3 * up + k] * half];
            match model.geom_type()[geom] {
                MjtGeomBase::mjGEOM_PLANE if up == 2 => self.ground(scene, left, right, at[2]),
                MjtGeomBase::mjGEOM_PLANE => {}
                MjtGeomBase::mjGEOM_CAPSULE | MjtGeomBase::mjGEOM_CYLINDER => {
                    outline(scene, [at[0], at[up]], axis(2, size[1]), size[0], inks);
                }
                MjtGeomBase::mjGEOM_SPHERE | MjtGeomBase::mjGEOM_ELLIPSOID => {
                    scene.circle(at[0], at[up], size[0], inks.0);
                }
                _ => outline(scene, [at[0], at[up]], axis(0, size[0]), size[2], inks),
            }
        }
        scene.note("x", format!("{x:.2} m"));
        scene.note("time", format!("{:.2} s", data.time()));
    }

    /// A line with marks that stand still, so that movement is seen.
    fn ground(&self, scene: &mut Scene, left: f64, right: f64, height: f64) {
        let apart = 10f64.powf(self.reach.log10().ceil()) / 2.0;
        scene.line(left, height, right, height, Ink::Frame);
        let mut mark = (left / apart).ceil() * apart;
        while mark < right {
            scene.line(mark, height, mark, height - 0.06 * self.reach, Ink::Frame);
            mark += apart;
        }
    }
}

fn geoms(model: &MjModel) -> std::ops::Range<usize> {
    0..model.ffi().ngeom as usize
}

fn moves(model: &MjModel, geom: usize) -> bool {
    model.body_weldid()[model.geom_bodyid()[geom] as usize] != 0
}

/// The colours of a part's ends and sides: what stands still, what is to be reached, the robot.
fn inks(model: &MjModel, geom: usize) -> (Ink, Ink) {
    let body = model.id_to_name(MjtObjBase::mjOBJ_BODY, model.geom_bodyid()[geom] as usize);
    match body {
        _ if !moves(model, geom) => (Ink::Frame, Ink::Frame),
        Some("target" | "goal") => (Ink::Goal, Ink::Goal),
        _ => (Ink::Body, Ink::Agent),
    }
}

/// Two sides and two round ends about the line from `at − axis` to `at + axis`.
fn outline(scene: &mut Scene, at: [f64; 2], axis: [f64; 2], radius: f64, (ends, sides): (Ink, Ink)) {
    let length = axis[0].hypot(axis[1]);
    let (low, high) = ([at[0] - axis[0], at[1] - axis[1]], [at[0] + axis[0], at[1] + axis[1]]);
    scene.circle(low[0], low[1], radius, ends);
    scene.circle(high[0], high[1], radius, ends);
    if length > 0.0 {
        let side = [-axis[1] / length * radius, axis[0] / length * radius];
        for sign in [1.0, -1.0] {
            let (dx, dy) = (sign * side[0], sign * side[1]);
            scene.line(low[0] + dx, low[1] + dy, high[0] + dx, high[1] + dy, sides);
        }
    }
}
