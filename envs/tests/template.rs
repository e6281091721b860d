//! What `agon new env` writes is an environment that keeps the contract.

#[path = "template/walk.rs"]
mod walk;

use agon_core::{Entry, contract};
use serde_json::json;

#[test]
fn the_template_keeps_the_contract() {
    let entry = Entry::env::<walk::Walk>("classic/walk", "Walk to the end of a line", "by hand");
    for settings in [json!({}), json!({"places": 2}), json!({"places": 3, "step_limit": 1})] {
        contract::check_with(&entry, settings.as_object().unwrap()).unwrap();
    }
}
