//! Curves over a common axis, such as prices over weeks or sales over prices, for any front end to draw; independent of
//! drawing libraries.

use serde::{Deserialize, Serialize};

/// A graph. All numbers in it are finite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// What it is of, such as a product; empty where there is only one.
    pub name: String,
    /// What the axes are, with units.
    pub axes: [String; 2],
    /// Where lines surely are, or are allowed to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<Band>,
    /// Lines, the one that matters most first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Curve>,
    /// Points beside them, such as data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Curve>,
    /// Straight lines across all of it, each at its height.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<(String, f32)>,
}

/// Points by x, and what they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What it is.
    pub name: String,
    /// x and y.
    pub at: Vec<[f32; 2]>,
}

/// What lies between two lines, by x, and what it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// What it is.
    pub name: String,
    /// x, low, high.
    pub at: Vec<[f32; 3]>,
}

impl Graph {
    /// Left, right, bottom, top of all that is drawn, the latter two with a margin.
    pub fn bounds(&self) -> [f64; 4] {
        let curves = self.lines.iter().chain(&self.points).flat_map(|curve| curve.at.iter().copied());
        let band = self.band.iter().flat_map(|band| &band.at).flat_map(|[x, low, high]| [[*x, *low], [*x, *high]]);
        let mut ends = around(curves.chain(band));
        for level in self.levels.iter().map(|(_, level)| f64::from(*level)) {
            (ends[2], ends[3]) = (ends[2].min(level), ends[3].max(level));
        }
        let [left, right, bottom, top] = widened(ends);
        if ends[0] < ends[1] { [ends[0], ends[1], bottom, top] } else { [left, right, bottom, top] }
    }

    /// Adds what a later graph of the same shows to the right of this one.
    pub fn go_on(&mut self, later: &Self) {
        for (own, other) in self.lines.iter_mut().chain(&mut self.points).zip(later.lines.iter().chain(&later.points)) {
            let last = own.at.last().map_or(f32::NEG_INFINITY, |at| at[0]);
            own.at.extend(other.at.iter().filter(|at| at[0] > last));
        }
        if let (Some(own), Some(other)) = (&mut self.band, &later.band) {
            let last = own.at.last().map_or(f32::NEG_INFINITY, |at| at[0]);
            own.at.extend(other.at.iter().filter(|at| at[0] > last));
        }
    }
}

/// Left, right, bottom, top of points; of none each end is beyond the other.
pub(crate) fn around(points: impl Iterator<Item = [f32; 2]>) -> [f64; 4] {
    let mut ends = [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY];
    for [x, y] in points.map(|at| at.map(f64::from)) {
        ends = [ends[0].min(x), ends[1].max(x), ends[2].min(y), ends[3].max(y)];
    }
    ends
}

/// The same with a margin, so that what is at an end is seen.
pub(crate) fn widened(mut ends: [f64; 4]) -> [f64; 4] {
    for pair in [0, 2] {
        if ends[pair] > ends[pair + 1] {
            (ends[pair], ends[pair + 1]) = (0.0, 1.0);
        }
        // All on one line are in its middle.
        let margin = ((ends[pair + 1] - ends[pair]) * 0.02).max(1e-6 + ends[pair].abs() * 1e-6);
        (ends[pair], ends[pair + 1]) = (ends[pair] - margin, ends[pair + 1] + margin);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(at: &[[f32; 2]]) -> Graph {
        let band = Band { name: "allowed".into(), at: at.iter().map(|[x, y]| [*x, y - 1.0, y + 1.0]).collect() };
        let lines = vec![Curve { name: "price".into(), at: at.to_vec() }];
        Graph { band: Some(band), lines, levels: vec![("Nash".into(), 9.0)], ..Graph::default() }
    }

    #[test]
    fn bounds_hold_lines_bands_and_levels() {
        let [left, right, bottom, top] = graph(&[[1.0, 5.0], [3.0, 2.0]]).bounds();
        assert!(left == 1.0 && right == 3.0 && bottom < 1.0 && bottom > 0.8 && top > 9.0 && top < 9.3);
        assert!(Graph::default().bounds().iter().all(|end| end.is_finite()));
    }

    /// Graphs of the last weeks, one after the other, are one of all weeks; what both have is there once.
    #[test]
    fn graphs_go_on_where_they_ended() {
        let all: Vec<[f32; 2]> = (0..10u8).map(|x| [f32::from(x), f32::from(x * x)]).collect();
        let mut whole = graph(&all[..4]);
        [&all[2..6], &all[6..9], &all[..0], &all[5..]].into_iter().for_each(|part| whole.go_on(&graph(part)));
        assert_eq!(whole, graph(&all));
    }
}
