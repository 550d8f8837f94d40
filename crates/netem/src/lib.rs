//! User-space link emulation over TAP devices.
//!
//! Contract (the crate's author keeps these names and shapes; details may grow):
//!
//! - `netem::Profile { delay: units::Delay, rate: Option<units::Rate>, loss: units::Loss, queue: units::Size }`
//! - `netem::Node { name: String, address: std::net::Ipv4Addr, device: netem::Device }`
//! - `netem::Device::create(name: &str, address, prefix_len, options: &DeviceOptions) -> Result<Device, DeviceError>`:
//!   creates, configures (address, MTU 1500, IFF_NOARP, txqueuelen >= 10000 by netlink, lo up, routes with the asked
//!   congestion control) and brings up a TAP named `name` **in the calling thread's network namespace**; the returned
//!   `Device` owns the file descriptor and may be moved to any thread. `DeviceError` names the exact right that is
//!   missing (no `/dev/net/tun`, `EACCES` on it, no `CAP_NET_ADMIN`) and how to grant it.
//! - `netem::Network { nodes: Vec<Node>, links: Vec<(usize, usize, Profile)>, seed: u64 }`; pairs without a link pass
//!   unshaped.
//! - `netem::Emulator::start(network: Network) -> io::Result<Emulator>`: spawns the one worker thread.
//! - `Emulator::snapshot(&self) -> Snapshot` (serde-serialisable: lateness p50/p99/max in ns, per-link counters,
//!   device drops, CPU seconds, packets, data path name), `Emulator::stop(self)` closes descriptors in parallel.
