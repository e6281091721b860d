//! A search on disk: what began it (`search.json`), how every trial ended (`trials.jsonl`), a run or a group of seeds for
//! each trial, and the leaderboard.

use super::space::Space;
use super::{Search, SearchSettings, Tried, objective, ranked};
use crate::failure::{Failure, Outcome};
use crate::files;
use crate::group::Group;
use crate::run::{self, Run};
use crate::tui::pane::number;
use agon_core::disk;
use agon_core::settings::Settings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

const FILE: &str = "search.json";
const FORMAT: &str = "agon-search 1";
const TRIALS: &str = "trials.jsonl";

/// What began a search, so that it can go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    format: String,
    /// The scenario: its absolute path, or the name of one that comes with Agon.
    pub scenario: PathBuf,
    /// The CRC-32C of the resolved scenario without what is varied: trials that have not begun must begin with the same.
    pub sum: u32,
    /// `[search]` with every default.
    settings: Map<String, Value>,
    space: Space,
    steps: u64,
    /// The seeds of every trial.
    pub seeds: Vec<u64>,
    /// `--set`, in order.
    pub set: Vec<String>,
    /// The run or checkpoint whose weights all begin with.
    pub from: Option<String>,
}

impl Record {
    /// Of a new search.
    pub fn new(
        scenario: PathBuf,
        sum: u32,
        search: &Search,
        seeds: Vec<u64>,
        set: Vec<String>,
        from: Option<String>,
    ) -> Self {
        let (settings, space, steps) = (search.settings.write(), search.space.clone(), search.steps);
        Self { format: FORMAT.into(), scenario, sum, settings, space, steps, seeds, set, from }
    }
}

/// A search's folder and what began it.
#[derive(Clone, Debug)]
pub struct Folder {
    pub folder: PathBuf,
    pub record: Record,
    pub search: Search,
}

impl Folder {
    /// Whether a folder is one.
    pub fn is_one(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// A new one: in `out` if given (it must not exist), else in the next number below `<runs>/<scenario>/`.
    pub fn create(scenario: &str, out: Option<&Path>, record: Record, search: Search) -> Outcome<Self> {
        let new = Self { folder: run::new_folder(scenario, out)?, record, search };
        let path = new.folder.join(FILE);
        let text = format!("{:#}\n", json!(new.record));
        disk::write(&path, text.as_bytes()).map_err(|e| Failure::write(&path, &e))?;
        Ok(new)
    }

    /// An existing one.
    pub fn open(folder: &Path) -> Outcome<Self> {
        let path = folder.join(FILE);
        let bytes = files::all(files::open(&path)?, &path)?;
        let wrong = |why: String| Failure::Input(format!("{}: not a search: {why}", path.display()));
        let record: Record = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        if record.format != FORMAT || record.seeds.is_empty() || record.space.is_empty() {
            return Err(wrong(format!("its format is `{}`", record.format)));
        }
        let settings = SearchSettings::read(&record.settings).map_err(|issues| wrong(issues[0].to_string()))?;
        let search = Search { settings, space: record.space.clone(), steps: record.steps };
        Ok(Self { folder: folder.to_owned(), record, search })
    }

    /// The folder of a trial: a run, or a group of seeds.
    pub fn trial(&self, trial: usize) -> PathBuf {
        self.folder.join(format!("trial-{:03}", trial + 1))
    }

    /// The run of a trial with a seed.
    pub fn run(&self, trial: usize, seed: u64) -> Run {
        let folder = self.trial(trial);
        Run { folder: if self.record.seeds.len() > 1 { folder.join(format!("seed-{seed}")) } else { folder } }
    }

    /// Makes the folder of a trial a group, where there are several seeds.
    pub fn prepare(&self, trial: usize, sets: &[String]) -> Outcome {
        let (folder, record) = (self.trial(trial), &self.record);
        if record.seeds.len() < 2 || Group::is_one(&folder) {
            return Ok(());
        }
        std::fs::create_dir_all(&folder).map_err(|e| Failure::write(&folder, &e))?;
        let (scenario, set) = (record.scenario.clone(), [&record.set[..], sets].concat());
        let own = crate::group::Record::new(scenario, record.sum, record.seeds.clone(), set, record.from.clone());
        Group { folder, record: own }.write()
    }

    /// The settings of a trial in words: `learning_rate=0.00031, hidden=[64,64]`.
    pub fn shown(&self, at: &[f64]) -> String {
        let one = |(name, value): (String, Value)| {
            let short = name.split_once('.').map_or(name.as_str(), |(_, key)| key).to_owned();
            let value = value.as_f64().filter(|_| value.is_f64()).map_or_else(|| value.to_string(), number);
            format!("{short}={value}")
        };
        self.search.space.settings(at).into_iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The best trials as lines, with steps where they differ; `name` is what decides.
    pub fn leaderboard(&self, done: &[Tried], name: &str, most: usize) -> String {
        let all = ranked(done);
        let differ = all.iter().any(|tried| tried.job.steps != all[0].job.steps);
        let steps = |text: String| if differ { text } else { String::new() };
        let line = |rank: &str, trial: String, value: String, steps: String, settings: &str| {
            format!("{rank:>5}{trial:>7}{value:>24}{steps:>12}  {settings}\n")
        };
        let mut out = line("rank", "trial".into(), name.replace('_', " "), steps("steps".into()), "settings");
        for (rank, tried) in (1..).zip(all.iter().take(most)) {
            let value = tried.value.map_or("failed".into(), number);
            let (trial, steps) = ((tried.job.trial + 1).to_string(), steps(tried.job.steps.to_string()));
            out += &line(&format!("{rank}"), trial, value, steps, &self.shown(&tried.job.at));
        }
        out
    }

    /// How trials have ended so far, in the order in which they did; a line that a power cut left half is left out.
    pub fn tried(&self) -> Vec<Tried> {
        let text = files::text(&self.folder.join(TRIALS)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Adds one.
    pub fn add(&self, tried: &Tried) -> Outcome {
        let path = self.folder.join(TRIALS);
        // What a power cut left half is closed by a new line.
        let torn = files::text(&path).is_some_and(|text| !text.is_empty() && !text.ends_with('\n'));
        let line = format!("{}{}\n", if torn { "\n" } else { "" }, json!(tried));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_data()));
        written.map_err(|e| Failure::write(&path, &e))
    }

    /// Writes the leaderboard, `leaderboard.csv`: a row a trial, the best first.
    pub fn write_leaderboard(&self, done: &[Tried]) -> Outcome {
        let path = self.folder.join("leaderboard.csv");
        let cell = |text: String| {
            if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
        };
        let name = objective(done).map_or("value", |(name, _)| name).to_owned();
        let names = self.search.space.all.iter().map(|(name, _)| name.clone());
        let head =
            ["rank".into(), "trial".into(), "steps".into(), name].into_iter().chain(names).chain(["failed".into()]);
        let mut out = head.map(cell).collect::<Vec<_>>().join(",") + "\n";
        for (rank, tried) in (1..).zip(ranked(done)) {
            let value = tried.value.map_or(String::new(), |value| value.to_string());
            let first = [rank.to_string(), (tried.job.trial + 1).to_string(), tried.job.steps.to_string(), value];
            let settings = self.search.space.settings(&tried.job.at).into_iter();
            let settings = settings.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), String::from));
            let failed = tried.failed.clone().unwrap_or_default();
            out += &(first.into_iter().chain(settings).chain([failed]).map(cell).collect::<Vec<_>>().join(",") + "\n");
        }
        disk::write(&path, out.as_bytes()).map_err(|e| Failure::write(&path, &e))
    }
}
