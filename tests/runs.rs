//! Nothing of a run may be lost: power cuts, kills at any moment, damage, full disks, longer runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SMALL: &str = r#"
env   = { id = "classic/cartpole" }
agent = { kind = "ppo", rollout_steps = 16, minibatch = 64, epochs = 1, hidden = [4], normalize_observation = true }
train = { steps = 640, envs = 4, save_every = 128 }
eval  = { every = 192, episodes = 2, final_episodes = 2 }
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(scenario: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("s.toml"), scenario).unwrap();
        Self(dir)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn agon(&self, args: &[&str], code: i32) -> String {
        self.ended(&self.command(args).output().unwrap(), args, code)
    }

    fn ended(&self, out: &Output, args: &[&str], code: i32) -> String {
        let told = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(code), "agon {args:?}: {told}");
        assert!(!told.contains("panicked"), "agon {args:?}: {told}");
        told
    }

    fn train(&self, out: &str) {
        self.agon(&["train", "s.toml", "--ui", "plain", "--out", out], 0);
    }

    fn resume(&self, run: &str) -> String {
        self.agon(&["train", "--resume", run, "--ui", "plain"], 0)
    }

    fn copy(&self, from: &str, to: &str) {
        let all = [self.at(from).to_string_lossy().into_owned(), self.at(to).to_string_lossy().into_owned()];
        assert!(Command::new("cp").arg("-r").args(all).status().unwrap().success());
    }
}

/// Every file of a run that must be bit-identical, by name: all except those about the clock and the machine.
fn exact(run: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let clock = ["provenance.json", "speed.jsonl", "status.json", "lock", "log.txt", "clock.json"];
            if clock.contains(&name.as_str()) || ["events", "not-a-log"].iter().any(|start| name.starts_with(start)) {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let hash = format!("{:x} of {}", crc32c::crc32c(&bytes), bytes.len());
            files.push((path.strip_prefix(run).unwrap().to_string_lossy().into_owned(), hash));
        }
    }
    files.sort();
    files
}

/// Killed at some changes of the disk, and resumed, a run ends bit-identical to one that was never stopped: weights,
/// states, what is best, metrics, episodes. `every`: how many changes lie between two that are tried.
fn killed(every: usize) {
    let place = Place::new(SMALL);
    place.train("whole");
    let whole = exact(&place.at("whole"));
    assert!(whole.iter().any(|(name, _)| name == "checkpoints/best"), "{whole:?}");
    for n in (1..).step_by(every) {
        let run = format!("killed-{n}");
        let begin = ["train", "s.toml", "--ui", "plain", "--out", &run];
        let out = place.command(&begin).env(agon_core::disk::EXIT_AT, n.to_string()).output().unwrap();
        if out.status.code() != Some(137) {
            assert!(n > 100, "a run changes the disk more often than {n} times");
            return;
        }
        if place.at(&run).join("scenario.toml").exists() {
            place.resume(&run);
        } else {
            let _ = std::fs::remove_dir_all(place.at(&run));
            place.train(&run);
        }
        assert_eq!(whole, exact(&place.at(&run)), "killed at change {n}");
        std::fs::remove_dir_all(place.at(&run)).unwrap();
    }
}

#[test]
fn killed_at_many_changes_of_the_disk_it_ends_in_the_same_bits() {
    killed(13);
}

#[test]
#[ignore = "takes minutes"]
fn killed_at_every_change_of_the_disk_it_ends_in_the_same_bits() {
    killed(1);
}

/// What is derived never stands in the way of going on: it is made anew.
#[test]
fn derived_logs_are_made_anew() {
    let place = Place::new(SMALL);
    place.train("whole");
    let whole = exact(&place.at("whole"));
    let board = "events.out.tfevents.0000000001.agon";
    let bytes = std::fs::read(place.at("whole").join(board)).unwrap();
    for (i, (file, kept)) in [
        (board, None),
        (board, Some(0)),
        (board, Some(bytes.len() / 2)),
        ("speed.jsonl", None),
        ("speed.jsonl", Some(0)),
    ]
    .into_iter()
    .enumerate()
    {
        let run = format!("cut-{i}");
        place.copy("whole", &run);
        let path = place.at(&run).join(file);
        match kept {
            None => std::fs::remove_file(&path).unwrap(),
            Some(length) => {
                std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
            }
        }
        let told = place.resume(&run);
        assert!(told.contains("note: "), "{told}");
        assert_eq!(whole, exact(&place.at(&run)), "{file} cut to {kept:?}");
        let made = std::fs::read(place.at(&run).join(board)).unwrap();
        assert_eq!(agon::tensorboard::whole(&made), made.len(), "{file} cut to {kept:?}");
        if file == board {
            let curves = |b: &[u8]| b.windows(17).filter(|w| w == b"charts/evaluation").count();
            assert_eq!(curves(&made), curves(&bytes), "every evaluation is in it again");
        }
    }
    // What a checkpoint says of time is derived as well.
    for (i, change) in [None, Some((b"clock", b"clocc")), Some((b"peed\"", b"peid\""))].into_iter().enumerate() {
        let run = format!("clock-{i}");
        place.copy("whole", &run);
        let path = place.at(&run).join("checkpoints/640/clock.json");
        let text = std::fs::read(&path).unwrap();
        match change {
            None => std::fs::remove_file(&path).unwrap(),
            Some((from, to)) => {
                let at = text.windows(5).position(|w| w == from).unwrap();
                std::fs::write(&path, [&text[..at], &to[..], &text[at + 5..]].concat()).unwrap();
            }
        }
        let told = place.resume(&run);
        assert!(told.contains("clock.json is damaged"), "{told}");
        let other = |files: Vec<(String, String)>| -> Vec<_> {
            files.into_iter().filter(|(name, _)| !name.ends_with("clock.json")).collect()
        };
        assert_eq!(whole, other(exact(&place.at(&run))));
    }
    // Without what a checkpoint depends on, an older one that does not is gone on from; and that is said.
    place.copy("whole", "short");
    let path = place.at("short/metrics.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let cut: String = text.split_inclusive('\n').take_while(|line| !line.contains("\"step\":640")).collect();
    std::fs::write(&path, cut).unwrap();
    let told = place.resume("short");
    assert!(told.contains("does not fit the run any more"), "{told}");
    assert_eq!(whole, exact(&place.at("short")));
    // Where none fits, it is told what can be done.
    std::fs::write(&path, "").unwrap();
    let told = place.agon(&["train", "--resume", "short", "--ui", "plain"], 2);
    assert!(told.contains("--from"), "{told}");
}

#[test]
fn a_damaged_checkpoint_names_one_that_is_whole() {
    let place = Place::new(SMALL);
    place.train("whole");
    let run = agon::run::Run { folder: place.at("whole") };
    // The newest three, and the best one where that is older.
    let kept = run.checkpoints();
    let newest = &kept[kept.len() - 3..];
    assert_eq!(kept.len(), 3 + usize::from(!newest.contains(&run.checkpoint("best").unwrap())), "{kept:?}");
    let whole = exact(&place.at("whole"));
    // Lost and empty names are found again.
    for text in [None, Some(""), Some("77\n"), Some("../..\n")] {
        match text {
            None => std::fs::remove_file(place.at("whole/checkpoints/latest")).unwrap(),
            Some(text) => std::fs::write(place.at("whole/checkpoints/latest"), text).unwrap(),
        }
        assert!(run.checkpoint("latest").unwrap().ends_with("640"));
        place.resume("whole");
        assert_eq!(whole, exact(&place.at("whole")), "{text:?}");
    }
    let state = place.at("whole/checkpoints/640/state.json");
    let good = std::fs::read(&state).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&state, bad).unwrap();
    for args in [&["eval", "whole"][..], &["train", "--resume", "whole", "--ui", "plain"]] {
        let told = place.agon(args, 2);
        assert!(told.contains("state.json is damaged"), "{told}");
        assert!(told.contains("agon train --resume whole/checkpoints/5"), "{told}");
    }
    let older = run.checkpoints().into_iter().rev().nth(1).unwrap();
    place.resume(&older.to_string_lossy());
    assert_eq!(whole, exact(&place.at("whole")));
}

/// A signal before the first step, and one in the middle of a rollout, of an update or of an evaluation.
#[cfg(unix)]
#[test]
fn signals_at_any_moment_lose_nothing() {
    // Long rollouts, updates and evaluations: most signals fall into one of them.
    let long = SMALL
        .replace("rollout_steps = 16", "rollout_steps = 1024")
        .replace("epochs = 1", "epochs = 8")
        .replace("minibatch = 64", "minibatch = 32")
        .replace("steps = 640", "steps = 12288")
        .replace("every = 192, episodes = 2", "every = 4096, episodes = 300");
    let place = Place::new(&long);
    place.train("whole");
    let whole = |run: &str| {
        let last = |(name, _): &(String, String)| name.contains("12288") || !name.starts_with("checkpoints/");
        exact(&place.at(run)).into_iter().filter(last).collect::<Vec<_>>()
    };
    for signal in ["-INT", "-TERM"] {
        let run = format!("stopped{signal}");
        let mut args = vec!["train", "s.toml", "--ui", "plain", "--out", &run];
        let mut stops = 0;
        loop {
            let child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let status = place.at(&run).join("status.json");
            let running = || std::fs::read_to_string(&status).is_ok_and(|s| s.contains(&child.id().to_string()));
            let mut child_ended = false;
            while !running() && !child_ended {
                child_ended = !Path::new(&format!("/proc/{}", child.id())).join("exe").exists();
            }
            // Each one who goes on is left in peace a little longer, or nothing would ever come of it.
            std::thread::sleep(std::time::Duration::from_millis(stops * 60));
            let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
            let out = child.wait_with_output().unwrap();
            if out.status.code() != Some(130) {
                place.ended(&out, &args, 0);
                break;
            }
            stops += 1;
            args = vec!["train", "--resume", &run, "--ui", "plain"];
        }
        assert!(stops > 0);
        assert_eq!(whole("whole"), whole(&run), "{stops} times {signal}");
    }
}

/// Pipes and folders where a run has its own files, and episodes that were cleared away.
#[cfg(unix)]
#[test]
fn what_lies_in_the_place_of_a_run_s_files_is_no_obstacle() {
    let place = Place::new(SMALL);
    place.train("r");
    let whole = exact(&place.at("r"));
    let pipe = |name: &str| {
        std::fs::remove_file(place.at(name)).unwrap();
        assert!(Command::new("mkfifo").arg(place.at(name)).status().unwrap().success());
    };
    let copies = ["latest", "best", "speed", "board", "lock", "status"];
    copies.iter().for_each(|to| place.copy("r", to));
    pipe("latest/checkpoints/latest");
    place.agon(&["eval", "latest", "--episodes", "2"], 0);
    pipe("best/checkpoints/best");
    pipe("speed/speed.jsonl");
    let board = std::fs::read_dir(place.at("board")).unwrap().flatten().map(|e| e.path());
    let board = board.into_iter().find(|p| p.to_string_lossy().contains("tfevents")).unwrap();
    std::fs::remove_file(&board).unwrap();
    std::fs::create_dir(&board).unwrap();
    std::fs::remove_dir_all(place.at("board/episodes")).unwrap();
    pipe("status/status.json");
    for run in ["latest", "best", "speed", "board"] {
        place.resume(run);
        let again = exact(&place.at(run));
        let named = |all: &[(String, String)]| all.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
        // Episodes of evaluations that were made before are not made again.
        let kept: Vec<_> = whole.iter().filter(|f| again.iter().any(|a| a.0 == f.0)).cloned().collect();
        assert_eq!(kept, again, "{run}: {:?} {:?}", named(&whole), named(&again));
    }
    assert!(place.agon(&["runs", "status"], 0).contains("unknown"));
    pipe("lock/lock");
    assert!(place.agon(&["train", "--resume", "lock"], 2).contains("lock is no ordinary file"));
    place.agon(&["watch", "lock"], 0);
}

#[test]
fn settings_that_were_changed_by_hand_are_told() {
    let place = Place::new(SMALL);
    place.train("run");
    let path = place.at("run/scenario.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [("gamma = ", "gamma = 0."), ("seed = ", "seed = 1")] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let told = place.agon(&["train", "--resume", "run", "--ui", "plain"], 2);
        assert!(told.contains("not what the run began with"), "{told}");
    }
    // Older versions wrote no sum; and a run's own settings can be trained anew, changed or not.
    let old = text.split_once('\n').unwrap().1;
    std::fs::write(&path, old).unwrap();
    place.resume("run");
    std::fs::write(&path, text.replacen("seed = ", "seed = 1", 1)).unwrap();
    place.agon(&["train", "run/scenario.toml", "--out", "other", "--ui", "plain"], 0);
}

/// A run that failed before it had saved anything begins again at its beginning.
#[test]
fn what_never_had_a_checkpoint_has_lost_none() {
    let place = Place::new(SMALL);
    place.train("whole");
    place.copy("whole", "none");
    std::fs::remove_dir_all(place.at("none/checkpoints")).unwrap();
    std::fs::create_dir(place.at("none/checkpoints")).unwrap();
    let status = |saved: &str| format!("{{\"state\":\"failed\",\"step\":320,\"steps\":640{saved}}}\n");
    for (saved, code) in [(",\"saved\":true", 2), ("", 2), (",\"saved\":false", 0)] {
        std::fs::write(place.at("none/status.json"), status(saved)).unwrap();
        let told = place.agon(&["train", "--resume", "none", "--ui", "plain"], code);
        assert!(told.contains(if code == 0 { "begins at its beginning" } else { "lost its checkpoints" }), "{told}");
    }
    assert_eq!(exact(&place.at("whole")), exact(&place.at("none")));
}

#[test]
fn a_run_goes_on_longer_but_not_otherwise() {
    let place = Place::new(SMALL);
    place.train("r");
    let told = place.agon(&["train", "--resume", "r", "--ui", "plain", "--set", "train.steps=1000"], 0);
    assert!(told.contains("learning_rate now change over 1000 steps"), "{told}");
    assert!(std::fs::read_to_string(place.at("r/scenario.toml")).unwrap().contains("steps = 1000"));
    let before = std::fs::read_to_string(place.at("r/scenario.toml")).unwrap();
    let told = place.agon(&["train", "--resume", "r", "--ui", "plain", "--set", "train.steps=10"], 2);
    assert!(told.contains("steps are made already") && !told.contains("becomes"), "{told}");
    assert_eq!(std::fs::read_to_string(place.at("r/scenario.toml")).unwrap(), before, "nothing is written");
    let told = place.agon(&["train", "--resume", "r", "--set", "agent.gamma=1"], 2);
    assert!(told.contains("cannot change `agent.gamma`") && told.contains("train.steps"), "{told}");
    let told = place.agon(&["train", "s.toml", "--ui", "plain", "--out", "all", "--set", "train.keep=all"], 0);
    assert!(told.contains("ppo"));
    assert!(agon::run::Run { folder: place.at("all") }.checkpoints().len() > 4);

    let told = place.agon(&["train", "s.toml", "--from", "r", "--out", "warm", "--ui", "plain"], 0);
    assert!(told.contains("it begins with the weights of r"), "{told}");
    let other = ["train", "s.toml", "--from", "r", "--out", "wide", "--ui", "plain", "--set", "agent.hidden=[5]"];
    assert!(place.agon(&other, 2).contains("shape"));
    let other = ["train", "s.toml", "--from", "r", "--out", "wide", "--set", "agent={kind=\"a2c\"}"];
    place.agon(&other, 2);

    let told = place.agon(&["train", "s.toml", "--seeds", "1..3", "--out", "seeds", "--ui", "plain"], 0);
    for part in ["seeds/seed-1", "seeds/seed-3", "mean", "worst", "deviation"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(place.agon(&["train", "s.toml", "--seeds", "3..1"], 2).contains("seeds go up"));
}

/// What this machine cannot hold is refused with a figure, before any of it is asked for.
#[test]
fn what_does_not_fit_in_memory_is_refused() {
    let place = Place::new(SMALL);
    let pole = "env = { id = 'classic/cartpole' }\n";
    let four = "env = { id = 'games/connect-four' }\n";
    for (env, rest, key) in [
        (pole, "agent = { kind = 'dqn', memory = 1e9 }\ntrain = { envs = 1000 }", "memory = 1e9"),
        (pole, "agent = { kind = 'ppo', rollout_steps = 100_000 }\ntrain = { envs = 1e6 }", "rollout_steps"),
        (pole, "agent = { kind = 'a2c', rollout_steps = 1000 }\ntrain = { envs = 1e6 }", "rollout_steps"),
        (pole, "agent = { kind = 'ppo', hidden = [65536, 65536] }", "hidden"),
        (four, "agent = { kind = 'alphazero', window = 1e9 }", "window"),
        (four, "agent = { kind = 'alphazero', simulations = 1e6 }\ntrain = { envs = 4096 }", "simulations"),
    ] {
        std::fs::write(place.at("big.toml"), format!("{env}{rest}\n")).unwrap();
        let told = place.agon(&["train", "big.toml", "--ui", "plain", "--out", "big"], 2);
        assert!(told.contains("GB of memory") && told.contains("GB are there") && told.contains(key), "{rest}: {told}");
        assert!(!place.at("big").exists());
    }
}

#[test]
fn what_is_odd_is_said_and_what_is_no_file_is_refused() {
    let place = Place::new(SMALL);
    for (sets, part) in [
        (&["train.steps=10", "train.envs=500"][..], "train.steps = 10 becomes 8000"),
        (&["train.steps=64", "eval.every=900"][..], "eval.every = 900 is above"),
    ] {
        let mut args = vec!["train", "s.toml", "--ui", "plain"];
        sets.iter().for_each(|set| args.extend(["--set", *set]));
        let told = place.agon(&args, 0);
        assert!(told.contains(part), "{part} in {told}");
    }
    std::fs::write(place.at("goal.toml"), SMALL.replace("every = 192", "stop_at = 1e9")).unwrap();
    assert!(place.agon(&["train", "goal.toml", "--ui", "plain"], 0).contains("never met"));
    let dqn = "env = { id = 'classic/cartpole' }\nagent = { kind = 'dqn', learning_starts = 500 }\ntrain.steps = 100\n";
    std::fs::write(place.at("dqn.toml"), dqn).unwrap();
    assert!(place.agon(&["train", "dqn.toml", "--ui", "plain"], 0).contains("nothing will be learned"));
    #[cfg(unix)]
    {
        assert!(Command::new("mkfifo").arg(place.at("pipe")).status().unwrap().success());
        for file in ["pipe", "/dev/zero", "."] {
            for args in [&["train", file][..], &["replay", file], &["eval", "random", "--scenario", file]] {
                place.agon(args, 2);
            }
        }
    }
}

/// A limit on the size of files is a full disk: an error, and what was saved stays.
#[cfg(unix)]
#[test]
fn size_limits_and_lost_folders_are_told() {
    let place = Place::new(&SMALL.replace("steps = 640", "steps = 100_000").replace("every = 192", "every = 100_000"));
    let agon = env!("CARGO_BIN_EXE_agon");
    let out = Command::new("bash")
        .args(["-c", &format!("ulimit -f 20; exec {agon} train s.toml --ui plain --out r")])
        .current_dir(place.0.path())
        .output()
        .unwrap();
    let told = place.ended(&out, &["ulimit"], 1);
    assert!(told.contains("ulimit -f"), "{told}");
    let child = place
        .command(&["train", "s.toml", "--ui", "plain", "--out", "moved"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !place.at("moved/checkpoints/latest").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    std::fs::rename(place.at("moved"), place.at("elsewhere")).unwrap();
    let told = place.ended(&child.wait_with_output().unwrap(), &["moved"], 1);
    assert!(told.contains("renamed or deleted"), "{told}");
    assert!(!place.at("moved").exists(), "it is not made anew");
    place.agon(&["train", "--resume", "elsewhere", "--ui", "plain", "--set", "train.steps=300"], 0);
}

/// Several seeds side by side are the same runs, bit for bit, as each of them alone; stopped, killed or broken off they
/// go on as one. What lists and shows runs knows the group.
#[test]
fn several_seeds_are_the_runs_of_each() {
    let place = Place::new(&SMALL.replace("envs = 4", "envs = 4, seeds = [1, 2, 7]"));
    let seeds = [1, 2, 7];
    for seed in seeds {
        let (seed, out) = (seed.to_string(), format!("alone-{seed}"));
        place.agon(&["train", "s.toml", "--seed", &seed, "--ui", "plain", "--out", &out], 0);
    }
    // A stop leaves a checkpoint that the others have not.
    let last = |(name, _): &(String, String)| name.contains("640") || !name.starts_with("checkpoints/");
    let check = |group: &str, stopped: bool| {
        for seed in seeds {
            let both = [format!("alone-{seed}"), format!("{group}/seed-{seed}")].map(|run| {
                exact(&place.at(&run)).into_iter().filter(|file| !stopped || last(file)).collect::<Vec<_>>()
            });
            assert!(both[0] == both[1] && both[0].len() > 5, "{group}, seed {seed}: {both:?}");
        }
    };
    let told = place.agon(&["train", "s.toml", "--ui", "plain", "--out", "all"], 0);
    for part in ["all/seed-7", "interquartile mean", "median", "worst", "bootstrap", "agon watch all"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    check("all", false);
    assert!(place.agon(&["watch", "all"], 0).contains("3 of 3 seeds are done"));
    let listed = place.agon(&["runs", "."], 0);
    assert!(listed.contains("3 of 3 seeds done") && listed.contains("all/seed-2"), "{listed}");
    // What is done stays done.
    let out = place.command(&["train", "--resume", "all", "--ui", "json"]).output().unwrap();
    let last = String::from_utf8_lossy(&out.stdout).lines().last().unwrap().to_owned();
    let json: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&json["kind"], &json["group"]), (&"seeds".into(), &"all".into()), "{last}");
    let means: Vec<f64> = json["runs"].as_array().unwrap().iter().map(|r| r["mean_return"].as_f64().unwrap()).collect();
    assert!((json["mean"].as_f64().unwrap() - means.iter().sum::<f64>() / 3.0).abs() < 1e-9, "{last}");

    // Killed by the disk at some change of each run, and then together with all that was left to do.
    let begin = ["train", "s.toml", "--ui", "plain", "--out", "broken"];
    let out = place.command(&begin).env(agon_core::disk::EXIT_AT, "60").output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stderr));
    place.resume("broken");
    check("broken", false);
    for (signal, code) in [("-INT", Some(130)), ("-KILL", None)] {
        let group = format!("stopped{signal}");
        let args = ["train", "s.toml", "--ui", "plain", "--out", &group];
        let mut child = place.command(&args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        while !place.at(&group).join("seed-1/checkpoints/latest").exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
        let ended = child.wait().unwrap().code();
        assert!(ended == code || ended == Some(0), "{signal}: {ended:?}");
        place.resume(&group);
        check(&group, true);
    }
}

#[test]
fn wrong_seeds_are_told() {
    let place = Place::new(SMALL);
    for (seeds, part) in [
        ("seeds = []", "names no seed"),
        ("seeds = [1, 2, 1]", "seed 1 comes twice"),
        ("seeds = 3", "expected a list"),
        ("seeds = [1, -2]", "at place 2"),
        ("seed = 4, seeds = [1, 2]", "leave one of them out"),
    ] {
        std::fs::write(place.at("w.toml"), SMALL.replace("envs = 4", &format!("envs = 4, {seeds}"))).unwrap();
        let told = place.agon(&["train", "w.toml", "--ui", "plain", "--out", "w"], 2);
        assert!(told.contains(part) && told.contains("w.toml"), "{seeds}: {told}");
        assert!(!place.at("w").exists());
    }
    // A seed on the command line stands above the list.
    place.agon(&["train", "w.toml", "--ui", "plain", "--out", "one", "--seed", "5"], 0);
    assert!(std::fs::read_to_string(place.at("one/scenario.toml")).unwrap().contains("seed = 5"));
}
