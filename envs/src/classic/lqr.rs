//! The linear-quadratic regulator (Kalman 1960): the best feedback for a linear system with quadratic costs. Near an
//! equilibrium every smooth system is such a one, and what it is there its own step tells.

/// The feedback `k` of `u = −k x` that minimises `Σ xᵀ diag(q) x + r u²` for the system that `step` is near `x = 0`,
/// `u = 0`, an equilibrium: by differences, and by Riccati's recursion until it stands still.
pub fn regulator<const N: usize>(step: impl Fn([f64; N], f64) -> [f64; N], q: [f64; N], r: f64) -> [f64; N] {
    const H: f64 = 1e-5;
    let slope = |high: [f64; N], low: [f64; N]| -> [f64; N] { std::array::from_fn(|i| (high[i] - low[i]) / (2.0 * H)) };
    let unit = |k: usize, h: f64| -> [f64; N] { std::array::from_fn(|i| if i == k { h } else { 0.0 }) };
    // columns[k]: what the next state gains by number k of this one; push: what it gains by u.
    let columns: [[f64; N]; N] = std::array::from_fn(|k| slope(step(unit(k, H), 0.0), step(unit(k, -H), 0.0)));
    let push = slope(step([0.0; N], H), step([0.0; N], -H));
    let dot = |a: &[f64; N], b: &[f64; N]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut p: [[f64; N]; N] = std::array::from_fn(|i| unit(i, q[i]));
    let mut gain = [0.0; N];
    for _ in 0..100_000 {
        let times = |x: &[f64; N]| -> [f64; N] { std::array::from_fn(|i| dot(&p[i], x)) };
        let (pushed, moved) = (times(&push), columns.map(|c| times(&c)));
        let all = r + dot(&push, &pushed);
        let next: [f64; N] = std::array::from_fn(|k| dot(&columns[k], &pushed) / all);
        p = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let own = if i == j { q[i] } else { 0.0 };
                own + dot(&columns[i], &moved[j]) - next[i] * next[j] * all
            })
        });
        let still = next.iter().zip(&gain).all(|(a, b)| (a - b).abs() <= 1e-12 * a.abs().max(1.0));
        gain = next;
        if still {
            break;
        }
    }
    gain
}

/// `−k x`.
pub fn feedback<const N: usize>(k: &[f64; N], x: &[f64; N]) -> f64 {
    -k.iter().zip(x).map(|(k, x)| k * x).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::{cartpole::CartPole, pendulum::Pendulum};
    use agon_core::rng::Stream;
    use agon_core::{Kernel, Rng};

    /// One number: p = q + a² p − (a b p)² / (r + b² p) is a quadratic equation; k = a b p / (r + b² p).
    #[test]
    fn one_dimension_has_a_closed_form() {
        for (a, b, q, r) in [(1.0f64, 1.0f64, 1.0f64, 1.0f64), (1.2, 0.3, 2.0, 0.1), (0.5, 2.0, 1.0, 10.0)] {
            let half = r * (1.0 - a * a) - q * b * b;
            let p = (-half + (half * half + 4.0 * b * b * q * r).sqrt()) / (2.0 * b * b);
            let [k] = regulator(|[x], u| [a * x + b * u], [q], r);
            assert!((k - a * b * p / (r + b * b * p)).abs() < 1e-8, "{a} {b} {q} {r}: {k}");
        }
    }

    /// A double integrator's cost-to-go is what simulating its feedback costs, and no other feedback costs less.
    #[test]
    fn no_feedback_nearby_costs_less() {
        let step = |[x, v]: [f64; 2], u: f64| [x + 0.1 * v, v + 0.1 * u];
        let cost = |k: [f64; 2]| {
            let (mut x, mut total) = ([1.0, -0.5], 0.0);
            for _ in 0..5000 {
                let u = feedback(&k, &x);
                total += x[0] * x[0] + 0.5 * x[1] * x[1] + 0.2 * u * u;
                x = step(x, u);
            }
            total
        };
        let k = regulator(step, [1.0, 0.5], 0.2);
        for (i, by) in [(0, 0.02), (0, -0.02), (1, 0.02), (1, -0.02)] {
            let mut other = k;
            other[i] += by;
            assert!(cost(other) > cost(k), "{k:?} {other:?}");
        }
    }

    fn returns<const N: usize, const O: usize, K: Kernel<N, O>>(kernel: &K, limit: usize) -> f64 {
        let mut total = 0.0;
        for episode in 0..100 {
            let mut state = kernel.reset(&mut Rng::new(5, Stream::Env, episode));
            for _ in 0..limit {
                let (next, reward, end) = kernel.step(state, kernel.play(0, &state));
                total += reward / 100.0;
                state = next;
                if end {
                    break;
                }
            }
        }
        total
    }

    #[test]
    fn the_cart_is_balanced_and_the_pendulum_swung_up() {
        assert!(returns(&CartPole::new(Default::default()).unwrap(), 500) > 499.99);
        let swung = returns(&Pendulum::new(Default::default()).unwrap(), 200);
        assert!(swung > -200.0, "{swung}");
    }
}
