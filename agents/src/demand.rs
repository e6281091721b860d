//! Demand estimated from sales data: multinomial logit with an outside option, on the tensor backend in f64.
//!
//! Utility u_k = a_k − b_k p_k + g d_k. Two estimators: least squares of ln s_k − ln s_0 (Berry 1994), and maximum
//! likelihood of everybody's choice by gradient descent. Standard errors are clustered by week.

use tch::{Device, Kind, Tensor};

agon_core::choices! {
    /// How demand is estimated.
    pub enum Method { LeastSquares = "least-squares", Likelihood = "maximum-likelihood" }
}

agon_core::choices! {
    /// Whether all products share one price effect.
    pub enum PriceEffect { Common = "common", ByProduct = "by-product" }
}

/// Weeks of sales. Every list of lists is `[weeks][products]`.
#[derive(Clone, Debug, Default)]
pub struct Sales {
    /// Products.
    pub names: Vec<String>,
    /// Units sold.
    pub units: Vec<Vec<f64>>,
    /// Shelf prices.
    pub prices: Vec<Vec<f64>>,
    /// Displays.
    pub displays: Vec<Vec<f64>>,
    /// Customers, one number a week.
    pub customers: Vec<f64>,
}

/// An estimate and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

/// What was estimated.
#[derive(Clone, Debug)]
pub struct Fit {
    /// a_k, a product each.
    pub intercepts: Vec<Estimate>,
    /// b_k, a product each (all the same if common).
    pub price_effects: Vec<Estimate>,
    /// g.
    pub display_effect: Estimate,
    /// R² of the regression, or the log-likelihood a customer.
    pub quality: f64,
    /// The largest entry of the objective's gradient at the end.
    pub gradient: f64,
    /// Signs that economics would not expect, in words.
    pub remarks: Vec<String>,
}

impl Fit {
    /// The price effects that are not positive: with those no optimal price exists.
    pub fn wrong_prices<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = (&'a str, Estimate)> {
        names.iter().zip(&self.price_effects).filter(|(_, b)| b.value <= 0.0).map(|(n, b)| (n.as_str(), *b))
    }
}

/// Why demand cannot be estimated.
#[derive(Debug, thiserror::Error)]
pub enum DemandError {
    /// Some coefficients cannot be told apart.
    #[error("the data do not identify {}: they do not vary, or move together with others", .0.join(", "))]
    Unidentified(Vec<String>),
    /// A product that nobody bought.
    #[error("nobody ever bought {0}: leave it out")]
    NeverBought(String),
    /// Logarithms need positive sales.
    #[error("week {week}: no sales of {name}, and least squares needs the logarithm: use maximum-likelihood")]
    NoSales {
        /// Counted from 1 among the weeks kept.
        week: usize,
        /// The product.
        name: String,
    },
    /// The descent did not settle.
    #[error("the likelihood did not settle (gradient {0:.1e}): demand may be unbounded in some coefficient")]
    Unsettled(f64),
}

/// The problem as tensors. X is `[weeks, products, coefficients]`, its columns: a dummy a product, price, display.
struct Design {
    x: Tensor,
    units: Tensor,
    customers: Tensor,
    names: Vec<String>,
    products: usize,
    prices: usize,
}

fn matrix(rows: &[Vec<f64>]) -> Tensor {
    let flat: Vec<f64> = rows.iter().flatten().copied().collect();
    Tensor::from_slice(&flat).view([rows.len() as i64, -1])
}

impl Design {
    fn new(sales: &Sales, effect: PriceEffect) -> Result<Self, DemandError> {
        let (weeks, n) = (sales.customers.len() as i64, sales.names.len());
        let dummies = Tensor::eye(n as i64, (Kind::Double, Device::Cpu)).unsqueeze(0).expand([weeks, -1, -1], false);
        let price = -matrix(&sales.prices).unsqueeze(2);
        let (price, prices) = match effect {
            PriceEffect::Common => (price, 1),
            PriceEffect::ByProduct => (price * &dummies, n),
        };
        let display = matrix(&sales.displays).unsqueeze(2);
        let mut names: Vec<String> = sales.names.iter().map(|p| format!("the intercept of {p}")).collect();
        match effect {
            PriceEffect::Common => names.push("the price effect".into()),
            PriceEffect::ByProduct => names.extend(sales.names.iter().map(|p| format!("the price effect of {p}"))),
        }
        // Displays that never vary say nothing; their effect is then zero by decree, not by estimate.
        let shown = sales.displays.iter().flatten().any(|d| *d != 0.0);
        let columns = if shown { vec![&dummies, &price, &display] } else { vec![&dummies, &price] };
        if shown {
            names.push("the display effect".into());
        }
        let units = matrix(&sales.units);
        let design = Self {
            x: Tensor::cat(&columns, 2),
            units,
            customers: Tensor::from_slice(&sales.customers),
            names,
            products: n,
            prices,
        };
        for (k, name) in sales.names.iter().enumerate() {
            if sales.units.iter().all(|week| week[k] <= 0.0) {
                return Err(DemandError::NeverBought(name.clone()));
            }
        }
        design.identified()?;
        Ok(design)
    }

    fn flat(&self) -> Tensor {
        self.x.flatten(0, 1)
    }

    fn count(&self) -> usize {
        self.names.len()
    }

    /// By QR with columns scaled to length one: a small diagonal entry is a column that the ones before it make up.
    fn identified(&self) -> Result<(), DemandError> {
        let x = self.flat();
        if x.size()[0] < x.size()[1] {
            return Err(DemandError::Unidentified(vec![format!("{} coefficients with so few weeks", self.count())]));
        }
        let norm = x.square().sum_dim_intlist([0i64].as_slice(), true, None).sqrt().clamp_min(1e-300);
        let (_, r) = Tensor::linalg_qr(&(x / norm), "reduced");
        let diagonal: Vec<f64> = Vec::try_from(r.diagonal(0, 0, 1).abs()).unwrap_or_default();
        let lost: Vec<String> =
            diagonal.iter().zip(&self.names).filter(|(d, _)| **d < 1e-9).map(|(_, n)| n.clone()).collect();
        if lost.is_empty() { Ok(()) } else { Err(DemandError::Unidentified(lost)) }
    }

    /// Shares `[weeks, products]` at coefficients `[count]`.
    fn shares(&self, theta: &Tensor) -> Tensor {
        let u = self.x.matmul(theta);
        let zero = Tensor::zeros([u.size()[0], 1], (Kind::Double, Device::Cpu));
        Tensor::cat(&[&u, &zero], 1).softmax(1, None).narrow(1, 0, self.products as i64)
    }

    /// −log-likelihood a customer.
    fn loss(&self, theta: &Tensor) -> Tensor {
        let u = self.x.matmul(theta);
        let zero = Tensor::zeros([u.size()[0], 1], (Kind::Double, Device::Cpu));
        let sum = Tensor::cat(&[&u, &zero], 1).logsumexp([1i64].as_slice(), false);
        let chosen = (&self.units * u).sum(Kind::Double);
        ((&self.customers * sum).sum(Kind::Double) - chosen) / self.customers.sum(Kind::Double)
    }

    /// The Fisher information a customer.
    fn information(&self, theta: &Tensor) -> Tensor {
        let s = self.shares(theta).unsqueeze(2);
        let weighted = &self.x * &s;
        let mean = weighted.sum_dim_intlist([1i64].as_slice(), false, None);
        let customers = self.customers.view([-1, 1, 1]);
        let square = (weighted * customers).flatten(0, 1).tr().matmul(&self.flat());
        let rank = (&mean * self.customers.view([-1, 1])).tr().matmul(&mean);
        (square - rank) / self.customers.sum(Kind::Double)
    }

    /// Coefficients with errors from the sandwich bread · (Σ scores scoresᵀ) · bread, scores `[weeks, count]`.
    fn fit(&self, theta: &Tensor, bread: &Tensor, scores: &Tensor, quality: f64, gradient: f64, sales: &Sales) -> Fit {
        let spread = bread.matmul(&scores.tr().matmul(scores)).matmul(bread);
        let errors: Vec<f64> = Vec::try_from(spread.diagonal(0, 0, 1).sqrt()).unwrap_or_default();
        let values: Vec<f64> = Vec::try_from(theta).unwrap_or_default();
        let at = |i: usize| Estimate { value: values[i], error: errors[i] };
        let n = self.products;
        let price = |k: usize| at(n + if self.prices == 1 { 0 } else { k });
        let shown = self.count() > n + self.prices;
        let display = if shown { at(n + self.prices) } else { Estimate { value: 0.0, error: 0.0 } };
        let mut fit = Fit {
            intercepts: (0..n).map(at).collect(),
            price_effects: (0..n).map(price).collect(),
            display_effect: display,
            quality,
            gradient,
            remarks: Vec::new(),
        };
        let wrong = |b: Estimate| format!("{:.3} ± {:.3}", b.value, b.error);
        let mut remarks: Vec<String> = fit
            .wrong_prices(&sales.names)
            .map(|(name, b)| format!("the price effect of {name} is {}: its sales would rise with its price", wrong(b)))
            .collect();
        if display.value < 0.0 {
            let why = "displays go with price cuts, so it is not the effect of a display alone";
            remarks.push(format!("the display effect is {}: {why}", wrong(display)));
        }
        if !shown {
            remarks.push("no displays in the data: the display effect is taken as zero".into());
        }
        fit.remarks = remarks;
        fit
    }
}

/// Estimates demand.
pub fn fit(sales: &Sales, method: Method, effect: PriceEffect) -> Result<Fit, DemandError> {
    let design = Design::new(sales, effect)?;
    match method {
        Method::LeastSquares => least_squares(&design, sales),
        Method::Likelihood => likelihood(&design, sales),
    }
}

fn least_squares(design: &Design, sales: &Sales) -> Result<Fit, DemandError> {
    for (week, units) in sales.units.iter().enumerate() {
        if let Some(k) = units.iter().position(|u| *u <= 0.0) {
            return Err(DemandError::NoSales { week: week + 1, name: sales.names[k].clone() });
        }
    }
    let outside = &design.customers - design.units.sum_dim_intlist([1i64].as_slice(), false, None);
    let y = (design.units.log() - outside.log().unsqueeze(1)).view([-1]);
    let x = design.flat();
    let (q, r) = Tensor::linalg_qr(&x, "reduced");
    let solved = Tensor::linalg_solve_triangular(&r, &q.tr().matmul(&y.unsqueeze(1)), true, true, false);
    let theta = solved.squeeze_dim(1);
    let rest = &y - x.matmul(&theta);
    let total = (&y - y.mean(Kind::Double)).square().sum(Kind::Double).double_value(&[]);
    let quality = 1.0 - rest.square().sum(Kind::Double).double_value(&[]) / total;
    let gradient = x.tr().matmul(&rest).abs().max().double_value(&[]) / y.size()[0] as f64;
    let bread = Tensor::linalg_inv(&x.tr().matmul(&x));
    let by_week = rest.view([-1, design.products as i64, 1]);
    let scores = (&design.x * by_week).sum_dim_intlist([1i64].as_slice(), false, None);
    Ok(design.fit(&theta, &bread, &scores, quality, gradient, sales))
}

/// The gradient at which the descent has settled, a customer.
const SETTLED: f64 = 1e-13;

/// Accelerated gradient descent (Nesterov 1983, restarted as O'Donoghue and Candès 2015) in coordinates in which the
/// Fisher information of the last round's start is the identity; the likelihood is concave.
fn likelihood(design: &Design, sales: &Sales) -> Result<Fit, DemandError> {
    let share = &design.units.sum_dim_intlist([0i64].as_slice(), false, None) / design.customers.sum(Kind::Double);
    let outside = Tensor::from(1.0) - share.sum(Kind::Double);
    let rest = Tensor::zeros([(design.count() - design.products) as i64], (Kind::Double, Device::Cpu));
    let mut theta = Tensor::cat(&[&(share / outside).log(), &rest], 0);
    let gradient = |theta: &Tensor| {
        let leaf = theta.detach().set_requires_grad(true);
        let loss = design.loss(&leaf);
        (loss.double_value(&[]), Tensor::run_backward(&[&loss], &[&leaf], false, false).remove(0))
    };
    let mut size = f64::INFINITY;
    for _ in 0..40 {
        let whiten = Tensor::linalg_inv(&Tensor::linalg_cholesky(&design.information(&theta), false)).tr();
        let precondition = whiten.matmul(&whiten.tr());
        let (mut ahead, mut momentum, mut rate) = (theta.copy(), 1.0f64, 1.0);
        let (mut best, _) = gradient(&theta);
        for _ in 0..60 {
            let (here, slope) = gradient(&ahead);
            let downhill = precondition.matmul(&slope);
            let fall = slope.dot(&downhill).double_value(&[]);
            let next = loop {
                let next = &ahead - &downhill * rate;
                // Near the end a fall is lost in rounding, and the last rate is as good as it was before.
                let enough = here - 0.5 * rate * fall + 1e-15 * here.abs();
                if rate < 1e-6 || design.loss(&next).double_value(&[]) <= enough {
                    break next;
                }
                rate *= 0.5;
            };
            let (value, end) = gradient(&next);
            size = end.abs().max().double_value(&[]);
            let faster = (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0;
            if value > best {
                (ahead, momentum) = (next.copy(), 1.0);
            } else {
                ahead = &next + (&next - &theta) * ((momentum - 1.0) / faster);
                momentum = faster;
            }
            (theta, best) = (next, value.min(best));
            if size < SETTLED {
                break;
            }
        }
        if size < SETTLED {
            break;
        }
    }
    if size.is_nan() || size > 1e-9 {
        return Err(DemandError::Unsettled(size));
    }
    let customers = design.customers.sum(Kind::Double);
    let bread = Tensor::linalg_inv(&(design.information(&theta) * customers));
    let surprise = &design.units - design.shares(&theta) * design.customers.unsqueeze(1);
    let scores = (&design.x * surprise.unsqueeze(2)).sum_dim_intlist([1i64].as_slice(), false, None);
    let quality = -design.loss(&theta).double_value(&[]);
    Ok(design.fit(&theta, &bread, &scores, quality, size, sales))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected sales of a known demand, so that the likelihood's optimum is that demand.
    fn market(b: [f64; 2], g: f64) -> Sales {
        let mut sales = Sales { names: vec!["x".into(), "y".into()], ..Sales::default() };
        for t in 0..60 {
            let wave = |f: f64| (f64::from(t) * f).sin();
            let prices = vec![1.0 + 0.3 * wave(1.3), 2.0 + 0.5 * wave(0.7)];
            let displays = vec![0.5 + 0.5 * wave(2.1), 0.5 + 0.5 * wave(3.7)];
            let w: Vec<f64> = (0..2).map(|k| (1.0 + k as f64 - b[k] * prices[k] + g * displays[k]).exp()).collect();
            let sum = 1.0 + w[0] + w[1];
            sales.units.push(w.iter().map(|w| 1000.0 * w / sum).collect());
            sales.prices.push(prices);
            sales.displays.push(displays);
            sales.customers.push(1000.0);
        }
        sales
    }

    #[test]
    fn both_methods_find_a_known_demand() {
        let sales = market([1.5, 0.8], 0.4);
        for method in [Method::LeastSquares, Method::Likelihood] {
            let fit = fit(&sales, method, PriceEffect::ByProduct).unwrap();
            let found =
                [fit.intercepts[0], fit.intercepts[1], fit.price_effects[0], fit.price_effects[1], fit.display_effect];
            for (found, true_value) in found.iter().zip([1.0, 2.0, 1.5, 0.8, 0.4]) {
                assert!((found.value - true_value).abs() < 1e-7, "{method:?}: {found:?} {true_value}");
            }
            assert!(fit.remarks.is_empty());
        }
    }

    #[test]
    fn wrong_signs_are_remarked_and_what_cannot_be_known_is_refused() {
        let fit_all = |sales: &Sales| fit(sales, Method::Likelihood, PriceEffect::ByProduct);
        let upward = fit_all(&market([-0.5, 0.8], -0.4)).unwrap();
        assert_eq!(upward.remarks.len(), 2, "{:?}", upward.remarks);
        let mut flat = market([1.0, 1.0], 0.1);
        flat.prices.iter_mut().for_each(|p| p[1] = 2.0);
        let error = fit_all(&flat).unwrap_err().to_string();
        assert!(error.contains("the price effect of y"), "{error}");
        flat.units.iter_mut().for_each(|u| u[0] = 0.0);
        assert!(matches!(fit_all(&flat), Err(DemandError::NeverBought(n)) if n == "x"));
    }
}
