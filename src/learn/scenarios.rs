//! From a scenario to what it asks for.

use crate::data_task::DataTask;
use crate::duel;
use crate::plan::Plan;
use crate::table_task::TableTask;
use crate::task::Task;
use agon::Outcome;
use agon::scenario::Source;
use std::path::Path;

/// Reads and checks a scenario; `sets` as on the command line.
pub fn read(path: &Path, sets: &[String]) -> Outcome<Box<dyn Task>> {
    let path = &agon::embedded::locate(path)?;
    let source = Source::read(path, sets)?;
    match of_data(path, &source)? {
        Some(task) => Ok(task),
        None => Ok(Box::new(duel::read(path, &source)?)),
    }
}

/// The scenario as one of data, if it is.
pub fn of_data(path: &Path, source: &Source) -> Outcome<Option<Box<dyn Task>>> {
    Ok(if TableTask::is_meant(source) {
        Some(Box::new(TableTask::read(path, source)?))
    } else if DataTask::is_meant(source) {
        Some(Box::new(DataTask::read(path, source)?))
    } else {
        None
    })
}

/// What learns in a scenario, by name; its opponents in evaluation may be gone.
pub fn learner_of(path: &Path) -> Outcome<&'static str> {
    let source = Source::read(path, &[])?;
    if let Some(task) = of_data(path, &source)? {
        return Ok(task.learner().0);
    }
    Ok(Plan::of(path, &source, false)?.agent.kind)
}
