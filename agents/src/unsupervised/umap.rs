//! UMAP: a map of rows on which near rows are near (McInnes, Healy and Melville 2018). The fuzzy graph of the rows' neighbours
//! is in [`fuzzy`], how near places count as in [`curve`], the beginning in [`spectral`], and how places move in [`layout`].
//!
//! New rows have a place among those that the map is made of, which stay where they are.

pub mod curve;
pub mod fuzzy;
pub mod layout;
pub mod spectral;

use super::agreement::sample;
use super::graph::Graph;
use super::neighbours::nearest_of_new;
use super::pca::first_two;
use super::scores::metric;
use super::{Found, Learner, Shape, pool, rows_of_part, so_many, tensor};
use crate::agent::{AgentError, NEVER, Saved, Stop};
use crate::data::encode::{Matrix, Scaling};
use agon_core::Metric;
use agon_core::metric::Goal;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::{Issue, Setting};
use agon_core::thread_pool::ThreadPool;
use curve::Curve;
use layout::Forces;
use serde_json::{Value, json};

agon_core::choices! {
    /// Where rows are on the map at the beginning.
    pub enum Start { Spectral = "spectral", Pca = "pca", Random = "random" }
}

agon_core::settings! {
    /// UMAP.
    pub struct Config {
        /// Neighbours that each row has, itself among them: few show small groups, many the whole.
        neighbours: usize = 15, in [2.0, 1000.0];
        /// How near on the map rows are that are the same: smaller packs groups tighter.
        min_distance: f64 = 0.1, in [0.0, 10.0];
        /// The distance on the map in which nearness falls off.
        spread: f64 = 1.0, in [0.01, 10.0];
        /// Rows drawn at random that push a row away, for each that pulls it.
        negatives: u64 = 5, in [0.0, 100.0];
        /// How strong they push.
        repulsion: f64 = 1.0, in [0.0, 100.0];
        /// The size of moves at the beginning; it falls to 0 by the last step.
        learning_rate: f64 = 1.0, in [1e-3, 100.0];
        /// Where rows are at the beginning: eigenvectors of the graph (of a graph in pieces, `pca`), their first two principal
        /// components, or drawn by the seed.
        start: Start = Start::Spectral;
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

/// Steps where a scenario does not say: of tables up to `MANY` rows, and of larger ones.
const STEPS: [u64; 2] = [500, 200];
const MANY: usize = 10_000;
/// Steps in which a new row finds its place, and by what its moves are smaller.
const STEPS_OF_NEW: u64 = 100;
const SLOWER: f64 = 0.25;
/// The width of the map at the beginning, and by how much places are shaken there.
const WIDE: f64 = 10.0;
const SHAKEN: f64 = 1e-4;
/// Rows whose cross-entropy is looked at, at most.
const SAMPLE: usize = 2000;

/// Steps where a scenario does not say.
pub fn steps(rows: usize) -> u64 {
    STEPS[usize::from(rows > MANY)]
}

/// The map under way.
pub struct Umap {
    config: Config,
    shape: Shape,
    curve: Curve,
    /// The rows that it is made of, and the place of each.
    x: Matrix,
    y: Vec<[f32; 2]>,
    /// How it began.
    start: Start,
    step: u64,
    /// Made of the rows when it is first needed.
    graph: Option<Graph>,
    pool: ThreadPool,
}

/// Scales both axes to the width of the map.
fn spread_out(y: &mut [[f64; 2]]) {
    for k in 0..2 {
        let (low, high) = y.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y[k]), h.max(y[k])));
        y.iter_mut().for_each(|y| y[k] = WIDE * (y[k] - low) / (high - low));
    }
}

impl Umap {
    /// Without places.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where no curve has this spread and this least distance.
    pub fn new(config: Config, shape: Shape) -> Result<Self, AgentError> {
        if config.min_distance >= 3.0 * config.spread {
            let why = format!("must be below 3 × model.spread, {}", 3.0 * config.spread);
            return Err(Issue::value("min_distance", why).into());
        }
        let (curve, start) = (Curve::new(config.spread, config.min_distance), config.start);
        Ok(Self { config, shape, curve, x: Matrix::default(), y: vec![], start, step: 0, graph: None, pool: pool() })
    }

    /// On so many threads: what it finds does not depend on it.
    pub fn on(self, pool: ThreadPool) -> Self {
        Self { pool, ..self }
    }

    fn begin(&mut self, x: &Matrix) -> Result<(), AgentError> {
        let mut rng = Rng::new(self.shape.seed, Stream::Weights, 0);
        let mut found = None;
        if let (Start::Spectral, Some(graph)) = (self.config.start, &self.graph) {
            found = spectral::places(graph, &mut rng, &self.pool);
            self.start = if found.is_some() { Start::Spectral } else { Start::Pca };
        }
        if self.start == Start::Pca {
            found = Some(first_two(x, x)?);
        }
        let mut y = found.unwrap_or_else(|| vec![[0.0; 2]; x.rows()]);
        let most = y.iter().flatten().fold(0f64, |most, y| most.max(y.abs())).max(f64::MIN_POSITIVE);
        // Rows on the same place could not be told apart; where there is nothing else, this is the beginning.
        y.iter_mut().flatten().for_each(|y| *y = WIDE * (*y / most) + SHAKEN * rng.normal());
        spread_out(&mut y);
        self.y = y.into_iter().map(|y| y.map(|y| y as f32)).collect();
        self.x = x.clone();
        Ok(())
    }

    fn forces(&self) -> Forces {
        Forces::new(self.curve, self.config.repulsion, self.config.negatives)
    }

    /// The place of a new row: that of its copy where the table has one, else it begins amid its neighbours and moves beside
    /// all others. It does not depend on what other rows are new.
    fn place_of(&self, row: &[f64]) -> [f32; 2] {
        let mut near = vec![(0.0, 0); self.config.neighbours];
        nearest_of_new(&self.x, row, &mut near);
        if near[0].0 == 0.0 {
            return self.y[near[0].1 as usize];
        }
        let weights = fuzzy::of_new(&near);
        let sum: f64 = weights.iter().sum();
        let near: Vec<(usize, f64)> = near.iter().zip(weights).map(|((_, j), w)| (*j as usize, w)).collect();
        let along = |k: usize| near.iter().map(|(j, w)| w * f64::from(self.y[*j][k])).sum::<f64>() / sum;
        let mut at = [along(0) as f32, along(1) as f32];
        let forces = self.forces();
        for step in 0..STEPS_OF_NEW {
            let rate = SLOWER * self.config.learning_rate * (1.0 - step as f64 / STEPS_OF_NEW as f64);
            let mut rng = Rng::at_step(0, Stream::Eval, 0, step);
            forces.step_of_new(&self.y, &near, &mut at, step, rate as f32, &mut rng);
        }
        at
    }
}

impl Learner for Umap {
    fn step(&self) -> u64 {
        self.step
    }

    fn steps(&self) -> Option<u64> {
        Some(u64::MAX) // the run's own length, and no less
    }

    fn finished(&self) -> bool {
        false
    }

    fn check(&self, rows: usize) -> Result<(), AgentError> {
        super::picture::enough_rows(rows)?;
        if self.config.neighbours > rows {
            let why = format!("must be at most the number of rows, {rows}: a row is its own first neighbour");
            return Err(Issue::value("neighbours", why).into());
        }
        Ok(())
    }

    fn advance(&mut self, x: &Matrix, _: &Matrix, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        if self.graph.is_none() {
            match fuzzy::graph(x, self.config.neighbours, &self.pool, stop) {
                Err(AgentError::Stopped) => return Ok(None),
                made => self.graph = Some(made?),
            }
        }
        if self.y.is_empty() {
            self.begin(x)?;
        }
        let forces = self.forces();
        let Some(graph) = &self.graph else { return Ok(None) };
        let left = 1.0 - self.step as f64 / self.shape.steps.max(1) as f64;
        let rate = self.config.learning_rate * left.max(0.0);
        let rng = |row| Rng::at_step(self.shape.seed, Stream::Shuffle, row, self.step);
        let loss = forces.step(graph, &mut self.y, self.step, rate as f32, rng, &self.pool);
        self.step += 1;
        if self.y.iter().flatten().any(|y| !y.is_finite()) {
            return Err(AgentError::Diverged("a place on the map; lower model.learning_rate".into()));
        }
        Ok(Some(loss))
    }

    /// The places of rows, as two components.
    fn read(&self, x: &Matrix) -> Found {
        if self.y.is_empty() {
            return Found::default();
        }
        let mut places = vec![[0f32; 2]; x.rows()];
        let size = rows_of_part(x.rows());
        let mut parts: Vec<_> = places.chunks_mut(size).collect();
        self.pool.each(&mut parts, |part, places| {
            for (row, at) in (part * size..).zip(places.iter_mut()) {
                *at = self.place_of(x.row(row));
            }
        });
        let components = Matrix { x: places.into_iter().flatten().map(f64::from).collect(), width: 2 };
        Found { components, ..Found::default() }
    }

    fn map(&self) -> Option<Matrix> {
        let numbers = self.y.iter().flatten().map(|y| f64::from(*y));
        (!self.y.is_empty()).then(|| Matrix { x: numbers.collect(), width: 2 })
    }

    fn metrics(&self, x: &Matrix) -> Vec<Metric> {
        if self.y.len() != x.rows() {
            return Vec::new();
        }
        let made;
        let graph = match &self.graph {
            Some(known) => known,
            None => match fuzzy::graph(x, self.config.neighbours, &self.pool, NEVER) {
                Ok(new) => {
                    made = new;
                    &made
                }
                Err(_) => return Vec::new(),
            },
        };
        let rows = sample(x.rows(), SAMPLE);
        let found = layout::cross_entropy(graph, &self.y, self.curve, &rows, &self.pool);
        vec![metric("cross_entropy", found, Goal::Lowest, rows.len())]
    }

    fn save(&self) -> Saved {
        let places: Vec<f64> = self.y.iter().flatten().map(|y| f64::from(*y)).collect();
        let tensors = vec![("x".to_owned(), tensor(&self.x.x)), ("y".to_owned(), tensor(&places))];
        Saved { tensors, state: json!({"step": self.step, "rows": self.y.len(), "start": self.start.to_value()}) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (step, rows, start): (u64, usize, Value) = (saved.part("step")?, saved.part("rows")?, saved.part("start")?);
        let y = so_many(saved, "y", rows.saturating_mul(2))?;
        let x = so_many(saved, "x", rows.saturating_mul(self.shape.inputs))?;
        let wrong = |what: &str| AgentError::Checkpoint(format!("its `{what}` cannot be"));
        if rows > 0 && rows < self.config.neighbours {
            return Err(wrong("rows"));
        }
        if x.iter().chain(&y).any(|x| !x.is_finite()) {
            return Err(AgentError::Checkpoint("its places are no numbers".into()));
        }
        self.start = Start::from_value(&start).map_err(|_| wrong("start"))?;
        self.y = y.as_chunks::<2>().0.iter().map(|y| y.map(|y| y as f32)).collect();
        (self.x, self.step) = (Matrix { x, width: self.shape.inputs }, step);
        Ok(())
    }

    fn details(&self) -> Value {
        json!({
            "neighbours": self.config.neighbours,
            "a": self.curve.a,
            "b": self.curve.b,
            "start": self.start.to_value(),
        })
    }
}
