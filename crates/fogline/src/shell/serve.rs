//! The runner's side: processes and connections on hosts for whoever asks over the control socket.

use super::protocol::{ShownHost, ShownService};
use crate::control::{Answer, Heard};
use crate::sys::terminal::peer;
use fogline_agent::frame::Frame;
use fogline_agent::stream::{ConnectRequest, Part, ProcessRequest};
use fogline_agent::{AgentError, Client, Stream};
use fogline_journal::{Event, Journal};
use fogline_plan::{HostId, Plan};
use std::fmt::Write as _;
use std::io::{BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// Hosts that a message names, at most.
const NAMED_MAX: usize = 20;
/// Longest command in a note, in characters.
const COMMAND_MAX: usize = 200;

/// The hosts of a running experiment, for those who want to enter them.
pub(crate) struct Hosts<'a> {
    plan: &'a Plan,
    agents: &'a [Client],
    journal: Journal,
    /// Shells and forwards so far: the journal tells them apart by their numbers.
    count: AtomicU64,
}

impl<'a> Hosts<'a> {
    /// The hosts of `plan`, each with its agent; `journal` is told who enters them.
    pub(crate) fn new(plan: &'a Plan, agents: &'a [Client], journal: &Journal) -> Self {
        Self { plan, agents, journal: journal.clone(), count: AtomicU64::new(0) }
    }

    /// All hosts.
    pub(crate) fn list(&self) -> Answer {
        let shown = |(index, host): (usize, &fogline_plan::Host)| {
            let services = self.plan.services.iter().filter(|service| service.host == HostId(index));
            ShownHost {
                name: host.name.clone(),
                address: host.address.to_string(),
                services: services
                    .map(|service| ShownService { key: service.key.clone(), port: service.port })
                    .collect(),
            }
        };
        Answer::Hosts(self.plan.hosts.iter().enumerate().map(shown).collect())
    }

    /// Starts a process on the host that `selector` selects.
    pub(crate) fn shell(&self, selector: &str, process: ProcessRequest, who: &UnixStream) -> Heard<'_> {
        let host = match self.one(selector) {
            Ok(host) => host,
            Err(refused) => return Answer::Refused(refused).into(),
        };
        let command = if process.argv.is_empty() { "a shell".to_owned() } else { process.argv.join(" ") };
        let stream = match self.agents[host.0].open_process(&process) {
            Ok(stream) => stream,
            Err(error) => return failed(&error).into(),
        };
        let name = self.plan.hosts[host.0].name.clone();
        let begun = self.begin(format!("shell on {name}: {}", shortened(&command)), who);
        let carry = move |connection: &UnixStream| {
            let how = match relay(connection, &stream) {
                Some(Part::Over(Some(exit))) => format!("ended with code {}", exit.rc()),
                Some(Part::Reset(reason)) => format!("was broken off: {reason}"),
                _ => "was hung up".to_owned(),
            };
            self.end(&begun, &how);
        };
        Heard::and_then(Answer::Open { host: name }, Box::new(carry))
    }

    /// Notes that a forward begins, and its end.
    pub(crate) fn forward(&self, selector: Option<&str>, port: u16, who: &UnixStream) -> Heard<'_> {
        let host = match selector.map_or_else(|| self.with_port(port), |selector| self.one(selector)) {
            Ok(host) => host,
            Err(refused) => return Answer::Refused(refused).into(),
        };
        let name = self.plan.hosts[host.0].name.clone();
        let begun = self.begin(format!("forward to port {port} of {name}"), who);
        let carry = move |connection: &UnixStream| {
            let (mut connection, mut nothing) = (connection, [0; 64]);
            while connection.read(&mut nothing).is_ok_and(|bytes| bytes > 0) {}
            self.end(&begun, "ended");
        };
        Heard::and_then(Answer::Open { host: name }, Box::new(carry))
    }

    /// Connects to a port of the host that `selector` selects.
    pub(crate) fn connect(&self, selector: &str, port: u16) -> Heard<'_> {
        let host = match self.one(selector) {
            Ok(host) => host,
            Err(refused) => return Answer::Refused(refused).into(),
        };
        let planned = &self.plan.hosts[host.0];
        // A service may listen on its host's address alone.
        let addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(planned.address)];
        match self.agents[host.0].open_connection(&ConnectRequest { addresses, port }) {
            Ok(stream) => {
                let carry = move |connection: &UnixStream| drop(relay(connection, &stream));
                Heard::and_then(Answer::Open { host: planned.name.clone() }, Box::new(carry))
            }
            Err(error) => failed(&error).into(),
        }
    }

    /// The one host that `selector` selects.
    fn one(&self, selector: &str) -> Result<HostId, String> {
        match *self.plan.select(selector)? {
            [host] => Ok(host),
            ref many => {
                Err(format!("{selector} selects {} hosts: name one of{}", many.len(), self.names(many)))
            }
        }
    }

    /// The one host with a service on `port`.
    fn with_port(&self, port: u16) -> Result<HostId, String> {
        let services = self.plan.services.iter().filter(|service| service.port == Some(port));
        let mut hosts: Vec<HostId> = services.map(|service| service.host).collect();
        hosts.dedup();
        match *hosts {
            [host] => Ok(host),
            [] => {
                let all: Vec<HostId> = (0..self.plan.hosts.len()).map(HostId).collect();
                Err(format!(
                    "no service is known to listen on port {port}: name a host, one of{}",
                    self.names(&all)
                ))
            }
            ref many => Err(format!(
                "{} hosts have a service on port {port}: name one of{}",
                many.len(),
                self.names(many)
            )),
        }
    }

    fn names(&self, hosts: &[HostId]) -> String {
        let mut text = String::new();
        for host in hosts.iter().take(NAMED_MAX) {
            // Writing into a string does not fail.
            let _ = write!(text, "\n  {}", self.plan.hosts[host.0].name);
        }
        if hosts.len() > NAMED_MAX {
            let _ = write!(text, "\n  ... (`fogline shell --list` shows all)");
        }
        text
    }

    /// Notes that something begins.
    fn begin(&self, what: String, who: &UnixStream) -> Begun {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let who = peer(who).map_or_else(
            |error| format!("by an unknown process: {error}"),
            |(pid, uid)| format!("by process {pid} of user {uid}"),
        );
        self.note(format!("entry {number}: {what}, {who}"));
        Begun { number, at: Instant::now() }
    }

    fn end(&self, begun: &Begun, how: &str) {
        self.note(format!("entry {} {how} after {:.1} s", begun.number, begun.at.elapsed().as_secs_f64()));
    }

    fn note(&self, message: String) {
        // A journal that cannot be written stops the run where it matters; who looks at a host is no result.
        let _ = self.journal.emit(Event::Note { message });
    }
}

/// A shell or forward in the journal.
struct Begun {
    number: u64,
    at: Instant,
}

fn failed(error: &AgentError) -> Answer {
    Answer::Failed(error.to_string())
}

fn shortened(command: &str) -> String {
    match command.char_indices().nth(COMMAND_MAX) {
        Some((end, _)) => format!("{}...", &command[..end]),
        None => command.to_owned(),
    }
}

/// Carries the parts of a stream both ways until it ends or the connection does; the last part from the host. Flow
/// control is between the two ends; here wait at most the windows that they grant each other.
fn relay(connection: &UnixStream, stream: &Stream) -> Option<Part> {
    thread::scope(|scope| {
        let inward = || {
            let mut frames = BufReader::new(connection);
            while let Ok(Some(frame)) = Frame::read_from(&mut frames) {
                let Ok((part, payload)) = Part::of(frame) else { break };
                if part.is_last() || stream.send(&part, payload).is_err() {
                    break;
                }
            }
            stream.hang_up();
        };
        if thread::Builder::new().name("inward".to_owned()).spawn_scoped(scope, inward).is_err() {
            stream.hang_up();
        }
        let last = outward(connection, stream);
        let _ = connection.shutdown(Shutdown::Both);
        last
    })
}

fn outward(mut connection: &UnixStream, stream: &Stream) -> Option<Part> {
    while let Some((part, payload)) = stream.next() {
        let last = part.is_last().then(|| part.clone());
        if part.frame(0, payload).write_to(&mut connection).is_err() || last.is_some() {
            return last;
        }
    }
    // Hung up from here, unless the agent is gone.
    let reset = Part::Reset(stream.lost()?.to_string());
    let _ = reset.frame(0, Vec::new()).write_to(&mut connection);
    Some(reset)
}
