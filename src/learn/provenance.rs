//! What a run is: its scenario, and on which machine, with which versions and by which command it was made.

use crate::device;
use crate::task::Task;
use agon::Outcome;
use agon::run::Run;
use agon_agents::Device;
use serde_json::json;
use std::path::Path;

/// The files that say what this run is.
pub fn describe(run: &Run, task: &dyn Task, device: Device, from: Option<&Path>) -> Outcome {
    for (name, bytes) in task.files()? {
        run.write_bytes(name, &bytes)?;
    }
    task.fill(run)?;
    let (source, what) = task.provenance();
    let train = &task.common().train;
    let command: Vec<String> = std::env::args().collect();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or_default();
    let provenance = json!({
        "agon": env!("CARGO_PKG_VERSION"),
        "commit": env!("AGON_COMMIT"),
        "libtorch": "2.11.0",
        source: what,
        "cpu": cpu.trim_start_matches(['\t', ' ', ':']),
        "device": device::name(device),
        "threads": train.threads,
        "env_threads": train.env_threads,
        "seed": train.seed,
        "from": from,
        "command": command[1..],
    });
    run.write("provenance.json", &format!("{provenance:#}\n"))?;
    // The last one: where it is, there is a run.
    run.write_scenario(&task.common().resolved)
}
