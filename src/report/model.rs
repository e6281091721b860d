//! A model of data in a page: metrics with intervals, confusion, calibration, importance, partial dependence, groups.

use super::{Story, clusters, plain};
use crate::html::chart::Chart;
use crate::html::{Cell, Page, Table};
use agon_core::Metric;
use agon_core::scene::{digits, significant};
use serde::Deserialize;
use serde_json::Value;

/// Classes whose confusion is shown, classes whose probability is drawn, columns whose importance is.
const SHOWN_CLASSES: usize = 12;
const DRAWN_CLASSES: usize = 6;
const SHOWN_COLUMNS: usize = 15;

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A metric with its interval, both with the digits that the interval allows.
pub fn shown(metric: &Metric) -> String {
    let d = metric.half().filter(|h| *h > 1e-9 * metric.value.abs()).map_or(digits(metric.value, 4), |half| {
        let places = (1.0 - half.log10().floor()).clamp(0.0, 12.0);
        places as usize
    });
    let ends = metric.interval.map_or(String::new(), |[low, high]| format!(" [{low:.d$}, {high:.d$}]"));
    format!("{:.d$}{ends}", metric.value)
}

/// The metrics of a list in JSON.
pub fn metrics(value: &Value) -> Vec<Metric> {
    list(value).iter().filter_map(|metric| Metric::deserialize(metric).ok()).collect()
}

/// What the test part says.
pub fn sections(page: &mut Page, story: &Story) {
    let found = &story.evaluation;
    page.heading("Result");
    if let Some(headline) = found["headline"].as_str() {
        for line in headline.lines() {
            if line.starts_with("WARNING") { page.warning(line) } else { page.text(line) }
        }
    }
    if found["headline"].is_null() && found["better"] == false {
        let other = plain(&found["baselines"][0]["name"]);
        page.warning(&format!(
            "WARNING: rows that it never saw are not surely better described by it than by the {other}"
        ));
    }
    let own = metrics(&found["metrics"]);
    let baselines = list(&found["baselines"]);
    let names = baselines.iter().map(|baseline| Cell::number(plain(&baseline["name"])));
    let mut table = Table::new([Cell::text(""), Cell::number(plain(&found["agent"]))].into_iter().chain(names));
    for metric in &own {
        let beside = baselines.iter().map(|baseline| {
            let of = metrics(&baseline["metrics"]).into_iter().find(|other| other.name == metric.name);
            Cell::number(of.map_or("–".into(), |other| shown(&other)))
        });
        let cells = [Cell::text(metric.name.replace('_', " ")), Cell::number(shown(metric)).strong()];
        table.row(cells.into_iter().chain(beside));
    }
    page.table(&table);
    if let Some(metric) = own.first() {
        let (n, what) = &metric.over;
        if found["details"]["map"] == true {
            page.text("Of the rows that the map was made of. Near is alike; far is only not near.");
        } else {
            page.text(&format!(
                "Of {n} test {what} that nothing was learned from; 95 % intervals in brackets, by resampled ones."
            ));
        }
    }
    let details = &found["details"];
    if let Some(held) = details["interval"]["held"].as_f64() {
        let margin = details["interval"]["margin"].as_f64().unwrap_or(f64::NAN);
        page.text(&format!(
            "90 % intervals of predictions, ± {margin:.4}, held {:.1} % of the test rows.",
            100.0 * held
        ));
    }
    confusion(page, details);
    calibration(page, details);
    importance(page, found);
    dependence(page, found);
    groups(page, found);
    clusters::sections(page, details);
}

fn names(details: &Value) -> Vec<String> {
    list(&details["classes"]).iter().map(plain).collect()
}

fn confusion(page: &mut Page, details: &Value) {
    let names = names(details);
    if names.is_empty() || names.len() > SHOWN_CLASSES {
        return;
    }
    page.part("Confusion");
    let head = names.iter().map(Cell::number);
    let mut table = Table::new([Cell::text("truth, then predicted as")].into_iter().chain(head));
    for (name, row) in names.iter().zip(list(&details["confusion"])) {
        let counts: Vec<f64> = list(row).iter().filter_map(Value::as_f64).collect();
        let sum = counts.iter().sum::<f64>().max(1.0);
        let cells = counts.iter().map(|count| Cell::number(count).shaded(count / sum));
        table.row([Cell::text(name)].into_iter().chain(cells));
    }
    page.table(&table);
}

fn calibration(page: &mut Page, details: &Value) {
    let tenths = list(&details["reliability"]);
    if !tenths.is_empty() {
        let names = names(details);
        let of = if names.len() == 2 { format!("p({})", names[1]) } else { "p(likeliest class)".into() };
        let mut chart = Chart::new("Calibration on the test part", &format!("predicted {of}"), "share that was so");
        chart.diagonal("as it should be");
        let point = |tenth: &Value| {
            let at = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
            let ends = &tenth["interval"];
            (at(&tenth["predicted"]), at(&tenth["observed"]), at(&ends[0]), at(&ends[1]))
        };
        chart.points("tenths of the rows by probability", tenths.iter().map(point).collect());
        page.chart(&chart);
    }
    let pairs = list(&details["truth_and_prediction"]);
    if !pairs.is_empty() {
        let mut chart = Chart::new("Truth and prediction of test rows", "truth", "prediction");
        chart.diagonal("as it should be");
        let at = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let point = |pair: &Value| (at(&pair[0]), at(&pair[1]), at(&pair[1]), at(&pair[1]));
        chart.points("a row each", pairs.iter().map(point).collect());
        page.chart(&chart);
    }
}

fn importance(page: &mut Page, found: &Value) {
    let all = list(&found["importance"]);
    if all.is_empty() {
        return;
    }
    page.part("Importance");
    let decides = plain(&found["metrics"][0]["name"]).replace('_', " ");
    page.text(&format!(
        "How much the {decides} of the test part rises where a column's values are shuffled among its rows, with two \
         standard errors over shuffles. Columns that say the same share it."
    ));
    let bar = |one: &Value| {
        let at = |key: &str| one[key].as_f64().unwrap_or(0.0);
        (plain(&one["name"]), at("value"), 2.0 * at("error"))
    };
    page.chart(&Chart::bars("Importance of columns", all.iter().take(SHOWN_COLUMNS).map(bar).collect()));
}

fn dependence(page: &mut Page, found: &Value) {
    let all = list(&found["dependence"]);
    if all.is_empty() {
        return;
    }
    page.part("Partial dependence");
    page.text(
        "The mean prediction if one column had the same value in all rows. It says what the model does, not what would happen: \
         where columns hang together, some of these rows could not be.",
    );
    let classes = names(&found["details"]);
    // Of two classes the probability of the second says it all.
    let drawn: Vec<usize> = match classes.len() {
        0 => vec![0],
        2 => vec![1],
        n => (0..n.min(DRAWN_CLASSES)).collect(),
    };
    for one in all {
        let (column, points) = (plain(&one["column"]), list(&one["points"]));
        let mean = |point: &Value, k: usize| point["mean"][k].as_f64().unwrap_or(f64::NAN);
        let of = |k: usize| classes.get(k).map_or("prediction".into(), |class| format!("p({class})"));
        if points.iter().all(|point| point["number"].is_number()) {
            let mut chart = Chart::new(&column, &column, "mean prediction");
            for k in &drawn {
                let at = |point: &Value| (point["number"].as_f64().unwrap_or(f64::NAN), mean(point, *k));
                chart.line(&of(*k), points.iter().map(at).collect());
            }
            page.chart(&chart);
            continue;
        }
        for k in &drawn {
            let bar = |point: &Value| (plain(&point["at"]), mean(point, *k), 0.0);
            page.chart(&Chart::bars(&format!("{column}: mean {}", of(*k)), points.iter().map(bar).collect()));
        }
    }
}

fn groups(page: &mut Page, found: &Value) {
    for sliced in list(&found["slices"]) {
        page.part(&format!("Groups of {}", plain(&sliced["column"])));
        let all: Vec<(&Value, Vec<Metric>)> =
            list(&sliced["groups"]).iter().map(|g| (g, metrics(&g["metrics"]))).collect();
        let named: Vec<String> = metrics(&found["metrics"]).into_iter().map(|metric| metric.name).collect();
        let head = named.iter().map(|name| Cell::number(name.replace('_', " ")));
        let mut table = Table::new([Cell::text("group"), Cell::number("test rows")].into_iter().chain(head));
        for (group, own) in &all {
            let few = own.is_empty();
            let value = |name: &String| {
                let metric = own.iter().find(|metric| metric.name == *name);
                Cell::number(metric.map_or(if few { "too few rows".into() } else { "–".into() }, shown))
            };
            let cells = [Cell::text(plain(&group["value"])), Cell::number(&group["rows"])];
            table.row(cells.into_iter().chain(named.iter().map(value)));
        }
        page.table(&table);
        if sliced["more"].as_u64() > Some(0) {
            page.text(&format!("And {} smaller groups, left out.", sliced["more"]));
        }
        let gaps = list(&sliced["gaps"]);
        if gaps.is_empty() {
            continue;
        }
        let head = [Cell::text("largest less smallest group"), Cell::number("gap"), Cell::number("by chance up to")];
        let mut table = Table::new(head);
        for gap in gaps {
            let [value, chance] = ["value", "by_chance"].map(|key| gap[key].as_f64());
            let ends = gap["interval"].as_array().map_or(String::new(), |_| {
                let end = |k: usize| gap["interval"][k].as_f64().unwrap_or(f64::NAN);
                format!(" [{}, {}]", significant(end(0), 3), significant(end(1), 3))
            });
            let shown = format!("{}{ends}", significant(value.unwrap_or(f64::NAN), 3));
            let differs = chance.is_some_and(|chance| value > Some(chance));
            let shown = if differs { Cell::number(shown).strong() } else { Cell::number(shown) };
            let chance = chance.map_or("–".into(), |chance| significant(chance, 3));
            table.row([Cell::text(plain(&gap["of"])), shown, Cell::number(chance)]);
        }
        page.table(&table);
        page.text("By chance: what a gap is below in 95 % of cases where the column makes no difference. Larger ones are in bold.");
    }
}
