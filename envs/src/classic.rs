//! Classic control, step for step equal to Gymnasium 1.4.0, and other small classics. To add one: a file, a `mod` line, a
//! row.
pub mod acrobot;
pub mod breakout;
pub mod cartpole;
pub mod frozen_lake;
pub mod lqr;
pub mod mountain_car;
pub mod pendulum;

use agon_core::Entry;

const GYM: &str = "transitions of Gymnasium 1.4.0, at most 1e-6 relative (tests/golden/classic_control.py)";

pub const ENTRIES: &[Entry] = &[
    Entry::kernel::<cartpole::CartPole, 4, 4>("classic/cartpole", "Balance a pole on a cart", GYM),
    Entry::kernel::<acrobot::Acrobot, 4, 6>("classic/acrobot", "Swing a two-link arm above its height", GYM),
    Entry::env::<breakout::Breakout>(
        "classic/breakout-10",
        "Break bricks with a ball, seen as a picture (MinAtar)",
        "episodes of MinAtar 1.0.15, bit-identical (tests/golden/breakout.py)",
    ),
    Entry::env::<frozen_lake::FrozenLake>(
        "classic/frozen-lake",
        "Walk over slippery ice to a goal between holes",
        "Gymnasium's transitions; the optimum within its step limit by backward induction",
    ),
    Entry::kernel::<mountain_car::MountainCar, 2, 2>("classic/mountain-car", "Rock a weak car out of a valley", GYM),
    Entry::kernel::<pendulum::Pendulum, 2, 3>("classic/pendulum", "Swing a pendulum up and hold it there", GYM),
];

/// The angle brought into [−π, π].
#[inline(always)]
fn wrap<R: agon_core::real::Real>(x: R) -> R {
    x - x.of(std::f64::consts::TAU) * (x * x.of(1.0 / std::f64::consts::TAU)).round()
}
