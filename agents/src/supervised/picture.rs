//! What predictions look like beside the truth: points where numbers are predicted, else how often each class was taken for
//! each.

use super::scores::Judged;
use agon_core::plot::{Body, MOST_POINTS, Plot, Points};

/// Classes that are told apart at most; those with the fewest rows are together in the last.
const MOST_CLASSES: usize = 20;

/// Of predictions of the validation part. `classes`: their names, none of numbers; `target`: what is predicted.
pub fn of(own: &Judged<'_>, classes: &[String], target: &str) -> Plot {
    if own.classes == 0 {
        let every = own.y.len().div_ceil(MOST_POINTS).max(1);
        let pairs = own.y.iter().zip(&own.p).step_by(every);
        let at = pairs.filter(|(y, p)| y.is_finite() && p.is_finite()).map(|(y, p)| [*y, *p].map(|x| x as f32));
        let axes = [target.to_owned(), "predicted".into()];
        let points = Points { at: at.collect(), axes, diagonal: true, ..Points::default() };
        return Plot { title: format!("validation: {target} and its prediction"), body: Body::Points(points) };
    }
    let k = own.classes;
    let counts = own.confusion(&vec![1.0; own.y.len()]);
    let mut shown: Vec<usize> = (0..k).collect();
    if k > MOST_CLASSES {
        let rows = |class: usize| counts[class * k..][..k].iter().sum::<f64>();
        shown.sort_by(|a, b| rows(*b).total_cmp(&rows(*a)).then(a.cmp(b)));
        shown.truncate(MOST_CLASSES - 1);
        shown.sort_unstable();
    }
    let place = |class: usize| shown.iter().position(|s| *s == class).unwrap_or(shown.len());
    let mut names: Vec<String> = shown.iter().map(|class| classes[*class].clone()).collect();
    names.extend((k > MOST_CLASSES).then(|| format!("{} others", k + 1 - MOST_CLASSES)));
    let mut sums = vec![vec![0; names.len()]; names.len()];
    for (i, count) in counts.iter().enumerate() {
        sums[place(i / k)][place(i % k)] += *count as u64;
    }
    Plot {
        title: format!("validation: {target} and its prediction"),
        body: Body::Confusion { classes: names, counts: sums },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_counted_by_truth_and_prediction() {
        let p = vec![0.9, 0.1, 0.2, 0.8, 0.7, 0.3];
        let plot = of(&Judged::new(2, &[0.0, 0.0, 1.0], p), &["a", "b"].map(String::from), "y");
        let Body::Confusion { classes, counts } = plot.body else { panic!("{plot:?}") };
        assert_eq!((classes, counts), (vec!["a".to_owned(), "b".into()], vec![vec![1, 1], vec![1, 0]]));
    }

    #[test]
    fn many_classes_have_one_for_the_rest() {
        let (k, names) = (25, (0..25).map(|c| format!("c{c}")).collect::<Vec<_>>());
        // Class c has c + 1 rows, all of which are taken for class 0.
        let y: Vec<f64> = (0..k).flat_map(|c| vec![f64::from(c); c as usize + 1]).collect();
        let p = y.iter().flat_map(|_| (0..k).map(|c| f64::from(u8::from(c == 0)))).collect();
        let Body::Confusion { classes, counts } = of(&Judged::new(k as usize, &y, p), &names, "y").body else {
            panic!("classes have a confusion")
        };
        assert_eq!((classes.len(), classes[0].as_str(), classes[19].as_str()), (20, "c6", "6 others"));
        assert_eq!((counts[0][19], counts[19][19]), (7, 1 + 2 + 3 + 4 + 5 + 6));
    }

    #[test]
    fn numbers_are_points_beside_the_diagonal() {
        let y: Vec<f64> = (0..5000).map(f64::from).collect();
        let plot = of(&Judged::new(0, &y, y.clone()), &[], "price");
        let Body::Points(points) = plot.body else { panic!("numbers have points") };
        assert!(points.diagonal && points.at.len() <= MOST_POINTS && points.at[1] == [3.0, 3.0]);
        assert_eq!(points.axes, ["price", "predicted"]);
    }
}
