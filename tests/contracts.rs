//! Environments keep the contract with the settings of every scenario that comes with Agon, not with their defaults alone.

use agon::scenario::Source;
use agon_core::contract;
use std::path::Path;

#[test]
fn environments_keep_the_contract_as_scenarios_set_them() {
    let (mut checked, mut broken) = (0, Vec::new());
    for name in agon::embedded::names() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(format!("{name}.toml"));
        let source = Source::read(&path, &[]).unwrap();
        let mut settings = source.section("env").unwrap();
        // What is fitted from a table is tested with the table (tests/market.rs).
        let Some(id) = settings.remove("id").filter(|_| !source.table.contains_key("fit")) else { continue };
        // A world model is learned by another scenario first; the one that comes with the program stands for it.
        if id == "model/learned" {
            settings.insert("model".into(), "example".into());
        }
        let entry = agon_envs::find(id.as_str().unwrap()).unwrap();
        checked += 1;
        broken.extend(contract::check_with(&entry, &settings).err().map(|e| format!("{name}: {e}")));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(checked >= 25, "{checked} scenarios with an environment");
}
