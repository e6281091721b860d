//! A game as a multi-agent environment, so that every learner can play it.
//!
//! Each player is an agent and sees the position from its side at every step. The mask of the player to move shows its
//! legal moves; the others have only action 0, which is ignored. Chance is drawn inside a step by the environment's
//! generator. Rewards are the increments of the returns. An illegal move loses the game at once: the mover gets the
//! least return, the others the greatest.

use crate::action::Actions;
use crate::env::{Each, Env, Status};
use crate::error::EnvError;
use crate::game::{Action, Game, Position, Turn, moves, start};
use crate::observation::Field;
use crate::rng::Rng;
use crate::scene::Scene;
use crate::spec::{ActionSpec, Spec};

/// The environment of a game.
#[derive(Clone)]
pub struct GameEnv<G: Game> {
    game: G,
    spec: Spec,
}

/// The most players a game may have.
const PLAYERS: usize = 8;

impl<G: Game> GameEnv<G> {
    /// Gives every sequence of chance outcomes until a player decides, with its probability times `p`.
    fn ways(&self, p: f64, state: &G::State, each: &mut dyn FnMut(f64, &G::State)) {
        if self.game.turn(state) != Turn::Chance {
            return each(p, state);
        }
        let mut outcomes = Vec::new();
        self.game.chance(state, |outcome, q| outcomes.push((outcome, q)));
        for (outcome, q) in outcomes {
            let mut next = state.clone();
            self.game.play(&mut next, outcome);
            self.ways(p * q, &next, each);
        }
    }

    /// Draws chance outcomes until a player decides.
    fn settle(&self, state: &mut G::State, rng: &mut Rng) {
        while self.game.turn(state) == Turn::Chance {
            let outcome = self.game.roll(state, rng);
            self.game.play(state, outcome);
        }
    }
}

impl<G: Game> Env for GameEnv<G> {
    type Settings = G::Settings;
    type State = G::State;
    const VERSION: u32 = G::VERSION;

    fn new(settings: G::Settings) -> Result<Self, EnvError> {
        let game = G::new(settings)?;
        let rules = game.spec();
        assert!(rules.players() <= PLAYERS, "a game has at most {PLAYERS} players");
        let name = |i: usize| match rules.observation[..] {
            [_, rows, columns] => {
                let (plane, cell) = (i / (rows * columns), i % (rows * columns));
                format!("plane {plane} row {} column {}", cell / columns, cell % columns)
            }
            _ => format!("input {i}"),
        };
        let any = f32::INFINITY;
        let fields = (0..rules.obs_len()).map(|i| Field::new(name(i), "", -any, any)).collect();
        let mut spec = Spec::new(fields, ActionSpec::discrete(0..rules.actions), rules.max_plies);
        spec.agents = rules.players();
        spec.masked = true;
        Ok(Self { game, spec })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut G::State, rng: &mut Rng) {
        self.game.start(state);
        self.settle(state, rng);
    }

    fn step(&self, state: &mut G::State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let mut before = [0.0; PLAYERS];
        let before = &mut before[..self.spec.agents];
        self.game.returns(state, before);
        match self.game.turn(state) {
            Turn::Over => return Status::Terminated,
            Turn::Chance => {} // only in a state that was put here: nobody has a choice
            Turn::Player(mover) => {
                let (chosen, mut legal) = (actions.discrete()[mover], false);
                self.game.moves(state, |a| legal |= i64::from(a) == chosen);
                let [least, most] = self.game.spec().returns;
                if !legal {
                    reward.fill(most);
                    reward[mover] = least;
                    return Status::Terminated;
                }
                self.game.play(state, chosen as Action);
            }
        }
        self.settle(state, rng);
        self.game.returns(state, reward);
        reward.iter_mut().zip(before).for_each(|(now, before)| *now -= *before);
        if self.game.turn(state) == Turn::Over { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &G::State) -> Result<Status, String> {
        self.game.check(state)?;
        match self.game.turn(state) {
            Turn::Over => Ok(Status::Terminated),
            Turn::Player(_) if moves(&self.game, state).is_empty() => Err("the player to move has no move".into()),
            _ => Ok(Status::Running),
        }
    }

    fn observe(&self, state: &G::State, obs: &mut [f32]) {
        for (player, obs) in obs.chunks_exact_mut(self.spec.obs_len()).enumerate() {
            self.game.observe(state, player, obs);
        }
    }

    fn mask(&self, state: &G::State, mask: &mut [bool]) {
        let width = self.game.spec().actions;
        mask.fill(false);
        let mover = match self.game.turn(state) {
            Turn::Player(mover) => mover,
            _ => usize::MAX,
        };
        for player in (0..self.spec.agents).filter(|p| *p != mover) {
            mask[player * width] = true;
        }
        if mover != usize::MAX {
            self.game.moves(state, |a| mask[mover * width + usize::from(a)] = true);
        }
    }

    /// For games for one player.
    fn starts(&self, each: &mut dyn FnMut(f64, &G::State)) -> bool {
        if self.spec.agents > 1 {
            return false;
        }
        self.ways(1.0, &start(&self.game), each);
        true
    }

    fn outcomes(&self, state: &G::State, action: i64, each: Each<'_, G::State>) -> bool {
        if self.spec.agents > 1 {
            return false;
        }
        let (mut next, mut before, mut after) = (state.clone(), [0.0], [0.0]);
        self.game.returns(state, &mut before);
        self.game.play(&mut next, action as Action);
        self.ways(1.0, &next, &mut |p, next| {
            self.game.returns(next, &mut after);
            let over = self.game.turn(next) == Turn::Over;
            each(p, f64::from(after[0] - before[0]), (!over).then_some(next));
        });
        true
    }

    fn draw(&self, state: &G::State, scene: &mut Scene) {
        self.game.draw(state, scene);
        let seats = &self.game.spec().seats;
        match self.game.turn(state) {
            Turn::Player(p) => scene.note("to move", seats[p]),
            Turn::Chance => scene.note("to move", "chance"),
            Turn::Over => {
                let mut returns = [0.0; PLAYERS];
                self.game.returns(state, &mut returns[..seats.len()]);
                seats.iter().zip(returns).for_each(|(s, r)| scene.note(*s, format!("{r:+}")));
            }
        }
    }

    fn position(&self, state: &G::State) -> Option<Position> {
        Some(Position::of(&self.game, state))
    }
}
