//! `agon train --find-rate`: tests learning rates instead of training, and says which one to begin with.

use crate::beginning;
use crate::device;
use crate::scenarios;
use agon::cli;
use agon::{Failure, Outcome};
use agon_agents::AgentError;
use agon_agents::rate_test::RateTest;
use agon_core::scene::significant;
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Rates that are shown.
const SHOWN: usize = 21;
/// Letters of the longest bar.
const WIDE: f64 = 40.0;

/// Tests the rates of what would be trained; nothing is written.
pub fn find(args: &cli::Train, stop: &Arc<AtomicBool>) -> Outcome {
    let mut task = scenarios::asked(args)?;
    task.common_mut().stop = stop.clone();
    let device = task.device(device::open(args.device)?);
    agon_agents::set_threads(task.common().train.threads);
    let mut trainer = task.start(device)?;
    beginning::begin(&*task, &mut *trainer, args.from.as_deref())?;
    let tested = trainer.test_rates(&|| stop.load(Ordering::Relaxed)).map_err(|e| match e {
        AgentError::Stopped => Failure::Interrupted("nothing was written".into()),
        other => Failure::Input(format!("--find-rate: {other}")),
    })?;
    let fastest = tested.fastest().map(|at| rounded(tested.rates[at]));
    if args.ui == cli::Ui::Json {
        agon::say!("{}", json!({"rates": tested.rates, "losses": tested.losses, "fastest": fastest}));
        return Ok(());
    }
    agon::failure::say(format_args!("{}", text(&tested, fastest)));
    Ok(())
}

/// Two digits, as people write rates.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}

fn text(tested: &RateTest, fastest: Option<f64>) -> String {
    let losses = &tested.losses;
    let Some(lowest) = tested.lowest() else { return "the loss is no number at the lowest rate already\n".into() };
    let mut out = format!("{:>9}  {:>9}\n", "rate", "loss");
    // The end of the curve, where it rises, would make all else look flat.
    let (low, high) = (losses[lowest], losses[0].max(losses[lowest]));
    let shown = SHOWN.min(losses.len());
    for i in (0..shown).map(|k| k * (losses.len() - 1) / (shown - 1).max(1)) {
        let share = if high > low { ((losses[i] - low) / (high - low)).clamp(0.0, 1.2) } else { 0.0 };
        let bar = "█".repeat((WIDE * share).round() as usize);
        let _ = writeln!(out, "{:>9.1e}  {:>9}  {bar}", tested.rates[i], significant(losses[i], 4));
    }
    match fastest {
        Some(rate) => {
            let lowest = rounded(tested.rates[lowest]);
            let _ =
                writeln!(out, "the loss falls fastest at a rate of {rate:e}, and is lowest at {lowest:e}; begin with");
            let _ = writeln!(out, "  --set model.learning_rate={rate}");
        }
        None => out += "no rate lowers the loss by more than chance does in 200 steps: try a larger model.minibatch\n",
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_named_where_there_is_one() {
        let rates: Vec<f64> = (0..100).map(|i| 1e-6 * 1.148f64.powi(i)).collect();
        let falls = |i: usize| 1.0 - 0.8 / (1.0 + (-(i as f64 - 60.0) / 4.0).exp()) + 0.5 * f64::from(u8::from(i > 90));
        let tested = RateTest { losses: (0..100).map(falls).collect(), rates };
        let fastest = tested.fastest().map(|at| rounded(tested.rates[at]));
        let told = text(&tested, fastest);
        assert!(told.lines().count() == 24 && told.contains("model.learning_rate=0.00"), "{told}");
        let flat = RateTest { losses: vec![1.0; 100], rates: tested.rates };
        assert!(text(&flat, None).contains("no rate lowers the loss"));
        assert!(text(&RateTest { losses: Vec::new(), rates: Vec::new() }, None).contains("no number"));
    }
}
