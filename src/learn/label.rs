//! `agon label`: asks a person for the classes of the examples that a run's model would learn the most from, and writes them
//! where the next training reads them.

use crate::checkpoints::{self, Target};
use crate::picture_files;
use crate::picture_task::PictureTask;
use crate::table_file;
use crate::table_task::{COPY, PART, TableTask};
use agon::cli::{self, Useful};
use agon::failure::quoted;
use agon::label::{Example, Looks, MOST_CLASSES, ask};
use agon::scenario::Source;
use agon::{Failure, Outcome, screen};
use agon_agents::AgentError;
use agon_agents::data::{Raw, cells};
use agon_agents::pictures::Pictures;
use agon_agents::pictures::dataset::{Given, PictureSettings};
use agon_agents::pictures::predictor::Predictor as PicturePredictor;
use agon_agents::registry::find_model;
use agon_agents::supervised::acquisition::{bald, entropy, margin};
use agon_agents::supervised::predictor::Predictor;
use agon_core::settings::Settings;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Reads the run, asks, writes.
pub fn run(args: &cli::Label) -> Outcome {
    let Target::Checkpoint { scenario, .. } = checkpoints::locate(&args.run)? else {
        return Err(Failure::Input(format!("{}: there is no such run or checkpoint", args.run)));
    };
    let source = Source::read(&scenario, &[])?;
    match () {
        () if PictureTask::is_meant(&source) => pictures(args, &scenario, &source),
        () if TableTask::is_meant(&source) => table(args, &scenario, &source),
        () => Err(Failure::Input(format!("{} is no run of a model of a table or of pictures", args.run))),
    }
}

/// The places of the most useful examples, the most useful first, with their scores.
fn ranked(scores: &[f64], count: usize) -> Vec<(usize, f64)> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order.into_iter().take(count).map(|i| (i, scores[i])).collect()
}

fn checked(classes: &[String]) -> Outcome {
    match classes.len() {
        0 => Err(Failure::Input("its model predicts numbers: only classes can be asked for".into())),
        n if n > MOST_CLASSES => {
            Err(Failure::Input(format!("it has {n} classes, and keys are enough for {MOST_CLASSES}")))
        }
        _ if !screen::is_terminal() => Err(Failure::Input("there is no terminal here to ask in".into())),
        _ => Ok(()),
    }
}

/// A file that is not there yet.
fn new_file(asked: Option<&PathBuf>, stem: &str) -> Outcome<PathBuf> {
    if let Some(file) = asked {
        let why = format!("{} exists, and is not written over: name another", file.display());
        return if file.exists() { Err(Failure::Input(why)) } else { Ok(file.clone()) };
    }
    let names = (1..).map(|n| if n == 1 { format!("{stem}.csv") } else { format!("{stem}-{n}.csv") });
    let free = names.map(PathBuf::from).find(|file| !file.exists());
    free.ok_or_else(|| Failure::Input("name a file with -o".into()))
}

fn write(file: &Path, bytes: &[u8]) -> Outcome {
    let open = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    open.and_then(|mut out| out.write_all(bytes)).map_err(|e| Failure::write(file, &e))
}

/// Rows without a target. What is written is the whole table with the new classes; those rows are for training alone, and
/// the parts of the others stay, so that the next model is judged as this one was.
fn table(args: &cli::Label, scenario: &Path, source: &Source) -> Outcome {
    let mut settings = source.section("model")?;
    let kind = source.word("model", &mut settings, "kind")?;
    let no_target = || Failure::Input(format!("{}: {kind} has no target", args.run));
    let family = find_model(&kind).ok().and_then(|model| model.family).ok_or_else(no_target)?;
    let (folder, saved, _) = checkpoints::read(&args.run)?;
    let unfit = |e: AgentError| Failure::Input(format!("{}: {e}", folder.display()));
    let predictor = Predictor::load(&family, &settings, &saved).map_err(unfit)?;
    let (target, classes) = (&predictor.answer.name, &predictor.answer.classes);
    checked(classes)?;
    let task = TableTask::read(scenario, source)?;
    let raw = table_file::read(&scenario.with_file_name(COPY))?;
    let at = raw.find(target).ok_or_else(|| Failure::Input(format!("its table has lost the column `{target}`")))?;
    let unknown: Vec<usize> = (0..raw.rows()).filter(|row| cells::is_missing(raw.cell(*row, at))).collect();
    if unknown.is_empty() {
        return Err(Failure::Input(format!("{}: no row of its table lacks a `{target}`", args.run)));
    }
    let rows = raw.some(unknown.iter().copied());
    let p = predictor.predict(&rows).map_err(unfit)?.p;
    let scores = match args.by {
        Useful::Entropy => entropy(&p, classes.len()),
        Useful::Margin => margin(&p, classes.len()),
        Useful::Bald => {
            let members = predictor.members(&rows).map_err(unfit)?;
            let none = "--by bald needs several models: train with train.shards, or name entropy or margin";
            bald(&members.ok_or_else(|| Failure::Input(none.into()))?, classes.len())
        }
    };
    let picked = ranked(&scores, args.count);
    let cell = |row: usize, c: usize| (raw.names[c].clone(), raw.cell(row, c).to_owned());
    let shown = |row: usize| {
        (0..raw.names.len()).filter(|c| *c != at && raw.names[*c] != PART).map(|c| cell(row, c)).collect::<Vec<_>>()
    };
    let k = classes.len();
    let example = |(i, score): &(usize, f64)| Example {
        name: format!("line {}", rows.lines[*i]),
        looks: Looks::Row(shown(unknown[*i])),
        p: p[i * k..][..k].to_vec(),
        score: *score,
    };
    let examples: Vec<Example> = picked.iter().map(example).collect();
    let file = new_file(args.out.as_ref(), "labelled")?;
    let (answers, ended) = ask(&examples, classes, args.by.word());
    if answers.is_empty() {
        agon::tell!("nothing was answered, and nothing is written");
        return ended;
    }
    let answer_of = |row: usize| {
        let asked = answers.iter().find(|(asked, _)| unknown[picked[**asked].0] == row);
        asked.map(|(_, class)| classes[*class].as_str())
    };
    let mut parts = task.parts(&raw);
    let mut whole = Raw::new(raw.names.iter().filter(|name| *name != PART).cloned().collect(), raw.decimal_comma);
    for (row, part) in parts.iter_mut().enumerate() {
        let answer = answer_of(row);
        if answer.is_some() {
            *part = "train";
        }
        let cells = (0..raw.names.len()).filter(|c| raw.names[*c] != PART);
        whole.push(raw.lines[row], cells.map(|c| answer.filter(|_| c == at).unwrap_or(raw.cell(row, c))));
    }
    write(&file, &table_file::written(&whole, 0..whole.rows(), Some((PART, &parts)))?)?;
    agon::tell!("{} of {} rows have a `{target}` now: {}", answers.len(), unknown.len(), file.display());
    agon::tell!("train with them; the test part stays as it was:");
    let whole = std::path::absolute(&file).unwrap_or(file);
    let mut command = format!(
        "  agon train {} --set data.file={} --set data.split=given --set data.split_by={PART}",
        quoted(scenario),
        quoted(&whole)
    );
    // The column that told the parts before is no input now either.
    let data = source.section("data")?;
    if let Some(by) = data.get("split_by").and_then(Value::as_str).filter(|by| !["", PART].contains(by)) {
        let mut drop = data.get("drop").and_then(Value::as_array).cloned().unwrap_or_default();
        drop.push(by.into());
        command += &format!(" --set {}", quoted(format!("data.drop={}", Value::Array(drop))));
    }
    agon::tell!("{command}");
    ended
}

/// Pictures without a class. What is written are their names and classes.
fn pictures(args: &cli::Label, scenario: &Path, source: &Source) -> Outcome {
    let mut settings = source.section("model")?;
    settings.remove("kind");
    let (folder, saved, _) = checkpoints::read(&args.run)?;
    let unfit = |e: AgentError| Failure::Input(format!("{}: {e}", folder.display()));
    let predictor = PicturePredictor::load(&settings, &saved).map_err(unfit)?;
    let (classes, k) = (&predictor.classes, predictor.classes.len());
    checked(classes)?;
    let own =
        PictureSettings::read(&source.section("pictures")?).map_err(|issues| unfit(AgentError::Settings(issues)))?;
    let mut raw = picture_files::read(Path::new(&own.files), own.side)?;
    if let Some(file) = &own.labels_from {
        picture_files::take_labels(&mut raw, Path::new(file))?;
    }
    let unknown: Vec<usize> =
        (0..raw.labels.len()).filter(|i| raw.labels[*i].is_none() && raw.parts[*i] != Given::Test).collect();
    if unknown.is_empty() {
        return Err(Failure::Input(format!("{}: all its pictures have a class", args.run)));
    }
    let size = raw.pictures.size;
    let bytes = unknown.iter().flat_map(|i| raw.pictures.picture(*i)).copied().collect();
    let p = predictor.predict(&Pictures { bytes, size }).map_err(unfit)?;
    let scores = match args.by {
        Useful::Entropy => entropy(&p, k),
        Useful::Margin => margin(&p, k),
        Useful::Bald => {
            return Err(Failure::Input("--by bald needs several models, and a run of pictures has one".into()));
        }
    };
    let picked = ranked(&scores, args.count);
    let example = |(i, score): &(usize, f64)| Example {
        name: raw.names[unknown[*i]].clone(),
        looks: Looks::Picture(size, raw.pictures.picture(unknown[*i]).to_vec()),
        p: p[i * k..][..k].to_vec(),
        score: *score,
    };
    let examples: Vec<Example> = picked.iter().map(example).collect();
    let file = new_file(args.out.as_ref(), "labels")?;
    let (answers, ended) = ask(&examples, classes, args.by.word());
    if answers.is_empty() {
        agon::tell!("nothing was answered, and nothing is written");
        return ended;
    }
    let mut out = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| Failure::Internal(e.to_string());
    out.write_record(["picture", "class"]).map_err(failed)?;
    // Labels that were given before go on with them.
    if let Some(before) = &own.labels_from {
        let before = table_file::read(Path::new(before))?;
        if let (Some(picture), Some(class)) = (before.find("picture"), before.find("class")) {
            for row in 0..before.rows() {
                out.write_record([before.cell(row, picture), before.cell(row, class)]).map_err(failed)?;
            }
        }
    }
    for (asked, class) in &answers {
        out.write_record([&examples[*asked].name, &classes[*class]]).map_err(failed)?;
    }
    write(&file, &out.into_inner().map_err(|e| Failure::Internal(e.to_string()))?)?;
    agon::tell!("{} of {} pictures have a class now: {}", answers.len(), unknown.len(), file.display());
    agon::tell!("train with them; the test part stays as it was:");
    let whole = std::path::absolute(&file).unwrap_or(file);
    // What the run once began with would be a second beginning beside --from.
    let begun = settings.get("weights").and_then(Value::as_str).is_some_and(|file| !file.is_empty());
    agon::tell!(
        "  agon train {} --from {} --set pictures.labels_from={}{}",
        quoted(scenario),
        quoted(&args.run),
        quoted(&whole),
        if begun { " --set model.weights=" } else { "" }
    );
    ended
}
