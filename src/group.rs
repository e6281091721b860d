//! A group: one run for each of several seeds of a scenario, below one folder, and what their results have in common.

use crate::failure::{Failure, Outcome};
use crate::files;
use crate::run::{self, Run};
use agon_core::metric::Goal;
use agon_core::rng::{Rng, Stream};
use agon_core::{Metric, disk};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const FILE: &str = "group.json";
const FORMAT: &str = "agon-group 1";
/// Resamples behind an interval.
const RESAMPLES: usize = 10_000;

/// What began a group, so that it can go on: `group.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    format: String,
    /// The scenario: its absolute path, or the name of one that comes with Agon.
    pub scenario: PathBuf,
    /// The CRC-32C of the resolved scenario with the first seed: runs that have not begun must begin with the same.
    pub sum: u32,
    /// One run each.
    pub seeds: Vec<u64>,
    /// `--set`, in order.
    pub set: Vec<String>,
    /// The run or checkpoint whose weights all begin with.
    pub from: Option<String>,
}

impl Record {
    /// Of a new group.
    pub fn new(scenario: PathBuf, sum: u32, seeds: Vec<u64>, set: Vec<String>, from: Option<String>) -> Self {
        Self { format: FORMAT.into(), scenario, sum, seeds, set, from }
    }
}

/// A group's folder and what began it.
#[derive(Clone, Debug)]
pub struct Group {
    pub folder: PathBuf,
    pub record: Record,
}

impl Group {
    /// Whether a folder is one.
    pub fn is_one(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// A new one: in `out` if given (it must not exist), else in the next number below `<runs>/<scenario>/`.
    pub fn create(scenario: &str, out: Option<&Path>, record: Record) -> Outcome<Self> {
        let group = Self { folder: run::new_folder(scenario, out)?, record };
        group.write()?;
        Ok(group)
    }

    /// An existing one.
    pub fn open(folder: &Path) -> Outcome<Self> {
        let path = folder.join(FILE);
        let bytes = files::all(files::open(&path)?, &path)?;
        let wrong = |why: String| Failure::Input(format!("{}: not a group of runs: {why}", path.display()));
        let record: Record = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        if record.format != FORMAT || record.seeds.is_empty() {
            return Err(wrong(format!("its format is `{}`, with {} seeds", record.format, record.seeds.len())));
        }
        Ok(Self { folder: folder.to_owned(), record })
    }

    /// The group that a run is of.
    pub fn of(run: &Path) -> Option<Self> {
        let folder = run.parent().filter(|folder| Self::is_one(folder))?;
        Self::open(folder).ok().filter(|group| group.runs().any(|(_, own)| own.folder == run))
    }

    /// Writes `group.json`.
    pub fn write(&self) -> Outcome {
        let path = self.folder.join(FILE);
        let text = format!("{:#}\n", json!(self.record));
        disk::write(&path, text.as_bytes()).map_err(|e| Failure::write(&path, &e))
    }

    /// The run of a seed, whether it has begun or not.
    pub fn run(&self, seed: u64) -> Run {
        Run { folder: self.folder.join(format!("seed-{seed}")) }
    }

    /// All of them.
    pub fn runs(&self) -> impl Iterator<Item = (u64, Run)> {
        self.record.seeds.iter().map(|seed| (*seed, self.run(*seed)))
    }

    /// The final result of every run that has one.
    pub fn results(&self) -> Vec<(u64, Run, Metric)> {
        self.runs().filter_map(|(seed, run)| result(&run).map(|metric| (seed, run, metric))).collect()
    }
}

/// The deciding metric of a run's `evaluation.json`, once it is done.
pub fn result(run: &Run) -> Option<Metric> {
    let scores: Value = serde_json::from_str(&files::text(&run.path("evaluation.json"))?).ok()?;
    if let Ok(metric) = Metric::deserialize(&scores["metrics"][0]) {
        return Some(metric);
    }
    Some(Metric {
        name: Metric::MEAN_RETURN.into(),
        value: scores["mean_return"].as_f64()?,
        interval: None,
        ci95: scores["ci95"].as_f64(),
        goal: Goal::Highest,
        over: (scores["episodes"].as_u64().unwrap_or(0), "episodes".into()),
    })
}

/// What the results of several seeds have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub median: f64,
    /// The mean without the lowest and the highest quarter, rounded down (Agarwal et al. 2021): the mean of fewer than
    /// four.
    pub interquartile_mean: f64,
    pub worst: f64,
    pub best: f64,
    /// Standard deviation; none of a single seed.
    pub deviation: Option<f64>,
    /// 95 % percentile bootstrap interval of the mean over seeds; none of a single seed.
    pub interval: Option<[f64; 2]>,
    /// The same of the interquartile mean.
    pub interquartile_interval: Option<[f64; 2]>,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of sorted values.
fn interquartile_mean(sorted: &[f64]) -> f64 {
    let cut = sorted.len() / 4;
    mean(&sorted[cut..sorted.len() - cut])
}

/// The 95 % percentile interval of a statistic of sorted values, resampled with replacement.
fn bootstrap(values: &[f64], statistic: fn(&[f64]) -> f64) -> Option<[f64; 2]> {
    let n = u32::try_from(values.len()).ok().filter(|n| *n > 1)?;
    let mut rng = Rng::new(0, Stream::Shuffle, 0);
    let mut one = |_| {
        let mut drawn: Vec<f64> = (0..n).map(|_| values[rng.below(n) as usize]).collect();
        drawn.sort_by(f64::total_cmp);
        statistic(&drawn)
    };
    let mut found: Vec<f64> = (0..RESAMPLES).map(&mut one).collect();
    found.sort_by(f64::total_cmp);
    Some([found[RESAMPLES / 40], found[RESAMPLES - 1 - RESAMPLES / 40]])
}

impl Spread {
    /// Of one value a seed; none without values.
    pub fn of(values: &[f64], goal: Goal) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let n = sorted.len();
        let [worst, best] = match goal {
            Goal::Highest => [low, high],
            Goal::Lowest => [high, low],
            // The nearest to zero is the best.
            Goal::Zero => {
                let by_size = |a: &&f64, b: &&f64| a.abs().total_cmp(&b.abs());
                [*sorted.iter().max_by(by_size)?, *sorted.iter().min_by(by_size)?]
            }
        };
        let middle = mean(&sorted);
        let squares = sorted.iter().map(|x| (x - middle).powi(2)).sum::<f64>();
        Some(Self {
            mean: middle,
            median: (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
            interquartile_mean: interquartile_mean(&sorted),
            worst,
            best,
            deviation: (n > 1).then(|| (squares / (n as f64 - 1.0)).sqrt()),
            interval: bootstrap(&sorted, mean),
            interquartile_interval: bootstrap(&sorted, interquartile_mean),
        })
    }

    /// For `--json`.
    pub fn json(&self) -> Value {
        json!({
            "mean": self.mean, "median": self.median, "interquartile_mean": self.interquartile_mean,
            "worst": self.worst, "best": self.best, "deviation": self.deviation,
            "interval": self.interval, "interquartile_interval": self.interquartile_interval,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 1..=8 have the mean 4.5 and the middle half 3..=6; with 80 in place of 8 the interquartile mean stays.
    #[test]
    fn the_spread_is_that_of_the_definitions() {
        let mut values: Vec<f64> = (1..=8).rev().map(f64::from).collect();
        let spread = Spread::of(&values, Goal::Highest).unwrap();
        assert_eq!((spread.mean, spread.median, spread.interquartile_mean), (4.5, 4.5, 4.5));
        assert_eq!((spread.worst, spread.best), (1.0, 8.0));
        assert!((spread.deviation.unwrap() - 6f64.sqrt()).abs() < 1e-12);
        // The normal interval of the mean, with the deviation over n that resampling has: 1.96 √(5.25 / 8) = 1.588.
        let [low, high] = spread.interval.unwrap();
        assert!((low - 2.912).abs() < 0.15 && (high - 6.088).abs() < 0.15, "{low} {high}");
        values[0] = 80.0;
        let wide = Spread::of(&values, Goal::Lowest).unwrap();
        assert_eq!((wide.mean, wide.interquartile_mean, wide.worst, wide.best), (13.5, 4.5, 80.0, 1.0));
        let near = Spread::of(&[-3.0, 0.5, 2.0], Goal::Zero).unwrap();
        assert_eq!((near.worst, near.best, near.median), (-3.0, 0.5, 0.5));
    }

    #[test]
    fn one_seed_has_no_interval() {
        let one = Spread::of(&[3.0], Goal::Highest).unwrap();
        assert_eq!((one.mean, one.median, one.interval, one.deviation), (3.0, 3.0, None, None));
        assert_eq!(Spread::of(&[], Goal::Highest), None);
    }
}
