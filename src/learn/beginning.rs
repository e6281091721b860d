//! What a run begins with: fresh weights, what another run has learned (`--from`), or the weights of another program, which
//! settings of a model name.

use crate::checkpoints::{self, Target};
use crate::scenarios;
use crate::task::Task;
use agon::{Failure, Outcome};
use agon_agents::AgentError;
use agon_agents::pretrained::Mapping;
use agon_agents::registry;
use agon_agents::train::Training;
use agon_core::settings::Setting;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Names that are told, at most.
const TOLD: usize = 6;

/// Begins a run; the checkpoint of another one that it begins with, if it does. A run that has begun holds all weights, and
/// no file is needed any more.
pub fn begin(task: &dyn Task, training: &mut dyn Training, from: Option<&str>) -> Outcome<Option<PathBuf>> {
    let weights = task.common().settings.get("weights").and_then(Value::as_str).filter(|name| !name.is_empty());
    match (from, weights) {
        (Some(_), Some(_)) => Err(Failure::Input(
            "--from, and model.weights, are two beginnings: leave --from out, or say --set model.weights=".into(),
        )),
        (Some(from), None) => warm(task, training, from).map(Some),
        (None, Some(file)) => adopt(task, training, file).map(|()| None),
        (None, None) => Ok(None),
    }
}

/// Begins with what another run has learned; the checkpoint that it was read from.
fn warm(task: &dyn Task, training: &mut dyn Training, from: &str) -> Outcome<PathBuf> {
    let Target::Checkpoint { scenario, .. } = checkpoints::locate(from)? else {
        return Err(Failure::Input(format!("--from {from}: there is no such run or checkpoint")));
    };
    let (other, own) = (scenarios::learner_of(&scenario)?, task.common().kind);
    if other != own && !registry::find(own).is_ok_and(|agent| agent.begins_with(other)) {
        return Err(Failure::Input(format!("--from {from}: its agent is {other}, this one is {own}")));
    }
    let seen = scenarios::features_of(&scenario)?;
    if seen.as_ref() != task.features() {
        let why = "what its agent observes is not what this one does: give both the same [features], or none";
        return Err(Failure::Input(format!("--from {from}: {why}")));
    }
    let (folder, saved, _) = checkpoints::read(from)?;
    training.warm(&saved).map_err(|e| Failure::Input(format!("--from {from}: {e}")))?;
    agon::tell!("it begins with the weights of {}", folder.display());
    Ok(folder)
}

/// Begins with the weights of a file.
fn adopt(task: &dyn Task, training: &mut dyn Training, file: &str) -> Outcome {
    let settings = &task.common().settings;
    let mapping = settings.get("mapping").map_or(Ok(Mapping::default()), Mapping::from_value);
    let mapping = mapping.map_err(|why| Failure::Input(format!("model.mapping: {why}")))?;
    let taken = training.adopt(Path::new(file), &mapping).map_err(|e| match e {
        AgentError::Settings(issues) => {
            let all: Vec<String> =
                issues.iter().map(|issue| format!("model.{}: {}", issue.path.join("."), issue.message)).collect();
            Failure::Input(all.join("\n"))
        }
        other => Failure::Input(other.to_string()),
    })?;
    agon::tell!("weights of {file}: {} parameters begin with them", taken.taken.len());
    for (what, names) in [("fresh", &taken.fresh), ("not used, in the file", &taken.unused)] {
        if !names.is_empty() {
            let more = if names.len() > TOLD { ", …" } else { "" };
            let some: Vec<&str> = names.iter().take(TOLD).map(String::as_str).collect();
            agon::tell!("  {what}: {}{more}", some.join(", "));
        }
    }
    Ok(())
}
