use super::*;
use agon_core::game::{follow, moves, start};
use agon_core::rng::Stream;
use agon_envs::games::backgammon::Backgammon;
use agon_envs::games::connect_four::ConnectFour;
use agon_envs::games::tic_tac_toe::TicTacToe;

fn search<G: Game>(game: &G, root: &G::State, set: SearchSettings, noise: Noise) -> Tree<G::State> {
    let (mut tree, mut rng) = (Tree::new(set, noise), Rng::new(1, Stream::Player, 0));
    tree.plant(root);
    grow(game, &mut tree, &mut rng);
    tree
}

/// With a network that knows nothing.
fn grow<G: Game>(game: &G, tree: &mut Tree<G::State>, rng: &mut Rng) {
    let logits = vec![0.0; game.spec().actions];
    while !tree.finished() {
        if tree.select(game, rng) {
            tree.expand(game, &logits, 0.0, rng);
        }
    }
}

fn rules() -> [SearchSettings; 2] {
    [Rule::Puct, Rule::Gumbel].map(|rule| SearchSettings { simulations: 400, rule, ..SearchSettings::default() })
}

#[test]
fn wins_are_taken_and_losses_prevented() {
    let game = ConnectFour::new(Default::default()).unwrap();
    for (moves, best) in [("4 4 5 5 6 6", [2, 6]), ("1 4 1 4 2 4", [3, 3]), ("4 1 4 1 4 2", [3, 3])] {
        let root = follow(&game, moves).unwrap();
        for set in rules() {
            let mut tree = search(&game, &root, set, Noise::default());
            assert!(best.contains(&tree.best()), "{moves}: {}", tree.best());
            let mut policy = [0.0; 7];
            tree.policy(&mut policy);
            assert!((policy.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{policy:?}");
            assert!(best.iter().map(|a| policy[usize::from(*a)]).fold(0.0, f32::max) > 0.3, "{policy:?}");
        }
    }
}

#[test]
fn values_are_the_movers() {
    let game = TicTacToe::new(Default::default()).unwrap();
    let won = follow(&game, "a1 b1 a2 b2").unwrap(); // x completes a column
    let lost = follow(&game, "a1 b1 a2 b2 c3").unwrap(); // and here o does
    for set in rules() {
        let [a, b] = [&won, &lost].map(|root| search(&game, root, set.clone(), Noise::default()).value());
        assert!(a > 0.3 && b > 0.3, "{a} {b}");
    }
}

#[test]
fn a_kept_tree_is_the_part_that_was_known() {
    let game = ConnectFour::new(Default::default()).unwrap();
    let [puct, _] = rules();
    let mut rng = Rng::new(2, Stream::Player, 0);
    let mut tree = search(&game, &start(&game), puct, Noise::default());
    let (line, visits, _) = tree.lines().swap_remove(0);
    let mut next = start(&game);
    game.play(&mut next, line[0]);
    tree.descend(line[0], &next);
    let below: u32 = tree.lines().iter().map(|l| l.1).sum();
    assert_eq!((below, tree.lines()[0].0[0]), (visits - 1, line[1]), "the first visit evaluated the position itself");
    grow(&game, &mut tree, &mut rng);
    assert_eq!(tree.lines().iter().map(|l| l.1).sum::<u32>(), below + 400);
}

#[test]
fn halving_spends_everything_on_ever_fewer() {
    let mut out = Vec::new();
    considered_visits(4, 16, &mut out);
    assert_eq!(out, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    considered_visits(1, 3, &mut out);
    assert_eq!(out, [0, 1, 2]);
    for considered in 1..20 {
        considered_visits(considered, 50, &mut out);
        assert_eq!(out.len(), 50);
    }
}

#[test]
fn the_first_moves_of_gumbel_search_are_drawn_without_replacement() {
    // With no value information the move with the most of noise + logit is played, so that moves come as often
    // as their priors say.
    let game = TicTacToe::new(Default::default()).unwrap();
    let root = start(&game);
    let logits: Vec<f32> = (0..9).map(|i| (1.0 + i as f32).ln()).collect();
    let set = SearchSettings { simulations: 0, ..SearchSettings::default() };
    let mut tree = Tree::new(set, Noise { share: 1.0, alpha: 0.0 });
    let mut rng = Rng::new(3, Stream::Player, 0);
    let mut counts = [0.0; 9];
    for _ in 0..9000 {
        tree.plant(&root);
        assert!(tree.select(&game, &mut rng));
        tree.expand(&game, &logits, 0.0, &mut rng);
        counts[usize::from(tree.best())] += 1.0;
    }
    let chi2: f64 = (0..9).map(|i| (counts[i] - 200.0 * (i + 1) as f64).powi(2) / (200.0 * (i + 1) as f64)).sum();
    assert!(chi2 < 26.1, "{chi2}: {counts:?}"); // the 99.9 % point for 8 degrees of freedom
}

#[test]
fn noise_keeps_priors_a_distribution_and_chance_is_walked() {
    let game = Backgammon::new(Default::default()).unwrap();
    let mut rng = Rng::new(4, Stream::Env, 0);
    let mut root = start(&game);
    while game.turn(&root) == Turn::Chance {
        let roll = game.roll(&root, &mut rng);
        game.play(&mut root, roll);
    }
    for set in rules() {
        let mut tree = search(&game, &root, set, Noise { share: 0.25, alpha: 10.0 });
        assert!(moves(&game, &root).contains(&tree.best()));
        let range = tree.nodes.range(0);
        assert!((tree.nodes.prior[range].iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }
}

#[test]
fn what_is_seen_to_its_end_is_sure() {
    let game = TicTacToe::new(Default::default()).unwrap();
    // Whatever o plays, x completes the first row or the last column.
    let root = follow(&game, "a1 b2 c3 a3 c1").unwrap();
    for set in rules() {
        let mut tree = search(&game, &root, set, Noise::default());
        assert_eq!(tree.nodes.sure(0), -1, "o is lost");
        assert_eq!(tree.value(), -1.0);
        assert!(tree.simulations() < 400, "and nothing is left to look at");
    }
    // The whole game is a draw: nothing is sure.
    for set in rules() {
        let set = SearchSettings { simulations: 20_000, ..set };
        let tree = search(&game, &start(&game), set, Noise::default());
        assert_eq!((tree.nodes.sure(0), tree.simulations()), (0, 20_000));
    }
}
