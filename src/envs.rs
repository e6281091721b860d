//! `agon envs`: what there is to simulate. The same printing serves `agon agents`.

use crate::cli::List;
use crate::failure::{Failure, Outcome};
use agon_core::settings::{Declared, hint, nearest};
use agon_core::{ActionSpec, EnvError, Field, Observation, Spec};
use serde_json::{Map, Value, json};

/// One thing to list.
pub struct Item {
    pub name: &'static str,
    pub about: &'static str,
    pub verified: &'static str,
    pub settings: Vec<Declared>,
    /// Lines between the headline and the settings.
    pub more: Vec<String>,
    pub json: Value,
}

pub fn run(args: &List) -> Outcome {
    let items = agon_envs::registry().into_iter().map(|entry| {
        let (mut more, spec) = match entry.build(&Map::new(), 1, 1) {
            Ok(env) => {
                let spec = env.spec();
                let about = vec![
                    format!("observation: {}", observation(spec)),
                    format!("action:      {}", action(spec)),
                    format!("agents: {}, at most {} steps", spec.agents, spec.step_limit),
                ];
                (about, json!(spec))
            }
            // What it needs can be fetched; what it is can be read meanwhile.
            Err(EnvError::Missing(why)) => (vec![why], Value::Null),
            Err(e) => return Err(Failure::Internal(format!("{}: {e}", entry.id))),
        };
        more.extend(entry.players.iter().map(|p| format!("player {}: {}", p.name, p.about)));
        let players: Vec<&str> = entry.players.iter().map(|p| p.name).collect();
        let json = json!({"version": entry.version, "spec": spec, "players": players});
        Ok(Item {
            name: entry.id,
            about: entry.about,
            verified: entry.verified,
            settings: entry.declared(),
            more,
            json,
        })
    });
    list(items.collect::<Outcome<Vec<_>>>()?, args, "environment")
}

/// Prints all items in short, or one in full.
pub fn list(items: Vec<Item>, args: &List, what: &str) -> Outcome {
    let chosen: Vec<&Item> = match &args.name {
        None => items.iter().collect(),
        Some(name) => match items.iter().find(|i| i.name == name) {
            Some(item) => vec![item],
            None if items.iter().any(|i| in_family(i.name, name)) => {
                let family = items.into_iter().filter(|i| in_family(i.name, name)).collect();
                return list(family, &List { name: None, json: args.json }, what);
            }
            None => {
                let near = nearest(name, items.iter().map(|i| i.name));
                return Err(Failure::Input(format!("no {what} is called `{name}`{}", hint(&near))));
            }
        },
    };
    if args.json.json {
        let all: Vec<Value> = chosen.iter().map(|i| i.to_json()).collect();
        crate::say!("{}", Value::Array(all));
        return Ok(());
    }
    if args.name.is_none() {
        let width = chosen.iter().map(|item| item.name.len()).max().unwrap_or(0).max(22);
        for item in chosen {
            crate::say!("{:<width$} {}", item.name, item.about);
        }
        crate::say!("\nOne in full: name it. All for programs: --json.");
        return Ok(());
    }
    for item in chosen {
        crate::say!("{}: {}", item.name, item.about);
        item.more.iter().for_each(|line| crate::say!("  {line}"));
        crate::say!("  verified by {}", item.verified);
        crate::say!("\n  parameters");
        parameters(&item.settings);
    }
    Ok(())
}

/// Prints settings for people.
pub fn parameters(settings: &[Declared]) {
    for s in settings {
        let default = short(&s.default);
        let range = s.range.as_ref().map_or(String::new(), |r| format!(", {r}"));
        crate::say!("  {:<24} {} [{}{range}]", s.name, s.about, s.kind);
        crate::say!("  {:<24} default {default}", "");
    }
}

/// Whether a name such as `classic/cartpole` belongs to a family such as `classic`.
fn in_family(name: &str, family: &str) -> bool {
    name.split_once('/').is_some_and(|(f, _)| f == family.trim_end_matches('/'))
}

/// A list that people can read: long ones by their ends.
fn few(mut names: Vec<String>) -> String {
    const MOST: usize = 24;
    let n = names.len();
    if n > MOST {
        names.splice(MOST / 2..n - 2, ["…".to_owned()]);
        return format!("{n} numbers: {}", names.join(", "));
    }
    names.join(", ")
}

impl Item {
    fn to_json(&self) -> Value {
        let setting = |s: &Declared| json!({"name": s.name, "kind": s.kind, "default": s.default, "range": s.range, "about": s.about});
        let settings: Vec<Value> = self.settings.iter().map(setting).collect();
        let mut out = json!({
            "name": self.name, "about": self.about, "verified": self.verified, "settings": settings,
        });
        if let (Some(out), Some(more)) = (out.as_object_mut(), self.json.as_object()) {
            out.extend(more.clone());
        }
        out
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.len() > 60 { format!("{}…", text.chars().take(58).collect::<String>()) } else { text }
}

fn observation(spec: &Spec) -> String {
    match &spec.observation {
        Observation::Discrete { n, labels } if labels.is_empty() => format!("one of {n}"),
        Observation::Discrete { n, labels } => one_of(*n, labels),
        Observation::Picture(picture) => {
            let [channels, height, width] = picture.shape();
            let names = few(picture.channels.clone());
            format!("a picture, {channels} × {height} × {width}, of integers 0 to {}: {names}", picture.high)
        }
        Observation::Numbers(fields) => {
            let name = |f: &Field| if f.unit.is_empty() { f.name.clone() } else { format!("{} ({})", f.name, f.unit) };
            few(fields.iter().map(name).collect())
        }
    }
}

fn one_of(n: usize, labels: &[String]) -> String {
    format!("one of {n}: {}", few(labels.to_vec()).trim_start_matches(&format!("{n} numbers: ")))
}

fn action(spec: &Spec) -> String {
    match &spec.action {
        ActionSpec::Discrete { labels } => one_of(labels.len(), labels),
        ActionSpec::MultiDiscrete { sizes } => format!("{} choices among {sizes:?}", sizes.len()),
        ActionSpec::Continuous { fields } => {
            let one = |f: &Field| format!("{} in [{}, {}]", f.name, f.low, f.high);
            fields.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}
