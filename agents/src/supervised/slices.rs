//! How good a model is for each group of rows, and how far the groups are apart: demographic parity, and equalised odds
//! (Hardt, Price and Srebro 2016), for numbers the error; with intervals by the bootstrap and what chance alone gives.

use super::scores::Judged;
use crate::data::encode::quantile;
use crate::data::written::written_date;
use crate::data::{Column, Kind, Values};
use agon_core::Metric;
use agon_core::rng::{Rng, Stream};
use agon_core::scene::significant;
use serde::Serialize;
use std::collections::BTreeMap;

/// Rows of a group from which on its metrics are given; and those below which it is said to be small.
pub const LEAST: usize = 10;
/// See [`LEAST`].
pub const FEW: usize = 30;
/// Groups at most: the largest ones.
const MOST: usize = 20;
/// Numbers that are each a group of their own, where a column has no more; else they are cut at quartiles.
const DISTINCT: usize = 8;
/// Resamples behind an interval, and shuffles behind what chance gives.
const REPLICATES: usize = 500;

/// A group of rows.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// The value of the column, or the range of its numbers.
    pub value: String,
    /// Rows that were judged.
    pub rows: usize,
    /// All metrics of these rows; none of fewer than [`LEAST`].
    pub metrics: Vec<Metric>,
}

/// How far the groups of a column are apart: the largest value of a statistic less the smallest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gap {
    /// The statistic. Of two classes `positive rate` (demographic parity), `true positive rate`, `false positive rate`,
    /// and `equalised odds`, the larger gap of the last two; of more classes `accuracy`; of numbers `rmse`, `mean error`.
    pub of: String,
    /// The gap.
    pub value: f64,
    /// Its 95 % interval, where units of rows are drawn again. A gap is never below 0, and neither is this.
    pub interval: Option<[f64; 2]>,
    /// What it is below in 95 % of cases where the column makes no difference; none where rows belong together.
    pub by_chance: Option<f64>,
}

/// The groups of a column.
#[derive(Clone, Debug, Serialize)]
pub struct Sliced {
    /// The column.
    pub column: String,
    /// Its groups, in the order of their values.
    pub groups: Vec<Group>,
    /// Groups beyond the largest 20, which are left out.
    pub more: usize,
    /// Gaps between groups of at least [`LEAST`] rows; none where there is one such group.
    pub gaps: Vec<Gap>,
}

/// The rows that were judged.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// Rows of the columns.
    pub rows: &'a [usize],
    /// What each belongs together with.
    pub units: &'a [u32],
    /// Predictions beside the truth, in the order of `rows`.
    pub judged: &'a Judged<'a>,
}

/// A number, or a date, as a group's name has it.
fn edge(kind: Kind, x: f64) -> String {
    if kind == Kind::Date { written_date(x) } else { significant(x, 4) }
}

/// The names of a column's groups, and the group of each of `rows`: labels, a few numbers, or quarters of the numbers of
/// the training rows. The last one is of missing values.
fn groups(column: &Column, train: &[usize], rows: &[usize]) -> (Vec<String>, Vec<usize>) {
    let x = match &column.values {
        Values::Labels(labels, codes) => {
            let of = |row: &usize| codes[*row].map_or(labels.len(), |code| code as usize);
            return (labels.iter().cloned().chain(["missing".into()]).collect(), rows.iter().map(of).collect());
        }
        Values::Numbers(x) => x,
    };
    let sorted = |rows: &[usize]| {
        let mut seen: Vec<f64> = rows.iter().map(|row| x[*row]).filter(|x| !x.is_nan()).collect();
        seen.sort_by(f64::total_cmp);
        seen
    };
    let mut values = sorted(rows);
    values.dedup();
    let (mut names, edges): (Vec<String>, Vec<f64>) = if values.len() <= DISTINCT {
        (values.iter().map(|x| edge(column.kind, *x)).collect(), values)
    } else {
        let seen = sorted(train);
        let mut edges: Vec<f64> = [0.25, 0.5, 0.75].map(|share| quantile(&seen, share)).to_vec();
        edges.dedup();
        let name = |x: f64| edge(column.kind, x);
        let mut names = vec![format!("up to {}", name(edges[0]))];
        names.extend(edges.windows(2).map(|pair| format!("{} to {}", name(pair[0]), name(pair[1]))));
        names.push(format!("above {}", name(edges[edges.len() - 1])));
        (names, edges)
    };
    names.push("missing".into());
    let last = names.len() - 1;
    // A number that is an edge belongs below it.
    let of = |row: &usize| if x[*row].is_nan() { last } else { edges.partition_point(|edge| *edge < x[*row]) };
    (names, rows.iter().map(of).collect())
}

/// What is averaged over the rows of a group; NaN of a row that does not count.
type Statistic = (&'static str, fn(&Judged<'_>, usize) -> f64);

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

const OF_TWO: [Statistic; 3] = [
    ("positive rate", |j, i| flag(j.guess(i) == 1)),
    ("true positive rate", |j, i| if j.y[i] == 1.0 { flag(j.guess(i) == 1) } else { f64::NAN }),
    ("false positive rate", |j, i| if j.y[i] == 0.0 { flag(j.guess(i) == 1) } else { f64::NAN }),
];
const OF_MORE: [Statistic; 1] = [("accuracy", |j, i| flag(j.guess(i) == j.y[i] as usize))];
const OF_NUMBERS: [Statistic; 2] = [("rmse", |j, i| (j.p[i] - j.y[i]).powi(2)), ("mean error", |j, i| j.p[i] - j.y[i])];

/// Rows and what is compared of them.
struct Compared {
    names: Vec<&'static str>,
    /// `[statistics][rows]`.
    values: Vec<Vec<f64>>,
    /// Whether a group is compared.
    kept: Vec<bool>,
}

impl Compared {
    fn new(judged: &Judged<'_>, kept: Vec<bool>) -> Self {
        let all: &[Statistic] = match judged.classes {
            0 => &OF_NUMBERS,
            2 => &OF_TWO,
            _ => &OF_MORE,
        };
        let value = |(_, of): &Statistic| (0..judged.y.len()).map(|row| of(judged, row)).collect();
        let mut names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        names.extend((judged.classes == 2).then_some("equalised odds"));
        Self { names, values: all.iter().map(value).collect(), kept }
    }

    /// The largest less the smallest group's mean of each statistic, of weighted rows.
    fn gaps(&self, group: &[usize], w: &[f64]) -> Vec<f64> {
        let one = |(values, name): (&Vec<f64>, &&str)| {
            let mut sums = vec![[0.0; 2]; self.kept.len()];
            for (row, x) in values.iter().enumerate().filter(|(row, x)| w[*row] > 0.0 && !x.is_nan()) {
                let sum = &mut sums[group[row]];
                (sum[0], sum[1]) = (sum[0] + w[row] * x, sum[1] + w[row]);
            }
            let means = sums.iter().zip(&self.kept).filter(|(sum, kept)| **kept && sum[1] > 0.0);
            let means = means.map(|(sum, _)| sum[0] / sum[1]).map(|x| if *name == "rmse" { x.sqrt() } else { x });
            let ends = means.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)]);
            ends[1] - ends[0]
        };
        let mut gaps: Vec<f64> = self.values.iter().zip(&self.names).map(one).collect();
        if self.names.len() > gaps.len() {
            gaps.push(gaps[1].max(gaps[2]));
        }
        gaps
    }
}

/// Groups of a column, their metrics and their gaps; numbers are cut at the quartiles of the rows `train`.
pub fn sliced(column: &Column, train: &[usize], of: Rows<'_>, seed: u64) -> Sliced {
    let (names, group) = groups(column, train, of.rows);
    let judged = of.judged;
    let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    group.iter().enumerate().for_each(|(row, g)| rows_of[*g].push(row));
    let mut shown: Vec<usize> = (0..names.len()).filter(|g| !rows_of[*g].is_empty()).collect();
    let more = shown.len().saturating_sub(MOST);
    shown.sort_by_key(|g| (usize::MAX - rows_of[*g].len(), *g));
    shown.truncate(MOST);
    shown.sort_unstable();
    let k = judged.classes.max(1);
    let one = |g: &usize| {
        let rows = &rows_of[*g];
        let mut found = Group { value: names[*g].clone(), rows: rows.len(), metrics: Vec::new() };
        if rows.len() >= LEAST {
            let y: Vec<f64> = rows.iter().map(|row| judged.y[*row]).collect();
            let p = rows.iter().flat_map(|row| judged.p[row * k..][..k].iter().copied()).collect();
            let units: Vec<u32> = rows.iter().map(|row| of.units[*row]).collect();
            let own = Judged::new(judged.classes, &y, p).within(judged.margin);
            found.metrics = own.metrics(&units, seed, None).0;
        }
        found
    };
    let mut kept = vec![false; names.len()];
    shown.iter().filter(|g| rows_of[**g].len() >= LEAST).for_each(|g| kept[*g] = true);
    let several = kept.iter().filter(|kept| **kept).count() > 1;
    let gaps = if several { gaps(&Compared::new(judged, kept), &group, of, seed) } else { Vec::new() };
    Sliced { column: column.name.clone(), groups: shown.iter().map(one).collect(), more, gaps }
}

fn gaps(compared: &Compared, group: &[usize], of: Rows<'_>, seed: u64) -> Vec<Gap> {
    let n = group.len();
    let whole = compared.gaps(group, &vec![1.0; n]);
    let mut rows_of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    of.units.iter().enumerate().for_each(|(row, unit)| rows_of.entry(*unit).or_default().push(row));
    let units: Vec<Vec<usize>> = rows_of.into_values().collect();
    let mut rng = Rng::new(seed, Stream::Eval, 1);
    let mut draw = |_| {
        let mut w = vec![0.0; n];
        for _ in 0..units.len() {
            units[rng.below(units.len() as u32) as usize].iter().for_each(|row| w[*row] += 1.0);
        }
        compared.gaps(group, &w)
    };
    let drawn: Vec<Vec<f64>> = (0..REPLICATES).map(&mut draw).collect();
    // A few rows that repeat another are no reason to say nothing.
    let alone = 20 * units.len() >= 19 * n;
    let mut rng = Rng::new(seed, Stream::Eval, 2);
    let chance = |_| {
        let mut order: Vec<usize> = (0..n).collect();
        rng.shuffle(&mut order);
        let any: Vec<usize> = order.iter().map(|row| group[*row]).collect();
        let mut gaps = compared.gaps(&any, &vec![1.0; n]);
        if of.judged.classes == 2 {
            // Odds may differ by the shares of the classes alone: rows change places with others of their own class.
            let mut within = vec![0; n];
            for class in [0.0, 1.0] {
                let places = (0..n).filter(|row| of.judged.y[*row] == class);
                let from = order.iter().filter(|row| of.judged.y[**row] == class);
                places.zip(from).for_each(|(place, row)| within[place] = group[*row]);
            }
            gaps.splice(1.., compared.gaps(&within, &vec![1.0; n]).drain(1..));
        }
        gaps
    };
    let by_chance: Vec<Vec<f64>> = if alone { (0..REPLICATES).map(chance).collect() } else { Vec::new() };
    let sorted = |all: &[Vec<f64>], k: usize| {
        let mut found: Vec<f64> = all.iter().map(|gaps| gaps[k]).filter(|x| x.is_finite()).collect();
        found.sort_by(f64::total_cmp);
        (found.len() > REPLICATES * 9 / 10).then_some(found)
    };
    let one = |(k, name): (usize, &&str)| Gap {
        of: (*name).into(),
        value: whole[k],
        interval: sorted(&drawn, k).map(|found| [found[found.len() / 40], found[found.len() - 1 - found.len() / 40]]),
        by_chance: sorted(&by_chance, k).map(|found| found[found.len() * 19 / 20]),
    };
    compared.names.iter().enumerate().map(one).filter(|gap| gap.value.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_labels(cells: &[&str]) -> Column {
        Column::labels("g", Kind::Category, cells.iter().map(|cell| Some(*cell)))
    }

    fn all(n: usize) -> (Vec<usize>, Vec<u32>) {
        (0..n).map(|row| (row, row as u32)).unzip()
    }

    /// Twenty rows of each group: of `a` half are predicted positive, all of them rightly; of `b` three quarters, of those
    /// that are not one half. `c` has one row.
    #[test]
    fn groups_and_gaps_by_hand() {
        let cells: Vec<&str> = (0..41).map(|row| ["a", "b", "c"][row / 20]).collect();
        let y: Vec<f64> = (0..41usize).map(|row| flag(row.is_multiple_of(2))).collect();
        let positive = |row: usize| row.is_multiple_of(2) || (20..40).contains(&row) && row % 4 == 1;
        let p = (0..41).flat_map(|row| if positive(row) { [0.2, 0.8] } else { [0.9, 0.1] }).collect();
        let (rows, units) = all(41);
        let judged = Judged::new(2, &y, p);
        let found = sliced(&of_labels(&cells), &rows, Rows { rows: &rows, units: &units, judged: &judged }, 1);
        let names: Vec<(&str, usize)> = found.groups.iter().map(|g| (g.value.as_str(), g.rows)).collect();
        assert_eq!((names, found.more), (vec![("a", 20), ("b", 20), ("c", 1)], 0));
        let accuracy = |g: usize| found.groups[g].metrics.iter().find(|m| m.name == "accuracy").map(|m| m.value);
        assert_eq!((accuracy(0), accuracy(1), accuracy(2)), (Some(1.0), Some(0.75), None));
        let gaps: Vec<f64> = found.gaps.iter().map(|gap| gap.value).collect();
        assert_eq!(gaps, [0.25, 0.0, 0.5, 0.5], "{:?}", found.gaps);
        let [low, high] = found.gaps[2].interval.unwrap();
        assert!(low > 0.15 && high < 0.9, "{low} {high}");
    }

    /// Where a column makes no difference, a gap is below what chance gives in 95 of 100 tables; where it makes a large
    /// one, it is above.
    #[test]
    fn chance_alone_makes_gaps() {
        let mut rng = Rng::new(3, Stream::Env, 0);
        let (rows, units) = all(200);
        let mut below = 0;
        for trial in 0..100 {
            let cells: Vec<&str> = rows.iter().map(|_| ["a", "b", "c", "d"][rng.below(4) as usize]).collect();
            let y = vec![0.0; 200];
            let judged = Judged::new(0, &y, rows.iter().map(|_| rng.normal()).collect());
            let found = sliced(&of_labels(&cells), &rows, Rows { rows: &rows, units: &units, judged: &judged }, trial);
            let error = found.gaps.iter().find(|gap| gap.of == "mean error").unwrap();
            below += usize::from(error.value <= error.by_chance.unwrap());
        }
        assert!((88..100).contains(&below), "{below} of 100");
        let cells: Vec<&str> = rows.iter().map(|row| ["a", "b"][row % 2]).collect();
        let y = vec![0.0; 200];
        let judged = Judged::new(0, &y, rows.iter().map(|row| (row % 2) as f64 + 0.5 * rng.normal()).collect());
        let of = Rows { rows: &rows, units: &units, judged: &judged };
        let error = sliced(&of_labels(&cells), &rows, of, 1).gaps.remove(1);
        assert!(error.interval.unwrap()[0] > error.by_chance.unwrap(), "{error:?}");
        let pairs: Vec<u32> = units.iter().map(|unit| unit / 2).collect();
        let together = sliced(&of_labels(&cells), &rows, Rows { units: &pairs, ..of }, 1).gaps.remove(1);
        assert!(together.by_chance.is_none() && together.interval.is_some());
    }

    #[test]
    fn numbers_are_in_quarters() {
        let named = |x: Vec<f64>, kind| {
            let rows: Vec<usize> = (0..x.len()).collect();
            let (names, group) =
                groups(&Column { name: "x".into(), kind, values: Values::Numbers(x), way: None }, &rows, &rows);
            let count = |g: usize| group.iter().filter(|own| **own == g).count();
            names.into_iter().enumerate().map(|(g, name)| (name, count(g))).collect::<Vec<_>>()
        };
        let of = |all: &[(&str, usize)]| all.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
        let x = (0..100).map(f64::from).chain([f64::NAN]).collect();
        assert_eq!(
            named(x, Kind::Number),
            of(&[
                ("up to 24.75", 25),
                ("24.75 to 49.5", 25),
                ("49.5 to 74.25", 25),
                ("above 74.25", 25),
                ("missing", 1)
            ])
        );
        assert_eq!(named(vec![0.0, 1.0, 1.0], Kind::Number), of(&[("0", 1), ("1", 2), ("missing", 0)]));
        let days = (0..9).map(|k| 11_017.0 + 4.0 * f64::from(k)).collect();
        assert_eq!(named(days, Kind::Date)[0], ("up to 2000-03-09".into(), 3));
    }
}
