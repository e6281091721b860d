//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A reinforcement-learning gym and agent suite: train agents, watch them, evaluate them, replay their episodes.
#[derive(Parser, Debug)]
#[command(name = "agon", version = VERSION, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The version and the commit it was built from.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("AGON_COMMIT"), ")");

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Train whatever a scenario names, or go on with a run
    Train(Train),
    /// Mean return of a run, a checkpoint or a scripted player, with a 95 % interval, beside baselines and the optimum
    Eval(Eval),
    /// Play agents against each other and rate them
    Tournament(Tournament),
    /// What pairs of games say about two players, and whether a sequential test is decided
    Sprt(Sprt),
    /// The dashboard, on live or finished runs
    Watch(Watch),
    /// Step through saved episodes, verify them, export them
    Replay(Replay),
    /// Play a game against a player, in the terminal
    Play(Play),
    /// How much a perfect opponent earns against a player of a small game, cards hidden or not
    Exploit(Exploit),
    /// The environments: spaces, parameters, how each is verified
    Envs(List),
    /// The agents and their hyperparameters
    Agents(List),
    /// The scenarios that come with Agon, and what a scenario can say
    Scenarios(Scenarios),
    /// The runs on disk, the newest first
    Runs(Runs),
    /// Drive an environment by JSON lines on stdin and stdout
    Drive(Drive),
    /// Ends the engines of a process when that is gone; Agon starts it itself
    #[command(hide = true)]
    Guard { process: u32 },
    /// Write a new environment into a checkout of Agon: its file, its registry row, its scenario
    New(New),
    /// Measure the speeds that docs/benchmarks.md quotes
    Bench(Bench),
    /// What was found: libtorch, CUDA, threads, terminal, run folder, a two-second speed test
    Doctor(Json),
    /// Print a script that completes commands in a shell
    Completions(Completions),
    /// Print the manual page: `agon man > agon.1`
    Man,
}

#[derive(Args, Debug)]
pub struct New {
    #[command(subcommand)]
    pub what: NewWhat,
}

#[derive(Subcommand, Debug)]
pub enum NewWhat {
    /// An environment: `agon new env classic/grid-world`
    Env(NewEnv),
}

#[derive(Args, Debug)]
pub struct NewEnv {
    /// Its name, FAMILY/NAME
    pub name: String,
}

#[derive(Args, Debug)]
pub struct Scenarios {
    /// Print this one, such as pricing/tuna
    pub name: Option<String>,
    /// Write them all, with their data, to FOLDER/scenarios
    #[arg(long, value_name = "FOLDER", conflicts_with = "name")]
    pub write: Option<PathBuf>,
    /// List the keys of `[train]`, `[eval]`, `[fit]` and `[tournament]`; `agon envs` and `agon agents` list those of
    /// `[env]`, `[agent]` and `[model]`
    #[arg(long, conflicts_with_all = ["name", "write"])]
    pub keys: bool,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args, Debug)]
pub struct Runs {
    /// The folder; AGON_RUNS or runs/ if left out
    pub folder: Option<PathBuf>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Args, Debug, Clone)]
pub struct Train {
    /// A scenario: a file, or the name of one that comes with Agon, such as pricing/tuna
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    pub scenario: Option<PathBuf>,
    /// Set a value of the scenario: --set train.steps=100000 (may be repeated). With --resume only what a run may change:
    /// how long it goes on (train.steps), what it saves, its threads, how it is evaluated
    #[arg(long, value_name = "TABLE.KEY=VALUE")]
    pub set: Vec<String>,
    /// The seed (the same as --set train.seed=N)
    #[arg(long, conflicts_with = "resume")]
    pub seed: Option<u64>,
    /// Train a run for each of these seeds, one after the other, and compare them: 1..5 (both ends) or 1,2,7
    #[arg(long, value_name = "SEEDS", conflicts_with_all = ["resume", "seed"], value_parser = seeds)]
    pub seeds: Option<Seeds>,
    /// Begin with what this run or checkpoint has learned: its weights, and nothing else of it
    #[arg(long, value_name = "RUN", conflicts_with = "resume")]
    pub from: Option<String>,
    /// Where tensors live
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    pub device: Device,
    /// What to show: the dashboard, plain lines or JSON lines; auto is the dashboard in a terminal
    #[arg(long, value_enum, default_value_t = Ui::Auto)]
    pub ui: Ui,
    /// The run's folder, instead of runs/SCENARIO/NUMBER
    #[arg(long, conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// Go on with this run from its latest checkpoint, or from a checkpoint of it (RUN/checkpoints/STEP)
    #[arg(long, value_name = "RUN")]
    pub resume: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Device {
    Auto,
    Cpu,
    Cuda,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ui {
    Auto,
    Tui,
    Plain,
    Json,
}

#[derive(Args, Debug)]
pub struct Eval {
    /// A run, a checkpoint folder, or the name of a scripted player (then --scenario says where)
    pub what: String,
    /// The scenario to evaluate in; a run's own if left out
    #[arg(long)]
    pub scenario: Option<PathBuf>,
    /// Set a value of the scenario (may be repeated)
    #[arg(long, value_name = "TABLE.KEY=VALUE")]
    pub set: Vec<String>,
    /// Episodes; the scenario's eval.final_episodes if left out
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub episodes: Option<u32>,
    /// Seed of the episodes
    #[arg(long)]
    pub seed: Option<u64>,
    /// At games: how many of these positions it solves, lines like `4 4 3 => 3 5`: moves, then the right answers
    #[arg(long, value_name = "FILE", conflicts_with = "episodes")]
    pub positions: Option<PathBuf>,
    /// Write the policy as a table: every observation that was met, what was done there, and how often
    #[arg(long, value_name = "FILE.csv", conflicts_with = "positions")]
    pub export: Option<PathBuf>,
    /// Write what was counted (prices, units, …) step by step, as means over the episodes
    #[arg(long, value_name = "FILE.csv", conflicts_with = "positions")]
    pub path: Option<PathBuf>,
    /// Where tensors live
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    pub device: Device,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args, Debug)]
pub struct Tournament {
    /// A scenario file with a `[tournament]` and `[entrants]`, such as scenarios/games/connect-four-tournament.toml; or
    /// players that meet each other at the game of the first run: runs, checkpoints, mcts:simulations=1000, …
    #[arg(required_unless_present = "resume", conflicts_with = "resume", value_name = "SCENARIO|PLAYERS")]
    pub scenario: Vec<String>,
    /// Set a value of the scenario: --set tournament.pairs=100 (may be repeated); with --resume, how many games are
    /// played at once: --set tournament.concurrency=4
    #[arg(long, value_name = "TABLE.KEY=VALUE")]
    pub set: Vec<String>,
    /// The tournament's folder, instead of runs/SCENARIO/NUMBER
    #[arg(long, conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// Go on with this tournament; of a finished one, print the results again
    #[arg(long, value_name = "FOLDER")]
    pub resume: Option<PathBuf>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args, Debug)]
pub struct Sprt {
    /// Pairs of games by the first player's points: 0, 1/2, 1, 3/2, 2
    #[arg(long, value_name = "A,B,C,D,E", value_delimiter = ',', num_args = 1, required = true)]
    pub ptnml: Vec<u64>,
    /// Elo under H0
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub elo0: f64,
    /// Elo under H1
    #[arg(long, default_value_t = 5.0, allow_negative_numbers = true)]
    pub elo1: f64,
    /// The chance to accept H1 where H0 is true
    #[arg(long, default_value_t = 0.05)]
    pub alpha: f64,
    /// The chance to accept H0 where H1 is true
    #[arg(long, default_value_t = 0.05)]
    pub beta: f64,
    /// What Elo means: normalized or logistic
    #[arg(long, default_value = "normalized")]
    pub model: String,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args, Debug, Clone, Copy)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Watch {
    /// Run folders; the newest run below runs/ if left out
    pub runs: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Replay {
    /// An episode file, a run (then its newest episode), or a tournament (then its last game)
    pub episode: PathBuf,
    /// This game of a tournament, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub game: Option<u64>,
    /// Only simulate it again and check every hash
    #[arg(long, conflicts_with = "export")]
    pub verify: bool,
    /// Write it to a .csv, .json or .cast (asciinema) file; a tournament's games to .pgn, or .sgf for Go
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Play {
    /// The game, such as games/connect-four
    pub game: String,
    /// Who plays the other seats: random, greedy, minimax:depth=6, mcts:simulations=1000, cfr, gtp, uci, a run
    #[arg(long, value_name = "PLAYER")]
    pub against: String,
    /// Your seat, counted from 1
    #[arg(long, default_value_t = 1, value_parser = seat)]
    pub seat: usize,
    /// Seed of dice, cards and the player
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Set a parameter of the game (may be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Exploit {
    /// The game, such as games/leduc-poker
    pub game: String,
    /// The player: random, cfr:iterations=1000, RUN:simulations=0,temperature=1
    pub player: String,
    /// Set a parameter of the game (may be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub json: Json,
}

/// Several seeds.
#[derive(Clone, Debug)]
pub struct Seeds(pub Vec<u64>);

fn seeds(text: &str) -> Result<Seeds, String> {
    let one = |word: &str| word.trim().parse::<u64>().map_err(|_| format!("`{word}` is no seed; write 1..5 or 1,2,7"));
    let all: Vec<u64> = match text.split_once("..") {
        Some((first, last)) => {
            let (first, last) = (one(first)?, one(last.trim_start_matches('='))?);
            if last < first || last - first >= 10_000 {
                return Err("seeds go up, and 10,000 of them are enough".into());
            }
            (first..=last).collect()
        }
        None => text.split(',').map(one).collect::<Result<_, _>>()?,
    };
    let mut sorted = all.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < all.len() { Err("a seed comes twice".into()) } else { Ok(Seeds(all)) }
}

fn seat(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|s| *s > 0).ok_or_else(|| "seats are counted from 1".into())
}

#[derive(Args, Debug)]
pub struct List {
    /// Only this one
    pub name: Option<String>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args, Debug)]
pub struct Drive {
    /// The environment, such as classic/cartpole
    pub env: String,
    /// Set a parameter (may be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Bench {
    /// Only the benchmarks whose name contains this
    pub name: Option<String>,
    #[command(flatten)]
    pub json: Json,
}
