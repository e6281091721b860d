//! `agon price segments RECEIPTS --customer COLUMN`: groups customers by what is in their baskets (k-means), so that each group can
//! have a demand and prices of its own.
//!
//! A customer is the square roots of the shares that products have in what the customer spent: distances are then those of
//! Hellinger between baskets, whoever spends more or less.

use super::guess::Guess;
use crate::sales::dialect::Numbers;
use crate::sales::long::find;
use crate::sales::{FitSettings, MoneyAs, Rows};
use crate::table_file;
use agon::cli::price::Segments;
use agon::{Failure, Outcome};
use agon_agents::data::Raw;
use agon_agents::data::cells::is_missing;
use agon_agents::data::encode::Matrix;
use agon_agents::unsupervised::agreement::{sample, silhouette};
use agon_agents::unsupervised::kmeans::{KMeans, lloyd, plus_plus};
use agon_core::rng::{Rng, Stream};
use agon_core::thread_pool::ThreadPool;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Items of a basket that are told apart: those with the most revenue; the others are one.
const ITEMS: usize = 60;
/// Segments at most, where nobody says how many.
const MOST: usize = 8;
/// Starts of which the one with the least inertia counts.
const STARTS: u32 = 5;
/// Customers that silhouettes are worked out of at most.
const SAMPLED: usize = 2000;
/// A silhouette below this is no sign of groups (Kaufman and Rousseeuw 1990).
const APART: f64 = 0.25;
/// What rows without a customer get.
const UNKNOWN: &str = "unknown";

/// Receipts by customer.
struct Baskets {
    customers: Vec<String>,
    /// The customer of each row of the file; none where a row names none, or cannot be a sale.
    of_row: Vec<Option<usize>>,
    /// The items that are told apart, and at last the others.
    items: Vec<String>,
    /// What each customer spent on each, `[customers][items]`.
    spent: Vec<Vec<f64>>,
    /// What each customer paid beside what the same units cost at their item's mean price.
    paid: Vec<[f64; 2]>,
    lost: usize,
}

/// One group.
struct Segment {
    name: String,
    customers: usize,
    /// Of all revenue.
    share: f64,
    /// By how much its customers pay more than the mean price of what they buy.
    dearer: f64,
    /// Items with a larger share of what it spends than of what all do: that share, and how many times the other.
    items: Vec<(String, f64, f64)>,
}

impl Baskets {
    fn of(raw: &Raw, settings: &FitSettings, customer: &str, basket: &str) -> Result<Self, String> {
        let customer = find(raw, "--customer", customer)?;
        let item = find(raw, "--baskets", basket)?;
        let price = find(raw, "price", &settings.price)?;
        let units = if settings.units.is_empty() { None } else { Some(find(raw, "units", &settings.units)?) };
        let used: Vec<usize> = units.into_iter().chain([price]).collect();
        let numbers = Numbers::new(raw, &used, settings.decimal)?;
        let (mut names, mut items) = (HashMap::new(), HashMap::new());
        let (mut customers, mut labels) = (Vec::new(), Vec::new());
        let mut sales: Vec<Option<(usize, usize, f64, f64)>> = Vec::with_capacity(raw.rows());
        for row in 0..raw.rows() {
            let (who, what) = (raw.cell(row, customer), raw.cell(row, item));
            let count = units.map_or(Ok(Some(1.0)), |c| numbers.read(row, c))?;
            let money = numbers.read(row, price)?;
            let sold = count.zip(money).filter(|(count, money)| *count > 0.0 && *money > 0.0);
            let Some((count, money)) = sold.filter(|_| !is_missing(who) && !is_missing(what)) else {
                sales.push(None);
                continue;
            };
            let known = |names: &mut HashMap<String, usize>, all: &mut Vec<String>, name: &str| {
                *names.entry(name.to_owned()).or_insert_with(|| {
                    all.push(name.to_owned());
                    all.len() - 1
                })
            };
            let who = known(&mut names, &mut customers, who);
            let what = known(&mut items, &mut labels, what);
            sales.push(Some((
                who,
                what,
                count,
                if settings.price_as == MoneyAs::Total { money } else { money * count },
            )));
        }
        let mut totals = vec![[0.0; 2]; labels.len()];
        for (_, what, count, money) in sales.iter().flatten() {
            totals[*what] = [totals[*what][0] + money, totals[*what][1] + count];
        }
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|a, b| totals[*b][0].total_cmp(&totals[*a][0]).then(a.cmp(b)));
        order.truncate(ITEMS);
        let mut place = vec![order.len(); labels.len()];
        order.iter().enumerate().for_each(|(i, what)| place[*what] = i);
        let mut found = Self {
            spent: vec![vec![0.0; order.len() + 1]; customers.len()],
            paid: vec![[0.0; 2]; customers.len()],
            items: order.iter().map(|what| labels[*what].clone()).chain(["all others".into()]).collect(),
            of_row: sales.iter().map(|sale| sale.map(|(who, ..)| who)).collect(),
            lost: sales.iter().filter(|sale| sale.is_none()).count(),
            customers,
        };
        for (who, what, count, money) in sales.into_iter().flatten() {
            found.spent[who][place[what]] += money;
            let [all, units] = totals[what];
            found.paid[who] = [found.paid[who][0] + money, found.paid[who][1] + count * all / units];
        }
        Ok(found)
    }

    fn matrix(&self) -> Matrix {
        let row = |spent: &Vec<f64>| {
            let all: f64 = spent.iter().sum();
            spent.iter().map(|x| (x / all).sqrt()).collect::<Vec<f64>>()
        };
        Matrix { x: self.spent.iter().flat_map(row).collect(), width: self.items.len() }
    }

    /// What is told of each group.
    fn segments(&self, group: &[u32], k: usize) -> Vec<Segment> {
        let sum = |list: &mut dyn Iterator<Item = &Vec<f64>>| {
            list.fold(vec![0.0; self.items.len()], |sum, row| sum.iter().zip(row).map(|(a, b)| a + b).collect())
        };
        let all: Vec<f64> = sum(&mut self.spent.iter());
        let revenue: f64 = all.iter().sum();
        let one = |g: usize| {
            let of = || (0..group.len()).filter(move |i| group[*i] as usize == g);
            let own: Vec<f64> = sum(&mut of().map(|i| &self.spent[i]));
            let total: f64 = own.iter().sum();
            let paid = of().map(|i| self.paid[i]).fold([0.0; 2], |sum, x| [sum[0] + x[0], sum[1] + x[1]]);
            let beside = |i: usize| (own[i] / total) / (all[i] / revenue);
            let mut items: Vec<usize> = (0..self.items.len() - 1).filter(|i| beside(*i) > 1.0).collect();
            // What tells the group from others most: by the distance of shares.
            let apart = |i: usize| ((own[i] / total).sqrt() - (all[i] / revenue).sqrt()).abs();
            items.sort_by(|a, b| apart(*b).total_cmp(&apart(*a)));
            items.truncate(3);
            Segment {
                name: (g + 1).to_string(),
                customers: of().count(),
                share: total / revenue,
                dearer: paid[0] / paid[1] - 1.0,
                items: items.into_iter().map(|i| (self.items[i].clone(), own[i] / total, beside(i))).collect(),
            }
        };
        (0..k).map(one).collect()
    }
}

/// The best of several starts, and the cluster of each row, the largest cluster first.
fn fitted(x: &Matrix, k: usize, seed: u64, pool: &ThreadPool) -> Outcome<(KMeans, Vec<u32>)> {
    let mut best: Option<KMeans> = None;
    for start in 0..STARTS {
        let mut rng = Rng::new(seed, Stream::Shuffle, start);
        let found = lloyd(x, plus_plus(x, k, &mut rng), 300, 1e-6, pool, &|| false)
            .map_err(|e| Failure::Internal(e.to_string()))?;
        if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
            best = Some(found);
        }
    }
    let best = best.ok_or_else(|| Failure::Internal("no start".into()))?;
    let far = |row: &[f64], c: usize| {
        let centre = &best.centres[c * x.width..][..x.width];
        row.iter().zip(centre).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
    };
    let near = |i: usize| (0..k).min_by(|a, b| far(x.row(i), *a).total_cmp(&far(x.row(i), *b))).unwrap_or(0);
    let own: Vec<usize> = (0..x.rows()).map(near).collect();
    let count = |c: usize| own.iter().filter(|own| **own == c).count();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by_key(|c| (usize::MAX - count(*c), *c));
    let place = |c: usize| order.iter().position(|o| *o == c).unwrap_or(0) as u32;
    let group = own.into_iter().map(place).collect();
    Ok((best, group))
}

/// Runs the command.
pub fn run(args: &Segments) -> Outcome {
    let file = &args.file;
    let wrong = |why: String| Failure::Input(format!("{}: {why}", file.display()));
    let out = args.out.clone().unwrap_or_else(|| file.with_extension("segments.csv"));
    if out.exists() && !args.force {
        let message = format!("{} is there already: --force replaces it, -o writes another", out.display());
        return Err(Failure::Input(message));
    }
    let raw = table_file::read(file)?;
    if raw.find("segment").is_some() {
        return Err(wrong("it has a column `segment` already: rename it".into()));
    }
    let mut given: Map<String, Value> = super::init::mapped(&args.map)?;
    given.entry("rows").or_insert(json!("sales"));
    let guess = Guess::of(&raw, &given).map_err(wrong)?;
    let settings = super::init::read_settings(&guess.fit)?;
    if settings.rows != Rows::Sales || settings.price.contains("{}") {
        return Err(wrong("segments are made of receipts: a row is a sale, with one price".into()));
    }
    let basket = args.baskets.clone().unwrap_or_else(|| settings.product.clone());
    if basket.is_empty() {
        return Err(wrong(
            "no column looks like products: say which one baskets are told apart by, with --baskets".into(),
        ));
    }
    let baskets = Baskets::of(&raw, &settings, &args.customer, &basket).map_err(wrong)?;
    let x = baskets.matrix();
    let most = args.segments.unwrap_or(MOST);
    if x.rows() < 10 * most.min(2) || x.rows() <= most {
        return Err(wrong(format!("{} customers are too few to be grouped", x.rows())));
    }
    let pool = ThreadPool::on_all_cores();
    let picked = sample(x.rows(), SAMPLED);
    let some = Matrix { x: picked.iter().flat_map(|i| x.row(*i).to_vec()).collect(), width: x.width };
    let mut tried: Vec<(f64, usize, Vec<u32>)> = Vec::new();
    for k in args.segments.map_or(2..=MOST.min(x.rows() - 1), |k| k..=k) {
        let (_, group) = fitted(&x, k, args.seed, &pool)?;
        let of_some: Vec<u32> = picked.iter().map(|i| group[*i]).collect();
        tried.push((silhouette(&some, &of_some).unwrap_or(0.0), k, group));
    }
    let known: Vec<(usize, f64)> = tried.iter().map(|(s, k, _)| (*k, *s)).collect();
    let Some((apart, k, group)) = tried.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)) else {
        return Err(Failure::Internal("no number of segments was tried".into()));
    };
    let segments = baskets.segments(&group, k);
    write(&out, &raw, &baskets, &group)?;
    if args.json.json {
        let one = |s: &Segment| {
            let items = s.items.iter().map(|(name, share, times)| json!([name, share, times])).collect::<Vec<_>>();
            json!({"segment": s.name, "customers": s.customers, "share_of_revenue": s.share, "prices_beside_mean": s.dearer, "items": items})
        };
        let all = segments.iter().map(one).collect::<Vec<_>>();
        let customers = baskets.customers.len();
        agon::say!(
            "{}",
            json!({"segments": all, "silhouettes": known, "customers": customers, "rows_left_out": baskets.lost, "file": out})
        );
        return Ok(());
    }
    agon::say!(
        "{}: {} customers by what they spend on {} of `{basket}`; {} rows name no customer or are no sale",
        file.display(),
        baskets.customers.len(),
        baskets.items.len() - 1,
        baskets.lost
    );
    let told: Vec<String> = known.iter().map(|(k, s)| format!("{k}: {s:.3}")).collect();
    agon::say!("silhouette by the number of segments: {}", told.join(", "));
    if apart < APART {
        agon::say!(
            "note: baskets are not in groups (silhouette {apart:.2}, below {APART}): segments cut through what is one crowd, \
             and prices of their own rest on little"
        );
    }
    agon::say!(
        "\nsegment  customers  of revenue  pays      more than others on (share of what it spends, times that of all)"
    );
    for s in &segments {
        let items: Vec<String> =
            s.items.iter().map(|(name, share, times)| format!("{name} ({:.0} %, {times:.1})", 100.0 * share)).collect();
        agon::say!(
            "{:<7}  {:>9}  {:>8.1} %  {:>+5.1} %   {}",
            s.name,
            s.customers,
            100.0 * s.share,
            100.0 * s.dearer,
            items.join(", ")
        );
    }
    let out = out.display();
    agon::say!(
        "\npays: beside the mean prices of what it buys\nwrote {out}: the receipts with a column `segment`\nnext, a demand and \
         prices of one segment:\n  agon price init {out} --map shop=segment --map 'shops=[\"1\"]' -o segment-1.toml"
    );
    Ok(())
}

/// The receipts with the segment of each row's customer.
fn write(out: &std::path::Path, raw: &Raw, baskets: &Baskets, group: &[u32]) -> Outcome {
    let failed = |e: csv::Error| Failure::Internal(format!("{}: {e}", out.display()));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(raw.names.iter().map(String::as_str).chain(["segment"])).map_err(failed)?;
    for row in 0..raw.rows() {
        let segment = baskets.of_row[row].map_or_else(|| UNKNOWN.to_owned(), |who| (group[who] + 1).to_string());
        let cells = (0..raw.names.len()).map(|c| raw.cell(row, c)).chain([segment.as_str()]);
        writer.write_record(cells).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|e| Failure::Internal(format!("{}: {e}", out.display())))?;
    std::fs::write(out, bytes).map_err(|e| Failure::write(out, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two kinds of households that buy the same things at other shares are found, whoever spends more.
    #[test]
    fn households_are_told_apart_by_their_baskets() {
        let mut raw = Raw::new(["who", "what", "n", "paid"].map(String::from).to_vec(), false);
        let mut rng = Rng::new(1, Stream::Env, 0);
        for who in 0..60u32 {
            let often = if who % 2 == 0 { ["tea", "cake"] } else { ["beer", "crisps"] };
            for _ in 0..3 + rng.below(20) {
                let what = if rng.f64() < 0.8 { often[rng.below(2) as usize] } else { "bread" };
                let cells = [who.to_string(), what.into(), "2".into(), format!("{:.2}", 1.0 + f64::from(who % 2))];
                raw.push(2, cells.iter().map(String::as_str));
            }
        }
        raw.push(2, ["", "tea", "1", "1"]);
        raw.push(2, ["7", "tea", "-1", "1"]);
        let settings =
            FitSettings { units: "n".into(), price: "paid".into(), rows: Rows::Sales, ..FitSettings::default() };
        let baskets = Baskets::of(&raw, &settings, "who", "what").unwrap();
        assert_eq!((baskets.customers.len(), baskets.items.len(), baskets.lost), (60, 6, 2));
        let x = baskets.matrix();
        let (_, group) = fitted(&x, 2, 1, &ThreadPool::new(2)).unwrap();
        for who in 0..60 {
            let same = group[who] == group[who % 2];
            assert!(same, "{who}: {group:?}");
        }
        assert!(group[0] != group[1] && silhouette(&x, &group).unwrap() > 0.5);
        let segments = baskets.segments(&group, 2);
        let tea = &segments[group[0] as usize];
        assert!(tea.customers == 30 && tea.items.iter().any(|(name, _, times)| name == "tea" && *times > 1.5));
        assert!((segments.iter().map(|s| s.share).sum::<f64>() - 1.0).abs() < 1e-12);
        // The others pay twice as much for their bread.
        assert!(tea.dearer < 0.0 && segments[group[1] as usize].dearer > 0.0);
        assert!(Baskets::of(&raw, &settings, "whom", "what").err().unwrap().contains("did you mean `who`"));
    }
}
