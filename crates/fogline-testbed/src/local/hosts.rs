//! All hosts at once: each a fork that assembles itself, its device made meanwhile by a thread of the lab.

use super::control::Order;
use super::devices::{Devices, Way};
use super::host::{Host, Speaker, Word};
use super::mounts::Store;
use super::rights::{Right, Trouble};
use super::view::View;
use crate::sys::{self, Pid};
use netem::Device;
use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// How long all hosts may take to assemble themselves, and how much longer for each of them.
const HOSTS_DEADLINE: Duration = Duration::from_secs(30);
const HOST_DEADLINE: Duration = Duration::from_millis(60);

/// What becomes of the runner's end of a host's agent.
pub(crate) type HandOver<'a> = dyn FnMut(UnixStream) -> Result<(), Trouble> + 'a;

/// Hosts that have been forked.
pub(crate) struct Hosts {
    pids: Vec<Pid>,
    ear: Ear,
}

/// Where the hosts are heard.
struct Ear {
    words: PipeReader,
    deadline: Instant,
}

impl Hosts {
    /// Forks every host into a process namespace of its own. Nothing is kept open for a host, so that a fork costs the
    /// thousandth no more than the first.
    pub(crate) fn start(
        order: &Order,
        store: &Store,
        view: &View,
        hand_over: &mut HandOver<'_>,
    ) -> Result<Self, Trouble> {
        let deadline = Instant::now() + HOSTS_DEADLINE + HOST_DEADLINE * order.hosts.len() as u32;
        let own_processes =
            File::open("/proc/self/ns/pid").map_err(Trouble::failed("opening /proc/self/ns/pid"))?;
        let (words, speaker) = io::pipe().map_err(Trouble::failed("making a pipe"))?;
        let mut pids = Vec::with_capacity(order.hosts.len());
        for (index, spec) in order.hosts.iter().enumerate() {
            let programs = order.program_directories.len();
            let host = Host { index, spec, programs, store, view };
            let (pid, agent) =
                fork(&host, &own_processes, &speaker).map_err(|trouble| trouble.on(&spec.name))?;
            pids.push(pid);
            hand_over(agent)?;
        }
        Ok(Self { pids, ear: Ear { words, deadline } })
    }

    /// Waits until every host is assembled and has its device.
    pub(crate) fn complete(self, order: &Order, way: &Way) -> Result<(Vec<Pid>, Vec<Device>), Trouble> {
        let Self { pids, mut ear } = self;
        let plugged = way.plug(order)?;
        let devices = std::thread::scope(|scope| {
            let (devices, separated) = Devices::start(scope, order, &plugged, &pids);
            let heard = ear.hear(order, &separated);
            // The threads end when no more hosts can come.
            drop(separated);
            let devices = devices.collect();
            heard.and(devices)
        })?;
        Ok((pids, devices))
    }
}

impl Ear {
    /// Passes on which hosts have a network of their own, until all are assembled.
    fn hear(&mut self, order: &Order, separated: &SyncSender<usize>) -> Result<(), Trouble> {
        let mut silent: Vec<bool> = vec![true; order.hosts.len()];
        let unfinished = |silent: &[bool], why: &str| {
            let name = silent.iter().position(|silent| *silent).map(|index| order.hosts[index].name.as_str());
            Err(Trouble::Failed(format!("host {}: {why}", name.unwrap_or("?"))))
        };
        while silent.contains(&true) {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match sys::wait_readable(self.words.as_fd(), Some(left)) {
                Ok(true) => {}
                Ok(false) => return unfinished(&silent, "not assembled in time"),
                Err(error) => return Err(Trouble::failed("waiting for hosts")(error)),
            }
            match Word::hear(&mut self.words).map_err(Trouble::failed("listening to hosts"))? {
                None => return unfinished(&silent, "its first process ended before it was assembled"),
                // Without threads to take it there is an error, which they tell.
                Some((index, Word::Separated)) => drop(separated.send(index)),
                Some((index, Word::Assembled)) => {
                    if let Some(silent) = silent.get_mut(index) {
                        *silent = false;
                    }
                }
                Some((_, Word::Failed(trouble))) => return Err(trouble),
            }
        }
        Ok(())
    }
}

fn fork(
    host: &Host<'_>,
    own_processes: &File,
    speaker: &io::PipeWriter,
) -> Result<(Pid, UnixStream), Trouble> {
    let (ours, theirs) = UnixStream::pair().map_err(Trouble::failed("making a socket pair"))?;
    sys::unshare(libc::CLONE_NEWPID).map_err(Trouble::step(Right::Namespaces, "unshare(NEWPID)"))?;
    let speaker = Speaker::new(host.index, speaker).map_err(Trouble::failed("duplicating a pipe"))?;
    let pid = sys::fork(move || host.live(theirs, speaker)).map_err(Trouble::failed("forking"))?;
    // The next child gets a namespace of its own too, which the kernel allows from the lab's own only.
    sys::enter(own_processes.as_fd(), libc::CLONE_NEWPID)
        .map_err(Trouble::step(Right::Namespaces, "returning to the process namespace"))?;
    Ok((pid, ours))
}
