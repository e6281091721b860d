//! Recommended prices as a page for people and as a sheet for programs.

use super::advise::{Expected, Sheet, price_text};
use agon::html::{Cell, Page, Table};
use rust_xlsxwriter::{Format, Workbook, XlsxError};

/// One page that needs nothing else: no scripts, no other files.
pub fn html(sheet: &Sheet) -> String {
    let mut page = Page::new(&format!("Prices for week {}", sheet.week));
    page.text(&sheet.run);
    page.list(sheet.summary().into_iter().map(|line| (false, line)));
    let numbers = ["current", "recommended", "change", "units", "revenue", "profit"].map(Cell::number);
    let mut table = Table::new([Cell::text("product")].into_iter().chain(numbers).chain([Cell::text("why")]));
    for p in &sheet.products {
        let change = p.current.map(|current| 100.0 * (p.recommended / current - 1.0));
        let expected = [0, 1, 2].map(|i| Cell::number(p.expected[i].text()));
        let cells = [
            Cell::text(&p.product),
            Cell::number(p.current.map_or("–".into(), |x| price_text(x, 2))),
            Cell::number(price_text(p.recommended, 2)).strong(),
            Cell::change(change.map_or("–".into(), |c| format!("{c:+.1} %")), change.is_some_and(|c| c < 0.0)),
        ];
        table.row(cells.into_iter().chain(expected).chain([Cell::text(&p.why)]));
    }
    page.table(&table);
    page.finish()
}

/// Which columns of [`table`] hold numbers.
const NUMBERS: std::ops::Range<usize> = 2..13;

/// A header, a row for each product, and one for all.
fn table(sheet: &Sheet) -> Vec<Vec<String>> {
    let mut head = vec!["week", "product", "current_price", "recommended_price"];
    head.extend(["units", "units_low", "units_high", "revenue", "revenue_low", "revenue_high"]);
    head.extend(["profit", "profit_low", "profit_high", "why"]);
    let mut rows = vec![head.into_iter().map(String::from).collect()];
    let numbers = |all: &[Expected; 3]| -> Vec<String> {
        let three = |x: &Expected| {
            let end = |i: usize| x.interval.map_or(String::new(), |ends| ends[i].to_string());
            [x.value.to_string(), end(0), end(1)]
        };
        all.iter().flat_map(three).collect()
    };
    for p in &sheet.products {
        let mut row = vec![sheet.week.clone(), p.product.clone()];
        row.extend([p.current.map_or(String::new(), |x| x.to_string()), p.recommended.to_string()]);
        row.extend(numbers(&p.expected));
        row.push(p.why.clone());
        rows.push(row);
    }
    let mut row = vec![sheet.week.clone(), "all".into(), String::new(), String::new()];
    row.extend(numbers(&sheet.total));
    row.push(sheet.risk.map_or(String::new(), |risk| format!("risk {risk:.3}")));
    rows.push(row);
    rows
}

/// A word that no spreadsheet takes for a formula: one that begins like one gets an apostrophe (OWASP, CSV injection).
fn no_formula(word: String) -> String {
    if word.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{word}") } else { word }
}

/// A table for programs.
pub fn csv(sheet: &Sheet) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in table(sheet) {
        let cell = |(column, cell)| if NUMBERS.contains(&column) { cell } else { no_formula(cell) };
        writer.write_record(row.into_iter().enumerate().map(cell))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

/// The same as a workbook of Excel, with the totals and what must be known on a second sheet.
pub fn xlsx(sheet: &Sheet) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let bold = Format::new().set_bold();
    let prices = book.add_worksheet().set_name("prices")?;
    for (line, row) in (0u32..).zip(table(sheet)) {
        for (column, cell) in (0u16..).zip(row) {
            match cell.parse::<f64>() {
                _ if line == 0 => prices.write_with_format(line, column, cell, &bold)?,
                Ok(number) if NUMBERS.contains(&usize::from(column)) => {
                    let decimals = if column < 4 { "0.00" } else { "#,##0.0" };
                    prices.write_with_format(line, column, number, &Format::new().set_num_format(decimals))?
                }
                _ => prices.write(line, column, cell)?,
            };
        }
    }
    prices.set_freeze_panes(1, 2)?;
    prices.autofit();
    let notes = book.add_worksheet().set_name("notes")?;
    for (line, text) in (0u32..).zip(std::iter::once(sheet.run.clone()).chain(sheet.summary())) {
        notes.write(line, 0, text)?;
    }
    book.save_to_buffer()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::advise::Advice;

    #[test]
    fn names_of_products_cannot_become_markup() {
        let one = Expected { value: 1.0, interval: None };
        let advice = Advice {
            product: "<b>\"tea\"".into(),
            current: Some(2.0),
            recommended: 1.5,
            why: "a < b".into(),
            expected: [one; 3],
        };
        let sheet = Sheet {
            run: "runs/<x>".into(),
            week: "1".into(),
            products: vec![advice],
            total: [one; 3],
            current_profit: None,
            risk: Some(0.25),
            notes: vec!["a & b".into()],
        };
        let page = html(&sheet);
        assert!(
            page.contains("&lt;b&gt;&quot;tea&quot;") && !page.contains("<x>") && page.contains("a &amp; b"),
            "{page}"
        );
        assert!(page.contains("-25.0 %") && !page.contains("<script"), "{page}");
        let table = String::from_utf8(csv(&sheet).unwrap()).unwrap();
        assert!(table.contains("\"<b>\"\"tea\"\"\",2,1.5,1,,,1,,,1,,,a < b"), "{table}");
    }

    #[test]
    fn names_of_products_cannot_become_formulas() {
        assert_eq!(["=cmd()", "@x", "-3 °C"].map(|name| no_formula(name.into())), ["'=cmd()", "'@x", "'-3 °C"]);
        assert_eq!(no_formula("tea = good".into()), "tea = good");
    }

    /// The workbook is read back by the reader of users' tables: numbers are numbers, words are words.
    #[test]
    fn a_workbook_says_the_same() {
        let one = Expected { value: 12.5, interval: Some([10.0, 15.0]) };
        let advice = Advice {
            product: "7".into(),
            current: Some(2.0),
            recommended: 1.95,
            why: "elasticity -2.00".into(),
            expected: [one; 3],
        };
        let sheet = Sheet {
            run: "runs/x".into(),
            week: "2026-03-02".into(),
            products: vec![advice],
            total: [one; 3],
            current_profit: None,
            risk: None,
            notes: vec![],
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prices.xlsx");
        std::fs::write(&file, xlsx(&sheet).unwrap()).unwrap();
        let raw = crate::table_file::read(&file).unwrap();
        let row = |row: usize| (0..raw.names.len()).map(|c| raw.cell(row, c)).collect::<Vec<_>>().join(" ");
        assert_eq!(raw.names[3], "recommended_price");
        let numbers = "12.5 10 15 ".repeat(3);
        assert_eq!(row(0), format!("2026-03-02 7 2 1.95 {numbers}elasticity -2.00"));
        assert_eq!((raw.rows(), row(1).trim()), (2, format!("2026-03-02 all   {}", numbers.trim()).as_str()));
    }
}
