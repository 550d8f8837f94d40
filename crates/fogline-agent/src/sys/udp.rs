//! UDP sockets: batches, kernel stamps, segmentation, drops.

use super::checked;
use std::io;
use std::mem::{MaybeUninit, size_of, size_of_val};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd as _;

/// Datagrams per system call.
pub(crate) const BATCH: usize = 32;
/// Longest datagram, or run of datagrams that the kernel hands over as one.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Room for the control messages of one datagram: a stamp and a segment size, each with its header.
const CONTROL_BYTES: usize = 128;
/// Index of the socket's drop count in what `SO_MEMINFO` returns (`linux/sock_diag.h`).
const SK_MEMINFO_DROPS: usize = 8;
/// Words that `SO_MEMINFO` returns.
const SK_MEMINFO_VARS: usize = 9;

fn set_option<T>(socket: &UdpSocket, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of_val(value) as libc::socklen_t;
    // SAFETY: `value` lives across the call and its true size is given.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (value as *const T).cast(), length) };
    checked(result.into()).map(|_| ())
}

/// Asks for kernel receive stamps, for runs of equal datagrams as one, and for a receive buffer (more than the
/// system's limit where the process may); the buffer granted, in bytes.
pub(crate) fn prepare_receiver(socket: &UdpSocket, buffer_bytes: i32) -> io::Result<usize> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1_i32)?;
    // An older kernel gives the datagrams one by one, which works as well.
    let _ = set_option(socket, libc::SOL_UDP, libc::UDP_GRO, &1_i32);
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &buffer_bytes)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &buffer_bytes))?;
    let mut granted = 0_i32;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: `granted` and `length` are writable and agree.
    let result = unsafe {
        let value = (&raw mut granted).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, value, &mut length)
    };
    checked(result.into()).map(|_| usize::try_from(granted).unwrap_or_default())
}

/// Asks for a send buffer, more than the system's limit where the process may.
pub(crate) fn prepare_sender(socket: &UdpSocket, buffer_bytes: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &buffer_bytes)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &buffer_bytes))
}

/// Sends packets whole or not at all, however large the kernel believes the path's packets may be.
pub(crate) fn forbid_fragments(socket: &UdpSocket) -> io::Result<()> {
    match socket.local_addr()? {
        SocketAddr::V4(_) => {
            set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &libc::IP_PMTUDISC_PROBE)
        }
        SocketAddr::V6(_) => {
            set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, &libc::IPV6_PMTUDISC_PROBE)
        }
    }
}

/// Makes the kernel cut what is sent into datagrams of `segment_bytes`, as late as the network allows; zero turns that
/// off.
///
/// # Errors
/// The kernel's, when it is older than Linux 4.18.
pub fn set_segment(socket: &UdpSocket, segment_bytes: u16) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, &i32::from(segment_bytes))
}

/// Datagrams that this socket has dropped since it was opened (buffer full, mostly). It is the count that
/// `SO_RXQ_OVFL` attaches to datagrams, but also tells the drops after the last datagram received.
///
/// # Errors
/// The kernel's, when it is older than Linux 4.12.
pub fn drops(socket: &UdpSocket) -> io::Result<u64> {
    let mut words = [0_u32; SK_MEMINFO_VARS];
    let mut length = size_of_val(&words) as libc::socklen_t;
    // SAFETY: `words` and `length` are writable and agree.
    let result = unsafe {
        let value = words.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, value, &mut length)
    };
    checked(result.into())?;
    Ok(words[SK_MEMINFO_DROPS].into())
}

/// One received datagram, or run of datagrams of `segment_bytes` each (the last may be shorter).
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) source: SocketAddr,
    /// When the kernel received it, nanoseconds since 1970; absent when it does not say.
    pub(crate) stamp_ns: Option<i64>,
    pub(crate) segment_bytes: usize,
}

/// Control messages need the alignment of their header.
#[repr(align(8))]
#[derive(Clone)]
struct Control([u8; CONTROL_BYTES]);

/// Buffers for one batch of datagrams.
pub(crate) struct ReceiveBatch {
    data: Vec<u8>,
    controls: Vec<Control>,
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        let controls = vec![Control([0; CONTROL_BYTES]); BATCH];
        Self { data: vec![0; BATCH * DATAGRAM_BYTES_MAX], controls }
    }

    /// Takes the datagrams that are there, at most [`BATCH`], and hands each to `each`; how many there were.
    pub(crate) fn receive(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(Received<'_>),
    ) -> io::Result<usize> {
        // SAFETY: all-zero is a valid value of these plain C structures.
        let mut names: [libc::sockaddr_storage; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut vectors: Vec<libc::iovec> = self
            .data
            .chunks_exact_mut(DATAGRAM_BYTES_MAX)
            .map(|chunk| libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: chunk.len() })
            .collect();
        for (index, header) in headers.iter_mut().enumerate() {
            header.msg_hdr.msg_name = (&raw mut names[index]).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES;
        }
        // SAFETY: every header points at buffers of its own that outlive the call, with their true lengths.
        let result = unsafe {
            let flags = libc::MSG_DONTWAIT;
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as u32,
                flags,
                std::ptr::null_mut(),
            )
        };
        let count = match checked(result.into()) {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            Err(error) => return Err(error),
        };
        for (index, header) in headers.iter().enumerate().take(count) {
            let length = (header.msg_len as usize).min(DATAGRAM_BYTES_MAX);
            let bytes = &self.data[index * DATAGRAM_BYTES_MAX..][..length];
            let Some(source) = address_of(&names[index]) else { continue };
            let (stamp_ns, segment) = control_of(&header.msg_hdr);
            let segment_bytes = segment.filter(|it| *it > 0).unwrap_or(length.max(1));
            each(Received { bytes, source, stamp_ns, segment_bytes });
        }
        Ok(count)
    }
}

/// The kernel's stamp and the segment size among the control messages of a received datagram.
fn control_of(header: &libc::msghdr) -> (Option<i64>, Option<usize>) {
    let (mut stamp, mut segment) = (None, None);
    // SAFETY: the kernel has filled the control buffer (which is aligned for its headers) and set its length; the
    // CMSG macros stay within that length, and the data of the two kinds read here has the type read.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = libc::CMSG_DATA(message).cast::<libc::timespec>().read_unaligned();
                    stamp = Some(time.tv_sec * 1_000_000_000 + time.tv_nsec);
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let bytes = libc::CMSG_DATA(message).cast::<i32>().read_unaligned();
                    segment = usize::try_from(bytes).ok();
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    (stamp, segment)
}

fn address_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds this type.
            let v4 = unsafe { &*(name as *const libc::sockaddr_storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the storage holds this type.
            let v6 = unsafe { &*(name as *const libc::sockaddr_storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// An address as the kernel wants it, and its length.
fn name_of(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all-zero is a valid value of this plain C structure.
    let mut storage: libc::sockaddr_storage = unsafe { MaybeUninit::zeroed().assume_init() };
    let port = address.port().to_be();
    let place = &raw mut storage;
    match address.ip() {
        IpAddr::V4(ip) => {
            let sin_addr = libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
            let (sin_family, sin_zero) = (libc::AF_INET as u16, [0; 8]);
            // SAFETY: the storage is large and aligned enough for any address type.
            unsafe {
                place.cast::<libc::sockaddr_in>().write(libc::sockaddr_in {
                    sin_family,
                    sin_port: port,
                    sin_addr,
                    sin_zero,
                })
            };
            (storage, size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
        IpAddr::V6(ip) => {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as u16,
                sin6_port: port,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
                sin6_scope_id: if let SocketAddr::V6(v6) = address { v6.scope_id() } else { 0 },
            };
            // SAFETY: as above.
            unsafe { place.cast::<libc::sockaddr_in6>().write(v6) };
            (storage, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
        }
    }
}

/// Sends datagrams in one call; how many the kernel took, which may be fewer.
pub(crate) fn send_batch(socket: &UdpSocket, datagrams: &[(SocketAddr, &[u8])]) -> io::Result<usize> {
    let mut names: Vec<_> = datagrams.iter().map(|(address, _)| name_of(*address)).collect();
    let mut vectors: Vec<libc::iovec> = datagrams
        .iter()
        .map(|(_, bytes)| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
        .collect();
    let mut headers: Vec<libc::mmsghdr> = names
        .iter_mut()
        .zip(&mut vectors)
        .map(|((name, length), vector)| {
            // SAFETY: all-zero is a valid value of this plain C structure.
            let mut header: libc::mmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
            header.msg_hdr.msg_name = (name as *mut libc::sockaddr_storage).cast();
            header.msg_hdr.msg_namelen = *length;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header
        })
        .collect();
    // SAFETY: every header points at a name and at bytes that outlive the call; the kernel only reads the bytes.
    let result = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as u32, libc::MSG_NOSIGNAL)
    };
    checked(result.into()).map(|count| count as usize)
}
