//! What is said about the hosts of a running experiment.

use serde::{Deserialize, Serialize};

/// A host, as `fogline shell --list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShownHost {
    /// Its name.
    pub(crate) name: String,
    /// Its address.
    pub(crate) address: String,
    /// Its services, by their keys.
    pub(crate) services: Vec<ShownService>,
}

/// A service of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShownService {
    /// Its key, which selects its host.
    pub(crate) key: String,
    /// The port that it listens on, if it has one.
    pub(crate) port: Option<u16>,
}
