//! From the text of cells to typed columns: numbers with a decimal point or comma, dates, booleans, labels, text.

use super::report::Report;
use super::written::{First, LARGEST, Way, Written, date};
use super::{Column, Kind, Raw, Values};

/// Whether a cell says that its value is missing.
pub fn is_missing(cell: &str) -> bool {
    const WORDS: [&str; 7] = ["na", "n/a", "nan", "null", "none", "#n/a", "nil"];
    cell.is_empty() || cell == "?" || WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// Whether a cell is the dash that people put where a number would stand.
pub fn is_dash(cell: &str) -> bool {
    ["-", "--", "–", "—"].contains(&cell.trim())
}

/// The numbers of cells that are all one way of writing; NaN where one is missing or a dash.
fn all<'a>(
    cells: impl Iterator<Item = Option<&'a str>>,
    mut read: impl FnMut(&str) -> Option<f64>,
) -> Option<Vec<f64>> {
    cells.map(|cell| cell.filter(|cell| !is_dash(cell)).map_or(Some(f64::NAN), &mut read)).collect()
}

agon_core::choices! {
    /// The order of day and month where the cells of a column leave it open.
    pub enum DateOrder { Auto = "auto", DayFirst = "day-first", MonthFirst = "month-first" }
}

agon_core::choices! {
    /// What a comma, or a point, before three digits is where the cells of a column leave it open.
    pub enum Decimal { Auto = "auto", Comma = "comma", Point = "point" }
}

/// How what can be read in two ways is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Dates.
    pub dates: DateOrder,
    /// Numbers.
    pub decimal: Decimal,
}

impl Default for Reading {
    fn default() -> Self {
        Self { dates: DateOrder::Auto, decimal: Decimal::Auto }
    }
}

/// The first of some ways in which all cells can be read.
fn first_of<'a, W: Copy>(
    cells: impl Iterator<Item = Option<&'a str>> + Clone,
    ways: impl IntoIterator<Item = W>,
    read: impl Fn(W, &str) -> Option<f64>,
) -> Option<(Vec<f64>, W)> {
    ways.into_iter().find_map(|way| Some((all(cells.clone(), |cell| read(way, cell))?, way)))
}

fn numbers<'a>(
    cells: impl Iterator<Item = Option<&'a str>> + Clone,
    decimal_comma: bool,
    decimal: Decimal,
) -> Option<(Vec<f64>, Written)> {
    let commas = decimal_comma && cells.clone().flatten().any(|cell| cell.contains(','));
    let ways = match decimal {
        Decimal::Comma => [Written::Comma, Written::Point, Written::Thousands],
        Decimal::Point => [Written::Point, Written::Thousands, Written::Comma],
        // 1.234 is more than a thousand only where other numbers of the column have a comma.
        Decimal::Auto if commas => [Written::Comma, Written::Point, Written::Thousands],
        Decimal::Auto => [Written::Point, Written::Thousands, Written::Comma],
    };
    first_of(cells, ways, Written::read)
}

fn dates<'a>(cells: impl Iterator<Item = Option<&'a str>> + Clone, order: DateOrder) -> Option<(Vec<f64>, First)> {
    let first = cells.clone().flatten().next()?;
    let orders = match order {
        DateOrder::DayFirst => [First::Year, First::Day, First::Month],
        DateOrder::MonthFirst => [First::Year, First::Month, First::Day],
        // Where day and month cannot be told apart, a point is European and a slash American.
        DateOrder::Auto if first.contains('.') => [First::Year, First::Day, First::Month],
        DateOrder::Auto => [First::Year, First::Month, First::Day],
    };
    first_of(cells, orders, |order, cell| date(cell, order))
}

/// What else a column's cells could say, if they could: in words, and the setting that decides it.
pub fn doubt(raw: &Raw, column: usize, found: &Column, reading: Reading) -> Option<[String; 2]> {
    let (cells, Values::Numbers(x)) = (raw.column(column), &found.values) else { return None };
    let differs =
        |other: Vec<f64>| other.iter().zip(x).any(|(a, b)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan()));
    let example =
        |differs: &dyn Fn(&str) -> bool| cells.clone().flatten().find(|cell| differs(cell)).unwrap_or_default();
    match found.way? {
        Way::Dates(now @ (First::Day | First::Month)) if reading.dates == DateOrder::Auto => {
            let other = if now == First::Day { First::Month } else { First::Day };
            if !all(cells.clone(), |cell| date(cell, other)).is_some_and(differs) {
                return None;
            }
            let (read, key) = match now {
                First::Day => ("day first", "month-first"),
                _ => ("month first", "day-first"),
            };
            let cell = example(&|cell| date(cell, now) != date(cell, other));
            Some([
                format!("no cell says whether the day or the month comes first: `{cell}` is read {read}"),
                format!("if that is wrong: data.dates = \"{key}\""),
            ])
        }
        Way::Numbers(now) if reading.decimal == Decimal::Auto => {
            let (other, key) = match now {
                Written::Thousands => (Written::Comma, "comma"),
                Written::Point if raw.decimal_comma => (Written::Comma, "comma"),
                _ => return None,
            };
            if !all(cells.clone(), |cell| other.read(cell)).is_some_and(differs) {
                return None;
            }
            let cell = example(&|cell| now.read(cell) != other.read(cell));
            let as_read = now.read(cell).unwrap_or(f64::NAN);
            Some([
                format!("no cell says what its commas and points are: `{cell}` is read as {as_read}"),
                format!("if that is wrong: data.decimal = \"{key}\""),
            ])
        }
        _ => None,
    }
}

/// A column of numbers or dates but for some cells, which made words of all the others: in words, and what would mend it.
fn spoiled(raw: &Raw, column: usize, found: &Column, reading: Reading) -> Option<[String; 2]> {
    if !matches!(found.kind, Kind::Text | Kind::Category) {
        return None;
    }
    let cells = || raw.column(column).enumerate().filter_map(|(row, cell)| Some((row, cell?)));
    let given = cells().filter(|(_, cell)| !is_dash(cell)).count();
    let way = |read: &dyn Fn(&str) -> Option<f64>| {
        let mut others = cells().filter(|(_, cell)| !is_dash(cell) && read(cell).is_none());
        let first = others.next();
        (first, usize::from(first.is_some()) + others.count())
    };
    let comma = raw.decimal_comma || reading.decimal == Decimal::Comma;
    let written = if comma { Written::Comma } else { Written::Thousands };
    let number = |cell: &str| Written::Point.read(cell).or_else(|| written.read(cell));
    let first_year = |cell: &str| date(cell, First::Year);
    let day_first = |cell: &str| date(cell, First::Day);
    let month_first = |cell: &str| date(cell, First::Month);
    let ways: [(&str, &dyn Fn(&str) -> Option<f64>); 4] =
        [("numbers", &number), ("dates", &first_year), ("dates", &day_first), ("dates", &month_first)];
    let all = ways.into_iter().map(|(kind, read)| (kind, way(read)));
    let (kind, (first, count)) = all.min_by_key(|(_, (_, count))| *count)?;
    let (row, cell) = first.filter(|_| given >= 10 && 10 * count <= given)?;
    let cell: String = cell.chars().take(40).collect();
    let what = format!("all but {count} of its {given} values are {kind}; `{cell}` in line {} is not", raw.lines[row]);
    Some([what, "taken as words; empty such a cell, or mend it".into()])
}

/// Dashes of a column of numbers or dates.
fn dashes(raw: &Raw, column: usize, found: &Column) -> Option<[String; 2]> {
    let count = raw.column(column).flatten().filter(|cell| is_dash(cell)).count();
    let is = count > 0 && matches!(found.kind, Kind::Number | Kind::Date);
    let cells = if count == 1 { "a cell holds".into() } else { format!("{count} cells hold") };
    is.then(|| [format!("{cells} a dash"), "taken as missing".into()])
}

/// Says which columns could be read in another way too, and which cells stood in the way of reading them as numbers.
pub fn doubts(raw: &Raw, columns: &[Column], reading: Reading, report: &mut Report) {
    for (i, column) in columns.iter().enumerate() {
        let all = [
            doubt(raw, i, column, reading),
            spoiled(raw, i, column, reading),
            dashes(raw, i, column),
            huge(raw, i, column),
        ];
        for [what, done] in all.into_iter().flatten() {
            report.find(Some(&column.name), what, done);
        }
    }
}

/// That numbers are too large to be numbers.
fn huge(raw: &Raw, i: usize, column: &Column) -> Option<[String; 2]> {
    let (Values::Numbers(x), Some(Way::Numbers(_))) = (&column.values, column.way) else { return None };
    let count = raw.column(i).zip(x).filter(|(cell, x)| x.is_nan() && cell.is_some_and(|cell| !is_dash(cell))).count();
    (count > 0).then(|| [format!("{count} numbers are beyond ±{LARGEST:e}"), "taken for missing".into()])
}

/// Whether a cell is a whole number of which `f64` may lose digits, above 2^53: an identifier, and no quantity.
fn loses_digits(cell: &str) -> bool {
    const EXACT: u128 = 1 << 53;
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse().map_or(true, |n: u128| n > EXACT)
}

/// Two words, in small letters, that say no and yes.
const BOOLEANS: [[&str; 2]; 4] = [["false", "true"], ["no", "yes"], ["f", "t"], ["n", "y"]];

/// Labels of a category at most.
pub const MOST_LABELS: usize = 1000;

/// The column that these cells seem to be.
pub fn infer(raw: &Raw, column: usize) -> Column {
    infer_by(raw, column, Reading::default())
}

/// The same, where what can be read in two ways is read so.
pub fn infer_by(raw: &Raw, column: usize, reading: Reading) -> Column {
    let (name, cells) = (raw.names[column].as_str(), raw.column(column));
    let given = cells.clone().flatten().count();
    let dashes = given > 0 && cells.clone().flatten().all(is_dash);
    let typed = |kind, values, way| Column { name: name.into(), kind, values: Values::Numbers(values), way: Some(way) };
    let exact = !cells.clone().flatten().any(loses_digits);
    if let Some((x, way)) = numbers(cells.clone(), raw.decimal_comma, reading.decimal).filter(|_| exact && !dashes) {
        return typed(Kind::Number, x, Way::Numbers(way));
    }
    if let Some((x, way)) = dates(cells.clone(), reading.dates).filter(|_| !dashes) {
        return typed(Kind::Date, x, Way::Dates(way));
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

/// The column as one of a kind that is known, written as it was in training where that is known; or the row that is
/// none, and why. Numbers of which fewer than half can be read so are read as they are written: another program may write
/// another comma. Dates that cannot are refused: their days and months would be exchanged.
pub fn read_as(raw: &Raw, column: usize, kind: Kind, way: Option<Way>) -> Result<Column, (usize, String)> {
    read(raw, column, kind, way, false)
}

/// The same of a part of a table, whose cells must all be written as in the others: none is read in another way.
pub fn read_by(raw: &Raw, column: usize, kind: Kind, way: Option<Way>) -> Result<Column, (usize, String)> {
    read(raw, column, kind, way, true)
}

fn read(raw: &Raw, column: usize, kind: Kind, way: Option<Way>, strict: bool) -> Result<Column, (usize, String)> {
    let (name, cells) = (raw.names[column].as_str(), raw.column(column));
    let of_numbers = |cells: &mut dyn Iterator<Item = Option<&str>>| {
        let cells: Vec<Option<&str>> = cells.collect();
        let cells = cells.iter().copied();
        if let Some(Way::Numbers(way)) = way {
            let as_before = all(cells.clone(), |cell| way.read(cell)).map(|x| (x, way));
            let given = || cells.clone().flatten().filter(|cell| !is_dash(cell));
            // A cell that stands out is no reason to read all others anew.
            let alike = strict || 2 * given().filter(|cell| way.read(cell).is_some()).count() >= given().count();
            if as_before.is_some() || alike {
                return as_before.map(|(x, way)| (x, Way::Numbers(way)));
            }
        }
        numbers(cells, raw.decimal_comma, Decimal::Auto).map(|(x, way)| (x, Way::Numbers(way)))
    };
    let of_dates = |cells: &mut dyn Iterator<Item = Option<&str>>| {
        let cells: Vec<Option<&str>> = cells.collect();
        let cells = cells.iter().copied();
        match way {
            Some(Way::Dates(way)) => all(cells, |cell| date(cell, way)).map(|x| (x, way)),
            _ if cells.clone().flatten().next().is_none() => all(cells, |_| None).map(|x| (x, First::Year)),
            _ => dates(cells, DateOrder::Auto),
        }
        .map(|(x, way)| (x, Way::Dates(way)))
    };
    let found = match kind {
        Kind::Number => of_numbers(&mut cells.clone()),
        Kind::Date => of_dates(&mut cells.clone()),
        Kind::Boolean => return Ok(booleans(name, cells)),
        _ => return Ok(Column::labels(name, kind, cells)),
    };
    if let Some((x, way)) = found {
        return Ok(Column { name: name.into(), kind, values: Values::Numbers(x), way: Some(way) });
    }
    let wrong = |cell: &str| {
        let mut one = std::iter::once(Some(cell));
        match (kind, way) {
            (Kind::Number, Some(Way::Numbers(way))) => !is_dash(cell) && way.read(cell).is_none(),
            (Kind::Number, _) => of_numbers(&mut one).is_none(),
            _ => of_dates(&mut one).is_none(),
        }
    };
    let at = cells.clone().position(|cell| cell.is_some_and(wrong)).unwrap_or(0);
    let cell: String = raw.cell(at, column).chars().take(40).collect();
    let so = match way {
        Some(Way::Dates(First::Year)) => ", year first",
        Some(Way::Dates(First::Day)) => ", day first",
        Some(Way::Dates(First::Month)) => ", month first",
        _ => "",
    };
    Err((at, format!("`{cell}` in column `{name}` is no {}{so}", kind.word())))
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

    /// 2^53 is 9007199254740992; `f64` reads the whole number after it as the same.
    #[test]
    fn long_whole_numbers_keep_their_digits() {
        let ids = ["9007199254740992", "9007199254740993", "36028797018963971", "36028797018963974", "1"];
        let Values::Labels(labels, _) = column(&ids, false).values else { panic!("numbers") };
        assert_eq!(labels.len(), ids.len());
        assert_eq!(column(&["9007199254740992", "-5", "1e300", "0.5"], false).kind, Kind::Number);
    }

    #[test]
    fn a_cell_of_another_kind_is_named() {
        let mut raw = Raw::new(vec!["age".into()], false);
        ["31", "old", "5"].iter().zip(2..).for_each(|(cell, line)| raw.push(line, [*cell]));
        assert_eq!(read_as(&raw, 0, Kind::Number, None).unwrap_err(), (1, "`old` in column `age` is no number".into()));
        assert_eq!(read_as(&raw, 0, Kind::Date, None).unwrap_err().0, 0);
    }

    fn raw(cells: &[&str], decimal_comma: bool) -> Raw {
        let mut raw = Raw::new(vec!["x".into()], decimal_comma);
        cells.iter().zip(2..).for_each(|(cell, line)| raw.push(line, [*cell]));
        raw
    }

    /// New rows are read as those of training were, whatever they themselves would say.
    #[test]
    fn new_rows_are_read_as_training_was() {
        let known = infer(&raw(&["13/01/2000", "01/03/2000"], false), 0);
        assert_eq!(known.way, Some(Way::Dates(First::Day)));
        let new = read_as(&raw(&["01/03/2000"], false), 0, Kind::Date, known.way).unwrap();
        assert_eq!(new.values, Values::Numbers(vec![11017.0]));
        let (at, why) = read_as(&raw(&["01/03/2000", "01/13/2000"], false), 0, Kind::Date, known.way).unwrap_err();
        assert!(at == 1 && why.contains("`01/13/2000`") && why.contains("day first"), "{why}");
        assert!(read_as(&raw(&["", ""], false), 0, Kind::Date, known.way).is_ok(), "missing everywhere");
        let known = infer(&raw(&["1.234", "12,5"], true), 0);
        assert_eq!(known.way, Some(Way::Numbers(Written::Comma)));
        let new = read_as(&raw(&["1.234"], true), 0, Kind::Number, known.way).unwrap();
        assert_eq!(new.values, Values::Numbers(vec![1234.0]));
        let other = read_as(&raw(&["1234.5"], false), 0, Kind::Number, known.way).unwrap();
        assert_eq!(other.values, Values::Numbers(vec![1234.5]), "written by another program");
    }

    /// A single cell that is no number makes words of a column, and is named; a dash is a missing number.
    #[test]
    fn cells_that_spoil_a_column_are_named() {
        let with = |cell: &str| {
            let mut cells: Vec<String> = (0..40).map(|i| format!("{i}.5")).collect();
            cells[7] = cell.into();
            raw(&cells.iter().map(String::as_str).collect::<Vec<_>>(), false)
        };
        let told = |table: &Raw| {
            let mut report = Report::default();
            doubts(table, &[infer(table, 0)], Reading::default(), &mut report);
            serde_json::to_string(&report).unwrap()
        };
        for cell in ["old", "inf", "12 kg"] {
            let table = with(cell);
            assert_eq!(infer(&table, 0).kind, Kind::Text);
            let told = told(&table);
            assert!(told.contains(&format!("all but 1 of its 40 values are numbers; `{cell}` in line 9")), "{told}");
        }
        let table = with("-");
        let Values::Numbers(x) = infer(&table, 0).values else { panic!("words") };
        assert!(x[7].is_nan() && x[8] == 8.5);
        assert!(told(&table).contains("a cell holds a dash"), "{}", told(&table));
        assert_eq!(told(&with("7.5")), told(&with("0.1")), "nothing to say");
        assert_eq!(column(&["-", "-", "-"], false).kind, Kind::Category, "dashes alone are a label");
        let new = read_as(&raw(&["–", "2"], false), 0, Kind::Number, None).unwrap();
        assert!(matches!(new.values, Values::Numbers(x) if x[0].is_nan() && x[1] == 2.0));
    }

    /// What can be read in two ways is told, and settings decide it.
    #[test]
    fn what_can_be_read_in_two_ways_is_doubted() {
        let told = |cells: &[&str], comma: bool| {
            let raw = raw(cells, comma);
            doubt(&raw, 0, &infer(&raw, 0), Reading::default()).map(|[what, _]| what).unwrap_or_default()
        };
        assert!(told(&["01/03/2000", "02/03/2000"], false).contains("`01/03/2000` is read month first"));
        assert!(told(&["01.03.2000"], false).contains("day first"));
        assert!(told(&["1,678", "2,000"], false).contains("`1,678` is read as 1678"));
        assert!(told(&["1.234", "7"], true).contains("`1.234` is read as 1.234"));
        for (cells, comma) in [
            (&["13/03/2000", "02/03/2000"][..], false),
            (&["2000-03-01"], false),
            (&["03/03/2000"], false),
            (&["1,678.5", "2,000"], false),
            (&["1,5"], false),
            (&["1.234", "12,5"], true),
            (&["1.2345", "7"], true),
            (&["1.234", "7"], false),
        ] {
            assert_eq!(told(cells, comma), "", "{cells:?}");
        }
        let table = raw(&["01/03/2000"], false);
        let set = Reading { dates: DateOrder::DayFirst, decimal: Decimal::Auto };
        assert_eq!(infer_by(&table, 0, set).values, Values::Numbers(vec![11017.0]));
        assert_eq!(doubt(&table, 0, &infer_by(&table, 0, set), set), None);
        let comma = Reading { dates: DateOrder::Auto, decimal: Decimal::Comma };
        assert_eq!(infer_by(&raw(&["1,678"], false), 0, comma).values, Values::Numbers(vec![1.678]));
    }
}
