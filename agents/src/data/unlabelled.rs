//! A table without a target: all its columns are inputs.

use super::dataset::{DataSettings, Dataset, Target, divide, find_column, look_at_duplicates, use_of};
use super::report::{About, Report};
use super::split::Method;
use super::{Column, Raw, cells};
use crate::agent::AgentError;
use agon_core::settings::Issue;

impl Dataset {
    /// Understands a table without a target.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where a column or a share cannot be, [`AgentError::Data`] where nothing can be learned.
    pub fn unlabelled(raw: &Raw, settings: &DataSettings) -> Result<Self, AgentError> {
        if raw.rows() == 0 {
            return Err(AgentError::Data("the table has no rows below its header".into()));
        }
        let by = match (settings.split_by.as_str(), settings.split) {
            ("", Method::Group | Method::Time | Method::Given) => {
                return Err(Issue::value("split", "name the column with split_by").into());
            }
            ("", _) => None,
            (name, _) => Some(find_column("split_by", name, raw)?),
        };
        for name in &settings.keep {
            find_column("keep", name, raw)?;
        }
        let dropped = settings.drop.iter().map(|name| find_column("drop", name, raw)).collect::<Result<Vec<_>, _>>()?;
        let mut report = Report { file: settings.file.clone(), rows: raw.rows(), ..Report::default() };
        let target = Target { name: String::new(), classes: Vec::new(), y: vec![0.0; raw.rows()], way: None };
        let mut columns: Vec<Column> =
            (0..raw.names.len()).map(|i| cells::infer_by(raw, i, settings.reading())).collect();
        cells::doubts(raw, &columns, settings.reading(), &mut report);
        let free = |i: &usize| !dropped.contains(i) && Some(*i) != by;
        let inputs: Vec<&Column> = (0..columns.len()).filter(free).map(|i| &columns[i]).collect();
        if inputs.is_empty() {
            return Err(AgentError::Data("no column is left: all are dropped".into()));
        }
        let units = look_at_duplicates(&inputs, &target, &mut report);
        let (split, units) = divide(settings, by.map(|i| &columns[i]), raw, &target, units, &mut report)?;
        report.parts = [&split.train, &split.validation, &split.test].map(Vec::len);
        let mut used = Vec::new();
        for (i, column) in columns.iter().enumerate() {
            used.push(if dropped.contains(&i) {
                "dropped (data.drop)".into()
            } else if Some(i) == by {
                "split".into()
            } else {
                use_of(column, &target, &split, settings.keep.contains(&column.name), &mut report)
            });
        }
        report.columns = columns.iter().zip(&used).map(|(column, used)| About::new(column, used)).collect();
        let mut uses = used.iter();
        columns.retain(|_| uses.next().is_some_and(|used| used == "input"));
        if columns.is_empty() {
            let all: Vec<String> =
                report.columns.iter().map(|c| format!("`{}` is {}", c.name, c.used)).take(6).collect();
            return Err(AgentError::Data(format!("no column is left: {}", all.join(", "))));
        }
        Ok(Self { columns, target, split, units, lines: raw.lines.clone(), report, unlabelled: None, blocks: 0 })
    }
}
