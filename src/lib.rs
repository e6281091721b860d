//! Agon: train, evaluate, watch and replay reinforcement-learning agents.
//!
//! This library holds what needs no tensors: the command line, scenarios as text, runs on disk, the dashboard, replay.
//! The program `agon` is this library; `agon-torch` beside it adds everything that learns (`src/learn`), so that
//! `agon --help` never waits for libtorch.
#![allow(missing_docs)] // a program: its modules say what they are for, its interface is the command line

pub mod animation;
pub mod beside;
pub mod cli;
pub mod drive;
pub mod embedded;
pub mod envs;
pub mod exploit;
pub mod failure;
pub mod files;
pub mod group;
pub mod html;
pub mod label;
pub mod new;
pub mod play;
pub mod raster;
pub mod replay;
pub mod report;
pub mod run;
pub mod runs;
pub mod scenario;
pub mod screen;
pub mod search;
pub mod signals;
pub mod tensorboard;
pub mod text;
pub mod tournament;
pub mod tui;
pub mod watch;

pub use failure::{Failure, Outcome};

/// Engines that this process starts will end with it, however it ends: `agon guard` sees to it.
pub fn guard_engines() {
    if let Ok(here) = std::env::current_exe() {
        agon_search::strays::guarded_by(&here.with_file_name(format!("agon{}", std::env::consts::EXE_SUFFIX)));
    }
}
