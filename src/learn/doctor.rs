//! `agon doctor`: what was found, and what to do about what was not.

use crate::bench;
use crate::device;
use agon::Outcome;
use agon::cli::Json;
use agon::screen;
use agon_agents::Device;
use serde_json::json;

pub fn run(args: Json) -> Outcome {
    let tensors = agon_agents::probe(Device::Cpu) == 2.0;
    let cuda = device::cuda();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = std::env::current_dir().unwrap_or_default().join("runs");
    let writable = writable(&folder);
    let steps = bench::stepping("classic/cartpole", 1024, 1.0)?;
    let learning = bench::learning("rl-zoo", 20_000)?;
    let ok = |good: bool| if good { "ok" } else { "!!" };
    if args.json {
        let found = json!({
            "libtorch": tensors, "cuda": cuda.is_ok(), "threads": threads, "terminal": screen::is_terminal(),
            "runs_writable": writable.is_none(), "cartpole_steps_per_second": steps, "ppo_steps_per_second": learning,
        });
        agon::say!("{found}");
        return Ok(());
    }
    agon::say!("{} libtorch 2.11.0", ok(tensors));
    match cuda {
        Ok(()) => agon::say!("ok CUDA"),
        Err(why) => {
            agon::say!("-- no CUDA: {why}. Training runs on the CPU.");
            agon::say!("   `make deps CUDA=1` fetches libtorch's CUDA half.");
        }
    }
    agon::say!("ok {threads} threads");
    let colour = if screen::has_colour() { "with" } else { "without" };
    match screen::is_terminal() {
        true => agon::say!("ok terminal, {colour} colours"),
        false => agon::say!("-- no terminal: training prints plain lines"),
    }
    match &writable {
        None => agon::say!("ok runs go to {}", folder.display()),
        Some(why) => agon::say!("!! runs cannot be written to {}: {why}; use --out", folder.display()),
    }
    agon::say!("ok CartPole: {:.0} M steps/s on one core; PPO on it: {learning:.0} steps/s", steps / 1e6);
    Ok(())
}

/// Why a folder cannot be written to.
fn writable(folder: &std::path::Path) -> Option<String> {
    let existed = folder.exists();
    let probe = folder.join(".agon-doctor");
    let tried = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, "x"))
        .and_then(|()| std::fs::remove_file(&probe));
    if !existed {
        let _ = std::fs::remove_dir(folder);
    }
    tried.err().map(|e| e.to_string())
}
