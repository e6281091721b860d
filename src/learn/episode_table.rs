//! Recorded episodes as a table: a row for each decision, with what was observed, what was done and what it brought.
//! Episodes hold no observations: each is simulated again, and refused where it is not as recorded.

use crate::csv_table;
use crate::demonstrations;
use agon::{Failure, Outcome};
use agon_agents::data::Raw;
use agon_agents::features::names;
use agon_core::episode::FORMAT;
use agon_core::{ActionSpec, Actions, Observation, Spec};
use serde_json::{Map, Value};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Episodes from which on whole ones are kept for validation and test.
const FEW: usize = 8;

/// Whether it is a file of episodes, a folder of such files, or a run.
pub fn is_meant(path: &Path) -> bool {
    if path.is_dir() {
        let mut inside = std::fs::read_dir(path).into_iter().flatten().flatten();
        return path.join("scenario.toml").is_file() || inside.any(|entry| is_file(&entry.path()));
    }
    is_file(path)
}

fn is_file(path: &Path) -> bool {
    if !path.is_file() || path.extension().is_none_or(|end| end != "jsonl") {
        return false;
    }
    let Ok(file) = agon::files::open(path) else { return false };
    let mut first = String::new();
    BufReader::new(file).read_line(&mut first).is_ok() && first.contains(FORMAT)
}

/// Reads a file of episodes, or all that a run saved (its last ones, if it came to its end).
///
/// # Errors
/// There are none, they are of different environments, or one is not as recorded.
pub fn read(path: &Path) -> Outcome<Raw> {
    let all = demonstrations::find(&path.to_string_lossy(), "--data", Path::new(""))?;
    let mut table: Option<(Raw, Spec)> = None;
    for (number, (place, episode)) in all.iter().enumerate() {
        let wrong = |why: String| Failure::Input(format!("{place}: {why}"));
        let header = &episode.header;
        let env = agon_envs::find(&header.env).map_err(|e| wrong(e.to_string()))?;
        let (raw, spec) = match &mut table {
            Some(table) => table,
            None => {
                let built = env.build(&header.settings, 1, 1).map_err(|e| wrong(e.to_string()))?;
                let spec = built.spec().clone();
                let raw = csv_table::of_header(columns(&spec), false).map_err(wrong)?;
                table.insert((raw, spec))
            }
        };
        let seen = demonstrations::simulate(episode, &env, spec).map_err(wrong)?;
        let (width, len) = (spec.obs_len(), spec.action.len());
        for (row, obs) in seen.obs.chunks_exact(width).enumerate() {
            let (step, agent) = (row / spec.agents, row % spec.agents);
            // Who waits for others has nothing to choose.
            let mask = seen.mask.chunks_exact(spec.action.mask_len().max(1)).nth(row);
            if spec.agents > 1 && mask.is_some_and(|mask| mask.iter().filter(|allowed| **allowed).count() < 2) {
                continue;
            }
            let mut cells = vec![(number + 1).to_string(), step.to_string()];
            if spec.agents > 1 {
                cells.push((agent + 1).to_string());
            }
            match &spec.observation {
                Observation::Discrete { labels, .. } if !labels.is_empty() => {
                    cells.push(labels[obs[0] as usize].clone());
                }
                _ => cells.extend(obs.iter().map(f32::to_string)),
            }
            match (seen.actions.all().part(row * len, len), &spec.action) {
                (Actions::Discrete(choice), ActionSpec::Discrete { labels }) => {
                    cells.push(labels[choice[0] as usize].clone());
                }
                (Actions::Discrete(choices), _) => cells.extend(choices.iter().map(i64::to_string)),
                (Actions::Continuous(numbers), _) => cells.extend(numbers.iter().map(f32::to_string)),
            }
            cells.push(seen.rewards[row].to_string());
            raw.push(raw.rows() as u64 + 2, cells.iter().map(String::as_str));
        }
    }
    table.map(|(raw, _)| raw).ok_or_else(|| Failure::Input(format!("{}: no episodes", path.display())))
}

/// The names of the columns: the episode, the step in it (the agent), what is observed, what is done, the reward.
fn columns(spec: &Spec) -> Vec<String> {
    let mut all = vec!["episode".to_owned(), "step".to_owned()];
    if spec.agents > 1 {
        all.push("agent".into());
    }
    let own = all.clone();
    let observed = names(&spec.observation).unwrap_or_else(|| vec!["state".into()]);
    // Observations keep their names where they can: `[features]` finds them by those.
    let observed = observed.into_iter().map(|name| {
        let taken = own.contains(&name) || ["action", "reward"].contains(&name.as_str());
        if taken { format!("{name} observed") } else { name }
    });
    all.extend(observed);
    match &spec.action {
        ActionSpec::Discrete { .. } => all.push("action".into()),
        ActionSpec::MultiDiscrete { sizes } => all.extend((1..=sizes.len()).map(|k| format!("action {k}"))),
        ActionSpec::Continuous { fields } => all.extend(fields.iter().map(|field| format!("action {}", field.name))),
    }
    all.push("reward".into());
    all
}

/// What `[data]` says of a table of episodes where nobody says otherwise: episodes are divided, not their steps, and neither
/// their number nor that of a step is an input. Without a target observations alone are.
pub fn complete(path: &Path, data: &mut Map<String, Value>) -> Outcome {
    let all = demonstrations::find(&path.to_string_lossy(), "--data", Path::new(""))?;
    let Some((place, first)) = all.first() else { return Ok(()) };
    let wrong = |e: agon_core::EnvError| Failure::Input(format!("{place}: {e}"));
    let env = agon_envs::find(&first.header.env).map_err(wrong)?;
    let spec = env.build(&first.header.settings, 1, 1).map_err(wrong)?.spec().clone();
    let columns = columns(&spec);
    let front = if spec.agents > 1 { 3 } else { 2 };
    let observed = front + names(&spec.observation).map_or(1, |names| names.len());
    let target = data.get("target").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !data.contains_key("drop") {
        let others = if target.is_empty() { &columns[observed..] } else { &[][..] };
        let drop = columns[..front].iter().chain(others).filter(|name| **name != target);
        data.insert("drop".into(), drop.cloned().collect());
    }
    if !data.contains_key("split") && !data.contains_key("split_by") && target != columns[0] {
        if all.len() >= FEW {
            data.insert("split".into(), "group".into());
            data.insert("split_by".into(), columns[0].clone().into());
        } else {
            agon::tell!(
                "note: episodes are too few to divide ({}): every part has steps of each, and what is told of the test part \
                 is not what another episode would show",
                all.len()
            );
        }
    }
    Ok(())
}
