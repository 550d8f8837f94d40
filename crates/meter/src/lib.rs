//! Latency, throughput and frame accounts: record, write, read.
//!
//! One process of the application writes three files into its metrics directory, `<instance>` being unique in
//! the experiment:
//!
//! - `<role>-<instance>.csv`, one [`Second`] per line, with the header line [`Second::CSV_HEADER`];
//! - `<role>-<instance>.hlog`, an HDR histogram interval log (format 1.3, nanoseconds, one interval per tag and
//!   second at most, seconds without samples left out);
//! - `<role>-<instance>.account.json`, the [`Account`]: what entered, what left, and what was dropped for which
//!   reason, per camera. It is replaced every five seconds while the process runs, and finally with
//!   `"complete": true`.
//!
//! Per camera `in = out + sum(dropped)`; `duplicates` are extra and not in `in`. Roles are `camera`, `gateway`,
//! `job`, `in-sink`, `out-sink`; the ledger of an experiment follows from the accounts alone: camera.out =
//! gateway.in, gateway.out = in-sink.in = job.in, job.out = out-sink.in.
//!
//! A [`Recorder`] writes all three; [`Account::read`], [`read_seconds`] and [`read_intervals`] read them. A
//! histogram costs about 180 KB once its tag is used, and an idle second one line of CSV.
//!
//! ```
//! use std::time::Duration;
//! use meter::{Clock, Recorder};
//!
//! let directory = tempfile::tempdir()?;
//! let clock = Clock::system();
//! let mut recorder = Recorder::create(directory.path(), "gateway", "fog-1", clock.clone())?;
//! recorder.latency_of("capture-to-fog");
//! recorder.frame_in("data-1", 14_200);
//! recorder.latency("capture-to-fog", Duration::from_millis(53));
//! recorder.dropped("data-1", "corrupt");
//! recorder.tick(clock.unix_ns())?;
//! let account = recorder.finish()?;
//! assert!(account.unbalanced().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod clock;
mod error;
mod hlog;
mod latency;
mod recorder;
mod second;
mod sys;

pub use account::{Account, CameraAccount, OTHERS};
pub use clock::Clock;
pub use error::MeterError;
pub use hlog::{Interval, read_intervals};
pub use latency::{Latency, Percentile};
pub use recorder::Recorder;
pub use second::{Second, read_seconds};
