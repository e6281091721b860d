//! A scenario without an environment: `[model]` is learned from the table that `[fit]` names, and evaluated on weeks that it
//! never saw.

use crate::market;
use crate::sales::FitSettings;
use crate::table_file;
use crate::task::{Common, Task, TrainSettings, Verdict, of_kind, on, refuse, whole};
use agon::report::model::shown;
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::demand::forecast;
use agon_agents::demand::{Estimate, Method, Sales};
use agon_agents::registry::{Data, Model, find_model};
use agon_agents::train::{Examined, Part, Training};
use agon_agents::{AgentError, Device};
use agon_core::Metric;
use agon_core::event::Chart;
use agon_core::settings::{Issue, Settings};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

agon_core::settings! {
    /// How a model is evaluated, where there is no environment.
    pub struct DataEvalSettings {
        /// Steps between evaluations on the validation part; none during training if left out.
        every: Option<u64> = None, in [1.0, 1e15];
        /// Ends the run at the first evaluation whose deciding metric is at least as good as this, if given.
        stop_at: Option<f64> = None, in [-1e300, 1e300];
        /// The share of the data, the weeks before the last ones, that decides which checkpoint is the best.
        validation: f64 = 0.15, in [0.01, 0.8];
        /// The share of the data, the last weeks, for the final evaluation. Nothing is learned or decided by it.
        test: f64 = 0.15, in [0.01, 0.8];
        /// Seed of the resamples behind intervals.
        seed: u64 = 1_000_003, in [0.0, 9e18];
    }
}

/// The name of the table's copy in a run's folder.
const COPY: &str = "data.csv";

/// A scenario of data that was understood whole.
pub struct DataTask {
    common: Common,
    model: &'static Model,
    eval: DataEvalSettings,
    data: PathBuf,
    sales: Sales,
    lines: Vec<String>,
}

impl DataTask {
    /// Whether a scenario is one of data.
    pub fn is_meant(source: &Source) -> bool {
        source.table.contains_key("model")
    }

    /// Reads and checks it.
    pub fn read(path: &Path, source: &Source) -> Outcome<Self> {
        refuse(
            source,
            &["env", "agent", "features", "entrants", "tournament"],
            "means nothing beside [model]: a model has no environment",
        )?;
        refuse(source, &["report"], "is for models of tables: those with [data] and a target")?;
        let within = |section: &'static str| {
            move |issues: Vec<Issue>| source.wrong(&issues.into_iter().map(|i| i.within(section)).collect::<Vec<_>>())
        };
        let mut settings = source.section("model")?;
        let kind = source.word("model", &mut settings, "kind")?;
        let model = find_model(&kind).map_err(|near| {
            source.unknown("model", "kind", &format!("no model is called `{kind}`, see `agon agents`"), &near)
        })?;
        let wrong = |error: AgentError| match error {
            AgentError::Settings(issues) => within("model")(issues),
            other => Failure::Input(other.to_string()),
        };
        let model_settings = model.resolve(&settings).map_err(wrong)?;
        let train = TrainSettings::read(&source.section("train")?).map_err(within("train"))?;
        let eval = DataEvalSettings::read(&source.section("eval")?).map_err(within("eval"))?;
        let fit = FitSettings::read(&source.section("fit")?).map_err(within("fit"))?;
        for (key, more) in [
            ("covariates", !fit.covariates.is_empty()),
            ("holidays", !fit.holidays.is_empty()),
            ("rivals", !fit.rivals.is_empty()),
            ("instruments", !fit.instruments.is_empty()),
            ("reference_memory", fit.reference_memory.is_some()),
        ] {
            if more {
                let message = "is for markets ([env] id = \"pricing/retail\"): leave it out beside [model]";
                return Err(within("fit")(vec![Issue::value(key, message)]));
            }
        }
        let data = market::data_of(path, source, &fit)?;
        if fit.method == Some(Method::LeastSquares) {
            let message = "least squares are solved at once: there is nothing to train; use maximum-likelihood";
            return Err(within("fit")(vec![Issue::value("method", message)]));
        }
        let table = market::read(&data, &fit)?;
        let name = source.name(path)?;
        let mut lines = market::lines_of_table(&data, &table);
        if let Some(comparison) = forecast::compare(&table.sales, &table.weeks) {
            lines.extend(comparison.lines(&table.sales.names));
        }
        let resolved = resolve(source, &name, model, &model_settings, &train, &eval, &fit)?;
        let learner = (model.kind, model_settings);
        let common = Common::new(name, learner, train, (eval.every, eval.stop_at), resolved);
        let task = Self { lines, common, model, eval, data, sales: table.sales };
        task.training(Device::Cpu).map_err(|error| match error {
            AgentError::Settings(issues) => within("eval")(issues),
            AgentError::Data(why) => Failure::Input(format!("{}: {why}", task.data.display())),
            other => Failure::Input(other.to_string()),
        })?;
        Ok(task)
    }

    fn training(&self, device: Device) -> Result<Box<dyn Training>, AgentError> {
        let data = Data::Sales(Box::new(self.sales.clone()), [self.eval.validation, self.eval.test]);
        self.common.start(self.model, data, device)
    }

    /// What was found of the test part by whatever was learned.
    fn report(&self, training: &dyn Training) -> Report {
        Report { examined: training.examine(Part::Test, self.eval.seed), learned: training.learned() }
    }
}

/// The scenario with every default filled in, and the table's copy in place of the table.
fn resolve(
    source: &Source,
    name: &str,
    model: &Model,
    settings: &Map<String, Value>,
    train: &TrainSettings,
    eval: &DataEvalSettings,
    fit: &FitSettings,
) -> Outcome<String> {
    let fit = FitSettings { data: COPY.into(), ..fit.clone() };
    let of_model = of_kind(model.kind, settings);
    let tables = [("fit", fit.write()), ("model", of_model), ("train", train.write()), ("eval", eval.write())];
    whole(source, name, tables.into())
}

impl Task for DataTask {
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
        ("data", json!(self.data))
    }

    fn files(&self) -> Outcome<Vec<(&'static str, Vec<u8>)>> {
        Ok(vec![(COPY, table_file::as_csv(&self.data)?)])
    }

    fn tell(&self) {
        self.lines.iter().for_each(|line| agon::tell!("{line}"));
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
        _: &Run,
        _: &mut dyn FnMut(String),
    ) -> Outcome<Box<dyn Verdict>> {
        Ok(Box::new(self.report(training)))
    }
}

/// What the test part says of a model and of simple forecasts, and what was learned.
pub struct Report {
    /// The model first.
    examined: Vec<Examined>,
    learned: Vec<(String, Estimate)>,
}

impl Report {
    /// Who is not surely worse than the model.
    fn unbeaten(&self) -> Vec<&str> {
        let surely = |m: &Metric| m.interval.is_some_and(|[low, _]| low > 0.0);
        let rivals = self.examined.iter().filter(|e| e.better_by.as_ref().is_some_and(|by| !surely(by)));
        rivals.map(|e| e.name.as_str()).collect()
    }

    /// The first line for people.
    fn headline(&self) -> String {
        let own = &self.examined[0];
        match &self.unbeaten()[..] {
            [] => format!("{} forecasts better than every simple forecast", own.name),
            names => format!(
                "WARNING: {} does not surely forecast better than {}: it is no basis for prices",
                own.name,
                names.join(" and ")
            ),
        }
    }
}

impl Verdict for Report {
    fn json(&self) -> Value {
        let one = |e: &Examined| json!({"name": e.name, "metrics": e.metrics, "better_by": e.better_by});
        let learned = |(name, e): &(String, Estimate)| json!({"name": name, "value": e.value, "error": e.error});
        json!({
            "agent": self.examined[0].name,
            "metrics": self.examined[0].metrics,
            "baselines": self.examined[1..].iter().map(one).collect::<Vec<_>>(),
            "not_surely_beaten": self.unbeaten(),
            "learned": self.learned.iter().map(learned).collect::<Vec<_>>(),
        })
    }

    fn table(&self) -> String {
        let own = &self.examined[0];
        let (n, what) = &own.metrics[0].over;
        let mut out = format!("{}\n\n{:<16}", self.headline(), format!("{n} test {what}"));
        own.metrics.iter().for_each(|m| out += &format!("{:>30}", m.name));
        out += "\n";
        for examined in &self.examined {
            out += &format!("{:<16}", examined.name);
            examined.metrics.iter().for_each(|m| out += &format!("{:>30}", shown(m)));
            out += "\n";
        }
        for examined in &self.examined[1..] {
            if let Some(by) = &examined.better_by {
                out += &format!("{} lower than that of {:<14}{:>30}\n", by.name, examined.name, shown(by));
            }
        }
        out += "95 % intervals in brackets: of the test weeks, by resampled blocks of neighbouring ones\n";
        if !self.learned.is_empty() {
            let wide = self.learned.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
            out += "\nlearned (± standard errors, clustered by week)\n";
            self.learned.iter().for_each(|(name, e)| out += &format!("{name:<wide$}  {e}\n"));
        }
        out
    }

    fn has_episodes(&self) -> bool {
        false
    }
}
