//! A search among models of tables: the defaults of every family, then settings drawn at random. Rows of the training and
//! the validation part are divided into folds; a model of a fold is trained on the others. Successive halving (Jamieson and
//! Talwalkar 2016, in the asynchronous form of Li et al. 2020) decides who is worth more folds; from the models of all folds
//! an ensemble is picked greedily by its loss on rows that none of them saw (Caruana et al. 2004).
//!
//! A step is one model of one fold. Which one comes next follows from the seed and from the losses so far: time only decides
//! how many are made.

mod space;

use self::space::{SEARCHED, drawn};
use super::ensemble::pick;
use super::family::{Encoding, Family};
use super::{Examples, Learner, Predict, Shape, log_sum_exp, softmax};
use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::{Encoder, Matrix, Scaling, Slot};
use crate::data::split;
use crate::data::{Column, Kind, Values};
use agon_core::plot::{Body, Plot, Table};
use agon_core::scene::significant;
use agon_core::settings::Settings;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use tch::Tensor;

agon_core::settings! {
    /// A search among models of tables.
    pub struct Config {
        /// Minutes after which no further model is begun; 0 makes `train.steps` of them, however long that takes.
        minutes: f64 = 5.0, in [0.0, 1e5];
        /// Parts that rows are divided into, each of which is held out once; 1 holds the validation part out alone.
        folds: usize = 5, in [1.0, 20.0];
        /// Picks of the ensemble, with repetition.
        picks: usize = 50, in [1.0, 1000.0];
        /// Settings that are kept to pick from, the best ones.
        kept: usize = 16, in [1.0, 1000.0];
    }
}

/// The search: `agon train --minutes`.
pub const AUTOML: Family = Family {
    name: "the ensemble",
    steps: 1000,
    encoding: |table| {
        Config::read(table).map_err(AgentError::Settings)?;
        // As the table has it: every family makes its own numbers of that.
        Ok(Encoding { scaling: Scaling::Asis, keep_missing: true, coded_above: Some(0), tokens: None })
    },
    learner: |table, shape, slots| {
        let config = Config::read(table).map_err(AgentError::Settings)?;
        Ok(Box::new(AutoMl::new(config, shape, slots)))
    },
    network: None,
    is_search: true,
    by_minibatches: false,
};

/// A model of one fold.
struct Fit {
    /// Its loss on the rows that it did not see.
    loss: f64,
    /// Its scores of them: logarithms of probabilities, or numbers.
    scores: Vec<f32>,
    /// The model itself; none where its settings are no longer in the race.
    learner: Option<Box<dyn Learner>>,
}

impl Fit {
    /// What was drawn was too much for it: it is out of the race, and the search goes on.
    const FAILED: Self = Self { loss: f64::MAX, scores: Vec::new(), learner: None };
}

/// A family with settings.
struct Trial {
    kind: &'static str,
    family: Family,
    settings: Map<String, Value>,
    steps: u64,
    /// Rows that are learned from: steps follow from them.
    rows: usize,
    encoder: Encoder,
    fits: Vec<Fit>,
    /// Folds that it may have so far.
    goal: usize,
}

impl Trial {
    /// Nothing of it was trained yet; none if no family is called so.
    fn new(kind: &str, settings: Map<String, Value>, rows: usize) -> Option<Self> {
        let (kind, family) = SEARCHED.into_iter().find(|(known, _)| *known == kind)?;
        let steps = match kind {
            "boosting" => 2000,
            // Epochs for about as many gradient steps, whatever the number of rows: a cycle of its rate must end.
            "realmlp" => (500_000 / rows.max(1) as u64).clamp(16, 128),
            _ => family.steps,
        };
        Some(Self { kind, family, settings, steps, rows, encoder: Encoder::default(), fits: Vec::new(), goal: 1 })
    }

    /// Whether none of its models was forgotten.
    fn has_models(&self) -> bool {
        self.fits.iter().all(|fit| fit.learner.is_some())
    }

    /// The mean loss of its first folds.
    fn loss(&self, folds: usize) -> f64 {
        self.fits[..folds].iter().map(|fit| fit.loss).sum::<f64>() / folds as f64
    }
}

/// The rows that are learned from, divided into folds.
struct Pool {
    columns: Vec<Column>,
    y: Vec<f64>,
    weights: Vec<f64>,
    /// The rows of each fold.
    folds: Vec<Vec<usize>>,
}

/// The search and what it found.
pub struct AutoMl {
    config: Config,
    shape: Shape,
    slots: Vec<Slot>,
    trials: Vec<Trial>,
    /// For each trial how often it was picked.
    picked: Vec<usize>,
    /// The loss of the ensemble on rows that its models did not see.
    loss: Option<f64>,
    step: u64,
    spent: Duration,
    pool: Option<Pool>,
}

impl AutoMl {
    /// Nothing was tried yet.
    pub fn new(config: Config, shape: Shape, slots: &[Slot]) -> Self {
        let slots = slots.to_vec();
        let (trials, picked, spent) = (Vec::new(), Vec::new(), Duration::ZERO);
        Self { config, shape, slots, trials, picked, loss: None, step: 0, spent, pool: None }
    }

    /// Columns of encoded rows: numbers, and labels by their places.
    fn columns(&self, x: &Matrix) -> Vec<Column> {
        let one = |(at, slot): (usize, &Slot)| {
            let numbers = || x.x.iter().skip(at).step_by(x.width);
            let (kind, values) = match slot {
                Slot::Code(labels) => {
                    let names = (0..*labels).map(|label| format!("{label:04}")).collect();
                    (Kind::Category, Values::Labels(names, numbers().map(|x| Some(*x as u32)).collect()))
                }
                _ => (Kind::Number, Values::Numbers(numbers().copied().collect())),
            };
            Column { name: at.to_string(), kind, values, way: None }
        };
        self.slots.iter().enumerate().map(one).collect()
    }

    fn pool(&self, train: &Examples, validation: &Examples) -> Pool {
        let mut x = train.x.clone();
        x.x.extend_from_slice(&validation.x.x);
        let join = |a: &[f64], b: &[f64]| a.iter().chain(b).copied().collect::<Vec<f64>>();
        let (y, weights) = (join(&train.y, &validation.y), join(&train.weights, &validation.weights));
        Pool { columns: self.columns(&x), y, weights, folds: self.folds(train, validation) }
    }

    /// The rows of each fold: of the training part, and behind them those of the validation part.
    fn folds(&self, train: &Examples, validation: &Examples) -> Vec<Vec<usize>> {
        let (n, all) = (train.y.len(), train.y.len() + validation.y.len());
        if self.config.folds == 1 {
            return vec![(n..all).collect()];
        }
        let units: Vec<u32> = match train.units.is_empty() {
            true => (0..all as u32).collect(),
            false => train.units.iter().chain(&validation.units).copied().collect(),
        };
        let class = |y: &f64| if self.shape.classes > 0 { *y as u32 } else { 0 };
        let class: Vec<u32> = train.y.iter().chain(&validation.y).map(class).collect();
        split::folds(&units, &class, self.config.folds, self.shape.seed)
    }

    /// Folds after which it is decided who goes on.
    fn rungs(&self) -> Vec<usize> {
        let all = self.config.folds;
        let mut rungs = vec![1, 2, all];
        rungs.retain(|rung| *rung <= all);
        rungs.dedup();
        rungs
    }

    /// The trial whose next fold is due: one that has not had its folds yet, else one that is among the better half of those
    /// that had as many, or the best of its family there, else a new one.
    fn next(&mut self, pool: &Pool) -> Result<usize, AgentError> {
        if let Some(at) = self.trials.iter().position(|trial| trial.fits.len() < trial.goal) {
            return Ok(at);
        }
        let rungs = self.rungs();
        for pair in rungs.windows(2).rev() {
            let mut there: Vec<usize> =
                (0..self.trials.len()).filter(|i| self.trials[*i].fits.len() >= pair[0]).collect();
            there.sort_by(|a, b| self.trials[*a].loss(pair[0]).total_cmp(&self.trials[*b].loss(pair[0])));
            let half = there.len().div_ceil(2);
            let goes_on = |(place, at): &(usize, usize)| {
                let kind = self.trials[*at].kind;
                let first = there.iter().position(|other| self.trials[*other].kind == kind) == Some(*place);
                let trial = &self.trials[*at];
                trial.goal == pair[0] && trial.has_models() && (*place < half || first)
            };
            if let Some((_, at)) = there.iter().copied().enumerate().find(goes_on) {
                self.trials[at].goal = pair[1];
                return Ok(at);
            }
        }
        let (kind, settings) = drawn(self.shape, self.trials.len(), pool.y.len());
        let mut trial = Trial::new(kind, settings, pool.y.len()).expect("drawn from those that are searched");
        let columns: Vec<&Column> = pool.columns.iter().collect();
        // Scaling and labels by all rows that are learned from: no target is seen.
        let rows: Vec<usize> = (0..pool.y.len()).collect();
        trial.encoder = (trial.family.encoding)(&trial.settings)?.fit(&columns, &rows)?;
        self.trials.push(trial);
        Ok(self.trials.len() - 1)
    }

    /// A fresh model of a fold of a trial.
    fn learner(&self, trial: &Trial, fold: usize) -> Result<Box<dyn Learner>, AgentError> {
        let seed = self.shape.seed.wrapping_add(1 + fold as u64);
        let shape = Shape { inputs: trial.encoder.width(), steps: trial.steps, seed, ..self.shape };
        (trial.family.learner)(&trial.settings, shape, &trial.encoder.slots())
    }

    /// Trains a model of the next fold of a trial; none if it was asked to stop.
    fn fit(&self, trial: &Trial, pool: &Pool, stop: Stop<'_>) -> Result<Option<Fit>, AgentError> {
        let fold = trial.fits.len();
        // 0: it learns from the row; 1: the row decides when it ends; 2: the row judges it, and it never saw it.
        let mut role = vec![0; pool.y.len()];
        pool.folds[fold].iter().for_each(|row| role[*row] = 2);
        if trial.family.steps > 1 {
            let free: Vec<usize> = (0..role.len()).filter(|row| role[*row] == 0).collect();
            free.into_iter().step_by(ENDS).for_each(|row| role[row] = 1);
        }
        let columns: Vec<&Column> = pool.columns.iter().collect();
        let part = |wanted: u8| {
            let rows: Vec<usize> = (0..role.len()).filter(|row| role[*row] == wanted).collect();
            let pick = |all: &[f64]| rows.iter().filter_map(|row| all.get(*row).copied()).collect::<Vec<_>>();
            Examples {
                x: trial.encoder.encode(&columns, &rows).0,
                y: pick(&pool.y),
                classes: self.shape.classes,
                weights: pick(&pool.weights),
                units: Vec::new(),
            }
        };
        let [train, ends, held_out] = [0, 1, 2].map(part);
        let mut learner = self.learner(trial, fold)?;
        while !learner.finished() && learner.step() < trial.steps {
            match learner.advance(&train, &ends, stop) {
                Err(AgentError::Diverged(_)) => return Ok(Some(Fit::FAILED)),
                made => {
                    if made?.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
        let learner = self.restored(trial, fold, &learner.answer())?;
        let scores = logarithms(learner.scores(&held_out.x), self.shape.classes);
        let loss = held_out.loss(&scores);
        if !loss.is_finite() {
            return Ok(Some(Fit::FAILED));
        }
        Ok(Some(Fit { loss, scores: scores.into_iter().map(|s| s as f32).collect(), learner: Some(learner) }))
    }

    /// A model as it is saved.
    fn restored(&self, trial: &Trial, fold: usize, saved: &Saved) -> Result<Box<dyn Learner>, AgentError> {
        let mut learner = self.learner(trial, fold)?;
        learner.load(saved)?;
        Ok(learner)
    }

    /// Trials that have so many folds, the best first.
    fn with_folds(&self, folds: usize) -> Vec<usize> {
        let mut there: Vec<usize> = (0..self.trials.len()).filter(|i| self.trials[*i].fits.len() == folds).collect();
        there.sort_by(|a, b| self.trials[*a].loss(folds).total_cmp(&self.trials[*b].loss(folds)));
        there
    }

    /// Forgets the models of trials that are not among the best of those with as many folds.
    fn forget(&mut self) {
        for rung in self.rungs() {
            for at in self.with_folds(rung).into_iter().skip(self.config.kept) {
                self.trials[at].fits.iter_mut().for_each(|fit| fit.learner = None);
            }
        }
    }

    /// Picks the ensemble again.
    fn choose(&mut self, pool: &Pool) {
        let mut candidates = self.with_folds(self.config.folds);
        candidates.retain(|at| self.trials[*at].has_models());
        candidates.truncate(self.config.kept);
        if candidates.is_empty() {
            return;
        }
        self.picked = vec![0; self.trials.len()];
        let rows: Vec<usize> = pool.folds.iter().flatten().copied().collect();
        let truth = Examples {
            y: rows.iter().map(|row| pool.y[*row]).collect(),
            weights: rows.iter().filter_map(|row| pool.weights.get(*row).copied()).collect(),
            classes: self.shape.classes,
            ..Examples::default()
        };
        let answers: Vec<Vec<f64>> = candidates.iter().map(|at| self.held_out(*at)).collect();
        let (counts, loss) = pick(&answers, &truth, self.config.picks);
        candidates.iter().zip(counts).for_each(|(at, count)| self.picked[*at] = count);
        self.loss = Some(loss);
    }

    /// Probabilities or numbers that a trial's models gave rows that they did not see, fold after fold.
    fn held_out(&self, trial: usize) -> Vec<f64> {
        let scores = self.trials[trial].fits.iter().flat_map(|fit| fit.scores.iter().map(|s| f64::from(*s)));
        probabilities(scores.collect(), self.shape.classes)
    }

    /// The weighted mean of what trials say, as scores.
    fn mixed(&self, rows: usize, of: impl Fn(usize) -> Vec<f64>) -> Vec<f64> {
        let all: usize = self.picked.iter().sum();
        let mut sum = vec![0.0; rows * self.shape.outputs()];
        for (at, count) in self.picked.iter().enumerate().filter(|(_, count)| **count > 0) {
            let weight = *count as f64 / all as f64;
            sum.iter_mut().zip(of(at)).for_each(|(sum, p)| *sum += weight * p);
        }
        if self.shape.classes > 0 && all > 0 {
            sum.iter_mut().for_each(|p| *p = p.max(1e-12).ln());
        }
        sum
    }

    /// Trials that have been judged, the best first; those with all folds before the others, whose losses are not comparable.
    fn ranked(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.trials.len()).filter(|i| !self.trials[*i].fits.is_empty()).collect();
        let key = |i: &usize| {
            (self.config.folds - self.trials[*i].fits.len(), self.trials[*i].loss(self.trials[*i].fits.len()))
        };
        order.sort_by(|a, b| key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)));
        order
    }

    /// The weight of a trial in the answer.
    fn weight(&self, trial: usize) -> f64 {
        let (all, picked) = (self.picked.iter().sum::<usize>(), self.picked.get(trial).copied().unwrap_or(0));
        if all > 0 { picked as f64 / all as f64 } else { 0.0 }
    }

    /// When its minutes are over, if now is `now`; never before there is an ensemble.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let limit = Duration::from_secs_f64(60.0 * self.config.minutes);
        (self.config.minutes > 0.0 && self.loss.is_some()).then(|| now + limit.saturating_sub(self.spent))
    }
}

/// Scores of classes as logarithms of probabilities.
fn logarithms(mut scores: Vec<f64>, classes: usize) -> Vec<f64> {
    if classes > 0 {
        for row in scores.chunks_exact_mut(classes) {
            let all = log_sum_exp(row);
            row.iter_mut().for_each(|s| *s -= all);
        }
    }
    scores
}

fn probabilities(mut scores: Vec<f64>, classes: usize) -> Vec<f64> {
    if classes > 0 {
        scores.chunks_exact_mut(classes).for_each(softmax);
    }
    scores
}

/// Trials that are shown while it goes on, at most.
const PLOTTED: usize = 50;
/// Of so many rows one decides when a model ends.
const ENDS: usize = 8;

impl Predict for AutoMl {
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        let columns = self.columns(x);
        let columns: Vec<&Column> = columns.iter().collect();
        let (rows, classes): (Vec<usize>, usize) = ((0..x.rows()).collect(), self.shape.classes);
        self.mixed(rows.len(), |at| {
            let trial = &self.trials[at];
            let x = trial.encoder.encode(&columns, &rows).0;
            let mut mean = vec![0.0; rows.len() * self.shape.outputs()];
            let learners: Vec<&dyn Learner> = trial.fits.iter().filter_map(|fit| fit.learner.as_deref()).collect();
            for learner in &learners {
                let p = probabilities(learner.scores(&x), classes);
                mean.iter_mut().zip(p).for_each(|(mean, p)| *mean += p / learners.len() as f64);
            }
            mean
        })
    }
}

impl Learner for AutoMl {
    fn step(&self) -> u64 {
        self.step
    }

    fn most_seconds(&self) -> Option<f64> {
        (self.config.minutes > 0.0).then_some(60.0 * self.config.minutes)
    }

    fn finished(&self) -> bool {
        let now = Instant::now();
        self.deadline(now).is_some_and(|end| now >= end)
    }

    fn advance(&mut self, train: &Examples, validation: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        let begun = Instant::now();
        let pool = self.pool.take().unwrap_or_else(|| self.pool(train, validation));
        let at = self.next(&pool)?;
        let end = self.deadline(begun);
        let is_late = || end.is_some_and(|end| Instant::now() >= end);
        let fit = self.fit(&self.trials[at], &pool, &|| stop() || is_late());
        let late = is_late() && !stop();
        self.spent += begun.elapsed();
        let fit = fit?;
        let Some(fit) = fit else {
            self.pool = Some(pool);
            // What time cut off is forgotten, and the search is over.
            return Ok(if late { self.loss } else { None });
        };
        let loss = fit.loss;
        self.trials[at].fits.push(fit);
        self.step += 1;
        self.forget();
        if self.trials[at].fits.len() == self.config.folds {
            self.choose(&pool);
        }
        self.pool = Some(pool);
        Ok(Some(self.loss.unwrap_or(loss)))
    }

    fn validation_scores(&self, train: &Examples, validation: &Examples) -> Vec<f64> {
        let (k, n) = (self.shape.outputs(), train.y.len());
        let mut out = vec![0.0; validation.y.len() * k];
        if self.loss.is_none() {
            return out;
        }
        let folds = self.folds(train, validation);
        let held_out = self.mixed(folds.iter().map(Vec::len).sum(), |at| self.held_out(at));
        for (row, scores) in folds.iter().flatten().zip(held_out.chunks_exact(k)) {
            if let Some(at) = row.checked_sub(n) {
                out[at * k..][..k].copy_from_slice(scores);
            }
        }
        out
    }

    fn models(&self) -> usize {
        self.picked.iter().filter(|count| **count > 0).count() * self.config.folds
    }

    fn plot(&self) -> Option<Plot> {
        let cells = |i: usize| {
            let (trial, weight) = (&self.trials[i], self.weight(i));
            let folds = trial.fits.len();
            let weight = if weight > 0.0 { format!("{:.0} %", 100.0 * weight) } else { String::new() };
            vec![trial.kind.to_owned(), significant(trial.loss(folds), 4), folds.to_string(), weight]
        };
        let rows: Vec<Vec<String>> = self.ranked().into_iter().take(PLOTTED).map(cells).collect();
        let (any, models) = (!rows.is_empty(), format!("{} models", self.step));
        let head = vec![models, "loss".into(), "folds".into(), "weight".into()];
        let body = Body::Table(Table { head, rows, ..Table::default() });
        any.then_some(Plot { title: "models so far".into(), body })
    }

    fn report(&self) -> Value {
        let one = |i: usize| {
            let (trial, weight) = (&self.trials[i], self.weight(i));
            let folds = trial.fits.len();
            json!({"kind": trial.kind, "settings": trial.settings, "folds": folds, "loss": trial.loss(folds), "weight": weight})
        };
        let trials: Vec<Value> = self.ranked().into_iter().map(one).collect();
        json!({"search": {"models": self.step, "folds": self.config.folds, "loss": self.loss, "leaderboard": trials}})
    }

    fn save(&self) -> Saved {
        let mut tensors = Vec::new();
        let mut trial = |(i, trial): (usize, &Trial)| {
            let mut fit = |(fold, fit): (usize, &Fit)| {
                let name = |what: &str| format!("{i}.{fold}.{what}");
                tensors.push((name("scores"), Tensor::from_slice(&fit.scores)));
                let state = fit.learner.as_ref().map(|learner| {
                    let saved = learner.answer();
                    tensors.extend(saved.tensors.into_iter().map(|(tensor, t)| (name(&tensor), t)));
                    saved.state
                });
                json!({"loss": fit.loss, "model": state})
            };
            let fits: Vec<Value> = trial.fits.iter().enumerate().map(&mut fit).collect();
            json!({
                "kind": trial.kind,
                "settings": trial.settings,
                "goal": trial.goal,
                "rows": trial.rows,
                "encoder": trial.encoder.save(),
                "fits": fits,
            })
        };
        let trials: Vec<Value> = self.trials.iter().enumerate().map(&mut trial).collect();
        // Without a limit no clock is read, and two runs save the same.
        let spent = if self.config.minutes > 0.0 { self.spent.as_secs_f64() } else { 0.0 };
        let state =
            json!({"step": self.step, "spent": spent, "loss": self.loss, "picked": self.picked, "trials": trials});
        Saved { tensors, state }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let wrong = || AgentError::Checkpoint("the models that it tried cannot be read".into());
        let (step, spent, loss): (u64, f64, Option<f64>) =
            (saved.part("step")?, saved.part("spent")?, saved.part("loss")?);
        let picked: Vec<usize> = saved.part("picked")?;
        let mut trials = Vec::new();
        for (i, state) in saved.state["trials"].as_array().ok_or_else(wrong)?.iter().enumerate() {
            let read = |key: &str| state[key].as_u64().map(|x| x as usize).ok_or_else(wrong);
            let (rows, goal) = (read("rows")?, read("goal")?);
            let encoder: Encoder = serde_json::from_value(state["encoder"].clone()).map_err(|_| wrong())?;
            if encoder.inputs.len() != self.slots.len() {
                return Err(wrong());
            }
            let (kind, settings) = (state["kind"].as_str(), state["settings"].as_object());
            let trial = Trial::new(kind.unwrap_or_default(), settings.cloned().unwrap_or_default(), rows);
            let mut trial = Trial { encoder, goal, ..trial.ok_or_else(wrong)? };
            for (fold, state) in state["fits"].as_array().ok_or_else(wrong)?.iter().enumerate() {
                let prefix = format!("{i}.{fold}.");
                let scores = saved.tensor(&format!("{prefix}scores"))?;
                let scores = Vec::<f32>::try_from(scores).map_err(|_| wrong())?;
                let learner = match &state["model"] {
                    Value::Null => None,
                    state => {
                        let own = |(name, t): &(String, Tensor)| {
                            Some((name.strip_prefix(&prefix)?.to_owned(), t.shallow_clone()))
                        };
                        let tensors = saved.tensors.iter().filter_map(own).collect();
                        Some(self.restored(&trial, fold, &Saved { tensors, state: state.clone() })?)
                    }
                };
                trial.fits.push(Fit { loss: state["loss"].as_f64().ok_or_else(wrong)?, scores, learner });
            }
            trials.push(trial);
        }
        let folds = self.config.folds;
        let answers = |(at, count): (usize, &usize)| {
            *count == 0 || trials.get(at).is_some_and(|t: &Trial| t.fits.len() == folds && t.has_models())
        };
        if picked.len() > trials.len() || !picked.iter().enumerate().all(answers) || !(0.0..1e12).contains(&spent) {
            return Err(wrong());
        }
        (self.trials, self.picked, self.loss, self.step, self.pool) = (trials, picked, loss, step, None);
        self.spent = Duration::from_secs_f64(spent);
        Ok(())
    }
}
