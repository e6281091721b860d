//! The events of a run. A trainer emits them and does not know the sinks.

use crate::metric::Metric;
use crate::plot::Plot;
use crate::scene::Scene;
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// All its steps were made.
    Done,
    /// Someone asked it to stop; it can be resumed.
    Interrupted,
    /// It failed; the log says why.
    Failed,
}

/// The curve that shows how well a run does its task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chart {
    /// Returns of training episodes.
    #[default]
    Returns,
    /// Evaluations, as in self-play, where every game won is also one lost and returns say nothing.
    Evaluations,
    /// Scalars by these names, where no episode ends while it trains.
    Scalars(Vec<String>),
}

/// What no policy can exceed, among [`Event::Levels`].
pub const UPPER_BOUND: &str = "upper bound";

/// One line of `metrics.jsonl`, or (where marked) of `speed.jsonl`, which holds what depends on the clock: metrics are
/// bit-identical when a run is repeated or resumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// The first line of a run.
    Started {
        /// The scenario's name.
        scenario: String,
        /// The seed in force.
        seed: u64,
        /// Steps the run will make.
        steps: u64,
        /// Whether it may end earlier: when it reaches a goal, or when its agents have converged.
        #[serde(default)]
        may_end_early: bool,
        /// Seconds after which it ends, where it has so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most_seconds: Option<f64>,
        /// What its main chart shows.
        #[serde(default)]
        chart: Chart,
        /// The expected return of an optimal policy, where an exact method knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        optimum: Option<f64>,
    },
    /// Losses and other scalars, by name.
    Scalars {
        /// Environment steps so far.
        step: u64,
        /// `(name, value)`
        values: Vec<(String, f64)>,
    },
    /// The episodes that ended since the last such line.
    Episodes {
        /// Environment steps so far.
        step: u64,
        /// How many.
        count: u64,
        /// Their mean return.
        mean: f64,
        /// The worst.
        low: f64,
        /// The best.
        high: f64,
        /// Their mean length.
        length: f64,
    },
    /// An evaluation.
    Evaluated {
        /// Environment steps so far.
        step: u64,
        /// Mean return, or the metric that decides.
        mean: f64,
        /// Half the width of its 95 % interval; one episode has none.
        ci95: Option<f64>,
        /// Episodes it was taken over, or observations.
        episodes: u64,
        /// Of a training without an environment: all metrics, the deciding one first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        metrics: Vec<Metric>,
    },
    /// What evaluations are compared with: baselines on the same episodes, and what no policy can exceed.
    Levels {
        /// `(name, mean return)`
        values: Vec<(String, f64)>,
    },
    /// (speed) A checkpoint was written.
    Saved {
        /// Environment steps so far.
        step: u64,
        /// Its folder.
        path: String,
    },
    /// (speed) The present speed.
    Speed {
        /// Environment steps so far.
        step: u64,
        /// Seconds since the start, over all resumes.
        seconds: f64,
        /// Environment steps a second since the last such event.
        steps_per_second: f64,
        /// Shares of the time: simulate, infer, learn, the rest.
        shares: [f64; 4],
        /// Resident memory, MB.
        memory: f64,
    },
    /// (not stored) A message about what the run does beside training.
    #[serde(skip)]
    Note(String),
    /// (not stored) A live view of one environment.
    #[serde(skip)]
    Frame(Box<Scene>),
    /// (not stored here: the newest ones are the run's `plot.json`) What it has learned of its data: in the place of pictures
    /// with the same titles.
    #[serde(skip)]
    Plots(Vec<Plot>),
    /// The last line.
    Finished {
        /// Environment steps so far.
        step: u64,
        /// How it ended.
        outcome: RunOutcome,
    },
}

/// A receiver of events.
pub trait Sink {
    /// Receives an event. Must not block the trainer.
    fn emit(&mut self, event: &Event);

    /// Whether a live view is wanted now: drawing one that is not shown costs time.
    fn wants_frame(&mut self) -> bool {
        false
    }
}
