//! Maximum likelihood by accelerated gradient descent, a step at a time.

use super::{DemandError, Design, Fit, Found, Sales};
use crate::agent::{AgentError, Saved};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// The gradient, a customer, at which the descent may have settled.
const SETTLED: f64 = 1e-13;
/// Steps between two looks at the Fisher information.
const ROUND: u64 = 60;
/// Steps after which it must have settled.
const MOST_STEPS: u64 = 40 * ROUND;

/// Accelerated gradient descent (Nesterov 1983, restarted as O'Donoghue and Candès 2015) in coordinates in which the
/// Fisher information of the last round's start is the identity; the likelihood is concave.
pub(super) struct Descent {
    /// Coefficients, `[count]`.
    pub theta: Tensor,
    /// Where momentum has taken them.
    ahead: Tensor,
    /// The inverse of the information, `[count, count]`.
    precondition: Tensor,
    momentum: f64,
    rate: f64,
    /// −log-likelihood a customer at `theta`.
    pub loss: f64,
    /// The largest entry of the gradient there.
    pub size: f64,
    /// Whether it has come to the maximum.
    pub settled: bool,
    /// Steps made.
    pub step: u64,
}

fn gradient(design: &Design, theta: &Tensor) -> (f64, Tensor) {
    let leaf = theta.detach().set_requires_grad(true);
    let loss = design.loss(&leaf);
    (loss.double_value(&[]), Tensor::run_backward(&[&loss], &[&leaf], false, false).remove(0))
}

fn everybody(design: &Design) -> f64 {
    design.customers.sum(Kind::Double).double_value(&[])
}

impl Descent {
    /// At the mean shares of all weeks.
    pub fn new(design: &Design) -> Self {
        let share = &design.units.sum_dim_intlist([0i64].as_slice(), false, None) / design.customers.sum(Kind::Double);
        let outside = Tensor::from(1.0) - share.sum(Kind::Double);
        let count = design.count() as i64;
        let rest = Tensor::zeros([count - design.products as i64], (Kind::Double, Device::Cpu));
        let theta = Tensor::cat(&[&(share / outside).log(), &rest], 0);
        Self {
            ahead: theta.copy(),
            precondition: Tensor::zeros([count, count], (Kind::Double, Device::Cpu)),
            momentum: 1.0,
            rate: 1.0,
            loss: design.loss(&theta).double_value(&[]),
            size: f64::INFINITY,
            settled: false,
            step: 0,
            theta,
        }
    }

    /// Restarts at these coefficients.
    pub fn begin_with(&mut self, theta: Tensor, design: &Design) {
        *self = Self { ahead: theta.copy(), loss: design.loss(&theta).double_value(&[]), theta, ..Self::new(design) };
    }

    /// One step.
    pub fn advance(&mut self, design: &Design) -> Result<(), DemandError> {
        if self.step.is_multiple_of(ROUND) {
            self.precondition = design.inverse(&design.information(&self.theta))?;
            (self.ahead, self.momentum, self.rate) = (self.theta.copy(), 1.0, 1.0);
            (self.loss, _) = gradient(design, &self.theta);
        }
        self.step += 1;
        let (here, g) = gradient(design, &self.ahead);
        let downhill = self.precondition.matmul(&g);
        let fall = g.dot(&downhill).double_value(&[]);
        let next = loop {
            let next = &self.ahead - &downhill * self.rate;
            // Near the end a fall is lost in rounding, and the last rate is as good as it was before.
            let enough = here - 0.5 * self.rate * fall + 1e-15 * here.abs().max(1.0);
            if self.rate < 1e-6 || design.loss(&next).double_value(&[]) <= enough {
                break next;
            }
            self.rate *= 0.5;
        };
        let (value, end) = gradient(design, &next);
        self.size = end.abs().max().double_value(&[]);
        let faster = (1.0 + (1.0 + 4.0 * self.momentum * self.momentum).sqrt()) / 2.0;
        if value > self.loss {
            (self.ahead, self.momentum) = (next.copy(), 1.0);
        } else {
            self.ahead = &next + (&next - &self.theta) * ((self.momentum - 1.0) / faster);
            self.momentum = faster;
        }
        (self.theta, self.loss) = (next, value.min(self.loss));
        // Small shares have small gradients: what counts is also how many standard errors are still to go.
        let away = end.dot(&self.precondition.matmul(&end)).double_value(&[]) * everybody(design);
        self.settled = self.size < SETTLED && away < 1e-12;
        Ok(())
    }

    /// Coefficients with their errors at the maximum.
    pub fn fit(&self, design: &Design, sales: &Sales) -> Result<Fit, DemandError> {
        let (theta, everybody) = (&self.theta, everybody(design));
        let information = design.information(theta);
        let inverse = design.inverse(&information)?;
        let (_, g) = gradient(design, theta);
        let away = g.dot(&inverse.matmul(&g)).double_value(&[]) * everybody;
        if !(self.size < 1e-9 && away < 1e-6) {
            let at = g.abs().argmax(0, false).int64_value(&[]) as usize;
            return Err(DemandError::Unsettled { gradient: self.size, name: design.names[at].clone() });
        }
        let surprise = &design.units - design.shares(theta) * design.customers.unsqueeze(1);
        let found = Found {
            luck: information * everybody,
            scores: design.by_week(&surprise),
            quality: -design.loss(theta).double_value(&[]),
            gradient: self.size,
            bread: inverse / everybody,
        };
        design.fit(theta, &found, sales)
    }

    /// Everything that must be saved.
    pub fn save(&self) -> Saved {
        let numbers = [self.momentum, self.rate, self.loss, self.size];
        let tensors = vec![
            ("coefficients".into(), self.theta.copy()),
            ("descent.ahead".into(), self.ahead.copy()),
            ("descent.precondition".into(), self.precondition.copy()),
            // Of a descent that has not begun the gradient is not known, and a file holds no infinity.
            ("descent.numbers".into(), Tensor::from_slice(&numbers.map(|x| if x.is_finite() { x } else { -1.0 }))),
        ];
        Saved { tensors, state: json!({"settled": self.settled, "step": self.step}) }
    }

    /// Restores a save.
    pub fn load(&mut self, saved: &Saved, state: &Value) -> Result<(), AgentError> {
        let like = |name: &str, shape: &[i64]| -> Result<Tensor, AgentError> {
            let tensor = saved.tensor(name)?;
            let fits = tensor.size() == shape && tensor.kind() == Kind::Double;
            if fits { Ok(tensor.copy()) } else { Err(AgentError::Checkpoint(format!("its `{name}` does not fit"))) }
        };
        let theta = like("coefficients", &self.theta.size())?;
        let ahead = like("descent.ahead", &self.theta.size())?;
        let precondition = like("descent.precondition", &self.precondition.size())?;
        let numbers = super::list(&like("descent.numbers", &[4])?);
        let step = state["step"].as_u64().filter(|step| *step <= crate::agent::MOST_STEPS);
        let step = step.ok_or_else(|| AgentError::Checkpoint("it has no step".into()))?;
        (self.theta, self.ahead, self.precondition) = (theta, ahead, precondition);
        (self.momentum, self.rate, self.loss) = (numbers[0], numbers[1], numbers[2]);
        self.size = if numbers[3] < 0.0 { f64::INFINITY } else { numbers[3] };
        (self.settled, self.step) = (state["settled"] == true, step);
        Ok(())
    }
}

/// Descends to the maximum.
pub(super) fn fit(design: &Design, sales: &Sales) -> Result<Fit, DemandError> {
    let mut descent = Descent::new(design);
    while !descent.settled && descent.step < MOST_STEPS {
        descent.advance(design)?;
    }
    descent.fit(design, sales)
}
