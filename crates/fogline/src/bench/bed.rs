//! Hosts to measure between, and the traffic that they run.

use super::{Bench, Stop};
use crate::run::program_directories;
use fogline_agent::{Client, ExecRequest, JobId, JobRequest};
use fogline_plan::{Host, HostId, Link, Plan, Profile};
use fogline_testbed::{LocalOptions, LocalTestbed};
use fogline_workflow::Cancel;
use netem::DataPath;
use serde::de::DeserializeOwned;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Longest life of one end of a measurement.
const TRAFFIC_LIFE: Duration = Duration::from_secs(120);
/// How often an end that runs is looked after, and Ctrl-C with it.
const LOOK: Duration = Duration::from_millis(100);

/// How hosts are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By veth pairs and the kernel's bridge; nothing is emulated.
    Bridge,
    /// By the emulator.
    Emulator,
}

impl Way {
    /// Both, in the order of a round.
    pub(super) const BOTH: [Self; 2] = [Self::Bridge, Self::Emulator];

    const fn path(self, emulator: DataPath) -> DataPath {
        match self {
            Self::Bridge => DataPath::Bridge,
            Self::Emulator => emulator,
        }
    }
}

/// A plan of so many hosts and these links.
pub(super) fn plan(hosts: usize, links: &[(usize, usize, Profile)]) -> Plan {
    let host = |index: usize| {
        // Never the network's own or its broadcast address, however many hosts.
        let number = u32::try_from(index).unwrap_or(u32::MAX >> 16) + 1;
        Host {
            name: format!("host-{index}"),
            address: Ipv4Addr::from(0x0a4d_0000 + number),
            layer: "bench".to_owned(),
            roles: Vec::new(),
            monitored: false,
            software: Vec::new(),
        }
    };
    let link =
        |(from, to, profile): &(usize, usize, Profile)| Link::new(HostId(*from), HostId(*to), *profile);
    Plan {
        scenario: "bench".to_owned(),
        hosts: (0..hosts).map(host).collect(),
        links: links.iter().map(link).collect(),
        ..Plan::default()
    }
}

/// Two hosts and nothing asked of the links between them.
pub(super) fn pair() -> Plan {
    let free = Profile::default();
    plan(2, &[(0, 1, free), (1, 0, free)])
}

/// Live hosts. Dropping them releases them.
pub(super) struct Bed {
    testbed: LocalTestbed,
    addresses: Vec<Ipv4Addr>,
    cancel: Cancel,
    program: String,
}

/// One end of a measurement that is under way on a host.
pub(super) struct Traffic<'a> {
    bed: &'a Bed,
    host: usize,
    job: JobId,
    command: String,
}

impl Bed {
    /// Brings the hosts of `plan` up.
    pub(super) fn deploy(bench: &Bench, plan: &Plan, way: Way) -> Result<Self, Stop> {
        bench.cancel.check()?;
        let options = LocalOptions {
            program_directories: program_directories(),
            path: Some(way.path(bench.path)),
            ..LocalOptions::default()
        };
        let testbed = LocalTestbed::deploy(plan, &options)?;
        Ok(Self {
            testbed,
            addresses: plan.hosts.iter().map(|host| host.address).collect(),
            cancel: bench.cancel.clone(),
            program: program_name(),
        })
    }

    /// The two hosts of [`pair`], joined either way.
    pub(super) fn both(bench: &Bench, plan: &Plan) -> Result<[Self; 2], Stop> {
        let [first, second] = Way::BOTH;
        Ok([Self::deploy(bench, plan, first)?, Self::deploy(bench, plan, second)?])
    }

    pub(super) fn address(&self, host: usize) -> Ipv4Addr {
        self.addresses[host]
    }

    pub(super) fn agents(&self) -> &[Client] {
        self.testbed.agents()
    }

    /// The emulator's counters, now.
    pub(super) fn network(&self) -> Result<netem::Snapshot, Stop> {
        Ok(self.testbed.network()?)
    }

    /// Starts `fogline __traffic <command>` on a host.
    pub(super) fn start(&self, host: usize, command: &str) -> Result<Traffic<'_>, Stop> {
        let words = [self.program.as_str(), "__traffic"].into_iter().chain(command.split_whitespace());
        let exec = ExecRequest { timeout: TRAFFIC_LIFE, ..ExecRequest::new(words) };
        let job = self.agents()[host].start_job(&JobRequest { label: command.to_owned(), exec })?;
        Ok(Traffic { bed: self, host, job, command: command.to_owned() })
    }

    /// Lets time pass, unless somebody asks to stop.
    pub(super) fn wait(&self, time: Duration) -> Result<(), Stop> {
        Ok(self.cancel.wait(time)?)
    }

    /// Ends everything.
    pub(super) fn release(self) -> Result<(), Stop> {
        Ok(self.testbed.release()?)
    }
}

impl Traffic<'_> {
    /// Waits for its end and reads its result.
    pub(super) fn finish<T: DeserializeOwned>(self) -> Result<T, Stop> {
        let agent = &self.bed.agents()[self.host];
        let deadline = Instant::now() + TRAFFIC_LIFE;
        let wrong = |what: String| {
            Stop::Measurement(format!("`__traffic {}` on host-{}: {what}", self.command, self.host))
        };
        loop {
            self.bed.cancel.check()?;
            let status = agent.wait_job(self.job, LOOK)?;
            let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            match status.exit {
                Some(exit) if exit.is_success() => {
                    let line = said(&status.stdout_tail);
                    return serde_json::from_str(&line).map_err(|error| wrong(format!("{error}: {line}")));
                }
                Some(exit) => {
                    return Err(wrong(format!("ended with {}: {}", exit.rc(), said(&status.stderr_tail))));
                }
                None if Instant::now() > deadline => return Err(wrong("does not end".to_owned())),
                None => {}
            }
        }
    }
}

/// The program's name on the hosts, whose `PATH` has its folder.
fn program_name() -> String {
    let own = std::env::current_exe().ok();
    let name =
        own.as_deref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "fogline".to_owned())
}
