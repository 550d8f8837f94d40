//! Decoding with ffmpeg: that of the system, or Debian's, unpacked beside it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian::Debian;
use super::manifest::Shape;
use super::scratch::Scratch;
use super::source::Input;
use super::{progress, tool};
use crate::exit::Failure;

const PROGRAM: &str = "ffmpeg";

/// An ffmpeg that runs.
pub(super) struct Decoder {
    program: PathBuf,
    /// Folders with the libraries of an unpacked ffmpeg; empty for the system's.
    libraries: Option<OsString>,
    version: String,
}

impl Decoder {
    /// The ffmpeg on the path; or the one unpacked earlier in `cache`; or one unpacked now.
    ///
    /// # Errors
    /// When there is none and none can be fetched.
    pub(super) fn find(cache: &Path) -> Result<Self, Failure> {
        if let Ok(decoder) = Self::probe(PathBuf::from(PROGRAM), None) {
            return Ok(decoder);
        }
        let root = cache.join(PROGRAM);
        if let Ok(decoder) = Self::unpacked(&root) {
            return Ok(decoder);
        }
        Self::fetch(cache, &root).map_err(|failure| {
            Failure::failed(format!(
                "`ffmpeg` is missing and could not be fetched; install the package ffmpeg.\n{failure}"
            ))
        })
    }

    fn fetch(cache: &Path, root: &Path) -> Result<Self, Failure> {
        progress("ffmpeg is not installed; unpacking Debian's without installing it (once)");
        let debian = Debian::new(cache)?;
        let mut packages = debian.missing_for(PROGRAM)?;
        if packages.is_empty() {
            // Installed as far as dpkg knows, though not on the path.
            packages.push(PROGRAM.to_owned());
        }
        progress(&format!("fetching {} packages", packages.len()));
        let files = debian.download(&packages)?;
        let fresh = Scratch::new(cache, "unpack")?;
        debian.unpack(&files, fresh.path())?;
        Self::unpacked(fresh.path())?;
        // Somebody else may have been quicker; theirs is as good.
        match fresh.rename_to(root) {
            Ok(()) => {}
            Err(_) if root.is_dir() => {}
            Err(error) => return Err(tool::io_failure("create", root)(error)),
        }
        Self::unpacked(root)
    }

    fn unpacked(root: &Path) -> Result<Self, Failure> {
        let folders = library_folders(root);
        let libraries = std::env::join_paths(&folders).map_err(|error| {
            Failure::failed(format!("the folder {} cannot be used: {error}", root.display()))
        })?;
        Self::probe(root.join("usr/bin").join(PROGRAM), Some(libraries))
    }

    fn probe(program: PathBuf, libraries: Option<OsString>) -> Result<Self, Failure> {
        let mut decoder = Self { program, libraries, version: String::new() };
        let text = tool::run(decoder.command().arg("-version"), "ffmpeg")?;
        let words: Vec<&str> = text.split_ascii_whitespace().take(3).collect();
        decoder.version = words.join(" ");
        Ok(decoder)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// Its name and version.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Decodes, scales and encodes all frames into `frames`, as 000000.jpg, 000001.jpg, ...
    ///
    /// # Errors
    /// When ffmpeg cannot make sense of the input, or the disk is full.
    pub(super) fn decode(&self, input: &Input, shape: Shape, frames: &Path) -> Result<(), Failure> {
        fs::create_dir_all(frames).map_err(tool::io_failure("create", frames))?;
        let links = frames.with_file_name("links");
        let mut command = self.command();
        command.args(["-v", "error", "-nostdin", "-xerror"]);
        match input {
            Input::Video(file) => {
                let file = std::path::absolute(file).map_err(tool::io_failure("find", file))?;
                command.arg("-i").arg(file);
            }
            Input::Images(files) => {
                fs::create_dir_all(&links).map_err(tool::io_failure("create", &links))?;
                for (index, file) in files.iter().enumerate() {
                    let link = links.join(format!("{index:06}.jpg"));
                    symlink(file, &link).map_err(tool::io_failure("create", &link))?;
                }
                command.args(["-f", "image2", "-i"]).arg(links.join("%06d.jpg"));
            }
        }
        // Every frame of the source once, whatever its time stamps, since the truth goes by position. (The
        // options for that differ between versions of ffmpeg; even time stamps serve with all of them.)
        command.args(["-an", "-sn", "-vf"]);
        command.arg(format!("scale={}:-2:flags=area,setpts=N/(10*TB)", shape.width)).args(["-r", "10"]);
        command.args(["-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", &shape.quality.to_string()]);
        command.args(["-f", "image2", "-start_number", "0"]).arg(frames.join("%06d.jpg"));
        tool::run(&mut command, "ffmpeg")?;
        match input {
            Input::Video(_) => Ok(()),
            Input::Images(_) => fs::remove_dir_all(&links).map_err(tool::io_failure("remove", &links)),
        }
    }
}

/// Folders below `root` that hold shared libraries.
fn library_folders(root: &Path) -> Vec<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut open = vec![root.join("usr/lib"), root.join("lib")];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                open.push(entry.path());
            } else if entry.file_name().to_string_lossy().contains(".so") {
                folders.insert(folder.clone());
            }
        }
    }
    folders.into_iter().collect()
}
