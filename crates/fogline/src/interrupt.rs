//! Ctrl-C and SIGTERM: asked once, the run ends in good order; asked twice, at once.

use crate::exit::Exit;
use fogline_workflow::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;

/// Sets the returned flag on the first SIGINT, SIGTERM or SIGHUP. The second ends the process at once; the kernel then
/// releases whatever it holds.
///
/// # Errors
/// When a handler or its thread cannot be set up.
pub(crate) fn listen() -> io::Result<Cancel> {
    let cancel = Cancel::new();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let asked = cancel.clone();
    let wait = move || {
        for _ in signals.forever() {
            if asked.is_set() {
                std::process::exit(i32::from(Exit::Interrupted.number()));
            }
            eprintln!("\ninterrupted: releasing everything (once more to end at once)");
            asked.set();
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(cancel)
}
