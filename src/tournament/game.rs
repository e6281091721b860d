//! One pair of games: the same opening and the same chance, seats swapped.

use super::adjudicator::ValueAdjudicator;
use super::book::Opening;
use super::plan::TournamentPlan;
use super::ratings::Score;
use super::schedule::Pairing;
use agon_core::game::{Action, Game, Turn, mix};
use agon_core::rng::{Rng, Stream};
use agon_search::Player;
use agon_search::match_loop::{End, Finished, Match, Terms};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// One line of `games.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counted from 0.
    pub pair: u64,
    /// 0 or 1.
    pub game: u8,
    /// Who sat where.
    pub seats: [u32; 2],
    /// The position that it began with, in the game's notation, where that is not the game's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
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
    /// Of a forfeit: what the player did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Of everything else in the line, so that a change shows that the rules of the game allow. Older files have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<u64>,
}

impl Record {
    /// The result of a seat.
    pub fn score(&self, seat: usize) -> Score {
        Score::of(self.returns[seat].into(), self.returns[1 - seat].into())
    }

    /// The result by which the games after it were arranged. Older files hold drawn games of Go and Othello as 0 and
    /// −0, and their tournaments took the 0 for a win: who met whom in them follows from that, and nothing else does.
    pub fn score_then(&self, seat: usize) -> Score {
        let [own, other] = [self.returns[seat], self.returns[1 - seat]];
        if own == 0.0 && other == 0.0 && own.is_sign_negative() != other.is_sign_negative() {
            return if own.is_sign_positive() { Score::Win } else { Score::Loss };
        }
        self.score(seat)
    }

    /// The record with its [`Record::digest`].
    pub fn sealed(mut self) -> Self {
        self.digest = Some(self.sum());
        self
    }

    /// The digest of everything else in it.
    fn sum(&self) -> u64 {
        let rest = Self { digest: None, ..self.clone() };
        // A record has nothing that is no JSON.
        let text = serde_json::to_vec(&rest).unwrap_or_default();
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        text.chunks(8).fold(text.len() as u64, |sum, bytes| mix(sum, word(bytes)))
    }

    /// Whether it is as it was written, if it has a digest.
    pub fn is_whole(&self) -> bool {
        self.digest.is_none_or(|digest| digest == self.sum())
    }
}

/// A worker's memory.
pub struct Board<G: Game> {
    pub game: G,
    /// One of each entrant.
    pub players: Vec<Box<dyn Player<G>>>,
    /// Openings from the book.
    pub book: Vec<Opening<G>>,
    state: G::State,
}

impl<G: Game> Board<G> {
    pub fn new(game: G, players: Vec<Box<dyn Player<G>>>, book: Vec<Opening<G>>) -> Self {
        Self { game, players, book, state: G::State::default() }
    }

    /// Whether games can begin as the settings say: not where they are over by then, again and again.
    pub fn opens(&mut self, plan: &TournamentPlan) -> bool {
        (0..20).any(|number| {
            let pairing = Pairing { number, turn: number, entrants: (0, 1) };
            self.opening(plan, pairing).1
        })
    }

    /// What a pair begins with; false, and no moves but the book's, if the game would be over.
    pub fn opening(&mut self, plan: &TournamentPlan, pairing: Pairing) -> (Opening<G>, bool) {
        let seed = mix(plan.set.seed, pairing.number);
        let mut opening = match self.book.len() as u64 {
            0 => Opening::default(),
            n => self.book[(pairing.turn % n) as usize].clone(),
        };
        let book = opening.moves.len();
        let mut rng = Rng::new(seed, Stream::Eval, 0);
        let good = (0..100).any(|_| {
            opening.moves.truncate(book);
            self.open(seed, &mut opening, plan.set.opening_plies, &mut rng)
        });
        if !good {
            opening.moves.truncate(book);
        }
        (opening, good)
    }

    /// Plays a pair; none if it was stopped. Everything random in it follows from the tournament's seed and the pair's
    /// number.
    pub fn pair(&mut self, plan: &TournamentPlan, pairing: Pairing, stop: &AtomicBool) -> Option<[Record; 2]> {
        let Pairing { number: pair, entrants: (a, b), .. } = pairing;
        let seed = mix(plan.set.seed, pair);
        let (opening, _) = self.opening(plan, pairing);
        // Engines run only for games that are under way.
        self.rest(&[a, b]);
        let mut play = |game, seats| self.play(plan, (pair, game), seats, seed, &opening, stop);
        Some([play(0, [a, b])?, play(1, [b, a])?])
    }

    /// Tells all players but these that they do not play now.
    pub fn rest(&mut self, but: &[usize]) {
        let resting = self.players.iter_mut().enumerate().filter(|(i, _)| !but.contains(i));
        resting.for_each(|(_, player)| player.rest());
    }

    /// The opening's moves and as many random ones after them; false if the game is over then.
    fn open(&mut self, seed: u64, opening: &mut Opening<G>, random: u32, rng: &mut Rng) -> bool {
        opening.begin(&self.game, &mut self.state);
        let mut game = Match::begin(&self.game, &mut self.state, Rng::new(seed, Stream::Env, 0), &mut []);
        let moves = &mut opening.moves;
        for i in 0..moves.len() + random as usize {
            if game.turn() == Turn::Over {
                return false;
            }
            if i >= moves.len() {
                moves.push(self.game.random_move(game.state(), rng));
            }
            game.play(&mut [], moves[i]);
        }
        game.turn() != Turn::Over
    }

    fn play(
        &mut self,
        plan: &TournamentPlan,
        (pair, number): (u64, u8),
        seats: [usize; 2],
        seed: u64,
        opening: &Opening<G>,
        stop: &AtomicBool,
    ) -> Option<Record> {
        let (game, set) = (&self.game, &plan.set);
        let [first, second] = self.players.get_disjoint_mut(seats).expect("a game is between two");
        let players: &mut [&mut dyn Player<G>] = &mut [&mut **first, &mut **second];
        let chance = Rng::new(seed, Stream::Env, 0);
        let mut minds = [0, 1].map(|seat| Rng::new(seed, Stream::Player, 2 * u32::from(number) + seat));
        let mut adjudicator = ValueAdjudicator::new(set, game.spec().returns);
        let terms = Terms {
            opening: &opening.moves,
            most_plies: plan.most_plies(game.spec().max_plies),
            clock: (set.move_ms > 0).then(|| Duration::from_millis(set.move_ms + set.margin_ms)),
            resignations: true,
            adjudicator: adjudicator.listens().then_some(&mut adjudicator),
            stop,
        };
        opening.begin(game, &mut self.state);
        let Finished { end, loser, fault, moves } =
            Match::begin(game, &mut self.state, chance, players).run(players, &mut minds, terms)?;
        let [least, most] = game.spec().returns;
        let mut returns = [0.0; 2];
        match loser {
            Some(loser) => (returns[loser], returns[1 - loser]) = (least, most),
            None if end == End::Rules => game.returns(&self.state, &mut returns),
            None => {}
        }
        let hash = game.hash(&self.state);
        let from = opening.from.as_ref().and_then(|from| game.notation(from));
        let seats = seats.map(|s| s as u32);
        let opening = opening.moves.len().min(moves.len()) as u32;
        let record =
            Record { pair, game: number, seats, from, opening, moves, seed, returns, end, hash, fault, digest: None };
        Some(record.sealed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tournament::film::again;
    use agon_envs::games::{chess::Chess, tic_tac_toe::TicTacToe};
    use agon_search::Fault;
    use agon_search::player::Random;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    static GO_ON: AtomicBool = AtomicBool::new(false);

    fn pairing(number: u64) -> Pairing {
        Pairing { number, turn: number, entrants: (0, 1) }
    }

    enum Bad {
        Liar,
        Breaks,
        Sleeps,
        BreaksWhenTold,
    }

    impl Player<TicTacToe> for Bad {
        fn choose(
            &mut self,
            game: &TicTacToe,
            state: &<TicTacToe as Game>::State,
            rng: &mut Rng,
        ) -> Result<Action, Fault> {
            match self {
                Self::Liar => Ok(99),
                Self::Breaks => panic!("on purpose"),
                Self::Sleeps => {
                    std::thread::sleep(Duration::from_millis(50));
                    Ok(game.random_move(state, rng))
                }
                Self::BreaksWhenTold => Ok(game.random_move(state, rng)),
            }
        }

        fn played(&mut self, _: &TicTacToe, _: &<TicTacToe as Game>::State, _: Action) {
            assert!(!matches!(self, Self::BreaksWhenTold), "on purpose");
        }
    }

    #[test]
    fn forfeits_are_recorded_as_what_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let body = "env = { id = 'games/tic-tac-toe' }\n[tournament]\nmove_ms = 10\nmargin_ms = 10\n[entrants]\na = 'random'\nb = 'random'";
        std::fs::write(&path, body).unwrap();
        let plan = TournamentPlan::read(&path, &[]).unwrap();
        for (bad, end) in [
            (Bad::Liar, End::Illegal),
            (Bad::Breaks, End::Crash),
            (Bad::Sleeps, End::Time),
            (Bad::BreaksWhenTold, End::Crash),
        ] {
            let game = TicTacToe::new(Default::default()).unwrap();
            let mut board = Board::new(game.clone(), vec![Box::new(bad), Box::new(Random)], Vec::new());
            for (number, record) in board.pair(&plan, pairing(3), &GO_ON).unwrap().iter().enumerate() {
                assert_eq!((record.end, record.score(number)), (end, Score::Loss), "{record:?}");
                assert!(again(&game, record, None).is_ok(), "{record:?}");
            }
        }
    }

    /// Results that cannot have come about are not believed.
    #[test]
    fn forged_records_are_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        std::fs::write(&path, "env = { id = 'games/tic-tac-toe' }\n[entrants]\na = 'random'\nb = 'random'").unwrap();
        let plan = TournamentPlan::read(&path, &[]).unwrap();
        let game = TicTacToe::new(Default::default()).unwrap();
        for (bad, end) in [(Bad::Liar, End::Illegal), (Bad::Breaks, End::Crash)] {
            let mut board = Board::new(game.clone(), vec![Box::new(bad), Box::new(Random)], Vec::new());
            let [record, _] = board.pair(&plan, pairing(3), &GO_ON).unwrap();
            assert!(record.end == end && again(&game, &record, None).is_ok());
            let forged = [
                Record { returns: record.returns.map(|r| -r), ..record.clone() },
                Record { returns: [0.0; 2], ..record.clone() },
                Record { end: End::Length, ..record.clone() },
                Record { end: End::Illegal, moves: Vec::new(), ..record.clone() },
                Record { hash: record.hash ^ 1, ..record.clone() },
            ];
            for record in forged {
                assert!(again(&game, &record, None).is_err(), "{record:?}");
            }
        }
    }

    /// Drawn games of older files: their results are draws, and what followed from them is known too.
    #[test]
    fn a_zero_with_a_minus_is_a_draw_that_was_taken_for_a_win() {
        let line = r#"{"pair":0,"game":0,"seats":[0,1],"opening":0,"moves":[],"seed":1,"returns":[0.0,-0.0],"end":"rules","hash":1}"#;
        let record: Record = serde_json::from_str(line).unwrap();
        assert_eq!([0, 1].map(|seat| record.score(seat)), [Score::Draw; 2]);
        assert_eq!([0, 1].map(|seat| record.score_then(seat)), [Score::Win, Score::Loss]);
        let even = Record { returns: [0.0; 2], ..record };
        assert_eq!(even.score_then(0), Score::Draw);
    }

    /// Plays at random and is sure of what comes: the first seat's return, if it has one.
    struct Sure(Option<f32>, Option<f32>);

    impl Player<TicTacToe> for Sure {
        fn choose(
            &mut self,
            game: &TicTacToe,
            state: &<TicTacToe as Game>::State,
            rng: &mut Rng,
        ) -> Result<Action, Fault> {
            let Turn::Player(mover) = game.turn(state) else { return Ok(0) };
            self.1 = self.0.map(|v| if mover == 0 { v } else { -v });
            Ok(game.random_move(state, rng))
        }

        fn value(&self) -> Option<f32> {
            self.1
        }
    }

    #[test]
    fn what_both_say_is_recorded_and_plays_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let body = "env = { id = 'games/tic-tac-toe' }\n[tournament]\nresign_moves = 1\ndraw_moves = 1\n\
                    draw_after = 3\nopening_plies = 2\n[entrants]\na = 'random'\nb = 'random'";
        std::fs::write(&path, body).unwrap();
        let plan = TournamentPlan::read(&path, &[]).unwrap();
        let game = TicTacToe::new(Default::default()).unwrap();
        for (values, end, score, plies) in [
            ([Some(1.0), Some(1.0)], End::Adjudicated, Score::Win, 4),
            ([Some(-0.99), Some(-0.96)], End::Adjudicated, Score::Loss, 3),
            ([Some(0.0), Some(0.05)], End::Adjudicated, Score::Draw, 4),
        ] {
            let players = values.map(|v| Box::new(Sure(v, None)) as Box<dyn Player<TicTacToe>>);
            let mut board = Board::new(game.clone(), players.into(), Vec::new());
            for record in board.pair(&plan, pairing(3), &GO_ON).unwrap() {
                assert_eq!((record.end, record.score(0), record.moves.len()), (end, score, plies), "{record:?}");
                assert!(again(&game, &record, None).is_ok(), "{record:?}");
                let line = serde_json::to_string(&record).unwrap();
                assert!(line.contains("\"end\":\"adjudicated\""), "{line}");
                assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
            }
        }
        // Where both are asked, what one alone says ends no game.
        let sets = ["tournament.resign_twosided=true".to_owned()];
        let plan = TournamentPlan::read(&path, &sets).unwrap();
        for values in [[None, None], [Some(1.0), None], [Some(1.0), Some(0.0)]] {
            let players = values.map(|v| Box::new(Sure(v, None)) as Box<dyn Player<TicTacToe>>);
            let mut board = Board::new(game.clone(), players.into(), Vec::new());
            assert!(board.pair(&plan, pairing(3), &GO_ON).unwrap().iter().all(|r| r.end == End::Rules));
        }
    }

    /// Plays given moves of chess, both sides, and holds them for even.
    struct Even(&'static [&'static str], usize);

    impl Player<Chess> for Even {
        fn begin(&mut self, _: &Chess, _: &<Chess as Game>::State) {
            self.1 = 0;
        }

        fn played(&mut self, _: &Chess, _: &<Chess as Game>::State, _: Action) {
            self.1 += 1;
        }

        fn choose(&mut self, game: &Chess, state: &<Chess as Game>::State, _: &mut Rng) -> Result<Action, Fault> {
            game.read(state, self.0[self.1]).ok_or(Fault::Time)
        }

        fn value(&self) -> Option<f32> {
            Some(0.0)
        }
    }

    /// Captures and pawns' moves begin the count of draws anew; the plies before a position of the book count.
    #[test]
    fn chess_is_drawn_as_fastchess_draws_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let body = "env = { id = 'games/chess' }\n[tournament]\ndraw_moves = 2\n[entrants]\na = 'random'\nb = 'random'";
        std::fs::write(&path, body).unwrap();
        let game = Chess::new(Default::default()).unwrap();
        let shuffle = &["g1f3", "g8f6", "f3g1", "f6g8"][..];
        let late = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 41";
        for (from, moves, after, plies) in [
            ("", shuffle, 4, 4),
            ("", &["g1f3", "g8f6", "e2e4", "f6g8", "f3g1", "g8f6"], 0, 6),
            ("", &["b1c3", "d7d5", "c3d5", "d8d6", "g1f3", "g8f6"], 0, 6),
            (late, shuffle, 80, 4),
            (late, shuffle, 85, 0),
        ] {
            let plan = TournamentPlan::read(
                &path,
                &[format!("tournament.draw_after={after}"), "tournament.opening_plies=0".into()],
            );
            let players: Vec<Box<dyn Player<Chess>>> = vec![Box::new(Even(moves, 0)), Box::new(Even(moves, 0))];
            let mut board = Board::new(game.clone(), players, vec![Opening::read(&game, from, 0).unwrap()]);
            let pair =
                catch_unwind(AssertUnwindSafe(|| board.pair(plan.as_ref().unwrap(), pairing(0), &GO_ON).unwrap()));
            let pair = pair.map(|pair| pair.map(|r| (r.end, r.moves.len())));
            if plies == 0 {
                // There are no more moves than four, and they are not enough.
                assert!(pair.is_ok_and(|p| p.iter().all(|(end, _)| *end == End::Crash)), "{from} {after}");
            } else {
                assert_eq!(pair.unwrap(), [(End::Adjudicated, plies); 2], "{from} {after}");
            }
        }
    }

    #[test]
    fn a_pair_that_is_stopped_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        std::fs::write(&path, "env = { id = 'games/tic-tac-toe' }\n[entrants]\na = 'random'\nb = 'random'").unwrap();
        let plan = TournamentPlan::read(&path, &[]).unwrap();
        let game = TicTacToe::new(Default::default()).unwrap();
        let mut board = Board::new(game, vec![Box::new(Random), Box::new(Random)], Vec::new());
        assert!(board.pair(&plan, pairing(0), &AtomicBool::new(true)).is_none());
    }

    #[test]
    fn a_game_that_goes_on_for_ever_is_a_draw() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let body = "env = { id = 'games/chess' }\n[tournament]\nmax_plies = 9\n[entrants]\na = 'random'\nb = 'random'";
        std::fs::write(&path, body).unwrap();
        let plan = TournamentPlan::read(&path, &[]).unwrap();
        let game = agon_envs::games::chess::Chess::new(Default::default()).unwrap();
        let mut board = Board::new(game.clone(), vec![Box::new(Random), Box::new(Random)], Vec::new());
        for record in board.pair(&plan, pairing(0), &GO_ON).unwrap() {
            assert_eq!((record.end, record.moves.len(), record.score(0)), (End::Length, 9, Score::Draw));
            assert!(again(&game, &record, None).is_ok());
        }
    }
}
