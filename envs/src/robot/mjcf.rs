//! A robot of any MJCF file: what it observes, what it earns, when it is over and what differs from episode to episode
//! are settings. Steps are those of the other robots (see [`super::simulator`]), so what MuJoCo computes on the way to a
//! state (places of bodies, sensors, contacts) is of one `mj_step` before it.

mod command;
mod control;
mod names;
mod observation;
mod randomize;
mod reading;
mod reward;

pub use command::Command;
pub use control::Kind as Action;
pub use observation::{Kind as ObservedField, Observed};
pub use randomize::Randomize;
pub use reward::{TERMS, TermName, Weighted};

use super::Part;
use super::mujoco::{self, Data};
use super::simulator::{Look, MOST, Robot, Task};
use agon_core::env::{Fold, Measure, ensure, within};
use agon_core::settings::Setting;
use agon_core::{ActionSpec, EnvError, Field, Rng, settings};
use control::Control;
use mujoco_rs::wrappers::mj_model::{MjModel, MjtObjBase};
use observation::Observation;
use randomize::Randomization;
use reading::{GRAVITY, PLACE, Readings};
use reward::{Moment, Term};
use std::sync::Arc;

settings! {
    /// What ends an episode before its limit.
    pub struct Terminate {
        /// The base is below this, m.
        height_below: Option<f64> = None, in [-1e6, 1e6];
        /// The base is above this, m.
        height_above: Option<f64> = None, in [-1e6, 1e6];
        /// The base is tilted by more than this, rad.
        tilt_above: Option<f64> = None, in [0.0, 3.2];
        /// One of these geoms, or geoms of these bodies, touches what stands still.
        contact: Vec<String> = Vec::new();
    }
}

fn list<T: Setting>(values: serde_json::Value) -> Vec<T> {
    Vec::from_value(&values).expect("defaults are valid")
}

settings! {
    /// Defaults make Gymnasium's ant walk.
    pub struct MjcfSettings {
        /// The model: a path beside the scenario, or one of those that `make deps` fetched, such as `ant.xml`.
        model: String = "ant.xml".into();
        /// CRC-32C of the model as MuJoCo compiles it; filled in. Another model is refused.
        checksum: Option<u32> = None;
        /// The keyframe that episodes start from; the first one if left out, or the model's own pose.
        keyframe: String = String::new();
        /// The body whose height, tilt and velocities count: its name or number.
        base: Part = Part::Number(1);
        /// `mj_step`s of one step.
        frame_skip: u32 = 5, in [1.0, 1000.0];
        /// Steps after which an episode is truncated.
        step_limit: u32 = 1000, in [1.0, 1e9];
        /// Actuators that actions drive, by name; all of them if left out.
        actuators: Vec<String> = Vec::new();
        /// What the numbers of an action are: controls, or positions of joints about the pose.
        action: Action = Action::Control;
        /// Positions: what an action of 1 moves a joint by, rad or m.
        action_scale: f64 = 0.25, in [1e-6, 1e6];
        /// Positions, where actuators take forces: stiffness, N m/rad.
        kp: Option<f64> = None, in [0.0, 1e9];
        /// The same: damping, N m s/rad.
        kd: f64 = 0.0, in [0.0, 1e9];
        /// What is observed, in order.
        observe: Vec<Observed> = list(serde_json::json!([
            "base_height", "projected_gravity", "base_linear_velocity", "base_angular_velocity",
            "joint_positions", "joint_velocities", "last_action"
        ]));
        /// What a step earns: the sum of these.
        reward: Vec<Weighted> = list(serde_json::json!([
            "forward_velocity", "alive", {"term": "control_cost", "weight": -0.5}
        ]));
        /// What ends an episode.
        terminate: Terminate = Terminate::default();
        /// What differs from episode to episode.
        randomize: Randomize = Randomize::default();
        /// Velocities to be tracked.
        command: Command = Command::default();
    }
}

/// Where an episode's memory holds what: steps of the episode.
const AGE: usize = 0;
/// The level of commands.
const LEVEL: usize = 1;
/// How well commands were tracked, summed up.
const TRACKED: usize = 2;
/// The command: x, y, yaw.
const COMMAND: usize = 3;
/// What was drawn: see [`Randomize`].
const MASS: usize = 6;
const FRICTION: usize = 7;
const DAMPING: usize = 8;
const GAIN: usize = 9;
const LATENCY: usize = 10;

/// The longest episode, in steps.
const OLDEST: f64 = 1e9;

/// Where the rest of a memory is.
#[derive(Debug)]
struct Memory {
    /// Actions, the newest first.
    actions: usize,
    /// The noise of observations.
    noise: usize,
    /// What the terms were worth in the last step, then the measures beside them.
    terms: usize,
    len: usize,
}

/// The rules.
pub struct Mjcf {
    set: MjcfSettings,
    dt: f64,
    pose: Vec<f64>,
    rest: Vec<f64>,
    control: Control,
    observation: Observation,
    terms: Vec<Term>,
    randomization: Randomization,
    readings: Readings,
    /// Where it is read whether a part touches the ground that must not.
    contact: Option<usize>,
    memory: Memory,
    measures: Vec<Measure>,
}

/// The same error, about another setting.
fn about(key: &str, error: EnvError) -> EnvError {
    match error {
        EnvError::Settings(issues) => EnvError::Settings(
            issues.into_iter().map(|i| agon_core::settings::Issue { path: vec![key.into()], ..i }).collect(),
        ),
        other => other,
    }
}

/// Where episodes start: a keyframe, coordinates, velocities.
type Start = (Option<usize>, Vec<f64>, Vec<f64>);

fn start_of(set: &MjcfSettings, model: &MjModel) -> Result<Start, EnvError> {
    let keyframe = match &*set.keyframe {
        "" => (model.ffi().nkey > 0).then_some(0),
        name => Some(names::one(model, MjtObjBase::mjOBJ_KEY, name, &["keyframe"])?),
    };
    let (nq, nv) = (model.ffi().nq as usize, model.ffi().nv as usize);
    Ok(match keyframe {
        None => (None, model.qpos0().to_vec(), vec![0.0; nv]),
        Some(k) => {
            (Some(k), model.key_qpos()[k * nq..(k + 1) * nq].to_vec(), model.key_qvel()[k * nv..(k + 1) * nv].to_vec())
        }
    })
}

impl Mjcf {
    /// The last actions of a memory, the newest first.
    fn actions<'a>(&self, memory: &'a [f64]) -> &'a [f64] {
        &memory[self.memory.actions..self.memory.noise]
    }

    fn draw_noise(&self, memory: &mut [f64], rng: &mut Rng) {
        let noise = &mut memory[self.memory.noise..self.memory.terms];
        noise.iter_mut().zip(&self.observation.noise).for_each(|(x, most)| *x = rng.range(-most, *most));
    }

    /// Whether the rules end an episode where this is read.
    fn ends(&self, read: &[f64]) -> bool {
        let (set, height) = (&self.set.terminate, read[PLACE + 2]);
        let tilt = || (-read[GRAVITY + 2]).clamp(-1.0, 1.0).acos();
        set.height_below.is_some_and(|low| height < low)
            || set.height_above.is_some_and(|high| height > high)
            || set.tilt_above.is_some_and(|most| tilt() > most)
            || self.contact.is_some_and(|at| read[at] > 0.0)
    }
}

impl Robot for Mjcf {
    type Settings = MjcfSettings;
    const FILES: &'static [(&'static str, &'static str)] = &[("model", "model.mjb")];

    fn task(set: &MjcfSettings) -> Task {
        Task { xml_file: set.model.clone(), frame_skip: set.frame_skip, step_limit: set.step_limit }
    }

    fn load(set: &MjcfSettings) -> Result<Arc<MjModel>, EnvError> {
        mujoco::load_known("model", &set.model, set.checksum)
    }

    fn complete(set: MjcfSettings) -> Result<MjcfSettings, EnvError> {
        let sum = mujoco::checksum(&*Self::load(&set)?);
        Ok(MjcfSettings { checksum: Some(sum), ..set })
    }

    fn new(set: MjcfSettings, model: &MjModel, dt: f64) -> Result<Self, EnvError> {
        let (keyframe, pose, rest) = start_of(&set, model)?;
        let base = match &set.base {
            Part::Name(name) => names::one(model, MjtObjBase::mjOBJ_BODY, name, &["base"])?,
            number @ Part::Number(_) => number.of("base", model)?,
        };
        let control = Control::new(&set, model, keyframe, &pose)?;
        let randomization = Randomization::new(set.randomize.clone(), model, base)?;
        let mut readings = Readings::new(base);
        let actions = LATENCY + 1;
        let noise = actions + control.kept(randomization.latency()) * control.len();
        let mut memory = Memory { actions, noise, terms: 0, len: 0 };
        let observation = Observation::new(&set.observe, model, &pose, &control, &memory, &mut readings)?;
        let terms = reward::terms(&set, model, &mut readings)?;
        let mut ends = Vec::new();
        for name in &set.terminate.contact {
            ends.extend(names::geoms(model, name, &["terminate", "contact"])?);
        }
        let contact = (!ends.is_empty()).then(|| readings.contact(ends));
        let mut measures: Vec<_> =
            terms.iter().map(|t| Measure { name: t.kind.name, unit: "", fold: Fold::Sum }).collect();
        measures.push(Measure { name: "forward velocity", unit: "m/s", fold: Fold::Mean });
        if set.command.is_given() {
            measures.push(Measure { name: "velocity error", unit: "m/s", fold: Fold::Mean });
            measures.push(Measure { name: "yaw error", unit: "rad/s", fold: Fold::Mean });
            measures.push(Measure { name: "command level", unit: "", fold: Fold::Last });
        }
        memory.terms = memory.noise + observation.noise.len();
        memory.len = memory.terms + measures.len();
        Ok(Self {
            set,
            dt,
            pose,
            rest,
            control,
            observation,
            terms,
            randomization,
            readings,
            contact,
            memory,
            measures,
        })
    }

    fn actions(&self, _model: &MjModel) -> Result<ActionSpec, EnvError> {
        Ok(self.control.spec())
    }

    fn fields(&self, _model: &MjModel) -> Vec<Field> {
        self.observation.fields.clone()
    }

    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], _rng: &mut Rng) {
        qpos.copy_from_slice(&self.pose);
        qvel.copy_from_slice(&self.rest);
    }

    fn memory(&self) -> usize {
        self.memory.len
    }

    fn forget(&self, memory: &mut [f64]) {
        memory.fill(0.0);
        memory[MASS..LATENCY].fill(1.0);
        memory[LEVEL] = self.set.command.start;
    }

    fn begin(&self, memory: &mut [f64], qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        let command = &self.set.command;
        let level = command.next_level(memory[LEVEL], memory[TRACKED], memory[AGE]);
        self.forget(memory);
        memory[LEVEL] = level;
        self.start(qpos, qvel, rng);
        self.randomization.draw(memory, qpos, qvel, rng);
        command.draw(memory, rng);
        self.draw_noise(memory, rng);
    }

    fn check(&self, memory: &[f64]) -> Result<(), String> {
        within("an episode's age", memory[AGE], 0.0, OLDEST)?;
        ensure(memory[AGE].fract() == 0.0, "an episode's age is an integer")?;
        within("what was tracked", memory[TRACKED], 0.0, memory[AGE])?;
        self.set.command.check(memory)?;
        self.randomization.check(memory)?;
        let mut actions = self.actions(memory).chunks(self.control.len().max(1));
        ensure(actions.all(|action| self.control.holds(action)), "an action of its past is out of its bounds")?;
        let noise = &memory[self.memory.noise..self.memory.terms];
        let mut noise = noise.iter().zip(&self.observation.noise);
        noise.try_for_each(|(x, most)| within("noise", *x, -most, *most))
    }

    fn varies(&self) -> bool {
        self.randomization.varies()
    }

    fn vary(&self, memory: &[f64], model: &MjModel, own: &mut MjModel) {
        Randomization::vary(memory, model, own);
    }

    fn act(&self, action: &[f64], memory: &mut [f64], data: &mut Data, rng: &mut Rng) {
        self.randomization.push(memory[AGE], data, rng);
        let past = &mut memory[self.memory.actions..self.memory.noise];
        past.copy_within(..past.len() - action.len(), action.len());
        past[..action.len()].copy_from_slice(action);
    }

    fn frame(&self, frame: u32, memory: &[f64], data: &mut Data) {
        self.control.drive(frame, memory, self.actions(memory), data);
    }

    fn read(&self, data: &Data, out: &mut Vec<f64>) {
        self.readings.read(data, out);
    }

    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64)) {
        self.observation.tell(now, see);
    }

    fn reward(&self, _before: Look<'_>, _now: Look<'_>, _action: &[f64]) -> f64 {
        0.0 // see `earn`
    }

    fn earn(&self, before: Look<'_>, now: Look<'_>, action: &[f64], memory: &mut [f64], rng: &mut Rng) -> f64 {
        let bounded = |x: f64| x.clamp(-MOST, MOST); // what is told is a part of the state
        let (past, tail) = memory.split_at_mut(self.memory.terms);
        let n = action.len();
        let moment = Moment {
            before,
            now,
            dt: self.dt,
            action: [action, &past[self.memory.actions + n..self.memory.actions + 2 * n]],
            command: [past[COMMAND], past[COMMAND + 1], past[COMMAND + 2]],
            over: self.ends(now.read),
            pose: &self.pose,
            control: &self.control,
        };
        let (worths, beside) = tail.split_at_mut(self.terms.len());
        worths.iter_mut().zip(&self.terms).for_each(|(worth, term)| *worth = bounded(term.worth(&moment)));
        let error = moment.velocity_error();
        let told = [moment.forward_velocity(), error.sqrt(), moment.yaw_error().sqrt(), past[LEVEL]];
        beside.iter_mut().zip(told).for_each(|(own, x)| *own = bounded(x));
        let earned = worths.iter().sum();
        memory[AGE] = (memory[AGE] + 1.0).min(OLDEST);
        memory[TRACKED] = (memory[TRACKED] + (-error / command::WIDTH).exp()).min(memory[AGE]);
        if self.set.command.is_due(memory[AGE]) {
            self.set.command.draw(memory, rng);
        }
        self.draw_noise(memory, rng);
        earned
    }

    fn terminated(&self, now: Look<'_>) -> bool {
        self.ends(now.read)
    }

    fn measures(&self) -> &[Measure] {
        &self.measures
    }

    fn measure(&self, memory: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&memory[self.memory.terms..]);
    }
}
