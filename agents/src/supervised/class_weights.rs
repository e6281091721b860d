//! How much a row counts by its class.

use crate::agent::AgentError;
use agon_core::settings::{Issue, Setting, hint, nearest};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How much a row counts by its class: equally, so that all classes count the same, or as a table says.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ClassWeights {
    /// All rows count 1.
    #[default]
    None,
    /// n / (classes × rows of the class): all classes count the same, and the mean is 1.
    Balanced,
    /// What rows of a class count; 1 where it is not named.
    Given(BTreeMap<String, f64>),
}

impl Setting for ClassWeights {
    fn kind() -> String {
        "none | balanced | table of numbers by class".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let wrong = || format!("expected \"none\", \"balanced\" or a table such as {{ yes = 5 }}, found {value}");
        match (value.as_str(), value.as_object()) {
            (Some("none"), _) => Ok(Self::None),
            (Some("balanced"), _) => Ok(Self::Balanced),
            (_, Some(table)) => {
                let one = |(class, weight): (&String, &Value)| {
                    let weight = weight.as_f64().filter(|w| *w > 0.0 && *w < 1e9);
                    Some((
                        class.clone(),
                        weight.ok_or_else(|| format!("the weight of `{class}` must be a number above 0")),
                    ))
                };
                table
                    .iter()
                    .filter_map(one)
                    .map(|(class, weight)| Ok((class, weight?)))
                    .collect::<Result<_, _>>()
                    .map(Self::Given)
            }
            _ => Err(wrong()),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::None => "none".into(),
            Self::Balanced => "balanced".into(),
            Self::Given(table) => table.iter().map(|(class, weight)| (class.clone(), Value::from(*weight))).collect(),
        }
    }
}

impl ClassWeights {
    /// Those of a model's settings, whatever its kind.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where they cannot be read.
    pub fn of_settings(settings: &Map<String, Value>) -> Result<Self, AgentError> {
        let given = settings.get("class_weights").map_or(Ok(Self::None), Self::from_value);
        Ok(given.map_err(|why| Issue::value("class_weights", why))?)
    }

    /// The weight of a row of each class, by the classes of the training part's rows; nothing where all count 1.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where there are no classes, or none of a name.
    pub fn of(&self, y: impl Iterator<Item = usize>, names: &[String]) -> Result<Vec<f64>, AgentError> {
        if *self == Self::None {
            return Ok(Vec::new());
        }
        if names.is_empty() {
            return Err(Issue::value("class_weights", "is for classes, and this target holds numbers").into());
        }
        if let Self::Given(table) = self {
            if let Some(class) = table.keys().find(|class| !names.contains(class)) {
                let near = hint(&nearest(class, names.iter().map(String::as_str)));
                return Err(Issue::value("class_weights", format!("no class is called `{class}`{near}")).into());
            }
            return Ok(names.iter().map(|name| table.get(name).copied().unwrap_or(1.0)).collect());
        }
        let mut counts = vec![0usize; names.len()];
        y.for_each(|class| counts[class] += 1);
        let there = counts.iter().filter(|n| **n > 0).count();
        let n = counts.iter().sum::<usize>() as f64;
        let weight = |count: usize| if count > 0 { n / (there * count) as f64 } else { 1.0 };
        Ok(counts.into_iter().map(weight).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn weights_are_words_or_a_table() {
        let names = ["no", "yes"].map(String::from);
        let of = |value: Value| ClassWeights::from_value(&value).unwrap().of([0, 0, 0, 1].into_iter(), &names);
        assert_eq!(of(json!("none")).unwrap(), [0.0; 0]);
        assert_eq!(of(json!("balanced")).unwrap(), [4.0 / 6.0, 2.0]);
        assert_eq!(of(json!({"yes": 5})).unwrap(), [1.0, 5.0]);
        assert!(of(json!({"yess": 5})).unwrap_err().to_string().contains("did you mean `yes`"));
        assert!(ClassWeights::from_value(&json!({"yes": 0})).unwrap_err().contains("above 0"));
        assert!(ClassWeights::from_value(&json!("balance")).unwrap_err().contains("\"balanced\""));
        let numbers = ClassWeights::Balanced.of([0].into_iter(), &[]).unwrap_err().to_string();
        assert!(numbers.contains("holds numbers"), "{numbers}");
        for value in [json!("balanced"), json!({"yes": 5.0})] {
            assert_eq!(ClassWeights::from_value(&value).unwrap().to_value(), value);
        }
    }
}
