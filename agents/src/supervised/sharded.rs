//! SISA training (Bourtoule et al. 2021: sharded, isolated, sliced, aggregated), so that rows can be forgotten exactly: the
//! training part is divided into shards that have a model each, a model learns its shard slice by slice and is saved after
//! each, and the models answer by their mean. Where rows are gone, a model whose shard held none of them stays, and the
//! others go on from their last save before the first slice that changed. A step is a step of every model.
//!
//! A row's shard and slice follow from what it says and the seed, never from other rows, so that a model which never saw a
//! row is the same, to the bit, as one that was made to forget it.

use super::{Examples, Learner, Predict, Shape, log_sum_exp, mixed};
use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::Matrix;
use serde_json::{Value, json};

/// Makes a fresh model.
type Make = Box<dyn Fn(Shape) -> Result<Box<dyn Learner>, AgentError>>;

/// A model with its shard.
struct Shard {
    /// The rows of each slice, in the order of the training part.
    slices: Vec<Vec<usize>>,
    /// A sum of what each slice says.
    sums: Vec<u32>,
    learner: Box<dyn Learner>,
    epochs: u64,
    ended: bool,
    loss: f64,
    /// The model after each slice but the last.
    after: Vec<Saved>,
    /// The rows that it learns from now, and how many slices they are; made again where they are missing.
    rows: Option<(usize, Examples)>,
}

/// Models on disjoint shards.
pub struct Sharded {
    make: Make,
    shape: Shape,
    shards: Vec<Shard>,
    slices: usize,
    /// A sum of the rows that decide when a model ends.
    held_out: u32,
    /// Of each shard that a save did not fit: the slice that it goes on before.
    restarted: Vec<(usize, usize)>,
}

/// The seed of a shard's model.
fn seed_of(seed: u64, shard: usize) -> u64 {
    // Scenarios have seeds up to 9e18.
    mixed(seed, &[shard as u64]) >> 1
}

fn sum_of(examples: &Examples, row: usize, sum: u32) -> u32 {
    let numbers = examples.x.row(row).iter().chain([&examples.y[row]]);
    numbers.fold(sum, |sum, x| crc32c::crc32c_append(sum, &x.to_le_bytes()))
}

impl Sharded {
    /// Models that have learned nothing; without rows they can only be loaded, and predict.
    ///
    /// # Errors
    /// Those of `make`; [`AgentError::Data`] where a shard would have no rows.
    pub fn new(
        make: Make,
        shape: Shape,
        [count, slices]: [usize; 2],
        train: &Examples,
        validation: &Examples,
    ) -> Result<Self, AgentError> {
        let mut rows = vec![vec![Vec::new(); slices]; count];
        for row in 0..train.y.len() {
            let content = u64::from(sum_of(train, row, 0));
            let drawn = |what: u64, n: usize| (mixed(shape.seed, &[content, what]) % n as u64) as usize;
            rows[drawn(0, count)][drawn(1, slices)].push(row);
        }
        if !train.y.is_empty() && rows.iter().any(|shard| shard[0].len() < 2) {
            let n = train.y.len();
            let why =
                format!("{count} shards of {slices} slices are too many for {n} rows: one would have hardly a row");
            return Err(AgentError::Data(why));
        }
        let held_out = (0..validation.y.len()).fold(0, |sum, row| sum_of(validation, row, sum));
        let sum = |slice: &Vec<usize>| slice.iter().fold(0, |sum, row| sum_of(train, *row, sum));
        let shard = |(i, slices): (usize, Vec<Vec<usize>>)| {
            let learner = make(Shape { seed: seed_of(shape.seed, i), ..shape })?;
            let sums = slices.iter().map(sum).collect();
            let (after, rows) = (Vec::new(), None);
            Ok(Shard { slices, sums, learner, epochs: 0, ended: false, loss: 0.0, after, rows })
        };
        let shards = rows.into_iter().enumerate().map(shard).collect::<Result<_, AgentError>>()?;
        Ok(Self { make, shape, shards, slices, held_out, restarted: Vec::new() })
    }

    /// Steps that a model makes on each number of slices.
    fn each(&self) -> u64 {
        self.shape.steps.div_ceil(self.slices as u64).max(1)
    }
}

impl Shard {
    /// The rows of the first slices.
    fn examples(&mut self, slices: usize, train: &Examples) -> &Examples {
        if self.rows.as_ref().is_none_or(|(made, _)| *made != slices) {
            let mut rows: Vec<usize> = self.slices[..slices].iter().flatten().copied().collect();
            rows.sort_unstable();
            let own = Examples {
                x: Matrix { x: rows.iter().flat_map(|row| train.x.row(*row)).copied().collect(), width: train.x.width },
                y: rows.iter().map(|row| train.y[*row]).collect(),
                classes: train.classes,
                units: rows.iter().filter_map(|row| train.units.get(*row)).copied().collect(),
                weights: Vec::new(),
            };
            self.rows = Some((slices, own));
        }
        &self.rows.as_ref().expect("made above").1
    }

    fn save(&self, i: usize, tensors: &mut Vec<(String, tch::Tensor)>) -> Value {
        let Saved { state, tensors: own } = self.learner.save().within(&format!("shard{i}"));
        tensors.extend(own);
        for (slice, after) in self.after.iter().enumerate() {
            let copy =
                after.tensors.iter().map(|(name, t)| (format!("shard{i}-slice{slice}.{name}"), t.shallow_clone()));
            tensors.extend(copy);
        }
        json!({
            "epochs": self.epochs,
            "ended": self.ended,
            "loss": self.loss,
            "sums": self.sums,
            "model": state,
            "after": self.after.iter().map(|after| &after.state).collect::<Vec<_>>(),
        })
    }

    fn forget(&mut self) {
        (self.epochs, self.ended, self.loss, self.rows) = (0, false, 0.0, None);
        self.after.clear();
    }
}

/// A model of a save, and its saves after slices.
fn saves(saved: &Saved, i: usize) -> (Saved, Vec<Saved>) {
    let state = &saved.state["shards"][i];
    let with = |name: String, state: &Value| {
        let mut part = Saved { state: state.clone(), ..saved.inside(&name) };
        part.tensors.sort_by(|a, b| a.0.cmp(&b.0));
        part
    };
    let after = state["after"].as_array().into_iter().flatten().enumerate();
    let after = after.map(|(slice, state)| with(format!("shard{i}-slice{slice}"), state)).collect();
    (with(format!("shard{i}"), &state["model"]), after)
}

impl Predict for Sharded {
    fn members(&self, x: &Matrix) -> Option<Vec<Vec<f64>>> {
        Some(self.shards.iter().map(|shard| shard.learner.scores(x)).collect())
    }

    /// The logarithm of the mean probability, or the mean.
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        let (k, n) = (self.shape.outputs(), self.shards.len() as f64);
        let mut all: Vec<Vec<f64>> = self.shards.iter().map(|shard| shard.learner.scores(x)).collect();
        if self.shape.classes == 0 {
            return (0..x.rows()).map(|row| all.iter().map(|own| own[row]).sum::<f64>() / n).collect();
        }
        for row in all.iter_mut().flat_map(|own| own.chunks_exact_mut(k)) {
            let norm = log_sum_exp(row);
            row.iter_mut().for_each(|s| *s -= norm);
        }
        let mut of_model = vec![0.0; self.shards.len()];
        let mut mean = |at: usize| {
            of_model.iter_mut().zip(&all).for_each(|(s, own)| *s = own[at]);
            log_sum_exp(&of_model) - n.ln()
        };
        (0..x.rows() * k).map(&mut mean).collect()
    }
}

impl Learner for Sharded {
    fn step(&self) -> u64 {
        let open = self.shards.iter().filter(|shard| !shard.ended).map(|shard| shard.epochs).min();
        open.unwrap_or_else(|| self.shards.iter().map(|shard| shard.epochs).max().unwrap_or(0))
    }

    fn finished(&self) -> bool {
        self.shards.iter().all(|shard| shard.ended)
    }

    fn advance(&mut self, train: &Examples, validation: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        let (at, each, slices) = (self.step(), self.each(), self.slices);
        // A shard that was advanced before a stop is ahead of the others, and waits for them.
        for shard in self.shards.iter_mut().filter(|shard| !shard.ended && shard.epochs == at) {
            let seen = ((shard.epochs / each) as usize + 1).min(slices);
            shard.examples(seen, train);
            let Some((_, rows)) = &shard.rows else { continue };
            let Some(loss) = shard.learner.advance(rows, validation, stop)? else { return Ok(None) };
            shard.epochs += 1;
            shard.loss = loss;
            if shard.epochs == seen as u64 * each && seen < slices {
                let mut after = shard.learner.save().apart();
                // In the order in which files have them, so that a resumed run saves the same.
                after.tensors.sort_by(|a, b| a.0.cmp(&b.0));
                shard.after.push(after);
            }
            // Of several slices the last ones must be learned too, however good the first ones are.
            shard.ended = shard.epochs >= slices as u64 * each || slices == 1 && shard.learner.finished();
        }
        Ok(Some(self.shards.iter().map(|shard| shard.loss).sum::<f64>() / self.shards.len() as f64))
    }

    fn models(&self) -> usize {
        self.shards.len()
    }

    fn keeps_what_fits(&self) -> bool {
        true
    }

    fn report(&self) -> Value {
        let mut rows: Vec<usize> =
            self.shards.iter().map(|shard| shard.slices.iter().map(Vec::len).sum::<usize>()).collect();
        rows.sort_unstable();
        json!({"sharded": {
            "shards": self.shards.len(),
            "slices": self.slices,
            "rows": [rows.first(), rows.last()],
            "restarted": self.restarted,
        }})
    }

    fn save(&self) -> Saved {
        let mut tensors = Vec::new();
        let shards: Vec<Value> = self.shards.iter().enumerate().map(|(i, shard)| shard.save(i, &mut tensors)).collect();
        Saved { tensors, state: json!({"regime": "sharded", "held_out": self.held_out, "shards": shards}) }
    }

    /// What predicts alone: the models as they are.
    fn answer(&self) -> Saved {
        self.save()
    }

    /// Models whose rows are those of the save go on where it was made; others from the last slice that is, or anew.
    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let wrong = || AgentError::Checkpoint("its shards cannot be read".into());
        let found = saved.state["shards"].as_array().ok_or_else(wrong)?;
        if found.len() != self.shards.len() {
            return Err(AgentError::Checkpoint(format!("it has {} shards, not {}", found.len(), self.shards.len())));
        }
        let (each, held_out) = (self.each(), saved.state["held_out"].as_u64() == Some(self.held_out.into()));
        let learns = self.shards.iter().any(|shard| shard.slices.iter().any(|slice| !slice.is_empty()));
        self.restarted.clear();
        for (i, (shard, state)) in self.shards.iter_mut().zip(found).enumerate() {
            let (epochs, ended) = state["epochs"].as_u64().zip(state["ended"].as_bool()).ok_or_else(wrong)?;
            let sums = state["sums"].as_array().ok_or_else(wrong)?;
            let same = shard.sums.iter().zip(sums).take_while(|(own, there)| there.as_u64() == Some(u64::from(**own)));
            let same = if held_out { same.count() } else { 0 };
            let (whole, mut after) = saves(saved, i);
            let seen = (epochs.div_ceil(each) as usize).min(self.slices);
            shard.forget();
            if !learns || seen <= same && sums.len() == self.slices {
                shard.learner.load(&whole)?;
                (shard.epochs, shard.ended, shard.loss) = (epochs, ended, state["loss"].as_f64().unwrap_or(0.0));
                shard.after = after;
                continue;
            }
            self.restarted.push((i, same));
            shard.learner = (self.make)(Shape { seed: seed_of(self.shape.seed, i), ..self.shape })?;
            if same > 0 {
                after.truncate(same);
                shard.learner.load(after.get(same - 1).ok_or_else(wrong)?)?;
                (shard.epochs, shard.after) = (same as u64 * each, after);
            }
        }
        Ok(())
    }
}
