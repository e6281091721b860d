//! Everything that learns. The only crate that names `tch`; it knows environments only by their contract.
//!
//! | to learn about | read |
//! | --- | --- |
//! | what an agent is, and which there are | [`agent`], [`registry`] |
//! | the training loop | [`train`] |
//! | PPO, A2C, REINFORCE | [`on_policy`], with [`dist`], [`normalise`] |
//! | what off-policy learners share; SAC, TD3, XQC | [`off_policy`], with [`replay`], [`squashed`] |
//! | DQN | [`dqn`], with [`q_task`], [`q_net`], [`q_loss`], [`replay`], [`distinct`], [`greedy`] |
//! | Q-learning and SARSA over a table | [`tabular`] |
//! | value and policy iteration | [`exact`] |
//! | the cross-entropy method | [`cem`] |
//! | AlphaZero | [`alphazero`], with [`board_net`] |
//! | networks and their optimizer, the numbers that they multiply in | [`net`], [`optim`], [`precision`] |
//! | how a network reads an observation | [`input`] |
//! | small networks without tensors | [`dense`], [`conv`] |
//! | numbers between slices and tensors | [`bridge`] |
//! | evaluation | [`evaluate`] |
//! | demand from sales data | [`demand`] |
//! | experiments with prices | [`switchback`] |
//! | a policy of single decisions, from a log | [`bandit`] |
//! | what a policy would earn, from the log of another one | [`off_policy_evaluation`] |
//! | supervised training from tables | [`data`], [`supervised`] |
//! | groups, components and unusual rows of tables | [`unsupervised`] |
//! | what those say of observations, for agents | [`features`] |

pub mod agent;
pub mod alphazero;
pub mod bandit;
pub mod board_net;
pub mod bridge;
pub mod cem;
pub mod checkpoint;
pub mod conv;
pub mod data;
pub mod demand;
pub mod dense;
pub mod dist;
pub mod distinct;
pub mod dqn;
pub mod evaluate;
pub mod exact;
pub mod features;
pub mod greedy;
pub mod input;
pub mod net;
pub mod normalise;
pub mod off_policy;
pub mod off_policy_evaluation;
pub mod on_policy;
pub mod optim;
pub mod pictures;
pub mod precision;
pub mod pretrained;
pub mod q_loss;
pub mod q_net;
pub mod q_task;
pub mod rate_test;
pub mod registry;
pub mod replay;
mod rivals;
pub mod squashed;
pub mod sum_tree;
pub mod supervised;
pub mod switchback;
pub mod tabular;
pub mod train;
pub mod unsupervised;
pub mod world;

pub use agent::{Agent, AgentError};
pub use tch::Device;

/// Whether libtorch sees a CUDA device.
pub fn cuda_is_available() -> bool {
    tch::Cuda::is_available()
}

/// Threads that one tensor operation may use.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
}

/// A first tensor operation, to see that libtorch works; returns a number that must be 2.
pub fn probe(device: Device) -> f64 {
    tch::Tensor::ones([2], (tch::Kind::Float, device)).sum(tch::Kind::Float).double_value(&[])
}
