//! `fogline destroy`: ends running experiments of a scenario. Idempotent.

use crate::cli::DestroyArgs;
use crate::exit::Exit;
use fogline_journal::{RunFolder, Runner};
use std::process::Command;
use std::time::{Duration, Instant};

/// How often a wait looks whether the runner is gone.
const LOOK: Duration = Duration::from_millis(50);
/// How long the kernel gets after SIGKILL.
const KILL_DEADLINE: Duration = Duration::from_secs(5);

/// Runs the subcommand.
pub(crate) fn run(args: &DestroyArgs) -> Exit {
    let folders = match RunFolder::list(&args.scenario) {
        Ok(folders) => folders,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Refused;
        }
    };
    let mut ended = 0;
    for folder in folders {
        match end(&folder, Duration::from_secs(args.grace)) {
            Ok(true) => ended += 1,
            Ok(false) => {}
            Err(message) => {
                eprintln!("error: {}: {message}", folder.root().display());
                return Exit::Internal;
            }
        }
    }
    println!("{ended} running experiment{} ended", if ended == 1 { "" } else { "s" });
    Exit::Success
}

/// Ends the runner of one folder; says whether there was one.
fn end(folder: &RunFolder, grace: Duration) -> Result<bool, String> {
    let look = || folder.runner().map_err(|error| error.to_string());
    let Runner::Alive(pid) = look()? else { return Ok(false) };
    for (signal, patience) in [("TERM", grace), ("KILL", KILL_DEADLINE)] {
        let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
        let sent = sent.map_err(|error| format!("cannot run `kill`: {error}"))?;
        let deadline = Instant::now() + patience;
        loop {
            if !matches!(look()?, Runner::Alive(_)) {
                return Ok(true);
            }
            if !sent.success() {
                return Err(format!("not allowed to signal its runner, process {pid}"));
            }
            if Instant::now() >= deadline {
                break;
            }
            std::thread::park_timeout(LOOK);
        }
    }
    Err(format!("its runner, process {pid}, does not end"))
}
