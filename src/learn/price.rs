//! `agon price`: from a table of sales to a scenario, and from a trained run to prices.

mod advise;
mod evaluate;
mod guess;
mod init;
pub mod mixed_logit;
mod monitor;
mod page;
mod segments;
mod switchback;
mod table;
mod words;

use agon::cli::{Price, PriceRun, PriceWhat};
use agon::{Failure, Outcome};

/// Runs the command.
pub fn run(args: &Price) -> Outcome {
    match (&args.what, &args.run) {
        (Some(PriceWhat::Init(args)), _) => init::run(args),
        (Some(PriceWhat::Evaluate(args)), _) => evaluate::run(args),
        (Some(PriceWhat::Switchback(args)), _) => switchback::run(args),
        (Some(PriceWhat::Monitor(args)), _) => monitor::run(args),
        (Some(PriceWhat::Segments(args)), _) => segments::run(args),
        (Some(PriceWhat::MixedLogit(args)), _) => mixed_logit::run(args),
        (None, Some(args)) => advise(args),
        (None, None) => Err(Failure::Input("name a run, or say `agon price init FILE`".into())),
    }
}

/// Recommends prices.
fn advise(args: &PriceRun) -> Outcome {
    let sheet = advise::sheet_of(args)?;
    agon::failure::say(format_args!("{}", sheet.table()));
    for file in &args.export {
        let failed = |e: String| Failure::Internal(format!("{}: {e}", file.display()));
        let bytes = match file.extension().and_then(|e| e.to_str()) {
            Some("html" | "htm") => page::html(&sheet).into_bytes(),
            Some("csv") => page::csv(&sheet).map_err(|e| failed(e.to_string()))?,
            Some("xlsx") => page::xlsx(&sheet).map_err(|e| failed(e.to_string()))?,
            _ => {
                let what = "--export writes .csv (a sheet), .xlsx (a workbook) and .html (a page)";
                return Err(Failure::Input(format!("{}: {what}", file.display())));
            }
        };
        std::fs::write(file, bytes).map_err(|e| Failure::write(file, &e))?;
        agon::tell!("wrote {}", file.display());
    }
    Ok(())
}
