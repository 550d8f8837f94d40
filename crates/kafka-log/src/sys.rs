//! What the standard library does not offer: `sendfile`, `TCP_CORK`, waking `accept`, randomness,
//! and the limit on open files.
#![allow(unsafe_code, reason = "the crate's only file that talks to the kernel directly")]

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// Sends up to `len` bytes of `file` from `offset` to `socket` inside the kernel; returns how many went.
pub(crate) fn sendfile(socket: &TcpStream, file: &File, offset: u64, len: usize) -> io::Result<usize> {
    let mut at = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: both descriptors are open for the whole call, `at` outlives it, and the kernel writes only to `at`.
    let sent = unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), &raw mut at, len) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Holds back partial segments while `on`, so that a response of many parts leaves in full packets.
pub(crate) fn set_cork(socket: &TcpStream, on: bool) -> io::Result<()> {
    let value = libc::c_int::from(on);
    let size =
        libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open and `value` is a c_int of the stated size that outlives the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_CORK,
            (&raw const value).cast(),
            size,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a blocked `accept` on `listener` return with an error. Linux answers EINVAL after a shutdown.
pub(crate) fn wake_acceptor(listener: &TcpListener) {
    // SAFETY: the descriptor is open; shutdown touches no memory of ours. A failure leaves accept as it was.
    unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Sixteen random bytes from the kernel.
pub(crate) fn random_16() -> io::Result<[u8; 16]> {
    let mut bytes = [0_u8; 16];
    // SAFETY: the buffer is ours and of the stated length; requests of up to 256 bytes are never cut short.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == 16 { Ok(bytes) } else { Err(io::Error::last_os_error()) }
}

/// Raises the soft limit on open files to the hard one and returns what is now allowed.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        let wanted = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        // SAFETY: `wanted` is a valid rlimit that outlives the call.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) } == 0 {
            return Ok(wanted.rlim_cur);
        }
    }
    Ok(limit.rlim_cur)
}
