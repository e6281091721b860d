//! `agon agents`: what there is to learn with.

use agon::Outcome;
use agon::cli::List;
use agon::envs::{Item, list};
use agon_agents::registry::AGENTS;
use serde_json::json;

pub fn run(args: &List) -> Outcome {
    let item = |a: &agon_agents::registry::Entry| Item {
        name: a.kind,
        about: a.about,
        verified: a.verified,
        settings: a.declared(),
        more: Vec::new(),
        json: json!({}),
    };
    list(AGENTS.iter().map(item).collect(), args, "agent")
}
