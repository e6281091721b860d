//! `agon train`: a run; with several seeds one for each, side by side, and what they have in common.
//!
//! Each of several is a process of its own, which does what `agon train --seed N` does: settings of libtorch belong to a
//! process, and so a run is the same bits whatever runs beside it. A process saves and stops once its stdin ends. That
//! is how it is asked to stop, and how it learns that whoever started it has died.

use crate::checkpoints::may_change;
use crate::processes::{Line, Process};
use crate::rates;
use crate::scenarios;
use crate::search;
use crate::train::train;
use agon::cli::{self, Ui};
use agon::failure::quoted;
use agon::group::{Group, Record, Spread};
use agon::run::Run;
use agon::screen::{self, Screen};
use agon::search::record::Folder;
use agon::signals;
use agon::tui::app::{self, Key, Next, Page};
use agon::tui::pane::{Theme, number};
use agon::watch::Runs;
use agon::{Failure, Outcome};
use agon_core::Metric;
use ratatui::Frame;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How often processes are looked after.
const EVERY: Duration = Duration::from_millis(50);
/// How long a run is waited for that another process still saves.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines of a process that are kept, to say what went wrong.
const KEPT: usize = 8;

/// One run, or one for each seed.
pub fn run(args: &cli::Train) -> Outcome {
    let stop = signals::for_run()?;
    if args.until_stdin_ends {
        signals::stop_at_end_of_stdin(&stop)?;
    }
    if args.find_rate {
        return rates::find(args, &stop);
    }
    if let Some(folder) = args.resume.as_deref().filter(|folder| Folder::is_one(folder)) {
        return search::resume(folder, args, &stop);
    }
    if let (Some(scenario), false) = (&args.scenario, args.trial)
        && let Some(found) = search::asked(scenario, args)?
    {
        return search::begin(scenario, found, args, &stop);
    }
    if args.data.is_some() && args.seeds.is_some() {
        let how = "train once, and then the scenario that is in the run: `agon train RUN/scenario.toml --seeds …`";
        return Err(Failure::Input(format!("--seeds is for scenarios, and --data makes one: {how}")));
    }
    if args.scenario.is_none() && args.resume.is_none() {
        search::refuse_flags(args)?;
    }
    let group = match (&args.resume, &args.scenario, &args.seeds) {
        (Some(folder), ..) if Group::is_one(folder) => resume(folder, args)?,
        (None, Some(scenario), Some(seeds)) => begin(scenario, &seeds.0, args)?,
        (None, Some(scenario), None) if args.seed.is_none() => match scenarios::seeds(scenario, &args.set)? {
            Some(seeds) => begin(scenario, &seeds, args)?,
            None => return train(args, &stop),
        },
        _ => return train(args, &stop),
    };
    several(group, args, &stop)
}

/// The resolved scenario with a seed: its checksum, its name, and the threads that a run of it keeps busy.
fn resolved(scenario: &std::path::Path, sets: &[String], seed: u64) -> Outcome<(u32, String, usize)> {
    let task = scenarios::read(scenario, sets, Some(seed))?;
    let train = &task.common().train;
    Ok((
        crc32c::crc32c(task.common().resolved.as_bytes()),
        task.common().name.clone(),
        train.threads.max(train.env_threads),
    ))
}

/// A new group.
fn begin(scenario: &std::path::Path, seeds: &[u64], args: &cli::Train) -> Outcome<(Group, usize)> {
    if args.ui == Ui::Tui && !screen::is_terminal() {
        return Err(Failure::Input("--ui tui: there is no terminal here; use --ui plain".into()));
    }
    // What is wrong with the scenario is said once, before anything is written.
    let (sum, name, threads) = resolved(scenario, &args.set, seeds[0])?;
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let from = args.from.clone().map(|from| absolute(from.into()).display().to_string());
    let scenario = if scenario.exists() { absolute(scenario.to_owned()) } else { scenario.to_owned() };
    let record = Record::new(scenario, sum, seeds.to_vec(), args.set.clone(), from);
    Ok((Group::create(&name, args.out.as_deref(), record)?, threads))
}

/// A group that was begun before. Its scenario is needed only where a run has not begun.
fn resume(folder: &std::path::Path, args: &cli::Train) -> Outcome<(Group, usize)> {
    may_change(&args.set)?;
    let mut group = Group::open(folder)?;
    let first = group.record.seeds[0];
    let begun = group.runs().find(|(_, run)| run.path("scenario.toml").is_file());
    if group.runs().all(|(_, run)| run.path("scenario.toml").is_file()) {
        group.record.set.extend(args.set.iter().cloned());
    } else {
        let record = &mut group.record;
        if resolved(&record.scenario, &record.set, first)?.0 != record.sum {
            return Err(Failure::Input(format!(
                "{} is not what this group began with, and not all of its runs have begun: put it back, or go on with \
                 those that have by `agon train --resume {}/seed-N`",
                record.scenario.display(),
                quoted(folder)
            )));
        }
        record.set.extend(args.set.iter().cloned());
        record.sum = resolved(&record.scenario, &record.set, first)?.0;
    }
    let threads = match begun {
        Some((seed, run)) => resolved(&run.path("scenario.toml"), &args.set, seed)?.2,
        None => resolved(&group.record.scenario, &group.record.set, first)?.2,
    };
    if !args.set.is_empty() {
        group.write()?;
    }
    Ok((group, threads))
}

/// A seed and its run.
struct Place {
    seed: u64,
    run: Run,
    working: Option<Process>,
    /// How its process ended, or that none is needed.
    ended: Option<Outcome>,
    /// Since when another process is waited for.
    waiting: Option<Instant>,
    /// What its process wrote to stdout, for people: a table.
    said: Vec<String>,
    /// The newest lines on stderr.
    told: VecDeque<String>,
}

/// All seeds of a group.
struct Side<'a> {
    group: Group,
    args: &'a cli::Train,
    stop: &'a AtomicBool,
    /// Processes at once.
    most: usize,
    places: Vec<Place>,
    lines: Receiver<Line>,
    sender: Sender<Line>,
    /// Where lines go while the dashboard is open.
    log: Option<File>,
}

/// Runs every seed of a group that is not done, as many at once as there are cores.
fn several((group, threads): (Group, usize), args: &cli::Train, stop: &Arc<AtomicBool>) -> Outcome {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = (cores / threads).max(1);
    let (sender, lines) = channel();
    // What is done stays as it is, unless something of it shall change.
    let is_done = |run: &Run| {
        let done = run.read_status().is_some_and(|status| status["state"] == "done");
        args.set.is_empty() && done && agon::group::result(run).is_some()
    };
    let place = |(seed, run): (u64, Run)| {
        let ended = is_done(&run).then_some(Ok(()));
        Place { seed, run, working: None, ended, waiting: None, said: Vec::new(), told: VecDeque::new() }
    };
    let places: Vec<Place> = group.runs().map(place).collect();
    let at_once = most.min(places.len());
    agon::tell!("{} seeds in {}, {at_once} at a time", places.len(), group.folder.display());
    let mut side = Side { group, args, stop, most, places, lines, sender, log: None };
    let dashboard = args.ui == Ui::Tui || args.ui == Ui::Auto && screen::is_terminal();
    if dashboard {
        side.show()?;
    }
    while side.tend() {
        std::thread::sleep(EVERY);
    }
    side.finish()
}

impl Side<'_> {
    /// Passes lines on, sees which processes have ended, starts the next ones; whether anything goes on.
    fn tend(&mut self) -> bool {
        while let Ok((place, out, line)) = self.lines.try_recv() {
            self.pass_on(place, out, line);
        }
        for at in 0..self.places.len() {
            let Some(working) = &mut self.places[at].working else { continue };
            if self.stop.load(Ordering::Relaxed) {
                working.stop();
            }
            let Some(status) = working.ended() else { continue };
            if let Some(working) = self.places[at].working.take() {
                // Its last lines are here before anything is said of its end.
                working.join();
                while let Ok((place, out, line)) = self.lines.try_recv() {
                    self.pass_on(place, out, line);
                }
                self.end(at, status.code());
            }
        }
        let stopped = self.stop.load(Ordering::Relaxed);
        for at in 0..self.places.len() {
            let busy = self.places.iter().filter(|place| place.working.is_some()).count();
            if stopped || busy >= self.most {
                break;
            }
            if self.places[at].ended.is_none() && self.places[at].working.is_none() {
                self.start(at);
            }
        }
        let is_open = |place: &Place| place.working.is_some() || !stopped && place.ended.is_none();
        self.places.iter().any(is_open)
    }

    fn pass_on(&mut self, at: usize, out: bool, line: String) {
        let place = &mut self.places[at];
        let named = format!("seed {}: {line}", place.seed);
        if let Some(log) = &mut self.log {
            // A full disk must not hide the runs' own failures.
            let _ = writeln!(log, "{named}");
        }
        match (out, self.args.ui) {
            (true, Ui::Json) => match serde_json::from_str::<Value>(&line) {
                Ok(Value::Object(mut event)) => {
                    // `started` has it already, and it is the same.
                    event.insert("seed".into(), place.seed.into());
                    agon::say!("{}", Value::Object(event));
                }
                _ => agon::say!("{line}"),
            },
            (true, _) => place.said.push(line),
            (false, _) => {
                if self.log.is_none() {
                    agon::tell!("{named}");
                }
                place.told.truncate(KEPT - 1);
                place.told.push_front(line);
            }
        }
    }

    fn start(&mut self, at: usize) {
        let place = &mut self.places[at];
        if place.run.is_live() {
            // One that was left behind saves and ends.
            let since = *place.waiting.get_or_insert_with(Instant::now);
            if since.elapsed() > PATIENCE {
                let message = format!("{} is being trained by another process", place.run.folder.display());
                place.ended = Some(Err(Failure::Input(message)));
            }
            return;
        }
        match launch(&self.group, place, self.args, at, &self.sender) {
            Ok(working) => place.working = Some(working),
            Err(failure) => place.ended = Some(Err(failure)),
        }
    }

    fn end(&mut self, at: usize, code: Option<i32>) {
        let place = &mut self.places[at];
        let said = place.told.iter().find_map(|line| line.strip_prefix("error: ")).map(String::from);
        let why = said.or_else(|| place.told.front().cloned()).unwrap_or_default();
        let message = format!("seed {}: {why}", place.seed);
        place.ended = Some(match code {
            Some(0) => Ok(()),
            Some(2) => Err(Failure::Input(message)),
            Some(3) => Err(Failure::Check(message)),
            Some(130) => Err(Failure::Interrupted(message)),
            Some(_) => Err(Failure::Internal(message)),
            None => Err(Failure::Internal(format!("seed {}: its process was killed", place.seed))),
        });
        if self.log.is_none() && !place.said.is_empty() {
            agon::say!("\nseed {}", place.seed);
            place.said.iter().for_each(|line| agon::say!("{line}"));
            agon::say!("");
        }
    }

    /// The dashboard over all of them, until they have ended or it is left.
    fn show(&mut self) -> Outcome {
        let path = self.group.folder.join("log.txt");
        let log = File::options().create(true).append(true).open(&path);
        self.log = Some(log.map_err(|e| Failure::write(&path, &e))?);
        let mut screen = Screen::open(&path)?;
        let mut page = Board { runs: Runs::of_group(&self.group), side: self, open: true, asking: false };
        let shown = app::run(&mut screen, &mut page);
        let left = page.open;
        drop(screen);
        self.log = None;
        if shown.is_err() {
            // Whoever closes the terminal wants the runs saved and stopped.
            self.stop.store(true, Ordering::SeqCst);
        } else if left && !self.stop.load(Ordering::Relaxed) {
            agon::tell!("the runs go on; Ctrl-C saves and stops them");
        }
        Ok(())
    }

    /// The table, and how all ended.
    fn finish(self) -> Outcome {
        let folder = quoted(&self.group.folder);
        let undone = |place: &&Place| !matches!(place.ended, Some(Ok(())));
        let left = self.places.iter().filter(undone).count();
        let states = self.places.iter().map(|place| match &place.ended {
            Some(Ok(())) => "done",
            None | Some(Err(Failure::Interrupted(_))) => "interrupted",
            Some(Err(_)) => "failed",
        });
        let states: Vec<(u64, &str)> = self.places.iter().map(|place| place.seed).zip(states).collect();
        tell(&self.group, &states, self.args.ui == Ui::Json);
        let on = format!("go on with\n  agon train --resume {folder}");
        let stopped = self.stop.load(Ordering::Relaxed);
        let of = self.places.len();
        let failed = self.places.into_iter().filter_map(|place| place.ended?.err());
        match failed.min_by_key(|failure| matches!(failure, Failure::Interrupted(_))) {
            Some(Failure::Input(why)) => Err(Failure::Input(why)),
            Some(Failure::Check(why)) => Err(Failure::Check(why)),
            Some(Failure::Internal(why)) => {
                Err(Failure::Internal(format!("{why}\n{left} of {of} seeds are not done; {on}")))
            }
            Some(Failure::Interrupted(_)) => {
                Err(Failure::Interrupted(format!("{left} of {of} seeds are not done, and saved; {on}")))
            }
            None if stopped && left > 0 => {
                Err(Failure::Interrupted(format!("{left} of {of} seeds are not done, and saved; {on}")))
            }
            None => {
                agon::tell!("\nnext:\n  agon watch {folder}");
                Ok(())
            }
        }
    }
}

/// Starts the process of a seed.
fn launch(group: &Group, place: &Place, args: &cli::Train, at: usize, lines: &Sender<Line>) -> Outcome<Process> {
    let broken = |e: std::io::Error| Failure::Internal(format!("cannot start the run of seed {}: {e}", place.seed));
    let mut words: Vec<OsString> = vec!["train".into()];
    let mut add = |flag: &str, value: OsString| words.extend([flag.into(), value]);
    let record = &group.record;
    if place.run.path("scenario.toml").is_file() {
        add("--resume", place.run.folder.clone().into());
        args.set.iter().for_each(|set| add("--set", set.into()));
    } else {
        let checkpoints = place.run.path("checkpoints");
        if place.run.folder.exists() && place.run.checkpoints().is_empty() {
            // Ended while it was made: without settings there is no run.
            std::fs::remove_dir_all(&place.run.folder).map_err(|e| Failure::write(&checkpoints, &e))?;
        }
        add("--seed", place.seed.to_string().into());
        add("--out", place.run.folder.clone().into());
        record.set.iter().for_each(|set| add("--set", set.into()));
        record.from.iter().for_each(|from| add("--from", from.into()));
    }
    let ui = if args.ui == Ui::Json { "json" } else { "plain" };
    let device = match args.device {
        cli::Device::Auto => "auto",
        cli::Device::Cpu => "cpu",
        cli::Device::Cuda => "cuda",
    };
    add("--ui", ui.into());
    add("--device", device.into());
    words.push("--until-stdin-ends".into());
    if !place.run.path("scenario.toml").is_file() {
        words.extend(["--".into(), record.scenario.clone().into()]);
    }
    Process::start(words, at, lines).map_err(broken)
}

/// What is known of all seeds.
fn tell(group: &Group, states: &[(u64, &str)], as_json: bool) {
    // A run that goes on longer still has the result of its last end.
    let done = |seed: u64| states.contains(&(seed, "done"));
    let results: Vec<_> = group.results().into_iter().filter(|(seed, ..)| done(*seed)).collect();
    let of = |seed: u64| results.iter().find(|(own, ..)| *own == seed).map(|(.., metric)| metric);
    let values: Vec<f64> = results.iter().map(|(.., metric)| metric.value).collect();
    let first = results.first().map(|(.., metric)| metric);
    let spread = first.and_then(|metric| Spread::of(&values, metric.goal));
    if as_json {
        let one = |(seed, state): &(u64, &str)| {
            let mut run = json!({"seed": seed, "run": group.run(*seed).folder, "state": state});
            if let Some(metric) = of(*seed) {
                run[&metric.name] = metric.value.into();
            }
            run
        };
        let runs: Vec<Value> = states.iter().map(one).collect();
        let mut whole = spread.map_or(json!({}), |spread| spread.json());
        whole["kind"] = "seeds".into();
        whole["group"] = json!(group.folder);
        whole["metric"] = json!(first.map(|metric| &metric.name));
        whole["runs"] = runs.into();
        agon::say!("{whole}");
        return;
    }
    let Some((spread, first)) = spread.zip(first) else { return };
    agon::say!("\n{:>20}{:>16}  run", "seed", first.name.replace('_', " "));
    for (seed, state) in states {
        let value = |metric: &Metric| number(metric.value);
        let shown = of(*seed).map_or((*state).to_owned(), value);
        agon::say!("{seed:>20}{shown:>16}  {}", group.run(*seed).folder.display());
    }
    let ends = |interval: Option<[f64; 2]>| {
        interval.map_or(String::new(), |ends| format!("  [{}, {}]", number(ends[0]), number(ends[1])))
    };
    for (name, value, interval) in [
        ("mean", Some(spread.mean), spread.interval),
        ("interquartile mean", Some(spread.interquartile_mean), spread.interquartile_interval),
        ("median", Some(spread.median), None),
        ("worst", Some(spread.worst), None),
        ("best", Some(spread.best), None),
        ("deviation", spread.deviation, None),
    ] {
        if let Some(value) = value {
            agon::say!("{name:>20}{:>16}{}", number(value), ends(interval));
        }
    }
    if spread.interval.is_some() {
        agon::say!("in brackets: 95 % bootstrap intervals over seeds");
    }
}

/// The dashboard of a group under way.
struct Board<'a, 'b> {
    side: &'a mut Side<'b>,
    runs: Runs,
    /// Whether anything goes on.
    open: bool,
    asking: bool,
}

impl Page for Board<'_, '_> {
    fn update(&mut self) -> Outcome {
        self.open = self.side.tend();
        self.runs.update()
    }

    fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        self.runs.ask(self.asking);
        self.runs.draw(frame, theme);
    }

    fn is_over(&self) -> bool {
        !self.open
    }

    fn key(&mut self, key: Key) -> Next {
        match key {
            Key::Stop if self.side.stop.swap(true, Ordering::SeqCst) => signals::end_at_once(),
            Key::Stop => {}
            Key::Char('s') if self.asking => self.side.stop.store(true, Ordering::SeqCst),
            Key::Char('d') if self.asking => return Next::Leave,
            Key::Char('q') => {
                self.asking = true;
                return Next::Stay;
            }
            other if !self.asking => return self.runs.key(other),
            _ => {}
        }
        self.asking = false;
        Next::Stay
    }
}
