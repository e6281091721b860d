//! Parts of a model by name. An error is about one setting, and offers the nearest name.

use agon_core::EnvError;
use agon_core::settings::{Issue, hint, nearest};
use mujoco_rs::wrappers::mj_model::{MjModel, MjtObjBase};

/// An error about a setting that lies in tables: `["observe", "2", "of"]`.
pub fn wrong(path: &[&str], message: String) -> EnvError {
    EnvError::Settings(vec![Issue { path: path.iter().map(ToString::to_string).collect(), at_key: false, message }])
}

/// What can be named, and how messages call it.
const KINDS: [(MjtObjBase, &str, fn(&MjModel) -> i64); 7] = [
    (MjtObjBase::mjOBJ_BODY, "body", |m| m.ffi().nbody),
    (MjtObjBase::mjOBJ_JOINT, "joint", |m| m.ffi().njnt),
    (MjtObjBase::mjOBJ_GEOM, "geom", |m| m.ffi().ngeom),
    (MjtObjBase::mjOBJ_SITE, "site", |m| m.ffi().nsite),
    (MjtObjBase::mjOBJ_ACTUATOR, "actuator", |m| m.ffi().nactuator),
    (MjtObjBase::mjOBJ_SENSOR, "sensor", |m| m.ffi().nsensor),
    (MjtObjBase::mjOBJ_KEY, "keyframe", |m| m.ffi().nkey),
];

/// The number of what one of these kinds calls `name`, with its kind.
pub fn one_of(
    model: &MjModel,
    kinds: &[MjtObjBase],
    name: &str,
    path: &[&str],
) -> Result<(MjtObjBase, usize), EnvError> {
    // MuJoCo's own look-up takes no text with a zero in it.
    let known = || KINDS.iter().filter(|(kind, ..)| kinds.contains(kind));
    let all = |(kind, _, count): &(MjtObjBase, &str, fn(&MjModel) -> i64)| {
        let kind = *kind;
        (0..count(model) as usize).filter_map(move |id| Some((kind, id, model.id_to_name(kind, id)?)))
    };
    if let Some((kind, id, _)) = known().flat_map(all).find(|(.., own)| *own == name) {
        return Ok((kind, id));
    }
    let what = known().map(|(_, what, _)| *what).collect::<Vec<_>>().join(" or ");
    let near = hint(&nearest(name, known().flat_map(all).map(|(.., own)| own)));
    Err(wrong(path, format!("the model has no {what} `{name}`{near}")))
}

/// The number of what this kind calls `name`.
pub fn one(model: &MjModel, kind: MjtObjBase, name: &str, path: &[&str]) -> Result<usize, EnvError> {
    one_of(model, &[kind], name, path).map(|(_, id)| id)
}

/// The geoms of this name, or all of a body of this name.
pub fn geoms(model: &MjModel, name: &str, path: &[&str]) -> Result<Vec<usize>, EnvError> {
    match one_of(model, &[MjtObjBase::mjOBJ_GEOM, MjtObjBase::mjOBJ_BODY], name, path)? {
        (MjtObjBase::mjOBJ_GEOM, id) => Ok(vec![id]),
        (_, body) => Ok((0..model.ffi().ngeom as usize).filter(|g| model.geom_bodyid()[*g] as usize == body).collect()),
    }
}
