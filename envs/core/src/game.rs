//! Turn-based games: the trait that a game implements, and what every game gets from it.
//!
//! A game is rules over plain states, like an environment, with one decision at a time: a player's move or an outcome
//! of chance. Both are called actions and numbered from 0. Search walks states by copy ([`Clone::clone_from`] reuses
//! memory); learners see a game as a multi-agent environment through [`crate::game_env`].

use crate::error::EnvError;
use crate::rng::Rng;
use crate::scene::{Ink, Scene};
use crate::settings::Settings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt::Debug;

/// A player's move or an outcome of chance.
pub type Action = u16;

/// Whose decision is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A player's, counted from 0.
    Player(usize),
    /// Chance: dice or cards.
    Chance,
    /// The game is over.
    Over,
}

/// How a game ended for one player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// Another player earned more.
    Loss,
    /// It earned as much as the best of the others.
    Draw,
    /// It earned most.
    Win,
}

impl Score {
    /// The result of a player that earned `own` where the best of the others earned `best`. All results are counted by
    /// this function. The comparison is numeric: 0 and −0 are a draw.
    pub fn of(own: f64, best: f64) -> Self {
        match own.partial_cmp(&best) {
            Some(std::cmp::Ordering::Greater) => Self::Win,
            Some(std::cmp::Ordering::Less) => Self::Loss,
            _ => Self::Draw,
        }
    }

    /// The same game for the other player.
    pub fn other(self) -> Self {
        match self {
            Self::Loss => Self::Win,
            Self::Draw => Self::Draw,
            Self::Win => Self::Loss,
        }
    }
}

/// A symmetry of the rules: the same game with squares relabelled.
#[derive(Clone, Debug, PartialEq)]
pub struct Symmetry {
    /// Entry i of the new observation is entry `observation[i]` of the old one.
    pub observation: Vec<u32>,
    /// Action a of the old position is `action[a]` in the new one.
    pub action: Vec<Action>,
}

/// Everything a player or a learner must know of a game. Constant for its life.
#[derive(Clone, Debug, PartialEq)]
pub struct GameSpec {
    /// A name for each player, in the order of play.
    pub seats: Vec<&'static str>,
    /// Players' actions are below this number.
    pub actions: usize,
    /// The shape of one player's observation, `[planes, rows, columns]` for a board.
    pub observation: Vec<usize>,
    /// An upper bound of a game's length in plies, chance not counted; learners' episodes are truncated there.
    pub max_plies: u32,
    /// Whether players have hidden information.
    pub hidden: bool,
    /// Whether chance has turns.
    pub chance: bool,
    /// The least and the greatest return of a player.
    pub returns: [f32; 2],
    /// Symmetries beside the identity.
    pub symmetries: Vec<Symmetry>,
}

impl GameSpec {
    /// A two-player game with perfect information, no chance, and a result from −1 to 1.
    pub fn board(seats: [&'static str; 2], actions: usize, observation: Vec<usize>, max_plies: u32) -> Self {
        Self {
            seats: seats.to_vec(),
            actions,
            observation,
            max_plies,
            hidden: false,
            chance: false,
            returns: [-1.0, 1.0],
            symmetries: Vec::new(),
        }
    }

    /// Players.
    pub fn players(&self) -> usize {
        self.seats.len()
    }

    /// Numbers in one player's observation.
    pub fn obs_len(&self) -> usize {
        self.observation.iter().product()
    }
}

/// The rules of one game. `self` holds the settings and never changes; the state holds all that does.
pub trait Game: Clone + Send + Sync + 'static {
    /// What a scenario can set.
    type Settings: Settings;

    /// Plain data. Two equal states have equal futures.
    type State: Clone + Default + PartialEq + Debug + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// Raised when the same actions stop giving the same game; speed-ups do not raise it.
    const VERSION: u32;

    /// Checks the settings together (each alone was checked when it was read).
    fn new(settings: Self::Settings) -> Result<Self, EnvError>;

    /// Players, actions, shapes. Constant for the life of `self`.
    fn spec(&self) -> &GameSpec;

    /// Sets `state` to the beginning of the game.
    fn start(&self, state: &mut Self::State);

    /// The rules that programs which know the game by its name must still be told: settings and their values.
    fn rules(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether `state` can be a position of this game; if not, why. Positions come from files and other programs: every
    /// length, index, range and count that another method relies on must be checked here, so that none of them can
    /// panic, overflow or run for ever on a position that passes.
    fn check(&self, state: &Self::State) -> Result<(), String>;

    /// Whose decision is next.
    fn turn(&self, state: &Self::State) -> Turn;

    /// Gives `each` every legal move of the player to move, once, in a fixed order; nothing on other turns.
    fn moves(&self, state: &Self::State, each: impl FnMut(Action));

    /// On a turn of chance, gives `each` every outcome with its probability.
    fn chance(&self, _state: &Self::State, _each: impl FnMut(Action, f64)) {}

    /// Plays a legal move, or lets a possible outcome of chance happen.
    fn play(&self, state: &mut Self::State, action: Action);

    /// What each player has earned so far: for most games 0 before the end. A zero is 0, never −0.
    fn returns(&self, state: &Self::State, returns: &mut [f32]);

    /// A heuristic estimate of what `player` will still earn, for searches that must stop early. Strictly between the
    /// least and the greatest return; 0 if unknown.
    fn estimate(&self, _state: &Self::State, _player: usize) -> f32 {
        0.0
    }

    /// A hash: equal for equal states, and hardly ever otherwise.
    fn hash(&self, state: &Self::State) -> u64;

    /// Writes the observation of `player`, `obs_len` numbers.
    fn observe(&self, state: &Self::State, player: usize, obs: &mut [f32]);

    /// All that `player` knows, its own past included: it cannot tell two states with equal text apart.
    fn information_state(&self, state: &Self::State, _player: usize) -> String {
        self.text(state)
    }

    /// A legal move in the notation of the game's players.
    fn write(&self, state: &Self::State, action: Action) -> String;

    /// A legal move in the notation of game records, such as SAN in PGN, where that differs from [`Game::write`].
    fn write_in_record(&self, state: &Self::State, action: Action) -> String {
        self.write(state, action)
    }

    /// The legal move that is written so, in upper or lower case.
    fn read(&self, state: &Self::State, text: &str) -> Option<Action> {
        let mut found = None;
        self.moves(state, |a| {
            if found.is_none() && self.write(state, a).eq_ignore_ascii_case(text.trim()) {
                found = Some(a);
            }
        });
        found
    }

    /// A position from text: moves from the beginning, unless the game has a notation of its own for positions.
    fn position(&self, text: &str) -> Result<Self::State, String> {
        follow(self, text)
    }

    /// Where a game may begin, and the moves that follow: the start and the whole text, unless the game has a notation
    /// of its own for positions.
    ///
    /// # Errors
    /// What is wrong with the position.
    fn opening<'a>(&self, text: &'a str) -> Result<(Self::State, &'a str), String> {
        Ok((start(self), text))
    }

    /// The position in that notation; none where the game has no such.
    fn notation(&self, _state: &Self::State) -> Option<String> {
        None
    }

    /// Plies that a position in that notation says were played before it.
    fn plies_before(&self, _state: &Self::State) -> u32 {
        0
    }

    /// Whether the last move is irreversible, where the rules of draws count from such moves on: captures and pawn
    /// moves at chess.
    fn irreversible(&self, _state: &Self::State) -> bool {
        false
    }

    /// The position as lines of text, everything shown.
    fn text(&self, state: &Self::State) -> String;

    /// Draws the position: a board of characters, the players' `x` and `o` (or `X` and `O`) in their own colours.
    fn draw(&self, state: &Self::State, scene: &mut Scene) {
        let text = self.text(state);
        let names = text.lines().count().saturating_sub(1); // below the last row stand the names of its columns
        *scene = Scene::default();
        scene.board(&text, |row, _, letter| match letter {
            'x' | 'X' if row < names => Ink::Agent,
            'o' | 'O' if row < names => Ink::Danger,
            '.' => Ink::Frame,
            _ => Ink::Body,
        });
    }

    /// A uniformly random legal move.
    fn random_move(&self, state: &Self::State, rng: &mut Rng) -> Action {
        let mut left = 0;
        self.moves(state, |_| left += 1);
        let mut pick = rng.below(left);
        let mut chosen = 0;
        self.moves(state, |a| {
            if pick == 0 {
                chosen = a;
            }
            pick = pick.wrapping_sub(1);
        });
        chosen
    }

    /// A random outcome of chance.
    fn roll(&self, state: &Self::State, rng: &mut Rng) -> Action {
        let mut left = rng.f64();
        let (mut chosen, mut found) = (0, false);
        self.chance(state, |a, p| {
            if !found && p > 0.0 {
                chosen = a; // the last possible one, should rounding leave a rest
                found = left < p;
                left -= p;
            }
        });
        chosen
    }
}

/// A position as `agon drive` describes it beside observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// A name for each player.
    pub seats: Vec<&'static str>,
    /// Whose decision is next.
    pub turn: Turn,
    /// What each player has earned so far.
    pub returns: Vec<f32>,
    /// The legal moves of the player to move, and how players write them.
    pub moves: Vec<(Action, String)>,
    /// The possible outcomes on a turn of chance, with their probabilities.
    pub chance: Vec<(Action, f64)>,
    /// All that each player knows.
    pub information: Vec<String>,
    /// The position as lines of text, everything shown.
    pub text: String,
}

impl Position {
    /// Collects all of it.
    pub fn of<G: Game>(game: &G, state: &G::State) -> Self {
        let (spec, mut chance) = (game.spec(), Vec::new());
        let mut returns = vec![0.0; spec.players()];
        game.returns(state, &mut returns);
        game.chance(state, |outcome, p| chance.push((outcome, p)));
        Self {
            seats: spec.seats.clone(),
            turn: game.turn(state),
            returns,
            moves: moves(game, state).into_iter().map(|a| (a, game.write(state, a))).collect(),
            chance,
            information: (0..spec.players()).map(|p| game.information_state(state, p)).collect(),
            text: game.text(state),
        }
    }
}

/// A saved position, checked: the entry point of all foreign positions.
pub fn restore<G: Game>(game: &G, saved: &Value) -> Result<G::State, String> {
    let state = serde::Deserialize::deserialize(saved).map_err(|e: serde_json::Error| e.to_string())?;
    game.check(&state).map(|()| state)
}

/// An operation generic over a game whose type only the registry knows (the visitor pattern).
pub trait Visit {
    /// Its result.
    type Out;
    /// Runs it.
    fn visit<G: Game>(self, game: G) -> Self::Out;
}

/// The beginning of a game. A first roll or deal is still to come where the game has one.
pub fn start<G: Game>(game: &G) -> G::State {
    let mut state = G::State::default();
    game.start(&mut state);
    state
}

/// The legal moves as a list.
pub fn moves<G: Game>(game: &G, state: &G::State) -> Vec<Action> {
    let mut list = Vec::new();
    game.moves(state, |a| list.push(a));
    list
}

/// The position after moves in the game's notation, separated by spaces. Outcomes of chance have no such notation.
pub fn follow<G: Game>(game: &G, text: &str) -> Result<G::State, String> {
    follow_from(game, start(game), text)
}

/// The same from another position.
pub fn follow_from<G: Game>(game: &G, mut state: G::State, text: &str) -> Result<G::State, String> {
    for (i, word) in text.split_whitespace().enumerate() {
        let at = i + 1;
        match game.turn(&state) {
            Turn::Player(_) => {}
            Turn::Chance => return Err(format!("move {at} `{word}`: chance decides here, not a move")),
            Turn::Over => return Err(format!("move {at} `{word}`: the game is already over")),
        }
        let action = game.read(&state, word).ok_or_else(|| format!("move {at} `{word}` is not legal here"))?;
        game.play(&mut state, action);
    }
    Ok(state)
}

/// Plays uniformly random moves and rolls to the end of the game; the number of decisions.
#[inline]
pub fn playout<G: Game>(game: &G, state: &mut G::State, rng: &mut Rng) -> u32 {
    let mut steps = 0;
    loop {
        let action = match game.turn(state) {
            Turn::Player(_) => game.random_move(state, rng),
            Turn::Chance => game.roll(state, rng),
            Turn::Over => return steps,
        };
        game.play(state, action);
        steps += 1;
    }
}

/// The number of ways to play `depth` moves from here: perft, by which chess programs check their rules. Games that end
/// earlier are not counted. For games without chance.
pub fn perft<G: Game>(game: &G, state: &G::State, depth: u32) -> u64 {
    let Turn::Player(_) = game.turn(state) else { return u64::from(depth == 0) };
    if depth == 0 {
        return 1;
    }
    let (mut count, mut next) = (0, state.clone());
    game.moves(state, |a| {
        if depth == 1 {
            count += 1;
        } else {
            next.clone_from(state);
            game.play(&mut next, a);
            count += perft(game, &next, depth - 1);
        }
    });
    count
}

/// Mixes a word into a hash (the step and the finalizer of SplitMix64, Steele et al. 2014).
#[inline]
pub fn mix(hash: u64, word: u64) -> u64 {
    let mut x = hash.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(word);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
