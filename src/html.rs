//! Pages for people: one HTML file that needs nothing else, without scripts, and charts in it as inline SVG. Every text of
//! a user or of a file goes through [`escaped`].

pub mod chart;

use std::fmt::Display;

/// Text as it can stand in a page, between tags and in attributes.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:.5em 0}td,th{padding:.25em .8em;text-align:left;border-bottom:1px solid #ccc;\
vertical-align:top}.n{text-align:right}.w,.down{color:#b00}.up{color:#060}.dim{color:#777}pre{background:#f5f5f5;\
padding:.8em;overflow-x:auto;font-size:13px}svg{font:12px sans-serif;margin:.4em .6em .4em 0;vertical-align:top}\
h2{margin-top:1.6em;border-bottom:2px solid #ddd}@media print{body{max-width:none}h2{break-after:avoid}\
svg,tr{break-inside:avoid}}";

/// A page under way.
pub struct Page {
    out: String,
}

impl Page {
    /// An empty one.
    pub fn new(title: &str) -> Self {
        let title = escaped(title);
        let head =
            "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">";
        Self { out: format!("{head}<title>{title}</title><style>{STYLE}</style>\n<h1>{title}</h1>\n") }
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.out += &format!("<h2>{}</h2>\n", escaped(text));
    }

    /// A smaller heading.
    pub fn part(&mut self, text: &str) {
        self.out += &format!("<h3>{}</h3>\n", escaped(text));
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) {
        self.out += &format!("<p>{}</p>\n", escaped(text));
    }

    /// A paragraph that warns.
    pub fn warning(&mut self, text: &str) {
        self.out += &format!("<p class=w><b>{}</b></p>\n", escaped(text));
    }

    /// A list; lines that are marked warn.
    pub fn list(&mut self, lines: impl IntoIterator<Item = (bool, String)>) {
        self.out += "<ul>\n";
        for (warns, line) in lines {
            self.out += &format!("<li{}>{}\n", if warns { " class=w" } else { "" }, escaped(&line));
        }
        self.out += "</ul>\n";
    }

    /// Text whose lines stay as they are.
    pub fn verbatim(&mut self, text: &str) {
        self.out += &format!("<pre>{}</pre>\n", escaped(text));
    }

    /// A table.
    pub fn table(&mut self, table: &Table) {
        self.out += &table.out;
        self.out += "</table>\n";
    }

    /// A chart.
    pub fn chart(&mut self, chart: &chart::Chart) {
        self.out += &chart.svg();
    }

    /// The whole page.
    pub fn finish(self) -> String {
        self.out + "</html>\n"
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    class: &'static str,
    strong: bool,
    colour: Option<String>,
}

impl Cell {
    /// Text.
    pub fn text(text: impl Display) -> Self {
        Self { text: text.to_string(), class: "", strong: false, colour: None }
    }

    /// A number, on the right.
    pub fn number(text: impl Display) -> Self {
        Self { class: "n", ..Self::text(text) }
    }

    /// A change: red where it is downwards.
    pub fn change(text: impl Display, down: bool) -> Self {
        Self { class: if down { "n down" } else { "n up" }, ..Self::text(text) }
    }

    /// The same in bold.
    pub fn strong(self) -> Self {
        Self { strong: true, ..self }
    }

    /// The same on blue, the darker the larger `share` is, from 0 to 1.
    pub fn shaded(self, share: f64) -> Self {
        Self { colour: Some(format!("rgba(40,110,190,{:.2})", 0.7 * share.clamp(0.0, 1.0))), ..self }
    }

    fn html(&self, tag: &str) -> String {
        let class = if self.class.is_empty() { String::new() } else { format!(" class=\"{}\"", self.class) };
        let colour = self.colour.as_ref().map_or(String::new(), |c| format!(" style=\"background:{c}\""));
        let text = escaped(&self.text);
        if self.strong {
            format!("<{tag}{class}{colour}><b>{text}</b>")
        } else {
            format!("<{tag}{class}{colour}>{text}")
        }
    }
}

/// A table under way.
pub struct Table {
    out: String,
}

impl Table {
    /// With these headings; those of columns of numbers are numbers too.
    pub fn new(head: impl IntoIterator<Item = Cell>) -> Self {
        let head: String = head.into_iter().map(|cell| cell.html("th")).collect();
        Self { out: format!("<table><tr>{head}\n") }
    }

    /// A row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: String = cells.into_iter().map(|cell| cell.html("td")).collect();
        self.out += &format!("<tr>{cells}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        let evil = "<script>'\"&";
        let mut page = Page::new(evil);
        page.heading(evil);
        page.part(evil);
        page.text(evil);
        page.warning(evil);
        page.list([(true, evil.to_owned())]);
        page.verbatim(evil);
        let mut table = Table::new([Cell::text(evil), Cell::number(evil)]);
        table.row([Cell::text(evil).strong(), Cell::number(evil).shaded(0.5)]);
        page.table(&table);
        let mut chart = chart::Chart::new(evil, evil, evil);
        chart.line(evil, vec![(0.0, 1.0), (1.0, 2.0)]);
        page.chart(&chart);
        page.chart(&chart::Chart::bars(evil, vec![(evil.to_owned(), 1.0, 0.1)]));
        let page = page.finish();
        assert!(
            !page.contains("<script") && !page.contains(evil) && page.contains("&lt;script&gt;&#39;&quot;&amp;"),
            "{page}"
        );
    }
}
