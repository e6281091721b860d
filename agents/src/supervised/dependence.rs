//! Partial dependence (Friedman 2001): the mean prediction of rows if one column had the same value in all of them. It says
//! what the model does, not what the world does: where columns hang together, some of these rows could not be.

use super::Predict;
use super::calibration::Calibration;
use crate::data::encode::{Encoder, Input, Matrix};
use serde::Serialize;

/// Rows that predictions are averaged over at most: evenly apart in the training part.
const ROWS: usize = 300;

/// One value of a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The value, as people read it.
    pub at: String,
    /// The number, where it is one; of a date the days since 1970.
    pub number: Option<f64>,
    /// The mean prediction: a probability for each class, or the value.
    pub mean: Vec<f64>,
}

/// How the prediction depends on a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dependence {
    /// The column.
    pub column: String,
    /// Its values: numbers from the 5 % to the 95 % quantile of the training part in order, or its commonest labels.
    pub points: Vec<Point>,
}

/// The dependence on these columns, of those that the model knows; `x` are the encoded rows of the training part.
pub fn dependence(
    columns: &[String],
    encoder: &Encoder,
    x: &Matrix,
    model: &dyn Predict,
    (calibration, classes): (Calibration, usize),
) -> Vec<Dependence> {
    let all: Vec<&[f64]> = (0..x.rows()).map(|row| x.row(row)).collect();
    let some: Vec<f64> =
        all.iter().step_by(all.len().div_ceil(ROWS).max(1)).flat_map(|row| row.iter().copied()).collect();
    let of = |name: &String| {
        let place = encoder.inputs.iter().position(|input| input.name == *name)?;
        let input = &encoder.inputs[place];
        let from = encoder.inputs[..place].iter().map(Input::width).sum::<usize>();
        let slots: Vec<&[f64]> = all.iter().map(|row| &row[from..from + input.width()]).collect();
        let point = |(at, number, slot): (String, Option<f64>, Vec<f64>)| {
            let mut x = Matrix { x: some.clone(), width: x.width };
            x.x.chunks_exact_mut(x.width).for_each(|row| row[from..from + slot.len()].copy_from_slice(&slot));
            let p = calibration.probabilities(model.scores(&x), classes);
            let (k, n) = (classes.max(1), x.rows() as f64);
            let mean = (0..k).map(|c| p.iter().skip(c).step_by(k).sum::<f64>() / n).collect();
            Point { at, number, mean }
        };
        Some(Dependence { column: name.clone(), points: input.levels(&slots).into_iter().map(point).collect() })
    };
    // A text has no levels.
    columns.iter().filter_map(of).filter(|dependence| !dependence.points.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::encode::Scaling;
    use crate::data::{Column, Kind, Values};

    /// Twice the first number, and 5 where the label is the second one.
    struct Toy;

    impl Predict for Toy {
        fn scores(&self, x: &Matrix) -> Vec<f64> {
            (0..x.rows()).map(|row| 2.0 * x.row(row)[0] + 5.0 * x.row(row)[2]).collect()
        }
    }

    #[test]
    fn it_is_the_mean_over_rows() {
        let x: Vec<f64> = (0..100).map(f64::from).collect();
        let number = Column { name: "x".into(), kind: Kind::Number, values: Values::Numbers(x), way: None };
        let labels = (0..100).map(|row| Some(["b", "a", "a", "a"][row % 4]));
        let label = Column::labels("l", Kind::Category, labels);
        let rows: Vec<usize> = (0..100).collect();
        for scaling in [Scaling::Standard, Scaling::Robust, Scaling::Asis, Scaling::Quantile] {
            let encoder = Encoder::fit(&[&number, &label], &rows, scaling, false);
            let encoded = encoder.encode(&[&number, &label], &rows).0;
            let of = ["x", "l", "other"].map(String::from);
            let none = Calibration { temperature: 1.0, margin: None };
            let found = dependence(&of, &encoder, &encoded, &Toy, (none, 0));
            assert_eq!(found.len(), 2);
            let (first, last) = (&found[0].points[0], found[0].points.last().unwrap());
            assert_eq!((first.at.as_str(), last.at.as_str()), ("5", "94"), "{scaling:?}");
            // A quarter of the rows have the label that counts.
            let standard = (99.0 * 101.0 / 12.0f64).sqrt();
            if scaling == Scaling::Standard {
                assert!((first.mean[0] - (2.0 * (5.0 - 49.5) / standard + 1.25)).abs() < 1e-9, "{first:?}");
            }
            let gap = found[1].points.iter().find(|p| p.at == "b").unwrap().mean[0] - found[1].points[0].mean[0];
            assert!((gap - 5.0).abs() < 1e-9, "{gap}");
        }
    }
}
