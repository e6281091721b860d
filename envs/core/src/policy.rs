//! Whoever picks actions without learning: scripted players, random ones, frozen networks.

use crate::action::ActionsMut;
use crate::rng::{Rng, Stream};
use crate::spec::{ActionSpec, Spec};
use crate::vec_env::VecEnv;

/// What was observed, for every row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// `[rows, obs_len]`
    pub obs: &'a [f32],
    /// `[rows, mask_len]`, or empty where nothing is ever forbidden.
    pub mask: &'a [bool],
    /// `[rows]`: whether an episode begins there, so that what is remembered of the one before is forgotten.
    pub begins: &'a [bool],
}

/// Picks actions by what is observed alone: what was learned. It knows no environment and may go to any thread.
pub trait Policy: Send {
    /// Writes `[rows, len]`.
    fn act(&mut self, observed: Observed<'_>, actions: ActionsMut<'_>);

    /// A name for tables and headers.
    fn name(&self) -> String;
}

/// Picks actions for every row of a batch, and may look at the states behind what is observed: scripted players, and
/// every [`Policy`].
pub trait Actor {
    /// Writes `[rows, len]`.
    fn act(&mut self, env: &dyn VecEnv, observed: Observed<'_>, actions: ActionsMut<'_>);

    /// A name for tables and headers.
    fn name(&self) -> String;

    /// The agent of an environment whose return is the actor's.
    fn seat(&self, _env: usize) -> usize {
        0
    }
}

impl<P: Policy + ?Sized> Actor for Box<P> {
    fn act(&mut self, _: &dyn VecEnv, observed: Observed<'_>, actions: ActionsMut<'_>) {
        (**self).act(observed, actions);
    }

    fn name(&self) -> String {
        (**self).name()
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

impl Actor for Random {
    fn act(&mut self, env: &dyn VecEnv, observed: Observed<'_>, actions: ActionsMut<'_>) {
        self.fill(env.spec(), observed.mask, actions);
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

impl Actor for Scripted {
    fn act(&mut self, env: &dyn VecEnv, _: Observed<'_>, actions: ActionsMut<'_>) {
        env.play(self.player, actions);
    }

    fn name(&self) -> String {
        self.name.into()
    }
}

/// `random` or one of the environment's own players; else what is wrong with the name.
pub fn by_name(env: &dyn VecEnv, name: &str, seed: u64) -> Result<Box<dyn Actor>, String> {
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
