//! A row of a table of weeks.

/// One week before cleaning; what is missing is NaN.
pub struct Week {
    pub line: u64,
    /// Its row of the file.
    pub row: usize,
    pub label: String,
    /// Its number, or the number of weeks before its date.
    pub week: i64,
    pub customers: f64,
    pub units: Vec<f64>,
    pub prices: Vec<f64>,
    pub costs: Vec<f64>,
    pub displays: Vec<f64>,
    /// Why products are left out of it, a product each; empty where they are not.
    pub absent: Vec<&'static str>,
    /// Of the columns that are nothing of these.
    pub rest: Vec<String>,
}

impl Week {
    pub fn place(&self) -> String {
        format!("line {}, week {}", self.line, self.label)
    }
}
