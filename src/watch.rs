//! `agon watch`: the dashboard on runs on disk, live or finished.

use crate::cli;
use crate::failure::{Failure, Outcome};
use crate::replay::Film;
use crate::run::{Run, Tail};
use crate::screen::{self, Screen};
use crate::signals;
use crate::tournament::film;
use crate::tui::live::{Key, key};
use crate::tui::model::Model;
use crate::tui::pane::Theme;
use crate::tui::view;
use agon_core::event::Event;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
        let device = std::fs::read_to_string(run.path("provenance.json")).ok();
        let device = device.and_then(|t| serde_json::from_str::<serde_json::Value>(&t).ok());
        let device = device.and_then(|p| p["device"].as_str().map(String::from)).unwrap_or_default();
        let (folder, frame_of) = (run.folder.display().to_string(), "newest saved episode".into());
        let model = Model { run: folder, device, frame_of, watching: true, ..Model::default() };
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

    fn poll(&mut self) {
        let (again, events) = self.metrics.poll();
        if again {
            let Model { run, device, frame_of, .. } = std::mem::take(&mut self.model);
            self.model = Model { run, device, frame_of, watching: true, ..Model::default() };
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
        let dead = self.model.outcome.is_none() && !self.run.is_live();
        self.model.note = if dead {
            format!("nobody is training it: `agon train --resume {}` goes on", self.run.folder.display())
        } else {
            String::new()
        };
        self.model.dead = dead;
    }
}

/// The newest run below a folder, by its status file.
pub fn newest(folder: &Path) -> Option<PathBuf> {
    fn collect(folder: &Path, depth: usize, found: &mut Vec<(std::time::SystemTime, PathBuf)>) {
        let status = folder.join("status.json");
        if let Ok(time) = status.metadata().and_then(|m| m.modified()) {
            found.push((time, folder.to_owned()));
        } else if depth > 0 {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
                collect(&entry.path(), depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    collect(folder, 4, &mut found);
    found.sort();
    found.pop().map(|(_, path)| path)
}

pub fn run(args: &cli::Watch) -> Outcome {
    let folders = if args.runs.is_empty() {
        let none =
            || Failure::Input("no run below runs/ yet: `agon train scenarios/classic/cartpole.toml` makes one".into());
        vec![newest(Path::new("runs")).ok_or_else(none)?]
    } else {
        args.runs.clone()
    };
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
    let (theme, mut shown) = (Theme { colour: screen::has_colour() }, 0);
    let keys = if watched.len() > 1 { "q quit   Tab next run   ? help" } else { "q quit   ? help" };
    let mut help = false;
    loop {
        watched.iter_mut().for_each(Watched::poll);
        watched[shown].play();
        let model = &mut watched[shown].model;
        model.help = help;
        screen.draw(|frame| view::draw(frame, model, theme, keys))?;
        match key(Duration::from_millis(100))? {
            Some(Key::Char('q') | Key::Stop) => break,
            Some(Key::Tab) => shown = (shown + 1) % watched.len(),
            Some(Key::Char('?')) => help = !help,
            Some(_) => help = false,
            None => {}
        }
    }
    Ok(())
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
        crate::say!("  evaluation at {:.0}: {:.2} ± {:.2}", e.step, e.mean, e.high - e.mean);
    }
}
