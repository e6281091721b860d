//! From a scenario to what it asks for.

use crate::bandit_task::BanditTask;
use crate::data_task::DataTask;
use crate::described::{self, Described};
use crate::duel;
use crate::picture_files;
use crate::picture_task::PictureTask;
use crate::plan::Plan;
use crate::table_task::TableTask;
use crate::task::{Task, TrainSettings};
use crate::world_task::WorldTask;
use agon::cli;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_core::settings::{Issue, Settings};
use serde_json::{Map, Value};
use std::path::Path;

/// Reads and checks a scenario; `sets` and `seed` as on the command line.
pub fn read(path: &Path, sets: &[String], seed: Option<u64>) -> Outcome<Box<dyn Task>> {
    let path = &agon::embedded::locate(path)?;
    let mut source = Source::read(path, sets)?;
    if let Some(seed) = seed {
        source.set_seed(seed)?;
    }
    match of_data(path, &source)? {
        Some(task) => Ok(task),
        None => Ok(Box::new(duel::read(path, &source)?)),
    }
}

/// What `--minutes` asks for.
const AUTOML: &str = "model.kind=automl";

/// What a command line asks to be trained anew: a scenario, or one that is made of `--data`.
pub fn asked(args: &cli::Train) -> Outcome<Box<dyn Task>> {
    if let Some(scenario) = &args.scenario {
        return read(scenario, &args.set, args.seed);
    }
    let none = || Failure::Input("name a scenario, --data a table or pictures, or --resume a run".into());
    let file = args.data.as_ref().ok_or_else(none)?;
    let mut sets = args.set.clone();
    sets.extend(args.seed.map(|s| format!("train.seed={s}")));
    sets.extend(args.model.as_ref().map(|kind| format!("model.kind={}", Value::from(kind.as_str()))));
    sets.extend(args.minutes.iter().flat_map(|m| [AUTOML.to_owned(), format!("model.minutes={m}")]));
    Ok(match args.target.as_deref() {
        _ if args.reward.is_some() || args.action.is_some() => {
            let columns = [&args.action, &args.reward, &args.propensity].map(|c| c.as_deref().unwrap_or(""));
            Box::new(BanditTask::of_flags(file, columns, &sets)?)
        }
        Some(_) if picture_files::is_meant(file) => {
            return Err(Failure::Input("--target is the column of a table: pictures have none".into()));
        }
        None if picture_files::is_meant(file) => Box::new(PictureTask::of_flags(file, &sets)?),
        target => Box::new(TableTask::of_flags(file, target, &sets)?),
    })
}

/// Whether a scenario is one of data.
pub fn is_of_data(source: &Source) -> bool {
    TableTask::is_meant(source) || PictureTask::is_meant(source) || DataTask::is_meant(source)
}

/// The scenario as one of data, if it is.
pub fn of_data(path: &Path, source: &Source) -> Outcome<Option<Box<dyn Task>>> {
    Ok(if WorldTask::is_meant(source) {
        Some(Box::new(WorldTask::read(path, source)?))
    } else if TableTask::is_meant(source) {
        Some(Box::new(TableTask::read(path, source)?))
    } else if PictureTask::is_meant(source) {
        Some(Box::new(PictureTask::read(path, source)?))
    } else if BanditTask::is_meant(source) {
        Some(Box::new(BanditTask::read(path, source)?))
    } else if DataTask::is_meant(source) {
        Some(Box::new(DataTask::read(path, source)?))
    } else {
        None
    })
}

/// The several seeds that a scenario asks for, if it does; a seed on the command line stands above them.
pub fn seeds(path: &Path, sets: &[String]) -> Outcome<Option<Vec<u64>>> {
    let source = Source::read(&agon::embedded::locate(path)?, sets)?;
    let train = source.section("train")?;
    if train.get("seeds").is_none_or(Value::is_null) {
        return Ok(None);
    }
    let wrong = |message: &str| source.wrong(&[Issue::value("seeds", message).within("train")]);
    if train.contains_key("seed") {
        return match ["seed", "seeds"].map(|key| source.is_overridden(&["train", key])) {
            [true, false] => Ok(None),
            [false, true] => checked(&source, train),
            _ => Err(wrong("`seed` and `seeds` say different things: leave one of them out")),
        };
    }
    checked(&source, train)
}

fn checked(source: &Source, mut train: Map<String, Value>) -> Outcome<Option<Vec<u64>>> {
    // Only the list is looked at here: the rest is, when a run reads it.
    train.retain(|key, _| key == "seeds");
    let place =
        |issues: Vec<Issue>| source.wrong(&issues.into_iter().map(|issue| issue.within("train")).collect::<Vec<_>>());
    let seeds = TrainSettings::read(&train).map_err(place)?.seeds.unwrap_or_default();
    let mut sorted = seeds.clone();
    sorted.sort_unstable();
    let why = if seeds.is_empty() {
        "names no seed: write one at least, or leave it out".into()
    } else if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        format!("seed {} comes twice", twice[0])
    } else {
        return Ok(Some(seeds));
    };
    Err(place(vec![Issue::value("seeds", why)]))
}

/// What observations become in a run's scenario before its agent sees them, if they do.
pub fn features_of(path: &Path) -> Outcome<Option<Described>> {
    described::read(&Source::read(path, &[])?, path.parent().unwrap_or(Path::new("")))
}

/// What learns in a scenario, by name; its opponents in evaluation may be gone.
pub fn learner_of(path: &Path) -> Outcome<&'static str> {
    let source = Source::read(path, &[])?;
    if let Some(task) = of_data(path, &source)? {
        return Ok(task.common().kind);
    }
    Ok(Plan::of(path, &source, false)?.agent.kind)
}
