//! One row an agent. To add one: a file, a `mod` line, a row.

use crate::agent::{Agent, AgentError};
use crate::ppo::{self, Ppo};
use agon_core::Spec;
use agon_core::settings::{Declared, Settings};
use serde_json::{Map, Value};
use tch::Device;

/// What an agent is built for.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The environment's spec.
    pub spec: &'a Spec,
    /// Rows of the batch.
    pub rows: usize,
    /// The run's seed.
    pub seed: u64,
    /// Where tensors live.
    pub device: Device,
}

/// A row of the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// As scenarios name it.
    pub kind: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// What it is verified against.
    pub verified: &'static str,
    declared: fn() -> Vec<Declared>,
    resolve: fn(&Map<String, Value>) -> Result<Map<String, Value>, AgentError>,
    build: fn(&Map<String, Value>, &Context<'_>) -> Result<Box<dyn Agent>, AgentError>,
}

impl Entry {
    /// Its settings, for people.
    pub fn declared(&self) -> Vec<Declared> {
        (self.declared)()
    }

    /// The same settings with every default filled in.
    pub fn resolve(&self, settings: &Map<String, Value>) -> Result<Map<String, Value>, AgentError> {
        (self.resolve)(settings)
    }

    /// A fresh agent.
    pub fn build(&self, settings: &Map<String, Value>, context: &Context<'_>) -> Result<Box<dyn Agent>, AgentError> {
        (self.build)(settings, context)
    }
}

fn read<S: Settings>(table: &Map<String, Value>) -> Result<S, AgentError> {
    S::read(table).map_err(AgentError::Settings)
}

/// All agents.
pub const AGENTS: &[Entry] = &[Entry {
    kind: "ppo",
    about: "Proximal policy optimisation: discrete, multi-discrete and continuous actions, masks",
    verified: "hand-computed losses and advantages; learning on the classic set, several seeds",
    declared: ppo::Config::declared,
    resolve: |table| Ok(read::<ppo::Config>(table)?.write()),
    build: |table, context| Ok(Box::new(Ppo::new(read(table)?, context)?)),
}];

/// The row of this name, or the nearest name.
pub fn find(kind: &str) -> Result<&'static Entry, Option<String>> {
    let near = || agon_core::settings::nearest(kind, AGENTS.iter().map(|a| a.kind));
    AGENTS.iter().find(|a| a.kind == kind).ok_or_else(near)
}
