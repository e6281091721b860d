//! A quad-tree over points of a plane: what far groups of points do together is worked out at once (Barnes and Hut 1986).

use std::ops::Range;

/// Depth at which points are one: they differ by less than 2⁻⁴⁰ of the whole.
const DEEPEST: u32 = 40;

/// A square of the plane with the points in it.
struct Cell {
    /// The mean of its points.
    mean: [f64; 2],
    /// The square of its width.
    width: f64,
    /// Its points, by their places in the tree's order.
    places: Range<u32>,
    /// The cell that follows when nothing in this one is looked at; the next one where nothing is in it.
    next: u32,
}

/// The tree: cells before those in them.
pub struct QuadTree {
    cells: Vec<Cell>,
    /// Points so that those of a cell are beside each other.
    order: Vec<u32>,
}

impl QuadTree {
    /// Of these points, which are finite.
    pub fn new(points: &[[f64; 2]]) -> Self {
        let mut tree = Self { cells: Vec::new(), order: (0..points.len() as u32).collect() };
        let ends = |k: usize| points.iter().fold([f64::MAX, f64::MIN], |[a, b], p| [a.min(p[k]), b.max(p[k])]);
        let [[left, right], [low, high]] = [ends(0), ends(1)];
        if !points.is_empty() {
            let half = (right - left).max(high - low) / 2.0;
            tree.add(points, 0..points.len(), [f64::midpoint(left, right), f64::midpoint(low, high)], half, 0);
        }
        tree
    }

    /// Points so that near ones are near each other.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    fn add(&mut self, points: &[[f64; 2]], places: Range<usize>, middle: [f64; 2], half: f64, depth: u32) {
        let here = &mut self.order[places.clone()];
        let sum = here.iter().map(|p| points[*p as usize]).fold([0.0; 2], |sum, p| [sum[0] + p[0], sum[1] + p[1]]);
        let mean = sum.map(|sum| sum / here.len() as f64);
        let own = self.cells.len();
        let range = places.start as u32..places.end as u32;
        self.cells.push(Cell { mean, width: 4.0 * half * half, places: range, next: 0 });
        if places.len() > 1 && half > 0.0 && depth < DEEPEST {
            let up = places.start + part(here, |p| points[p as usize][1] >= middle[1]);
            for (rows, y) in [(places.start..up, -1.0), (up..places.end, 1.0)] {
                let right = rows.start + part(&mut self.order[rows.clone()], |p| points[p as usize][0] >= middle[0]);
                for (places, x) in [(rows.start..right, -1.0), (right..rows.end, 1.0)] {
                    if !places.is_empty() {
                        let middle = [middle[0] + x * half / 2.0, middle[1] + y * half / 2.0];
                        self.add(points, places, middle, half / 2.0, depth + 1);
                    }
                }
            }
        }
        self.cells[own].next = self.cells.len() as u32;
    }

    /// What all other points do to the point at this place of [`Self::order`]: Σ q² (y − yⱼ) and Σ q, with q = 1 / (1 + |y −
    /// yⱼ|²). A cell whose width is less than `angle` of its distance counts as its mean; with 0 nothing is approximate.
    pub fn repulsion(&self, points: &[[f64; 2]], place: usize, angle: f64) -> ([f64; 2], f64) {
        let ([x, y], mut force, mut sum) = (points[self.order[place] as usize], [0.0; 2], 0.0);
        let mut at = 0;
        while let Some(cell) = self.cells.get(at) {
            let off = [x - cell.mean[0], y - cell.mean[1]];
            let far = off[0] * off[0] + off[1] * off[1];
            let (leaf, inside) = (cell.next as usize == at + 1, cell.places.contains(&(place as u32)));
            if leaf || (!inside && cell.width < angle * angle * far) {
                // A point does nothing to itself.
                let count = cell.places.len() as f64 - f64::from(u8::from(inside));
                let q = 1.0 / (1.0 + far);
                sum += count * q;
                force = [force[0] + count * q * q * off[0], force[1] + count * q * q * off[1]];
                at = cell.next as usize;
            } else {
                at += 1;
            }
        }
        (force, sum)
    }
}

/// Moves what is on the second side behind the rest; where it begins.
fn part(all: &mut [u32], second: impl Fn(u32) -> bool) -> usize {
    let (mut from, mut to) = (0, all.len());
    while from < to {
        if second(all[from]) {
            to -= 1;
            all.swap(from, to);
        } else {
            from += 1;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::{Rng, Stream};

    fn exact(points: &[[f64; 2]], i: usize) -> ([f64; 2], f64) {
        let (mut force, mut sum) = ([0.0; 2], 0.0);
        for (_, other) in points.iter().enumerate().filter(|(j, _)| *j != i) {
            let off = [points[i][0] - other[0], points[i][1] - other[1]];
            let q = 1.0 / (1.0 + off[0] * off[0] + off[1] * off[1]);
            (force, sum) = ([force[0] + q * q * off[0], force[1] + q * q * off[1]], sum + q);
        }
        (force, sum)
    }

    /// Clusters, with points that are the same or nearly so.
    #[test]
    fn sums_are_those_of_all_pairs() {
        let mut rng = Rng::new(1, Stream::Env, 0);
        let mut points: Vec<[f64; 2]> =
            (0..500).map(|i| [20.0 * f64::from(i % 3) + rng.normal(), 9.0 * f64::from(i % 2) + rng.normal()]).collect();
        (points[7], points[8], points[9]) = (points[4], points[4], [points[4][0] + 1e-300, points[4][1]]);
        let tree = QuadTree::new(&points);
        let (mut off, mut size) = (0.0, 0.0);
        for (place, point) in tree.order().iter().enumerate() {
            let (force, sum) = exact(&points, *point as usize);
            let (all, all_sum) = tree.repulsion(&points, place, 0.0);
            assert!((all_sum / sum - 1.0).abs() < 1e-9 && (all[0] - force[0]).abs() + (all[1] - force[1]).abs() < 1e-9);
            let (some, some_sum) = tree.repulsion(&points, place, 0.5);
            assert!((some_sum / sum - 1.0).abs() < 0.05, "{some_sum} {sum}");
            off += (some[0] - force[0]).powi(2) + (some[1] - force[1]).powi(2);
            size += force[0].powi(2) + force[1].powi(2);
        }
        assert!((off / size).sqrt() < 0.02, "{}", (off / size).sqrt());
    }

    #[test]
    fn few_points_are_no_trouble() {
        assert!(QuadTree::new(&[]).order().is_empty());
        for points in [vec![[1.0, 2.0]], vec![[1.0, 2.0]; 5]] {
            let (force, sum) = QuadTree::new(&points).repulsion(&points, 0, 0.5);
            assert_eq!((force, sum), ([0.0; 2], points.len() as f64 - 1.0));
        }
    }
}
