//! HDBSCAN (Campello, Moulavi and Sander 2013; McInnes and Healy 2017): clusters of any shape by density, and rows that
//! belong to none. It takes the distances of all pairs of rows and keeps none of them.
//!
//! Written here for what Agon needs beside labels: probabilities, the clusters of new rows, and an end when asked to stop.

use super::{Found, Learner, Shape, numbers, pool, rows_of_part, so_many, squared, tensor};
use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::data::encode::{Matrix, Scaling};
use agon_core::thread_pool::ThreadPool;
use serde_json::{Value, json};

agon_core::settings! {
    /// HDBSCAN.
    pub struct Config {
        /// Rows that a cluster has at least.
        least_rows: usize = 15, in [2.0, 1e6];
        /// Neighbours within which a row is dense, itself included; as `least_rows` if left out.
        neighbours: Option<usize> = None, in [1.0, 1e6];
        /// Whether all rows may be one cluster.
        single: bool = false;
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

/// The training rows with their clusters: what new rows are compared with.
pub struct Hdbscan {
    config: Config,
    shape: Shape,
    rows: Matrix,
    /// The distance within which each row has its neighbours.
    core: Vec<f64>,
    /// The cluster of each row, −1 of none.
    labels: Vec<f64>,
    /// How deep in its cluster each row is, from 0 to 1.
    strength: Vec<f64>,
    /// The density, 1 / distance, of each cluster's densest row.
    densest: Vec<f64>,
    step: u64,
    pool: ThreadPool,
}

/// An edge of the spanning tree: two rows, and their mutual reachability.
type Edge = (f64, u32, u32);

/// A cluster of the condensed tree, or a row that left one.
#[derive(Clone, Copy, Debug)]
struct Fall {
    parent: usize,
    /// A row, or, from `rows` on, a cluster.
    child: usize,
    density: f64,
    size: usize,
}

/// The distance of each row to its `count`-th neighbour, itself being the first.
fn core_distances(x: &Matrix, count: usize, pool: &ThreadPool, stop: Stop<'_>) -> Result<Vec<f64>, AgentError> {
    let n = x.rows();
    let count = count.clamp(1, n);
    let mut core = vec![0.0; n];
    let size = rows_of_part(n);
    let mut parts: Vec<&mut [f64]> = core.chunks_mut(size).collect();
    pool.each(&mut parts, |i, part| {
        let mut far = vec![0.0; n];
        for (row, core) in (i * size..).zip(part.iter_mut()) {
            if row.is_multiple_of(64) && stop() {
                return;
            }
            far.iter_mut().enumerate().for_each(|(other, d)| *d = squared(x.row(row), x.row(other)));
            *core = far.select_nth_unstable_by(count - 1, f64::total_cmp).1.sqrt();
        }
    });
    go_on(stop)?;
    Ok(core)
}

/// The minimum spanning tree of mutual reachability, by Prim's algorithm.
fn spanning_tree(x: &Matrix, core: &[f64], stop: Stop<'_>) -> Result<Vec<Edge>, AgentError> {
    let n = x.rows();
    let mut nearest: Vec<(f64, u32)> = vec![(f64::INFINITY, 0); n];
    let mut left: Vec<u32> = (1..n as u32).collect();
    let (mut at, mut edges) = (0u32, Vec::with_capacity(n.saturating_sub(1)));
    while !left.is_empty() {
        if edges.len().is_multiple_of(64) {
            go_on(stop)?;
        }
        let (mut best, mut place) = ((f64::INFINITY, u32::MAX), 0);
        for (i, row) in left.iter().enumerate() {
            let r = *row as usize;
            // Most are farther than what they have: no root is taken for those.
            let least = core[at as usize].max(core[r]);
            if least < nearest[r].0 {
                let d = squared(x.row(at as usize), x.row(r)).sqrt().max(least);
                if d < nearest[r].0 {
                    nearest[r] = (d, at);
                }
            }
            if (nearest[r].0, *row) < best {
                (best, place) = ((nearest[r].0, *row), i);
            }
        }
        let row = left.swap_remove(place);
        edges.push((best.0, nearest[row as usize].1, row));
        at = row;
    }
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    Ok(edges)
}

/// Single linkage: for each edge, in rising order, the two groups that it joins and how many rows they then have. Groups
/// are rows, or, from `n` on, earlier edges.
fn linkage(edges: &[Edge], n: usize) -> Vec<(usize, usize, f64, usize)> {
    let mut parent: Vec<usize> = (0..2 * n).collect();
    let mut size = vec![1usize; 2 * n];
    let root = |parent: &mut Vec<usize>, mut at: usize| {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    };
    let mut all = Vec::with_capacity(edges.len());
    for (i, (d, a, b)) in edges.iter().enumerate() {
        let (a, b) = (root(&mut parent, *a as usize), root(&mut parent, *b as usize));
        let new = n + i;
        (parent[a], parent[b], size[new]) = (new, new, size[a] + size[b]);
        all.push((a, b, *d, size[new]));
    }
    all
}

/// The tree of clusters: where a group falls apart into two that both have enough rows, both are clusters; else rows leave.
fn condensed(links: &[(usize, usize, f64, usize)], n: usize, least: usize) -> Vec<Fall> {
    let size = |group: usize| if group < n { 1 } else { links[group - n].3 };
    let (mut falls, mut next) = (Vec::new(), n + 1);
    let mut open = vec![(2 * n - 2, n)];
    while let Some((group, parent)) = open.pop() {
        if group < n {
            continue;
        }
        let (a, b, d, _) = links[group - n];
        let density = if d > 0.0 { 1.0 / d } else { f64::INFINITY };
        let both = size(a) >= least && size(b) >= least;
        for child in [a, b] {
            if both {
                falls.push(Fall { parent, child: next, density, size: size(child) });
                open.push((child, next));
                next += 1;
            } else if size(child) >= least {
                open.push((child, parent));
            } else {
                let mut below = vec![child];
                while let Some(group) = below.pop() {
                    if group < n {
                        falls.push(Fall { parent, child: group, density, size: 1 });
                    } else {
                        below.extend([links[group - n].0, links[group - n].1]);
                    }
                }
            }
        }
    }
    falls
}

/// The clusters that are the most stable (excess of mass), by their numbers in the condensed tree.
fn stable(falls: &[Fall], n: usize, single: bool) -> Vec<usize> {
    let clusters = falls.iter().map(|f| f.parent.max(f.child)).max().map_or(0, |most| (most + 1).saturating_sub(n));
    let (mut birth, mut stability) = (vec![0.0; clusters], vec![0.0; clusters]);
    let mut children = vec![Vec::new(); clusters];
    for f in falls.iter().filter(|f| f.child >= n) {
        birth[f.child - n] = f.density;
        children[f.parent - n].push(f.child - n);
    }
    for f in falls {
        let lived = if f.density == birth[f.parent - n] { 0.0 } else { f.density - birth[f.parent - n] };
        stability[f.parent - n] += lived * f.size as f64;
    }
    let mut chosen = vec![true; clusters];
    // Children have higher numbers than their parents.
    for c in (0..clusters).rev() {
        let below: f64 = children[c].iter().map(|child| stability[*child]).sum();
        if (c == 0 && !single) || (!children[c].is_empty() && below > stability[c]) {
            (chosen[c], stability[c]) = (false, below);
        } else {
            let mut open = children[c].clone();
            while let Some(child) = open.pop() {
                chosen[child] = false;
                open.extend(&children[child]);
            }
        }
    }
    (0..clusters).filter(|c| chosen[*c]).map(|c| c + n).collect()
}

impl Hdbscan {
    /// Without a cluster.
    pub fn new(config: Config, shape: Shape) -> Self {
        let rows = Matrix { x: Vec::new(), width: shape.inputs };
        let [core, labels, strength, densest] = [const { Vec::new() }; 4];
        Self { config, shape, rows, core, labels, strength, densest, step: 0, pool: pool() }
    }

    fn clusters(&self) -> usize {
        self.densest.len()
    }

    fn fitted(&mut self, x: &Matrix, stop: Stop<'_>) -> Result<(), AgentError> {
        let (n, least) = (x.rows(), self.config.least_rows);
        if n < 2 {
            return Err(AgentError::Data("a single row has no neighbours".into()));
        }
        let core = core_distances(x, self.config.neighbours.unwrap_or(least), &self.pool, stop)?;
        let edges = spanning_tree(x, &core, stop)?;
        let falls = condensed(&linkage(&edges, n), n, least);
        let chosen = stable(&falls, n, self.config.single);
        // Every cluster of the tree belongs to the chosen one that it is below of, if to any.
        let most = falls.iter().map(|f| f.parent.max(f.child)).max().map_or(n, |most| most.max(n));
        let mut own: Vec<Option<usize>> = vec![None; most + 1 - n];
        for (number, c) in chosen.iter().enumerate() {
            own[c - n] = Some(number);
        }
        let mut down: Vec<&Fall> = falls.iter().filter(|f| f.child >= n).collect();
        down.sort_by_key(|f| f.child);
        for f in down {
            if own[f.child - n].is_none() {
                own[f.child - n] = own[f.parent - n];
            }
        }
        let (mut labels, mut density) = (vec![-1.0; n], vec![0.0; n]);
        let mut densest = vec![0.0f64; chosen.len()];
        for f in falls.iter().filter(|f| f.child < n) {
            density[f.child] = f.density;
            if let Some(number) = own[f.parent - n] {
                labels[f.child] = number as f64;
                // Equal rows are infinitely dense; what is saved must be finite.
                densest[number] = densest[number].max(f.density.min(1e300));
            }
        }
        let strength = |row: usize| match labels[row] {
            label if label < 0.0 => 0.0,
            label => (density[row] / densest[label as usize]).min(1.0),
        };
        self.strength = (0..n).map(strength).collect();
        (self.rows, self.core, self.labels, self.densest) = (x.clone(), core, labels, densest);
        self.step = 1;
        Ok(())
    }
}

impl Learner for Hdbscan {
    fn step(&self) -> u64 {
        self.step
    }

    fn steps(&self) -> Option<u64> {
        Some(1)
    }

    fn finished(&self) -> bool {
        self.step > 0
    }

    fn advance(&mut self, train: &Matrix, _: &Matrix, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        match self.fitted(train, stop) {
            Err(AgentError::Stopped) => Ok(None),
            other => other.map(|()| {
                let none = self.labels.iter().filter(|label| **label < 0.0).count();
                Some(none as f64 / train.rows() as f64)
            }),
        }
    }

    /// A row belongs where the training row belongs that reaches it first, if it is as dense there as the cluster's edge. A
    /// training row is what it was in training.
    fn read(&self, x: &Matrix) -> Found {
        let k = self.clusters();
        let rows = x.rows();
        let mut found: Vec<(Option<u32>, f64, f64)> = vec![(None, 0.0, 0.0); rows];
        let size = rows_of_part(rows);
        // The least density that a row of each cluster has.
        let mut edge = vec![f64::INFINITY; k];
        for (label, strength) in self.labels.iter().zip(&self.strength).filter(|(label, _)| **label >= 0.0) {
            let label = *label as usize;
            edge[label] = edge[label].min(strength * self.densest[label]);
        }
        let mut parts: Vec<&mut [(Option<u32>, f64, f64)]> = found.chunks_mut(size).collect();
        self.pool.each(&mut parts, |i, part| {
            for (row, out) in (i * size..).zip(part.iter_mut()) {
                let row = x.row(row);
                let mut first = (f64::INFINITY, f64::INFINITY, 0);
                for other in 0..self.core.len() {
                    let d = squared(row, self.rows.row(other)).sqrt();
                    let reach = (d.max(self.core[other]), d, other);
                    if d == 0.0 || (first.1 > 0.0 && (reach.0, reach.1) < (first.0, first.1)) {
                        first = reach;
                        if d == 0.0 {
                            break;
                        }
                    }
                }
                let (reach, d, other) = first;
                let Some(label) = self.labels.get(other) else { continue };
                let density = if reach > 0.0 { 1.0 / reach } else { 1e300 };
                let own = (*label >= 0.0).then_some(*label as u32);
                *out = match own {
                    _ if d == 0.0 => (own, self.strength[other], self.core[other]),
                    Some(c) if density >= edge[c as usize] => {
                        (own, (density / self.densest[c as usize]).min(1.0), reach)
                    }
                    _ => (None, 0.0, reach),
                };
            }
        });
        let mut p = vec![0.0; rows * k];
        for (row, (cluster, strength, _)) in found.iter().enumerate() {
            if let Some(c) = cluster {
                p[row * k + *c as usize] = *strength;
            }
        }
        Found {
            clusters: k,
            cluster: found.iter().map(|(cluster, ..)| *cluster).collect(),
            p,
            anomaly: found.iter().map(|(.., far)| *far).collect(),
            ..Found::default()
        }
    }

    fn details(&self) -> Value {
        let none = self.labels.iter().filter(|label| **label < 0.0).count();
        json!({"chosen": self.clusters(), "rows_of_no_cluster": none})
    }

    fn save(&self) -> Saved {
        let all = [
            ("rows", &self.rows.x),
            ("core", &self.core),
            ("labels", &self.labels),
            ("strength", &self.strength),
            ("densest", &self.densest),
        ];
        let tensors = all.into_iter().map(|(name, x)| (name.to_owned(), tensor(x))).collect();
        Saved { tensors, state: json!({"step": self.step}) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let step: u64 = saved.part("step")?;
        let core = numbers(saved, "core")?;
        let (n, densest) = (core.len(), numbers(saved, "densest")?);
        let labels = so_many(saved, "labels", n)?;
        if labels.iter().any(|label| *label >= densest.len() as f64) {
            return Err(AgentError::Checkpoint("its `labels` cannot be".into()));
        }
        let rows = Matrix { x: so_many(saved, "rows", n * self.shape.inputs)?, width: self.shape.inputs };
        self.strength = so_many(saved, "strength", n)?;
        (self.rows, self.core, self.labels, self.densest, self.step) = (rows, core, labels, densest, step);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;
    use agon_core::rng::{Rng, Stream};

    /// Two rings, one in the other, and a few rows between them.
    #[test]
    fn clusters_of_any_shape_are_found() {
        let mut rng = Rng::new(1, Stream::Env, 0);
        let x = (0..410).flat_map(|i| {
            let angle = rng.f64() * std::f64::consts::TAU;
            let far = if i < 200 {
                1.0
            } else if i < 400 {
                4.0
            } else {
                2.5
            } + 0.05 * rng.normal();
            [far * angle.cos(), far * angle.sin()]
        });
        let x = Matrix { x: x.collect(), width: 2 };
        let mut own = Hdbscan::new(
            Config { least_rows: 10, ..Config::default() },
            Shape { inputs: 2, steps: 1, seed: 1, device: tch::Device::Cpu },
        );
        own.advance(&x, &x, NEVER).unwrap();
        let found = own.read(&x);
        assert_eq!(found.clusters, 2);
        assert!(found.cluster[..200].iter().all(|c| *c == found.cluster[0] && c.is_some()));
        assert!(found.cluster[200..400].iter().filter(|c| **c == found.cluster[200]).count() > 190);
        // Rows between the rings are hardly anyone's.
        assert!(found.p[800..].iter().all(|p| *p < 0.2), "{:?}", &found.p[800..]);
        let far = own.read(&Matrix { x: vec![1.0, 0.01, 9.0, 9.0], width: 2 });
        assert_eq!(far.cluster, [found.cluster[0], None]);
        assert!(far.anomaly[1] > far.anomaly[0]);
    }
}
