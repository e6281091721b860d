//! The estimator: mean utilities by inversion of shares, linear coefficients by instrumental variables, the rest by a
//! quasi-Newton search of the objective with its analytic gradient.

use super::shares::Market;
use super::{Markets, MixedError, Parameter};
use crate::demand::matrix::{self, dot, times};

/// The objective has settled where a step promises to gain no more.
const GAIN: f64 = 1e-11;
/// Steps of the search.
const STEPS: usize = 300;

type Matrix = Vec<Vec<f64>>;

/// Markets as the estimator needs them: groups' means taken off, and products of matrices that never change.
pub struct Problem {
    markets: Markets,
    parameters: Vec<Parameter>,
    /// How many rows each group has.
    group_sizes: Vec<f64>,
    /// w and z less their groups' means.
    linear: Matrix,
    instruments: Matrix,
    /// (Z'Z)⁻¹.
    weight: Matrix,
    /// Z'W.
    moved: Matrix,
    /// (W'Z (Z'Z)⁻¹ Z'W)⁻¹ W'Z (Z'Z)⁻¹: coefficients from Z'δ.
    solve: Matrix,
}

/// The objective at one θ.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// ξ'Z (Z'Z)⁻¹ Z'ξ.
    pub objective: f64,
    /// Its derivative by each entry of θ.
    pub gradient: Vec<f64>,
    /// Linear coefficients.
    pub beta: Vec<f64>,
    /// Mean utilities of all products.
    pub delta: Vec<f64>,
    /// ξ, less groups' means.
    pub residuals: Vec<f64>,
    /// Z' times the derivative of δ by θ, `[instruments][parameters]`.
    slopes: Matrix,
}

/// What was estimated.
#[derive(Clone, Debug)]
pub struct Fit {
    /// θ.
    pub parameters: Vec<Parameter>,
    /// Standard errors of θ, robust to heteroscedasticity.
    pub errors: Vec<f64>,
    /// Standard errors of the linear coefficients.
    pub beta_errors: Vec<f64>,
    /// The objective at θ.
    pub at: Evaluation,
    /// Evaluations of the objective.
    pub evaluations: usize,
}

fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Matrix {
    let columns = transposed(b);
    a.iter().map(|row| columns.iter().map(|column| dot(row, column)).collect()).collect()
}

fn transposed(a: &[Vec<f64>]) -> Matrix {
    (0..a.first().map_or(0, Vec::len)).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

impl Problem {
    /// Checks markets and prepares them. `parameters`: where the search begins.
    pub fn new(markets: Markets, parameters: Vec<Parameter>) -> Result<Self, MixedError> {
        markets.check(&parameters)?;
        let count = markets.groups.iter().max().map_or(0, |most| most + 1);
        let mut group_sizes = vec![0.0; count];
        markets.groups.iter().for_each(|group| group_sizes[*group] += 1.0);
        let mut made = Self {
            parameters,
            group_sizes,
            linear: Vec::new(),
            instruments: Vec::new(),
            weight: Vec::new(),
            moved: Vec::new(),
            solve: Vec::new(),
            markets,
        };
        made.linear = made.within(&made.markets.linear);
        made.instruments = made.within(&made.markets.instruments);
        let z = transposed(&made.instruments);
        let instrument = |at: usize| MixedError::Collinear("instrument", at + 1);
        made.weight = matrix::inverse(&product(&z, &made.instruments)).map_err(instrument)?;
        made.moved = product(&z, &made.linear);
        let back = product(&transposed(&made.moved), &made.weight);
        let linear = |at: usize| MixedError::Collinear("linear column", at + 1);
        made.solve = product(&matrix::inverse(&product(&back, &made.moved)).map_err(linear)?, &back);
        Ok(made)
    }

    /// The markets.
    pub fn markets(&self) -> &Markets {
        &self.markets
    }

    /// Where the search begins.
    pub fn start(&self) -> &[Parameter] {
        &self.parameters
    }

    /// A table of products less the means of its groups.
    fn within(&self, table: &[Vec<f64>]) -> Matrix {
        let columns: Matrix = transposed(table).iter().map(|column| self.centred(column)).collect();
        transposed(&columns)
    }

    fn centred(&self, column: &[f64]) -> Vec<f64> {
        let mut means = vec![0.0; self.group_sizes.len()];
        self.markets.groups.iter().zip(column).for_each(|(group, x)| means[*group] += x / self.group_sizes[*group]);
        column.iter().enumerate().map(|(row, x)| x - self.markets.groups.get(row).map_or(0.0, |g| means[*g])).collect()
    }

    /// Z' times a column of products.
    fn against_instruments(&self, column: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.weight.len()];
        for (row, x) in self.instruments.iter().zip(column) {
            sum.iter_mut().zip(row).for_each(|(s, z)| *s += z * x);
        }
        sum
    }

    /// The objective and its gradient. `delta`: mean utilities from which shares are inverted, such as those nearby; none where
    /// they are not found.
    pub fn evaluate(&self, theta: &[Parameter], delta: &[f64]) -> Option<Evaluation> {
        let mut found = Vec::with_capacity(delta.len());
        let mut slopes = vec![vec![0.0; theta.len()]; self.weight.len()];
        for (m, rows) in self.markets.products.iter().enumerate() {
            let market = Market::new(&self.markets, m, theta);
            let mut own = delta[rows.clone()].to_vec();
            market.invert(&mut own)?;
            let by_theta = self.slopes(&market, m, theta, &own)?;
            for (row, slope) in rows.clone().zip(&by_theta) {
                for (line, z) in slopes.iter_mut().zip(&self.instruments[row]) {
                    line.iter_mut().zip(slope).for_each(|(sum, x)| *sum += z * x);
                }
            }
            found.extend(own);
        }
        let beta = times(&self.solve, &self.against_instruments(&found));
        // Groups' means are taken off w; those of δ are taken off here.
        let fitted = times(&self.linear, &beta);
        let residuals: Vec<f64> = self.centred(&found).iter().zip(&fitted).map(|(d, f)| d - f).collect();
        let moments = self.against_instruments(&residuals);
        let pulls = times(&self.weight, &moments);
        // β is at its own optimum: only δ moves the objective.
        let gradient =
            (0..theta.len()).map(|p| 2.0 * slopes.iter().zip(&pulls).map(|(line, g)| line[p] * g).sum::<f64>());
        let gradient = gradient.collect();
        Some(Evaluation { objective: dot(&moments, &pulls), gradient, beta, delta: found, residuals, slopes })
    }

    /// The derivative of a market's δ by θ, `[products][parameters]`: −(∂s/∂δ)⁻¹ ∂s/∂θ.
    fn slopes(&self, market: &Market<'_>, m: usize, theta: &[Parameter], delta: &[f64]) -> Option<Matrix> {
        let choices = market.choices(delta);
        let (x, v) = (&self.markets.characteristics[self.markets.products[m].clone()], &self.markets.tastes);
        let first = self.markets.people[m].start;
        let column = |p: &Parameter| -> Vec<f64> {
            let values: Vec<f64> = x.iter().map(|row| row[p.characteristic]).collect();
            let means: Vec<f64> = choices.iter().map(|own| dot(own, &values)).collect();
            let of = |j: usize| market.mean(|i| choices[i][j] * (values[j] - means[i]) * v[first + i][p.taste]);
            (0..values.len()).map(of).collect()
        };
        let by_theta: Matrix = theta.iter().map(column).collect();
        let inverse = matrix::inverse(&market.slopes(&choices)).ok()?;
        Some(inverse.iter().map(|row| by_theta.iter().map(|column| -dot(row, column)).collect()).collect())
    }

    /// The mean utilities of a logit without tastes.
    pub fn logit(&self) -> Vec<f64> {
        let of = |rows: &std::ops::Range<usize>| {
            let shares = &self.markets.shares[rows.clone()];
            let outside = 1.0 - shares.iter().sum::<f64>();
            shares.iter().map(|s| (s / outside).ln()).collect::<Vec<f64>>()
        };
        self.markets.products.iter().flat_map(of).collect()
    }

    /// Gauss and Newton's second derivatives of the objective, β moving along.
    fn curvature(&self, at: &Evaluation) -> Matrix {
        let back = product(&self.solve, &at.slopes);
        let along = product(&self.moved, &back);
        let moments: Matrix = at
            .slopes
            .iter()
            .zip(&along)
            .map(|(own, by_beta)| own.iter().zip(by_beta).map(|(a, b)| a - b).collect())
            .collect();
        let half = product(&product(&transposed(&moments), &self.weight), &moments);
        half.iter().map(|row| row.iter().map(|x| 2.0 * x).collect()).collect()
    }

    /// The inverse of [`Problem::curvature`], its diagonal raised by a share so that it exists.
    fn inverse_curvature(&self, at: &Evaluation, raised: f64) -> Matrix {
        let mut curvature = self.curvature(at);
        let n = curvature.len();
        (0..n).for_each(|p| curvature[p][p] = curvature[p][p] * (1.0 + raised) + 1e-30);
        matrix::inverse(&curvature).unwrap_or_else(|_| {
            let cell = |i: usize, j: usize| if i == j { 1.0 / curvature[i][i] } else { 0.0 };
            (0..n).map(|i| (0..n).map(|j| cell(i, j)).collect()).collect()
        })
    }

    /// θ that minimises the objective: steps of Broyden, Fletcher, Goldfarb and Shanno that begin with Gauss and Newton's
    /// curvature, halved until they gain.
    pub fn fit(&self) -> Result<Fit, MixedError> {
        let mut theta = self.parameters.clone();
        let mut at = self.evaluate(&theta, &self.logit()).ok_or(MixedError::Start)?;
        let (mut inverse, mut fresh, mut evaluations) = (self.inverse_curvature(&at, 1e-3), true, 1);
        let mut gain = f64::INFINITY;
        for _ in 0..STEPS {
            let step: Vec<f64> = times(&inverse, &at.gradient).iter().map(|x| -x).collect();
            gain = -dot(&step, &at.gradient);
            if gain < GAIN && (gain >= 0.0 || fresh) {
                return Ok(self.found(theta, at, evaluations));
            }
            let mut rate = 1.0;
            let next = loop {
                let there: Vec<Parameter> =
                    theta.iter().zip(&step).map(|(p, d)| Parameter { value: p.value + rate * d, ..*p }).collect();
                evaluations += 1;
                match self.evaluate(&there, &at.delta) {
                    Some(found) if found.objective <= at.objective - 1e-4 * rate * gain => break Some((there, found)),
                    _ if rate < 1e-6 => break None,
                    _ => rate *= 0.5,
                }
            };
            let Some((there, found)) = next else {
                if fresh {
                    break;
                }
                (inverse, fresh) = (self.inverse_curvature(&at, 1e-3), true);
                continue;
            };
            let moved: Vec<f64> = there.iter().zip(&theta).map(|(a, b)| a.value - b.value).collect();
            let turned: Vec<f64> = found.gradient.iter().zip(&at.gradient).map(|(a, b)| a - b).collect();
            update(&mut inverse, &moved, &turned);
            (theta, at, fresh) = (there, found, false);
        }
        // Rounding of the objective hides gains that are no larger.
        if gain.abs() < 1e-8 { Ok(self.found(theta, at, evaluations)) } else { Err(MixedError::Unsettled(gain)) }
    }

    /// With standard errors: (G'WG)⁻¹ G'W S W G (G'WG)⁻¹, S the sum of ξ² z z'.
    fn found(&self, parameters: Vec<Parameter>, at: Evaluation, evaluations: usize) -> Fit {
        let of =
            |(own, by_beta): (&Vec<f64>, &Vec<f64>)| own.iter().copied().chain(by_beta.iter().map(|x| -x)).collect();
        let slopes: Matrix = at.slopes.iter().zip(&self.moved).map(of).collect();
        let mut spread = vec![vec![0.0; self.weight.len()]; self.weight.len()];
        for (z, residual) in self.instruments.iter().zip(&at.residuals) {
            for (line, a) in spread.iter_mut().zip(z) {
                line.iter_mut().zip(z).for_each(|(s, b)| *s += residual * residual * a * b);
            }
        }
        let back = product(&transposed(&slopes), &self.weight);
        let count = slopes.first().map_or(0, Vec::len);
        let mut errors = vec![f64::NAN; count];
        if let Ok(bread) = matrix::inverse(&product(&back, &slopes)) {
            let moved = product(&bread, &back);
            let covariance = product(&product(&moved, &spread), &transposed(&moved));
            errors = (0..count).map(|p| covariance[p][p].max(0.0).sqrt()).collect();
        }
        let beta_errors = errors.split_off(parameters.len());
        Fit { parameters, errors, beta_errors, at, evaluations }
    }
}

/// The inverse second derivatives after a step that moved the gradient by so much; as they were where it bends down.
fn update(inverse: &mut Matrix, moved: &[f64], turned: &[f64]) {
    let bend = dot(moved, turned);
    if bend <= 1e-12 * (dot(moved, moved) * dot(turned, turned)).sqrt() {
        return;
    }
    let along = times(inverse, turned);
    let scale = (1.0 + dot(turned, &along) / bend) / bend;
    for (i, line) in inverse.iter_mut().enumerate() {
        for (j, cell) in line.iter_mut().enumerate() {
            *cell += scale * moved[i] * moved[j] - (along[i] * moved[j] + moved[i] * along[j]) / bend;
        }
    }
}
