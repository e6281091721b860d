//! The greedy policy, which takes the action of the greatest value: in an environment, and as an evaluator of positions.

use crate::dist::Head;
use crate::net::Params;
use crate::normalise::Moments;
use crate::q_net::{QNet, Work};
use agon_core::ActionsMut;
use agon_core::policy::{Observed, Policy};
use agon_search::Evaluate;

/// Observations as the network sees them.
pub fn see<'a>(moments: Option<&Moments>, obs: &'a [f32], seen: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(moments) = moments else { return obs };
    seen.resize(obs.len(), 0.0);
    moments.standardise(obs, seen);
    seen
}

/// The best actions of a network, without noise.
pub struct Greedy {
    params: Params,
    moments: Option<Moments>,
    seen: Vec<f32>,
    net: QNet,
    head: Head,
    work: Work,
    q: Vec<f32>,
}

impl Greedy {
    /// With parameters of its own.
    pub fn new(params: Params, moments: Option<Moments>, net: QNet, head: Head) -> Self {
        Self { params, moments, seen: Vec::new(), net, head, work: Work::default(), q: Vec::new() }
    }
}

/// As an evaluator of positions: the values of moves are their logits, and the greatest is the position's value.
impl Evaluate for Greedy {
    fn evaluate(&mut self, obs: &[f32], logits: &mut [f32], value: &mut [f32]) {
        let obs = see(self.moments.as_ref(), obs, &mut self.seen);
        self.net.means(&self.params, obs, None, &mut self.work, logits);
        for (row, value) in logits.chunks_exact(self.head.outputs()).zip(value) {
            *value = row.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b)).clamp(-1.0, 1.0);
        }
    }
}

impl Policy for Greedy {
    fn act(&mut self, Observed { obs, mask, begins }: Observed<'_>, actions: ActionsMut<'_>) {
        let rows = begins.len();
        self.q.resize(rows * self.head.outputs(), 0.0);
        let obs = see(self.moments.as_ref(), obs, &mut self.seen);
        self.net.means(&self.params, obs, None, &mut self.work, &mut self.q);
        self.head.mode(&self.q, mask, actions);
    }

    fn name(&self) -> String {
        "dqn".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Reading;
    use crate::q_loss::{Kinds, Outputs};
    use crate::q_net::Shape;
    use agon_core::{ActionSpec, Field, Spec};
    use tch::Device;

    #[test]
    fn observations_are_normalised_as_in_learning() {
        let outputs = Outputs { kind: Kinds::Mean, actions: 2, atoms: 1, dueling: false, support: [0.0, 1.0] };
        let (net, params) =
            QNet::new(1, &Shape { reading: Reading::plain(2), hidden: vec![8], noise: 0.0, outputs }, Device::Cpu);
        let field = |name: &str| Field::new(name, "", -1e9, 1e9);
        let spec = Spec::new(vec![field("a"), field("b")], ActionSpec::discrete(["x", "y"]), 10);
        let obs = [3.0, 100.0, 5.0, 300.0];
        let mut moments = Moments::new(2);
        moments.update(&obs);
        // (x − mean) / deviation of two numbers is −1 and 1.
        let (mut wanted, mut work) = ([0.0; 4], Work::default());
        net.means(&params, &[-1.0, -1.0, 1.0, 1.0], None, &mut work, &mut wanted);
        let values = |moments| {
            let (mut logits, mut value) = ([0.0; 4], [0.0; 2]);
            let mut greedy = Greedy::new(params.frozen(), moments, net.clone(), Head::of(&spec));
            greedy.evaluate(&obs, &mut logits, &mut value);
            logits
        };
        let found = values(Some(moments));
        assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-2), "{found:?} is not {wanted:?}");
        assert!(values(None).iter().zip(&wanted).any(|(a, b)| (a - b).abs() > 1.0), "without, it sees other numbers");
    }
}
