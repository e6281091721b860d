//! Where tensors live. Agon is built against libtorch's CPU half; the CUDA half is loaded where it can be found.

use agon::cli;
use agon::{Failure, Outcome};
use agon_agents::Device;
use serde_json::{Value, json};

/// The device that was asked for, loaded and ready.
pub fn open(wanted: cli::Device) -> Outcome<Device> {
    match wanted {
        cli::Device::Cpu => Ok(Device::Cpu),
        cli::Device::Auto => Ok(if cuda().is_ok() { Device::Cuda(0) } else { Device::Cpu }),
        cli::Device::Cuda => cuda()
            .map(|()| Device::Cuda(0))
            .map_err(|why| Failure::Input(format!("--device cuda: {why}; use --device cpu, or see `agon doctor`"))),
    }
}

/// Loads libtorch's CUDA half, once, before the first tensor; or says why there is none.
pub fn cuda() -> Result<(), String> {
    static LOADED: std::sync::OnceLock<Result<(), String>> = std::sync::OnceLock::new();
    LOADED.get_or_init(load).clone()
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn load() -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: libtorch_cuda's initialisers only register its operators with libtorch_cpu, which is loaded already; the
    // library is never unloaded.
    let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
    match library {
        Err(e) => Err(format!("libtorch_cuda.so of libtorch 2.11.0 was not found ({e})")),
        Ok(library) => {
            std::mem::forget(library);
            if agon_agents::cuda_is_available() { Ok(()) } else { Err("no CUDA device answers".into()) }
        }
    }
}

#[cfg(not(unix))]
fn load() -> Result<(), String> {
    if agon_agents::cuda_is_available() { Ok(()) } else { Err("no CUDA device answers".into()) }
}

/// For people and provenance files.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(_) => "cuda".into(),
        _ => "cpu".into(),
    }
}

/// Resident memory now and at its peak, in MB; zeros where the system does not say.
pub fn memory() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |key: &str| {
        let line = status.lines().find(|l| l.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    (value("VmRSS:").unwrap_or(0.0) / 1024.0, value("VmHWM:").unwrap_or(0.0) / 1024.0)
}

/// For `agon bench --json`.
pub fn machine() -> Value {
    json!({"threads": std::thread::available_parallelism().map_or(1, usize::from), "memory_mb": memory().1})
}
