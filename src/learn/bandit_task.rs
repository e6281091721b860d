//! A scenario of a policy that is learned from the log that `[log]` names, or that `--data` with `--action` and `--reward` do.

use crate::bandit_report::BanditReport;
use crate::table_file;
use crate::table_task::{TableEvalSettings, find};
use crate::task::{Common, Task, TrainSettings, Verdict, of_kind, on, refuse, whole};
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::bandit::decisions::{Decisions, LogSettings};
use agon_agents::registry::{Data, Model, find_model};
use agon_agents::train::{Part, Training};
use agon_agents::{AgentError, Device};
use agon_core::Metric;
use agon_core::event::Chart;
use agon_core::settings::{Issue, Settings};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The name of the log's copy in a run's folder.
const COPY: &str = "data.csv";
/// The model where a scenario names none.
const FIRST: &str = "bandit";

/// A scenario of a log that was understood whole.
pub struct BanditTask {
    common: Common,
    model: &'static Model,
    eval: TableEvalSettings,
    file: PathBuf,
    data: Decisions,
}

impl BanditTask {
    /// Whether a scenario is one of a log.
    pub fn is_meant(source: &Source) -> bool {
        source.table.contains_key("log")
    }

    /// From `--data` and the columns of actions, rewards and propensities, the last one empty if there is none.
    pub fn of_flags(file: &Path, [action, reward, propensity]: [&str; 3], sets: &[String]) -> Outcome<Self> {
        if !file.is_file() {
            return Err(Failure::Input(format!("--data: no file at {}", file.display())));
        }
        let quoted = |text: &str| Value::from(text).to_string();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let plain: String = stem.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '-' }).collect();
        let text = format!(
            "name = {}\nabout = {}\n\n[log]\nfile = {}\naction = {}\nreward = {}\npropensity = {}\n",
            quoted(&format!("logs/{}", plain.trim_matches('-'))),
            quoted(&format!("A policy of {action} learned from {name}")),
            quoted(&name),
            quoted(action),
            quoted(reward),
            quoted(propensity),
        );
        let path = file.with_extension("toml");
        Self::read(&path, &Source::parse(&path, text, sets)?)
    }

    /// Reads and checks a scenario.
    pub fn read(path: &Path, source: &Source) -> Outcome<Self> {
        refuse(
            source,
            &["env", "agent", "features", "entrants", "tournament", "fit"],
            "means nothing beside [log]: a policy learned from a log has no environment",
        )?;
        let within = |section: &'static str| {
            move |issues: Vec<Issue>| source.wrong(&issues.into_iter().map(|i| i.within(section)).collect::<Vec<_>>())
        };
        let settings = LogSettings::read(&source.section("log")?).map_err(within("log"))?;
        let file = find(path, &settings.file).map_err(|why| within("log")(vec![Issue::value("file", why)]))?;
        let wrong = |section: &'static str| {
            let file = file.display().to_string();
            move |error: AgentError| match error {
                AgentError::Settings(issues) => within(section)(issues),
                AgentError::Data(why) => Failure::Input(format!("{file}: {why}")),
                other => Failure::Input(other.to_string()),
            }
        };
        let data = Decisions::new(&table_file::read(&file)?, &settings).map_err(wrong("log"))?;
        let mut table = source.section("model")?;
        table.entry("kind").or_insert(FIRST.into());
        let kind = source.word("model", &mut table, "kind")?;
        let model = find_model(&kind).map_err(|near| {
            source.unknown("model", "kind", &format!("no model is called `{kind}`, see `agon agents`"), &near)
        })?;
        let model_settings = model.resolve(&table).map_err(wrong("model"))?;
        let mut table = source.section("train")?;
        table.entry("steps").or_insert(1.into());
        let train = TrainSettings::read(&table).map_err(within("train"))?;
        let eval = TableEvalSettings::read(&source.section("eval")?).map_err(within("eval"))?;
        let name = source.name(path)?;
        let log = LogSettings { file: COPY.into(), ..settings };
        let of_model = of_kind(model.kind, &model_settings);
        let tables = [("log", log.write()), ("model", of_model), ("train", train.write()), ("eval", eval.write())];
        let resolved = whole(source, &name, tables.into())?;
        let learner = (model.kind, model_settings);
        let common = Common::new(name, learner, train, (eval.every, eval.stop_at), resolved);
        let task = Self { common, model, eval, file: file.clone(), data };
        task.training(Device::Cpu).map_err(wrong("model"))?;
        Ok(task)
    }

    fn training(&self, device: Device) -> Result<Box<dyn Training>, AgentError> {
        let data = Data::Log(Box::new(self.data.clone()));
        self.common.start(self.model, data, device)
    }
}

impl Task for BanditTask {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn device(&self, asked: Device) -> Device {
        on(self.model, asked)
    }

    fn provenance(&self) -> (&'static str, Value) {
        ("data", json!(self.file))
    }

    fn files(&self) -> Outcome<Vec<(&'static str, Vec<u8>)>> {
        Ok(vec![(COPY, table_file::as_csv(&self.file)?)])
    }

    fn tell(&self) {
        let [train, validation, test] = self.data.parts.each_ref().map(|part| part.rewards.len());
        let (file, actions) = (self.file.display(), self.data.actions.len());
        agon::tell!("{file}: {} decisions among {actions} actions", train + validation + test);
        agon::tell!("  {train} to learn from, {validation} for validation, {test} for the test");
        let inputs: Vec<&str> = self.data.encoder.inputs.iter().map(|input| input.name.as_str()).collect();
        match inputs.len() {
            0 => agon::tell!("  context: none; the same action is the best in every row"),
            n if n > 12 => agon::tell!("  context: {} and {} more columns", inputs[..12].join(", "), n - 12),
            _ => agon::tell!("  context: {}", inputs.join(", ")),
        }
        self.data.findings.iter().for_each(|finding| agon::tell!("  note: {finding}"));
        let kind = self.model.kind;
        agon::tell!("  model: {kind} (`agon agents {kind}` lists its settings)");
    }

    fn start(&self, device: Device) -> Outcome<Box<dyn Training>> {
        self.training(device).map_err(|e| Failure::Input(e.to_string()))
    }

    fn chart(&self, training: &dyn Training) -> Chart {
        Chart::Scalars(training.task_scalars())
    }

    fn can_be_evaluated(&self, _: &dyn Training) -> Outcome {
        Ok(())
    }

    fn evaluate(&self, training: &dyn Training, _: &Run) -> Outcome<Option<Vec<Metric>>> {
        if self.common.stopped() {
            return Ok(None);
        }
        Ok(training.examine(Part::Validation, self.eval.seed).into_iter().next().map(|own| own.metrics))
    }

    fn final_evaluation(
        &self,
        training: &dyn Training,
        run: &Run,
        _: &mut dyn FnMut(String),
    ) -> Outcome<Box<dyn Verdict>> {
        Ok(Box::new(BanditReport::new(training, &self.data.names, self.eval.seed, run)))
    }
}
