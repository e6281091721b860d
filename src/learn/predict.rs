//! `agon predict`: what a trained model of a table says of new rows, or one of pictures of new pictures.

use crate::bandit_task::BanditTask;
use crate::checkpoints::{self, Target};
use crate::drift_report;
use crate::picture_files;
use crate::picture_task::PictureTask;
use crate::table_file;
use crate::table_stream::{self, Reservoir};
use crate::table_task::TableTask;
use agon::cli;
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::AgentError;
use agon_agents::bandit::{self, Chooser};
use agon_agents::data::Raw;
use agon_agents::pictures::predictor::Predictor as PicturePredictor;
use agon_agents::registry::find_model;
use agon_agents::supervised::predictor::{Predictions, Predictor};
use agon_agents::unsupervised::reader::{Reader, Reading};
use agon_core::settings::Settings;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Rows that are predicted at a time, of a table that may not fit into memory.
const AT_ONCE: usize = 50_000;

/// Reads the run, predicts, writes.
pub fn run(args: &cli::Predict) -> Outcome {
    let Target::Checkpoint { scenario, .. } = checkpoints::locate(&args.run)? else {
        return Err(Failure::Input(format!("{}: there is no such run or checkpoint", args.run)));
    };
    let source = Source::read(&scenario, &[])?;
    let no_table = || Failure::Input(format!("{} is no run of a model of a table: it cannot predict rows", args.run));
    if PictureTask::is_meant(&source) {
        return pictures(args, &source);
    }
    if BanditTask::is_meant(&source) {
        return choices(args, &source);
    }
    if !TableTask::is_meant(&source) {
        return Err(no_table());
    }
    let mut settings = source.section("model")?;
    let kind = source.word("model", &mut settings, "kind")?;
    let model = find_model(&kind).map_err(|_| no_table())?;
    let (folder, saved, _) = checkpoints::read(&args.run)?;
    let unfit = |e: AgentError| Failure::Input(format!("{}: {e}", folder.display()));
    if let Some(family) = model.unsupervised() {
        let reader = Reader::load(family, &settings, &saved).map_err(|e| match e {
            AgentError::Data(why) => Failure::Input(format!("{}: {why}", args.run)),
            other => unfit(other),
        })?;
        let raw = table_file::read(&args.data)?;
        let reading = reader.read(&raw).map_err(|e| Failure::Input(format!("{}: {e}", args.data.display())))?;
        reading.findings.iter().for_each(|finding| agon::tell!("note: {finding}"));
        drift_report::tell(&scenario, &source, &raw);
        let bytes = found_table(&raw, &reading, family.whole).map_err(|e| Failure::Internal(e.to_string()))?;
        return written(args, &bytes, &format!("{} rows read", raw.rows()));
    }
    let family = model.family.ok_or_else(no_table)?;
    let predictor = Predictor::load(&family, &settings, &saved).map_err(unfit)?;
    let streamed = source.section("data")?.get("stream").is_some_and(|rows| !rows.is_null());
    if streamed && table_stream::is_large(&args.data) || table_stream::is_needed(&args.data) {
        return in_blocks(args, &predictor, &scenario, &source);
    }
    let raw = table_file::read(&args.data)?;
    let wrong = |e: AgentError| Failure::Input(format!("{}: {e}", args.data.display()));
    let found = predictor.predict(&raw).map_err(wrong)?;
    predictor.findings(&found).iter().for_each(|finding| agon::tell!("note: {finding}"));
    drift_report::tell(&scenario, &source, &raw);
    let bytes = table(&predictor, &raw, &found, true).map_err(|e| Failure::Internal(e.to_string()))?;
    written(args, &bytes, &format!("{} predictions of `{}`", raw.rows(), predictor.answer.name))
}

/// Predicts a table that need not fit into memory, some rows at a time. A file has its name once it is whole.
fn in_blocks(args: &cli::Predict, predictor: &Predictor, scenario: &Path, source: &Source) -> Outcome {
    refuse_same(args)?;
    let wrong = |e: AgentError| Failure::Input(format!("{}: {e}", args.data.display()));
    let mut out = args.out.as_deref().map(Unfinished::new).transpose()?;
    let mut all: Option<Predictions> = None;
    let mut sample = Reservoir::new(table_stream::SAMPLE, 1);
    table_file::blocks(&args.data, AT_ONCE, &mut |raw| {
        let mut found = predictor.predict_part(&raw).map_err(wrong)?;
        let bytes = table(predictor, &raw, &found, all.is_none()).map_err(|e| Failure::Internal(e.to_string()))?;
        match &mut out {
            Some(out) => out.add(&bytes)?,
            None => agon::failure::say(format_args!("{}", String::from_utf8_lossy(&bytes))),
        }
        sample.add(&raw);
        found.p.clear();
        match &mut all {
            Some(all) => all.unseen.iter_mut().zip(&found.unseen).for_each(|(sum, more)| *sum += more),
            None => all = Some(found),
        }
        Ok(())
    })?;
    if let Some(all) = &all {
        predictor.findings(all).iter().for_each(|finding| agon::tell!("note: {finding}"));
    }
    let rows = sample.seen;
    drift_report::tell(scenario, source, &sample.finish());
    if let (Some(out), Some(file)) = (out, &args.out) {
        out.finish()?;
        agon::tell!("{rows} predictions of `{}` in {}", predictor.answer.name, file.display());
    }
    Ok(())
}

/// A file that is written little by little: beside its place until it is whole, so that half of it is never taken for all.
struct Unfinished<'a> {
    place: &'a Path,
    file: tempfile::NamedTempFile,
}

impl<'a> Unfinished<'a> {
    fn new(place: &'a Path) -> Outcome<Self> {
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if place.is_dir() || !folder.is_dir() {
            let why = if place.is_dir() { "this is a folder" } else { "there is no such folder" };
            return Err(Failure::Input(format!("-o {}: {why}", place.display())));
        }
        // As any new file, by the umask.
        let mode = std::fs::Permissions::from_mode(0o666);
        let file =
            tempfile::Builder::new().permissions(mode).tempfile_in(folder).map_err(|e| Failure::write(place, &e))?;
        Ok(Self { place, file })
    }

    fn add(&mut self, bytes: &[u8]) -> Outcome {
        self.file.write_all(bytes).map_err(|e| Failure::write(self.place, &e))
    }

    fn finish(self) -> Outcome {
        let wrong = |e: std::io::Error| Failure::write(self.place, &e);
        // What is there may be a link or a device, which is to stay what it is.
        if std::fs::symlink_metadata(self.place).is_ok_and(|there| !there.is_file()) {
            return std::fs::copy(self.file.path(), self.place).map(|_| ()).map_err(wrong);
        }
        self.file.persist(self.place).map(|_| ()).map_err(|e| wrong(e.error))
    }
}

/// Refuses to write into the file that is read.
fn refuse_same(args: &cli::Predict) -> Outcome {
    match &args.out {
        Some(file) if agon::files::same(file, &args.data) => {
            Err(Failure::Input(format!("-o {}: this is the file that is read", file.display())))
        }
        _ => Ok(()),
    }
}

/// To the file that was asked for, or to standard output.
fn written(args: &cli::Predict, bytes: &[u8], what: &str) -> Outcome {
    match &args.out {
        Some(file) => {
            refuse_same(args)?;
            std::fs::write(file, bytes).map_err(|e| Failure::write(file, &e))?;
            agon::tell!("{what} in {}", file.display());
        }
        None => agon::failure::say(format_args!("{}", String::from_utf8_lossy(bytes))),
    }
    Ok(())
}

/// The classes of pictures: a line each, with every class's probability.
fn pictures(args: &cli::Predict, source: &Source) -> Outcome {
    let mut settings = source.section("model")?;
    settings.remove("kind");
    let (folder, saved, _) = checkpoints::read(&args.run)?;
    let unfit = |e: AgentError| Failure::Input(format!("{}: {e}", folder.display()));
    let predictor = PicturePredictor::load(&settings, &saved).map_err(unfit)?;
    if !picture_files::is_meant(&args.data) {
        let why = "a folder of PNG or JPEG files, an NPY file or an IDX file of pictures is needed here";
        return Err(Failure::Input(format!("{}: {why}", args.data.display())));
    }
    let raw = picture_files::read_unlabelled(&args.data, predictor.size)?;
    let wrong = |e: AgentError| Failure::Input(format!("{}: {e}", args.data.display()));
    let p = predictor.predict(&raw.pictures).map_err(wrong)?;
    raw.findings.iter().for_each(|(what, done)| agon::tell!("note: {what}; {done}"));
    let failed = |e: csv::Error| Failure::Internal(e.to_string());
    let mut out = csv::Writer::from_writer(Vec::new());
    let head = ["picture", "predicted class"].map(String::from).into_iter();
    out.write_record(head.chain(predictor.classes.iter().map(|class| format!("p({class})")))).map_err(failed)?;
    for (name, p) in raw.names.iter().zip(p.chunks_exact(predictor.classes.len())) {
        let cells = [name.clone(), predictor.classes[likeliest(p)].clone()].into_iter();
        out.write_record(cells.chain(p.iter().map(|p| format!("{p:.6}")))).map_err(failed)?;
    }
    let bytes = out.into_inner().map_err(|e| Failure::Internal(e.to_string()))?;
    written(args, &bytes, &format!("{} predictions of `class`", raw.names.len()))
}

/// The largest; of equal ones the first.
fn likeliest(p: &[f64]) -> usize {
    (0..p.len()).rev().max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap_or(0)
}

/// What a policy learned from a log does in new rows.
fn choices(args: &cli::Predict, source: &Source) -> Outcome {
    let mut settings = source.section("model")?;
    settings.remove("kind");
    let (folder, saved, _) = checkpoints::read(&args.run)?;
    let unfit = |e: AgentError| Failure::Input(format!("{}: {e}", folder.display()));
    let config = bandit::Config::read(&settings).map_err(|issues| unfit(AgentError::Settings(issues)))?;
    let chooser = Chooser::load(&config, &saved).map_err(unfit)?;
    let raw = table_file::read(&args.data)?;
    let found = chooser.choose(&raw).map_err(|e| Failure::Input(format!("{}: {e}", args.data.display())))?;
    found.findings.iter().for_each(|finding| agon::tell!("note: {finding}"));
    let bytes = choices_table(&chooser, &raw, &found.p).map_err(|e| Failure::Internal(e.to_string()))?;
    written(args, &bytes, &format!("{} rows decided", raw.rows()))
}

/// The table with the action that is likeliest behind its columns, and every action's probability.
fn choices_table(chooser: &Chooser, raw: &Raw, p: &[f64]) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<String> = raw.names.clone();
    head.push(format!("chosen {}", chooser.name));
    head.extend(chooser.actions.iter().map(|action| format!("p({action})")));
    out.write_record(&head)?;
    for (row, p) in p.chunks_exact(chooser.actions.len()).enumerate() {
        let mut cells: Vec<String> = (0..raw.names.len()).map(|column| raw.cell(row, column).to_owned()).collect();
        cells.push(chooser.actions[likeliest(p)].clone());
        cells.extend(p.iter().map(|p| format!("{p:.6}")));
        out.write_record(&cells)?;
    }
    out.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))
}

/// The table with what a model without a target says behind its columns: the cluster (from 1 on, none of rows that belong to
/// none) with its probability, components, and how unusual the row is; or its place on a map.
fn found_table(raw: &Raw, reading: &Reading, is_map: bool) -> Result<Vec<u8>, csv::Error> {
    let found = &reading.found;
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<String> = raw.names.clone();
    if !found.cluster.is_empty() {
        head.extend(["cluster", "p(cluster)"].map(String::from));
    }
    if is_map {
        head.extend(["x", "y"].map(String::from));
    } else {
        head.extend((1..=found.components.width).map(|k| format!("component {k}")));
        head.extend(["anomaly score", "share of training rows below"].map(String::from));
    }
    out.write_record(&head)?;
    for row in 0..raw.rows() {
        let mut cells: Vec<String> = (0..raw.names.len()).map(|column| raw.cell(row, column).to_owned()).collect();
        match found.cluster.get(row) {
            Some(Some(c)) => {
                let p = found.p[row * found.clusters + *c as usize];
                cells.extend([(c + 1).to_string(), format!("{p:.6}")]);
            }
            Some(None) => cells.extend(["none".into(), String::new()]),
            None => {}
        }
        if found.components.width > 0 {
            cells.extend(found.components.row(row).iter().map(f64::to_string));
        }
        if !is_map {
            cells.extend([found.anomaly[row].to_string(), format!("{:.4}", reading.below[row])]);
        }
        out.write_record(&cells)?;
    }
    out.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))
}

/// The table with the predictions behind its columns: the class and every class's probability, or the number and the ends
/// of its 90 % interval; with the names of columns above them or not.
fn table(predictor: &Predictor, raw: &Raw, found: &Predictions, named: bool) -> Result<Vec<u8>, csv::Error> {
    let (classes, target) = (&predictor.answer.classes, &predictor.answer.name);
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<String> = raw.names.clone();
    head.push(format!("predicted {target}"));
    match (classes.is_empty(), found.margin) {
        (false, _) => head.extend(classes.iter().map(|class| format!("p({class})"))),
        (true, Some(_)) => head.extend(["low 90 %", "high 90 %"].map(String::from)),
        (true, None) => {}
    }
    if named {
        out.write_record(&head)?;
    }
    let width = classes.len().max(1);
    for (row, p) in found.p.chunks_exact(width).enumerate() {
        let mut cells: Vec<String> = (0..raw.names.len()).map(|column| raw.cell(row, column).to_owned()).collect();
        if classes.is_empty() {
            cells.push(p[0].to_string());
            cells.extend(found.margin.into_iter().flat_map(|m| [p[0] - m, p[0] + m]).map(|x| x.to_string()));
        } else {
            cells.push(classes[likeliest(p)].clone());
            cells.extend(p.iter().map(|p| format!("{p:.6}")));
        }
        out.write_record(&cells)?;
    }
    out.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))
}
