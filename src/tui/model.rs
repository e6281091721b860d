//! All that the dashboard knows. No input, no output: events and keys in, a picture out.

use super::pictures::Choice;
use crate::raster::Orbit;
use agon_core::event::{Chart, Event, RunOutcome, UPPER_BOUND};
use agon_core::plot::{self, Plot};
use agon_core::scene::Scene;
use std::collections::BTreeMap;

/// A curve that never grows past `MOST` points: when full, neighbours are merged.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    pub points: Vec<Point>,
    every: u64,
    seen: u64,
}

/// A point and the band around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub step: f64,
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

const MOST: usize = 1024;

impl Curve {
    pub fn push(&mut self, p: Point) {
        self.every = self.every.max(1);
        let open = !self.seen.is_multiple_of(self.every);
        match self.points.last_mut() {
            Some(last) if open => {
                let n = (self.seen % self.every) as f64;
                last.mean = (last.mean * n + p.mean) / (n + 1.0);
                (last.low, last.high, last.step) = (last.low.min(p.low), last.high.max(p.high), p.step);
            }
            _ => self.points.push(p),
        }
        self.seen += 1;
        if self.points.len() > MOST {
            self.every *= 2;
            self.points = self.points.chunks(2).map(merge).collect();
        }
    }

    /// Exponentially smoothed means; the window grows with the curve.
    pub fn smooth(&self) -> Vec<(f64, f64)> {
        let keep = 1.0 - 1.0 / (self.points.len() as f64 / 25.0).clamp(1.0, 20.0);
        let (mut sum, mut weight) = (0.0, 0.0);
        let step = |p: &Point| {
            sum = sum * keep + p.mean;
            weight = weight * keep + 1.0;
            (p.step, sum / weight)
        };
        self.points.iter().map(step).collect()
    }

    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|p| p.mean)
    }
}

fn merge(pair: &[Point]) -> Point {
    let n = pair.len() as f64;
    Point {
        step: pair[pair.len() - 1].step,
        mean: pair.iter().map(|p| p.mean).sum::<f64>() / n,
        low: pair.iter().map(|p| p.low).fold(f64::INFINITY, f64::min),
        high: pair.iter().map(|p| p.high).fold(f64::NEG_INFINITY, f64::max),
    }
}

/// Speed as it was told last.
#[derive(Clone, Debug, Default)]
pub struct Speed {
    pub seconds: f64,
    pub steps_per_second: f64,
    pub shares: [f64; 4],
    pub memory: f64,
}

/// Everything about one run.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub name: String,
    /// The run's folder.
    pub run: String,
    pub device: String,
    pub seed: u64,
    pub step: u64,
    pub steps: u64,
    pub may_end_early: bool,
    /// Seconds after which it ends, where it has so many.
    pub most_seconds: Option<f64>,
    pub chart: Chart,
    pub returns: Curve,
    pub episodes: u64,
    pub evaluations: Vec<Point>,
    /// The metric that evaluations show, where it is not the mean return.
    pub metric: Option<String>,
    pub scalars: BTreeMap<String, Curve>,
    pub speed: Option<Speed>,
    pub frame: Option<Scene>,
    /// What it has learned of its data.
    pub plots: Vec<Plot>,
    /// Which of the pictures is shown.
    pub choice: Choice,
    /// Where the camera of a picture in three dimensions was turned to.
    pub orbit: Orbit,
    /// What `frame` shows.
    pub frame_of: String,
    /// Whether this only looks at a run that another process makes.
    pub watching: bool,
    /// Whether it ended without saying so.
    pub dead: bool,
    pub saved: Option<u64>,
    pub outcome: Option<RunOutcome>,
    pub optimum: Option<f64>,
    /// What else evaluations are compared with.
    pub levels: Vec<(String, f64)>,
    pub help: bool,
    pub asking: bool,
    pub note: String,
    /// Seconds since anything was heard of the run.
    pub quiet: u64,
}

impl Model {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Started { scenario, seed, steps, may_end_early, most_seconds, chart, optimum } => {
                self.name.clone_from(scenario);
                self.chart.clone_from(chart);
                (self.seed, self.steps, self.may_end_early) = (*seed, *steps, *may_end_early);
                self.most_seconds = *most_seconds;
                self.optimum = optimum.or(self.optimum);
            }
            Event::Scalars { step, values } => {
                self.step = self.step.max(*step);
                for (name, v) in values {
                    let point = Point { step: *step as f64, mean: *v, low: *v, high: *v };
                    self.scalars.entry(name.clone()).or_default().push(point);
                }
            }
            Event::Episodes { step, count, mean, low, high, .. } => {
                self.step = self.step.max(*step);
                self.episodes += count;
                self.returns.push(Point { step: *step as f64, mean: *mean, low: *low, high: *high });
            }
            Event::Evaluated { step, mean, ci95, metrics, .. } => {
                self.metric = metrics.first().map(|m| m.name.clone());
                let half = ci95.unwrap_or(0.0);
                self.evaluations.push(Point { step: *step as f64, mean: *mean, low: mean - half, high: mean + half });
            }
            Event::Saved { step, .. } => self.saved = Some(*step),
            Event::Speed { step, seconds, steps_per_second, shares, memory } => {
                self.step = self.step.max(*step);
                self.speed = Some(Speed {
                    seconds: *seconds,
                    steps_per_second: *steps_per_second,
                    shares: *shares,
                    memory: *memory,
                });
            }
            Event::Note(note) => self.note.clone_from(note),
            // What has nothing to draw sends an empty one.
            Event::Frame(scene) => self.frame = (**scene != Scene::default()).then(|| (**scene).clone()),
            Event::Plots(new) => plot::renew(&mut self.plots, new),
            Event::Levels { values } => self.levels.clone_from(values),
            Event::Finished { outcome, .. } => self.outcome = Some(*outcome),
        }
    }

    /// Whether it learns from data, and acts nowhere.
    pub fn is_of_data(&self) -> bool {
        self.episodes == 0 && self.frame.is_none() && matches!(self.chart, Chart::Scalars(_))
    }

    /// The keys that turn the camera, where there is one, and those that choose a picture.
    pub fn picture_keys(&self) -> String {
        let camera = if self.frame.as_ref().is_some_and(|frame| frame.space.is_some()) { Orbit::KEYS } else { "" };
        let choice = self.choice.keys(self.frame.as_ref(), &self.plots, "← →");
        [choice.as_str(), camera].into_iter().filter(|keys| !keys.is_empty()).collect::<Vec<_>>().join("   ")
    }

    /// What no policy can exceed, where that is known.
    pub fn bound(&self) -> Option<f64> {
        self.levels.iter().find(|(name, _)| name == UPPER_BOUND).map(|(_, value)| *value)
    }

    /// Seconds to the end at the present speed, or to the end of its time, of a run that goes on.
    pub fn remaining(&self) -> Option<f64> {
        if self.dead || self.outcome.is_some() {
            return None;
        }
        let speed = self.speed.as_ref().filter(|s| s.steps_per_second > 0.0)?;
        let at_speed = self.steps.saturating_sub(self.step) as f64 / speed.steps_per_second;
        Some(self.most_seconds.map_or(at_speed, |most| at_speed.min((most - speed.seconds).max(0.0))))
    }

    /// What [`Self::remaining`] promises, in words.
    pub fn left(&self) -> Option<String> {
        let most = if self.may_end_early { "at most " } else { "" };
        self.remaining().map(|s| format!("{most}{}", super::pane::duration(s)))
    }

    /// The share of the steps that were made.
    pub fn progress(&self) -> f64 {
        if self.steps == 0 { 0.0 } else { (self.step as f64 / self.steps as f64).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A search with so many minutes ends with them, however many models it could still try.
    #[test]
    fn no_more_time_is_left_than_a_run_has() {
        let mut model = Model::default();
        let chart = Chart::default();
        model.apply(&Event::Started {
            scenario: "search".into(),
            seed: 1,
            steps: 1000,
            may_end_early: true,
            most_seconds: Some(60.0),
            chart,
            optimum: None,
        });
        let mut left = |seconds: f64, steps_per_second: f64| {
            model.apply(&Event::Speed { step: 10, seconds, steps_per_second, shares: [0.25; 4], memory: 0.0 });
            model.remaining()
        };
        assert_eq!(left(20.0, 0.5), Some(40.0));
        assert_eq!(left(20.0, 99.0), Some(10.0));
        assert_eq!(left(61.0, 0.5), Some(0.0));
    }

    #[test]
    fn a_full_curve_keeps_its_ends_and_its_mean() {
        let mut curve = Curve::default();
        for i in 0..5000 {
            let x = f64::from(i);
            curve.push(Point { step: x, mean: x, low: x - 1.0, high: x + 1.0 });
        }
        assert!(curve.points.len() <= MOST);
        assert_eq!(curve.points.last().map(|p| p.step), Some(4999.0));
        assert_eq!(curve.points.first().map(|p| p.low), Some(-1.0));
        assert!(curve.points.windows(2).all(|w| w[0].step < w[1].step && w[0].mean < w[1].mean));
    }
}
