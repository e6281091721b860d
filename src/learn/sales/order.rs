//! The order of a table's weeks. One mistyped week is told apart from a column that begins again, comes several times a
//! week, or was never in order: the first is left out, the others are refused.

use super::week::Week;

/// Where a row stands in the file, and its week.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub line: u64,
    pub label: &'a str,
    pub week: i64,
}

/// Indices of a longest strictly rising run, gaps allowed, in O(n log n) by patience sorting. Of equal numbers the first
/// is kept; of equally long runs the one that ends lowest.
pub fn rising(weeks: &[i64]) -> Vec<usize> {
    // Of all runs of a length, the end of the one that ends lowest; and what each number comes after.
    let (mut ends, mut before): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::with_capacity(weeks.len()));
    for (i, week) in weeks.iter().enumerate() {
        let length = ends.partition_point(|end| weeks[*end] < *week);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            None => ends.push(i),
            Some(end) if weeks[*end] > *week => *end = i,
            Some(_) => {}
        }
    }
    let mut run: Vec<usize> = std::iter::successors(ends.last().copied(), |i| before[*i]).collect();
    run.reverse();
    run
}

/// Whether the weeks fall rather than rise.
pub fn newest_first(weeks: &[i64]) -> bool {
    let back: Vec<i64> = weeks.iter().rev().copied().collect();
    rising(&back).len() > rising(weeks).len()
}

/// Puts two neighbouring weeks that stand the wrong way round in order, where nothing else can be meant, and says so.
pub fn swap_neighbours(weeks: &mut [Week]) -> Vec<String> {
    let mut told = Vec::new();
    for i in 1..weeks.len() {
        let number = |at: Option<usize>| at.and_then(|at| weeks.get(at)).map(|w| w.week);
        let (later, earlier) = (weeks[i - 1].week, weeks[i].week);
        let after = number(i.checked_sub(2)).is_none_or(|before| before < earlier);
        if later == earlier + 1 && after && number(Some(i + 1)).is_none_or(|next| next > later) {
            weeks.swap(i - 1, i);
            let (one, two) = (weeks[i - 1].line.min(weeks[i].line), weeks[i - 1].line.max(weeks[i].line));
            told.push(format!("lines {one} and {two} stood the wrong way round: they were swapped"));
        }
    }
    told
}

/// Refuses weeks that are not one row a week in rising order, but for a few mistyped ones. `apart` names a column that
/// tells rows of the same week apart.
pub fn check(rows: &[Row<'_>], apart: Option<&str>) -> Result<(), String> {
    let (n, weeks) = (rows.len(), rows.iter().map(|r| r.week).collect::<Vec<i64>>());
    let kept = rising(&weeks);
    let mut out = vec![true; n];
    kept.iter().for_each(|i| out[*i] = false);
    let lost = n - kept.len();
    let how = match apart {
        Some(column) => format!("column `{column}` tells them apart: keep the rows of one `{column}`, or add them up"),
        None => "if it holds several shops, keep the rows of one; if it holds days, add them up to weeks".into(),
    };
    let again = |i: usize| {
        let first = rows[..i].iter().find(|r| r.week == rows[i].week)?;
        let (label, one, two) = (rows[i].label, first.line.min(rows[i].line), first.line.max(rows[i].line));
        Some(format!("week {label} stands at lines {one} and {two}"))
    };
    let pairs: Vec<usize> = (1..n).filter(|i| weeks[*i] == weeks[i - 1]).collect();
    if pairs.len() > 1 && pairs.len() * 10 > n {
        let example = again(pairs[0]).unwrap_or_default();
        let more = pairs.len() - 1;
        return Err(format!("several rows a week: {example}, and {more} more rows like it; {how}"));
    }
    // Rows left out side by side that rise among themselves are no slips of a finger.
    let falls = (1..n).filter(|i| weeks[*i] < weeks[i - 1]).count();
    let mut start = 0;
    while start < n && falls * 3 <= n {
        let mut end = start + 1;
        while end < n && out[start] && out[end] && weeks[end] > weeks[end - 1] {
            end += 1;
        }
        let inside = start > 0 && end < n;
        if out[start] && end - start >= (if inside { (n / 10).max(3) } else { 3 }) {
            let at = if start == 0 { end } else { start };
            let ([last, next], line) = ([at - 1, at].map(|i| rows[i].label), rows[at].line);
            let years = "if it holds several years, number the weeks through or write dates";
            return Err(format!("the weeks begin again at line {line}: after {last} comes {next}; {how}; {years}"));
        }
        start = end;
    }
    if lost > 1 && lost * 3 > n {
        let example = (0..n).filter(|i| out[*i]).find_map(again);
        return Err(match example {
            Some(example) => format!("several rows a week: {example}; {how}"),
            None => format!("the weeks are in no order ({lost} of {n} rows are out of place): sort the rows by week"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(weeks: &[i64]) -> Result<(), String> {
        let labels: Vec<String> = weeks.iter().map(i64::to_string).collect();
        let row = |(i, week): (usize, &i64)| Row { line: i as u64 + 2, label: &labels[i], week: *week };
        check(&weeks.iter().enumerate().map(row).collect::<Vec<_>>(), None)
    }

    #[test]
    fn only_neighbours_that_fit_are_swapped() {
        let order = |numbers: &[i64]| {
            let week = |(i, week): (usize, &i64)| Week {
                line: i as u64 + 2,
                row: i,
                label: week.to_string(),
                week: *week,
                customers: 1.0,
                units: vec![],
                prices: vec![],
                costs: vec![],
                displays: vec![],
                absent: vec![],
                rest: vec![],
            };
            let mut weeks: Vec<Week> = numbers.iter().enumerate().map(week).collect();
            let told = swap_neighbours(&mut weeks);
            (weeks.iter().map(|w| w.week).collect::<Vec<i64>>(), told)
        };
        let (weeks, told) = order(&[1, 2, 4, 3, 5]);
        assert_eq!(weeks, [1, 2, 3, 4, 5]);
        assert_eq!(told, ["lines 4 and 5 stood the wrong way round: they were swapped"]);
        assert_eq!(order(&[2, 1, 3, 5, 4]).0, [1, 2, 3, 4, 5]);
        // Mistyped, not swapped.
        for weeks in [&[1, 2, 3, 4, 50, 6, 7, 8][..], &[10, 12, 12, 13], &[10, 35, 30, 40], &[3, 2, 1], &[1, 2, 2, 3]] {
            assert_eq!(order(weeks), (weeks.to_vec(), vec![]), "{weeks:?}");
        }
    }

    /// Against all subsets of permutations and repetitions of six numbers.
    #[test]
    fn the_longest_rising_run_is_the_longest() {
        for code in 0..6i64.pow(6) {
            let weeks: Vec<i64> = (0..6).map(|k| code / 6i64.pow(k) % 6).collect();
            let rises = |set: &u32| {
                let run: Vec<i64> = (0..6).filter(|i| set >> i & 1 == 1).map(|i| weeks[i]).collect();
                run.windows(2).all(|w| w[0] < w[1])
            };
            let best = (0..64u32).filter(rises).map(u32::count_ones).max().unwrap();
            let run = rising(&weeks);
            assert!(run.windows(2).all(|w| w[0] < w[1] && weeks[w[0]] < weeks[w[1]]), "{weeks:?} {run:?}");
            assert_eq!(run.len(), best as usize, "{weeks:?}");
        }
    }

    #[test]
    fn mistyped_weeks_are_told_from_tables_of_another_kind() {
        let twice: Vec<i64> = (1..=52).chain(1..=52).collect();
        let year: Vec<i64> = (40..=52).chain(1..=39).collect();
        let beside: Vec<i64> = (1..=20).flat_map(|w| [w, w, w]).collect();
        let late: Vec<i64> = (1..=52).chain(1..=3).collect();
        for (weeks, part) in [
            (&twice[..], "begin again at line 54: after 52 comes 1"),
            (&year, "begin again at line 15: after 52 comes 1"),
            (&late, "begin again at line 54"),
            (&[1, 2, 3, 1, 2, 3], "begin again at line 5"),
            (&beside, "week 1 stands at lines 2 and 3, and 39 more"),
            (&[1, 2, 1, 2, 1, 2], "week 1 stands at lines 2 and 4"),
            (&[4, 9, 1, 7, 3, 8, 2, 5], "in no order"),
        ] {
            let why = checked(weeks).unwrap_err();
            assert!(why.contains(part), "{part} in {why}");
        }
        for weeks in [&[1, 2, 3, 4, 50, 6, 7, 8][..], &[50, 2, 3, 4], &[1, 2, 2], &[1, 2, 3, 40, 5, 60, 7, 8], &[7]] {
            assert_eq!(checked(weeks), Ok(()), "{weeks:?}");
        }
        assert_eq!(rising(&[1, 2, 3, 4, 50, 6, 7, 8]), [0, 1, 2, 3, 5, 6, 7]);
        assert_eq!(rising(&[1, 2, 3, 50, 4]), [0, 1, 2, 4]);
        assert!(newest_first(&[9, 8, 70, 6, 5]) && !newest_first(&[1, 2, 3, 0]) && !newest_first(&[3]));
    }
}
