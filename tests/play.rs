//! A person at the keyboard, through the binary.

use std::io::Write;
use std::process::{Command, Stdio};

/// Types lines; what is printed, what is told, the exit code.
fn play(args: &[&str], typed: &str) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
    command.arg("play").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended before it read all: that is for the test to see.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let out = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&out.stdout), text(&out.stderr), out.status.code().unwrap())
}

#[test]
fn a_game_is_played_to_its_end() {
    // Every square again and again: whatever the random player does, one of them is free.
    let typed = "a1\nb1\nc1\na2\nb2\nc2\na3\nb3\nc3\n".repeat(9);
    for seat in ["1", "2"] {
        let (said, told, code) = play(&["games/tic-tac-toe", "--against", "random", "--seat", seat], &typed);
        assert_eq!(code, 0, "{told}");
        assert!(said.contains("(you): ") && said.contains("plays"), "{said}");
    }
}

#[test]
fn a_wrong_word_is_no_move_and_undo_takes_one_back() {
    let typed = "undo\nnonsense\n4\nundo\nmoves\nhint\n";
    let (said, _, code) = play(&["games/connect-four", "--against", "mcts:simulations=50"], typed);
    assert_eq!(code, 0);
    for part in ["nothing to undo", "`nonsense` is not a legal move", "1 2 3 4 5 6 7\n", "it would play", "visits"] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
}

#[test]
fn an_engine_at_the_other_side_of_the_board() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/agents/search/tests/fake_engine.py");
    let typed = "c3\nundo\nhint\nc3\nc2\nb3\n";
    for (how, part, code) in [
        ("fine", "plays c1", 0),
        ("resign 2", "o resigns", 0),
        (
            "die 2",
            "fake_engine.py' gtp die 2: it ended with exit code 7; the last line of its standard error: `fatal: no luck`; the game ends here\n",
            1,
        ),
    ] {
        let rival = format!("gtp:command=python3 '{script}' gtp {how}");
        let (said, told, ended) = play(&["games/tic-tac-toe", "--against", &rival], typed);
        assert!(ended == code && (said + &told).contains(part), "{how}: {told}");
    }
}

#[test]
fn hidden_cards_stay_hidden() {
    for seed in 0..20 {
        let (said, _, _) = play(&["games/kuhn-poker", "--against", "random", "--seed", &seed.to_string()], "");
        let cards = said.lines().skip(2).flat_map(|l| l.chars()).filter(|c| "JQK".contains(*c)).count();
        assert_eq!(cards, 1, "{said}");
    }
}

#[test]
fn wrong_input_is_named() {
    for (args, part) in [
        (&["games/ches", "--against", "random"][..], "did you mean `games/chess`"),
        (&["games/chess", "--against", "rando"], "did you mean `random`"),
        (&["games/chess", "--against", "random", "--seat", "3"], "seats 1 to 2"),
        (&["games/chess", "--against", "random", "--seat", "0"], "counted from 1"),
        (&["games/hex", "--against", "random", "--set", "size=1000"], "size"),
        (&["games/kuhn-poker", "--against", "mcts"], "players do not see everything"),
    ] {
        let (_, told, code) = play(args, "");
        assert_eq!(code, 2, "{args:?}: {told}");
        assert!(told.contains(part) && !told.contains("panicked"), "{args:?}: {told}");
    }
}
