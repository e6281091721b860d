//! Tournaments, through the binary.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn agon(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
    command.args(args).stdin(Stdio::null()).output().expect("the binary starts")
}

fn ok(args: &[&str]) -> String {
    let out = agon(args);
    assert!(out.status.success(), "agon {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn fails(args: &[&str], code: i32) -> String {
    let out = agon(args);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(code), "agon {args:?}: {told}");
    assert!(!told.contains("panicked"), "agon {args:?}: {told}");
    told
}

/// A scenario of three players, and where tournaments go.
fn scenario(game: &str, settings: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    let entrants = "random = 'random'\ngreedy = 'greedy'\nsearch = 'mcts:simulations=30'\n";
    let text = format!("env = {{ {game} }}\n[tournament]\n{settings}\n[entrants]\n{entrants}");
    std::fs::write(&path, text).unwrap();
    let path = path.to_string_lossy().into_owned();
    (folder, path)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Plays it into a new folder; the folder and the results.
fn play(folder: &Path, scenario: &str, name: &str, more: &[&str]) -> (PathBuf, Value) {
    let out = folder.join(name);
    let told = ok(&[&["tournament", scenario, "--json", "--out", &text(&out)], more].concat());
    (out, serde_json::from_str(&told).unwrap())
}

#[test]
fn any_number_of_workers_plays_the_same_games() {
    for game in ["id = 'games/connect-four'", "id = 'games/backgammon'", "id = 'games/go', size = 5"] {
        let (folder, scenario) = scenario(game, "pairs = 6");
        let games = ["1", "2", "5"].map(|n| {
            let set = format!("tournament.concurrency={n}");
            let (out, results) = play(folder.path(), &scenario, n, &["--set", &set]);
            assert_eq!((&results["games"], &results["finished"]), (&36.into(), &true.into()));
            ok(&["replay", &text(&out), "--verify"]);
            (std::fs::read(out.join("games.jsonl")).unwrap(), results["standings"].clone())
        });
        assert!(games[0] == games[1] && games[1] == games[2], "{game}");
    }
}

#[test]
fn cut_anywhere_it_goes_on_to_the_same_end() {
    for format in ["round-robin", "gauntlet", "swiss"] {
        let (folder, scenario) = scenario("id = 'games/connect-four'", "pairs = 5\nrounds = 4");
        let set = format!("tournament.format={format}");
        let (whole, results) = play(folder.path(), &scenario, "whole", &["--set", &set]);
        let games = std::fs::read(whole.join("games.jsonl")).unwrap();
        let (again, _) = play(folder.path(), &scenario, "again", &["--set", &set]);
        for (i, cut) in [0, 1, games.len() / 3, games.len() / 2 + 7, games.len() - 1, games.len()].iter().enumerate() {
            std::fs::write(again.join("games.jsonl"), &games[..*cut]).unwrap();
            let workers = format!("tournament.concurrency={}", i % 4);
            let told = ok(&["tournament", "--resume", &text(&again), "--set", &workers, "--json"]);
            assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), results, "{format} cut at {cut}");
            assert!(std::fs::read(again.join("games.jsonl")).unwrap() == games, "{format} cut at {cut}");
        }
        let told = fails(&["tournament", "--resume", &text(&again), "--set", "tournament.pairs=9"], 2);
        assert!(told.contains("only tournament.concurrency"), "{told}");
    }
}

/// Killed in the middle: with dice, in Swiss rounds, with openings of a drawn order, and where a test ends it.
#[test]
fn killed_it_goes_on_to_the_same_games() {
    let sprt = "format = 'sprt'\npairs = 100000\nelo1 = 30\nchallenger = 'greedy'";
    for (game, settings, entrants) in [
        ("id = 'games/backgammon'", "pairs = 60", "a = 'random'\nb = 'greedy'\n"),
        (
            "id = 'games/tic-tac-toe'",
            "format = 'swiss'\npairs = 500\nrounds = 3",
            "a = 'random'\nb = 'greedy'\nc = 'mcts:simulations=20'\n",
        ),
        ("id = 'games/connect-four'", sprt, "random = 'random'\ngreedy = 'greedy'\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let body = format!("env = {{ {game} }}\n[tournament]\n{settings}\n[entrants]\n{entrants}");
        std::fs::write(&path, body).unwrap();
        let (whole, results) = play(folder.path(), &text(&path), "whole", &[]);
        let cut = folder.path().join("cut");
        let mut child = Command::new(env!("CARGO_BIN_EXE_agon"))
            .args(["tournament", &text(&path), "--out", &text(&cut)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let games = cut.join("games.jsonl");
        let begun = || std::fs::metadata(&games).is_ok_and(|file| file.len() > 2000);
        while !begun() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let told = ok(&["tournament", "--resume", &text(&cut), "--set", "tournament.concurrency=1", "--json"]);
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), results, "{game}");
        assert!(std::fs::read(&games).unwrap() == std::fs::read(whole.join("games.jsonl")).unwrap(), "{game}");
    }
}

#[test]
fn the_better_player_is_rated_so_and_a_test_ends_early() {
    let (folder, scenario) = scenario("id = 'games/connect-four'", "pairs = 20");
    let (_, results) = play(folder.path(), &scenario, "all", &["--set", "tournament.anchor=greedy"]);
    let names: Vec<&str> =
        results["standings"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names[2], "random", "{results}");
    let two = folder.path().join("two.toml");
    let body = "env = { id = 'games/connect-four' }\n[tournament]\nformat = 'sprt'\npairs = 100000\nelo1 = 50\n\
                challenger = 'b'\n[entrants]\na = 'random'\nb = 'greedy'\n";
    std::fs::write(&two, body).unwrap();
    let (out, results) = play(folder.path(), &text(&two), "two", &[]);
    let head = &results["head_to_head"];
    assert_eq!((&head["verdict"], &results["finished"]), (&"H1".into(), &true.into()), "{results}");
    assert!(head["games"].as_u64().unwrap() < 2000 && head["elo"].as_f64().unwrap() > 100.0, "{results}");
    // The pair that decides is the last one in the file.
    let lines = std::fs::read_to_string(out.join("games.jsonl")).unwrap().lines().count();
    assert_eq!(lines as u64, head["games"].as_u64().unwrap());
}

/// Every meeting has all openings of the book, whatever the numbers of meetings and openings.
#[test]
fn all_meetings_have_the_same_openings() {
    for format in ["round-robin", "swiss"] {
        // A book given, no random plies follow unless they are asked for.
        let (folder, scenario) = scenario("id = 'games/connect-four'", "pairs = 6");
        std::fs::write(folder.path().join("book.txt"), "# three\n1\n\n4 4\n 7 \n").unwrap();
        let set = |set: String| ["--set".to_owned(), set];
        let sets: Vec<String> = [
            set(format!("tournament.format={format}")),
            set("tournament.book=\"book.txt\"".into()),
            set("tournament.rounds=3".into()),
            set("tournament.order=random".into()),
        ]
        .concat();
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let (out, results) = play(folder.path(), &scenario, "t", &sets);
        let mut openings = std::collections::BTreeMap::new();
        for record in records(&out) {
            let mut seats: Vec<u64> = record["seats"].as_array().unwrap().iter().map(|s| s.as_u64().unwrap()).collect();
            seats.sort_unstable();
            let (plies, moves) = (record["opening"].as_u64().unwrap(), record["moves"].as_array().unwrap());
            *openings.entry((seats, format!("{:?}", &moves[..plies as usize]))).or_insert(0) += 1;
        }
        assert!(openings.len() == 9 && openings.values().all(|n| *n == 4), "{format}: {openings:?}");
        // Everyone met everyone here; who takes one on only has not.
        assert!(results["standings"][0]["nash"].is_number() && results["cyclic"].is_number());
        ok(&["replay", &text(&out), "--verify"]);
    }
    let (folder, scenario) = scenario("id = 'games/connect-four'", "pairs = 2\nformat = 'gauntlet'");
    let (out, results) = play(folder.path(), &scenario, "t", &[]);
    assert!(results["standings"][0]["nash"].is_null() && results["cyclic"].is_null(), "{results}");
    assert!(ok(&["watch", &text(&out)]).contains("everyone has met everyone"));
}

#[test]
fn games_that_are_the_same_again_are_counted() {
    let (folder, scenario) = scenario("id = 'games/tic-tac-toe'", "pairs = 30\nopening_plies = 0");
    let (out, results) = play(folder.path(), &scenario, "t", &["--set", "entrants.random=minimax:random_ties=false"]);
    let mut games: Vec<String> = records(&out).iter().map(|r| format!("{} {}", r["seats"], r["moves"])).collect();
    games.sort();
    games.dedup();
    assert_eq!(results["different_games"], games.len());
    assert!(games.len() < 180 && ok(&["watch", &text(&out)]).contains(&format!("{} of 180 games differ", games.len())));
}

#[test]
fn poker_is_played_with_the_same_cards_in_both_seats() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    let body = "env = { id = 'games/leduc-poker' }\n[tournament]\npairs = 200\nopening_plies = 0\n\
                [entrants]\na = 'random'\nb = 'random'\n";
    std::fs::write(&path, body).unwrap();
    let (out, results) = play(folder.path(), &text(&path), "poker", &[]);
    assert_eq!(results["games"], 400);
    let told = std::fs::read_to_string(out.join("games.jsonl")).unwrap();
    let records: Vec<Value> = told.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(records.chunks(2).all(|pair| pair[0]["seed"] == pair[1]["seed"]));
    ok(&["replay", &text(&out), "--verify"]);
    assert!(ok(&["watch", &text(&out)]).contains("not by how much"));
    // Who forges a result is found out.
    let forged = told.replacen("\"returns\":[1.0,-1.0]", "\"returns\":[-1.0,1.0]", 1);
    std::fs::write(out.join("games.jsonl"), forged).unwrap();
    fails(&["replay", &text(&out), "--verify"], 3);
}

#[test]
fn wrong_input_is_named_and_nothing_is_left_behind() {
    let (folder, good) = scenario("id = 'games/connect-four'", "pairs = 2");
    let wrong = [
        ("entrants.search=\"mtcs\"", "did you mean `mcts`"),
        ("entrants.search=\"mcts:simulatons=3\"", "did you mean `simulations`"),
        ("entrants.search=3", "expected a player in words"),
        ("tournament.pairs=0", "pairs"),
        ("tournament.anchor=\"nobody\"", "no entrant is called `nobody`"),
        ("tournament.format=\"sprt\"", "between two"),
        ("tournament.format=\"swis\"", "did you mean `swiss`"),
        ("tournament.openings=[\"4 4 9\"]", "`9` is not legal"),
        ("tournament.book=\"none.txt\"", "none.txt"),
        ("tournament.opening_plies=200", "the game is over"),
        ("env.id=\"games/conect-four\"", "did you mean `games/connect-four`"),
        ("env.id=\"games/2048\"", "two-player games"),
        ("env.id=\"games/kuhn-poker\"", "cannot play this game"),
        ("tournament.elo=3", "unknown"),
    ];
    for (set, part) in wrong {
        let out = text(&folder.path().join("out"));
        let told = fails(&["tournament", &good, "--set", set, "--out", &out], 2);
        assert!(told.contains(part), "{set}: {told}");
        assert!(!Path::new(&out).exists(), "{set}");
    }
    assert!(fails(&["train", &good], 2).contains("`agon tournament` plays it"));
    let alone = folder.path().join("alone.toml");
    std::fs::write(&alone, "env = { id = 'games/hex' }\n[entrants]\na = 'random'\n").unwrap();
    assert!(fails(&["tournament", &text(&alone)], 2).contains("two entrants"));
    std::fs::write(&alone, "env = { id = 'games/hex' }\n[entrants]\na = 'random'\na = 'greedy'\n").unwrap();
    assert!(fails(&["tournament", &text(&alone)], 2).contains("duplicate key"));

    std::fs::write(&alone, "env = { id = 'games/hex' }\n[entrants]\n' ' = 'random'\nb = 'greedy'\n").unwrap();
    assert!(fails(&["tournament", &text(&alone)], 2).contains("a name has letters"));
    std::fs::write(&alone, "name = '../x'\nenv = { id = 'games/hex' }\n[entrants]\na = 'random'\nb = 'greedy'\n")
        .unwrap();
    assert!(fails(&["tournament", &text(&alone)], 2).contains("is no place for runs"));

    let (out, _) = play(folder.path(), &good, "t", &[]);
    let games = std::fs::read_to_string(out.join("games.jsonl")).unwrap();
    std::fs::write(out.join("games.jsonl"), games.replacen("\"seats\":[0,1]", "\"seats\":[0,2]", 1)).unwrap();
    assert!(fails(&["tournament", "--resume", &text(&out)], 2).contains("games.jsonl:1"));
    std::fs::write(out.join("games.jsonl"), games.replacen("\"pair\"", "\"pear\"", 1)).unwrap();
    assert!(fails(&["tournament", "--resume", &text(&out)], 2).contains("games.jsonl:1"));
    // Half a line is no game; a game that is missing, or ended as it cannot have, is found out.
    std::fs::write(out.join("games.jsonl"), &games[..games.len() - 5]).unwrap();
    assert!(fails(&["replay", &text(&out), "--verify"], 3).contains("11 of 12 games"));
    let second = games.find('\n').unwrap() + 1;
    std::fs::write(out.join("games.jsonl"), &games[second..]).unwrap();
    fails(&["replay", &text(&out), "--verify"], 2);
    for end in ["time", "length", "illegal", "resigned", "adjudicated"] {
        let forged = games.replacen("\"end\":\"rules\"", &format!("\"end\":\"{end}\""), 1);
        std::fs::write(out.join("games.jsonl"), forged).unwrap();
        fails(&["replay", &text(&out), "--verify"], 3);
    }
    let seed = games.split("\"seed\":").nth(1).unwrap().split(',').next().unwrap();
    std::fs::write(out.join("games.jsonl"), games.replacen(seed, "7", 1)).unwrap();
    assert!(fails(&["replay", &text(&out), "--verify"], 3).contains("seed"));
    std::fs::write(out.join("games.jsonl"), &games).unwrap();
    assert!(fails(&["replay", &text(&out), "--game", "13"], 2).contains("12 games"));
    let pgn = text(&folder.path().join("x.pgn"));
    fails(&["replay", &text(&out), "--game", "13", "--export", &pgn], 2);
    assert!(!Path::new(&pgn).exists());
    assert!(fails(&["tournament", &text(&out)], 2).contains("--resume"));
    assert!(fails(&["tournament", &good, "--out", &text(&out)], 2).contains("--resume"));
}

/// The published figures of uniform play, a solver near 0, and who cannot be asked.
#[test]
fn how_exploitable_a_player_is_can_be_asked() {
    let ask = |game: &str, player: &str| -> Value {
        serde_json::from_str(&ok(&["exploit", game, player, "--json"])).unwrap()
    };
    for (game, known) in [("games/kuhn-poker", 0.458_333_3), ("games/leduc-poker", 2.373_611_1)] {
        let found = ask(game, "random")["exploitability"].as_f64().unwrap();
        assert!((found - known).abs() < 1e-6, "{game}: {found}");
    }
    let solved = ask("games/kuhn-poker", "cfr:iterations=1000");
    assert!(solved["exploitability"].as_f64().unwrap() < 1e-3, "{solved}");
    assert!((solved["value"].as_f64().unwrap() + 1.0 / 18.0).abs() < 1e-3, "{solved}");
    assert!(fails(&["exploit", "games/kuhn-poker", "greedy"], 2).contains("fixed probabilities"));
    assert!(fails(&["exploit", "games/chess", "random"], 2).contains("too large"));
    assert!(fails(&["exploit", "games/kuhn-poker", "randm"], 2).contains("did you mean `random`"));
}

#[test]
fn games_leave_in_the_formats_of_other_programs() {
    for (game, file) in [("id = 'games/chess'", "all.pgn"), ("id = 'games/go', size = 5", "all.sgf")] {
        let (folder, scenario) = scenario(game, "pairs = 1\nmax_plies = 40");
        let (out, _) = play(folder.path(), &scenario, "t", &["--set", "entrants.search=random"]);
        let file = folder.path().join(file);
        assert!(ok(&["replay", &text(&out), "--export", &text(&file)]).contains("wrote 6 games"));
        let told = std::fs::read_to_string(&file).unwrap();
        let one = folder.path().join("one").with_extension(file.extension().unwrap());
        ok(&["replay", &text(&out), "--game", "2", "--export", &text(&one)]);
        assert!(told.contains(&std::fs::read_to_string(&one).unwrap()));
        if file.extension().is_some_and(|e| e == "pgn") {
            assert_eq!(told.matches("[Result \"").count(), 6);
            assert!(
                told.contains("[White \"greedy\"]") && told.contains("\n1. ") && told.lines().all(|l| l.len() < 80)
            );
        } else {
            assert_eq!(told.matches("(;FF[4]GM[1]").count(), 6);
            assert!(told.contains("SZ[5]") && told.contains(";B[") && told.contains(";W["));
        }
        // The standings can be looked at without a screen.
        assert!(ok(&["watch", &text(&out)]).contains("6 games"));
    }
    let (folder, scenario) = scenario("id = 'games/hex'", "pairs = 1");
    let (out, _) = play(folder.path(), &scenario, "t", &[]);
    let file = text(&folder.path().join("x.sgf"));
    assert!(fails(&["replay", &text(&out), "--export", &file], 2).contains("SGF is for games of Go"));
}

/// The player in words whose engine is the script of the players' own tests.
fn engine(language: &str, how: &str, more: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/agents/search/tests/fake_engine.py");
    format!("{language}:command=python3 '{script}' {language} {how},timeout_ms=2000{more}")
}

fn records(folder: &Path) -> Vec<Value> {
    let told = std::fs::read_to_string(folder.join("games.jsonl")).unwrap();
    told.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn whatever_an_engine_does_the_tournament_is_played_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    for (how, end, fault) in [
        ("fine", "rules", None),
        ("hang 2", "time", Some("it did not answer in time")),
        ("die 2", "crash", Some("it ended with exit code 7")),
        ("illegal 2", "illegal", Some("`Z9` is not a legal move")),
        ("garbage 1", "crash", Some("no reply at all")),
        ("resign 2", "resigned", None),
    ] {
        let engine = engine("gtp", how, "");
        let body = format!(
            "env = {{ id = 'games/tic-tac-toe' }}\n[tournament]\npairs = 1\nopening_plies = 0\nconcurrency = 2\n\
             [entrants]\nengine = \"{engine}\"\nother = 'minimax:depth=9'\n"
        );
        std::fs::write(&path, body).unwrap();
        let (out, results) = play(folder.path(), &text(&path), how, &[]);
        assert_eq!((&results["games"], &results["finished"]), (&2.into(), &true.into()), "{how}");
        ok(&["replay", &text(&out), "--verify"]);
        ok(&["replay", &text(&out), "--export", &text(&folder.path().join("x.pgn"))]);
        for (record, seat) in records(&out).iter().zip([0, 1]) {
            assert_eq!(record["end"], end, "{how}: {record}");
            assert!(end == "rules" || record["returns"][seat] == -1.0, "{how}: {record}");
            let told = record["fault"].as_str();
            assert!(told.is_some() == fault.is_some() && told.unwrap_or("").contains(fault.unwrap_or("")), "{record}");
        }
        let standings = results["standings"].as_array().unwrap();
        let forfeits = &standings.iter().find(|s| s["name"] == "engine").unwrap()["forfeits"];
        assert!(fault.is_none() || forfeits[end] == 2, "{how}: {results}");
        assert_eq!(results["resigned"], if end == "resigned" { 2 } else { 0 });
    }
}

#[test]
fn a_game_that_both_hold_for_decided_ends_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    let set = "pairs = 1\nopening_plies = 0\nresign_moves = 1\ndraw_moves = 1\ndraw_after = 2";
    // What the engines think of the first seat's game, in hundredths of a pawn, and how many plies it lasts; pawns move
    // in all but the last, and begin the count of draws anew.
    for (worth, end, returns, plies) in
        [(2000, "adjudicated", [1.0, -1.0], 2), (0, "rules", [-1.0, 1.0], 4), (300, "rules", [-1.0, 1.0], 4)]
    {
        let engine = engine("uci", &format!("fine 1 {worth}"), ",nodes=1");
        let body = format!(
            "env = {{ id = 'games/chess' }}\n[tournament]\n{set}\n[entrants]\na = \"{engine}\"\nb = \"{engine}\""
        );
        std::fs::write(&path, body).unwrap();
        let (out, results) = play(folder.path(), &text(&path), &worth.to_string(), &[]);
        assert_eq!(results["adjudicated"], if end == "adjudicated" { 2 } else { 0 });
        for record in records(&out) {
            assert_eq!((&record["end"], &record["returns"]), (&end.into(), &returns.to_vec().into()), "{worth}");
            assert_eq!(record["moves"].as_array().unwrap().len(), plies, "{worth}");
        }
        ok(&["replay", &text(&out), "--verify"]);
        let pgn = text(&folder.path().join("x.pgn"));
        ok(&["replay", &text(&out), "--export", &pgn]);
        let word = if end == "adjudicated" { "adjudication" } else { "normal" };
        assert_eq!(std::fs::read_to_string(&pgn).unwrap().matches(&format!("[Termination \"{word}\"]")).count(), 2);
        // Nobody can be given half a point more than there is.
        let told = std::fs::read_to_string(out.join("games.jsonl")).unwrap();
        let given = serde_json::to_string(&returns).unwrap();
        std::fs::write(out.join("games.jsonl"), told.replace(&given, "[1.0,0.5]")).unwrap();
        assert!(fails(&["replay", &text(&out), "--verify"], 3).contains("returns"));
    }
}

/// Engines run only for the games that are under way.
#[test]
fn no_more_engines_run_than_games_need() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    let engine = engine("gtp", "fine", "");
    let body = format!(
        "env = {{ id = 'games/tic-tac-toe' }}\n[tournament]\npairs = 2\nconcurrency = 2\nengine_logs = true\n\
         [entrants]\n'a/1' = \"{engine}\"\nb = \"{engine}\"\nc = \"{engine}\"\nd = \"{engine}\"\n"
    );
    std::fs::write(&path, body).unwrap();
    let (count, out) = (folder.path().join("count"), folder.path().join("t"));
    std::fs::create_dir(&count).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
    command.args(["tournament", &text(&path), "--out", &text(&out)]).env("AGON_TEST_COUNT", &count);
    assert!(command.stdin(Stdio::null()).output().unwrap().status.success());
    let counts = std::fs::read_to_string(folder.path().join("count.counts")).unwrap();
    assert!(counts.lines().all(|n| n.parse::<u32>().unwrap() <= 4), "{counts}");
    assert_eq!(std::fs::read_dir(&count).unwrap().count(), 0, "who was not asked to quit");
    for (number, name) in ["a_1", "b", "c", "d"].iter().enumerate() {
        let log = std::fs::read_to_string(out.join(format!("engines/{}-{name}.log", number + 1))).unwrap();
        assert!(log.contains(" > genmove b\n") && log.contains(" < =") && log.contains(" ! good bye\n"), "{log}");
    }
}

/// Killed, hung up on, or asked twice to stop, Agon leaves no engine behind, nor what one has started.
#[cfg(target_os = "linux")]
#[test]
fn engines_end_with_agon_however_it_ends() {
    for (round, signal) in ["KILL", "HUP", "TERM", "INT INT"].iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (path, out) = (folder.path().join("s.toml"), folder.path().join("t"));
        let mark = 10 * u64::from(200_000 + std::process::id()) + round as u64;
        // It is not waited for: that would take longer than any test.
        let words = engine("gtp", &format!("daemon {mark}"), "").replace("timeout_ms=2000", "timeout_ms=600000");
        let body = format!(
            "env = {{ id = 'games/tic-tac-toe' }}\n[tournament]\nconcurrency = 1\nengine_logs = true\n[entrants]\n\
             a = \"{words}\"\nb = 'random'\n"
        );
        std::fs::write(&path, body).unwrap();
        let running = || {
            let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
            let lines = all.filter_map(|d| std::fs::read_to_string(d.path().join("cmdline")).ok());
            lines.filter(|l| l.contains(&mark.to_string()) && !l.contains("tournament")).count()
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
        command.args(["tournament", &text(&path), "--out", &text(&out)]).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // It thinks when it was asked for a move.
        let log = out.join("engines/1-a.log");
        let waited = |holds: &dyn Fn() -> bool| {
            (0..500).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                holds()
            })
        };
        assert!(waited(&|| std::fs::read_to_string(&log).is_ok_and(|l| l.contains("> genmove"))), "{signal}");
        assert_eq!(running(), 2, "{signal}: the engine and what it started");
        for signal in signal.split(' ') {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let code = child.wait().unwrap().code();
        assert_eq!(code, if *signal == "KILL" { None } else { Some(130) }, "{signal}");
        assert!(waited(&|| running() == 0), "{signal}: {} left", running());
    }
}

#[test]
fn books_of_chess_are_read_in_every_format() {
    let (folder, scenario) = scenario("id = 'games/chess'", "pairs = 3\nmax_plies = 12");
    let book = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        format!("tournament.book={name}")
    };
    let two = ["--set", "entrants.greedy=random", "--set", "entrants.search=random"];
    let black = "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1";
    let epd = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - bm O-O; id \"x\"; fmvn 30;";
    let fen = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 30";
    let pgn = format!(
        "[Event \"x\"]\r\n\r\n1. e4 {{best}} e5 (1... c5) 2. Nf3 $1 Nc6 1-0\r\n\r\n[SetUp \"1\"]\r\n[FEN \"{black}\"]\r\n\r\n\
         1... c5 2. Nf3 *\r\n"
    );
    for (name, bytes, openings) in [
        ("a.txt", "\u{feff}e2e4 e7e5\r\n1. d4 d5\r\n# no more\r\n".into(), vec![(None, 2), (None, 2)]),
        ("b.epd", format!("\u{feff}{epd}\r\n{black}\r\n"), vec![(Some(fen), 0), (Some(black), 0)]),
        ("c.pgn", pgn.clone(), vec![(None, 4), (Some(black), 2)]),
        ("d.txt", pgn.clone(), vec![(None, 4), (Some(black), 2)]),
    ] {
        // Names in PGN may be ISO 8859-1.
        let latin = |c: char| if name == "c.pgn" && c == 'x' { 0xe9 } else { 0 };
        let bytes = bytes.chars().flat_map(|c| match latin(c) {
            0 => c.to_string().into_bytes(),
            byte => vec![byte],
        });
        let set = book(name, &bytes.collect::<Vec<_>>());
        let (out, _) = play(folder.path(), &scenario, &format!("{name}-1"), &[&["--set", &set], &two[..]].concat());
        for record in records(&out) {
            let (from, plies) = openings[record["pair"].as_u64().unwrap() as usize / 3 % openings.len()];
            assert_eq!((record["from"].as_str(), record["opening"].as_u64()), (from, Some(plies)), "{name}: {record}");
        }
        ok(&["replay", &text(&out), "--verify"]);
        ok(&["tournament", "--resume", &text(&out)]);
        let pgn = folder.path().join("out.pgn");
        ok(&["replay", &text(&out), "--export", &text(&pgn)]);
        let told = std::fs::read_to_string(&pgn).unwrap();
        assert_eq!(told.contains(&format!("[SetUp \"1\"]\n[FEN \"{black}\"]\n\n1... ")), name != "a.txt", "{told}");
        // What is exported is a book again, the same games.
        let again = book("again.pgn", told.as_bytes());
        ok(&[
            &["tournament", &scenario, "--out", &text(&folder.path().join(format!("{name}-again")))],
            &two[..],
            &["--set", &again, "--set", "tournament.book_plies=6"],
        ]
        .concat());
    }
    let utf16: Vec<u8> = "\u{feff}e2e4\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes, part) in [
        ("e.txt", &b"# nothing\n\n"[..], "e.txt: there is no opening"),
        ("f.pgn", b"", "f.pgn: there is no opening"),
        ("g.pgn", b"[Event \"x\"]\n\n1. e4 e5\n2. Qh6 *\n", "g.pgn:4: `Qh6` is not legal"),
        ("h.txt", b"e4\nf3 e5 g4 Qh4#\n", "h.txt:2: the game is over"),
        ("i.epd", b"8/8/8/8/8/8/8/K1k5 w - - 0 1\n", "i.epd:1: the game is over"),
        ("j.epd", b"\n4k3/9/8/8/8/8/8/4K2R w K - 0 1\n", "j.epd:2: "),
        ("k.txt", b"e4\n\xe9\n", "k.txt:2: this is not UTF-8"),
    ] {
        let out = text(&folder.path().join("out"));
        let told = fails(&["tournament", &scenario, "--set", &book(name, bytes), "--out", &out], 2);
        assert!(told.contains(part), "{name}: {told}");
        assert!(!Path::new(&out).exists(), "{name}");
    }
    play(folder.path(), &scenario, "utf16", &[&["--set", &book("l.txt", &utf16)], &two[..]].concat());
    let set = book("m.epd", black.as_bytes());
    let told = fails(&["tournament", &scenario, "--set", &set, "--set", "entrants.greedy='gtp:command=cat'"], 2);
    assert!(told.contains("entrants.greedy"), "{told}");
}

#[test]
fn an_engine_that_cannot_be_had_is_told_before_anything_is_written() {
    let (folder, scenario) = scenario("id = 'games/chess'", "pairs = 1");
    for (words, part) in [
        ("gtp:command=no-such-program", "it cannot be started"),
        ("uci:command=no-such-program,nodes=1", "it cannot be started"),
        ("uci:command=no-such-program", "there must be a limit"),
        ("uci:command=true --x,nodes=1", "exit code 0"),
    ] {
        let out = text(&folder.path().join("out"));
        let set = format!("entrants.search='{words}'");
        let told = fails(&["tournament", &scenario, "--set", &set, "--out", &out], 2);
        assert!(told.contains(part) && told.contains("entrants.search"), "{words}: {told}");
        assert!(!Path::new(&out).exists(), "{words}");
    }
}

#[test]
fn sprt_prints_the_block_that_testers_know() {
    let known = ["sprt", "--ptnml", "177,1629,3083,1780,221", "--elo0", "0", "--elo1", "3", "--beta", "0.10"];
    let told = ok(&known);
    for part in ["Elo: 6.03 +/- 3.49, nElo: 10.01 +/- 5.80", "LOS: 99.96 %", "(-2.25, 2.89)", "H1 accepted"] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    let logistic: Value =
        serde_json::from_str(&ok(&[&known[..], &["--model", "logistic", "--json"]].concat())).unwrap();
    assert!((logistic["llr"].as_f64().unwrap() - 4.274).abs() < 5e-4);
    for ptnml in ["0,0,0,0,0", "0,0,9,0,0", "0,0,0,0,1"] {
        let told = ok(&["sprt", "--ptnml", ptnml]);
        assert!(!told.to_lowercase().contains("nan") && !told.contains("inf"), "{told}");
    }
    fails(&["sprt", "--ptnml", "1,2,3"], 2);
    fails(&["sprt", "--ptnml", "1,2,3,4,-5"], 2);
    fails(&["sprt", "--ptnml", "1,2,3,4,5", "--elo0", "5", "--elo1", "0"], 2);
    fails(&["sprt", "--ptnml", "1,2,3,4,5", "--alpha", "0"], 2);
    fails(&["sprt", "--ptnml", "1,2,3,4,5", "--model", "bayes"], 2);
}
