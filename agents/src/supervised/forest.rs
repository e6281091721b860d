//! A random forest (Breiman 2001): trees grown to the end, each on rows drawn with replacement, each split among some columns
//! only; their mean answers. A step is one tree, or of several classes one for each, that is grown on whether a row is of it.

use super::boosting::Categories;
use super::class_weights::ClassWeights;
use super::tree::{Bins, Growth, Tree, grow, sums};
use super::{Examples, Learner, Predict, Shape};
use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::{Matrix, Slot};
use agon_core::rng::{Rng, Stream};
use serde_json::json;
use tch::Tensor;

agon_core::settings! {
    /// A random forest; a decision tree with `bootstrap = false`, `columns = 1` and one step.
    pub struct Config {
        /// Rows of the training part in a leaf at least.
        leaf_rows: usize = 1, in [1.0, 1e6];
        /// Levels of a tree at most; any number if left out.
        depth: Option<usize> = None, in [1.0, 64.0];
        /// The share of columns that each split looks at; if left out the square root of their number for classes, all for
        /// numbers, as scikit-learn has it.
        columns: Option<f64> = None, in [0.001, 1.0];
        /// Whether each tree learns from as many rows drawn with replacement, and not from all as they are.
        bootstrap: bool = true;
        /// How labels are read: `one-hot` as a number for each, or `native`: a split takes any set of labels.
        categories: Categories = Categories::Native;
        /// How much a row counts by its class.
        class_weights: ClassWeights = ClassWeights::None;
    }
}

/// Trees, a step each with one for every output that is fitted.
pub struct Forest {
    config: Config,
    shape: Shape,
    /// What the columns hold.
    slots: Vec<Slot>,
    trees: Vec<Tree>,
    bins: Option<Bins>,
    /// For each row of the training part the sum of what trees say that did not learn from it, and how many those are;
    /// made from the trees where it is empty.
    out_of_bag: Vec<(Vec<f64>, u32)>,
}

impl Forest {
    /// No trees yet. `slots`: what the columns hold.
    pub fn new(config: Config, shape: Shape, slots: &[Slot]) -> Self {
        let slots = slots.to_vec();
        Self { config, shape, slots, trees: Vec::new(), bins: None, out_of_bag: Vec::new() }
    }

    /// Outputs that are fitted: of two classes only the second.
    fn fitted(&self) -> usize {
        if self.shape.classes == 2 { 1 } else { self.shape.outputs() }
    }

    /// How often each row is drawn for a step, and the generator behind it.
    fn drawn(&self, step: u64, rows: usize) -> (Vec<u32>, Rng) {
        let mut rng = Rng::new(self.shape.seed, Stream::Shuffle, step as u32);
        if !self.config.bootstrap {
            return (vec![1; rows], rng);
        }
        let mut count = vec![0; rows];
        (0..rows).for_each(|_| count[rng.below(rows as u32) as usize] += 1);
        (count, rng)
    }

    /// What a step's trees say of a row is added.
    fn add(&self, step: usize, row: &[f64], sums: &mut [f64]) {
        let trees = &self.trees[step * sums.len()..][..sums.len()];
        sums.iter_mut().zip(trees).for_each(|(sum, tree)| *sum += tree.answer(row));
    }

    /// Sums of so many steps as scores. A class that no leaf knew is not impossible: every tree counts, and one more that
    /// knows nothing.
    fn as_scores(&self, sums: &[f64], steps: f64) -> Vec<f64> {
        if self.shape.classes == 0 {
            return vec![sums[0] / steps.max(1.0)];
        }
        let share = |sum: f64| ((sum + 1.0 / self.shape.classes as f64) / (steps + 1.0)).ln();
        match self.shape.classes {
            2 => vec![share(steps - sums[0]), share(sums[0])],
            _ => sums.iter().map(|sum| share(*sum)).collect(),
        }
    }

    /// Takes in what a step's trees say of the rows that it did not draw.
    fn judge(&mut self, step: usize, train: &Examples) {
        let (count, _) = self.drawn(step as u64, train.y.len());
        let mut all = std::mem::take(&mut self.out_of_bag);
        all.resize_with(train.y.len(), || (vec![0.0; self.fitted()], 0));
        for (row, (sums, trees)) in all.iter_mut().enumerate() {
            if count[row] == 0 || !self.config.bootstrap {
                self.add(step, train.x.row(row), sums);
                *trees += 1;
            }
        }
        self.out_of_bag = all;
    }
}

impl Predict for Forest {
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        let (steps, k) = (self.trees.len() / self.fitted(), self.fitted());
        let sums = sums(&self.trees, x, &vec![0.0; k]);
        sums.chunks_exact(k).flat_map(|sums| self.as_scores(sums, steps as f64)).collect()
    }
}

impl Learner for Forest {
    fn step(&self) -> u64 {
        (self.trees.len() / self.fitted()) as u64
    }

    fn finished(&self) -> bool {
        false
    }

    /// The loss is that of the rows that trees did not learn from.
    fn advance(&mut self, train: &Examples, _: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        let bins = self.bins.take().unwrap_or_else(|| Bins::new(&train.x, &self.slots));
        let (step, fitted) = (self.step(), self.fitted());
        if self.out_of_bag.is_empty() {
            (0..step as usize).for_each(|step| self.judge(step, train));
        }
        let (count, mut rng) = self.drawn(step, train.y.len());
        let share = match self.shape.classes {
            0 => 1.0,
            _ => 1.0 / (train.x.width.max(1) as f64).sqrt(),
        };
        let growth = Growth {
            leaves: usize::MAX,
            depth: self.config.depth.unwrap_or(usize::MAX),
            leaf_rows: self.config.leaf_rows,
            l2: 0.0,
            rate: 1.0,
            columns: self.config.columns.unwrap_or(share),
            directions: &[],
        };
        let rows: Vec<u32> = (0..count.len() as u32).filter(|row| count[*row as usize] > 0).collect();
        let h: Vec<f64> = count.iter().enumerate().map(|(row, n)| f64::from(*n) * train.weight(row)).collect();
        let mut trees = Vec::with_capacity(fitted);
        for output in 0..fitted {
            if stop() {
                self.bins = Some(bins);
                return Ok(None);
            }
            let class = if self.shape.classes == 2 { 1 } else { output };
            let asked = |y: f64| if train.classes == 0 { y } else { f64::from(u8::from(y as usize == class)) };
            // The derivatives of ½ h (tree − y)² where the tree says 0: a leaf answers by the mean.
            let g: Vec<f64> = train.y.iter().zip(&h).map(|(y, h)| -h * asked(*y)).collect();
            trees.push(grow(&bins, rows.clone(), &g, &h, &growth, &mut rng));
        }
        self.trees.append(&mut trees);
        self.bins = Some(bins);
        self.judge(step as usize, train);
        let judged: Vec<usize> = (0..train.y.len()).filter(|row| self.out_of_bag[*row].1 > 0).collect();
        let out_of_bag = Examples {
            y: judged.iter().map(|row| train.y[*row]).collect(),
            weights: judged.iter().filter_map(|row| train.weights.get(*row).copied()).collect(),
            classes: train.classes,
            ..Examples::default()
        };
        let of = |row: &usize| self.as_scores(&self.out_of_bag[*row].0, f64::from(self.out_of_bag[*row].1));
        let scores: Vec<f64> = judged.iter().flat_map(of).collect();
        Ok(Some(out_of_bag.loss(&scores)))
    }

    fn save(&self) -> Saved {
        let numbers: Vec<i64> = self.trees.iter().flat_map(Tree::numbers).collect();
        let nodes: Vec<usize> = self.trees.iter().map(Tree::nodes).collect();
        Saved { tensors: vec![("trees".into(), Tensor::from_slice(&numbers))], state: json!({"nodes": nodes}) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let wrong = || AgentError::Checkpoint("its trees cannot be read".into());
        let numbers = Vec::<i64>::try_from(saved.tensor("trees")?).map_err(|_| wrong())?;
        let nodes: Vec<usize> = saved.part("nodes")?;
        let mut rest = &numbers[..];
        let mut tree = |nodes: &usize| {
            let own = rest.split_off(..nodes.checked_mul(4)?)?;
            Tree::of_numbers(own, self.shape.inputs)
        };
        let trees = nodes.iter().map(&mut tree).collect::<Option<Vec<Tree>>>().ok_or_else(wrong)?;
        if !rest.is_empty() || trees.len() % self.fitted() != 0 {
            return Err(wrong());
        }
        (self.trees, self.out_of_bag) = (trees, Vec::new());
        Ok(())
    }
}
