//! A tournament as its scenario says it: who, how many pairs, which format, when it stops.

use super::book::{self, Entry};
use super::sprt::{Model, Test};
use crate::failure::{Failure, Outcome};
use crate::scenario::Source;
use agon_core::EnvError;
use agon_core::settings::{Issue, Settings};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

agon_core::choices! {
    /// Who meets whom.
    pub enum Format { RoundRobin = "round-robin", Gauntlet = "gauntlet", Swiss = "swiss", Sprt = "sprt" }
}

agon_core::choices! {
    /// In which order openings are taken.
    pub enum Order { Sequential = "sequential", Random = "random" }
}

agon_core::settings! {
    /// The `[tournament]` of a scenario.
    pub struct TournamentSettings {
        /// The format: all players meet, one meets all others, players of equal score meet, or two play until a test is
        /// decided.
        format: Format = Format::RoundRobin;
        /// The player that meets all others under `gauntlet`, or the first player under `sprt`; empty for the first by
        /// name.
        challenger: String = String::new();
        /// Pairs of games whenever two meet (at most so many under `sprt`).
        pairs: u64 = 100, in [1.0, 1e9];
        /// Rounds, under `swiss`.
        rounds: u64 = 7, in [1.0, 1000.0];
        /// The seed of all games.
        seed: u64 = 1;
        /// Games played at once; 0 for one per core. The games are the same for any number.
        concurrency: usize = 0, in [0.0, 256.0];
        /// Random plies that open a pair, after its opening; left out they are 0 where openings or a book are given.
        opening_plies: u32 = 2, in [0.0, 1000.0];
        /// Openings as moves in the game's notation, or positions of chess (FEN, EPD), used in turn.
        openings: Vec<String> = Vec::new();
        /// A file of more openings beside the scenario: one per line, or games in PGN.
        book: String = String::new();
        /// Plies used of every opening; 0 for all.
        book_plies: u32 = 0, in [0.0, 1000.0];
        /// Whether openings are used in their order or in one drawn from the seed.
        order: Order = Order::Sequential;
        /// A game that has more plies is a draw; 0 for no limit but the game's own.
        max_plies: u32 = 0, in [0.0, 1e6];
        /// The time limit of a move in milliseconds; 0 for none.
        move_ms: u64 = 0, in [0.0, 1e9];
        /// Tolerance beyond that limit, in milliseconds.
        margin_ms: u64 = 20, in [0.0, 1e9];
        /// A player loses after so many of its moves in a row whose own values say that it has lost; 0 for never.
        resign_moves: u32 = 0, in [0.0, 1000.0];
        /// The value from which a game counts as decided: 0 is an even game, 1 a won one.
        resign_value: f64 = 0.95, in [0.01, 1.0];
        /// The same in hundredths of a pawn, in place of `resign_value`; 0 for none.
        resign_score: u32 = 0, in [0.0, 2500.0];
        /// Whether the other player's values must be as far from even, for as many moves.
        resign_twosided: bool = false;
        /// A game is drawn after so many moves of each player in a row with nearly even values; 0 for never.
        draw_moves: u32 = 0, in [0.0, 1000.0];
        /// The value up to which a game counts as even.
        draw_value: f64 = 0.05, in [0.0, 1.0];
        /// The same in hundredths of a pawn, in place of `draw_value`; 0 for none.
        draw_score: u32 = 0, in [0.0, 2500.0];
        /// Plies that must be played before a game is drawn so.
        draw_after: u32 = 80, in [0.0, 1e6];
        /// Whether the input and output of engines is logged to the folder `engines` of the tournament.
        engine_logs: bool = false;
        /// The entrant whose rating is `anchor_elo`; empty for an average of 0.
        anchor: String = String::new();
        /// The anchor's rating.
        anchor_elo: f64 = 0.0, in [-10_000.0, 10_000.0];
        /// Elo under H0.
        elo0: f64 = 0.0, in [-1000.0, 1000.0];
        /// Elo under H1.
        elo1: f64 = 5.0, in [-1000.0, 1000.0];
        /// The probability of accepting H1 where H0 is true.
        alpha: f64 = 0.05, in [1e-6, 0.5];
        /// The probability of accepting H0 where H1 is true.
        beta: f64 = 0.05, in [1e-6, 0.5];
        /// The Elo model of the test.
        model: Model = Model::Normalized;
    }
}

/// An entrant.
#[derive(Clone, Debug, PartialEq)]
pub struct Entrant {
    pub name: String,
    /// The player in words: `mcts:simulations=1000`.
    pub player: String,
}

/// A tournament that was understood whole.
#[derive(Debug)]
pub struct TournamentPlan {
    pub name: String,
    pub game: String,
    pub game_settings: Map<String, Value>,
    pub entrants: Vec<Entrant>,
    pub set: TournamentSettings,
    /// The scenario with every default filled in.
    pub resolved: String,
    source: Source,
    /// The book, whose entries are the last of `openings`.
    book: Option<(PathBuf, Vec<Entry>)>,
}

impl TournamentPlan {
    /// Reads and checks a scenario; `sets` as on the command line.
    pub fn read(path: &Path, sets: &[String]) -> Outcome<Self> {
        let path = &crate::embedded::locate(path)?;
        Self::of(Source::read(path, sets)?, path)
    }

    /// Players that meet each other at the game of the first run among them.
    pub fn of_players(players: &[String], sets: &[String]) -> Outcome<Self> {
        let runs = players.iter().filter_map(|words| scenario_of(words));
        let Some(path) = runs.into_iter().next() else {
            return Err(Failure::Input(format!(
                "{}: none of these is a scenario or a run, and so nothing says which game is played; write a scenario \
                 with [entrants], or name a run among them",
                players.join(" ")
            )));
        };
        let run = Source::read(&path, &[])?;
        let trained_on = run.section("env")?.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !agon_envs::games::NAMES.contains(&trained_on.as_str()) {
            let folder = path.parent().unwrap_or(&path).display();
            return Err(Failure::Input(if run.table.contains_key("model") {
                format!("{folder} is a model of data, which has no environment: a tournament needs a game")
            } else {
                format!("{folder} was trained on {trained_on}, which is no turn-based game: a tournament needs one")
            }));
        }
        let mut whole = Map::new();
        whole.insert("name".into(), "games/players".into());
        whole.insert("env".into(), Value::Object(run.section("env")?));
        let (mut entrants, mut met) = (Map::new(), Vec::new());
        for words in players {
            let (folder, settings) = words.split_once(':').unwrap_or((words, ""));
            let same = (std::fs::canonicalize(folder).unwrap_or_else(|_| folder.into()), settings);
            if met.contains(&same) {
                return Err(Failure::Input(format!("{words} is named twice")));
            }
            met.push(same);
            let parts: Vec<&str> = folder.trim_end_matches('/').split('/').filter(|p| *p != "checkpoints").collect();
            let short = parts[parts.len().saturating_sub(2)..].join("/");
            let name = if settings.is_empty() { short } else { format!("{short}:{settings}") };
            let name = if entrants.contains_key(&name) { words.clone() } else { name };
            if entrants.insert(name.clone(), words.as_str().into()).is_some() {
                return Err(Failure::Input(format!("{name} is named twice")));
            }
        }
        whole.insert("entrants".into(), Value::Object(entrants));
        let text = toml::to_string(&whole).map_err(|e| Failure::Internal(format!("no scenario: {e}")))?;
        Self::of(Source::parse(Path::new("the command line"), text, sets)?, Path::new("players.toml"))
    }

    fn of(source: Source, path: &Path) -> Outcome<Self> {
        let within = |section: &str, issues: Vec<Issue>| -> Failure {
            source.wrong(&issues.into_iter().map(|i| i.within(section)).collect::<Vec<_>>())
        };
        let mut game_settings = source.section("env")?;
        let game = source.word("env", &mut game_settings, "id")?;
        if !agon_envs::games::NAMES.contains(&game.as_str()) {
            let near = agon_core::settings::nearest(&game, agon_envs::games::NAMES.iter().copied());
            return Err(source.unknown("env", "id", &format!("no game is called `{game}`, see `agon envs`"), &near));
        }
        let resolved = agon_envs::find(&game).and_then(|entry| entry.resolve(&game_settings));
        let game_settings = resolved.map_err(|e| match e {
            EnvError::Settings(issues) => within("env", issues),
            other => Failure::Input(other.to_string()),
        })?;
        let given = source.section("tournament")?;
        let mut set = TournamentSettings::read(&given).map_err(|issues| within("tournament", issues))?;
        let mut book = None;
        if !set.book.is_empty() {
            // Its openings become part of the scenario: a run needs nothing beside itself.
            let file = path.with_file_name(std::mem::take(&mut set.book));
            let entries = book::read(&file, set.book_plies)?;
            set.openings.extend(entries.iter().map(|e| e.text.clone()));
            book = Some((file, entries));
        }
        if !set.openings.is_empty() && !given.contains_key("opening_plies") {
            set.opening_plies = 0;
        }
        let mut entrants = Vec::new();
        for (name, player) in source.section("entrants")? {
            let Value::String(player) = player else {
                let message = "expected a player in words, such as \"mcts:simulations=1000\"";
                return Err(within("entrants", vec![Issue::value(&name, message)]));
            };
            if name.trim().is_empty() || name.chars().any(char::is_control) {
                return Err(within("entrants", vec![Issue::value(&name, "a name has letters, on one line")]));
            }
            entrants.push(Entrant { name, player });
        }
        let wrong = |key: &str, message: String| Err(within("tournament", vec![Issue::value(key, message)]));
        if entrants.len() < 2 {
            let message = format!("a tournament needs two entrants at least, here are {}", entrants.len());
            return Err(source.wrong(&[Issue::key("entrants", message)]));
        }
        if !set.anchor.is_empty() && entrants.iter().all(|e| e.name != set.anchor) {
            return wrong("anchor", format!("no entrant is called `{}`", set.anchor));
        }
        if !set.challenger.is_empty() {
            match entrants.iter().position(|e| e.name == set.challenger) {
                Some(at) => entrants[..=at].rotate_right(1),
                None => return wrong("challenger", format!("no entrant is called `{}`", set.challenger)),
            }
        }
        if set.format == Format::Sprt {
            if entrants.len() != 2 {
                return wrong("format", format!("a sequential test is between two, here are {}", entrants.len()));
            }
            if let Some(issue) = test(&set).issue() {
                return wrong("elo0", issue);
            }
        }
        let name = source.name(path)?;
        let mut whole = Map::new();
        whole.insert("name".into(), name.clone().into());
        whole.insert("about".into(), source.table.get("about").cloned().unwrap_or_else(|| "".into()));
        let mut env = game_settings.clone();
        env.insert("id".into(), game.clone().into());
        whole.insert("env".into(), env.into());
        whole.insert("tournament".into(), set.write().into());
        let listed = entrants.iter().map(|e| (e.name.clone(), Value::from(e.player.clone())));
        whole.insert("entrants".into(), Value::Object(listed.collect()));
        let resolved =
            toml::to_string(&whole).map_err(|e| Failure::Internal(format!("the scenario cannot be written: {e}")))?;
        Ok(Self { name, game, game_settings, entrants, set, resolved, source, book })
    }

    /// Something is wrong with an entrant.
    pub fn wrong_entrant(&self, name: &str, message: String) -> Failure {
        self.source.wrong(&[Issue::value(name, message).within("entrants")])
    }

    /// Something is wrong with an opening, counted from 0, or with one of its moves.
    pub fn wrong_opening(&self, number: usize, word: Option<usize>, why: &str) -> Failure {
        if let Some((file, entries)) = &self.book
            && let Some(entry) =
                (number + entries.len()).checked_sub(self.set.openings.len()).and_then(|i| entries.get(i))
        {
            return Failure::Input(format!("{}:{}: {why}", file.display(), entry.line_of(word)));
        }
        let message = format!("\"{}\": {why}", self.set.openings[number]);
        self.source.wrong(&[Issue::value("openings", message).within("tournament")])
    }

    /// No game is left after the openings.
    pub fn wrong_plies(&self) -> Failure {
        let plies = self.set.opening_plies;
        let message = format!("after {plies} random plies the game is over, twenty times out of twenty");
        self.source.wrong(&[Issue::value("opening_plies", message).within("tournament")])
    }

    /// Something is wrong with the game.
    pub fn wrong_game(&self, message: String) -> Failure {
        self.source.wrong(&[Issue::value("id", message).within("env")])
    }

    /// Plies after which a game is a draw; `own` is the game's own limit.
    pub fn most_plies(&self, own: u32) -> u32 {
        if self.set.max_plies == 0 { own } else { self.set.max_plies }
    }

    /// The sequential test, under `sprt`.
    pub fn test(&self) -> Option<Test> {
        (self.set.format == Format::Sprt).then(|| test(&self.set))
    }

    /// The entrant of known rating.
    pub fn anchor(&self) -> Option<(usize, f64)> {
        let at = self.entrants.iter().position(|e| e.name == self.set.anchor)?;
        Some((at, self.set.anchor_elo))
    }
}

/// The scenario of the run that a player in words is, or whose checkpoint it is.
fn scenario_of(words: &str) -> Option<PathBuf> {
    let folder = Path::new(words.split(':').next().unwrap_or_default());
    let above = folder.parent().and_then(Path::parent);
    [Some(folder), above].into_iter().flatten().map(|f| f.join("scenario.toml")).find(|f| f.is_file())
}

fn test(set: &TournamentSettings) -> Test {
    Test { elo0: set.elo0, elo1: set.elo1, alpha: set.alpha, beta: set.beta, model: set.model }
}
