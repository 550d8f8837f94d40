//! A network namespace of the emulator's own, where the far ends of virtual Ethernet pairs are.

use crate::device::{DeviceError, refused, refused_namespace, refused_pair};
use crate::netlink::{self, DeviceDrops, Ends, Netlink, Veth};
use crate::sys;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// What errors call the switch.
const NAME: &str = "switch";
/// The index of the bridge in the switch's namespace, after `lo`.
const BRIDGE: u32 = 2;
/// The index of the first port.
const FIRST_PORT: u32 = 16;
/// Where the search for a free index ends.
const INDEX_MAX: u32 = 1 << 20;
/// How many ports one bridge of the kernel's may have (`BR_MAX_PORTS` - 1).
const BRIDGE_PORTS_MAX: u32 = 1023;
/// Room for frames that wait for the emulator to read them, bytes. It is not set aside before it is needed.
const BUFFER_LEN: i32 = 16 << 20;
/// With less room than this, bytes, a burst that a TAP would hold is dropped.
const ROOM_MIN: u64 = 4 << 20;

/// A network namespace that holds the other ends of the devices of [`DataPath::Packet`](crate::DataPath::Packet),
/// `Bridge` and `Kernel`. It and all ends are gone when the last reference is: every device keeps one.
#[derive(Debug)]
pub struct Switch {
    namespace: File,
    next_port: AtomicU32,
    inside: Mutex<Inside>,
}

/// What is done inside the namespace, by one thread at a time.
#[derive(Debug)]
struct Inside {
    netlink: Netlink,
    has_bridge: bool,
}

impl Switch {
    /// Makes the namespace, which belongs to the calling thread's user namespace. The calling thread stays where it
    /// is.
    ///
    /// # Errors
    /// When the kernel refuses a network namespace.
    pub fn create() -> Result<Self, DeviceError> {
        let made = in_thread(|| {
            sys::unshare_network()?;
            let namespace = File::open("/proc/thread-self/ns/net")?;
            // Else every port would greet its host. Where the setting can't be written, hosts bear with that.
            let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
            keep_order();
            Ok((namespace, Netlink::open()?))
        });
        let (namespace, netlink) = made.map_err(|source| refused_namespace(NAME, source))?;
        let inside = Mutex::new(Inside { netlink, has_bridge: false });
        Ok(Self { namespace, next_port: AtomicU32::new(FIRST_PORT), inside })
    }

    /// Makes a device in the namespace that `netlink` speaks of, and its far end here. Returns the index of both.
    pub(crate) fn plug(&self, netlink: &mut Netlink, cable: &Cable<'_>) -> Result<u32, DeviceError> {
        loop {
            let index = self.next_port.fetch_add(1, Ordering::Relaxed);
            let [a, b, c, d] = index.to_be_bytes();
            let pair = Veth {
                near: Ends { name: cable.name, mac: cable.mac },
                far: Ends { name: &format!("port{index}"), mac: [0x02, 0x01, a, b, c, d] },
                index,
                far_namespace: self.namespace.as_fd(),
                mtu: cable.mtu,
                queue_len: cable.queue_len,
                no_arp: cable.no_arp,
            };
            match netlink.perform(netlink::veth(&pair)) {
                Ok(()) => return Ok(index),
                // The host has a device of this number already, which the next host won't have.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && index < INDEX_MAX => {}
                Err(error) => return Err(refused_pair(cable.name, error)),
            }
        }
    }

    /// Makes a far end a port of the one bridge.
    pub(crate) fn bridge(&self, far_index: u32) -> Result<(), DeviceError> {
        let mut inside = self.inside();
        if !inside.has_bridge {
            let made = inside.netlink.perform(netlink::bridge("bridge", BRIDGE));
            made.map_err(|source| refused(NAME, "make a bridge (try `sudo modprobe bridge`)", source))?;
            inside.has_bridge = true;
        }
        let added = inside.netlink.perform(netlink::enslave(far_index, BRIDGE));
        added.map_err(|source| match source.raw_os_error() {
            Some(libc::EXFULL) => DeviceError::BridgeFull { most: BRIDGE_PORTS_MAX },
            _ => refused(NAME, "add a port to its bridge", source),
        })
    }

    /// Brings a far end up and opens it to be read and written, and tells how many bytes may wait there.
    pub(crate) fn open(&self, far_index: u32) -> io::Result<(File, u64)> {
        self.inside().netlink.perform(netlink::bring_up(far_index))?;
        in_thread(|| {
            sys::enter_network(self.namespace.as_fd())?;
            let socket = sys::packet_socket(far_index, BUFFER_LEN)?;
            let room = sys::receive_room(&socket)?;
            Ok((socket, room))
        })
    }

    /// What the kernel dropped at a far end.
    pub(crate) fn drops(&self, far_index: u32) -> io::Result<DeviceDrops> {
        self.inside().netlink.drops(far_index)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // A panic in between leaves at worst an answer that the next request passes over.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has every flow's frames received by one processor, in the order they were sent: a host may send from several at
/// once, and each would else hand over its own first. Devices made later take the setting from their namespace, since
/// Linux 6.4; before, a flow that fills the machine may overtake itself.
fn keep_order() {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    if let Some(mask) = processor_mask(&online) {
        // Only order at the machine's limit depends on it.
        let _ = std::fs::write("/proc/sys/net/core/rps_default_mask", mask);
    }
}

/// The processors up to the last in a list like `0-3,6`, as the kernel writes masks: hexadecimal, a comma after each
/// 32 bits.
fn processor_mask(online: &str) -> Option<String> {
    let last: usize = online.trim().rsplit([',', '-']).next()?.parse().ok()?;
    let (whole, rest) = ((last + 1) / 32, (last + 1) % 32);
    let head = (rest > 0).then(|| format!("{:x}", (1_u32 << rest) - 1));
    let words: Vec<String> = head.into_iter().chain((0..whole).map(|_| "ffffffff".to_owned())).collect();
    Some(words.join(","))
}

/// Whether bursts find too little room.
pub(crate) const fn is_narrow(room: u64) -> bool {
    room < ROOM_MIN
}

/// The host's end of a new pair.
pub(crate) struct Cable<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: [u8; 6],
    pub(crate) mtu: u32,
    pub(crate) queue_len: u32,
    /// Whether the host does without ARP and neighbour discovery.
    pub(crate) no_arp: bool,
}

/// Runs `work` on a thread of its own, which may change its namespace and is gone afterwards.
fn in_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, work)?;
        thread.join().map_err(|_| io::Error::other("a thread that makes devices panicked"))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_name_all_processors() {
        let masks = ["0", "0-1\n", "0-3,6", "0-31", "0-32"].map(processor_mask);
        let expected = ["1", "3", "7f", "ffffffff", "1,ffffffff"].map(|mask| Some(mask.to_owned()));
        assert_eq!(masks, expected);
        assert_eq!(processor_mask(""), None);
    }
}
