//! t-SNE against numpy and scikit-learn (tests/golden/tsne.py).

use agon_agents::Device;
use agon_agents::agent::NEVER;
use agon_agents::data::encode::{Matrix, Scaling};
use agon_agents::unsupervised::neighbours::{kept, same_label};
use agon_agents::unsupervised::tsne::{Affinities, Config, Start, Tsne};
use agon_agents::unsupervised::{Learner, Shape};
use agon_core::rng::{Rng, Stream};
use agon_core::thread_pool::ThreadPool;
use serde_json::Value;

fn read(file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn pairs(list: &Value) -> Vec<[f64; 2]> {
    let two = |at: &Value| [0, 1].map(|k| at[k].as_f64().unwrap());
    list.as_array().unwrap().iter().map(two).collect()
}

/// Every third row of wine, standardised by the whole table.
fn wine() -> Matrix {
    let tables = read("../tests/golden/tables.json");
    let rows: Vec<Vec<f64>> = serde_json::from_value(tables["tables"]["wine"]["x"].clone()).unwrap();
    let (n, width) = (rows.len() as f64, rows[0].len());
    let mut x: Vec<f64> = rows.iter().step_by(3).flatten().copied().collect();
    for j in 0..width {
        let mean = rows.iter().map(|row| row[j]).sum::<f64>() / n;
        let deviation = (rows.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>() / n).sqrt();
        x.iter_mut().skip(j).step_by(width).for_each(|x| *x = (*x - mean) / deviation);
    }
    Matrix { x, width }
}

#[test]
fn affinities_are_numpys() {
    let theirs = read("../tests/golden/tsne.json");
    let x = wine();
    let own = Affinities::new(&x, theirs["perplexity"].as_f64().unwrap(), &ThreadPool::default(), NEVER).unwrap();
    let all: Vec<(usize, usize, f64)> = serde_json::from_value(theirs["p"].clone()).unwrap();
    let mut sum = 0.0;
    for (i, j, p) in &all {
        for (i, j) in [(*i, *j), (*j, *i)] {
            let found = own.of(i).find(|(row, _)| *row == j).expect("a neighbour").1;
            assert!((found - p).abs() < 1e-10, "{i} {j}: {found}, and numpy {p}");
            sum += found;
        }
    }
    assert!((sum - 1.0).abs() < 1e-12);
    let pairs: usize = (0..x.rows()).map(|i| own.of(i).filter(|(_, p)| *p > 0.0).count()).sum();
    assert_eq!(pairs, 2 * all.len());
}

#[test]
fn gradients_are_the_exact_sums() {
    let theirs = read("../tests/golden/tsne.json");
    let (x, pool) = (wine(), ThreadPool::default());
    let p = Affinities::new(&x, theirs["perplexity"].as_f64().unwrap(), &pool, NEVER).unwrap();
    let y = pairs(&theirs["y"]);
    for (name, exaggeration) in [("gradient", 1.0), ("exaggerated", 12.0)] {
        let wanted = pairs(&theirs[name]);
        let size = wanted.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
        // By the tree it is nearly that.
        for (angle, near) in [(0.0, 1e-9), (0.5, 0.02)] {
            let (found, divergence) = p.gradient(&y, exaggeration, angle, &pool);
            let off = found.iter().flatten().zip(wanted.iter().flatten()).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            assert!(off.sqrt() < near * size, "{name}, angle {angle}: {} of {size}", off.sqrt());
            let wanted = theirs["divergence"].as_f64().unwrap();
            assert!((divergence - wanted).abs() < near, "{divergence}, and numpy {wanted}");
        }
    }
    let map = Matrix { x: y.concat(), width: 2 };
    let found = kept(&x, &map, 5, usize::MAX, &pool).unwrap().trustworthiness;
    assert!((found - theirs["trustworthiness"].as_f64().unwrap()).abs() < 1e-9, "{found}");
}

/// Three groups in five dimensions, of which some rows are the same.
fn groups(rows: usize) -> Matrix {
    let mut rng = Rng::new(3, Stream::Env, 0);
    let mut x: Vec<f64> =
        (0..rows * 5).map(|i| 8.0 * f64::from(i as u32 / 5 % 3 == i as u32 % 5) + rng.normal()).collect();
    x.copy_within(0..5, 15);
    Matrix { x, width: 5 }
}

fn map(x: &Matrix, threads: usize, config: Config, steps: u64) -> Matrix {
    let mut own = Tsne::new(config, Shape { inputs: x.width, steps: 1, seed: 1, device: Device::Cpu })
        .on(ThreadPool::new(threads));
    while own.step() < steps {
        own.advance(x, x, NEVER).unwrap();
    }
    own.map().unwrap()
}

/// The same bits on one thread and on three; groups are apart on the map.
#[test]
fn threads_change_nothing_and_groups_are_apart() {
    let x = groups(600);
    let config = Config { perplexity: 20.0, ..Config::default() };
    let one = map(&x, 1, config.clone(), 400);
    assert_eq!(one, map(&x, 3, config, 400));
    let apart = (one.row(0)[0] - one.row(3)[0]).hypot(one.row(0)[1] - one.row(3)[1]);
    assert!(apart < 0.5, "equal rows are {apart} apart");
    let labels: Vec<u32> = (0..600).map(|row| row % 3).collect();
    let (same, _) = same_label(&one, &labels, 600);
    assert!(same > 0.99, "{same}");
    let kept = kept(&x, &one, 5, 600, &ThreadPool::default()).unwrap();
    assert!(kept.trustworthiness > 0.9, "{kept:?}");
}

/// From places at random, a table of a single number, and one of few rows.
#[test]
fn other_starts_and_small_tables_have_maps() {
    let line = Matrix { x: (0..40).map(f64::from).collect(), width: 1 };
    let config = |start| Config { perplexity: 5.0, start, scaling: Scaling::Asis, ..Config::default() };
    // From places at random a line may stay in pieces.
    for (start, least) in [(Start::Pca, 0.9), (Start::Random, 0.75)] {
        let found = map(&line, 1, config(start), 300);
        assert!(found.x.iter().all(|x| x.is_finite()));
        let kept = kept(&line, &found, 3, 40, &ThreadPool::default()).unwrap();
        assert!(kept.trustworthiness > least, "{kept:?}");
    }
    let shape = Shape { inputs: 1, steps: 1, seed: 1, device: Device::Cpu };
    assert!(Tsne::new(Config::default(), shape).check(20).unwrap_err().to_string().contains("perplexity"));
    assert!(Tsne::new(Config::default(), shape).check(3).is_err());
}
