//! Returns and advantages, as plain functions over `[steps, rows]` numbers.

/// The rewards and values of one rollout. All slices are `[steps, rows]` unless said.
#[derive(Clone, Copy, Debug)]
pub struct Earned<'a> {
    /// Rewards.
    pub reward: &'a [f32],
    /// V of the observation acted on, `[steps + 1, rows]`.
    pub value: &'a [f32],
    /// V of the last observation of an episode that was truncated here; anything elsewhere.
    pub final_value: &'a [f32],
    /// Whether the rules ended the episode.
    pub terminated: &'a [bool],
    /// Whether the step limit did.
    pub truncated: &'a [bool],
}

/// Generalised advantage estimation (Schulman et al. 2016, equations 11 and 16), bootstrapped through truncation and
/// never through termination:
///
/// next_v = 0 if terminated, V(final observation) if truncated, V of the next observation otherwise;
/// δ = r + γ next_v − V;  A = δ + γ λ (1 − ended) A'.
pub fn gae(earned: Earned<'_>, rows: usize, gamma: f32, lambda: f32, advantage: &mut [f32]) {
    let steps = earned.reward.len() / rows;
    for row in 0..rows {
        let mut after = 0.0;
        for t in (0..steps).rev() {
            let i = t * rows + row;
            let ended = earned.terminated[i] || earned.truncated[i];
            let next = match (earned.terminated[i], earned.truncated[i]) {
                (true, _) => 0.0,
                (_, true) => earned.final_value[i],
                _ => earned.value[i + rows],
            };
            let delta = earned.reward[i] + gamma * next - earned.value[i];
            after = delta + if ended { 0.0 } else { gamma * lambda * after };
            advantage[i] = after;
        }
    }
}

/// An episode's rewards become discounted returns, `G_t = r_t + γ G_{t+1}`. `last` is that of the last step: its
/// reward, plus the discounted value where the episode was truncated.
pub fn discounted(earned: &mut [f32], last: f32, gamma: f32) {
    let Some((end, before)) = earned.split_last_mut() else { return };
    *end = last;
    let mut after = last;
    for earned in before.iter_mut().rev() {
        *earned += gamma * after;
        after = *earned;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_are_discounted_from_their_end() {
        let mut ended = [1.0, 2.0, 4.0];
        discounted(&mut ended, 4.0, 0.5);
        assert_eq!(ended, [1.0 + 0.5 * 2.0 + 0.25 * 4.0, 2.0 + 0.5 * 4.0, 4.0]);
        // Cut off by a step limit where 6 more are expected.
        let mut truncated = [1.0, 2.0];
        discounted(&mut truncated, 2.0 + 0.5 * 6.0, 0.5);
        assert_eq!(truncated, [1.0 + 0.5 * 5.0, 5.0]);
        discounted(&mut [], 1.0, 0.5);
    }

    /// Four steps by hand: the second terminates, the third is truncated.
    #[test]
    fn ends_and_limits_are_different_things() {
        let earned = Earned {
            reward: &[1.0, 2.0, 3.0, 4.0],
            value: &[0.5, 1.0, 1.5, 2.0, 2.5],
            final_value: &[0.0, 0.0, 10.0, 0.0],
            terminated: &[false, true, false, false],
            truncated: &[false, false, true, false],
        };
        let mut a = [0.0; 4];
        gae(earned, 1, 0.5, 0.5, &mut a);
        let second = 2.0 - 1.0;
        let first = 1.0 + 0.5 * 1.0 - 0.5 + 0.25 * second;
        let third = 3.0 + 0.5 * 10.0 - 1.5;
        let fourth = 4.0 + 0.5 * 2.5 - 2.0;
        assert_eq!(a, [first, second, third, fourth]);
    }

    /// With λ = 1 the advantage plus the value is the discounted return.
    #[test]
    fn lambda_one_gives_the_return() {
        let earned = Earned {
            reward: &[1.0, 10.0, 2.0, 20.0],
            value: &[0.3, -0.2, 0.7, 0.1, 5.0, 6.0],
            final_value: &[0.0; 4],
            terminated: &[false; 4],
            truncated: &[false; 4],
        };
        let mut a = [0.0; 4];
        gae(earned, 2, 0.9, 1.0, &mut a);
        assert!((a[0] + 0.3 - (1.0 + 0.9 * 2.0 + 0.81 * 5.0)).abs() < 1e-5);
        assert!((a[1] - 0.2 - (10.0 + 0.9 * 20.0 + 0.81 * 6.0)).abs() < 1e-4);
    }
}
