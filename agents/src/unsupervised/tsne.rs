//! t-SNE: a map of rows on which near rows are near (van der Maaten and Hinton 2008), with the sparse affinities and the tree
//! of van der Maaten 2014. Symbols are the papers': pᵢⱼ how near rows i and j are, qᵢⱼ how near their places y on the map.
//!
//! The map is of the rows that it is made of: there is none for new rows.

use super::graph::Graph;
use super::neighbours::{Far, nearest};
use super::pca::first_two;
use super::quad_tree::QuadTree;
use super::scores::metric;
use super::{Found, Learner, Shape, pool, rows_of_part, so_many, tensor};
use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::{Matrix, Scaling};
use agon_core::Metric;
use agon_core::metric::Goal;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use agon_core::thread_pool::ThreadPool;
use serde_json::{Value, json};

agon_core::choices! {
    /// Where rows are on the map at the beginning.
    pub enum Start { Pca = "pca", Random = "random" }
}

agon_core::settings! {
    /// t-SNE.
    pub struct Config {
        /// Neighbours that each row has in effect.
        perplexity: f64 = 30.0, in [1.0, 1000.0];
        /// By how much rows attract each other more at the beginning, so that clusters form.
        exaggeration: f64 = 12.0, in [1.0, 1000.0];
        /// Steps of that.
        exaggerated_steps: u64 = 250, in [0.0, 1e9];
        /// The size of a step; rows / exaggeration / 4, and at least 50, if left out (Belkina et al. 2019).
        learning_rate: Option<f64> = None, in [1e-3, 1e9];
        /// The width of a group of rows, in its distance, up to which it counts as one; 0 is exact, and slow.
        angle: f64 = 0.5, in [0.0, 1.0];
        /// Where rows are at the beginning: their first two principal components, or drawn by the seed.
        start: Start = Start::Pca;
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

/// Steps where a scenario does not say.
pub const STEPS: u64 = 1000;
/// The deviation of the places at the beginning.
const NARROW: f64 = 1e-4;
/// Momentum while affinities are exaggerated, and then.
const MOMENTUM: [f64; 2] = [0.5, 0.8];
/// Where gains end (Jacobs 1988).
const LEAST_GAIN: f64 = 0.01;
/// How near entropies come to what the perplexity asks for, and how many halvings that takes at most.
const NEAR: f64 = 1e-10;
const HALVINGS: usize = 200;

/// How near rows are to each other: pᵢⱼ = pⱼᵢ of rows that are neighbours, all together 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Affinities(Graph);

/// Of the distances to neighbours, the nearest first: their shares pⱼ|ᵢ, in proportion to exp(−β d²), with β so that they
/// have this perplexity.
fn shares(near: &[Far], perplexity: f64) -> Vec<f64> {
    let (wanted, least) = (perplexity.ln(), near[0].0);
    let (mut beta, mut low, mut high) = (1.0, 0.0, f64::INFINITY);
    let mut p = vec![0.0; near.len()];
    for _ in 0..HALVINGS {
        p.iter_mut().zip(near).for_each(|(p, (d, _))| *p = (-beta * (d - least)).exp());
        let sum: f64 = p.iter().sum();
        let mean = p.iter().zip(near).map(|(p, (d, _))| p * (d - least)).sum::<f64>() / sum;
        p.iter_mut().for_each(|p| *p /= sum);
        let off = sum.ln() + beta * mean - wanted;
        if off.abs() <= NEAR {
            break;
        }
        if off > 0.0 {
            low = beta;
        } else {
            high = beta;
        }
        beta = if high.is_finite() { f64::midpoint(low, high) } else { beta * 2.0 };
    }
    p
}

impl Affinities {
    /// Of rows, each with its 3 × perplexity nearest neighbours.
    ///
    /// # Errors
    /// [`AgentError::Stopped`] if it was asked to stop.
    pub fn new(x: &Matrix, perplexity: f64, pool: &ThreadPool, stop: Stop<'_>) -> Result<Self, AgentError> {
        let n = x.rows();
        let count = ((3.0 * perplexity) as usize + 1).min(n - 1);
        let near = nearest(x, count, pool, stop)?;
        let of_row = |(i, near): (usize, &[Far])| {
            let edges = near.iter().zip(shares(near, perplexity));
            edges.map(|((_, j), p)| (i as u32, *j, p / (2.0 * n as f64))).collect::<Vec<_>>()
        };
        let edges = near.chunks_exact(count).enumerate().flat_map(of_row);
        Ok(Self(Graph::symmetric(n, edges, |a, b| a + b)))
    }

    /// The neighbours of a row, and how near they are.
    pub fn of(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        self.0.of(row)
    }

    /// The gradient of the divergence Σ pᵢⱼ ln (pᵢⱼ / qᵢⱼ) at these places, with every pᵢⱼ `exaggeration` times as large; and
    /// the divergence itself, without that. An `angle` of 0 is exact.
    pub fn gradient(&self, y: &[[f64; 2]], exaggeration: f64, angle: f64, pool: &ThreadPool) -> (Vec<[f64; 2]>, f64) {
        let tree = QuadTree::new(y);
        // Of each row, in the order of the tree: attraction, repulsion, Σ q, and its part of the divergence.
        let mut found = vec![([0.0; 2], [0.0; 2], [0.0; 2]); y.len()];
        let size = rows_of_part(y.len());
        let mut parts: Vec<_> = found.chunks_mut(size).collect();
        pool.each(&mut parts, |part, found| {
            for (place, (attraction, repulsion, sums)) in (part * size..).zip(found.iter_mut()) {
                let i = tree.order()[place] as usize;
                for (j, p) in self.of(i) {
                    let off = [y[i][0] - y[j][0], y[i][1] - y[j][1]];
                    let near = 1.0 + off[0] * off[0] + off[1] * off[1];
                    let pull = p / near;
                    *attraction = [attraction[0] + pull * off[0], attraction[1] + pull * off[1]];
                    sums[1] += if p > 0.0 { p * (p * near).ln() } else { 0.0 };
                }
                (*repulsion, sums[0]) = tree.repulsion(y, place, angle);
            }
        });
        let (z, sum) = found.iter().fold((0.0, 0.0), |(z, sum), (.., s)| (z + s[0], sum + s[1]));
        let mut gradient = vec![[0.0; 2]; y.len()];
        for (i, (attraction, repulsion, _)) in tree.order().iter().zip(&found) {
            gradient[*i as usize] =
                [0, 1].map(|k| 4.0 * (exaggeration * attraction[k] - repulsion[k] / z.max(f64::MIN_POSITIVE)));
        }
        (gradient, sum + z.max(f64::MIN_POSITIVE).ln())
    }
}

/// The map under way.
pub struct Tsne {
    config: Config,
    shape: Shape,
    /// The place of each row, how it moves, and how large its steps are beside the others'.
    y: Vec<[f64; 2]>,
    velocity: Vec<[f64; 2]>,
    gain: Vec<[f64; 2]>,
    step: u64,
    /// Made of the rows when they are first needed.
    affinities: Option<Affinities>,
    pool: ThreadPool,
}

fn pairs(numbers: &[f64]) -> Vec<[f64; 2]> {
    numbers.as_chunks::<2>().0.to_vec()
}

impl Tsne {
    /// Without places.
    pub fn new(config: Config, shape: Shape) -> Self {
        let [y, velocity, gain] = [const { Vec::new() }; 3];
        Self { config, shape, y, velocity, gain, step: 0, affinities: None, pool: pool() }
    }

    /// On so many threads: what it finds does not depend on it.
    pub fn on(self, pool: ThreadPool) -> Self {
        Self { pool, ..self }
    }

    fn begin(&mut self, x: &Matrix) -> Result<(), AgentError> {
        let mut rng = Rng::new(self.shape.seed, Stream::Weights, 0);
        let mut y: Vec<[f64; 2]> = (0..x.rows()).map(|_| [0, 1].map(|_| NARROW * rng.normal())).collect();
        if self.config.start == Start::Pca {
            let first = first_two(x, x)?;
            let n = x.rows() as f64;
            for k in 0..2 {
                let along = || first.iter().map(move |at| at[k]);
                let size = (along().map(|x| x * x).sum::<f64>() / n).sqrt();
                // Both axes by the first; a table of a single number has no second one.
                let first = (first.iter().map(|at| at[0] * at[0]).sum::<f64>() / n).sqrt();
                if size > 1e-9 * first {
                    y.iter_mut().zip(along()).for_each(|(y, x)| y[k] = x / first * NARROW);
                }
            }
        }
        (self.velocity, self.gain) = (vec![[0.0; 2]; y.len()], vec![[1.0; 2]; y.len()]);
        self.y = y;
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        let usual = || (self.y.len() as f64 / self.config.exaggeration / 4.0).max(50.0);
        self.config.learning_rate.unwrap_or_else(usual)
    }
}

impl Learner for Tsne {
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
        let most = (rows - 1) as f64;
        if self.config.perplexity >= most {
            let why = format!("a row has {most} neighbours in a table of {rows} rows: fewer are needed");
            return Err(Issue::value("perplexity", why).into());
        }
        Ok(())
    }

    fn advance(&mut self, x: &Matrix, _: &Matrix, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        if self.affinities.is_none() {
            match Affinities::new(x, self.config.perplexity, &self.pool, stop) {
                Err(AgentError::Stopped) => return Ok(None),
                made => self.affinities = Some(made?),
            }
        }
        if self.y.is_empty() {
            self.begin(x)?;
        }
        let Some(affinities) = &self.affinities else { return Ok(None) };
        let early = self.step < self.config.exaggerated_steps;
        let exaggeration = if early { self.config.exaggeration } else { 1.0 };
        let momentum = MOMENTUM[usize::from(!early)];
        let rate = self.learning_rate();
        let (gradient, divergence) = affinities.gradient(&self.y, exaggeration, self.config.angle, &self.pool);
        for (i, slope) in gradient.iter().enumerate() {
            let states = self.velocity[i].iter_mut().zip(&mut self.gain[i]).zip(&mut self.y[i]);
            for (((velocity, gain), y), slope) in states.zip(slope) {
                let onwards = *velocity * slope < 0.0;
                *gain = if onwards { *gain + 0.2 } else { *gain * 0.8 }.max(LEAST_GAIN);
                *velocity = momentum * *velocity - rate * *gain * slope;
                *y += *velocity;
            }
        }
        self.step += 1;
        if self.y.iter().flatten().any(|y| !y.is_finite()) {
            return Err(AgentError::Diverged("a place on the map; lower model.learning_rate".into()));
        }
        Ok(Some(divergence))
    }

    /// Nothing: new rows have no place.
    fn read(&self, _: &Matrix) -> Found {
        Found::default()
    }

    fn map(&self) -> Option<Matrix> {
        (!self.y.is_empty()).then(|| Matrix { x: self.y.concat(), width: 2 })
    }

    fn metrics(&self, x: &Matrix) -> Vec<Metric> {
        let made;
        let affinities = match &self.affinities {
            Some(known) => known,
            None => match Affinities::new(x, self.config.perplexity, &self.pool, crate::agent::NEVER) {
                Ok(new) => {
                    made = new;
                    &made
                }
                Err(_) => return Vec::new(),
            },
        };
        if self.y.len() != x.rows() {
            return Vec::new();
        }
        let divergence = affinities.gradient(&self.y, 1.0, self.config.angle, &self.pool).1;
        vec![metric("kl_divergence", divergence, Goal::Lowest, x.rows())]
    }

    fn save(&self) -> Saved {
        let all = [("y", &self.y), ("velocity", &self.velocity), ("gain", &self.gain)];
        let tensors = all.into_iter().map(|(name, x)| (name.to_owned(), tensor(&x.concat()))).collect();
        Saved { tensors, state: json!({"step": self.step, "rows": self.y.len()}) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (step, rows): (u64, usize) = (saved.part("step")?, saved.part("rows")?);
        let numbers = |name: &str| {
            let read = so_many(saved, name, rows.saturating_mul(2))?;
            if read.iter().all(|x| x.is_finite()) {
                return Ok(pairs(&read));
            }
            Err(AgentError::Checkpoint(format!("its `{name}` are no numbers")))
        };
        (self.y, self.velocity, self.gain) = (numbers("y")?, numbers("velocity")?, numbers("gain")?);
        self.step = step;
        Ok(())
    }

    fn details(&self) -> Value {
        json!({"perplexity": self.config.perplexity, "learning_rate": self.learning_rate()})
    }
}
