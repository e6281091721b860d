//! Minimax with alpha-beta, iterative deepening and a transposition table, in the form of negamax; means over chance.
//! Two players whose returns sum to 0, perfect information.
//!
//! Values shrink slightly at every ply on the way to the root, so that early wins and late losses are preferred.

use crate::player::{Budget, Fault, Halt, Line, Player, PlayerError, Thoughts};
use agon_core::game::{Action, Game, Turn, mix};
use agon_core::memory;
use agon_core::rng::Rng;

agon_core::settings! {
    /// Settings.
    pub struct MinimaxSettings {
        /// Search depth in plies, chance not counted. Unlimited where only another limit is given.
        depth: u32 = 6, in [1.0, 100.0];
        /// Positions to search; 0 for no limit.
        nodes: u64 = 0, in [0.0, 1e12];
        /// Milliseconds a move; 0 for no limit.
        milliseconds: u64 = 0, in [0.0, 1e9];
        /// Size of the transposition table: 2 to this power positions.
        table_bits: u32 = 18, in [1.0, 28.0];
        /// Whether ties are broken at random.
        random_ties: bool = true;
    }
}

/// The factor by which values shrink at each ply.
const KEEP: f32 = 0.999;

#[derive(Clone, Copy, PartialEq)]
enum Bound {
    Exact,
    Least,
    Most,
}

#[derive(Clone, Copy)]
struct Known {
    key: u64,
    /// The search that wrote it: others must not use it, or choices would depend on earlier games.
    search: u32,
    depth: u32,
    value: f32,
    bound: Bound,
    best: Action,
}

fn table_bytes(bits: u32) -> f64 {
    (size_of::<Option<Known>>() << bits) as f64
}

/// The player.
pub struct Minimax<G: Game> {
    set: MinimaxSettings,
    table: Vec<Option<Known>>,
    search: u32,
    /// A state and a list of moves for each ply.
    plies: Vec<(G::State, Vec<Action>)>,
    budget: Budget,
    halt: Halt,
    searched: u64,
    thoughts: Thoughts,
}

impl<G: Game> Minimax<G> {
    /// For a game that it can play.
    pub fn new(game: &G, set: MinimaxSettings) -> Result<Self, PlayerError> {
        let spec = game.spec();
        let why = match spec {
            _ if spec.hidden => Some("players do not see everything"),
            _ if spec.players() != 2 => Some("it is not for two"),
            _ if spec.returns[0] != -spec.returns[1] => Some("one player's gain is not the other's loss"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(PlayerError::Game { player: "minimax", why });
        }
        memory::fits("table_bits", table_bytes(set.table_bits), " for the table")?;
        Ok(Self {
            table: vec![None; 1 << set.table_bits],
            search: 0,
            set,
            plies: Vec::new(),
            budget: Budget::new(0, 0, &Halt::default()),
            halt: Halt::default(),
            searched: 0,
            thoughts: Thoughts::default(),
        })
    }

    /// The slot of a position in the table, and this search's entry there.
    #[inline]
    fn recall(&self, key: u64) -> (usize, Option<Known>) {
        let slot = (key >> (64 - self.set.table_bits)) as usize;
        (slot, self.table[slot].filter(|k| k.key == key && k.search == self.search))
    }

    /// The value of the state at `ply` for `player`, in the window (alpha, beta); 0 once the budget is spent.
    fn value(&mut self, game: &G, ply: usize, player: usize, depth: u32, alpha: f32, beta: f32) -> f32 {
        if !self.budget.take() {
            return 0.0;
        }
        self.searched += 1;
        match game.turn(&self.plies[ply].0) {
            Turn::Over => {
                let mut returns = [0.0; 2];
                game.returns(&self.plies[ply].0, &mut returns);
                returns[player]
            }
            Turn::Chance => {
                let mut outcomes = Vec::new();
                game.chance(&self.plies[ply].0, |a, p| outcomes.push((a, p as f32)));
                let mut mean = 0.0;
                for (action, p) in outcomes {
                    self.step(game, ply, action);
                    // No bound of the mean is one of an outcome.
                    mean += p * self.value(game, ply + 1, player, depth, f32::NEG_INFINITY, f32::INFINITY);
                }
                mean
            }
            Turn::Player(mover) if mover != player => -self.best(game, ply, mover, depth, -beta, -alpha).0,
            Turn::Player(mover) => self.best(game, ply, mover, depth, alpha, beta).0,
        }
    }

    /// The same where `mover` moves, with the move that reaches it.
    fn best(&mut self, game: &G, ply: usize, mover: usize, depth: u32, mut alpha: f32, beta: f32) -> (f32, Action) {
        if depth == 0 {
            return (game.estimate(&self.plies[ply].0, mover), 0);
        }
        let key = mix(game.hash(&self.plies[ply].0), mover as u64);
        let (slot, known) = self.recall(key);
        if let Some(known) = known.filter(|k| k.depth == depth && ply > 0) {
            let decides = match known.bound {
                Bound::Exact => true,
                Bound::Least => known.value >= beta,
                Bound::Most => known.value <= alpha,
            };
            if decides {
                return (known.value, known.best);
            }
        }
        let mut list = std::mem::take(&mut self.plies[ply].1);
        list.clear();
        game.moves(&self.plies[ply].0, |a| list.push(a));
        if let Some(first) = known.and_then(|k| list.iter().position(|a| *a == k.best)) {
            list[..=first].rotate_right(1);
        }
        let (start, mut found) = (alpha, (f32::NEG_INFINITY, list[0]));
        for &action in &list {
            self.step(game, ply, action);
            let value = KEEP * self.value(game, ply + 1, mover, depth - 1, alpha / KEEP, beta / KEEP);
            if value > found.0 {
                found = (value, action);
            }
            alpha = alpha.max(value);
            if alpha >= beta || self.budget.spent() {
                break;
            }
        }
        self.plies[ply].1 = list;
        if !self.budget.spent() {
            let bound = match found.0 {
                v if v >= beta => Bound::Least,
                v if v <= start => Bound::Most,
                _ => Bound::Exact,
            };
            self.table[slot] = Some(Known { key, search: self.search, depth, value: found.0, bound, best: found.1 });
        }
        found
    }

    fn step(&mut self, game: &G, ply: usize, action: Action) {
        if self.plies.len() == ply + 1 {
            self.plies.push(Default::default());
        }
        let [from, to] = &mut self.plies[ply..ply + 2] else { unreachable!("two plies") };
        to.0.clone_from(&from.0);
        game.play(&mut to.0, action);
    }

    /// The principal variation in the table after a move.
    fn line(&self, game: &G, root: &G::State, first: Action, length: u32) -> Vec<Action> {
        let (mut state, mut moves) = (root.clone(), vec![first]);
        game.play(&mut state, first);
        while let (Turn::Player(mover), true) = (game.turn(&state), moves.len() < length as usize) {
            let key = mix(game.hash(&state), mover as u64);
            let Some(known) = self.recall(key).1 else { break };
            let mut legal = false;
            game.moves(&state, |a| legal |= a == known.best);
            if !legal {
                break;
            }
            game.play(&mut state, known.best);
            moves.push(known.best);
        }
        moves
    }
}

impl<G: Game> Player<G> for Minimax<G> {
    fn bytes(&self) -> f64 {
        table_bytes(self.set.table_bits)
    }

    fn heed(&mut self, halt: &Halt) {
        self.halt = halt.clone();
    }

    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault> {
        let Turn::Player(mover) = game.turn(state) else { return Ok(0) };
        self.search = self.search.wrapping_add(1);
        self.budget = Budget::new(self.set.nodes, self.set.milliseconds, &self.halt);
        self.searched = 0;
        if self.plies.is_empty() {
            self.plies.push(Default::default());
        }
        self.plies[0].0.clone_from(state);
        let mut order = agon_core::game::moves(game, state);
        rng.shuffle(&mut order);
        let mut done: Vec<(f32, Action)> = order.iter().map(|a| (0.0, *a)).collect();
        let mut reached = 0;
        for depth in 1..=self.set.depth {
            let mut found = Vec::with_capacity(order.len());
            let mut most = f32::NEG_INFINITY;
            for &action in &order {
                self.step(game, 0, action);
                // Where ties are drawn, every equal must be known to be one: the window stays just open below.
                let alpha = if self.set.random_ties { most - 1e-6 } else { most };
                let value = KEEP * self.value(game, 1, mover, depth - 1, alpha / KEEP, f32::INFINITY);
                if self.budget.spent() {
                    break;
                }
                most = most.max(value);
                found.push((value, action));
            }
            if self.budget.spent() {
                break;
            }
            // The order is random, and the sort keeps it among equals.
            found.sort_by(|a, b| (b.0 + 0.0).total_cmp(&(a.0 + 0.0))); // 0 and −0 are equals
            order = found.iter().map(|f| f.1).collect();
            (done, reached) = (found, depth);
            // A forced end needs no deeper look.
            let [_, win] = game.spec().returns;
            if done[0].0.abs() > win * KEEP.powi(depth as i32 + 1) {
                break;
            }
        }
        let lines = done.iter().take(5).map(|(value, action)| Line {
            moves: self.line(game, state, *action, reached),
            visits: 0,
            value: *value,
        });
        self.thoughts =
            Thoughts { lines: lines.collect(), searched: self.searched, depth: reached, probabilities: false };
        if !self.set.random_ties {
            // The first in the game's own order among the best.
            return Ok(done.iter().filter(|d| d.0 == done[0].0).map(|d| d.1).min().unwrap_or(done[0].1));
        }
        Ok(done[0].1)
    }

    fn thoughts(&self) -> Thoughts {
        self.thoughts.clone()
    }
}
