use super::calendar::{MONDAY, day, week_of_year};
use super::*;
use agon_agents::data::Raw;

fn read_text(text: &str) -> Outcome<SalesTable> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    read(file.path(), &FitSettings::default())
}

const HEADER: &str = "week,units_a,price_a,wholesale_a,display_a,customers\n";

#[test]
fn untrue_weeks_are_left_out_and_named() {
    let rows = "1,10,2,1,0,100\n2,10,2,0,0,100\n3,200,2,1,0,100\n4,10,2,1,0.5,100\n4,10,2,1,0,100\n\
                5,10,20,1,2,100\n6,10,2,1,0,100\n7,10,2,1,0,100\n";
    let table = read_text(&format!("{HEADER}{rows}")).unwrap();
    assert_eq!(table.weeks, [0, 3, 5, 6]);
    let crowded = format!("{HEADER}1,10,2,1,0,100\n2,10,2,1,0,1e15\n3,10,2,1,0,100\n");
    let crowded = read_text(&crowded).unwrap();
    assert_eq!(crowded.left_out, ["line 3, week 2: 1e15 customers came, the median is 100"]);
    let text = table.left_out.join("\n");
    for part in
        ["week 2: the cost of a is 0", "week 3: 200 units", "line 6, week 4: line 5 is of the same week", "above 1"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_column_is_one_thing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "week,units_a,units_b,price_a,price_b,cost,display_a,display_b,customers\n1,5,5,2,2,1,0,0,100\n";
    std::fs::write(file.path(), text).unwrap();
    for (settings, part) in [
        (FitSettings { cost: "cost".into(), ..Default::default() }, "`cost` would be two things"),
        (FitSettings { cost: "price_{}".into(), ..Default::default() }, "`price_a` would be two things"),
        (FitSettings { products: vec!["a".into(), "a".into()], ..Default::default() }, "names `a` twice"),
    ] {
        let failure = read(file.path(), &settings).unwrap_err();
        assert!(failure.code() == 2 && failure.to_string().contains(part), "{part} in {failure}");
    }
}

#[test]
fn weeks_may_be_dates() {
    assert_eq!(day("2024-03-01").unwrap() - day("2024-02-28").unwrap(), 2);
    assert_eq!(day("2023-03-01").unwrap() - day("2023-02-28").unwrap(), 1);
    assert_eq!(day("2001-01-01").unwrap() - day("1901-01-01").unwrap(), 36_525);
    for none in ["7", "-3", "2024-13-01", "2023-02-29", "2024-04-31", "99999999999999999-01-01"] {
        assert!(day(none).is_none(), "{none}");
    }
    let mixed = read_text(&format!("{HEADER}2026-12-28,10,2,1,0,100\n53,10,2,1,0,100\n")).unwrap_err();
    assert!(mixed.to_string().contains("line 3: `53` is no date"), "{mixed}");
    let table = read_text(&format!("{HEADER}2026-12-28,10,2,1,0,100\n2027-01-04,10,2,1,0,100\n")).unwrap();
    assert_eq!(table.weeks, [0, 1]);
    // A Monday and the Sunday after it are of one week.
    assert_eq!((day("2026-03-02").unwrap() - MONDAY) % 7, 0);
    let daily = |d: u32| format!("2026-03-{d:02},10,2,1,0,100\n");
    let days = read_text(&format!("{HEADER}{}", (2..20).map(daily).collect::<String>())).unwrap_err();
    assert!(days.to_string().contains("week 2026-03-03 stands at lines 2 and 3"), "{days}");
    // What is left out at the beginning moves no week.
    let first = "2026-03-02,10,2,0,0,100\n2026-03-09,10,2,1,0,100\n2026-03-23,10,2,1,0,100\n";
    assert_eq!(read_text(&format!("{HEADER}{first}")).unwrap().weeks, [1, 3]);
}

/// Days, months and weeks that no year has are no weeks; dates without dashes are dates.
#[test]
fn what_only_looks_like_weeks_is_told() {
    let rows = |weeks: &[&str]| weeks.iter().map(|w| format!("{w},10,2,1,0,100\n")).collect::<String>();
    let weeks = |weeks: &[&str]| read_text(&format!("{HEADER}{}", rows(weeks))).map(|table| table.weeks);
    let dashes = weeks(&["2025-12-22", "2025-12-29", "2026-01-05", "2026-02-02"]).unwrap();
    assert_eq!(weeks(&["20251222", "20251229", "20260105", "20260202"]).unwrap(), dashes);
    for (these, part) in [
        (&["46020", "46027", "46034", "46048"][..], "step by 7"),
        (&["2023-01-01", "2023-02-01", "2023-03-01", "2023-04-01"], "a month apart"),
    ] {
        let why = weeks(these).unwrap_err().to_string();
        assert!(why.contains(part), "{part} in {why}");
    }
    // Every fourth week is no month.
    assert_eq!(weeks(&["4", "8", "12", "16"]).unwrap(), [3, 7, 11, 15]);
    assert_eq!(week_of_year(202_553), None, "2025 has 52 weeks");
    assert_eq!(week_of_year(202_653).unwrap() + 1, week_of_year(202_701).unwrap(), "2026 has 53");
}

#[test]
fn displays_in_per_cent_and_products_without_a_name_are_told() {
    let rows: String = (1..9).map(|w| format!("{w},10,2,1,{},100\n", w % 2 * 50)).collect();
    let why = read_text(&format!("{HEADER}{rows}")).unwrap_err().to_string();
    assert!(why.contains("4 of 8 weeks") && why.contains("per cent"), "{why}");
    let header = "week,units_a,units_,price_a,price_,wholesale_a,wholesale_,display_a,display_,customers\n";
    let why = read_text(&format!("{header}1,5,5,2,2,1,1,0,0,100\n")).unwrap_err().to_string();
    assert!(why.contains("`units_` names no product"), "{why}");
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_place() {
    for (text, part) in [
        (String::new(), "empty"),
        (HEADER.into(), "no rows"),
        (HEADER.replace("week", "Week"), "did you mean `Week`? Rename it"),
        (format!("{HEADER}spring,10,2,1,0,100\n"), "line 2, column `week`: `spring` is not a number; number"),
        (format!("{HEADER}1,10,two,1,0,100\n"), "line 2, column `price_a`: `two` is not a number"),
        (format!("{HEADER}1,10,-2,1,0,100\n"), "-2 cannot be"),
        (format!("{HEADER}1,10,2\n"), "fields"),
        (HEADER.replace("price_a", "prize_a"), "did you mean `price_a`"),
        (HEADER.replace("units_a", "sold"), "no column looks like `units_{}`"),
        (HEADER.replace("display_a", "price_a"), "two columns are called `price_a`"),
        (format!("{HEADER}1,200,2,1,0,100\n2,200,2,1,0,100\n3,10,2,1,0,100\n"), "2 of its 3 weeks cannot be true"),
        (format!("{HEADER}1,10,2,1,0,100\n1,10,2,1,0,100\n1,10,2,1,0,100\n"), "week 1 stands at lines 2 and 3"),
        (format!("{HEADER}1.5,10,2,1,0,100\n"), "line 2, column `week`: 1.5 is no number of a week"),
        (HEADER.replace(',', ";"), "no rows"),
    ] {
        let failure = read_text(&text).unwrap_err();
        assert!(failure.code() == 2 && failure.to_string().contains(part), "{part} in {failure}");
    }
}

/// Rows of a valid table of one product, by week.
fn rows(weeks: impl IntoIterator<Item = u32>) -> Vec<String> {
    weeks.into_iter().map(|w| format!("{w},{},{},1,0,100", 10 + w % 3, 2.0 + f64::from(w % 4) / 10.0)).collect()
}

fn table_of(rows: &[String]) -> Outcome<SalesTable> {
    read_text(&format!("{HEADER}{}\n", rows.join("\n")))
}

#[test]
fn the_fewest_weeks_are_left_out_and_named() {
    let table = table_of(&rows([1, 2, 3, 4, 50, 6, 7, 8])).unwrap();
    assert_eq!(table.weeks, [0, 1, 2, 3, 5, 6, 7]);
    assert_eq!(table.left_out, ["line 6, week 50: it is out of order with the weeks around it"]);
    assert!(table.remarks[0].contains("1 week is missing between those kept, first between 4 and 6"), "{table:?}");
    // Newest first, one of them mistyped: turned round, its lines still those of the file.
    let table = table_of(&rows([8, 7, 6, 50, 4, 3, 2, 1])).unwrap();
    assert_eq!(table.weeks, [0, 1, 2, 3, 5, 6, 7]);
    assert!(table.left_out[0].starts_with("line 5, week 50") && table.remarks[0].contains("newest"), "{table:?}");
    assert_eq!(table.sales.prices[0], [2.1], "week 1 comes first now");
    assert_eq!(table_of(&rows([1, 2, 3, 4, 0, 6, 7, 8])).unwrap().weeks, table.weeks, "a slip to 0 moves no week");
    assert_eq!(table_of(&rows(0..4)).unwrap().weeks, [0, 1, 2, 3], "a table may count from 0");
    assert_eq!(table_of(&rows([5, 10, 15, 33])).unwrap().weeks, [4, 9, 14, 32]);
}

#[test]
fn a_column_that_tells_shops_apart_is_named() {
    let header = format!("shop,{HEADER}");
    for (order, part) in [(0, "begin again at line 14: after 12 comes 1"), (1, "week 1 stands at lines 2 and 3")] {
        let row = |i: u32| {
            let (shop, week) = if order == 0 { (i / 12, i % 12) } else { (i % 2, i / 2) };
            format!("{},{}\n", ["north", "south"][shop as usize], rows([week + 1])[0])
        };
        let why = read_text(&(header.clone() + &(0..24).map(row).collect::<String>())).unwrap_err().to_string();
        assert!(why.contains(part) && why.contains("keep the rows of one `shop`"), "{why}");
    }
}

#[test]
fn names_are_each_a_name_of_its_own() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let header = "week,units_a,price_a,wholesale_a,units_b,price_b,wholesale_b,customers\n";
    std::fs::write(file.path(), format!("{header}1,5,2,1,5,2,1,100\n")).unwrap();
    for (names, part) in [(["x", "x"], "`x` twice"), (["x", "x "], "`x` twice"), ([" ", "y"], "an empty name")] {
        let names = names.map(String::from).to_vec();
        let settings = FitSettings { names, display: String::new(), ..Default::default() };
        let why = read(file.path(), &settings).unwrap_err().to_string();
        assert!(why.contains(&format!("[fit] names holds {part}")), "{why}");
    }
}

/// A valid table, damaged in a thousand ways: it is read, or refused with its file and a place or what to do about it.
#[test]
fn damaged_tables_are_read_or_refused_with_their_place() {
    let mut rng = agon_core::Rng::new(1, agon_core::rng::Stream::Player, 0);
    let mut pick = |n: usize| rng.below(n as u32) as usize;
    let columns: Vec<&str> =
        "week,units_a,price_a,wholesale_a,display_a,units_b,price_b,wholesale_b,display_b,customers"
            .split(',')
            .collect();
    let cells =
        ["", "0", "-1", "1e300", "1e999", "NaN", "inf", "two", "3,5", "\"", "1.5", "\u{1b}[2J", "0x10", "٣", " 7 "];
    let (mut read_ones, mut refused) = (0, 0);
    for _ in 0..1000 {
        let mut table: Vec<Vec<String>> = vec![columns.iter().map(|c| (*c).to_owned()).collect()];
        for w in 1..=24 {
            let w = f64::from(w);
            let row =
                [w, 20.0 + (w * 1.3).sin(), 2.0 + 0.3 * w.sin(), 1.0, 0.0, 15.0, 3.0 + 0.3 * w.cos(), 1.5, 1.0, 200.0];
            table.push(row.iter().map(f64::to_string).collect());
        }
        let (mut end, mut before) = ("\n", "");
        for _ in 0..=pick(3) {
            let (row, column) = (pick(table.len()), pick(columns.len()));
            let column = column.min(table[row].len().saturating_sub(1));
            let cell = cells[pick(cells.len())].to_owned();
            match pick(14) {
                0 => table[row].truncate(column),
                1 => table[row].push(cell),
                2 => table.iter_mut().for_each(|r| drop((column < r.len()).then(|| r.remove(column)))),
                3 => table[0][0] = cell,
                4 => table
                    .iter_mut()
                    .skip(1)
                    .for_each(|r| r.iter_mut().skip(column).take(1).for_each(|c| *c = cell.clone())),
                5 => table[1..].reverse(),
                6 => (1..table.len()).for_each(|i| table.swap(i, 1 + (i * 7) % 24)),
                7 => end = "\r\n",
                8 => before = "\u{feff}",
                9 => table.iter_mut().for_each(|r| r.extend([String::new(), String::new()])),
                10 => table.extend_from_within(1..),
                11 => table.insert(1, Vec::new()),
                12 => table.truncate(row),
                _ => table[row].iter_mut().skip(column).take(1).for_each(|c| c.clone_from(&cell)),
            }
            if table.len() < 25 {
                break;
            }
        }
        let text: String = table.iter().map(|r| r.join(",") + end).collect();
        match read_text(&format!("{before}{text}")) {
            Ok(table) => {
                read_ones += 1;
                assert!(table.weeks.windows(2).all(|w| w[0] < w[1]), "{text}");
                assert_eq!(table.weeks.len(), table.sales.customers.len());
            }
            Err(failure) => {
                refused += 1;
                let why = failure.to_string();
                let place = ["line", "column", "week", "empty", "no rows", "product", "fields"];
                assert!(failure.code() == 2 && place.iter().any(|p| why.contains(p)), "{why}\n{text}");
                assert!(why.starts_with('/') || why.contains(".tmp"), "{why}");
            }
        }
    }
    assert!(read_ones > 100 && refused > 100, "{read_ones} read, {refused} refused");
}

/// ISO 8601 weeks: 2020 had 53, 2024 had 52.
#[test]
fn weeks_of_a_year_go_on_in_the_next() {
    let read = |weeks: &[&str]| {
        let rows: String = weeks.iter().map(|w| format!("{w},10,2,1,0,100\n")).collect();
        read_text(&format!("{HEADER}{rows}")).unwrap()
    };
    assert_eq!(read(&["202451", "202452", "202501", "202503"]).weeks, [0, 1, 2, 4]);
    assert_eq!(read(&["202052", "202053", "202101"]).weeks, [0, 1, 2]);
    let mistyped = read(&["202450", "202451", "202482", "202501", "202502"]);
    assert_eq!(mistyped.weeks, [0, 1, 3, 4]);
    assert!(mistyped.left_out[0].contains("line 4, week 202482"), "{:?}", mistyped.left_out);
    // Months look like weeks, and go on over the year's end at another place.
    let rows = ["202510", "202511", "202512", "202601"].map(|w| format!("{w},10,2,1,0,100\n")).concat();
    let told = read_text(&format!("{HEADER}{rows}")).err().unwrap().to_string();
    assert!(told.contains("may be months"), "{told}");
    assert_eq!(week_of_year(202_601), Some((day("2025-12-29").unwrap() - MONDAY) / 7));
    assert!([202_400, 202_454, 24_01, 1, 210_101].map(week_of_year).iter().all(Option::is_none));
}

/// A row for each of two products, of each moment: moment, product, units, price, customers.
fn long(moments: &[&str], rows: Rows, customers: impl Fn(usize) -> f64) -> Result<SalesTable, String> {
    let mut raw = Raw::new(["at", "name", "sold", "price", "came"].map(String::from).to_vec(), false);
    for (i, moment) in moments.iter().enumerate() {
        for (product, price) in [("Total Zero", 2.0), ("Sum 41", 3.0)] {
            let cells =
                [moment, product, "10", &(price + (i % 3) as f64 / 10.0).to_string(), &customers(i).to_string()];
            raw.push(2 + i as u64, cells);
        }
    }
    let text = |name: &str| String::from(name);
    let settings = FitSettings {
        week: text("at"),
        product: text("name"),
        units: text("sold"),
        price: text("price"),
        customers: text("came"),
        cost: String::new(),
        display: String::new(),
        rows,
        ..Default::default()
    };
    of(&raw, &settings)
}

/// Days are added up to weeks, with their customers; those of a week that stand beside each of its days are not.
#[test]
fn customers_of_days_are_those_of_their_week() {
    let days = ["2026-03-02", "2026-03-03 10:30", "2026-03-09", "2026-03-10", "2026-03-16"];
    let table = long(&days, Rows::Sales, |i| 100.0 + i as f64).unwrap();
    assert_eq!(table.sales.customers, [201.0, 205.0, 104.0]);
    assert!(table.remarks.iter().any(|r| r.contains("added up by week")), "{:?}", table.remarks);
    assert_eq!(long(&days, Rows::Sales, |_| 100.0).unwrap().sales.customers, [200.0, 200.0, 100.0]);
    let of_weeks = long(&days, Rows::Sales, |i| [500.0, 500.0, 600.0, 600.0, 700.0][i]).unwrap();
    assert_eq!(of_weeks.sales.customers, [500.0, 600.0, 700.0]);
    assert!(of_weeks.remarks.iter().any(|r| r.contains("those of the week")), "{:?}", of_weeks.remarks);
    // 40 units a week are not sold to 30 customers: those came on each day.
    let few = long(&days, Rows::Sales, |i| [30.0, 30.0, 31.0, 31.0, 32.0][i]).unwrap();
    assert_eq!(few.sales.customers, [60.0, 62.0, 32.0]);
    let shops = ["2026-03-02", "2026-03-02", "2026-03-09", "2026-03-09"];
    let why = long(&shops, Rows::Sales, |i| 100.0 + i as f64).unwrap_err();
    assert!(why.contains("several shops") && why.contains("101"), "{why}");
}

/// Months and days by their numbers are no weeks in the long form either, nor names of products totals.
#[test]
fn a_long_table_is_read_as_carefully_as_a_wide_one() {
    let weeks = ["1", "2", "3", "4", "5"];
    assert_eq!(long(&weeks, Rows::Weeks, |_| 100.0).unwrap().products, ["Sum 41", "Total Zero"]);
    for (moments, part) in [
        (["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01"], "a month apart"),
        (["31.01.2020", "29.02.2020", "31.03.2020", "30.04.2020", "31.05.2020"], "a month apart"),
        (["7", "14", "21", "28", "35"], "step by 7"),
    ] {
        let why = long(&moments, Rows::Weeks, |_| 100.0).unwrap_err();
        assert!(why.contains(part) && why.contains("`at`"), "{part} in {why}");
    }
}
