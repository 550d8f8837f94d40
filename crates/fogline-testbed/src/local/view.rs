//! What a host sees of the machine's files: copy-on-write views of the machine's directories, computed once per lab.
//!
//! An overlay cannot show what is mounted below its lower directory, and without root the kernel refuses a lower
//! directory that has such mounts. So a directory with mounts below becomes an ordinary one, and its entries are
//! viewed one by one.

use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Overlays per host; what would need more is hidden. A machine usually needs a dozen; one that has mounts below
/// `/var/lib`, as for containers, needs one for each neighbour of theirs.
const OVERLAYS_MAX: usize = 256;
/// Parts per host, for directories that have mounts far below.
const PARTS_MAX: usize = 4096;
/// How deep mounts are looked for.
const DEPTH_MAX: usize = 6;
/// Files next to mounts are copied up to this size, and bound read-only above.
const COPY_BYTES_MAX: u64 = 1 << 20;

/// Entries of the root that every host has for itself, or that are of no use to it: snaps run in a confinement that
/// they set up on the machine.
const OWN: [&str; 9] = ["proc", "sys", "dev", "tmp", "run", "root", "home", "lost+found", "snap"];
/// File systems whose files a host may see. Others belong to the kernel, to a desktop session, or to a far machine
/// that may not answer.
const SEEN: [&str; 13] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "overlay", "tmpfs", "squashfs", "erofs",
    "bcachefs", "virtiofs",
];

/// How one path is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// A directory of the host's own, with the machine's permissions.
    Directory(u32),
    /// A copy-on-write view of the machine's directory, with its permissions.
    Overlay(u32),
    /// The same symbolic link.
    Link,
    /// A copy of the file.
    Copy,
    /// The machine's file, read-only.
    Bind,
}

/// One path and how it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Path on the machine.
    pub(crate) path: PathBuf,
    pub(crate) sight: Sight,
}

/// All that a host sees, parents before children.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) parts: Vec<Part>,
    /// What it does not see, with the reason.
    pub(crate) hidden: Vec<String>,
    overlays: usize,
}

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MountPoint {
    pub(crate) path: PathBuf,
    pub(crate) kind: String,
}

impl View {
    /// The view of this machine. With `locked` mounts (those of a user namespace) every mount point counts, else only
    /// those that hold files a host may see.
    pub(crate) fn of_machine(locked: bool) -> io::Result<Self> {
        let mounts = mount_points(&fs::read_to_string("/proc/self/mountinfo")?);
        let mut view = Self::default();
        view.add_entries(Path::new("/"), 0, &mounts, locked)?;
        Ok(view)
    }

    fn add_entries(
        &mut self,
        directory: &Path,
        depth: usize,
        mounts: &[MountPoint],
        locked: bool,
    ) -> io::Result<()> {
        let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if depth == 0 && OWN.iter().any(|own| OsStr::new(own) == entry.file_name()) {
                continue;
            }
            if let Err(reason) = self.add(&path, entry.file_type()?, depth, mounts, locked) {
                self.hidden.push(format!("{}: {reason}", path.display()));
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: &Path,
        kind: FileType,
        depth: usize,
        mounts: &[MountPoint],
        locked: bool,
    ) -> Result<(), String> {
        if self.parts.len() >= PARTS_MAX {
            return Err(format!("a host sees at most {PARTS_MAX} paths"));
        }
        if kind.is_symlink() {
            self.push(path, Sight::Link);
        } else if kind.is_file() {
            let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
            fs::File::open(path).map_err(|error| error.to_string())?;
            self.push(path, if length <= COPY_BYTES_MAX { Sight::Copy } else { Sight::Bind });
        } else if kind.is_dir() {
            self.add_directory(path, depth, mounts, locked)?;
        } else if kind.is_socket() || kind.is_fifo() {
            return Err("a socket or pipe of the machine".to_owned());
        }
        Ok(())
    }

    fn add_directory(
        &mut self,
        path: &Path,
        depth: usize,
        mounts: &[MountPoint],
        locked: bool,
    ) -> Result<(), String> {
        // The last mount on a path is the one that is seen.
        if let Some(mount) = mounts.iter().rev().find(|mount| mount.path == path)
            && !seen(&mount.kind)
        {
            return Err(format!("a file system of type {}", mount.kind));
        }
        let mode = fs::metadata(path).map_err(|error| error.to_string())?.permissions().mode() & 0o7777;
        let below = |mount: &&MountPoint| mount.path != path && mount.path.starts_with(path);
        if !mounts.iter().filter(below).any(|mount| locked || seen(&mount.kind)) {
            fs::read_dir(path).map_err(|error| error.to_string())?;
            if path.as_os_str().as_bytes().iter().any(|byte| b":,\\".contains(byte)) {
                return Err("its name has one of : , \\".to_owned());
            }
            if self.overlays == OVERLAYS_MAX {
                return Err(format!("a host sees at most {OVERLAYS_MAX} directories"));
            }
            self.overlays += 1;
            self.push(path, Sight::Overlay(mode));
            return Ok(());
        }
        if depth == DEPTH_MAX {
            return Err(format!("mounts below it, more than {DEPTH_MAX} levels down"));
        }
        self.push(path, Sight::Directory(mode));
        self.add_entries(path, depth + 1, mounts, locked).map_err(|error| error.to_string())
    }

    fn push(&mut self, path: &Path, sight: Sight) {
        self.parts.push(Part { path: path.to_path_buf(), sight });
    }
}

fn seen(kind: &str) -> bool {
    SEEN.contains(&kind)
}

/// Reads mountinfo, see proc_pid_mountinfo(5): the fifth field is the path, the first after ` - ` the type.
pub(crate) fn mount_points(text: &str) -> Vec<MountPoint> {
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let path = unescape(left.split(' ').nth(4)?);
            Some(MountPoint { path, kind: right.split(' ').next()?.to_owned() })
        })
        .collect()
}

/// Undoes the kernel's `\ooo` for space, tab, newline and backslash.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal =
            tail.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_read_with_its_escapes() {
        let text = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            27 1 254:0 / /a\\040b\\134 rw shared:1 master:2 - ext4 /dev/vda rw\nbroken\n";
        let expected = [("/proc", "proc"), ("/a b\\", "ext4")]
            .map(|(path, kind)| MountPoint { path: path.into(), kind: kind.to_owned() });
        assert_eq!(mount_points(text), expected);
    }

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for path in ["srv/data/disk", "srv/other", "usr"] {
            fs::create_dir_all(tree.path().join(path)).unwrap();
        }
        fs::write(tree.path().join("srv/note"), "x").unwrap();
        std::os::unix::fs::symlink("usr", tree.path().join("lib")).unwrap();
        tree
    }

    fn view(tree: &Path, mounts: &[(&str, &str)], locked: bool) -> (Vec<(String, Sight)>, Vec<String>) {
        let mounts: Vec<_> = mounts
            .iter()
            .map(|(path, kind)| MountPoint { path: tree.join(path), kind: (*kind).to_owned() })
            .collect();
        let mut view = View::default();
        view.add_entries(tree, 1, &mounts, locked).unwrap();
        let name = |path: &Path| path.strip_prefix(tree).unwrap().display().to_string();
        (view.parts.iter().map(|part| (name(&part.path), part.sight)).collect(), view.hidden)
    }

    #[test]
    fn directories_without_mounts_are_one_overlay() {
        let tree = tree();
        let (parts, hidden) = view(tree.path(), &[], true);
        let sights: Vec<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(sights, ["lib", "srv", "usr"]);
        assert_eq!(parts[0].1, Sight::Link);
        assert!(matches!(parts[1].1, Sight::Overlay(0o755)) && hidden.is_empty());
    }

    #[test]
    fn directories_with_mounts_are_taken_apart() {
        let tree = tree();
        let (parts, hidden) = view(tree.path(), &[("srv/data/disk", "ext4")], false);
        let names: Vec<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["lib", "srv", "srv/data", "srv/data/disk", "srv/note", "srv/other", "usr"]);
        assert!(matches!(parts[1].1, Sight::Directory(_)) && matches!(parts[3].1, Sight::Overlay(_)));
        assert_eq!(parts[4].1, Sight::Copy);
        assert!(hidden.is_empty());
    }

    #[test]
    fn file_systems_of_the_kernel_are_hidden_and_count_only_when_locked() {
        let tree = tree();
        let mounts = [("srv/data/disk", "fuse.sshfs")];
        let (parts, _) = view(tree.path(), &mounts, false);
        assert!(parts.iter().any(|(name, sight)| name == "srv" && matches!(sight, Sight::Overlay(_))));
        let (parts, hidden) = view(tree.path(), &mounts, true);
        assert!(parts.iter().all(|(name, _)| name != "srv/data/disk"));
        assert!(hidden[0].ends_with("srv/data/disk: a file system of type fuse.sshfs"), "{hidden:?}");
    }
}
