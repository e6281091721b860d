//! `agon train`: a new run or the rest of one, its checkpoints, its evaluations, its end.

use crate::eval::{self, Judged};
use crate::faces::Faces;
use crate::plan::Plan;
use crate::{device, duel};
use agon::cli;
use agon::failure::quoted;
use agon::run::{Lock, Logs, Run, Tail};
use agon::tui::model::Model;
use agon::{Failure, Outcome};
use agon::{screen, signals};
use agon_agents::evaluate::mean_ci95;
use agon_agents::train::Training;
use agon_agents::{AgentError, Device, checkpoint};
use agon_core::event::{self, Chart, Event};
use agon_core::{Scene, Sink};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Reports a run makes at most: more would slow it down and nobody could tell them apart.
const REPORTS: u64 = 2000;
const SPEED_EVERY: Duration = Duration::from_millis(250);

/// A run under way.
struct Session {
    plan: Plan,
    run: Run,
    _lock: Lock,
    trainer: Box<dyn Training>,
    faces: Faces,
    stop: Arc<AtomicBool>,
    /// The best evaluation so far.
    best: Option<f64>,
    /// The newest checkpoint of this process: its step and name.
    saved: Option<(u64, String)>,
    /// Seconds of earlier processes of this run.
    before: f64,
    started: Instant,
    told: (Instant, u64),
}

pub fn run(args: &cli::Train) -> Outcome {
    let stop = signals::for_run()?;
    let mut session = Session::open(args, stop)?;
    let outcome = session.train();
    let ended = match &outcome {
        Ok(outcome) => *outcome,
        Err(_) => event::Outcome::Failed,
    };
    session.faces.emit(&Event::Finished { step: session.trainer.step(), outcome: ended });
    let flushed = session.faces.logs.flush();
    session.faces.close();
    let word = match ended {
        event::Outcome::Done => "done",
        event::Outcome::Interrupted => "interrupted",
        event::Outcome::Failed => "failed",
    };
    // A full disk must not hide what went wrong first.
    let _ = session.run.status(word, session.trainer.step(), session.plan.train.steps);
    outcome?;
    flushed?;
    let folder = quoted(&session.run.folder);
    if ended == event::Outcome::Interrupted {
        let step = session.trainer.step();
        return Err(Failure::Interrupted(format!("saved at step {step}; go on with\n  agon train --resume {folder}")));
    }
    session.finish(args.ui == cli::Ui::Json)
}

impl Session {
    fn open(args: &cli::Train, stop: Arc<AtomicBool>) -> Outcome<Self> {
        let (plan, resumed) = match (&args.resume, &args.scenario) {
            (Some(folder), _) => {
                let run = Run::open(folder)?;
                // Before anything is read that another process might replace.
                let lock = run.lock()?;
                let plan = Plan::read(&run.path("scenario.toml"), &[])?;
                let none =
                    || Failure::Input(format!("{} has no checkpoint to go on from; train it anew", folder.display()));
                let checkpoint = run.checkpoint("latest").ok_or_else(none)?;
                (plan, Some((run, lock, checkpoint)))
            }
            (None, Some(scenario)) => {
                let mut sets = args.set.clone();
                sets.extend(args.seed.map(|s| format!("train.seed={s}")));
                (Plan::read(scenario, &sets)?, None)
            }
            (None, None) => return Err(Failure::Input("name a scenario, or --resume a run".into())),
        };
        if args.ui == cli::Ui::Tui && !screen::is_terminal() {
            return Err(Failure::Input("--ui tui: there is no terminal here; use --ui plain".into()));
        }
        let device = device::open(args.device)?;
        agon_agents::set_threads(plan.train.threads);
        let mut trainer = plan.start(device)?;
        Judged::of(&plan, &*trainer)?; // whoever cannot be judged is told so now
        let (run, lock, state) = match resumed {
            None => {
                let run = Run::create(&plan.name, args.out.as_deref())?;
                let lock = run.lock()?;
                describe(&run, &plan, device)?;
                (run, lock, Value::Null)
            }
            Some((run, lock, folder)) => {
                let unfit = |e: AgentError| Failure::Input(format!("{}: {e}", folder.display()));
                let (saved, state) = checkpoint::read(&folder).map_err(unfit)?;
                trainer.load(&saved, Some(&state["trainer"])).map_err(unfit)?;
                (run, lock, state)
            }
        };
        let logs = Logs::open(&run, Some(&state["logs"]))?;
        let mut model = Model {
            name: plan.name.clone(),
            run: run.folder.display().to_string(),
            device: device::name(device),
            seed: plan.train.seed,
            steps: plan.train.steps,
            step: trainer.step(),
            optimum: trainer.optimum(),
            frame_of: "environment 0".into(),
            ..Model::default()
        };
        // A resumed run's curves go on where they were.
        Tail::new(run.path("metrics.jsonl")).poll().1.iter().for_each(|event| model.apply(event));
        model.outcome = None;
        plan.tell_fit();
        agon::tell!("run {} on {}", run.folder.display(), device::name(device));
        if trainer.done() {
            agon::tell!("all its {} steps were made already; this only evaluates it again", trainer.steps());
        }
        let faces = Faces::open(args.ui, logs, model, run.path("log.txt"), stop.clone())?;
        let now = Instant::now();
        let mut session = Self {
            told: (now, trainer.step()),
            plan,
            run,
            _lock: lock,
            trainer,
            faces,
            stop,
            best: state["best"].as_f64(),
            saved: None,
            before: state["seconds"].as_f64().unwrap_or(0.0),
            started: now,
        };
        if session.trainer.step() == 0 {
            let (plan, trainer) = (&session.plan, &session.trainer);
            let scalars = trainer.task_scalars();
            let chart = match () {
                () if duel::applies(plan) => Chart::Evaluations,
                () if !scalars.is_empty() => Chart::Scalars(scalars),
                () => Chart::Returns,
            };
            let started = Event::Started {
                scenario: plan.name.clone(),
                seed: plan.train.seed,
                steps: plan.train.steps,
                may_end_early: plan.eval.stop_at.is_some() || trainer.may_end_early(),
                chart,
                optimum: trainer.optimum(),
            };
            session.faces.emit(&started);
        }
        session.run.status("running", session.trainer.step(), session.plan.train.steps)?;
        Ok(session)
    }

    /// Whether a multiple of `every` lies in (before, now].
    fn due(&self, before: u64, every: u64) -> bool {
        before / every != self.trainer.step() / every
    }

    fn train(&mut self) -> Outcome<event::Outcome> {
        let steps = self.plan.train.steps;
        let report_every = (steps / REPORTS).max(1);
        let save_every = self.plan.train.save_every.unwrap_or((steps / 10).max(1));
        let mut reached = false;
        while !self.trainer.done() && !reached {
            if self.stop.load(Ordering::Relaxed) {
                self.save()?;
                return Ok(event::Outcome::Interrupted);
            }
            let before = self.trainer.step();
            let report = self.trainer.advance().map_err(|e| Failure::Internal(e.to_string()))?;
            if self.due(before, report_every) {
                self.report(report);
            }
            if let Some(every) = self.plan.eval.every
                && self.due(before, every)
            {
                reached = self.evaluate()?;
            }
            if self.due(before, save_every) {
                self.save()?;
            }
            self.tell_speed();
        }
        self.save()?;
        Ok(event::Outcome::Done)
    }

    fn report(&mut self, values: Vec<(String, f64)>) {
        let step = self.trainer.step();
        self.faces.emit(&Event::Scalars { step, values });
        let e = self.trainer.take_episodes();
        if e.count > 0 {
            let n = e.count as f64;
            let (mean, length) = (e.total / n, e.length as f64 / n);
            self.faces.emit(&Event::Episodes { step, count: e.count, mean, low: e.low, high: e.high, length });
        }
    }

    fn tell_speed(&mut self) {
        if self.faces.wants_frame() {
            let mut scene = Box::<Scene>::default();
            self.trainer.draw(&mut scene);
            self.faces.emit(&Event::Frame(scene));
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
        self.faces.emit(&event);
        self.told = (Instant::now(), step);
    }

    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Evaluates the policy as it is now; true if it reached the goal.
    fn evaluate(&mut self) -> Outcome<bool> {
        let (step, eval) = (self.trainer.step(), &self.plan.eval);
        let mut judged = Judged::of(&self.plan, &*self.trainer)?;
        let meetings = judged.meet(&self.plan, eval.episodes, eval.seed, eval.record, &mut |_| {})?;
        // Networks that were asked one by one told this thread to work alone.
        agon_agents::set_threads(self.plan.train.threads);
        let returns: Vec<f64> = meetings.iter().flat_map(|(_, e)| e.returns.iter().copied()).collect();
        let (mean, ci95) = mean_ci95(&returns);
        let (goal, episodes) = (eval.stop_at, returns.len() as u64);
        let actor = format!("{} at step {step}", self.plan.agent.kind);
        eval::save_episodes(&self.run, &self.plan, meetings, eval.seed, &actor, &format!("{step:012}"))?;
        self.faces.emit(&Event::Evaluated { step, mean, ci95, episodes });
        if self.best.is_none_or(|b| mean > b) {
            self.best = Some(mean);
            let name = self.save()?;
            self.run.mark("best", &name)?;
        }
        Ok(goal.is_some_and(|g| mean >= g))
    }

    /// Makes a checkpoint and gives its name; those that neither `latest` nor `best` names are taken away afterwards.
    fn save(&mut self) -> Outcome<String> {
        let step = self.trainer.step();
        if let Some((at, name)) = &self.saved
            && *at == step
        {
            return Ok(name.clone());
        }
        let checkpoints = self.run.path("checkpoints");
        // Never over one that is there: between taking it away and the new one's coming, there would be none.
        let mut name = format!("{step}");
        let mut count = 1;
        while checkpoints.join(&name).exists() {
            count += 1;
            name = format!("{step}-{count}");
        }
        let (saved, trainer) = self.trainer.save();
        let state = json!({
            "trainer": trainer,
            "logs": self.faces.logs.lengths()?,
            "best": self.best,
            "seconds": self.seconds(),
        });
        let folder = checkpoints.join(&name);
        checkpoint::write(&folder, &saved, &state).map_err(|e| Failure::write(&folder, &e))?;
        self.run.mark("latest", &name)?;
        self.run.status("running", step, self.plan.train.steps)?;
        let keep = [Some(folder.clone()), self.run.checkpoint("best")];
        let all = std::fs::read_dir(checkpoints).into_iter().flatten().flatten().map(|e| e.path());
        for old in all.filter(|p| p.is_dir() && !keep.contains(&Some(p.clone()))) {
            // One that cannot be removed only takes room.
            let _ = std::fs::remove_dir_all(old);
        }
        self.faces.emit(&Event::Saved { step, path: folder.display().to_string() });
        self.saved = Some((step, name.clone()));
        Ok(name)
    }

    /// The last evaluation, the table, and what to do next.
    fn finish(mut self, json: bool) -> Outcome {
        let (eval, seconds) = (&self.plan.eval, self.seconds());
        let mut judged = Judged::of(&self.plan, &*self.trainer)?;
        let scores = judged.compare(&self.plan, self.plan.agent.kind, eval.final_episodes, eval.seed, &mut |_| {})?;
        if eval.record > 0 {
            let recorded = judged.meet(&self.plan, eval.record, eval.seed, eval.record, &mut |_| {})?;
            let actor = format!("{} at step {}", self.plan.agent.kind, self.trainer.step());
            eval::save_episodes(&self.run, &self.plan, recorded, eval.seed, &actor, "final")?;
        }
        self.run.write("evaluation.json", &format!("{}\n", scores.json()))?;
        self.faces.logs.flush()?;
        let folder: PathBuf = self.run.folder.clone();
        agon::tell!("{} steps in {seconds:.1} s, {:.0} MB at most\n", self.trainer.step(), device::memory().1);
        if json {
            agon::say!("{}", serde_json::json!({"kind": "scores", "scores": scores.json()}));
        } else {
            agon::failure::say(format_args!("{}", scores.table()));
        }
        agon::tell!("\nnext:");
        agon::tell!("  agon watch {0}\n  agon replay {0}\n  agon eval {0}", quoted(&folder));
        Ok(())
    }
}

/// The files that say what this run is.
fn describe(run: &Run, plan: &Plan, device: Device) -> Outcome {
    run.write("scenario.toml", &plan.resolved)?;
    if let Some(report) = &plan.report {
        run.write("fit.json", &format!("{:#}\n", report.json))?;
    }
    let command: Vec<String> = std::env::args().collect();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or_default();
    let provenance = json!({
        "agon": env!("CARGO_PKG_VERSION"),
        "commit": env!("AGON_COMMIT"),
        "libtorch": "2.11.0",
        "environment": {"id": plan.env.id, "version": plan.env.version},
        "cpu": cpu.trim_start_matches(['\t', ' ', ':']),
        "device": device::name(device),
        "threads": plan.train.threads,
        "env_threads": plan.train.env_threads,
        "seed": plan.train.seed,
        "command": command[1..],
    });
    run.write("provenance.json", &format!("{provenance:#}\n"))
}
