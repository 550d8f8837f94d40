//! SIGTERM and SIGINT mean: come to an orderly end. However many SIGTERMs come, they mean no more than that,
//! so that `cctv stop` may be repeated; a second SIGINT, from somebody at the keyboard, means: now.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::{Exit, Failure};

/// A flag that the first SIGTERM or SIGINT raises.
pub(crate) fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    // The order matters: the conditional shutdown looks at the flag before the same signal raises it.
    flag::register_conditional_shutdown(SIGINT, Exit::Incomplete as i32, Arc::clone(&stop))
        .and_then(|_| flag::register(SIGINT, Arc::clone(&stop)))
        .and_then(|_| flag::register(SIGTERM, Arc::clone(&stop)))
        .map_err(|error| Failure::failed(format!("cannot handle signals: {error}")))?;
    Ok(stop)
}
