//! A scenario that learns a simulator: `[model] kind = "world"` from recorded episodes of `[env]`.

use crate::demonstrations::{self, Demonstrations};
use crate::table_task::TableEvalSettings;
use crate::task::{Common, Task, TrainSettings, Verdict, of_kind, on, refuse, whole};
use agon::report::model::shown;
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome, beside};
use agon_agents::registry::{Data, Model, find_model};
use agon_agents::train::{Examined, Part, Training};
use agon_agents::{AgentError, Device};
use agon_core::event::Chart;
use agon_core::settings::{Issue, Settings};
use agon_core::world::FILE;
use agon_core::{Entry, EnvError, Metric, Spec};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The model's name in a scenario.
const KIND: &str = "world";

/// A scenario of a world model that was understood whole.
pub struct WorldTask {
    common: Common,
    model: &'static Model,
    env: Entry,
    spec: Spec,
    eval: TableEvalSettings,
    recorded: Demonstrations,
}

impl WorldTask {
    /// Whether a scenario is one of a world model.
    pub fn is_meant(source: &Source) -> bool {
        source.table.get("model").and_then(|model| model.get("kind")).and_then(Value::as_str) == Some(KIND)
    }

    /// Reads and checks a scenario.
    pub fn read(path: &Path, source: &Source) -> Outcome<Self> {
        refuse(
            source,
            &["agent", "features", "entrants", "tournament", "fit", "data", "pictures"],
            "means nothing beside a world model: it learns from recorded episodes of [env]",
        )?;
        let within = |section: &'static str| {
            move |issues: Vec<Issue>| source.wrong(&issues.into_iter().map(|i| i.within(section)).collect::<Vec<_>>())
        };
        let wrong = |error: AgentError| match error {
            AgentError::Settings(issues) => within("model")(issues),
            other => Failure::Input(other.to_string()),
        };
        let mut settings = source.section("model")?;
        let kind = source.word("model", &mut settings, "kind")?;
        let model = find_model(&kind).map_err(|near| source.unknown("model", "kind", "no such model", &near))?;
        let model_settings = model.resolve(&settings).map_err(wrong)?;
        let mut env_settings = source.section("env")?;
        let id = source.word("env", &mut env_settings, "id")?;
        let env = agon_envs::find(&id).map_err(|e| match e {
            EnvError::Unknown { nearest, .. } => {
                source.unknown("env", "id", &format!("no environment is called `{id}`, see `agon envs`"), &nearest)
            }
            other => Failure::Input(other.to_string()),
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        beside::find(env.files, &mut env_settings, folder);
        let of_env = |error: EnvError| match error {
            EnvError::Settings(issues) => within("env")(issues),
            other => Failure::Input(other.to_string()),
        };
        let env_settings = env.resolve(&env_settings).map_err(of_env)?;
        let spec = env.build(&env_settings, 1, 1).map_err(of_env)?.spec().clone();
        let mut table = source.section("train")?;
        table.entry("steps").or_insert(200.into());
        let train = TrainSettings::read(&table).map_err(within("train"))?;
        let eval = TableEvalSettings::read(&source.section("eval")?).map_err(within("eval"))?;
        let named = model_settings.get("data").and_then(Value::as_array);
        let data: Vec<String> = named.into_iter().flatten().filter_map(|d| d.as_str().map(String::from)).collect();
        let recorded = demonstrations::read(&data, "model.data", folder, &env, &spec)?;
        let name = source.name(path)?;
        let mut of_env = Map::from_iter([("id".to_owned(), Value::from(env.id))]);
        of_env.extend(beside::copied(&env, &env_settings, ""));
        let mut of_model = of_kind(model.kind, &model_settings);
        of_model.insert("data".into(), json!([demonstrations::COPY]));
        let tables = [("env", of_env), ("model", of_model), ("train", train.write()), ("eval", eval.write())];
        let resolved = whole(source, &name, tables.into())?;
        let learner = (model.kind, model_settings);
        let common = Common::new(name, learner, train, (eval.every, eval.stop_at), resolved);
        let task = Self { common, model, env, spec, eval, recorded };
        task.training(Device::Cpu).map_err(wrong)?;
        Ok(task)
    }

    fn training(&self, device: Device) -> Result<Box<dyn Training>, AgentError> {
        let data = Data::Episodes(self.spec.clone(), self.recorded.episodes.clone(), self.common.train.threads);
        self.common.start(self.model, data, device)
    }
}

impl Task for WorldTask {
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
        ("environment", json!({"id": self.env.id, "version": self.env.version}))
    }

    fn files(&self) -> Outcome<Vec<(&'static str, Vec<u8>)>> {
        Ok(vec![(demonstrations::COPY, self.recorded.text.clone().into_bytes())])
    }

    fn tell(&self) {}

    fn start(&self, device: Device) -> Outcome<Box<dyn Training>> {
        agon_agents::set_threads(1);
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

    /// Errors on the test part, and the file that `model/learned` reads.
    fn final_evaluation(
        &self,
        training: &dyn Training,
        run: &Run,
        _: &mut dyn FnMut(String),
    ) -> Outcome<Box<dyn Verdict>> {
        if let Some(world) = training.world() {
            let text = serde_json::to_string(&world).map_err(|e| Failure::Internal(e.to_string()))?;
            run.write(FILE, &text)?;
        }
        let file = run.path(FILE).display().to_string();
        Ok(Box::new(WorldReport { examined: training.examine(Part::Test, self.eval.seed), file }))
    }
}

/// Errors of a world model on episodes that it never saw, beside those of a forecast that knows no state.
struct WorldReport {
    examined: Vec<Examined>,
    file: String,
}

impl Verdict for WorldReport {
    fn json(&self) -> Value {
        let one = |e: &Examined| json!({"name": e.name, "metrics": e.metrics});
        json!({
            "agent": self.examined[0].name,
            "metrics": self.examined[0].metrics,
            "baselines": self.examined[1..].iter().map(one).collect::<Vec<_>>(),
            "file": self.file,
        })
    }

    fn table(&self) -> String {
        let [own, other] = [&self.examined[0], &self.examined[1]];
        let first = format!("{} test {}", own.metrics[0].over.0, own.metrics[0].over.1);
        let mut out = format!("{first:<26}{:>30}{:>30}\n", own.name, other.name);
        for metric in &own.metrics {
            let beside = other.metrics.iter().find(|m| m.name == metric.name).map(shown).unwrap_or_default();
            out += &format!("{:<26}{:>30}{beside:>30}\n", metric.name.replace('_', " "), shown(metric));
        }
        out += "errors are root mean squares: of observations in units of their deviation, of the reward in its own\n";
        out += "the reward's error is that of the reward that comes with the change that was recorded\n";
        out += "95 % intervals in brackets, by resampled episodes; the mean change knows neither state nor action\n";
        out += &format!("agents train in it: env.id = \"model/learned\", env.model = \"{}\"\n", self.file);
        out
    }

    fn has_episodes(&self) -> bool {
        false
    }
}
