//! What hosts share with the machine, read-only: directories of programs, folders of software.

use super::control::Order;
use super::mounts::STORE;
use super::rights::{Right, Trouble};
use crate::sys;
use std::fs::{self, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Opened by descriptor, since the store may cover their paths.
pub(super) struct Sources {
    programs: Vec<OwnedFd>,
    software: Vec<(String, OwnedFd)>,
}

/// Mounted in the store, from where hosts take it.
#[derive(Debug)]
pub(super) struct Shared {
    programs: usize,
    /// Names of packages, by their index in [`Order::software`].
    software: Vec<String>,
}

impl Sources {
    /// Opens all that the order names.
    pub(super) fn open(order: &Order) -> Result<Self, Trouble> {
        let programs = order.program_directories.iter();
        let software = order.software.iter();
        Ok(Self {
            programs: programs.map(|path| open("program directory", path)).collect::<Result<_, _>>()?,
            software: software
                .map(|package| Ok((package.name.clone(), open("software", &package.folder)?)))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Shared {
    /// Mounts the sources in the store.
    pub(super) fn mount(sources: &Sources) -> Result<Self, Trouble> {
        for (index, source) in sources.programs.iter().enumerate() {
            expose(source, &program_directory(index))
                .map_err(Trouble::step(Right::Mount, format!("binding program directory {index}")))?;
        }
        for (index, (name, source)) in sources.software.iter().enumerate() {
            expose(source, &software_folder(index))
                .map_err(Trouble::step(Right::Mount, format!("binding software {name}")))?;
        }
        let software = sources.software.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { programs: sources.programs.len(), software })
    }

    /// Shows a host all programs, and the packages at these indices.
    pub(super) fn show(&self, root: &Path, software: &[usize]) -> Result<(), Trouble> {
        for index in 0..self.programs {
            bind(&program_directory(index), &root.join(format!("opt/fogline/bin-{index}")))
                .map_err(Trouble::step(Right::Mount, format!("binding program directory {index}")))?;
        }
        for index in software {
            let Some(name) = self.software.get(*index) else { continue };
            bind(&software_folder(*index), &root.join("opt/fogline/software").join(name))
                .map_err(Trouble::step(Right::Mount, format!("binding software {name}")))?;
        }
        Ok(())
    }
}

fn open(what: &str, path: &Path) -> Result<OwnedFd, Trouble> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(path)
        .map(OwnedFd::from)
        .map_err(Trouble::failed(format!("{what} {}", path.display())))
}

fn expose(source: &OwnedFd, target: &Path) -> std::io::Result<()> {
    let source = format!("/proc/self/fd/{}", source.as_raw_fd());
    bind(Path::new(&source), target)?;
    sys::make_read_only(target)
}

fn bind(source: &Path, target: &Path) -> std::io::Result<()> {
    fs::create_dir_all(target)?;
    sys::mount(source, target, "", libc::MS_BIND | libc::MS_REC, "")
}

fn program_directory(index: usize) -> PathBuf {
    Path::new(STORE).join("programs").join(index.to_string())
}

fn software_folder(index: usize) -> PathBuf {
    Path::new(STORE).join("software").join(index.to_string())
}
