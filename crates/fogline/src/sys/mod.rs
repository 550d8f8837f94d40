//! What the standard library cannot ask of sockets, processes and terminals. The only place of this crate with `unsafe`.
#![allow(unsafe_code, reason = "system calls that the standard library does not wrap; nothing else is here")]

pub(crate) mod terminal;

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

/// Room for the control messages of one datagram: one stamp and its header.
const CONTROL_BYTES: usize = 64;

/// Turns the `-1` of a system call into its error.
fn checked(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn set_option(socket: &UdpSocket, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: `value` lives across the call and its true size is given.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    checked(result.into()).map(drop)
}

/// A socket for ICMP echo requests that needs no privilege (`net.ipv4.ping_group_range`); it sends and receives whole
/// ICMP messages.
pub(crate) fn ping_socket() -> io::Result<UdpSocket> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: plain integers.
    let raw = checked(unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_ICMP) }.into())?;
    // SAFETY: the descriptor is new and owned by nobody else; the calls made on it are those of any datagram socket.
    Ok(unsafe { UdpSocket::from_raw_fd(raw as i32) })
}

/// Asks for kernel receive stamps and for a receive buffer, larger than the system's limit where the process may.
pub(crate) fn prepare_receiver(socket: &UdpSocket, buffer_bytes: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, buffer_bytes)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, buffer_bytes))
}

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Its length, at most the buffer's.
    pub(crate) bytes: usize,
    /// Who sent it.
    pub(crate) source: SocketAddrV4,
    /// When the kernel received it, nanoseconds since 1970; absent when it does not say.
    pub(crate) stamp_ns: Option<i64>,
}

/// Control messages need the alignment of their header.
#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Takes one datagram, waiting as long as the socket's read time-out says.
///
/// # Errors
/// The kernel's, among them `WouldBlock` after the time-out.
pub(crate) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = Control([0; CONTROL_BYTES]);
    // SAFETY: all-zero is a valid value of these plain C structures.
    let (mut name, mut header): (libc::sockaddr_in, libc::msghdr) =
        unsafe { (MaybeUninit::zeroed().assume_init(), MaybeUninit::zeroed().assume_init()) };
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES;
    // SAFETY: the header points at a name, a buffer and a control buffer that outlive the call, with their true lengths.
    let bytes = checked(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, 0) } as i64)?;
    let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
    let source = SocketAddrV4::new(ip, u16::from_be(name.sin_port));
    Ok(Received { bytes: bytes as usize, source, stamp_ns: stamp_of(&header) })
}

fn stamp_of(header: &libc::msghdr) -> Option<i64> {
    // SAFETY: the kernel has filled the control buffer (which is aligned for its headers) and set its length; the
    // CMSG macros stay within that length, and the data of the kind read here has the type read.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            if ((*message).cmsg_level, (*message).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
                let time = libc::CMSG_DATA(message).cast::<libc::timespec>().read_unaligned();
                return Some(time.tv_sec * 1_000_000_000 + time.tv_nsec);
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

/// The process that `command` becomes is killed when the thread that starts it ends, so also when this process is
/// killed.
pub(crate) fn die_with_parent(command: &mut Command) {
    let ask = || {
        // SAFETY: plain integers; the call is made between fork and exec, where system calls are allowed.
        checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }.into()).map(drop)
    };
    // SAFETY: `ask` allocates nothing, takes no lock and makes one system call.
    unsafe { command.pre_exec(ask) };
}

/// Sends a signal to a child that leads a process group of its own, and to all others in the group.
pub(crate) fn signal_group(leader: &Child, signal: i32) -> io::Result<()> {
    let group = i32::try_from(leader.id()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: plain integers. The child has not been waited for, so its number is still its own.
    checked(unsafe { libc::kill(-group, signal) }.into()).map(drop)
}
