//! How near places on a map count as: q(d) = 1 / (1 + a d²ᵇ), with a and b such that it is 1 up to a least distance and
//! then falls off exponentially, as nearly as least squares can have it.

/// The curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    /// As in 1 / (1 + a d²ᵇ).
    pub a: f64,
    /// As in 1 / (1 + a d²ᵇ).
    pub b: f64,
}

/// Distances at which the curve is compared, up to three times the spread: umap-learn's.
const PLACES: usize = 300;
const ITERATIONS: usize = 1000;

impl Curve {
    /// By the method of Levenberg and Marquardt, from a = b = 1.
    pub fn new(spread: f64, least: f64) -> Self {
        let wanted = |d: f64| if d < least { 1.0 } else { (-(d - least) / spread).exp() };
        let points: Vec<(f64, f64)> =
            (1..PLACES).map(|i| 3.0 * spread * i as f64 / (PLACES - 1) as f64).map(|d| (d, wanted(d))).collect();
        let error = |c: &Self| points.iter().map(|(d, y)| (c.at(d * d) - y).powi(2)).sum::<f64>();
        let (mut own, mut damping) = (Self { a: 1.0, b: 1.0 }, 1e-3);
        let mut least = error(&own);
        for _ in 0..ITERATIONS {
            // The normal equations: second derivatives by products of first ones, and the slope.
            let (mut h, mut slope) = ([0.0; 3], [0.0; 2]);
            for (d, y) in &points {
                let power = (d * d).powf(own.b);
                let q = 1.0 / (1.0 + own.a * power);
                let by = [-q * q * power, -q * q * own.a * power * 2.0 * d.ln()];
                h = [h[0] + by[0] * by[0], h[1] + by[0] * by[1], h[2] + by[1] * by[1]];
                slope = [slope[0] + by[0] * (q - y), slope[1] + by[1] * (q - y)];
            }
            let [aa, ab, bb] = [h[0] * (1.0 + damping), h[1], h[2] * (1.0 + damping)];
            let det = aa * bb - ab * ab;
            let step = [(bb * slope[0] - ab * slope[1]) / det, (aa * slope[1] - ab * slope[0]) / det];
            let next = Self { a: own.a - step[0], b: own.b - step[1] };
            let found = if next.a > 0.0 && next.b > 0.0 { error(&next) } else { f64::INFINITY };
            if found > least || !found.is_finite() {
                damping *= 10.0;
                if damping > 1e12 {
                    break;
                }
                continue;
            }
            let small = step[0].abs() < 1e-12 * own.a && step[1].abs() < 1e-12 * own.b;
            (own, least, damping) = (next, found, damping * 0.1);
            if small {
                break;
            }
        }
        own
    }

    /// Of a squared distance.
    pub fn at(&self, square: f64) -> f64 {
        1.0 / (1.0 + self.a * square.powf(self.b))
    }
}
