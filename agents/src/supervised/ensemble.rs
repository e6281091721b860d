//! Greedy ensemble selection (Caruana, Niculescu-Mizil, Crew and Ksikes 2004): models are picked one after another, with
//! repetition, each time the one that lowers the loss of the mean most.

use super::Examples;

/// How often each model is picked, and the loss of the mean then. `answers`: for each model its probabilities
/// `[rows, classes]` or numbers of the rows of `truth`; there is at least one. Of all beginnings of the sequence of picks the
/// one with the lowest loss counts, so that no ensemble is worse than the best model alone.
pub fn pick(answers: &[Vec<f64>], truth: &Examples, picks: usize) -> (Vec<usize>, f64) {
    let loss = |mean: &[f64]| {
        let ln = |p: &f64| if truth.classes > 0 { p.max(1e-12).ln() } else { *p };
        truth.loss(&mean.iter().map(ln).collect::<Vec<_>>())
    };
    let (mut counts, mut sum) = (vec![0; answers.len()], vec![0.0; answers[0].len()]);
    let mut best = (counts.clone(), f64::INFINITY);
    let mut mean = sum.clone();
    for made in 0..picks {
        let mut with = |answer: &Vec<f64>| {
            let each = sum.iter().zip(answer).zip(&mut mean);
            each.for_each(|((sum, p), mean)| *mean = (sum + p) / (made + 1) as f64);
            loss(&mean)
        };
        let losses: Vec<f64> = answers.iter().map(&mut with).collect();
        // Of equal ones the first.
        let at = (0..losses.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap_or(0);
        sum.iter_mut().zip(&answers[at]).for_each(|(sum, p)| *sum += p);
        counts[at] += 1;
        if losses[at] < best.1 {
            best = (counts.clone(), losses[at]);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: the truth is between two models, and a third one is far off. Squared errors of the means 0, 1/3, 1/2.
    #[test]
    fn what_lowers_the_loss_is_picked() {
        let truth = Examples { y: vec![1.0, 1.0], ..Examples::default() };
        let answers = [vec![0.0, 0.0], vec![3.0, 3.0], vec![9.0, -9.0]];
        let (counts, loss) = pick(&answers, &truth, 3);
        assert_eq!((counts, loss), (vec![2, 1, 0], 0.0));
        let (counts, loss) = pick(&answers, &truth, 1);
        assert_eq!((counts, loss), (vec![1, 0, 0], 1.0));
    }

    /// Two models that are each wrong about another half of the rows are better together than either.
    #[test]
    fn probabilities_are_averaged() {
        let truth = Examples { y: vec![0.0, 1.0], classes: 2, ..Examples::default() };
        let (one, other) = (vec![0.9, 0.1, 0.7, 0.3], vec![0.3, 0.7, 0.1, 0.9]);
        let (counts, loss) = pick(&[one, other], &truth, 2);
        assert_eq!(counts, [1, 1]);
        assert!((loss + 0.6f64.ln()).abs() < 1e-12, "{loss}");
    }
}
