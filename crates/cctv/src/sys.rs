//! The kernel calls that have no safe wrapper among the dependencies.
#![allow(unsafe_code, reason = "signals need libc; each block says why it is sound")]

use std::io;

/// Asks process `pid` to end (SIGTERM).
pub(crate) fn terminate(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: kill takes two integers and touches no memory of ours.
    let answer = unsafe { libc::kill(pid, libc::SIGTERM) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
