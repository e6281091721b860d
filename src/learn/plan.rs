//! A scenario that was understood whole: which environment, which agent, how long, how it is evaluated.

use crate::demonstrations::{self, Demonstrations};
use crate::described::{self, Described};
use crate::market::{self, Report};
use crate::sales::FitSettings;
use crate::task::{Common, TrainSettings};
use agon::beside;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::registry;
use agon_agents::train::{Start, Training};
use agon_agents::{AgentError, Device};
use agon_core::game::Visit;
use agon_core::memory;
use agon_core::settings::{Issue, Settings};
use agon_core::{Entry, EnvError, Game, Spec, VecEnv, View};
use agon_search::self_play::Rules;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

agon_core::settings! {
    /// How it is evaluated.
    pub struct EvalSettings {
        /// Steps between evaluations; none during training if left out.
        every: Option<u64> = None, in [1.0, 1e15];
        /// Episodes of an evaluation during training.
        episodes: usize = 20, in [1.0, 1e6];
        /// Episodes of the final evaluation and of `agon eval`.
        final_episodes: usize = 100, in [1.0, 1e6];
        /// Seed of the episodes.
        seed: u64 = 1_000_003, in [0.0, 9e18];
        /// Players to compare with: `random`, or the environment's own (see `agon envs`).
        baselines: Vec<String> = vec!["random".into()];
        /// Two-player games: opponents of the agent instead, as players in words, from both seats in turn.
        opponents: Vec<String> = vec!["random".into()];
        /// Two-player games: simulations of the agent per move; 0 plays by its network alone.
        simulations: u32 = 0, in [0.0, 1e7];
        /// Two-player games: random plies that open a game.
        opening_plies: u32 = 2, in [0.0, 1000.0];
        /// Ends the run at the first evaluation whose mean is at least this, if given.
        stop_at: Option<f64> = None, in [-1e300, 1e300];
        /// Episodes saved of each evaluation.
        record: usize = 1, in [0.0, 1e4];
    }
}

/// Everything a run needs to know.
pub struct Plan {
    pub common: Common,
    pub env: Entry,
    pub env_settings: Map<String, Value>,
    /// The same where the agent is evaluated: `[eval.env]` changes what it names.
    pub eval_env_settings: Map<String, Value>,
    pub agent: &'static registry::Entry,
    pub eval: EvalSettings,
    /// What observations become before agents see them, if the scenario has `[features]`.
    pub features: Option<Described>,
    /// What was fitted, if the scenario has a `[fit]`.
    pub report: Option<Report>,
    /// Where the scenario's file is: recorded episodes are looked for there first.
    folder: PathBuf,
    demonstrations: OnceLock<Demonstrations>,
}

impl Plan {
    /// The scenario of a run whose agent only plays: its opponents in evaluation may be gone.
    pub fn read_agent(path: &Path) -> Outcome<Self> {
        let path = &agon::embedded::locate(path)?;
        Self::of(path, &Source::read(path, &[])?, false)
    }

    /// Checks a scenario that was read from this path.
    pub fn of(path: &Path, source: &Source, evaluated: bool) -> Outcome<Self> {
        if source.table.contains_key("model") {
            let message = "this scenario learns a model from data: it has no environment";
            return Err(source.wrong(&[Issue::key("model", message)]));
        }
        if source.table.contains_key("entrants") {
            let message = "this scenario is a tournament: `agon tournament` plays it";
            return Err(source.wrong(&[Issue::key("entrants", message)]));
        }
        if source.table.contains_key("report") {
            let message = "is for models of tables: those with [data] and a target";
            return Err(source.wrong(&[Issue::key("report", message)]));
        }
        let mut env_settings = source.section("env")?;
        let id = source.word("env", &mut env_settings, "id")?;
        let env = agon_envs::find(&id).map_err(|e| match e {
            EnvError::Unknown { nearest, .. } => {
                source.unknown("env", "id", &format!("no environment is called `{id}`, see `agon envs`"), &nearest)
            }
            other => Failure::Input(other.to_string()),
        })?;
        let mut agent_settings = source.section("agent")?;
        let kind = source.word("agent", &mut agent_settings, "kind")?;
        let agent = registry::find(&kind).map_err(|near| {
            source.unknown("agent", "kind", &format!("no agent is called `{kind}`, see `agon agents`"), &near)
        })?;
        let within = |section: &'static str| {
            move |issues: Vec<Issue>| source.wrong(&issues.into_iter().map(|i| i.within(section)).collect::<Vec<_>>())
        };
        let train = TrainSettings::read(&source.section("train")?).map_err(within("train"))?;
        let mut eval_table = source.section("eval")?;
        let changed = match eval_table.remove("env") {
            None => Map::new(),
            Some(Value::Object(table)) => table,
            Some(_) => return Err(source.wrong(&[Issue::value("env", "expected a table").within("eval")])),
        };
        let eval = EvalSettings::read(&eval_table).map_err(within("eval"))?;
        let report = match source.table.get("fit") {
            None => None,
            Some(_) => {
                let fit = FitSettings::read(&source.section("fit")?).map_err(within("fit"))?;
                let data = market::data_of(path, source, &fit)?;
                Some(market::fill(&data, &fit, &mut env_settings)?)
            }
        };
        if let Some((key, _)) = env.files.iter().find(|(key, _)| changed.contains_key(*key)) {
            let message = "a run is evaluated with the file that it is trained with";
            return Err(source.wrong(&[Issue::key(key, message).within("env").within("eval")]));
        }
        beside::find(env.files, &mut env_settings, path.parent().unwrap_or(Path::new("")));
        let env_settings = env.resolve(&env_settings).map_err(|e| env_failure(source, e))?;
        let mut eval_env_settings = env_settings.clone();
        merge(&mut eval_env_settings, &changed);
        let eval_env_settings = env.resolve(&eval_env_settings).map_err(|e| match e {
            EnvError::Settings(issues) => within("eval")(issues.into_iter().map(|i| i.within("env")).collect()),
            other => env_failure(source, other),
        })?;
        let agent_settings = agent.resolve(&agent_settings).map_err(|e| agent_failure(source, e))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let features = described::read(source, &folder)?;
        let name = source.name(path)?;
        let about = source.table.get("about").and_then(Value::as_str).unwrap_or_default();
        let resolved = resolve(
            &name,
            about,
            (&env, &beside::copied(&env, &env_settings, "./")),
            (agent, &agent_settings),
            &train,
            (&eval, changed),
            features.as_ref(),
        )?;
        let plan = Self {
            folder,
            demonstrations: OnceLock::new(),
            common: Common::new(name, (agent.kind, agent_settings), train, (eval.every, eval.stop_at), resolved),
            env,
            env_settings,
            eval_env_settings,
            agent,
            eval,
            features,
            report,
        };
        // Settings that only fail together fail here, with their place.
        let here = |e: EnvError| match e {
            EnvError::Settings(issues) if plan.eval_env_settings != plan.env_settings => {
                within("eval")(issues.into_iter().map(|i| i.within("env")).collect())
            }
            other => env_failure(source, other),
        };
        let probe = plan.described(plan.env.build(&plan.eval_env_settings, 1, 1).map_err(here)?)?;
        plan.fits_in_memory(&*probe).map_err(|(section, issue)| within(section)(vec![issue]))?;
        for player in &plan.eval.baselines {
            agon_core::policy::by_name(&*probe, player, 0)
                .map_err(|why| source.wrong(&[Issue::value("baselines", why).within("eval")]))?;
        }
        let eval_spec = probe.spec().clone();
        let probe = plan.env.build(&plan.env_settings, 1, 1).map_err(|e| env_failure(source, e))?;
        let probe = plan.described(probe)?;
        let shape = |s: &Spec| (s.agents, s.action.len(), s.action.choices(), s.masked);
        let seen = &probe.spec().observation;
        if shape(&eval_spec) != shape(probe.spec()) || !seen.is_like(&eval_spec.observation) {
            let message = "must leave agents, observations and actions as they are in training";
            return Err(source.wrong(&[Issue::key("env", message).within("eval")]));
        }
        if !evaluated {
            return Ok(plan);
        }
        let game = plan.game()?;
        if let Some(why) = plan.unfit_for_features(game.is_some()) {
            return Err(source.wrong(&[Issue::key("features", why)]));
        }
        let start = plan.start_with(probe, game.as_deref(), Device::Cpu);
        plan.agent.check(&plan.common.settings, start, plan.common.train.envs).map_err(|e| agent_failure(source, e))?;
        Ok(plan)
    }

    /// Refuses more environments, or deeper searches, than this machine can hold. `probe`: one environment.
    fn fits_in_memory(&self, probe: &dyn VecEnv) -> Result<(), (&'static str, Issue)> {
        let spec = probe.spec();
        // A state as text is about as long as in memory. A run saves all of them: as a tree of values, put aside once
        // more, and as text.
        let state = probe.save(0, View::Now).to_string().len() as f64;
        let row = (8 * spec.obs_len() + 4 * spec.action.len() + spec.action.mask_len() + 50) as f64;
        let rows = |envs: usize| envs as f64 * spec.agents as f64 * row;
        let envs = self.common.train.envs as f64;
        let (played, saved) =
            (envs * (2.0 * state + 200.0) + rows(self.common.train.envs), envs * (8.0 * state + 1500.0));
        let refuse = |section, key: &str, bytes: f64, what: &str| match memory::refusal(bytes, what) {
            Some(why) => Err((section, Issue::value(key, why))),
            None => Ok(()),
        };
        refuse("train", "envs", played + saved, " (environments, and what it takes to save them)")?;
        for (key, episodes) in [("episodes", self.eval.episodes), ("final_episodes", self.eval.final_episodes)] {
            let bytes = episodes as f64 * (2.0 * state + 500.0) + rows(episodes);
            refuse("eval", key, bytes, ": all its episodes are played side by side")?;
        }
        // A position of a search tree takes about 45 bytes; each simulation adds those that can follow one.
        let tree = 45.0 * f64::from(self.eval.simulations) * spec.action.mask_len().min(40) as f64;
        refuse("eval", "simulations", tree, " for one search")
    }

    /// Whether somebody asked it to stop.
    pub fn stopped(&self) -> bool {
        self.common.stop.load(Ordering::Relaxed)
    }

    /// What is odd about it, though it can be done: more steps than were asked for, nothing that is learned.
    pub fn remarks(&self) -> Vec<String> {
        let TrainSettings { steps, envs, save_every, .. } = self.common.train;
        let number = |key: &str| self.common.settings.get(key).and_then(Value::as_u64);
        let mut remarks = Vec::new();
        let on_policy = ["ppo", "a2c"].contains(&self.agent.kind);
        // Steps that are made between two moments at which it may end.
        let bout = match self.agent.kind {
            "exact" => 1,
            "alphazero" => number("moves").unwrap_or(1),
            _ if on_policy => (envs as u64).saturating_mul(number("rollout_steps").unwrap_or(1)),
            _ => envs as u64,
        };
        if bout > steps {
            let why = match self.agent.kind {
                "alphazero" => format!("as many moves as `agent.moves` says, {bout}, are played before it learns"),
                _ if on_policy => format!("one rollout of {envs} environments is {bout} steps"),
                _ => format!("{envs} environments make {bout} steps at once"),
            };
            remarks.push(format!("train.steps = {steps} becomes {bout}: {why}"));
        }
        if let Some(starts) = number("learning_starts").filter(|starts| *starts > steps) {
            remarks.push(format!(
                "nothing will be learned: agent.learning_starts = {starts} is above train.steps = {steps}"
            ));
        }
        if let (Some(memory), Some(minibatch)) = (number("memory"), number("minibatch"))
            && self.agent.kind == "dqn"
            && minibatch > memory
        {
            remarks.push(format!(
                "agent.minibatch = {minibatch} is more than agent.memory = {memory} holds: transitions come many times"
            ));
        }
        if let Some(batch) = number("batch").filter(|batch| self.agent.kind == "reinforce" && *batch > steps) {
            remarks.push(format!("nothing will be learned: agent.batch = {batch} is above train.steps = {steps}"));
        }
        if let Some(every) = self.eval.every.filter(|every| *every > steps.max(bout)) {
            remarks.push(format!("eval.every = {every} is above train.steps = {steps}: only its end is evaluated"));
        }
        if self.eval.stop_at.is_some() && self.eval.every.is_none() {
            remarks.push("eval.stop_at is never met: without eval.every nothing is evaluated on the way".into());
        }
        if let Some(every) = save_every.filter(|every| *every > steps.max(bout)) {
            remarks.push(format!("train.save_every = {every} is above train.steps = {steps}: only its end is saved"));
        }
        remarks
    }

    /// What was fitted to sales, if anything was: now, or when the run was made.
    pub fn fitted(&self) -> Option<Value> {
        match &self.report {
            Some(report) => Some(report.json.clone()),
            None if self.env.id == "pricing/retail" => {
                let text = std::fs::read_to_string(self.folder.join("fit.json")).ok()?;
                serde_json::from_str(&text).ok()
            }
            None => None,
        }
    }

    /// Tells what was fitted, what was left out, and what looks odd.
    pub fn tell_fit(&self) {
        let lines = self.report.iter().flat_map(|report| &report.lines);
        lines.for_each(|line| agon::tell!("{line}"));
    }

    /// A batch of the scenario's environment.
    pub fn build_env(&self, envs: usize) -> Outcome<Box<dyn VecEnv>> {
        let built = self.env.build(&self.env_settings, envs, self.common.train.env_threads);
        self.described(built.map_err(|e| Failure::Input(e.to_string()))?)
    }

    /// A batch of it as the agent is evaluated in.
    pub fn eval_env(&self, envs: usize) -> Outcome<Box<dyn VecEnv>> {
        let built = self.env.build(&self.eval_env_settings, envs, self.common.train.env_threads);
        self.described(built.map_err(|e| Failure::Input(e.to_string()))?)
    }

    /// An environment as the agent observes it.
    pub fn described(&self, env: Box<dyn VecEnv>) -> Outcome<Box<dyn VecEnv>> {
        match &self.features {
            None => Ok(env),
            Some(described) => described.around(env),
        }
    }

    /// Why agents of this kind do not learn from features, if they do not.
    fn unfit_for_features(&self, is_game: bool) -> Option<&'static str> {
        self.features.as_ref()?;
        match self.agent.kind {
            _ if self.agent.learns_from_episodes() => Some("is not for agents that learn from recorded episodes"),
            "exact" => Some("is not for exact methods: they read no observations"),
            _ if is_game => Some("is not for games of two players"),
            _ => None,
        }
    }

    /// The game behind the environment, where it is one.
    pub fn game(&self) -> Outcome<Option<Box<dyn Rules>>> {
        if !agon_envs::games::NAMES.contains(&self.env.id) {
            return Ok(None);
        }
        struct Host;
        impl Visit for Host {
            type Out = Box<dyn Rules>;
            fn visit<G: Game>(self, game: G) -> Self::Out {
                Box::new(game)
            }
        }
        let made = agon_envs::games::visit(self.env.id, &self.env_settings, Host);
        made.map(Some).map_err(|e| Failure::Input(e.to_string()))
    }

    fn start_with<'a>(&self, env: Box<dyn VecEnv>, game: Option<&'a dyn Rules>, device: Device) -> Start<'a> {
        let TrainSettings { seed, steps, threads, env_threads, .. } = self.common.train;
        Start { env, game, seed, steps, device, threads, env_threads }
    }

    /// The training at its beginning.
    pub fn start(&self, device: Device) -> Outcome<Box<dyn Training>> {
        let (env, game) = (self.build_env(self.common.train.envs)?, self.game()?);
        let from = if self.agent.learns_from_episodes() { &self.demonstrations()?.episodes[..] } else { &[] };
        let start = self.start_with(env, game.as_deref(), device);
        self.agent.start_from(&self.common.settings, start, from).map_err(|e| Failure::Input(e.to_string()))
    }

    /// The recorded episodes that it learns from; read once.
    pub fn demonstrations(&self) -> Outcome<&Demonstrations> {
        if let Some(read) = self.demonstrations.get() {
            return Ok(read);
        }
        let named = self.common.settings.get("data").and_then(Value::as_array);
        let data: Vec<String> = named.into_iter().flatten().filter_map(|d| d.as_str().map(String::from)).collect();
        let probe = self.build_env(1)?;
        let read = demonstrations::read(&data, "agent.data", &self.folder, &self.env, probe.spec())?;
        Ok(self.demonstrations.get_or_init(|| read))
    }
}

/// An evaluation that somebody stopped.
pub fn stopped() -> Failure {
    Failure::Interrupted("the evaluation was stopped".into())
}

fn env_failure(source: &Source, error: EnvError) -> Failure {
    match error {
        EnvError::Settings(issues) => source.wrong(&issues.into_iter().map(|i| i.within("env")).collect::<Vec<_>>()),
        other => Failure::Input(other.to_string()),
    }
}

/// Changes what `changes` names, in tables within tables too.
fn merge(settings: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (key, change) in changes {
        match (settings.get_mut(key), change) {
            (Some(Value::Object(inner)), Value::Object(change)) => merge(inner, change),
            _ => drop(settings.insert(key.clone(), change.clone())),
        }
    }
}

fn agent_failure(source: &Source, error: AgentError) -> Failure {
    match error {
        AgentError::Settings(issues) => {
            source.wrong(&issues.into_iter().map(|i| i.within("agent")).collect::<Vec<_>>())
        }
        other => Failure::Input(other.to_string()),
    }
}

fn resolve(
    name: &str,
    about: &str,
    (env, env_settings): (&Entry, &Map<String, Value>),
    (agent, agent_settings): (&registry::Entry, &Map<String, Value>),
    train: &TrainSettings,
    (eval, eval_env): (&EvalSettings, Map<String, Value>),
    features: Option<&Described>,
) -> Outcome<String> {
    let named = |key: &str, value: &str, rest: &Map<String, Value>| {
        let mut table = Map::new();
        table.insert(key.into(), value.into());
        table.extend(rest.clone());
        Value::Object(table)
    };
    let mut whole = Map::new();
    whole.insert("name".into(), name.into());
    whole.insert("about".into(), about.into());
    whole.insert("env".into(), named("id", env.id, env_settings));
    let mut agent_settings = agent_settings.clone();
    if agent.learns_from_episodes() {
        // A run has its own copy of what it learns from.
        agent_settings.insert("data".into(), serde_json::json!([demonstrations::COPY]));
    }
    whole.insert("agent".into(), named("kind", agent.kind, &agent_settings));
    whole.extend(features.map(|features| ("features".to_owned(), Value::Object(features.copied()))));
    whole.insert("train".into(), Value::Object(train.write()));
    let mut eval = eval.write();
    if !eval_env.is_empty() {
        eval.insert("env".into(), Value::Object(eval_env));
    }
    whole.insert("eval".into(), Value::Object(eval));
    toml::to_string(&whole).map_err(|e| Failure::Internal(format!("the scenario cannot be written: {e}")))
}
