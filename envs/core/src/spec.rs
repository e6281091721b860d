//! The interface of an environment: shapes, names, units, bounds.

use crate::action::{ActionBuf, Actions};
use crate::observation::{Dtype, Field, Observation};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// The actions of one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ActionSpec {
    /// One choice among `labels`.
    Discrete {
        /// Names of the choices.
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
    /// Memory for the actions of so many rows, zeros.
    pub fn buffer(&self, rows: usize) -> ActionBuf {
        match self {
            Self::Continuous { fields } => ActionBuf::Continuous(vec![0.0; rows * fields.len()]),
            other => ActionBuf::Discrete(vec![0; rows * other.len()]),
        }
    }

    /// A discrete action from the names of its choices.
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

/// Everything a learner must know about an environment. Constant for its lifetime.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Spec {
    /// Agents that act simultaneously; each has its own row of observations, actions and rewards.
    pub agents: usize,
    /// One agent's observation.
    pub observation: Observation,
    /// One agent's action.
    pub action: ActionSpec,
    /// Steps after which an episode is truncated.
    pub step_limit: u32,
    /// Whether masks can forbid choices; if not, they are always all true.
    pub masked: bool,
    /// The discount of the task: an episode's return is Σ discount^t r_t. 1 unless the task is defined with a discount;
    /// a learner's own discount is separate.
    pub discount: f64,
}

impl Spec {
    /// A single-agent environment without masks that observes plain numbers.
    pub fn new(observation: Vec<Field>, action: ActionSpec, step_limit: u32) -> Self {
        Self::observing(Observation::Numbers(observation), action, step_limit)
    }

    /// A single-agent environment without masks.
    pub fn observing(observation: Observation, action: ActionSpec, step_limit: u32) -> Self {
        Self { agents: 1, observation, action, step_limit, masked: false, discount: 1.0 }
    }

    /// Numbers in one agent's observation, as environments write them.
    pub fn obs_len(&self) -> usize {
        self.observation.len()
    }

    /// Numbers that a network reads of one agent's observation.
    pub fn inputs(&self) -> usize {
        self.observation.inputs()
    }

    /// The smallest type that holds the numbers of observations.
    pub fn dtype(&self) -> Dtype {
        self.observation.dtype()
    }

    /// Whether observations, `[rows, obs_len]`, are what this spec says: finite, within bounds, integers for choices
    /// and pictures; if not, the first violation.
    pub fn admits(&self, obs: &[f32]) -> Result<(), String> {
        obs.iter().enumerate().try_for_each(|(i, x)| self.observation.admits(i % self.obs_len(), *x))
    }

    /// Whether one environment can be given these actions, `[agents, len]`: as many, of the right kind, numbers finite,
    /// choices in range and, where `mask` (`[agents, mask_len]`) is not empty, allowed by it; if not, why. Environments
    /// themselves clamp numbers that exceed their bounds by rounding.
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
            (_, Actions::Continuous(_)) => Err("an action is made of integers here".into()),
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

/// As JSON: in addition, `picture` is the shape of a picture and `[]` for other kinds.
impl Serialize for Spec {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut keys = s.serialize_struct("Spec", 7)?;
        keys.serialize_field("agents", &self.agents)?;
        keys.serialize_field("observation", &self.observation)?;
        keys.serialize_field("action", &self.action)?;
        keys.serialize_field("step_limit", &self.step_limit)?;
        keys.serialize_field("masked", &self.masked)?;
        keys.serialize_field("picture", &self.observation.picture_shape())?;
        keys.serialize_field("discount", &self.discount)?;
        keys.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Picture;
    use serde_json::json;

    fn spec(observation: Observation) -> Spec {
        Spec::observing(observation, ActionSpec::discrete(["a"]), 10)
    }

    /// Programs in other languages read this.
    #[test]
    fn the_json_of_plain_numbers_stays() {
        let plain = Spec::new(vec![Field::new("x", "m", 0.0, f32::INFINITY)], ActionSpec::discrete(["a", "b"]), 10);
        let text = r#"{"agents":1,"observation":[{"name":"x","unit":"m","low":0.0,"high":null}],"action":{"kind":"discrete","labels":["a","b"]},"step_limit":10,"masked":false,"picture":[],"discount":1.0}"#;
        assert_eq!(serde_json::to_string(&plain).unwrap(), text);
        assert_eq!(serde_json::from_str::<Spec>(text).unwrap(), plain);
        let channels = vec!["wall".into()];
        let picture = spec(Observation::Picture(Picture { channels, height: 2, width: 3, high: 255 }));
        assert_eq!(serde_json::to_value(&picture).unwrap()["picture"], json!([1, 2, 3]));
    }

    #[test]
    fn observations_are_held_to_the_spec() {
        let numbers = Spec::new(
            vec![Field::new("x", "", 0.0, 1.0), Field::new("y", "", -1.0, 1.0)],
            ActionSpec::discrete(["a"]),
            10,
        );
        assert!(numbers.admits(&[0.5, -1.0, 1.0, 0.0]).is_ok());
        let why = numbers.admits(&[0.5, -1.0, 1.0, -2.0]).unwrap_err();
        assert_eq!(why, "observation 1 `y` = -2 is outside [-1, 1]");
        assert!(numbers.admits(&[f32::NAN, 0.0]).is_err());

        let one = spec(Observation::Discrete { n: 3, labels: Vec::new() });
        assert!(one.admits(&[0.0, 2.0]).is_ok());
        for wrong in [3.0, -1.0, 0.5, f32::NAN, f32::INFINITY] {
            assert!(one.admits(&[wrong]).is_err(), "{wrong}");
        }

        let channels = vec!["ball".into(), "wall".into()];
        let picture = spec(Observation::Picture(Picture { channels, height: 2, width: 3, high: 9 }));
        let mut seen = [9.0; 24];
        assert!(picture.admits(&seen).is_ok());
        for wrong in [10.0, -1.0, 0.5, f32::NAN] {
            seen[12 + 10] = wrong;
            let why = picture.admits(&seen).unwrap_err();
            assert!(why.contains("`wall` at 1, 1") && why.contains("0 to 9"), "{why}");
        }
    }
}
