//! `agon drive`: any language can drive an environment, by JSON lines. Every request gets one line; a bad one gets
//! `{"error": …}` and the process lives on. The protocol is written down in docs/runs.md.

use crate::cli;
use crate::failure::{Failure, Outcome, write_plain};
use crate::raster::{Orbit, Picture};
use crate::text;
use agon_core::episode::Solo;
use agon_core::game::{Position, Turn};
use agon_core::rng::Stream;
use agon_core::scene::Space;
use agon_core::settings::{hint, nearest, unknown_keys};
use agon_core::spec::ActionSpec;
use agon_core::{Actions, Entry, EnvError, Scene, View};
use serde_json::{Map, Value, json};
use std::io::{BufRead, Read, Write};

/// The longest line that is read, in bytes.
pub const LONGEST: usize = 1 << 20;
/// The longest error, in characters; of a longer one the middle is left out.
const LONGEST_ERROR: usize = 240;

pub fn run(args: &cli::Drive) -> Outcome {
    let mut settings = Map::new();
    for set in &args.set {
        let (key, value) =
            set.split_once('=').ok_or_else(|| Failure::Input(format!("--set {set}: write it as key=value")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        settings.insert(key.trim().into(), value);
    }
    let driver = Driver::new(&args.env, &settings).map_err(|e| Failure::Input(e.to_string()))?;
    let out = std::io::BufWriter::new(std::io::stdout().lock());
    serve(driver, std::io::stdin().lock(), out).map_err(|e| Failure::Input(format!("stdin: {e}")))
}

/// Answers every line of `input` until its end, until `close`, or until nobody reads the answers.
pub fn serve(mut driver: Driver, mut input: impl BufRead, mut out: impl Write) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let whole = line.len() <= LONGEST || line.ends_with(b"\n");
        if !whole {
            skip_line(&mut input)?;
        }
        let requests = match text::line(&line) {
            _ if !whole => Err(format!("a line must not be longer than {LONGEST} bytes")),
            other => other,
        };
        // Where lines end with a carriage return alone, several come at once.
        let answers: Vec<Value> = match &requests {
            Ok(text) => text.lines().filter(|l| !l.trim().is_empty()).map(|l| driver.answer(l.as_bytes())).collect(),
            Err(why) => vec![json!({ "error": why })],
        };
        let text: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
        // A reader that went away is the ordinary end.
        let written = write_plain(&mut out, &text).and_then(|()| out.flush());
        if written.is_err() || driver.closed {
            return Ok(());
        }
    }
}

/// Reads on to the end of a line and keeps none of it.
fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let part = input.fill_buf()?;
        let (length, ends) = match part.iter().position(|b| *b == b'\n') {
            Some(at) => (at + 1, true),
            None => (part.len(), part.is_empty()),
        };
        input.consume(length);
        if ends {
            return Ok(());
        }
    }
}

/// One environment and the requests to it.
pub struct Driver {
    entry: Entry,
    settings: Map<String, Value>,
    solo: Solo,
    ready: bool,
    closed: bool,
}

/// The requests, and the keys that each takes beside `op`.
const OPS: [(&str, &[&str]); 8] = [
    ("reset", &["seed"]),
    ("step", &["action"]),
    ("get_state", &[]),
    ("set_state", &["state"]),
    ("legal", &[]),
    ("render", &[]),
    ("spec", &[]),
    ("close", &[]),
];

/// A list for a single agent, a list by agent for several.
fn by_agent<T: Into<Value>>(rows: impl Iterator<Item = T>, agents: usize) -> Value {
    let mut rows: Vec<Value> = rows.map(Into::into).collect();
    if agents == 1 { rows.remove(0) } else { Value::Array(rows) }
}

/// An error without the middle where it is long: it may quote what was asked.
fn brief(why: String) -> String {
    let length = why.chars().count();
    if length <= LONGEST_ERROR {
        return why;
    }
    let head: String = why.chars().take(LONGEST_ERROR / 2).collect();
    let tail: String = why.chars().skip(length - LONGEST_ERROR / 3).collect();
    format!("{head} … {tail}")
}

impl Driver {
    /// The environment of this name with these settings.
    pub fn new(id: &str, settings: &Map<String, Value>) -> Result<Self, EnvError> {
        let entry = agon_envs::find(id)?;
        let mut solo = Solo::new(entry.build(settings, 1, 1)?);
        solo.reset(0, Stream::Env);
        Ok(Self { settings: entry.resolve(settings)?, entry, solo, ready: false, closed: false })
    }

    /// The answer to one line.
    pub fn answer(&mut self, line: &[u8]) -> Value {
        self.answered(line).unwrap_or_else(|why| json!({ "error": brief(why) }))
    }

    fn answered(&mut self, line: &[u8]) -> Result<Value, String> {
        let request: Value = serde_json::from_slice(line).map_err(|e| format!("not a JSON line: {e}"))?;
        let request = request.as_object().ok_or("a request is an object: {\"op\": \"reset\"}")?;
        let op = request.get("op").ok_or("the key `op` is missing")?;
        let op = op.as_str().ok_or("`op` must be text")?;
        let Some((_, takes)) = OPS.iter().find(|(name, _)| *name == op) else {
            let short: String = op.chars().take(60).collect();
            let near = nearest(&short, OPS.iter().map(|(name, _)| *name));
            return Err(format!("no op is called `{short}`{}", hint(&near)));
        };
        let known: Vec<&str> = std::iter::once("op").chain(takes.iter().copied()).collect();
        if let Some(issue) = unknown_keys(request, &known).first() {
            return Err(format!("{op}: {}", issue.message));
        }
        if !self.ready && !matches!(op, "reset" | "set_state" | "spec" | "close") {
            return Err("reset first".into());
        }
        match op {
            "reset" => {
                let seed = match request.get("seed") {
                    None => 0,
                    Some(seed) => seed.as_u64().ok_or("`seed` must be an integer, 0 or more")?,
                };
                self.solo.reset(seed, Stream::Env);
                self.ready = true;
                Ok(Value::Object(self.shown()))
            }
            "step" => self.step(request.get("action").ok_or("the key `action` is missing")?),
            "get_state" => Ok(json!({ "state": self.solo.env().save(0, View::Now) })),
            "set_state" => {
                let state = request.get("state").ok_or("the key `state` is missing")?;
                if state.get("state").is_none() {
                    return Err("`state` must be what get_state gave: an object with the key `state`".into());
                }
                self.solo.restore(state).map_err(|e| e.to_string())?;
                self.ready = true;
                Ok(Value::Object(self.shown()))
            }
            "legal" => Ok(json!({ "legal": self.legal() })),
            "render" => Ok(json!({ "text": self.render() })),
            "spec" => Ok(self.spec()),
            _ => {
                self.closed = true;
                Ok(json!({ "closed": true }))
            }
        }
    }

    fn spec(&self) -> Value {
        let env = self.solo.env();
        let players: Vec<Value> = env.players().iter().map(|p| json!({"name": p.name, "about": p.about})).collect();
        let mut answer = json!({
            "env": self.entry.id,
            "version": self.entry.version,
            "settings": self.settings,
            "spec": env.spec(),
            "players": players,
        });
        if let Some(position) = env.position(0, View::Now) {
            answer["seats"] = json!(position.seats);
        }
        answer
    }

    /// The state that the last answer described, in words.
    fn render(&self) -> String {
        let mut scene = Scene::default();
        let (env, view) = (self.solo.env(), self.solo.view());
        env.draw(0, view, &mut scene);
        let board = env.position(0, view).map(|p| p.text.trim_end().to_owned());
        // Something of the picture itself, where there is no board to print.
        let picture = |space: &Space| Picture::new(space, Orbit::default(), 128, 96).text();
        let board = board.or(scene.space.as_ref().map(picture));
        let notes = scene.notes.iter().map(|(k, v)| format!("{k}: {v}"));
        board.into_iter().chain(notes).collect::<Vec<_>>().join("\n")
    }

    /// What an answer says of the state that a reset, a step or `set_state` led to.
    fn shown(&self) -> Map<String, Value> {
        self.described(self.solo.view(), self.solo.over(), &self.solo.obs)
    }

    fn described(&self, view: View, over: bool, obs: &[f32]) -> Map<String, Value> {
        let spec = self.solo.env().spec();
        let mut answer = Map::new();
        let rows = obs.chunks(spec.obs_len()).map(|row| spec.observation.to_json(row));
        answer.insert("observation".into(), by_agent(rows, spec.agents));
        answer.insert("over".into(), over.into());
        let position = self.solo.env().position(0, view);
        if spec.masked {
            let none = (0..spec.agents).map(|_| Value::Array(Vec::new()));
            answer.insert("legal".into(), if over { by_agent(none, spec.agents) } else { self.legal() });
        }
        if let Some(names) = self.names(position.as_ref(), over) {
            answer.insert("actions".into(), names);
        }
        if let Some(Position { turn, returns, chance, information, .. }) = position {
            let turn = match turn {
                _ if over => Value::Null,
                Turn::Player(player) => player.into(),
                Turn::Chance => "chance".into(),
                Turn::Over => Value::Null,
            };
            answer.insert("turn".into(), turn);
            answer.insert("returns".into(), returns.into());
            let outcome = |(outcome, p): (u16, f64)| json!({"outcome": outcome, "probability": p});
            answer.insert("chance".into(), chance.into_iter().map(outcome).collect());
            answer.insert("information_state".into(), information.into());
        }
        answer
    }

    /// The names of the legal actions, in the order of `legal`; none where they have no names.
    fn names(&self, position: Option<&Position>, over: bool) -> Option<Value> {
        let spec = self.solo.env().spec();
        match (position, &spec.action) {
            (Some(_), _) if over => Some(json!([])),
            (Some(position), _) => Some(position.moves.iter().map(|(_, name)| name.as_str()).collect()),
            (None, ActionSpec::Discrete { labels }) => {
                let row = |legal: Vec<usize>| legal.into_iter().map(|a| labels[a].as_str()).collect::<Value>();
                let rows = self.legal_rows().into_iter().map(|legal| row(if over { Vec::new() } else { legal }));
                Some(by_agent(rows, spec.agents))
            }
            _ => None,
        }
    }

    /// What the next step may choose.
    fn legal(&self) -> Value {
        let rows = self.legal_rows();
        if rows.is_empty() { json!([]) } else { by_agent(rows.into_iter(), self.solo.env().spec().agents) }
    }

    /// The same, a list an agent; no lists where actions are numbers.
    fn legal_rows(&self) -> Vec<Vec<usize>> {
        let spec = self.solo.env().spec();
        let width = spec.action.mask_len();
        let row = |agent: usize| {
            let mask = self.solo.mask.get(agent * width..(agent + 1) * width);
            (0..width).filter(|a| mask.is_none_or(|m| m[*a])).collect()
        };
        if width == 0 { Vec::new() } else { (0..spec.agents).map(row).collect() }
    }

    fn step(&mut self, action: &Value) -> Result<Value, String> {
        let spec = self.solo.env().spec().clone();
        if self.solo.over() && self.solo.view() == View::Now {
            return Err("the episode is over in this state: reset, or set another state".into());
        }
        let numbers = numbers(action, spec.agents, spec.action.len())?;
        let ended = if let ActionSpec::Continuous { fields } = &spec.action {
            let numbers: Option<Vec<f32>> = numbers.iter().map(|x| x.as_f64().map(|x| x as f32)).collect();
            let numbers = numbers.ok_or("`action` must hold numbers")?;
            for (x, f) in numbers.iter().zip(fields.iter().cycle()) {
                if !(*x >= f.low && *x <= f.high) {
                    return Err(format!("`{}` = {x} must lie in [{}, {}]", f.name, f.low, f.high));
                }
            }
            self.stepped(Actions::Continuous(&numbers))?
        } else {
            let choices: Option<Vec<i64>> = numbers.iter().map(|x| x.as_i64()).collect();
            self.stepped(Actions::Discrete(&choices.ok_or("`action` must hold integers")?))?
        };
        let mut answer = self.shown();
        let rewards = self.solo.reward.iter().map(|r| json!(r));
        answer.insert("reward".into(), by_agent(rewards, spec.agents));
        answer.insert("terminated".into(), ended.0.into());
        answer.insert("truncated".into(), ended.1.into());
        if self.solo.over() {
            answer.insert("final_state".into(), self.solo.env().save(0, View::Final)["state"].take());
            // The next step plays on from here.
            answer.insert("next".into(), self.described(View::Now, false, &self.solo.next_obs()).into());
        }
        Ok(Value::Object(answer))
    }

    fn stepped(&mut self, actions: Actions<'_>) -> Result<(bool, bool), String> {
        self.solo.takes(actions)?;
        Ok(self.solo.step(actions))
    }
}

/// The numbers of an action: one alone where one is all, a flat list, or a list by agent of lists.
fn numbers(action: &Value, agents: usize, len: usize) -> Result<Vec<&Value>, String> {
    let expected = agents * len;
    let flat: Vec<&Value> = match action {
        Value::Array(rows) if rows.iter().any(Value::is_array) => {
            let row = |row: &'_ Value| row.as_array().is_some_and(|row| row.len() == len);
            if rows.len() != agents || !rows.iter().all(row) {
                return Err(format!("`action` must be a list of {expected} numbers, or {agents} lists of {len}"));
            }
            rows.iter().filter_map(Value::as_array).flatten().collect()
        }
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    };
    if flat.len() != expected {
        return Err(format!("`action` must hold {expected} numbers, not {}", flat.len()));
    }
    Ok(flat)
}
