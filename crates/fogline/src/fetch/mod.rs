//! `fogline fetch`: brings pinned software into the cache.

mod list;
mod maven;
mod pom;
mod relock;
mod set;
mod show;

use crate::exit::Exit;
use crate::interrupt;
use crate::software::lock::{Lock, LockError};
use crate::software::require::Lacking;
use crate::software::{Places, known};
use clap::Args;
use maven::Maven;
use set::{Brought, Set};
use show::Show;
use std::io;
use std::path::{Path, PathBuf};

const AFTER: &str = "\
Packages are kept in the cache: $FOGLINE_CACHE, or fogline in $XDG_CACHE_HOME, or ~/.cache/fogline. Every file is \
pinned by size and SHA-256. What is there and right is not fetched again, so an interrupted fetch goes on where it \
stopped, and a finished one needs neither network nor Maven.

The transport is Maven (Debian package maven), with its own settings: mirrors, proxies, and its local repository, \
from which files come that are there already.

Examples:
  fogline fetch all                  Apache Kafka, ZooKeeper and Flink (about 120 MB)
  fogline fetch kafka                for `--engine Kafka=apache`
  fogline fetch --list               what is there, of which version and licence, and where
  fogline fetch my-engine.lock       a package of your own; see docs/engines.md for the format";

/// Options of `fetch`.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct FetchArgs {
    /// Packages: kafka, zookeeper, flink, all of them, or lock files.
    #[arg(value_name = "kafka|zookeeper|flink|all|FILE.lock", required_unless_present = "list")]
    packages: Vec<String>,
    /// Show what is there, and fetch nothing.
    #[arg(long)]
    list: bool,
    /// Maven's settings, in place of ~/.m2/settings.xml.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Resolve the roots of lock files again and write down what came.
    #[arg(long, hide = true, conflicts_with = "list")]
    relock: bool,
}

/// Why a package could not be brought.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// A name or a file that is not understood.
    #[error("{0}")]
    Refused(String),
    /// A lock file is wrong.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The machine lacks a program.
    #[error("{0}")]
    Lacking(Lacking),
    /// Maven did not bring the files.
    #[error("{0}")]
    Maven(String),
    /// Files came that are not the pinned ones.
    #[error("{0}")]
    Wrong(String),
    /// The cache cannot be read or written.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// Somebody asked to stop.
    #[error("interrupted; what has come so far is kept")]
    Interrupted,
}

impl FetchError {
    /// What could not be done with a path.
    pub(crate) fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("cannot {doing} {}", path.display());
        move |error| Self::Io(what, error)
    }

    const fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) | Self::Lock(_) => Exit::Refused,
            Self::Lacking(_) => Exit::Testbed,
            Self::Maven(_) | Self::Wrong(_) => Exit::Task,
            Self::Io(..) => Exit::Internal,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: &FetchArgs) -> Exit {
    let places = Places::of_environment();
    if args.list {
        print!("{}", list::table(&known(), &places));
        return Exit::Success;
    }
    match fetch(args, &places) {
        Ok(()) => Exit::Success,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit()
        }
    }
}

fn fetch(args: &FetchArgs, places: &Places) -> Result<(), FetchError> {
    let cache = places.cache().ok_or_else(|| {
        FetchError::Refused("no place for the cache: set FOGLINE_CACHE to a folder, or HOME".to_owned())
    })?;
    let cancel =
        interrupt::listen().map_err(|error| FetchError::Io("cannot listen for signals".to_owned(), error))?;
    let maven = Maven::new(args.settings.as_deref(), &cancel);
    if args.relock {
        return args.packages.iter().try_for_each(|path| relock::relock(Path::new(path), cache, &maven));
    }
    for lock in chosen(&args.packages)? {
        if lock.files.is_empty() {
            explain(&lock)?;
            continue;
        }
        let set = Set::new(&lock, cache);
        let show = Show::start(&lock);
        let brought = set.bring(&maven, &cancel, &show)?;
        show.finished(
            match brought {
                Brought::Now => "fetched",
                Brought::Before => "is there",
            },
            &set.folder(),
        );
    }
    Ok(())
}

/// The packages that were asked for, each once.
fn chosen(names: &[String]) -> Result<Vec<Lock>, FetchError> {
    let known = known();
    let mut chosen: Vec<Lock> = Vec::new();
    for name in names {
        let path = Path::new(name);
        let more: Vec<Lock> = match known.iter().find(|lock| lock.name == *name) {
            Some(lock) => vec![lock.clone()],
            None if name == "all" => known.iter().filter(|lock| !lock.files.is_empty()).cloned().collect(),
            None if path.extension().is_some_and(|extension| extension == "lock") => vec![read(path)?],
            None => {
                let names: Vec<&str> = known.iter().map(|lock| lock.name.as_str()).collect();
                return Err(FetchError::Refused(format!(
                    "`{name}` is neither a package ({}, all) nor a file NAME.lock",
                    names.join(", ")
                )));
            }
        };
        more.into_iter().for_each(|lock| {
            if !chosen.iter().any(|before| before.name == lock.name) {
                chosen.push(lock);
            }
        });
    }
    Ok(chosen)
}

fn read(path: &Path) -> Result<Lock, FetchError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| FetchError::Refused(format!("cannot read {}: {error}", path.display())))?;
    let lock = Lock::parse(&path.to_string_lossy(), &text)?;
    // What comes with the program is what hosts are checked against.
    match known().iter().any(|known| known.name == lock.name && known.text != lock.text) {
        true => Err(FetchError::Refused(format!(
            "{}: `{}` is a package of Fogline's own: name it otherwise",
            path.display(),
            lock.name
        ))),
        false => Ok(lock),
    }
}

/// Says where a package comes from that is not fetched.
fn explain(lock: &Lock) -> Result<(), FetchError> {
    let name = &lock.name;
    match (&lock.made_by, lock.requires.first()) {
        (Some(command), _) => {
            Err(FetchError::Refused(format!("`{name}` is not fetched but built: run {command}")))
        }
        (None, Some(requirement)) => {
            println!("{name}: comes with the system: sudo apt-get install {}", requirement.package);
            Ok(())
        }
        (None, None) => {
            Err(FetchError::Refused(format!("`{name}` pins no files: run fogline fetch --relock first")))
        }
    }
}
