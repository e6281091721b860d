//! `agon replay`: simulates a saved episode again, checks every hash, shows it or exports it.

use crate::animation;
use crate::beside;
use crate::cli;
use crate::failure::{Failure, Outcome};
use crate::raster::Orbit;
use crate::run::{Run, read_episode};
use crate::screen::{self, Screen};
use crate::signals;
use crate::tournament::{film, notation};
use crate::tui::app::{self, Key, Next, Page};
use crate::tui::pane::Theme;
use crate::tui::pictures::Choice;
use agon_core::episode::{Action, Episode, ReplayError, Solo, Step, replay};
use agon_core::game::{Position, Turn};
use agon_core::graph::Graph;
use agon_core::scene::digits;
use agon_core::{ActionSpec, Scene, Spec};
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout};
use ratatui::widgets::Paragraph;
use ratatui::{Frame, Terminal};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An episode with a picture of every state.
pub struct Film {
    episode: Episode,
    /// One picture a state, the starting one first.
    pub scenes: Vec<Scene>,
    totals: Vec<f64>,
    discount: f64,
}

impl Film {
    fn of((episode, mut scenes): (Episode, Vec<Scene>), discount: f64) -> Self {
        for i in (1..scenes.len()).rev() {
            let (before, after) = scenes.split_at_mut(i);
            after[0].mark_changes(&before[i - 1]);
        }
        let (mut total, mut weight) = (0.0, 1.0);
        let mut totals = vec![0.0];
        totals.extend(episode.steps.iter().map(|s| {
            total += weight * f64::from(s.reward[0]);
            weight *= discount;
            total
        }));
        Self { episode, scenes, totals, discount }
    }
}

pub fn run(args: &cli::Replay) -> Outcome {
    let tournament = film::is_tournament(&args.episode);
    if tournament && args.verify && args.game.is_none() {
        let games = film::verify(&args.episode)?;
        crate::say!("verified: all moves, returns and last positions of {games} games are as recorded");
        return Ok(());
    }
    if let (true, Some(file)) = (tournament, &args.export)
        && file.extension().is_some_and(|e| e == "pgn" || e == "sgf")
    {
        let games = notation::export(&args.episode, args.game, file)?;
        crate::say!("wrote {games} games to {}", file.display());
        return Ok(());
    }
    if args.game.is_some() && !tournament {
        return Err(Failure::Input(format!("--game: {} is not a tournament", args.episode.display())));
    }
    let path = if tournament { args.episode.clone() } else { locate(&args.episode)? };
    let film = if tournament { Film::of(film::film(&path, args.game)?, 1.0) } else { simulate(&path)? };
    let (steps, header) = (film.episode.steps.len(), &film.episode.header);
    let totals: Vec<String> = film.episode.totals(film.discount).iter().map(|t| format!("{t:.2}")).collect();
    let line = format!("{}: {} steps, return {}, by {}", header.env, steps, totals.join(" and "), header.actor);
    if args.verify {
        if !film.episode.steps.last().is_some_and(|s| s.terminated || s.truncated) {
            let message = format!("{}: the file is cut short: its last step does not end the episode", path.display());
            return Err(Failure::Check(message));
        }
        crate::say!("{line}\nverified: all {} hashes, rewards and flags are as recorded", steps + 1);
        return Ok(());
    }
    if let Some(file) = &args.export {
        return export(&film, file);
    }
    if !screen::is_terminal() {
        crate::say!("{line}\nverified; in a terminal this steps through it, --export writes it to a file");
        return Ok(());
    }
    show(&film, &line)
}

/// An episode file, or the newest one of a run.
fn locate(path: &Path) -> Outcome<PathBuf> {
    if path.is_dir() {
        let run = Run::open(path)?;
        let none = || Failure::Input(format!("{} has no saved episodes yet", path.display()));
        return run.episodes().pop().ok_or_else(none);
    }
    Ok(path.to_owned())
}

/// What led through a saved episode, from its beginning to its end, where its pictures have curves of that.
pub fn graphs(path: &Path) -> Vec<Graph> {
    let drawn = |(_, solo): &(Episode, Solo)| {
        let mut scene = Scene::default();
        solo.env().draw(0, solo.view(), &mut scene);
        !scene.graphs.is_empty()
    };
    // Most episodes have none; to see that, they need not be simulated.
    let Some(film) = opened(path).ok().filter(drawn).and_then(|_| simulate(path).ok()) else { return Vec::new() };
    let mut scenes = film.scenes.into_iter();
    let mut whole = scenes.next().map_or(Vec::new(), |scene| scene.graphs);
    for scene in scenes {
        whole.iter_mut().zip(&scene.graphs).for_each(|(own, later)| own.go_on(later));
    }
    whole
}

fn unfit(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::Input(format!("{}: {why}", path.display()))
}

/// A saved episode, and its environment before it.
fn opened(path: &Path) -> Outcome<(Episode, Solo)> {
    let episode = read_episode(path)?;
    let header = &episode.header;
    let wrong = |e: &dyn std::fmt::Display| unfit(path, e);
    let entry = agon_envs::find(&header.env).map_err(|e| wrong(&e))?;
    if entry.version != header.version {
        let version = ReplayError::Version { env: header.env.clone(), recorded: header.version, here: entry.version };
        return Err(Failure::Check(format!("{}: {version}", path.display())));
    }
    let mut settings = header.settings.clone();
    beside::find(entry.files, &mut settings, path.parent().unwrap_or(Path::new("")));
    let mut solo = Solo::new(entry.build(&settings, 1, 1).map_err(|e| wrong(&e))?);
    solo.reset(header.seed, agon_core::rng::Stream::Env);
    Ok((episode, solo))
}

/// Simulates a saved episode again; an error names the first thing that is not as recorded.
pub fn simulate(path: &Path) -> Outcome<Film> {
    let (episode, mut solo) = opened(path)?;
    let mut scenes = Vec::with_capacity(episode.steps.len() + 1);
    let mut before = None;
    let checked = replay(&episode, &mut solo, |at, solo| {
        let mut scene = Scene::default();
        solo.env().draw(0, solo.view(), &mut scene);
        let step = at.checked_sub(1).and_then(|i| episode.steps.get(i));
        scene.caption = step.map_or(String::new(), |s| in_words(&s.action, solo.env().spec(), before.as_ref()));
        if let (Some(Step { action: Action::Continuous(a), .. }), ActionSpec::Continuous { fields }) =
            (step, &solo.env().spec().action)
        {
            scene.show_action(fields, a);
        }
        before = solo.env().position(0, solo.view());
        scenes.push(scene);
    });
    checked.map_err(|e| match e {
        ReplayError::Unfit(_) => unfit(path, &e),
        differs => Failure::Check(format!("{}: {differs}", path.display())),
    })?;
    let discount = solo.env().spec().discount;
    Ok(Film::of((episode, scenes), discount))
}

/// An action as people know it: a game's move in its notation, a choice by its label. `before`: the game's position in
/// which it was taken.
fn in_words(action: &Action, spec: &Spec, before: Option<&Position>) -> String {
    let words: Vec<String> = match (action, before) {
        (Action::Discrete(a), Some(Position { turn: Turn::Player(mover), seats, moves, .. })) => {
            let written = moves.iter().find(|(m, _)| a.get(*mover) == Some(&i64::from(*m)));
            vec![format!("{}: {}", seats[*mover], written.map_or("?", |(_, text)| text))]
        }
        (Action::Discrete(a), _) => match &spec.action {
            ActionSpec::Discrete { labels } => {
                a.iter().map(|a| labels.get(*a as usize).cloned().unwrap_or_else(|| a.to_string())).collect()
            }
            _ => a.iter().map(ToString::to_string).collect(),
        },
        (Action::Continuous(a), _) => a.iter().map(|x| format!("{x:.*}", digits((*x).into(), 3))).collect(),
    };
    words.join(" ")
}

/// What is shown of an episode, and how.
#[derive(Clone, Copy)]
struct Shot<'a> {
    /// The state, counted from the starting one.
    at: usize,
    title: &'a str,
    keys: &'a str,
    orbit: Orbit,
    choice: Choice,
}

fn draw(frame: &mut Frame<'_>, film: &Film, shot: Shot<'_>, theme: Theme) {
    let Shot { at, title, keys, orbit, choice } = shot;
    let [top, body, bar, bottom] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1), Constraint::Length(2)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(title).style(theme.strong()), top);
    let picture = choice.of(film.scenes.get(at), &[]);
    choice.draw(frame, body, &film.episode.header.env, picture, orbit, theme);
    let last = film.scenes.len() - 1;
    let share = if last == 0 { 1.0 } else { at as f64 / last as f64 };
    frame.render_widget(theme.bar(share, format!("step {at:>5} of {last}")), bar);
    let step = at.checked_sub(1).and_then(|i| film.episode.steps.get(i));
    let told = step.map_or(String::new(), |s| {
        let end = if s.terminated {
            "  terminated"
        } else if s.truncated {
            "  truncated"
        } else {
            ""
        };
        let done = film.scenes.get(at).map_or("", |scene| &scene.caption);
        let (reward, total) = (f64::from(s.reward[0]), film.totals[at]);
        let [after, behind] = [digits(reward, 3), digits(total, 2)];
        format!("{done}   reward {reward:.after$}  return {total:.behind$}{end}   ")
    });
    frame.render_widget(Paragraph::new(format!("{told}\n{keys}")).style(theme.faint()), bottom);
}

fn show(film: &Film, title: &str) -> Outcome {
    signals::for_view()?;
    let mut screen = Screen::without_log()?;
    let (orbit, choice) = (Orbit::default(), Choice::default());
    let mut page = Shown { film, title, at: 0, playing: true, speed: 20.0, due: Instant::now(), orbit, choice };
    app::run(&mut screen, &mut page)
}

/// An episode at one of its steps.
struct Shown<'a> {
    film: &'a Film,
    title: &'a str,
    at: usize,
    playing: bool,
    /// Steps a second.
    speed: f64,
    /// When the next step is shown.
    due: Instant,
    orbit: Orbit,
    choice: Choice,
}

impl Shown<'_> {
    fn last(&self) -> usize {
        self.film.scenes.len() - 1
    }

    fn goes_on(&self) -> bool {
        self.playing && self.at < self.last()
    }
}

impl Page for Shown<'_> {
    fn update(&mut self) -> Outcome {
        if self.goes_on() && Instant::now() >= self.due {
            self.at += 1;
            self.due = Instant::now() + Duration::from_secs_f64(1.0 / self.speed);
        }
        Ok(())
    }

    fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let deep = self.film.scenes.first().is_some_and(|scene| scene.space.is_some());
        let camera = if deep { Orbit::KEYS } else { "" };
        let pictures = self.choice.keys(self.film.scenes.get(self.at), &[], "Tab");
        let keys = format!("[{:.0}/s] space ← → home end + - q   {pictures}{camera}", self.speed);
        let (keys, orbit, choice) = (keys.trim_end(), self.orbit, self.choice);
        let shot = Shot { at: self.at, title: self.title, keys, orbit, choice };
        draw(frame, self.film, shot, theme);
    }

    fn wait(&self) -> Duration {
        let most = Duration::from_millis(200);
        if self.goes_on() { self.due.saturating_duration_since(Instant::now()).min(most) } else { most }
    }

    fn key(&mut self, key: Key) -> Next {
        let last = self.last();
        match key {
            Key::Stop => signals::end_at_once(),
            Key::Char('q') => return Next::Leave,
            Key::Char(' ') if self.at == last => (self.at, self.playing) = (0, true),
            Key::Char(' ') => self.playing = !self.playing,
            Key::Left => (self.at, self.playing) = (self.at.saturating_sub(1), false),
            Key::Right => (self.at, self.playing) = ((self.at + 1).min(last), false),
            Key::Home => (self.at, self.playing) = (0, false),
            Key::End => (self.at, self.playing) = (last, false),
            Key::Char('+' | '=') => self.speed = (self.speed * 1.5).min(2000.0),
            Key::Char('-') => self.speed = (self.speed / 1.5).max(1.0),
            Key::Char(c) => drop(self.orbit.key(c)),
            other => drop(self.choice.key(other)),
        }
        Next::Stay
    }
}

fn export(film: &Film, file: &Path) -> Outcome {
    let episode = &film.episode;
    let unfit = |why: String| Failure::Input(format!("{}: {why}", file.display()));
    let bytes = match file.extension().and_then(|e| e.to_str()) {
        Some("gif") => animation::of(&film.scenes).map_err(unfit)?,
        Some("json") => format!("{}\n", json!({"header": episode.header, "steps": episode.steps})).into_bytes(),
        Some("csv") => csv(film).into_bytes(),
        Some("cast") => cast(film).into_bytes(),
        _ => return Err(unfit("the name must end in .csv, .json, .cast or .gif".into())),
    };
    std::fs::write(file, bytes).map_err(|e| Failure::write(file, &e))?;
    crate::say!("wrote {}", file.display());
    Ok(())
}

fn csv(film: &Film) -> String {
    let numbers = |action: &Action| -> Vec<String> {
        match action {
            Action::Discrete(a) => a.iter().map(ToString::to_string).collect(),
            Action::Continuous(a) => a.iter().map(ToString::to_string).collect(),
        }
    };
    let steps = &film.episode.steps;
    let width = steps.first().map_or(0, |s| numbers(&s.action).len());
    let agents = steps.first().map_or(0, |s| s.reward.len());
    let mut out = String::from("step");
    (0..width).for_each(|k| out += &format!(",action_{k}"));
    (0..agents).for_each(|k| out += &format!(",reward_{k}"));
    out += ",terminated,truncated,hash\n";
    for (i, s) in steps.iter().enumerate() {
        let rewards = s.reward.iter().map(ToString::to_string);
        let cells: Vec<String> = numbers(&s.action).into_iter().chain(rewards).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{},{},{},{},{:016x}", i + 1, cells.join(","), s.terminated, s.truncated, s.hash);
    }
    out
}

/// An asciinema recording, 20 steps a second.
fn cast(film: &Film) -> String {
    const SIZE: (u16, u16) = (80, 24);
    let mut out =
        json!({"version": 2, "width": SIZE.0, "height": SIZE.1, "title": film.episode.header.env}).to_string();
    out.push('\n');
    let Ok(mut terminal) = Terminal::new(TestBackend::new(SIZE.0, SIZE.1));
    for at in 0..film.scenes.len() {
        let title = format!("{} by {}", film.episode.header.env, film.episode.header.actor);
        let Ok(_) = terminal.draw(|frame| {
            let (orbit, choice) = (Orbit::default(), Choice::default());
            draw(frame, film, Shot { at, title: &title, keys: "", orbit, choice }, Theme { colour: false });
        });
        let cells = terminal.backend().buffer().content();
        let rows =
            cells.chunks(SIZE.0 as usize).map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>());
        let picture = format!("\x1b[H{}", rows.collect::<Vec<_>>().join("\r\n"));
        out += &(json!([at as f64 * 0.05, "o", picture]).to_string() + "\n");
    }
    out
}
