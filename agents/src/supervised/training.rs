//! Supervised learning from a table as a training: steps of a learner on the training part, metrics of the validation
//! part on the way, and of the test part at the end, beside what is right without any input.

use super::calibration::{COVERAGE, Calibration, reliability};
use super::class_weights::ClassWeights;
use super::dependence::{self, Dependence};
use super::family::Family;
use super::importance::importance;
use super::picture;
use super::predictor::{Answer, columns_of, learners_part};
use super::pseudo::Pseudo;
use super::regime::Regime;
use super::scores::{Judged, without_inputs};
use super::{Examples, Learner, Shape};
use crate::agent::{AgentError, Saved, Stop};
use crate::data::Column;
use crate::data::blocks::{Blocks, FOLDER};
use crate::data::dataset::Dataset;
use crate::data::encode::Encoder;
use crate::demand::Estimate;
use crate::pretrained::{Mapping, Taken};
use crate::rate_test::RateTest;
use crate::train::{Examined, Part, Predicted, Times, Training};
use agon_core::plot::Plot;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Instant;
use tch::Device;

/// A learner with its data.
pub struct Supervised {
    family: Family,
    learner: Box<dyn Learner>,
    encoder: Encoder,
    answer: Answer,
    /// Training, validation, test.
    parts: [Examples; 3],
    /// Where not all rows to be trained on are in memory: how many blocks they are in, and the blocks once they are open.
    blocks: (usize, Option<Blocks>),
    /// The weight of a row of each class; nothing where all count the same.
    of_class: Vec<f64>,
    steps: u64,
    seed: u64,
    /// A sum that tells these data from others.
    sum: u32,
    times: Times,
}

/// Test rows of which truth and prediction are told one by one, at most.
const SHOWN_ROWS: usize = 300;

impl Supervised {
    /// A fresh learner on the host.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where the family does not fit the target, [`AgentError::Data`] where the table is too large.
    pub fn new(
        family: Family,
        settings: &Map<String, Value>,
        data: &Dataset,
        steps: u64,
        seed: u64,
    ) -> Result<Self, AgentError> {
        Self::under(&Regime::Central, family, settings, data, [steps, seed], Device::Cpu)
    }

    /// A fresh learner that is trained in this way, on this device if its network can be.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn under(
        regime: &Regime,
        family: Family,
        settings: &Map<String, Value>,
        data: &Dataset,
        [steps, seed]: [u64; 2],
        device: Device,
    ) -> Result<Self, AgentError> {
        let settings = &family.within_blocks(settings, data.blocks)?;
        let encoding = (family.encoding)(settings)?;
        let (columns, target, split) = (data.inputs(), &data.target, &data.split);
        let encoder = encoding.fit(&columns, regime.scaled_by(split))?;
        let bytes = encoder.width() as f64 * target.y.len() as f64 * 8.0;
        let what = format!(" for {} rows of {} numbers", target.y.len(), encoder.width());
        if let Some(why) = agon_core::memory::refusal(bytes, &what) {
            return Err(AgentError::Data(format!(
                "training {why}; leave columns out with data.drop, or read it in blocks with data.stream"
            )));
        }
        let classes = target.classes.len();
        let rows = [&split.train, &split.validation, &split.test];
        let weights = ClassWeights::of_settings(settings)?;
        let of_class = weights.of(split.train.iter().map(|row| target.y[*row] as usize), &target.classes)?;
        // The test part is judged as it is.
        let parts = [0, 1, 2].map(|part| Examples {
            x: encoder.encode(&columns, rows[part]).0,
            y: rows[part].iter().map(|row| target.y[*row]).collect(),
            classes,
            weights: if part < 2 {
                weights_of(&of_class, rows[part].iter().map(|row| target.y[*row]))
            } else {
                Vec::new()
            },
            units: rows[part].iter().map(|row| data.units[*row]).collect(),
        });
        family.alone(settings, matches!(regime, Regime::Central) && data.unlabelled.is_none())?;
        let shape = Shape { inputs: encoder.width(), classes, steps, seed, device };
        let mut learner: Box<dyn Learner> = match &data.unlabelled {
            None => regime.learner(&family, settings, shape, &encoder.slots(), [&parts[0], &parts[1]])?,
            Some((raw, sure)) => {
                let (columns, _) = columns_of(&encoder, raw, &target.name)?;
                let (columns, rows): (Vec<&Column>, Vec<usize>) = (columns.iter().collect(), (0..raw.rows()).collect());
                let (settings, slots) = (settings.clone(), encoder.slots());
                let make = Box::new(move |shape| (family.learner)(&settings, shape, &slots));
                Box::new(Pseudo::new(make, shape, encoder.encode(&columns, &rows).0, *sure)?)
            }
        };
        learner.name_inputs(&encoder.names())?;
        let numbers = parts.iter().flat_map(|part| part.x.x.iter().chain(&part.y));
        let sum = numbers.fold(0, |sum, x| crc32c::crc32c_append(sum, &x.to_le_bytes()));
        Ok(Self {
            family,
            learner,
            encoder,
            answer: Answer::of(target),
            parts,
            blocks: (data.blocks, None),
            of_class,
            steps,
            seed,
            sum,
            times: Times::default(),
        })
    }

    /// Scores of a part; of the validation part by models that did not see it.
    fn scores(&self, part: usize) -> Vec<f64> {
        match part {
            1 => self.learner.validation_scores(&self.parts[0], &self.parts[1]),
            _ => self.learner.scores(&self.parts[part].x),
        }
    }

    /// The block that the next step learns from; none where all rows are in memory.
    fn block(&self) -> Result<Option<Examples>, AgentError> {
        let blocks = match &self.blocks {
            (0, _) => return Ok(None),
            (_, Some(blocks)) => blocks,
            (_, None) => return Err(AgentError::Data("the blocks of rows that it learns from are not open".into())),
        };
        let block = blocks.of_step(self.step(), self.seed)?;
        let weights = weights_of(&self.of_class, block.y.iter().copied());
        Ok(Some(Examples { weights, ..block }))
    }

    fn calibration(&self) -> Calibration {
        Calibration::of(&self.scores(1), &self.parts[1])
    }

    /// Predictions of a part, with these inputs in the place of its own.
    fn judged<'a>(&self, part: &'a Examples, scores: Vec<f64>, calibration: Calibration) -> Judged<'a> {
        Judged::new(part.classes, &part.y, calibration.probabilities(scores, part.classes))
    }
}

/// What rows of these classes count.
fn weights_of(of_class: &[f64], y: impl Iterator<Item = f64>) -> Vec<f64> {
    if of_class.is_empty() { Vec::new() } else { y.map(|y| of_class[y as usize]).collect() }
}

/// Inputs whose importance is worked out at most: each takes several predictions of the test part.
const MOST_IMPORTANCES: usize = 200;

impl Training for Supervised {
    fn step(&self) -> u64 {
        self.learner.step()
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn done(&self) -> bool {
        self.learner.finished() || self.step() >= self.steps
    }

    fn may_end_early(&self) -> bool {
        true
    }

    fn most_seconds(&self) -> Option<f64> {
        self.learner.most_seconds()
    }

    fn task_scalars(&self) -> Vec<String> {
        std::iter::once("loss".into()).chain(self.learner.scalars().into_iter().map(|(name, _)| name)).collect()
    }

    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        if stop() {
            return Ok(None);
        }
        let begun = Instant::now();
        let block = self.block()?;
        let [train, validation, _] = &self.parts;
        let loss = self.learner.advance(block.as_ref().unwrap_or(train), validation, stop)?;
        self.times.learn += begun.elapsed();
        let Some(loss) = loss else { return Ok(None) };
        let mut report = vec![("loss".into(), loss)];
        report.extend(self.learner.scalars());
        crate::agent::all_finite(&report)?;
        Ok(Some(report))
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let other: Encoder = saved.part("encoder")?;
        if !other.is_like(&self.encoder) {
            return Err(AgentError::Checkpoint("its inputs are other ones, or were scaled by other data".into()));
        }
        self.learner.load(&learners_part(saved))
    }

    fn adopt(&mut self, file: &Path, mapping: &Mapping) -> Result<Taken, AgentError> {
        self.learner.adopt(file, mapping)
    }

    fn test_rates(&mut self, stop: Stop<'_>) -> Result<RateTest, AgentError> {
        self.learner.test_rates(&self.parts[0], stop)
    }

    fn open(&mut self, run: &Path) -> Result<(), AgentError> {
        if self.blocks.0 > 0 {
            let folder = run.join(FOLDER);
            let gone = || {
                AgentError::Data(format!(
                    "{}: the rows that it learns from are gone: put the folder back, or train anew from the table",
                    folder.display()
                ))
            };
            let blocks = Blocks::open(&folder)?.ok_or_else(gone)?;
            if !blocks.are_of(&self.encoder, &self.answer) {
                return Err(AgentError::Data(format!(
                    "{}: these are rows of another run: put its own back, or train anew from the table",
                    folder.display()
                )));
            }
            self.blocks.1 = Some(blocks);
        }
        Ok(())
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn examine(&self, part: Part, seed: u64) -> Vec<Examined> {
        let at = if part == Part::Validation { 1 } else { 2 };
        let (part, rows) = (&self.parts[at], self.parts[at].y.len());
        let units = &part.units;
        // Intervals are judged by rows that they were not made of.
        let margin = |calibration: Calibration| calibration.margin.filter(|_| at == 2);
        let calibration = self.calibration();
        let own = self.judged(part, self.scores(at), calibration).within(margin(calibration));
        let trivial = |rows: usize| without_inputs(self.parts[0].y.iter().copied(), part.classes, rows);
        let of_trivial = Calibration::of(&trivial(self.parts[1].y.len()), &self.parts[1]);
        let trivial = Judged::new(part.classes, &part.y, trivial(rows)).within(margin(of_trivial));
        let name = if part.classes == 0 { "mean" } else { "class shares" };
        let (metrics, better_by) = own.metrics(units, seed, Some(&trivial));
        let mut all = vec![
            Examined { name: self.family.name.into(), metrics, better_by: None },
            Examined { name: name.into(), metrics: trivial.metrics(units, seed, None).0, better_by },
        ];
        if let Some((name, other)) = self.learner.beside() {
            let validation = &self.parts[1];
            let calibration = Calibration::of(&other.validation_scores(&self.parts[0], validation), validation);
            let scores =
                if at == 1 { other.validation_scores(&self.parts[0], validation) } else { other.scores(&part.x) };
            let other = self.judged(part, scores, calibration).within(margin(calibration));
            let better_by = own.metrics(units, seed, Some(&other)).1;
            all.push(Examined { name: name.into(), metrics: other.metrics(units, seed, None).0, better_by });
        }
        all
    }

    fn predicted(&self, part: Part) -> Option<Predicted> {
        let at = if part == Part::Validation { 1 } else { 2 };
        let part = &self.parts[at];
        let calibration = self.calibration();
        let own = self.judged(part, self.scores(at), calibration);
        Some(Predicted { classes: part.classes, y: part.y.clone(), p: own.p, margin: calibration.margin })
    }

    fn plot(&self) -> Option<Plot> {
        let part = &self.parts[1];
        if self.step() == 0 || part.y.is_empty() {
            return None;
        }
        let predictions = || {
            let own = self.judged(part, self.scores(1), self.calibration());
            picture::of(&own, &self.answer.classes, &self.answer.name)
        };
        Some(self.learner.plot().unwrap_or_else(predictions))
    }

    fn dependence(&self, columns: &[String]) -> Vec<Dependence> {
        let (train, of) = (&self.parts[0], (self.calibration(), self.parts[0].classes));
        dependence::dependence(columns, &self.encoder, &train.x, &*self.learner, of)
    }

    fn learned(&self) -> Vec<(String, Estimate)> {
        if self.encoder.inputs.len() * self.learner.models() > MOST_IMPORTANCES {
            Vec::new()
        } else {
            importance(&self.encoder, &self.parts[2], &*self.learner, self.calibration())
        }
    }

    fn details(&self) -> Value {
        let (part, calibration) = (&self.parts[2], self.calibration());
        let own = self.judged(part, self.learner.scores(&part.x), calibration);
        let weights = self.learner.weights().map(|all| json!({"names": self.encoder.names(), "weights": all}));
        if part.classes == 0 {
            let held = calibration.margin.map(|margin| {
                let inside = own.p.iter().zip(&part.y).filter(|(p, y)| (*p - *y).abs() <= margin).count();
                json!({"wanted": COVERAGE, "margin": margin, "held": inside as f64 / part.y.len() as f64})
            });
            let every = part.y.len().div_ceil(SHOWN_ROWS).max(1);
            let pairs: Vec<[f64; 2]> = part.y.iter().zip(&own.p).step_by(every).map(|(y, p)| [*y, *p]).collect();
            return json!({"interval": held, "linear": weights, "learner": self.learner.report(), "truth_and_prediction": pairs});
        }
        let confusion = own.confusion(&vec![1.0; part.y.len()]);
        let confusion: Vec<&[f64]> = confusion.chunks_exact(part.classes).collect();
        json!({
            "classes": self.answer.classes,
            "confusion": confusion,
            "temperature": calibration.temperature,
            "reliability": reliability(part.classes, &part.y, &own.p),
            "linear": weights,
            "learner": self.learner.report(),
        })
    }

    fn save(&self) -> (Saved, Value) {
        let Saved { tensors, state } = self.learner.save();
        let state = json!({
            "model": state,
            "encoder": self.encoder.save(),
            "answer": self.answer,
            "calibration": self.calibration(),
        });
        (Saved { tensors, state }, json!({"step": self.step(), "data": self.sum}))
    }

    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError> {
        if !self.learner.keeps_what_fits() && rest.is_some_and(|rest| rest["data"] != self.sum) {
            return Err(AgentError::Checkpoint("the data are not those that it was learned from".into()));
        }
        self.learner.load(&learners_part(saved))
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::{BOOSTING, FOREST, FT_TRANSFORMER, LINEAR, LOGISTIC, MLP, REALMLP, TABM};
    use super::*;
    use crate::checkpoint;
    use crate::data::Raw;
    use crate::data::dataset::DataSettings;
    use crate::data::split::Method;
    use crate::supervised::predictor::Predictor;
    use agon_core::rng::{Rng, Stream};

    /// Rows of two numbers with gaps, a category and a target; numbers of the test part are multiplied by `factor`.
    fn table(classes: bool, factor: f64) -> Raw {
        let mut raw = Raw::new(["a", "b", "c", "part", "y"].map(String::from).to_vec(), false);
        let mut rng = Rng::new(5, Stream::Env, 0);
        for row in 0..300u64 {
            let part = ["train", "train", "train", "validation", "test"][(row % 5) as usize];
            let (a, b) = (rng.normal(), rng.normal());
            let label = ["red", "green", "blue"][rng.below(3) as usize];
            let z = a - 0.5 * b + if label == "red" { 1.0 } else { 0.0 } + 0.3 * rng.normal();
            let much = if part == "test" { factor } else { 1.0 };
            let label = if part == "test" && factor > 1.0 { "violet" } else { label };
            let a = if row % 7 == 0 { String::new() } else { format!("{:.4}", much * a) };
            let y = match (classes, part) {
                (true, _) => {
                    if (z > 0.0) != (much > 1.0) {
                        "high".to_owned()
                    } else {
                        "low".into()
                    }
                }
                (false, _) => format!("{:.4}", z * much),
            };
            let b = format!("{:.4}", b * much);
            raw.push(row + 2, [a.as_str(), &b, label, part, &y]);
        }
        raw
    }

    fn training(family: Family, raw: &Raw) -> Supervised {
        crate::set_threads(1);
        let settings = DataSettings {
            target: "y".into(),
            split: Method::Given,
            split_by: "part".into(),
            ..DataSettings::default()
        };
        Supervised::new(family, &few(&family), &Dataset::new(raw, &settings).unwrap(), 6, 1).unwrap()
    }

    /// Settings that learn in six steps.
    fn few(family: &Family) -> Map<String, Value> {
        let few = match family.name {
            name if name == REALMLP.name => json!({"minibatch": 32, "learning_rate": 0.02}),
            name if name == FT_TRANSFORMER.name => json!({"minibatch": 32, "width": 16, "learning_rate": 0.01}),
            _ => json!({}),
        };
        few.as_object().unwrap().clone()
    }

    fn finish(training: &mut Supervised) {
        while !training.done() {
            training.advance().unwrap();
        }
    }

    fn bits(training: &Supervised) -> (Vec<(String, Vec<u32>)>, Value) {
        let saved = training.save().0;
        let numbers = |t: &tch::Tensor| -> Vec<u32> {
            Vec::<f32>::try_from(&t.contiguous().view([-1])).unwrap().into_iter().map(f32::to_bits).collect()
        };
        (saved.tensors.iter().map(|(name, t)| (name.clone(), numbers(t))).collect(), saved.state)
    }

    const ALL: [(Family, bool); 14] = [
        (LINEAR, false),
        (LOGISTIC, true),
        (MLP, true),
        (MLP, false),
        (BOOSTING, true),
        (BOOSTING, false),
        (FOREST, true),
        (FOREST, false),
        (TABM, true),
        (TABM, false),
        (REALMLP, true),
        (REALMLP, false),
        (FT_TRANSFORMER, true),
        (FT_TRANSFORMER, false),
    ];

    /// Every model beats what knows nothing of the inputs, on rows that it never saw.
    #[test]
    fn every_model_learns() {
        for (family, classes) in ALL {
            let mut own = training(family, &table(classes, 1.0));
            finish(&mut own);
            let examined = own.examine(Part::Test, 1);
            let by = examined[1].better_by.as_ref().unwrap();
            assert!(by.interval.unwrap()[0] > 0.0, "{}: {examined:?}", family.name);
            let difference = examined[1].metrics[0].value - examined[0].metrics[0].value;
            assert!((by.value - difference).abs() < 1e-12);
            let most = own.learned();
            assert!(most[0].0 == "a" && most[0].1.value > 0.0, "{}: {most:?}", family.name);
        }
    }

    /// Other numbers, labels and targets in the test part change nothing that is saved: weights, means, categories,
    /// calibration.
    #[test]
    fn the_test_part_changes_nothing_that_is_learned() {
        for (family, classes) in ALL {
            let [mut one, mut other] = [1.0, 1e3].map(|factor| training(family, &table(classes, factor)));
            finish(&mut one);
            finish(&mut other);
            assert!(bits(&one) == bits(&other), "{}", family.name);
            let found = |t: &Supervised, part| t.examine(part, 1)[0].metrics.clone();
            assert_eq!(found(&one, Part::Validation), found(&other, Part::Validation));
            assert_ne!(found(&one, Part::Test), found(&other, Part::Test));
        }
    }

    /// Stopped after any step, written to disk and resumed, it ends bit-identical; and predicts the same from the save alone.
    #[test]
    fn it_resumes_and_predicts_in_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        for (i, (family, classes)) in ALL.into_iter().enumerate() {
            let raw = table(classes, 1.0);
            let mut whole = training(family, &raw);
            finish(&mut whole);
            for step in 0..=whole.step() {
                let mut half = training(family, &raw);
                while half.step() < step {
                    half.advance().unwrap();
                }
                let (saved, rest) = half.save();
                let path = folder.path().join(format!("{i}-{step}"));
                checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
                let (saved, rest) = checkpoint::read(&path).unwrap();
                let mut again = training(family, &raw);
                again.load(&saved, Some(&rest)).unwrap();
                finish(&mut again);
                assert!(bits(&again) == bits(&whole), "{}, stopped after step {step}", family.name);
            }
            let saved = whole.save().0;
            let predictor = Predictor::load(&family, &few(&family), &saved).unwrap();
            let test: Vec<usize> = (0..300).filter(|row| row % 5 == 4).collect();
            let all = predictor.predict(&raw).unwrap();
            let k = all.p.len() / 300;
            let own = whole.judged(&whole.parts[2], whole.learner.scores(&whole.parts[2].x), whole.calibration()).p;
            let picked: Vec<f64> = test.iter().flat_map(|row| all.p[row * k..][..k].to_vec()).collect();
            assert_eq!(picked, own, "{}", family.name);
            let (saved, rest) = whole.save();
            let mut other = training(family, &table(classes, 2.0));
            assert!(other.load(&saved, Some(&rest)).unwrap_err().to_string().contains("not those"));
        }
    }

    /// A stop in the middle of a step changes nothing.
    #[test]
    fn a_stop_loses_no_bit() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        for (family, classes) in ALL {
            let raw = table(classes, 1.0);
            let (mut whole, mut stopped) = (training(family, &raw), training(family, &raw));
            finish(&mut whole);
            let mut patience = 0;
            while !stopped.done() {
                let asked = AtomicUsize::new(0);
                let stop = || asked.fetch_add(1, Ordering::Relaxed) >= patience;
                stopped.advance_until(&stop).unwrap();
                patience += 1;
            }
            assert!(bits(&whole) == bits(&stopped), "{}", family.name);
        }
    }

    /// Truth is found in whatever letters, and what was never learned is said.
    #[test]
    fn the_truth_of_new_rows_is_read() {
        let mut own = training(LOGISTIC, &table(true, 1.0));
        finish(&mut own);
        let predictor = Predictor::load(&LOGISTIC, &few(&LOGISTIC), &own.save().0).unwrap();
        let mut raw = Raw::new(["y"].map(String::from).to_vec(), false);
        ["high", "LOW", "", "other"].iter().zip(2..).for_each(|(cell, line)| raw.push(line, [*cell]));
        let truth = predictor.truth(&raw).unwrap();
        assert_eq!((&truth.rows[..], &truth.y[..]), (&[0, 1][..], &[0.0, 1.0][..]));
        let findings = truth.findings(&predictor.answer);
        assert!(findings[0].contains("missing in 1 rows") && findings[1].contains("such as `other`"));
        let none = predictor.truth(&Raw::new(vec!["Y".into()], false)).err().unwrap().to_string();
        assert!(none.contains("the column `y`, which holds the truth, cannot be found"), "{none}");
    }

    #[test]
    fn tables_to_predict_may_differ_in_what_does_not_matter() {
        let mut own = training(LOGISTIC, &table(true, 1.0));
        finish(&mut own);
        let predictor = Predictor::load(&LOGISTIC, &few(&LOGISTIC), &own.save().0).unwrap();
        let rows = |names: &[&str], cells: &[&str]| {
            let mut raw = Raw::new(names.iter().map(ToString::to_string).collect(), false);
            raw.push(2, cells.iter().copied());
            predictor.predict(&raw)
        };
        let one = rows(&["a", "b", "c"], &["1", "2", "red"]).unwrap();
        let two = rows(&["c", "more", "b", "a"], &["red", "x", "2", "1"]).unwrap();
        assert!(one.p == two.p && one.findings.is_empty() && two.findings[0].contains("`more`"), "{:?}", two.findings);
        let unseen = rows(&["a", "b", "c"], &["", "2", "violet"]).unwrap();
        let told = predictor.findings(&unseen);
        assert!(told[0].contains("`c` has a value in 1 rows that training never had"), "{told:?}");
        let why = rows(&["A ", "b", "c"], &["1", "2", "red"]).err().unwrap().to_string();
        assert!(why.contains("the column `a`"), "{why}");
        let why = rows(&["a", "b", "c"], &["1", "two", "red"]).err().unwrap().to_string();
        assert!(why.contains("line 2: `two` in column `b` is no number"), "{why}");
    }
}
