//! The rows of a table as points: on the map that a model makes, else along their first two principal components; in the
//! colours of their classes where these are known, else of their clusters, or of how unusual they are.

use super::agreement::{rows_of, sample};
use super::inputs::Inputs;
use super::pca::first_two;
use super::{Found, Learner};
use crate::agent::AgentError;
use crate::data::dataset::Dataset;
use crate::data::encode::Matrix;
use agon_core::plot::{Body, MOST_POINTS, Plot, Points};
use agon_core::rng::{Rng, Stream};
use std::cell::OnceCell;

/// Numbers of the training part that components are worked out of at most, for rows evenly spread over it; and rows at least.
const NUMBERS: usize = 20_000_000;
const LEAST: usize = 1000;
/// The share of rows that are shown as unusual.
const UNUSUAL: f64 = 0.01;

/// Refuses a map of so few rows that there is nothing to be seen.
///
/// # Errors
/// [`AgentError::Data`].
pub fn enough_rows(rows: usize) -> Result<(), AgentError> {
    match rows {
        0..4 => Err(AgentError::Data(format!("a map takes at least 4 rows, and here are {rows}"))),
        _ => Ok(()),
    }
}

/// The rows that are shown.
pub struct Picture {
    /// Their places in the table, in rising order.
    rows: Vec<usize>,
    /// Of how many.
    all: usize,
    x: Matrix,
    /// The names of the classes, and that of each row; nothing where none are known.
    classes: Vec<String>,
    class: Vec<u32>,
    /// Their components, worked out once.
    components: OnceCell<Option<Vec<[f64; 2]>>>,
}

impl Picture {
    /// Of all rows of a table, or of a sample that the seed draws.
    pub fn new(data: &Dataset, inputs: &Inputs, seed: u64) -> Self {
        let all = data.lines.len();
        let mut rows: Vec<usize> = (0..all).collect();
        if all > MOST_POINTS {
            Rng::new(seed, Stream::Eval, u32::MAX).shuffle(&mut rows);
            rows.truncate(MOST_POINTS);
            rows.sort_unstable();
        }
        let classes = data.target.classes.clone();
        let class =
            if classes.is_empty() { Vec::new() } else { rows.iter().map(|r| data.target.y[*r] as u32).collect() };
        let x = inputs.encode(&data.inputs(), &rows).0;
        Self { rows, all, x, classes, class, components: OnceCell::new() }
    }

    /// What a learner says of them; none before it has a map, where it makes one. `train`: what components are of.
    pub fn plot(&self, learner: &dyn Learner, train: &Matrix, is_map: bool) -> Option<Plot> {
        let (places, axes): (Vec<[f64; 2]>, _) = if is_map {
            let map = learner.map()?;
            let place = |row: &usize| [map.row(*row)[0], map.row(*row)[1]];
            (self.rows.iter().map(place).collect(), ["", ""])
        } else {
            let found = self.components.get_or_init(|| {
                let some = sample(train.rows(), (NUMBERS / train.width.max(1)).max(LEAST));
                first_two(&rows_of(train, &some), &self.x).ok()
            });
            (found.clone()?, ["component 1", "component 2"])
        };
        // A picture need not show how far a number is that no screen has room for.
        let at = places.iter().map(|at| at.map(|x| x.clamp(-1e30, 1e30) as f32)).collect();
        let points = Points { at, axes: axes.map(String::from), ..Points::default() };
        let (by, points) = match () {
            () if !self.class.is_empty() => (" by class", points.in_groups(&self.classes, &self.class)),
            () if learner.step() == 0 || is_map => ("", points),
            () => grouped(points, &learner.read(&self.x)),
        };
        let rows = if self.rows.len() < self.all {
            format!("{} of {} rows{by}", self.rows.len(), self.all)
        } else {
            format!("rows{by}")
        };
        Some(Plot { title: rows, body: Body::Points(points) })
    }
}

/// By clusters, or by how unusual rows are.
fn grouped(points: Points, found: &Found) -> (&'static str, Points) {
    if found.clusters > 0 {
        let names: Vec<String> =
            (1..=found.clusters).map(|c| format!("cluster {c}")).chain(["no cluster".into()]).collect();
        let of: Vec<u32> = found.cluster.iter().map(|c| c.unwrap_or(found.clusters as u32)).collect();
        return (" by cluster", points.in_groups(&names, &of));
    }
    let mut scores = found.anomaly.clone();
    scores.retain(|score| score.is_finite());
    scores.sort_by(f64::total_cmp);
    let last = scores.len() as f64 * (1.0 - UNUSUAL);
    let Some(edge) = scores.get(last as usize) else { return ("", points) };
    let names = ["usual", "the most unusual 1 %"].map(String::from);
    let of: Vec<u32> = found.anomaly.iter().map(|score| u32::from(score >= edge)).collect();
    ("", points.in_groups(&names, &of))
}
