//! Sales tables as people have them, through the binary: `agon price init` finds out what their columns are, says it, and
//! writes a scenario; what may be meant in two ways is refused.

mod common;

use common::agon;
use std::path::Path;

const PRODUCTS: [&str; 2] = ["Cola", "Water"];

/// What one shop sold: units and prices of two products in a week.
fn week(week: usize) -> [(f64, f64); 2] {
    let prices = [[2.0, 2.4, 2.2, 2.6, 2.1][week % 5], [3.0, 3.3, 3.1][week % 3]];
    prices.map(|price| ((400.0 / (1.0 + f64::exp(price))).round() + (week % 2) as f64, price))
}

/// A row for each product and week, written by `cell`: the week, the product, units, price.
fn long(header: &str, weeks: usize, cell: impl Fn(usize, &str, f64, f64) -> String) -> String {
    let mut text = format!("{header}\n");
    for t in 0..weeks {
        for (product, (units, price)) in PRODUCTS.iter().zip(week(t)) {
            text += &(cell(t, product, units, price) + "\n");
        }
    }
    text
}

fn plain(t: usize, product: &str, units: f64, price: f64) -> String {
    format!("{},{product},{units},{price},{},1000", t + 1, if product == "Cola" { 1.0 } else { 1.5 })
}

const PLAIN: &str = "week,product,units,price,cost,customers";

fn init(folder: &Path, name: &str, table: &[u8], more: &[&str]) -> (Option<i32>, String) {
    std::fs::write(folder.join(name), table).unwrap();
    let out = agon(folder, &[&["price", "init", name, "--force"], more].concat());
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout))
}

/// The lines that say what was estimated.
fn estimates(told: &str) -> Vec<&str> {
    told.lines().filter(|line| line.contains(" elasticity ") && line.contains('±')).map(str::trim).collect()
}

/// Whatever the form and the dialect, the same sales give the same demand.
#[test]
fn one_shop_in_every_dialect_is_one_demand() {
    let dir = tempfile::tempdir().unwrap();
    let weeks = 40;
    let (code, told) = init(dir.path(), "plain.csv", long(PLAIN, weeks, plain).as_bytes(), &[]);
    assert_eq!(code, Some(0), "{told}");
    let wanted: Vec<String> = estimates(&told).into_iter().map(String::from).collect();
    assert_eq!(wanted.len(), 2, "{told}");

    let comma = |x: f64| x.to_string().replace('.', ",");
    let date = |t: usize| {
        let day = t * 7; // from 2026-01-05, a Monday; months of 2026
        let (mut month, mut rest) = (0, day + 5);
        let days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        while rest > days[month] {
            rest -= days[month];
            month += 1;
        }
        (rest, month + 1)
    };
    let cost = |product: &str| if product == "Cola" { 1.0 } else { 1.5 };
    let german = long("Datum;Artikel;Menge;Preis;Kosten;Kunden", weeks, |t, p, units, price| {
        let (d, m) = date(t);
        format!("{d:02}.{m:02}.2026;{p};{units};{} €;{};1.000", comma(price), comma(cost(p)))
    });
    let mut newest: Vec<&str> = german.lines().skip(1).collect();
    newest.reverse();
    let newest = format!("{}\n{}\nSumme;;9999;;;\n", german.lines().next().unwrap(), newest.join("\n"));
    let american = long("Date\tItem\tQty\tUnit Price\tUnit Cost\tVisitors", weeks, |t, p, units, price| {
        let (d, m) = date(t);
        format!("{m}/{d}/2026\t{p}\t{units}\t${price}\t{}\t\"1,000.0\"", cost(p))
    });
    let utf16 = |text: &str| -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let latin: Vec<u8> =
        german.replace('€', "").replace("Artikel", "Artikel Stück").chars().map(|c| c as u32 as u8).collect();
    let iso = long(PLAIN, weeks, |t, p, u, x| {
        plain(t, p, u, x).replacen(&(t + 1).to_string(), &format!("2026-W{:02}", t + 2), 1)
    });
    let excel = long("date,product,units,price,cost,customers", weeks, |t, p, u, x| {
        plain(t, p, u, x).replacen(&(t + 1).to_string(), &(46_027 + 7 * t).to_string(), 1)
    });
    let wide: String = (0..weeks)
        .map(|t| {
            let [(a, pa), (b, pb)] = week(t);
            format!("{},{a},{pa},1,{b},{pb},1.5,1000\n", t + 1)
        })
        .collect();
    let wide = format!("week,units_Cola,price_Cola,cost_Cola,units_Water,price_Water,cost_Water,customers\n{wide}");
    let receipts = long("date,time,product,quantity,sales_value,cost,customers", weeks, |t, p, units, price| {
        let (d, m) = date(t);
        let one = |n: f64| format!("2026-{m:02}-{d:02},11:38:36,{p},{n},{},{},1000", n * price, cost(p) * n);
        [one(1.0), one(2.0), one(units - 3.0)].join("\n")
    });
    let xlsx = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sales.xlsx")).unwrap();
    for (name, table, more) in [
        ("german.csv", german.clone().into_bytes(), &[][..]),
        ("newest.csv", newest.into_bytes(), &[]),
        ("bom.csv", format!("\u{feff}{german}").into_bytes(), &[]),
        ("american.tsv", american.clone().into_bytes(), &[]),
        ("utf16.csv", utf16(&american), &[]),
        ("latin.csv", latin, &["--map", "units=Menge", "--map", "product=Artikel Stück"]),
        ("iso.csv", iso.into_bytes(), &[]),
        ("excel.csv", excel.into_bytes(), &[]),
        ("wide.csv", wide.into_bytes(), &[]),
        ("receipts.csv", receipts.into_bytes(), &[]),
        ("sales.xlsx", xlsx, &[]),
    ] {
        let (code, told) = init(dir.path(), name, &table, more);
        assert_eq!(code, Some(0), "{name}: {told}");
        assert_eq!(estimates(&told), wanted, "{name}: {told}");
    }
    let out = agon(dir.path(), &["eval", "myopic", "--scenario", "german.toml", "--episodes", "2", "--json"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let again = agon(dir.path(), &["price", "init", "plain.csv"]);
    assert_eq!(again.status.code(), Some(2), "a scenario that is there stays");
}

/// What is missing leaves out its own observation, and is counted.
#[test]
fn what_is_missing_leaves_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let header = "week,shop,product,units,price,cost,stock";
    let table: String = (0..2)
        .flat_map(|shop| (0..30).map(move |t| (shop, t)))
        .flat_map(|(shop, t)| week(t + 2 * shop).into_iter().zip(PRODUCTS).map(move |(x, p)| (shop, t, x, p)))
        .filter(|(_, t, _, p)| !(*p == "Water" && (*t < 5 || *t == 20)))
        .map(|(shop, t, (units, price), p)| {
            let (units, price, stock) = match (shop, t, p) {
                (0, 7, "Cola") => ("NA".into(), price.to_string(), "50"),
                (0, 8, "Cola") => ("-3".into(), price.to_string(), "50"),
                (0, 9, "Cola") => (units.to_string(), String::new(), "50"),
                (1, 9, "Cola") => ("0".into(), price.to_string(), "0"),
                (1, 10, "Cola") => (units.to_string(), "90".into(), "50"),
                _ => (units.to_string(), price.to_string(), "50"),
            };
            format!("{},{},{p},{units},{price},1,{stock}\n", t + 1, ["north", "south"][shop])
        })
        .collect();
    let (code, told) = init(dir.path(), "gaps.csv", format!("{header}\n{table}").as_bytes(), &[]);
    assert_eq!(code, Some(0), "{told}");
    for part in [
        "60 shop-weeks of 2 shops (30 weeks), 103 observations kept, 5 rows left out",
        "1 rows without units, first line",
        "1 rows with negative units (returns)",
        "1 rows without a price above 0",
        "1 rows with an empty shelf",
        "Cola at 90, its median 2.2",
        "products are missing in 17 of 120 places",
        "customers are a guess, 2 times the largest week; the prices of log-log demand do not depend on it",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let logit = ["eval", "myopic", "--scenario", "gaps.toml", "--episodes", "2", "--set", "fit.form=\"logit\""];
    let told = String::from_utf8(agon(dir.path(), &logit).stderr).unwrap();
    assert!(told.contains("20 times: mean elasticity"), "{told}");
    // The same in columns: blanks and returns leave out a product's week.
    let rows: String = (0..30)
        .map(|t| {
            let [(a, pa), (b, pb)] = week(t);
            let (a, pb) =
                (if t == 3 { "-1".into() } else { a.to_string() }, if t == 4 { "".into() } else { pb.to_string() });
            format!("{},{a},{pa},1,{b},{pb},1.5,1000\n", t + 1)
        })
        .collect();
    let header = "week,units_a,price_a,cost_a,units_b,price_b,cost_b,customers";
    let (code, told) = init(dir.path(), "blank.csv", format!("{header}\n{rows}").as_bytes(), &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("30 weeks kept, 0 left out") && told.contains("1 product-weeks without a price"), "{told}");
}

/// What cannot be understood, or in two ways, ends with one message: the file, a place, what to do; exit code 2.
#[test]
fn what_is_doubtful_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let table = |cell: &dyn Fn(usize, &str, f64, f64) -> String| long(PLAIN, 30, cell);
    let full = table(&plain);
    let still = table(&|t, p, u, _| plain(t, p, u, 2.5));
    let units_of = |t: usize, p: &str, u: f64, x: f64| plain(t, p, u, x).replace(&format!(",{u},"), ",\"1,234\",");
    let thousands = table(&units_of)
        .replace(".5", "")
        .replace(".4", "")
        .replace(".2", "")
        .replace(".6", "")
        .replace(".1", "")
        .replace(".3", "");
    let dates = long(PLAIN, 10, |t, p, u, x| {
        plain(t, p, u, x).replacen(&(t + 1).to_string(), &format!("0{}/0{}/2026", t % 9 + 1, t % 5 + 1), 1)
    });
    let areas: String = full.lines().skip(1).flat_map(|l| [format!("{l},east\n"), format!("{l},west\n")]).collect();
    let two = full
        .lines()
        .map(|l| if l.starts_with("week") { format!("{l},Price ") } else { format!("{l},3") })
        .collect::<Vec<_>>();
    let choices: String = (0..50).map(|i| format!("{i},2.0,3.0,{}\n", PRODUCTS[i % 2])).collect();
    // Shops called 1 and 2, and a product without the column of costs that the other has.
    let numbered = areas.replace(",east", ",1").replace(",west", ",2");
    let wide: String = (0..30)
        .map(|t| {
            let [(a, pa), (b, pb)] = week(t);
            format!("{},{a},{pa},1,{b},{pb},1000\n", t + 1)
        })
        .collect();
    let costless = format!("week,units_a,price_a,cost_a,units_b,price_b,customers\n{wide}");
    let below = table(&|t, p, u, x| plain(t, p, u, x).replace(",1,1000", ",9,1000"));
    for (name, text, more, parts) in [
        ("still.csv", &still, &[][..], &["no price ever moves", "Cola"][..]),
        ("thousands.csv", &thousands, &[], &["line 2, column `units`", "1234 or 1.234", "decimal=point"]),
        ("dates.csv", &dates, &[], &["line 2", "day-first", "month-first"]),
        ("areas.csv", &format!("{PLAIN},area\n{areas}"), &[], &["column `area`", "--map shop=area"]),
        ("numbered.csv", &format!("{PLAIN},wo\n{numbered}"), &[], &["column `wo`", "--map shop=wo"]),
        ("costless.csv", &costless, &[], &["`cost_b`"]),
        ("two.csv", &two.join("\n"), &[], &["`price`", "`Price`", "--map price="]),
        ("choices.csv", &format!("id,price.Cola,price.Water,choice\n{choices}"), &[], &["buyers only", "--map week="]),
        ("below.csv", &below, &[], &["Cola", "cost"]),
        ("typo.csv", &full, &["--map", "unit=units"], &["--map unit=units", "did you mean `units`"]),
        ("column.csv", &full, &["--map", "units=unit"], &["no column is called `unit`", "did you mean `units`"]),
        ("product.csv", &full, &["--products", "Cole"], &["no row is of `Cole`", "did you mean `Cola`"]),
        ("price.csv", &full.replace("price", "colour"), &[], &["no column looks like a price", "colour"]),
        ("week.csv", &full.replacen("\n7,", "\nseven,", 1), &["--map", "week=week"], &["line 14", "`seven`"]),
        ("few.csv", &long(PLAIN, 3, plain), &[], &["weeks are too few"]),
        ("empty.csv", &format!("{PLAIN}\n"), &[], &["no rows"]),
    ] {
        let (code, told) = init(dir.path(), name, text.as_bytes(), more);
        assert_eq!(code, Some(2), "{name}: {told}");
        assert!(parts.iter().all(|part| told.contains(part)), "{name}: {parts:?} in {told}");
        assert!(told.contains(name) || told.contains("--map"), "{name}: {told}");
        assert!(!dir.path().join(name).with_extension("toml").exists(), "{name}: nothing is written");
    }
}

/// A Parquet file is the table that its writer says (`tests/golden/parquet.py`): midnights of Chicago, products whose numbers
/// became fractions, billionths of a second.
#[cfg(feature = "parquet")]
#[test]
fn parquet_is_the_same_table() {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet");
    let [parquet, csv] = ["weeks.parquet", "weeks.csv"].map(|name| {
        let (code, told) = init(dir.path(), name, &std::fs::read(golden.join(name)).unwrap(), &[]);
        assert_eq!(code, Some(0), "{told}");
        told
    });
    assert_eq!(estimates(&parquet), estimates(&csv));
    assert_eq!(estimates(&csv).len(), 2, "{csv}");
    assert!(parquet.contains("`week` holds midnights of a time zone"), "{parquet}");
}
