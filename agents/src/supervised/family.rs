//! The families of models for tables: how each wants its inputs, and how it is made.

use super::boosting::{self, Boosting, Categories};
use super::forest::{self, Forest};
use super::ft_transformer;
use super::linear::{Linear, LinearConfig, LogisticConfig};
use super::mlp::{self, Mlp};
use super::realmlp;
use super::tabm;
use super::text_encoder;
use super::{Learner, Shape};
use crate::agent::AgentError;
use crate::data::Column;
use crate::data::encode::{Encoder, MOST_FLAGS, Scaling, Slot};
use crate::data::tokens::Form;
use agon_core::settings::{Issue, Settings};
use serde_json::{Map, Value};

/// A family of models.
#[derive(Clone, Copy)]
pub struct Family {
    /// As people read it.
    pub name: &'static str,
    /// Steps where a scenario does not say.
    pub steps: u64,
    /// How columns become numbers.
    pub encoding: fn(&Map<String, Value>) -> Result<Encoding, AgentError>,
    /// A fresh learner of rows that hold this.
    pub learner: fn(&Map<String, Value>, Shape, &[Slot]) -> Result<Box<dyn Learner>, AgentError>,
    /// The same model as a network that gradients descend on, where it is one.
    pub network: Option<fn(&Map<String, Value>) -> Result<NetPlan, AgentError>>,
    /// Whether it searches among the others.
    pub is_search: bool,
    /// Whether its steps may each be on other rows: it learns by gradients of minibatches.
    pub by_minibatches: bool,
}

impl Family {
    /// Settings that name columns are for a model that is trained alone.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where there are some, and it is one of several.
    pub fn alone(&self, settings: &Map<String, Value>, is_alone: bool) -> Result<(), AgentError> {
        let names = |key: &&str| settings.get(*key).and_then(Value::as_array).is_some_and(|names| !names.is_empty());
        match ["increasing", "decreasing"].into_iter().find(names).filter(|_| !is_alone) {
            Some(key) => Err(Issue::value(key, "is not for train.shards and data.pseudo_labels").into()),
            None => Ok(()),
        }
    }

    /// The settings of a model that learns from so many blocks: it does not end before a pass over all of them brings nothing.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where it cannot.
    pub fn within_blocks(
        &self,
        settings: &Map<String, Value>,
        blocks: usize,
    ) -> Result<Map<String, Value>, AgentError> {
        let mut settings = settings.clone();
        if blocks > 0 && !self.by_minibatches {
            let why = "needs all rows in memory: mlp, tabm, realmlp, ft-transformer and text-encoder learn from blocks (data.stream)";
            return Err(Issue::value("kind", format!("{} {why}", self.name)).into());
        }
        if let Some(patience) = settings.get_mut("patience").filter(|patience| patience.as_u64() > Some(0)) {
            *patience = patience.as_u64().unwrap_or(0).max(blocks as u64).into();
        }
        Ok(settings)
    }
}

/// A model as a network.
#[derive(Clone, Debug)]
pub struct NetPlan {
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// The penalty on squared weights beside the summed loss, as linear models have it.
    pub l2: f64,
    /// What weights shrink by in a step, times the rate, as networks have it.
    pub weight_decay: f64,
    /// Steps without a lower loss of the validation part after which it ends; 0 makes all of them.
    pub patience: u64,
}

/// How a family wants its inputs.
#[derive(Clone, Debug)]
pub struct Encoding {
    /// How numbers are brought to a common size.
    pub scaling: Scaling,
    /// Whether missing numbers stay missing.
    pub keep_missing: bool,
    /// Above how many labels a category becomes the place of its label; a number for each label if left out.
    pub coded_above: Option<usize>,
    /// The tokens that texts become; weights of words if left out.
    pub tokens: Option<Form>,
}

impl Encoding {
    /// Numbers of a common size, without gaps, and a number for each label.
    fn plain(scaling: Scaling) -> Self {
        Self { scaling, keep_missing: false, coded_above: None, tokens: None }
    }

    /// Numbers as they are, missing ones too, and labels as trees are to read them.
    fn of_trees(categories: Categories) -> Self {
        let coded_above = (categories == Categories::Native).then_some(0);
        Self { keep_missing: true, coded_above, ..Self::plain(Scaling::Asis) }
    }

    /// What these rows say of these columns.
    ///
    /// # Errors
    /// [`AgentError::Data`] where no tokens can be learned from texts.
    pub fn fit(&self, columns: &[&Column], rows: &[usize]) -> Result<Encoder, AgentError> {
        let mut encoder = Encoder::fit(columns, rows, self.scaling, self.keep_missing);
        if let Some(labels) = self.coded_above {
            encoder = encoder.with_codes(labels);
        }
        match &self.tokens {
            Some(form) => encoder.with_tokens(columns, rows, form),
            None => Ok(encoder),
        }
    }
}

fn read<S: Settings>(table: &Map<String, Value>) -> Result<S, AgentError> {
    S::read(table).map_err(AgentError::Settings)
}

/// Linear and ridge regression.
pub const LINEAR: Family = Family {
    name: "linear regression",
    steps: 1,
    encoding: |table| Ok(Encoding::plain(read::<LinearConfig>(table)?.scaling)),
    learner: |table, shape, _| {
        if shape.classes > 0 {
            return Err(
                Issue::value("kind", "linear predicts numbers, and this target has classes: use logistic").into()
            );
        }
        Ok(Box::new(Linear::new(read::<LinearConfig>(table)?.l2, shape)?))
    },
    network: Some(|table| {
        Ok(NetPlan { hidden: Vec::new(), l2: read::<LinearConfig>(table)?.l2, weight_decay: 0.0, patience: 0 })
    }),
    is_search: false,
    by_minibatches: false,
};

/// Logistic regression.
pub const LOGISTIC: Family = Family {
    name: "logistic regression",
    steps: 1,
    encoding: |table| Ok(Encoding::plain(read::<LogisticConfig>(table)?.scaling)),
    learner: |table, shape, _| {
        if shape.classes == 0 {
            return Err(
                Issue::value("kind", "logistic predicts classes, and this target holds numbers: use linear").into()
            );
        }
        Ok(Box::new(Linear::new(read::<LogisticConfig>(table)?.l2, shape)?))
    },
    network: Some(|table| {
        Ok(NetPlan { hidden: Vec::new(), l2: read::<LogisticConfig>(table)?.l2, weight_decay: 0.0, patience: 0 })
    }),
    is_search: false,
    by_minibatches: false,
};

/// Multilayer perceptrons.
pub const MLP: Family = Family {
    name: "multilayer perceptron",
    steps: 300,
    encoding: |table| Ok(Encoding::plain(read::<mlp::Config>(table)?.scaling)),
    learner: |table, shape, _| Ok(Box::new(Mlp::new(read(table)?, shape)?)),
    network: Some(|table| {
        let mlp::Config { hidden, weight_decay, patience, .. } = read(table)?;
        Ok(NetPlan { hidden, l2: 0.0, weight_decay, patience })
    }),
    is_search: false,
    by_minibatches: true,
};

/// Gradient boosting.
pub const BOOSTING: Family = Family {
    name: "gradient boosting",
    steps: 500,
    encoding: |table| Ok(Encoding::of_trees(read::<boosting::Config>(table)?.categories)),
    learner: |table, shape, slots| Ok(Box::new(Boosting::new(read(table)?, shape, slots))),
    network: None,
    is_search: false,
    by_minibatches: false,
};

/// Random forests.
pub const FOREST: Family = Family {
    name: "random forest",
    steps: 200,
    encoding: |table| Ok(Encoding::of_trees(read::<forest::Config>(table)?.categories)),
    learner: |table, shape, slots| Ok(Box::new(Forest::new(read(table)?, shape, slots))),
    network: None,
    is_search: false,
    by_minibatches: false,
};

/// Ensembles of perceptrons in one network.
pub const TABM: Family = Family {
    name: "TabM",
    steps: 256,
    encoding: |table| {
        Ok(Encoding { coded_above: Some(MOST_FLAGS), ..Encoding::plain(read::<tabm::Config>(table)?.scaling) })
    },
    learner: |table, shape, slots| Ok(Box::new(tabm::learner(&read(table)?, shape, slots)?)),
    network: None,
    is_search: false,
    by_minibatches: true,
};

/// Perceptrons with tuned defaults; they scale their inputs themselves.
pub const REALMLP: Family = Family {
    name: "RealMLP",
    steps: 256,
    encoding: |table| {
        read::<realmlp::Config>(table)?;
        Ok(Encoding { coded_above: Some(MOST_FLAGS), ..Encoding::plain(Scaling::Asis) })
    },
    learner: |table, shape, slots| Ok(Box::new(realmlp::learner(&read(table)?, shape, slots)?)),
    network: None,
    is_search: false,
    by_minibatches: true,
};

/// Transformer encoders of texts.
pub const TEXT_ENCODER: Family = Family {
    name: "text encoder",
    steps: 8,
    encoding: |table| {
        let config = read::<text_encoder::Config>(table)?;
        let tokens = Some(text_encoder::form(&config));
        Ok(Encoding { coded_above: Some(MOST_FLAGS), tokens, ..Encoding::plain(config.scaling) })
    },
    learner: |table, shape, slots| Ok(Box::new(text_encoder::learner(&read(table)?, shape, slots)?)),
    network: None,
    is_search: false,
    by_minibatches: true,
};

/// Transformers of tables.
pub const FT_TRANSFORMER: Family = Family {
    name: "FT-Transformer",
    steps: 256,
    encoding: |table| {
        Ok(Encoding { coded_above: Some(0), ..Encoding::plain(read::<ft_transformer::Config>(table)?.scaling) })
    },
    learner: |table, shape, slots| Ok(Box::new(ft_transformer::learner(&read(table)?, shape, slots)?)),
    network: None,
    is_search: false,
    by_minibatches: true,
};
