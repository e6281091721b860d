//! `agon watch`: the dashboard on runs on disk, live or finished.

use crate::cli;
use crate::failure::{Failure, Outcome, quoted};
use crate::files;
use crate::replay::Film;
use crate::run::{Run, Tail, root};
use crate::screen::{self, Screen};
use crate::signals;
use crate::tournament::film;
use crate::tui::live::{Key, key};
use crate::tui::model::Model;
use crate::tui::pane::Theme;
use crate::tui::view;
use agon_core::event::Event;
use std::path::PathBuf;
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
        let device = files::text(&run.path("provenance.json"));
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
        vec![crate::runs::all(&root).pop().ok_or_else(none)?.1]
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
            Some(Key::Stop) => signals::end_at_once(),
            Some(Key::Char('q')) => break,
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
        let half = if e.high > e.mean { format!(" ± {:.2}", e.high - e.mean) } else { String::new() };
        crate::say!("  evaluation at {:.0}: {:.2}{half}", e.step, e.mean);
    }
}
