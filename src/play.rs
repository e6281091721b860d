//! `agon play`: a person against a player, line by line, with the player's thoughts beside the board. Where cards are
//! hidden they wait until the end: what a player thinks of its move depends on its cards.

use crate::cli;
use crate::failure::{Failure, Outcome};
use agon_core::game::{Action, Game, Turn, Visit, moves, start};
use agon_core::rng::{Rng, Stream};
use agon_search::match_loop::{Listener, Match, Reply};
use agon_search::{Networks, Player, Thoughts, registry};
use serde_json::{Map, Value};
use std::io::BufRead;

/// A game's settings from the command line.
pub fn settings(sets: &[String]) -> Outcome<Map<String, Value>> {
    let mut settings = Map::new();
    for set in sets {
        let wrong = || Failure::Input(format!("--set {set}: write it as key=value"));
        let (key, value) = set.split_once('=').ok_or_else(wrong)?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        settings.insert(key.trim().into(), value);
    }
    Ok(settings)
}

pub fn run(args: &cli::Play, networks: &dyn Networks) -> Outcome {
    let played = agon_envs::games::visit(&args.game, &settings(&args.set)?, Sitting { args, networks });
    played.map_err(|e| Failure::Input(e.to_string()))?
}

struct Sitting<'a> {
    args: &'a cli::Play,
    networks: &'a dyn Networks,
}

impl Visit for Sitting<'_> {
    type Out = Outcome;

    fn visit<G: Game>(self, game: G) -> Outcome {
        let args = self.args;
        let seats = &game.spec().seats;
        let person = args.seat - 1;
        if person >= seats.len() {
            let message = format!("--seat {}: {} has seats 1 to {}", args.seat, args.game, seats.len());
            return Err(Failure::Input(message));
        }
        let made = registry::parse(&args.against).and_then(|(name, mut settings)| {
            // Nobody else needs the cores while somebody waits for an answer.
            if name == "mcts" {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                settings.entry("threads").or_insert(cores.into());
            }
            registry::by_name(&game, &name, &settings, self.networks)
        });
        let mut rival = made.map_err(|e| Failure::Input(format!("--against {}: {e}", args.against)))?;
        crate::say!("{}: you are {}", args.game, seats[person]);
        crate::say!("type a move, or: moves, hint, undo, quit\n");
        let mut state = start(&game);
        let mut session = PlaySession::new(&game, &mut state, &mut *rival, args.seed);
        let hidden = game.spec().hidden;
        let mut said = Vec::new();
        // What may only be told when the game is over, and after how many moves it was thought.
        let mut kept: Vec<(usize, Vec<String>)> = Vec::new();
        while let Turn::Player(mover) = session.played.turn() {
            if mover != person {
                let Reply { action, resigns } = session.ask(&args.against)?;
                let mut thought = thoughts(&game, session.state(), &session.rival.thoughts());
                kept.retain(|(at, _)| *at < session.past.len()); // what was taken back
                if resigns {
                    kept.push((session.past.len(), thought));
                    said = kept.into_iter().flat_map(|(_, thought)| thought).collect();
                    crate::say!("{}", beside(&view(&game, session.state(), person), &said));
                    crate::say!("{} resigns", seats[mover]);
                    return Ok(());
                }
                let plays = format!("{} plays {}", seats[mover], game.write(session.state(), action));
                said = vec![plays.clone()];
                if !hidden {
                    said.append(&mut thought);
                } else if !thought.is_empty() {
                    thought.insert(0, format!("when {plays}:"));
                    kept.push((session.past.len(), thought));
                }
                session.play(action);
                continue;
            }
            crate::say!("{}", beside(&view(&game, session.state(), person), &said));
            said.clear();
            if !ask(&game, &mut session, person, &args.against)? {
                return Ok(());
            }
        }
        kept.retain(|(at, _)| *at < session.past.len());
        said.extend(kept.into_iter().flat_map(|(_, thought)| thought));
        crate::say!("{}", beside(&view(&game, session.state(), person), &said));
        let mut returns = vec![0.0; seats.len()];
        game.returns(session.state(), &mut returns);
        for (seat, earned) in seats.iter().zip(&returns) {
            crate::say!("{seat}{}: {earned:+}", if *seat == seats[person] { " (you)" } else { "" });
        }
        Ok(())
    }
}

/// A game under way between a person and a player, and its history.
struct PlaySession<'a, G: Game> {
    game: &'a G,
    played: Match<'a, G>,
    rival: &'a mut dyn Player<G>,
    mind: Rng,
    past: Past<G>,
}

/// Positions in which somebody moved or chance decided, and what came of it.
type Past<G> = Vec<(<G as Game>::State, Action)>;

/// Hears what happens, and remembers it.
fn remember<G: Game>(past: &mut Past<G>) -> impl Player<G> {
    Listener(move |_: &G, before: &G::State, action| past.push((before.clone(), action)))
}

impl<'a, G: Game> PlaySession<'a, G> {
    /// A game that begins; `state` is its memory.
    fn new(game: &'a G, state: &'a mut G::State, rival: &'a mut dyn Player<G>, seed: u64) -> Self {
        let (chance, mind) = (Rng::new(seed, Stream::Env, 0), Rng::new(seed, Stream::Player, 0));
        let mut past = Vec::new();
        game.start(state);
        let played = Match::begin(game, state, chance, &mut [rival, &mut remember(&mut past)]);
        Self { game, played, rival, mind, past }
    }

    fn state(&self) -> &G::State {
        self.played.state()
    }

    fn play(&mut self, action: Action) {
        self.played.play(&mut [self.rival, &mut remember(&mut self.past)], action);
    }

    /// What the rival plays here.
    fn ask(&mut self, name: &str) -> Outcome<Reply> {
        let reply = self.played.ask(&mut [self.rival], 0, &mut self.mind);
        reply.map_err(|fault| Failure::Internal(format!("{name}: {fault}; the game ends here")))
    }

    /// Whether the rival plays by what the mover knows alone.
    fn has_policy(&mut self) -> bool {
        let mut policy = vec![0.0; self.game.spec().actions];
        self.rival.policy(self.game, self.played.state(), &mut policy)
    }

    /// Back to the person's last move; the rival is told the game again.
    fn undo(&mut self, person: usize) -> bool {
        let own = |s: &G::State| self.game.turn(s) == Turn::Player(person);
        let Some(at) = self.past.iter().rposition(|(before, _)| own(before)) else { return false };
        *self.played.state_mut() = self.past.swap_remove(at).0;
        self.past.truncate(at);
        self.rival.begin(self.game, &start(self.game));
        self.past.iter().for_each(|(before, action)| self.rival.played(self.game, before, *action));
        true
    }
}

/// Reads lines until one is a move; false if the person leaves.
fn ask<G: Game>(game: &G, session: &mut PlaySession<'_, G>, person: usize, name: &str) -> Outcome<bool> {
    let mut stdin = std::io::stdin().lock();
    loop {
        crate::failure::say(format_args!("{}> ", game.spec().seats[person]));
        // A prompt that cannot be flushed is seen with the next line.
        let _ = std::io::Write::flush(&mut std::io::stdout());
        let mut line = Vec::new();
        let read = stdin.read_until(b'\n', &mut line).map_err(|e| Failure::Input(format!("stdin: {e}")))?;
        if read == 0 {
            crate::say!("");
            return Ok(false);
        }
        let line = crate::text::line(&line).unwrap_or_else(|_| String::from_utf8_lossy(&line).into());
        let line = line.trim().to_owned();
        match line.as_str() {
            "" => {}
            "quit" | "q" | "exit" => return Ok(false),
            "moves" | "?" | "help" => {
                let list: Vec<String> =
                    moves(game, session.state()).iter().map(|a| game.write(session.state(), *a)).collect();
                crate::say!("{}", list.join(" "));
            }
            // Only who plays by the mover's information alone can give one where cards are hidden.
            "hint" if game.spec().hidden && !session.has_policy() => {
                crate::say!("no hint: {name} would look at all cards, and you may not");
            }
            "hint" => {
                let Reply { action, resigns } = session.ask(name)?;
                let would = if resigns { "resign".into() } else { game.write(session.state(), action) };
                crate::say!("it would {}{would}", if resigns { "" } else { "play " });
                thoughts(game, session.state(), &session.rival.thoughts()).iter().for_each(|l| crate::say!("{l}"));
            }
            "undo" => {
                let text =
                    if session.undo(person) { view(game, session.state(), person) } else { "nothing to undo".into() };
                crate::say!("{text}");
            }
            text => match game.read(session.state(), text) {
                Some(action) => {
                    session.play(action);
                    return Ok(true);
                }
                None => crate::say!("`{text}` is not a legal move here; `moves` lists them"),
            },
        }
    }
}

/// What the person may see.
fn view<G: Game>(game: &G, state: &G::State, person: usize) -> String {
    if game.spec().hidden && game.turn(state) != Turn::Over {
        return game.information_state(state, person);
    }
    game.text(state)
}

/// The moves that were considered, with visits, values and what may follow.
fn thoughts<G: Game>(game: &G, state: &G::State, thoughts: &Thoughts) -> Vec<String> {
    if thoughts.lines.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::new();
    if thoughts.searched > 0 {
        let depth = if thoughts.depth > 0 { format!(", {} plies deep", thoughts.depth) } else { String::new() };
        out.push(format!("searched {}{depth}", thoughts.searched));
    }
    let probabilities = thoughts.probabilities;
    let head = if probabilities {
        format!("{:>11}  move", "probability")
    } else {
        format!("{:>8} {:>8}  line", "visits", "value")
    };
    out.push(head);
    for line in thoughts.lines.iter().take(6) {
        let (mut at, mut words) = (state.clone(), Vec::new());
        for action in line.moves.iter().take(8) {
            if !matches!(game.turn(&at), Turn::Player(_)) {
                break; // what chance does is not known
            }
            words.push(game.write(&at, *action));
            game.play(&mut at, *action);
        }
        let words = words.join(" ");
        out.push(match probabilities {
            true => format!("{:>9.1} %  {words}", 100.0 * line.value),
            false => format!("{:>8} {:>+8.3}  {words}", line.visits, line.value + 0.0),
        });
    }
    out
}

/// Two texts side by side.
fn beside(left: &str, right: &[String]) -> String {
    let lines: Vec<&str> = left.lines().collect();
    let width = lines.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let row = |i: usize| {
        let (a, b) = (lines.get(i).copied().unwrap_or(""), right.get(i).map_or("", String::as_str));
        format!("{a:<width$}   {b}").trim_end().to_owned()
    };
    (0..lines.len().max(right.len())).map(|i| row(i) + "\n").collect()
}
