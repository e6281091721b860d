//! The games of a tournament for other programs: PGN (Portable Game Notation, with tags for every game) and SGF (Smart
//! Game Format, FF\[4\]) for Go.

use super::film::{Checked, Lines, begin, open, visit};
use super::game::{End, Record};
use super::plan::Plan;
use super::play::GAMES;
use super::ratings::Score;
use crate::failure::{Failure, Outcome};
use agon_core::game::{Game, Turn, Visit};
use agon_core::rng::{Rng, Stream};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Writes all games, or one of them, counted from 1; how many.
pub fn export(folder: &Path, number: Option<u64>, file: &Path) -> Outcome<u64> {
    let sgf = file.extension().is_some_and(|e| e == "sgf");
    let (plan, lines) = open(folder)?;
    if sgf && plan.game != "games/go" {
        return Err(Failure::Input(format!("{}: SGF is for games of Go; use .pgn", file.display())));
    }
    let path = folder.join(GAMES);
    let sheets = Sheets { plan: &plan, lines, path: &path, number, file, out: None, sgf };
    let written = visit(&plan, sheets)?.0;
    match number {
        Some(_) if written == 0 => Err(Failure::Input(format!("{} has no such game", folder.display()))),
        _ => Ok(written),
    }
}

struct Sheets<'a> {
    plan: &'a Plan,
    lines: Lines,
    path: &'a Path,
    number: Option<u64>,
    file: &'a Path,
    /// Opened for the first game: a number that does not exist must not empty a file.
    out: Option<BufWriter<File>>,
    sgf: bool,
}

impl Visit for Sheets<'_> {
    type Out = Checked;

    fn visit<G: Game>(mut self, game: G) -> Checked {
        let mut written = 0;
        for (line, number) in self.lines.zip(1..) {
            let line = line.map_err(|e| Failure::read(self.path, &e))?;
            if self.number.is_some_and(|n| n != number) {
                continue;
            }
            let at = |why: String| format!("{}:{number}: {why}", self.path.display());
            let record: Record = serde_json::from_str(&line).map_err(|e| Failure::Input(at(e.to_string())))?;
            super::film::again(&game, &record, None).map_err(|why| Failure::Check(at(why)))?;
            let text = if self.sgf { sgf(self.plan, &record) } else { pgn(self.plan, &game, &record) };
            let write = |e: std::io::Error| Failure::write(self.file, &e);
            let out = match &mut self.out {
                Some(out) => out,
                none => none.insert(BufWriter::new(File::create(self.file).map_err(write)?)),
            };
            out.write_all(text.as_bytes()).map_err(write)?;
            written += 1;
        }
        if let Some(out) = &mut self.out {
            out.flush().map_err(|e| Failure::write(self.file, &e))?;
        }
        Ok((written, None))
    }
}

fn seat<'a>(plan: &'a Plan, record: &Record, seat: usize) -> &'a str {
    plan.entrants.get(record.seats[seat] as usize).map_or("?", |e| e.name.as_str())
}

fn pgn<G: Game>(plan: &Plan, game: &G, record: &Record) -> String {
    let result = match record.score(0) {
        Score::Win => "1-0",
        Score::Draw => "1/2-1/2",
        Score::Loss => "0-1",
    };
    // The words that the PGN standard has for it.
    let termination = match record.end {
        End::Rules | End::Resigned => "normal",
        End::Length | End::Adjudicated => "adjudication",
        End::Illegal => "rules infraction",
        End::Crash => "abandoned",
        End::Time => "time forfeit",
    };
    let round = format!("{}.{}", record.pair + 1, record.game + 1);
    let opening = record.opening.to_string();
    let tags = [
        ("Event", plan.name.as_str()),
        ("Site", "?"),
        ("Date", "????.??.??"),
        ("Round", &round),
        ("White", seat(plan, record, 0)),
        ("Black", seat(plan, record, 1)),
        ("Result", result),
        ("Game", &plan.game),
        ("OpeningPlies", &opening),
        ("Termination", termination),
    ];
    let from = record.from.as_deref();
    let begun = [("SetUp", "1"), ("FEN", from.unwrap_or_default())].into_iter().filter(|_| from.is_some());
    let mut out = String::new();
    for (name, value) in tags.into_iter().chain(begun) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "[{name} \"{}\"]", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let mut words = Vec::new();
    let mut chance = Rng::new(record.seed, Stream::Env, 0);
    // What cannot be played again is never written.
    let mut state = begin(game, record).unwrap_or_else(|_| agon_core::game::start(game));
    let before = if record.from.is_some() { game.plies_before(&state) as usize } else { 0 };
    let legal = record.moves.len().saturating_sub(usize::from(record.end == End::Illegal));
    for (i, action) in record.moves[..legal].iter().enumerate() {
        while game.turn(&state) == Turn::Chance {
            let outcome = game.roll(&state, &mut chance);
            game.play(&mut state, outcome);
        }
        let ply = before + i;
        if ply % 2 == 0 || i == 0 {
            words.push(format!("{}{}", ply / 2 + 1, if ply % 2 == 0 { "." } else { "..." }));
        }
        words.push(game.sheet(&state, *action));
        game.play(&mut state, *action);
    }
    words.push(result.into());
    out.push('\n');
    let mut column = 0;
    for word in words {
        if column > 0 && column + 1 + word.len() > 79 {
            out.push('\n');
            column = 0;
        }
        if column > 0 {
            out.push(' ');
            column += 1;
        }
        column += word.len();
        out += &word;
    }
    out + "\n\n"
}

fn sgf(plan: &Plan, record: &Record) -> String {
    let size = plan.game_settings["size"].as_u64().unwrap_or(9);
    let result = match record.score(0) {
        Score::Win => "B+",
        Score::Draw => "0",
        Score::Loss => "W+",
    };
    let how = match record.end {
        End::Rules | End::Length | End::Adjudicated => "",
        End::Resigned => "R",
        End::Time => "T",
        End::Illegal | End::Crash => "F",
    };
    let escape = |name: &str| name.replace('\\', "\\\\").replace(']', "\\]");
    let (black, white) = (escape(seat(plan, record, 0)), escape(seat(plan, record, 1)));
    let komi = plan.game_settings["komi"].as_f64().unwrap_or(0.0);
    let mut out = format!(
        "(;FF[4]GM[1]CA[UTF-8]AP[agon]RU[Tromp-Taylor]SZ[{size}]KM[{komi}]PB[{black}]PW[{white}]RE[{result}{how}]RO[{}]",
        record.pair + 1
    );
    let legal = record.moves.len().saturating_sub(usize::from(record.end == End::Illegal));
    for (i, action) in record.moves[..legal].iter().enumerate() {
        let (colour, place) = (if i % 2 == 0 { 'B' } else { 'W' }, u64::from(*action));
        let letter = |n: u64| char::from(b'a' + n as u8);
        let at = if place == size * size {
            String::new() // a pass
        } else {
            format!("{}{}", letter(place % size), letter(place / size))
        };
        let _ = write!(out, ";{colour}[{at}]");
    }
    out + ")\n"
}
