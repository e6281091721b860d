//! What `agon price evaluate`, `switchback`, `monitor`, `segments` and `mixed-logit` take.

use super::Json;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Evaluate {
    /// A run of pricing/retail with a fitted demand, or one of its checkpoints
    pub run: String,
    /// The sales table: the one that demand was fitted to, or a newer one with the same columns
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// The seed of the resamples behind intervals
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args, Debug)]
pub struct Switchback {
    /// A run of pricing/retail with a fitted demand, or one of its checkpoints
    pub run: String,
    /// The sales table, which says how much profits vary
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// The lift to be found, in per cent [default: what the run's evaluation promises]
    #[arg(long, value_name = "PERCENT")]
    pub lift: Option<f64>,
    /// Shops that take part
    #[arg(long, default_value_t = 1, value_parser = within(1, 500))]
    pub shops: usize,
    /// Weeks of a block
    #[arg(long, default_value_t = 2, value_parser = within(1, 26))]
    pub block: usize,
    /// First weeks of a block that do not count
    #[arg(long, default_value_t = 0, value_parser = within(0, 25))]
    pub settle: usize,
    /// The probability with which the lift is to be found
    #[arg(long, default_value_t = 0.8, value_parser = probability)]
    pub power: f64,
    /// The seed of the schedule
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..1 << 62))]
    pub seed: u64,
    /// Write the schedule, with a column for profits
    #[arg(long, value_name = "FILE.csv", conflicts_with = "results")]
    pub export: Option<PathBuf>,
    /// Analyse a schedule whose profits are filled in as far as weeks have gone by; look as often as you like
    #[arg(long, value_name = "FILE.csv")]
    pub results: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Monitor {
    /// A run of pricing/retail with a fitted demand, or one of its checkpoints
    pub run: String,
    /// The sales table with new weeks, behind the old ones or alone
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// End with exit code 3 on an alarm
    #[arg(long)]
    pub fail_on_alarm: bool,
    #[command(flatten)]
    pub json: Json,
}

fn within(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|n| (least..=most).contains(n));
        number.ok_or_else(|| format!("a number from {least} to {most}"))
    }
}

fn probability(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|p| *p > 0.0 && *p < 1.0).ok_or_else(|| "a probability is above 0 and below 1".into())
}

#[derive(Args, Debug)]
pub struct Segments {
    /// Receipts, a row a sale: CSV, Excel (.xlsx) or Parquet
    pub file: PathBuf,
    /// The column that says whose sale it is
    #[arg(long, value_name = "COLUMN")]
    pub customer: String,
    /// The column that baskets are told apart by, such as a department [default: that of the products]
    #[arg(long, value_name = "COLUMN")]
    pub baskets: Option<String>,
    /// How many segments [default: 2 to 8, by the silhouette]
    #[arg(short, long, value_name = "N", value_parser = within(2, 50))]
    pub segments: Option<usize>,
    /// Say what is what: a setting of `[fit]` and its value, such as price=paid (may be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    pub map: Vec<String>,
    /// The seed of k-means' starts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..1 << 62))]
    pub seed: u64,
    /// Where the receipts with their segments go [default: FILE.segments.csv, beside them]
    #[arg(short, long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args, Debug)]
pub struct MixedLogit {
    /// A file whose `[demand]` names a table of products and one of people, and what their columns are
    pub file: PathBuf,
    /// Change a setting of the file (may be repeated)
    #[arg(long, value_name = "demand.KEY=VALUE")]
    pub set: Vec<String>,
    /// What would prices be if the products of the first firm were the second one's?
    #[arg(long, value_name = "FIRM=FIRM")]
    pub merge: Option<String>,
    /// Write elasticities, costs and prices of all products
    #[arg(long, value_name = "FILE.csv")]
    pub export: Option<PathBuf>,
    #[command(flatten)]
    pub json: Json,
}
