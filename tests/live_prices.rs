//! Before prices go live and after: `agon price evaluate`, `switchback` and `monitor` through the binary, in a shop whose
//! demand is known.

mod common;

use common::{agon, told};
use std::fmt::Write;

/// A number between −1 and 1 of a week, for a purpose.
fn noise(week: u32, purpose: u32) -> f64 {
    let word = (week + 1).wrapping_mul(2_654_435_761).wrapping_add(purpose * 97_003_331);
    f64::from((word ^ word >> 15).wrapping_mul(2_246_822_519) >> 9 & 0xffff) / 32_767.5 - 1.0
}

/// Weeks of two products by logit demand; `level` multiplies what is sold.
fn table(weeks: std::ops::Range<u32>, level: f64) -> String {
    let mut text = "week,customers,units_a,units_b,price_a,price_b,wholesale_a,wholesale_b\n".to_owned();
    for week in weeks {
        let prices = [2.0 * (0.3 * noise(week, 1)).exp(), 3.0 * (0.3 * noise(week, 2)).exp()];
        let utility = |k: usize| 1.2 - [1.3, 0.9][k] * prices[k] + 0.2 * noise(week, 3 + k as u32);
        let weights = [0, 1].map(|k| utility(k).exp());
        let units = weights.map(|w| (level * 5000.0 * w / (1.0 + weights[0] + weights[1])).round());
        let _ = writeln!(text, "{},5000,{},{},{:.2},{:.2},1,1.5", week + 1, units[0], units[1], prices[0], prices[1]);
    }
    text
}

/// A folder with a table and a run of it; `bounds` stands in `[env]`.
fn shop(bounds: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sales.csv"), table(0..120, 1.0)).unwrap();
    let scenario = format!(
        "[fit]\ndata = \"sales.csv\"\ndisplay = \"\"\nmethod = \"maximum-likelihood\"\n[env]\nid = \"pricing/retail\"\n{bounds}\n\
         [agent]\nkind = \"ppo\"\ngamma = 0.0\nrollout_steps = 64\n[train]\nsteps = 2048\nenvs = 8\n[eval]\nfinal_episodes = 2\n"
    );
    std::fs::write(folder.path().join("shop.toml"), scenario).unwrap();
    told(&agon(folder.path(), &["train", "shop.toml", "--ui", "plain", "--out", "run"]), 0);
    folder
}

#[test]
fn prices_are_judged_by_weeks_that_charged_them() {
    let folder = shop("");
    let evaluate =
        |more: &[&str]| agon(folder.path(), &[&["price", "evaluate", "run", "--data", "sales.csv"], more].concat());
    let text = told(&evaluate(&[]), 0);
    assert!(text.contains("doubly robust") && text.contains("learned from 120 of these weeks"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&String::from_utf8_lossy(&evaluate(&["--json"]).stdout)).unwrap();
    let number = |key: &str| json[key].as_f64().unwrap();
    assert!(json["support"] == true && number("tried") > 0.8, "{json}");
    let [low, high] = [0, 1].map(|i| json["interval"][i].as_f64().unwrap());
    assert!(low < number("value") && number("value") < high && high - low < 0.3 * number("charged"), "{json}");
    // The demand is of the right form here: both ways agree.
    assert!((number("value") / number("by_demand_alone") - 1.0).abs() < 0.1, "{json}");
    let missing = told(&agon(folder.path(), &["price", "evaluate", "run", "--data", "none.csv"]), 2);
    assert!(missing.contains("no file at none.csv"), "{missing}");
}

/// Where prices may be what nobody ever charged, the table cannot say what they earn.
#[test]
fn prices_that_nobody_tried_have_no_support() {
    let folder = shop("low = [1.0, 1.5]\nhigh = [12.0, 14.0]");
    let text = told(&agon(folder.path(), &["price", "evaluate", "run", "--data", "sales.csv"]), 0);
    assert!(text.starts_with("WARNING: no support") && !text.contains("doubly robust"), "{text}");
}

#[test]
fn an_experiment_is_planned_and_analysed() {
    let folder = shop("");
    let switchback = |more: &[&str]| {
        agon(folder.path(), &[&["price", "switchback", "run", "--data", "sales.csv", "--lift", "15"], more].concat())
    };
    let text = told(&switchback(&["--export", "plan.csv"]), 0);
    assert!(text.contains("find a lift of 15.0 %") && text.contains("wrote plan.csv"), "{text}");
    let plan = std::fs::read_to_string(folder.path().join("plan.csv")).unwrap();
    assert!(plan.starts_with("week,shop,pair,prices,counts,profit\n1,1,1,"), "{plan}");
    // The new prices earn so much more in the first weeks.
    let filled = |lift: f64, weeks: u32| {
        let mut text = String::new();
        for (i, line) in plan.lines().enumerate() {
            let week = i as u32;
            let profit = 1000.0 * (1.0 + 0.1 * noise(week, 9)) * if line.contains("new") { 1.0 + lift } else { 1.0 };
            match i {
                0 => text += line,
                _ if week <= weeks => text += &format!("{line}{profit:.1}"),
                _ => text += line,
            }
            text += "\n";
        }
        std::fs::write(folder.path().join("results.csv"), text).unwrap();
        told(&switchback(&["--results", "results.csv"]), 0)
    };
    assert!(filled(0.15, 3).starts_with("too early"), "one pair excludes nothing");
    let better = filled(0.15, u32::MAX);
    assert!(better.starts_with("the new prices earn more"), "{better}");
    let worse = filled(-0.15, u32::MAX);
    assert!(worse.starts_with("ALARM: the new prices earn less"), "{worse}");
    let no_profit = told(&switchback(&["--results", "sales.csv"]), 2);
    assert!(no_profit.contains("no column `shop`"), "{no_profit}");
    assert!(told(&switchback(&["--settle", "2"]), 2).contains("has none left"));
    assert!(told(&switchback(&["--power", "1.5"]), 2).contains("a probability"));
}

#[test]
fn new_weeks_are_watched() {
    let folder = shop("");
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("same.csv", table(0..150, 1.0));
    write("alone.csv", table(120..150, 1.0));
    let fallen: String = table(120..150, 0.6).split_once('\n').unwrap().1.to_owned();
    write("fallen.csv", table(0..120, 1.0) + &fallen);
    let monitor =
        |file: &str, more: &[&str]| agon(folder.path(), &[&["price", "monitor", "run", "--data", file], more].concat());
    for file in ["same.csv", "alone.csv"] {
        let same = told(&monitor(file, &["--fail-on-alarm"]), 0);
        assert!(same.starts_with("no alarm") && same.contains("30 new weeks (121 to 150)"), "{same}");
    }
    let alarm = told(&monitor("fallen.csv", &[]), 0);
    assert!(
        alarm.starts_with("ALARM: ")
            && alarm.lines().filter(|l| l.contains("units of") && l.contains("SHIFTED")).count() == 2,
        "{alarm}"
    );
    assert!(told(&monitor("fallen.csv", &["--fail-on-alarm"]), 3).contains("--fail-on-alarm"));
    let json: serde_json::Value =
        serde_json::from_str(&String::from_utf8_lossy(&monitor("fallen.csv", &["--json"]).stdout)).unwrap();
    assert!(json["lift"]["interval"][1].as_f64().unwrap() < json["promised_lift"].as_f64().unwrap(), "{json}");
    assert!(told(&monitor("sales.csv", &[]), 2).contains("there is nothing new"));
}

/// Weeks whose prices are beyond all that demand was fitted to are judged and watched, too.
#[test]
fn prices_beyond_the_fitted_ones_are_no_error() {
    for bounds in ["", "rules = { max_change = 0.2 }"] {
        let folder = shop(bounds);
        let dear: Vec<String> = table(120..150, 1.0)
            .lines()
            .map(|line| {
                let mut cells: Vec<String> = line.split(',').map(String::from).collect();
                if let Ok(price) = cells[4].parse::<f64>() {
                    cells[4] = format!("{:.2}", 3.0 * price);
                }
                cells.join(",") + "\n"
            })
            .collect();
        std::fs::write(folder.path().join("dear.csv"), dear.concat()).unwrap();
        for what in ["evaluate", "monitor"] {
            let text = told(&agon(folder.path(), &["price", what, "run", "--data", "dear.csv"]), 0);
            assert!(text.contains("rows have prices beyond all that demand was fitted to"), "{what}: {text}");
        }
    }
}
