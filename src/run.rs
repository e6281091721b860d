//! A run on disk: where its files are, writing them so that nothing saved is ever lost, reading them back.

use crate::failure::{Failure, Outcome};
use crate::tensorboard;
use agon_core::episode::{Episode, Header, Step};
use agon_core::event::Event;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct Run {
    pub folder: PathBuf,
}

/// The right to write to a run. The system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Where runs are kept: `AGON_RUNS`, or `runs` in the folder one stands in.
pub fn root() -> PathBuf {
    std::env::var_os("AGON_RUNS").filter(|folder| !folder.is_empty()).map_or_else(|| "runs".into(), PathBuf::from)
}

impl Run {
    /// A new folder: `out` itself if given (it must not exist), else the next number below `<runs>/<scenario>/`.
    pub fn create(scenario: &str, out: Option<&Path>) -> Outcome<Self> {
        if let Some(out) = out {
            if out.exists() {
                let out = out.display();
                let message =
                    format!("{out} is there already: choose another --out, or go on with it by --resume {out}");
                return Err(Failure::Input(message));
            }
            fs::create_dir_all(out).map_err(|e| Failure::write(out, &e))?;
            return Self { folder: out.to_owned() }.prepare();
        }
        let parent = root().join(scenario);
        fs::create_dir_all(&parent).map_err(|e| Failure::write(&parent, &e))?;
        for number in 1.. {
            let folder = parent.join(format!("{number:03}"));
            match fs::create_dir(&folder) {
                Ok(()) => return Self { folder }.prepare(),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Failure::write(&folder, &e)),
            }
        }
        unreachable!("numbers do not end")
    }

    fn prepare(self) -> Outcome<Self> {
        for part in ["checkpoints", "episodes"] {
            let folder = self.folder.join(part);
            fs::create_dir_all(&folder).map_err(|e| Failure::write(&folder, &e))?;
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

    fn lock_file(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).open(self.path("lock"))
    }

    /// Takes the right to write; only one process can have it.
    pub fn lock(&self) -> Outcome<Lock> {
        let file = self.lock_file().map_err(|e| Failure::write(&self.path("lock"), &e))?;
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
        self.path("lock").exists() && self.lock_file().is_ok_and(|file| file.try_lock_shared().is_err())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The checkpoint that `latest` or `best` names.
    pub fn checkpoint(&self, which: &str) -> Option<PathBuf> {
        let name = fs::read_to_string(self.path("checkpoints").join(which)).ok()?;
        let folder = self.path("checkpoints").join(name.trim());
        folder.is_dir().then_some(folder)
    }

    /// Writes a small file whole or not at all.
    pub fn write(&self, name: &str, text: &str) -> Outcome {
        let (path, draft) = (self.path(name), self.path(&format!("{name}.draft")));
        let written = File::create(&draft)
            .and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.sync_all()))
            .and_then(|()| fs::rename(&draft, &path));
        written.map_err(|e| Failure::write(&path, &e))
    }

    /// Points `latest` or `best` at a checkpoint.
    pub fn mark(&self, which: &str, checkpoint: &str) -> Outcome {
        self.write(&format!("checkpoints/{which}"), &format!("{checkpoint}\n"))
    }

    /// How the run stands.
    pub fn status(&self, state: &str, step: u64, steps: u64) -> Outcome {
        let status = json!({"state": state, "step": step, "steps": steps, "pid": std::process::id()});
        self.write("status.json", &format!("{status}\n"))
    }

    /// The status file's content, if it can be read.
    pub fn read_status(&self) -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(self.path("status.json")).ok()?).ok()
    }

    /// Saves an episode.
    pub fn save_episode(&self, name: &str, episode: &Episode) -> Outcome<PathBuf> {
        let mut text = json!(episode.header).to_string() + "\n";
        for step in &episode.steps {
            text += &(json!(step).to_string() + "\n");
        }
        let name = format!("episodes/{name}.jsonl");
        self.write(&name, &text)?;
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

/// Reads an episode file.
pub fn read_episode(path: &Path) -> Outcome<Episode> {
    let file = File::open(path).map_err(|e| Failure::read(path, &e))?;
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

/// The files that grow while a run goes on. Their lengths are in the checkpoint, and a resume cuts them back to it.
pub struct Logs {
    run: Run,
    metrics: BufWriter<File>,
    speed: BufWriter<File>,
    board: tensorboard::Writer<BufWriter<File>>,
    board_path: PathBuf,
    failed: Option<Failure>,
}

const BOARD: &str = "events.out.tfevents.0000000001.agon";

fn open_at(path: &Path, length: u64) -> Outcome<BufWriter<File>> {
    let open = || -> std::io::Result<File> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        if file.metadata()?.len() < length {
            return Err(std::io::Error::other(format!("it should hold at least {length} bytes by its checkpoint")));
        }
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(file)
    };
    open().map(BufWriter::new).map_err(|e| Failure::write(path, &e))
}

impl Logs {
    /// Opens a run's logs at the lengths its checkpoint says, or empty.
    pub fn open(run: &Run, lengths: Option<&Value>) -> Outcome<Self> {
        let length = |name: &str| lengths.and_then(|l| l[name].as_u64()).unwrap_or(0);
        let board_path = run.path(BOARD);
        let mut board = tensorboard::Writer::new(open_at(&board_path, length("board"))?);
        if length("board") == 0 {
            board.start().map_err(|e| Failure::write(&board_path, &e))?;
        }
        Ok(Self {
            metrics: open_at(&run.path("metrics.jsonl"), length("metrics"))?,
            speed: open_at(&run.path("speed.jsonl"), length("speed"))?,
            board,
            board_path,
            run: run.clone(),
            failed: None,
        })
    }

    /// Flushes, and says how long each file is now.
    pub fn lengths(&mut self) -> Outcome<Value> {
        self.flush()?;
        self.metrics.get_ref().sync_data().map_err(|e| Failure::write(&self.run.path("metrics.jsonl"), &e))?;
        let length = |path: PathBuf| fs::metadata(&path).map(|m| m.len()).map_err(|e| Failure::read(&path, &e));
        Ok(json!({
            "metrics": length(self.run.path("metrics.jsonl"))?,
            "speed": length(self.run.path("speed.jsonl"))?,
            "board": length(self.board_path.clone())?,
        }))
    }

    /// Hands everything to the system; the first error since the last call comes out here.
    pub fn flush(&mut self) -> Outcome {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        self.metrics.flush().map_err(|e| Failure::write(&self.run.path("metrics.jsonl"), &e))?;
        self.speed.flush().map_err(|e| Failure::write(&self.run.path("speed.jsonl"), &e))?;
        self.board.flush().map_err(|e| Failure::write(&self.board_path, &e))
    }

    fn write(&mut self, event: &Event) -> std::io::Result<()> {
        let line = json!(event).to_string() + "\n";
        match event {
            Event::Saved { .. } => return self.speed.write_all(line.as_bytes()),
            Event::Speed { step, steps_per_second, .. } => {
                self.board.scalar(*step, "speed/steps_per_second", *steps_per_second)?;
                return self.speed.write_all(line.as_bytes());
            }
            Event::Scalars { step, values } => {
                values.iter().try_for_each(|(name, v)| self.board.scalar(*step, &format!("losses/{name}"), *v))?;
            }
            Event::Episodes { step, mean, length, .. } => {
                self.board.scalar(*step, "charts/episodic_return", *mean)?;
                self.board.scalar(*step, "charts/episodic_length", *length)?;
            }
            Event::Evaluated { step, mean, .. } => self.board.scalar(*step, "charts/evaluation", *mean)?,
            _ => {}
        }
        self.metrics.write_all(line.as_bytes())
    }
}

impl agon_core::Sink for Logs {
    fn emit(&mut self, event: &Event) {
        if matches!(event, Event::Frame(_)) || self.failed.is_some() {
            return;
        }
        if let Err(e) = self.write(event) {
            self.failed = Some(Failure::write(&self.run.folder, &e));
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
        let Ok(mut file) = File::open(&self.file) else { return (false, Vec::new()) };
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
