//! Weights of other programs: a safetensors file, and a mapping from names of parameters to names in the file.

use crate::agent::AgentError;
use agon_core::settings::{Issue, Setting, hint, nearest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Kind, Tensor};

/// Names of parameters, and where their numbers are in a file: a name, or several whose rows come one after the other. A
/// `*` stands for anything, and for the same on the other side; of several that fit a parameter, the longest counts, and
/// an empty name lets the parameter be. Without any, names are the same on both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping(BTreeMap<String, Vec<String>>);

impl Setting for Mapping {
    fn kind() -> String {
        "table of names in the file by names of parameters".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let wrong = || format!("expected a table such as {{ \"layers.*\" = \"encoder.layer.*\" }}, found {value}");
        let text = |value: &Value| value.as_str().map(String::from).ok_or_else(wrong);
        let names = |value: &Value| match value {
            Value::Array(all) if !all.is_empty() => all.iter().map(text).collect(),
            one => Ok(vec![text(one)?]),
        };
        let table = value.as_object().ok_or_else(wrong)?;
        table.iter().map(|(own, there)| Ok((own.clone(), names(there)?))).collect::<Result<_, _>>().map(Self)
    }

    fn to_value(&self) -> Value {
        let names =
            |all: &Vec<String>| if all.len() == 1 { Value::from(all[0].as_str()) } else { Value::from(all.clone()) };
        self.0.iter().map(|(own, there)| (own.clone(), names(there))).collect()
    }
}

impl Mapping {
    /// The names in the file of a parameter; none where no rule is about it.
    fn names(&self, own: &str) -> Option<Vec<String>> {
        if self.0.is_empty() {
            return Some(vec![own.into()]);
        }
        let fits = |pattern: &String| match pattern.split_once('*') {
            None => (pattern == own).then(String::new),
            Some((front, back)) if own.len() >= front.len() + back.len() => {
                let rest = own.strip_prefix(front)?.strip_suffix(back)?;
                Some(rest.into())
            }
            Some(_) => None,
        };
        let found = self.0.iter().filter_map(|(pattern, names)| Some((pattern.len(), fits(pattern)?, names)));
        let (_, star, names) = found.max_by_key(|(length, ..)| *length).filter(|(.., names)| names != &&[""])?;
        Some(names.iter().map(|name| name.replacen('*', &star, 1)).collect())
    }
}

/// How the numbers of a parameter lie in a file of PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As they do here.
    Same,
    /// As they do here, and there may be more rows, which are left out.
    Rows,
    /// `[outputs, inputs]` for `[inputs, outputs]`.
    Transposed,
    /// `[outputs, inputs, side, side]` for `[side × side × inputs, outputs]`.
    Kernel(i64),
}

/// A parameter that a file may set.
pub struct Wanted {
    /// Its name here.
    pub name: String,
    /// How it lies in a file.
    pub layout: Layout,
    /// Its numbers, which are changed.
    pub here: Tensor,
}

/// What was taken from a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Parameters that were set.
    pub taken: Vec<String>,
    /// Parameters that no rule is about: they keep what they had.
    pub fresh: Vec<String>,
    /// Names in the file that were not used.
    pub unused: Vec<String>,
}

/// Sets parameters to what a safetensors file has; nothing is changed unless all of it fits.
///
/// # Errors
/// [`AgentError::Data`] where the file cannot be read; [`AgentError::Settings`] where a name of the mapping is not in it, a
/// shape is another one, or nothing is set.
pub fn adopt(wanted: Vec<Wanted>, file: &Path, mapping: &Mapping) -> Result<Taken, AgentError> {
    let all = Tensor::read_safetensors(file).map_err(|e| {
        let why = e.to_string();
        AgentError::Data(format!("{}: no safetensors file: {}", file.display(), why.lines().next().unwrap_or_default()))
    })?;
    let all: BTreeMap<String, Tensor> = all.into_iter().collect();
    let wrong = |why: String| AgentError::from(Issue::value("mapping", why));
    let (mut found, mut fresh, mut used) = (Vec::new(), Vec::new(), Vec::new());
    for Wanted { name, layout, here } in wanted {
        let names = mapping.names(&name);
        let is_own = mapping.0.is_empty() && !all.contains_key(&name);
        let Some(names) = names.filter(|_| !is_own) else {
            fresh.push(name);
            continue;
        };
        let parts = names.iter().map(|there| {
            let known = all.get(there).map(|t| t.to_kind(Kind::Float));
            known.ok_or_else(|| {
                let near = nearest(there, all.keys().map(String::as_str));
                wrong(format!("`{name}` is to be `{there}`, which the file does not have{}", hint(&near)))
            })
        });
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let shapes: Vec<Vec<i64>> = parts.iter().map(Tensor::size).collect();
        let unfit = || {
            let there: Vec<String> = shapes.iter().map(|shape| format!("{shape:?}")).collect();
            let wanted = layout.there(&here.size());
            wrong(format!("`{name}` needs the shape {wanted:?}, `{}` has {}", names.join("`, `"), there.join(", ")))
        };
        if shapes.iter().any(|shape| shape.is_empty() || shape[1..] != shapes[0][1..]) {
            return Err(unfit());
        }
        let there = layout.here(&Tensor::cat(&parts, 0), &here).ok_or_else(unfit)?;
        used.extend(names);
        found.push((name, here, there));
    }
    if found.is_empty() {
        let some: Vec<&str> = all.keys().take(6).map(String::as_str).collect();
        return Err(wrong(format!("no parameter has a name of the file, which has {}, …", some.join(", "))));
    }
    let unused = all.into_keys().filter(|name| !used.contains(name)).collect();
    let taken = tch::no_grad(|| {
        let set = |(name, mut here, there): (String, Tensor, Tensor)| {
            here.copy_(&there);
            name
        };
        found.into_iter().map(set).collect()
    });
    Ok(Taken { taken, fresh, unused })
}

impl Layout {
    /// The shape in a file of what has this shape here.
    fn there(self, here: &[i64]) -> Vec<i64> {
        match self {
            Self::Same | Self::Rows => here.to_vec(),
            Self::Transposed => here.iter().rev().copied().collect(),
            Self::Kernel(side) => vec![here[1], here[0] / (side * side), side, side],
        }
    }

    /// The numbers of a file as they lie here, if they have the shape.
    fn here(self, there: &Tensor, here: &Tensor) -> Option<Tensor> {
        let (wanted, size) = (self.there(&here.size()), there.size());
        let fits = match self {
            Self::Rows => size.len() == wanted.len() && size[0] >= wanted[0] && size[1..] == wanted[1..],
            _ => size == wanted,
        };
        fits.then(|| match self {
            Self::Same => there.shallow_clone(),
            Self::Rows => there.narrow(0, 0, wanted[0]),
            Self::Transposed => there.tr(),
            Self::Kernel(_) => there.permute([2, 3, 1, 0]).reshape(here.size()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mapping(value: Value) -> Mapping {
        Mapping::from_value(&value).unwrap()
    }

    #[test]
    fn names_are_found_by_the_longest_rule() {
        let rules = mapping(json!({
            "layers.*": "encoder.layer.*",
            "layers.*.qkv": ["l.*.q", "l.*.k"],
            "head": "classifier",
            "layers.9.*": "",
        }));
        let names = |own: &str| rules.names(own).unwrap_or_default();
        assert_eq!(names("layers.0.norm.weight"), ["encoder.layer.0.norm.weight"]);
        assert_eq!(names("layers.1.qkv"), ["l.1.q", "l.1.k"]);
        assert_eq!(names("head"), ["classifier"]);
        assert!(names("heads").is_empty() && names("layers.9.norm").is_empty());
        assert_eq!(Mapping::from_value(&rules.to_value()).unwrap(), rules);
        assert!(Mapping::from_value(&json!({"a": 1})).unwrap_err().contains("expected a table"));
    }

    /// Rows are joined, kernels and matrices are turned; what does not fit is told, and then nothing changes.
    #[test]
    fn parameters_are_set_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.safetensors");
        let counted =
            |shape: &[i64]| Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, tch::Device::Cpu)).view(shape);
        let all = [
            ("q", counted(&[1, 2])),
            ("k", counted(&[1, 2]) + 10),
            ("m", counted(&[3, 2])),
            ("c", counted(&[2, 1, 3, 3])),
        ];
        Tensor::write_safetensors(&all, &file).unwrap();
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, tch::Device::Cpu));
        let own = [zeros(&[2, 2]), zeros(&[2, 3]), zeros(&[9, 2]), zeros(&[4])];
        let wanted = || {
            let layouts = [Layout::Same, Layout::Transposed, Layout::Kernel(3), Layout::Same];
            let each = ["qk", "matrix", "kernel", "fresh"].iter().zip(layouts).zip(&own);
            each.map(|((name, layout), t)| Wanted { name: (*name).into(), layout, here: t.shallow_clone() })
                .collect::<Vec<_>>()
        };
        let told = |value: Value| adopt(wanted(), &file, &mapping(value)).unwrap_err().to_string();
        assert!(told(json!({"matrix": "m", "qk": "q"})).contains("`qk` needs the shape [2, 2], `q` has [1, 2]"));
        assert!(told(json!({"matrix": "mm"})).contains("did you mean `m`"));
        assert!(told(json!({})).contains("no parameter has a name of the file"));
        assert_eq!(own[1].abs().sum(Kind::Float).double_value(&[]), 0.0);
        let found = adopt(wanted(), &file, &mapping(json!({"qk": ["q", "k"], "matrix": "m", "kernel": "c"}))).unwrap();
        assert_eq!((found.taken.len(), found.fresh, found.unused.len()), (3, vec!["fresh".to_owned()], 0));
        let at = |i: usize, place: [i64; 2]| own[i].double_value(&place);
        assert_eq!((at(0, [1, 0]), at(1, [0, 2]), at(1, [1, 2])), (10.0, 4.0, 5.0));
        // Row by row of the kernel: outputs are columns here.
        assert_eq!((at(2, [4, 0]), at(2, [4, 1])), (4.0, 13.0));
        std::fs::write(&file, "no").unwrap();
        assert!(told(json!({})).contains("no safetensors file"));
    }
}
