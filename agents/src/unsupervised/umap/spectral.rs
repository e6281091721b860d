//! Where rows are at the beginning: the two slowest ways to tell apart what a graph joins, eigenvectors of its normalised
//! Laplacian (Belkin and Niyogi 2003), by Lanczos's iteration from a random vector with full reorthogonalisation (Golub and
//! Van Loan 2013, section 10.1).

use crate::unsupervised::graph::Graph;
use crate::unsupervised::rows_of_part;
use agon_core::rng::Rng;
use agon_core::thread_pool::ThreadPool;
use tch::{Kind, Tensor};

/// Steps after which eigenvectors are looked at first, and at most.
const FIRST: usize = 20;
const MOST: usize = 640;
/// How near they must be: a beginning need not be exact.
const NEAR: f64 = 1e-4;

/// Summed in eight lanes: always in the same order.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, rest_a) = a.as_chunks::<8>();
    let (b, rest_b) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        (0..8).for_each(|l| sums[l] += a[l] * b[l]);
    }
    sums.iter().sum::<f64>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f64>()
}

/// Takes out of `w` what lies along these vectors of length 1.
fn take_out(basis: &[Vec<f64>], w: &mut [f64], pool: &ThreadPool) {
    let mut along = vec![0.0; basis.len()];
    let mut each: Vec<_> = along.chunks_mut(8).zip(basis.chunks(8)).collect();
    pool.each(&mut each, |_, (along, basis)| {
        along.iter_mut().zip(basis.iter()).for_each(|(along, q)| *along = dot(q, w));
    });
    let size = rows_of_part(w.len());
    let mut parts: Vec<_> = w.chunks_mut(size).collect();
    pool.each(&mut parts, |i, part| {
        for (q, along) in basis.iter().zip(&along) {
            part.iter_mut().zip(&q[i * size..]).for_each(|(w, q)| *w -= along * q);
        }
    });
}

/// Scales to length 1; the length before.
fn unit(w: &mut [f64]) -> f64 {
    let length = dot(w, w).sqrt();
    w.iter_mut().for_each(|w| *w /= length);
    length
}

/// Of a tridiagonal matrix, the eigenvectors of its two largest eigenvalues, the largest first.
fn top_two(diagonal: &[f64], beside: &[f64]) -> Option<[Vec<f64>; 2]> {
    let m = diagonal.len();
    let mut t = vec![0.0; m * m];
    for i in 0..m {
        t[i * m + i] = diagonal[i];
        if i + 1 < m {
            (t[i * m + i + 1], t[(i + 1) * m + i]) = (beside[i], beside[i]);
        }
    }
    let t = Tensor::from_slice(&t).view([m as i64, m as i64]);
    let (_, vectors) = t.f_linalg_eigh("L").ok()?;
    let of = |k: usize| Vec::<f64>::try_from(vectors.select(1, (m - 1 - k) as i64).to_kind(Kind::Double).contiguous());
    Some([of(0).ok()?, of(1).ok()?])
}

/// The second and the third eigenvector, a place for each row. None of graphs in pieces, whose eigenvectors only tell the
/// pieces apart, nor of fewer than four rows.
pub fn places(graph: &Graph, rng: &mut Rng, pool: &ThreadPool) -> Option<Vec<[f64; 2]>> {
    let n = graph.rows();
    if n < 4 || !graph.is_connected() {
        return None;
    }
    let roots: Vec<f64> = (0..n).map(|i| graph.of(i).map(|(_, w)| w).sum::<f64>().sqrt()).collect();
    // The first eigenvector is known, and wanted by nobody.
    let mut basis = vec![roots.clone()];
    unit(&mut basis[0]);
    let mut w: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
    let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
    let mut look = FIRST;
    loop {
        // Twice is enough (Kahan and Parlett).
        take_out(&basis, &mut w, pool);
        take_out(&basis, &mut w, pool);
        let length = unit(&mut w);
        let m = diagonal.len();
        let over = m > 0 && (length.is_nan() || length <= 1e-10) || m == MOST || m + 1 == n;
        if over || m == look {
            let [first, second] = if m > 1 { top_two(&diagonal, &beside)? } else { return None };
            let off = [&first, &second].map(|s| length * s[m - 1].abs());
            if over || off.iter().all(|off| *off < NEAR) {
                let mut y = vec![[0.0; 2]; n];
                for ((q, first), second) in basis[1..].iter().zip(&first).zip(&second) {
                    y.iter_mut().zip(q).for_each(|(y, q)| *y = [y[0] + first * q, y[1] + second * q]);
                }
                return Some(y);
            }
            look *= 2;
        }
        if m > 0 {
            beside.push(length);
        }
        let mut next = vec![0.0; n];
        let size = rows_of_part(n);
        let mut parts: Vec<_> = next.chunks_mut(size).collect();
        pool.each(&mut parts, |part, next| {
            for (i, next) in (part * size..).zip(next.iter_mut()) {
                *next = graph.of(i).map(|(j, weight)| weight * w[j] / roots[j]).sum::<f64>() / roots[i];
            }
        });
        diagonal.push(dot(&w, &next));
        basis.push(std::mem::replace(&mut w, next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    /// The eigenvectors of a line are known: waves, times the roots of how many neighbours rows have.
    #[test]
    fn a_line_is_waves() {
        for n in [4, 5, 30, 400u32] {
            let line = Graph::symmetric(n as usize, (1..n).map(|i| (i - 1, i, 1.0)), f64::max);
            let found = places(&line, &mut Rng::new(1, Stream::Weights, 0), &ThreadPool::new(2)).unwrap();
            for k in 0..2 {
                let own: Vec<f64> = found.iter().map(|y| y[k]).collect();
                let wave = |i: u32| (std::f64::consts::PI * f64::from(i) * (k + 1) as f64 / f64::from(n - 1)).cos();
                let root = |i: u32| if i == 0 || i == n - 1 { 1.0 } else { 2f64.sqrt() };
                let mut wanted: Vec<f64> = (0..n).map(|i| root(i) * wave(i)).collect();
                unit(&mut wanted);
                let same = dot(&own, &wanted).abs() / dot(&own, &own).sqrt();
                assert!(same > 1.0 - 1e-4, "{n}, {k}: {same}");
            }
        }
    }

    #[test]
    fn pieces_have_none() {
        let two = Graph::symmetric(6, [(0, 1, 1.0), (1, 2, 1.0), (3, 4, 1.0), (4, 5, 1.0)].into_iter(), f64::max);
        assert_eq!(places(&two, &mut Rng::new(1, Stream::Weights, 0), &ThreadPool::default()), None);
    }
}
