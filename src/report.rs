//! `agon report RUN`: one page on a run of any kind, from the files of its folder alone. It needs nothing else and holds no
//! scripts, so that it can be mailed, printed and kept.

pub mod agent;
pub mod card;
pub mod clusters;
pub mod data;
pub mod model;
pub mod pictures;
pub mod regime;
pub mod search;

use crate::cli;
use crate::failure::{Failure, Outcome, quoted};
use crate::files;
use crate::group::{Group, Spread};
use crate::html::chart::Chart;
use crate::html::{Cell, Page, Table};
use crate::run::{Run, Tail};
use crate::scenario::Source;
use crate::search::record::Folder;
use crate::tui::pane::number;
use agon_core::Metric;
use agon_core::event::Event;
use serde_json::{Map, Value};
use std::path::Path;

/// Charts of losses at most.
const LOSSES: usize = 8;

/// What a run's folder says.
pub struct Story {
    pub run: Run,
    /// The scenario with every default.
    pub scenario: Map<String, Value>,
    /// `evaluation.json`; null before the final evaluation.
    pub evaluation: Value,
    /// `data-report.json`; null where nothing was read from a table or pictures.
    pub data: Value,
    pub provenance: Value,
    pub status: Value,
}

impl Story {
    /// Reads a run.
    ///
    /// # Errors
    /// Where it is no run.
    pub fn read(folder: &Path) -> Outcome<Self> {
        let run = Run::open(folder)?;
        let scenario = Source::read(&run.path("scenario.toml"), &[])?.table;
        let file = |name: &str| {
            files::text(&run.path(name)).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
        };
        let (evaluation, data, provenance) =
            (file("evaluation.json"), file("data-report.json"), file("provenance.json"));
        let status = run.read_status().unwrap_or(Value::Null);
        Ok(Self { run, scenario, evaluation, data, provenance, status })
    }

    /// Text of the scenario: its name, what it is about.
    pub fn word(&self, key: &str) -> &str {
        self.scenario.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// What learned: the kind of its agent or model.
    pub fn kind(&self) -> &str {
        let of = |table: &str| self.scenario.get(table).and_then(|table| table["kind"].as_str());
        of("agent").or_else(|| of("model")).unwrap_or("unknown")
    }
}

/// `agon report`.
pub fn run(args: &cli::Report) -> Outcome {
    let page = match () {
        () if Group::is_one(&args.run) => group_page(&Group::open(&args.run)?),
        () if Folder::is_one(&args.run) => search::page(&Folder::open(&args.run)?),
        () => page(&Story::read(&args.run)?),
    };
    let file = args.out.clone().unwrap_or_else(|| args.run.join("report.html"));
    std::fs::write(&file, page).map_err(|e| Failure::write(&file, &e))?;
    crate::say!("{}", quoted(&file));
    Ok(())
}

/// The page of a run.
pub fn page(story: &Story) -> String {
    let mut page = Page::new(story.word("name"));
    if !story.word("about").is_empty() {
        page.text(story.word("about"));
    }
    facts(&mut page, story);
    match () {
        () if story.evaluation.is_null() => {
            page.heading("Result");
            page.text("There is no final evaluation yet: it is made when all steps are.");
        }
        () if story.evaluation["mean_return"].is_number() => agent::sections(&mut page, story),
        () => {
            model::sections(&mut page, story);
            let training = regime::sentences(&story.evaluation);
            if !training.is_empty() {
                page.heading("Training");
                training.iter().for_each(|sentence| page.text(sentence));
            }
        }
    }
    pictures::sections(&mut page, story);
    curves(&mut page, story);
    if !story.data.is_null() {
        page.heading("Data");
        data::sections(&mut page, &story.data, Page::part);
    }
    page.heading("Settings");
    page.text("The scenario with every default filled in; training it again with the same version gives the same run.");
    let text = files::text(&story.run.path("scenario.toml")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# settings of a run")).collect();
    page.verbatim(&lines.join("\n"));
    page.finish()
}

/// A value as text, without quotes.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

fn facts(page: &mut Page, story: &Story) {
    let (from, status) = (&story.provenance, &story.status);
    let mut rows: Vec<(&str, String)> = vec![("what learned", story.kind().to_owned())];
    if let (Some(step), Some(steps)) = (status["step"].as_u64(), status["steps"].as_u64()) {
        rows.push(("state", format!("{}, step {step} of {steps}", plain(&status["state"]))));
    }
    rows.push(("run", story.run.folder.display().to_string()));
    for key in ["seed", "device", "threads", "from", "environment", "data", "pictures", "cpu"] {
        if !from[key].is_null() {
            rows.push((key, plain(&from[key])));
        }
    }
    if let Some(version) = from["agon"].as_str() {
        rows.push(("Agon", format!("{version} ({})", plain(&from["commit"]))));
    }
    if let Some(words) = from["command"].as_array() {
        rows.push(("command", format!("agon {}", words.iter().map(plain).collect::<Vec<_>>().join(" "))));
    }
    let mut table = Table::new([]);
    rows.into_iter().for_each(|(name, value)| table.row([Cell::text(name), Cell::text(value)]));
    page.table(&table);
}

/// Learning curves: returns and evaluations, or the losses.
fn curves(page: &mut Page, story: &Story) {
    let events = Tail::new(story.run.path("metrics.jsonl")).poll().1;
    let (mut means, mut ends, mut evaluated) = (Vec::new(), Vec::new(), Vec::new());
    let mut scalars: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    let (mut decides, mut optimum, mut levels) = (None, None, Vec::new());
    for event in &events {
        match event {
            Event::Started { optimum: known, .. } => optimum = *known,
            Event::Levels { values } => levels.clone_from(values),
            Event::Episodes { step, mean, low, high, .. } => {
                means.push((*step as f64, *mean));
                ends.push((*step as f64, *low, *high));
            }
            Event::Evaluated { step, mean, ci95, metrics, .. } => {
                let half = ci95.unwrap_or(0.0);
                evaluated.push((*step as f64, *mean, mean - half, mean + half));
                decides = metrics.first().map(|metric| metric.name.replace('_', " ")).or(decides);
            }
            Event::Scalars { step, values } => {
                for (name, value) in values {
                    match scalars.iter_mut().find(|(own, _)| own == name) {
                        Some((_, all)) => all.push((*step as f64, *value)),
                        None => scalars.push((name.clone(), vec![(*step as f64, *value)])),
                    }
                }
            }
            _ => {}
        }
    }
    // A model that is one solution has no curve.
    scalars.retain(|(_, all)| all.len() > 1);
    if means.is_empty() && evaluated.is_empty() && scalars.is_empty() {
        return;
    }
    page.heading("Learning");
    let what = decides.unwrap_or_else(|| "return".into());
    if !means.is_empty() {
        let mut chart = Chart::new("Training episodes", "step", "return");
        chart.band(ends);
        chart.line("mean return, worst to best", means);
        optimum.into_iter().for_each(|level| chart.level("exact optimum", level));
        page.chart(&chart);
    }
    if !evaluated.is_empty() {
        let mut chart = Chart::new("Evaluations on the way", "step", &what);
        chart.points("with 95 % intervals", evaluated);
        if levels.is_empty() {
            agent::levels(&mut chart, &story.evaluation);
        } else {
            // On the same episodes as the evaluations.
            let optimum = optimum.map(|value| ("exact optimum".to_owned(), value));
            let named = |(name, value): (String, f64)| (format!("{name} {}", number(value)), value);
            levels.into_iter().chain(optimum).map(named).for_each(|(name, value)| chart.level(&name, value));
        }
        page.chart(&chart);
    }
    for (name, all) in scalars.into_iter().take(LOSSES) {
        let mut chart = Chart::new(&name, "step", "");
        chart.line("", all);
        page.chart(&chart);
    }
}

/// The page of a group of seeds.
fn group_page(group: &Group) -> String {
    let name =
        group.runs().find_map(|(_, run)| Story::read(&run.folder).ok()).map(|story| story.word("name").to_owned());
    let mut page = Page::new(&format!("{}: {} seeds", name.unwrap_or_default(), group.record.seeds.len()));
    let results = group.results();
    let first = results.first().map(|(.., metric)| metric.clone());
    let of = |metric: &Metric| metric.name.replace('_', " ");
    page.heading("Results");
    let mut table =
        Table::new([Cell::text("seed"), Cell::number(first.as_ref().map(of).unwrap_or_default()), Cell::text("run")]);
    for (seed, run) in group.runs() {
        let found = results.iter().find(|(own, ..)| *own == seed);
        let value = found.map_or("no result yet".into(), |(.., metric)| model::shown(metric));
        table.row([Cell::text(seed), Cell::number(value), Cell::text(run.folder.display())]);
    }
    page.table(&table);
    let values: Vec<f64> = results.iter().map(|(.., metric)| metric.value).collect();
    if let Some(spread) = first.as_ref().and_then(|metric| Spread::of(&values, metric.goal)) {
        let mut table =
            Table::new([Cell::text("over seeds"), Cell::number("value"), Cell::number("95 % bootstrap interval")]);
        let ends =
            |ends: Option<[f64; 2]>| ends.map_or(String::new(), |[a, b]| format!("[{}, {}]", number(a), number(b)));
        for (name, value, interval) in [
            ("mean", spread.mean, spread.interval),
            ("interquartile mean", spread.interquartile_mean, spread.interquartile_interval),
            ("median", spread.median, None),
            ("worst", spread.worst, None),
            ("best", spread.best, None),
        ] {
            table.row([Cell::text(name), Cell::number(number(value)), Cell::number(ends(interval))]);
        }
        page.table(&table);
    }
    let mut chart = Chart::new("Evaluations on the way", "step", &first.as_ref().map(of).unwrap_or_default());
    for (seed, run) in group.runs() {
        let events = Tail::new(run.path("metrics.jsonl")).poll().1;
        let one = |event: &Event| match event {
            Event::Evaluated { step, mean, .. } => Some((*step as f64, *mean)),
            _ => None,
        };
        chart.line(&format!("seed {seed}"), events.iter().filter_map(one).collect());
    }
    page.chart(&chart);
    page.finish()
}
