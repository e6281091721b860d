//! k-means: greedy k-means++ (Arthur and Vassilvitskii 2007) and Lloyd's iteration with the bounds of Hamerly (2010): a row
//! whose nearest centre cannot have changed is not looked at; which of them is nearest is decided in single precision where that is certain. Minibatches as of Sculley (2010).

use super::clustering::Grouping;
use super::nearest::{Centres, Two};
use super::screen::Screen;
use super::{Found, PARTS, numbers, rows_of_part, squared, tensor};
use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::data::encode::{Matrix, Scaling};
use agon_core::rng::Rng;
use agon_core::thread_pool::ThreadPool;
use serde_json::json;

agon_core::settings! {
    /// k-means.
    pub struct Config {
        /// Clusters; if left out, the number from 2 to `most_clusters` with the highest silhouette.
        clusters: Option<usize> = None, in [1.0, 10_000.0];
        /// Clusters at most, where `clusters` is left out.
        most_clusters: usize = 10, in [2.0, 1000.0];
        /// Fits from different starts for each number of clusters; the one with the least inertia counts.
        starts: u64 = 5, in [1.0, 1000.0];
        /// Iterations of a fit at most.
        iterations: usize = 300, in [1.0, 1e6];
        /// A fit ends where centres moved by less than this share of the variance.
        tolerance: f64 = 1e-4, in [0.0, 1.0];
        /// Rows of an iteration; 0 takes all of them.
        minibatch: usize = 0, in [0.0, 1e9];
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

impl Config {
    /// The numbers of clusters to try.
    pub fn numbers(&self) -> std::ops::RangeInclusive<usize> {
        self.clusters.map_or(2..=self.most_clusters, |k| k..=k)
    }
}

/// Rows that starts are chosen among at most.
const SEEDING: usize = 1 << 16;
/// Minibatches without a lower smoothed inertia after which a fit by minibatches ends.
const BATCHES: usize = 10;

/// Centres, and how far rows are from them.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// `[clusters, width]`.
    pub centres: Vec<f64>,
    /// Numbers in a row.
    pub width: usize,
    /// The mean squared distance of the training rows to their centres.
    pub inertia: f64,
    /// Iterations made.
    pub iterations: usize,
}

/// A share of the rows: their centres and bounds on distances, and what their sum over each centre is.
struct Part<'a> {
    first: usize,
    own: &'a mut [u32],
    upper: &'a mut [f64],
    lower: &'a mut [f64],
    sums: Vec<f64>,
    counts: Vec<f64>,
    open: Vec<u32>,
    two: Vec<Two>,
    /// Rows whose nearest centre changed, and which it was.
    changed: Vec<(usize, u32)>,
    inertia: f64,
}

/// How far centres moved, and half of how far each is from the next one.
struct Moves<'a> {
    moved: &'a [f64],
    /// The farthest, its centre, and the farthest of the others.
    most: (f64, usize, f64),
    half: &'a [f64],
}

impl Part<'_> {
    /// Gives every row its nearest centre.
    fn assign(&mut self, x: &Matrix, centres: &[f64], screen: &Screen, moves: Option<&Moves<'_>>) {
        let d = x.width;
        self.changed.clear();
        self.open.clear();
        match moves {
            None => self.open.extend((self.first as u32..).take(self.own.len())),
            Some(m) => {
                for i in 0..self.own.len() {
                    let own = self.own[i] as usize;
                    self.upper[i] += m.moved[own];
                    self.lower[i] -= if own == m.most.1 { m.most.2 } else { m.most.0 };
                    let bound = self.lower[i].max(m.half[own]);
                    if self.upper[i] < bound {
                        continue;
                    }
                    self.upper[i] = squared(x.row(self.first + i), &centres[own * d..][..d]).sqrt();
                    if self.upper[i] >= bound {
                        self.open.push((self.first + i) as u32);
                    }
                }
            }
        }
        screen.nearest(x, &self.open, &mut self.two);
        for (row, two) in self.open.iter().zip(&self.two) {
            let i = *row as usize - self.first;
            if self.own[i] != two.at {
                self.changed.push((i, self.own[i]));
            }
            (self.own[i], self.upper[i], self.lower[i]) = (two.at, two.first.sqrt(), two.second.sqrt());
        }
    }

    /// Sums rows up over each centre: all of them, or where few changed their centre, the difference that those make.
    fn sum(&mut self, x: &Matrix, is_first: bool) {
        let d = x.width;
        if is_first || 3 * self.changed.len() > self.own.len() {
            self.sums.fill(0.0);
            self.counts.fill(0.0);
            for (i, own) in self.own.iter().enumerate() {
                self.counts[*own as usize] += 1.0;
                let sums = self.sums[*own as usize * d..][..d].iter_mut();
                sums.zip(x.row(self.first + i)).for_each(|(sum, x)| *sum += x);
            }
            return;
        }
        for (i, before) in &self.changed {
            let (before, now, row) = (*before as usize, self.own[*i] as usize, x.row(self.first + i));
            self.counts[before] -= 1.0;
            self.counts[now] += 1.0;
            self.sums[before * d..][..d].iter_mut().zip(row).for_each(|(sum, x)| *sum -= x);
            self.sums[now * d..][..d].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
    }

    /// The sum of squared distances to the nearest centres, which rows have.
    fn inertia(&mut self, x: &Matrix, centres: &[f64]) {
        let d = x.width;
        let far = |(i, own): (usize, &u32)| squared(x.row(self.first + i), &centres[*own as usize * d..][..d]);
        self.inertia = self.own.iter().enumerate().map(far).sum();
    }
}

/// Half of how far each centre is from the next one.
fn half_to_next(centres: &[f64], width: usize) -> Vec<f64> {
    let all: Vec<&[f64]> = centres.chunks_exact(width).collect();
    let to_next = |a: usize| {
        let others = (0..all.len()).filter(|b| *b != a).map(|b| squared(all[a], all[b]));
        0.5 * others.fold(f64::INFINITY, f64::min).sqrt()
    };
    (0..all.len()).map(to_next).collect()
}

/// Lloyd's iteration from these centres on, over all rows.
///
/// # Errors
/// [`AgentError::Stopped`] if it was asked to stop.
pub fn lloyd(
    x: &Matrix,
    mut centres: Vec<f64>,
    iterations: usize,
    tolerance: f64,
    pool: &ThreadPool,
    stop: Stop<'_>,
) -> Result<KMeans, AgentError> {
    let (n, d) = (x.rows(), x.width);
    let k = centres.len() / d;
    let (mut own, mut upper, mut lower) = (vec![0u32; n], vec![0.0; n], vec![0.0; n]);
    let size = rows_of_part(n);
    let shares = own.chunks_mut(size).zip(upper.chunks_mut(size)).zip(lower.chunks_mut(size));
    let part = |(i, ((own, upper), lower))| Part {
        first: i * size,
        own,
        upper,
        lower,
        sums: vec![0.0; k * d],
        counts: vec![0.0; k],
        open: Vec::new(),
        two: Vec::new(),
        changed: Vec::new(),
        inertia: 0.0,
    };
    let mut parts: Vec<Part<'_>> = shares.enumerate().map(part).collect();
    let middle = super::means(x);
    let end = tolerance * variance(x, &middle);
    let (mut moved, mut done) = (vec![0.0; k], 0);
    while done < iterations {
        go_on(stop)?;
        assign(x, &mut parts, &centres, (&middle, &moved), done == 0, pool);
        pool.each(&mut parts, |_, part| part.sum(x, done == 0));
        done += 1;
        let mut next = vec![0.0; k * d];
        let mut counts = vec![0.0; k];
        for part in &parts {
            next.iter_mut().zip(&part.sums).for_each(|(a, b)| *a += b);
            counts.iter_mut().zip(&part.counts).for_each(|(a, b)| *a += b);
        }
        fill_empty(x, &parts, &mut next, &mut counts);
        let mut far = 0.0;
        for c in 0..k {
            let place = c * d..(c + 1) * d;
            next[place.clone()].iter_mut().for_each(|sum| *sum /= counts[c]);
            let step = squared(&next[place.clone()], &centres[place]);
            moved[c] = step.sqrt();
            far += step;
        }
        centres = next;
        if far <= end {
            break;
        }
    }
    assign(x, &mut parts, &centres, (&middle, &moved), false, pool);
    pool.each(&mut parts, |_, part| part.inertia(x, &centres));
    let inertia = parts.iter().map(|part| part.inertia).sum::<f64>() / n as f64;
    drop(parts);
    Ok(KMeans { centres, width: d, inertia, iterations: done })
}

/// Gives all rows their nearest centres; `moved`: how far each moved since the last time.
fn assign(
    x: &Matrix,
    parts: &mut [Part<'_>],
    centres: &[f64],
    (middle, moved): (&[f64], &[f64]),
    is_first: bool,
    pool: &ThreadPool,
) {
    let screen = Screen::new(centres, middle);
    if is_first {
        return pool.each(parts, |_, part| part.assign(x, centres, &screen, None));
    }
    let (k, half) = (moved.len(), half_to_next(centres, x.width));
    let far = (0..k).fold(0, |far, c| if moved[c] > moved[far] { c } else { far });
    let rest = (0..k).filter(|c| *c != far).map(|c| moved[c]).fold(0.0, f64::max);
    let moves = Moves { moved, most: (moved[far], far, rest), half: &half };
    pool.each(parts, |_, part| part.assign(x, centres, &screen, Some(&moves)));
}

/// Gives a centre that has no row the row that is farthest from its own.
fn fill_empty(x: &Matrix, parts: &[Part<'_>], sums: &mut [f64], counts: &mut [f64]) {
    let empty: Vec<usize> = (0..counts.len()).filter(|c| counts[*c] == 0.0).collect();
    if empty.is_empty() {
        return;
    }
    let mut far: Vec<(f64, usize, usize)> = Vec::new();
    for part in parts {
        far.extend((0..part.own.len()).map(|i| (part.upper[i], part.first + i, part.own[i] as usize)));
    }
    far.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut far = far.into_iter();
    for c in empty {
        // A centre is not left empty to fill another.
        let Some((_, row, from)) = far.find(|(_, _, from)| counts[*from] > 1.0) else { return };
        for (j, number) in x.row(row).iter().enumerate() {
            sums[from * x.width + j] -= number;
            sums[c * x.width + j] += number;
        }
        (counts[from], counts[c]) = (counts[from] - 1.0, 1.0);
    }
}

/// The mean over columns of their variance.
fn variance(x: &Matrix, means: &[f64]) -> f64 {
    let all: f64 = x.x.chunks_exact(x.width).map(|row| squared(row, means)).sum();
    all / x.x.len() as f64
}

/// Greedy k-means++: each further centre is, of 2 + ln k rows drawn by their squared distance to the nearest centre so far,
/// the one that lowers the sum of these most. Of very many rows a sample is looked at.
pub fn plus_plus(x: &Matrix, k: usize, rng: &mut Rng) -> Vec<f64> {
    let sampled: Vec<usize> = super::agreement::sample(x.rows(), SEEDING);
    let row = |i: usize| x.row(sampled[i]);
    let n = sampled.len();
    let mut centres: Vec<f64> = row(rng.below(n as u32) as usize).to_vec();
    let mut near: Vec<f64> = (0..n).map(|i| squared(row(i), &centres)).collect();
    let tries = 2 + (k as f64).ln() as usize;
    while centres.len() < k * x.width {
        let total: f64 = near.iter().sum();
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..tries {
            let mut left = rng.f64() * total;
            let drawn = near.iter().position(|d| {
                left -= d;
                left < 0.0
            });
            let drawn = drawn.unwrap_or(n - 1);
            let with: Vec<f64> = near.iter().enumerate().map(|(i, d)| d.min(squared(row(i), row(drawn)))).collect();
            let sum = with.iter().sum();
            if best.as_ref().is_none_or(|(least, ..)| sum < *least) {
                best = Some((sum, drawn, with));
            }
        }
        let Some((_, drawn, with)) = best else { break };
        near = with;
        centres.extend(row(drawn));
    }
    centres
}

impl KMeans {
    fn two(&self, x: &Matrix, pool: &ThreadPool) -> Vec<Two> {
        let packed = Centres::new(&self.centres, self.width);
        let rows: Vec<u32> = (0..x.rows() as u32).collect();
        let mut parts: Vec<(&[u32], Vec<Two>)> =
            rows.chunks(rows_of_part(rows.len())).map(|rows| (rows, Vec::new())).collect();
        debug_assert!(parts.len() <= PARTS);
        pool.each(&mut parts, |_, (rows, out)| packed.nearest(x, rows, out));
        parts.into_iter().flat_map(|(_, out)| out).collect()
    }

    /// Minibatches: each centre is the mean of all rows that were ever nearest to it.
    fn minibatches(
        x: &Matrix,
        start: Vec<f64>,
        config: &Config,
        rng: &mut Rng,
        stop: Stop<'_>,
    ) -> Result<Vec<f64>, AgentError> {
        let (n, d) = (x.rows(), x.width);
        let (mut centres, mut counts) = (start, vec![]);
        counts.resize(centres.len() / d, 0.0);
        let size = config.minibatch.min(n);
        let (mut smooth, mut least, mut since) = (f64::NAN, f64::INFINITY, 0);
        let keep = (2.0 * size as f64 / (n + 1) as f64).min(1.0);
        let mut two = Vec::new();
        for _ in 0..config.iterations * n.div_ceil(size) {
            go_on(stop)?;
            let rows: Vec<u32> = (0..size).map(|_| rng.below(n as u32)).collect();
            Centres::new(&centres, d).nearest(x, &rows, &mut two);
            for (row, two) in rows.iter().zip(&two) {
                let c = two.at as usize;
                counts[c] += 1.0;
                let centre = centres[c * d..][..d].iter_mut();
                centre.zip(x.row(*row as usize)).for_each(|(c_j, x)| *c_j += (x - *c_j) / counts[c]);
            }
            let inertia = two.iter().map(|two| two.first).sum::<f64>() / size as f64;
            smooth = if smooth.is_nan() { inertia } else { smooth + keep * (inertia - smooth) };
            since = if smooth < least { 0 } else { since + 1 };
            least = least.min(smooth);
            if since >= BATCHES {
                break;
            }
        }
        Ok(centres)
    }
}

impl Grouping for KMeans {
    type Config = Config;

    const CRITERION: &'static str = "silhouette";

    fn origin(_: &Config, width: usize) -> Self {
        Self { centres: vec![0.0; width], width, inertia: f64::INFINITY, iterations: 0 }
    }

    fn fit(
        config: &Config,
        x: &Matrix,
        k: usize,
        rng: &mut Rng,
        pool: &ThreadPool,
        stop: Stop<'_>,
    ) -> Result<Self, AgentError> {
        let start = plus_plus(x, k, rng);
        if config.minibatch == 0 {
            return lloyd(x, start, config.iterations, config.tolerance, pool, stop);
        }
        let centres = Self::minibatches(x, start, config, rng, stop)?;
        let mut own = Self { centres, width: x.width, inertia: 0.0, iterations: 0 };
        own.inertia = own.two(x, pool).iter().map(|two| two.first).sum::<f64>() / x.rows() as f64;
        Ok(own)
    }

    fn clusters(&self) -> usize {
        self.centres.len() / self.width
    }

    fn loss(&self) -> f64 {
        self.inertia
    }

    fn criterion(&self, _: &Matrix, sample: &Matrix, pool: &ThreadPool) -> f64 {
        let own: Vec<u32> = self.two(sample, pool).iter().map(|two| two.at).collect();
        -super::agreement::silhouette(sample, &own).unwrap_or(0.0)
    }

    /// Probabilities are those of round clusters of equal size and spread, which k-means assumes.
    fn read(&self, x: &Matrix, pool: &ThreadPool) -> Found {
        let two = self.two(x, pool);
        let spread = if self.inertia.is_finite() { (self.inertia / self.width as f64).max(1e-12) } else { 1.0 };
        let mut p = Vec::with_capacity(x.rows() * self.clusters());
        for row in x.x.chunks_exact(self.width) {
            let at = p.len();
            p.extend(self.centres.chunks_exact(self.width).map(|c| -squared(row, c) / (2.0 * spread)));
            crate::supervised::softmax(&mut p[at..]);
        }
        let loss: Vec<f64> = two.iter().map(|two| two.first).collect();
        Found {
            clusters: self.clusters(),
            cluster: two.iter().map(|two| Some(two.at)).collect(),
            p,
            anomaly: loss.iter().map(|d| d.sqrt()).collect(),
            loss,
            ..Found::default()
        }
    }

    fn save(&self, name: &str, into: &mut Saved) -> serde_json::Value {
        into.tensors.push((format!("{name}.centres"), tensor(&self.centres)));
        json!({"inertia": self.inertia, "iterations": self.iterations})
    }

    fn load(
        _: &Config,
        name: &str,
        width: usize,
        saved: &Saved,
        state: &serde_json::Value,
    ) -> Result<Self, AgentError> {
        let centres = numbers(saved, &format!("{name}.centres"))?;
        let read = |key: &str| state[key].as_f64().filter(|x| x.is_finite());
        match (read("inertia"), read("iterations")) {
            (Some(inertia), Some(iterations)) if !centres.is_empty() && centres.len() % width == 0 => {
                Ok(Self { centres, width, inertia, iterations: iterations as usize })
            }
            _ => Err(AgentError::Checkpoint(format!("its `{name}` cannot be read"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;
    use agon_core::rng::Stream;

    /// Rows around so many centres, some of them overlapping.
    fn blobs(rows: usize, width: usize, centres: usize) -> Matrix {
        let mut rng = Rng::new(3, Stream::Env, 0);
        let middle: Vec<f64> = (0..centres * width).map(|_| 4.0 * rng.normal()).collect();
        let x = (0..rows).flat_map(|row| {
            let c = row % centres;
            (0..width).map(|j| middle[c * width + j] + rng.normal()).collect::<Vec<_>>()
        });
        Matrix { x: x.collect(), width }
    }

    /// Lloyd's iteration as it is defined, without bounds.
    fn plain(x: &Matrix, mut centres: Vec<f64>, iterations: usize) -> Vec<f64> {
        let d = x.width;
        for _ in 0..iterations {
            let (mut sums, mut counts) = (vec![0.0; centres.len()], vec![0.0; centres.len() / d]);
            for row in x.x.chunks_exact(d) {
                let far = centres.chunks_exact(d).map(|c| squared(row, c));
                let own = far.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
                counts[own] += 1.0;
                sums[own * d..][..d].iter_mut().zip(row).for_each(|(s, x)| *s += x);
            }
            centres = sums.iter().enumerate().map(|(i, s)| s / counts[i / d]).collect();
        }
        centres
    }

    #[test]
    fn bounds_change_nothing() {
        for (rows, width, k) in [(400, 2, 5), (3000, 7, 12)] {
            let x = blobs(rows, width, k);
            let start = plus_plus(&x, k, &mut Rng::new(1, Stream::Shuffle, 0));
            for iterations in [1, 2, 7, 30] {
                let own = lloyd(&x, start.clone(), iterations, 0.0, &super::super::pool(), NEVER).unwrap();
                let other = plain(&x, start.clone(), own.iterations);
                assert!(own.centres.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-10), "{iterations}");
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let x = blobs(5000, 3, 6);
        let start = plus_plus(&x, 6, &mut Rng::new(1, Stream::Shuffle, 0));
        let with = |threads| lloyd(&x, start.clone(), 50, 0.0, &ThreadPool::new(threads), NEVER).unwrap();
        assert_eq!(with(1), with(3));
    }

    /// Two of three centres begin where no row is near them.
    #[test]
    fn no_centre_stays_empty() {
        let x = Matrix { x: [0.0, 0.1, 5.0, 5.1, 9.0, 9.1].to_vec(), width: 1 };
        let own = lloyd(&x, vec![5.0, 1e6, 2e6], 100, 0.0, &ThreadPool::default(), NEVER).unwrap();
        assert!(own.centres.iter().all(|c| (0.0..=9.1).contains(c)), "{:?}", own.centres);
        let mut labels = own.read(&x, &ThreadPool::default()).cluster;
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels, [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn minibatches_come_near() {
        let x = blobs(4000, 4, 5);
        let whole = Config { clusters: Some(5), ..Config::default() };
        let batches = Config { minibatch: 256, ..whole.clone() };
        let [one, other] = [whole, batches].map(|config| {
            let mut rng = Rng::new(1, Stream::Shuffle, 0);
            KMeans::fit(&config, &x, 5, &mut rng, &ThreadPool::default(), NEVER).unwrap().inertia
        });
        assert!(other < 1.03 * one, "{other} {one}");
    }
}
