//! MuJoCo 3.17.0: the library, model files, and what the parts of a model are called.

use agon_core::{ActionSpec, EnvError, Field};
use mujoco_rs::wrappers::mj_data::MjData;
use mujoco_rs::wrappers::mj_model::{MjModel, MjtJoint, MjtObjBase};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The only version whose results these environments are held to.
pub const VERSION: &str = "3.17.0";

/// A simulation of one robot.
pub type Data = MjData<Arc<MjModel>>;

/// Whether MuJoCo is there; if not, what to do. `link/` of `scripts/mujoco.py` opens it when it is first asked for.
pub fn library() -> Result<(), EnvError> {
    let how = "run `make deps`, or build Agon without it (`--no-default-features --features torch,rapier`)";
    match mujoco_rs::mujoco_version() {
        VERSION => Ok(()),
        "" => Err(EnvError::Missing(format!("robots need MuJoCo {VERSION}, which was not found: {how}"))),
        other => Err(EnvError::Missing(format!("robots need MuJoCo {VERSION}, and this one is {other}: {how}"))),
    }
}

/// Where the models that come with Gymnasium are: as it was at build time, else in today's cache.
fn models() -> PathBuf {
    let place = format!("mujoco-{VERSION}");
    let built = PathBuf::from(env!("AGON_MUJOCO"));
    let deps = std::env::var_os("AGON_DEPS").map(|deps| Path::new(&deps).join(&place));
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/agon").join(&place));
    let found = [Some(built.clone()), deps, home].into_iter().flatten().map(|home| home.join("models"));
    found.into_iter().find(|models| models.is_dir()).unwrap_or(built.join("models"))
}

/// A file as a scenario names it: a path if it begins with `.`, `/` or `~/`, else one of Gymnasium's models.
fn path(name: &str) -> PathBuf {
    match (name.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ if name.starts_with(['.', '/']) => PathBuf::from(name),
        _ => models().join(name),
    }
}

/// Reads a model file: MJCF, or what MuJoCo compiled of it (`.mjb`). Errors are about the setting `key`.
pub fn load(key: &str, name: &str) -> Result<Arc<MjModel>, EnvError> {
    load_known(key, name, None)
}

/// The same of the model whose [`compiled`] form has this CRC-32C, if it is known; another one is refused.
pub fn load_known(key: &str, name: &str, sum: Option<u32>) -> Result<Arc<MjModel>, EnvError> {
    /// MuJoCo keeps the last model that it read in one place for all threads.
    static TURN: Mutex<()> = Mutex::new(());
    library()?;
    let wrong = |why: String| EnvError::setting(key, why);
    let path = path(name);
    if !path.is_file() {
        return Err(wrong(format!("there is no model file {}", path.display())));
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("mjb"));
    let other = |own: u32| match sum {
        Some(sum) if sum != own => Err(wrong(format!("{} is another model than the one meant", path.display()))),
        _ => Ok(()),
    };
    let read = if compiled {
        let bytes = std::fs::read(&path).map_err(|e| wrong(format!("{}: {e}", path.display())))?;
        // Before MuJoCo sees it: it trusts what is inside such a file.
        other(crc32c::crc32c(&bytes))?;
        MjModel::from_buffer(&bytes)
    } else {
        MjModel::from_xml(&path)
    };
    let model = read.map_err(|e| wrong(format!("{}: {e}", path.display())))?;
    if sum.is_some() && !compiled {
        other(checksum(&model))?;
    }
    let sizes = model.ffi();
    if sizes.nhistory > 0 || sizes.npluginstate > 0 {
        return Err(wrong("models with delays or plugins of their own are not supported".into()));
    }
    if sizes.nu == 0 || sizes.nv == 0 {
        return Err(wrong("the model has no actuators, or nothing that moves".into()));
    }
    Ok(Arc::new(model))
}

/// A model as MuJoCo saves it: everything of it in one piece, meshes included.
pub fn compiled(model: &MjModel) -> Vec<u8> {
    let mut bytes = vec![0; model.size()];
    // A buffer of this size is never too small.
    let _ = model.save_to_buffer(&mut bytes);
    bytes
}

/// CRC-32C of a model as MuJoCo saves it.
pub fn checksum(model: &MjModel) -> u32 {
    crc32c::crc32c(&compiled(model))
}

/// The number of a body. An error says which there are.
pub fn body(model: &MjModel, name: &str) -> Result<usize, EnvError> {
    model.name_to_id(MjtObjBase::mjOBJ_BODY, name).ok_or_else(|| {
        let all = (0..model.ffi().nbody as usize).filter_map(|i| model.id_to_name(MjtObjBase::mjOBJ_BODY, i));
        let near = agon_core::settings::hint(&agon_core::settings::nearest(name, all));
        EnvError::setting("xml_file", format!("the model has no body `{name}`{near}"))
    })
}

/// An error unless the model has so many coordinates and velocities.
pub fn needs(model: &MjModel, positions: usize, velocities: usize) -> Result<(), EnvError> {
    let (nq, nv) = (model.ffi().nq as usize, model.ffi().nv as usize);
    if nq >= positions && nv >= velocities {
        return Ok(());
    }
    let why =
        format!("the model has {nq} coordinates and {nv} velocities; at least {positions} and {velocities} are needed");
    Err(EnvError::setting("xml_file", why))
}

fn named(model: &MjModel, kind: MjtObjBase, what: &str, id: usize) -> String {
    model.id_to_name(kind, id).filter(|n| !n.is_empty()).map_or(format!("{what} {id}"), Into::into)
}

/// What the controls are called, and their ranges.
pub fn actions(model: &MjModel) -> Result<ActionSpec, EnvError> {
    let one = |id: usize| {
        let own = model.id_to_name(MjtObjBase::mjOBJ_ACTUATOR, id).filter(|n| !n.is_empty());
        let joint = || named(model, MjtObjBase::mjOBJ_JOINT, "joint", model.actuator_trnid()[id][0].max(0) as usize);
        let name = own.map_or_else(joint, Into::into);
        let [low, high] = model.actuator_ctrlrange()[id];
        if low < high {
            return Ok(Field::new(name, "", low as f32, high as f32));
        }
        Err(EnvError::setting("xml_file", format!("actuator `{name}` has no range of control (`ctrlrange`)")))
    };
    let mut fields = (0..model.ffi().nu as usize).map(one).collect::<Result<Vec<_>, _>>()?;
    for i in 1..fields.len() {
        if fields[..i].iter().any(|f| f.name == fields[i].name) {
            fields[i].name = format!("{} ({i})", fields[i].name);
        }
    }
    Ok(ActionSpec::Continuous { fields })
}

const UNBOUNDED: f32 = f32::INFINITY;

/// What the coordinates from `from` on are called: metres, radians, parts of quaternions.
pub fn positions(model: &MjModel, from: usize) -> Vec<Field> {
    let free = [("x", "m"), ("y", "m"), ("z", "m"), ("qw", ""), ("qx", ""), ("qy", ""), ("qz", "")];
    joints(model, &free, &free[3..], ["m", "rad"], "", UNBOUNDED).split_off(from)
}

/// What the velocities are called, clipped to ±`limit`.
pub fn velocities(model: &MjModel, limit: f64) -> Vec<Field> {
    let (m, rad) = ("m/s", "rad/s");
    let free = [("vx", m), ("vy", m), ("vz", m), ("wx", rad), ("wy", rad), ("wz", rad)];
    joints(model, &free, &free[3..], [m, rad], " velocity", limit as f32)
}

fn joints(
    model: &MjModel,
    free: &[(&str, &str)],
    ball: &[(&str, &str)],
    [slide, hinge]: [&str; 2],
    suffix: &str,
    limit: f32,
) -> Vec<Field> {
    let mut fields = Vec::new();
    for (id, kind) in model.jnt_type().iter().enumerate() {
        let name = named(model, MjtObjBase::mjOBJ_JOINT, "joint", id);
        let mut add = |name: String, unit: &str| fields.push(Field::new(name, unit, -limit, limit));
        match kind {
            MjtJoint::mjJNT_FREE => free.iter().for_each(|(part, unit)| add(format!("{name} {part}"), unit)),
            MjtJoint::mjJNT_BALL => ball.iter().for_each(|(part, unit)| add(format!("{name} {part}"), unit)),
            MjtJoint::mjJNT_SLIDE => add(format!("{name}{suffix}"), slide),
            MjtJoint::mjJNT_HINGE => add(format!("{name}{suffix}"), hinge),
        }
    }
    fields
}

/// `parts` numbers for each body from `first` on, clipped to `range`: `torso cfrc_ext 1`.
pub fn bodies(model: &MjModel, what: &str, parts: usize, first: usize, range: (f64, f64)) -> Vec<Field> {
    let one = |i: usize| {
        let body = named(model, MjtObjBase::mjOBJ_BODY, "body", first + i / parts);
        Field::new(format!("{body} {what} {}", i % parts + 1), "", range.0 as f32, range.1 as f32)
    };
    (0..(model.ffi().nbody as usize - first) * parts).map(one).collect()
}

/// Three numbers: the place of something.
pub fn place(name: &str) -> Vec<Field> {
    ["x", "y", "z"].iter().map(|axis| Field::new(format!("{name} {axis}"), "m", -UNBOUNDED, UNBOUNDED)).collect()
}
