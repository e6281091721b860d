//! A lander with three engines and two legs above a pad, in the form of Gymnasium 1.4.0's `LunarLander-v3`: its terrain,
//! observations, engines, rewards and ends by the same formulas. The bodies are simulated by Rapier and not by Box2D, so
//! that flight is Box2D's but for rounding, and contacts are only alike: returns are not comparable digit for digit.
//!
//! Observation: x and y from the pad (of half a window), their speeds, angle (rad), its speed, whether each leg touches.
//! Action: none, left, main or right engine; `continuous`: main in (0, 1] is 50 to 100 % throttle, side beyond ±0.5.
//! Reward: what the shaping gains (near, slow, upright, on its legs), less fuel; −100 for a crash, +100 at rest.

use super::planar::{ASLEEP, Body, DT, Hinge, Machine, Motor, Part, Push, joined, place, rest};
use agon_core::env::{Player, Status, ensure, within};
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    /// Gymnasium's names and defaults.
    pub struct LunarLanderSettings {
        /// Whether the engines are throttled by two numbers, in place of one choice of four.
        continuous: bool = false;
        /// m/s².
        gravity: f64 = -10.0, in [-12.0, 0.0];
        /// Whether there is wind.
        enable_wind: bool = false;
        /// The most that wind pushes, N.
        wind_power: f64 = 15.0, in [0.0, 20.0];
        /// The most that it turns, N·m.
        turbulence_power: f64 = 1.5, in [0.0, 2.0];
        /// Steps after which an episode is truncated.
        step_limit: u32 = 1000, in [1.0, 1e5];
    }
}

const SCALE: f32 = 30.0;
const WIDTH: f32 = 600.0 / SCALE;
const HEIGHT: f32 = 400.0 / SCALE;
const PAD: f32 = HEIGHT / 4.0;
/// Points of the ground.
const CHUNKS: usize = 11;
const MAIN_POWER: f32 = 13.0;
const SIDE_POWER: f32 = 0.6;
const INITIAL_FORCE: f64 = 1000.0;
const LEG: [f32; 2] = [20.0 / SCALE, 18.0 / SCALE];
const LEG_TORQUE: f32 = 40.0;

#[derive(Clone)]
pub struct LunarLander {
    spec: Spec,
    set: LunarLanderSettings,
    machine: Machine,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// `[11]`: heights of the ground, m.
    ground: Vec<f32>,
    /// The lander, its right leg and its left one.
    bodies: [Body; 3],
    /// Whether each leg touches the ground.
    legs: [bool; 2],
    /// Whether the lander itself touched it.
    crashed: bool,
    /// Steps for which nothing has moved.
    rest: u32,
    /// Where the patterns of wind and turbulence are.
    wind: [i64; 2],
    /// The throttle of the main engine, and of the side engine, right positive.
    engines: [f32; 2],
}

impl State {
    /// Gymnasium's observation.
    fn seen(&self) -> [f32; 8] {
        let [lander, ..] = &self.bodies;
        let touches = |leg: usize| f32::from(u8::from(self.legs[leg]));
        [
            (lander.at[0] - WIDTH / 2.0) / (WIDTH / 2.0),
            (lander.at[1] - (PAD + LEG[1])) / (HEIGHT / 2.0),
            lander.velocity[0] * (WIDTH / 2.0) * DT,
            lander.velocity[1] * (HEIGHT / 2.0) * DT,
            lander.angle,
            20.0 * lander.turning * DT,
            touches(0),
            touches(1),
        ]
    }

    /// What rewards are gains of.
    fn shaping(&self) -> f64 {
        let [x, y, vx, vy, angle, _, left, right] = self.seen().map(f64::from);
        let far = |a: f64, b: f64| 100.0 * (a * a + b * b).sqrt();
        -far(x, y) - far(vx, vy) - 100.0 * angle.abs() + 10.0 * left + 10.0 * right
    }

    fn status(&self) -> Status {
        let over = self.crashed || self.seen()[0].abs() >= 1.0 || self.rest >= ASLEEP;
        if over { Status::Terminated } else { Status::Running }
    }

    fn segments(&self) -> impl Iterator<Item = [[f32; 2]; 2]> {
        let at = |i: usize| [WIDTH / (CHUNKS - 1) as f32 * i as f32, self.ground[i]];
        let floor = [[0.0, 0.0], [WIDTH, 0.0]];
        (1..CHUNKS).map(move |i| [at(i - 1), at(i)]).chain([floor])
    }
}

impl LunarLander {
    /// What an action tells the engines: main 0 or 0.5 to 1; side 0 or ±0.5 to ±1.
    fn engines(&self, actions: Actions<'_>) -> [f32; 2] {
        if !self.set.continuous {
            return match actions.discrete()[0] {
                1 => [0.0, -1.0],
                2 => [1.0, 0.0],
                3 => [0.0, 1.0],
                _ => [0.0, 0.0],
            };
        }
        let [main, side] = [0, 1].map(|k| actions.continuous()[k].clamp(-1.0, 1.0));
        [if main > 0.0 { (main + 1.0) * 0.5 } else { 0.0 }, if side.abs() > 0.5 { side } else { 0.0 }]
    }

    /// The impulses of the engines, each of which fires a little `off`, m.
    fn thrust([main, side]: [f32; 2], lander: &Body, off: [f32; 2]) -> [Push; 2] {
        let up = place(&Body { angle: lander.angle, ..Body::default() }, [0.0, 1.0]);
        // Gymnasium's (sin, cos) of the angle, and that turned by a quarter.
        let tip = [-up[0], up[1]];
        let across = [-tip[1], tip[0]];
        let push = |[x, y]: [f32; 2], at: [f32; 2], power: f32| Push {
            impulse: [-x * power, -y * power],
            at: [lander.at[0] + at[0], lander.at[1] + at[1]],
            twist: 0.0,
        };
        let along = 4.0 / SCALE + 2.0 * off[0];
        let back = [tip[0] * along + across[0] * off[1], -tip[1] * along - across[1] * off[1]];
        let away = 3.0 * off[1] + side.signum() * 12.0 / SCALE;
        let out = [tip[0] * off[0] + across[0] * away, -tip[1] * off[0] - across[1] * away];
        // 17 and 14: Gymnasium's own, of which one is thought to be a mistake.
        let at = [out[0] - tip[0] * 17.0 / SCALE, out[1] + tip[1] * 14.0 / SCALE];
        [push(back, back, MAIN_POWER * main), push(out, at, SIDE_POWER * side.abs())]
    }

    /// The push of the wind, while no leg stands.
    fn wind(&self, state: &mut State) -> Push {
        if !self.set.enable_wind || state.legs[0] || state.legs[1] {
            return Push::default();
        }
        let [wind, twist] = state.wind.map(|k| {
            let k = k as f64;
            ((0.02 * k).sin() + (std::f64::consts::PI * 0.01 * k).sin()).tanh()
        });
        state.wind = state.wind.map(|k| k + 1);
        let centre = place(&state.bodies[0], self.machine.parts[0].centre());
        let newton_seconds = (wind * self.set.wind_power) as f32 * DT;
        Push { impulse: [newton_seconds, 0.0], at: centre, twist: (twist * self.set.turbulence_power) as f32 * DT }
    }
}

/// The legs' sides, in the order of Gymnasium's: −1 is the right one on the screen.
const SIDES: [f32; 2] = [-1.0, 1.0];

impl Env for LunarLander {
    type Settings = LunarLanderSettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] =
        &[Player { name: "heuristic", about: "Gymnasium's own: glides to the pad and brakes over it" }];

    fn new(set: LunarLanderSettings) -> Result<Self, EnvError> {
        let any = f32::INFINITY;
        let mut fields: Vec<Field> = [("x", "10 m"), ("y", "6.7 m"), ("x speed", "5 m/s"), ("y speed", "7.5 m/s")]
            .into_iter()
            .chain([("angle", "rad"), ("angular speed", "2.5 rad/s")])
            .map(|(name, unit)| Field::new(name, unit, -any, any))
            .collect();
        fields.extend(["leg 1 touches", "leg 2 touches"].map(|name| Field::new(name, "", 0.0, 1.0)));
        let action = if set.continuous {
            ActionSpec::Continuous { fields: ["main", "side"].map(|n| Field::new(n, "", -1.0, 1.0)).to_vec() }
        } else {
            ActionSpec::discrete(["none", "left engine", "main engine", "right engine"])
        };
        let corners = |all: &[[f32; 2]]| all.iter().map(|c| c.map(|x| x / SCALE)).collect::<Vec<_>>();
        let hull = corners(&[[-14., 17.], [-17., 0.], [-17., -10.], [17., -10.], [17., 0.], [14., 17.]]);
        let leg = corners(&[[-2., -8.], [2., -8.], [2., 8.], [-2., 8.]]);
        // Frictions are Box2D's mixtures with the ground's 0.1.
        let parts = [Part::new(hull, 5.0, 0.1), Part::new(leg.clone(), 1.0, 0.02f32.sqrt())];
        let [Some(hull), Some(leg)] = parts else { return Err(EnvError::Missing("a body has no area".into())) };
        let hinges = SIDES.iter().enumerate().map(|(k, side)| Hinge {
            bodies: [0, k + 1],
            anchors: [[0.0, 0.0], [side * LEG[0], LEG[1]]],
            limits: if *side < 0.0 { [0.4, 0.9] } else { [-0.9, -0.4] },
        });
        let machine =
            Machine { hinges: hinges.collect(), parts: vec![hull, leg.clone(), leg], gravity: set.gravity as f32 };
        Ok(Self { spec: Spec::new(fields, action, set.step_limit), set, machine })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        let mut height = [0f64; CHUNKS + 1];
        height.fill_with(|| rng.range(0.0, f64::from(HEIGHT) / 2.0));
        height[CHUNKS / 2 - 2..=CHUNKS / 2 + 2].fill(PAD.into());
        let smooth = |i: usize| 0.33 * (height[(i + CHUNKS) % (CHUNKS + 1)] + height[i] + height[i + 1]);
        state.ground.clear();
        state.ground.extend((0..CHUNKS).map(|i| smooth(i) as f32));
        let kick = f64::from(DT) / f64::from(self.machine.parts[0].mass());
        self.place(state, [0, 1].map(|_| (rng.range(-INITIAL_FORCE, INITIAL_FORCE) * kick) as f32));
        (state.legs, state.crashed, state.rest) = ([false; 2], false, 0);
        state.wind = [0, 1].map(|_| if self.set.enable_wind { i64::from(rng.below(19_998)) - 9999 } else { 0 });
        // As Gymnasium's, an episode begins after a step without engines.
        self.fly(state, [0.0, 0.0], [0.0; 2]);
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let before = state.shaping();
        let [main, side] = self.engines(actions);
        self.fly(state, [main, side], [0, 1].map(|_| rng.range(-1.0, 1.0) as f32 / SCALE));
        let fuel = f64::from(main) * 0.30 + f64::from(side.abs()) * 0.03;
        reward[0] = if state.rest >= ASLEEP {
            100.0
        } else if state.status() == Status::Terminated {
            -100.0
        } else {
            (state.shaping() - before - fuel) as f32
        };
        state.status()
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        ensure(state.ground.len() == CHUNKS, "the ground has 11 heights")?;
        state.ground.iter().try_for_each(|y| within("a height", f64::from(*y), 0.0, f64::from(HEIGHT)))?;
        self.machine.check(&state.bodies)?;
        ensure(state.rest <= ASLEEP, "it cannot be at rest for longer than it takes to end")?;
        let most = 9999 + i64::from(self.spec.step_limit) + 1;
        ensure(state.wind.iter().all(|k| k.abs() <= most), "`wind` is beyond its range")?;
        within("the main engine", state.engines[0].into(), 0.0, 1.0)?;
        within("the side engine", state.engines[1].into(), -1.0, 1.0)?;
        Ok(state.status())
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        obs.copy_from_slice(&state.seen());
    }

    /// `heuristic` of Gymnasium's `lunar_lander.py`.
    fn play(&self, _: usize, state: &State, mut actions: ActionsMut<'_>) {
        let [x, y, vx, vy, angle, turning, ..] = state.seen().map(f64::from);
        let target = (0.5 * x + vx).clamp(-0.4, 0.4);
        let mut turn = (target - angle) * 0.5 - turning;
        let mut hover = (0.55 * x.abs() - y) * 0.5 - vy * 0.5;
        if state.legs[0] || state.legs[1] {
            (turn, hover) = (0.0, -vy * 0.5);
        }
        if self.set.continuous {
            actions.set(0, (hover * 20.0 - 1.0).clamp(-1.0, 1.0));
            actions.set(1, (-turn * 20.0).clamp(-1.0, 1.0));
        } else if hover > turn.abs() && hover > 0.05 {
            actions.set(0, 2.0);
        } else {
            actions.set(0, if turn < -0.05 { 3.0 } else { f64::from(u8::from(turn > 0.05)) });
        }
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        scene.window([0.0, WIDTH.into()], [0.0, HEIGHT.into()]);
        let mut line = |[a, b]: [[f32; 2]; 2], ink| {
            let [[x1, y1], [x2, y2]] = [a, b].map(|p| p.map(f64::from));
            scene.line(x1, y1, x2, y2, ink);
        };
        state.segments().take(CHUNKS - 1).for_each(|ends| line(ends, Ink::Frame));
        for x in [4.0, 6.0].map(|chunk| WIDTH / 10.0 * chunk) {
            line([[x, PAD], [x, PAD + 50.0 / SCALE]], Ink::Goal);
        }
        for (k, (part, body)) in self.machine.parts.iter().zip(&state.bodies).enumerate() {
            part.outline(body).for_each(|ends| line(ends, if k == 0 { Ink::Agent } else { Ink::Body }));
        }
        let lander = &state.bodies[0];
        let [main, side] = state.engines;
        line([[0.0, -10.0], [0.0, -10.0 - 20.0 * main]].map(|p| place(lander, p.map(|x| x / SCALE))), Ink::Danger);
        line(
            [[-17.0 * side.signum(), 14.0], [-17.0 * side.signum() - 12.0 * side, 14.0]]
                .map(|p| place(lander, p.map(|x| x / SCALE))),
            Ink::Danger,
        );
        let seen = state.seen();
        scene.note("x, y", format!("{:+.2} {:+.2}", seen[0], seen[1]));
        scene.note("speed", format!("{:+.1} {:+.1} m/s", lander.velocity[0], lander.velocity[1]));
        scene.note("angle", format!("{:+.0}°", lander.angle.to_degrees()));
    }
}

impl LunarLander {
    /// Puts the lander above the pad, with a velocity.
    fn place(&self, state: &mut State, velocity: [f32; 2]) {
        state.bodies = [Body { at: [WIDTH / 2.0, HEIGHT], ..Body::default() }; 3];
        state.bodies[0].velocity = velocity;
        // Gymnasium's legs begin off their joints, and Box2D puts them there in its first step.
        for hinge in &self.machine.hinges {
            let leg = hinge.bodies[1];
            state.bodies[leg].angle = 0.0f32.clamp(hinge.limits[0], hinge.limits[1]);
            state.bodies[leg].at = joined(&state.bodies[0], state.bodies[leg].angle, hinge);
        }
    }

    /// Moves the bodies by a step of the engines; `off`: how far each fires off its place, m.
    fn fly(&self, state: &mut State, engines: [f32; 2], off: [f32; 2]) {
        state.engines = engines;
        let wind = self.wind(state);
        let [main, side] = Self::thrust(engines, &state.bodies[0], off);
        let pushes = [wind, main, side];
        // The legs are pressed outwards: springs that give way.
        let motors = SIDES.map(|side| Motor { speed: 0.3 * side, torque: LEG_TORQUE });
        let (mut bodies, mut touching) = (state.bodies, [false; 3]);
        let fine = self.machine.step(&mut bodies, &mut touching, &motors, &pushes, state.segments());
        // An impulse wakes the bodies, as in Box2D.
        let pushed = pushes.iter().any(|push| push.impulse != [0.0; 2]);
        state.rest = if pushed { 0 } else { rest(&state.bodies, &bodies, state.rest) };
        state.bodies = bodies;
        state.legs = [touching[1], touching[2]];
        state.crashed = touching[0] || !fine;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    /// Returns of the heuristic player, one an episode.
    fn heuristic(continuous: bool, episodes: u32) -> Vec<f64> {
        let env = LunarLander::new(LunarLanderSettings { continuous, ..Default::default() }).unwrap();
        let play = |episode| {
            let (mut rng, mut state, mut total) = (Rng::new(3, Stream::Env, episode), State::default(), 0.0);
            env.reset(&mut state, &mut rng);
            for _ in 0..1000 {
                let (mut choice, mut numbers, mut reward) = ([0i64], [0f32; 2], [0f32]);
                let action = if continuous {
                    env.play(0, &state, ActionsMut::Continuous(&mut numbers));
                    Actions::Continuous(&numbers)
                } else {
                    env.play(0, &state, ActionsMut::Discrete(&mut choice));
                    Actions::Discrete(&choice)
                };
                let status = env.step(&mut state, action, &mut reward, &mut rng);
                total += f64::from(reward[0]);
                if status == Status::Terminated {
                    break;
                }
            }
            total
        };
        (0..episodes).map(play).collect()
    }

    /// Box2D's masses, and a flight of Gymnasium's without chance: the engines' thrust, gravity, the legs' springs.
    #[test]
    fn it_flies_as_gymnasiums() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/planar.json");
        let golden: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let golden = &golden["lander"];
        let env = LunarLander::new(LunarLanderSettings::default()).unwrap();
        for (part, mass) in env.machine.parts.iter().zip(golden["masses"].as_array().unwrap()) {
            assert!((f64::from(part.mass()) / mass.as_f64().unwrap() - 1.0).abs() < 1e-5, "{} {mass}", part.mass());
        }
        let mut state = State::default();
        env.reset(&mut state, &mut Rng::new(1, Stream::Env, 0));
        let bodies: Vec<Body> = serde_json::from_value(golden["start"].clone()).unwrap();
        state.bodies.copy_from_slice(&bodies);
        let mut worst = [0f64; 6];
        for (k, wanted) in golden["obs"].as_array().unwrap().iter().enumerate() {
            if let Some(action) = k.checked_sub(1).map(|k| golden["actions"][k].as_i64().unwrap()) {
                env.fly(&mut state, env.engines(Actions::Discrete(&[action])), [0.0; 2]);
            }
            for (i, x) in state.seen()[..6].iter().enumerate() {
                worst[i] = worst[i].max((f64::from(*x) - wanted[i].as_f64().unwrap()).abs());
            }
        }
        assert!(worst.iter().all(|w| *w < 0.03), "{worst:.4?}");
    }

    #[test]
    fn the_heuristic_lands() {
        for continuous in [false, true] {
            let returns = heuristic(continuous, 60);
            let mean = returns.iter().sum::<f64>() / 60.0;
            assert!(mean > 200.0, "{mean}: {returns:?}");
        }
    }
}
