//! From the text of cells to typed columns: numbers with a decimal point or comma, dates, booleans, labels, text.

use super::written::{First, Written, date};
use super::{Column, Kind, Raw, Values};

/// Whether a cell says that its value is missing.
pub fn is_missing(cell: &str) -> bool {
    const WORDS: [&str; 7] = ["na", "n/a", "nan", "null", "none", "#n/a", "nil"];
    cell.is_empty() || cell == "?" || WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// The numbers of cells that are all one way of writing; NaN where one is missing.
fn all<'a>(
    cells: impl Iterator<Item = Option<&'a str>>,
    mut read: impl FnMut(&str) -> Option<f64>,
) -> Option<Vec<f64>> {
    cells.map(|cell| cell.map_or(Some(f64::NAN), &mut read)).collect()
}

fn numbers<'a>(cells: impl Iterator<Item = Option<&'a str>> + Clone, decimal_comma: bool) -> Option<Vec<f64>> {
    // 1.234 is more than a thousand only where other numbers of the column have a comma.
    let ways = if decimal_comma && cells.clone().flatten().any(|cell| cell.contains(',')) {
        [Written::Comma, Written::Point, Written::Thousands]
    } else {
        [Written::Point, Written::Thousands, Written::Comma]
    };
    ways.into_iter().find_map(|way| all(cells.clone(), |cell| way.read(cell)))
}

fn dates<'a>(cells: impl Iterator<Item = Option<&'a str>> + Clone) -> Option<Vec<f64>> {
    // Where day and month cannot be told apart, a point is European and a slash American.
    let first = cells.clone().flatten().next()?;
    let orders = if first.contains('.') {
        [First::Year, First::Day, First::Month]
    } else {
        [First::Year, First::Month, First::Day]
    };
    orders.into_iter().find_map(|order| all(cells.clone(), |cell| date(cell, order)))
}

/// Two words, in small letters, that say no and yes.
const BOOLEANS: [[&str; 2]; 4] = [["false", "true"], ["no", "yes"], ["f", "t"], ["n", "y"]];

/// Labels of a category at most.
pub const MOST_LABELS: usize = 1000;

/// The column that these cells seem to be.
pub fn infer(raw: &Raw, column: usize) -> Column {
    let (name, cells) = (raw.names[column].as_str(), raw.column(column));
    let given = cells.clone().flatten().count();
    let typed = |kind, values| Column { name: name.into(), kind, values: Values::Numbers(values) };
    if let Some(x) = numbers(cells.clone(), raw.decimal_comma) {
        return typed(Kind::Number, x);
    }
    if let Some(x) = dates(cells.clone()) {
        return typed(Kind::Date, x);
    }
    let labels = Column::labels(name, Kind::Category, cells.clone());
    let Values::Labels(all, _) = &labels.values else { return labels };
    let mut small: Vec<String> = all.iter().map(|label| label.to_lowercase()).collect();
    small.dedup();
    if BOOLEANS.iter().any(|two| small.iter().all(|label| two.contains(&label.as_str()))) && given > 0 {
        return booleans(name, cells);
    }
    let kind = match all.len() {
        n if n <= 20 && 2 * n <= given.max(4) || n <= MOST_LABELS && 5 * n <= 2 * given => Kind::Category,
        _ => Kind::Text,
    };
    Column { kind, ..labels }
}

/// Yes and no in whichever letters.
fn booleans<'a>(name: &str, cells: impl Iterator<Item = Option<&'a str>>) -> Column {
    let small: Vec<Option<String>> = cells.map(|cell| cell.map(str::to_lowercase)).collect();
    Column::labels(name, Kind::Boolean, small.iter().map(Option::as_deref))
}

/// The column as one of a kind that is known; or the row that is none, and why.
pub fn read_as(raw: &Raw, column: usize, kind: Kind) -> Result<Column, (usize, String)> {
    let (name, cells) = (raw.names[column].as_str(), raw.column(column));
    let found = match kind {
        Kind::Number => numbers(cells.clone(), raw.decimal_comma),
        Kind::Date => dates(cells.clone()).or_else(|| all(cells.clone(), |_| None)),
        Kind::Boolean => return Ok(booleans(name, cells)),
        _ => return Ok(Column::labels(name, kind, cells)),
    };
    if let Some(x) = found {
        return Ok(Column { name: name.into(), kind, values: Values::Numbers(x) });
    }
    let wrong = |cell: &str| {
        if kind == Kind::Number {
            numbers(std::iter::once(Some(cell)), raw.decimal_comma)
        } else {
            dates(std::iter::once(Some(cell)))
        }
        .is_none()
    };
    let at = cells.clone().position(|cell| cell.is_some_and(wrong)).unwrap_or(0);
    let cell: String = raw.cell(at, column).chars().take(40).collect();
    Err((at, format!("`{cell}` in column `{name}` is no {}", kind.word())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &[&str], decimal_comma: bool) -> Column {
        let mut raw = Raw::new(vec!["x".into()], decimal_comma);
        cells.iter().enumerate().for_each(|(i, cell)| raw.push(i as u64 + 2, [*cell]));
        infer(&raw, 0)
    }

    fn numbers(cells: &[&str], decimal_comma: bool) -> Vec<f64> {
        let column = column(cells, decimal_comma);
        let Values::Numbers(x) = column.values else { panic!("{cells:?} are {:?}", column.kind) };
        x
    }

    #[test]
    fn numbers_are_read_in_every_way_of_writing() {
        assert_eq!(numbers(&["1", "-2.5", "1e3"], false), [1.0, -2.5, 1000.0]);
        assert_eq!(numbers(&["1,5", "-2,25"], true), [1.5, -2.25]);
        assert_eq!(numbers(&["1,234.5", "12"], false), [1234.5, 12.0]);
        assert_eq!(numbers(&["1.234,5", "12,5"], true), [1234.5, 12.5]);
        assert_eq!(numbers(&["1,5", "12,25"], false), [1.5, 12.25], "quoted, between commas");
        let gaps = numbers(&["1", "", "NA", "?", "null", "N/A"], false);
        assert!(gaps[0] == 1.0 && gaps[1..].iter().all(|x| x.is_nan()));
        assert_eq!(column(&["inf", "1", "2", "3", "4"], false).kind, Kind::Text, "infinity is no number");
    }

    /// 2000-03-01 is day 11017 (date -u -d 2000-03-01 +%s is 951868800).
    #[test]
    fn dates_are_days_since_1970() {
        for cell in ["2000-03-01", "2000/03/01", "01.03.2000", "3/1/2000"] {
            assert_eq!(column(&[cell], false).kind, Kind::Date, "{cell}");
            assert_eq!(numbers(&[cell], false), [11017.0], "{cell}");
        }
        assert_eq!(numbers(&["13/01/2000", "01/03/2000"], false), [10969.0, 11017.0], "a 13th month tells the order");
        assert_eq!(numbers(&["1970-01-02T12:00:00Z", "1970-01-01 06:00"], false), [1.5, 0.25]);
        assert_ne!(column(&["2001-02-29", "2001-02-28"], false).kind, Kind::Date);
        for cell in ["1999-12-31", "2000-02-29", "2000-03-01", "1969-12-31", "2100-02-28"] {
            assert_eq!(crate::data::written::written_date(numbers(&[cell], false)[0] + 0.5), cell);
        }
    }

    #[test]
    fn words_are_booleans_categories_or_text() {
        assert_eq!(column(&["Yes", "no", "", "yes"], false).kind, Kind::Boolean);
        assert_eq!(column(&["red", "blue", "red", "blue"], false).kind, Kind::Category);
        let names: Vec<String> = (0..50).map(|i| format!("name {i}")).collect();
        assert_eq!(column(&names.iter().map(String::as_str).collect::<Vec<_>>(), false).kind, Kind::Text);
        let Values::Labels(labels, codes) = column(&["b", "a", "NA", "b", "a"], false).values else { panic!() };
        assert_eq!((labels, codes), (vec!["a".into(), "b".into()], vec![Some(1), Some(0), None, Some(1), Some(0)]));
    }

    #[test]
    fn a_cell_of_another_kind_is_named() {
        let mut raw = Raw::new(vec!["age".into()], false);
        ["31", "old", "5"].iter().zip(2..).for_each(|(cell, line)| raw.push(line, [*cell]));
        assert_eq!(read_as(&raw, 0, Kind::Number).unwrap_err(), (1, "`old` in column `age` is no number".into()));
        assert_eq!(read_as(&raw, 0, Kind::Date).unwrap_err().0, 0);
    }
}
