//! `agon train`: a run; with `--seeds` one for each of several seeds, and what they have in common.

use crate::train::train;
use agon::cli;
use agon::signals;
use agon::tui::pane::number;
use agon::{Failure, Outcome};
use agon_core::Metric;
use agon_core::metric::Goal;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// One run, or one for each seed.
pub fn run(args: &cli::Train) -> Outcome {
    let stop = signals::for_run()?;
    match &args.seeds {
        None => train(args, &stop).map(drop),
        Some(seeds) => several(args, &seeds.0, &stop),
    }
}

/// A run for each seed, one after the other, and what they have in common.
fn several(args: &cli::Train, seeds: &[u64], stop: &Arc<AtomicBool>) -> Outcome {
    if let Some(out) = args.out.as_ref().filter(|out| out.exists()) {
        return Err(Failure::Input(format!("{} is there already: choose another --out", out.display())));
    }
    let mut done: Vec<(u64, PathBuf, Metric)> = Vec::new();
    let mut ended = Ok(());
    for &seed in seeds {
        agon::tell!("seed {seed}, {} of {}", done.len() + 1, seeds.len());
        let out = args.out.as_ref().map(|out| out.join(format!("seed-{seed}")));
        let one = cli::Train { seed: Some(seed), seeds: None, out, ..args.clone() };
        match train(&one, stop) {
            Ok((folder, metric)) => done.push((seed, folder, metric)),
            Err(failure) => {
                ended = Err(failure);
                break;
            }
        }
    }
    let means: Vec<f64> = done.iter().map(|(_, _, metric)| metric.value).collect();
    let Some(Metric { name, goal, .. }) = done.first().map(|(_, _, metric)| metric.clone()) else { return ended };
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let [worst, best] = if goal == Goal::Lowest { [high, low] } else { [low, high] };
    let spread = (n > 1.0).then(|| (means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt());
    if args.ui == cli::Ui::Json {
        let runs: Vec<Value> =
            done.iter().map(|(seed, run, metric)| json!({"seed": seed, "run": run, &name: metric.value})).collect();
        agon::say!(
            "{}",
            json!({"kind": "seeds", "runs": runs, "mean": mean, "worst": worst, "best": best, "deviation": spread})
        );
        return ended;
    }
    agon::say!("\n{:>20}{:>16}  run", "seed", name.replace('_', " "));
    for (seed, run, metric) in &done {
        agon::say!("{seed:>20}{:>16}  {}", number(metric.value), run.display());
    }
    for (name, value) in [("mean", Some(mean)), ("worst", Some(worst)), ("best", Some(best)), ("deviation", spread)] {
        if let Some(value) = value {
            agon::say!("{name:>20}{:>16}", number(value));
        }
    }
    ended
}
