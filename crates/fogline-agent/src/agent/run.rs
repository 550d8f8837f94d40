//! Runs a command to its end.

use super::children::{Children, Process};
use crate::error::{Context as _, Failure};
use crate::exec::{ExecRequest, ExecResult, Exit};
use crate::limits::{CAPTURE_BYTES_MAX, DRAIN_GRACE, END_GRACE};
use crate::sys::process::{SIGKILL, SIGTERM};
use crate::sys::{Interest, set_nonblocking, wait_ready};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a killed process may take to vanish before the agent stops waiting for it (it hangs in the kernel).
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// The command of a request, in a process group of its own, without its standard streams.
pub(super) fn command_of(request: &ExecRequest) -> Result<Command, Failure> {
    let mut command = bare_command(request)?;
    command.process_group(0);
    Ok(command)
}

/// The command of a request, without its standard streams and in nothing of its own.
pub(super) fn bare_command(request: &ExecRequest) -> Result<Command, Failure> {
    let (program, arguments) = request
        .argv
        .split_first()
        .filter(|(program, _)| !program.is_empty())
        .ok_or_else(|| Failure::new("start a command", "its argv is empty: name at least a program"))?;
    if let Some(directory) = &request.directory {
        let metadata = std::fs::metadata(directory).at("start a command in", directory)?;
        if !metadata.is_dir() {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(Failure::at("start a command in", directory, &error));
        }
    }
    let mut command = Command::new(program);
    command.args(arguments);
    command.envs(request.environment.iter().map(|(name, value)| (name, value)));
    if let Some(directory) = &request.directory {
        command.current_dir(directory);
    }
    Ok(command)
}

/// The failure of a start, with the program's name.
pub(super) fn start_failure(request: &ExecRequest, error: &io::Error) -> Failure {
    Failure::at("start", Path::new(request.argv.first().map_or("", String::as_str)), error)
}

/// How a status reads.
pub(super) fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(status.into_raw()),
    }
}

/// Runs `request`, whose time-out counts from `asked`.
pub(super) fn run(
    children: &Arc<Children>,
    request: &ExecRequest,
    asked: Instant,
) -> Result<ExecResult, Failure> {
    let limit = asked + request.timeout;
    if Instant::now() >= limit && !request.timeout.is_zero() {
        let message = format!("it waited {:?} behind other commands, its whole time", asked.elapsed());
        return Err(Failure::new("start a command", message));
    }
    let mut command = command_of(request)?;
    let stdin = if request.stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let process = children.spawn(&mut command).map_err(|error| start_failure(request, &error))?;
    let mut running = Running::new(process, &request.stdin)?;
    let timed_out = running.until_ended(limit)?;
    let status = children.collect(&mut running.process).during("wait for a command")?;
    running.drain()?;
    Ok(ExecResult {
        exit: if timed_out { Exit::TimedOut } else { exit_of(status) },
        truncated: running.stdout.truncated || running.stderr.truncated,
        stdout: running.stdout.kept,
        stderr: running.stderr.kept,
        elapsed: started.elapsed(),
    })
}

/// One captured stream.
struct Capture<R> {
    source: Option<R>,
    kept: Vec<u8>,
    truncated: bool,
}

impl<R: Read + AsFd> Capture<R> {
    fn new(source: Option<R>) -> Result<Self, Failure> {
        if let Some(source) = &source {
            set_nonblocking(source).during("read a command's output")?;
        }
        Ok(Self { source, kept: Vec::new(), truncated: false })
    }

    /// Takes what is there; the rest of a long output is thrown away, so that the command does not block.
    fn take(&mut self, buffer: &mut [u8]) {
        let Some(source) = &mut self.source else { return };
        match source.read(buffer) {
            Ok(0) => self.source = None,
            Ok(count) => {
                let room = CAPTURE_BYTES_MAX - self.kept.len();
                self.truncated |= count > room;
                self.kept.extend_from_slice(&buffer[..count.min(room)]);
            }
            Err(error) if would_wait(&error) => {}
            Err(_) => self.source = None,
        }
    }
}

fn would_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

struct Running<'a> {
    process: Process,
    input: &'a [u8],
    stdout: Capture<std::process::ChildStdout>,
    stderr: Capture<std::process::ChildStderr>,
    buffer: Vec<u8>,
}

impl<'a> Running<'a> {
    fn new(mut process: Process, input: &'a [u8]) -> Result<Self, Failure> {
        let stdout = Capture::new(process.stdout.take())?;
        let stderr = Capture::new(process.stderr.take())?;
        if let Some(stdin) = &process.stdin {
            set_nonblocking(stdin).during("write a command's input")?;
        }
        Ok(Self { process, input, stdout, stderr, buffer: vec![0; 64 << 10] })
    }

    /// Feeds and reads until the process has ended; whether it had to be killed for its time.
    fn until_ended(&mut self, limit: Instant) -> Result<bool, Failure> {
        let mut next_step = limit;
        let mut steps = [(SIGTERM, END_GRACE), (SIGKILL, KILL_PATIENCE)].into_iter();
        let mut timed_out = false;
        loop {
            let now = Instant::now();
            if now >= next_step {
                let Some((signal, patience)) = steps.next() else {
                    return Err(Failure::new("end a command", "it does not end even when killed"));
                };
                timed_out = true;
                self.process.signal(signal).during("signal a command")?;
                next_step = now + patience;
            }
            if self.step(next_step - now)? {
                if timed_out {
                    // Whoever is left of the group; it was asked to end and its leader is gone.
                    let _ = self.process.signal(SIGKILL);
                }
                return Ok(timed_out);
            }
        }
    }

    /// After the end: what still lies in the pipes. A child in the background may hold them open for ever.
    fn drain(&mut self) -> Result<(), Failure> {
        let limit = Instant::now() + DRAIN_GRACE;
        self.process.stdin = None;
        while self.stdout.source.is_some() || self.stderr.source.is_some() {
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let fds: Vec<_> = self.output_fds().into_iter().flatten().map(Interest::Readable).collect();
            wait_ready(&fds, left).during("read a command's output")?;
            self.stdout.take(&mut self.buffer);
            self.stderr.take(&mut self.buffer);
        }
        Ok(())
    }

    fn output_fds(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [self.stdout.source.as_ref().map(AsFd::as_fd), self.stderr.source.as_ref().map(AsFd::as_fd)]
    }

    /// Waits for something to do and does it; whether the process has ended.
    fn step(&mut self, timeout: Duration) -> Result<bool, Failure> {
        let mut interests = vec![Interest::Readable(self.process.ended())];
        interests.extend(self.output_fds().into_iter().flatten().map(Interest::Readable));
        if let Some(stdin) = &self.process.stdin {
            interests.push(Interest::Writable(stdin.as_fd()));
        }
        let ready = wait_ready(&interests, timeout).during("wait for a command")?;
        self.stdout.take(&mut self.buffer);
        self.stderr.take(&mut self.buffer);
        self.feed();
        Ok(ready.first().copied().unwrap_or(false))
    }

    fn feed(&mut self) {
        let Some(stdin) = &mut self.process.stdin else { return };
        match stdin.write(self.input) {
            Ok(count) => self.input = self.input.get(count..).unwrap_or_default(),
            Err(error) if would_wait(&error) => {}
            // It does not read to the end, which is its right.
            Err(_) => self.input = &[],
        }
        if self.input.is_empty() {
            self.process.stdin = None;
        }
    }
}
