//! Demand estimated from sales data: multinomial logit with an outside option, on the tensor backend in f64.
//!
//! Utility u_k = a_k − b_k p_k + g d_k. Two estimators: least squares of ln s_k − ln s_0 (Berry 1994), and maximum
//! likelihood of all customers' choices by gradient descent. Standard errors are clustered by week, and no smaller than
//! the sampling error of so many customers.

mod checks;
pub mod forecast;
mod likelihood;
mod matrix;
pub mod mixed;
pub mod models;
mod sales;
pub mod training;

use checks::still;
use matrix::Factor;
pub use sales::Sales;
use std::fmt;
use tch::{Device, Kind, Tensor};

agon_core::choices! {
    /// How demand is estimated.
    pub enum Method { LeastSquares = "least-squares", Likelihood = "maximum-likelihood" }
}

agon_core::choices! {
    /// Whether all products share one price effect.
    pub enum PriceEffect {
        /// One effect.
        Common = "common",
        /// An effect a product.
        ByProduct = "by-product",
        /// An effect a product, drawn towards the mean of all as far as its own data are noisy.
        Pooled = "pooled",
    }
}

/// Added to the utility of what is not on the shelf: its share is exactly 0.
const NEVER: f64 = -1e4;

/// An estimate and its standard error. As text it has two significant digits of the error and at least three of the
/// value: `0.01234 ± 0.00056`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error; 0 where the value is no estimate.
    pub error: f64,
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The power of ten of the first digit, as it is printed with that many digits.
        let power = |x: f64, digits: usize| -> Option<i32> {
            let text = format!("{x:.*e}", digits - 1);
            (x != 0.0 && x.is_finite()).then(|| text.split_once('e')?.1.parse().ok())?
        };
        let (value, error) = (power(self.value, 3), power(self.error, 2));
        let wanted = [value.map(|p| 2 - p), error.map(|p| 1 - p)].into_iter().flatten().max().unwrap_or(0);
        // An f64 has no more than 15.
        let decimals = value.into_iter().chain(error).max().map_or(wanted, |p| wanted.min(14 - p));
        let large = value.into_iter().chain(error).max().unwrap_or(0);
        let one = |x: f64, power: Option<i32>| match power {
            Some(p) if !(-4..7).contains(&large) => format!("{x:.*e}", usize::try_from(p + decimals).unwrap_or(0)),
            _ => format!("{x:.*}", usize::try_from(decimals).unwrap_or(0)),
        };
        let text = one(self.value, value);
        f.pad(&if self.error == 0.0 { text } else { format!("{text} ± {}", one(self.error, error)) })
    }
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
    /// By how many percent sales change when the product's own price rises by one: −b_k p (1 − s) at the mean of its
    /// prices and its share of all customers; errors by the delta method.
    pub elasticities: Vec<Estimate>,
    /// R² of the regression, or the log-likelihood a customer.
    pub quality: f64,
    /// The largest entry of the objective's gradient at the end, in columns of mean 0 and length 1.
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

/// Names in a sentence; of many the first few.
fn listed(names: &[String]) -> String {
    const MOST: usize = 8;
    match names.len().saturating_sub(MOST) {
        0 | 1 => names.join(", "),
        more => format!("{} and {more} more", names[..MOST].join(", ")),
    }
}

/// Why demand cannot be estimated.
#[derive(Debug, thiserror::Error)]
pub enum DemandError {
    /// A number that cannot be.
    #[error("{week}: {what}, which cannot be")]
    Untrue {
        /// Its label.
        week: String,
        /// Of which product, and what it is.
        what: String,
    },
    /// A price without which nothing can be said of its effect.
    #[error("the price of {} never moves, so that nothing is known of its effect: {how}", listed(.names))]
    StillPrice {
        /// The products.
        names: Vec<String>,
        /// What to do.
        how: &'static str,
    },
    /// Displays that cannot be told from the products themselves.
    #[error(
        "the displays of {0} never change, so that nothing is known of their effect: leave them out with display = \"\""
    )]
    StillDisplays(String),
    /// Displays that cannot be told from prices.
    #[error(
        "the displays and the prices of {0} move together, so that their effects cannot be told apart: leave displays \
         out with display = \"\""
    )]
    Together(String),
    /// As many coefficients as weeks, or more: any numbers would be fitted, and errors mean nothing.
    #[error(
        "{weeks} weeks are too few for {coefficients} coefficients ({names}), which need at least {}: use more weeks, \
         fewer products, or price_effect = \"common\"",
        coefficients + 1
    )]
    FewWeeks {
        /// Weeks kept.
        weeks: usize,
        /// Coefficients.
        coefficients: usize,
        /// What they are.
        names: String,
    },
    /// A product that nobody bought.
    #[error("nobody ever bought {0}: leave it out")]
    NeverBought(String),
    /// Logarithms need positive sales.
    #[error("{week}: no sales of {name}, and least squares needs the logarithm: use maximum-likelihood")]
    NoSales {
        /// Its label.
        week: String,
        /// The product.
        name: String,
    },
    /// Pooling is a step after the fit of [`models`].
    #[error("effects are pooled in [fit] alone: use price_effect = \"by-product\" or \"common\" here")]
    Pooled,
    /// The likelihood has no maximum.
    #[error(
        "prices (or displays) tell without exception when no units of {} were sold, as in {week}: the likelihood rises \
         for ever with their effects (separation), and none can be estimated. If it was out of stock then, leave those \
         weeks out; else use more weeks or leave it out{common}",
        listed(.names)
    )]
    Separated {
        /// The products.
        names: Vec<String>,
        /// The first such week's label.
        week: String,
        /// What else may help.
        common: &'static str,
    },
    /// Coefficients of which the data say too little.
    #[error("the data say too little of {0}: use more weeks, or leave the product out")]
    Unidentified(String),
    /// The descent did not settle.
    #[error(
        "the likelihood did not settle (gradient {gradient:.1e}, most of it in {name}): use more weeks, or leave the \
         product out"
    )]
    Unsettled {
        /// The largest entry.
        gradient: f64,
        /// Its coefficient.
        name: String,
    },
}

/// The problem as tensors. A row of X, of a product in a week, has a dummy of the product, its price and its display; the
/// latter two with mean 0 for each product and mean square 1, so that units of prices matter nowhere. Most of X is zero: it
/// is only here in parts, `[weeks, products]` each, in which rows of absent products are 0.
struct Design {
    /// 1 where a product is there.
    dummy: Tensor,
    price: Tensor,
    /// None if there are no displays.
    display: Option<Tensor>,
    units: Tensor,
    customers: Tensor,
    /// Added to utilities: [`NEVER`] where a product is absent.
    offset: Option<Tensor>,
    /// Coefficients as people know them, from those of X.
    back: Tensor,
    names: Vec<String>,
    products: usize,
    prices: usize,
}

fn tensor(rows: &[Vec<f64>]) -> Tensor {
    let flat: Vec<f64> = rows.iter().flatten().copied().collect();
    Tensor::from_slice(&flat).view([rows.len() as i64, -1])
}

fn rows(matrix: &Tensor) -> Vec<Vec<f64>> {
    Vec::try_from(matrix).unwrap_or_default()
}

fn list(vector: &Tensor) -> Vec<f64> {
    Vec::try_from(vector).unwrap_or_default()
}

/// A list of lists less each product's mean.
fn centred(sales: &Sales, all: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let means: Vec<f64> = (0..sales.names.len()).map(|k| sales.mean(all, k)).collect();
    all.iter().map(|week| week.iter().zip(&means).map(|(x, m)| x - m).collect()).collect()
}

/// The root of the mean square, without overflow.
fn size(numbers: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = numbers.clone().map(f64::abs).fold(0.0, f64::max);
    let count = numbers.clone().count() as f64;
    most * (numbers.map(|x| (x / most).powi(2)).sum::<f64>() / count).sqrt()
}

impl Design {
    fn new(sales: &Sales, effect: PriceEffect) -> Result<Self, DemandError> {
        checks::true_numbers(sales)?;
        if effect == PriceEffect::Pooled {
            return Err(DemandError::Pooled);
        }
        let (weeks, n) = (sales.customers.len(), sales.names.len());
        let common = effect == PriceEffect::Common;
        let prices = if common { 1 } else { n };
        // Displays that are nowhere say nothing; their effect is then zero by decree, not by estimate.
        let shown = sales.displays.iter().flatten().any(|d| *d != 0.0);
        let mut names: Vec<String> = sales.names.iter().map(|p| format!("the intercept of {p}")).collect();
        let all = listed(&sales.names);
        match effect {
            PriceEffect::Common => names.push(format!("the price effect of all of {all}")),
            PriceEffect::ByProduct | PriceEffect::Pooled => {
                names.extend(sales.names.iter().map(|p| format!("the price effect of {p}")));
            }
        }
        if shown {
            names.push(format!("the display effect of all of {all}"));
        }
        let count = names.len();
        let still_prices: Vec<String> =
            (0..n).filter(|k| sales.price_stands_still(*k)).map(|k| sales.names[k].clone()).collect();
        if still_prices.len() == n || !(common || still_prices.is_empty()) {
            let how = match (common, still_prices.len() == n) {
                (false, false) => "leave it out with `products`, or use price_effect = \"common\"",
                _ => "demand can only be estimated from prices that were changed",
            };
            return Err(DemandError::StillPrice { names: still_prices, how });
        }
        if shown && (0..n).all(|k| still(sales.displays.iter().map(|week| week[k]))) {
            return Err(DemandError::StillDisplays(listed(&sales.names)));
        }
        if weeks <= count {
            return Err(DemandError::FewWeeks { weeks, coefficients: count, names: listed(&names) });
        }
        let (price, display) = (centred(sales, &sales.prices), centred(sales, &sales.displays));
        let price_size: Vec<f64> = (0..prices)
            .map(|k| if common { size(price.iter().flatten().copied()) } else { size(price.iter().map(|w| w[k])) })
            .collect();
        let display_size = size(display.iter().flatten().copied());
        let part = |of: &dyn Fn(usize, usize) -> f64| {
            // What is absent says nothing: its row is 0.
            let week = |t: usize| (0..n).map(|k| if sales.present(t, k) { of(t, k) } else { 0.0 }).collect();
            tensor(&(0..weeks).map(week).collect::<Vec<Vec<f64>>>())
        };
        let mut back = vec![vec![0.0; count]; count];
        for k in 0..n {
            let column = if common { 0 } else { k };
            back[k][k] = 1.0;
            back[k][n + column] = sales.mean(&sales.prices, k) / price_size[column];
            back[n + column][n + column] = 1.0 / price_size[column];
            if shown {
                back[k][count - 1] = -sales.mean(&sales.displays, k) / display_size;
                back[count - 1][count - 1] = 1.0 / display_size;
            }
        }
        let design = Self {
            dummy: part(&|_, _| 1.0),
            price: part(&|t, k| -price[t][k] / price_size[if common { 0 } else { k }]),
            display: shown.then(|| part(&|t, k| display[t][k] / display_size)),
            units: tensor(&sales.units),
            customers: Tensor::from_slice(&sales.customers),
            offset: (!sales.absent.is_empty()).then(|| {
                let of = |absent: &Vec<bool>| absent.iter().map(|a| if *a { NEVER } else { 0.0 }).collect();
                tensor(&sales.absent.iter().map(of).collect::<Vec<Vec<f64>>>())
            }),
            back: tensor(&back),
            names,
            products: n,
            prices,
        };
        if let Err(at) = Factor::of(&rows(&design.square(&design.dummy))) {
            // Only displays can be made up by what comes before them: the other columns have nothing in common.
            let which = if shown { DemandError::Together } else { DemandError::Unidentified };
            return Err(which(if shown { listed(&sales.names) } else { design.names[at].clone() }));
        }
        Ok(design)
    }

    /// Σ v x over the products of each week, `[weeks, coefficients]`, of weights `[weeks, products]`.
    fn by_week(&self, v: &Tensor) -> Tensor {
        let all = |x: Tensor| x.sum_dim_intlist([1i64].as_slice(), true, None);
        let price = v * &self.price;
        let mut columns = vec![v * &self.dummy, if self.prices == 1 { all(price) } else { price }];
        columns.extend(self.display.as_ref().map(|display| all(v * display)));
        Tensor::cat(&columns, 1)
    }

    /// Σ w x xᵀ over all rows, `[coefficients, coefficients]`, of weights `[weeks, products]`.
    fn square(&self, w: &Tensor) -> Tensor {
        let each = |x: Tensor| x.sum_dim_intlist([0i64].as_slice(), false, None);
        let all = |x: Tensor| x.sum(Kind::Double).view([1, 1]);
        let one = self.prices == 1;
        let with_price = w * &self.price;
        let prices = match one {
            true => all(&with_price * &self.price),
            false => each(&with_price * &self.price).diag(0),
        };
        let beside = each(with_price.shallow_clone());
        let beside = if one { beside.unsqueeze(1) } else { beside.diag(0) };
        let mut own = each(w * &self.dummy).diag(0);
        own = Tensor::cat(&[Tensor::cat(&[&own, &beside], 1), Tensor::cat(&[&beside.tr(), &prices], 1)], 0);
        let Some(display) = &self.display else { return own };
        let price = with_price * display;
        let price = if one { all(price) } else { each(price).unsqueeze(1) };
        let shared = Tensor::cat(&[each(w * display).unsqueeze(1), price], 0);
        let last = Tensor::cat(&[shared.tr(), all(w * display * display)], 1);
        Tensor::cat(&[Tensor::cat(&[own, shared], 1), last], 0)
    }

    /// A row of X.
    fn row(&self, t: usize, k: usize) -> Vec<f64> {
        let at = |x: &Tensor| x.double_value(&[t as i64, k as i64]);
        let mut row = vec![0.0; self.count()];
        row[k] = at(&self.dummy);
        row[self.products + if self.prices == 1 { 0 } else { k }] = at(&self.price);
        if let (Some(display), Some(last)) = (&self.display, row.last_mut()) {
            *last = at(display);
        }
        row
    }

    fn count(&self) -> usize {
        self.names.len()
    }

    /// The inverse of a matrix of coefficients by coefficients.
    fn inverse(&self, matrix: &Tensor) -> Result<Tensor, DemandError> {
        let inverse = matrix::inverse(&rows(matrix));
        inverse.map(|rows| tensor(&rows)).map_err(|at| DemandError::Unidentified(self.names[at].clone()))
    }

    /// X times coefficients `[count]`, `[weeks, products]`.
    fn times(&self, theta: &Tensor) -> Tensor {
        let (n, prices) = (self.products as i64, self.prices as i64);
        let own = &self.dummy * theta.narrow(0, 0, n) + &self.price * theta.narrow(0, n, prices);
        match &self.display {
            Some(display) => own + display * theta.narrow(0, n + prices, 1),
            None => own,
        }
    }

    /// Utilities `[weeks, products]` at coefficients `[count]`.
    fn utilities(&self, theta: &Tensor) -> Tensor {
        let u = self.times(theta);
        match &self.offset {
            Some(offset) => u + offset,
            None => u,
        }
    }

    /// Shares `[weeks, products]` at coefficients `[count]`.
    fn shares(&self, theta: &Tensor) -> Tensor {
        let u = self.utilities(theta);
        let zero = Tensor::zeros([u.size()[0], 1], (Kind::Double, Device::Cpu));
        Tensor::cat(&[&u, &zero], 1).softmax(1, None).narrow(1, 0, self.products as i64)
    }

    /// −log-likelihood a customer.
    fn loss(&self, theta: &Tensor) -> Tensor {
        let u = self.utilities(theta);
        let zero = Tensor::zeros([u.size()[0], 1], (Kind::Double, Device::Cpu));
        let sum = Tensor::cat(&[&u, &zero], 1).logsumexp([1i64].as_slice(), false);
        let chosen = (&self.units * u).sum(Kind::Double);
        ((&self.customers * sum).sum(Kind::Double) - chosen) / self.customers.sum(Kind::Double)
    }

    /// The Fisher information a customer.
    fn information(&self, theta: &Tensor) -> Tensor {
        let s = self.shares(theta);
        let customers = self.customers.unsqueeze(1);
        let mean = self.by_week(&s);
        let rank = (&mean * &customers).tr().matmul(&mean);
        (self.square(&(s * customers)) - rank) / self.customers.sum(Kind::Double)
    }

    /// Coefficients of least squares of y, `[weeks, products]`: of what products share by what their own columns leave of it
    /// and of y (Frisch and Waugh 1933), then of those; by orthogonal factors.
    fn least_squares(&self, y: &Tensor) -> Tensor {
        // [products, weeks, columns]
        let columns = |all: &[&Tensor]| Tensor::stack(all, 2).transpose(0, 1);
        let one = self.prices == 1;
        let own = if one { columns(&[&self.dummy]) } else { columns(&[&self.dummy, &self.price]) };
        let shared: Vec<&Tensor> = one.then_some(&self.price).into_iter().chain(&self.display).collect();
        let (q, r) = Tensor::linalg_qr(&own, "reduced");
        let mut rest = columns(&[y]);
        let mut of_shared = Tensor::zeros([0], (Kind::Double, Device::Cpu));
        if !shared.is_empty() {
            let left = |x: &Tensor| x - q.matmul(&q.transpose(1, 2).matmul(x));
            let (x, count) = (columns(&shared), shared.len() as i64);
            let (q, r) = Tensor::linalg_qr(&left(&x).reshape([-1, count]), "reduced");
            let right = q.tr().matmul(&left(&rest).reshape([-1, 1]));
            let solved = Tensor::linalg_solve_triangular(&r, &right, true, true, false);
            rest -= x.matmul(&solved);
            of_shared = solved.squeeze_dim(1);
        }
        let right = q.transpose(1, 2).matmul(&rest);
        let solved = Tensor::linalg_solve_triangular(&r, &right, true, true, false).squeeze_dim(2);
        Tensor::cat(&[solved.transpose(0, 1).reshape([-1]), of_shared], 0)
    }

    /// Coefficients with errors from sandwiches bread · filling · bread. Of two fillings the larger error holds: Σ scores
    /// scoresᵀ of the weeks (scores are `[weeks, count]`), and `luck`, what it would be if only customers' luck differed.
    fn fit(&self, theta: &Tensor, found: &Found, sales: &Sales) -> Result<Fit, DemandError> {
        let bread = self.back.matmul(&found.bread);
        let spread = |filling: &Tensor| list(&bread.matmul(filling).matmul(&bread.tr()).diagonal(0, 0, 1));
        let scores = match sales.shops.is_empty() {
            true => found.scores.shallow_clone(),
            false => {
                let rows: Vec<Vec<f64>> = rows(&found.scores);
                let sum = |cluster: &Vec<usize>| -> Vec<f64> {
                    (0..self.count()).map(|c| cluster.iter().map(|t| rows[*t][c]).sum()).collect()
                };
                tensor(&sales.clusters().iter().map(sum).collect::<Vec<_>>())
            }
        };
        let (weekly, luck) = (spread(&scores.tr().matmul(&scores)), spread(&found.luck));
        let values = list(&self.back.matmul(theta));
        let estimates: Vec<Estimate> =
            (0..self.count()).map(|i| Estimate { value: values[i], error: weekly[i].max(luck[i]).sqrt() }).collect();
        if let Some(i) = estimates.iter().position(|e| !(e.value.is_finite() && e.error.is_finite() && e.error > 0.0)) {
            return Err(DemandError::Unidentified(self.names[i].clone()));
        }
        let n = self.products;
        let price = |k: usize| estimates[n + if self.prices == 1 { 0 } else { k }];
        let shown = self.count() > n + self.prices;
        let display = if shown { estimates[n + self.prices] } else { Estimate { value: 0.0, error: 0.0 } };
        let elasticity = |k: usize| {
            let weeks = (0..sales.customers.len()).filter(|t| sales.present(*t, k));
            let everybody: f64 = weeks.map(|t| sales.customers[t]).sum();
            let share = sales.units.iter().map(|week| week[k]).sum::<f64>() / everybody;
            let scale = sales.mean(&sales.prices, k) * (1.0 - share);
            Estimate { value: -price(k).value * scale, error: price(k).error * scale }
        };
        let mut fit = Fit {
            intercepts: estimates[..n].to_vec(),
            price_effects: (0..n).map(price).collect(),
            display_effect: display,
            elasticities: (0..n).map(elasticity).collect(),
            quality: found.quality,
            gradient: found.gradient,
            remarks: Vec::new(),
        };
        let mut remarks: Vec<String> = fit
            .wrong_prices(&sales.names)
            .map(|(name, b)| format!("the price effect of {name} is {b}: its sales would rise with its price"))
            .collect();
        if display.value < 0.0 {
            let why = "displays go with price cuts, so it is not the effect of a display alone";
            remarks.push(format!("the display effect is {display}: {why}"));
        }
        if !shown {
            remarks.push("no displays in the data: the display effect is taken as zero".into());
        }
        fit.remarks = remarks;
        Ok(fit)
    }
}

/// What an estimator found besides coefficients.
struct Found {
    bread: Tensor,
    scores: Tensor,
    luck: Tensor,
    quality: f64,
    gradient: f64,
}

/// Estimates demand. Every estimate is finite with an error above zero, or there is an error that names the product.
pub fn fit(sales: &Sales, method: Method, effect: PriceEffect) -> Result<Fit, DemandError> {
    let design = Design::new(sales, effect)?;
    match method {
        Method::LeastSquares => least_squares(&design, sales),
        Method::Likelihood => {
            has_a_maximum(&design, sales, effect)?;
            likelihood::fit(&design, sales)
        }
    }
}

/// Refuses data whose likelihood has no maximum.
fn has_a_maximum(design: &Design, sales: &Sales, effect: PriceEffect) -> Result<(), DemandError> {
    let bought = design.units.gt(0.0).to_kind(Kind::Double);
    if Factor::of(&rows(&design.square(&bought))).is_ok() {
        return Ok(()); // what was bought tells all coefficients
    }
    let n = sales.names.len();
    let there: Vec<usize> = (0..sales.units.len() * n).filter(|i| sales.present(i / n, i % n)).collect();
    let units: Vec<f64> = there.iter().map(|i| sales.units[i / n][i % n]).collect();
    let row = |i: usize| design.row(there[i] / n, there[i] % n);
    let lost: Vec<usize> = checks::separated(&row, &units).into_iter().map(|i| there[i]).collect();
    let Some(first) = lost.first() else { return Ok(()) };
    let names = (0..n).filter(|k| lost.iter().any(|i| i % n == *k)).map(|k| sales.names[k].clone()).collect();
    let common = if effect == PriceEffect::Common { "" } else { ", or use price_effect = \"common\"" };
    Err(DemandError::Separated { names, week: sales.label(first / n), common })
}

fn least_squares(design: &Design, sales: &Sales) -> Result<Fit, DemandError> {
    for (week, units) in sales.units.iter().enumerate() {
        if let Some(k) = (0..units.len()).find(|k| units[*k] <= 0.0 && sales.present(week, *k)) {
            return Err(DemandError::NoSales { week: sales.label(week), name: sales.names[k].clone() });
        }
    }
    let outside = &design.customers - design.units.sum_dim_intlist([1i64].as_slice(), false, None);
    // Where a product is absent, its row of X is 0: with y = 0 it leaves no residual.
    let there = &design.dummy;
    let units = &design.units * there + (Tensor::from(1.0) - there);
    let y = (units.log() - outside.log().unsqueeze(1)) * there;
    let theta = design.least_squares(&y);
    let rest = &y - design.times(&theta);
    let square = |t: &Tensor| t.square().sum(Kind::Double).double_value(&[]);
    let total = square(&y) - y.sum(Kind::Double).double_value(&[]).powi(2) / there.sum(Kind::Double).double_value(&[]);
    // Of logarithms of shares: the delta method.
    let sum = design.by_week(there);
    let luck = design.square(&units.reciprocal()) + (&sum / outside.unsqueeze(1)).tr().matmul(&sum);
    let scores = design.by_week(&rest);
    let found = Found {
        bread: design.inverse(&design.square(there))?,
        quality: if total > 0.0 { 1.0 - square(&rest) / total } else { 1.0 },
        gradient: scores.sum_dim_intlist([0i64].as_slice(), false, None).abs().max().double_value(&[])
            / y.numel() as f64,
        scores,
        luck,
    };
    design.fit(&theta, &found, sales)
}

#[cfg(test)]
mod tests;
