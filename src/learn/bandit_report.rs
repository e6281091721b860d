//! What the test part of a log says of a policy that was learned from the rest of it.

use crate::task::Verdict;
use agon::failure::quoted;
use agon::report::model::shown;
use agon::run::Run;
use agon_agents::demand::Estimate;
use agon_agents::train::{Examined, Part, Training};
use serde_json::{Value, json};

/// Actions that are shown.
const SHOWN: usize = 10;

/// The result of the final evaluation.
pub struct BanditReport {
    /// The columns of actions and rewards.
    names: [String; 2],
    run: String,
    /// The policy, then those beside it.
    examined: Vec<Examined>,
    shares: Vec<(String, Estimate)>,
    details: Value,
}

impl BanditReport {
    /// Looks at the test part.
    pub fn new(training: &dyn Training, names: &[String; 2], seed: u64, run: &Run) -> Self {
        Self {
            names: names.clone(),
            run: quoted(&run.folder),
            examined: training.examine(Part::Test, seed),
            shares: training.learned(),
            details: training.details(),
        }
    }

    fn warnings(&self) -> impl Iterator<Item = &str> {
        self.details["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether it surely earns more than what was logged.
    fn is_better(&self) -> bool {
        let by = self.examined.get(1).and_then(|e| e.better_by.as_ref());
        by.and_then(|by| by.interval).is_some_and(|[low, _]| low > 0.0)
    }

    fn headline(&self) -> String {
        let [_, reward] = &self.names;
        let first = if self.is_better() {
            format!("the learned policy brings more `{reward}` than the logged one, as far as the log can tell")
        } else {
            format!("WARNING: the learned policy does not surely bring more `{reward}` than the logged one")
        };
        self.warnings().fold(first, |all, warning| format!("{all}\nWARNING: {warning}"))
    }
}

impl Verdict for BanditReport {
    fn json(&self) -> Value {
        let one = |e: &Examined| json!({"name": e.name, "metrics": e.metrics, "better_by": e.better_by});
        let share = |(name, e): &(String, Estimate)| json!({"action": name, "share": e.value});
        json!({
            "agent": self.examined.first().map(|e| &e.name),
            "metrics": self.examined.first().map(|e| &e.metrics),
            "baselines": self.examined.iter().skip(1).map(one).collect::<Vec<_>>(),
            "better": self.is_better(),
            "shares": self.shares.iter().map(share).collect::<Vec<_>>(),
            "details": self.details,
        })
    }

    fn table(&self) -> String {
        let Some((own, others)) = self.examined.split_first() else { return "nothing was learned yet\n".into() };
        let [action, reward] = &self.names;
        let (n, what) = &own.metrics[0].over;
        let mut out = format!("{}\n\nmean `{reward}` of {n} test {what}\n", self.headline());
        out += &format!("{:<24}{:>30}{:>34}\n", "", "value", "the learned policy brings more by");
        out += &format!("{:<24}{:>30}\n", own.name, shown(&own.metrics[0]));
        for other in others {
            let by = other.better_by.as_ref().map(shown).unwrap_or_default();
            out += &format!("{:<24}{:>30}{by:>34}\n", other.name, shown(&other.metrics[0]));
        }
        out += "\nthe learned policy by other estimators\n";
        for metric in &own.metrics[1..] {
            out += &format!("{:<24}{:>30}\n", metric.name.replace('_', " "), shown(metric));
        }
        out += "95 % intervals in brackets, by resampled test rows; values are doubly robust, of the logged policy the mean\n";
        let overlap = &self.details["overlap"];
        if let (Some(rows), Some(heaviest)) = (overlap["effective_rows"].as_f64(), overlap["heaviest_row"].as_f64()) {
            out += &format!("{n} rows count as {rows:.0}; the heaviest has {:.1} % of all weight\n", 100.0 * heaviest);
        }
        out += &format!("\nwhat the learned policy does, by `{action}`\n");
        for (name, share) in self.shares.iter().take(SHOWN) {
            out += &format!("  {name:<22}{:>8.1} %\n", 100.0 * share.value);
        }
        if self.shares.len() > SHOWN {
            out += &format!("  and {} more actions\n", self.shares.len() - SHOWN);
        }
        out += &format!("\nits choices for new rows\n  agon predict {} --data NEW.csv -o choices.csv\n", self.run);
        out
    }

    fn has_episodes(&self) -> bool {
        false
    }
}
