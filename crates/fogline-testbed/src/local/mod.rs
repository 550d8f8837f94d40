//! The local provider: hosts as namespaces of this machine.

mod buffers;
pub(crate) mod control;
mod devices;
mod host;
mod hosts;
mod keeper;
pub(crate) mod lab;
mod mounts;
mod network;
pub(crate) mod rights;
mod shared;
mod view;
mod wires;

use crate::sys;
use control::{Control, ControlError, FromLab, HostOrder, LinkOrder, Order, SoftwareOrder, ToLab};
use fogline_agent::Client;
use fogline_plan::Plan;
use keeper::Keeper;
use link::{Change, Patch, Profile};
use netem::DataPath;
use rights::MissingRight;
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use units::Size;

/// How long the lab may be silent while it deploys, and how much longer for each host; 15 hosts take well under a
/// second, a thousand some seconds.
const DEPLOY_DEADLINE: Duration = Duration::from_secs(60);
const DEPLOY_HOST_DEADLINE: Duration = Duration::from_millis(100);
/// How long the lab may take to answer a question once it runs.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// How long the lab may take to end before it is killed, and how much longer for each host.
const RELEASE_DEADLINE: Duration = Duration::from_secs(20);
const RELEASE_HOST_DEADLINE: Duration = Duration::from_millis(50);

/// What can be chosen about a local testbed.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Seeds every random draw of the links.
    pub seed: u64,
    /// TCP congestion control of every host, by the kernel's name: `cubic`, `bbr`, `reno`.
    pub congestion: String,
    /// Directories of programs, mounted read-only on every host as `/opt/fogline/bin-0`, `-1`, ... and first on its `PATH`.
    pub program_directories: Vec<PathBuf>,
    /// Folders of software by package name, mounted read-only as `/opt/fogline/software/<name>` on the hosts that ask for
    /// it ([`Host::software`](fogline_plan::Host::software)) and on no other. A package that is not here is not mounted.
    pub software: BTreeMap<String, PathBuf>,
    /// How much all hosts together may write; it is held in memory.
    pub data_limit: Size,
    /// The program that becomes the lab, and its arguments; it has to call [`lab_main`](crate::lab_main).
    pub lab_command: (PathBuf, Vec<String>),
    /// The TUN device node.
    pub tun: PathBuf,
    /// How packets travel between hosts; by TAPs when absent, and by packet sockets where the TUN device node is missing
    /// or closed, which [`LocalTestbed::notes`] then says.
    pub path: Option<DataPath>,
    /// Threads that emulate links.
    pub workers: usize,
}

impl Default for LocalOptions {
    /// Seed 1, cubic, 4 GiB, this very program with `__lab`, the TUN node that `FOGLINE_TUN` names (`/dev/net/tun` when
    /// it is unset), and one worker.
    fn default() -> Self {
        Self {
            seed: 1,
            congestion: "cubic".to_owned(),
            program_directories: Vec::new(),
            software: BTreeMap::new(),
            data_limit: Size::from_bytes(4 << 30),
            lab_command: default_lab_command(),
            tun: std::env::var_os("FOGLINE_TUN").map_or_else(|| "/dev/net/tun".into(), PathBuf::from),
            path: None,
            workers: netem::EmulatorOptions::default().workers,
        }
    }
}

/// The running program itself, even when its file has been replaced meanwhile.
pub(crate) fn default_lab_command() -> (PathBuf, Vec<String>) {
    ("/proc/self/exe".into(), vec!["__lab".to_owned()])
}

/// Why a testbed could not be deployed, asked or released.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// The plan cannot be deployed as it is.
    #[error("the plan cannot be deployed on this machine: {0}")]
    Plan(String),
    /// An option cannot be met.
    #[error("{0}")]
    Options(String),
    /// A link that the plan does not have.
    #[error("there is no link {link}: the plan has {links}, counted from 0")]
    NoSuchLink {
        /// The index given.
        link: usize,
        /// Links of the plan.
        links: usize,
    },
    /// The machine withholds a right that the testbed needs.
    #[error(transparent)]
    Right(#[from] MissingRight),
    /// The lab could not do a step; everything is released.
    #[error("{0}")]
    Lab(String),
    /// The lab process is gone or does not answer.
    #[error("the lab process {0}")]
    Lost(String),
    /// A system call of the runner failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl TestbedError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<ControlError> for TestbedError {
    fn from(error: ControlError) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Live hosts and links on this machine.
///
/// Dropping it releases everything too, without a report.
#[derive(Debug)]
pub struct LocalTestbed {
    agents: Vec<Client>,
    links: usize,
    hidden: Vec<String>,
    notes: Vec<String>,
    control: Mutex<Control>,
    keeper: Keeper,
}

impl LocalTestbed {
    /// Brings up every host and link of `plan`. May be called from any thread, which need not live on.
    ///
    /// # Errors
    /// When the plan or an option cannot be met, a right is missing, or a step fails; nothing is left behind.
    pub fn deploy(plan: &Plan, options: &LocalOptions) -> Result<Self, TestbedError> {
        let order = order(plan, options)?;
        // Each agent takes two descriptors here, and shells commonly allow 1,024.
        sys::raise_descriptor_limit().map_err(TestbedError::io("raising the limit on open files"))?;
        let (keeper, mut control) = Keeper::start(&options.lab_command)?;
        control.set_deadline(DEPLOY_DEADLINE + DEPLOY_HOST_DEADLINE * plan.hosts.len() as u32)?;
        control.send(&ToLab::Deploy(order), None)?;
        let mut agents = Vec::with_capacity(plan.hosts.len());
        loop {
            match control.receive::<FromLab>()? {
                (FromLab::Agent, Some(socket)) if agents.len() < plan.hosts.len() => {
                    let name = &plan.hosts[agents.len()].name;
                    let client = Client::new(socket.into(), name)
                        .map_err(TestbedError::io(format!("connecting to the agent of {name}")))?;
                    agents.push(client);
                }
                (FromLab::Ready { hidden, notes }, _) if agents.len() == plan.hosts.len() => {
                    control.set_deadline(ANSWER_DEADLINE)?;
                    let (links, control) = (plan.links.len(), Mutex::new(control));
                    return Ok(Self { agents, links, hidden, notes, control, keeper });
                }
                (other, _) => return Err(refusal(other)),
            }
        }
    }

    /// One client per host; the index is the host's [`HostId`](fogline_plan::HostId).
    pub fn agents(&self) -> &[Client] {
        &self.agents
    }

    /// Directories of the machine that hosts cannot see, each with the reason.
    pub fn hidden(&self) -> &[String] {
        &self.hidden
    }

    /// What is not as it would best be, such as the way that packets travel, each with the reason.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The counters of the network, now; on the data paths that are not emulated, what of them is known.
    ///
    /// # Errors
    /// When the lab is gone or does not answer within 10 s.
    pub fn network(&self) -> Result<netem::Snapshot, TestbedError> {
        match self.ask(&ToLab::Snapshot)? {
            FromLab::Snapshot(snapshot) => Ok(*snapshot),
            other => Err(refusal(other)),
        }
    }

    /// What the links of the plan do now, in their order: as planned, as the timeline has it, and as altered.
    ///
    /// # Errors
    /// When the lab is gone or does not answer within 10 s.
    pub fn profiles(&self) -> Result<Vec<Profile>, TestbedError> {
        match self.ask(&ToLab::Profiles)? {
            FromLab::Profiles(profiles) => Ok(profiles),
            other => Err(refusal(other)),
        }
    }

    /// Makes links (indices into [`Plan::links`]) behave differently from now on, on top of what the plan and its
    /// changes say; merged with what this was told of them before.
    ///
    /// # Errors
    /// When there is no such link, the network cannot be changed, or the lab is gone.
    pub fn alter(&self, links: &[usize], patch: &Patch) -> Result<(), TestbedError> {
        self.check_links(links)?;
        self.change(&ToLab::Alter { links: links.to_vec(), patch: *patch })
    }

    /// Forgets all that [`LocalTestbed::alter`] was told of these links.
    ///
    /// # Errors
    /// As [`LocalTestbed::alter`].
    pub fn heal(&self, links: &[usize]) -> Result<(), TestbedError> {
        self.check_links(links)?;
        self.change(&ToLab::Heal { links: links.to_vec() })
    }

    /// Begins a timeline of changes now, in place of any other.
    ///
    /// # Errors
    /// As [`LocalTestbed::alter`].
    pub fn play(&self, changes: &[Change]) -> Result<(), TestbedError> {
        changes.iter().try_for_each(|change| self.check_links(&change.links))?;
        self.change(&ToLab::Play(changes.to_vec()))
    }

    /// Ends the timeline: links are as planned again, but for what [`LocalTestbed::alter`] was told.
    ///
    /// # Errors
    /// As [`LocalTestbed::alter`].
    pub fn rest(&self) -> Result<(), TestbedError> {
        self.change(&ToLab::Rest)
    }

    fn check_links(&self, links: &[usize]) -> Result<(), TestbedError> {
        match links.iter().find(|link| **link >= self.links) {
            Some(link) => Err(TestbedError::NoSuchLink { link: *link, links: self.links }),
            None => Ok(()),
        }
    }

    fn change(&self, change: &ToLab) -> Result<(), TestbedError> {
        match self.ask(change)? {
            FromLab::Done => Ok(()),
            other => Err(refusal(other)),
        }
    }

    fn ask(&self, question: &ToLab) -> Result<FromLab, TestbedError> {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        control.catch_up::<FromLab>()?;
        control.send(question, None)?;
        Ok(control.receive_owed::<FromLab>()?)
    }

    /// Ends every process of the testbed and waits until all are gone, with all that was theirs.
    ///
    /// # Errors
    /// When the lab had died before, or had to be killed because it did not end in time; everything is gone then too.
    pub fn release(self) -> Result<(), TestbedError> {
        let Self { agents, mut keeper, control, .. } = self;
        let mut control = control.into_inner().unwrap_or_else(PoisonError::into_inner);
        let deadline = RELEASE_DEADLINE + RELEASE_HOST_DEADLINE * agents.len() as u32;
        control.set_deadline(deadline)?;
        let asked = control.catch_up::<FromLab>().and_then(|()| control.send(&ToLab::Release, None));
        let answered = asked.and_then(|()| control.receive::<FromLab>());
        drop(control);
        let ended = keeper.end(deadline);
        drop(agents);
        match answered? {
            (FromLab::Released, _) => ended,
            (other, _) => Err(refusal(other)),
        }
    }
}

/// What an unexpected answer means.
fn refusal(answer: FromLab) -> TestbedError {
    match answer {
        FromLab::Missing(right) => TestbedError::Right(right),
        FromLab::Failed(text) => TestbedError::Lab(text),
        other => TestbedError::Lost(format!("answered out of turn ({})", other.kind())),
    }
}

/// The plan and the options as the lab is told them, after all that can be checked without doing it.
fn order(plan: &Plan, options: &LocalOptions) -> Result<Order, TestbedError> {
    let mut hosts: Vec<HostOrder> = plan.hosts.iter().map(network::host).collect();
    let prefix = network::prefix(&hosts).map_err(TestbedError::Plan)?;
    let links = plan.links.iter().map(LinkOrder::from).collect();
    network::check_links(plan.hosts.len(), &plan.links).map_err(TestbedError::Plan)?;
    network::control_congestion(&mut hosts, &plan.links);
    for (host, buffer) in hosts.iter_mut().zip(buffers::send_buffers(plan)) {
        host.send_buffer_bytes = buffer;
    }
    let program_directories = options.program_directories.iter();
    let program_directories = program_directories
        .map(|directory| real_directory("program directory", directory))
        .collect::<Result<_, _>>()?;
    let software = software(plan, &options.software, &mut hosts)?;
    if options.data_limit.bytes() < 1 << 20 {
        return Err(TestbedError::Options(format!(
            "data limit {}: hosts need at least 1mib to hold their own files",
            options.data_limit
        )));
    }
    Ok(Order {
        hosts,
        prefix,
        links,
        seed: options.seed,
        congestion: Some(options.congestion.clone()),
        program_directories,
        software,
        data_bytes: options.data_limit.bytes(),
        tun: options.tun.clone(),
        path: options.path,
        workers: options.workers.max(1),
    })
}

/// The packages that hosts ask for, each told to those hosts.
fn software(
    plan: &Plan,
    folders: &BTreeMap<String, PathBuf>,
    hosts: &mut [HostOrder],
) -> Result<Vec<SoftwareOrder>, TestbedError> {
    let mut asked = Vec::new();
    for (name, folder) in folders {
        let parts: Vec<Component<'_>> = Path::new(name).components().collect();
        if !matches!(parts[..], [Component::Normal(only)] if only == name.as_str()) {
            return Err(TestbedError::Options(format!("software `{name}`: not the name of a folder")));
        }
        let asking: Vec<usize> =
            (0..plan.hosts.len()).filter(|host| plan.hosts[*host].software.contains(name)).collect();
        if asking.is_empty() {
            continue;
        }
        asking.into_iter().for_each(|host| hosts[host].software.push(asked.len()));
        let folder = real_directory(&format!("software `{name}`:"), folder)?;
        asked.push(SoftwareOrder { name: name.clone(), folder });
    }
    Ok(asked)
}

/// The directory itself, whatever links lead to it.
fn real_directory(what: &str, path: &Path) -> Result<PathBuf, TestbedError> {
    let what = format!("{what} {}", path.display());
    let real = path.canonicalize().map_err(TestbedError::io(&what))?;
    if !real.is_dir() {
        return Err(TestbedError::Options(format!(
            "{what}: not a directory; give the folder that holds the files"
        )));
    }
    Ok(real)
}
