//! Processes: descriptors of them, signals to groups, and the waiting of pid 1.

use super::checked;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

pub(crate) use libc::{SIGKILL, SIGTERM};

/// A descriptor that becomes readable when process `pid` has ended (Linux 5.3).
pub(crate) fn open_pid(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers; the new descriptor (close-on-exec by default) is owned from here on.
    unsafe {
        let raw = checked(libc::syscall(libc::SYS_pidfd_open, pid, 0))?;
        Ok(OwnedFd::from_raw_fd(raw as i32))
    }
}

/// Sends `signal` to all processes of group `group`; whether there was any.
pub(crate) fn signal_group(group: i32, signal: i32) -> io::Result<bool> {
    if group <= 1 {
        // -1 would mean every process there is.
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: plain integers.
    match checked(unsafe { libc::kill(-group, signal) }.into()) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether group `group` has any process left.
pub(crate) fn group_exists(group: i32) -> bool {
    signal_group(group, 0).unwrap_or(false)
}

/// Waits until some child has ended and says which, without reaping it. `None` when there are no children.
pub(crate) fn peek_ended_child() -> io::Result<Option<i32>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is writable, and zeroed is a valid `siginfo_t`.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) };
    match checked(result.into()) {
        // SAFETY: initialised (zeroed, then written by the kernel); the pid field is valid after waitid.
        Ok(_) => Ok(Some(unsafe { info.assume_init().si_pid() })),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reaps the ended child `pid`; `None` when it is no child or has not ended.
pub(crate) fn reap(pid: i32) -> io::Result<Option<ExitStatus>> {
    let mut status = 0;
    // SAFETY: `status` is writable.
    match checked(unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) }.into()) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(ExitStatus::from_raw(status))),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Clock ticks per second, the unit of times in `/proc/<pid>/stat`, and bytes per memory page.
pub(crate) fn ticks_and_page() -> (u64, u64) {
    // SAFETY: plain integers.
    let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
    (u64::try_from(ticks).unwrap_or(100).max(1), u64::try_from(page).unwrap_or(4096).max(1))
}
