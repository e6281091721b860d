//! Models of pictures: what they learn, what they must not, and that they resume in the same bits.

use agon_agents::Device;
use agon_agents::checkpoint;
use agon_agents::pictures::Pictures;
use agon_agents::pictures::dataset::{Given, PictureSet, PictureSettings, Raw};
use agon_agents::pictures::predictor::Predictor;
use agon_agents::registry::{Data, DataStart, find_model};
use agon_agents::supervised::class_weights::ClassWeights;
use agon_agents::train::{Part, Training};
use agon_core::rng::{Rng, Stream};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const SIDE: usize = 9;

/// A bar on noise: across, down, or askew. The test part's pictures are negatives, where asked to.
fn raw(n: usize, classes: &[&str], negative: bool) -> Raw {
    let mut rng = Rng::new(4, Stream::Env, 0);
    let part = |i: usize| [Given::Train, Given::Train, Given::Train, Given::Validation, Given::Test][i / 3 % 5];
    let mut bytes = Vec::new();
    for i in 0..n {
        let at = 2 + rng.below(SIDE as u32 - 4) as usize;
        for (y, x) in (0..SIDE * SIDE).map(|k| (k / SIDE, k % SIDE)) {
            let on = [y == at, x == at, (y + at) % SIDE == x][i % classes.len()];
            let value = rng.below(90) as u8 + if on { 120 } else { 0 };
            bytes.push(if negative && part(i) == Given::Test { 255 - value } else { value });
        }
    }
    Raw {
        file: "bars".into(),
        pictures: Pictures { bytes, size: [SIDE, SIDE, 1] },
        labels: (0..n).map(|i| Some(classes[i % classes.len()].into())).collect(),
        names: (0..n).map(|i| i.to_string()).collect(),
        parts: (0..n).map(part).collect(),
        findings: Vec::new(),
    }
}

const BARS: [&str; 3] = ["across", "askew", "down"];

fn set(raw: Raw, labels: Option<usize>) -> Arc<PictureSet> {
    Arc::new(PictureSet::new(raw, &PictureSettings { labels, ..PictureSettings::default() }).unwrap())
}

fn settings(more: &Value) -> Map<String, Value> {
    let mut all = json!({"widths": [8, 16], "minibatch": 32}).as_object().unwrap().clone();
    all.extend(more.as_object().unwrap().clone());
    all
}

fn training(set: &Arc<PictureSet>, more: &Value, steps: u64) -> Box<dyn Training> {
    // Several threads would wait for each other at pictures as small as these.
    agon_agents::set_threads(1);
    let start = DataStart { data: Data::Pictures(set.clone()), steps, seed: 1, device: Device::Cpu };
    find_model("cnn").unwrap().start(&settings(more), start).unwrap()
}

fn finish(training: &mut dyn Training) {
    while !training.done() {
        training.advance().unwrap();
    }
}

fn accuracy(training: &dyn Training) -> f64 {
    let found = training.examine(Part::Test, 1);
    found[0].metrics.iter().find(|metric| metric.name == "accuracy").unwrap().value
}

fn bits(training: &dyn Training) -> (Vec<(String, Vec<u32>)>, Value) {
    let saved = training.save().0;
    let numbers = |t: &tch::Tensor| -> Vec<u32> {
        Vec::<f32>::try_from(&t.contiguous().view([-1])).unwrap().into_iter().map(f32::to_bits).collect()
    };
    (saved.tensors.iter().map(|(name, t)| (name.clone(), numbers(t))).collect(), saved.state)
}

#[test]
fn bars_are_told_apart_and_the_test_part_changes_nothing() {
    let [mut one, mut other] =
        [false, true].map(|negative| training(&set(raw(600, &BARS, negative), None), &json!({}), 10));
    finish(&mut *one);
    finish(&mut *other);
    assert!(accuracy(&*one) > 0.97, "{}", accuracy(&*one));
    let by = one.examine(Part::Test, 1)[1].better_by.clone().unwrap();
    assert!(by.interval.unwrap()[0] > 0.0 && by.over == (120, "pictures".into()), "{by:?}");
    assert!(bits(&*one) == bits(&*other), "negatives in the test part");
    assert_ne!(accuracy(&*one), accuracy(&*other));
    let confusion = &one.details()["confusion"];
    assert_eq!(confusion.as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap()).count(), 9);
}

/// Stopped after any pass, written to disk and resumed, or stopped in the middle of one, it ends bit-identical; and
/// predicts the same from the save alone.
#[test]
fn it_resumes_and_predicts_in_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for (labels, steps) in [(None, 4), (Some(5), 3)] {
        let raw = raw(300, &BARS, false);
        let set = set(raw.clone(), labels);
        let fresh = || training(&set, &json!({"erase": 0.3, "flip": true, "light": 0.2}), steps);
        let mut whole = fresh();
        finish(&mut *whole);
        for step in 0..=steps {
            let mut half = fresh();
            while half.step() < step {
                half.advance().unwrap();
            }
            let (saved, rest) = half.save();
            let path = folder.path().join(format!("{step}-{steps}"));
            checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
            let (saved, rest) = checkpoint::read(&path).unwrap();
            let mut again = fresh();
            again.load(&saved, Some(&rest)).unwrap();
            finish(&mut *again);
            assert!(bits(&*again) == bits(&*whole), "stopped after pass {step}");
        }
        let (mut stopped, mut patience) = (fresh(), 0);
        while !stopped.done() {
            let asked = AtomicUsize::new(0);
            stopped.advance_until(&|| asked.fetch_add(1, Ordering::Relaxed) >= patience).unwrap();
            patience += 1;
        }
        assert!(bits(&*stopped) == bits(&*whole), "stopped within passes");

        let (saved, rest) = whole.save();
        let predictor = Predictor::load(&settings(&json!({})), &saved).unwrap();
        let p = predictor.predict(&raw.pictures).unwrap();
        let right = set.split.test.iter().filter(|i| {
            let own = &p[**i * 3..][..3];
            let most = (0..3).max_by(|a, b| own[*a].total_cmp(&own[*b])).unwrap();
            set.y[**i] == Some(most as u32)
        });
        assert_eq!(right.count() as f64 / set.split.test.len() as f64, accuracy(&*whole));
        let small = Pictures { bytes: vec![0; 64], size: [8, 8, 1] };
        assert!(predictor.predict(&small).unwrap_err().to_string().contains("[8, 8, 1]"));
        let other = self::set(self::raw(303, &BARS, false), labels);
        let why = training(&other, &json!({}), 3).load(&saved, Some(&rest)).unwrap_err().to_string();
        assert!(why.contains("not those that it was learned from"), "{why}");
        let why = Predictor::load(&settings(&json!({"widths": [8, 12]})), &saved).err().unwrap().to_string();
        assert!(why.contains("the checkpoint does not fit"), "{why}");
    }
}

/// With convolutions in bfloat16 it learns as much, to other weights, and resumes in the same bits.
#[test]
fn it_learns_with_short_convolutions() {
    let set = set(raw(300, &BARS, false), None);
    let fresh = |precision: &str| training(&set, &json!({"precision": precision}), 8);
    let [mut long, mut short] = ["float32", "bfloat16"].map(fresh);
    finish(&mut *long);
    finish(&mut *short);
    assert!(accuracy(&*short) > 0.95, "{}", accuracy(&*short));
    assert!(bits(&*short).0 != bits(&*long).0);
    let (mut half, mut again) = (fresh("bfloat16"), fresh("float32"));
    while half.step() < 3 {
        half.advance().unwrap();
    }
    let (saved, rest) = half.save();
    again.load(&saved, Some(&rest)).unwrap();
    finish(&mut *again);
    assert!(bits(&*again) == bits(&*short));
}

/// Two labels of each class are too few; the pictures without labels make up for it.
#[test]
fn pictures_without_a_class_teach() {
    let set = set(raw(900, &BARS, false), Some(2));
    let with = |unlabelled: &str| {
        let mut own = training(&set, &json!({"unlabelled": unlabelled}), 20);
        finish(&mut *own);
        accuracy(&*own)
    };
    let [fixmatch, ignored] = ["fixmatch", "ignore"].map(with);
    assert!(1.0 - fixmatch < 0.5 * (1.0 - ignored), "{fixmatch}, without them {ignored}");
}

/// A body that was trained on other classes helps where there are few pictures, also where it is frozen.
#[test]
fn what_another_run_learned_is_begun_with() {
    let mut first = training(&set(raw(600, &BARS, false), None), &json!({}), 10);
    finish(&mut *first);
    let few = set(raw(60, &["flat", "steep"], false), None);
    let more = json!({"freeze": true, "learning_rate": 0.02});
    let mut own = training(&few, &more, 15);
    own.warm(&first.save().0).unwrap();
    let body =
        |t: &dyn Training| bits(t).0.into_iter().filter(|(name, _)| name.starts_with("stage")).collect::<Vec<_>>();
    finish(&mut *own);
    assert_eq!(body(&*own), body(&*first), "a frozen body does not change");
    assert!(accuracy(&*own) > 0.9, "{}", accuracy(&*own));
    let mut wide = training(&few, &json!({"widths": [8, 12]}), 2);
    assert!(wide.warm(&first.save().0).unwrap_err().to_string().contains("has shape"));
    let Raw { pictures, .. } = raw(60, &BARS, false);
    let bytes = pictures.bytes.iter().flat_map(|x| [*x, 255 - *x, 7]).collect();
    let colour = Raw { pictures: Pictures { bytes, size: [SIDE, SIDE, 3] }, ..raw(60, &BARS, false) };
    let why = training(&set(colour, None), &json!({}), 2).warm(&first.save().0).unwrap_err().to_string();
    assert!(why.contains("its pictures are grey, these are colour"), "{why}");
}

/// Weights make a rare class as heavy as a common one.
#[test]
fn balanced_classes_weigh_the_same() {
    let names = ["a", "b", "c"].map(String::from);
    let weights = ClassWeights::Balanced.of([0, 0, 0, 1].into_iter(), &names).unwrap();
    assert_eq!(weights, [4.0 / 6.0, 2.0, 1.0]);
}
