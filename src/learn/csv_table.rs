//! Reads the CSV files of people: with commas, semicolons, tabs or bars, decimal points or commas, in UTF-8, UTF-16 or
//! Latin-1.

use agon::{Failure, Outcome};
use agon_agents::data::Raw;
use std::io::{BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;

/// What may part fields.
const MARKS: [char; 4] = [',', ';', '\t', '|'];

/// Reads a table with a header.
///
/// # Errors
/// It cannot be read, is empty, has rows of different lengths, or columns without different names; with the line.
pub fn read(path: &Path) -> Outcome<Raw> {
    let (text, is_unicode) = agon::text::read_any(path)?;
    // A text of UTF-8 may say of itself what it likes.
    let parsed = if is_unicode { columns(&text) } else { parse(&text) };
    parsed.map_err(|why| Failure::Input(format!("{}{why}", path.display())))
}

/// Reads a table in parts of so many rows, the last of which may have fewer; there is at least one. It must be UTF-8.
///
/// # Errors
/// As [`read`], and those of `take`.
pub fn blocks(path: &Path, rows: usize, take: &mut dyn FnMut(Raw) -> Outcome) -> Outcome {
    let wrong = |why: String| Failure::Input(format!("{}{why}", path.display()));
    let mut table = Rows::new(BufReader::with_capacity(1 << 20, agon::files::open(path)?)).map_err(wrong)?;
    let mut is_first = true;
    loop {
        let mut raw = table.empty.clone();
        table.fill(&mut raw, rows).map_err(wrong)?;
        if raw.rows() == 0 && !is_first {
            return Ok(());
        }
        is_first = false;
        take(raw)?;
    }
}

/// A table that may be a mixture of UTF-8 and Latin-1.
fn parse(text: &str) -> Result<Raw, String> {
    if let Some(at) = mixed(text) {
        let line = 1 + text[..at].matches('\n').count();
        return Err(format!(":{line}: letters of UTF-8 and of Latin-1 are mixed; save it as UTF-8"));
    }
    columns(text)
}

fn columns(text: &str) -> Result<Raw, String> {
    let mut rows = Rows::new(text.as_bytes())?;
    let mut raw = rows.empty.clone();
    rows.fill(&mut raw, usize::MAX)?;
    Ok(raw)
}

/// The rows of a text, one after the other.
struct Rows<R> {
    reader: csv::Reader<Chain<Cursor<Vec<u8>>, R>>,
    record: csv::StringRecord,
    /// Its columns, and no rows.
    empty: Raw,
}

impl<R: BufRead> Rows<R> {
    /// Reads as far as the header.
    fn new(mut source: R) -> Result<Self, String> {
        let (mut head, mut start) = (Vec::new(), 0);
        while head[start..].trim_ascii().is_empty() {
            start = head.len();
            if source.read_until(b'\n', &mut head).map_err(|e| format!(": {e}"))? == 0 {
                return Err(": the file is empty".into());
            }
            if start == 0 && (head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff])) {
                return Err(":1: this is UTF-16; save it as UTF-8 to read it in blocks".into());
            }
            if start == 0 && head.starts_with(&[0xef, 0xbb, 0xbf]) {
                head.drain(..3);
            }
        }
        let first = std::str::from_utf8(&head[start..]).map_err(|_| no_unicode(1))?.trim();
        // Excel's own note of what parts fields. Its line stays, so that later ones keep their numbers.
        let noted = first.strip_prefix("sep=").and_then(|rest| rest.chars().next()).filter(|c| MARKS.contains(c));
        let mark = noted.unwrap_or_else(|| mark_of(first));
        if noted.is_some() {
            head.truncate(start);
            head.push(b'\n');
        }
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(mark as u8)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(Cursor::new(head).chain(source));
        let header: Vec<String> = reader.headers().map_err(|e| told(&e))?.iter().map(String::from).collect();
        let name =
            |(i, name): (usize, &String)| if name.is_empty() { format!("column {}", i + 1) } else { name.clone() };
        let names: Vec<String> = header.iter().enumerate().map(name).collect();
        let empty = of_header(names, mark != ',').map_err(|why| format!(":1{why}"))?;
        Ok(Self { reader, record: csv::StringRecord::new(), empty })
    }

    /// Adds so many rows, or all that are left.
    fn fill(&mut self, raw: &mut Raw, most: usize) -> Result<(), String> {
        let (record, width) = (&mut self.record, raw.names.len());
        while raw.rows() < most && self.reader.read_record(record).map_err(|e| told(&e))? {
            if record.iter().all(str::is_empty) && width > 1 {
                continue;
            }
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != width {
                return Err(format!(":{line}: {} fields, where the header has {width}", record.len()));
            }
            if record.as_slice().contains('\0') {
                return Err(format!(":{line}: there are zero bytes: this is no text"));
            }
            raw.push(line, record.iter());
        }
        Ok(())
    }
}

fn no_unicode(line: u64) -> String {
    format!(":{line}: this is not UTF-8; save it as UTF-8")
}

fn told(e: &csv::Error) -> String {
    match e.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => no_unicode(pos.as_ref().map_or(1, csv::Position::line)),
        _ => format!(": {e}"),
    }
}

/// A table of these columns without rows.
///
/// # Errors
/// Two have the same name, or they are numbers.
pub fn of_header(names: Vec<String>, decimal_comma: bool) -> Result<Raw, String> {
    if names.len() > 1 && names.iter().all(|name| name.parse::<f64>().is_ok()) {
        return Err(": the first line holds numbers, not names of columns; add a header".into());
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!(": two columns are called `{}`; rename one of them", pair[0]));
    }
    Ok(Raw::new(names, decimal_comma))
}

/// The commonest mark of a line, quoted ones not counted.
fn mark_of(line: &str) -> char {
    let mut quoted = false;
    let mut counts = [0; MARKS.len()];
    for c in line.chars() {
        quoted ^= c == '"';
        if let Some(i) = MARKS.iter().position(|mark| *mark == c && !quoted) {
            counts[i] += 1;
        }
    }
    // Of equal ones the first.
    let most = (0..MARKS.len()).rev().max_by_key(|i| counts[*i]).unwrap_or(0);
    MARKS[most]
}

/// Where two letters stand that are one letter of UTF-8 read as Latin-1.
fn mixed(text: &str) -> Option<usize> {
    let second = |c: char| ('\u{80}'..='\u{bf}').contains(&c);
    text.char_indices()
        .zip(text.chars().skip(1))
        .find(|((_, a), b)| ['Ã', 'Â'].contains(a) && second(*b))
        .map(|((at, _), _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_found() {
        for (text, comma) in [
            ("a,b\n1.5,x\n", false),
            ("a;b\n1,5;x\n", true),
            ("a\tb\n1.5\tx\n", true),
            ("\"a\"|b\n1.5|x\n\n", true),
            ("sep=;\na;b\n1,5;x\n", true),
            ("a , b\n\"1.5\",\"x\"\n,\n", false),
        ] {
            let raw = parse(text).unwrap();
            assert_eq!(
                (&raw.names[..], raw.rows(), raw.decimal_comma),
                (&["a".into(), "b".into()][..], 1, comma),
                "{text}"
            );
            assert_eq!(agon_agents::data::cells::infer(&raw, 0).values, agon_agents::data::Values::Numbers(vec![1.5]));
        }
        assert_eq!(parse("a,b\n\"x, y\",\"1\n2\"\n3,4\n").unwrap().lines, [2, 4], "quoted fields may go over lines");
    }

    #[test]
    fn what_is_no_table_is_told_with_its_line() {
        for (text, why) in [
            ("", "empty"),
            (" \n\n", "empty"),
            ("a,b\n1,2\n3\n", ":3: 1 fields, where the header has 2"),
            ("a,b\n1,2,3\n", ":2: 3 fields"),
            ("a,a\n1,2\n", "two columns are called `a`"),
            ("1,2\n3,4\n", "add a header"),
            ("a,b\nx,Ã¼\n", ":2: letters of UTF-8"),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.contains(why), "{text:?}: {told}");
        }
    }
}
