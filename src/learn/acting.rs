//! What a run or a checkpoint acts with.

use crate::checkpoints::{read, read_by};
use crate::plan::Plan;
use agon::{Failure, Outcome};
use agon_agents::agent::{Inference, Place};
use agon_agents::train::Training;
use agon_agents::{AgentError, Device, checkpoint};
use agon_search::Evaluate;
use serde_json::Value;
use std::path::Path;

/// What a run or a checkpoint acts with: a policy alone, or, where an older version saved too little for that, its training
/// with what it learned.
pub enum Acting {
    Inference(Inference),
    Training(Box<dyn Training>),
}

impl Acting {
    /// The network that evaluates positions of a game.
    pub fn network(self) -> Option<Box<dyn Evaluate>> {
        match self {
            Self::Inference(it) => it.network,
            Self::Training(it) => it.network(),
        }
    }
}

/// Reads what a run or a checkpoint acts with, at a plan's environment; the rest of its state.
pub fn acting(what: &str, plan: &Plan, device: Device) -> Outcome<(Acting, Value)> {
    let unfit = |folder: &Path, e: AgentError| Failure::Input(format!("{}: {e}", folder.display()));
    let (folder, saved, state) = read_by(what, checkpoint::read_for_inference)?;
    let probe = plan.build_env(1)?;
    let game = plan.game()?;
    let place = Place { spec: probe.spec(), game: game.as_ref().map(|rules| rules.game_spec()), device };
    let found = plan.agent.inference(&plan.common.settings, &place, &saved).map_err(|e| unfit(&folder, e))?;
    if let Some(found) = found {
        return Ok((Acting::Inference(found), state));
    }
    let mut training = plan.start(device)?;
    let (folder, saved, state) = read(what)?;
    training.load(&saved, None).map_err(|e| unfit(&folder, e))?;
    Ok((Acting::Training(training), state))
}
