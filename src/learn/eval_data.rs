//! `agon eval` of a model of data: what the part that it never saw says of it, or new rows whose truth is known.

use crate::checkpoints::{self, Target};
use crate::drift_report;
use crate::scenarios;
use crate::slices_report;
use crate::table_file;
use crate::table_task::TableTask;
use crate::task;
use agon::cli;
use agon::failure::quoted;
use agon::report::model::{self, shown};
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::AgentError;
use agon_agents::data::Column;
use agon_agents::data::dataset::find_column;
use agon_agents::registry::find_model;
use agon_agents::supervised::Examples;
use agon_agents::supervised::calibration::Calibration;
use agon_agents::supervised::predictor::Predictor;
use agon_agents::supervised::scores::{Judged, without_inputs};
use agon_agents::supervised::slices::{Rows, Sliced, sliced};
use agon_core::Metric;
use serde_json::{Value, json};
use std::path::Path;

/// Evaluates a run or a checkpoint, whose scenario is this.
pub fn run(args: &cli::Eval, target: &Target, scenario: &Path) -> Outcome {
    if matches!(target, Target::Player(_)) {
        let message = "a model of data has no scripted players: name a run of it, or a checkpoint";
        return Err(Failure::Input(message.into()));
    }
    let given = [
        ("--episodes", args.episodes.is_some()),
        ("--positions", args.positions.is_some()),
        ("--export", args.export.is_some()),
        ("--path", args.path.is_some()),
        ("--record", args.record.is_some()),
        ("--scenario", args.scenario.is_some()),
    ];
    task::refuse_flags(&given, "a model of data")?;
    let mut sets = args.set.clone();
    let slices = format!("report.slices={}", json!(args.slices));
    sets.extend((!args.slices.is_empty()).then(|| slices.clone()));
    if let Some(file) = &args.data {
        return new_rows(args, file, scenario);
    }
    let read = || {
        let source = Source::read(scenario, &sets)?;
        let no_data = || Failure::Input(format!("{} has no table: --slices is not for it", args.what));
        scenarios::of_data(scenario, &source)?.ok_or_else(no_data)
    };
    let task = read().map_err(|failure| match failure {
        Failure::Input(why) => Failure::Input(why.replace(&format!("--set {slices}: "), "--slices: ")),
        other => other,
    })?;
    let mut training = task.start(agon_agents::Device::Cpu)?;
    let (folder, saved, state) = checkpoints::read(&args.what)?;
    let unfit = |e: agon_agents::AgentError| Failure::Input(format!("{}: {e}", folder.display()));
    training.load(&saved, Some(&state["trainer"])).map_err(unfit)?;
    if state["trainer"]["step"].as_u64().is_some_and(|step| step != training.step()) {
        return Err(Failure::Input(format!(
            "{}: its table has changed since it was saved; `agon unlearn {}` learns what that touched again",
            args.what,
            quoted(scenario.parent().unwrap_or(Path::new(".")))
        )));
    }
    agon::tell!("{}: its checkpoint of step {}", args.what, training.step());
    let run = Run { folder: scenario.parent().unwrap_or(Path::new(".")).to_owned() };
    let report = task.final_evaluation(&*training, &run, &mut |_| {})?;
    if args.json.json {
        let mut json = report.json();
        json["step"] = training.step().into();
        agon::say!("{json}");
    } else {
        agon::failure::say(format_args!("{}", report.table()));
    }
    Ok(())
}

/// What rows say that came after training: metrics beside those of the run's own test part, groups, and drift.
fn new_rows(args: &cli::Eval, file: &Path, scenario: &Path) -> Outcome {
    let source = Source::read(scenario, &args.set)?;
    let no_target = || {
        let what = "--data judges predictions of tables: this is no run of a model of a table with a target";
        Failure::Input(format!("{}: {what}", args.what))
    };
    if !TableTask::is_meant(&source) {
        return Err(no_target());
    }
    let mut settings = source.section("model")?;
    let kind = source.word("model", &mut settings, "kind")?;
    let family = find_model(&kind).ok().and_then(|model| model.family).ok_or_else(no_target)?;
    let task = TableTask::read(scenario, &source)?;
    let (folder, saved, state) = checkpoints::read(&args.what)?;
    let unfit = |e: AgentError| Failure::Input(format!("{}: {e}", folder.display()));
    let predictor = Predictor::load(&family, &settings, &saved).map_err(unfit)?;
    let raw = table_file::read(file)?;
    let wrong = |e: AgentError| Failure::Input(format!("{}: {e}", file.display()));
    let (truth, found) = (predictor.truth(&raw).map_err(wrong)?, predictor.predict(&raw).map_err(wrong)?);
    let step = &state["trainer"]["step"];
    agon::tell!("{}: its checkpoint of step {step}, on {} rows of {}", args.what, truth.rows.len(), file.display());
    let findings = predictor.findings(&found).into_iter().chain(truth.findings(&predictor.answer));
    findings.for_each(|finding| agon::tell!("note: {finding}"));
    drift_report::tell(scenario, &source, &raw);
    let classes = predictor.answer.classes.len();
    let p = truth.rows.iter().flat_map(|row| &found.p[row * classes.max(1)..][..classes.max(1)]).copied().collect();
    let judged = Judged::new(classes, &truth.y, p).within(found.margin);
    let units: Vec<u32> = (0..truth.y.len() as u32).collect();
    let names = if args.slices.is_empty() { task.slices() } else { args.slices.clone() };
    let seed = args.seed.unwrap_or(task.eval_seed());
    let data = task.into_data();
    let known = || data.split.train.iter().map(|row| data.target.y[*row]);
    let trivial = |rows: usize| without_inputs(known(), classes, rows);
    let held_out: Vec<f64> = data.split.validation.iter().map(|row| data.target.y[*row]).collect();
    let of_trivial = trivial(held_out.len());
    let held_out = Examples { y: held_out, classes, ..Examples::default() };
    let margin = Calibration::of(&of_trivial, &held_out).margin;
    let trivial = Judged::new(classes, &truth.y, trivial(truth.y.len())).within(margin);
    let (metrics, better_by) = judged.metrics(&units, seed, Some(&trivial));
    let lines: Vec<u64> = truth.rows.iter().map(|row| raw.lines[*row]).collect();
    let rows: Vec<usize> = (0..truth.rows.len()).collect();
    let of = |name: &String| {
        find_column("--slices", name, &raw).map_err(|e| Failure::Input(format!("{}: {e}", file.display())))?;
        let column = Column::of_lines(&raw, name, &lines);
        Ok(column.map(|column| sliced(&column, &rows, Rows { rows: &rows, units: &units, judged: &judged }, seed)))
    };
    let slices: Vec<Sliced> = names.iter().map(of).collect::<Outcome<Vec<_>>>()?.into_iter().flatten().collect();
    let own = std::fs::read_to_string(scenario.with_file_name("evaluation.json")).ok();
    let own: Value = own.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let before = model::metrics(&own["metrics"]);
    let baseline = trivial.metrics(&units, seed, None).0;
    if args.json.json {
        agon::say!(
            "{}",
            json!({
                "agent": family.name, "data": file, "step": step, "metrics": metrics, "better_by": better_by,
                "test_part": before, "baseline": baseline, "slices": slices,
            })
        );
        return Ok(());
    }
    let mut out = format!(
        "\n{:<20}{:>30}{:>30}{:>30}\n",
        "",
        format!("{} new rows", truth.y.len()),
        "test part, run's end",
        "without inputs"
    );
    let beside = |all: &[Metric], name: &str| all.iter().find(|m| m.name == name).map_or_else(|| "-".into(), shown);
    for metric in &metrics {
        let [before, without] = [&before, &baseline].map(|all| beside(all, &metric.name));
        out += &format!("{:<20}{:>30}{before:>30}{without:>30}\n", metric.name.replace('_', " "), shown(metric));
    }
    if let Some(by) = &better_by {
        out += &format!("{:<20}{:>30}\n", format!("{} lower by", by.name.replace('_', " ")), shown(by));
    }
    out += "95 % intervals in brackets, by resampled rows; without inputs: what the training part says of all rows alike\n";
    let positive = predictor.answer.classes.get(1).filter(|_| classes == 2).map(String::as_str);
    slices.iter().for_each(|column| out += &slices_report::text(column, "new rows", positive));
    agon::failure::say(format_args!("{out}"));
    Ok(())
}
