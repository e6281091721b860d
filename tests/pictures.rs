//! From pictures to a model and its predictions, through the program.

mod common;

use common::told;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

fn agon(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
    command.args(args).current_dir(folder).env_remove("AGON_RUNS").env("AGON_DEPS", folder.join("deps"));
    command.output().unwrap()
}

/// A bar across (`flat`) or down (`steep`) on noise, 8 × 8.
fn bar(i: usize) -> Vec<u8> {
    let noise = |k: usize| ((i * 64 + k).wrapping_mul(2_654_435_761) >> 9 & 63) as u8;
    let at = 1 + i * 7 % 6;
    (0..64).map(|k| noise(k) + if [k / 8, k % 8][i % 2] == at { 150 } else { 0 }).collect()
}

fn png(path: &Path, bytes: &[u8], side: u32, colour: bool) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), side, side);
    encoder.set_color(if colour { png::ColorType::Rgb } else { png::ColorType::Grayscale });
    encoder.write_header().unwrap().write_image_data(bytes).unwrap();
}

/// A white line on black, 8 × 8, as an encoder of JPEG wrote it.
const JPEG: &str = "ffd8ffe000104a46494600010100000100010000ffdb0043000d090a0b0a080d0b0a0b0e0e0d0f13201513121213271c1e17202e2931302e\
    292d2c333a4a3e333646372c2d405741464c4e525352323e5a615a50604a51524fffc0000b080008000801011100ffc400140001000000000000\
    00000000000000000006ffc4001a1000010501000000000000000000000000050003135595d3ffda0008010100003f0009381ad25a0df15fffd9";

fn jpeg() -> Vec<u8> {
    let digits: Vec<u8> = JPEG.bytes().map(|b| (b as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|two| two[0] * 16 + two[1]).collect()
}

/// 120 pictures in folders of their classes, and a few that are not what they should be.
fn folders(place: &Path) {
    for i in 0..120 {
        let class = ["flat", "steep"][i % 2];
        png(&place.join(format!("bars/{class}/{i:03}.png")), &bar(i), 8, false);
    }
    let write = |name: &str, bytes: &[u8]| std::fs::write(place.join("bars").join(name), bytes).unwrap();
    write("flat/line.jpg", &jpeg());
    write("flat/broken.png", b"\x89PNG and no more");
    write("steep/notes.txt", b"not a picture");
    // Twice as large, in the colours of a grey picture: it is resized, and all stay grey.
    let large: Vec<u8> = (0..256).flat_map(|k| [bar(121)[k / 32 * 8 + k % 16 / 2]; 3]).collect();
    png(&place.join("bars/steep/large.png"), &large, 16, true);
    png(&place.join("bars/unlabelled/one.png"), &bar(200), 8, false);
}

fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let head = [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    [&head, bytes].concat()
}

fn idx(shape: &[u32], bytes: &[u8]) -> Vec<u8> {
    let head = [vec![0, 0, 8, shape.len() as u8], shape.iter().flat_map(|n| n.to_be_bytes()).collect()].concat();
    [&head, bytes].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const SMALL: [&str; 8] =
    ["--set", "model.widths=[8,16]", "--set", "train.threads=1", "--set", "train.steps=12", "--ui", "plain"];

fn train(place: &Path, more: &[&str]) -> Output {
    agon(place, &[&["train"], more, &SMALL].concat())
}

#[test]
fn two_commands_lead_from_folders_to_predictions() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    folders(place.path());
    let trained = told(&train(place.path(), &["--data", "bars", "--set", "pictures.side=8"]), 0);
    for said in [
        "bars/: 123 pictures, 8 × 8, grey",
        "2 classes (flat 61, steep 61)",
        "1 pictures cannot be decoded (flat/broken.png: ",
        "1 files are neither PNG nor JPEG",
        "the pictures have 2 sizes, 8 × 8 to 16 × 16; resized to 8 × 8",
        "1 pictures have no class",
        "residual network predicts `class` better than the class shares",
        "by resampled test pictures",
        "agon predict runs/pictures/bars/001 --data FOLDER",
    ] {
        assert!(trained.contains(said), "{said}: {trained}");
    }
    let eval = agon(place.path(), &["eval", "runs/pictures/bars/001", "--json"]);
    told(&eval, 0);
    let found: Value = serde_json::from_slice(&eval.stdout).unwrap();
    let saved = std::fs::read(at("runs/pictures/bars/001/evaluation.json")).unwrap();
    let saved: Value = serde_json::from_slice(&saved).unwrap();
    assert_eq!(saved["metrics"], found["metrics"], "what training found at its end is what eval finds");
    assert_eq!(found["metrics"][0]["over"][1], "pictures");
    // The run's scenario does it again, to the bit.
    told(&agon(place.path(), &["train", "runs/pictures/bars/001/scenario.toml", "--ui", "plain", "--out", "again"]), 0);
    assert_eq!(
        std::fs::read(at("again/evaluation.json")).unwrap(),
        saved.to_string().into_bytes().into_iter().chain([b'\n']).collect::<Vec<_>>()
    );
    // A class for each file, whatever its size, and a note of those that cannot be read. The training pictures are gone.
    std::fs::rename(at("bars"), at("elsewhere")).unwrap();
    png(&at("new/deep/flat.png"), &bar(300), 8, false);
    png(&at("new/steep.png"), &bar(301), 8, false);
    std::fs::write(at("new/line.JPEG"), jpeg()).unwrap();
    std::fs::write(at("new/broken.png"), b"no picture").unwrap();
    let said = told(&agon(place.path(), &["predict", "again", "--data", "new", "-o", "out.csv"]), 0);
    assert!(said.contains("3 predictions of `class`") && said.contains("broken.png: "), "{said}");
    let out = std::fs::read_to_string(at("out.csv")).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "picture,predicted class,p(flat),p(steep)");
    assert!(lines[1].starts_with("deep/flat.png,flat,") && lines[3].starts_with("steep.png,steep,"), "{out}");
    let gone = told(&agon(place.path(), &["eval", "again"]), 2);
    assert!(gone.contains("no pictures at"), "{gone}");
}

/// Resumed from any of its checkpoints it ends bit-identical.
#[test]
fn it_resumes_from_every_checkpoint_in_the_same_bits() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let read = |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    folders(place.path());
    let more = ["--set", "pictures.labels=20", "--set", "train.save_every=2", "--set", "train.keep=all"];
    let first = [&["--data", "bars", "--out", "run", "--set", "eval.every=3"], &more[..]].concat();
    told(&train(place.path(), &[&first[..], &["--set", "pictures.side=8"]].concat()), 0);
    for step in [2, 6, 10] {
        let copy = format!("copy-{step}");
        assert!(Command::new("cp").arg("-r").args([at("run"), at(&copy)]).status().unwrap().success());
        told(&agon(place.path(), &["train", "--resume", &format!("{copy}/checkpoints/{step}"), "--ui", "plain"]), 0);
        for file in
            ["metrics.jsonl", "evaluation.json", "checkpoints/12/weights.safetensors", "checkpoints/12/state.json"]
        {
            assert!(read(&at(&copy).join(file)) == read(&at("run").join(file)), "{file}, from step {step}");
        }
    }
    png(&at("bars/steep/more.png"), &bar(401), 8, false);
    let other = told(&agon(place.path(), &["eval", "run"]), 2);
    assert!(other.contains("the pictures are not those that it was learned from"), "{other}");
}

#[test]
fn idx_and_npy_files_are_read() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let pictures = |range: std::ops::Range<usize>| range.flat_map(bar).collect::<Vec<u8>>();
    let classes = |range: std::ops::Range<usize>| range.map(|i| (i % 2) as u8).collect::<Vec<u8>>();
    write("mnist/train-images-idx3-ubyte.gz", &gzip(&idx(&[100, 8, 8], &pictures(0..100))));
    write("mnist/train-labels-idx1-ubyte", &idx(&[100], &classes(0..100)));
    write("mnist/t10k-images-idx3-ubyte", &idx(&[30, 8, 8], &pictures(100..130)));
    write("mnist/t10k-labels-idx1-ubyte.gz", &gzip(&idx(&[30], &classes(100..130))));
    let trained = told(&train(place.path(), &["--data", "mnist/train-images-idx3-ubyte.gz", "--out", "run"]), 0);
    for said in ["130 pictures", "30 test", "the test part as the files have it"] {
        assert!(trained.contains(said), "{said}: {trained}");
    }
    let out = agon(place.path(), &["predict", "run", "--data", "mnist/t10k-images-idx3-ubyte"]);
    told(&out, 0);
    assert_eq!(String::from_utf8_lossy(&out.stdout).lines().count(), 31);
    // Fractions, and words of which an empty one is no class.
    let fractions: Vec<u8> = pictures(0..100).iter().flat_map(|x| (f32::from(*x) / 255.0).to_le_bytes()).collect();
    let words = |i: usize| if i == 50 { "" } else { ["no", "yes"][i % 2] };
    let letters =
        |word: &str| word.chars().chain(['\0'; 3]).take(3).flat_map(|c| (c as u32).to_le_bytes()).collect::<Vec<_>>();
    write("own/x.npy", &npy("<f4", "100, 8, 8", &fractions));
    write("own/y.npy", &npy("<U3", "100,", &(0..100).flat_map(|i| letters(words(i))).collect::<Vec<u8>>()));
    let trained = told(&train(place.path(), &["--data", "own", "--set", "train.steps=1"]), 0);
    assert!(trained.contains("2 classes (no 49, yes 50)") && trained.contains("1 pictures have no class"), "{trained}");

    write("bad/x.npy", &npy("|u1", "100, 8, 8", &pictures(0..99)));
    write("bad/y.npy", &npy("|u1", "100,", &classes(0..100)));
    write("few/x.npy", &npy("|u1", "100, 8, 8", &pictures(0..100)));
    write("few/y.npy", &npy("|u1", "99,", &classes(0..99)));
    write("dark/x.npy", &npy("<f8", "1, 2, 2", &(-1.0f64).to_le_bytes().repeat(4)));
    write("dark/y.npy", &npy("|u1", "1,", &[0]));
    write("huge/train-images-idx3-ubyte", &idx(&[u32::MAX, u32::MAX, 8], &[0; 64]));
    write("huge/train-labels-idx1-ubyte", &idx(&[1], &[0]));
    write("cut/train-images-idx3-ubyte.gz", &gzip(&idx(&[100, 8, 8], &pictures(0..100)))[..300]);
    write("cut/train-labels-idx1-ubyte", &idx(&[100], &classes(0..100)));
    write("alone/train-images-idx3-ubyte", &idx(&[100, 8, 8], &pictures(0..100)));
    write("empty/notes.txt", b"nothing");
    write("one/same/a.png", b"no picture");
    for (data, why) in [
        ("bad", "its shape is [100, 8, 8], and it has 6336 values"),
        ("few", "it has 99 classes for 100 pictures"),
        ("dark", "its values are from -1 to 0"),
        ("huge", "memory"),
        ("cut", "it is no gzip, or cut off"),
        ("alone", "with its classes beside it (train-labels-idx1-ubyte)"),
        ("empty", "there are no pictures"),
        ("one", "no picture can be decoded: same/a.png"),
        ("own/y.npy", "NPY files of pictures are x.npy"),
    ] {
        let told = told(&train(place.path(), &["--data", data, "--out", "never"]), 2);
        assert!(told.contains(why), "{data}: {told}");
    }
    for (set, why) in [
        ("model.kind=mlp", "it needs [data] in the place of [pictures]"),
        ("model.widths=[]", "needs a stage"),
        ("pictures.test=0.8", "less than a twentieth"),
        ("pictures.side=16", "pictures.side is for folders"),
    ] {
        let told = told(&agon(place.path(), &["train", "--data", "own", "--set", set, "--out", "never"]), 2);
        assert!(told.contains(why), "{set}: {told}");
    }
    let target = told(&train(place.path(), &["--data", "own", "--target", "y"]), 2);
    assert!(target.contains("pictures have none"), "{target}");
    assert!(!place.path().join("never").exists());
    let table = told(&agon(place.path(), &["predict", "run", "--data", "rows.csv"]), 2);
    assert!(table.contains("a folder of PNG or JPEG files"), "{table}");
    let size = told(&agon(place.path(), &["predict", "run", "--data", "dark/x.npy"]), 2);
    assert!(size.contains("from -1 to 0"), "{size}");
}

/// Classes in a table beside the pictures are for training alone, and must fit them.
#[test]
fn labels_come_from_a_table() {
    let folder = tempfile::tempdir().unwrap();
    folders(folder.path());
    let at = folder.path();
    (0..6).for_each(|i| png(&at.join(format!("bars/unlabelled/new{i}.png")), &bar(300 + i), 8, false));
    let train = |file: &str, text: &str, out: &str, code: i32| {
        std::fs::write(at.join(file), text).unwrap();
        let set = format!("pictures.labels_from={}", at.join(file).display());
        let args = ["train", "--data", "bars", "--ui", "plain", "--out", out, "--set", "train.steps=1", "--set", &set];
        told(&agon(at, &args), code)
    };
    let report = |run: &str| {
        let bytes = std::fs::read(at.join(run).join("data-report.json")).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    train("none.csv", "picture,class\n", "before", 0);
    train("labels.csv", "picture,class\nunlabelled/new0.png,flat\nunlabelled/new1.png,steep\n", "after", 0);
    let (before, after) = (report("before"), report("after"));
    assert_eq!(after["parts"][0].as_u64().unwrap(), before["parts"][0].as_u64().unwrap() + 2);
    assert!(after["parts"][1] == before["parts"][1] && after["parts"][2] == before["parts"][2]);
    for (text, why) in [
        ("picture,class\nunlabelled/gone.png,flat\n", "there is no picture"),
        ("picture,class\nflat/000.png,steep\n", "is of the class `flat` already"),
        ("file,class\nflat/000.png,steep\n", "it needs the columns"),
    ] {
        let said = train("wrong.csv", text, "wrong", 2);
        assert!(said.contains(why), "{said}");
    }
}
