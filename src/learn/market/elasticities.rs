//! The table of elasticities: by how many percent the sales of each product change when each price rises by one.

use agon_agents::demand::models::{Drawn, Errors, Interval, Linear, MeanWeek, Model, Pool};
use agon_agents::demand::{Estimate, Sales};
use serde_json::{Value, json};

/// With more products a table is no longer read in a terminal: it is in files alone.
const MOST_SHOWN: usize = 8;

/// What the effect of the price that customers are used to is called.
const REFERENCE_PRICE: &str = "reference price";

/// What is known of a demand's effects.
pub(super) struct Effects {
    /// Rows: whose sales; columns: whose price.
    pub elasticities: Vec<Vec<Interval>>,
    /// Utility lost a unit of money, a product each; of log-log demand none.
    pub price_effects: Vec<Interval>,
    /// σ of a nested logit; without an error where it is at an end of its range.
    pub nest_correlation: Option<Interval>,
    /// What one of each covariate adds to utility, or to ln units, and after them what a unit of the reference price (or of its log)
    /// does: by name, one for all products or one each.
    pub covariates: Vec<(String, Vec<Interval>)>,
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
        let (n, mean) = (sales.names.len(), MeanWeek::of(sales));
        let logit = !model.coefficients().price_effects.is_empty();
        // Intervals are of each product's own data: those hold the truth, whatever products have in common.
        let interval = |of: &dyn Fn(&dyn Model) -> Linear| {
            let mut found = errors.interval(&of(alone));
            found.estimate.value = of(model).value;
            found
        };
        let elasticity = |k: usize, j: usize| interval(&|model| model.elasticity(&mean, k, j));
        let effect = |k: usize| interval(&|model| Linear::coefficient(model, model.own_effect(k)));
        let correlation = |(value, at): (f64, Option<usize>)| match at {
            Some(at) => interval(&|model| Linear::coefficient(model, at)),
            None => Interval { estimate: Estimate { value, error: 0.0 }, ends: [value; 2] },
        };
        let names = sales.covariate_names.iter().cloned();
        let names = names.chain((!sales.reference_prices.is_empty()).then(|| REFERENCE_PRICE.into()));
        let covariate = |(c, name): (usize, String)| {
            let of = |k: usize| interval(&|model| Linear::coefficient(model, model.covariate(k, c)));
            (name, (0..if logit { 1 } else { n }).map(of).collect())
        };
        Some(Self {
            covariates: names.enumerate().map(covariate).collect(),
            elasticities: (0..n).map(|k| (0..n).map(|j| elasticity(k, j)).collect()).collect(),
            price_effects: (0..if logit { n } else { 0 }).map(effect).collect(),
            nest_correlation: alone.nest_correlation().map(correlation),
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

    /// What is said of nests: the correlation within them, and what it means where it is at an end of its range.
    pub fn nests(&self, nests: &[Vec<String>]) -> Vec<String> {
        let Some(found) = self.nest_correlation else { return Vec::new() };
        let those: Vec<String> = nests.iter().map(|nest| nest.join(", ")).collect();
        let those = those.join("; ");
        let mut lines = Vec::new();
        if found.estimate.error > 0.0 {
            let range = Interval { ends: found.ends.map(|end| end.clamp(0.0, 1.0)), ..found }.range();
            lines.push(format!("    correlation within nests ({those}): {} {range}", found.estimate));
        } else {
            let value = found.estimate.value;
            let why = if value < 0.5 {
                "products of a nest are no closer to each other than to others, as in a logit without nests"
            } else {
                "products of a nest are all but the same"
            };
            lines.push(format!("    correlation within nests ({those}): {value}"));
            lines.push(format!(
                "  note: the correlation within nests is at the end of its range: {why}; intervals take it for known"
            ));
        }
        lines
    }

    /// What is said of covariates.
    pub fn others(&self, names: &[String]) -> Vec<String> {
        let Some((_, first)) = self.covariates.first() else { return Vec::new() };
        let of = if self.price_effects.is_empty() { "ln units" } else { "utility, the same for all products" };
        let mut lines = vec![format!("  effects of what else moves demand ({of}; ± standard errors, 95 % intervals):")];
        if first.len() > MOST_SHOWN {
            return vec![format!(
                "  effects of what else moves demand are in fit.json: {} products are many",
                first.len()
            )];
        }
        for (name, effects) in &self.covariates {
            for (k, effect) in effects.iter().enumerate() {
                let product = if effects.len() > 1 { format!(" on {}", names[k]) } else { String::new() };
                let (estimate, range) = (effect.estimate, effect.range());
                let nothing =
                    if effect.ends[0] < 0.0 && effect.ends[1] > 0.0 { "  (may as well be nothing)" } else { "" };
                lines.push(format!("    {name}{product}: {estimate} {range}{nothing}"));
            }
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
        let list = |row: &Vec<Interval>| row.iter().map(numbers).collect::<Vec<Value>>();
        [self.elasticities.iter().map(list).collect::<Vec<_>>().into(), list(&self.price_effects).into()]
    }
}

/// An interval as data.
pub(super) fn numbers(x: &Interval) -> Value {
    json!([x.estimate.value, x.estimate.error, x.ends[0], x.ends[1]])
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

    /// Coefficients and standard errors, without the correction for small samples, of numpy (tests/golden/nested_logit.py).
    #[test]
    fn nested_logit_has_numpys_standard_errors() {
        use crate::sales::{self, FitSettings, Shape};
        use agon_agents::demand::PriceEffect;
        use agon_agents::demand::models::{Asked, Form};
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let golden: Value =
            serde_json::from_slice(&std::fs::read(root.join("tests/golden/nested_logit.json")).unwrap()).unwrap();
        let nests = [vec!["1", "2", "4", "7"], vec!["3", "5"]].map(|nest| nest.into_iter().map(String::from).collect());
        let settings = FitSettings { form: Some(Shape::NestedLogit), nests: nests.to_vec(), ..FitSettings::default() };
        let table = sales::read(&root.join("scenarios/data/tuna.csv"), &settings).unwrap();
        let weeks = table.weeks.len();
        for (name, effect) in
            [("two nests, common", PriceEffect::Common), ("two nests, by-product", PriceEffect::ByProduct)]
        {
            let numbers = vec![0.0; weeks];
            let model = Form::NestedLogit(effect).fit(&table.sales, &numbers, weeks, false).unwrap();
            let groups: Vec<Vec<usize>> = (0..weeks).map(|t| vec![t]).collect();
            let mut equation = None;
            let mut take = |found| {
                equation = Some(found);
                Some(())
            };
            let asked = Asked { sales: &table.sales, numbers: &numbers, groups: &groups, whole: true };
            model.equations(&asked, &mut take).unwrap();
            let equation = equation.unwrap();
            let wanted = golden[name]["errors"].as_array().unwrap();
            let (count, block) = (wanted.len(), (weeks as f64).cbrt().ceil() as usize);
            assert_eq!(equation.luck.len(), count);
            // Errors are raised for the degrees of freedom; numpy's are not.
            let raised = weeks as f64 / (weeks as f64 - equation.effective_coefficients - (block as f64 - 1.0));
            // Intercepts are those of centred columns here.
            for (i, wanted) in wanted.iter().enumerate().skip(7) {
                let found = equation.error(&equation.factor.column(i), block) / raised.sqrt();
                let wanted = wanted.as_f64().unwrap();
                assert!((found / wanted - 1.0).abs() < 1e-6, "{name}, {i}: {found} {wanted}");
            }
        }
    }

    /// Log-log demand with covariates, reference prices and instruments has numpy's coefficients (tests/golden/covariates.py).
    #[test]
    fn log_log_demand_has_numpys_coefficients() {
        use crate::sales::{self, FitSettings};
        use agon_agents::demand::models::Form;
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let golden: Value =
            serde_json::from_slice(&std::fs::read(root.join("tests/golden/covariates.json")).unwrap()).unwrap();
        let list = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<String>>();
        let plain = FitSettings {
            products: list(&["1", "2", "3", "4", "5"]),
            display: String::new(),
            covariates: list(&["display_{}"]),
            rivals: list(&["price_7"]),
            ..FitSettings::default()
        };
        for (name, settings) in [
            ("log-log", FitSettings { reference_memory: Some(0.5), ..plain.clone() }),
            ("log-log two-stage", FitSettings { instruments: list(&["wholesale_{}"]), ..plain.clone() }),
        ] {
            let table = sales::read(&root.join("scenarios/data/tuna.csv"), &settings).unwrap();
            let numbers: Vec<f64> = table.weeks.iter().map(|week| f64::from(*week)).collect();
            let found = Form::LogLog.fit(&table.sales, &numbers, numbers.len(), true).unwrap().coefficients();
            let wanted = &golden[name];
            let close = |what: &str, found: &[f64], wanted: &Value| {
                for (i, x) in found.iter().enumerate() {
                    let wanted = wanted[i].as_f64().unwrap();
                    assert!((x - wanted).abs() <= 1e-7 * wanted.abs().max(1.0), "{name}, {what} {i}: {x} {wanted}");
                }
            };
            close("intercept", &found.intercepts, &wanted["a"]);
            for k in 0..5 {
                close("elasticity", &found.elasticities[k], &wanted["B"][k]);
                close("covariate", &found.covariate_effects[k], &wanted["covariates"][k]);
                close("calendar", &found.calendar[k], &wanted["calendar"][k]);
            }
            assert_eq!((found.covariate_effects[0].len(), found.calendar[0].len()), (2, 3));
            close("reference price", &found.reference_effects, &wanted["reference"]);
            assert_eq!(found.reference_effects.len(), if name == "log-log" { 5 } else { 0 });
        }
    }

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
            nest_correlation: None,
            covariates: Vec::new(),
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
