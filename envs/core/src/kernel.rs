//! Environments of pure arithmetic: written once over [`Real`], stepped in SIMD registers.

use crate::action::{Actions, ActionsMut};
use crate::batch::{States, Stepped};
use crate::env::{Player, Status};
use crate::error::EnvError;
use crate::inspect::Inspect;
use crate::real::{Lane, Real};
use crate::rng::Rng;
use crate::scene::Scene;
use crate::settings::Settings;
use crate::spec::Spec;
use pulp::{Simd, WithSimd};

/// Rules without branches over `N` numbers of state, one agent, one number of action and `O` of observation.
pub trait Kernel<const N: usize, const O: usize>: Clone + Send + Sync + 'static {
    /// What a scenario can set.
    type Settings: Settings;

    /// See [`crate::Env::VERSION`].
    const VERSION: u32;

    /// See [`crate::Env::PLAYERS`].
    const PLAYERS: &'static [Player] = &[];

    /// Checks the settings together.
    fn new(settings: Self::Settings) -> Result<Self, EnvError>;

    /// See [`crate::Env::spec`].
    fn spec(&self) -> &Spec;

    /// A new episode's state.
    fn reset(&self, rng: &mut Rng) -> [f64; N];

    /// One step: the new state, the reward, and whether the rules ended the episode. Mark it `#[inline(always)]`.
    fn step<R: Real>(&self, state: [R; N], action: R) -> ([R; N], R, R::Mask);

    /// See [`crate::Env::check`]. The numbers are finite.
    fn check(&self, state: &[f64; N]) -> Result<Status, String>;

    /// The observation of a state. Mark it `#[inline(always)]`.
    fn observe<R: Real>(&self, state: [R; N]) -> [R; O];

    /// What `PLAYERS[player]` does in a state.
    fn play(&self, _player: usize, _state: &[f64; N]) -> f64 {
        0.0
    }

    /// Draws the state.
    fn draw(&self, _state: &[f64; N], _scene: &mut Scene) {}
}

/// The states of many kernels as a structure of arrays: `state[k][i]` is number k of environment i. The arrays are
/// padded to whole registers with unused states.
pub struct Soa<K, const N: usize, const O: usize> {
    kernel: K,
    envs: usize,
    state: [Vec<f64>; N],
    action: Vec<f64>,
    reward: Vec<f64>,
    ended: Vec<f64>,
}

/// The widest register, in f64s.
const WIDEST: usize = 8;

/// One step of all lanes: actions in, states, rewards and ends out.
struct StepAll<'a, K, const N: usize, const O: usize> {
    soa: &'a mut Soa<K, N, O>,
    actions: Actions<'a>,
    reward: &'a mut [f32],
    terminated: &'a mut [bool],
}

/// Transposes a register's observations from columns to rows; `rows` may hold fewer than a register does.
#[inline(always)]
fn write_rows<S: Simd, const O: usize>(seen: &[Lane<S>; O], rows: &mut [f32]) {
    let mut tile = [[0f32; WIDEST]; O];
    for (column, x) in tile.iter_mut().zip(seen) {
        let x: &[f64] = pulp::bytemuck::cast_slice(std::slice::from_ref(&x.1));
        column.iter_mut().zip(x).for_each(|(c, x)| *c = *x as f32);
    }
    if rows.len() == S::F64_LANES * O {
        for lane in 0..S::F64_LANES {
            for k in 0..O {
                rows[lane * O + k] = tile[k][lane];
            }
        }
    } else {
        for (lane, row) in rows.chunks_exact_mut(O).enumerate() {
            row.iter_mut().zip(&tile).for_each(|(o, column)| *o = column[lane]);
        }
    }
}

impl<const N: usize, const O: usize, K: Kernel<N, O>> WithSimd for StepAll<'_, K, N, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Soa { kernel, state, action, reward, ended, .. } = self.soa;
        match self.actions {
            // Choices are small: through i32 the conversion is one instruction.
            Actions::Discrete(a) => action.iter_mut().zip(a).for_each(|(x, a)| *x = f64::from(*a as i32)),
            Actions::Continuous(a) => action.iter_mut().zip(a).for_each(|(x, a)| *x = f64::from(*a)),
        }
        {
            let registers = action.len() / S::F64_LANES;
            let state = state.each_mut().map(|s| &mut S::as_mut_simd_f64s(s).0[..registers]);
            let action = &S::as_simd_f64s(action).0[..registers];
            let reward = &mut S::as_mut_simd_f64s(reward).0[..registers];
            let ended = &mut S::as_mut_simd_f64s(ended).0[..registers];
            let (one, zero) = (simd.splat_f64s(1.0), simd.splat_f64s(0.0));
            for i in 0..registers {
                let now = std::array::from_fn(
                    #[inline(always)]
                    |k| Lane(simd, state[k][i]),
                );
                let (next, earned, end) = kernel.step(now, Lane(simd, action[i]));
                for k in 0..N {
                    state[k][i] = next[k].1;
                }
                reward[i] = earned.1;
                ended[i] = simd.select_f64s(end.1, one, zero);
            }
        }
        self.reward.iter_mut().zip(reward).for_each(|(r, x)| *r = *x as f32);
        self.terminated.iter_mut().zip(ended).for_each(|(t, x)| *t = x.to_bits() != 0);
    }
}

impl<const N: usize, const O: usize, K: Kernel<N, O>> Soa<K, N, O> {
    fn at(&self, i: usize) -> [f64; N] {
        std::array::from_fn(|k| self.state[k][i])
    }
}

/// The observations of all lanes, transposed a register at a time.
struct ObserveAll<'a, K, const N: usize, const O: usize>(&'a Soa<K, N, O>, &'a mut [f32]);

impl<const N: usize, const O: usize, K: Kernel<N, O>> WithSimd for ObserveAll<'_, K, N, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (soa, obs) = (self.0, self.1);
        let state = soa.state.each_ref().map(|s| S::as_simd_f64s(s).0);
        for (i, rows) in obs.chunks_mut(S::F64_LANES * O).enumerate() {
            let now = std::array::from_fn(
                #[inline(always)]
                |k| Lane(simd, state[k][i]),
            );
            write_rows(&soa.kernel.observe(now), rows);
        }
    }
}

impl<const N: usize, const O: usize, K: Kernel<N, O>> States for Soa<K, N, O> {
    type Settings = K::Settings;
    type State = KernelState<N>;
    type Inspect = Self;
    const VERSION: u32 = K::VERSION;
    const PLAYERS: &'static [Player] = K::PLAYERS;

    /// On one thread: a SIMD step is so short that a second thread would only wait.
    fn new(settings: K::Settings, envs: usize, _: usize) -> Result<Self, EnvError> {
        let kernel = K::new(settings)?;
        assert_eq!((kernel.spec().agents, kernel.spec().obs_len(), kernel.spec().action.len()), (1, O, 1));
        let padded = envs.next_multiple_of(WIDEST);
        Ok(Self {
            kernel,
            envs,
            state: std::array::from_fn(|_| vec![0.0; padded]),
            action: vec![0.0; padded],
            reward: vec![0.0; padded],
            ended: vec![0.0; padded],
        })
    }

    fn spec(&self) -> &Spec {
        self.kernel.spec()
    }

    fn len(&self) -> usize {
        self.envs
    }

    fn reset(&mut self, i: usize, rng: &mut Rng) {
        self.set(i, KernelState(self.kernel.reset(rng)));
    }

    fn step(&mut self, actions: Actions<'_>, out: Stepped<'_>, _: &mut [Rng]) {
        let Stepped { reward, terminated, obs } = out;
        let arch = pulp::Arch::new();
        arch.dispatch(StepAll { soa: self, actions, reward, terminated });
        // A pass of its own: within the step's loop it would push the step's constants out of registers.
        arch.dispatch(ObserveAll(self, obs));
    }

    fn observe_all(&self, obs: &mut [f32]) {
        pulp::Arch::new().dispatch(ObserveAll(self, obs));
    }

    fn observe(&self, i: usize, obs: &mut [f32]) {
        self.observe_state(&KernelState(self.at(i)), obs);
    }

    fn check(&self, state: &KernelState<N>) -> Result<Status, String> {
        match state.0.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(format!("number {} is {}", at + 1, state.0[at])),
            None => self.kernel.check(&state.0),
        }
    }

    fn observe_state(&self, state: &KernelState<N>, obs: &mut [f32]) {
        let seen = self.kernel.observe(state.0);
        obs.iter_mut().zip(seen).for_each(|(o, x)| *o = x as f32);
    }

    fn get(&self, i: usize) -> KernelState<N> {
        KernelState(self.at(i))
    }

    fn set(&mut self, i: usize, state: KernelState<N>) {
        for (column, x) in self.state.iter_mut().zip(state.0) {
            column[i] = x;
        }
    }

    fn inspect(&self) -> &Self {
        self
    }
}

impl<const N: usize, const O: usize, K: Kernel<N, O>> Inspect for Soa<K, N, O> {
    type State = KernelState<N>;

    fn draw(&self, state: &KernelState<N>, scene: &mut Scene) {
        self.kernel.draw(&state.0, scene);
    }

    fn play(&self, player: usize, state: &KernelState<N>, mut actions: ActionsMut<'_>) {
        actions.set(0, self.kernel.play(player, &state.0));
    }
}

/// A kernel's numbers, saved as a plain list.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelState<const N: usize>(pub [f64; N]);

impl<const N: usize> Default for KernelState<N> {
    fn default() -> Self {
        Self([0.0; N])
    }
}

impl<const N: usize> serde::Serialize for KernelState<N> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(s)
    }
}

impl<'de, const N: usize> serde::Deserialize<'de> for KernelState<N> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let numbers = Vec::<f64>::deserialize(d)?;
        let n = numbers.len();
        let wrong = |_| serde::de::Error::custom(format!("a state has {N} numbers, not {n}"));
        numbers.try_into().map(Self).map_err(wrong)
    }
}
