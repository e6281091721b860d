//! Gradient boosting of regression trees over histograms: a step is one round of trees, one for each output. As in
//! LightGBM (Ke et al. 2017) and scikit-learn's HistGradientBoosting: at most 255 bins a column, trees grow leaf by leaf
//! where the gain is largest, missing values go to the side that gains more.
//!
//! Squared errors, or −ln p of the class with a second-order step (Friedman 2001; Chen and Guestrin 2016).

use super::class_weights::ClassWeights;
use super::tree::{Bins, Growth, Tree, grow, sums};
use super::{Examples, Learner, Patience, Predict, Shape, softmax};
use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::{Matrix, Slot};
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use serde_json::{Value, json};

agon_core::choices! {
    /// How trees read labels: a number for each, or as labels, of which a split takes any set.
    pub enum Categories { OneHot = "one-hot", Native = "native" }
}

agon_core::settings! {
    /// Gradient boosting of regression trees.
    pub struct Config {
        /// How much of each tree's answer is added.
        learning_rate: f64 = 0.1, in [1e-4, 1.0];
        /// Leaves of a tree at most.
        leaves: usize = 31, in [2.0, 1024.0];
        /// Levels of a tree at most; any number if left out.
        depth: Option<usize> = None, in [1.0, 64.0];
        /// Rows of the training part in a leaf at least.
        leaf_rows: usize = 20, in [1.0, 1e6];
        /// The penalty on squared answers of leaves.
        l2: f64 = 0.0, in [0.0, 1e9];
        /// The share of rows that each round learns from.
        rows: f64 = 1.0, in [0.01, 1.0];
        /// The share of columns that each split looks at.
        columns: f64 = 1.0, in [0.01, 1.0];
        /// How labels are read: `one-hot` as a number for each, or `native`: a split takes any set of labels.
        categories: Categories = Categories::OneHot;
        /// Monotone constraints: columns of numbers that predictions never fall with, all else equal; of two classes the
        /// second one's probability.
        increasing: Vec<String> = Vec::new();
        /// Columns of numbers that they never rise with.
        decreasing: Vec<String> = Vec::new();
        /// How much a row counts by its class.
        class_weights: ClassWeights = ClassWeights::None;
        /// Rounds without a lower loss of the validation part after which it ends; 0 makes all of them.
        patience: u64 = 20, in [0.0, 1e6];
    }
}

/// Trees, a round each with one for every output that is fitted.
pub struct Boosting {
    config: Config,
    shape: Shape,
    /// What the columns hold.
    slots: Vec<Slot>,
    /// Of each column whether predictions rise (1) or fall (−1) with it; nothing before columns have names.
    directions: Vec<i8>,
    /// What every row begins with.
    base: Vec<f64>,
    trees: Vec<Tree>,
    rounds: u64,
    patience: Patience,
    /// Of the training and validation part; made from the trees where it is empty.
    scores: [Vec<f64>; 2],
    bins: Option<Bins>,
}

impl Boosting {
    /// No trees yet. `slots`: what the columns hold, numbers if it is empty.
    pub fn new(config: Config, shape: Shape, slots: &[Slot]) -> Self {
        let patience = Patience::new(config.patience);
        let base = vec![0.0; if shape.classes == 2 { 1 } else { shape.outputs() }];
        let slots = slots.to_vec();
        Self {
            config,
            shape,
            slots,
            directions: Vec::new(),
            base,
            trees: Vec::new(),
            rounds: 0,
            patience,
            scores: Default::default(),
            bins: None,
        }
    }

    /// Outputs that are fitted: of two classes only the second.
    fn fitted(&self) -> usize {
        self.base.len()
    }

    /// What it begins with: the mean, the log odds, or the logarithms of the classes' shares.
    fn begin(&mut self, train: &Examples) {
        let n = train.y.len() as f64;
        if train.classes == 0 {
            self.base[0] = train.y.iter().sum::<f64>() / n;
            return;
        }
        let mut shares = vec![0.0; train.classes];
        let all: f64 = (0..train.y.len()).map(|row| train.weight(row)).sum();
        train.y.iter().enumerate().for_each(|(row, y)| shares[*y as usize] += train.weight(row) / all);
        if train.classes == 2 {
            self.base[0] = (shares[1] / shares[0]).ln();
        } else {
            self.base.iter_mut().zip(shares).for_each(|(base, share)| *base = share.max(1e-12).ln());
        }
    }

    /// Sums of the base and the first rounds of trees, `[rows, fitted]`.
    fn sums(&self, x: &Matrix, rounds: u64) -> Vec<f64> {
        let trees = (rounds as usize * self.fitted()).min(self.trees.len());
        sums(&self.trees[..trees], x, &self.base)
    }

    /// Sums as scores: of two classes the first has 0.
    fn as_scores(&self, sums: &[f64]) -> Vec<f64> {
        if self.shape.classes == 2 { sums.iter().flat_map(|s| [0.0, *s]).collect() } else { sums.to_vec() }
    }

    /// First and second derivatives of the loss by one fitted output.
    fn derivatives(&self, train: &Examples, output: usize, g: &mut [f64], h: &mut [f64]) {
        let k = self.fitted();
        let mut p = vec![0.0; k];
        for (row, y) in train.y.iter().enumerate() {
            let sums = &self.scores[0][row * k..][..k];
            (g[row], h[row]) = match self.shape.classes {
                0 => (sums[0] - y, 1.0),
                2 => {
                    let p = 1.0 / (1.0 + (-sums[0]).exp());
                    (p - y, (p * (1.0 - p)).max(1e-16))
                }
                _ => {
                    p.copy_from_slice(sums);
                    softmax(&mut p);
                    let is = f64::from(u8::from(*y as usize == output));
                    (p[output] - is, (p[output] * (1.0 - p[output])).max(1e-16))
                }
            };
            let weight = train.weight(row);
            (g[row], h[row]) = (weight * g[row], weight * h[row]);
        }
    }
}

impl Predict for Boosting {
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        // Only what was best on the validation part answers.
        let rounds = if self.config.patience > 0 { self.patience.at } else { self.rounds };
        self.as_scores(&self.sums(x, rounds))
    }
}

impl Learner for Boosting {
    fn step(&self) -> u64 {
        self.rounds
    }

    fn finished(&self) -> bool {
        self.patience.is_over(self.rounds)
    }

    fn name_inputs(&mut self, names: &[String]) -> Result<(), AgentError> {
        let mut directions = vec![0; names.len()];
        let (rise, fall) = (&self.config.increasing, &self.config.decreasing);
        for (key, column, direction) in
            rise.iter().map(|name| ("increasing", name, 1)).chain(fall.iter().map(|name| ("decreasing", name, -1)))
        {
            let refuse = |why: String| Err(Issue::value(key, why).into());
            if self.shape.classes > 2 {
                return refuse(format!("is for numbers and two classes, and there are {}", self.shape.classes));
            }
            match names.iter().position(|name| name == column) {
                Some(at) if self.slots.get(at).is_some_and(|slot| *slot != Slot::Number) => {
                    return refuse(format!("`{column}` holds no numbers"));
                }
                Some(at) if directions[at] == -direction => {
                    return refuse(format!("`{column}` cannot do both, rise and fall"));
                }
                Some(at) => directions[at] = direction,
                None => return refuse(format!("no input is a number called `{column}`")),
            }
        }
        if rise.len() + fall.len() > 0 {
            self.directions = directions;
        }
        Ok(())
    }

    fn advance(&mut self, train: &Examples, validation: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        if self.rounds == 0 {
            self.begin(train);
        }
        if self.scores[0].is_empty() {
            self.scores = [train, validation].map(|part| self.sums(&part.x, self.rounds));
        }
        let bins = self.bins.take().unwrap_or_else(|| Bins::new(&train.x, &self.slots));
        let (n, k) = (train.y.len(), self.fitted());
        let (mut g, mut h) = (vec![0.0; n], vec![0.0; n]);
        let growth = Growth {
            leaves: self.config.leaves,
            depth: self.config.depth.unwrap_or(usize::MAX),
            leaf_rows: self.config.leaf_rows,
            l2: self.config.l2,
            rate: self.config.learning_rate,
            columns: self.config.columns,
            directions: &self.directions,
        };
        let mut rng = Rng::new(self.shape.seed, Stream::Shuffle, self.rounds as u32);
        let mut rows: Vec<u32> = (0..n as u32).collect();
        if self.config.rows < 1.0 {
            rng.shuffle(&mut rows);
            rows.truncate(((n as f64 * self.config.rows).round() as usize).max(1));
            rows.sort_unstable();
        }
        let mut round = Vec::with_capacity(k);
        for output in 0..k {
            if stop() {
                self.bins = Some(bins);
                return Ok(None);
            }
            self.derivatives(train, output, &mut g, &mut h);
            round.push(grow(&bins, rows.clone(), &g, &h, &growth, &mut rng));
        }
        for (output, tree) in round.iter().enumerate() {
            for (scores, part) in self.scores.iter_mut().zip([train, validation]) {
                for (row, sum) in scores.iter_mut().skip(output).step_by(k).enumerate() {
                    *sum += tree.answer(part.x.row(row));
                }
            }
        }
        self.trees.append(&mut round);
        self.bins = Some(bins);
        self.rounds += 1;
        let loss = train.loss(&self.as_scores(&self.scores[0]));
        self.patience.see(self.rounds, validation.loss(&self.as_scores(&self.scores[1])));
        Ok(Some(loss))
    }

    fn save(&self) -> Saved {
        let trees: Vec<Value> = self.trees.iter().map(Tree::save).collect();
        let state = json!({"rounds": self.rounds, "base": self.base, "trees": trees, "patience": self.patience.save()});
        Saved { tensors: Vec::new(), state }
    }

    /// Without the trees after the best round.
    fn answer(&self) -> Saved {
        let mut saved = self.save();
        if self.config.patience > 0 {
            saved.state["rounds"] = json!(self.patience.at);
            let trees = self.patience.at as usize * self.fitted();
            saved.state["trees"] = self.trees.iter().take(trees).map(Tree::save).collect();
        }
        saved
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let wrong = || AgentError::Checkpoint("its trees cannot be read".into());
        let base = super::saved_numbers(&saved.state, "base", self.fitted())?;
        let rounds: u64 = saved.part("rounds")?;
        let trees = saved.state["trees"].as_array().ok_or_else(wrong)?;
        let trees: Option<Vec<Tree>> = trees.iter().map(|tree| Tree::load(tree, self.shape.inputs)).collect();
        let trees = trees.filter(|t| t.len() as u64 == rounds.saturating_mul(base.len() as u64)).ok_or_else(wrong)?;
        self.patience.load(&saved.state["patience"]);
        (self.base, self.rounds, self.trees) = (base, rounds, trees);
        self.scores = Default::default();
        Ok(())
    }
}
