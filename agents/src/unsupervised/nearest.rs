//! The nearest of several centres for many rows at once: eight rows beside eight centres fill the widest registers.

use crate::data::encode::Matrix;

/// Rows, and centres, that are worked on side by side.
const LANES: usize = 8;

/// Centres, eight of them side by side for each column.
pub struct Centres {
    /// `[blocks, width, LANES]`; places without a centre are infinitely far.
    packed: Vec<f64>,
    width: usize,
    count: usize,
}

/// The two nearest centres of a row: the first one's number, and both squared distances.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Two {
    /// The number of the nearest; of equally near ones the first.
    pub at: u32,
    /// Its squared distance.
    pub first: f64,
    /// The squared distance of the second nearest; infinite of a single centre.
    pub second: f64,
}

impl Centres {
    /// From `[count, width]`.
    pub fn new(centres: &[f64], width: usize) -> Self {
        let count = centres.len() / width;
        let blocks = count.div_ceil(LANES);
        let mut packed = vec![f64::INFINITY; blocks * width * LANES];
        for (c, centre) in centres.chunks_exact(width).enumerate() {
            for (j, x) in centre.iter().enumerate() {
                packed[(c / LANES * width + j) * LANES + c % LANES] = *x;
            }
        }
        Self { packed, width, count }
    }

    /// The two nearest centres of these rows of a table, up to eight.
    #[inline(always)]
    fn of_eight(&self, x: &Matrix, rows: &[u32], out: &mut [Two]) {
        // What is missing to eight is the last row again.
        let last = rows.len() - 1;
        let row = |i: usize| x.row(rows[i.min(last)] as usize);
        let rows: [&[f64]; LANES] = std::array::from_fn(row);
        let mut first = [[f64::INFINITY; LANES]; LANES];
        let mut second = [[f64::INFINITY; LANES]; LANES];
        let mut block_of = [[0f64; LANES]; LANES];
        for (b, block) in self.packed.chunks_exact(self.width * LANES).enumerate() {
            let mut sums = [[0f64; LANES]; LANES];
            for (j, centre) in block.as_chunks::<LANES>().0.iter().enumerate() {
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let x = row[j];
                    for (sum, c) in sums.iter_mut().zip(centre) {
                        let off = x - c;
                        *sum = off.mul_add(off, *sum);
                    }
                }
            }
            let number = b as f64;
            for r in 0..LANES {
                for l in 0..LANES {
                    let d = sums[r][l];
                    let nearer = d < first[r][l];
                    let beaten = if nearer { first[r][l] } else { d };
                    second[r][l] = if beaten < second[r][l] { beaten } else { second[r][l] };
                    first[r][l] = if nearer { d } else { first[r][l] };
                    block_of[r][l] = if nearer { number } else { block_of[r][l] };
                }
            }
        }
        for (r, out) in out.iter_mut().enumerate() {
            let mut two = Two { at: 0, first: f64::INFINITY, second: f64::INFINITY };
            for l in 0..LANES {
                let (d, at) = (first[r][l], (block_of[r][l] as usize * LANES + l) as u32);
                let nearer = d < two.first || d == two.first && at < two.at;
                two.second = two.second.min(if nearer { two.first } else { d }).min(second[r][l]);
                if nearer {
                    (two.at, two.first) = (at, d);
                }
            }
            two.at = two.at.min(self.count as u32 - 1);
            *out = two;
        }
    }

    /// The two nearest centres of each of these rows.
    pub fn nearest(&self, x: &Matrix, rows: &[u32], out: &mut Vec<Two>) {
        out.clear();
        out.resize(rows.len(), Two::default());
        pulp::Arch::new().dispatch(Nearest { centres: self, x, rows, out });
    }
}

/// No closure: with closures `dispatch` called generic code.
struct Nearest<'a> {
    centres: &'a Centres,
    x: &'a Matrix,
    rows: &'a [u32],
    out: &'a mut [Two],
}

impl pulp::NullaryFnOnce for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (rows, out) in self.rows.chunks(LANES).zip(self.out.chunks_mut(LANES)) {
            self.centres.of_eight(self.x, rows, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unsupervised::squared;
    use agon_core::rng::{Rng, Stream};

    #[test]
    fn the_two_nearest_are_found() {
        let mut rng = Rng::new(1, Stream::Env, 0);
        for (width, count, rows) in [(1, 1, 3), (3, 2, 8), (5, 9, 21), (16, 64, 100)] {
            let centres: Vec<f64> = (0..count * width).map(|_| rng.normal()).collect();
            let x = Matrix { x: (0..rows * width).map(|_| rng.normal()).collect(), width };
            let all: Vec<u32> = (0..rows as u32).collect();
            let mut found = Vec::new();
            Centres::new(&centres, width).nearest(&x, &all, &mut found);
            for (row, two) in found.iter().enumerate() {
                let mut far: Vec<(f64, u32)> =
                    centres.chunks_exact(width).zip(0..).map(|(c, at)| (squared(x.row(row), c), at)).collect();
                far.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert_eq!(two.at, far[0].1);
                assert!((two.first - far[0].0).abs() < 1e-12);
                assert!(far.get(1).map_or(two.second.is_infinite(), |f| (two.second - f.0).abs() < 1e-12));
            }
        }
    }

    /// Of equally near ones the first, whichever lane it is in.
    #[test]
    fn of_equally_near_ones_the_first() {
        let centres: Vec<f64> = (0..20).map(|i| if i == 11 || i == 2 || i == 17 { 1.0 } else { 5.0 }).collect();
        let mut found = Vec::new();
        Centres::new(&centres, 1).nearest(&Matrix { x: vec![0.0], width: 1 }, &[0], &mut found);
        assert_eq!(found, [Two { at: 2, first: 1.0, second: 1.0 }]);
    }
}
