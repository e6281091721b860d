//! Breakout on 10 × 10 cells, the game of MinAtar 1.0 (Young and Tian 2019, "MinAtar: An Atari-Inspired Testbed for
//! Thorough and Reproducible Reinforcement Learning Experiments"), rule for rule.
//!
//! Observation: a picture of 4 channels of 0 and 1 (paddle, ball, trail: where the ball was a step ago, brick). Action:
//! nothing, left, right; or MinAtar's six, of which the other three do nothing. With probability `sticky` the action
//! before is repeated instead; here an episode begins without one, while MinAtar's wrapper remembers the last episode's.
//! The ball moves along diagonals and is reflected by walls, bricks and the paddle, to the side from which it came where
//! it hits the paddle's edge. Reward 1 a brick; once all 30 are gone and the ball is back down, they stand anew. Ends
//! when the ball is lost.

use agon_core::env::{Status, ensure};
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, Actions, Env, EnvError, Observation, Picture, Rng, Spec};
use serde::{Deserialize, Serialize};

agon_core::choices! {
    /// The actions there are.
    pub enum ActionSet {
        /// Those that do something: nothing, left, right.
        Minimal = "minimal",
        /// All of MinAtar's: nothing, left, up, right, down, fire.
        All = "all",
    }
}

agon_core::settings! {
    pub struct BreakoutSettings {
        /// minimal (nothing, left, right) or all six of MinAtar.
        actions: ActionSet = ActionSet::Minimal;
        /// The probability that the action before is repeated.
        sticky: f64 = 0.1, in [0.0, 1.0];
        /// Steps after which an episode is truncated.
        step_limit: u32 = 5000, in [1.0, 1e9];
    }
}

const SIDE: u8 = 10;
/// The first row of bricks, and how many there are.
const TOP: u8 = 1;
const ROWS: u8 = 3;
const ALL_BRICKS: u32 = (1 << (ROWS * SIDE)) - 1;

#[derive(Clone)]
pub struct Breakout {
    spec: Spec,
    sticky: f64,
    /// What left and right are among the actions.
    moves: [i64; 2],
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Column and row, from the upper left corner.
    ball: [u8; 2],
    /// Where the ball was a step ago.
    trail: [u8; 2],
    /// Where the ball is heading.
    right: bool,
    down: bool,
    /// Its column; its row is the last.
    paddle: u8,
    /// A bit a brick, row by row.
    bricks: u32,
    /// Whether the ball struck a brick a step ago: it breaks no other before it has left them.
    strike: bool,
    /// What was done a step ago.
    action: u8,
}

impl State {
    fn begin(from_right: bool) -> Self {
        let start = [if from_right { SIDE - 1 } else { 0 }, 3];
        let (right, bricks) = (!from_right, ALL_BRICKS);
        Self { ball: start, trail: start, right, down: true, paddle: 4, bricks, strike: false, action: 0 }
    }

    /// The bit of the brick in a cell; 0 where there is none.
    fn brick(&self, [x, y]: [u8; 2]) -> u32 {
        let row = y.wrapping_sub(TOP);
        if row < ROWS { self.bricks & (1 << (row * SIDE + x)) } else { 0 }
    }

    /// The ball's next move; whether it broke a brick.
    fn fly(&mut self) -> bool {
        let [x, y] = self.ball;
        self.trail = self.ball;
        let ahead = |at: u8, forward: bool| if forward { Some(at + 1) } else { at.checked_sub(1) };
        let column = ahead(x, self.right).filter(|x| *x < SIDE).unwrap_or_else(|| {
            self.right = !self.right;
            x
        });
        let Some(row) = ahead(y, self.down) else {
            self.down = true;
            (self.ball, self.strike) = ([column, 0], false);
            return false;
        };
        self.ball = [column, row];
        let brick = self.brick(self.ball);
        let breaks = brick != 0 && !self.strike;
        if breaks {
            self.bricks ^= brick;
            self.bounce(y);
        } else if row == SIDE - 1 {
            if self.bricks == 0 {
                self.bricks = ALL_BRICKS;
            }
            if x == self.paddle {
                self.bounce(y);
            } else if column == self.paddle {
                self.right = !self.right;
                self.bounce(y);
            }
        }
        self.strike = brick != 0;
        breaks
    }

    /// Back to the row it came from, and the other way up or down.
    fn bounce(&mut self, row: u8) {
        self.ball[1] = row;
        self.down = !self.down;
    }

    fn is_lost(&self) -> bool {
        self.ball[1] == SIDE - 1
    }
}

impl Env for Breakout {
    type Settings = BreakoutSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(settings: BreakoutSettings) -> Result<Self, EnvError> {
        let (action, moves) = match settings.actions {
            ActionSet::Minimal => (ActionSpec::discrete(["nothing", "left", "right"]), [1, 2]),
            ActionSet::All => (ActionSpec::discrete(["nothing", "left", "up", "right", "down", "fire"]), [1, 3]),
        };
        let side = usize::from(SIDE);
        let channels = ["paddle", "ball", "trail", "brick"].map(String::from).to_vec();
        let picture = Observation::Picture(Picture { channels, height: side, width: side, high: 1 });
        Ok(Self { spec: Spec::observing(picture, action, settings.step_limit), sticky: settings.sticky, moves })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        *state = State::begin(rng.below(2) == 1);
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let action = if rng.f64() < self.sticky { i64::from(state.action) } else { actions.discrete()[0] };
        state.action = action as u8;
        if action == self.moves[0] {
            state.paddle = state.paddle.saturating_sub(1);
        } else if action == self.moves[1] {
            state.paddle = (state.paddle + 1).min(SIDE - 1);
        }
        reward[0] = f32::from(u8::from(state.fly()));
        if state.is_lost() { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        let State { ball, trail, paddle, bricks, .. } = *state;
        ensure(ball.iter().chain(&trail).all(|at| *at < SIDE) && paddle < SIDE, "there is no such cell")?;
        ensure(bricks <= ALL_BRICKS, "there are 30 bricks")?;
        ensure(usize::from(state.action) < self.spec.action.mask_len(), "there is no such action")?;
        let near = ball.iter().zip(&trail).all(|(a, b)| a.abs_diff(*b) <= 1);
        ensure(near && trail[1] < SIDE - 1, "the ball moves by one cell")?;
        // An episode begins in a row of bricks.
        ensure(state.brick(ball) == 0 || state.strike || ball == trail, "the ball is in a brick")?;
        ensure(!state.is_lost() || ball[0] != paddle && trail[0] != paddle, "the paddle keeps the ball")?;
        Ok(if state.is_lost() { Status::Terminated } else { Status::Running })
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        let side = usize::from(SIDE);
        let cell = |[x, y]: [u8; 2]| usize::from(y) * side + usize::from(x);
        obs.fill(0.0);
        for (channel, at) in [[state.paddle, SIDE - 1], state.ball, state.trail].into_iter().enumerate() {
            obs[channel * side * side + cell(at)] = 1.0;
        }
        let wall = &mut obs[3 * side * side + cell([0, TOP])..][..usize::from(ROWS) * side];
        wall.iter_mut().enumerate().for_each(|(i, brick)| *brick = (state.bricks >> i & 1) as f32);
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        let side = f64::from(SIDE);
        scene.window([0.0, side], [0.0, side]);
        // Rows count downwards here.
        let middle = |[x, y]: [u8; 2]| (f64::from(x) + 0.5, side - f64::from(y) - 0.5);
        for cell in (TOP..TOP + ROWS).flat_map(|y| (0..SIDE).map(move |x| [x, y])) {
            if state.brick(cell) != 0 {
                let (x, y) = middle(cell);
                scene.rect(x - 0.45, y - 0.35, 0.9, 0.7, Ink::Goal);
            }
        }
        let (x, y) = middle([state.paddle, SIDE - 1]);
        scene.rect(x - 0.5, y - 0.2, 1.0, 0.4, Ink::Agent);
        let (x, y) = middle(state.trail);
        scene.circle(x, y, 0.15, Ink::Frame);
        let (x, y) = middle(state.ball);
        scene.circle(x, y, 0.3, Ink::Body);
        scene.note("bricks", state.bricks.count_ones().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    #[test]
    fn episodes_begin_on_either_side() {
        let (game, mut state) = (Breakout::new(BreakoutSettings::default()).unwrap(), State::default());
        let starts: Vec<u8> = (0..1000)
            .map(|seed| {
                game.reset(&mut state, &mut Rng::new(seed, Stream::Env, 0));
                state.ball[0]
            })
            .collect();
        let left = starts.iter().filter(|x| **x == 0).count();
        assert!((420..580).contains(&left) && starts.iter().all(|x| [0, 9].contains(x)), "{left}");
    }

    /// A tenth of the actions are those before them.
    #[test]
    fn actions_stick() {
        let game = Breakout::new(BreakoutSettings::default()).unwrap();
        let (mut rng, mut stuck) = (Rng::new(1, Stream::Env, 0), 0);
        for _ in 0..10_000 {
            let mut state = State { action: 2, ..State::begin(false) };
            game.step(&mut state, Actions::Discrete(&[1]), &mut [0.0], &mut rng);
            assert_eq!(state.paddle, if state.action == 2 { 5 } else { 3 });
            stuck += u32::from(state.action == 2);
        }
        assert!((880..1120).contains(&stuck), "{stuck}");
    }
}
