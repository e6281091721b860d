//! Environments are stepped by the same threads for as long as their batch lives. A test alone in its program: it looks at
//! all threads there are.

use agon_core::contract::Harness;
use agon_core::{ActionSpec, Actions, Entry, Env, EnvError, Field, Rng, Spec, Status};
use std::collections::HashSet;
use std::sync::Mutex;
use std::thread::{ThreadId, current};

agon_core::settings! {
    /// For the test.
    pub struct NoSettings {}
}

/// Who stepped an environment so far.
static STEPPED: Mutex<Option<HashSet<ThreadId>>> = Mutex::new(None);

/// Notes which thread steps it.
#[derive(Clone)]
struct Noting(Spec);

impl Env for Noting {
    type Settings = NoSettings;
    type State = u32;
    const VERSION: u32 = 1;

    fn new(_: NoSettings) -> Result<Self, EnvError> {
        let field = Field::new("number", "", 0.0, f32::INFINITY);
        Ok(Self(Spec::new(vec![field], ActionSpec::discrete(["go"]), 10)))
    }

    fn spec(&self) -> &Spec {
        &self.0
    }

    fn reset(&self, state: &mut u32, rng: &mut Rng) {
        *state = rng.below(100);
    }

    fn step(&self, state: &mut u32, _: Actions<'_>, _: &mut [f32], _: &mut Rng) -> Status {
        STEPPED.lock().unwrap().get_or_insert_default().insert(current().id());
        *state += 1;
        Status::Running
    }

    fn check(&self, _: &u32) -> Result<Status, String> {
        Ok(Status::Running)
    }

    fn observe(&self, state: &u32, obs: &mut [f32]) {
        obs[0] = *state as f32;
    }
}

/// The threads of this program, as the system numbers them.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let mut numbers: Vec<String> = tasks.flatten().map(|t| t.file_name().to_string_lossy().into_owned()).collect();
    numbers.sort();
    numbers
}

#[test]
fn no_thread_is_created_after_the_first_step() {
    let entry = Entry::env::<Noting>("test/noting", "notes who steps it", "itself");
    let mut h = Harness::new(entry.build(&serde_json::Map::new(), 9, 3).unwrap(), 1);
    h.step();
    let stepped = STEPPED.lock().unwrap().clone();
    let before = threads();
    (0..200).for_each(|_| h.step());
    assert_eq!(*STEPPED.lock().unwrap(), stepped, "who stepped first steps for ever");
    assert_eq!(stepped.unwrap().len(), 3);
    if cfg!(target_os = "linux") {
        assert!(before.len() >= 3 && threads() == before, "{before:?}, then {:?}", threads());
    }
}
