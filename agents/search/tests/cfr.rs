//! Poker games whose values and exploitabilities are known (OpenSpiel's, and Kuhn 1950).

use agon_core::rng::Stream;
use agon_core::{Game, Rng};
use agon_envs::games::{chess::Chess, kuhn::Kuhn, leduc::Leduc};
use agon_search::cfr::{Solver, Tree};
use agon_search::guided::NoNetworks;
use agon_search::registry::by_name;
use serde_json::Map;

fn tree<G: Game>() -> Tree {
    Tree::new(&G::new(Default::default()).unwrap()).unwrap()
}

#[test]
fn uniform_play_is_as_exploitable_as_it_should_be() {
    for (tree, known) in [(tree::<Kuhn>(), 0.458_333_3), (tree::<Leduc>(), 2.373_611_1)] {
        let exploitability = tree.exploitability(&tree.uniform());
        assert!((exploitability - known).abs() < 1e-7, "{exploitability}");
    }
}

#[test]
fn the_trees_have_their_known_sizes() {
    assert_eq!(tree::<Kuhn>().sets.len(), 12);
    // Suits do not matter: 288 instead of 936 with them.
    assert_eq!(tree::<Leduc>().sets.len(), 288);
}

/// Game, iterations, exploitability to go below, value for the first player.
fn converges(tree: Tree, iterations: u32, below: f64, value: f64) {
    let mut solver = Solver::new(tree, None);
    (0..iterations).for_each(|_| solver.step());
    let policy = solver.average();
    let (left, earned) = (solver.tree.exploitability(&policy), solver.tree.value(&policy));
    println!("CFR+, {iterations} iterations: exploitability {left:.7}, value {earned:.7}");
    assert!((0.0..below).contains(&left), "{left}");
    assert!((earned - value).abs() < below, "{earned}");
}

#[test]
fn cfr_plus_solves_kuhn() {
    converges(tree::<Kuhn>(), 1000, 1e-3, -1.0 / 18.0);
}

#[test]
fn cfr_plus_solves_leduc() {
    converges(tree::<Leduc>(), 500, 1e-2, -0.085_606_4);
}

#[test]
fn external_sampling_gets_there_too() {
    for seed in 0..3 {
        let mut solver = Solver::new(tree::<Kuhn>(), Some(Rng::new(seed, Stream::Player, 0)));
        (0..200_000).for_each(|_| solver.step());
        let left = solver.tree.exploitability(&solver.average());
        println!("external sampling, seed {seed}: exploitability {left:.5}");
        assert!((0.0..0.01).contains(&left), "{left}");
    }
}

#[test]
fn a_game_whose_tree_is_too_large_is_refused() {
    let chess = Chess::new(Default::default()).unwrap();
    let told = by_name(&chess, "cfr", &Map::new(), &NoNetworks).err().unwrap().to_string();
    assert!(told.contains("too large"), "{told}");
}
