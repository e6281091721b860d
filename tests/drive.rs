//! `agon drive`: JSON lines in, JSON lines out, and nothing ends it but the end of its input.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

fn drive(args: &[&str], lines: &[String]) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_agon"))
        .arg("drive")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    let answers: Vec<Value> =
        String::from_utf8(out.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(answers.len(), lines.len(), "one answer a line");
    answers
}

#[test]
fn an_episode_can_be_driven_saved_and_restored() {
    let step = json!({"op": "step", "action": 1}).to_string();
    let mut lines = vec![json!({"op": "reset", "seed": 3}).to_string()];
    lines.extend(std::iter::repeat_n(step.clone(), 5));
    lines.push(json!({"op": "get_state"}).to_string());
    lines.push(step.clone());
    let first = drive(&["classic/cartpole"], &lines);
    assert_eq!(first[0]["observation"].as_array().unwrap().len(), 4);
    assert_eq!(first[1]["reward"], 1.0);
    let saved = first[6]["state"].clone();
    let again = drive(&["classic/cartpole"], &[json!({"op": "set_state", "state": saved}).to_string(), step]);
    assert_eq!(again[1], first[7]);
}

#[test]
fn bad_lines_get_an_error_and_the_process_lives_on() {
    let lines: Vec<String> = [
        r#"{"op": "step", "action": 0}"#,
        "not json",
        r#"{"op": "rest"}"#,
        r#"{"op": "reset", "seed": -1}"#,
        r#"{"op": "reset", "seed": 1}"#,
        r#"{"op": "step", "action": 7}"#,
        r#"{"op": "step", "action": [0, 1]}"#,
        r#"{"op": "step", "action": "left"}"#,
        r#"{"op": "step"}"#,
        r#"{"op": "set_state", "state": {"state": [1, 2]}}"#,
        r#"{"op": "set_state", "state": {}}"#,
        r#"{"op": "legal"}"#,
        r#"{"op": "render"}"#,
        r#"{"op": "step", "action": 0}"#,
    ]
    .map(String::from)
    .to_vec();
    let answers = drive(&["classic/cartpole"], &lines);
    for (i, answer) in answers.iter().enumerate() {
        let good = matches!(i, 4 | 11 | 12 | 13);
        assert_eq!(answer.get("error").is_none(), good, "line {i}: {answer}");
    }
    assert_eq!(answers[11]["legal"], json!([0, 1]));
    assert!(answers[2]["error"].as_str().unwrap().contains("did you mean `reset`"));
}

#[test]
fn parameters_can_be_set_and_are_checked() {
    let reset = [json!({"op": "reset"}).to_string()];
    let answers = drive(&["pricing/perishable", "--set", "stock=3", "--set", "price_range=[1, 5]"], &reset);
    assert_eq!(answers[0]["observation"], json!([1.0, 1.0]));
    let out = Command::new(env!("CARGO_BIN_EXE_agon"))
        .args(["drive", "pricing/perishable", "--set", "stok=3"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("did you mean `stock`"));
}

/// Marks at the beginning and ends of lines of any kind are not part of a request; UTF-16 is refused by name.
#[test]
fn lines_may_come_from_any_editor() {
    let (reset, step) = ("{\"op\": \"reset\"}", "{\"op\": \"step\", \"action\": 0}");
    let answers = drive(&["classic/cartpole"], &[format!("\u{feff}{reset}\r"), format!("{step}\r")]);
    assert!(answers.iter().all(|a| a["observation"].is_array()), "{answers:?}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_agon"));
    child.args(["drive", "classic/cartpole"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let utf16: Vec<u8> = format!("\u{feff}{reset}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let lines = [&utf16[..], b"\n", format!("{reset}\r{step}\r").as_bytes()].concat();
    child.stdin.take().unwrap().write_all(&lines).unwrap();
    let told = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let answers: Vec<Value> = told.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(answers[0]["error"].as_str().unwrap().contains("UTF-16"), "{told}");
    assert!(answers.len() == 3 && answers[2]["reward"] == 1.0, "{told}");
}
