//! The metrics of predictions, with intervals by the bootstrap: rows, or units of rows that belong together, are drawn with
//! replacement. Every metric is computed of weights, a row each.

use super::calibration::COVERAGE;
use agon_core::Metric;
use agon_core::metric::Goal;
use agon_core::rng::{Rng, Stream};
use std::collections::HashMap;

/// Resamples behind an interval; fewer where there are many rows.
const REPLICATES: usize = 1000;

/// What is right of `rows` rows without any input: the shares of the classes, or the mean, of known ones.
pub fn without_inputs(known: impl Iterator<Item = f64>, classes: usize, rows: usize) -> Vec<f64> {
    let (mut one, mut n) = (vec![0.0; classes.max(1)], 0.0);
    for y in known {
        let (k, much) = if classes == 0 { (0, y) } else { (y as usize, 1.0) };
        one[k] += much;
        n += 1.0;
    }
    one.iter_mut().for_each(|x| *x /= n);
    (0..rows).flat_map(|_| one.iter().copied()).collect()
}

/// Predictions beside the truth.
pub struct Judged<'a> {
    /// Classes; 0 for numbers.
    pub classes: usize,
    /// The truth.
    pub y: &'a [f64],
    /// Probabilities `[rows, classes]`, or numbers.
    pub p: Vec<f64>,
    /// Half the width of the intervals around numbers; none where there are no intervals.
    pub margin: Option<f64>,
    /// For each class its rows by rising probability; what AUC is computed from.
    order: Vec<Vec<usize>>,
}

/// A metric's name, which values are good, and the function.
type Named = (&'static str, Goal, fn(&Judged<'_>, &[f64]) -> f64);

const OF_CLASSES: [Named; 6] = [
    ("log_loss", Goal::Lowest, |j, w| j.mean(w, |i| -j.p[i * j.classes + j.y[i] as usize].max(1e-15).ln())),
    ("accuracy", Goal::Highest, |j, w| j.mean(w, |i| f64::from(u8::from(j.guess(i) == j.y[i] as usize)))),
    ("balanced_accuracy", Goal::Highest, |j, w| j.balanced_accuracy(w)),
    ("f1", Goal::Highest, |j, w| j.f1(w)),
    ("auc", Goal::Highest, |j, w| j.auc(w)),
    ("brier", Goal::Lowest, |j, w| j.brier(w)),
];

const OF_NUMBERS: [Named; 4] = [
    ("rmse", Goal::Lowest, |j, w| j.mean(w, |i| (j.p[i] - j.y[i]).powi(2)).sqrt()),
    ("mae", Goal::Lowest, |j, w| j.mean(w, |i| (j.p[i] - j.y[i]).abs())),
    ("r2", Goal::Highest, |j, w| {
        let mean = j.mean(w, |i| j.y[i]);
        1.0 - j.mean(w, |i| (j.p[i] - j.y[i]).powi(2)) / j.mean(w, |i| (j.y[i] - mean).powi(2))
    }),
    ("pinball", Goal::Lowest, |j, w| j.pinball(w)),
];

impl<'a> Judged<'a> {
    /// Predictions `p` of rows whose truth is `y`.
    pub fn new(classes: usize, y: &'a [f64], p: Vec<f64>) -> Self {
        let sorted = |k: usize| {
            let mut order: Vec<usize> = (0..y.len()).collect();
            order.sort_by(|a, b| p[a * classes + k].total_cmp(&p[b * classes + k]));
            order
        };
        // Of two classes one order says it all.
        let wanted = if classes == 2 { 1..2 } else { 0..classes };
        Self { classes, y, order: wanted.map(sorted).collect(), p, margin: None }
    }

    /// The same with intervals around numbers.
    pub fn within(self, margin: Option<f64>) -> Self {
        Self { margin, ..self }
    }

    fn named(&self) -> &'static [Named] {
        if self.classes > 0 { &OF_CLASSES } else { &OF_NUMBERS }
    }

    fn mean(&self, w: &[f64], of: impl Fn(usize) -> f64) -> f64 {
        let sums = w.iter().enumerate().filter(|(_, w)| **w > 0.0);
        let (above, below) = sums.fold((0.0, 0.0), |(a, b), (i, w)| (a + w * of(i), b + w));
        above / below
    }

    /// The likeliest class; of equal ones the first.
    pub fn guess(&self, row: usize) -> usize {
        let p = &self.p[row * self.classes..][..self.classes];
        (0..p.len()).rev().max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap_or(0)
    }

    /// Rows by truth and guess, `[truth, guess]`.
    pub fn confusion(&self, w: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.0; self.classes * self.classes];
        w.iter().enumerate().for_each(|(i, w)| counts[self.y[i] as usize * self.classes + self.guess(i)] += w);
        counts
    }

    fn balanced_accuracy(&self, w: &[f64]) -> f64 {
        let (k, c) = (self.classes, self.confusion(w));
        let row = |i: usize| c[i * k..(i + 1) * k].iter().sum::<f64>();
        let there: Vec<f64> = (0..k).filter(|i| row(*i) > 0.0).map(|i| c[i * k + i] / row(i)).collect();
        there.iter().sum::<f64>() / there.len() as f64
    }

    /// Of the second class where there are two, else the mean over classes.
    fn f1(&self, w: &[f64]) -> f64 {
        let (k, c) = (self.classes, self.confusion(w));
        let one = |i: usize| {
            let (truth, guess) = (c[i * k..(i + 1) * k].iter().sum::<f64>(), (0..k).map(|j| c[j * k + i]).sum::<f64>());
            (truth + guess > 0.0).then(|| 2.0 * c[i * k + i] / (truth + guess))
        };
        if k == 2 {
            return one(1).unwrap_or(0.0);
        }
        let there: Vec<f64> = (0..k).filter_map(one).collect();
        there.iter().sum::<f64>() / there.len() as f64
    }

    /// The probability that a row of a class has a higher probability of it than a row of another; the mean over classes.
    fn auc(&self, w: &[f64]) -> f64 {
        let first = self.classes - self.order.len();
        let one = |(i, order): (usize, &Vec<usize>)| {
            let (k, mut below, mut above) = (first + i, 0.0, 0.0);
            let (mut sum, mut at) = (0.0, 0);
            while at < order.len() {
                // Rows with the same probability count half.
                let p = self.p[order[at] * self.classes + k];
                let (mut is, mut other) = (0.0, 0.0);
                while at < order.len() && self.p[order[at] * self.classes + k] == p {
                    let row = order[at];
                    if self.y[row] as usize == k {
                        is += w[row];
                    } else {
                        other += w[row];
                    }
                    at += 1;
                }
                sum += is * (below + other / 2.0);
                (below, above) = (below + other, above + is);
            }
            sum / (below * above)
        };
        let all: Vec<f64> = self.order.iter().enumerate().map(one).collect();
        all.iter().sum::<f64>() / all.len() as f64
    }

    /// The squared error of probabilities: of the second class where there are two, else the sum over classes.
    fn brier(&self, w: &[f64]) -> f64 {
        let k = self.classes;
        let one = |i: usize, j: usize| (self.p[i * k + j] - f64::from(u8::from(self.y[i] as usize == j))).powi(2);
        self.mean(w, |i| if k == 2 { one(i, 1) } else { (0..k).map(|j| one(i, j)).sum() })
    }

    /// The pinball loss of both ends of the intervals, which are quantiles (Koenker and Bassett 1978); their mean.
    fn pinball(&self, w: &[f64]) -> f64 {
        let Some(margin) = self.margin else { return f64::NAN };
        let outside = (1.0 - COVERAGE) / 2.0;
        let loss = |share: f64, above: f64| if above >= 0.0 { share * above } else { (share - 1.0) * above };
        self.mean(w, |i| {
            let off = self.y[i] - self.p[i];
            0.5 * (loss(outside, off + margin) + loss(1.0 - outside, off - margin))
        })
    }

    /// The metric that decides, of all rows.
    pub fn decides(&self) -> f64 {
        self.named()[0].2(self, &vec![1.0; self.y.len()])
    }

    /// All metrics, the one that decides first; and by how much the first is better than that of another prediction of the
    /// same rows. `units`: a number for each row; rows with the same one are drawn together.
    pub fn metrics(&self, units: &[u32], seed: u64, other: Option<&Judged<'_>>) -> (Vec<Metric>, Option<Metric>) {
        let (n, named) = (self.y.len(), self.named());
        let draws = if n > 20_000 { REPLICATES / 5 } else { REPLICATES };
        let mut of_unit: HashMap<u32, Vec<usize>> = HashMap::new();
        units.iter().enumerate().for_each(|(row, unit)| of_unit.entry(*unit).or_default().push(row));
        let mut all: Vec<Vec<usize>> = of_unit.into_values().collect();
        all.sort_unstable();
        let whole = vec![1.0; n];
        let mut found: Vec<Vec<f64>> = vec![Vec::with_capacity(draws); named.len() + 1];
        let better = |w: &[f64]| other.map_or(f64::NAN, |other| named[0].2(other, w) - named[0].2(self, w));
        let mut rng = Rng::new(seed, Stream::Eval, 0);
        if all.len() >= 4 {
            let mut w = vec![0.0; n];
            for _ in 0..draws {
                w.fill(0.0);
                for _ in 0..all.len() {
                    all[rng.below(all.len() as u32) as usize].iter().for_each(|row| w[*row] += 1.0);
                }
                named.iter().zip(&mut found).for_each(|((_, _, of), found)| found.push(of(self, &w)));
                found[named.len()].push(better(&w));
            }
        }
        let interval = |found: &mut Vec<f64>| {
            found.retain(|x| x.is_finite());
            found.sort_by(f64::total_cmp);
            // A class that many draws miss leaves too little to say.
            let cut = (0.025 * found.len() as f64) as usize;
            (found.len() > draws * 9 / 10).then(|| [found[cut], found[found.len() - 1 - cut]])
        };
        let metric = |name: &str, goal, value, interval| Metric {
            name: name.into(),
            value,
            interval,
            ci95: None,
            goal,
            over: (n as u64, "rows".into()),
        };
        let metrics = named.iter().zip(&mut found);
        let metrics = metrics.map(|((name, goal, of), found)| metric(name, *goal, of(self, &whole), interval(found)));
        // What cannot be said, such as AUC where only one class is there, is left out.
        let metrics = metrics.filter(|m| m.value.is_finite()).collect();
        let by = other.map(|_| metric(named[0].0, Goal::Highest, better(&whole), interval(&mut found[named.len()])));
        (metrics, by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(judged: &Judged<'_>, name: &str) -> f64 {
        let rows: Vec<u32> = (0..judged.y.len() as u32).collect();
        judged.metrics(&rows, 1, None).0.iter().find(|m| m.name == name).unwrap().value
    }

    /// By hand: six rows of two classes, threshold ½.
    #[test]
    fn metrics_of_two_classes_by_hand() {
        let y = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0];
        let p: Vec<f64> = [0.9, 0.6, 0.3, 0.6, 0.2, 0.1].iter().flat_map(|p| [1.0 - p, *p]).collect();
        let judged = Judged::new(2, &y, p);
        let close = |name, wanted: f64| assert!((value(&judged, name) - wanted).abs() < 1e-12, "{name}");
        close("accuracy", 4.0 / 6.0);
        close("balanced_accuracy", 2.0 / 3.0);
        close("f1", 2.0 * 2.0 / 6.0);
        // Of nine pairs the higher one is right in 3 + 2.5 + 2.
        close("auc", 7.5 / 9.0);
        close("brier", (0.01 + 0.16 + 0.49 + 0.36 + 0.04 + 0.01) / 6.0);
        close("log_loss", -(0.9f64 * 0.6 * 0.3 * 0.4 * 0.8 * 0.9).ln() / 6.0);
        assert_eq!(judged.confusion(&[1.0; 6]), [2.0, 1.0, 1.0, 2.0]);
    }

    #[test]
    fn metrics_of_numbers_by_hand() {
        let judged = Judged::new(0, &[1.0, 2.0, 3.0, 6.0], vec![1.0, 3.0, 3.0, 4.0]);
        assert!((value(&judged, "rmse") - (5.0f64 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!((value(&judged, "mae"), value(&judged, "r2")), (0.75, 1.0 - 5.0 / 14.0));
        let rows: Vec<u32> = (0..4).collect();
        assert!(judged.metrics(&rows, 1, None).0.iter().all(|metric| metric.name != "pinball"));
        // Ends a half away, of quantiles 0.05 and 0.95: 0.5 and 0.5, 0.5 and 1.5 beyond, as the first, 2.5 and 1.5 beyond.
        let judged = Judged { margin: Some(0.5), ..judged };
        let by_hand = [0.05 * 0.5 + 0.05 * 0.5, 0.95 * 0.5 + 0.05 * 1.5, 0.05, 0.05 * 2.5 + 0.95 * 1.5];
        assert!((value(&judged, "pinball") - by_hand.iter().sum::<f64>() / 8.0).abs() < 1e-12);
    }

    /// 95 % intervals of an accuracy hold the truth about that often; rows that are copies of each other do not make them
    /// narrower.
    #[test]
    fn intervals_cover() {
        let (mut held, mut rng) = (0, Rng::new(1, Stream::Env, 0));
        for trial in 0..200 {
            let y: Vec<f64> = (0..60).map(|_| f64::from(u8::from(rng.f64() < 0.7))).collect();
            let judged = Judged::new(2, &y, y.iter().flat_map(|_| [0.0, 1.0]).collect());
            let rows: Vec<u32> = (0..60).collect();
            let accuracy = judged.metrics(&rows, trial, None).0[1].interval.unwrap();
            held += usize::from(accuracy[0] <= 0.7 && 0.7 <= accuracy[1]);
            if trial == 0 {
                let twice: Vec<f64> = y.iter().chain(&y).copied().collect();
                let doubled = Judged::new(2, &twice, twice.iter().flat_map(|_| [0.0, 1.0]).collect());
                let units: Vec<u32> = (0..60).chain(0..60).collect();
                let again = doubled.metrics(&units, trial, None).0[1].interval.unwrap();
                assert!(((again[1] - again[0]) / (accuracy[1] - accuracy[0]) - 1.0).abs() < 0.15);
            }
        }
        assert!((180..200).contains(&held), "{held} of 200");
    }
}
