//! Columns of text, and how a text becomes numbers: a weight for each word and pair of words (TF-IDF: Salton and Buckley
//! 1988), or a sequence of tokens (`tokens.rs`).

use super::{Column, Kind, Values};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Words of a text on average from which on a column is text, and no names or identifiers.
const WORDS: f64 = 3.0;
/// Words and pairs of words with a number of their own, at most: rows of numbers are kept whole.
pub const MOST_TERMS: usize = 2000;
/// Numbers of all rows of the training part that terms may need.
const MOST_NUMBERS: usize = 200_000_000;

/// The words of a text in small letters: two or more letters, digits or underscores, as scikit-learn has it.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let parts = text.split(move |c| !is_part(c)).filter(|word| word.chars().nth(1).is_some());
    parts.map(str::to_lowercase)
}

/// Words of a column's rows on average, of those that have a value.
pub fn words_each(column: &Column) -> f64 {
    let Values::Labels(texts, codes) = &column.values else { return 0.0 };
    let counts: Vec<usize> = texts.iter().map(|text| text.split_whitespace().count()).collect();
    let given: Vec<usize> = codes.iter().flatten().map(|code| counts[*code as usize]).collect();
    given.iter().sum::<usize>() as f64 / given.len().max(1) as f64
}

/// Whether a column is text that can be learned from.
pub fn is_text(column: &Column) -> bool {
    column.kind == Kind::Text && words_each(column) >= WORDS
}

/// How many words each row of a column of text has, as a column of numbers.
pub fn lengths(column: &Column) -> Column {
    let numbers = match &column.values {
        Values::Numbers(x) => x.clone(),
        Values::Labels(texts, codes) => {
            let count = |code: u32| texts[code as usize].split_whitespace().count() as f64;
            codes.iter().map(|code| code.map_or(f64::NAN, count)).collect()
        }
    };
    let name = format!("{} (words)", column.name);
    Column { name, kind: Kind::Number, values: Values::Numbers(numbers), way: None }
}

/// The texts of some rows, missing ones as none.
pub fn of_rows<'a>(column: &'a Column, rows: &'a [usize]) -> impl Iterator<Item = Option<&'a str>> + Clone {
    rows.iter().map(|row| match &column.values {
        Values::Labels(texts, codes) => codes[*row].map(|code| texts[code as usize].as_str()),
        Values::Numbers(_) => None,
    })
}

/// A bag of words: TF-IDF weights. A term that a text has n times weighs (1 + ln n) (1 + ln((1 + N) / (1 + f))), where f of
/// the N texts of the training part have it; a text's weights are divided by the root of their sum of squares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bag {
    /// Words and pairs of words, in the order of the alphabet.
    terms: Vec<String>,
    /// For each of them 1 + ln((1 + N) / (1 + f)).
    rarity: Vec<f64>,
}

/// How often a text has each of its words, and of its pairs of words.
fn counts(text: &str) -> HashMap<String, usize> {
    let words: Vec<String> = words(text).collect();
    let pairs: Vec<String> = words.windows(2).map(|pair| pair.join(" ")).collect();
    let mut counts = HashMap::new();
    words.into_iter().chain(pairs).for_each(|term| *counts.entry(term).or_default() += 1);
    counts
}

impl Bag {
    /// The terms that two texts or more have, or one if there are none, and of those the commonest.
    pub fn fit<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Self {
        let (mut all, mut rows) = (HashMap::<String, usize>::new(), 0);
        for text in texts {
            rows += 1;
            let terms: HashSet<String> = counts(text.unwrap_or_default()).into_keys().collect();
            terms.into_iter().for_each(|term| *all.entry(term).or_default() += 1);
        }
        let least = if all.values().any(|texts| *texts > 1) { 2 } else { 1 };
        let mut found: Vec<(String, usize)> = all.into_iter().filter(|(_, texts)| *texts >= least).collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(MOST_TERMS.min(MOST_NUMBERS / rows.max(1)));
        found.sort();
        let rarity = |texts: usize| 1.0 + ((1 + rows) as f64 / (1 + texts) as f64).ln();
        let (terms, rarity) = found.into_iter().map(|(term, texts)| (term, rarity(texts))).unzip();
        Self { terms, rarity }
    }

    /// The terms, in the order of their numbers.
    pub fn terms(&self) -> &[String] {
        &self.terms
    }

    /// Writes a text's weights, `[terms]`; `out` is all zeros before.
    pub fn weigh(&self, text: &str, out: &mut [f64]) {
        for (term, n) in counts(text) {
            if let Ok(at) = self.terms.binary_search(&term) {
                out[at] = (1.0 + (n as f64).ln()) * self.rarity[at];
            }
        }
        let size = out.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
        if size > 0.0 {
            out.iter_mut().for_each(|weight| *weight /= size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same texts in scikit-learn (tests/golden/text.py): terms, and weights of texts that were fitted and of new ones.
    #[test]
    fn weights_are_those_of_scikit_learn() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../../../tests/golden/text.json")).unwrap();
        let texts = |key: &str| -> Vec<String> { serde_json::from_value(golden[key].clone()).unwrap() };
        let (train, new) = (texts("train"), texts("new"));
        let bag = Bag::fit(train.iter().map(|text| Some(text.as_str())));
        assert_eq!(bag.terms(), texts("terms"));
        let wanted: Vec<Vec<f64>> = serde_json::from_value(golden["weights"].clone()).unwrap();
        for (text, wanted) in train.iter().chain(&new).zip(&wanted) {
            let mut out = vec![0.0; bag.terms().len()];
            bag.weigh(text, &mut out);
            assert!(out.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{text}");
        }
        assert!(wanted.last().unwrap().iter().all(|w| *w == 0.0), "a text without a known word");
    }

    #[test]
    fn text_is_told_from_names() {
        let column = |cells: &[&str]| Column::labels("x", Kind::Text, cells.iter().map(|cell| Some(*cell)));
        assert!(is_text(&column(&["buy this now", "see you at four then"])));
        assert!(!is_text(&column(&["Ada Lovelace", "Alan Turing"])));
        let Values::Numbers(n) = lengths(&column(&["buy this now", "see you"])).values else { panic!("labels") };
        assert_eq!(n, [3.0, 2.0]);
    }
}
