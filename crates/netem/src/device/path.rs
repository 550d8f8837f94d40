//! The ways by which packets may travel between hosts.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How packets travel from host to host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataPath {
    /// Through the emulator, by a TAP in each host. Needs `/dev/net/tun`.
    #[default]
    Tap,
    /// Through the emulator, by a pair of virtual Ethernet devices for each host, the far end of which is read and
    /// written with an `AF_PACKET` socket. Slower than a TAP, but needs no device node.
    Packet,
    /// Through a bridge of the kernel's, with nothing emulated: how fast this machine could be.
    Bridge,
    /// Through a bridge, shaped by the kernel's own `htb` and `netem` at each host: see [`kernel`](crate::kernel).
    Kernel,
}

impl DataPath {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tap, Self::Packet, Self::Bridge, Self::Kernel];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Packet => "packet",
            Self::Bridge => "bridge",
            Self::Kernel => "kernel",
        }
    }

    /// What carries the packets, for a report.
    pub const fn mechanism(self) -> &'static str {
        match self {
            Self::Tap => "tap+vnet_hdr",
            Self::Packet => "veth+af_packet+vnet_hdr",
            Self::Bridge => "veth+bridge",
            Self::Kernel => "veth+bridge+htb+netem",
        }
    }

    /// Whether packets go through an [`Emulator`](crate::Emulator).
    pub const fn is_emulated(self) -> bool {
        matches!(self, Self::Tap | Self::Packet)
    }

    /// Whether devices plug into a [`Switch`](crate::Switch).
    pub const fn needs_switch(self) -> bool {
        !matches!(self, Self::Tap)
    }
}

impl fmt::Display for DataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DataPath {
    type Err = UnknownPath;

    fn from_str(text: &str) -> Result<Self, UnknownPath> {
        let found = Self::ALL.into_iter().find(|path| path.name() == text);
        found.ok_or_else(|| UnknownPath { text: text.to_owned() })
    }
}

/// A text that names no [`DataPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no data path: `tap`, `packet`, `bridge` or `kernel` expected")]
pub struct UnknownPath {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_everywhere() {
        for path in DataPath::ALL {
            assert_eq!(path.to_string().parse(), Ok(path));
            assert_eq!(serde_json::to_value(path).unwrap(), path.name());
        }
        let error = "veth".parse::<DataPath>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"veth\" is no data path: `tap`, `packet`, `bridge` or `kernel` expected"
        );
    }
}
