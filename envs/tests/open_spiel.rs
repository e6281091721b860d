//! The games against random plays of OpenSpiel 2.0.2: the same legal actions at each decision, the same returns.
//! `tests/golden/open_spiel.py` made the plays; where the package is installed, it makes fresh ones.

use agon_core::game::{Visit, start};
use agon_core::{Game, Turn};
use agon_envs::games;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The settings that make a game OpenSpiel's.
const GAMES: [(&str, fn() -> Value); 11] = [
    ("tic-tac-toe", || json!({})),
    ("connect-four", || json!({})),
    ("othello", || json!({})),
    ("go", || json!({"suicide": false})),
    ("hex", || json!({"size": 5})),
    ("chess", || json!({})),
    ("kuhn-poker", || json!({})),
    ("leduc-poker", || json!({})),
    ("2048", || json!({"goal": 64})),
    ("backgammon", || json!({"scoring": "full"})),
    ("liars-dice", || json!({"dice": 2})),
];

/// CRC-32 as zlib has it.
fn crc32(mut crc: u32, text: &str) -> u32 {
    crc = !crc;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        (0..8).for_each(|_| crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()));
    }
    !crc
}

struct Replay<'a> {
    name: &'a str,
    plays: &'a str,
}

impl Visit for Replay<'_> {
    type Out = Result<usize, String>;

    fn visit<G: Game>(self, game: G) -> Result<usize, String> {
        // Chess and Go have no numbers in common.
        let words = ["chess", "go"].contains(&self.name);
        let write = |state: &G::State, a: u16| match self.name {
            "chess" => game.write(state, a),
            "go" => game.write(state, a).to_uppercase(),
            _ => a.to_string(),
        };
        for (number, line) in (1..).zip(self.plays.lines()) {
            let parts: Vec<&str> = line.split(" | ").collect();
            let (mut state, mut crc) = (start(&game), 0);
            for (at, played) in (1..).zip(parts[0].split(' ')) {
                let mut legal: Vec<(u16, String)> = Vec::new();
                match game.turn(&state) {
                    Turn::Player(_) => game.moves(&state, |a| legal.push((a, write(&state, a)))),
                    Turn::Chance => {
                        game.chance(&state, |a, p| legal.push((a, format!("{a}:{}", (p * 1e6).round() as i64))));
                    }
                    Turn::Over => return Err(format!("play {number}: over before decision {at} of {line}")),
                }
                if words {
                    legal.sort_by(|a, b| a.1.cmp(&b.1));
                } else {
                    legal.sort_by_key(|l| l.0);
                }
                let text = legal.iter().map(|l| l.1.as_str()).collect::<Vec<_>>().join(",") + ";";
                crc = crc32(crc, &text);
                let chosen = legal.iter().find(|(_, word)| word.split(':').next() == Some(played));
                let Some((action, _)) = chosen else {
                    let board = game.text(&state);
                    return Err(format!("play {number}, decision {at}: {played} is not among {text}\n{board}"));
                };
                game.play(&mut state, *action);
            }
            if game.turn(&state) != Turn::Over {
                return Err(format!("play {number}: goes on after {line}\n{}", game.text(&state)));
            }
            let mut returns = vec![0.0; game.spec().players()];
            game.returns(&state, &mut returns);
            let expected: Vec<f32> = parts[2].split(' ').map(|r| r.parse().unwrap()).collect();
            if crc.to_string() != parts[1] || returns != expected {
                return Err(format!("play {number}: checksum {crc}, returns {returns:?}, expected {line}"));
            }
        }
        Ok(self.plays.lines().count())
    }
}

fn compare(folder: &Path) -> usize {
    let mut plays = 0;
    for (name, settings) in GAMES {
        let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        let settings = settings().as_object().cloned().unwrap();
        let same = games::visit(&format!("games/{name}"), &settings, Replay { name, plays: &text }).unwrap();
        plays += same.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    plays
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

#[test]
fn games_are_open_spiels() {
    assert!(compare(&golden().join("open_spiel")) > 2000);
}

/// Fresh plays from the Python that `AGON_PEERS_PYTHON` names (else `python3`), where it has the package.
#[test]
fn fresh_games_are_open_spiels() {
    let python = std::env::var("AGON_PEERS_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = std::process::Command::new(&python).args(["-c", "import pyspiel"]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        return eprintln!("skipped: {python} has no pyspiel");
    }
    let (seed, folder) = (std::process::id(), tempfile::tempdir().unwrap());
    let scale = std::env::var("AGON_GOLDEN_SCALE").unwrap_or_else(|_| "0.2".into());
    let made = std::process::Command::new(&python)
        .arg(golden().join("open_spiel.py"))
        .args(["--scale", &scale, "--seed", &seed.to_string(), "--out"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(made.success());
    eprintln!("{} fresh plays, seed {seed}", compare(folder.path()));
}
