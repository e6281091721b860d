//! `agon eval`, and the table at the end of a training run: mean returns with 95 % intervals, beside the scenario's
//! baselines and its exact optimum.

use crate::acting::{self, Acting};
use crate::at_bounds::AtBounds;
use crate::checkpoints::{Target, locate};
use crate::device;
use crate::duel::{self, Contender, Who};
use crate::eval_data;
use crate::lift::{CHARGED, Lift};
use crate::plan::{Plan, stopped};
use crate::scenarios;
use crate::tables::Tables;
use agon::cli;
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::evaluate::{Evaluation, Seen, evaluate_until, mean_ci95};
use agon_agents::supervised::calibration::wilson;
use agon_agents::train::Training;
use agon_core::env::Measure;
use agon_core::episode::{Episode, FORMAT, Header};
use agon_core::game;
use agon_core::policy::{self, Actor, Policy};
use agon_core::scene::digits;
use agon_search::Evaluate;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A row of the table.
#[derive(Debug)]
pub struct Score {
    pub name: String,
    pub mean: f64,
    /// Half the width of the 95 % interval; one episode has none.
    pub ci95: Option<f64>,
    pub episodes: usize,
    /// At games: episodes won, drawn and lost.
    pub results: Option<[usize; 3]>,
    /// What the agent earned more than this one on the same seeds, with half the width of the 95 % interval.
    pub lift: Option<(f64, f64)>,
    /// What was lost against whoever knows everything, where the environment counts it.
    pub regret: Option<Regret>,
}

/// What a player is expected to lose against the clairvoyant in the same episodes (see [`Measure::REGRET`]).
#[derive(Clone, Copy, Debug)]
pub struct Regret {
    pub mean: f64,
    pub ci95: Option<f64>,
    /// What was not lost, as a share of the clairvoyant's expected revenue in these episodes.
    pub kept: f64,
}

impl Regret {
    fn of(evaluation: &Evaluation) -> Option<Self> {
        let find = |name| evaluation.measures.iter().find(|(m, _)| m.name == name).map(|(_, x)| mean_ci95(x));
        let ((mean, ci95), (best, _)) = (find(Measure::REGRET)?, find(Measure::CLAIRVOYANT)?);
        Some(Self { mean, ci95, kept: 1.0 - mean / best })
    }

    fn json(&self) -> Value {
        json!({"mean": self.mean, "ci95": self.ci95, "of_clairvoyant": self.kept})
    }
}

impl Score {
    fn of(name: &str, returns: &[f64], games: bool) -> Self {
        let (mean, ci95) = mean_ci95(returns);
        // In two-player games the returns sum to zero.
        let count = |score| returns.iter().filter(|r| game::Score::of(**r, -**r) == score).count();
        let results = games.then(|| [game::Score::Win, game::Score::Draw, game::Score::Loss].map(count));
        Self { name: name.into(), mean, ci95, episodes: returns.len(), results, lift: None, regret: None }
    }
}

/// Something else that was counted: its name, its mean over episodes, half the width of its 95 % interval.
#[derive(Debug)]
pub struct Counted {
    pub name: String,
    pub mean: f64,
    pub ci95: Option<f64>,
}

/// Everyone's scores on the same episodes, and the optimum.
#[derive(Debug)]
pub struct Scores {
    pub agent: Score,
    pub baselines: Vec<Score>,
    pub optimum: Option<f64>,
    /// What no policy can exceed, where the optimum is not known.
    pub bound: Option<f64>,
    /// What else was counted of the agent's episodes.
    pub counted: Vec<Counted>,
    /// The share earned more than by the prices charged, where demand was fitted.
    pub lift: Option<Lift>,
    /// What must be known first.
    pub warnings: Vec<String>,
}

/// What is evaluated: a policy by its returns, or a player by games against others.
pub enum Candidate {
    Policy(Box<dyn Actor>),
    Contender(Box<dyn Contender>),
}

impl Candidate {
    /// What a training has learned so far.
    pub fn of(plan: &Plan, training: &dyn Training) -> Outcome<Self> {
        Self::with(plan, training.network(), training.policy())
    }

    /// What a checkpoint acts with.
    fn acting(plan: &Plan, acting: Acting) -> Outcome<Self> {
        match acting {
            Acting::Inference(it) => Self::with(plan, it.network, it.policy),
            Acting::Training(it) => Self::of(plan, &*it),
        }
    }

    fn with(plan: &Plan, network: Option<Box<dyn Evaluate>>, policy: Option<Box<dyn Policy>>) -> Outcome<Self> {
        match (network, policy) {
            (Some(network), _) if duel::applies(plan) => {
                duel::contender(plan, Who::Network(network)).map(Self::Contender)
            }
            (_, Some(policy)) if !duel::applies(plan) => Ok(Self::Policy(Box::new(policy))),
            _ => Err(Failure::Input(format!("{} cannot be evaluated at {}", plan.agent.kind, plan.env.id))),
        }
    }

    /// A scripted player of the environment, or of its game, by name.
    pub fn player(plan: &Plan, name: &str, seed: u64) -> Outcome<Self> {
        if duel::applies(plan) {
            return duel::contender(plan, Who::Words(name)).map(Self::Contender);
        }
        let probe = plan.eval_env(1)?;
        policy::by_name(&*probe, name, seed).map(Self::Policy).map_err(Failure::Input)
    }

    /// Plays `episodes` whole episodes, at games so many against each of the plan's opponents, who are named.
    pub fn meet(
        &mut self,
        plan: &Plan,
        episodes: usize,
        seed: u64,
        record: usize,
        watch: &mut dyn FnMut(Seen<'_>),
    ) -> Outcome<Vec<(Option<String>, Evaluation)>> {
        match self {
            Self::Policy(who) => {
                let mut env = plan.eval_env(episodes)?;
                let done = evaluate_until(&mut *env, &mut **who, seed, record, watch, &|| plan.stopped());
                Ok(vec![(None, done.ok_or_else(stopped)?)])
            }
            Self::Contender(who) => {
                let meet = |rival: &String| Ok((Some(rival.clone()), who.meet(plan, rival, episodes, seed, record)?));
                plan.eval.opponents.iter().map(meet).collect()
            }
        }
    }

    /// Its score beside those of the plan's baselines on the same episodes, or against each opponent.
    pub fn compare(
        &mut self,
        plan: &Plan,
        name: &str,
        episodes: usize,
        seed: u64,
        watch: &mut dyn FnMut(Seen<'_>),
        progress: &mut dyn FnMut(String),
    ) -> Outcome<Scores> {
        let baselines: Vec<&String> = plan.eval.baselines.iter().filter(|b| *b != name).collect();
        let games = matches!(self, Self::Contender(_));
        let players = if games { 1 } else { 1 + baselines.len() };
        let tell = |progress: &mut dyn FnMut(String), i: usize, who: &str| {
            progress(format!("final evaluation: {episodes} episodes by {who}, player {i} of {players}"));
        };
        tell(progress, 1, name);
        let fitted = plan.fitted();
        let mut at_bounds = AtBounds::new(plan);
        let meetings = self.meet(plan, episodes, seed, 0, &mut |seen| {
            at_bounds.see(seen);
            watch(seen);
        })?;
        let all: Vec<f64> = meetings.iter().flat_map(|(_, e)| e.returns.iter().copied()).collect();
        let mut scores = Vec::new();
        if games {
            for (rival, evaluation) in &meetings {
                let name = format!("against {}", rival.as_deref().unwrap_or_default());
                scores.push(Score::of(&name, &evaluation.returns, true));
            }
        } else {
            for (i, player) in baselines.into_iter().enumerate() {
                tell(progress, i + 2, player);
                let meetings = Self::player(plan, player, seed)?.meet(plan, episodes, seed, 0, &mut |_| {})?;
                let returns: Vec<f64> = meetings.iter().flat_map(|(_, e)| e.returns.iter().copied()).collect();
                let pairs: Vec<f64> = all.iter().zip(&returns).map(|(own, other)| own - other).collect();
                let (more, half) = mean_ci95(&pairs);
                let lift = half.map(|half| (more, half));
                let regret = meetings.first().and_then(|(_, e)| Regret::of(e));
                scores.push(Score { lift, regret, ..Score::of(player, &returns, false) });
            }
        }
        let counted = meetings.iter().flat_map(|(_, e)| &e.measures).map(|(measure, x)| {
            let (mean, ci95) = mean_ci95(x);
            let unit = if measure.unit.is_empty() { String::new() } else { format!(" [{}]", measure.unit) };
            Counted { name: format!("{}{unit}", measure.name), mean, ci95 }
        });
        // What does not apply, as a rest of what has no end, is no number.
        let counted = counted.filter(|c: &Counted| !c.mean.is_nan()).collect();
        let regret = meetings.first().and_then(|(_, e)| Regret::of(e));
        let agent = Score { regret, ..Score::of(name, &all, games) };
        let env = plan.eval_env(1)?;
        let optimum = env.optimum();
        let bound = if optimum.is_none() { env.bound() } else { None };
        let lift = match self {
            Self::Policy(who) if name != CHARGED => Lift::of(plan, &mut **who, seed, progress)?,
            _ => None,
        };
        let mean = |name: &str| scores.iter().find(|s| s.name == name).map(|s| s.mean);
        let mut warnings = Vec::new();
        if let Some(fitted) = &fitted {
            warnings.extend(fitted["doubt"].as_str().map(String::from));
            if let (Some(charged), Some(random)) = (mean(CHARGED), mean("random"))
                && charged < random
            {
                let why =
                    "the prices charged earn less than random ones under the fitted demand: it is hardly the shop's";
                warnings.push(format!("WARNING: {why}"));
            }
            if at_bounds.all() && ![CHARGED, "random"].contains(&name) {
                let why = "every price of this policy is the lowest or the highest that is allowed: the demand says nothing \
                           of better ones";
                warnings.push(format!("WARNING: {why}"));
            }
        }
        Ok(Scores { agent, baselines: scores, optimum, bound, counted, lift, warnings })
    }
}

impl Scores {
    pub fn json(&self) -> Value {
        let one = |s: &Score| {
            let mut score = json!({"mean_return": s.mean, "ci95": s.ci95, "episodes": s.episodes});
            if let Some([wins, draws, losses]) = s.results {
                score["wins"] = wins.into();
                score["draws"] = draws.into();
                score["losses"] = losses.into();
            }
            if let Some((mean, ci95)) = s.lift {
                score["lift"] = json!({"mean": mean, "ci95": ci95});
            }
            if let Some(regret) = &s.regret {
                score["regret"] = regret.json();
            }
            score
        };
        let baselines: Map<String, Value> = self.baselines.iter().map(|s| (s.name.clone(), one(s))).collect();
        let mut scores = json!({
            "agent": self.agent.name,
            "mean_return": self.agent.mean,
            "ci95": self.agent.ci95,
            "episodes": self.agent.episodes,
            "optimum": self.optimum,
            "baselines": baselines,
            "counted": self.counted.iter().map(|c| json!({"name": c.name, "mean": c.mean, "ci95": c.ci95})).collect::<Vec<_>>(),
        });
        if let Some(bound) = self.bound {
            scores["upper_bound"] = bound.into();
        }
        if let Some(regret) = &self.agent.regret {
            scores["regret"] = regret.json();
        }
        if let Some(lift) = &self.lift {
            scores["lift_over_charged"] = lift.json().into();
        }
        if !self.warnings.is_empty() {
            scores["warnings"] = json!(self.warnings);
        }
        scores
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut scores: Vec<&Score> = self.baselines.iter().chain([&self.agent]).collect();
        let best = self.optimum.or(self.bound);
        let name = if self.optimum.is_some() { "exact optimum" } else { "upper bound" };
        let optimum = best.map(|mean| Score { mean, ..Score::of(name, &[], false) });
        // Where each episode has an optimum of its own, this one is the mean over all that can be.
        let optimum = optimum.map(|o| match self.agent.regret {
            Some(_) => Score { name: "optimum over all draws".into(), ..o },
            None => o,
        });
        scores.extend(&optimum);
        scores.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        let most = scores.iter().map(|s| s.mean.abs()).fold(0.0, f64::max);
        // Beside a baseline that loses by thousands, the agent and the optimum still differ by what can be seen.
        let judged = self.optimum.map_or(most, |optimum| optimum.abs().min(self.agent.mean.abs()));
        let digits = if judged >= 10_000.0 { 0 } else { digits(if most >= 10_000.0 { judged } else { most }, 2) };
        let wide = scores.iter().map(|s| s.name.chars().count() + 1).max().unwrap_or(0).max(22);
        let mut out: String = self.warnings.iter().map(|w| format!("{w}\n")).collect();
        out += &format!("{:<wide$}{:>14}{:>14}", "", "mean return", "95 %");
        out += match (&self.agent.regret, &optimum) {
            (Some(_), _) => "        regret          95 %  of clairvoyant",
            (None, Some(_)) if self.optimum.is_none() => "      of bound",
            (None, Some(_)) => "    of optimum",
            (None, None) => "",
        };
        out += if self.agent.results.is_some() { "      wins     draws    losses\n" } else { "\n" };
        let half = |ci95: Option<f64>, d: usize| ci95.map_or(String::new(), |half| format!("± {half:.d$}"));
        for s in scores {
            let mut line = format!("{:<wide$}{:>14.digits$}{:>14}", s.name, s.mean, half(s.ci95, digits));
            if let Some(Regret { mean, ci95, kept }) = s.regret {
                let d = decimals(mean);
                line += &format!("{mean:>14.d$}{:>14}{:>14.2} %", half(ci95, d), 100.0 * kept);
            } else if let Some(optimum) = best.filter(|o| *o > 0.0 && self.agent.regret.is_none()) {
                line += &format!("{:>12.2} %", 100.0 * s.mean / optimum);
            }
            line += &s.results.map_or(String::new(), |[w, d, l]| format!("{w:>10}{d:>10}{l:>10}"));
            out += line.trim_end();
            out += "\n";
        }
        if self.agent.regret.is_some() {
            out += "regret and shares are expected ones, against the clairvoyant in the same episodes\n";
        }
        out += &self.lift.as_ref().map_or(String::new(), Lift::line);
        // Where the error of estimation is known, an interval without it would say less than it seems to.
        let told = |s: &&Score| self.lift.is_none() || s.name != CHARGED;
        for (score, (mean, ci95)) in self.baselines.iter().filter(told).filter_map(|s| s.lift.map(|lift| (s, lift))) {
            // Of what may be zero, or is a small part of the difference, a percentage says nothing.
            let sure = score.ci95.is_some_and(|half| score.mean > half) && mean.abs() < 10.0 * score.mean;
            let share = if sure { format!("  ({:+.2} %)", 100.0 * mean / score.mean) } else { String::new() };
            let d = told_apart(mean, Some(ci95));
            let (word, by) = if mean < 0.0 { ("less", -mean) } else { ("more", mean) };
            out += &format!("earned {word} than {:<wide$}{by:>14.d$} ± {ci95:.d$}{share}\n", score.name);
        }
        for counted in &self.counted {
            let d = told_apart(counted.mean, counted.ci95);
            let line = format!("{:<wide$}{:>14.d$} {}", counted.name, counted.mean, half(counted.ci95, d));
            out += line.trim_end();
            out += "\n";
        }
        out
    }
}

/// Digits behind the point that say something of a number of this size.
fn decimals(x: f64) -> usize {
    if x.abs() >= 10_000.0 {
        0
    } else if x.abs() >= 10.0 {
        2
    } else {
        digits(x, 4)
    }
}

/// The same of a mean with half the width of its interval, which is not to be shown as 0 unless it is nothing.
fn told_apart(mean: f64, half: Option<f64>) -> usize {
    let d = decimals(mean);
    match half {
        Some(half) if half > 1e-9 * mean.abs() && half < 0.5 * 10f64.powi(-(d as i32)) => {
            (-half.log10()).ceil() as usize
        }
        _ => d,
    }
}

/// Saves the episodes that an evaluation recorded.
pub fn save_episodes(
    run: &Run,
    plan: &Plan,
    meetings: Vec<(Option<String>, Evaluation)>,
    seed: u64,
    actor: &str,
    stem: &str,
) -> Outcome {
    for (i, episode) in recorded(plan, meetings, seed, actor, "../").enumerate() {
        run.save_episode(&format!("{stem}-{i}"), &episode)?;
    }
    Ok(())
}

/// What an evaluation recorded, as episodes. `up`: the way from their folder to that of the environment's files.
fn recorded(
    plan: &Plan,
    meetings: Vec<(Option<String>, Evaluation)>,
    seed: u64,
    actor: &str,
    up: &str,
) -> impl Iterator<Item = Episode> {
    let settings = agon::beside::copied(&plan.env, &plan.eval_env_settings, up);
    let all = meetings.into_iter().flat_map(|(rival, e)| e.recorded.into_iter().map(move |r| (rival.clone(), r)));
    all.map(move |(rival, recorded)| {
        let header = Header {
            format: FORMAT.into(),
            env: plan.env.id.into(),
            version: plan.env.version,
            settings: settings.clone(),
            seed,
            actor: rival.map_or(actor.into(), |rival| format!("{actor} and {rival}")),
            start: recorded.start,
            hash: recorded.hash,
        };
        Episode { header, steps: recorded.steps }
    })
}

/// Plays the episodes once more and saves them in a folder, with copies of the environment's files.
fn record(who: &mut Candidate, plan: &Plan, name: &str, episodes: usize, seed: u64, folder: &Path) -> Outcome {
    let lost = |e: std::io::Error| Failure::Input(format!("--record {}: {e}", folder.display()));
    std::fs::create_dir_all(folder).map_err(lost)?;
    for (key, copy) in plan.env.files {
        let content = plan.env.file(&plan.env_settings, key).map_err(|e| Failure::Input(e.to_string()))?;
        agon_core::disk::write(&folder.join(copy), &content).map_err(lost)?;
    }
    let meetings = who.meet(plan, episodes, seed, episodes, &mut |_| {})?;
    let mut count = 0;
    for episode in recorded(plan, meetings, seed, name, "") {
        let file = folder.join(format!("{seed}-{count:06}.jsonl"));
        agon_core::disk::write(&file, agon::run::episode_text(&episode).as_bytes()).map_err(lost)?;
        count += 1;
    }
    agon::tell!("{count} episodes saved in {}", folder.display());
    Ok(())
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
    let scenario = agon::embedded::locate(&scenario)?;
    let source = Source::read(&scenario, &args.set)?;
    if args.data.is_some() || !args.slices.is_empty() || scenarios::is_of_data(&source) {
        return eval_data::run(args, &target, &scenario);
    }
    if let (Target::Checkpoint { .. }, Some(set)) =
        (&target, args.set.iter().find(|set| set.trim_start().starts_with("features.")))
    {
        let message = format!("--set {set}: what a run's agent observes is part of what it learned");
        return Err(Failure::Input(message));
    }
    let mut plan = duel::read(&scenario, &source)?;
    if let Some(own) = own {
        // The agent is the run's; the environment and `[eval]` are the scenario's.
        let trained = Plan::read_agent(&own)?;
        plan.features.clone_from(&trained.features);
        // A learned simulator, say, has observations and actions of the real one, and another name.
        if trained.env.id != plan.env.id && !looks_alike(&trained, &plan)? {
            let message = format!("{} was trained on {}, not on {}", args.what, trained.env.id, plan.env.id);
            return Err(Failure::Input(message));
        }
        (plan.agent, plan.common.settings) = (trained.agent, trained.common.settings);
    }
    plan.tell_fit();
    agon_agents::set_threads(plan.common.train.threads);
    let episodes = args.episodes.map_or(plan.eval.final_episodes, |e| e as usize);
    let seed = args.seed.unwrap_or(plan.eval.seed);
    let mut step = None;
    let (mut who, name) = match target {
        Target::Checkpoint { name, .. } => {
            let (acting, state) = acting::acting(&args.what, &plan, device)?;
            step = state["trainer"]["step"].as_u64();
            if let Some(step) = step {
                agon::tell!("{}: its checkpoint of step {step}, of {} to make", args.what, plan.common.train.steps);
            }
            (Candidate::acting(&plan, acting)?, name)
        }
        Target::Player(name) => (Candidate::player(&plan, &name, seed)?, name),
    };
    if let Some(file) = &args.positions {
        return solve(&mut who, &name, file, seed, args.json.json);
    }
    if matches!(who, Candidate::Contender(_)) && (args.export.is_some() || args.path.is_some()) {
        return Err(Failure::Input("--export and --path are not for two-player games".into()));
    }
    let mut tables = Tables::new(args, &plan)?;
    let scores = who.compare(&plan, &name, episodes, seed, &mut |seen| tables.see(seen), &mut |_| {})?;
    if args.json.json {
        let mut json = scores.json();
        json["step"] = step.into();
        agon::say!("{json}");
    } else {
        agon::failure::say(format_args!("{}", scores.table()));
    }
    if let Some(folder) = &args.record {
        record(&mut who, &plan, &name, episodes, seed, folder)?;
    }
    tables.write()
}

/// Whether what is observed and done is the same in both environments, by name, unit and bounds.
fn looks_alike(one: &Plan, other: &Plan) -> Outcome<bool> {
    let [a, b] = [one.eval_env(1)?, other.eval_env(1)?];
    let (a, b) = (a.spec(), b.spec());
    Ok(a.agents == b.agents && a.masked == b.masked && a.observation == b.observation && a.action == b.action)
}

/// How many positions of a file it solves.
fn solve(who: &mut Candidate, name: &str, file: &Path, seed: u64, json: bool) -> Outcome {
    let Candidate::Contender(who) = who else {
        return Err(Failure::Input("--positions is for two-player games".into()));
    };
    let text = agon::text::read(file)?;
    let solved = who.solve(&text, seed).map_err(|why| Failure::Input(format!("{}:{why}", file.display())))?;
    let (n, right) = (solved.len(), solved.iter().filter(|s| **s).count());
    if n == 0 {
        return Err(Failure::Input(format!("{} has no position", file.display())));
    }
    let [low, high] = wilson(right as f64, n as f64);
    if json {
        let share = right as f64 / n as f64;
        agon::say!("{}", json!({"agent": name, "positions": n, "solved": right, "share": share, "ci95": [low, high]}));
    } else {
        let [share, low, high] = [right as f64 / n as f64, low, high].map(|x| 100.0 * x);
        agon::say!("{name}: {right} of {n} positions solved, {share:.1} % [{low:.1}, {high:.1}]");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A difference is a percentage only of what is surely above zero and not far smaller.
    #[test]
    fn percentages_are_of_something() {
        for (mean, ci95, lift, shown) in [
            (100.0, Some(5.0), 50.0, "(+50.00 %)"),
            (100.0, Some(5.0), -150.0, "(-150.00 %)"),
            (100.0, Some(120.0), 50.0, ""),
            (0.01, Some(0.001), 84.0, ""),
            (-10.0, Some(1.0), 50.0, ""),
            (100.0, None, 50.0, ""),
        ] {
            let base = Score { mean, ci95, lift: Some((lift, 1.0)), ..Score::of("base", &[], false) };
            let agent = Score::of("agent", &[mean + lift], false);
            let table = Scores {
                agent,
                baselines: vec![base],
                optimum: None,
                bound: None,
                counted: Vec::new(),
                lift: None,
                warnings: Vec::new(),
            }
            .table();
            let line = table.lines().find(|l| l.starts_with("earned")).unwrap();
            assert!(line.ends_with(shown) && line.contains('%') != shown.is_empty(), "{line}");
        }
    }

    #[test]
    fn one_episode_has_no_interval() {
        let counted = vec![Counted { name: "price".into(), mean: 2.0, ci95: mean_ci95(&[2.0]).1 }];
        let scores = Scores {
            agent: Score::of("a", &[109.0], false),
            baselines: Vec::new(),
            optimum: None,
            bound: None,
            counted,
            lift: None,
            warnings: Vec::new(),
        };
        assert!(!scores.table().contains('±'), "{}", scores.table());
        assert!(scores.json()["ci95"].is_null() && scores.json()["counted"][0]["ci95"].is_null());
        assert!(Score::of("a", &[1.0, 1.0], false).ci95 == Some(0.0), "two that agree have one, of no width");
    }

    #[test]
    fn no_interval_is_shown_as_nothing_that_is_something() {
        let shown = |mean: f64, half: f64| {
            let d = told_apart(mean, Some(half));
            format!("{mean:.d$} ± {half:.d$}")
        };
        assert_eq!(shown(1.2795, 0.00003), "1.27950 ± 0.00003");
        assert_eq!(shown(0.000_025_2, 0.000_000_04), "0.00002520 ± 0.00000004");
        assert_eq!(shown(1485104.0, 214.0), "1485104 ± 214");
        assert_eq!((shown(4.4, 0.0), shown(4.4, 1e-15)), ("4.4000 ± 0.0000".into(), "4.4000 ± 0.0000".into()));
    }
}
