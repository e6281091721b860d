//! Self-play guided by a network: many games in parallel with their searches in lockstep, and a window of the positions
//! played.
//!
//! Each thread owns a share of the games and one copy of the network. In a wave every tree descends to a position that
//! needs an evaluation, the network evaluates all of them at once, and the trees expand them. Evaluations are cached
//! ([`crate::evaluation_cache`]), and a cached one costs no wave. Each game has its own generator for moves, noise and
//! openings. Games do not go through [`crate::match_loop`], where one player thinks at a time. Trees and cache are
//! dropped between calls, because the network changes there; what is saved are games as lists of moves.

use crate::evaluation_cache::EvaluationCache;
use crate::guided::{Evaluate, check, draw};
use crate::puct::{Noise, SearchSettings, Tree, scaled};
use agon_core::GameSpec;
use agon_core::game::{Action, Game, Turn, start};
use agon_core::rng::{Rng, RngState, Stream};
use agon_core::scene::Scene;
use agon_core::thread_pool::ThreadPool;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Settings of games and of the window.
#[derive(Clone, Debug)]
pub struct SelfPlaySettings {
    /// How a move is searched.
    pub search: SearchSettings,
    /// Noise at the root.
    pub noise: Noise,
    /// A game with a random opening begins with a random number of random plies, at most so many.
    pub opening_plies: u32,
    /// The share of games with a random opening.
    pub opening_share: f32,
    /// Plies whose moves are drawn from the searched policy; later ones are the best.
    pub draw_plies: u32,
    /// The share of the search's value in the target of the value, beside the result of the game.
    pub value_blend: f32,
    /// A player resigns when its value is below this.
    pub resign_below: Option<f32>,
    /// The share of games without resignation, to measure how often resigning would have been wrong.
    pub resign_never: f32,
    /// Positions of the window; the oldest games are dropped beyond it.
    pub window: usize,
    /// Games in parallel.
    pub games: usize,
    /// Their seed.
    pub seed: u64,
}

/// A decision of a game, and its targets.
#[derive(Clone, Debug)]
struct Step<S> {
    state: S,
    action: Action,
    /// The searched policy; empty without a search: in openings and for outcomes of chance.
    policy: Vec<f32>,
    /// Of the search while the game goes on, the target afterwards; for the mover.
    value: f32,
    /// Whether a game begins here.
    first: bool,
}

/// A game under way.
struct Lane<S> {
    tree: Tree<S>,
    rng: Rng,
    steps: Vec<Step<S>>,
    state: S,
    opening: u32,
    /// Whether a player may resign, and who would have resigned.
    may_resign: bool,
    would_resign: Option<usize>,
}

/// A game under way without its tree, which is rebuilt in every call of [`SelfPlay::play`].
struct Paused<S> {
    rng: RngState,
    steps: Vec<Step<S>>,
    state: S,
    opening: u32,
    may_resign: bool,
    would_resign: Option<usize>,
}

impl<S: Clone + Default + PartialEq> Lane<S> {
    fn game(&self) -> Paused<S> {
        let (rng, steps, state) = (self.rng.state(), self.steps.clone(), self.state.clone());
        let Self { opening, may_resign, would_resign, .. } = *self;
        Paused { rng, steps, state, opening, may_resign, would_resign }
    }

    fn go_back(&mut self, game: Paused<S>) {
        (self.rng, self.steps, self.state) = (Rng::restore(game.rng), game.steps, game.state);
        (self.opening, self.may_resign, self.would_resign) = (game.opening, game.may_resign, game.would_resign);
        self.tree.plant(&self.state);
    }
}

/// What happened in a call of [`SelfPlay::play`].
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// The first seat's value and the length of every game that ended.
    pub games: Vec<(f32, u32)>,
    /// Searched moves.
    pub moves: u64,
    /// Searched positions of games that ended: they are in the window now.
    pub kept: u64,
    /// Games resigned; games without resignation in which a player would have resigned, and those of them that it did
    /// not lose.
    pub resigned: [u64; 3],
    /// Positions that the network evaluated, and those whose evaluation was cached.
    pub evaluations: [u64; 2],
    /// Time in the network, and in all, of the slowest thread.
    pub times: [Duration; 2],
}

/// Self-play of one game, whichever it is.
pub trait SelfPlay {
    /// Plays about `moves` searched moves, a share in each thread; one thread a network. None if it was asked to stop:
    /// the state is then unchanged.
    fn play(
        &mut self,
        moves: u64,
        networks: &mut [Box<dyn Evaluate>],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Option<Played>;

    /// Searched positions in the window.
    fn positions(&self) -> usize;

    /// Draws `value.len()` positions from the window, each turned by a random symmetry of the rules. Writes `obs`:
    /// `[n, obs_len]`, `policy` and `mask` (1 for legal moves, else 0): `[n, actions]`, `value`: `[n]`.
    fn sample(&self, rng: &mut Rng, obs: &mut [f32], policy: &mut [f32], mask: &mut [f32], value: &mut [f32]);

    /// Everything that must be saved: numbers by name, and the rest.
    fn save(&self) -> (Vec<(&'static str, Vec<f32>)>, Value);

    /// Restores a save; else why not.
    fn load(&mut self, numbers: &dyn Fn(&str) -> Option<Vec<f32>>, rest: &Value) -> Result<(), String>;

    /// Draws the first game.
    fn draw(&self, scene: &mut Scene);
}

/// Self-play of a game of known type.
pub struct Games<G: Game> {
    game: G,
    set: SelfPlaySettings,
    lanes: Vec<Lane<G::State>>,
    window: VecDeque<Step<G::State>>,
    /// The threads that play, kept between calls, as libraries cache data by thread.
    pool: ThreadPool,
    threads: usize,
    /// Searched positions and games in the window.
    searched: usize,
    ended: usize,
}

impl<G: Game> Games<G> {
    /// New games; an error where the game is of another kind.
    pub fn new(game: G, set: SelfPlaySettings) -> Result<Self, &'static str> {
        check(&game)?;
        let lane = |i: usize| {
            let mut lane = Lane {
                tree: Tree::new(set.search.clone(), set.noise),
                rng: Rng::new(set.seed, Stream::Act, i as u32),
                steps: Vec::new(),
                state: G::State::default(),
                opening: 0,
                may_resign: false,
                would_resign: None,
            };
            lane.restart(&game, &set);
            lane
        };
        Ok(Self {
            lanes: (0..set.games).map(lane).collect(),
            window: VecDeque::new(),
            pool: ThreadPool::default(),
            threads: 1,
            searched: 0,
            ended: 0,
            game,
            set,
        })
    }

    /// Adds a finished game, and drops the oldest ones, never the newest; its searched positions.
    fn keep(&mut self, steps: Vec<Step<G::State>>) -> u64 {
        let fresh = steps.iter().filter(|s| !s.policy.is_empty()).count();
        self.searched += fresh;
        self.ended += 1;
        self.window.extend(steps);
        while self.searched > self.set.window && self.ended > 1 {
            self.ended -= 1;
            let Some(step) = self.window.pop_front() else { break };
            self.searched -= usize::from(!step.policy.is_empty());
            while self.window.front().is_some_and(|s| !s.first) {
                let step = self.window.pop_front();
                self.searched -= usize::from(step.is_some_and(|s| !s.policy.is_empty()));
            }
        }
        fresh as u64
    }
}

impl<S: Clone + Default + PartialEq> Lane<S> {
    fn restart<G: Game<State = S>>(&mut self, game: &G, set: &SelfPlaySettings) {
        game.start(&mut self.state);
        self.steps.clear();
        self.opening = self.plies(set);
        self.may_resign = set.resign_below.is_some() && self.rng.f32() >= set.resign_never;
        self.would_resign = None;
        self.settle(game, set);
        self.tree.plant(&self.state);
    }

    /// How many random plies the next game begins with.
    fn plies(&mut self, set: &SelfPlaySettings) -> u32 {
        if self.rng.f32() < set.opening_share { self.rng.below(set.opening_plies + 1) } else { 0 }
    }

    fn record<G: Game<State = S>>(&mut self, game: &G, action: Action, policy: Vec<f32>, value: f32) {
        let first = self.steps.is_empty();
        self.steps.push(Step { state: self.state.clone(), action, policy, value, first });
        game.play(&mut self.state, action);
    }

    /// Plays chance and the opening until a search is needed. An opening that ends the game begins another.
    fn settle<G: Game<State = S>>(&mut self, game: &G, set: &SelfPlaySettings) {
        loop {
            match game.turn(&self.state) {
                Turn::Chance => {
                    let outcome = game.roll(&self.state, &mut self.rng);
                    self.record(game, outcome, Vec::new(), 0.0);
                }
                Turn::Player(_) if self.opening > 0 => {
                    self.opening -= 1;
                    let action = game.random_move(&self.state, &mut self.rng);
                    self.record(game, action, Vec::new(), 0.0);
                }
                Turn::Over if self.steps.iter().all(|s| s.policy.is_empty()) => {
                    game.start(&mut self.state);
                    self.steps.clear();
                    self.opening = self.plies(set);
                }
                _ => return,
            }
        }
    }

    /// Makes the move that was searched; the finished game if it ended with it.
    fn make_move<G: Game<State = S>>(
        &mut self,
        game: &G,
        set: &SelfPlaySettings,
        played: &mut Played,
    ) -> Option<Vec<Step<S>>> {
        let Turn::Player(mover) = game.turn(&self.state) else { return None };
        let mut policy = vec![0.0; game.spec().actions];
        self.tree.policy(&mut policy);
        let value = self.tree.value();
        played.moves += 1;
        let searched = self.steps.iter().filter(|s| !s.policy.is_empty()).count() as u32;
        let action = if searched < set.draw_plies { draw(&policy, 1.0, &mut self.rng) } else { self.tree.best() };
        let hopeless = set.resign_below.is_some_and(|below| value < below);
        self.record(game, action, policy, value);
        if hopeless && self.may_resign {
            played.resigned[0] += 1;
            return Some(self.finish(game, set, played, Some(mover)));
        }
        if hopeless && self.would_resign.is_none() {
            self.would_resign = Some(mover);
        }
        self.settle(game, set);
        let plies = self.steps.iter().filter(|s| matches!(game.turn(&s.state), Turn::Player(_))).count();
        if game.turn(&self.state) == Turn::Over || plies >= game.spec().max_plies as usize {
            return Some(self.finish(game, set, played, None));
        }
        if self.steps.last().is_some_and(|s| s.policy.is_empty()) {
            self.tree.plant(&self.state); // chance went on from where the move led
        } else {
            self.tree.descend(action, &self.state);
        }
        None
    }

    /// The result becomes the target of all its positions, and the next game begins.
    fn finish<G: Game<State = S>>(
        &mut self,
        game: &G,
        set: &SelfPlaySettings,
        played: &mut Played,
        resigned: Option<usize>,
    ) -> Vec<Step<S>> {
        let mut returns = [0.0; 2];
        game.returns(&self.state, &mut returns);
        let result = |player: usize| match resigned {
            Some(loser) => {
                if loser == player {
                    -1.0
                } else {
                    1.0
                }
            }
            None => scaled(game, returns[player]),
        };
        if let Some(loser) = self.would_resign {
            played.resigned[1] += 1;
            played.resigned[2] += u64::from(result(loser) >= 0.0);
        }
        played.games.push((result(0), self.steps.len() as u32));
        let mut steps = std::mem::take(&mut self.steps);
        for step in &mut steps {
            if let Turn::Player(mover) = game.turn(&step.state) {
                step.value = set.value_blend * step.value + (1.0 - set.value_blend) * result(mover);
            }
        }
        self.restart(game, set);
        steps
    }
}

/// One thread's share of the games, until it made its share of the moves.
fn run<G: Game>(
    game: &G,
    set: &SelfPlaySettings,
    lanes: &mut [Lane<G::State>],
    moves: u64,
    network: &mut dyn Evaluate,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<(Played, Vec<Vec<Step<G::State>>>)> {
    let (begun, mut played, mut finished) = (Instant::now(), Played::default(), Vec::new());
    let (width, actions, n) = (game.spec().obs_len(), game.spec().actions, lanes.len());
    let (mut obs, mut logits, mut value) = (vec![0.0; n * width], vec![0.0; n * actions], vec![0.0; n]);
    let mut cache = EvaluationCache::new(actions, moves as usize * set.search.simulations as usize);
    // Lanes whose leaves wait for an evaluation, a row each.
    let mut waiting: Vec<(usize, u64)> = Vec::with_capacity(n);
    'waves: loop {
        if stop() {
            return None;
        }
        waiting.clear();
        for (i, lane) in lanes.iter_mut().enumerate() {
            let obs = &mut obs[waiting.len() * width..][..width];
            let mut moved = false;
            loop {
                if lane.tree.finished() {
                    // One move a wave: a game whose positions are all cached must not play on while the others wait.
                    if std::mem::replace(&mut moved, true) {
                        break;
                    }
                    finished.extend(lane.make_move(game, set, &mut played));
                    if played.moves >= moves {
                        break 'waves;
                    }
                } else if lane.tree.select(game, &mut lane.rng) {
                    // A leaf that waits is a player's turn.
                    let mover = if let Turn::Player(mover) = game.turn(lane.tree.leaf()) { mover } else { 0 };
                    game.observe(lane.tree.leaf(), mover, obs);
                    let key = EvaluationCache::key(obs);
                    let Some((logits, value)) = cache.find(key) else {
                        waiting.push((i, key));
                        break;
                    };
                    lane.tree.expand(game, logits, value, &mut lane.rng);
                    played.evaluations[1] += 1;
                }
            }
        }
        let rows = waiting.len();
        if rows == 0 {
            continue;
        }
        let asked = Instant::now();
        network.evaluate(&obs[..rows * width], &mut logits[..rows * actions], &mut value[..rows]);
        played.times[0] += asked.elapsed();
        played.evaluations[0] += rows as u64;
        for ((i, key), (logits, value)) in waiting.iter().zip(logits.chunks_exact(actions).zip(&value)) {
            cache.keep(*key, logits, *value);
            lanes[*i].tree.expand(game, logits, *value, &mut lanes[*i].rng);
        }
    }
    lanes.iter_mut().for_each(|lane| lane.tree.plant(&lane.state));
    played.times[1] = begun.elapsed();
    Some((played, finished))
}

impl<G: Game> SelfPlay for Games<G> {
    fn play(
        &mut self,
        moves: u64,
        networks: &mut [Box<dyn Evaluate>],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Option<Played> {
        let before: Vec<_> = self.lanes.iter().map(Lane::game).collect();
        let share = self.lanes.len().div_ceil(networks.len());
        let threads = self.lanes.len().div_ceil(share);
        if threads != self.threads {
            (self.pool, self.threads) = (ThreadPool::new(threads), threads);
        }
        let (game, set, moves) = (&self.game, &self.set, moves.div_ceil(threads as u64));
        let shares = self.lanes.chunks_mut(share).zip(networks);
        let mut shares: Vec<_> = shares.map(|(lanes, network)| (lanes, network, None)).collect();
        self.pool.each(&mut shares, |_, (lanes, network, result)| {
            *result = Some(run(game, set, lanes, moves, &mut ***network, stop));
        });
        let results: Option<Vec<_>> = shares.into_iter().filter_map(|(_, _, result)| result).collect();
        let Some(results) = results else {
            self.lanes.iter_mut().zip(before).for_each(|(lane, game)| lane.go_back(game));
            return None;
        };
        let mut all = Played::default();
        for (played, finished) in results {
            all.kept += finished.into_iter().map(|steps| self.keep(steps)).sum::<u64>();
            all.games.extend(played.games);
            all.moves += played.moves;
            (0..3).for_each(|i| all.resigned[i] += played.resigned[i]);
            (0..2).for_each(|i| all.evaluations[i] += played.evaluations[i]);
            (0..2).for_each(|i| all.times[i] = all.times[i].max(played.times[i]));
        }
        Some(all)
    }

    fn positions(&self) -> usize {
        self.searched
    }

    fn sample(&self, rng: &mut Rng, obs: &mut [f32], policy: &mut [f32], mask: &mut [f32], value: &mut [f32]) {
        let spec = self.game.spec();
        let mut seen = vec![0.0; spec.obs_len()];
        let rows = obs.chunks_exact_mut(spec.obs_len()).zip(policy.chunks_exact_mut(spec.actions));
        for (((obs, policy), mask), value) in rows.zip(mask.chunks_exact_mut(spec.actions)).zip(value) {
            let (step, mover) = loop {
                let step = &self.window[rng.below(self.window.len() as u32) as usize];
                if let (false, Turn::Player(mover)) = (step.policy.is_empty(), self.game.turn(&step.state)) {
                    break (step, mover);
                }
            };
            *value = step.value;
            mask.fill(0.0);
            match rng.below(spec.symmetries.len() as u32 + 1) {
                0 => {
                    self.game.observe(&step.state, mover, obs);
                    policy.copy_from_slice(&step.policy);
                    self.game.moves(&step.state, |a| mask[usize::from(a)] = 1.0);
                }
                k => {
                    let turn = &spec.symmetries[k as usize - 1];
                    self.game.observe(&step.state, mover, &mut seen);
                    obs.iter_mut().zip(&turn.observation).for_each(|(o, from)| *o = seen[*from as usize]);
                    policy.fill(0.0);
                    step.policy.iter().zip(&turn.action).for_each(|(p, to)| policy[usize::from(*to)] = *p);
                    self.game.moves(&step.state, |a| mask[usize::from(turn.action[usize::from(a)])] = 1.0);
                }
            }
        }
    }

    fn save(&self) -> (Vec<(&'static str, Vec<f32>)>, Value) {
        let steps = || self.window.iter().chain(self.lanes.iter().flat_map(|l| &l.steps));
        let numbers = vec![
            ("games.actions", steps().map(|s| f32::from(s.action)).collect()),
            ("games.values", steps().map(|s| s.value).collect()),
            ("games.first", steps().map(|s| f32::from(u8::from(s.first))).collect()),
            ("games.searched", steps().map(|s| f32::from(u8::from(!s.policy.is_empty()))).collect()),
            ("games.policies", steps().flat_map(|s| s.policy.iter().copied()).collect()),
        ];
        let lane = |l: &Lane<G::State>| {
            json!({"rng": l.rng.state(), "opening": l.opening, "may_resign": l.may_resign,
                   "would_resign": l.would_resign, "steps": l.steps.len()})
        };
        (numbers, json!({"window": self.window.len(), "lanes": self.lanes.iter().map(lane).collect::<Vec<_>>()}))
    }

    fn load(&mut self, numbers: &dyn Fn(&str) -> Option<Vec<f32>>, rest: &Value) -> Result<(), String> {
        let part = |name: &str| numbers(name).ok_or_else(|| format!("it has no `{name}`"));
        let (actions, values) = (part("games.actions")?, part("games.values")?);
        let (first, searched, policies) = (part("games.first")?, part("games.searched")?, part("games.policies")?);
        let n = actions.len();
        if [values.len(), first.len(), searched.len()] != [n; 3] {
            return Err("its games are not whole".into());
        }
        let mut policies = policies.chunks_exact(self.game.spec().actions);
        let mut state = start(&self.game);
        let mut at = 0;
        let mut next = |count: usize| -> Result<(Vec<Step<G::State>>, G::State), String> {
            let mut steps = Vec::with_capacity(count);
            for i in at..(at + count).min(n) {
                if first[i] == 1.0 || i == at {
                    self.game.start(&mut state);
                }
                let (action, mut legal) = (actions[i] as Action, false);
                match self.game.turn(&state) {
                    Turn::Chance => self.game.chance(&state, |a, _| legal |= a == action),
                    _ => self.game.moves(&state, |a| legal |= a == action),
                }
                let policy = if searched[i] == 1.0 { policies.next().map(<[f32]>::to_vec) } else { Some(Vec::new()) };
                let (true, Some(policy)) = (legal, policy) else {
                    return Err(format!("decision {i} of its games is none of this game"));
                };
                steps.push(Step { state: state.clone(), action, policy, value: values[i], first: first[i] == 1.0 });
                self.game.play(&mut state, action);
            }
            if steps.is_empty() {
                self.game.start(&mut state);
            }
            at += count;
            if steps.len() == count { Ok((steps, state.clone())) } else { Err("its games are not whole".into()) }
        };
        let count = |value: &Value| {
            let count = value.as_u64().map(|count| count as usize).filter(|count| *count <= n);
            count.ok_or("its list of games cannot be read")
        };
        let window = next(count(&rest["window"])?)?.0;
        let saved = rest["lanes"].as_array().ok_or("it has no games under way")?;
        if saved.len() != self.lanes.len() {
            return Err(format!("it has {} games side by side, the run {}", saved.len(), self.lanes.len()));
        }
        for (lane, saved) in self.lanes.iter_mut().zip(saved) {
            let broken = |e: serde_json::Error| format!("a game under way cannot be read: {e}");
            (lane.steps, lane.state) = next(count(&saved["steps"])?)?;
            lane.rng = Rng::restore(serde_json::from_value::<RngState>(saved["rng"].clone()).map_err(broken)?);
            lane.opening = serde_json::from_value(saved["opening"].clone()).map_err(broken)?;
            lane.may_resign = serde_json::from_value(saved["may_resign"].clone()).map_err(broken)?;
            lane.would_resign = serde_json::from_value(saved["would_resign"].clone()).map_err(broken)?;
            if lane.would_resign.is_some_and(|player| player > 1) {
                return Err("a game under way would be given up by nobody who plays it".into());
            }
            lane.tree.plant(&lane.state);
        }
        self.searched = window.iter().filter(|s| !s.policy.is_empty()).count();
        self.ended = window.iter().filter(|s| s.first).count();
        self.window = window.into();
        Ok(())
    }

    fn draw(&self, scene: &mut Scene) {
        if let Some(lane) = self.lanes.first() {
            self.game.draw(&lane.state, scene);
        }
    }
}

/// A type-erased game.
pub trait Rules {
    /// Players, actions, shapes.
    fn game_spec(&self) -> &GameSpec;

    /// Self-play of it; an error where it is of another kind.
    fn self_play(&self, set: SelfPlaySettings) -> Result<Box<dyn SelfPlay>, &'static str>;
}

impl<G: Game> Rules for G {
    fn game_spec(&self) -> &GameSpec {
        self.spec()
    }

    fn self_play(&self, set: SelfPlaySettings) -> Result<Box<dyn SelfPlay>, &'static str> {
        Ok(Box::new(Games::new(self.clone(), set)?))
    }
}
