//! `agon unlearn`: a run forgets rows of its table. They are taken out of the run's copy; what they touched is learned again
//! from there, and checkpoints that saw them are removed.

use crate::seeds;
use crate::table_file;
use crate::table_task::{COPY, TableTask};
use crate::task::Task;
use agon::cli;
use agon::failure::quoted;
use agon::report::regime::FORGOTTEN;
use agon::run::Run;
use agon::scenario::Source;
use agon::{Failure, Outcome, files};
use agon_agents::data::Raw;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;

/// The table without the rows, until it takes the place of the run's copy.
const LESS: &str = "data-without.csv";

/// Takes the rows away, trains, tells.
pub fn run(args: &cli::Unlearn) -> Outcome {
    let run = Run::open(&args.run)?;
    let scenario = run.path("scenario.toml");
    let source = Source::read(&scenario, &[])?;
    let shards = source.table.get("train").and_then(|train| train["shards"].as_u64());
    if !TableTask::is_meant(&source) || shards.is_none() {
        let why = "only a model of a table that was trained with train.shards can forget rows";
        return Err(Failure::Input(format!("{}: {why}", args.run.display())));
    }
    if args.rows.is_none() && told(&run)["pending"] != true {
        let why = "nothing is left to be learned again: --rows names the rows to forget";
        return Err(Failure::Input(format!("{}: {why}", args.run.display())));
    }
    if let Some(rows) = &args.rows {
        let lock = run.lock()?;
        if run.checkpoint("latest").is_none() {
            return Err(Failure::Input(format!("{} has learned nothing yet", args.run.display())));
        }
        forget(&run, rows)?;
        drop(lock);
    }
    let folder = args.run.display().to_string();
    let ui = args.ui.to_possible_value();
    let ui = ui.as_ref().map_or("auto", |ui| ui.get_name());
    let resume = cli::Cli::try_parse_from(["agon", "train", "--resume", &folder, "--ui", ui]);
    let Ok(cli::Cli { command: Some(cli::Command::Train(train)) }) = resume else {
        return Err(Failure::Internal("the run cannot be gone on with".into()));
    };
    seeds::run(&train).map_err(|failure| match failure {
        Failure::Interrupted(_) => Failure::Interrupted(format!(
            "the rows are out of the table; finish with\n  agon unlearn {}",
            quoted(&args.run)
        )),
        other => other,
    })?;
    // The best one, too, was made after the rows were gone.
    let kept = [run.checkpoint("latest"), run.checkpoint("best")];
    for old in run.checkpoints().into_iter().filter(|folder| !kept.contains(&Some(folder.clone()))) {
        std::fs::remove_dir_all(&old).map_err(|e| Failure::write(&old, &e))?;
    }
    noted(&run, requests(&run), false)
}

/// Takes rows out of the run's table, where enough is left.
fn forget(run: &Run, rows: &str) -> Outcome {
    let raw = table_file::read(&run.path(COPY))?;
    let gone = if Path::new(rows).exists() { equal(&raw, Path::new(rows))? } else { on_lines(&raw, rows)? };
    run.write_bytes(LESS, &table_file::written(&raw, (0..raw.rows()).filter(|row| !gone.contains(row)), None)?)?;
    // Whatever is wrong with what is left is told before anything has changed.
    let set = format!("data.file={}", Value::from(LESS));
    let read = || TableTask::read(&run.path("scenario.toml"), &Source::read(&run.path("scenario.toml"), &[set])?);
    let less = read();
    let moved =
        |name: &str| std::fs::rename(run.path(LESS), run.path(name)).map_err(|e| Failure::write(&run.path(name), &e));
    if let Err(failure) = less {
        let _ = std::fs::remove_file(run.path(LESS));
        return Err(Failure::Input(format!("the rows cannot be forgotten: {failure}")));
    }
    let mut requests = requests(run);
    requests.push(json!({"rows": gone.len()}));
    moved(COPY)?;
    noted(run, requests, true)?;
    let task = TableTask::read(&run.path("scenario.toml"), &Source::read(&run.path("scenario.toml"), &[])?)?;
    for (name, bytes) in task.files()?.into_iter().filter(|(name, _)| *name != COPY) {
        run.write_bytes(name, &bytes)?;
    }
    agon::tell!("{} rows are out of {}", gone.len(), run.path(COPY).display());
    Ok(())
}

/// What was noted of what the run forgets.
fn told(run: &Run) -> Value {
    files::text(&run.path(FORGOTTEN)).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// What was asked for so far.
fn requests(run: &Run) -> Vec<Value> {
    told(run)["requests"].as_array().cloned().unwrap_or_default()
}

/// Notes what was asked for; `pending`: whether something is still to be learned again.
fn noted(run: &Run, requests: Vec<Value>, pending: bool) -> Outcome {
    run.write(FORGOTTEN, &format!("{}\n", json!({"requests": requests, "pending": pending})))
}

/// Rows that are equal to one of a file in all columns that it has.
fn equal(raw: &Raw, file: &Path) -> Outcome<HashSet<usize>> {
    let wanted = table_file::read(file)?;
    let wrong = |why: String| Failure::Input(format!("{}: {why}", file.display()));
    let find = |name: &String| raw.find(name).ok_or_else(|| wrong(format!("the run's table has no column `{name}`")));
    let columns: Vec<usize> = wanted.names.iter().map(find).collect::<Outcome<_>>()?;
    let mut gone = HashSet::new();
    for row in 0..wanted.rows() {
        let same = |other: &usize| columns.iter().enumerate().all(|(i, c)| raw.cell(*other, *c) == wanted.cell(row, i));
        let before = gone.len();
        gone.extend((0..raw.rows()).filter(same));
        if gone.len() == before {
            let line = wanted.lines[row];
            return Err(wrong(format!(
                "line {line}: no row of the run's table is like it, or one before asked for the same"
            )));
        }
    }
    if gone.is_empty() { Err(wrong("it names no rows".into())) } else { Ok(gone) }
}

/// Rows that begin on these lines: `17,40..45`.
fn on_lines(raw: &Raw, lines: &str) -> Outcome<HashSet<usize>> {
    let wrong = |part: &str, why: &str| Failure::Input(format!("--rows {lines}: `{part}` {why}"));
    let mut gone = HashSet::new();
    for part in lines.split(',').map(str::trim) {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let line = |text: &str| text.trim_start_matches('=').parse::<u64>().ok();
        let (Some(first), Some(last)) = (line(first), line(last)) else {
            return Err(wrong(part, "is neither a file nor lines of the run's data.csv such as 17,40..45"));
        };
        let before = gone.len();
        gone.extend((0..raw.rows()).filter(|row| (first..=last).contains(&raw.lines[*row])));
        if gone.len() == before {
            return Err(wrong(part, "is on no line of the run's data.csv where a row begins, or was named before"));
        }
    }
    Ok(gone)
}
