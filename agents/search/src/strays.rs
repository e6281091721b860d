//! Ensures that no process started by an engine outlives it, and no engine outlives Agon.
//!
//! An engine is in a process group of its own, but what it starts may leave that group, and Agon may be killed before
//! it can end anything. So every engine has a mark in its environment, inherited by all that it starts; every process
//! with the mark is killed (Linux; elsewhere only the group). Agon does so when an engine ends, and a guard process
//! when Agon ends: it waits for the end of a pipe whose other end only Agon holds. `PR_SET_PDEATHSIG` would have to be
//! set between fork and exec, which takes unsafe code, is sent when a thread ends, and reaches no grandchild.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable of the mark.
pub const MARK: &str = "AGON_ENGINE";

/// A unique mark.
pub fn mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}.{}.", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
static GUARD: OnceLock<Option<Child>> = OnceLock::new();

/// Names the program that runs [`watch`] when it is called `agon guard PID`; without it there is no guard.
pub fn guarded_by(program: &Path) {
    let _ = PROGRAM.set(program.to_owned());
}

/// Starts the guard with the first engine.
pub fn guard() {
    GUARD.get_or_init(|| {
        let mut command = Command::new(PROGRAM.get().filter(|_| cfg!(target_os = "linux"))?);
        command.args(["guard", &std::process::id().to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().ok()
    });
}

/// The guard of a process: waits until it is gone, then kills its engines.
pub fn watch(process: u32) {
    // A name of its own: who kills all that are called agon does not mean it.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(c"engine-guard");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    end(&format!("{process}."));
}

/// Kills every process whose mark has this prefix.
#[cfg(target_os = "linux")]
pub fn end(mark: &str) {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let entry = format!("{MARK}={mark}");
    // Some may be starting others meanwhile.
    for _ in 0..10 {
        let mut found = false;
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = process.file_name();
            let Some(pid) = name.to_str().and_then(|n| n.parse().ok()).and_then(Pid::from_raw) else { continue };
            let Ok(environment) = std::fs::read(process.path().join("environ")) else { continue };
            if !environment.split(|b| *b == 0).any(|e| e.starts_with(entry.as_bytes())) {
                continue;
            }
            // The number may be another's by now; the handle is not.
            let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            if std::fs::read(process.path().join("environ")).is_ok_and(|again| again == environment) {
                found |= pidfd_send_signal(handle, Signal::KILL).is_ok();
            }
        }
        if !found {
            return;
        }
    }
}

/// Kills every process whose mark has this prefix.
#[cfg(not(target_os = "linux"))]
pub fn end(_mark: &str) {}
