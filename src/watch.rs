//! `agon watch`: the dashboard on runs on disk, live or finished.

use crate::cli;
use crate::failure::{Failure, Outcome, quoted};
use crate::files;
use crate::group::{Group, Spread};
use crate::replay::Film;
use crate::run::{Run, Tail, root};
use crate::screen::{self, Screen};
use crate::search::record::Folder;
use crate::search::{Tried, objective, ranked};
use crate::signals;
use crate::tournament::film;
use crate::tui::app::{self, Key, Next, Page};
use crate::tui::model::Model;
use crate::tui::pane::{Theme, number};
use crate::tui::together::{self, Of, Row};
use crate::tui::view;
use agon_core::event::Event;
use ratatui::Frame;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A run that is being looked at.
struct Watched {
    run: Run,
    metrics: Tail,
    speed: Tail,
    model: Model,
    /// The newest saved episode, played over and over in place of the live view.
    film: Option<(PathBuf, Film)>,
    at: usize,
    /// When the pictures were written that `model` has.
    plots_at: Option<SystemTime>,
    /// Its seed, or the number of its trial, where it is one of several.
    label: String,
    /// Of a trial that has ended: what decided about it.
    result: Option<f64>,
    /// The settings of a trial.
    note: String,
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
            plots_at: None,
            label: String::new(),
            result: None,
            note: String::new(),
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
            let Model { run, device, frame_of, orbit, choice, plots, .. } = std::mem::take(&mut self.model);
            self.model = Model { run, device, frame_of, orbit, choice, plots, watching: true, ..Model::default() };
        }
        for event in &events {
            // A resumed run's file goes on after the line that ended it before.
            if !matches!(event, Event::Finished { .. }) {
                self.model.outcome = None;
            }
            self.model.apply(event);
        }
        // A resumed run may make more steps than it began with.
        if let Some(steps) = self.run.read_status().and_then(|status| status["steps"].as_u64()) {
            self.model.steps = steps;
        }
        let speed = self.speed.poll().1;
        for event in &speed {
            self.model.apply(event);
        }
        let plots_at = self.run.plots_at();
        if plots_at != self.plots_at {
            (self.plots_at, self.model.plots) = (plots_at, self.run.plots());
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
        let search = newest.parent().filter(|folder| Folder::is_one(folder)).map(Path::to_owned);
        vec![search.or_else(|| Group::of(&newest).map(|group| group.folder)).unwrap_or(newest)]
    } else {
        args.runs.clone()
    };
    if let [folder] = &folders[..]
        && Group::is_one(folder)
    {
        return watch_group(&Group::open(folder)?);
    }
    if let [folder] = &folders[..]
        && Folder::is_one(folder)
    {
        return watch_search(Folder::open(folder)?);
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
    let mut page = Runs { watched, shown: Some(0), ..Runs::new(title) };
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

fn watch_search(search: Folder) -> Outcome {
    let mut page = Runs::of_search(search);
    if screen::is_terminal() {
        signals::for_view()?;
        return app::run(&mut Screen::without_log()?, &mut page);
    }
    let Some((search, _)) = &page.search else { return Ok(()) };
    let done = search.tried();
    let name = objective(&done).map_or("result", |(name, _)| name);
    crate::say!("{} of {} trials have ended", ranked(&done).len(), search.search.settings.trials);
    crate::say!("{}", search.leaderboard(&done, name, usize::MAX).trim_end());
    page.watched.iter().filter(|w| w.model.outcome.is_none()).for_each(summary);
    Ok(())
}

/// Trials of a search on one page at most: the best, and those that go on.
const TRIALS: usize = 40;
/// How often it is looked whether trials have begun or ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Several runs: all on one page, or one at a time.
pub struct Runs {
    title: String,
    /// The search that they are trials of, and when its folder is looked at again.
    search: Option<(Folder, Instant)>,
    watched: Vec<Watched>,
    /// The one on the page; none for all together.
    shown: Option<usize>,
    help: bool,
    asking: bool,
}

impl Runs {
    /// Of nothing yet.
    fn new(title: String) -> Self {
        Self { title, search: None, watched: Vec::new(), shown: None, help: false, asking: false }
    }

    /// The trials of a search, all on one page first.
    fn of_search(search: Folder) -> Self {
        let title = search.folder.display().to_string();
        let mut page = Self { search: Some((search, Instant::now())), ..Self::new(title) };
        page.look();
        page
    }

    /// Takes in trials that have begun or ended: the best first, then those that go on.
    fn look(&mut self) {
        let Some((search, next)) = &mut self.search else { return };
        if Instant::now() < *next || self.shown.is_some() {
            return;
        }
        *next = Instant::now() + LOOK_EVERY;
        let done = search.tried();
        let best: Vec<&Tried> = ranked(&done).into_iter().take(TRIALS).collect();
        let ended = |trial: &usize| done.iter().any(|tried| tried.job.trial == *trial);
        let begun = |trial: &usize| search.trial(*trial).is_dir();
        let open = (0..search.search.settings.trials).filter(|trial| !ended(trial) && begun(trial));
        let trials = best.iter().map(|tried| tried.job.trial).chain(open.take(TRIALS));
        let seeds = &search.record.seeds;
        let mut known = std::mem::take(&mut self.watched);
        for (trial, seed) in trials.flat_map(|trial| seeds.iter().map(move |seed| (trial, *seed))) {
            let run = search.run(trial, seed);
            let place = known.iter().position(|w| w.run.folder == run.folder);
            let Some(mut watched) =
                place.map(|at| known.swap_remove(at)).or_else(|| Run::open(&run.folder).ok().map(Watched::new))
            else {
                continue;
            };
            let several = if seeds.len() > 1 { format!("·{seed}") } else { String::new() };
            watched.label = format!("{}{several}", trial + 1);
            let tried = best.iter().find(|tried| tried.job.trial == trial);
            watched.result = tried.and_then(|tried| tried.value);
            watched.note = tried.map_or_else(String::new, |tried| search.shown(&tried.job.at));
            watched.poll();
            self.watched.push(watched);
        }
        let (ended, of) = (ranked(&done).len(), search.search.settings.trials);
        self.title = format!("{} · {ended} of {of} trials", search.folder.display());
    }

    /// Those of a group, all on one page first.
    pub fn of_group(group: &Group) -> Self {
        let one = |(seed, run): (u64, Run)| {
            let mut watched = Watched::new(run);
            watched.model.seed = seed;
            watched
        };
        let title = group.folder.display().to_string();
        Self { watched: group.runs().map(one).collect(), ..Self::new(title) }
    }

    /// Whether it is asked what becomes of them.
    pub fn ask(&mut self, asking: bool) {
        self.asking = asking;
    }
}

impl Page for Runs {
    fn update(&mut self) -> Outcome {
        self.look();
        self.watched.iter_mut().for_each(Watched::poll);
        if let Some(shown) = self.shown {
            self.watched[shown].play();
        }
        Ok(())
    }

    fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let Some(shown) = self.shown else {
            let of = if self.search.is_some() { Of::Trials } else { Of::Seeds };
            let row = |w| {
                let Watched { model, label, result, note, .. }: &Watched = w;
                let label = if of == Of::Seeds { model.seed.to_string() } else { label.clone() };
                Row { label, model, result: *result, note }
            };
            let rows: Vec<Row<'_>> = self.watched.iter().map(row).collect();
            let keys = "q quit   Tab one run at a time";
            return together::draw(frame, (&self.title, of), &rows, theme, keys, self.asking);
        };
        let several = self.watched.len() > 1;
        let keys = if several { "q quit   Tab next run   ? help" } else { "q quit   ? help" };
        let model = &mut self.watched[shown].model;
        (model.help, model.asking) = (self.help, self.asking);
        let keys = format!("{keys}   {}", model.picture_keys());
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
            other
                if other != Key::Tab && self.shown.is_some_and(|shown| self.watched[shown].model.choice.key(other)) => {
            }
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
