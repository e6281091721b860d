//! Monte Carlo tree search with random playouts: UCT (Kocsis and Szepesvári 2006, "Bandit based Monte-Carlo
//! planning"). Any number of players, chance, perfect information.
//!
//! A simulation walks down by the largest mean + c √(ln n / nᵢ), plays on at random from the first new position and
//! adds the result to every move on its way. Children of a node are adjacent, so that the choice among them is a loop
//! over arrays. With several threads each grows a tree of its own and the counts at the root are added up, so that the
//! choice depends on the seed and the number of threads, never on their timing (unless time is the budget).

use crate::player::{Budget, Fault, Halt, Line, Player, PlayerError, Thoughts};
use agon_core::game::{Action, Game, Turn, playout};
use agon_core::memory;
use agon_core::rng::{Rng, Stream};

agon_core::settings! {
    /// Settings.
    pub struct MctsSettings {
        /// Simulations a move; 0 for no limit (then a time limit is needed), which is also the default where only a
        /// time limit is given.
        simulations: u64 = 1000, in [0.0, 1e9];
        /// Milliseconds a move; 0 for no limit.
        milliseconds: u64 = 0, in [0.0, 1e9];
        /// The constant c of the exploration term, in units of half the span of returns.
        exploration: f64 = 1.4, in [0.0, 100.0];
        /// The most positions of a tree; a full tree is searched on without growing.
        nodes: usize = 50_000_000, in [1000.0, 4e9];
        /// Threads, each with a tree and an equal share of the simulations.
        threads: usize = 1, in [1.0, 256.0];
    }
}

impl MctsSettings {
    /// Bytes of the trees of one search, at most.
    fn bytes(&self, actions: usize) -> f64 {
        // A simulation adds the positions that can follow one, about 40 at most. Arrays that grow are copied, old and
        // new side by side.
        let each = actions.min(40) as f64;
        let grown = if self.simulations == 0 { f64::INFINITY } else { self.simulations as f64 * each };
        2.0 * NODE * grown.min(self.nodes as f64) * self.threads as f64
    }
}

/// Bytes of a node.
const NODE: f64 = 18.0;

/// Nodes in arrays. The root is 0; the children of a node follow each other.
#[derive(Default)]
struct Tree {
    first: Vec<u32>,
    children: Vec<u16>,
    /// The number of visited children, which come first.
    tried: Vec<u16>,
    action: Vec<Action>,
    visits: Vec<u32>,
    /// The sum of results for the player who chose the move to the node.
    total: Vec<f32>,
}

impl Tree {
    fn clear(&mut self) {
        self.first.clear();
        self.children.clear();
        self.tried.clear();
        self.action.clear();
        self.visits.clear();
        self.total.clear();
        self.push(0);
    }

    fn push(&mut self, action: Action) {
        self.first.push(0);
        self.children.push(0);
        self.tried.push(0);
        self.action.push(action);
        self.visits.push(0);
        self.total.push(0.0);
    }

    fn range(&self, node: usize) -> std::ops::Range<usize> {
        let first = self.first[node] as usize;
        first..first + usize::from(self.children[node])
    }

    /// Gives a node its children, in random order: unvisited ones are tried from the left.
    fn expand<G: Game>(&mut self, game: &G, state: &G::State, node: usize, rng: &mut Rng) {
        let first = self.action.len();
        game.moves(state, |a| self.push(a));
        rng.shuffle(&mut self.action[first..]);
        self.first[node] = first as u32;
        self.children[node] = (self.action.len() - first) as u16;
    }

    /// The child to descend to.
    #[inline]
    fn select(&mut self, node: usize, exploration: f32) -> usize {
        let range = self.range(node);
        let tried = usize::from(self.tried[node]);
        if tried < range.len() {
            self.tried[node] += 1;
            return range.start + tried;
        }
        let width = exploration * (self.visits[node].max(1) as f32).ln().sqrt();
        let (mut best, mut most) = (range.start, f32::NEG_INFINITY);
        for (i, (visits, total)) in self.visits[range.clone()].iter().zip(&self.total[range.clone()]).enumerate() {
            let n = *visits as i32 as f32;
            let score = (total + width * n.sqrt()) / n; // mean + c √(ln N / n)
            if score > most {
                (best, most) = (range.start + i, score);
            }
        }
        best
    }

    /// The child of a node of chance that an outcome leads to.
    fn outcome<G: Game>(&mut self, game: &G, state: &G::State, node: usize, action: Action) -> usize {
        if self.children[node] == 0 {
            let first = self.action.len();
            game.chance(state, |a, _| self.push(a));
            self.first[node] = first as u32;
            self.children[node] = (self.action.len() - first) as u16;
        }
        let mut range = self.range(node);
        range.find(|child| self.action[*child] == action).unwrap_or(node)
    }

    /// The most visited line from a node.
    fn line(&self, mut node: usize) -> Vec<Action> {
        let mut moves = vec![self.action[node]];
        while let Some(best) = self.range(node).max_by_key(|c| (self.visits[*c], std::cmp::Reverse(*c))) {
            if self.visits[best] == 0 || moves.len() == 12 {
                break;
            }
            moves.push(self.action[best]);
            node = best;
        }
        moves
    }
}

/// One thread's state.
struct Worker<S> {
    tree: Tree,
    state: S,
    path: Vec<(usize, usize)>,
    returns: Vec<f32>,
    simulations: u64,
    /// Positions that the tree may hold.
    nodes: usize,
}

/// In a path: an outcome of chance.
const CHANCE: usize = usize::MAX;

impl<S> Worker<S> {
    fn search<G: Game<State = S>>(&mut self, game: &G, root: &S, exploration: f32, mut budget: Budget, rng: &mut Rng)
    where
        S: Clone,
    {
        self.tree.clear();
        self.simulations = 0;
        while budget.take() {
            self.simulations += 1;
            self.state.clone_from(root);
            self.path.clear();
            let mut node = 0;
            loop {
                let full = self.tree.children[node] == 0 && self.tree.action.len() >= self.nodes;
                match game.turn(&self.state) {
                    Turn::Over => break,
                    _ if full => {
                        playout(game, &mut self.state, rng);
                        break;
                    }
                    Turn::Chance => {
                        let outcome = game.roll(&self.state, rng);
                        node = self.tree.outcome(game, &self.state, node, outcome);
                        game.play(&mut self.state, outcome);
                        self.path.push((node, CHANCE));
                    }
                    Turn::Player(mover) => {
                        if self.tree.children[node] == 0 {
                            if node != 0 && self.tree.visits[node] == 0 {
                                playout(game, &mut self.state, rng);
                                break;
                            }
                            self.tree.expand(game, &self.state, node, rng);
                        }
                        node = self.tree.select(node, exploration);
                        game.play(&mut self.state, self.tree.action[node]);
                        self.path.push((node, mover));
                    }
                }
            }
            game.returns(&self.state, &mut self.returns);
            self.tree.visits[0] += 1;
            for &(node, mover) in &self.path {
                self.tree.visits[node] += 1;
                if mover != CHANCE {
                    self.tree.total[node] += self.returns[mover];
                }
            }
        }
    }
}

/// The player.
pub struct Mcts<G: Game> {
    set: MctsSettings,
    bytes: f64,
    exploration: f32,
    workers: Vec<Worker<G::State>>,
    thoughts: Thoughts,
    halt: Halt,
}

impl<G: Game> Mcts<G> {
    /// For a game that it can play.
    pub fn new(game: &G, set: MctsSettings) -> Result<Self, PlayerError> {
        let spec = game.spec();
        if spec.hidden {
            return Err(PlayerError::Game { player: "mcts", why: "players do not see everything" });
        }
        if set.simulations == 0 && set.milliseconds == 0 {
            let issue = "there must be a limit of simulations or of milliseconds";
            return Err(PlayerError::Settings(vec![agon_core::settings::Issue::value("simulations", issue)]));
        }
        let bytes = set.bytes(spec.actions);
        memory::fits("nodes", bytes, " for the trees of one search (`nodes` bounds them)")?;
        let [least, most] = spec.returns;
        let span = if most.is_finite() { (most - least) / 2.0 } else { 1.0 };
        let worker = || Worker {
            tree: Tree::default(),
            state: G::State::default(),
            path: Vec::new(),
            returns: vec![0.0; spec.players()],
            simulations: 0,
            nodes: set.nodes,
        };
        let workers = (0..set.threads).map(|_| worker()).collect();
        Ok(Self {
            exploration: set.exploration as f32 * span,
            bytes,
            set,
            workers,
            thoughts: Thoughts::default(),
            halt: Halt::default(),
        })
    }

    fn budget(&self, thread: usize) -> Budget {
        let (all, threads) = (self.set.simulations, self.workers.len() as u64);
        // The first threads take what does not divide; each has at least one.
        let share = all / threads + u64::from((thread as u64) < all % threads);
        Budget::new(if all == 0 { 0 } else { share.max(1) }, self.set.milliseconds, &self.halt)
    }

    /// Sums the visits of the roots.
    fn conclude(&mut self) {
        let mut lines: Vec<Line> = Vec::new();
        for worker in &self.workers {
            let tree = &worker.tree;
            for child in tree.range(0) {
                let at = lines.iter().position(|l| l.moves[0] == tree.action[child]).unwrap_or_else(|| {
                    lines.push(Line { moves: tree.line(child), visits: 0, value: 0.0 });
                    lines.len() - 1
                });
                lines[at].visits += u64::from(tree.visits[child]);
                lines[at].value += tree.total[child];
            }
        }
        lines.iter_mut().for_each(|l| l.value /= l.visits.max(1) as f32);
        // 0 and −0 are equals.
        let worth = |line: &Line| line.value + 0.0;
        lines.sort_by(|a, b| b.visits.cmp(&a.visits).then(worth(b).total_cmp(&worth(a))).then(a.moves.cmp(&b.moves)));
        let searched = self.workers.iter().map(|w| w.simulations).sum();
        self.thoughts = Thoughts { lines, searched, depth: 0, probabilities: false };
    }
}

impl<G: Game> Player<G> for Mcts<G> {
    fn bytes(&self) -> f64 {
        self.bytes
    }

    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault> {
        let seed = u64::from(rng.below(u32::MAX)) << 32 | u64::from(rng.below(u32::MAX));
        let budgets: Vec<Budget> = (0..self.workers.len()).map(|i| self.budget(i)).collect();
        let exploration = self.exploration;
        let run = |i: usize, worker: &mut Worker<G::State>| {
            let mut rng = Rng::new(seed, Stream::Player, i as u32);
            worker.search(game, state, exploration, budgets[i].clone(), &mut rng);
        };
        if let [worker] = &mut self.workers[..] {
            run(0, worker);
        } else {
            // A panic in a game is a bug: let it surface as one.
            crossbeam::thread::scope(|scope| {
                for (i, worker) in self.workers.iter_mut().enumerate() {
                    let run = &run;
                    scope.spawn(move |_| run(i, worker));
                }
            })
            .expect("a search panicked");
        }
        self.conclude();
        Ok(self.thoughts.lines[0].moves[0])
    }

    fn heed(&mut self, halt: &Halt) {
        self.halt = halt.clone();
    }

    fn thoughts(&self) -> Thoughts {
        self.thoughts.clone()
    }
}
