//! The model card of a run that learned from a table or from pictures (Mitchell et al. 2019): `card.md`, made of the run's
//! own files, so that it says nothing that was not measured.

use super::{Story, data, model, plain, regime};
use crate::failure::quoted;
use agon_core::scene::significant;
use serde_json::Value;

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A cell of a table in Markdown.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ").replace('<', "&lt;")
}

/// A row of a table in Markdown.
fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().map(|text| cell(&text)).collect::<Vec<_>>().join(" | "))
}

/// The card; none where nothing was read from a table or pictures, or nothing was evaluated.
pub fn text(story: &Story) -> Option<String> {
    if story.data.is_null() || story.evaluation.is_null() {
        return None;
    }
    let (found, report) = (&story.evaluation, &story.data);
    let mut out = format!("# Model card: {}\n\n", cell(story.word("name")));
    if !story.word("about").is_empty() {
        out += &format!("{}\n\n", cell(story.word("about")));
    }
    if let Some(headline) = found["headline"].as_str() {
        headline.lines().for_each(|line| out += &format!("**{}**\n\n", cell(line)));
    }
    let version = env!("CARGO_PKG_VERSION");
    out +=
        &format!("## What it is\n\n{} (`{}`), trained by Agon {version}.", cell(&plain(&found["agent"])), story.kind());
    out +=
        " Its settings, and those of its data, are in `scenario.toml`; training that again gives the same model.\n\n";
    out += "## Data\n\n";
    out += &format!("`{}`: {}\n\n", cell(&plain(&report["file"])), cell(&data::extent(report)));
    if let Ok(bytes) = std::fs::read(story.run.path("data.csv")) {
        let sum = crc32c::crc32c(&bytes);
        out += &format!("The run's copy `data.csv` has {} bytes and the CRC-32C {sum:08x}.\n\n", bytes.len());
    }
    let unused: Vec<String> = list(&report["columns"])
        .iter()
        .filter(|column| !["input", "target"].contains(&column["used"].as_str().unwrap_or_default()))
        .map(|column| format!("{} ({})", plain(&column["name"]), plain(&column["used"])))
        .collect();
    if !unused.is_empty() {
        out += &format!("Columns that are no inputs: {}.\n\n", cell(&unused.join(", ")));
    }
    let findings = list(&report["findings"]);
    findings.iter().for_each(|of| {
        out += &format!("- {}{}\n", if of["warning"] == true { "WARNING: " } else { "" }, cell(&data::finding(of)));
    });
    out += if findings.is_empty() { "Nothing odd was found in the data.\n\n" } else { "\n" };
    let training = regime::sentences(found);
    if !training.is_empty() {
        out += "## Training\n\n";
        training.iter().for_each(|sentence| out += &format!("- {}\n", cell(sentence)));
        out += "\n";
    }
    out += &measured(found);
    out += &groups(found);
    out += &limits(story);
    let new = if report["pictures"].is_string() { "FOLDER" } else { "NEW.csv" };
    let run = quoted(&story.run.folder);
    out += &if is_map(found) {
        "## Use\n\n`coordinates.csv` has the place of every row, by its line in the file. New rows have none.\n"
            .to_owned()
    } else {
        format!("## Use\n\n```sh\nagon predict {run} --data {new} -o predictions.csv\n```\n")
    };
    Some(out)
}

/// Whether it is a map of rows, which reads no others.
fn is_map(found: &Value) -> bool {
    found["details"]["map"] == true
}

fn measured(found: &Value) -> String {
    let (own, baselines) = (model::metrics(&found["metrics"]), list(&found["baselines"]));
    let mut out = "## Metrics\n\n".to_owned();
    let Some(first) = own.first() else { return out + "Nothing was measured on rows that it did not learn from.\n\n" };
    let (n, what) = &first.over;
    out += &if is_map(found) {
        "Of the rows that the map was made of: nothing was held out.\n\n".to_owned()
    } else {
        format!(
            "Of {n} test {what} that nothing was learned from and no decision was made by; 95 % intervals in brackets.\n\n"
        )
    };
    let names = baselines.iter().map(|baseline| plain(&baseline["name"]));
    let head: Vec<String> = ["metric".into(), plain(&found["agent"])].into_iter().chain(names).collect();
    out += &row(head.clone());
    out += &row(head.iter().map(|_| "---".into()));
    for metric in &own {
        let beside = baselines.iter().map(|baseline| {
            let of = model::metrics(&baseline["metrics"]).into_iter().find(|other| other.name == metric.name);
            of.map_or("–".into(), |other| model::shown(&other))
        });
        out += &row([metric.name.replace('_', " "), model::shown(metric)].into_iter().chain(beside));
    }
    out += "\n";
    let details = &found["details"];
    if let Some(temperature) = details["temperature"].as_f64() {
        out += &format!("Probabilities are calibrated on the validation part (temperature {temperature:.3}).\n\n");
    }
    if let Some(held) = details["interval"]["held"].as_f64() {
        out +=
            &format!("Intervals that are to hold 90 % of the truth held {:.1} % of the test rows.\n\n", 100.0 * held);
    }
    out
}

fn groups(found: &Value) -> String {
    let slices = list(&found["slices"]);
    if slices.is_empty() {
        return String::new();
    }
    let mut out = "## Groups\n\n".to_owned();
    let names: Vec<String> = model::metrics(&found["metrics"]).into_iter().map(|metric| metric.name).collect();
    for sliced in slices {
        let head =
            [plain(&sliced["column"]), "test rows".into()].into_iter().chain(names.iter().map(|n| n.replace('_', " ")));
        let head: Vec<String> = head.collect();
        out += &row(head.clone());
        out += &row(head.iter().map(|_| "---".into()));
        for group in list(&sliced["groups"]) {
            let own = model::metrics(&group["metrics"]);
            let value = |name: &String| {
                let few = if own.is_empty() { "too few rows" } else { "–" };
                own.iter().find(|metric| metric.name == *name).map_or(few.into(), model::shown)
            };
            let cells = [plain(&group["value"]), plain(&group["rows"])];
            out += &row(cells.into_iter().chain(names.iter().map(value)));
        }
        out += "\n";
        for gap in list(&sliced["gaps"]) {
            let end = |k: usize| gap["interval"][k].as_f64();
            let ends = end(0)
                .zip(end(1))
                .map_or(String::new(), |(a, b)| format!(" [{}, {}]", significant(a, 3), significant(b, 3)));
            let chance =
                gap["by_chance"].as_f64().map_or(String::new(), |x| format!(", by chance up to {}", significant(x, 3)));
            let value = gap["value"].as_f64().unwrap_or(f64::NAN);
            out += &format!("- gap in {}: {}{ends}{chance}\n", cell(&plain(&gap["of"])), significant(value, 3));
        }
        out += "\n";
    }
    out
}

/// What the numbers above do not say.
fn limits(story: &Story) -> String {
    let (found, report) = (&story.evaluation, &story.data);
    let split = plain(&report["split"]);
    if is_map(found) {
        return "## Limits\n\n- Near rows are alike; distances between far groups, and sizes of groups, mean little.\n\n".into();
    }
    let mut all = vec![
        "The metrics hold for rows that come about as those of the test part did. `agon predict` says whether new rows have drifted; \
         `agon eval RUN --data FILE` measures rows whose truth is known."
            .to_owned(),
    ];
    if split.starts_with("random") || split.starts_with("stratified") {
        all.push(format!(
            "Rows were divided {split}: nothing was measured about later times, or about people and places of which no row was \
             seen, where rows belong to such."
        ));
    }
    if found["better"] == false {
        all.push("It is not surely better than what knows nothing of the inputs: do not rely on it.".into());
    }
    if list(&found["slices"]).is_empty() && report["target"].as_str().is_some_and(|target| !target.is_empty()) {
        all.push("No groups of rows were compared: it may be worse for some than for others.".into());
    }
    let lines = all.iter().map(|line| format!("- {}\n", cell(line)));
    format!("## Limits\n\n{}\n", lines.collect::<String>())
}
