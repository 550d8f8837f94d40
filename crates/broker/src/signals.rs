//! SIGTERM and SIGINT end a broker cleanly.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Failure;

/// Takes the signals over, so that none is missed while the broker starts.
pub(crate) fn take() -> Result<Signals, Failure> {
    Signals::new([SIGTERM, SIGINT]).map_err(|source| Failure::System { what: "handle signals", source })
}

/// Waits until one of them comes.
pub(crate) fn wait(mut signals: Signals) {
    signals.forever().next();
}
