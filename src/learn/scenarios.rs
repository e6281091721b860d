//! From a scenario to what it asks for.

use crate::data_task::DataTask;
use crate::duel;
use crate::plan::Plan;
use crate::task::Task;
use agon::Outcome;
use agon::scenario::Source;
use std::path::Path;

/// Reads and checks a scenario; `sets` as on the command line.
pub fn read(path: &Path, sets: &[String]) -> Outcome<Box<dyn Task>> {
    let path = &agon::embedded::locate(path)?;
    let source = Source::read(path, sets)?;
    if DataTask::is_meant(&source) {
        return Ok(Box::new(DataTask::read(path, &source)?));
    }
    Ok(Box::new(duel::read(path, &source)?))
}

/// What learns in a scenario, by name; its opponents in evaluation may be gone.
pub fn learner_of(path: &Path) -> Outcome<&'static str> {
    let source = Source::read(path, &[])?;
    if DataTask::is_meant(&source) {
        return Ok(DataTask::read(path, &source)?.learner().0);
    }
    Ok(Plan::of(path, &source, false)?.agent.kind)
}
