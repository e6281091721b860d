//! What may carry over from one week of a shop to the next, each part off unless its settings say otherwise: a stock,
//! seasons, prices that customers are used to, a rival who follows, a calendar of promotions.

use super::{RetailSettings, Sales, Weeks};
use agon_core::env::{ensure, within};
use agon_core::scene::{Scene, money};
use agon_core::{EnvError, Field};
use serde::{Deserialize, Serialize};

/// The settings of what carries over.
#[derive(Clone)]
pub struct Carry {
    stock: Vec<f64>,
    seasons: Vec<f64>,
    /// The largest there is, whatever its sign.
    reference_effect: f64,
    reference_memory: f64,
    /// A row a week in which an episode may begin, or one for all.
    reference_start: Vec<Vec<f64>>,
    rival: Option<Rival>,
    promotions: Vec<bool>,
    regular_low: Vec<f64>,
    periods: u32,
    week_numbers: Vec<u32>,
    replay: bool,
}

/// One more product that is not ours.
#[derive(Clone)]
struct Rival {
    intercept: f64,
    price_effect: f64,
    prices: [f64; 2],
    follows: f64,
}

/// What is carried over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// Units left, a product each.
    pub stock: Vec<f64>,
    /// The price that customers are used to, a product each.
    reference: Vec<f64>,
    rival: f64,
    /// Weeks since the first of the cycle.
    time: u32,
    /// Weeks since the episode began.
    age: u32,
}

impl Carried {
    /// The table's week in which the episode began.
    pub fn first(&self) -> usize {
        (self.time - self.age) as usize
    }

    /// Weeks since the episode began.
    pub fn age(&self) -> usize {
        self.age as usize
    }

    /// Nothing but prices that customers are used to.
    pub(super) fn used_to(prices: &[f64]) -> Self {
        Self { reference: prices.to_vec(), ..Self::default() }
    }

    /// The price of a product that customers are used to.
    pub fn reference_price(&self, k: usize) -> f64 {
        self.reference[k]
    }

    /// Of a shop of one product: stock, the reference price, the rival's price; 0 for what there is none of.
    pub fn get(&self) -> [f64; 3] {
        [self.stock.first(), self.reference.first(), Some(&self.rival)].map(|x| x.copied().unwrap_or(0.0))
    }

    /// The price of the rival's product.
    pub fn rival(&self) -> f64 {
        self.rival
    }

    /// The same so many weeks ago, as far as the calendar goes.
    pub fn earlier(&self, weeks: usize) -> Self {
        let weeks = (weeks as u32).min(self.age);
        Self { time: self.time - weeks, age: self.age - weeks, ..self.clone() }
    }

    /// Becomes the same, in its own memory.
    pub fn copy(&mut self, other: &Self) {
        self.stock.clone_from(&other.stock);
        self.reference.clone_from(&other.reference);
        (self.rival, self.time, self.age) = (other.rival, other.time, other.age);
    }
}

impl Carry {
    /// What the settings ask for; none where nothing carries over.
    pub fn new(s: &RetailSettings) -> Result<Option<Self>, EnvError> {
        let n = s.names.len();
        let length = |name: &str, found: usize, wanted: usize| {
            let message = format!("has {found} entries where {wanted} are needed, one a product");
            if found == 0 || found == wanted { Ok(()) } else { Err(EnvError::setting(name, message)) }
        };
        length("stock", s.stock.len(), n)?;
        length("regular_low", s.regular_low.len(), n)?;
        if s.promotions.is_empty() != s.regular_low.is_empty() {
            let message = "and `promotions` need each other: the weeks in which prices may fall below it";
            return Err(EnvError::setting("regular_low", message));
        }
        for (k, low) in s.regular_low.iter().enumerate() {
            if *low < s.low[k] || *low >= s.high[k] {
                let message = format!("of {} must lie between its `low` and its `high`", s.names[k]);
                return Err(EnvError::setting("regular_low", message));
            }
        }
        let rival = match s.rival {
            None => None,
            Some(intercept) => match s.rival_prices[..] {
                [low, high] if low <= high => Some(Rival {
                    intercept,
                    price_effect: s.rival_price_effect,
                    prices: [low, high],
                    follows: s.rival_follows,
                }),
                _ => return Err(EnvError::setting("rival_prices", "must be [lowest, highest]")),
            },
        };
        let nothing = !s.carries_over() && s.most_used_to() == 0.0;
        let middle = |k: usize| 0.5 * (s.low[k] + s.high[k]);
        Ok((!nothing).then(|| Self {
            stock: s.stock.clone(),
            seasons: s.seasons.clone(),
            reference_effect: s.most_used_to(),
            reference_memory: s.reference_memory,
            reference_start: match s.reference_prices.is_empty() {
                true => vec![(0..n).map(middle).collect()],
                false => s.reference_prices.clone(),
            },
            rival,
            promotions: s.promotions.clone(),
            regular_low: s.regular_low.clone(),
            periods: s.periods.unwrap_or(s.customers.len() as u32),
            week_numbers: s.week_numbers.clone(),
            replay: s.weeks == Weeks::Replay,
        }))
    }

    /// What is observed of it, after the week's own numbers.
    pub fn fields(&self, names: &[String]) -> Vec<Field> {
        let mut fields = Vec::new();
        if !self.stock.is_empty() {
            let stock = names.iter().zip(&self.stock);
            fields.extend(stock.map(|(name, stock)| Field::share(format!("stock {name}"), *stock, "units")));
            fields.push(Field::share("weeks left", f64::from(self.periods), "weeks"));
        }
        if self.reference_effect > 0.0 {
            let field = |name: &String| Field::new(format!("reference price {name}"), "$", 0.0, f32::INFINITY);
            fields.extend(names.iter().map(field));
        }
        if self.rival.is_some() {
            fields.push(Field::new("rival's price", "$", 0.0, f32::INFINITY));
        }
        if !self.seasons.is_empty() {
            fields.push(Field::new("season", "utility", -f32::INFINITY, f32::INFINITY));
        }
        if !self.promotions.is_empty() {
            fields.push(Field::new("promotions allowed", "", 0.0, 1.0));
        }
        fields
    }

    /// Writes those numbers.
    pub fn observe(&self, carried: &Carried, out: &mut [f32]) {
        let stock = carried.stock.iter().zip(&self.stock).map(|(left, start)| left / start.max(1e-12));
        let reference = carried.reference.iter().copied().filter(|_| self.reference_effect > 0.0);
        let rival = self.rival.iter().map(|_| carried.rival);
        let season = (!self.seasons.is_empty()).then(|| self.season(carried));
        let promotion = (!self.promotions.is_empty()).then(|| f64::from(u8::from(self.promotes(carried))));
        let left = (!self.stock.is_empty()).then(|| 1.0 - f64::from(carried.age) / f64::from(self.periods));
        let all = stock.chain(left).chain(reference).chain(rival).chain(season).chain(promotion);
        out.iter_mut().zip(all).for_each(|(o, x)| *o = x as f32);
    }

    /// The most that can be added to a product's utility, the price being the lowest.
    pub fn most_added(&self, widest: f64) -> f64 {
        self.seasons.iter().copied().fold(0.0, f64::max) + self.reference_effect * widest
    }

    /// The most that the rival's product can be worth.
    pub fn most_outside(&self) -> f64 {
        self.rival.as_ref().map_or(0.0, |r| r.intercept - r.price_effect * r.prices[0])
    }

    /// Whether there is a rival.
    pub fn has_rival(&self) -> bool {
        self.rival.is_some()
    }

    /// An episode's beginning, in a week of the table.
    pub fn reset(&self, carried: &mut Carried, week: u32) {
        (carried.time, carried.age) = (week, 0);
        carried.stock.clone_from(&self.stock);
        let start = if self.reference_start.len() == 1 { 0 } else { week as usize };
        carried.reference.clone_from(&self.reference_start[start]);
        carried.rival = self.rival.as_ref().map_or(0.0, |r| 0.5 * (r.prices[0] + r.prices[1]));
    }

    /// The calendar's week at an age of an episode that began in a row of the table: replayed rows keep the week they are
    /// of, whatever weeks are missing between them; drawn ones only lend their costs and customers to the next week.
    pub fn moment(&self, first: usize, age: usize) -> usize {
        match self.week_numbers.len() {
            0 => first + age,
            rows if self.replay => self.week_numbers[(first + age) % rows] as usize,
            _ => self.week_numbers[first] as usize + age,
        }
    }

    /// The same, its rows being the calendar's weeks.
    pub fn by_rows(&self) -> Self {
        Self { week_numbers: Vec::new(), ..self.clone() }
    }

    /// What the season adds to the utility of every product.
    pub fn season(&self, carried: &Carried) -> f64 {
        let now = self.moment(carried.first(), carried.age());
        if self.seasons.is_empty() { 0.0 } else { self.seasons[now % self.seasons.len()] }
    }

    fn promotes(&self, carried: &Carried) -> bool {
        let now = self.moment(carried.first(), carried.age());
        self.promotions.is_empty() || self.promotions[now % self.promotions.len()]
    }

    /// The lowest price of a product this week.
    pub fn low(&self, carried: &Carried, k: usize, low: f64) -> f64 {
        if self.promotes(carried) { low } else { self.regular_low[k] }
    }

    /// The weight of whatever is not ours: buying nothing, and the rival's product.
    pub fn outside(&self, carried: &Carried) -> f64 {
        1.0 + self.rival.as_ref().map_or(0.0, |r| (r.intercept - r.price_effect * carried.rival).exp())
    }

    /// Whether nothing that the shop does changes it: then each week's own best prices are still the best.
    pub fn is_a_calendar(&self) -> bool {
        let used_to = self.reference_effect > 0.0 && self.reference_memory < 1.0;
        self.stock.is_empty() && !used_to && self.rival.as_ref().is_none_or(|r| r.follows == 0.0)
    }

    /// Weeks after which seasons and promotions have both come round.
    pub fn cycle(&self) -> usize {
        let (a, b) = (self.seasons.len().max(1), self.promotions.len().max(1));
        a * (1..=b).find(|n| (a * n).is_multiple_of(b)).unwrap_or(b)
    }

    /// Whether the episode is over: what is not sold by the end of the season is lost.
    pub fn is_over(&self, carried: &Carried) -> bool {
        !self.stock.is_empty() && carried.age >= self.periods
    }

    /// Whether it can have come from these settings in a week of the table, and whether its episode is at its end.
    pub fn check(&self, carried: &Carried, week: u32, s: &RetailSettings) -> Result<bool, String> {
        let n = s.names.len();
        ensure(carried.stock.len() == self.stock.len(), "`stock` must hold a number for each product")?;
        for (left, start) in carried.stock.iter().zip(&self.stock) {
            within("a stock", *left, 0.0, *start)?;
            ensure(s.sales == Sales::Expected || left.fract() == 0.0, "a stock is not in whole units")?;
        }
        ensure(carried.reference.len() == n, "`reference` must hold a price for each product")?;
        for (k, price) in carried.reference.iter().enumerate() {
            let rest = 1e-9 * s.high[k]; // a mean is rounded
            within("a reference price", *price, s.low[k] - rest, s.high[k] + rest)?;
        }
        let [low, high] = self.rival.as_ref().map_or([0.0; 2], |r| r.prices);
        within("`rival`", carried.rival, low, high)?;
        let weeks = s.customers.len() as u32;
        let first = carried.time.checked_sub(carried.age).filter(|first| *first < weeks);
        ensure(first.is_some(), "`time` and `age` do not begin in a week of the table")?;
        ensure(carried.age <= self.periods, "`age` is more weeks than an episode has")?;
        let followed = s.weeks == Weeks::Resample && carried.age > 0 || week == carried.time % weeks;
        ensure(followed, "`week` is not the one that `time` tells")?;
        Ok(self.is_over(carried))
    }

    /// Of a shop of one product whose prices lie between `low` and `high`: from where to where its stock, the usual
    /// price and the rival's price can move; nowhere, where nothing depends on them.
    pub fn ranges(&self, low: f64, high: f64) -> [[f64; 2]; 3] {
        let stock = self.stock.first().map_or([0.0; 2], |stock| [0.0, *stock]);
        let used_to = self.reference_effect > 0.0 && self.reference_memory < 1.0;
        let reference = if used_to { [low, high] } else { [self.reference_start[0][0]; 2] };
        let rival = |r: &Rival| if r.follows > 0.0 { r.prices } else { [0.5 * (r.prices[0] + r.prices[1]); 2] };
        [stock, reference, self.rival.as_ref().map_or([0.0; 2], rival)]
    }

    /// The other way than [`Carried::get`]: a moment of a shop of one product.
    pub fn set(&self, carried: &mut Carried, [stock, reference, rival]: [f64; 3], first: usize, age: usize) {
        carried.stock.clear();
        carried.stock.extend(self.stock.first().map(|_| stock));
        carried.reference.clear();
        carried.reference.push(reference);
        (carried.rival, carried.time, carried.age) = (rival, (first + age) as u32, age as u32);
    }

    /// What can be sold of `units`.
    pub fn sell(&self, carried: &mut Carried, k: usize, units: f64) -> f64 {
        let Some(left) = carried.stock.get_mut(k) else { return units };
        let sold = units.min(*left);
        *left -= sold;
        sold
    }

    /// How far the episode is, and what is carried over, in words.
    pub fn draw(&self, carried: &Carried, names: &[String], scene: &mut Scene) {
        scene.note("week", format!("{} of {}", (carried.age + 1).min(self.periods), self.periods));
        for (name, left) in names.iter().zip(&carried.stock) {
            scene.note(format!("{name} left"), format!("{left:.0}"));
        }
        if self.reference_effect > 0.0 {
            for (name, price) in names.iter().zip(&carried.reference) {
                scene.note(format!("{name} usually"), format!("{} $", money(*price)));
            }
        }
        if self.rival.is_some() {
            scene.note("rival", format!("{} $", money(carried.rival)));
        }
    }

    /// Customers get used to the prices, and the rival moves towards the lowest of them.
    pub fn after(&self, carried: &mut Carried, prices: &[f64]) {
        carried.time += 1;
        carried.age += 1;
        for (reference, price) in carried.reference.iter_mut().zip(prices) {
            *reference = self.reference_memory * *reference + (1.0 - self.reference_memory) * price;
        }
        if let Some(rival) = &self.rival {
            let lowest = prices.iter().copied().fold(f64::INFINITY, f64::min);
            let next = (1.0 - rival.follows) * carried.rival + rival.follows * lowest;
            carried.rival = next.clamp(rival.prices[0], rival.prices[1]);
        }
    }
}
