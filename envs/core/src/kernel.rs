//! Environments that are arithmetic only: written once over [`Real`], stepped in SIMD registers.

use crate::batch::{Batch, States};
use crate::env::{Actions, ActionsMut, Player};
use crate::error::EnvError;
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

    /// Checks the settings together.
    fn new(settings: Self::Settings) -> Result<Self, EnvError>;

    /// See [`crate::Env::spec`].
    fn spec(&self) -> &Spec;

    /// A new episode's state.
    fn reset(&self, rng: &mut Rng) -> [f64; N];

    /// One tick: the new state, the reward, and whether the rules ended the episode. Mark it `#[inline(always)]`.
    fn step<R: Real>(&self, state: [R; N], action: R) -> ([R; N], R, R::Mask);

    /// The observation of a state. Mark it `#[inline(always)]`.
    fn observe<R: Real>(&self, state: [R; N]) -> [R; O];

    /// Draws the state for people.
    fn draw(&self, _state: &[f64; N], _scene: &mut Scene) {}
}

/// A batch of kernels.
pub type Lanes<K, const N: usize, const O: usize> = Batch<Soa<K, N, O>>;

/// The states of many kernels as a structure of arrays: `state[k][i]` is number k of environment i.
pub struct Soa<K, const N: usize, const O: usize> {
    kernel: K,
    envs: usize,
    state: [Vec<f64>; N],
    action: Vec<f64>,
    reward: Vec<f64>,
    ended: Vec<f64>,
}

impl<const N: usize, const O: usize, K: Kernel<N, O>> Lanes<K, N, O> {
    /// `envs` copies, on one thread: SIMD makes a step so short that a second thread would only wait.
    pub fn new(kernel: K, envs: usize) -> Self {
        assert_eq!((kernel.spec().agents, kernel.spec().obs_len(), kernel.spec().action.len()), (1, O, 1));
        Self::of(Soa {
            kernel,
            envs,
            state: std::array::from_fn(|_| vec![0.0; envs]),
            action: vec![0.0; envs],
            reward: vec![0.0; envs],
            ended: vec![0.0; envs],
        })
    }
}

/// One step of all lanes; what does not fill a register is done one by one.
struct StepAll<'a, K, const N: usize, const O: usize>(&'a mut Soa<K, N, O>);

impl<const N: usize, const O: usize, K: Kernel<N, O>> WithSimd for StepAll<'_, K, N, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Soa { kernel, envs, state, action, reward, ended, .. } = self.0;
        let whole = *envs / S::F64_LANES * S::F64_LANES;
        {
            let state = state.each_mut().map(|s| S::as_mut_simd_f64s(s).0);
            let action = S::as_simd_f64s(action).0;
            let (reward, ended) = (S::as_mut_simd_f64s(reward).0, S::as_mut_simd_f64s(ended).0);
            let n =
                action.len().min(reward.len()).min(ended.len()).min(state.iter().map(|s| s.len()).min().unwrap_or(0));
            for i in 0..n {
                let now = std::array::from_fn(|k| Lane(simd, state[k][i]));
                let (next, r, end) = kernel.step(now, Lane(simd, action[i]));
                for k in 0..N {
                    state[k][i] = next[k].1;
                }
                reward[i] = r.1;
                ended[i] = simd.select_f64s(end.1, simd.splat_f64s(1.0), simd.splat_f64s(0.0));
            }
        }
        for i in whole..*envs {
            let (next, r, end) = kernel.step(std::array::from_fn(|k| state[k][i]), action[i]);
            for k in 0..N {
                state[k][i] = next[k];
            }
            reward[i] = r;
            ended[i] = f64::from(u8::from(end));
        }
    }
}

impl<const N: usize, const O: usize, K: Kernel<N, O>> Soa<K, N, O> {
    fn at(&self, i: usize) -> [f64; N] {
        std::array::from_fn(|k| self.state[k][i])
    }
}

/// The observations of all lanes. Kernels whose observation is the state, or needs a sine, both vectorise here.
struct ObserveAll<'a, K, const N: usize, const O: usize>(&'a Soa<K, N, O>, &'a mut [f32]);

impl<const N: usize, const O: usize, K: Kernel<N, O>> WithSimd for ObserveAll<'_, K, N, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (soa, obs) = (self.0, self.1);
        let lanes = S::F64_LANES;
        let state = soa.state.each_ref().map(|s| S::as_simd_f64s(s).0);
        let whole = state.iter().map(|s| s.len()).min().unwrap_or(0);
        let (body, tail) = obs.split_at_mut(whole * lanes * O);
        for (i, rows) in body.chunks_exact_mut(lanes * O).enumerate() {
            let seen = soa.kernel.observe(std::array::from_fn(|k| Lane(simd, state[k][i])));
            for k in 0..O {
                let column: &[f64] = pulp::bytemuck::cast_slice(std::slice::from_ref(&seen[k].1));
                for (row, x) in rows.chunks_exact_mut(O).zip(column) {
                    row[k] = *x as f32;
                }
            }
        }
        for (i, row) in tail.chunks_exact_mut(O).enumerate() {
            let seen = soa.kernel.observe(soa.at(whole * lanes + i));
            row.iter_mut().zip(seen).for_each(|(o, x)| *o = x as f32);
        }
    }
}

impl<const N: usize, const O: usize, K: Kernel<N, O>> States for Soa<K, N, O> {
    type State = KernelState<N>;

    fn spec(&self) -> &Spec {
        self.kernel.spec()
    }

    fn len(&self) -> usize {
        self.envs
    }

    fn reset(&mut self, i: usize, rng: &mut Rng) {
        self.set(i, KernelState(self.kernel.reset(rng)));
    }

    fn step(&mut self, actions: Actions<'_>, reward: &mut [f32], terminated: &mut [bool], _: &mut [Rng]) {
        match actions {
            Actions::Discrete(a) => self.action.iter_mut().zip(a).for_each(|(x, a)| *x = *a as i32 as f64),
            Actions::Continuous(a) => self.action.iter_mut().zip(a).for_each(|(x, a)| *x = f64::from(*a)),
        }
        pulp::Arch::new().dispatch(StepAll(self));
        reward.iter_mut().zip(&self.reward).for_each(|(r, x)| *r = *x as f32);
        terminated.iter_mut().zip(&self.ended).for_each(|(t, x)| *t = *x != 0.0);
    }

    fn observe_all(&self, obs: &mut [f32]) {
        pulp::Arch::new().dispatch(ObserveAll(self, obs));
    }

    fn observe(&self, i: usize, obs: &mut [f32]) {
        let seen = self.kernel.observe(self.at(i));
        obs.iter_mut().zip(seen).for_each(|(o, x)| *o = x as f32);
    }

    fn mask(&self, _: usize, mask: &mut [bool]) {
        mask.fill(true);
    }

    fn get(&self, i: usize) -> KernelState<N> {
        KernelState(self.at(i))
    }

    fn set(&mut self, i: usize, state: KernelState<N>) {
        for (column, x) in self.state.iter_mut().zip(state.0) {
            column[i] = x;
        }
    }

    fn draw(&self, state: &KernelState<N>, scene: &mut Scene) {
        self.kernel.draw(&state.0, scene);
    }

    fn players(&self) -> &'static [Player] {
        &[]
    }

    fn offers(&self, _: usize) -> Result<(), String> {
        Err("this environment brings no players".into())
    }

    fn play(&self, _: usize, _: usize, _: ActionsMut<'_>) {}

    fn optimum(&self) -> Option<f64> {
        None
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
