//! Policy and value networks of every policy-gradient agent, and how a loss at their outputs becomes their gradient.
//!
//! On the host both passes are hand-written ([`crate::dense`]), with the parts of a minibatch in parallel. On a device,
//! and for recurrent networks, they are tensor operations. The loss is the same function of the outputs.

use crate::agent::{AgentError, Stop, go_on};
use crate::bridge::{host_view, read_f32};
use crate::conv::Filters;
use crate::dense::{BLOCK, Dense, Seen, Tape};
use crate::dist::{Bound, Deviation, Head};
use crate::input::{self, Input, Reading};
use crate::net::{Activation, Builder, Last, Mlp, Params};
use crate::optim::{Adam, add, chunk_ends};
use agon_core::Spec;
use agon_core::thread_pool::ThreadPool;
use tch::{Device, Kind, Tensor};

/// The networks' layers.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// Sizes of the hidden layers.
    pub hidden: &'a [usize],
    /// Convolutions that read a picture; none for the usual ones.
    pub conv: Option<&'a [Filters]>,
    /// The activation after each.
    pub activation: Activation,
    /// Whether policy and value share them.
    pub shared: bool,
    /// Logarithm of a Gaussian's initial deviation.
    pub log_std: f64,
    /// What the deviation depends on.
    pub deviation: Deviation,
    /// How numbers from a Gaussian become actions.
    pub bound: Bound,
    /// Width of a gated recurrent unit (GRU) in front of them; 0 for none.
    pub recurrent: usize,
}

/// Where the networks' parameters are. Convolutions, a gated recurrent unit (Cho et al. 2014) or a shared trunk may
/// stand in front of both heads; the state of the unit then takes the place of observations.
#[derive(Clone, Debug)]
struct Nets {
    input: Input,
    recurrent: Option<[usize; 4]>,
    trunk: Option<Mlp>,
    policy: Mlp,
    value: Mlp,
    /// Deviations that are parameters of their own.
    log_std: Option<usize>,
}

impl Shape<'_> {
    /// The action distribution.
    pub fn head(&self, spec: &Spec) -> Head {
        Head::with(spec, self.deviation, self.bound)
    }
}

impl Nets {
    fn new(b: &mut Builder, shape: &Shape<'_>, reading: &Reading, head: &Head) -> Self {
        let (input, inputs) = (Input::new(b, reading), reading.features());
        let outputs = head.outputs();
        let recurrent = (shape.recurrent > 0).then(|| {
            let (gates, width) = (3 * shape.recurrent, shape.recurrent);
            [
                b.orthogonal("memory.weight_ih", gates, inputs, 1.0),
                b.orthogonal("memory.weight_hh", gates, width, 1.0),
                b.constant("memory.bias_ih", &[gates as i64], 0.0),
                b.constant("memory.bias_hh", &[gates as i64], 0.0),
            ]
        });
        let inputs = if shape.recurrent > 0 { shape.recurrent } else { inputs };
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
        let free = head.free_deviations();
        let log_std = (free > 0).then(|| b.constant("log_std", &[free as i64], shape.log_std));
        if let (Head::Gaussian { deviation: Deviation::State, .. }, Some((_, bias))) = (head, policy.layers().last()) {
            b.set_last(*bias, head.width(), shape.log_std);
        }
        Self { input, recurrent, trunk, policy, value, log_std }
    }

    /// The recurrent state after `obs` `[rows, obs_len]`, given the one before it, both `[rows, width]`. Without a
    /// recurrent unit, the observation itself.
    fn remember(&self, p: &Params, obs: &Tensor, before: &Tensor) -> Tensor {
        let Some([ih, hh, bias_ih, bias_hh]) = self.recurrent else { return obs.shallow_clone() };
        let x = self.input.tensor(p, obs);
        x.gru_cell(before, &p.leaves[ih], &p.leaves[hh], Some(&p.leaves[bias_ih]), Some(&p.leaves[bias_hh]))
    }

    /// The same for whole sequences: `obs` `[steps, rows, obs_len]`, `fresh` `[steps, rows]` (1 where an episode begins
    /// and the state is reset), `first` `[rows, width]`; gives `[steps, rows, width]`.
    fn sequence(&self, p: &Params, obs: &Tensor, fresh: &Tensor, first: &Tensor) -> Tensor {
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

    /// The policy's outputs `[rows, outputs]` and the values `[rows, 1]`, for observations or recurrent states.
    fn both(&self, p: &Params, seen: &Tensor) -> [Tensor; 2] {
        let x = if self.recurrent.is_some() { seen.shallow_clone() } else { self.input.tensor(p, seen) };
        let x = self.trunk.as_ref().map_or_else(|| x.shallow_clone(), |t| t.forward(p, &x));
        [self.policy.forward(p, &x), self.value.forward(p, &x)]
    }
}

/// The same on the host: one network with two heads, or one for the policy and one for the value.
#[derive(Clone, Debug)]
struct HostNets {
    input: Input,
    nets: Vec<Dense>,
}

/// Buffers for the passes on the host.
#[derive(Debug, Default)]
pub struct Work {
    input: input::Work,
    tapes: [Tape; 2],
    /// The gradient at the features, `[rows, features]`, where what makes them of observations has parameters.
    below: Vec<f32>,
    /// Rows of a network with two heads: outputs and then the value.
    joint: Vec<f32>,
}

impl HostNets {
    fn new(params: &Params, nets: &Nets) -> Self {
        let [policy, value] = [&nets.policy, &nets.value].map(Mlp::layers);
        let nets_of = match &nets.trunk {
            Some(trunk) => {
                vec![Dense::new(params, trunk.layers(), &[policy[0], value[0]], trunk.activation())]
            }
            None => {
                let whole = |net: &Mlp| {
                    let (last, hidden) = net.layers().split_last().expect("a head");
                    Dense::new(params, hidden, &[*last], net.activation())
                };
                vec![whole(&nets.policy), whole(&nets.value)]
            }
        };
        Self { input: nets.input.clone(), nets: nets_of }
    }

    /// `obs`: `[rows, obs_len]`, `out`: `[rows, outputs]`, `value`: `[rows]`, or empty for the policy alone.
    fn forward(&self, flat: &[f32], obs: &[f32], out: &mut [f32], value: &mut [f32], work: &mut Work) {
        let Work { input, tapes: [first, second], joint: both, .. } = work;
        let x = self.input.forward(flat, obs, input);
        match &self.nets[..] {
            [joint] => {
                let (rows, width) = (x.len() / joint.inputs(), joint.outputs());
                both.resize(rows * width, 0.0);
                joint.forward(flat, x, both, first);
                for (from, to) in both.chunks_exact(width).zip(out.chunks_exact_mut(width - 1)) {
                    to.copy_from_slice(&from[..width - 1]);
                }
                value.iter_mut().zip(both.chunks_exact(width)).for_each(|(v, row)| *v = row[width - 1]);
            }
            nets => {
                nets[0].forward(flat, x, out, first);
                if !value.is_empty() {
                    nets[1].forward(flat, x, value, second);
                }
            }
        }
    }

    /// The gradient of `Σ out_gradient · out + Σ value_gradient · value` of the last forward pass, added to `gradient`.
    fn backward(&self, flat: &[f32], obs: &[f32], at: &AtOutputs, work: &mut Work, gradient: &mut [f32]) {
        let Work { input, tapes: [first, second], joint: both, below } = work;
        let x = input.features(obs);
        below.clear();
        below.resize(if self.input.reading().parameters() > 0 { x.len() } else { 0 }, 0.0);
        let mut one = |net: &Dense, at_outputs: &[f32], tape: &mut Tape| {
            net.backward(flat, at_outputs, tape);
            net.gradient(Seen { x, at_outputs, tape, front: &[] }, gradient);
            if !below.is_empty() {
                net.at_inputs(flat, at_outputs, tape, 0, below, true);
            }
        };
        match &self.nets[..] {
            [joint] => {
                let width = joint.outputs();
                let rows = both.chunks_exact_mut(width).zip(at.out.chunks_exact(width - 1)).zip(&at.value);
                for ((row, out), value) in rows {
                    row[..width - 1].copy_from_slice(out);
                    row[width - 1] = *value;
                }
                one(joint, both, first);
            }
            nets => {
                one(&nets[0], &at.out, first);
                one(&nets[1], &at.value, second);
            }
        }
        if !below.is_empty() {
            self.input.backward(flat, below, input, gradient);
        }
    }
}

/// A loss's gradient at the networks' outputs.
#[derive(Debug, Default)]
pub struct AtOutputs {
    /// `[rows, outputs]`
    pub out: Vec<f32>,
    /// `[rows]`
    pub value: Vec<f32>,
    /// One for each deviation that is a parameter of its own.
    pub log_std: Vec<f64>,
}

/// Some rows as a loss sees them.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The index of each row in the rollout.
    pub at: &'a [usize],
    /// `[rows, outputs]`
    pub out: &'a [f32],
    /// `[rows]`
    pub value: &'a [f32],
    /// The same.
    pub log_std: &'a [f32],
}

/// Sums over rows that a loss reports: policy loss, value loss, entropy, KL divergence, share of clipped ratios.
pub type Sums = [f64; 5];

/// Writes the gradient of its share of the loss at every row's outputs, which are zeroed before, and returns the sums.
pub type Loss<'a> = &'a (dyn Fn(Rows<'_>, &mut AtOutputs) -> Sums + Sync);

/// What was observed, and where.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// `[n, obs_len]`
    pub obs: &'a [f32],
    /// The same on the device, where it is there already.
    pub on_device: Option<&'a Tensor>,
    /// Of a recurrent network: its state before the first step `[rows, width]`, and where episodes begin
    /// `[steps, rows]`.
    pub recurrent: Option<(&'a Tensor, &'a [f32])>,
}

/// A part of a minibatch on the host, and its share of the gradient.
#[derive(Debug, Default)]
struct Part {
    at: Vec<usize>,
    x: Vec<f32>,
    out: Vec<f32>,
    value: Vec<f32>,
    at_outputs: AtOutputs,
    work: Work,
    gradient: Vec<f32>,
    sums: Sums,
}

/// Networks, their parameters, and where they compute.
pub struct Networks {
    /// All parameters.
    pub params: Params,
    /// Logarithms of deviations that are parameters of their own, on the host.
    pub log_std: Vec<f32>,
    nets: Nets,
    /// The networks on the host, where all is computed there.
    host: Option<HostNets>,
    obs_len: usize,
    pool: ThreadPool,
    work: Work,
    parts: Vec<Part>,
    gradient: Vec<f32>,
    on_device: Option<Tensor>,
}

/// The number of parts of a minibatch. It does not depend on the number of threads, so neither do results.
fn parts(rows: usize) -> usize {
    match rows {
        ..32 => 1,
        32..128 => 2,
        _ => (rows / 64).min(8),
    }
}

impl Networks {
    /// Fresh networks for observations that are read like this.
    pub fn new(seed: u64, shape: &Shape<'_>, reading: &Reading, head: &Head, device: Device, threads: usize) -> Self {
        let mut builder = Builder::new(seed);
        let nets = Nets::new(&mut builder, shape, reading, head);
        let params = builder.finish(device);
        let host = device == Device::Cpu && nets.recurrent.is_none();
        let mut networks = Self {
            host: host.then(|| HostNets::new(&params, &nets)),
            log_std: vec![0.0; head.free_deviations()],
            gradient: vec![0.0; if host { params.count() as usize } else { 0 }],
            pool: ThreadPool::new(if host { threads } else { 1 }),
            params,
            nets,
            obs_len: reading.obs_len(),
            work: Work::default(),
            parts: Vec::new(),
            on_device: None,
        };
        networks.refresh();
        networks
    }

    /// Copies the parameters that sampling needs to the host; to be called after every change.
    pub fn refresh(&mut self) {
        if let Some(at) = self.nets.log_std {
            read_f32(&self.params.leaves[at].detach(), &mut self.log_std);
        }
    }

    /// The device of tensors.
    pub fn device(&self) -> Device {
        self.params.flat.device()
    }

    /// A copy in its own memory, to act with.
    pub fn frozen(&self) -> Self {
        Self {
            params: self.params.frozen(),
            log_std: self.log_std.clone(),
            nets: self.nets.clone(),
            host: self.host.clone(),
            obs_len: self.obs_len,
            pool: ThreadPool::default(),
            work: Work::default(),
            parts: Vec::new(),
            gradient: Vec::new(),
            on_device: None,
        }
    }

    /// Width of the state, of a recurrent network.
    pub fn recurrent_width(&self) -> Option<i64> {
        self.nets.recurrent.map(|[_, hh, ..]| self.params.leaves[hh].size()[1])
    }

    /// The recurrent state after `obs` `[rows, obs_len]`, given the state `before` `[rows, width]`.
    pub fn remember(&self, obs: &Tensor, before: &Tensor) -> Tensor {
        tch::no_grad(|| self.nets.remember(&self.params, obs, before))
    }

    /// Observations as a tensor `[rows, obs_len]` on the device.
    pub fn upload(&self, obs: &[f32]) -> Tensor {
        Tensor::from_slice(obs).view([-1, self.obs_len as i64]).to_device(self.device())
    }

    /// Outputs `[rows, outputs]` and values `[rows]` for observations `[rows, obs_len]`; with an empty slice for
    /// values, only the policy's. Asked to stop, it leaves off.
    pub fn forward(
        &mut self,
        obs: &[f32],
        out: &mut [f32],
        value: &mut [f32],
        stop: Stop<'_>,
    ) -> Result<(), AgentError> {
        let Self { params, host, work, .. } = self;
        match host {
            Some(host) => host_forward(host, params, obs, out, value, work, stop),
            None => {
                go_on(stop)?;
                self.forward_seen(&self.upload(obs), out, value);
                Ok(())
            }
        }
    }

    /// The policy's outputs with other parameters of the same networks.
    pub fn policy_of(&self, params: &Params, obs: &[f32], out: &mut [f32]) {
        match &self.host {
            Some(host) => {
                let _ = host_forward(host, params, obs, out, &mut [], &mut Work::default(), crate::agent::NEVER);
            }
            None => tch::no_grad(|| read_f32(&self.nets.both(params, &self.upload(obs))[0], out)),
        }
    }

    /// The same for inputs on the device: observations, or recurrent states.
    pub fn forward_seen(&self, seen: &Tensor, out: &mut [f32], value: &mut [f32]) {
        tch::no_grad(|| {
            let [policy, worth] = self.nets.both(&self.params, seen);
            if value.is_empty() {
                return read_f32(&policy, out);
            }
            // One transfer.
            let (rows, outputs) = (value.len(), out.len() / value.len());
            let mut both = vec![0.0; rows * (outputs + 1)];
            read_f32(&Tensor::cat(&[policy, worth], 1), &mut both);
            for (row, both) in both.chunks_exact(outputs + 1).enumerate() {
                out[row * outputs..(row + 1) * outputs].copy_from_slice(&both[..outputs]);
                value[row] = both[outputs];
            }
        });
    }

    /// The gradient of a loss over the rows at these indices; kept for [`Networks::step`]. For recurrent networks the
    /// indices are of whole sequences: all rows of the first step, of the second, and so on.
    pub fn differentiate(&mut self, observed: Observed<'_>, at: &[usize], outputs: usize, loss: Loss<'_>) -> Sums {
        if self.host.is_some() {
            self.differentiate_on_host(observed.obs, at, outputs, loss)
        } else {
            self.differentiate_on_device(observed, at, outputs, loss)
        }
    }

    fn differentiate_on_host(&mut self, obs: &[f32], at: &[usize], outputs: usize, loss: Loss<'_>) -> Sums {
        let Self { params, nets, host: Some(host), obs_len, log_std, pool, parts: all, .. } = self else {
            unreachable!("asked on the host alone")
        };
        let flat = host_view(&params.flat).expect("parameters on the host");
        let place = nets.log_std.map(|leaf| params.place(leaf));
        all.resize_with(parts(at.len()), Part::default);
        let count = all.len();
        pool.each(all, |i, part| {
            part.at.clear();
            part.at.extend_from_slice(&at[i * at.len() / count..(i + 1) * at.len() / count]);
            part.x.clear();
            part.at.iter().for_each(|at| part.x.extend_from_slice(&obs[at * *obs_len..(at + 1) * *obs_len]));
            let rows = part.at.len();
            part.out.resize(rows * outputs, 0.0);
            part.value.resize(rows, 0.0);
            host.forward(flat, &part.x, &mut part.out, &mut part.value, &mut part.work);
            part.at_outputs.clear(rows, outputs, log_std.len());
            let rows = Rows { at: &part.at, out: &part.out, value: &part.value, log_std };
            part.sums = loss(rows, &mut part.at_outputs);
            part.gradient.clear();
            part.gradient.resize(flat.len(), 0.0);
            host.backward(flat, &part.x, &part.at_outputs, &mut part.work, &mut part.gradient);
            if let Some(place) = place.clone() {
                let there = part.gradient[place].iter_mut().zip(&part.at_outputs.log_std);
                there.for_each(|(there, gradient)| *there = *gradient as f32);
            }
        });
        let mut sums = Sums::default();
        all.iter().for_each(|part| sums.iter_mut().zip(part.sums).for_each(|(sum, x)| *sum += x));
        sums
    }

    /// Outputs are copied to the host, where the loss is computed, and its gradient at them goes back.
    fn differentiate_on_device(
        &mut self,
        observed: Observed<'_>,
        at: &[usize],
        outputs: usize,
        loss: Loss<'_>,
    ) -> Sums {
        let (nets, params, device) = (&self.nets, &self.params, self.params.flat.device());
        let tensor = |x: &[f32], shape: &[i64]| Tensor::from_slice(x).view(shape).to_device(device);
        let index =
            |at: &[usize]| Tensor::from_slice(&at.iter().map(|at| *at as i64).collect::<Vec<_>>()).to_device(device);
        let uploaded = observed.on_device.map_or_else(|| self.upload(observed.obs), Tensor::shallow_clone);
        let seen = match observed.recurrent {
            None => uploaded.index_select(0, &index(at)),
            Some((first, fresh)) => {
                let rows = first.size()[0];
                let steps = fresh.len() as i64 / rows;
                let picked = index(&at[..at.len() / steps as usize]);
                let obs = uploaded.narrow(0, 0, steps * rows).view([steps, rows, -1]).index_select(1, &picked);
                let fresh = tensor(fresh, &[steps, rows]).index_select(1, &picked);
                nets.sequence(params, &obs, &fresh, &first.index_select(0, &picked)).flatten(0, 1)
            }
        };
        let [policy, worth] = nets.both(params, &seen);
        let (mut out, mut value) = (vec![0.0; at.len() * outputs], vec![0.0; at.len()]);
        read_f32(&policy.detach(), &mut out);
        read_f32(&worth.detach(), &mut value);
        let mut gradient = AtOutputs::default();
        gradient.clear(at.len(), outputs, self.log_std.len());
        let sums = loss(Rows { at, out: &out, value: &value, log_std: &self.log_std }, &mut gradient);
        let (n, width) = (at.len() as i64, outputs as i64);
        let mut through = (policy * tensor(&gradient.out, &[n, width])).sum(Kind::Float)
            + (worth * tensor(&gradient.value, &[n, 1])).sum(Kind::Float);
        if let Some(leaf) = nets.log_std {
            let of: Vec<f32> = gradient.log_std.iter().map(|x| *x as f32).collect();
            through += (&params.leaves[leaf] * tensor(&of, &[of.len() as i64])).sum(Kind::Float);
        }
        self.on_device = Some(params.gradient(&through));
        sums
    }

    /// Adam's step along the gradient that was found last; its norm before it was shortened to `max_norm`.
    pub fn step(&mut self, adam: &mut Adam, rate: f64, max_norm: f64) -> f64 {
        if let Some(gradient) = self.on_device.take() {
            return adam.step(&mut self.params, &gradient, rate, max_norm).double_value(&[]);
        }
        let Self { params, parts, gradient, pool, .. } = self;
        let sum = |from: usize, gradient: &mut [f32]| {
            let to = from + gradient.len();
            gradient.copy_from_slice(&parts[0].gradient[from..to]);
            parts[1..].iter().for_each(|part| add(gradient, &part.gradient[from..to]));
        };
        let ends = chunk_ends(gradient.len());
        let norm = adam.step_on_host(params, gradient, &ends, sum, [rate, max_norm], pool);
        f64::from(norm.expect("parameters on the host"))
    }

    /// The gradient that was found last, of all parameters in order.
    #[cfg(test)]
    pub fn last_gradient(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.params.count() as usize];
        match &self.on_device {
            Some(gradient) => read_f32(gradient, &mut all),
            None => self.parts.iter().for_each(|part| add(&mut all, &part.gradient)),
        }
        all
    }
}

/// A block of rows at a time: activations stay in the nearest caches.
fn host_forward(
    host: &HostNets,
    params: &Params,
    obs: &[f32],
    out: &mut [f32],
    value: &mut [f32],
    work: &mut Work,
    stop: Stop<'_>,
) -> Result<(), AgentError> {
    let flat = host_view(&params.flat).expect("parameters on the host");
    let width = host.input.reading().obs_len();
    let (rows, with_value) = (obs.len() / width, !value.is_empty());
    let outputs = out.len() / rows.max(1);
    for from in (0..rows).step_by(BLOCK) {
        if from.is_multiple_of(1 << 14) {
            go_on(stop)?;
        }
        let block = from..(from + BLOCK).min(rows);
        let value = if with_value { &mut value[block.clone()] } else { &mut [][..] };
        let (obs, out) =
            (&obs[block.start * width..block.end * width], &mut out[block.start * outputs..block.end * outputs]);
        host.forward(flat, obs, out, value, work);
    }
    Ok(())
}

impl AtOutputs {
    fn clear(&mut self, rows: usize, outputs: usize, deviations: usize) {
        for (numbers, count) in [(&mut self.out, rows * outputs), (&mut self.value, rows)] {
            numbers.clear();
            numbers.resize(count, 0.0);
        }
        self.log_std.clear();
        self.log_std.resize(deviations, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::{Rng, Stream};
    use agon_core::{ActionSpec, Observation, Picture};

    /// Hand-written outputs and gradients agree with tensors', for all observations, with and without a shared trunk.
    #[test]
    fn the_host_does_what_a_device_does() {
        let picture = Picture { channels: vec!["a".into(), "b".into()], height: 5, width: 4, high: 2 };
        let kinds = [Observation::Picture(picture), Observation::discrete(["a", "b", "c"])];
        let (filters, mut rng) = ([Filters { channels: 3, kernel: 2, stride: 1 }], Rng::new(1, Stream::Act, 0));
        for (observation, shared) in kinds.iter().flat_map(|kind| [(kind, false), (kind, true)]) {
            let conv = matches!(observation, Observation::Picture(_)).then_some(&filters[..]);
            let head = Head::of(&Spec::observing(observation.clone(), ActionSpec::discrete(["l", "r", "n"]), 9));
            let (hidden, activation, deviation, bound) = (&[7, 6][..], Activation::Tanh, Deviation::Free, Bound::Clip);
            let shape = Shape { hidden, conv, activation, shared, log_std: 0.0, deviation, bound, recurrent: 0 };
            let reading = Reading::new(observation, conv).unwrap();
            let new = || Networks::new(1, &shape, &reading, &head, Device::Cpu, 1);
            let (mut host, mut device) = (new(), Networks { host: None, ..new() });
            let obs: Vec<f32> = (0..40 * reading.obs_len()).map(|_| rng.below(3) as f32).collect();
            let drawn: Vec<f32> = (0..160).map(|_| rng.normal() as f32).collect();
            let both = [&mut host, &mut device].map(|networks| {
                let (mut out, mut value, at) = (vec![0.0; 120], vec![0.0; 40], (0..40).rev().collect::<Vec<_>>());
                networks.forward(&obs, &mut out, &mut value, crate::agent::NEVER).unwrap();
                let observed = Observed { obs: &obs, on_device: None, recurrent: None };
                networks.differentiate(observed, &at, 3, &|rows, gradient| {
                    for (i, at) in rows.at.iter().enumerate() {
                        gradient.out[i * 3..i * 3 + 3].copy_from_slice(&drawn[at * 4..at * 4 + 3]);
                        gradient.value[i] = drawn[at * 4 + 3];
                    }
                    Sums::default()
                });
                [out, value, networks.last_gradient()].concat()
            });
            assert!(both[0].len() == both[1].len() && both[0].iter().any(|x| x.abs() > 1.0));
            let apart = both[0].iter().zip(&both[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-5 * both[0].iter().fold(1f32, |m, x| m.max(x.abs())), "{apart}");
        }
    }
}
