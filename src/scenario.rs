//! Scenario files as text: TOML with the place of every key, `--set`, and errors with line, caret and suggestion.

use crate::failure::{Failure, Outcome};
use crate::text;
use agon_core::settings::{Issue, hint};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// A scenario as written, and where each of its keys stands.
#[derive(Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    text: String,
    /// The whole of it.
    pub table: Map<String, Value>,
    places: HashMap<Vec<String>, (Range<usize>, Range<usize>)>,
    overridden: HashMap<Vec<String>, String>,
}

/// The tables a scenario can have.
const TABLES: [&str; 17] = [
    "name",
    "about",
    "env",
    "agent",
    "features",
    "model",
    "data",
    "pictures",
    "log",
    "train",
    "eval",
    "report",
    "search",
    "fit",
    "demand",
    "tournament",
    "entrants",
];

impl Source {
    /// Reads a file and applies `--set a.b=c` in order.
    pub fn read(path: &Path, sets: &[String]) -> Outcome<Self> {
        if !path.exists() {
            return Err(Failure::Input(format!("no scenario at {}{}", path.display(), crate::embedded::instead(path))));
        }
        let text = text::read(path)?;
        Self::parse(path, text, sets)
    }

    /// The same from text.
    pub fn parse(path: &Path, text: String, sets: &[String]) -> Outcome<Self> {
        let mut source = Self {
            path: path.to_owned(),
            table: Map::new(),
            places: HashMap::new(),
            overridden: HashMap::new(),
            text: String::new(),
        };
        match DeTable::parse(&text) {
            Ok(table) => source.table = convert(table.get_ref(), &mut Vec::new(), &mut source.places),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                return Err(Failure::Input(caret(path, &text, span, error.message())));
            }
        }
        source.text = text;
        for set in sets {
            source.set(set)?;
        }
        let issues = agon_core::settings::unknown_keys(&source.table, &TABLES);
        if issues.is_empty() { Ok(source) } else { Err(source.wrong(&issues)) }
    }

    fn set(&mut self, set: &str) -> Outcome {
        let wrong = |why: &str| Failure::Input(format!("--set {set}: {why}"));
        let (path, value) = set.split_once('=').ok_or_else(|| wrong("write it as table.key=value"))?;
        let path: Vec<String> = path.split('.').map(|p| p.trim().to_owned()).collect();
        let [tables @ .., key] = &path[..] else { return Err(wrong("write it as table.key=value")) };
        if tables.is_empty() || path.iter().any(String::is_empty) {
            return Err(wrong("write it as table.key=value"));
        }
        // A value that is not TOML by itself is meant as text.
        let parsed = DeTable::parse(&format!("x = {value}"))
            .ok()
            .and_then(|t| convert(t.get_ref(), &mut Vec::new(), &mut HashMap::new()).remove("x"));
        let mut table = &mut self.table;
        for name in tables {
            let next = table.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            table = next.as_object_mut().ok_or_else(|| wrong("that is not a table"))?;
        }
        table.insert(key.clone(), parsed.unwrap_or_else(|| value.into()));
        self.overridden.insert(path, set.to_owned());
        Ok(())
    }

    /// Sets the seed, in place of a list of seeds.
    pub fn set_seed(&mut self, seed: u64) -> Outcome {
        self.set(&format!("train.seed={seed}"))?;
        if let Some(Value::Object(train)) = self.table.get_mut("train") {
            train.remove("seeds");
        }
        Ok(())
    }

    /// Whether `--set` named a key: `["train", "seed"]`.
    pub fn is_overridden(&self, path: &[&str]) -> bool {
        self.overridden.keys().any(|key| key.iter().map(String::as_str).eq(path.iter().copied()))
    }

    /// A table by name, empty if absent.
    pub fn section(&self, name: &str) -> Outcome<Map<String, Value>> {
        match self.table.get(name) {
            None => Ok(Map::new()),
            Some(Value::Object(table)) => Ok(table.clone()),
            Some(_) => Err(self.wrong(&[Issue::value(name, "expected a table")])),
        }
    }

    /// Takes a required word out of a section: `env.id`, `agent.kind`.
    pub fn word(&self, section: &str, table: &mut Map<String, Value>, key: &str) -> Outcome<String> {
        match table.remove(key) {
            Some(Value::String(word)) => Ok(word),
            Some(_) => Err(self.wrong(&[Issue::value(key, "expected text").within(section)])),
            None => {
                let issue =
                    Issue { path: vec![section.into()], at_key: true, message: format!("`{key}` is missing here") };
                Err(self.wrong(&[issue]))
            }
        }
    }

    /// All issues as one message, each with its place.
    pub fn wrong(&self, issues: &[Issue]) -> Failure {
        Failure::Input(issues.iter().map(|i| self.place(i)).collect::<Vec<_>>().join("\n\n"))
    }

    /// The scenario's name, which is where its runs go: its own, or else its file's.
    pub fn name(&self, path: &Path) -> Outcome<String> {
        let Some(Value::String(name)) = self.table.get("name") else { return Ok(name_of(path)) };
        let mut parts = Path::new(name).components().peekable();
        if parts.peek().is_some() && parts.all(|p| matches!(p, Component::Normal(_))) {
            return Ok(name.clone());
        }
        let message = format!("`{name}` is no place for runs: write folders below each other, such as pricing/mine");
        Err(self.wrong(&[Issue::value("name", message)]))
    }

    fn place(&self, issue: &Issue) -> String {
        if let Some(set) = self.overridden.get(&issue.path) {
            return format!("--set {set}: {}", issue.message);
        }
        // The nearest table that stands in the file, if the key itself does not.
        let mut path = issue.path.clone();
        while !path.is_empty() && !self.places.contains_key(&path) {
            path.pop();
        }
        match self.places.get(&path) {
            None => format!("{}: {issue}", self.path.display()),
            Some((key, value)) => {
                let exact = path.len() == issue.path.len();
                let span = if issue.at_key || !exact { key } else { value };
                let name = if exact { String::new() } else { format!("{}: ", issue.path.join(".")) };
                caret(&self.path, &self.text, span.clone(), &format!("{name}{}", issue.message))
            }
        }
    }

    /// An error in naming something registered.
    pub fn unknown(&self, section: &str, key: &str, what: &str, near: &Option<String>) -> Failure {
        self.wrong(&[Issue::value(key, format!("{what}{}", hint(near))).within(section)])
    }
}

fn convert(
    table: &DeTable<'_>,
    path: &mut Vec<String>,
    places: &mut HashMap<Vec<String>, (Range<usize>, Range<usize>)>,
) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        places.insert(path.clone(), (key.span(), value.span()));
        out.insert(key.get_ref().to_string(), convert_value(value.get_ref(), path, places));
        path.pop();
    }
    out
}

fn convert_value(
    value: &DeValue<'_>,
    path: &mut Vec<String>,
    places: &mut HashMap<Vec<String>, (Range<usize>, Range<usize>)>,
) -> Value {
    match value {
        DeValue::String(s) => s.as_ref().into(),
        DeValue::Integer(i) => {
            let digits: String = i.as_str().chars().filter(|c| *c != '_').collect();
            i64::from_str_radix(&digits, i.radix()).map_or_else(|_| digits.into(), Value::from)
        }
        DeValue::Float(f) => {
            let digits: String = f.as_str().chars().filter(|c| *c != '_').collect();
            // inf and nan are no JSON numbers; as text they fail the type check with their own spelling.
            digits
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map_or_else(|| digits.into(), Value::Number)
        }
        DeValue::Boolean(b) => (*b).into(),
        DeValue::Datetime(d) => d.to_string().into(),
        DeValue::Array(a) => {
            let one = |(place, v): (usize, &toml::Spanned<DeValue<'_>>)| {
                path.push(place.to_string());
                places.insert(path.clone(), (v.span(), v.span()));
                let value = convert_value(v.get_ref(), path, places);
                path.pop();
                value
            };
            (1..).zip(a.iter()).map(one).collect()
        }
        DeValue::Table(t) => Value::Object(convert(t, path, places)),
    }
}

/// `scenarios/pricing/tuna.toml` is called `pricing/tuna`.
fn name_of(path: &Path) -> String {
    let parts: Vec<String> = path.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
    match parts.iter().rposition(|p| p == "scenarios") {
        Some(at) => parts[at + 1..].join("/"),
        None => parts.last().cloned().unwrap_or_else(|| "scenario".into()),
    }
}

/// `file:line:column: message`, the line, and a caret below the place.
fn caret(path: &Path, text: &str, span: Range<usize>, message: &str) -> String {
    let start = span.start.min(text.len());
    let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
    let line = &text[line_start..line_end];
    let number = text[..start].matches('\n').count() + 1;
    let column = text[line_start..start].chars().count();
    let width = text[start..span.end.clamp(start, line_end)].chars().count().max(1);
    // A long line is cut around the place.
    let from = column.saturating_sub(60);
    let shown: String = line.chars().skip(from).take(110).collect();
    let gutter = number.to_string();
    let pad = " ".repeat(gutter.len());
    let mark = format!("{}{}", " ".repeat(column - from), "^".repeat(width.min(110)));
    let place = format!("{}:{number}:{}", path.display(), column + 1);
    format!("{message}\n {pad}--> {place}\n {pad} |\n {gutter} | {shown}\n {pad} | {mark}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, sets: &[&str]) -> Outcome<Source> {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        Source::parse(Path::new("x.toml"), text.into(), &sets)
    }

    #[test]
    fn errors_point_at_their_place() {
        let source = parse("about = 'x'\n[train]\nsteps = 1\nstpes = 2\n", &[]).unwrap();
        let message = source.wrong(&[Issue::key("stpes", "unknown key").within("train")]).to_string();
        assert_eq!(message, "unknown key\n  --> x.toml:4:1\n   |\n 4 | stpes = 2\n   | ^^^^^");
        let message = source.wrong(&[Issue::value("steps", "too few").within("train")]).to_string();
        assert!(message.contains("x.toml:3:9") && message.ends_with("        ^"), "{message}");
    }

    #[test]
    fn broken_toml_and_unknown_tables_are_input_errors() {
        assert_eq!(parse("a = ", &[]).unwrap_err().code(), 2);
        let message = parse("[agnet]\nkind = 'ppo'", &[]).unwrap_err().to_string();
        assert!(message.contains("did you mean `agent`"), "{message}");
    }

    #[test]
    fn set_replaces_and_adds() {
        let source =
            parse("train = { steps = 1 }", &["train.steps=2_000", "agent.kind=ppo", "env.x=[1, 2.5]"]).unwrap();
        assert_eq!(source.table["train"]["steps"], 2000);
        assert_eq!(source.table["agent"]["kind"], "ppo");
        assert_eq!(source.table["env"]["x"], serde_json::json!([1, 2.5]));
        let message = source.wrong(&[Issue::value("steps", "too many").within("train")]).to_string();
        assert_eq!(message, "--set train.steps=2_000: too many");
        assert_eq!(parse("", &["steps"]).unwrap_err().code(), 2);
    }
}
