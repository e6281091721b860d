//! Models without a target against scikit-learn on the same rows (tests/golden/unsupervised.py); and each of them as a
//! training, saved and resumed.

use agon_agents::Device;
use agon_agents::agent::NEVER;
use agon_agents::checkpoint;
use agon_agents::data::Raw;
use agon_agents::data::dataset::{DataSettings, Dataset};
use agon_agents::data::encode::Matrix;
use agon_agents::train::{Part, Training};
use agon_agents::unsupervised::agreement::{adjusted_rand, normalised_mutual_information, silhouette};
use agon_agents::unsupervised::clustering::Grouping;
use agon_agents::unsupervised::family::{FAMILIES, find};
use agon_agents::unsupervised::gmm::{self, Mixture};
use agon_agents::unsupervised::kmeans::{self, KMeans, lloyd};
use agon_agents::unsupervised::reader::Reader;
use agon_agents::unsupervised::scores::auc;
use agon_agents::unsupervised::training::Unsupervised;
use agon_agents::unsupervised::{Learner, Shape};
use agon_core::rng::{Rng, Stream};
use agon_core::thread_pool::ThreadPool;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

fn read(file: &str) -> Value {
    serde_json::from_str::<Value>(&std::fs::read_to_string(file).unwrap()).unwrap()["tables"].take()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The rows of a table, standardised, their classes, and what scikit-learn found.
fn table(name: &str) -> (Matrix, Vec<u32>, Value) {
    let mut tables = read("../tests/golden/tables.json");
    let rows: Vec<Vec<f64>> = tables[name]["x"].as_array().unwrap().iter().map(numbers).collect();
    let y = numbers(&tables[name]["y"].take()).into_iter().map(|y| y as u32).collect();
    let (n, width) = (rows.len() as f64, rows[0].len());
    let mut x: Vec<f64> = rows.concat();
    for j in 0..width {
        let column: Vec<f64> = rows.iter().map(|row| row[j]).collect();
        let mean = column.iter().sum::<f64>() / n;
        let deviation = (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        x.iter_mut().skip(j).step_by(width).for_each(|x| *x = (*x - mean) / deviation);
    }
    (Matrix { x, width }, y, read("../tests/golden/unsupervised.json")[name].take())
}

fn starts(x: &Matrix, theirs: &Value) -> Vec<f64> {
    numbers(&theirs["start"]).into_iter().flat_map(|row| x.row(row as usize).to_vec()).collect()
}

fn close(own: f64, theirs: &Value, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!((own - theirs).abs() <= 1e-4 * theirs.abs().max(1e-3), "{what}: {own}, and scikit-learn {theirs}");
}

fn all_close(own: &[f64], theirs: &Value, what: &str) {
    let theirs = numbers(theirs);
    assert_eq!(own.len(), theirs.len(), "{what}");
    let off = own.iter().zip(&theirs).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max);
    assert!(off < 1e-4, "{what}: {off:e}");
}

const TABLES: [&str; 3] = ["iris", "wine", "cancer"];

#[test]
fn k_means_is_scikit_learns() {
    for name in TABLES {
        let (x, y, theirs) = table(name);
        let means = &theirs["kmeans"];
        let own = lloyd(&x, starts(&x, &theirs), 1000, 0.0, &ThreadPool::default(), NEVER).unwrap();
        let n = x.rows() as f64;
        close(own.inertia * n, &means["inertia"], name);
        all_close(&own.centres, &means["centres"], name);
        let labels: Vec<u32> = own.read(&x, &ThreadPool::default()).cluster.into_iter().map(Option::unwrap).collect();
        close(adjusted_rand(&labels, &y), &means["adjusted_rand"], name);
        close(normalised_mutual_information(&labels, &y), &means["mutual_information"], name);
        close(silhouette(&x, &labels).unwrap(), &means["silhouette"], name);
        // From its own starts it is as good as the best of fifty.
        let config = kmeans::Config::default();
        let fit = |start| {
            let mut rng = Rng::at_step(1, Stream::Shuffle, 3, start);
            KMeans::fit(&config, &x, 3, &mut rng, &ThreadPool::default(), NEVER).unwrap().inertia
        };
        let best = (0..config.starts).map(fit).fold(f64::INFINITY, f64::min) * n;
        assert!(best <= 1.01 * means["best_inertia"].as_f64().unwrap(), "{name}: {best}");
    }
}

#[test]
fn mixtures_are_scikit_learns() {
    for name in TABLES {
        let (x, _, theirs) = table(name);
        for (kind, diagonal) in [("full", false), ("diag", true)] {
            let mixture = &theirs[format!("gmm_{kind}")];
            let settings = json!({"covariance": kind, "tolerance": 1e-9, "iterations": 5000, "added_variance": 1e-3});
            let config: gmm::Config = agon_core::settings::Settings::read(settings.as_object().unwrap()).unwrap();
            let d = x.width;
            let unit: Vec<f64> = match diagonal {
                true => vec![1.0; d],
                false => (0..d * d).map(|i| f64::from(u8::from(i % (d + 1) == 0))).collect(),
            };
            let start = Mixture::given(vec![1.0 / 3.0; 3], &starts(&x, &theirs), &unit.repeat(3), diagonal).unwrap();
            let own = start.converged(&x, &config, &ThreadPool::default(), NEVER).unwrap();
            close(-own.loss, &mixture["log_likelihood"], &format!("{name} {kind}"));
            close(own.criterion(&x, &x, &ThreadPool::default()), &mixture["bic"], &format!("{name} {kind}"));
            let means: Vec<f64> = own.parts.iter().flat_map(|part| part.mean.clone()).collect();
            // Where the likelihood is flat, means are less sure than it is.
            let off = means.iter().zip(numbers(&mixture["means"])).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-2, "{name} {kind}: {off}");
        }
    }
}

fn learned(kind: &str, settings: &Value, x: &Matrix) -> Box<dyn Learner> {
    let family = find(kind).unwrap();
    let mut own = (family.learner)(
        settings.as_object().unwrap(),
        Shape { inputs: x.width, steps: 1, seed: 1, device: Device::Cpu },
    )
    .unwrap();
    while !own.finished() {
        own.advance(x, x, NEVER).unwrap().unwrap();
    }
    own
}

#[test]
fn components_are_scikit_learns() {
    for name in TABLES {
        let (x, _, theirs) = table(name);
        let own = learned("pca", &json!({"components": x.width}), &x).details();
        all_close(&numbers(&own["variances"]), &theirs["pca"]["variances"], name);
        all_close(&numbers(&own["explained"]), &theirs["pca"]["ratios"], name);
    }
}

#[test]
fn distances_are_scikit_learns() {
    for name in TABLES {
        let (x, _, theirs) = table(name);
        let own = learned("mahalanobis", &json!({"trimmed": 0.0, "added_variance": 0.0}), &x);
        all_close(&own.read(&x).anomaly, &theirs["mahalanobis"], name);
    }
}

/// The same clusters, up to their order, and the same probabilities. Ties of distances are broken in another order.
#[test]
fn density_clusters_are_scikit_learns() {
    for name in TABLES {
        let (x, _, theirs) = table(name);
        let found = learned("hdbscan", &json!({"least_rows": 15}), &x).read(&x);
        let own: Vec<u32> = found.cluster.iter().map(|c| c.map_or(0, |c| c + 1)).collect();
        let labels: Vec<u32> = numbers(&theirs["hdbscan"]["labels"]).into_iter().map(|l| (l + 1.0) as u32).collect();
        let agree = adjusted_rand(&own, &labels);
        assert!(agree > 0.98, "{name}: {agree}");
        let p = |row: usize| found.cluster[row].map_or(0.0, |c| found.p[row * found.clusters + c as usize]);
        let off: Vec<f64> = numbers(&theirs["hdbscan"]["probabilities"])
            .iter()
            .enumerate()
            .map(|(row, q)| (p(row) - q).abs())
            .collect();
        assert!(off.iter().filter(|off| **off > 1e-6).count() <= x.rows() / 50, "{name}: {off:?}");
    }
}

#[test]
fn isolation_forests_are_as_good_as_scikit_learns() {
    let (x, y, theirs) = table("cancer");
    let is: Vec<bool> = y.iter().map(|y| *y == 0).collect();
    let area = |seed| {
        let family = find("isolation-forest").unwrap();
        let mut own =
            (family.learner)(&Map::new(), Shape { inputs: x.width, steps: 1, seed, device: Device::Cpu }).unwrap();
        while !own.finished() {
            own.advance(&x, &x, NEVER).unwrap();
        }
        auc(&own.read(&x).anomaly, &is).unwrap()
    };
    let mean = (0..10).map(area).sum::<f64>() / 10.0;
    let theirs = &theirs["isolation_forest"];
    // Both are means of ten random forests: three standard errors of their difference.
    let allowed = 3.0 * theirs["deviation"].as_f64().unwrap() * (2.0f64 / 10.0).sqrt();
    assert!((mean - theirs["auc"].as_f64().unwrap()).abs() < allowed, "{mean}");
}

/// Three clusters in two numbers, a colour that follows from them, gaps, and a few rows far away.
fn rows() -> Raw {
    let mut raw = Raw::new(["a", "b", "colour", "kind"].map(String::from).to_vec(), false);
    let mut rng = Rng::new(5, Stream::Env, 0);
    for row in 0..240u64 {
        let c = (row % 3) as usize;
        let far = if row % 80 == 79 { 30.0 } else { 0.0 };
        let (a, b) = (f64::from([0, 6, 3][c]) + rng.normal() + far, f64::from([0, 1, 7][c]) + rng.normal());
        let a = if row % 17 == 0 { String::new() } else { format!("{a:.3}") };
        raw.push(row + 2, [a.as_str(), &format!("{b:.3}"), ["red", "blue", "red"][c], ["x", "y", "z"][c]]);
    }
    raw
}

fn few(kind: &str) -> Map<String, Value> {
    let settings = match kind {
        "kmeans" | "gmm" => json!({"most_clusters": 4, "starts": 2}),
        "autoencoder" | "vae" => json!({"latent": 2, "hidden": [8], "learning_rate": 1e-2}),
        "isolation-forest" => json!({"trees": 7}),
        "hdbscan" => json!({"least_rows": 10}),
        "tsne" => json!({"perplexity": 10.0}),
        _ => json!({}),
    };
    settings.as_object().unwrap().clone()
}

fn training(kind: &str, target: &str) -> Unsupervised {
    let settings = DataSettings { target: target.into(), drop: vec![], ..DataSettings::default() };
    let data =
        if target.is_empty() { Dataset::unlabelled(&rows(), &settings) } else { Dataset::new(&rows(), &settings) };
    let steps = (find(kind).unwrap().steps)(&few(kind), 240).unwrap().min(8);
    Unsupervised::new(*find(kind).unwrap(), &few(kind), data.unwrap(), [steps, 1], Device::Cpu).unwrap()
}

fn finish(training: &mut Unsupervised) {
    while !training.done() {
        training.advance().unwrap();
    }
}

/// Everything of a save, in bits.
fn bits(training: &Unsupervised, folder: &std::path::Path) -> [Vec<u8>; 2] {
    let (saved, rest) = training.save();
    let path = folder.join("bits");
    checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
    ["weights.safetensors", "state.json"].map(|file| std::fs::read(path.join(file)).unwrap())
}

/// Stopped after any step, written to disk and resumed, it ends bit-identical; a stop within a step changes nothing; and new
/// rows are read the same from the save alone.
#[test]
fn every_model_resumes_and_reads_in_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for family in FAMILIES {
        let kind = family.kind;
        let mut whole = training(kind, "");
        finish(&mut whole);
        let wanted = bits(&whole, folder.path());
        for step in 0..=whole.step() {
            let mut half = training(kind, "");
            while half.step() < step {
                half.advance().unwrap();
            }
            let (saved, rest) = half.save();
            let path = folder.path().join(format!("{kind}-{step}"));
            checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
            let (saved, rest) = checkpoint::read(&path).unwrap();
            let mut again = training(kind, "");
            again.load(&saved, Some(&rest)).unwrap();
            finish(&mut again);
            assert!(bits(&again, folder.path()) == wanted, "{kind}, stopped after step {step}");
        }
        let (mut stopped, mut patience) = (training(kind, ""), 0);
        while !stopped.done() {
            let asked = AtomicUsize::new(0);
            let stop = || asked.fetch_add(1, Ordering::Relaxed) >= patience;
            stopped.advance_until(&stop).unwrap();
            patience += 1;
        }
        assert!(bits(&stopped, folder.path()) == wanted, "{kind}, stopped within steps");
        if !family.reads {
            let refused = Reader::load(family, &few(kind), &whole.save().0).err().unwrap();
            assert!(refused.to_string().contains("has no map for others"), "{refused}");
            continue;
        }
        let reading = Reader::load(family, &few(kind), &whole.save().0).unwrap().read(&rows()).unwrap();
        if family.whole {
            let places: Vec<f64> = whole.coordinates().into_iter().flat_map(|(_, at)| at).collect();
            assert_eq!(reading.found.components.x, places, "{kind}");
            continue;
        }
        let details = whole.details();
        let line = details["unusual"][0]["line"].as_u64().unwrap() as usize;
        assert_eq!(json!(reading.found.anomaly[line - 2]), details["unusual"][0]["score"], "{kind}");
        assert!(reading.below.iter().all(|share| (0.0..=1.0).contains(share)));
    }
}

/// The far rows are found, clusters are the ones that rows were drawn from, and what is lost is less than without the model.
#[test]
fn every_model_finds_what_there_is() {
    for family in FAMILIES.iter().filter(|family| !family.whole) {
        let mut own = training(family.kind, "kind");
        if ["autoencoder", "vae"].contains(&family.kind) {
            let settings = DataSettings { target: "kind".into(), ..DataSettings::default() };
            let data = Dataset::new(&rows(), &settings).unwrap();
            own = Unsupervised::new(*family, &few(family.kind), data, [100, 1], Device::Cpu).unwrap();
        }
        finish(&mut own);
        let (details, examined) = (own.details(), own.examine(Part::Test, 1));
        let unusual: Vec<u64> =
            details["unusual"].as_array().unwrap().iter().filter_map(|row| row["line"].as_u64()).collect();
        // Components that hold what is far, and clusters of it, are not surprised by it.
        if !["pca", "gmm", "kmeans", "autoencoder", "vae"].contains(&family.kind) {
            assert!([81, 161, 241].iter().all(|line| unusual.contains(line)), "{}: {unusual:?}", family.kind);
        }
        if let Some(by) = examined.get(1).and_then(|beside| beside.better_by.as_ref()) {
            assert!(by.value > 0.0, "{}: {examined:?}", family.kind);
        }
        if family.kind == "gmm" || family.kind == "hdbscan" {
            let agree = examined[0].metrics.iter().find(|m| m.name == "adjusted_rand").unwrap();
            assert!(agree.value > 0.6, "{}: {examined:?}", family.kind);
        }
    }
}

/// Other rows in the test part change nothing that is saved.
#[test]
fn the_test_part_changes_nothing_that_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    for family in FAMILIES.iter().filter(|family| !family.whole) {
        let of = |factor: f64| {
            let mut raw = Raw::new(["a", "b", "part"].map(String::from).to_vec(), false);
            let mut rng = Rng::new(7, Stream::Env, 0);
            for row in 0..120u64 {
                let part = ["train", "train", "validation", "test"][(row % 4) as usize];
                let much = if part == "test" { factor } else { 1.0 };
                let middle = if row % 8 < 4 { 0.0 } else { 9.0 };
                raw.push(
                    row + 2,
                    [
                        format!("{:.4}", much * (middle + rng.normal())).as_str(),
                        &format!("{:.4}", much * (middle + rng.normal())),
                        part,
                    ],
                );
            }
            let settings = DataSettings {
                split: agon_agents::data::split::Method::Given,
                split_by: "part".into(),
                ..DataSettings::default()
            };
            let data = Dataset::unlabelled(&raw, &settings).unwrap();
            let mut own = Unsupervised::new(*family, &few(family.kind), data, [5, 1], Device::Cpu).unwrap();
            finish(&mut own);
            let bits = bits(&own, folder.path());
            let rest = String::from_utf8(bits[1].clone()).unwrap();
            // The sum of all data differs, as it must.
            let sum = own.save().1["data"].to_string();
            (bits[0].clone(), rest.replace(&sum, "sum"), own.examine(Part::Test, 1)[0].metrics.clone())
        };
        let (one, other) = (of(1.0), of(50.0));
        assert!(one.0 == other.0 && one.1 == other.1, "{}", family.kind);
        assert_ne!(one.2, other.2, "{}", family.kind);
    }
}
