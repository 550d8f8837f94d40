//! The topics: created, found, grown, deleted, and remembered over restarts.

pub(crate) mod partition;
pub(crate) mod settings;
mod store;

pub(crate) use store::replace;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use uuid::Uuid;

use crate::config::Config;
use crate::log::Policy;
use crate::sys;
use crate::topics::partition::Partition;
use crate::topics::settings::TopicSettings;

/// Longest topic name, as in Kafka.
const NAME_LEN_MAX: usize = 249;

/// One topic. Growing it makes a new value that shares the old partitions.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) settings: TopicSettings,
    pub(crate) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// What its partitions may keep, when all topics together have `partitions_total`.
    pub(crate) fn policy(&self, config: &Config, partitions_total: usize) -> Policy {
        let share = config.retention_bytes_total / partitions_total.max(1) as u64;
        Policy {
            retention_bytes: self.settings.retention_bytes(config).min(share),
            retention_ms: self.settings.retention_ms(config),
            segment_bytes: self.settings.segment_bytes(config),
        }
    }
}

/// Why topics were not changed.
#[derive(Debug)]
pub(crate) enum TopicError {
    Exists,
    Unknown,
    InvalidName(String),
    InvalidPartitions(String),
    InvalidSettings(String),
    TooMany(String),
    Storage(io::Error),
}

/// All topics of the server.
#[derive(Debug)]
pub(crate) struct Topics {
    config: Arc<Config>,
    all: RwLock<BTreeMap<String, Arc<Topic>>>,
}

/// Whether `name` is a topic name in Kafka's sense; the error says what is wrong.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(format!("a topic name has 1 to {NAME_LEN_MAX} characters, this one has {}", name.len()));
    }
    if name == "." || name == ".." || !name.bytes().all(legal) {
        return Err("a topic name consists of letters, digits, '.', '_' and '-'".to_owned());
    }
    Ok(())
}

impl Topics {
    /// Opens the topics kept in the configuration's folder, and repairs their logs.
    pub(crate) fn open(config: &Arc<Config>) -> io::Result<Self> {
        let mut all = BTreeMap::new();
        remove_deleted(&config.data_dir)?;
        for known in store::load(&config.data_dir)? {
            let partitions = open_partitions(config, &known.name, 0..known.partitions)?;
            let topic =
                Topic { name: known.name.clone(), id: known.id, settings: known.settings, partitions };
            all.insert(known.name, Arc::new(topic));
        }
        Ok(Self { config: Arc::clone(config), all: RwLock::new(all) })
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Topic>>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Topic>>> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Topic>> {
        self.read().get(name).cloned()
    }

    pub(crate) fn find_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.read().values().find(|topic| topic.id == id).cloned()
    }

    pub(crate) fn list(&self) -> Vec<Arc<Topic>> {
        self.read().values().cloned().collect()
    }

    pub(crate) fn partitions_total(&self) -> usize {
        self.read().values().map(|topic| topic.partitions.len()).sum()
    }

    /// Creates a topic with `count` partitions.
    pub(crate) fn create(
        &self,
        name: &str,
        count: i32,
        settings: TopicSettings,
    ) -> Result<Arc<Topic>, TopicError> {
        let count = self.check_new(name, count, &settings)?;
        let mut all = self.write();
        if all.contains_key(name) {
            return Err(TopicError::Exists);
        }
        self.check_room(&all, count)?;
        for index in 0..count {
            discard(&partition_dir(&self.config.data_dir, name, index)).map_err(TopicError::Storage)?;
        }
        let partitions = open_partitions(&self.config, name, 0..count).map_err(TopicError::Storage)?;
        let id = Uuid::from_bytes(sys::random_16().map_err(TopicError::Storage)?);
        let topic = Arc::new(Topic { name: name.to_owned(), id, settings, partitions });
        all.insert(name.to_owned(), Arc::clone(&topic));
        if let Err(error) = self.save(&all) {
            all.remove(name);
            return Err(TopicError::Storage(error));
        }
        Ok(topic)
    }

    /// Checks what `create` would refuse; returns the number of partitions.
    pub(crate) fn check_new(
        &self,
        name: &str,
        count: i32,
        settings: &TopicSettings,
    ) -> Result<usize, TopicError> {
        check_name(name).map_err(TopicError::InvalidName)?;
        if let Some(fault) = settings.fault(&self.config) {
            return Err(TopicError::InvalidSettings(fault));
        }
        let count = if count == -1 { self.config.partitions_default } else { count };
        match usize::try_from(count) {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(TopicError::InvalidPartitions(format!("{count} partitions; give at least 1"))),
        }
    }

    fn check_room(&self, all: &BTreeMap<String, Arc<Topic>>, more: usize) -> Result<(), TopicError> {
        let have: usize = all.values().map(|topic| topic.partitions.len()).sum();
        let most = self.config.limits.partitions_max;
        if more > most.saturating_sub(have) {
            let why = format!("{have} partitions exist and {more} more exceed the limit of {most}");
            return Err(TopicError::TooMany(why));
        }
        let each = self.config.retention_bytes_total / (have + more).max(1) as u64;
        if each < (self.config.message_bytes_max as u64).saturating_mul(4) {
            let why =
                format!("{} partitions would keep {each} bytes each, less than four messages", have + more);
            return Err(TopicError::TooMany(why));
        }
        Ok(())
    }

    /// Grows a topic to `count` partitions.
    pub(crate) fn grow(&self, name: &str, count: i32, dry_run: bool) -> Result<(), TopicError> {
        let mut all = self.write();
        let old = all.get(name).cloned().ok_or(TopicError::Unknown)?;
        let have = old.partitions.len();
        let wanted = usize::try_from(count).unwrap_or(0);
        if wanted <= have {
            let why = format!("the topic has {have} partitions; a topic can only grow");
            return Err(TopicError::InvalidPartitions(why));
        }
        self.check_room(&all, wanted - have)?;
        if dry_run {
            return Ok(());
        }
        let more = open_partitions(&self.config, name, have..wanted).map_err(TopicError::Storage)?;
        let mut grown = Topic::clone(&old);
        grown.partitions.extend(more);
        all.insert(name.to_owned(), Arc::new(grown));
        if let Err(error) = self.save(&all) {
            all.insert(name.to_owned(), old);
            return Err(TopicError::Storage(error));
        }
        Ok(())
    }

    /// Deletes a topic with its records.
    pub(crate) fn delete(&self, name: &str) -> Result<(), TopicError> {
        let mut all = self.write();
        let topic = all.remove(name).ok_or(TopicError::Unknown)?;
        if let Err(error) = self.save(&all) {
            all.insert(name.to_owned(), topic);
            return Err(TopicError::Storage(error));
        }
        for (index, partition) in topic.partitions.iter().enumerate() {
            partition.close();
            discard(&partition_dir(&self.config.data_dir, name, index)).map_err(TopicError::Storage)?;
        }
        Ok(())
    }

    /// Applies retention to every partition.
    pub(crate) fn retain(&self) {
        let total = self.partitions_total();
        for topic in self.list() {
            let policy = topic.policy(&self.config, total);
            for partition in &topic.partitions {
                partition.retain(&policy);
            }
        }
    }

    fn save(&self, all: &BTreeMap<String, Arc<Topic>>) -> io::Result<()> {
        store::save(&self.config.data_dir, all.values().map(AsRef::as_ref))
    }
}

/// The folder of a partition, named as Kafka names it.
fn partition_dir(data: &Path, topic: &str, index: usize) -> PathBuf {
    data.join(format!("{topic}-{index}"))
}

fn open_partitions(
    config: &Config,
    topic: &str,
    which: std::ops::Range<usize>,
) -> io::Result<Vec<Arc<Partition>>> {
    let producers_max = config.limits.producers_per_partition;
    which
        .map(|index| {
            let dir = partition_dir(&config.data_dir, topic, index);
            Partition::open(&dir, producers_max, &config.events)
                .map(Arc::new)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", dir.display())))
        })
        .collect()
}

const DELETED: &str = ".deleted";

/// Removes a folder so that a crash in between leaves nothing that could be taken for a log.
fn discard(dir: &Path) -> io::Result<()> {
    let mut name = dir.as_os_str().to_owned();
    name.push(DELETED);
    let doomed = PathBuf::from(name);
    if doomed.exists() {
        fs::remove_dir_all(&doomed)?;
    }
    match fs::rename(dir, &doomed) {
        Ok(()) => fs::remove_dir_all(&doomed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Finishes deletions that a crash cut short.
fn remove_deleted(data: &Path) -> io::Result<()> {
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(DELETED) && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
