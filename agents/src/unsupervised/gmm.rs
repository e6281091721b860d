//! Mixtures of normal distributions by expectation maximisation (Dempster, Laird and Rubin 1977), in logarithms, from the
//! clusters of k-means.

use super::clustering::Grouping;
use super::gaussian::{Gaussian, add_products, finish};
use super::kmeans::{self, lloyd, plus_plus};
use super::{Found, rows_of_part, so_many, tensor};
use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::data::encode::{Matrix, Scaling};
use crate::supervised::log_sum_exp;
use agon_core::rng::Rng;
use agon_core::settings::Issue;
use agon_core::thread_pool::ThreadPool;
use serde_json::{Value, json};

agon_core::choices! {
    /// Which covariances clusters have.
    pub enum Covariance { Full = "full", Diagonal = "diag" }
}

agon_core::settings! {
    /// A mixture of normal distributions.
    pub struct Config {
        /// Clusters; if left out, the number from 1 to `most_clusters` with the lowest BIC.
        clusters: Option<usize> = None, in [1.0, 1000.0];
        /// Clusters at most, where `clusters` is left out.
        most_clusters: usize = 10, in [1.0, 1000.0];
        /// Fits from different starts for each number of clusters; the one with the highest likelihood counts.
        starts: u64 = 3, in [1.0, 1000.0];
        /// Whole covariance matrices, or variances alone.
        covariance: Covariance = Covariance::Full;
        /// What is added to variances, so that no cluster becomes a point.
        added_variance: f64 = 1e-6, in [0.0, 1e6];
        /// Iterations of a fit at most.
        iterations: usize = 200, in [1.0, 1e6];
        /// A fit ends where the mean log-likelihood of a row rises by less.
        tolerance: f64 = 1e-4, in [0.0, 1.0];
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

impl Config {
    /// The numbers of clusters to try.
    pub fn numbers(&self) -> std::ops::RangeInclusive<usize> {
        self.clusters.map_or(1..=self.most_clusters, |k| k..=k)
    }
}

/// Numbers of a row up to which covariances may be whole.
const WIDEST: usize = 500;

/// Checks what settings alone cannot.
///
/// # Errors
/// [`AgentError::Settings`] where whole covariances would have too many numbers.
pub fn check(config: &Config, width: usize) -> Result<(), AgentError> {
    if config.covariance == Covariance::Full && width > WIDEST {
        let what = format!("full has {width} × {width} numbers a cluster here: use diag");
        return Err(Issue::value("covariance", what).into());
    }
    Ok(())
}

/// Clusters with their shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// The share of each cluster.
    pub shares: Vec<f64>,
    /// The distribution of each.
    pub parts: Vec<Gaussian>,
    /// The mean of −ln of the density of the training rows.
    pub loss: f64,
    /// Iterations made.
    pub iterations: usize,
    diagonal: bool,
}

/// Sums over some rows: for each cluster the probability, what rows are off its mean, and the products of that.
struct Sums {
    first: usize,
    rows: usize,
    shares: Vec<f64>,
    off: Vec<f64>,
    products: Vec<f64>,
    ln_likelihood: f64,
}

impl Mixture {
    /// From clusters that are certain: what k-means says.
    fn from_labels(x: &Matrix, own: &[u32], k: usize, config: &Config) -> Result<Self, AgentError> {
        let start = Self::spread(x, k, config)?;
        let n = rows_of_part(x.rows());
        start.maximised(x, config, &ThreadPool::default(), n, |row, p, _| {
            p.fill(0.0);
            p[own[row] as usize] = 1.0;
            0.0
        })
    }

    /// Clusters that all are the whole table.
    fn spread(x: &Matrix, k: usize, config: &Config) -> Result<Self, AgentError> {
        let mean = super::means(x);
        let diagonal = config.covariance == Covariance::Diagonal;
        let covariance = super::gaussian::covariance(x, &mean, diagonal, config.added_variance);
        let one = Gaussian::new(mean, &covariance).ok_or_else(singular)?;
        Ok(Self { shares: vec![1.0 / k as f64; k], parts: vec![one; k], loss: f64::INFINITY, iterations: 0, diagonal })
    }

    /// From given shares, means and covariances, which are `[clusters, width, width]` or `[clusters, width]`.
    ///
    /// # Errors
    /// [`AgentError::Data`] where a covariance is not positive definite.
    pub fn given(shares: Vec<f64>, means: &[f64], covariances: &[f64], diagonal: bool) -> Result<Self, AgentError> {
        let k = shares.len();
        let (d, size) = (means.len() / k, covariances.len() / k);
        let parts = means.chunks_exact(d).zip(covariances.chunks_exact(size));
        let parts = parts.map(|(mean, c)| Gaussian::new(mean.to_vec(), c).ok_or_else(singular));
        Ok(Self { shares, parts: parts.collect::<Result<_, _>>()?, loss: f64::INFINITY, iterations: 0, diagonal })
    }

    /// ln of each cluster's share and density at a row.
    fn joint(&self, row: &[f64], scratch: &mut Vec<f64>, out: &mut [f64]) {
        for ((out, part), share) in out.iter_mut().zip(&self.parts).zip(&self.shares) {
            *out = share.ln() + part.ln_density(part.distance(row, scratch));
        }
    }

    /// The clusters that are likeliest where a row's probabilities are what `expect` writes; it returns what is added to the
    /// log-likelihood.
    fn maximised(
        &self,
        x: &Matrix,
        config: &Config,
        pool: &ThreadPool,
        size: usize,
        expect: impl Fn(usize, &mut [f64], &mut Vec<f64>) -> f64 + Sync,
    ) -> Result<Self, AgentError> {
        let (d, k, n) = (x.width, self.shares.len(), x.rows());
        let each = if self.diagonal { d } else { d * d };
        let part = |first: usize| Sums {
            first,
            rows: size.min(n - first),
            shares: vec![0.0; k],
            off: vec![0.0; k * d],
            products: vec![0.0; k * each],
            ln_likelihood: 0.0,
        };
        let mut parts: Vec<Sums> = (0..n).step_by(size).map(part).collect();
        pool.each(&mut parts, |_, sums| {
            let (mut p, mut off, mut scratch) = (vec![0.0; k], vec![0.0; d], Vec::with_capacity(d));
            for row in sums.first..sums.first + sums.rows {
                sums.ln_likelihood += expect(row, &mut p, &mut scratch);
                for (c, p) in p.iter().enumerate().filter(|(_, p)| **p > 1e-14) {
                    sums.shares[c] += p;
                    off.iter_mut().zip(x.row(row)).zip(&self.parts[c].mean).for_each(|((off, x), m)| *off = x - m);
                    sums.off[c * d..][..d].iter_mut().zip(&off).for_each(|(sum, off)| *sum += p * off);
                    add_products(&mut sums.products[c * each..][..each], &off, *p);
                }
            }
        });
        let mut all = part(0);
        for part in &parts {
            let pairs =
                [(&mut all.shares, &part.shares), (&mut all.off, &part.off), (&mut all.products, &part.products)];
            pairs.into_iter().for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to += from));
            all.ln_likelihood += part.ln_likelihood;
        }
        let mut next = Vec::with_capacity(k);
        for c in 0..k {
            // A cluster of nothing stays where it is, as a point without weight.
            let weight = all.shares[c] + 10.0 * f64::EPSILON;
            let off: Vec<f64> = all.off[c * d..][..d].iter().map(|sum| sum / weight).collect();
            let mut covariance = all.products[c * each..][..each].to_vec();
            // Products were taken around the old mean.
            add_products(&mut covariance, &off, -weight);
            finish(&mut covariance, d, weight, config.added_variance);
            let mean = self.parts[c].mean.iter().zip(&off).map(|(m, off)| m + off).collect();
            next.push(Gaussian::new(mean, &covariance).ok_or_else(singular)?);
        }
        let total: f64 = all.shares.iter().map(|share| share + 10.0 * f64::EPSILON).sum();
        Ok(Self {
            shares: all.shares.iter().map(|share| (share + 10.0 * f64::EPSILON) / total).collect(),
            parts: next,
            loss: -all.ln_likelihood / n as f64,
            iterations: self.iterations + 1,
            diagonal: self.diagonal,
        })
    }

    /// Expectation maximisation from here on.
    ///
    /// # Errors
    /// [`AgentError::Stopped`] if it was asked to stop, [`AgentError::Data`] where a cluster became a point.
    pub fn converged(
        mut self,
        x: &Matrix,
        config: &Config,
        pool: &ThreadPool,
        stop: Stop<'_>,
    ) -> Result<Self, AgentError> {
        let mut before = f64::INFINITY;
        self.iterations = 0;
        for _ in 0..config.iterations {
            go_on(stop)?;
            let old = &self;
            let next = old.maximised(x, config, pool, rows_of_part(x.rows()), |row, p, scratch| {
                old.joint(x.row(row), scratch, p);
                let ln = log_sum_exp(p);
                p.iter_mut().for_each(|p| *p = (*p - ln).exp());
                ln
            })?;
            self = next;
            if (before - self.loss).abs() < config.tolerance {
                break;
            }
            before = self.loss;
        }
        self.loss = self.read(x, pool).loss.iter().sum::<f64>() / x.rows() as f64;
        Ok(self)
    }

    /// Numbers that were fitted.
    fn parameters(&self) -> usize {
        let (k, d) = (self.shares.len(), self.parts[0].width());
        k - 1 + k * d + k * if self.diagonal { d } else { d * (d + 1) / 2 }
    }
}

fn singular() -> AgentError {
    AgentError::Data("a cluster became a point: raise added_variance, or use fewer clusters".into())
}

impl Grouping for Mixture {
    type Config = Config;

    const CRITERION: &'static str = "bic";

    fn origin(config: &Config, width: usize) -> Self {
        let diagonal = config.covariance == Covariance::Diagonal;
        let mut unit = vec![0.0; if diagonal { width } else { width * width }];
        (0..width).for_each(|i| unit[if diagonal { i } else { i * width + i }] = 1.0);
        let parts = Gaussian::new(vec![0.0; width], &unit).into_iter().collect();
        Self { shares: vec![1.0], parts, loss: f64::INFINITY, iterations: 0, diagonal }
    }

    fn fit(
        config: &Config,
        x: &Matrix,
        k: usize,
        rng: &mut Rng,
        pool: &ThreadPool,
        stop: Stop<'_>,
    ) -> Result<Self, AgentError> {
        let iterations = kmeans::Config::default().iterations;
        let start = lloyd(x, plus_plus(x, k, rng), iterations, 1e-4, pool, stop)?;
        let own: Vec<u32> = start.read(x, pool).cluster.into_iter().map(Option::unwrap_or_default).collect();
        Self::from_labels(x, &own, k, config)?.converged(x, config, pool, stop)
    }

    fn clusters(&self) -> usize {
        self.shares.len()
    }

    fn loss(&self) -> f64 {
        self.loss
    }

    fn criterion(&self, x: &Matrix, _: &Matrix, _: &ThreadPool) -> f64 {
        let n = x.rows() as f64;
        2.0 * n * self.loss + self.parameters() as f64 * n.ln()
    }

    fn flat(&self, config: &Config) -> Vec<usize> {
        let mut flat: Vec<usize> = self.parts.iter().flat_map(|part| part.flat(2.0 * config.added_variance)).collect();
        flat.sort_unstable();
        flat.dedup();
        flat
    }

    fn read(&self, x: &Matrix, pool: &ThreadPool) -> Found {
        let k = self.shares.len();
        let mut p = vec![0.0; x.rows() * k];
        let mut loss = vec![0.0; x.rows()];
        let size = rows_of_part(x.rows());
        let mut parts: Vec<_> = p.chunks_mut(size * k).zip(loss.chunks_mut(size)).collect();
        pool.each(&mut parts, |i, (p, loss)| {
            let mut scratch = Vec::new();
            for ((row, p), loss) in (i * size..).zip(p.chunks_exact_mut(k)).zip(loss.iter_mut()) {
                self.joint(x.row(row), &mut scratch, p);
                let ln = log_sum_exp(p);
                p.iter_mut().for_each(|p| *p = (*p - ln).exp());
                *loss = -ln;
            }
        });
        // Of equal ones the first.
        let likeliest = |p: &[f64]| (0..k as u32).rev().max_by(|a, b| p[*a as usize].total_cmp(&p[*b as usize]));
        let cluster = p.chunks_exact(k).map(likeliest).collect();
        Found { clusters: k, cluster, p, anomaly: loss.clone(), loss, ..Found::default() }
    }

    fn save(&self, name: &str, into: &mut Saved) -> Value {
        into.tensors.push((format!("{name}.shares"), tensor(&self.shares)));
        self.parts.iter().enumerate().for_each(|(c, part)| part.save(&format!("{name}.{c}"), into));
        json!({"clusters": self.shares.len(), "loss": self.loss, "iterations": self.iterations})
    }

    fn load(config: &Config, name: &str, width: usize, saved: &Saved, state: &Value) -> Result<Self, AgentError> {
        let wrong = || AgentError::Checkpoint(format!("its `{name}` cannot be read"));
        let k = state["clusters"].as_u64().filter(|k| (1..=1000).contains(k)).ok_or_else(wrong)? as usize;
        let diagonal = config.covariance == Covariance::Diagonal;
        let part = |c: usize| Gaussian::load(&format!("{name}.{c}"), width, diagonal, saved);
        Ok(Self {
            shares: so_many(saved, &format!("{name}.shares"), k)?,
            parts: (0..k).map(part).collect::<Result<_, _>>()?,
            loss: state["loss"].as_f64().ok_or_else(wrong)?,
            iterations: state["iterations"].as_u64().ok_or_else(wrong)? as usize,
            diagonal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;
    use agon_core::rng::Stream;

    /// Two overlapping clusters of 2 : 1, one of them stretched along the diagonal.
    fn two() -> Matrix {
        let mut rng = Rng::new(4, Stream::Env, 0);
        let row = |i: usize| {
            let (a, b) = (rng.normal(), rng.normal());
            if i.is_multiple_of(3) { [6.0 + a, 0.5 * b] } else { [2.0 * a, 2.0 * a + 0.5 * b] }
        };
        Matrix { x: (0..6000).flat_map(row).collect(), width: 2 }
    }

    #[test]
    fn it_finds_the_clusters_that_rows_were_drawn_from() {
        let x = two();
        let config = Config { tolerance: 1e-8, iterations: 1000, ..Config::default() };
        let pool = ThreadPool::default();
        let fit = |k| Mixture::fit(&config, &x, k, &mut Rng::new(1, Stream::Shuffle, 0), &pool, NEVER).unwrap();
        let own = fit(2);
        let large = usize::from(own.shares[1] > own.shares[0]);
        assert!((own.shares[large] - 2.0 / 3.0).abs() < 0.02, "{own:?}");
        assert!((own.parts[1 - large].mean[0] - 6.0).abs() < 0.1 && own.parts[large].mean[0].abs() < 0.15, "{own:?}");
        let [one, right, more] = [1, 2, 3].map(|k| fit(k).criterion(&x, &x, &pool));
        assert!(right < one && right < more, "{one} {right} {more}");
        // No step lowers the likelihood.
        let start =
            Mixture::given(vec![0.5; 2], &[0.0, 0.0, 1.0, 1.0], &[1.0, 0.0, 0.0, 1.0].repeat(2), false).unwrap();
        let after = |iterations| {
            let config = Config { iterations, tolerance: 0.0, ..config.clone() };
            start.clone().converged(&x, &config, &pool, NEVER).unwrap().loss
        };
        let losses: Vec<f64> = (1..20).map(after).collect();
        assert!(losses.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9), "{losses:?}");
    }

    /// A column that only says yes or no: each cluster takes one of the two, and has no variance there.
    #[test]
    fn columns_without_variance_are_told() {
        let mut x = two();
        assert!(fitted(&x).flat(&Config::default()).is_empty());
        // The other column must not be what clusters differ in.
        x.x.iter_mut().step_by(2).for_each(|x| *x *= 0.05);
        x.x.iter_mut().skip(1).step_by(2).enumerate().for_each(|(i, x)| *x = f64::from(u8::from(i % 2 == 0)));
        assert_eq!(fitted(&x).flat(&Config::default()), [1]);
    }

    fn fitted(x: &Matrix) -> Mixture {
        let (config, pool) = (Config::default(), ThreadPool::default());
        Mixture::fit(&config, x, 2, &mut Rng::new(1, Stream::Shuffle, 0), &pool, NEVER).unwrap()
    }

    #[test]
    fn threads_change_no_bit() {
        let x = two();
        let with = |threads| {
            let (config, pool) = (Config::default(), ThreadPool::new(threads));
            Mixture::fit(&config, &x, 3, &mut Rng::new(1, Stream::Shuffle, 0), &pool, NEVER).unwrap()
        };
        assert_eq!(with(1), with(3));
    }
}
