//! From typed columns to rows of numbers, by what the training part alone says of them: means, medians, categories.

use super::text::{self, Bag};
use super::tokens::{Form, Tokens};
use super::written::{Way, written_date};
use super::{Column, Kind, Values};
use crate::agent::AgentError;
use agon_core::scene::significant;
use serde::{Deserialize, Serialize};
use serde_json::Value;

agon_core::choices! {
    /// How numbers are brought to a common size.
    pub enum Scaling { Standard = "standard", Robust = "robust", Quantile = "quantile", Asis = "none" }
}

/// Rows of numbers, `[rows, width]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// Row after row.
    pub x: Vec<f64>,
    /// Numbers in a row.
    pub width: usize,
}

impl Matrix {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.x.len().checked_div(self.width).unwrap_or(0)
    }

    /// A row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.x[row * self.width..][..self.width]
    }
}

/// How one column becomes numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// The column.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// What stands in for a missing number, before scaling: the median; none where missing numbers stay missing.
    fill: Option<f64>,
    /// Whether a number of its own says that the value is missing.
    indicator: bool,
    /// Subtracted, then divided by.
    centre: f64,
    scale: f64,
    /// Quantiles of the training part, where numbers become their rank in it, from −1 to 1.
    knots: Vec<f64>,
    /// Labels with a number of their own; whatever has none has the last number, of unseen labels.
    labels: Vec<String>,
    /// How its numbers or dates were written in training; runs of before do not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Whether a label is its place among them, for networks that embed it, and not a number for each label.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    coded: bool,
    /// How a text becomes weights of words; its last number says that it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Bag>,
    /// How many tokens of a text are read, where it becomes those: their numbers from 1 on, and 0 behind its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
}

/// What a number of an encoded row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A number of the table.
    Number,
    /// 1 where something is the case, else 0.
    Flag,
    /// The weight of a word in a text.
    Word,
    /// The place of a label among so many.
    Code(usize),
    /// A token of a text among so many, from 1 on; 0 where there is none.
    Token(usize),
}

/// How a table's columns become numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    /// A column each.
    pub inputs: Vec<Input>,
    /// What makes tokens of texts, of models that read those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<Tokens>,
}

/// The label of a missing value, where some were missing in training.
const MISSING: &str = "";
/// Labels of a category that have a number of their own; rarer ones count as unseen.
pub const MOST: usize = 100;
/// Values of a column at most, of [`Input::levels`].
pub const LEVELS: usize = 15;
/// Labels of a category up to which networks read a number for each label, and do not embed them.
pub const MOST_FLAGS: usize = 8;
/// Quantiles that a column's ranks are taken from.
const KNOTS: usize = 201;

/// The number at a share of sorted ones, in between by interpolation.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * (at - at.floor())
}

impl Input {
    /// What the rows of the training part say of a column. With `keep_missing`, missing numbers stay NaN.
    fn fit(column: &Column, rows: &[usize], scaling: Scaling, keep_missing: bool) -> Self {
        let mut input = Self {
            name: column.name.clone(),
            kind: column.kind,
            fill: None,
            indicator: false,
            centre: 0.0,
            scale: 1.0,
            knots: Vec::new(),
            labels: Vec::new(),
            way: column.way,
            coded: false,
            text: None,
            length: None,
        };
        match &column.values {
            Values::Labels(..) if column.kind == Kind::Text => input.text = Some(Bag::fit(text::of_rows(column, rows))),
            Values::Labels(labels, codes) => {
                let mut counts = vec![0usize; labels.len()];
                rows.iter().filter_map(|row| codes[*row]).for_each(|code| counts[code as usize] += 1);
                let mut order: Vec<usize> = (0..labels.len()).filter(|i| counts[*i] > 0).collect();
                order.sort_by_key(|i| (usize::MAX - counts[*i], *i));
                order.truncate(MOST);
                order.sort_unstable();
                input.labels = order.into_iter().map(|i| labels[i].clone()).collect();
                if rows.iter().any(|row| codes[*row].is_none()) {
                    input.labels.push(MISSING.into());
                }
            }
            Values::Numbers(x) => {
                let mut seen: Vec<f64> = rows.iter().map(|row| x[*row]).filter(|x| !x.is_nan()).collect();
                seen.sort_by(f64::total_cmp);
                let median = if seen.is_empty() { 0.0 } else { quantile(&seen, 0.5) };
                if !keep_missing {
                    input.fill = Some(median);
                    input.indicator = seen.len() < rows.len();
                }
                if seen.is_empty() {
                    return input;
                }
                let n = seen.len() as f64;
                match scaling {
                    Scaling::Asis => {}
                    Scaling::Standard => {
                        input.centre = seen.iter().sum::<f64>() / n;
                        input.scale = (seen.iter().map(|x| (x - input.centre).powi(2)).sum::<f64>() / n).sqrt();
                    }
                    Scaling::Robust => {
                        input.centre = median;
                        input.scale = quantile(&seen, 0.75) - quantile(&seen, 0.25);
                    }
                    Scaling::Quantile => {
                        let share = |i: usize| i as f64 / (KNOTS - 1) as f64;
                        input.knots = (0..KNOTS).map(|i| quantile(&seen, share(i))).collect();
                    }
                }
                // What does not vary has nothing to be divided by.
                if input.scale <= f64::EPSILON * input.centre.abs() || !input.scale.is_normal() {
                    input.scale = 1.0;
                }
            }
        }
        input
    }

    /// Numbers that it becomes.
    pub fn width(&self) -> usize {
        if let Some(bag) = &self.text {
            return bag.terms().len() + 1;
        }
        if let Some(length) = self.length {
            return length;
        }
        match (self.is_number(), self.coded) {
            (true, _) => 1 + usize::from(self.indicator),
            (false, true) => 1,
            (false, false) => self.labels.len() + 1,
        }
    }

    /// What they are; `tokens`: how many different ones there are.
    fn slots(&self, tokens: usize) -> Vec<Slot> {
        if let Some(bag) = &self.text {
            return bag.terms().iter().map(|_| Slot::Word).chain([Slot::Flag]).collect();
        }
        if let Some(length) = self.length {
            return vec![Slot::Token(tokens); length];
        }
        let first = match (self.is_number(), self.coded) {
            (true, _) => Slot::Number,
            (false, true) => Slot::Code(self.labels.len() + 1),
            (false, false) => Slot::Flag,
        };
        let mut all = vec![Slot::Flag; self.width()];
        all[0] = first;
        all
    }

    fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number | Kind::Date)
    }

    /// What its numbers are called.
    fn names(&self) -> Vec<String> {
        let name = &self.name;
        if self.is_number() {
            let missing = self.indicator.then(|| format!("{name} is missing"));
            return std::iter::once(name.clone()).chain(missing).collect();
        }
        if let Some(bag) = &self.text {
            return bag
                .terms()
                .iter()
                .map(|term| format!("{name}: {term}"))
                .chain([format!("{name} is missing")])
                .collect();
        }
        if let Some(length) = self.length {
            return (1..=length).map(|at| format!("{name}: token {at}")).collect();
        }
        if self.coded {
            return vec![name.clone()];
        }
        let label = |l: &String| if l == MISSING { format!("{name} is missing") } else { format!("{name} = {l}") };
        self.labels.iter().map(label).chain([format!("{name} = anything else")]).collect()
    }

    /// Whether it makes numbers of numbers: a file may be damaged.
    pub(crate) fn scales_numbers(&self) -> bool {
        let rises = self.knots.windows(2).all(|pair| pair[0] <= pair[1]);
        let finite = self.centre.is_finite() && self.knots.iter().all(|knot| knot.is_finite());
        let knots = self.knots.is_empty() || self.knots.len() == KNOTS && rises;
        self.is_number() && self.scale.is_normal() && finite && knots
    }

    /// A number of the column as it is in an encoded row.
    pub(crate) fn number(&self, x: f64) -> f64 {
        self.scaled(if x.is_nan() { self.fill.unwrap_or(x) } else { x })
    }

    fn scaled(&self, x: f64) -> f64 {
        if self.knots.is_empty() {
            return (x - self.centre) / self.scale;
        }
        // The middle of the ranks that equal numbers have.
        let (low, high) = (self.knots.partition_point(|k| *k < x), self.knots.partition_point(|k| *k <= x));
        let last = (KNOTS - 1) as f64;
        let rank = if low < high {
            (low + high - 1) as f64 / 2.0
        } else if low == 0 || low == KNOTS {
            low.min(KNOTS - 1) as f64
        } else {
            let (a, b) = (self.knots[low - 1], self.knots[low]);
            (low - 1) as f64 + (x - a) / (b - a)
        };
        2.0 * rank / last - 1.0
    }

    /// The number that was scaled to this.
    fn unscaled(&self, x: f64) -> f64 {
        if self.knots.is_empty() {
            return x * self.scale + self.centre;
        }
        quantile(&self.knots, ((x + 1.0) / 2.0).clamp(0.0, 1.0))
    }

    /// Values that the column has in encoded rows, of each its own slots: as people read it, as a number where it is one,
    /// and encoded. Numbers are at most [`LEVELS`] from the 5 % to the 95 % quantile; of labels those that come most often. None of text.
    pub fn levels(&self, rows: &[&[f64]]) -> Vec<(String, Option<f64>, Vec<f64>)> {
        if self.kind == Kind::Text {
            return Vec::new();
        }
        if self.is_number() {
            let given =
                rows.iter().filter(|slot| !slot[0].is_nan() && slot.get(1).is_none_or(|missing| *missing == 0.0));
            let mut seen: Vec<f64> = given.map(|slot| slot[0]).collect();
            if seen.is_empty() {
                return Vec::new();
            }
            seen.sort_by(f64::total_cmp);
            let at = |k: usize| (0.05 + 0.9 * k as f64 / (LEVELS - 1) as f64) * (seen.len() - 1) as f64;
            let mut picked: Vec<f64> = (0..LEVELS).map(|k| seen[at(k).round() as usize]).collect();
            picked.dedup();
            let level = |x: f64| {
                let number = self.unscaled(x);
                let text = if self.kind == Kind::Date { written_date(number) } else { significant(number, 4) };
                let mut slot = vec![0.0; self.width()];
                slot[0] = x;
                (text, Some(number), slot)
            };
            return picked.into_iter().map(level).collect();
        }
        let has = |slot: &[f64], k: usize| if self.coded { slot[0] == k as f64 } else { slot[k] == 1.0 };
        let count = |k: usize| rows.iter().filter(|slot| has(slot, k)).count();
        let mut order: Vec<usize> = (0..self.labels.len()).collect();
        order.sort_by_key(|k| (usize::MAX - count(*k), *k));
        order.truncate(LEVELS);
        order.sort_unstable();
        let level = |k: usize| {
            let mut slot = vec![0.0; self.width()];
            let (place, value) = if self.coded { (0, k as f64) } else { (k, 1.0) };
            slot[place] = value;
            let name = if self.labels[k] == MISSING { "missing" } else { &self.labels[k] };
            (name.to_owned(), None, slot)
        };
        order.into_iter().map(level).collect()
    }

    /// Writes a column's numbers from place `at` of every row on; how often a label was unseen in training.
    fn encode(&self, column: &Column, rows: &[usize], at: usize, tokens: Option<&Tokens>, out: &mut Matrix) -> usize {
        let (width, mut unseen) = (out.width, 0);
        let slots = out.x.chunks_exact_mut(width).map(|row| &mut row[at..at + self.width()]);
        if let Some(bag) = &self.text {
            for (slot, text) in slots.zip(text::of_rows(column, rows)) {
                match (text, slot.split_last_mut()) {
                    (Some(text), Some((_, slot))) => bag.weigh(text, slot),
                    (_, last) => last.into_iter().for_each(|(missing, _)| *missing = 1.0),
                }
            }
            return 0;
        }
        if let Some(tokens) = tokens.filter(|_| self.length.is_some()) {
            for (slot, text) in slots.zip(text::of_rows(column, rows)) {
                let ids = text.map_or(Vec::new(), |text| tokens.ids(text));
                slot.iter_mut().zip(ids).for_each(|(slot, id)| *slot = f64::from(id) + 1.0);
            }
            return 0;
        }
        match &column.values {
            Values::Numbers(x) => {
                for (slot, row) in slots.zip(rows) {
                    let missing = x[*row].is_nan();
                    slot[0] = self.scaled(if missing { self.fill.unwrap_or(f64::NAN) } else { x[*row] });
                    if let Some(indicator) = slot.get_mut(1) {
                        *indicator = f64::from(u8::from(missing));
                    }
                }
            }
            Values::Labels(labels, codes) => {
                let place = |label: &str| self.labels.iter().position(|own| own == label).unwrap_or(self.labels.len());
                let (places, missing) = (labels.iter().map(|l| place(l)).collect::<Vec<_>>(), place(MISSING));
                for (slot, row) in slots.zip(rows) {
                    let place = codes[*row].map_or(missing, |code| places[code as usize]);
                    if self.coded {
                        slot[0] = place as f64;
                    } else {
                        slot[place] = 1.0;
                    }
                    unseen += usize::from(place == self.labels.len());
                }
            }
        }
        unseen
    }
}

impl Encoder {
    /// Whether inputs become the same numbers, however they were written.
    pub fn is_like(&self, other: &Self) -> bool {
        let [a, b] = [self, other].map(|encoder| {
            let mut all = encoder.inputs.clone();
            all.iter_mut().for_each(|input| input.way = None);
            all
        });
        a == b && self.tokens == other.tokens
    }

    /// What these rows say of these columns.
    pub fn fit(columns: &[&Column], rows: &[usize], scaling: Scaling, keep_missing: bool) -> Self {
        let inputs = columns.iter().map(|column| Input::fit(column, rows, scaling, keep_missing)).collect();
        Self { inputs, tokens: None }
    }

    /// The same, where texts become tokens, by what these rows say of these columns.
    ///
    /// # Errors
    /// [`AgentError::Data`] where no tokens can be learned.
    pub fn with_tokens(mut self, columns: &[&Column], rows: &[usize], form: &Form) -> Result<Self, AgentError> {
        let texts = columns.iter().filter(|column| column.kind == Kind::Text);
        let tokens = match &form.file {
            Some(file) => Tokens::read(file, form.length)?,
            None => Tokens::fit(texts.flat_map(|column| text::of_rows(column, rows)), form)?,
        };
        for (input, column) in self.inputs.iter_mut().zip(columns).filter(|(input, _)| input.kind == Kind::Text) {
            let longest = text::of_rows(column, rows).flatten().map(|text| tokens.ids(text).len()).max();
            (input.text, input.length) = (None, Some(longest.unwrap_or(0).clamp(1, form.length)));
        }
        self.tokens = self.inputs.iter().any(|input| input.length.is_some()).then_some(tokens);
        Ok(self)
    }

    /// The same, where a category of more than `most` labels becomes the place of its label.
    pub fn with_codes(mut self, most: usize) -> Self {
        self.inputs.iter_mut().for_each(|input| input.coded = input.labels.len() > most);
        self
    }

    /// What the numbers of a row are.
    pub fn slots(&self) -> Vec<Slot> {
        let tokens = self.tokens.as_ref().map_or(0, Tokens::vocabulary);
        self.inputs.iter().flat_map(|input| input.slots(tokens)).collect()
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.inputs.iter().map(Input::width).sum()
    }

    /// What the numbers of a row are called.
    pub fn names(&self) -> Vec<String> {
        self.inputs.iter().flat_map(Input::names).collect()
    }

    /// Rows of these columns, which are those that it was fitted to, as numbers; and for each column how many of its
    /// rows have a label that was unseen in training, or too rare there.
    pub fn encode(&self, columns: &[&Column], rows: &[usize]) -> (Matrix, Vec<usize>) {
        let width = self.width();
        let mut out = Matrix { x: vec![0.0; width * rows.len()], width };
        let mut at = 0;
        let unseen = self.inputs.iter().zip(columns).map(|(input, column)| {
            let unseen = input.encode(column, rows, at, self.tokens.as_ref(), &mut out);
            at += input.width();
            unseen
        });
        let unseen = unseen.collect();
        (out, unseen)
    }

    /// As it is saved.
    pub fn save(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(x: &[f64]) -> Column {
        Column { name: "x".into(), kind: Kind::Number, values: Values::Numbers(x.to_vec()), way: None }
    }

    #[test]
    fn numbers_are_scaled_by_the_training_part_alone() {
        let column = numbers(&[1.0, 2.0, 3.0, f64::NAN, 1e6]);
        let rows: Vec<usize> = (0..5).collect();
        let encoder = Encoder::fit(&[&column], &rows[..4], Scaling::Standard, false);
        let (m, _) = encoder.encode(&[&column], &rows);
        let deviation = (2.0f64 / 3.0).sqrt();
        assert_eq!(
            m.x[..8],
            [-1.0 / deviation, 0.0, 0.0, 0.0, 1.0 / deviation, 0.0, 0.0, 1.0],
            "the gap is the median"
        );
        assert_eq!(encoder.names(), ["x", "x is missing"]);
        let kept = Encoder::fit(&[&column], &rows[..4], Scaling::Asis, true).encode(&[&column], &rows).0;
        assert!(kept.width == 1 && kept.x[3].is_nan() && kept.x[4] == 1e6);
        let robust = Encoder::fit(&[&column], &rows[..3], Scaling::Robust, false).encode(&[&column], &rows[..3]).0;
        assert_eq!(robust.x, [-1.0, 0.0, 1.0]);
        let ranks = Encoder::fit(&[&column], &rows[..3], Scaling::Quantile, false).encode(&[&column], &[0, 1, 2, 4]).0;
        assert_eq!(ranks.x, [-1.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn many_labels_become_places() {
        let names: Vec<String> = (0..12).map(|i| format!("l{i:02}")).collect();
        let wide = Column::labels("many", Kind::Category, names.iter().map(|n| Some(n.as_str())));
        let few = Column::labels("few", Kind::Category, (0..12).map(|i| Some(["a", "b"][i % 2])));
        let x = numbers(&[3.0; 12]);
        let columns = [&wide, &few, &x];
        let encoder = Encoder::fit(&columns, &(0..9).collect::<Vec<_>>(), Scaling::Asis, false).with_codes(MOST_FLAGS);
        assert_eq!(encoder.slots(), [Slot::Code(10), Slot::Flag, Slot::Flag, Slot::Flag, Slot::Number]);
        assert_eq!((encoder.width(), encoder.names()[0].as_str()), (5, "many"));
        let (m, unseen) = encoder.encode(&columns, &[4, 11]);
        assert_eq!((m.row(0), m.row(1)), (&[4.0, 1.0, 0.0, 0.0, 3.0][..], &[9.0, 0.0, 1.0, 0.0, 3.0][..]));
        assert_eq!(unseen, [1, 0, 0], "a label that training never had has the last place");
        let levels = encoder.inputs[0].levels(&[&[4.0], &[2.0]]);
        assert_eq!((levels[4].0.as_str(), &levels[4].2), ("l04", &vec![4.0]));
        let again: Encoder = serde_json::from_value(encoder.save()).unwrap();
        assert_eq!(again, encoder);
    }

    #[test]
    fn labels_unseen_in_training_have_a_place_of_their_own() {
        let cells = [Some("red"), Some("blue"), Some("red"), Some("green"), None];
        let column = Column::labels("colour", Kind::Category, cells.into_iter());
        let encoder = Encoder::fit(&[&column], &[0, 1, 2], Scaling::Standard, false);
        assert_eq!(encoder.names(), ["colour = blue", "colour = red", "colour = anything else"]);
        let (m, unseen) = encoder.encode(&[&column], &[1, 3, 4]);
        assert_eq!((m.x, unseen), (vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0], vec![2]));
        let again: Encoder = serde_json::from_value(encoder.save()).unwrap();
        assert_eq!(again, encoder);
    }
}
