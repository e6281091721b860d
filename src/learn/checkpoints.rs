//! Which checkpoint of a run is read, what to do where it is damaged, and what may change where a run is resumed.

use agon::failure::quoted;
use agon::run::{Run, metrics_at};
use agon::{Failure, Outcome};
use agon_agents::agent::Saved;
use agon_agents::{AgentError, checkpoint};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a name on the command line means.
pub enum Target {
    Checkpoint { scenario: PathBuf, folder: PathBuf, name: String },
    Player(String),
}

pub fn locate(what: &str) -> Outcome<Target> {
    let mut path = PathBuf::from(what);
    // `checkpoints/latest` and `checkpoints/best` are files that name a checkpoint.
    if path.is_file()
        && let (Ok(name), Some(parent)) = (std::fs::read_to_string(&path), path.parent())
        && parent.join(name.trim()).is_dir()
    {
        path = parent.join(name.trim());
    }
    let path = path.as_path();
    if path.join("scenario.toml").is_file() {
        let run = Run::open(path)?;
        let none = || Failure::Input(format!("{what} has no checkpoint yet"));
        let folder = run.checkpoint("latest").ok_or_else(none)?;
        return Ok(Target::Checkpoint { scenario: run.path("scenario.toml"), folder, name: what.into() });
    }
    if path.join("weights.safetensors").is_file() || path.join("state.json").is_file() {
        // <run>/checkpoints/<step>
        let scenario = path.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("scenario.toml");
        return Ok(Target::Checkpoint { scenario, folder: path.to_owned(), name: what.into() });
    }
    if path.exists() {
        return Err(Failure::Input(format!("{what} is neither a run nor a checkpoint")));
    }
    Ok(Target::Player(what.into()))
}

/// Reads what a run or a checkpoint has learned. Its training may put a newer one in the place of the one that was found
/// while it is read; then that is taken.
pub fn read(what: &str) -> Outcome<(PathBuf, Saved, Value)> {
    read_by(what, checkpoint::read)
}

type Read = fn(&Path) -> Result<(Saved, Value), AgentError>;

/// The same with another reader of its files.
pub fn read_by(what: &str, read: Read) -> Outcome<(PathBuf, Saved, Value)> {
    let mut last = None;
    loop {
        let Target::Checkpoint { folder, .. } = locate(what)? else {
            return Err(Failure::Input(format!("{what} is no run or checkpoint")));
        };
        match read(&folder) {
            Ok((saved, state)) => {
                note_missing_sums(&folder);
                return Ok((folder, saved, state));
            }
            // The same one twice, while nobody replaces it: that is how it is.
            Err(e) if last.as_ref() == Some(&(folder.clone(), e.to_string())) => return Err(told(&folder, &e)),
            Err(e) => last = Some((folder, e.to_string())),
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn note_missing_sums(folder: &Path) {
    if !checkpoint::has_checksums(folder) {
        let folder = folder.display();
        agon::tell!(
            "note: {folder} has no checksums, as an older version of Agon wrote it: not all damage can be seen"
        );
    }
}

/// A checkpoint that cannot be read, and what to do instead.
fn told(folder: &Path, error: &AgentError) -> Failure {
    let run = folder.parent().and_then(Path::parent).map(|folder| Run { folder: folder.to_owned() });
    let whole = run.and_then(|run| older(&run, folder));
    let way_on = match whole {
        Some((older, ..)) => {
            let older = quoted(older);
            format!(
                "{older} is whole: name it in place of the run, or go on from it with\n  agon train --resume {older}"
            )
        }
        None => "no other checkpoint of the run is whole: train it anew".into(),
    };
    Failure::Input(format!("{error}\n{way_on}"))
}

/// The newest other checkpoint of a run that is whole and that its logs still fit.
fn older(run: &Run, than: &Path) -> Option<(PathBuf, Saved, Value)> {
    run.checkpoints().into_iter().rev().filter(|folder| folder != than).find_map(|folder| {
        let (saved, state) = checkpoint::read(&folder).ok()?;
        metrics_at(run, &state["logs"]).ok()?;
        Some((folder, saved, state))
    })
}

/// What `--resume` names: a run, and the checkpoint where it names one.
pub fn named(path: &Path) -> Outcome<(Run, Option<PathBuf>)> {
    if !path.join("scenario.toml").is_file()
        && let Target::Checkpoint { scenario, folder, .. } = locate(&path.to_string_lossy())?
    {
        return Ok((Run::open(scenario.parent().unwrap_or(Path::new(".")))?, Some(folder)));
    }
    Ok((Run::open(path)?, None))
}

/// The checkpoint that a run goes on from: the one that was asked for, else its latest; where the run's log no longer
/// holds what that one needs (after a power cut), an older one that it fits. None where nothing was saved yet.
pub fn to_resume(run: &Run, asked: Option<PathBuf>) -> Outcome<Option<(PathBuf, Saved, Value)>> {
    let name = run.folder.display();
    let Some(folder) = asked.or_else(|| run.checkpoint("latest")) else {
        let status = run.read_status().unwrap_or_default();
        // Older versions did not say whether anything was saved.
        let saved = if status["saved"].is_null() { status["step"].as_u64() > Some(0) } else { status["saved"] == true };
        if saved {
            return Err(Failure::Input(format!("{name} has lost its checkpoints; train it anew")));
        }
        agon::tell!("{name} has no checkpoint yet; it begins at its beginning");
        return Ok(None);
    };
    let (saved, state) = checkpoint::read(&folder).map_err(|e| told(&folder, &e))?;
    note_missing_sums(&folder);
    let Err(why) = metrics_at(run, &state["logs"]) else { return Ok(Some((folder, saved, state))) };
    let Some(found) = older(run, &folder) else {
        return Err(Failure::Input(format!(
            "{} is whole, but {why}, and no older checkpoint fits that; a new run can begin with its weights:\n  \
             agon train {} --from {}",
            folder.display(),
            quoted(run.path("scenario.toml")),
            quoted(&folder)
        )));
    };
    agon::tell!("note: {} does not fit the run any more ({why}); {} does", folder.display(), found.0.display());
    Ok(Some(found))
}

/// What `--set` may change of a run that has begun; everything else would make it another run.
const CHANGEABLE: [&str; 14] = [
    "train.steps",
    "train.save_every",
    "train.keep",
    "train.threads",
    "train.env_threads",
    "eval.every",
    "eval.episodes",
    "eval.final_episodes",
    "eval.baselines",
    "eval.opponents",
    "eval.simulations",
    "eval.stop_at",
    "eval.record",
    "model.minutes",
];

/// Refuses other changes.
pub fn may_change(sets: &[String]) -> Outcome {
    for set in sets {
        let key: String = set.split('=').next().unwrap_or_default().split_whitespace().collect();
        if !CHANGEABLE.contains(&key.as_str()) {
            let all = CHANGEABLE.join(", ");
            return Err(Failure::Input(format!(
                "--set {set}: a run that has begun cannot change `{key}`, only {all}; for a new run with its weights \
                 there is `agon train SCENARIO --from RUN`"
            )));
        }
    }
    Ok(())
}
