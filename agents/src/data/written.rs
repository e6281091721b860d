//! How numbers and dates are written: decimal points or commas, thousands, years, days or months first.

use serde::{Deserialize, Serialize};

/// How the numbers or dates of a column are written: remembered, so that new rows are read as those of training were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Numbers.
    Numbers(Written),
    /// Dates.
    Dates(First),
}

/// How the numbers of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Written {
    /// 1234.5
    Point,
    /// 1234,5 or 1.234,5
    Comma,
    /// 1,234.5
    Thousands,
}

/// Numbers of this size and less are numbers. Larger ones stand for missing values in some programs, and squares of them are
/// beyond what can be computed with.
pub const LARGEST: f64 = 1e100;

impl Written {
    /// The number of a cell that is written so; none where it is not, or not finite. Beyond [`LARGEST`] it is missing.
    pub fn read(self, cell: &str) -> Option<f64> {
        let x: f64 = match self {
            Self::Point => cell.parse().ok()?,
            Self::Comma if cell.contains('.') => grouped(cell, '.', ',')?,
            Self::Comma => cell.replacen(',', ".", 1).parse().ok()?,
            Self::Thousands if cell.contains(',') => grouped(cell, ',', '.')?,
            Self::Thousands => cell.parse().ok()?,
        };
        // `inf` parses, and is no number that anything can be learned from.
        x.is_finite().then_some(if x.abs() > LARGEST { f64::NAN } else { x })
    }
}

/// A number with groups of three digits.
fn grouped(cell: &str, group: char, mark: char) -> Option<f64> {
    let (whole, rest) = cell.split_once(mark).unwrap_or((cell, ""));
    let mut parts = whole.trim_start_matches(['+', '-']).split(group);
    let first = parts.next()?;
    let three = |part: &str| part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit());
    if first.is_empty() || first.len() > 3 || !parts.all(three) {
        return None;
    }
    format!("{}.{rest}0", whole.replace(group, "")).parse().ok()
}

/// How a date is written: which of its parts comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum First {
    /// 2024-03-31
    Year,
    /// 31.03.2024
    Day,
    /// 03/31/2024
    Month,
}

/// The date of days since 1970, as in 2024-03-31; a time of day is left out.
pub fn written_date(days: f64) -> String {
    // The same source as below, backwards.
    let z = days.floor() as i64 + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let of_era_year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_era_year + of_era_year / 4 - of_era_year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", of_era_year + era * 400 + i64::from(month <= 2))
}

/// Days since 1970 of a date such as 2024-03-31, 31.03.2024 or 03/31/2024, with or without a time of day.
pub fn date(cell: &str, first: First) -> Option<f64> {
    let (day, time) = cell.split_once(['T', ' ']).unwrap_or((cell, ""));
    let mark = ['-', '/', '.'].into_iter().find(|mark| day.contains(*mark))?;
    let mut parts = day.split(mark).map(|part| part.parse::<u32>().ok().filter(|_| part.len() <= 4));
    let (a, b, c) = (parts.next()??, parts.next()??, parts.next()??);
    let (y, m, d) = match first {
        First::Year => (a, b, c),
        First::Day => (c, b, a),
        First::Month => (c, a, b),
    };
    let leap = y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let long = match m {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if parts.next().is_some() || !(1000..=9999).contains(&y) || !(1..=12).contains(&m) || !(1..=long).contains(&d) {
        return None;
    }
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March.
    let (y, m) = (i64::from(y) - i64::from(m <= 2), i64::from(m));
    let (era, of_era) = (y.div_euclid(400), y.rem_euclid(400));
    let of_year = (153 * ((m + 9) % 12) + 2) / 5 + i64::from(d) - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let clock = time.trim_end_matches('Z');
    let mut seconds = 0.0;
    if !clock.is_empty() {
        for (part, (size, below)) in clock.split(':').zip([(3600.0, 24.0), (60.0, 60.0), (1.0, 61.0)]) {
            seconds += size * part.parse::<f64>().ok().filter(|x| (0.0..below).contains(x))?;
        }
    }
    Some(days as f64 + seconds / 86_400.0)
}
