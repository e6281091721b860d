//! Tests losses and gradients against an independent implementation: `agents/tests/golden/on_policy.py`, in float64,
//! with gradients by finite differences.

use crate::agent::{Agent, Context};
use crate::on_policy::a2c::{self, A2c};
use crate::on_policy::collector::Collector;
use crate::on_policy::networks::Sums;
use crate::on_policy::ppo::{self, Ppo};
use crate::on_policy::reinforce::{self, Reinforce};
use agon_core::settings::Settings;
use agon_core::spec::ActionSpec;
use agon_core::{ActionsMut, Field, Spec};
use serde_json::{Map, Value, json};
use tch::{Device, Tensor};

fn numbers(values: &Value) -> Vec<f32> {
    values.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn flags(values: &Value) -> Vec<bool> {
    numbers(values).into_iter().map(|x| x != 0.0).collect()
}

fn spec(case: &Value, obs_len: usize) -> Spec {
    let sizes: Vec<usize> = serde_json::from_value(case["sizes"].clone()).unwrap();
    let labels = |n: &usize| (0..*n).map(|i| i.to_string()).collect::<Vec<_>>();
    let field = |i: usize| Field::new(format!("x{i}"), "", -1.0, 1.0);
    let action = match case["action"].as_str().unwrap() {
        "categorical" => ActionSpec::discrete(labels(&sizes[0])),
        "multi-discrete" => ActionSpec::MultiDiscrete { sizes },
        _ => ActionSpec::Continuous { fields: (0..sizes[0]).map(field).collect() },
    };
    let mut spec = Spec::new((0..obs_len).map(field).collect(), action, 100);
    spec.masked = case["masked"] == true;
    spec
}

/// The settings of a case that this algorithm has.
fn settings<S: Settings>(case: &Value, golden: &Value, more: Value) -> S {
    let known: Vec<String> = S::declared().into_iter().map(|d| d.name.to_owned()).collect();
    let mut table: Map<String, Value> = case.as_object().unwrap().clone();
    table.extend(more.as_object().unwrap().clone());
    table.insert("gamma".into(), golden["gamma"].clone());
    table.retain(|key, value| known.contains(key) && !value.is_null());
    table.insert("normalize_observation".into(), false.into());
    table.insert("normalize_reward".into(), false.into());
    S::read(&table).unwrap()
}

/// The case's parameters in the place of the fresh ones.
fn set(collector: &mut Collector, case: &Value) {
    let given = case["parameters"].as_object().unwrap();
    let params = &collector.networks.params;
    assert_eq!(params.named().count(), given.len(), "{}", case["name"]);
    for (name, mut here) in params.named() {
        let there = Tensor::from_slice(&numbers(&given[name])).view(here.size().as_slice());
        tch::no_grad(|| here.copy_(&there));
    }
    collector.networks.refresh();
}

/// Step `t` of a case happens: what was done and how it ended. `at` is the step in the rollout.
fn step<A: Agent>(agent: &mut A, of: fn(&mut A) -> &mut Collector, case: &Value, t: usize, at: usize) {
    agent.act();
    let (data, rollout) = (&case["data"], &mut of(agent).rollout);
    let rows = rollout.rows;
    let put = |to: &mut [f32], name: &str, from: usize| {
        let all = numbers(&data[name]);
        let n = to.len();
        to.copy_from_slice(&all[from * n..(from + 1) * n]);
    };
    let wide = rollout.action.len() / rollout.steps;
    let mut done = vec![0.0; wide];
    put(&mut done, "raw", t);
    match rollout.action.part_mut(at * wide, wide) {
        ActionsMut::Discrete(choices) => choices.iter_mut().zip(done).for_each(|(c, x)| *c = x as i64),
        ActionsMut::Continuous(normals) => normals.copy_from_slice(&done),
    }
    put(&mut rollout.log_prob[at * rows..(at + 1) * rows], "log_prob", t);
    let (_, out) = agent.exchange();
    put(out.obs, "obs", t + 1);
    put(out.final_obs, "final_obs", t);
    put(out.reward, "reward", t);
    let part = |name: &str| flags(&data[name])[t * rows..(t + 1) * rows].to_vec();
    out.terminated.copy_from_slice(&part("terminated"));
    out.truncated.copy_from_slice(&part("truncated"));
    let mask = flags(&data["mask"]);
    let n = out.mask.len();
    if (t + 2) * n <= mask.len() {
        out.mask.copy_from_slice(&mask[(t + 1) * n..(t + 2) * n]);
    }
}

fn begin<A: Agent>(agent: &mut A, case: &Value) {
    let first = agent.first();
    let (obs, mask) = (numbers(&case["data"]["obs"]), flags(&case["data"]["mask"]));
    let (n, m) = (first.obs.len(), first.mask.len());
    first.obs.copy_from_slice(&obs[..n]);
    first.mask.copy_from_slice(&mask[..m]);
    agent.begin();
}

/// How far a vector is from the golden one: the length of the difference, and of the golden one.
fn distance(what: &str, mine: &[f32], golden: &Value) -> [f64; 2] {
    let golden: Vec<f64> = golden.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert_eq!(mine.len(), golden.len(), "{what}");
    let length = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let off = length(&mut mine.iter().zip(&golden).map(|(mine, golden)| f64::from(*mine) - golden));
    [off, length(&mut golden.iter().copied())]
}

/// The tolerance of float32.
const TOLERANCE: f64 = 1e-6;
/// The same for one parameter's gradient, whose terms may nearly cancel.
const OF_ONE: f64 = 3e-6;

fn close(what: &str, mine: &[f32], golden: &Value) {
    let [off, length] = distance(what, mine, golden);
    assert!(off <= TOLERANCE * length, "{what}: {mine:?} is not {golden}; {:.1e} of it", off / length);
}

fn compare(case: &Value, collector: &Collector, sums: Sums) {
    let name = case["name"].as_str().unwrap();
    for (i, part) in case["parts"].as_array().unwrap().iter().enumerate() {
        // Means of terms of about 1, which may cancel.
        let part = part.as_f64().unwrap();
        let off = (sums[i] - part).abs();
        assert!(off <= TOLERANCE * part.abs().max(1.0), "{name}: part {i} is {}, not {part}", sums[i]);
    }
    let (gradient, params) = (collector.networks.last_gradient(), &collector.networks.params);
    let (mut off, mut whole) = (0.0, 0.0);
    for (leaf, (parameter, _)) in params.named().enumerate() {
        let what = format!("{name}: {parameter}");
        let [far, length] = distance(&what, &gradient[params.place(leaf)], &case["gradient"][parameter]);
        assert!(far <= OF_ONE * length, "{what}: {:.1e} of it", far / length);
        (off, whole) = (off + far * far, whole + length * length);
    }
    let off = (off / whole).sqrt();
    assert!(off <= TOLERANCE, "{name}: the gradient is off by {off:.1e} of it");
}

#[test]
fn losses_and_gradients_are_those_of_another_implementation() {
    let golden: Value = serde_json::from_str(include_str!("../../tests/golden/on_policy.json")).unwrap();
    let size = |name: &str| golden[name].as_u64().unwrap() as usize;
    let (steps, rows) = (size("steps"), size("rows"));
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 19);
    let mut alone = Vec::new();
    for (case, threads) in cases.iter().flat_map(|case| [(case, 1), (case, 2)]) {
        let spec = spec(case, size("obs"));
        let context = Context { spec: &spec, rows, first_lane: 0, seed: 1, device: Device::Cpu, threads };
        // Threads change no bit.
        let mut same = |collector: &Collector| match threads {
            1 => alone = collector.networks.last_gradient(),
            _ => assert_eq!(alone, collector.networks.last_gradient(), "{}", case["name"]),
        };
        let known = |collector: &Collector| {
            let name = case["name"].as_str().unwrap();
            close(&format!("{name}: values"), &collector.rollout.value[..steps * rows], &case["known"]["value"]);
            close(&format!("{name}: advantages"), &collector.advantage, &case["known"]["advantage"]);
            close(&format!("{name}: targets"), &collector.target, &case["known"]["target"]);
        };
        let whole = json!({"rollout_steps": steps, "clip_range": golden["clip"]});
        match case["algorithm"].as_str().unwrap() {
            "ppo" => {
                let config: ppo::Config = settings(case, &golden, whole);
                let (lambda, bonus) = (config.gae_lambda, config.entropy_coef);
                let recurrent = config.memory > 0;
                let mut agent = Ppo::new(config, &context).unwrap();
                set(agent.collector(), case);
                agent.collector().value_moments = serde_json::from_value(case["value_moments"].clone()).unwrap();
                begin(&mut agent, case);
                for t in 0..steps {
                    step(&mut agent, Ppo::collector, case, t, t);
                    agent.collector().take();
                }
                agent.collector().estimate(lambda);
                known(agent.collector());
                let old = numbers(&case["data"]["old_value"]);
                agent.collector().rollout.value[..steps * rows].copy_from_slice(&old);
                let picked: Vec<usize> = serde_json::from_value(case["at"].clone()).unwrap();
                let at: Vec<usize> = match recurrent {
                    true => (0..steps).flat_map(|t| picked.iter().map(move |row| t * rows + row)).collect(),
                    false => picked,
                };
                let sums = agent.differentiate(&at, golden["clip"].as_f64().unwrap(), bonus);
                compare(case, agent.collector(), sums);
                same(agent.collector());
            }
            "a2c" => {
                let config: a2c::Config = settings(case, &golden, whole);
                let lambda = config.gae_lambda;
                let mut agent = A2c::new(config, &context).unwrap();
                set(agent.collector(), case);
                begin(&mut agent, case);
                for t in 0..steps {
                    step(&mut agent, A2c::collector, case, t, t);
                    agent.collector().take();
                }
                agent.collector().estimate(lambda);
                known(agent.collector());
                let sums = agent.differentiate();
                compare(case, agent.collector(), sums);
                same(agent.collector());
            }
            _ => {
                let config: reinforce::Config = settings(case, &golden, json!({"batch": 1_000_000}));
                let mut agent = Reinforce::new(config, &context).unwrap();
                set(agent.collector(), case);
                begin(&mut agent, case);
                for t in 0..steps {
                    step(&mut agent, Reinforce::collector, case, t, 0);
                    assert!(!agent.learn(0.0, &mut Vec::new(), crate::agent::NEVER).unwrap());
                }
                let sums = agent.differentiate();
                compare(case, agent.collector(), sums);
                same(agent.collector());
            }
        }
    }
}
