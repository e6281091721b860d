//! Users' sales tables: a file and a mapping of its columns. A row is a week, with columns for each product ([`wide`]), or
//! a product's week in a shop, or a single sale ([`long`]).
//!
//! What cannot be read is an error with line and column. What is missing leaves its observation out; what can be read but
//! cannot be true leaves out its week, or its observation where products have rows of their own. All of it is reported.

use crate::table_file;
use agon::{Failure, Outcome};
use agon_agents::demand::{Method, PriceEffect, Sales};
use agon_envs::pricing::retail::nests_of;
use calendar::Dates;
use columns::twice;
use dialect::Decimal;
use std::path::Path;

pub mod calendar;
mod clean;
mod columns;
mod covariates;
pub mod dialect;
pub mod long;
mod order;
#[cfg(test)]
mod tests;
mod week;
mod wide;

agon_core::choices! {
    /// What a row is, where products have rows of their own.
    pub enum Rows { Weeks = "weeks", Sales = "sales" }
}

agon_core::choices! {
    /// What stands in a column of units.
    pub enum UnitsAs {
        Units = "units",
        /// Their natural logarithm.
        Log = "log",
        /// The share of all customers that bought.
        Share = "share",
    }
}

agon_core::choices! {
    /// What stands in a column of money.
    pub enum MoneyAs {
        /// Of one unit.
        Unit = "unit",
        /// Of all units of the row.
        Total = "total",
        /// For costs: the margin, as per cent of the price.
        Margin = "margin-percent",
    }
}

agon_core::choices! {
    /// The form of demand.
    pub enum Shape { Logit = "logit", NestedLogit = "nested-logit", LogLog = "log-log" }
}

agon_core::settings! {
    /// Where sales are and how demand is estimated from them. `{}` in a column's name stands for the product.
    pub struct FitSettings {
        /// The table, beside the scenario: CSV, Excel or Parquet.
        data: String = String::new();
        /// The products, which replace `{}`; found from the header if left out.
        products: Vec<String> = Vec::new();
        /// Display names of the products; as `products` if left out.
        names: Vec<String> = Vec::new();
        /// Column of the week: integers or dates.
        week: String = "week".into();
        /// Column of the potential customers of the week; empty if nobody counted them: see `market_size`.
        customers: String = "customers".into();
        /// Columns of the units sold.
        units: String = "units_{}".into();
        /// Columns of the shelf prices.
        price: String = "price_{}".into();
        /// Columns of the unit costs; empty if there are none: see `cost_share` and `costs`.
        cost: String = "wholesale_{}".into();
        /// Columns of the displays, 0 to 1; empty if there are none.
        display: String = "display_{}".into();
        /// Columns of what else moves demand, such as promotions, coupons, holidays or the weather; `{}` is the product. A column of
        /// words is a covariate a word.
        covariates: Vec<String> = Vec::new();
        /// Holidays whose weeks are told from others, where weeks are dates: easter, thanksgiving, christmas, christmas-1 (the week
        /// before) and others.
        holidays: Vec<String> = Vec::new();
        /// Columns of rivals' prices, whose logs move demand.
        rivals: Vec<String> = Vec::new();
        /// If given, demand depends on the price that customers are used to: so much of it stays each week, and the rest is the
        /// price they see; 0: last week's price.
        reference_memory: Option<f64> = None, in [0.0, 0.99];
        /// Columns of what moves prices and not demand, such as costs: prices are then taken for answers to demand, and effects are
        /// estimated by two-stage least squares.
        instruments: Vec<String> = Vec::new();
        /// The form of demand: logit, nested logit, or log-log with cross effects; if left out, as it forecasts best, or logit
        /// where `method` or `price_effect` is given.
        form: Option<Shape> = None;
        /// Names of the products of each nest, for nested logit, which then is a candidate where `form` is left out; all products
        /// in one nest if left out.
        nests: Vec<Vec<String>> = Vec::new();
        /// Whether demand has a trend and a yearly season; if left out, as it forecasts best, or not where `method` or
        /// `price_effect` is given.
        calendar: Option<bool> = None;
        /// How a logit is estimated; if left out, as it forecasts best (maximum-likelihood where nothing can be compared).
        method: Option<Method> = None;
        /// Whether all products share one price effect, have their own, or their own drawn towards the mean (pooled); if left
        /// out, by-product, or as it forecasts best if `method` is left out too.
        price_effect: Option<PriceEffect> = None;
        /// A price or cost more than this many times off its product's median counts as a recording error.
        outlier_factor: f64 = 3.0, in [1.0, 1e9];
        /// Column of the product, where each has a row of its own in every week; columns joined by ` + ` name it together.
        /// Empty: a row is a week.
        product: String = String::new();
        /// Column of the shop, where there are several; empty: one shop, or all of them added up.
        shop: String = String::new();
        /// The shops that are used; all if left out.
        shops: Vec<String> = Vec::new();
        /// Whether a row is a product's week or a single sale, to be added up by week.
        rows: Rows = Rows::Weeks;
        /// How weeks are written.
        dates: Dates = Dates::Auto;
        /// What divides whole numbers from their fraction.
        decimal: Decimal = Decimal::Auto;
        /// What stands in the column of units. Where `units` is empty, each row is one unit.
        units_as: UnitsAs = UnitsAs::Units;
        /// What stands in the column of prices.
        price_as: MoneyAs = MoneyAs::Unit;
        /// What stands in the column of costs.
        cost_as: MoneyAs = MoneyAs::Unit;
        /// Without costs: the share of a product's median price that it costs.
        cost_share: f64 = 0.7, in [0.01, 0.99];
        /// Without a column of costs: the unit cost of each product; as `cost_share` says if left out.
        costs: Vec<f64> = Vec::new(), in [0.0, 1e9];
        /// Without a column of customers: how many times a shop's largest weekly sales could buy.
        market_size: f64 = 2.0, in [1.05, 1000.0];
        /// Column of the units on the shelf, where it is known: a week in which they are 0 is left out.
        stock: String = String::new();
    }
}

/// A table that was read and cleaned.
#[derive(Debug)]
pub struct SalesTable {
    /// What demand is estimated from.
    pub sales: Sales,
    /// What stands for `{}` in columns' names, or in the column of products, a product each.
    pub products: Vec<String>,
    /// Unit costs, `[rows][products]`.
    pub costs: Vec<Vec<f64>>,
    /// The weeks that were kept, counted from week 1, or from the file's first date: what seasons follow. A row each.
    pub weeks: Vec<u32>,
    /// The rows of the file that each observation is of, `[rows][products]`.
    pub rows: Vec<Vec<Vec<usize>>>,
    /// The week from which `weeks` are counted, in weeks since the first Monday of 1970; none where weeks are no dates.
    pub first_week: Option<i64>,
    /// What was left out and why.
    pub left_out: Vec<String>,
    /// What looks odd but was kept.
    pub remarks: Vec<String>,
    /// What was kept and left out, in one line.
    pub summary: String,
}

/// Reads and cleans a table.
pub fn read(path: &Path, settings: &FitSettings) -> Outcome<SalesTable> {
    let wrong = |why: String| Failure::Input(format!("{}: {why}", path.display()));
    let raw = table_file::read(path)?;
    if raw.rows() == 0 {
        // Whatever is missing from the header is worth more than that there are no rows.
        if settings.product.is_empty() && settings.shop.is_empty() {
            columns::Columns::find(&raw.names, settings).map_err(wrong)?;
        }
        return Err(wrong("it has a header but no rows".into()));
    }
    of(&raw, settings).map_err(wrong)
}

/// The same from a table that was read.
pub fn of(raw: &agon_agents::data::Raw, settings: &FitSettings) -> Result<SalesTable, String> {
    let wide = settings.product.is_empty() && settings.shop.is_empty() && settings.rows == Rows::Weeks;
    let mut table = if wide { wide::read(raw, settings)? } else { long::read(raw, settings)? };
    covariates::add(&mut table, raw, settings)?;
    table.sales.nests = nests(settings, &table.sales.names).map_err(|why| format!("[fit] nests {why}"))?;
    Ok(table)
}

/// The nest of each product; nothing where nobody asks for nests.
pub fn nests(settings: &FitSettings, names: &[String]) -> Result<Vec<usize>, String> {
    let nested = settings.form == Some(Shape::NestedLogit);
    if settings.nests.is_empty() {
        return match names.len() {
            1 if nested => Err("are of two products or more: demand for one is a logit".into()),
            n => Ok(vec![0; if nested { n } else { 0 }]),
        };
    }
    if settings.form.is_some() && !nested {
        return Err("are for form = \"nested-logit\": leave one of the two out".into());
    }
    let found = nests_of(names, &settings.nests)?;
    match settings.nests.iter().all(|nest| nest.len() < 2) {
        true => Err("has one product in each, which is the logit: name two or more in one".into()),
        false => Ok(found),
    }
}

/// The display names of products.
fn names(settings: &FitSettings, products: &[String]) -> Result<Vec<String>, String> {
    let names = if settings.names.is_empty() { products } else { &settings.names };
    if names.len() != products.len() {
        return Err(format!("[fit] names has {} entries for {} products", names.len(), products.len()));
    }
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err("[fit] names holds an empty name; each product needs a name of its own".into());
    }
    if let Some(name) = twice(&names.iter().map(|name| name.trim().to_owned()).collect::<Vec<_>>()) {
        return Err(format!("[fit] names holds `{name}` twice; each product needs a name of its own"));
    }
    if !settings.costs.is_empty() && settings.costs.len() != products.len() {
        return Err(format!("[fit] costs has {} entries for {} products", settings.costs.len(), products.len()));
    }
    Ok(names.to_vec())
}

/// The unit cost of a product whose costs are in no column.
fn given_cost(settings: &FitSettings, product: usize, median_price: f64) -> f64 {
    settings.costs.get(product).copied().unwrap_or(settings.cost_share * median_price)
}

/// The median of what is no NaN; 0 of nothing.
pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = numbers.filter(|x| !x.is_nan()).collect();
    all.sort_by(f64::total_cmp);
    let n = all.len();
    if n == 0 { 0.0 } else { 0.5 * (all[(n - 1) / 2] + all[n / 2]) }
}

/// A number of a table, short whatever it is.
fn show(x: f64) -> String {
    if x != 0.0 && !(1e-4..1e15).contains(&x.abs()) { format!("{x:e}") } else { format!("{}", (x * 1e4).round() / 1e4) }
}
