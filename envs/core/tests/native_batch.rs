//! An environment may keep the states of its batch as it likes: a row of the registry takes it, and the contract holds.

use agon_core::action::ActionsMut;
use agon_core::batch::{States, Stepped};
use agon_core::contract::{Harness, check};
use agon_core::env::{Fold, Measure, Player};
use agon_core::inspect::Inspect;
use agon_core::scene::Scene;
use agon_core::{ActionSpec, Actions, Entry, EnvError, Field, Rng, Spec, Status, View};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

agon_core::settings! {
    /// For the test.
    pub struct WalkSettings {
        /// How far from the middle the walk ends.
        goal: u32 = 6, in [1.0, 100.0];
        /// Steps after which it is cut off.
        step_limit: u32 = 20, in [1.0, 1000.0];
    }
}

/// One walk, as it is saved.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Walk {
    place: i32,
    turned: bool,
    steps: u32,
}

/// Many walks along a line, an array for each number of their states. A step goes where it was told to, or now and then
/// the other way; two steps to the left in a row are forbidden where `turned` says so. `FORGETS` plants a fault: a state
/// that is put back loses one of its numbers.
struct Walks<const FORGETS: bool> {
    spec: Spec,
    goal: i32,
    place: Vec<i32>,
    turned: Vec<bool>,
    steps: Vec<u32>,
}

impl<const FORGETS: bool> States for Walks<FORGETS> {
    type Settings = WalkSettings;
    type State = Walk;
    type Inspect = Self;
    const VERSION: u32 = 3;
    const PLAYERS: &'static [Player] = &[Player { name: "right", about: "always goes right" }];

    fn new(set: WalkSettings, envs: usize, _: usize) -> Result<Self, EnvError> {
        let goal = set.goal as f32;
        let fields = vec![Field::new("place", "", -goal, goal), Field::new("turned", "", 0.0, 1.0)];
        let mut spec = Spec::new(fields, ActionSpec::discrete(["left", "right"]), set.step_limit);
        spec.masked = true;
        let (place, turned, steps) = (vec![0; envs], vec![false; envs], vec![0; envs]);
        Ok(Self { spec, goal: set.goal as i32, place, turned, steps })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.place.len()
    }

    fn reset(&mut self, i: usize, rng: &mut Rng) {
        (self.place[i], self.turned[i], self.steps[i]) = (rng.below(3) as i32 - 1, rng.below(2) == 1, 0);
        self.place[i] = self.place[i].clamp(1 - self.goal, self.goal - 1);
    }

    fn step(&mut self, actions: Actions<'_>, out: Stepped<'_>, rngs: &mut [Rng]) {
        for (i, action) in actions.discrete().iter().enumerate() {
            let slips = rngs[i].below(8) == 0;
            self.place[i] += if (*action == 1) != slips { 1 } else { -1 };
            self.turned[i] = *action == 0;
            self.steps[i] += 1;
        }
        for ((reward, end), place) in out.reward.iter_mut().zip(out.terminated).zip(&self.place) {
            (*reward, *end) = (if *place == self.goal { 1.0 } else { 0.0 }, place.abs() == self.goal);
        }
        self.observe_all(out.obs);
    }

    fn observe_all(&self, obs: &mut [f32]) {
        obs.chunks_exact_mut(2).enumerate().for_each(|(i, obs)| self.observe(i, obs));
    }

    fn observe(&self, i: usize, obs: &mut [f32]) {
        self.observe_state(&self.get(i), obs);
    }

    fn mask(&self, i: usize, mask: &mut [bool]) {
        mask.copy_from_slice(&[!self.turned[i], true]);
    }

    fn check(&self, state: &Walk) -> Result<Status, String> {
        if !(-self.goal..=self.goal).contains(&state.place) || state.steps > self.spec.step_limit {
            return Err("no walk leads there".into());
        }
        Ok(if state.place.abs() == self.goal { Status::Terminated } else { Status::Running })
    }

    fn age(&self, state: &Walk) -> Option<u32> {
        Some(state.steps)
    }

    fn observe_state(&self, state: &Walk, obs: &mut [f32]) {
        obs.copy_from_slice(&[state.place as f32, f32::from(u8::from(state.turned))]);
    }

    fn get(&self, i: usize) -> Walk {
        Walk { place: self.place[i], turned: self.turned[i], steps: self.steps[i] }
    }

    fn set(&mut self, i: usize, state: Walk) {
        (self.place[i], self.steps[i]) = (state.place, state.steps);
        if !FORGETS {
            self.turned[i] = state.turned;
        }
    }

    fn inspect(&self) -> &Self {
        self
    }
}

impl<const FORGETS: bool> Inspect for Walks<FORGETS> {
    type State = Walk;

    fn draw(&self, state: &Walk, scene: &mut Scene) {
        scene.note("place", state.place.to_string());
    }

    fn play(&self, _: usize, _: &Walk, mut actions: ActionsMut<'_>) {
        actions.set(0, 1.0);
    }

    fn measures(&self) -> &[Measure] {
        &[Measure { name: "place", unit: "", fold: Fold::Last }]
    }

    fn measure(&self, state: &Walk, out: &mut [f64]) {
        out[0] = state.place.into();
    }
}

fn entry<const FORGETS: bool>() -> Entry {
    Entry::states::<Walks<FORGETS>>("test/walks", "walks along a line", "itself")
}

#[test]
fn a_batch_with_its_own_storage_keeps_the_contract() {
    check(&entry::<false>()).unwrap();
    let why = check(&entry::<true>()).unwrap_err();
    assert!(why.contains("a restored state has another hash"), "{why}");
}

/// Everything that a batch is asked for reaches the storage, one environment at a time.
#[test]
fn a_batch_with_its_own_storage_is_one_like_others() {
    let entry = entry::<false>();
    assert_eq!((entry.version, entry.players.len(), entry.declared().len()), (3, 1, 2));
    let settings = |goal: u32| -> Map<String, Value> { [("goal".to_owned(), goal.into())].into_iter().collect() };
    assert!(entry.build(&settings(0), 1, 1).is_err(), "settings are checked");
    let mut h = Harness::new(entry.build(&settings(4), 3, 1).unwrap(), 1);
    h.env.restore(1, &json!({"state": {"place": 3, "turned": true, "steps": 7}})).unwrap();
    assert!(h.env.restore(1, &json!({"state": {"place": 5, "turned": true, "steps": 7}})).is_err());
    let saved = h.env.save(1, View::Now);
    assert_eq!((&saved["state"]["place"], &saved["steps"]), (&json!(3), &json!(7)));
    let hashes: Vec<u64> = (0..3).map(|i| h.env.hash(i, View::Now)).collect();
    assert!(hashes[1] != hashes[0] && hashes[1] != hashes[2]);
    let mut place = [0.0];
    h.env.measure(1, View::Now, &mut place);
    let mut scene = Scene::default();
    h.env.draw(1, View::Now, &mut scene);
    assert_eq!((place, scene.notes[0].1.as_str()), ([3.0], "3"));
    let mut actions = [9; 3];
    h.env.play(0, ActionsMut::Discrete(&mut actions));
    assert_eq!(actions, [1; 3]);
}
