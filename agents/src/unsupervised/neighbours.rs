//! The nearest other rows of each row, by all pairs; and how well a map keeps them.

use super::agreement::sample;
use super::{rows_of_part, squared};
use crate::agent::{AgentError, Stop, go_on};
use crate::data::encode::Matrix;
use agon_core::thread_pool::ThreadPool;

/// A squared distance, and the row that is so far.
pub type Far = (f64, u32);

fn order(a: &Far, b: &Far) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// Rows whose neighbours are looked for side by side: the others are read once for all of them.
const SIDE_BY_SIDE: usize = 4;
/// Candidates that are kept before all but the nearest are let go, as a multiple of what is wanted.
const KEPT: usize = 4;

/// The squared distance of two rows, summed in eight lanes.
#[inline(always)]
fn squared_in_lanes(a: &[f64], b: &[f64]) -> f64 {
    let (a, rest_a) = a.as_chunks::<8>();
    let (b, rest_b) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for l in 0..8 {
            let off = a[l] - b[l];
            sums[l] = off.mul_add(off, sums[l]);
        }
    }
    let rest = rest_a.iter().zip(rest_b).fold(0.0, |sum, (a, b)| (a - b).mul_add(a - b, sum));
    let [a, b, c, d, e, f, g, h] = sums;
    (((a + b) + (c + d)) + ((e + f) + (g + h))) + rest
}

/// Rows, up to [`SIDE_BY_SIDE`], of which the nearest in a table are looked for: numbers, and their own place in the table
/// where they have one. No closure: with closures `dispatch` called generic code.
struct Search<'a> {
    x: &'a Matrix,
    rows: &'a [(&'a [f64], Option<usize>)],
    far: &'a mut [Vec<Far>; SIDE_BY_SIDE],
    /// The nearest of each, the nearest first; of equally near ones the first row.
    out: &'a mut [Far],
}

impl pulp::NullaryFnOnce for Search<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let count = self.out.len() / self.rows.len();
        let mut bounds = [f64::INFINITY; SIDE_BY_SIDE];
        self.far.iter_mut().for_each(Vec::clear);
        for (o, other) in self.x.x.chunks_exact(self.x.width).enumerate() {
            for (((row, own), far), bound) in self.rows.iter().zip(self.far.iter_mut()).zip(&mut bounds) {
                let d = squared_in_lanes(row, other);
                if d > *bound || *own == Some(o) {
                    continue;
                }
                far.push((d, o as u32));
                if far.len() > KEPT * count {
                    far.select_nth_unstable_by(count - 1, order);
                    far.truncate(count);
                    *bound = far[count - 1].0;
                }
            }
        }
        for (far, out) in self.far.iter_mut().zip(self.out.chunks_exact_mut(count)) {
            far.select_nth_unstable_by(count - 1, order);
            far[..count].sort_unstable_by(order);
            out.copy_from_slice(&far[..count]);
        }
    }
}

/// The nearest others of one row of a table, the nearest first; of equally near ones the first row.
fn nearest_of(x: &Matrix, row: usize, out: &mut [Far]) {
    let rows = [(x.row(row), Some(row))];
    pulp::Arch::new().dispatch(Search { x, rows: &rows, far: &mut Default::default(), out });
}

/// The rows of a table that are nearest to one that is not of it, the nearest first. `out` has from 1 to as many places as
/// the table has rows.
pub fn nearest_of_new(x: &Matrix, row: &[f64], out: &mut [Far]) {
    pulp::Arch::new().dispatch(Search { x, rows: &[(row, None)], far: &mut Default::default(), out });
}

/// The `count` nearest others of each row, `[rows, count]`, the nearest first. `count` is at least 1 and below the number of
/// rows.
///
/// # Errors
/// [`AgentError::Stopped`] if it was asked to stop.
pub fn nearest(x: &Matrix, count: usize, pool: &ThreadPool, stop: Stop<'_>) -> Result<Vec<Far>, AgentError> {
    let n = x.rows();
    let mut found = vec![(0.0, 0); n * count];
    let size = rows_of_part(n);
    let mut parts: Vec<&mut [Far]> = found.chunks_mut(size * count).collect();
    pool.each(&mut parts, |i, part| {
        let mut far = <[Vec<Far>; SIDE_BY_SIDE]>::default();
        for (some, out) in part.chunks_mut(SIDE_BY_SIDE * count).enumerate() {
            let first = i * size + some * SIDE_BY_SIDE;
            if some.is_multiple_of(16) && stop() {
                return;
            }
            let rows: Vec<_> = (first..first + out.len() / count).map(|row| (x.row(row), Some(row))).collect();
            pulp::Arch::new().dispatch(Search { x, rows: &rows, far: &mut far, out });
        }
    });
    go_on(stop)?;
    Ok(found)
}

/// How well a map keeps neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// Trustworthiness (Venna and Kaski 2001, as in scikit-learn): 1 where all neighbours on the map are neighbours, less the
    /// farther away from each other they truly are.
    pub trustworthiness: f64,
    /// The share of the nearest neighbours that are the nearest on the map too.
    pub shared: f64,
    /// Rows whose neighbours were looked at.
    pub rows: usize,
}

/// How well `map` keeps the `k` nearest neighbours of rows, of at most `most` rows evenly spread over the table among all
/// rows. None where there are fewer than 2 k + 1 rows: then it is not defined.
pub fn kept(x: &Matrix, map: &Matrix, k: usize, most: usize, pool: &ThreadPool) -> Option<Kept> {
    let n = x.rows();
    if k == 0 || n < 2 * k + 1 {
        return None;
    }
    let rows = sample(n, most);
    // Of each row how much farther its neighbours on the map are than they may be, and how many are neighbours.
    let mut found = vec![(0usize, 0usize); rows.len()];
    let size = rows.len().div_ceil(super::PARTS);
    let mut parts: Vec<_> = found.chunks_mut(size).zip(rows.chunks(size)).collect();
    pool.each(&mut parts, |_, (found, rows)| {
        let (mut far, mut near) = (Vec::with_capacity(n), vec![(0.0, 0); k]);
        for (found, row) in found.iter_mut().zip(rows.iter()) {
            nearest_of(map, *row, &mut near);
            far.clear();
            far.extend((0..n).filter(|o| o != row).map(|o| (squared(x.row(*row), x.row(o)), o as u32)));
            for (_, other) in &near {
                let own = (squared(x.row(*row), x.row(*other as usize)), *other);
                let rank = far.iter().filter(|o| order(o, &own).is_lt()).count() + 1;
                found.0 += rank.saturating_sub(k);
                found.1 += usize::from(rank <= k);
            }
        }
    });
    let farther: usize = found.iter().map(|f| f.0).sum();
    let shared: usize = found.iter().map(|f| f.1).sum();
    let (n, k, looked) = (n as f64, k as f64, rows.len() as f64);
    Some(Kept {
        trustworthiness: 1.0 - 2.0 * farther as f64 / (looked * k * (2.0 * n - 3.0 * k - 1.0)),
        shared: shared as f64 / (looked * k),
        rows: rows.len(),
    })
}

/// The share of rows whose nearest neighbour on a map has the same label, of at most `most` rows; and how many these are.
pub fn same_label(map: &Matrix, labels: &[u32], most: usize) -> (f64, usize) {
    let rows = sample(map.rows(), most);
    let mut near = [(0.0, 0)];
    let mut same = |row: &&usize| {
        nearest_of(map, **row, &mut near);
        labels[near[0].1 as usize] == labels[**row]
    };
    (rows.iter().filter(&mut same).count() as f64 / rows.len() as f64, rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;

    fn line(x: &[f64]) -> Matrix {
        Matrix { x: x.to_vec(), width: 1 }
    }

    #[test]
    fn neighbours_by_hand() {
        let x = line(&[0.0, 1.0, 3.0, 2.0]);
        let found = nearest(&x, 2, &ThreadPool::default(), NEVER).unwrap();
        assert_eq!(found[..4], [(1.0, 1), (4.0, 3), (1.0, 0), (1.0, 3)]);
        assert_eq!(found[4..], [(1.0, 3), (4.0, 1), (1.0, 1), (1.0, 2)]);
    }

    /// Five points on a line; on the map the last one is beside the first.
    #[test]
    fn trust_by_hand() {
        let (x, pool) = (line(&[0.0, 1.0, 2.1, 3.3, 4.6]), ThreadPool::default());
        let same = kept(&x, &x, 1, 100, &pool).unwrap();
        assert_eq!((same.trustworthiness, same.shared), (1.0, 1.0));
        let map = line(&[0.0, 1.0, 2.1, 3.3, -0.5]);
        // Of row 0 the nearest on the map is row 4, the fourth nearest in truth; of row 4 row 0, the fourth too.
        let found = kept(&x, &map, 1, 100, &pool).unwrap();
        assert!((found.trustworthiness - (1.0 - 2.0 * 6.0 / (5.0 * 6.0))).abs() < 1e-12, "{found:?}");
        assert!((found.shared - 3.0 / 5.0).abs() < 1e-12);
        assert_eq!(kept(&x, &map, 3, 100, &pool), None);
        assert_eq!(same_label(&map, &[0, 0, 0, 0, 1], 100), (3.0 / 5.0, 5));
    }
}
