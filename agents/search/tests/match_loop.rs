//! One game between players: what they are told and asked, and every way in which it can end.

use agon_core::game::{Action, start};
use agon_core::rng::Stream;
use agon_core::{Game, Rng, Turn};
use agon_envs::games::{backgammon::Backgammon, tic_tac_toe::TicTacToe};
use agon_search::match_loop::{Adjudicator, End, Finished, Listener, Match, NO_MOVE, Terms, Verdict};
use agon_search::player::{Fault, Player, Random};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn rng(lane: u32) -> Rng {
    Rng::new(5, Stream::Player, lane)
}

fn terms(opening: &[Action]) -> Terms<'_> {
    Terms { opening, most_plies: 1000, clock: None, resignations: false, adjudicator: None, stop: &GO_ON }
}

/// Makes its moves one after the other, then gives the same answer for ever. It gives up with the last of its moves.
struct Scripted(Vec<Action>, Result<Action, Fault>);

impl<G: Game> Player<G> for Scripted {
    fn choose(&mut self, _: &G, _: &G::State, _: &mut Rng) -> Result<Action, Fault> {
        if self.0.is_empty() { self.1.clone() } else { Ok(self.0.remove(0)) }
    }

    fn value(&self) -> Option<f32> {
        Some(self.0.len() as f32)
    }

    fn resigns(&self) -> bool {
        self.0.is_empty()
    }
}

/// A game of tic-tac-toe in which the first player has three moves and then gives `last`.
fn game(last: Result<Action, Fault>, terms: Terms<'_>) -> Option<Finished> {
    let game = TicTacToe::new(Default::default()).unwrap();
    let (mut state, mut first) = (start(&game), Scripted(vec![0, 1, 8], last));
    let mut second = Scripted(vec![4, 2, 3, 5], Ok(7));
    let players: &mut [&mut dyn Player<TicTacToe>] = &mut [&mut first, &mut second];
    Match::begin(&game, &mut state, rng(0), players).run(players, &mut [rng(1)], terms)
}

#[test]
fn every_way_to_end_is_told_apart() {
    let told = |last, terms| game(last, terms).map(|f| (f.end, f.loser, f.fault, f.moves));
    let line = [0, 4, 1, 2, 8, 3];
    let and = |more: &[Action]| [&line, more].concat();
    let lost = |end, fault: Option<&str>, moves| Some((end, Some(0), fault.map(String::from), moves));
    assert_eq!(told(Ok(6), terms(&[])), Some((End::Rules, None, None, and(&[6, 5]))));
    assert_eq!(told(Ok(4), terms(&[])), lost(End::Illegal, None, and(&[4])));
    assert_eq!(told(Ok(99), terms(&[])), lost(End::Illegal, None, and(&[99])));
    let words = Fault::Illegal("Z9".into());
    assert_eq!(told(Err(words), terms(&[])), lost(End::Illegal, Some("`Z9` is not a legal move"), and(&[NO_MOVE])));
    assert_eq!(told(Err(Fault::Crash("no luck".into())), terms(&[])), lost(End::Crash, Some("no luck"), and(&[])));
    assert_eq!(told(Err(Fault::Time), terms(&[])), lost(End::Time, Some("it did not answer in time"), and(&[])));
    let clock = Terms { clock: Some(Duration::ZERO), ..terms(&line) };
    assert_eq!(told(Ok(6), clock), lost(End::Time, None, line.to_vec()), "the opening takes nobody's time");
    let resigned = Terms { resignations: true, ..terms(&[]) };
    assert_eq!(told(Ok(6), resigned), lost(End::Resigned, None, line[..4].to_vec()));
    let short = Terms { most_plies: 5, ..terms(&[]) };
    assert_eq!(told(Ok(6), short), Some((End::Length, None, None, line[..5].to_vec())));
    assert_eq!(told(Ok(6), Terms { stop: &AtomicBool::new(true), ..terms(&[]) }), None);
}

/// Ends the game once it has heard so much.
struct Heard(Vec<(usize, Option<f32>)>, usize, Verdict);

impl Adjudicator for Heard {
    fn hear(&mut self, seat: usize, value: Option<f32>, _: bool) {
        self.0.push((seat, value));
    }

    fn verdict(&self, plies: usize) -> Option<Verdict> {
        assert!(plies >= self.0.len());
        (self.0.len() == self.1).then_some(self.2)
    }
}

#[test]
fn an_adjudicator_hears_what_players_chose_and_ends_the_game() {
    for (verdict, loser) in [(Verdict::Win(1), Some(0)), (Verdict::Win(0), Some(1)), (Verdict::Draw, None)] {
        let mut heard = Heard(Vec::new(), 3, verdict);
        let finished = game(Ok(6), Terms { adjudicator: Some(&mut heard), ..terms(&[7, 6]) }).unwrap();
        assert_eq!((finished.end, finished.loser), (End::Adjudicated, loser));
        assert_eq!(finished.moves, [7, 6, 0, 4, 1]);
        assert_eq!(heard.0, [(0, Some(2.0)), (1, Some(3.0)), (0, Some(1.0))], "nothing of the opening");
    }
}

/// Moves at random, and notes what it is told.
#[derive(Default)]
struct Notes<G: Game> {
    begun: Vec<G::State>,
    played: Vec<(G::State, Action)>,
    asked: usize,
}

impl<G: Game> Player<G> for Notes<G> {
    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault> {
        self.asked += 1;
        Ok(game.random_move(state, rng))
    }

    fn begin(&mut self, _: &G, start: &G::State) {
        self.begun.push(start.clone());
    }

    fn played(&mut self, _: &G, before: &G::State, action: Action) {
        self.played.push((before.clone(), action));
    }
}

/// Both players, and whoever listens, are told everything: dice, the opening, their own moves.
#[test]
fn all_are_told_all_of_it() {
    let game = Backgammon::new(Default::default()).unwrap();
    let mut opened = start(&game);
    let mut opening = Vec::new();
    let mut before = Match::begin(&game, &mut opened, rng(0), &mut []);
    for _ in 0..3 {
        opening.push(game.random_move(before.state(), &mut rng(9)));
        before.play(&mut [], opening[opening.len() - 1]);
    }
    let (mut state, mut heard) = (start(&game), Vec::new());
    let [mut first, mut second] = [(); 2].map(|()| Notes { begun: Vec::new(), played: Vec::new(), asked: 0 });
    let mut listener = Listener(|_: &Backgammon, before: &<Backgammon as Game>::State, action| {
        heard.push((before.clone(), action));
    });
    let players: &mut [&mut dyn Player<Backgammon>] = &mut [&mut first, &mut second, &mut listener];
    let begun = Match::begin(&game, &mut state, rng(0), players);
    let finished = begun.run(players, &mut [rng(1), rng(2)], terms(&opening)).unwrap();
    assert_eq!((finished.end, game.turn(&state)), (End::Rules, Turn::Over));
    assert_eq!(finished.moves[..3], opening[..]);
    assert_eq!(first.asked + second.asked, finished.moves.len() - 3);
    assert!(first.asked > 5 && second.asked > 5);
    assert!(first.played == heard && second.played == heard && first.begun == [start(&game)]);
    let mut again = start(&game);
    for (before, action) in &heard {
        assert_eq!(again, *before);
        game.play(&mut again, *action);
    }
    assert_eq!(again, state, "nothing happened that was not told");
    let chance = heard.iter().filter(|(before, _)| game.turn(before) == Turn::Chance).count();
    assert_eq!(heard.len() - chance, finished.moves.len());
    assert!(chance >= finished.moves.len() / 2);
}

/// Who panics has lost at its next turn, wherever it did, and the other one is told everything all the same.
#[test]
fn a_player_that_panics_has_broken_down() {
    struct Panics(u32);
    impl Panics {
        fn at(&self, place: u32) {
            assert!(self.0 != place, "on purpose");
        }
    }
    impl<G: Game> Player<G> for Panics {
        fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault> {
            self.at(0);
            Ok(game.random_move(state, rng))
        }
        fn begin(&mut self, _: &G, _: &G::State) {
            self.at(1);
        }
        fn played(&mut self, _: &G, _: &G::State, _: Action) {
            self.at(2);
        }
        fn resigns(&self) -> bool {
            self.at(3);
            false
        }
    }
    let game = TicTacToe::new(Default::default()).unwrap();
    for place in 0..4 {
        let (mut state, mut told) = (start(&game), 0);
        let mut listener = Listener(|_: &TicTacToe, _: &<TicTacToe as Game>::State, _| told += 1);
        let players: &mut [&mut dyn Player<TicTacToe>] = &mut [&mut Random, &mut Panics(place), &mut listener];
        let begun = Match::begin(&game, &mut state, rng(0), players);
        let finished = begun.run(players, &mut [rng(1)], terms(&[])).unwrap();
        let fault = Some("it panicked".to_owned());
        assert_eq!((finished.end, finished.loser, finished.fault), (End::Crash, Some(1), fault), "{place}");
        assert_eq!((finished.moves.len(), told), (1, 1));
    }
}
