//! Groups of rows against fairlearn and scikit-learn on the same predictions (tests/golden/slices.py).

use agon_agents::data::{Column, Kind};
use agon_agents::supervised::scores::Judged;
use agon_agents::supervised::slices::{Rows, sliced};
use serde_json::Value;

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn groups_and_gaps_are_fairlearns() {
    let text = std::fs::read_to_string("../tests/golden/slices.json").unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let cells = golden["group"].as_array().unwrap().iter().map(Value::as_str);
    let column = Column::labels("group", Kind::Category, cells);
    let (rows, units): (Vec<usize>, Vec<u32>) = (0..column.len()).map(|row| (row, row as u32)).unzip();
    for (kind, classes) in [("classes", 2), ("numbers", 0)] {
        let (theirs, y) = (&golden[kind], numbers(&golden[kind]["y"]));
        let p = numbers(&theirs["p"]).into_iter();
        let p = if classes == 2 { p.flat_map(|p| [1.0 - p, p]).collect() } else { p.collect() };
        let judged = Judged::new(classes, &y, p);
        let own = sliced(&column, &rows, Rows { rows: &rows, units: &units, judged: &judged }, 1);
        let close = |what: &str, a: f64, b: &Value| {
            assert!((a - b.as_f64().unwrap()).abs() < 1e-9, "{kind}, {what}: {a}, theirs {b}");
        };
        let mut compared = 0;
        for (name, groups) in theirs["groups"].as_object().unwrap() {
            for group in &own.groups {
                let value = group.metrics.iter().find(|m| m.name == *name).unwrap().value;
                close(&format!("{name} of {}", group.value), value, &groups[&group.value]);
                compared += 1;
            }
        }
        for (name, gap) in theirs["gaps"].as_object().unwrap() {
            close(name, own.gaps.iter().find(|own| own.of == *name).unwrap().value, gap);
            compared += 1;
        }
        assert_eq!(compared, if classes == 2 { 5 * 3 + 4 } else { 3 + 1 });
    }
}
