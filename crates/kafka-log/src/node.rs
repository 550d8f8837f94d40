//! The one broker: everything that requests share.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use kafka_protocol::messages::BrokerId;
use uuid::Uuid;

use crate::config::{Advertised, Config};
use crate::groups::Coordinator;
use crate::sync::{Budget, lock};
use crate::sys;
use crate::topics::{Topics, replace};

/// The id of the only broker.
pub(crate) const NODE_ID: BrokerId = BrokerId(1);
/// The only leader epoch: leadership never moves.
pub(crate) const LEADER_EPOCH: i32 = 0;

const CLUSTER_FILE: &str = "cluster-id.txt";
const PRODUCER_FILE: &str = "producer-ids.txt";
/// Producer ids taken from the file at once; at most so many are skipped by a crash.
const PRODUCER_BLOCK: i64 = 1000;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Arc<Config>,
    pub(crate) topics: Topics,
    pub(crate) groups: Coordinator,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) advertised: Advertised,
    pub(crate) cluster_id: String,
    /// Bytes of requests being worked on.
    pub(crate) requests: Budget,
    pub(crate) stopping: AtomicBool,
}

impl Node {
    /// Opens everything in the data folder.
    pub(crate) fn open(config: Arc<Config>, advertised: Advertised) -> io::Result<Self> {
        Ok(Self {
            topics: Topics::open(&config)?,
            groups: Coordinator::open(&config)?,
            producer_ids: ProducerIds::open(&config.data_dir)?,
            cluster_id: cluster_id(&config.data_dir)?,
            requests: Budget::new(config.limits.request_bytes_total),
            stopping: AtomicBool::new(false),
            advertised,
            config,
        })
    }
}

/// The cluster's id, made once per data folder.
fn cluster_id(dir: &Path) -> io::Result<String> {
    match fs::read_to_string(dir.join(CLUSTER_FILE)) {
        Ok(id) => return Ok(id.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = Uuid::from_bytes(sys::random_16()?).simple().to_string();
    replace(dir, CLUSTER_FILE, format!("{id}\n").as_bytes())?;
    Ok(id)
}

/// Hands out producer ids, each only once in the life of a data folder.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    dir: std::path::PathBuf,
    /// The next id, and the end of the block that the file says is taken.
    block: Mutex<(i64, i64)>,
}

impl ProducerIds {
    fn open(dir: &Path) -> io::Result<Self> {
        let next = match fs::read_to_string(dir.join(PRODUCER_FILE)) {
            Ok(text) => text.trim().parse().map_err(|_| {
                let what = format!("{}: not a number", dir.join(PRODUCER_FILE).display());
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 1,
            Err(error) => return Err(error),
        };
        Ok(Self { dir: dir.to_owned(), block: Mutex::new((next, next)) })
    }

    /// An id that was never given before.
    pub(crate) fn next(&self) -> io::Result<i64> {
        let mut block = lock(&self.block);
        if block.0 == block.1 {
            let end = block.1.saturating_add(PRODUCER_BLOCK);
            replace(&self.dir, PRODUCER_FILE, format!("{end}\n").as_bytes())?;
            block.1 = end;
        }
        block.0 += 1;
        Ok(block.0 - 1)
    }
}
