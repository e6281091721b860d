//! Observations as an unsupervised model describes them: the few numbers that an autoencoder or principal components make
//! of them, for an agent to learn from in their place or beside them (state representation learning: Lesort et al. 2018).
//!
//! [`Features::around`] wraps an environment, so that no agent knows of it. All else of the environment is as it was:
//! actions, rewards, players, states and their hashes.

use crate::agent::AgentError;
use crate::data::encode::Input;
use agon_core::env::{Measure, Player, Status};
use agon_core::game::Position;
use agon_core::model::Model;
use agon_core::rng::Stream;
use agon_core::scene::Scene;
use agon_core::vec_env::{EpisodeEnd, FirstBuf, StepBuf};
use agon_core::world::Layer;
use agon_core::{Actions, ActionsMut, EnvError, Field, Observation, Spec, VecEnv, View};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What a trained model makes of an observation: its numbers are scaled and go through layers of rectified units, the last
/// of which is linear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Of each number that it reads, its name in the observation and how it is scaled.
    inputs: Vec<Input>,
    layers: Vec<Layer>,
}

/// Names of all numbers of an observation: a picture's by channel, row and column.
///
/// # Errors
/// None of an observation that is one of n: it has no numbers.
pub fn names(observation: &Observation) -> Option<Vec<String>> {
    match observation {
        Observation::Discrete { .. } => None,
        Observation::Numbers(fields) => Some(fields.iter().map(|field| field.name.clone()).collect()),
        Observation::Picture(picture) => {
            let cells = || (0..picture.height).flat_map(|row| (0..picture.width).map(move |column| (row, column)));
            let of =
                |channel: &String| cells().map(|(row, column)| format!("{channel} {row} {column}")).collect::<Vec<_>>();
            Some(picture.channels.iter().flat_map(of).collect())
        }
    }
}

impl Features {
    /// Of a model with these inputs.
    pub(crate) fn new(inputs: Vec<Input>, layers: Vec<Layer>) -> Self {
        Self { inputs, layers }
    }

    /// How many numbers it makes.
    pub fn len(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.bias.len())
    }

    /// Whether it makes none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its parts fit each other: a file may be damaged.
    pub fn is_sound(&self) -> bool {
        let mut width = self.inputs.len();
        let fits = self.layers.iter().all(|layer| {
            let fits = !layer.bias.is_empty() && layer.weight.len() == width * layer.bias.len();
            width = layer.bias.len();
            fits && layer.weight.iter().chain(&layer.bias).all(|x| x.is_finite())
        });
        fits && !self.is_empty() && self.inputs.iter().all(Input::scales_numbers)
    }

    /// Where the numbers that it reads are in an observation.
    ///
    /// # Errors
    /// [`AgentError::Data`] where the observation has none of a name.
    fn places(&self, observation: &Observation) -> Result<Vec<usize>, AgentError> {
        let Some(names) = names(observation) else {
            let why = "the observation is one of so many states, which is no row of numbers";
            return Err(AgentError::Data(why.into()));
        };
        let place = |input: &Input| {
            names.iter().position(|name| *name == input.name).ok_or_else(|| {
                let some: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
                let more = if names.len() > some.len() { ", …" } else { "" };
                AgentError::Data(format!(
                    "the model reads `{}`, and observations have {}{more}: train it on observations alone \
                     (data.drop leaves columns out)",
                    input.name,
                    some.join(", ")
                ))
            })
        };
        self.inputs.iter().map(place).collect()
    }

    /// What it makes of the numbers that it reads.
    fn describe(&self, numbers: impl Iterator<Item = f32>, scratch: &mut [Vec<f32>; 2], out: &mut [f32]) {
        let [x, next] = scratch;
        x.clear();
        x.extend(numbers.zip(&self.inputs).map(|(x, input)| input.number(f64::from(x)) as f32));
        for (at, layer) in self.layers.iter().enumerate() {
            next.clear();
            next.extend_from_slice(&layer.bias);
            for (x, weights) in x.iter().zip(layer.weight.chunks_exact(layer.bias.len())) {
                next.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
            }
            if at + 1 < self.layers.len() {
                next.iter_mut().for_each(|x| *x = x.max(0.0));
            }
            std::mem::swap(x, next);
        }
        out.copy_from_slice(x);
    }

    /// The same environment with observations that are these features; with `beside`, behind its own numbers.
    ///
    /// # Errors
    /// [`AgentError::Data`] where observations have no number that the model reads.
    pub fn around(self: &Arc<Self>, env: Box<dyn VecEnv>, beside: bool) -> Result<Box<dyn VecEnv>, AgentError> {
        let own = env.spec();
        let places = self.places(&own.observation)?;
        let field = |name: String| Field::new(name, "", f32::NEG_INFINITY, f32::INFINITY);
        let mut fields: Vec<Field> = match &own.observation {
            _ if !beside => Vec::new(),
            Observation::Numbers(fields) => fields.clone(),
            other => names(other).into_iter().flatten().map(field).collect(),
        };
        fields.extend((1..=self.len()).map(|k| field(format!("feature {k}"))));
        let spec = Spec { observation: Observation::Numbers(fields), ..own.clone() };
        let width = own.obs_len();
        let raw = [0, 1].map(|_| vec![0.0; env.rows() * width]);
        let reader = Reader { features: self.clone(), places, width, beside };
        Ok(Box::new(Described { env, reader, spec, raw, scratch: Default::default() }))
    }
}

/// Features of one environment's observations.
struct Reader {
    features: Arc<Features>,
    places: Vec<usize>,
    /// Numbers of an observation as the environment writes it.
    width: usize,
    beside: bool,
}

impl Reader {
    fn read(&self, raw: &[f32], scratch: &mut [Vec<f32>; 2], mut out: &mut [f32]) {
        if self.beside {
            let (own, rest) = out.split_at_mut(self.width);
            own.copy_from_slice(raw);
            out = rest;
        }
        self.features.describe(self.places.iter().map(|place| raw[*place]), scratch, out);
    }
}

/// An environment whose observations are described.
struct Described {
    env: Box<dyn VecEnv>,
    reader: Reader,
    spec: Spec,
    /// Observations as the environment writes them, and last ones of episodes.
    raw: [Vec<f32>; 2],
    scratch: [Vec<f32>; 2],
}

impl VecEnv for Described {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn envs(&self) -> usize {
        self.env.envs()
    }

    fn first_lane(&self) -> u32 {
        self.env.first_lane()
    }

    fn reset(&mut self, seed: u64, stream: Stream, first: FirstBuf<'_>) {
        self.env.reset(seed, stream, FirstBuf { obs: &mut self.raw[0], mask: first.mask });
        let rows = self.raw[0].chunks_exact(self.reader.width).zip(first.obs.chunks_exact_mut(self.spec.obs_len()));
        rows.for_each(|(raw, out)| self.reader.read(raw, &mut self.scratch, out));
    }

    fn step(&mut self, actions: Actions<'_>, out: StepBuf<'_>) {
        let (width, len) = (self.reader.width, self.spec.obs_len());
        let [raw, last] = &mut self.raw;
        let inner = StepBuf {
            obs: raw,
            final_obs: last,
            reward: &mut *out.reward,
            mask: out.mask,
            terminated: &mut *out.terminated,
            truncated: &mut *out.truncated,
            final_mask: out.final_mask,
        };
        self.env.step(actions, inner);
        for (raw, out) in raw.chunks_exact(width).zip(out.obs.chunks_exact_mut(len)) {
            self.reader.read(raw, &mut self.scratch, out);
        }
        let ended = out.terminated.iter().zip(&*out.truncated).map(|(a, b)| *a || *b);
        let rows = last.chunks_exact(width).zip(out.final_obs.chunks_exact_mut(len)).zip(ended);
        for ((raw, out), _) in rows.filter(|(_, ended)| *ended) {
            self.reader.read(raw, &mut self.scratch, out);
        }
    }

    fn ended(&self) -> &[EpisodeEnd] {
        self.env.ended()
    }

    fn observe(&self, first: FirstBuf<'_>) {
        let (mut raw, mut scratch) = (vec![0.0; self.raw[0].len()], Default::default());
        self.env.observe(FirstBuf { obs: &mut raw, mask: first.mask });
        let rows = raw.chunks_exact(self.reader.width).zip(first.obs.chunks_exact_mut(self.spec.obs_len()));
        rows.for_each(|(raw, out)| self.reader.read(raw, &mut scratch, out));
    }

    fn players(&self) -> &'static [Player] {
        self.env.players()
    }

    fn offers(&self, player: usize) -> Result<(), String> {
        self.env.offers(player)
    }

    fn play(&self, player: usize, actions: ActionsMut<'_>) {
        self.env.play(player, actions);
    }

    fn settle(&self, actions: ActionsMut<'_>) {
        self.env.settle(actions);
    }

    fn optimum(&self) -> Option<f64> {
        self.env.optimum()
    }

    fn bound(&self) -> Option<f64> {
        self.env.bound()
    }

    fn model(&self, most_states: usize) -> Result<Model, String> {
        self.env.model(most_states)
    }

    fn measures(&self) -> &[Measure] {
        self.env.measures()
    }

    fn measure(&self, env: usize, view: View, out: &mut [f64]) {
        self.env.measure(env, view, out);
    }

    fn keep_finals(&mut self, keep: bool) {
        self.env.keep_finals(keep);
    }

    fn save(&self, env: usize, view: View) -> Value {
        self.env.save(env, view)
    }

    fn restore(&mut self, env: usize, saved: &Value) -> Result<Status, EnvError> {
        self.env.restore(env, saved)
    }

    fn hash(&self, env: usize, view: View) -> u64 {
        self.env.hash(env, view)
    }

    fn draw(&self, env: usize, view: View, scene: &mut Scene) {
        self.env.draw(env, view, scene);
    }

    fn position(&self, env: usize, view: View) -> Option<Position> {
        self.env.position(env, view)
    }
}
