//! The metrics of an evaluation: numbers with names, intervals and a direction.

use serde::{Deserialize, Serialize};

/// Which values of a metric are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Large ones, as of a return.
    Highest,
    /// Small ones, as of a loss.
    Lowest,
    /// Those near zero, as of a bias.
    Zero,
}

/// One metric of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name, such as `log_loss`.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The ends of its 95 % interval, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// Half its width, where it is symmetric around the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95: Option<f64>,
    /// Which values are good.
    pub goal: Goal,
    /// The number and kind of observations behind it, such as `(51, "weeks")`.
    pub over: (u64, String),
}

impl Metric {
    /// The deciding metric of agents.
    pub const MEAN_RETURN: &str = "mean_return";

    /// Whether `value` is better than `other`.
    pub fn is_better(&self, other: f64) -> bool {
        match self.goal {
            Goal::Highest => self.value > other,
            Goal::Lowest => self.value < other,
            Goal::Zero => self.value.abs() < other.abs(),
        }
    }

    /// Whether `value` is at least as good as `other`.
    pub fn reaches(&self, other: f64) -> bool {
        self.is_better(other) || self.value == other
    }

    /// Half the width of the interval.
    pub fn half(&self) -> Option<f64> {
        self.ci95.or_else(|| self.interval.map(|[low, high]| (high - low) / 2.0))
    }
}
