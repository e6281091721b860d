//! Chess; the rules of movement are those of the crate `cozy-chess`. A game also ends as a draw with a position that
//! occurred three times, after 50 moves of each without a capture or a pawn's move, and where nobody can mate.
//!
//! Actions, seen from the side of the mover (rank 1 is its own): 73 × square + plane, with the planes of AlphaZero
//! (Silver et al. 2017): 56 for lines (direction × 7 + distance − 1, north first, clockwise), 8 for knights, 9 for
//! promotions to less than a queen.

use agon_core::env::ensure;
use agon_core::game::{Action, follow_from, mix, start};
use agon_core::scene::{Ink, Scene};
use agon_core::{EnvError, Game, GameSpec, Rng, Turn};
use cozy_chess::{Board, Color, File, Move, Piece, PieceMoves, Rank, Square, get_pawn_attacks, util};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct ChessSettings {
        /// Plies after which an episode is truncated.
        step_limit: u32 = 1000, in [1.0, 1e9];
    }
}

#[derive(Clone)]
pub struct Chess {
    spec: GameSpec,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Saved", try_from = "Saved")]
pub struct State {
    board: Board,
    /// Keys of the positions since the last capture or pawn's move, this one included.
    past: Vec<u64>,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Running,
    Draw,
    /// The player to move is mated.
    Mate,
}

/// A state as it is saved.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    fen: String,
    /// May be left out by who only knows the position.
    #[serde(default)]
    past: Vec<u64>,
}

impl From<State> for Saved {
    fn from(state: State) -> Self {
        Self { fen: state.board.to_string(), past: state.past }
    }
}

impl TryFrom<Saved> for State {
    type Error = String;

    fn try_from(saved: Saved) -> Result<Self, String> {
        let board = board(&saved.fen)?;
        let past = if saved.past.is_empty() { vec![key(&board)] } else { saved.past };
        let mut state = Self { board, past, end: End::Running };
        state.settle();
        Ok(state)
    }
}

impl Default for State {
    fn default() -> Self {
        let board = Board::default();
        Self { past: vec![board.hash()], board, end: End::Running }
    }
}

impl Clone for State {
    fn clone(&self) -> Self {
        Self { board: self.board.clone(), past: self.past.clone(), end: self.end }
    }

    fn clone_from(&mut self, from: &Self) {
        self.board.clone_from(&from.board);
        self.past.clone_from(&from.past);
        self.end = from.end;
    }
}

/// The first word of a text and what stands behind it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn board(fen: &str) -> Result<Board, String> {
    // The crate does not count ranks.
    if word(fen).0.split('/').count() != 8 {
        return Err(format!("`{fen}` is not a position of chess: there must be 8 ranks"));
    }
    Board::from_fen(fen, false).map_err(|e| format!("`{fen}` is not a position of chess: {e}"))
}

/// A hash in which the right to capture en passant counts only where it can be used.
fn key(board: &Board) -> u64 {
    let Some(file) = board.en_passant() else { return board.hash() };
    let mover = board.side_to_move();
    let to = Square::new(file, Rank::Sixth.relative_to(mover));
    let pawns = get_pawn_attacks(to, !mover) & board.colored_pieces(mover, Piece::Pawn);
    let usable = pawns.into_iter().any(|from| board.is_legal(Move { from, to, promotion: None }));
    if usable { board.hash() } else { board.hash_without_ep() }
}

/// Neither side can ever mate: bare kings, a single minor piece, or bishops of one colour only.
fn dead(board: &Board) -> bool {
    let [pawns, rooks, queens] = [Piece::Pawn, Piece::Rook, Piece::Queen].map(|p| board.pieces(p));
    if !(pawns | rooks | queens).is_empty() {
        return false;
    }
    let [knights, bishops] = [Piece::Knight, Piece::Bishop].map(|p| board.pieces(p));
    let dark = cozy_chess::BitBoard::DARK_SQUARES;
    knights.len() + bishops.len() < 2 || knights.is_empty() && (bishops.is_subset(dark) || bishops.is_disjoint(dark))
}

impl State {
    /// Finds out whether the game is over.
    #[inline]
    fn settle(&mut self) {
        let now = self.past.last().copied().unwrap_or_default();
        let times = self.past.iter().filter(|p| **p == now).count();
        self.end = if times >= 3 || dead(&self.board) {
            End::Draw
        } else if !self.board.generate_moves(|_| true) {
            if self.board.checkers().is_empty() { End::Draw } else { End::Mate }
        } else if self.board.halfmove_clock() >= 100 {
            End::Draw
        } else {
            End::Running
        };
    }

    fn mover(&self) -> usize {
        self.board.side_to_move() as usize
    }
}

/// Steps in files and ranks: north and on clockwise, then the knight's.
const STEPS: [(i8, i8); 16] = [
    (0, 1),
    (1, 1),
    (1, 0),
    (1, -1),
    (0, -1),
    (-1, -1),
    (-1, 0),
    (-1, 1), // lines
    (1, 2),
    (2, 1),
    (2, -1),
    (1, -2),
    (-1, -2),
    (-2, -1),
    (-2, 1),
    (-1, 2),
];
const PLANES: usize = 73;
const LESSER: [Piece; 3] = [Piece::Knight, Piece::Bishop, Piece::Rook];

/// A square from the mover's side.
#[inline]
fn relative(square: Square, mover: Color) -> Square {
    if mover == Color::White { square } else { square.flip_rank() }
}

#[inline]
fn encode(board: &Board, mv: Move) -> Action {
    let mover = board.side_to_move();
    let mut to = mv.to;
    if board.colors(mover).has(to) {
        // The crate writes castling as the king taking the rook.
        to = Square::new(if mv.from.file() < to.file() { File::G } else { File::C }, to.rank());
    }
    let (from, to) = (relative(mv.from, mover), relative(to, mover));
    let (dx, dy) = (to.file() as i8 - from.file() as i8, to.rank() as i8 - from.rank() as i8);
    let plane = match mv.promotion {
        Some(piece) if piece != Piece::Queen => 64 + 3 * (dx + 1) as usize + piece as usize - Piece::Knight as usize,
        _ if dx == 0 || dy == 0 || dx.abs() == dy.abs() => {
            // North, north-east and so on: the angle in eighths of a turn.
            const DIRECTION: [[usize; 3]; 3] = [[5, 4, 3], [6, 0, 2], [7, 0, 1]];
            let direction = DIRECTION[(dy.signum() + 1) as usize][(dx.signum() + 1) as usize];
            direction * 7 + dx.abs().max(dy.abs()) as usize - 1
        }
        _ => 56 + STEPS[8..].iter().position(|s| *s == (dx, dy)).unwrap_or_default(),
    };
    (from as usize * PLANES + plane) as Action
}

/// The move behind an action, `None` where it leaves the board or no piece stands. It need not be legal.
#[inline]
fn decode(board: &Board, action: Action) -> Option<Move> {
    let (from, plane) = (Square::try_index(usize::from(action) / PLANES)?, usize::from(action) % PLANES);
    let mover = board.side_to_move();
    let lesser = plane >= 64;
    let (dx, dy) = match plane {
        0..56 => {
            let ((dx, dy), n) = (STEPS[plane / 7], plane as i8 % 7 + 1);
            (dx * n, dy * n)
        }
        56..64 => STEPS[plane - 48],
        _ => ((plane as i8 - 64) / 3 - 1, 1),
    };
    let mut to = relative(from.try_offset(dx, dy)?, mover);
    let from = relative(from, mover);
    let piece = board.piece_on(from)?;
    if piece == Piece::King && dx.abs() == 2 {
        let rights = board.castle_rights(mover);
        to = Square::new(if dx > 0 { rights.short } else { rights.long }?, from.rank());
    }
    let last = to.rank() == Rank::Eighth.relative_to(mover);
    let promotion = match piece == Piece::Pawn && last {
        false => None,
        true if lesser => Some(LESSER[(plane - 64) % 3]),
        true => Some(Piece::Queen),
    };
    Some(Move { from, to, promotion })
}

impl Chess {
    /// The move behind a legal action.
    pub fn decode(&self, state: &State, action: Action) -> Option<Move> {
        decode(&state.board, action)
    }

    /// The board of a state.
    pub fn board<'a>(&self, state: &'a State) -> &'a Board {
        &state.board
    }
}

impl Game for Chess {
    type Settings = ChessSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(set: ChessSettings) -> Result<Self, EnvError> {
        let spec = GameSpec::board(["white", "black"], 64 * PLANES, vec![20, 8, 8], set.step_limit);
        Ok(Self { spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        state.board = Board::default();
        state.end = End::Running;
        state.past.clear();
        state.past.reserve(104);
        state.past.push(key(&state.board));
    }

    /// The crate has checked the board itself: a king a side, at most 16 pieces, no pawn on the last ranks, nobody in
    /// check who is not to move.
    fn check(&self, state: &State) -> Result<(), String> {
        for colour in Color::ALL {
            let rights = state.board.castle_rights(colour);
            let may = rights.short.is_some() || rights.long.is_some();
            ensure(!may || state.board.king(colour).file() == File::E, "a king may castle that has moved")?;
        }
        let positions = 1..=usize::from(state.board.halfmove_clock()) + 1;
        ensure(
            positions.contains(&state.past.len()),
            "`past` does not hold the positions since a capture or pawn move",
        )?;
        ensure(state.past.last() == Some(&key(&state.board)), "`past` does not end with this position")
    }

    #[inline]
    fn turn(&self, state: &State) -> Turn {
        if state.end == End::Running { Turn::Player(state.mover()) } else { Turn::Over }
    }

    fn moves(&self, state: &State, mut each: impl FnMut(Action)) {
        if state.end == End::Running {
            state.board.generate_moves(|moves| {
                moves.into_iter().for_each(|mv| each(encode(&state.board, mv)));
                false
            });
        }
    }

    #[inline]
    fn play(&self, state: &mut State, action: Action) {
        let Some(mv) = decode(&state.board, action) else { return };
        state.board.play_unchecked(mv);
        if state.board.halfmove_clock() == 0 {
            state.past.clear();
        }
        state.past.push(key(&state.board));
        state.settle();
    }

    #[inline]
    fn random_move(&self, state: &State, rng: &mut Rng) -> Action {
        // Pieces that can move: at most 16, and pawns once more for en passant.
        let mut list = [None; 32];
        let (mut pieces, mut count) = (0, 0);
        state.board.generate_moves(|moves: PieceMoves| {
            list[pieces] = Some(moves);
            pieces += 1;
            count += moves.len();
            false
        });
        let mut pick = rng.below(count as u32) as usize;
        for moves in list.into_iter().flatten() {
            if pick < moves.len() {
                return moves.into_iter().nth(pick).map_or(0, |mv| encode(&state.board, mv));
            }
            pick -= moves.len();
        }
        0
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns.fill(0.0);
        if state.end == End::Mate {
            returns[state.mover()] = -1.0;
            returns[1 - state.mover()] = 1.0;
        }
    }

    /// Material in pawns (Shannon 1950: 1, 3, 3, 5, 9), squeezed.
    fn estimate(&self, state: &State, player: usize) -> f32 {
        let side = if player == 0 { Color::White } else { Color::Black };
        let worth = [1.0, 3.0, 3.0, 5.0, 9.0];
        let material = |colour: Color| -> f32 {
            let count = |p: Piece| state.board.colored_pieces(colour, p).len() as f32;
            Piece::ALL.into_iter().zip(worth).map(|(p, w)| w * count(p)).sum()
        };
        ((material(side) - material(!side)) / 10.0).tanh() * 0.9
    }

    fn hash(&self, state: &State) -> u64 {
        let past = state.past.iter().fold(0, |sum: u64, p| sum.wrapping_add(mix(1, *p)));
        mix(mix(state.board.hash(), past), u64::from(state.board.halfmove_clock()))
    }

    /// Planes from the player's side: its own six kinds of pieces, the other's six, four rights to castle (own short,
    /// own long, the other's), the square behind a pawn that may be taken en passant, the clock of the 50 moves in
    /// hundredths of plies, whether the position is a repetition, all ones if to move.
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        let board = &state.board;
        let side = if player == 0 { Color::White } else { Color::Black };
        for (s, colour) in [side, !side].into_iter().enumerate() {
            for (p, piece) in Piece::ALL.into_iter().enumerate() {
                for square in board.colored_pieces(colour, piece) {
                    obs[(s * 6 + p) * 64 + relative(square, side) as usize] = 1.0;
                }
            }
            let rights = board.castle_rights(colour);
            for (r, right) in [rights.short, rights.long].into_iter().enumerate() {
                obs[(12 + 2 * s + r) * 64..][..64].fill(f32::from(u8::from(right.is_some())));
            }
        }
        if let Some(file) = board.en_passant() {
            let square = Square::new(file, Rank::Sixth.relative_to(board.side_to_move()));
            obs[16 * 64 + relative(square, side) as usize] = 1.0;
        }
        let repeated = state.past.iter().filter(|p| state.past.last() == Some(p)).count() > 1;
        obs[17 * 64..18 * 64].fill(f32::from(board.halfmove_clock()) / 100.0);
        obs[18 * 64..19 * 64].fill(f32::from(u8::from(repeated)));
        obs[19 * 64..].fill(f32::from(u8::from(board.side_to_move() == side)));
    }

    /// As the Universal Chess Interface does: `e2e4`, `e1g1`, `a7a8q`.
    fn write(&self, state: &State, action: Action) -> String {
        decode(&state.board, action).map_or_else(String::new, |mv| util::display_uci_move(&state.board, mv).to_string())
    }

    /// Standard algebraic notation.
    fn write_in_record(&self, state: &State, action: Action) -> String {
        decode(&state.board, action).map_or_else(String::new, |mv| util::display_san_move(&state.board, mv).to_string())
    }

    /// Coordinates or standard algebraic notation.
    fn read(&self, state: &State, text: &str) -> Option<Action> {
        let text = text.trim();
        let coordinates = util::parse_uci_move(&state.board, &text.to_lowercase());
        let mv = coordinates.or_else(|_| util::parse_san_move(&state.board, text)).ok()?;
        (state.end == End::Running && state.board.is_legal(mv)).then(|| encode(&state.board, mv))
    }

    /// Moves from the beginning, or Forsyth-Edwards notation, or that with the word `moves` and moves.
    fn position(&self, text: &str) -> Result<State, String> {
        let (state, moves) = self.opening(text)?;
        follow_from(self, state, moves)
    }

    /// A position in FEN or EPD, with `moves` and moves after it or operations, which are passed over but for the clocks
    /// (`hmvc`, `fmvn`); or moves alone. `position`, `fen` and `startpos` may stand before it, as in UCI.
    fn opening<'a>(&self, text: &'a str) -> Result<(State, &'a str), String> {
        let mut rest = text.trim_start();
        while let ("position" | "fen" | "startpos", after) = word(rest) {
            rest = after;
        }
        if !word(rest).0.contains('/') {
            return Ok((start(self), if let ("moves", after) = word(rest) { after } else { rest }));
        }
        let mut fields = [""; 4];
        for field in &mut fields {
            (*field, rest) = word(rest);
        }
        let mut clocks = [0, 1];
        for (clock, name) in clocks.iter_mut().zip(["hmvc", "fmvn"]) {
            let number = |text: &str| text.trim_end_matches(';').parse::<u32>().ok();
            let (next, after) = word(rest);
            if let Some(n) = number(next) {
                (*clock, rest) = (n, after);
            } else if let Some((_, after)) = rest.split_once(name) {
                *clock = number(word(after).0).unwrap_or(*clock);
            }
        }
        let [half, full] = clocks;
        // Many programs begin to count at 0.
        let board = board(&format!("{} {half} {}", fields.join(" ").trim_end(), full.max(1)))?;
        let moves = match word(rest) {
            ("moves", after) => after,
            ("" | "bm" | "am" | "id", _) => "",
            _ if rest.contains(';') => "",
            (other, _) => return Err(format!("`{other}` after a position: moves stand behind the word `moves`")),
        };
        let mut state = State { past: vec![key(&board)], board, end: End::Running };
        state.settle();
        self.check(&state)?;
        Ok((state, moves))
    }

    /// Forsyth-Edwards notation.
    fn notation(&self, state: &State) -> Option<String> {
        Some(state.board.to_string())
    }

    fn plies_before(&self, state: &State) -> u32 {
        2 * (u32::from(state.board.fullmove_number()) - 1) + state.mover() as u32
    }

    fn irreversible(&self, state: &State) -> bool {
        state.board.halfmove_clock() == 0
    }

    fn text(&self, state: &State) -> String {
        let letter = |square: Square| match (state.board.piece_on(square), state.board.color_on(square)) {
            (Some(piece), Some(Color::White)) => char::from(piece).to_ascii_uppercase(),
            (Some(piece), _) => char::from(piece),
            _ => '.',
        };
        let row = |rank: &Rank| {
            let cells: String = File::ALL.iter().flat_map(|f| [' ', letter(Square::new(*f, *rank))]).collect();
            format!("{}{cells}\n", *rank as usize + 1)
        };
        let rows: String = Rank::ALL.iter().rev().map(row).collect();
        format!("{rows}  a b c d e f g h\n{}", state.board)
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        let text = self.text(state);
        let (board, fen) = text.rsplit_once('\n').unwrap_or((&text, ""));
        *scene = Scene::default();
        scene.board(board, |row, column, letter| match letter {
            _ if row == 8 || column == 0 => Ink::Body,
            'A'..='Z' => Ink::Agent,
            'a'..='z' => Ink::Danger,
            _ => Ink::Frame,
        });
        scene.note("FEN", fen);
    }
}
