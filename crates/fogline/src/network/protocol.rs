//! What is said about the network of a running experiment.

use link::{Patch, Profile};
use serde::{Deserialize, Serialize};

/// What can be asked of a running network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// Tell how it is.
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

/// Links, by selectors as the network file has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Place {
    /// All links that were changed by hand.
    Everywhere,
    /// All links from and to hosts.
    Host(String),
    /// From hosts to hosts.
    Pairs {
        /// Sending hosts.
        src: String,
        /// Receiving hosts.
        dst: String,
        /// Whether the way back is meant too.
        #[serde(default)]
        symmetric: bool,
    },
}

impl Place {
    /// As a person reads it, in the manner of scheduled changes.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Everywhere => "everywhere".to_owned(),
            Self::Host(host) => host.clone(),
            Self::Pairs { src, dst, symmetric: false } => format!("{src} -> {dst}"),
            Self::Pairs { src, dst, symmetric: true } => format!("{src} <-> {dst}"),
        }
    }
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed {
    /// What changed: `cut`, `delay 100ms`, `healed`.
    pub(crate) what: String,
    /// Where, in words.
    pub(crate) place: String,
    /// How many links.
    pub(crate) links: usize,
    /// Ordered pairs of the selected hosts that no rule shapes, and which therefore stay as they are.
    pub(crate) unshaped: usize,
}

/// How the network is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// The run folder's name.
    pub(crate) run: String,
    /// Seconds since the launch was done; absent before.
    pub(crate) at_s: Option<f64>,
    /// The rules, in the order of the network file.
    pub(crate) rules: Vec<ShownRule>,
    /// How late packets left, by the delay of links.
    pub(crate) lateness: Vec<ShownLateness>,
}

/// The links of one rule, one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShownRule {
    /// The rule's name.
    pub(crate) rule: String,
    /// Source selector as written.
    pub(crate) source: String,
    /// Destination selector as written.
    pub(crate) destination: String,
    /// What the rule asks for.
    pub(crate) asked: Profile,
    /// Its links by what they do now; one entry as long as all do the same.
    pub(crate) now: Vec<ShownLinks>,
}

/// Links of a rule that do the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShownLinks {
    /// What they do.
    pub(crate) in_force: Profile,
    /// Whether somebody changed them by hand.
    pub(crate) by_hand: bool,
    /// How many they are.
    pub(crate) links: usize,
    /// Their packets, together.
    pub(crate) packets: ShownPackets,
    /// Each of them; only when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) each: Vec<ShownLink>,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShownLink {
    /// Sending host.
    pub(crate) source: String,
    /// Receiving host.
    pub(crate) destination: String,
    /// Its packets.
    pub(crate) packets: ShownPackets,
}

/// Packets since the network was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShownPackets {
    /// Came from the sending host.
    pub(crate) entered: u64,
    /// Went to the receiving host.
    pub(crate) delivered: u64,
    /// Were taken by the loss model.
    pub(crate) lost: u64,
    /// Met a link that was cut.
    pub(crate) cut: u64,
    /// Found a queue full, or were dropped from it.
    pub(crate) dropped: u64,
    /// Are on their way.
    pub(crate) queued: u64,
}

/// How late packets left, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShownLateness {
    /// The delay that the links were given at the start.
    pub(crate) delay_ms: f64,
    /// Median.
    pub(crate) p50_ms: f64,
    /// 99th percentile.
    pub(crate) p99_ms: f64,
    /// The worst.
    pub(crate) max_ms: f64,
    /// What the 99th percentile may be at most for the run to be valid.
    pub(crate) bound_ms: f64,
}
