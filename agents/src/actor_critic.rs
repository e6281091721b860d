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
}

/// Policy and value networks. A shared trunk stands in front of both heads.
#[derive(Clone, Debug)]
pub struct Nets {
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
        Self { trunk, policy, value, log_std }
    }

    fn features(&self, p: &Params, obs: &Tensor) -> Tensor {
        self.trunk.as_ref().map_or_else(|| obs.shallow_clone(), |t| t.forward(p, obs))
    }

    /// What the policy's head is made of, `[rows, outputs]`.
    pub fn policy(&self, p: &Params, obs: &Tensor) -> Tensor {
        self.policy.forward(p, &self.features(p, obs))
    }

    /// Values, `[rows]`.
    pub fn value(&self, p: &Params, obs: &Tensor) -> Tensor {
        self.value.forward(p, &self.features(p, obs)).squeeze_dim(1)
    }

    /// Both at once.
    pub fn both(&self, p: &Params, obs: &Tensor) -> (Tensor, Tensor) {
        let x = self.features(p, obs);
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
            let obs = Tensor::from_slice(&self.obs).view([rows as i64, -1]).to_device(self.device);
            read_f32(&self.nets.policy(&self.params, &obs), &mut self.out);
        });
        self.head.mode(&self.out, mask, actions);
    }

    fn name(&self) -> String {
        self.name.into()
    }
}
