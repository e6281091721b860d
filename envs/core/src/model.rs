//! The model of a small environment: every state, its actions and their transition probabilities, for exact methods.

use crate::env::Env;
use crate::memory;
use std::collections::HashMap;

/// The most transitions: more would take several gigabytes.
const MOST_OUTCOMES: usize = 100_000_000;

/// One possible result of a choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// Its probability.
    pub probability: f64,
    /// The reward.
    pub reward: f64,
    /// The next state; none where the rules end the episode.
    pub next: Option<u32>,
}

/// An environment of one agent with one choice a step, fully observed.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// `[states, obs_len]`, in the order of their discovery from the initial states.
    pub obs: Vec<f32>,
    /// `[states, actions]`
    pub legal: Vec<bool>,
    /// Actions of a state.
    pub actions: usize,
    /// `[states × actions + 1]`: where each action's transitions begin in `outcomes`.
    pub from: Vec<usize>,
    /// All transitions.
    pub outcomes: Vec<Transition>,
    /// Initial states with their probabilities.
    pub starts: Vec<(f64, u32)>,
}

impl Model {
    /// Explores an environment from its initial states until no state is new; an error where probabilities are not
    /// known or it is too large.
    pub fn of<E: Env>(env: &E, most_states: usize) -> Result<Self, String> {
        let spec = env.spec();
        let actions = spec.action.mask_len();
        if spec.agents != 1 || spec.action.len() != 1 || actions == 0 {
            return Err("it is not one agent that makes one choice a step".into());
        }
        let mut walk = Walk {
            model: Self { actions, from: vec![0], ..Self::default() },
            places: HashMap::new(),
            states: Vec::new(),
            obs: vec![0.0; spec.obs_len()],
        };
        let mut starts = Vec::new();
        if !env.starts(&mut |p, state: &E::State| starts.push((p, walk.place(env, state)))) {
            return Err("it does not give its transition probabilities".into());
        }
        walk.model.starts = starts;
        let mut at = 0;
        while at < walk.states.len() {
            if walk.states.len() > most_states {
                return Err(format!("it has more than {most_states} states"));
            }
            let state = walk.states[at].clone();
            for action in 0..actions {
                if walk.model.legal[at * actions + action] {
                    let mut found = Vec::new();
                    let told = env.outcomes(&state, action as i64, &mut |p, reward, next| {
                        if p > 0.0 {
                            found.push(Transition { probability: p, reward, next: next.map(|s| walk.place(env, s)) });
                        }
                    });
                    if !told {
                        return Err("it does not give its transition probabilities".into());
                    }
                    walk.model.outcomes.extend(found);
                }
                walk.model.from.push(walk.model.outcomes.len());
            }
            if at.is_multiple_of(1 << 14) {
                let held = walk.model.outcomes.len() * size_of::<Transition>() + at * size_of::<E::State>();
                // An array that grows is copied, so that as much again must be there.
                if held as f64 > memory::available() {
                    return Err(format!("the memory that is there does not hold it ({at} states so far)"));
                }
            }
            if walk.model.outcomes.len() > MOST_OUTCOMES {
                return Err(format!("its choices have more than {MOST_OUTCOMES} outcomes"));
            }
            at += 1;
        }
        Ok(walk.model)
    }

    /// The number of states.
    pub fn len(&self) -> usize {
        self.legal.len() / self.actions.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of an action, given the states' values.
    pub fn worth(&self, state: usize, action: usize, gamma: f64, value: &[f64]) -> f64 {
        let at = state * self.actions + action;
        let outcomes = &self.outcomes[self.from[at]..self.from[at + 1]];
        outcomes.iter().map(|o| o.probability * (o.reward + gamma * o.next.map_or(0.0, |n| value[n as usize]))).sum()
    }

    /// The best legal action and its value; the first of equals.
    pub fn best(&self, state: usize, gamma: f64, value: &[f64]) -> (usize, f64) {
        let legal = (0..self.actions).filter(|a| self.legal[state * self.actions + a]);
        legal
            .map(|a| (a, self.worth(state, a, gamma, value)))
            .fold((0, f64::NEG_INFINITY), |top, one| if one.1 > top.1 { one } else { top })
    }
}

/// An exploration under way.
struct Walk<S> {
    model: Model,
    places: HashMap<Vec<u32>, u32>,
    states: Vec<S>,
    obs: Vec<f32>,
}

impl<S: Clone> Walk<S> {
    /// The index of a state, identified by its observation.
    fn place<E: Env<State = S>>(&mut self, env: &E, state: &S) -> u32 {
        env.observe(state, &mut self.obs);
        let key: Vec<u32> = self.obs.iter().map(|x| x.to_bits()).collect();
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.states.len() as u32;
        self.places.insert(key, place);
        self.states.push(state.clone());
        self.model.obs.extend_from_slice(&self.obs);
        let from = self.model.legal.len();
        self.model.legal.resize(from + self.model.actions, true);
        if env.spec().masked {
            env.mask(state, &mut self.model.legal[from..]);
        }
        place
    }
}
