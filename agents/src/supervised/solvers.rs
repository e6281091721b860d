//! Smooth convex functions minimised to convergence in f64: L-BFGS (Nocedal and Wright 2006, algorithm 7.5) with a line
//! search by bisection for the weak Wolfe conditions, and normal equations by Cholesky's factors.

use crate::agent::{AgentError, Stop, go_on};

/// Pairs of steps and gradient changes that are kept.
const PAIRS: usize = 20;
/// Iterations at most.
const MOST: usize = 5000;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Where it ended.
#[derive(Clone, Debug)]
pub struct Minimum {
    /// The arguments.
    pub x: Vec<f64>,
    /// The function's value.
    pub value: f64,
    /// The largest entry of the gradient.
    pub gradient: f64,
    /// Iterations made.
    pub iterations: usize,
}

/// The minimum of a function from `x` on. `of` gives its value and writes its gradient. It ends where no entry of the
/// gradient is above `tolerance`, or where rounding allows no lower value.
///
/// # Errors
/// [`AgentError::Stopped`] if it was asked to stop.
pub fn minimise(
    mut x: Vec<f64>,
    tolerance: f64,
    stop: Stop<'_>,
    mut of: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Result<Minimum, AgentError> {
    let n = x.len();
    let (mut g, mut pairs): (Vec<f64>, Vec<(Vec<f64>, Vec<f64>, f64)>) = (vec![0.0; n], Vec::new());
    let mut value = of(&x, &mut g);
    let largest = |g: &[f64]| g.iter().fold(0f64, |m, g| m.max(g.abs()));
    let mut iterations = 0;
    while largest(&g) > tolerance && iterations < MOST {
        go_on(stop)?;
        let mut d: Vec<f64> = g.iter().map(|g| -g).collect();
        let mut alphas = Vec::with_capacity(pairs.len());
        for (s, y, rho) in pairs.iter().rev() {
            let alpha = rho * dot(s, &d);
            d.iter_mut().zip(y).for_each(|(d, y)| *d -= alpha * y);
            alphas.push(alpha);
        }
        let first = match pairs.last() {
            Some((_, y, rho)) => 1.0 / (rho * dot(y, y)),
            None => 1.0 / dot(&g, &g).sqrt().max(1.0),
        };
        d.iter_mut().for_each(|d| *d *= first);
        for ((s, y, rho), alpha) in pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = rho * dot(y, &d);
            d.iter_mut().zip(s).for_each(|(d, s)| *d += (alpha - beta) * s);
        }
        let slope = dot(&g, &d);
        // Bisection between a step that is too short and one that is too long.
        let (mut low, mut high, mut step) = (0.0, f64::INFINITY, 1.0);
        let (mut next, mut there) = (x.clone(), g.clone());
        let mut found = None;
        for _ in 0..60 {
            next.iter_mut().zip(x.iter().zip(&d)).for_each(|(next, (x, d))| *next = x + step * d);
            let at = of(&next, &mut there);
            if !at.is_finite() || at > value + 1e-4 * step * slope {
                high = step;
            } else if dot(&there, &d) < 0.9 * slope {
                low = step;
            } else {
                found = Some(at);
                break;
            }
            step = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * step };
        }
        let Some(lower) = found.filter(|lower| *lower < value) else {
            break; // rounding allows nothing lower
        };
        let s: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = there.iter().zip(&g).map(|(a, b)| a - b).collect();
        let sy = dot(&s, &y);
        if sy > f64::EPSILON * dot(&y, &y) {
            if pairs.len() == PAIRS {
                pairs.remove(0);
            }
            pairs.push((s, y, 1.0 / sy));
        }
        (value, iterations) = (lower, iterations + 1);
        x.copy_from_slice(&next);
        g.copy_from_slice(&there);
    }
    Ok(Minimum { gradient: largest(&g), x, value, iterations })
}

/// Solves the normal equations A x = b by Cholesky's factors; `a`: `[n, n]`, symmetric, overwritten by the factor. A
/// column that follows from those before it gets the coefficient 0.
pub fn solve(a: &mut [f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let diagonal: Vec<f64> = (0..n).map(|i| a[i * n + i]).collect();
    let mut free = vec![true; n];
    for j in 0..n {
        let pivot = a[j * n + j] - dot(&a[j * n..j * n + j], &a[j * n..j * n + j]);
        if pivot <= 1e-11 * diagonal[j] || pivot <= 0.0 {
            free[j] = false;
            (0..n).for_each(|i| a[i.max(j) * n + j] = 0.0);
            a[j * n..=j * n + j].fill(0.0);
            continue;
        }
        let root = pivot.sqrt();
        a[j * n + j] = root;
        for i in j + 1..n {
            let (above, below) = a.split_at(i * n);
            let sum = dot(&above[j * n..j * n + j], &below[..j]);
            a[i * n + j] = (a[i * n + j] - sum) / root;
        }
    }
    let mut x = vec![0.0; n];
    for i in 0..n {
        if free[i] {
            x[i] = (b[i] - dot(&a[i * n..i * n + i], &x[..i])) / a[i * n + i];
        }
    }
    for i in (0..n).rev() {
        if free[i] {
            let sum: f64 = (i + 1..n).map(|k| a[k * n + i] * x[k]).sum();
            x[i] = (x[i] - sum) / a[i * n + i];
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;

    /// Rosenbrock's function has its minimum at (1, 1), at the end of a bent valley.
    #[test]
    fn it_finds_minima() {
        let rosenbrock = |x: &[f64], g: &mut [f64]| {
            let bend = x[1] - x[0] * x[0];
            g[0] = -400.0 * x[0] * bend - 2.0 * (1.0 - x[0]);
            g[1] = 200.0 * bend;
            100.0 * bend * bend + (1.0 - x[0]).powi(2)
        };
        let found = minimise(vec![-1.2, 1.0], 1e-10, NEVER, rosenbrock).unwrap();
        assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-8) && found.iterations < 100, "{found:?}");
        assert!(matches!(minimise(vec![0.0; 2], 1e-10, &|| true, rosenbrock), Err(AgentError::Stopped)));
    }

    #[test]
    fn it_solves_and_leaves_out_what_follows() {
        // The third column is the sum of the first two.
        let rows: [[f64; 3]; 3] = [[1.0, 2.0, 3.0], [0.5, -1.0, -0.5], [2.0, 0.0, 2.0]];
        let (b, mut a) = ([1.0, 2.0, -1.0], vec![0.0; 9]);
        for (i, j) in (0..9).map(|k| (k / 3, k % 3)) {
            a[i * 3 + j] = rows.iter().map(|r| r[i] * r[j]).sum();
        }
        let right: Vec<f64> = (0..3).map(|i| rows.iter().zip(b).map(|(r, b)| r[i] * b).sum()).collect();
        let x = solve(&mut a, &right);
        assert_eq!(x[2], 0.0);
        let residual = |k: usize| rows.iter().zip(b).map(|(r, b)| r[k] * (dot(r, &x) - b)).sum::<f64>();
        assert!((0..3).all(|k| residual(k).abs() < 1e-12), "{x:?}");
    }
}
