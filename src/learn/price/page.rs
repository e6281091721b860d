//! Recommended prices as a page for people and as a sheet for programs.

use super::advise::{Expected, Sheet};
use agon::html::{Cell, Page, Table};

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
            Cell::number(p.current.map_or("–".into(), |x| format!("{x:.2}"))),
            Cell::number(format!("{:.2}", p.recommended)).strong(),
            Cell::change(change.map_or("–".into(), |c| format!("{c:+.1} %")), change.is_some_and(|c| c < 0.0)),
        ];
        table.row(cells.into_iter().chain(expected).chain([Cell::text(&p.why)]));
    }
    page.table(&table);
    page.finish()
}

/// A sheet: a row a product, numbers with a point, and the totals' row last.
pub fn csv(sheet: &Sheet) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut head = vec!["week", "product", "current_price", "recommended_price"];
    head.extend(["units", "units_low", "units_high", "revenue", "revenue_low", "revenue_high"]);
    head.extend(["profit", "profit_low", "profit_high", "why"]);
    writer.write_record(&head)?;
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
        writer.write_record(&row)?;
    }
    let mut row = vec![sheet.week.clone(), "all".into(), String::new(), String::new()];
    row.extend(numbers(&sheet.total));
    row.push(sheet.risk.map_or(String::new(), |risk| format!("risk {risk:.3}")));
    writer.write_record(&row)?;
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
        let table = csv(&sheet).unwrap();
        assert!(table.contains("\"<b>\"\"tea\"\"\",2,1.5,1,,,1,,,1,,,a < b"), "{table}");
    }
}
