//! The lab: the process that holds all hosts and links, and nothing else of the runner.

use super::control::{Control, ControlError, FromLab, HostOrder, Order, ToLab};
use super::devices::Way;
use super::hosts::{HandOver, Hosts};
use super::mounts::Store;
use super::network;
use super::rights::{Right, Rights, Trouble};
use super::shared::Sources;
use super::view::View;
use super::wires::Wires;
use crate::sys::{self, Pid};
use netem::{DataPath, Device};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, PipeReader};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Duration;

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
    Ok(Some(Separated { order, rights: Rights { user_namespace, notes: Vec::new() }, alive, alive_end }))
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
        ToLab::Deploy(order) => {
            match bring_up(&order, rights, &mut |agent| hand_over(&mut control, &agent)) {
                Ok(lab) => lab.serve(&mut control),
                Err(trouble) => {
                    let _ = control.send(&answer(trouble), None);
                    1
                }
            }
        }
        ToLab::Probe { tun, path } => {
            // A host ends when nobody holds its agent.
            let mut held = Vec::new();
            let mut hold = |agent| {
                held.push(agent);
                Ok(())
            };
            let said = match bring_up(&smallest(tun, path), rights, &mut hold) {
                Ok(lab) => {
                    let notes = lab.notes.clone();
                    lab.end();
                    FromLab::Allowed(Rights { notes, ..rights.clone() })
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
fn bring_up(order: &Order, rights: &Rights, hand_over: &mut HandOver<'_>) -> Result<Lab, Trouble> {
    let work = AssertUnwindSafe(|| Lab::bring_up(order, rights.user_namespace, hand_over));
    std::panic::catch_unwind(work).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Trouble::Failed(format!("the lab panicked: {text}")))
    })
}

/// Gives the runner the next host's agent.
fn hand_over(control: &mut Control, agent: &UnixStream) -> Result<(), Trouble> {
    let sent = control.send(&FromLab::Agent, Some(agent.as_fd()));
    sent.map_err(|error| Trouble::Failed(format!("the runner {error}")))
}

fn answer(trouble: Trouble) -> FromLab {
    match trouble {
        Trouble::Missing(right) => FromLab::Missing(right),
        Trouble::Failed(text) => FromLab::Failed(text),
    }
}

/// One host without links, for finding out what is allowed.
fn smallest(tun: PathBuf, path: Option<DataPath>) -> Order {
    Order {
        hosts: vec![HostOrder {
            name: "probe".to_owned(),
            address: Ipv4Addr::new(10, 0, 0, 1),
            address6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x0a00, 1),
            congestion_to: Vec::new(),
            send_buffer_bytes: 0,
            software: Vec::new(),
        }],
        prefix: 16,
        links: Vec::new(),
        seed: 0,
        congestion: None,
        program_directories: Vec::new(),
        software: Vec::new(),
        data_bytes: 64 << 20,
        tun,
        path,
        workers: 1,
    }
}

/// The running hosts and links.
struct Lab {
    hosts: Vec<Pid>,
    hidden: Vec<String>,
    notes: Vec<String>,
    wires: Wires,
}

impl Lab {
    /// The store first; then, while this process is alone and holds few descriptors, the hosts, each a fork; then
    /// threads that make the devices in the hosts' networks while the hosts assemble themselves.
    fn bring_up(order: &Order, user_namespace: bool, hand_over: &mut HandOver<'_>) -> Result<Self, Trouble> {
        let sources = Sources::open(order)?;
        let (way, mut notes) = Way::find(order);
        let view =
            View::of_machine(user_namespace).map_err(Trouble::failed("reading /proc/self/mountinfo"))?;
        let store = Store::mount(order.data_bytes, &sources, user_namespace)?;
        drop(sources);
        store.own(&view)?;
        store.share(&network::hosts_file(&order.hosts)).map_err(Trouble::failed("writing shared files"))?;
        let started = Hosts::start(order, &store, &view, hand_over)?;
        let (hosts, devices) = started.complete(order, &way)?;
        // All hosts are alike, so one of each kind says it all.
        let warnings: BTreeSet<&String> = devices.iter().flat_map(Device::warnings).collect();
        notes.extend(warnings.into_iter().cloned());
        let wires = Wires::start(order, way.path(), devices, &hosts)?;
        Ok(Self { hosts, hidden: view.hidden, notes, wires })
    }

    /// Tells the runner that all is up and answers it until it says to end, or is gone.
    fn serve(mut self, control: &mut Control) -> i32 {
        let (hidden, notes) = (std::mem::take(&mut self.hidden), std::mem::take(&mut self.notes));
        let ready = FromLab::Ready { hidden, notes };
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
        let changed = match asked {
            ToLab::Snapshot => return FromLab::Snapshot(Box::new(self.wires.snapshot())),
            ToLab::Profiles => {
                let told = self.wires.profiles();
                return told.map_or_else(|error| FromLab::Failed(error.to_string()), FromLab::Profiles);
            }
            ToLab::Alter { .. } | ToLab::Heal { .. } | ToLab::Play(_) | ToLab::Rest => {
                self.wires.change(asked)
            }
            ToLab::Deploy(_) | ToLab::Probe { .. } | ToLab::Release => {
                Err(io::Error::other("the lab runs already"))
            }
        };
        changed.map_or_else(|error| FromLab::Failed(format!("changing links: {error}")), |()| FromLab::Done)
    }

    /// Ends all hosts and the network, at the same time.
    fn end(self) {
        let Self { hosts, wires, .. } = self;
        std::thread::scope(|scope| {
            scope.spawn(move || wires.stop());
            for host in &hosts {
                // Its agent may have ended by itself; a host that is not waited for yet keeps its number.
                let _ = sys::kill(*host);
            }
            for host in hosts {
                let _ = sys::wait_for(host);
            }
        });
    }
}
