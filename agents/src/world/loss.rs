//! Losses of a world model's networks, −log p up to a constant, with gradients at their outputs.

use agon_core::world::LOG_VARIANCE;

/// Of a normal; `[mean, logarithm of the variance]`.
fn normal([mean, free]: [f32; 2], y: f32) -> (f64, [f64; 2]) {
    let log_variance = free.clamp(LOG_VARIANCE[0], LOG_VARIANCE[1]);
    let (error, precision) = (f64::from(mean - y), f64::from(-log_variance).exp());
    let of_variance = 0.5 * (1.0 - error * error * precision);
    // Beyond the cut only what leads back counts.
    let cut = free != log_variance && (of_variance > 0.0) == (free < log_variance);
    let loss = 0.5 * (error * error * precision + f64::from(log_variance));
    (loss, [error * precision, if cut { 0.0 } else { of_variance }])
}

/// Of a change, `[obs_len]`; `values` and `which` are those of the world and the transition. Writes the gradient times `share`
/// to `at`.
pub fn of_change(values: &[Vec<f32>], out: &[f32], y: &[f32], which: &[usize], at: Option<(&mut [f32], f64)>) -> f64 {
    let (mut loss, mut from, mut at) = (0.0, 0, at);
    for (k, values) in values.iter().enumerate() {
        if values.is_empty() {
            let (own, gradient) = normal([out[from], out[from + 1]], y[k]);
            loss += own;
            if let Some((at, share)) = &mut at {
                (0..2).for_each(|i| at[from + i] = (gradient[i] * *share) as f32);
            }
            from += 2;
            continue;
        }
        let scores = &out[from..from + values.len()];
        let most = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = scores.iter().map(|s| (f64::from(*s) - most).exp()).sum();
        loss += most + sum.ln() - f64::from(scores[which[k]]);
        if let Some((at, share)) = &mut at {
            for (i, score) in scores.iter().enumerate() {
                let p = (f64::from(*score) - most).exp() / sum;
                at[from + i] = ((p - f64::from(u8::from(i == which[k]))) * *share) as f32;
            }
        }
        from += values.len();
    }
    loss
}

/// Of a reward.
pub fn of_reward(out: &[f32], reward: f32, at: Option<(&mut [f32], f64)>) -> f64 {
    let (loss, gradient) = normal([out[0], out[1]], reward);
    if let Some((at, share)) = at {
        (0..2).for_each(|i| at[i] = (gradient[i] * share) as f32);
    }
    loss
}

/// Of whether the rules ended the episode.
pub fn of_end(out: &[f32], ended: bool, at: Option<(&mut [f32], f64)>) -> f64 {
    let logit = f64::from(out[0]);
    // ln(1 + e^−z), z the logit of what happened.
    let z = if ended { logit } else { -logit };
    if let Some((at, share)) = at {
        at[0] = ((1.0 / (1.0 + (-logit).exp()) - f64::from(u8::from(ended))) * share) as f32;
    }
    (-z).max(0.0) + (-z.abs()).exp().ln_1p()
}

/// The mean change, `[obs_len]`, in units of the world's output (`standard`: means and deviations), added to `sums` times
/// `share`.
pub fn mean_change(values: &[Vec<f32>], standard: [&[f32]; 2], out: &[f32], share: f32, sums: &mut [f32]) {
    let mut from = 0;
    for (k, values) in values.iter().enumerate() {
        let width = if values.is_empty() { 2 } else { values.len() };
        let out = &out[from..from + width];
        from += width;
        let mean = if values.is_empty() {
            f64::from(out[0])
        } else {
            let most = f64::from(out.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let weights = out.iter().map(|s| (f64::from(*s) - most).exp());
            let sum: f64 = weights.clone().sum();
            let raw = weights.zip(values).map(|(w, v)| w * f64::from(*v)).sum::<f64>() / sum;
            (raw - f64::from(standard[0][k])) / f64::from(standard[1][k])
        };
        sums[k] += share * mean as f32;
    }
}
