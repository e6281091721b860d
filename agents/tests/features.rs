//! Observations as a model describes them: what the model itself says of the same rows, and an environment that is
//! otherwise as it was.

use agon_agents::Device;
use agon_agents::data::Raw;
use agon_agents::data::dataset::{DataSettings, Dataset};
use agon_agents::features::{Features, names};
use agon_agents::train::Training;
use agon_agents::unsupervised::family::find;
use agon_agents::unsupervised::reader::Reader;
use agon_agents::unsupervised::training::Unsupervised;
use agon_core::rng::{Rng, Stream};
use agon_core::{Actions, FirstBuf, StepBuf, VecEnv, View};
use serde_json::{Map, json};
use std::sync::Arc;

const ENV: &str = "classic/cartpole";

fn env(envs: usize) -> Box<dyn VecEnv> {
    agon_envs::find(ENV).unwrap().build(&Map::new(), envs, 1).unwrap()
}

/// What a batch shows in a random walk: observations after each step, last ones of episodes, and all else.
#[derive(Default, PartialEq, Debug)]
struct Seen {
    obs: Vec<Vec<f32>>,
    /// The step, the row and the observation.
    last: Vec<(usize, usize, Vec<f32>)>,
    rewards: Vec<Vec<f32>>,
    hashes: Vec<u64>,
}

fn walk(env: &mut dyn VecEnv, steps: usize) -> Seen {
    let (rows, len) = (env.rows(), env.spec().obs_len());
    let (mut obs, mut final_obs, mut reward) = (vec![0.0; rows * len], vec![f32::NAN; rows * len], vec![0.0; rows]);
    let (mut terminated, mut truncated) = (vec![false; rows], vec![false; rows]);
    let mut seen = Seen::default();
    env.reset(7, Stream::Env, FirstBuf { obs: &mut obs, mask: &mut [] });
    seen.obs.push(obs.clone());
    for step in 0..steps {
        let actions: Vec<i64> =
            (0..rows).map(|row| i64::from(Rng::at_step(5, Stream::Act, row as u32, step as u64).below(2))).collect();
        let out = StepBuf {
            obs: &mut obs,
            mask: &mut [],
            reward: &mut reward,
            terminated: &mut terminated,
            truncated: &mut truncated,
            final_obs: &mut final_obs,
            final_mask: &mut [],
        };
        env.step(Actions::Discrete(&actions), out);
        seen.obs.push(obs.clone());
        seen.rewards.push(reward.clone());
        seen.hashes.extend((0..env.envs()).map(|i| env.hash(i, View::Now)));
        let ended = (0..rows).filter(|row| terminated[*row] || truncated[*row]);
        seen.last.extend(ended.map(|row| (step, row, final_obs[row * len..][..len].to_vec())));
    }
    let mut again = vec![0.0; rows * len];
    env.observe(FirstBuf { obs: &mut again, mask: &mut [] });
    assert_eq!(again, obs);
    seen
}

fn table(names: &[String], rows: &[&[f32]]) -> Raw {
    let mut raw = Raw::new(names.to_vec(), false);
    for (line, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(f32::to_string).collect();
        raw.push(line as u64 + 2, cells.iter().map(String::as_str));
    }
    raw
}

/// A model of observations.
fn reader(kind: &str, settings: &serde_json::Value, raw: &Raw) -> Reader {
    let family = find(kind).unwrap();
    let settings = settings.as_object().unwrap();
    let data = Dataset::unlabelled(raw, &DataSettings::default()).unwrap();
    let mut own = Unsupervised::new(*family, settings, data, [5, 1], Device::Cpu).unwrap();
    while !own.done() {
        own.advance().unwrap();
    }
    Reader::load(family, settings, &own.save().0).unwrap()
}

#[test]
fn environments_are_described_as_the_model_does() {
    let mut plain = env(3);
    let names = names(&plain.spec().observation).unwrap();
    let bare = walk(&mut *plain, 200);
    assert!(bare.last.len() > 5, "episodes end");
    let rows: Vec<&[f32]> = bare.obs.iter().flat_map(|obs| obs.chunks_exact(4)).collect();
    // In another order than the environment's, and without one of its numbers.
    let order = [2, 0, 3];
    let raw = {
        let picked: Vec<Vec<f32>> = rows.iter().map(|row| order.map(|k| row[k]).to_vec()).collect();
        table(&order.map(|k| names[k].clone()), &picked.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    for (kind, settings) in [
        ("pca", json!({"components": 2})),
        ("autoencoder", json!({"latent": 2, "hidden": [8], "scaling": "quantile"})),
        ("vae", json!({"latent": 2, "hidden": [8, 8], "patience": 0})),
    ] {
        let reader = reader(kind, &settings, &raw);
        let features = Arc::new(reader.features().unwrap());
        assert!(features.is_sound() && features.len() == 2);
        let again: Features = serde_json::from_str(&serde_json::to_string(&*features).unwrap()).unwrap();
        assert_eq!(again, *features);
        // A file may be damaged.
        let mut damaged = serde_json::to_value(&*features).unwrap();
        for (place, wrong) in [
            ("/layers/0/bias", json!([])),
            ("/layers/0/weight", json!([1.0])),
            ("/inputs/0/scale", json!(0.0)),
            ("/inputs/0/knots", json!([1.0, 2.0])),
        ] {
            let whole = damaged.clone();
            *damaged.pointer_mut(place).unwrap() = wrong;
            assert!(!serde_json::from_value::<Features>(damaged).unwrap().is_sound(), "{kind}: {place}");
            damaged = whole;
        }
        let said = reader.read(&raw).unwrap().found.components;
        let own = walk(&mut *features.around(env(3), false).unwrap(), 200);
        let flat: Vec<f32> = own.obs.concat();
        assert_eq!(flat.len(), said.x.len());
        let off = flat.iter().zip(&said.x).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(off < 1e-4, "{kind}: {off}");
        assert!(flat.iter().any(|x| x.abs() > 0.1), "{kind}");
        assert_eq!((&own.rewards, &own.hashes), (&bare.rewards, &bare.hashes));

        let beside = walk(&mut *features.around(env(3), true).unwrap(), 200);
        let rows = beside.obs.iter().flat_map(|obs| obs.chunks_exact(6));
        let (front, behind): (Vec<&[f32]>, Vec<&[f32]>) = rows.map(|row| row.split_at(4)).unzip();
        assert_eq!((front.concat(), behind.concat()), (bare.obs.concat(), flat));
        assert_eq!(beside.last.len(), bare.last.len());
        for ((wide, own), bare) in beside.last.iter().zip(&own.last).zip(&bare.last) {
            assert_eq!((wide.0, wide.1, &wide.2[..4], &wide.2[4..]), (bare.0, bare.1, &bare.2[..], &own.2[..]));
        }
        // Of the first environment the same bits in a batch of its own.
        let alone = walk(&mut *features.around(env(1), false).unwrap(), 200);
        assert!(alone.obs.iter().zip(&own.obs).all(|(one, all)| one[..] == all[..2]), "{kind}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let numbers: Vec<Vec<f32>> = (0..60).map(|i| vec![(i * 7 % 11) as f32, (i * 5 % 13) as f32]).collect();
    let rows: Vec<&[f32]> = numbers.iter().map(Vec::as_slice).collect();
    let others = table(&["speed", "reward"].map(String::from), &rows);
    let features = Arc::new(reader("pca", &json!({"components": 1}), &others).features().unwrap());
    let why = features.around(env(1), false).err().unwrap().to_string();
    assert!(why.contains("the model reads `speed`, and observations have "), "{why}");
    let why = reader("kmeans", &json!({"clusters": 2}), &others).features().unwrap_err().to_string();
    assert!(why.contains("autoencoder, vae or pca"), "{why}");
    let lake = agon_envs::find("classic/frozen-lake").unwrap().build(&Map::new(), 1, 1).unwrap();
    assert!(features.around(lake, false).err().unwrap().to_string().contains("one of so many states"));
    let picture = agon_envs::find("classic/breakout-10").unwrap().build(&Map::new(), 1, 1).unwrap();
    let all = names(&picture.spec().observation).unwrap();
    assert!(
        all.len() == picture.spec().obs_len()
            && all.iter().collect::<std::collections::HashSet<_>>().len() == all.len()
    );
}
