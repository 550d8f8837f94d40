//! The lab process as the runner holds it.

use super::TestbedError;
use super::control::Control;
use crate::sys;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a lab that was not asked to end may take to notice that nobody holds it any more.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// Keeps the lab process: started by a thread that lives as long as it, because the kernel tells a child of its
/// parent's death when the forking *thread* ends.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: OwnedFd,
    /// Its end lets the thread go on to reap the lab.
    hold: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the lab; it says nothing before it is told something.
    pub(crate) fn start(command: &(PathBuf, Vec<String>)) -> Result<(Self, Control), TestbedError> {
        let (ours, theirs) = UnixStream::pair().map_err(TestbedError::io("making a socket pair"))?;
        let mut command_line = Command::new(&command.0);
        command_line
            .args(&command.1)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        let what = format!("starting the lab ({} {})", command.0.display(), command.1.join(" "));
        let (started, start) = mpsc::sync_channel(1);
        let (hold, held) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("lab-keeper".to_owned())
            .spawn(move || keep(command_line, &started, &held))
            .map_err(TestbedError::io("starting a thread"))?;
        let process = start
            .recv()
            .map_err(|_| TestbedError::Lost("could not be started".to_owned()))?
            .map_err(TestbedError::io(what))?;
        Ok((Self { process, hold: Some(hold), thread: Some(thread) }, Control::new(ours)))
    }

    /// Waits until the lab has ended, kills it when it does not in time, and reaps it.
    pub(crate) fn end(&mut self, deadline: Duration) -> Result<(), TestbedError> {
        // A process descriptor becomes readable when the process ends.
        let ended = sys::wait_readable(self.process.as_fd(), Some(deadline));
        if !matches!(ended, Ok(true)) {
            sys::kill_process(self.process.as_fd()).map_err(TestbedError::io("killing the lab"))?;
        }
        self.hold = None;
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| TestbedError::Lost("lost its keeper".to_owned()))?;
        }
        match ended {
            Ok(true) => Ok(()),
            Ok(false) => Err(TestbedError::Lost(format!("did not end within {deadline:?} and was killed"))),
            Err(source) => Err(TestbedError::Io { what: "waiting for the lab".to_owned(), source }),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // The lab ends by itself once the other end of its socket is closed, which has happened by now.
            let _ = self.end(DROP_DEADLINE);
        }
    }
}

fn keep(
    mut command: Command,
    started: &mpsc::SyncSender<std::io::Result<OwnedFd>>,
    held: &mpsc::Receiver<()>,
) {
    let mut child = match spawn(&mut command) {
        Ok((child, process)) => {
            if started.send(Ok(process)).is_err() {
                return;
            }
            child
        }
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    // The runner's end of the lab's socket must not stay open here.
    drop(command);
    let _ = held.recv();
    let _ = child.wait();
}

fn spawn(command: &mut Command) -> std::io::Result<(Child, OwnedFd)> {
    let mut child = command.spawn()?;
    match sys::process_descriptor(child.id()) {
        Ok(process) => Ok((child, process)),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}
