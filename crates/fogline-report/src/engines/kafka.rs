//! The lists of Kafka's JmxTool: `time,"<ms>"`, then `<object>:<attribute>,"<value>"` for each figure.

use super::Series;
use crate::ReportError;
use crate::sampled::subject;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What is read, as JmxTool names it.
const FIGURES: [&str; 12] = [
    BYTES_IN,
    BYTES_OUT,
    MESSAGES_IN,
    PRODUCE_REQUESTS,
    FETCH_REQUESTS,
    PRODUCE_P99_MS,
    FETCH_P99_MS,
    UNDER_REPLICATED,
    OFFLINE,
    HEAP,
    CPU_LOAD,
    CPU_NS,
];
/// Bytes from producers since the broker's start.
pub(crate) const BYTES_IN: &str = "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec:Count";
/// Bytes to consumers since the broker's start.
pub(crate) const BYTES_OUT: &str = "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec:Count";
/// Records from producers since the broker's start.
pub(crate) const MESSAGES_IN: &str = "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec:Count";
/// Requests to produce since the broker's start.
pub(crate) const PRODUCE_REQUESTS: &str =
    "kafka.server:type=BrokerTopicMetrics,name=TotalProduceRequestsPerSec:Count";
/// Requests to fetch since the broker's start.
pub(crate) const FETCH_REQUESTS: &str =
    "kafka.server:type=BrokerTopicMetrics,name=TotalFetchRequestsPerSec:Count";
/// Time of requests to produce, 99th percentile, ms.
pub(crate) const PRODUCE_P99_MS: &str =
    "kafka.network:type=RequestMetrics,name=TotalTimeMs,request=Produce:99thPercentile";
/// Time of requests to fetch, 99th percentile, ms.
pub(crate) const FETCH_P99_MS: &str =
    "kafka.network:type=RequestMetrics,name=TotalTimeMs,request=FetchConsumer:99thPercentile";
/// Partitions with replicas that are behind.
pub(crate) const UNDER_REPLICATED: &str =
    "kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions:Value";
/// Partitions without a leader.
pub(crate) const OFFLINE: &str = "kafka.controller:type=KafkaController,name=OfflinePartitionsCount:Value";
/// Java heap in use, bytes.
pub(crate) const HEAP: &str = "java.lang:type=Memory:HeapMemoryUsage";
/// Share of the machine's processors, 0 to 1.
pub(crate) const CPU_LOAD: &str = "java.lang:type=OperatingSystem:ProcessCpuLoad";
/// CPU time since the broker's start, ns.
pub(crate) const CPU_NS: &str = "java.lang:type=OperatingSystem:ProcessCpuTime";

/// One broker.
#[derive(Debug)]
pub(crate) struct Broker {
    /// The file's name.
    pub(crate) name: String,
    /// Time of its first sample, seconds since 1970.
    pub(crate) start_s: f64,
    figures: BTreeMap<&'static str, Series>,
}

impl Broker {
    /// A figure over time, by its name.
    pub(crate) fn figure(&self, name: &str) -> Series {
        self.figures.get(name).cloned().unwrap_or_default()
    }
}

/// Reads one file; `None` when it is empty. JmxTool is not ours and may be cut off and started again, so a line that is
/// none of its list is passed over, as figures are that are not wanted; but a file without one sample is no list.
pub(super) fn read(path: &Path) -> Result<Option<Broker>, ReportError> {
    let text = fs::read_to_string(path).map_err(ReportError::read(path))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut broker: Option<Broker> = None;
    let mut at_s = 0.0;
    for line in whole.lines() {
        let pair =
            line.split_once(",\"").and_then(|(key, value)| Some((key, number(value.strip_suffix('"')?)?)));
        let Some((key, value)) = pair else { continue };
        if key == "time" {
            at_s = value / 1e3;
            let new = || Broker { name: subject(path), start_s: at_s, figures: BTreeMap::new() };
            broker.get_or_insert_with(new);
        } else if let Some(figure) = FIGURES.into_iter().find(|figure| *figure == key)
            && let Some(broker) = &mut broker
        {
            broker.figures.entry(figure).or_default().0.push((at_s, value));
        }
    }
    if broker.is_none() && !text.trim().is_empty() {
        let reason = "is no list of JmxTool's: it has no line `time,\"<ms>\"`".to_owned();
        return Err(ReportError::Content { path: path.to_owned(), reason });
    }
    Ok(broker)
}

/// A number, or what is used of a Java memory area: `..., contents={committed=1, init=2, max=3, used=4})`.
fn number(value: &str) -> Option<f64> {
    let used = value.rsplit_once("used=").map(|(_, used)| used.split(['}', ',']).next().unwrap_or_default());
    used.unwrap_or(value).parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_heap_is_found_in_java_words() {
        let heap = "javax.management.openmbean.CompositeDataSupport(compositeType=(itemName=used,itemType=x),\
                    contents={committed=304087040, init=314572800, max=304087040, used=234631872})";
        assert_eq!(number(heap), Some(234_631_872.0));
        assert_eq!([number("0.4"), number("NaN"), number("bytes")], [Some(0.4), None, None]);
    }
}
