//! Lock files (`services/software/<name>.lock`): what a package of software is, file by file.
//!
//! ```text
//! # a comment
//! summary: Apache Kafka: broker and console tools
//! version: 3.9.1
//! licence: Apache-2.0
//! folder: libs                                    # where its files lie within the package
//! requires: java 17 openjdk-17-jre-headless       # program, least version (may be left out), Debian package
//! root: org.apache.kafka:kafka_2.13:3.9.1         # what the files were resolved from
//! exclude: org.apache.kafka:connect-runtime       # and without what
//!
//! org.apache.kafka:kafka-clients:3.9.1  <sha256>  <bytes>
//! ```
//!
//! A package without files either is built here (`made-by: COMMAND`, `contains: PATH`) or comes with the system.

use super::require::Requirement;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// What is wrong with a lock file: `services/software/kafka.lock:12: ...`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub(crate) struct LockError {
    file: String,
    line: usize,
    message: String,
}

/// One package of software.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    /// The package's name, as services ask for it: the file's stem.
    pub(crate) name: String,
    /// One line for listings.
    pub(crate) summary: String,
    /// Version of the whole.
    pub(crate) version: String,
    /// Licences, in words.
    pub(crate) licence: String,
    /// Folder of the files within the package.
    pub(crate) folder: String,
    /// Programs that the package needs on its hosts.
    pub(crate) requires: Vec<Requirement>,
    /// What the files are resolved from, when they are pinned anew.
    pub(crate) roots: Vec<Coordinates>,
    /// `group:artifact`s that are left out then.
    pub(crate) excludes: Vec<(String, String)>,
    /// The command that builds a package that is not fetched.
    pub(crate) made_by: Option<String>,
    /// Files that such a package has, below its folder.
    pub(crate) contains: Vec<String>,
    /// The files to fetch.
    pub(crate) files: Vec<Pinned>,
    /// The file as read.
    pub(crate) text: String,
}

/// A file's place in a Maven repository: `group:artifact:version[:extension[:classifier]]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Coordinates {
    pub(crate) group: String,
    pub(crate) artifact: String,
    pub(crate) version: String,
    /// `jar` when it is not written.
    pub(crate) extension: String,
    pub(crate) classifier: Option<String>,
}

/// A file that can be only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) coordinates: Coordinates,
    /// SHA-256, in lower-case hexadecimal.
    pub(crate) sha256: String,
    /// Size in bytes.
    pub(crate) bytes: u64,
}

impl Lock {
    /// Reads a lock file; `file` is what messages call it.
    ///
    /// # Errors
    /// The first line that cannot be understood, or what the whole lacks.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, LockError> {
        let error = |line, message| LockError { file: file.to_owned(), line, message };
        let name = Path::new(file).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into());
        if !plain(&name) {
            return Err(error(
                1,
                format!("`{name}` cannot be the name of a package: use a-z, 0-9, `.`, `_`, `-`"),
            ));
        }
        let mut lock = Self { name, text: text.to_owned(), ..Self::default() };
        let mut names = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            lock.line(line).map_err(|message| error(number + 1, message))?;
            if let Some(pinned) = lock.files.last()
                && line.starts_with(&pinned.coordinates.group)
                && !names.insert(pinned.coordinates.file_name())
            {
                let message = format!("`{}` is there twice", pinned.coordinates.file_name());
                return Err(error(number + 1, message));
            }
        }
        let keys = [("summary", &lock.summary), ("version", &lock.version), ("licence", &lock.licence)];
        if let Some((key, _)) = keys.iter().find(|(_, value)| value.is_empty()) {
            return Err(error(1, format!("it has no line `{key}: ...`")));
        }
        if lock.folder.is_empty() && !(lock.files.is_empty() && lock.roots.is_empty()) {
            return Err(error(1, "it has no line `folder: ...`, for example `folder: libs`".to_owned()));
        }
        Ok(lock)
    }

    /// One line that says something.
    fn line(&mut self, line: &str) -> Result<(), String> {
        let Some((key, value)) = line.split_once(": ").filter(|(key, _)| !key.contains([' ', ':'])) else {
            self.files.push(line.parse()?);
            return Ok(());
        };
        let value = value.trim().to_owned();
        match key {
            "summary" => self.summary = value,
            "version" => self.version = value,
            "licence" => self.licence = value,
            "folder" if plain(&value) => self.folder = value,
            "folder" => return Err(format!("`{value}` is not the name of a folder, such as `libs`")),
            "requires" => self.requires.push(value.parse()?),
            "root" => self.roots.push(value.parse()?),
            "exclude" => {
                match value.split_once(':').filter(|(group, artifact)| plain(group) && plain(artifact)) {
                    Some((group, artifact)) => self.excludes.push((group.to_owned(), artifact.to_owned())),
                    None => return Err(format!("`{value}` is not of the form group:artifact")),
                }
            }
            "made-by" => self.made_by = Some(value),
            "contains" if value.split('/').all(plain) => self.contains.push(value),
            "contains" => return Err(format!("`{value}` is not a path within the package")),
            other => {
                return Err(format!(
                    "`{other}` is no key of a lock file: summary, version, licence, folder, requires, root, exclude, \
                     made-by, contains"
                ));
            }
        }
        Ok(())
    }

    /// Size of all files to fetch, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Paths within the package that have to be there, with their sizes where they are pinned.
    pub(crate) fn expected(&self) -> impl Iterator<Item = (String, Option<u64>)> {
        let fetched = self.files.iter().map(|file| (self.path_of(file), Some(file.bytes)));
        fetched.chain(self.contains.iter().map(|path| (path.clone(), None)))
    }

    /// Where a file lies within the package.
    pub(crate) fn path_of(&self, file: &Pinned) -> String {
        format!("{}/{}", self.folder, file.coordinates.file_name())
    }
}

impl Coordinates {
    /// The file's name in a repository: `zookeeper-3.8.4.jar`.
    pub(crate) fn file_name(&self) -> String {
        let Self { artifact, version, extension, classifier, .. } = self;
        match classifier {
            Some(classifier) => format!("{artifact}-{version}-{classifier}.{extension}"),
            None => format!("{artifact}-{version}.{extension}"),
        }
    }

    /// The coordinates of a file that lies at `path` in a repository: the group's parts, artifact, version, name.
    pub(crate) fn of_repository_path(path: &str) -> Option<Self> {
        let mut parts: Vec<&str> = path.split('/').collect();
        let (name, version, artifact) = (parts.pop()?, parts.pop()?, parts.pop()?);
        let rest = name.strip_prefix(artifact)?.strip_prefix('-')?.strip_prefix(version)?;
        let (classifier, extension) = match rest.strip_prefix('-') {
            Some(rest) => {
                rest.split_once('.').map(|(classifier, extension)| (Some(classifier), extension))?
            }
            None => (None, rest.strip_prefix('.')?),
        };
        let classifier = classifier.map_or_else(String::new, |classifier| format!(":{classifier}"));
        format!("{}:{artifact}:{version}:{extension}{classifier}", parts.join(".")).parse().ok()
    }
}

impl std::str::FromStr for Coordinates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        if !(3..=5).contains(&parts.len()) || !parts.iter().copied().all(plain) {
            return Err(format!(
                "`{text}` is not of the form group:artifact:version[:extension[:classifier]]"
            ));
        }
        Ok(Self {
            group: parts[0].to_owned(),
            artifact: parts[1].to_owned(),
            version: parts[2].to_owned(),
            extension: (*parts.get(3).unwrap_or(&"jar")).to_owned(),
            classifier: parts.get(4).map(|&classifier| classifier.to_owned()),
        })
    }
}

impl fmt::Display for Coordinates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.group, self.artifact, self.version)?;
        match &self.classifier {
            Some(classifier) => write!(out, ":{}:{classifier}", self.extension),
            None if self.extension != "jar" => write!(out, ":{}", self.extension),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for Pinned {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [coordinates, sha256, bytes] = words[..] else {
            return Err(format!(
                "`{line}` is neither `key: value` nor `group:artifact:version sha256 bytes`"
            ));
        };
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if sha256.len() != 64 || !sha256.bytes().all(hexadecimal) {
            return Err(format!("`{sha256}` is not a SHA-256: 64 digits 0-9a-f"));
        }
        let bytes = bytes.parse().map_err(|_| format!("`{bytes}` is not a number of bytes"))?;
        Ok(Self { coordinates: coordinates.parse()?, sha256: sha256.to_owned(), bytes })
    }
}

/// Whether a word can stand in a path and in a POM as it is.
pub(crate) fn plain(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !word.is_empty() && !word.starts_with('.') && word.bytes().all(allowed)
}
