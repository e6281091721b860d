//! Off-policy learners: the collector of steps that all of them share, and continuous control.

pub mod actor_critic;
pub mod collector;
mod normed;
pub(crate) mod perceptron;
pub mod sac;
pub mod td3;
pub mod xqc;
