//! Tree search guided by a network: PUCT (Silver et al. 2018, "A general reinforcement learning algorithm that masters
//! chess, shogi and Go") and Gumbel search (Danihelka et al. 2022, "Policy improvement by planning with Gumbel").
//!
//! The tree knows no network. [`Tree::select`] walks to a position that must be judged, somebody judges it (alone, or
//! with the positions of many other trees), [`Tree::expand`] takes the judgement in. For games of two with perfect
//! information whose returns sum to a constant; chance is sampled. Values are from −1 to 1.

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
        /// PUCT: how far an unvisited move is thought to be below its position's mean value.
        reduction: f64 = 0.2, in [0.0, 2.0];
        /// Gumbel: moves that are considered at the root.
        considered: u32 = 16, in [1.0, 10_000.0];
        /// Gumbel: c_visit of the paper.
        visit_offset: f64 = 50.0, in [0.0, 1e6];
        /// Gumbel: c_scale of the paper, for values from 0 to 1.
        value_scale: f64 = 1.0, in [0.0, 1e6];
    }
}

/// Noise at the root, for self-play. Players that want to win have none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// PUCT: the share of Dirichlet noise in the priors. Gumbel: noise where it is above 0.
    pub share: f32,
    /// PUCT: the noise's concentration, times the number of moves.
    pub alpha: f64,
}

/// In a path: a step that chance took.
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
    /// What the network said of the position, for the player to move.
    value: Vec<f32>,
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
    }

    fn range(&self, node: usize) -> std::ops::Range<usize> {
        let first = self.first[node] as usize;
        first..first + usize::from(self.children[node])
    }

    fn mean(&self, node: usize) -> f32 {
        self.total[node] / self.visits[node].max(1) as f32
    }

    /// Copies a node with all below it behind what is there.
    fn graft(&mut self, from: &Self, node: usize) {
        self.push(from.action[node], from.logit[node], from.prior[node]);
        let mut queue = std::collections::VecDeque::from([(node, 0)]);
        while let Some((old, new)) = queue.pop_front() {
            (self.visits[new], self.total[new], self.value[new]) = (from.visits[old], from.total[old], from.value[old]);
            (self.first[new], self.children[new]) = (self.first.len() as u32, from.children[old]);
            for child in from.range(old) {
                queue.push_back((child, self.first.len()));
                self.push(from.action[child], from.logit[child], from.prior[child]);
            }
        }
    }
}

/// The search of one position, and of the next ones of its game.
#[derive(Clone, Debug)]
pub struct Tree<S> {
    set: SearchSettings,
    noise: Noise,
    nodes: Nodes,
    spare: Nodes,
    root: S,
    /// Where the walk under way stands.
    leaf: S,
    path: Vec<(usize, usize)>,
    /// Simulations of this position.
    done: u32,
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
            gumbel: Vec::new(),
            sequence: Vec::new(),
            scratch: Vec::new(),
            returns: Vec::new(),
        }
    }

    /// Begins the search of a position, with nothing known.
    pub fn plant(&mut self, root: &S) {
        self.root.clone_from(root);
        self.nodes.clear();
        self.nodes.push(0, 0.0, 1.0);
        self.done = 0;
    }

    /// Goes on to the position after a move, with what is known of it; with nothing where that is not of use, which
    /// it never is to Gumbel search, whose halving counts visits from 0.
    pub fn descend(&mut self, action: Action, position: &S) {
        let mut children = self.nodes.range(0);
        let child = children.find(|c| self.nodes.action[*c] == action && self.nodes.children[*c] > 0);
        match child {
            Some(child) if self.set.rule == Rule::Puct => {
                self.spare.clear();
                self.spare.graft(&self.nodes, child);
                std::mem::swap(&mut self.nodes, &mut self.spare);
                self.root.clone_from(position);
                self.done = 0;
            }
            _ => self.plant(position),
        }
    }

    /// The position that is searched.
    pub fn root(&self) -> &S {
        &self.root
    }

    /// The position that waits to be judged.
    pub fn leaf(&self) -> &S {
        &self.leaf
    }

    /// Simulations of this position so far.
    pub fn simulations(&self) -> u32 {
        self.done
    }

    /// Whether the root is judged and all simulations are made.
    pub fn finished(&self) -> bool {
        self.nodes.children[0] > 0 && self.done >= self.set.simulations
    }

    /// Walks to a position that must be judged: then true, and [`Tree::expand`] comes next. False: the game is over
    /// there, and the simulation is done.
    pub fn select<G: Game<State = S>>(&mut self, game: &G, rng: &mut Rng) -> bool {
        if self.done == 0 && self.nodes.children[0] > 0 && self.path.is_empty() {
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
                }
            }
        }
        self.returns.resize(game.spec().players(), 0.0);
        game.returns(&self.leaf, &mut self.returns);
        let value = scaled(game, self.returns[0]);
        self.back_up(0, value);
        false
    }

    /// Takes in what the network says of the leaf: logits of all actions of the game, and the value for the player to
    /// move.
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

    /// Adds the value for a player to every move on the way.
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

    /// The child of a node of chance that an outcome leads to; they come into being as they are met.
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
        let range = self.nodes.range(0);
        let moves = range.len();
        match self.set.rule {
            Rule::Gumbel => {
                self.gumbel.clear();
                for _ in 0..moves {
                    let noise = if self.noise.share > 0.0 { -(-rng.f64().max(1e-300).ln()).ln() } else { 0.0 };
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
                    // From the logit, so that noise on a kept tree does not pile up.
                    let prior = &mut self.nodes.prior[child];
                    *prior += self.noise.share * ((noise / sum) as f32 - *prior);
                }
            }
            Rule::Puct => {}
        }
    }

    /// The child to walk to.
    fn choose(&mut self, node: usize) -> usize {
        match self.set.rule {
            Rule::Puct => self.choose_puct(node),
            Rule::Gumbel if node == 0 => {
                let wanted = self.sequence.get(self.done as usize).copied().unwrap_or(0);
                self.best_gumbel(|visits| visits == wanted)
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
            let value = if n == 0 { unvisited } else { nodes.total[child] / n as f32 };
            let score = value + width * nodes.prior[child] / (1 + n) as f32;
            if score > most {
                (best, most) = (child, score);
            }
        }
        best
    }

    /// The paper's σ multiplies values by this.
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
            if n > 0 {
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
            let value = if nodes.visits[child] == 0 { mixed } else { nodes.mean(child) };
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

    /// Among the root's children whose visits pass, the one with the most of noise + logit + σ.
    fn best_gumbel(&mut self, passes: impl Fn(u32) -> bool) -> usize {
        self.completed(0);
        let range = self.nodes.range(0);
        let (mut best, mut most) = (range.start, f32::NEG_INFINITY);
        for ((child, value), noise) in range.zip(&self.scratch).zip(&self.gumbel) {
            let score = noise + self.nodes.logit[child] + value;
            if passes(self.nodes.visits[child]) && score > most {
                (best, most) = (child, score);
            }
        }
        best
    }

    /// What the search would play.
    pub fn best(&mut self) -> Action {
        let range = self.nodes.range(0);
        let most = self.nodes.visits[range.clone()].iter().copied().max().unwrap_or(0);
        let best = match self.set.rule {
            Rule::Gumbel => self.best_gumbel(|visits| visits == most),
            // Of the most visited ones the best; with no visits the most probable.
            Rule::Puct => range
                .filter(|c| self.nodes.visits[*c] == most)
                .max_by(|a, b| {
                    let key = |c: usize| (self.nodes.mean(c), self.nodes.prior[c]);
                    let ((va, pa), (vb, pb)) = (key(*a), key(*b));
                    va.total_cmp(&vb).then(pa.total_cmp(&pb)).then(b.cmp(a))
                })
                .unwrap_or(0),
        };
        self.nodes.action[best]
    }

    /// What the network should have said of the root: the shares of visits, or Gumbel's improved policy. `policy`:
    /// `[actions]`, 0 for moves that are not legal.
    pub fn policy(&mut self, policy: &mut [f32]) {
        policy.fill(0.0);
        let range = self.nodes.range(0);
        let visits: u32 = self.nodes.visits[range.clone()].iter().sum();
        if self.set.rule == Rule::Gumbel || visits == 0 {
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

    /// The value of the root for the player to move: the mean of the network's and all simulations', or what Gumbel's
    /// improved policy may expect.
    pub fn value(&mut self) -> f32 {
        let range = self.nodes.range(0);
        if self.set.rule == Rule::Gumbel {
            self.completed(0);
            let scale = self.scale(0);
            let values: Vec<f32> = self.scratch.iter().map(|x| 2.0 * x / scale.max(1e-9) - 1.0).collect();
            self.improve(0);
            return values.iter().zip(&self.scratch).map(|(v, p)| v * p).sum();
        }
        let visits: u32 = self.nodes.visits[range.clone()].iter().sum();
        let sum: f32 = self.nodes.total[range].iter().sum();
        (self.nodes.value[0] + sum) / (1 + visits) as f32
    }

    /// The root's moves with visits, mean value and what may follow, most visited first.
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
mod tests {
    use super::*;
    use agon_core::game::{follow, moves, start};
    use agon_core::rng::Stream;
    use agon_envs::games::backgammon::Backgammon;
    use agon_envs::games::connect_four::ConnectFour;
    use agon_envs::games::tic_tac_toe::TicTacToe;

    fn search<G: Game>(game: &G, root: &G::State, set: SearchSettings, noise: Noise) -> Tree<G::State> {
        let (mut tree, mut rng) = (Tree::new(set, noise), Rng::new(1, Stream::Player, 0));
        tree.plant(root);
        grow(game, &mut tree, &mut rng);
        tree
    }

    /// With a network that knows nothing.
    fn grow<G: Game>(game: &G, tree: &mut Tree<G::State>, rng: &mut Rng) {
        let logits = vec![0.0; game.spec().actions];
        while !tree.finished() {
            if tree.select(game, rng) {
                tree.expand(game, &logits, 0.0, rng);
            }
        }
    }

    fn rules() -> [SearchSettings; 2] {
        [Rule::Puct, Rule::Gumbel].map(|rule| SearchSettings { simulations: 400, rule, ..SearchSettings::default() })
    }

    #[test]
    fn wins_are_taken_and_losses_prevented() {
        let game = ConnectFour::new(Default::default()).unwrap();
        for (moves, best) in [("4 4 5 5 6 6", [2, 6]), ("1 4 1 4 2 4", [3, 3]), ("4 1 4 1 4 2", [3, 3])] {
            let root = follow(&game, moves).unwrap();
            for set in rules() {
                let mut tree = search(&game, &root, set, Noise::default());
                assert!(best.contains(&tree.best()), "{moves}: {}", tree.best());
                let mut policy = [0.0; 7];
                tree.policy(&mut policy);
                assert!((policy.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{policy:?}");
                assert!(best.iter().map(|a| policy[usize::from(*a)]).fold(0.0, f32::max) > 0.3, "{policy:?}");
            }
        }
    }

    #[test]
    fn values_are_the_movers() {
        let game = TicTacToe::new(Default::default()).unwrap();
        let won = follow(&game, "a1 b1 a2 b2").unwrap(); // x completes a column
        let lost = follow(&game, "a1 b1 a2 b2 c3").unwrap(); // and here o does
        for set in rules() {
            let [a, b] = [&won, &lost].map(|root| search(&game, root, set.clone(), Noise::default()).value());
            assert!(a > 0.3 && b > 0.3, "{a} {b}");
        }
    }

    #[test]
    fn a_kept_tree_is_the_part_that_was_known() {
        let game = ConnectFour::new(Default::default()).unwrap();
        let [puct, _] = rules();
        let mut rng = Rng::new(2, Stream::Player, 0);
        let mut tree = search(&game, &start(&game), puct, Noise::default());
        let (line, visits, _) = tree.lines().swap_remove(0);
        let mut next = start(&game);
        game.play(&mut next, line[0]);
        tree.descend(line[0], &next);
        let below: u32 = tree.lines().iter().map(|l| l.1).sum();
        assert_eq!((below, tree.lines()[0].0[0]), (visits - 1, line[1]), "the first visit judged the position itself");
        grow(&game, &mut tree, &mut rng);
        assert_eq!(tree.lines().iter().map(|l| l.1).sum::<u32>(), below + 400);
    }

    #[test]
    fn halving_spends_everything_on_ever_fewer() {
        let mut out = Vec::new();
        considered_visits(4, 16, &mut out);
        assert_eq!(out, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
        considered_visits(1, 3, &mut out);
        assert_eq!(out, [0, 1, 2]);
        for considered in 1..20 {
            considered_visits(considered, 50, &mut out);
            assert_eq!(out.len(), 50);
        }
    }

    #[test]
    fn the_first_moves_of_gumbel_search_are_drawn_without_replacement() {
        // With no value information the move with the most of noise + logit is played, so that moves come as often
        // as their priors say.
        let game = TicTacToe::new(Default::default()).unwrap();
        let root = start(&game);
        let logits: Vec<f32> = (0..9).map(|i| (1.0 + i as f32).ln()).collect();
        let set = SearchSettings { simulations: 0, ..SearchSettings::default() };
        let mut tree = Tree::new(set, Noise { share: 1.0, alpha: 0.0 });
        let mut rng = Rng::new(3, Stream::Player, 0);
        let mut counts = [0.0; 9];
        for _ in 0..9000 {
            tree.plant(&root);
            assert!(tree.select(&game, &mut rng));
            tree.expand(&game, &logits, 0.0, &mut rng);
            counts[usize::from(tree.best())] += 1.0;
        }
        let chi2: f64 = (0..9).map(|i| (counts[i] - 200.0 * (i + 1) as f64).powi(2) / (200.0 * (i + 1) as f64)).sum();
        assert!(chi2 < 26.1, "{chi2}: {counts:?}"); // the 99.9 % point for 8 degrees of freedom
    }

    #[test]
    fn noise_keeps_priors_a_distribution_and_chance_is_walked() {
        let game = Backgammon::new(Default::default()).unwrap();
        let mut rng = Rng::new(4, Stream::Env, 0);
        let mut root = start(&game);
        while game.turn(&root) == Turn::Chance {
            let roll = game.roll(&root, &mut rng);
            game.play(&mut root, roll);
        }
        for set in rules() {
            let mut tree = search(&game, &root, set, Noise { share: 0.25, alpha: 10.0 });
            assert!(moves(&game, &root).contains(&tree.best()));
            let range = tree.nodes.range(0);
            assert!((tree.nodes.prior[range].iter().sum::<f32>() - 1.0).abs() < 1e-4);
        }
    }
}
