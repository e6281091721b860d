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

/// What is printed before the end is the same whatever the rival holds, as long as it moves alike.
#[test]
fn nothing_that_the_rival_thinks_tells_its_cards() {
    let games: [(&[&str], &str, &str); 4] = [
        (&["games/kuhn-poker"], "cfr:iterations=200", "hint\ncheck\n"),
        (&["games/kuhn-poker", "--seat", "2"], "cfr:iterations=200", "hint\n"),
        (&["games/leduc-poker"], "cfr:iterations=5", "hint\ncheck\nhint\n"),
        (&["games/liars-dice", "--set", "sides=3"], "cfr:iterations=20", "hint\n1-1\nhint\n"),
    ];
    for (args, rival, typed) in games {
        // By what the person could know anyway: all that was printed, and the cards that this was printed for.
        let mut told = std::collections::BTreeMap::new();
        for seed in 0..60 {
            let seed = seed.to_string();
            let args = [args, &["--against", rival, "--seed", &seed]].concat();
            let (said, _, code) = play(&args, typed);
            assert_eq!(code, 0, "{args:?}");
            if said.contains("(you)") {
                // The end: now everything is said, if the rival thought at all.
                assert!(!said.contains(" plays ") || said.contains("when "), "{said}");
                continue;
            }
            // Before it: the words of a hint are drawn, its probabilities are the person's own.
            let lines: Vec<&str> = said.lines().map(|l| l.split("it would").next().unwrap_or(l)).collect();
            let known = lines.iter().filter(|l| !l.contains("visits") && !l.trim_start().starts_with('0'));
            let known = known.copied().collect::<Vec<_>>().join("\n");
            let whole = lines.join("\n");
            assert!(!whole.contains("when "), "{whole}");
            let (first, cards) =
                told.entry(known).or_insert_with(|| (whole.clone(), std::collections::BTreeSet::new()));
            assert_eq!(*first, whole, "{args:?}");
            // The same game played on to its end shows both cards.
            let on = play(&args, &format!("{typed}{}", "call\nliar\ncheck\n".repeat(4))).0;
            let ends = on.lines().rev().filter_map(|l| l.rsplit("> ").next());
            let shown = ends.into_iter().find(|l| l.starts_with("first ") && l.contains("  second "));
            cards.insert(shown.expect("a board").split("  ").take(2).collect::<Vec<_>>().join(" "));
        }
        assert!(told.values().any(|(_, cards)| cards.len() > 1), "{args:?}: {told:?}");
    }
    // What is shown of a strategy are its probabilities: they are no values.
    let (said, _, _) = play(&["games/kuhn-poker", "--against", "cfr:iterations=200", "--seat", "2"], "hint\n");
    assert!(said.contains("probability") && said.contains(" %  ") && !said.contains("visits"), "{said}");
    // Who looks at all cards gives no hint.
    let (said, _, _) = play(&["games/kuhn-poker", "--against", "greedy"], "hint\n");
    assert!(said.contains("no hint: greedy") && !said.contains("it would"), "{said}");
}

#[test]
fn a_draw_is_a_zero_without_a_sign() {
    // The first empty square again and again, until nobody can move: whatever comes, no zero has a minus.
    let squares: String = ('a'..='d').flat_map(|c| (1..=4).map(move |r| format!("{c}{r}\n"))).collect();
    let typed = (squares + "pass\n").repeat(16);
    let mut draws = 0;
    for seed in 0..12 {
        let seed = seed.to_string();
        let args = ["games/othello", "--set", "size=4", "--against", "random", "--seed", &seed];
        let (said, _, _) = play(&args, &typed);
        assert!(said.contains("(you): ") && !said.contains("-0"), "{said}");
        draws += usize::from(said.contains("(you): +0"));
    }
    println!("{draws} draws");
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
