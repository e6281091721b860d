//! `agon train` of a scenario with `[search]`: trials as runs of their own in one folder, side by side as far as there are
//! cores, and a leaderboard.

use crate::processes::{Line, Process};
use crate::scenarios;
use agon::cli::{self, Ui};
use agon::failure::quoted;
use agon::group::{self, Spread};
use agon::run::Run;
use agon::scenario::Source;
use agon::search::record::{Folder, Record};
use agon::search::space::Space;
use agon::search::{Job, Search, SearchSettings, Tried, better, objective, ranked};
use agon::tui::pane::number;
use agon::{Failure, Outcome, files};
use agon_core::Metric;
use agon_core::settings::{Issue, Settings};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How often processes are looked after.
const EVERY: Duration = Duration::from_millis(50);
/// How long a run is waited for that another process still saves.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines of a process that are kept, to say what went wrong; trials of the leaderboard that are printed.
const KEPT: usize = 8;
const SHOWN: usize = 10;

/// The settings of `[search]` and what it varies, where the scenario has it.
pub fn asked(path: &Path, args: &cli::Train) -> Outcome<Option<(SearchSettings, Space)>> {
    let source = Source::read(&agon::embedded::locate(path)?, &args.set)?;
    if !source.table.contains_key("search") {
        return Ok(None);
    }
    let within = |path: &'static [&'static str]| {
        let source = &source;
        move |issues: Vec<Issue>| {
            let place = |issue: Issue| path.iter().rev().fold(issue, |issue, table| issue.within(table));
            source.wrong(&issues.into_iter().map(place).collect::<Vec<_>>())
        }
    };
    let mut table = source.section("search")?;
    let space = match table.remove("space") {
        Some(Value::Object(space)) => Space::read(&space).map_err(within(&["search", "space"]))?,
        _ => Space::read(&Map::new()).map_err(within(&["search"]))?,
    };
    let settings = SearchSettings::read(&table).map_err(within(&["search"]))?;
    Ok(Some((settings, space)))
}

/// Says how a table is searched, where `--data` was given `--set search.…`: trials begin with a scenario's file.
pub fn refuse_flags(args: &cli::Train) -> Outcome {
    let is_search = |set: &&String| set.split(['.', '=']).next().is_some_and(|table| table.trim() == "search");
    let (Some(set), Some(data)) = (args.set.iter().find(is_search), &args.data) else { return Ok(()) };
    let sets: Vec<String> =
        args.set.iter().filter(|set| is_search(set)).map(|set| format!("--set {}", quoted(set))).collect();
    Err(Failure::Input(format!(
        "--set {set}: a search takes a scenario, and --data has none yet: train once without it, and search from the \
         scenario that this writes:\n  agon train --data {} … --out FIRST\n  agon train FIRST/scenario.toml {}\nor have models \
         of every kind tried, with --minutes",
        quoted(data),
        sets.join(" ")
    )))
}

/// The checksum of the resolved scenario without what is varied, its name, its steps, and the threads of a run.
fn resolved(scenario: &Path, sets: &[String], seed: u64) -> Outcome<(u32, String, u64, usize)> {
    let task = scenarios::read(scenario, sets, Some(seed))?;
    let (sum, train) = (crc32c::crc32c(task.common().resolved.as_bytes()), &task.common().train);
    Ok((sum, task.common().name.clone(), train.steps, train.threads.max(train.env_threads)))
}

/// A new search.
pub fn begin(
    scenario: &Path,
    (settings, space): (SearchSettings, Space),
    args: &cli::Train,
    stop: &AtomicBool,
) -> Outcome {
    let seeds = match (&args.seeds, args.seed) {
        (Some(seeds), _) => seeds.0.clone(),
        (None, Some(seed)) => vec![seed],
        (None, None) => match scenarios::seeds(scenario, &args.set)? {
            Some(seeds) => seeds,
            None => vec![scenarios::read(scenario, &args.set, None)?.common().train.seed],
        },
    };
    let (sum, name, steps, threads) = resolved(scenario, &args.set, seeds[0])?;
    // What is wrong with a value is said before anything is written.
    for corner in space.corners() {
        let checked = resolved(scenario, &[&args.set[..], &space.sets(&corner)].concat(), seeds[0]);
        checked.map_err(|failure| match failure {
            Failure::Input(why) => Failure::Input(why.replace("--set ", "[search.space] ")),
            other => other,
        })?;
    }
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or(path.to_owned());
    let from = args.from.as_ref().map(|from| absolute(Path::new(from)).display().to_string());
    let scenario = if scenario.exists() { absolute(scenario) } else { scenario.to_owned() };
    let search = Search { settings, space, steps };
    let record = Record::new(scenario, sum, &search, seeds, args.set.clone(), from);
    go(&Folder::create(&name, args.out.as_deref(), record, search)?, threads, args, stop)
}

/// A search that was begun before.
pub fn resume(folder: &Path, args: &cli::Train, stop: &AtomicBool) -> Outcome {
    if !args.set.is_empty() {
        return Err(Failure::Input("--set changes nothing of a search that has begun: begin a new one".into()));
    }
    let folder = Folder::open(folder)?;
    let record = &folder.record;
    let (sum, _, _, threads) = resolved(&record.scenario, &record.set, record.seeds[0])?;
    if sum != record.sum {
        let scenario = record.scenario.display();
        return Err(Failure::Input(format!("{scenario} is not what this search began with: put it back")));
    }
    go(&folder, threads, args, stop)
}

/// Stage after stage, until nothing is left to try.
fn go(folder: &Folder, threads: usize, args: &cli::Train, stop: &AtomicBool) -> Outcome {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = (cores / threads).max(1);
    let method = folder.search.settings.method;
    let (seeds, trials) = (folder.record.seeds.len(), folder.search.settings.trials);
    let each = if seeds > 1 { format!(" of {seeds} seeds each") } else { String::new() };
    agon::tell!("search by {method}: {trials} trials{each} in {}, {most} runs at a time", folder.folder.display());
    let recorded = folder.tried();
    let mut done: Vec<Tried> = Vec::new();
    loop {
        let goal = objective(&done).map_or(agon_core::metric::Goal::Highest, |(_, goal)| goal);
        let jobs = folder.search.next(&done, goal);
        if jobs.is_empty() {
            break;
        }
        let known = |job: &Job| {
            let is = |tried: &&Tried| (tried.job.trial, tried.job.steps) == (job.trial, job.steps);
            recorded.iter().find(is).map(|tried| Tried { job: job.clone(), ..tried.clone() })
        };
        let mut stage: Vec<(Job, Option<Tried>)> = jobs.into_iter().map(|job| (job.clone(), known(&job))).collect();
        Stage { folder, args, stop, most, best: best_of(&done) }.run(&mut stage)?;
        if stop.load(Ordering::Relaxed) {
            let left = stage.iter().filter(|(_, tried)| tried.is_none()).count();
            if left > 0 {
                folder.write_leaderboard(&done)?;
                return Err(Failure::Interrupted(format!(
                    "the search is saved; go on with\n  agon train --resume {}",
                    quoted(&folder.folder)
                )));
            }
        }
        done.extend(stage.into_iter().filter_map(|(_, tried)| tried));
        if objective(&done).is_none() {
            let why = done.first().and_then(|tried| tried.failed.clone()).unwrap_or_default();
            return Err(Failure::Input(format!("every trial of the first stage failed: {why}")));
        }
    }
    folder.write_leaderboard(&done)?;
    finish(folder, &done, args)
}

/// The best value of the longest runs so far.
fn best_of(done: &[Tried]) -> Option<f64> {
    ranked(done).first().and_then(|tried| tried.value)
}

/// Trials that are done side by side.
struct Stage<'a> {
    folder: &'a Folder,
    args: &'a cli::Train,
    stop: &'a AtomicBool,
    most: usize,
    best: Option<f64>,
}

/// A run of a trial: which job of the stage, with which seed, and how it ended.
struct Place {
    job: usize,
    seed: u64,
    working: Option<Process>,
    ended: Option<Result<(), String>>,
    /// Since when a process is waited for that was left behind, and saves and ends.
    waiting: Option<Instant>,
    told: VecDeque<String>,
}

impl Stage<'_> {
    /// Makes every run that is not known yet.
    fn run(&mut self, stage: &mut [(Job, Option<Tried>)]) -> Outcome {
        let seeds = &self.folder.record.seeds;
        let open: Vec<usize> = (0..stage.len()).filter(|i| stage[*i].1.is_none()).collect();
        let place = |(job, seed): (usize, u64)| Place {
            job,
            seed,
            working: None,
            ended: None,
            waiting: None,
            told: VecDeque::new(),
        };
        let mut places: Vec<Place> =
            open.iter().flat_map(|job| seeds.iter().map(|seed| (*job, *seed))).map(place).collect();
        let (sender, lines) = channel::<Line>();
        loop {
            let stopped = self.stop.load(Ordering::Relaxed);
            while let Ok(line) = lines.try_recv() {
                keep(&mut places, line);
            }
            for at in 0..places.len() {
                let Some(working) = &mut places[at].working else { continue };
                if stopped {
                    working.stop();
                }
                let Some(status) = working.ended() else { continue };
                if let Some(working) = places[at].working.take() {
                    working.join();
                }
                while let Ok(line) = lines.try_recv() {
                    keep(&mut places, line);
                }
                // Asked to stop, it has saved: that is no end; and whoever stops one run means the search.
                if status.code() == Some(130) {
                    self.stop.store(true, Ordering::SeqCst);
                } else {
                    places[at].ended = Some(ended(&places[at], status.code()));
                    self.close(places[at].job, &places, stage)?;
                }
            }
            let stopped = self.stop.load(Ordering::Relaxed);
            let mut busy = places.iter().filter(|place| place.working.is_some()).count();
            for (at, place) in places.iter_mut().enumerate() {
                if stopped || busy >= self.most {
                    break;
                }
                if place.working.is_none() && place.ended.is_none() {
                    let run = self.folder.run(stage[place.job].0.trial, place.seed);
                    if run.is_live() {
                        if place.waiting.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                            let why = format!("{} is being trained by another process", run.folder.display());
                            return Err(Failure::Input(why));
                        }
                        continue;
                    }
                    let words = self.words(&stage[place.job].0, place.seed)?;
                    let broken = |e: std::io::Error| Failure::Internal(format!("cannot start a trial: {e}"));
                    place.working = Some(Process::start(words, at, &sender).map_err(broken)?);
                    busy += 1;
                }
            }
            if busy == 0 && (stopped || places.iter().all(|place| place.ended.is_some())) {
                return Ok(());
            }
            std::thread::sleep(EVERY);
        }
    }

    /// The command line of a run.
    fn words(&self, job: &Job, seed: u64) -> Outcome<Vec<OsString>> {
        let (folder, record) = (self.folder, &self.folder.record);
        let (sets, run) = (folder.search.space.sets(&job.at), folder.run(job.trial, seed));
        folder.prepare(job.trial, &sets)?;
        let mut words: Vec<OsString> = vec!["train".into()];
        let mut add = |flag: &str, value: OsString| words.extend([flag.into(), value]);
        let begun = run.path("scenario.toml").is_file();
        if begun {
            add("--resume", run.folder.clone().into());
        } else {
            if run.folder.exists() {
                // Ended while it was made: without settings there is no run.
                std::fs::remove_dir_all(&run.folder).map_err(|e| Failure::write(&run.folder, &e))?;
            }
            add("--seed", seed.to_string().into());
            add("--out", run.folder.clone().into());
            record.set.iter().chain(&sets).for_each(|set| add("--set", set.into()));
            record.from.iter().for_each(|from| add("--from", from.into()));
        }
        add("--set", format!("train.steps={}", job.steps).into());
        add("--ui", "plain".into());
        let device = match self.args.device {
            cli::Device::Auto => "auto",
            cli::Device::Cpu => "cpu",
            cli::Device::Cuda => "cuda",
        };
        add("--device", device.into());
        words.extend(["--until-stdin-ends", "--trial"].map(OsString::from));
        if !begun {
            words.extend(["--".into(), record.scenario.clone().into()]);
        }
        Ok(words)
    }

    /// Writes down how a job ended, once all its runs have.
    fn close(&mut self, job: usize, places: &[Place], stage: &mut [(Job, Option<Tried>)]) -> Outcome {
        let own = || places.iter().filter(|place| place.job == job);
        if own().any(|place| place.ended.is_none()) {
            return Ok(());
        }
        let job_of = stage[job].0.clone();
        let failed = own().find_map(|place| place.ended.as_ref()?.as_ref().err().cloned());
        let found: Vec<Metric> =
            own().filter_map(|place| decides(&self.folder.run(job_of.trial, place.seed))).collect();
        let values: Vec<f64> = found.iter().map(|metric| metric.value).collect();
        let whole = failed.is_none() && found.len() == own().count() && values.iter().all(|x| x.is_finite());
        let spread = found.first().filter(|_| whole).and_then(|first| Spread::of(&values, first.goal));
        let objective = found.first().filter(|_| whole).map(|first| (first.name.clone(), first.goal));
        let tried = Tried {
            job: job_of,
            value: spread.map(|spread| spread.mean),
            failed: (!whole).then(|| failed.unwrap_or_else(|| "it has no result".into())),
            objective,
        };
        self.folder.add(&tried)?;
        self.tell(&tried);
        stage[job].1 = Some(tried);
        Ok(())
    }

    fn tell(&mut self, tried: &Tried) {
        let settings = self.folder.shown(&tried.job.at);
        let trial = tried.job.trial + 1;
        if self.args.ui == Ui::Json {
            agon::say!(
                "{}",
                json!({
                    "kind": "trial", "trial": trial, "steps": tried.job.steps, "value": tried.value, "failed": tried.failed,
                    "settings": self.folder.search.space.settings(&tried.job.at).into_iter().collect::<Map<_, _>>(),
                })
            );
            return;
        }
        let steps = tried.job.steps;
        match (&tried.value, &tried.objective) {
            (Some(value), Some((name, goal))) => {
                let best = better(*goal, Some(*value), self.best).is_lt();
                if best {
                    self.best = Some(*value);
                }
                let mark = if best { "  the best of these" } else { "" };
                agon::tell!(
                    "trial {trial:>3}, {steps} steps: {settings}: {} {}{mark}",
                    name.replace('_', " "),
                    number(*value)
                );
            }
            _ => agon::tell!("trial {trial:>3}: {settings}: FAILED: {}", tried.failed.as_deref().unwrap_or_default()),
        }
    }
}

fn keep(places: &mut [Place], (at, out, line): Line) {
    if !out && let Some(place) = places.get_mut(at) {
        place.told.truncate(KEPT - 1);
        place.told.push_front(line);
    }
}

fn ended(place: &Place, code: Option<i32>) -> Result<(), String> {
    let said = place.told.iter().find_map(|line| line.strip_prefix("error: ")).map(String::from);
    match code {
        Some(0) => Ok(()),
        Some(_) => Err(said.or_else(|| place.told.front().cloned()).unwrap_or_else(|| "it said nothing".into())),
        None => Err("its process was killed".into()),
    }
}

/// What decides about a run: of a model of data the metric of its validation part, so that nothing is chosen by the test
/// part; else the final evaluation.
fn decides(run: &Run) -> Option<Metric> {
    let found: Value = serde_json::from_str(&files::text(&run.path("evaluation.json"))?).ok()?;
    Metric::deserialize(&found["validation"][0]).ok().or_else(|| group::result(run))
}

/// The leaderboard, and what to do next.
fn finish(folder: &Folder, done: &[Tried], args: &cli::Train) -> Outcome {
    let (all, space) = (ranked(done), &folder.search.space);
    let Some(((name, _), best)) = objective(done).zip(all.first()) else { return Ok(()) };
    let run = folder.run(best.job.trial, folder.record.seeds[0]);
    if args.ui == Ui::Json {
        let settings: Map<String, Value> = space.settings(&best.job.at).into_iter().collect();
        agon::say!(
            "{}",
            json!({
                "kind": "search", "search": folder.folder, "metric": name, "best": best.job.trial + 1, "value": best.value,
                "settings": settings, "run": folder.trial(best.job.trial), "trials": folder.search.settings.trials,
            })
        );
        return Ok(());
    }
    let validated = decides(&run).is_some_and(|_| is_validated(&run));
    let named = format!("{}{name}", if validated { "validation " } else { "" });
    agon::say!("\n{}", folder.leaderboard(done, &named, SHOWN).trim_end());
    if all.len() > SHOWN {
        agon::say!("and {} more in {}", all.len() - SHOWN, quoted(folder.folder.join("leaderboard.csv")));
    }
    let first = quoted(folder.trial(best.job.trial));
    if validated {
        let test = group::result(&run).map_or(String::new(), |metric| agon::report::model::shown(&metric));
        agon::say!("nothing was chosen by the test part: there the best has {} {test}", name.replace('_', " "));
    } else {
        agon::say!("the best of several looks better than it is: evaluate it on other episodes before you quote it");
    }
    agon::tell!("\nnext:");
    if !validated && folder.record.seeds.len() == 1 {
        agon::tell!("  agon eval {first} --seed 2");
    }
    agon::tell!("  agon watch {first}");
    agon::tell!("  agon report {}", quoted(&folder.folder));
    Ok(())
}

/// Whether a run was judged by its validation part.
fn is_validated(run: &Run) -> bool {
    let found = files::text(&run.path("evaluation.json")).and_then(|text| serde_json::from_str::<Value>(&text).ok());
    found.is_some_and(|found| found["validation"][0].is_object())
}
