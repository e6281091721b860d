use super::decisions::{Decisions, LogSettings};
use super::*;
use crate::train::{Part, Training};
use agon_core::rng::{Rng, Stream};

/// What an action brings on average: which is best depends on the sign of a number, and on a colour.
fn mean_reward(x: f64, red: bool, action: usize) -> f64 {
    [0.3, 0.5 + 0.3 * x.signum(), if red { 0.7 } else { 0.1 }][action]
}

/// A log of rewards of 0 or 1, by a policy that prefers the first action.
fn log(rows: usize, seed: u64) -> Raw {
    let mut raw = Raw::new(["day", "x", "colour", "offer", "chance", "bought"].map(String::from).to_vec(), false);
    let mut rng = Rng::new(seed, Stream::Env, 0);
    for row in 0..rows {
        let (x, red) = (rng.normal(), rng.f64() < 0.4);
        let p = [0.6, 0.25, 0.15];
        let u = rng.f64();
        let action = if u < p[0] { 0 } else { 1 + usize::from(u >= p[0] + p[1]) };
        let bought = rng.f64() < mean_reward(x, red, action);
        let cells = [
            row.to_string(),
            format!("{x:.4}"),
            ["blue", "red"][usize::from(red)].into(),
            ["a", "b", "c"][action].into(),
            p[action].to_string(),
            u8::from(bought).to_string(),
        ];
        raw.push(row as u64 + 2, cells.iter().map(String::as_str));
    }
    raw
}

fn settings() -> LogSettings {
    LogSettings {
        action: "offer".into(),
        reward: "bought".into(),
        propensity: "chance".into(),
        ..LogSettings::default()
    }
}

fn trained(method: Method, outcomes: Kind, raw: &Raw) -> Bandit {
    let config = Config { method, outcomes, ..Config::default() };
    let mut bandit = Bandit::new(config, Decisions::new(raw, &settings()).unwrap(), 1);
    bandit.advance().unwrap();
    bandit
}

/// The true value of what a saved policy does, over new contexts.
fn truth(bandit: &Bandit, method: Method, outcomes: Kind) -> f64 {
    let config = Config { method, outcomes, ..Config::default() };
    let chooser = Chooser::load(&config, &bandit.save().0).unwrap();
    let fresh = log(20_000, 77);
    let choices = chooser.choose(&fresh).unwrap();
    let one = |(row, p): (usize, &[f64])| {
        let (x, red) = (fresh.cell(row, 1).parse().unwrap(), fresh.cell(row, 2) == "red");
        (0..3).map(|a| p[a] * mean_reward(x, red, a)).sum::<f64>()
    };
    choices.p.chunks_exact(3).enumerate().map(one).sum::<f64>() / 20_000.0
}

/// Every method finds a policy that is nearly as good as the best one (0.63), far above the logged (0.356); its true value is
/// within the interval that the test part gives, and it is said to be better than what was logged.
#[test]
fn policies_are_learned_and_valued() {
    let raw = log(8000, 3);
    for (method, outcomes) in [
        (Method::Direct, Kind::Ridge),
        (Method::Direct, Kind::Boosting),
        (Method::DoublyRobust, Kind::Ridge),
        (Method::InversePropensity, Kind::Ridge),
    ] {
        let bandit = trained(method, outcomes, &raw);
        let value = truth(&bandit, method, outcomes);
        assert!(value > 0.57, "{method:?} {outcomes:?}: {value}");
        let found = bandit.examine(Part::Test, 1);
        let [low, high] = found[0].metrics[0].interval.unwrap();
        assert!((low..=high).contains(&value), "{method:?} {outcomes:?}: {value} in {low} {high}");
        assert!(
            (found[1].metrics[0].value - 0.36).abs() < 0.04
                && found[1].better_by.as_ref().unwrap().interval.unwrap()[0] > 0.0
        );
        assert!(bandit.details()["warnings"].as_array().unwrap().is_empty(), "{}", bandit.details());
    }
}

/// What is saved says the same again, and is refused by other data.
#[test]
fn a_saved_policy_is_the_same() {
    let raw = log(800, 4);
    let bandit = trained(Method::DoublyRobust, Kind::Ridge, &raw);
    let (saved, rest) = bandit.save();
    let mut other = Bandit::new(Config::default(), Decisions::new(&raw, &settings()).unwrap(), 1);
    other.load(&saved, Some(&rest)).unwrap();
    assert_eq!(other.save().0.state, saved.state);
    let mut wrong = Bandit::new(Config::default(), Decisions::new(&log(800, 5), &settings()).unwrap(), 1);
    assert!(wrong.load(&saved, Some(&rest)).unwrap_err().to_string().contains("not those"));
}

/// Without the column of propensities they are estimated: the value is near the one by the true ones, and it is said.
#[test]
fn propensities_are_estimated() {
    let raw = log(6000, 6);
    let data =
        Decisions::new(&raw, &LogSettings { propensity: String::new(), drop: vec!["chance".into()], ..settings() });
    let mut bandit = Bandit::new(Config::default(), data.unwrap(), 1);
    bandit.advance().unwrap();
    let [own, given] = [&bandit, &trained(Method::DoublyRobust, Kind::Ridge, &raw)]
        .map(|b| b.examine(Part::Test, 1)[0].metrics[0].value);
    assert!((own - given).abs() < 0.03, "{own} {given}");
    assert!(bandit.details()["warnings"][0].as_str().unwrap().contains("estimated"));
}

#[test]
fn what_is_no_log_is_refused() {
    let raw = log(400, 7);
    let why = |settings: LogSettings| Decisions::new(&raw, &settings).unwrap_err().to_string();
    assert!(why(LogSettings { action: "ofer".into(), ..settings() }).contains("did you mean `offer`"));
    assert!(why(LogSettings { propensity: "x".into(), ..settings() }).contains("a probability"));
    assert!(why(LogSettings { reward: "colour".into(), ..settings() }).contains("rewards are numbers"));
    assert!(why(LogSettings { split: decisions::SplitBy::Time, ..settings() }).contains("name the column"));
    let findings = Decisions::new(&raw, &settings()).unwrap().findings;
    assert_eq!(findings, ["`day` numbers the rows: not used"]);
}
