//! `agon drive`: any language can drive an environment, by JSON lines. Every request gets one line; a bad one gets
//! `{"error": …}` and the process lives on.

use crate::cli;
use crate::failure::{Failure, Outcome};
use agon_core::episode::Solo;
use agon_core::rng::Stream;
use agon_core::spec::ActionSpec;
use agon_core::{Actions, Scene};
use serde_json::{Map, Value, json};
use std::io::{BufRead, Write};

pub fn run(args: &cli::Drive) -> Outcome {
    let entry = agon_envs::find(&args.env).map_err(|e| Failure::Input(e.to_string()))?;
    let mut settings = Map::new();
    for set in &args.set {
        let (key, value) =
            set.split_once('=').ok_or_else(|| Failure::Input(format!("--set {set}: write it as key=value")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        settings.insert(key.trim().into(), value);
    }
    let env = entry.build(&settings, 1, 1).map_err(|e| Failure::Input(e.to_string()))?;
    let mut driver = Driver { solo: Solo::new(env), ready: false };
    let (stdin, stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut out = std::io::BufWriter::new(stdout);
    for line in stdin.split(b'\n') {
        let line = line.map_err(|e| Failure::Input(format!("stdin: {e}")))?;
        let text = crate::text::line(&line);
        let requests = match &text {
            Ok(text) => text.lines().filter(|l| !l.trim().is_empty()).map(Ok).collect(),
            Err(why) => vec![Err(why.clone())],
        };
        for request in requests {
            let answer = request.and_then(|l| driver.answer(l)).unwrap_or_else(|why| json!({ "error": why }));
            // A reader that went away is the ordinary end.
            if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

struct Driver {
    solo: Solo,
    ready: bool,
}

/// One number or list for a single agent, a list by agent for several.
fn by_agent<T: Clone + Into<Value>>(numbers: &[T], agents: usize) -> Value {
    let rows =
        numbers.chunks(numbers.len() / agents).map(|row| Value::Array(row.iter().cloned().map(Into::into).collect()));
    let mut rows: Vec<Value> = rows.collect();
    if agents == 1 { rows.remove(0) } else { Value::Array(rows) }
}

impl Driver {
    fn answer(&mut self, line: &str) -> Result<Value, String> {
        let request: Value = serde_json::from_str(line).map_err(|e| format!("not a JSON line: {e}"))?;
        let op = request["op"].as_str().ok_or("the key `op` is missing")?;
        const OPS: [&str; 6] = ["reset", "step", "get_state", "set_state", "legal", "render"];
        if !OPS.contains(&op) {
            let near = agon_core::settings::nearest(op, OPS);
            return Err(format!("no op is called `{op}`{}", agon_core::settings::hint(&near)));
        }
        if !self.ready && !matches!(op, "reset" | "set_state") {
            return Err("reset first".into());
        }
        match op {
            "reset" => {
                let seed = match &request["seed"] {
                    Value::Null => 0,
                    seed => seed.as_u64().ok_or("`seed` must be a whole number, 0 or more")?,
                };
                self.solo.reset(seed, Stream::Env);
                self.ready = true;
                Ok(self.observed(Map::new()))
            }
            "step" => self.step(&request["action"]),
            "get_state" => Ok(json!({ "state": self.solo.env().save(0, agon_core::View::Now) })),
            "set_state" => {
                if request["state"].get("state").is_none() {
                    return Err("`state` must be what get_state gave: an object with the key `state`".into());
                }
                if !self.ready {
                    self.solo.reset(0, Stream::Env);
                }
                self.solo.restore(&request["state"]).map_err(|e| e.to_string())?;
                self.ready = true;
                Ok(self.observed(Map::new()))
            }
            "legal" => Ok(json!({ "legal": self.legal() })),
            _ => Ok(json!({ "text": self.render() })),
        }
    }

    fn render(&self) -> String {
        let mut scene = Scene::default();
        self.solo.env().draw(0, self.solo.view(), &mut scene);
        scene.notes.iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>().join("\n")
    }

    fn observed(&self, mut answer: Map<String, Value>) -> Value {
        let agents = self.solo.env().spec().agents;
        answer.insert("observation".into(), by_agent(&self.solo.obs, agents));
        if self.solo.env().spec().masked {
            answer.insert("legal".into(), self.legal());
        }
        Value::Object(answer)
    }

    fn legal(&self) -> Value {
        let spec = self.solo.env().spec();
        let mask = if spec.masked { self.solo.mask.clone() } else { vec![true; spec.agents * spec.action.mask_len()] };
        if mask.is_empty() {
            return Value::Array(Vec::new());
        }
        let rows = mask.chunks(mask.len() / spec.agents);
        let mut rows: Vec<Value> =
            rows.map(|row| row.iter().enumerate().filter(|(_, m)| **m).map(|(i, _)| i).collect()).collect();
        if spec.agents == 1 { rows.remove(0) } else { Value::Array(rows) }
    }

    fn step(&mut self, action: &Value) -> Result<Value, String> {
        let spec = self.solo.env().spec().clone();
        let expected = spec.agents * spec.action.len();
        let list = match action {
            Value::Array(list) => {
                list.iter().flat_map(|a| a.as_array().cloned().unwrap_or_else(|| vec![a.clone()])).collect()
            }
            Value::Null => return Err("the key `action` is missing".into()),
            one => vec![one.clone()],
        };
        if list.len() != expected {
            return Err(format!("`action` must hold {expected} numbers, not {}", list.len()));
        }
        let ended = if let ActionSpec::Continuous { fields } = &spec.action {
            let numbers: Option<Vec<f32>> = list.iter().map(|a| a.as_f64().map(|x| x as f32)).collect();
            let numbers = numbers.ok_or("`action` must hold numbers")?;
            for (x, f) in numbers.iter().zip(fields.iter().cycle()) {
                if !(*x >= f.low && *x <= f.high) {
                    return Err(format!("`{}` = {x} must lie in [{}, {}]", f.name, f.low, f.high));
                }
            }
            self.solo.step(Actions::Continuous(&numbers))
        } else {
            let choices: Option<Vec<i64>> = list.iter().map(Value::as_i64).collect();
            let choices = choices.ok_or("`action` must hold whole numbers")?;
            let mut from = 0;
            for (c, n) in choices.iter().zip(spec.action.choices().iter().cycle()) {
                if *c < 0 || *c >= *n as i64 {
                    return Err(format!("choice {c} must lie in 0..{n}"));
                }
                if spec.masked && !self.solo.mask[from + *c as usize] {
                    return Err(format!("choice {c} is not legal here"));
                }
                from += n;
            }
            self.solo.step(Actions::Discrete(&choices))
        };
        let mut answer = Map::new();
        answer.insert("reward".into(), {
            let rewards: Vec<Value> = self.solo.reward.iter().map(|r| json!(r)).collect();
            if spec.agents == 1 { rewards[0].clone() } else { Value::Array(rewards) }
        });
        answer.insert("terminated".into(), ended.0.into());
        answer.insert("truncated".into(), ended.1.into());
        if ended.0 || ended.1 {
            let last = self.solo.env().save(0, agon_core::View::Final);
            answer.insert("final_state".into(), last["state"].clone());
        }
        Ok(self.observed(answer))
    }
}
