//! Statistics that more than one crate needs.

/// The 97.5 % point of Student's t with ν degrees of freedom: exact for 1 and 2, else the expansion of Abramowitz and
/// Stegun 26.7.5, within 0.3 % for 3 and better above.
pub fn student_975(nu: f64) -> f64 {
    if nu < 1.5 {
        return 12.706_204_736;
    }
    if nu < 2.5 {
        return 4.302_652_730;
    }
    let z: f64 = 1.959_963_984_540_054;
    let (z3, z5, z7, z9) = (z.powi(3), z.powi(5), z.powi(7), z.powi(9));
    z + (z3 + z) / (4.0 * nu)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * nu.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * nu.powi(3))
        + (79.0 * z9 + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z) / (92160.0 * nu.powi(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_is_that_of_the_tables() {
        for (nu, table) in [(1.0, 12.7062), (2.0, 4.3027), (5.0, 2.5706), (9.0, 2.2622), (29.0, 2.0452), (99.0, 1.9842)]
        {
            assert!((student_975(nu) / table - 1.0).abs() < 1e-3, "{nu}: {}", student_975(nu));
        }
    }
}
