//! What the command line and a running experiment say to each other: one JSON line each, then the connection ends.

use crate::network::{Changed, Place, Shown};
use link::Patch;
use serde::{Deserialize, Serialize};

/// Longest request, bytes.
pub(crate) const REQUEST_MAX: u64 = 64 << 10;

/// Longest answer, bytes.
pub(crate) const ANSWER_MAX: u64 = 64 << 20;

/// What can be asked of a running experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Tell how the network is.
    Show {
        /// Whether each link is told by itself, and not only what links have in common.
        #[serde(default)]
        links: bool,
    },
    /// Make links behave differently, on top of all else.
    Set {
        /// Which links.
        place: Place,
        /// What is to be different.
        patch: Patch,
    },
    /// Forget what was set by hand.
    Heal {
        /// Which links.
        place: Place,
    },
}

/// What a running experiment answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// How the network is.
    Shown(Box<Shown>),
    /// It is so now.
    Changed(Changed),
    /// The request means nothing here: it has to be asked otherwise.
    Refused(String),
    /// The request was right, but could not be met.
    Failed(String),
}
