//! A model without a target as a training: steps of a learner on the training part, metrics of rows that it never saw, and
//! what it says of the whole table.

use super::agreement::{adjusted_rand, normalised_mutual_information, rows_of, sample, silhouette};
use super::describe::differences;
use super::family::Family;
use super::gaussian::{Gaussian, covariance};
use super::inputs::Inputs;
use super::neighbours::{kept as kept_neighbours, same_label};
use super::picture::Picture;
use super::reader::{kept, share_below};
use super::scores::{auc, mean, metric, spearman};
use super::{Found, Learner, Shape, means, pool, squared};
use crate::agent::{AgentError, Saved, Stop, all_finite};
use crate::data::dataset::Dataset;
use crate::data::encode::Matrix;
use crate::supervised::predictor::learners_part;
use crate::train::{Examined, Part, Times, Training};
use agon_core::Metric;
use agon_core::metric::Goal;
use agon_core::plot::Plot;
use serde_json::{Map, Value, json};
use std::time::Instant;
use tch::Device;

/// A learner with its data.
pub struct Unsupervised {
    family: Family,
    learner: Box<dyn Learner>,
    inputs: Inputs,
    data: Dataset,
    /// Training, validation, test; of a model of the whole table all rows are for training.
    parts: [Matrix; 3],
    picture: Picture,
    steps: u64,
    /// A sum that tells these data from others.
    sum: u32,
    times: Times,
}

/// Rows whose silhouette is worked out at most.
const SAMPLE: usize = 2000;
/// Neighbours by which a map is judged.
const NEIGHBOURS: usize = 5;
/// Differences of a cluster, unusual rows, and loadings of a component that are told.
const TOLD: usize = 5;
const UNUSUAL: usize = 10;
/// Clusters that are described at most.
const DESCRIBED: usize = 50;

impl Unsupervised {
    /// A fresh learner.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where settings do not fit the table, [`AgentError::Data`] where it is too large or never varies.
    pub fn new(
        family: Family,
        settings: &Map<String, Value>,
        data: Dataset,
        [steps, seed]: [u64; 2],
        device: Device,
    ) -> Result<Self, AgentError> {
        let (columns, split) = (data.inputs(), &data.split);
        let all: Vec<usize> = (0..data.lines.len()).collect();
        let of_parts: [&[usize]; 3] =
            if family.whole { [&all, &[], &[]] } else { [&split.train, &split.validation, &split.test] };
        let inputs = Inputs::fit(&columns, of_parts[0], (family.scaling)(settings)?);
        if inputs.width() == 0 {
            return Err(AgentError::Data("no column varies in the training part".into()));
        }
        let bytes = 2.0 * (inputs.width() * data.lines.len()) as f64 * 8.0;
        let what = format!(" for {} rows of {} numbers", data.lines.len(), inputs.width());
        if let Some(why) = agon_core::memory::refusal(bytes, &what) {
            return Err(AgentError::Data(format!(
                "training {why}; leave columns out with data.drop, or use fewer rows"
            )));
        }
        let parts = of_parts.map(|rows| inputs.encode(&columns, rows).0);
        let learner = (family.learner)(settings, Shape { inputs: inputs.width(), steps, seed, device })?;
        learner.check(parts[0].rows())?;
        let numbers = parts.iter().flat_map(|part| &part.x);
        let sum = numbers.fold(0, |sum, x| crc32c::crc32c_append(sum, &x.to_le_bytes()));
        let picture = Picture::new(&data, &inputs, seed);
        Ok(Self { family, learner, inputs, data, parts, picture, steps, sum, times: Times::default() })
    }

    /// The loss of rows by what knows nothing of how columns hang together: the training part's mean, or its mean and
    /// variances.
    fn beside(&self, x: &Matrix) -> Vec<f64> {
        let train = &self.parts[0];
        let middle = means(train);
        if self.family.loss == Some("squared_error") {
            return x.x.chunks_exact(x.width).map(|row| squared(row, &middle)).collect();
        }
        let variances = covariance(train, &middle, true, 1e-6);
        let mut scratch = Vec::new();
        let Some(own) = Gaussian::new(middle, &variances) else { return vec![f64::INFINITY; x.rows()] };
        x.x.chunks_exact(x.width).map(|row| -own.ln_density(own.distance(row, &mut scratch))).collect()
    }

    /// The classes of some rows, where a column of labels was kept out of training.
    fn labels(&self, rows: &[usize]) -> Option<Vec<u32>> {
        let known = !self.data.target.classes.is_empty();
        known.then(|| rows.iter().map(|row| self.data.target.y[*row] as u32).collect())
    }

    /// What is known of rows beyond their loss.
    fn metrics(&self, x: &Matrix, found: &Found, rows: &[usize]) -> Vec<Metric> {
        let mut all = Vec::new();
        if !found.cluster.is_empty() {
            let some: Vec<usize> =
                sample(x.rows(), SAMPLE).into_iter().filter(|r| found.cluster[*r].is_some()).collect();
            let own: Vec<u32> = some.iter().filter_map(|row| found.cluster[*row]).collect();
            let score = silhouette(&rows_of(x, &some), &own).unwrap_or(0.0);
            all.push(metric("silhouette", score, Goal::Highest, some.len()));
            let none = found.cluster.iter().filter(|c| c.is_none()).count();
            if none > 0 {
                let share = none as f64 / rows.len() as f64;
                all.push(metric("share_of_no_cluster", share, Goal::Lowest, rows.len()));
            }
        }
        if let Some([a, b]) = self.learner.halves(x) {
            all.push(metric("rank_agreement_of_halves", spearman(&a, &b), Goal::Highest, rows.len()));
        }
        let Some(labels) = self.labels(rows) else { return all };
        if found.cluster.is_empty() {
            // The rarer of two classes is what is unusual.
            let ones = labels.iter().filter(|label| **label == 1).count();
            let rare = u32::from(2 * ones <= labels.len());
            let is: Vec<bool> = labels.iter().map(|label| *label == rare).collect();
            if self.data.target.classes.len() == 2
                && let Some(area) = auc(&found.anomaly, &is)
            {
                all.push(metric(
                    &format!("auc_of_{}", self.data.target.classes[rare as usize]),
                    area,
                    Goal::Highest,
                    rows.len(),
                ));
            }
        } else {
            let own: Vec<u32> = found.cluster.iter().map(|c| c.unwrap_or(u32::MAX)).collect();
            all.push(metric("adjusted_rand", adjusted_rand(&own, &labels), Goal::Highest, rows.len()));
            let shared = normalised_mutual_information(&own, &labels);
            all.push(metric("mutual_information", shared, Goal::Highest, rows.len()));
        }
        all
    }

    /// How well a map keeps the rows' neighbours, and whether neighbours on it have the same label.
    fn map_metrics(&self) -> Vec<Metric> {
        let (x, mut all) = (&self.parts[0], self.learner.metrics(&self.parts[0]));
        let Some(map) = self.learner.map() else { return all };
        let k = NEIGHBOURS.min((x.rows() - 1) / 2);
        if let Some(kept) = kept_neighbours(x, &map, k, SAMPLE, &pool()) {
            all.push(metric("trustworthiness", kept.trustworthiness, Goal::Highest, kept.rows));
            all.push(metric("neighbours_kept", kept.shared, Goal::Highest, kept.rows));
        }
        let rows: Vec<usize> = (0..x.rows()).collect();
        if let Some(labels) = self.labels(&rows) {
            let (same, rows) = same_label(&map, &labels, SAMPLE);
            all.push(metric("nearest_of_same_class", same, Goal::Highest, rows));
        }
        all
    }

    fn part(&self, part: Part) -> (&Matrix, &[usize]) {
        match part {
            Part::Validation => (&self.parts[1], &self.data.split.validation),
            Part::Test => (&self.parts[2], &self.data.split.test),
        }
    }

    /// The clusters of all rows: how many each has, and what distinguishes it.
    fn clusters(&self, found: &Found) -> Vec<Value> {
        let columns = self.data.inputs();
        let one = |c: u32| {
            let rows: Vec<usize> = (0..found.cluster.len()).filter(|row| found.cluster[*row] == Some(c)).collect();
            let differences = if rows.is_empty() { Vec::new() } else { differences(&columns, &rows, TOLD) };
            json!({"cluster": c + 1, "rows": rows.len(), "differences": differences})
        };
        (0..found.clusters.min(DESCRIBED) as u32).map(one).collect()
    }

    /// The rows of the table that are the most unusual, with the columns in which they are.
    fn unusual(&self, found: &Found, usual: &[f64]) -> Vec<Value> {
        let mut order: Vec<usize> = (0..found.anomaly.len()).collect();
        order.sort_by(|a, b| found.anomaly[*b].total_cmp(&found.anomaly[*a]).then(a.cmp(b)));
        order.truncate(UNUSUAL);
        let columns = self.data.inputs();
        let one = |row: usize| {
            json!({
                "line": self.data.lines[row],
                "score": found.anomaly[row],
                "below": share_below(usual, found.anomaly[row]),
                "differences": differences(&columns, &[row], 3),
            })
        };
        order.into_iter().map(one).collect()
    }

    /// The columns that weigh most in each of the first components.
    fn loadings(&self, axes: &Value) -> Vec<Value> {
        let names = self.inputs.names();
        let of = |axis: &Value| {
            let axis: Vec<f64> = axis.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
            let mut order: Vec<usize> = (0..axis.len()).collect();
            order.sort_by(|a, b| axis[*b].abs().total_cmp(&axis[*a].abs()));
            order.into_iter().take(TOLD).map(|k| json!({"what": names[k], "weight": axis[k]})).collect::<Value>()
        };
        axes.as_array().into_iter().flatten().map(of).collect()
    }
}

impl Training for Unsupervised {
    fn step(&self) -> u64 {
        self.learner.step()
    }

    fn steps(&self) -> u64 {
        self.learner.steps().unwrap_or(self.steps).min(self.steps)
    }

    fn done(&self) -> bool {
        self.learner.finished() || self.step() >= self.steps
    }

    fn may_end_early(&self) -> bool {
        self.learner.steps().is_none()
    }

    fn task_scalars(&self) -> Vec<String> {
        vec![self.family.reports.into()]
    }

    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        if stop() {
            return Ok(None);
        }
        let begun = Instant::now();
        let [train, validation, _] = &self.parts;
        let loss = self.learner.advance(train, validation, stop)?;
        self.times.learn += begun.elapsed();
        let Some(loss) = loss else { return Ok(None) };
        let report = vec![(self.family.reports.into(), loss)];
        all_finite(&report)?;
        Ok(Some(report))
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let other: Inputs = saved.part("inputs")?;
        if other != self.inputs {
            return Err(AgentError::Checkpoint("its inputs are other ones, or were scaled by other data".into()));
        }
        self.learner.load(&learners_part(saved))
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn plot(&self) -> Option<Plot> {
        self.picture.plot(&*self.learner, &self.parts[0], self.family.whole)
    }

    fn coordinates(&self) -> Vec<(u64, [f64; 2])> {
        let map = self.learner.map().unwrap_or_default();
        let places = map.x.as_chunks::<2>().0;
        self.data.lines.iter().copied().zip(places.iter().copied()).collect()
    }

    fn examine(&self, part: Part, seed: u64) -> Vec<Examined> {
        if self.family.whole {
            let name = self.family.name.to_owned();
            return vec![Examined { name, metrics: self.map_metrics(), better_by: None }];
        }
        let (x, rows) = self.part(part);
        let found = self.learner.read(x);
        let more = self.metrics(x, &found, rows);
        let name = self.family.name.to_owned();
        let Some(loss) = self.family.loss else {
            return vec![Examined { name, metrics: more, better_by: None }];
        };
        let units: Vec<u32> = rows.iter().map(|row| self.data.units[*row]).collect();
        let beside = self.beside(x);
        let off: Vec<f64> = beside.iter().zip(&found.loss).map(|(b, own)| b - own).collect();
        let mut metrics = vec![mean(loss, &found.loss, &units, Goal::Lowest, seed)];
        if loss == "squared_error" {
            let total: f64 = beside.iter().sum();
            let explained = if total > 0.0 { off.iter().sum::<f64>() / total } else { 0.0 };
            metrics.push(metric("explained_variance", explained, Goal::Highest, rows.len()));
        }
        metrics.extend(more);
        vec![
            Examined { name, metrics, better_by: None },
            Examined {
                name: self.family.beside.into(),
                metrics: vec![mean(loss, &beside, &units, Goal::Lowest, seed)],
                better_by: Some(mean(loss, &off, &units, Goal::Highest, seed)),
            },
        ]
    }

    fn details(&self) -> Value {
        if self.family.whole {
            return json!({
                "rows": self.data.lines.len(),
                "map": true,
                "places_new_rows": self.family.reads,
                "model": self.learner.details(),
            });
        }
        let rows: Vec<usize> = (0..self.data.lines.len()).collect();
        let all = self.inputs.encode(&self.data.inputs(), &rows).0;
        let found = self.learner.read(&all);
        let usual = kept(self.data.split.train.iter().map(|row| found.anomaly[*row]).collect());
        let model = self.learner.details();
        let none = found.cluster.iter().filter(|c| c.is_none()).count();
        let names = self.inputs.names();
        let flat = model["flat"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        let flat: Vec<&String> = flat.filter_map(|k| names.get(k as usize)).collect();
        json!({
            "loadings": self.loadings(&model["axes"]),
            "clusters": self.clusters(&found),
            "rows_of_no_cluster": none,
            "rows": rows.len(),
            "unusual": self.unusual(&found, &usual),
            "without_variance": flat,
            "model": model,
        })
    }

    fn save(&self) -> (Saved, Value) {
        let Saved { tensors, state } = self.learner.save();
        let anomaly = if self.family.whole { Vec::new() } else { self.learner.read(&self.parts[0]).anomaly };
        let state = json!({
            "model": state,
            "inputs": self.inputs,
            "labels": self.data.target.name,
            "usual": kept(anomaly),
        });
        (Saved { tensors, state }, json!({"step": self.step(), "data": self.sum}))
    }

    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError> {
        if rest.is_some_and(|rest| rest["data"] != self.sum) {
            return Err(AgentError::Checkpoint("the data are not those that it was learned from".into()));
        }
        self.learner.load(&learners_part(saved))
    }
}
