//! A walker with two legs of two joints each over gentle hills, in the form of Gymnasium 1.4.0's `BipedalWalker-v3`: its
//! terrain, observations, rewards and ends by the same formulas. The bodies are simulated by Rapier and not by Box2D, so
//! that contacts are only alike: returns are not comparable digit for digit.
//!
//! Observation: the hull's angle and velocities, each joint's angle and speed, whether each foot touches, and how far
//! ten rays see. Action: each motor's torque of 80 N·m, its sign where to. Reward: 130/30 a metre, less 5 |angle| of the
//! hull and less 0.028 a unit of torque; −100 for a fall, which ends the episode, as does the far end.

use super::planar::{Body, DT, Hinge, Machine, Motor, Part, joined, place};
use agon_core::env::{Status, ensure, within};
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, Actions, Env, EnvError, Field, Rng, Spec};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct BipedalWalkerSettings {
        /// Steps after which an episode is truncated.
        step_limit: u32 = 1600, in [1.0, 1e5];
    }
}

const SCALE: f32 = 30.0;
const WIDTH: f32 = 600.0 / SCALE;
const HEIGHT: f32 = 400.0 / SCALE;
const TORQUE: f32 = 80.0;
const SPEED_HIP: f32 = 4.0;
const SPEED_KNEE: f32 = 6.0;
/// How far a ray sees, m.
const RANGE: f32 = 160.0 / SCALE;
const RAYS: usize = 10;
const INITIAL_FORCE: f64 = 5.0;
const LEG_DOWN: f32 = -8.0 / SCALE;
const LEG: [f32; 2] = [8.0 / SCALE, 34.0 / SCALE];
/// The ground: its points, m between two, its height at first, and points that are flat.
const POINTS: usize = 200;
const APART: f32 = 14.0 / SCALE;
const LEVEL: f32 = HEIGHT / 4.0;
const FLAT: usize = 20;
/// Points before the end at which an episode is done.
const FINISH: usize = 10;
/// m of ground on either side of the hull that the bodies can touch.
const NEAR: f32 = 4.0;

#[derive(Clone)]
pub struct BipedalWalker {
    spec: Spec,
    machine: Machine,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// `[200]`: heights of the ground, m.
    ground: Vec<f32>,
    /// The hull; thigh and shank of either leg.
    bodies: [Body; 5],
    /// Whether each shank touches the ground.
    feet: [bool; 2],
    /// Whether the hull touched it.
    fallen: bool,
}

impl State {
    fn shaping(&self) -> f64 {
        let hull = &self.bodies[0];
        130.0 * f64::from(hull.at[0]) / f64::from(SCALE) - 5.0 * f64::from(hull.angle.abs())
    }

    fn status(&self) -> Status {
        let x = self.bodies[0].at[0];
        let over = self.fallen || x < 0.0 || x > (POINTS - FINISH) as f32 * APART;
        if over { Status::Terminated } else { Status::Running }
    }

    /// Segments of the ground between two places.
    fn segments(&self, from: f32, to: f32) -> impl Iterator<Item = [[f32; 2]; 2]> {
        let index = |x: f32| (x / APART).clamp(0.0, (POINTS - 1) as f32) as usize;
        let at = |i: usize| [i as f32 * APART, self.ground[i]];
        (index(from)..(index(to) + 1).min(POINTS - 1)).map(move |i| [at(i), at(i + 1)])
    }

    /// The share of its range that a ray from the hull goes before it meets the ground: ray k looks 1.5 k/10 rad ahead of
    /// straight down.
    fn ray(&self, k: usize) -> f32 {
        let from = self.bodies[0].at;
        let angle = 1.5 * k as f32 / 10.0;
        let way = place(&Body { angle, ..Body::default() }, [0.0, -RANGE]);
        let cross = |a: [f32; 2], b: [f32; 2]| a[0] * b[1] - a[1] * b[0];
        let meets = |[a, b]: [[f32; 2]; 2]| {
            let (side, gap) = ([b[0] - a[0], b[1] - a[1]], [a[0] - from[0], a[1] - from[1]]);
            let all = cross(way, side);
            let (share, along) = (cross(gap, side) / all, cross(gap, way) / all);
            if (0.0..=1.0).contains(&share) && (0.0..=1.0).contains(&along) { share } else { 1.0 }
        };
        self.segments(from[0], from[0] + way[0]).map(meets).fold(1.0, f32::min)
    }
}

impl Env for BipedalWalker {
    type Settings = BipedalWalkerSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(set: BipedalWalkerSettings) -> Result<Self, EnvError> {
        let any = |name: &str, unit| Field::new(name, unit, f32::NEG_INFINITY, f32::INFINITY);
        let mut fields = vec![any("hull angle", "rad"), any("hull turning", "25 rad/s")];
        fields.extend([any("x speed", "8.3 m/s"), any("y speed", "12.5 m/s")]);
        for leg in ["leg 1", "leg 2"] {
            fields.extend([any(&format!("{leg} hip"), "rad"), any(&format!("{leg} hip speed"), "4 rad/s")]);
            fields.extend([any(&format!("{leg} knee"), "rad"), any(&format!("{leg} knee speed"), "6 rad/s")]);
            fields.push(Field::new(format!("{leg} touches"), "", 0.0, 1.0));
        }
        fields.extend((1..=RAYS).map(|k| Field::new(format!("ray {k}"), "5.3 m", 0.0, 1.0)));
        let motors = ["leg 1 hip", "leg 1 knee", "leg 2 hip", "leg 2 knee"].map(|n| Field::new(n, "80 N·m", -1.0, 1.0));
        let spec = Spec::new(fields, ActionSpec::Continuous { fields: motors.to_vec() }, set.step_limit);
        let hull = [[-30., 9.], [-30., -8.], [34., -8.], [34., 1.], [6., 9.]].map(|c: [f32; 2]| c.map(|x| x / SCALE));
        let bone = |width: f32| {
            let [x, y] = [width * LEG[0] / 2.0, LEG[1] / 2.0];
            // Frictions are Box2D's mixtures, with the ground's 2.5.
            Part::new(vec![[-x, -y], [x, -y], [x, y], [-x, y]], 1.0, 0.5f32.sqrt())
        };
        let parts = [Part::new(hull.to_vec(), 5.0, 0.5), bone(1.0), bone(0.8), bone(1.0), bone(0.8)];
        let parts: Option<Vec<Part>> = parts.into_iter().collect();
        let parts = parts.ok_or_else(|| EnvError::Missing("a body has no area".into()))?;
        let (top, end) = ([0.0, LEG[1] / 2.0], [0.0, -LEG[1] / 2.0]);
        let leg = |thigh: usize| {
            let hip = Hinge { bodies: [0, thigh], anchors: [[0.0, LEG_DOWN], top], limits: [-0.8, 1.1] };
            [hip, Hinge { bodies: [thigh, thigh + 1], anchors: [end, top], limits: [-1.6, -0.1] }]
        };
        let hinges = [leg(1), leg(3)].concat();
        Ok(Self { spec, machine: Machine { parts, hinges, gravity: -10.0 } })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        state.ground.clear();
        // Gymnasium's grass: stretches of 5 to 9 points, of which the first is as high as the one before.
        let (level, mut y, mut slope) = (f64::from(LEVEL), f64::from(LEVEL), 0.0);
        let (mut left, mut first) = (FLAT as u32, false);
        for i in 0..POINTS {
            if !first {
                let back = if y == level { 0.0 } else { (level - y).signum() };
                slope = 0.8 * slope + 0.01 * back;
                if i > FLAT {
                    slope += rng.range(-1.0, 1.0) / f64::from(SCALE);
                }
                y += slope;
            }
            state.ground.push(y as f32);
            left -= 1;
            first = left == 0;
            if first {
                left = 5 + rng.below(5);
            }
        }
        // On its feet: Gymnasium's legs begin in the ground and off their joints, which Box2D sets right at once.
        let at = [APART * FLAT as f32 / 2.0, LEVEL + 2.0 * LEG[1] - LEG_DOWN];
        state.bodies = [Body { at, ..Body::default() }; 5];
        let kick = rng.range(-INITIAL_FORCE, INITIAL_FORCE) * f64::from(DT);
        state.bodies[0].velocity[0] = kick as f32 / self.machine.parts[0].mass();
        for (k, hinge) in self.machine.hinges.iter().enumerate() {
            let [first, second] = hinge.bodies;
            let side = if k < 2 { -0.05f32 } else { 0.05 };
            let angle =
                state.bodies[first].angle + (side * ((k + 1) % 2) as f32).clamp(hinge.limits[0], hinge.limits[1]);
            let at = joined(&state.bodies[first], angle, hinge);
            state.bodies[second] = Body { at, angle, ..Body::default() };
        }
        (state.feet, state.fallen) = ([false; 2], false);
        // As Gymnasium's, an episode begins after a step without torque.
        self.walk(state, &[0.0; 4]);
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], _: &mut Rng) -> Status {
        let before = state.shaping();
        let torques = [0, 1, 2, 3].map(|k| actions.continuous()[k].clamp(-1.0, 1.0));
        self.walk(state, &torques);
        let effort: f64 = torques.iter().map(|a| f64::from(a.abs())).sum();
        let fell = state.fallen || state.bodies[0].at[0] < 0.0;
        let gained = state.shaping() - before - 0.00035 * f64::from(TORQUE) * effort;
        reward[0] = if fell { -100.0 } else { gained as f32 };
        state.status()
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        ensure(state.ground.len() == POINTS, "the ground has 200 heights")?;
        state.ground.iter().try_for_each(|y| within("a height", f64::from(*y), -100.0, 100.0))?;
        self.machine.check(&state.bodies)?;
        Ok(state.status())
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        let hull = &state.bodies[0];
        let joint = |k: usize| {
            let [first, second] = self.machine.hinges[k].bodies.map(|b| &state.bodies[b]);
            (second.angle - first.angle, second.turning - first.turning)
        };
        obs[..4].copy_from_slice(&[
            hull.angle,
            2.0 * hull.turning * DT,
            0.3 * hull.velocity[0] * WIDTH * DT,
            0.3 * hull.velocity[1] * HEIGHT * DT,
        ]);
        for leg in 0..2 {
            let ((hip, hip_speed), (knee, knee_speed)) = (joint(2 * leg), joint(2 * leg + 1));
            let touches = f32::from(u8::from(state.feet[leg]));
            let seen = [hip, hip_speed / SPEED_HIP, knee + 1.0, knee_speed / SPEED_KNEE, touches];
            obs[4 + 5 * leg..9 + 5 * leg].copy_from_slice(&seen);
        }
        obs[14..].iter_mut().enumerate().for_each(|(k, o)| *o = state.ray(k));
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        let hull = &state.bodies[0];
        let left = hull.at[0] - WIDTH / 5.0;
        scene.window([left.into(), (left + WIDTH * 0.75).into()], [f64::from(LEVEL) - 3.0, f64::from(LEVEL) + 4.5]);
        let mut line = |ends: [[f32; 2]; 2], ink| {
            let [[x1, y1], [x2, y2]] = ends.map(|p| p.map(f64::from));
            scene.line(x1, y1, x2, y2, ink);
        };
        state.segments(left, left + WIDTH).for_each(|ends| line(ends, Ink::Frame));
        for (k, (part, body)) in self.machine.parts.iter().zip(&state.bodies).enumerate() {
            let ink = [Ink::Body, Ink::Agent, Ink::Agent, Ink::Danger, Ink::Danger][k];
            part.outline(body).for_each(|ends| line(ends, ink));
        }
        scene.note("x", format!("{:.1} m of {:.0}", hull.at[0], (POINTS - FINISH) as f32 * APART));
        scene.note("speed", format!("{:+.1} m/s", hull.velocity[0]));
    }
}

impl BipedalWalker {
    /// Moves the bodies by a step with these torques, each in [−1, 1].
    fn walk(&self, state: &mut State, torques: &[f32; 4]) {
        let motor = |k: usize| {
            let speed = if k.is_multiple_of(2) { SPEED_HIP } else { SPEED_KNEE };
            let sign = if torques[k] == 0.0 { 0.0 } else { torques[k].signum() };
            Motor { speed: speed * sign, torque: TORQUE * torques[k].abs() }
        };
        let (mut bodies, mut touching) = (state.bodies, [false; 5]);
        let x = bodies[0].at[0];
        let ground = state.segments(x - NEAR, x + NEAR);
        let fine = self.machine.step(&mut bodies, &mut touching, &[0, 1, 2, 3].map(motor), &[], ground);
        state.bodies = bodies;
        state.feet = [touching[2], touching[4]];
        state.fallen = touching[0] || !fine;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walker() -> BipedalWalker {
        BipedalWalker::new(BipedalWalkerSettings::default()).unwrap()
    }

    /// Box2D's masses, and Gymnasium's walker swinging its legs in the air: joints, motors, limits, rays.
    #[test]
    fn it_swings_its_legs_as_gymnasiums() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/planar.json");
        let golden: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let golden = &golden["walker"];
        let env = walker();
        for (part, mass) in env.machine.parts.iter().zip(golden["masses"].as_array().unwrap()) {
            assert!((f64::from(part.mass()) / mass.as_f64().unwrap() - 1.0).abs() < 1e-5, "{} {mass}", part.mass());
        }
        let bodies: Vec<Body> = serde_json::from_value(golden["start"].clone()).unwrap();
        let ground = serde_json::from_value(golden["ground"].clone()).unwrap();
        let mut state = State { ground, ..State::default() };
        state.bodies.copy_from_slice(&bodies);
        let (mut worst, mut seen) = ([0f64; 24], [0f32; 24]);
        for (k, action) in golden["actions"].as_array().unwrap().iter().enumerate() {
            let torques: [f32; 4] = serde_json::from_value(action.clone()).unwrap();
            env.walk(&mut state, &torques);
            env.observe(&state, &mut seen);
            for (i, x) in seen.iter().enumerate() {
                let wanted = golden["obs"][k + 1][i].as_f64().unwrap();
                worst[i] = worst[i].max((f64::from(*x) - wanted).abs());
            }
        }
        // A joint that meets its limit a step earlier or later has another speed in that step: angles are compared.
        let most = |i: usize| match i {
            4 | 6 | 9 | 11 => 0.2,
            5 | 7 | 10 | 12 => f64::INFINITY,
            _ => 0.04,
        };
        assert!(worst.iter().enumerate().all(|(i, w)| *w < most(i)), "{worst:.4?}");
    }
}
