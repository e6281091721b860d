//! Everything a run can say. A trainer emits events and never knows who listens.

use crate::metric::Metric;
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
    /// Something broke; the log says what.
    Failed,
}

/// The curve that says how well a run does its task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chart {
    /// What episodes return while it trains.
    #[default]
    Returns,
    /// What evaluations say: in self-play every game that is won is lost too.
    Evaluations,
    /// Scalars by these names, where no episode ends while it trains.
    Scalars(Vec<String>),
}

/// One line of `metrics.jsonl`, or (where marked) of `speed.jsonl`, which holds what depends on the clock: metrics are
/// the same bits whenever a run is repeated or resumed.
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
        /// Whether it may end before: when it reaches a goal, or when its agents have settled.
        #[serde(default)]
        may_end_early: bool,
        /// What its main chart shows.
        #[serde(default)]
        chart: Chart,
        /// The expected return of an optimal policy, where an exact method knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        optimum: Option<f64>,
    },
    /// Losses and the like, by name.
    Scalars {
        /// Environment steps made.
        step: u64,
        /// `(name, value)`
        values: Vec<(String, f64)>,
    },
    /// The episodes that ended since the last such line.
    Episodes {
        /// Environment steps made.
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
        /// Environment steps made.
        step: u64,
        /// Mean return, or the metric that decides.
        mean: f64,
        /// Half the width of its 95 % interval; one episode has none.
        ci95: Option<f64>,
        /// Episodes it was taken over, or observations.
        episodes: u64,
        /// Of a training without an environment: everything that was found, the metric that decides first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        metrics: Vec<Metric>,
    },
    /// (speed) A checkpoint was written.
    Saved {
        /// Environment steps made.
        step: u64,
        /// Its folder.
        path: String,
    },
    /// (speed) How fast it goes.
    Speed {
        /// Environment steps made.
        step: u64,
        /// Seconds since the start, over all resumes.
        seconds: f64,
        /// Environment steps a second lately.
        steps_per_second: f64,
        /// Shares of the time: simulate, infer, learn, the rest.
        shares: [f64; 4],
        /// Resident memory, MB.
        memory: f64,
    },
    /// (not stored) What the run does beside training.
    #[serde(skip)]
    Note(String),
    /// (not stored) A live view of one environment.
    #[serde(skip)]
    Frame(Box<Scene>),
    /// The last line.
    Finished {
        /// Environment steps made.
        step: u64,
        /// How it ended.
        outcome: RunOutcome,
    },
}

/// Someone who listens.
pub trait Sink {
    /// Takes an event. Must not block the trainer.
    fn emit(&mut self, event: &Event);

    /// Whether a live view would be looked at now; drawing one nobody sees costs time.
    fn wants_frame(&mut self) -> bool {
        false
    }
}
