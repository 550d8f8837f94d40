//! Pseudo-terminals, and processes that lead a session.

use super::checked;
use crate::stream::TerminalSize;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

pub(crate) use libc::{SIGCONT, SIGHUP};

/// Signals that a process may have inherited as ignored (from `nohup`, say), though its terminal means them.
const TERMINAL_SIGNALS: [i32; 6] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// A new pseudo-terminal: the side of whoever looks at it, and the side of the process (Linux 4.13).
pub(crate) fn open_terminal(size: TerminalSize) -> io::Result<(File, OwnedFd)> {
    let mut options = OpenOptions::new();
    let near = options.read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/ptmx")?;
    let unlocked: libc::c_int = 0;
    // SAFETY: the descriptor is open and the integer lives across the call.
    checked(unsafe { libc::ioctl(near.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) }.into())?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: plain integers; the new descriptor is owned from here on. By descriptor, because /dev/pts may be another's.
    let far = unsafe {
        let raw = checked(libc::ioctl(near.as_raw_fd(), libc::TIOCGPTPEER, flags).into())?;
        OwnedFd::from_raw_fd(raw as i32)
    };
    set_size(&near, size)?;
    Ok((near, far))
}

/// Gives a terminal another size; the kernel tells the processes in its foreground (`SIGWINCH`).
pub(crate) fn set_size(terminal: &impl AsFd, size: TerminalSize) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    let raw = terminal.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed, so open, and the structure lives across the call.
    checked(unsafe { libc::ioctl(raw, libc::TIOCSWINSZ, &raw const size) }.into()).map(drop)
}

/// Makes what `command` starts the leader of a session (and so of a process group), with its standard input as
/// controlling terminal when `terminal`, and with the usual effect of the signals that terminals send.
pub(crate) fn lead_session(command: &mut Command, terminal: bool) {
    let begin = move || {
        for signal in TERMINAL_SIGNALS {
            // SAFETY: plain integers; async-signal-safe.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        // SAFETY: no arguments; async-signal-safe.
        checked(unsafe { libc::setsid() }.into())?;
        if terminal {
            // SAFETY: plain integers; async-signal-safe.
            checked(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }.into())?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only, which are allowed between fork and exec.
    unsafe { command.pre_exec(begin) };
}

/// Sends `signal` to one process; one that is gone is no matter.
pub(crate) fn signal_process(pid: i32, signal: i32) {
    if pid > 1 {
        // SAFETY: plain integers.
        let _ = unsafe { libc::kill(pid, signal) };
    }
}

/// Makes the close of a connection a reset, as its other end wants it.
pub(crate) fn reset_on_close(socket: &impl AsFd) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = size_of::<libc::linger>() as libc::socklen_t;
    let raw = socket.as_fd().as_raw_fd();
    // SAFETY: `linger` lives across the call and its true size is given.
    let result = unsafe {
        libc::setsockopt(raw, libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), length)
    };
    checked(result.into()).map(drop)
}
