//! Finding the running experiment and asking it.

use super::protocol::{ANSWER_MAX, Answer, Request};
use super::socket::connect_in;
use crate::exit::Exit;
use fogline_journal::{RunFolder, Runner};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long an answer may take. The runner itself waits 10 s at most for its network, or for a connection of a host.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no answer.
pub(crate) enum Trouble {
    /// It was asked wrongly; says what would be right.
    Asked(String),
    /// There was to be an answer, and none came.
    Lost(String),
}

impl Trouble {
    /// In words.
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Asked(reason) | Self::Lost(reason) => reason,
        }
    }

    /// Says it, and how the program ends for it.
    pub(crate) fn tell(self) -> Exit {
        let exit = match self {
            Self::Asked(_) => Exit::Refused,
            Self::Lost(_) => Exit::Internal,
        };
        eprintln!("error: {}", self.reason());
        exit
    }
}

impl From<Answer> for Trouble {
    /// An answer that is not what was asked for.
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Refused(reason) => Self::Asked(reason),
            Answer::Failed(reason) => Self::Lost(reason),
            _ => Self::Lost("the runner's answer is none to what was asked".to_owned()),
        }
    }
}

/// A connection to a runner, whose answer was read: what comes after it is the stream that was asked for.
pub(crate) type Conversation = BufReader<UnixStream>;

/// The folder of the one running experiment that `path`, a scenario folder or a run folder, means.
pub(crate) fn running(path: &Path) -> Result<RunFolder, Trouble> {
    let asked = |error: fogline_journal::JournalError| Trouble::Asked(error.to_string());
    if let Ok(folder) = RunFolder::open(path) {
        return if alive(&folder)? { Ok(folder) } else { Err(Trouble::Asked(over(&folder))) };
    }
    let mut folders = RunFolder::list(path).map_err(asked)?;
    let last = folders.last().cloned();
    let mut running = Vec::new();
    for folder in folders.drain(..) {
        if alive(&folder)? {
            running.push(folder);
        }
    }
    match (running.len(), last) {
        (1, _) => Ok(running.remove(0)),
        (0, Some(last)) => Err(Trouble::Asked(over(&last))),
        (0, None) => {
            let reason = format!(
                "{} has no experiment that is running: start one with `fogline deploy`, or name its scenario folder",
                path.display()
            );
            Err(Trouble::Asked(reason))
        }
        (many, _) => {
            let names: Vec<String> =
                running.iter().map(|folder| format!("\n  {}", folder.root().display())).collect();
            let reason =
                format!("{many} experiments are running: name the run folder, one of{}", names.concat());
            Err(Trouble::Asked(reason))
        }
    }
}

fn alive(folder: &RunFolder) -> Result<bool, Trouble> {
    let runner = folder.runner().map_err(|error| Trouble::Lost(error.to_string()))?;
    Ok(matches!(runner, Runner::Alive(_)))
}

fn over(folder: &RunFolder) -> String {
    format!("the run {} is over, and its hosts and network with it", folder.root().display())
}

/// Asks the runner of `folder`.
pub(crate) fn ask(folder: &RunFolder, request: &Request) -> Result<Answer, Trouble> {
    open(folder, request).map(|(answer, _)| answer)
}

/// Asks the runner of `folder`, and keeps the connection.
pub(crate) fn open(folder: &RunFolder, request: &Request) -> Result<(Answer, Conversation), Trouble> {
    let mut line = serde_json::to_vec(request).map_err(|error| Trouble::Lost(error.to_string()))?;
    line.push(b'\n');
    let (sender, receiver) = mpsc::sync_channel(1);
    let place = folder.fogline();
    // connect(2) itself may wait without end for a runner that is stopped; the process ends before its thread then.
    let talk = move || drop(sender.send(converse(&place, &line)));
    let started = thread::Builder::new().name("request".to_owned()).spawn(talk);
    started.map_err(|error| Trouble::Lost(format!("no thread to ask by: {error}")))?;
    let said = match receiver.recv_timeout(PATIENCE) {
        Ok(said) => said,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let reason = format!("the runner did not answer within {} s", PATIENCE.as_secs());
            return Err(Trouble::Lost(reason));
        }
    };
    let (said, conversation) = said.map_err(|error| explain(folder, &error))?;
    let answer = serde_json::from_slice(&said).map_err(|error| {
        let reason = format!(
            "the runner's answer is not understood ({error}): is it of the version {}?",
            env!("CARGO_PKG_VERSION")
        );
        Trouble::Lost(reason)
    })?;
    Ok((answer, conversation))
}

fn converse(place: &Path, line: &[u8]) -> io::Result<(Vec<u8>, Conversation)> {
    let mut stream = connect_in(place)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(line)?;
    let (mut said, mut conversation) = (Vec::new(), BufReader::new(stream));
    conversation.by_ref().take(ANSWER_MAX).read_until(b'\n', &mut said)?;
    if said.ends_with(b"\n") { Ok((said, conversation)) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn explain(folder: &RunFolder, error: &io::Error) -> Trouble {
    let run = folder.root().display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Trouble::Lost(format!(
            "{run} cannot be talked to now: that goes from when its hosts are up until they are released"
        )),
        ErrorKind::PermissionDenied => Trouble::Asked(format!(
            "the experiment in {run} is another user's: only that one may enter its hosts and change its network"
        )),
        ErrorKind::UnexpectedEof => Trouble::Lost(format!("the run {run} ended before it answered")),
        _ => Trouble::Lost(format!("asking the runner of {run}: {error}")),
    }
}
