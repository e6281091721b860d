//! `agon watch`: the dashboard on runs on disk, live or finished.

use crate::cli;
use crate::failure::{Failure, Outcome, quoted};
use crate::files;
use crate::group::{Group, Spread};
use crate::replay::Film;
use crate::run::{Run, Tail, root};
use crate::screen::{self, Screen};
use crate::signals;
use crate::tournament::film;
use crate::tui::app::{self, Key, Next, Page};
use crate::tui::model::Model;
use crate::tui::pane::{Theme, number};
use crate::tui::{together, view};
use agon_core::event::Event;
use ratatui::Frame;
use std::path::PathBuf;

/// A run that is being looked at.
struct Watched {
    run: Run,
    metrics: Tail,
    speed: Tail,
    model: Model,
    /// The newest saved episode, played over and over in place of the live view.
    film: Option<(PathBuf, Film)>,
    at: usize,
}

impl Watched {
    fn new(run: Run) -> Self {
        let (folder, frame_of) = (run.folder.display().to_string(), "newest saved episode".into());
        let model = Model { run: folder, frame_of, watching: true, ..Model::default() };
        Self {
            metrics: Tail::new(run.path("metrics.jsonl")),
            speed: Tail::new(run.path("speed.jsonl")),
            run,
            model,
            film: None,
            at: 0,
        }
    }

    /// Shows the next picture of the newest episode.
    fn play(&mut self) {
        if let Some(newest) = self.run.episodes().pop()
            && self.film.as_ref().is_none_or(|(path, _)| *path != newest)
        {
            // An episode that cannot be replayed here only has no picture; `agon replay` says why.
            self.film = crate::replay::simulate(&newest).ok().map(|film| (newest, film));
            self.at = 0;
        }
        if let Some((_, film)) = &self.film {
            self.model.frame = film.scenes.get(self.at).cloned();
            self.at = (self.at + 1) % film.scenes.len().max(1);
        }
    }

    /// What the run computes on, once it says so.
    fn device(&self) -> Option<String> {
        let text = files::text(&self.run.path("provenance.json"))?;
        let provenance: serde_json::Value = serde_json::from_str(&text).ok()?;
        provenance["device"].as_str().map(String::from)
    }

    fn poll(&mut self) {
        if self.model.device.is_empty() {
            self.model.device = self.device().unwrap_or_default();
        }
        let (again, events) = self.metrics.poll();
        if again {
            let Model { run, device, frame_of, orbit, .. } = std::mem::take(&mut self.model);
            self.model = Model { run, device, frame_of, orbit, watching: true, ..Model::default() };
        }
        for event in &events {
            // A resumed run's file goes on after the line that ended it before.
            if !matches!(event, Event::Finished { .. }) {
                self.model.outcome = None;
            }
            self.model.apply(event);
        }
        for event in &self.speed.poll().1 {
            self.model.apply(event);
        }
        // What died without a word left no last line; but its lock is free.
        let begun = self.run.path("scenario.toml").is_file();
        let dead = begun && self.model.outcome.is_none() && !self.run.is_live();
        self.model.note = if dead {
            format!("nobody is training it: `agon train --resume {}` goes on", quoted(&self.run.folder))
        } else {
            String::new()
        };
        self.model.dead = dead;
    }
}

pub fn run(args: &cli::Watch) -> Outcome {
    let folders = if args.runs.is_empty() {
        let root = root();
        let none =
            || Failure::Input(format!("no run below {} yet: `agon train classic/cartpole` makes one", quoted(&root)));
        let newest = crate::runs::all(&root).pop().ok_or_else(none)?.1;
        vec![Group::of(&newest).map_or(newest, |group| group.folder)]
    } else {
        args.runs.clone()
    };
    if let [folder] = &folders[..]
        && Group::is_one(folder)
    {
        return watch_group(&Group::open(folder)?);
    }
    if let Some(tournament) = folders.iter().find(|f| film::is_tournament(f)) {
        if folders.len() > 1 {
            let message = format!("{} is a tournament: watch it alone", tournament.display());
            return Err(Failure::Input(message));
        }
        return crate::tournament::watch::run(tournament);
    }
    let mut watched: Vec<Watched> =
        folders.iter().map(|f| Run::open(f).map(Watched::new)).collect::<Outcome<Vec<_>>>()?;
    watched.iter_mut().for_each(Watched::poll);
    if !screen::is_terminal() {
        for w in &watched {
            summary(w);
        }
        return Ok(());
    }
    signals::for_view()?;
    let mut screen = Screen::without_log()?;
    let title = format!("{} runs", watched.len());
    let mut page = Runs { title, watched, shown: Some(0), help: false, asking: false };
    app::run(&mut screen, &mut page)
}

fn watch_group(group: &Group) -> Outcome {
    let mut page = Runs::of_group(group);
    page.watched.iter_mut().for_each(Watched::poll);
    if screen::is_terminal() {
        signals::for_view()?;
        return app::run(&mut Screen::without_log()?, &mut page);
    }
    page.watched.iter().for_each(summary);
    let results = group.results();
    let values: Vec<f64> = results.iter().map(|(.., metric)| metric.value).collect();
    if let Some((.., metric)) = results.first()
        && let Some(spread) = Spread::of(&values, metric.goal)
    {
        let interval = spread.interval.map_or(String::new(), |[a, b]| format!(" [{}, {}]", number(a), number(b)));
        let (mean, worst, seeds) = (number(spread.mean), number(spread.worst), values.len());
        let of = group.record.seeds.len();
        crate::say!("{seeds} of {of} seeds are done: {} {mean}{interval}, worst {worst}", metric.name);
    }
    Ok(())
}

/// Several runs: all on one page, or one at a time.
pub struct Runs {
    title: String,
    watched: Vec<Watched>,
    /// The one on the page; none for all together.
    shown: Option<usize>,
    help: bool,
    asking: bool,
}

impl Runs {
    /// Those of a group, all on one page first.
    pub fn of_group(group: &Group) -> Self {
        let one = |(seed, run): (u64, Run)| {
            let mut watched = Watched::new(run);
            watched.model.seed = seed;
            watched
        };
        let title = group.folder.display().to_string();
        Self { title, watched: group.runs().map(one).collect(), shown: None, help: false, asking: false }
    }

    /// Whether it is asked what becomes of them.
    pub fn ask(&mut self, asking: bool) {
        self.asking = asking;
    }
}

impl Page for Runs {
    fn update(&mut self) -> Outcome {
        self.watched.iter_mut().for_each(Watched::poll);
        if let Some(shown) = self.shown {
            self.watched[shown].play();
        }
        Ok(())
    }

    fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let Some(shown) = self.shown else {
            let models: Vec<&Model> = self.watched.iter().map(|w| &w.model).collect();
            return together::draw(frame, &self.title, &models, theme, "q quit   Tab one run at a time", self.asking);
        };
        let several = self.watched.len() > 1;
        let keys = if several { "q quit   Tab next run   ? help" } else { "q quit   ? help" };
        let model = &mut self.watched[shown].model;
        (model.help, model.asking) = (self.help, self.asking);
        let keys = format!("{keys}   {}", model.camera_keys());
        view::draw(frame, model, theme, keys.trim_end());
    }

    fn key(&mut self, key: Key) -> Next {
        match key {
            Key::Stop => signals::end_at_once(),
            Key::Char('q') => return Next::Leave,
            // After the last one all together, and then the first again.
            Key::Tab if self.watched.len() > 1 => {
                let next = self.shown.map_or(0, |shown| shown + 1);
                self.shown = (next < self.watched.len()).then_some(next);
            }
            Key::Char('?') => self.help = !self.help,
            Key::Char(c) if self.shown.is_some_and(|shown| self.watched[shown].model.orbit.key(c)) => {}
            _ => self.help = false,
        }
        Next::Stay
    }
}

/// What can be said of a run without a screen.
fn summary(w: &Watched) {
    let m = &w.model;
    let state = w.run.read_status().and_then(|s| s["state"].as_str().map(String::from)).unwrap_or_default();
    let state = if m.dead { "stopped without a word; it can be resumed".into() } else { state };
    crate::say!("{}: {} of {} steps, {state}", w.run.folder.display(), m.step, m.steps);
    if let Some(last) = m.returns.last() {
        crate::say!("  episode return {last:.2} over {} episodes", m.episodes);
    }
    if let Some(e) = m.evaluations.last() {
        let half = if e.high > e.mean { format!(" ± {:.2}", e.high - e.mean) } else { String::new() };
        crate::say!("  evaluation at {:.0}: {:.2}{half}", e.step, e.mean);
    }
}
