//! The trait of every training, and the loop of an agent in an environment. It holds no algorithm and knows no sinks.

use crate::agent::{Agent, AgentError, MOST_STEPS, NEVER, Saved, Stop, go_on};
use crate::demand::Estimate;
use crate::pretrained::{Mapping, Taken};
use crate::rate_test::{RateTest, no_rate};
use crate::supervised::dependence::Dependence;
use agon_core::plot::Plot;
use agon_core::policy::Policy;
use agon_core::rng::Stream;
use agon_core::settings::Issue;
use agon_core::world::World;
use agon_core::{ActionSpec, Actions, EpisodeEnd, Metric, Scene, Status, VecEnv, View};
use agon_search::Evaluate;
use agon_search::self_play::Rules;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tch::Device;

/// The episodes that ended since the last report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Episodes {
    /// How many.
    pub count: u64,
    /// The sum of their returns.
    pub total: f64,
    /// The worst return.
    pub low: f64,
    /// The best return.
    pub high: f64,
    /// The sum of their lengths.
    pub length: u64,
    /// How many ended because their simulation could not go on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Why the last of them could not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Episodes {
    /// Restored from a save.
    pub(crate) fn read(saved: &Value) -> Result<Self, AgentError> {
        let read = Self::deserialize(saved).ok().filter(|e| e.count.max(e.length).max(e.failed) <= MOST_STEPS);
        read.ok_or_else(|| AgentError::Checkpoint("its `episodes` cannot be read".into()))
    }

    pub(crate) fn add(&mut self, end: &EpisodeEnd) {
        let first = self.count == 0;
        self.low = if first { end.total } else { self.low.min(end.total) };
        self.high = if first { end.total } else { self.high.max(end.total) };
        self.count += 1;
        self.total += end.total;
        self.length += u64::from(end.length);
        if let Some(why) = end.failed {
            self.failed += 1;
            self.why = why.into();
        }
    }
}

/// Time by kind of work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// In the simulator.
    pub simulate: Duration,
    /// Choosing actions.
    pub infer: Duration,
    /// Learning.
    pub learn: Duration,
}

/// A part of the data that is not learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Validation: evaluated during training; it decides which checkpoint is the best.
    Validation,
    /// Test: evaluated once, at the end.
    Test,
}

/// What was found of a model, or of a simple forecast beside it.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The name of the forecast.
    pub name: String,
    /// The metric that decides first.
    pub metrics: Vec<Metric>,
    /// How much better the model is by the deciding metric, in pairs on the same observations; none of the model itself.
    pub better_by: Option<Metric>,
}

/// Predictions of rows beside the truth.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// Classes; 0 for numbers.
    pub classes: usize,
    /// The number of the class, or the value, a row each.
    pub y: Vec<f64>,
    /// Calibrated probabilities `[rows, classes]`, or numbers.
    pub p: Vec<f64>,
    /// Half the width of the intervals around numbers, where there are some.
    pub margin: Option<f64>,
}

/// Anything that learns by steps, can be saved between them, and resumes from a save bit-identically.
pub trait Training {
    /// Steps made: of environments, or searched moves.
    fn step(&self) -> u64;

    /// Steps to make.
    fn steps(&self) -> u64;

    /// Whether all steps were made.
    fn done(&self) -> bool {
        self.step() >= self.steps()
    }

    /// Advances to the next point at which everything can be saved; losses and other scalars, by name. None if it was
    /// asked to stop before: it can then be saved too, and resumes from there bit-identically.
    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError>;

    /// The same without a stop.
    fn advance(&mut self) -> Result<Vec<(String, f64)>, AgentError> {
        Ok(self.advance_until(NEVER)?.unwrap_or_default())
    }

    /// Loads what another training of the same kind has learned, and nothing else of it.
    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError>;

    /// Begins with the weights of a file of another program, by its settings.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where it cannot, or names and shapes do not fit; [`AgentError::Data`] where the file cannot be
    /// read.
    fn adopt(&mut self, _file: &Path, _mapping: &Mapping) -> Result<Taken, AgentError> {
        Err(Issue::value("weights", "are for networks that name theirs: text-encoder and cnn").into())
    }

    /// Tests learning rates; what was learned is then good for nothing else.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where it is no network of data.
    fn test_rates(&mut self, _stop: Stop<'_>) -> Result<RateTest, AgentError> {
        Err(no_rate())
    }

    /// Opens what it learns from where that lies in its run's folder.
    ///
    /// # Errors
    /// [`AgentError::Data`] where it is gone.
    fn open(&mut self, _run: &Path) -> Result<(), AgentError> {
        Ok(())
    }

    /// The episodes that ended since this was called last.
    fn take_episodes(&mut self) -> Episodes {
        Episodes::default()
    }

    /// Time by kind of work since the last call.
    fn take_times(&mut self) -> Times;

    /// The policy as it is now, without exploration, in its own memory; none where only a network plays games, or
    /// nothing acts.
    fn policy(&self) -> Option<Box<dyn Policy>> {
        None
    }

    /// The network as it is now, in its own memory, where it evaluates positions of a game.
    fn network(&self) -> Option<Box<dyn Evaluate>> {
        None
    }

    /// The simulator that was learned so far, where one is.
    fn world(&self) -> Option<World> {
        None
    }

    /// The expected return of an optimal policy, where an exact method knows it.
    fn optimum(&self) -> Option<f64> {
        None
    }

    /// What a part of the data that is not learned from says of the model, and of simple forecasts that it must beat: the
    /// model first. Nothing where episodes are evaluated.
    fn examine(&self, _part: Part, _seed: u64) -> Vec<Examined> {
        Vec::new()
    }

    /// Whether it may be done before all steps were made.
    fn may_end_early(&self) -> bool {
        false
    }

    /// Seconds of training after which it is done, where it has so many.
    fn most_seconds(&self) -> Option<f64> {
        None
    }

    /// What else was found of the test part, as plain data: a confusion matrix, the coverage of intervals.
    fn details(&self) -> Value {
        Value::Null
    }

    /// What it predicts of every row of a part, beside the truth; none where nothing is predicted row by row.
    fn predicted(&self, _part: Part) -> Option<Predicted> {
        None
    }

    /// A picture of what it has learned of its data so far, no larger than [`agon_core::plot`] says; none where there is
    /// nothing to see yet.
    fn plot(&self) -> Option<Plot> {
        None
    }

    /// The places of a table's rows on a map, each with its line in the file; nothing where no map is made.
    fn coordinates(&self) -> Vec<(u64, [f64; 2])> {
        Vec::new()
    }

    /// How predictions depend on these columns of a table, of those that it reads.
    fn dependence(&self, _columns: &[String]) -> Vec<Dependence> {
        Vec::new()
    }

    /// What it has learned as text, where that is readable: coefficients with their errors.
    fn learned(&self) -> Vec<(String, Estimate)> {
        Vec::new()
    }

    /// What [`Self::advance`] reports that says how well the task is done, where no episode ends while it trains.
    fn task_scalars(&self) -> Vec<String> {
        Vec::new()
    }

    /// Draws what is being played.
    fn draw(&self, _scene: &mut Scene) {}

    /// Everything that must be saved: the agent's part and the rest.
    fn save(&self) -> (Saved, Value);

    /// Restores a save; without the rest only what was learned is restored, to be evaluated.
    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError>;
}

/// What a training starts with.
pub struct Start<'a> {
    /// The batch of environments.
    pub env: Box<dyn VecEnv>,
    /// The game behind the environment, where it is one.
    pub game: Option<&'a dyn Rules>,
    /// The run's seed.
    pub seed: u64,
    /// Steps to make.
    pub steps: u64,
    /// The device of tensors.
    pub device: Device,
    /// Threads of one tensor operation.
    pub threads: usize,
    /// Threads of simulators and searches.
    pub env_threads: usize,
}

/// An environment, a learner, and how far they are.
pub struct Trainer {
    /// The batch.
    pub env: Box<dyn VecEnv>,
    /// The learner.
    pub agent: Box<dyn Agent>,
    /// Environment steps made.
    pub step: u64,
    /// Environment steps to make.
    pub steps: u64,
    /// Where the time of this process went.
    pub times: Times,
    episodes: Episodes,
    /// The newest numbers of action in the environment that is drawn.
    shown: Vec<f32>,
    /// Whether it took long to advance the last time.
    slow: bool,
}

/// After an advance longer than this, the next one puts its state aside, so that a stop need not wait for it.
const SOON: Duration = Duration::from_millis(200);

impl Trainer {
    /// A fresh start.
    pub fn new(mut env: Box<dyn VecEnv>, mut agent: Box<dyn Agent>, seed: u64, steps: u64) -> Self {
        env.reset(seed, Stream::Env, agent.first());
        agent.begin();
        let (times, episodes) = (Times::default(), Episodes::default());
        Self { env, agent, step: 0, steps, times, episodes, shown: Vec::new(), slow: true }
    }

    fn walk(&mut self, stop: Stop<'_>) -> Result<Vec<(String, f64)>, AgentError> {
        let mut report = Vec::new();
        loop {
            go_on(stop)?;
            let start = Instant::now();
            self.agent.act();
            let acted = Instant::now();
            let (actions, out) = self.agent.exchange();
            if let Actions::Continuous(numbers) = actions {
                self.shown.clear();
                self.shown.extend_from_slice(&numbers[..self.env.spec().action.len()]);
            }
            self.env.step(actions, out);
            let stepped = Instant::now();
            self.step += self.env.envs() as u64;
            self.env.ended().iter().for_each(|end| self.episodes.add(end));
            let progress = self.step as f64 / self.steps as f64;
            let boundary = self.agent.learn(progress, &mut report, stop)?;
            self.times.infer += acted - start;
            self.times.simulate += stepped - acted;
            self.times.learn += stepped.elapsed();
            if boundary {
                if !self.episodes_end() {
                    self.measure(&mut report);
                }
                return Ok(report);
            }
        }
    }

    /// Whether any episode is over before the run is.
    fn episodes_end(&self) -> bool {
        u64::from(self.env.spec().step_limit) <= self.steps / self.env.envs() as u64
    }

    /// What is counted of the last step beside the reward, as means over the batch.
    fn measure(&self, report: &mut Vec<(String, f64)>) {
        let mut sums = vec![0.0; self.env.measures().len()];
        let mut one = sums.clone();
        for env in 0..self.env.envs() {
            self.env.measure(env, View::Now, &mut one);
            sums.iter_mut().zip(&one).for_each(|(sum, x)| *sum += x);
        }
        let mean = |sum: f64| sum / self.env.envs() as f64;
        report.extend(self.env.measures().iter().zip(sums).map(|(m, sum)| (m.name.to_owned(), mean(sum))));
    }
}

impl Training for Trainer {
    fn step(&self) -> u64 {
        self.step
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn done(&self) -> bool {
        self.step >= self.steps || self.agent.finished()
    }

    fn take_episodes(&mut self) -> Episodes {
        std::mem::take(&mut self.episodes)
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn policy(&self) -> Option<Box<dyn Policy>> {
        Some(self.agent.policy())
    }

    fn network(&self) -> Option<Box<dyn Evaluate>> {
        self.agent.network()
    }

    fn optimum(&self) -> Option<f64> {
        self.env.optimum()
    }

    fn may_end_early(&self) -> bool {
        self.agent.may_finish()
    }

    fn task_scalars(&self) -> Vec<String> {
        let measures = if self.episodes_end() { &[][..] } else { self.env.measures() };
        measures.iter().map(|m| m.name.to_owned()).collect()
    }

    fn draw(&self, scene: &mut Scene) {
        self.env.draw(0, View::Now, scene);
        if let ActionSpec::Continuous { fields } = &self.env.spec().action {
            scene.show_action(fields, &self.shown);
        }
    }

    /// Between two points at which everything can be saved, a stop returns to the first. Its state is put aside where
    /// the second is so far that a stop would take noticeably long.
    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        let before = (self.slow || self.agent.takes_long()).then(|| {
            let (saved, rest) = self.save();
            (saved.apart(), rest)
        });
        let begun = Instant::now();
        let walked = self.walk(if before.is_some() { stop } else { NEVER });
        self.slow = begun.elapsed() > SOON;
        match (walked, before) {
            (Err(AgentError::Stopped), Some((saved, rest))) => self.load(&saved, Some(&rest)).map(|()| None),
            (walked, _) => walked.map(Some),
        }
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.agent.warm(saved)
    }

    fn save(&self) -> (Saved, Value) {
        let envs: Vec<Value> = (0..self.env.envs()).map(|i| self.env.save(i, View::Now)).collect();
        (self.agent.save(), json!({ "step": self.step, "envs": envs, "episodes": self.episodes }))
    }

    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError> {
        self.agent.load(saved)?;
        let Some(rest) = rest else { return Ok(()) };
        let broken = |what: String| AgentError::Checkpoint(what);
        let envs = rest["envs"].as_array().ok_or_else(|| broken("it has no environments".into()))?;
        if envs.len() != self.env.envs() {
            return Err(broken(format!("it has {} environments, the run {}", envs.len(), self.env.envs())));
        }
        for (i, env) in envs.iter().enumerate() {
            let status = self.env.restore(i, env).map_err(|e| broken(e.to_string()))?;
            if status == Status::Terminated {
                return Err(broken("an episode under way is already over".into()));
            }
        }
        let step = rest["step"].as_u64().ok_or_else(|| broken("it has no step".into()))?;
        if step > MOST_STEPS || !step.is_multiple_of(self.env.envs() as u64) {
            return Err(broken(format!("{step} cannot be its step")));
        }
        self.step = step;
        self.episodes = Episodes::read(&rest["episodes"])?;
        self.env.observe(self.agent.first());
        self.agent.begin();
        Ok(())
    }
}
