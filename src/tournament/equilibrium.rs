//! Who is strong where strength is not one number: Nash averaging, α-rank, and how much of a payoff matrix goes round
//! in cycles.
//!
//! `payoff[a * n + b]` is what a earns against b; it is antisymmetric.

/// The Nash equilibrium of most entropy of the game "choose an agent" (Balduzzi et al. 2018, "Re-evaluating
/// evaluation"): redundant agents share their weight, dominated ones have none.
///
/// It is the limit of pₐ ∝ exp(Σ payoff p / τ) for τ → 0 (McKelvey and Palfrey 1995), followed by Newton's method.
pub fn nash(payoff: &[f64], n: usize) -> Vec<f64> {
    let size = payoff.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let mut logs = vec![-(n as f64).ln(); n];
    if n == 0 || size == 0.0 {
        return logs.iter().map(|l| l.exp()).collect();
    }
    let mut tau = 2.0 * size;
    while tau > 1e-6 * size {
        for _ in 0..50 {
            let p: Vec<f64> = logs.iter().map(|l| l.exp()).collect();
            let earns: Vec<f64> = rows(payoff, n).map(|row| dot(row, &p) / tau).collect();
            // log pₐ − earnsₐ + c = 0 for all a, and Σ p = 1. Unknown: the steps of the logs, and c.
            let m = n + 1;
            let (mut a, mut b) = (vec![0.0; m * m], vec![0.0; m]);
            for i in 0..n {
                for j in 0..n {
                    a[i * m + j] = f64::from(i == j) - payoff[i * n + j] * p[j] / tau;
                }
                a[i * m + n] = 1.0;
                a[n * m + i] = p[i];
                b[i] = earns[i] - logs[i];
            }
            b[n] = 1.0 - p.iter().sum::<f64>();
            eliminate(&mut a, &mut b);
            // Who has next to nothing and loses it may lose it at once: nobody feels it.
            let felt = b[..n].iter().zip(&p).filter(|(s, p)| **s > 0.0 || **p > 1e-12);
            let most = felt.fold(0.0f64, |m, (s, _)| m.max(s.abs()));
            let size = (2.0 / most).min(1.0);
            logs.iter_mut().zip(&b).for_each(|(l, s)| *l = (*l + size * s).min(0.5));
            if most < 1e-10 {
                break;
            }
        }
        tau *= 0.7;
    }
    let mut p: Vec<f64> = logs.iter().map(|l| l.exp()).map(|p| if p < 1e-6 { 0.0 } else { p }).collect();
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
    p
}

fn rows(matrix: &[f64], n: usize) -> impl Iterator<Item = &[f64]> {
    matrix.chunks_exact(n)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves A x = b by elimination with pivots, b becoming x; what has no pivot becomes 0.
fn eliminate(a: &mut [f64], b: &mut [f64]) {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|x, y| a[x * n + k].abs().total_cmp(&a[y * n + k].abs())).unwrap_or(k);
        if pivot != k {
            (0..n).for_each(|j| a.swap(k * n + j, pivot * n + j));
            b.swap(k, pivot);
        }
        if a[k * n + k].abs() < 1e-300 {
            continue;
        }
        for i in k + 1..n {
            let f = a[i * n + k] / a[k * n + k];
            if f != 0.0 {
                (k..n).for_each(|j| a[i * n + j] -= f * a[k * n + j]);
                b[i] -= f * b[k];
            }
        }
    }
    for k in (0..n).rev() {
        let rest: f64 = (k + 1..n).map(|j| a[k * n + j] * b[j]).sum();
        b[k] = if a[k * n + k].abs() < 1e-300 { 0.0 } else { (b[k] - rest) / a[k * n + k] };
    }
}

/// α-rank in the limit of strong selection (Omidshafiei et al. 2019): how much of the time a population that follows
/// who beats it, and errs with probability 0.01, spends on each agent.
pub fn alpha_rank(payoff: &[f64], n: usize) -> Vec<f64> {
    const ERRS: f64 = 0.01;
    let share = 1.0 / (n.max(2) - 1) as f64;
    let mut chain = vec![0.0; n * n];
    for i in 0..n {
        for j in (0..n).filter(|j| *j != i) {
            chain[i * n + j] = share
                * match payoff[j * n + i] {
                    gain if gain > 0.0 => 1.0 - ERRS,
                    gain if gain < 0.0 => ERRS,
                    _ => 0.5,
                };
        }
    }
    stationary(&mut chain, n)
}

/// Where an irreducible Markov chain is in the long run (Grassmann, Taksar and Heyman 1985: no subtraction, so no
/// cancellation). The diagonal is not looked at.
fn stationary(chain: &mut [f64], n: usize) -> Vec<f64> {
    for k in (1..n).rev() {
        let out: f64 = (0..k).map(|j| chain[k * n + j]).sum();
        for i in 0..k {
            chain[i * n + k] /= out;
            for j in (0..k).filter(|j| *j != i) {
                chain[i * n + j] += chain[i * n + k] * chain[k * n + j];
            }
        }
    }
    let mut p = vec![1.0; n];
    for k in 1..n {
        p[k] = (0..k).map(|i| p[i] * chain[i * n + k]).sum();
    }
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
    p
}

/// The share of the payoffs that no rating can explain, from 0 (a < b < c) to 1 (rock, paper, scissors): the part of
/// the matrix's squared size that is left after each agent's mean payoff is taken out (Balduzzi et al. 2018, the
/// Hodge decomposition).
pub fn cyclic(payoff: &[f64], n: usize) -> f64 {
    let total = dot(payoff, payoff);
    if total == 0.0 {
        return 0.0;
    }
    let mean: Vec<f64> = rows(payoff, n).map(|row| row.iter().sum::<f64>() / n as f64).collect();
    let mut left = 0.0;
    for i in 0..n {
        for j in 0..n {
            left += (payoff[i * n + j] - mean[i] + mean[j]).powi(2);
        }
    }
    (left / total).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &[f64], b: &[f64], by: f64) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < by), "{a:?} is not {b:?}");
    }

    const CYCLE: [f64; 9] = [0.0, 1.0, -1.0, -1.0, 0.0, 1.0, 1.0, -1.0, 0.0];

    #[test]
    fn a_cycle_is_uniform_and_all_cycle() {
        near(&nash(&CYCLE, 3), &[1.0 / 3.0; 3], 1e-9);
        near(&alpha_rank(&CYCLE, 3), &[1.0 / 3.0; 3], 1e-9);
        assert!((cyclic(&CYCLE, 3) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn redundant_agents_share_and_dominated_ones_have_nothing() {
        // Rock, paper, scissors twice, and someone who loses to all.
        let kind = [0, 1, 2, 2];
        let mut payoff = vec![0.0; 25];
        for i in 0..4 {
            for j in 0..4 {
                payoff[i * 5 + j] = CYCLE[kind[i] * 3 + kind[j]];
            }
            (payoff[i * 5 + 4], payoff[20 + i]) = (0.3, -0.3);
        }
        let third = 1.0 / 3.0;
        near(&nash(&payoff, 5), &[third, third, third / 2.0, third / 2.0, 0.0], 1e-5);
    }

    #[test]
    fn an_uneven_cycle_has_its_known_mixture() {
        // Rock beats scissors by 2: the equilibrium weights are in the proportions of the opposite edges.
        let (a, b, c) = (1.0, 1.0, 2.0); // rock-paper, paper-scissors, scissors-rock
        let payoff = [0.0, -a, c, a, 0.0, -b, -c, b, 0.0];
        near(&nash(&payoff, 3), &[b / 4.0, c / 4.0, a / 4.0], 1e-5);
    }

    #[test]
    fn the_better_of_two_has_all() {
        let payoff = [0.0, 0.01, -0.01, 0.0];
        near(&nash(&payoff, 2), &[1.0, 0.0], 1e-9);
        near(&alpha_rank(&payoff, 2), &[0.99, 0.01], 1e-12);
        assert!(cyclic(&payoff, 2) < 1e-12);
        near(&nash(&[0.0], 1), &[1.0], 1e-12);
        near(&nash(&[0.0; 9], 3), &[1.0 / 3.0; 3], 1e-12);
    }

    /// On random matrices no agent earns against the mixture: it is an equilibrium.
    #[test]
    fn nobody_beats_the_mixture() {
        let mut rng = agon_core::Rng::new(5, agon_core::rng::Stream::Eval, 0);
        for n in 2..12 {
            for _ in 0..20 {
                let mut payoff = vec![0.0; n * n];
                for i in 0..n {
                    for j in 0..i {
                        let x = rng.range(-1.0, 1.0);
                        (payoff[i * n + j], payoff[j * n + i]) = (x, -x);
                    }
                }
                let p = nash(&payoff, n);
                let most = rows(&payoff, n).map(|row| dot(row, &p)).fold(f64::MIN, f64::max);
                assert!(most < 1e-4, "{most} against {p:?} of {payoff:?}");
                let rank = alpha_rank(&payoff, n);
                assert!((rank.iter().sum::<f64>() - 1.0).abs() < 1e-12 && rank.iter().all(|p| *p > 0.0));
            }
        }
    }

    /// What OpenSpiel 2.0.2 gives: `alpharank.compute([payoff], use_inf_alpha=True, inf_alpha_eps=0.01)`.
    #[test]
    fn alpha_rank_is_open_spiel_s() {
        let payoff: Vec<f64> = GOLDEN.0.iter().flatten().copied().collect();
        near(&alpha_rank(&payoff, 5), &GOLDEN.1, 1e-9);
    }

    const GOLDEN: ([[f64; 5]; 5], [f64; 5]) = (
        [
            [0.0, 0.0, -0.02, 0.84, -0.6],
            [0.0, 0.0, -0.95, -0.21, 0.65],
            [0.02, 0.95, 0.0, 0.25, -0.74],
            [-0.84, 0.21, -0.25, 0.0, -0.09],
            [0.6, -0.65, 0.74, 0.09, 0.0],
        ],
        [0.06232512396427566, 0.17570822578147058, 0.29416355536757127, 0.060934468650783336, 0.4068686262358992],
    );
}
