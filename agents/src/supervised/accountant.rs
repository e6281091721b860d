//! How much privacy is spent: Rényi differential privacy of the sampled Gaussian mechanism (Mironov, Talwar and Zhang 2019,
//! equation 30, for whole orders), composed over steps, as (ε, δ) by Canonne, Kamath and Steinke 2020 (proposition 12).
//!
//! A step adds each row with probability q and Gaussian noise of σ times the greatest norm of a row's gradient; neighbours
//! differ by one row that is added or taken away.

/// Orders of the Rényi divergence that are tried.
const ORDERS: std::ops::RangeInclusive<u32> = 2..=512;

/// ln (eᵃ + eᵇ)
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// The Rényi divergence of whole order `order` that one step spends, for the sample rate `q` in (0, 1] and the noise
/// multiplier `sigma`.
pub fn renyi(q: f64, sigma: f64, order: u32) -> f64 {
    let alpha = f64::from(order);
    if q >= 1.0 {
        return alpha / (2.0 * sigma * sigma);
    }
    // ln Σ (α over k) qᵏ (1 − q)^(α−k) exp((k² − k) / 2σ²)
    let (mut sum, mut binomial) = (f64::NEG_INFINITY, 0.0f64);
    for k in 0..=order {
        let n = f64::from(k);
        let term = binomial + n * q.ln() + (alpha - n) * (-q).ln_1p() + (n * n - n) / (2.0 * sigma * sigma);
        sum = log_add(sum, term);
        binomial += ((alpha - n) / (n + 1.0)).ln();
    }
    (sum / (alpha - 1.0)).max(0.0)
}

/// The ε that so many steps spend at this δ.
pub fn epsilon(q: f64, sigma: f64, steps: u64, delta: f64) -> f64 {
    if steps == 0 {
        return 0.0;
    }
    let of = |order: u32| {
        let alpha = f64::from(order);
        let spent = steps as f64 * renyi(q, sigma, order);
        spent + (-1.0 / alpha).ln_1p() - (delta.ln() + alpha.ln()) / (alpha - 1.0)
    };
    ORDERS.map(of).fold(f64::INFINITY, f64::min).max(0.0)
}

/// The least noise multiplier, to a thousandth of it, with which so many steps spend at most `wanted`; none where even much
/// noise spends more.
pub fn noise(q: f64, steps: u64, delta: f64, wanted: f64) -> Option<f64> {
    let fits = |sigma: f64| epsilon(q, sigma, steps, delta) <= wanted;
    let (mut low, mut high) = (0.05, 0.1);
    while !fits(high) {
        (low, high) = (high, 2.0 * high);
        if high > 1e6 {
            return None;
        }
    }
    while high - low > 1e-3 * high {
        let middle = 0.5 * (low + high);
        if fits(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Abadi et al. 2016, section 3.2: q = 0.01, σ = 4, δ = 10⁻⁵, 10,000 steps are ε ≈ 1.26 by moments, which are the same
    /// divergences with Mironov's first conversion.
    #[test]
    fn the_published_example_is_met() {
        let classic = |order: u32| 1e4 * renyi(0.01, 4.0, order) - 1e-5f64.ln() / (f64::from(order) - 1.0);
        let found = ORDERS.map(classic).fold(f64::INFINITY, f64::min);
        assert!((found - 1.26).abs() < 0.01, "{found}");
    }

    /// Google's dp-accounting (tests/golden/privacy.py): the same orders give the same; all orders, and privacy loss
    /// distributions, show how much too careful whole orders are.
    #[test]
    fn another_implementation_says_the_same() {
        let golden: Value = serde_json::from_str(include_str!("../../../tests/golden/privacy.json")).unwrap();
        for case in golden["cases"].as_array().unwrap() {
            let of = |key: &str| case[key].as_f64().unwrap();
            let own = epsilon(of("sample_rate"), of("noise_multiplier"), case["steps"].as_u64().unwrap(), of("delta"));
            assert!((own / of("whole_orders") - 1.0).abs() < 1e-9, "{own} {case}");
            // Never less than is truly spent, and little more where little is spent.
            assert!(own > of("loss_distribution") && own < 1.15 * of("all_orders"), "{own} {case}");
            let order = renyi(of("sample_rate"), of("noise_multiplier"), 8);
            assert!((order / of("divergence_8") - 1.0).abs() < 1e-9, "{order} {case}");
        }
    }

    #[test]
    fn noise_is_the_least_that_keeps_within() {
        let (q, steps, delta) = (0.01, 2000, 1e-5);
        for wanted in [0.5, 3.0, 20.0] {
            let sigma = noise(q, steps, delta, wanted).unwrap();
            assert!(epsilon(q, sigma, steps, delta) <= wanted);
            assert!(epsilon(q, 0.995 * sigma, steps, delta) > wanted);
        }
        assert_eq!(epsilon(q, 1.0, 0, delta), 0.0);
        assert!(epsilon(0.02, 1.0, 100, delta) > epsilon(0.01, 1.0, 100, delta));
    }
}
