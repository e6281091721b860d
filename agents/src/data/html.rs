//! The data report as one HTML page that needs nothing else.

use super::report::Report;
use std::fmt::Write;

/// Text as it can stand in a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The page.
pub fn page(report: &Report) -> String {
    let mut out = String::from(
        "<!doctype html><meta charset=utf-8><title>Data report</title><style>body{font:15px/1.5 sans-serif;max-width:60em;\
         margin:2em auto;padding:0 1em}table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left;\
         border-bottom:1px solid #ccc}.n{text-align:right}.w{color:#b00}</style>\n",
    );
    let [train, validation, test] = report.parts;
    let target = match report.target.as_str() {
        "" => "No target".into(),
        name => format!("Target <b>{}</b>: {}", escaped(name), report.task),
    };
    // Writing to a text cannot fail.
    let _ = writeln!(
        out,
        "<h1>{}</h1><p>{}. {target}. {train} {} for training, {validation} for validation, {test} for the test \
         ({}).</p>",
        escaped(&report.file),
        report.extent(),
        report.noun(),
        escaped(&report.split)
    );
    if !report.classes.is_empty() {
        out += "<h2>Classes</h2><table>";
        for (name, n) in &report.classes {
            let _ = write!(out, "<tr><td>{}<td class=n>{n}", escaped(name));
        }
        out += "</table>\n";
    }
    out += "<h2>Findings</h2>";
    if report.findings.is_empty() {
        out += "<p>Nothing odd was found.</p>";
    }
    out += "<ul>";
    for f in &report.findings {
        let of = f.column.as_ref().map_or(String::new(), |c| format!("<b>{}</b>: ", escaped(c)));
        let class = if f.warning { " class=w" } else { "" };
        let _ = writeln!(out, "<li{class}>{of}{}; {}", escaped(&f.what), escaped(&f.done));
    }
    out += "</ul>";
    if report.columns.is_empty() {
        return out + "\n";
    }
    out += "<h2>Columns</h2><table><tr><th>column<th>type<th>missing<th>different<th>use\n";
    for c in &report.columns {
        let (name, used) = (escaped(&c.name), escaped(&c.used));
        let (missing, distinct) = (c.missing, c.distinct);
        let _ =
            writeln!(out, "<tr><td>{name}<td>{}<td class=n>{missing}<td class=n>{distinct}<td>{used}", c.kind.word());
    }
    out += "</table>\n";
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_table_cannot_become_markup() {
        let mut report = Report { file: "<script>.csv".into(), target: "a&b".into(), ..Report::default() };
        report.warn(Some("<b>"), "what", "done");
        let page = page(&report);
        assert!(
            !page.contains("<script>") && page.contains("&lt;script&gt;.csv") && page.contains("a&amp;b"),
            "{page}"
        );
        assert!(page.contains("<li class=w><b>&lt;b&gt;</b>: what; done"), "{page}");
    }
}
