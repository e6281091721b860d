//! A run on disk: where its files are, writing them so that nothing saved is ever lost, reading them back.

use crate::failure::{Failure, Outcome};
use crate::files;
use crate::tensorboard;
use agon_core::disk;
use agon_core::episode::{Episode, Header, Step};
use agon_core::event::Event;
use agon_core::plot::{self, Plot};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A run's folder.
#[derive(Clone, Debug)]
pub struct Run {
    pub folder: PathBuf,
}

/// What a run's settings begin with; their CRC-32C follows.
const SUM: &str = "# settings of a run, changed by --resume RUN --set KEY=VALUE alone; crc32c ";

/// The right to write to a run. The system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Where runs are kept: `AGON_RUNS`, or `runs` in the folder one stands in.
pub fn root() -> PathBuf {
    std::env::var_os("AGON_RUNS").filter(|folder| !folder.is_empty()).map_or_else(|| "runs".into(), PathBuf::from)
}

/// A new folder: `out` itself if given (it must not exist), else the next number below `<runs>/<scenario>/`.
pub fn new_folder(scenario: &str, out: Option<&Path>) -> Outcome<PathBuf> {
    if let Some(out) = out {
        if out.exists() {
            let out = out.display();
            let message = format!("{out} is there already: choose another --out, or go on with it by --resume {out}");
            return Err(Failure::Input(message));
        }
        fs::create_dir_all(out).map_err(|e| Failure::write(out, &e))?;
        return Ok(out.to_owned());
    }
    let parent = root().join(scenario);
    fs::create_dir_all(&parent).map_err(|e| Failure::write(&parent, &e))?;
    for number in 1.. {
        let folder = parent.join(format!("{number:03}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Failure::write(&folder, &e)),
        }
    }
    unreachable!("numbers do not end")
}

impl Run {
    /// A new run in a [new folder](new_folder).
    pub fn create(scenario: &str, out: Option<&Path>) -> Outcome<Self> {
        Self { folder: new_folder(scenario, out)? }.prepare()
    }

    fn prepare(self) -> Outcome<Self> {
        for part in ["checkpoints", "episodes"] {
            let folder = self.folder.join(part);
            fs::create_dir_all(&folder).map_err(|e| Failure::write(&folder, &e))?;
        }
        // The way to it, too, must survive a power cut; folders of others may not be ours to open.
        for folder in self.folder.ancestors() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let _ = disk::sync_folder(folder);
        }
        Ok(self)
    }

    /// An existing run.
    pub fn open(folder: &Path) -> Outcome<Self> {
        if folder.join("scenario.toml").is_file() {
            return Ok(Self { folder: folder.to_owned() });
        }
        Err(Failure::Input(format!("{} is not a run: it has no scenario.toml", folder.display())))
    }

    /// Writes the run's settings, with their sum.
    pub fn write_scenario(&self, text: &str) -> Outcome {
        self.write("scenario.toml", &format!("{SUM}{:08x}\n{text}", crc32c::crc32c(text.as_bytes())))
    }

    /// Refuses settings that somebody changed after the run began: going on with them would be another run. Those of
    /// older versions have no sum.
    pub fn check_scenario(&self) -> Outcome {
        let path = self.path("scenario.toml");
        let text = files::text(&path).unwrap_or_default();
        let Some((sum, rest)) = text.strip_prefix(SUM).and_then(|rest| rest.split_once('\n')) else { return Ok(()) };
        if u32::from_str_radix(sum, 16).ok() == Some(crc32c::crc32c(rest.as_bytes())) {
            return Ok(());
        }
        let path = path.display();
        Err(Failure::Input(format!(
            "{path} is not what the run began with: put it back; --resume changes settings by --set, and a new run may \
             begin with other ones (agon train {path}, with --from for its weights)"
        )))
    }

    fn lock_file(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).open(self.path("lock"))
    }

    /// Takes the right to write; only one process can have it.
    pub fn lock(&self) -> Outcome<Lock> {
        let path = self.path("lock");
        if path.exists() && !path.is_file() {
            return Err(Failure::Input(format!("{} is no ordinary file: remove it", path.display())));
        }
        let file = self.lock_file().map_err(|e| Failure::write(&path, &e))?;
        // A watcher's look takes it for a moment.
        for _ in 0..20 {
            if file.try_lock().is_ok() {
                return Ok(Lock { _file: file });
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Err(Failure::Input(format!("{} is being trained by another process", self.folder.display())))
    }

    /// Whether a process is writing to it now.
    pub fn is_live(&self) -> bool {
        self.path("lock").is_file() && self.lock_file().is_ok_and(|file| file.try_lock_shared().is_err())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The checkpoint that `latest` or `best` names. Where `latest` names none, it is the newest that is there.
    pub fn checkpoint(&self, which: &str) -> Option<PathBuf> {
        let name = files::text(&self.path("checkpoints").join(which)).unwrap_or_default();
        let named = place(name.trim()).map(|_| self.path("checkpoints").join(name.trim())).filter(|p| p.is_dir());
        named.or_else(|| if which == "latest" { self.checkpoints().pop() } else { None })
    }

    /// All checkpoints, oldest first.
    pub fn checkpoints(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.path("checkpoints")).into_iter().flatten().flatten().map(|e| e.path());
        let mut all: Vec<_> = all.filter(|p| p.is_dir()).filter_map(|p| Some((step_of(&p)?, p))).collect();
        all.sort();
        all.into_iter().map(|(_, path)| path).collect()
    }

    /// Takes away every checkpoint but the newest `keep` up to `newest`, and the best; and drafts that were left behind.
    pub fn forget(&self, newest: &Path, keep: usize) {
        let mut kept: Vec<PathBuf> =
            self.checkpoints().into_iter().filter(|p| step_of(p) <= step_of(newest)).rev().take(keep).collect();
        kept.extend(self.checkpoint("best"));
        let all = fs::read_dir(self.path("checkpoints")).into_iter().flatten().flatten().map(|e| e.path());
        for old in all.filter(|p| p.is_dir() && !kept.contains(p)) {
            disk::change();
            // One that cannot be removed only takes room.
            let _ = fs::remove_dir_all(old);
        }
    }

    /// Writes a small file whole or not at all.
    pub fn write(&self, name: &str, text: &str) -> Outcome {
        self.write_bytes(name, text.as_bytes())
    }

    /// The same of any content.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> Outcome {
        let path = self.path(name);
        disk::write(&path, bytes).map_err(|e| self.failed(&path, &e))
    }

    /// What it means that something of the run cannot be written.
    pub fn failed(&self, path: &Path, error: &std::io::Error) -> Failure {
        // What was written meanwhile may have made a part of it again.
        if self.path("checkpoints").is_dir() {
            return Failure::write(path, error);
        }
        let folder = self.folder.display();
        Failure::Internal(format!(
            "the run's folder {folder} is gone: somebody renamed or deleted it. Where it is now, its checkpoints are \
             whole: go on with agon train --resume FOLDER"
        ))
    }

    /// Points `latest` or `best` at a checkpoint.
    pub fn mark(&self, which: &str, checkpoint: &str) -> Outcome {
        self.write(&format!("checkpoints/{which}"), &format!("{checkpoint}\n"))
    }

    /// How the run stands.
    pub fn status(&self, state: &str, step: u64, steps: u64) -> Outcome {
        let saved = !self.checkpoints().is_empty();
        let pid = std::process::id();
        let status = json!({"state": state, "step": step, "steps": steps, "saved": saved, "pid": pid});
        self.write("status.json", &format!("{status}\n"))
    }

    /// The status file's content, if it can be read.
    pub fn read_status(&self) -> Option<Value> {
        serde_json::from_str(&files::text(&self.path("status.json"))?).ok()
    }

    /// The newest pictures of what it has learned of its data. Older versions kept one alone.
    pub fn plots(&self) -> Vec<Plot> {
        let Some(text) = files::text(&self.path(PLOT)) else { return Vec::new() };
        let one = |text: &str| serde_json::from_str(text).map(|plot| vec![plot]);
        serde_json::from_str(&text).or_else(|_| one(&text)).unwrap_or_default()
    }

    /// When those were written; none where there are none.
    pub fn plots_at(&self) -> Option<SystemTime> {
        fs::metadata(self.path(PLOT)).and_then(|m| m.modified()).ok()
    }

    /// Saves an episode.
    pub fn save_episode(&self, name: &str, episode: &Episode) -> Outcome<PathBuf> {
        // They may have been cleared away. Where the run itself is gone, this fails too, and the next line says so.
        let _ = fs::create_dir(self.path("episodes"));
        let name = format!("episodes/{name}.jsonl");
        self.write(&name, &episode_text(episode))?;
        Ok(self.path(&name))
    }

    /// Saved episodes, oldest first.
    pub fn episodes(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.path("episodes")).into_iter().flatten().flatten().map(|e| e.path());
        let mut all: Vec<PathBuf> = all.filter(|p| p.extension().is_some_and(|e| e == "jsonl")).collect();
        all.sort();
        all
    }
}

/// The lines of an episode's file.
pub fn episode_text(episode: &Episode) -> String {
    let mut text = json!(episode.header).to_string() + "\n";
    episode.steps.iter().for_each(|step| text += &(json!(step).to_string() + "\n"));
    text
}

/// The step that a checkpoint's folder is of, and which of several it is: `4096`, or `4096-2` in older runs.
fn place(name: &str) -> Option<(u64, u64)> {
    let (step, count) = name.split_once('-').unwrap_or((name, "1"));
    Some((step.parse().ok()?, count.parse().ok()?))
}

fn step_of(folder: &Path) -> Option<(u64, u64)> {
    place(folder.file_name()?.to_str()?)
}

/// Reads an episode file.
pub fn read_episode(path: &Path) -> Outcome<Episode> {
    let file = files::open(path)?;
    let mut lines = BufReader::new(file).lines().enumerate();
    let wrong = |line: usize, why: String| {
        Failure::Input(format!("{}:{}: not an episode of this version of Agon: {why}", path.display(), line + 1))
    };
    let (_, first) = lines.next().ok_or_else(|| wrong(0, "the file is empty".into()))?;
    let first = first.map_err(|e| wrong(0, e.to_string()))?;
    let header: Header = serde_json::from_str(&first).map_err(|e| wrong(0, e.to_string()))?;
    if header.format != agon_core::episode::FORMAT {
        return Err(wrong(0, format!("its format is `{}`", header.format)));
    }
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in lines {
        let line = line.map_err(|e| wrong(number, e.to_string()))?;
        steps.push(serde_json::from_str(&line).map_err(|e| wrong(number, e.to_string()))?);
    }
    Ok(Episode { header, steps })
}

/// The files that grow while a run goes on. A resume cuts them back to what they held at its checkpoint, which depends on
/// `metrics.jsonl` alone; the others are made anew where they are damaged.
pub struct Logs {
    run: Run,
    metrics: BufWriter<File>,
    /// Bytes of `metrics.jsonl`, and their CRC-32C.
    length: u64,
    sum: u32,
    speed: BufWriter<File>,
    board: tensorboard::Writer<BufWriter<File>>,
    board_path: PathBuf,
    plots: Vec<Plot>,
    failed: Option<Failure>,
}

const BOARD: &str = "events.out.tfevents.0000000001.agon";
const METRICS: &str = "metrics.jsonl";
const SPEED: &str = "speed.jsonl";
const PLOT: &str = "plot.json";

fn open_at(path: &Path, length: u64) -> Outcome<BufWriter<File>> {
    let open = || -> std::io::Result<File> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(file)
    };
    if path.exists() && !path.is_file() {
        return Err(Failure::Input(format!("{} is no ordinary file", path.display())));
    }
    open().map(BufWriter::new).map_err(|e| Failure::write(path, &e))
}

/// What `metrics.jsonl` held at a checkpoint, given its `logs`; why not, where it does not any more.
pub fn metrics_at(run: &Run, lengths: &Value) -> Result<Vec<u8>, String> {
    let length = lengths["metrics"].as_u64().unwrap_or(0);
    let mut bytes = Vec::new();
    if length > 0 {
        let file = files::open(&run.path(METRICS)).map_err(|e| e.to_string())?;
        file.take(length).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    }
    if (bytes.len() as u64) < length {
        return Err(format!("its {METRICS} has {} bytes of {length}", bytes.len()));
    }
    // Older checkpoints do not say the sum.
    match lengths["metrics_crc32c"].as_u64() {
        Some(sum) if sum != u64::from(crc32c::crc32c(&bytes)) => Err(format!("its {METRICS} was changed")),
        _ => Ok(bytes),
    }
}

impl Logs {
    /// Opens a run's logs as they were at its checkpoint, or empty. It says how long `metrics.jsonl` was, and that is
    /// held to; and how long the `derived` ones were, where it knows.
    pub fn open(run: &Run, lengths: &Value, derived: &Value) -> Outcome<Self> {
        let length = |name: &str| derived[name].as_u64().unwrap_or(0);
        let kept = metrics_at(run, lengths)
            .map_err(|why| Failure::Input(format!("{} cannot be gone on with: {why}", run.folder.display())))?;
        let metrics = open_at(&run.path(METRICS), kept.len() as u64)?;

        // Derived, so that their loss never stands in the way.
        for name in [SPEED, BOARD] {
            set_aside(&run.path(name))?;
        }
        let old = |name: &str| {
            let mut bytes =
                files::open(&run.path(name)).and_then(|f| files::all(f, &run.path(name))).unwrap_or_default();
            bytes.truncate(length(name_of_length(name)) as usize);
            bytes
        };
        let (speed, board) = (old(SPEED), old(BOARD));
        let speed_length = speed.iter().rposition(|b| *b == b'\n').map_or(0, |i| i as u64 + 1);
        if speed_length < length("speed") {
            crate::tell!("note: {SPEED} is damaged; {speed_length} bytes of it are kept");
        }
        let board_path = run.path(BOARD);
        let whole = tensorboard::whole(&board) as u64 == length("board") && length("board") > 0;
        let mut logs = Self {
            metrics,
            length: kept.len() as u64,
            sum: crc32c::crc32c(&kept),
            speed: open_at(&run.path(SPEED), speed_length)?,
            board: tensorboard::Writer::new(open_at(&board_path, if whole { length("board") } else { 0 })?),
            board_path,
            plots: run.plots(),
            run: run.clone(),
            failed: None,
        };
        if !whole {
            logs.start_board(&kept).map_err(|e| Failure::write(&logs.board_path, &e))?;
            if length("board") > 0 {
                crate::tell!("note: the TensorBoard file was damaged; it is made anew from {METRICS}");
            }
        }
        disk::sync_folder(&run.folder).map_err(|e| run.failed(&run.folder, &e))?;
        Ok(logs)
    }

    /// Begins the TensorBoard file with what `metrics.jsonl` holds.
    fn start_board(&mut self, metrics: &[u8]) -> std::io::Result<()> {
        self.board.start()?;
        let events = metrics.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        events.into_iter().try_for_each(|event: Event| self.draw(&event))
    }

    /// How long the logs are that nothing depends on.
    pub fn derived(&self) -> Value {
        let length = |file: &BufWriter<File>| file.get_ref().metadata().map_or(0, |m| m.len());
        json!({"speed": length(&self.speed), "board": length(self.board.get_ref())})
    }

    /// Flushes, and says how long `metrics.jsonl` is now. What a checkpoint depends on is synced then.
    pub fn lengths(&mut self) -> Outcome<Value> {
        self.flush()?;
        disk::change();
        self.metrics.get_ref().sync_all().map_err(|e| self.run.failed(&self.run.path(METRICS), &e))?;
        Ok(json!({"metrics": self.length, "metrics_crc32c": self.sum}))
    }

    /// Hands everything to the system; the first error since the last call comes out here.
    pub fn flush(&mut self) -> Outcome {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        disk::change();
        self.metrics.flush().map_err(|e| self.run.failed(&self.run.path(METRICS), &e))?;
        disk::change();
        self.speed.flush().map_err(|e| self.run.failed(&self.run.path(SPEED), &e))?;
        disk::change();
        self.board.flush().map_err(|e| self.run.failed(&self.board_path, &e))
    }

    /// The curves of TensorBoard.
    fn draw(&mut self, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Speed { step, steps_per_second, .. } => {
                self.board.scalar(*step, "speed/steps_per_second", *steps_per_second)
            }
            Event::Scalars { step, values } => {
                values.iter().try_for_each(|(name, v)| self.board.scalar(*step, &format!("losses/{name}"), *v))
            }
            Event::Episodes { step, mean, length, .. } => {
                self.board.scalar(*step, "charts/episodic_return", *mean)?;
                self.board.scalar(*step, "charts/episodic_length", *length)
            }
            Event::Evaluated { step, mean, metrics, .. } => {
                self.board.scalar(*step, "charts/evaluation", *mean)?;
                metrics.iter().try_for_each(|m| self.board.scalar(*step, &format!("evaluation/{}", m.name), m.value))
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, event: &Event) -> std::io::Result<()> {
        let line = json!(event).to_string() + "\n";
        self.draw(event)?;
        if matches!(event, Event::Saved { .. } | Event::Speed { .. }) {
            return self.speed.write_all(line.as_bytes());
        }
        self.length += line.len() as u64;
        self.sum = crc32c::crc32c_append(self.sum, line.as_bytes());
        self.metrics.write_all(line.as_bytes())
    }
}

/// Moves what is no ordinary file out of the way of a log that is made anew.
fn set_aside(path: &Path) -> Outcome {
    if !path.exists() || path.is_file() {
        return Ok(());
    }
    let aside = path.with_file_name(format!("not-a-log-{}", std::process::id()));
    fs::rename(path, &aside).map_err(|e| Failure::write(&aside, &e))?;
    crate::tell!("note: {} is no ordinary file; it was moved to {}", path.display(), aside.display());
    Ok(())
}

/// How a checkpoint calls the length of a log.
fn name_of_length(file: &str) -> &'static str {
    if file == SPEED { "speed" } else { "board" }
}

impl agon_core::Sink for Logs {
    fn emit(&mut self, event: &Event) {
        if let Event::Plots(new) = event {
            plot::renew(&mut self.plots, new);
            // They show what other files say: those that are lost stand in nobody's way.
            let (draft, text) = (self.run.path(&format!("{PLOT}.draft")), json!(self.plots).to_string());
            let _ = fs::write(&draft, text).and_then(|()| fs::rename(&draft, self.run.path(PLOT)));
            return;
        }
        if matches!(event, Event::Frame(_) | Event::Note(_)) || self.failed.is_some() {
            return;
        }
        if let Err(e) = self.write(event) {
            self.failed = Some(self.run.failed(&self.run.folder, &e));
        }
    }
}

/// Follows the event files of a run that another process may be writing.
pub struct Tail {
    file: PathBuf,
    at: u64,
    rest: Vec<u8>,
}

impl Tail {
    pub fn new(file: PathBuf) -> Self {
        Self { file, at: 0, rest: Vec::new() }
    }

    /// The events that were added since the last call. A file that became shorter was resumed: `true` says to start over.
    pub fn poll(&mut self) -> (bool, Vec<Event>) {
        let Ok(mut file) = files::open(&self.file) else { return (false, Vec::new()) };
        let length = file.metadata().map_or(0, |m| m.len());
        let again = length < self.at;
        if again {
            self.at = 0;
            self.rest.clear();
        }
        let mut fresh = Vec::new();
        if file.seek(SeekFrom::Start(self.at)).is_err() || file.read_to_end(&mut fresh).is_err() {
            return (again, Vec::new());
        }
        self.at += fresh.len() as u64;
        self.rest.extend(fresh);
        let whole = self.rest.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        let lines = lines.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        (again, lines.filter_map(|l| serde_json::from_slice(l).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::Sink;

    /// A picture takes the place of the one with its title; what older versions kept is one of them.
    #[test]
    fn pictures_are_kept_by_title() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run { folder: folder.path().to_owned() };
        let old = r#"{"title":"models","body":{"kind":"leaderboard","head":["model"],"rows":[["linear"]]}}"#;
        fs::write(run.path(PLOT), old).unwrap();
        assert_eq!(run.plots()[0].title, "models");
        let mut logs = Logs::open(&run, &Value::Null, &Value::Null).unwrap();
        let mut models = run.plots();
        let plot::Body::Table(table) = &mut models[0].body else { panic!("a leaderboard is a table") };
        table.rows.push(vec!["forest".into()]);
        let map = Plot { title: "map".into(), body: plot::Body::Points(plot::Points::default()) };
        logs.emit(&Event::Plots(vec![map.clone()]));
        logs.emit(&Event::Plots(models.clone()));
        assert_eq!(run.plots(), [models[0].clone(), map]);
        fs::write(run.path(PLOT), "cut sho").unwrap();
        assert!(run.plots().is_empty());
    }
}
