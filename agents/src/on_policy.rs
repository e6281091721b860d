//! On-policy learners.
//!
//! | to learn about | read |
//! | --- | --- |
//! | PPO, A2C, REINFORCE | [`ppo`], [`a2c`], [`reinforce`] |
//! | how they act, and what their actions were worth | [`collector`], with [`rollout`] and [`returns`] |
//! | their networks, and how a loss becomes a gradient | [`networks`] |
//! | the policy they make | [`frozen`] |
//! | past selves as opponents | [`opponent_pool`] |
//! | the same networks learning from recorded episodes | [`clone`] |

pub mod a2c;
pub mod clone;
pub mod collector;
pub mod frozen;
pub mod networks;
pub mod opponent_pool;
#[cfg(test)]
mod oracle;
pub mod ppo;
pub mod reinforce;
pub mod returns;
pub mod rollout;
