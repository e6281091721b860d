//! The data report: what was found in a table or in pictures, as a page of its own and in the page of a run.

use super::plain;
use crate::html::{Cell, Page, Table};
use serde_json::Value;

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The page of a report, as `data-report.json` has it.
pub fn page(report: &Value) -> String {
    let mut page = Page::new(&plain(&report["file"]));
    sections(&mut page, report, Page::heading);
    page.finish()
}

/// How many rows, columns or pictures there are, and their parts.
pub fn extent(report: &Value) -> String {
    let columns = list(&report["columns"]).len();
    let (of, noun) = match report["pictures"].as_str() {
        Some(size) => (format!("{} pictures, {size}", report["rows"]), "pictures"),
        None => (format!("{} rows, {columns} columns", report["rows"]), "rows"),
    };
    let target = match report["target"].as_str().unwrap_or_default() {
        "" => "No target".to_owned(),
        name => format!("Target {name}: {}", plain(&report["task"])),
    };
    let parts = &report["parts"];
    format!(
        "{of}. {target}. {} {noun} for training, {} for validation, {} for the test ({}).",
        parts[0],
        parts[1],
        parts[2],
        plain(&report["split"])
    )
}

/// A finding in words.
pub fn finding(of: &Value) -> String {
    let column = of["column"].as_str().map_or(String::new(), |column| format!("{column}: "));
    format!("{column}{}; {}", plain(&of["what"]), plain(&of["done"]))
}

/// Its sections, each below a heading of this size.
pub fn sections(page: &mut Page, report: &Value, heading: fn(&mut Page, &str)) {
    page.text(&extent(report));
    let classes = list(&report["classes"]);
    if !classes.is_empty() {
        heading(page, "Classes");
        let mut table = Table::new([Cell::text("class"), Cell::number("how many")]);
        classes.iter().for_each(|class| table.row([Cell::text(plain(&class[0])), Cell::number(&class[1])]));
        page.table(&table);
    }
    heading(page, "Findings");
    let findings = list(&report["findings"]);
    if findings.is_empty() {
        page.text("Nothing odd was found.");
    }
    page.list(findings.iter().map(|of| (of["warning"] == true, finding(of))));
    let columns = list(&report["columns"]);
    if columns.is_empty() {
        return;
    }
    heading(page, "Columns");
    let head = [Cell::text("column"), Cell::text("type"), Cell::number("missing"), Cell::number("different")];
    let mut table = Table::new(head.into_iter().chain([Cell::text("use")]));
    for column in columns {
        let numbers = [&column["missing"], &column["distinct"]].map(Cell::number);
        let [name, kind, used] = ["name", "kind", "used"].map(|key| Cell::text(plain(&column[key])));
        table.row([name, kind].into_iter().chain(numbers).chain([used]));
    }
    page.table(&table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_a_table_cannot_become_markup() {
        let report = json!({
            "file": "<script>.csv", "rows": 3, "target": "a&b", "task": "binary", "classes": [["<i>", 2]],
            "parts": [1, 1, 1], "split": "random", "columns": [],
            "findings": [{"column": "<b>", "what": "what", "done": "done", "warning": true}],
        });
        let page = page(&report);
        assert!(
            !page.contains("<script>") && page.contains("&lt;script&gt;.csv") && page.contains("a&amp;b"),
            "{page}"
        );
        assert!(
            page.contains("<li class=w>&lt;b&gt;: what; done") && page.contains("<td>&lt;i&gt;<td class=\"n\">2"),
            "{page}"
        );
    }
}
