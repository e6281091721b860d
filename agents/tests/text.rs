//! Columns of text: what models learn from them, from the training part alone.

use agon_agents::agent::Saved;
use agon_agents::checkpoint;
use agon_agents::data::Raw;
use agon_agents::data::dataset::{DataSettings, Dataset};
use agon_agents::data::split::Method;
use agon_agents::supervised::family::{BOOSTING, FT_TRANSFORMER, Family, LOGISTIC, MLP, TEXT_ENCODER};
use agon_agents::supervised::predictor::Predictor;
use agon_agents::supervised::training::Supervised;
use agon_agents::train::{Part, Training};
use agon_core::rng::{Rng, Stream};
use serde_json::{Map, Value, json};

const PARTS: [&str; 5] = ["train", "train", "train", "validation", "test"];

/// Rows of a text of some words, a number and a class. The class is whether the text has `free` or `winner`, or the number is
/// large. `strange` texts of the test part have other words, and other classes.
fn table(strange: bool) -> Raw {
    const WORDS: [&str; 12] =
        ["the", "lunch", "at", "noon", "report", "is", "ready", "see", "you", "Monday", "about", "plans"];
    let mut raw = Raw::new(["note", "x", "part", "y"].map(String::from).to_vec(), false);
    let mut rng = Rng::new(3, Stream::Env, 0);
    for row in 0..400u64 {
        let part = PARTS[(row % 5) as usize];
        let n = 4 + rng.below(8) as usize;
        let mut words: Vec<String> = (0..n).map(|_| WORDS[rng.below(12) as usize].into()).collect();
        let (marked, x) = (rng.below(2) == 1, rng.normal());
        if marked {
            words[rng.below(n as u32) as usize] = ["free", "Winner!"][rng.below(2) as usize].into();
        }
        let other = strange && part == "test";
        if other {
            words.iter_mut().for_each(|word| word.push_str("zyx"));
        }
        let text = if row % 40 == 7 { String::new() } else { format!("{} {row}", words.join(" ")) };
        let y = if (marked || x > 1.5) != other { "spam" } else { "ham" };
        raw.push(row + 2, [text.as_str(), &format!("{x:.4}"), part, y]);
    }
    raw
}

fn settings(of: &Family) -> Map<String, Value> {
    let table = match of.name {
        name if name == BOOSTING.name => json!({"leaf_rows": 5}),
        name if name == FT_TRANSFORMER.name => json!({"width": 16, "layers": 1, "minibatch": 32}),
        name if name == TEXT_ENCODER.name => {
            json!({"width": 16, "layers": 1, "hidden": 32, "vocabulary": 320, "tokens": 16, "minibatch": 16, "learning_rate": 5e-3})
        }
        name if name == MLP.name => json!({"minibatch": 32, "learning_rate": 5e-3}),
        _ => json!({}),
    };
    table.as_object().unwrap().clone()
}

fn training(family: Family, raw: &Raw) -> Supervised {
    agon_agents::set_threads(1);
    let by =
        DataSettings { target: "y".into(), split: Method::Given, split_by: "part".into(), ..DataSettings::default() };
    let data = Dataset::new(raw, &by).unwrap();
    assert_eq!(data.report.columns[0].used, "input");
    Supervised::new(family, &settings(&family), &data, 20, 1).unwrap()
}

fn finished(mut training: Supervised) -> Supervised {
    while !training.done() {
        training.advance().unwrap();
    }
    training
}

fn bits(saved: &Saved) -> (Vec<(String, Vec<u32>)>, Value) {
    let numbers = |t: &tch::Tensor| -> Vec<u32> {
        Vec::<f32>::try_from(&t.contiguous().view([-1])).unwrap().into_iter().map(f32::to_bits).collect()
    };
    (saved.tensors.iter().map(|(name, t)| (name.clone(), numbers(t))).collect(), saved.state.clone())
}

const ALL: [Family; 5] = [LOGISTIC, BOOSTING, MLP, TEXT_ENCODER, FT_TRANSFORMER];

#[test]
fn every_model_reads_words() {
    for family in ALL {
        let own = finished(training(family, &table(false)));
        let examined = own.examine(Part::Test, 1);
        // Of which the commoner class has about half.
        let accuracy = examined[0].metrics.iter().find(|metric| metric.name == "accuracy").unwrap().value;
        assert!(accuracy > 0.75, "{}: {accuracy}", family.name);
        let most = own.learned();
        assert_eq!(most[0].0, "note", "{}: {most:?}", family.name);
    }
}

#[test]
fn encoders_learn_with_short_products() {
    let raw = table(false);
    let by =
        DataSettings { target: "y".into(), split: Method::Given, split_by: "part".into(), ..DataSettings::default() };
    let mut set = settings(&TEXT_ENCODER);
    set.insert("precision".into(), "bfloat16".into());
    let data = Dataset::new(&raw, &by).unwrap();
    let own = finished(Supervised::new(TEXT_ENCODER, &set, &data, 20, 1).unwrap());
    let examined = own.examine(Part::Test, 1);
    let accuracy = examined[0].metrics.iter().find(|metric| metric.name == "accuracy").unwrap().value;
    assert!(accuracy > 0.75, "{accuracy}");
    assert!(bits(&own.save().0).0 != bits(&finished(training(TEXT_ENCODER, &raw)).save().0).0);
}

/// Other words in the test part change nothing that is saved: terms, how rare they are, tokens, weights.
#[test]
fn the_test_part_is_not_read() {
    for family in ALL {
        let [one, other] = [false, true].map(|strange| finished(training(family, &table(strange))));
        assert!(bits(&one.save().0) == bits(&other.save().0), "{}", family.name);
        assert_ne!(one.examine(Part::Test, 1)[0].metrics, other.examine(Part::Test, 1)[0].metrics);
    }
}

/// Stopped after any step and resumed from disk it ends bit-identical; and it predicts the same from the save alone, whatever
/// other rows there are.
#[test]
fn it_resumes_and_predicts_in_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for family in ALL {
        let raw = table(false);
        let whole = finished(training(family, &raw));
        for step in [0, whole.step() / 2, whole.step()] {
            let mut half = training(family, &raw);
            while half.step() < step {
                half.advance().unwrap();
            }
            let path = folder.path().join(format!("{}-{step}", family.name));
            let (saved, rest) = half.save();
            checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
            let (saved, rest) = checkpoint::read(&path).unwrap();
            let mut again = training(family, &raw);
            again.load(&saved, Some(&rest)).unwrap();
            assert!(bits(&finished(again).save().0) == bits(&whole.save().0), "{} after {step}", family.name);
        }
        let predictor = Predictor::load(&family, &settings(&family), &whole.save().0).unwrap();
        let all = predictor.predict(&raw).unwrap().p;
        let own = whole.predicted(Part::Test).unwrap().p;
        let test: Vec<f64> = (0..400).filter(|row| row % 5 == 4).flat_map(|row| all[2 * row..][..2].to_vec()).collect();
        assert_eq!(test, own, "{}", family.name);
        let mut alone = Raw::new(["x", "note"].map(String::from).to_vec(), false);
        alone.push(2, [raw.cell(9, 1), raw.cell(9, 0)]);
        assert_eq!(predictor.predict(&alone).unwrap().p, all[18..20], "{}", family.name);
    }
}
