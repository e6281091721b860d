//! Rules that prices must obey, and the projection of any wanted prices onto them. Knows no environment.
//!
//! Each product has a set of allowed prices in a week: an interval, less what is on no price ladder and has no allowed
//! ending. Gaps between products (large at least small + g) are difference constraints, so that the vectors of prices that
//! obey all rules are a lattice: least and greatest ones exist, and so does the least one above any that is wanted.

use agon_core::settings;
use agon_core::settings::Issue;

settings! {
    /// Two products of a family, of which one is never the cheaper: large beside small, a brand beside the shop's own.
    pub struct Gap {
        /// The product that is dearer.
        dearer: String = String::new();
        /// The product that is cheaper.
        cheaper: String = String::new();
        /// By how much at least, in money.
        gap: f64 = 0.0, in [0.0, 1e9];
    }
}

settings! {
    /// When a product is promoted.
    pub struct Promotion {
        /// The product.
        product: String = String::new();
        /// Weeks of a cycle, from the calendar's week 0, in which it is.
        weeks: Vec<bool> = Vec::new();
        /// Its highest price in those weeks.
        promoted: f64 = 1e9, in [0.0, 1e9];
        /// Its lowest price in all others.
        regular: f64 = 0.0, in [0.0, 1e9];
    }
}

settings! {
    /// Rules of prices; those that are left out hold nothing back.
    pub struct RuleSettings {
        /// Every price is the one charged, whatever else is set.
        stop: bool = false;
        /// The lowest price, a product each.
        floors: Vec<f64> = Vec::new(), in [0.0, 1e9];
        /// The highest price, a product each.
        ceilings: Vec<f64> = Vec::new(), in [0.0, 1e9];
        /// The least share of a price that is left above the unit cost.
        min_margin: Option<f64> = None, in [0.0, 0.99];
        /// What prices may end in, such as [0.95, 0.99]; anything if left out.
        endings: Vec<f64> = Vec::new(), in [0.0, 0.999_999];
        /// The only prices of a product, a list each; an empty list allows all.
        ladders: Vec<Vec<f64>> = Vec::new(), in [0.0, 1e9];
        /// The largest change from last week's price, as a share of it.
        max_change: Option<f64> = None, in [1e-6, 100.0];
        /// Weeks that a price stays once it was changed.
        cooldown: u32 = 0, in [0.0, 1e4];
        /// Products of which one is never the cheaper.
        gaps: Vec<Gap> = Vec::new();
        /// When products are promoted.
        promotions: Vec<Promotion> = Vec::new();
    }
}

/// What is known of a product in a week.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Its unit cost.
    pub cost: f64,
    /// The lowest and the highest price that the seller considers.
    pub range: [f64; 2],
    /// The price charged by whoever set prices before, if known.
    pub charged: Option<f64>,
    /// Last week's price, if there was one.
    pub last: Option<f64>,
    /// Weeks since it was changed; any large number if it never was.
    pub since: u32,
    /// Whether its price is the lowest of its range, whatever its own rules say.
    pub held: bool,
}

/// Room for a projection, so that one allocates nothing once it has grown.
#[derive(Clone, Debug, Default)]
pub struct Room {
    ends: Vec<[f64; 2]>,
    most: Vec<f64>,
    least: Vec<f64>,
}

impl Room {
    /// Room for so many products.
    pub fn grow(&mut self, products: usize) {
        self.ends.clear();
        self.ends.reserve(products);
        for list in [&mut self.most, &mut self.least] {
            list.clear();
            list.reserve(products);
        }
    }
}

/// Why no prices obey the rules in a week; [`Rules::explain`] says it in words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Conflict {
    /// One product's own rules leave nothing: which, and its lowest and highest price by intervals.
    Product(usize, f64, f64),
    /// A gap cannot be kept: the dearer product, the cheaper one, by how much.
    Gap(usize, usize, f64),
}

/// A product that is dearer, one that is cheaper, and by how much at least.
pub type Difference = (usize, usize, f64);

/// Rules of some products, checked.
#[derive(Clone, Debug)]
pub struct Rules {
    names: Vec<String>,
    set: RuleSettings,
    gaps: Vec<Difference>,
    /// Ladders in rising order.
    ladders: Vec<Vec<f64>>,
}

/// Money is compared up to rounding of this share.
pub const ROUNDING: f64 = 1e-9;
/// Prices of one product that are listed at most.
const MOST_LISTED: usize = 1000;
/// Passes over all gaps after which prices that must be equal are taken to meet on no ladders.
const PASSES: usize = 10_000;

impl Rules {
    /// Checks that settings fit together and contradict each other nowhere; the issues name what does.
    pub fn new(names: &[String], set: RuleSettings) -> Result<Self, Vec<Issue>> {
        let n = names.len();
        let mut issues = Vec::new();
        for (key, found) in
            [("floors", set.floors.len()), ("ceilings", set.ceilings.len()), ("ladders", set.ladders.len())]
        {
            if found != 0 && found != n {
                issues.push(Issue::value(key, format!("has {found} entries where {n} are needed, one a product")));
            }
        }
        let place = |name: &String| names.iter().position(|known| known == name);
        let unknown = |name: &String| format!("names `{name}`, which is no product here");
        let mut gaps = Vec::new();
        for gap in &set.gaps {
            match (place(&gap.dearer), place(&gap.cheaper)) {
                (Some(a), Some(b)) if a != b => gaps.push((a, b, gap.gap)),
                (Some(_), Some(_)) => {
                    issues.push(Issue::value("gaps", format!("{} cannot be dearer than itself", gap.dearer)));
                }
                (None, _) => issues.push(Issue::value("gaps", unknown(&gap.dearer))),
                (_, None) => issues.push(Issue::value("gaps", unknown(&gap.cheaper))),
            }
        }
        for promotion in &set.promotions {
            if place(&promotion.product).is_none() {
                issues.push(Issue::value("promotions", unknown(&promotion.product)));
            }
            if promotion.weeks.is_empty() {
                issues.push(Issue::value("promotions", format!("of {} have no weeks", promotion.product)));
            }
        }
        // Where no product has rules of its own, gaps settle after as many passes as there are products, or never.
        let mut steps = vec![0.0f64; n];
        for pass in 0..=n {
            for (dearer, cheaper, gap) in &gaps {
                if steps[*dearer] < steps[*cheaper] + gap {
                    steps[*dearer] = steps[*cheaper] + gap;
                    if pass == n {
                        let message =
                            format!("go round in a circle by {}: nothing is dearer than itself", names[*dearer]);
                        issues.push(Issue::value("gaps", message));
                    }
                }
            }
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        for ((name, floor), ceiling) in names.iter().zip(&set.floors).zip(&set.ceilings) {
            if floor > ceiling {
                issues.push(Issue::value("floors", format!("of {name} is {floor}, above its ceiling {ceiling}")));
            }
        }
        let mut ladders = set.ladders.clone();
        ladders.resize(n, Vec::new());
        ladders.iter_mut().for_each(|ladder| ladder.sort_by(f64::total_cmp));
        let rules = Self { names: names.to_vec(), set, gaps, ladders };
        // Without costs and last week's prices: what contradicts itself whatever those are. Weeks differ by promotions alone.
        let free = Now { cost: 0.0, range: [0.0, 1e9], charged: None, last: None, since: u32::MAX, held: false };
        let cycle = rules.set.promotions.iter().map(|p| p.weeks.len()).max().unwrap_or(1);
        if issues.is_empty() {
            for week in 0..cycle {
                if let Err(conflict) = rules.possible(week, &vec![free; n]) {
                    issues.push(Issue { path: Vec::new(), at_key: false, message: rules.explain(&conflict) });
                    break;
                }
            }
        }
        if issues.is_empty() { Ok(rules) } else { Err(issues) }
    }

    /// Whether a price depends on last week's.
    pub fn remember(&self) -> bool {
        self.set.max_change.is_some() || self.set.cooldown > 0
    }

    /// Weeks that a price stays once it was changed.
    pub fn cooldown(&self) -> u32 {
        self.set.cooldown
    }

    /// The largest change from last week's price, as a share of it.
    pub fn max_change(&self) -> Option<f64> {
        self.set.max_change
    }

    /// Whether every price is the one charged.
    pub fn stopped(&self) -> bool {
        self.set.stop
    }

    /// Dearer product, cheaper product, by how much at least; none where every price is the one charged.
    pub fn gaps(&self) -> &[Difference] {
        if self.set.stop { &[] } else { &self.gaps }
    }

    /// Whether only some prices of a product's interval are allowed.
    pub fn listed(&self, k: usize) -> bool {
        !self.ladders[k].is_empty() || !self.set.endings.is_empty()
    }

    /// From where to where a product's price may be by its own rules, but for ladders and endings.
    pub fn interval(&self, week: usize, k: usize, now: &Now) -> [f64; 2] {
        let [mut low, mut high] = now.range;
        if now.held {
            return [low, low];
        }
        if let Some(floor) = self.set.floors.get(k) {
            low = low.max(*floor);
        }
        if let Some(ceiling) = self.set.ceilings.get(k) {
            high = high.min(*ceiling);
        }
        if let Some(margin) = self.set.min_margin {
            low = low.max(now.cost / (1.0 - margin));
        }
        for promotion in self.set.promotions.iter().filter(|p| p.product == self.names[k]) {
            if promotion.weeks[week % promotion.weeks.len()] {
                high = high.min(promotion.promoted);
            } else {
                low = low.max(promotion.regular);
            }
        }
        if let Some(last) = now.last {
            if let Some(change) = self.set.max_change {
                (low, high) = (low.max(last * (1.0 - change)), high.min(last * (1.0 + change)));
            }
            if now.since < self.set.cooldown {
                (low, high) = (low.max(last), high.min(last));
            }
        }
        [low, high]
    }

    /// The prices of a product that its own rules allow, rising; empty where any price of its interval is, or more than a
    /// thousand are.
    pub fn menu(&self, week: usize, k: usize, now: &Now) -> Vec<f64> {
        if let Some(charged) = now.charged.filter(|_| self.set.stop) {
            return vec![charged];
        }
        let [low, high] = self.interval(week, k, now);
        let listed = now.held || !self.ladders[k].is_empty() || !self.set.endings.is_empty();
        if !listed {
            return Vec::new();
        }
        let (mut menu, mut next) = (Vec::new(), low);
        let allowed = |from: f64| self.at_or_above(k, from, now).filter(|p| *p <= high + ROUNDING * high.abs());
        while let Some(price) = allowed(next) {
            if menu.len() == MOST_LISTED {
                return Vec::new();
            }
            menu.push(price);
            // Beyond what rounding takes for the same price.
            next = price + 4.0 * ROUNDING * price.abs().max(1.0);
        }
        menu
    }

    /// The lowest price of a product that is allowed, at or above one; whatever its interval says.
    fn at_or_above(&self, k: usize, price: f64, now: &Now) -> Option<f64> {
        let near = price - ROUNDING * price.abs();
        if now.held {
            return Some(now.range[0]).filter(|p| *p >= near);
        }
        if let [_, ..] = &self.ladders[k][..] {
            return self.ladders[k].iter().copied().find(|p| *p >= near && self.ends_well(*p));
        }
        if self.set.endings.is_empty() {
            return Some(price);
        }
        let after = |ending: &f64| (near - ending).ceil() + ending;
        self.set.endings.iter().map(after).filter(|p| *p >= 0.0).min_by(f64::total_cmp).map(|p| p.max(0.0))
    }

    /// The highest price of a product that is allowed, at or below one.
    fn at_or_below(&self, k: usize, price: f64, now: &Now) -> Option<f64> {
        let near = price + ROUNDING * price.abs();
        if now.held {
            return Some(now.range[0]).filter(|p| *p <= near);
        }
        if let [_, ..] = &self.ladders[k][..] {
            return self.ladders[k].iter().rev().copied().find(|p| *p <= near && self.ends_well(*p));
        }
        if self.set.endings.is_empty() {
            return Some(price);
        }
        let before = |ending: &f64| (near - ending).floor() + ending;
        self.set.endings.iter().map(before).filter(|p| *p >= 0.0).max_by(f64::total_cmp)
    }

    fn ends_well(&self, price: f64) -> bool {
        let near = |ending: &f64| {
            let off = price - ending;
            (off - off.round()).abs() <= 1e-7
        };
        self.set.endings.is_empty() || self.set.endings.iter().any(near)
    }

    /// Raises prices to the least ones at or above them that obey the rules, within these ends.
    fn raise(&self, now: &[Now], ends: &[[f64; 2]], prices: &mut [f64]) -> Result<(), Conflict> {
        let fits = |k: usize, price: f64| {
            let found = self.at_or_above(k, price.max(ends[k][0]), &now[k]);
            found.filter(|p| *p <= ends[k][1] + ROUNDING * ends[k][1].abs())
        };
        for (k, price) in prices.iter_mut().enumerate() {
            *price = fits(k, *price).ok_or(Conflict::Product(k, ends[k][0], ends[k][1]))?;
        }
        for pass in 0.. {
            let mut settled = true;
            for &(dearer, cheaper, more) in &self.gaps {
                let least = prices[cheaper] + more;
                if prices[dearer] < least - ROUNDING * least.abs() {
                    let found = fits(dearer, least).filter(|_| pass < PASSES);
                    prices[dearer] = found.ok_or(Conflict::Gap(dearer, cheaper, more))?;
                    settled = false;
                }
            }
            if settled {
                break;
            }
        }
        Ok(())
    }

    /// The same from above: lowers prices to the greatest ones that obey gaps.
    fn lower(&self, now: &[Now], prices: &mut [f64]) -> Result<(), Conflict> {
        loop {
            let mut settled = true;
            for &(dearer, cheaper, more) in &self.gaps {
                let highest = prices[dearer] - more;
                if prices[cheaper] > highest + ROUNDING * highest.abs() {
                    let found = self.at_or_below(cheaper, highest, &now[cheaper]);
                    prices[cheaper] = found.ok_or(Conflict::Gap(dearer, cheaper, more))?;
                    settled = false;
                }
            }
            if settled {
                return Ok(());
            }
        }
    }

    /// A conflict in words.
    pub fn explain(&self, conflict: &Conflict) -> String {
        match *conflict {
            Conflict::Product(k, low, high) => {
                let why = if low > high {
                    format!("it must be at least {low} and at most {high}")
                } else {
                    format!("none that is allowed lies from {low} to {high}")
                };
                format!("no price of {} obeys its own rules: {why}", self.names[k])
            }
            Conflict::Gap(dearer, cheaper, gap) => {
                let (dearer, cheaper) = (&self.names[dearer], &self.names[cheaper]);
                format!(
                    "{dearer} cannot be dearer than {cheaper} by {gap}: no prices of the two obey that and their own rules"
                )
            }
        }
    }

    /// Whether any prices obey the rules in a week of the calendar.
    pub fn possible(&self, week: usize, now: &[Now]) -> Result<(), Conflict> {
        if self.set.stop {
            return Ok(());
        }
        let mut room = Room::default();
        self.reach(week, now, &mut room)
    }

    /// The ends of all intervals, and the least prices that obey.
    fn reach(&self, week: usize, now: &[Now], room: &mut Room) -> Result<(), Conflict> {
        room.ends.clear();
        room.ends.extend(now.iter().enumerate().map(|(k, now)| self.interval(week, k, now)));
        room.least.clear();
        room.least.extend(room.ends.iter().map(|[low, _]| *low));
        self.raise(now, &room.ends, &mut room.least)
    }

    /// Prices that obey the rules in a week of the calendar, near those wanted: each is moved to the nearest allowed one of its
    /// own, then dearer products are raised as far as gaps ask, or, where they cannot be, cheaper ones are lowered first.
    /// With `stop`, prices are those charged, where they are known, whatever the rules. After an error prices are as wanted.
    pub fn project(&self, week: usize, now: &[Now], wanted: &mut [f64], room: &mut Room) -> Result<(), Conflict> {
        if self.set.stop {
            wanted.iter_mut().zip(now).for_each(|(price, now)| *price = now.charged.unwrap_or(*price));
            return Ok(());
        }
        self.reach(week, now, room)?;
        // Where least prices exist, so do greatest ones.
        room.most.clear();
        for (k, ends) in room.ends.iter().enumerate() {
            room.most.push(self.at_or_below(k, ends[1], &now[k]).ok_or(Conflict::Product(k, ends[0], ends[1]))?);
        }
        self.lower(now, &mut room.most)?;
        for (k, price) in wanted.iter_mut().enumerate() {
            let ([low, _], most) = (room.ends[k], room.most[k]);
            let aim = price.clamp(low.min(most), most);
            let within = |p: &f64| *p >= low - ROUNDING * p.abs() && *p <= most;
            let above = self.at_or_above(k, aim, &now[k]).filter(within);
            let below = self.at_or_below(k, aim, &now[k]).filter(within);
            *price = match (above, below) {
                (Some(a), Some(b)) if a - aim < aim - b => a,
                (_, Some(b)) => b,
                (Some(a), None) => a,
                (None, None) => most,
            };
        }
        // What is greatest obeys and is above: so there is a least above what is wanted.
        room.ends.iter_mut().zip(&room.most).for_each(|(ends, most)| ends[1] = *most);
        self.raise(now, &room.ends, wanted)
    }
}

/// Narrows ranges to what gaps leave of them, and to prices on menus (rising; an empty one has all); whether they leave
/// anything. `logs`: ranges and menus are of ln prices.
pub fn narrow(gaps: &[Difference], menus: &[Vec<f64>], logs: bool, ranges: &mut [[f64; 2]]) -> bool {
    let price = |x: f64| if logs { x.exp() } else { x };
    let number = |p: f64| if logs { p.max(0.0).ln() } else { p };
    for _ in 0..PASSES {
        let mut settled = true;
        for &(dearer, cheaper, gap) in gaps {
            let least = price(ranges[cheaper][0]) + gap;
            let low = number(least - ROUNDING * least.abs());
            if low > ranges[dearer][0] {
                let menu = &menus[dearer];
                let next = menu.partition_point(|x| *x < low);
                ranges[dearer][0] =
                    if menu.is_empty() { low } else { menu.get(next).copied().unwrap_or(f64::INFINITY) };
                settled = false;
            }
            let most = price(ranges[dearer][1]) - gap;
            let high = number(most + ROUNDING * most.abs());
            if high < ranges[cheaper][1] {
                let menu = &menus[cheaper];
                let next = menu.partition_point(|x| *x <= high).checked_sub(1);
                let below = next.map_or(f64::NEG_INFINITY, |i| menu[i]);
                ranges[cheaper][1] = if menu.is_empty() { high } else { below };
                settled = false;
            }
            if [dearer, cheaper].iter().any(|k| ranges[*k][0] > ranges[*k][1]) {
                return false;
            }
        }
        if settled {
            break;
        }
    }
    true
}

#[cfg(test)]
mod tests;
