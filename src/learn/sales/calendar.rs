//! The weeks of a table: numbers, or dates in whatever way people write them.

use agon_agents::data::cells::is_missing;
use agon_agents::data::written::{First, date};
use std::collections::{BTreeMap, HashMap};

agon_core::choices! {
    /// How weeks are written.
    pub enum Dates {
        /// As the table shows it.
        Auto = "auto",
        /// 02/03/2026 is the second of March.
        DayFirst = "day-first",
        /// 02/03/2026 is the third of February.
        MonthFirst = "month-first",
        /// Excel's numbers of days, such as 46083.
        Excel = "excel",
        /// Not at all: the rows of a shop are its weeks, in order.
        Rows = "rows",
    }
}

/// The latest number a week can have.
const LAST_WEEK: f64 = 1e9;

/// A Monday, by [`day`]: weeks of dates begin on Mondays, as ISO 8601 has it.
pub const MONDAY: i64 = 4;

/// Excel's number of 1970-01-01.
const EXCEL_1970: f64 = 25_569.0;

/// A date such as 2026-03-02 or 20260302 as a number of days.
pub fn day(cell: &str) -> Option<i64> {
    let digits = cell.len() == 8 && cell.bytes().all(|b| b.is_ascii_digit()) && ("1900".."2101").contains(&&cell[..4]);
    if digits {
        return day(&format!("{}-{}-{}", &cell[..4], &cell[4..6], &cell[6..]));
    }
    date(cell, First::Year).map(|days| days.floor() as i64)
}

/// The Monday of a week such as 2026-W10, by ISO 8601, as a number of weeks.
fn iso_week(cell: &str) -> Option<i64> {
    let (year, week) = cell.split_once(['W', 'w'])?;
    let week = week.split_once('-').map_or(week, |(week, _)| week);
    let year: i64 = year.trim_end_matches(['-', ' ', '_']).parse().ok()?;
    week_of_year(100 * year + week.trim_start_matches('-').parse::<i64>().ok()?)
}

/// A week such as 202501, the first of 2025 by ISO 8601, as dates have it: weeks since the first Monday.
pub fn week_of_year(number: i64) -> Option<i64> {
    let (year, week) = (number / 100, number % 100);
    if !(1900..=2100).contains(&year) || !(1..=53).contains(&week) {
        return None;
    }
    // The fourth of January lies in the first week.
    let first = |year: i64| Some((day(&format!("{year}-01-04"))? - MONDAY).div_euclid(7));
    let (this, next) = (first(year)?, first(year + 1)?);
    (week <= next - this).then_some(this + week - 1) // most years have no week 53
}

const TOTALS: [&str; 10] =
    ["total", "totals", "subtotal", "sum", "summe", "gesamt", "insgesamt", "somme", "totale", "suma"];

/// Whether a row is one of totals, by the cell that should name its week.
pub fn is_total(cell: &str) -> bool {
    let small = cell.to_lowercase();
    TOTALS.contains(&small.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default())
}

/// The same by the cell that should name its product or shop. Names may begin with such a word, as `Total Zero` does: a
/// total is called nothing else, but for a year.
pub fn is_total_name(cell: &str) -> bool {
    let small = cell.to_lowercase();
    let mut words = small.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let year = |word: &str| word.parse().is_ok_and(|year: u32| (1900..=2100).contains(&year));
    words.next().is_some_and(|word| TOTALS.contains(&word)) && words.all(year)
}

/// The days of one cell, whichever part comes first. Years of two digits are of this century.
fn day_by(cell: &str, first: First) -> Option<i64> {
    let (head, time) = cell.split_once(['T', ' ']).unwrap_or((cell, ""));
    let short = head.rsplit(['/', '.', '-']).next().filter(|year| year.len() == 2 && first != First::Year);
    let long = short.map(|year| format!("{}20{year}", &head[..head.len() - 2]));
    date(&format!("{} {time}", long.as_deref().unwrap_or(head)), first).map(|days| days.floor() as i64)
}

/// Which of day and month comes first in dates that are neither 2026-03-02 nor weeks.
fn order(cells: &[(&str, u64)], dates: Dates) -> Result<First, String> {
    let all = |first: First| cells.iter().all(|(cell, _)| day_by(cell, first).is_some());
    let (example, line) = cells[0];
    let [by_day, by_month] = match dates {
        Dates::DayFirst => [true, false],
        Dates::MonthFirst => [false, true],
        _ => [all(First::Day), all(First::Month) && !example.contains('.')],
    };
    match [by_day, by_month] {
        [true, false] => return Ok(First::Day),
        [false, true] => return Ok(First::Month),
        [false, false] => {
            let wrong = |first: First| cells.iter().find(|(cell, _)| day_by(cell, first).is_none());
            let (cell, line) = wrong(First::Day).or_else(|| wrong(First::Month)).unwrap_or(&cells[0]);
            return Err(format!("line {line}: `{cell}` is no date as those before it"));
        }
        _ => {}
    }
    // Weeks are whole weeks apart, if they are read rightly.
    let weekly = |first: First| {
        let days: Vec<i64> = cells.iter().filter_map(|(cell, _)| day_by(cell, first)).collect();
        days.len() > 2 && days.iter().all(|day| (day - days[0]) % 7 == 0)
    };
    match [weekly(First::Day), weekly(First::Month)] {
        [true, false] => Ok(First::Day),
        [false, true] => Ok(First::Month),
        _ => Err(format!(
            "line {line}: `{example}` and all other dates may begin with the day or with the month: say dates = \
             \"day-first\" or dates = \"month-first\" in [fit] (with `agon price init`: --map dates=day-first or \
             --map dates=month-first)"
        )),
    }
}

/// The weeks of cells, and whether they are dates.
pub struct Weeks {
    /// None where the cell is missing.
    pub numbers: Vec<Option<i64>>,
    /// Whether they are dates: their numbers are then those of weeks since a Monday.
    pub dates: bool,
    /// The day of the week, 0 for Monday; none where the cell tells none.
    pub weekdays: Vec<Option<u8>>,
}

impl Weeks {
    /// Reads a column: each cell and its line.
    ///
    /// # Errors
    /// A cell is no week as the others are, or may be two; with its line.
    pub fn read(cells: &[(&str, u64)], column: &str, dates: Dates) -> Result<Self, String> {
        let place = |line: u64| format!("line {line}, column `{column}`");
        let mut known: HashMap<&str, (i64, Option<u8>)> = HashMap::new();
        let mut distinct: Vec<(&str, u64)> = Vec::new();
        for (cell, line) in cells.iter().filter(|(cell, _)| !is_missing(cell)) {
            if known.insert(cell, (0, None)).is_none() {
                distinct.push((cell, *line));
            }
        }
        let week_of = |day: i64| ((day - MONDAY).div_euclid(7), Some((day - MONDAY).rem_euclid(7) as u8));
        let like_date = |cell: &str| {
            day(cell).is_some()
                || iso_week(cell).is_some()
                || day_by(cell, First::Day).is_some()
                || day_by(cell, First::Month).is_some()
        };
        // The first week says what all are.
        let are_dates = dates == Dates::Excel || distinct.first().is_some_and(|(cell, _)| like_date(cell));
        if !are_dates {
            for (cell, line) in &distinct {
                known.insert(cell, (number(cell).map_err(|why| format!("{}: {why}", place(*line)))?, None));
            }
        } else if dates == Dates::Excel {
            for (cell, line) in &distinct {
                let serial = cell.parse::<f64>().ok().filter(|x| (1.0..=2_958_465.0).contains(x));
                let serial = serial.ok_or_else(|| format!("{}: `{cell}` is no date of Excel", place(*line)))?;
                known.insert(cell, week_of((serial - EXCEL_1970).floor() as i64));
            }
        } else {
            let by_year = |cell: &str| day(cell).map(week_of).or_else(|| iso_week(cell).map(|week| (week, None)));
            let rest: Vec<(&str, u64)> = distinct.iter().filter(|(cell, _)| by_year(cell).is_none()).copied().collect();
            if rest.len() < distinct.len()
                && let Some((cell, line)) = rest.first()
            {
                return Err(format!("line {line}: `{cell}` is no date as those before it"));
            }
            let first = if rest.is_empty() { First::Year } else { order(&rest, dates)? };
            for (cell, line) in &distinct {
                let week = by_year(cell).or_else(|| day_by(cell, first).map(week_of));
                let week = week.ok_or_else(|| format!("line {line}: `{cell}` is no date as those before it"))?;
                known.insert(cell, week);
            }
        }
        let numbers = cells.iter().map(|(cell, _)| known.get(cell).map(|(week, _)| *week)).collect();
        let weekdays = cells.iter().map(|(cell, _)| known.get(cell).and_then(|(_, day)| *day)).collect();
        Ok(Self { numbers, dates: are_dates, weekdays })
    }

    /// Which of the first and the last week the table holds a part of alone: days that nearly all others have lie before its
    /// first day, or after its last.
    pub fn parts(&self) -> Vec<i64> {
        const FEWEST: usize = 6;
        let mut days: BTreeMap<i64, u8> = BTreeMap::new();
        for (week, day) in self.numbers.iter().zip(&self.weekdays) {
            if let (Some(week), Some(day)) = (week, day) {
                *days.entry(*week).or_default() |= 1 << day;
            }
        }
        let all: Vec<(i64, u8)> = days.into_iter().collect();
        if all.len() < FEWEST {
            return Vec::new();
        }
        let inner = &all[1..all.len() - 1];
        let usual = (0..7).filter(|day| {
            let open = inner.iter().filter(|(_, days)| days >> day & 1 == 1).count();
            5 * open >= 4 * inner.len()
        });
        let usual: u8 = usual.fold(0, |set, day| set | 1 << day);
        let ([first, last], mut parts) = ([all[0], all[all.len() - 1]], Vec::new());
        if usual & ((1u8 << first.1.trailing_zeros()) - 1) != 0 {
            parts.push(first.0);
        }
        if u16::from(usual) >> (8 - last.1.leading_zeros()) != 0 {
            parts.push(last.0);
        }
        parts
    }

    /// Turns numbers such as 202601 into weeks as dates have them, where most are of this kind; whether they were.
    ///
    /// # Errors
    /// They may be months as well.
    pub fn of_years(&mut self, column: &str) -> Result<bool, String> {
        let given: Vec<i64> = self.numbers.iter().flatten().copied().collect();
        // What most weeks look like they are: one that is mistyped stays the number it is, and is out of order.
        let in_years = given.iter().filter(|n| week_of_year(**n).is_some()).count();
        let years = !self.dates && in_years > 1 && 2 * in_years > given.len();
        let months = given.iter().all(|n| n % 100 <= 12);
        let (first, last) = (given.first().map(|n| n / 100), given.last().map(|n| n / 100));
        if years && months && first != last {
            let what = "numbers of weeks such as 202512 end in 12 at most: they may be months as well";
            return Err(format!("column `{column}`: {what}; write dates, or number the weeks 1, 2, 3"));
        }
        if years {
            self.numbers.iter_mut().flatten().for_each(|n| *n = week_of_year(*n).unwrap_or(*n));
        }
        Ok(years)
    }
}

/// Refuses weeks, each what the table calls it and its number, that are days or months apart by their numbers or dates.
pub fn spacing(weeks: &[(&str, i64)], dates: bool) -> Result<(), String> {
    let steps = || weeks.windows(2).map(|pair| (pair[1].1 - pair[0].1).abs());
    if weeks.len() < 4 {
        return Ok(());
    }
    if !dates && steps().all(|step| step > 0 && step % 7 == 0) {
        return Err("its numbers step by 7, as those of days do; write dates, or number the weeks 1, 2, 3".into());
    }
    let of_month = |label: &str| day(label).and_then(|_| label.replace('-', "").get(6..8).map(String::from));
    let first = of_month(weeks[0].0);
    let same_day = first.is_some() && weeks.iter().all(|(label, _)| of_month(label) == first);
    // Every fourth week is no month; months are now four weeks long, now five.
    let months = steps().all(|step| (4..=5).contains(&step)) && (same_day || steps().any(|step| step == 5));
    if dates && months {
        return Err("its dates are a month apart; a row here is a week".into());
    }
    Ok(())
}

/// The number of a week.
fn number(cell: &str) -> Result<i64, String> {
    let how = "number the weeks 1, 2, 3, or write dates such as 2026-03-02";
    let Ok(number) = cell.parse::<f64>() else { return Err(format!("`{cell}` is not a number; {how}")) };
    if !number.is_finite() || number < 0.0 {
        return Err(format!("{cell} cannot be; numbers here are 0 or more"));
    }
    if number.fract() != 0.0 || number > LAST_WEEK {
        return Err(format!("{cell} is no number of a week; {how}"));
    }
    Ok(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weeks(cells: &[&str], dates: Dates) -> Result<Vec<Option<i64>>, String> {
        let cells: Vec<(&str, u64)> = cells.iter().copied().zip(2..).collect();
        let read = Weeks::read(&cells, "week", dates)?;
        let first = read.numbers[0].unwrap();
        Ok(read.numbers.iter().map(|n| n.map(|n| n - first)).collect())
    }

    #[test]
    fn dates_are_read_as_people_write_them() {
        let wanted = [Some(0), Some(1), Some(2), None];
        for cells in [
            ["2026-03-02", "2026-03-09", "2026-03-16", ""],
            ["20260302", "20260309", "20260316", "NA"],
            ["02.03.2026", "09.03.2026", "16.03.2026", ""],
            ["2.3.26", "9.3.26", "16.3.26", ""],
            ["3/2/2026", "3/9/2026", "3/16/2026", ""],
            ["02/03/2026", "09/03/2026", "16/03/2026", ""],
            ["2026-W10", "2026-W11", "2026-W12", ""],
            ["2026W10", "2026W11", "2026W12", ""],
            ["2026-03-02 11:38:36", "2026-03-15T23:59:59Z", "2026-03-22", ""],
            ["1", "2", "3", ""],
        ] {
            assert_eq!(weeks(&cells, Dates::Auto).unwrap(), wanted, "{cells:?}");
        }
        assert_eq!(weeks(&["46083", "46090", "46097", ""], Dates::Excel).unwrap(), wanted);
        // Only one way of reading gives whole weeks.
        assert_eq!(weeks(&["02/03/2026", "09/03/2026", "06/04/2026"], Dates::Auto).unwrap()[2], Some(5));
        assert_eq!(weeks(&["02/03/2026", "02/10/2026", "03/03/2026"], Dates::Auto).unwrap()[2], Some(4));
    }

    #[test]
    fn dates_that_may_be_two_are_refused() {
        let why = weeks(&["02/03/2026", "05/06/2026", "07/08/2026"], Dates::Auto).unwrap_err();
        assert!(why.contains("line 2") && why.contains("day-first") && why.contains("month-first"), "{why}");
        assert_eq!(weeks(&["02/03/2026", "09/03/2026"], Dates::DayFirst).unwrap(), [Some(0), Some(1)]);
        let why = weeks(&["02.03.2026", "09.13.2026"], Dates::Auto).unwrap_err();
        assert!(why.contains("line 3") && why.contains("09.13.2026"), "{why}");
    }

    /// A table that begins on a Wednesday and ends on a Thursday, of a shop that is closed on Sundays.
    #[test]
    fn parts_of_weeks_are_found() {
        let of = |from: i64, to: i64| {
            let numbers: Vec<i64> = (from..to).filter(|day| day % 7 != 6).collect();
            let weekdays = numbers.iter().map(|day| Some((day % 7) as u8)).collect();
            Weeks { numbers: numbers.iter().map(|day| Some(day / 7)).collect(), dates: true, weekdays }.parts()
        };
        assert_eq!(of(2, 60), [0, 8]);
        assert!(of(0, 62).is_empty(), "from a Monday to a Saturday");
        assert_eq!(of(1, 63), [0]);
        assert_eq!(of(0, 61), [8], "its Saturday is missing");
        assert!(of(2, 30).is_empty(), "too few weeks to tell what is usual");
    }

    #[test]
    fn totals_are_told_from_names() {
        assert!(["Total", "TOTAL 2024", "Summe:"].iter().all(|cell| is_total(cell)));
        assert!(!["Totally Nuts", "summer", "1", ""].iter().any(|cell| is_total(cell)));
        assert!(["Total", "TOTAL 2024", "Summe:", " total "].iter().all(|cell| is_total_name(cell)));
        assert!(!["Total Zero", "Sum 41", "Gesamt-Mix", "1", ""].iter().any(|cell| is_total_name(cell)));
    }
}
