//! Tournaments: who plays whom, what is recorded, and what it says.
//!
//! | to learn about | read |
//! | --- | --- |
//! | what a scenario can say | [`plan`] |
//! | who plays the n-th pair | [`schedule`] |
//! | one pair of games | [`game`] |
//! | books of openings | [`book`] |
//! | games that end early, by the players' values | [`adjudicator`] |
//! | workers, the file of games, resuming | [`play`] |
//! | Elo with intervals | [`ratings`] |
//! | sequential tests | [`sprt`] |
//! | games played again, for replay | [`film`] |
//! | PGN and SGF | [`notation`] |
//! | Nash averaging, α-rank, cycles | [`equilibrium`] |

pub mod adjudicator;
pub mod book;
pub mod equilibrium;
pub mod film;
pub mod game;
pub mod notation;
pub mod plan;
pub mod play;
pub mod ratings;
pub mod report;
pub mod schedule;
pub mod sprt;
pub mod watch;

use crate::cli;
use crate::failure::{Failure, Outcome};
use crate::run::Run;
use crate::signals;
use agon_core::Game;
use agon_core::game::Visit;
use agon_search::{Networks, guided, registry};
use plan::TournamentPlan;
use play::Played;
use report::Report;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;

/// `agon tournament`, of what [`read`] found.
pub fn run(args: &cli::Tournament, plan: &TournamentPlan, networks: &dyn Networks) -> Outcome {
    let game = Contest { plan, args, networks };
    agon_envs::games::visit(&plan.game, &plan.game_settings, game).map_err(|e| plan.wrong_game(e.to_string()))?
}

/// What the command line asks for: a scenario, runs that meet each other, or the rest of a tournament.
pub fn read(args: &cli::Tournament) -> Outcome<TournamentPlan> {
    match (&args.resume, &args.scenario[..]) {
        (Some(folder), _) => {
            let workers = |set: &&String| set.split('=').next().map(str::trim) == Some("tournament.concurrency");
            if let Some(other) = args.set.iter().find(|set| !workers(set)) {
                let message =
                    format!("--set {other}: of a tournament that was begun, only tournament.concurrency may change");
                return Err(Failure::Input(message));
            }
            Run::open(folder)?.check_scenario()?;
            TournamentPlan::read(&folder.join("scenario.toml"), &args.set)
        }
        (None, []) => Err(Failure::Input("name a scenario, or a tournament with --resume".into())),
        (None, [one]) if film::is_tournament(Path::new(one)) => {
            let folder = crate::failure::quoted(Path::new(one));
            let message = format!("{one} is a tournament that was begun: go on with it by --resume {folder}");
            Err(Failure::Input(message))
        }
        (None, [one]) if !Path::new(one).is_dir() => TournamentPlan::read(Path::new(one), &args.set),
        (None, players) => TournamentPlan::of_players(players, &args.set),
    }
}

/// Whether somebody takes part whose network must be opened.
pub fn has_networks(plan: &TournamentPlan) -> bool {
    plan.entrants.iter().any(|e| wants_network(&e.player))
}

/// Whether a player in words is a network.
pub fn wants_network(words: &str) -> bool {
    registry::parse(words).is_ok_and(|(name, _)| guided::is_path(&name))
}

struct Contest<'a> {
    plan: &'a TournamentPlan,
    args: &'a cli::Tournament,
    networks: &'a dyn Networks,
}

impl Visit for Contest<'_> {
    type Out = Outcome;

    fn visit<G: Game>(self, game: G) -> Outcome {
        let Self { plan, args, networks } = self;
        play::check(&game, plan, networks)?; // whoever cannot play says so before anything is written
        let run = match &args.resume {
            Some(folder) => Run::open(folder)?,
            None => Run::create(&plan.name, args.out.as_deref())?,
        };
        let _lock = run.lock()?;
        if args.resume.is_none() {
            run.write_scenario(&plan.resolved)?;
            let provenance = json!({
                "agon": env!("CARGO_PKG_VERSION"),
                "command": std::env::args().collect::<Vec<_>>(),
                "seed": plan.set.seed,
                "digests": true, // every game has one
                "threads": std::thread::available_parallelism().map_or(1, usize::from),
            });
            run.write("provenance.json", &format!("{provenance:#}\n"))?;
        }
        // The first signal ends the games under way; the second one, where an engine thinks for long, waits for nobody.
        let stop = signals::for_run()?;
        let before = play::read(&run, plan)?;
        let finished = before.0.schedule.over();
        if !finished {
            run.status("running", before.0.pairs, before.0.schedule.total())?;
            crate::tell!("{}: {} of {} pairs played", run.folder.display(), before.0.pairs, before.0.schedule.total());
        }
        let tell = |played: &Played, speed: f64| {
            crate::tell!("{} of {} pairs, {speed:.0} games/s", played.pairs, played.schedule.total());
            // For who looks on: the games themselves are what counts.
            let _ = run.status("running", played.pairs, played.schedule.total());
        };
        let played = if finished { before.0 } else { play::play(&game, (plan, networks), &run, before, &stop, tell)? };
        let state = if played.schedule.over() { "finished" } else { "interrupted" };
        run.status(state, played.pairs, played.schedule.total())?;
        let report = Report::of(plan, &played);
        let json = report.json();
        run.write("standings.json", &format!("{json:#}\n"))?;
        let text = if args.json.json { json.to_string() } else { report.text() };
        if state == "interrupted" {
            // Its terminal may be closed; that it was stopped is told by its exit code all the same.
            let _ = writeln!(std::io::stdout(), "{text}");
        } else {
            crate::say!("{text}");
        }
        if stop.load(Ordering::Relaxed) && !played.schedule.over() {
            let folder = crate::failure::quoted(&run.folder);
            return Err(Failure::Interrupted(format!(
                "stopped after {} pairs; go on with: agon tournament --resume {folder}",
                played.pairs
            )));
        }
        Ok(())
    }
}
