//! The settings of a shelf of products.

use crate::pricing::rules::RuleSettings;
use agon_core::EnvError;

agon_core::choices! {
    /// Which week follows.
    pub enum Weeks {
        /// The next of the table, from a random start, round and round.
        Replay = "replay",
        /// Any of the table.
        Resample = "resample",
    }
}

agon_core::choices! {
    /// What customers do.
    pub enum Sales {
        /// Each decides at random.
        Sampled = "sampled",
        /// They buy exactly the expected amounts.
        Expected = "expected",
    }
}

agon_core::choices! {
    /// The form of demand.
    pub enum Demand {
        /// Customers choose one product or none.
        Logit = "logit",
        /// The same, where products of a nest are closer to each other than to others.
        NestedLogit = "nested-logit",
        /// Units of each product follow the logs of all prices.
        LogLog = "log-log",
    }
}

/// The nest of each product, if products are in one each at most; products that are in none come last, each a nest of its own.
pub fn nests_of(products: &[String], nests: &[Vec<String>]) -> Result<Vec<usize>, String> {
    let mut found = vec![None; products.len()];
    for (i, nest) in nests.iter().enumerate() {
        if nest.is_empty() {
            return Err(format!("holds no product in nest {}: leave that nest out", i + 1));
        }
        for name in nest {
            let Some(k) = products.iter().position(|product| product == name) else {
                return Err(format!("names `{name}`, which is no product here: they are {}", products.join(", ")));
            };
            if found[k].replace(i).is_some() {
                return Err(format!("holds `{name}` twice; a product is in one nest at most"));
            }
        }
    }
    let mut next = nests.len();
    let own = |nest: Option<usize>| {
        nest.unwrap_or_else(|| {
            next += 1;
            next - 1
        })
    };
    Ok(found.into_iter().map(own).collect())
}

agon_core::settings! {
    pub struct RetailSettings {
        /// Names of the products.
        names: Vec<String> = ["plain", "fine", "best"].map(String::from).to_vec();
        /// The form of demand: logit, nested logit, or log-log with cross effects.
        demand: Demand = Demand::Logit;
        /// Utility at price zero, a product each; of log-log demand ln units a customer where all prices are 1.
        intercepts: Vec<f64> = vec![2.0, 1.5, 1.0];
        /// Utility lost a dollar, a product each; positive.
        price_effects: Vec<f64> = vec![1.0; 3], in [1e-9, 1e9];
        /// Nested logit alone: names of the products of each nest; all products in one if left out.
        nests: Vec<Vec<String>> = Vec::new();
        /// Nested logit alone: how close products of a nest are (σ), a nest each; 0 is the logit.
        nest_correlations: Vec<f64> = Vec::new(), in [0.0, 0.99];
        /// Log-log demand alone: by how many percent sales of each product (a row) change with each price (a column).
        elasticities: Vec<Vec<f64>> = Vec::new(), in [-100.0, 100.0];
        /// Log-log demand alone: the variance of sales beyond Poisson's, beside their squared mean (negative binomial); none if left out.
        dispersion: Vec<f64> = Vec::new(), in [0.0, 100.0];
        /// What the time adds to utility, or to ln units: a trend a year, a sine and a cosine of the year, a row a product; nothing if left out.
        calendar_effects: Vec<Vec<f64>> = Vec::new(), in [-100.0, 100.0];
        /// The week in which the trend is zero.
        calendar_middle: f64 = 0.0, in [-1e10, 1e10];
        /// What else moves demand, by name, such as a holiday; nothing if left out.
        covariate_names: Vec<String> = Vec::new();
        /// The same as numbers: a row a week, those of one product after the other.
        covariates: Vec<Vec<f64>> = Vec::new(), in [-1e12, 1e12];
        /// What one of each adds to utility, or to ln units: a row a product.
        covariate_effects: Vec<Vec<f64>> = Vec::new(), in [-1e12, 1e12];
        /// Products whose price is always the one charged: too little is known of their demand.
        held: Vec<String> = Vec::new();
        /// Rules that every price obeys, whoever sets it; none if left out.
        rules: Option<RuleSettings> = None;
        /// Utility of a full display, a product each.
        display_effects: Vec<f64> = vec![0.5; 3];
        /// The lowest price allowed, a product each.
        low: Vec<f64> = vec![0.5; 3], in [0.0, 1e9];
        /// The highest price allowed, a product each.
        high: Vec<f64> = vec![4.0; 3], in [0.0, 1e9];
        /// Unit costs: a row a week.
        costs: Vec<Vec<f64>> = vec![vec![0.5, 0.4, 0.3], vec![0.7, 0.5, 0.3]], in [0.0, 1e9];
        /// Share of stores with a display: a row a week.
        displays: Vec<Vec<f64>> = vec![vec![0.0; 3], vec![1.0, 0.0, 0.0]], in [0.0, 1.0];
        /// Customers: a number a week.
        customers: Vec<f64> = vec![1000.0, 1200.0], in [1.0, 1e12];
        /// Prices really charged: a row a week; may be left out.
        charged: Vec<Vec<f64>> = Vec::new(), in [0.0, 1e9];
        /// The calendar's week of each row of the table, from 0: what seasons and promotions follow. Row after row if left out.
        week_numbers: Vec<u32> = Vec::new(), in [0.0, 4e9];
        /// Weeks an episode; the whole table if left out.
        periods: Option<u32> = None, in [1.0, 1e6];
        /// Which week follows.
        weeks: Weeks = Weeks::Replay;
        /// What customers do.
        sales: Sales = Sales::Sampled;
        /// Units of each product at the start of an episode; without end if left out.
        stock: Vec<f64> = Vec::new(), in [0.0, 1e12];
        /// Utility of every product that is added in each week of a cycle; none if left out.
        seasons: Vec<f64> = Vec::new(), in [-100.0, 100.0];
        /// Utility lost a dollar above the price that customers are used to, and won below it (Kopalle et al. 1996).
        reference_effect: f64 = 0.0, in [0.0, 1e6];
        /// The same, a product each, of either sign; of log-log demand ln units of the logs of both prices.
        reference_effects: Vec<f64> = Vec::new(), in [-1e6, 1e6];
        /// The prices that customers are used to where an episode begins: a row a week; the middle between `low` and `high` if left out.
        reference_prices: Vec<Vec<f64>> = Vec::new(), in [0.0, 1e9];
        /// How much of the price that customers are used to stays; the rest is the price they see.
        reference_memory: f64 = 0.7, in [0.0, 1.0];
        /// A rival's product: its utility at price zero; no rival if left out.
        rival: Option<f64> = None, in [-100.0, 100.0];
        /// Utility that the rival's product loses a dollar.
        rival_price_effect: f64 = 1.0, in [1e-9, 1e9];
        /// The rival's lowest and highest price; it starts in the middle.
        rival_prices: Vec<f64> = vec![0.5, 4.0], in [0.0, 1e9];
        /// How far the rival moves each week to the lowest of our prices: 0 never, 1 all the way.
        rival_follows: f64 = 0.5, in [0.0, 1.0];
        /// Weeks of a cycle in which prices may fall below `regular_low`; all if left out.
        promotions: Vec<bool> = Vec::new();
        /// The lowest price outside promotions, a product each.
        regular_low: Vec<f64> = Vec::new(), in [0.0, 1e9];
        /// How many of the drawn demands below episodes take theirs from, one each; 0: all have the fitted demand.
        draws: u32 = 0, in [0.0, 1e4];
        /// Demands as they may be, given the error of their estimation: `[fit]` draws them. Utility at price zero: a row a draw.
        drawn_intercepts: Vec<Vec<f64>> = Vec::new();
        /// The same of utility lost a dollar; an empty row is a draw of log-log demand.
        drawn_price_effects: Vec<Vec<f64>> = Vec::new();
        /// The same of the correlations of nests; an empty row is a draw of another form.
        drawn_nest_correlations: Vec<Vec<f64>> = Vec::new(), in [0.0, 0.99];
        /// The same of utility of a full display.
        drawn_display_effects: Vec<Vec<f64>> = Vec::new();
        /// The same of elasticities: all rows of them, one after the other; an empty row is a draw of a logit.
        drawn_elasticities: Vec<Vec<f64>> = Vec::new();
        /// The same of the calendar: three numbers a product, one product after the other; an empty row has none.
        drawn_calendar_effects: Vec<Vec<f64>> = Vec::new();
        /// The same of covariates: the effects of one product after the other; an empty row has none.
        drawn_covariate_effects: Vec<Vec<f64>> = Vec::new();
        /// The same of the prices that customers are used to.
        drawn_reference_effects: Vec<Vec<f64>> = Vec::new();
        /// What reports call the form of each draw, where they have several; all are of one form if left out.
        drawn_forms: Vec<String> = Vec::new();
    }
}

impl RetailSettings {
    /// Whether a product's price is always the one charged.
    pub fn is_held(&self, k: usize) -> bool {
        self.held.contains(&self.names[k])
    }

    /// The covariates that an agent observes, each with its place in a row: one for all products where it is the same for them.
    pub(super) fn observed_covariates(&self) -> Vec<(String, usize)> {
        let (n, each) = (self.names.len(), self.covariate_names.len());
        let mut found = Vec::new();
        for (c, covariate) in self.covariate_names.iter().enumerate() {
            let same = self.covariates.iter().all(|row| (1..n).all(|k| row[k * each + c] == row[c]));
            match same {
                true => found.push((covariate.clone(), c)),
                false => found.extend((0..n).map(|k| (format!("{covariate} {}", self.names[k]), k * each + c))),
            }
        }
        found
    }

    /// Whether something carries over from week to week but the prices that customers are used to.
    pub fn carries_over(&self) -> bool {
        !(self.stock.is_empty() && self.seasons.is_empty() && self.promotions.is_empty() && self.rival.is_none())
    }

    /// How much the prices that customers are used to matter at most, in the fitted demand or a drawn one.
    pub fn most_used_to(&self) -> f64 {
        let all = self.reference_effects.iter().chain(self.drawn_reference_effects.iter().flatten());
        all.fold(self.reference_effect, |most, effect| most.max(effect.abs()))
    }

    /// The products of each nest, counted from 0; all are in one where no nests are named.
    pub(super) fn members(&self) -> Vec<Vec<usize>> {
        if self.nests.is_empty() {
            return vec![(0..self.names.len()).collect()];
        }
        let place = |name: &String| self.names.iter().position(|known| known == name);
        self.nests.iter().map(|nest| nest.iter().filter_map(place).collect()).collect()
    }

    /// Refuses nests that cannot be, or that nothing is said of. Any demand may have nests: drawn ones may be of them.
    fn check_nests(&self) -> Result<(), EnvError> {
        let nested = self.demand == Demand::NestedLogit;
        if !nested && !self.nest_correlations.is_empty() {
            return Err(EnvError::setting("nest_correlations", "is for demand = \"nested-logit\""));
        }
        if let Err(message) = nests_of(&self.names, &self.nests) {
            return Err(EnvError::setting("nests", message));
        }
        let (found, wanted) = (self.nest_correlations.len(), self.members().len());
        if nested && found != wanted {
            let message = format!("has {found} entries where {wanted} are needed, one a nest");
            return Err(EnvError::setting("nest_correlations", message));
        }
        Ok(())
    }

    /// Refuses what cannot be, or does not fit together.
    pub(super) fn check(&self) -> Result<(), EnvError> {
        let (s, n, weeks) = (self, self.intercepts.len(), self.customers.len());
        let length = |name: &str, found: usize, wanted: usize, what: &str| {
            let message = format!("has {found} entries where {wanted} are needed, one a {what}");
            if found == wanted { Ok(()) } else { Err(EnvError::setting(name, message)) }
        };
        if n == 0 || weeks == 0 {
            return Err(EnvError::setting("intercepts", "a market needs at least one product and one week"));
        }
        length("names", s.names.len(), n, "product")?;
        if let Some(name) = s.names.iter().enumerate().find(|(k, name)| s.names[..*k].contains(name)).map(|(_, n)| n) {
            return Err(EnvError::setting(
                "names",
                format!("holds `{name}` twice; each product needs a name of its own"),
            ));
        }
        if !s.week_numbers.is_empty() {
            length("week_numbers", s.week_numbers.len(), weeks, "week")?;
        }
        for (k, units) in s.stock.iter().enumerate().filter(|(k, _)| *k < n) {
            if *units < 1.0 || (s.sales == Sales::Sampled && units.fract() != 0.0) {
                let message = format!("of {} is {units}: it must be one unit or more, in whole units", s.names[k]);
                return Err(EnvError::setting("stock", message));
            }
        }
        let log_log = s.demand == Demand::LogLog;
        for (name, list, needed) in [
            ("price_effects", &s.price_effects, !log_log),
            ("display_effects", &s.display_effects, true),
            ("low", &s.low, true),
            ("high", &s.high, true),
            ("dispersion", &s.dispersion, !s.dispersion.is_empty()),
            ("reference_effects", &s.reference_effects, !s.reference_effects.is_empty()),
        ] {
            if needed {
                length(name, list.len(), n, "product")?;
            }
        }
        for (name, table, rows, columns, of) in [
            ("elasticities", &s.elasticities, log_log, n, "product"),
            ("calendar_effects", &s.calendar_effects, !s.calendar_effects.is_empty(), 3, "trend, a sine, a cosine"),
            (
                "covariate_effects",
                &s.covariate_effects,
                !s.covariate_names.is_empty(),
                s.covariate_names.len(),
                "covariate",
            ),
        ] {
            length(name, table.len(), if rows { n } else { 0 }, "product")?;
            table.iter().try_for_each(|row| length(name, row.len(), columns, of))?;
        }
        s.check_nests()?;
        if !log_log && !s.dispersion.is_empty() {
            return Err(EnvError::setting(
                "dispersion",
                "is for log-log demand: customers of a logit choose one by one",
            ));
        }
        if s.reference_effect > 0.0 && !s.reference_effects.is_empty() {
            return Err(EnvError::setting("reference_effect", "and `reference_effects` are the same: leave one out"));
        }
        if log_log && (s.reference_effect > 0.0 || s.rival.is_some()) {
            let key = if s.rival.is_some() { "rival" } else { "reference_effect" };
            return Err(EnvError::setting(
                key,
                "is a utility, which log-log demand has none of: use demand = \"logit\" (or `reference_effects`)",
            ));
        }
        if let Some(k) = (0..n).find(|k| log_log && s.low[*k] <= 0.0) {
            let message = format!("of {} must be above 0: log-log demand is endless at price 0", s.names[k]);
            return Err(EnvError::setting("low", message));
        }
        if let Some(name) = s.held.iter().find(|name| !s.names.contains(name)) {
            return Err(EnvError::setting("held", format!("names `{name}`, which is no product here")));
        }
        if !s.held.is_empty() && s.charged.is_empty() {
            return Err(EnvError::setting("held", "needs the `charged` prices, at which products are held"));
        }
        let charged = if s.charged.is_empty() { &s.costs } else { &s.charged };
        let usual = if s.reference_prices.is_empty() { &s.costs } else { &s.reference_prices };
        let tables =
            [("costs", &s.costs), ("displays", &s.displays), ("charged", charged), ("reference_prices", usual)];
        for (name, table) in tables {
            length(name, table.len(), weeks, "week")?;
            table.iter().try_for_each(|row| length(name, row.len(), n, "product"))?;
        }
        let each = s.covariate_names.len();
        length("covariates", s.covariates.len(), if each > 0 { weeks } else { 0 }, "week")?;
        let row = |row: &Vec<f64>| length("covariates", row.len(), n * each, "covariate of each product");
        s.covariates.iter().try_for_each(row)?;
        for k in 0..n {
            if s.low[k] >= s.high[k] {
                return Err(EnvError::setting("low", format!("of {} must be below its `high`", s.names[k])));
            }
            let [low, high] = [s.low[k], s.high[k]];
            for (key, table) in [("charged", &s.charged), ("reference_prices", &s.reference_prices)] {
                let outside = table.iter().enumerate().find(|(_, row)| row[k] < low || row[k] > high);
                if let Some((week, row)) = outside {
                    let (name, price) = (&s.names[k], row[k]);
                    let message =
                        format!("{name} at {price} in row {} is not between `low` {low} and `high` {high}", week + 1);
                    return Err(EnvError::setting(key, message));
                }
            }
            if s.costs.iter().all(|row| row[k] >= s.high[k]) {
                let message = format!("of {} is never above its cost: nothing can be earned", s.names[k]);
                return Err(EnvError::setting("high", message));
            }
        }
        Ok(())
    }
}
