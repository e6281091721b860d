//! A frozen copy of the policy: to be evaluated, to play, to evaluate positions of games.

use crate::agent::{AgentError, Inference, NEVER, Saved};
use crate::dist::Head;
use crate::input::Reading;
use crate::normalise::Moments;
use crate::on_policy::networks::{Networks, Shape};
use agon_core::policy::{Observed, Policy};
use agon_core::{ActionsMut, Spec};
use agon_search::Evaluate;
use tch::{Device, Kind, Tensor};

/// Observations as the network takes them.
pub fn prepare(moments: Option<&Moments>, raw: &[f32], out: &mut [f32]) {
    match moments {
        Some(m) => m.standardise(raw, out),
        None => out.copy_from_slice(raw),
    }
}

/// What the network's value 0 is in returns, and what a unit of it is: moments of returns and of values, where they are
/// normalised.
pub fn worth(returns: Option<&Moments>, values: Option<&Moments>) -> [f64; 2] {
    let scale = returns.map_or(1.0, Moments::deviation);
    values.map_or([0.0, 1.0], Moments::first).map(|x| x * scale)
}

/// A frozen copy of the policy, which takes the most probable actions.
pub struct Frozen {
    name: &'static str,
    head: Head,
    networks: Networks,
    moments: Option<Moments>,
    /// The recurrent state of the episodes under way.
    recurrent: Option<Tensor>,
    obs: Vec<f32>,
    out: Vec<f32>,
}

/// What is needed to load the policy of a save, without what learning needs.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// As scenarios call the agent.
    pub name: &'static str,
    /// Its networks' layers.
    pub shape: Shape<'a>,
    /// Whether it standardises observations.
    pub normalize_observation: bool,
}

impl Frame<'_> {
    /// The policy of a save, and the evaluator of positions where it can be one.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where the save is of something else.
    pub fn load(self, spec: &Spec, saved: &Saved, device: Device) -> Result<Inference, AgentError> {
        let Self { name, shape, normalize_observation } = self;
        let (head, reading) = (shape.head(spec), Reading::new(&spec.observation, shape.conv)?);
        let moments = Moments::of(&spec.observation, normalize_observation);
        let moments = Moments::saved(saved, "obs_moments", moments.as_ref())?;
        // Whether rewards and values were normalised the frame does not say.
        let [returns, values] = ["return_moments", "value_moments"].map(|name| {
            let here = saved.part::<Option<Moments>>(name)?.map(|_| Moments::new(1));
            Moments::saved(saved, name, here.as_ref())
        });
        let worth = worth(returns?.as_ref(), values?.as_ref());
        let one = || -> Result<Frozen, AgentError> {
            let mut networks = Networks::new(0, &shape, &reading, &head, device, 1);
            networks.params.load_weights(saved)?;
            networks.refresh();
            Ok(Frozen::new(name, networks, &head, moments.as_ref()))
        };
        let evaluates = head.is_one_choice() && shape.recurrent == 0;
        let network = if evaluates { Some(Box::new(one()?.evaluator(worth)) as Box<dyn Evaluate>) } else { None };
        Ok(Inference { policy: Some(Box::new(one()?)), network })
    }
}

impl Frozen {
    /// Everything the policy needs.
    pub fn new(name: &'static str, networks: Networks, head: &Head, moments: Option<&Moments>) -> Self {
        let (head, moments) = (head.clone(), moments.cloned());
        Self { name, head, networks, moments, recurrent: None, obs: Vec::new(), out: Vec::new() }
    }

    /// As an evaluator of positions, given [`worth`].
    pub fn evaluator(self, worth: [f64; 2]) -> FrozenEvaluator {
        FrozenEvaluator { frozen: self, worth }
    }

    fn prepare(&mut self, obs: &[f32]) {
        self.obs.resize(obs.len(), 0.0);
        prepare(self.moments.as_ref(), obs, &mut self.obs);
    }
}

/// The same as an evaluator of positions.
pub struct FrozenEvaluator {
    frozen: Frozen,
    worth: [f64; 2],
}

impl Evaluate for FrozenEvaluator {
    fn evaluate(&mut self, obs: &[f32], logits: &mut [f32], value: &mut [f32]) {
        self.frozen.prepare(obs);
        let Frozen { networks, obs, .. } = &mut self.frozen;
        let _ = networks.forward(obs, logits, value, NEVER);
        let [mean, unit] = self.worth;
        value.iter_mut().for_each(|v| *v = (mean + f64::from(*v) * unit).clamp(-1.0, 1.0) as f32);
    }
}

impl Policy for Frozen {
    fn act(&mut self, Observed { obs, mask, begins }: Observed<'_>, actions: ActionsMut<'_>) {
        let rows = begins.len();
        self.out.resize(rows * self.head.outputs(), 0.0);
        self.prepare(obs);
        let Self { networks, recurrent, obs, out, .. } = self;
        match networks.recurrent_width() {
            None => drop(networks.forward(obs, out, &mut [], NEVER)),
            Some(width) => {
                let none = || Tensor::zeros([rows as i64, width], (Kind::Float, networks.device()));
                let before = recurrent.take().filter(|m| m.size()[0] == rows as i64).unwrap_or_else(none);
                let kept: Vec<f32> = begins.iter().map(|begins| f32::from(u8::from(!begins))).collect();
                let kept = Tensor::from_slice(&kept).to_device(before.device()).unsqueeze(1);
                let seen = networks.remember(&networks.upload(obs), &(before * kept));
                networks.forward_seen(&seen, out, &mut []);
                *recurrent = Some(seen);
            }
        }
        self.head.mode(&self.out, mask, actions);
    }

    fn name(&self) -> String {
        self.name.into()
    }
}
