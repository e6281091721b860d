use super::*;
use serde_json::Value;

/// What pyblp makes of twelve markets of Nevo's cereals (`tests/golden/mixed_logit.py`).
fn golden() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/mixed_logit.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Rows that share a market follow each other.
fn ranges(labels: &Value) -> Vec<Range<usize>> {
    let labels: Vec<&str> = labels.as_array().unwrap().iter().map(|x| x.as_str().unwrap()).collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for (row, label) in labels.iter().enumerate() {
        match found.last_mut() {
            Some(last) if labels[last.start] == *label => last.end = row + 1,
            _ => found.push(row..row + 1),
        }
    }
    found
}

/// Columns of the golden file as rows.
fn table(of: &Value, columns: &[String]) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<f64>> = columns.iter().map(|name| numbers(&of[name])).collect();
    (0..columns[0].len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
}

fn codes(labels: &Value) -> Vec<usize> {
    let mut seen: Vec<&Value> = Vec::new();
    let code = |label| {
        seen.iter().position(|other| *other == label).unwrap_or_else(|| {
            seen.push(label);
            seen.len() - 1
        })
    };
    labels.as_array().unwrap().iter().map(code).collect()
}

fn few(golden: &Value) -> Markets {
    let (products, people) = (&golden["few"]["products"], &golden["few"]["people"]);
    let prices = numbers(&products["prices"]);
    let row = |(price, other): (&f64, Vec<f64>)| [vec![1.0, *price], other].concat();
    Markets {
        products: ranges(&products["market_ids"]),
        people: ranges(&people["market_ids"]),
        shares: numbers(&products["shares"]),
        characteristics: prices.iter().zip(table(products, &["sugar", "mushy"].map(String::from))).map(row).collect(),
        linear: prices.iter().map(|price| vec![*price]).collect(),
        instruments: table(products, &(0..20).map(|i| format!("demand_instruments{i}")).collect::<Vec<_>>()),
        groups: codes(&products["product_ids"]),
        weights: numbers(&people["weights"]),
        tastes: table(people, &tastes()),
    }
}

fn tastes() -> Vec<String> {
    let nodes = (0..4).map(|i| format!("nodes{i}"));
    nodes.chain(["income", "income_squared", "age", "child"].map(String::from)).collect()
}

/// Where pyblp's tutorial begins: characteristic, column of people, value.
fn start() -> Vec<Parameter> {
    let of = |(characteristic, taste, value)| Parameter { characteristic, taste, value };
    [
        (0, 0, 0.3302),
        (1, 1, 2.4526),
        (2, 2, 0.0163),
        (3, 3, 0.2441),
        (0, 4, 5.4819),
        (0, 6, 0.2037),
        (1, 4, 15.8935),
        (1, 5, -1.2),
        (1, 7, 2.6342),
        (2, 4, -0.2506),
        (2, 6, 0.0511),
        (3, 4, 1.265),
        (3, 6, -0.8091),
    ]
    .map(of)
    .to_vec()
}

fn close(what: &str, found: &[f64], wanted: &[f64], error: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let size = wanted.iter().map(|x| x.abs()).fold(0.0, f64::max);
    for (a, b) in found.iter().zip(wanted) {
        assert!((a - b).abs() <= error * b.abs().max(1e-3 * size), "{what}: {a} is not {b}");
    }
}

#[test]
fn objective_gradient_and_prices_are_pyblps() {
    let golden = golden();
    let wanted = &golden["few"];
    let problem = Problem::new(few(&golden), start()).unwrap();
    let at = problem.evaluate(&start(), &problem.logit()).unwrap();
    close("objective", &[at.objective], &[wanted["objective"].as_f64().unwrap()], 1e-7);
    close("beta", &at.beta, &[wanted["beta"].as_f64().unwrap()], 1e-7);
    close("delta", &centred(&at.delta[..24]), &centred(&numbers(&wanted["delta"])), 1e-7);
    close("gradient", &at.gradient, &numbers(&wanted["gradient"]), 1e-6);
    let firms = codes(&wanted["products"]["firm_ids"]);
    let alone = Conduct { market: 0, firms: &firms[..24], beta: at.beta[0], price: 1 };
    let costs = alone.costs(problem.markets(), &start(), &at.delta).unwrap();
    close("costs", &costs, &numbers(&wanted["costs"]), 1e-6);
    let found = elasticities(alone, problem.markets(), &start(), &at.delta);
    let wanted_elasticities: Vec<Vec<f64>> = wanted["elasticities"].as_array().unwrap().iter().map(numbers).collect();
    found.iter().zip(&wanted_elasticities).for_each(|(a, b)| close("elasticities", a, b, 1e-6));
    // Firms 1 and 2 become one: prices rise.
    let ids = numbers(&wanted["products"]["firm_ids"]);
    let merged: Vec<usize> = ids[..24].iter().map(|id| if *id == 2.0 { 1 } else { *id as usize }).collect();
    let conduct = Conduct { firms: &merged, ..alone };
    let prices = conduct.equilibrium(problem.markets(), &start(), &at.delta, &costs).unwrap();
    close("prices after a merger", &prices, &numbers(&wanted["merged_prices"]), 1e-6);
    // By its own costs a market is in equilibrium already.
    let same = alone.equilibrium(problem.markets(), &start(), &at.delta, &costs).unwrap();
    let charged: Vec<f64> = problem.markets().characteristics[..24].iter().map(|x| x[1]).collect();
    close("prices of the market's own costs", &same, &charged, 1e-9);
}

/// pyblp's δ has the groups' own utilities in it or not, by version: they differ by a constant a group at most.
fn centred(all: &[f64]) -> Vec<f64> {
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    all.iter().map(|x| x - mean).collect()
}

/// The gradient against differences of the objective, both ways.
#[test]
fn the_gradient_is_that_of_the_objective() {
    let problem = Problem::new(few(&golden()), start()).unwrap();
    let at = problem.evaluate(&start(), &problem.logit()).unwrap();
    for p in [0, 1, 5, 8, 12] {
        let step = 1e-5 * start()[p].value.abs().max(0.1);
        let there = |by: f64| {
            let mut theta = start();
            theta[p].value += by;
            problem.evaluate(&theta, &at.delta).unwrap().objective
        };
        let slope = (there(step) - there(-step)) / (2.0 * step);
        assert!((slope / at.gradient[p] - 1.0).abs() < 1e-4, "{p}: {slope} is not {}", at.gradient[p]);
    }
}

/// Markets made by known parameters, without any ξ: the objective's minimum is 0, at the truth.
#[test]
fn the_truth_is_found() {
    let mut markets = few(&golden());
    let truth: Vec<Parameter> = [(0, 0, 0.8), (1, 4, 12.0)]
        .map(|(characteristic, taste, value)| Parameter { characteristic, taste, value })
        .to_vec();
    let beta = -30.0;
    let base: Vec<f64> =
        markets.linear.iter().zip(&markets.groups).map(|(w, g)| beta * w[0] + 0.1 * *g as f64 - 1.0).collect();
    for m in 0..markets.products.len() {
        let rows = markets.products[m].clone();
        let market = shares::Market::new(&markets, m, &truth);
        let choices = market.choices(&base[rows.clone()]);
        let made: Vec<f64> = (0..rows.len()).map(|j| market.mean(|i| choices[i][j])).collect();
        markets.shares[rows].copy_from_slice(&made);
    }
    let begin = truth.iter().map(|p| Parameter { value: 0.5 * p.value, ..*p }).collect();
    let fit = Problem::new(markets, begin).unwrap().fit().unwrap();
    close("theta", &fit.parameters.iter().map(|p| p.value).collect::<Vec<_>>(), &[0.8, 12.0], 1e-4);
    close("beta", &fit.at.beta, &[beta], 1e-4);
    assert!(fit.at.objective < 1e-9, "{}", fit.at.objective);
}

#[test]
fn what_cannot_be_is_refused() {
    let golden = golden();
    let refused = |change: &dyn Fn(&mut Markets)| {
        let mut markets = few(&golden);
        change(&mut markets);
        Problem::new(markets, start()).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(&|_| ()), "");
    assert!(refused(&|m| m.shares[3] = 0.0).contains("market 1: a share is 0"));
    assert!(refused(&|m| m.shares[30] = 0.95).contains("market 2: shares sum"));
    assert!(refused(&|m| m.weights[0] = 2.0).contains("weights of people sum"));
    assert!(refused(&|m| m.shares.truncate(5)).contains("rows"));
    assert!(refused(&|m| m.tastes[1][0] = f64::NAN).contains("NaN"));
    assert!(refused(&|m| m.instruments.iter_mut().for_each(|z| z.truncate(9))).contains("9 instruments are too few"));
    assert!(refused(&|m| m.instruments.iter_mut().for_each(|z| z[1] = z[0])).contains("instrument number 2"));
    assert!(refused(&|m| m.tastes.iter_mut().for_each(|v| v.truncate(3))).contains("parameter 4"));
}
