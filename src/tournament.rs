//! Tournaments: who plays whom, what is recorded, and what it says.
//!
//! | to learn about | read |
//! | --- | --- |
//! | what a scenario can say | [`plan`] |
//! | who plays the n-th pair | [`schedule`] |
//! | one pair of games | [`game`] |
//! | games that both players hold for decided | [`judge`] |
//! | workers, the file of games, resuming | [`play`] |
//! | Elo with intervals | [`ratings`] |
//! | sequential tests | [`sprt`] |
//! | games played again, for replay | [`film`] |
//! | PGN and SGF | [`sheet`] |
//! | Nash averaging, α-rank, cycles | [`equilibrium`] |

pub mod equilibrium;
pub mod film;
pub mod game;
pub mod judge;
pub mod plan;
pub mod play;
pub mod ratings;
pub mod report;
pub mod schedule;
pub mod sheet;
pub mod sprt;
pub mod watch;

use crate::cli;
use crate::failure::{Failure, Outcome};
use crate::run::Run;
use agon_core::Game;
use agon_core::game::Visit;
use plan::Plan;
use play::Played;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `agon tournament`.
pub fn run(args: &cli::Tournament) -> Outcome {
    let plan = match (&args.resume, &args.scenario) {
        (Some(folder), _) => Plan::read(&Run::open(folder)?.path("scenario.toml"), &[])?,
        (None, Some(folder)) if film::is_tournament(folder) => {
            let folder = folder.display();
            let message = format!("{folder} is a tournament that was begun: go on with it by --resume {folder}");
            return Err(Failure::Input(message));
        }
        (None, Some(scenario)) => Plan::read(scenario, &args.set)?,
        (None, None) => return Err(Failure::Input("name a scenario, or a tournament with --resume".into())),
    };
    let game = Contest { plan: &plan, args };
    agon_envs::games::visit(&plan.game, &plan.game_settings, game).map_err(|e| plan.wrong_game(e.to_string()))?
}

struct Contest<'a> {
    plan: &'a Plan,
    args: &'a cli::Tournament,
}

impl Visit for Contest<'_> {
    type Out = Outcome;

    fn visit<G: Game>(self, game: G) -> Outcome {
        let Self { plan, args } = self;
        play::board(&game, plan)?; // whoever cannot play says so before anything is written
        let run = match &args.resume {
            Some(folder) => Run::open(folder)?,
            None => Run::create(&plan.name, args.out.as_deref())?,
        };
        let _lock = run.lock()?;
        if args.resume.is_none() {
            run.write("scenario.toml", &plan.resolved)?;
            let provenance = json!({
                "agon": env!("CARGO_PKG_VERSION"),
                "command": std::env::args().collect::<Vec<_>>(),
                "seed": plan.set.seed,
                "threads": std::thread::available_parallelism().map_or(1, usize::from),
            });
            run.write("provenance.json", &format!("{provenance:#}\n"))?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let registered = signal_hook::flag::register(signal, stop.clone());
            registered.map_err(|e| Failure::Internal(format!("cannot listen for signals: {e}")))?;
        }
        let before = play::read(&run, plan)?;
        let finished = before.0.schedule.over();
        if !finished {
            run.status("running", before.0.pairs, before.0.schedule.total())?;
            crate::tell!("{}: {} of {} pairs played", run.folder.display(), before.0.pairs, before.0.schedule.total());
        }
        let tell = |played: &Played, speed: f64| {
            crate::tell!("{} of {} pairs, {speed:.0} games/s", played.pairs, played.schedule.total());
        };
        let played = if finished { before.0 } else { play::play(&game, plan, &run, before, &stop, tell)? };
        let state = if played.schedule.over() { "finished" } else { "interrupted" };
        run.status(state, played.pairs, played.schedule.total())?;
        let report = report::as_json(plan, &played);
        run.write("standings.json", &format!("{report:#}\n"))?;
        if args.json.json {
            crate::say!("{report}");
        } else {
            crate::say!("{}", report::as_text(plan, &played));
        }
        if stop.load(Ordering::Relaxed) && !played.schedule.over() {
            let folder = run.folder.display();
            return Err(Failure::Interrupted(format!(
                "stopped after {} pairs; go on with: agon tournament --resume {folder}",
                played.pairs
            )));
        }
        Ok(())
    }
}
