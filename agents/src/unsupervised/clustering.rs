//! Clusterings by several fits: for each number of clusters that is tried, several starts; the best start of the number with
//! the best criterion answers. A step is one fit.

use super::agreement::{adjusted_rand, rows_of, sample};
use super::{Found, Learner, Shape, pool};
use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::Matrix;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use agon_core::thread_pool::ThreadPool;
use serde_json::{Value, json};
use std::ops::RangeInclusive;

/// Rows that silhouettes and agreements are worked out of at most.
const SAMPLE: usize = 2000;

/// A model of clusters that is fitted at once.
pub trait Grouping: Sized {
    /// Its settings.
    type Config;

    /// What the number of clusters is chosen by.
    const CRITERION: &'static str;

    /// A single cluster around the origin: what answers before anything is fitted.
    fn origin(config: &Self::Config, width: usize) -> Self;

    /// Fits so many clusters from a start that `rng` draws.
    ///
    /// # Errors
    /// [`AgentError::Stopped`] if it was asked to stop.
    fn fit(
        config: &Self::Config,
        x: &Matrix,
        clusters: usize,
        rng: &mut Rng,
        pool: &ThreadPool,
        stop: Stop<'_>,
    ) -> Result<Self, AgentError>;

    /// The number of clusters.
    fn clusters(&self) -> usize;

    /// The mean loss of the training rows: the lowest start counts.
    fn loss(&self) -> f64;

    /// What the number of clusters is chosen by: the lowest is the best. `sample`: some of the rows.
    fn criterion(&self, x: &Matrix, sample: &Matrix, pool: &ThreadPool) -> f64;

    /// Columns in which a cluster has no variance of its own, so that its density means nothing.
    fn flat(&self, _: &Self::Config) -> Vec<usize> {
        Vec::new()
    }

    /// What it says of rows.
    fn read(&self, x: &Matrix, pool: &ThreadPool) -> Found;

    /// Adds its numbers to a save, under this name; the rest is returned.
    fn save(&self, name: &str, into: &mut Saved) -> Value;

    /// What [`Self::save`] saved.
    fn load(config: &Self::Config, name: &str, width: usize, saved: &Saved, state: &Value) -> Result<Self, AgentError>;
}

/// The fits of one number of clusters.
struct Tried<G> {
    clusters: usize,
    best: Option<G>,
    /// The adjusted Rand index of each further fit and the best of those before it.
    agreement: Vec<f64>,
    /// Known once all starts are made.
    criterion: Option<f64>,
}

/// All fits.
pub struct Clustering<G: Grouping> {
    config: G::Config,
    shape: Shape,
    starts: u64,
    tried: Vec<Tried<G>>,
    step: u64,
    pool: ThreadPool,
    /// What answers before anything is fitted.
    origin: G,
}

impl<G: Grouping> Clustering<G> {
    /// To try these numbers of clusters, each from so many starts.
    pub fn new(config: G::Config, shape: Shape, numbers: RangeInclusive<usize>, starts: u64) -> Self {
        let tried = numbers.map(|clusters| Tried { clusters, best: None, agreement: Vec::new(), criterion: None });
        let origin = G::origin(&config, shape.inputs);
        Self { tried: tried.collect(), config, shape, starts, step: 0, pool: pool(), origin }
    }

    /// The number of clusters with the best criterion, of those that are complete; before, what there is.
    fn chosen(&self) -> Option<&Tried<G>> {
        let known = self.tried.iter().filter(|t| t.criterion.is_some());
        let best = known.min_by(|a, b| a.criterion.unwrap_or(f64::NAN).total_cmp(&b.criterion.unwrap_or(f64::NAN)));
        best.or_else(|| self.tried.iter().find(|t| t.best.is_some()))
    }

    fn best(&self) -> &G {
        self.chosen().and_then(|t| t.best.as_ref()).unwrap_or(&self.origin)
    }

    fn labels(model: &G, x: &Matrix, pool: &ThreadPool) -> Vec<u32> {
        model.read(x, pool).cluster.iter().map(|c| c.unwrap_or(u32::MAX)).collect()
    }
}

impl<G: Grouping> Learner for Clustering<G> {
    fn step(&self) -> u64 {
        self.step
    }

    fn steps(&self) -> Option<u64> {
        Some(self.tried.len() as u64 * self.starts)
    }

    fn finished(&self) -> bool {
        Some(self.step) >= self.steps()
    }

    fn check(&self, rows: usize) -> Result<(), AgentError> {
        let most = self.tried.iter().map(|t| t.clusters).max().unwrap_or(1);
        if most > rows {
            let key = if self.tried.len() > 1 { "most_clusters" } else { "clusters" };
            return Err(Issue::value(key, format!("{most} clusters of {rows} training rows cannot be")).into());
        }
        Ok(())
    }

    fn advance(&mut self, train: &Matrix, _: &Matrix, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        let (at, start) = ((self.step / self.starts) as usize, self.step % self.starts);
        let k = self.tried[at].clusters;
        let mut rng = Rng::at_step(self.shape.seed, Stream::Shuffle, k as u32, start);
        let fitted = match G::fit(&self.config, train, k, &mut rng, &self.pool, stop) {
            Err(AgentError::Stopped) => return Ok(None),
            other => other?,
        };
        let some = rows_of(train, &sample(train.rows(), SAMPLE));
        let tried = &mut self.tried[at];
        if let Some(best) = &tried.best {
            let [a, b] = [&fitted, best].map(|model| Self::labels(model, &some, &self.pool));
            tried.agreement.push(adjusted_rand(&a, &b));
        }
        if tried.best.as_ref().is_none_or(|best| fitted.loss() < best.loss()) {
            tried.best = Some(fitted);
        }
        if start + 1 == self.starts {
            tried.criterion = tried.best.as_ref().map(|best| best.criterion(train, &some, &self.pool));
        }
        self.step += 1;
        Ok(self.tried[at].best.as_ref().map(Grouping::loss))
    }

    fn read(&self, x: &Matrix) -> Found {
        self.best().read(x, &self.pool)
    }

    fn details(&self) -> Value {
        let one = |t: &Tried<G>| {
            let n = t.agreement.len() as f64;
            json!({
                "clusters": t.clusters,
                "loss": t.best.as_ref().map(Grouping::loss),
                G::CRITERION: t.criterion.map(|c| if G::CRITERION == "silhouette" { -c } else { c }),
                "agreement_of_starts": (n > 0.0).then(|| t.agreement.iter().sum::<f64>() / n),
            })
        };
        json!({
            "criterion": G::CRITERION,
            "chosen": self.best().clusters(),
            "flat": self.best().flat(&self.config),
            "tried": self.tried.iter().map(one).collect::<Vec<_>>(),
        })
    }

    fn save(&self) -> Saved {
        let mut saved = Saved::default();
        let mut all = Vec::new();
        for tried in &self.tried {
            let best = tried.best.as_ref().map(|best| best.save(&format!("clusters.{}", tried.clusters), &mut saved));
            all.push(json!({"best": best, "agreement": tried.agreement, "criterion": tried.criterion}));
        }
        saved.state = json!({"step": self.step, "tried": all});
        saved
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let wrong = || AgentError::Checkpoint("its `tried` cannot be read".into());
        let step: u64 = saved.part("step")?;
        let all: Vec<Value> = saved.part("tried")?;
        if all.len() != self.tried.len() || Some(step) > self.steps() {
            return Err(wrong());
        }
        let mut read = Vec::new();
        for (tried, state) in self.tried.iter().zip(&all) {
            let name = format!("clusters.{}", tried.clusters);
            let best = match &state["best"] {
                Value::Null => None,
                state => Some(G::load(&self.config, &name, self.shape.inputs, saved, state)?),
            };
            if best.as_ref().is_some_and(|best| best.clusters() != tried.clusters) {
                return Err(wrong());
            }
            let agreement = serde_json::from_value(state["agreement"].clone()).map_err(|_| wrong())?;
            read.push(Tried { clusters: tried.clusters, best, agreement, criterion: state["criterion"].as_f64() });
        }
        (self.tried, self.step) = (read, step);
        Ok(())
    }
}
