//! A pendulum to swing up and hold, in the form of Gymnasium's `Pendulum-v1`.
//!
//! State: angle (rad, 0 is upright) and speed (rad/s). Observation: cosine, sine, speed. Action: a torque in
//! [−2, 2] N·m. Reward −(θ² + 0.1 ω² + 0.001 u²) with θ in [−π, π]. Never terminates.

use super::{lqr, wrap};
use agon_core::env::{Player, Status, within};
use agon_core::real::Real;
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, EnvError, Field, Kernel, Rng, Spec};
use std::f64::consts::PI;
use std::sync::OnceLock;

agon_core::settings! {
    pub struct PendulumSettings {
        /// Gravity, m/s².
        gravity: f64 = 10.0, in [0.0, 1000.0];
        /// Steps after which an episode is truncated.
        step_limit: u32 = 200, in [1.0, 1e9];
    }
}

const MAX_TORQUE: f64 = 2.0;
const MAX_SPEED: f64 = 8.0;
const DT: f64 = 0.05;

#[derive(Clone)]
pub struct Pendulum {
    spec: Spec,
    gravity: f64,
    regulator: OnceLock<[f64; 2]>,
}

impl Kernel<2, 3> for Pendulum {
    type Settings = PendulumSettings;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] =
        &[Player { name: "lqr", about: "gives the pendulum the energy to stand, then the linear-quadratic regulator" }];

    fn new(settings: PendulumSettings) -> Result<Self, EnvError> {
        let fields = vec![
            Field::new("cos angle", "", -1.0, 1.0),
            Field::new("sin angle", "", -1.0, 1.0),
            Field::new("speed", "rad/s", -(MAX_SPEED as f32), MAX_SPEED as f32),
        ];
        let torque = Field::new("torque", "N·m", -(MAX_TORQUE as f32), MAX_TORQUE as f32);
        let spec = Spec::new(fields, ActionSpec::Continuous { fields: vec![torque] }, settings.step_limit);
        Ok(Self { spec, gravity: settings.gravity, regulator: OnceLock::new() })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, rng: &mut Rng) -> [f64; 2] {
        [rng.range(-PI, PI), rng.range(-1.0, 1.0)]
    }

    #[inline(always)]
    fn step<R: Real>(&self, [theta, omega]: [R; 2], action: R) -> ([R; 2], R, R::Mask) {
        let c = |a: f64| theta.of(a);
        let u = action.min(c(MAX_TORQUE)).max(c(-MAX_TORQUE));
        let angle = wrap(theta);
        // Gymnasium keeps what it computes from the torque alone in f32.
        let effort = (c(f64::from(0.001f32)) * (u * u).single()).single();
        let cost = angle * angle + c(0.1) * omega * omega + effort;
        let speed = omega + (c(1.5 * self.gravity) * theta.sin_cos().0 + (c(3.0) * u).single()) * c(DT);
        let speed = speed.min(c(MAX_SPEED)).max(c(-MAX_SPEED));
        ([theta + speed * c(DT), speed], -cost, c(0.0).gt(c(1.0)))
    }

    fn check(&self, &[theta, omega]: &[f64; 2]) -> Result<Status, String> {
        // The angle is not wrapped: it counts turns, as many as an episode has time for. Up to 10⁵ sines are exact.
        let most = (PI + f64::from(self.spec.step_limit) * MAX_SPEED * DT).max(1e5);
        within("angle", theta, -most, most)?;
        within("speed", omega, -MAX_SPEED, MAX_SPEED)?;
        Ok(Status::Running)
    }

    #[inline(always)]
    fn observe<R: Real>(&self, [theta, omega]: [R; 2]) -> [R; 3] {
        let (sin, cos) = theta.sin_cos();
        [cos, sin, omega]
    }

    fn play(&self, _: usize, [theta, omega]: &[f64; 2]) -> f64 {
        let step = |state, u| self.step(state, u).0;
        let gain = self.regulator.get_or_init(|| lqr::regulator(step, [1.0, 0.1], 0.001));
        let (angle, needed) = (wrap(*theta), 1.5 * self.gravity);
        let torque = lqr::feedback(gain, &[angle, *omega]);
        // What the regulator wants and the motor cannot give is not near enough.
        if angle.abs() < 0.5 && torque.abs() < 3.0 * MAX_TORQUE {
            return torque.clamp(-MAX_TORQUE, MAX_TORQUE);
        }
        // ω²/2 + 1.5 g cos θ is what it has, and 1.5 g what it takes to stand; torque along the motion adds 3 u ω.
        let missing = needed - (0.5 * omega * omega + needed * angle.cos());
        if missing * omega >= 0.0 { MAX_TORQUE } else { -MAX_TORQUE }
    }

    fn draw(&self, [theta, omega]: &[f64; 2], scene: &mut Scene) {
        scene.window([-1.3, 1.3], [-1.3, 1.3]);
        scene.circle(0.0, 0.0, 1.0, Ink::Frame);
        scene.line(0.0, 0.0, theta.sin(), theta.cos(), Ink::Agent);
        scene.circle(theta.sin(), theta.cos(), 0.08, Ink::Body);
        scene.circle(0.0, 1.0, 0.04, Ink::Goal);
        scene.note("angle", format!("{:+.0}°", wrap(*theta).to_degrees()));
        scene.note("speed", format!("{omega:+.2} rad/s"));
    }
}
