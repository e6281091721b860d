//! The games of a tournament for other programs: PGN (Portable Game Notation, with tags for every game) and SGF (Smart
//! Game Format, FF\[4\]) for Go.

use super::film::{Checked, Lines, begin, open, visit};
use super::game::Record;
use super::plan::TournamentPlan;
use super::play::GAMES;
use super::ratings::Score;
use crate::failure::{Failure, Outcome};
use agon_core::game::{Game, Visit};
use agon_core::rng::{Rng, Stream};
use agon_search::match_loop::{End, Match};
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
    let games = Export { plan: &plan, lines, path: &path, number, file, out: None, sgf };
    let written = visit(&plan, games)?.0;
    match number {
        Some(_) if written == 0 => Err(Failure::Input(format!("{} has no such game", folder.display()))),
        _ => Ok(written),
    }
}

struct Export<'a> {
    plan: &'a TournamentPlan,
    lines: Lines,
    path: &'a Path,
    number: Option<u64>,
    file: &'a Path,
    /// Opened for the first game: a number that does not exist must not empty a file.
    out: Option<BufWriter<File>>,
    sgf: bool,
}

impl Visit for Export<'_> {
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

fn seat<'a>(plan: &'a TournamentPlan, record: &Record, seat: usize) -> &'a str {
    plan.entrants.get(record.seats[seat] as usize).map_or("?", |e| e.name.as_str())
}

fn pgn<G: Game>(plan: &TournamentPlan, game: &G, record: &Record) -> String {
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
    // What cannot be played again is never written.
    let mut state = begin(game, record).unwrap_or_else(|_| agon_core::game::start(game));
    let before = if record.from.is_some() { game.plies_before(&state) as usize } else { 0 };
    let legal = record.moves.len().saturating_sub(usize::from(record.end == End::Illegal));
    let mut played = Match::begin(game, &mut state, Rng::new(record.seed, Stream::Env, 0), &mut []);
    for (i, action) in record.moves[..legal].iter().enumerate() {
        let ply = before + i;
        if ply % 2 == 0 || i == 0 {
            words.push(format!("{}{}", ply / 2 + 1, if ply % 2 == 0 { "." } else { "..." }));
        }
        words.push(game.write_in_record(played.state(), *action));
        played.play(&mut [], *action);
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

fn sgf(plan: &TournamentPlan, record: &Record) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tournament::film::again;
    use crate::tournament::game::Board;
    use crate::tournament::schedule::Pairing;
    use agon_core::Score;
    use agon_core::episode::Solo;
    use agon_search::player::Random;
    use std::sync::atomic::AtomicBool;

    /// Random players at a two-player game; what everyone says of the same games. How many were drawn.
    struct Law(TournamentPlan);

    impl Visit for Law {
        type Out = u32;

        fn visit<G: Game>(self, game: G) -> u32 {
            let plan = self.0;
            let mut board = Board::new(game.clone(), vec![Box::new(Random), Box::new(Random)], Vec::new());
            let mut env = Solo::new(agon_envs::find(&plan.game).unwrap().build(&plan.game_settings, 1, 1).unwrap());
            let mut drawn = 0;
            for number in 0..12 {
                let pairing = Pairing { number, turn: number, entrants: (0, 1) };
                for record in board.pair(&plan, pairing, &AtomicBool::new(false)).unwrap() {
                    let score = record.score(0);
                    drawn += u32::from(score == Score::Draw);
                    assert_eq!(record.score(1), score.other(), "{record:?}");
                    assert_eq!(record.score_then(0), score, "{record:?}");
                    assert!(record.returns.iter().all(|r| *r != 0.0 || r.is_sign_positive()), "{record:?}");
                    // The file's line, read again.
                    let line = serde_json::to_string(&record).unwrap();
                    assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
                    // The sheets.
                    let (result, letter) = match score {
                        Score::Win => ("1-0", "B+"),
                        Score::Draw => ("1/2-1/2", "0"),
                        Score::Loss => ("0-1", "W+"),
                    };
                    let told = pgn(&plan, &game, &record);
                    assert!(
                        told.contains(&format!("[Result \"{result}\"]")) && told.trim_end().ends_with(result),
                        "{told}"
                    );
                    if plan.game == "games/go" {
                        assert!(sgf(&plan, &record).contains(&format!("RE[{letter}]")), "{record:?}");
                    }
                    // The replay, and the environment that evaluations count by.
                    let steps = again(&game, &record, None).unwrap();
                    let replayed: f32 = steps.iter().map(|s| s.reward[0]).sum();
                    env.reset(record.seed, Stream::Env);
                    let mut total = 0.0;
                    for step in &steps {
                        env.step(step.action.view());
                        total += f64::from(env.reward[0]);
                        assert!(env.reward.iter().all(|r| *r != 0.0 || r.is_sign_positive()), "{record:?}");
                    }
                    let counted = [f64::from(replayed), total].map(|own| Score::of(own, -own));
                    assert_eq!(counted, [score; 2], "{}: {record:?}", plan.game);
                }
            }
            drawn
        }
    }

    #[test]
    fn all_say_the_same_of_a_game() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let law = |id: &str, settings: &str| {
            let env = format!("env = {{ id = '{id}'{settings} }}\n[tournament]\nopening_plies = 0\n");
            std::fs::write(&path, env + "[entrants]\na = 'random'\nb = 'random'").unwrap();
            let plan = TournamentPlan::read(&path, &[]).unwrap();
            let (id, settings) = (plan.game.clone(), plan.game_settings.clone());
            agon_envs::games::visit(&id, &settings, Law(plan)).unwrap()
        };
        for id in agon_envs::games::NAMES.iter().filter(|id| **id != "games/2048") {
            law(id, "");
        }
        for (id, settings) in [
            ("games/othello", ", size = 4"),
            ("games/go", ", size = 2, komi = 0.0"),
            ("games/connect-four", ", rows = 4, columns = 4"),
            ("games/leduc-poker", ""),
        ] {
            assert!(law(id, settings) > 0, "{id}: no game was drawn");
        }
    }
}
