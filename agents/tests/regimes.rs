//! Models of tables that are not trained on all rows at once: what they learn, and that they resume in the same bits.

use agon_agents::Device;
use agon_agents::agent::Saved;
use agon_agents::checkpoint;
use agon_agents::data::Raw;
use agon_agents::data::dataset::{DataSettings, Dataset};
use agon_agents::data::split::Method;
use agon_agents::registry::{Data, DataStart, find_model};
use agon_agents::supervised::predictor::Predictor;
use agon_agents::supervised::regime::RegimeSettings;
use agon_agents::train::{Part, Training};
use agon_core::rng::{Rng, Stream};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of three shops, whose customers differ in `a`, with a target of three classes or a number.
fn table(rows: u64, classes: bool) -> Raw {
    let mut raw = Raw::new(["a", "b", "c", "shop", "part", "y"].map(String::from).to_vec(), false);
    let mut rng = Rng::new(5, Stream::Env, 0);
    for row in 0..rows {
        let shop = rng.below(3);
        let (a, b) = (rng.normal() + f64::from(shop) - 1.0, rng.normal());
        let colour = ["red", "green", "blue"][rng.below(3) as usize];
        let z = a - 0.5 * b + if colour == "red" { 1.0 } else { 0.0 } + 0.3 * rng.normal();
        let y = match (classes, z) {
            (false, z) => format!("{z:.4}"),
            (true, z) if z < -0.5 => "low".into(),
            (true, z) if z < 1.0 => "middle".into(),
            _ => "high".into(),
        };
        let part = ["train", "train", "train", "validation", "test"][(row % 5) as usize];
        let (a, b, shop) = (format!("{a:.4}"), format!("{b:.4}"), ["n", "s", "w"][shop as usize]);
        raw.push(row + 2, [a.as_str(), &b, colour, shop, part, &y]);
    }
    raw
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn under(kind: &str, settings: &Value, train: &Value, raw: &Raw, steps: u64) -> Box<dyn Training> {
    agon_agents::set_threads(1);
    let regime = RegimeSettings::take(&mut map(train)).unwrap();
    let drop = regime.column().map(String::from).into_iter().collect();
    let (target, split, split_by) = ("y".into(), Method::Given, "part".into());
    let data = DataSettings { target, drop, split, split_by, ..DataSettings::default() };
    let data = Dataset::new(raw, &data).unwrap();
    let model = find_model(kind).unwrap();
    let regime = regime.regime(&model.family.unwrap(), raw, &data, 1).unwrap();
    let data = Data::TableUnder(Box::new(data), regime);
    model
        .start(&model.resolve(&map(settings)).unwrap(), DataStart { data, steps, seed: 1, device: Device::Cpu })
        .unwrap()
}

fn finish(training: &mut dyn Training) {
    while !training.done() {
        training.advance().unwrap();
    }
}

fn bits(training: &dyn Training) -> (Vec<(String, Vec<u32>)>, Value) {
    let Saved { tensors, state } = training.save().0;
    let numbers = |t: &tch::Tensor| -> Vec<u32> {
        Vec::<f32>::try_from(&t.contiguous().view([-1])).unwrap().into_iter().map(f32::to_bits).collect()
    };
    (tensors.iter().map(|(name, t)| (name.clone(), numbers(t))).collect(), state)
}

/// Models, their settings, and how they are trained.
fn cases() -> Vec<(&'static str, Value, Value, bool)> {
    let small = json!({"hidden": [8], "minibatch": 32});
    vec![
        ("mlp", small.clone(), json!({"clients": "shop", "local_epochs": 2, "proximal": 0.1}), true),
        ("mlp", small.clone(), json!({"shards": 3, "slices": 2}), true),
        ("logistic", json!({}), json!({"shards": 3}), true),
        ("boosting", json!({}), json!({"shards": 2}), false),
        ("mlp", small, json!({"clients": 7, "client_share": 0.5, "secure_aggregation": true}), false),
        ("mlp", json!({"hidden": [8]}), json!({"privacy": {"epsilon": 3.0, "minibatch": 32, "delta": 1e-3}}), true),
        ("linear", json!({}), json!({"privacy": {"noise_multiplier": 1.0, "minibatch": 32, "delta": 1e-3}}), false),
        ("logistic", json!({}), json!({"clients": 7, "client_alpha": 0.5}), true),
        ("linear", json!({}), json!({"clients": "shop", "secure_aggregation": true}), false),
    ]
}

/// Stopped after any step, written to disk and resumed, it ends bit-identical; and predicts the same from the save alone.
#[test]
fn every_way_resumes_and_predicts_in_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for (i, (kind, settings, train, classes)) in cases().into_iter().enumerate() {
        let raw = table(300, classes);
        let fresh = || under(kind, &settings, &train, &raw, 4);
        let mut whole = fresh();
        finish(&mut *whole);
        for step in 0..=whole.step() {
            let mut half = fresh();
            while half.step() < step {
                half.advance().unwrap();
            }
            let (saved, rest) = half.save();
            let path = folder.path().join(format!("{i}-{step}"));
            checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
            let (saved, rest) = checkpoint::read(&path).unwrap();
            let mut again = fresh();
            again.load(&saved, Some(&rest)).unwrap();
            finish(&mut *again);
            assert!(bits(&*again) == bits(&*whole), "{kind} {train}, stopped after step {step}");
        }
        let model = find_model(kind).unwrap();
        let settings = model.resolve(&map(&settings)).unwrap();
        let predictor = Predictor::load(&model.family.unwrap(), &settings, &whole.save().0).unwrap();
        let own = whole.predicted(Part::Test).unwrap();
        let all = predictor.predict(&raw).unwrap().p;
        let k = own.classes.max(1);
        assert!(own.p.chunks_exact(k).all(|row| all.chunks_exact(k).any(|other| other == row)), "{kind} {train}");
    }
}

/// A stop in the middle of a step changes nothing.
#[test]
fn a_stop_loses_no_bit() {
    for (kind, settings, train, classes) in cases() {
        let raw = table(120, classes);
        let (mut whole, mut stopped) =
            (under(kind, &settings, &train, &raw, 3), under(kind, &settings, &train, &raw, 3));
        finish(&mut *whole);
        let mut patience = 0;
        while !stopped.done() {
            let asked = AtomicUsize::new(0);
            let stop = || asked.fetch_add(1, Ordering::Relaxed) >= patience;
            stopped.advance_until(&stop).unwrap();
            patience += 1;
        }
        assert!(bits(&*whole) == bits(&*stopped), "{kind} {train}");
    }
}

fn weights(training: &dyn Training) -> Vec<f32> {
    let saved = training.save().0;
    let own = saved.tensors.iter().filter(|(name, _)| name.starts_with("layer"));
    own.flat_map(|(_, t)| Vec::<f32>::try_from(&t.contiguous().view([-1])).unwrap()).collect()
}

/// The mean of one step of each client on all its rows is one step on all rows, whoever holds them.
#[test]
fn a_round_of_whole_gradients_is_gradient_descent_on_all_rows() {
    for (kind, settings, classes) in
        [("mlp", json!({"hidden": [8], "weight_decay": 0.0}), true), ("linear", json!({"l2": 0.0}), false)]
    {
        let raw = table(300, classes);
        let with = |clients: Value, secure: bool| {
            let train = json!({"clients": clients, "local_minibatch": 1000, "secure_aggregation": secure});
            let mut own = under(kind, &settings, &train, &raw, 5);
            finish(&mut *own);
            weights(&*own)
        };
        let (two, many) = (with(json!(2), false), with(json!(30), false));
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-6);
        assert!(near(&two, &many), "{kind}");
        assert!(near(&many, &with(json!(30), true)), "{kind}: masks change nothing but the last places");
        assert!(!near(&two, &weights(&*under(kind, &settings, &json!({"clients": 2}), &raw, 5))), "{kind} has learned");
    }
}

/// A whole run spends what it may at most, and without much noise it learns what others learn.
#[test]
fn private_training_spends_and_learns() {
    let raw = table(900, true);
    let with = |privacy: Value| {
        let mut own = under("logistic", &json!({}), &json!({"privacy": privacy}), &raw, 30);
        let mut spent = Vec::new();
        while !own.done() {
            spent.push(own.advance().unwrap()[1].clone());
        }
        let accuracy = own.examine(Part::Test, 1)[0].metrics.iter().find(|m| m.name == "accuracy").unwrap().value;
        (accuracy, spent, own.details()["learner"]["private"].clone())
    };
    let (careful, spent, told) = with(json!({"epsilon": 0.5, "minibatch": 50}));
    assert!(spent.iter().all(|(name, _)| name == "epsilon") && spent.windows(2).all(|w| w[0].1 < w[1].1));
    assert!(spent[29].1 <= 0.5 && spent[29].1 > 0.49 && told["epsilon"] == spent[29].1 && told["steps"] == 330);
    let (loose, ..) = with(json!({"noise_multiplier": 0.1, "minibatch": 50}));
    assert!(loose > 0.82 && loose > careful, "{loose} {careful}");
}

/// Noise that was chosen for so many steps does not serve for more: ε would be told too low.
#[test]
fn a_private_run_goes_on_for_longer_only_with_noise_of_its_own() {
    let raw = table(100, true);
    for (privacy, can) in [(json!({"epsilon": 2.0}), false), (json!({"noise_multiplier": 2.0}), true)] {
        let fresh = |steps| under("logistic", &json!({}), &json!({"privacy": privacy}), &raw, steps);
        let mut short = fresh(3);
        finish(&mut *short);
        let (saved, rest) = short.save();
        let loaded = fresh(6).load(&saved, Some(&rest));
        assert!(
            loaded.as_ref().is_ok_and(|()| can)
                || loaded.is_err_and(|e| e.to_string().contains("another number")) && !can
        );
    }
}

#[test]
fn privacy_settings_are_checked() {
    let raw = table(100, true);
    let refused = |privacy: Value| {
        let regime = RegimeSettings::take(&mut map(&json!({"privacy": privacy}))).unwrap();
        let data = DataSettings { target: "y".into(), ..DataSettings::default() };
        let data = Dataset::new(&raw, &data).unwrap();
        let model = find_model("logistic").unwrap();
        let regime = match regime.regime(&model.family.unwrap(), &raw, &data, 1) {
            Ok(regime) => regime,
            Err(why) => return why.to_string(),
        };
        let start =
            DataStart { data: Data::TableUnder(Box::new(data), regime), steps: 5, seed: 1, device: Device::Cpu };
        model.start(&model.resolve(&Map::new()).unwrap(), start).err().unwrap().to_string()
    };
    assert!(refused(json!({})).contains("either epsilon or noise_multiplier"));
    assert!(refused(json!({"epsilon": 1.0, "noise_multiplier": 1.0})).contains("either"));
    assert!(refused(json!({"epsilon": 1.0, "delta": 0.05})).contains("must be below 1 / rows"));
}

/// FedProx holds clients near the server's weights.
#[test]
fn proximal_clients_move_less() {
    let raw = table(300, true);
    let moved = |proximal: f64| {
        let train = json!({"clients": "shop", "local_epochs": 5, "proximal": proximal});
        let mut own = under("logistic", &json!({}), &train, &raw, 1);
        let before = weights(&*own);
        finish(&mut *own);
        weights(&*own).iter().zip(&before).map(|(a, b)| (a - b).powi(2)).sum::<f32>()
    };
    let (free, held) = (moved(0.0), moved(5.0));
    assert!(held < 0.5 * free, "{held} {free}");
}

/// Federated and central training of the same model end alike, where clients hold other kinds of rows.
#[test]
fn a_federation_learns_what_all_rows_say() {
    let raw = table(900, true);
    for (kind, settings) in [("logistic", json!({})), ("mlp", json!({"hidden": [16]}))] {
        let mut own = under(kind, &settings, &json!({"clients": "shop"}), &raw, 40);
        finish(&mut *own);
        let examined = own.examine(Part::Test, 1);
        assert_eq!(examined[2].name, "the same, trained centrally");
        let accuracy = |i: usize| examined[i].metrics.iter().find(|m| m.name == "accuracy").unwrap().value;
        assert!(accuracy(0) > 0.8 && (accuracy(0) - accuracy(2)).abs() < 0.03, "{kind}: {examined:?}");
    }
}

/// The rows of a table but those of some numbers.
fn without(raw: &Raw, gone: &[usize]) -> Raw {
    let mut less = Raw::new(raw.names.clone(), false);
    for row in (0..raw.rows()).filter(|row| !gone.contains(row)) {
        less.push(less.rows() as u64 + 2, (0..raw.names.len()).map(|c| raw.cell(row, c)));
    }
    less
}

/// A model that is made to forget rows is, to the bit, one that never saw them, and most of it need not learn again.
#[test]
fn forgetting_is_never_having_seen() {
    let small = json!({"hidden": [8], "minibatch": 32});
    let cases = [
        ("mlp", small.clone(), json!({"shards": 4, "slices": 3}), true),
        ("mlp", small, json!({"shards": 4}), false),
        ("logistic", json!({}), json!({"shards": 5}), true),
        ("boosting", json!({}), json!({"shards": 4}), true),
    ];
    for (kind, settings, train, classes) in cases {
        let raw = table(400, classes);
        let mut whole = under(kind, &settings, &train, &raw, 6);
        finish(&mut *whole);
        let (saved, rest) = whole.save();
        // Rows of the training part; then one of the validation part, by which all is scaled.
        for (gone, is_held_out) in [(vec![20], false), (vec![21, 122], false), (vec![23], true)] {
            let less = without(&raw, &gone);
            let mut never = under(kind, &settings, &train, &less, 6);
            finish(&mut *never);
            let mut forgot = under(kind, &settings, &train, &less, 6);
            forgot.load(&saved, Some(&rest)).unwrap();
            let shards = train["shards"].as_u64().unwrap() as usize;
            let again = forgot.details()["learner"]["sharded"]["restarted"].as_array().unwrap().len();
            assert!(if is_held_out { again == shards } else { again <= gone.len() && again > 0 }, "{kind}: {again}");
            assert!(!forgot.done(), "{kind}");
            finish(&mut *forgot);
            assert!(bits(&*forgot) == bits(&*never), "{kind} {train} {gone:?}");
            assert!(bits(&*forgot) != bits(&*whole), "{kind} {train} {gone:?}: nothing was forgotten");
        }
        let mut same = under(kind, &settings, &train, &raw, 6);
        same.load(&saved, Some(&rest)).unwrap();
        assert!(same.done() && same.details()["learner"]["sharded"]["restarted"] == json!([]), "{kind}");
    }
}

/// A row in a late slice costs less than one in the first.
#[test]
fn a_late_slice_begins_where_the_one_before_ended() {
    let raw = table(400, true);
    let fresh = |raw: &Raw| under("mlp", &json!({"hidden": [8]}), &json!({"shards": 2, "slices": 4}), raw, 8);
    let mut whole = fresh(&raw);
    finish(&mut *whole);
    let (saved, rest) = whole.save();
    let mut slices = Vec::new();
    for row in (0..40).filter(|row| row % 5 < 3) {
        let mut forgot = fresh(&without(&raw, &[row]));
        forgot.load(&saved, Some(&rest)).unwrap();
        let restarted = forgot.details()["learner"]["sharded"]["restarted"].clone();
        let slice = restarted[0][1].as_u64().unwrap();
        // Two steps a slice.
        assert_eq!(forgot.step(), 2 * slice);
        slices.push(slice);
    }
    assert!((0..4).all(|slice| slices.contains(&slice)), "{slices:?}");
}

#[test]
fn what_means_nothing_is_refused() {
    let refused = |train: Value| RegimeSettings::take(&mut map(&train)).unwrap_err()[0].to_string();
    assert!(refused(json!({"proximal": 1.0})).contains("means nothing without train.clients"));
    assert!(refused(json!({"clients": 1})).contains("must lie in"));
    assert!(refused(json!({"clients": "shop", "client_alpha": 1.0})).contains("a column says"));
    assert!(refused(json!({"shards": 2, "privacy": {"epsilon": 1.0}})).contains("a way of training of its own"));
    assert!(refused(json!({"slices": 2})).contains("means nothing without train.shards"));
    assert!(refused(json!({"shards": 2, "clients": 2})).contains("two ways of training"));
    assert!(refused(json!({"clients": true})).contains("the name of a column"));
}
