//! The nearest of several centres for many rows at once, in single precision where that is certain: two registers of rows
//! beside some centres, whatever the widest registers of the machine are. Differences are decided by ½|c|² − x·c with the bound on its rounding error (Higham 2002, section
//! 3.1); a row for which that bound leaves two centres is looked at in double precision. So the nearest is always the one
//! that double precision finds.

use super::nearest::{Centres, Two};
use crate::data::encode::Matrix;
use pulp::{Simd, WithSimd};

/// Registers of rows side by side, and centres whose sums with them are kept in registers.
const PAIR: usize = 2;
const BLOCK: usize = 4;
/// Rows side by side at most: the widest registers hold sixteen.
const MOST: usize = PAIR * 16;

/// What products of numbers below the smallest normal one lose, and the numbers themselves.
const UNDERFLOW: f64 = 4.0 * f32::MIN_POSITIVE as f64;

/// Centres, in both precisions.
pub struct Screen {
    exact: Centres,
    /// What is subtracted from rows and centres: products of small numbers have small errors.
    middle: Vec<f64>,
    /// `[count, width]`, filled up to whole blocks.
    centres: Vec<f32>,
    /// ½|c|²; infinite of what fills blocks up.
    halves: Vec<f32>,
    /// The greatest |c|.
    far: f64,
}

impl Screen {
    /// From `[count, width]`; `middle` is some point amid the rows, `[width]`.
    pub fn new(centres: &[f64], middle: &[f64]) -> Self {
        let width = middle.len();
        let count = centres.len() / width;
        let shifted = centres.iter().zip(middle.iter().cycle()).map(|(c, m)| c - m).collect::<Vec<f64>>();
        let squares = shifted.chunks_exact(width).map(|c| c.iter().map(|x| x * x).sum::<f64>());
        let far = squares.clone().fold(0.0, f64::max).sqrt();
        let mut halves: Vec<f32> = squares.map(|square| (0.5 * square) as f32).collect();
        halves.resize(count.next_multiple_of(BLOCK), f32::INFINITY);
        let mut single: Vec<f32> = shifted.iter().map(|x| *x as f32).collect();
        single.resize(halves.len() * width, 0.0);
        Self { exact: Centres::new(centres, width), middle: middle.to_vec(), centres: single, halves, far }
    }

    /// The nearest centre of each of these rows; of the squared distances an upper bound of the first and a lower bound of
    /// the second.
    pub fn nearest(&self, x: &Matrix, rows: &[u32], out: &mut Vec<Two>) {
        out.clear();
        out.resize(rows.len(), Two::default());
        self.screened(x, rows, out);
        let mut doubtful: Vec<usize> = (0..rows.len()).filter(|i| out[*i].first.is_nan()).collect();
        let mut two = Vec::new();
        for some in doubtful.chunks_mut(1024) {
            let rows: Vec<u32> = some.iter().map(|i| rows[*i]).collect();
            self.exact.nearest(x, &rows, &mut two);
            some.iter().zip(&two).for_each(|(i, two)| out[*i] = *two);
        }
    }

    /// The same in single precision alone: the first distance is no number where nothing is certain.
    fn screened(&self, x: &Matrix, rows: &[u32], out: &mut [Two]) {
        pulp::Arch::new().dispatch(Nearest { screen: self, x, rows, out });
    }

    /// Of as many rows as two registers hold, or fewer; `columns` is room for `[width, rows]`. Written for registers: left to
    /// itself, the compiler takes one row at a time.
    #[inline(always)]
    fn of_pair<S: Simd>(&self, simd: S, x: &Matrix, rows: &[u32], columns: &mut [f32], out: &mut [Two]) {
        let (lanes, width) = (PAIR * S::F32_LANES, self.middle.len());
        let mut squares = [0f64; MOST];
        for (lane, square) in squares[..lanes].iter_mut().enumerate() {
            // What is missing is the last row again.
            let row = x.row(rows[lane.min(rows.len() - 1)] as usize);
            for ((x, middle), column) in row.iter().zip(&self.middle).zip(columns.chunks_exact_mut(lanes)) {
                let x = x - middle;
                *square = x.mul_add(x, *square);
                column[lane] = x as f32;
            }
        }
        let columns = S::as_simd_f32s(columns).0;
        let mut first = [simd.splat_f32s(f32::INFINITY); PAIR];
        let (mut second, mut at) = (first, [simd.splat_u32s(0); PAIR]);
        let blocks = self.centres.chunks_exact(BLOCK * width);
        for (b, (block, halves)) in blocks.zip(self.halves.as_chunks::<BLOCK>().0).enumerate() {
            let mut sums = [[simd.splat_f32s(0.0); PAIR]; BLOCK];
            for (sums, half) in sums.iter_mut().zip(halves) {
                *sums = [simd.splat_f32s(*half); PAIR];
            }
            for (j, column) in columns.as_chunks::<PAIR>().0.iter().enumerate() {
                for (c, sums) in sums.iter_mut().enumerate() {
                    let centre = simd.splat_f32s(block[c * width + j]);
                    for (sum, x) in sums.iter_mut().zip(column) {
                        *sum = simd.negate_mul_add_f32s(centre, *x, *sum);
                    }
                }
            }
            for (c, sums) in sums.iter().enumerate() {
                let number = simd.splat_u32s((b * BLOCK + c) as u32);
                for r in 0..PAIR {
                    let nearer = simd.less_than_f32s(sums[r], first[r]);
                    let beaten = simd.select_f32s(nearer, first[r], sums[r]);
                    second[r] = simd.select_f32s(simd.less_than_f32s(beaten, second[r]), beaten, second[r]);
                    first[r] = simd.select_f32s(nearer, sums[r], first[r]);
                    at[r] = simd.select_u32s(nearer, number, at[r]);
                }
            }
        }
        let (mut one, mut two, mut which) = ([0f32; MOST], [0f32; MOST], [0u32; MOST]);
        S::as_mut_simd_f32s(&mut one).0[..PAIR].copy_from_slice(&first);
        S::as_mut_simd_f32s(&mut two).0[..PAIR].copy_from_slice(&second);
        S::as_mut_simd_u32s(&mut which).0[..PAIR].copy_from_slice(&at);
        // Rounding of the inputs, of every product and sum, and some more.
        let unit = f64::from(f32::EPSILON) * (width + 6) as f64 * self.far;
        for (l, out) in out.iter_mut().enumerate() {
            let length = squares[l].sqrt();
            let error = unit * (length + 0.5 * self.far) + UNDERFLOW * (width as f64) * (1.0 + length + self.far);
            let (one, two) = (f64::from(one[l]), f64::from(two[l]));
            // From the half squared distance less |x|²/2 to the squared distance.
            let [nearest, next] = [one + error, two - error].map(|half| (squares[l] + 2.0 * half).max(0.0));
            let certain = two - one > 2.0 * error;
            *out = Two { at: which[l], first: if certain { nearest } else { f64::NAN }, second: next };
        }
    }
}

struct Nearest<'a> {
    screen: &'a Screen,
    x: &'a Matrix,
    rows: &'a [u32],
    out: &'a mut [Two],
}

impl WithSimd for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = PAIR * S::F32_LANES;
        let mut columns = vec![0f32; self.x.width * lanes];
        for (rows, out) in self.rows.chunks(lanes).zip(self.out.chunks_mut(lanes)) {
            self.screen.of_pair(simd, self.x, rows, &mut columns, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unsupervised::squared;
    use agon_core::rng::{Rng, Stream};

    /// What double precision finds, with bounds that hold, for numbers of any size: ties, centres within rounding of each
    /// other, far from the middle, and beyond what single precision can hold.
    #[test]
    fn the_nearest_is_that_of_double_precision() {
        let mut rng = Rng::new(1, Stream::Env, 0);
        for (width, count, rows) in [(1, 1, 3), (3, 2, 8), (5, 9, 21), (16, 64, 400)] {
            for (size, apart, away) in [
                (1.0, 1.0, 0.0),
                (1.0, 1e-8, 0.0),
                (1.0, 1e-4, 1e3),
                (1e-30, 1.0, 0.0),
                (1e30, 1.0, 0.0),
                (1.0, 0.0, 0.0),
            ] {
                let mut some =
                    |n: usize| -> Vec<f64> { (0..n * width).map(|_| size * (apart * rng.normal() + away)).collect() };
                let centres = some(count);
                let x = Matrix { x: some(rows), width };
                let all: Vec<u32> = (0..rows as u32).collect();
                let (mut found, mut right) = (Vec::new(), Vec::new());
                Screen::new(&centres, &vec![0.0; width]).nearest(&x, &all, &mut found);
                Centres::new(&centres, width).nearest(&x, &all, &mut right);
                for (row, (found, right)) in found.iter().zip(&right).enumerate() {
                    let case = format!("{width} {count} {size} {apart} {away} {row}: {found:?} {right:?}");
                    assert_eq!(found.at, right.at, "{case}");
                    let own = squared(x.row(row), &centres[found.at as usize * width..][..width]);
                    let slack = 1e-12 * own.max(f64::MIN_POSITIVE);
                    assert!(found.first >= own - slack, "{case}");
                    assert!(found.second <= right.second + 1e-12 * right.second, "{case}");
                }
            }
        }
    }

    /// Where centres are apart, single precision suffices, and its bounds are close.
    #[test]
    fn most_rows_are_certain() {
        let mut rng = Rng::new(2, Stream::Env, 0);
        let centres: Vec<f64> = (0..64 * 16).map(|_| 2.0 * rng.normal()).collect();
        let x = Matrix { x: centres.iter().map(|c| c + rng.normal()).collect(), width: 16 };
        let screen = Screen::new(&centres, &[0.0; 16]);
        let (rows, mut out) = ((0..64).collect::<Vec<u32>>(), vec![Two::default(); 64]);
        screen.screened(&x, &rows, &mut out);
        for (row, two) in out.iter().enumerate() {
            let own = squared(x.row(row), &centres[two.at as usize * 16..][..16]);
            assert!(two.first >= own && two.first < own + 0.01, "{two:?} {own}");
        }
    }
}
