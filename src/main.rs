//! The program `agon`: whatever needs no tensors runs here, the rest in `agon-torch` beside it.

use agon::cli::{Cli, Command};
use agon::{Failure, Outcome, failure};
use agon_search::guided::NoNetworks;
use clap::CommandFactory;
use std::process::ExitCode;

fn main() -> ExitCode {
    failure::report(|| run(failure::parse::<Cli>()?))
}

fn run(cli: Cli) -> Outcome {
    agon::guard_engines();
    match cli.command {
        Some(Command::Guard { process }) => {
            agon_search::strays::watch(process);
            Ok(())
        }
        None => {
            agon::say!("Three commands to start with:\n");
            agon::say!("  agon train classic/cartpole    trains an agent in a few seconds");
            agon::say!("  agon train pricing/tuna        a pricing agent from real sales data");
            agon::say!("  agon watch                     the dashboard, on the newest run");
            agon::say!("\n`agon --help` lists the rest.");
            Ok(())
        }
        Some(Command::Tournament(args)) => {
            let plan = agon::tournament::read(&args)?;
            if agon::tournament::has_networks(&plan) {
                hand_over()
            } else {
                agon::tournament::run(&args, &plan, &NoNetworks)
            }
        }
        Some(Command::Sprt(args)) => agon::tournament::report::sprt(&args),
        Some(Command::Play(args)) if !agon::tournament::wants_network(&args.against) => {
            agon::play::run(&args, &NoNetworks)
        }
        Some(Command::Exploit(args)) if !agon::tournament::wants_network(&args.player) => {
            agon::exploit::run(&args, &NoNetworks)
        }
        Some(Command::Report(args)) => agon::report::run(&args),
        Some(Command::Watch(args)) => agon::watch::run(&args),
        Some(Command::Replay(args)) => agon::replay::run(&args),
        Some(Command::Envs(args)) => agon::envs::run(&args),
        Some(Command::Scenarios(args)) if !args.keys => agon::embedded::run(&args),
        Some(Command::Runs(args)) => agon::runs::run(&args),
        Some(Command::Completions(args)) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "agon", &mut script);
            agon::failure::say(format_args!("{}", String::from_utf8_lossy(&script)));
            Ok(())
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            let written = clap_mangen::Man::new(Cli::command()).render(&mut page);
            written.map_err(|e| Failure::Internal(format!("no manual page: {e}")))?;
            agon::failure::say(format_args!("{}", String::from_utf8_lossy(&page)));
            Ok(())
        }
        Some(Command::Drive(args)) => agon::drive::run(&args),
        Some(Command::New(agon::cli::New { what: agon::cli::NewWhat::Env(args) })) => agon::new::run(&args),
        Some(_) => hand_over(),
    }
}

const LIBRARY_PATH: &str = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };

/// Where libtorch is, seen from the loader of `agon-torch`.
enum Found {
    /// Where the loader looks anyway.
    Beforehand,
    /// Here, and the loader must be told.
    At(std::path::PathBuf),
    Nowhere,
}

fn libtorch() -> Found {
    let name = if cfg!(target_os = "macos") { "libtorch_cpu.dylib" } else { "libtorch_cpu.so" };
    let has = |lib: &std::path::Path| lib.join(name).is_file();
    let told = std::env::var_os(LIBRARY_PATH).unwrap_or_default();
    let built = std::path::PathBuf::from(env!("AGON_LIBTORCH"));
    if has(&built) || std::env::split_paths(&told).any(|lib| has(&lib)) {
        return Found::Beforehand;
    }
    let own = std::env::var_os("LIBTORCH").map(|home| std::path::PathBuf::from(home).join("lib"));
    let deps = std::env::var_os("AGON_DEPS").map(std::path::PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| std::path::PathBuf::from(home).join(".cache/agon"));
    let cached = [deps, home].into_iter().flatten().map(|cache| cache.join("libtorch-2.11.0/lib"));
    own.into_iter().chain(cached).find(|lib| has(lib)).map_or(Found::Nowhere, Found::At)
}

/// Becomes `agon-torch` with the same arguments, so that terminal, signals and exit code are its own.
fn hand_over() -> Outcome {
    let missing = |why: String| Failure::Internal(why);
    let here = std::env::current_exe().map_err(|e| missing(format!("cannot find the program's own folder: {e}")))?;
    let torch = here.with_file_name(format!("agon-torch{}", std::env::consts::EXE_SUFFIX));
    if !torch.is_file() {
        let how = "this needs agon-torch beside agon: build both with `cargo build --release` (after `make deps`)";
        return Err(missing(how.into()));
    }
    let mut command = std::process::Command::new(&torch);
    command.args(std::env::args_os().skip(1));
    if std::env::var_os("OMP_WAIT_POLICY").is_none() {
        // libtorch's threads would wait for each other busily: several times slower where others use the cores too.
        command.env("OMP_WAIT_POLICY", "PASSIVE");
    }
    match libtorch() {
        Found::Beforehand => {}
        Found::At(lib) => {
            command.env(LIBRARY_PATH, lib);
        }
        Found::Nowhere => {
            let how = "run `make deps`, or set LIBTORCH to the folder of libtorch 2.11.0";
            return Err(Failure::Input(format!("libtorch was not found where it was at build time: {how}")));
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        let error = command.exec();
        Err(missing(format!("cannot start {}: {error}", torch.display())))
    }
    #[cfg(not(unix))]
    {
        let status = command.status().map_err(|e| missing(format!("cannot start {}: {e}", torch.display())))?;
        std::process::exit(status.code().unwrap_or(1));
    }
}
