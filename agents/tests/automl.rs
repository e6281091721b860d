//! Searches among models of tables, and models that label rows for themselves: through a training, as runs drive it.

use agon_agents::checkpoint;
use agon_agents::data::Raw;
use agon_agents::data::dataset::{DataSettings, Dataset};
use agon_agents::data::split::Method;
use agon_agents::supervised::automl::AUTOML;
use agon_agents::supervised::family::{Family, LOGISTIC, MLP};
use agon_agents::supervised::predictor::Predictor;
use agon_agents::supervised::training::Supervised;
use agon_agents::train::{Part, Training};
use agon_core::rng::{Rng, Stream};
use serde_json::{Map, Value, json};

/// Two clouds of points, a class each, with a label that says a little; rows of `parts` in turn. A part `none` has no class;
/// numbers and classes of the test part are changed by `factor`.
fn clouds(rows: u64, parts: &[&str], factor: f64) -> Raw {
    let mut raw = Raw::new(["a", "b", "c", "part", "y"].map(String::from).to_vec(), false);
    let mut rng = Rng::new(5, Stream::Env, 0);
    for row in 0..rows {
        let part = parts[(row % parts.len() as u64) as usize];
        let class = rng.below(2);
        let shift = if class == 1 { 1.2 } else { -1.2 };
        let much = if part == "test" { factor } else { 1.0 };
        let (a, b) = (much * (shift + rng.normal()), much * (0.8 * shift + rng.normal()));
        let label = if rng.f64() < 0.3 { "blue" } else { ["red", "green"][class as usize] };
        let y = match part {
            "none" => "",
            _ if (class == 1) != (much > 1.0) => "high",
            _ => "low",
        };
        let part = if part == "none" { "train" } else { part };
        raw.push(row + 2, [format!("{a:.4}").as_str(), &format!("{b:.4}"), label, part, y]);
    }
    raw
}

fn settings(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn training(family: Family, own: &Value, raw: &Raw, pseudo_labels: Option<f64>, steps: u64) -> Supervised {
    agon_agents::set_threads(1);
    let data = DataSettings {
        target: "y".into(),
        split: Method::Given,
        split_by: "part".into(),
        pseudo_labels,
        ..DataSettings::default()
    };
    Supervised::new(family, &settings(own), &Dataset::new(raw, &data).unwrap(), steps, 1).unwrap()
}

fn finish(training: &mut Supervised) {
    while !training.done() {
        training.advance().unwrap();
    }
}

/// Everything that is saved, in bits.
fn bits(training: &Supervised) -> (Vec<(String, Vec<u32>)>, Value) {
    let saved = training.save().0;
    let numbers = |t: &tch::Tensor| -> Vec<u32> {
        Vec::<f32>::try_from(&t.contiguous().view([-1])).unwrap().into_iter().map(f32::to_bits).collect()
    };
    (saved.tensors.iter().map(|(name, t)| (name.clone(), numbers(t))).collect(), saved.state)
}

/// Resumes from every step, through a file; the end must be the same.
fn resumes_everywhere(make: impl Fn() -> Supervised) -> Supervised {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = make();
    finish(&mut whole);
    for step in 0..=whole.step() {
        let mut half = make();
        while half.step() < step {
            half.advance().unwrap();
        }
        let (saved, rest) = half.save();
        let path = folder.path().join(step.to_string());
        checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
        let (saved, rest) = checkpoint::read(&path).unwrap();
        let mut again = make();
        again.load(&saved, Some(&rest)).unwrap();
        finish(&mut again);
        assert!(bits(&again) == bits(&whole), "stopped after step {step}");
    }
    whole
}

const PARTS: [&str; 5] = ["train", "train", "train", "validation", "test"];
/// Logistic regression and boosting in both folds.
const STEPS: u64 = 4;

fn search() -> Value {
    json!({"minutes": 0.0, "folds": 2, "picks": 10})
}

/// It ends in the same bits from every step on, predicts the same from a save alone, and its ensemble is not worse than the
/// best model that is in it, on rows that neither saw.
#[test]
fn a_search_resumes_and_predicts_in_the_same_bits() {
    let raw = clouds(160, &PARTS, 1.0);
    let whole = resumes_everywhere(|| training(AUTOML, &search(), &raw, None, STEPS));
    let found = whole.details()["learner"]["search"].clone();
    let trials = found["leaderboard"].as_array().unwrap();
    let kinds: Vec<&str> = trials.iter().map(|t| t["kind"].as_str().unwrap()).collect();
    assert!(kinds.len() == 2 && kinds.contains(&"logistic") && kinds.contains(&"boosting"), "{kinds:?}");
    assert!(found["loss"].as_f64().unwrap() <= trials[0]["loss"].as_f64().unwrap() + 1e-6, "{found}");
    let weight: f64 = trials.iter().map(|t| t["weight"].as_f64().unwrap()).sum();
    assert!((weight - 1.0).abs() < 1e-12, "{found}");
    let examined = whole.examine(Part::Test, 1);
    assert!(examined[1].better_by.as_ref().unwrap().interval.unwrap()[0] > 0.0, "{examined:?}");
    let saved = whole.save().0;
    let predictor = Predictor::load(&AUTOML, &settings(&search()), &saved).unwrap();
    let all = predictor.predict(&raw).unwrap().p;
    let test: Vec<usize> = (0..160).filter(|row| PARTS[row % 5] == "test").collect();
    let loss = |row: &usize| -all[row * 2 + usize::from(raw.cell(*row, 4) == "low")].ln();
    let mean = test.iter().map(loss).sum::<f64>() / test.len() as f64;
    assert!((mean - examined[0].metrics[0].value).abs() < 1e-9, "{mean}");
}

/// Settings that were drawn by the run's seed answer from a save that does not know it.
#[test]
fn drawn_settings_are_in_the_save() {
    let raw = clouds(160, &PARTS, 1.0);
    let own = json!({"minutes": 0.0, "folds": 1, "picks": 10});
    let mut whole = training(AUTOML, &own, &raw, None, 8);
    finish(&mut whole);
    let saved = whole.save().0;
    let trials = saved.state["model"]["trials"].as_array().or(saved.state["trials"].as_array()).unwrap();
    assert!(trials.len() == 8 && trials[6]["settings"]["leaves"].is_u64(), "{trials:?}");
    let predictor = Predictor::load(&AUTOML, &settings(&own), &saved).unwrap();
    let found = predictor.predict(&raw).unwrap().p;
    let mut again = training(AUTOML, &own, &raw, None, 8);
    again.load(&saved, None).unwrap();
    let scores = again.predicted(Part::Test).unwrap().p;
    let test: Vec<usize> = (0..160).filter(|row| PARTS[row % 5] == "test").collect();
    let off = test.iter().zip(scores.chunks(2)).map(|(row, p)| (found[row * 2] - p[0]).abs()).fold(0.0, f64::max);
    assert!(off < 1e-12, "{off}");
}

#[test]
fn the_test_part_changes_nothing_of_a_search_or_of_pseudo_labels() {
    let few = ["train", "none", "none", "validation", "test"];
    for (family, own, parts, sure, steps) in [
        (AUTOML, search(), &PARTS, None, STEPS),
        (LOGISTIC, json!({}), &few, Some(0.9), 2),
        (MLP, json!({}), &few, Some(0.9), 10),
    ] {
        let [mut one, mut other] =
            [1.0, 1e3].map(|factor| training(family, &own, &clouds(300, parts, factor), sure, steps));
        finish(&mut one);
        finish(&mut other);
        assert!(bits(&one) == bits(&other), "{}", family.name);
        assert_ne!(one.examine(Part::Test, 1)[0].metrics, other.examine(Part::Test, 1)[0].metrics);
    }
}

/// Of 600 rows 24 have a class to learn from: what the others look like helps.
#[test]
fn rows_without_a_class_help_where_few_have_one() {
    let mut parts = vec!["train", "validation", "validation"];
    parts.extend(["none"; 16]);
    parts.extend(["test"; 6]);
    let raw = clouds(600, &parts, 1.0);
    let run = |sure: Option<f64>| {
        let mut own = training(LOGISTIC, &json!({"l2": 0.01}), &raw, sure, 2);
        finish(&mut own);
        own
    };
    let (without, with) = (run(None), run(Some(0.95)));
    let loss = |own: &Supervised| own.examine(Part::Test, 1)[0].metrics[0].value;
    let labels = with.details()["learner"]["pseudo_labels"].clone();
    assert!(
        labels["labelled"].as_u64().unwrap() > 100 && labels["rows"].as_u64() > labels["labelled"].as_u64(),
        "{labels}"
    );
    assert!(loss(&with) < loss(&without), "{} with, {} without", loss(&with), loss(&without));
}

#[test]
fn a_teacher_and_its_student_resume_in_the_same_bits() {
    let raw = clouds(200, &["train", "none", "none", "validation", "test"], 1.0);
    for (family, steps) in [(LOGISTIC, 2), (MLP, 7)] {
        let whole = resumes_everywhere(|| training(family, &json!({}), &raw, Some(0.8), steps));
        assert_eq!(whole.step(), steps);
        let saved = whole.save().0;
        let all = Predictor::load(&family, &Map::new(), &saved).unwrap().predict(&raw).unwrap().p;
        let right = (0..200).filter(|row| {
            let truth = raw.cell(*row, 4);
            !truth.is_empty() && (all[row * 2] > 0.5) == (truth == "high")
        });
        assert!(right.count() > 100, "it predicts from the student alone");
    }
}
