//! Everything that the standard library cannot ask of the kernel. The only place with `unsafe`.
#![allow(unsafe_code, reason = "system calls that the standard library does not wrap; nothing else is here")]

pub(crate) mod process;
pub(crate) mod terminal;
pub(crate) mod udp;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::time::Duration;

/// Turns the `-1` of a system call into its error.
fn checked(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// What to wait for on a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interest<'a> {
    Readable(BorrowedFd<'a>),
    Writable(BorrowedFd<'a>),
}

/// Waits until one of the descriptors is ready (an error or hang-up counts) or `timeout` has passed; which are ready.
/// The wait has nanosecond resolution, so it serves for pacing too.
pub(crate) fn wait_ready(interests: &[Interest<'_>], timeout: Duration) -> io::Result<Vec<bool>> {
    let mut entries: Vec<libc::pollfd> = interests
        .iter()
        .map(|interest| match interest {
            Interest::Readable(fd) => (fd, libc::POLLIN),
            Interest::Writable(fd) => (fd, libc::POLLOUT),
        })
        .map(|(fd, events)| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 })
        .collect();
    let limit = libc::timespec {
        tv_sec: timeout.as_secs().min(86_400) as libc::time_t,
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: the array and the time live across the call, the count is the array's, and no signal mask is given.
    let result =
        unsafe { libc::ppoll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, &limit, std::ptr::null()) };
    match checked(result.into()) {
        Ok(_) => Ok(entries.iter().map(|entry| entry.revents != 0).collect()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(vec![false; interests.len()]),
        Err(error) => Err(error),
    }
}

/// Makes reads and writes return at once.
pub(crate) fn set_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: plain integers; the descriptor is borrowed, so open.
    let flags = checked(unsafe { libc::fcntl(raw, libc::F_GETFL) }.into())? as i32;
    // SAFETY: as above.
    checked(unsafe { libc::fcntl(raw, libc::F_SETFL, flags | libc::O_NONBLOCK) }.into()).map(|_| ())
}

/// Keeps a descriptor from the programs that this process starts.
pub(crate) fn set_close_on_exec(fd: &impl AsFd) -> io::Result<()> {
    // SAFETY: plain integers; the descriptor is borrowed, so open.
    let result = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
    checked(result.into()).map(|_| ())
}

/// A descriptor that one thread makes readable to wake another from [`wait_ready`].
#[derive(Debug)]
pub(crate) struct Waker(OwnedFd);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: plain integers; the new descriptor is owned from here on.
        unsafe {
            let raw = checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK).into())?;
            Ok(Self(OwnedFd::from_raw_fd(raw as i32)))
        }
    }

    pub(crate) fn wake(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight readable bytes. It fails only when the counter is full, and then it is readable anyway.
        let _ = unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes it unreadable again.
    pub(crate) fn clear(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: eight writable bytes. It fails when nobody woke it, which is as good.
        let _ = unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
