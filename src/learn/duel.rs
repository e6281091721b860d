//! Evaluation in two-player games: games against other players, from both seats in turn.

use crate::networks::Trained;
use crate::plan::{Plan, stopped};
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::evaluate::{Evaluation, evaluate_until};
use agon_core::game::{Action, Game, Turn, Visit, mix, start};
use agon_core::policy::{Actor, Observed};
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use agon_core::{ActionsMut, VecEnv};
use agon_search::guided::{self, Guided, GuidedSettings};
use agon_search::match_loop::{End, Finished, Listener, Match, Terms};
use agon_search::{Evaluate, Player, registry};
use std::path::Path;

/// An agent that is evaluated by games against others.
pub trait Contender {
    /// Plays `episodes` games against the player that `rival` describes.
    fn meet(&mut self, plan: &Plan, rival: &str, episodes: usize, seed: u64, record: usize) -> Outcome<Evaluation>;

    /// Which positions it solves. A line holds moves (or the game's notation of a position), `=>`, and the right answers;
    /// `#` begins a remark. The first line that cannot be, by number, and why.
    fn solve(&mut self, text: &str, seed: u64) -> Result<Vec<bool>, String>;
}

/// Who is evaluated.
pub enum Who<'a> {
    /// A network, with the simulations that the plan allows.
    Network(Box<dyn Evaluate>),
    /// A player by its description.
    Words(&'a str),
}

/// Whether a plan's agents are evaluated so.
pub fn applies(plan: &Plan) -> bool {
    struct Two;
    impl Visit for Two {
        type Out = bool;
        fn visit<G: Game>(self, game: G) -> bool {
            game.spec().players() == 2
        }
    }
    agon_envs::games::visit(plan.env.id, &plan.eval_env_settings, Two).unwrap_or(false)
}

/// Whether a search can play the plan's game; if not, why.
fn searchable(plan: &Plan) -> Result<(), &'static str> {
    struct Searchable;
    impl Visit for Searchable {
        type Out = Result<(), &'static str>;
        fn visit<G: Game>(self, game: G) -> Self::Out {
            guided::check(&game)
        }
    }
    agon_envs::games::visit(plan.env.id, &plan.eval_env_settings, Searchable).unwrap_or(Ok(()))
}

/// Reads and checks a scenario whose agent is judged, against opponents where it plays a game.
pub fn read(path: &Path, source: &Source) -> Outcome<Plan> {
    let plan = Plan::of(path, source, true)?;
    let wrong = |key: &str, why: String| source.wrong(&[Issue::value(key, why).within("eval")]);
    if plan.eval.simulations > 0 {
        searchable(&plan).map_err(|why| wrong("simulations", why.into()))?;
    }
    for opponent in &plan.eval.opponents {
        check(&plan, opponent).map_err(|why| wrong("opponents", why))?;
    }
    Ok(plan)
}

/// Whether there is such a player for the plan's game; if not, why.
fn check(plan: &Plan, words: &str) -> Result<(), String> {
    if applies(plan) { contender(plan, Who::Words(words)).map(drop).map_err(|e| e.to_string()) } else { Ok(()) }
}

/// Somebody who can be judged.
pub fn contender(plan: &Plan, who: Who<'_>) -> Outcome<Box<dyn Contender>> {
    let made = agon_envs::games::visit(plan.env.id, &plan.eval_env_settings, Enter { plan, who });
    made.map_err(|e| Failure::Input(e.to_string()))?
}

struct Enter<'a> {
    plan: &'a Plan,
    who: Who<'a>,
}

/// A player in words. A network searches every move with just as many simulations as it was given, unless its words say
/// otherwise.
fn by_words<G: Game>(game: &G, words: &str) -> Outcome<Box<dyn Player<G>>> {
    let made = registry::parse(words).and_then(|(name, mut settings)| {
        if guided::is_path(&name) {
            settings.entry("keep_tree").or_insert(false.into());
        }
        registry::by_name(game, &name, &settings, &Trained::here())
    });
    made.map_err(|e| Failure::Input(format!("{words}: {e}")))
}

impl Visit for Enter<'_> {
    type Out = Outcome<Box<dyn Contender>>;

    fn visit<G: Game>(self, game: G) -> Self::Out {
        let agent = match self.who {
            Who::Words(words) => by_words(&game, words)?,
            Who::Network(network) => {
                let simulations = self.plan.eval.simulations;
                let set = GuidedSettings { simulations, keep_tree: false, ..GuidedSettings::default() };
                Box::new(Guided::new(&game, set, network).map_err(|e| Failure::Input(e.to_string()))?)
            }
        };
        Ok(Box::new(Entered { game, agent }))
    }
}

struct Entered<G: Game> {
    game: G,
    agent: Box<dyn Player<G>>,
}

impl<G: Game> Contender for Entered<G> {
    fn meet(&mut self, plan: &Plan, rival: &str, episodes: usize, seed: u64, record: usize) -> Outcome<Evaluation> {
        let mut opponent = by_words(&self.game, rival)?;
        for player in [&mut self.agent, &mut opponent] {
            player.heed(&plan.common.stop);
        }
        let mut games = Vec::with_capacity(episodes);
        for number in 0..episodes {
            games.push(self.game(plan, (rival, &mut *opponent), number, seed)?);
        }
        // What was earned, and what is saved of it, is the environment's to say.
        let mut env = plan.eval_env(episodes)?;
        let evaluation =
            evaluate_until(&mut *env, &mut Again { games, ply: 0 }, seed, record, &mut |_| {}, &|| plan.stopped());
        evaluation.ok_or_else(stopped)
    }

    fn solve(&mut self, text: &str, seed: u64) -> Result<Vec<bool>, String> {
        let mut solved = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
            let wrong = |why: String| format!("{}: {why}", i + 1);
            let (position, answers) = line.split_once("=>").ok_or_else(|| wrong("there is no `=>`".into()))?;
            let state = self.game.position(position.trim()).map_err(wrong)?;
            if !matches!(self.game.turn(&state), Turn::Player(_)) {
                return Err(wrong("nobody is to move there".into()));
            }
            let read = |word| self.game.read(&state, word).ok_or_else(|| wrong(format!("`{word}` is not legal there")));
            let right = answers.split_whitespace().map(read).collect::<Result<Vec<_>, _>>()?;
            let chosen = self.agent.choose(&self.game, &state, &mut Rng::new(seed, Stream::Player, i as u32));
            solved.push(chosen.is_ok_and(|action| right.contains(&action)));
        }
        Ok(solved)
    }
}

/// Who made a move, and which.
type Made = (usize, Action);

impl<G: Game> Entered<G> {
    /// Plays game `number`, in which the agent has seat `number` modulo 2, with the chance of that environment.
    fn game(
        &mut self,
        plan: &Plan,
        (name, opponent): (&str, &mut dyn Player<G>),
        number: usize,
        seed: u64,
    ) -> Outcome<Vec<Made>> {
        let (game, lane) = (&self.game, number as u32);
        let chance = Rng::new(seed, Stream::Eval, lane);
        let opening = opening(game, plan.eval.opening_plies, chance.clone(), mix(seed, number as u64 / 2));
        let mut made = Vec::new();
        let mut remember = Listener(|game: &G, before: &G::State, action| {
            made.extend(if let Turn::Player(mover) = game.turn(before) { Some((mover, action)) } else { None });
        });
        let agent = &mut *self.agent;
        let players: &mut [&mut dyn Player<G>] = match number % 2 {
            0 => &mut [agent, opponent, &mut remember],
            _ => &mut [opponent, agent, &mut remember],
        };
        let terms = Terms {
            opening: &opening,
            most_plies: game.spec().max_plies,
            clock: None,
            // Whoever gives up plays on: what is counted is what the rules give.
            resignations: false,
            adjudicator: None,
            stop: &plan.common.stop,
        };
        let mut state = start(game);
        let played = Match::begin(game, &mut state, chance, players);
        let finished = played.run(players, &mut [Rng::new(seed, Stream::Player, lane)], terms);
        let Finished { end, loser, fault, moves } = finished.ok_or_else(stopped)?;
        if !matches!(end, End::Rules | End::Length) {
            let who = if loser == Some(number % 2) { "the agent" } else { name };
            let why = fault.unwrap_or_else(|| "its move is not legal".into());
            let at = moves.len();
            return Err(Failure::Internal(format!("{who}: {why} (game {}, after {at} moves)", number + 1)));
        }
        Ok(made)
    }
}

/// The random moves that open a game; `chance` is the game's own.
fn opening<G: Game>(game: &G, plies: u32, chance: Rng, seed: u64) -> Vec<Action> {
    let (mut state, mut moves) = (start(game), Vec::new());
    let mut opened = Match::begin(game, &mut state, chance, &mut []);
    for ply in 0..plies {
        if opened.turn() == Turn::Over {
            break;
        }
        let action = open(game, opened.state(), &mut Rng::new(seed, Stream::Eval, ply));
        opened.play(&mut [], action);
        moves.push(action);
    }
    moves
}

/// A random move that leaves a game to play, where one is found.
fn open<G: Game>(game: &G, state: &G::State, rng: &mut Rng) -> Action {
    for _ in 0..100 {
        let action = game.random_move(state, rng);
        let mut next = state.clone();
        game.play(&mut next, action);
        if game.turn(&next) != Turn::Over {
            return action;
        }
    }
    game.random_move(state, rng)
}

/// Makes the moves of games that were played, each in its environment.
struct Again {
    games: Vec<Vec<Made>>,
    ply: usize,
}

impl Actor for Again {
    fn act(&mut self, _: &dyn VecEnv, _: Observed<'_>, mut actions: ActionsMut<'_>) {
        for (i, made) in self.games.iter().enumerate() {
            // A game that is over is counted; what comes after it only waits for the others.
            let (mover, action) = made.get(self.ply).copied().unwrap_or((0, 0));
            actions.set(2 * i + mover, f64::from(action));
        }
        self.ply += 1;
    }

    fn name(&self) -> String {
        "games played again".into()
    }

    fn seat(&self, env: usize) -> usize {
        env % 2
    }
}
