//! How agents of games of two are judged: by games against other players, from both seats in turn.

use crate::eval;
use crate::networks::Trained;
use crate::plan::Plan;
use agon::{Failure, Outcome};
use agon_agents::evaluate::{Evaluation, evaluate_until};
use agon_core::game::{Action, Game, Turn, Visit, mix, restore};
use agon_core::policy::{Actor, Observed};
use agon_core::rng::{Rng, Stream};
use agon_core::{ActionsMut, VecEnv, View};
use agon_search::guided::{self, Guided, GuidedSettings};
use agon_search::{Evaluate, Player, registry};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An agent that meets others at a game.
pub trait Contender {
    /// Plays `episodes` games against a player in words.
    fn meet(&mut self, plan: &Plan, rival: &str, episodes: usize, seed: u64, record: usize) -> Outcome<Evaluation>;

    /// Which positions it solves. A line holds moves (or the game's notation of a position), `=>`, and the right answers;
    /// `#` begins a remark. The first line that cannot be, by number, and why.
    fn solve(&mut self, text: &str, seed: u64) -> Result<Vec<bool>, String>;
}

/// Who is judged.
pub enum Who<'a> {
    /// A network, with the simulations that the plan allows.
    Network(Box<dyn Evaluate>),
    /// A player in words.
    Words(&'a str),
}

/// Whether a plan's agents are judged so.
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
pub fn searchable(plan: &Plan) -> Result<(), &'static str> {
    struct Searchable;
    impl Visit for Searchable {
        type Out = Result<(), &'static str>;
        fn visit<G: Game>(self, game: G) -> Self::Out {
            guided::check(&game)
        }
    }
    agon_envs::games::visit(plan.env.id, &plan.eval_env_settings, Searchable).unwrap_or(Ok(()))
}

/// Whether there is such a player for the plan's game; if not, why.
pub fn check(plan: &Plan, words: &str) -> Result<(), String> {
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

fn by_words<G: Game>(game: &G, words: &str) -> Outcome<Box<dyn Player<G>>> {
    let made = registry::from_words(game, words, &Trained::here());
    made.map_err(|e| Failure::Input(format!("{words}: {e}")))
}

impl Visit for Enter<'_> {
    type Out = Outcome<Box<dyn Contender>>;

    fn visit<G: Game>(self, game: G) -> Self::Out {
        let agent = match self.who {
            Who::Words(words) => by_words(&game, words)?,
            Who::Network(network) => {
                let set = GuidedSettings { simulations: self.plan.eval.simulations, ..GuidedSettings::default() };
                Box::new(Guided::new(&game, set, network).map_err(|e| Failure::Input(e.to_string()))?)
            }
        };
        Ok(Box::new(Entered { game, agent: Some(agent) }))
    }
}

struct Entered<G: Game> {
    game: G,
    /// Away only while it plays.
    agent: Option<Box<dyn Player<G>>>,
}

impl<G: Game> Contender for Entered<G> {
    fn meet(&mut self, plan: &Plan, rival: &str, episodes: usize, seed: u64, record: usize) -> Outcome<Evaluation> {
        let rival = by_words(&self.game, rival)?;
        let mut env = plan.eval_env(episodes)?;
        let Some(agent) = self.agent.take() else { return Err(Failure::Internal("it is playing already".into())) };
        let mut players = [agent, rival];
        players.iter_mut().for_each(|player| player.heed(&plan.stop));
        let mut table = Duel {
            game: self.game.clone(),
            players,
            openings: plan.eval.opening_plies,
            minds: (0..episodes).map(|i| Rng::new(seed, Stream::Player, i as u32)).collect(),
            over: vec![false; episodes],
            seed,
            failed: None,
            stop: plan.stop.clone(),
        };
        let stop = || plan.stopped();
        let evaluation = evaluate_until(&mut *env, &mut table, seed, record, &mut |_| {}, &stop);
        let [agent, _] = table.players;
        self.agent = Some(agent);
        table.failed.map_or(evaluation.ok_or_else(eval::stopped), |why| Err(Failure::Internal(why)))
    }

    fn solve(&mut self, text: &str, seed: u64) -> Result<Vec<bool>, String> {
        let Some(agent) = &mut self.agent else { return Err("0: it is playing already".into()) };
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
            let chosen = agent.choose(&self.game, &state, &mut Rng::new(seed, Stream::Player, i as u32));
            solved.push(chosen.is_ok_and(|action| right.contains(&action)));
        }
        Ok(solved)
    }
}

/// Two players at many boards; at board i the first one has seat i modulo 2. Neighbours share their opening.
struct Duel<G: Game> {
    game: G,
    players: [Box<dyn Player<G>>; 2],
    openings: u32,
    minds: Vec<Rng>,
    over: Vec<bool>,
    seed: u64,
    failed: Option<String>,
    /// Once it is set nobody waits for good moves any more.
    stop: Arc<AtomicBool>,
}

impl<G: Game> Duel<G> {
    /// A random move that leaves a game to play, where one is found.
    fn open(&self, state: &G::State, rng: &mut Rng) -> Action {
        for _ in 0..100 {
            let action = self.game.random_move(state, rng);
            let mut next = state.clone();
            self.game.play(&mut next, action);
            if self.game.turn(&next) != Turn::Over {
                return action;
            }
        }
        self.game.random_move(state, rng)
    }
}

impl<G: Game> Actor for Duel<G> {
    fn act(&mut self, env: &dyn VecEnv, _: Observed<'_>, mut actions: ActionsMut<'_>) {
        for end in env.ended() {
            self.over[end.row as usize / 2] = true;
        }
        for i in 0..env.envs() {
            let saved = env.save(i, View::Now);
            // A state that was just saved can be read back.
            let Ok(state) = restore(&self.game, &saved["state"]) else { continue };
            let Turn::Player(mover) = self.game.turn(&state) else { continue };
            let plies = saved["steps"].as_u64().unwrap_or(0) as u32;
            let (own, mind) = (self.seat(i), &mut self.minds[i]);
            let action = if self.over[i] || self.stop.load(Ordering::Relaxed) {
                // Its game is counted; it goes on only because the others do.
                self.game.random_move(&state, mind)
            } else if plies < self.openings {
                let mut opening = Rng::new(mix(self.seed, i as u64 / 2), Stream::Eval, plies);
                self.open(&state, &mut opening)
            } else {
                let chosen = self.players[usize::from(mover != own)].choose(&self.game, &state, mind);
                chosen.unwrap_or_else(|fault| {
                    self.failed = Some(fault.to_string());
                    self.game.random_move(&state, mind)
                })
            };
            actions.set(2 * i + mover, f64::from(action));
        }
    }

    fn name(&self) -> String {
        "duel".into()
    }

    fn seat(&self, env: usize) -> usize {
        env % 2
    }
}
