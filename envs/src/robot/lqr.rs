//! The linear-quadratic regulator (Kalman 1960, "Contributions to the theory of optimal control"): a linear system with
//! noise, quadratic costs and an optimum that is known exactly.
//!
//! State x, `[n]`; action u, `[m]`; step x' = A x + B u + σ w with w uniform in [−√3, √3], which has deviation 1. Reward
//! −(q |x|² + r |u|²), of the state before the step. An episode starts uniformly in [−s, s]ⁿ and ends after `steps`.
//! Observation: x and the share of time that is left.
//!
//! The value of a state is quadratic for any noise of this mean and covariance. Starts and noise are bounded, so that
//! the best action is too: the bounds of actions are those that it never reaches.

use super::matrix::{Matrix, sum_of_sizes};
use agon_core::env::{Player, ensure, within};
use agon_core::rng::Stream;
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Observation, Rng, Spec, Status};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

agon_core::choices! {
    /// Which A and B.
    pub enum System {
        /// A mass of 1 kg that a force moves along a line: position and speed, held for `dt`.
        DoubleIntegrator = "double-integrator",
        /// Normal entries from `system_seed`; A is scaled to `spectral_radius`.
        Random = "random",
        /// The settings `a` and `b`.
        Matrices = "matrices",
    }
}

agon_core::settings! {
    pub struct LqrSettings {
        /// Which system.
        system: System = System::DoubleIntegrator;
        /// Seconds of a step of the double integrator.
        dt: f64 = 0.1, in [1e-4, 10.0];
        /// Numbers of state of a random system.
        states: u32 = 4, in [1.0, 8.0];
        /// Numbers of action of a random system.
        inputs: u32 = 2, in [1.0, 8.0];
        /// What a random system is drawn from.
        system_seed: u64 = 0;
        /// The largest size of an eigenvalue of a random A; above 1 it is unstable without control.
        spectral_radius: f64 = 1.0, in [0.0, 1.5];
        /// A of `matrices`, by rows.
        a: Vec<Vec<f64>> = Vec::new(), in [-1e3, 1e3];
        /// B of `matrices`, by rows.
        b: Vec<Vec<f64>> = Vec::new(), in [-1e3, 1e3];
        /// q: what a squared unit of state costs a step.
        state_cost: f64 = 1.0, in [0.0, 1e6];
        /// r: what a squared unit of action costs a step.
        control_cost: f64 = 0.1, in [1e-6, 1e6];
        /// σ: the deviation of the noise of every number of state.
        noise: f64 = 0.02, in [0.0, 1e3];
        /// s: an episode starts uniformly in [−s, s] in every number of state.
        start: f64 = 1.0, in [0.0, 1e3];
        /// Discount of returns.
        discount: f64 = 1.0, in [0.0, 1.0];
        /// Steps after which an episode ends.
        steps: u32 = 100, in [1.0, 1000.0];
    }
}

/// The most numbers of state or action.
const MOST: usize = 8;
/// No episode gets so far from 0 (`new` checks it); states of foreign files are held within.
const FAR: f64 = 1e6;

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    x: Vec<f64>,
    step: u32,
}

/// What a set of settings comes to.
struct Plan {
    a: Matrix,
    b: Matrix,
    /// K of u = −K x by step, `[steps][m × n]`.
    gains: Vec<Matrix>,
    /// The expected return of the best.
    value: f64,
}

#[derive(Clone)]
pub struct Lqr {
    settings: LqrSettings,
    spec: Spec,
    plan: Arc<Plan>,
}

/// A and B of these settings.
fn matrices(s: &LqrSettings) -> Result<(Matrix, Matrix), EnvError> {
    match s.system {
        System::DoubleIntegrator => {
            let a = Matrix { columns: 2, cells: vec![1.0, s.dt, 0.0, 1.0] };
            Ok((a, Matrix { columns: 1, cells: vec![0.5 * s.dt * s.dt, s.dt] }))
        }
        System::Random => {
            let (n, m) = (s.states as usize, s.inputs as usize);
            let mut rng = Rng::new(s.system_seed, Stream::Weights, 0);
            let mut normal = |columns, count| Matrix { columns, cells: (0..count).map(|_| rng.normal()).collect() };
            let (mut a, b) = (normal(n, n * n), normal(m, n * m));
            let scale = s.spectral_radius / a.spectral_radius().max(1e-12);
            a.cells.iter_mut().for_each(|x| *x *= scale);
            Ok((a, b))
        }
        System::Matrices => Ok((from_rows("a", &s.a, s.a.len())?, from_rows("b", &s.b, s.a.len())?)),
    }
}

/// A matrix of so many rows. An error is about the setting `name`.
fn from_rows(name: &str, rows: &[Vec<f64>], count: usize) -> Result<Matrix, EnvError> {
    let columns = rows.first().map_or(0, Vec::len);
    let square = name == "b" || columns == count;
    if !(1..=MOST).contains(&count) || !(1..=MOST).contains(&columns) || !square {
        return Err(EnvError::setting(
            name,
            format!("`a` must be square and `b` as high, 1 to {MOST} rows and columns"),
        ));
    }
    if rows.len() != count || rows.iter().any(|row| row.len() != columns) {
        return Err(EnvError::setting(name, format!("must have {count} rows, each as long as the first")));
    }
    Ok(Matrix { columns, cells: rows.concat() })
}

impl Plan {
    /// Riccati's recursion from the last step to the first, with P = 0 behind the last:
    /// K = γ (R + γ Bᵀ P B)⁻¹ Bᵀ P A and P ← Q + γ Aᵀ P (A − B K); a start costs tr(P) s²/3, and the noise that comes
    /// before it γ σ² tr(P).
    fn new(s: &LqrSettings) -> Result<Self, EnvError> {
        let (a, b) = matrices(s)?;
        let (n, m) = (a.rows(), b.columns);
        let (at, bt, gamma) = (a.transposed(), b.transposed(), s.discount);
        let trace = |p: &Matrix| (0..n).map(|i| p.at(i, i)).sum::<f64>();
        let mut p = Matrix::diagonal(n, 0.0);
        let (mut gains, mut noise) = (Vec::new(), 0.0);
        for _ in 0..s.steps {
            noise = gamma * (noise + s.noise * s.noise * trace(&p));
            let bp = bt.times(&p);
            let gain = Matrix::diagonal(m, s.control_cost).plus(gamma, &bp.times(&b)).solve(&bp.times(&a));
            let gain = Matrix { cells: gain.cells.iter().map(|x| gamma * x).collect(), ..gain };
            let next =
                Matrix::diagonal(n, s.state_cost).plus(gamma, &at.times(&p).times(&a.plus(-1.0, &b.times(&gain))));
            // Rounding must not add up to a matrix that is not symmetric.
            p = Matrix::new(n, n, |i, j| 0.5 * (next.at(i, j) + next.at(j, i)));
            gains.push(gain);
        }
        gains.reverse();
        let value = -(trace(&p) * s.start * s.start / 3.0 + noise);
        if !value.is_finite() {
            return Err(EnvError::setting("steps", "the cost of so many steps of this system is beyond all numbers"));
        }
        Ok(Self { a, b, gains, value })
    }

    /// The most that the best control uses of each number of action.
    fn bounds(&self, s: &LqrSettings) -> Vec<f64> {
        let closed: Vec<Matrix> = self.gains.iter().map(|k| self.a.plus(-1.0, &self.b.times(k))).collect();
        let wide = 3f64.sqrt() * s.noise;
        let most = |input: usize| {
            let at = |step: usize| {
                let mut row = Matrix { columns: self.a.columns, cells: self.gains[step].row(input).to_vec() };
                let mut reach = 0.0;
                for before in closed[..step].iter().rev() {
                    reach += wide * sum_of_sizes(&row.cells);
                    row = row.times(before);
                }
                reach + s.start * sum_of_sizes(&row.cells)
            };
            // The margin is for rounding, and the floor for a control that is not worth its cost.
            (0..self.gains.len()).map(at).fold(0.0, f64::max) * 1.01 + 1e-3
        };
        (0..self.b.columns).map(most).collect()
    }

    /// The most that any numbers of state can become within `bounds`.
    fn reach(&self, s: &LqrSettings, bounds: &[f64]) -> f64 {
        let (n, wide) = (self.a.rows(), 3f64.sqrt() * s.noise);
        let (mut power, mut pushed, mut most) = (Matrix::diagonal(n, 1.0), vec![0.0; n], 0f64);
        for _ in 0..s.steps {
            let push = power.times(&self.b);
            for (i, total) in pushed.iter_mut().enumerate() {
                *total += push.row(i).iter().zip(bounds).map(|(x, b)| x.abs() * b).sum::<f64>();
                *total += wide * sum_of_sizes(power.row(i));
            }
            power = self.a.times(&power);
            let here = (0..n).map(|i| pushed[i] + s.start * sum_of_sizes(power.row(i))).fold(s.start, f64::max);
            most = most.max(here);
        }
        most
    }
}

impl Env for Lqr {
    type Settings = LqrSettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] =
        &[Player { name: "riccati", about: "the optimal feedback of every step, by Riccati's recursion" }];

    fn new(settings: LqrSettings) -> Result<Self, EnvError> {
        let plan = Plan::new(&settings)?;
        let bounds = plan.bounds(&settings);
        let reach = plan.reach(&settings, &bounds);
        if reach.is_nan() || reach > FAR {
            let why = format!("this system can get beyond {FAR:e} in so many steps: take fewer, or a steadier system");
            return Err(EnvError::setting("steps", why));
        }
        let any = f32::INFINITY;
        let integrator = settings.system == System::DoubleIntegrator;
        let mut fields: Vec<Field> = match integrator {
            true => vec![Field::new("position", "m", -any, any), Field::new("speed", "m/s", -any, any)],
            false => (1..=plan.a.rows()).map(|i| Field::new(format!("x{i}"), "", -any, any)).collect(),
        };
        fields.push(Field::share("time left", f64::from(settings.steps), "steps"));
        let input = |(i, most): (usize, &f64)| match integrator {
            true => Field::new("force", "N", -(*most as f32), *most as f32),
            false => Field::new(format!("u{}", i + 1), "", -(*most as f32), *most as f32),
        };
        let action = ActionSpec::Continuous { fields: bounds.iter().enumerate().map(input).collect() };
        let spec = Spec { discount: settings.discount, ..Spec::new(fields, action, settings.steps) };
        Ok(Self { settings, spec, plan: Arc::new(plan) })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        let s = self.settings.start;
        state.x.resize(self.plan.a.rows(), 0.0);
        state.x.iter_mut().for_each(|x| *x = if s > 0.0 { rng.range(-s, s) } else { 0.0 });
        state.step = 0;
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let (Self { settings: s, plan, spec }, ActionSpec::Continuous { fields }) = (self, &self.spec.action) else {
            return Status::Terminated;
        };
        let mut u = [0.0; MOST];
        for ((u, a), f) in u.iter_mut().zip(actions.continuous()).zip(fields) {
            *u = f64::from(a.clamp(f.low, f.high));
        }
        let u = &u[..fields.len()];
        let squares = |numbers: &[f64]| numbers.iter().map(|x| x * x).sum::<f64>();
        reward[0] = -(s.state_cost * squares(&state.x) + s.control_cost * squares(u)) as f32;
        let mut next = [0.0; MOST];
        for (i, next) in next.iter_mut().enumerate().take(state.x.len()) {
            let dot = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
            let noise = s.noise * 3f64.sqrt() * rng.range(-1.0, 1.0);
            *next = (dot(plan.a.row(i), &state.x) + dot(plan.b.row(i), u) + noise).clamp(-FAR, FAR);
        }
        let n = state.x.len();
        state.x.copy_from_slice(&next[..n]);
        state.step += 1;
        if state.step >= spec.step_limit { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        ensure(state.x.len() == self.plan.a.rows(), "`x` has another number of states than the system")?;
        state.x.iter().try_for_each(|x| within("x", *x, -FAR, FAR))?;
        ensure(state.step <= self.spec.step_limit, "no episode has so many steps")?;
        Ok(if state.step == self.spec.step_limit { Status::Terminated } else { Status::Running })
    }

    fn age(&self, state: &State) -> Option<u32> {
        Some(state.step)
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        let left = 1.0 - f64::from(state.step) / f64::from(self.spec.step_limit);
        obs.iter_mut().zip(state.x.iter().chain([&left])).for_each(|(o, x)| *o = *x as f32);
    }

    fn play(&self, _: usize, state: &State, mut actions: ActionsMut<'_>) {
        let Some(gain) = self.plan.gains.get(state.step as usize) else { return };
        let ActionSpec::Continuous { fields } = &self.spec.action else { return };
        for (i, field) in fields.iter().enumerate() {
            let u = -gain.row(i).iter().zip(&state.x).map(|(k, x)| k * x).sum::<f64>();
            actions.set(i, u.clamp(f64::from(field.low), f64::from(field.high)));
        }
    }

    fn optimum(&self) -> Option<f64> {
        Some(self.plan.value)
    }

    /// One row a number of state, with a bar from 0.
    fn draw(&self, state: &State, scene: &mut Scene) {
        let (n, s) = (state.x.len() as f64, self.settings.start.max(1e-3));
        scene.window([-1.5 * s, 1.5 * s], [0.0, n]);
        scene.line(0.0, 0.0, 0.0, n, Ink::Goal);
        let Observation::Numbers(fields) = &self.spec.observation else { return };
        for (i, (x, field)) in state.x.iter().zip(fields).enumerate() {
            let low = n - i as f64 - 0.7;
            scene.rect(x.min(0.0), low, x.abs(), 0.4, Ink::Agent);
            scene.circle(*x, low + 0.2, 0.05 * s, Ink::Body);
            scene.note(field.name.as_str(), format!("{x:+.3} {}", field.unit));
        }
        scene.note("step", state.step.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_that_make_no_sense_are_refused() {
        let with = |a: &[&[f64]], b: &[&[f64]]| {
            let rows = |m: &[&[f64]]| m.iter().map(|row| row.to_vec()).collect();
            let settings = LqrSettings { system: System::Matrices, a: rows(a), b: rows(b), ..Default::default() };
            Lqr::new(settings).map(|lqr| lqr.spec.obs_len()).map_err(|e| e.to_string())
        };
        assert_eq!(with(&[&[0.9]], &[&[1.0]]), Ok(2));
        for (a, b, part) in [
            (&[][..], &[][..], "square"),
            (&[&[1.0, 0.0][..]], &[&[1.0][..]], "square"),
            (&[&[1.0]], &[&[1.0], &[1.0]], "1 rows"),
            (&[&[2.0]], &[&[0.0]], "steadier"),
        ] {
            let why = with(a, b).unwrap_err();
            assert!(why.contains(part), "{part} in {why}");
        }
    }
}
