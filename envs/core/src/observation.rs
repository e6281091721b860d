//! What an agent observes: plain numbers, one number out of n, or a picture. Their names, units, bounds and shape.
//!
//! Environments write and agents read all kinds as `f32` numbers in host slices; the agent decides how a network reads
//! them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One number of an observation or of a continuous action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// A short name, unique in its list.
    pub name: String,
    /// Its unit, `""` for a pure number.
    pub unit: String,
    /// The smallest value it can take; may be −∞.
    #[serde(serialize_with = "bound::write", deserialize_with = "bound::low")]
    pub low: f32,
    /// The largest value it can take; may be ∞.
    #[serde(serialize_with = "bound::write", deserialize_with = "bound::high")]
    pub high: f32,
    /// For a share: the whole and its unit, so that tables can show absolute numbers, such as seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<(f64, String)>,
}

impl Field {
    /// A field with its bounds.
    pub fn new(name: impl Into<String>, unit: &str, low: f32, high: f32) -> Self {
        Self { name: name.into(), unit: unit.into(), low, high, whole: None }
    }

    /// A field that is a share of so many units.
    pub fn share(name: impl Into<String>, whole: f64, unit: &str) -> Self {
        Self { whole: Some((whole, unit.into())), ..Self::new(name, "share", 0.0, 1.0) }
    }
}

/// JSON has no infinity: an unbounded side is `null`.
mod bound {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn write<S: Serializer>(x: &f32, s: S) -> Result<S::Ok, S::Error> {
        x.is_finite().then_some(*x).serialize(s)
    }

    pub fn low<'de, D: Deserializer<'de>>(d: D) -> Result<f32, D::Error> {
        Ok(Option::<f32>::deserialize(d)?.unwrap_or(f32::NEG_INFINITY))
    }

    pub fn high<'de, D: Deserializer<'de>>(d: D) -> Result<f32, D::Error> {
        Ok(Option::<f32>::deserialize(d)?.unwrap_or(f32::INFINITY))
    }
}

/// The smallest type that holds every number of an observation exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit floating point.
    F32,
    /// A byte.
    U8,
}

/// A picture of integers, `[channels, height, width]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// What each channel shows.
    pub channels: Vec<String>,
    /// Rows of a channel.
    pub height: usize,
    /// Columns of a channel.
    pub width: usize,
    /// The largest number; the smallest is 0.
    pub high: u8,
}

impl Picture {
    /// `[channels, height, width]`
    pub fn shape(&self) -> [usize; 3] {
        [self.channels.len(), self.height, self.width]
    }
}

/// What one agent observes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Observation {
    /// One of `n`: its index, an integer from 0 to `n` − 1. Networks read it one-hot.
    Discrete {
        /// How many there are.
        n: usize,
        /// Their names; empty where they have none.
        labels: Vec<String>,
    },
    /// A picture, channel by channel and row by row.
    Picture(Picture),
    /// Numbers in order, a field each. In JSON it is the list alone.
    #[serde(untagged)]
    Numbers(Vec<Field>),
}

impl Observation {
    /// One of the labels.
    pub fn discrete<S: ToString>(labels: impl IntoIterator<Item = S>) -> Self {
        let labels: Vec<String> = labels.into_iter().map(|l| l.to_string()).collect();
        Self::Discrete { n: labels.len(), labels }
    }

    /// Numbers that an environment writes and an agent is given.
    pub fn len(&self) -> usize {
        match self {
            Self::Discrete { .. } => 1,
            Self::Picture(picture) => picture.shape().iter().product(),
            Self::Numbers(fields) => fields.len(),
        }
    }

    /// Whether nothing is observed (no valid spec is so).
    pub fn is_empty(&self) -> bool {
        self.inputs() == 0
    }

    /// Numbers that a network reads: the same, but n where the observation is one of n.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Discrete { n, .. } => *n,
            other => other.len(),
        }
    }

    /// The smallest type that holds its numbers.
    pub fn dtype(&self) -> Dtype {
        if matches!(self, Self::Picture(_)) { Dtype::U8 } else { Dtype::F32 }
    }

    /// `[channels, height, width]` of a picture; else empty.
    pub fn picture_shape(&self) -> Vec<usize> {
        match self {
            Self::Picture(picture) => picture.shape().to_vec(),
            _ => Vec::new(),
        }
    }

    /// Whether both have the same kind, length and shape, so that one network can read both.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Discrete { n: a, .. }, Self::Discrete { n: b, .. }) => a == b,
            (Self::Picture(a), Self::Picture(b)) => a.shape() == b.shape() && a.high == b.high,
            (Self::Numbers(a), Self::Numbers(b)) => a.len() == b.len(),
            _ => false,
        }
    }

    /// Whether number `at` of an observation can be `x`; if not, why.
    pub fn admits(&self, at: usize, x: f32) -> Result<(), String> {
        let whole = |high: usize, name: &str| {
            let good = x.fract() == 0.0 && x >= 0.0 && x <= high as f32;
            if good { Ok(()) } else { Err(format!("{name} = {x} is not an integer from 0 to {high}")) }
        };
        match self {
            Self::Discrete { n, .. } => whole(n.saturating_sub(1), "the observation"),
            Self::Picture(picture) => {
                let [_, height, width] = picture.shape();
                let (channel, cell) = (at / (height * width), at % (height * width));
                let place = || format!("`{}` at {}, {}", picture.channels[channel], cell / width, cell % width);
                whole(picture.high.into(), "").map_err(|why| place() + &why)
            }
            Self::Numbers(fields) => {
                let f = &fields[at];
                if x.is_finite() && x >= f.low && x <= f.high {
                    return Ok(());
                }
                Err(format!("observation {at} `{}` = {x} is outside [{}, {}]", f.name, f.low, f.high))
            }
        }
    }

    /// An observation for other programs: a list of numbers, one integer, or lists by channel and row.
    pub fn to_json(&self, obs: &[f32]) -> Value {
        match self {
            Self::Discrete { .. } => Value::from(obs[0] as u64),
            Self::Picture(picture) => {
                let row = |row: &[f32]| row.iter().map(|x| *x as u8).collect::<Value>();
                let channel = |channel: &[f32]| channel.chunks(picture.width).map(row).collect::<Value>();
                obs.chunks(picture.height * picture.width).map(channel).collect()
            }
            Self::Numbers(_) => obs.to_vec().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn picture() -> Observation {
        let channels = vec!["ball".into(), "wall".into()];
        Observation::Picture(Picture { channels, height: 2, width: 3, high: 9 })
    }

    #[test]
    fn every_kind_has_its_size_and_its_json() {
        let numbers = Observation::Numbers(vec![Field::new("x", "m", -1.0, f32::INFINITY)]);
        let one = Observation::discrete(["left", "right", "above"]);
        let sizes = [&numbers, &one, &picture()].map(|o| (o.len(), o.inputs(), o.dtype(), o.picture_shape()));
        assert_eq!(sizes, [(1, 1, Dtype::F32, vec![]), (1, 3, Dtype::F32, vec![]), (12, 12, Dtype::U8, vec![2, 2, 3])]);
        let written = [
            json!([{"name": "x", "unit": "m", "low": -1.0, "high": null}]),
            json!({"kind": "discrete", "n": 3, "labels": ["left", "right", "above"]}),
            json!({"kind": "picture", "channels": ["ball", "wall"], "height": 2, "width": 3, "high": 9}),
        ];
        for (observation, json) in [numbers, one, picture()].into_iter().zip(written) {
            assert_eq!(serde_json::to_value(&observation).unwrap(), json);
            assert_eq!(serde_json::from_value::<Observation>(json).unwrap(), observation);
        }
    }

    #[test]
    fn an_observation_is_told_in_its_shape() {
        let numbers: Vec<f32> = (0..12).map(|x| x as f32 / 2.0).map(f32::floor).collect();
        assert_eq!(picture().to_json(&numbers), json!([[[0, 0, 1], [1, 2, 2]], [[3, 3, 4], [4, 5, 5]]]));
        assert_eq!(Observation::discrete(["a", "b"]).to_json(&[1.0]), json!(1));
        assert_eq!(Observation::Numbers(vec![Field::new("x", "", 0.0, 1.0)]).to_json(&[1.0]), json!([1.0]));
    }

    #[test]
    fn what_can_be_read_alike() {
        let sized = |n: usize| Observation::Discrete { n, labels: Vec::new() };
        let fields = |n: usize| Observation::Numbers(vec![Field::new("x", "", 0.0, 1.0); n]);
        assert!(sized(3).is_like(&Observation::discrete(["a", "b", "c"])) && !sized(3).is_like(&sized(4)));
        assert!(picture().is_like(&picture()) && fields(2).is_like(&fields(2)));
        assert!(!fields(1).is_like(&sized(1)) && !fields(12).is_like(&picture()) && !fields(2).is_like(&fields(3)));
    }
}
