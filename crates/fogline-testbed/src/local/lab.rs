//! The lab: the process that holds all hosts and links, and nothing else of the runner.

use super::control::{Control, ControlError, FromLab, HostOrder, Order, ToLab};
use super::host::Host;
use super::mounts::Store;
use super::network;
use super::rights::{Right, Rights, Trouble};
use super::view::View;
use crate::sys::{self, Pid};
use netem::{Device, DeviceOptions, Emulator, Network, Node};
use std::fs::{self, File};
use std::io::{self, PipeReader, Read};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// How long a host may take to assemble itself.
const HOST_DEADLINE: Duration = Duration::from_secs(30);
/// Threads that make network namespaces; more only wait for the kernel's lock on networks.
const NETWORK_THREADS: usize = 4;

/// The whole life of the lab process, which the runner starts with [`LocalOptions::lab_command`](crate::LocalOptions).
///
/// It must be called before the process has started any thread. The lab is told what to do on its standard input.
pub fn lab_main() -> ! {
    sys::exit_now(outer())
}

/// The lab's first process: makes the namespaces, starts the lab proper in them and waits for it.
fn outer() -> i32 {
    let Ok(mut control) = take_control() else { return 2 };
    match separate(&mut control) {
        Ok(None) => 0,
        Ok(Some(separated)) => {
            let Separated { order, rights, alive, alive_end } = separated;
            let inner = sys::fork(move || inner(control, order, &rights, &alive));
            // The lab must be the only one to hold the other end of the runner's socket: `control` is closed here now.
            let code = inner.and_then(sys::wait_for).unwrap_or(1);
            drop(alive_end);
            code
        }
        Err(trouble) => {
            let _ = control.send(&answer(trouble), None);
            1
        }
    }
}

/// Takes the runner's socket from standard input and leaves nothing there.
fn take_control() -> io::Result<Control> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    sys::replace_stdin(File::open("/dev/null")?.as_fd())?;
    sys::begin_session()?;
    sys::die_with_parent()?;
    sys::set_name("fogline-lab")?;
    sys::set_usual_umask();
    std::env::set_current_dir("/")?;
    Ok(Control::new(UnixStream::from(socket)))
}

struct Separated {
    order: ToLab,
    rights: Rights,
    /// Readable as soon as the first process is gone.
    alive: PipeReader,
    alive_end: io::PipeWriter,
}

/// Waits for the order and makes the namespaces; `None` when the runner is gone.
fn separate(control: &mut Control) -> Result<Option<Separated>, Trouble> {
    let order = match control.receive::<ToLab>() {
        Ok((order, _)) => order,
        Err(ControlError::Closed) => return Ok(None),
        Err(error) => return Err(Trouble::Failed(format!("the runner {error}"))),
    };
    sys::raise_descriptor_limit().map_err(Trouble::failed("raising the limit on open files"))?;
    let kinds = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let user_namespace = match sys::unshare(kinds) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            become_root_of_own()?;
            sys::unshare(kinds)
                .map_err(Trouble::step(Right::Namespaces, "unshare(NEWNS|NEWPID|NEWIPC|NEWUTS)"))?;
            true
        }
        made => {
            made.map_err(Trouble::step(Right::Namespaces, "unshare(NEWNS|NEWPID|NEWIPC|NEWUTS)"))?;
            in_user_namespace()?
        }
    };
    // Nothing that is mounted from here on may show outside.
    sys::mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "")
        .map_err(Trouble::step(Right::Mount, "making mounts private"))?;
    let (alive, alive_end) = io::pipe().map_err(Trouble::failed("making a pipe"))?;
    Ok(Some(Separated { order, rights: Rights { user_namespace }, alive, alive_end }))
}

/// Whether root here is not the machine's, as in a container without root: the first user namespace maps every number
/// to itself.
fn in_user_namespace() -> Result<bool, Trouble> {
    let map =
        fs::read_to_string("/proc/self/uid_map").map_err(Trouble::failed("reading /proc/self/uid_map"))?;
    Ok(!map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// Enters a user namespace in which this user is root.
fn become_root_of_own() -> Result<(), Trouble> {
    let (user, group) = sys::user_and_group();
    sys::unshare(libc::CLONE_NEWUSER).map_err(Trouble::step(Right::UserNamespace, "unshare(NEWUSER)"))?;
    // Groups must be given up before they can be mapped, see user_namespaces(7).
    let files = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ];
    for (path, text) in files {
        fs::write(path, &text)
            .map_err(Trouble::step(Right::UserNamespace, format!("writing {text:?} to {path}")))?;
    }
    // A change of credentials makes the kernel forget this.
    sys::die_with_parent().map_err(Trouble::failed("asking to die with the runner"))
}

/// The lab proper, pid 1 of its namespaces.
fn inner(mut control: Control, order: ToLab, rights: &Rights, alive: &PipeReader) -> i32 {
    let keep = [control.as_fd().as_raw_fd(), alive.as_raw_fd()];
    let bound = sys::close_all_but(&keep).and_then(|()| sys::die_with_parent());
    // The first process may have died before it was this one's to follow.
    if bound.is_err() || !matches!(sys::wait_readable(alive.as_fd(), Some(Duration::ZERO)), Ok(false)) {
        return 1;
    }
    // Links are late when tasks take their turn: favour this session where that is allowed, leave it where not.
    let _ = fs::write("/proc/self/autogroup", "-15");
    match order {
        ToLab::Deploy(order) => match bring_up(&order, rights) {
            Ok(lab) => lab.serve(&mut control),
            Err(trouble) => {
                let _ = control.send(&answer(trouble), None);
                1
            }
        },
        ToLab::Probe { tun } => {
            let said = match bring_up(&smallest(tun), rights) {
                Ok(lab) => {
                    lab.end();
                    FromLab::Allowed(rights.clone())
                }
                Err(trouble) => answer(trouble),
            };
            i32::from(control.send(&said, None).is_err())
        }
        _ => {
            let _ = control.send(&FromLab::Failed("nothing is deployed yet".to_owned()), None);
            1
        }
    }
}

/// [`Lab::bring_up`], with a panic told to the runner like any other trouble.
fn bring_up(order: &Order, rights: &Rights) -> Result<Lab, Trouble> {
    std::panic::catch_unwind(|| Lab::bring_up(order, rights.user_namespace)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Trouble::Failed(format!("the lab panicked: {text}")))
    })
}

fn answer(trouble: Trouble) -> FromLab {
    match trouble {
        Trouble::Missing(right) => FromLab::Missing(right),
        Trouble::Failed(text) => FromLab::Failed(text),
    }
}

/// One host without links, for finding out what is allowed.
fn smallest(tun: PathBuf) -> Order {
    Order {
        hosts: vec![HostOrder { name: "probe".to_owned(), address: Ipv4Addr::new(10, 0, 0, 1) }],
        prefix: 16,
        links: Vec::new(),
        seed: 0,
        congestion: None,
        program_directories: Vec::new(),
        data_bytes: 64 << 20,
        tun,
    }
}

/// The running hosts and links.
struct Lab {
    hosts: Vec<Pid>,
    sockets: Vec<UnixStream>,
    hidden: Vec<String>,
    emulator: Emulator,
}

impl Lab {
    /// Networks first, by threads; then, alone again, the hosts, each a fork; then the emulator's thread.
    fn bring_up(order: &Order, user_namespace: bool) -> Result<Self, Trouble> {
        let networks = make_networks(order)?;
        let programs = Store::open_programs(&order.program_directories)?;
        let view =
            View::of_machine(user_namespace).map_err(Trouble::failed("reading /proc/self/mountinfo"))?;
        let store = Store::mount(order.data_bytes, &programs, user_namespace)?;
        store.own(&view)?;
        let hosts_file = network::hosts_file(&order.hosts);
        let own_processes =
            File::open("/proc/self/ns/pid").map_err(Trouble::failed("opening /proc/self/ns/pid"))?;
        let (mut hosts, mut sockets, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (spec, (_, network))) in order.hosts.iter().zip(&networks).enumerate() {
            let host = Host {
                index,
                name: &spec.name,
                hosts_file: &hosts_file,
                programs: programs.len(),
                network,
                store: &store,
                view: &view,
            };
            let (pid, socket, report) =
                start(&host, &own_processes).map_err(|trouble| trouble.on(&spec.name))?;
            hosts.push(pid);
            sockets.push(socket);
            reports.push(report);
        }
        for (spec, report) in order.hosts.iter().zip(reports) {
            await_report(report, &spec.name)?;
        }
        let emulator = start_emulator(order, networks)?;
        Ok(Self { hosts, sockets, hidden: view.hidden, emulator })
    }

    /// Hands the agents to the runner and answers it until it says to end, or is gone.
    fn serve(mut self, control: &mut Control) -> i32 {
        for socket in std::mem::take(&mut self.sockets) {
            if control.send(&FromLab::Agent, Some(socket.as_fd())).is_err() {
                return 1;
            }
        }
        let ready = FromLab::Ready { hidden: std::mem::take(&mut self.hidden) };
        let mut said = control.send(&ready, None);
        loop {
            let answer = match said.and_then(|()| control.receive::<ToLab>()) {
                Ok((ToLab::Release, _)) => {
                    self.end();
                    return i32::from(control.send(&FromLab::Released, None).is_err());
                }
                Ok((asked, _)) => self.answer(&asked),
                Err(_) => {
                    self.end();
                    return 1;
                }
            };
            said = control.send(&answer, None);
        }
    }

    /// Answers what is asked of a running lab.
    fn answer(&self, asked: &ToLab) -> FromLab {
        let network = &self.emulator;
        let changed = match asked {
            ToLab::Snapshot => return FromLab::Snapshot(Box::new(network.snapshot())),
            ToLab::Alter { .. } | ToLab::Heal { .. } | ToLab::Play(_) | ToLab::Rest => {
                Err("this network's links cannot be changed")
            }
            ToLab::Deploy(_) | ToLab::Probe { .. } | ToLab::Release => Err("the lab runs already"),
        };
        match changed {
            Ok(()) => FromLab::Done,
            Err(reason) => FromLab::Failed(reason.to_string()),
        }
    }

    /// Ends all hosts, then the network.
    fn end(self) {
        for host in &self.hosts {
            // Its agent may have ended by itself; a host that is not waited for yet keeps its number.
            let _ = sys::kill(*host);
        }
        for host in self.hosts {
            let _ = sys::wait_for(host);
        }
        let _ = self.emulator.stop();
    }
}

/// Makes every host's network namespace with its device, and comes back alone.
fn make_networks(order: &Order) -> Result<Vec<(Device, OwnedFd)>, Trouble> {
    let share = order.hosts.len().div_ceil(NETWORK_THREADS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = order
            .hosts
            .chunks(share)
            .map(|hosts| {
                scope.spawn(move || hosts.iter().map(|host| make_network(host, order)).collect::<Vec<_>>())
            })
            .collect();
        let mut networks = Vec::with_capacity(order.hosts.len());
        for thread in threads {
            let made = thread
                .join()
                .map_err(|_| Trouble::Failed("a thread that makes networks panicked".to_owned()))?;
            networks.extend(made);
        }
        networks.into_iter().collect()
    })
}

fn make_network(host: &HostOrder, order: &Order) -> Result<(Device, OwnedFd), Trouble> {
    sys::unshare(libc::CLONE_NEWNET)
        .map_err(Trouble::step(Right::Namespaces, "unshare(NEWNET)"))
        .map_err(|trouble| trouble.on(&host.name))?;
    let options = DeviceOptions {
        congestion: order.congestion.clone(),
        tun: order.tun.clone(),
        ..DeviceOptions::default()
    };
    let device = Device::create("net0", host.address, order.prefix, &options)
        .map_err(|error| Trouble::device(&host.name, &error))?;
    check_congestion(&device, order).map_err(|trouble| trouble.on(&host.name))?;
    let namespace = File::open("/proc/thread-self/ns/net")
        .map_err(Trouble::failed("opening /proc/thread-self/ns/net"))
        .map_err(|trouble| trouble.on(&host.name))?;
    Ok((device, namespace.into()))
}

/// Congestion control decides what a lossy link carries, so another one than asked for is no substitute.
fn check_congestion(device: &Device, order: &Order) -> Result<(), Trouble> {
    let Some(asked) = order.congestion.as_deref().filter(|asked| *asked != device.congestion()) else {
        return Ok(());
    };
    let available = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    Err(Trouble::Failed(format!(
        "the kernel refuses the congestion control {asked}; it has {}; load another with `sudo modprobe tcp_{asked}`",
        available.as_deref().map_or("none to tell", str::trim)
    )))
}

/// Forks a host into a process namespace of its own.
fn start(host: &Host<'_>, own_processes: &File) -> Result<(Pid, UnixStream, PipeReader), Trouble> {
    let (ours, theirs) = UnixStream::pair().map_err(Trouble::failed("making a socket pair"))?;
    let (report, status) = io::pipe().map_err(Trouble::failed("making a pipe"))?;
    sys::unshare(libc::CLONE_NEWPID).map_err(Trouble::step(Right::Namespaces, "unshare(NEWPID)"))?;
    let pid = sys::fork(move || host.live(theirs, status)).map_err(Trouble::failed("forking"))?;
    // The next child gets a namespace of its own too, which the kernel allows from the lab's own only.
    sys::enter(own_processes.as_fd(), libc::CLONE_NEWPID)
        .map_err(Trouble::step(Right::Namespaces, "returning to the process namespace"))?;
    Ok((pid, ours, report))
}

fn await_report(mut report: PipeReader, name: &str) -> Result<(), Trouble> {
    let failed = |text: String| Trouble::Failed(format!("host {name}: {text}"));
    match sys::wait_readable(report.as_fd(), Some(HOST_DEADLINE)) {
        Ok(true) => {}
        Ok(false) => return Err(failed(format!("not assembled within {HOST_DEADLINE:?}"))),
        Err(error) => return Err(failed(format!("waiting for it: {error}"))),
    }
    let mut bytes = Vec::new();
    report.read_to_end(&mut bytes).map_err(|error| failed(format!("waiting for it: {error}")))?;
    serde_json::from_slice::<Result<(), Trouble>>(&bytes)
        .map_err(|_| failed("its first process ended before it was assembled".to_owned()))?
}

fn start_emulator(order: &Order, networks: Vec<(Device, OwnedFd)>) -> Result<Emulator, Trouble> {
    let nodes = order
        .hosts
        .iter()
        .zip(networks)
        .map(|(host, (device, _))| Node { name: host.name.clone(), address: host.address, device })
        .collect();
    let links = order.links.iter().map(network::link).collect();
    Emulator::start(Network { nodes, links, seed: order.seed })
        .map_err(Trouble::failed("starting the link emulator"))
}
