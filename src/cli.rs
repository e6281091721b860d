//! The command line.

pub mod price;

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
    /// Train the agent or model of a scenario, or resume a run
    #[command(
        after_help = "Examples:\n  agon train classic/cartpole\n  agon train pricing/tuna --set train.steps=200000 --seeds 1..3\n  agon train --resume runs/pricing/tuna/001\n  agon train --data iris.csv --target species\n  agon train --data iris.csv --model kmeans"
    )]
    Train(Train),
    /// Evaluate a run, a checkpoint or a scripted player: mean return with a 95 % interval, beside baselines and the optimum
    #[command(
        after_help = "Examples:\n  agon eval runs/pricing/tuna/001 --export prices.csv\n  agon eval myopic --scenario pricing/tuna --episodes 1000\n  agon eval runs/tables/loans/001 --data new.csv --slices sex,age"
    )]
    Eval(Eval),
    /// Write a page on a run: one HTML file with results, charts, data and settings, that needs nothing else
    #[command(after_help = "Example:\n  agon report runs/tables/iris/001 -o iris.html")]
    Report(Report),
    /// Predict rows of a table with a trained model: classes with probabilities, numbers with 90 % intervals, clusters, how
    /// unusual they are
    #[command(after_help = "Example:\n  agon predict runs/tables/iris/001 --data new.csv -o predictions.csv")]
    Predict(Predict),
    /// Label the examples that a trained model would learn the most from, one at a time, in the terminal
    #[command(after_help = "Example:\n  agon label runs/pictures/photos/001 --count 30")]
    Label(Label),
    /// Forget rows of a table that a run with train.shards learned from: only what they touched is learned again, and the
    /// result is, to the bit, a model that never saw them
    #[command(
        after_help = "Examples:\n  agon unlearn runs/tables/loans/001 --rows forget.csv\n  agon unlearn runs/tables/loans/001 --rows 17,40..45"
    )]
    Unlearn(Unlearn),
    /// Prices from a table of sales: make a scenario of any table; say what a trained run recommends for a week, and why
    #[command(
        after_help = "Examples:\n  agon price init sales.csv\n  agon price runs/sales/001 --week 2026-03-02 --export prices.html\n  agon price runs/pricing/tuna/001 --set price.can-3=0.79"
    )]
    Price(Price),
    /// Play players against each other and rate them
    #[command(
        after_help = "Examples:\n  agon tournament games/connect-four-tournament\n  agon tournament runs/games/tic-tac-toe-alphazero/001 mcts:simulations=500 minimax:depth=4"
    )]
    Tournament(Tournament),
    /// Estimate the Elo difference of two players from pairs of games, and whether a sequential test is decided
    #[command(after_help = "Example:\n  agon sprt --ptnml 10,20,60,35,15 --elo1 10")]
    Sprt(Sprt),
    /// Show the dashboard of live or finished runs
    #[command(after_help = "Examples:\n  agon watch\n  agon watch runs/pricing/tuna/001 runs/pricing/tuna/002")]
    Watch(Watch),
    /// Step through saved episodes and games, verify them, export them
    #[command(
        after_help = "Examples:\n  agon replay runs/pricing/tuna/001 --verify\n  agon replay runs/games/connect-four-tournament/001 --game 17"
    )]
    Replay(Replay),
    /// Play a game against a player, in the terminal
    #[command(after_help = "Example:\n  agon play games/chess --against minimax:depth=4 --seat 2")]
    Play(Play),
    /// Compute the exploitability of a player of a small game: what a perfect opponent earns against it
    #[command(after_help = "Example:\n  agon exploit games/leduc-poker cfr:iterations=500")]
    Exploit(Exploit),
    /// List the environments: spaces, parameters, how each is verified
    #[command(after_help = "Examples:\n  agon envs\n  agon envs pricing/perishable --json")]
    Envs(List),
    /// List the agents and their hyperparameters
    #[command(after_help = "Examples:\n  agon agents\n  agon agents ppo")]
    Agents(List),
    /// List, print or write out the scenarios that come with Agon, and list the keys of a scenario
    #[command(after_help = "Examples:\n  agon scenarios pricing/tuna\n  agon scenarios --write my-scenarios")]
    Scenarios(Scenarios),
    /// List the runs on disk, the newest first
    #[command(after_help = "Example:\n  agon runs")]
    Runs(Runs),
    /// Drive an environment by JSON lines on stdin and stdout
    #[command(after_help = "Example:\n  agon drive pricing/perishable --set stock=10")]
    Drive(Drive),
    /// End the engines of a process once it has gone; Agon starts this itself
    #[command(hide = true)]
    Guard { process: u32 },
    /// Write a new environment into a checkout of Agon: its file, its registry row, its scenario
    #[command(after_help = "Example:\n  agon new env classic/grid-world")]
    New(New),
    /// Measure the speeds that docs/benchmarks.md quotes
    #[command(after_help = "Example:\n  agon bench ppo")]
    Bench(Bench),
    /// Check the installation: libtorch, CUDA, threads, terminal, run folder, a two-second speed test
    #[command(after_help = "Example:\n  agon doctor")]
    Doctor(Json),
    /// Print a script that completes commands in a shell
    #[command(after_help = "Example:\n  agon completions bash")]
    Completions(Completions),
    /// Print the manual page
    #[command(after_help = "Example:\n  agon man > agon.1")]
    Man,
}

#[derive(Args, Debug)]
pub struct New {
    #[command(subcommand)]
    pub what: NewWhat,
}

#[derive(Subcommand, Debug)]
pub enum NewWhat {
    /// Write an environment
    #[command(after_help = "Example:\n  agon new env classic/grid-world")]
    Env(NewEnv),
}

#[derive(Args, Debug)]
pub struct NewEnv {
    /// The environment's name, FAMILY/NAME
    pub name: String,
}

#[derive(Args, Debug)]
pub struct Scenarios {
    /// The scenario to print, such as pricing/tuna
    pub name: Option<String>,
    /// Write all scenarios and their data to FOLDER/scenarios
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
    /// The folder of runs [default: AGON_RUNS, or runs/]
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
    #[arg(required_unless_present_any = ["resume", "data"], conflicts_with_all = ["resume", "data"])]
    pub scenario: Option<PathBuf>,
    /// Train a model of this CSV file, or of these pictures (a folder with a folder of PNG or JPEG files for each class,
    /// x.npy with y.npy, an IDX file with its labels); the scenario is made of what is found, and written into the run
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with = "resume")]
    pub data: Option<PathBuf>,
    /// The column of `--data` to predict
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub target: Option<String>,
    /// The model to train on `--data`, such as boosting; models such as kmeans, pca and isolation-forest need no --target;
    /// the same as --set model.kind=MODEL
    #[arg(long, value_name = "MODEL", requires = "data")]
    pub model: Option<String>,
    /// Learn a policy from `--data`, a log of decisions: the column of the action that was taken
    #[arg(long, value_name = "COLUMN", requires_all = ["data", "reward"], conflicts_with = "target")]
    pub action: Option<String>,
    /// The column of what followed an action of the log
    #[arg(long, value_name = "COLUMN", requires_all = ["data", "action"])]
    pub reward: Option<String>,
    /// The column of the probability with which the action of the log was taken; estimated if left out
    #[arg(long, value_name = "COLUMN", requires = "action")]
    pub propensity: Option<String>,
    /// Search among all models of tables for so long, and answer with an ensemble of the best; the same as --model automl
    /// --set model.minutes=MINUTES
    #[arg(long, value_name = "MINUTES", requires = "target", conflicts_with = "model")]
    pub minutes: Option<f64>,
    /// Set a value of the scenario: --set train.steps=100000 (may be repeated). With --resume, only the length of the run
    /// (train.steps), what it saves, its threads, and how it is evaluated
    #[arg(long, value_name = "TABLE.KEY=VALUE")]
    pub set: Vec<String>,
    /// Instead of training, test learning rates of a network of data: 200 gradient steps at rates that grow; says at which
    /// one the loss falls fastest
    #[arg(long, conflicts_with_all = ["resume", "seeds", "minutes", "out"])]
    pub find_rate: bool,
    /// The seed; the same as --set train.seed=N
    #[arg(long, conflicts_with = "resume")]
    pub seed: Option<u64>,
    /// Train a run for each of these seeds, side by side as far as there are cores, and compare them: 1..5 (both
    /// included) or 1,2,7; the same as train.seeds = [1, 2, 7] in the scenario
    #[arg(long, value_name = "SEEDS", conflicts_with_all = ["resume", "seed"], value_parser = seeds)]
    pub seeds: Option<Seeds>,
    /// Start a new run from the weights of this run or checkpoint
    #[arg(long, value_name = "RUN", conflicts_with = "resume")]
    pub from: Option<String>,
    /// The device of the networks; auto takes a GPU where there is one
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    pub device: Device,
    /// What to show: the dashboard, plain lines or JSON lines; auto is the dashboard in a terminal
    #[arg(long, value_enum, default_value_t = Ui::Auto)]
    pub ui: Ui,
    /// The run's folder, instead of runs/SCENARIO/NUMBER
    #[arg(long, conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// Resume this run from its latest checkpoint, or from RUN/checkpoints/STEP; or all runs of a group of seeds
    #[arg(long, value_name = "RUN")]
    pub resume: Option<PathBuf>,
    /// Save and stop once stdin ends: how the runs of several seeds are started
    #[arg(long, hide = true)]
    pub until_stdin_ends: bool,
    /// Take no notice of `[search]`: how its trials are started
    #[arg(long, hide = true)]
    pub trial: bool,
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
    /// The scenario to evaluate in [default: the run's own]
    #[arg(long)]
    pub scenario: Option<PathBuf>,
    /// Set a value of the scenario (may be repeated)
    #[arg(long, value_name = "TABLE.KEY=VALUE")]
    pub set: Vec<String>,
    /// Episodes [default: the scenario's eval.final_episodes]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub episodes: Option<u32>,
    /// The seed of the episodes
    #[arg(long)]
    pub seed: Option<u64>,
    /// At games: count how many of these positions it solves; lines such as `4 4 3 => 3 5`: moves, then the right answers
    #[arg(long, value_name = "FILE", conflicts_with = "episodes")]
    pub positions: Option<PathBuf>,
    /// Write the policy as a table: every observation that occurred, the action taken, and how often
    #[arg(long, value_name = "FILE.csv", conflicts_with = "positions")]
    pub export: Option<PathBuf>,
    /// Write the measures (prices, units, …) step by step, as means over the episodes
    #[arg(long, value_name = "FILE.csv", conflicts_with = "positions")]
    pub path: Option<PathBuf>,
    /// Save the episodes in this folder, to be replayed or learned from
    #[arg(long, value_name = "FOLDER", conflicts_with = "positions")]
    pub record: Option<PathBuf>,
    /// Of a model of a table with a target: judge these new rows, whose truth is known, in place of the test part
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "positions"])]
    pub data: Option<PathBuf>,
    /// Of a model of a table with a target: judge the groups of these columns one by one
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', num_args = 1, conflicts_with_all = ["scenario", "positions"])]
    pub slices: Vec<String>,
    /// The device of the networks; auto takes a GPU where there is one
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    pub device: Device,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args, Debug)]
pub struct Report {
    /// A run of any kind, a group of seeds, or a search
    pub run: PathBuf,
    /// Where the page goes [default: report.html in the run's folder]
    #[arg(short, long, value_name = "FILE.html")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Predict {
    /// A run of a model of a table or of pictures, or one of its checkpoints
    pub run: String,
    /// The CSV file of the rows, with the columns of the training table; a folder of pictures, an NPY or IDX file of them
    #[arg(long, value_name = "FILE|FOLDER")]
    pub data: PathBuf,
    /// Where the predictions go [default: standard output]
    #[arg(short, long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Label {
    /// A run of a model of classes, of a table with rows without a class, or of pictures of which some have none
    pub run: String,
    /// What makes an example useful
    #[arg(long, value_enum, default_value_t = Useful::Margin)]
    pub by: Useful,
    /// Examples at most
    #[arg(long, default_value_t = 50)]
    pub count: usize,
    /// Where the classes go: a new file [default: labelled.csv of a table, labels.csv of pictures, with a number if that
    /// exists]
    #[arg(short, long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,
}

/// What makes an example useful to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Useful {
    /// The entropy of the model's probabilities
    Entropy,
    /// How near the likeliest two classes are
    Margin,
    /// How much the models of an ensemble disagree (train.shards)
    Bald,
}

impl Useful {
    /// As people read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::Margin => "margin",
            Self::Bald => "disagreement",
        }
    }
}

#[derive(Args, Debug)]
pub struct Unlearn {
    /// A run of a model of a table that was trained with train.shards
    pub run: PathBuf,
    /// A CSV file with some or all columns of the table: rows that are equal in them are forgotten; or lines of the run's
    /// data.csv, such as 17,40..45. Left out, an interrupted unlearning is finished
    #[arg(long, value_name = "FILE|LINES")]
    pub rows: Option<String>,
    /// What to show: the dashboard, plain lines or JSON lines; auto is the dashboard in a terminal
    #[arg(long, value_enum, default_value_t = Ui::Plain)]
    pub ui: Ui,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Price {
    #[command(subcommand)]
    pub what: Option<PriceWhat>,
    #[command(flatten)]
    pub run: Option<PriceRun>,
}

#[derive(Args, Debug)]
pub struct PriceRun {
    /// A run of pricing/retail, or one of its checkpoints
    #[arg(required = true)]
    pub run: String,
    /// The week of the table, as the table calls it or by its number; of several shops with the shop, as in `7, north`
    /// [default: the last]
    #[arg(long, value_name = "WEEK")]
    pub week: Option<String>,
    /// What if this price were another (may be repeated)
    #[arg(long, value_name = "price.PRODUCT=PRICE")]
    pub set: Vec<String>,
    /// Write a sheet (.csv), a workbook (.xlsx) or a page (.html) too (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub export: Vec<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum PriceWhat {
    /// Find out which column of a table is what, say it, check it, and write a scenario
    #[command(after_help = "Example:\n  agon price init sales.csv --map units=Menge --map customers=")]
    Init(PriceInit),
    /// What a run's prices would have earned in the weeks of a sales table, by the weeks in which such prices were charged
    #[command(after_help = "Example:\n  agon price evaluate runs/pricing/tuna/001 --data tuna.csv")]
    Evaluate(price::Evaluate),
    /// Plan an experiment that shows whether a run's prices earn more, and analyse its results
    #[command(
        after_help = "Example:\n  agon price switchback runs/pricing/tuna/001 --data tuna.csv --shops 4 --export plan.csv"
    )]
    Switchback(price::Switchback),
    /// Whether new weeks are as a run promised: forecasts, prices, units, and the lift
    #[command(after_help = "Example:\n  agon price monitor runs/pricing/tuna/001 --data tuna-2027.csv")]
    Monitor(price::Monitor),
    /// Group the customers of receipts by their baskets, so that each group can have prices of its own
    #[command(after_help = "Example:\n  agon price segments transactions.parquet --customer household_id")]
    Segments(price::Segments),
    /// Estimate the demand of many markets in which people differ (mixed logit), with costs and prices after a merger
    #[command(after_help = "Example:\n  agon price mixed-logit cereals.toml --merge 2=1 --export cereals.csv")]
    MixedLogit(price::MixedLogit),
}

#[derive(Args, Debug)]
pub struct PriceInit {
    /// The table: CSV, Excel (.xlsx) or Parquet
    pub file: PathBuf,
    /// Say what is what: a setting of `[fit]` and its value, such as units=Menge or decimal=comma; empty for none (may be
    /// repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    pub map: Vec<String>,
    /// The products to use [default: those with the most rows, of which prices move]
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', num_args = 1)]
    pub products: Vec<String>,
    /// Where the scenario goes [default: beside the table]
    #[arg(short, long, value_name = "FILE.toml")]
    pub out: Option<PathBuf>,
    /// Replace a scenario that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug)]
pub struct Tournament {
    /// A scenario with `[tournament]` and `[entrants]`, such as games/connect-four-tournament; or the players, of which
    /// the first run says the game: runs, checkpoints, mcts:simulations=1000, …
    #[arg(required_unless_present = "resume", conflicts_with = "resume", value_name = "SCENARIO|PLAYERS")]
    pub scenario: Vec<String>,
    /// Set a value of the scenario: --set tournament.pairs=100 (may be repeated). With --resume, only how many games are
    /// played at once: --set tournament.concurrency=4
    #[arg(long, value_name = "TABLE.KEY=VALUE")]
    pub set: Vec<String>,
    /// The tournament's folder, instead of runs/SCENARIO/NUMBER
    #[arg(long, conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// Resume this tournament; print the results again if it is finished
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
    /// The probability of accepting H1 where H0 is true
    #[arg(long, default_value_t = 0.05)]
    pub alpha: f64,
    /// The probability of accepting H0 where H1 is true
    #[arg(long, default_value_t = 0.05)]
    pub beta: f64,
    /// The Elo model: normalized or logistic
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
    /// Run folders [default: the newest run below runs/]
    pub runs: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Replay {
    /// An episode file, a run (then its newest episode), or a tournament (then its last game)
    pub episode: PathBuf,
    /// The game of a tournament, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub game: Option<u64>,
    /// Only simulate the episode again and check the hash of every state
    #[arg(long, conflicts_with = "export")]
    pub verify: bool,
    /// Write the episode to a .csv, .json, .cast (asciinema) or .gif file; a tournament's games to .pgn, or .sgf for Go
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Play {
    /// The game, such as games/connect-four
    pub game: String,
    /// The player of the other seats: random, greedy, minimax:depth=6, mcts:simulations=1000, cfr, gtp, uci, a run
    #[arg(long, value_name = "PLAYER")]
    pub against: String,
    /// Your seat, counted from 1
    #[arg(long, default_value_t = 1, value_parser = seat)]
    pub seat: usize,
    /// The seed of dice, cards and the player
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
    /// The one to show in full
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
    /// Run only the benchmarks whose name contains this
    pub name: Option<String>,
    #[command(flatten)]
    pub json: Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Every command, those of subcommands included, has an example in its help, and every example parses.
    #[test]
    fn every_command_has_an_example_that_parses() {
        fn check(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
                let path = format!("{path} {}", sub.get_name());
                let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                let examples: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  ")).collect();
                assert!(!examples.is_empty(), "`{path}` has no example");
                for example in examples {
                    assert!(example.starts_with(&path), "`{example}` is no example of `{path}`");
                    let words = example.split_whitespace().take_while(|word| *word != ">");
                    Cli::try_parse_from(words).unwrap_or_else(|e| panic!("`{example}`: {e}"));
                }
                check(sub, &path);
            }
        }
        check(&Cli::command(), "agon");
    }
}
