//! Policy and value networks side by side, for every policy-gradient agent; and the policy they make when frozen.

use crate::bridge::read_f32;
use crate::dist::Head;
use crate::net::{Activation, Builder, Last, Mlp, Params};
use crate::normalise::Moments;
use agon_core::policy::Policy;
use agon_core::{ActionsMut, VecEnv};
use agon_search::Evaluate;
use tch::{Device, Tensor};

/// What the networks look like.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// Sizes of the hidden layers.
    pub hidden: &'a [usize],
    /// What follows each.
    pub activation: Activation,
    /// Whether policy and value share them.
    pub shared: bool,
    /// Logarithm of a Gaussian's initial deviation.
    pub log_std: f64,
    /// Numbers that a gated recurrent unit in front of them remembers; 0 for none.
    pub memory: usize,
}

/// Policy and value networks. A gated recurrent unit (Cho et al. 2014) or a shared trunk may stand in front of both
/// heads; what the unit makes of observations is what the others are given in their place.
#[derive(Clone, Debug)]
pub struct Nets {
    memory: Option<[usize; 4]>,
    trunk: Option<Mlp>,
    policy: Mlp,
    value: Mlp,
    /// Of a Gaussian; choices have none.
    pub log_std: Option<usize>,
}

impl Nets {
    /// Fresh networks for a spec.
    pub fn new(b: &mut Builder, shape: &Shape<'_>, inputs: usize, head: &Head) -> Self {
        let outputs = head.outputs();
        let deviations = if matches!(head, Head::Gaussian { .. }) { outputs } else { 0 };
        let memory = (shape.memory > 0).then(|| {
            let (gates, width) = (3 * shape.memory, shape.memory);
            [
                b.orthogonal("memory.weight_ih", gates, inputs, 1.0),
                b.orthogonal("memory.weight_hh", gates, width, 1.0),
                b.constant("memory.bias_ih", &[gates as i64], 0.0),
                b.constant("memory.bias_hh", &[gates as i64], 0.0),
            ]
        });
        let inputs = if shape.memory > 0 { shape.memory } else { inputs };
        let sizes = |first: usize, hidden: &[usize], last: usize| [&[first], hidden, &[last]].concat();
        let (trunk, first, hidden) = match (shape.shared, shape.hidden.last()) {
            (true, Some(&width)) => {
                let all = [&[inputs], shape.hidden].concat();
                (Some(Mlp::new(b, "trunk", &all, shape.activation, Last::Hidden)), width, &[][..])
            }
            _ => (None, inputs, shape.hidden),
        };
        let policy = Mlp::new(b, "policy", &sizes(first, hidden, outputs), shape.activation, Last::Head(0.01));
        let value = Mlp::new(b, "value", &sizes(first, hidden, 1), shape.activation, Last::Head(1.0));
        let log_std = (deviations > 0).then(|| b.constant("log_std", &[deviations as i64], shape.log_std));
        Self { memory, trunk, policy, value, log_std }
    }

    fn features(&self, p: &Params, seen: &Tensor) -> Tensor {
        self.trunk.as_ref().map_or_else(|| seen.shallow_clone(), |t| t.forward(p, seen))
    }

    /// What is remembered after `obs` `[rows, obs_len]`, given what was before it, both `[rows, width]`. Without memory
    /// that is the observation itself.
    pub fn remember(&self, p: &Params, obs: &Tensor, before: &Tensor) -> Tensor {
        let Some([ih, hh, bias_ih, bias_hh]) = self.memory else { return obs.shallow_clone() };
        obs.gru_cell(before, &p.leaves[ih], &p.leaves[hh], Some(&p.leaves[bias_ih]), Some(&p.leaves[bias_hh]))
    }

    /// The same for whole sequences: `obs` `[steps, rows, obs_len]`, `fresh` `[steps, rows]` (1 where an episode begins
    /// and nothing is remembered), `first` `[rows, width]`; gives `[steps, rows, width]`.
    pub fn sequence(&self, p: &Params, obs: &Tensor, fresh: &Tensor, first: &Tensor) -> Tensor {
        let kept: Tensor = 1.0 - fresh.unsqueeze(2);
        let mut now = first.shallow_clone();
        let all: Vec<Tensor> = (0..obs.size()[0])
            .map(|t| {
                now = self.remember(p, &obs.get(t), &(&now * kept.get(t)));
                now.shallow_clone()
            })
            .collect();
        Tensor::stack(&all, 0)
    }

    /// Numbers remembered.
    pub fn memory_width(&self, p: &Params) -> Option<i64> {
        self.memory.map(|[_, hh, ..]| p.leaves[hh].size()[1])
    }

    /// What the policy's head is made of, `[rows, outputs]`.
    pub fn policy(&self, p: &Params, seen: &Tensor) -> Tensor {
        self.policy.forward(p, &self.features(p, seen))
    }

    /// Values, `[rows]`.
    pub fn value(&self, p: &Params, seen: &Tensor) -> Tensor {
        self.value.forward(p, &self.features(p, seen)).squeeze_dim(1)
    }

    /// Both at once.
    pub fn both(&self, p: &Params, seen: &Tensor) -> (Tensor, Tensor) {
        let x = self.features(p, seen);
        (self.policy.forward(p, &x), self.value.forward(p, &x).squeeze_dim(1))
    }
}

/// Observations as the network takes them.
pub fn prepare(moments: Option<&Moments>, raw: &[f32], out: &mut [f32]) {
    match moments {
        Some(m) => m.standardise(raw, out),
        None => out.copy_from_slice(raw),
    }
}

/// The policy of a moment, acting on its most probable actions.
pub struct Frozen {
    name: &'static str,
    device: Device,
    head: Head,
    params: Params,
    nets: Nets,
    moments: Option<Moments>,
    /// What is remembered of the episodes under way.
    memory: Option<Tensor>,
    obs: Vec<f32>,
    out: Vec<f32>,
}

impl Frozen {
    /// A copy of everything the policy needs.
    pub fn new(name: &'static str, params: &Params, nets: &Nets, head: &Head, moments: Option<&Moments>) -> Self {
        Self {
            name,
            device: params.flat.device(),
            head: head.clone(),
            params: params.frozen(),
            nets: nets.clone(),
            moments: moments.cloned(),
            memory: None,
            obs: Vec::new(),
            out: Vec::new(),
        }
    }
}

/// The same as a judge of positions.
pub struct FrozenJudge {
    frozen: Frozen,
    /// What a unit of the network's value is worth in returns.
    scale: f64,
}

impl Frozen {
    /// As a judge of positions; values are returns divided by `scale`.
    pub fn judging(self, scale: f64) -> FrozenJudge {
        FrozenJudge { frozen: self, scale }
    }
}

impl Evaluate for FrozenJudge {
    fn evaluate(&mut self, obs: &[f32], logits: &mut [f32], value: &mut [f32]) {
        let f = &mut self.frozen;
        f.obs.resize(obs.len(), 0.0);
        prepare(f.moments.as_ref(), obs, &mut f.obs);
        tch::no_grad(|| {
            let obs = Tensor::from_slice(&f.obs).view([value.len() as i64, -1]).to_device(f.device);
            let (policy, worth) = f.nets.both(&f.params, &obs);
            read_f32(&policy, logits);
            read_f32(&(worth * self.scale).clamp(-1.0, 1.0), value);
        });
    }
}

impl Policy for Frozen {
    fn act(&mut self, env: &dyn VecEnv, obs: &[f32], mask: &[bool], actions: ActionsMut<'_>) {
        let rows = env.rows();
        self.obs.resize(obs.len(), 0.0);
        self.out.resize(rows * self.head.outputs(), 0.0);
        prepare(self.moments.as_ref(), obs, &mut self.obs);
        tch::no_grad(|| {
            let mut seen = Tensor::from_slice(&self.obs).view([rows as i64, -1]).to_device(self.device);
            if let Some(width) = self.nets.memory_width(&self.params) {
                let none = || Tensor::zeros([rows as i64, width], (tch::Kind::Float, self.device));
                let before = self.memory.take().unwrap_or_else(none);
                seen = self.nets.remember(&self.params, &seen, &before);
                self.memory = Some(seen.shallow_clone());
            }
            read_f32(&self.nets.policy(&self.params, &seen), &mut self.out);
        });
        self.head.mode(&self.out, mask, actions);
    }

    fn begin(&mut self) {
        self.memory = None;
    }

    fn name(&self) -> String {
        self.name.into()
    }
}
