//! Books of openings: moves in the game's notation, positions in FEN or EPD, or games in PGN (Portable Game Notation:
//! Edwards 1994, "Standard: Portable Game Notation Specification and Implementation Guide").

use crate::failure::{Failure, Outcome};
use crate::text;
use agon_core::game::{Action, Game, Turn, start};
use std::path::Path;

/// An opening as it stands in a book.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// A position, if the game has a notation for such, the word `moves`, and moves; or moves alone.
    pub text: String,
    /// The line on which it begins.
    pub line: usize,
    /// The line of every move, where they stand on several.
    lines: Vec<usize>,
}

impl Entry {
    /// The line of a move, or of the whole.
    pub fn line_of(&self, word: Option<usize>) -> usize {
        word.and_then(|w| self.lines.get(w)).copied().unwrap_or(self.line)
    }
}

/// How the moves of a game in PGN end.
const RESULTS: [&str; 4] = ["1-0", "0-1", "1/2-1/2", "*"];

/// Reads a book. Of PGN games at most `plies` moves are taken, all where it is 0.
pub fn read(path: &Path, plies: u32) -> Outcome<Vec<Entry>> {
    let is_pgn = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("pgn"));
    let text = if is_pgn { text::read_latin(path)? } else { text::read(path)? };
    let first = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with(['%', ';', '#']));
    let entries = if is_pgn || first.is_some_and(|l| l.starts_with('[')) { pgn(&text, plies) } else { Ok(list(&text)) };
    let entries = entries.map_err(|(line, why)| Failure::Input(format!("{}:{line}: {why}", path.display())))?;
    if entries.is_empty() {
        return Err(Failure::Input(format!("{}: there is no opening in this book", path.display())));
    }
    Ok(entries)
}

/// An opening a line; `#` begins a line that is a remark.
fn list(text: &str) -> Vec<Entry> {
    let lines = text.lines().map(str::trim).zip(1..).filter(|(l, _)| !l.is_empty() && !l.starts_with('#'));
    let entry = |(text, line): (&str, usize)| {
        let position = text.split_whitespace().next().is_some_and(|w| w.contains('/'));
        let moves =
            || text.split_whitespace().filter(|w| !RESULTS.contains(w)).filter_map(bare).collect::<Vec<_>>().join(" ");
        Entry { text: if position { text.into() } else { moves() }, line, lines: Vec::new() }
    };
    lines.map(entry).collect()
}

/// A move without its number (`12.` and `12...`) and without what somebody thought of it (`!?`); none where nothing is
/// left.
fn bare(word: &str) -> Option<&str> {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let word = if digits.starts_with('.') { digits.trim_start_matches('.') } else { word };
    let word = word.trim_end_matches(['!', '?']);
    word.contains(char::is_alphanumeric).then_some(word)
}

/// A game of a PGN file while it is read.
#[derive(Default)]
struct Sheet {
    begun: Option<usize>,
    fen: Option<String>,
    moves: Vec<(String, usize)>,
}

impl Sheet {
    fn finish(&mut self) -> Result<Option<Entry>, (usize, String)> {
        let Self { begun, fen, moves } = std::mem::take(self);
        let Some(line) = begun else { return Ok(None) };
        let words: Vec<&str> = moves.iter().map(|m| m.0.as_str()).collect();
        let text = match (fen, words.join(" ")) {
            (None, words) if words.is_empty() => {
                return Err((line, "this game has neither moves nor a position; take it out of the book".into()));
            }
            (None, words) => words,
            (Some(fen), words) if words.is_empty() => fen,
            (Some(fen), words) => format!("{fen} moves {words}"),
        };
        Ok(Some(Entry { text, line, lines: moves.iter().map(|m| m.1).collect() }))
    }
}

/// The games of a PGN file: their main lines without comments, variations and glyphs.
fn pgn(text: &str, plies: u32) -> Result<Vec<Entry>, (usize, String)> {
    let (mut entries, mut game) = (Vec::new(), Sheet::default());
    let (mut chars, mut line, mut fresh) = (text.chars().peekable(), 1, true);
    let mut variations: Vec<usize> = Vec::new();
    while let Some(c) = chars.next() {
        let at_start = std::mem::replace(&mut fresh, c == '\n');
        match c {
            '\n' => line += 1,
            '%' if at_start => while chars.next_if(|c| *c != '\n').is_some() {},
            ';' => while chars.next_if(|c| *c != '\n').is_some() {},
            '{' => {
                let open = line;
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) => line += usize::from(c == '\n'),
                        None => return Err((open, "a comment is not closed: `}` is missing".into())),
                    }
                }
            }
            '(' => variations.push(line),
            ')' => {
                variations.pop().ok_or_else(|| (line, "`)` closes no variation".to_owned()))?;
            }
            '[' if variations.is_empty() => {
                if !game.moves.is_empty() {
                    entries.extend(game.finish()?);
                }
                game.begun.get_or_insert(line);
                let (name, value) = tag(&mut chars).ok_or((line, "write a tag as [Name \"value\"]".to_owned()))?;
                match name.as_str() {
                    "FEN" => game.fen = Some(value),
                    "Variant" if !["standard", "chess", "from position"].contains(&value.to_lowercase().as_str()) => {
                        return Err((line, format!("`{value}` is another game")));
                    }
                    _ => {}
                }
            }
            '$' => while chars.next_if(char::is_ascii_digit).is_some() {},
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !"{}()[];$".contains(*c)) {
                    word.push(c);
                }
                if !variations.is_empty() {
                    continue;
                }
                game.begun.get_or_insert(line);
                if RESULTS.contains(&word.as_str()) {
                    entries.extend(game.finish()?);
                } else if let Some(word) = bare(&word)
                    && word != "e.p."
                    && (plies == 0 || game.moves.len() < plies as usize)
                {
                    let castles = word.starts_with("0-0").then(|| word.replace('0', "O"));
                    game.moves.push((castles.unwrap_or_else(|| word.into()), line));
                }
            }
        }
    }
    if let Some(open) = variations.pop() {
        return Err((open, "a variation is not closed: `)` is missing".into()));
    }
    entries.extend(game.finish()?);
    Ok(entries)
}

/// `Name "value"]`, behind the bracket that opens it.
fn tag(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<(String, String)> {
    let (mut name, mut value) = (String::new(), String::new());
    while let Some(c) = chars.next_if(|c| !"\"]\n".contains(*c)) {
        name.push(c);
    }
    chars.next_if_eq(&'"')?;
    loop {
        match chars.next()? {
            '\n' => return None,
            '"' => break,
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
    while chars.next_if_eq(&' ').is_some() {}
    chars.next_if_eq(&']')?;
    Some((name.trim().into(), value))
}

/// An opening as the rules of its game understand it.
#[derive(Clone)]
pub struct Opening<G: Game> {
    /// The position that it begins with, where that is not the game's start.
    pub from: Option<G::State>,
    pub moves: Vec<Action>,
}

impl<G: Game> Default for Opening<G> {
    fn default() -> Self {
        Self { from: None, moves: Vec::new() }
    }
}

impl<G: Game> Opening<G> {
    /// Reads one, at most `plies` moves of it, all where that is 0. An error says what is wrong and, where it is a
    /// move, with which one, counted from 0.
    pub fn read(game: &G, text: &str, plies: u32) -> Result<Self, (Option<usize>, String)> {
        if game.spec().chance {
            return Err((None, "a game with chance has no fixed openings".into()));
        }
        let (from, words) = game.opening(text).map_err(|why| (None, why))?;
        let (mut state, mut moves) = (from.clone(), Vec::new());
        let most = if plies == 0 { usize::MAX } else { plies as usize };
        for (i, word) in words.split_whitespace().take(most).enumerate() {
            let action = game.read(&state, word).filter(|_| matches!(game.turn(&state), Turn::Player(_)));
            let action = action.ok_or_else(|| (Some(i), format!("`{word}` is not legal there")))?;
            game.play(&mut state, action);
            moves.push(action);
        }
        if game.turn(&state) == Turn::Over {
            let last = moves.len().checked_sub(1);
            return Err((last, "the game is over after it; `book_plies` takes only the first plies of a line".into()));
        }
        Ok(Self { from: (from != start(game)).then_some(from), moves })
    }

    /// The position that it begins with.
    pub fn begin(&self, game: &G, state: &mut G::State) {
        match &self.from {
            Some(from) => state.clone_from(from),
            None => game.start(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_envs::games::chess::Chess;

    const GAMES: &str = "% made by hand\n[Event \"a ] \\\"b\\\"\"]\n[Result \"*\"]\n\n1. e4 {king's\npawn; (not a variation)} e5 \
        (1... c5 2. Nf3 (2. c3 d5)) 2.Nf3! $1 Nc6?! ; rest (of) the line {\n3. Bb5 a6 1-0\n\n[SetUp \"1\"]\n\
        [FEN \"4k3/P7/8/8/8/8/8/4K2R b K - 0 40\"]\n\n40... Kd7 41. 0-0 Kc7 42. a8=Q *\n1. d4 d5 1/2-1/2";

    #[test]
    fn pgn_is_read_without_what_is_beside_its_moves() {
        let games = pgn(GAMES, 0).unwrap();
        let texts: Vec<&str> = games.iter().map(|g| g.text.as_str()).collect();
        assert_eq!(texts[0], "e4 e5 Nf3 Nc6 Bb5 a6");
        assert_eq!(texts[1], "4k3/P7/8/8/8/8/8/4K2R b K - 0 40 moves Kd7 O-O Kc7 a8=Q");
        assert_eq!(texts[2], "d4 d5");
        assert_eq!((games[0].line, games[0].line_of(Some(4)), games[1].line, games[2].line), (2, 7, 9, 13));
        let chess = Chess::new(Default::default()).unwrap();
        let openings: Vec<Opening<Chess>> = texts.iter().map(|t| Opening::read(&chess, t, 0).unwrap()).collect();
        assert_eq!(openings.iter().map(|o| o.moves.len()).collect::<Vec<_>>(), [6, 4, 2]);
        assert!(openings[0].from.is_none() && openings[1].from.is_some());
        let short: Vec<String> = pgn(GAMES, 2).unwrap().into_iter().map(|g| g.text).collect();
        assert_eq!(short[0], "e4 e5");
        assert!(short[1].ends_with("moves Kd7 O-O"));
    }

    #[test]
    fn what_is_wrong_in_pgn_is_told_with_its_line() {
        let line = |text: &str| pgn(text, 0).unwrap_err().0;
        assert_eq!(line("1. e4\n{ no end\n\n"), 2);
        assert_eq!(line("1. e4\n(1. d4\n\n"), 2);
        assert_eq!(line("1. e4 e5\n)\n"), 2);
        assert_eq!(line("[Event \"x\"]\n[Event x]\n\n1. e4 *"), 2);
        assert_eq!(line("1. e4 *\n[Event \"x\"]\n*"), 2);
        assert_eq!(line("[Variant \"Atomic\"]\n1. e4 *"), 1);
    }

    #[test]
    fn lists_hold_moves_and_positions() {
        let fen = "4k3/8/8/8/8/8/4P3/4K3 w - - 5 30";
        let entries = list(&format!("# a remark\n1. e4 e5 2.Nf3 1-0\n\n  e2e4   e7e5\n{fen}\n"));
        let all: Vec<(&str, usize)> = entries.iter().map(|e| (e.text.as_str(), e.line)).collect();
        assert_eq!(all, [("e4 e5 Nf3", 2), ("e2e4 e7e5", 4), (fen, 5)]);
    }

    #[test]
    fn positions_of_chess_are_read_in_every_notation() {
        let chess = Chess::new(Default::default()).unwrap();
        let fen = "4k3/8/8/8/8/8/4P3/4K3 w - - 5 30";
        for (text, known, moves) in [
            (fen, fen, 0),
            ("4k3/8/8/8/8/8/4P3/4K3\tw  -  - 5 30 moves e2e4", fen, 1),
            ("fen 4k3/8/8/8/8/8/4P3/4K3 w - - 5 30;", fen, 0),
            ("4k3/8/8/8/8/8/4P3/4K3 w - - bm e4; id \"x; y\"; hmvc 5; fmvn 30;", fen, 0),
            ("4k3/8/8/8/8/8/4P3/4K3 w - -", "4k3/8/8/8/8/8/4P3/4K3 w - - 0 1", 0),
            ("4k3/8/8/8/8/8/4P3/4K3 w - - bm e4", "4k3/8/8/8/8/8/4P3/4K3 w - - 0 1", 0),
            ("4k3/8/8/8/8/8/4P3/4K3 w - - 0 0", "4k3/8/8/8/8/8/4P3/4K3 w - - 0 1", 0),
        ] {
            let opening = Opening::read(&chess, text, 0).unwrap();
            let from = opening.from.unwrap();
            assert_eq!((chess.notation(&from).unwrap().as_str(), opening.moves.len()), (known, moves), "{text}");
        }
        for text in
            ["4k3/8/8/8/8/8/4P3/4K3 w - - 0 1 e2e4", "4k3/8/8/8/8/4P3/4K3 w - - 0 1", "8/8/8/8/8/8/8/8 w - - 0 1"]
        {
            assert!(Opening::read(&chess, text, 0).is_err(), "{text}");
        }
        let over = Opening::read(&chess, "f3 e5 g4 Qh4#", 0).err().unwrap();
        assert!(over.0 == Some(3) && over.1.contains("over"), "{over:?}");
        assert_eq!(Opening::read(&chess, "f3 e5 g4 Qh4#", 3).unwrap().moves.len(), 3);
        assert!(Opening::read(&chess, "4k3/8/8/8/8/8/8/4K3 w - - 0 1", 0).err().unwrap().1.contains("over"));
        assert_eq!(Opening::read(&chess, "e4 e5 Qh6", 0).err().unwrap().0, Some(2));
    }
}
