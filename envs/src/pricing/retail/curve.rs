//! What customers buy at other prices: the curve of demand of each product.

use super::carry::Carried;
use super::market::{Market, means};
use super::{Demands, RetailSettings};
use crate::pricing::logit::Week;

/// The shares of draws below and above the band.
const OUTSIDE: f64 = 0.025;

impl Demands {
    /// Expected units of each product in a week, at each of some prices of it (`prices`: a list a product), by the fitted
    /// demand; and from where to where 95 % of the drawn demands expect them, which is the same where there are no draws. The
    /// prices of other products are the mean ones charged; displays, customers, reference prices and what the calendar and
    /// covariates add are at their means. Nothing else carries over.
    pub fn curves(&self, s: &RetailSettings, prices: &[Vec<f64>]) -> Vec<Vec<[f64; 3]>> {
        let (n, weeks) = (s.names.len(), s.customers.len());
        let (costs, displays) = (vec![0.0; n], means(&s.displays, n));
        let customers = s.customers.iter().sum::<f64>() / weeks.max(1) as f64;
        let charged = means(&s.charged, n);
        let used_to = (!s.reference_prices.is_empty()).then(|| Carried::used_to(&means(&s.reference_prices, n)));
        // By product and price.
        let of = |market: &Market| -> Vec<Vec<f64>> {
            let (form, added) = (self.form(market, used_to.as_ref()), market.mean_added());
            let week = Week { costs: &costs, displays: &displays, customers, outside: 1.0, added: &added };
            let mut all = charged.clone();
            let mut units = |k: usize, price: f64| {
                all[k] = price;
                let units = form.units(week, &all)[k];
                all[k] = charged[k];
                units
            };
            prices.iter().enumerate().map(|(k, own)| own.iter().map(|price| units(k, *price)).collect()).collect()
        };
        let fitted = of(&self.fitted);
        let drawn: Vec<Vec<Vec<f64>>> = self.drawn.iter().map(of).collect();
        let point = |k: usize, i: usize| {
            let mut all: Vec<f64> = drawn.iter().map(|units| units[k][i]).filter(|units| units.is_finite()).collect();
            all.sort_by(f64::total_cmp);
            let end = |share: f64| quantile(&all, share).unwrap_or(fitted[k][i]);
            [fitted[k][i], end(OUTSIDE), end(1.0 - OUTSIDE)]
        };
        let curve = |k: usize| (0..fitted[k].len()).map(|i| point(k, i)).collect();
        (0..fitted.len()).map(curve).collect()
    }
}

/// A quantile of sorted numbers, between two of them by how near it is to each.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, rest) = (sorted[place as usize], place.fract());
    let above = sorted.get(place as usize + 1).copied().unwrap_or(below);
    Some(below + rest * (above - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the formulas of a logit, written out.
    #[test]
    fn the_curve_of_a_logit_is_its_formula() {
        let mut s = RetailSettings {
            charged: vec![vec![1.0, 2.0, 3.0], vec![2.0, 2.5, 2.0]],
            drawn_intercepts: vec![vec![1.0, 1.5, 1.0], vec![3.0, 1.5, 1.0]],
            drawn_price_effects: vec![vec![1.0; 3]; 2],
            drawn_display_effects: vec![vec![0.5; 3]; 2],
            ..RetailSettings::default()
        };
        let prices = [0.5, 1.75, 4.0];
        let units = |intercept: f64, price: f64| {
            // Displays: the first product in one of two weeks; customers: 1,000 and 1,200.
            let own = (intercept - price + 0.5 * 0.5).exp();
            1100.0 * own / (1.0 + own + (1.5f64 - 2.25).exp() + (1.0f64 - 2.5).exp())
        };
        let of_first = [prices.to_vec(), Vec::new(), Vec::new()];
        let curve = Demands::of(&s).unwrap().curves(&s, &of_first).swap_remove(0);
        for (price, [mean, low, high]) in prices.iter().zip(&curve) {
            let [least, most] = [1.0, 3.0].map(|intercept| units(intercept, *price));
            assert!((mean / units(2.0, *price) - 1.0).abs() < 1e-12, "{price}");
            assert!((low / (least + 0.025 * (most - least)) - 1.0).abs() < 1e-12, "{price}");
            assert!((high / (most - 0.025 * (most - least)) - 1.0).abs() < 1e-12, "{price}");
        }
        [&mut s.drawn_intercepts, &mut s.drawn_price_effects, &mut s.drawn_display_effects]
            .into_iter()
            .for_each(Vec::clear);
        let alone = Demands::of(&s).unwrap().curves(&s, &of_first).swap_remove(0);
        assert!(
            alone.iter().zip(&curve).all(|(a, b)| a[0] == b[0] && a[1] == a[0] && a[2] == a[0]),
            "no draws, no band"
        );
    }

    #[test]
    fn quantiles_lie_between_numbers() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|q| quantile(&[1.0, 2.0, 4.0], q).unwrap()), [1.0, 1.5, 2.0, 4.0]);
    }
}
