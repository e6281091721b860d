//! A player guided by a network.

use crate::player::{Fault, Halt, Line, Player, PlayerError, Thoughts};
use crate::puct::{Noise, Rule, SearchSettings, Tree};
use agon_core::GameSpec;
use agon_core::game::{Action, Game, Turn};
use agon_core::memory;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Evaluates positions.
pub trait Evaluate: Send {
    /// `obs`: `[n, obs_len]`, the observations of the player to move. Writes `logits`: `[n, actions]`, of legal and
    /// illegal actions, and `value`: `[n]`, the expected return of this player, from −1 to 1.
    fn evaluate(&mut self, obs: &[f32], logits: &mut [f32], value: &mut [f32]);
}

/// Loads trained networks.
pub trait Networks: Sync {
    /// The network of a run or a checkpoint; an error where there is none or it is of another game.
    fn open(&self, path: &str, game: &GameSpec) -> Result<Box<dyn Evaluate>, String>;
}

/// For programs without networks.
pub struct NoNetworks;

impl Networks for NoNetworks {
    fn open(&self, _: &str, _: &GameSpec) -> Result<Box<dyn Evaluate>, String> {
        Err("networks play only where agon-torch stands beside agon".into())
    }
}

/// Whether a player's name is a path: then it is a trained network.
pub fn is_path(name: &str) -> bool {
    name.contains(['/', '\\'])
}

/// The most simulations of a move.
pub const MOST_SIMULATIONS: u64 = 10_000_000;

agon_core::settings! {
    /// Settings of a player with a network.
    pub struct GuidedSettings {
        /// Simulations a move; 0 plays by the network alone. Unlimited where only time is given.
        simulations: u32 = 100, in [0.0, 1e7];
        /// Milliseconds a move, for PUCT; 0 for no limit.
        milliseconds: u64 = 0, in [0.0, 1e9];
        /// PUCT, or Gumbel's sequential halving at the root.
        rule: Rule = Rule::Puct;
        /// Draws moves with probabilities p^(1 / temperature); 0 always takes the best.
        temperature: f64 = 0.0, in [0.0, 100.0];
        /// PUCT: weight of the prior.
        exploration: f64 = 2.5, in [0.0, 100.0];
        /// Evaluates a position in all its symmetric forms, and takes the mean.
        symmetries: bool = true;
        /// Reuses the tree of the previous move's search.
        keep_tree: bool = true;
    }
}

/// The player.
pub struct Guided<G: Game> {
    set: GuidedSettings,
    network: Box<dyn Evaluate>,
    tree: Tree<G::State>,
    /// Inputs and outputs of the network for the leaf: a row for each symmetric form.
    obs: Vec<f32>,
    logits: Vec<f32>,
    values: Vec<f32>,
    policy: Vec<f32>,
    thoughts: Thoughts,
    /// Its expected return after its last choice.
    value: f32,
    /// Whether the tree belongs to the game under way.
    known: bool,
    halt: Halt,
}

impl<G: Game> Guided<G> {
    /// For a game that the network was made for.
    pub fn new(game: &G, set: GuidedSettings, network: Box<dyn Evaluate>) -> Result<Self, PlayerError> {
        let spec = game.spec();
        if set.simulations > 0 {
            check(game).map_err(|why| PlayerError::Game { player: "a search", why })?;
        }
        if set.milliseconds > 0 && set.rule == Rule::Gumbel {
            let why = "halving needs to know how many simulations there will be: use rule=puct";
            return Err(PlayerError::Settings(vec![Issue::value("milliseconds", why)]));
        }
        if set.milliseconds == 0 {
            // As a run's own search is counted: a simulation adds the positions that can follow one.
            let bytes = 45.0 * f64::from(set.simulations) * spec.actions.min(40) as f64;
            memory::fits("simulations", bytes, " for one search")?;
        }
        let search = SearchSettings {
            simulations: set.simulations,
            rule: set.rule,
            exploration: set.exploration,
            ..SearchSettings::default()
        };
        let forms = if set.symmetries { 1 + spec.symmetries.len() } else { 1 };
        Ok(Self {
            tree: Tree::new(search, Noise::default()),
            obs: vec![0.0; forms * spec.obs_len()],
            logits: vec![0.0; forms * spec.actions],
            values: vec![0.0; forms],
            policy: vec![0.0; spec.actions],
            thoughts: Thoughts::default(),
            value: 0.0,
            known: false,
            halt: Halt::default(),
            network,
            set,
        })
    }

    /// Lets the network evaluate the leaf. The first row of `logits` and of `values` then holds the mean over all forms.
    fn evaluate_leaf(&mut self, game: &G) {
        let spec = game.spec();
        // A leaf that waits is a player's turn.
        let mover = if let Turn::Player(mover) = game.turn(self.tree.leaf()) { mover } else { 0 };
        let (seen, turned) = self.obs.split_at_mut(spec.obs_len());
        game.observe(self.tree.leaf(), mover, seen);
        for (obs, form) in turned.chunks_exact_mut(spec.obs_len()).zip(&spec.symmetries) {
            obs.iter_mut().zip(&form.observation).for_each(|(o, from)| *o = seen[*from as usize]);
        }
        self.network.evaluate(&self.obs, &mut self.logits, &mut self.values);
        let forms = self.values.len() as f32;
        let (mean, turned) = self.logits.split_at_mut(spec.actions);
        for (logits, form) in turned.chunks_exact(spec.actions).zip(&spec.symmetries) {
            mean.iter_mut().zip(&form.action).for_each(|(m, to)| *m += logits[usize::from(*to)]);
        }
        mean.iter_mut().for_each(|m| *m /= forms);
        self.values[0] = self.values.iter().sum::<f32>() / forms;
    }
}

/// Whether trees of [`crate::puct`] can search a game; if not, why.
pub fn check<G: Game>(game: &G) -> Result<(), &'static str> {
    let spec = game.spec();
    if spec.hidden {
        return Err("players do not see everything; simulations=0 plays by the network alone");
    }
    if spec.players() != 2 || !spec.returns.iter().all(|r| r.is_finite()) {
        return Err("a search by values is for two players with bounded returns");
    }
    Ok(())
}

impl<G: Game> Player<G> for Guided<G> {
    fn heed(&mut self, halt: &Halt) {
        self.halt = halt.clone();
    }

    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault> {
        if !(self.known && self.set.keep_tree && self.tree.root() == state) {
            self.tree.plant(state);
        }
        self.known = true;
        let deadline =
            (self.set.milliseconds > 0).then(|| Instant::now() + Duration::from_millis(self.set.milliseconds));
        let halt = self.halt.clone();
        let late = || halt.load(Ordering::Relaxed) || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        // One simulation at least: before it, all moves look alike.
        while !(self.tree.finished() || self.tree.simulations() > 0 && late()) {
            if self.tree.select(game, rng) {
                self.evaluate_leaf(game);
                self.tree.expand(game, &self.logits, self.values[0], rng);
            }
        }
        let [least, most] = game.spec().returns;
        let earned = |value: f32| (least + most + value * (most - least)) / 2.0;
        let lines = self.tree.lines().into_iter();
        let lines = lines.map(|(moves, n, value)| Line { moves, visits: u64::from(n), value: earned(value) });
        let mut lines: Vec<Line> = lines.collect();
        let best = self.tree.best();
        // The best first: what is sure may have few visits.
        let first = lines.iter().position(|l| l.moves[0] == best).unwrap_or(0);
        lines[..=first].rotate_right(1);
        self.value = earned(self.tree.value());
        self.thoughts =
            Thoughts { lines, searched: u64::from(self.tree.simulations()), depth: 0, probabilities: false };
        if self.set.temperature == 0.0 {
            return Ok(best);
        }
        self.tree.policy(&mut self.policy);
        Ok(draw(&self.policy, self.set.temperature, rng))
    }

    fn begin(&mut self, _: &G, _: &G::State) {
        self.known = false;
    }

    fn played(&mut self, game: &G, before: &G::State, action: Action) {
        if self.known && self.tree.root() == before {
            let mut next = before.clone();
            game.play(&mut next, action);
            self.tree.descend(action, &next);
        } else {
            self.known = false;
        }
    }

    fn policy(&mut self, game: &G, state: &G::State, policy: &mut [f32]) -> bool {
        if self.set.simulations > 0 {
            return false;
        }
        self.tree.plant(state);
        self.known = false;
        // Its own generator: without simulations nothing is drawn.
        let mut rng = Rng::new(0, Stream::Player, 0);
        if !self.tree.select(game, &mut rng) {
            return false;
        }
        self.evaluate_leaf(game);
        self.tree.expand(game, &self.logits, self.values[0], &mut rng);
        self.tree.policy(policy);
        if self.set.temperature == 0.0 {
            let best = usize::from(self.tree.best());
            policy.fill(0.0);
            policy[best] = 1.0;
        } else {
            let weight = weights(policy, self.set.temperature);
            policy.iter_mut().for_each(|p| *p = weight(*p) as f32);
        }
        true
    }

    fn value(&self) -> Option<f32> {
        Some(self.value)
    }

    fn thoughts(&self) -> Thoughts {
        self.thoughts.clone()
    }
}

/// The weight of a probability at a temperature, relative to the largest, so that no power underflows.
fn weights(policy: &[f32], temperature: f64) -> impl Fn(f32) -> f64 + use<> {
    let most = f64::from(policy.iter().copied().fold(0.0, f32::max));
    move |p| if p > 0.0 { (f64::from(p) / most).powf(1.0 / temperature) } else { 0.0 }
}

/// An action drawn with probabilities proportional to p^(1 / temperature).
pub fn draw(policy: &[f32], temperature: f64, rng: &mut Rng) -> Action {
    let weight = weights(policy, temperature);
    let mut left = rng.f64() * policy.iter().map(|p| weight(*p)).sum::<f64>();
    let mut drawn = 0;
    for (a, p) in policy.iter().enumerate().filter(|(_, p)| weight(**p) > 0.0) {
        drawn = a as Action; // the last possible one, should rounding leave a rest
        left -= weight(*p);
        if left < 0.0 {
            break;
        }
    }
    drawn
}
