//! Networks that were trained, as players of tournaments.

use crate::acting;
use crate::checkpoints::{Target, locate};
use crate::plan::Plan;
use agon_agents::Device;
use agon_core::GameSpec;
use agon_core::game::{Game, Visit};
use agon_search::{Evaluate, Networks};

/// Opens runs and checkpoints.
pub struct Trained {
    device: Device,
}

impl Trained {
    /// On the CPU: a player evaluates one position at a time, for which the transfer to another device and back takes longer.
    pub fn here() -> Self {
        Self { device: Device::Cpu }
    }
}

struct SpecOf;

impl Visit for SpecOf {
    type Out = GameSpec;

    fn visit<G: Game>(self, game: G) -> GameSpec {
        game.spec().clone()
    }
}

impl Networks for Trained {
    fn open(&self, path: &str, game: &GameSpec) -> Result<Box<dyn Evaluate>, String> {
        let Target::Checkpoint { scenario, .. } = locate(path).map_err(|e| e.to_string())? else {
            return Err("there is no such run or checkpoint".into());
        };
        let plan = Plan::read_agent(&scenario).map_err(|e| e.to_string())?;
        let own = agon_envs::games::visit(plan.env.id, &plan.env_settings, SpecOf);
        if own.as_ref().ok() != Some(game) {
            return Err(format!("it was trained on {} with other settings or another game", plan.env.id));
        }
        let (acting, _) = acting::acting(path, &plan, self.device).map_err(|e| e.to_string())?;
        acting.network().ok_or_else(|| format!("{} has no network that plays", plan.agent.kind))
    }
}
