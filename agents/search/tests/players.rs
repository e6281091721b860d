//! Searches against games whose truth is known.

use agon_core::game::{Action, follow, moves, start};
use agon_core::rng::Stream;
use agon_core::{Game, GameSpec, Rng, Turn};
use agon_envs::games::{
    backgammon::Backgammon, chess::Chess, connect_four::*, hex::*, kuhn::Kuhn, tic_tac_toe::TicTacToe,
};
use agon_search::guided::NoNetworks;
use agon_search::mcts::{Mcts, MctsSettings};
use agon_search::minimax::{Minimax, MinimaxSettings};
use agon_search::player::{Player, Random};
use agon_search::registry::{by_name, parse};
use agon_search::{Evaluate, Networks};
use serde_json::Map;

/// The returns of one game.
fn play<G: Game>(game: &G, players: [&mut dyn Player<G>; 2], rng: &mut Rng) -> [f32; 2] {
    let mut state = start(game);
    let mut returns = [0.0; 2];
    loop {
        let action = match game.turn(&state) {
            Turn::Over => break,
            Turn::Chance => game.roll(&state, rng),
            Turn::Player(p) => players[p].choose(game, &state, rng).unwrap(),
        };
        game.play(&mut state, action);
    }
    game.returns(&state, &mut returns);
    returns
}

/// The value of a position for its mover, by going through everything.
fn truth<G: Game>(game: &G, state: &G::State) -> f32 {
    let Turn::Player(mover) = game.turn(state) else { unreachable!() };
    let value = |a: Action| {
        let mut next = state.clone();
        game.play(&mut next, a);
        let mut returns = [0.0; 2];
        game.returns(&next, &mut returns);
        match game.turn(&next) {
            Turn::Over => returns[mover],
            _ => -truth(game, &next),
        }
    };
    moves(game, state).into_iter().map(value).fold(f32::MIN, f32::max)
}

fn minimax<G: Game>(game: &G, depth: u32) -> Minimax<G> {
    Minimax::new(game, MinimaxSettings { depth, ..Default::default() }).unwrap()
}

#[test]
fn minimax_knows_the_value_of_every_position_of_small_games() {
    fn all<G: Game>(game: &G, plies: u32, rounds: u32) {
        let mut rng = Rng::new(1, Stream::Eval, 0);
        for _ in 0..rounds {
            let mut state = start(game);
            while let Turn::Player(_) = game.turn(&state) {
                let mut player = minimax(game, plies);
                player.choose(game, &state, &mut rng).unwrap();
                let best = player.thoughts().lines[0].value;
                let truth = truth(game, &state);
                let sign = if best == 0.0 { 0.0 } else { best.signum() };
                assert_eq!(sign, truth, "{}", game.text(&state));
                let action = game.random_move(&state, &mut rng);
                game.play(&mut state, action);
            }
        }
    }
    all(&TicTacToe::new(Default::default()).unwrap(), 9, 20);
    all(&Hex::new(HexSettings { size: 3 }).unwrap(), 9, 5);
    all(&ConnectFour::new(ConnectFourSettings { rows: 3, columns: 4, line: 3 }).unwrap(), 12, 5);
}

#[test]
fn minimax_never_loses_at_tic_tac_toe() {
    let game = TicTacToe::new(Default::default()).unwrap();
    let (mut player, mut rng) = (minimax(&game, 9), Rng::new(2, Stream::Eval, 0));
    for round in 0..100 {
        let returns = if round % 2 == 0 {
            play(&game, [&mut player, &mut Random], &mut rng)[0]
        } else {
            play(&game, [&mut Random, &mut player], &mut rng)[1]
        };
        assert!(returns >= 0.0);
    }
}

#[test]
fn minimax_mates() {
    let game = Chess::new(Default::default()).unwrap();
    let mut rng = Rng::new(3, Stream::Eval, 0);
    // Mates in one and in two, each with a single key move.
    for (fen, depth, key) in
        [("6k1/5ppp/8/8/8/8/8/R5K1 w - - 0 1", 1, "a1a8"), ("kbK5/pp6/1P6/8/8/8/8/R7 w - - 0 1", 3, "a1a6")]
    {
        let state = game.position(fen).unwrap();
        let action = minimax(&game, depth).choose(&game, &state, &mut rng).unwrap();
        assert_eq!(game.write(&state, action), key);
    }
}

#[test]
fn minimax_sees_four_in_a_row_coming() {
    let game = ConnectFour::new(Default::default()).unwrap();
    let mut rng = Rng::new(4, Stream::Eval, 0);
    // Second to move: three in a row, open on one side only.
    let state = follow(&game, "1 7 2 7 3").unwrap();
    for depth in [2, 4, 6] {
        let action = minimax(&game, depth).choose(&game, &state, &mut rng).unwrap();
        assert_eq!(game.write(&state, action), "4");
    }
}

#[test]
fn a_budget_of_nodes_is_kept() {
    let game = ConnectFour::new(Default::default()).unwrap();
    let settings = MinimaxSettings { depth: 40, nodes: 5000, ..Default::default() };
    let mut player = Minimax::new(&game, settings).unwrap();
    player.choose(&game, &start(&game), &mut Rng::new(5, Stream::Eval, 0)).unwrap();
    let thoughts = player.thoughts();
    assert!(thoughts.searched <= 5000 && thoughts.depth >= 3 && thoughts.depth < 40, "{thoughts:?}");
}

#[test]
fn minimax_averages_over_dice() {
    let game = Backgammon::new(Default::default()).unwrap();
    let mut rng = Rng::new(6, Stream::Eval, 0);
    let mut wins = 0;
    for round in 0..10 {
        let mut player = minimax(&game, 1);
        let returns = play(&game, [&mut player, &mut Random], &mut rng);
        wins += u32::from(returns[0] > 0.0);
        assert!(round < 10);
    }
    assert!(wins >= 8, "{wins} of 10");
}

fn mcts<G: Game>(game: &G, simulations: u64, threads: usize) -> Mcts<G> {
    Mcts::new(game, MctsSettings { simulations, threads, ..Default::default() }).unwrap()
}

#[test]
fn tree_search_draws_with_minimax_at_tic_tac_toe() {
    let game = TicTacToe::new(Default::default()).unwrap();
    let mut rng = Rng::new(7, Stream::Eval, 0);
    let (mut tree, mut perfect) = (mcts(&game, 3000, 1), minimax(&game, 9));
    for _ in 0..20 {
        assert_eq!(play(&game, [&mut tree, &mut perfect], &mut rng), [0.0; 2]);
        assert_eq!(play(&game, [&mut perfect, &mut tree], &mut rng), [0.0; 2]);
    }
}

#[test]
fn tree_search_finds_the_winning_openings_of_hex() {
    let game = Hex::new(HexSettings { size: 3 }).unwrap();
    let mut player = mcts(&game, 20_000, 1);
    let action = player.choose(&game, &start(&game), &mut Rng::new(8, Stream::Eval, 0)).unwrap();
    assert!((2..=6).contains(&action));
    assert!(player.thoughts().lines[0].value > 0.8);
}

#[test]
fn tree_search_depends_on_seed_and_threads_alone() {
    let game = ConnectFour::new(Default::default()).unwrap();
    let state = follow(&game, "4 4 3").unwrap();
    let think = |threads, seed| {
        let mut player = mcts(&game, 3001, threads);
        player.choose(&game, &state, &mut Rng::new(seed, Stream::Eval, 0)).unwrap();
        player.thoughts()
    };
    for threads in [1, 3] {
        let first = think(threads, 1);
        assert_eq!(first, think(threads, 1));
        assert_ne!(first, think(threads, 2));
        assert_eq!(first.searched, 3001);
        assert_eq!(first.lines.iter().map(|l| l.visits).sum::<u64>(), 3001);
    }
}

#[test]
fn tree_search_plays_with_dice() {
    let game = Backgammon::new(Default::default()).unwrap();
    let mut rng = Rng::new(9, Stream::Eval, 0);
    let mut player = mcts(&game, 50, 1);
    let won = (0..4).filter(|_| play(&game, [&mut player, &mut Random], &mut rng)[0] > 0.0).count();
    assert!(won >= 3, "{won} of 4");
}

#[test]
fn what_cannot_be_is_said() {
    let (kuhn, game) = (Kuhn::new(Default::default()).unwrap(), TicTacToe::new(Default::default()).unwrap());
    let error = |r: Result<Box<dyn Player<TicTacToe>>, agon_search::PlayerError>| r.err().unwrap().to_string();
    assert!(
        by_name(&kuhn, "mcts", &Map::new(), &NoNetworks).err().unwrap().to_string().contains("do not see everything")
    );
    assert!(by_name(&kuhn, "minimax", &Map::new(), &NoNetworks).is_err());
    assert!(by_name(&kuhn, "random", &Map::new(), &NoNetworks).is_ok());
    let (name, settings) = parse("mcts:simulatoins=10").unwrap();
    assert!(error(by_name(&game, &name, &settings, &NoNetworks)).contains("did you mean `simulations`?"));
    assert!(error(by_name(&game, "minmax", &Map::new(), &NoNetworks)).contains("did you mean `minimax`?"));
    assert!(parse("mcts:simulations").is_err());
    let (name, settings) = parse("mcts:simulations=0").unwrap();
    assert!(error(by_name(&game, &name, &settings, &NoNetworks)).contains("must be a limit"));
}

/// A tree that is full is gone on with, and one that could not be held is refused before it grows.
#[test]
fn trees_stay_within_their_bounds() {
    let game = ConnectFour::new(Default::default()).unwrap();
    let state = follow(&game, "4 4 4 4 4 1 2 1 2 1").unwrap(); // three in the first column: it must be closed
    let think = |nodes| {
        let settings = MctsSettings { simulations: 20_000, nodes, ..Default::default() };
        let mut player = Mcts::new(&game, settings).unwrap();
        let action = player.choose(&game, &state, &mut Rng::new(1, Stream::Eval, 0)).unwrap();
        (action, player.thoughts())
    };
    let ((small, held), (large, grown)) = (think(1000), think(50_000_000));
    assert_eq!((small, large), (0, 0));
    assert_eq!((held.searched, grown.searched), (20_000, 20_000));
    assert_ne!(held, grown, "the bound is felt");
    for words in ["mcts:simulations=1e9,threads=256", "mcts:milliseconds=50,nodes=4e9,threads=256"] {
        let (name, settings) = parse(words).unwrap();
        let why = by_name(&game, &name, &settings, &NoNetworks).err().unwrap().to_string();
        assert!(why.contains("nodes") && why.contains("GB of memory"), "{words}: {why}");
    }
}

/// Who is given time or positions uses them, whatever the other limit's default is.
#[test]
fn one_limit_takes_the_place_of_anothers_default() {
    let game = ConnectFour::new(Default::default()).unwrap();
    let searched = |words: &str| {
        let (name, settings) = parse(words).unwrap();
        let mut player = by_name(&game, &name, &settings, &Even).unwrap();
        player.choose(&game, &start(&game), &mut Rng::new(1, Stream::Player, 0)).unwrap();
        (player.thoughts().searched, player.thoughts().depth)
    };
    assert!(searched("minimax:nodes=300000").1 > 6, "beyond the usual depth");
    assert_eq!(searched("minimax:nodes=300000,depth=3").1, 3);
    assert_eq!(searched("minimax:nodes=0,milliseconds=0").1, 6);
    assert_eq!((searched("mcts").0, searched("mcts:milliseconds=0").0), (1000, 1000));
    assert_eq!(searched("mcts:milliseconds=100000,simulations=50").0, 50);
    assert!(searched("mcts:milliseconds=60").0 != 1000);
    assert_eq!((searched("a/run").0, searched("a/run:milliseconds=100000,simulations=50").0), (100, 50));
    assert!(searched("a/run:milliseconds=60").0 != 100);
    let (name, settings) = parse("a/run:rule=gumbel,milliseconds=60").unwrap();
    let refused = by_name(&game, &name, &settings, &Even).err().unwrap().to_string();
    assert!(refused.contains("halving"), "{refused}");
}

/// Networks to which everything is even.
struct Even;

impl Networks for Even {
    fn open(&self, _: &str, _: &GameSpec) -> Result<Box<dyn Evaluate>, String> {
        Ok(Box::new(Self))
    }
}

impl Evaluate for Even {
    fn evaluate(&mut self, _: &[f32], logits: &mut [f32], value: &mut [f32]) {
        logits.fill(0.0);
        value.fill(0.0);
    }
}
