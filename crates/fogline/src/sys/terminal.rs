//! The terminal that a person sits at, and who is at the other end of a socket.

use super::checked;
use fogline_agent::stream::TerminalSize;
use std::io;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// A terminal that passes every key on as it is, until it is restored or dropped.
pub(crate) struct RawTerminal {
    terminal: OwnedFd,
    before: libc::termios,
    restored: AtomicBool,
}

impl RawTerminal {
    /// Makes `terminal` raw.
    ///
    /// # Errors
    /// The kernel's, when it is no terminal.
    pub(crate) fn enter(terminal: &impl AsFd) -> io::Result<Self> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let mut before = MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: the structure is writable; all-zero is a valid value of it.
        let before = unsafe {
            checked(libc::tcgetattr(terminal.as_raw_fd(), before.as_mut_ptr()).into())?;
            before.assume_init()
        };
        let mut raw = before;
        // SAFETY: the structure is initialised and writable.
        unsafe { libc::cfmakeraw(&raw mut raw) };
        set(&terminal, &raw)?;
        Ok(Self { terminal, before, restored: AtomicBool::new(false) })
    }

    /// Makes it what it was.
    pub(crate) fn restore(&self) {
        if !self.restored.swap(true, Ordering::AcqRel) {
            // A terminal that is gone needs nothing.
            let _ = set(&self.terminal, &self.before);
        }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        self.restore();
    }
}

fn set(terminal: &OwnedFd, to: &libc::termios) -> io::Result<()> {
    // SAFETY: the descriptor is open and the structure lives across the call.
    checked(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSADRAIN, to) }.into()).map(drop)
}

/// The size of a terminal; `None` when it is none, or does not know.
pub(crate) fn size_of_terminal(terminal: &impl AsFd) -> Option<TerminalSize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is borrowed, so open, and the structure is writable.
    let asked = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    let known = asked == 0 && size.ws_col > 0 && size.ws_row > 0;
    known.then_some(TerminalSize { columns: size.ws_col, rows: size.ws_row })
}

/// Process and user at the other end of a socket.
///
/// # Errors
/// The kernel's.
pub(crate) fn peer(socket: &UnixStream) -> io::Result<(i32, u32)> {
    let mut who = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `who` and `length` are writable and agree.
    let result = unsafe {
        let value = (&raw mut who).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value, &raw mut length)
    };
    checked(result.into()).map(|_| (who.pid, who.uid))
}

/// Makes the close of a connection a reset, as its other end wants it.
///
/// # Errors
/// The kernel's.
pub(crate) fn reset_on_close(socket: &TcpStream) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: `linger` lives across the call and its true size is given.
    let result = unsafe {
        let value = (&raw const linger).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, length)
    };
    checked(result.into()).map(drop)
}
