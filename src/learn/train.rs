//! `agon train`: a new run or the rest of one, its checkpoints, its evaluations, its end.

use crate::beginning;
use crate::checkpoints;
use crate::device;
use crate::provenance;
use crate::scenarios;
use crate::sinks::Sinks;
use crate::task::{Task, Verdict};
use crate::unsupervised_report::UnsupervisedReport;
use agon::cli;
use agon::failure::quoted;
use agon::report::{Story, card};
use agon::run::{Lock, Logs, Run, Tail};
use agon::tui::model::Model;
use agon::{Failure, Outcome};
use agon::{screen, signals};
use agon_agents::agent::Saved;
use agon_agents::train::Training;
use agon_agents::{AgentError, checkpoint};
use agon_core::event::{self, Event};
use agon_core::{Metric, Scene, Sink};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Reports a run makes at most: more would slow it down and nobody could tell them apart.
const REPORTS: u64 = 2000;
const SPEED_EVERY: Duration = Duration::from_millis(250);
/// Pictures of what was learned of data are this far apart at least, and so many times as far as drawing one takes.
const PLOT_EVERY: Duration = Duration::from_millis(500);
const PLOT_SHARE: u32 = 20;

/// The best evaluation so far, and the checkpoint that was made of it.
struct Best {
    mean: Option<f64>,
    checkpoint: Option<String>,
}

impl Best {
    /// As a checkpoint says; of older ones the checkpoint's name is in a file alone.
    fn read(run: &Run, saved: &Value) -> Self {
        let named = || Some(run.checkpoint("best")?.file_name()?.to_string_lossy().into_owned());
        match saved.as_f64() {
            Some(mean) => Self { mean: Some(mean), checkpoint: named() },
            None => Self { mean: saved["mean"].as_f64(), checkpoint: saved["checkpoint"].as_str().map(String::from) },
        }
    }

    /// Makes `checkpoints/best` say the same.
    fn mark(&self, run: &Run) -> Outcome {
        let there = |name: &&String| run.path("checkpoints").join(name).is_dir();
        match self.checkpoint.as_ref().filter(there) {
            Some(name) => run.mark("best", name),
            None => {
                // Gone, because a better one came after what the run goes on from now: that will come again.
                let _ = std::fs::remove_file(run.path("checkpoints/best"));
                Ok(())
            }
        }
    }
}

/// A run under way.
struct Session {
    task: Box<dyn Task>,
    run: Run,
    _lock: Lock,
    trainer: Box<dyn Training>,
    sinks: Sinks,
    stop: Arc<AtomicBool>,
    /// The step up to which everything that was due was done.
    settled: u64,
    /// Whether the trainer is ahead of that and has reported: what is left is to evaluate it.
    evaluating: bool,
    /// Whether it reached the goal of its evaluations.
    reached: bool,
    /// Whether it was told what evaluations are compared with: once, unless other baselines are asked for.
    compared: bool,
    best: Best,
    /// The step of the newest checkpoint of this process.
    saved: Option<u64>,
    /// Seconds of earlier processes of this run.
    before: f64,
    started: Instant,
    told: (Instant, u64),
    /// When the next picture of what was learned of data is due.
    plot_at: Instant,
}

/// One run, from where it begins to its table.
pub fn train(args: &cli::Train, stop: &Arc<AtomicBool>) -> Outcome {
    signals::set_up(true);
    let session = Session::open(args, stop.clone());
    signals::set_up(false);
    let mut session = session?;
    let outcome = session.train();
    let ended = match &outcome {
        Ok(outcome) => *outcome,
        Err(_) => event::RunOutcome::Failed,
    };
    session.sinks.emit(&Event::Finished { step: session.trainer.step(), outcome: ended });
    let flushed = session.sinks.logs.flush();
    let word = match ended {
        event::RunOutcome::Done => "done",
        event::RunOutcome::Interrupted => "interrupted",
        event::RunOutcome::Failed => "failed",
    };
    // A full disk must not hide what went wrong first.
    let _ = session.run.status(word, session.trainer.step(), session.task.common().train.steps);
    // The last evaluation takes its time: whoever looks on sees how far it is.
    let scores = (outcome.is_ok() && ended == event::RunOutcome::Done).then(|| session.final_evaluation());
    session.sinks.close();
    outcome?;
    flushed?;
    if ended == event::RunOutcome::Interrupted {
        let (step, folder) = (session.trainer.step(), quoted(&session.run.folder));
        return Err(Failure::Interrupted(format!("saved at step {step}; go on with\n  agon train --resume {folder}")));
    }
    let scores = scores.unwrap_or_else(|| Err(Failure::Internal("a run that is done was not evaluated".into())))?;
    session.finish(&*scores, args)
}

/// Where a session begins.
enum Begin {
    /// With a new run.
    New,
    /// With a run that has saved nothing yet.
    Anew(Run, Lock),
    /// With a checkpoint of a run.
    From(Run, Lock, PathBuf, Saved, Value),
}

impl Session {
    fn open(args: &cli::Train, stop: Arc<AtomicBool>) -> Outcome<Self> {
        let (mut task, begin) = match &args.resume {
            Some(path) => {
                let (run, asked) = checkpoints::named(path)?;
                // Before anything is read that another process might replace.
                let lock = run.lock()?;
                checkpoints::may_change(&args.set)?;
                run.check_scenario()?;
                let task = scenarios::read(&run.path("scenario.toml"), &args.set, None)?;
                let begin = match checkpoints::to_resume(&run, asked)? {
                    Some((folder, saved, state)) => Begin::From(run, lock, folder, saved, state),
                    None => Begin::Anew(run, lock),
                };
                (task, begin)
            }
            None => (scenarios::asked(args)?, Begin::New),
        };
        task.common_mut().stop = stop.clone();
        let train = task.common().train.clone();
        if args.ui == cli::Ui::Tui && !screen::is_terminal() {
            return Err(Failure::Input("--ui tui: there is no terminal here; use --ui plain".into()));
        }
        let device = task.device(device::open(args.device)?);
        if args.device == cli::Device::Cuda && device == agon_agents::Device::Cpu {
            agon::tell!("note: {} computes on the CPU, whatever --device says", task.common().kind);
        }
        agon_agents::set_threads(train.threads);
        if train.envs >= 10_000 {
            agon::tell!("preparing {} environments", train.envs);
        }
        let mut trainer = task.start(device)?;
        task.can_be_evaluated(&*trainer)?;
        let resumed = matches!(begin, Begin::From(..));
        let (run, lock, state, clock) = match begin {
            Begin::New => {
                let learned = beginning::begin(&*task, &mut *trainer, args.from.as_deref())?;
                let run = Run::create(&task.common().name, args.out.as_deref())?;
                let lock = run.lock()?;
                // Whoever stops what may take long waits for it to be put away.
                signals::set_up(false);
                let described = provenance::describe(&run, &*task, device, learned.as_deref());
                signals::set_up(true);
                if described.is_err() {
                    // Nothing else can be done about a folder that cannot be removed.
                    let _ = std::fs::remove_dir_all(&run.folder);
                }
                described?;
                (run, lock, Value::Null, Value::Null)
            }
            Begin::Anew(run, lock) => {
                beginning::begin(&*task, &mut *trainer, None)?;
                if !args.set.is_empty() {
                    run.write_scenario(&task.common().resolved)?;
                }
                (run, lock, Value::Null, Value::Null)
            }
            Begin::From(run, lock, folder, saved, state) => {
                let unfit = |e: AgentError| Failure::Input(format!("{}: {e}", folder.display()));
                trainer.load(&saved, Some(&state["trainer"])).map_err(unfit)?;
                let shorter = |set: &&String| set.split('=').next().map(str::trim) == Some("train.steps");
                if let Some(set) = args.set.iter().find(shorter).filter(|_| train.steps < trainer.step()) {
                    let made = trainer.step();
                    return Err(Failure::Input(format!("--set {set}: {made} steps are made already; ask for more")));
                }
                if !args.set.is_empty() {
                    run.write_scenario(&task.common().resolved)?;
                    tell_schedules(&*task, &args.set, trainer.step());
                }
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                if run.checkpoint("latest").as_ref() != Some(&folder) || !run.path("checkpoints/latest").is_file() {
                    run.mark("latest", &name)?;
                }
                let clock = match checkpoint::read_clock(&folder) {
                    // Older versions kept it in the state.
                    Value::Null if state["seconds"].is_f64() => {
                        json!({"seconds": state["seconds"], "logs": state["logs"]})
                    }
                    Value::Null => {
                        agon::tell!("note: the checkpoint's clock.json is damaged: time and speed are counted anew");
                        Value::Null
                    }
                    clock => clock,
                };
                (run, lock, state, clock)
            }
        };
        if !trainer.done() {
            trainer.open(&run.folder).map_err(|e| Failure::Input(e.to_string()))?;
        }
        if trainer.step() == 0 {
            task.remarks().iter().for_each(|remark| agon::tell!("note: {remark}"));
        }
        let mut best = Best::read(&run, &state["best"]);
        if state["trainer"]["step"].as_u64().is_some_and(|step| step != trainer.step()) {
            // Rows were taken from it, and what it is is no longer what was evaluated.
            best = Best { mean: None, checkpoint: None };
        }
        if resumed {
            best.mark(&run)?;
        }
        let logs = Logs::open(&run, &state["logs"], &clock["logs"])?;
        let mut model = Model {
            name: task.common().name.clone(),
            run: run.folder.display().to_string(),
            device: device::name(device),
            seed: train.seed,
            steps: train.steps,
            step: trainer.step(),
            optimum: trainer.optimum(),
            frame_of: "environment 0".into(),
            plots: run.plots(),
            ..Model::default()
        };
        // A resumed run's curves go on where they were.
        Tail::new(run.path("metrics.jsonl")).poll().1.iter().for_each(|event| model.apply(event));
        // It may have been asked for more steps than it began with.
        (model.outcome, model.steps, model.most_seconds) = (None, train.steps, trainer.most_seconds());
        let compared = !model.levels.is_empty() && !args.set.iter().any(|set| set.contains("eval."));
        task.tell();
        signals::set_up(false); // from here on there is somebody who saves
        agon::tell!("run {} on {}", run.folder.display(), device::name(device));
        if trainer.done() {
            let (made, all) = (trainer.step(), trainer.steps());
            let what = if made < all {
                format!("it had ended after {made} steps")
            } else {
                format!("all its {all} steps were made already")
            };
            agon::tell!("{what}; this only evaluates it again");
        }
        let sinks = Sinks::open(args.ui, logs, model, run.path("log.txt"), stop.clone())?;
        let now = Instant::now();
        let goal_moved = args.set.iter().any(|set| set.contains("eval.stop_at") || set.contains("train.steps"));
        let mut session = Self {
            told: (now, trainer.step()),
            plot_at: now,
            settled: state["settled"].as_u64().unwrap_or(trainer.step()),
            evaluating: state["judging"] == true,
            reached: state["reached"] == true && !goal_moved,
            compared,
            task,
            run,
            _lock: lock,
            trainer,
            sinks,
            stop,
            best,
            saved: None,
            before: clock["seconds"].as_f64().unwrap_or(0.0),
            started: now,
        };
        if !resumed {
            let (task, trainer) = (&session.task, &session.trainer);
            let started = Event::Started {
                scenario: task.common().name.clone(),
                seed: train.seed,
                steps: train.steps,
                may_end_early: task.common().stop_at.is_some() || trainer.may_end_early(),
                most_seconds: trainer.most_seconds(),
                chart: task.chart(&**trainer),
                optimum: trainer.optimum(),
            };
            session.sinks.emit(&started);
            for plot in session.task.plots() {
                session.sinks.emit(&Event::Plots(vec![plot]));
            }
        }
        session.run.status("running", session.trainer.step(), train.steps)?;
        if args.from.is_some() {
            // What it began with is nowhere else in the run.
            session.save()?;
        }
        Ok(session)
    }

    /// Whether a multiple of `every` lies between where everything was settled last and now.
    fn due(&self, before: u64, every: u64) -> bool {
        before / every != self.trainer.step() / every
    }

    fn train(&mut self) -> Outcome<event::RunOutcome> {
        let steps = self.task.common().train.steps;
        let report_every = (steps / REPORTS).max(1);
        self.plot();
        let save_every = self.task.common().train.save_every.unwrap_or((steps / 10).max(1));
        loop {
            if !self.evaluating {
                if self.trainer.done() || self.reached {
                    break;
                }
                let stop = self.patience();
                let advanced = if stop() { Ok(None) } else { self.trainer.advance_until(&stop) };
                let failed = |e| match e {
                    AgentError::Data(why) => Failure::Input(why),
                    other => Failure::Internal(other.to_string()),
                };
                let Some(report) = advanced.map_err(failed)? else {
                    self.save()?;
                    return Ok(event::RunOutcome::Interrupted);
                };
                if self.due(self.settled, report_every) {
                    self.report(report);
                }
                self.evaluating = true;
            }
            // Whoever goes on from a checkpoint made in between comes here first.
            let before = self.settled;
            if let Some(every) = self.task.common().evaluated_every
                && self.due(before, every)
                && !self.evaluate()?
            {
                self.save()?;
                return Ok(event::RunOutcome::Interrupted);
            }
            (self.evaluating, self.settled) = (false, self.trainer.step());
            if self.due(before, save_every) {
                self.save()?;
            }
            self.tell_speed();
        }
        self.save()?;
        self.plot();
        Ok(event::RunOutcome::Done)
    }

    /// Draws what was learned of data, where there is something to see.
    fn plot(&mut self) {
        let begun = Instant::now();
        if let Some(plot) = self.trainer.plot() {
            self.sinks.emit(&Event::Plots(vec![plot]));
        }
        self.plot_at = begun + PLOT_EVERY.max(PLOT_SHARE * begun.elapsed());
    }

    /// Whether somebody asked for a stop. It is asked so often that it also says that something goes on, where an update
    /// takes so long that nothing else does.
    fn patience(&self) -> impl Fn() -> bool + Sync + use<> {
        const EVERY: u64 = 10;
        let (stop, plain, step) = (self.stop.clone(), self.sinks.is_plain(), self.trainer.step());
        let (begun, told) = (Instant::now(), AtomicU64::new(0));
        move || {
            let now = begun.elapsed().as_secs() / EVERY;
            if plain && told.fetch_max(now, Ordering::Relaxed) < now {
                agon::tell!("{step:>10}  the update under way takes {} s so far", now * EVERY);
            }
            stop.load(Ordering::Relaxed)
        }
    }

    fn report(&mut self, values: Vec<(String, f64)>) {
        let (step, e, mut values) = (self.trainer.step(), self.trainer.take_episodes(), values);
        if e.failed > 0 {
            values.push(("blow_ups".into(), e.failed as f64));
            let note = format!("{} episodes were cut off, as their simulation could not go on: {}", e.failed, e.why);
            self.sinks.emit(&Event::Note(note));
        }
        self.sinks.emit(&Event::Scalars { step, values });
        if e.count > 0 {
            let n = e.count as f64;
            let (mean, length) = (e.total / n, e.length as f64 / n);
            self.sinks.emit(&Event::Episodes { step, count: e.count, mean, low: e.low, high: e.high, length });
        }
    }

    fn tell_speed(&mut self) {
        if Instant::now() >= self.plot_at {
            self.plot();
        }
        if self.sinks.wants_frame() {
            let mut scene = Box::<Scene>::default();
            self.trainer.draw(&mut scene);
            self.sinks.emit(&Event::Frame(scene));
        }
        let since = self.told.0.elapsed();
        if since < SPEED_EVERY {
            return;
        }
        let step = self.trainer.step();
        let steps_per_second = (step - self.told.1) as f64 / since.as_secs_f64();
        let times = self.trainer.take_times();
        let share = |d: Duration| d.as_secs_f64() / since.as_secs_f64();
        let parts = [share(times.simulate), share(times.infer), share(times.learn)];
        let rest = (1.0 - parts.iter().sum::<f64>()).max(0.0);
        let event = Event::Speed {
            step,
            seconds: self.seconds(),
            steps_per_second,
            shares: [parts[0], parts[1], parts[2], rest],
            memory: device::memory().0,
        };
        self.sinks.emit(&event);
        self.told = (Instant::now(), step);
    }

    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Evaluates the policy as it is now; false if it was asked to stop, and then nothing came of it.
    fn evaluate(&mut self) -> Outcome<bool> {
        let step = self.trainer.step();
        if !self.compared {
            let Some(values) = self.task.levels()? else { return Ok(false) };
            if !values.is_empty() {
                self.sinks.emit(&Event::Levels { values });
            }
            self.compared = true;
        }
        let Some(metrics) = self.task.evaluate(&*self.trainer, &self.run)? else { return Ok(false) };
        let decides = metrics.first().cloned();
        let decides = decides.ok_or_else(|| Failure::Internal("an evaluation found nothing".into()))?;
        let (mean, ci95, episodes) = (decides.value, decides.half(), decides.over.0);
        // A mean return alone is told without its name.
        let alone = decides.name == Metric::MEAN_RETURN && metrics.len() == 1;
        let metrics = if alone { Vec::new() } else { metrics };
        self.sinks.emit(&Event::Evaluated { step, mean, ci95, episodes, metrics });
        self.reached = self.task.common().stop_at.is_some_and(|goal| decides.reaches(goal));
        (self.evaluating, self.settled) = (false, step);
        if self.best.mean.is_none_or(|best| decides.is_better(best)) {
            self.best = Best { mean: Some(mean), checkpoint: Some(step.to_string()) };
            // A checkpoint of this step that was made before it was evaluated does not say so.
            self.saved = None;
            self.save()?;
            self.best.mark(&self.run)?;
            self.run.forget(&self.run.path(&format!("checkpoints/{step}")), self.task.common().train.keep.0);
        }
        Ok(true)
    }

    /// Makes a checkpoint. Older ones than `train.keep` says are taken away, but for the best.
    fn save(&mut self) -> Outcome {
        let step = self.trainer.step();
        if self.saved == Some(step) {
            return Ok(());
        }
        let (saved, trainer) = self.trainer.save();
        let state = json!({
            "trainer": trainer,
            "logs": self.sinks.logs.lengths()?,
            "best": self.best.mean.map(|mean| json!({"mean": mean, "checkpoint": self.best.checkpoint})),
            "settled": self.settled,
            "judging": self.evaluating,
            "reached": self.reached,
        });
        let clock = json!({"seconds": self.seconds(), "logs": self.sinks.logs.derived()});
        let folder = self.run.path(&format!("checkpoints/{step}"));
        checkpoint::write(&folder, &saved, &state, &clock).map_err(|e| self.run.failed(&folder, &e))?;
        self.run.mark("latest", &step.to_string())?;
        self.run.status("running", step, self.task.common().train.steps)?;
        if self.best.checkpoint != Some(step.to_string()) {
            self.run.forget(&folder, self.task.common().train.keep.0);
        }
        self.sinks.emit(&Event::Saved { step, path: folder.display().to_string() });
        self.saved = Some(step);
        Ok(())
    }

    /// The last evaluation, beside the baselines, and the episodes that are kept of it.
    fn final_evaluation(&mut self) -> Outcome<Box<dyn Verdict>> {
        let folder = quoted(&self.run.folder);
        let said = |failure| match failure {
            Failure::Interrupted(_) => Failure::Interrupted(format!(
                "all its steps are made and saved, only the last evaluation was stopped; it is made by\n  agon eval {folder}"
            )),
            other => other,
        };
        let (task, trainer, sinks) = (&self.task, &*self.trainer, &mut self.sinks);
        let mut tell = |note| sinks.emit(&Event::Note(note));
        let verdict = task.final_evaluation(trainer, &self.run, &mut tell).map_err(said)?;
        UnsupervisedReport::write_coordinates(trainer, &self.run)?;
        self.run.write("evaluation.json", &format!("{}\n", verdict.json()))?;
        if let Some(card) = card::text(&Story::read(&self.run.folder)?) {
            self.run.write("card.md", &card)?;
        }
        Ok(verdict)
    }

    /// The table, and what to do next.
    fn finish(mut self, scores: &dyn Verdict, args: &cli::Train) -> Outcome {
        let (folder, seconds) = (quoted(&self.run.folder), self.seconds());
        self.sinks.logs.flush()?;
        agon::tell!("{} steps in {seconds:.1} s, {:.0} MB at most\n", self.trainer.step(), device::memory().1);
        if args.ui == cli::Ui::Json {
            agon::say!("{}", serde_json::json!({"kind": "scores", "scores": scores.json()}));
        } else {
            agon::failure::say(format_args!("{}", scores.table()));
        }
        if args.until_stdin_ends {
            return Ok(()); // one of several: they end with words of their own
        }
        agon::tell!("\nnext:");
        agon::tell!("  agon watch {folder}");
        if scores.has_episodes() {
            agon::tell!("  agon replay {folder}");
        }
        agon::tell!("  agon eval {folder}");
        Ok(())
    }
}

/// Says which rates a change of the run's length moves.
fn tell_schedules(task: &dyn Task, sets: &[String], step: u64) {
    if !sets.iter().any(|set| set.trim_start().starts_with("train.steps")) {
        return;
    }
    let falls = |(key, value): (&String, &Value)| {
        key.strip_suffix("_schedule").filter(|_| value != "constant").map(String::from)
    };
    let mut rates: Vec<String> = task.common().settings.iter().filter_map(falls).collect();
    rates.extend(task.common().settings.contains_key("epsilon_share").then(|| "epsilon".into()));
    if !rates.is_empty() {
        agon::tell!(
            "note: {} now change over {} steps: from step {step} on they are what they would be there in a run of that \
             length, and up to there they were not",
            rates.join(", "),
            task.common().train.steps
        );
    }
}
