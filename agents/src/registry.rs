//! One row an agent. To add one: a file, a `mod` line, a row.

mod data;

use crate::agent::{Agent, AgentError, Context, Inference, Place, Saved};
use crate::alphazero::{self, AlphaZero};
use crate::bandit::{self, Bandit};
use crate::cem::{self, Cem};
use crate::demand::training::{self as demand, Demand};
use crate::dqn::{self, Dqn};
use crate::exact::{self, Exact};
use crate::off_policy::{sac, td3, xqc};
use crate::on_policy::a2c::{self, A2c};
use crate::on_policy::clone::{self, Cloning, Demonstration};
use crate::on_policy::ppo::{self, Ppo};
use crate::on_policy::reinforce::{self, Reinforce};
use crate::pictures::training::{self as pictures, Classifier};
use crate::supervised::family::{self, Family};
use crate::supervised::linear::{LinearConfig, LogisticConfig};
use crate::supervised::training::Supervised;
use crate::supervised::{automl, boosting, forest, ft_transformer, mlp, realmlp, tabm, text_encoder};
use crate::tabular::{self, Tabular};
use crate::train::{Start, Trainer, Training};
use crate::unsupervised::training::Unsupervised;
use crate::unsupervised::{self, autoencoder, gmm, hdbscan, isolation_forest, kmeans, mahalanobis, pca, tsne, umap};
use crate::world::{self, WorldModel};
use agon_core::settings::{Declared, Issue, Settings};
use serde_json::{Map, Value};
use tch::Device;

pub use data::{Data, DataStart};

/// How an agent is built.
#[derive(Clone, Copy)]
enum Build {
    /// As a learner in an environment.
    Agent(fn(&Map<String, Value>, &Context<'_>) -> Result<Box<dyn Agent>, AgentError>),
    /// The same, of one that computes on the host, whatever device is asked for.
    HostAgent(fn(&Map<String, Value>, &Context<'_>) -> Result<Box<dyn Agent>, AgentError>),
    /// As a training of its own kind.
    Training(fn(&Map<String, Value>, Start<'_>) -> Result<Box<dyn Training>, AgentError>),
    /// As a training from recorded episodes.
    Imitation(fn(&Map<String, Value>, &Start<'_>, &[Demonstration]) -> Result<Box<dyn Training>, AgentError>),
}

/// A row of the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// As scenarios name it.
    pub kind: &'static str,
    /// A one-line description.
    pub about: &'static str,
    /// What it is verified against.
    pub verified: &'static str,
    declared: fn() -> Vec<Declared>,
    resolve: fn(&Map<String, Value>) -> Result<Map<String, Value>, AgentError>,
    build: Build,
    infer: Infer,
}

/// Makes a policy from a save alone; none where an older version saved too little for that.
type Infer = fn(&Map<String, Value>, &Place<'_>, &Saved) -> Result<Option<Inference>, AgentError>;

impl Entry {
    /// What acting needs of an agent, without the learner; none where an older version saved too little: then only its
    /// training can be loaded.
    pub fn inference(
        &self,
        settings: &Map<String, Value>,
        place: &Place<'_>,
        saved: &Saved,
    ) -> Result<Option<Inference>, AgentError> {
        (self.infer)(settings, place, saved)
    }

    /// Its declared settings, as `agon agents` and `agon envs` print them.
    pub fn declared(&self) -> Vec<Declared> {
        (self.declared)()
    }

    /// The same settings with every default filled in.
    pub fn resolve(&self, settings: &Map<String, Value>) -> Result<Map<String, Value>, AgentError> {
        (self.resolve)(settings)
    }

    /// Whether the settings fit an environment of this spec; nothing large is allocated.
    pub fn check(&self, settings: &Map<String, Value>, start: Start<'_>, envs: usize) -> Result<(), AgentError> {
        match self.build {
            Build::Agent(build) | Build::HostAgent(build) => {
                let (rows, device) = (start.env.spec().agents * envs, Device::Cpu);
                build(settings, &Context { spec: start.env.spec(), rows, first_lane: 0, seed: 0, device, threads: 1 })
                    .map(drop)
            }
            Build::Training(build) => build(settings, start).map(drop),
            // Without episodes it refuses those last of all.
            Build::Imitation(build) => match build(settings, &start, &[]) {
                Err(AgentError::Data(_)) => Ok(()),
                other => other.map(drop),
            },
        }
    }

    /// Where it computes when it is asked to on this device.
    pub fn device(&self, asked: Device) -> Device {
        if matches!(self.build, Build::HostAgent(_)) { Device::Cpu } else { asked }
    }

    /// Whether it learns from recorded episodes, those that its `data` names, and not in its environment.
    pub fn learns_from_episodes(&self) -> bool {
        matches!(self.build, Build::Imitation(_))
    }

    /// A new training, from recorded episodes where it learns from those.
    pub fn start_from(
        &self,
        settings: &Map<String, Value>,
        start: Start<'_>,
        episodes: &[Demonstration],
    ) -> Result<Box<dyn Training>, AgentError> {
        match self.build {
            Build::Imitation(build) => build(settings, &start, episodes),
            _ => self.start(settings, start),
        }
    }

    /// Whether it can begin with what that agent has learned: one of its own kind, or a clone where its networks are of
    /// the same sort.
    pub fn begins_with(&self, kind: &str) -> bool {
        kind == self.kind || kind == "clone" && ["ppo", "a2c", "reinforce", "sac", "td3"].contains(&self.kind)
    }

    /// A new training.
    pub fn start(&self, settings: &Map<String, Value>, start: Start<'_>) -> Result<Box<dyn Training>, AgentError> {
        match self.build {
            Build::Agent(build) | Build::HostAgent(build) => {
                let Start { env, seed, steps, device, threads, .. } = start;
                let spec = env.spec();
                let first_lane = env.first_lane() * spec.agents as u32;
                let context = Context { spec, rows: env.rows(), first_lane, seed, device, threads };
                let agent = build(settings, &context)?;
                Ok(Box::new(Trainer::new(env, agent, seed, steps)))
            }
            Build::Training(build) => build(settings, start),
            Build::Imitation(build) => build(settings, &start, &[]),
        }
    }
}

/// A row of the registry of models: what is learned from data alone.
#[derive(Clone, Copy)]
pub struct Model {
    /// As scenarios name it.
    pub kind: &'static str,
    /// A one-line description.
    pub about: &'static str,
    /// What it is verified against.
    pub verified: &'static str,
    declared: fn() -> Vec<Declared>,
    resolve: fn(&Map<String, Value>) -> Result<Map<String, Value>, AgentError>,
    start: fn(&Map<String, Value>, DataStart) -> Result<Box<dyn Training>, AgentError>,
    /// Whether it computes on a GPU if asked to; the others do on the host in any case.
    pub on_device: bool,
    /// The family of models for tables that it is of, if it is.
    pub family: Option<Family>,
}

/// A training, or why there is none.
type Started = Result<Box<dyn Training>, AgentError>;

/// A new training of a family of models for tables.
fn supervised(family: Family, settings: &Map<String, Value>, start: DataStart) -> Started {
    let (own, device) = ([start.steps, start.seed], start.device);
    let (table, regime) = start.data.table_under()?;
    Ok(Box::new(Supervised::under(&regime, family, settings, &table, own, device)?))
}

/// A new training of a family of models without a target.
fn without_target(kind: &str, settings: &Map<String, Value>, start: DataStart) -> Started {
    let known = unsupervised::family::find(kind).ok_or_else(|| Issue::value("kind", "is no such model"))?;
    let (own, device) = ([start.steps, start.seed], start.device);
    Ok(Box::new(Unsupervised::new(*known, settings, *start.data.table()?, own, device)?))
}

impl Model {
    /// Its family, if it is a model without a target.
    pub fn unsupervised(&self) -> Option<&'static unsupervised::family::Family> {
        unsupervised::family::find(self.kind)
    }

    /// Its declared settings, as `agon agents` and `agon envs` print them.
    pub fn declared(&self) -> Vec<Declared> {
        (self.declared)()
    }

    /// The same settings with every default filled in.
    pub fn resolve(&self, settings: &Map<String, Value>) -> Result<Map<String, Value>, AgentError> {
        (self.resolve)(settings)
    }

    /// A new training.
    pub fn start(&self, settings: &Map<String, Value>, start: DataStart) -> Result<Box<dyn Training>, AgentError> {
        (self.start)(settings, start)
    }
}

/// All models.
pub const MODELS: &[Model] = &[
    Model {
        kind: "demand",
        about: "How customers choose among products by price and display: a multinomial logit, by maximum likelihood",
        verified: "numpy and scipy on real sales (tests/golden/tuna.py); known demands, forecasts of weeks kept back",
        declared: demand::Config::declared,
        resolve: |table| Ok(read::<demand::Config>(table)?.write()),
        start: |table, DataStart { data, steps, .. }| {
            let (sales, kept_back) = data.sales()?;
            Ok(Box::new(Demand::new(&read(table)?, sales, kept_back, steps)?))
        },
        on_device: false,
        family: None,
    },
    Model {
        kind: "linear",
        about: "Linear and ridge regression of a table, solved at once",
        verified: "scikit-learn on the same rows (tests/golden/tables.py); its gradient",
        declared: LinearConfig::declared,
        resolve: |table| Ok(read::<LinearConfig>(table)?.write()),
        start: |table, start| supervised(family::LINEAR, table, start),
        on_device: false,
        family: Some(family::LINEAR),
    },
    Model {
        kind: "logistic",
        about: "Logistic regression of a table, two classes or several, solved to convergence",
        verified: "scikit-learn on the same rows (tests/golden/tables.py); its gradient",
        declared: LogisticConfig::declared,
        resolve: |table| Ok(read::<LogisticConfig>(table)?.write()),
        start: |table, start| supervised(family::LOGISTIC, table, start),
        on_device: false,
        family: Some(family::LOGISTIC),
    },
    Model {
        kind: "boosting",
        about: "Gradient boosting of regression trees over histograms: classes and numbers, missing values as they are",
        verified: "scikit-learn's HistGradientBoosting on the same rows (tests/golden/tables.py)",
        declared: boosting::Config::declared,
        resolve: |table| Ok(read::<boosting::Config>(table)?.write()),
        start: |table, start| supervised(family::BOOSTING, table, start),
        on_device: false,
        family: Some(family::BOOSTING),
    },
    Model {
        kind: "forest",
        about: "A random forest of a table: classes and numbers, missing values and labels as they are; or one decision tree",
        verified: "scikit-learn's RandomForest and DecisionTree on the same rows (tests/golden/tables.py)",
        declared: forest::Config::declared,
        resolve: |table| Ok(read::<forest::Config>(table)?.write()),
        start: |table, start| supervised(family::FOREST, table, start),
        on_device: false,
        family: Some(family::FOREST),
    },
    Model {
        kind: "mlp",
        about: "A multilayer perceptron of a table: minibatches, Adam, dropout, weight decay, early stopping",
        verified: "passes and optimizer as the agents'; classic tables (tests/golden/tables.py)",
        declared: mlp::Config::declared,
        resolve: |table| Ok(read::<mlp::Config>(table)?.write()),
        start: |table, start| supervised(family::MLP, table, start),
        on_device: false,
        family: Some(family::MLP),
    },
    Model {
        kind: "world",
        about: "A simulator learned from recorded episodes, an ensemble of networks: agents train in it as model/learned",
        verified: "a linear system in closed form; agents trained in it play the real one (docs/world-models.md)",
        declared: world::Config::declared,
        resolve: |table| Ok(read::<world::Config>(table)?.write()),
        start: |table, DataStart { data, steps, seed, .. }| {
            let (spec, episodes, threads) = data.episodes()?;
            Ok(Box::new(WorldModel::new(read(table)?, &spec, &episodes, [steps, seed], threads)?))
        },
        on_device: false,
        family: None,
    },
    Model {
        kind: "tabm",
        about: "TabM: an ensemble of perceptrons that share weights in one network; many labels are embedded",
        verified: "pytabkit's TabM on the same rows (tests/golden/networks.py); members as perceptrons of their own",
        declared: tabm::Config::declared,
        resolve: |table| Ok(read::<tabm::Config>(table)?.write()),
        start: |table, start| supervised(family::TABM, table, start),
        on_device: true,
        family: Some(family::TABM),
    },
    Model {
        kind: "realmlp",
        about: "RealMLP: a perceptron with tuned defaults: periodic embeddings of numbers, cycles of the rate, smooth labels",
        verified: "pytabkit's RealMLP on the same rows (tests/golden/networks.py)",
        declared: realmlp::Config::declared,
        resolve: |table| Ok(read::<realmlp::Config>(table)?.write()),
        start: |table, start| supervised(family::REALMLP, table, start),
        on_device: true,
        family: Some(family::REALMLP),
    },
    Model {
        kind: "text-encoder",
        about: "A transformer encoder of texts: byte-pair tokens of the training part, attention, beside the other columns",
        verified: "PyTorch's nn.TransformerEncoder with the same weights (tests/golden/encoder.py); padding changes nothing",
        declared: text_encoder::Config::declared,
        resolve: |table| Ok(read::<text_encoder::Config>(table)?.write()),
        start: |table, start| supervised(family::TEXT_ENCODER, table, start),
        on_device: true,
        family: Some(family::TEXT_ENCODER),
    },
    Model {
        kind: "ft-transformer",
        about: "FT-Transformer: a token for each column, attention among them; classes and numbers",
        verified: "the authors' network with the same weights (tests/golden/encoder.py)",
        declared: ft_transformer::Config::declared,
        resolve: |table| Ok(read::<ft_transformer::Config>(table)?.write()),
        start: |table, start| supervised(family::FT_TRANSFORMER, table, start),
        on_device: true,
        family: Some(family::FT_TRANSFORMER),
    },
    Model {
        kind: "automl",
        about: "A search among all models of tables: folds, successive halving, a greedy ensemble; agon train --minutes",
        verified: "ensembles by hand; scikit-learn on the same rows (scripts/automl.py)",
        declared: automl::Config::declared,
        resolve: |table| Ok(read::<automl::Config>(table)?.write()),
        start: |table, start| supervised(automl::AUTOML, table, start),
        on_device: true,
        family: Some(automl::AUTOML),
    },
    Model {
        kind: "cnn",
        about: "A small residual network of pictures; pictures without a class teach it by FixMatch",
        verified: "gradients by differences; scikit-learn's digits, Fashion-MNIST (docs/data.md)",
        declared: pictures::Config::declared,
        resolve: |table| Ok(read::<pictures::Config>(table)?.write()),
        start: |table, DataStart { data, steps, seed, device }| {
            Ok(Box::new(Classifier::new(read(table)?, data.pictures()?, [steps, seed], device)?))
        },
        on_device: true,
        family: None,
    },
    Model {
        kind: "bandit",
        about: "A policy of single decisions, learned from a log of another one: direct, by inverse propensities, doubly robust",
        verified: "the Open Bandit Pipeline's estimators (tests/golden/off_policy_evaluation.py); worlds with a known optimum",
        declared: bandit::Config::declared,
        resolve: |table| Ok(read::<bandit::Config>(table)?.write()),
        start: |table, DataStart { data, seed, .. }| Ok(Box::new(Bandit::new(read(table)?, data.log()?, seed))),
        on_device: false,
        family: None,
    },
    Model {
        kind: "kmeans",
        about: "Clusters of rows around centres: k-means++, Lloyd's iteration with bounds, minibatches; the number by silhouette",
        verified: "scikit-learn from the same starts (tests/golden/unsupervised.py); the plain iteration",
        declared: kmeans::Config::declared,
        resolve: |table| Ok(read::<kmeans::Config>(table)?.write()),
        start: |table, start| without_target("kmeans", table, start),
        on_device: false,
        family: None,
    },
    Model {
        kind: "gmm",
        about: "Clusters as a mixture of normal distributions by expectation maximisation; the number by BIC",
        verified: "scikit-learn from the same start (tests/golden/unsupervised.py)",
        declared: gmm::Config::declared,
        resolve: |table| Ok(read::<gmm::Config>(table)?.write()),
        start: |table, start| without_target("gmm", table, start),
        on_device: false,
        family: None,
    },
    Model {
        kind: "hdbscan",
        about: "Clusters of any shape by density, with rows that belong to none",
        verified: "scikit-learn on the same rows (tests/golden/unsupervised.py)",
        declared: hdbscan::Config::declared,
        resolve: |table| Ok(read::<hdbscan::Config>(table)?.write()),
        start: |table, start| without_target("hdbscan", table, start),
        on_device: false,
        family: None,
    },
    Model {
        kind: "pca",
        about: "Principal components of a table: exact, or randomised for wide ones",
        verified: "scikit-learn on the same rows (tests/golden/unsupervised.py)",
        declared: pca::Config::declared,
        resolve: |table| Ok(read::<pca::Config>(table)?.write()),
        start: |table, start| without_target("pca", table, start),
        on_device: false,
        family: None,
    },
    Model {
        kind: "isolation-forest",
        about: "How unusual rows are, by how soon random splits part them from others",
        verified: "scikit-learn's areas under the curve (tests/golden/unsupervised.py)",
        declared: isolation_forest::Config::declared,
        resolve: |table| Ok(read::<isolation_forest::Config>(table)?.write()),
        start: |table, start| without_target("isolation-forest", table, start),
        on_device: false,
        family: None,
    },
    Model {
        kind: "mahalanobis",
        about: "How far rows are from the middle of a table, in terms of a robust covariance",
        verified: "scikit-learn's covariance (tests/golden/unsupervised.py)",
        declared: mahalanobis::Config::declared,
        resolve: |table| Ok(read::<mahalanobis::Config>(table)?.write()),
        start: |table, start| without_target("mahalanobis", table, start),
        on_device: false,
        family: None,
    },
    Model {
        kind: "autoencoder",
        about: "A network that reads rows back from a few numbers; what it cannot is unusual",
        verified: "a curve of one dimension in six",
        declared: autoencoder::Config::declared,
        resolve: |table| Ok(read::<autoencoder::Config>(table)?.write()),
        start: |table, start| without_target("autoencoder", table, start),
        on_device: true,
        family: None,
    },
    Model {
        kind: "vae",
        about: "A variational autoencoder: the few numbers are distributions",
        verified: "its loss in closed form; a curve of one dimension in six",
        declared: autoencoder::Config::declared,
        resolve: |table| Ok(read::<autoencoder::Config>(table)?.write()),
        start: |table, start| without_target("vae", table, start),
        on_device: true,
        family: None,
    },
    Model {
        kind: "tsne",
        about: "t-SNE: a map of a table's rows on which near rows are near, by Barnes and Hut's tree",
        verified: "numpy's affinities and gradients, scikit-learn's maps (tests/golden/tsne.py)",
        declared: tsne::Config::declared,
        resolve: |table| Ok(read::<tsne::Config>(table)?.write()),
        start: |table, start| without_target("tsne", table, start),
        on_device: false,
        family: None,
    },
    Model {
        kind: "umap",
        about: "UMAP: a map of a table's rows on which near rows are near, with places for new rows",
        verified: "umap-learn's graph, curve and maps (tests/golden/umap_learn.py)",
        declared: umap::Config::declared,
        resolve: |table| Ok(read::<umap::Config>(table)?.write()),
        start: |table, start| without_target("umap", table, start),
        on_device: false,
        family: None,
    },
];

/// The model of this name, or the nearest name.
pub fn find_model(kind: &str) -> Result<&'static Model, Option<String>> {
    let near = || agon_core::settings::nearest(kind, MODELS.iter().map(|m| m.kind));
    MODELS.iter().find(|m| m.kind == kind).ok_or_else(near)
}

fn read<S: Settings>(table: &Map<String, Value>) -> Result<S, AgentError> {
    S::read(table).map_err(AgentError::Settings)
}

/// All agents.
pub const AGENTS: &[Entry] = &[
    Entry {
        kind: "ppo",
        about: "Proximal policy optimisation: discrete, multi-discrete and continuous actions, masks",
        verified: "loss, parts and gradients against numpy (tests/golden/on_policy.py); learning on the classic set, robots",
        declared: ppo::Config::declared,
        resolve: |table| Ok(read::<ppo::Config>(table)?.write()),
        build: Build::Agent(|table, context| Ok(Box::new(Ppo::new(read(table)?, context)?))),
        infer: |table, place, saved| {
            read::<ppo::Config>(table)?.frame().load(place.spec, saved, place.device).map(Some)
        },
    },
    Entry {
        kind: "alphazero",
        about: "Self-play by tree search with a policy and value network, PUCT or Gumbel; two-player games without hidden cards",
        verified: "searches by hand; tic-tac-toe against a perfect player; a perfect solver of Connect Four",
        declared: alphazero::Config::declared,
        resolve: |table| Ok(read::<alphazero::Config>(table)?.write()),
        build: Build::Training(|table, start| Ok(Box::new(AlphaZero::new(read(table)?, &start)?))),
        infer: |table, place, saved| alphazero::inference(&read(table)?, place, saved).map(Some),
    },
    Entry {
        kind: "a2c",
        about: "Advantage actor-critic: discrete, multi-discrete and continuous actions, masks",
        verified: "loss, parts and gradients against numpy (tests/golden/on_policy.py); learning on CartPole",
        declared: a2c::Config::declared,
        resolve: |table| Ok(read::<a2c::Config>(table)?.write()),
        build: Build::Agent(|table, context| Ok(Box::new(A2c::new(read(table)?, context)?))),
        infer: |table, place, saved| {
            read::<a2c::Config>(table)?.frame().load(place.spec, saved, place.device).map(Some)
        },
    },
    Entry {
        kind: "reinforce",
        about: "REINFORCE with a baseline: discrete, multi-discrete and continuous actions, masks",
        verified: "loss, parts and gradients against numpy (tests/golden/on_policy.py); learning on CartPole",
        declared: reinforce::Config::declared,
        resolve: |table| Ok(read::<reinforce::Config>(table)?.write()),
        build: Build::Agent(|table, context| Ok(Box::new(Reinforce::new(read(table)?, context)?))),
        infer: |table, place, saved| {
            read::<reinforce::Config>(table)?.frame().load(place.spec, saved, place.device).map(Some)
        },
    },
    Entry {
        kind: "dqn",
        about: "Deep Q-learning up to Rainbow: double, dueling, prioritized, n-step, C51 or QR, noisy; ε-greedy and Boltzmann; masks",
        verified: "transitions, targets and losses by hand; exact optima of flights; the classic set (benches/learning.py)",
        declared: dqn::Config::declared,
        resolve: |table| Ok(read::<dqn::Config>(table)?.write()),
        build: Build::Agent(|table, context| Ok(Box::new(Dqn::new(read(table)?, context)?))),
        infer: |table, place, saved| dqn::inference(&read(table)?, place.spec, saved, place.device).map(Some),
    },
    Entry {
        kind: "sac",
        about: "Soft actor-critic with a learned temperature: continuous actions",
        verified: "log-probabilities in closed form; gradients against libtorch's; pendulum (benches/learning.py)",
        declared: sac::Config::declared,
        resolve: |table| Ok(read::<sac::Config>(table)?.write()),
        build: Build::HostAgent(|table, context| Ok(Box::new(sac::agent(read(table)?, context)?))),
        infer: |table, place, saved| sac::inference(&read(table)?, place.spec, saved).map(Some),
    },
    Entry {
        kind: "td3",
        about: "Twin delayed deep deterministic policy gradient: continuous actions",
        verified: "gradients against libtorch's; pendulum (benches/learning.py)",
        declared: td3::Config::declared,
        resolve: |table| Ok(read::<td3::Config>(table)?.write()),
        build: Build::HostAgent(|table, context| Ok(Box::new(td3::agent(read(table)?, context)?))),
        infer: |table, place, saved| td3::inference(&read(table)?, place.spec, saved).map(Some),
    },
    Entry {
        kind: "xqc",
        about: "Soft actor-critic with batch normalisation, unit weights and distributional critics: continuous actions, few steps",
        verified: "losses and gradients against libtorch's; pendulum (benches/learning.py)",
        declared: xqc::Config::declared,
        resolve: |table| Ok(read::<xqc::Config>(table)?.write()),
        build: Build::HostAgent(|table, context| Ok(Box::new(xqc::agent(read(table)?, context)?))),
        infer: |table, place, saved| xqc::inference(&read(table)?, place.spec, saved).map(Some),
    },
    Entry {
        kind: "cem",
        about: "Cross-entropy method over the weights of a small network, without gradients: all actions, masks",
        verified: "the truncated normal's moments and a paraboloid's top in closed form; CartPole",
        declared: cem::Config::declared,
        resolve: |table| Ok(read::<cem::Config>(table)?.write()),
        build: Build::HostAgent(|table, context| Ok(Box::new(Cem::new(read(table)?, context)?))),
        infer: |table, place, saved| cem::inference(&read(table)?, place.spec, saved).map(Some),
    },
    Entry {
        kind: "clone",
        about: "Behaviour cloning: a policy from recorded episodes; PPO, A2C, REINFORCE, SAC and TD3 can begin with it",
        verified: "the closed form of a policy without inputs; CartPole from an expert's episodes",
        declared: clone::Config::declared,
        resolve: |table| Ok(read::<clone::Config>(table)?.write()),
        build: Build::Imitation(|table, start, episodes| Ok(Box::new(Cloning::new(read(table)?, start, episodes)?))),
        infer: |table, place, saved| {
            read::<clone::Config>(table)?.frame().load(place.spec, saved, place.device).map(Some)
        },
    },
    Entry {
        kind: "tabular",
        about: "Q-learning and SARSA over a table: any environment with one choice a step and few observations",
        verified: "exact programs; the collusion of Calvano et al. 2020",
        declared: tabular::Config::declared,
        resolve: |table| Ok(read::<tabular::Config>(table)?.write()),
        build: Build::Training(|table, start| Tabular::training(read(table)?, start)),
        infer: |table, place, saved| tabular::inference(&read(table)?, place.spec, saved),
    },
    Entry {
        kind: "exact",
        about: "Value iteration and policy iteration, for small environments that give their transition probabilities",
        verified: "closed forms and programs of the pricing environments",
        declared: exact::Config::declared,
        resolve: |table| Ok(read::<exact::Config>(table)?.write()),
        build: Build::Training(|table, start| Ok(Box::new(Exact::new(read(table)?, start)?))),
        infer: |_, place, saved| exact::inference(place.spec, saved),
    },
];

/// The row of this name, or the nearest name.
pub fn find(kind: &str) -> Result<&'static Entry, Option<String>> {
    let near = || agon_core::settings::nearest(kind, AGENTS.iter().map(|a| a.kind));
    AGENTS.iter().find(|a| a.kind == kind).ok_or_else(near)
}

#[cfg(test)]
mod tests;
