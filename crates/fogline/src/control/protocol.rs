//! What the command line and a running experiment say to each other: one JSON line each. Then the connection ends, or
//! becomes a stream of frames (`fogline_agent::frame`) where one was asked for.

use crate::network::{Ask, Changed, Shown};
use crate::shell::ShownHost;
use fogline_agent::stream::ProcessRequest;
use serde::{Deserialize, Serialize};

/// Longest request, bytes.
pub(crate) const REQUEST_MAX: u64 = 64 << 10;

/// Longest answer, bytes.
pub(crate) const ANSWER_MAX: u64 = 64 << 20;

/// What can be asked of a running experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// About its network.
    Network(Ask),
    /// Tell which hosts there are.
    Hosts,
    /// Start a process on a host; the connection becomes its stream.
    Shell {
        /// The host: a selector that selects one.
        host: String,
        /// What to start.
        process: ProcessRequest,
    },
    /// Let connections to a port of a host be forwarded as long as this connection lasts.
    Forward {
        /// The host: a selector that selects one; else the one host with a service on that port.
        host: Option<String>,
        /// The port.
        port: u16,
    },
    /// Connect to a port of a host; the connection becomes its stream.
    Connect {
        /// The host: a selector that selects one.
        host: String,
        /// The port.
        port: u16,
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
    /// The hosts.
    Hosts(Vec<ShownHost>),
    /// The connection is what was asked for now.
    Open {
        /// The host's name.
        host: String,
    },
    /// The request means nothing here: it has to be asked otherwise.
    Refused(String),
    /// The request was right, but could not be met.
    Failed(String),
}
