//! A table of logged decisions: what was known, which action was taken, with which probability, and what followed.

use crate::agent::{AgentError, NEVER, Stop};
use crate::data::encode::{Encoder, Matrix, Scaling};
use crate::data::split;
use crate::data::{Column, Kind, Raw, Values, cells};
use crate::off_policy_evaluation::Log;
use crate::supervised::linear::Linear;
use crate::supervised::{Examples, Learner, Predict, Shape, softmax};
use agon_core::settings::{Issue, hint, nearest};
use tch::Device;

agon_core::choices! {
    /// How rows are divided: at random, or by time with the last rows for the test.
    pub enum SplitBy { Random = "random", Time = "time" }
}

agon_core::settings! {
    /// A log of decisions to learn a policy from.
    pub struct LogSettings {
        /// The table, beside the scenario: a row for each decision.
        file: String = String::new();
        /// The column of the action that was taken.
        action: String = String::new();
        /// The column of what followed: a number, or yes and no.
        reward: String = String::new();
        /// The column of the probability with which that action was taken; estimated from the context if empty.
        propensity: String = String::new();
        /// The columns that a decision may depend on; all others if empty.
        context: Vec<String> = Vec::new();
        /// Columns that are not used.
        drop: Vec<String> = Vec::new();
        /// How rows are divided into parts: `random`, or `time`, the last rows by `split_by` for the test.
        split: SplitBy = SplitBy::Random;
        /// The column that `time` goes by; no decision depends on it.
        split_by: String = String::new();
        /// The share of the rows that decides how much is learned.
        validation: f64 = 0.15, in [0.01, 0.8];
        /// The share of the rows that the policy is judged on. Nothing is learned or decided by it.
        test: f64 = 0.3, in [0.01, 0.8];
        /// The seed of the division into parts.
        seed: u64 = 1, in [0.0, 9e18];
    }
}

/// Actions at most.
pub const MOST_ACTIONS: usize = 1000;
/// The least propensity that is estimated.
const LEAST: f64 = 1e-4;

/// Rows of one part.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Contexts, `[rows, width]`.
    pub x: Matrix,
    /// The number of the action that was taken.
    pub actions: Vec<usize>,
    /// What followed.
    pub rewards: Vec<f64>,
    /// The probability with which that action was taken.
    pub propensities: Vec<f64>,
    /// How many actions there are.
    pub count: usize,
}

impl Part {
    /// As estimators take it.
    pub fn log(&self) -> Log<'_> {
        Log { actions: &self.actions, rewards: &self.rewards, propensities: &self.propensities, count: self.count }
    }
}

/// A log that was understood.
#[derive(Clone, Debug)]
pub struct Decisions {
    /// The names of the columns of actions and of rewards.
    pub names: [String; 2],
    /// The actions, in the order of their numbers.
    pub actions: Vec<String>,
    /// How contexts become numbers, by the training part.
    pub encoder: Encoder,
    /// Training, validation, test.
    pub parts: [Part; 3],
    /// What was found, in words.
    pub findings: Vec<String>,
    /// Whether propensities were estimated.
    pub estimated: bool,
}

fn column(key: &str, name: &str, raw: &Raw) -> Result<usize, AgentError> {
    if name.is_empty() {
        return Err(Issue::value(key, "name the column").into());
    }
    let near = nearest(name, raw.names.iter().map(String::as_str));
    raw.find(name).ok_or_else(|| Issue::value(key, format!("no column is called `{name}`{}", hint(&near))).into())
}

fn data<T>(why: String) -> Result<T, AgentError> {
    Err(AgentError::Data(why))
}

/// A column of numbers without gaps; yes is 1.
fn numbers(raw: &Raw, at: usize, what: &str) -> Result<Vec<f64>, AgentError> {
    let found = cells::infer(raw, at);
    let all: Vec<f64> = match (&found.values, found.kind) {
        (Values::Numbers(x), Kind::Number) => x.clone(),
        // Labels are in the order of the alphabet: no before yes, false before true.
        (Values::Labels(_, codes), Kind::Boolean) => {
            codes.iter().map(|code| code.map_or(f64::NAN, f64::from)).collect()
        }
        _ => return data(format!("`{}`: {what} are numbers, and these are not", raw.names[at])),
    };
    match all.iter().position(|x| !x.is_finite()) {
        Some(row) => data(format!("line {}: `{}` is missing", raw.lines[row], raw.names[at])),
        None => Ok(all),
    }
}

impl Decisions {
    /// Understands a table.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where a column cannot be, [`AgentError::Data`] where nothing can be learned.
    pub fn new(raw: &Raw, settings: &LogSettings) -> Result<Self, AgentError> {
        let (action, reward) = (column("action", &settings.action, raw)?, column("reward", &settings.reward, raw)?);
        let propensity = match settings.propensity.as_str() {
            "" => None,
            name => Some(column("propensity", name, raw)?),
        };
        let time = match (settings.split, settings.split_by.as_str()) {
            (SplitBy::Time, name) => Some(column("split_by", name, raw)?),
            (SplitBy::Random, "") => None,
            _ => return Err(Issue::value("split_by", "is for split = time").into()),
        };
        if settings.validation + settings.test > 0.9 {
            return Err(Issue::value("test", "too little is left to learn from").into());
        }
        let rows = raw.rows();
        let rewards = numbers(raw, reward, "rewards")?;
        let mut findings = Vec::new();
        let (labels, codes) = match Column::labels("", Kind::Category, raw.column(action)).values {
            Values::Labels(labels, codes) => (labels, codes),
            Values::Numbers(_) => (Vec::new(), Vec::new()),
        };
        if let Some(row) = codes.iter().position(Option::is_none) {
            return data(format!("line {}: `{}` is missing", raw.lines[row], settings.action));
        }
        if labels.len() < 2 || labels.len() > MOST_ACTIONS {
            let (n, name) = (labels.len(), &settings.action);
            return data(format!("`{name}` holds {n} actions; there must be 2 to {MOST_ACTIONS} to choose from"));
        }
        let actions: Vec<usize> = codes.into_iter().flatten().map(|code| code as usize).collect();
        let taken = [Some(action), Some(reward), propensity, time];
        let wanted = |keys: &[String], key: &str| -> Result<Vec<usize>, AgentError> {
            keys.iter().map(|name| column(key, name, raw)).collect()
        };
        let (chosen, dropped) = (wanted(&settings.context, "context")?, wanted(&settings.drop, "drop")?);
        let mut context = Vec::new();
        for at in (0..raw.names.len()).filter(|at| !taken.contains(&Some(*at)) && !dropped.contains(at)) {
            if !chosen.is_empty() && !chosen.contains(&at) {
                continue;
            }
            let found = cells::infer(raw, at);
            let name = raw.names[at].clone();
            match useless(&found) {
                Some(why) if chosen.is_empty() => findings.push(format!("`{name}` {why}: not used")),
                _ => context.push(found),
            }
        }
        let given = propensity.map(|at| numbers(raw, at, "propensities")).transpose()?;
        if let (Some(all), Some(at)) = (&given, propensity)
            && let Some(row) = all.iter().position(|p| !(*p > 0.0 && *p <= 1.0))
        {
            let (line, name, p) = (raw.lines[row], &raw.names[at], all[row]);
            return data(format!(
                "line {line}: `{name}` is {p}, and a probability of what was done is above 0, at most 1"
            ));
        }
        let units: Vec<u32> = (0..rows as u32).collect();
        let shares = [settings.validation, settings.test];
        let split = match time {
            None => split::random(&units, shares, settings.seed),
            Some(at) => match cells::infer(raw, at).values {
                Values::Numbers(x) if x.iter().all(|x| !x.is_nan()) => split::by_time(&x, shares),
                _ => return Err(Issue::value("split_by", "must hold dates or numbers in every row").into()),
            },
        };
        if [&split.train, &split.validation, &split.test].iter().any(|part| part.len() < 10) {
            return data(format!("{rows} rows are too few: every part needs ten at least"));
        }
        let columns: Vec<&Column> = context.iter().collect();
        let encoder = Encoder::fit(&columns, &split.train, Scaling::Standard, false);
        let part = |rows: &Vec<usize>| Part {
            x: contexts(&encoder, &columns, rows).0,
            actions: rows.iter().map(|row| actions[*row]).collect(),
            rewards: rows.iter().map(|row| rewards[*row]).collect(),
            propensities: rows.iter().map(|row| given.as_ref().map_or(1.0, |all| all[*row])).collect(),
            count: labels.len(),
        };
        let mut parts = [&split.train, &split.validation, &split.test].map(part);
        if given.is_none() {
            estimate_propensities(&mut parts, NEVER)?;
        }
        let first = &parts[0].rewards;
        if first.iter().all(|r| *r == first[0]) {
            return data(format!(
                "`{}` is {} in every row to learn from: nothing is better",
                settings.reward, first[0]
            ));
        }
        Ok(Self {
            names: [settings.action.clone(), settings.reward.clone()],
            actions: labels,
            encoder,
            parts,
            findings,
            estimated: given.is_none(),
        })
    }
}

/// Contexts as rows of numbers, and for each column how many rows have a label unseen in training. Where nothing is known of
/// any row, a number that is always 0 stands for it.
pub(super) fn contexts(encoder: &Encoder, columns: &[&Column], rows: &[usize]) -> (Matrix, Vec<usize>) {
    if encoder.width() == 0 {
        return (Matrix { x: vec![0.0; rows.len()], width: 1 }, Vec::new());
    }
    encoder.encode(columns, rows)
}

/// Why a column says nothing that a policy could use.
fn useless(column: &Column) -> Option<&'static str> {
    match (&column.values, column.kind) {
        (_, Kind::Text) => Some("holds text or names"),
        (_, Kind::Date) => Some("holds dates, which never come again"),
        (Values::Numbers(x), _) if x.len() > 2 && x.windows(2).all(|pair| pair[1] == pair[0] + 1.0) => {
            Some("numbers the rows")
        }
        _ if column.distinct() < 2 => Some("never changes"),
        _ => None,
    }
}

/// Propensities by logistic regression of the action on the context; by the training part.
fn estimate_propensities(parts: &mut [Part; 3], stop: Stop<'_>) -> Result<(), AgentError> {
    let (train, count) = (&parts[0], parts[0].count);
    let examples = Examples {
        x: train.x.clone(),
        y: train.actions.iter().map(|a| *a as f64).collect(),
        classes: count,
        ..Examples::default()
    };
    let shape = Shape { inputs: train.x.width, classes: count, steps: 1, seed: 0, device: Device::Cpu };
    let mut model = Linear::new(1.0, shape)?;
    model.advance(&examples, &examples, stop)?;
    for part in parts {
        let scores = model.scores(&part.x);
        for ((p, scores), action) in part.propensities.iter_mut().zip(scores.chunks_exact(count)).zip(&part.actions) {
            let mut all = scores.to_vec();
            softmax(&mut all);
            *p = all[*action].max(LEAST);
        }
    }
    Ok(())
}
