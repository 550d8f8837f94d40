//! The TAP: a device of a host whose other end is a file.

use super::error::{DeviceError, attach_error, refused};
use crate::sys;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// `TUN_F_*` of `linux/if_tun.h`: unfinished work that a frame may carry.
const CSUM: u32 = 0x01;
const TSO4: u32 = 0x02;
const TSO6: u32 = 0x04;
const TSO_ECN: u32 = 0x08;
const USO4: u32 = 0x20;
const USO6: u32 = 0x40;

/// What is asked of the kernel, the best first. USO needs Linux 6.2.
const OFFLOADS: [(u32, &str); 4] = [
    (CSUM | TSO4 | TSO6 | TSO_ECN | USO4 | USO6, "csum+tso+uso"),
    (CSUM | TSO4 | TSO6 | TSO_ECN, "csum+tso"),
    (CSUM, "csum"),
    (0, "none"),
];

/// Opens the character device.
pub(super) fn open(path: &Path) -> Result<File, DeviceError> {
    OpenOptions::new().read(true).write(true).open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::ENOTDIR) => {
            DeviceError::NoTun { path: path.to_owned() }
        }
        Some(libc::EACCES | libc::EPERM) => DeviceError::TunForbidden { path: path.to_owned() },
        _ => refused(&path.display().to_string(), "open it", error),
    })
}

/// Makes the device `name` of the opened file, and tells which offloads were granted.
pub(super) fn attach(tun: &File, name: &str) -> Result<&'static str, DeviceError> {
    sys::attach_tap(tun, name).map_err(|source| attach_error(name, source))?;
    let offload = negotiate_offload(tun).map_err(|source| refused(name, "set offloads", source))?;
    sys::set_nonblocking(tun).map_err(|source| refused(name, "read without blocking", source))?;
    Ok(offload)
}

fn negotiate_offload(tun: &File) -> io::Result<&'static str> {
    let mut last = io::Error::from(io::ErrorKind::Unsupported);
    for (flags, label) in OFFLOADS {
        match sys::set_offload(tun, flags) {
            Ok(()) => return Ok(label),
            Err(error) => last = error,
        }
    }
    Err(last)
}
