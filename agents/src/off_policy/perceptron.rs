//! A perceptron with everything that learning needs, on the host: parameters, optimizer, gradient. Minibatches are
//! split into parts, processed in parallel; the split does not depend on the number of threads, so neither do results.

use crate::agent::{AgentError, Saved};
use crate::bridge::{host_slice, host_view};
use crate::dense::Dense;
use crate::net::{Activation, Builder, Params};
use crate::optim::{Adam, add, chunk_ends};
use agon_core::thread_pool::ThreadPool;
use tch::{Device, Tensor};

/// The present perceptrons.
#[derive(Clone, Copy)]
pub struct Now<'a> {
    /// One each.
    pub dense: &'a [Dense],
    /// Parameters of all of them.
    pub flat: &'a [f32],
}

/// Several perceptrons of the same shape over one set of parameters.
pub struct Perceptrons {
    /// One each.
    pub dense: Vec<Dense>,
    /// Of all of them.
    pub params: Params,
    adam: Adam,
    gradient: Tensor,
    ends: Vec<usize>,
    name: &'static str,
}

impl Perceptrons {
    /// So many fresh ones with these sizes, from inputs to outputs. Names begin with `name`.
    pub fn new(seed: u64, name: &'static str, count: usize, sizes: &[usize]) -> Self {
        let mut b = Builder::new(seed);
        let layers: Vec<Vec<(usize, usize)>> = (0..count)
            .map(|k| {
                let layer = |(i, pair): (usize, &[usize])| b.linear(&format!("{name}.{k}.{i}"), pair[0], pair[1]);
                sizes.windows(2).enumerate().map(layer).collect()
            })
            .collect();
        let params = b.finish(Device::Cpu);
        let dense = layers.iter().map(|layers| {
            let (last, hidden) = layers.split_last().expect("a last layer");
            Dense::new(&params, hidden, &[*last], Activation::Relu)
        });
        Self {
            dense: dense.collect(),
            adam: Adam::new(&params, 1e-8),
            gradient: params.beside(3),
            ends: chunk_ends(params.count() as usize),
            params,
            name,
        }
    }

    /// What their passes need, for any thread.
    pub fn now(&self) -> Now<'_> {
        Now { dense: &self.dense, flat: host_view(&self.params.flat).expect("they are on the host") }
    }

    /// Adam's step along the sum of the parts' gradients; its norm.
    pub fn step(&mut self, parts: &[&[f32]], rate: f64, pool: &ThreadPool) -> f64 {
        let gradient = host_slice(&mut self.gradient).expect("it is on the host");
        let find = |from: usize, gradient: &mut [f32]| {
            gradient.fill(0.0);
            parts.iter().for_each(|part| add(gradient, &part[from..from + gradient.len()]));
        };
        let rates = [rate, f64::INFINITY];
        let norm = self.adam.step_on_host(&mut self.params, gradient, &self.ends, find, rates, pool);
        norm.map_or(f64::NAN, f64::from)
    }

    /// Weights and moments.
    pub fn save(&self, tensors: &mut Vec<(String, Tensor)>) {
        self.adam.save(self.name, &self.params, tensors);
    }

    /// The weights of a clone's policy; what its last layer has beyond the outputs here, deviations, is left out.
    pub fn load_clone(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let mut renamed = Saved { tensors: Vec::new(), state: serde_json::Value::Null };
        for (name, here) in self.params.named() {
            let layer = name.strip_prefix(&format!("{}.0.", self.name)).expect("one perceptron");
            let there = saved.tensor(&format!("policy.{layer}"))?;
            let last = there.dim() as i64 - 1;
            let (outputs, wanted) = (there.size()[last as usize], here.size()[last as usize]);
            let there = if outputs == 2 * wanted { there.narrow(last, 0, wanted) } else { there.shallow_clone() };
            renamed.tensors.push((name.to_owned(), there));
        }
        self.params.load_weights(&renamed)
    }

    /// Weights and moments from a save.
    pub fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.adam.load_named(self.name, &mut self.params, saved)
    }
}

/// Moves `target` a share of `tau` of the way to `source`.
pub fn follow(target: &mut Params, source: &Params, tau: f32) {
    let there = host_view(&source.flat).expect("they are on the host");
    let here = host_slice(&mut target.flat).expect("they are on the host");
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || here.iter_mut().zip(there).for_each(|(t, s)| *t += tau * (s - *t)),
    );
}
