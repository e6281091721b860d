//! Isolation forests (Liu, Ting and Zhou 2008): trees that part a few rows at random; unusual rows are alone soon. A step is
//! a tree.

use super::{Found, Learner, Shape, numbers, pool, rows_of_part, so_many, tensor};
use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::data::encode::{Matrix, Scaling};
use agon_core::rng::{Rng, Stream};
use agon_core::thread_pool::ThreadPool;
use serde_json::{Value, json};

agon_core::settings! {
    /// An isolation forest.
    pub struct Config {
        /// Trees.
        trees: u64 = 100, in [1.0, 10_000.0];
        /// Rows that a tree is grown of, drawn without replacement.
        rows: usize = 256, in [2.0, 1e6];
        /// How numbers are brought to a common size; splits do not depend on it, ranks (`quantile`) do.
        scaling: Scaling = Scaling::Standard;
    }
}

/// A tree's nodes side by side; node 0 is the root.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tree {
    /// The number of the column that parts rows; of a leaf −1.
    column: Vec<f64>,
    /// Rows below it go left; of a leaf how deep a row is there, with what its other rows would add.
    at: Vec<f64>,
    /// The left child; the right one is the next.
    left: Vec<f64>,
}

/// The forest.
pub struct Forest {
    config: Config,
    shape: Shape,
    trees: Vec<Tree>,
    /// Rows that each tree was grown of.
    rows: usize,
    pool: ThreadPool,
}

/// The mean depth of an unsuccessful search in a binary tree of `n` rows.
fn mean_depth(n: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        n => 2.0 * (((n - 1) as f64).ln() + EULER) - 2.0 * (n - 1) as f64 / n as f64,
    }
}

impl Tree {
    fn node(&mut self) -> usize {
        [&mut self.column, &mut self.at, &mut self.left].into_iter().for_each(|list| list.push(0.0));
        self.column.len() - 1
    }

    fn grow(&mut self, node: usize, x: &Matrix, rows: &mut [usize], depth: usize, deepest: usize, rng: &mut Rng) {
        let spread = |column: usize| {
            let all = rows.iter().map(|row| x.row(*row)[column]);
            all.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)])
        };
        // Columns in random order until one varies.
        let (mut column, mut at) = (None, 0.0);
        if rows.len() > 1 && depth < deepest {
            let mut order: Vec<usize> = (0..x.width).collect();
            for i in 0..x.width {
                order.swap(i, i + rng.below((x.width - i) as u32) as usize);
                let [low, high] = spread(order[i]);
                if low < high {
                    // Above the lowest, so that both sides have rows.
                    at = high - (high - low) * rng.f64();
                    column = Some(order[i]);
                    break;
                }
            }
        }
        let Some(column) = column else {
            (self.column[node], self.at[node]) = (-1.0, depth as f64 + mean_depth(rows.len()));
            return;
        };
        let mut below = 0;
        for i in 0..rows.len() {
            if x.row(rows[i])[column] < at {
                rows.swap(i, below);
                below += 1;
            }
        }
        let left = self.node();
        self.node();
        (self.column[node], self.at[node], self.left[node]) = (column as f64, at, left as f64);
        let (a, b) = rows.split_at_mut(below);
        self.grow(left, x, a, depth + 1, deepest, rng);
        self.grow(left + 1, x, b, depth + 1, deepest, rng);
    }

    fn depth(&self, row: &[f64]) -> f64 {
        let mut node = 0;
        while self.column[node] >= 0.0 {
            let right = row[self.column[node] as usize] >= self.at[node];
            node = self.left[node] as usize + usize::from(right);
        }
        self.at[node]
    }

    /// Whether walks through it end, at columns that there are.
    fn is_sound(&self, width: usize) -> bool {
        let nodes = self.column.len();
        let one = |i: usize| {
            let (column, left) = (self.column[i], self.left[i]);
            column == -1.0 || (0.0..width as f64).contains(&column) && left > i as f64 && left + 1.0 < nodes as f64
        };
        nodes > 0 && self.at.len() == nodes && self.left.len() == nodes && (0..nodes).all(one)
    }
}

impl Forest {
    /// Without a tree.
    pub fn new(config: Config, shape: Shape) -> Self {
        Self { config, shape, trees: Vec::new(), rows: 0, pool: pool() }
    }

    /// Scores from 0 to 1 by some of the trees: 2 to the power of minus the mean depth beside that of a row among any.
    fn scores(&self, x: &Matrix, trees: &[Tree]) -> Vec<f64> {
        let norm = (trees.len() as f64 * mean_depth(self.rows)).max(1.0);
        let mut out = vec![0.5; x.rows()];
        if trees.is_empty() {
            return out;
        }
        let size = rows_of_part(x.rows());
        let mut parts: Vec<&mut [f64]> = out.chunks_mut(size).collect();
        self.pool.each(&mut parts, |i, part| {
            for (row, score) in (i * size..).zip(part.iter_mut()) {
                let depth: f64 = trees.iter().map(|tree| tree.depth(x.row(row))).sum();
                *score = (-depth / norm).exp2();
            }
        });
        out
    }
}

impl Learner for Forest {
    fn step(&self) -> u64 {
        self.trees.len() as u64
    }

    fn steps(&self) -> Option<u64> {
        Some(self.config.trees)
    }

    fn finished(&self) -> bool {
        self.step() >= self.config.trees
    }

    fn advance(&mut self, train: &Matrix, _: &Matrix, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        if go_on(stop).is_err() {
            return Ok(None);
        }
        let mut rng = Rng::at_step(self.shape.seed, Stream::Shuffle, 0, self.step());
        self.rows = self.config.rows.min(train.rows());
        let mut drawn: Vec<usize> = (0..train.rows()).collect();
        for i in 0..self.rows {
            drawn.swap(i, i + rng.below((train.rows() - i) as u32) as usize);
        }
        let mut tree = Tree::default();
        let root = tree.node();
        let deepest = (self.rows as f64).log2().ceil() as usize;
        tree.grow(root, train, &mut drawn[..self.rows], 0, deepest, &mut rng);
        let depth = drawn[..self.rows].iter().map(|row| tree.depth(train.row(*row))).sum::<f64>() / self.rows as f64;
        self.trees.push(tree);
        Ok(Some(depth))
    }

    fn read(&self, x: &Matrix) -> Found {
        Found { anomaly: self.scores(x, &self.trees), ..Found::default() }
    }

    fn halves(&self, x: &Matrix) -> Option<[Vec<f64>; 2]> {
        let (a, b) = self.trees.split_at(self.trees.len() / 2);
        Some([a, b].map(|trees| self.scores(x, trees)))
    }

    fn details(&self) -> Value {
        json!({"trees": self.trees.len(), "rows_of_a_tree": self.rows})
    }

    fn save(&self) -> Saved {
        let flat =
            |of: fn(&Tree) -> &Vec<f64>| tensor(&self.trees.iter().flat_map(|t| of(t).clone()).collect::<Vec<_>>());
        let tensors = vec![
            ("columns".into(), flat(|t| &t.column)),
            ("thresholds".into(), flat(|t| &t.at)),
            ("children".into(), flat(|t| &t.left)),
        ];
        let nodes: Vec<usize> = self.trees.iter().map(|tree| tree.column.len()).collect();
        Saved { tensors, state: json!({"nodes": nodes, "rows": self.rows}) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (nodes, rows): (Vec<usize>, usize) = (saved.part("nodes")?, saved.part("rows")?);
        let columns = numbers(saved, "columns")?;
        let [thresholds, children] =
            [so_many(saved, "thresholds", columns.len())?, so_many(saved, "children", columns.len())?];
        let wrong = || AgentError::Checkpoint("its trees cannot be read".into());
        let mut from = 0usize;
        let mut trees = Vec::new();
        for count in nodes {
            let place = from..from.checked_add(count).filter(|end| *end <= columns.len()).ok_or_else(wrong)?;
            from = place.end;
            let cut = |list: &[f64]| list[place.clone()].to_vec();
            let tree = Tree { column: cut(&columns), at: cut(&thresholds), left: cut(&children) };
            trees.push(Some(tree).filter(|tree| tree.is_sound(self.shape.inputs)).ok_or_else(wrong)?);
        }
        if from != columns.len() {
            return Err(wrong());
        }
        (self.trees, self.rows) = (trees, rows);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;

    /// The paper's table of c(n), and rows far away have the highest scores.
    #[test]
    fn unusual_rows_score_higher() {
        assert!((mean_depth(256) - 10.244_77).abs() < 1e-4 && mean_depth(2) == 1.0);
        let mut rng = Rng::new(1, Stream::Env, 0);
        let x = (0..1000).flat_map(|i| {
            let far = if i < 10 { 8.0 } else { 0.0 };
            [far + rng.normal(), rng.normal() - far, 7.0]
        });
        let x = Matrix { x: x.collect(), width: 3 };
        let mut own = Forest::new(Config::default(), Shape { inputs: 3, steps: 1, seed: 1, device: tch::Device::Cpu });
        while !own.finished() {
            own.advance(&x, &x, NEVER).unwrap();
        }
        let scores = own.read(&x).anomaly;
        let [least, most] = [
            scores[..10].iter().fold(1.0, |a: f64, b| a.min(*b)),
            scores[10..].iter().fold(0.0, |a: f64, b| a.max(*b)),
        ];
        assert!(least > most && least > 0.6, "{least} {most}");
        let usual = scores[10..].iter().sum::<f64>() / 990.0;
        assert!((0.38..0.5).contains(&usual), "{usual}");
    }
}
