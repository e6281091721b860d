//! Q-learning (Watkins and Dayan 1992) and SARSA (Rummery and Niranjan 1994) over a table, one entry for every
//! observation that was met, with the exploration and the stopping rule of Calvano et al. 2020.
//!
//! Reading order: `Config`, `Tabular::act`, `Tabular::learn`, `QTable::update` (tabular/q_table.rs).

mod q_table;

use crate::agent::{Agent, AgentError, Inference, MOST_STEPS, Saved, Stop};
use crate::rivals::random_rivals;
use crate::train::{Start, Trainer, Training};
use agon_core::memory;
use agon_core::policy::{Observed, Policy};
use agon_core::rng::{Rng, RngState, Stream};
use agon_core::settings::Issue;
use agon_core::spec::ActionSpec;
use agon_core::{Actions, ActionsMut, FirstBuf, Spec, StepBuf};
use q_table::{QTable, numbers};
use serde_json::json;
use tch::Tensor;

agon_core::choices! {
    /// The action whose value an update bootstraps from.
    pub enum Rule {
        /// The greedy one.
        QLearning = "q-learning",
        /// The one that is taken.
        Sarsa = "sarsa",
    }
}

agon_core::choices! {
    /// Which rows share a table.
    pub enum Tables {
        /// All environments and agents.
        One = "one",
        /// None: every agent of every environment has its own.
        Own = "own",
    }
}

agon_core::choices! {
    /// Values before anything is learned.
    pub enum Initial {
        /// Zero.
        Zero = "zero",
        /// The discounted return of playing the action for ever while the others act at random (Calvano et al. 2020,
        /// equation 8). All joint actions are tried once.
        RandomRivals = "random-rivals",
    }
}

agon_core::settings! {
    /// Hyperparameters. The probability of a random action after t steps is end + (start − end)·e^(−decay·t).
    pub struct Config {
        /// The algorithm: q-learning or sarsa.
        rule: Rule = Rule::QLearning;
        /// α.
        learning_rate: f64 = 0.1, in [0.0, 1.0];
        /// Discount.
        gamma: f64 = 0.99, in [0.0, 1.0];
        /// The probability of a random action at the start.
        epsilon_start: f64 = 1.0, in [0.0, 1.0];
        /// The limit of that probability.
        epsilon_end: f64 = 0.0, in [0.0, 1.0];
        /// The decay of that probability a step.
        epsilon_decay: f64 = 1e-4, in [0.0, 1.0];
        /// Values before anything is learned: zero or random-rivals.
        initial: Initial = Initial::Zero;
        /// Which rows share a table: one (all of them) or own (none).
        tables: Tables = Tables::One;
        /// An environment's agents stop learning once no best action of theirs changed for so many steps, if given;
        /// the run ends when all have stopped.
        stable_steps: Option<u64> = None, in [1.0, 1e12];
        /// The most distinct observations.
        most_states: usize = 1_000_000, in [1.0, 1e8];
        /// Steps a row between reports.
        report_every: u64 = 2000, in [1.0, 1e9];
    }
}

/// A row's last step, until its update.
#[derive(Clone, Copy, Default)]
struct Step {
    state: usize,
    action: usize,
    reward: f32,
    /// Where it led, unless the rules ended the episode; and whether that is where the row acts next.
    next: Option<usize>,
    goes_on: bool,
    pending: bool,
}

/// The learner.
pub struct Tabular {
    config: Config,
    agents: usize,
    rows: usize,
    table: QTable,
    rng: Rng,
    t: u64,
    /// `[envs]`: the step of the last change of a best action, and whether the agents have stopped learning.
    changed: Vec<u64>,
    stopped: Vec<bool>,
    steps: Vec<Step>,
    /// `[rows]` the states acted on.
    now: Vec<usize>,
    /// Observations for which there is known to be memory.
    room: usize,
    earned: f64,
    obs: Vec<f32>,
    mask: Vec<bool>,
    actions: Vec<i64>,
    reward: Vec<f32>,
    terminated: Vec<bool>,
    truncated: Vec<bool>,
    final_obs: Vec<f32>,
}

impl Tabular {
    /// A training that has just begun.
    pub fn training(config: Config, start: Start<'_>) -> Result<Box<dyn Training>, AgentError> {
        let Start { mut env, seed, steps, .. } = start;
        let refuse = |name: &str, message: String| Err(AgentError::Settings(vec![Issue::value(name, message)]));
        let ActionSpec::Discrete { labels } = &env.spec().action else {
            return refuse("kind", "tabular agents make one choice a step; this environment asks for more".into());
        };
        let (spec, rows, actions) = (env.spec().clone(), env.rows(), labels.len());
        let tables = if config.tables == Tables::One { 1 } else { rows };
        let fresh = match config.initial {
            Initial::Zero => vec![0.0; actions],
            Initial::RandomRivals if spec.masked || config.gamma >= 1.0 => {
                let message = "random-rivals needs a discount below 1 and an environment without masks; use zero";
                return refuse("initial", message.into());
            }
            Initial::RandomRivals if (actions as f64).powi(spec.agents as i32) <= 1e6 => {
                random_rivals(&mut *env, seed, actions, config.gamma)
            }
            Initial::RandomRivals => {
                return refuse("initial", "there are too many joint actions to try all; use zero".into());
            }
        };
        let mask_len = if spec.masked { actions } else { 0 };
        let agent = Self {
            table: QTable::new(actions, tables, fresh, spec.masked),
            agents: spec.agents,
            rows,
            rng: Rng::new(seed, Stream::Act, 0),
            t: 0,
            changed: vec![0; rows / spec.agents],
            stopped: vec![false; rows / spec.agents],
            steps: vec![Step::default(); rows],
            now: vec![0; rows],
            room: 0,
            earned: 0.0,
            obs: vec![0.0; rows * spec.obs_len()],
            mask: vec![true; rows * mask_len],
            actions: vec![0; rows],
            reward: vec![0.0; rows],
            terminated: vec![false; rows],
            truncated: vec![false; rows],
            final_obs: vec![0.0; rows * spec.obs_len()],
            config,
        };
        Ok(Box::new(Trainer::new(env, Box::new(agent), seed, steps)))
    }

    fn epsilon(&self) -> f64 {
        let Config { epsilon_start, epsilon_end, epsilon_decay, .. } = self.config;
        epsilon_end + (epsilon_start - epsilon_end) * (-epsilon_decay * self.t as f64).exp()
    }

    fn table_of(&self, row: usize) -> usize {
        if self.table.tables == 1 { 0 } else { row }
    }

    /// ε-greedy among the legal actions.
    fn choose(&mut self, state: usize, row: usize, epsilon: f32) -> usize {
        if self.rng.f32() >= epsilon {
            return self.table.best(state, self.table_of(row));
        }
        let n = self.table.actions;
        if !self.table.masked {
            return self.rng.below(n as u32) as usize;
        }
        let legal = (0..n).filter(|a| self.table.is_legal(state, *a)).count();
        let pick = self.rng.below(legal.max(1) as u32) as usize;
        (0..n).filter(|a| self.table.is_legal(state, *a)).nth(pick).unwrap_or(0)
    }

    /// Learns from a row's last step. `follow`: what is done where it led.
    fn update(&mut self, row: usize, follow: Option<usize>) {
        let (step, table, env) = (self.steps[row], self.table_of(row), row / self.agents);
        self.steps[row].pending = false;
        if self.stopped[env] {
            return;
        }
        let ahead = step.next.map_or(0.0, |next| {
            let action = follow.unwrap_or_else(|| self.table.best(next, table));
            self.table.value(next, table, action)
        });
        let target = step.reward + self.config.gamma as f32 * ahead;
        let rate = self.config.learning_rate as f32;
        if self.table.update(step.state, table, step.action, target, rate) {
            self.changed[env] = self.t;
        }
    }

    /// The number of observations is not known in advance: memory is checked whenever the table doubles.
    fn fits_in_memory(&mut self) -> Result<(), AgentError> {
        let states = self.table.keys.len();
        if states < self.room {
            return Ok(());
        }
        self.room = 2 * states.max(1 << 15);
        let width = self.obs.len() / self.rows;
        let state = self.table.tables * (4 * self.table.actions + 4) + 8 * width + self.table.actions + 100;
        // As many again, with what doubling copies; and all of it three times where it is put aside and written.
        let bytes = (4 * self.room * state) as f64;
        memory::fits("most_states", bytes, &format!(" for {} observations, twice as many as were met", self.room))?;
        Ok(())
    }

    fn stop_the_stable(&mut self) {
        let Some(stable) = self.config.stable_steps else { return };
        let t = self.t;
        // One shared table is stable for all rows or for none.
        if self.table.tables == 1 {
            let newest = self.changed.iter().copied().max().unwrap_or(0);
            self.changed.fill(newest);
        }
        self.stopped.iter_mut().zip(&self.changed).for_each(|(stopped, at)| *stopped |= t - at >= stable);
    }
}

impl Agent for Tabular {
    fn first(&mut self) -> FirstBuf<'_> {
        FirstBuf { obs: &mut self.obs, mask: &mut self.mask }
    }

    fn begin(&mut self) {
        let (width, actions) = (self.obs.len() / self.rows, self.mask.len() / self.rows);
        for row in 0..self.rows {
            let obs = &self.obs[row * width..(row + 1) * width];
            self.now[row] = self.table.place(obs, &self.mask[row * actions..(row + 1) * actions]);
        }
    }

    fn act(&mut self) {
        let epsilon = self.epsilon() as f32;
        for row in 0..self.rows {
            let state = self.now[row];
            let stopped = self.stopped[row / self.agents];
            let action =
                if stopped { self.table.best(state, self.table_of(row)) } else { self.choose(state, row, epsilon) };
            if self.steps[row].pending {
                let goes_on = self.steps[row].goes_on;
                // Where an episode was truncated no action is taken; the one that would be is drawn.
                let follow = match self.steps[row].next {
                    Some(_) if goes_on => Some(action),
                    Some(last) => Some(self.choose(last, row, epsilon)),
                    None => None,
                };
                self.update(row, follow);
            }
            self.actions[row] = action as i64;
            self.steps[row].state = state;
            self.steps[row].action = action;
        }
    }

    fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        let out = StepBuf {
            obs: &mut self.obs,
            mask: &mut self.mask,
            reward: &mut self.reward,
            terminated: &mut self.terminated,
            truncated: &mut self.truncated,
            final_obs: &mut self.final_obs,
            final_mask: &mut [],
        };
        (Actions::Discrete(&self.actions), out)
    }

    fn learn(&mut self, progress: f64, report: &mut Vec<(String, f64)>, _: Stop<'_>) -> Result<bool, AgentError> {
        self.t += 1;
        let (width, actions) = (self.obs.len() / self.rows, self.mask.len() / self.rows);
        for row in 0..self.rows {
            let part = row * width..(row + 1) * width;
            let next = self.table.place(&self.obs[part.clone()], &self.mask[row * actions..(row + 1) * actions]);
            self.now[row] = next;
            let led = match (self.terminated[row], self.truncated[row]) {
                (true, _) => None,
                (_, true) => Some(self.table.place(&self.final_obs[part], &[])),
                _ => Some(next),
            };
            self.earned += f64::from(self.reward[row]);
            let step = &mut self.steps[row];
            (step.reward, step.next, step.goes_on, step.pending) = (self.reward[row], led, !self.truncated[row], true);
            if self.config.rule == Rule::QLearning {
                self.update(row, None);
            }
        }
        if self.table.keys.len() > self.config.most_states {
            let message = format!(
                "after {} steps there are more observations than most_states = {}: this environment is too large for a table",
                self.t, self.config.most_states
            );
            return Err(AgentError::Settings(vec![Issue::value("most_states", message)]));
        }
        self.fits_in_memory()?;
        self.stop_the_stable();
        if !self.t.is_multiple_of(self.config.report_every) && !self.finished() && progress < 1.0 {
            return Ok(false);
        }
        let stopped = self.stopped.iter().filter(|s| **s).count() as f64;
        let steps = (self.rows as u64 * ((self.t - 1) % self.config.report_every + 1)) as f64;
        report.push(("reward".into(), std::mem::take(&mut self.earned) / steps));
        report.push(("epsilon".into(), self.epsilon()));
        report.push(("states".into(), self.table.keys.len() as f64));
        if self.config.stable_steps.is_some() {
            report.push(("stable".into(), stopped / self.stopped.len() as f64));
        }
        match self.table.q.iter().find(|q| !q.is_finite()) {
            Some(_) => Err(AgentError::Diverged("a value is no longer a number".into())),
            None => Ok(true),
        }
    }

    fn may_finish(&self) -> bool {
        self.config.stable_steps.is_some()
    }

    fn finished(&self) -> bool {
        self.stopped.iter().all(|s| *s)
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(Greedy { table: self.table.clone() })
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.table.load(saved, self.obs.len() / self.rows)?;
        // What was placed before is of the old table.
        self.begin();
        Ok(())
    }

    fn save(&self) -> Saved {
        let table = &self.table;
        let keys: Vec<f32> = table.keys.iter().flat_map(|k| k.iter().map(|x| f32::from_bits(*x))).collect();
        let tensors = vec![
            ("keys".into(), Tensor::from_slice(&keys)),
            ("q".into(), Tensor::from_slice(&table.q)),
            ("fresh".into(), Tensor::from_slice(&table.fresh)),
            (
                "legal".into(),
                Tensor::from_slice(&table.legal.iter().map(|l| f32::from(u8::from(*l))).collect::<Vec<_>>()),
            ),
        ];
        let pending: Vec<_> =
            self.steps.iter().map(|s| json!([s.state, s.action, s.reward, s.next, s.goes_on, s.pending])).collect();
        let state = json!({
            "t": self.t, "rng": self.rng.state(), "changed": self.changed, "stopped": self.stopped,
            "best": table.best, "told": table.told, "earned": self.earned, "pending": pending,
        });
        Saved { tensors, state }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let states = self.table.load(saved, self.obs.len() / self.rows)?;
        let actions = self.table.actions;
        let broken = |what: &str| AgentError::Checkpoint(format!("its table's {what} are not whole"));
        self.t = saved.part("t")?;
        self.rng = Rng::restore(saved.part::<RngState>("rng")?);
        self.earned = saved.part("earned")?;
        let (changed, stopped): (Vec<u64>, Vec<bool>) = (saved.part("changed")?, saved.part("stopped")?);
        if self.t > MOST_STEPS || changed.iter().any(|at| *at > self.t) {
            return Err(broken("steps"));
        }
        let pending: Vec<(usize, usize, f32, Option<usize>, bool, bool)> = saved.part("pending")?;
        // Another number of environments (an evaluation) starts these anew.
        if changed.len() == self.changed.len() && stopped.len() == changed.len() && pending.len() == self.rows {
            if pending.iter().any(|p| p.0.max(p.3.unwrap_or(0)) >= states.max(1) || p.1 >= actions) {
                return Err(broken("steps"));
            }
            (self.changed, self.stopped) = (changed, stopped);
            self.steps = pending
                .into_iter()
                .map(|(state, action, reward, next, goes_on, pending)| Step {
                    state,
                    action,
                    reward,
                    next,
                    goes_on,
                    pending,
                })
                .collect();
        }
        Ok(())
    }
}

/// The greedy policy of a save; none where an older version did not save what is done in states never met.
pub fn inference(config: &Config, spec: &Spec, saved: &Saved) -> Result<Option<Inference>, AgentError> {
    let actions = spec.action.mask_len();
    let fresh = match (config.initial, saved.tensor("fresh")) {
        (Initial::Zero, _) => vec![0.0; actions],
        (_, Ok(_)) => numbers(saved, "fresh")?,
        (_, Err(_)) => return Ok(None),
    };
    if fresh.len() != actions {
        return Err(AgentError::Checkpoint("its table is of other actions".into()));
    }
    let mut table = QTable::new(actions, 1, fresh, spec.masked);
    table.load(saved, spec.obs_len())?;
    Ok(Some(Inference { policy: Some(Box::new(Greedy { table })), network: None }))
}

/// The greedy policy of a table. Row r of a batch plays what row r of the training learned.
struct Greedy {
    table: QTable,
}

impl Policy for Greedy {
    fn act(&mut self, Observed { obs, mask, begins }: Observed<'_>, mut actions: ActionsMut<'_>) {
        let (width, masks) = (obs.len() / begins.len(), mask.len() / begins.len());
        for (row, obs) in obs.chunks_exact(width).enumerate() {
            let place = self.table.place(obs, &mask[row * masks..(row + 1) * masks]);
            actions.set(row, self.table.best(place, row % self.table.tables) as f64);
        }
    }

    fn name(&self) -> String {
        "tabular".into()
    }
}
