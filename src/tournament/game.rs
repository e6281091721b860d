//! One pair of games: the same opening and the same chance, seats swapped.

use super::plan::Plan;
use super::ratings::Score;
use agon_core::game::{Action, Game, Turn, mix};
use agon_core::rng::{Rng, Stream};
use agon_search::Player;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Why a game ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// By the game's rules.
    Rules,
    /// The tournament's limit of plies: a draw.
    Length,
    /// Forfeit: the last move is not legal.
    Illegal,
    /// Forfeit: the player broke down.
    Crash,
    /// Forfeit: it thought too long.
    Time,
}

/// One line of `games.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counted from 0.
    pub pair: u64,
    /// 0 or 1.
    pub game: u8,
    /// Who sat where.
    pub seats: [u32; 2],
    /// Plies that the opening gave.
    pub opening: u32,
    /// Players' moves, the opening's included. Chance follows from `seed`.
    pub moves: Vec<Action>,
    /// What the environment of the game is reset with to have the same chance.
    pub seed: u64,
    /// What each seat earned.
    pub returns: [f32; 2],
    pub end: End,
    /// The hash of the last position.
    pub hash: u64,
}

impl Record {
    /// The result of a seat.
    pub fn score(&self, seat: usize) -> Score {
        let [own, other] = [self.returns[seat], self.returns[1 - seat]];
        match own.total_cmp(&other) {
            std::cmp::Ordering::Less => Score::Loss,
            std::cmp::Ordering::Equal => Score::Draw,
            std::cmp::Ordering::Greater => Score::Win,
        }
    }
}

/// A worker's memory.
pub struct Board<G: Game> {
    pub game: G,
    /// One of each entrant.
    pub players: Vec<Box<dyn Player<G>>>,
    /// Openings from the book, as moves.
    pub book: Vec<Vec<Action>>,
    state: G::State,
}

impl<G: Game> Board<G> {
    pub fn new(game: G, players: Vec<Box<dyn Player<G>>>, book: Vec<Vec<Action>>) -> Self {
        Self { game, players, book, state: G::State::default() }
    }

    /// Plays a pair. Everything random in it follows from the tournament's seed and the pair's number.
    pub fn pair(&mut self, plan: &Plan, pair: u64, entrants: (usize, usize)) -> [Record; 2] {
        let seed = mix(plan.set.seed, pair);
        let mut opening = Vec::new();
        if !self.book.is_empty() {
            opening.clone_from(&self.book[(pair % self.book.len() as u64) as usize]);
        }
        let book = opening.len();
        let mut rng = Rng::new(seed, Stream::Eval, 0);
        // An opening must leave a game to play.
        for _ in 0..100 {
            opening.truncate(book);
            if self.open(seed, &mut opening, plan.set.opening_plies, &mut rng) {
                break;
            }
            opening.truncate(book);
        }
        let (a, b) = entrants;
        [(0, [a, b]), (1, [b, a])].map(|(game, seats)| self.play(plan, pair, game, seats, seed, &opening))
    }

    /// Lets chance decide until a player must.
    fn settle(&mut self, chance: &mut Rng) {
        while self.game.turn(&self.state) == Turn::Chance {
            let outcome = self.game.roll(&self.state, chance);
            self.game.play(&mut self.state, outcome);
        }
    }

    /// The opening's moves and as many random ones after them; false if the game is over then.
    fn open(&mut self, seed: u64, moves: &mut Vec<Action>, random: u32, rng: &mut Rng) -> bool {
        let mut chance = Rng::new(seed, Stream::Env, 0);
        self.game.start(&mut self.state);
        self.settle(&mut chance);
        for i in 0..moves.len() + random as usize {
            if self.game.turn(&self.state) == Turn::Over {
                return false;
            }
            if i >= moves.len() {
                moves.push(self.game.random_move(&self.state, rng));
            }
            self.game.play(&mut self.state, moves[i]);
            self.settle(&mut chance);
        }
        self.game.turn(&self.state) != Turn::Over
    }

    fn play(&mut self, plan: &Plan, pair: u64, number: u8, seats: [usize; 2], seed: u64, opening: &[Action]) -> Record {
        let mut chance = Rng::new(seed, Stream::Env, 0);
        let mut minds = [0, 1].map(|seat| Rng::new(seed, Stream::Player, 2 * u32::from(number) + seat));
        self.game.start(&mut self.state);
        self.settle(&mut chance);
        let mut moves: Vec<Action> = Vec::with_capacity(64);
        let limit = match plan.set.max_plies {
            0 => self.game.spec().max_plies,
            most => most,
        };
        let mut returns = [0.0; 2];
        let end = loop {
            let Turn::Player(mover) = self.game.turn(&self.state) else {
                self.game.returns(&self.state, &mut returns);
                break End::Rules;
            };
            if moves.len() >= limit as usize {
                break End::Length;
            }
            let action = if let Some(action) = opening.get(moves.len()) {
                *action
            } else {
                match self.ask(plan, seats[mover], &mut minds[mover]) {
                    Ok(action) => action,
                    Err(end) => {
                        returns = self.forfeit(mover);
                        break end;
                    }
                }
            };
            moves.push(action);
            let mut legal = false;
            self.game.moves(&self.state, |a| legal |= a == action);
            if !legal {
                returns = self.forfeit(mover);
                break End::Illegal;
            }
            self.game.play(&mut self.state, action);
            self.settle(&mut chance);
        };
        let hash = self.game.hash(&self.state);
        let seats = seats.map(|s| s as u32);
        let opening = opening.len().min(moves.len()) as u32;
        Record { pair, game: number, seats, opening, moves, seed, returns, end, hash }
    }

    fn forfeit(&self, loser: usize) -> [f32; 2] {
        let [least, most] = self.game.spec().returns;
        let mut returns = [most; 2];
        returns[loser] = least;
        returns
    }

    fn ask(&mut self, plan: &Plan, player: usize, rng: &mut Rng) -> Result<Action, End> {
        let (game, state, player) = (&self.game, &self.state, &mut self.players[player]);
        let begun = (plan.set.move_ms > 0).then(Instant::now);
        let action = catch_unwind(AssertUnwindSafe(|| player.choose(game, state, rng))).map_err(|_| End::Crash)?;
        let late = begun.is_some_and(|t| t.elapsed() > Duration::from_millis(plan.set.move_ms));
        if late { Err(End::Time) } else { Ok(action) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tournament::film::again;
    use agon_envs::games::tic_tac_toe::TicTacToe;
    use agon_search::player::Random;

    enum Bad {
        Liar,
        Breaks,
        Sleeps,
    }

    impl Player<TicTacToe> for Bad {
        fn choose(&mut self, game: &TicTacToe, state: &<TicTacToe as Game>::State, rng: &mut Rng) -> Action {
            match self {
                Self::Liar => 99,
                Self::Breaks => panic!("on purpose"),
                Self::Sleeps => {
                    std::thread::sleep(Duration::from_millis(50));
                    game.random_move(state, rng)
                }
            }
        }
    }

    #[test]
    fn forfeits_are_recorded_as_what_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let body =
            "env = { id = 'games/tic-tac-toe' }\n[tournament]\nmove_ms = 20\n[entrants]\na = 'random'\nb = 'random'";
        std::fs::write(&path, body).unwrap();
        let plan = Plan::read(&path, &[]).unwrap();
        for (bad, end) in [(Bad::Liar, End::Illegal), (Bad::Breaks, End::Crash), (Bad::Sleeps, End::Time)] {
            let game = TicTacToe::new(Default::default()).unwrap();
            let mut board = Board::new(game.clone(), vec![Box::new(bad), Box::new(Random)], Vec::new());
            for (number, record) in board.pair(&plan, 3, (0, 1)).iter().enumerate() {
                assert_eq!((record.end, record.score(number)), (end, Score::Loss), "{record:?}");
                assert!(again(&game, record, None).is_ok(), "{record:?}");
            }
        }
    }

    #[test]
    fn a_game_that_goes_on_for_ever_is_a_draw() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let body = "env = { id = 'games/chess' }\n[tournament]\nmax_plies = 9\n[entrants]\na = 'random'\nb = 'random'";
        std::fs::write(&path, body).unwrap();
        let plan = Plan::read(&path, &[]).unwrap();
        let game = agon_envs::games::chess::Chess::new(Default::default()).unwrap();
        let mut board = Board::new(game.clone(), vec![Box::new(Random), Box::new(Random)], Vec::new());
        for record in board.pair(&plan, 0, (0, 1)) {
            assert_eq!((record.end, record.moves.len(), record.score(0)), (End::Length, 9, Score::Draw));
            assert!(again(&game, &record, None).is_ok());
        }
    }
}
