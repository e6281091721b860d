//! Every registered environment keeps the contract.

mod variants;

use agon_core::{View, contract};
use serde_json::{Value, json};
use variants::variants;

#[test]
fn every_environment_keeps_the_contract() {
    let mut broken = Vec::new();
    for entry in agon_envs::registry() {
        for settings in variants(entry.id) {
            let checked = contract::check_with(&entry, settings.as_object().unwrap());
            broken.extend(checked.err().map(|e| format!("{} {settings}: {e}", entry.id)));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// `[environment, settings, a state it cannot be in, part of why]`
#[test]
fn states_that_cannot_be_are_refused_by_name() {
    let board = |stones: Value, plies: u32, won: bool| json!({"stones": stones, "plies": plies, "won": won});
    let chess = |fen: &str| json!({"fen": fen, "past": [0]});
    let breakout = |ball: [u8; 2], trail: [u8; 2], strike: bool| {
        json!({"ball": ball, "trail": trail, "right": true, "down": true, "paddle": 4, "bricks": (1 << 30) - 1,
               "strike": strike, "action": 0})
    };
    let kuhn = |cards: [u8; 2], bets: u8, plies: u8| json!({"cards": cards, "bets": bets, "plies": plies});
    let tiles = |cells: &[u32], score: u64| json!({"cells": cells, "score": score, "owed": 0});
    for (id, settings, state, part) in [
        ("classic/cartpole", json!({}), json!([0, null, 0, 0]), "null"),
        ("classic/breakout-10", json!({}), breakout([4, 7], [3, 5], false), "the ball moves by one cell"),
        ("classic/breakout-10", json!({}), breakout([4, 2], [3, 3], false), "the ball is in a brick"),
        ("classic/breakout-10", json!({}), breakout([4, 9], [3, 8], false), "the paddle keeps the ball"),
        ("classic/cartpole", json!({}), json!([0, 0, 0]), "4 numbers"),
        ("classic/cartpole", json!({}), json!([0, 1e300, 0, 0]), "velocity"),
        ("classic/acrobot", json!({}), json!([9, 0, 0, 0]), "angle 1"),
        ("games/tic-tac-toe", json!({}), json!({"stones": [3, 1]}), "on each other"),
        ("games/tic-tac-toe", json!({}), json!({"stones": [7, 0]}), "no order of moves"),
        ("games/connect-four", json!({}), board(json!(["2", "0"]), 1, false), "none below it"),
        ("games/connect-four", json!({}), board(json!(["1", "0"]), 1, true), "`won`"),
        ("games/connect-four", json!({}), board(json!(["1", "80"]), 3, false), "miscounted"),
        ("games/othello", json!({"size": 4}), json!({"stones": [0, 0], "open": 0, "mover": 0, "over": true}), "middle"),
        ("games/2048", json!({}), tiles(&[1; 9], 0), "size of the board"),
        ("games/2048", json!({"rows": 2, "columns": 2}), tiles(&[5, 5, 0, 0], 200), "larger than"),
        ("games/2048", json!({"rows": 2, "columns": 2}), tiles(&[5, 1, 0, 0], 7), "`score`"),
        ("games/chess", json!({}), chess("8/8/8/8/8/8/8/k7 w - - 0 1"), "not a position"),
        ("games/chess", json!({}), chess("4k3/4R3/8/8/8/8/8/4K3 w - - 0 1"), "not a position"),
        ("games/chess", json!({}), chess("4k3/8/8/8/8/8/8/4KR2 w - - 0 1"), "`past`"),
        ("games/kuhn-poker", json!({}), kuhn([2, 2], 0, 0), "same card"),
        ("games/kuhn-poker", json!({}), kuhn([2, 0], 1, 1), "before the deal"),
        ("games/kuhn-poker", json!({}), kuhn([1, 2], 0, 3), "after its end"),
        ("games/hex", json!({"size": 2}), json!({"cells": [1, 0, 0, 0], "plies": 1, "won": false}), "edges"),
        ("pricing/duopoly", json!({}), json!({"last": [15, 0, 0, 0, 0, 0, 0, 0], "period": 0, "trail": []}), "menu"),
        ("pricing/perishable", json!({}), json!({"stock": 21, "period": 0, "price": 0.0, "sold": 0}), "more stock"),
        ("pricing/single-leg", json!({}), json!({"seats": 20, "period": 0, "asks": 4, "sold": 0, "fare": 0.0}), "asks"),
    ] {
        let mut env = agon_envs::find(id).unwrap().build(settings.as_object().unwrap(), 1, 1).unwrap();
        let why = env.restore(0, &json!({"state": state})).expect_err(&format!("{id} took {state}")).to_string();
        assert!(why.contains(part), "{id} {state}: {part} in {why}");
    }
}

#[test]
fn a_clock_a_total_and_a_generator_are_checked_too() {
    let mut env = agon_envs::find("classic/cartpole").unwrap().build(&serde_json::Map::new(), 1, 1).unwrap();
    for (saved, part) in [
        (json!({"steps": 500}), "below 500"),
        (json!({"total": [null]}), "`total`"),
        (json!({"total": [0, 0]}), "1 finite numbers"),
        (json!({"rng": [1, 2, 3]}), "no stream"),
        (json!({"rng": [1, 1u64 << 32, u64::MAX]}), "drawn"),
        (json!({"stat": [0, 0, 0, 0]}), "did you mean `state`"),
        (json!([1]), "object"),
    ] {
        let before = env.save(0, View::Now);
        let why = env.restore(0, &saved).unwrap_err().to_string();
        assert!(why.contains(part), "{saved}: {part} in {why}");
        assert_eq!(env.save(0, View::Now), before, "a refused state changes nothing");
    }
}

/// 64 environments in one batch, or in two of 32, or in three that begin anywhere.
#[test]
fn batches_can_be_cut_into_parts() {
    for entry in agon_envs::registry() {
        let part = |(from, envs)| {
            contract::Harness::new(entry.build_part(&serde_json::Map::new(), from, envs, 1).unwrap(), 11)
        };
        for cuts in [&[(0, 32), (32, 32)][..], &[(0, 5), (5, 50), (55, 9)]] {
            let parts = cuts.iter().map(|cut| part(*cut)).collect();
            let same = contract::parts_are_like_the_whole(part((0, 64)), parts);
            same.unwrap_or_else(|why| panic!("{} {cuts:?}: {why}", entry.id));
        }
    }
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

/// The same law over 20 times as many states.
#[test]
#[ignore = "long: make test-long"]
fn damaged_states_do_no_harm() {
    for entry in agon_envs::registry() {
        for settings in variants(entry.id) {
            let harness =
                |seed| contract::Harness::new(entry.build(settings.as_object().unwrap(), 1, 1).unwrap(), seed);
            let harm = contract::damaged_states_do_no_harm(&mut harness(8), &mut harness(9), 3000);
            harm.unwrap_or_else(|why| panic!("{} {settings}: {why}", entry.id));
        }
    }
}
