//! What a tournament says, as text and as JSON.

use super::equilibrium::{alpha_rank, cyclic, nash};
use super::plan::TournamentPlan;
use super::play::Played;
use super::ratings::{Estimate, Ratings, mean_returns, rate};
use super::sprt::{Model, Pairs, Test, Verdict, summary, superiority};
use crate::cli;
use crate::failure::{Failure, Outcome};
use agon_core::Game;
use agon_core::game::Visit;
use agon_core::settings::Setting;
use serde_json::{Value, json};
use std::fmt::Write;

/// `agon sprt`.
pub fn sprt(args: &cli::Sprt) -> Outcome {
    let pairs: Pairs = args.ptnml.clone().try_into().map_err(|given: Vec<u64>| {
        Failure::Input(format!("--ptnml takes five counts, as in 1,20,50,25,3; here are {}", given.len()))
    })?;
    if pairs.iter().any(|n| *n > 1_000_000_000_000) {
        return Err(Failure::Input("--ptnml: a count is above a million millions".into()));
    }
    let model =
        Model::from_value(&args.model.as_str().into()).map_err(|why| Failure::Input(format!("--model: {why}")))?;
    let test = Test { elo0: args.elo0, elo1: args.elo1, alpha: args.alpha, beta: args.beta, model };
    if let Some(issue) = test.issue() {
        return Err(Failure::Input(issue));
    }
    if args.json.json {
        crate::say!("{}", head_json(&pairs, Some(&test)));
    } else {
        crate::say!("{}", head_to_head(&pairs, None, Some(&test)));
    }
    Ok(())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::H0 => "H0",
        Verdict::H1 => "H1",
        Verdict::Open => "open",
    }
}

fn head_json(pairs: &Pairs, test: Option<&Test>) -> Value {
    let s = summary(pairs);
    let mut out = json!({
        "elo": s.elo[0], "elo_ci95": s.elo[1], "nelo": s.normalized[0], "nelo_ci95": s.normalized[1],
        "los": s.los, "games": s.games, "points": s.points, "ptnml": pairs, "pairs_ratio": s.pairs_ratio,
        "draw_ratio": draw_ratio(pairs),
    });
    if let Some(test) = test {
        let [low, high] = test.bounds();
        out["llr"] = test.llr(pairs).into();
        out["lower"] = low.into();
        out["upper"] = high.into();
        out["elo0"] = test.elo0.into();
        out["elo1"] = test.elo1.into();
        out["model"] = test.model.to_value();
        out["verdict"] = word(test.verdict(pairs)).into();
    }
    out
}

/// The share of pairs that ended even.
fn draw_ratio(pairs: &Pairs) -> f64 {
    pairs[2] as f64 / pairs.iter().sum::<u64>().max(1) as f64
}

/// The block that fastchess prints. `games` are wins, draws and losses where they are known.
fn head_to_head(pairs: &Pairs, games: Option<[u64; 3]>, test: Option<&Test>) -> String {
    if pairs.iter().all(|n| *n == 0) {
        return "no games yet".into();
    }
    let s = summary(pairs);
    // No minus before what is shown as 0.
    let shown = |x: f64| (100.0 * x).round() / 100.0 + 0.0;
    let [elo, error] = s.elo.map(shown);
    let [normal, wide] = s.normalized.map(shown);
    let mut out = format!("Elo: {elo:.2} +/- {error:.2}, nElo: {normal:.2} +/- {wide:.2}\n");
    let (los, draws) = (100.0 * s.los, 100.0 * draw_ratio(pairs));
    // Writing to a string cannot fail.
    let _ = writeln!(out, "LOS: {los:.2} %, DrawRatio: {draws:.2} %, PairsRatio: {:.2}", s.pairs_ratio);
    let share = 100.0 * s.points / s.games.max(1) as f64;
    let counts = games.map_or(String::new(), |[w, d, l]| format!(", Wins: {w}, Losses: {l}, Draws: {d}"));
    let _ = writeln!(out, "Games: {}{counts}, Points: {:.1} ({share:.2} %)", s.games, s.points);
    let list: Vec<String> = pairs.iter().map(ToString::to_string).collect();
    let _ = write!(out, "Ptnml(0-2): [{}]", list.join(", "));
    if let Some(test) = test {
        let ([low, high], llr) = (test.bounds(), shown(test.llr(pairs)));
        let verdict = match test.verdict(pairs) {
            Verdict::H0 => ", H0 accepted",
            Verdict::H1 => ", H1 accepted",
            Verdict::Open => "",
        };
        let model = test.model.to_value();
        let model = model.as_str().unwrap_or_default();
        let (elo0, elo1) = (test.elo0, test.elo1);
        let _ = write!(out, "\nLLR: {llr:.2} ({low:.2}, {high:.2}) [{elo0:.2}, {elo1:.2}] {model}{verdict}");
    }
    out
}

/// What only follows where everyone met everyone.
struct Mixed {
    nash: Vec<f64>,
    alpha_rank: Vec<f64>,
    cyclic: f64,
}

fn mixed(played: &Played) -> Option<Mixed> {
    let n = played.table.players();
    let payoff = |k: usize| if k / n == k % n { Some(0.0) } else { played.table.payoff(k / n, k % n) };
    let payoff: Vec<f64> = (0..n * n).map(payoff).collect::<Option<_>>()?;
    Some(Mixed { nash: nash(&payoff, n), alpha_rank: alpha_rank(&payoff, n), cyclic: cyclic(&payoff, n) })
}

fn wdl(played: &Played, a: usize) -> [u64; 3] {
    let mut sum = [0; 3];
    for b in 0..played.table.players() {
        for seat in played.table.by_seat(a, b) {
            sum.iter_mut().zip(seat).for_each(|(s, n)| *s += n);
        }
    }
    sum
}

/// Whether a win can be worth more than another: then who earns most is best, not who wins most games.
fn has_stakes(plan: &TournamentPlan) -> bool {
    struct Stakes;
    impl Visit for Stakes {
        type Out = bool;
        fn visit<G: Game>(self, game: G) -> bool {
            game.spec().returns != [-1.0, 1.0]
        }
    }
    agon_envs::games::visit(&plan.game, &plan.game_settings, Stakes).unwrap_or(false)
}

/// How strong everyone is, and the order of that.
struct Standings {
    ratings: Ratings,
    /// Mean return a game.
    returns: Vec<Estimate>,
    /// Whether the order is that of the mean returns.
    stakes: bool,
    /// The best first.
    order: Vec<usize>,
}

impl Standings {
    fn of(plan: &TournamentPlan, played: &Played) -> Self {
        let ratings = rate(&played.table, plan.anchor(), plan.set.seed);
        let (returns, stakes) = (mean_returns(&played.table, plan.set.seed), has_stakes(plan));
        let mut order: Vec<usize> = (0..returns.len()).collect();
        let worth = |a: usize| if stakes { returns[a].value } else { ratings.elo[a].value };
        order.sort_by(|a, b| worth(*b).total_cmp(&worth(*a)).then(a.cmp(b)));
        Self { ratings, returns, stakes, order }
    }
}

/// What a tournament says. Ratings are computed once, resampling included.
pub struct Report<'a> {
    plan: &'a TournamentPlan,
    played: &'a Played,
    standings: Standings,
    mixed: Option<Mixed>,
}

impl<'a> Report<'a> {
    /// Of the games played so far.
    pub fn of(plan: &'a TournamentPlan, played: &'a Played) -> Self {
        Self { plan, played, standings: Standings::of(plan, played), mixed: mixed(played) }
    }

    /// Everything as JSON.
    pub fn json(&self) -> Value {
        as_json(self)
    }

    /// Everything as text.
    pub fn text(&self) -> String {
        as_text(self)
    }
}

fn as_json(report: &Report<'_>) -> Value {
    let Report { plan, played, standings: Standings { ratings, returns, stakes, order }, mixed } = report;
    let n = plan.entrants.len();
    let interval = |e: Estimate| json!({"value": e.value, "low": e.low, "high": e.high});
    let standing = |a: &usize| {
        let a = *a;
        let [wins, draws, losses] = wdl(played, a);
        let [illegal, crash, time] = played.forfeits[a];
        json!({
            "name": plan.entrants[a].name, "player": plan.entrants[a].player, "elo": interval(ratings.elo[a]),
            "mean_return": interval(returns[a]),
            "wins": wins, "draws": draws, "losses": losses,
            "nash": mixed.as_ref().map(|m| m.nash[a]), "alpha_rank": mixed.as_ref().map(|m| m.alpha_rank[a]),
            "forfeits": {"illegal": illegal, "crash": crash, "time": time},
        })
    };
    let name = |a: usize| plan.entrants[a].name.as_str();
    let mut meetings = Vec::new();
    for a in 0..n {
        for b in (0..n).filter(|b| *b != a && played.table.pairs(a, *b) > 0) {
            meetings.push(json!({
                "player": name(a), "opponent": name(b), "pairs": played.table.pairs(a, b),
                "first_wdl": played.table.by_seat(a, b)[0], "second_wdl": played.table.by_seat(a, b)[1],
                "ptnml": played.table.pentanomial(a, b), "payoff": played.table.payoff(a, b),
                "los": superiority(&played.table.pentanomial(a, b)),
            }));
        }
    }
    let mut out = json!({
        "name": plan.name, "game": plan.game, "format": plan.set.format.to_value(), "pairs": played.pairs,
        "games": 2 * played.pairs, "finished": played.schedule.over(), "cut": played.cut, "different_games": played.different(),
        "resigned": played.resigned, "adjudicated": played.adjudicated,
        "ordered_by": if *stakes { "mean_return" } else { "elo" },
        "standings": order.iter().map(standing).collect::<Vec<_>>(),
        "first_seat_elo": interval(ratings.first), "draws_between_equals": interval(ratings.draws),
        "meetings": meetings, "cyclic": mixed.as_ref().map(|m| m.cyclic),
    });
    if n == 2 {
        out["head_to_head"] = head_json(&played.table.pentanomial(0, 1), plan.test().as_ref());
    }
    out
}

fn as_text(report: &Report<'_>) -> String {
    let Report { plan, played, standings: Standings { ratings, returns, stakes, order }, mixed } = report;
    let (n, stakes) = (plan.entrants.len(), *stakes);
    let name = |a: usize| plan.entrants[a].name.as_str();
    let width = plan.entrants.iter().map(|e| e.name.chars().count()).max().unwrap_or(0).max(6);
    let mut out = format!("{} ({}), {} games\n\n", plan.name, plan.game, 2 * played.pairs);
    // What the order is by comes first, with its interval; the other one after it. No minus before what is shown as 0.
    let shown = |x: f64, digits: i32| (10f64.powi(digits) * x).round() / 10f64.powi(digits) + 0.0;
    let elo = |e: f64| format!("{:.1}", shown(e, 1));
    let earned = |e: f64| format!("{:.3}", shown(e, 3));
    let (first, second) = if stakes { ("return", format!(" {:>8}", "Elo")) } else { ("Elo", String::new()) };
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "  # {:<width$} {first:>8} {:>19}{second} {:>8} {:>7} {:>8} {:>8} {:>8} {:>6} {:>7}",
        "player", "95 %", "games", "score", "wins", "draws", "losses", "Nash", "α-rank"
    );
    for (place, a) in order.iter().enumerate() {
        let (rating, mean, [w, d, l]) = (ratings.elo[*a], returns[*a], wdl(played, *a));
        let ([value, low, high], beside) = if stakes {
            ([mean.value, mean.low, mean.high].map(earned), format!(" {:>8}", elo(rating.value)))
        } else {
            ([rating.value, rating.low, rating.high].map(elo), String::new())
        };
        let games = w + d + l;
        let share = 100.0 * (w as f64 + d as f64 / 2.0) / games.max(1) as f64;
        let interval = format!("{low} to {high}");
        let _ = writeln!(
            out,
            "{:>3} {:<width$} {value:>8} {interval:>19}{beside} {games:>8} {share:>5.1} % {w:>8} {d:>8} {l:>8} {:>6} {:>7}",
            place + 1,
            name(*a),
            mixed.as_ref().map_or("–".into(), |m| format!("{:.3}", m.nash[*a])),
            mixed.as_ref().map_or("–".into(), |m| format!("{:.3}", m.alpha_rank[*a])),
        );
        let [illegal, crash, time] = played.forfeits[*a];
        if illegal + crash + time > 0 {
            let _ = writeln!(out, "    forfeits: {illegal} illegal moves, {crash} crashes, {time} on time");
        }
    }
    out.push('\n');
    if stakes {
        let _ =
            writeln!(out, "ordered by mean return a game, what this game is played for; its 95 % by resampling pairs");
        let _ = writeln!(out, "Elo, LOS and tests count games won, not by how much");
    }
    let (first, draws) = (ratings.first, ratings.draws);
    let [worth, low, high] = [first.value, first.low, first.high].map(elo);
    let _ = writeln!(out, "sitting first is worth {worth} Elo ({low} to {high})");
    let percent = [draws.value, draws.low, draws.high].map(|x| 100.0 * x);
    let _ = writeln!(out, "draws between equals: {:.1} % ({:.1} to {:.1})", percent[0], percent[1], percent[2]);
    if played.cut > 0 {
        let _ = writeln!(out, "drawn by the limit of plies: {} games", played.cut);
    }
    if played.resigned > 0 {
        let _ = writeln!(out, "given up: {} games", played.resigned);
    }
    if played.adjudicated > 0 {
        let _ = writeln!(out, "decided by the values of both players: {} games", played.adjudicated);
    }
    let (games, different) = (2 * played.pairs, played.different());
    if different * 20 < games * 19 {
        let _ = writeln!(
            out,
            "{different} of {games} games differ; intervals take every pair for a new one (more openings make them so)"
        );
    }
    if n == 2 {
        let [value, low, high] = [returns[0].value, returns[0].low, returns[0].high].map(|x| shown(x, 4));
        let _ = writeln!(out, "mean return of {}: {value:.4} ({low:.4} to {high:.4})", name(0));
        let pairs = played.table.pentanomial(0, 1);
        let block = head_to_head(&pairs, Some(wdl(played, 0)), plan.test().as_ref());
        let _ = write!(out, "\nResults of {} vs {}\n{block}", name(0), name(1));
        out += "\nElo here is that of the score alone; ratings above also weigh draws and who sits first.";
        return out;
    }
    let _ = match mixed {
        Some(m) => {
            let cycles = 100.0 * m.cyclic;
            writeln!(out, "share of the payoffs that no rating explains (cycles): {cycles:.1} %")
        }
        None => writeln!(out, "Nash, α-rank and cycles are of tournaments in which everyone has met everyone"),
    };
    let _ = writeln!(out, "\nrow against column: mean return, +wins =draws -losses sitting first / second, LOS");
    for a in order {
        for b in order.iter().filter(|b| *b != a) {
            let Some(payoff) = played.table.payoff(*a, *b) else { continue };
            let payoff = shown(payoff, 3);
            let [first, second] = played.table.by_seat(*a, *b).map(|[w, d, l]| format!("+{w} ={d} -{l}"));
            let los = 100.0 * superiority(&played.table.pentanomial(*a, *b));
            let _ = writeln!(
                out,
                "  {:<width$} {:<width$} {payoff:>7.3}  {first} / {second}  {los:.1} %",
                name(*a),
                name(*b)
            );
        }
    }
    out.trim_end().to_owned()
}
