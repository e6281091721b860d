//! Settings of scenarios, each declared once.
//!
//! [`settings!`](crate::settings!) turns one list into a struct with defaults, a reader that names every unknown key,
//! wrong type and value out of range, and the table that `agon envs` and `agon agents` print.

use serde_json::{Map, Value};

/// One error in a setting. The path leads to it, such as `env.prices`; the reader of the file turns it into a line and
/// a caret.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// Keys from the outermost table to the setting.
    pub path: Vec<String>,
    /// Whether the key itself is wrong, rather than its value.
    pub at_key: bool,
    /// The message: what is wrong and what would be right.
    pub message: String,
}

impl Issue {
    /// An invalid value.
    pub fn value(name: &str, message: impl Into<String>) -> Self {
        Self { path: vec![name.into()], at_key: false, message: message.into() }
    }

    /// An invalid key.
    pub fn key(name: &str, message: impl Into<String>) -> Self {
        Self { path: vec![name.into()], at_key: true, message: message.into() }
    }

    /// The same issue, with its path from the enclosing table.
    #[must_use]
    pub fn within(mut self, table: &str) -> Self {
        self.path.insert(0, table.into());
        self
    }
}

impl std::fmt::Display for Issue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.join("."), self.message)
    }
}

/// ", did you mean `x`?" where something near exists.
pub fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or(String::new(), |n| format!(", did you mean `{n}`?"))
}

/// A name without case, spaces, hyphens and underscores.
pub fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether two names are equal up to spelling (see [`plain`]), or one letter of four or more.
pub fn alike(a: &str, b: &str) -> bool {
    let (a, b) = (plain(a), plain(b));
    a == b || a.chars().count().min(b.chars().count()) >= 4 && strsim::damerau_levenshtein(&a, &b) <= 1
}

/// The nearest of some names, if it is near enough for a suggestion.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let small = name.to_lowercase();
    names
        .into_iter()
        .map(|n| (strsim::normalized_damerau_levenshtein(&small, &n.to_lowercase()), n))
        .filter(|(score, n)| *score > 0.5 || n.contains(name) || name.contains(n))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n.to_owned())
}

/// One declared setting, as text.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its key.
    pub name: &'static str,
    /// Its type in words.
    pub kind: String,
    /// Its default, as JSON.
    pub default: Value,
    /// Its range, if it has one, in words.
    pub range: Option<String>,
    /// What it means.
    pub about: &'static str,
}

/// A struct made by [`settings!`](crate::settings!).
pub trait Settings: Clone + Default + Send + Sync + 'static {
    /// Every setting in order.
    fn declared() -> Vec<Declared>;
    /// Reads a table; settings that are left out keep their default.
    fn read(table: &Map<String, Value>) -> Result<Self, Vec<Issue>>;
    /// All settings as a table that [`Settings::read`] reads back.
    fn write(&self) -> Map<String, Value>;
}

/// A type of settings.
pub trait Setting: Clone + Sized {
    /// In words, for messages.
    fn kind() -> String;
    /// From a value, or what was expected.
    fn from_value(value: &Value) -> Result<Self, String>;
    /// The same with the place of each error within the value: tables name their keys.
    fn read_value(value: &Value) -> Result<Self, Vec<Issue>> {
        Self::from_value(value).map_err(|message| vec![Issue { path: Vec::new(), at_key: false, message }])
    }
    /// Back into a value.
    fn to_value(&self) -> Value;
    /// Its numbers, for range checks.
    fn numbers(&self) -> Vec<f64> {
        Vec::new()
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Number(n) => format!("`{n}`"),
        Value::String(s) => format!("the text \"{s}\""),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a table".into(),
    }
}

macro_rules! whole_setting {
    ($($t:ty),*) => {$(
        impl Setting for $t {
            fn kind() -> String {
                "integer".into()
            }
            fn from_value(value: &Value) -> Result<Self, String> {
                // 1e5 is as whole as 100_000.
                let float = || value.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| x as i128);
                let whole = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from)).or_else(float);
                let whole = whole.ok_or_else(|| format!("expected an integer, found {}", found(value)))?;
                let outside = || if whole < 0 { "must be 0 or more" } else { "is too large" };
                <$t>::try_from(whole).map_err(|_| format!("`{whole}` {}", outside()))
            }
            fn to_value(&self) -> Value {
                (*self).into()
            }
            fn numbers(&self) -> Vec<f64> {
                vec![*self as f64]
            }
        }
    )*};
}
whole_setting!(u32, u64, usize, i64);

impl Setting for f64 {
    fn kind() -> String {
        "number".into()
    }
    fn from_value(value: &Value) -> Result<Self, String> {
        let number = value.as_f64().ok_or_else(|| format!("expected a number, found {}", found(value)))?;
        if number.is_finite() { Ok(number) } else { Err("must be finite".into()) }
    }
    fn to_value(&self) -> Value {
        (*self).into()
    }
    fn numbers(&self) -> Vec<f64> {
        vec![*self]
    }
}

impl Setting for bool {
    fn kind() -> String {
        "true or false".into()
    }
    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("expected true or false, found {}", found(value)))
    }
    fn to_value(&self) -> Value {
        (*self).into()
    }
}

impl Setting for String {
    fn kind() -> String {
        "text".into()
    }
    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_str().map(Self::from).ok_or_else(|| format!("expected text, found {}", found(value)))
    }
    fn to_value(&self) -> Value {
        self.as_str().into()
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn kind() -> String {
        format!("list of {}", T::kind())
    }
    fn from_value(value: &Value) -> Result<Self, String> {
        Self::read_value(value).map_err(|issues| issues[0].message.clone())
    }
    fn read_value(value: &Value) -> Result<Self, Vec<Issue>> {
        let expected = |message| vec![Issue { path: Vec::new(), at_key: false, message }];
        let list = value.as_array().ok_or_else(|| expected(format!("expected a list, found {}", found(value))))?;
        let mut issues = Vec::new();
        let mut read = Vec::with_capacity(list.len());
        for (place, value) in (1..).zip(list) {
            match T::read_value(value) {
                Ok(one) => read.push(one),
                // A table of a list is found by its place; of another value the list is told.
                Err(inner) => issues.extend(inner.into_iter().map(|issue| match &issue.path[..] {
                    [] => Issue { message: format!("at place {place}: {}", issue.message), ..issue },
                    _ => issue.within(&place.to_string()),
                })),
            }
        }
        if issues.is_empty() { Ok(read) } else { Err(issues) }
    }
    fn to_value(&self) -> Value {
        self.iter().map(T::to_value).collect()
    }
    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(T::numbers).collect()
    }
}

impl<T: Setting> Setting for Option<T> {
    fn kind() -> String {
        format!("{} (optional)", T::kind())
    }
    fn from_value(value: &Value) -> Result<Self, String> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }
    fn read_value(value: &Value) -> Result<Self, Vec<Issue>> {
        if value.is_null() { Ok(None) } else { T::read_value(value).map(Some) }
    }
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }
    fn numbers(&self) -> Vec<f64> {
        self.as_ref().map_or(Vec::new(), T::numbers)
    }
}

/// Names of settings in Stable-Baselines3, rl-zoo3 and CleanRL, and their names here, in order of preference.
const ELSEWHERE: [(&str, &[&str]); 29] = [
    ("n_steps", &["rollout_steps", "n_step"]),
    ("num_steps", &["rollout_steps"]),
    ("n_epochs", &["epochs"]),
    ("update_epochs", &["epochs"]),
    ("n_envs", &["envs"]),
    ("num_envs", &["envs"]),
    ("n_timesteps", &["steps"]),
    ("total_timesteps", &["steps"]),
    ("batch_size", &["minibatch", "batch"]),
    ("minibatch_size", &["minibatch"]),
    ("buffer_size", &["memory", "window"]),
    ("ent_coef", &["entropy_coef"]),
    ("vf_coef", &["value_coef"]),
    ("clip_coef", &["clip_range"]),
    ("clip_range_vf", &["value_clip"]),
    ("net_arch", &["hidden"]),
    ("activation_fn", &["activation"]),
    ("log_std_init", &["log_std"]),
    ("lr", &["learning_rate"]),
    ("train_freq", &["train_every"]),
    ("train_frequency", &["train_every"]),
    ("target_update_interval", &["target_every"]),
    ("policy_delay", &["policy_every"]),
    ("policy_frequency", &["policy_every"]),
    ("target_policy_noise", &["target_noise"]),
    ("policy_noise", &["target_noise"]),
    ("noise_clip", &["target_noise_clip"]),
    ("exploration_final_eps", &["epsilon_end"]),
    ("exploration_fraction", &["epsilon_share"]),
];

/// The name here of a setting of another library, if it exists.
fn elsewhere(key: &str, known: &[&str]) -> Option<String> {
    let (_, here) = ELSEWHERE.iter().find(|(name, _)| *name == key)?;
    here.iter().find(|name| known.contains(name)).map(ToString::to_string)
}

/// Checks the keys of a table against the declared ones.
pub fn unknown_keys(table: &Map<String, Value>, known: &[&str]) -> Vec<Issue> {
    let unknown = table.keys().filter(|k| !known.contains(&k.as_str()));
    unknown
        .map(|k| {
            let near = elsewhere(k, known).or_else(|| nearest(k, known.iter().copied()));
            let rest = match (&near, known) {
                (Some(_), _) => String::new(),
                (None, []) => "; there is nothing to set".into(),
                (None, known) => format!("; known are {}", known.join(", ")),
            };
            Issue::key(k, format!("unknown key `{k}`{}{rest}", hint(&near)))
        })
        .collect()
}

/// Reads one setting and checks its range. For the macro.
pub fn read_one<T: Setting>(
    table: &Map<String, Value>,
    name: &str,
    target: &mut T,
    range: Option<(f64, f64)>,
    issues: &mut Vec<Issue>,
) {
    let Some(value) = table.get(name) else { return };
    match T::read_value(value) {
        Err(inner) => issues.extend(inner.into_iter().map(|issue| issue.within(name))),
        Ok(read) => {
            let outside = |x: &f64| range.is_some_and(|(low, high)| !(*x >= low && *x <= high));
            match read.numbers().iter().find(|x| outside(x)) {
                Some(x) => {
                    let words = range_words(range).unwrap_or_default();
                    issues.push(Issue::value(name, format!("`{x}` must lie in {words}")));
                }
                None => *target = read,
            }
        }
    }
}

/// Reads a table that is a setting itself; a value that is no table stands for its first key alone. For the macro.
pub fn read_table<S: Settings>(value: &Value) -> Result<S, Vec<Issue>> {
    match (value, S::declared().first()) {
        (Value::Object(table), _) => S::read(table),
        (value, Some(first)) => {
            let alone = S::read(&Map::from_iter([(first.name.to_owned(), value.clone())]));
            // It is where the value is: the key is not written.
            let here = |issue: Issue| Issue { path: issue.path[1..].to_vec(), ..issue };
            alone.map_err(|issues| issues.into_iter().map(here).collect())
        }
        (value, None) => Err(vec![Issue {
            path: Vec::new(),
            at_key: false,
            message: format!("expected a table, found {}", found(value)),
        }]),
    }
}

/// A range in words. For the macro.
pub fn range_words(range: Option<(f64, f64)>) -> Option<String> {
    let (low, high) = range?;
    Some(if high == f64::INFINITY { format!("{low} or more") } else { format!("{low} to {high}") })
}

/// Declares settings: documentation, key, type, default and (for numbers) the closed range `in [low, high]`. What it
/// declares is a type of setting too, a table within a table: `Vec` of it is a list of tables.
///
/// ```
/// agon_core::settings! {
///     /// A shop.
///     pub struct Shop {
///         /// Units in stock at the start.
///         stock: u32 = 20, in [1.0, 1e6];
///         /// The prices on the menu.
///         prices: Vec<f64> = vec![1.0, 2.0], in [0.0, f64::INFINITY];
///         /// Its name.
///         name: String = "corner".into();
///     }
/// }
/// use agon_core::settings::Settings;
/// let table = serde_json::json!({"stok": 3});
/// let issues = Shop::read(table.as_object().unwrap()).unwrap_err();
/// assert_eq!(issues[0].message, "unknown key `stok`, did you mean `stock`?");
/// ```
#[macro_export]
macro_rules! settings {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[doc = $about:literal])* $field:ident : $type:ty = $default:expr $(, in [$low:expr, $high:expr])? ;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[doc = $about])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::settings::Settings for $name {
            #[allow(unused_variables)] // where there is nothing to set
            fn declared() -> Vec<$crate::settings::Declared> {
                let default = Self::default();
                vec![$($crate::settings::Declared {
                    name: stringify!($field),
                    kind: <$type as $crate::settings::Setting>::kind(),
                    default: $crate::settings::Setting::to_value(&default.$field),
                    range: $crate::settings::range_words($crate::settings!(@range $($low, $high)?)),
                    about: concat!($($about,)*).trim_start(),
                },)*]
            }

            #[allow(unused_mut)] // where there is nothing to set
            fn read(table: &$crate::serde_json::Map<String, $crate::serde_json::Value>) -> Result<Self, Vec<$crate::settings::Issue>> {
                let mut issues = $crate::settings::unknown_keys(table, &[$(stringify!($field),)*]);
                let mut read = Self::default();
                $($crate::settings::read_one(
                    table, stringify!($field), &mut read.$field, $crate::settings!(@range $($low, $high)?), &mut issues,
                );)*
                if issues.is_empty() { Ok(read) } else { Err(issues) }
            }

            fn write(&self) -> $crate::serde_json::Map<String, $crate::serde_json::Value> {
                let all: Vec<(&str, $crate::serde_json::Value)> =
                    vec![$((stringify!($field), $crate::settings::Setting::to_value(&self.$field)),)*];
                all.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.to_owned(), v)).collect()
            }
        }

        impl $crate::settings::Setting for $name {
            fn kind() -> String {
                let keys: &[&str] = &[$(stringify!($field),)*];
                format!("table of {}", keys.join(", "))
            }

            fn from_value(value: &$crate::serde_json::Value) -> Result<Self, String> {
                $crate::settings::read_table(value).map_err(|issues| issues[0].to_string())
            }

            fn read_value(value: &$crate::serde_json::Value) -> Result<Self, Vec<$crate::settings::Issue>> {
                $crate::settings::read_table(value)
            }

            fn to_value(&self) -> $crate::serde_json::Value {
                $crate::settings::Settings::write(self).into()
            }
        }
    };
    (@range) => { None };
    (@range $low:expr, $high:expr) => { Some(($low, $high)) };
}

/// Declares a setting that is one of several words.
///
/// ```
/// agon_core::choices! {
///     /// How weeks follow each other.
///     pub enum Weeks { Replay = "replay", Resample = "resample" }
/// }
/// ```
#[macro_export]
macro_rules! choices {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[allow(missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$about])* $variant),+ }

        impl $crate::settings::Setting for $name {
            fn kind() -> String {
                [$($word),+].join(" | ")
            }
            fn from_value(value: &$crate::serde_json::Value) -> Result<Self, String> {
                let words = [$($word),+];
                match value.as_str() {
                    $(Some($word) => Ok(Self::$variant),)+
                    other => {
                        let near = $crate::settings::nearest(other.unwrap_or_default(), words);
                        let near = $crate::settings::hint(&near);
                        Err(format!("expected one of {}, found {value}{near}", words.join(", ")))
                    }
                }
            }
            fn to_value(&self) -> $crate::serde_json::Value {
                match self { $(Self::$variant => $word.into()),+ }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    choices! { pub enum Colour { Red = "red", Green = "green" } }
    settings! {
        /// For the tests.
        pub struct Sample {
            /// How many.
            count: u32 = 3, in [1.0, 10.0];
            rate: f64 = 0.5, in [0.0, 1.0];
            colour: Colour = Colour::Red;
            menu: Vec<f64> = vec![1.0], in [0.0, f64::INFINITY];
            limit: Option<u32> = None, in [1.0, 9.0];
        }
    }

    settings! {
        /// A table in a table.
        pub struct Shelf {
            goods: String = "none".into();
            height: f64 = 1.0, in [0.0, 3.0];
        }
    }
    settings! {
        /// With tables in it.
        pub struct Shop {
            best: Shelf = Shelf::default();
            shelves: Vec<Shelf> = Vec::new();
        }
    }

    #[test]
    fn tables_and_lists_of_tables_are_settings() {
        let given = json!({"best": {"height": 2}, "shelves": ["tea", {"goods": "rice", "height": 0.5}]});
        let shop = Shop::read(given.as_object().unwrap()).unwrap();
        assert_eq!((shop.best.height, &*shop.shelves[0].goods, shop.shelves[1].height), (2.0, "tea", 0.5));
        assert_eq!(Shop::read(&shop.write()).unwrap(), shop);
        let wrong = json!({"best": {"hieght": 2}, "shelves": [{"height": 4}, 7]});
        let issues = Shop::read(wrong.as_object().unwrap()).unwrap_err();
        let paths: Vec<String> = issues.iter().map(|i| i.path.join(".")).collect();
        assert_eq!(paths, ["best.hieght", "shelves.1.height", "shelves"], "{issues:?}");
        assert!(issues[2].message.contains("at place 2: expected text"), "{}", issues[2].message);
    }

    fn read(value: &Value) -> Result<Sample, Vec<String>> {
        Sample::read(value.as_object().unwrap()).map_err(|e| e.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let sample = Sample { count: 7, colour: Colour::Green, menu: vec![0.1, 2.0], limit: Some(4), rate: 1.0 };
        assert_eq!(Sample::read(&sample.write()).unwrap(), sample);
        assert_eq!(read(&json!({})).unwrap(), Sample::default());
    }

    #[test]
    fn every_wrong_setting_is_named_at_once() {
        let wrong = json!({"cuont": 1, "rate": 1.5, "colour": "gren", "menu": [1, "x"], "limit": -1});
        let messages = read(&wrong).unwrap_err();
        assert_eq!(messages.len(), 5, "{messages:?}");
        for part in ["did you mean `count`", "`1.5` must lie in 0 to 1", "did you mean `green`", "at place 2"] {
            assert!(messages.iter().any(|m| m.contains(part)), "{part} in {messages:?}");
        }
    }
}
