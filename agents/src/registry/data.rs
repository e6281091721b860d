//! What models without an environment learn from.

use crate::agent::AgentError;
use crate::bandit::decisions::Decisions;
use crate::data::dataset::Dataset;
use crate::demand::Sales;
use crate::on_policy::clone::Demonstration;
use crate::pictures::dataset::PictureSet;
use crate::supervised::regime::Regime;
use agon_core::Spec;
use agon_core::settings::Issue;
use std::sync::Arc;
use tch::Device;

/// What is learned from.
pub enum Data {
    /// Weeks of sales, and the shares of them that are held out: for validation during training, and for the test.
    Sales(Box<Sales>, [f64; 2]),
    /// A table with a target, divided into parts.
    Table(Box<Dataset>),
    /// The same, for a model that is trained otherwise than on all rows at once.
    TableUnder(Box<Dataset>, Regime),
    /// Pictures with their classes, divided into parts.
    Pictures(Arc<PictureSet>),
    /// Logged decisions, divided into parts.
    Log(Box<Decisions>),
    /// Recorded episodes of an environment with this spec, and the number of threads.
    Episodes(Spec, Arc<Vec<Demonstration>>, usize),
}

/// What a training without an environment starts with.
pub struct DataStart {
    /// What is learned from.
    pub data: Data,
    /// Steps to make.
    pub steps: u64,
    /// The seed of the run.
    pub seed: u64,
    /// Where networks compute, of models that [`super::Model::on_device`] says it of.
    pub device: Device,
}

impl Data {
    /// That a model learns from something else, of another section.
    fn instead<T>(&self, what: &str, needs: &str) -> Result<T, AgentError> {
        let section = match self {
            Self::Sales(..) => "[fit]",
            Self::Table(_) | Self::TableUnder(..) => "[data]",
            Self::Pictures(_) => "[pictures]",
            Self::Log(_) => "[log]",
            Self::Episodes(..) => "[env]",
        };
        Err(Issue::value("kind", format!("learns from {what}: it needs {needs} in the place of {section}")).into())
    }

    pub(super) fn sales(self) -> Result<(Sales, [f64; 2]), AgentError> {
        match self {
            Self::Sales(sales, kept_back) => Ok((*sales, kept_back)),
            other => other.instead("sales", "[fit]"),
        }
    }

    pub(super) fn table(self) -> Result<Box<Dataset>, AgentError> {
        match self {
            Self::Table(table) => Ok(table),
            other => other.instead("a table", "[data]"),
        }
    }

    pub(super) fn table_under(self) -> Result<(Box<Dataset>, Regime), AgentError> {
        match self {
            Self::TableUnder(table, regime) => Ok((table, regime)),
            other => Ok((other.table()?, Regime::Central)),
        }
    }

    pub(super) fn pictures(self) -> Result<Arc<PictureSet>, AgentError> {
        match self {
            Self::Pictures(pictures) => Ok(pictures),
            other => other.instead("pictures", "[pictures]"),
        }
    }

    pub(super) fn log(self) -> Result<Decisions, AgentError> {
        match self {
            Self::Log(log) => Ok(*log),
            other => other.instead("a log of decisions", "[log]"),
        }
    }

    pub(super) fn episodes(self) -> Result<(Spec, Arc<Vec<Demonstration>>, usize), AgentError> {
        match self {
            Self::Episodes(spec, episodes, threads) => Ok((spec, episodes, threads)),
            other => other.instead("recorded episodes", "[env]"),
        }
    }
}
