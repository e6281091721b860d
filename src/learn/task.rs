//! What a scenario asks to be trained: an agent in an environment, or a model of data. `agon train` knows nothing else of
//! either.

use crate::described::Described;
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::registry::{Data, DataStart, Model};
use agon_agents::train::Training;
use agon_agents::{AgentError, Device};
use agon_core::Metric;
use agon_core::event::Chart;
use agon_core::plot::Plot;
use agon_core::settings::{Issue, Setting};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many checkpoints are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep(pub usize);

impl Setting for Keep {
    fn kind() -> String {
        "integer or \"all\"".into()
    }
    fn from_value(value: &Value) -> Result<Self, String> {
        if value == "all" {
            return Ok(Self(usize::MAX));
        }
        usize::from_value(value).map(Self).map_err(|_| "must be an integer or \"all\"".into())
    }
    fn to_value(&self) -> Value {
        if self.0 == usize::MAX { "all".into() } else { self.0.into() }
    }
    fn numbers(&self) -> Vec<f64> {
        if self.0 == usize::MAX { Vec::new() } else { vec![self.0 as f64] }
    }
}

agon_core::settings! {
    /// The settings of `[train]`.
    pub struct TrainSettings {
        /// Environment steps.
        steps: u64 = 100_000, in [1.0, 1e15];
        /// Environments in the batch.
        envs: usize = 8, in [1.0, 1e6];
        /// The seed of the run.
        seed: u64 = 1, in [0.0, 9e18];
        /// Several seeds instead: `agon train` makes a run of each, side by side.
        seeds: Option<Vec<u64>> = None, in [0.0, 9e18];
        /// Threads of one tensor operation.
        threads: usize = 1, in [1.0, 1024.0];
        /// Threads of the environments.
        env_threads: usize = 1, in [1.0, 1024.0];
        /// Steps between checkpoints; a tenth of `steps` if left out.
        save_every: Option<u64> = None, in [1.0, 1e15];
        /// The number of newest checkpoints kept beside the best one; or "all".
        keep: Keep = Keep(3), in [1.0, 1e15];
    }
}

/// What every task has.
pub struct Common {
    /// What its runs are called.
    pub name: String,
    /// What learns, by its name in a scenario.
    pub kind: &'static str,
    /// The settings of what learns.
    pub settings: Map<String, Value>,
    /// How long, with which seed, on how many threads.
    pub train: TrainSettings,
    /// Steps between evaluations; none on the way if left out.
    pub evaluated_every: Option<u64>,
    /// The value of the deciding metric that ends the run.
    pub stop_at: Option<f64>,
    /// The scenario with every default filled in.
    pub resolved: String,
    /// Set once a stop is requested: evaluations end early then.
    pub stop: Arc<AtomicBool>,
}

impl Common {
    /// Of a task that nobody has asked to stop. `learner`: its name in a scenario and its settings; `evaluated`: steps
    /// between evaluations, and the value that ends the run.
    pub fn new(
        name: String,
        (kind, settings): (&'static str, Map<String, Value>),
        train: TrainSettings,
        (evaluated_every, stop_at): (Option<u64>, Option<f64>),
        resolved: String,
    ) -> Self {
        Self { name, kind, settings, train, evaluated_every, stop_at, resolved, stop: Arc::default() }
    }

    /// A training of a model from its data on this device.
    ///
    /// # Errors
    /// As the model's own.
    pub fn start(&self, model: &Model, data: Data, device: Device) -> Result<Box<dyn Training>, AgentError> {
        let (steps, seed) = (self.train.steps, self.train.seed);
        model.start(&self.settings, DataStart { data, steps, seed, device })
    }

    /// Whether a stop was requested.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What is odd about any task.
    pub fn remarks(&self) -> Vec<String> {
        let never = self.stop_at.is_some() && self.evaluated_every.is_none();
        let why = "eval.stop_at is never met: without eval.every nothing is evaluated on the way";
        never.then(|| why.to_owned()).into_iter().collect()
    }
}

/// Where a model of data computes when it is asked to on this device.
pub fn on(model: &Model, asked: Device) -> Device {
    if model.on_device { asked } else { Device::Cpu }
}

/// The text of a scenario whose tables have every default filled in.
pub fn whole(source: &Source, name: &str, tables: Vec<(&str, Map<String, Value>)>) -> Outcome<String> {
    let about = source.table.get("about").cloned().unwrap_or_else(|| "".into());
    let mut whole = Map::from_iter([("name".to_owned(), name.into()), ("about".to_owned(), about)]);
    whole.extend(tables.into_iter().map(|(key, table)| (key.to_owned(), Value::Object(table))));
    toml::to_string(&whole).map_err(|e| Failure::Internal(format!("the scenario cannot be written: {e}")))
}

/// The table of a scenario that says what learns.
pub fn of_kind(kind: &str, settings: &Map<String, Value>) -> Map<String, Value> {
    let mut table = Map::from_iter([("kind".to_owned(), Value::from(kind))]);
    table.extend(settings.clone());
    table
}

/// A scenario that was understood whole.
pub trait Task {
    /// What every task has.
    fn common(&self) -> &Common;

    /// The same, to be changed: where a stop is asked for.
    fn common_mut(&mut self) -> &mut Common;

    /// Where it computes when it is asked to on this device.
    fn device(&self, asked: Device) -> Device {
        asked
    }

    /// What it learns from: for `provenance.json`.
    fn provenance(&self) -> (&'static str, Value);

    /// Files of a new run beside its scenario: names and contents.
    fn files(&self) -> Outcome<Vec<(&'static str, Vec<u8>)>> {
        Ok(Vec::new())
    }

    /// Fills a new run's folder with what its training reads from there.
    fn fill(&self, _run: &Run) -> Outcome {
        Ok(())
    }

    /// What its observations become before it sees them, if they do.
    fn features(&self) -> Option<&Described> {
        None
    }

    /// What is odd about it, though it can be done.
    fn remarks(&self) -> Vec<String> {
        self.common().remarks()
    }

    /// Tells what was read and what was found there.
    fn tell(&self);

    /// The training at its beginning.
    fn start(&self, device: Device) -> Outcome<Box<dyn Training>>;

    /// What the main chart shows.
    fn chart(&self, training: &dyn Training) -> Chart;

    /// Whether it can be evaluated; checked before training starts.
    fn can_be_evaluated(&self, training: &dyn Training) -> Outcome;

    /// Evaluates what was learned so far: metrics, the one that decides first. None where it was asked to stop.
    fn evaluate(&self, training: &dyn Training, run: &Run) -> Outcome<Option<Vec<Metric>>>;

    /// Pictures of what it begins with, such as a demand that was fitted.
    fn plots(&self) -> Vec<Plot> {
        Vec::new()
    }

    /// What evaluations on the way are compared with: mean returns on the same episodes, by name. None where it was asked to
    /// stop.
    fn levels(&self) -> Outcome<Option<Vec<(String, f64)>>> {
        Ok(Some(Vec::new()))
    }

    /// The final evaluation, beside baselines.
    fn final_evaluation(
        &self,
        training: &dyn Training,
        run: &Run,
        tell: &mut dyn FnMut(String),
    ) -> Outcome<Box<dyn Verdict>>;
}

/// The result of the final evaluation.
pub trait Verdict {
    /// For `evaluation.json` and `--json`.
    fn json(&self) -> Value;

    /// For people.
    fn table(&self) -> String;

    /// Whether episodes were saved that can be replayed.
    fn has_episodes(&self) -> bool {
        true
    }
}

/// Refuses tables of a scenario that mean nothing there.
pub fn refuse(source: &Source, tables: &[&str], why: &str) -> Outcome {
    let found = tables.iter().find(|table| source.table.contains_key(**table));
    found.map_or(Ok(()), |table| Err(source.wrong(&[Issue::key(table, why)])))
}

/// Says which of a run's settings an evaluation cannot use.
pub fn refuse_flags(flags: &[(&str, bool)], what: &str) -> Outcome {
    match flags.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Failure::Input(format!("{flag} is not for {what}"))),
        None => Ok(()),
    }
}
