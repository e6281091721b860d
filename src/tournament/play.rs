//! Plays the pairs of a tournament on all cores and commits them in order.
//!
//! Workers take chunks of pairs and give back lines; one committer puts them in order, writes them, counts them and
//! asks the schedule what is next. What a pair holds depends on the seed and its number alone, so the file is the same
//! for any number of workers and any number of interruptions.

use super::book::Opening;
use super::game::{Board, Record};
use super::plan::{Order, TournamentPlan};
use super::ratings::{Crosstable, Score};
use super::schedule::{Pairing, Schedule};
use crate::failure::{Failure, Outcome};
use crate::files;
use crate::run::Run;
use agon_core::game::{Game, mix};
use agon_core::memory;
use agon_core::rng::{Rng, Stream};
use agon_search::match_loop::End;
use agon_search::{Networks, registry};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The file that all figures come from.
pub const GAMES: &str = "games.jsonl";

/// Everything the games say so far.
pub struct Played {
    pub schedule: Schedule,
    pub table: Crosstable,
    pub pairs: u64,
    /// Forfeits by entrant: illegal, crash, time.
    pub forfeits: Vec<[u64; 3]>,
    /// Games that the limit of plies made a draw.
    pub cut: u64,
    /// Games that a player gave up.
    pub resigned: u64,
    /// Games that both players held for decided.
    pub adjudicated: u64,
    /// A number for every game that differs from all others: by who sat where, by moves, and by chance.
    different: HashSet<u64>,
}

impl Played {
    fn new(plan: &TournamentPlan) -> Self {
        let n = plan.entrants.len();
        let (schedule, table) = (Schedule::new(plan), Crosstable::new(n));
        Self {
            schedule,
            table,
            pairs: 0,
            forfeits: vec![[0; 3]; n],
            cut: 0,
            resigned: 0,
            adjudicated: 0,
            different: HashSet::new(),
        }
    }

    /// Games that differ from each other.
    pub fn different(&self) -> u64 {
        self.different.len() as u64
    }

    fn add(&mut self, games: &Brief) {
        let (a, b) = self.schedule.pair(self.pairs);
        self.table.add(a, b, games.scores, f64::from(games.earned));
        for (who, kind) in games.forfeits.iter().flatten() {
            self.forfeits[*who as usize][usize::from(*kind)] += 1;
        }
        for end in games.ends {
            self.cut += u64::from(end == End::Length);
            self.resigned += u64::from(end == End::Resigned);
            self.adjudicated += u64::from(end == End::Adjudicated);
        }
        self.different.extend(games.marks);
        self.schedule.add(games.scores_then);
        self.pairs += 1;
    }
}

/// What is counted of a pair.
struct Brief {
    /// The first-named's, where it sat first and second.
    scores: [Score; 2],
    /// What they were arranged by: see [`Record::score_then`].
    scores_then: [Score; 2],
    earned: f32,
    forfeits: [Option<(u32, u8)>; 2],
    ends: [End; 2],
    marks: [u64; 2],
}

impl Brief {
    fn of(games: &[Record; 2]) -> Self {
        let forfeit = |g: &Record| {
            let loser = g.seats[usize::from(g.returns[0] > g.returns[1])];
            match g.end {
                End::Illegal => Some((loser, 0)),
                End::Crash => Some((loser, 1)),
                End::Time => Some((loser, 2)),
                End::Rules | End::Length | End::Resigned | End::Adjudicated => None,
            }
        };
        Self {
            scores: [games[0].score(0), games[1].score(1)],
            scores_then: [games[0].score_then(0), games[1].score_then(1)],
            earned: games[0].returns[0] + games[1].returns[1],
            forfeits: [forfeit(&games[0]), forfeit(&games[1])],
            ends: [games[0].end, games[1].end],
            marks: games.each_ref().map(|g| {
                let who = u64::from(g.seats[0]) << 32 | u64::from(g.seats[1]);
                g.moves.iter().fold(mix(g.hash, who), |mark, a| mix(mark, u64::from(*a)))
            }),
        }
    }
}

/// A chunk of pairs that follow each other.
type Job = Vec<Pairing>;

/// A chunk as it was played, or a part of one.
struct Done {
    first: u64,
    took: Duration,
    pairs: Vec<(Brief, usize)>,
    /// The pairs' lines, one after the other; the lengths are beside the briefs.
    text: Vec<u8>,
}

/// A game's players and openings, checked before anything is written.
pub fn check<G: Game>(game: &G, plan: &TournamentPlan, networks: &dyn Networks) -> Outcome {
    if game.spec().players() != 2 {
        let players = game.spec().players();
        return Err(plan.wrong_game(format!("tournaments are for two-player games; `{}` has {players}", plan.game)));
    }
    let mut board = board(game, plan, networks, openings(game, plan)?, None)?;
    for (player, entrant) in board.players.iter_mut().zip(&plan.entrants) {
        player.check(game).map_err(|e| plan.wrong_entrant(&entrant.name, e.to_string()))?;
        player.rest();
        if board.book.iter().any(|o| o.from.is_some()) && registry::parse(&entrant.player).is_ok_and(|p| p.0 == "gtp") {
            let message =
                "positions of the book cannot be told to a program that speaks GTP; it understands moves alone";
            return Err(plan.wrong_entrant(&entrant.name, message.into()));
        }
    }
    let one: f64 = board.players.iter().map(|player| player.bytes()).sum();
    let what = format!(" for the players of {} games side by side (`concurrency`)", workers(plan));
    if let Some(why) = memory::refusal(one * workers(plan) as f64, &what) {
        return Err(Failure::Input(why));
    }
    if board.opens(plan) { Ok(()) } else { Err(plan.wrong_plies()) }
}

/// Games side by side.
fn workers(plan: &TournamentPlan) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if plan.set.concurrency == 0 { cores } else { plan.set.concurrency }
}

/// A worker's board. Engines write their logs below the run.
fn board<G: Game>(
    game: &G,
    plan: &TournamentPlan,
    networks: &dyn Networks,
    book: Vec<Opening<G>>,
    logs: Option<&Run>,
) -> Outcome<Board<G>> {
    let mut players = Vec::new();
    for (number, entrant) in plan.entrants.iter().enumerate() {
        let made = registry::parse(&entrant.player).and_then(|(name, mut set)| {
            if let Some(run) = logs.filter(|_| plan.set.engine_logs && ["gtp", "uci"].contains(&name.as_str())) {
                let plain = |c: char| if c.is_alphanumeric() || "-._".contains(c) { c } else { '_' };
                let file = format!("{}-{}.log", number + 1, entrant.name.chars().map(plain).collect::<String>());
                let path = run.path("engines").join(file).to_string_lossy().into_owned();
                set.entry("log").or_insert(path.into());
            }
            registry::make(game, &name, &set, networks)
        });
        players.push(made.map_err(|e| plan.wrong_entrant(&entrant.name, e.to_string()))?);
    }
    Ok(Board::new(game.clone(), players, book))
}

/// The openings in the order in which they are taken.
pub fn openings<G: Game>(game: &G, plan: &TournamentPlan) -> Outcome<Vec<Opening<G>>> {
    let mut book = Vec::new();
    for (number, text) in plan.set.openings.iter().enumerate() {
        let opening = Opening::read(game, text, plan.set.book_plies);
        book.push(opening.map_err(|(word, why)| plan.wrong_opening(number, word, &why))?);
    }
    if plan.set.order == Order::Random {
        let mut rng = Rng::new(plan.set.seed, Stream::Shuffle, 0);
        (1..book.len()).rev().for_each(|i| book.swap(i, rng.below(i as u32 + 1) as usize));
    }
    Ok(book)
}

/// Reads what was committed, and cuts off what was not: half a line, half a pair.
pub fn read(run: &Run, plan: &TournamentPlan) -> Outcome<(Played, u64)> {
    let mut played = Played::new(plan);
    let length = follow(run, &mut played, 0)?;
    let path = run.path(GAMES);
    if path.is_file() {
        open(&path, length)?;
    }
    Ok((played, length))
}

/// Nothing played yet.
pub fn nothing(plan: &TournamentPlan) -> Played {
    Played::new(plan)
}

/// Reads the whole pairs that stand in the file from a length on; the length up to which it is read now.
pub fn follow(run: &Run, played: &mut Played, mut length: u64) -> Outcome<u64> {
    let path = run.path(GAMES);
    if !path.exists() {
        return Ok(length);
    }
    let mut file = files::open(&path)?;
    file.seek(SeekFrom::Start(length)).map_err(|e| Failure::read(&path, &e))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut lines, mut size) = (Vec::new(), 2 * played.pairs, 0);
    let mut first: Option<Record> = None;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|e| Failure::read(&path, &e))?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok(length);
        }
        lines += 1;
        let wrong = |why: String| {
            let (file, good) = (path.display(), 2 * played.pairs);
            let keep = "to go on from the whole pairs before it, keep only that many lines";
            Failure::Input(format!("{file}:{lines}: not a game of this tournament: {why} ({keep}: {good})"))
        };
        if played.schedule.over() {
            return Err(wrong("the tournament was over before it".into()));
        }
        let record: Record = serde_json::from_slice(&line).map_err(|e| wrong(e.to_string()))?;
        let (a, b) = played.schedule.pair(played.pairs);
        let seats = if first.is_none() { [a, b] } else { [b, a] }.map(|s| s as u32);
        if (record.pair, record.game, record.seats) != (played.pairs, u8::from(first.is_some()), seats) {
            return Err(wrong(format!("pair {} comes here, between entrants {a} and {b}", played.pairs)));
        }
        size += read as u64;
        match first.take() {
            None => first = Some(record),
            Some(before) => {
                played.add(&Brief::of(&[before, record]));
                length += std::mem::take(&mut size);
            }
        }
    }
}

/// Plays on until the tournament is over or `stop` is set. `each` is told how it stands, now and then.
pub fn play<G: Game>(
    game: &G,
    (plan, networks): (&TournamentPlan, &dyn Networks),
    run: &Run,
    (mut played, length): (Played, u64),
    stop: &AtomicBool,
    mut each: impl FnMut(&Played, f64),
) -> Outcome<Played> {
    let path = run.path(GAMES);
    let mut file = open(&path, length)?;
    let workers = workers(plan);
    let (mut boards, book) = (Vec::new(), openings(game, plan)?);
    for _ in 0..workers {
        boards.push(board(game, plan, networks, book.clone(), Some(run))?);
    }
    // Small enough that all have work to the end, and large enough that handing over costs nothing: they grow as long as
    // they are played in no time, as what comes first is written first.
    let most = (played.schedule.total() / (workers as u64 * 50)).clamp(1, 64);
    let mut chunk = 1;
    let (jobs, todo): (Sender<Job>, Receiver<Job>) = unbounded();
    let (done, results) = bounded::<Done>(4 * workers);
    let (before, begun) = (played.pairs, Instant::now());
    // Set when no more games are wanted: somebody said stop, or the tournament is decided.
    let enough = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for mut board in boards {
            let (todo, done) = (todo.clone(), done.clone());
            scope.spawn(move || {
                loop {
                    // Whoever waits for a pair has no game under way.
                    let pairs = todo.try_recv().or_else(|_| {
                        board.rest(&[]);
                        todo.recv()
                    });
                    let Ok(pairs) = pairs else { return };
                    if !work(&mut board, plan, &pairs, enough, &mut |chunk| done.send(chunk).is_ok()) {
                        return;
                    }
                }
            });
        }
        drop((done, todo));
        let mut jobs = Some(jobs);
        let mut waiting: BTreeMap<u64, Done> = BTreeMap::new();
        let (mut sent, mut told) = (played.pairs, Instant::now());
        let mut outcome = Ok(());
        'all: while !played.schedule.over() {
            // Who is told to stop takes in what is played already, and nothing new.
            if stop.load(Ordering::Relaxed) {
                if jobs.is_some() {
                    crate::tell!("stopping once the games under way are over; Ctrl-C again ends them");
                }
                enough.store(true, Ordering::Relaxed);
                agon_search::engine::enough();
                jobs = None;
            }
            while let Some(jobs) = &jobs
                && sent < played.schedule.known()
                && sent < played.pairs + chunk * 4 * workers as u64
            {
                let last = (sent + chunk).min(played.schedule.known());
                // The workers live as long as this loop.
                let _ = jobs.send((sent..last).map(|p| played.schedule.pairing(p)).collect());
                sent = last;
            }
            match results.recv_timeout(Duration::from_millis(100)) {
                Ok(result) => {
                    if result.took < SOON / 8 {
                        chunk = (2 * chunk).min(most);
                    }
                    waiting.insert(result.first, result);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            while let Some(chunk) = waiting.remove(&played.pairs) {
                let mut kept = 0;
                for (brief, size) in &chunk.pairs {
                    if played.schedule.over() {
                        break;
                    }
                    played.add(brief);
                    kept += size;
                }
                if let Err(e) = file.write_all(&chunk.text[..kept]) {
                    outcome = Err(Failure::write(&path, &e));
                    break 'all;
                }
                if played.schedule.over() {
                    break;
                }
            }
            if told.elapsed() > Duration::from_millis(500) {
                told = Instant::now();
                each(&played, (played.pairs - before) as f64 * 2.0 / begun.elapsed().as_secs_f64());
            }
        }
        enough.store(true, Ordering::Relaxed);
        drop((jobs, results));
        outcome
    })?;
    file.sync_data().map_err(|e| Failure::write(&path, &e))?;
    each(&played, (played.pairs - before) as f64 * 2.0 / begun.elapsed().as_secs_f64().max(1e-9));
    Ok(played)
}

fn open(path: &Path, length: u64) -> Outcome<File> {
    let open = || -> std::io::Result<File> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(file)
    };
    open().map_err(|e| Failure::write(path, &e))
}

/// How long a worker keeps what it has played for itself.
const SOON: Duration = Duration::from_millis(100);

/// Plays pairs and gives them away, the sooner the longer they take; false where nobody wants them. A pair that is stopped is played from its beginning
/// when the tournament goes on.
fn work<G: Game>(
    board: &mut Board<G>,
    plan: &TournamentPlan,
    pairs: &[Pairing],
    stop: &AtomicBool,
    give: &mut dyn FnMut(Done) -> bool,
) -> bool {
    let mut done: Option<Done> = None;
    let mut begun = Instant::now();
    for pairing in pairs {
        let Some(games) = board.pair(plan, *pairing, stop) else { break };
        let room = pairs.len();
        let chunk = done.get_or_insert_with(|| Done {
            first: pairing.number,
            took: Duration::ZERO,
            pairs: Vec::with_capacity(room),
            text: Vec::with_capacity(room * 400),
        });
        let from = chunk.text.len();
        for game in &games {
            // Writing to memory cannot fail, and a record has nothing that is no JSON.
            let _ = serde_json::to_writer(&mut chunk.text, game);
            chunk.text.push(b'\n');
        }
        chunk.pairs.push((Brief::of(&games), chunk.text.len() - from));
        chunk.took = begun.elapsed();
        if chunk.took > SOON {
            begun = Instant::now();
            if !done.take().is_none_or(&mut *give) {
                return false;
            }
        }
    }
    done.is_none_or(give)
}
