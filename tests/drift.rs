//! Predictions say whether new rows are like those of training.

mod common;

use common::agon;
use std::fmt::Write;
use std::process::Output;

fn told(out: &Output) -> String {
    let told = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{told}");
    told
}

/// Rows of two numbers, a colour and what follows from them; `more` is added to the first number.
fn table(seed: u32, rows: u32, more: f64) -> String {
    let mut text = "height,width,colour,weight\n".to_owned();
    for row in 1..=rows {
        let noise = |k: u32| {
            let word = (row + 1000 * seed).wrapping_mul(2_654_435_761).wrapping_add(k * 97_003_331);
            f64::from((word ^ word >> 15).wrapping_mul(2_246_822_519) >> 9 & 0xfff) / 4095.0
        };
        let (height, width) = (10.0 * noise(1) + more, 3.0 * noise(2));
        let colour = ["red", "blue"][usize::from(noise(3) < 0.5)];
        let _ = writeln!(text, "{height:.3},{width:.3},{colour},{:.3}", 3.0 * height + width + noise(5));
    }
    text
}

#[test]
fn a_shift_is_told_and_chance_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("old.csv", table(1, 400, 0.0));
    write("same.csv", table(2, 200, 0.0));
    write("moved.csv", table(3, 200, 4.0));
    write("few.csv", table(4, 5, 4.0));
    told(&agon(folder.path(), &["train", "--data", "old.csv", "--target", "weight", "--ui", "plain", "--out", "run"]));
    let predict = |file: &str| told(&agon(folder.path(), &["predict", "run", "--data", file, "-o", "out.csv"]));
    let same = predict("same.csv");
    assert!(same.contains("drift: 200 new rows beside 280") && !same.contains("SHIFTED"), "{same}");
    let moved = predict("moved.csv");
    let line = |name: &str| moved.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
    assert!(line("height").contains("SHIFTED") && line("height").contains("p 0.000"), "{moved}");
    assert!(!line("width").contains("SHIFTED") && !line("colour").contains("SHIFTED"), "{moved}");
    assert!(moved.contains("they differ") && moved.contains("above 0.2"), "{moved}");
    assert!(!predict("few.csv").contains("drift"), "few rows say nothing");
    // A run that lost its table still predicts.
    std::fs::remove_file(folder.path().join("run/data.csv")).unwrap();
    assert!(predict("moved.csv").contains("drift is not known"));
}
