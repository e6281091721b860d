//! How numbers are written in a table of sales: signs of currencies, thousands, decimal points or commas. What could be
//! read in two ways is refused.

use agon_agents::data::Raw;
use agon_agents::data::written::Written;
use std::borrow::Cow;

agon_core::choices! {
    /// What divides whole numbers from their fraction.
    pub enum Decimal {
        /// As the table shows it.
        Auto = "auto",
        /// 1234.5 or 1,234.5
        Point = "point",
        /// 1234,5 or 1.234,5
        Comma = "comma",
    }
}

/// What one cell says of the way of writing.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Nothing,
    Point,
    Comma,
    /// 1,234
    PerhapsThousandsByComma,
    /// 1.234
    PerhapsThousandsByPoint,
}

/// The numbers of some columns.
pub struct Numbers<'a> {
    raw: &'a Raw,
    ways: Vec<Option<Written>>,
}

/// A cell without a currency, spaces and apostrophes between thousands; in parentheses it is negative.
fn bare(cell: &str) -> Cow<'_, str> {
    if cell.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return cell.into();
    }
    let (open, inner) = match cell.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => (true, inner),
        None => (false, cell),
    };
    let sign = |c: char| ['$', '€', '£', '¥', '₹', '₩', '₽', 'ƒ'].contains(&c) || c.is_whitespace();
    let (minus, rest) = match inner.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", inner),
    };
    let mut rest = rest.trim_matches(sign);
    for word in ["USD", "EUR", "GBP", "CHF", "JPY", "Fr.", "kr", "zł", "R$"] {
        rest = rest.strip_prefix(word).or_else(|| rest.strip_suffix(word)).unwrap_or(rest).trim_matches(sign);
    }
    let between = |c: char| c.is_whitespace() || c == '\'' || c == '’';
    let digits = rest.bytes().next().is_some_and(|b| b.is_ascii_digit() || b"-+.,".contains(&b));
    if !digits {
        return cell.into();
    }
    let plain: String = rest.chars().filter(|c| !between(*c)).collect();
    format!("{}{plain}", if open { "-" } else { minus }).into()
}

/// What a column of true and false says.
pub fn yes_or_no(cell: &str) -> Option<bool> {
    [("true", true), ("false", false)].into_iter().find(|(word, _)| cell.eq_ignore_ascii_case(word)).map(|(_, yes)| yes)
}

fn sign_of(cell: &str) -> Sign {
    let text = bare(cell);
    let digits = text.trim_start_matches(['-', '+']);
    let count = |mark: u8| digits.bytes().filter(|b| *b == mark).count();
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b',') {
        return Sign::Nothing;
    }
    let lone = |mark: char| {
        let (head, tail) = digits.split_once(mark).unwrap_or((digits, ""));
        tail.len() == 3 && (1..=3).contains(&head.len()) && head != "0"
    };
    match (count(b'.'), count(b',')) {
        (0, 0) => Sign::Nothing,
        (0, 1) if lone(',') => Sign::PerhapsThousandsByComma,
        (1, 0) if lone('.') => Sign::PerhapsThousandsByPoint,
        (0, 1) => Sign::Comma,
        (1, 0) => Sign::Point,
        (0, _) => Sign::Point,
        (_, 0) => Sign::Comma,
        _ if digits.rfind(',') > digits.rfind('.') => Sign::Comma,
        _ => Sign::Point,
    }
}

impl<'a> Numbers<'a> {
    /// Decides how numbers are written: by the column, by the other columns, or by `decimal`.
    ///
    /// # Errors
    /// It can be read in two ways, or is written in two; with the line.
    pub fn new(raw: &'a Raw, columns: &[usize], decimal: Decimal) -> Result<Self, String> {
        let signs = |column: usize| (0..raw.rows()).map(move |row| (row, sign_of(raw.cell(row, column))));
        let mut ways = vec![None; raw.names.len()];
        let (mut first, mut open) = ([None; 2], Vec::new());
        let place = |row: usize, column: usize| {
            let cell = raw.cell(row, column);
            format!("line {}, column `{}`: `{cell}`", raw.lines[row], raw.names[column])
        };
        for &column in columns.iter().filter(|_| decimal == Decimal::Auto) {
            let (mut own, mut doubt) = ([None; 2], None);
            for (row, sign) in signs(column) {
                match sign {
                    Sign::Point => own[0] = own[0].or(Some(row)),
                    Sign::Comma => own[1] = own[1].or(Some(row)),
                    Sign::PerhapsThousandsByComma => doubt = doubt.or(Some((row, sign))),
                    Sign::PerhapsThousandsByPoint => {
                        doubt = doubt.or(raw.decimal_comma.then_some((row, sign)));
                    }
                    Sign::Nothing => {}
                }
            }
            if let [Some(point), Some(comma)] = own {
                let how = "decimals are written in two ways; write them in one";
                return Err(format!("{}, but {}: {how}", place(point, column), place(comma, column)));
            }
            (0..2).for_each(|i| first[i] = first[i].or(own[i].map(|row| (row, column))));
            match own {
                [Some(_), _] => ways[column] = Some(Written::Thousands),
                [_, Some(_)] => ways[column] = Some(Written::Comma),
                _ => open.extend(doubt.map(|(row, sign)| (column, row, sign))),
            }
        }
        for (column, row, sign) in open {
            ways[column] = match first {
                [Some(_), None] => Some(Written::Thousands),
                [None, Some(_)] => Some(Written::Comma),
                _ => {
                    let cell = raw.cell(row, column);
                    let (joined, mark) = match sign {
                        Sign::PerhapsThousandsByComma => (bare(cell).replace(',', ""), ','),
                        _ => (bare(cell).replace('.', ""), '.'),
                    };
                    let apart = bare(cell).replace(',', ".");
                    let (yes, no) = if mark == ',' { ("point", "comma") } else { ("comma", "point") };
                    return Err(format!(
                        "{} may be {joined} or {apart}, and nothing else in the table tells which: say decimal = \
                         \"{yes}\" for {joined}, or decimal = \"{no}\" for {apart}, in [fit] (with `agon price init`: \
                         --map decimal={yes} or --map decimal={no})",
                        place(row, column)
                    ));
                }
            };
        }
        let whole = match decimal {
            Decimal::Comma => Written::Comma,
            Decimal::Point => Written::Thousands,
            Decimal::Auto => Written::Point,
        };
        columns.iter().for_each(|column| ways[*column] = ways[*column].or(Some(whole)));
        Ok(Self { raw, ways })
    }

    /// The number of a cell; none where it is missing.
    ///
    /// # Errors
    /// It is no number; with its line.
    pub fn read(&self, row: usize, column: usize) -> Result<Option<f64>, String> {
        let cell = self.raw.cell(row, column);
        if agon_agents::data::cells::is_missing(cell) || ["-", "–", "n.a.", "#DIV/0!"].contains(&cell) {
            return Ok(None);
        }
        // Displays and promotions may be yes or no.
        if let Some(yes) = yes_or_no(cell) {
            return Ok(Some(f64::from(u8::from(yes))));
        }
        let number = self.ways[column].unwrap_or(Written::Point).read(&bare(cell));
        number.map(Some).ok_or_else(|| {
            let (line, name) = (self.raw.lines[row], &self.raw.names[column]);
            format!("line {line}, column `{name}`: `{cell}` is not a number; correct it or leave the line out")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cells: &[&str], semicolons: bool, decimal: Decimal) -> Result<Vec<Option<f64>>, String> {
        let mut raw = Raw::new(vec!["x".into()], semicolons);
        cells.iter().zip(2..).for_each(|(cell, line)| raw.push(line, [*cell]));
        let numbers = Numbers::new(&raw, &[0], decimal)?;
        (0..cells.len()).map(|row| numbers.read(row, 0)).collect()
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (cells, semicolons, wanted) in [
            (&["1", "2.5", "1e3"][..], false, &[Some(1.0), Some(2.5), Some(1000.0)][..]),
            (&["1,5", "2,25"], false, &[Some(1.5), Some(2.25)]),
            (&["1,234.5", "1,234"], false, &[Some(1234.5), Some(1234.0)]),
            (&["1.234,5", "1.234"], true, &[Some(1234.5), Some(1234.0)]),
            (&["$1.25", "-$3", "(2.50)", "€ 7"], false, &[Some(1.25), Some(-3.0), Some(-2.5), Some(7.0)]),
            (&["1 234,50 €", "0,99 EUR"], true, &[Some(1234.5), Some(0.99)]),
            (&["CHF 1'234.50", "2.10"], false, &[Some(1234.5), Some(2.1)]),
            (&["NA", "", "-", "1,234,567"], false, &[None, None, None, Some(1_234_567.0)]),
            (&["2.578", "3.7279"], false, &[Some(2.578), Some(3.7279)]),
            (&["0.125", "1.234"], true, &[Some(0.125), Some(1.234)]),
        ] {
            assert_eq!(read(cells, semicolons, Decimal::Auto).unwrap(), wanted, "{cells:?}");
        }
    }

    #[test]
    fn what_may_be_two_numbers_is_refused() {
        for (cells, semicolons, parts) in [
            (&["12", "1,234"][..], false, ["line 3", "1234 or 1.234"]),
            (&["1.234"], true, ["line 2", "1234 or 1.234"]),
            (&["1,50", "1.5"], false, ["line 3", "two ways"]),
            (&["1", "one"], false, ["line 3", "`one` is not a number"]),
        ] {
            let why = read(cells, semicolons, Decimal::Auto).unwrap_err();
            assert!(parts.iter().all(|part| why.contains(part)), "{why}");
        }
        assert_eq!(read(&["1,234"], false, Decimal::Comma).unwrap(), [Some(1.234)]);
        assert_eq!(read(&["1,234"], false, Decimal::Point).unwrap(), [Some(1234.0)]);
        assert_eq!(read(&["1.234"], true, Decimal::Comma).unwrap(), [Some(1234.0)]);
    }
}
