//! A process on a host, as if it ran here.

use super::exchange::{Ended, Outlet, Remote, follow};
use crate::sys::terminal::{RawTerminal, size_of_terminal};
use fogline_agent::stream::{Channel, Part, Terminal, TerminalSize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

/// Size of a terminal that nobody looks at.
const SIZE: TerminalSize = TerminalSize { columns: 80, rows: 24 };
/// What a shell says of a program that was ended because nobody read its output (128 + SIGPIPE).
const BROKEN_PIPE: i32 = 141;

impl Outlet for File {}

/// The pseudo-terminal that looks like the one here.
pub(super) fn terminal_here() -> Terminal {
    let name =
        std::env::var("TERM").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "dumb".to_owned());
    Terminal { name, size: size_of_terminal(&io::stdin()).unwrap_or(SIZE) }
}

/// Connects the standard streams with the process until it ends; its exit code, or why there is none.
pub(super) fn talk(mut conversation: BufReader<UnixStream>, terminal: bool) -> Result<i32, String> {
    let here = |error: io::Error| format!("the standard streams cannot be connected: {error}");
    let remote = Remote::of(&conversation).map_err(here)?;
    let input = descriptor(&io::stdin()).map_err(here)?;
    let mut outlets: Vec<(Channel, Box<dyn Outlet>)> =
        vec![(Channel::Output, Box::new(descriptor(&io::stdout()).map_err(here)?))];
    if !terminal {
        outlets.push((Channel::Error, Box::new(descriptor(&io::stderr()).map_err(here)?)));
    }
    // Without a terminal here there is nothing to make raw, and nothing whose size could change.
    let raw = if terminal { RawTerminal::enter(&io::stdin()).ok().map(Arc::new) } else { None };
    if let Some(raw) = &raw {
        follow_signals(&remote, raw).map_err(here)?;
    }
    let feeding = Arc::clone(&remote);
    let feed = move || feeding.feed(input);
    thread::Builder::new().name("input".to_owned()).spawn(feed).map_err(here)?;
    let ended = follow(&remote, &mut conversation, outlets).map_err(here);
    if let Some(raw) = raw {
        raw.restore();
    }
    match ended? {
        Ended::Over(exit) => Ok(exit.map_or(0, fogline_agent::Exit::rc)),
        Ended::Reset(reason) => Err(reason),
        Ended::Lost => Err("the run is over, and its hosts with it".to_owned()),
        Ended::HungUp(reason) => Err(format!("standard input cannot be read: {reason}")),
        Ended::Unwritable(error) if error.kind() == ErrorKind::BrokenPipe => Ok(BROKEN_PIPE),
        Ended::Unwritable(error) => Err(format!("standard output cannot be written: {error}")),
    }
}

/// A standard stream without the buffer of the standard library.
fn descriptor(stream: &impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()? as OwnedFd))
}

/// Passes the size of the terminal on as it changes, and leaves it in order when a signal ends this program.
fn follow_signals(remote: &Arc<Remote>, raw: &Arc<RawTerminal>) -> io::Result<()> {
    let mut signals = Signals::new([SIGWINCH, SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    let (remote, raw) = (Arc::clone(remote), Arc::clone(raw));
    let follow = move || {
        let tell_size = || {
            if let Some(size) = size_of_terminal(&io::stdin()) {
                // When the runner is gone, this program is about to end.
                let _ = remote.send(&Part::Resize(size), Vec::new());
            }
        };
        // It may have changed since it was asked for.
        tell_size();
        for signal in signals.forever() {
            if signal == SIGWINCH {
                tell_size();
                continue;
            }
            raw.restore();
            std::process::exit(128 + signal);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(follow).map(drop)
}
