//! Clusters, components and unusual rows in a page.

use super::plain;
use crate::html::{Cell, Page, Table};
use serde_json::Value;

/// Clusters, components and rows that are shown.
const SHOWN: usize = 20;

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Four significant digits.
pub fn short(x: f64) -> String {
    let size = if x == 0.0 { 0 } else { x.abs().log10().floor() as i32 };
    match size {
        6.. | ..-4 => format!("{x:.3e}"),
        _ => format!("{x:.*}", (3 - size).clamp(0, 6) as usize),
    }
}

/// `age 61.2 (overall 38.6), sex = male 92 % (overall 51 %)`
pub fn differences(all: &Value) -> String {
    let one = |d: &Value| {
        let (what, here, overall) = (d["what"].as_str().unwrap_or_default(), number(&d["here"]), number(&d["overall"]));
        if d["share"] == true {
            format!("{what} {:.0} % (overall {:.0} %)", 100.0 * here, 100.0 * overall)
        } else {
            format!("{what} {} (overall {})", short(here), short(overall))
        }
    };
    list(all).iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What a model without a target found.
pub fn sections(page: &mut Page, details: &Value) {
    let model = &details["model"];
    let criterion = model["criterion"].as_str().unwrap_or_default();
    if list(&model["tried"]).len() > 1 {
        page.part("Number of clusters");
        let word = if criterion == "bic" { "BIC (lowest is best)" } else { "silhouette (highest is best)" };
        let mut table = Table::new([
            Cell::number("clusters"),
            Cell::number(word),
            Cell::number("agreement of starts"),
            Cell::text(""),
        ]);
        for tried in list(&model["tried"]) {
            let mark = if tried["clusters"] == model["chosen"] { "chosen" } else { "" };
            let shown = |value: &Value| value.as_f64().map_or("–".into(), short);
            table.row([
                Cell::number(&tried["clusters"]),
                Cell::number(shown(&tried[criterion])),
                Cell::number(shown(&tried["agreement_of_starts"])),
                Cell::text(mark),
            ]);
        }
        page.table(&table);
        page.text("Agreement: adjusted Rand index of fits from different starts; 1 is the same clusters every time.");
    }
    let clusters = list(&details["clusters"]);
    if !clusters.is_empty() {
        page.part("Clusters, and what distinguishes each");
        let head =
            [Cell::number("cluster"), Cell::number("rows"), Cell::number("share"), Cell::text("differs most in")];
        let mut table = Table::new(head);
        for c in clusters.iter().take(SHOWN) {
            let share = 100.0 * number(&c["rows"]) / number(&details["rows"]);
            table.row([
                Cell::number(&c["cluster"]),
                Cell::number(&c["rows"]),
                Cell::number(format!("{share:.1} %")),
                Cell::text(differences(&c["differences"])),
            ]);
        }
        page.table(&table);
        if clusters.len() > SHOWN {
            page.text(&format!("And {} more clusters (evaluation.json has them).", clusters.len() - SHOWN));
        }
        if number(&details["rows_of_no_cluster"]) > 0.0 {
            page.text(&format!("{} rows belong to no cluster.", details["rows_of_no_cluster"]));
        }
    }
    let explained = list(&model["explained"]);
    if !explained.is_empty() {
        page.part("Components");
        let head = [Cell::number("component"), Cell::number("share of variance"), Cell::text("weighs most")];
        let mut table = Table::new(head);
        for (k, share) in explained.iter().enumerate().take(SHOWN) {
            let weight = |w: &Value| format!("{} {:+.2}", plain(&w["what"]), number(&w["weight"]));
            let weights: Vec<String> = list(&details["loadings"][k]).iter().map(weight).collect();
            let share = format!("{:.1} %", 100.0 * number(share));
            table.row([Cell::number(k + 1), Cell::number(share), Cell::text(weights.join(", "))]);
        }
        page.table(&table);
    }
    let unusual = list(&details["unusual"]);
    if !unusual.is_empty() {
        page.part("Most unusual rows");
        let head = [Cell::number("line of the file"), Cell::number("score"), Cell::number("training rows below")];
        let mut table = Table::new(head.into_iter().chain([Cell::text("differs most in")]));
        for row in unusual.iter().take(SHOWN) {
            table.row([
                Cell::number(&row["line"]),
                Cell::number(short(number(&row["score"]))),
                Cell::number(format!("{:.1} %", 100.0 * number(&row["below"]))),
                Cell::text(differences(&row["differences"])),
            ]);
        }
        page.table(&table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_four_digits() {
        for (x, wanted) in
            [(0.0, "0.000"), (12.3456, "12.35"), (-0.012_345, "-0.01235"), (98_765.4, "98765"), (1.5e7, "1.500e7")]
        {
            assert_eq!(short(x), wanted);
        }
    }

    #[test]
    fn differences_are_in_the_tables_own_units() {
        let all = json!([
            {"what": "age", "here": 61.25, "overall": 38.5, "standardised": 1.5, "share": false},
            {"what": "sex = male", "here": 0.92, "overall": 0.51, "standardised": 0.8, "share": true},
        ]);
        assert_eq!(differences(&all), "age 61.25 (overall 38.50), sex = male 92 % (overall 51 %)");
    }
}
