//! What a tournament says, as text and as JSON.

use super::equilibrium::{alpha_rank, cyclic, nash};
use super::plan::Plan;
use super::play::Played;
use super::ratings::{Estimate, Ratings, rate};
use super::sprt::{Model, Pairs, Test, Verdict, summary};
use crate::cli;
use crate::failure::{Failure, Outcome};
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

/// Everything as JSON.
pub fn as_json(plan: &Plan, played: &Played) -> Value {
    let n = plan.entrants.len();
    let ratings = rate(&played.table, plan.anchor(), plan.set.seed);
    let mixed = mixed(played);
    let interval = |e: Estimate| json!({"value": e.value, "low": e.low, "high": e.high});
    let standing = |a: &usize| {
        let a = *a;
        let [wins, draws, losses] = wdl(played, a);
        let [illegal, crash, time] = played.forfeits[a];
        json!({
            "name": plan.entrants[a].name, "player": plan.entrants[a].player, "elo": interval(ratings.elo[a]),
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
                "ptnml": played.table.pentanomial(a, b), "payoff": played.table.payoff(a, b), "los": ratings.los[a][b],
            }));
        }
    }
    let mut out = json!({
        "name": plan.name, "game": plan.game, "format": plan.set.format.to_value(), "pairs": played.pairs,
        "games": 2 * played.pairs, "finished": played.schedule.over(), "cut": played.cut, "different_games": played.different(),
        "resigned": played.resigned, "adjudicated": played.adjudicated,
        "standings": order(&ratings).iter().map(standing).collect::<Vec<_>>(),
        "first_seat_elo": interval(ratings.first), "draws_between_equals": interval(ratings.draws),
        "meetings": meetings, "cyclic": mixed.as_ref().map(|m| m.cyclic),
    });
    if n == 2 {
        out["head_to_head"] = head_json(&played.table.pentanomial(0, 1), plan.test().as_ref());
    }
    out
}

/// The best first.
fn order(ratings: &Ratings) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ratings.elo.len()).collect();
    order.sort_by(|a, b| ratings.elo[*b].value.total_cmp(&ratings.elo[*a].value).then(a.cmp(b)));
    order
}

/// Everything as text.
pub fn as_text(plan: &Plan, played: &Played) -> String {
    let n = plan.entrants.len();
    let ratings = rate(&played.table, plan.anchor(), plan.set.seed);
    let mixed = mixed(played);
    let order = order(&ratings);
    let name = |a: usize| plan.entrants[a].name.as_str();
    let width = plan.entrants.iter().map(|e| e.name.chars().count()).max().unwrap_or(0).max(6);
    let mut out = format!("{} ({}), {} games\n\n", plan.name, plan.game, 2 * played.pairs);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "  # {:<width$} {:>8} {:>19} {:>8} {:>7} {:>8} {:>8} {:>8} {:>6} {:>7}",
        "player", "Elo", "95 %", "games", "score", "wins", "draws", "losses", "Nash", "α-rank"
    );
    for (place, a) in order.iter().enumerate() {
        let (e, [w, d, l]) = (ratings.elo[*a], wdl(played, *a));
        let games = w + d + l;
        let share = 100.0 * (w as f64 + d as f64 / 2.0) / games.max(1) as f64;
        let interval = format!("{:.1} to {:.1}", e.low, e.high);
        let _ = writeln!(
            out,
            "{:>3} {:<width$} {:>8.1} {interval:>19} {games:>8} {share:>5.1} % {w:>8} {d:>8} {l:>8} {:>6} {:>7}",
            place + 1,
            name(*a),
            e.value,
            mixed.as_ref().map_or("–".into(), |m| format!("{:.3}", m.nash[*a])),
            mixed.as_ref().map_or("–".into(), |m| format!("{:.3}", m.alpha_rank[*a])),
        );
        let [illegal, crash, time] = played.forfeits[*a];
        if illegal + crash + time > 0 {
            let _ = writeln!(out, "    forfeits: {illegal} illegal moves, {crash} crashes, {time} on time");
        }
    }
    let (first, draws) = (ratings.first, ratings.draws);
    let _ = writeln!(out, "\nsitting first is worth {:.1} Elo ({:.1} to {:.1})", first.value, first.low, first.high);
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
    if played.graded > 0 {
        let _ = writeln!(out, "Elo, intervals and tests count games won, not by how much: that is in the mean return");
    }
    if n == 2 {
        let payoff = played.table.payoff(0, 1).unwrap_or(0.0) + 0.0;
        let _ = writeln!(out, "mean return of {}: {payoff:.4}", name(0));
        let pairs = played.table.pentanomial(0, 1);
        let block = head_to_head(&pairs, Some(wdl(played, 0)), plan.test().as_ref());
        let _ = write!(out, "\nResults of {} vs {}\n{block}", name(0), name(1));
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
    for a in &order {
        for b in order.iter().filter(|b| *b != a) {
            let Some(payoff) = played.table.payoff(*a, *b) else { continue };
            let payoff = payoff + 0.0; // no minus before a 0
            let [first, second] = played.table.by_seat(*a, *b).map(|[w, d, l]| format!("+{w} ={d} -{l}"));
            let los = 100.0 * ratings.los[*a][*b];
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
