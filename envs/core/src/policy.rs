//! Whoever picks actions without learning: scripted players, random ones, frozen networks.

use crate::env::ActionsMut;
use crate::rng::{Rng, Stream};
use crate::spec::{ActionSpec, Spec};
use crate::vec_env::VecEnv;

/// Picks actions for every row of a batch.
pub trait Policy {
    /// `obs`: `[rows, obs_len]`, `mask`: `[rows, mask_len]` or empty; writes `[rows, len]`. `env` is there for the
    /// scripted players that look at states; others must not.
    fn act(&mut self, env: &dyn VecEnv, obs: &[f32], mask: &[bool], actions: ActionsMut<'_>);

    /// Every row begins an episode: what is remembered of others is forgotten.
    fn begin(&mut self) {}

    /// A name for tables and headers.
    fn name(&self) -> String;

    /// The agent of an environment whose return is the policy's.
    fn seat(&self, _env: usize) -> usize {
        0
    }
}

/// Uniformly random legal actions.
pub struct Random {
    rng: Rng,
}

impl Random {
    /// With its own stream of the seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed, Stream::Player, 0) }
    }

    /// Fills actions for any spec.
    pub fn fill(&mut self, spec: &Spec, mask: &[bool], actions: ActionsMut<'_>) {
        match (actions, &spec.action) {
            (ActionsMut::Discrete(a), ActionSpec::Discrete { labels }) if mask.is_empty() => {
                self.rng.fill_below(labels.len() as u32, a);
            }
            (ActionsMut::Discrete(a), action) => {
                let (sizes, width) = (action.choices(), action.mask_len());
                for (r, row) in a.chunks_exact_mut(sizes.len()).enumerate() {
                    let mut from = r * width;
                    for (a, &n) in row.iter_mut().zip(&sizes) {
                        *a = if mask.is_empty() {
                            i64::from(self.rng.below(n as u32))
                        } else {
                            self.among(&mask[from..from + n])
                        };
                        from += n;
                    }
                }
            }
            (ActionsMut::Continuous(a), ActionSpec::Continuous { fields }) => {
                for row in a.chunks_exact_mut(fields.len()) {
                    for (a, f) in row.iter_mut().zip(fields) {
                        *a = (f.low + (f.high - f.low) * self.rng.f32()).clamp(f.low, f.high);
                    }
                }
            }
            _ => panic!("the buffer does not fit the spec"),
        }
    }

    fn among(&mut self, mask: &[bool]) -> i64 {
        let legal = mask.iter().filter(|m| **m).count() as u32;
        let pick = self.rng.below(legal.max(1)) as usize;
        mask.iter().enumerate().filter(|(_, m)| **m).nth(pick).map_or(0, |(i, _)| i as i64)
    }
}

impl Policy for Random {
    fn act(&mut self, env: &dyn VecEnv, _: &[f32], mask: &[bool], actions: ActionsMut<'_>) {
        self.fill(env.spec(), mask, actions);
    }

    fn name(&self) -> String {
        "random".into()
    }
}

/// A scripted player that an environment brings.
pub struct Scripted {
    /// Its place in [`VecEnv::players`].
    pub player: usize,
    /// Its name.
    pub name: &'static str,
}

impl Policy for Scripted {
    fn act(&mut self, env: &dyn VecEnv, _: &[f32], _: &[bool], actions: ActionsMut<'_>) {
        env.play(self.player, actions);
    }

    fn name(&self) -> String {
        self.name.into()
    }
}

/// `random` or one of the environment's own players; else what is wrong with the name.
pub fn by_name(env: &dyn VecEnv, name: &str, seed: u64) -> Result<Box<dyn Policy>, String> {
    if name == "random" {
        return Ok(Box::new(Random::new(seed)));
    }
    let names = || env.players().iter().map(|p| p.name);
    let Some(player) = names().position(|n| n == name) else {
        let near = crate::settings::nearest(name, names().chain(["random"]));
        let known: Vec<&str> = ["random"].into_iter().chain(names()).collect();
        let near = crate::settings::hint(&near);
        return Err(format!("no player is called `{name}`{near} (known are {})", known.join(", ")));
    };
    env.offers(player).map_err(|why| format!("the player `{name}` cannot play here: {why}"))?;
    Ok(Box::new(Scripted { player, name: env.players()[player].name }))
}
