//! Tables that need not fit into memory: a sample says what their columns are, and the rows to be trained on lie in blocks in the
//! run's folder.

use crate::table_file;
use agon::{Failure, Outcome};
use agon_agents::AgentError;
use agon_agents::data::blocks::{Blocks, LeftOut, MOST_BLOCKS, Shuffler};
use agon_agents::data::dataset::{DataSettings, Dataset};
use agon_agents::data::encode::Encoder;
use agon_agents::data::split::{self, Method};
use agon_agents::data::{Column, Raw, Values, cells};
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
/// Rows after which it is told how far it is.
const TOLD_EVERY: u64 = 1_000_000;
/// The lane of the random numbers that draw the sample.
const DRAWN: u32 = u32::MAX - 7;

/// Where a table's rows come from.
pub struct Source {
    file: PathBuf,
    /// Rows of the file.
    pub rows: u64,
    /// Blocks that they are shuffled into.
    pub blocks: usize,
    /// How the scenario has it read and divided.
    settings: DataSettings,
}

/// Whether a table is so large that it would not fit into memory as a whole.
pub fn is_needed(file: &Path) -> bool {
    let bytes = std::fs::metadata(file).map_or(0.0, |meta| if meta.is_file() { meta.len() as f64 } else { 0.0 });
    let times = if table_file::is_parquet(file) { OF_PARQUET } else { OF_TEXT };
    bytes * times > agon_core::memory::available()
}

/// Whether it is so large that it is worth the while to read it in parts.
pub fn is_large(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.len() > 1 << 20)
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

/// Rows drawn at random of a table that is read in parts (reservoir sampling: Vitter 1985, algorithm R).
pub struct Reservoir {
    size: usize,
    rng: Rng,
    rows: Vec<Row>,
    /// Rows that came by.
    pub seen: u64,
    /// The table's columns, and no rows.
    empty: Raw,
}

impl Reservoir {
    /// Of so many rows.
    pub fn new(size: usize, seed: u64) -> Self {
        let rng = Rng::new(seed, Stream::Shuffle, DRAWN);
        Self { size, rng, rows: Vec::new(), seen: 0, empty: Raw::default() }
    }

    /// Takes a part of the table in.
    pub fn add(&mut self, raw: &Raw) {
        if self.seen == 0 {
            self.empty = raw.some([]);
        }
        for row in 0..raw.rows() {
            self.seen += 1;
            if self.rows.len() < self.size {
                let mut new = Row::default();
                new.copy(raw, row);
                self.rows.push(new);
                continue;
            }
            // 2^53 is more rows than there will be.
            let at = (self.rng.f64() * self.seen as f64) as usize;
            if let Some(old) = self.rows.get_mut(at) {
                old.copy(raw, row);
            }
        }
    }

    /// The rows in the order of the table.
    pub fn finish(mut self) -> Raw {
        self.rows.sort_unstable_by_key(|row| row.line);
        let mut raw = self.empty;
        self.rows.iter().for_each(|row| raw.push(row.line, row.cells()));
        raw
    }
}

/// Some rows of a file, and how many it has.
///
/// # Errors
/// As [`table_file::read`].
pub fn sample(file: &Path, size: usize, seed: u64) -> Outcome<(Raw, u64)> {
    let mut reservoir = Reservoir::new(size, seed);
    table_file::blocks(file, AT_ONCE, &mut |raw| {
        reservoir.add(&raw);
        Ok(())
    })?;
    let seen = reservoir.seen;
    Ok((reservoir.finish(), seen))
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
            let why = format!(
                "would make {blocks} blocks of {rows} rows, and at most {MOST_BLOCKS} are possible: set {least} or more"
            );
            return Err(Issue::value("block_rows", why));
        }
        Ok(Self { file: file.to_owned(), rows, blocks, settings: settings.clone() })
    }

    /// Shuffles the rows to be trained on into blocks in a folder; `raw`: the sample as it was read.
    ///
    /// # Errors
    /// As [`table_file::read`]; where a cell is not what its column was in the sample; where nothing can be written, or
    /// somebody stops it.
    pub fn shuffle(
        &self,
        folder: &Path,
        encoder: &Encoder,
        (sample, raw): (&Dataset, &Raw),
        stopped: &dyn Fn() -> bool,
    ) -> Outcome {
        let wrong = |e: AgentError| Failure::Input(format!("{}: {e}", self.file.display()));
        let answer = Answer::of(&sample.target);
        let (size, settings) = ((self.rows, self.blocks), &self.settings);
        let mut shuffler = Shuffler::new(folder, size, encoder, &answer, sample, settings.seed).map_err(wrong)?;
        let groups = match settings.split {
            Method::Group => Column::of_lines(raw, &settings.split_by, &sample.lines),
            _ => None,
        };
        let held_out: HashSet<Cell> = groups.iter().flat_map(|column| held_out(sample, column)).collect();
        let mut seen = 0;
        table_file::blocks(&self.file, AT_ONCE, &mut |raw| {
            if stopped() {
                return Err(Failure::Interrupted(
                    "stopped while rows were shuffled into blocks: nothing is left of the run".into(),
                ));
            }
            let by = raw.find(&settings.split_by);
            let groups = match (&groups, by) {
                (Some(known), Some(by)) => {
                    let own = cells::read_by(&raw, by, known.kind, known.way);
                    Some(own.map_err(|(row, why)| wrong(AgentError::Data(format!("line {}: {why}", raw.lines[row]))))?)
                }
                _ => None,
            };
            let taken = |row: usize| match (settings.split, by, &groups) {
                (Method::Given, Some(by), _) => split::is_training(raw.cell(row, by)),
                (Method::Group, _, Some(groups)) => !held_out.contains(&cell(groups, row)),
                _ => true,
            };
            shuffler.add(&raw, taken).map_err(wrong)?;
            seen += raw.rows() as u64;
            if seen / TOLD_EVERY > (seen - raw.rows() as u64) / TOLD_EVERY {
                agon::tell!("  {seen} of {} rows", self.rows);
            }
            Ok(())
        })?;
        let (blocks, left_out) = shuffler.finish().map_err(wrong)?;
        tell(&blocks, &left_out, self.rows);
        Ok(())
    }
}

/// A value of a column, whichever part of the table it is in.
#[derive(PartialEq, Eq, Hash)]
enum Cell {
    Number(u64),
    Label(String),
    Missing,
}

fn cell(column: &Column, row: usize) -> Cell {
    match &column.values {
        _ if column.is_missing(row) => Cell::Missing,
        Values::Numbers(_) => Cell::Number(column.key(row)),
        Values::Labels(labels, codes) => Cell::Label(labels[codes[row].unwrap_or(0) as usize].clone()),
    }
}

/// Values of a column in the validation and the test part.
fn held_out(sample: &Dataset, column: &Column) -> Vec<Cell> {
    sample.split.validation.iter().chain(&sample.split.test).map(|row| cell(column, *row)).collect()
}

fn tell(blocks: &Blocks, left_out: &LeftOut, rows: u64) {
    let taught: usize = blocks.rows.iter().sum();
    agon::tell!("{taught} of {rows} rows are trained on, in {} blocks on disk; a step is a block", blocks.rows.len());
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
