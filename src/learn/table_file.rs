//! What tables come in: CSV (see [`csv_table`]), Excel's files and, if it is built in, Parquet, whose content decides and
//! not their name; folders of text files (see [`text_folder`]), and recorded episodes (see [`episode_table`]).

#[cfg(feature = "parquet")]
use crate::parquet_file;
use crate::{csv_table, episode_table, text_folder};
use agon::{Failure, Outcome};
use agon_agents::data::Raw;
use calamine::{Data, Reader};
use std::io::Read;
use std::path::Path;

/// What a file is by its first bytes.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Excel,
    Parquet,
    Folder,
    Episodes,
}

fn kind_of(path: &Path) -> Outcome<Kind> {
    if episode_table::is_meant(path) {
        return Ok(Kind::Episodes);
    }
    if text_folder::is_meant(path) {
        return Ok(Kind::Folder);
    }
    let mut start = [0; 4];
    let read = agon::files::open(path)?.read(&mut start).map_err(|e| Failure::read(path, &e))?;
    Ok(match &start[..read] {
        b"PK\x03\x04" => Kind::Excel,
        b"PAR1" => Kind::Parquet,
        _ => Kind::Text,
    })
}

/// Reads a table with a header.
///
/// # Errors
/// It cannot be read, is empty, has rows of different lengths, or columns without different names; with the line.
pub fn read(path: &Path) -> Outcome<Raw> {
    load(path, true)
}

/// With `told`, of a workbook of several sheets it is told which was read.
fn load(path: &Path, told: bool) -> Outcome<Raw> {
    match kind_of(path)? {
        Kind::Text => csv_table::read(path),
        Kind::Excel => excel(path, told),
        Kind::Parquet => parquet_file::read(path, told),
        Kind::Folder => text_folder::read(path),
        Kind::Episodes => episode_table::read(path),
    }
}

/// Whether a file holds a table in Parquet.
pub fn is_parquet(path: &Path) -> bool {
    kind_of(path).is_ok_and(|kind| kind == Kind::Parquet)
}

/// Reads a table in parts of so many rows, the last of which may have fewer; there is at least one. A workbook, or a folder of
/// texts, is one part.
///
/// # Errors
/// As [`read`], and those of `take`.
pub fn blocks(path: &Path, rows: usize, take: &mut dyn FnMut(Raw) -> Outcome) -> Outcome {
    match kind_of(path)? {
        Kind::Text => csv_table::blocks(path, rows, take),
        Kind::Parquet => parquet_file::blocks(path, rows, false, take),
        Kind::Excel | Kind::Folder | Kind::Episodes => take(load(path, false)?),
    }
}

/// The table as CSV: the file's own text where it is that already.
///
/// # Errors
/// As [`read`].
pub fn as_csv(path: &Path) -> Outcome<Vec<u8>> {
    if kind_of(path)? == Kind::Text {
        return Ok(agon::text::read_latin(path)?.into_bytes());
    }
    let raw = load(path, false)?;
    written(&raw, 0..raw.rows(), None)
}

/// Some rows of a table as CSV that reads back as it is; `more`: the name of a column behind the others, and its cells for
/// all rows of the table.
///
/// # Errors
/// [`Failure::Internal`] where it cannot be written.
pub fn written(raw: &Raw, rows: impl IntoIterator<Item = usize>, more: Option<(&str, &[&str])>) -> Outcome<Vec<u8>> {
    // Decimal commas are read where fields are parted by something else.
    let mark = if raw.decimal_comma { b';' } else { b',' };
    let mut writer = csv::WriterBuilder::new().delimiter(mark).from_writer(Vec::new());
    let wrong = |e: csv::Error| Failure::Internal(format!("the table cannot be written: {e}"));
    let names = raw.names.iter().map(String::as_str).chain(more.map(|(name, _)| name));
    writer.write_record(names).map_err(wrong)?;
    for row in rows {
        let cells = (0..raw.names.len()).map(|c| raw.cell(row, c)).chain(more.map(|(_, cells)| cells[row]));
        writer.write_record(cells).map_err(wrong)?;
    }
    writer.into_inner().map_err(|e| Failure::Internal(e.to_string()))
}

/// The sheet with the most rows, which is told where there are several. Rows above the header that hold a title alone are left
/// out.
fn excel(path: &Path, told: bool) -> Outcome<Raw> {
    let wrong = |why: String| Failure::Input(format!("{}: {why}", path.display()));
    let file = std::io::BufReader::new(agon::files::open(path)?);
    let mut book: calamine::Xlsx<_> = calamine::open_workbook_from_rs(file)
        .map_err(|e: calamine::XlsxError| wrong(format!("this is no workbook of Excel (.xlsx): {e}")))?;
    let sheets = book.sheet_names();
    let mut ranges = Vec::new();
    for sheet in &sheets {
        ranges.push((sheet, book.worksheet_range(sheet).map_err(|e| wrong(format!("sheet `{sheet}`: {e}")))?));
    }
    // Of equally long ones the first.
    ranges.sort_by_key(|(_, range)| std::cmp::Reverse(range.height()));
    for (sheet, range) in ranges {
        let filled = |row: &&[Data]| row.iter().filter(|cell| !matches!(cell, Data::Empty)).count();
        let top = range.start().map_or(0, |(row, _)| u64::from(row));
        let width = range.rows().map(|row| filled(&row)).max().unwrap_or(0);
        let Some(head) = range.rows().position(|row| filled(&row) > width / 2) else { continue };
        let name = |(i, cell): (usize, &Data)| match text(cell) {
            name if name.trim().is_empty() => format!("column {}", i + 1),
            name => name.trim().to_owned(),
        };
        let names: Vec<String> = range.rows().nth(head).into_iter().flatten().enumerate().map(name).collect();
        let mut raw = csv_table::of_header(names, false).map_err(|why| wrong(format!("sheet `{sheet}`{why}")))?;
        for (i, row) in range.rows().enumerate().skip(head + 1).filter(|(_, row)| filled(row) > 0) {
            let cells: Vec<String> = row.iter().map(text).collect();
            raw.push(top + i as u64 + 1, cells.iter().map(String::as_str));
        }
        if told && sheets.len() > 1 {
            agon::tell!("note: sheet `{sheet}`, the longest of {} ({}), is read", sheets.len(), sheets.join(", "));
        }
        return Ok(raw);
    }
    Err(wrong("the workbook holds no table".into()))
}

/// A cell as CSV has it: dates as 2026-03-02, numbers with a point.
fn text(cell: &Data) -> String {
    match cell {
        Data::DateTime(when) if when.is_datetime() => {
            let (y, m, d, h, min, s, _) = when.to_ymd_hms_milli();
            match (h, min, s) {
                (0, 0, 0) => format!("{y:04}-{m:02}-{d:02}"),
                _ => format!("{y:04}-{m:02}-{d:02} {h:02}:{min:02}:{s:02}"),
            }
        }
        Data::Error(_) => String::new(),
        other => other.to_string(),
    }
}

#[cfg(not(feature = "parquet"))]
mod parquet_file {
    //! In a build without a reader of Parquet.

    use agon::{Failure, Outcome};
    use agon_agents::data::Raw;
    use std::path::Path;

    pub fn read(path: &Path, _told: bool) -> Outcome<Raw> {
        let how =
            "this build of Agon has no reader of them: build it with the feature `parquet`, or save the table as CSV";
        Err(Failure::Input(format!("{}: a Parquet file; {how}", path.display())))
    }

    pub fn blocks(path: &Path, _rows: usize, told: bool, take: &mut dyn FnMut(Raw) -> Outcome) -> Outcome {
        take(read(path, told)?)
    }
}
