//! How a model of a table is trained where it is not on all rows at once: keys of `[train]` beside those of every scenario.

use super::clients::{self, Clients};
use super::family::Family;
use super::federated::{self, Federated};
use super::private::{PrivacySettings, Private};
use super::sharded::Sharded;
use super::{Examples, Learner, Shape};
use crate::agent::{AgentError, Saved};
use crate::data::dataset::{Dataset, find_column};
use crate::data::encode::Slot;
use crate::data::split::Split;
use crate::data::{Column, Raw};
use agon_core::settings::{Issue, Settings};
use serde_json::{Map, Value};

agon_core::settings! {
    /// How a model of a table is trained where it is not on all rows at once.
    pub struct RegimeSettings {
        /// Federated: who holds the rows of the training part, by the column that says so (which is then no input), or a
        /// number of clients that rows are dealt to.
        clients: Option<Clients> = None, in [2.0, 10_000.0];
        /// Federated, with a number of clients: how alike their classes are, by a Dirichlet distribution's concentration; 0.1
        /// leaves most of them few classes; rows are dealt at random if left out.
        client_alpha: Option<f64> = None, in [1e-3, 1e6];
        /// Federated: the share of the clients that take part in a round. A step is a round.
        client_share: f64 = 1.0, in [1e-4, 1.0];
        /// Federated: passes of a client over its rows in a round.
        local_epochs: u64 = 1, in [1.0, 1000.0];
        /// Federated: the rate of a client's gradient descent.
        local_rate: f64 = 0.1, in [1e-9, 10.0];
        /// Federated: rows of a client's gradient step.
        local_minibatch: usize = 16, in [1.0, 65536.0];
        /// Federated: how much a client's weights are held near the server's (FedProx); 0 is federated averaging.
        proximal: f64 = 0.0, in [0.0, 100.0];
        /// Federated: whether clients mask their weights, so that the server sees sums alone (a simulation).
        secure_aggregation: bool = false;
        /// Rows can be forgotten (`agon unlearn`): so many models learn a part of the rows each, and answer together (SISA).
        shards: Option<usize> = None, in [1.0, 1000.0];
        /// With shards: the slices of a shard that its model learns one after another; of model.kind = "mlp" alone. With
        /// more of them less is learned again where a row is forgotten, and the last ones are learned in fewer steps.
        slices: usize = 1, in [1.0, 100.0];
        /// Differentially private training, with settings of its own; of `mlp`, `logistic` and `linear`.
        privacy: Option<PrivacySettings> = None;
    }
}

/// How a model of a table is trained.
#[derive(Clone, Debug, Default)]
pub enum Regime {
    /// On all rows of the training part at once.
    #[default]
    Central,
    /// By clients that keep their rows; the client of each row of the training part.
    Federated(federated::Config, Vec<u32>),
    /// In shards, and slices of them.
    Sharded([usize; 2]),
    /// Private: no row says more than so much.
    Private(PrivacySettings),
}

/// The steps of a federation where a scenario does not say.
const ROUNDS: u64 = 100;
/// Those of private training: each spends.
const PRIVATE_EPOCHS: u64 = 30;

/// Keys that say something of federations alone.
const FEDERATED: [&str; 7] =
    ["client_alpha", "client_share", "local_epochs", "local_rate", "local_minibatch", "proximal", "secure_aggregation"];

impl RegimeSettings {
    /// Takes its keys out of a `[train]` table.
    ///
    /// # Errors
    /// What is wrong with them, or means nothing.
    pub fn take(train: &mut Map<String, Value>) -> Result<Self, Vec<Issue>> {
        let mut own = Map::new();
        for declared in Self::declared() {
            if let Some(value) = train.remove(declared.name) {
                own.insert(declared.name.into(), value);
            }
        }
        let read = Self::read(&own)?;
        if read.clients.is_none()
            && let Some(key) = FEDERATED.iter().find(|key| own.contains_key(**key))
        {
            return Err(vec![Issue::key(key, "means nothing without train.clients")]);
        }
        if read.shards.is_none() && own.contains_key("slices") {
            return Err(vec![Issue::key("slices", "means nothing without train.shards")]);
        }
        if read.shards.is_some() && read.clients.is_some() {
            return Err(vec![Issue::key("shards", "and train.clients are two ways of training: leave one out")]);
        }
        if read.privacy.is_some() && (read.clients.is_some() || read.shards.is_some()) {
            let why = "is a way of training of its own: leave train.clients and train.shards out";
            return Err(vec![Issue::key("privacy", why)]);
        }
        if let (Some(Clients::Column(_)), Some(_)) = (&read.clients, read.client_alpha) {
            return Err(vec![Issue::key(
                "client_alpha",
                "is for a number of clients: a column says whose rows are whose",
            )]);
        }
        Ok(read)
    }

    /// Steps where a scenario does not say; `family`: those of its family.
    pub fn steps(&self, family: u64) -> u64 {
        match (&self.clients, &self.privacy) {
            (Some(_), _) => ROUNDS,
            (_, Some(_)) => PRIVATE_EPOCHS,
            _ => family,
        }
    }

    /// Whether all rows are learned from at once.
    pub fn is_central(&self) -> bool {
        self.clients.is_none() && self.shards.is_none() && self.privacy.is_none()
    }

    /// Its keys as a scenario has them; none where all rows are learned from at once.
    pub fn written(&self) -> Map<String, Value> {
        let mut all = self.write();
        all.retain(|key, _| match key.as_str() {
            "shards" | "slices" => self.shards.is_some(),
            "privacy" => true,
            _ => self.clients.is_some(),
        });
        all
    }

    /// Whether rows can be forgotten.
    pub fn forgets(&self) -> bool {
        self.shards.is_some()
    }

    /// The column that is no input because of it.
    pub fn column(&self) -> Option<&str> {
        match &self.clients {
            Some(Clients::Column(name)) => Some(name),
            _ => None,
        }
    }

    /// What it means for a table.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where the family or the target does not allow it, [`AgentError::Data`] where the rows do not.
    pub fn regime(&self, family: &Family, raw: &Raw, data: &Dataset, seed: u64) -> Result<Regime, AgentError> {
        if let Some(shards) = self.shards {
            return self.sharded(shards, family, data);
        }
        if let Some(privacy) = &self.privacy {
            return private(privacy, family, data);
        }
        let Some(who) = &self.clients else { return Ok(Regime::Central) };
        if family.network.is_none() {
            return Err(Issue::value("clients", "is for model.kind = \"mlp\", \"logistic\" or \"linear\"").into());
        }
        if data.unlabelled.is_some() {
            return Err(Issue::value("clients", "is not for data.pseudo_labels").into());
        }
        let train = &data.split.train;
        let of_row = match who {
            Clients::Column(name) => {
                find_column("clients", name, raw)?;
                let column = Column::of_lines(raw, name, &data.lines);
                column.map_or(Ok(Vec::new()), |column| clients::by_column(&column, train))?
            }
            Clients::Count(count) if train.len() < *count => {
                let why = format!("{count} are more than the {} rows of the training part", train.len());
                return Err(Issue::value("clients", why).into());
            }
            Clients::Count(count) => {
                let (y, classes): (Vec<f64>, usize) =
                    (train.iter().map(|row| data.target.y[*row]).collect(), data.target.classes.len());
                if classes == 0 && self.client_alpha.is_some() {
                    return Err(Issue::key("client_alpha", "is for classes, and this target holds numbers").into());
                }
                clients::drawn(*count, self.client_alpha, &y, classes, seed)
            }
        };
        Ok(Regime::Federated(self.federated(), of_row))
    }

    fn sharded(&self, shards: usize, family: &Family, data: &Dataset) -> Result<Regime, AgentError> {
        if self.slices > 1 && (family.network.is_none() || family.steps == 1) {
            return Err(Issue::value("slices", "above 1 are for model.kind = \"mlp\"").into());
        }
        if family.is_search {
            return Err(
                Issue::value("shards", "is not for automl: name a model, such as model.kind = \"boosting\"").into()
            );
        }
        if data.unlabelled.is_some() {
            return Err(Issue::value("shards", "is not for data.pseudo_labels").into());
        }
        Ok(Regime::Sharded([shards, self.slices]))
    }

    fn federated(&self) -> federated::Config {
        federated::Config {
            client_share: self.client_share,
            local_epochs: self.local_epochs,
            local_rate: self.local_rate,
            local_minibatch: self.local_minibatch,
            proximal: self.proximal,
            secure_aggregation: self.secure_aggregation,
        }
    }
}

impl Regime {
    /// The rows that say how columns become numbers: those of the training part, or of the validation part where rows of the
    /// training part are to leave no trace.
    pub fn scaled_by<'a>(&self, split: &'a Split) -> &'a [usize] {
        if matches!(self, Self::Sharded(_)) { &split.validation } else { &split.train }
    }

    /// A fresh learner of this family's rows.
    ///
    /// # Errors
    /// Those of the family.
    pub fn learner(
        &self,
        family: &Family,
        settings: &Map<String, Value>,
        shape: Shape,
        slots: &[Slot],
        [train, validation]: [&Examples; 2],
    ) -> Result<Box<dyn Learner>, AgentError> {
        let own = (family.learner)(settings, shape, slots)?;
        let mixes = settings.get("mixup").and_then(Value::as_f64).is_some_and(|alpha| alpha > 0.0);
        if mixes && matches!(self, Self::Private(_) | Self::Federated(..)) {
            return Err(Issue::value("mixup", "is not for train.clients and train.privacy").into());
        }
        Ok(match (self, family.network) {
            (Self::Sharded(_), _) if !train.weights.is_empty() => {
                let why = "follow from how many rows each class has: no row of train.shards could be forgotten";
                return Err(Issue::value("class_weights", why).into());
            }
            (Self::Sharded(count), _) => {
                Box::new(Sharded::new(maker(*family, settings, slots), shape, *count, train, validation)?)
            }
            (Self::Private(_), _) if !train.weights.is_empty() => {
                let why = "follow from how many rows each class has, which train.privacy does not protect";
                return Err(Issue::value("class_weights", why).into());
            }
            (Self::Private(privacy), Some(network)) => {
                Box::new(Private::new(privacy.clone(), network(settings)?, shape, train.y.len())?)
            }
            (Self::Federated(config, of_row), Some(network)) => {
                Box::new(Federated::new(config.clone(), network(settings)?, shape, of_row.clone(), Some(own)))
            }
            _ => own,
        })
    }
}

fn private(privacy: &PrivacySettings, family: &Family, data: &Dataset) -> Result<Regime, AgentError> {
    if family.network.is_none() {
        return Err(Issue::value("privacy", "is for model.kind = \"mlp\", \"logistic\" or \"linear\"").into());
    }
    if data.unlabelled.is_some() {
        return Err(Issue::value("privacy", "is not for data.pseudo_labels").into());
    }
    privacy.check(data.split.train.len())?;
    Ok(Regime::Private(privacy.clone()))
}

fn maker(
    family: Family,
    settings: &Map<String, Value>,
    slots: &[Slot],
) -> Box<dyn Fn(Shape) -> Result<Box<dyn Learner>, AgentError>> {
    let (settings, slots) = (settings.clone(), slots.to_vec());
    Box::new(move |shape| (family.learner)(&settings, shape, &slots))
}

/// What a save of any regime predicts with.
///
/// # Errors
/// [`AgentError::Checkpoint`] where the save is of another model, or damaged.
pub fn answering(
    family: &Family,
    settings: &Map<String, Value>,
    shape: Shape,
    slots: &[Slot],
    saved: &Saved,
) -> Result<Box<dyn Learner>, AgentError> {
    let mut learner: Box<dyn Learner> = match (saved.state["regime"].as_str(), family.network) {
        (Some("federated"), Some(network)) => {
            let config = RegimeSettings::default().federated();
            Box::new(Federated::new(config, network(settings)?, shape, Vec::new(), None))
        }
        (Some("private"), Some(network)) => {
            let some = PrivacySettings { epsilon: Some(1.0), ..PrivacySettings::default() };
            Box::new(Private::new(some, network(settings)?, shape, 0)?)
        }
        (Some("sharded"), _) => {
            let none = Examples::default();
            let count = saved.state["shards"].as_array().map_or(0, Vec::len);
            let slices = saved.state["shards"][0]["sums"].as_array().map_or(1, Vec::len);
            Box::new(Sharded::new(maker(*family, settings, slots), shape, [count, slices], &none, &none)?)
        }
        (Some(other), _) => {
            return Err(AgentError::Checkpoint(format!("it was trained in a way unknown here: {other}")));
        }
        (None, _) => (family.learner)(settings, shape, slots)?,
    };
    learner.load(saved)?;
    Ok(learner)
}
