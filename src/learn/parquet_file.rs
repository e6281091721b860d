//! Tables in Parquet, as pandas, pyarrow, Polars, Spark and DuckDB write them: cells become the text that a CSV would hold.
//!
//! A moment that is stored in UTC is read in UTC, and that is told. Where all of a column have the same time of day, but for
//! the hour of summer time, they are midnights of a time zone: then they are dates.

use crate::csv_table;
use agon::{Failure, Outcome};
use agon_agents::data::Raw;
use agon_agents::data::written::written_date;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};
use std::fmt::Write;
use std::path::Path;

const DAY: i64 = 86_400;

/// How the cells of a column are read beyond what the reader knows.
#[derive(Clone, Copy, Default)]
struct Clock {
    /// Whole numbers are billionths of a second since 1970.
    nanos: bool,
    /// Moments are in UTC, whatever clock the writer looked at.
    utc: bool,
    /// Moments are midnights of another clock: they are moved to the nearest one.
    midnights: bool,
}

/// Reads a table.
///
/// # Errors
/// The file cannot be read, or holds what no cell can show.
pub fn read(path: &Path, told: bool) -> Outcome<Raw> {
    let mut whole = Raw::default();
    blocks(path, usize::MAX, told, &mut |raw| {
        whole = raw;
        Ok(())
    })?;
    Ok(whole)
}

/// Reads a table in parts of so many rows, the last of which may have fewer; there is at least one.
///
/// # Errors
/// As [`read`], and those of `take`.
pub fn blocks(path: &Path, rows: usize, told: bool, take: &mut dyn FnMut(Raw) -> Outcome) -> Outcome {
    let wrong = |why: String| Failure::Input(format!("{}: {why}", path.display()));
    let failed = |e: ParquetError| match e.to_string() {
        // What the reader can do, but was built without.
        why if why.contains("Disabled feature") => wrong(format!(
            "this Parquet file is compressed in a way that Agon does not read ({why}): write it with zstd, snappy, gzip or lz4"
        )),
        why => wrong(format!("this Parquet file cannot be read: {why}")),
    };
    let reader = SerializedFileReader::new(agon::files::open(path)?).map_err(failed)?;
    let schema = reader.metadata().file_metadata().schema();
    let (fields, names): (&[TypePtr], Vec<String>) =
        (schema.get_fields(), schema.get_fields().iter().map(|field| field.name().to_owned()).collect());
    if let Some(field) = fields.iter().find(|field| holds_interval(field)) {
        return Err(wrong(format!("column `{}` holds spans of time: leave it out, or make it a number", field.name())));
    }
    let mut clocks: Vec<Clock> = fields.iter().map(|field| clock(field)).collect();
    midnights(&reader, &mut clocks).map_err(failed)?;
    for (name, clock) in names.iter().zip(&clocks).filter(|(_, clock)| told && clock.utc) {
        match clock.midnights {
            true => agon::tell!("note: column `{name}` holds midnights of a time zone: they are read as dates"),
            false => agon::tell!("note: times in column `{name}` are read in UTC, as they are stored"),
        }
    }
    let named = |(i, name): (usize, String)| match name.trim() {
        "" => format!("column {}", i + 1),
        name => name.to_owned(),
    };
    let names = names.into_iter().enumerate().map(named).collect();
    let empty = csv_table::of_header(names, false).map_err(|why| wrong(why.trim_start_matches(": ").to_owned()))?;
    let mut raw = empty.clone();
    let mut cells = vec![String::new(); clocks.len()];
    for (row, line) in reader.get_row_iter(None).map_err(failed)?.zip(2..) {
        let row = row.map_err(failed)?;
        for (((_, field), clock), cell) in row.get_column_iter().zip(&clocks).zip(&mut cells) {
            cell.clear();
            write_cell(field, *clock, cell);
        }
        if raw.rows() == rows {
            take(std::mem::replace(&mut raw, empty.clone()))?;
        }
        raw.push(line, cells.iter().map(String::as_str));
    }
    take(raw)
}

/// The reader has no value for these, and would panic.
fn holds_interval(field: &Type) -> bool {
    match field {
        Type::GroupType { fields, .. } => fields.iter().any(|field| holds_interval(field)),
        Type::PrimitiveType { basic_info, .. } => basic_info.converted_type() == ConvertedType::INTERVAL,
    }
}

fn clock(field: &Type) -> Clock {
    match field.get_basic_info().logical_type_ref() {
        Some(LogicalType::Timestamp(stamp)) => {
            Clock { nanos: stamp.unit == TimeUnit::NANOS, utc: stamp.is_adjusted_to_u_t_c, midnights: false }
        }
        _ => Clock::default(),
    }
}

/// Finds the columns in UTC whose moments are midnights of another clock: at most an hour of the day apart, and not all at
/// midnight.
fn midnights(reader: &SerializedFileReader<std::fs::File>, clocks: &mut [Clock]) -> Result<(), ParquetError> {
    let wanted: Vec<usize> = (0..clocks.len()).filter(|c| clocks[*c].utc).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let schema = reader.metadata().file_metadata().schema();
    let fields = wanted.iter().map(|c| schema.get_fields()[*c].clone()).collect();
    let some = Type::group_type_builder(schema.name()).with_fields(fields).build()?;
    let mut times: Vec<Option<Vec<i64>>> = vec![Some(Vec::new()); wanted.len()];
    for row in reader.get_row_iter(Some(some))? {
        for (((_, field), c), times) in row?.get_column_iter().zip(&wanted).zip(&mut times) {
            let (Some(seconds), Some(seen)) = (seconds(field, clocks[*c]), &mut *times) else { continue };
            let time = seconds.rem_euclid(DAY);
            if !seen.contains(&time) {
                seen.push(time);
            }
            // One in winter and one in summer.
            let alike = match seen[..] {
                [_] => true,
                [a, b] => (a - b).abs().min(DAY - (a - b).abs()) == 3600,
                _ => false,
            };
            if !alike {
                *times = None;
            }
        }
        if times.iter().all(Option::is_none) {
            break;
        }
    }
    for (c, times) in wanted.into_iter().zip(times) {
        // Noon is nobody's midnight, or so nearly: such moments have the right date already.
        let elsewhere = |time: &i64| *time != 0 && !(11 * 3600..13 * 3600).contains(time);
        clocks[c].midnights = times.is_some_and(|times| times.iter().any(elsewhere));
    }
    Ok(())
}

/// A moment in whole seconds since 1970.
fn seconds(field: &Field, clock: Clock) -> Option<i64> {
    match field {
        Field::TimestampMillis(at) => Some(at.div_euclid(1_000)),
        Field::TimestampMicros(at) => Some(at.div_euclid(1_000_000)),
        Field::Long(at) if clock.nanos => Some(at.div_euclid(1_000_000_000)),
        _ => None,
    }
}

/// What CSV would hold: numbers with a point and no more digits than they need, dates as 2026-03-02, nothing where nothing is
/// known.
fn write_cell(field: &Field, clock: Clock, cell: &mut String) {
    if let Some(at) = seconds(field, clock) {
        let at = if clock.midnights { (at + DAY / 2).div_euclid(DAY) * DAY } else { at };
        return write_moment(at, cell);
    }
    // Writing to a string cannot fail.
    let _ = match field {
        Field::Null => Ok(()),
        Field::Float16(x) if x.is_nan() => Ok(()),
        Field::Float(x) if x.is_nan() => Ok(()),
        Field::Double(x) if x.is_nan() => Ok(()),
        Field::Float16(x) => write!(cell, "{x}"),
        Field::Float(x) => write!(cell, "{x}"),
        Field::Double(x) => write!(cell, "{x}"),
        Field::Str(text) => cell.write_str(text),
        // Text without a word about it, as older writers leave it.
        Field::Bytes(bytes) => cell.write_str(&String::from_utf8_lossy(bytes.data())),
        Field::Date(day) => cell.write_str(&written_date(f64::from(*day))),
        other => write!(cell, "{other}"),
    };
}

fn write_moment(at: i64, cell: &mut String) {
    cell.push_str(&written_date(at.div_euclid(DAY) as f64));
    let time = at.rem_euclid(DAY);
    if time != 0 {
        let _ = write!(cell, " {:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of another writer (`tests/golden/parquet.py`) hold what that writer says as text.
    #[test]
    fn cells_are_what_their_writer_says() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet");
        for (name, rows) in [("receipts", 1500), ("weeks", 60)] {
            let found = read(&golden.join(format!("{name}.parquet")), false).unwrap();
            let wanted = csv_table::read(&golden.join(format!("{name}.csv"))).unwrap();
            assert_eq!((found.rows(), &found.names), (rows, &wanted.names));
            for row in 0..rows {
                for column in 0..found.names.len() {
                    let told = format!("{name}, row {row}, column {}", found.names[column]);
                    let [found, wanted] = [found.cell(row, column), wanted.cell(row, column)];
                    // 2 and 2.0 are the same number.
                    let numbers = [found, wanted].map(|cell| cell.parse::<f64>().ok());
                    assert!(
                        found == wanted || numbers[0].is_some() && numbers[0] == numbers[1],
                        "{told}: {found} {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.parquet");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet/weeks.parquet");
        let whole = std::fs::read(golden).unwrap();
        for bytes in [&whole[..whole.len() / 2], b"PAR1", b"PAR1PAR1PAR1"] {
            std::fs::write(&path, bytes).unwrap();
            let why = read(&path, false).unwrap_err().to_string();
            assert!(why.contains("cut.parquet: this Parquet file cannot be read"), "{why}");
        }
    }
}
