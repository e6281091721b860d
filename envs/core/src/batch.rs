//! The batch engine. The one place where an episode advances, is counted, ends and restarts.

use crate::action::{Actions, ActionsMut};
use crate::env::{Env, Measure, Player, Status};
use crate::error::EnvError;
use crate::game::Position;
use crate::inspect::Inspect;
use crate::model::Model;
use crate::rng::{Rng, RngState, Stream};
use crate::scene::Scene;
use crate::settings::{Settings, unknown_keys};
use crate::spec::Spec;
use crate::thread_pool::ThreadPool;
use crate::vec_env::{EpisodeEnd, FirstBuf, StepBuf, VecEnv, View};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An environment as registered: the rules, and the states of a whole batch in any storage. [`Each`] keeps those of any
/// [`Env`] one after the other; [`crate::kernel::Soa`] is the SIMD form of arithmetic ones. Another layout implements
/// these methods; [`Batch`] does all the rest: clocks, totals, ends and restarts, saving, hashes.
pub trait States: Sized + Send + 'static {
    /// What a scenario can set.
    type Settings: Settings;
    /// One environment's state, as it is saved. The default need not be a valid one.
    type State: Clone + Default + Send + Serialize + DeserializeOwned;
    /// What has the hooks of evaluation: the environment, or the batch itself.
    type Inspect: Inspect<State = Self::State>;

    /// See [`Env::VERSION`].
    const VERSION: u32;
    /// See [`Env::PLAYERS`].
    const PLAYERS: &'static [Player] = &[];
    /// See [`Env::FILES`].
    const FILES: &'static [(&'static str, &'static str)] = &[];

    /// The states of `envs` environments, to be reset before they are stepped; `threads` affects only speed. Checks the
    /// settings together (each alone was checked when it was read).
    fn new(settings: Self::Settings, envs: usize, threads: usize) -> Result<Self, EnvError>;

    /// The spec of one environment.
    fn spec(&self) -> &Spec;
    /// The number of environments.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Resets environment i.
    fn reset(&mut self, i: usize, rng: &mut Rng);
    /// Advances all of them, environment i with generator i; `actions`: `[rows, len]`. Must not allocate on one thread.
    fn step(&mut self, actions: Actions<'_>, out: Stepped<'_>, rngs: &mut [Rng]);
    /// Writes all observations, `[rows, obs_len]`.
    fn observe_all(&self, obs: &mut [f32]);
    /// Writes one environment's observations, `[agents, obs_len]`.
    fn observe(&self, i: usize, obs: &mut [f32]);
    /// Writes one environment's masks, `[agents, mask_len]`.
    fn mask(&self, _i: usize, mask: &mut [bool]) {
        mask.fill(true);
    }
    /// See [`Env::check`].
    fn check(&self, state: &Self::State) -> Result<Status, String>;
    /// See [`Env::age`].
    fn age(&self, _state: &Self::State) -> Option<u32> {
        None
    }
    /// The observations of a state, `[agents, obs_len]`.
    fn observe_state(&self, state: &Self::State, obs: &mut [f32]);
    /// A copy of one state.
    fn get(&self, i: usize) -> Self::State;
    /// Replaces one state by one that passed [`States::check`].
    fn set(&mut self, i: usize, state: Self::State);
    /// Lends one state to `look`.
    fn lend<T>(&self, i: usize, look: impl FnOnce(&Self::State) -> T) -> T {
        look(&self.get(i))
    }
    /// What evaluation, replay and people need, and stepping does not.
    fn inspect(&self) -> &Self::Inspect;
    /// Why environment i could not go on, where a step said `terminated` for that: such an episode counts as truncated,
    /// and its last observation is the last one that was whole.
    fn failed(&self, _i: usize) -> Option<&'static str> {
        None
    }
    /// Drops what environment i carries from episode to episode: a new run begins.
    fn forget(&mut self, _i: usize) {}
    /// See [`Env::complete`].
    fn complete(settings: Self::Settings) -> Result<Self::Settings, EnvError> {
        Ok(settings)
    }
    /// See [`Env::file`].
    fn file(_settings: &Self::Settings, _key: &str) -> Result<Vec<u8>, EnvError> {
        Ok(Vec::new())
    }
}

/// The buffers that a step of all states writes.
#[derive(Debug)]
pub struct Stepped<'a> {
    /// `[rows]`
    pub reward: &'a mut [f32],
    /// `[rows]`
    pub terminated: &'a mut [bool],
    /// `[rows, obs_len]`, of the states after the step.
    pub obs: &'a mut [f32],
}

/// States of any [`Env`] as an array, split into shares for several threads.
pub struct Each<E: Env> {
    env: E,
    states: Vec<E::State>,
    /// Environments of a share.
    share: usize,
    /// One thread a share, kept between steps.
    pool: ThreadPool,
}

impl<E: Env> States for Each<E> {
    type Settings = E::Settings;
    type State = E::State;
    type Inspect = E;
    const VERSION: u32 = E::VERSION;
    const PLAYERS: &'static [Player] = E::PLAYERS;
    const FILES: &'static [(&'static str, &'static str)] = E::FILES;

    fn new(settings: E::Settings, envs: usize, threads: usize) -> Result<Self, EnvError> {
        let (env, share) = (E::new(settings)?, envs.div_ceil(threads.max(1)).max(1));
        Ok(Self { env, states: vec![E::State::default(); envs], share, pool: ThreadPool::new(envs.div_ceil(share)) })
    }

    fn complete(settings: E::Settings) -> Result<E::Settings, EnvError> {
        E::complete(settings)
    }

    fn file(settings: &E::Settings, key: &str) -> Result<Vec<u8>, EnvError> {
        E::file(settings, key)
    }

    fn spec(&self) -> &Spec {
        self.env.spec()
    }

    fn len(&self) -> usize {
        self.states.len()
    }

    fn reset(&mut self, i: usize, rng: &mut Rng) {
        self.env.reset(&mut self.states[i], rng);
    }

    fn step(&mut self, actions: Actions<'_>, out: Stepped<'_>, rngs: &mut [Rng]) {
        let (env, agents, width) = (&self.env, self.env.spec().agents, self.env.spec().action.len());
        let seen = agents * env.spec().obs_len();
        let run = |first: usize, states: &mut [E::State], out: &mut Stepped<'_>, rngs: &mut [Rng]| {
            out.reward.fill(0.0);
            for (k, (state, rng)) in states.iter_mut().zip(rngs).enumerate() {
                let rows = k * agents..(k + 1) * agents;
                let act = actions.part((first + k) * agents * width, agents * width);
                let status = env.step(state, act, &mut out.reward[rows.clone()], rng);
                out.terminated[rows].fill(status == Status::Terminated);
                env.observe(state, &mut out.obs[k * seen..(k + 1) * seen]);
            }
        };
        let (share, mut out) = (self.share, out);
        if share >= self.states.len() {
            return run(0, &mut self.states, &mut out, rngs);
        }
        let chunks = self
            .states
            .chunks_mut(share)
            .zip(out.reward.chunks_mut(share * agents))
            .zip(out.terminated.chunks_mut(share * agents))
            .zip(out.obs.chunks_mut(share * seen))
            .zip(rngs.chunks_mut(share));
        let mut shares: Vec<_> = chunks
            .map(|((((states, reward), terminated), obs), rngs)| (states, Stepped { reward, terminated, obs }, rngs))
            .collect();
        self.pool.each(&mut shares, |c, (states, out, rngs)| run(c * share, states, out, rngs));
    }

    fn observe_all(&self, obs: &mut [f32]) {
        let width = self.spec().agents * self.spec().obs_len();
        for (state, obs) in self.states.iter().zip(obs.chunks_exact_mut(width)) {
            self.env.observe(state, obs);
        }
    }

    fn observe(&self, i: usize, obs: &mut [f32]) {
        self.env.observe(&self.states[i], obs);
    }

    fn mask(&self, i: usize, mask: &mut [bool]) {
        self.env.mask(&self.states[i], mask);
    }

    fn check(&self, state: &E::State) -> Result<Status, String> {
        self.env.check(state)
    }

    fn age(&self, state: &E::State) -> Option<u32> {
        self.env.age(state)
    }

    fn observe_state(&self, state: &E::State, obs: &mut [f32]) {
        self.env.observe(state, obs);
    }

    fn get(&self, i: usize) -> E::State {
        self.states[i].clone()
    }

    fn set(&mut self, i: usize, state: E::State) {
        self.states[i] = state;
    }

    fn lend<T>(&self, i: usize, look: impl FnOnce(&E::State) -> T) -> T {
        look(&self.states[i])
    }

    fn inspect(&self) -> &E {
        &self.env
    }
}

/// N environments with their generators, clocks and totals.
pub struct Batch<S: States> {
    states: S,
    first_lane: u32,
    rngs: Vec<Rng>,
    clocks: Vec<u32>,
    totals: Vec<f64>,
    /// discount^t, until it is negligible; empty where returns are not discounted.
    powers: Vec<f64>,
    ended: Vec<EpisodeEnd>,
    /// One byte an environment: whether its episode is over. Padded to a multiple of eight.
    over: Vec<u8>,
    finals: Vec<(S::State, u32)>,
    keep_finals: bool,
}

impl<S: States> Batch<S> {
    /// `envs` environments, stepped by `threads` threads; the results do not depend on `threads`.
    pub fn new(settings: S::Settings, envs: usize, threads: usize) -> Result<Self, EnvError> {
        let states = S::new(settings, envs, threads)?;
        let (n, rows) = (states.len(), states.len() * states.spec().agents);
        Ok(Self {
            rngs: (0..n).map(|i| Rng::new(0, Stream::Env, i as u32)).collect(),
            clocks: vec![0; n],
            totals: vec![0.0; rows],
            powers: powers(states.spec().discount),
            ended: Vec::with_capacity(rows),
            over: vec![0; n.next_multiple_of(8)],
            finals: Vec::new(),
            keep_finals: false,
            first_lane: 0,
            states,
        })
    }

    /// As the part of a larger batch that begins with its environment `lane` (see [`VecEnv::first_lane`]).
    pub fn from_lane(mut self, lane: u32) -> Self {
        self.first_lane = lane;
        self
    }

    /// Notes the end of environment i's episode and starts its next one.
    fn restart(&mut self, i: usize, truncated: bool, obs: &mut [f32], final_obs: &mut [f32], final_mask: &mut [bool]) {
        let failed = self.states.failed(i);
        let spec = self.states.spec();
        let (agents, width) = (spec.agents, spec.agents * spec.obs_len());
        if truncated && !final_mask.is_empty() {
            let width = agents * spec.action.mask_len();
            self.states.mask(i, &mut final_mask[i * width..(i + 1) * width]);
        }
        for row in i * agents..(i + 1) * agents {
            let (total, length) = (std::mem::take(&mut self.totals[row]), self.clocks[i]);
            self.ended.push(EpisodeEnd { row: row as u32, total, length, truncated, failed });
        }
        if self.keep_finals {
            self.finals[i] = (self.states.get(i), self.clocks[i]);
        }
        let part = i * width..(i + 1) * width;
        final_obs[part.clone()].copy_from_slice(&obs[part.clone()]);
        self.clocks[i] = 0;
        self.states.reset(i, &mut self.rngs[i]);
        self.states.observe(i, &mut obs[part]);
    }

    fn masks(&self, mask: &mut [bool]) {
        if !mask.is_empty() {
            let width = self.states.spec().agents * self.states.spec().action.mask_len();
            mask.chunks_exact_mut(width).enumerate().for_each(|(i, m)| self.states.mask(i, m));
        }
    }
}

impl<S: States> VecEnv for Batch<S> {
    fn spec(&self) -> &Spec {
        self.states.spec()
    }

    fn envs(&self) -> usize {
        self.states.len()
    }

    fn first_lane(&self) -> u32 {
        self.first_lane
    }

    fn reset(&mut self, seed: u64, stream: Stream, first: FirstBuf<'_>) {
        for i in 0..self.envs() {
            self.rngs[i] = Rng::new(seed, stream, self.first_lane + i as u32);
            self.states.forget(i);
            self.states.reset(i, &mut self.rngs[i]);
        }
        self.clocks.fill(0);
        self.totals.fill(0.0);
        self.ended.clear();
        self.observe(first);
    }

    fn step(&mut self, actions: Actions<'_>, out: StepBuf<'_>) {
        self.ended.clear();
        let stepped = Stepped { reward: out.reward, terminated: out.terminated, obs: out.obs };
        self.states.step(actions, stepped, &mut self.rngs);
        out.truncated.fill(false);
        let (agents, limit) = (self.spec().agents, self.spec().step_limit);
        let powers = &self.powers;
        let (totals, clocks, over) = (&mut self.totals, &mut self.clocks, &mut self.over);
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                if powers.is_empty() {
                    totals.iter_mut().zip(&*out.reward).for_each(|(total, r)| *total += f64::from(*r));
                } else {
                    let rows = totals.chunks_exact_mut(agents).zip(out.reward.chunks_exact(agents));
                    for ((totals, reward), clock) in rows.zip(&*clocks) {
                        let power = || powers[1].powf(f64::from(*clock)); // only where returns are very long
                        let weight = powers.get(*clock as usize).copied().unwrap_or_else(power);
                        totals.iter_mut().zip(reward).for_each(|(total, r)| *total += weight * f64::from(*r));
                    }
                }
                if agents == 1 {
                    for ((over, clock), end) in over.iter_mut().zip(clocks).zip(&*out.terminated) {
                        *clock += 1;
                        *over = u8::from(*end) | u8::from(*clock >= limit);
                    }
                } else {
                    for ((over, clock), end) in over.iter_mut().zip(clocks).zip(out.terminated.iter().step_by(agents)) {
                        *clock += 1;
                        *over = u8::from(*end) | u8::from(*clock >= limit);
                    }
                }
            },
        );
        // Eight environments a look; most looks find nothing.
        for word in 0..self.over.len() / 8 {
            let flags = self.over[word * 8..word * 8 + 8].try_into().map_or(0, u64::from_le_bytes);
            let mut left = flags;
            while left != 0 {
                let i = word * 8 + left.trailing_zeros() as usize / 8;
                left &= left - 1; // a flag is one bit
                let failed = self.states.failed(i).is_some();
                if failed {
                    out.terminated[i * agents..(i + 1) * agents].fill(false);
                }
                let truncated = !out.terminated[i * agents];
                out.truncated[i * agents..(i + 1) * agents].fill(truncated);
                self.restart(i, truncated, out.obs, out.final_obs, out.final_mask);
            }
        }
        self.masks(out.mask);
    }

    fn ended(&self) -> &[EpisodeEnd] {
        &self.ended
    }

    fn observe(&self, first: FirstBuf<'_>) {
        self.states.observe_all(first.obs);
        self.masks(first.mask);
    }

    fn players(&self) -> &'static [Player] {
        S::PLAYERS
    }

    fn offers(&self, player: usize) -> Result<(), String> {
        self.states.inspect().offers(player)
    }

    fn play(&self, player: usize, mut actions: ActionsMut<'_>) {
        let width = self.spec().agents * self.spec().action.len();
        let inspect = self.states.inspect();
        (0..self.envs()).for_each(|i| {
            self.states.lend(i, |state| inspect.play(player, state, actions.part(i * width, width)));
        });
    }

    fn settle(&self, mut actions: ActionsMut<'_>) {
        let width = self.spec().agents * self.spec().action.len();
        let inspect = self.states.inspect();
        (0..self.envs()).for_each(|i| {
            self.states.lend(i, |state| inspect.settle(state, actions.part(i * width, width)));
        });
    }

    fn optimum(&self) -> Option<f64> {
        self.states.inspect().optimum()
    }

    fn bound(&self) -> Option<f64> {
        self.states.inspect().bound()
    }

    fn model(&self, most_states: usize) -> Result<Model, String> {
        self.states.inspect().model(most_states)
    }

    fn measures(&self) -> &[Measure] {
        self.states.inspect().measures()
    }

    fn measure(&self, env: usize, view: View, out: &mut [f64]) {
        self.states.inspect().measure(&self.view(env, view).0, out);
    }

    fn keep_finals(&mut self, keep: bool) {
        self.keep_finals = keep;
        self.finals = vec![Default::default(); if keep { self.envs() } else { 0 }];
    }

    fn save(&self, env: usize, view: View) -> Value {
        let agents = self.spec().agents;
        let (state, steps) = self.view(env, view);
        serde_json::json!({
            "state": state,
            "steps": steps,
            "total": self.totals[env * agents..(env + 1) * agents],
            "rng": self.rngs[env].state(),
        })
    }

    fn restore(&mut self, env: usize, saved: &Value) -> Result<Status, EnvError> {
        fn part<T: DeserializeOwned>(saved: &Value, key: &str) -> Result<Option<T>, EnvError> {
            let Some(value) = saved.get(key) else { return Ok(None) };
            T::deserialize(value).map(Some).map_err(|e| EnvError::State(format!("`{key}`: {e}")))
        }
        const KEYS: [&str; 4] = ["state", "steps", "total", "rng"];
        let Some(keys) = saved.as_object() else {
            return Err(EnvError::State("it must be an object with the key `state`".into()));
        };
        if let Some(issue) = unknown_keys(keys, &KEYS).first() {
            return Err(EnvError::State(issue.message.clone()));
        }
        let (agents, limit) = (self.spec().agents, self.spec().step_limit);
        let state = part::<S::State>(saved, "state")?.unwrap_or_else(|| self.states.get(env));
        let steps = part::<u32>(saved, "steps")?;
        let total = part::<Vec<f64>>(saved, "total")?;
        let rng = part::<RngState>(saved, "rng")?;
        let mut status = self.sound(&state).map_err(|why| EnvError::State(format!("`state`: {why}")))?;
        if total.as_ref().is_some_and(|t| t.len() != agents || t.iter().any(|x| !x.is_finite())) {
            return Err(EnvError::State(format!("`total` must hold {agents} finite numbers")));
        }
        let age = self.states.age(&state);
        let clock = steps.or(age).unwrap_or(self.clocks[env]);
        if let Some(age) = age.filter(|age| *age != clock) {
            return Err(EnvError::State(format!("`steps` is {clock}, but the state is {age} steps old")));
        }
        if status == Status::Running && clock >= limit {
            if age != Some(limit) {
                return Err(EnvError::State(format!("`steps` must be below {limit}, where an episode is cut off")));
            }
            status = Status::Terminated;
        }
        self.states.set(env, state);
        self.clocks[env] = clock;
        if let Some(total) = total {
            self.totals[env * agents..(env + 1) * agents].copy_from_slice(&total);
        }
        if let Some(rng) = rng {
            self.rngs[env] = Rng::restore(rng);
        }
        Ok(status)
    }

    fn hash(&self, env: usize, view: View) -> u64 {
        let (state, steps) = self.view(env, view);
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        // Writing to a hash cannot fail, and states are plain data.
        serde_json::to_writer(&mut hash, &(state, steps)).expect("a state is plain data");
        hash.0
    }

    fn draw(&self, env: usize, view: View, scene: &mut Scene) {
        self.states.inspect().draw(&self.view(env, view).0, scene);
    }

    fn position(&self, env: usize, view: View) -> Option<Position> {
        self.states.inspect().position(&self.view(env, view).0)
    }
}

impl<S: States> Batch<S> {
    /// [`States::check`], and whether the state's observations are within the spec.
    fn sound(&self, state: &S::State) -> Result<Status, String> {
        let (spec, status) = (self.spec(), self.states.check(state)?);
        let mut obs = vec![0.0; spec.agents * spec.obs_len()];
        self.states.observe_state(state, &mut obs);
        spec.admits(&obs).map(|()| status)
    }

    fn view(&self, env: usize, view: View) -> (S::State, u32) {
        match view {
            View::Final if self.keep_finals => self.finals[env].clone(),
            _ => (self.states.get(env), self.clocks[env]),
        }
    }
}

/// The powers of a discount up to the first that is negligible in a sum, or the millionth; none for 1.
fn powers(discount: f64) -> Vec<f64> {
    if discount == 1.0 {
        return Vec::new();
    }
    let mut powers = vec![1.0, discount];
    while powers.len() < 1_000_000 && powers[powers.len() - 1] > 0.0 {
        let next = discount.powi(powers.len() as i32);
        powers.push(if next > 1e-20 { next } else { 0.0 });
    }
    powers
}

/// FNV-1a over the bytes of a state's JSON form, which is exact for every finite number.
struct Fnv(u64);

impl std::io::Write for Fnv {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
