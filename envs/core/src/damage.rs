//! Random damage to JSON, for tests of readers of foreign files.

use crate::rng::Rng;
use serde_json::{Map, Value, json};

/// Changes some places of `value` at random: other numbers, other types, lists shorter or longer, keys lost or new.
pub fn damage(value: &mut Value, rng: &mut Rng) {
    for _ in 0..=rng.below(3) {
        let mut places = 0;
        visit(value, &mut |_| places += 1);
        let mut left = rng.below(places);
        visit(value, &mut |place| {
            if left == 0 {
                change(place, rng);
            }
            left = left.wrapping_sub(1);
        });
    }
}

fn visit(value: &mut Value, each: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|v| visit(v, each)),
        Value::Object(map) => map.values_mut().for_each(|v| visit(v, each)),
        _ => {}
    }
    each(value);
}

/// Extreme numbers of several types, and some between.
fn number(rng: &mut Rng) -> Value {
    const WHOLE: [u64; 16] =
        [0, 1, 2, 3, 7, 9, 64, 127, 255, 256, 65_535, 65_536, 1 << 31, u32::MAX as u64, 1 << 63, u64::MAX];
    const REAL: [f64; 12] =
        [0.5, -0.5, 1e-300, 1e300, -1e300, 3.5e38, 1e17, -1e9, -0.0, f64::MAX, f64::MIN_POSITIVE, 1e6];
    match rng.below(5) {
        0 => json!(-(rng.below(300) as i64)),
        1 => json!(REAL[rng.below(REAL.len() as u32) as usize]),
        2 => json!(rng.below(12)),
        3 => json!(rng.below(300)),
        _ => json!(WHOLE[rng.below(WHOLE.len() as u32) as usize]),
    }
}

fn anything(rng: &mut Rng) -> Value {
    match rng.below(7) {
        0 => Value::Null,
        1 => json!(rng.below(2) == 0),
        2 => json!("text"),
        3 => json!([]),
        4 => json!({}),
        5 => json!([[number(rng)]]),
        _ => number(rng),
    }
}

fn change(value: &mut Value, rng: &mut Rng) {
    if rng.below(8) == 0 {
        *value = anything(rng);
        return;
    }
    match value {
        Value::Null => *value = anything(rng),
        Value::Bool(b) => *b = !*b,
        Value::Number(n) => {
            let x = n.as_f64().unwrap_or(0.0);
            *value = match rng.below(6) {
                0 | 1 => number(rng),
                2 => n.as_u64().map_or(json!(x + 1.0), |n| json!(n.saturating_add(1))),
                3 => n.as_u64().map_or(json!(x - 1.0), |n| json!(n.saturating_sub(1))),
                4 => json!(-x),
                _ => n.as_u64().map_or(json!(x * 1.5), |n| json!(n.saturating_mul(2))),
            };
        }
        Value::String(text) => match rng.below(4) {
            0 => text.clear(),
            1 => *text = text.repeat(2),
            2 => *text = "f".repeat(rng.below(40) as usize),
            _ => {
                let at = rng.below(text.chars().count().max(1) as u32) as usize;
                let other = b"0123456789abcdefKQRBNPkqrbnp/- "[rng.below(31) as usize] as char;
                *text = text.chars().enumerate().map(|(i, c)| if i == at { other } else { c }).collect();
            }
        },
        Value::Array(list) => {
            let at = rng.below(list.len().max(1) as u32) as usize;
            match rng.below(6) {
                0 => drop(list.pop()),
                1 => list.clear(),
                2 => list.push(list.get(at).cloned().unwrap_or(json!(0))),
                3 => list.extend(list.clone()),
                4 if !list.is_empty() => list.swap(0, at),
                _ => list.push(anything(rng)),
            }
        }
        Value::Object(map) => {
            let key = map.keys().nth(rng.below(map.len().max(1) as u32) as usize).cloned();
            match (key, rng.below(3)) {
                (Some(key), 0) => drop(map.remove(&key)),
                (Some(key), 1) => {
                    let moved = map.remove(&key).unwrap_or_default();
                    map.insert(key + "s", moved);
                }
                _ => drop(map.insert("extra".into(), anything(rng))),
            }
            if rng.below(20) == 0 {
                *map = Map::new();
            }
        }
    }
}
