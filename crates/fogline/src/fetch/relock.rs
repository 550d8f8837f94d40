//! Pins a package anew: what its roots depend on, as Maven resolves it today.

use super::maven::Maven;
use super::{FetchError, pom};
use crate::software::lock::{Coordinates, Lock, Pinned};
use fogline_journal::digest_files;
use std::fs;
use std::io;
use std::path::Path;

/// Replaces the file lines of the lock file at `path`; the lines above stay as they are.
///
/// # Errors
/// When the file is wrong or has no roots, when Maven fails, when something cannot be read or written.
pub(crate) fn relock(path: &Path, cache: &Path, maven: &Maven) -> Result<(), FetchError> {
    let text = fs::read_to_string(path).map_err(FetchError::io("read", path))?;
    let lock = Lock::parse(&path.to_string_lossy(), &text)?;
    if lock.roots.is_empty() {
        return Err(FetchError::Refused(format!(
            "{}: it has no line `root: ...` to begin at",
            path.display()
        )));
    }
    let work = cache.join(format!(".{}.relock-{}", lock.name, std::process::id()));
    fs::create_dir_all(&work).map_err(FetchError::io("make", &work))?;
    let resolved = resolve(&lock, &work, maven);
    fs::remove_dir_all(&work).map_err(FetchError::io("remove", &work))?;
    let files = resolved?;
    let header: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).collect();
    let files: Vec<String> = files
        .iter()
        .map(|Pinned { coordinates, sha256, bytes }| format!("{coordinates}  {sha256}  {bytes}\n"))
        .collect();
    let text = format!("{}\n\n{}", header.join("\n"), files.concat());
    fs::write(path, text).map_err(FetchError::io("write", path))?;
    println!("{}: {} files", path.display(), files.len());
    Ok(())
}

fn resolve(lock: &Lock, work: &Path, maven: &Maven) -> Result<Vec<Pinned>, FetchError> {
    maven.build(work, &pom::resolution(lock, "set"), &lock.requires, &mut || 0)?;
    let (set, mut paths) = (work.join("set"), Vec::new());
    walk(&set, "", &mut paths)?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let coordinates = Coordinates::of_repository_path(&path)
            .ok_or_else(|| FetchError::Maven(format!("{path} is not a path in a Maven repository")))?;
        let digest = digest_files(&set, &[&path])
            .map_err(|error| FetchError::io("read", &set)(io::Error::other(error)))?;
        let pinned = digest.into_iter().map(|file| (file.sha256, file.bytes));
        files.extend(pinned.map(|(sha256, bytes)| Pinned {
            coordinates: coordinates.clone(),
            sha256,
            bytes,
        }));
    }
    files.sort_by(|a, b| a.coordinates.cmp(&b.coordinates));
    Ok(files)
}

/// All files below a folder, by their paths.
fn walk(folder: &Path, prefix: &str, paths: &mut Vec<String>) -> Result<(), FetchError> {
    for entry in fs::read_dir(folder).map_err(FetchError::io("read", folder))? {
        let entry = entry.map_err(FetchError::io("read", folder))?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => walk(&entry.path(), &format!("{path}/"), paths)?,
            // Maven's own notes.
            false
                if path.ends_with("/_remote.repositories") || path.ends_with("/maven-metadata-local.xml") => {
            }
            false => paths.push(path),
        }
    }
    Ok(())
}
