//! Programs that play, well and badly. The program is a script: no engine needs to be installed.

use agon_core::game::{Action, follow, start};
use agon_core::rng::Stream;
use agon_core::{Game, Rng, Turn};
use agon_envs::games::{
    chess::Chess,
    go::{Go, GoSettings},
    kuhn::Kuhn,
    tic_tac_toe::TicTacToe,
};
use agon_search::guided::NoNetworks;
use agon_search::player::{Fault, Player};
use agon_search::registry::{by_name, parse};
use std::time::{Duration, Instant};

/// A player in words whose engine is the script; it knows no commas or quotes in its own words.
fn words(language: &str, how: &str, more: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake_engine.py");
    format!("{language}:command=python3 '{script}' {language} {how}{more}")
}

fn make<G: Game>(game: &G, words: &str) -> Result<Box<dyn Player<G>>, String> {
    let (name, settings) = parse(words).map_err(|e| e.to_string())?;
    by_name(game, &name, &settings, &NoNetworks).map_err(|e| e.to_string())
}

fn new<G: Game>() -> G {
    G::new(Default::default()).unwrap()
}

fn rng() -> Rng {
    Rng::new(1, Stream::Eval, 0)
}

/// One game against who always takes the last move of the list; how it ended for the engine.
fn play<G: Game>(game: &G, player: &mut dyn Player<G>, seat: usize) -> Result<Vec<Action>, Fault> {
    let (mut state, mut moves, mut rng) = (start(game), Vec::new(), rng());
    player.begin(game, &state);
    while let Turn::Player(mover) = game.turn(&state) {
        let action = match mover == seat {
            true => player.choose(game, &state, &mut rng)?,
            false => *agon_core::game::moves(game, &state).last().unwrap(),
        };
        player.played(game, &state, action);
        game.play(&mut state, action);
        moves.push(action);
    }
    Ok(moves)
}

#[test]
fn an_engine_plays_from_both_seats() {
    let game: TicTacToe = new();
    let mut player = make(&game, &words("gtp", "fine", "")).unwrap();
    for _ in 0..3 {
        assert_eq!(play(&game, &mut *player, 0), Ok(vec![0, 8, 1, 7, 2]));
        assert_eq!(play(&game, &mut *player, 1), Ok(vec![8, 0, 7, 1, 6]));
    }
    let go = Go::new(GoSettings { size: 5, ..Default::default() }).unwrap();
    let mut player = make(&go, &words("gtp", "fine", "")).unwrap();
    assert_eq!(play(&go, &mut *player, 0), Ok(vec![25, 25]));
    let chess: Chess = new();
    let mut player = make(&chess, &words("uci", "fine", ",nodes=5,options=skill level:3")).unwrap();
    let mut rng = rng();
    for line in ["", "f2f3 e7e5"] {
        let state = chess.position(line).unwrap();
        let mut before = start(&chess);
        player.begin(&chess, &start(&chess));
        for word in line.split_whitespace() {
            let action = chess.read(&before, word).unwrap();
            player.played(&chess, &before, action);
            chess.play(&mut before, action);
        }
        let action = player.choose(&chess, &state, &mut rng).unwrap();
        let thoughts = player.thoughts();
        assert_eq!((thoughts.searched, thoughts.depth, thoughts.lines[0].moves[0]), (99, 3, action));
        assert_eq!(thoughts.lines[0].moves.len(), if line.is_empty() { 4 } else { 2 });
        assert_eq!(player.value(), Some(thoughts.lines[0].value));
        assert!((thoughts.lines[0].value - 0.055).abs() < 0.001, "{thoughts:?}");
    }
}

#[test]
fn moves_that_are_taken_back_are_taken_back() {
    let game: TicTacToe = new();
    let mut player = make(&game, &words("gtp", "fine", "")).unwrap();
    let mut rng = rng();
    player.begin(&game, &start(&game));
    // A hint: what the engine would play stays on no board.
    let first = start(&game);
    let hint = player.choose(&game, &first, &mut rng).unwrap();
    assert_eq!(player.choose(&game, &first, &mut rng), Ok(hint));
    player.played(&game, &first, hint + 1);
    let second = follow(&game, &game.write(&first, hint + 1)).unwrap();
    assert_eq!(player.choose(&game, &second, &mut rng), Ok(hint));
    // Where it was not told how the game came there, it says so, and can go on all the same.
    let unknown = follow(&game, "a1 a2 b2").unwrap();
    assert!(matches!(player.choose(&game, &unknown, &mut rng), Err(Fault::Crash(_))));
    assert_eq!(play(&game, &mut *player, 1), Ok(vec![8, 0, 7, 1, 6]));
}

#[test]
fn every_way_to_fail_is_told_apart_and_the_next_game_goes_on() {
    let game: TicTacToe = new();
    let is = |how: &str, fault: &Fault| match (how, fault) {
        ("hang" | "flood", Fault::Time) => true,
        ("illegal", Fault::Illegal(text)) => text == "Z9",
        ("die", Fault::Crash(text)) => text.contains("exit code 7; ") && text.ends_with("`fatal: no luck`"),
        ("crash", Fault::Crash(text)) => text.contains("signal 6 (SIGABRT)"),
        ("garbage", Fault::Crash(text)) => text.contains("? no reply at all"),
        _ => false,
    };
    for how in ["hang", "flood", "die", "crash", "illegal", "garbage"] {
        let mut player = make(&game, &words("gtp", &format!("{how} 2"), ",timeout_ms=2000")).unwrap();
        // The engine that failed is gone, and so is the count of its moves: the second game ends like the first.
        for _ in 0..if how == "flood" { 1 } else { 2 } {
            let begun = Instant::now();
            let fault = play(&game, &mut *player, 1).unwrap_err();
            assert!(is(how, &fault), "{how}: {fault:?}");
            assert!(begun.elapsed() < Duration::from_secs(9), "{how}");
        }
    }
    let chess: Chess = new();
    for (how, part) in [("illegal", "`e1e8`"), ("garbage", "`garbage`"), ("hang", "in time"), ("die", "ended")] {
        let player = make(&chess, &words("uci", &format!("{how} 1"), ",depth=1,timeout_ms=2000"));
        let fault = play(&chess, &mut *player.unwrap(), 0).unwrap_err();
        assert!(fault.to_string().contains(part), "{how}: {fault:?}");
    }
}

/// Answers that come twice, late, or among other lines are never taken for the next one.
#[test]
fn who_answers_twice_or_oddly_is_understood() {
    let chess: Chess = new();
    let line = ["f2f3", "e7e5", "g2g4", "d8h4"];
    for how in ["fine", "twice", "late", "after", "odd"] {
        for seat in [0, 1] {
            let mut player = make(&chess, &words("uci", how, ",nodes=5,options=Skill  Level : 3")).unwrap();
            for _ in 0..2 {
                let mut state = start(&chess);
                player.begin(&chess, &state);
                for (ply, known) in line.iter().enumerate() {
                    let action = match ply % 2 == seat {
                        true => player.choose(&chess, &state, &mut rng()),
                        false => Ok(chess.read(&state, known).unwrap()),
                    };
                    let action = action.unwrap_or_else(|e| panic!("{how}, ply {ply}: {e}"));
                    assert_eq!(chess.write(&state, action), *known, "{how}");
                    if ply % 2 == seat {
                        assert!((player.value().unwrap().abs() - 0.055).abs() < 0.001, "{how}: {:?}", player.value());
                    }
                    player.played(&chess, &state, action);
                    chess.play(&mut state, action);
                }
            }
        }
    }
    let game: TicTacToe = new();
    for how in ["twice", "odd"] {
        let mut player = make(&game, &words("gtp", how, "")).unwrap();
        for _ in 0..2 {
            assert_eq!(play(&game, &mut *player, 0), Ok(vec![0, 8, 1, 7, 2]), "{how}");
            assert_eq!(play(&game, &mut *player, 1), Ok(vec![8, 0, 7, 1, 6]), "{how}");
        }
    }
}

/// A game from another position is told as that and the moves since, so that repetitions are known.
#[test]
fn a_game_may_begin_elsewhere() {
    let chess: Chess = new();
    let folder = std::env::temp_dir().join(format!("agon-engine-{}", std::process::id()));
    let log = folder.join("one.log");
    let more = format!(",nodes=5,log={}", log.display());
    let mut player = make(&chess, &words("uci", "fine", &more)).unwrap();
    let fen = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQ - 3 9";
    let mut state = chess.position(fen).unwrap();
    player.begin(&chess, &state);
    for _ in 0..2 {
        let action = player.choose(&chess, &state, &mut rng()).unwrap();
        player.played(&chess, &state, action);
        chess.play(&mut state, action);
    }
    drop(player);
    let told = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    assert!(told.contains(&format!("> position fen {fen}\n")), "{told}");
    assert!(told.contains(&format!("> position fen {fen} moves f2f3\n")), "{told}");
    assert!(told.contains("< bestmove f2f3\n"), "{told}");
    // It was asked to go before it was made to, and went.
    assert!(told.contains("> quit\n") && told.contains("! good bye\n"), "{told}");
}

#[test]
fn a_move_has_a_margin_of_its_own() {
    let chess: Chess = new();
    let words = words("uci", "hang 1", ",milliseconds=50,timeout_ms=1000000");
    let fault = play(&chess, &mut *make(&chess, &words).unwrap(), 0).unwrap_err();
    assert_eq!(fault, Fault::Time);
}

#[test]
fn an_engine_may_give_up() {
    let game: TicTacToe = new();
    let mut player = make(&game, &words("gtp", "resign 2", "")).unwrap();
    let mut state = start(&game);
    player.begin(&game, &start(&game));
    let action = player.choose(&game, &state, &mut rng()).unwrap();
    assert!(!player.resigns());
    player.played(&game, &state, action);
    game.play(&mut state, action);
    let regardless = player.choose(&game, &state, &mut rng()).unwrap();
    assert!(player.resigns() && regardless != action);
    player.begin(&game, &start(&game));
    assert!(!player.resigns());
}

#[test]
fn an_engine_that_cannot_be_had_says_why() {
    let (game, chess): (TicTacToe, Chess) = (new(), new());
    let error = |words: &str| make(&game, words).err().unwrap();
    assert!(
        error("gtp:command=no-such-program-1 --x=y:z").contains("`no-such-program-1 --x=y:z`: it cannot be started")
    );
    assert!(error("gtp").contains("no program is named"));
    assert!(error("gtp:command='a").contains("not closed"));
    assert!(error("gtp:comand=a").contains("did you mean `command`"));
    assert!(error("gtp:command=true").contains("expected text"));
    assert!(error("gtp:command=\"true\"").contains("it ended with exit code 0"));
    assert!(error(&words("gtp", "deaf", ",timeout_ms=300")).contains("did not answer in time"));
    assert!(error(&words("uci", "fine", ",nodes=5")).contains("know chess alone"));
    assert!(make(&new::<Kuhn>(), "gtp:command=x").err().unwrap().contains("do not see everything"));
    let error = |more| make(&chess, &words("uci", "fine", more)).err().unwrap();
    assert!(error("").contains("there must be a limit"));
    assert!(error(",nodes=1,options=Skil Level:3").contains("did you mean `Skill Level`"));
}

#[test]
fn quotes_keep_commas_together() {
    let (name, set) = parse(r#"uci:command="a \"b, c\" --d=e:f",nodes=3, options="x:1,2;y""#).unwrap();
    assert_eq!((name.as_str(), set["command"].as_str()), ("uci", Some(r#"a "b, c" --d=e:f"#)));
    assert_eq!((set["nodes"].as_u64(), set["options"].as_str()), (Some(3), Some("x:1,2;y")));
    let (_, set) = parse(r#"gtp:command=a "b, c" d,timeout_ms=5"#).unwrap();
    assert_eq!((set["command"].as_str(), set["timeout_ms"].as_u64()), (Some(r#"a "b, c" d"#), Some(5)));
}

/// Whatever an engine started ends with it, and nothing waits for its output.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_of_an_engine() {
    let game: TicTacToe = new();
    let mark = format!("{}.5", 100_000 + std::process::id());
    let shell = format!("gtp:command=sh -c 'sleep {mark} & exec sleep {mark}',timeout_ms=300");
    let begun = Instant::now();
    assert!(make(&game, &shell).is_err());
    assert!(begun.elapsed() < Duration::from_secs(5));
    let running = || {
        let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = all.filter_map(|d| std::fs::read_to_string(d.path().join("cmdline")).ok());
        lines.filter(|l| l.starts_with("sleep") && l.contains(&mark)).count()
    };
    // Orphans are buried by somebody else, and not at once.
    let come_to = |count: usize| {
        (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            running() == count
        })
    };
    assert!(come_to(0), "{} left", running());
    // Who left its group and lost its parent ends as well, and so does who does not want to.
    for how in ["daemon", "stay"] {
        let how = format!("{how} {}", mark.trim_end_matches(".5"));
        let player = make(&game, &words("gtp", &how, "")).unwrap();
        assert!(come_to(usize::from(how.starts_with("daemon"))), "{how}: {} run", running());
        drop(player);
        assert!(come_to(0), "{how}: {} left", running());
    }
}
