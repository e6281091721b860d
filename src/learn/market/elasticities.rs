//! The table of elasticities: by how many percent the sales of each product change when each price rises by one.

use agon_agents::demand::models::{Drawn, Errors, Interval, Model, Pool};
use agon_agents::demand::{Estimate, Sales};
use serde_json::{Value, json};

/// With more products a table is no longer read in a terminal: it is in files alone.
const MOST_SHOWN: usize = 8;

/// What is known of a demand's effects.
pub(super) struct Effects {
    /// Rows: whose sales; columns: whose price.
    pub elasticities: Vec<Vec<Interval>>,
    /// Utility lost a unit of money, a product each; of log-log demand none.
    pub price_effects: Vec<Interval>,
    /// How own-price effects were drawn towards their mean, and whether that is a price effect; none if they were not.
    pool: Option<(Pool, bool)>,
    /// Whether the market's cross effects are shrunk, where intervals are of the effects without that.
    shrunk: bool,
}

impl Effects {
    /// Of a demand fitted to these sales. None where the table says too little.
    pub fn of(model: &dyn Model, sales: &Sales, numbers: &[f64]) -> Option<Self> {
        let (alone, pool) = model.unpooled().map_or((model, None), |(alone, pool)| (alone, Some(pool.clone())));
        let errors = Errors::unshrunk(alone, sales, numbers)?;
        let n = sales.names.len();
        let logit = !model.coefficients().price_effects.is_empty();
        let interval = |k: usize, j: usize, factor: Option<f64>| {
            let (index, own) = model.elasticity(sales, k, j);
            let factor = factor.unwrap_or(own);
            // Intervals are of each product's own data: those hold the truth, whatever products have in common.
            let mut found = errors.interval(index, alone.coefficient(index), factor);
            found.estimate.value = factor * model.coefficient(index);
            found
        };
        Some(Self {
            elasticities: (0..n).map(|k| (0..n).map(|j| interval(k, j, None)).collect()).collect(),
            price_effects: (0..if logit { n } else { 0 }).map(|k| interval(k, k, Some(1.0))).collect(),
            pool: pool.map(|pool| (pool, logit)),
            shrunk: !logit && n > 1,
        })
    }

    /// A product's own-price elasticity.
    pub fn own(&self, k: usize) -> Interval {
        self.elasticities[k][k]
    }

    /// Whether a product's pooled effect is surely one that lowers sales, whatever its own data say.
    pub fn pooled_is_below_zero(&self, k: usize) -> bool {
        self.pool.as_ref().is_some_and(|(pool, logit)| {
            let lowers = if *logit { pool.effects[k] } else { -pool.effects[k] };
            lowers > 2.0 * pool.errors[k]
        })
    }

    /// What is said of pooling: the mean, and of which products it decides.
    pub fn pooled(&self, names: &[String]) -> Vec<String> {
        let Some((pool, logit)) = &self.pool else { return Vec::new() };
        let what = if *logit { "price effects" } else { "elasticities" };
        let digits = |value: f64| Estimate { value, error: 0.0 };
        let mut lines = vec![format!(
            "  {what} are drawn towards their mean {}, from which products differ by {} (standard deviation); intervals are of \
             each product's own data",
            digits(pool.mean),
            digits(pool.spread)
        )];
        let unclear = |k: &usize| self.own(*k).ends[1] >= 0.0 && self.pooled_is_below_zero(*k);
        let those: Vec<&str> = (0..names.len()).filter(unclear).map(|k| names[k].as_str()).collect();
        if !those.is_empty() {
            lines.push(format!(
                "  note: the data of {} alone tell nothing: it gets what products have in common",
                those.join(", ")
            ));
        }
        lines
    }

    /// Own-price elasticities with their standard errors.
    pub fn own_estimates(&self) -> Vec<Estimate> {
        (0..self.elasticities.len()).map(|k| self.own(k).estimate).collect()
    }

    /// The table of cross effects for people; nothing of one product, or of too many.
    pub fn lines(&self, names: &[String]) -> Vec<String> {
        let n = names.len();
        if !(2..=MOST_SHOWN).contains(&n) {
            return Vec::new();
        }
        let cells: Vec<Vec<[String; 2]>> =
            self.elasticities.iter().map(|row| row.iter().map(|cell| [cell.value(), cell.range()]).collect()).collect();
        let wide = |j: usize| {
            let column = cells.iter().flat_map(|row| row[j].iter()).chain([&names[j]]);
            column.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let first = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let shrunk = if self.shrunk {
            "; the market's cross effects are shrunk towards zero, the intervals' are not"
        } else {
            ""
        };
        let mut lines = vec![format!("  elasticities of sales (rows) by price (columns), 95 % intervals{shrunk}:")];
        let row = |name: &str, cells: &mut dyn Iterator<Item = &str>| {
            let cells: String = cells.enumerate().map(|(j, cell)| format!("  {cell:>0$}", wide(j))).collect();
            format!("    {name:<first$}{cells}")
        };
        lines.push(row("", &mut names.iter().map(String::as_str)));
        for (name, cells) in names.iter().zip(&cells) {
            lines.push(row(name, &mut cells.iter().map(|[value, _]| value.as_str())));
            lines.push(row("", &mut cells.iter().map(|[_, range]| range.as_str())));
        }
        lines
    }

    /// The same as data: `[elasticity, standard error, low, high]`, and price effects alike.
    pub fn json(&self) -> [Value; 2] {
        let one = |x: &Interval| json!([x.estimate.value, x.estimate.error, x.ends[0], x.ends[1]]);
        let list = |row: &Vec<Interval>| row.iter().map(one).collect::<Vec<Value>>();
        [self.elasticities.iter().map(list).collect::<Vec<_>>().into(), list(&self.price_effects).into()]
    }
}

/// The table as CSV, from the report that a run keeps; none of a report without one.
pub fn csv(fit: &Value) -> Option<String> {
    let names: Vec<&str> = fit["products"].as_array()?.iter().filter_map(Value::as_str).collect();
    let mut out = String::from("sales_of,price_of,elasticity,standard_error,low_95,high_95\n");
    for (name, row) in names.iter().zip(fit["elasticity_table"].as_array()?) {
        for (price, cell) in names.iter().zip(row.as_array()?) {
            let numbers: Vec<String> = cell.as_array()?.iter().map(Value::to_string).collect();
            out += &format!("{},{},{}\n", quoted(name), quoted(price), numbers.join(","));
        }
    }
    Some(out)
}

/// A field of CSV.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Estimates with the spread of their draws for an error.
pub(super) fn spreads(values: &[f64], draws: &[Drawn], of: &dyn Fn(&Drawn, usize) -> f64) -> Vec<Estimate> {
    let one = |(k, value): (usize, &f64)| {
        let draws: Vec<f64> = draws.iter().map(|draw| of(draw, k)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len().max(1) as f64;
        let square = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (draws.len() as f64 - 1.0).max(1.0);
        Estimate { value: *value, error: square.sqrt() }
    };
    values.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_whatever_the_size_of_its_numbers() {
        let cell = |value: f64, error: f64| Interval {
            estimate: Estimate { value, error },
            ends: [value - 2.0 * error, value + 2.0 * error],
        };
        let effects = Effects {
            elasticities: vec![
                vec![cell(-2.5, 0.1), cell(0.01234, 0.004)],
                vec![cell(1.5e-6, 2e-7), cell(-130.0, 9.0)],
            ],
            price_effects: Vec::new(),
            pool: None,
            shrunk: true,
        };
        let lines = effects.lines(&["a".into(), "longer".into()]);
        assert!(lines[2].contains("-2.50") && lines[2].contains("0.0123"), "{lines:#?}");
        assert!(lines[3].contains("[-2.70, -2.30]") && lines[3].contains("[0.00434, 0.0203]"), "{lines:#?}");
        assert!(lines[4].contains("1.50e-6") && lines[5].contains("[1.10e-6, 1.90e-6]"), "{lines:#?}");
        let [table, _] = effects.json();
        let text = csv(&json!({"products": ["a", "b, c"], "elasticity_table": table})).unwrap();
        assert!(text.contains("\na,\"b, c\",0.01234,0.004,0.0043"), "{text}");
        assert_eq!(text.lines().count(), 5);
    }
}
