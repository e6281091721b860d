//! `agon runs`: what is on disk.

use crate::cli;
use crate::failure::{Outcome, quoted};
use crate::files;
use crate::run::{Run, Tail, root};
use agon_core::event::Event;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Every run and tournament below a folder, the newest last: when its state was told, and its folder.
pub fn all(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    fn collect(folder: &Path, depth: usize, found: &mut Vec<(SystemTime, PathBuf)>) {
        let status = folder.join("status.json");
        if let Ok(time) = status.metadata().and_then(|m| m.modified()) {
            found.push((time, folder.to_owned()));
        } else if depth > 0 {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
                collect(&entry.path(), depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    collect(folder, 4, &mut found);
    found.sort();
    found
}

/// One line of the list.
struct Row {
    folder: PathBuf,
    state: String,
    step: u64,
    steps: u64,
    /// The newest evaluation: mean and half the width of its 95 % interval.
    score: Option<(f64, Option<f64>)>,
    age: u64,
}

fn row((told, folder): (SystemTime, PathBuf)) -> Option<Row> {
    let run = Run::open(&folder).ok()?;
    let status = run.read_status().unwrap_or(Value::Null);
    let state = status["state"].as_str().unwrap_or("unknown");
    // Who was killed could not say so; but the lock is free.
    let state = if state == "running" && !run.is_live() { "stopped" } else { state }.to_owned();
    let events = Tail::new(run.path("metrics.jsonl")).poll().1;
    let score = events.iter().rev().find_map(|event| match event {
        Event::Evaluated { mean, ci95, .. } => Some((*mean, *ci95)),
        _ => None,
    });
    let final_score = || -> Option<(f64, Option<f64>)> {
        let text = files::text(&run.path("evaluation.json"))?;
        let scores: Value = serde_json::from_str(&text).ok()?;
        Some((scores["mean_return"].as_f64()?, scores["ci95"].as_f64()))
    };
    Some(Row {
        state,
        step: status["step"].as_u64().unwrap_or(0),
        steps: status["steps"].as_u64().unwrap_or(0),
        score: final_score().or(score),
        age: told.elapsed().map_or(0, |age| age.as_secs()),
        folder,
    })
}

fn ago(seconds: u64) -> String {
    match seconds {
        s if s < 60 => format!("{s} s ago"),
        s if s < 3600 => format!("{} min ago", s / 60),
        s if s < 86400 => format!("{} h ago", s / 3600),
        s => format!("{} days ago", s / 86400),
    }
}

/// `agon runs`.
pub fn run(args: &cli::Runs) -> Outcome {
    let folder = args.folder.clone().unwrap_or_else(root);
    let rows: Vec<Row> = all(&folder).into_iter().rev().filter_map(row).collect();
    if args.json.json {
        let one = |r: &Row| {
            json!({"run": r.folder, "state": r.state, "step": r.step, "steps": r.steps, "seconds_ago": r.age,
                   "mean_return": r.score.map(|s| s.0), "ci95": r.score.and_then(|s| s.1)})
        };
        crate::say!("{}", Value::Array(rows.iter().map(one).collect()));
        return Ok(());
    }
    if rows.is_empty() {
        crate::say!("no run below {}: `agon train classic/cartpole` makes one", quoted(&folder));
        return Ok(());
    }
    for r in &rows {
        let score = r.score.map_or(String::new(), |(mean, ci95)| {
            let half = ci95.map_or(String::new(), |half| format!(" ± {half:.2}"));
            format!("{mean:.2}{half}")
        });
        let done = format!("{} of {}", r.step, r.steps);
        crate::say!("{:<44} {:<11} {done:>24} {score:>24}  {}", quoted(&r.folder), r.state, ago(r.age));
    }
    Ok(())
}
