//! One physics source, two forms: a kernel is bit-identical on plain numbers and in SIMD registers.

use agon_core::contract::Harness;
use agon_core::{Kernel, View};
use agon_envs::classic::{acrobot::Acrobot, cartpole::CartPole, mountain_car::MountainCar, pendulum::Pendulum};
use serde_json::Map;

fn agrees<K: Kernel<N, O>, const N: usize, const O: usize>(id: &str) {
    let kernel = K::new(K::Settings::default()).unwrap();
    let envs = 37; // whole registers and a rest, at any width
    let mut h = Harness::new(agon_envs::find(id).unwrap().build(&Map::new(), envs, 1).unwrap(), 5);
    h.env.keep_finals(true);
    let state = |h: &Harness, i: usize, view: View| -> [f64; N] {
        let numbers: Vec<f64> = serde_json::from_value(h.env.save(i, view)["state"].clone()).unwrap();
        numbers.try_into().unwrap()
    };
    let mut ends = 0;
    for step in 0..600 {
        let before: Vec<[f64; N]> = (0..envs).map(|i| state(&h, i, View::Now)).collect();
        h.choose();
        let actions: Vec<f64> = match h.actions() {
            agon_core::Actions::Discrete(a) => a.iter().map(|a| *a as f64).collect(),
            agon_core::Actions::Continuous(a) => a.iter().map(|a| f64::from(*a)).collect(),
        };
        h.step();
        for i in 0..envs {
            let (next, reward, ended) = kernel.step::<f64>(before[i], actions[i]);
            let over = h.terminated[i] || h.truncated[i];
            let found = state(&h, i, if over { View::Final } else { View::Now });
            assert_eq!(found.map(f64::to_bits), next.map(f64::to_bits), "{id} step {step} lane {i}");
            assert_eq!((h.reward[i], h.terminated[i]), (reward as f32, ended), "{id} step {step} lane {i}");
            let seen = if over { &h.final_obs } else { &h.obs };
            let wanted = kernel.observe::<f64>(next).map(|x| (x as f32).to_bits());
            let seen: Vec<u32> = seen[i * O..(i + 1) * O].iter().map(|x| x.to_bits()).collect();
            assert_eq!(seen, wanted, "{id} step {step} lane {i}");
            ends += usize::from(over);
        }
    }
    assert!(ends > 0, "{id}: no episode ended");
}

#[test]
fn kernels_are_the_same_bits_in_both_forms() {
    agrees::<CartPole, 4, 4>("classic/cartpole");
    agrees::<Acrobot, 4, 6>("classic/acrobot");
    agrees::<MountainCar, 2, 2>("classic/mountain-car");
    agrees::<Pendulum, 2, 3>("classic/pendulum");
}
