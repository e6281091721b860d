//! `robot/mjcf` through the program: a model beside a scenario, what a run keeps of it, and bad input.
#![cfg(feature = "mujoco")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn agon(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).env_remove("AGON_RUNS");
    command.output().unwrap()
}

fn done(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|t| String::from_utf8_lossy(t).into_owned());
    assert!(output.status.success(), "{out}{err}");
    out + &err
}

/// An arm that swings, from two files.
fn model(folder: &Path) {
    std::fs::create_dir_all(folder.join("robot")).unwrap();
    let parts = r#"<mujoco><worldbody><body name="arm" pos="0 0 1"><joint name="swing" axis="0 1 0"/>
        <geom name="rod" type="capsule" fromto="0 0 0 0.5 0 0" size="0.03"/></body></worldbody></mujoco>"#;
    std::fs::write(folder.join("robot/arm.xml"), parts).unwrap();
    let main = r#"<mujoco><include file="arm.xml"/><worldbody><site name="goal" pos="0 0 1.5"/></worldbody>
        <actuator><motor name="motor" joint="swing" gear="3" ctrlrange="-1 1"/></actuator></mujoco>"#;
    std::fs::write(folder.join("robot/main.xml"), main).unwrap();
}

const SCENARIO: &str = r#"
[env]
id = "robot/mjcf"
model = "robot/main.xml"
step_limit = 50
observe = [{ field = "joint_positions", noise = 0.01 }, "joint_velocities"]
reward = [
  { term = "distance", weight = -1.0, from = "arm", to = "goal" },
  { term = "control_cost", weight = -0.1 },
]
randomize = { mass = [0.8, 1.2], pose = 0.5, latency = [0, 2] }

[agent]
kind = "ppo"
rollout_steps = 16

[train]
steps = 1024
envs = 4

[eval]
episodes = 2
final_episodes = 2
"#;

/// A run can be resumed, evaluated and replayed where the model's own files are gone, and from another folder.
#[test]
fn a_run_keeps_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    model(folder);
    std::fs::write(folder.join("swing.toml"), SCENARIO).unwrap();
    std::fs::create_dir(folder.join("elsewhere")).unwrap();
    let told = done(&agon(&folder.join("elsewhere"), &["train", "../swing.toml", "--out", "../run", "--ui", "plain"]));
    for measure in ["distance", "control_cost", "forward velocity [m/s]"] {
        assert!(told.contains(measure), "{measure} in {told}");
    }
    std::fs::remove_dir_all(folder.join("robot")).unwrap();
    std::fs::rename(folder.join("run"), folder.join("moved")).unwrap();
    done(&agon(folder, &["train", "--resume", "moved", "--set", "train.steps=2048", "--ui", "plain"]));
    done(&agon(folder, &["eval", "moved", "--episodes", "2"]));
    let verified = done(&agon(&folder.join("elsewhere"), &["replay", "../moved", "--verify"]));
    assert!(verified.contains("verified"), "{verified}");

    // Another model in its place is refused.
    model(folder);
    let heavier = std::fs::read_to_string(folder.join("robot/arm.xml")).unwrap().replace("0.03", "0.04");
    std::fs::write(folder.join("robot/arm.xml"), heavier).unwrap();
    std::fs::write(folder.join("swing.toml"), SCENARIO).unwrap();
    done(&agon(folder, &["train", "swing.toml", "--out", "other", "--ui", "plain"]));
    std::fs::copy(folder.join("other/model.mjb"), folder.join("moved/model.mjb")).unwrap();
    for args in [&["replay", "moved", "--verify"][..], &["eval", "moved"]] {
        let output = agon(folder, args);
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {why}");
        assert!(why.contains("another model"), "{args:?}: {why}");
    }
}

/// One message with its line, and exit code 2.
#[test]
fn bad_input_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    model(folder);
    let broken = "<mujoco>\n  <worldbody>\n    <body nam=\"x\"/>\n  </worldbody>\n</mujoco>";
    std::fs::write(folder.join("broken.xml"), broken).unwrap();
    let mesh = r#"<mujoco><asset><mesh name="m" file="nowhere.stl"/></asset></mujoco>"#;
    std::fs::write(folder.join("mesh.xml"), mesh).unwrap();
    let include = r#"<mujoco><include file="nowhere.xml"/></mujoco>"#;
    std::fs::write(folder.join("include.xml"), include).unwrap();
    for (from, to, parts) in [
        ("robot/main.xml", "robot/mian.xml", ["x.toml:4:9", "no model file"]),
        ("robot/main.xml", "broken.xml", ["x.toml:4:9", "line 3"]),
        ("robot/main.xml", "mesh.xml", ["x.toml:4:9", "nowhere.stl"]),
        ("robot/main.xml", "include.xml", ["x.toml:4:9", "nowhere.xml"]),
        ("joint_velocities", "joint_velocity", ["x.toml:6:11", "did you mean `joint_velocities`"]),
        ("control_cost", "controll_cost", ["x.toml:9:12", "did you mean `control_cost`"]),
        ("to = \"goal\"", "to = \"gaol\"", ["x.toml:8:", "did you mean `goal`"]),
        ("noise = 0.01", "niose = 0.01", ["x.toml:6:41", "did you mean `noise`"]),
        ("mass = [0.8, 1.2]", "mass = [1.2, 0.8]", ["x.toml:11:22", "must not be above"]),
        ("step_limit = 50", "actuators = [\"moter\"]", ["x.toml:5:13", "did you mean `motor`"]),
        ("final_episodes = 2", "final_episodes = 2\nenv = { model = \"mesh.xml\" }", ["x.toml:", "trained with"]),
    ] {
        assert!(SCENARIO.contains(from), "{from}");
        std::fs::write(folder.join("x.toml"), SCENARIO.replace(from, to)).unwrap();
        let output = agon(folder, &["train", "x.toml"]);
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{to}: {why}");
        assert!(parts.iter().all(|part| why.contains(part)) && !why.contains("panicked"), "{to}: {parts:?} in {why}");
    }
    assert!(!folder.join("runs").exists(), "nothing was begun");
}

/// `agon drive` refuses what is no action, and lives on.
#[test]
fn drive_refuses_wrong_actions() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
    command.args(["drive", "robot/mjcf", "--set", "model=./robot/main.xml"]).current_dir(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let requests = [
        r#"{"op": "reset"}"#,
        r#"{"op": "step", "action": [0.1, 0.2]}"#,
        r#"{"op": "step", "action": [NaN]}"#,
        r#"{"op": "step", "action": [1e999]}"#,
        r#"{"op": "step", "action": [1e39]}"#,
        r#"{"op": "step", "action": [null]}"#,
        r#"{"op": "step", "action": [0.5]}"#,
    ];
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, (requests.join("\n") + "\n").as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), requests.len(), "{answers:?}");
    for (k, part) in [(1, "1 numbers, not 2"), (2, "JSON"), (3, "JSON"), (4, "must lie in"), (5, "must hold numbers")] {
        assert!(answers[k].contains("error") && answers[k].contains(part), "{}: {}", requests[k], answers[k]);
    }
    assert!(answers[6].contains("reward"), "{}", answers[6]);
}
