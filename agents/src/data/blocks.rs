//! Training rows of a table that need not fit into memory: encoded, shuffled into blocks, and kept on disk. A step of
//! training learns from one block, so that no more than that is in memory.
//!
//! A sample of the table's rows says what its columns are; the rows of the sample's validation and test part are in no block.

use super::dataset::Dataset;
use super::encode::{Encoder, Matrix};
use super::{Column, Raw, cells};
use crate::agent::AgentError;
use crate::supervised::Examples;
use crate::supervised::predictor::{Answer, columns_by};
use agon_core::rng::{Rng, Stream};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Blocks in a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Blocks {
    #[serde(skip)]
    folder: PathBuf,
    /// Numbers in a row.
    width: usize,
    /// Classes; 0 for a regression.
    classes: usize,
    /// Rows of each block.
    pub rows: Vec<usize>,
    /// The checksum of each block.
    sums: Vec<u32>,
    /// A sum of what made numbers of rows, and of the classes.
    made_by: u32,
}

/// Rows that are in no block, by why.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// The target is missing.
    pub unlabelled: u64,
    /// The class is none that the sample has, and the first of them.
    pub unknown: (u64, String),
    /// Equal to a row of the validation or the test part.
    pub copies: u64,
}

/// The folder of a run in which they lie.
pub const FOLDER: &str = "blocks";
/// The file that says what the blocks are; written last.
const INDEX: &str = "index.json";
/// Blocks at most: each is an open file while rows are shuffled.
pub const MOST_BLOCKS: usize = 500;
/// The lane of the random numbers that choose a row's block, and of those that order blocks.
const CHOSEN: u32 = u32::MAX - 8;
const ORDER: u32 = u32::MAX - 9;

impl Blocks {
    /// Those of a folder, if they are there and were finished.
    ///
    /// # Errors
    /// [`AgentError::Data`] where the folder says something else.
    pub fn open(folder: &Path) -> Result<Option<Self>, AgentError> {
        let Ok(text) = fs::read_to_string(folder.join(INDEX)) else { return Ok(None) };
        let wrong = |e| AgentError::Data(format!("{}: {e}", folder.join(INDEX).display()));
        let read: Self = serde_json::from_str(&text).map_err(wrong)?;
        Ok(Some(Self { folder: folder.to_owned(), ..read }))
    }

    /// Whether they were made so.
    pub fn are_of(&self, encoder: &Encoder, answer: &Answer) -> bool {
        self.made_by == maker(encoder, answer) && !self.rows.is_empty() && self.rows.len() == self.sums.len()
    }

    /// What a step learns from: each pass has all blocks in an order of its own.
    ///
    /// # Errors
    /// [`AgentError::Data`] where the block is gone or damaged.
    pub fn of_step(&self, step: u64, seed: u64) -> Result<Examples, AgentError> {
        let count = self.rows.len() as u64;
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        Rng::at_step(seed, Stream::Shuffle, ORDER, step / count).shuffle(&mut order);
        self.read(order[(step % count) as usize])
    }

    /// Copies them into another folder.
    ///
    /// # Errors
    /// [`AgentError::Data`] where they are gone, or nothing can be written.
    pub fn copy_to(&self, folder: &Path) -> Result<(), AgentError> {
        fs::create_dir_all(folder).map_err(|e| unwritten(folder, &e))?;
        let blocks = (0..self.rows.len()).map(|block| (file(&self.folder, block), file(folder, block)));
        for (from, to) in blocks.chain([(self.folder.join(INDEX), folder.join(INDEX))]) {
            fs::copy(&from, &to).map_err(|e| unwritten(folder, &e))?;
        }
        Ok(())
    }

    fn read(&self, block: usize) -> Result<Examples, AgentError> {
        let path = file(&self.folder, block);
        let wrong = |why: String| AgentError::Data(format!("{}: {why}", path.display()));
        let bytes = fs::read(&path).map_err(|e| wrong(e.to_string()))?;
        let long = 8 + 4 * self.width;
        if bytes.len() != self.rows[block] * long || crc32c::crc32c(&bytes) != self.sums[block] {
            return Err(wrong(
                "the block is not what was written: put a copy of it in its place, or train anew from the table".into(),
            ));
        }
        let mut x = Vec::with_capacity(self.rows[block] * self.width);
        let mut y = Vec::with_capacity(self.rows[block]);
        for row in bytes.chunks_exact(long) {
            let (target, numbers) = row.split_at(8);
            y.push(f64::from_le_bytes(target.try_into().unwrap_or_default()));
            let number = |bytes: &[u8]| f64::from(f32::from_le_bytes(bytes.try_into().unwrap_or_default()));
            x.extend(numbers.chunks_exact(4).map(number));
        }
        Ok(Examples { x: Matrix { x, width: self.width }, y, classes: self.classes, ..Examples::default() })
    }
}

fn maker(encoder: &Encoder, answer: &Answer) -> u32 {
    crc32c::crc32c(serde_json::json!([encoder.save(), answer]).to_string().as_bytes())
}

fn file(folder: &Path, block: usize) -> PathBuf {
    folder.join(format!("{block:03}.rows"))
}

/// Shuffles rows into blocks: each goes to one at random.
pub struct Shuffler<'a> {
    encoder: &'a Encoder,
    answer: &'a Answer,
    /// Lines of the validation and the test part.
    held_out: HashSet<u64>,
    /// Sums of their encoded rows, where rows that are equal to them are left out.
    copied: HashSet<u64>,
    rng: Rng,
    files: Vec<BufWriter<File>>,
    blocks: Blocks,
    left_out: LeftOut,
}

impl<'a> Shuffler<'a> {
    /// Into `count` blocks of a new folder. `rows`: those of the whole table; `sample`: what is known of it; `encoder`: by the
    /// sample's training part.
    ///
    /// # Errors
    /// [`AgentError::Data`] where the folder cannot be written.
    pub fn new(
        folder: &Path,
        (rows, count): (u64, usize),
        encoder: &'a Encoder,
        answer: &'a Answer,
        sample: &Dataset,
        seed: u64,
    ) -> Result<Self, AgentError> {
        fs::create_dir_all(folder).map_err(|e| unwritten(folder, &e))?;
        let create = |block| File::create(file(folder, block)).map(|file| BufWriter::with_capacity(1 << 16, file));
        let files = (0..count).map(create).collect::<Result<Vec<_>, _>>().map_err(|e| unwritten(folder, &e))?;
        let split = &sample.split;
        let held_out: Vec<usize> = split.validation.iter().chain(&split.test).copied().collect();
        let sums = |rows: &[usize]| -> Vec<u64> {
            let (x, _) = encoder.encode(&sample.inputs(), rows);
            (0..rows.len()).map(|row| sum(x.row(row))).collect()
        };
        let (learned, copied) = (sums(&split.train), sums(&held_out));
        // Where more than a fifth of the rows repeat others, they are no copies, but have few values to differ in. How many
        // do is as many pairs as the sample has, times how much larger the table is.
        let mut counts: HashMap<u64, f64> = HashMap::new();
        learned.iter().chain(&copied).for_each(|sum| *counts.entry(*sum).or_default() += 1.0);
        let pairs: f64 = counts.values().map(|n| n * (n - 1.0)).sum();
        let in_sample = (learned.len() + copied.len()) as f64;
        let repeat = 1.0 - (-pairs / in_sample * rows as f64 / in_sample).exp() > 0.2;
        let blocks = Blocks {
            folder: folder.to_owned(),
            width: encoder.width(),
            classes: answer.classes.len(),
            rows: vec![0; count],
            sums: vec![0; count],
            made_by: maker(encoder, answer),
        };
        Ok(Self {
            encoder,
            answer,
            held_out: held_out.into_iter().map(|row| sample.lines[row]).collect(),
            copied: if repeat { HashSet::new() } else { copied.into_iter().collect() },
            rng: Rng::new(seed, Stream::Shuffle, CHOSEN),
            files,
            blocks,
            left_out: LeftOut::default(),
        })
    }

    /// Adds the rows of a part of the table; `taken` says which may be learned from.
    ///
    /// # Errors
    /// [`AgentError::Data`] where a cell is not what its column was in the sample, or nothing can be written.
    pub fn add(&mut self, raw: &Raw, taken: impl Fn(usize) -> bool) -> Result<(), AgentError> {
        let truth = self.answer.truth(raw, cells::read_by)?;
        self.left_out.unlabelled += truth.missing as u64;
        if let Some(first) = truth.unknown.first() {
            if self.left_out.unknown.0 == 0 {
                self.left_out.unknown.1.clone_from(first);
            }
            self.left_out.unknown.0 += truth.unknown.len() as u64;
        }
        let columns = columns_by(self.encoder, raw, &self.answer.name, cells::read_by)?.0;
        let (x, _) = self.encoder.encode(&columns.iter().collect::<Vec<&Column>>(), &truth.rows);
        let mut bytes = Vec::with_capacity(8 + 4 * x.width);
        for ((at, row), y) in truth.rows.iter().enumerate().zip(&truth.y) {
            if self.held_out.contains(&raw.lines[*row]) || !taken(*row) {
                continue;
            }
            let numbers = x.row(at);
            if !self.copied.is_empty() && self.copied.contains(&sum(numbers)) {
                self.left_out.copies += 1;
                continue;
            }
            bytes.clear();
            bytes.extend(y.to_le_bytes());
            numbers.iter().for_each(|x| bytes.extend((*x as f32).to_le_bytes()));
            let block = self.rng.below(self.files.len() as u32) as usize;
            self.files[block].write_all(&bytes).map_err(|e| unwritten(&self.blocks.folder, &e))?;
            self.blocks.rows[block] += 1;
            self.blocks.sums[block] = crc32c::crc32c_append(self.blocks.sums[block], &bytes);
        }
        Ok(())
    }

    /// The blocks, all of which have rows, and what is in none.
    ///
    /// # Errors
    /// [`AgentError::Data`] where nothing is left to learn from, or nothing can be written.
    pub fn finish(self) -> Result<(Blocks, LeftOut), AgentError> {
        let Self { files, mut blocks, left_out, .. } = self;
        let folder = blocks.folder.clone();
        for file in files {
            let whole = file.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|file| file.sync_all());
            whole.map_err(|e| unwritten(&folder, &e))?;
        }
        let filled: Vec<usize> = (0..blocks.rows.len()).filter(|block| blocks.rows[*block] > 0).collect();
        if filled.is_empty() {
            return Err(AgentError::Data("no row is left to learn from".into()));
        }
        // Few rows may have left some empty.
        for (to, from) in filled.iter().enumerate().filter(|(to, from)| to != *from) {
            fs::rename(file(&folder, *from), file(&folder, to)).map_err(|e| unwritten(&folder, &e))?;
        }
        (filled.len()..blocks.rows.len()).for_each(|block| drop(fs::remove_file(file(&folder, block))));
        blocks.rows = filled.iter().map(|block| blocks.rows[*block]).collect();
        blocks.sums = filled.iter().map(|block| blocks.sums[*block]).collect();
        let index = serde_json::to_string(&blocks).map_err(|e| AgentError::Data(e.to_string()))?;
        fs::write(folder.join(INDEX), index).map_err(|e| unwritten(&folder, &e))?;
        Ok((blocks, left_out))
    }
}

fn unwritten(folder: &Path, e: &std::io::Error) -> AgentError {
    const TOO_MANY_FILES: i32 = 24;
    let hint = match e.raw_os_error() {
        Some(TOO_MANY_FILES) => "; a larger data.block_rows makes fewer of them",
        _ => "",
    };
    AgentError::Data(format!("{}: blocks of rows cannot be written: {e}{hint}", folder.display()))
}

/// Two rows with the same sum are the same rows, but for one in 2^64 by chance.
fn sum(row: &[f64]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    row.iter().for_each(|x| hasher.write_u32((*x as f32).to_bits()));
    hasher.finish()
}
