//! A robot from the side: the outlines of its parts in the plane of x and z, with a window that follows it.

use super::mujoco::Data;
use agon_core::Scene;
use agon_core::scene::Ink;
use mujoco_rs::wrappers::mj_model::MjtGeomBase;

/// Half the width of the window, in body sizes.
const ROOM: f64 = 2.0;

/// Draws `data`, whose kinematics are up to date. Planes are the ground; capsules, cylinders and boxes are outlines of
/// their long axis; spheres and ellipsoids are circles.
pub fn draw(data: &Data, scene: &mut Scene) {
    let model = data.model();
    let moves = |geom: usize| model.body_weldid()[model.geom_bodyid()[geom] as usize] != 0;
    let shown: Vec<usize> = (0..model.ffi().ngeom as usize).filter(|g| moves(*g)).collect();
    let (x, z) = (data.subtree_com()[0][0], data.subtree_com()[0][2]);
    let size = ROOM * model.stat().extent.clamp(0.1, 10.0) / 2.0;
    scene.window([x - size, x + size], [z - 0.55 * size, z + 0.55 * size]);
    for (geom, kind) in model.geom_type().iter().enumerate() {
        if *kind == MjtGeomBase::mjGEOM_PLANE {
            let ground = data.geom_xpos()[geom][2];
            scene.line(x - size, ground, x + size, ground, Ink::Frame);
            // Marks that stand still, so that movement is seen.
            let step = 10f64.powf((size / 2.0).log10().floor());
            for k in 0..(2.0 * size / step) as i64 + 2 {
                let mark = ((x - size) / step).floor() * step + k as f64 * step;
                scene.line(mark, ground, mark, ground - 0.03 * size, Ink::Frame);
            }
        }
    }
    for geom in shown {
        let ([x, _, z], m, [radius, half, _]) =
            (data.geom_xpos()[geom], data.geom_xmat()[geom], model.geom_size()[geom]);
        match model.geom_type()[geom] {
            MjtGeomBase::mjGEOM_CAPSULE | MjtGeomBase::mjGEOM_CYLINDER => {
                // The third column of the rotation is the long axis.
                outline(scene, [x, z], [m[2] * half, m[8] * half], radius);
            }
            MjtGeomBase::mjGEOM_SPHERE | MjtGeomBase::mjGEOM_ELLIPSOID => scene.circle(x, z, radius, Ink::Body),
            _ => outline(scene, [x, z], [m[0] * radius, m[6] * radius], model.geom_size()[geom][2]),
        }
    }
    scene.note("x", format!("{x:.2} m"));
    scene.note("time", format!("{:.2} s", data.time()));
}

/// Two sides and two round ends about the line from `at − axis` to `at + axis`.
fn outline(scene: &mut Scene, at: [f64; 2], axis: [f64; 2], radius: f64) {
    let length = axis[0].hypot(axis[1]);
    let (low, high) = ([at[0] - axis[0], at[1] - axis[1]], [at[0] + axis[0], at[1] + axis[1]]);
    scene.circle(low[0], low[1], radius, Ink::Body);
    scene.circle(high[0], high[1], radius, Ink::Body);
    if length > 0.0 {
        let side = [-axis[1] / length * radius, axis[0] / length * radius];
        for sign in [1.0, -1.0] {
            let (dx, dz) = (sign * side[0], sign * side[1]);
            scene.line(low[0] + dx, low[1] + dz, high[0] + dx, high[1] + dz, Ink::Agent);
        }
    }
}
