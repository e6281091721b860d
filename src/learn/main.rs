//! The program `agon-torch`: every command that needs tensors. `agon` starts it; it has the same command line.
#![allow(missing_docs)]

mod acting;
mod agent_task;
mod agents;
mod at_bounds;
mod bandit_report;
mod bandit_task;
mod beginning;
mod bench;
mod checkpoints;
mod csv_table;
mod data_task;
mod demand_plots;
mod demonstrations;
mod described;
mod device;
mod doctor;
mod drift_report;
mod duel;
mod episode_table;
mod eval;
mod eval_data;
mod exif;
mod label;
mod lift;
mod market;
mod model_files;
mod networks;
#[cfg(feature = "parquet")]
mod parquet_file;
mod picture_files;
mod picture_folder;
mod picture_task;
mod plan;
mod predict;
mod price;
mod processes;
mod provenance;
mod rates;
mod sales;
mod scenarios;
mod search;
mod seeds;
mod sinks;
mod slices_report;
mod table_file;
mod table_report;
mod table_stream;
mod table_task;
mod tables;
mod task;
mod text_folder;
mod train;
mod unlearn;
mod unsupervised_report;
mod world_task;

use agon::cli::{Cli, Command};
use agon::{Failure, Outcome, failure};
use networks::Trained;
use std::process::ExitCode;

fn main() -> ExitCode {
    failure::report(|| run(failure::parse::<Cli>()?))
}

fn run(cli: Cli) -> Outcome {
    agon::guard_engines();
    match cli.command {
        Some(Command::Train(args)) => seeds::run(&args),
        Some(Command::Eval(args)) => eval::run(&args),
        Some(Command::Unlearn(args)) => unlearn::run(&args),
        Some(Command::Label(args)) => label::run(&args),
        Some(Command::Predict(args)) => predict::run(&args),
        Some(Command::Price(args)) => price::run(&args),
        Some(Command::Scenarios(args)) => agents::keys(args.json.json),
        Some(Command::Agents(args)) => agents::run(&args),
        Some(Command::Tournament(args)) => {
            agon::tournament::run(&args, &agon::tournament::read(&args)?, &Trained::here())
        }
        Some(Command::Play(args)) => agon::play::run(&args, &Trained::here()),
        Some(Command::Exploit(args)) => agon::exploit::run(&args, &Trained::here()),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Doctor(args)) => doctor::run(args),
        _ => Err(Failure::Input("agon-torch is started by `agon`; use that".into())),
    }
}

#[cfg(test)]
mod tests {
    use agon_agents::net::Builder;

    #[test]
    fn memory_that_a_device_lacks_is_no_bug() {
        let asked = || Builder::new(1).constant("weights", &[1 << 50], 0.0);
        let payload = std::panic::catch_unwind(asked).expect_err("no machine has a petabyte of memory");
        assert!(agon::failure::of_panic(&*payload).to_string().starts_with("there is not enough memory"));
        let payload = std::panic::catch_unwind(|| panic!("index out of bounds")).unwrap_err();
        assert!(agon::failure::of_panic(&*payload).to_string().starts_with("this is a bug in Agon"));
    }
}
