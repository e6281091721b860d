//! A search over settings through the program: trials as runs in one folder, a leaderboard, the same after a kill.

mod common;

use common::{agon, told};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Sixty weeks of a number that follows another, and a scenario whose ridge penalty is searched for.
fn place(search: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "x,y\n".to_owned();
    for row in 0..60u32 {
        let noise = f64::from(row.wrapping_mul(2_654_435_761) >> 20 & 0xff) / 255.0;
        text += &format!("{row}.5,{}\n", 3.0 * f64::from(row) + noise);
    }
    std::fs::write(folder.path().join("line.csv"), text).unwrap();
    let scenario = format!(
        "name = \"line\"\n[data]\nfile = \"line.csv\"\ntarget = \"y\"\n[model]\nkind = \"linear\"\n[search]\n{search}\n\
         [search.space]\n\"model.l2\" = {{ log = [1e-3, 1e5] }}\n"
    );
    std::fs::write(folder.path().join("line.toml"), scenario).unwrap();
    folder
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The best of a search is a trial with a small penalty, the worst the one with the largest; every trial is a run of its own; the leaderboard is the same
/// whatever order trials ended in, and after what was lost is done again.
#[test]
fn the_right_setting_is_found_and_a_search_goes_on() {
    let place = place("trials = 8\nmethod = \"tpe\"");
    let found = told(&agon(place.path(), &["train", "line.toml", "--ui", "plain", "--out", "one"]), 0);
    assert!(
        found.contains("search by tpe: 8 trials") && found.contains("nothing was chosen by the test part"),
        "{found}"
    );
    let board = read(&place.path().join("one/leaderboard.csv"));
    let rows: Vec<Vec<&str>> = board.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!((board.lines().next().unwrap(), rows.len()), ("rank,trial,steps,rmse,model.l2,failed", 8));
    let penalty = |row: &Vec<&str>| row[4].parse::<f64>().unwrap();
    // A penalty of a thousand and more leaves little of the slope.
    let most = rows.iter().map(penalty).fold(0.0, f64::max);
    assert!(penalty(&rows[0]) < 10.0 && most > 1000.0 && penalty(&rows[7]) == most, "{board}");
    let error = |row: &Vec<&str>| row[3].parse::<f64>().unwrap();
    assert!(rows.windows(2).all(|pair| error(&pair[0]) <= error(&pair[1])), "{board}");
    assert!(rows[0][1].parse::<usize>().is_ok() && place.path().join("one/trial-008/scenario.toml").is_file());
    // A search whose last trials were lost, one of them half, ends in the same leaderboard.
    let trials = read(&place.path().join("one/trials.jsonl"));
    let lines: Vec<&str> = trials.lines().collect();
    let half = format!("{}\n{}", lines[..5].join("\n"), &lines[5][..20]);
    std::fs::write(place.path().join("one/trials.jsonl"), half).unwrap();
    std::fs::remove_file(place.path().join("one/leaderboard.csv")).unwrap();
    std::fs::remove_dir_all(place.path().join("one/trial-007")).unwrap();
    told(&agon(place.path(), &["train", "--resume", "one", "--ui", "plain"]), 0);
    assert_eq!(read(&place.path().join("one/leaderboard.csv")), board);
    // Whoever looks on sees the same, the best first.
    let watched = agon(place.path(), &["watch", "one"]);
    told(&watched, 0);
    let shown = String::from_utf8(watched.stdout).unwrap();
    let trial = |line: &str| line.split_whitespace().nth(1).map(String::from);
    let order: Vec<_> = shown.lines().skip(2).filter_map(trial).collect();
    assert_eq!(order, rows.iter().map(|row| row[1].to_owned()).collect::<Vec<_>>(), "{shown}");
    assert!(shown.contains("8 of 8 trials have ended") && shown.contains("l2="), "{shown}");
    let more = ["--set", "search.trials=3"];
    let said = told(&agon(place.path(), &[&["train", "--data", "line.csv", "--target", "y"], &more[..]].concat()), 2);
    assert!(said.contains("a search takes a scenario") && !place.path().join("runs").exists(), "{said}");
    told(&agon(place.path(), &["report", "one"]), 0);
    let page = read(&place.path().join("one/report.html"));
    assert!(page.contains("Leaderboard") && page.contains("model.l2") && !page.contains("<script"), "{page}");
}

/// Killed at any time and resumed, a search of an agent ends as one that was not; halving makes longer runs of the best.
#[test]
fn halving_of_an_agent_survives_a_kill() {
    let place = tempfile::tempdir().unwrap();
    let space = "[search]\ntrials = 4\nmethod = \"halving\"\nfactor = 2\n[search.space]\n\"agent.learning_rate\" = { log = [1e-5, 1e-2] }\n";
    let scenario = format!(
        "name = \"cart\"\n[env]\nid = \"classic/cartpole\"\n[agent]\nkind = \"ppo\"\n[train]\nsteps = 4096\n\
         [eval]\nfinal_episodes = 4\nrecord = 0\n{space}"
    );
    std::fs::write(place.path().join("cart.toml"), scenario).unwrap();
    let whole = told(&agon(place.path(), &["train", "cart.toml", "--ui", "json", "--out", "whole"]), 0);
    let last: Value = serde_json::from_str(whole.lines().rfind(|line| line.starts_with('{')).unwrap()).unwrap();
    assert_eq!((&last["kind"], &last["trials"]), (&"search".into(), &4.into()), "{whole}");
    let board = read(&place.path().join("whole/leaderboard.csv"));
    let steps: Vec<&str> = board.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(steps, ["4096", "2048", "1024", "1024"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_agon"))
        .args(["train", "cart.toml", "--ui", "plain", "--out", "killed"])
        .current_dir(place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = || place.path().join("killed/trials.jsonl").is_file();
    while !begun() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first trial did");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    told(&agon(place.path(), &["train", "--resume", "killed", "--ui", "plain"]), 0);
    assert_eq!(read(&place.path().join("killed/leaderboard.csv")), board);
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let refused = |search: &str, args: &[&str], why: &str| {
        let place = place(search);
        let out = told(&agon(place.path(), &[&["train", "line.toml", "--ui", "plain"], args].concat()), 2);
        assert!(out.contains(why), "{why}: {out}");
        assert!(!place.path().join("runs").exists(), "{why}");
    };
    refused("method = \"grid\"", &[], "grid");
    refused("trails = 3", &[], "did you mean `trials`");
    refused("trials = 3", &["--set", "search.space={}"], "nothing is varied");
    let range = "search.space={\"model.l2\"={range=[-1.0, 1.0]}}";
    refused("trials = 3", &["--set", range], "l2");
    let unknown = "search.space={\"model.l3\"={range=[0.0, 1.0]}}";
    refused("trials = 3", &["--set", unknown], "[search.space] model.l3=0.0: unknown key `l3`");
}
