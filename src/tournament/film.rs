//! The games of a tournament, played again: every move checked, every position drawn.

use super::book::Opening;
use super::game::{Board, Record};
use super::plan::TournamentPlan;
use super::play::{self, GAMES};
use super::schedule::Schedule;
use crate::failure::{Failure, Outcome, quoted};
use crate::files;
use crate::run::Run;
use agon_core::Scene;
use agon_core::episode::{Action, Episode, FORMAT, Header, Step};
use agon_core::game::{Game, Turn, Visit, mix};
use agon_core::rng::{Rng, Stream};
use agon_search::match_loop::{End, Match};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::path::Path;

/// Whether a folder holds a tournament.
pub fn is_tournament(folder: &Path) -> bool {
    folder.join(GAMES).is_file()
}

/// One game as an episode with pictures; the last one where none is named. Games are counted from 1.
pub fn film(folder: &Path, number: Option<u64>) -> Outcome<(Episode, Vec<Scene>)> {
    let (plan, mut lines) = open(folder)?;
    let path = folder.join(GAMES);
    let mut found = None;
    let mut count = 0;
    while let Some(line) = lines.next().transpose().map_err(|e| Failure::read(&path, &e))? {
        count += 1;
        found = Some(line);
        if number == Some(count) {
            break;
        }
    }
    let (None, Some(line)) = (number.filter(|n| *n != count), found) else {
        return Err(Failure::Input(format!("{} holds {count} games", folder.display())));
    };
    let again = Again { plan: &plan, lines: vec![(count, line)].into_iter().map(Ok), path: &path, whole: false };
    let (_, film) = visit(&plan, again)?;
    film.ok_or_else(|| Failure::Internal("a game without pictures".into()))
}

/// Plays every game again; how many there are.
pub fn verify(folder: &Path) -> Outcome<u64> {
    let (plan, lines) = open(folder)?;
    let path = folder.join(GAMES);
    // That every game is where it belongs, and then each for itself.
    play::follow(&Run::open(folder)?, &mut play::nothing(&plan), 0)?;
    let lines = lines.zip(1..).map(|(line, n)| line.map(|l| (n, l)));
    let games = visit(&plan, Again { plan: &plan, lines, path: &path, whole: true })?.0;
    // How many were played is told beside them; while more are played, it may be told before they are written.
    let run = Run::open(folder)?;
    let told = run.read_status().and_then(|status| status["step"].as_u64()).unwrap_or(0);
    if games < 2 * told && !run.is_live() {
        let message = format!(
            "{}: {games} of {} games are here; the others are lost, and played again by\n  agon tournament --resume {}",
            path.display(),
            2 * told,
            quoted(folder)
        );
        return Err(Failure::Check(message));
    }
    Ok(games)
}

/// The lines of a file of games.
pub type Lines = std::io::Lines<BufReader<Take<File>>>;

/// A tournament's scenario and its games. A line that is only half written is not there yet.
pub fn open(folder: &Path) -> Outcome<(TournamentPlan, Lines)> {
    let plan = TournamentPlan::read(&Run::open(folder)?.path("scenario.toml"), &[])?;
    let path = folder.join(GAMES);
    let mut file = files::open(&path)?;
    let whole = whole_lines(&mut file).map_err(|e| Failure::read(&path, &e))?;
    Ok((plan, BufReader::new(file.take(whole)).lines()))
}

/// Bytes up to the last end of a line.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let (mut end, mut block) = (file.metadata()?.len(), Vec::new());
    while end > 0 {
        let from = end.saturating_sub(1 << 16);
        file.seek(SeekFrom::Start(from))?;
        block.clear();
        file.take(end - from).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|b| *b == b'\n') {
            end = from + at as u64 + 1;
            break;
        }
        end = from;
    }
    file.rewind()?;
    Ok(end)
}

/// How many games there were; with pictures where they were asked for.
pub type Checked = Outcome<(u64, Option<(Episode, Vec<Scene>)>)>;

/// Does something with the tournament's game.
pub fn visit<V: Visit<Out = Checked>>(plan: &TournamentPlan, visitor: V) -> Checked {
    agon_envs::games::visit(&plan.game, &plan.game_settings, visitor).map_err(|e| plan.wrong_game(e.to_string()))?
}

struct Again<'a, L> {
    plan: &'a TournamentPlan,
    lines: L,
    path: &'a Path,
    /// All lines from the first on, and what only follows from all: or one game, with pictures.
    whole: bool,
}

impl<L: Iterator<Item = std::io::Result<(u64, String)>>> Visit for Again<'_, L> {
    type Out = Checked;

    fn visit<G: Game>(self, game: G) -> Checked {
        let (mut games, mut film) = (0, None);
        let mut course = self.whole.then(|| Course::new(&game, self.plan, has_digests(self.path))).transpose()?;
        for line in self.lines {
            let (number, line) = line.map_err(|e| Failure::read(self.path, &e))?;
            let at = |why: String| format!("{}:{number}: {why}", self.path.display());
            let record: Record = serde_json::from_str(&line).map_err(|e| Failure::Input(at(e.to_string())))?;
            let mut scenes = Vec::new();
            let limit = self.plan.most_plies(game.spec().max_plies);
            possible(self.plan, limit, &record).map_err(|why| Failure::Check(at(why)))?;
            if let Some(course) = &mut course {
                course.next(self.plan, &record).map_err(|why| Failure::Check(at(why)))?;
            }
            let steps = again(&game, &record, (!self.whole).then_some(&mut scenes));
            let steps = steps.map_err(|why| Failure::Check(at(why)))?;
            if !record.is_whole() {
                return Err(Failure::Check(at("it is not as it was written: its digest is another one".into())));
            }
            games += 1;
            if !self.whole {
                film = Some((episode(self.plan, &game, &record, steps), scenes));
            }
        }
        Ok((games, film))
    }
}

/// What else a game must be by those before it: its opening follows from who met whom how often.
struct Course<G: Game> {
    schedule: Schedule,
    /// Nobody plays at it: it knows the openings.
    board: Board<G>,
    opening: Opening<G>,
    first: Option<Record>,
    pairs: u64,
    /// Whether the tournament was begun by a version that writes digests, or a line had one: then all after it have.
    digests: bool,
}

/// Whether a tournament was begun by a version that writes a digest with every game.
fn has_digests(games: &Path) -> bool {
    let text = files::text(&games.with_file_name("provenance.json")).unwrap_or_default();
    serde_json::from_str(&text).is_ok_and(|told: Value| told["digests"] == true)
}

impl<G: Game> Course<G> {
    fn new(game: &G, plan: &TournamentPlan, digests: bool) -> Outcome<Self> {
        let board = Board::new(game.clone(), Vec::new(), play::openings(game, plan)?);
        let (schedule, opening) = (Schedule::new(plan), Opening::default());
        Ok(Self { schedule, board, opening, first: None, pairs: 0, digests })
    }

    fn next(&mut self, plan: &TournamentPlan, record: &Record) -> Result<(), String> {
        let first = self.first.take();
        if first.is_none() {
            self.opening = self.board.opening(plan, self.schedule.pairing(self.pairs)).0;
        }
        let (moves, from) = (&self.opening.moves, self.opening.from.as_ref());
        let plies = moves.len().min(record.moves.len());
        let given = record.from == from.and_then(|state| self.board.game.notation(state));
        if !given || record.opening as usize != plies || record.moves[..plies] != moves[..plies] {
            return Err("its opening is not the one that the tournament gave it".into());
        }
        if self.digests && record.digest.is_none() {
            return Err("it has no digest: it is not as it was written".into());
        }
        self.digests = record.digest.is_some();
        match first {
            None => self.first = Some(record.clone()),
            Some(first) => {
                self.schedule.add([first.score_then(0), record.score_then(1)]);
                self.pairs += 1;
            }
        }
        Ok(())
    }
}

/// Whether a game can have ended so in this tournament.
fn possible(plan: &TournamentPlan, limit: u32, record: &Record) -> Result<(), String> {
    let (set, plies) = (&plan.set, record.moves.len());
    if record.seed != mix(set.seed, record.pair) {
        return Err("its seed is not the pair's".into());
    }
    // Of one seat, the opening's not counted.
    let moves = plies.saturating_sub(record.opening as usize).div_ceil(2);
    let drawn = record.returns[0] == record.returns[1];
    // A position of a book comes with moves of its own before it.
    let late = record.from.is_some() || plies >= set.draw_after as usize;
    let long = |moves_asked: u32| moves_asked > 0 && moves >= moves_asked as usize;
    match record.end {
        _ if plies > limit as usize => Err(format!("it has more than {limit} plies")),
        End::Length if plies != limit as usize => Err(format!("it was cut off after {plies} plies, not {limit}")),
        End::Adjudicated if drawn && !(long(set.draw_moves) && late) => Err("no game can be drawn so here".into()),
        End::Adjudicated if !drawn && !long(set.resign_moves) => Err("no game can be won so here".into()),
        End::Time if set.move_ms == 0 && record.fault.is_none() => Err("nobody has a clock here".into()),
        _ => Ok(()),
    }
}

fn episode<G: Game>(plan: &TournamentPlan, game: &G, record: &Record, steps: Vec<Step>) -> Episode {
    let name = |seat: usize| plan.entrants.get(record.seats[seat] as usize).map_or("?", |e| e.name.as_str());
    let seats = &game.spec().seats;
    let header = Header {
        format: FORMAT.into(),
        env: plan.game.clone(),
        version: G::VERSION,
        settings: plan.game_settings.clone(),
        seed: record.seed,
        actor: format!("{} ({}) and {} ({})", name(0), seats[0], name(1), seats[1]),
        start: Value::Null,
        hash: 0,
    };
    Episode { header, steps }
}

/// The position that a game began with.
pub fn begin<G: Game>(game: &G, record: &Record) -> Result<G::State, String> {
    let Some(from) = &record.from else { return Ok(agon_core::game::start(game)) };
    match game.opening(from) {
        Ok((state, "")) if game.notation(&state).as_ref() == Some(from) => Ok(state),
        Ok(_) => Err(format!("`{from}` is no position that a game begins with")),
        Err(why) => Err(why),
    }
}

/// Plays a record again and checks it: legal moves, the end, the returns, the last position.
pub fn again<G: Game>(game: &G, record: &Record, mut scenes: Option<&mut Vec<Scene>>) -> Result<Vec<Step>, String> {
    let mut picture = |state: &G::State, caption: String| {
        if let Some(scenes) = &mut scenes {
            let mut scene = Scene::default();
            game.draw(state, &mut scene);
            scene.caption = caption;
            scenes.push(scene);
        }
    };
    let players = game.spec().players();
    let mut state = begin(game, record)?;
    let mut played = Match::begin(game, &mut state, Rng::new(record.seed, Stream::Env, 0), &mut []);
    picture(played.state(), String::new());
    let (mut steps, mut earned) = (Vec::with_capacity(record.moves.len()), vec![0.0; players]);
    for (i, action) in record.moves.iter().enumerate() {
        let Turn::Player(mover) = played.turn() else {
            return Err(format!("move {} comes after the end of the game", i + 1));
        };
        let (mut legal, last) = (false, i + 1 == record.moves.len());
        game.moves(played.state(), |a| legal |= a == *action);
        if legal == (last && record.end == End::Illegal) {
            return Err(format!("move {} is {}", i + 1, if legal { "legal" } else { "not legal" }));
        }
        let written =
            if legal { game.write(played.state(), *action) } else { format!("an illegal move, number {action}") };
        if legal {
            played.play(&mut [], *action);
        }
        picture(played.state(), format!("{}: {written}", game.spec().seats[mover]));
        let mut now = vec![0.0; players];
        game.returns(played.state(), &mut now);
        if last && record.end != End::Rules {
            now = record.returns.to_vec();
        }
        let reward = now.iter().zip(&earned).map(|(a, b)| a - b).collect();
        let mut joint = vec![0; players];
        joint[mover] = i64::from(*action);
        let cut = matches!(record.end, End::Length | End::Adjudicated);
        let (terminated, truncated) = (last && !cut, last && cut);
        let hash = game.hash(played.state());
        steps.push(Step { action: Action::Discrete(joint), reward, terminated, truncated, hash });
        earned = now;
    }
    let over = game.turn(&state) == Turn::Over;
    if over != (record.end == End::Rules) {
        return Err(format!("the game is {}over after its last move", if over { "" } else { "not " }));
    }
    if record.end == End::Rules && earned[..] != record.returns[..] {
        return Err(format!("its returns are {earned:?}, not {:?}", record.returns));
    }
    let [least, most] = game.spec().returns;
    let lost = |loser: usize| if loser == 0 { [least, most] } else { [most, least] };
    let possible = match (record.end, game.turn(&state)) {
        (End::Illegal | End::Crash | End::Time | End::Resigned, Turn::Player(mover)) => vec![lost(mover)],
        // What the players thought is not recorded; that the game was given to one or to neither is.
        (End::Adjudicated, _) => vec![[0.0; 2], lost(0), lost(1)],
        (End::Length, _) => vec![[0.0; 2]],
        _ => vec![record.returns],
    };
    if !possible.contains(&record.returns) {
        return Err(format!("returns of {:?} do not go with its end", record.returns));
    }
    let forfeit = matches!(record.end, End::Illegal | End::Crash | End::Time);
    if record.fault.is_some() && !forfeit || record.fault.is_none() && record.end == End::Crash {
        return Err("what the player did does not go with its end".into());
    }
    if record.end == End::Illegal && record.moves.is_empty() {
        return Err("it ended by an illegal move and has none".into());
    }
    if game.hash(&state) != record.hash {
        return Err("its last position is not the recorded one".into());
    }
    Ok(steps)
}
