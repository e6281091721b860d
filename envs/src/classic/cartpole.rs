//! A pole on a cart (Barto, Sutton and Anderson 1983, "Neuronlike adaptive elements that can solve difficult learning
//! control problems"), in the form of Gymnasium's `CartPole-v1`.
//!
//! State: cart position (m), its speed (m/s), pole angle (rad, 0 is upright), its speed (rad/s); the observation is the
//! state. Action: push left or right with 10 N. Reward 1 a step. Ends beyond 2.4 m or 12°.

use super::lqr;
use agon_core::env::{Player, Status, within};
use agon_core::real::Real;
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, EnvError, Field, Kernel, Rng, Spec};
use std::sync::OnceLock;

agon_core::settings! {
    pub struct CartPoleSettings {
        /// Steps after which an episode is truncated.
        step_limit: u32 = 500, in [1.0, 1e9];
    }
}

const GRAVITY: f64 = 9.8;
const TOTAL_MASS: f64 = 1.0 + 0.1;
const POLE_MASS: f64 = 0.1;
const HALF_LENGTH: f64 = 0.5;
const POLE_MOMENT: f64 = POLE_MASS * HALF_LENGTH;
const FORCE: f64 = 10.0;
const TAU: f64 = 0.02;
const TRACK: f64 = 2.4;
const TILT: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;

#[derive(Clone)]
pub struct CartPole {
    spec: Spec,
    regulator: OnceLock<[f64; 4]>,
}

impl Kernel<4, 4> for CartPole {
    type Settings = CartPoleSettings;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] =
        &[Player { name: "lqr", about: "pushes to where the linear-quadratic regulator of the upright pole would" }];

    fn new(settings: CartPoleSettings) -> Result<Self, EnvError> {
        let any = f32::INFINITY;
        let fields = vec![
            Field::new("position", "m", -4.8, 4.8),
            Field::new("velocity", "m/s", -any, any),
            Field::new("angle", "rad", -0.42, 0.42),
            Field::new("angular velocity", "rad/s", -any, any),
        ];
        let spec = Spec::new(fields, ActionSpec::discrete(["left", "right"]), settings.step_limit);
        Ok(Self { spec, regulator: OnceLock::new() })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    #[inline(always)]
    fn reset(&self, rng: &mut Rng) -> [f64; 4] {
        rng.four(-0.05, 0.05)
    }

    /// One explicit Euler step of 20 ms, with the accelerations of Florian 2007, equations 23 and 24 (no friction).
    #[inline(always)]
    fn step<R: Real>(&self, [x, v, theta, omega]: [R; 4], action: R) -> ([R; 4], R, R::Mask) {
        let c = |a: f64| x.of(a);
        let force = action * c(2.0 * FORCE) - c(FORCE);
        let (sin, cos) = theta.sin_cos();
        let push = (c(POLE_MOMENT) * omega * omega).mul_add(sin, force) * c(1.0 / TOTAL_MASS);
        let inertia = (cos * cos).mul_add(c(-HALF_LENGTH * POLE_MASS / TOTAL_MASS), c(HALF_LENGTH * 4.0 / 3.0));
        let alpha = (c(GRAVITY) * sin - cos * push) / inertia;
        let accel = (alpha * cos).mul_add(c(-POLE_MOMENT / TOTAL_MASS), push);
        let tau = c(TAU);
        let next = [tau.mul_add(v, x), tau.mul_add(accel, v), tau.mul_add(omega, theta), tau.mul_add(alpha, omega)];
        (next, c(1.0), next[0].abs().gt(c(TRACK)) | next[2].abs().gt(c(TILT)))
    }

    /// On a track of 4.8 m no cart gets faster than 10 m/s, and within 24° no pole faster than 5 rad/s. States beyond that
    /// are taken as far as they fit together: who moves so fast has left before it can gain more than stands here.
    fn check(&self, &[x, v, theta, omega]: &[f64; 4]) -> Result<Status, String> {
        within("position", x, -2.0 * TRACK, 2.0 * TRACK)?;
        within("angle", theta, -2.0 * TILT, 2.0 * TILT)?;
        let most = 40.0 + v.signum() * x + 2.0 * TRACK;
        within("velocity", v, -most, most)?;
        let most = 8.0 + 3.0 * (omega.signum() * theta + 2.0 * TILT);
        within("angular velocity", omega, -most, most)?;
        Ok(if x.abs() > TRACK || theta.abs() > TILT { Status::Terminated } else { Status::Running })
    }

    #[inline(always)]
    fn observe<R: Real>(&self, state: [R; 4]) -> [R; 4] {
        state
    }

    fn play(&self, _: usize, state: &[f64; 4]) -> f64 {
        // Half a push to the right is none.
        let step = |state, u| self.step(state, 0.5 + u).0;
        let gain = self.regulator.get_or_init(|| lqr::regulator(step, [1.0, 0.1, 10.0, 0.1], 1.0));
        if lqr::feedback(gain, state) > 0.0 { 1.0 } else { 0.0 }
    }

    fn draw(&self, [x, v, theta, _]: &[f64; 4], scene: &mut Scene) {
        scene.window([-2.6, 2.6], [-0.4, 1.4]);
        scene.line(-TRACK, 0.0, TRACK, 0.0, Ink::Frame);
        scene.line(-TRACK, -0.1, -TRACK, 0.1, Ink::Danger);
        scene.line(TRACK, -0.1, TRACK, 0.1, Ink::Danger);
        scene.rect(x - 0.25, 0.02, 0.5, 0.2, Ink::Body);
        scene.line(*x, 0.22, x + theta.sin(), 0.22 + theta.cos(), Ink::Agent);
        scene.note("position", format!("{x:+.2} m"));
        scene.note("velocity", format!("{v:+.2} m/s"));
        scene.note("angle", format!("{:+.1}°", theta.to_degrees()));
    }
}
