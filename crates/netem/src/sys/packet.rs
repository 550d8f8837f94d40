//! Calls for the packet path: network namespaces, `AF_PACKET` sockets, offloads of a device.

use super::{check, owned};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Moves the calling thread into a new network namespace.
pub(crate) fn unshare_network() -> io::Result<()> {
    // SAFETY: unshare takes an integer only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).map(drop)
}

/// Moves the calling thread into a network namespace.
pub(crate) fn enter_network(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// The index of the device named `name` in the calling thread's network namespace.
pub(crate) fn device_index(name: &str) -> io::Result<u32> {
    let name = std::ffi::CString::new(name)?;
    // SAFETY: the name ends in NUL and outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

fn set_option(socket: &impl AsFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the option's value is one int, which outlives the call.
    check(unsafe { libc::setsockopt(socket, level, option, (&raw const value).cast(), length) }).map(drop)
}

/// A socket of the calling thread's network namespace that reads what arrives at the device `index` and sends what
/// is written to it, each frame behind a virtio-net header; it never blocks. Asks for `buffer_len` bytes of buffer
/// either way.
pub(crate) fn packet_socket(index: u32, buffer_len: i32) -> io::Result<File> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Without a protocol it hears nothing, of no device, until it is bound.
    // SAFETY: socket takes integers only.
    let socket = owned(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
    let buffers = [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)];
    for (forced, permitted) in buffers {
        // Only the machine's root may exceed `net.core.rmem_max`; others get that.
        if set_option(&socket, libc::SOL_SOCKET, forced, buffer_len).is_err() {
            set_option(&socket, libc::SOL_SOCKET, permitted, buffer_len)?;
        }
    }
    // SAFETY: `sockaddr_ll` is plain data, for which all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index as i32;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address outlives the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(File::from(socket))
}

/// Reads an option's value into `value`, as far as there is room.
fn get_option<const N: usize>(socket: &File, level: i32, option: i32) -> io::Result<[u32; N]> {
    let mut value = [0_u32; N];
    let mut length = size_of_val(&value) as libc::socklen_t;
    let (to, room) = ((&raw mut value).cast(), &raw mut length);
    // SAFETY: the kernel writes at most `length` bytes into the array, for which any bytes are valid.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, to, room) })?;
    Ok(value)
}

/// Frames that a packet socket had no room for since this was last asked.
pub(crate) fn packet_drops(socket: &File) -> io::Result<u64> {
    // `struct tpacket_stats`: packets seen, packets dropped.
    let [_, dropped] = get_option(socket, libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
    Ok(u64::from(dropped))
}

/// Bytes that may wait in a socket to be read, the kernel's overhead included.
pub(crate) fn receive_room(socket: &File) -> io::Result<u64> {
    let [room] = get_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF)?;
    Ok(u64::from(room))
}

/// Has the kernel work on `command`, a structure of `linux/ethtool.h`, for the device `name` of the calling thread's
/// network namespace.
///
/// `command` must have the size that its first word, the command, and its counts imply: the kernel writes there.
fn ethtool(socket: &impl AsFd, name: &str, command: &mut [u32]) -> io::Result<()> {
    // SAFETY: `ifreq` is plain data, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_data = command.as_mut_ptr().cast();
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the request and, as the callers see to it, the structure it points to are as large as the command says.
    check(unsafe { libc::ioctl(fd, libc::SIOCETHTOOL as libc::Ioctl, &raw mut request) }).map(drop)
}

/// `linux/ethtool.h`
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETH_SS_FEATURES: u32 = 4;
/// Words of one name of a feature.
const NAME_WORDS: usize = 32 / size_of::<u32>();

/// The names of all features that devices may have, in the order of their bits. They are the same for all devices.
pub(crate) fn feature_names(device: &str) -> io::Result<Vec<String>> {
    let socket = datagram_socket()?;
    // `struct ethtool_sset_info`: command, reserved, mask of 64 bits, one count.
    let mut info = [ETHTOOL_GSSET_INFO, 0, 0, 0, 0];
    let mask = (1_u64 << ETH_SS_FEATURES).to_ne_bytes();
    let (low, high) = mask.split_at(4);
    for (slot, half) in info[2..].iter_mut().zip([low, high]) {
        *slot = u32::from_ne_bytes([half[0], half[1], half[2], half[3]]);
    }
    ethtool(&socket, device, &mut info)?;
    let count = info[4];
    // `struct ethtool_gstrings`: command, set, count, names of 32 bytes.
    let mut strings = vec![0; 3 + count as usize * NAME_WORDS];
    strings[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count]);
    ethtool(&socket, device, &mut strings)?;
    let name = |words: &[u32]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    Ok(strings[3..].chunks_exact(NAME_WORDS).map(name).collect())
}

/// Switches features of a device off, given by their bits; `count` is how many there are.
pub(crate) fn switch_off(device: &str, bits: &[usize], count: usize) -> io::Result<()> {
    // `struct ethtool_sfeatures`: command, blocks of 32 bits, then for each block what is meant and what is wanted.
    let blocks = count.div_ceil(32);
    let mut command = vec![0; 2 + 2 * blocks];
    command[..2].copy_from_slice(&[ETHTOOL_SFEATURES, blocks as u32]);
    for &bit in bits.iter().filter(|bit| **bit < count) {
        command[2 + bit / 32 * 2] |= 1 << (bit % 32);
    }
    ethtool(&datagram_socket()?, device, &mut command)
}

/// A socket for questions about devices; it never carries anything.
fn datagram_socket() -> io::Result<std::os::fd::OwnedFd> {
    // SAFETY: socket takes integers only.
    owned(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })
}
