//! `agon price evaluate RUN --data SALES`: what the run's prices would have earned in the weeks of a sales table, by the weeks in
//! which such prices were really charged.

use super::table::RunTable;
use agon::cli::price::Evaluate;
use agon::{Failure, Outcome};
use agon_agents::off_policy_evaluation::prices::{PriceValue, Weeks, evaluate};
use serde_json::{Value, json};

/// Weeks below which nothing is estimated.
const FEWEST: usize = 20;

/// Runs the command.
pub fn run(args: &Evaluate) -> Outcome {
    let run = RunTable::read(&args.run, &args.data)?;
    let rows = run.market.customers.len();
    if rows < FEWEST {
        let message =
            format!("{}: {rows} weeks are too few to learn anything from; {FEWEST} at least", args.data.display());
        return Err(Failure::Input(message));
    }
    let (numbers, target) = (run.numbers(), run.policy()?);
    let weeks =
        Weeks { sales: &run.table.sales, numbers: &numbers, costs: &run.market.costs, target: &target, form: run.form };
    let none = || {
        let why = "demand cannot be fitted to parts of this table, so that nothing can be said; use more weeks";
        Failure::Input(format!("{}: {why}", args.data.display()))
    };
    let found = evaluate(weeks, args.seed).ok_or_else(none)?;
    let known = run.known.iter().filter(|known| **known).count();
    if args.json.json {
        agon::say!("{}", json_of(&found, &run, known));
    } else {
        agon::failure::say(format_args!("{}", text(&found, &run, &args.run, known)));
    }
    Ok(())
}

fn json_of(found: &PriceValue, run: &RunTable, known: usize) -> Value {
    let one = |(name, s): (&String, &agon_agents::off_policy_evaluation::prices::Support)| json!({"product": name, "weeks_tried": s.tried, "effective_weeks": s.effective});
    let sure = found.has_support();
    json!({
        "rows": found.rows,
        "support": sure,
        "tried": found.tried,
        "charged": found.charged,
        "value": sure.then_some(found.value),
        "interval": found.interval.filter(|_| sure),
        "lift": sure.then_some(found.lift),
        "lift_interval": found.lift_interval.filter(|_| sure),
        "by_demand_alone": found.model,
        "learned_from": known,
        "products": run.market.names.iter().zip(&found.support).map(one).collect::<Vec<_>>(),
        "warnings": found.warnings(&run.market.names),
        "notes": run.notes,
    })
}

fn text(found: &PriceValue, run: &RunTable, name: &str, known: usize) -> String {
    let names = &run.market.names;
    let warnings = found.warnings(names);
    let percent = |x: f64| format!("{:+.1} %", 100.0 * x);
    let money = |x: f64| format!("{x:.2}");
    let mut out = match (found.has_support(), found.lift_interval) {
        (false, _) => String::new(),
        (true, Some([low, high])) => {
            let what = match (low > 0.0, high < 0.0) {
                (true, _) => "the run's prices would have earned more than was earned, as far as the table can tell",
                (_, true) => "WARNING: the run's prices would have earned less than was earned",
                _ => "WARNING: the table does not tell whether the run's prices would have earned more than was earned",
            };
            format!("{what}: {} [{}, {}]\n", percent(found.lift), percent(low), percent(high))
        }
        (true, None) => "the run's prices, beside weeks in which nothing was earned\n".into(),
    };
    warnings.iter().for_each(|warning| out += &format!("WARNING: {warning}\n"));
    let rows = found.rows;
    out += &format!(
        "\n{name}: profit a week in {rows} weeks{}\n",
        if run.table.sales.begins.is_empty() { "" } else { " of shops" }
    );
    out += &format!("  {:<46}{:>14}\n", "as it was", money(found.charged));
    if found.has_support() {
        let ends = found.interval.map_or(String::new(), |[low, high]| format!(" [{}, {}]", money(low), money(high)));
        out += &format!("  {:<46}{:>14}{ends}\n", "with the run's prices, doubly robust", money(found.value));
    }
    out += &format!("  {:<46}{:>14}\n", "with the run's prices, by demand alone", money(found.model));
    let wide = names.iter().map(|n| n.chars().count()).max().unwrap_or(0).max(8);
    out += &format!("\n{:<wide$}  weeks with such a price   weeks that count\n", "product");
    for (name, s) in names.iter().zip(&found.support) {
        out += &format!("{name:<wide$}  {:>21.0} %   {:>16.0}\n", 100.0 * s.tried, s.effective);
    }
    out += &format!(
        "\n{:.0} % of what the run's prices are expected to earn comes from prices that were tried often enough: five weeks \
         or more had one as near, as far as their costs, displays and times go, and 20 weeks count\n95 % intervals by blocks of weeks\n",
        100.0 * found.tried
    );
    if known > 0 {
        out += &format!(
            "note: demand, and the prices, were learned from {known} of these weeks: what was learned from chance is not seen. \
             Weeks that the run never saw judge it better\n"
        );
    }
    run.notes.iter().for_each(|note| out += &format!("note: {note}\n"));
    out
}
