//! Prices for a shop of one product in which something carries over: value iteration, backwards from the last week, on a
//! discretised model. What carries over (stock, the reference price, the rival's price) is a grid, values between its points
//! are interpolated, and the chance of sales is three points of a normal distribution. Nothing here is exact; how near
//! it comes is tested against closed forms and exhaustive search.

use super::market::Form;
use super::{Carried, Demand, Retail, Sales, Weeks};

/// Points of the grid at most, and price evaluations for a whole plan at most, so that one takes seconds.
const POINTS: usize = 4096;
const EVALUATIONS: f64 = 1e8;
/// Prices that are looked at, before the best one is refined.
const PRICES: usize = 17;
const REFINEMENTS: usize = 12;

/// Distances from the mean, and probabilities.
const CERTAIN: [(f64, f64); 1] = [(0.0, 1.0)];
const THREE: [(f64, f64); 3] = [(-1.0, 1.0 / 6.0), (0.0, 2.0 / 3.0), (1.0, 1.0 / 6.0)];

/// An axis of the grid: so many points from the first to the last.
#[derive(Clone, Copy, Debug)]
struct Axis {
    from: f64,
    to: f64,
    points: usize,
}

impl Axis {
    fn at(&self, i: usize) -> f64 {
        if self.points == 1 {
            self.from
        } else {
            self.from + (self.to - self.from) * i as f64 / (self.points - 1) as f64
        }
    }

    /// The point below, and how far it is to the next.
    fn place(&self, x: f64) -> (usize, f64) {
        if self.points == 1 {
            return (0, 0.0);
        }
        let place = ((x - self.from) / (self.to - self.from)).clamp(0.0, 1.0) * (self.points - 1) as f64;
        let below = (place as usize).min(self.points - 2);
        (below, place - below as f64)
    }
}

/// What is still to be earned from every point of the grid, for every first week and every week since.
#[derive(Clone, Debug)]
pub struct RetailPlan {
    /// Stock, reference price, rival's price.
    axes: [Axis; 3],
    /// `[first week][weeks since][point]`.
    values: Vec<Vec<Vec<f32>>>,
}

/// The grid for a shop, or why there is none.
fn grid(shop: &Retail) -> Result<[Axis; 3], String> {
    let (s, Some(carry)) = (&shop.settings, &shop.carry) else {
        return Err("nothing carries over from week to week: `optimal` is exact".into());
    };
    let more = !s.calendar_effects.is_empty() || !s.covariate_names.is_empty();
    if s.demand != Demand::Logit || more || !s.held.is_empty() {
        return Err("a plan is made for logit demand without a calendar of its own, covariates or held prices".into());
    }
    if s.names.len() != 1 {
        return Err(format!("a plan is made for one product; here are {}", s.names.len()));
    }
    if s.weeks == Weeks::Resample && s.customers.len() > 1 {
        return Err("a plan needs `weeks = \"replay\"`".into());
    }
    let axes = carry.ranges(s.low[0], s.high[0]);
    let moving = axes.iter().filter(|[from, to]| from < to).count();
    let stages = (s.customers.len() as f64) * f64::from(shop.periods());
    let affordable = EVALUATIONS / stages / (PRICES + 2 * REFINEMENTS) as f64;
    let points = (affordable.min(POINTS as f64).powf(1.0 / moving.max(1) as f64) + 1e-9).floor();
    if points < 9.0 {
        let message = "too many weeks for a plan: first weeks times weeks an episode times grid points";
        return Err(format!("{message} would take more than {EVALUATIONS:.0e} evaluations"));
    }
    let axis = |[from, to]: [f64; 2]| Axis { from, to, points: if from < to { points as usize } else { 1 } };
    Ok(axes.map(axis))
}

impl RetailPlan {
    /// Whether a plan can be made.
    pub fn possible(shop: &Retail) -> Result<(), String> {
        grid(shop).map(drop)
    }

    /// Makes one; empty where none can be made.
    pub fn new(shop: &Retail) -> Self {
        let (Ok(axes), Some(carry)) = (grid(shop), &shop.carry) else {
            return Self { axes: [Axis { from: 0.0, to: 0.0, points: 1 }; 3], values: Vec::new() };
        };
        let (periods, mut plan) = (shop.periods() as usize, Self { axes, values: Vec::new() });
        let mut carried = Carried::default();
        for first in 0..shop.settings.customers.len() {
            plan.values.push(vec![Vec::new(); periods]);
            for age in (0..periods).rev() {
                let mut here = Vec::new();
                for point in 0..axes.iter().map(|a| a.points).product() {
                    let at = |axis: usize| {
                        let below: usize = axes[axis + 1..].iter().map(|a| a.points).product();
                        axes[axis].at(point / below % axes[axis].points)
                    };
                    carry.set(&mut carried, [at(0), at(1), at(2)], first, age);
                    here.push(plan.best(shop, &carried).1 as f32);
                }
                plan.values[first][age] = here;
            }
        }
        plan
    }

    /// What is still to be earned after a week.
    fn value(&self, carried: &Carried) -> f64 {
        let Some(values) = self.values[carried.first()].get(carried.age()) else { return 0.0 };
        let places: [_; 3] = std::array::from_fn(|i| self.axes[i].place(carried.get()[i]));
        let mut value = 0.0;
        for corner in 0..8usize {
            let (mut at, mut weight) = (0, 1.0);
            for (i, (below, share)) in places.iter().enumerate() {
                let above = corner >> i & 1;
                at = at * self.axes[i].points + (below + above).min(self.axes[i].points - 1);
                weight *= if above == 1 { *share } else { 1.0 - share };
            }
            if weight > 0.0 {
                value += weight * f64::from(values[at]);
            }
        }
        value
    }

    /// The best price of a week, and what it and all that follows are expected to earn.
    pub fn best(&self, shop: &Retail, carried: &Carried) -> (f64, f64) {
        let (Some(carry), Form::Logit(demand)) = (&shop.carry, &shop.demand.form) else {
            return (shop.settings.high[0], 0.0);
        };
        let row = (carried.first() + carried.age()) % shop.settings.customers.len();
        let week = shop.week(row, &shop.demand);
        let (low, high) = (carry.low(carried, 0, shop.settings.low[0]), shop.settings.high[0]);
        let outside = carry.outside(carried);
        let tilt = Some(shop.demand.tilt(carry, carried, 0));
        let customers = match shop.settings.sales {
            Sales::Sampled => week.customers.round(),
            Sales::Expected => week.customers,
        };
        let mut next = carried.clone();
        let mut worth = |price: f64| {
            let price = shop.charged(row, Some((carry, carried)), 0, price);
            let weight = Retail::weight(demand, week, tilt, 0, price);
            let chance = weight / (outside + weight);
            let mean = customers * chance;
            // Three points that have the mean and, unless few are sold, the deviation of what customers do.
            let (far, points) = match shop.settings.sales {
                Sales::Expected => (0.0, &CERTAIN[..]),
                Sales::Sampled => ((3.0 * mean * (1.0 - chance)).sqrt().min(mean).min(customers - mean), &THREE[..]),
            };
            let mut total = 0.0;
            for (away, probability) in points {
                next.copy(carried);
                let sold = carry.sell(&mut next, 0, mean + away * far);
                carry.after(&mut next, &[price]);
                total += probability * (sold * (price - week.costs[0]) + self.value(&next));
            }
            total
        };
        let step = (high - low) / (PRICES - 1) as f64;
        let mut best = (low, f64::NEG_INFINITY);
        for i in 0..PRICES {
            let price = low + i as f64 * step;
            let found = worth(price);
            if found > best.1 {
                best = (price, found);
            }
        }
        // Halve the distance to both sides again and again.
        let mut away = step;
        for _ in 0..REFINEMENTS {
            away *= 0.5;
            for price in [best.0 - away, best.0 + away] {
                if (low..=high).contains(&price) {
                    let found = worth(price);
                    if found > best.1 {
                        best = (price, found);
                    }
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RetailSettings, State};
    use super::*;
    use agon_core::rng::{Rng, Stream};
    use agon_core::{Actions, ActionsMut, Env};

    fn one(settings: RetailSettings) -> Retail {
        let settings = RetailSettings {
            names: vec!["it".into()],
            intercepts: vec![2.0],
            price_effects: vec![1.0],
            display_effects: vec![0.0],
            low: vec![0.5],
            high: vec![4.0],
            costs: vec![vec![0.5]],
            displays: vec![vec![0.0]],
            customers: vec![1000.0],
            sales: Sales::Expected,
            ..settings
        };
        Retail::new(settings).unwrap()
    }

    /// What the planned prices earn in an episode, and what the plan thought they would.
    fn earned(shop: &Retail) -> (f64, f64) {
        let (mut state, mut rng, mut total) = (State::default(), Rng::new(0, Stream::Env, 0), 0.0);
        shop.reset(&mut state, &mut rng);
        let planned = shop.plan().best(shop, state.carried.as_ref().unwrap()).1;
        let player = Retail::PLAYERS.iter().position(|p| p.name == "planned").unwrap();
        for _ in 0..shop.periods() {
            let (mut price, mut reward) = ([0f32], [0f32]);
            shop.play(player, &state, ActionsMut::Continuous(&mut price));
            shop.step(&mut state, Actions::Continuous(&price), &mut reward, &mut rng);
            total += f64::from(reward[0]);
        }
        (total, planned)
    }

    /// Profit is concave in what is sold, so a stock that is too small is best sold in equal shares: at the price p with
    /// 1000 e^(2 − p) / (1 + e^(2 − p)) = stock / weeks.
    #[test]
    fn a_small_stock_is_sold_evenly() {
        let shop = one(RetailSettings { stock: vec![2000.0], periods: Some(10), ..Default::default() });
        let share: f64 = 2000.0 / 10.0 / 1000.0;
        let price = 2.0 - (share / (1.0 - share)).ln();
        let best = 2000.0 * (price - 0.5);
        let (total, planned) = earned(&shop);
        assert!(total > 0.998 * best && total < 1.0001 * best, "{total} of {best}");
        assert!((planned / best - 1.0).abs() < 0.01, "planned {planned}, best {best}");
    }

    /// Usual prices and a rival who follows, three weeks: against all triples of 71 prices.
    #[test]
    fn three_weeks_are_as_good_as_exhaustive_search() {
        let shop = one(RetailSettings {
            reference_effect: 1.5,
            rival: Some(2.0),
            rival_follows: 0.5,
            periods: Some(3),
            ..Default::default()
        });
        let (mut start, mut rng) = (State::default(), Rng::new(0, Stream::Env, 0));
        shop.reset(&mut start, &mut rng);
        let mut best = f32::NEG_INFINITY;
        for i in 0..71usize.pow(3) {
            let (mut state, mut total) = (start.clone(), 0.0);
            for price in [i / 5041, i / 71 % 71, i % 71] {
                let mut reward = [0f32];
                shop.step(&mut state, Actions::Continuous(&[0.5 + 0.05 * price as f32]), &mut reward, &mut rng);
                total += reward[0];
            }
            best = best.max(total);
        }
        let (total, planned) = earned(&shop);
        assert!(total > 0.9999 * f64::from(best), "{total} of {best}");
        assert!((planned / total - 1.0).abs() < 0.01, "planned {planned}, earned {total}");
    }

    /// With few customers who decide by themselves and nothing to save for, the plan is each week's own best price.
    #[test]
    fn chance_does_not_bias_a_plan() {
        let shop = one(RetailSettings { seasons: vec![-3.0], periods: Some(2), ..Default::default() });
        let shop =
            Retail::new(RetailSettings { sales: Sales::Sampled, customers: vec![10.0], ..shop.settings.clone() });
        let shop = shop.unwrap();
        let (mut state, mut rng) = (State::default(), Rng::new(0, Stream::Env, 0));
        shop.reset(&mut state, &mut rng);
        let worth = |price: f64| 10.0 * (price - 0.5) / (1.0 + (1.0 + price).exp());
        let best = (0..3501).map(|i| worth(0.5 + 0.001 * f64::from(i))).fold(0.0, f64::max);
        let planned = shop.plan().best(&shop, state.carried.as_ref().unwrap()).1;
        assert!((planned / (2.0 * best) - 1.0).abs() < 1e-4, "{planned} is not twice {best}");
    }

    #[test]
    fn what_cannot_be_planned_is_said() {
        assert!(RetailPlan::possible(&one(RetailSettings::default())).unwrap_err().contains("exact"));
        let many = Retail::new(RetailSettings { seasons: vec![0.1], ..Default::default() }).unwrap();
        assert!(RetailPlan::possible(&many).unwrap_err().contains("one product"));
    }
}
