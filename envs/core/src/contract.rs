//! The checks that every environment must pass, as plain functions. An environment is checked by being registered.

use crate::action::{Actions, ActionsMut};
use crate::damage::damage;
use crate::env::Status;
use crate::observation::Observation;
use crate::policy::Random;
use crate::registry::Entry;
use crate::rng::{Rng, Stream};
use crate::scene::Scene;
use crate::spec::{ActionSpec, Spec};
use crate::vec_env::{FirstBuf, StepBuf, VecEnv, View};
use serde_json::{Map, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Buffers for one batch, and a random player.
pub struct Harness {
    /// The batch.
    pub env: Box<dyn VecEnv>,
    /// `[rows, obs_len]`
    pub obs: Vec<f32>,
    /// `[rows, mask_len]` or empty.
    pub mask: Vec<bool>,
    /// `[rows]`
    pub reward: Vec<f32>,
    /// `[rows]`
    pub terminated: Vec<bool>,
    /// `[rows]`
    pub truncated: Vec<bool>,
    /// `[rows, obs_len]`
    pub final_obs: Vec<f32>,
    /// `[rows, mask_len]` or empty.
    pub final_mask: Vec<bool>,
    discrete: Vec<i64>,
    continuous: Vec<f32>,
    player: Random,
}

impl Harness {
    /// Buffers that fit `env`, reset with `seed`.
    pub fn new(env: Box<dyn VecEnv>, seed: u64) -> Self {
        let (rows, spec) = (env.rows(), env.spec().clone());
        let continuous = matches!(spec.action, ActionSpec::Continuous { .. });
        let numbers = rows * spec.action.len();
        let mut harness = Self {
            obs: vec![f32::NAN; rows * spec.obs_len()],
            mask: vec![false; if spec.masked { rows * spec.action.mask_len() } else { 0 }],
            reward: vec![f32::NAN; rows],
            terminated: vec![false; rows],
            truncated: vec![false; rows],
            final_obs: vec![f32::NAN; rows * spec.obs_len()],
            final_mask: vec![false; if spec.masked { rows * spec.action.mask_len() } else { 0 }],
            discrete: vec![0; if continuous { 0 } else { numbers }],
            continuous: vec![0.0; if continuous { numbers } else { 0 }],
            player: Random::new(seed),
            env,
        };
        harness.env.reset(seed, Stream::Env, FirstBuf { obs: &mut harness.obs, mask: &mut harness.mask });
        harness
    }

    /// Draws random legal actions.
    pub fn choose(&mut self) {
        let spec = self.env.spec();
        let actions = match spec.action {
            ActionSpec::Continuous { .. } => ActionsMut::Continuous(&mut self.continuous),
            _ => ActionsMut::Discrete(&mut self.discrete),
        };
        self.player.fill(spec, self.env.first_lane(), &self.mask, actions);
    }

    /// The actions drawn last.
    pub fn actions(&self) -> Actions<'_> {
        match self.env.spec().action {
            ActionSpec::Continuous { .. } => Actions::Continuous(&self.continuous),
            _ => Actions::Discrete(&self.discrete),
        }
    }

    /// One step with the actions drawn last.
    pub fn step(&mut self) {
        let actions = match self.env.spec().action {
            ActionSpec::Continuous { .. } => Actions::Continuous(&self.continuous),
            _ => Actions::Discrete(&self.discrete),
        };
        self.env.step(
            actions,
            StepBuf {
                obs: &mut self.obs,
                mask: &mut self.mask,
                reward: &mut self.reward,
                terminated: &mut self.terminated,
                truncated: &mut self.truncated,
                final_obs: &mut self.final_obs,
                final_mask: &mut self.final_mask,
            },
        );
    }

    /// All outputs of a step, as bits.
    pub fn bits(&self) -> Vec<u32> {
        let flags = self.terminated.iter().chain(&self.truncated).chain(&self.mask).map(|b| u32::from(*b));
        self.obs.iter().chain(&self.reward).map(|x| x.to_bits()).chain(flags).collect()
    }
}

/// A failed check, in words.
pub type Broken = String;

/// Runs every check on one registered environment with default settings.
pub fn check(entry: &Entry) -> Result<(), Broken> {
    check_with(entry, &Map::new())
}

/// Runs every check on one registered environment.
pub fn check_with(entry: &Entry, settings: &Map<String, Value>) -> Result<(), Broken> {
    let build = |envs, threads| entry.build(settings, envs, threads).map_err(|e| e.to_string());
    spec_is_sound(build(1, 1)?.spec())?;
    spaces_and_ends(&mut Harness::new(build(7, 1)?, 1))?;
    threads_do_not_matter(Harness::new(build(13, 1)?, 2), Harness::new(build(13, 3)?, 2))?;
    let part = |from, envs| entry.build_part(settings, from, envs, 1).map_err(|e| e.to_string());
    let parts = vec![Harness::new(part(0, 4)?, 3), Harness::new(part(4, 5)?, 3)];
    parts_are_like_the_whole(Harness::new(build(9, 1)?, 3), parts)?;
    saved_states_go_on(Harness::new(build(5, 1)?, 4), build(5, 1)?)?;
    damaged_states_do_no_harm(&mut Harness::new(build(1, 1)?, 5), &mut Harness::new(build(1, 1)?, 6), 150)
}

fn spec_is_sound(spec: &Spec) -> Result<(), Broken> {
    let named = match &spec.observation {
        Observation::Discrete { n, labels } => labels.is_empty() || labels.len() == *n,
        Observation::Picture(picture) => picture.high > 0,
        Observation::Numbers(_) => true,
    };
    let sound =
        spec.agents > 0 && !spec.observation.is_empty() && named && !spec.action.is_empty() && spec.step_limit > 0;
    let bounded = match &spec.action {
        ActionSpec::Continuous { fields } => {
            fields.iter().all(|f| f.low.is_finite() && f.high.is_finite() && f.low < f.high)
        }
        other => other.choices().iter().all(|n| *n > 0),
    };
    if sound && bounded { Ok(()) } else { Err(format!("the spec is not sound: {spec:?}")) }
}

/// Whether the masks of one or several rows allow at least one option of every choice.
fn leaves_a_choice(spec: &Spec, mask: &[bool]) -> Result<(), Broken> {
    let mut from = 0;
    while from < mask.len() {
        for n in spec.action.choices() {
            if !mask[from..from + n].iter().any(|m| *m) {
                return Err("a mask allows nothing".into());
            }
            from += n;
        }
    }
    Ok(())
}

/// Spaces hold, masks leave a choice, every episode ends within its limit with exactly one flag.
fn spaces_and_ends(h: &mut Harness) -> Result<(), Broken> {
    let spec = h.env.spec().clone();
    let mut lengths = vec![0u32; h.env.rows()];
    for _ in 0..spec.step_limit.saturating_mul(2).clamp(300, 3000) {
        spec.admits(&h.obs)?;
        leaves_a_choice(&spec, &h.mask)?;
        h.choose();
        h.step();
        lengths.iter_mut().for_each(|l| *l += 1);
        for (row, length) in lengths.iter_mut().enumerate() {
            let (terminated, truncated) = (h.terminated[row], h.truncated[row]);
            if !h.reward[row].is_finite() || (terminated && truncated) || *length > spec.step_limit {
                return Err(format!("row {row}: reward {}, flags {terminated} {truncated}", h.reward[row]));
            }
            if truncated != (!terminated && *length == spec.step_limit) {
                return Err(format!("row {row}: truncated after {} of {} steps", *length, spec.step_limit));
            }
            if terminated || truncated {
                spec.admits(&h.final_obs[row * spec.obs_len()..(row + 1) * spec.obs_len()])?;
                let width = h.final_mask.len() / h.env.rows();
                if truncated {
                    leaves_a_choice(&spec, &h.final_mask[row * width..(row + 1) * width])?;
                }
                let end = h.env.ended().iter().find(|e| e.row as usize == row);
                if end.map(|e| (e.length, e.truncated)) != Some((*length, truncated)) {
                    return Err(format!("row {row}: the end of its episode was not told rightly: {end:?}"));
                }
                *length = 0;
            }
        }
    }
    Ok(())
}

fn threads_do_not_matter(mut a: Harness, mut b: Harness) -> Result<(), Broken> {
    for step in 0..200 {
        a.choose();
        b.choose();
        a.step();
        b.step();
        if a.bits() != b.bits() {
            return Err(format!("step {step} depends on the number of threads, or on luck"));
        }
    }
    Ok(())
}

/// The parts of a batch, however it is split, give the same episodes as the whole, random actions included.
pub fn parts_are_like_the_whole(mut whole: Harness, mut parts: Vec<Harness>) -> Result<(), Broken> {
    fn all<T: Clone>(parts: &[Harness], part: impl Fn(&Harness) -> &[T]) -> Vec<T> {
        parts.iter().flat_map(|h| part(h).iter().cloned()).collect()
    }
    let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for step in 0..200 {
        whole.choose();
        parts.iter_mut().for_each(Harness::choose);
        let numbers = all(&parts, |h| &h.continuous);
        if all(&parts, |h| &h.discrete) != whole.discrete || bits(&numbers) != bits(&whole.continuous) {
            return Err(format!("what is done in step {step} depends on how a batch is cut"));
        }
        whole.step();
        parts.iter_mut().for_each(Harness::step);
        let shown = |part: fn(&Harness) -> &[f32]| bits(&all(&parts, part)) == bits(part(&whole));
        let hashes = |h: &Harness| (0..h.env.envs()).map(|i| h.env.hash(i, View::Now)).collect::<Vec<_>>();
        let same = shown(|h| &h.obs) && shown(|h| &h.reward);
        if !same || parts.iter().flat_map(hashes).collect::<Vec<_>>() != hashes(&whole) {
            return Err(format!("step {step} of an environment depends on how a batch is cut"));
        }
    }
    Ok(())
}

/// A state saved in mid-episode and restored in another batch continues bit-identically.
fn saved_states_go_on(mut a: Harness, other: Box<dyn VecEnv>) -> Result<(), Broken> {
    for _ in 0..37 {
        a.choose();
        a.step();
    }
    let mut b = Harness::new(other, 99);
    for i in 0..a.env.envs() {
        let saved = serde_json::to_string(&a.env.save(i, View::Now)).map_err(|e| e.to_string())?;
        let saved = serde_json::from_str(&saved).map_err(|e| e.to_string())?;
        b.env.restore(i, &saved).map_err(|e| e.to_string())?;
        if a.env.hash(i, View::Now) != b.env.hash(i, View::Now) {
            return Err("a restored state has another hash".into());
        }
    }
    b.env.observe(FirstBuf { obs: &mut b.obs, mask: &mut b.mask });
    if a.obs != b.obs || a.mask != b.mask {
        return Err("a restored state is observed differently".into());
    }
    for step in 0..200 {
        a.choose();
        b.discrete.copy_from_slice(&a.discrete);
        b.continuous.copy_from_slice(&a.continuous);
        a.step();
        b.step();
        if a.bits() != b.bits() || a.env.hash(0, View::Now) != b.env.hash(0, View::Now) {
            return Err(format!("a restored state goes another way after {} steps", step + 1));
        }
    }
    Ok(())
}

/// A damaged state is either refused or fully usable. States of `source`, which plays ordinary episodes, are damaged
/// `count` times and given to `h`.
pub fn damaged_states_do_no_harm(source: &mut Harness, h: &mut Harness, count: usize) -> Result<(), Broken> {
    let mut rng = Rng::new(7, Stream::Eval, 0);
    let offered: Vec<usize> = (0..h.env.players().len()).filter(|p| h.env.offers(*p).is_ok()).collect();
    for _ in 0..count {
        for _ in 0..=rng.below(12) {
            source.choose();
            source.step();
        }
        let mut saved = source.env.save(0, View::Now);
        h.env.restore(0, &saved).map_err(|e| format!("an ordinary state is refused: {saved}: {e}"))?;
        // Mostly the state itself, which only the environment knows.
        damage(if rng.below(4) > 0 { &mut saved["state"] } else { &mut saved }, &mut rng);
        let used = catch_unwind(AssertUnwindSafe(|| use_state(h, &saved, &offered)));
        let why = used.unwrap_or_else(|_| Err("it panics".into()));
        why.map_err(|why| format!("given the state {saved}: {why}"))?;
    }
    Ok(())
}

/// Restores a state and, unless it is refused, calls every method on it.
fn use_state(h: &mut Harness, saved: &Value, offered: &[usize]) -> Result<(), Broken> {
    let spec = h.env.spec().clone();
    let Ok(status) = h.env.restore(0, saved) else { return Ok(()) };
    let again = h.env.save(0, View::Now);
    let hash = h.env.hash(0, View::Now);
    h.env.restore(0, &again).map_err(|e| format!("it was taken, but not once it was saved again: {e}"))?;
    if h.env.hash(0, View::Now) != hash || h.env.save(0, View::Now) != again {
        return Err("it changes by being saved".into());
    }
    h.env.observe(FirstBuf { obs: &mut h.obs, mask: &mut h.mask });
    spec.admits(&h.obs)?;
    h.env.draw(0, View::Now, &mut Scene::default());
    h.env.position(0, View::Now);
    h.env.measure(0, View::Now, &mut vec![0.0; h.env.measures().len()]);
    for player in offered {
        let actions = match spec.action {
            ActionSpec::Continuous { .. } => ActionsMut::Continuous(&mut h.continuous),
            _ => ActionsMut::Discrete(&mut h.discrete),
        };
        h.env.play(*player, actions);
        spec.takes(h.actions(), &[])?;
    }
    if status == Status::Terminated {
        return Ok(());
    }
    for _ in 0..50 {
        leaves_a_choice(&spec, &h.mask)?;
        h.choose();
        h.step();
        spec.admits(&h.obs)?;
        if !h.reward.iter().all(|r| r.is_finite()) {
            return Err(format!("it earns {:?}", h.reward));
        }
        h.env.draw(0, View::Now, &mut Scene::default());
        let saved = h.env.save(0, View::Now);
        h.env.restore(0, &saved).map_err(|e| format!("a later state is refused: {saved}: {e}"))?;
    }
    Ok(())
}
