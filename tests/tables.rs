//! From a CSV file to a model and its predictions, through the program.

mod common;

use common::{agon, told};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Rows of two numbers, a colour with gaps, a class that follows from them with some noise, and a number that does.
fn flowers(rows: u32, mark: char) -> String {
    let mut text = format!("height{mark}width{mark}colour{mark}kind{mark}weight\n");
    for row in 1..=rows {
        let noise =
            |k: u32| f64::from(row.wrapping_mul(2_654_435_761).wrapping_add(k * 97_003_331) >> 9 & 0xfff) / 4095.0;
        let (height, width) = (10.0 * noise(1), 3.0 * noise(2));
        let colour = ["red", "blue", "", "red"][(noise(3) * 3.99) as usize];
        let kind = if height + 2.0 * width + noise(4) > 8.5 { "tall" } else { "small" };
        let weight = 3.0 * height + width + noise(5);
        let _ = writeln!(text, "{height:.3}{mark}{width:.3}{mark}{colour}{mark}{kind}{mark}{weight:.3}");
    }
    text
}

fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flowers.csv"), flowers(300, ',')).unwrap();
    folder
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

const TRAIN: [&str; 7] = ["train", "--data", "flowers.csv", "--target", "kind", "--ui", "plain"];

#[test]
fn two_commands_lead_from_a_table_to_predictions() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    let trained = told(&agon(place.path(), &TRAIN), 0);
    for said in [
        "300 rows, 5 columns",
        "target `kind`: binary, 2 classes",
        "logistic regression predicts `kind` better than the class shares",
        "agon predict runs/tables/flowers/001",
    ] {
        assert!(trained.contains(said), "{said}: {trained}");
    }
    let report: Value = serde_json::from_slice(&read(&at("runs/tables/flowers/001/data-report.json"))).unwrap();
    assert!(
        report["columns"][2]["kind"] == "category" && report["columns"][2]["missing"].as_u64() > Some(20),
        "{report}"
    );
    assert!(
        String::from_utf8(read(&at("runs/tables/flowers/001/data-report.html"))).unwrap().contains("<h2>Columns</h2>")
    );
    // The table is not needed any more, and columns may be in another order, between other marks, without the target.
    std::fs::remove_file(at("flowers.csv")).unwrap();
    std::fs::write(at("new.csv"), "colour;weight;width;height\nred;;1,5;9,5\nviolet;;0,1;0,5\n").unwrap();
    let said =
        told(&agon(place.path(), &["predict", "runs/tables/flowers/001", "--data", "new.csv", "-o", "out.csv"]), 0);
    assert!(said.contains("2 predictions of `kind`") && said.contains("`colour` has a value in 1 rows"), "{said}");
    let out = String::from_utf8(read(&at("out.csv"))).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "colour,weight,width,height,predicted kind,p(small),p(tall)");
    assert!(lines[1].starts_with("red,,\"1,5\",\"9,5\",tall,0.") && lines[2].contains(",small,"), "{out}");
    let eval = agon(place.path(), &["eval", "runs/tables/flowers/001", "--json"]);
    told(&eval, 0);
    let found: Value = serde_json::from_slice(&eval.stdout).unwrap();
    let saved: Value = serde_json::from_slice(&read(&at("runs/tables/flowers/001/evaluation.json"))).unwrap();
    assert_eq!(saved["metrics"], found["metrics"], "what training found at its end is what eval finds");
    // The run's scenario does it again.
    let again = ["train", "runs/tables/flowers/001/scenario.toml", "--ui", "plain", "--out", "again"];
    told(&agon(place.path(), &again), 0);
    assert_eq!(read(&at("again/evaluation.json")), read(&at("runs/tables/flowers/001/evaluation.json")));
}

/// However many models time allowed: as many without a clock are the same, and so is what is predicted.
#[test]
fn a_search_is_repeated_by_the_number_of_its_models() {
    let place = place();
    let set = ["--set", "model.folds=2", "--set", "model.picks=5"];
    let searched = [&TRAIN[..], &set, &["--minutes", "0.02", "--out", "timed"]].concat();
    let trained = told(&agon(place.path(), &searched), 0);
    assert!(trained.contains("search: ") && trained.contains("logistic") && trained.contains("weight"), "{trained}");
    let json = |run: &str| -> Value {
        serde_json::from_slice(&read(&place.path().join(run).join("evaluation.json"))).unwrap()
    };
    let made = json("timed")["details"]["learner"]["search"]["models"].as_u64().unwrap();
    assert!(made >= 2, "an ensemble needs a model of each fold: {made}");
    let steps = format!("train.steps={made}");
    let again = ["--model", "automl", "--set", "model.minutes=0", "--set", &steps, "--out", "counted"];
    told(&agon(place.path(), &[&TRAIN[..], &set, &again].concat()), 0);
    assert_eq!(json("timed")["metrics"], json("counted")["metrics"]);
    let predicted = |run: &str| agon(place.path(), &["predict", run, "--data", "flowers.csv"]).stdout;
    assert!(predicted("timed") == predicted("counted") && predicted("timed").len() > 5000);
    let found = told(&agon(place.path(), &["eval", "counted"]), 0);
    assert!(found.contains("the ensemble predicts `kind`") && found.contains("search: "), "{found}");
    for (more, why) in
        [(&["--minutes", "1", "--model", "mlp"][..], "cannot be used with"), (&["--minutes=-1"], "minutes")]
    {
        assert!(told(&agon(place.path(), &[&TRAIN[..], more].concat()), 2).contains(why), "{why}");
    }
}

/// Rows without a class are told, and teach where they are asked to.
#[test]
fn rows_without_a_class_teach() {
    let place = place();
    let text = flowers(300, ',');
    let hidden = |(i, line): (usize, &str)| {
        if i % 3 == 1 { line.replace("tall", "").replace("small", "") } else { line.to_owned() }
    };
    let text: Vec<String> = text.lines().enumerate().map(hidden).collect();
    std::fs::write(place.path().join("flowers.csv"), text.join("\n") + "\n").unwrap();
    let plain = told(&agon(place.path(), &TRAIN), 0);
    assert!(plain.contains("the target is missing in 100 of 300 rows; these rows are left out"), "{plain}");
    let taught = told(&agon(place.path(), &[&TRAIN[..], &["--set", "data.pseudo_labels=0.9"]].concat()), 0);
    assert!(
        taught.contains("kept for training alone") && taught.contains("of 100 rows without a class were learned from"),
        "{taught}"
    );
    for (set, why) in [("train.steps=1", "needs 2 or more"), ("model.kind=automl", "is not for automl")] {
        let refused = agon(place.path(), &[&TRAIN[..], &["--set", "data.pseudo_labels=0.9", "--set", set]].concat());
        assert!(told(&refused, 2).contains(why), "{why}");
    }
}

#[test]
fn numbers_are_predicted_with_intervals() {
    let place = place();
    let args =
        ["train", "--data", "flowers.csv", "--target", "weight", "--set", "data.drop=[\"kind\"]", "--ui", "plain"];
    let trained = told(&agon(place.path(), &args), 0);
    assert!(trained.contains("target `weight`: regression") && trained.contains("held"), "{trained}");
    let out = agon(place.path(), &["predict", "runs/tables/flowers/001", "--data", "flowers.csv"]);
    assert!(told(&out, 0).contains("1 columns are no inputs of the model: `kind`"));
    let text = String::from_utf8(out.stdout).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let number = |row: &[&str], k: usize| row[k].parse::<f64>().unwrap();
    let held = rows.iter().filter(|r| number(r, 6) <= number(r, 4) && number(r, 4) <= number(r, 7)).count();
    assert!((240..=298).contains(&held), "{held} of 300");
}

/// Resumed from any of its checkpoints it ends bit-identical, also where the table is gone.
#[test]
fn it_resumes_from_every_checkpoint_in_the_same_bits() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    for kind in ["mlp", "boosting"] {
        let set = format!("model.kind={kind}");
        let more = ["--set", &set, "--set", "train.steps=8", "--set", "train.save_every=2", "--set", "train.keep=all"];
        told(&agon(place.path(), &[&TRAIN[..], &more, &["--set", "eval.every=3", "--out", kind]].concat()), 0);
        let mut steps: Vec<u64> = std::fs::read_dir(at(kind).join("checkpoints"))
            .unwrap()
            .filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok())
            .collect();
        steps.sort_unstable();
        assert!(steps.len() >= 4 && steps.last() == Some(&8), "{steps:?}");
        for step in &steps[..steps.len() - 1] {
            let copy = format!("{kind}-{step}");
            assert!(Command::new("cp").arg("-r").args([at(kind), at(&copy)]).status().unwrap().success());
            let from = format!("{copy}/checkpoints/{step}");
            told(&agon(place.path(), &["train", "--resume", &from, "--ui", "plain"]), 0);
            for file in
                ["metrics.jsonl", "evaluation.json", "checkpoints/8/weights.safetensors", "checkpoints/8/state.json"]
            {
                assert!(read(&at(&copy).join(file)) == read(&at(kind).join(file)), "{kind}: {file}, from step {step}");
            }
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let place = place();
    let write = |name: &str, bytes: &[u8]| std::fs::write(place.path().join(name), bytes).unwrap();
    let rows = |target: &dyn Fn(u32) -> String| {
        (0..40).fold("x,y\n".to_owned(), |all, i| all + &format!("{},{}\n", i * i % 17, target(i)))
    };
    write("constant.csv", rows(&|_| "a".into()).as_bytes());
    write("missing.csv", rows(&|_| "?".into()).as_bytes());
    write("different.csv", rows(&|i| format!("n{i}")).as_bytes());
    write("single.csv", rows(&|i| if i == 7 { "b".into() } else { "a".into() }).as_bytes());
    write("ragged.csv", b"x,y\n1,a\n2\n");
    write("mixed.csv", b"x,y\n1,\xfcber\n2,\xc3\xbcber\n");
    write("empty.csv", b"");
    write("header.csv", b"x,y\n");
    write("few.csv", b"x,y\n1,a\n2,b\n3,a\n4,b\n");
    for (file, target, why) in [
        ("constant.csv", "y", "there is nothing to predict"),
        ("missing.csv", "y", "missing in all 40 rows"),
        ("different.csv", "y", "different in all 40 rows"),
        ("single.csv", "y", "a single row (line 9)"),
        ("ragged.csv", "y", "ragged.csv:3: 1 fields, where the header has 2"),
        ("mixed.csv", "y", "mixed.csv:3: letters of UTF-8 and of Latin-1"),
        ("empty.csv", "y", "the file is empty"),
        ("header.csv", "y", "no rows"),
        ("few.csv", "y", "the validation part would have 0 of 4 rows"),
        ("flowers.csv", "kinds", "--target: no column is called `kinds`, did you mean `kind`?"),
        ("nowhere.csv", "y", "nowhere.csv"),
    ] {
        let out = agon(place.path(), &["train", "--data", file, "--target", target, "--ui", "plain"]);
        let told = told(&out, 2);
        assert!(told.contains(why), "{file}: {told}");
    }
    let none = told(&agon(place.path(), &["train", "--data", "flowers.csv", "--ui", "plain"]), 2);
    assert!(none.contains("--target COLUMN, one of: height, width, colour, kind, weight"), "{none}");
    for (set, why) in [
        ("model.kind=linear", "linear predicts numbers"),
        ("model.kind=demand", "needs [fit]"),
        ("model.kind=boostin", "did you mean `boosting`"),
        ("model.class_weights={ tal = 2 }", "no class is called `tal`, did you mean `tall`"),
        ("model.class_weights={ tall = 0 }", "the weight of `tall` must be a number above 0"),
        ("data.drop=[\"hight\"]", "did you mean `height`"),
        ("data.split=group", "name the column with split_by"),
        ("data.drop=[\"height\",\"width\",\"colour\",\"weight\"]", "no column is left"),
    ] {
        let told = told(&agon(place.path(), &[&TRAIN[..], &["--set", set]].concat()), 2);
        assert!(told.contains(why), "{set}: {told}");
    }
    assert!(!place.path().join("runs").exists());
    told(&agon(place.path(), &[&TRAIN[..], &["--out", "run"]].concat()), 0);
    write("new.csv", b"height,colour\n1,red\n");
    let missing = told(&agon(place.path(), &["predict", "run", "--data", "new.csv"]), 2);
    assert!(missing.contains("the columns `width`, `weight` of the training table cannot be found"), "{missing}");
    let nothing = told(&agon(place.path(), &["predict", "nowhere", "--data", "new.csv"]), 2);
    assert!(nothing.contains("no such run"), "{nothing}");
}

/// Groups of columns are judged one by one, by `[report] slices` or `agon eval --slices`; a column may be dropped as an input.
#[test]
fn groups_are_judged_one_by_one() {
    let place = place();
    let sets = ["--set", "data.drop=[\"colour\"]", "--set", "report.slices=[\"colour\", \"width\"]", "--out", "run"];
    let trained = told(&agon(place.path(), &[&TRAIN[..], &sets].concat()), 0);
    for part in ["groups of `colour`, of the test rows", "demographic parity", "equalised odds", "by chance up to"] {
        assert!(trained.contains(part), "{part}: {trained}");
    }
    assert!(trained.contains("up to 0.7") && trained.contains("positive is `tall`"), "{trained}");
    let saved: Value = serde_json::from_slice(&read(&place.path().join("run/evaluation.json"))).unwrap();
    let rows = |k: usize| {
        let groups = saved["slices"][k]["groups"].as_array().unwrap();
        groups.iter().map(|group| group["rows"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((rows(0), rows(1)), (45, 45), "every test row is in one group");
    let again = told(&agon(place.path(), &["eval", "run", "--slices", "width"]), 0);
    assert!(again.contains("groups of `width`") && !again.contains("groups of `colour`"), "{again}");
    let near = told(&agon(place.path(), &["eval", "run", "--slices", "colour,widht"]), 2);
    assert!(near.contains("--slices: no column is called `widht`, did you mean `width`?"), "{near}");
    let set = ["--set", "report.slices=[\"hue\"]"];
    let unknown = told(&agon(place.path(), &[&TRAIN[..], &set].concat()), 2);
    assert!(unknown.contains("no column is called `hue`"), "{unknown}");
    let clusters = ["train", "--data", "flowers.csv", "--model", "kmeans", "--set", "report.slices=[\"colour\"]"];
    let none = told(&agon(place.path(), &clusters), 2);
    assert!(none.contains("this model has no target"), "{none}");
    let agent = ["train", "classic/cartpole", "--set", "report.slices=[\"x\"]"];
    let none = told(&agon(place.path(), &agent), 2);
    assert!(none.contains("is for models of tables"), "{none}");
}

/// New rows are judged beside the test part; their truth may be written in other letters, be missing, or be unheard of.
#[test]
fn new_rows_are_judged() {
    let place = place();
    told(&agon(place.path(), &[&TRAIN[..], &["--out", "run"]].concat()), 0);
    let same = flowers(300, ',').replace(",tall,", ",Tall,");
    std::fs::write(place.path().join("same.csv"), &same).unwrap();
    let found = told(&agon(place.path(), &["eval", "run", "--data", "same.csv", "--slices", "colour"]), 0);
    for part in ["300 new rows", "drift: 300 new rows", "no difference is sure", "groups of `colour`, of the new rows"]
    {
        assert!(found.contains(part), "{part}: {found}");
    }
    let json = agon(place.path(), &["eval", "run", "--data", "same.csv", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let accuracy = json["metrics"].as_array().unwrap().iter().find(|m| m["name"] == "accuracy").unwrap();
    assert!(accuracy["value"].as_f64().unwrap() > 0.9 && json["test_part"][0]["name"] == "log_loss", "{json}");
    let odd = same.lines().enumerate().map(|(line, text)| match line {
        1 => text.replace(",Tall,", ",,").replace(",small,", ",,"),
        2 => text.replace(",Tall,", ",huge,").replace(",small,", ",huge,"),
        _ => text.to_owned(),
    });
    std::fs::write(place.path().join("odd.csv"), odd.collect::<Vec<_>>().join("\n")).unwrap();
    let found = told(&agon(place.path(), &["eval", "run", "--data", "odd.csv"]), 0);
    assert!(
        found.contains("298 new rows") && found.contains("missing in 1 rows") && found.contains("such as `huge`"),
        "{found}"
    );
    std::fs::write(place.path().join("none.csv"), same.replace("kind", "Kind")).unwrap();
    let none = told(&agon(place.path(), &["eval", "run", "--data", "none.csv"]), 2);
    assert!(none.contains("the column `kind`, which holds the truth, cannot be found, did you mean `Kind`?"), "{none}");
}

/// A card and a page of every kind of run say what the run's files say, and hold no scripts.
#[test]
fn runs_have_cards_and_pages() {
    let place = place();
    told(&agon(place.path(), &[&TRAIN[..], &["--out", "run", "--set", "report.slices=[\"colour\"]"]].concat()), 0);
    told(
        &agon(
            place.path(),
            &["train", "--data", "flowers.csv", "--model", "kmeans", "--ui", "plain", "--out", "clusters"],
        ),
        0,
    );
    let agent = ["train", "classic/cartpole", "--ui", "plain", "--set", "train.steps=2000", "--out", "agent"];
    told(&agon(place.path(), &agent), 0);
    let text = |name: &str| String::from_utf8(read(&place.path().join(name))).unwrap();
    let saved: Value = serde_json::from_str(&text("run/evaluation.json")).unwrap();
    let card = text("run/card.md");
    let sum = format!("CRC-32C {:08x}", crc32c::crc32c(text("run/data.csv").as_bytes()));
    let rows = format!("Of {} test rows", saved["metrics"][0]["over"][0]);
    for part in [&sum, &rows, "better than the class shares", "| colour | test rows |", "## Limits"] {
        assert!(card.contains(part), "{part}: {card}");
    }
    for (run, parts) in [
        (
            "run",
            &["Confusion", "Calibration on the test part", "Partial dependence", "Groups of colour", "Findings"][..],
        ),
        ("clusters", &["Clusters, and what distinguishes each", "Most unusual rows", "Findings"]),
        ("agent", &["Training episodes", "random", "mean return", "learning_rate"]),
    ] {
        assert_eq!(told(&agon(place.path(), &["report", run]), 0).trim(), format!("{run}/report.html"));
        let page = text(&format!("{run}/report.html"));
        parts.iter().for_each(|part| assert!(page.contains(part), "{run}: {part}"));
        assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("NaN"), "{run}");
        assert!(page.matches("<svg").count() >= usize::from(run != "clusters"), "{run}");
    }
    let none = told(&agon(place.path(), &["report", "nowhere"]), 2);
    assert!(none.contains("is not a run"), "{none}");
}

/// 100,000 columns are understood, or refused with what they need, and do not hang.
#[test]
fn very_wide_tables_do_not_hang() {
    let place = place();
    let line = |of: &dyn Fn(u32) -> String| (0..100_000).map(of).collect::<Vec<_>>().join(",") + "\n";
    let mut text = line(&|k| if k == 0 { "y".into() } else { format!("c{k}") });
    for row in 0..30u32 {
        text += &line(&|k| if k == 0 { format!("{}.5", row % 12) } else { (row * k % 7).to_string() });
    }
    std::fs::write(place.path().join("wide.csv"), text).unwrap();
    let refused = told(&agon(place.path(), &["train", "--data", "wide.csv", "--target", "y", "--ui", "plain"]), 2);
    assert!(refused.contains("numbers a row are more than 8000") && refused.contains("GB"), "{refused}");
}

/// A mail: some words, of which some are more frequent in spam.
fn mail(row: u32, spam: bool) -> String {
    const WORDS: [&str; 10] = ["lunch", "meeting", "noon", "plans", "about", "free", "winner", "cash", "the", "see"];
    let noise = |k: u32| row.wrapping_mul(2_654_435_761).wrapping_add(k.wrapping_mul(97_003_331)) >> 9;
    let word = |k: u32| WORDS[(noise(k) % 7 + if spam { 3 } else { 0 }) as usize];
    (0..6 + noise(99) % 6).map(word).collect::<Vec<_>>().join(" ") + &format!(", {row}")
}

/// A column of text is read as words; `data.text = false`, and the scenario of a run of before, leave it out.
#[test]
fn texts_in_a_table_are_inputs() {
    let place = tempfile::tempdir().unwrap();
    let mut text = "mail,hour,spam\n".to_owned();
    for row in 0..200 {
        let spam = row % 3 == 0;
        let _ = writeln!(text, "\"{}\",{},{}", mail(row, spam), row * 7 % 23, if spam { "yes" } else { "no" });
    }
    std::fs::write(place.path().join("mails.csv"), text).unwrap();
    let train = ["train", "--data", "mails.csv", "--target", "spam", "--ui", "plain"];
    let trained = told(&agon(place.path(), &train), 0);
    for said in ["mail    text", "`mail`: text, 9 words on average", "logistic regression predicts `spam` better"] {
        assert!(trained.contains(said), "{said}: {trained}");
    }
    let run = "runs/tables/mails/001";
    let new = place.path().join("new.csv");
    std::fs::write(&new, "hour,mail\n3,\"cash winner, free free\"\n4,meeting at noon about lunch\n5,\n").unwrap();
    let predicted = told(&agon(place.path(), &["predict", run, "--data", "new.csv"]), 0);
    let lines: Vec<&str> = predicted.lines().filter(|line| line.contains(",yes,") || line.contains(",no,")).collect();
    assert!(lines.len() == 3 && lines[0].contains(",yes,") && lines[1].contains(",no,"), "{predicted}");
    let drift = told(&agon(place.path(), &["predict", run, "--data", "mails.csv", "-o", "out.csv"]), 0);
    assert!(drift.contains("mail (words)") && !drift.contains("SHIFTED"), "{drift}");
    let without = told(&agon(place.path(), &[&train[..], &["--set", "data.text=false"]].concat()), 0);
    assert!(without.contains("not used: text"), "{without}");
    // A run of before has no `text` in its scenario.
    let scenario = place.path().join("runs/tables/mails/002/scenario.toml");
    let old = String::from_utf8(read(&scenario)).unwrap().replace("text = false\n", "");
    std::fs::write(&scenario, old).unwrap();
    told(&agon(place.path(), &["eval", "runs/tables/mails/002"]), 0);
}

/// A folder of text files by class.
#[test]
fn a_folder_of_texts_is_a_table() {
    let place = tempfile::tempdir().unwrap();
    for row in 0..120 {
        let spam = row % 2 == 0;
        let class = place.path().join("mails").join(if spam { "spam" } else { "ham" });
        std::fs::create_dir_all(&class).unwrap();
        std::fs::write(class.join(format!("{row:03}.txt")), mail(row, spam) + "\n\"Ã¼\", she said\n").unwrap();
    }
    // Those of this folder have no class.
    std::fs::create_dir_all(place.path().join("mails/unlabelled")).unwrap();
    std::fs::write(place.path().join("mails/unlabelled/1.txt"), mail(1, true)).unwrap();
    let trained = told(&agon(place.path(), &["train", "--data", "mails", "--ui", "plain"]), 0);
    assert!(trained.contains("target `class`: binary, 2 classes (ham 60, spam 60)"), "{trained}");
    assert!(trained.contains("better than the class shares"), "{trained}");
    told(&agon(place.path(), &["eval", "runs/tables/mails/001"]), 0);
    let predicted = told(&agon(place.path(), &["predict", "runs/tables/mails/001", "--data", "mails/spam"]), 0);
    assert!(predicted.contains("000.txt,spam,") && predicted.contains("1 columns are no inputs"), "{predicted}");
    std::fs::write(place.path().join("mails/stray.txt"), "whose class?").unwrap();
    let stray = told(&agon(place.path(), &["train", "--data", "mails", "--ui", "plain"]), 2);
    assert!(stray.contains("stray.txt is in no folder of a class"), "{stray}");
}

/// A rate is found where a network learns, is the same again, and trains well; nothing is written.
#[test]
fn rates_are_found() {
    let place = place();
    for (target, model) in [("kind", "mlp"), ("weight", "mlp"), ("kind", "tabm")] {
        let find = ["train", "--data", "flowers.csv", "--target", target, "--model", model, "--find-rate"];
        let said = told(&agon(place.path(), &find), 0);
        let set = said.lines().find_map(|line| line.trim().strip_prefix("--set ")).unwrap();
        let rate: f64 = set.strip_prefix("model.learning_rate=").unwrap().parse().unwrap();
        assert!((1e-4..0.3).contains(&rate), "{model} of {target}: {said}");
        assert_eq!(said, told(&agon(place.path(), &find), 0));
        assert!(!place.path().join("runs").exists());
        let json = agon(place.path(), &[&find[..], &["--ui", "json"]].concat());
        told(&json, 0);
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        let (rates, losses) = (json["rates"].as_array().unwrap(), json["losses"].as_array().unwrap());
        assert!(json["fastest"] == rate && rates.len() == losses.len() && rates.len() > 100, "{json}");
    }
    for (more, why) in [
        (&["--target", "kind", "--model", "boosting"][..], "the model has no learning rate that can be tested"),
        (&["--target", "kind", "--minutes", "1"], "cannot be used with"),
    ] {
        let said = told(&agon(place.path(), &[&["train", "--data", "flowers.csv", "--find-rate"], more].concat()), 2);
        assert!(said.contains(why), "{why}: {said}");
    }
}
