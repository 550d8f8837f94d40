//! The counters by the names that options and job files use.

use std::fmt;

use serde::{Deserialize, Serialize};
use vision::Counter;

use crate::exit::Failure;

/// Which counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CounterName {
    /// Background model and groups of moving pixels: about a millisecond per frame
    Motion,
    /// A neural detector: tens of milliseconds per frame, more accurate
    Nanodet,
}

impl fmt::Display for CounterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Motion => "motion",
            Self::Nanodet => "nanodet",
        })
    }
}

/// Makes a counter.
pub(crate) fn counter(name: CounterName) -> Result<Box<dyn Counter>, Failure> {
    vision::counter(&name.to_string()).map_err(|error| Failure::failed(error.to_string()))
}
