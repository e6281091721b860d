//! Counterfactual regret minimisation for games with hidden information: CFR+ (Tammelin 2014), external-sampling Monte
//! Carlo CFR (Lanctot et al. 2009), and the exact exploitability of a policy.
//!
//! Both work on the whole tree of the game, held in memory; two players whose returns sum to 0.

use crate::player::{Fault, Line, Player, PlayerError, Thoughts};
use agon_core::game::{Action, Game, Turn, start};
use agon_core::rng::{Rng, Stream};
use std::collections::HashMap;

agon_core::settings! {
    /// Settings.
    pub struct CfrSettings {
        /// Iterations before the first game; each traverses the tree once for each player.
        iterations: u64 = 1000, in [1.0, 1e9];
        /// Whether each iteration samples chance and the opponent (external sampling) instead of CFR+.
        sampling: bool = false;
        /// The seed of the sampling.
        seed: u64 = 1;
    }
}

/// The most nodes of a tree.
const NODES: usize = 5_000_000;

enum Node {
    /// The first player's return.
    End(f64),
    /// Outcomes with their probabilities.
    Chance(Vec<(f64, u32)>),
    /// A player's move: the information set, and a child for each of its actions.
    Move(u32, Vec<u32>),
}

/// An information set: what a player knows when it moves.
#[derive(Clone, Debug, PartialEq)]
pub struct InfoSet {
    /// The player to move.
    pub player: usize,
    /// The legal moves.
    pub actions: Vec<Action>,
}

/// A game's whole tree. The root is the last node.
pub struct Tree {
    nodes: Vec<Node>,
    /// The information sets.
    pub sets: Vec<InfoSet>,
    names: HashMap<String, u32>,
}

/// For each information set the probabilities of its actions.
pub type Policy = Vec<Vec<f64>>;

impl Tree {
    /// Grows the tree of a game.
    pub fn new<G: Game>(game: &G) -> Result<Self, PlayerError> {
        let spec = game.spec();
        let why = match spec {
            _ if spec.players() != 2 => Some("it is not for two"),
            _ if spec.returns[0] != -spec.returns[1] => Some("one player's gain is not the other's loss"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(PlayerError::Game { player: "cfr", why });
        }
        let mut tree = Self { nodes: Vec::new(), sets: Vec::new(), names: HashMap::new() };
        tree.grow(game, &start(game))?;
        Ok(tree)
    }

    fn grow<G: Game>(&mut self, game: &G, state: &G::State) -> Result<u32, PlayerError> {
        if self.nodes.len() >= NODES {
            return Err(PlayerError::Game { player: "cfr", why: "its tree is too large to be held in memory" });
        }
        let child = |tree: &mut Self, action: Action| {
            let mut next = state.clone();
            game.play(&mut next, action);
            tree.grow(game, &next)
        };
        let node = match game.turn(state) {
            Turn::Over => {
                let mut returns = [0.0; 2];
                game.returns(state, &mut returns);
                Node::End(f64::from(returns[0]))
            }
            Turn::Chance => {
                let mut outcomes = Vec::new();
                game.chance(state, |a, p| outcomes.push((a, p)));
                let grown = outcomes.into_iter().map(|(a, p)| child(self, a).map(|c| (p, c)));
                Node::Chance(grown.collect::<Result<_, _>>()?)
            }
            Turn::Player(player) => {
                let actions = agon_core::game::moves(game, state);
                let children = actions.iter().map(|a| child(self, *a)).collect::<Result<_, _>>()?;
                let name = name(game, state, player);
                let next = self.sets.len() as u32;
                let set = *self.names.entry(name).or_insert(next);
                if set == next {
                    self.sets.push(InfoSet { player, actions });
                }
                Node::Move(set, children)
            }
        };
        self.nodes.push(node);
        Ok(self.nodes.len() as u32 - 1)
    }

    fn root(&self) -> usize {
        self.nodes.len() - 1
    }

    /// The information set of a position.
    pub fn set<G: Game>(&self, game: &G, state: &G::State, player: usize) -> Option<usize> {
        self.names.get(&name(game, state, player)).map(|s| *s as usize)
    }

    /// The policy of a player; none where it does not play by probabilities.
    pub fn policy_of<G: Game>(&self, game: &G, player: &mut dyn Player<G>) -> Option<Policy> {
        let mut policy: Policy = vec![Vec::new(); self.sets.len()];
        let (mut all, mut open) = (vec![0.0; game.spec().actions], vec![start(game)]);
        while let Some(state) = open.pop() {
            let mut actions = Vec::new();
            match game.turn(&state) {
                Turn::Over => {}
                Turn::Chance => game.chance(&state, |a, _| actions.push(a)),
                Turn::Player(mover) => {
                    let set = self.set(game, &state, mover)?;
                    actions.clone_from(&self.sets[set].actions);
                    if policy[set].is_empty() {
                        if !player.policy(game, &state, &mut all) {
                            return None;
                        }
                        let chosen: Vec<f64> = actions.iter().map(|a| f64::from(all[usize::from(*a)])).collect();
                        let sum: f64 = chosen.iter().sum();
                        policy[set] = chosen.iter().map(|p| p / sum).collect();
                    }
                }
            }
            open.extend(actions.into_iter().map(|action| {
                let mut next = state.clone();
                game.play(&mut next, action);
                next
            }));
        }
        Some(policy)
    }

    /// Every action equally often.
    pub fn uniform(&self) -> Policy {
        self.sets.iter().map(|s| vec![1.0 / s.actions.len() as f64; s.actions.len()]).collect()
    }

    /// The first player's expected return if both follow a policy.
    pub fn value(&self, policy: &Policy) -> f64 {
        // Children come before their parents.
        let mut values = vec![0.0; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            values[i] = match node {
                Node::End(value) => *value,
                Node::Chance(outcomes) => outcomes.iter().map(|(p, c)| p * values[*c as usize]).sum(),
                Node::Move(set, children) => {
                    children.iter().zip(&policy[*set as usize]).map(|(c, p)| p * values[*c as usize]).sum()
                }
            };
        }
        values[self.root()]
    }

    /// The expected return of `player` for its best response to a policy.
    pub fn best_response(&self, policy: &Policy, player: usize) -> f64 {
        // How likely chance and the opponent come to each node.
        let mut reach = vec![0.0; self.nodes.len()];
        reach[self.root()] = 1.0;
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); self.sets.len()];
        for i in (0..self.nodes.len()).rev() {
            match &self.nodes[i] {
                Node::End(_) => {}
                Node::Chance(outcomes) => outcomes.iter().for_each(|(p, c)| reach[*c as usize] = reach[i] * p),
                Node::Move(set, children) => {
                    let own = self.sets[*set as usize].player == player;
                    if own {
                        members[*set as usize].push(i as u32);
                    }
                    for (c, p) in children.iter().zip(&policy[*set as usize]) {
                        reach[*c as usize] = reach[i] * if own { 1.0 } else { *p };
                    }
                }
            }
        }
        let mut search = Response { tree: self, policy, player, reach, members, chosen: vec![None; self.sets.len()] };
        search.value(self.root())
    }

    /// Exploitability: half of what both players together would gain by best responses, 0 at an equilibrium.
    pub fn exploitability(&self, policy: &Policy) -> f64 {
        (self.best_response(policy, 0) + self.best_response(policy, 1)) / 2.0
    }
}

fn name<G: Game>(game: &G, state: &G::State, player: usize) -> String {
    format!("{player} {}", game.information_state(state, player))
}

struct Response<'a> {
    tree: &'a Tree,
    policy: &'a Policy,
    player: usize,
    reach: Vec<f64>,
    members: Vec<Vec<u32>>,
    chosen: Vec<Option<usize>>,
}

impl Response<'_> {
    fn value(&mut self, node: usize) -> f64 {
        let tree = self.tree;
        match &tree.nodes[node] {
            Node::End(value) => {
                if self.player == 0 {
                    *value
                } else {
                    -value
                }
            }
            Node::Chance(outcomes) => outcomes.iter().map(|(p, c)| p * self.value(*c as usize)).sum(),
            Node::Move(set, children) if tree.sets[*set as usize].player == self.player => {
                let best = self.choose(*set as usize);
                self.value(children[best] as usize)
            }
            Node::Move(set, children) => {
                let policy = &self.policy[*set as usize];
                children.iter().zip(policy).map(|(c, p)| if *p > 0.0 { p * self.value(*c as usize) } else { 0.0 }).sum()
            }
        }
    }

    /// The best action of an information set, over all its positions.
    fn choose(&mut self, set: usize) -> usize {
        if let Some(best) = self.chosen[set] {
            return best;
        }
        let mut worth = vec![0.0; self.tree.sets[set].actions.len()];
        for node in std::mem::take(&mut self.members[set]) {
            let Node::Move(_, children) = &self.tree.nodes[node as usize] else { continue };
            let reach = self.reach[node as usize];
            if reach > 0.0 {
                worth.iter_mut().zip(children).for_each(|(w, c)| *w += reach * self.value(*c as usize));
            }
        }
        let best = (0..worth.len()).max_by(|a, b| worth[*a].total_cmp(&worth[*b])).unwrap_or(0);
        self.chosen[set] = Some(best);
        best
    }
}

/// Regrets and the average policy of a game that is being solved.
pub struct Solver {
    /// The game.
    pub tree: Tree,
    regrets: Policy,
    sums: Policy,
    /// What CFR+ plays in this iteration: regrets change during an iteration, the policy must not.
    now: Policy,
    iterations: u64,
    rng: Option<Rng>,
}

/// Regret matching.
fn match_regrets(regrets: &[f64], policy: &mut [f64]) {
    let sum: f64 = regrets.iter().map(|r| r.max(0.0)).sum();
    let even = 1.0 / regrets.len() as f64;
    policy.iter_mut().zip(regrets).for_each(|(p, r)| *p = if sum > 0.0 { r.max(0.0) / sum } else { even });
}

impl Solver {
    /// CFR+, or external sampling where there is a generator.
    pub fn new(tree: Tree, rng: Option<Rng>) -> Self {
        let zeros: Policy = tree.sets.iter().map(|s| vec![0.0; s.actions.len()]).collect();
        Self { now: tree.uniform(), tree, regrets: zeros.clone(), sums: zeros, iterations: 0, rng }
    }

    /// One iteration: an update for each player.
    pub fn step(&mut self) {
        self.iterations += 1;
        let root = self.tree.root();
        for player in 0..2 {
            if self.rng.is_some() {
                self.sample(root, player);
                continue;
            }
            self.walk(root, player, 1.0, 1.0);
            for (i, set) in self.tree.sets.iter().enumerate() {
                if set.player == player {
                    self.regrets[i].iter_mut().for_each(|r| *r = r.max(0.0));
                    match_regrets(&self.regrets[i], &mut self.now[i]);
                }
            }
        }
    }

    /// The average policy, which is what converges.
    pub fn average(&self) -> Policy {
        let mut policy = self.sums.clone();
        for sums in &mut policy {
            let total: f64 = sums.iter().sum();
            let even = 1.0 / sums.len() as f64;
            sums.iter_mut().for_each(|s| *s = if total > 0.0 { *s / total } else { even });
        }
        policy
    }

    /// CFR: the value of a node for `player`, with reach probabilities `own` and, of the others, `other`.
    fn walk(&mut self, node: usize, player: usize, own: f64, other: f64) -> f64 {
        let (set, count) = match &self.tree.nodes[node] {
            Node::End(value) => return if player == 0 { *value } else { -value },
            Node::Chance(outcomes) => {
                let mut value = 0.0;
                for i in 0..outcomes.len() {
                    let Node::Chance(outcomes) = &self.tree.nodes[node] else { unreachable!("it is chance's") };
                    let (p, child) = outcomes[i];
                    value += p * self.walk(child as usize, player, own, other * p);
                }
                return value;
            }
            Node::Move(set, children) => (*set as usize, children.len()),
        };
        let policy = std::mem::take(&mut self.now[set]);
        let mine = self.tree.sets[set].player == player;
        let mut values = vec![0.0; count];
        for i in 0..count {
            let Node::Move(_, children) = &self.tree.nodes[node] else { unreachable!("it is a move") };
            let child = children[i] as usize;
            let (own, other) = if mine { (own * policy[i], other) } else { (own, other * policy[i]) };
            if own > 0.0 || other > 0.0 {
                values[i] = self.walk(child, player, own, other);
            }
        }
        let value: f64 = values.iter().zip(&policy).map(|(v, p)| v * p).sum();
        if mine {
            // Later policies are the better ones: they weigh in proportion to their number.
            let weight = own * self.iterations as f64;
            for i in 0..count {
                self.regrets[set][i] += other * (values[i] - value);
                self.sums[set][i] += weight * policy[i];
            }
        }
        self.now[set] = policy; // nobody needed it below: no set comes twice on one path
        value
    }

    /// External sampling: all of `player`'s actions, one of any other player's.
    fn sample(&mut self, node: usize, player: usize) -> f64 {
        let draw = |rng: &mut Option<Rng>, weights: &mut dyn Iterator<Item = f64>| {
            let mut left = rng.as_mut().map_or(0.0, Rng::f64);
            let mut last = 0;
            for (i, p) in weights.enumerate() {
                last = i;
                left -= p;
                if left < 0.0 {
                    break;
                }
            }
            last
        };
        let (set, count) = match &self.tree.nodes[node] {
            Node::End(value) => return if player == 0 { *value } else { -value },
            Node::Chance(outcomes) => {
                let i = draw(&mut self.rng, &mut outcomes.iter().map(|o| o.0));
                let child = outcomes[i].1 as usize;
                return self.sample(child, player);
            }
            Node::Move(set, children) => (*set as usize, children.len()),
        };
        let mut policy = vec![0.0; count];
        match_regrets(&self.regrets[set], &mut policy);
        let child = |tree: &Tree, i: usize| match &tree.nodes[node] {
            Node::Move(_, children) => children[i] as usize,
            _ => unreachable!("it is a move"),
        };
        if self.tree.sets[set].player != player {
            self.sums[set].iter_mut().zip(&policy).for_each(|(s, p)| *s += p);
            let i = draw(&mut self.rng, &mut policy.iter().copied());
            return self.sample(child(&self.tree, i), player);
        }
        let values: Vec<f64> = (0..count).map(|i| self.sample(child(&self.tree, i), player)).collect();
        let value: f64 = values.iter().zip(&policy).map(|(v, p)| v * p).sum();
        self.regrets[set].iter_mut().zip(values).for_each(|(r, v)| *r += v - value);
        value
    }
}

/// Solves the game before the first move, then plays the average policy.
pub struct Cfr {
    tree: Tree,
    policy: Policy,
    thoughts: Thoughts,
}

impl Cfr {
    /// Solves a game that it can play.
    pub fn new<G: Game>(game: &G, set: CfrSettings) -> Result<Self, PlayerError> {
        let rng = set.sampling.then(|| Rng::new(set.seed, Stream::Player, 0));
        let mut solver = Solver::new(Tree::new(game)?, rng);
        (0..set.iterations).for_each(|_| solver.step());
        Ok(Self {
            policy: solver.average(),
            tree: solver.tree,
            thoughts: Thoughts { probabilities: true, ..Thoughts::default() },
        })
    }
}

impl<G: Game> Player<G> for Cfr {
    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault> {
        let Turn::Player(mover) = game.turn(state) else { return Ok(0) };
        let Some(set) = self.tree.set(game, state, mover) else { return Ok(game.random_move(state, rng)) };
        let (actions, policy) = (&self.tree.sets[set].actions, &self.policy[set]);
        let line = |(a, p): (&Action, &f64)| Line { moves: vec![*a], visits: 0, value: *p as f32 };
        self.thoughts.lines = actions.iter().zip(policy).map(line).collect();
        self.thoughts.lines.sort_by(|a, b| b.value.total_cmp(&a.value));
        let mut left = rng.f64();
        let chosen = policy.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        Ok(actions[chosen.unwrap_or(actions.len() - 1)])
    }

    fn policy(&mut self, game: &G, state: &G::State, policy: &mut [f32]) -> bool {
        let Turn::Player(mover) = game.turn(state) else { return false };
        let Some(set) = self.tree.set(game, state, mover) else { return false };
        policy.fill(0.0);
        let chosen = self.tree.sets[set].actions.iter().zip(&self.policy[set]);
        chosen.for_each(|(a, p)| policy[usize::from(*a)] = *p as f32);
        true
    }

    /// None: its lines hold probabilities.
    fn value(&self) -> Option<f32> {
        None
    }

    fn thoughts(&self) -> Thoughts {
        self.thoughts.clone()
    }
}
