//! Mixed logit of several markets with prices that may follow unobserved demand (Berry, Levinsohn and Pakes 1995; Nevo 2000).
//!
//! Person i's utility of product j is δ_j + Σ_k x_jk Σ_c θ_kc v_ic: v_i are a person's nodes of integration and demographics,
//! the same for every evaluation, and δ_j = Σ_l w_jl β_l + ξ_j. `shares` inverts market shares to δ, [`Problem`] is the
//! estimator: θ minimises ξ'Z (Z'Z)⁻¹ Z'ξ (one-step generalised method of moments), β follows by instrumental variables.

mod gmm;
mod prices;
mod shares;

pub use gmm::{Evaluation, Fit, Problem};
pub use prices::{Conduct, elasticities};
use std::ops::Range;

/// Products and people of all markets. Lists of products hold the rows of each market one after the other, and so do those of
/// people.
#[derive(Clone, Debug, Default)]
pub struct Markets {
    /// Which rows of products are a market's.
    pub products: Vec<Range<usize>>,
    /// Which rows of people are a market's.
    pub people: Vec<Range<usize>>,
    /// Units of a product beside all customers of its market, above 0; they sum to less than 1 in a market.
    pub shares: Vec<f64>,
    /// x: what people value differently, `[products][characteristics]`.
    pub characteristics: Vec<Vec<f64>>,
    /// w: what mean utility is linear in, `[products][columns]`.
    pub linear: Vec<Vec<f64>>,
    /// z: what moves with w and not with ξ, `[products][instruments]`.
    pub instruments: Vec<Vec<f64>>,
    /// A group of each product whose own mean utility is absorbed, such as the brand; empty if there are none.
    pub groups: Vec<usize>,
    /// How much each person counts; 1 in sum in a market.
    pub weights: Vec<f64>,
    /// v: nodes of integration and demographics, `[people][columns]`.
    pub tastes: Vec<Vec<f64>>,
}

/// One entry of θ: how a characteristic is valued by a column of people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// The column of [`Markets::characteristics`].
    pub characteristic: usize,
    /// The column of [`Markets::tastes`].
    pub taste: usize,
    /// Where the search begins, or what was found.
    pub value: f64,
}

/// Why a mixed logit cannot be estimated.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum MixedError {
    /// Lists that do not fit together.
    #[error("{0} has {1} rows where {2} are needed")]
    Length(&'static str, usize, usize),
    /// A number that cannot be.
    #[error("market {market}: {what}")]
    Untrue {
        /// Counted from 1.
        market: usize,
        /// What is wrong.
        what: String,
    },
    /// Columns that do not exist.
    #[error("parameter {0} names a characteristic or a column of people that is not there")]
    Parameter(usize),
    /// Fewer instruments than parameters.
    #[error("{instruments} instruments are too few for {parameters} parameters")]
    Instruments {
        /// Instruments.
        instruments: usize,
        /// Parameters of both kinds.
        parameters: usize,
    },
    /// Columns that others make up.
    #[error("{0} number {1} says nothing beside those before it (within groups)")]
    Collinear(&'static str, usize),
    /// Shares that no mean utilities give, or none that were found.
    #[error("at the start, no mean utilities give the shares: begin with smaller values")]
    Start,
    /// The search did not settle.
    #[error("the search did not settle (it could still gain {0:.1e}): begin elsewhere, or with fewer parameters")]
    Unsettled(f64),
}

impl Markets {
    /// Refuses what does not fit together or cannot be.
    fn check(&self, parameters: &[Parameter]) -> Result<(), MixedError> {
        let (n, people) = (self.shares.len(), self.weights.len());
        for (name, found, wanted) in [
            ("characteristics", self.characteristics.len(), n),
            ("linear", self.linear.len(), n),
            ("instruments", self.instruments.len(), n),
            ("groups", self.groups.len(), if self.groups.is_empty() { 0 } else { n }),
            ("tastes", self.tastes.len(), people),
            ("people", self.people.len(), self.products.len()),
            ("products", self.products.iter().map(Range::len).sum(), n),
            ("people", self.people.iter().map(Range::len).sum(), people),
        ] {
            if found != wanted {
                return Err(MixedError::Length(name, found, wanted));
            }
        }
        let follow = |ranges: &[Range<usize>]| {
            let begins = ranges.iter().scan(0, |next, range| Some(std::mem::replace(next, range.end)));
            ranges.iter().zip(begins).all(|(range, begin)| range.start == begin && range.start < range.end)
        };
        if !follow(&self.products) || !follow(&self.people) {
            return Err(MixedError::Length("a market", 0, 1));
        }
        for (name, table) in [
            ("characteristics", &self.characteristics),
            ("linear", &self.linear),
            ("instruments", &self.instruments),
            ("tastes", &self.tastes),
        ] {
            let columns = table.first().map_or(0, Vec::len);
            if let Some(row) = table.iter().find(|row| row.len() != columns) {
                return Err(MixedError::Length(name, row.len(), columns));
            }
        }
        let columns = |table: &[Vec<f64>]| table.first().map_or(0, Vec::len);
        let (x, v) = (columns(&self.characteristics), columns(&self.tastes));
        if let Some(at) = parameters.iter().position(|p| p.characteristic >= x || p.taste >= v) {
            return Err(MixedError::Parameter(at + 1));
        }
        for (m, (products, people)) in self.products.iter().zip(&self.people).enumerate() {
            let wrong = |what: String| Err(MixedError::Untrue { market: m + 1, what });
            let shares = &self.shares[products.clone()];
            if let Some(share) = shares.iter().find(|share| !(**share > 0.0 && **share < 1.0)) {
                return wrong(format!("a share is {share}, which must be above 0 and below 1"));
            }
            let sum: f64 = shares.iter().sum();
            if sum >= 1.0 {
                return wrong(format!("shares sum to {sum}, so that nobody buys nothing"));
            }
            let weight: f64 = self.weights[people.clone()].iter().sum();
            if (weight - 1.0).abs() > 1e-6 {
                return wrong(format!("the weights of people sum to {weight}, not to 1"));
            }
            let rows = [&self.characteristics, &self.linear, &self.instruments].map(|table| &table[products.clone()]);
            let numbers = rows.iter().flat_map(|rows| rows.iter().flatten());
            let tastes = self.tastes[people.clone()].iter().flatten();
            if let Some(x) = numbers.chain(tastes).find(|x| !x.is_finite()) {
                return wrong(format!("a number is {x}"));
            }
        }
        let (instruments, count) = (columns(&self.instruments), columns(&self.linear) + parameters.len());
        if instruments < count {
            return Err(MixedError::Instruments { instruments, parameters: count });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
