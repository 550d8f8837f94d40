//! The life of one host, from its first process's first step.

use super::control::HostOrder;
use super::mounts::Store;
use super::rights::{Right, Trouble};
use super::view::View;
use crate::sys;
use fogline_agent::Role;
use serde::{Deserialize, Serialize};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// Capabilities over the whole machine that no task of a host may have, by their numbers in linux/capability.h:
/// loading modules, raw input and output, rebooting, setting the clock, making device nodes, security policy.
const FORBIDDEN: [libc::c_ulong; 7] = [16, 17, 22, 25, 27, 32, 33];

/// Longest word, in bytes: what is written to a pipe at once, and so in one piece (`PIPE_BUF`), less its length.
const WORD_BYTES_MAX: usize = 4094;

/// What a host says while it assembles itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// It has a network namespace of its own, in which its device can be made.
    Separated,
    /// It is complete, but for its device.
    Assembled,
    /// It cannot go on.
    Failed(Trouble),
}

impl Word {
    /// The next word on the pipe that all hosts share, and whose it is; `None` when nobody is left to say one.
    pub(crate) fn hear(words: &mut PipeReader) -> io::Result<Option<(usize, Self)>> {
        let mut length = [0; 2];
        match words.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let mut text = vec![0; usize::from(u16::from_be_bytes(length))];
        words.read_exact(&mut text)?;
        Ok(Some(serde_json::from_slice(&text)?))
    }
}

/// A host's end of the pipe on which all hosts speak.
pub(crate) struct Speaker {
    host: usize,
    words: PipeWriter,
}

impl Speaker {
    pub(crate) fn new(host: usize, words: &PipeWriter) -> io::Result<Self> {
        Ok(Self { host, words: words.try_clone()? })
    }

    fn say(&mut self, word: Word) -> io::Result<()> {
        let mut text = serde_json::to_vec(&(self.host, &word))?;
        if text.len() > WORD_BYTES_MAX {
            let cut = Trouble::Failed(String::from_utf8_lossy(&text[..WORD_BYTES_MAX / 4]).into_owned());
            text = serde_json::to_vec(&(self.host, Word::Failed(cut)))?;
        }
        let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
        bytes.extend(text);
        self.words.write_all(&bytes)
    }
}

/// What a host starts with.
pub(crate) struct Host<'a> {
    pub(crate) index: usize,
    pub(crate) spec: &'a HostOrder,
    pub(crate) programs: usize,
    pub(crate) store: &'a Store,
    pub(crate) view: &'a View,
}

impl Host<'_> {
    /// Becomes the host, says that it has (or why not), and serves the runner until that hangs up.
    pub(crate) fn live(&self, agent: UnixStream, mut speaker: Speaker) -> i32 {
        let assembled = self.assemble(&agent, &mut speaker);
        let word = match assembled.map_err(|trouble| trouble.on(&self.spec.name)) {
            Ok(()) => Word::Assembled,
            Err(trouble) => Word::Failed(trouble),
        };
        let failed = matches!(word, Word::Failed(_));
        if speaker.say(word).is_err() || failed {
            return 1;
        }
        drop(speaker);
        match fogline_agent::serve(agent, Role::Init) {
            Ok(()) => 0,
            Err(_) => 1,
        }
    }

    fn assemble(&self, agent: &UnixStream, speaker: &mut Speaker) -> Result<(), Trouble> {
        let keep = [agent.as_raw_fd(), speaker.words.as_raw_fd()];
        sys::close_all_but(&keep).map_err(Trouble::failed("closing inherited descriptors"))?;
        // A session of its own puts the host's tasks into a scheduling group of their own.
        sys::begin_session()
            .and_then(|()| sys::set_name(&format!("host:{}", self.spec.name)))
            .map_err(Trouble::failed("beginning a session"))?;
        sys::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC)
            .map_err(Trouble::step(Right::Namespaces, "unshare(NEWNET|NEWNS|NEWUTS|NEWIPC)"))?;
        speaker.say(Word::Separated).map_err(Trouble::failed("telling the lab"))?;
        sys::set_hostname(&self.spec.name).map_err(Trouble::failed("setting the hostname"))?;
        self.store.enter_root(self.index, self.view, self.spec)?;
        for capability in FORBIDDEN {
            sys::forbid_capability(capability).map_err(Trouble::failed("giving up capabilities"))?;
        }
        sys::set_environment(&self.environment());
        Ok(())
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut path: Vec<String> =
            (0..self.programs).map(|index| format!("/opt/fogline/bin-{index}")).collect();
        path.push("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        let mut variables: Vec<(String, String)> = ["LANG", "LC_ALL", "TZ", "JAVA_HOME"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        let own = [
            ("PATH", path.join(":")),
            ("HOME", "/root".to_owned()),
            ("USER", "root".to_owned()),
            ("LOGNAME", "root".to_owned()),
            ("SHELL", "/bin/sh".to_owned()),
            ("HOSTNAME", self.spec.name.clone()),
            ("FOGLINE_HOST", self.spec.name.clone()),
        ];
        variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
        variables
    }
}
