//! A simulator that was learned from recorded episodes: what `model/learned` simulates and `[model] kind = "world"`
//! learns.

use crate::action::Actions;
use crate::env::ensure;
use crate::observation::Observation;
use crate::spec::{ActionSpec, Spec};
use serde::{Deserialize, Serialize};

/// The name of the file in the run that learned it.
pub const FILE: &str = "world-model.json";
/// How the first lines of the file call its form.
pub const FORMAT: &str = "agon-world-model-2";
/// Units of a layer at most, and numbers of an input or output.
pub const WIDEST: usize = 512;
/// Where logarithms of variances are cut.
pub const LOG_VARIANCE: [f32; 2] = [-12.0, 4.0];

/// A layer; a ReLU follows all but the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// `[inputs, outputs]`
    pub weight: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
}

/// Means and deviations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standard {
    /// Means.
    pub mean: Vec<f32>,
    /// Deviations, above 0.
    pub deviation: Vec<f32>,
}

/// Three networks: how the observation changes, and what comes with the observation that it changes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// From [`World::input`] to [`World::outputs`] numbers, for each observed number either the mean and the logarithm of
    /// the variance of its change, in units of `output`, or a score of each of its `values`.
    pub change: Vec<Layer>,
    /// From [`World::outcome_inputs`] numbers to the reward's mean and the logarithm of its variance, in units of `output`.
    pub reward: Vec<Layer>,
    /// From the same numbers to the logit of an end; empty where the rules never ended an episode.
    pub end: Vec<Layer>,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// [`FORMAT`].
    pub format: String,
    /// The environment that it was learned from: one agent that observes numbers, without masks.
    pub spec: Spec,
    /// Observations at the start of recorded episodes.
    pub starts: Vec<Vec<f32>>,
    /// `[obs_len]` pairs: the least and the greatest number that was recorded.
    pub seen: Vec<[f32; 2]>,
    /// `[obs_len]`: all changes of the observed number that were recorded, in its own unit, where they are few; empty where
    /// its change is a normal.
    pub values: Vec<Vec<f32>>,
    /// Of the observation, and of the action as [`encode`] writes it.
    pub input: Standard,
    /// Of the change of the observation, and of the reward.
    pub output: Standard,
    /// The ensemble.
    pub members: Vec<Member>,
}

/// Numbers that an action becomes: one for each choice, or each number in units where its bounds are ±1.
pub fn encoded(action: &ActionSpec) -> usize {
    match action {
        ActionSpec::Continuous { fields } => fields.len(),
        other => other.choices().iter().sum(),
    }
}

/// Writes an action as a network reads it, `[encoded]`.
pub fn encode(spec: &ActionSpec, action: Actions<'_>, out: &mut [f32]) {
    match (spec, action) {
        (ActionSpec::Continuous { fields }, Actions::Continuous(numbers)) => {
            for ((out, field), x) in out.iter_mut().zip(fields).zip(numbers) {
                *out = (2.0 * (x - field.low) / (field.high - field.low) - 1.0).clamp(-1.0, 1.0);
            }
        }
        (_, Actions::Discrete(choices)) => {
            out.fill(0.0);
            let mut from = 0;
            for (k, choice) in choices.iter().enumerate() {
                out[from + *choice as usize] = 1.0;
                from += match spec {
                    ActionSpec::MultiDiscrete { sizes } => sizes[k],
                    other => other.mask_len(),
                };
            }
        }
        _ => panic!("actions are of the kind that the spec says"),
    }
}

/// Why a simulator of such an environment cannot be learned, if it cannot.
pub fn fits(spec: &Spec) -> Result<(), String> {
    let wide = spec.obs_len() + encoded(&spec.action);
    match () {
        () if spec.agents > 1 => Err(format!("it has {} agents; a world model is of one", spec.agents)),
        () if spec.masked => Err("its rules forbid actions, which a world model does not know".into()),
        () if !matches!(spec.observation, Observation::Numbers(_)) => {
            Err("it observes no plain numbers: a world model is of numbers".into())
        }
        () if wide + spec.obs_len() > WIDEST => {
            let all = wide + spec.obs_len();
            Err(format!("{all} numbers of two observations and an action; a world model has at most {WIDEST}"))
        }
        () => Ok(()),
    }
}

impl World {
    /// Outputs of a network of changes.
    pub fn outputs(&self) -> usize {
        self.values.iter().map(|values| if values.is_empty() { 2 } else { values.len() }).sum()
    }

    /// Inputs of a network of rewards, or of ends: the next observation and the action in units of `input`, the change in units of
    /// `output`.
    pub fn outcome_inputs(&self) -> usize {
        self.input.mean.len() + self.seen.len()
    }

    /// Whether its parts fit each other; if not, why.
    pub fn check(&self) -> Result<(), String> {
        let (seen, asked) = (self.spec.obs_len(), encoded(&self.spec.action));
        ensure(
            self.format == FORMAT,
            &format!("its format is `{}`, not `{FORMAT}`: train the world model again", self.format),
        )?;
        fits(&self.spec)?;
        let finite = |xs: &[f32]| xs.iter().all(|x| x.is_finite());
        let standard = |s: &Standard, n: usize| {
            s.mean.len() == n
                && s.deviation.len() == n
                && finite(&s.mean)
                && s.deviation.iter().all(|d| *d > 0.0 && d.is_finite())
        };
        ensure(standard(&self.input, seen + asked), "`input` does not fit its spec")?;
        ensure(standard(&self.output, seen + 1), "`output` does not fit its spec")?;
        let ranges =
            self.seen.len() == seen && self.seen.iter().all(|[low, high]| low <= high && finite(&[*low, *high]));
        ensure(ranges, "`seen` does not fit its spec")?;
        ensure(!self.starts.is_empty(), "it has no `starts`")?;
        for start in &self.starts {
            ensure(start.len() == seen, "a start does not fit its spec")?;
            self.spec.admits(start)?;
        }
        let values = self.values.len() == seen && self.values.iter().all(|values| finite(values));
        ensure(values && self.outputs() <= WIDEST, "`values` do not fit its spec")?;
        ensure(!self.members.is_empty() && self.members.len() <= 64, "it has no networks, or above 64")?;
        for member in &self.members {
            let sizes = [
                (&member.change, seen + asked, self.outputs()),
                (&member.reward, self.outcome_inputs(), 2),
                (&member.end, self.outcome_inputs(), 1),
            ];
            for (i, (layers, mut width, wanted)) in sizes.into_iter().enumerate() {
                if i == 2 && layers.is_empty() {
                    continue;
                }
                for layer in layers {
                    let outputs = layer.bias.len();
                    let sized = (1..=WIDEST).contains(&outputs) && layer.weight.len() == width * outputs;
                    ensure(sized && finite(&layer.weight) && finite(&layer.bias), "a layer's sizes do not fit")?;
                    width = outputs;
                }
                ensure(width == wanted && !layers.is_empty(), "a network's outputs do not fit its spec")?;
            }
        }
        Ok(())
    }

    /// A network's outputs for inputs that are standardised: left in `y`; `x` is overwritten.
    pub fn forward(layers: &[Layer], x: &mut [f32; WIDEST], y: &mut [f32; WIDEST]) {
        for (i, layer) in layers.iter().enumerate() {
            let outputs = layer.bias.len();
            y[..outputs].copy_from_slice(&layer.bias);
            for (x, weights) in x.iter().zip(layer.weight.chunks_exact(outputs)) {
                if *x != 0.0 {
                    y[..outputs].iter_mut().zip(weights).for_each(|(y, w)| *y += x * w);
                }
            }
            if i + 1 < layers.len() {
                y[..outputs].iter_mut().for_each(|y| *y = y.max(0.0));
            }
            x[..outputs].copy_from_slice(&y[..outputs]);
        }
    }
}
