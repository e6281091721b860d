//! What acts without learning: scripted players, random ones, frozen networks.

use crate::action::ActionsMut;
use crate::rng::{Rng, Stream};
use crate::spec::{ActionSpec, Spec};
use crate::vec_env::VecEnv;

/// Observations for every row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// `[rows, obs_len]`
    pub obs: &'a [f32],
    /// `[rows, mask_len]`, or empty where all actions are always legal.
    pub mask: &'a [bool],
    /// `[rows]`: whether an episode begins there, so that recurrent state is reset.
    pub begins: &'a [bool],
}

/// Picks actions from observations alone, as trained agents do. It knows no environment and is `Send`.
pub trait Policy: Send {
    /// Writes `[rows, len]`.
    fn act(&mut self, observed: Observed<'_>, actions: ActionsMut<'_>);

    /// A name for tables and headers.
    fn name(&self) -> String;
}

/// Picks actions for every row of a batch, and may look at the states behind the observations: scripted players, and
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
///
/// Every step has a stream of its own, in which the numbers of all lanes follow each other. So a lane's actions depend
/// on the seed, the lane and the step alone, and not on its process (see [`VecEnv::first_lane`]).
pub struct Random {
    seed: u64,
    step: u32,
}

impl Random {
    /// Starting at step 0.
    pub fn new(seed: u64) -> Self {
        Self { seed, step: 0 }
    }

    /// Fills the next step's actions, `[rows, len]`, of environments counted from `first_lane`, for any spec.
    pub fn fill(&mut self, spec: &Spec, first_lane: u32, mask: &[bool], actions: ActionsMut<'_>) {
        let stream = Rng::new(self.seed, Stream::Player, self.step);
        self.step = self.step.wrapping_add(1);
        // Every number of an action is one draw.
        let first = u64::from(first_lane) * (spec.agents * spec.action.len()) as u64;
        let mut rng = stream.skip(first);
        match (actions, &spec.action) {
            (ActionsMut::Discrete(a), ActionSpec::Discrete { labels }) if mask.is_empty() => {
                stream.fill_below(labels.len() as u32, first, a);
            }
            (ActionsMut::Discrete(a), action) => {
                let (sizes, width) = (action.choices(), action.mask_len());
                for (r, row) in a.chunks_exact_mut(sizes.len()).enumerate() {
                    let mut from = r * width;
                    for (a, &n) in row.iter_mut().zip(&sizes) {
                        *a = if mask.is_empty() {
                            i64::from(rng.below(n as u32))
                        } else {
                            among(&mask[from..from + n], &mut rng)
                        };
                        from += n;
                    }
                }
            }
            (ActionsMut::Continuous(a), ActionSpec::Continuous { fields }) => {
                for row in a.chunks_exact_mut(fields.len()) {
                    for (a, f) in row.iter_mut().zip(fields) {
                        *a = (f.low + (f.high - f.low) * rng.f32()).clamp(f.low, f.high);
                    }
                }
            }
            _ => panic!("the buffer does not fit the spec"),
        }
    }
}

/// A uniformly random legal choice.
fn among(mask: &[bool], rng: &mut Rng) -> i64 {
    let legal = mask.iter().filter(|m| **m).count() as u32;
    let pick = rng.below(legal.max(1)) as usize;
    mask.iter().enumerate().filter(|(_, m)| **m).nth(pick).map_or(0, |(i, _)| i as i64)
}

impl Actor for Random {
    fn act(&mut self, env: &dyn VecEnv, observed: Observed<'_>, actions: ActionsMut<'_>) {
        self.fill(env.spec(), env.first_lane(), observed.mask, actions);
    }

    fn name(&self) -> String {
        "random".into()
    }
}

/// A scripted player that an environment brings.
pub struct Scripted {
    /// Its index in [`VecEnv::players`].
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

/// `random` or one of the environment's own players; or what is wrong with the name.
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
