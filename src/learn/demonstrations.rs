//! Recorded episodes as something to learn from: found, simulated again, and copied into the run. An episode file holds
//! actions and hashes of states; observations come from the simulator, which must come through the same states.

use agon::run::{Run, episode_text, read_episode};
use agon::{Failure, Outcome};
use agon_agents::on_policy::clone::Demonstration;
use agon_core::episode::{Action, Episode, ReplayError, Solo, replay};
use agon_core::rng::Stream;
use agon_core::{Actions, Entry, Spec};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the episodes' copy in a run's folder.
pub const COPY: &str = "demonstrations.jsonl";

/// Episodes to learn from, and all their lines.
#[derive(Debug, Default)]
pub struct Demonstrations {
    pub episodes: Arc<Vec<Demonstration>>,
    pub text: String,
}

/// Reads all that `data`, the setting `key`, names, for an environment.
pub fn read(data: &[String], key: &str, folder: &Path, env: &Entry, spec: &Spec) -> Outcome<Demonstrations> {
    if data.is_empty() {
        return Err(Failure::Input(format!(
            "{key} names no recorded episodes: a run such as --set '{key}=[\"runs/classic/cartpole/001\"]', or files of \
             episodes"
        )));
    }
    let (mut episodes, mut text) = (Vec::new(), String::new());
    for name in data {
        for (place, episode) in find(name, key, folder)? {
            episodes.push(simulate(&episode, env, spec).map_err(|why| Failure::Input(format!("{place}: {why}")))?);
            text += &episode_text(&episode);
        }
    }
    let steps: usize = episodes.iter().map(|e| e.actions.len()).sum();
    agon::tell!("{} recorded episodes with {steps} actions", episodes.len());
    Ok(Demonstrations { episodes: Arc::new(episodes), text })
}

/// The episodes that a word means, each with its place: of a run its last ones, if it came to its end.
pub fn find(name: &str, key: &str, folder: &Path) -> Outcome<Vec<(String, Episode)>> {
    let mut found = Vec::new();
    for file in files(name, key, folder)? {
        let whole = if holds_several(&file) { read_copy(&file)? } else { vec![read_episode(&file)?] };
        let many = whole.len() > 1;
        found.extend(whole.into_iter().enumerate().map(|(i, episode)| {
            let place = file.display();
            (if many { format!("{place}, episode {}", i + 1) } else { place.to_string() }, episode)
        }));
    }
    Ok(found)
}

/// Whether a file holds episodes one after another: each begins with a header.
fn holds_several(file: &Path) -> bool {
    let Ok(open) = agon::files::open(file) else { return false };
    BufReader::new(open).lines().map_while(Result::ok).filter(|line| is_header(line)).nth(1).is_some()
}

fn is_header(line: &str) -> bool {
    line.starts_with("{\"format\"") || line.contains("\"format\":\"agon-episode")
}

/// The files that a word means: beside the scenario, or else from the folder one stands in.
fn files(name: &str, key: &str, folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut nothing = String::new();
    for base in [folder, Path::new("")] {
        let path = base.join(name);
        if path.join("scenario.toml").is_file() {
            let all = Run::open(&path)?.episodes();
            let of_end = |file: &PathBuf| file.file_name().is_some_and(|n| n.to_string_lossy().starts_with("final-"));
            let last: Vec<PathBuf> = all.iter().filter(|file| of_end(file)).cloned().collect();
            let found = if last.is_empty() { all } else { last };
            if found.is_empty() {
                nothing = "the run has saved no episodes: eval.record says how many it saves".into();
                continue;
            }
            return Ok(found);
        }
        if path.is_file() {
            return Ok(vec![path]);
        }
        let found = matching(&path);
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let why = if nothing.is_empty() { "no file, run or pattern that anything fits".into() } else { nothing };
    Err(Failure::Input(format!("{key}: {name}: {why}")))
}

/// The files that a pattern fits, in order: one `*` in the name, as in `episodes/*.jsonl`; or every episode of a folder.
fn matching(path: &Path) -> Vec<PathBuf> {
    let (folder, pattern) = match path.file_name().map(|name| name.to_string_lossy().into_owned()) {
        Some(name) if name.contains('*') => (path.parent().unwrap_or(Path::new("")), name),
        _ => (path, "*.jsonl".into()),
    };
    let Some((start, end)) = pattern.split_once('*') else { return Vec::new() };
    let fits = |file: &PathBuf| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        file.is_file() && name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).filter(fits).collect();
    found.sort();
    found
}

/// The episodes of a run's copy, one after another: each begins with a header.
fn read_copy(path: &Path) -> Outcome<Vec<Episode>> {
    let text = agon::text::read(path)?;
    let mut episodes: Vec<Episode> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |why: String| Failure::Input(format!("{}:{}: not an episode: {why}", path.display(), number + 1));
        if is_header(line) {
            let header = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
            episodes.push(Episode { header, steps: Vec::new() });
            continue;
        }
        let step = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        episodes.last_mut().ok_or_else(|| wrong("its first line is no header".into()))?.steps.push(step);
    }
    Ok(episodes)
}

/// What was seen and done in an episode, by simulating it again.
pub fn simulate(episode: &Episode, env: &Entry, spec: &Spec) -> Result<Demonstration, String> {
    let header = &episode.header;
    if header.env != env.id {
        return Err(format!("it was played in {}, not in {}", header.env, env.id));
    }
    if header.version != env.version {
        let [recorded, here] = [header.version, env.version];
        return Err(ReplayError::Version { env: header.env.clone(), recorded, here }.to_string());
    }
    let mut solo = Solo::new(env.build(&header.settings, 1, 1).map_err(|e| e.to_string())?);
    let own = solo.env().spec();
    let shape = |s: &Spec| (s.agents, s.action.len(), s.action.choices(), s.masked);
    if shape(own) != shape(spec) || !spec.observation.is_like(&own.observation) {
        return Err("its environment has other observations or actions than this one, by its settings".into());
    }
    solo.reset(header.seed, Stream::Env);
    let mut found = Demonstration::new(&spec.action);
    let checked = replay(episode, &mut solo, |at, solo| {
        if let Some(before) = at.checked_sub(1) {
            found.rewards.extend_from_slice(&episode.steps[before].reward);
        }
        let Some(step) = episode.steps.get(at) else {
            found.last.extend_from_slice(&solo.obs);
            return;
        };
        // An action of another kind is refused once it is to be made.
        if solo.env().spec().takes(step.action.view(), &solo.asked()).is_err() {
            return;
        }
        found.obs.extend_from_slice(&solo.obs);
        found.mask.extend_from_slice(&solo.mask);
        match &step.action {
            Action::Discrete(choices) => found.actions.extend(Actions::Discrete(choices)),
            Action::Continuous(numbers) => found.actions.extend(Actions::Continuous(numbers)),
        }
    });
    checked.map_err(|e| e.to_string())?;
    found.terminated = episode.steps.last().is_some_and(|step| step.terminated);
    Ok(found)
}
