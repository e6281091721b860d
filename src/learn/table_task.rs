//! A scenario of supervised training: `[model]` is learned from the table that `[data]` names, or that `--data` does.

use crate::episode_table;
use crate::model_files;
use crate::picture_files::places;
use crate::table_file;
use crate::table_report::TableReport;
use crate::table_stream;
use crate::task::{Common, Task, TrainSettings, Verdict, of_kind, on, refuse, whole};
use crate::text_folder;
use crate::unsupervised_report::UnsupervisedReport;
use agon::report::data;
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::data::blocks::{Blocks, FOLDER};
use agon_agents::data::dataset::{DataSettings, Dataset, find_column};
use agon_agents::data::split::Method;
use agon_agents::data::{Column, Raw};
use agon_agents::registry::{Data, Model, find_model};
use agon_agents::supervised::regime::{Regime, RegimeSettings};
use agon_agents::supervised::scores::Judged;
use agon_agents::supervised::slices::{Rows, Sliced, sliced};
use agon_agents::train::{Part, Predicted, Training};
use agon_agents::unsupervised::family::{FAMILIES, Family};
use agon_agents::{AgentError, Device};
use agon_core::Metric;
use agon_core::event::Chart;
use agon_core::settings::{Issue, Settings, hint};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

agon_core::settings! {
    /// How a model of a table is evaluated.
    pub struct TableEvalSettings {
        /// Steps between evaluations on the validation part; none during training if left out.
        every: Option<u64> = None, in [1.0, 1e15];
        /// Ends the run at the first evaluation whose deciding metric is at least as good as this, if given.
        stop_at: Option<f64> = None, in [-1e300, 1e300];
        /// Seed of the resamples behind intervals.
        seed: u64 = 1_000_003, in [0.0, 9e18];
    }
}

agon_core::settings! {
    /// What is told of a model of a table beside its metrics.
    pub struct ReportSettings {
        /// Columns whose groups are judged one by one, inputs or not; numbers are cut at quartiles.
        slices: Vec<String> = Vec::new();
    }
}

/// The name of the table's copy in a run's folder.
pub const COPY: &str = "data.csv";
/// The column of that copy that says each row's part, where rows can be forgotten: the parts of the others stay.
pub const PART: &str = "agon_part";
/// The name of the copy of a tokenizer that a model's settings name.
const TOKENIZER: &str = "tokenizer.json";
/// Settings of a table that every run has written into its scenario.
const WRITTEN: [&str; 6] = ["drop", "keep", "split", "validation", "test", "seed"];
/// Rows of a sample at least.
const FEWEST: usize = 100;
/// Rows from which on boosting is the model to begin with.
const MANY_ROWS: usize = 500;
/// Models between the checkpoints of a search: what a kill may lose.
const SEARCH_SAVES: u64 = 5;

/// A scenario of a table that was understood whole.
pub struct TableTask {
    common: Common,
    model: &'static Model,
    eval: TableEvalSettings,
    file: PathBuf,
    data: Dataset,
    regime: Regime,
    /// Whether the run's copy has a column of parts that the table has not.
    parted: bool,
    /// Where a new run's rows come from, if they are shuffled into blocks, and the sample of them.
    stream: Option<(table_stream::Source, Raw)>,
    /// The folder of the blocks, where the scenario is that of a run that has some.
    blocks: Option<PathBuf>,
    /// Columns whose groups are judged, of the rows of `data`.
    slices: Vec<Column>,
}

impl TableTask {
    /// Whether a scenario is one of a table.
    pub fn is_meant(source: &Source) -> bool {
        source.table.contains_key("data")
    }

    /// From `--data`, and `--target` unless the model needs none: the scenario is made of what is found in the table.
    pub fn of_flags(file: &Path, target: Option<&str>, sets: &[String]) -> Outcome<Self> {
        let target = target.or_else(|| text_folder::is_meant(file).then_some(text_folder::CLASS));
        let quoted = |text: &str| Value::from(text).to_string();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let stem: String = file.file_stem().unwrap_or_default().to_string_lossy().chars().collect();
        let plain: String = stem.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '-' }).collect();
        let about = match target {
            Some(target) => format!("{target} predicted from the other columns of {name}"),
            None => format!("what the columns of {name} say of each other"),
        };
        let mut text = format!(
            "name = {}\nabout = {}\n\n[data]\nfile = {}\n",
            quoted(&format!("tables/{}", plain.trim_matches('-'))),
            quoted(&about),
            quoted(&name),
        );
        text += &target.map_or(String::new(), |target| format!("target = {}\n", quoted(target)));
        let path = file.with_extension("toml");
        let source = Source::parse(&path, text, sets)?;
        let kind = source.section("model")?.get("kind").and_then(Value::as_str).map(String::from);
        if let Some(kind) = &kind
            && let Err(near) = find_model(kind)
        {
            let why = format!("no model is called `{kind}`{}", hint(&near));
            return Err(Failure::Input(format!("{why}; `agon agents` lists them")));
        }
        if target.is_none() && without_target(&source)?.is_none() {
            let names = table_file::read(file)?.names;
            let some = names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            let kinds: Vec<&str> = FAMILIES.iter().map(|family| family.kind).collect();
            return Err(Failure::Input(format!(
                "--data needs --target COLUMN, one of: {some}\nor, to look for clusters, components or unusual rows without a \
                 target, --model MODEL, one of: {}",
                kinds.join(", ")
            )));
        }
        Self::understood(&path, &source, true)
    }

    /// Reads and checks a scenario.
    pub fn read(path: &Path, source: &Source) -> Outcome<Self> {
        Self::understood(path, source, false)
    }

    fn understood(path: &Path, source: &Source, by_flags: bool) -> Outcome<Self> {
        refuse(
            source,
            &["env", "agent", "features", "entrants", "tournament", "fit"],
            "means nothing beside [data]: a model of a table has no environment",
        )?;
        let within = |section: &'static str| {
            move |issues: Vec<Issue>| {
                let flag = |i: &Issue| i.path == ["target"];
                match issues.iter().find(|i| by_flags && section == "data" && flag(i)) {
                    Some(issue) => Failure::Input(format!("--target: {}", issue.message)),
                    None => source.wrong(&issues.into_iter().map(|i| i.within(section)).collect::<Vec<_>>()),
                }
            }
        };
        let mut of_data = source.section("data")?;
        if WRITTEN.iter().all(|key| of_data.contains_key(*key)) {
            // The scenario of a run of before text was read: such columns were not used.
            of_data.entry("text").or_insert(false.into());
        }
        let named = of_data.get("file").and_then(Value::as_str).unwrap_or_default();
        if let Some(episodes) = find(path, named).ok().filter(|file| episode_table::is_meant(file)) {
            episode_table::complete(&episodes, &mut of_data)?;
        }
        let mut settings = DataSettings::read(&of_data).map_err(within("data"))?;
        let mut table = source.section("train")?;
        let regime = RegimeSettings::take(&mut table).map_err(within("train"))?;
        // Who holds a row says too much of it, and nothing of new ones.
        let column =
            regime.column().filter(|name| **name != settings.target && !settings.drop.iter().any(|d| d == name));
        settings.drop.extend(column.map(String::from));
        // Distances of rows are no place for thousands of words.
        settings.text &= without_target(source)?.is_none();
        let beside = path.parent().unwrap_or(Path::new(".")).join(&settings.file);
        if by_flags && !beside.exists() {
            return Err(Failure::Input(format!("--data: no file at {}", beside.display())));
        }
        let file = find(path, &settings.file).map_err(|why| within("data")(vec![Issue::value("file", why)]))?;
        let wrong = |section: &'static str| {
            let file = file.display().to_string();
            move |error: AgentError| match error {
                AgentError::Settings(issues) => within(section)(issues),
                AgentError::Data(why) => Failure::Input(format!("{file}: {why}")),
                other => Failure::Input(other.to_string()),
            }
        };
        // The scenario of a run names the run's own copy: of a table that is read in blocks the sample, beside the blocks.
        let is_run = !by_flags && settings.file == COPY && path.with_file_name("provenance.json").is_file();
        let is_whole = settings.stream.take_if(|rows| *rows == 0).is_some();
        if settings.stream.is_some_and(|rows| rows < FEWEST) {
            let why = format!("must be {FEWEST} rows at least, or 0 to read all at once");
            return Err(within("data")(vec![Issue::value("stream", why)]));
        }
        if is_run && is_whole && path.with_file_name(FOLDER).is_dir() {
            let why =
                format!("cannot be 0 here: {COPY} of this run is a sample of its table; train from the table itself");
            return Err(within("data")(vec![Issue::value("stream", why)]));
        }
        if settings.stream.is_none()
            && !is_whole
            && !is_run
            && without_target(source)?.is_none()
            && table_stream::is_needed(&file)
        {
            agon::tell!("note: {} may not fit into memory: it is read in blocks (data.stream)", file.display());
            settings.stream = Some(table_stream::SAMPLE);
        }
        if settings.stream.is_some()
            && let Some(why) = unfit_for_blocks(without_target(source)?.is_some(), &regime)
        {
            return Err(within("data")(vec![Issue::value("stream", why)]));
        }
        let (raw, rows) = match settings.stream {
            Some(count) if !is_run => table_stream::sample(&file, count, settings.seed)?,
            _ => {
                let raw = table_file::read(&file)?;
                let rows = raw.rows() as u64;
                (raw, rows)
            }
        };
        if let Some(name) = regime.column() {
            find_column("clients", name, &raw).map_err(wrong("train"))?;
        }
        let data = match without_target(source)? {
            Some(_) if settings.target.is_empty() => Dataset::unlabelled(&raw, &settings),
            _ => Dataset::new(&raw, &settings),
        };
        let mut data = data.map_err(wrong("data"))?;
        let (mut stream, mut blocks) = (None, None);
        if settings.stream.is_some() {
            if is_run {
                let folder = path.with_file_name(FOLDER);
                // Without them it can be evaluated, and learns no more.
                data.blocks = Blocks::open(&folder).ok().flatten().map_or(1, |blocks| blocks.rows.len());
                blocks = Some(folder);
            } else {
                let issue = |issue| within("data")(vec![issue]);
                let from = table_stream::Source::new(&file, rows, &data, &settings).map_err(issue)?;
                data.blocks = from.blocks;
                let what = format!("{} of its {rows} rows, drawn at random, are what this report is about", raw.rows());
                data.report.find(
                    None,
                    what,
                    "all others, but for those of its validation and test part, are trained on (data.stream)",
                );
                stream = Some(from);
            }
        }
        let mut of_model = source.section("model")?;
        if !of_model.contains_key("kind") {
            let first = match (data.target.y.len() >= MANY_ROWS, data.target.classes.is_empty()) {
                _ if data.blocks > 0 => "mlp",
                (true, _) => "boosting",
                (false, true) => "linear",
                (false, false) => "logistic",
            };
            of_model.insert("kind".into(), first.into());
        }
        let kind = source.word("model", &mut of_model, "kind")?;
        let model = find_model(&kind).map_err(|near| {
            source.unknown("model", "kind", &format!("no model is called `{kind}`, see `agon agents`"), &near)
        })?;
        let is_search = kind == "automl";
        if is_search && settings.split == Method::Time {
            // Rows of the past are not to be judged by models of later ones.
            of_model.entry("folds").or_insert(1.into());
        }
        if is_search && data.unlabelled.is_some() {
            let why = "is not for automl: name a model, such as model.kind = \"boosting\"";
            return Err(within("data")(vec![Issue::value("pseudo_labels", why)]));
        }
        let mut model_settings = model.resolve(&of_model).map_err(wrong("model"))?;
        model_files::locate(&mut model_settings, path.parent().unwrap_or(Path::new(".")))
            .map_err(|(key, why)| within("model")(vec![Issue::value(key, why)]))?;
        let (folds, rows) =
            (model_settings.get("folds").and_then(Value::as_u64), data.split.train.len() + data.split.validation.len());
        if let Some(folds) = folds.filter(|folds| is_search && (rows as u64) < 2 * folds) {
            let why = format!("{folds} are too many for the {rows} rows of the training and the validation part");
            return Err(within("model")(vec![Issue::value("folds", why)]));
        }
        if let Some(family) = &model.family {
            // A teacher and a student take as many each.
            let learners = if data.unlabelled.is_some() { 2 } else { 1 };
            let steps = match data.blocks as u64 {
                0 => learners * regime.steps(family.steps),
                blocks => table_stream::PASSES * blocks,
            };
            table.entry("steps").or_insert(steps.into());
            if is_search {
                table.entry("save_every").or_insert(SEARCH_SAVES.into());
            }
        } else if let Some(family) = model.unsupervised() {
            let steps = (family.steps)(&model_settings, data.lines.len()).map_err(wrong("model"))?;
            table.entry("steps").or_insert(steps.into());
        }
        let train = TrainSettings::read(&table).map_err(within("train"))?;
        if data.unlabelled.is_some() && train.steps < 2 {
            let why = "data.pseudo_labels needs 2 or more: some for a first model, some for the second";
            return Err(within("train")(vec![Issue::value("steps", why)]));
        }
        let eval = TableEvalSettings::read(&source.section("eval")?).map_err(within("eval"))?;
        let report = ReportSettings::read(&source.section("report")?).map_err(within("report"))?;
        if model.unsupervised().is_some() && !report.slices.is_empty() {
            let why = "judges predictions by group, and this model has no target";
            return Err(within("report")(vec![Issue::value("slices", why)]));
        }
        let column = |name: &String| {
            find_column("slices", name, &raw)?;
            Ok(Column::of_lines(&raw, name, &data.lines))
        };
        let slices: Result<Vec<_>, AgentError> = report.slices.iter().map(column).collect();
        let slices = slices.map_err(wrong("report"))?.into_iter().flatten().collect();
        let name = source.name(path)?;
        let mut of_train = train.write();
        of_train.extend(regime.written());
        let parted = (regime.forgets() || stream.is_some()) && settings.split_by != PART;
        if parted {
            if raw.find(PART).is_some() {
                let why = format!("needs a column `{PART}` of its own, and the table has one: rename that");
                let (section, key) = if stream.is_some() { ("data", "stream") } else { ("train", "shards") };
                return Err(within(section)(vec![Issue::value(key, why)]));
            }
            settings.drop.extend((!settings.split_by.is_empty()).then(|| settings.split_by.clone()));
            (settings.split, settings.split_by) = (Method::Given, PART.into());
        }
        let resolved = resolve(source, &name, model, &model_settings, of_train, (&eval, &report), &settings)?;
        let regime = match &model.family {
            Some(family) => regime.regime(family, &raw, &data, train.seed),
            None if regime.is_central() => Ok(Regime::Central),
            None => {
                let key = match () {
                    () if regime.forgets() => "shards",
                    () if regime.privacy.is_some() => "privacy",
                    () => "clients",
                };
                Err(Issue::value(key, "is for models that predict a target").into())
            }
        };
        let regime = regime.map_err(wrong("train"))?;
        let learner = (model.kind, model_settings);
        let common = Common::new(name, learner, train, (eval.every, eval.stop_at), resolved);
        let stream = stream.map(|from| (from, raw));
        let task = Self { common, model, eval, file: file.clone(), data, regime, parted, stream, blocks, slices };
        task.training(Device::Cpu).map_err(wrong("model"))?;
        Ok(task)
    }

    /// Columns whose groups are judged.
    pub fn slices(&self) -> Vec<String> {
        self.slices.iter().map(|column| column.name.clone()).collect()
    }

    /// The seed of the resamples behind intervals.
    pub fn eval_seed(&self) -> u64 {
        self.eval.seed
    }

    /// Its table.
    pub fn into_data(self) -> Dataset {
        self.data
    }

    /// The part of each row of its table; nothing of rows that are in none.
    pub fn parts(&self, raw: &Raw) -> Vec<&'static str> {
        let (split, lines) = (&self.data.split, &self.data.lines);
        let mut parts = vec![""; raw.rows()];
        for (name, rows) in [("train", &split.train), ("validation", &split.validation), ("test", &split.test)] {
            let places = rows.iter().filter_map(|row| raw.lines.binary_search(&lines[*row]).ok());
            places.for_each(|place| parts[place] = name);
        }
        parts
    }

    /// Groups of the test part.
    fn sliced(&self, training: &dyn Training) -> Vec<Sliced> {
        if self.slices.is_empty() {
            return Vec::new();
        }
        let Some(Predicted { classes, y, p, margin }) = training.predicted(Part::Test) else { return Vec::new() };
        let (split, judged) = (&self.data.split, Judged::new(classes, &y, p).within(margin));
        let units: Vec<u32> = split.test.iter().map(|row| self.data.units[*row]).collect();
        let rows = Rows { rows: &split.test, units: &units, judged: &judged };
        self.slices.iter().map(|column| sliced(column, &split.train, rows, self.eval.seed)).collect()
    }

    fn training(&self, device: Device) -> Result<Box<dyn Training>, AgentError> {
        let table = Box::new(self.data.clone());
        let data = match &self.regime {
            Regime::Central => Data::Table(table),
            regime => Data::TableUnder(table, regime.clone()),
        };
        self.common.start(self.model, data, device)
    }
}

/// Where the table is: beside the scenario, or where `make data` puts it.
pub fn find(scenario: &Path, file: &str) -> Result<PathBuf, String> {
    let places = places(scenario.parent().unwrap_or(Path::new(".")), file);
    let found = places.iter().find(|place| !file.is_empty() && place.exists());
    found.cloned().ok_or_else(|| {
        let all: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        format!("no file at {}; `make data` fetches those of scenarios that come with Agon", all.join(" or "))
    })
}

/// The tokenizer that a model's settings name, if they do.
fn tokenizer(settings: &Map<String, Value>) -> Option<&Path> {
    settings.get("tokenizer").and_then(Value::as_str).filter(|name| !name.is_empty()).map(Path::new)
}

/// Why a table cannot be read in blocks, if it cannot.
fn unfit_for_blocks(without_target: bool, regime: &RegimeSettings) -> Option<&'static str> {
    if without_target {
        return Some("is for models that predict a target");
    }
    (!regime.is_central())
        .then_some("is not for train.clients, train.shards or train.privacy: they need all rows in memory")
}

/// The kind of the scenario's model, where it is one that needs no target.
fn without_target(source: &Source) -> Outcome<Option<&'static Family>> {
    let table = source.section("model")?;
    let kind = table.get("kind").and_then(Value::as_str);
    Ok(kind.and_then(|kind| find_model(kind).ok()).and_then(Model::unsupervised))
}

/// The scenario with every default filled in, and the table's copy in place of the table.
fn resolve(
    source: &Source,
    name: &str,
    model: &Model,
    settings: &Map<String, Value>,
    train: Map<String, Value>,
    (eval, report): (&TableEvalSettings, &ReportSettings),
    data: &DataSettings,
) -> Outcome<String> {
    let data = DataSettings { file: COPY.into(), ..data.clone() };
    let mut of_model = of_kind(model.kind, settings);
    if tokenizer(settings).is_some() {
        of_model.insert("tokenizer".into(), TOKENIZER.into());
    }
    let mut tables = vec![("data", data.write()), ("model", of_model), ("train", train), ("eval", eval.write())];
    if !report.slices.is_empty() {
        tables.push(("report", report.write()));
    }
    whole(source, name, tables)
}

impl Task for TableTask {
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
        let report = &self.data.report;
        let json = serde_json::to_string_pretty(report).map_err(|e| Failure::Internal(e.to_string()))?;
        let parted = |raw: &Raw| table_file::written(raw, 0..raw.rows(), Some((PART, &self.parts(raw))));
        let copy = match &self.stream {
            Some((_, sample)) => parted(sample)?,
            None if self.parted => parted(&table_file::read(&self.file)?)?,
            None => table_file::as_csv(&self.file)?,
        };
        let mut files = vec![
            (COPY, copy),
            ("data-report.json", (json + "\n").into_bytes()),
            ("data-report.html", data::page(&json!(report)).into_bytes()),
        ];
        if let Some(file) = tokenizer(&self.common.settings) {
            files.push((TOKENIZER, agon::files::all(agon::files::open(file)?, file)?));
        }
        Ok(files)
    }

    fn fill(&self, run: &Run) -> Outcome {
        let wrong = |e: AgentError| Failure::Input(format!("{}: {e}", self.file.display()));
        if let Some(folder) = &self.blocks {
            let gone =
                "its rows (the folder blocks) are gone, so that it cannot be trained anew: name the table itself";
            let blocks = Blocks::open(folder).map_err(wrong)?.ok_or_else(|| wrong(AgentError::Data(gone.into())))?;
            return blocks.copy_to(&run.path(FOLDER)).map_err(wrong);
        }
        let (Some((from, sample)), Some(family)) = (&self.stream, &self.model.family) else { return Ok(()) };
        agon::tell!("shuffling {} rows into {} blocks on disk", from.rows, from.blocks);
        let encoding = (family.encoding)(&self.common.settings).map_err(wrong)?;
        let encoder = encoding.fit(&self.data.inputs(), &self.data.split.train).map_err(wrong)?;
        from.shuffle(&run.path(FOLDER), &encoder, (&self.data, sample), &|| self.common.stopped())
    }

    fn remarks(&self) -> Vec<String> {
        let (steps, blocks) = (self.common.train.steps, self.data.blocks as u64);
        let few =
            (steps < blocks).then(|| format!("{steps} steps learn from {steps} of {blocks} blocks of rows alone: train.steps = {blocks} or more is a pass"));
        self.common.remarks().into_iter().chain(few).collect()
    }

    fn tell(&self) {
        self.data.report.lines().iter().for_each(|line| agon::tell!("{line}"));
        agon::tell!("  model: {} (`agon agents {}` lists its settings)", self.model.kind, self.model.kind);
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
        if self.model.unsupervised().is_some() {
            return Ok(Box::new(UnsupervisedReport::new(training, &self.data.report.file, self.eval.seed, run)));
        }
        let report = TableReport::new(training, &self.data.report, self.eval.seed, run);
        Ok(Box::new(report.with_slices(self.sliced(training))))
    }
}
