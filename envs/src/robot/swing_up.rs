//! A pole to swing up on a cart and to hold there, in full rotation.
//!
//! Motion: the cart and pole of Barto, Sutton and Anderson 1983, as in `classic/cartpole` (cart 1 kg, pole 0.1 kg and
//! 1 m, no friction; accelerations of Florian 2007, equations 23 and 24), speeds first and places by the new speeds,
//! every 20 ms. An episode starts with the pole hanging and ends beyond 2.4 m, or is truncated after 10 s.
//! Reward, in [0, 1]: the formula of dm_control's `cartpole.swingup` (Tassa et al. 2018, "DeepMind Control Suite"), which
//! has other limits of the track and an engine of its own: its scores are not comparable digit for digit.
//!
//! Observation: position (m), cosine and sine of the angle (0 is upright), speed (m/s), angular speed (rad/s). Action: a
//! force in [−10, 10] N.

use agon_core::env::{Player, within};
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec, Status};
use serde::{Deserialize, Serialize};
use std::f64::consts::{PI, TAU};

agon_core::settings! {
    pub struct SwingUpSettings {
        /// Gravity, m/s².
        gravity: f64 = 9.8, in [0.0, 100.0];
        /// Steps after which an episode is truncated.
        step_limit: u32 = 500, in [1.0, 1e9];
    }
}

const CART: f64 = 1.0;
const POLE: f64 = 0.1;
const HALF_LENGTH: f64 = 0.5;
const FORCE: f64 = 10.0;
const DT: f64 = 0.02;
const TRACK: f64 = 2.4;
/// Faster than this nothing gets that 10 N push along 4.8 m; foreign states are held to it.
const FASTEST: f64 = 1e3;

/// Position and speed of the cart, angle and angular speed of the pole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    x: f64,
    v: f64,
    theta: f64,
    omega: f64,
}

#[derive(Clone)]
pub struct SwingUp {
    spec: Spec,
    gravity: f64,
}

impl SwingUp {
    /// Accelerations of the cart and of the pole's angle under this force.
    fn accelerations(&self, &State { theta, omega, .. }: &State, force: f64) -> [f64; 2] {
        let (sin, cos) = theta.sin_cos();
        let (total, moment) = (CART + POLE, POLE * HALF_LENGTH);
        let push = (force + moment * omega * omega * sin) / total;
        let alpha = (self.gravity * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE * cos * cos / total));
        [push - moment * alpha * cos / total, alpha]
    }

    /// dm_control's: upright, in the middle of the track, with little force and slowly. Its `tolerance` falls to 0.1 at
    /// the margin of 2 m and 5 rad/s (as a bell), and to 0 at the greatest force (as a parabola).
    fn reward(&self, &State { x, theta, omega, .. }: &State, force: f64) -> f64 {
        let bell = |x: f64, margin: f64| (0.1f64.ln() * (x / margin).powi(2)).exp();
        let upright = 0.5 * (1.0 + theta.cos());
        let centred = 0.5 * (1.0 + bell(x, 2.0));
        let small_force = 0.2 * (4.0 + (1.0 - (force / FORCE).powi(2)).max(0.0));
        let slow = 0.5 * (1.0 + bell(omega, 5.0));
        upright * centred * small_force * slow
    }
}

impl Env for SwingUp {
    type Settings = SwingUpSettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] = &[Player {
        name: "energy",
        about: "gives the pole the energy to stand (Åström and Furuta 2000), then balances",
    }];

    fn new(settings: SwingUpSettings) -> Result<Self, EnvError> {
        let any = f32::INFINITY;
        let fields = vec![
            Field::new("position", "m", -any, any),
            Field::new("cos angle", "", -1.0, 1.0),
            Field::new("sin angle", "", -1.0, 1.0),
            Field::new("speed", "m/s", -any, any),
            Field::new("angular speed", "rad/s", -any, any),
        ];
        let force = Field::new("force", "N", -(FORCE as f32), FORCE as f32);
        let spec = Spec::new(fields, ActionSpec::Continuous { fields: vec![force] }, settings.step_limit);
        Ok(Self { spec, gravity: settings.gravity })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        let [x, v, theta, omega] = std::array::from_fn(|_| rng.range(-0.05, 0.05));
        *state = State { x, v, theta: theta + PI, omega };
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], _: &mut Rng) -> Status {
        let force = f64::from(actions.continuous()[0]).clamp(-FORCE, FORCE);
        let [along, around] = self.accelerations(state, force);
        state.v = (state.v + DT * along).clamp(-FASTEST, FASTEST);
        state.omega = (state.omega + DT * around).clamp(-FASTEST, FASTEST);
        state.x += DT * state.v;
        // Within one turn, so that it never grows.
        state.theta = (state.theta + DT * state.omega).rem_euclid(TAU);
        reward[0] = self.reward(state, force) as f32;
        if state.x.abs() > TRACK { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        within("position", state.x, -TRACK - DT * FASTEST, TRACK + DT * FASTEST)?;
        within("angle", state.theta, 0.0, TAU)?;
        within("speed", state.v, -FASTEST, FASTEST)?;
        within("angular speed", state.omega, -FASTEST, FASTEST)?;
        Ok(if state.x.abs() > TRACK { Status::Terminated } else { Status::Running })
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        let (sin, cos) = state.theta.sin_cos();
        obs.iter_mut().zip([state.x, cos, sin, state.v, state.omega]).for_each(|(o, x)| *o = x as f32);
    }

    fn play(&self, _: usize, state: &State, mut actions: ActionsMut<'_>) {
        let &State { x, v, theta, omega } = state;
        let angle = (theta + PI).rem_euclid(TAU) - PI;
        let balance = 1.0 * x + 2.0 * v + 40.0 * angle + 8.0 * omega;
        if angle.abs() < 0.4 && balance.abs() < 2.0 * FORCE {
            return actions.set(0, balance.clamp(-FORCE, FORCE));
        }
        // Energy of the pole about its pivot in units of m g l, 0 where it stands; a push against ω cos θ adds to it.
        let energy = omega * omega * HALF_LENGTH * (2.0 / 3.0) / self.gravity.max(1e-9) + angle.cos() - 1.0;
        let pump = (40.0 * energy * omega * angle.cos()).clamp(-0.7 * FORCE, 0.7 * FORCE);
        actions.set(0, (pump - 4.0 * x - 2.0 * v).clamp(-FORCE, FORCE));
    }

    fn draw(&self, &State { x, v, theta, .. }: &State, scene: &mut Scene) {
        scene.window([-2.6, 2.6], [-1.3, 1.3]);
        scene.line(-TRACK, 0.0, TRACK, 0.0, Ink::Frame);
        scene.line(-TRACK, -0.1, -TRACK, 0.1, Ink::Danger);
        scene.line(TRACK, -0.1, TRACK, 0.1, Ink::Danger);
        scene.rect(x - 0.25, -0.1, 0.5, 0.2, Ink::Body);
        scene.line(x, 0.0, x + theta.sin(), theta.cos(), Ink::Agent);
        scene.circle(x + theta.sin(), theta.cos(), 0.06, Ink::Agent);
        let angle = (theta + PI).rem_euclid(TAU) - PI;
        scene.note("position", format!("{x:+.2} m"));
        scene.note("speed", format!("{v:+.2} m/s"));
        scene.note("angle", format!("{:+.0}°", angle.to_degrees()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    fn states() -> impl Iterator<Item = (State, f64)> {
        let mut rng = Rng::new(1, Stream::Env, 0);
        (0..200).map(move |_| {
            let [x, v, theta, omega, force] = std::array::from_fn(|_| rng.range(-3.0, 3.0));
            (State { x, v, theta: theta + 3.0, omega: 3.0 * omega }, 3.0 * force)
        })
    }

    /// Lagrange's equations with the mass matrix of cart and pole, solved by Cramer's rule.
    #[test]
    fn accelerations_solve_lagranges_equations() {
        let env = SwingUp::new(Default::default()).unwrap();
        for (state, force) in states() {
            let (sin, cos) = state.theta.sin_cos();
            let (a, b, d) = (CART + POLE, POLE * HALF_LENGTH * cos, 4.0 / 3.0 * POLE * HALF_LENGTH * HALF_LENGTH);
            let right = [force + POLE * HALF_LENGTH * state.omega.powi(2) * sin, POLE * 9.8 * HALF_LENGTH * sin];
            let det = a * d - b * b;
            let solved = [(right[0] * d - b * right[1]) / det, (a * right[1] - b * right[0]) / det];
            for (x, y) in env.accelerations(&state, force).iter().zip(solved) {
                assert!((x - y).abs() < 1e-10 * (1.0 + y.abs()), "{state:?}: {x} {y}");
            }
        }
    }

    /// Without force, ½ (M + m) v² + m l v ω cos θ + ⅔ m l² ω² + m g l cos θ stays near where it was, and does not drift.
    #[test]
    fn energy_is_kept() {
        let env = SwingUp::new(Default::default()).unwrap();
        let energy = |s: &State| {
            let (m, l) = (POLE, HALF_LENGTH);
            0.5 * (CART + m) * s.v * s.v
                + m * l * s.v * s.omega * s.theta.cos()
                + 2.0 / 3.0 * m * l * l * s.omega * s.omega
                + m * 9.8 * l * s.theta.cos()
        };
        let mut state = State { x: 0.0, v: 0.0, theta: 1.5, omega: 0.0 };
        let before = energy(&state);
        for _ in 0..500 {
            env.step(&mut state, Actions::Continuous(&[0.0]), &mut [0.0], &mut Rng::new(0, Stream::Env, 0));
            assert!((energy(&state) - before).abs() < 0.05, "{state:?}");
        }
    }

    #[test]
    fn the_best_moment_earns_one_and_hanging_nothing() {
        let env = SwingUp::new(Default::default()).unwrap();
        let at = |theta| State { theta, ..State::default() };
        assert!((env.reward(&at(0.0), 0.0) - 1.0).abs() < 1e-12 && env.reward(&at(PI), 0.0) < 1e-12);
        // Computed with dm_control's `rewards.tolerance`: x = 1 m, upright, 5 N, 2.5 rad/s.
        let state = State { x: 1.0, omega: 2.5, ..State::default() };
        assert!((env.reward(&state, 5.0) - 0.579_716_2).abs() < 1e-6, "{}", env.reward(&state, 5.0));
    }

    #[test]
    fn energy_swings_it_up() {
        let env = SwingUp::new(Default::default()).unwrap();
        for episode in 0..20 {
            let (mut state, mut rng) = (State::default(), Rng::new(3, Stream::Env, episode));
            let (mut total, mut force, mut reward) = (0.0, [0.0f32], [0.0]);
            env.reset(&mut state, &mut rng);
            for _ in 0..500 {
                env.play(0, &state, ActionsMut::Continuous(&mut force));
                let status = env.step(&mut state, Actions::Continuous(&force), &mut reward, &mut rng);
                assert_eq!(status, Status::Running, "episode {episode}: {state:?}");
                total += reward[0];
            }
            assert!(total > 300.0, "episode {episode}: {total}");
        }
    }
}
