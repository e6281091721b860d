//! A policy learned from a log of decisions, through the binary.

mod common;

use common::{agon, told};
use std::fmt::Write;

/// A number in [0, 1) of a row, for a purpose.
fn noise(row: u32, purpose: u32) -> f64 {
    let word = (row + 1).wrapping_mul(2_654_435_761).wrapping_add(purpose * 97_003_331);
    f64::from((word ^ word >> 15).wrapping_mul(2_246_822_519) >> 9 & 0xffff) / 65_536.0
}

/// Rows in which `left` is right for small numbers and `right` for large ones; of three actions at random one was shown.
fn log(rows: u32) -> String {
    let mut text = "size,colour,shown,chance,clicked\n".to_owned();
    for row in 0..rows {
        let (size, colour) = (noise(row, 1), ["red", "blue"][usize::from(noise(row, 2) < 0.5)]);
        let action = (noise(row, 3) * 3.0) as usize;
        let p = [0.6 - 0.5 * size, 0.3, 0.1 + 0.5 * size][action];
        let clicked = u8::from(noise(row, 4) < p);
        let _ = writeln!(text, "{size:.4},{colour},{},0.333333,{clicked}", ["left", "middle", "right"][action]);
    }
    text
}

#[test]
fn a_policy_is_learned_from_a_log_and_decides_new_rows() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log.csv"), log(6000)).unwrap();
    std::fs::write(folder.path().join("new.csv"), "size,colour\n0.02,red\n0.97,blue\n").unwrap();
    let columns = ["--action", "shown", "--reward", "clicked", "--propensity", "chance", "--ui", "plain"];
    let train = |more: &[&str]| agon(folder.path(), &[&["train", "--data", "log.csv"][..], &columns, more].concat());
    let text = told(&train(&["--out", "run"]), 0);
    assert!(text.contains("the learned policy brings more `clicked` than the logged one"), "{text}");
    assert!(
        text.contains("context: size, colour") && text.contains("always ") && text.contains("doubly robust"),
        "{text}"
    );
    let again = told(&agon(folder.path(), &["eval", "run"]), 0);
    let line = |text: &str| text.lines().find(|line| line.starts_with("learned policy")).unwrap().to_owned();
    assert_eq!(line(&again), line(&text));
    let chosen = told(&agon(folder.path(), &["predict", "run", "--data", "new.csv"]), 0);
    assert!(chosen.contains("chosen shown,p(left),p(middle),p(right)"), "{chosen}");
    assert!(chosen.contains("0.02,red,left,") && chosen.contains("0.97,blue,right,"), "{chosen}");
    let resumed = told(&agon(folder.path(), &["train", "--resume", "run", "--ui", "plain"]), 0);
    assert_eq!(line(&resumed), line(&text));
}

#[test]
fn what_is_no_log_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log.csv"), log(300)).unwrap();
    let train = |flags: &[&str]| {
        told(&agon(folder.path(), &[&["train", "--data", "log.csv", "--ui", "plain"], flags].concat()), 2)
    };
    assert!(train(&["--action", "show", "--reward", "clicked"]).contains("did you mean `shown`"));
    assert!(train(&["--action", "shown"]).contains("--reward"));
    assert!(train(&["--action", "shown", "--reward", "clicked", "--propensity", "clicked"]).contains("a probability"));
    assert!(train(&["--action", "shown", "--reward", "colour"]).contains("rewards are numbers"));
    let kind = train(&["--action", "shown", "--reward", "clicked", "--model", "linear"]);
    assert!(kind.contains("needs [data] in the place of [log]"), "{kind}");
}
