//! Which column of a sales table is what: guessed from names and contents, told, and refused where two columns may be meant.

use super::words::{COST, CUSTOMERS, DISPLAY, HOLIDAY, PRICE, PRODUCT, Role, SHOP, STOCK, UNITS, WEEK, words};
use crate::sales::calendar::{Dates, Weeks};
use crate::sales::dialect::yes_or_no;
use crate::sales::median;
use agon_agents::data::Raw;
use agon_agents::data::cells::is_missing;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Rows that are looked at to tell what columns hold.
const LOOKED_AT: usize = 20_000;
/// Fewer sales than this a product's week in a shop say too little: shops are then added up.
const SPARSE: f64 = 5.0;

/// A mapping on its way.
pub struct Guess<'a> {
    raw: &'a Raw,
    /// The mapping: the settings of `[fit]`.
    pub fit: Map<String, Value>,
    /// What was decided by more than a name, for people.
    pub notes: Vec<String>,
    /// Columns, or patterns of them, that may be covariates.
    pub more: Vec<String>,
    used: HashSet<usize>,
    numbers: Vec<bool>,
}

/// A number as people write it, roughly: enough to compare columns.
fn rough(cell: &str) -> Option<f64> {
    let plain: String = cell.chars().filter(|c| c.is_ascii_digit() || ['.', ',', '-'].contains(c)).collect();
    if let Ok(x) = plain.parse() {
        return Some(x);
    }
    // The last mark divides the fraction, unless it comes twice.
    let mark = plain.chars().rfind(|c| ['.', ','].contains(c))?;
    let decimal = plain.matches(mark).count() == 1;
    let text: String = plain.chars().filter(|c| !['.', ','].contains(c) || decimal && *c == mark).collect();
    text.replace(',', ".").parse().ok()
}

impl<'a> Guess<'a> {
    /// The mapping of a table. `given`: what is known of it.
    ///
    /// # Errors
    /// No column can be a part of it, or several can; with what to say.
    pub fn of(raw: &'a Raw, given: &Map<String, Value>) -> Result<Self, String> {
        let some = raw.some(0..raw.rows().min(LOOKED_AT));
        let like_number = |c: usize| {
            let mut cells = some.column(c).flatten().take(2000).peekable();
            cells.peek().is_some() && cells.all(|cell| rough(cell).is_some() && !cell.contains([':', '/']))
        };
        let numbers = (0..raw.names.len()).map(like_number).collect();
        let (fit, notes, more) = (given.clone(), Vec::new(), Vec::new());
        let mut guess = Self { raw, fit, notes, more, used: HashSet::new(), numbers };
        for value in given.values().filter_map(Value::as_str) {
            guess.used.extend(raw.find(value));
        }
        guess.week()?;
        if !given.contains_key("product") && guess.wide(given) {
            return Ok(guess);
        }
        guess.long(given, &some)?;
        Ok(guess)
    }

    fn text(&self, key: &str) -> &str {
        self.fit.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn at(&self, key: &str) -> Option<usize> {
        self.raw.find(self.text(key))
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.fit.entry(key).or_insert(value.into());
    }

    /// The column of a role, by its name. Two that fit alike are refused.
    fn column(&self, role: &Role, may: impl Fn(usize) -> bool) -> Result<Option<usize>, String> {
        let fits = |c: &usize| role.fits(&self.raw.names[*c]).map(|score| (score, *c));
        let free = (0..self.raw.names.len()).filter(|c| !self.used.contains(c) && may(*c));
        let mut all: Vec<_> = free.filter_map(|c| fits(&c)).collect();
        all.sort_unstable();
        let Some(&(best, column)) = all.first() else { return Ok(None) };
        let alike: Vec<usize> = all.iter().filter(|(score, _)| *score == best).map(|(_, c)| *c).collect();
        if alike.len() > 1 {
            // Equal columns are one; else one that is an identifier, or a whole name, is meant.
            let same = |c: &usize| (0..self.raw.rows()).all(|r| self.raw.cell(r, *c) == self.raw.cell(r, column));
            if alike.iter().all(same) {
                return Ok(Some(column));
            }
            let id = |c: &&usize| words(&self.raw.names[**c]).iter().any(|w| w == "id" || w == "ids");
            let ids: Vec<&usize> = alike.iter().filter(id).collect();
            let whole = |c: &&usize| words(&self.raw.names[**c]).len() == 1;
            let wholes: Vec<&usize> = alike.iter().filter(whole).collect();
            if let ([one], _) | (_, [one]) = (&ids[..], &wholes[..]) {
                return Ok(Some(**one));
            }
            let names: Vec<String> = alike.iter().map(|c| format!("`{}`", self.raw.names[*c])).collect();
            let (key, first) = (role.key, &self.raw.names[column]);
            return Err(format!("{} may each be the {key}: say which, as in --map {key}={first}", names.join(" and ")));
        }
        Ok(Some(column))
    }

    fn take(&mut self, role: &Role, may: impl Fn(usize) -> bool) -> Result<bool, String> {
        if self.fit.contains_key(role.key) {
            return Ok(!self.text(role.key).is_empty());
        }
        let Some(column) = self.column(role, may)? else { return Ok(false) };
        self.used.insert(column);
        self.set(role.key, self.raw.names[column].clone());
        Ok(true)
    }

    fn week(&mut self) -> Result<(), String> {
        if self.text("dates") == "rows" {
            return Ok(());
        }
        let raw = self.raw;
        let read = |c: usize, dates: Dates| {
            let cells: Vec<(&str, u64)> =
                (0..raw.rows().min(LOOKED_AT)).map(|r| (raw.cell(r, c), raw.lines[r])).collect();
            let cells: Vec<_> = cells.into_iter().filter(|(cell, _)| !crate::sales::calendar::is_total(cell)).collect();
            Weeks::read(&cells, &raw.names[c], dates)
        };
        // A column whose only fault is that day and month may be swapped is one of weeks.
        let like = |c: usize| {
            read(c, Dates::Auto)
                .map_or_else(|why| why.contains("month-first"), |w| w.numbers.iter().flatten().count() > 0)
        };
        if !self.take(&WEEK, like)? && !self.fit.contains_key("week") {
            // Whatever it is called, a column of dates is one; numbers may be anything.
            let dates: Vec<usize> = (0..raw.names.len()).filter(|c| !self.numbers[*c] && like(*c)).collect();
            match dates[..] {
                [] => {}
                [only] => {
                    self.used.insert(only);
                    self.set("week", raw.names[only].clone());
                    self.notes.push(format!("`{}` is the only column of dates: it tells the week", raw.names[only]));
                }
                _ => {
                    let names: Vec<String> = dates.iter().map(|c| format!("`{}`", raw.names[*c])).collect();
                    let first = &raw.names[dates[0]];
                    return Err(format!(
                        "{} each hold dates: say which tells the week, as in --map week={first}",
                        names.join(" and ")
                    ));
                }
            }
        }
        let Some(column) = self.at("week").filter(|_| !self.fit.contains_key("dates")) else { return Ok(()) };
        let serial = |cell: &str| rough(cell).is_some_and(|x| (20_000.0..=80_000.0).contains(&x));
        let named =
            words(&raw.names[column]).iter().any(|w| ["date", "datum", "day", "fecha", "dt"].contains(&w.as_str()));
        let mut cells = raw.column(column).flatten().take(1000);
        if named && cells.all(serial) {
            self.set("dates", "excel");
            self.notes.push(format!("numbers in `{}` are taken for Excel's dates", raw.names[column]));
        }
        Ok(())
    }

    /// Whether each product has columns of its own: those of units and prices have the same names but for a word.
    fn wide(&mut self, given: &Map<String, Value>) -> bool {
        let patterns = |role: &Role| -> Vec<(String, BTreeSet<String>)> {
            let mut found: Vec<(String, BTreeSet<String>)> = Vec::new();
            for (c, name) in self.raw.names.iter().enumerate().filter(|(c, _)| self.numbers[*c]) {
                if self.used.contains(&c) || role.fits(name).is_none() {
                    continue;
                }
                let marks: Vec<usize> =
                    name.char_indices().filter(|(_, c)| ['_', '.', ' ', '-'].contains(c)).map(|(i, _)| i).collect();
                for at in marks {
                    let (head, tail) = (&name[..=at], &name[at + 1..]);
                    for (pattern, inner) in
                        [(format!("{head}{{}}"), tail), (format!("{{}}{}", &name[at..]), &name[..at])]
                    {
                        if inner.is_empty() || role.fits(&pattern.replace("{}", "")).is_none() {
                            continue;
                        }
                        match found.iter_mut().find(|(known, _)| *known == pattern) {
                            Some((_, inners)) => _ = inners.insert(inner.into()),
                            None => found.push((pattern, BTreeSet::from([inner.to_owned()]))),
                        }
                    }
                }
            }
            found
        };
        let (units, prices) = (patterns(&UNITS), patterns(&PRICE));
        let pairs = units.iter().flat_map(|(u, a)| prices.iter().map(move |(p, b)| (u, p, a.intersection(b).count())));
        let Some((units, price, count)) = pairs.max_by_key(|(_, _, count)| *count) else { return false };
        if count == 0 {
            return false;
        }
        let inners: BTreeSet<String> =
            prices.iter().find(|(p, _)| p == price).map(|(_, b)| b.clone()).unwrap_or_default();
        let (units, price) = (units.clone(), price.clone());
        // The first of those with the most products.
        let other = |role: &Role| {
            let all = patterns(role).into_iter().map(|(pattern, found)| (found.intersection(&inners).count(), pattern));
            all.rev().max_by_key(|(count, _)| *count).filter(|(count, _)| *count > 0).unwrap_or_default()
        };
        // Where costs of some products are there, those of the others are asked for.
        let ((_, cost), (displays, display)) = (other(&COST), other(&DISPLAY));
        let display = if displays == inners.len() {
            display
        } else {
            if displays > 0 {
                self.notes.push(format!("`{display}` is there for {displays} of {} products: not used", inners.len()));
            }
            String::new()
        };
        let marks = patterns(&DISPLAY).into_iter().filter(|(_, found)| found.is_superset(&inners));
        self.more = marks.map(|(pattern, _)| pattern).filter(|pattern| *pattern != display).collect();
        let holiday = |name: &&String| HOLIDAY.fits(name).is_some();
        self.more.extend(self.raw.names.iter().filter(holiday).cloned());
        let customers = self.column(&CUSTOMERS, |c| self.numbers[c]).ok().flatten();
        let customers = customers.map(|c| self.raw.names[c].clone()).unwrap_or_default();
        for (key, value) in
            [("units", units), ("price", price), ("cost", cost), ("display", display), ("customers", customers)]
        {
            if !given.contains_key(key) {
                self.set(key, value);
            }
        }
        true
    }

    fn long(&mut self, given: &Map<String, Value>, some: &Raw) -> Result<(), String> {
        let numbers = self.numbers.clone();
        let number = |c: usize| numbers[c];
        self.take(&SHOP, |_| true)?;
        self.take(&CUSTOMERS, number)?;
        self.set("customers", "");
        self.take(&UNITS, number)?;
        let labels = |c: usize| some.column(c).flatten().collect::<HashSet<_>>().len() > 1;
        self.take(&PRODUCT, labels)?;
        self.set("product", "");
        self.prices(given)?;
        self.take(&COST, number)?;
        self.set("cost", "");
        let share = |c: usize| {
            let part = |cell| rough(cell).is_some_and(|x| (0.0..=1.0).contains(&x));
            let mut cells = some.column(c).flatten().peekable();
            cells.peek().is_some_and(|cell| numbers[c] || yes_or_no(cell).is_some())
                && cells.all(|cell| part(cell) || yes_or_no(cell).is_some())
        };
        self.displays_of_products(&share);
        if !self.fit.contains_key("display") {
            let free = (0..self.raw.names.len()).filter(|c| !self.used.contains(c) && share(*c));
            let best = free.filter_map(|c| DISPLAY.fits(&self.raw.names[c]).map(|score| (score, c))).min();
            self.set("display", best.map_or(String::new(), |(_, c)| self.raw.names[c].clone()));
        }
        // What else is a promotion or a holiday.
        let rest = (0..self.raw.names.len()).filter(|c| !self.used.contains(c) && share(*c));
        let more = rest.map(|c| &self.raw.names[c]).filter(|name| **name != self.text("display"));
        self.more = more.filter(|n| DISPLAY.fits(n).or(HOLIDAY.fits(n)).is_some()).cloned().collect();
        self.take(&STOCK, number)?;
        let Some(week) = self.at("week") else { return self.without_weeks() };
        if self.text("units").is_empty() && self.text("product").is_empty() {
            let names = self.raw.names.join(", ");
            return Err(format!(
                "no column looks like units sold: say which, as in --map units=COLUMN; its columns are {names}"
            ));
        }
        self.what_units_are();
        self.set("units", "");
        if self.text("product").is_empty() && self.text("shop").is_empty() {
            // One product, a row a week: a name is all that is lacking.
            self.set("products", Value::from(vec!["product"]));
        }
        self.sizes(some);
        self.rows(week, given.contains_key("shop"))?;
        self.what_money_is(some)
    }

    /// Where rows tell the prices of all products, displays may have a column for each as well.
    fn displays_of_products(&mut self, share: &dyn Fn(usize) -> bool) {
        let Some(product) = self.at("product").filter(|_| self.text("price").contains("{}")) else { return };
        let raw = self.raw;
        let all: BTreeSet<&str> = raw.column(product).flatten().collect();
        let starts = raw.names.iter().filter_map(|name| all.iter().find_map(|value| name.strip_suffix(*value)));
        let mut each = starts
            .filter(|start| DISPLAY.fits(start).is_some())
            .filter(|start| all.iter().all(|value| raw.find(&format!("{start}{value}")).is_some_and(share)));
        if let Some(start) = each.next() {
            let start = start.to_owned();
            self.set("display", format!("{start}{{}}"));
        }
    }

    /// Without a column of weeks, rows of a shop may be its weeks; single purchases are not.
    fn without_weeks(&mut self) -> Result<(), String> {
        let how = "add one, or say which it is, as in --map week=COLUMN";
        if self.text("units").is_empty() {
            let (product, names) = (self.text("product").to_owned(), self.raw.names.join(", "));
            return Err(format!(
                "no column is of weeks or dates, and rows are single purchases (of `{product}`), of buyers only: nobody \
                 can tell how many were sold in a week; {how}; its columns are {names}"
            ));
        }
        if self.text("shop").is_empty() {
            return Err(format!(
                "no column is of weeks or dates: {how}; if rows are weeks in order of time, say --map dates=rows"
            ));
        }
        self.set("dates", "rows");
        self.what_units_are();
        self.notes.push(format!(
            "no column is of weeks or dates: the rows of each `{}` are taken for its weeks, in order",
            self.text("shop")
        ));
        Ok(())
    }

    fn what_units_are(&mut self) {
        let words = words(self.text("units"));
        if words.iter().any(|w| w.starts_with("log") || w == "ln") {
            self.set("units_as", "log");
        } else if words.iter().any(|w| w.starts_with("share")) {
            self.set("units_as", "share");
        }
    }

    /// The column of prices: each product's own, or one for all.
    fn prices(&mut self, given: &Map<String, Value>) -> Result<(), String> {
        if given.contains_key("price") {
            return Ok(());
        }
        if let Some(product) = self.at("product") {
            let all: BTreeSet<&str> = self.raw.column(product).flatten().collect();
            if (2..=40).contains(&all.len()) {
                let beginning = |name: &'a str, value: &str| name.strip_suffix(value).filter(|rest| !rest.is_empty());
                let raw = self.raw;
                let mut found: Vec<&str> =
                    raw.names.iter().filter_map(|n| all.iter().find_map(|v| beginning(n, v))).collect();
                found.retain(|start| {
                    PRICE.fits(start).is_some() && all.iter().all(|v| raw.find(&format!("{start}{v}")).is_some())
                });
                found.sort_by_key(|start| {
                    let paid =
                        words(start).iter().any(|w| ["sale", "sales", "paid", "net", "final"].contains(&w.as_str()));
                    (!paid, start.len())
                });
                if let Some(start) = found.first() {
                    self.used.extend(all.iter().filter_map(|v| raw.find(&format!("{start}{v}"))));
                    self.set("price", format!("{start}{{}}"));
                    return Ok(());
                }
            }
        }
        let numbers = self.numbers.clone();
        if !self.take(&PRICE, |c| numbers[c])? {
            let names = self.raw.names.join(", ");
            return Err(format!(
                "no column looks like a price: say which, as in --map price=COLUMN; its columns are {names}"
            ));
        }
        Ok(())
    }

    /// A size beside the name of a product belongs to it: else prices seem to move where sizes do.
    fn sizes(&mut self, some: &Raw) {
        let Some(product) = self.at("product") else { return };
        let size = |c: &usize| {
            words(&self.raw.names[*c]).iter().any(|w| {
                ["size", "pack", "variant", "format", "größe", "groesse", "grösse", "taille"].contains(&w.as_str())
            })
        };
        let free = (0..self.raw.names.len()).filter(|c| !self.used.contains(c) && size(c));
        let mut several = Vec::new();
        for c in free {
            let mut sizes: HashMap<&str, HashSet<&str>> = HashMap::new();
            for row in 0..some.rows() {
                sizes.entry(some.cell(row, product)).or_default().insert(some.cell(row, c));
            }
            if sizes.values().any(|all| all.len() > 1) {
                several.push(self.raw.names[c].clone());
            }
        }
        if !several.is_empty() && self.fit.get("product").is_some() {
            let whole = [vec![self.text("product").to_owned()], several].concat().join(" + ");
            self.fit.insert("product".into(), whole.into());
        }
    }

    /// Whether rows are weeks of products, or single sales; whether shops are told apart.
    fn rows(&mut self, week: usize, shops_are_asked_for: bool) -> Result<(), String> {
        let raw = self.raw;
        if self.fit.contains_key("rows") {
            return Ok(());
        }
        let cells: Vec<(&str, u64)> = (0..raw.rows()).map(|r| (raw.cell(r, week), raw.lines[r])).collect();
        let dates = match self.text("dates") {
            "excel" => Dates::Excel,
            "day-first" => Dates::DayFirst,
            "month-first" => Dates::MonthFirst,
            _ => Dates::Auto,
        };
        let cells: Vec<(&str, u64)> = cells
            .into_iter()
            .map(|(c, l)| if crate::sales::calendar::is_total(c) { ("", l) } else { (c, l) })
            .collect();
        let weeks = Weeks::read(&cells, &raw.names[week], dates)?.numbers;
        let product: Vec<usize> = self.text("product").split(" + ").filter_map(|name| raw.find(name)).collect();
        let shop = self.at("shop");
        let key = |r: usize, more: Option<usize>| {
            let cell = |c: usize| raw.cell(r, c);
            let names: Vec<&str> = product.iter().map(|c| cell(*c)).collect();
            (weeks[r], names, shop.map(cell), more.map(cell))
        };
        let rows: Vec<usize> = (0..raw.rows()).filter(|r| weeks[*r].is_some()).collect();
        let distinct = |more: Option<usize>| rows.iter().map(|r| key(*r, more)).collect::<HashSet<_>>().len();
        let count = distinct(None);
        let single = self.text("units").is_empty();
        if !single && 50 * (rows.len() - count) <= rows.len() {
            return Ok(());
        }
        // A column of a few words, or of whole numbers that come back in most weeks, with which no two rows are alike: perhaps
        // shops.
        let come_back = |c: usize, all: usize| {
            let whole = raw.column(c).flatten().all(|cell| cell.bytes().all(|b| b.is_ascii_digit()));
            let there: HashSet<_> = rows.iter().map(|r| (raw.cell(*r, c), weeks[*r])).collect();
            let weeks = rows.iter().map(|r| weeks[*r]).collect::<HashSet<_>>().len();
            whole && 2 * there.len() >= all * weeks
        };
        for c in (0..raw.names.len()).filter(|c| !self.used.contains(c) && !single && shop.is_none()) {
            let all = raw.column(c).flatten().take(LOOKED_AT).collect::<HashSet<_>>().len();
            if (2..=200).contains(&all) && distinct(Some(c)) == rows.len() && (!self.numbers[c] || come_back(c, all)) {
                let name = &raw.names[c];
                return Err(format!(
                    "column `{name}` tells the rows of one week apart: if it names shops, say --map shop={name}; if rows \
                     are to be added up, say --map rows=sales; or leave all but one out of the table"
                ));
            }
        }
        self.set("rows", "sales");
        if single {
            self.notes.push(
                "rows are single purchases, of buyers only: how many came and did not buy is a guess (market_size)"
                    .into(),
            );
        }
        let each = rows.len() as f64 / count.max(1) as f64;
        if let Some(shop) = shop
            && each < SPARSE
            && !shops_are_asked_for
        {
            let name = raw.names[shop].clone();
            self.fit.insert("shop".into(), "".into());
            self.notes.push(format!(
                "sales in `{name}` are {each:.1} a week, shop and product: shops are added up (--map shop={name} keeps \
                 them apart)"
            ));
        }
        Ok(())
    }

    /// Whether money is of one unit or of all units of a row: prices of rows with two units beside those with one.
    fn what_money_is(&mut self, some: &Raw) -> Result<(), String> {
        for (key, key_as) in [("cost", "cost_as"), ("price", "price_as")] {
            let Some(column) = self.at(key).filter(|_| !self.fit.contains_key(key_as)) else { continue };
            let words = words(&self.raw.names[column]);
            let called = |list: &[&str]| words.iter().any(|w| list.contains(&w.as_str()));
            if key == "cost" && called(&["profit", "margin", "marge"]) {
                let middle = median(some.column(column).flatten().filter_map(rough));
                if (2.0..=95.0).contains(&middle) {
                    self.set(key_as, "margin-percent");
                } else {
                    self.notes.push(format!("`{}` is no margin in per cent: it is not used", self.raw.names[column]));
                    self.fit.insert("cost".into(), "".into());
                }
                continue;
            }
            let (Some(units), Some(product)) = (self.at("units"), self.raw.find(self.text("product"))) else {
                continue;
            };
            if self.text("rows") != "sales" {
                if called(&["revenue", "umsatz", "turnover", "value", "spend", "total"]) {
                    self.set(key_as, "total");
                }
                continue;
            }
            let mut by_units: HashMap<(&str, u8), Vec<f64>> = HashMap::new();
            for row in 0..some.rows() {
                let cells = [units, column].map(|c| Some(some.cell(row, c)).filter(|c| !is_missing(c)).and_then(rough));
                if let [Some(u), Some(money)] = cells
                    && (u == 1.0 || u == 2.0)
                {
                    by_units.entry((some.cell(row, product), u as u8)).or_default().push(money);
                }
            }
            let ratios: Vec<f64> = by_units
                .iter()
                .filter(|((_, u), _)| *u == 2)
                .filter_map(|((name, _), two)| {
                    let one = by_units.get(&(*name, 1))?;
                    Some(median(two.iter().copied()) / median(one.iter().copied()))
                })
                .filter(|ratio| ratio.is_finite())
                .collect();
            let ratio = median(ratios.iter().copied());
            let name = &self.raw.names[column];
            match ratio {
                _ if ratios.is_empty() => {}
                1.6..=2.4 => {
                    let told = format!("`{name}` is of all units of a row: two cost {ratio:.2} times what one does");
                    self.set(key_as, "total");
                    self.notes.push(told);
                }
                0.7..=1.3 => {}
                _ => {
                    let what = format!("rows of two units hold {ratio:.2} times what rows of one hold");
                    return Err(format!(
                        "column `{name}` may be of one unit or of all units of a row ({what}): say --map {key_as}=unit or \
                         --map {key_as}=total"
                    ));
                }
            }
        }
        Ok(())
    }
}
