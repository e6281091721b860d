//! Tree search guided by a network: PUCT (Silver et al. 2018, "A general reinforcement learning algorithm that masters
//! chess, shogi and Go") and Gumbel search (Danihelka et al. 2022, "Policy improvement by planning with Gumbel").
//!
//! The tree knows no network. [`Tree::select`] descends to a position that needs an evaluation, the caller evaluates it
//! (alone, or batched with positions of many other trees), and [`Tree::expand`] takes the evaluation. Proven wins and
//! losses are propagated. For two-player games of perfect information whose returns sum to a constant; chance is
//! sampled. Values are from −1 to 1.

use agon_core::game::{Action, Game, Turn};
use agon_core::rng::Rng;
use rand_distr::Distribution;

agon_core::choices! {
    /// How the tree is searched.
    pub enum Rule {
        Puct = "puct",
        Gumbel = "gumbel",
    }
}

agon_core::settings! {
    /// How a tree is searched.
    pub struct SearchSettings {
        /// Simulations a move.
        simulations: u32 = 100, in [0.0, 1e7];
        /// PUCT, or Gumbel's sequential halving at the root.
        rule: Rule = Rule::Gumbel;
        /// PUCT: weight of the prior.
        exploration: f64 = 1.5, in [0.0, 100.0];
        /// PUCT: first-play urgency, by which an unvisited move is valued below its position's mean.
        reduction: f64 = 0.2, in [0.0, 2.0];
        /// Gumbel: moves considered at the root.
        considered: u32 = 16, in [1.0, 10_000.0];
        /// Gumbel: c_visit of the paper.
        visit_offset: f64 = 50.0, in [0.0, 1e6];
        /// Gumbel: c_scale of the paper, for values from 0 to 1.
        value_scale: f64 = 1.0, in [0.0, 1e6];
    }
}

/// Noise at the root, for self-play only.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// PUCT: the share of Dirichlet noise in the priors. Gumbel: noise where it is above 0.
    pub share: f32,
    /// PUCT: the noise's concentration, times the number of moves.
    pub alpha: f64,
}

/// In a path: an outcome of chance.
const CHANCE: usize = usize::MAX;

/// Nodes in arrays; the root is 0, the children of a node follow each other.
#[derive(Clone, Debug, Default)]
struct Nodes {
    first: Vec<u32>,
    children: Vec<u16>,
    action: Vec<Action>,
    /// The network's logit of the move to the node, less the maximum among its siblings.
    logit: Vec<f32>,
    prior: Vec<f32>,
    visits: Vec<u32>,
    /// The sum of values for the player who chose the move to the node.
    total: Vec<f32>,
    /// The network's value of the position, for the player to move.
    value: Vec<f32>,
    /// 1 or −1 where the node is a proven win or loss for the player who moved to it, else 0.
    proven: Vec<i8>,
}

impl Nodes {
    fn push(&mut self, action: Action, logit: f32, prior: f32) {
        self.first.push(0);
        self.children.push(0);
        self.action.push(action);
        self.logit.push(logit);
        self.prior.push(prior);
        self.visits.push(0);
        self.total.push(0.0);
        self.value.push(0.0);
        self.proven.push(0);
    }

    fn clear(&mut self) {
        self.first.clear();
        self.children.clear();
        self.action.clear();
        self.logit.clear();
        self.prior.clear();
        self.visits.clear();
        self.total.clear();
        self.value.clear();
        self.proven.clear();
    }

    fn range(&self, node: usize) -> std::ops::Range<usize> {
        let first = self.first[node] as usize;
        first..first + usize::from(self.children[node])
    }

    fn mean(&self, node: usize) -> f32 {
        match self.proven[node] {
            0 => self.total[node] / self.visits[node].max(1) as f32,
            sure => f32::from(sure),
        }
    }

    /// Whether a node is a proven win (1) or loss (−1) for the player to move, by its children.
    fn sure(&self, node: usize) -> i8 {
        let children = &self.proven[self.range(node)];
        if children.contains(&1) {
            1
        } else if !children.is_empty() && children.iter().all(|p| *p == -1) {
            -1
        } else {
            0
        }
    }

    /// Appends a copy of a node's subtree.
    fn graft(&mut self, from: &Self, node: usize) {
        self.push(from.action[node], from.logit[node], from.prior[node]);
        let mut queue = std::collections::VecDeque::from([(node, 0)]);
        while let Some((old, new)) = queue.pop_front() {
            (self.visits[new], self.total[new], self.value[new]) = (from.visits[old], from.total[old], from.value[old]);
            self.proven[new] = from.proven[old];
            (self.first[new], self.children[new]) = (self.first.len() as u32, from.children[old]);
            for child in from.range(old) {
                queue.push_back((child, self.first.len()));
                self.push(from.action[child], from.logit[child], from.prior[child]);
            }
        }
    }
}

/// The search tree of a position, reused for the next ones of its game.
#[derive(Clone, Debug)]
pub struct Tree<S> {
    set: SearchSettings,
    noise: Noise,
    nodes: Nodes,
    spare: Nodes,
    root: S,
    /// The node that the present descent has reached.
    leaf: S,
    path: Vec<(usize, usize)>,
    /// Simulations of this position.
    done: u32,
    /// Whether noise was added to the root.
    noisy: bool,
    /// Gumbel: noise of the root's children, and the visits that the n-th simulation looks for.
    gumbel: Vec<f32>,
    sequence: Vec<u32>,
    scratch: Vec<f32>,
    returns: Vec<f32>,
}

impl<S: Clone + Default + PartialEq> Tree<S> {
    /// An empty tree.
    pub fn new(set: SearchSettings, noise: Noise) -> Self {
        Self {
            set,
            noise,
            nodes: Nodes::default(),
            spare: Nodes::default(),
            root: S::default(),
            leaf: S::default(),
            path: Vec::new(),
            done: 0,
            noisy: false,
            gumbel: Vec::new(),
            sequence: Vec::new(),
            scratch: Vec::new(),
            returns: Vec::new(),
        }
    }

    /// Begins the search of a position with an empty tree.
    pub fn plant(&mut self, root: &S) {
        self.root.clone_from(root);
        self.nodes.clear();
        self.nodes.push(0, 0.0, 1.0);
        (self.done, self.noisy) = (0, false);
    }

    /// Advances to the position after a move and keeps its subtree; with an empty tree where that cannot be used, as in
    /// Gumbel search, whose halving counts visits from 0.
    pub fn descend(&mut self, action: Action, position: &S) {
        let mut children = self.nodes.range(0);
        let child = children.find(|c| self.nodes.action[*c] == action && self.nodes.children[*c] > 0);
        match child {
            Some(child) if self.set.rule == Rule::Puct => {
                self.spare.clear();
                self.spare.graft(&self.nodes, child);
                std::mem::swap(&mut self.nodes, &mut self.spare);
                self.root.clone_from(position);
                (self.done, self.noisy) = (0, false);
            }
            _ => self.plant(position),
        }
    }

    /// The position that is searched.
    pub fn root(&self) -> &S {
        &self.root
    }

    /// The position that waits for an evaluation.
    pub fn leaf(&self) -> &S {
        &self.leaf
    }

    /// Simulations of this position so far.
    pub fn simulations(&self) -> u32 {
        self.done
    }

    /// Whether the root is evaluated and all simulations are made, or more of them could change nothing.
    pub fn finished(&self) -> bool {
        self.nodes.children[0] > 0 && (self.done >= self.set.simulations || self.nodes.sure(0) != 0)
    }

    /// Descends to a leaf. True if it needs an evaluation: [`Tree::expand`] comes next. False if the game is over
    /// there: the simulation is done.
    pub fn select<G: Game<State = S>>(&mut self, game: &G, rng: &mut Rng) -> bool {
        if !self.noisy && self.nodes.children[0] > 0 {
            self.make_noise(rng);
        }
        self.leaf.clone_from(&self.root);
        self.path.clear();
        let mut node = 0;
        loop {
            match game.turn(&self.leaf) {
                Turn::Over => break,
                Turn::Chance => {
                    let outcome = game.roll(&self.leaf, rng);
                    node = self.outcome(game, node, outcome);
                    game.play(&mut self.leaf, outcome);
                    self.path.push((node, CHANCE));
                }
                Turn::Player(_) if self.nodes.children[node] == 0 => return true,
                Turn::Player(mover) => {
                    node = self.choose(node);
                    game.play(&mut self.leaf, self.nodes.action[node]);
                    self.path.push((node, mover));
                    if self.nodes.proven[node] != 0 {
                        self.back_up(mover, f32::from(self.nodes.proven[node]));
                        return false;
                    }
                }
            }
        }
        self.returns.resize(game.spec().players(), 0.0);
        game.returns(&self.leaf, &mut self.returns);
        let value = scaled(game, self.returns[0]);
        self.prove(value);
        self.back_up(0, value);
        false
    }

    /// Propagates a proven result up the path, as far as it decides positions (Winands et al. 2008, "Monte-Carlo tree
    /// search solver").
    fn prove(&mut self, first_players: f32) {
        let value = |mover: usize| if mover == 0 { first_players } else { -first_players };
        let Some(&(last, mover)) = self.path.last() else { return };
        if first_players.abs() < 1.0 || mover == CHANCE {
            return;
        }
        self.nodes.proven[last] = value(mover) as i8;
        for step in (1..self.path.len()).rev() {
            let ((parent, chooser), (_, mover)) = (self.path[step - 1], self.path[step]);
            let sure = self.nodes.sure(parent);
            if sure == 0 || chooser == CHANCE {
                return;
            }
            self.nodes.proven[parent] = if chooser == mover { sure } else { -sure };
        }
    }

    /// Expands the leaf with the network's evaluation: logits of all actions of the game, and the value for the player
    /// to move.
    pub fn expand<G: Game<State = S>>(&mut self, game: &G, logits: &[f32], value: f32, rng: &mut Rng) {
        let Turn::Player(mover) = game.turn(&self.leaf) else { return };
        let node = self.path.last().map_or(0, |step| step.0);
        let first = self.nodes.action.len();
        let nodes = &mut self.nodes;
        let mut most = f32::NEG_INFINITY;
        game.moves(&self.leaf, |a| {
            let logit = logits[usize::from(a)];
            most = most.max(logit);
            nodes.push(a, logit, 0.0);
        });
        let mut sum = 0.0;
        for (logit, prior) in nodes.logit[first..].iter_mut().zip(&mut nodes.prior[first..]) {
            *logit -= most;
            *prior = logit.exp();
            sum += *prior;
        }
        nodes.prior[first..].iter_mut().for_each(|p| *p /= sum);
        nodes.first[node] = first as u32;
        nodes.children[node] = (nodes.action.len() - first) as u16;
        nodes.value[node] = value;
        if node == 0 {
            // Judging the root is no simulation.
            nodes.visits[0] = 1;
            self.make_noise(rng);
        } else {
            self.back_up(mover, value);
        }
    }

    /// Backs a player's value up the path.
    fn back_up(&mut self, player: usize, value: f32) {
        self.nodes.visits[0] += 1;
        self.done += 1;
        for &(node, mover) in &self.path {
            self.nodes.visits[node] += 1;
            if mover != CHANCE {
                self.nodes.total[node] += if mover == player { value } else { -value };
            }
        }
        self.path.clear();
    }

    /// The child of a node of chance that an outcome leads to; created on demand.
    fn outcome<G: Game<State = S>>(&mut self, game: &G, node: usize, action: Action) -> usize {
        if self.nodes.children[node] == 0 {
            let first = self.nodes.action.len();
            let nodes = &mut self.nodes;
            game.chance(&self.leaf, |a, _| nodes.push(a, 0.0, 0.0));
            self.nodes.first[node] = first as u32;
            self.nodes.children[node] = (self.nodes.action.len() - first) as u16;
        }
        let mut range = self.nodes.range(node);
        range.find(|child| self.nodes.action[*child] == action).unwrap_or(node)
    }

    fn make_noise(&mut self, rng: &mut Rng) {
        self.noisy = true;
        let range = self.nodes.range(0);
        let moves = range.len();
        match self.set.rule {
            Rule::Gumbel => {
                self.gumbel.clear();
                for _ in 0..moves {
                    let noise = if self.noise.share > 0.0 { rng.gumbel() } else { 0.0 };
                    self.gumbel.push(noise as f32);
                }
                considered_visits(self.set.considered.min(moves as u32), self.set.simulations, &mut self.sequence);
            }
            Rule::Puct if self.noise.share > 0.0 && moves > 1 => {
                // With a positive concentration there is such a distribution.
                let Ok(gamma) = rand_distr::Gamma::new(self.noise.alpha / moves as f64, 1.0) else { return };
                let drawn: Vec<f64> = (0..moves).map(|_| gamma.sample(rng).max(1e-300)).collect();
                let sum: f64 = drawn.iter().sum();
                for (child, noise) in range.zip(drawn) {
                    let prior = &mut self.nodes.prior[child];
                    *prior += self.noise.share * ((noise / sum) as f32 - *prior);
                }
            }
            Rule::Puct => {}
        }
    }

    /// The child to descend to.
    fn choose(&mut self, node: usize) -> usize {
        match self.set.rule {
            Rule::Puct => self.choose_puct(node),
            Rule::Gumbel if node == 0 => {
                let wanted = self.sequence.get(self.done as usize).copied().unwrap_or(0);
                self.best_gumbel(|nodes, child| nodes.visits[child] == wanted)
            }
            Rule::Gumbel => self.choose_gumbel(node),
        }
    }

    fn choose_puct(&self, node: usize) -> usize {
        let nodes = &self.nodes;
        let range = nodes.range(node);
        let visits: u32 = nodes.visits[range.clone()].iter().sum();
        let sum: f32 = nodes.total[range.clone()].iter().sum();
        let mean = (nodes.value[node] + sum) / (1 + visits) as f32;
        let unvisited = (mean - self.set.reduction as f32).max(-1.0);
        let width = self.set.exploration as f32 * ((1 + visits) as f32).sqrt();
        let (mut best, mut most) = (range.start, f32::NEG_INFINITY);
        for child in range {
            let n = nodes.visits[child];
            let value = if n == 0 { unvisited } else { nodes.mean(child) };
            let score = value + width * nodes.prior[child] / (1 + n) as f32;
            if score > most {
                (best, most) = (child, score);
            }
        }
        best
    }

    /// The factor of the paper's σ.
    fn scale(&self, node: usize) -> f32 {
        let most = self.nodes.visits[self.nodes.range(node)].iter().copied().max().unwrap_or(0);
        (self.set.visit_offset as f32 + most as f32) * self.set.value_scale as f32
    }

    /// Moves' values for the player to move, from 0 to 1 and weighted as the paper's σ; moves without visits get the
    /// mixed value of appendix D.
    fn completed(&mut self, node: usize) {
        let nodes = &self.nodes;
        let range = nodes.range(node);
        let (mut visits, mut prior, mut value) = (0, 0.0, 0.0);
        for child in range.clone() {
            let n = nodes.visits[child];
            if n > 0 || nodes.proven[child] != 0 {
                visits += n;
                prior += nodes.prior[child];
                value += nodes.prior[child] * nodes.mean(child);
            }
        }
        let own = nodes.value[node];
        let mixed = if visits == 0 { own } else { (own + visits as f32 * value / prior) / (1 + visits) as f32 };
        let scale = self.scale(node);
        self.scratch.clear();
        for child in range {
            let known = nodes.visits[child] > 0 || nodes.proven[child] != 0;
            let value = if known { nodes.mean(child) } else { mixed };
            self.scratch.push(scale * (value + 1.0) / 2.0);
        }
    }

    /// Turns `scratch` from σ into the improved policy: softmax(logits + σ).
    fn improve(&mut self, node: usize) {
        let range = self.nodes.range(node);
        let mut most = f32::NEG_INFINITY;
        for (x, logit) in self.scratch.iter_mut().zip(&self.nodes.logit[range]) {
            *x += logit;
            most = most.max(*x);
        }
        let mut sum = 0.0;
        for x in &mut self.scratch {
            *x = (*x - most).exp();
            sum += *x;
        }
        self.scratch.iter_mut().for_each(|x| *x /= sum);
    }

    fn choose_gumbel(&mut self, node: usize) -> usize {
        self.completed(node);
        self.improve(node);
        let range = self.nodes.range(node);
        let visits: u32 = self.nodes.visits[range.clone()].iter().sum();
        let (mut best, mut most) = (range.start, f32::NEG_INFINITY);
        for (child, p) in range.zip(&self.scratch) {
            let score = p - self.nodes.visits[child] as f32 / (1 + visits) as f32;
            if score > most {
                (best, most) = (child, score);
            }
        }
        best
    }

    /// Among the root's children that pass, the one with the greatest noise + logit + σ.
    fn best_gumbel(&mut self, passes: impl Fn(&Nodes, usize) -> bool) -> usize {
        self.completed(0);
        let range = self.nodes.range(0);
        let (mut best, mut most) = (range.start, f32::NEG_INFINITY);
        for ((child, value), noise) in range.zip(&self.scratch).zip(&self.gumbel) {
            let score = noise + self.nodes.logit[child] + value;
            if passes(&self.nodes, child) && score > most {
                (best, most) = (child, score);
            }
        }
        best
    }

    /// The move that the search chooses.
    pub fn best(&mut self) -> Action {
        let range = self.nodes.range(0);
        let open = range.clone().filter(|c| self.nodes.proven[*c] >= 0);
        let most = open.map(|c| self.nodes.visits[c]).max().unwrap_or(0);
        let won = range.clone().find(|c| self.nodes.proven[*c] == 1);
        let best = match self.set.rule {
            _ if won.is_some() => won.unwrap_or(0),
            Rule::Gumbel => self.best_gumbel(|nodes, c| nodes.visits[c] == most && nodes.proven[c] >= 0),
            // The most visited that is not lost, of these the best; with no visits the most probable.
            Rule::Puct => range
                .max_by(|a, b| {
                    let key = |c: usize| (self.nodes.mean(c), self.nodes.prior[c]);
                    let [open, visits] =
                        [[a, b].map(|c| u32::from(self.nodes.proven[*c] >= 0)), [a, b].map(|c| self.nodes.visits[*c])];
                    let ((va, pa), (vb, pb)) = (key(*a), key(*b));
                    let known = open[0].cmp(&open[1]).then(visits[0].cmp(&visits[1]));
                    // 0 and −0 are equals.
                    known.then((va + 0.0).total_cmp(&(vb + 0.0))).then(pa.total_cmp(&pb)).then(b.cmp(a))
                })
                .unwrap_or(0),
        };
        self.nodes.action[best]
    }

    /// The policy target of the root: the shares of visits, or Gumbel's improved policy. `policy`: `[actions]`, 0 for
    /// moves that are not legal.
    pub fn policy(&mut self, policy: &mut [f32]) {
        policy.fill(0.0);
        let range = self.nodes.range(0);
        let visits: u32 = self.nodes.visits[range.clone()].iter().sum();
        if self.nodes.sure(0) == 1 {
            let won = self.nodes.proven[range.clone()].iter().filter(|p| **p == 1).count();
            for child in range.filter(|c| self.nodes.proven[*c] == 1) {
                policy[usize::from(self.nodes.action[child])] = 1.0 / won as f32;
            }
        } else if self.set.rule == Rule::Gumbel || visits == 0 {
            self.completed(0);
            self.improve(0);
            for (child, p) in range.zip(&self.scratch) {
                policy[usize::from(self.nodes.action[child])] = *p;
            }
        } else {
            for child in range {
                policy[usize::from(self.nodes.action[child])] = self.nodes.visits[child] as f32 / visits as f32;
            }
        }
    }

    /// The value of the root for the player to move: the mean of the network's and all simulations', or the expectation
    /// of Gumbel's improved policy.
    pub fn value(&mut self) -> f32 {
        if self.nodes.sure(0) != 0 {
            return f32::from(self.nodes.sure(0));
        }
        let range = self.nodes.range(0);
        let scale = self.scale(0);
        if self.set.rule == Rule::Gumbel && scale > 0.0 {
            self.completed(0);
            let values: Vec<f32> = self.scratch.iter().map(|x| 2.0 * x / scale - 1.0).collect();
            self.improve(0);
            return values.iter().zip(&self.scratch).map(|(v, p)| v * p).sum();
        }
        let visits: u32 = self.nodes.visits[range.clone()].iter().sum();
        let sum: f32 = self.nodes.total[range].iter().sum();
        (self.nodes.value[0] + sum) / (1 + visits) as f32
    }

    /// The root's moves with visits, mean value and principal variation, most visited first.
    pub fn lines(&self) -> Vec<(Vec<Action>, u32, f32)> {
        let mut lines: Vec<_> = self
            .nodes
            .range(0)
            .map(|child| {
                let mut moves = vec![self.nodes.action[child]];
                let mut node = child;
                while let Some(next) =
                    self.nodes.range(node).max_by_key(|c| (self.nodes.visits[*c], std::cmp::Reverse(*c)))
                {
                    if self.nodes.visits[next] == 0 || moves.len() == 12 {
                        break;
                    }
                    moves.push(self.nodes.action[next]);
                    node = next;
                }
                (moves, self.nodes.visits[child], self.nodes.mean(child))
            })
            .collect();
        lines.sort_by(|a, b| b.1.cmp(&a.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(&b.0)));
        lines
    }
}

/// A return as a value from −1 to 1.
pub fn scaled<G: Game>(game: &G, earned: f32) -> f32 {
    let [least, most] = game.spec().returns;
    (2.0 * earned - least - most) / (most - least)
}

/// Sequential halving (Karnin et al. 2013): the visits that the n-th simulation's move must have so far, so that
/// `considered` moves are halved again and again and `simulations` are spent.
fn considered_visits(considered: u32, simulations: u32, out: &mut Vec<u32>) {
    out.clear();
    if considered <= 1 {
        out.extend(0..simulations);
        return;
    }
    let halvings = considered.next_power_of_two().trailing_zeros();
    let mut visits = vec![0; considered as usize];
    let mut left = considered;
    while out.len() < simulations as usize {
        for _ in 0..(simulations / (halvings * left)).max(1) {
            for v in &mut visits[..left as usize] {
                out.push(*v);
                *v += 1;
            }
        }
        left = (left / 2).max(2);
    }
    out.truncate(simulations as usize);
}

#[cfg(test)]
mod tests;
