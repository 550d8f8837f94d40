//! One package in the cache: `<name>` when it is whole, `.<name>.work` while it is being brought, `.<name>.lock` the
//! file that whoever works on it keeps locked.

use super::FetchError;
use super::maven::Maven;
use super::pom;
use super::show::Show;
use crate::software::LOCK_FILE;
use crate::software::lock::{Lock, Pinned};
use fogline_journal::digest_files;
use fogline_workflow::Cancel;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it is tried to take a lock that another fetch holds.
const LOOK: Duration = Duration::from_millis(200);

/// How a package came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// It was, and is right.
    Before,
    /// It was fetched, in part at least.
    Now,
}

/// The place of a package in the cache.
#[derive(Debug)]
pub(crate) struct Set<'a> {
    lock: &'a Lock,
    cache: PathBuf,
}

impl<'a> Set<'a> {
    /// The package of `lock` in `cache`.
    pub(crate) fn new(lock: &'a Lock, cache: &Path) -> Self {
        Self { lock, cache: cache.to_owned() }
    }

    /// Where the whole package is.
    pub(crate) fn folder(&self) -> PathBuf {
        self.cache.join(&self.lock.name)
    }

    fn beside(&self, kind: &str) -> PathBuf {
        self.cache.join(format!(".{}.{kind}", self.lock.name))
    }

    /// Makes the package whole. A second fetch of the same package waits for the first.
    ///
    /// # Errors
    /// What [`Maven::build`] says; files that are not the pinned ones; a cache that cannot be written.
    pub(crate) fn bring(&self, maven: &Maven, cancel: &Cancel, show: &Show) -> Result<Brought, FetchError> {
        fs::create_dir_all(&self.cache).map_err(FetchError::io("make", &self.cache))?;
        let _alone = self.alone(cancel, show)?;
        if self.whole()? {
            return Ok(Brought::Before);
        }
        let work = self.beside("work");
        let (set, files) = (work.join("set"), work.join("set").join(&self.lock.folder));
        fs::create_dir_all(&files).map_err(FetchError::io("make", &files))?;
        self.salvage(&set)?;
        let missing = self.unlike(&set)?;
        if !missing.is_empty() {
            let project = pom::copies(&missing, &format!("set/{}", self.lock.folder));
            let mut look = || show.come(count(&files));
            maven.build(&work, &project, &self.lock.requires, &mut look)?;
            self.verify(&missing, &set)?;
        }
        self.place(&set, &work)?;
        Ok(Brought::Now)
    }

    /// Takes the package's lock; the kernel lets go of it when this process ends, however it ends.
    fn alone(&self, cancel: &Cancel, show: &Show) -> Result<File, FetchError> {
        let path = self.beside("lock");
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(FetchError::io("open", &path))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(FetchError::io("lock", &path)(error)),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        show.say("another fetch of it is at work; waiting until it is done");
                        told = true;
                    }
                    cancel.wait(LOOK).map_err(|_| FetchError::Interrupted)?;
                }
            }
        }
    }

    /// Whether the package is there as pinned, every byte of it.
    fn whole(&self) -> Result<bool, FetchError> {
        let folder = self.folder();
        let written = fs::read_to_string(folder.join(LOCK_FILE));
        Ok(written.is_ok_and(|text| text == self.lock.text) && self.unlike(&folder)?.is_empty())
    }

    /// The files that are missing in a package's folder, or not the pinned ones.
    fn unlike(&self, folder: &Path) -> Result<Vec<&'a Pinned>, FetchError> {
        let mut unlike = Vec::new();
        for file in &self.lock.files {
            if self.like(file, folder)?.is_err() {
                unlike.push(file);
            }
        }
        Ok(unlike)
    }

    /// Whether a file is the pinned one; if not, what it is.
    fn like(&self, file: &Pinned, folder: &Path) -> Result<Result<(), Unlike>, FetchError> {
        let name = self.lock.path_of(file);
        if !folder.join(&name).exists() {
            return Ok(Err(Unlike::Absent));
        }
        let digests = digest_files(folder, &[&name]);
        let digests = digests.map_err(|error| FetchError::io("read", folder)(io::Error::other(error)))?;
        Ok(match digests.into_iter().next() {
            Some(found) if found.bytes == file.bytes && found.sha256 == file.sha256 => Ok(()),
            Some(found) => Err(Unlike::Other { bytes: found.bytes, sha256: found.sha256 }),
            None => Err(Unlike::Absent),
        })
    }

    /// Keeps what is right of an interrupted fetch and of an earlier or damaged package, and nothing else.
    fn salvage(&self, set: &Path) -> Result<(), FetchError> {
        let before = self.folder();
        for file in &self.lock.files {
            let path = set.join(self.lock.path_of(file));
            match self.like(file, set)? {
                Ok(()) => continue,
                Err(Unlike::Absent) => {}
                Err(Unlike::Other { .. }) => {
                    fs::remove_file(&path).map_err(FetchError::io("remove", &path))?
                }
            }
            if before.is_dir() && self.like(file, &before)?.is_ok() {
                let old = before.join(self.lock.path_of(file));
                fs::hard_link(&old, &path).map_err(FetchError::io("keep", &old))?;
            }
        }
        let files = set.join(&self.lock.folder);
        let known: Vec<String> = self.lock.files.iter().map(|file| file.coordinates.file_name()).collect();
        for entry in fs::read_dir(&files).map_err(FetchError::io("read", &files))?.filter_map(Result::ok) {
            if !known.iter().any(|name| entry.file_name() == name.as_str()) {
                fs::remove_file(entry.path()).map_err(FetchError::io("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Looks at what Maven has brought; what is not as pinned is removed.
    fn verify(&self, brought: &[&Pinned], set: &Path) -> Result<(), FetchError> {
        let mut wrong = Vec::new();
        for file in brought {
            let path = set.join(self.lock.path_of(file));
            let Err(unlike) = self.like(file, set)? else { continue };
            let found = match unlike {
                Unlike::Absent => "did not come".to_owned(),
                Unlike::Other { bytes, sha256 } => {
                    fs::remove_file(&path).map_err(FetchError::io("remove", &path))?;
                    format!("came as {sha256} ({bytes} bytes) and was removed")
                }
            };
            let Pinned { coordinates, sha256, bytes } = file;
            wrong.push(format!("{coordinates}: SHA-256 is pinned as {sha256} ({bytes} bytes), {found}"));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let title = format!("{} of {} files are not the pinned ones", wrong.len(), self.lock.files.len());
        let hint = "Maven takes files from its local repository (usually ~/.m2/repository) where it has them: if one \
                    is damaged there, delete it and fetch again. Else a mirror serves other files.";
        Err(FetchError::Wrong(format!("{title}\n  {}\n  hint: {hint}", wrong.join("\n  "))))
    }

    /// Puts the complete folder in its place at once.
    fn place(&self, set: &Path, work: &Path) -> Result<(), FetchError> {
        let path = set.join(LOCK_FILE);
        fs::write(&path, &self.lock.text).map_err(FetchError::io("write", &path))?;
        let (folder, old) = (self.folder(), self.beside("old"));
        // Left by a fetch that was killed between these steps.
        remove(&old)?;
        if folder.exists() {
            fs::rename(&folder, &old).map_err(FetchError::io("replace", &folder))?;
        }
        fs::rename(set, &folder).map_err(FetchError::io("make", &folder))?;
        remove(&old)?;
        remove(work)
    }
}

/// What is in place of a pinned file.
#[derive(Debug)]
enum Unlike {
    Absent,
    Other { bytes: u64, sha256: String },
}

/// Files in a folder and their bytes.
fn count(folder: &Path) -> (usize, u64) {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let sizes = entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len());
    sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size))
}

fn remove(folder: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FetchError::io("remove", folder)(error)),
        _ => Ok(()),
    }
}
