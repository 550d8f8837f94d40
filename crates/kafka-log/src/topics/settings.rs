//! Per-topic settings, by Kafka's names.

use crate::config::Config;

/// Settings of one topic; what is not set follows the server's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicSettings {
    pub(crate) retention_bytes: Option<u64>,
    /// Milliseconds; `Some(None)` keeps records whatever their age (Kafka's -1).
    pub(crate) retention_ms: Option<Option<i64>>,
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) message_bytes_max: Option<usize>,
    /// Whether records are stamped with the time of their arrival.
    pub(crate) append_time: Option<bool>,
}

/// The settings understood, as the message for an unknown one lists them.
const NAMES: &str = "cleanup.policy, retention.bytes, retention.ms, segment.bytes, max.message.bytes, \
                     message.timestamp.type";

impl TopicSettings {
    /// Sets `name` to `value`; an error says what would be right.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "cleanup.policy" => match value {
                "delete" => {}
                _ => return Err(format!("cleanup.policy={value}: only delete is supported")),
            },
            "retention.bytes" => {
                self.retention_bytes =
                    if value == "-1" { None } else { Some(number(name, value, 4096, u64::MAX)?) };
            }
            "retention.ms" => {
                let age = if value == "-1" {
                    None
                } else {
                    Some(number(name, value, 1, i64::MAX as u64)?.cast_signed())
                };
                self.retention_ms = Some(age);
            }
            "segment.bytes" => self.segment_bytes = Some(number(name, value, 4096, 1 << 30)?),
            "max.message.bytes" => {
                self.message_bytes_max = usize::try_from(number(name, value, 1024, 1 << 30)?).ok();
            }
            "message.timestamp.type" => {
                self.append_time = match value {
                    "CreateTime" => Some(false),
                    "LogAppendTime" => Some(true),
                    _ => return Err(format!("{name}={value}: give CreateTime or LogAppendTime")),
                };
            }
            _ => return Err(format!("unknown setting {name}; known are {NAMES}")),
        }
        Ok(())
    }

    /// Refuses settings that do not fit the server's.
    pub(crate) fn fault(&self, config: &Config) -> Option<String> {
        let message = self.message_bytes_max(config);
        if message > config.message_bytes_max {
            let most = config.message_bytes_max;
            return Some(format!("max.message.bytes={message}: this server accepts at most {most}"));
        }
        let retention = self.retention_bytes(config);
        if retention < (message as u64).saturating_mul(4) {
            return Some(format!(
                "retention.bytes={retention}: give at least four times max.message.bytes ({message})"
            ));
        }
        None
    }

    /// Bytes one partition keeps at most. A topic cannot ask for more than the server grants.
    pub(crate) fn retention_bytes(&self, config: &Config) -> u64 {
        self.retention_bytes.unwrap_or(config.retention_bytes).min(config.retention_bytes)
    }

    pub(crate) fn retention_ms(&self, config: &Config) -> Option<i64> {
        let of_server = || config.retention.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        self.retention_ms.unwrap_or_else(of_server)
    }

    pub(crate) fn segment_bytes(&self, config: &Config) -> u64 {
        self.segment_bytes.unwrap_or(config.segment_bytes)
    }

    pub(crate) fn message_bytes_max(&self, config: &Config) -> usize {
        self.message_bytes_max.unwrap_or(config.message_bytes_max)
    }

    pub(crate) fn append_time(&self) -> bool {
        self.append_time.unwrap_or(false)
    }

    /// Every setting with its value in force, and whether the topic itself sets it.
    pub(crate) fn listing(&self, config: &Config) -> Vec<(&'static str, String, bool)> {
        let age = self.retention_ms(config).unwrap_or(-1);
        let stamp = if self.append_time() { "LogAppendTime" } else { "CreateTime" };
        vec![
            ("cleanup.policy", "delete".to_owned(), false),
            ("retention.bytes", self.retention_bytes(config).to_string(), self.retention_bytes.is_some()),
            ("retention.ms", age.to_string(), self.retention_ms.is_some()),
            ("segment.bytes", self.segment_bytes(config).to_string(), self.segment_bytes.is_some()),
            (
                "max.message.bytes",
                self.message_bytes_max(config).to_string(),
                self.message_bytes_max.is_some(),
            ),
            ("message.timestamp.type", stamp.to_owned(), self.append_time.is_some()),
        ]
    }
}

fn number(name: &str, value: &str, least: u64, most: u64) -> Result<u64, String> {
    match value.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("{name}={value}: give a whole number from {least} to {most}")),
    }
}
