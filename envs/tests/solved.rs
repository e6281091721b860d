//! Connect Four beside a perfect solver, and the file of solved positions that players are evaluated on.
//! `BLESS=1 cargo test -p agon-envs --release --test solved` writes the file anew.

use agon_core::game::{Action, moves, start};
use agon_core::rng::{Rng, Stream};
use agon_core::{Game, Turn};
use agon_envs::games::connect_four::ConnectFour;
use connect_four_ai::{Position, Solver};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/connect_four_solved.txt");

/// Random play of so many plies that leaves a game to play.
fn random(game: &ConnectFour, plies: usize, rng: &mut Rng) -> Vec<Action> {
    loop {
        let (mut state, mut played) = (start(game), Vec::new());
        while played.len() < plies && game.turn(&state) != Turn::Over {
            let action = game.random_move(&state, rng);
            game.play(&mut state, action);
            played.push(action);
        }
        if played.len() == plies && game.turn(&state) != Turn::Over {
            return played;
        }
    }
}

/// The game's value, 1, 0 or −1 for the mover, after each column.
fn values(solver: &mut Solver, played: &[Action]) -> [Option<i8>; 7] {
    let mut position = Position::new();
    played.iter().for_each(|a| position.play(usize::from(*a)));
    solver.get_all_move_scores(&position).map(|score| score.map(i8::signum))
}

fn line(solver: &mut Solver, played: &[Action]) -> String {
    let values = values(solver, played);
    let best = values.iter().flatten().max();
    let right = (0..7).filter(|c| values[*c].as_ref() == best).map(|c| (c + 1).to_string());
    let words: Vec<String> = played.iter().map(|a| (a + 1).to_string()).collect();
    format!("{} => {}", words.join(" "), right.collect::<Vec<_>>().join(" "))
}

#[test]
fn the_file_holds_what_the_solver_says() {
    let (game, mut solver) = (ConnectFour::new(Default::default()).unwrap(), Solver::new());
    if std::env::var_os("BLESS").is_some() {
        let mut rng = Rng::new(2026, Stream::Eval, 0);
        let mut text =
            String::from("# 1,000 positions after 8 to 14 random plies, and the columns that keep the value\n");
        for i in 0..1000 {
            let played = random(&game, 8 + i % 7, &mut rng);
            text += &(line(&mut solver, &played) + "\n");
        }
        std::fs::write(FILE, text).unwrap();
    }
    let text = std::fs::read_to_string(FILE).unwrap();
    let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(lines.len(), 1000);
    for text in lines.iter().step_by(50) {
        let (words, _) = text.split_once(" =>").unwrap();
        let played: Vec<Action> = words.split(' ').map(|w| w.parse::<Action>().unwrap() - 1).collect();
        assert_eq!(line(&mut solver, &played), *text);
    }
}

/// The value of a position for the mover, by looking at everything.
fn exact(game: &ConnectFour, state: &<ConnectFour as Game>::State) -> i8 {
    let Turn::Player(mover) = game.turn(state) else { return 0 };
    let mut best = -1;
    for action in moves(game, state) {
        let mut next = state.clone();
        game.play(&mut next, action);
        let value = if game.turn(&next) == Turn::Over {
            let mut returns = [0.0; 2];
            game.returns(&next, &mut returns);
            returns[mover] as i8
        } else {
            -exact(game, &next)
        };
        best = best.max(value);
        if best == 1 {
            break;
        }
    }
    best
}

#[test]
fn late_positions_have_the_values_of_the_solver() {
    let (game, mut solver) = (ConnectFour::new(Default::default()).unwrap(), Solver::new());
    let mut rng = Rng::new(7, Stream::Eval, 0);
    for i in 0..60 {
        let played = random(&game, 28 + i % 10, &mut rng);
        let mut state = start(&game);
        played.iter().for_each(|a| game.play(&mut state, *a));
        let legal = moves(&game, &state);
        let values = values(&mut solver, &played);
        assert_eq!((0..7).filter(|c| values[*c].is_some()).map(|c| c as Action).collect::<Vec<_>>(), legal);
        assert_eq!(values.iter().flatten().max(), Some(&exact(&game, &state)), "{played:?}");
    }
}
