//! What distinguishes the rows of a cluster, in the table's own columns and units.

use crate::data::{Column, Values};
use serde::Serialize;

/// How a cluster's rows differ from all rows in a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The column; with the label whose share it is about, of a column of labels.
    pub what: String,
    /// The mean, or the share of the label, in the cluster and in all rows.
    pub here: f64,
    /// The same in all rows.
    pub overall: f64,
    /// The difference in standard deviations of all rows.
    pub standardised: f64,
    /// Whether it is a share.
    pub share: bool,
}

/// The largest differences of some rows from all rows, the largest first.
pub fn differences(columns: &[&Column], rows: &[usize], most: usize) -> Vec<Difference> {
    let mut all = Vec::new();
    for column in columns {
        match &column.values {
            Values::Numbers(x) => {
                let mean = |of: &mut dyn Iterator<Item = f64>| {
                    let (sum, n) = of.filter(|x| !x.is_nan()).fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
                    if n > 0.0 { sum / n } else { f64::NAN }
                };
                let (here, overall) = (mean(&mut rows.iter().map(|row| x[*row])), mean(&mut x.iter().copied()));
                let spread = mean(&mut x.iter().map(|x| (x - overall).powi(2))).sqrt();
                all.push(Difference {
                    what: column.name.clone(),
                    here,
                    overall,
                    standardised: (here - overall) / spread,
                    share: false,
                });
            }
            Values::Labels(labels, codes) => {
                let mut counts = vec![[0.0; 2]; labels.len()];
                codes.iter().flatten().for_each(|code| counts[*code as usize][1] += 1.0);
                rows.iter().filter_map(|row| codes[*row]).for_each(|code| counts[code as usize][0] += 1.0);
                let of = |(label, [here, overall]): (&String, [f64; 2])| {
                    let (here, overall) = (here / rows.len() as f64, overall / codes.len() as f64);
                    let spread = (overall * (1.0 - overall)).sqrt();
                    let what = format!("{} = {label}", column.name);
                    Difference { what, here, overall, standardised: (here - overall) / spread, share: true }
                };
                let mut found: Vec<Difference> = labels.iter().zip(counts).map(of).collect();
                if found.len() == 2 {
                    // What is more of the one is less of the other: the one that there is more of says both.
                    let less = usize::from(found[0].standardised >= found[1].standardised);
                    found.remove(less);
                }
                all.extend(found);
            }
        }
    }
    all.retain(|d| d.standardised.is_finite());
    all.sort_by(|a, b| b.standardised.abs().total_cmp(&a.standardised.abs()));
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Kind;

    #[test]
    fn differences_by_hand() {
        let number = |name: &str, x: &[f64]| Column {
            name: name.into(),
            kind: Kind::Number,
            values: Values::Numbers(x.to_vec()),
            way: None,
        };
        let (a, same) = (number("a", &[1.0, 3.0, f64::NAN, 5.0]), number("same", &[2.0; 4]));
        let cells = ["x", "x", "y", "y"].map(Some);
        let colour = Column::labels("colour", Kind::Category, cells.into_iter());
        let found = differences(&[&a, &same, &colour], &[0, 1], 2);
        assert_eq!((found[0].what.as_str(), found[0].here, found[0].overall), ("colour = x", 1.0, 0.5));
        assert_eq!((found[0].standardised, found[0].share), (1.0, true));
        assert_eq!(found[1].what, "a", "of two labels one says both: {found:?}");
        assert_eq!(differences(&[&colour], &[3], 2)[0].what, "colour = y");
        let of_a = differences(&[&a], &[0, 1, 2], 2).remove(0);
        assert_eq!((of_a.here, of_a.overall), (2.0, 3.0));
        assert!((of_a.standardised + 1.0 / (8f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
