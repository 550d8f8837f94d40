//! Programs that a package needs on the machine.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to say its version; a JVM on a busy machine takes seconds.
const VERSION_DEADLINE: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);
/// Most that is read of what it says.
const WORDS_MAX: u64 = 4096;
/// Where hosts find programs of the machine.
const HOST_DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A program, the least version that will do, and who brings it: `java 17 openjdk-17-jre-headless`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Requirement {
    /// The program's name.
    pub(crate) program: String,
    /// The least first number of its version.
    pub(crate) least: Option<u32>,
    /// The Debian package.
    pub(crate) package: String,
}

/// What the machine lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lacking {
    /// There is no such program.
    Absent(Requirement),
    /// It is too old; what it says of itself.
    Old(Requirement, PathBuf, String),
}

/// Where hosts of the local testbed look for programs.
pub(crate) fn host_directories() -> Vec<PathBuf> {
    HOST_DIRECTORIES.map(PathBuf::from).to_vec()
}

/// Where this program would look for others, Java's own home first, as Maven does.
pub(crate) fn own_directories() -> Vec<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let home = home.map(|home| Path::new(&home).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    home.into_iter().chain(std::env::split_paths(&path)).collect()
}

impl Requirement {
    /// What the program says of its version (one line, empty when it says nothing), where only programs in `directories`
    /// count.
    ///
    /// # Errors
    /// When it is not there or too old.
    pub(crate) fn look(&self, directories: &[PathBuf]) -> Result<String, Lacking> {
        let Some(program) = self.find(directories) else { return Err(Lacking::Absent(self.clone())) };
        let said = version_of(&program);
        // A JVM first repeats the options that the environment gives it.
        let mut lines = said.lines().filter(|line| !line.starts_with("Picked up "));
        let line = lines.find(|line| line.contains(|letter: char| letter.is_ascii_digit()));
        let line = line.unwrap_or("").trim().to_owned();
        // A program that does not tell its version is not held back by it.
        match (self.least, first_number(&line)) {
            (Some(least), Some(number)) if number < least => Err(Lacking::Old(self.clone(), program, line)),
            _ => Ok(line),
        }
    }

    /// The program, as it is found first.
    pub(crate) fn find(&self, directories: &[PathBuf]) -> Option<PathBuf> {
        directories.iter().map(|directory| directory.join(&self.program)).find(|path| path.is_file())
    }
}

impl std::str::FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (program, least, package) = match words[..] {
            [program, package] => (program, None, package),
            [program, least, package] => {
                let least =
                    least.parse().map_err(|_| format!("`{least}` is not a version's first number"))?;
                (program, Some(least), package)
            }
            _ => return Err("write `requires: PROGRAM [LEAST VERSION] DEBIAN-PACKAGE`".to_owned()),
        };
        Ok(Self { program: program.to_owned(), least, package: package.to_owned() })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.least {
            Some(least) => write!(out, "`{}` (version {least} or newer)", self.program),
            None => write!(out, "`{}`", self.program),
        }
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let package = match self {
            Self::Absent(requirement) => {
                write!(out, "there is no {requirement} on this machine")?;
                &requirement.package
            }
            Self::Old(requirement, path, said) => {
                write!(out, "{} is too old: {requirement} is needed, it says: {said}", path.display())?;
                &requirement.package
            }
        };
        write!(out, "; install it with: sudo apt-get install {package}")
    }
}

/// What `PROGRAM -version` says, on either output; empty when it cannot be run or does not end.
fn version_of(program: &Path) -> String {
    let child = Command::new(program)
        .arg("-version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else { return String::new() };
    let deadline = Instant::now() + VERSION_DEADLINE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            // It may have ended in this moment, which is as good.
            let _ = child.kill();
            let _ = child.wait();
            return String::new();
        }
        std::thread::park_timeout(LOOK);
    }
    let mut text = String::new();
    let outputs: [Option<Box<dyn Read>>; 2] = [
        child.stderr.take().map(|output| Box::new(output) as Box<dyn Read>),
        child.stdout.take().map(|output| Box::new(output) as Box<dyn Read>),
    ];
    for output in outputs.into_iter().flatten() {
        let mut bytes = Vec::new();
        if output.take(WORDS_MAX).read_to_end(&mut bytes).is_ok() {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    text
}

/// The first number in a text; of Java's `1.8.0` the second, which is what it meant then.
fn first_number(text: &str) -> Option<u32> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let version: Vec<&str> = text[start..].split(|letter: char| !letter.is_ascii_digit()).collect();
    match version[..] {
        ["1", old, ..] if text[start..].starts_with("1.") && !old.is_empty() => old.parse().ok(),
        [first, ..] => first.parse().ok(),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(folder: &Path, words: &str) {
        // Written by another process: a handle of ours might be inherited by a child of another test's, and the kernel
        // starts no program that somebody may be writing.
        let script = format!("#!/bin/sh\necho '{words}' >&2\n");
        let write = "printf %s \"$1\" > engine && chmod 755 engine";
        let written = Command::new("sh").args(["-c", write, "sh", &script]).current_dir(folder).status();
        assert!(written.unwrap().success());
    }

    #[test]
    fn a_program_must_be_there_and_new_enough() {
        let folder = tempfile::tempdir().unwrap();
        let places = [PathBuf::from("/nonexistent"), folder.path().to_owned()];
        let needed: Requirement = "engine 17 engine-package".parse().unwrap();
        let absent = needed.look(&places).unwrap_err().to_string();
        assert!(absent.contains("no `engine` (version 17 or newer)"), "{absent}");
        assert!(absent.contains("apt-get install engine-package"), "{absent}");
        for (words, enough) in [
            ("openjdk version \"17.0.15\" 2025-04-15", true),
            ("openjdk version \"21\" 2023-09-19", true),
            ("java version \"11.0.2\" 2019-01-15 LTS", false),
            ("java version \"1.8.0_202\"", false),
            ("it says nothing", true),
        ] {
            program(folder.path(), words);
            let looked = needed.look(&places);
            assert_eq!(looked.is_ok(), enough, "{words}: {looked:?}");
            if let Err(lacking) = looked {
                assert!(lacking.to_string().contains(words), "{lacking}");
            }
        }
        let any: Requirement = "engine engine-package".parse().unwrap();
        program(folder.path(), "version 1");
        assert_eq!(any.look(&places).unwrap(), "version 1");
    }

    #[test]
    fn requirements_are_two_words_or_three() {
        for wrong in ["java", "java x openjdk", "java 17 open jdk"] {
            assert!(wrong.parse::<Requirement>().is_err(), "{wrong}");
        }
    }
}
