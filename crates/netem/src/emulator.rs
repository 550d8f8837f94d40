//! The handle of a running emulation.

use crate::{Network, Snapshot};
use std::io;
use units::Size;

/// Limits of an [`Emulator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmulatorOptions {
    /// Memory for packets in flight. A packet that finds it used up is dropped and counted.
    pub memory: Size,
}

impl Default for EmulatorOptions {
    /// 256 MiB.
    fn default() -> Self {
        Self { memory: Size::from_bytes(256 << 20) }
    }
}

/// A running emulation. Dropping it stops it.
#[derive(Debug)]
pub struct Emulator {
    snapshot: Snapshot,
}

impl Emulator {
    /// Starts the worker thread.
    ///
    /// # Errors
    /// When the network contradicts itself (an address twice, a link to nowhere) or the kernel refuses a thread
    /// or a descriptor.
    pub fn start(network: Network) -> io::Result<Self> {
        Self::start_with(network, &EmulatorOptions::default())
    }

    /// As [`start`](Self::start), with other limits.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(network: Network, options: &EmulatorOptions) -> io::Result<Self> {
        let _ = (network, options);
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// What the emulation has done so far.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }

    /// Stops the worker, drops what is in flight, removes all devices and returns the last state.
    pub fn stop(self) -> Snapshot {
        self.snapshot()
    }
}
