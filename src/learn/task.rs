//! What a scenario asks to be trained: an agent in an environment, or a model of data. `agon train` knows nothing else of
//! either.

use crate::plan::TrainSettings;
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::Device;
use agon_agents::train::Training;
use agon_core::Metric;
use agon_core::event::Chart;
use agon_core::settings::Issue;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A scenario that was understood whole.
pub trait Task {
    /// What its runs are called.
    fn name(&self) -> &str;

    /// How long, with which seed, on how many threads.
    fn train(&self) -> &TrainSettings;

    /// Steps between evaluations; none on the way if left out.
    fn evaluated_every(&self) -> Option<u64>;

    /// The value of the deciding metric that ends the run.
    fn stop_at(&self) -> Option<f64>;

    /// The scenario with every default filled in.
    fn resolved(&self) -> &str;

    /// Where a stop is asked for.
    fn heed(&mut self, stop: &Arc<AtomicBool>);

    /// What learns, by its name in a scenario, and its settings.
    fn learner(&self) -> (&'static str, &Map<String, Value>);

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

    /// What is odd about it, though it can be done.
    fn remarks(&self) -> Vec<String>;

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
