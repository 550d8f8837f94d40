//! Packages of Debian and Ubuntu, fetched and unpacked without root.
//!
//! `apt-get download` needs no right, only package lists. Where the system has none (a fresh container) or only
//! old ones, an `apt-get update` of our own fills private ones; the system's sources and keys are used, its
//! state is not touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::scratch::Scratch;
use super::{progress, tool};
use crate::exit::Failure;

/// The files that say where packages come from.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list", "/etc/apt/sources.list.d"];

/// Access to the packages of this system.
pub(super) struct Debian {
    scratch: Scratch,
}

impl Debian {
    /// Makes a scratch folder for downloads in `cache`; it goes away with this value.
    ///
    /// # Errors
    /// When this is no system with apt, or the folder cannot be made.
    pub(super) fn new(cache: &Path) -> Result<Self, Failure> {
        if !SOURCES.iter().any(|path| Path::new(path).exists()) {
            return Err(Failure::failed(
                "this system has no apt sources (/etc/apt/sources.list, .../sources.list.d), so no Debian package \
                 can be fetched; give the frames with --video or --images, and install ffmpeg",
            ));
        }
        Ok(Self { scratch: Scratch::new(cache, "fetch")? })
    }

    fn apt(&self, program: &str, private: bool) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.scratch.path());
        command.args(["-q", "-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root"]);
        command.args(["-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=60"]);
        if private {
            let folder = |name: &str| self.scratch.path().join(name);
            command.arg("-o").arg(format!("Dir::State={}", folder("state").display()));
            command.arg("-o").arg(format!("Dir::Cache={}", folder("cache").display()));
            command.arg("-o").arg(format!("Dir::State::lists={}", folder("state/lists").display()));
            // Translations and the pictures of software centres are of no use here.
            command.args(["-o", "Acquire::Languages=none"]);
            command.args(["-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"]);
        }
        command
    }

    /// Fetches private package lists, once.
    fn update(&self) -> Result<(), Failure> {
        if self.scratch.path().join("state").exists() {
            return Ok(());
        }
        progress("fetching package lists of our own (the system's are missing or old)");
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            let folder = self.scratch.path().join(folder);
            fs::create_dir_all(&folder).map_err(tool::io_failure("create", &folder))?;
        }
        tool::run(self.apt("apt-get", true).arg("update"), "apt").map(drop)
    }

    /// Runs an apt command with the system's lists, and when that fails with fresh private ones.
    fn with_lists(&self, args: &[&str], packages: &[String]) -> Result<String, Failure> {
        if !self.scratch.path().join("state").exists()
            && let Ok(output) = tool::run(self.apt("apt-get", false).args(args).args(packages), "apt")
        {
            return Ok(output);
        }
        self.update()?;
        tool::run(self.apt("apt-get", true).args(args).args(packages), "apt")
    }

    /// Downloads packages and returns their files, which live as long as `self`.
    ///
    /// # Errors
    /// When a package is unknown or cannot be fetched.
    pub(super) fn download(&self, packages: &[String]) -> Result<Vec<PathBuf>, Failure> {
        self.with_lists(&["download"], packages).map_err(|failure| {
            Failure::failed(format!("cannot fetch the package {}: {failure}", packages.join(", ")))
        })?;
        let folder = self.scratch.path();
        let entries = fs::read_dir(folder).map_err(tool::io_failure("read", folder))?;
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|e| e == "deb")).collect();
        if files.len() < packages.len() {
            return Err(Failure::failed(format!(
                "apt-get download brought {} of {} packages",
                files.len(),
                packages.len()
            )));
        }
        Ok(files)
    }

    /// The packages that installing `package` here would install, `package` included.
    ///
    /// # Errors
    /// When the package is unknown.
    pub(super) fn missing_for(&self, package: &str) -> Result<Vec<String>, Failure> {
        let args = ["-s", "install", "--no-install-recommends"];
        let plan = self.with_lists(&args, &[package.to_owned()])?;
        // "Inst NAME [old] (VERSION ...)"; a name of another architecture ends in ":arch".
        let names = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
        Ok(names.map(str::to_owned).collect())
    }

    /// Takes the one file with this name out of a package.
    ///
    /// # Errors
    /// When it is not in there, or a tool is missing.
    pub(super) fn extract_file(&self, package: &Path, name: &str) -> Result<PathBuf, Failure> {
        let mut content = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(package)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::failed(format!("`dpkg-deb` (package dpkg) cannot run: {error}")))?;
        let folder = self.scratch.path().join("content");
        fs::create_dir_all(&folder).map_err(tool::io_failure("create", &folder))?;
        let mut tar = Command::new("tar");
        tar.arg("-x").arg("-C").arg(&folder).args(["--no-same-owner", "--wildcards", "--no-anchored", name]);
        tar.stdin(content.stdout.take().map_or_else(Stdio::null, Stdio::from)).stderr(Stdio::null());
        let unpacked = tar.status();
        let listed = content.wait();
        let failed =
            |what: &str| Failure::failed(format!("cannot take {name} out of {}: {what}", package.display()));
        if !unpacked.map_err(|error| failed(&format!("`tar` (package tar): {error}")))?.success() {
            return Err(failed("it is not in the package"));
        }
        if !listed.map_err(|error| failed(&error.to_string()))?.success() {
            return Err(failed("dpkg-deb could not read the package"));
        }
        find(&folder, name).ok_or_else(|| failed("it is not in the package"))
    }

    /// Unpacks whole packages into a folder.
    ///
    /// # Errors
    /// When a package is broken, or dpkg-deb is missing.
    pub(super) fn unpack(&self, packages: &[PathBuf], folder: &Path) -> Result<(), Failure> {
        fs::create_dir_all(folder).map_err(tool::io_failure("create", folder))?;
        for package in packages {
            tool::run(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder), "dpkg")?;
        }
        Ok(())
    }
}

/// The first file of this name below a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() && entry.file_name() == name {
                return Some(entry.path());
            }
        }
    }
    None
}
