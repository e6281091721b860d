//! `agon play`: a person against a player, line by line, with the player's thoughts beside the board. Where cards are
//! hidden they wait until the end: what a player thinks of its move depends on its cards.

use crate::cli;
use crate::failure::{Failure, Outcome};
use agon_core::game::{Action, Game, Turn, Visit, moves};
use agon_core::rng::{Rng, Stream};
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
        let mut table = Table::new(&game, args.seed);
        let hidden = game.spec().hidden;
        let mut said = Vec::new();
        // What may only be told when the game is over, and after how many moves it was thought.
        let mut kept: Vec<(usize, Vec<String>)> = Vec::new();
        while let Turn::Player(mover) = table.turn() {
            if mover != person {
                let action = table.ask(&mut *rival, &args.against)?;
                let mut thought = thoughts(&game, &table.state, &rival.thoughts());
                kept.retain(|(at, _)| *at < table.past.len()); // what was taken back
                if rival.resigns() {
                    kept.push((table.past.len(), thought));
                    said = kept.into_iter().flat_map(|(_, thought)| thought).collect();
                    crate::say!("{}", beside(&view(&game, &table.state, person), &said));
                    crate::say!("{} resigns", seats[mover]);
                    return Ok(());
                }
                let plays = format!("{} plays {}", seats[mover], game.write(&table.state, action));
                said = vec![plays.clone()];
                if !hidden {
                    said.append(&mut thought);
                } else if !thought.is_empty() {
                    thought.insert(0, format!("when {plays}:"));
                    kept.push((table.past.len(), thought));
                }
                table.play(action);
                continue;
            }
            crate::say!("{}", beside(&view(&game, &table.state, person), &said));
            said.clear();
            if !ask(&game, &mut table, person, (&mut *rival, &args.against))? {
                return Ok(());
            }
        }
        table.tell(&mut *rival);
        kept.retain(|(at, _)| *at < table.past.len());
        said.extend(kept.into_iter().flat_map(|(_, thought)| thought));
        crate::say!("{}", beside(&view(&game, &table.state, person), &said));
        let mut returns = vec![0.0; seats.len()];
        game.returns(&table.state, &mut returns);
        for (seat, earned) in seats.iter().zip(&returns) {
            crate::say!("{seat}{}: {earned:+}", if *seat == seats[person] { " (you)" } else { "" });
        }
        Ok(())
    }
}

/// The game as it stands, and how it came there.
struct Table<'a, G: Game> {
    game: &'a G,
    state: G::State,
    chance: Rng,
    mind: Rng,
    /// Positions in which somebody moved or chance decided, and what came of it.
    past: Vec<(G::State, Action)>,
    /// How much of it the rival knows; none of it, not even that a game began, before anything was told.
    told: Option<usize>,
}

impl<'a, G: Game> Table<'a, G> {
    fn new(game: &'a G, seed: u64) -> Self {
        let (chance, mind) = (Rng::new(seed, Stream::Env, 0), Rng::new(seed, Stream::Player, 0));
        let mut table = Self { game, state: agon_core::game::start(game), chance, mind, past: Vec::new(), told: None };
        table.settle();
        table
    }

    fn happen(&mut self, action: Action) {
        self.past.push((self.state.clone(), action));
        self.game.play(&mut self.state, action);
    }

    fn settle(&mut self) {
        while self.game.turn(&self.state) == Turn::Chance {
            let outcome = self.game.roll(&self.state, &mut self.chance);
            self.happen(outcome);
        }
    }

    fn turn(&self) -> Turn {
        self.game.turn(&self.state)
    }

    fn play(&mut self, action: Action) {
        self.happen(action);
        self.settle();
    }

    /// Tells the rival what it does not know yet.
    fn tell(&mut self, rival: &mut dyn Player<G>) {
        let told = self.told.unwrap_or_else(|| {
            rival.begin(self.game, &agon_core::game::start(self.game));
            0
        });
        self.past[told..].iter().for_each(|(before, action)| rival.played(self.game, before, *action));
        self.told = Some(self.past.len());
    }

    /// What the rival plays here.
    fn ask(&mut self, rival: &mut dyn Player<G>, name: &str) -> Outcome<Action> {
        self.tell(rival);
        let action = rival.choose(self.game, &self.state, &mut self.mind);
        action.map_err(|fault| Failure::Internal(format!("{name}: {fault}; the game ends here")))
    }

    /// Back to the person's last move; the rival is told the game again.
    fn undo(&mut self, person: usize) -> bool {
        let own = |s: &G::State| self.game.turn(s) == Turn::Player(person);
        let Some(at) = self.past.iter().rposition(|(before, _)| own(before)) else { return false };
        self.state = self.past.swap_remove(at).0;
        self.past.truncate(at);
        self.told = None;
        true
    }
}

/// Reads lines until one is a move; false if the person leaves.
fn ask<G: Game>(
    game: &G,
    table: &mut Table<'_, G>,
    person: usize,
    (rival, name): (&mut dyn Player<G>, &str),
) -> Outcome<bool> {
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
                    moves(game, &table.state).iter().map(|a| game.write(&table.state, *a)).collect();
                crate::say!("{}", list.join(" "));
            }
            // Only who plays by the mover's information alone can give one where cards are hidden.
            "hint" if game.spec().hidden && !rival.policy(game, &table.state, &mut vec![0.0; game.spec().actions]) => {
                crate::say!("no hint: {name} would look at all cards, and you may not");
            }
            "hint" => {
                let action = table.ask(rival, name)?;
                let would = if rival.resigns() { "resign".into() } else { game.write(&table.state, action) };
                crate::say!("it would {}{would}", if rival.resigns() { "" } else { "play " });
                thoughts(game, &table.state, &rival.thoughts()).iter().for_each(|l| crate::say!("{l}"));
            }
            "undo" => {
                let text = if table.undo(person) { view(game, &table.state, person) } else { "nothing to undo".into() };
                crate::say!("{text}");
            }
            text => match game.read(&table.state, text) {
                Some(action) => {
                    table.play(action);
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
    let chances = thoughts.chances;
    let head =
        if chances { format!("{:>11}  move", "probability") } else { format!("{:>8} {:>8}  line", "visits", "value") };
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
        out.push(match chances {
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
