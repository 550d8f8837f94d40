//! What the machine must allow, found out by doing it.

use super::control::{FromLab, ToLab};
use super::keeper::Keeper;
use super::{ANSWER_DEADLINE, TestbedError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;

/// A right that a local testbed needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Right {
    /// To become root of a user namespace of one's own; only needed by an ordinary user.
    UserNamespace,
    /// To make mount, process, hostname, IPC and network namespaces.
    Namespaces,
    /// To mount a file system held in memory, in a mount namespace of one's own.
    Mount,
    /// To mount copy-on-write views of directories.
    Overlay,
    /// To mount `/proc` in a process namespace of one's own.
    Proc,
    /// To open a TAP device and to configure it, or at least packet sockets and virtual Ethernet devices.
    Tap,
}

impl Right {
    const fn what(self) -> &'static str {
        match self {
            Self::UserNamespace => "making user namespaces",
            Self::Namespaces => "making namespaces",
            Self::Mount => "mounting",
            Self::Overlay => "mounting overlays",
            Self::Proc => "mounting /proc",
            Self::Tap => "making network devices",
        }
    }
}

/// A right that the machine withholds, and how to grant it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("this machine does not allow {what} to this user: {call}: {reason}\n{grant}", what = .right.what())]
pub struct MissingRight {
    /// The right.
    pub right: Right,
    /// What was tried.
    pub call: String,
    /// What the kernel answered.
    pub reason: String,
    /// What to do about it.
    pub grant: String,
}

impl MissingRight {
    /// The right that `call` needed, refused by `error`.
    pub(crate) fn new(right: Right, call: impl Into<String>, error: &io::Error) -> Self {
        let grant = match right {
            Right::UserNamespace => grant_user_namespace(error),
            Right::Namespaces => grant_namespaces(error),
            Right::Mount => grant_container("mount"),
            Right::Overlay => grant_overlay(error),
            Right::Proc => grant_proc(),
            Right::Tap => grant_container("open /dev/net/tun"),
        };
        Self { right, call: call.into(), reason: error.to_string(), grant }
    }
}

/// What the machine was found to allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Whether hosts live in a user namespace, because the user is not root, or only root of a container. Tasks then run
    /// as a root who cannot change files that belong to others, though he can replace them.
    pub user_namespace: bool,
    /// What is not as it would best be, such as the way that packets travel.
    pub notes: Vec<String>,
}

/// Finds out whether a local testbed can be had, by making the smallest one in a process of its own.
///
/// The running program must pass `__lab` to [`lab_main`](crate::lab_main).
///
/// # Errors
/// [`TestbedError::Right`] names the right that is missing; the others say why that could not be found out.
pub fn probe_rights() -> Result<Rights, TestbedError> {
    let options = super::LocalOptions::default();
    probe_rights_with(&options)
}

/// Like [`probe_rights`], with a lab command and a TUN device node of one's own.
///
/// # Errors
/// As [`probe_rights`].
pub fn probe_rights_with(options: &super::LocalOptions) -> Result<Rights, TestbedError> {
    let (mut keeper, mut control) = Keeper::start(&options.lab_command)?;
    control.set_deadline(ANSWER_DEADLINE)?;
    control.send(&ToLab::Probe { tun: options.tun.clone(), path: options.path }, None)?;
    let answer = control.receive::<FromLab>();
    drop(control);
    keeper.end(ANSWER_DEADLINE)?;
    match answer? {
        (FromLab::Allowed(rights), _) => Ok(rights),
        (other, _) => Err(super::refusal(other)),
    }
}

/// A kernel setting, for advice only: whether a right is there is never read from it.
fn setting(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|path| fs::exists(path).unwrap_or(false))
}

const CONTAINER: &str = "This is a container; start it with `docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN \
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined \
    --device /dev/net/tun` (or `--privileged`).";

fn grant_user_namespace(error: &io::Error) -> String {
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").is_some_and(|value| value != "0") {
        return "Ubuntu 23.10 and later forbid this through AppArmor. Allow it until the next boot with `sudo sysctl -w \
            kernel.apparmor_restrict_unprivileged_userns=0`, or give this program a profile in /etc/apparmor.d that \
            says `userns,`, or run as root."
            .to_owned();
    }
    if setting("/proc/sys/kernel/unprivileged_userns_clone").is_some_and(|value| value == "0") {
        return "Allow it with `sudo sysctl -w kernel.unprivileged_userns_clone=1`, or run as root."
            .to_owned();
    }
    let out_of_space = error.raw_os_error() == Some(libc::ENOSPC);
    if out_of_space || setting("/proc/sys/user/max_user_namespaces").is_some_and(|value| value == "0") {
        return "Allow more with `sudo sysctl -w user.max_user_namespaces=15000`, or run as root.".to_owned();
    }
    if in_container() {
        return CONTAINER.to_owned();
    }
    "Run as root, or ask why user namespaces are off: a kernel without CONFIG_USER_NS, a change of root directory \
        (chroot), or a security module."
        .to_owned()
}

fn grant_namespaces(error: &io::Error) -> String {
    if error.raw_os_error() == Some(libc::ENOSPC) {
        return "The limit on namespaces is reached: raise user.max_net_namespaces, user.max_mnt_namespaces and \
            user.max_pid_namespaces with `sudo sysctl -w`."
            .to_owned();
    }
    grant_container("make namespaces")
}

fn grant_overlay(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENODEV) => {
            "The kernel has no overlay file system; load it with `sudo modprobe overlay`.".to_owned()
        }
        Some(libc::EPERM) => {
            "Without root this needs Linux 5.11 or later; use one, or run as root.".to_owned()
        }
        _ => grant_container("mount overlays"),
    }
}

fn grant_proc() -> String {
    if in_container() {
        return CONTAINER.to_owned();
    }
    "Parts of /proc are covered by other mounts, as in a container; uncover them, or run as root.".to_owned()
}

fn grant_container(what: &str) -> String {
    if in_container() {
        return CONTAINER.to_owned();
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").is_some_and(|value| value != "0") {
        return "Ubuntu 23.10 and later take away the rights of a user namespace through AppArmor. Allow them until \
            the next boot with `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or run as root."
            .to_owned();
    }
    format!("Run as root, or as a user whom no security module or seccomp filter forbids to {what}.")
}

/// Why the lab could not do a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Trouble {
    /// A right is missing.
    Missing(MissingRight),
    /// Anything else, told with what was being done.
    Failed(String),
}

impl Trouble {
    /// The step `what` failed.
    pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Failed(format!("{what}: {error}"))
    }

    /// The step `what` failed, for want of a right if the kernel says so.
    pub(crate) fn step(right: Right, what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES | libc::ENOSPC | libc::ENODEV | libc::ENOSYS) => {
                Self::Missing(MissingRight::new(right, what, &error))
            }
            _ => Self::Failed(format!("{what}: {error}")),
        }
    }

    /// A host's device could not be made.
    pub(crate) fn device(error: &netem::DeviceError) -> Self {
        match error {
            netem::DeviceError::NoTun { .. }
            | netem::DeviceError::TunForbidden { .. }
            | netem::DeviceError::NoNetRaw { .. }
            | netem::DeviceError::NoModule { .. }
            | netem::DeviceError::NoNetAdmin { .. } => Self::Missing(MissingRight {
                right: Right::Tap,
                call: "its device".to_owned(),
                reason: "refused".to_owned(),
                grant: error.to_string(),
            }),
            _ => Self::Failed(error.to_string()),
        }
    }

    /// Both troubles, of which one would have to be mended.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing(mut one), Self::Missing(other)) => {
                one.grant = format!("{}\nOr else: {}", one.grant, other.grant);
                Self::Missing(one)
            }
            (_, other) => other,
        }
    }

    /// The same trouble, with the host it befell.
    pub(crate) fn on(self, host: &str) -> Self {
        match self {
            Self::Missing(mut right) => {
                right.call = format!("host {host}: {}", right.call);
                Self::Missing(right)
            }
            Self::Failed(text) => Self::Failed(format!("host {host}: {text}")),
        }
    }
}
