//! Self-play with a network that knows nothing: what is kept, that it is the same again, and that a save goes on.

use agon_core::Game;
use agon_core::game::{Turn, follow};
use agon_core::rng::{Rng, Stream};
use agon_envs::games::{backgammon::Backgammon, connect_four::ConnectFour, kuhn::Kuhn, tic_tac_toe::TicTacToe};
use agon_search::Evaluate;
use agon_search::guided::{Guided, GuidedSettings};
use agon_search::player::Player;
use agon_search::puct::{Noise, Rule, SearchSettings, Tree};
use agon_search::self_play::{Rules, SelfPlay, SelfPlaySettings};

/// Logits and values that are some function of the observation.
struct Fake;

impl Evaluate for Fake {
    fn evaluate(&mut self, obs: &[f32], logits: &mut [f32], value: &mut [f32]) {
        let (width, actions) = (obs.len() / value.len(), logits.len() / value.len());
        for (i, value) in value.iter_mut().enumerate() {
            let seen = &obs[i * width..(i + 1) * width];
            let sum: f32 = seen.iter().enumerate().map(|(k, x)| x * (k as f32).sin()).sum();
            *value = (0.3 * sum).tanh();
            (0..actions).for_each(|a| logits[i * actions + a] = (sum + a as f32).cos());
        }
    }
}

fn settings(rule: Rule) -> SelfPlaySettings {
    SelfPlaySettings {
        search: SearchSettings { simulations: 12, rule, ..SearchSettings::default() },
        noise: Noise { share: 0.25, alpha: 10.0 },
        opening_plies: 4,
        opening_share: 1.0,
        draw_plies: 6,
        value_blend: 0.0,
        resign_below: None,
        resign_never: 0.0,
        window: 600,
        games: 12,
        seed: 5,
    }
}

fn play(games: &mut dyn SelfPlay, moves: u64, threads: usize) {
    let mut networks: Vec<Box<dyn Evaluate>> = (0..threads).map(|_| Box::new(Fake) as Box<dyn Evaluate>).collect();
    assert!(games.play(moves, &mut networks, &|| false).unwrap().moves >= moves);
}

fn same(a: &dyn SelfPlay, b: &dyn SelfPlay) -> bool {
    a.save() == b.save()
}

#[test]
fn a_save_goes_on_as_if_nothing_had_happened() {
    for rule in [Rule::Puct, Rule::Gumbel] {
        let game = ConnectFour::new(Default::default()).unwrap();
        let [mut whole, mut cut] = [0, 1].map(|_| game.self_play(settings(rule)).unwrap());
        play(&mut *whole, 500, 2);
        play(&mut *cut, 500, 2);
        assert!(same(&*whole, &*cut));
        let (numbers, rest) = cut.save();
        let mut resumed = game.self_play(settings(rule)).unwrap();
        let find = |name: &str| numbers.iter().find(|n| n.0 == name).map(|n| n.1.clone());
        resumed.load(&find, &rest).unwrap();
        assert!(same(&*whole, &*resumed));
        for games in [&mut whole, &mut resumed] {
            play(&mut **games, 700, 2);
        }
        assert!(same(&*whole, &*resumed));
        assert!(whole.positions() <= 600 && whole.positions() > 500);
        let broken = |name: &str| {
            find(name).map(|mut x| {
                x.truncate(x.len() / 2);
                x
            })
        };
        assert!(resumed.load(&broken, &rest).is_err());
    }
    let backgammon = Backgammon::new(Default::default()).unwrap();
    let mut games = backgammon.self_play(settings(Rule::Puct)).unwrap();
    play(&mut *games, 800, 1);
    assert!(games.positions() > 0, "with dice too");
    let kuhn = Kuhn::new(Default::default()).unwrap();
    assert!(kuhn.self_play(settings(Rule::Puct)).is_err(), "hidden cards");
}

#[test]
fn targets_are_results_for_the_mover_and_symmetries_turn_everything() {
    let game = ConnectFour::new(Default::default()).unwrap();
    let mut games = game.self_play(settings(Rule::Gumbel)).unwrap();
    play(&mut *games, 1500, 1);
    let n = 400;
    let (mut obs, mut policy, mut mask) = (vec![0.0; n * 126], vec![0.0; n * 7], vec![0.0; n * 7]);
    let mut value = vec![0.0; n];
    games.sample(&mut Rng::new(1, Stream::Shuffle, 0), &mut obs, &mut policy, &mut mask, &mut value);
    assert!(value.iter().all(|v| [-1.0, 0.0, 1.0].contains(v)), "without blending targets are results");
    for i in 0..n {
        let (policy, mask, seen) = (&policy[i * 7..][..7], &mask[i * 7..][..7], &obs[i * 126..][..126]);
        assert!((policy.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        // The planes are the mover's stones, the other's, and who moves; a column is open where its top cell is free.
        for c in 0..7 {
            let open = seen[c] == 0.0 && seen[42 + c] == 0.0;
            assert!(policy[c] == 0.0 || mask[c] == 1.0);
            assert_eq!(mask[c] == 1.0, open, "column {c} of {seen:?}");
        }
    }
}

/// A random network evaluates a position and its mirror image differently; averaged over all forms it cannot.
#[test]
fn players_evaluate_positions_in_every_form() {
    let game = ConnectFour::new(Default::default()).unwrap();
    let thoughts = |moves: &str, symmetries: bool| {
        let set = GuidedSettings { simulations: 60, symmetries, ..GuidedSettings::default() };
        let mut player = Guided::new(&game, set, Box::new(Fake)).unwrap();
        let position = follow(&game, moves).unwrap();
        player.choose(&game, &position, &mut Rng::new(1, Stream::Act, 0)).unwrap();
        let mut visits = [0; 7];
        player.thoughts().lines.iter().for_each(|line| visits[usize::from(line.moves[0])] = line.visits);
        (visits, Player::<ConnectFour>::value(&player).unwrap())
    };
    let mirrored = |moves: &str, symmetries: bool| {
        let turned: String = moves.chars().map(|c| c.to_digit(10).map_or(c, |m| (b'8' - m as u8) as char)).collect();
        let (mut visits, value) = thoughts(&turned, symmetries);
        visits.reverse();
        (visits, value)
    };
    for moves in ["1 4 2", "3 3 6 1 2", "7 5 5 4 6 2 1 1"] {
        let ((one, a), (other, b)) = (thoughts(moves, true), mirrored(moves, true));
        assert!(one == other && (a - b).abs() < 1e-5, "{moves:?}: {one:?} {a} and {other:?} {b}");
        assert_ne!(thoughts(moves, false).0, mirrored(moves, false).0);
    }
}

/// Cached evaluations are the network's: searches find the same with and without the cache. And no game plays from the
/// cache while the others wait.
#[test]
fn a_memory_changes_no_search() {
    let game = TicTacToe::new(Default::default()).unwrap();
    let set = SelfPlaySettings { noise: Noise::default(), opening_plies: 0, window: 100_000, ..settings(Rule::Gumbel) };
    let (search, mut games) = (set.search.clone(), game.self_play(set).unwrap());
    let played = games.play(2000, &mut [Box::new(Fake) as Box<dyn Evaluate>], &|| false).unwrap();
    assert!(
        played.evaluations[0] > 100 && played.evaluations[1] > 5 * played.evaluations[0],
        "{:?}",
        played.evaluations
    );
    let (numbers, rest) = games.save();
    let drawn: Vec<u64> = rest["lanes"].as_array().unwrap().iter().map(|l| l["rng"][2].as_u64().unwrap()).collect();
    assert!(drawn.iter().max().unwrap() < &(2 * drawn.iter().min().unwrap()), "all play as much: {drawn:?}");
    let find = |name: &str| &numbers.iter().find(|n| n.0 == name).unwrap().1;
    let mut policies = find("games.policies").chunks_exact(9);
    let (mut state, mut seen) = (Default::default(), [0.0; 27]);
    let mut tree = Tree::new(search, Noise::default());
    let mut rng = Rng::new(0, Stream::Act, 0);
    let (mut logits, mut value, mut policy) = ([0.0; 9], [0.0], [0.0; 9]);
    for (action, first) in find("games.actions").iter().zip(find("games.first")) {
        if *first == 1.0 {
            game.start(&mut state);
        }
        tree.plant(&state);
        while !tree.finished() {
            if tree.select(&game, &mut rng) {
                let Turn::Player(mover) = game.turn(tree.leaf()) else { panic!("leaves are turns") };
                let seen = &mut seen[..game.spec().obs_len()];
                game.observe(tree.leaf(), mover, seen);
                Fake.evaluate(seen, &mut logits, &mut value);
                tree.expand(&game, &logits, value[0], &mut rng);
            }
        }
        tree.policy(&mut policy);
        assert_eq!(Some(&policy[..]), policies.next());
        game.play(&mut state, *action as u16);
    }
}

/// Whoever is asked to stop leaves off thinking, however much there was to think about; games played so far are dropped.
#[test]
fn nobody_thinks_on_once_it_is_asked_to_stop() {
    let game = ConnectFour::new(Default::default()).unwrap();
    let (state, mut rng) = (agon_core::game::start(&game), Rng::new(1, Stream::Player, 0));
    let halt = agon_search::player::Halt::default();
    halt.store(true, std::sync::atomic::Ordering::Relaxed);
    let set = GuidedSettings { simulations: 4_000_000, ..GuidedSettings::default() };
    let mut players: Vec<Box<dyn Player<ConnectFour>>> =
        vec![Box::new(Guided::new(&game, set, Box::new(Fake)).unwrap())];
    for words in ["mcts:simulations=1000000000", "minimax:depth=40"] {
        players.push(agon_search::registry::from_words(&game, words, &agon_search::guided::NoNetworks).unwrap());
    }
    for mut player in players {
        player.heed(&halt);
        player.choose(&game, &state, &mut rng).unwrap();
    }
    let mut games = game.self_play(settings(Rule::Puct)).unwrap();
    play(&mut *games, 200, 2);
    let before = games.save();
    let asked = std::sync::atomic::AtomicU32::new(0);
    let stop = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 40;
    assert!(games.play(100_000, &mut [Box::new(Fake) as Box<dyn Evaluate>], &stop).is_none());
    assert!(before == games.save());
}
