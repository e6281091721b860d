use super::*;
use agon_core::Rng;
use agon_core::rng::Stream;

fn names(n: usize) -> Vec<String> {
    (0..n).map(|k| format!("p{k}")).collect()
}

fn free(n: usize) -> Vec<Now> {
    vec![Now { cost: 0.5, range: [0.0, 100.0], charged: None, last: None, since: u32::MAX, held: false }; n]
}

/// Judges prices by the words of the rules alone, in whole thousandths; knows nothing of how they were found.
fn violation(rules: &RuleSettings, week: usize, now: &[Now], prices: &[f64]) -> Option<String> {
    let mills = |x: f64| (x * 1000.0).round() as i64;
    let at = |name: &str| name[1..].parse::<usize>().unwrap();
    for (k, p) in prices.iter().enumerate() {
        let broken = |what: &str| Some(format!("{what} of p{k} at {p}, week {week}, {:?}", now[k]));
        if rules.floors.get(k).is_some_and(|floor| p + 1e-6 < *floor) {
            return broken("floor");
        }
        if rules.ceilings.get(k).is_some_and(|ceiling| p - 1e-6 > *ceiling) {
            return broken("ceiling");
        }
        if p + 1e-6 < now[k].range[0] || p - 1e-6 > now[k].range[1] {
            return broken("range");
        }
        if rules.min_margin.is_some_and(|margin| (p - now[k].cost) / p < margin - 1e-6) {
            return broken("margin");
        }
        if !rules.endings.is_empty() && !rules.endings.iter().any(|e| mills(*p).rem_euclid(1000) == mills(*e)) {
            return broken("ending");
        }
        if rules.ladders.get(k).is_some_and(|l| !l.is_empty() && !l.iter().any(|step| mills(*step) == mills(*p))) {
            return broken("ladder");
        }
        if let Some(last) = now[k].last {
            if rules.max_change.is_some_and(|change| (p - last).abs() > change * last + 1e-6) {
                return broken("change");
            }
            if now[k].since < rules.cooldown && mills(last) != mills(*p) {
                return broken("cooldown");
            }
        }
    }
    for gap in &rules.gaps {
        if prices[at(&gap.dearer)] + 1e-6 < prices[at(&gap.cheaper)] + gap.gap {
            return Some(format!("gap of {} above {}: {prices:?}", gap.dearer, gap.cheaper));
        }
    }
    for promotion in &rules.promotions {
        let p = prices[at(&promotion.product)];
        let broken = match promotion.weeks[week % promotion.weeks.len()] {
            true => p - 1e-6 > promotion.promoted,
            false => p + 1e-6 < promotion.regular,
        };
        if broken {
            return Some(format!("promotion of {} at {p} in week {week}", promotion.product));
        }
    }
    None
}

/// Whether any prices on the ladders of all products obey.
fn possible(rules: &RuleSettings, week: usize, now: &[Now]) -> bool {
    let n = now.len();
    let all: usize = rules.ladders.iter().map(Vec::len).product();
    (0..all).any(|mut i| {
        let mut prices = vec![0.0; n];
        for (k, ladder) in rules.ladders.iter().enumerate() {
            prices[k] = ladder[i % ladder.len()];
            i /= ladder.len();
        }
        violation(rules, week, now, &prices).is_none()
    })
}

/// Rules at random; ladders for all products, some or none.
fn some_rules(rng: &mut Rng, n: usize) -> RuleSettings {
    let chance = |rng: &mut Rng, p: f64| rng.f64() < p;
    let cents = |rng: &mut Rng, low: f64, high: f64| (rng.range(low, high) * 100.0).round() / 100.0;
    let all = chance(rng, 0.4);
    let ladder = |rng: &mut Rng| {
        let steps = if all {
            1 + rng.below(5)
        } else if rng.f64() < 0.3 {
            3 + rng.below(8)
        } else {
            0
        };
        (0..steps).map(|_| cents(rng, 0.6, 6.0)).collect::<Vec<f64>>()
    };
    let mut rules = RuleSettings { ladders: (0..n).map(|_| ladder(rng)).collect(), ..RuleSettings::default() };
    if chance(rng, 0.5) {
        rules.floors = (0..n).map(|_| cents(rng, 0.1, 1.5)).collect();
    }
    if chance(rng, 0.5) {
        rules.ceilings = (0..n).map(|_| cents(rng, 3.0, 9.0)).collect();
    }
    if chance(rng, 0.3) {
        rules.min_margin = Some(rng.range(0.0, 0.4));
    }
    if !all && chance(rng, 0.5) {
        rules.endings = if chance(rng, 0.5) { vec![0.99] } else { vec![0.95, 0.99, 0.49] };
        rules.ladders.clear();
    }
    if chance(rng, 0.5) {
        rules.max_change = Some(rng.range(0.1, 0.6));
    }
    if chance(rng, 0.4) {
        rules.cooldown = 1 + rng.below(4);
    }
    for _ in 0..rng.below(3) {
        let (a, b) = (rng.below(n as u32), rng.below(n as u32));
        if a != b {
            let [dearer, cheaper] = [a, b].map(|k| format!("p{k}"));
            rules.gaps.push(Gap { dearer, cheaper, gap: cents(rng, 0.0, 0.5) });
        }
    }
    if chance(rng, 0.3) {
        let weeks = (0..1 + rng.below(6)).map(|_| rng.f64() < 0.4).collect();
        rules.promotions.push(Promotion { product: "p0".into(), weeks, promoted: 2.5, regular: 1.2 });
    }
    rules
}

/// Decisions of shops whose rules, costs and wishes are drawn at random, week after week.
fn fuzz(decisions: u64, seed: u64) {
    let mut rng = Rng::new(seed, Stream::Env, 0);
    let (mut made, mut refused, mut room) = (0, 0, Room::default());
    while made < decisions {
        let n = 1 + rng.below(5) as usize;
        let set = some_rules(&mut rng, n);
        let Ok(rules) = Rules::new(&names(n), set.clone()) else {
            refused += 1;
            continue;
        };
        let mut now = free(n);
        for week in 0..20 {
            for now in &mut now {
                now.cost = (now.cost * rng.range(0.95, 1.05)).clamp(0.2, 1.0);
            }
            let mut prices: Vec<f64> = (0..n).map(|_| rng.range(-1.0, 12.0)).collect();
            let done = rules.project(week, &now, &mut prices, &mut room);
            made += 1;
            match done {
                Ok(()) => assert_eq!(violation(&set, week, &now, &prices), None, "{set:?}"),
                Err(conflict) => {
                    if set.ladders.len() == n && set.ladders.iter().all(|l| !l.is_empty()) {
                        assert!(!possible(&set, week, &now), "{conflict:?}: {set:?} {now:?}");
                    }
                    break;
                }
            }
            for (now, price) in now.iter_mut().zip(&prices) {
                now.since = if now.last == Some(*price) { now.since.saturating_add(1) } else { 1 };
                now.last = Some(*price);
            }
        }
    }
    assert!(refused < made, "{refused} of {made}");
}

#[test]
fn a_million_decisions_obey() {
    fuzz(1_000_000, 1);
}

#[test]
#[ignore = "ten million decisions: make test-long"]
fn ten_million_decisions_obey() {
    fuzz(10_000_000, 2);
}

/// Prices that obey stay as they are; others move to the nearest, and gaps lift the dearer product.
#[test]
fn prices_move_no_further_than_they_must() {
    let set = RuleSettings {
        endings: vec![0.95, 0.99],
        gaps: vec![Gap { dearer: "p1".into(), cheaper: "p0".into(), gap: 0.5 }],
        ..RuleSettings::default()
    };
    let rules = Rules::new(&names(2), set).unwrap();
    for (wanted, found) in [
        ([1.99, 2.95], [1.99, 2.95]),
        ([2.3, 5.0], [1.99, 4.99]),
        ([2.96, 1.0], [2.95, 3.95]),
        ([-3.0, -3.0], [0.95, 1.95]),
        ([250.0, 250.0], [98.99, 99.99]),
    ] {
        let mut prices = wanted;
        rules.project(0, &free(2), &mut prices, &mut Room::default()).unwrap();
        (0..2).for_each(|k| assert!((prices[k] - found[k]).abs() < 1e-9, "{wanted:?}: {prices:?} not {found:?}"));
        let again = prices;
        rules.project(0, &free(2), &mut prices, &mut Room::default()).unwrap();
        assert_eq!(prices, again, "a projection");
    }
}

#[test]
fn one_switch_stops_everything() {
    let rules = Rules::new(&names(1), RuleSettings { stop: true, floors: vec![9.0], ..RuleSettings::default() });
    let (mut now, mut prices) = (free(1), [3.0]);
    now[0].charged = Some(2.5);
    rules.unwrap().project(0, &now, &mut prices, &mut Room::default()).unwrap();
    assert_eq!(prices, [2.5]);
}

#[test]
fn contradictions_are_refused_by_name() {
    let gap = |dearer: &str, cheaper: &str| Gap { dearer: dearer.into(), cheaper: cheaper.into(), gap: 0.1 };
    for (set, part) in [
        (
            RuleSettings { floors: vec![2.0, 1.0], ceilings: vec![1.0, 3.0], ..Default::default() },
            "of p0 is 2, above its ceiling 1",
        ),
        (RuleSettings { floors: vec![2.0], ..Default::default() }, "has 1 entries where 2 are needed"),
        (RuleSettings { gaps: vec![gap("p0", "p2")], ..Default::default() }, "names `p2`"),
        (RuleSettings { gaps: vec![gap("p0", "p0")], ..Default::default() }, "dearer than itself"),
        (RuleSettings { gaps: vec![gap("p0", "p1"), gap("p1", "p0")], ..Default::default() }, "in a circle"),
        (
            RuleSettings {
                gaps: vec![gap("p0", "p1")],
                ceilings: vec![1.0, 9.0],
                floors: vec![0.0, 1.0],
                ..Default::default()
            },
            "p0 cannot be dearer than p1 by 0.1",
        ),
        (
            RuleSettings { endings: vec![0.99], ladders: vec![vec![1.0, 2.5], vec![]], ..Default::default() },
            "no price of p0",
        ),
        (
            RuleSettings {
                promotions: vec![Promotion {
                    product: "p1".into(),
                    weeks: vec![false, true],
                    promoted: 1.0,
                    regular: 0.0,
                }],
                floors: vec![0.0, 1.5],
                ..Default::default()
            },
            "no price of p1 obeys its own rules: it must be at least 1.5 and at most 1",
        ),
    ] {
        let issues = Rules::new(&names(2), set).unwrap_err();
        assert!(issues.iter().any(|issue| issue.to_string().contains(part)), "{part}: {issues:?}");
    }
}

/// What is listed of a product is what its own rules allow.
#[test]
fn menus_list_what_is_allowed() {
    let menu = |set: RuleSettings, now: Now| Rules::new(&names(1), set).unwrap().menu(0, 0, &now);
    let now = Now { range: [1.0, 3.0], ..free(1)[0] };
    let endings = RuleSettings { endings: vec![0.95, 0.99], ceilings: vec![2.97], ..RuleSettings::default() };
    let close = |found: Vec<f64>, wanted: &[f64]| {
        assert!(
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9),
            "{found:?}"
        );
    };
    close(menu(endings.clone(), now), &[1.95, 1.99, 2.95]);
    let ladder = RuleSettings { ladders: vec![vec![2.5, 1.5, 0.5, 4.0]], ..RuleSettings::default() };
    close(menu(ladder.clone(), now), &[1.5, 2.5]);
    close(menu(RuleSettings { min_margin: Some(0.75), ..ladder.clone() }, now), &[2.5]);
    close(menu(ladder.clone(), Now { held: true, range: [1.7, 1.7], ..now }), &[1.7]);
    close(menu(RuleSettings { stop: true, ..ladder }, Now { charged: Some(2.2), ..now }), &[2.2]);
    close(menu(RuleSettings::default(), now), &[]);
    close(menu(endings, Now { range: [1.0, 1e6], ..now }), &[1.95, 1.99, 2.95]);
    let many = RuleSettings { endings: vec![0.95], ..RuleSettings::default() };
    close(menu(many, Now { range: [1.0, 1e6], ..now }), &[]);
}
