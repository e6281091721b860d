//! The settings that a search varies: `[search.space]`, a range or choices for each.

use agon_core::settings::Issue;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The values of a setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Numbers, all equally likely.
    Range([f64; 2]),
    /// Numbers above 0 whose logarithms are equally likely.
    Log([f64; 2]),
    /// Integers, both ends included.
    Integers([i64; 2]),
    /// Integers above 0 whose logarithms are about equally likely.
    LogIntegers([i64; 2]),
    /// Any values.
    Choices(Vec<Value>),
}

/// How values are written.
const FORMS: &str = "write { range = [0.1, 0.9] }, { log = [1e-5, 1e-2] }, { integers = [1, 4] }, { log_integers = [16, 512] } \
                     or { choices = [\"a\", \"b\"] }";

impl Values {
    fn read(value: &Value) -> Result<Self, String> {
        let one = value.as_object().filter(|table| table.len() == 1).ok_or(FORMS)?;
        let read = Self::deserialize(value).map_err(|_| FORMS.to_owned())?;
        let name = one.keys().next().map_or("", String::as_str);
        let wrong = |why: &str| Err(format!("{name}: {why}"));
        match &read {
            Self::Range([low, high]) | Self::Log([low, high])
                if !(low < high && low.is_finite() && high.is_finite()) =>
            {
                wrong("the first end must be below the second")
            }
            Self::Integers([low, high]) | Self::LogIntegers([low, high]) if low >= high => {
                wrong("the first end must be below the second")
            }
            Self::Log([low, _]) if *low <= 0.0 => wrong("both ends must be above 0"),
            Self::LogIntegers([low, _]) if *low <= 0 => wrong("both ends must be above 0"),
            Self::Choices(all) if all.len() < 2 => wrong("name two at least"),
            _ => Ok(read),
        }
    }

    /// The value at a place from 0 to 1.
    fn value(&self, at: f64) -> Value {
        let whole = |x: f64, [low, high]: [i64; 2]| json!((x.floor() as i64).clamp(low, high));
        match self {
            Self::Range([low, high]) => json!(low + at * (high - low)),
            Self::Log([low, high]) => json!((low.ln() + at * (high / low).ln()).exp()),
            Self::Integers([low, high]) => whole(*low as f64 + at * (high - low + 1) as f64, [*low, *high]),
            Self::LogIntegers([low, high]) => {
                let ends = [*low as f64, (high + 1) as f64];
                whole((ends[0].ln() + at * (ends[1] / ends[0]).ln()).exp(), [*low, *high])
            }
            Self::Choices(all) => all[((at * all.len() as f64) as usize).min(all.len() - 1)].clone(),
        }
    }

    /// How many choices there are, which have no order; none of numbers.
    pub fn choices(&self) -> Option<usize> {
        match self {
            Self::Choices(all) => Some(all.len()),
            _ => None,
        }
    }
}

/// All settings that are varied, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// A setting such as `agent.learning_rate`, and its values.
    pub all: Vec<(String, Values)>,
}

impl Space {
    /// From `[search.space]`.
    ///
    /// # Errors
    /// Every key that cannot be understood, with why.
    pub fn read(table: &Map<String, Value>) -> Result<Self, Vec<Issue>> {
        let (mut all, mut issues) = (Vec::new(), Vec::new());
        for (key, value) in table {
            let varied = ["env", "agent", "features", "model", "data", "train", "fit", "pictures"];
            let table = key.split_once('.').map(|(table, _)| table);
            if !table.is_some_and(|table| varied.contains(&table)) {
                issues.push(Issue::key(key, "name a setting with its table, in quotes: \"agent.learning_rate\""));
            } else if ["train.seed", "train.seeds", "train.steps"].contains(&key.as_str()) {
                issues.push(Issue::key(key, "cannot be varied: trials would be no longer comparable"));
            } else {
                match Values::read(value) {
                    Ok(values) => all.push((key.clone(), values)),
                    Err(why) => issues.push(Issue::value(key, why)),
                }
            }
        }
        if all.is_empty() && issues.is_empty() {
            issues.push(Issue { path: Vec::new(), at_key: true, message: format!("nothing is varied: {FORMS}") });
        }
        if issues.is_empty() { Ok(Self { all }) } else { Err(issues) }
    }

    /// How many settings are varied.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Names and values at a place.
    pub fn settings(&self, at: &[f64]) -> Vec<(String, Value)> {
        self.all.iter().zip(at).map(|((name, values), at)| (name.clone(), values.value(*at))).collect()
    }

    /// The same as `--set` has it.
    pub fn sets(&self, at: &[f64]) -> Vec<String> {
        self.settings(at).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// Places where each setting alone is at an end of its values, or at each of its choices: what must be allowed.
    pub fn corners(&self) -> Vec<Vec<f64>> {
        let one = |(k, (_, values)): (usize, &(String, Values))| {
            let places: Vec<f64> = match values.choices() {
                Some(n) => (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect(),
                None => vec![0.0, 1.0],
            };
            let of = move |at: f64| {
                let mut all = vec![0.5; self.len()];
                all[k] = at;
                all
            };
            places.into_iter().map(of).collect::<Vec<_>>()
        };
        self.all.iter().enumerate().flat_map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(value: &Value) -> Result<Space, Vec<Issue>> {
        Space::read(value.as_object().unwrap())
    }

    #[test]
    fn values_are_within_their_ends() {
        let space = space(&json!({
            "agent.a": {"range": [0.5, 1.5]}, "agent.b": {"log": [1e-4, 1e-2]}, "agent.c": {"integers": [1, 4]},
            "agent.d": {"log_integers": [1, 1000]}, "agent.e": {"choices": [[64, 64], "x"]},
        }))
        .unwrap();
        let at = |x: f64| space.settings(&[x; 5]).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        let (low, high, middle) = (at(0.0), at(1.0), at(0.5));
        assert_eq!((&low[0], &low[2], &low[3], &low[4]), (&json!(0.5), &json!(1), &json!(1), &json!([64, 64])));
        assert_eq!((&high[0], &high[2], &high[3], &high[4]), (&json!(1.5), &json!(4), &json!(1000), &json!("x")));
        assert!((middle[1].as_f64().unwrap() - 1e-3).abs() < 1e-12 && middle[3] == 31, "{middle:?}");
        let counts = (0..1000).fold([0; 4], |mut counts, i| {
            counts[space.settings(&[f64::from(i) / 1000.0; 5])[2].1.as_u64().unwrap() as usize - 1] += 1;
            counts
        });
        assert_eq!(counts, [250; 4]);
        assert_eq!(space.sets(&[0.0; 5])[4], "agent.e=[64,64]");
        assert_eq!(space.corners().len(), 10);
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (key, value, why) in [
            ("agent.x", json!(3), "write {"),
            ("agent.x", json!({"log": [0.0, 1.0]}), "above 0"),
            ("agent.x", json!({"range": [1.0, 1.0]}), "below the second"),
            ("agent.x", json!({"integers": [1.5, 2]}), "write {"),
            ("agent.x", json!({"choices": [1]}), "two at least"),
            ("learning_rate", json!({"range": [0.0, 1.0]}), "with its table"),
            ("eval.seed", json!({"integers": [1, 2]}), "with its table"),
            ("train.seed", json!({"integers": [1, 2]}), "cannot be varied"),
        ] {
            let told = space(&json!({ key: value })).unwrap_err()[0].to_string();
            assert!(told.contains(why), "{key}: {told}");
        }
        assert!(space(&json!({})).unwrap_err()[0].message.contains("nothing is varied"));
    }
}
