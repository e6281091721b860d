//! A simulator that was learned from recorded episodes: an ensemble of three networks each. The first gives the change of the
//! observation: each number as a normal (Chua et al. 2018, "Deep reinforcement learning in a handful of trials using
//! probabilistic dynamics models"; Janner et al. 2019, "When to trust your model"), or, where only a few changes were ever
//! recorded, such as units sold, the probability of each. The others give the reward and the probability of an end that
//! come with the observation that follows. A step is drawn from one member at random. Episodes start where recorded ones did,
//! and observations stay within what was recorded.
//!
//! `[model] kind = "world"` learns it and writes its file.

use agon_core::env::ensure;
use agon_core::scene::Scene;
use agon_core::world::{FILE, FORMAT, LOG_VARIANCE, Layer, Member, Standard, WIDEST, World, encode};
use agon_core::{ActionSpec, Actions, Env, EnvError, Field, Observation, Rng, Spec, Status, settings};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// The name of the model that comes with the program.
const EXAMPLE: &str = "example";

settings! {
    pub struct LearnedSettings {
        /// The file that training wrote, `world-model.json`, or its run: a path beside the scenario, or from where one
        /// stands. `example` is a point on a line that is pushed, and comes with the program.
        model: String = EXAMPLE.into();
        /// CRC-32C of the file; filled in. Another file is refused.
        checksum: Option<u32> = None;
        /// Steps after which an episode is truncated; those of the environment that it was learned from if left out.
        step_limit: Option<u32> = None, in [1.0, 1e9];
    }
}

/// What was observed last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedState {
    /// `[obs_len]`
    pub obs: Vec<f32>,
    /// Whether the episode has ended.
    pub over: bool,
}

#[derive(Clone)]
pub struct Learned {
    world: Arc<World>,
    spec: Spec,
}

fn wrong(why: impl Into<String>) -> EnvError {
    EnvError::setting("model", why)
}

/// The bytes of the file that the settings name.
fn read(settings: &LearnedSettings) -> Result<Vec<u8>, EnvError> {
    let mut path = Path::new(&settings.model).to_owned();
    let bytes = if settings.model == EXAMPLE {
        serde_json::to_vec(&example()).map_err(|e| wrong(e.to_string()))?
    } else {
        if path.is_dir() {
            path.push(FILE);
        }
        std::fs::read(&path).map_err(|e| wrong(format!("{}: {e}", path.display())))?
    };
    if settings.checksum.is_some_and(|sum| sum != crc32c::crc32c(&bytes)) {
        return Err(wrong(format!("{} is another world model than the one that this was made with", path.display())));
    }
    Ok(bytes)
}

/// A point of mass 1 on a line with friction, pushed by a force a, in steps of 0.1 s: Δx = 0.1 v, Δv = 0.1 (a − v), and
/// each step costs |x|.
pub fn example() -> World {
    let line = |name: &str, unit: &str| Field::new(name, unit, -5.0, 5.0);
    let force = Field::new("force", "N", -1.0, 1.0);
    let action = ActionSpec::Continuous { fields: vec![force] };
    // Positive and negative parts of some inputs.
    let parts = |inputs: usize, weights: &[&[(usize, f32)]]| {
        let mut hidden = Layer { weight: vec![0.0; inputs * 2 * weights.len()], bias: vec![0.0; 2 * weights.len()] };
        for (k, of) in weights.iter().enumerate() {
            for (input, weight) in *of {
                let at = input * 2 * weights.len() + 2 * k;
                (hidden.weight[at], hidden.weight[at + 1]) = (*weight, -*weight);
            }
        }
        hidden
    };
    // Of each change the mean and the logarithm of the variance.
    let mut change = Layer { weight: vec![0.0; 6 * 4], bias: vec![0.0, -12.0, 0.0, -12.0] };
    for (unit, output, weight) in [(2, 0, 0.1), (3, 0, -0.1), (2, 2, -0.1), (3, 2, 0.1), (4, 2, 0.1), (5, 2, -0.1)] {
        change.weight[4 * unit + output] = weight;
    }
    // The position before the step is the next one less its change.
    let reward = Layer { weight: vec![-1.0, 0.0, -1.0, 0.0], bias: vec![0.0, -12.0] };
    let member = Member {
        change: vec![parts(3, &[&[(0, 1.0)], &[(1, 1.0)], &[(2, 1.0)]]), change],
        reward: vec![parts(5, &[&[(0, 1.0), (3, -1.0)]]), reward],
        end: Vec::new(),
    };
    World {
        format: FORMAT.into(),
        spec: Spec::new(vec![line("position", "m"), line("speed", "m/s")], action, 100),
        starts: vec![vec![1.0, 0.0], vec![-1.0, 0.0], vec![2.0, -1.0]],
        seen: vec![[-5.0, 5.0]; 2],
        input: Standard { mean: vec![0.0; 3], deviation: vec![1.0; 3] },
        output: Standard { mean: vec![0.0; 3], deviation: vec![1.0; 3] },
        values: vec![Vec::new(); 2],
        members: vec![member],
    }
}

/// An index, drawn with probabilities that are the softmax of scores.
fn chosen(scores: &[f32], rng: &mut Rng) -> usize {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |score: &f32| f64::from(score - most).exp();
    let mut left = rng.f64() * scores.iter().map(weight).sum::<f64>();
    let drawn = scores.iter().position(|score| {
        left -= weight(score);
        left < 0.0
    });
    drawn.unwrap_or(scores.len() - 1)
}

impl Env for Learned {
    type Settings = LearnedSettings;
    type State = LearnedState;
    const VERSION: u32 = 2;
    const FILES: &'static [(&'static str, &'static str)] = &[("model", FILE)];

    fn new(settings: LearnedSettings) -> Result<Self, EnvError> {
        let bytes = read(&settings)?;
        let unfit = |why: String| wrong(format!("{} is no world model: {why}", settings.model));
        let world: World = serde_json::from_slice(&bytes).map_err(|e| unfit(e.to_string()))?;
        world.check().map_err(unfit)?;
        let mut spec = world.spec.clone();
        spec.step_limit = settings.step_limit.unwrap_or(spec.step_limit);
        Ok(Self { world: Arc::new(world), spec })
    }

    fn complete(settings: LearnedSettings) -> Result<LearnedSettings, EnvError> {
        Ok(LearnedSettings { checksum: Some(crc32c::crc32c(&read(&settings)?)), ..settings })
    }

    fn file(settings: &LearnedSettings, _: &str) -> Result<Vec<u8>, EnvError> {
        read(settings)
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut LearnedState, rng: &mut Rng) {
        let start = &self.world.starts[rng.below(self.world.starts.len() as u32) as usize];
        state.obs.clear();
        state.obs.extend_from_slice(start);
        state.over = false;
    }

    fn step(&self, state: &mut LearnedState, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let World { input, output, members, seen, values, .. } = &*self.world;
        let (mut x, mut y, n) = ([0f32; WIDEST], [0f32; WIDEST], state.obs.len());
        let (asked, member) = (input.mean.len() - n, &members[rng.below(members.len() as u32) as usize]);
        let standard = |x: f32, k: usize| (x - input.mean[k]) / input.deviation[k];
        let normal = |mean: f32, log_variance: f32, k: usize, rng: &mut Rng| {
            let log_variance = log_variance.clamp(LOG_VARIANCE[0], LOG_VARIANCE[1]);
            output.mean[k] + output.deviation[k] * (mean + (0.5 * log_variance).exp() * rng.normal() as f32)
        };
        x[..n].copy_from_slice(&state.obs);
        encode(&self.spec.action, actions, &mut x[n..n + asked]);
        x[..n + asked].iter_mut().enumerate().for_each(|(k, x)| *x = standard(*x, k));
        let mut outcome = [0f32; WIDEST];
        outcome[n..n + asked].copy_from_slice(&x[n..n + asked]);
        World::forward(&member.change, &mut x, &mut y);
        let mut from = 0;
        for (k, (obs, values)) in state.obs.iter_mut().zip(values).enumerate() {
            let width = if values.is_empty() { 2 } else { values.len() };
            let y = &y[from..from + width];
            let change = if values.is_empty() { normal(y[0], y[1], k, rng) } else { values[chosen(y, rng)] };
            *obs = (*obs + change).clamp(seen[k][0], seen[k][1]);
            outcome[k] = standard(*obs, k);
            outcome[n + asked + k] = (change - output.mean[k]) / output.deviation[k];
            from += width;
        }
        let mut again = outcome;
        World::forward(&member.reward, &mut outcome, &mut y);
        reward[0] = normal(y[0], y[1], n, rng);
        if !member.end.is_empty() {
            World::forward(&member.end, &mut again, &mut y);
            state.over = rng.f64() < 1.0 / (1.0 + f64::from(-y[0]).exp());
        }
        if state.over { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &LearnedState) -> Result<Status, String> {
        let n = self.world.seen.len();
        ensure(state.obs.len() == n, &format!("an observation has {n} numbers here, not {}", state.obs.len()))?;
        for (x, [low, high]) in state.obs.iter().zip(&self.world.seen) {
            agon_core::env::within("an observed number", f64::from(*x), f64::from(*low), f64::from(*high))?;
        }
        Ok(if state.over { Status::Terminated } else { Status::Running })
    }

    fn observe(&self, state: &LearnedState, obs: &mut [f32]) {
        obs.copy_from_slice(&state.obs);
    }

    fn draw(&self, state: &LearnedState, scene: &mut Scene) {
        let Observation::Numbers(fields) = &self.spec.observation else { return };
        for (field, x) in fields.iter().zip(&state.obs).take(12) {
            scene.note(&field.name, format!("{x:.3} {}", field.unit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    fn build(path: &Path, checksum: Option<u32>) -> Result<Learned, EnvError> {
        Learned::new(LearnedSettings { model: path.display().to_string(), checksum, ..LearnedSettings::default() })
    }

    /// The example follows its equations up to noise of deviation e⁻⁶.
    #[test]
    fn the_example_is_its_equations() {
        let env = Learned::new(LearnedSettings::default()).unwrap();
        let (mut state, mut rng, mut reward) = (LearnedState::default(), Rng::new(1, Stream::Env, 0), [0f32]);
        env.reset(&mut state, &mut rng);
        for step in 0..100 {
            let [x, v, a] = [state.obs[0], state.obs[1], (step as f32 * 0.7).sin()];
            assert_eq!(env.step(&mut state, Actions::Continuous(&[a]), &mut reward, &mut rng), Status::Running);
            for (found, right) in
                [(state.obs[0], x + 0.1 * v), (state.obs[1], v + 0.1 * (a - v)), (reward[0], -x.abs())]
            {
                assert!((found - right).abs() < 0.02, "step {step}: {found} {right}");
            }
        }
    }

    /// What a file cannot be is told, and no sizes in it can lead anywhere else.
    #[test]
    fn files_that_fit_nothing_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let bytes = serde_json::to_vec(&example()).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let whole = build(&path, Some(crc32c::crc32c(&bytes))).unwrap();
        assert_eq!(*whole.world, example());
        assert!(build(folder.path(), None).is_ok(), "a run's folder");
        assert!(build(&path, Some(1)).err().unwrap().to_string().contains("another world model"));
        assert!(build(&folder.path().join("none"), None).err().unwrap().to_string().contains("none"));
        type Change = fn(&mut World);
        let changes: [(Change, &str); 8] = [
            (|w| w.format = "x".into(), "format"),
            (|w| w.input.mean.truncate(1), "`input`"),
            (|w| w.output.deviation[0] = 0.0, "`output`"),
            (|w| w.seen[0] = [1.0, -1.0], "`seen`"),
            (|w| w.starts[0] = vec![9.0, 0.0], "position"),
            (|w| w.members[0].change[0].weight.truncate(5), "sizes"),
            (|w| w.members[0].change.truncate(1), "outputs"),
            (|w| w.values.truncate(1), "`values`"),
        ];
        for (change, part) in changes {
            let mut world = example();
            change(&mut world);
            std::fs::write(&path, serde_json::to_vec(&world).unwrap()).unwrap();
            let why = build(&path, None).err().unwrap().to_string();
            assert!(why.contains(part), "{part}: {why}");
        }
        std::fs::write(&path, "{").unwrap();
        assert!(build(&path, None).err().unwrap().to_string().contains("no world model"));
    }
}
