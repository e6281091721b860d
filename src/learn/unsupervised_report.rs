//! What a model without a target found: its metrics on rows that it never saw, clusters and what distinguishes them,
//! components, and the most unusual rows by line.

use crate::task::Verdict;
use agon::Outcome;
use agon::failure::quoted;
use agon::report::clusters::{differences, short};
use agon::report::model::shown;
use agon::run::Run;
use agon_agents::train::{Examined, Part, Training};
use agon_core::Metric;
use serde_json::{Value, json};

/// The result of the final evaluation.
pub struct UnsupervisedReport {
    file: String,
    run: String,
    /// Where the places of rows are, if they have any.
    coordinates: String,
    /// The model, then what knows nothing of how columns hang together, where there is a loss.
    examined: Vec<Examined>,
    /// What the validation part says of the model: searches choose by it.
    validation: Vec<Metric>,
    details: Value,
}

/// The places of rows on a map, in a run's folder.
const COORDINATES: &str = "coordinates.csv";
/// Clusters and components that are shown.
const SHOWN: usize = 12;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// A whole number; a JSON value itself would not be padded.
fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl UnsupervisedReport {
    /// Looks at the test part, and at the whole table.
    pub fn new(training: &dyn Training, file: &str, seed: u64, run: &Run) -> Self {
        Self {
            file: file.to_owned(),
            run: quoted(&run.folder),
            coordinates: quoted(run.path(COORDINATES)),
            examined: training.examine(Part::Test, seed),
            validation: training
                .examine(Part::Validation, seed)
                .into_iter()
                .next()
                .map_or(Vec::new(), |own| own.metrics),
            details: training.details(),
        }
    }

    /// Writes the places of rows on a map, where there is one: `line`, of the file, `x` and `y`.
    ///
    /// # Errors
    /// Where the run's folder cannot be written to.
    pub fn write_coordinates(training: &dyn Training, run: &Run) -> Outcome {
        let all = training.coordinates();
        if all.is_empty() {
            return Ok(());
        }
        let line = |(line, [x, y]): &(u64, [f64; 2])| format!("{line},{x},{y}\n");
        run.write(COORDINATES, &("line,x,y\n".to_owned() + &all.iter().map(line).collect::<String>()))
    }

    fn is_better(&self) -> Option<bool> {
        let by = self.examined.get(1)?.better_by.as_ref()?.interval?;
        Some(by[0] > 0.0)
    }

    fn headline(&self) -> String {
        let own = &self.examined[0].name;
        let clusters = list(&self.details["clusters"]).len();
        let none = count(&self.details["rows_of_no_cluster"]);
        if self.is_map() {
            let rows = count(&self.details["rows"]);
            return [vec![format!("{own}: a map of the {rows} rows of {}", self.file)], self.map_warnings()]
                .concat()
                .join("\n");
        }
        let what = match (clusters, list(&self.details["model"]["explained"]).len()) {
            (0, 0) if none > 0 && none == count(&self.details["rows"]) => {
                format!("{own}: no clusters in {}: no rows lie closer together than the others", self.file)
            }
            (0, 0) => format!("{own}: how unusual each row of {} is", self.file),
            (0, 1) => format!("{own}: 1 component of {}", self.file),
            (0, n) => format!("{own}: {n} components of {}", self.file),
            (1, _) => format!("{own}: 1 cluster in {}", self.file),
            (n, _) => format!("{own}: {n} clusters in {}", self.file),
        };
        let mut lines = vec![what];
        if let (Some(false), Some(other)) = (self.is_better(), self.examined.get(1)) {
            lines.push(format!(
                "WARNING: rows that it never saw are not surely better described by it than by the {}",
                other.name
            ));
        }
        lines.extend(self.warnings());
        lines.join("\n")
    }

    /// Whether every row has a place on a map, and nothing was held out.
    fn is_map(&self) -> bool {
        self.details["map"] == true
    }

    /// What makes the map doubtful.
    fn map_warnings(&self) -> Vec<String> {
        // Below it the neighbours on the map are hardly neighbours.
        const WEAK: f64 = 0.8;
        let found = self.examined[0].metrics.iter().find(|m| m.name == "trustworthiness" && m.value < WEAK);
        let why = |m: &Metric| {
            format!(
                "WARNING: rows that are near on the map need not be alike (trustworthiness {:.2}; 1 is the best)",
                m.value
            )
        };
        found.map(why).into_iter().collect()
    }

    /// What makes the clusters doubtful.
    fn warnings(&self) -> Vec<String> {
        // Below it Kaufman and Rousseeuw (1990) see no substantial structure.
        const WEAK: f64 = 0.25;
        const AGREED: f64 = 0.8;
        let model = &self.details["model"];
        let tried = list(&model["tried"]);
        let mut out = Vec::new();
        let Some(own) = tried.iter().find(|t| t["clusters"] == model["chosen"]) else { return out };
        let clusters = count(&own["clusters"]);
        if clusters > 1 && own["silhouette"].as_f64().is_some_and(|s| s < WEAK) {
            let found = number(&own["silhouette"]);
            out.push(format!(
                "WARNING: rows are hardly nearer to their own cluster than to the next one (silhouette {found:.2}; below \
                 {WEAK} usually means that there are no clusters)"
            ));
        }
        if clusters > 1 && own["agreement_of_starts"].as_f64().is_some_and(|a| a < AGREED) {
            let found = number(&own["agreement_of_starts"]);
            out.push(format!(
                "WARNING: fits from other starts find other clusters (adjusted Rand index {found:.2}; 1 is the same)"
            ));
        }
        if tried.len() > 1 && tried.iter().all(|t| count(&t["clusters"]) <= clusters) {
            out.push(format!(
                "WARNING: {clusters} is the largest number of clusters that was tried, and was the best: more may be \
                 better (model.most_clusters)"
            ));
        }
        let flat: Vec<&str> = list(&self.details["without_variance"]).iter().filter_map(Value::as_str).collect();
        if !flat.is_empty() {
            let more = if flat.len() > 5 { ", …" } else { "" };
            out.push(format!(
                "WARNING: clusters have no variance of their own in {}{more}: likelihood and BIC say little there. Leave such \
                 columns out (data.drop), or use kmeans",
                flat[..flat.len().min(5)].join(", ")
            ));
        }
        out
    }

    /// The numbers of clusters that were tried.
    fn tried(&self) -> String {
        let model = &self.details["model"];
        let (tried, criterion) = (list(&model["tried"]), model["criterion"].as_str().unwrap_or_default());
        let mut out = String::new();
        if tried.len() > 1 {
            let (word, best) = if criterion == "bic" { ("BIC", "lowest") } else { ("silhouette", "highest") };
            out += &format!("\nnumber of clusters by the {best} {word}\n");
            out += &format!("  {:<10}{word:>14}{:>22}\n", "clusters", "agreement of starts");
            for t in tried {
                let mark = if t["clusters"] == model["chosen"] { "  chosen" } else { "" };
                let agree = t["agreement_of_starts"].as_f64().map_or("-".into(), |x| format!("{x:.2}"));
                let value = t[criterion]
                    .as_f64()
                    .map_or("-".into(), |x| if criterion == "bic" { format!("{x:.0}") } else { format!("{x:.3}") });
                out += &format!("  {:<10}{value:>14}{agree:>22}{mark}\n", count(&t["clusters"]));
            }
            out +=
                "  agreement: adjusted Rand index of fits from different starts; 1 is the same clusters every time\n";
        } else if let Some(agree) = tried.first().and_then(|t| t["agreement_of_starts"].as_f64()) {
            out += &format!("\nfits from different starts agree by an adjusted Rand index of {agree:.2}\n");
        }
        out
    }

    fn clusters(&self) -> String {
        let (clusters, rows) = (list(&self.details["clusters"]), number(&self.details["rows"]));
        let mut out = String::new();
        if clusters.is_empty() {
            return out;
        }
        out += &format!("\nclusters of all {rows} rows, and what distinguishes each\n");
        for c in clusters.iter().take(SHOWN) {
            let share = 100.0 * number(&c["rows"]) / rows;
            out += &format!(
                "  {:>3}  {:>8} rows {share:>5.1} %  {}\n",
                count(&c["cluster"]),
                count(&c["rows"]),
                differences(&c["differences"])
            );
        }
        if clusters.len() > SHOWN {
            out += &format!("  and {} more clusters (evaluation.json has them)\n", clusters.len() - SHOWN);
        }
        let none = number(&self.details["rows_of_no_cluster"]);
        if none > 0.0 {
            out += &format!("  none {none:>8} rows {:>5.1} %  belong to no cluster\n", 100.0 * none / rows);
        }
        out
    }

    fn components(&self) -> String {
        let explained = list(&self.details["model"]["explained"]);
        let mut out = String::new();
        if explained.is_empty() {
            return out;
        }
        out += "\ncomponents: share of the training part's variance, and the numbers that weigh most\n";
        let mut sum = 0.0;
        for (k, share) in explained.iter().enumerate() {
            sum += number(share);
            if k >= SHOWN {
                continue;
            }
            let weights = list(&self.details["loadings"][k]).iter();
            let weights =
                weights.map(|w| format!("{} {:+.2}", w["what"].as_str().unwrap_or_default(), number(&w["weight"])));
            let weights: Vec<String> = weights.collect();
            out += &format!(
                "  {:>3}  {:>5.1} %  together {:>5.1} %  {}\n",
                k + 1,
                100.0 * number(share),
                100.0 * sum,
                weights.join(", ")
            );
        }
        if explained.len() > SHOWN {
            out += &format!("  and {} more, together {:.1} %\n", explained.len() - SHOWN, 100.0 * sum);
        }
        out
    }

    fn unusual(&self) -> String {
        let rows = list(&self.details["unusual"]);
        let mut out = String::new();
        if !rows.is_empty() {
            out += "\nmost unusual rows: line of the file, score, share of the training rows with a lower one\n";
        }
        for row in rows {
            out += &format!(
                "  line {:>7}  {:>9}  {:>6.1} %  {}\n",
                count(&row["line"]),
                short(number(&row["score"])),
                100.0 * number(&row["below"]),
                differences(&row["differences"])
            );
        }
        out
    }
}

impl Verdict for UnsupervisedReport {
    fn json(&self) -> Value {
        let one = |e: &Examined| json!({"name": e.name, "metrics": e.metrics, "better_by": e.better_by});
        json!({
            "agent": self.examined[0].name,
            "metrics": self.examined[0].metrics,
            "validation": self.validation,
            "baselines": self.examined[1..].iter().map(one).collect::<Vec<_>>(),
            "better": self.is_better(),
            "details": self.details,
        })
    }

    fn table(&self) -> String {
        let own = &self.examined[0];
        let rows = own.metrics.first().map_or(0, |m| m.over.0);
        let first =
            if self.is_map() { format!("{} rows", count(&self.details["rows"])) } else { format!("{rows} test rows") };
        let mut out = format!("{}\n\n{first:<26}{:>30}", self.headline(), own.name);
        out += &self.examined.get(1).map_or(String::new(), |other| format!("{:>30}", other.name));
        out += "\n";
        for metric in &own.metrics {
            let beside = self.examined.get(1).and_then(|e| e.metrics.iter().find(|m| m.name == metric.name));
            let beside = beside.map(|m| format!("{:>30}", shown(m))).unwrap_or_default();
            out += &format!("{:<26}{:>30}{beside}\n", metric.name.replace('_', " "), shown(metric));
        }
        if let Some(by) = self.examined.get(1).and_then(|e| e.better_by.as_ref()) {
            out += &format!("{:<26}{:>30}\n", "lower by", shown(by));
            out += "95 % intervals in brackets, by resampled test rows\n";
        }
        out += &self.tried();
        out += &self.clusters();
        out += &self.components();
        out += &self.unusual();
        if self.is_map() {
            out += "distances between far groups, and their sizes, mean little: near is alike, far is only not near\n";
            out += &format!("\nthe place of every row, by its line in the file, is in\n  {}\n", self.coordinates);
            if self.details["places_new_rows"] != true {
                return out;
            }
        }
        out + &format!("\nread new rows with\n  agon predict {} --data NEW.csv -o found.csv\n", self.run)
    }

    fn has_episodes(&self) -> bool {
        false
    }
}
