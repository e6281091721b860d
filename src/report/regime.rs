//! What a run says of how its model was trained, where it was not on all rows at once: sentences for the terminal, the page
//! and the model card.

use super::{model, plain};
use agon_core::scene::significant;
use serde_json::Value;

/// The file of a run that says how many rows it was made to forget.
pub const FORGOTTEN: &str = "forgotten.json";

/// The sentences, from `evaluation.json`; none where all rows were learned from at once.
pub fn sentences(found: &Value) -> Vec<String> {
    let learner = &found["details"]["learner"];
    let mut all = Vec::new();
    if learner["federated"].is_object() {
        federated(&learner["federated"], found, &mut all);
    }
    if learner["sharded"].is_object() {
        sharded(&learner["sharded"], &mut all);
    }
    if learner["private"].is_object() {
        private(&learner["private"], &mut all);
    }
    let forgotten = found["forgotten"]["requests"].as_array().map_or(&[][..], Vec::as_slice);
    if !forgotten.is_empty() {
        let rows: u64 = forgotten.iter().filter_map(|request| request["rows"].as_u64()).sum();
        all.push(format!(
            "{} forgotten, in {}: the models are, to the bit, those of a training that never saw them, and \
             the run's table and checkpoints hold them no more; predictions, logs and pages that were made before may",
            if rows == 1 { "1 row was".into() } else { format!("{rows} rows were") },
            if forgotten.len() == 1 { "1 request".into() } else { format!("{} requests", forgotten.len()) }
        ));
    }
    all
}

fn sharded(of: &Value, all: &mut Vec<String>) {
    let [shards, slices] = ["shards", "slices"].map(|key| of[key].as_u64().unwrap_or(0));
    let of_slices = if slices > 1 { format!(", in {slices} slices each") } else { String::new() };
    all.push(format!(
        "sharded (SISA): {shards} models on {} to {} rows each{of_slices}, which answer by their mean; `agon unlearn RUN --rows \
         FILE` forgets rows",
        plain(&of["rows"][0]),
        plain(&of["rows"][1]),
    ));
    all.push("columns are scaled by the validation part, whose rows are forgotten only by learning all again".into());
}

fn private(of: &Value, all: &mut Vec<String>) {
    let number = |key: &str| of[key].as_f64().unwrap_or(f64::NAN);
    all.push(format!(
        "private: ε = {} at δ = {:.0e} is spent on the rows of the training part, one by one: {} steps that take \
         {} % of the rows, noise multiplier {}, gradients of norm {} at most",
        significant(number("epsilon"), 3),
        number("delta"),
        plain(&of["steps"]),
        significant(100.0 * number("sample_rate"), 3),
        significant(number("noise_multiplier"), 4),
        number("max_grad_norm"),
    ));
    let target = if of["classes"] == 0 { ", the mean and deviation of the target" } else { "" };
    all.push(format!(
        "not private, and not in ε: medians, means, quantiles and labels that columns are scaled and encoded by{target}, the loss \
         in the log, all that is said of the validation and test rows (calibration, metrics, importance), the data report, \
         the run's copy of the table, and settings that were tried"
    ));
    all.push(
        "the noise follows from train.seed, and who knows the seed can take it off: share only what `agon predict` answers, \
         not this run's folder or its scenario.toml"
            .into(),
    );
}

fn federated(of: &Value, found: &Value, all: &mut Vec<String>) {
    let [rounds, clients, epochs] = ["rounds", "clients", "local_epochs"].map(|key| of[key].as_u64().unwrap_or(0));
    let share = of["client_share"].as_f64().unwrap_or(1.0);
    let who =
        if share < 1.0 { format!("{:.0} % of {clients} clients", 100.0 * share) } else { format!("{clients} clients") };
    let passes = if epochs == 1 { "one pass".into() } else { format!("{epochs} passes") };
    let proximal = of["proximal"].as_f64().filter(|mu| *mu > 0.0);
    let way = proximal.map_or("federated averaging".into(), |mu| format!("FedProx, μ = {mu}"));
    all.push(format!(
        "federated ({way}), simulated in one process: {rounds} rounds of {who}, {passes} a round; a client has {} to {} rows, \
         half of them {} or fewer",
        plain(&of["rows"][0]),
        plain(&of["rows"][2]),
        plain(&of["rows"][1]),
    ));
    all.push(if of["secure_aggregation"] == true {
        "secure aggregation by pairwise masks was simulated: the server's mean was made of masked vectors alone, but keys were \
         not agreed on and no client dropped out; it hides one client's weights, not what the mean of all gives away"
            .into()
    } else {
        "the server saw the weights of every client: train.secure_aggregation = true masks them".into()
    });
    all.push(
        "columns are scaled, and training ends, by statistics of all clients' rows together, which are not federated here"
            .into(),
    );
    let central = found["baselines"].as_array().into_iter().flatten().nth(1);
    let Some(central) = central else { return };
    let own = model::metrics(&found["metrics"]);
    for metric in model::metrics(&central["metrics"]) {
        let Some(own) = own.iter().find(|own| own.name == metric.name) else { continue };
        if metric.name == own_first(found) || ["accuracy", "r2"].contains(&metric.name.as_str()) {
            all.push(format!(
                "the same model, trained centrally for {} steps: {} {}; the federated one has {}{}",
                plain(&of["central_epochs"]),
                metric.name.replace('_', " "),
                model::shown(&metric),
                if own.value >= metric.value { "+" } else { "−" },
                significant((own.value - metric.value).abs(), 3),
            ));
        }
    }
}

/// The name of the metric that decides.
fn own_first(found: &Value) -> &str {
    found["metrics"][0]["name"].as_str().unwrap_or_default()
}
