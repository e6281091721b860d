//! The calendar as demand models see it: a trend and a yearly season.

use std::f64::consts::TAU;

/// Weeks of a year.
pub const YEAR: f64 = 365.25 / 7.0;

/// Years since the week `middle`, and the sine and cosine of the time of the year. `week`: its number in the calendar.
pub fn trend_and_season(week: f64, middle: f64) -> [f64; 3] {
    let (sine, cosine) = (TAU * week / YEAR).sin_cos();
    [(week - middle) / YEAR, sine, cosine]
}
