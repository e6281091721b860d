//! Texts as sequences of byte-pair tokens (Gage 1994; Sennrich, Haddow and Birch 2016): pieces of words, learned from the
//! training part, of which any text can be made.

use crate::agent::AgentError;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::utils::Lowercase;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Tokenizer, TruncationParams};

/// How texts become tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// A `tokenizer.json` of Hugging Face, whose tokens are taken; they are learned if left out.
    pub file: Option<PathBuf>,
    /// Different tokens at most, the 256 of single bytes among them.
    pub vocabulary: usize,
    /// Tokens of a text that are read at most.
    pub length: usize,
    /// Whether capital letters are read as small ones.
    pub lowercase: bool,
}

/// A tokenizer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(Tokenizer);

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        let [a, b] = [self, other].map(|tokens| serde_json::to_string(tokens).ok());
        a == b
    }
}

fn failed(e: impl Display) -> AgentError {
    AgentError::Data(format!("no tokens could be learned from its texts: {e}"))
}

impl Tokens {
    /// The pieces that are most frequent in these texts.
    ///
    /// # Errors
    /// [`AgentError::Data`] where the tokenizer finds none.
    pub fn fit<'a>(texts: impl Iterator<Item = Option<&'a str>> + Send, form: &Form) -> Result<Self, AgentError> {
        // Threads are for `train.threads` to say.
        tokenizers::utils::parallelism::set_parallelism(false);
        let mut tokenizer = Tokenizer::new(BPE::default());
        if form.lowercase {
            tokenizer.with_normalizer(Some(Lowercase)).map_err(failed)?;
        }
        tokenizer.with_pre_tokenizer(Some(ByteLevel::default()));
        let trainer = BpeTrainer::builder()
            .vocab_size(form.vocabulary)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        tokenizer.train(&mut TrainerWrapper::from(trainer), texts.flatten()).map_err(failed)?;
        Ok(Self(tokenizer))
    }

    /// The tokens of a `tokenizer.json`, with the marks that it puts around a text of at most so many.
    ///
    /// # Errors
    /// [`AgentError::Data`] where it cannot be read.
    pub fn read(file: &Path, length: usize) -> Result<Self, AgentError> {
        let wrong = |e: tokenizers::Error| AgentError::Data(format!("{}: no tokenizer: {e}", file.display()));
        let mut tokenizer = Tokenizer::from_file(file).map_err(wrong)?;
        tokenizer.with_padding(None);
        let limit = TruncationParams { max_length: length, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(limit)).map_err(wrong)?;
        Ok(Self(tokenizer))
    }

    /// Different tokens.
    pub fn vocabulary(&self) -> usize {
        self.0.get_vocab_size(true)
    }

    /// The numbers of a text's tokens, below the vocabulary.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        self.0.encode_fast(text, true).map(|found| found.get_ids().to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: in `low low low lower lowest` ` l`, `lo` and `ow` come five times each. The first in the order of bytes is
    /// `lo`, and of what is left after it ` lo`.
    #[test]
    fn frequent_pieces_are_tokens() {
        let texts = ["low low low", "lower lowest"];
        let form = Form { file: None, vocabulary: 258, length: 4, lowercase: true };
        let own = Tokens::fit(texts.iter().map(|text| Some(*text)), &form).unwrap();
        assert_eq!(own.vocabulary(), 258);
        let pieces = |text: &str| {
            let ids = own.ids(text);
            ids.iter().map(|id| own.0.id_to_token(*id).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(pieces("LOW"), ["Ġlo", "w"], "letters are small, and a space, which is Ġ, is in front");
        assert_eq!(own.ids("é").len(), 3, "bytes stand in for what training never had");
        let again: Tokens = serde_json::from_value(serde_json::to_value(&own).unwrap()).unwrap();
        assert!(again == own && again.ids("lowest") == own.ids("lowest"));
    }
}
