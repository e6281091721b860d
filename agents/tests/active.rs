//! Active learning by simulation: labels that a model asks for teach it more than as many drawn at random.

use agon_agents::Device;
use agon_agents::data::Raw;
use agon_agents::data::dataset::{DataSettings, Dataset};
use agon_agents::data::split::Method;
use agon_agents::registry::{Data, DataStart, find_model};
use agon_agents::supervised::acquisition::{entropy, margin};
use agon_agents::supervised::predictor::Predictor;
use agon_agents::train::Part;
use agon_core::rng::{Rng, Stream};
use std::path::PathBuf;

/// Where `make data` puts what it fetches.
fn digits() -> (Vec<u8>, Vec<u8>) {
    let root = std::env::var_os("AGON_DEPS").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/agon"));
    let read = |name: &str| {
        let file = root.join("data/digits").join(name);
        let bytes = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}; `make data` fetches it", file.display()));
        let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        bytes[header..].to_vec()
    };
    (read("x.npy"), read("y.npy"))
}

/// How rows are picked: by their probabilities `[rows, 10]`, or at random.
type Pick = Option<fn(&[f64], usize) -> Vec<f64>>;

/// The accuracy of logistic regression on the same 600 digits for all ways of picking, after 20 random labels and 13 times
/// 10 more.
fn simulated(pick: Pick, seed: u64) -> f64 {
    agon_agents::set_threads(1);
    let (x, y) = digits();
    let mut order: Vec<usize> = (0..y.len()).collect();
    Rng::new(seed, Stream::Shuffle, 0).shuffle(&mut order);
    let (test, rest) = order.split_at(600);
    let (validation, pool) = rest.split_at(100);
    // Two of each class first: a class without a row cannot be learned.
    let mut labelled: Vec<usize> = Vec::new();
    for class in 0..10 {
        labelled.extend(pool.iter().filter(|i| y[**i] == class).take(2));
    }
    let names: Vec<String> = (0..64).map(|i| format!("p{i}")).chain(["part".into(), "digit".into()]).collect();
    let push = |raw: &mut Raw, i: usize, part: &str| {
        let mut cells: Vec<String> = x[64 * i..][..64].iter().map(u8::to_string).collect();
        cells.extend([part.to_owned(), format!("d{}", y[i])]);
        raw.push(raw.rows() as u64 + 2, cells.iter().map(String::as_str));
    };
    let settings = DataSettings {
        target: "digit".into(),
        split: Method::Given,
        split_by: "part".into(),
        ..DataSettings::default()
    };
    let model = find_model("logistic").unwrap();
    let config = model.resolve(&serde_json::Map::new()).unwrap();
    let mut rng = Rng::new(seed, Stream::Act, 0);
    loop {
        let mut raw = Raw::new(names.clone(), false);
        for (part, rows) in [("train", &labelled[..]), ("validation", validation), ("test", test)] {
            rows.iter().for_each(|i| push(&mut raw, *i, part));
        }
        let data = Data::Table(Box::new(Dataset::new(&raw, &settings).unwrap()));
        let mut training = model.start(&config, DataStart { data, steps: 1, seed: 1, device: Device::Cpu }).unwrap();
        training.advance().unwrap();
        if labelled.len() == 150 {
            let metrics = training.examine(Part::Test, 1).remove(0).metrics;
            return metrics.into_iter().find(|m| m.name == "accuracy").unwrap().value;
        }
        let mut free: Vec<usize> = pool.iter().filter(|i| !labelled.contains(i)).copied().collect();
        match pick {
            None => rng.shuffle(&mut free),
            Some(score) => {
                let mut unlabelled = Raw::new(names.clone(), false);
                free.iter().for_each(|i| push(&mut unlabelled, *i, "train"));
                let predictor = Predictor::load(&model.family.unwrap(), &config, &training.save().0).unwrap();
                let scores = score(&predictor.predict(&unlabelled).unwrap().p, 10);
                let mut order: Vec<usize> = (0..free.len()).collect();
                order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
                free = order.into_iter().map(|at| free[at]).collect();
            }
        }
        labelled.extend(&free[..10]);
    }
}

#[test]
#[ignore = "needs the digits of `make data`"]
fn asking_beats_chance_on_digits() {
    let of = |pick: Pick| (1..=5).map(|seed| simulated(pick, seed)).collect::<Vec<_>>();
    let (random, entropy, margin) = (of(None), of(Some(entropy)), of(Some(margin)));
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    println!("150 labels: random {random:.3?}, entropy {entropy:.3?}, margin {margin:.3?}");
    let wins = entropy.iter().zip(&random).filter(|(a, b)| a > b).count();
    assert!(wins >= 4 && mean(&entropy) > mean(&random) + 0.01, "{entropy:?} {random:?}");
    assert!(mean(&margin) > mean(&random), "{margin:?} {random:?}");
}
