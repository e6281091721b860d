//! Which column of a table is what. A column that nearly fits the mapping is an error with a suggestion; one that fits
//! nothing is left alone.

use super::FitSettings;
use super::calendar::Dates;
use agon_core::settings::{alike, hint, nearest, plain};

/// Places of a table's columns, and its products.
#[derive(Debug)]
pub struct Columns {
    pub products: Vec<String>,
    /// None where rows are weeks in order.
    pub week: Option<usize>,
    /// None where nobody counted them.
    pub customers: Option<usize>,
    pub units: Vec<usize>,
    pub prices: Vec<usize>,
    /// None where they are in no column.
    pub costs: Vec<usize>,
    /// None where there are no displays.
    pub displays: Vec<usize>,
    /// Those that are nothing of these.
    pub rest: Vec<usize>,
}

impl Columns {
    /// Finds them in a header.
    pub fn find(header: &[String], settings: &FitSettings) -> Result<Self, String> {
        let named: Vec<String> = header.iter().filter(|h| !h.is_empty()).cloned().collect();
        if let Some(name) = twice(&named) {
            return Err(format!("two columns are called `{name}`; rename one of them"));
        }
        let products = products(header, settings)?;
        if let Some(name) = twice(&products) {
            return Err(format!("[fit] products names `{name}` twice"));
        }
        let column = |name: &str| {
            header.iter().position(|h| h == name).ok_or_else(|| {
                let near = named.iter().find(|h| alike(h, name)).cloned();
                let near = near.or_else(|| nearest(name, named.iter().map(String::as_str)));
                // What is another product's is not meant.
                let patterns = [&settings.units, &settings.price, &settings.cost, &settings.display];
                let of_another =
                    |h: &String| products.iter().any(|p| patterns.iter().any(|pattern| pattern.replace("{}", p) == *h));
                let near = near.filter(|h| !of_another(h));
                let how = if near.is_some() { " Rename it, or map it" } else { "; map it" };
                format!("no column is called `{name}`{}{how} in the scenario's [fit]", hint(&near))
            })
        };
        let each = |pattern: &str| -> Result<Vec<usize>, String> {
            products.iter().map(|p| column(&pattern.replace("{}", p))).collect()
        };
        let none = |why: String| format!("{why}, or say `display = \"\"` if there are no displays");
        let mut found = Self {
            week: if settings.dates == Dates::Rows { None } else { Some(column(&settings.week)?) },
            customers: if settings.customers.is_empty() { None } else { Some(column(&settings.customers)?) },
            units: each(&settings.units)?,
            prices: each(&settings.price)?,
            costs: if settings.cost.is_empty() { Vec::new() } else { each(&settings.cost)? },
            displays: if settings.display.is_empty() { Vec::new() } else { each(&settings.display).map_err(none)? },
            rest: Vec::new(),
            products,
        };
        let mut used: Vec<usize> =
            [&found.units, &found.prices, &found.costs, &found.displays].into_iter().flatten().copied().collect();
        used.extend(found.week.into_iter().chain(found.customers));
        used.sort_unstable();
        if let Some(pair) = used.windows(2).find(|pair| pair[0] == pair[1]) {
            let (name, how) = (&header[pair[0]], "map each in the scenario's [fit], with `{}` for the product");
            return Err(format!("column `{name}` would be two things at once; {how}"));
        }
        found.rest = (0..header.len()).filter(|i| used.binary_search(i).is_err()).collect();
        for name in found.rest.iter().map(|i| &header[*i]) {
            if let Some(same) = used.iter().map(|i| &header[*i]).find(|h| plain(h) == plain(name)) {
                return Err(format!("columns `{name}` and `{same}` can be told apart by spelling only; rename one"));
            }
        }
        Ok(found)
    }
}

/// A name that comes twice.
pub fn twice(names: &[String]) -> Option<&String> {
    let mut seen = std::collections::HashSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

/// What stands for `{}` in a name that fits a pattern.
fn inner<'a>(name: &'a str, pattern: &str) -> Option<&'a str> {
    let (before, after) = pattern.split_once("{}")?;
    name.strip_prefix(before)?.strip_suffix(after).filter(|inner| !inner.is_empty())
}

/// What stands for `{}`: as given, or whatever the header's columns of units hold there. What the header holds must then
/// be whole: a product whose columns nearly fit, or of which only the price is there, would be lost without a word.
fn products(header: &[String], settings: &FitSettings) -> Result<Vec<String>, String> {
    if !settings.products.is_empty() {
        return Ok(settings.products.clone());
    }
    let FitSettings { units, price, cost, display, .. } = settings;
    if !units.contains("{}") {
        return Err("[fit] units must hold `{}` for the product, or `products` must be given".into());
    }
    let patterns = [units, price, cost, display];
    let all = |pattern: &String| -> Vec<String> {
        header.iter().filter_map(|h| inner(h, pattern)).map(String::from).collect()
    };
    let (found, priced) = (all(units), all(price));
    let known: Vec<String> = patterns.into_iter().flat_map(all).collect();
    let fits = |name: &String| patterns.iter().any(|p| inner(name, p).is_some() || name == *p);
    let list = "or list the [fit] products to leave it out";
    for name in header.iter().filter(|h| !fits(h) && **h != settings.week && **h != settings.customers) {
        for pattern in patterns {
            if let Some(meant) = nearly(name, pattern, &known) {
                return Err(format!(
                    "column `{name}` nearly fits `{pattern}`, did you mean `{meant}`? Rename it, {list}"
                ));
            }
        }
    }
    if let Some(name) = header.iter().find(|h| patterns.iter().any(|p| p.contains("{}") && **h == p.replace("{}", "")))
    {
        return Err(format!("column `{name}` names no product: it needs a name there, {list}"));
    }
    if found.is_empty() {
        return Err(format!("no column looks like `{units}`; its columns are {}", header.join(", ")));
    }
    if let Some(product) = priced.iter().find(|p| !found.contains(p)) {
        let [has, lacks] = [price, units].map(|pattern| pattern.replace("{}", product));
        if let Some(meant) = found.iter().find(|f| plain(f) == plain(product)) {
            let meant = units.replace("{}", meant);
            return Err(format!("columns `{has}` and `{meant}` write one product in two ways: rename one, {list}"));
        }
        return Err(format!("product `{product}` has a column `{has}` but none called `{lacks}`: add it, {list}"));
    }
    Ok(found)
}

/// How many letters a mistyped name may be longer or shorter.
const SLACK: usize = 2;

/// What a name was meant to be, if it fits a pattern but for case, separators or, where the product is known, a letter.
fn nearly(name: &str, pattern: &str, known: &[String]) -> Option<String> {
    let (before, after) = pattern.split_once("{}")?;
    let letters: Vec<char> = name.chars().collect();
    let (n, about) = (letters.len(), |text: &str| {
        let long = text.chars().count();
        long.saturating_sub(SLACK)..=if long == 0 { 0 } else { long + SLACK }
    });
    let text = |part: &[char]| part.iter().collect::<String>();
    let mut meant = None;
    for (i, tail) in about(before).flat_map(|i| about(after).map(move |tail| (i, tail))) {
        if i + tail >= n {
            continue;
        }
        let (head, middle, rest) = (text(&letters[..i]), text(&letters[i..n - tail]), text(&letters[n - tail..]));
        let middle = middle.trim_matches(|c: char| !c.is_alphanumeric());
        if middle.is_empty() || !alike(&head, before) || !alike(&rest, after) {
            continue;
        }
        if let Some(product) = known.iter().find(|k| plain(k) == plain(middle)) {
            return Some(pattern.replace("{}", product));
        }
        // `displayed` is not the display of `ed`: there must be something between the two.
        let borders = |a: Option<&char>, b: Option<&char>| match (a, b) {
            (Some(a), Some(b)) => {
                !a.is_alphanumeric()
                    || !b.is_alphanumeric()
                    || a.is_lowercase() && b.is_uppercase()
                    || a.is_numeric() != b.is_numeric()
            }
            _ => true,
        };
        let apart =
            borders(letters[..i].last(), letters.get(i)) && borders(letters[..n - tail].last(), letters.get(n - tail));
        if apart && plain(&head) == plain(before) && plain(&rest) == plain(after) {
            meant.get_or_insert_with(|| pattern.replace("{}", middle));
        }
    }
    meant
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "week units_a price_a wholesale_a display_a units_b price_b wholesale_b display_b customers";

    fn find(header: &[String]) -> Result<Columns, String> {
        Columns::find(header, &FitSettings::default())
    }

    fn header(text: &str) -> Vec<String> {
        text.split(' ').map(String::from).collect()
    }

    /// Every column of a header, misspelt in every way, is an error that says what was meant.
    #[test]
    fn what_nearly_fits_is_an_error_with_a_suggestion() {
        let full = header(FULL);
        assert_eq!(find(&full).unwrap().products, ["a", "b"]);
        for (i, name) in full.iter().enumerate() {
            let first = name.chars().next().unwrap();
            let shouted = name.to_uppercase();
            let capital = format!("{}{}", first.to_uppercase(), &name[1..]);
            let swapped = format!("{}{}{}{}", &name[..1], &name[2..3], &name[1..2], &name[3..]);
            let (shorter, longer) = (format!("{}{}", &name[..2], &name[3..]), name.replacen('e', "es", 1));
            let other = [shouted, capital, swapped, shorter, longer, name.replace('_', "-"), name.replace('_', " ")];
            let plural = [name.replace("units", "unit"), name.replace("price", "prices"), name.replace('_', "")];
            for wrong in other.into_iter().chain(plural).filter(|wrong| wrong != name) {
                let mut header = full.clone();
                header[i].clone_from(&wrong);
                let why = find(&header).unwrap_err();
                assert!(why.contains("did you mean") && why.contains(&wrong) && why.contains(name), "{wrong}: {why}");
            }
        }
    }

    #[test]
    fn half_a_product_is_named_and_other_columns_are_left_alone() {
        for (gone, part) in [
            ("price_a", "no column is called `price_a`"),
            ("units_a", "product `a` has a column `price_a` but none called `units_a`"),
            ("display_b", "`display = \"\"`"),
        ] {
            let rest: Vec<String> = header(FULL).into_iter().filter(|h| h != gone).collect();
            let why = find(&rest).unwrap_err();
            assert!(why.contains(part), "{part} in {why}");
        }
        let more = format!("{FULL} shop displayed weekday unit_cost holiday unit_price_of_sales prices customer_age");
        let found = find(&header(&more)).unwrap();
        assert_eq!((found.products.len(), found.rest.len()), (2, 8));
        let mut spelt = header(FULL);
        spelt[1] = "units_A".into();
        let why = find(&spelt).unwrap_err();
        assert!(why.contains("columns `price_a` and `units_A` write one product in two ways"), "{why}");
        let settings = FitSettings { products: vec!["b".into()], ..Default::default() };
        let found = Columns::find(&header(&FULL.replace("units_a", "Units_a")), &settings).unwrap();
        assert_eq!(found.products, ["b"], "what is listed is all that is wanted");
        for (two, part) in [("Week", "`Week` and `week`"), ("PRICE a", "`PRICE a` nearly fits `price_{}`")] {
            let mut header = header(FULL);
            header.push(two.into());
            let why = find(&header).unwrap_err();
            assert!(why.contains(part), "{part} in {why}");
        }
        // Another mapping, the product first.
        let settings = FitSettings {
            units: "{} sold".into(),
            price: "{} price".into(),
            cost: "{} cost".into(),
            display: String::new(),
            ..Default::default()
        };
        let header: Vec<String> =
            ["week", "customers", "tuna sold", "tuna price", "tuna cost", "cod sold", "cod price", "cod cost"]
                .map(String::from)
                .to_vec();
        assert_eq!(Columns::find(&header, &settings).unwrap().products, ["tuna", "cod"]);
        let mut wrong = header.clone();
        wrong[5] = "Cod_Sold".into();
        let why = Columns::find(&wrong, &settings).unwrap_err();
        assert!(why.contains("did you mean `cod sold`"), "{why}");
    }
}
