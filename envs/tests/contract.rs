//! Every registered environment keeps the contract.

use agon_core::contract;

#[test]
fn every_environment_keeps_the_contract() {
    let broken: Vec<String> = agon_envs::registry()
        .iter()
        .filter_map(|entry| contract::check(entry).err().map(|e| format!("{}: {e}", entry.id)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn names_are_unique_and_well_formed() {
    let rows = agon_envs::registry();
    for (i, row) in rows.iter().enumerate() {
        assert!(row.id.split('/').count() == 2 && !row.about.is_empty() && !row.verified.is_empty(), "{}", row.id);
        assert!(rows[..i].iter().all(|r| r.id != row.id), "{} is there twice", row.id);
    }
}

#[test]
fn a_near_name_is_offered() {
    let error = agon_envs::find("classic/cart-pole").err().unwrap().to_string();
    assert!(error.contains("did you mean `classic/cartpole`?"), "{error}");
}
