//! The contract of Agon: what an environment is, how a batch of them is stepped, and the events of a run.
//!
//! | to learn about | read |
//! | --- | --- |
//! | writing an environment | [`mod@env`], then [`spec`] and [`mod@settings`] |
//! | writing one that is arithmetic only, for SIMD | [`kernel`] and [`real`] |
//! | writing a game | [`game`] |
//! | a game as an environment | [`game_env`] |
//! | what a learner sees, and memory for a step of it | [`vec_env`], [`slab`] |
//! | an environment that keeps the states of a batch in its own way | [`batch::States`] |
//! | where an episode advances, ends and restarts | [`batch`] |
//! | what evaluation, replay and people need beside stepping | [`inspect`] |
//! | random numbers | [`rng`] |
//! | threads kept for many jobs | [`thread_pool`] |
//! | how much memory there is | [`memory`] |
//! | saved episodes | [`episode`] |
//! | metrics of evaluations, and intervals | [`metric`], [`stats`] |
//! | pictures of states, and of what was learned of data; curves in both | [`scene`], [`mod@plot`], [`graph`] |
//! | the events of a run, and their sinks | [`event`] |
//! | the checks that every environment passes | [`contract`], with [`damage`] |
//!
//! Symbols: N environments, `rows` = N × agents lanes, A actions, T steps.

pub mod action;
pub mod batch;
pub mod calendar;
pub mod contract;
pub mod damage;
pub mod disk;
pub mod env;
pub mod episode;
pub mod error;
pub mod event;
pub mod game;
pub mod game_env;
pub mod graph;
pub mod inspect;
pub mod kernel;
pub mod memory;
pub mod metric;
pub mod model;
pub mod observation;
pub mod plot;
pub mod policy;
pub mod real;
pub mod registry;
pub mod rng;
pub mod scene;
pub mod settings;
pub mod slab;
pub mod spec;
pub mod stats;
pub mod thread_pool;
pub mod vec_env;
pub mod world;

#[doc(hidden)]
pub use serde_json; // for the macros

pub use action::{ActionBuf, Actions, ActionsMut};
pub use batch::{Batch, States};
pub use env::{Env, Status};
pub use error::EnvError;
pub use event::{Event, Sink};
pub use game::{Game, GameSpec, Score, Turn};
pub use game_env::GameEnv;
pub use inspect::Inspect;
pub use kernel::Kernel;
pub use metric::Metric;
pub use model::Model;
pub use observation::{Dtype, Field, Observation, Picture};
pub use registry::Entry;
pub use rng::Rng;
pub use scene::Scene;
pub use slab::Slab;
pub use spec::{ActionSpec, Spec};
pub use vec_env::{EpisodeEnd, FirstBuf, StepBuf, VecEnv, View};
