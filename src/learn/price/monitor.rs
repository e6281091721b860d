//! `agon price monitor RUN --data NEW`: whether new weeks are as the run's demand promised: forecasts, prices and units, and
//! whether the lift arrived.

use super::table::RunTable;
use agon::cli::price::Monitor;
use agon::{Failure, Outcome};
use agon_agents::data::drift::{Drift, drift};
use agon_agents::data::{Column, Kind, Values};
use agon_core::rng::{Rng, Stream};
use agon_core::stats::block_bootstrap;
use serde_json::{Value, json};

/// Replicates behind intervals.
const REPLICATES: usize = 1000;
/// A shift that calls for a new fit, as it is usually taken.
const SHIFT: f64 = 0.2;
/// Prices so near to the recommended ones count as followed.
const FOLLOWED: f64 = 0.01;

/// A share with its interval.
#[derive(Clone, Copy)]
struct Found {
    value: f64,
    interval: Option<[f64; 2]>,
}

impl Found {
    fn percent(&self) -> String {
        let ends = self.interval.map_or(" (too few weeks for an interval)".into(), |[low, high]| {
            format!(" [{:+.1} %, {:+.1} %]", 100.0 * low, 100.0 * high)
        });
        format!("{:+.1} %{ends}", 100.0 * self.value)
    }

    fn json(&self) -> Value {
        json!({"value": self.value, "interval": self.interval})
    }
}

/// What was found of the new weeks.
struct Watch {
    /// Rows of new weeks.
    rows: usize,
    /// Units forecast wrongly beside units sold.
    wape: Found,
    /// The same as the fit promised of weeks that it had not seen.
    promised_wape: Option<f64>,
    /// Units sold more than expected.
    bias: Found,
    /// Profit beside the expected one at the old prices.
    lift: Found,
    /// The same as the fitted demand expects of the charged prices, less what chosen prices only seem to earn.
    promised_lift: f64,
    /// The share of prices that were the recommended ones.
    followed: f64,
    /// Prices and units beside those of the fitted weeks.
    drifts: Vec<(String, Drift)>,
    alarms: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Monitor) -> Outcome {
    let run = RunTable::read(&args.run, &args.data)?;
    let wrong = |why: &str| Failure::Input(format!("{}: {why}", args.data.display()));
    let fresh: Vec<usize> = (0..run.known.len()).filter(|row| !run.known[*row]).collect();
    if fresh.is_empty() {
        return Err(wrong("it holds no week that demand was not fitted to: there is nothing new"));
    }
    let is_date = |label: &str| label.contains('-') || label.contains('W');
    if fresh.len() == run.known.len() && run.form.1 && is_date(run.label(0)) {
        return Err(wrong(
            "none of the run's weeks is in it, and its demand has a season: give the whole table, the old weeks and the new",
        ));
    }
    let found = Watch::of(&run, &fresh)?;
    if args.json.json {
        agon::say!("{}", found.json(&run));
    } else {
        agon::failure::say(format_args!("{}", found.text(&run, &args.run, &fresh)));
    }
    match found.alarms.is_empty() || !args.fail_on_alarm {
        true => Ok(()),
        false => Err(Failure::Check("an alarm, and --fail-on-alarm".into())),
    }
}

fn column(numbers: Vec<f64>) -> Column {
    Column { name: String::new(), kind: Kind::Number, values: Values::Numbers(numbers), way: None }
}

impl Watch {
    fn of(run: &RunTable, fresh: &[usize]) -> Outcome<Self> {
        let (sales, n) = (&run.table.sales, run.market.names.len());
        let expected = run.expected()?;
        let before = run.usual_prices();
        let old = run.expected_at(fresh, &before)?;
        let recommended = run.policy()?;
        let units = |row: usize, k: usize| if sales.present(row, k) { sales.units[row][k] } else { 0.0 };
        let interval = |x: &mut dyn FnMut(&[usize]) -> f64| {
            block_bootstrap(fresh.len(), REPLICATES, &mut Rng::new(1, Stream::Eval, 0), x)
        };
        let sums = |drawn: &[usize]| {
            let (mut off, mut sold, mut forecast) = (0.0, 0.0, 0.0);
            for row in drawn.iter().map(|i| fresh[*i]) {
                for k in (0..n).filter(|k| sales.present(row, *k)) {
                    off += (expected[row].0[k] - units(row, k)).abs();
                    sold += units(row, k);
                    forecast += expected[row].0[k];
                }
            }
            [off / sold, sold / forecast - 1.0]
        };
        let all: Vec<usize> = (0..fresh.len()).collect();
        let [wape, bias] =
            [0, 1].map(|i| Found { value: sums(&all)[i], interval: interval(&mut |drawn| sums(drawn)[i]) });
        let real: Vec<f64> = fresh.iter().map(|row| run.profit(*row, &sales.units[*row])).collect();
        let total = |drawn: &[usize], x: &dyn Fn(usize) -> f64| drawn.iter().map(|i| x(*i)).sum::<f64>();
        let share = |drawn: &[usize], at_old: &dyn Fn(usize) -> f64| {
            let base = total(drawn, at_old);
            if base > 0.0 { total(drawn, &|i| real[i]) / base - 1.0 } else { f64::NAN }
        };
        // Each replicate has weeks and a demand of its own; what is asked for last is the whole, with the fitted one.
        let mut replicate = 0;
        let lift = Found {
            value: share(&all, &|i| old[i].0),
            interval: interval(&mut |drawn| {
                replicate += 1;
                share(drawn, &|i| match old[i].1.len() {
                    0 => old[i].0,
                    draws if replicate <= REPLICATES => old[i].1[replicate % draws],
                    _ => old[i].0,
                })
            }),
        };
        let now = total(&all, &|i| run.profit(fresh[i], &expected[fresh[i]].0));
        let optimism = run.evaluation["lift_over_charged"]["optimism"].as_f64().unwrap_or(0.0);
        let promised_lift = now / total(&all, &|i| old[i].0) - 1.0;
        let near = |row: usize, k: usize| (sales.prices[row][k] / recommended[row][k] - 1.0).abs() <= FOLLOWED;
        let there: Vec<(usize, usize)> = fresh
            .iter()
            .flat_map(|row| (0..n).map(move |k| (*row, k)))
            .filter(|(row, k)| sales.present(*row, *k))
            .collect();
        let followed = there.iter().filter(|(row, k)| near(*row, *k)).count() as f64 / there.len().max(1) as f64;
        let model =
            run.fit["forecasts"]["models"].as_array().into_iter().flatten().find(|m| m["name"] == run.fit["model"]);
        let mut watch = Self {
            rows: fresh.len(),
            wape,
            promised_wape: model.and_then(|model| model["wape"].as_f64()),
            bias,
            lift,
            promised_lift: promised_lift - if followed > 0.5 { optimism } else { 0.0 },
            followed,
            drifts: drifts(run, fresh),
            alarms: Vec::new(),
        };
        watch.alarms = watch.find_alarms();
        Ok(watch)
    }

    fn find_alarms(&self) -> Vec<String> {
        let mut all = Vec::new();
        // Prices that move about may well earn less than the usual ones: it is the promise that must be kept.
        if let Some([_, high]) = self.lift.interval.filter(|[_, high]| *high < self.promised_lift) {
            let (found, promised) = (self.lift.percent(), 100.0 * self.promised_lift);
            let what = if high < 0.0 && promised > 0.0 {
                "the new weeks earned less than is expected at the old prices"
            } else {
                "the promised lift did not arrive"
            };
            all.push(format!("{what}: {found} instead of {promised:+.1} %"));
        }
        if let (Some([low, _]), Some(promised)) = (self.wape.interval, self.promised_wape)
            && low > promised
        {
            let wape = self.wape.value;
            all.push(format!("demand is forecast worse than was promised: WAPE {wape:.3} instead of {promised:.3}"));
        }
        all
    }

    fn json(&self, run: &RunTable) -> Value {
        let one = |(what, d): &(String, Drift)| json!({"of": what, "psi": d.psi, "psi_by_chance": d.psi_by_chance, "kolmogorov_smirnov": d.smirnov});
        json!({
            "alarms": self.alarms,
            "new_rows": self.rows,
            "wape": self.wape.json(),
            "promised_wape": self.promised_wape,
            "bias": self.bias.json(),
            "lift": self.lift.json(),
            "promised_lift": self.promised_lift,
            "followed": self.followed,
            "drift": self.drifts.iter().map(one).collect::<Vec<_>>(),
            "notes": run.notes,
        })
    }

    fn text(&self, run: &RunTable, name: &str, fresh: &[usize]) -> String {
        let weeks =
            format!("{} new weeks ({} to {})", self.rows, run.label(fresh[0]), run.label(fresh[fresh.len() - 1]));
        let mut out = match self.alarms.split_first() {
            Some((first, rest)) => {
                let rest: String = rest.iter().map(|alarm| format!("ALARM: {alarm}\n")).collect();
                format!("ALARM: {first}\n{rest}\n{name}: {weeks}\n")
            }
            None if self.lift.interval.is_none() => format!("no verdict yet: {weeks} are too few\n\n{name}\n"),
            None => format!("no alarm: nothing in {weeks} contradicts what was promised\n\n{name}\n"),
        };
        let promised = self.promised_wape.map_or("nothing promised".into(), |w| format!("promised {w:.3}"));
        let ends = self.wape.interval.map_or(String::new(), |[low, high]| format!(" [{low:.3}, {high:.3}]"));
        out += &format!("  forecasts, WAPE                   {:.3}{ends}, {promised}\n", self.wape.value);
        out += &format!("  units sold more than expected     {}\n", self.bias.percent());
        out += &format!(
            "  profit more than at the old prices {}, promised {:+.1} %\n",
            self.lift.percent(),
            100.0 * self.promised_lift
        );
        out += &format!("  prices as the run recommends      {:.0} %, to within 1 %\n", 100.0 * self.followed);
        let wide = self.drifts.iter().map(|(what, _)| what.chars().count()).max().unwrap_or(0);
        if wide > 0 {
            out += "\nbeside the weeks that demand was fitted to\n";
        }
        for (what, d) in &self.drifts {
            let shifted = if d.psi > SHIFT && d.psi > d.psi_by_chance { "  SHIFTED" } else { "" };
            let [far, p] = d.smirnov.unwrap_or([0.0, 1.0]);
            out += &format!(
                "  {what:<wide$}  PSI {:.3} (by chance up to {:.3})  Kolmogorov-Smirnov {far:.3}, p {p:.3}{shifted}\n",
                d.psi, d.psi_by_chance
            );
        }
        out += "\nthe old prices are the median ones of each product; what they would have earned is what the fitted demand \
                expects. 95 % intervals by blocks of weeks, with the error of estimation in that of the lift\n";
        if self.followed < 0.5 {
            out += "note: most prices are not those that the run recommends: this judges the demand, not the run's prices\n";
        }
        run.notes.iter().for_each(|note| out += &format!("note: {note}\n"));
        out
    }
}

/// How far prices and units of the new weeks are from those of the fitted ones; units only where the table still has them.
fn drifts(run: &RunTable, fresh: &[usize]) -> Vec<(String, Drift)> {
    let sales = &run.table.sales;
    let old: Vec<usize> = (0..run.known.len()).filter(|row| run.known[*row]).collect();
    let mut found = Vec::new();
    for (k, name) in run.market.names.iter().enumerate() {
        let of = |rows: &[usize], list: &[Vec<f64>]| -> Vec<f64> {
            rows.iter().filter(|row| sales.present(**row, k)).map(|row| list[*row][k]).collect()
        };
        let charged: Vec<f64> = run.charged_before.iter().map(|week| week[k]).collect();
        let mut add = |what: &str, before: Vec<f64>, now: Vec<f64>| {
            if !before.is_empty() && !now.is_empty() {
                let rows: Vec<usize> = (0..before.len()).collect();
                found.push((format!("{what} of {name}"), drift(&column(before), &rows, &column(now))));
            }
        };
        add("price", charged, of(fresh, &sales.prices));
        add("units", of(&old, &sales.units), of(fresh, &sales.units));
    }
    found
}
