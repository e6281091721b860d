//! Every game against known counts, and against what all games must do.

use agon_core::game::{Visit, follow, moves, perft, playout, start};
use agon_core::rng::Stream;
use agon_core::{Game, Rng, Turn};
use agon_envs::games::{self, *};
use serde_json::{Map, Value, json};

fn table(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

struct Perft<'a>(&'a str, &'a [u64]);

impl Visit for Perft<'_> {
    type Out = ();

    fn visit<G: Game>(self, game: G) {
        let from = if self.0.is_empty() { start(&game) } else { game.position(self.0).unwrap() };
        for (depth, nodes) in (1..).zip(self.1) {
            assert_eq!(perft(&game, &from, depth), *nodes, "{} at depth {depth}", self.0);
        }
    }
}

fn check(id: &str, settings: Value, from: &str, nodes: &[u64]) {
    games::visit(id, &table(settings), Perft(from, nodes)).unwrap();
}

#[test]
fn connect_four_has_the_known_numbers_of_lines() {
    let known = [7, 49, 343, 2401, 16807, 117_649, 823_536, 5_673_234];
    check("games/connect-four", json!({}), "", &known);
    // In more than 64 bits too: the first six moves of seven columns among ten rows meet no edge.
    check("games/connect-four", json!({"rows": 10, "columns": 9}), "", &[9, 81, 729, 6561, 59049, 531_441]);
}

#[test]
fn othello_has_the_known_numbers_of_lines() {
    check("games/othello", json!({}), "", &[4, 12, 56, 244, 1396, 8200, 55_092, 390_216]);
    check("games/othello", json!({"size": 6}), "", &[4, 12, 56, 244, 1364, 7604]);
}

#[test]
fn go_has_the_known_numbers_of_lines() {
    check("games/go", json!({"size": 5}), "", &[26, 651, 15_650, 361_041]);
}

/// Positions 1 to 6 of the Chess Programming Wiki's page "Perft Results", depth 4 (5 where it is quick).
#[test]
fn chess_has_the_known_numbers_of_lines() {
    let positions: [(&str, &[u64]); 6] = [
        ("", &[20, 400, 8902, 197_281, 4_865_609]),
        ("r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1", &[48, 2039, 97_862, 4_085_603]),
        ("8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", &[14, 191, 2812, 43_238, 674_624]),
        ("r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1", &[6, 264, 9467, 422_333]),
        ("rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8", &[44, 1486, 62_379, 2_103_487]),
        ("r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10", &[46, 2079, 89_890, 3_894_594]),
    ];
    for (from, nodes) in positions {
        check("games/chess", json!({}), from, nodes);
    }
}

#[test]
#[ignore = "long: one ply more than the everyday checks"]
fn perft_deeper() {
    check("games/connect-four", json!({}), "", &[7, 49, 343, 2401, 16807, 117_649, 823_536, 5_673_234, 39_394_572]);
    check("games/othello", json!({}), "", &[4, 12, 56, 244, 1396, 8200, 55_092, 390_216, 3_005_288]);
    let positions = [
        ("r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1", 193_690_690),
        ("r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1", 15_833_292),
        ("rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8", 89_941_194),
        ("r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10", 164_075_551),
    ];
    let game = chess::Chess::new(Default::default()).unwrap();
    for (from, nodes) in positions {
        assert_eq!(perft(&game, &game.position(from).unwrap(), 5), nodes, "{from}");
    }
}

#[test]
fn tic_tac_toe_has_255168_games_and_5478_positions_and_is_a_draw() {
    fn walk<G: Game>(game: &G, state: &G::State, ended: &mut u64, seen: &mut std::collections::HashSet<u64>) -> f32 {
        seen.insert(game.hash(state));
        let Turn::Player(mover) = game.turn(state) else {
            *ended += 1;
            let mut returns = [0.0; 2];
            game.returns(state, &mut returns);
            return returns[0];
        };
        let values = moves(game, state).into_iter().map(|a| {
            let mut next = state.clone();
            game.play(&mut next, a);
            walk(game, &next, ended, seen)
        });
        let values: Vec<f32> = values.collect();
        let better = |a: f32, b: &f32| if mover == 0 { a.max(*b) } else { a.min(*b) };
        values[1..].iter().fold(values[0], better)
    }
    let game = tic_tac_toe::TicTacToe::new(Default::default()).unwrap();
    let (mut ended, mut seen) = (0, Default::default());
    let value = walk(&game, &start(&game), &mut ended, &mut seen);
    assert_eq!((ended, seen.len(), value), (255_168, 5478, 0.0));
}

/// Tromp and Farnebäck 2007, "Combinatorics of Go", table 1.
#[test]
fn go_accepts_exactly_the_legal_positions() {
    for (size, legal) in [(1, 1), (2, 57), (3, 12_675)] {
        let game = go::Go::new(go::GoSettings { size, ..Default::default() }).unwrap();
        let boards = 3u32.pow((size * size) as u32);
        let board = |mut code: u32| -> String {
            let mut text = String::new();
            for cell in 0..size * size {
                if cell % size == 0 {
                    text.push(' ');
                }
                text.push(['.', 'x', 'o'][(code % 3) as usize]);
                code /= 3;
            }
            text
        };
        assert_eq!((0..boards).filter(|code| game.position(&board(*code)).is_ok()).count(), legal, "{size}×{size}");
    }
}

#[test]
fn go_scores_area_and_forbids_repetition() {
    let game = go::Go::new(go::GoSettings { size: 5, komi: 0.5, ..Default::default() }).unwrap();
    // Black has two columns and the empty point between; the middle column is nobody's.
    let state = game.position("xx.o. xx.o. xx.oo xx.o. xx.oo").unwrap();
    assert_eq!(game.score(&state), 10.0 - 10.0 - 0.5);
    // A ko: Black takes at b1's neighbour, White may not take back at once.
    let mut state = game.position(".xo.. xo.o. .xo.. ..... .....").unwrap();
    let take = game.read(&state, "C4").unwrap();
    game.play(&mut state, take);
    assert!(game.read(&state, "B4").is_none(), "{}", game.text(&state));
    for word in ["A1", "E1"] {
        let action = game.read(&state, word).unwrap();
        game.play(&mut state, action);
    }
    assert!(game.read(&state, "B4").is_some(), "{}", game.text(&state));
    // A lone stone's suicide repeats the position; that of two does not.
    let state = game.position(".x... x.... ..... ..... .....").unwrap();
    assert!(game.read(&state, "A5").is_some());
    let alone = game.position(".o... o.... ..... ..... .....").unwrap();
    assert!(game.read(&alone, "A5").is_none());
    let two = game.position("x.o.. oo... ..... ..... .....").unwrap();
    assert!(game.read(&two, "B5").is_some());
    let strict = go::Go::new(go::GoSettings { size: 5, suicide: false, ..Default::default() }).unwrap();
    assert!(strict.read(&strict.position("x.o.. oo... ..... ..... .....").unwrap(), "B5").is_none());
}

/// Browne et al.: the opening moves that win 3×3 Hex.
#[test]
fn hex_on_three_is_won_from_the_middle_diagonal_rows() {
    fn wins(game: &hex::Hex, state: &hex::State, player: usize) -> bool {
        let Turn::Player(mover) = game.turn(state) else {
            let mut returns = [0.0; 2];
            game.returns(state, &mut returns);
            return returns[player] > 0.0;
        };
        let mut after = moves(game, state).into_iter().map(|a| {
            let mut next = state.clone();
            game.play(&mut next, a);
            wins(game, &next, player)
        });
        if mover == player { after.any(|w| w) } else { after.all(|w| w) }
    }
    let game = hex::Hex::new(hex::HexSettings { size: 3 }).unwrap();
    let winning: Vec<u16> = (0..9)
        .filter(|a| {
            let mut state = start(&game);
            game.play(&mut state, *a);
            wins(&game, &state, 0)
        })
        .collect();
    assert_eq!(winning, [2, 3, 4, 5, 6]);
}

/// The expected score of perfect play on 2×2, by going through all positions.
#[test]
fn twenty48_on_two_by_two_is_worth_what_is_known() {
    use std::collections::HashMap;
    fn value(game: &twenty48::Twenty48, state: &twenty48::State, known: &mut HashMap<u64, f64>) -> f64 {
        let mut score = [0.0];
        game.returns(state, &mut score);
        let key = game.hash(state);
        if let Some(value) = known.get(&key) {
            return *value;
        }
        let after = |a: u16| {
            let mut next = state.clone();
            game.play(&mut next, a);
            next
        };
        let worth = match game.turn(state) {
            Turn::Over => f64::from(score[0]),
            Turn::Chance => {
                let mut outcomes = Vec::new();
                game.chance(state, |a, p| outcomes.push((a, p)));
                outcomes.into_iter().map(|(a, p)| p * value(game, &after(a), known)).sum()
            }
            Turn::Player(_) => {
                moves(game, state).into_iter().map(|a| value(game, &after(a), known)).fold(f64::MIN, f64::max)
            }
        };
        known.insert(key, worth);
        worth
    }
    let game =
        twenty48::Twenty48::new(twenty48::Twenty48Settings { rows: 2, columns: 2, ..Default::default() }).unwrap();
    let worth = value(&game, &start(&game), &mut HashMap::new());
    assert!((worth - 66.964_149_457_1).abs() < 1e-9, "{worth}");
}

/// What every game must do, over random games.
struct Laws;

impl Visit for Laws {
    type Out = Result<(), String>;

    fn visit<G: Game>(self, game: G) -> Result<(), String> {
        let (spec, mut rng) = (game.spec().clone(), Rng::new(5, Stream::Eval, 0));
        let [least, most] = spec.returns;
        let (mut obs, mut returns) = (vec![0.0; spec.obs_len()], vec![0.0; spec.players()]);
        for round in 0..20 {
            let (mut state, mut plies) = (start(&game), 0);
            loop {
                let saved = serde_json::to_value(&state).map_err(|e| e.to_string())?;
                let back: G::State = serde_json::from_value(saved).map_err(|e| e.to_string())?;
                if back != state || game.hash(&back) != game.hash(&state) {
                    return Err(format!("saving changes the state:\n{state:?}\n{back:?}"));
                }
                game.check(&back).map_err(|why| format!("an ordinary position is refused: {why}\n{state:?}"))?;
                let list = moves(&game, &state);
                let mut outcomes = Vec::new();
                game.chance(&state, |a, p| outcomes.push((a, p)));
                let unique: std::collections::BTreeSet<_> =
                    list.iter().chain(outcomes.iter().map(|(a, _)| a)).collect();
                if unique.len() != list.len() + outcomes.len() || list.iter().any(|a| usize::from(*a) >= spec.actions) {
                    return Err(format!("moves {list:?}"));
                }
                (0..spec.players()).for_each(|p| {
                    obs.fill(f32::NAN);
                    game.observe(&state, p, &mut obs);
                    assert!(obs.iter().all(|x| x.is_finite()), "player {p} has gaps:\n{}", game.text(&state));
                });
                let action = match game.turn(&state) {
                    Turn::Over => break,
                    Turn::Chance => {
                        let total: f64 = outcomes.iter().map(|o| o.1).sum();
                        let roll = game.roll(&state, &mut rng);
                        let possible = outcomes.iter().any(|(a, p)| *a == roll && *p > 0.0);
                        if !list.is_empty() || (total - 1.0).abs() > 1e-12 || !possible {
                            return Err(format!("chance {outcomes:?}, rolled {roll}"));
                        }
                        roll
                    }
                    Turn::Player(p) => {
                        let pick = game.random_move(&state, &mut rng);
                        if p >= spec.players() || !list.contains(&pick) || !outcomes.is_empty() {
                            return Err(format!("player {p}, picked {pick} of {list:?}"));
                        }
                        let text = game.write(&state, pick);
                        let read = game.read(&state, &text).ok_or(format!("`{text}` is not read back"))?;
                        let [mut a, mut b] = [state.clone(), state.clone()];
                        game.play(&mut a, read);
                        game.play(&mut b, pick);
                        if a != b {
                            return Err(format!("`{text}` is read as another move in\n{}", game.text(&state)));
                        }
                        plies += 1;
                        pick
                    }
                };
                let mut copy = start(&game);
                copy.clone_from(&state);
                game.play(&mut copy, action);
                game.play(&mut state, action);
                if copy != state {
                    return Err(format!("a copy goes another way:\n{copy:?}\n{state:?}"));
                }
            }
            game.returns(&state, &mut returns);
            if returns.iter().any(|r| *r == 0.0 && r.is_sign_negative()) {
                return Err(format!("round {round}: a zero with a minus: {returns:?}"));
            }
            let sum: f32 = returns.iter().sum();
            if returns.iter().any(|r| *r < least || *r > most) || spec.players() == 2 && sum != 0.0 {
                return Err(format!("round {round}: returns {returns:?}"));
            }
            if plies > spec.max_plies && !spec.chance && spec.returns[1] == 1.0 && spec.actions < 1000 {
                return Err(format!("{plies} plies of at most {}", spec.max_plies));
            }
        }
        Ok(())
    }
}

#[test]
fn every_game_keeps_the_laws() {
    for id in NAMES {
        games::visit(id, &Map::new(), Laws).unwrap().unwrap_or_else(|e| panic!("{id}: {e}"));
    }
}

/// Boards so small that many games are drawn.
#[test]
fn drawn_games_keep_the_laws() {
    for (id, settings) in [
        ("games/othello", json!({"size": 4})),
        ("games/go", json!({"size": 2, "komi": 0})),
        ("games/connect-four", json!({"rows": 4, "columns": 4})),
    ] {
        games::visit(id, &table(settings), Laws).unwrap().unwrap_or_else(|e| panic!("{id}: {e}"));
    }
}

/// `random_move` is uniform over `moves`: chi-square at positions along a random game.
struct Uniform;

impl Visit for Uniform {
    type Out = ();

    fn visit<G: Game>(self, game: G) {
        let mut rng = Rng::new(9, Stream::Eval, 1);
        let mut state = start(&game);
        let (mut chi2, mut freedom) = (0.0, 0.0);
        loop {
            let action = match game.turn(&state) {
                Turn::Over => break,
                Turn::Chance => game.roll(&state, &mut rng),
                Turn::Player(_) => {
                    let list = moves(&game, &state);
                    let draws = 40 * list.len();
                    let mut counts = std::collections::HashMap::new();
                    (0..draws).for_each(|_| *counts.entry(game.random_move(&state, &mut rng)).or_insert(0.0) += 1.0);
                    chi2 += list.iter().map(|a| (counts.get(a).unwrap_or(&0.0) - 40.0f64).powi(2) / 40.0).sum::<f64>();
                    freedom += list.len() as f64 - 1.0;
                    list[rng.below(list.len() as u32) as usize]
                }
            };
            game.play(&mut state, action);
        }
        // Normal approximation, five standard deviations.
        assert!((chi2 - freedom).abs() < 5.0 * (2.0 * freedom).sqrt() + 15.0, "{chi2} of {freedom}");
    }
}

#[test]
fn random_moves_are_uniform() {
    for id in NAMES {
        games::visit(id, &Map::new(), Uniform).unwrap();
    }
}

/// A game played through a symmetry looks like the first one, through the symmetry.
struct Mirrors;

impl Visit for Mirrors {
    type Out = usize;

    fn visit<G: Game>(self, game: G) -> usize {
        let (spec, mut rng, mut used) = (game.spec().clone(), Rng::new(6, Stream::Eval, 2), 0);
        let seen = |state: &G::State, player: usize| {
            let mut obs = vec![0.0; spec.obs_len()];
            game.observe(state, player, &mut obs);
            obs
        };
        for symmetry in &spec.symmetries {
            let through =
                |obs: Vec<f32>| -> Vec<f32> { symmetry.observation.iter().map(|i| obs[*i as usize]).collect() };
            let [mut a, mut b] = [start(&game), start(&game)];
            if through(seen(&a, 0)) != seen(&b, 0) {
                continue; // the beginning is not symmetric: Othello's four stones
            }
            used += 1;
            while game.turn(&a) != Turn::Over {
                let action = game.random_move(&a, &mut rng);
                let image = symmetry.action[usize::from(action)];
                assert!(moves(&game, &b).contains(&image), "{}\n{}", game.text(&a), game.text(&b));
                game.play(&mut a, action);
                game.play(&mut b, image);
                (0..2).for_each(|p| assert_eq!(through(seen(&a, p)), seen(&b, p)));
            }
            assert_eq!(game.turn(&b), Turn::Over);
        }
        used
    }
}

#[test]
fn symmetries_are_symmetries() {
    for (id, expected) in
        [("games/tic-tac-toe", 7), ("games/connect-four", 1), ("games/othello", 3), ("games/go", 7), ("games/hex", 1)]
    {
        assert_eq!(games::visit(id, &Map::new(), Mirrors).unwrap(), expected, "{id}");
    }
}

#[test]
fn positions_that_cannot_be_are_refused() {
    let chess = chess::Chess::new(Default::default()).unwrap();
    for fen in ["8/8/8/8/8/8/8/8 w - - 0 1", "kk6/8/8/8/8/8/8/KK6 w - - 0 1", "e2e5", "startpos moves e2e4 e2e4"] {
        assert!(chess.position(fen).is_err(), "{fen}");
    }
    assert!(chess.position("startpos moves e2e4 e7e5").is_ok());
    let go = go::Go::new(go::GoSettings { size: 2, ..Default::default() }).unwrap();
    assert!(go.position("xx xx").unwrap_err().contains("no liberty"));
    let four = connect_four::ConnectFour::new(Default::default()).unwrap();
    assert_eq!(follow(&four, "4 4 9").unwrap_err(), "move 3 `9` is not legal here");
    assert_eq!(follow(&four, "1 2 1 2 1 2 1 2").unwrap_err(), "move 8 `2`: the game is already over");
    assert!(games::visit("games/othello", &table(json!({"size": 5})), Laws).is_err());
    assert!(games::visit("games/connect-four", &table(json!({"rows": 20, "columns": 20})), Laws).is_err());
}

#[test]
fn playouts_end_and_are_reproduced() {
    let game = backgammon::Backgammon::new(Default::default()).unwrap();
    let run = || {
        let (mut state, mut rng) = (start(&game), Rng::new(3, Stream::Eval, 4));
        (playout(&game, &mut state, &mut rng), state)
    };
    assert_eq!(run(), run());
}

/// Two-player games in which chance first deals one secret to each: nothing of it shows in what the other sees.
struct Secrets;

impl Visit for Secrets {
    type Out = ();

    fn visit<G: Game>(self, game: G) {
        let legal = |state: &G::State, action: u16| {
            let mut found = moves(&game, state).contains(&action);
            game.chance(state, |a, p| found |= a == action && p > 0.0);
            found
        };
        let view = |state: &G::State, player: usize| {
            let mut obs = vec![0.0; game.spec().obs_len()];
            game.observe(state, player, &mut obs);
            (obs, game.information_state(state, player))
        };
        let (mut rng, mut told_apart) = (Rng::new(1, Stream::Eval, 0), 0);
        for _ in 0..500 {
            let secret = rng.below(2) as usize;
            let (mut one, mut other, mut ply) = (start(&game), start(&game), 0);
            while game.turn(&one) != Turn::Over && game.turn(&other) == game.turn(&one) {
                let action = match game.turn(&one) {
                    Turn::Chance => game.roll(&one, &mut rng),
                    _ => game.random_move(&one, &mut rng),
                };
                // The same game, in which one player was dealt something else.
                let dealt = if ply == secret { game.roll(&other, &mut rng) } else { action };
                if !legal(&other, dealt) {
                    break; // the card is the other one's now
                }
                game.play(&mut one, action);
                game.play(&mut other, dealt);
                ply += 1;
                if game.turn(&one) != Turn::Over {
                    assert_eq!(view(&one, 1 - secret), view(&other, 1 - secret), "{}", game.text(&one));
                    told_apart += u32::from(view(&one, secret) != view(&other, secret));
                }
            }
        }
        assert!(told_apart > 300, "who was dealt it sees it: {told_apart}");
    }
}

#[test]
fn nobody_sees_what_another_was_dealt() {
    for id in ["games/kuhn-poker", "games/leduc-poker", "games/liars-dice"] {
        games::visit(id, &Map::new(), Secrets).unwrap();
    }
}
