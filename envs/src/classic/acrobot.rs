//! A two-link arm that is driven at its elbow only (Sutton 1996, "Generalization in reinforcement learning"; the
//! dynamics of Sutton and Barto's book), in the form of Gymnasium's `Acrobot-v1`.
//!
//! State: two joint angles (rad, 0 hangs down, the second relative to the first) and their speeds (rad/s). Observation:
//! cosine and sine of both angles, then the speeds. Action: torque −1, 0 or 1 N·m. Reward −1 a step, 0 at the goal:
//! the tip one link's length above the hinge.

use super::wrap;
use agon_core::env::{Status, within};
use agon_core::real::Real;
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, EnvError, Field, Kernel, Rng, Spec};
use std::f64::consts::{FRAC_PI_2, PI};

agon_core::settings! {
    pub struct AcrobotSettings {
        /// Steps after which an episode is truncated.
        step_limit: u32 = 500, in [1.0, 1e9];
    }
}

const DT: f64 = 0.2;
const LENGTH: f64 = 1.0;
const CENTRE: f64 = 0.5;
const INERTIA: f64 = 1.0;
const GRAVITY: f64 = 9.8;
const MAX_SPEED: [f64; 2] = [4.0 * PI, 9.0 * PI];

#[derive(Clone)]
pub struct Acrobot {
    spec: Spec,
}

/// Speeds and accelerations, both links of mass 1 kg ("book" form).
#[inline(always)]
fn derivative<R: Real>([t1, t2, w1, w2]: [R; 4], torque: R) -> [R; 4] {
    let c = |a: f64| t1.of(a);
    let (sin2, cos2) = t2.sin_cos();
    let d1 = c(CENTRE * CENTRE)
        + (c(LENGTH * LENGTH + CENTRE * CENTRE) + c(2.0 * LENGTH * CENTRE) * cos2)
        + c(2.0 * INERTIA);
    let d2 = (c(CENTRE * CENTRE) + c(LENGTH * CENTRE) * cos2) + c(INERTIA);
    let phi2 = c(CENTRE * GRAVITY) * (t1 + t2 - c(FRAC_PI_2)).sin_cos().1;
    let phi1 = -c(LENGTH * CENTRE) * w2 * w2 * sin2 - c(2.0 * LENGTH * CENTRE) * w2 * w1 * sin2
        + c((CENTRE + LENGTH) * GRAVITY) * (t1 - c(FRAC_PI_2)).sin_cos().1
        + phi2;
    let a2 = (torque + d2 / d1 * phi1 - c(LENGTH * CENTRE) * w1 * w1 * sin2 - phi2)
        / (c(CENTRE * CENTRE + INERTIA) - d2 * d2 / d1);
    let a1 = -(d2 * a2 + phi1) / d1;
    [w1, w2, a1, a2]
}

/// The height of the tip above the hinge.
#[inline(always)]
fn tip<R: Real>(t1: R, t2: R) -> R {
    -Real::sin_cos(t1).1 - Real::sin_cos(t2 + t1).1
}

#[inline(always)]
fn along<R: Real>(from: [R; 4], by: f64, slope: [R; 4]) -> [R; 4] {
    std::array::from_fn(|k| from[k] + from[k].of(by) * slope[k])
}

impl Kernel<4, 6> for Acrobot {
    type Settings = AcrobotSettings;
    const VERSION: u32 = 1;

    fn new(settings: AcrobotSettings) -> Result<Self, EnvError> {
        let unit = |name: &str| Field::new(name, "", -1.0, 1.0);
        let speed = |name: &str, max: f64| Field::new(name, "rad/s", -(max as f32), max as f32);
        let fields = vec![
            unit("cos angle 1"),
            unit("sin angle 1"),
            unit("cos angle 2"),
            unit("sin angle 2"),
            speed("speed 1", MAX_SPEED[0]),
            speed("speed 2", MAX_SPEED[1]),
        ];
        Ok(Self { spec: Spec::new(fields, ActionSpec::discrete(["-1 N·m", "0", "+1 N·m"]), settings.step_limit) })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, rng: &mut Rng) -> [f64; 4] {
        rng.four(-0.1, 0.1)
    }

    /// One Runge-Kutta step of 0.2 s, then angles are wrapped and speeds bounded.
    #[inline(always)]
    fn step<R: Real>(&self, s: [R; 4], action: R) -> ([R; 4], R, R::Mask) {
        let c = |a: f64| action.of(a);
        let torque = action - c(1.0);
        let k1 = derivative(s, torque);
        let k2 = derivative(along(s, DT / 2.0, k1), torque);
        let k3 = derivative(along(s, DT / 2.0, k2), torque);
        let k4 = derivative(along(s, DT, k3), torque);
        let end: [R; 4] =
            std::array::from_fn(|k| s[k] + c(DT / 6.0) * (k1[k] + c(2.0) * k2[k] + c(2.0) * k3[k] + k4[k]));
        let bound = |x: R, max: f64| x.min(c(max)).max(c(-max));
        let next = [wrap(end[0]), wrap(end[1]), bound(end[2], MAX_SPEED[0]), bound(end[3], MAX_SPEED[1])];
        let done = tip(next[0], next[1]).gt(c(1.0));
        (next, R::pick(done, c(0.0), c(-1.0)), done)
    }

    fn check(&self, &[t1, t2, w1, w2]: &[f64; 4]) -> Result<Status, String> {
        for (name, angle) in [("angle 1", t1), ("angle 2", t2)] {
            within(name, angle, -PI - 1e-9, PI + 1e-9)?;
        }
        within("speed 1", w1, -MAX_SPEED[0], MAX_SPEED[0])?;
        within("speed 2", w2, -MAX_SPEED[1], MAX_SPEED[1])?;
        Ok(if tip(t1, t2) > 1.0 { Status::Terminated } else { Status::Running })
    }

    #[inline(always)]
    fn observe<R: Real>(&self, [t1, t2, w1, w2]: [R; 4]) -> [R; 6] {
        let ((s1, c1), (s2, c2)) = (t1.sin_cos(), t2.sin_cos());
        [c1, s1, c2, s2, w1, w2]
    }

    fn draw(&self, [t1, t2, w1, w2]: &[f64; 4], scene: &mut Scene) {
        scene.window([-2.2, 2.2], [-2.2, 2.2]);
        scene.line(-2.2, 1.0, 2.2, 1.0, Ink::Goal);
        let (x, y) = (t1.sin(), -t1.cos());
        scene.line(0.0, 0.0, x, y, Ink::Body);
        scene.line(x, y, x + (t1 + t2).sin(), y - (t1 + t2).cos(), Ink::Agent);
        scene.circle(0.0, 0.0, 0.08, Ink::Frame);
        scene.note("speeds", format!("{w1:+.1} {w2:+.1} rad/s"));
    }
}
