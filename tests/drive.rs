//! `agon drive`: JSON lines in, JSON lines out, and nothing ends it but `close` and the end of its input.

use agon::drive::{Driver, LONGEST, serve};
use agon_core::damage::damage;
use agon_core::rng::{Rng, Stream};
use serde_json::{Map, Value, json};
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

/// A driver within this process.
struct Here(Driver);

impl Here {
    fn new(id: &str, settings: Value) -> Self {
        Self(Driver::new(id, settings.as_object().unwrap()).unwrap())
    }

    fn ask(&mut self, request: Value) -> Value {
        self.0.answer(request.to_string().as_bytes())
    }

    fn error(&mut self, request: Value) -> String {
        let answer = self.ask(request);
        answer["error"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    fn text(&mut self) -> String {
        self.ask(json!({"op": "render"}))["text"].as_str().unwrap().to_owned()
    }
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

/// The game O wins in six moves: X at a1, b1, c2; O at a3, b3, c3.
fn until_the_end(game: &mut Here) -> Value {
    game.ask(json!({"op": "reset"}));
    let moves = [[0, 0], [0, 6], [1, 0], [0, 7], [5, 0], [0, 8]];
    moves.iter().map(|m| game.ask(json!({"op": "step", "action": m}))).last().unwrap()
}

#[test]
fn a_picture_is_of_the_state_that_the_last_answer_described() {
    let mut game = Here::new("games/tic-tac-toe", json!({}));
    let last = until_the_end(&mut game);
    assert_eq!((&last["over"], &last["returns"]), (&json!(true), &json!([-1.0, 1.0])), "{last}");
    let ended = game.text();
    assert!(ended.contains("o o o") && ended.contains("o: +1"), "{ended}");
    // Anew, a state set, and a state set after an end: always what is there now.
    game.ask(json!({"op": "reset"}));
    let begun = game.text();
    assert!(begun.contains(". . .") && begun.contains("to move: x") && !begun.contains("+1"), "{begun}");
    until_the_end(&mut game);
    let set = game.ask(json!({"op": "set_state", "state": {"state": {"stones": [0, 0]}}}));
    assert_eq!((game.text(), &set["turn"]), (begun.clone(), &json!(0)));
    until_the_end(&mut game);
    let saved = game.ask(json!({"op": "get_state"}))["state"].clone();
    assert_eq!(game.text(), ended, "saving changes no picture");
    game.ask(json!({"op": "set_state", "state": saved}));
    assert_eq!(game.text(), begun, "what is saved after an end is the next episode");
    until_the_end(&mut game);
    assert!(game.ask(json!({"op": "set_state", "state": {"state": 3}})).get("error").is_some());
    assert_eq!(game.text(), ended, "a state that is refused changes nothing");
    game.ask(json!({"op": "step", "action": [4, 0]}));
    assert!(game.text().contains("x"), "the next step plays on in the next episode");
    for id in ["games/chess", "pricing/perishable"] {
        let mut env = Here::new(id, json!({}));
        let first = (env.ask(json!({"op": "reset"})), env.text());
        let action = if id == "games/chess" { json!([first.0["legal"][0][0], 0]) } else { json!(0) };
        env.ask(json!({"op": "step", "action": action}));
        assert_ne!(env.text(), first.1);
        env.ask(json!({"op": "reset"}));
        assert_eq!(env.text(), first.1, "{id}");
    }
    let mut chess = Here::new("games/chess", json!({}));
    chess.ask(json!({"op": "reset"}));
    assert!(chess.text().contains("8 r n b q k b n r\n") && chess.text().ends_with("to move: white"));
}

#[test]
fn answers_tell_a_program_what_it_needs() {
    let mut game = Here::new("games/tic-tac-toe", json!({}));
    let spec = game.ask(json!({"op": "spec"}));
    assert_eq!(
        (&spec["env"], &spec["spec"]["agents"], &spec["settings"]),
        (&json!("games/tic-tac-toe"), &json!(2), &json!({}))
    );
    assert_eq!(spec["seats"], json!(["x", "o"]));
    assert!(spec["version"].is_u64() && spec["spec"]["action"]["labels"].is_array());
    let first = game.ask(json!({"op": "reset"}));
    assert_eq!((&first["turn"], &first["over"], &first["returns"]), (&json!(0), &json!(false), &json!([0.0, 0.0])));
    assert_eq!(first["actions"], json!(["a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3"]));
    assert_eq!(first["chance"], json!([]));
    let last = until_the_end(&mut game);
    assert_eq!((&last["turn"], &last["actions"], &last["legal"]), (&Value::Null, &json!([]), &json!([[], []])));
    assert_eq!((&last["next"]["turn"], &last["next"]["over"]), (&json!(0), &json!(false)));
    assert_eq!(last["next"]["observation"], first["observation"], "the next episode is seen before it is played");

    // A state that is over says so and cannot be stepped; one is told how to go on.
    let over = game.ask(json!({"op": "set_state", "state": {"state": last["final_state"]}}));
    assert_eq!((&over["over"], &over["returns"], &over["turn"]), (&json!(true), &json!([-1.0, 1.0]), &Value::Null));
    assert!(game.error(json!({"op": "step", "action": [4, 0]})).contains("over in this state: reset"));
    assert_eq!(game.ask(json!({"op": "reset"}))["over"], false);

    let mut poker = Here::new("games/kuhn-poker", json!({}));
    let dealt = poker.ask(json!({"op": "reset", "seed": 1}));
    assert_eq!((&dealt["turn"], &dealt["actions"]), (&json!(0), &json!(["check", "bet"])));
    let knows = |player: usize| dealt["information_state"][player].as_str().unwrap().len();
    assert_eq!((knows(0), knows(1)), (1, 1), "each knows its card");
    // A position of chance has outcomes; a step lets one happen.
    let deal = json!({"cards": [2, 0], "bets": 0, "plies": 0});
    let chance = poker.ask(json!({"op": "set_state", "state": {"state": deal}}));
    assert_eq!((&chance["turn"], &chance["legal"]), (&json!("chance"), &json!([[0], [0]])));
    let outcomes = json!([{"outcome": 0, "probability": 0.5}, {"outcome": 2, "probability": 0.5}]);
    assert_eq!(chance["chance"], outcomes);
    assert_eq!(poker.ask(json!({"op": "step", "action": [0, 0]}))["turn"], 0);

    let mut shop = Here::new("pricing/perishable", json!({"prices": [1, 2.5], "periods": 1}));
    let open = shop.ask(json!({"op": "reset"}));
    assert_eq!((open["actions"].as_array().map(Vec::len), open.get("turn")), (Some(2), None));
    let closed = shop.ask(json!({"op": "step", "action": 0}));
    assert_eq!((&closed["over"], &closed["terminated"]), (&json!(true), &json!(true)));
}

/// Numbers as a list, one of n as a whole number, a picture by channel and row; the spec says which.
#[test]
fn every_kind_of_observation_has_its_shape() {
    let mut pole = Here::new("classic/cartpole", json!({}));
    let spec = pole.ask(json!({"op": "spec"}))["spec"].clone();
    let position = json!({"name": "position", "unit": "m", "low": -4.800000190734863, "high": 4.800000190734863});
    assert_eq!((&spec["observation"][0], &spec["picture"]), (&position, &json!([])), "{spec}");
    let mut lake = Here::new("classic/frozen-lake", json!({"slippery": false}));
    let spec = lake.ask(json!({"op": "spec"}))["spec"]["observation"].clone();
    assert_eq!(
        (&spec["kind"], &spec["n"], &spec["labels"][4]),
        (&json!("discrete"), &json!(16), &json!("row 2 column 1"))
    );
    assert_eq!(lake.ask(json!({"op": "reset"}))["observation"], 0);
    assert_eq!(lake.ask(json!({"op": "step", "action": 1}))["observation"], 4);
    let mut game = Here::new("classic/breakout-10", json!({"sticky": 0}));
    let spec = game.ask(json!({"op": "spec"}))["spec"].clone();
    assert_eq!((&spec["observation"]["kind"], &spec["picture"]), (&json!("picture"), &json!([4, 10, 10])));
    let seen = game.ask(json!({"op": "reset"}))["observation"].clone();
    let paddle = |seen: &Value| seen[0][9].clone();
    assert_eq!(paddle(&seen), json!([0, 0, 0, 0, 1, 0, 0, 0, 0, 0]));
    assert_eq!((&seen[3][0], &seen[3][3]), (&json!([0u8; 10].to_vec()), &json!([1u8; 10].to_vec())));
    let next = game.ask(json!({"op": "step", "action": 2}))["observation"].clone();
    assert_eq!(paddle(&next), json!([0, 0, 0, 0, 0, 1, 0, 0, 0, 0]));
}

/// An episode that only its step limit ends is over too, where its state tells how old it is.
#[test]
fn an_episode_cut_off_is_over() {
    let mut sellers = Here::new("pricing/duopoly", json!({"periods": 2, "shown": 2}));
    sellers.ask(json!({"op": "reset"}));
    sellers.ask(json!({"op": "step", "action": [1, 2]}));
    let last = sellers.ask(json!({"op": "step", "action": [[1], [2]]}));
    assert_eq!((&last["truncated"], &last["over"]), (&json!(true), &json!(true)));
    let again = sellers.ask(json!({"op": "set_state", "state": {"state": last["final_state"]}}));
    assert_eq!(again["over"], true, "{again}");
    assert!(sellers.error(json!({"op": "step", "action": [1, 2]})).contains("over"));
}

#[test]
fn actions_have_one_shape_and_are_finite() {
    let mut sellers = Here::new("pricing/duopoly", json!({}));
    sellers.ask(json!({"op": "reset"}));
    for good in [json!([1, 2]), json!([[1], [2]])] {
        assert!(sellers.ask(json!({"op": "step", "action": good})).get("error").is_none());
    }
    for bad in [json!([[1, 2]]), json!([[1, 2], []]), json!([1, [2]]), json!([[[1]], [[2]]]), json!([1]), json!(1)] {
        sellers.error(json!({"op": "step", "action": bad}));
    }
    for bad in [json!([1.5, 1]), json!([1e300, 1]), json!([null, 1]), json!(["1", 1]), json!({}), json!([-1, 1])] {
        sellers.error(json!({"op": "step", "action": bad}));
    }
    let mut pendulum = Here::new("classic/pendulum", json!({}));
    pendulum.ask(json!({"op": "reset"}));
    for bad in ["1e999", "-1e999", "NaN", "null", "2.1", "1e300", "[]", "[0, 0]"] {
        let line = format!(r#"{{"op": "step", "action": {bad}}}"#);
        assert!(pendulum.0.answer(line.as_bytes()).get("error").is_some(), "{bad}");
    }
    let answer = pendulum.ask(json!({"op": "step", "action": [[0.5]]}));
    assert!(answer.get("error").is_none() && !answer.to_string().contains("null"), "{answer}");
}

#[test]
fn what_is_not_known_is_refused_with_a_hint_and_errors_are_short() {
    let mut env = Here::new("classic/cartpole", json!({}));
    assert!(env.error(json!({"op": "reset", "sead": 1})).contains("did you mean `seed`"));
    assert!(env.error(json!({"op": "close", "now": true})).contains("unknown key `now`"));
    assert!(env.error(json!([1])).contains("object"));
    assert!(env.error(json!({"op": 3})).contains("text"));
    env.ask(json!({"op": "reset"}));
    let long = "x".repeat(100_000);
    for request in [
        json!({"op": long}),
        json!({"op": "reset", (long.clone()): 1}),
        json!({"op": "reset", "seed": long}),
        json!({"op": "step", "action": long}),
        json!({"op": "set_state", "state": {"state": long}}),
        json!({"op": "set_state", "state": {"state": [long, 1, 1, 1]}}),
        json!({"op": "set_state", "state": {"state": [1, 1], (long.clone()): 1}}),
    ] {
        let why = env.error(request);
        assert!(why.chars().count() < 250, "{} characters", why.chars().count());
    }
    let mut chess = Here::new("games/chess", json!({}));
    chess.ask(json!({"op": "reset"}));
    assert!(chess.error(json!({"op": "set_state", "state": {"state": {"fen": long, "past": []}}})).len() < 300);
}

fn served(id: &str, input: &[u8]) -> Vec<Value> {
    let mut out = Vec::new();
    serve(Driver::new(id, &Map::new()).unwrap(), input, &mut out).unwrap();
    String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn long_lines_marks_and_bytes_that_are_no_text_are_survived() {
    let mut input = b"\xef\xbb\xbf{\"op\": \"reset\"}\r\n\n".to_vec();
    input.extend(std::iter::repeat_n(b'7', 3 * LONGEST));
    input.extend(b"\n\xff\xfe\n{\"op\": \"render\"}\n");
    input.extend(b"[".repeat(10_000));
    input.extend(b"\n{\"op\": \"close\"}\n{\"op\": \"reset\"}\n");
    let answers = served("classic/cartpole", &input);
    let told: Vec<bool> = answers.iter().map(|a| a.get("error").is_none()).collect();
    assert_eq!(told, [true, false, false, true, false, true], "{answers:?}");
    assert!(answers[1]["error"].as_str().unwrap().contains("longer than"));
    assert_eq!(answers[5], json!({"closed": true}), "nothing is answered after it");
    assert_eq!(served("classic/cartpole", b"{\"op\": \"reset\"}").len(), 1, "a last line without its end");
}

/// Damaged requests to every environment: each gets one short answer, numbers in it are finite, and the driver goes on.
/// `AGON_FUZZ` says how many to each.
#[test]
fn damaged_requests_do_no_harm() {
    let count: u32 = std::env::var("AGON_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    for (k, entry) in agon_envs::registry().iter().enumerate() {
        let (mut env, mut rng) = (Here::new(entry.id, json!({})), Rng::new(11, Stream::Eval, k as u32));
        let continuous = env.ask(json!({"op": "spec"}))["spec"]["action"]["kind"] == "continuous";
        let mut seen = env.ask(json!({"op": "reset", "seed": 1}));
        for i in 0..count {
            if seen["over"] == true || i % 50 == 0 {
                seen = env.ask(json!({"op": "reset", "seed": rng.below(9)}));
            }
            let agents = seen["legal"].as_array().filter(|rows| rows.iter().all(Value::is_array));
            let mut pick = |row: &Value| {
                let row = row.as_array().map_or(&[] as &[Value], |r| r);
                row.get(rng.below(row.len().max(1) as u32) as usize).cloned().unwrap_or(json!(0))
            };
            let action = match agents {
                _ if continuous => json!([1.0, 1.0, 1.0]),
                Some(rows) => rows.iter().map(&mut pick).collect(),
                None => pick(&seen["legal"]),
            };
            let mut request = match rng.below(5) {
                0 | 1 => json!({"op": "step", "action": action}),
                2 | 3 => json!({"op": "set_state", "state": env.ask(json!({"op": "get_state"}))["state"]}),
                _ => json!({"op": (["reset", "legal", "render", "spec"][rng.below(4) as usize])}),
            };
            if rng.below(4) > 0 {
                damage(&mut request, &mut rng);
            }
            let asked = std::panic::AssertUnwindSafe(|| env.ask(request.clone()));
            let answer = std::panic::catch_unwind(asked).unwrap_or_else(|_| panic!("{}: {request}", entry.id));
            match answer["error"].as_str() {
                Some(why) => assert!(why.chars().count() < 250, "{}: {why}", entry.id),
                None => {
                    let numbers = [&answer["observation"], &answer["reward"], &answer["returns"]];
                    let whole = numbers.iter().all(|n| n.is_null() || !n.to_string().contains("null"));
                    assert!(whole, "{}: {request}: {answer}", entry.id);
                    if answer.get("observation").is_some() {
                        seen = answer;
                    }
                }
            }
        }
    }
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
