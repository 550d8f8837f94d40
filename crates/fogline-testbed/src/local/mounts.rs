//! The files of lab and hosts: one private file system in memory, and each host's root assembled on it.

use super::control::HostOrder;
use super::rights::{Right, Trouble};
use super::shared::{Shared, Sources};
use super::view::{Part, Sight, View};
use crate::sys;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where the lab mounts its store: a directory that every machine has and that every host has for itself.
pub(super) const STORE: &str = "/tmp";

/// Directories that the layer of a lab without root holds; see [`Store::own`].
const OWNED_MAX: usize = 8192;
/// How deep below an overlay's own directory that layer goes.
const OWNED_DEPTH: usize = 2;
/// Files of `/etc` are copied into that layer up to this size.
const OWNED_FILE_BYTES_MAX: u64 = 64 << 10;

const KERNEL_MOUNT: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

/// The lab's private file system, which holds all that hosts write.
#[derive(Debug)]
pub(crate) struct Store {
    /// Whether the lab lives in a user namespace.
    user_namespace: bool,
    shared: Shared,
}

impl Store {
    /// Mounts the store, of `bytes` bytes at most, with what hosts share in it.
    pub(crate) fn mount(bytes: u64, sources: &Sources, user_namespace: bool) -> Result<Self, Trouble> {
        let options = format!("size={bytes},mode=755");
        sys::mount("fogline", STORE, "tmpfs", libc::MS_NODEV, &options)
            .map_err(Trouble::step(Right::Mount, format!("mounting a tmpfs with {options}")))?;
        Ok(Self { user_namespace, shared: Shared::mount(sources)? })
    }

    /// Makes the layer between the machine's directories and a host's own, for a lab without root: the same
    /// directories, and the small files of `/etc`, owned by the lab's user, who appears as root. Without it the hosts'
    /// root could not make files in them, because their true owner has no number in the user namespace.
    pub(crate) fn own(&self, view: &View) -> Result<(), Trouble> {
        if !self.user_namespace {
            return Ok(());
        }
        let mut left = OWNED_MAX;
        for part in view.parts.iter().filter(|part| layered(part)) {
            own_directory(&part.path, OWNED_DEPTH, &mut left)
                .map_err(Trouble::failed(format!("copying the directories of {}", part.path.display())))?;
        }
        Ok(())
    }

    /// Assembles the root of host `index` in the calling process's mount namespace and moves into it.
    pub(crate) fn enter_root(&self, index: usize, view: &View, spec: &HostOrder) -> Result<(), Trouble> {
        let base = Path::new(STORE).join("hosts").join(index.to_string());
        let root = base.join("root");
        let made = fs::create_dir_all(&root).and_then(|()| sys::mount(&root, &root, "", libc::MS_BIND, ""));
        made.map_err(Trouble::step(Right::Mount, "binding the root"))?;
        for (number, part) in view.parts.iter().enumerate() {
            self.show(part, &root, &base.join(number.to_string()))?;
        }
        make_own_directories(&root).map_err(Trouble::failed("making directories in the root"))?;
        self.write_own_files(&root, view, &spec.name)
            .map_err(Trouble::failed("writing the host's own files"))?;
        self.shared.show(&root, &spec.software)?;
        make_devices(&root)?;
        self.mount_kernel_files(&root)?;
        std::env::set_current_dir(&root)
            .and_then(|()| sys::become_root())
            .and_then(|()| std::env::set_current_dir("/"))
            .map_err(Trouble::step(Right::Mount, "moving into the root"))
    }

    /// Writes the files of which all hosts have the same once: into a layer that shows through the view of `/etc`.
    pub(crate) fn share(&self, hosts: &str) -> io::Result<()> {
        let directory = shared();
        make_directory(&directory, 0o755)?;
        // No name server can be reached; with this one that is known at once instead of after a time-out.
        let resolver = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
        [("hosts", hosts), ("resolv.conf", resolver)]
            .iter()
            .try_for_each(|(name, text)| fs::write(directory.join(name), text))
    }

    fn write_own_files(&self, root: &Path, view: &View, name: &str) -> io::Result<()> {
        let directory = root.join("etc");
        if !view.parts.iter().any(|part| part.path == Path::new("/etc") && layered(part)) {
            for shared in fs::read_dir(shared())? {
                let shared = shared?;
                replace(&directory.join(shared.file_name()), &fs::read_to_string(shared.path())?)?;
            }
        }
        replace(&directory.join("hostname"), &format!("{name}\n"))
    }

    fn show(&self, part: &Part, root: &Path, layers: &Path) -> Result<(), Trouble> {
        let path = &part.path;
        let target = root.join(path.strip_prefix("/").unwrap_or(path));
        let done = match part.sight {
            Sight::Directory(mode) => make_directory(&target, mode),
            Sight::Link => fs::read_link(path).and_then(|to| symlink(to, &target)),
            Sight::Copy => fs::copy(path, &target).map(drop),
            Sight::Bind => File::create(&target)
                .and_then(|_| sys::mount(path, &target, "", libc::MS_BIND, ""))
                .and_then(|()| sys::make_read_only(&target)),
            Sight::Overlay(mode) => return self.overlay(path, mode, &target, layers),
        };
        done.map_err(Trouble::failed(format!("showing {}", path.display())))
    }

    fn overlay(&self, path: &Path, mode: u32, target: &Path, layers: &Path) -> Result<(), Trouble> {
        let (upper, work) = (layers.join("upper"), layers.join("work"));
        make_directory(target, mode)
            .and_then(|()| fs::create_dir_all(&work))
            .and_then(|()| make_directory(&upper, mode))
            .map_err(Trouble::failed(format!("making the layers of {}", path.display())))?;
        let mut options = String::from("lowerdir=");
        if path == Path::new("/etc") {
            options.push_str(&format!("{}:", shared().display()));
        }
        if self.user_namespace {
            options.push_str(&format!("{}:", owned(path).display()));
        }
        options.push_str(&format!(
            "{},upperdir={},workdir={}",
            path.display(),
            upper.display(),
            work.display()
        ));
        if self.user_namespace {
            // Marks of removed and replaced directories go to attributes that a user may write.
            options.push_str(",userxattr");
        }
        sys::mount("overlay", target, "overlay", libc::MS_NODEV, &options)
            .map_err(Trouble::step(Right::Overlay, format!("mounting an overlay with {options}")))
    }

    fn mount_kernel_files(&self, root: &Path) -> Result<(), Trouble> {
        let (proc, sysfs) = (root.join("proc"), root.join("sys"));
        sys::mount("proc", &proc, "proc", KERNEL_MOUNT, "")
            .map_err(Trouble::step(Right::Proc, "mounting /proc"))?;
        // A container that covers parts of its /sys may not have another one; a host can live with an empty one.
        let _ = sys::mount("sysfs", &sysfs, "sysfs", KERNEL_MOUNT | libc::MS_RDONLY, "");
        if self.user_namespace {
            return Ok(());
        }
        protect_kernel_settings(&proc).map_err(Trouble::failed("making kernel settings read-only"))
    }
}

/// With the machine's root, a host could change settings of the whole machine; those of its own network stay open.
fn protect_kernel_settings(proc: &Path) -> io::Result<()> {
    let (settings, network) = (proc.join("sys"), proc.join("sys/net"));
    sys::mount(&settings, &settings, "", libc::MS_BIND, "")?;
    sys::mount(&network, &network, "", libc::MS_BIND, "")?;
    let read_only = KERNEL_MOUNT | libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
    sys::mount("none", &settings, "", read_only, "")?;
    for name in ["sysrq-trigger", "irq", "bus", "fs"] {
        let path = proc.join(name);
        if path.exists() {
            sys::mount(&path, &path, "", libc::MS_BIND, "")?;
            sys::make_read_only(&path)?;
        }
    }
    Ok(())
}

/// Files that all hosts find in `/etc`.
fn shared() -> PathBuf {
    Path::new(STORE).join("shared")
}

const fn layered(part: &Part) -> bool {
    matches!(part.sight, Sight::Overlay(_))
}

fn owned(path: &Path) -> PathBuf {
    Path::new(STORE).join("owned").join(path.strip_prefix("/").unwrap_or(path))
}

fn own_directory(path: &Path, depth: usize, left: &mut usize) -> io::Result<()> {
    // A directory that this user cannot read stays as it is: its entries would not show otherwise either.
    let (Ok(metadata), Ok(entries)) = (fs::metadata(path), fs::read_dir(path)) else { return Ok(()) };
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    let copy = owned(path);
    fs::create_dir_all(&copy)?;
    for entry in entries.filter_map(Result::ok) {
        let (source, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && depth > 0 {
            own_directory(&source, depth - 1, left)?;
        } else if kind.is_file()
            && source.starts_with("/etc")
            && entry.metadata().is_ok_and(|metadata| metadata.len() <= OWNED_FILE_BYTES_MAX)
            && let Ok(bytes) = fs::read(&source)
        {
            let target = owned(&source);
            fs::write(&target, bytes)?;
            fs::set_permissions(&target, entry.metadata()?.permissions())?;
        }
    }
    fs::set_permissions(&copy, Permissions::from_mode(metadata.permissions().mode() & 0o7777 | 0o700))
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn make_own_directories(root: &Path) -> io::Result<()> {
    let plain =
        ["proc", "sys", "dev", "dev/pts", "run", "run/lock", "home", "etc", "opt", "var", "mnt", "srv"];
    for (name, mode) in plain.map(|name| (name, 0o755)).into_iter().chain([
        ("root", 0o700),
        ("tmp", 0o1777),
        ("dev/shm", 0o1777),
    ]) {
        let path = root.join(name);
        if !path.exists() {
            make_directory(&path, mode)?;
        }
    }
    Ok(())
}

fn make_devices(root: &Path) -> Result<(), Trouble> {
    let devices = root.join("dev");
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let target = devices.join(name);
        File::create(&target)
            .and_then(|_| sys::mount(Path::new("/dev").join(name), &target, "", libc::MS_BIND, ""))
            .map_err(Trouble::step(Right::Mount, format!("binding /dev/{name}")))?;
    }
    let terminals = "newinstance,ptmxmode=0666,mode=620";
    sys::mount("devpts", devices.join("pts"), "devpts", libc::MS_NOSUID | libc::MS_NOEXEC, terminals)
        .map_err(Trouble::step(Right::Mount, "mounting /dev/pts"))?;
    let links = [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    for (name, to) in links {
        symlink(to, devices.join(name)).map_err(Trouble::failed(format!("linking /dev/{name}")))?;
    }
    Ok(())
}

/// Writes a file in place of what has its name: that may be a symbolic link to a file of the machine's /run.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::write(path, text),
    }
}
