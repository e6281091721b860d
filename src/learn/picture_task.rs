//! A scenario of supervised training from pictures: `[model]` is learned from those that `[pictures]` names, or that
//! `--data` does.

use crate::model_files;
use crate::picture_files;
use crate::table_report::TableReport;
use crate::table_task::TableEvalSettings;
use crate::task::{Common, Task, TrainSettings, Verdict, of_kind, on, refuse, whole};
use agon::report::data;
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::pictures::dataset::{PictureSet, PictureSettings};
use agon_agents::pictures::training::steps;
use agon_agents::registry::{Data, Model, find_model};
use agon_agents::train::{Part, Training};
use agon_agents::{AgentError, Device};
use agon_core::Metric;
use agon_core::event::Chart;
use agon_core::settings::{Issue, Settings};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The model to begin with.
const FIRST: &str = "cnn";
/// Threads of a tensor operation at most where a scenario does not say: more hardly help small pictures.
const MOST_THREADS: usize = 8;

/// A scenario of pictures that was understood whole.
pub struct PictureTask {
    common: Common,
    model: &'static Model,
    eval: TableEvalSettings,
    files: PathBuf,
    set: Arc<PictureSet>,
}

impl PictureTask {
    /// Whether a scenario is one of pictures.
    pub fn is_meant(source: &Source) -> bool {
        source.table.contains_key("pictures")
    }

    /// From `--data`: the scenario is made of what is found there.
    pub fn of_flags(files: &Path, sets: &[String]) -> Outcome<Self> {
        let whole = std::path::absolute(files).unwrap_or_else(|_| files.to_owned());
        // `x.npy` and the like are called as their folder is.
        let named = if whole.is_dir() { Some(&*whole) } else { whole.parent() };
        let stem: String = named.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let plain: String = stem.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '-' }).collect();
        let plain = Some(plain.trim_matches('-')).filter(|name| !name.is_empty()).unwrap_or("mine");
        let quoted = |text: &str| Value::from(text).to_string();
        let text = format!(
            "name = {}\nabout = {}\n\n[pictures]\nfiles = {}\n",
            quoted(&format!("pictures/{plain}")),
            quoted(&format!("The classes of the pictures of {plain}")),
            quoted(&whole.display().to_string())
        );
        let path = whole.with_extension("toml");
        let source = Source::parse(&path, text, sets)?;
        Self::read(&path, &source)
    }

    /// Reads and checks a scenario.
    pub fn read(path: &Path, source: &Source) -> Outcome<Self> {
        refuse(
            source,
            &["env", "agent", "features", "entrants", "tournament", "fit", "data", "report"],
            "means nothing beside [pictures]: a model of pictures has no environment and no table",
        )?;
        let within = |section: &'static str| {
            move |issues: Vec<Issue>| source.wrong(&issues.into_iter().map(|i| i.within(section)).collect::<Vec<_>>())
        };
        let mut settings = PictureSettings::read(&source.section("pictures")?).map_err(within("pictures"))?;
        let files = picture_files::locate(path.parent().unwrap_or(Path::new(".")), &settings.files)
            .map_err(|why| within("pictures")(vec![Issue::value("files", why)]))?;
        let files = std::path::absolute(&files).unwrap_or(files);
        let wrong = |section: &'static str| {
            let files = files.display().to_string();
            move |error: AgentError| match error {
                AgentError::Settings(issues) => within(section)(issues),
                AgentError::Data(why) => Failure::Input(format!("{files}: {why}")),
                other => Failure::Input(other.to_string()),
            }
        };
        let mut raw = picture_files::read(&files, settings.side)?;
        if let Some(file) = &mut settings.labels_from {
            let whole = path.parent().unwrap_or(Path::new(".")).join(&*file);
            let whole = std::path::absolute(&whole).unwrap_or(whole);
            let wrong = |why: String| within("pictures")(vec![Issue::value("labels_from", why)]);
            if !whole.is_file() {
                return Err(wrong(format!("no file at {}", whole.display())));
            }
            picture_files::take_labels(&mut raw, &whole)?;
            *file = whole.display().to_string();
        }
        let set = Arc::new(PictureSet::new(raw, &settings).map_err(wrong("pictures"))?);
        let mut table = source.section("model")?;
        table.entry("kind").or_insert(FIRST.into());
        let kind = source.word("model", &mut table, "kind")?;
        let model = find_model(&kind).map_err(|near| {
            source.unknown("model", "kind", &format!("no model is called `{kind}`, see `agon agents`"), &near)
        })?;
        let mut model_settings = model.resolve(&table).map_err(wrong("model"))?;
        model_files::locate(&mut model_settings, path.parent().unwrap_or(Path::new(".")))
            .map_err(|(key, why)| within("model")(vec![Issue::value(key, why)]))?;
        let mut table = source.section("train")?;
        table.entry("steps").or_insert(steps(set.split.train.len().max(set.unlabelled.len())).into());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        table.entry("threads").or_insert(cores.min(MOST_THREADS).into());
        let train = TrainSettings::read(&table).map_err(within("train"))?;
        let eval = TableEvalSettings::read(&source.section("eval")?).map_err(within("eval"))?;
        let name = source.name(path)?;
        // Pictures may be many: a run names them, and knows them by a sum.
        settings.files = files.display().to_string();
        let of_model = of_kind(model.kind, &model_settings);
        let tables =
            [("pictures", settings.write()), ("model", of_model), ("train", train.write()), ("eval", eval.write())];
        let resolved = whole(source, &name, tables.into())?;
        let learner = (model.kind, model_settings);
        let common = Common::new(name, learner, train, (eval.every, eval.stop_at), resolved);
        let task = Self { common, model, eval, files: files.clone(), set };
        task.training(Device::Cpu).map_err(wrong("model"))?;
        Ok(task)
    }

    fn training(&self, device: Device) -> Result<Box<dyn Training>, AgentError> {
        let data = Data::Pictures(self.set.clone());
        self.common.start(self.model, data, device)
    }
}

impl Task for PictureTask {
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
        ("pictures", json!(self.files))
    }

    fn files(&self) -> Outcome<Vec<(&'static str, Vec<u8>)>> {
        let report = &self.set.report;
        let json = serde_json::to_string_pretty(report).map_err(|e| Failure::Internal(e.to_string()))?;
        let html = data::page(&json!(report)).into_bytes();
        Ok(vec![("data-report.json", (json + "\n").into_bytes()), ("data-report.html", html)])
    }

    fn tell(&self) {
        self.set.report.lines().iter().for_each(|line| agon::tell!("{line}"));
        let (kind, steps, threads) = (self.model.kind, self.common.train.steps, self.common.train.threads);
        agon::tell!("  model: {kind}, {steps} passes, {threads} threads (`agon agents {kind}` lists its settings)");
        agon::tell!("the scenario, and the data report, are in the run's folder: scenario.toml, data-report.html");
    }

    fn start(&self, device: Device) -> Outcome<Box<dyn Training>> {
        // Sums depend on how many threads share them.
        agon_agents::set_threads(self.common.train.threads);
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
        Ok(Box::new(TableReport::new(training, &self.set.report, self.eval.seed, run)))
    }
}
