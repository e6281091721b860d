//! `agon runs`: what is on disk.

use crate::cli;
use crate::failure::{Outcome, quoted};
use crate::group::{self, Group, Spread};
use crate::run::{Run, Tail, root};
use crate::tui::pane::number;
use agon_core::Metric;
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
    collect(folder, 5, &mut found);
    found.sort();
    found
}

/// One line of the list.
struct Row {
    folder: PathBuf,
    state: String,
    step: u64,
    steps: u64,
    /// The newest evaluation.
    score: Option<Score>,
    age: u64,
}

/// A mean return, or the metric that decides.
struct Score {
    name: String,
    value: f64,
    /// Half the width of its 95 % interval.
    ci95: Option<f64>,
}

impl Score {
    fn of_metric(metric: &Metric) -> Self {
        Self { name: metric.name.clone(), value: metric.value, ci95: metric.half() }
    }

    fn mean_return(value: f64, ci95: Option<f64>) -> Self {
        Self { name: Metric::MEAN_RETURN.into(), value, ci95 }
    }
}

fn row((told, folder): (SystemTime, PathBuf)) -> Option<Row> {
    let run = Run::open(&folder).ok()?;
    let status = run.read_status().unwrap_or(Value::Null);
    let state = status["state"].as_str().unwrap_or("unknown");
    // Who was killed could not say so; but the lock is free.
    let state = if state == "running" && !run.is_live() { "stopped" } else { state }.to_owned();
    let events = Tail::new(run.path("metrics.jsonl")).poll().1;
    let score = events.iter().rev().find_map(|event| match event {
        Event::Evaluated { mean, ci95, metrics, .. } => {
            Some(metrics.first().map_or_else(|| Score::mean_return(*mean, *ci95), Score::of_metric))
        }
        _ => None,
    });
    let final_score = || group::result(&run).map(|metric| Score::of_metric(&metric));
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
            json!({"run": r.folder, "group": Group::of(&r.folder).map(|group| group.folder), "state": r.state, "step": r.step, "steps": r.steps, "seconds_ago": r.age,
                   "metric": r.score.as_ref().map(|s| &s.name),
                   "mean_return": r.score.as_ref().filter(|s| s.name == Metric::MEAN_RETURN).map(|s| s.value),
                   "value": r.score.as_ref().map(|s| s.value), "ci95": r.score.as_ref().and_then(|s| s.ci95)})
        };
        crate::say!("{}", Value::Array(rows.iter().map(one).collect()));
        return Ok(());
    }
    if rows.is_empty() {
        crate::say!("no run below {}: `agon train classic/cartpole` makes one", quoted(&folder));
        return Ok(());
    }
    let mut told: Vec<PathBuf> = Vec::new();
    for r in &rows {
        match Group::of(&r.folder) {
            Some(group) if told.contains(&group.folder) => continue,
            Some(group) => {
                tell_group(&group);
                rows.iter().filter(|other| other.folder.parent() == Some(&group.folder)).for_each(tell);
                told.push(group.folder);
            }
            None => tell(r),
        }
    }
    Ok(())
}

/// The line above the runs of a group.
fn tell_group(group: &Group) {
    let results = group.results();
    let values: Vec<f64> = results.iter().map(|(.., metric)| metric.value).collect();
    let goal = results.first().map(|(.., metric)| metric.goal);
    let spread = goal.and_then(|goal| Spread::of(&values, goal));
    let mean = spread.map_or(String::new(), |s| {
        let half = s.deviation.map_or(String::new(), |d| format!(", deviation {}", number(d)));
        format!("mean {}, worst {}{half}", number(s.mean), number(s.worst))
    });
    let done = format!("{} of {} seeds done", values.len(), group.record.seeds.len());
    crate::say!("{:<44} {:<11} {done:>24}  {mean}", quoted(&group.folder), "group");
}

fn tell(r: &Row) {
    let score = r.score.as_ref().map_or(String::new(), |Score { name, value, ci95 }| {
        let (named, d) = if name == Metric::MEAN_RETURN { ("", 2) } else { (name.as_str(), 4) };
        let half = ci95.map_or(String::new(), |half| format!(" ± {half:.d$}"));
        format!("{named} {value:.d$}{half}").trim_start().to_owned()
    });
    let done = format!("{} of {}", r.step, r.steps);
    crate::say!("{:<44} {:<11} {done:>24} {score:>24}  {}", quoted(&r.folder), r.state, ago(r.age));
}
