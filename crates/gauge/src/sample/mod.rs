//! `gauge sample`: appends a cluster's metrics to a file until SIGTERM.

mod cluster;
mod columns;
mod file;

pub(crate) use columns::help;

use crate::Failure;
use crate::cli::{Engine, Sample};
use crate::clock::unix_ms;
use crate::rest::Rest;
use cluster::Cluster;
use file::Samples;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Samples until SIGTERM or SIGINT. A cluster that does not answer is told once, and once when it answers again.
pub(crate) fn run(options: &Sample) -> Result<(), Failure> {
    let Engine::Flink = options.engine;
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(Failure::Signals)?;
    let (asked, stop) = mpsc::sync_channel(1);
    let listen = move || {
        signals.forever().next();
        // The other end is gone when the process ends by itself.
        let _ = asked.send(());
    };
    thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(Failure::Signals)?;
    let mut samples = Samples::open(&options.out)?;
    let mut cluster = Cluster::new(Rest::new(&options.url));
    let mut answered = true;
    let mut due = Instant::now();
    loop {
        match cluster.sample(unix_ms()) {
            Ok(lines) => {
                samples.append(&lines)?;
                if !answered {
                    eprintln!("gauge: {} answers again", options.url);
                }
                answered = true;
            }
            Err(error) => {
                if answered {
                    eprintln!("gauge: a gap begins: {error}");
                }
                answered = false;
            }
        }
        due = next(due, options.every, Instant::now());
        match stop.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// When the next sample is due: on the grid of the first one, those that are past left out.
fn next(due: Instant, every: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due);
    let steps = late.as_nanos() / every.as_nanos() + 1;
    due + every.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_sample_does_not_bring_a_burst_after_it() {
        let (due, every) = (Instant::now(), Duration::from_secs(1));
        let after = |ms| next(due, every, due + Duration::from_millis(ms)).duration_since(due).as_secs();
        assert_eq!([0, 10, 999, 1000, 3500].map(after), [1, 1, 1, 2, 4]);
    }
}
