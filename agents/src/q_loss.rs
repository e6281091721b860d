//! How returns are represented and learned: means, probabilities of fixed returns (C51), quantiles (QR); with separate
//! value and advantages (dueling). Rows of plain numbers, with gradients by hand: a minibatch of a few dozen rows is
//! too small for tensor operations to pay.

agon_core::choices! {
    /// What is learned of an action's return.
    pub enum Kinds {
        /// Its mean.
        Mean = "mean",
        /// Probabilities of fixed returns (Bellemare et al. 2017).
        C51 = "c51",
        /// Quantiles (Dabney et al. 2018).
        Quantiles = "qr",
    }
}

/// How a row of a network's outputs is read: `[actions, atoms]`, then `[atoms]` of the value where it is separate.
#[derive(Clone, Copy, Debug)]
pub struct Outputs {
    /// How returns are represented.
    pub kind: Kinds,
    /// Actions.
    pub actions: usize,
    /// Numbers of an action: 1, fixed returns, or quantiles.
    pub atoms: usize,
    /// Whether value and advantage have their own outputs (Wang et al. 2016).
    pub dueling: bool,
    /// The least and the greatest of the fixed returns.
    pub support: [f32; 2],
}

impl Outputs {
    /// Numbers in a row.
    pub fn width(&self) -> usize {
        (self.actions + usize::from(self.dueling)) * self.atoms
    }

    /// Combines value and advantages into the actions' numbers: `value + advantage − mean advantage`, atom by atom.
    pub fn join(&self, row: &mut [f32]) {
        if self.dueling {
            let (advantages, value) = row.split_at_mut(self.actions * self.atoms);
            for (i, value) in value.iter().enumerate() {
                let mean = advantages[i..].iter().step_by(self.atoms).sum::<f32>() / self.actions as f32;
                advantages[i..].iter_mut().step_by(self.atoms).for_each(|a| *a += value - mean);
            }
        }
    }

    /// The way back: gradients at the actions' numbers become gradients at value and advantages.
    pub fn part(&self, row: &mut [f32]) {
        if self.dueling {
            let (advantages, value) = row.split_at_mut(self.actions * self.atoms);
            for (i, value) in value.iter_mut().enumerate() {
                *value = advantages[i..].iter().step_by(self.atoms).sum();
                let mean = *value / self.actions as f32;
                advantages[i..].iter_mut().step_by(self.atoms).for_each(|a| *a -= mean);
            }
        }
    }

    /// An action's numbers.
    pub fn of<'a>(&self, row: &'a [f32], action: usize) -> &'a [f32] {
        &row[action * self.atoms..(action + 1) * self.atoms]
    }

    /// The distance between fixed returns.
    fn gap(&self) -> f32 {
        (self.support[1] - self.support[0]) / (self.atoms - 1) as f32
    }

    /// The mean return of an action with these numbers.
    pub fn mean(&self, atoms: &[f32]) -> f32 {
        match self.kind {
            Kinds::Mean => atoms[0],
            Kinds::C51 => {
                let (mut sum, mut mean) = (0.0, 0.0);
                exponentials(atoms, |i, p| {
                    sum += p;
                    mean += p * i as f32;
                });
                self.support[0] + self.gap() * mean / sum
            }
            Kinds::Quantiles => atoms.iter().sum::<f32>() / atoms.len() as f32,
        }
    }

    /// Writes `share` times the gradient of the mean return of probabilities at their logits: p (return − mean).
    pub fn differentiate_mean(&self, logits: &[f32], share: f32, gradient: &mut [f32]) {
        let (mut sum, mut mean) = (0.0, 0.0);
        exponentials(logits, |i, p| {
            sum += p;
            mean += p * i as f32;
            gradient[i] = p;
        });
        let (mean, scale) = (mean / sum, share * self.gap() / sum);
        gradient.iter_mut().enumerate().for_each(|(i, g)| *g *= scale * (i as f32 - mean));
    }

    /// The action of the largest mean return among those that are legal (all, where `legal` is empty).
    pub fn best(&self, row: &[f32], legal: &[bool]) -> usize {
        let mut best: Option<(usize, f32)> = None;
        for action in (0..self.actions).filter(|a| legal.is_empty() || legal[*a]) {
            let mean = self.mean(self.of(row, action));
            if best.is_none_or(|(_, most)| mean > most) {
                best = Some((action, mean));
            }
        }
        best.map_or(0, |(action, _)| action)
    }

    /// The target for the numbers `next` of the best next action: `reward + discount · next`, or probabilities of the
    /// fixed returns.
    pub fn target(&self, next: &[f32], reward: f32, discount: f32, target: &mut [f32]) {
        if self.kind != Kinds::C51 {
            target.iter_mut().zip(next).for_each(|(t, next)| *t = reward + discount * next);
            return;
        }
        // Each fixed return moves, and its probability is shared by its two neighbours.
        let ([low, high], gap, last) = (self.support, self.gap(), self.atoms - 1);
        let mut sum = 0.0;
        exponentials(next, |_, p| sum += p);
        target.fill(0.0);
        exponentials(next, |i, p| {
            let probability = p / sum;
            let moved = (reward + discount * (low + i as f32 * gap)).clamp(low, high);
            let place = (moved - low) / gap;
            // Not `min`, which would hide what is no number.
            let place = if place > last as f32 { last as f32 } else { place };
            let (below, share) = (place as usize, place.fract());
            target[below] += probability * (1.0 - share);
            target[(below + 1).min(last)] += probability * share;
        });
    }

    /// The mean return of a target.
    pub fn mean_of_target(&self, target: &[f32]) -> f32 {
        match self.kind {
            Kinds::C51 => target.iter().enumerate().map(|(i, p)| p * (self.support[0] + i as f32 * self.gap())).sum(),
            _ => target.iter().sum::<f32>() / target.len() as f32,
        }
    }

    /// The loss of the numbers of the action taken, and the error as priorities count it. `gradient`: of the
    /// loss at these numbers.
    pub fn loss(&self, taken: &[f32], target: &[f32], gradient: &mut [f32]) -> (f32, f32) {
        match self.kind {
            Kinds::Mean => {
                let error = taken[0] - target[0];
                gradient[0] = error.clamp(-1.0, 1.0);
                (huber(error), error)
            }
            Kinds::C51 => {
                let top = largest(taken);
                let mut sum = 0.0;
                exponentials(taken, |i, p| {
                    sum += p;
                    gradient[i] = p;
                });
                let (log, all) = (sum.ln(), target.iter().sum::<f32>());
                let mut loss = 0.0;
                for ((gradient, logit), target) in gradient.iter_mut().zip(taken).zip(target) {
                    loss -= target * (logit - top - log);
                    *gradient = *gradient / sum * all - target;
                }
                (loss, loss)
            }
            Kinds::Quantiles => {
                let n = taken.len() as f32;
                let mut loss = 0.0;
                for (i, (gradient, own)) in gradient.iter_mut().zip(taken).enumerate() {
                    let middle = (i as f32 + 0.5) / n;
                    let (mut cost, mut steep) = (0.0, 0.0);
                    for target in target {
                        let error = target - own;
                        let weight = if error < 0.0 { 1.0 - middle } else { middle };
                        cost += weight * huber(error);
                        steep -= weight * error.clamp(-1.0, 1.0);
                    }
                    loss += cost / n;
                    *gradient = steep / n;
                }
                (loss, loss)
            }
        }
    }
}

fn largest(xs: &[f32]) -> f32 {
    xs.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b))
}

/// Calls `f` with every index and its logit's exponential, scaled so that the largest is 1; vectorised, as they are
/// most of a distribution's cost.
fn exponentials(logits: &[f32], mut f: impl FnMut(usize, f32)) {
    const AT_ONCE: usize = 64;
    let top = largest(logits);
    for (k, logits) in logits.chunks(AT_ONCE).enumerate() {
        let mut all = [0f32; AT_ONCE];
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || all.iter_mut().zip(logits).for_each(|(e, logit)| *e = exponential(logit - top)),
        );
        all.iter().take(logits.len()).enumerate().for_each(|(i, e)| f(k * AT_ONCE + i, *e));
    }
}

/// eˣ for x ≤ 0 to 3e-7 of itself, without branches: 2ⁿ by its bits, and Taylor's series for what is left.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    // ln 2 in two parts: what is left keeps its last bits.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
    series * f32::from_bits((n as i32 + 127).cast_unsigned() << 23)
}

/// Half the square up to 1, linear beyond (Huber 1964).
fn huber(error: f32) -> f32 {
    let (size, bounded) = (error.abs(), error.abs().min(1.0));
    bounded * (size - bounded * 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::{Rng, Stream};

    fn outputs(kind: Kinds, atoms: usize, support: [f32; 2]) -> Outputs {
        Outputs { kind, actions: 2, atoms, dueling: false, support }
    }

    fn close(a: &[f32], b: &[f32]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} is not {b:?}");
    }

    /// Three fixed returns 0, 1, 2: the algorithm of Bellemare et al. by hand.
    #[test]
    fn distributions_are_projected_by_hand() {
        let o = outputs(Kinds::C51, 3, [0.0, 2.0]);
        let next = [0.2f32.ln(), 0.3f32.ln(), 0.5f32.ln()];
        let target = |reward, discount| {
            let mut target = [f32::NAN; 3];
            o.target(&next, reward, discount, &mut target);
            target
        };
        // 0.25, 0.75, 1.25 with 0.2, 0.3, 0.5; everything at 1; everything below 0.
        let first = [0.2 * 0.75 + 0.3 * 0.25, 0.2 * 0.25 + 0.3 * 0.75 + 0.5 * 0.75, 0.5 * 0.25];
        close(&target(0.25, 0.5), &first);
        close(&target(1.0, 0.0), &[0.0, 1.0, 0.0]);
        close(&target(-5.0, 1.0), &[1.0, 0.0, 0.0]);
        close(&[o.mean(&next)], &[1.3]);
        assert!(target(f32::NAN, 1.0).iter().any(|p| p.is_nan()));
        close(&[o.mean_of_target(&first)], &[first[1] + 2.0 * first[2]]);
    }

    /// Two quantiles 0 and 1 against targets 0.5 and 3: Σ_i mean_j |τ_i − 1(u < 0)| L(u).
    #[test]
    fn the_quantile_loss_is_the_papers() {
        let (loss, _) = outputs(Kinds::Quantiles, 2, [0.0, 1.0]).loss(&[0.0, 1.0], &[0.5, 3.0], &mut [0.0; 2]);
        let low = 0.5 * (0.25 * 0.125 + 0.25 * 2.5);
        let high = 0.5 * (0.25 * 0.125 + 0.75 * 1.5);
        close(&[loss], &[low + high]);
    }

    #[test]
    fn the_mean_loss_is_hubers() {
        let o = outputs(Kinds::Mean, 1, [0.0, 1.0]);
        for (taken, target, loss, error, steep) in
            [(1.0, 0.5, 0.125, 0.5, 0.5), (2.0, 2.0, 0.0, 0.0, 0.0), (-3.0, 1.0, 3.5, -4.0, -1.0)]
        {
            let mut gradient = [f32::NAN];
            assert_eq!(o.loss(&[taken], &[target], &mut gradient), (loss, error));
            assert_eq!(gradient, [steep]);
        }
    }

    /// Gradients agree with finite differences of losses, also at value and advantages.
    #[test]
    fn gradients_agree_with_finite_differences() {
        let mut rng = Rng::new(5, Stream::Act, 0);
        for (kind, atoms) in [(Kinds::Mean, 1), (Kinds::C51, 5), (Kinds::Quantiles, 4)] {
            let o = Outputs { dueling: true, ..outputs(kind, atoms, [-1.0, 1.0]) };
            let row: Vec<f32> = (0..o.width()).map(|_| rng.normal() as f32).collect();
            let mut target = vec![0.0; atoms];
            o.target(&row[..atoms], 0.3, 0.9, &mut target);
            let loss = |row: &[f32], gradient: &mut [f32]| {
                let mut joined = row.to_vec();
                o.join(&mut joined);
                o.loss(o.of(&joined, 1), &target, gradient).0
            };
            let mut gradient = vec![0.0; o.width()];
            loss(&row, &mut gradient[atoms..2 * atoms]);
            o.part(&mut gradient);
            for (i, gradient) in gradient.iter().enumerate() {
                let moved = |by: f32| {
                    let mut row = row.clone();
                    row[i] += by;
                    loss(&row, &mut vec![0.0; atoms])
                };
                let steep = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((steep - gradient).abs() < 2e-3, "{kind:?} {i}: {steep} is not {gradient}");
            }
        }
    }

    /// Advantages have mean 0: the mean over actions is the value alone.
    #[test]
    fn dueling_keeps_value_and_advantage_apart() {
        let o = Outputs { dueling: true, ..outputs(Kinds::Mean, 1, [0.0, 1.0]) };
        let mut row = [3.0, -1.0, 7.0];
        o.join(&mut row);
        close(&row, &[9.0, 5.0, 7.0]);
    }

    #[test]
    fn exponentials_are_exponentials() {
        for i in 0..87_000 {
            let x = -0.001 * i as f32;
            assert!((exponential(x) / x.exp() - 1.0).abs() < 3e-7, "e to {x} is not {}", exponential(x));
        }
        assert!(exponential(-1e9) < 1e-37 && exponential(f32::NAN).is_nan());
        let mut seen = vec![0.0; 130];
        exponentials(&(0..130).map(|i| i as f32 / 10.0).collect::<Vec<_>>(), |i, e| seen[i] = e);
        assert!((seen[129] - 1.0).abs() < 1e-6 && (seen[64] - (-6.5f32).exp()).abs() < 1e-6);
    }

    #[test]
    fn only_legal_actions_are_best() {
        let o = outputs(Kinds::Mean, 1, [0.0, 1.0]);
        assert_eq!((o.best(&[1.0, 2.0], &[]), o.best(&[1.0, 2.0], &[true, false])), (1, 0));
    }
}
