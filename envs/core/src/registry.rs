//! One row an environment: its name, its settings and how to build a batch of it.

use crate::batch::{Batch, Each, States};
use crate::env::{Env, Player};
use crate::error::EnvError;
use crate::kernel::{Kernel, Soa};
use crate::settings::{Declared, Settings};
use crate::vec_env::VecEnv;
use serde_json::{Map, Value};

/// A row of the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name in scenarios, `family/name`.
    pub id: &'static str,
    /// A one-line description.
    pub about: &'static str,
    /// What it is verified against.
    pub verified: &'static str,
    /// See [`Env::VERSION`].
    pub version: u32,
    /// The scripted players it brings.
    pub players: &'static [Player],
    /// See [`States::FILES`].
    pub files: &'static [(&'static str, &'static str)],
    /// Whether its steps allocate, because an engine that it is built on does.
    pub allocates: bool,
    declared: fn() -> Vec<Declared>,
    build: fn(&Map<String, Value>, u32, usize, usize) -> Result<Box<dyn VecEnv>, EnvError>,
    resolve: fn(&Map<String, Value>) -> Result<Map<String, Value>, EnvError>,
    file: fn(&Map<String, Value>, &str) -> Result<Vec<u8>, EnvError>,
}

impl Entry {
    /// A row for an [`Env`].
    pub const fn env<E: Env>(id: &'static str, about: &'static str, verified: &'static str) -> Self {
        Self::states::<Each<E>>(id, about, verified)
    }

    /// A row for a [`Kernel`].
    pub const fn kernel<K: Kernel<N, O>, const N: usize, const O: usize>(
        id: &'static str,
        about: &'static str,
        verified: &'static str,
    ) -> Self {
        Self::states::<Soa<K, N, O>>(id, about, verified)
    }

    /// A row for an environment that keeps the states of a batch in storage of its own.
    pub const fn states<S: States>(id: &'static str, about: &'static str, verified: &'static str) -> Self {
        Self {
            id,
            about,
            verified,
            version: S::VERSION,
            players: S::PLAYERS,
            files: S::FILES,
            allocates: false,
            declared: S::Settings::declared,
            build: |table, first_lane, envs, threads| {
                let settings = S::Settings::read(table).map_err(EnvError::Settings)?;
                Ok(Box::new(Batch::<S>::new(settings, envs, threads)?.from_lane(first_lane)))
            },
            resolve: |table| Ok(S::complete(S::Settings::read(table).map_err(EnvError::Settings)?)?.write()),
            file: |table, key| S::file(&S::Settings::read(table).map_err(EnvError::Settings)?, key),
        }
    }

    /// The same row, of an environment on an engine that allocates in a step.
    #[must_use]
    pub const fn allocating(self) -> Self {
        Self { allocates: true, ..self }
    }

    /// Its declared settings, as `agon agents` and `agon envs` print them.
    pub fn declared(&self) -> Vec<Declared> {
        (self.declared)()
    }

    /// A batch of `envs` copies; `threads` affects only speed.
    pub fn build(
        &self,
        settings: &Map<String, Value>,
        envs: usize,
        threads: usize,
    ) -> Result<Box<dyn VecEnv>, EnvError> {
        self.build_part(settings, 0, envs, threads)
    }

    /// The same as the part of a larger batch that begins with its environment `first_lane`: see
    /// [`VecEnv::first_lane`].
    pub fn build_part(
        &self,
        settings: &Map<String, Value>,
        first_lane: u32,
        envs: usize,
        threads: usize,
    ) -> Result<Box<dyn VecEnv>, EnvError> {
        (self.build)(settings, first_lane, envs, threads)
    }

    /// The same settings with every default filled in.
    pub fn resolve(&self, settings: &Map<String, Value>) -> Result<Map<String, Value>, EnvError> {
        (self.resolve)(settings)
    }

    /// The content of the file that the setting `key`, one of `files`, names.
    pub fn file(&self, settings: &Map<String, Value>, key: &str) -> Result<Vec<u8>, EnvError> {
        (self.file)(settings, key)
    }
}

/// Finds a row by name.
pub fn find<'a>(rows: &'a [Entry], id: &str) -> Result<&'a Entry, EnvError> {
    rows.iter().find(|e| e.id == id).ok_or_else(|| EnvError::Unknown {
        id: id.into(),
        nearest: crate::settings::nearest(id, rows.iter().map(|e| e.id)),
    })
}
