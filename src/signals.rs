//! Signals, for every command that runs long or holds the terminal.
//!
//! A thread waits for them, so what they cause is ordinary code: giving the terminal back needs more than a signal
//! handler may do.
//!
//! | signal | a run | a view, which has nothing to save |
//! | --- | --- | --- |
//! | SIGINT, SIGTERM | asks it to save and stop; the second one ends it at once | ends it |
//! | SIGHUP: the terminal was closed | asks it to save and stop | ends it |
//! | any of them while it is set up | ends it: there is nothing to save | |
//! | SIGQUIT | ends it at once | ends it |
//! | SIGTSTP, SIGCONT | the terminal is given back, and taken again | the same |

use crate::failure::{Failure, Outcome};
use crate::screen;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ended by a signal or by Ctrl-C.
const INTERRUPTED: i32 = 130;
/// Ended by SIGQUIT, as shells count.
const QUIT: i32 = 131;

/// Whether a run is being set up.
static SETTING_UP: AtomicBool = AtomicBool::new(false);

/// Says whether a run is being set up, which may take long and leaves nothing that should be saved.
pub fn set_up(under_way: bool) {
    SETTING_UP.store(under_way, Ordering::SeqCst);
}

/// Listens for a run: the flag is set once it should save and stop.
pub fn for_run() -> Outcome<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    listen(move |signal| match signal {
        SIGQUIT => end(QUIT),
        _ if SETTING_UP.load(Ordering::SeqCst) => end(INTERRUPTED),
        // A closed terminal may be told twice, by the kernel and by the shell: that is no impatience.
        SIGHUP => asked.store(true, Ordering::SeqCst),
        _ if asked.swap(true, Ordering::SeqCst) => end(INTERRUPTED),
        _ => {}
    })?;
    Ok(stop)
}

/// Sets a run's flag, too, once stdin ends: whoever started it closes that to stop it, or has died.
pub fn stop_at_end_of_stdin(stop: &Arc<AtomicBool>) -> Outcome {
    let stop = stop.clone();
    let wait = move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        if SETTING_UP.load(Ordering::SeqCst) {
            end(INTERRUPTED);
        }
        stop.store(true, Ordering::SeqCst);
    };
    let failed = |e: std::io::Error| Failure::Internal(format!("cannot listen to stdin: {e}"));
    std::thread::Builder::new().name("stdin".into()).spawn(wait).map(drop).map_err(failed)
}

/// Listens for a view.
pub fn for_view() -> Outcome {
    listen(|signal| end(if signal == SIGQUIT { QUIT } else { INTERRUPTED }))
}

/// Gives the terminal back and ends the process; what was saved before stays.
pub fn end(code: i32) -> ! {
    screen::restore_for_good();
    // Not `std::process::exit`: it would take libraries down whose threads are still at work.
    signal_hook::low_level::exit(code)
}

/// Ends the process as a second Ctrl-C does.
pub fn end_at_once() -> ! {
    end(INTERRUPTED)
}

fn listen(mut ask: impl FnMut(i32) + Send + 'static) -> Outcome {
    let mut heard = vec![SIGINT, SIGTERM, SIGQUIT, SIGTSTP, SIGCONT];
    if !hangup_is_ignored() {
        heard.push(SIGHUP);
    }
    let failed = |e: std::io::Error| Failure::Internal(format!("cannot listen for signals: {e}"));
    let mut signals = Signals::new(heard).map_err(failed)?;
    let wait = move || {
        for signal in signals.forever() {
            match signal {
                SIGTSTP => screen::suspend(),
                SIGCONT => screen::resume(),
                other => ask(other),
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop).map_err(failed)
}

/// Whether whoever started us wants us to outlive the terminal: `nohup`.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask >> (SIGHUP - 1) & 1 == 1
}
