//! Devices, and names of other libraries.

use super::*;

/// A run says where it computes: on the host, for agents that only compute there.
#[test]
fn devices_are_those_used() {
    for (kind, device) in [("sac", Device::Cpu), ("td3", Device::Cpu), ("xqc", Device::Cpu), ("ppo", Device::Cuda(0))] {
        assert_eq!(find(kind).unwrap().device(Device::Cuda(0)), device, "{kind}");
    }
}

#[test]
fn names_of_other_libraries_are_understood() {
    for (kind, theirs, ours) in [
        ("ppo", "n_steps", "rollout_steps"),
        ("ppo", "batch_size", "minibatch"),
        ("ppo", "n_epochs", "epochs"),
        ("ppo", "ent_coef", "entropy_coef"),
        ("ppo", "vf_coef", "value_coef"),
        ("ppo", "clip_range_vf", "value_clip"),
        ("ppo", "net_arch", "hidden"),
        ("a2c", "n_steps", "rollout_steps"),
        ("reinforce", "batch_size", "batch"),
        ("dqn", "n_steps", "n_step"),
        ("dqn", "buffer_size", "memory"),
        ("dqn", "train_freq", "train_every"),
        ("dqn", "target_update_interval", "target_every"),
        ("dqn", "exploration_fraction", "epsilon_share"),
        ("dqn", "exploration_final_eps", "epsilon_end"),
        ("alphazero", "buffer_size", "window"),
        ("sac", "batch_size", "minibatch"),
        ("sac", "train_freq", "train_every"),
        ("sac", "buffer_size", "memory"),
        ("td3", "policy_delay", "policy_every"),
        ("xqc", "policy_delay", "policy_every"),
        ("td3", "target_policy_noise", "target_noise"),
        ("td3", "noise_clip", "target_noise_clip"),
    ] {
        let given = Map::from_iter([(theirs.to_owned(), Value::from(1))]);
        let why = find(kind).unwrap().resolve(&given).unwrap_err().to_string();
        assert!(why.contains(&format!("`{theirs}`, did you mean `{ours}`?")), "{kind}: {why}");
    }
}
