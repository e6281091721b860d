//! What columns of sales tables are called.

/// The words of a column's name in small letters: `SalePriceCH` is sale, price, ch.
pub fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let (mut all, mut word) = (Vec::new(), String::new());
    for (i, c) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| letters[i]);
        let next = letters.get(i + 1);
        let rises = before.is_some_and(char::is_lowercase) && c.is_uppercase();
        let acronym_ends =
            before.is_some_and(char::is_uppercase) && c.is_uppercase() && next.is_some_and(|n| n.is_lowercase());
        if (!c.is_alphanumeric() || rises || acronym_ends) && !word.is_empty() {
            all.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

/// What a column may be: words that say so, the surest first, and words that say that it is not.
pub struct Role {
    pub key: &'static str,
    yes: &'static [&'static str],
    no: &'static [&'static str],
}

const MONEY: &[&str] =
    &["price", "preis", "prix", "precio", "prezzo", "cost", "value", "revenue", "umsatz", "disc", "coupon"];

pub const WEEK: Role = Role {
    key: "week",
    yes: &[
        "week",
        "woche",
        "kw",
        "semaine",
        "semana",
        "date",
        "datum",
        "fecha",
        "day",
        "timestamp",
        "datetime",
        "dt",
        "ts",
        "tag",
        "period",
        "quarter",
        "month",
        "time",
    ],
    no: &["weekly", "weekday", "id", "ids"],
};
pub const SHOP: Role = Role {
    key: "shop",
    yes: &["store", "shop", "retailer", "filiale", "outlet", "branch", "magasin", "tienda", "city", "region", "market"],
    no: &["share", "marketing", "size"],
};
pub const UNITS: Role = Role {
    key: "units",
    yes: &[
        "units", "unit", "qty", "quantity", "menge", "stück", "stueck", "pieces", "sold", "absatz", "volume", "amount",
        "move", "logmove", "logunits", "sales", "ventas", "shares", "share",
    ],
    no: &["id", "ids"],
};
pub const PRICE: Role = Role {
    key: "price",
    yes: &["price", "preis", "prix", "precio", "prezzo", "revenue", "umsatz", "turnover", "value", "spend"],
    no: &[
        "disc",
        "discount",
        "diff",
        "difference",
        "list",
        "cost",
        "coupon",
        "pct",
        "wholesale",
        "purchase",
        "retaildisc",
    ],
};
pub const COST: Role = Role {
    key: "cost",
    yes: &["cost", "wholesale", "kosten", "einkauf", "einkaufspreis", "cogs", "asset", "profit", "margin", "marge"],
    no: &["customer"],
};
pub const CUSTOMERS: Role = Role {
    key: "customers",
    yes: &["customers", "visitors", "visits", "traffic", "footfall", "kunden", "besucher", "clients"],
    no: &["id", "ids"],
};
pub const DISPLAY: Role = Role {
    key: "display",
    yes: &["display", "disp", "feat", "feature", "deal", "promo", "promotion", "aktion"],
    no: &["id", "ids", "disc"],
};
pub const HOLIDAY: Role = Role {
    key: "covariates",
    yes: &["holiday", "holidays", "feiertag", "feiertage", "feast", "festivo", "event"],
    no: &["id", "ids"],
};
pub const STOCK: Role = Role {
    key: "stock",
    yes: &["stock", "inventory", "onhand", "bestand", "lager"],
    no: &["id", "code", "number", "nr", "no"],
};
pub const PRODUCT: Role = Role {
    key: "product",
    yes: &[
        "product",
        "produkt",
        "produit",
        "producto",
        "sku",
        "item",
        "artikel",
        "article",
        "upc",
        "ean",
        "brand",
        "choice",
        "purchase",
        "name",
        "description",
        "stockcode",
    ],
    no: &["category", "subclass", "class", "type", "group", "subgroup", "firm", "week", "weekof", "count"],
};

impl Role {
    /// How well a name fits: the place of its word in the list, then whether it is that word alone; less is better.
    pub fn fits(&self, name: &str) -> Option<(usize, usize)> {
        let words = words(name);
        if words.iter().any(|w| self.no.contains(&w.as_str())) {
            return None;
        }
        // Prices and costs are no units, whatever else their names say.
        let is_money = |w: &String| MONEY.iter().any(|m| w.starts_with(m));
        if self.key == "units" && words.iter().any(is_money) {
            return None;
        }
        let means = |w: &String, word: &str| w == word || word.len() > 3 && w.starts_with(word);
        let at = self.yes.iter().position(|word| words.iter().any(|w| means(w, word)))?;
        let exact = words.iter().any(|w| *w == self.yes[at]);
        Some((at, usize::from(!exact)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        for (name, wanted) in [
            ("SalePriceCH", "sale price ch"),
            ("TRANSACTION_DT", "transaction dt"),
            ("price.yoplait", "price yoplait"),
            ("StoreID", "store id"),
            ("units_1", "units 1"),
        ] {
            assert_eq!(words(name).join(" "), wanted);
        }
    }

    #[test]
    fn columns_are_what_they_are_called() {
        for (role, name) in [
            (&WEEK, "WeekofPurchase"),
            (&WEEK, "TRANSACTION_DT"),
            (&SHOP, "retailer"),
            (&UNITS, "TotalVolume"),
            (&UNITS, "logmove"),
            (&PRICE, "AveragePrice"),
            (&PRICE, "sales_value"),
            (&COST, "wholesale_1"),
            (&PRODUCT, "PRODUCT_ID"),
            (&CUSTOMERS, "customers"),
        ] {
            assert!(role.fits(name).is_some(), "{} {name}", role.key);
        }
        for (role, name) in [
            (&STOCK, "StockCode"),
            (&UNITS, "unit_price"),
            (&CUSTOMERS, "CUSTOMER_ID"),
            (&PRODUCT, "PRODUCT_SUBCLASS"),
            (&PRICE, "retail_disc"),
            (&WEEK, "weekly_sales"),
        ] {
            assert!(role.fits(name).is_none(), "{} {name}", role.key);
        }
    }
}
