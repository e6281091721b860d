//! A table with a target, divided into parts: what a model is trained and tested on.

use super::cells::{DateOrder, Decimal, Reading};
use super::labelled::{by_label, without_rare};
use super::report::{About, Report, alone, equal_rows, outliers, repeated, rounded};
use super::split::{self, Method, Split};
use super::text::{is_text, words_each};
use super::written::{LARGEST, Way};
use super::{Column, Kind, Raw, Values, cells};
use crate::agent::AgentError;
use agon_core::settings::{Issue, hint, nearest};
use std::collections::HashMap;

agon_core::choices! {
    /// What is predicted.
    pub enum Task { Auto = "auto", Classification = "classification", Regression = "regression" }
}

agon_core::settings! {
    /// A table for supervised training.
    pub struct DataSettings {
        /// The CSV file, beside the scenario.
        file: String = String::new();
        /// The column to predict.
        target: String = String::new();
        /// Whether classes or numbers are predicted; by the target's values if `auto`.
        task: Task = Task::Auto;
        /// Columns that are not used.
        drop: Vec<String> = Vec::new();
        /// The order of day and month where the cells of a column leave it open; a point is European and a slash American
        /// if `auto`, and the data report says so.
        dates: DateOrder = DateOrder::Auto;
        /// What a comma, or a point, before three digits is where the cells of a column leave it open.
        decimal: Decimal = Decimal::Auto;
        /// Columns that are used although they seem to be mere row numbers.
        keep: Vec<String> = Vec::new();
        /// Whether columns of text are inputs: those of mostly different texts, of three words or more on average.
        text: bool = true;
        /// How rows are divided: `auto` is `stratified` for classes and `random` for numbers; `group` keeps rows with equal
        /// `split_by` together, `time` tests on the last ones by `split_by`; `given` reads train, validation or test there.
        split: Method = Method::Auto;
        /// The column that `group`, `time` and `given` go by; not used as an input.
        split_by: String = String::new();
        /// The share of the rows that decides when training ends, and that probabilities and intervals are calibrated on.
        validation: f64 = 0.15, in [0.01, 0.8];
        /// The share of the rows that the result is judged on. Nothing is learned or decided by it.
        test: f64 = 0.15, in [0.01, 0.8];
        /// Rows without a target teach as well: a first model gives those a class that it is as sure of as this, such as 0.95,
        /// and a second one learns from all. They are left out if this is.
        pseudo_labels: Option<f64> = None, in [0.5, 1.0];
        /// The seed of the division into parts.
        seed: u64 = 1, in [0.0, 9e18];
        /// Reads the table in blocks of rows, for one that does not fit into memory: so many rows, drawn at random, say what
        /// its columns are, validation and test are parts of them; all others are trained on, a block a step. 0: in no case.
        stream: Option<usize> = None, in [0.0, 1e8];
        /// Rows of a block.
        block_rows: usize = 65_536, in [100.0, 1e8];
    }
}

/// What is predicted, a value for each row.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The column.
    pub name: String,
    /// The classes in the order of their numbers; none for a regression.
    pub classes: Vec<String>,
    /// The number of the class, or the value.
    pub y: Vec<f64>,
    /// How numbers were written, of a regression.
    pub way: Option<Way>,
}

/// A table with a target, divided into parts.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The inputs.
    pub columns: Vec<Column>,
    /// The target.
    pub target: Target,
    /// The rows of each part.
    pub split: Split,
    /// What a row belongs together with, where rows are not independent of each other; else its own number.
    pub units: Vec<u32>,
    /// The line of the file that each row begins on.
    pub lines: Vec<u64>,
    /// What was found.
    pub report: Report,
    /// Rows without a target that are to be learned from, and how sure a model must be of their class.
    pub unlabelled: Option<(Raw, f64)>,
    /// Blocks that the rows to be trained on lie in, where these rows are a sample (see [`super::blocks`]); else 0.
    pub blocks: usize,
}

/// Classes at most.
pub const MOST_CLASSES: usize = 1000;

/// The place of a column that a setting names.
///
/// # Errors
/// [`AgentError::Settings`] where there is none.
pub fn find_column(key: &str, name: &str, raw: &Raw) -> Result<usize, AgentError> {
    raw.find(name).ok_or_else(|| no_column(key, name, raw))
}

fn no_column(key: &str, name: &str, raw: &Raw) -> AgentError {
    let near = nearest(name, raw.names.iter().map(String::as_str));
    let mut all: Vec<&str> = raw.names.iter().take(12).map(String::as_str).collect();
    if raw.names.len() > 12 {
        all.push("…");
    }
    let known = if near.is_some() { hint(&near) } else { format!("; there are {}", all.join(", ")) };
    Issue::value(key, format!("no column is called `{name}`{known}")).into()
}

impl Dataset {
    /// Understands a table.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where a column or a share cannot be, [`AgentError::Data`] where nothing can be learned.
    pub fn new(raw: &Raw, settings: &DataSettings) -> Result<Self, AgentError> {
        let data = |why: String| Err(AgentError::Data(why));
        if raw.rows() == 0 {
            return data("the table has no rows below its header".into());
        }
        if settings.target.is_empty() {
            return Err(Issue::value("target", "name the column that is to be predicted").into());
        }
        let find = |key: &str, name: &str| find_column(key, name, raw);
        let target = find("target", &settings.target)?;
        let by_column = matches!(settings.split, Method::Group | Method::Time | Method::Given);
        let by = match settings.split_by.as_str() {
            "" if by_column => return Err(Issue::value("split", "name the column with split_by").into()),
            "" => None,
            _ if !by_column => return Err(Issue::value("split_by", "is for split = group, time or given").into()),
            name => Some(find("split_by", name)?),
        };
        if by == Some(target) {
            return Err(Issue::value("split_by", "is the target itself").into());
        }
        for name in &settings.keep {
            find("keep", name)?;
        }
        let dropped = settings.drop.iter().map(|name| find("drop", name)).collect::<Result<Vec<_>, _>>()?;
        let mut report = Report {
            file: settings.file.clone(),
            rows: raw.rows(),
            target: settings.target.clone(),
            ..Report::default()
        };
        let (mut labelled, unlabelled) = by_label(raw, target, settings.pseudo_labels, &mut report)?;
        if settings.stream.is_some() {
            let classes = match settings.task {
                Task::Auto => None,
                task => Some(task == Task::Classification),
            };
            labelled = without_rare(labelled, target, classes, settings.reading(), &mut report);
        }
        let (raw, target_column) = (&labelled, target);
        let target = target_of(raw, target, settings.task, settings.reading(), &mut report)?;
        if settings.pseudo_labels.is_some() && target.classes.is_empty() {
            return Err(Issue::value("pseudo_labels", "is for classes, and this target holds numbers").into());
        }
        let mut columns: Vec<Column> =
            (0..raw.names.len()).map(|i| cells::infer_by(raw, i, settings.reading())).collect();
        cells::doubts(raw, &columns, settings.reading(), &mut report);
        let features: Vec<usize> = (0..columns.len()).filter(|i| *i != target_column && Some(*i) != by).collect();
        let of = |i: &usize| &columns[*i];
        let inputs: Vec<&Column> = features.iter().filter(|i| !dropped.contains(i)).map(of).collect();
        if inputs.is_empty() {
            return data(format!("no column is left to predict `{}` from: all others are dropped", target.name));
        }
        let units = look_at_duplicates(&inputs, &target, &mut report);
        let (split, units) = divide(settings, by.map(|i| &columns[i]), raw, &target, units, &mut report)?;
        report.parts = [&split.train, &split.validation, &split.test].map(Vec::len);
        let mut used: Vec<String> = vec![String::new(); columns.len()];
        used[target_column] = "target".into();
        by.into_iter().for_each(|i| used[i] = "split".into());
        for i in features {
            used[i] = if dropped.contains(&i) {
                "dropped (data.drop)".into()
            } else if settings.text && is_text(&columns[i]) {
                let what = format!("text, {:.0} words on average", words_each(&columns[i]));
                report.find(Some(&columns[i].name), what, "its words are inputs (data.text = false leaves it out)");
                "input".into()
            } else {
                let kept = settings.keep.contains(&columns[i].name);
                use_of(&columns[i], &target, &split, kept, &mut report)
            };
        }
        report.columns = columns.iter().zip(&used).map(|(column, used)| About::new(column, used)).collect();
        let mut uses = used.iter();
        columns.retain(|_| uses.next().is_some_and(|used| used == "input"));
        if columns.is_empty() {
            let all: Vec<String> =
                report.columns.iter().map(|c| format!("`{}` is {}", c.name, c.used)).take(6).collect();
            return data(format!("no column is left to predict `{}` from: {}", target.name, all.join(", ")));
        }
        let unlabelled = settings.pseudo_labels.filter(|_| unlabelled.rows() > 0).map(|sure| (unlabelled, sure));
        let lines = raw.lines.clone();
        Ok(Self { columns, target, split, units, lines, report, unlabelled, blocks: 0 })
    }

    /// The inputs, by reference.
    pub fn inputs(&self) -> Vec<&Column> {
        self.columns.iter().collect()
    }
}

impl DataSettings {
    /// How what can be read in two ways is read.
    pub(super) fn reading(&self) -> Reading {
        Reading { dates: self.dates, decimal: self.decimal }
    }
}

/// What is predicted: the task by the target's values, unless it is set.
fn target_of(raw: &Raw, at: usize, task: Task, reading: Reading, report: &mut Report) -> Result<Target, AgentError> {
    let data = |why: String| Err(AgentError::Data(why));
    let column = cells::infer_by(raw, at, reading);
    let (name, rows, distinct) = (column.name.clone(), raw.rows(), column.distinct());
    let first = raw.cell(0, at);
    if distinct == 1 {
        return data(format!("the target `{name}` is `{first}` in all {rows} rows: there is nothing to predict"));
    }
    let numbers = match &column.values {
        Values::Numbers(x) if column.kind == Kind::Number => Some(x),
        _ => None,
    };
    let whole = numbers.is_some_and(|x| x.iter().all(|x| x.fract() == 0.0));
    let few = whole && (distinct == 2 || distinct <= 10 && rows >= 5 * distinct);
    let regression = match (task, numbers) {
        (Task::Regression, None) => {
            return data(format!("the target `{name}` holds words such as `{first}`: a regression needs numbers"));
        }
        (Task::Regression, _) => true,
        (Task::Classification, _) => false,
        (Task::Auto, numbers) => numbers.is_some() && !few,
    };
    if let (true, Some(x)) = (regression, numbers) {
        if let Some(row) = x.iter().position(|x| x.is_nan()) {
            let (cell, line) = (raw.cell(row, at), raw.lines[row]);
            return data(format!(
                "line {line}: the target `{name}` is `{cell}`, and {LARGEST:e} is the most that can be learned"
            ));
        }
        report.task = "regression".into();
        return Ok(Target { name, classes: Vec::new(), y: x.clone(), way: column.way });
    }
    if few && distinct > 2 && task == Task::Auto {
        let what = format!("it holds {distinct} distinct integers");
        report.find(Some(&name), what, "they are taken for classes (data.task = \"regression\" for numbers)");
    }
    if distinct == rows {
        return data(format!(
            "the target `{name}` is different in all {rows} rows (`{first}`, …): no class can be learned from one row"
        ));
    }
    if distinct > MOST_CLASSES {
        return data(format!("the target `{name}` has {distinct} classes, and {MOST_CLASSES} at most can be learned"));
    }
    let labels = match column.kind {
        Kind::Boolean => column.clone(),
        _ => Column::labels(&name, Kind::Category, raw.column(at)),
    };
    let Values::Labels(mut classes, codes) = labels.values else { return data(format!("`{name}` has no labels")) };
    let mut codes: Vec<u32> = codes.into_iter().flatten().collect();
    if numbers.is_some() {
        // 10 comes after 9.
        let value = |label: &String| label.parse::<f64>().unwrap_or(f64::INFINITY);
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.sort_by(|a, b| value(&classes[*a]).total_cmp(&value(&classes[*b])));
        let mut place = vec![0; order.len()];
        order.iter().zip(0..).for_each(|(old, new)| place[*old] = new);
        codes.iter_mut().for_each(|code| *code = place[*code as usize]);
        classes = order.into_iter().map(|i| classes[i].clone()).collect();
    }
    let mut counts = vec![0usize; classes.len()];
    codes.iter().for_each(|code| counts[*code as usize] += 1);
    if let Some(k) = counts.iter().position(|n| *n == 1) {
        let row = codes.iter().position(|code| *code as usize == k).unwrap_or(0);
        return data(format!(
            "the class `{}` of `{name}` has a single row (line {}): it cannot be both learned and tested; leave that row \
             out, or join the class with another",
            classes[k], raw.lines[row]
        ));
    }
    let (least, most) = (counts.iter().min().unwrap_or(&0), counts.iter().max().unwrap_or(&0));
    if 20 * least < rows {
        let k = counts.iter().position(|n| n == least).unwrap_or(0);
        let what = format!("classes are imbalanced: `{}` has {least} rows, the largest class {most}", classes[k]);
        report.find(Some(&name), what, "kept as they are; judge by log loss and balanced accuracy, not by accuracy (model.class_weights = \"balanced\" makes rare classes count as much)");
    }
    report.task = if classes.len() == 2 { "binary" } else { "multiclass" }.into();
    report.classes = classes.iter().cloned().zip(counts).collect();
    Ok(Target { name, classes, y: codes.into_iter().map(f64::from).collect(), way: None })
}

/// Duplicates and rows that contradict each other; for every row the first one that is equal in all inputs, or its own
/// number where more than a fifth of the rows repeat others.
pub(super) fn look_at_duplicates(inputs: &[&Column], target: &Target, report: &mut Report) -> Vec<u32> {
    let rows = target.y.len();
    let first = equal_rows(inputs, rows, Column::key);
    let (same, mut seen): (usize, HashMap<(u32, u64), ()>) = (repeated(&first), HashMap::new());
    let exact = first.iter().zip(&target.y).filter(|(u, y)| seen.insert((**u, y.to_bits()), ()).is_some()).count();
    let copies = 5 * same <= rows;
    if exact > 0 {
        let done = if copies {
            "kept; equal rows are always in the same part"
        } else {
            "kept, in any part: so many are no copies, but have few values to differ in"
        };
        report.find(None, format!("{exact} rows repeat an earlier row"), done);
    }
    let torn: HashMap<u32, f64> =
        first.iter().zip(&target.y).filter(|(u, y)| target.y[**u as usize] != **y).map(|(u, y)| (*u, *y)).collect();
    let among = first.iter().filter(|unit| torn.contains_key(unit)).count();
    if among > 0 && !target.classes.is_empty() {
        let what = format!("{among} rows are equal in all inputs to a row of another class");
        report.warn(Some(&target.name), what, "kept; no model can be right about all of them");
    } else if among > 0 {
        let what = format!("{among} rows are equal in all inputs to a row with another value");
        report.find(Some(&target.name), what, "kept; no model can be right about all of them");
    }
    let near = repeated(&equal_rows(inputs, rows, rounded)) - same;
    if near > 0 && 50 * near > rows {
        let what = format!("{near} more rows repeat an earlier one up to three digits of each number");
        report.find(None, what, "kept as they are; where that is no chance, divide by a group column (data.split)");
    }
    if copies { first } else { (0..rows as u32).collect() }
}

/// The parts, and what rows belong together with.
pub(super) fn divide(
    settings: &DataSettings,
    by: Option<&Column>,
    raw: &Raw,
    target: &Target,
    equal: Vec<u32>,
    report: &mut Report,
) -> Result<(Split, Vec<u32>), AgentError> {
    let (shares, seed) = ([settings.validation, settings.test], settings.seed);
    let class: Vec<u32> = target.y.iter().map(|y| *y as u32).collect();
    if shares.iter().sum::<f64>() >= 0.95 {
        return Err(Issue::value("test", "with validation it leaves less than a twentieth to learn from").into());
    }
    let classes = !target.classes.is_empty();
    let method = match settings.split {
        Method::Auto if classes => Method::Stratified,
        Method::Auto => Method::Random,
        Method::Stratified if !classes => {
            return Err(Issue::value("split", "stratified is for classes, and this target holds numbers").into());
        }
        method => method,
    };
    let mut units = equal;
    let split = match (method, by) {
        (Method::Stratified, _) => {
            report.split = format!("stratified by class, seed {seed}");
            split::stratified(&units, &class, shares, seed)
        }
        (Method::Group, Some(column)) => {
            let mut place: HashMap<u64, u32> = HashMap::new();
            units.clear();
            for row in 0..column.len() {
                let new = place.len() as u32;
                units.push(*place.entry(column.key(row)).or_insert(new));
            }
            report.split = format!("by groups of `{}`, seed {seed}", column.name);
            split::random(&units, shares, seed)
        }
        (Method::Time, Some(column)) => {
            let Values::Numbers(time) = &column.values else {
                return Err(Issue::value("split_by", format!("`{}` holds no dates or numbers", column.name)).into());
            };
            if time.iter().any(|t| t.is_nan()) {
                return Err(Issue::value("split_by", format!("`{}` is missing in some rows", column.name)).into());
            }
            report.split = format!("by time: the last rows by `{}`", column.name);
            split::by_time(time, shares)
        }
        (Method::Given, Some(column)) => {
            report.split = format!("as given by `{}`", column.name);
            split::given(raw, column)?
        }
        _ => {
            report.split = format!("random, seed {seed}");
            split::random(&units, shares, seed)
        }
    };
    for (key, name, part, least) in [
        ("split", "training", &split.train, 2),
        ("validation", "validation", &split.validation, 1),
        ("test", "test", &split.test, 1),
    ] {
        if part.len() < least {
            let rows = target.y.len();
            return Err(AgentError::Data(format!(
                "the {name} part would have {} of {rows} rows: too few; use more rows, or change data.{key}",
                part.len()
            )));
        }
    }
    for (k, name) in target.classes.iter().enumerate() {
        let has = |rows: &[usize]| rows.iter().any(|row| class[*row] as usize == k);
        if !has(&split.train) {
            return Err(AgentError::Data(format!("no row of the class `{name}` is in the training part")));
        }
        if !has(&split.test) {
            let what = format!("no row of the class `{name}` is in the test part");
            report.warn(Some(&target.name), what, "kept; the test says nothing about that class");
        }
    }
    Ok((split, units))
}

/// `input`, or why a column is not used; what is odd about it goes into the report.
pub(super) fn use_of(column: &Column, target: &Target, split: &Split, kept: bool, report: &mut Report) -> String {
    let (name, rows) = (column.name.as_str(), &split.train);
    let missing = rows.iter().filter(|row| column.is_missing(**row)).count();
    let mut keys: Vec<u64> = rows.iter().filter(|row| !column.is_missing(**row)).map(|row| column.key(*row)).collect();
    let given = keys.len();
    keys.sort_unstable();
    keys.dedup();
    if column.kind == Kind::Text {
        let what = format!("text, or a name: {} different values in {} rows", column.distinct(), column.len());
        report.find(Some(name), what, "not used");
        return "not used: text".into();
    }
    if given == 0 {
        report.find(Some(name), "no row of the training part has a value", "not used");
        return "not used: all missing".into();
    }
    if keys.len() == 1 && missing == 0 {
        report.find(Some(name), "it is the same in the whole training part", "not used");
        return "not used: constant".into();
    }
    if let Values::Numbers(x) = &column.values
        && column.kind == Kind::Number
        && !kept
        && given >= 20
        && keys.len() == given
    {
        let seen = || rows.iter().map(|row| x[*row]).filter(|x| !x.is_nan());
        let [low, high] = [seen().fold(f64::INFINITY, f64::min), seen().fold(f64::NEG_INFINITY, f64::max)];
        if seen().all(|x| x.fract() == 0.0) && high - low < 1.2 * column.len() as f64 {
            let what = "integers without a repetition or a gap, like a row number";
            report.find(Some(name), what, "not used (data.keep uses it)");
            return "not used: row number".into();
        }
    }
    if 2 * missing > rows.len() {
        let what = format!("{:.0} % of the training part are missing", 100.0 * missing as f64 / rows.len() as f64);
        report.find(Some(name), what, "used, with a number that says whether it is missing");
    }
    if let Values::Numbers(x) = &column.values {
        let far = outliers(x, rows);
        if far > 0 {
            let what = format!("{far} numbers are further than ten interquartile ranges from the median");
            report.find(Some(name), what, "kept; model.scaling = \"robust\" or \"quantile\" weakens them");
        }
    } else if keys.len() > super::encode::MOST {
        let what = format!("{} labels", keys.len());
        report.find(Some(name), what, format!("the {} commonest are told apart", super::encode::MOST));
    }
    if let Some([right, without]) = alone(column, &target.y, target.classes.len(), split)
        && right >= 0.99
        && right - without > 0.05
    {
        let measure = if target.classes.is_empty() { "R²" } else { "accuracy" };
        let what = format!("it predicts the target almost perfectly on its own ({measure} {right:.3})");
        report.warn(
            Some(name),
            what,
            "used; if it is only known after the target, it is a leak: leave it out with data.drop",
        );
    }
    "input".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 120 rows: a row number, a constant, a copy of the target, text, two numbers, a category with gaps, the target.
    fn table() -> Raw {
        let names = ["id", "same", "copy", "note", "x", "z", "colour", "target"].map(String::from).to_vec();
        let mut raw = Raw::new(names, false);
        for i in 0..120u64 {
            let class = if i % 3 == 0 { "yes" } else { "no" };
            let colour = ["red", "blue", "", "red"][(i % 4) as usize];
            let (x, z) = (i * 7 % 50, if i == 5 { 100_000 } else { i * 11 % 40 });
            let row = [i.to_string(), "1".into(), class.into(), format!("note {i}"), x.to_string(), z.to_string()];
            let row = row.iter().map(String::as_str).chain([colour, class]).collect::<Vec<_>>();
            raw.push(i + 2, row);
        }
        raw
    }

    fn settings() -> DataSettings {
        DataSettings { target: "target".into(), ..DataSettings::default() }
    }

    #[test]
    fn what_is_odd_is_found_and_told() {
        let data = Dataset::new(&table(), &settings()).unwrap();
        assert_eq!((data.report.task.as_str(), data.report.parts), ("binary", [84, 18, 18]));
        let used: Vec<&str> = data.report.columns.iter().map(|c| c.used.as_str()).collect();
        let wanted = ["not used: row number", "not used: constant", "input", "not used: text"];
        assert_eq!((&used[..4], &used[4..]), (&wanted[..], &["input", "input", "input", "target"][..]));
        let all = data.report.lines().join("\n");
        for found in ["`z`: 1 numbers are further", "`note`: text", "not used (data.keep uses it)"] {
            assert!(all.contains(found), "{found}: {all}");
        }
        // With a larger validation part the copy shows.
        let larger = DataSettings { validation: 0.25, keep: vec!["id".into()], ..settings() };
        let data = Dataset::new(&table(), &larger).unwrap();
        let leak = data.report.findings.iter().find(|f| f.warning).unwrap();
        assert!(
            leak.column.as_deref() == Some("copy") && leak.what.contains("on its own (accuracy 1.000)"),
            "{leak:?}"
        );
        assert_eq!(data.report.columns[0].used, "input");
    }

    #[test]
    fn equal_rows_are_in_one_part_and_contradictions_are_told() {
        let mut raw = Raw::new(vec!["x".into(), "y".into()], false);
        // Of 200 rows the last 30 repeat the first, one of them with another class.
        for i in 0..200u64 {
            let x = i % 170;
            raw.push(i + 2, [format!("{x}.5").as_str(), if x % 2 == 0 && i != 180 { "a" } else { "b" }]);
        }
        let settings = DataSettings { target: "y".into(), ..DataSettings::default() };
        let data = Dataset::new(&raw, &settings).unwrap();
        for part in [&data.split.train, &data.split.validation, &data.split.test] {
            assert!((0..30).all(|x| [0, 2].contains(&part.iter().filter(|row| **row % 170 == x).count())));
        }
        let all = data.report.lines().join("\n");
        assert!(all.contains("29 rows repeat an earlier row") && all.contains("equal in all inputs"), "{all}");
        // Two columns of two values each: rows that are equal are no copies.
        let mut raw = Raw::new(["a", "b", "y"].map(String::from).to_vec(), false);
        (0..200u64).for_each(|i| {
            raw.push(
                i + 2,
                [["0", "1"][(i % 2) as usize], ["u", "v"][(i / 2 % 2) as usize], ["n", "j"][(i / 3 % 2) as usize]],
            );
        });
        let data = Dataset::new(&raw, &settings).unwrap();
        assert_eq!(data.report.parts, [140, 30, 30]);
        assert!(data.report.lines().join("\n").contains("few values to differ in"));
    }

    #[test]
    fn groups_and_given_parts_are_kept() {
        let mut raw = Raw::new(["x", "who", "part", "y"].map(String::from).to_vec(), false);
        for i in 0..200u64 {
            let part = ["train", "train", "validation", "test"][(i % 4) as usize];
            let row = [(i * 13 % 97).to_string(), format!("w{}", i / 10), part.into(), (i * i % 31).to_string()];
            raw.push(i + 2, row.iter().map(String::as_str));
        }
        let by = |split, split_by: &str| {
            let target = "y".into();
            Dataset::new(&raw, &DataSettings { target, split, split_by: split_by.into(), ..DataSettings::default() })
        };
        let grouped = by(Method::Group, "who").unwrap();
        assert!(grouped.split.test.iter().all(|row| grouped.split.train.iter().all(|other| other / 10 != row / 10)));
        assert!(grouped.columns.iter().all(|c| c.name != "who"));
        let given = by(Method::Given, "part").unwrap();
        assert!(given.split.test.iter().all(|row| row % 4 == 3) && given.split.test.len() == 50);
        assert!(by(Method::Given, "who").unwrap_err().to_string().contains("none of train, validation, test"));
        assert!(by(Method::Time, "who").unwrap_err().to_string().contains("no dates or numbers"));
        assert!(by(Method::Group, "whom").unwrap_err().to_string().contains("did you mean `who`"));
    }

    #[test]
    fn targets_that_cannot_be_learned_are_refused() {
        let with = |cells: &[&str]| {
            let mut raw = Raw::new(vec!["x".into(), "y".into()], false);
            cells.iter().zip(2..).for_each(|(cell, line)| raw.push(line, [line.to_string().as_str(), *cell]));
            Dataset::new(&raw, &DataSettings { target: "y".into(), ..DataSettings::default() }).unwrap_err().to_string()
        };
        let names: Vec<String> = (0..40).map(|i| format!("n{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut single = vec!["a"; 30];
        single.extend(["b", "b", "b", "c"]);
        for (cells, why) in [
            (&["a", "a", "a"][..], "`a` in all 3 rows"),
            (&["", "NA", "?"], "missing in all 3 rows"),
            (&names, "different in all 40 rows"),
            (&single, "the class `c` of `y` has a single row (line 35)"),
            (&["1.5", "2.5", "0.25"], "too few"),
            (&[], "no rows"),
        ] {
            let told = with(cells);
            assert!(told.contains(why), "{cells:?}: {told}");
        }
    }
}
