//! What the kernel counted.

use super::run::{KernelError, execute};
use super::{NETEMS, QUEUES};
use crate::{LinkSnapshot, LinkSpec, Tally};
use serde::Deserialize;
use std::io;

/// One discipline in the answer of `tc -s -j qdisc show`.
#[derive(Debug, Deserialize)]
struct Discipline {
    kind: String,
    handle: String,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    packets: u64,
    #[serde(default)]
    drops: u64,
    #[serde(default)]
    backlog: u64,
    #[serde(default)]
    qlen: u64,
    /// Of `codel`: drops for lack of room, which `drops` has too.
    #[serde(default)]
    drop_overlimit: u64,
    /// Of `codel`.
    #[serde(default)]
    ecn_mark: u64,
}

/// What became of packets on the links from host `source`, whose device is `device`, **in the calling thread's network
/// namespace**: pairs of an index into `links` and counts. `names` are the hosts' names. The kernel counts packets
/// dropped, but not their bytes, and those of a super-packet as one.
///
/// # Errors
/// When `tc` is missing or says what it should not.
pub fn read_counters(
    device: &str,
    names: &[String],
    links: &[LinkSpec],
    source: usize,
) -> Result<Vec<(usize, LinkSnapshot)>, KernelError> {
    let arguments = ["-s", "-j", "qdisc", "show", "dev", device];
    let output = execute("tc", &arguments, String::new())?;
    if !output.success {
        let line = format!("tc {}", arguments.join(" "));
        return Err(KernelError::Refused { line, said: output.error });
    }
    counters(&output.said, names, links, source)
        .map_err(|source| KernelError::Failed { program: "tc", source: io::Error::other(source) })
}

/// As [`read_counters`], from what `tc -s -j qdisc show` said.
///
/// # Errors
/// When that is something else.
pub fn counters(
    said: &str,
    names: &[String],
    links: &[LinkSpec],
    source: usize,
) -> Result<Vec<(usize, LinkSnapshot)>, serde_json::Error> {
    let disciplines: Vec<Discipline> = serde_json::from_str(said)?;
    let name = |host: usize| names.get(host).cloned().unwrap_or_default();
    let own = links.iter().enumerate().filter(|(_, link)| link.source == source);
    let snapshot = |(position, (index, link)): (usize, (usize, &LinkSpec))| {
        let class = position + 1;
        let find = |handle: usize| {
            let handle = format!("{handle:x}:");
            disciplines.iter().find(|discipline| discipline.handle == handle)
        };
        let snapshot = LinkSnapshot {
            source: name(link.source),
            destination: name(link.destination),
            delay_ns: link.profile.delay.nanos(),
            ..account(find(NETEMS + class), find(QUEUES + class))
        };
        (index, snapshot)
    };
    Ok(own.enumerate().map(snapshot).collect())
}

const fn packets(packets: u64) -> Tally {
    Tally { packets, bytes: 0 }
}

/// The account of a link with these disciplines, the second inside the first.
fn account(netem: Option<&Discipline>, queue: Option<&Discipline>) -> LinkSnapshot {
    let mut account = LinkSnapshot::default();
    let mut overflowed = 0;
    if let Some(queue) = queue {
        match queue.kind.as_str() {
            "blackhole" => account.cut = packets(queue.drops),
            "codel" => {
                overflowed = queue.drop_overlimit;
                account.codel_dropped = packets(queue.drops.saturating_sub(overflowed));
                account.marked = packets(queue.ecn_mark);
            }
            _ => overflowed = queue.drops,
        }
        account.queue_dropped = packets(overflowed);
    }
    if let Some(netem) = netem {
        // What its queue had no room for, netem counts as well.
        account.lost = packets(netem.drops.saturating_sub(overflowed));
    }
    if let Some(outer) = netem.or(queue) {
        account.delivered = Tally { packets: outer.packets, bytes: outer.bytes };
        account.queued = Tally { packets: outer.qlen, bytes: outer.backlog };
    }
    account.entered = account.accounted();
    account
}
