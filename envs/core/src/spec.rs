//! What an environment takes and gives: shapes, names, units, bounds.

use crate::action::Actions;
use serde::{Deserialize, Serialize};

/// One number of an observation or of a continuous action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// A short name, unique in its list.
    pub name: String,
    /// Its unit, `""` for a pure number.
    pub unit: String,
    /// The smallest value it can take; may be −∞.
    #[serde(with = "bound")]
    pub low: f32,
    /// The largest value it can take; may be ∞.
    #[serde(with = "bound")]
    pub high: f32,
    /// Of a share: what all of it is, and in which unit. For people, who count seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<(f64, String)>,
}

impl Field {
    /// A field with its bounds.
    pub fn new(name: impl Into<String>, unit: &str, low: f32, high: f32) -> Self {
        Self { name: name.into(), unit: unit.into(), low, high, whole: None }
    }

    /// A share of so many units.
    pub fn share(name: impl Into<String>, whole: f64, unit: &str) -> Self {
        Self { whole: Some((whole, unit.into())), ..Self::new(name, "share", 0.0, 1.0) }
    }
}

/// JSON has no infinity: an unbounded side is `null`.
mod bound {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(x: &f32, s: S) -> Result<S::Ok, S::Error> {
        x.is_finite().then_some(*x).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f32, D::Error> {
        Ok(Option::<f32>::deserialize(d)?.unwrap_or(f32::INFINITY))
    }
}

/// The actions of one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ActionSpec {
    /// One choice among `labels`.
    Discrete {
        /// What each choice means.
        labels: Vec<String>,
    },
    /// Several choices at once, the k-th among `sizes[k]`.
    MultiDiscrete {
        /// The number of choices of each part.
        sizes: Vec<usize>,
    },
    /// Real numbers within bounds, in the units of the environment.
    Continuous {
        /// One field a number; bounds must be finite.
        fields: Vec<Field>,
    },
}

impl ActionSpec {
    /// A discrete action from the words that name its choices.
    pub fn discrete<S: ToString>(labels: impl IntoIterator<Item = S>) -> Self {
        Self::Discrete { labels: labels.into_iter().map(|l| l.to_string()).collect() }
    }

    /// Numbers in one agent's action.
    pub fn len(&self) -> usize {
        match self {
            Self::Discrete { .. } => 1,
            Self::MultiDiscrete { sizes } => sizes.len(),
            Self::Continuous { fields } => fields.len(),
        }
    }

    /// Whether an action has no numbers (no valid spec is so).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sizes of the choices: `[n]`, `sizes`, or nothing for a continuous action.
    pub fn choices(&self) -> Vec<usize> {
        match self {
            Self::Discrete { labels } => vec![labels.len()],
            Self::MultiDiscrete { sizes } => sizes.clone(),
            Self::Continuous { .. } => Vec::new(),
        }
    }

    /// Entries of one agent's mask: the sum of the choices, 0 for a continuous action.
    pub fn mask_len(&self) -> usize {
        match self {
            Self::Discrete { labels } => labels.len(),
            Self::MultiDiscrete { sizes } => sizes.iter().sum(),
            Self::Continuous { .. } => 0,
        }
    }
}

/// Everything a learner must know of an environment. Constant for its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Agents that act at once; each has its own row of observations, actions and rewards.
    pub agents: usize,
    /// The numbers of one agent's observation, in order.
    pub observation: Vec<Field>,
    /// What one agent does.
    pub action: ActionSpec,
    /// Steps after which an episode is truncated.
    pub step_limit: u32,
    /// Whether masks can forbid choices; if not, they are always all true.
    pub masked: bool,
    /// Shape of a picture observation `[channels, height, width]`, empty for plain numbers. Pictures hold whole
    /// numbers from 0 to 255, so that a replay buffer may keep them as bytes.
    pub picture: Vec<usize>,
    /// What a reward a step later is worth: an episode's return is Σ discount^t r_t. 1 unless the task itself says
    /// otherwise; what a learner discounts by is its own matter.
    pub discount: f64,
}

impl Spec {
    /// A single-agent environment without masks or pictures.
    pub fn new(observation: Vec<Field>, action: ActionSpec, step_limit: u32) -> Self {
        Self { agents: 1, observation, action, step_limit, masked: false, picture: Vec::new(), discount: 1.0 }
    }

    /// Numbers in one agent's observation.
    pub fn obs_len(&self) -> usize {
        self.observation.len()
    }

    /// Whether observations, `[rows, obs_len]`, are finite and lie within their bounds; if not, the first that does not.
    pub fn admits(&self, obs: &[f32]) -> Result<(), String> {
        let outside = |(_, (x, f)): &(usize, (&f32, &Field))| !(x.is_finite() && **x >= f.low && **x <= f.high);
        match obs.iter().zip(self.observation.iter().cycle()).enumerate().find(outside) {
            None => Ok(()),
            Some((i, (x, f))) => {
                let at = i % self.obs_len();
                Err(format!("observation {at} `{}` = {x} is outside [{}, {}]", f.name, f.low, f.high))
            }
        }
    }

    /// Whether one environment can be given these actions, `[agents, len]`: as many, of the right kind, numbers finite,
    /// choices in range and, where `mask` (`[agents, mask_len]`) is not empty, allowed by it; if not, why. Environments
    /// themselves move numbers that are a rounding beyond their bounds to where they may be.
    pub fn takes(&self, actions: Actions<'_>, mask: &[bool]) -> Result<(), String> {
        let expected = self.agents * self.action.len();
        let length = |n: usize| {
            if n == expected { Ok(()) } else { Err(format!("an action holds {expected} numbers here, not {n}")) }
        };
        match (&self.action, actions) {
            (ActionSpec::Continuous { .. }, Actions::Continuous(numbers)) => {
                length(numbers.len())?;
                let finite = numbers.iter().all(|x| x.is_finite());
                if finite { Ok(()) } else { Err("an action must be finite".into()) }
            }
            (ActionSpec::Continuous { .. }, Actions::Discrete(_)) => Err("an action is made of numbers here".into()),
            (_, Actions::Continuous(_)) => Err("an action is made of whole numbers here".into()),
            (_, Actions::Discrete(choices)) => {
                length(choices.len())?;
                let mut from = 0;
                for (c, n) in choices.iter().zip(self.action.choices().iter().cycle()) {
                    if *c < 0 || *c >= *n as i64 {
                        return Err(format!("choice {c} must be 0 or more and below {n}"));
                    }
                    if mask.get(from + *c as usize) == Some(&false) {
                        return Err(format!("choice {c} is not legal here"));
                    }
                    from += n;
                }
                Ok(())
            }
        }
    }
}
