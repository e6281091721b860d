//! Tables that need not fit into memory: a sample says what their columns are, and the rows that teach lie in blocks in the
//! run's folder.

use crate::table_file;
use agon::{Failure, Outcome};
use agon_agents::data::Raw;
use agon_agents::data::blocks::{Blocks, Dealer, LeftOut, MOST_BLOCKS};
use agon_agents::data::dataset::{DataSettings, Dataset};
use agon_agents::data::encode::Encoder;
use agon_agents::data::split::Method;
use agon_agents::supervised::predictor::Answer;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Passes over all rows where a scenario does not say how many steps are made.
pub const PASSES: u64 = 10;
/// Rows of the sample where the table itself is the reason to read it in blocks.
pub const SAMPLE: usize = 100_000;
/// Rows that are read at a time.
const AT_ONCE: usize = 20_000;
/// Memory that a table takes, as a multiple of its file: its text, its columns, its encoded parts, and copies of them.
const OF_TEXT: f64 = 8.0;
const OF_PARQUET: f64 = 40.0;
/// The lane of the random numbers that draw the sample.
const DRAWN: u32 = u32::MAX - 7;

/// Where a table's rows come from.
pub struct Source {
    file: PathBuf,
    /// Rows of the file.
    pub rows: u64,
    /// Blocks that they are dealt to.
    pub blocks: usize,
}

/// Whether a table is so large that it would not fit into memory as a whole.
pub fn is_needed(file: &Path) -> bool {
    let bytes = std::fs::metadata(file).map_or(0.0, |meta| if meta.is_file() { meta.len() as f64 } else { 0.0 });
    let times = if table_file::is_parquet(file) { OF_PARQUET } else { OF_TEXT };
    bytes * times > agon_core::memory::available()
}

/// A row as it was read.
#[derive(Default)]
struct Row {
    line: u64,
    text: String,
    ends: Vec<usize>,
}

impl Row {
    fn copy(&mut self, raw: &Raw, row: usize) {
        self.line = raw.lines[row];
        self.text.clear();
        self.ends.clear();
        for column in 0..raw.names.len() {
            self.text.push_str(raw.cell(row, column));
            self.ends.push(self.text.len());
        }
    }

    fn cells(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }
}

/// Some rows drawn at random (reservoir sampling: Vitter 1985, algorithm R), in the order of the table, and how many it has.
///
/// # Errors
/// As [`table_file::read`].
pub fn sample(file: &Path, count: usize, seed: u64) -> Outcome<(Raw, u64)> {
    let (mut kept, mut seen, mut names, mut comma) = (Vec::<Row>::new(), 0u64, Vec::new(), false);
    let mut rng = Rng::new(seed, Stream::Shuffle, DRAWN);
    table_file::blocks(file, AT_ONCE, &mut |raw| {
        (names, comma) = (raw.names.clone(), raw.decimal_comma);
        for row in 0..raw.rows() {
            seen += 1;
            if kept.len() < count {
                let mut new = Row::default();
                new.copy(&raw, row);
                kept.push(new);
                continue;
            }
            // 2^53 is more rows than there will be.
            let at = (rng.f64() * seen as f64) as usize;
            if let Some(old) = kept.get_mut(at) {
                old.copy(&raw, row);
            }
        }
        Ok(())
    })?;
    kept.sort_unstable_by_key(|row| row.line);
    let mut raw = Raw::new(names, comma);
    kept.iter().for_each(|row| raw.push(row.line, row.cells()));
    Ok((raw, seen))
}

impl Source {
    /// Of a table of so many rows, of which a sample was read.
    ///
    /// # Errors
    /// The setting that cannot be used with it.
    pub fn new(file: &Path, rows: u64, sample: &Dataset, settings: &DataSettings) -> Result<Self, Issue> {
        if settings.split == Method::Time {
            let why =
                "time is not for a table that is read in blocks: mark the parts in a column (data.split = \"given\")";
            return Err(Issue::value("split", why));
        }
        if settings.pseudo_labels.is_some() {
            return Err(Issue::value("pseudo_labels", "is not for a table that is read in blocks (data.stream)"));
        }
        let held_out = (sample.split.validation.len() + sample.split.test.len()) as u64;
        let blocks = rows.saturating_sub(held_out).div_ceil(settings.block_rows as u64).max(1) as usize;
        if blocks > MOST_BLOCKS {
            let least = rows.div_ceil(MOST_BLOCKS as u64);
            let why = format!("makes {blocks} blocks of {rows} rows, and {MOST_BLOCKS} can be: set {least} or more");
            return Err(Issue::value("block_rows", why));
        }
        Ok(Self { file: file.to_owned(), rows, blocks })
    }

    /// Deals the rows that teach to blocks in a folder.
    ///
    /// # Errors
    /// As [`table_file::read`]; where a cell is not what its column was in the sample; where nothing can be written.
    pub fn deal(&self, folder: &Path, encoder: &Encoder, sample: &Dataset, settings: &DataSettings) -> Outcome<Blocks> {
        let wrong = |e: agon_agents::AgentError| Failure::Input(format!("{}: {e}", self.file.display()));
        let answer = Answer { name: sample.target.name.clone(), classes: sample.target.classes.clone() };
        let mut dealer = Dealer::new(folder, self.blocks, encoder, &answer, sample, settings.seed).map_err(wrong)?;
        let groups = match settings.split {
            Method::Group => self.held_out_groups(sample, &settings.split_by)?,
            _ => HashSet::new(),
        };
        table_file::blocks(&self.file, AT_ONCE, &mut |raw| {
            let by = raw.find(&settings.split_by);
            let taken = |row: usize| match (settings.split, by) {
                (Method::Given, Some(by)) => ["train", "training"].contains(&raw.cell(row, by)),
                (Method::Group, Some(by)) => !groups.contains(raw.cell(row, by)),
                _ => true,
            };
            dealer.add(&raw, taken).map_err(wrong)
        })?;
        let (blocks, left_out) = dealer.finish().map_err(wrong)?;
        tell(&blocks, &left_out, self.rows);
        Ok(blocks)
    }

    /// Groups of the sample's validation and test part.
    fn held_out_groups(&self, sample: &Dataset, by: &str) -> Outcome<HashSet<String>> {
        let lines: HashSet<u64> =
            sample.split.validation.iter().chain(&sample.split.test).map(|row| sample.lines[*row]).collect();
        let mut groups = HashSet::new();
        table_file::blocks(&self.file, AT_ONCE, &mut |raw| {
            let held_out = (0..raw.rows()).filter(|row| lines.contains(&raw.lines[*row]));
            if let Some(by) = raw.find(by) {
                groups.extend(held_out.map(|row| raw.cell(row, by).to_owned()));
            }
            Ok(())
        })?;
        Ok(groups)
    }
}

fn tell(blocks: &Blocks, left_out: &LeftOut, rows: u64) {
    let taught: usize = blocks.rows.iter().sum();
    agon::tell!("{taught} of {rows} rows teach, in {} blocks on disk; a step is a block", blocks.rows.len());
    let LeftOut { unlabelled, unknown: (unknown, first), copies } = left_out;
    if *unlabelled > 0 {
        agon::tell!("note: the target is missing in {unlabelled} rows, which are left out");
    }
    if *unknown > 0 {
        agon::tell!(
            "WARNING: {unknown} rows are of classes that the sample does not have, such as `{first}`, and are left out; a \
             larger data.stream has rarer ones"
        );
    }
    if *copies > 0 {
        agon::tell!("note: {copies} rows are equal to rows of the validation or the test part, and are left out");
    }
}
