//! The families of models for tables: how each wants its inputs, and how it is made.

use super::boosting::{self, Boosting};
use super::linear::{Linear, LinearConfig, LogisticConfig};
use super::mlp::{self, Mlp};
use super::{Learner, Shape};
use crate::agent::AgentError;
use crate::data::encode::Scaling;
use agon_core::settings::{Issue, Settings};
use serde_json::{Map, Value};

/// A family of models.
#[derive(Clone, Copy)]
pub struct Family {
    /// As people read it.
    pub name: &'static str,
    /// Steps where a scenario does not say.
    pub steps: u64,
    /// How numbers are brought to a common size, and whether missing ones stay missing.
    pub encoding: fn(&Map<String, Value>) -> Result<(Scaling, bool), AgentError>,
    /// A fresh learner.
    pub learner: fn(&Map<String, Value>, Shape) -> Result<Box<dyn Learner>, AgentError>,
}

fn read<S: Settings>(table: &Map<String, Value>) -> Result<S, AgentError> {
    S::read(table).map_err(AgentError::Settings)
}

/// Linear and ridge regression.
pub const LINEAR: Family = Family {
    name: "linear regression",
    steps: 1,
    encoding: |table| Ok((read::<LinearConfig>(table)?.scaling, false)),
    learner: |table, shape| {
        if shape.classes > 0 {
            return Err(
                Issue::value("kind", "linear predicts numbers, and this target has classes: use logistic").into()
            );
        }
        Ok(Box::new(Linear::new(read::<LinearConfig>(table)?.l2, shape)?))
    },
};

/// Logistic regression.
pub const LOGISTIC: Family = Family {
    name: "logistic regression",
    steps: 1,
    encoding: |table| Ok((read::<LogisticConfig>(table)?.scaling, false)),
    learner: |table, shape| {
        if shape.classes == 0 {
            return Err(
                Issue::value("kind", "logistic predicts classes, and this target holds numbers: use linear").into()
            );
        }
        Ok(Box::new(Linear::new(read::<LogisticConfig>(table)?.l2, shape)?))
    },
};

/// Multilayer perceptrons.
pub const MLP: Family = Family {
    name: "multilayer perceptron",
    steps: 300,
    encoding: |table| Ok((read::<mlp::Config>(table)?.scaling, false)),
    learner: |table, shape| Ok(Box::new(Mlp::new(read(table)?, shape)?)),
};

/// Gradient boosting.
pub const BOOSTING: Family = Family {
    name: "gradient boosting",
    steps: 500,
    encoding: |table| read::<boosting::Config>(table).map(|_| (Scaling::Asis, true)),
    learner: |table, shape| Ok(Box::new(Boosting::new(read(table)?, shape))),
};
