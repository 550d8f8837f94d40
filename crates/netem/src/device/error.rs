//! What can stand in the way of a device, in words that say what to do about it.

use super::DataPath;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why a device could not be made. The message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is no TUN/TAP here.
    #[error(
        "{path} is missing: load it with `sudo modprobe tun`, or start the container with \
         `--device /dev/net/tun`"
    )]
    NoTun {
        /// The character device that was tried.
        path: PathBuf,
    },
    /// The user may not open it.
    #[error(
        "no permission to open {path}: `sudo chmod 0666 {path}`, or for good \
         `echo 'KERNEL==\"tun\", MODE=\"0666\"' | sudo tee /etc/udev/rules.d/99-tun.rules` and a reboot"
    )]
    TunForbidden {
        /// The character device that was tried.
        path: PathBuf,
    },
    /// The user may not make devices in this network namespace.
    #[error(
        "no CAP_NET_ADMIN over this network namespace, so device {name} can't be made: run as root, or in a \
         user namespace that owns it (`unshare --user --map-root-user --net`){}",
        obstacle_note(obstacle.as_deref())
    )]
    NoNetAdmin {
        /// The device.
        name: String,
        /// What keeps this user from making user namespaces, if that is apparent.
        obstacle: Option<String>,
    },
    /// The device name is taken.
    #[error("a device named {name} exists already in this network namespace")]
    NameTaken {
        /// The device.
        name: String,
    },
    /// The kernel would not take the name.
    #[error("{name:?} can't name a device: 1 to 15 letters, digits, `-`, `_` or `.`")]
    BadName {
        /// The name.
        name: String,
    },
    /// The prefix is longer than an address.
    #[error("prefix length {prefix_len} of {address}: 1 to {longest} expected")]
    BadPrefix {
        /// The address.
        address: IpAddr,
        /// Its prefix length.
        prefix_len: u8,
        /// What it may be at most.
        longest: u8,
    },
    /// There is nothing to plug the device into.
    #[error("a {path} device needs a switch to be plugged into")]
    NoSwitch {
        /// The data path asked for.
        path: DataPath,
    },
    /// The kernel's bridges take no more hosts.
    #[error("a bridge of the kernel's has {most} ports: use fewer hosts, or a TAP or packet path")]
    BridgeFull {
        /// How many there may be.
        most: u32,
    },
    /// The user may not read what arrives at a device.
    #[error(
        "no CAP_NET_RAW over the emulator's network namespace, so device {name} can't be served: run as root, in a \
         container started with `--cap-add NET_RAW`, or in a user namespace of your own{}",
        obstacle_note(obstacle.as_deref())
    )]
    NoNetRaw {
        /// The device.
        name: String,
        /// What keeps this user from making user namespaces, if that is apparent.
        obstacle: Option<String>,
    },
    /// The kernel lacks a kind of device or socket.
    #[error("device {name}: this kernel has no {what} ({source}); load it with `sudo modprobe {module}`")]
    NoModule {
        /// The device.
        name: String,
        /// What is missing.
        what: &'static str,
        /// The module that brings it.
        module: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another refusal by the kernel.
    #[error("device {name}: can't {step}: {source}")]
    Refused {
        /// The device.
        name: String,
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

fn obstacle_note(obstacle: Option<&str>) -> String {
    obstacle.map(|text| format!(". User namespaces are switched off here: {text}")).unwrap_or_default()
}

/// What keeps an unprivileged user from making user namespaces, as far as the system's settings tell, with the
/// command that lifts it. A hint for after a failure: whether it works is only known by doing it.
pub fn user_namespace_obstacle() -> Option<String> {
    let setting = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let obstacles = [
        ("/proc/sys/user/max_user_namespaces", "0", "`sudo sysctl user.max_user_namespaces=10000`"),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "`sudo sysctl kernel.unprivileged_userns_clone=1`",
        ),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or an AppArmor profile with `userns,`",
        ),
    ];
    obstacles.into_iter().find_map(|(path, blocking, remedy)| {
        (setting(path)? == blocking).then(|| format!("{path} is {blocking}; {remedy}"))
    })
}

/// Reads the kernel's refusal to make a TAP.
pub(super) fn attach_error(name: &str, source: io::Error) -> DeviceError {
    match source.raw_os_error() {
        Some(libc::EPERM) => {
            DeviceError::NoNetAdmin { name: name.to_owned(), obstacle: user_namespace_obstacle() }
        }
        Some(libc::EBUSY | libc::EEXIST) => DeviceError::NameTaken { name: name.to_owned() },
        _ => refused(name, "make a TAP of the opened file", source),
    }
}

/// Reads the kernel's refusal to make a network namespace.
pub(crate) fn refused_namespace(name: &str, source: io::Error) -> DeviceError {
    match source.raw_os_error() {
        Some(libc::EPERM) => {
            DeviceError::NoNetAdmin { name: name.to_owned(), obstacle: user_namespace_obstacle() }
        }
        _ => refused(name, "make a network namespace", source),
    }
}

/// Reads the kernel's refusal to make a pair of devices.
pub(crate) fn refused_pair(name: &str, source: io::Error) -> DeviceError {
    match source.raw_os_error() {
        Some(libc::EPERM) => {
            DeviceError::NoNetAdmin { name: name.to_owned(), obstacle: user_namespace_obstacle() }
        }
        Some(libc::EEXIST) => DeviceError::NameTaken { name: name.to_owned() },
        Some(libc::EOPNOTSUPP) => {
            let (name, what) = (name.to_owned(), "virtual Ethernet pairs");
            DeviceError::NoModule { name, what, module: "veth", source }
        }
        _ => refused(name, "make a virtual Ethernet pair", source),
    }
}

/// Reads the kernel's refusal of a packet socket.
pub(super) fn refused_socket(name: &str, source: io::Error) -> DeviceError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            DeviceError::NoNetRaw { name: name.to_owned(), obstacle: user_namespace_obstacle() }
        }
        Some(libc::EAFNOSUPPORT) => {
            let (name, what) = (name.to_owned(), "packet sockets");
            DeviceError::NoModule { name, what, module: "af_packet", source }
        }
        _ => refused(name, "open a packet socket at its far end", source),
    }
}

/// Any other refusal.
pub(crate) fn refused(name: &str, step: &'static str, source: io::Error) -> DeviceError {
    DeviceError::Refused { name: name.to_owned(), step, source }
}
