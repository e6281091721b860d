//! What the test part says of a model of a table, beside what is right without any input.

use crate::slices_report;
use crate::task::Verdict;
use agon::failure::quoted;
use agon::files;
use agon::report::model::shown;
use agon::report::regime::{self, FORGOTTEN};
use agon::run::Run;
use agon_agents::data::report::Report;
use agon_agents::demand::Estimate;
use agon_agents::supervised::dependence::Dependence;
use agon_agents::supervised::slices::Sliced;
use agon_agents::train::{Examined, Part, Training};
use agon_core::Metric;
use serde_json::{Value, json};

/// The result of the final evaluation.
pub struct TableReport {
    target: String,
    /// What was looked at: rows or pictures.
    noun: &'static str,
    run: String,
    warnings: Vec<String>,
    /// The model, then what is right without any input.
    examined: Vec<Examined>,
    /// What the validation part says of the model: searches choose by it.
    validation: Vec<Metric>,
    importance: Vec<(String, Estimate)>,
    details: Value,
    dependence: Vec<Dependence>,
    slices: Vec<Sliced>,
    /// What the run was made to forget.
    forgotten: Value,
}

/// Columns whose importance is shown.
const SHOWN: usize = 10;
/// The most important columns, whose partial dependence is worked out.
const DEPENDENCES: usize = 8;
/// Classes whose confusion is shown.
const SHOWN_CLASSES: usize = 10;

impl TableReport {
    /// Looks at the test part.
    pub fn new(training: &dyn Training, data: &Report, seed: u64, run: &Run) -> Self {
        let warnings = data.findings.iter().filter(|f| f.warning);
        let of = |column: &Option<String>| column.as_ref().map_or(String::new(), |c| format!("`{c}`: "));
        let importance = training.learned();
        let columns: Vec<String> = importance.iter().take(DEPENDENCES).map(|(name, _)| name.clone()).collect();
        Self {
            target: data.target.clone(),
            noun: data.noun(),
            run: quoted(&run.folder),
            warnings: warnings.map(|f| format!("{}{}", of(&f.column), f.what)).collect(),
            examined: training.examine(Part::Test, seed),
            validation: training
                .examine(Part::Validation, seed)
                .into_iter()
                .next()
                .map_or(Vec::new(), |own| own.metrics),
            importance,
            details: training.details(),
            dependence: training.dependence(&columns),
            slices: Vec::new(),
            forgotten: files::text(&run.path(FORGOTTEN))
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
        }
    }

    /// The same with groups of the test part.
    pub fn with_slices(self, slices: Vec<Sliced>) -> Self {
        Self { slices, ..self }
    }

    /// Whether the model is surely better than what knows nothing of the inputs.
    fn is_better(&self) -> bool {
        let by = self.examined.get(1).and_then(|e| e.better_by.as_ref());
        by.and_then(|by| by.interval).is_some_and(|[low, _]| low > 0.0)
    }

    fn headline(&self) -> String {
        let (own, other) = (&self.examined[0].name, &self.examined[1].name);
        let sure = if self.is_better() {
            format!("{own} predicts `{}` better than the {other} of the training part", self.target)
        } else {
            format!(
                "WARNING: {own} does not surely predict `{}` better than the {other} of the training part",
                self.target
            )
        };
        self.warnings.iter().fold(sure, |all, warning| format!("{all}\nWARNING of the data report: {warning}"))
    }

    fn confusion(&self) -> String {
        let names: Vec<&str> =
            self.details["classes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if names.is_empty() || names.len() > SHOWN_CLASSES {
            return String::new();
        }
        let short = |name: &str| name.chars().take(14).collect::<String>();
        let mut out = format!("\n{:<16}", "truth \\ predicted");
        names.iter().for_each(|name| out += &format!("{:>16}", short(name)));
        out += "\n";
        for (name, row) in names.iter().zip(self.details["confusion"].as_array().into_iter().flatten()) {
            out += &format!("{:<16}", short(name));
            let counts = row.as_array().into_iter().flatten().filter_map(Value::as_f64);
            counts.for_each(|n| out += &format!("{n:>16}"));
            out += "\n";
        }
        out
    }

    /// The search that led to an ensemble: what was tried, the best first.
    fn leaderboard(&self, decides: &str) -> String {
        let search = &self.details["learner"]["search"];
        let (Some(trials), Some(models)) = (search["leaderboard"].as_array(), search["models"].as_u64()) else {
            return String::new();
        };
        let folds = search["folds"].as_u64().unwrap_or(1);
        // The loss of numbers is the squared error.
        let shown = |loss: &Value| match loss.as_f64() {
            Some(loss) if decides == "rmse" => format!("{:.5}", loss.sqrt()),
            Some(loss) => format!("{loss:.5}"),
            None => String::new(),
        };
        let mut out = format!(
            "\nsearch: {models} models of {} settings; {decides} of rows that a model did not see\n  {:<10}{:>7}{:>12}{:>9}  settings\n  {:<10}{:>7}{:>12}\n",
            trials.len(),
            "model",
            "folds",
            decides,
            "weight",
            "ensemble",
            folds,
            shown(&search["loss"])
        );
        for trial in trials.iter().take(SHOWN) {
            let settings = trial["settings"].as_object().into_iter().flatten();
            let settings: Vec<String> = settings.map(|(key, value)| format!("{key} {value}")).collect();
            let settings = if settings.is_empty() { "defaults".into() } else { settings.join(", ") };
            out += &format!(
                "  {:<10}{:>7}{:>12}{:>9}  {settings}\n",
                trial["kind"].as_str().unwrap_or_default(),
                trial["folds"].as_u64().unwrap_or(0),
                shown(&trial["loss"]),
                trial["weight"].as_f64().filter(|w| *w > 0.0).map_or(String::new(), |w| format!("{w:.2}")),
            );
        }
        if trials.len() > SHOWN {
            out += &format!("  and {} more settings (evaluation.json has all)\n", trials.len() - SHOWN);
        }
        out + &format!("the same search again: --set model.minutes=0 --set train.steps={models}\n")
    }

    /// How many rows without a class a first model gave one.
    fn pseudo_labels(&self) -> String {
        let found = &self.details["learner"]["pseudo_labels"];
        let (Some(rows), Some(labelled), Some(sure)) =
            (found["rows"].as_u64(), found["labelled"].as_u64(), found["sure"].as_f64())
        else {
            return String::new();
        };
        let sure = 100.0 * sure;
        format!(
            "\n{labelled} of {rows} rows without a class were learned from: a first model was {sure:.0} % sure of theirs\n"
        )
    }
}

impl Verdict for TableReport {
    fn json(&self) -> Value {
        let one = |e: &Examined| json!({"name": e.name, "metrics": e.metrics, "better_by": e.better_by});
        let learned = |(name, e): &(String, Estimate)| json!({"name": name, "value": e.value, "error": e.error});
        json!({
            "agent": self.examined[0].name,
            "headline": self.headline(),
            "metrics": self.examined[0].metrics,
            "validation": self.validation,
            "baselines": self.examined[1..].iter().map(one).collect::<Vec<_>>(),
            "better": self.is_better(),
            "warnings": self.warnings,
            "importance": self.importance.iter().map(learned).collect::<Vec<_>>(),
            "details": self.details,
            "dependence": self.dependence,
            "slices": self.slices,
            "forgotten": self.forgotten,
        })
    }

    fn table(&self) -> String {
        let [own, other] = [&self.examined[0], &self.examined[1]];
        let (n, what) = &own.metrics[0].over;
        let first = format!("{n} test {what}");
        let mut out = format!("{}\n\n{first:<20}{:>30}{:>30}\n", self.headline(), own.name, other.name);
        for metric in &own.metrics {
            let beside = other.metrics.iter().find(|m| m.name == metric.name).map(shown).unwrap_or_default();
            out += &format!("{:<20}{:>30}{beside:>30}\n", metric.name.replace('_', " "), shown(metric));
        }
        if let Some(by) = &other.better_by {
            out += &format!("{:<20}{:>30}\n", format!("{} lower by", by.name.replace('_', " ")), shown(by));
        }
        out += &format!("95 % intervals in brackets, by resampled test {}\n", self.noun);
        out += &self.confusion();
        if let Some(temperature) = self.details["temperature"].as_f64() {
            out += &format!("\nprobabilities are calibrated on the validation part: temperature {temperature:.3}\n");
        }
        if let (Some(held), Some(margin)) =
            (self.details["interval"]["held"].as_f64(), self.details["interval"]["margin"].as_f64())
        {
            out += &format!(
                "\n90 % intervals of predictions, ± {margin:.4}, held {:.1} % of the test rows\n",
                100.0 * held
            );
        }
        if !self.importance.is_empty() {
            let decides = own.metrics[0].name.replace('_', " ");
            out += &format!("\nimportance: how much the {decides} rises where a column's values are shuffled\n");
            let wide = self.importance.iter().take(SHOWN).map(|(name, _)| name.chars().count()).max().unwrap_or(0);
            self.importance.iter().take(SHOWN).for_each(|(name, e)| out += &format!("  {name:<wide$}  {e}\n"));
            if self.importance.len() > SHOWN {
                out += &format!("  and {} more columns\n", self.importance.len() - SHOWN);
            }
        }
        let positive = self.details["classes"][1].as_str().filter(|_| self.details["classes"][2].is_null());
        self.slices.iter().for_each(|column| out += &slices_report::text(column, "test rows", positive));
        regime::sentences(&self.json()).iter().for_each(|sentence| out += &format!("\n{sentence}\n"));
        out += &self.pseudo_labels();
        out += &self.leaderboard(&own.metrics[0].name.replace('_', " "));
        let new = if self.noun == "rows" { "NEW.csv" } else { "FOLDER" };
        out += &format!("\npredict with\n  agon predict {} --data {new} -o predictions.csv\n", self.run);
        out
    }

    fn has_episodes(&self) -> bool {
        false
    }
}
