//! `agon price switchback RUN`: plans an experiment that shows whether the promised lift is real, and analyses its results.

use super::table::RunTable;
use crate::table_file;
use agon::cli::price::Switchback;
use agon::failure::quoted;
use agon::{Failure, Outcome};
use agon_agents::data::Raw;
use agon_agents::switchback::{Design, Noise, Slot, TRIALS, confidence, observations, power, prior};
use std::fmt::Write as _;
use std::path::Path;

/// The probability of a false alarm, however often one looks.
const ALPHA: f64 = 0.05;
/// Weeks that are looked at for a power at most: ten years.
const LONGEST: usize = 520;
/// The columns of a schedule.
const COLUMNS: [&str; 6] = ["week", "shop", "pair", "prices", "counts", "profit"];

/// Runs the command.
pub fn run(args: &Switchback) -> Outcome {
    if args.settle >= args.block {
        return Err(Failure::Input(format!("--settle {}: a block of {} weeks has none left", args.settle, args.block)));
    }
    if let Some(file) = &args.results {
        return analyse(args, file);
    }
    let run = RunTable::read(&args.run, &args.data)?;
    let lift = lift(args, &run)?;
    let noise = noise(&run)?;
    let most = Design {
        shops: args.shops,
        block: args.block,
        settle: args.settle,
        pairs: (LONGEST / (2 * args.block)).max(2),
    };
    agon::tell!("simulating {TRIALS} experiments");
    let found = power(most, noise, lift, ALPHA, TRIALS, args.seed);
    let enough = found.iter().position(|p| *p >= args.power).map(|at| at + 1);
    let per = |pairs: usize| 2 * args.block * pairs;
    let mut out = match enough {
        Some(pairs) => format!(
            "{} weeks in {} find a lift of {:.1} % with a probability of {:.0} %\n",
            per(pairs),
            shops(args.shops),
            100.0 * lift,
            100.0 * found[pairs - 1]
        ),
        None => format!(
            "WARNING: {LONGEST} weeks in {} find a lift of {:.1} % with a probability of only {:.0} %: use more shops\n",
            shops(args.shops),
            100.0 * lift,
            100.0 * found.last().copied().unwrap_or(0.0)
        ),
    };
    let _ = write!(
        out,
        "\nnew prices and old ones take turns in blocks of {} weeks, in an order drawn by seed {}{}\n\
         a week's profit varies by {:.1} % around what the fitted demand expects (correlation with the week before {:.2})\n\n\
         weeks   probability to have found the lift\n",
        args.block,
        args.seed,
        if args.settle > 0 { format!("; the first {} of a block do not count", args.settle) } else { String::new() },
        100.0 * noise.deviation,
        noise.carried
    );
    let last = enough.unwrap_or(found.len());
    let shown = (1..=8).map(|i| (i * last).div_ceil(8)).filter(|n| *n > 0);
    let mut before = 0;
    for pairs in shown.filter(|n| std::mem::replace(&mut before, *n) != *n) {
        let _ = writeln!(out, "{:>5}   {:.0} %", per(pairs), 100.0 * found[pairs - 1]);
    }
    let _ = writeln!(
        out,
        "\nlook as often as you like: if the new prices earn the same, it is said that they do not in at most {:.0} of 100 \
         experiments\nit is simulated with shops whose weeks are independent of each other, and all as noisy as the table",
        100.0 * ALPHA
    );
    for note in &run.notes {
        let _ = writeln!(out, "note: {note}");
    }
    if let Some(file) = &args.export {
        let pairs = enough.unwrap_or(most.pairs);
        write_schedule(file, Design { pairs, ..most }, args.seed)?;
        let again = format!(
            "  agon price switchback {} --data {} --results {} --block {} --settle {} --shops {}",
            quoted(Path::new(&args.run)),
            quoted(&args.data),
            quoted(file),
            args.block,
            args.settle,
            args.shops
        );
        let _ = writeln!(out, "wrote {}; fill in its column `profit` as weeks go by, and ask\n{again}", file.display());
    }
    agon::failure::say(format_args!("{out}"));
    Ok(())
}

fn shops(count: usize) -> String {
    if count == 1 { "one shop".into() } else { format!("{count} shops") }
}

/// The lift to be found: the one asked for, or the one that the run's evaluation promises.
fn lift(args: &Switchback, run: &RunTable) -> Outcome<f64> {
    let promised = run.evaluation["lift_over_charged"]["share"].as_f64();
    let lift = args.lift.map(|percent| percent / 100.0).or(promised);
    let none = || {
        Failure::Input(format!(
            "{}: its evaluation promises no lift over the charged prices; say one with --lift",
            args.run
        ))
    };
    let lift = lift.ok_or_else(none)?;
    if !(lift > 1e-4 && lift < 10.0) {
        let message = format!("a lift of {:.2} % cannot be looked for; say another one with --lift", 100.0 * lift);
        return Err(Failure::Input(message));
    }
    Ok(lift)
}

/// How real profits of a shop's week differ from what the fitted demand expects at the charged prices.
fn noise(run: &RunTable) -> Outcome<Noise> {
    let expected = run.expected()?;
    let off = |row: usize| {
        let (real, wanted) = (run.profit(row, &run.table.sales.units[row]), run.profit(row, &expected[row].0));
        (real > 0.0 && wanted > 0.0).then(|| (real / wanted).ln())
    };
    let shops = &run.table.sales.shops;
    // Shop after shop, so that neighbours are neighbouring weeks of one.
    let mut order: Vec<usize> = (0..expected.len()).collect();
    order.sort_by_key(|row| (shops.get(*row).copied().unwrap_or(0), *row));
    let all: Vec<f64> = order.into_iter().filter_map(off).collect();
    if all.len() < 20 {
        let message =
            format!("{} weeks earned something as expected: too few to know how much profits vary", all.len());
        return Err(Failure::Input(message));
    }
    Ok(Noise::of(&all))
}

fn write_schedule(file: &Path, design: Design, seed: u64) -> Outcome {
    let failed = |e: csv::Error| Failure::Internal(format!("the schedule cannot be written: {e}"));
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(COLUMNS).map_err(failed)?;
    for slot in design.schedule(seed) {
        let of = |number: usize| (number + 1).to_string();
        let (prices, counts) = (if slot.new { "new" } else { "old" }, if slot.counts { "yes" } else { "no" });
        out.write_record([&of(slot.week), &of(slot.shop), &of(slot.pair), prices, counts, ""]).map_err(failed)?;
    }
    let bytes = out.into_inner().map_err(|e| Failure::Internal(e.to_string()))?;
    std::fs::write(file, bytes).map_err(|e| Failure::write(file, &e))
}

/// The slots of a schedule with the profits that are known.
fn read_results(file: &Path, raw: &Raw) -> Outcome<Vec<(Slot, Option<f64>)>> {
    let wrong = |why: String| Failure::Input(format!("{}: {why}", file.display()));
    let mut at = [0; 6];
    for (place, name) in at.iter_mut().zip(COLUMNS) {
        let found = raw.find(name).ok_or_else(|| wrong(format!("it has no column `{name}`, as the schedule had")));
        *place = found?;
    }
    let one = |row: usize| {
        let line = raw.lines[row];
        let bad = |column: &str, cell: &str| wrong(format!("line {line}: `{column}` is `{cell}`"));
        let number = |i: usize| {
            let cell = raw.cell(row, at[i]);
            let found = cell.parse::<usize>().ok().filter(|n| (1..=1_000_000).contains(n));
            found.map(|n| n - 1).ok_or_else(|| bad(COLUMNS[i], cell))
        };
        let word = |i: usize, yes: &str, no: &str| match raw.cell(row, at[i]) {
            cell if cell == yes => Ok(true),
            cell if cell == no => Ok(false),
            cell => Err(bad(COLUMNS[i], cell)),
        };
        let profit = match raw.cell(row, at[5]) {
            "" => None,
            cell => Some(raw.number(row, at[5]).ok_or_else(|| bad("profit", cell))?),
        };
        let slot = Slot {
            week: number(0)?,
            shop: number(1)?,
            pair: number(2)?,
            new: word(3, "new", "old")?,
            counts: word(4, "yes", "no")?,
        };
        Ok((slot, profit))
    };
    (0..raw.rows()).map(one).collect()
}

fn analyse(args: &Switchback, file: &Path) -> Outcome {
    let results = read_results(file, &table_file::read(file)?)?;
    let seen = observations(&results).ok_or_else(|| {
        let why = "a block without profit: a lift is a share of the profit at the old prices, and there is none";
        Failure::Input(format!("{}: {why}", file.display()))
    })?;
    let pairs = results.iter().map(|(slot, _)| slot.pair + 1).max().unwrap_or(0);
    let count = results.iter().map(|(slot, _)| slot.shop + 1).max().unwrap_or(1);
    let run = RunTable::read(&args.run, &args.data)?;
    let lift = lift(args, &run)?;
    let design = Design { shops: count, block: args.block, settle: args.settle, pairs };
    // The same before any result is known.
    let g = prior(design, noise(&run)?, lift);
    let percent = |x: f64| format!("{:+.1} %", 100.0 * x.exp_m1());
    let mean = seen.iter().sum::<f64>() / seen.len().max(1) as f64;
    let first = match confidence(&seen, g, ALPHA) {
        None => "too early: nothing can be excluded yet".to_owned(),
        Some([low, high]) => {
            let what = match (low > 0.0, high < 0.0) {
                (true, _) => "the new prices earn more: the experiment may end",
                (_, true) => "ALARM: the new prices earn less: the experiment may end",
                _ if high < lift.ln_1p() => {
                    "the new prices earn less than was promised; whether more than the old ones is open"
                }
                _ => "open: go on",
            };
            format!("{what}: {} [{}, {}]", percent(mean), percent(low), percent(high))
        }
    };
    agon::say!(
        "{first}\n{} of {pairs} pairs of blocks are over, in {}; the interval holds the truth with 95 % however often you look",
        seen.len(),
        shops(count)
    );
    if !seen.is_empty() {
        agon::say!("promised: {:+.1} %", 100.0 * lift);
    }
    Ok(())
}
