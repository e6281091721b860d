//! The games of a tournament, played again: every move checked, every position drawn.

use super::game::{End, Record};
use super::plan::Plan;
use super::play::{self, GAMES};
use crate::failure::{Failure, Outcome};
use crate::run::Run;
use agon_core::Scene;
use agon_core::episode::{Action, Episode, FORMAT, Header, Step};
use agon_core::game::{Game, Turn, Visit, mix};
use agon_core::rng::{Rng, Stream};
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
    let again = Again { plan: &plan, lines: vec![(count, line)].into_iter().map(Ok), path: &path, pictures: true };
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
    Ok(visit(&plan, Again { plan: &plan, lines, path: &path, pictures: false })?.0)
}

/// The lines of a file of games.
pub type Lines = std::io::Lines<BufReader<Take<File>>>;

/// A tournament's scenario and its games. A line that is only half written is not there yet.
pub fn open(folder: &Path) -> Outcome<(Plan, Lines)> {
    let plan = Plan::read(&Run::open(folder)?.path("scenario.toml"), &[])?;
    let path = folder.join(GAMES);
    let mut file = File::open(&path).map_err(|e| Failure::read(&path, &e))?;
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
pub fn visit<V: Visit<Out = Checked>>(plan: &Plan, visitor: V) -> Checked {
    agon_envs::games::visit(&plan.game, &plan.game_settings, visitor).map_err(|e| plan.wrong_game(e.to_string()))?
}

struct Again<'a, L> {
    plan: &'a Plan,
    lines: L,
    path: &'a Path,
    pictures: bool,
}

impl<L: Iterator<Item = std::io::Result<(u64, String)>>> Visit for Again<'_, L> {
    type Out = Checked;

    fn visit<G: Game>(self, game: G) -> Checked {
        let (mut games, mut film, mut before) = (0, None, None);
        for line in self.lines {
            let (number, line) = line.map_err(|e| Failure::read(self.path, &e))?;
            let at = |why: String| format!("{}:{number}: {why}", self.path.display());
            let record: Record = serde_json::from_str(&line).map_err(|e| Failure::Input(at(e.to_string())))?;
            let mut scenes = Vec::new();
            let limit = self.plan.most_plies(game.spec().max_plies);
            possible(self.plan, limit, &record, before.as_ref()).map_err(|why| Failure::Check(at(why)))?;
            let steps = again(&game, &record, self.pictures.then_some(&mut scenes));
            let steps = steps.map_err(|why| Failure::Check(at(why)))?;
            games += 1;
            before = (record.game == 0).then(|| record.clone());
            if self.pictures {
                film = Some((episode(self.plan, &game, &record, steps), scenes));
            }
        }
        Ok((games, film))
    }
}

/// Whether a game can have been played so in this tournament; `first` is the pair's other game, where it came before.
fn possible(plan: &Plan, limit: u32, record: &Record, first: Option<&Record>) -> Result<(), String> {
    let (set, plies) = (&plan.set, record.moves.len());
    if record.seed != mix(set.seed, record.pair) {
        return Err("its seed is not the pair's".into());
    }
    let opening = |r: &Record| r.moves[..(r.opening as usize).min(r.moves.len())].to_vec();
    let same = |f: &Record| f.from == record.from && (f.opening != record.opening || opening(f) == opening(record));
    if first.is_some_and(|f| record.game == 1 && !same(f)) {
        return Err("its opening is not that of the pair's first game".into());
    }
    match record.end {
        End::Length if plies != limit as usize => Err(format!("it was cut off after {plies} plies, not {limit}")),
        End::Adjudicated if set.resign_moves == 0 && set.draw_moves == 0 => Err("nobody adjudicates here".into()),
        End::Time if set.move_ms == 0 && record.fault.is_none() => Err("nobody has a clock here".into()),
        _ => Ok(()),
    }
}

fn episode<G: Game>(plan: &Plan, game: &G, record: &Record, steps: Vec<Step>) -> Episode {
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
    let mut chance = Rng::new(record.seed, Stream::Env, 0);
    let mut settle = |state: &mut G::State| {
        while game.turn(state) == Turn::Chance {
            let outcome = game.roll(state, &mut chance);
            game.play(state, outcome);
        }
    };
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
    settle(&mut state);
    picture(&state, String::new());
    let (mut steps, mut earned) = (Vec::with_capacity(record.moves.len()), vec![0.0; players]);
    for (i, action) in record.moves.iter().enumerate() {
        let Turn::Player(mover) = game.turn(&state) else {
            return Err(format!("move {} comes after the end of the game", i + 1));
        };
        let (mut legal, last) = (false, i + 1 == record.moves.len());
        game.moves(&state, |a| legal |= a == *action);
        if legal == (last && record.end == End::Illegal) {
            return Err(format!("move {} is {}", i + 1, if legal { "legal" } else { "not legal" }));
        }
        let written = if legal { game.write(&state, *action) } else { format!("an illegal move, number {action}") };
        if legal {
            game.play(&mut state, *action);
            settle(&mut state);
        }
        picture(&state, format!("{}: {written}", game.spec().seats[mover]));
        let mut now = vec![0.0; players];
        game.returns(&state, &mut now);
        if last && record.end != End::Rules {
            now = record.returns.to_vec();
        }
        let reward = now.iter().zip(&earned).map(|(a, b)| a - b).collect();
        let mut joint = vec![0; players];
        joint[mover] = i64::from(*action);
        let cut = matches!(record.end, End::Length | End::Adjudicated);
        let (terminated, truncated) = (last && !cut, last && cut);
        let hash = game.hash(&state);
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
    if record.end == End::Illegal && record.moves.is_empty() {
        return Err("it ended by an illegal move and has none".into());
    }
    if game.hash(&state) != record.hash {
        return Err("its last position is not the recorded one".into());
    }
    Ok(steps)
}
