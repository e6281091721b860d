//! The registry of players, and how they are specified in words: `random`, `minimax:depth=6`, `mcts:simulations=1000`,
//! a run.

use crate::guided::{self, Networks};
use crate::player::{Greedy, Player, PlayerError, Random};
use crate::{cfr, gtp, mcts, minimax, uci};
use agon_core::game::Game;
use agon_core::settings::{Declared, Issue, Settings, nearest};
use serde_json::{Map, Value};

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 7] = ["random", "greedy", "minimax", "mcts", "cfr", "gtp", "uci"];

/// A player in words, such as `mcts:simulations=1000` or the path of a run.
pub fn from_words<G: Game>(game: &G, words: &str, networks: &dyn Networks) -> Result<Box<dyn Player<G>>, PlayerError> {
    let (name, settings) = parse(words)?;
    by_name(game, &name, &settings, networks)
}

/// Budgets that replace each other's defaults: a player given a time limit has no other limit by default.
fn limited(given: &Map<String, Value>, limits: &[&str], other: &str, none: u64) -> Map<String, Value> {
    let mut set = given.clone();
    let some = |limit: &&str| given.get(*limit).and_then(Value::as_f64).is_some_and(|x| x > 0.0);
    if limits.iter().any(some) {
        set.entry(other).or_insert(none.into());
    }
    set
}

/// A player's name and its settings, from words like `mcts:simulations=1000,exploration=1.5`. A comma within double
/// quotes does not separate, and quotes around a whole value are removed.
pub fn parse(words: &str) -> Result<(String, Map<String, Value>), PlayerError> {
    let (name, rest) = words.split_once(':').unwrap_or((words, ""));
    let (mut settings, mut quoted, mut escaped) = (Map::new(), false, false);
    let pairs = rest.split(|c| {
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        c == ',' && !quoted
    });
    for pair in pairs.filter(|p| !p.trim().is_empty()) {
        let wrong = || PlayerError::Settings(vec![Issue::key(pair, "write it as name:key=value,key=value")]);
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = serde_json::from_str(value.trim()).unwrap_or_else(|_| value.trim().into());
        settings.insert(key.trim().to_owned(), value);
    }
    Ok((name.trim().to_owned(), settings))
}

/// The declared settings of a player; none for an unknown name.
pub fn declared(name: &str) -> Vec<Declared> {
    match name {
        "minimax" => minimax::MinimaxSettings::declared(),
        "mcts" => mcts::MctsSettings::declared(),
        "cfr" => cfr::CfrSettings::declared(),
        "gtp" => gtp::GtpSettings::declared(),
        "uci" => uci::UciSettings::declared(),
        _ => Vec::new(),
    }
}

/// A player by name, if it can play the game. A name that is a path is a run or a checkpoint, opened by `networks`.
pub fn by_name<G: Game>(
    game: &G,
    name: &str,
    settings: &Map<String, Value>,
    networks: &dyn Networks,
) -> Result<Box<dyn Player<G>>, PlayerError> {
    let mut player = make(game, name, settings, networks)?;
    player.check(game)?;
    Ok(player)
}

/// The same without a check: no program is started before [`Player::check`] or the first game.
pub fn make<G: Game>(
    game: &G,
    name: &str,
    settings: &Map<String, Value>,
    networks: &dyn Networks,
) -> Result<Box<dyn Player<G>>, PlayerError> {
    fn read<S: Settings>(settings: &Map<String, Value>) -> Result<S, PlayerError> {
        S::read(settings).map_err(PlayerError::Settings)
    }
    agon_core::settings! {
        /// Players without settings.
        pub struct Nothing {}
    }
    Ok(match name {
        "random" => {
            read::<Nothing>(settings)?;
            Box::new(Random)
        }
        "greedy" => {
            read::<Nothing>(settings)?;
            Box::new(Greedy)
        }
        "minimax" => {
            let set = limited(settings, &["milliseconds", "nodes"], "depth", 100);
            Box::new(minimax::Minimax::new(game, read(&set)?)?)
        }
        "mcts" => Box::new(mcts::Mcts::new(game, read(&limited(settings, &["milliseconds"], "simulations", 0))?)?),
        "cfr" => Box::new(cfr::Cfr::new(game, read(settings)?)?),
        "gtp" => Box::new(gtp::player(game, &read(settings)?)?),
        "uci" => Box::new(uci::player(game, read(settings)?)?),
        path if guided::is_path(path) => {
            let set = read(&limited(settings, &["milliseconds"], "simulations", guided::MOST_SIMULATIONS))?;
            let network = networks.open(path, game.spec());
            let network = network.map_err(|why| PlayerError::Network { path: path.into(), why })?;
            Box::new(guided::Guided::new(game, set, network)?)
        }
        _ => {
            return Err(PlayerError::Unknown { name: name.into(), nearest: nearest(name, NAMES), known: &NAMES });
        }
    })
}
