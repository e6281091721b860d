//! Statistics that more than one crate needs.

use crate::rng::Rng;

/// The 97.5 % point of Student's t with ν degrees of freedom: exact for 1 and 2, else the expansion of Abramowitz and
/// Stegun 26.7.5, within 0.3 % for 3 and better above.
pub fn student_975(nu: f64) -> f64 {
    if nu < 1.5 {
        return 12.706_204_736;
    }
    if nu < 2.5 {
        return 4.302_652_730;
    }
    let z: f64 = 1.959_963_984_540_054;
    let (z3, z5, z7, z9) = (z.powi(3), z.powi(5), z.powi(7), z.powi(9));
    z + (z3 + z) / (4.0 * nu)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * nu.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * nu.powi(3))
        + (79.0 * z9 + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z) / (92160.0 * nu.powi(4))
}

/// The 95 % percentile interval of a statistic of `n` observations in the order of time, by the circular block
/// bootstrap (Politis and Romano 1992): neighbours may depend on each other, so that blocks of n^(1/3) of them are
/// drawn, and the last one is followed by the first. Percentiles are widened from the normal distribution to Student's
/// t for as many blocks as there are. `statistic` gets the `n` drawn indices. None for fewer than four observations, or
/// where the statistic is NaN.
pub fn block_bootstrap(
    n: usize,
    replicates: usize,
    rng: &mut Rng,
    statistic: &mut dyn FnMut(&[usize]) -> f64,
) -> Option<[f64; 2]> {
    if n < 4 || replicates < 40 {
        return None;
    }
    let block = (n as f64).cbrt().ceil() as usize;
    let (mut drawn, mut found) = (Vec::with_capacity(n + block), Vec::with_capacity(replicates));
    for _ in 0..replicates {
        drawn.clear();
        while drawn.len() < n {
            let first = rng.below(n as u32) as usize;
            drawn.extend((first..first + block).map(|i| i % n));
        }
        found.push(statistic(&drawn[..n]));
    }
    if found.iter().any(|x| !x.is_finite()) {
        return None;
    }
    found.sort_by(f64::total_cmp);
    let cut = (0.025 * replicates as f64) as usize;
    let whole = statistic(&(0..n).collect::<Vec<_>>());
    let wider = student_975((n / block) as f64 - 1.0) / 1.959_963_984_540_054;
    Some([found[cut], found[replicates - 1 - cut]].map(|end| whole + wider * (end - whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// Intervals of a mean have about their nominal coverage, for independent and for autocorrelated numbers: for the
    /// latter, blocks of one would cover far too rarely.
    #[test]
    fn block_intervals_cover() {
        for (carried, at_least) in [(0.0, 0.92), (0.5, 0.87)] {
            let mut held = 0;
            for trial in 0..300 {
                let (mut rng, mut last) = (Rng::new(trial, Stream::Env, 0), 0.0);
                let x: Vec<f64> = (0..200)
                    .map(|_| {
                        last = carried * last + rng.normal();
                        last
                    })
                    .collect();
                let mut mean = |drawn: &[usize]| drawn.iter().map(|i| x[*i]).sum::<f64>() / drawn.len() as f64;
                let mut rng = Rng::new(trial, Stream::Eval, 0);
                let [low, high] = block_bootstrap(x.len(), 400, &mut rng, &mut mean).unwrap();
                held += usize::from(low <= 0.0 && 0.0 <= high);
            }
            assert!(held as f64 >= 300.0 * at_least, "{carried}: {held} of 300");
            assert!(held < 300, "intervals that always hold the truth are too wide");
        }
        assert_eq!(block_bootstrap(3, 400, &mut Rng::new(1, Stream::Eval, 0), &mut |_| 0.0), None);
    }

    #[test]
    fn the_point_is_that_of_the_tables() {
        for (nu, table) in [(1.0, 12.7062), (2.0, 4.3027), (5.0, 2.5706), (9.0, 2.2622), (29.0, 2.0452), (99.0, 1.9842)]
        {
            assert!((student_975(nu) / table - 1.0).abs() < 1e-3, "{nu}: {}", student_975(nu));
        }
    }
}
