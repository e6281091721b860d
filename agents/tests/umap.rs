//! UMAP against umap-learn (tests/golden/umap_learn.py).

use agon_agents::Device;
use agon_agents::agent::NEVER;
use agon_agents::data::encode::Matrix;
use agon_agents::unsupervised::neighbours::{kept, nearest_of_new, same_label};
use agon_agents::unsupervised::umap::curve::Curve;
use agon_agents::unsupervised::umap::{Config, Start, Umap, fuzzy};
use agon_agents::unsupervised::{Learner, Shape};
use agon_core::rng::{Rng, Stream};
use agon_core::thread_pool::ThreadPool;
use serde_json::Value;

fn read(file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn theirs() -> Value {
    read("../tests/golden/umap_learn.json")
}

fn pairs(list: &Value) -> Vec<(usize, usize, f64)> {
    serde_json::from_value(list.clone()).unwrap()
}

/// Every third row of wine from this one on, standardised by the whole table, in single precision.
fn wine(first: usize) -> Matrix {
    let tables = read("../tests/golden/tables.json");
    let rows: Vec<Vec<f64>> = serde_json::from_value(tables["tables"]["wine"]["x"].clone()).unwrap();
    let (n, width) = (rows.len() as f64, rows[0].len());
    let mut x: Vec<f64> = rows.iter().skip(first).step_by(3).flatten().copied().collect();
    for j in 0..width {
        let mean = rows.iter().map(|row| row[j]).sum::<f64>() / n;
        let deviation = (rows.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>() / n).sqrt();
        x.iter_mut().skip(j).step_by(width).for_each(|x| *x = f64::from(((*x - mean) / deviation) as f32));
    }
    Matrix { x, width }
}

fn near(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() < 1e-5 * wanted
}

#[test]
fn curves_are_umap_learns() {
    let curves: Vec<[f64; 4]> = serde_json::from_value(theirs()["curves"].clone()).unwrap();
    for [spread, least, a, b] in curves {
        let own = Curve::new(spread, least);
        assert!(near(own.a, a) && near(own.b, b), "{spread} {least}: {own:?}, and umap-learn {a} {b}");
    }
}

#[test]
fn graphs_are_umap_learns() {
    let (theirs, x) = (theirs(), wine(0));
    let k = theirs["neighbours"].as_u64().unwrap() as usize;
    let own = fuzzy::graph(&x, k, &ThreadPool::default(), NEVER).unwrap();
    let all = pairs(&theirs["graph"]);
    for (i, j, weight) in &all {
        for (i, j) in [(*i, *j), (*j, *i)] {
            let found = own.of(i).find(|(row, _)| *row == j).expect("a neighbour").1;
            assert!(near(found, *weight), "{i} {j}: {found}, and umap-learn {weight}");
        }
    }
    assert_eq!((0..x.rows()).map(|i| own.of(i).count()).sum::<usize>(), 2 * all.len());
    // New rows among them.
    let new = wine(1);
    let mut near_rows = vec![(0.0, 0); k];
    for (place, some) in pairs(&theirs["placing"]).chunks_exact(k).enumerate() {
        nearest_of_new(&x, new.row(place), &mut near_rows);
        let weights = fuzzy::of_new(&near_rows);
        for (((_, j), found), (i, theirs, weight)) in near_rows.iter().zip(weights).zip(some) {
            assert_eq!((place, *j as usize), (*i, *theirs));
            assert!(near(found, *weight), "{i} {j}: {found}, and umap-learn {weight}");
        }
    }
}

/// Three groups in five dimensions, of which two rows are the same.
fn groups(rows: usize) -> Matrix {
    let mut rng = Rng::new(3, Stream::Env, 0);
    let mut x: Vec<f64> =
        (0..rows * 5).map(|i| 6.0 * f64::from(i as u32 / 5 % 3 == i as u32 % 5) + rng.normal()).collect();
    x.copy_within(0..5, 15);
    Matrix { x, width: 5 }
}

fn trained(x: &Matrix, threads: usize, config: Config, steps: u64) -> Umap {
    let shape = Shape { inputs: x.width, steps, seed: 1, device: Device::Cpu };
    let mut own = Umap::new(config, shape).unwrap().on(ThreadPool::new(threads));
    while own.step() < steps {
        own.advance(x, x, NEVER).unwrap();
    }
    own
}

/// The same bits on one thread and on three; groups are apart on the map, and new rows are among their own group, wherever
/// in a table they are.
#[test]
fn threads_change_nothing_and_groups_are_apart() {
    let x = groups(900);
    let train = Matrix { x: x.x[..600 * 5].to_vec(), width: 5 };
    let one = trained(&train, 1, Config::default(), 200);
    let map = one.map().unwrap();
    assert_eq!(map, trained(&train, 3, Config::default(), 200).map().unwrap());
    let labels: Vec<u32> = (0..900).map(|row| row % 3).collect();
    let (same, _) = same_label(&map, &labels, 600);
    assert!(same > 0.99, "{same}");
    let found = kept(&train, &map, 5, 600, &ThreadPool::default()).unwrap();
    assert!(found.trustworthiness > 0.85, "{found:?}");

    let placed = one.read(&x).components;
    // Row 3 is row 0 again, and of equal rows the first says the place.
    let same_place = |row: &usize| placed.row(*row) == map.row(if *row == 3 { 0 } else { *row });
    assert_eq!((0..600).filter(same_place).count(), 600, "rows of the table have their places");
    let last = Matrix { x: x.x[899 * 5..].to_vec(), width: 5 };
    assert_eq!(one.read(&last).components.x, placed.x[899 * 2..]);
    let (same, _) = same_label(&placed, &labels, 900);
    assert!(same > 0.99, "{same}");
}

/// From other beginnings, of groups that hang together nowhere, of a single number, of few rows, and of equal ones.
#[test]
fn other_starts_and_small_tables_have_maps() {
    let line = Matrix { x: (0..40).map(f64::from).collect(), width: 1 };
    let few = |start| Config { neighbours: 5, start, ..Config::default() };
    for (start, least) in [(Start::Spectral, 0.95), (Start::Pca, 0.95), (Start::Random, 0.75)] {
        let own = trained(&line, 1, few(start), 300);
        let kept = kept(&line, &own.map().unwrap(), 3, 40, &ThreadPool::default()).unwrap();
        assert!(kept.trustworthiness > least, "{start:?} {kept:?}");
    }
    let apart: Vec<f64> = (0..40).map(|i| f64::from(i % 20) + if i < 20 { 0.0 } else { 1e6 }).collect();
    let own = trained(&Matrix { x: apart, width: 1 }, 1, few(Start::Spectral), 50);
    assert_eq!(own.details()["start"], "pca");
    for rows in [4, 5, 6] {
        let x = Matrix { x: line.x[..rows].to_vec(), width: 1 };
        let own = trained(&x, 1, Config { neighbours: 3, ..Config::default() }, 20);
        assert!(own.map().unwrap().x.iter().all(|x| x.is_finite()));
        let all = Config { neighbours: rows, ..Config::default() };
        let own = trained(&x, 1, all, 20);
        assert!(own.read(&line).components.x.iter().all(|x| x.is_finite()));
    }
    let equal: Vec<f64> = (0..60).map(|i| f64::from(i / 20)).collect();
    let own = trained(&Matrix { x: equal, width: 1 }, 1, few(Start::Spectral), 50);
    assert!(own.map().unwrap().x.iter().all(|x| x.is_finite()));
    let shape = Shape { inputs: 1, steps: 1, seed: 1, device: Device::Cpu };
    assert!(Umap::new(Config::default(), shape).unwrap().check(14).unwrap_err().to_string().contains("neighbours"));
    assert!(Umap::new(Config { min_distance: 3.0, ..Config::default() }, shape).is_err());
}
