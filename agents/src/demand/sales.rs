//! Sales that demand is estimated from.

/// Weeks of sales. Every list of lists is `[weeks][products]`.
#[derive(Clone, Debug, Default)]
pub struct Sales {
    /// Products.
    pub names: Vec<String>,
    /// What messages call the weeks, such as `line 3, week 102`; counted from 1 if there are none.
    pub labels: Vec<String>,
    /// Units sold.
    pub units: Vec<Vec<f64>>,
    /// Shelf prices.
    pub prices: Vec<Vec<f64>>,
    /// Displays.
    pub displays: Vec<Vec<f64>>,
    /// Customers, one number a week; more than units sold.
    pub customers: Vec<f64>,
    /// Which products were not on the shelf, or not recorded; empty if all always were. Their prices are then the mean of
    /// the others, their units and displays 0, and no estimate depends on them.
    pub absent: Vec<Vec<bool>>,
    /// The shop of each row, where rows are the weeks of several shops, by week and then by shop; else empty.
    pub shops: Vec<u32>,
    /// Where the rows of each week begin, where there are several shops; else empty.
    pub begins: Vec<usize>,
    /// The nest of each product, from 0 on, for nested logit; empty where nobody asked for nests.
    pub nests: Vec<usize>,
    /// What else moves demand, such as a holiday or the log of a rival's price: `[covariates]`.
    pub covariate_names: Vec<String>,
    /// The same as numbers, `[weeks][products][covariates]`; empty if there are none.
    pub covariates: Vec<Vec<Vec<f64>>>,
    /// The prices that customers are used to; empty if demand does not depend on them.
    pub reference_prices: Vec<Vec<f64>>,
    /// What moves prices and not demand, `[weeks][products][instruments]`; empty if prices are taken for exogenous.
    pub instruments: Vec<Vec<Vec<f64>>>,
}

impl Sales {
    pub(super) fn label(&self, week: usize) -> String {
        self.labels.get(week).cloned().unwrap_or_else(|| format!("week {}", week + 1))
    }

    pub(super) fn weeks(&self) -> f64 {
        self.customers.len() as f64
    }

    /// Whether a product could be bought in a week, as far as is known.
    pub fn present(&self, week: usize, product: usize) -> bool {
        self.absent.is_empty() || !self.absent[week][product]
    }

    /// The rows in groups within which errors are not independent: weeks, and shops where there are many.
    pub(super) fn clusters(&self) -> Vec<Vec<usize>> {
        self.clusters_within(self.customers.len())
    }

    /// The same of the first rows.
    pub(super) fn clusters_within(&self, rows: usize) -> Vec<Vec<usize>> {
        let mut all = self.all_clusters();
        all.iter_mut().for_each(|cluster| cluster.retain(|t| *t < rows));
        all.retain(|cluster| !cluster.is_empty());
        all
    }

    /// Over how many of so many clusters shocks are taken to last: shops do not follow each other as weeks do.
    pub(super) fn block(&self, clusters: usize) -> usize {
        let shops = self.shops.iter().max().map_or(0, |most| *most as usize + 1);
        if shops >= self.parts().len() { 1 } else { (clusters as f64).cbrt().ceil() as usize }
    }

    pub(super) fn all_clusters(&self) -> Vec<Vec<usize>> {
        let rows = self.customers.len();
        if self.shops.is_empty() {
            return (0..rows).map(|t| vec![t]).collect();
        }
        let count = self.shops.iter().max().map_or(0, |most| *most as usize + 1);
        let weeks = self.parts();
        if count >= weeks.len() {
            let of = |shop: usize| (0..rows).filter(|t| self.shops[*t] as usize == shop).collect::<Vec<_>>();
            return (0..count).map(of).filter(|rows| !rows.is_empty()).collect();
        }
        weeks.into_iter().map(Iterator::collect).collect()
    }

    /// The rows of each week.
    pub(super) fn parts(&self) -> Vec<std::ops::Range<usize>> {
        let rows = self.customers.len();
        if self.begins.is_empty() {
            return (0..rows).map(|t| t..t + 1).collect();
        }
        let ends = self.begins[1..].iter().copied().chain([rows]);
        self.begins.iter().copied().zip(ends).map(|(a, b)| a..b).collect()
    }

    /// The week of a row, counted from 0.
    pub(super) fn week(&self, row: usize) -> usize {
        if self.begins.is_empty() { row } else { self.begins.partition_point(|begin| *begin <= row) - 1 }
    }

    pub(super) fn mean(&self, list: &[Vec<f64>], k: usize) -> f64 {
        list.iter().map(|week| week[k]).sum::<f64>() / self.weeks()
    }

    /// Some of the rows, whole weeks in their order.
    pub fn of_rows(&self, rows: &[usize]) -> Self {
        let pick = |list: &[Vec<f64>]| rows.iter().filter_map(|t| list.get(*t).cloned()).collect();
        let pick_each = |list: &[Vec<Vec<f64>>]| rows.iter().filter_map(|t| list.get(*t).cloned()).collect();
        let begins = (0..rows.len()).filter(|i| self.begins.contains(&rows[*i]));
        Self {
            names: self.names.clone(),
            labels: rows.iter().filter_map(|t| self.labels.get(*t).cloned()).collect(),
            units: pick(&self.units),
            prices: pick(&self.prices),
            displays: pick(&self.displays),
            customers: rows.iter().map(|t| self.customers[*t]).collect(),
            absent: rows.iter().filter_map(|t| self.absent.get(*t).cloned()).collect(),
            shops: rows.iter().filter_map(|t| self.shops.get(*t).copied()).collect(),
            begins: begins.collect(),
            nests: self.nests.clone(),
            covariate_names: self.covariate_names.clone(),
            covariates: pick_each(&self.covariates),
            reference_prices: pick(&self.reference_prices),
            instruments: pick_each(&self.instruments),
        }
    }
}
