//! A car too weak for its hill (Moore 1990, "Efficient memory-based learning for robot control"), in the form of
//! Gymnasium's `MountainCar-v0`.
//!
//! State and observation: position and velocity. Action: push back, nothing, push forward. Reward −1 a step. Ends at
//! the flag, position 0.5.

use agon_core::env::{Status, within};
use agon_core::real::Real;
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, EnvError, Field, Kernel, Rng, Spec};

agon_core::settings! {
    pub struct MountainCarSettings {
        /// The least velocity at the flag that ends an episode.
        goal_velocity: f64 = 0.0, in [-0.07, 0.07];
        /// Steps after which an episode is truncated.
        step_limit: u32 = 200, in [1.0, 1e9];
    }
}

const LEFT: f64 = -1.2;
const RIGHT: f64 = 0.6;
const FLAG: f64 = 0.5;
const MAX_SPEED: f64 = 0.07;

#[derive(Clone)]
pub struct MountainCar {
    spec: Spec,
    goal_velocity: f64,
}

impl Kernel<2, 2> for MountainCar {
    type Settings = MountainCarSettings;
    const VERSION: u32 = 1;

    fn new(settings: MountainCarSettings) -> Result<Self, EnvError> {
        let fields = vec![
            Field::new("position", "", LEFT as f32, RIGHT as f32),
            Field::new("velocity", "", -(MAX_SPEED as f32), MAX_SPEED as f32),
        ];
        let action = ActionSpec::discrete(["back", "coast", "forward"]);
        let spec = Spec::new(fields, action, settings.step_limit);
        Ok(Self { spec, goal_velocity: settings.goal_velocity })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, rng: &mut Rng) -> [f64; 2] {
        [rng.range(-0.6, -0.4), 0.0]
    }

    #[inline(always)]
    fn step<R: Real>(&self, [x, v]: [R; 2], action: R) -> ([R; 2], R, R::Mask) {
        let c = |a: f64| x.of(a);
        let v = v + ((action - c(1.0)) * c(0.001) + (c(3.0) * x).sin_cos().1 * c(-0.0025));
        let v = v.min(c(MAX_SPEED)).max(c(-MAX_SPEED));
        let x = (x + v).min(c(RIGHT)).max(c(LEFT));
        // A car that runs into the left wall stops.
        let v = R::pick(x.gt(c(LEFT)), v, v.max(c(0.0)));
        let short = c(FLAG).gt(x) | c(self.goal_velocity).gt(v);
        let there = R::pick(short, c(0.0), c(1.0)).gt(c(0.5));
        ([x, v], c(-1.0), there)
    }

    fn check(&self, &[x, v]: &[f64; 2]) -> Result<Status, String> {
        within("position", x, LEFT, RIGHT)?;
        within("velocity", v, -MAX_SPEED, MAX_SPEED)?;
        Ok(if x >= FLAG && v >= self.goal_velocity { Status::Terminated } else { Status::Running })
    }

    #[inline(always)]
    fn observe<R: Real>(&self, state: [R; 2]) -> [R; 2] {
        state
    }

    fn draw(&self, [x, v]: &[f64; 2], scene: &mut Scene) {
        let height = |x: f64| (3.0 * x).sin() * 0.45 + 0.55;
        scene.window([LEFT, RIGHT], [0.0, 1.2]);
        for i in 0..60 {
            let (a, b) = (LEFT + 0.03 * f64::from(i), LEFT + 0.03 * f64::from(i + 1));
            scene.line(a, height(a), b, height(b), Ink::Frame);
        }
        scene.line(FLAG, height(FLAG), FLAG, height(FLAG) + 0.15, Ink::Goal);
        scene.circle(*x, height(*x) + 0.05, 0.04, Ink::Body);
        scene.note("position", format!("{x:+.3}"));
        scene.note("velocity", format!("{v:+.4}"));
    }
}
