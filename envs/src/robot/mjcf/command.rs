//! Velocities that a robot is asked for, and how the range of them grows with what it can do.

use super::{COMMAND, LEVEL};
use crate::robot::Range;
use agon_core::env::within;
use agon_core::{Rng, settings};

settings! {
    /// Velocities to be tracked, each drawn uniformly from a range.
    pub struct Command {
        /// Forward, m/s.
        x: Range = Range(0.0, 0.0);
        /// To the left, m/s.
        y: Range = Range(0.0, 0.0);
        /// About the vertical, rad/s.
        yaw: Range = Range(0.0, 0.0);
        /// Steps after which another one is drawn; 0: one an episode.
        resample_every: u32 = 0, in [0.0, 1e9];
        /// Commands are multiplied with a level that begins here; 1 asks for all of it from the start.
        start: f64 = 1.0, in [0.0, 1.0];
        /// How much the level of an environment grows after an episode that was tracked well.
        grow: f64 = 0.05, in [0.0, 1.0];
        /// How well that is: the mean of exp(−error²/0.25) over the episode, error in m/s.
        goal: f64 = 0.7, in [0.0, 1.0];
    }
}

/// The width of the measure of tracking, (m/s)².
pub const WIDTH: f64 = 0.25;

impl Command {
    fn ranges(&self) -> [Range; 3] {
        [self.x, self.y, self.yaw]
    }

    /// Whether anything is asked for.
    pub fn is_given(&self) -> bool {
        self.ranges() != [Range(0.0, 0.0); 3]
    }

    /// The level after an episode of `age` steps whose measures of tracking sum up to `tracked`.
    pub fn next_level(&self, level: f64, tracked: f64, age: f64) -> f64 {
        let grows = age > 0.0 && tracked / age >= self.goal;
        if grows { (level + self.grow).min(1.0) } else { level }
    }

    /// Draws a command.
    pub fn draw(&self, memory: &mut [f64], rng: &mut Rng) {
        for (at, Range(low, high)) in (COMMAND..).zip(self.ranges()) {
            memory[at] = memory[LEVEL] * rng.range(low, high);
        }
    }

    /// Whether another one is due after `age` steps.
    pub fn is_due(&self, age: f64) -> bool {
        self.resample_every > 0 && age % f64::from(self.resample_every) == 0.0
    }

    /// Whether a memory holds what could have been drawn.
    pub fn check(&self, memory: &[f64]) -> Result<(), String> {
        within("the level of commands", memory[LEVEL], self.start, 1.0)?;
        let mut parts = (COMMAND..).zip(self.ranges());
        parts.try_for_each(|(at, Range(low, high))| within("a command", memory[at], low.min(0.0), high.max(0.0)))
    }
}
