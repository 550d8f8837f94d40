//! The file that remembers the topics, and small files that are replaced as a whole.
//!
//! `topics.txt` is text, one topic a line: name, id, partitions, then the settings that the topic itself makes,
//! as `name=value`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use uuid::Uuid;

use crate::topics::Topic;
use crate::topics::settings::TopicSettings;

const FILE: &str = "topics.txt";
const FIRST_LINE: &str = "kafka-log topics 1";

/// A topic as the file tells it.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) id: Uuid,
    pub(super) partitions: usize,
    pub(super) settings: TopicSettings,
}

/// Replaces `dir/name` by `bytes`: the file holds either the old or the new content, also after a power cut.
pub(crate) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let partial = dir.join(format!("{name}.partial"));
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&partial, dir.join(name))
}

pub(super) fn save<'a>(dir: &Path, topics: impl Iterator<Item = &'a Topic>) -> io::Result<()> {
    let mut text = format!("{FIRST_LINE}\n");
    for topic in topics {
        text.push_str(&format!("{} {} {}", topic.name, topic.id, topic.partitions.len()));
        for (name, value) in made(&topic.settings) {
            text.push_str(&format!(" {name}={value}"));
        }
        text.push('\n');
    }
    replace(dir, FILE, text.as_bytes())
}

/// The settings that a topic itself makes.
fn made(settings: &TopicSettings) -> Vec<(&'static str, String)> {
    let mut made = Vec::new();
    if let Some(bytes) = settings.retention_bytes {
        made.push(("retention.bytes", bytes.to_string()));
    }
    if let Some(age) = settings.retention_ms {
        made.push(("retention.ms", age.unwrap_or(-1).to_string()));
    }
    if let Some(bytes) = settings.segment_bytes {
        made.push(("segment.bytes", bytes.to_string()));
    }
    if let Some(bytes) = settings.message_bytes_max {
        made.push(("max.message.bytes", bytes.to_string()));
    }
    if let Some(append_time) = settings.append_time {
        let value = if append_time { "LogAppendTime" } else { "CreateTime" };
        made.push(("message.timestamp.type", value.to_owned()));
    }
    made
}

pub(super) fn load(dir: &Path) -> io::Result<Vec<Known>> {
    let path = dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let invalid = |line: usize, why: &str| {
        let what = format!("{}:{line}: {why}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, what)
    };
    let mut lines = text.lines().enumerate();
    if lines.next().map(|(_, first)| first) != Some(FIRST_LINE) {
        return Err(invalid(1, &format!("the first line must be `{FIRST_LINE}`")));
    }
    lines.map(|(at, line)| parse(line).map_err(|why| invalid(at + 1, &why))).collect()
}

fn parse(line: &str) -> Result<Known, String> {
    let mut words = line.split(' ');
    let mut next = |what: &str| words.next().ok_or_else(|| format!("the {what} is missing"));
    let name = next("name")?.to_owned();
    super::check_name(&name)?;
    let id = next("id")?.parse().map_err(|error| format!("bad id: {error}"))?;
    let partitions =
        next("number of partitions")?.parse().map_err(|error| format!("bad partitions: {error}"))?;
    let mut settings = TopicSettings::default();
    for word in words {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not name=value"))?;
        settings.set(key, value)?;
    }
    Ok(Known { name, id, partitions, settings })
}
