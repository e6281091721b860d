//! `agon eval`, and the table at the end of a training run: mean returns with 95 % intervals, beside the scenario's
//! baselines and its exact optimum.

use crate::device;
use crate::plan::Plan;
use agon::cli;
use agon::run::Run;
use agon::{Failure, Outcome};
use agon_agents::checkpoint;
use agon_agents::evaluate::{Evaluation, evaluate, mean_ci95};
use agon_core::episode::{Episode, FORMAT, Header};
use agon_core::policy::{self, Policy};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// A row of the table.
#[derive(Debug)]
pub struct Score {
    pub name: String,
    pub mean: f64,
    /// Half the width of the 95 % interval; one episode has none.
    pub ci95: Option<f64>,
    pub episodes: usize,
}

impl Score {
    fn of(name: &str, evaluation: &Evaluation) -> Self {
        let (mean, ci95) = mean_ci95(&evaluation.returns);
        let episodes = evaluation.returns.len();
        Self { name: name.into(), mean, ci95: (episodes > 1).then_some(ci95), episodes }
    }
}

/// Everyone's scores on the same episodes, and the optimum.
#[derive(Debug)]
pub struct Scores {
    pub agent: Score,
    pub baselines: Vec<Score>,
    pub optimum: Option<f64>,
}

/// Plays `episodes` whole episodes.
pub fn play(plan: &Plan, who: &mut dyn Policy, episodes: usize, seed: u64, record: usize) -> Outcome<Evaluation> {
    let mut env = plan.build_env(episodes)?;
    Ok(evaluate(&mut *env, who, seed, record))
}

/// An agent and the plan's baselines on the same episodes.
pub fn compare(plan: &Plan, who: &mut dyn Policy, name: &str, episodes: usize, seed: u64) -> Outcome<Scores> {
    let agent = Score::of(name, &play(plan, who, episodes, seed, 0)?);
    let probe = plan.build_env(1)?;
    let mut baselines = Vec::new();
    for player in plan.eval.baselines.iter().filter(|b| *b != name) {
        let mut who = policy::by_name(&*probe, player, seed).map_err(Failure::Input)?;
        baselines.push(Score::of(player, &play(plan, &mut *who, episodes, seed, 0)?));
    }
    Ok(Scores { agent, baselines, optimum: probe.optimum() })
}

impl Scores {
    pub fn json(&self) -> Value {
        let one = |s: &Score| json!({"mean_return": s.mean, "ci95": s.ci95, "episodes": s.episodes});
        let baselines: Map<String, Value> = self.baselines.iter().map(|s| (s.name.clone(), one(s))).collect();
        json!({
            "agent": self.agent.name,
            "mean_return": self.agent.mean,
            "ci95": self.agent.ci95,
            "episodes": self.agent.episodes,
            "optimum": self.optimum,
            "baselines": baselines,
        })
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut rows: Vec<(&str, f64, Option<f64>)> =
            self.baselines.iter().chain([&self.agent]).map(|s| (s.name.as_str(), s.mean, s.ci95)).collect();
        if let Some(optimum) = self.optimum {
            rows.push(("exact optimum", optimum, None));
        }
        rows.sort_by(|a, b| a.1.total_cmp(&b.1));
        let digits = if rows.iter().any(|r| r.1.abs() >= 10_000.0) { 0 } else { 2 };
        let mut out = format!("{:<22}{:>14}{:>14}", "", "mean return", "95 %");
        out += if self.optimum.is_some() { "    of optimum\n" } else { "\n" };
        for (name, mean, ci95) in rows {
            let ci95 = ci95.map_or(String::new(), |c| format!("± {c:.digits$}"));
            out += &format!("{name:<22}{mean:>14.digits$}{ci95:>14}");
            let share = self.optimum.filter(|o| *o > 0.0).map(|o| format!("{:>12.2} %", 100.0 * mean / o));
            out += &(share.unwrap_or_default() + "\n");
        }
        out
    }
}

/// Saves the episodes that an evaluation recorded.
pub fn save_episodes(run: &Run, plan: &Plan, evaluation: Evaluation, seed: u64, actor: &str, stem: &str) -> Outcome {
    for (i, recorded) in evaluation.recorded.into_iter().enumerate() {
        let header = Header {
            format: FORMAT.into(),
            env: plan.env.id.into(),
            version: plan.env.version,
            settings: plan.env_settings.clone(),
            seed,
            actor: actor.into(),
            start: recorded.start,
            hash: recorded.hash,
        };
        run.save_episode(&format!("{stem}-{i}"), &Episode { header, steps: recorded.steps })?;
    }
    Ok(())
}

/// What the first argument means.
enum Target {
    Checkpoint { scenario: PathBuf, folder: PathBuf, name: String },
    Player(String),
}

fn locate(what: &str) -> Outcome<Target> {
    let mut path = PathBuf::from(what);
    // `checkpoints/latest` and `checkpoints/best` are files that name a checkpoint.
    if path.is_file()
        && let (Ok(name), Some(parent)) = (std::fs::read_to_string(&path), path.parent())
        && parent.join(name.trim()).is_dir()
    {
        path = parent.join(name.trim());
    }
    let path = path.as_path();
    if path.join("scenario.toml").is_file() {
        let run = Run::open(path)?;
        let none = || Failure::Input(format!("{what} has no checkpoint yet"));
        let folder = run.checkpoint("latest").ok_or_else(none)?;
        return Ok(Target::Checkpoint { scenario: run.path("scenario.toml"), folder, name: what.into() });
    }
    if path.join("weights.safetensors").is_file() || path.join("state.json").is_file() {
        // <run>/checkpoints/<step>
        let scenario = path.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("scenario.toml");
        return Ok(Target::Checkpoint { scenario, folder: path.to_owned(), name: what.into() });
    }
    if path.exists() {
        return Err(Failure::Input(format!("{what} is neither a run nor a checkpoint")));
    }
    Ok(Target::Player(what.into()))
}

pub fn run(args: &cli::Eval) -> Outcome {
    let target = locate(&args.what)?;
    let device = device::open(args.device)?;
    let (scenario, own) = match (&args.scenario, &target) {
        (Some(scenario), Target::Checkpoint { scenario: own, .. }) => (scenario.clone(), Some(own.clone())),
        (Some(scenario), Target::Player(_)) => (scenario.clone(), None),
        (None, Target::Checkpoint { scenario, .. }) => (scenario.clone(), None),
        (None, Target::Player(name)) => {
            let message = format!("`{name}` is no run or checkpoint here; for a scripted player add --scenario FILE");
            return Err(Failure::Input(message));
        }
    };
    let mut plan = Plan::read(&scenario, &args.set)?;
    if let Some(own) = own {
        // The agent is the run's; only the environment and its judging are the scenario's.
        let trained = Plan::read(&own, &[])?;
        if trained.env.id != plan.env.id {
            let message = format!("{} was trained on {}, not on {}", args.what, trained.env.id, plan.env.id);
            return Err(Failure::Input(message));
        }
        (plan.agent, plan.agent_settings) = (trained.agent, trained.agent_settings);
    }
    agon_agents::set_threads(plan.train.threads);
    let episodes = args.episodes.map_or(plan.eval.final_episodes, |e| e as usize);
    let seed = args.seed.unwrap_or(plan.eval.seed);
    let (mut who, name): (Box<dyn Policy>, String) = match target {
        Target::Checkpoint { folder, name, .. } => {
            let probe = plan.build_env(plan.train.envs)?;
            let mut agent = plan.build_agent(&*probe, device)?;
            let (saved, _) = checkpoint::read(&folder).map_err(|e| Failure::Input(e.to_string()))?;
            agent.load(&saved).map_err(|e| Failure::Input(format!("{}: {e}", folder.display())))?;
            (agent.policy(), name)
        }
        Target::Player(name) => {
            let probe = plan.build_env(1)?;
            (policy::by_name(&*probe, &name, seed).map_err(Failure::Input)?, name)
        }
    };
    let scores = compare(&plan, &mut *who, &name, episodes, seed)?;
    if args.json.json {
        agon::say!("{}", scores.json());
    } else {
        agon::failure::say(format_args!("{}", scores.table()));
    }
    Ok(())
}
