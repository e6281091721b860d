//! The families of models without a target: how each wants its inputs, and how it is made.

use super::autoencoder::{self, Autoencoder};
use super::clustering::Clustering;
use super::gmm::{self, Mixture};
use super::hdbscan::{self, Hdbscan};
use super::isolation_forest::{self, Forest};
use super::kmeans::{self, KMeans};
use super::mahalanobis::{self, Mahalanobis};
use super::pca::{self, Pca};
use super::tsne::{self, Tsne};
use super::umap::{self, Umap};
use super::{Learner, Shape};
use crate::agent::AgentError;
use crate::data::encode::Scaling;
use agon_core::settings::Settings;
use serde_json::{Map, Value};

/// A family of models.
#[derive(Clone, Copy)]
pub struct Family {
    /// As scenarios name it.
    pub kind: &'static str,
    /// As people read it.
    pub name: &'static str,
    /// What a row's loss is called; none where there is no loss.
    pub loss: Option<&'static str>,
    /// What a step reports, by name.
    pub reports: &'static str,
    /// What knows nothing of how columns hang together, and must be beaten.
    pub beside: &'static str,
    /// Whether it is a map of all rows of a table: nothing is held out.
    pub whole: bool,
    /// Whether it says something of new rows.
    pub reads: bool,
    /// Steps where a scenario does not say, of so many rows: what the whole training takes, or epochs at most.
    pub steps: fn(&Map<String, Value>, usize) -> Result<u64, AgentError>,
    /// How numbers are brought to a common size.
    pub scaling: fn(&Map<String, Value>) -> Result<Scaling, AgentError>,
    /// A fresh learner.
    pub learner: fn(&Map<String, Value>, Shape) -> Result<Box<dyn Learner>, AgentError>,
}

fn read<S: Settings>(table: &Map<String, Value>) -> Result<S, AgentError> {
    S::read(table).map_err(AgentError::Settings)
}

/// The loss of models that reduce a row to fewer numbers, or to its centre.
const SQUARED: Option<&str> = Some("squared_error");
/// The loss of models that give densities.
const DENSITY: Option<&str> = Some("negative_log_likelihood");

/// Epochs of a network at most.
const EPOCHS: u64 = 300;

/// All families.
pub const FAMILIES: &[Family] = &[
    Family {
        kind: "kmeans",
        name: "k-means",
        loss: SQUARED,
        reports: "squared_error",
        beside: "overall mean",
        whole: false,
        reads: true,
        steps: |table, _| {
            let config: kmeans::Config = read(table)?;
            Ok(config.numbers().count() as u64 * config.starts)
        },
        scaling: |table| Ok(read::<kmeans::Config>(table)?.scaling),
        learner: |table, shape| {
            let config: kmeans::Config = read(table)?;
            let (numbers, starts) = (config.numbers(), config.starts);
            Ok(Box::new(Clustering::<KMeans>::new(config, shape, numbers, starts)))
        },
    },
    Family {
        kind: "gmm",
        name: "Gaussian mixture",
        loss: DENSITY,
        reports: "negative_log_likelihood",
        beside: "independent columns",
        whole: false,
        reads: true,
        steps: |table, _| {
            let config: gmm::Config = read(table)?;
            Ok(config.numbers().count() as u64 * config.starts)
        },
        scaling: |table| Ok(read::<gmm::Config>(table)?.scaling),
        learner: |table, shape| {
            let config: gmm::Config = read(table)?;
            gmm::check(&config, shape.inputs)?;
            let (numbers, starts) = (config.numbers(), config.starts);
            Ok(Box::new(Clustering::<Mixture>::new(config, shape, numbers, starts)))
        },
    },
    Family {
        kind: "hdbscan",
        name: "HDBSCAN",
        loss: None,
        reports: "share_of_no_cluster",
        beside: "",
        whole: false,
        reads: true,
        steps: |_, _| Ok(1),
        scaling: |table| Ok(read::<hdbscan::Config>(table)?.scaling),
        learner: |table, shape| Ok(Box::new(Hdbscan::new(read(table)?, shape))),
    },
    Family {
        kind: "pca",
        name: "principal components",
        loss: SQUARED,
        reports: "squared_error",
        beside: "overall mean",
        whole: false,
        reads: true,
        steps: |_, _| Ok(1),
        scaling: |table| Ok(read::<pca::Config>(table)?.scaling),
        learner: |table, shape| Ok(Box::new(Pca::new(read(table)?, shape))),
    },
    Family {
        kind: "isolation-forest",
        name: "isolation forest",
        loss: None,
        reports: "mean_depth",
        beside: "",
        whole: false,
        reads: true,
        steps: |table, _| Ok(read::<isolation_forest::Config>(table)?.trees),
        scaling: |table| Ok(read::<isolation_forest::Config>(table)?.scaling),
        learner: |table, shape| Ok(Box::new(Forest::new(read(table)?, shape))),
    },
    Family {
        kind: "mahalanobis",
        name: "Mahalanobis distance",
        loss: DENSITY,
        reports: "negative_log_likelihood",
        beside: "independent columns",
        whole: false,
        reads: true,
        steps: |_, _| Ok(1),
        scaling: |table| Ok(read::<mahalanobis::Config>(table)?.scaling),
        learner: |table, shape| Ok(Box::new(Mahalanobis::new(read(table)?, shape)?)),
    },
    Family {
        kind: "autoencoder",
        name: "autoencoder",
        loss: SQUARED,
        reports: "squared_error",
        beside: "overall mean",
        whole: false,
        reads: true,
        steps: |_, _| Ok(EPOCHS),
        scaling: |table| Ok(read::<autoencoder::Config>(table)?.scaling),
        learner: |table, shape| Ok(Box::new(Autoencoder::new(read(table)?, shape, false)?)),
    },
    Family {
        kind: "vae",
        name: "variational autoencoder",
        loss: SQUARED,
        reports: "loss",
        beside: "overall mean",
        whole: false,
        reads: true,
        steps: |_, _| Ok(EPOCHS),
        scaling: |table| Ok(read::<autoencoder::Config>(table)?.scaling),
        learner: |table, shape| Ok(Box::new(Autoencoder::new(read(table)?, shape, true)?)),
    },
    Family {
        kind: "tsne",
        name: "t-SNE",
        loss: None,
        reports: "kl_divergence",
        beside: "",
        whole: true,
        reads: false,
        steps: |_, _| Ok(tsne::STEPS),
        scaling: |table| Ok(read::<tsne::Config>(table)?.scaling),
        learner: |table, shape| Ok(Box::new(Tsne::new(read(table)?, shape))),
    },
    Family {
        kind: "umap",
        name: "UMAP",
        loss: None,
        reports: "cross_entropy_of_drawn_pairs",
        beside: "",
        whole: true,
        reads: true,
        steps: |_, rows| Ok(umap::steps(rows)),
        scaling: |table| Ok(read::<umap::Config>(table)?.scaling),
        learner: |table, shape| Ok(Box::new(Umap::new(read(table)?, shape)?)),
    },
];

/// The family of this name.
pub fn find(kind: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.kind == kind)
}
