//! Robots of one kind, each in a simulation of its own that stays where it is: nothing is copied in a step, and a state
//! is read out only where it is saved or drawn.
//!
//! A step is Gymnasium's: the controls, `frame_skip` times `mj_step`, then `mj_rnePostConstraint` where contact forces
//! are looked at, and no `mj_forward`. So what MuJoCo computes on the way to a state (places of bodies, forces) is as it
//! was one `mj_step` before the state, and a state has to carry what is looked at of it ([`Robot::read`]).

use super::drawing::Camera;
use super::mujoco::{self, Data};
use agon_core::batch::Stepped;
use agon_core::env::{Measure, ensure, within};
use agon_core::rng::Stream;
use agon_core::settings::Settings;
use agon_core::thread_pool::ThreadPool;
use agon_core::{ActionSpec, Actions, EnvError, Field, Inspect, Rng, Scene, Spec, States, Status};
use mujoco_rs::wrappers::mj_model::MjModel;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

/// Beyond it MuJoCo itself takes a simulation to have gone wrong (`mjMAXVAL`).
pub const MOST: f64 = 1e10;

/// What every robot can be told beside its own settings.
#[derive(Clone, Debug)]
pub struct Task {
    /// The model file: see [`mujoco::load`].
    pub xml_file: String,
    /// `mj_step`s of one step.
    pub frame_skip: u32,
    /// Steps after which an episode is truncated.
    pub step_limit: u32,
}

/// A robot at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// `[nq]` coordinates.
    pub qpos: &'a [f64],
    /// `[nv]` velocities.
    pub qvel: &'a [f64],
    /// What [`Robot::read`] read.
    pub read: &'a [f64],
    /// What the episode remembers beside physics: [`Robot::memory`] numbers.
    pub memory: &'a [f64],
}

impl<'a> Look<'a> {
    fn of(state: &'a RobotState) -> Self {
        Self { qpos: &state.qpos, qvel: &state.qvel, read: &state.read, memory: &state.memory }
    }
}

/// What a robot is beside its body: how it starts, what is seen and earned, when it is over.
pub trait Robot: Sized + Send + Sync + 'static {
    /// What a scenario can set.
    type Settings: Settings;
    /// See [`agon_core::Env::VERSION`].
    const VERSION: u32 = 1;
    /// Whether it is looked at from above: it moves in the plane of x and y.
    const FROM_ABOVE: bool = false;
    /// See [`States::FILES`].
    const FILES: &'static [(&'static str, &'static str)] = &[];

    /// The settings that all robots have.
    fn task(settings: &Self::Settings) -> Task;
    /// Its body.
    fn load(settings: &Self::Settings) -> Result<Arc<MjModel>, EnvError> {
        mujoco::load("xml_file", &Self::task(settings).xml_file)
    }
    /// See [`States::complete`].
    fn complete(settings: Self::Settings) -> Result<Self::Settings, EnvError> {
        Ok(settings)
    }
    /// Checks that the model has what is needed. `dt`: seconds of a step.
    fn new(settings: Self::Settings, model: &MjModel, dt: f64) -> Result<Self, EnvError>;
    /// What is observed, in order.
    fn fields(&self, model: &MjModel) -> Vec<Field>;
    /// What its actions are.
    fn actions(&self, model: &MjModel) -> Result<ActionSpec, EnvError> {
        mujoco::actions(model)
    }
    /// Writes where an episode starts; `qpos` and `qvel` are the model's own, in rest.
    fn start(&self, qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng);

    /// How many numbers an episode remembers beside physics: a part of its state.
    fn memory(&self) -> usize {
        0
    }
    /// Writes the memory of an environment that has had no episode.
    fn forget(&self, _memory: &mut [f64]) {}
    /// Starts an episode as [`Robot::start`] does, and its memory, which holds the last episode's end.
    fn begin(&self, _memory: &mut [f64], qpos: &mut [f64], qvel: &mut [f64], rng: &mut Rng) {
        self.start(qpos, qvel, rng);
    }
    /// Whether these settings can lead to this memory; if not, why. Its numbers are finite.
    fn check(&self, _memory: &[f64]) -> Result<(), String> {
        Ok(())
    }
    /// Whether bodies differ from episode to episode, so that every environment has a model of its own.
    fn varies(&self) -> bool {
        false
    }
    /// Makes `own` the model of an episode with this memory; `model` is the one that was read.
    fn vary(&self, _memory: &[f64], _model: &MjModel, _own: &mut MjModel) {}
    /// Takes an action, within its bounds, before the first `mj_step` of a step.
    fn act(&self, action: &[f64], _memory: &mut [f64], data: &mut Data, _rng: &mut Rng) {
        data.ctrl_mut().copy_from_slice(action);
    }
    /// Writes controls before `mj_step` number `frame` of a step.
    fn frame(&self, _frame: u32, _memory: &[f64], _data: &mut Data) {}
    /// Whether [`Robot::read`] looks at the forces of contacts.
    fn contact_forces(&self) -> bool {
        false
    }
    /// Keeps what is looked at beside coordinates and velocities; always as many numbers.
    fn read(&self, _data: &Data, _out: &mut Vec<f64>) {}
    /// Tells every observed number in order.
    fn observe(&self, now: Look<'_>, see: &mut impl FnMut(f64));
    /// What a step earned. `action`: `[nu]`.
    fn reward(&self, before: Look<'_>, now: Look<'_>, action: &[f64]) -> f64;
    /// The same where an episode has a memory, which this brings up to date; that of both looks is empty here.
    fn earn(&self, before: Look<'_>, now: Look<'_>, action: &[f64], _memory: &mut [f64], _rng: &mut Rng) -> f64 {
        self.reward(before, now, action)
    }
    /// Whether the rules end the episode here.
    fn terminated(&self, _now: Look<'_>) -> bool {
        false
    }
    /// See [`Inspect::measures`].
    fn measures(&self) -> &[Measure] {
        &[]
    }
    /// See [`agon_core::Env::measure`].
    fn measure(&self, _memory: &[f64], _out: &mut [f64]) {}
}

/// A robot's state: all that its future depends on, and all that is observed of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobotState {
    /// Seconds simulated.
    pub time: f64,
    /// `[nq]` coordinates.
    pub qpos: Vec<f64>,
    /// `[nv]` velocities.
    pub qvel: Vec<f64>,
    /// `[na]` activations of actuators that have a state of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub act: Vec<f64>,
    /// `[nv]` accelerations that the constraint solver starts from.
    pub warm_start: Vec<f64>,
    /// What [`Robot::read`] read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<f64>,
    /// What the episode remembers beside physics: see [`Robot::memory`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<f64>,
    /// Why the simulation could not go on, if it could not: that ends the episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// One simulation, and what was looked at before the last step.
struct Body {
    data: Data,
    read: Vec<f64>,
    memory: Vec<f64>,
    time_before: f64,
    qpos_before: Vec<f64>,
    qvel_before: Vec<f64>,
    read_before: Vec<f64>,
    /// The action under way, within its bounds.
    action: Vec<f64>,
    failed: Option<&'static str>,
}

/// A simulation that failed, in words. MuJoCo has by then put it back to where its model begins.
const REASONS: [(usize, &str); 3] = [
    (3, "a coordinate was not finite, or beyond 1e10"),
    (4, "a velocity was not finite, or beyond 1e10"),
    (5, "an acceleration was not finite, or beyond 1e10"),
];
const BAD_ACTION: &str = "an action was not finite";
const BAD_RESULT: &str = "what was simulated is beyond 1e10";

impl Body {
    fn new<R: Robot>(model: &Arc<MjModel>, robot: &R, actions: usize) -> Result<Self, EnvError> {
        let full = |e| EnvError::setting("xml_file", format!("MuJoCo cannot simulate the model: {e}"));
        let own = if robot.varies() { Arc::new(MjModel::clone(model)) } else { Arc::clone(model) };
        own.layout(); // computed here, so that no later exchange of models allocates
        let data = Data::try_new(own).map_err(full)?;
        let (nq, nv) = (data.qpos().len(), data.qvel().len());
        let (mut read, mut memory) = (Vec::new(), vec![0.0; robot.memory()]);
        robot.read(&data, &mut read);
        robot.forget(&mut memory);
        Ok(Self {
            read_before: read.clone(),
            read,
            memory,
            time_before: 0.0,
            qpos_before: vec![0.0; nq],
            qvel_before: vec![0.0; nv],
            action: vec![0.0; actions],
            failed: None,
            data,
        })
    }

    fn look(&self) -> Look<'_> {
        Look { qpos: self.data.qpos(), qvel: self.data.qvel(), read: &self.read, memory: &self.memory }
    }

    fn read<R: Robot>(&mut self, robot: &R) {
        self.read.clear();
        robot.read(&self.data, &mut self.read);
    }

    /// Gives it the body that its memory says. `model`: the one that was read.
    fn vary<R: Robot>(&mut self, robot: &R, model: &Arc<MjModel>) {
        if !robot.varies() {
            return;
        }
        // Its own model is lent out by a simulation that has the common one meanwhile; both have the same sizes.
        let mut own = self.data.swap_model(Arc::clone(model));
        if let Some(own) = Arc::get_mut(&mut own) {
            robot.vary(&self.memory, model, own);
        }
        self.data.swap_model(own);
    }

    /// Begins at rest where `write` says, which is given memory, coordinates and velocities.
    fn start<R: Robot>(
        &mut self,
        robot: &R,
        model: &Arc<MjModel>,
        write: impl FnOnce(&mut [f64], &mut [f64], &mut [f64]),
    ) {
        self.data.reset();
        let (qpos, qvel) = (&mut self.qpos_before, &mut self.qvel_before);
        qpos.copy_from_slice(self.data.qpos());
        qvel.copy_from_slice(self.data.qvel());
        write(&mut self.memory, qpos, qvel);
        self.vary(robot, model);
        self.data.qpos_mut().copy_from_slice(&self.qpos_before);
        self.data.qvel_mut().copy_from_slice(&self.qvel_before);
        self.data.forward();
        self.failed = None;
        self.read(robot);
    }

    /// What went wrong, if something did.
    fn trouble(&self) -> Option<&'static str> {
        let warnings = self.data.warning();
        let told = REASONS.iter().find(|(kind, _)| warnings[*kind].number > 0).map(|(_, why)| *why);
        let numbers = [self.data.qpos(), self.data.qvel(), self.data.qacc_warmstart(), &self.read];
        told.or_else(|| numbers.into_iter().flatten().any(|x| x.is_nan() || x.abs() > MOST).then_some(BAD_RESULT))
    }

    /// One step; the reward and whether the episode is over.
    fn step<R: Robot>(
        &mut self,
        robot: &R,
        frame_skip: u32,
        action: &[f32],
        bounds: &[Field],
        rng: &mut Rng,
    ) -> (f64, bool) {
        self.time_before = self.data.time();
        self.qpos_before.copy_from_slice(self.data.qpos());
        self.qvel_before.copy_from_slice(self.data.qvel());
        std::mem::swap(&mut self.read, &mut self.read_before);
        if !action.iter().all(|a| a.is_finite()) {
            return self.fail(BAD_ACTION);
        }
        for ((own, a), f) in self.action.iter_mut().zip(action).zip(bounds) {
            *own = f64::from(a.clamp(f.low, f.high));
        }
        robot.act(&self.action, &mut self.memory, &mut self.data, rng);
        for frame in 0..frame_skip {
            robot.frame(frame, &self.memory, &mut self.data);
            self.data.step();
        }
        if robot.contact_forces() {
            self.data.rne_post_constraint();
        }
        self.read(robot);
        if let Some(why) = self.trouble() {
            return self.fail(why);
        }
        let before = Look { qpos: &self.qpos_before, qvel: &self.qvel_before, read: &self.read_before, memory: &[] };
        let now = Look { qpos: self.data.qpos(), qvel: self.data.qvel(), read: &self.read, memory: &[] };
        let reward = robot.earn(before, now, &self.action, &mut self.memory, rng);
        (reward, robot.terminated(self.look()))
    }

    /// Ends an episode that cannot go on: without reward, in the state before the step, the last one that was whole.
    fn fail(&mut self, why: &'static str) -> (f64, bool) {
        self.data.reset();
        self.data.set_time(self.time_before);
        self.data.qpos_mut().copy_from_slice(&self.qpos_before);
        self.data.qvel_mut().copy_from_slice(&self.qvel_before);
        self.read.clone_from(&self.read_before);
        self.failed = Some(why);
        (0.0, true)
    }
}

/// A batch of robots. See [`agon_core::Batch`].
pub struct Robots<R: Robot> {
    robot: R,
    spec: Spec,
    model: Arc<MjModel>,
    frame_skip: u32,
    bodies: Vec<Body>,
    /// Simulations of one thread.
    share: usize,
    pool: ThreadPool,
    /// Where states are put to be drawn.
    drawn: Mutex<Data>,
    camera: Camera,
}

impl<R: Robot> Robots<R> {
    /// Starts environment i anew, in these coordinates with these velocities. For comparisons.
    pub fn place(&mut self, i: usize, qpos: &[f64], qvel: &[f64]) {
        self.bodies[i].start(&self.robot, &self.model, |_, p, v| {
            p.copy_from_slice(qpos);
            v.copy_from_slice(qvel);
        });
    }

    /// One step of environment i in full precision: the reward, and whether the rules end the episode.
    pub fn advance(&mut self, i: usize, action: &[f32]) -> (f64, bool) {
        let Self { robot, spec, bodies, frame_skip, .. } = self;
        bodies[i].step(robot, *frame_skip, action, bounds(spec), &mut Rng::new(0, Stream::Env, i as u32))
    }

    /// What is observed of environment i, in full precision.
    pub fn observation(&self, i: usize) -> Vec<f64> {
        let mut all = Vec::with_capacity(self.spec.obs_len());
        self.robot.observe(self.bodies[i].look(), &mut |x| all.push(x));
        all
    }
}

fn bounds(spec: &Spec) -> &[Field] {
    match &spec.action {
        ActionSpec::Continuous { fields } => fields,
        _ => &[],
    }
}

fn observe<R: Robot>(robot: &R, now: Look<'_>, obs: &mut [f32]) {
    let mut left = obs.iter_mut();
    robot.observe(now, &mut |x| {
        if let Some(o) = left.next() {
            *o = x as f32;
        }
    });
}

impl<R: Robot> States for Robots<R> {
    type Settings = R::Settings;
    type State = RobotState;
    type Inspect = Self;
    const VERSION: u32 = R::VERSION;
    const FILES: &'static [(&'static str, &'static str)] = R::FILES;

    fn new(settings: R::Settings, envs: usize, threads: usize) -> Result<Self, EnvError> {
        let task = R::task(&settings);
        let model = R::load(&settings)?;
        let dt = model.opt().timestep * f64::from(task.frame_skip);
        let robot = R::new(settings, &model, dt)?;
        let spec = Spec::new(robot.fields(&model), robot.actions(&model)?, task.step_limit);
        let body = || Body::new(&model, &robot, spec.action.len());
        let bodies = (0..envs).map(|_| body()).collect::<Result<Vec<_>, _>>()?;
        let mut drawn = body()?.data;
        drawn.forward_kinematics();
        let camera = Camera::new(&drawn, R::FROM_ABOVE);
        let share = envs.div_ceil(threads.max(1)).max(1);
        let pool = ThreadPool::new(envs.div_ceil(share));
        let (frame_skip, drawn) = (task.frame_skip, Mutex::new(drawn));
        Ok(Self { robot, spec, model, frame_skip, bodies, share, pool, drawn, camera })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.bodies.len()
    }

    fn reset(&mut self, i: usize, rng: &mut Rng) {
        let robot = &self.robot;
        self.bodies[i].start(robot, &self.model, |memory, qpos, qvel| robot.begin(memory, qpos, qvel, rng));
    }

    fn step(&mut self, actions: Actions<'_>, mut out: Stepped<'_>, rngs: &mut [Rng]) {
        let Self { robot, spec, frame_skip, share, pool, bodies, .. } = self;
        let (seen, bounds) = (spec.obs_len(), bounds(spec));
        let (width, actions) = (bounds.len(), actions.continuous());
        let run = |bodies: &mut [Body], actions: &[f32], out: &mut Stepped<'_>, rngs: &mut [Rng]| {
            for (k, (body, rng)) in bodies.iter_mut().zip(rngs).enumerate() {
                let action = &actions[k * width..(k + 1) * width];
                let (reward, over) = body.step(robot, *frame_skip, action, bounds, rng);
                (out.reward[k], out.terminated[k]) = (reward as f32, over);
                observe(robot, body.look(), &mut out.obs[k * seen..(k + 1) * seen]);
            }
        };
        if *share >= bodies.len() {
            return run(bodies, actions, &mut out, rngs);
        }
        let parts = bodies
            .chunks_mut(*share)
            .zip(actions.chunks(*share * width))
            .zip(out.reward.chunks_mut(*share))
            .zip(out.terminated.chunks_mut(*share))
            .zip(out.obs.chunks_mut(*share * seen))
            .zip(rngs.chunks_mut(*share));
        let mut parts: Vec<_> = parts
            .map(|(((((bodies, actions), reward), terminated), obs), rngs)| {
                (bodies, actions, Stepped { reward, terminated, obs }, rngs)
            })
            .collect();
        pool.each(&mut parts, |_, (bodies, actions, out, rngs)| run(bodies, actions, out, rngs));
    }

    fn observe_all(&self, obs: &mut [f32]) {
        obs.chunks_exact_mut(self.spec.obs_len()).enumerate().for_each(|(i, obs)| self.observe(i, obs));
    }

    fn observe(&self, i: usize, obs: &mut [f32]) {
        observe(&self.robot, self.bodies[i].look(), obs);
    }

    fn check(&self, state: &RobotState) -> Result<Status, String> {
        let model = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let sizes = model.model().ffi();
        let read = self.bodies.first().map_or(state.read.len(), |b| b.read.len());
        within("time", state.time, 0.0, MOST)?;
        for (what, numbers, length) in [
            ("qpos", &state.qpos, sizes.nq as usize),
            ("qvel", &state.qvel, sizes.nv as usize),
            ("act", &state.act, sizes.na as usize),
            ("warm_start", &state.warm_start, sizes.nv as usize),
            ("read", &state.read, read),
            ("memory", &state.memory, self.robot.memory()),
        ] {
            ensure(numbers.len() == length, &format!("`{what}` must hold {length} numbers"))?;
            numbers.iter().try_for_each(|x| within(what, *x, -MOST, MOST))?;
        }
        self.robot.check(&state.memory)?;
        if let Some(why) = &state.failed {
            ensure(reason(why).is_some(), "`failed` is no reason that a simulation fails for")?;
            return Ok(Status::Terminated);
        }
        let now = Look::of(state);
        Ok(if self.robot.terminated(now) { Status::Terminated } else { Status::Running })
    }

    fn observe_state(&self, state: &RobotState, obs: &mut [f32]) {
        observe(&self.robot, Look::of(state), obs);
    }

    fn get(&self, i: usize) -> RobotState {
        let Body { data, read, memory, failed, .. } = &self.bodies[i];
        RobotState {
            time: data.time(),
            qpos: data.qpos().to_vec(),
            qvel: data.qvel().to_vec(),
            act: data.act().to_vec(),
            warm_start: data.qacc_warmstart().to_vec(),
            read: read.clone(),
            memory: memory.clone(),
            failed: failed.map(Into::into),
        }
    }

    fn set(&mut self, i: usize, state: RobotState) {
        let body = &mut self.bodies[i];
        body.memory.copy_from_slice(&state.memory);
        body.vary(&self.robot, &self.model);
        put(&mut body.data, &state);
        body.read.copy_from_slice(&state.read);
        body.failed = state.failed.as_deref().and_then(reason);
    }

    fn inspect(&self) -> &Self {
        self
    }

    fn failed(&self, i: usize) -> Option<&'static str> {
        self.bodies[i].failed
    }

    fn forget(&mut self, i: usize) {
        self.robot.forget(&mut self.bodies[i].memory);
    }

    fn complete(settings: R::Settings) -> Result<R::Settings, EnvError> {
        R::complete(settings)
    }

    fn file(settings: &R::Settings, _key: &str) -> Result<Vec<u8>, EnvError> {
        Ok(mujoco::compiled(&*R::load(settings)?))
    }
}

impl<R: Robot> Inspect for Robots<R> {
    type State = RobotState;

    fn draw(&self, state: &RobotState, scene: &mut Scene) {
        let mut data = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        put(&mut data, state);
        data.forward_kinematics();
        data.collision();
        self.camera.draw(&data, scene);
        if let Some(why) = &state.failed {
            scene.note("ended", why.as_str());
        }
    }

    fn measures(&self) -> &[Measure] {
        self.robot.measures()
    }

    fn measure(&self, state: &RobotState, out: &mut [f64]) {
        // The default state, of which nothing is known yet, has no memory.
        if state.memory.len() == self.robot.memory() {
            self.robot.measure(&state.memory, out);
        }
    }
}

fn reason(text: &str) -> Option<&'static str> {
    REASONS.iter().map(|(_, why)| *why).chain([BAD_ACTION, BAD_RESULT]).find(|why| *why == text)
}

fn put(data: &mut Data, state: &RobotState) {
    data.reset();
    data.set_time(state.time);
    data.qpos_mut().copy_from_slice(&state.qpos);
    data.qvel_mut().copy_from_slice(&state.qvel);
    data.act_mut().copy_from_slice(&state.act);
    data.qacc_warmstart_mut().copy_from_slice(&state.warm_start);
}
