//! From links to `tc` commands.

use super::leaf::{self, Leaf};
use super::{LINKS_MAX, PARENTS};
use crate::LinkSpec;
use crate::model::random::Random;
use link::{LossUnit, Profile};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use units::Rate;

/// Links without a rate get this one, bit/s: `htb` has no class without.
const UNLIMITED: u64 = 100_000_000_000;
/// What an idle link may send at once, as the emulator has it: this much of its rate, nanoseconds.
const BURST_NS: u64 = 2_000_000;
/// A full Ethernet frame, bytes.
pub(super) const FRAME: u64 = 1514;
/// What one of several classes may send before it is another's turn, bytes.
const QUANTUM: u64 = 10 * FRAME;

/// A host as its own and other hosts' kernels know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelHost {
    /// The name, for messages and for seeds.
    pub name: String,
    /// The name of its device.
    pub device: String,
    /// By which packets find it.
    pub address: Ipv4Addr,
    /// By which IPv6 packets find it.
    pub address6: Option<Ipv6Addr>,
}

/// What the kernel and `tc` can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether fates can be drawn from a seed: Linux 6.7 and an iproute2 of its time, both or later.
    pub seed: bool,
}

/// Something that the kernel's emulation cannot do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("link {source_name} -> {destination_name}: the kernel path can't do `{key}`: {reason}")]
pub struct Unsupported {
    /// The sending host.
    pub source_name: String,
    /// The receiving host.
    pub destination_name: String,
    /// What was asked for, by its name in the network file.
    pub key: &'static str,
    /// Why not, and what would do.
    pub reason: &'static str,
}

/// The commands that make the device of host `source` keep its part of `links`, one command of `tc` or `ip` a line.
/// They are to be [run](super::run) in the host's network namespace; `links` are those of the whole network, and
/// without any from `source` there is nothing to do. With a device from before, run them once.
///
/// # Errors
/// [`Unsupported`] names the link and what of it the kernel cannot do.
pub fn script(
    hosts: &[KernelHost],
    links: &[LinkSpec],
    source: usize,
    seed: u64,
    abilities: Abilities,
) -> Result<Vec<String>, Unsupported> {
    let own: Vec<&LinkSpec> = links.iter().filter(|link| link.source == source).collect();
    let (Some(first), Some(host)) = (own.first(), hosts.get(source)) else { return Ok(Vec::new()) };
    let bottlenecks = Bottlenecks::of(hosts, links, &own)?;
    let mut leaves = Vec::with_capacity(own.len());
    for link in &own {
        let profile = bottlenecks.profile(link);
        let seed = abilities.seed.then(|| link_seed(hosts, link, seed));
        if let Some((key, reason)) = obstacle(link, abilities).or_else(|| leaf::obstacle(&profile)) {
            return Err(unsupported(hosts, link, key, reason));
        }
        leaves.push(Leaf::new(&profile, seed));
    }
    check_together(hosts, &own, &leaves)?;
    if own.len() > LINKS_MAX {
        return Err(unsupported(hosts, first, "so many links", "a host may have 16,127 of them"));
    }
    let device = &host.device;
    let mut lines = Vec::new();
    if own.iter().zip(&leaves).any(|(link, leaf)| counts_packets(&bottlenecks.profile(link), leaf)) {
        lines.push(format!("ip link set dev {device} gso_max_segs 1"));
    }
    lines.push(format!("tc qdisc add dev {device} root handle 1: htb"));
    lines.extend(bottlenecks.shared.values().map(|shared| shared.class(device)));
    for (position, (link, leaf)) in own.iter().zip(&leaves).enumerate() {
        let class = position + 1;
        lines.push(bottlenecks.class(device, class, link));
        lines.extend(leaf.lines(device, class));
        lines.extend(hosts.get(link.destination).into_iter().flat_map(|to| filters(device, class, to)));
    }
    Ok(lines)
}

/// Whether mishaps or the queue mean packets on the wire, so that the host's stack must not hand over several at once.
fn counts_packets(profile: &Profile, leaf: &Leaf) -> bool {
    leaf.needs_packets() || (profile.loss_unit == LossUnit::Packet && leaf.has_mishaps())
}

fn filters(device: &str, class: usize, to: &KernelHost) -> Vec<String> {
    let rule = |protocol: &str, priority: u8, matched: String| {
        format!(
            "tc filter add dev {device} parent 1: protocol {protocol} prio {priority} u32 match {matched} \
             flowid 1:{class:x}"
        )
    };
    let mut lines = vec![rule("ip", 1, format!("ip dst {}/32", to.address))];
    lines.extend(to.address6.map(|address| rule("ipv6", 2, format!("ip6 dst {address}/128"))));
    lines
}

fn link_seed(hosts: &[KernelHost], link: &LinkSpec, seed: u64) -> u64 {
    let name = |host: usize| hosts.get(host).map_or("", |host| host.name.as_str());
    let seed = link.seed.unwrap_or(seed);
    Random::of_purpose(seed, name(link.source), name(link.destination), "kernel").bits()
}

const fn obstacle(link: &LinkSpec, abilities: Abilities) -> Option<(&'static str, &'static str)> {
    if link.seed.is_some() && !abilities.seed {
        return Some(("seed", "needs Linux 6.7 and an iproute2 that knows of it"));
    }
    None
}

/// Refuses what is possible for one link but not beside the host's others.
fn check_together(hosts: &[KernelHost], own: &[&LinkSpec], leaves: &[Leaf]) -> Result<(), Unsupported> {
    let netems = leaves.iter().filter(|leaf| leaf.has_netem()).count();
    match leaves.iter().position(Leaf::duplicates) {
        Some(position) if netems > 1 => Err(unsupported(
            hosts,
            own[position],
            "duplicate",
            "Linux refuses a netem that duplicates beside others at the same host since 6.16, as copies passed both",
        )),
        _ => Ok(()),
    }
}

fn unsupported(
    hosts: &[KernelHost],
    link: &LinkSpec,
    key: &'static str,
    reason: &'static str,
) -> Unsupported {
    let name = |host: usize| hosts.get(host).map_or_else(|| format!("host {host}"), |host| host.name.clone());
    let (source_name, destination_name) = (name(link.source), name(link.destination));
    Unsupported { source_name, destination_name, key, reason }
}

/// The bottlenecks that several links of the host share.
struct Bottlenecks {
    shared: BTreeMap<usize, Shared>,
}

/// One of them.
struct Shared {
    class: usize,
    members: u64,
    /// The first link, whose rate and queue count.
    first: Profile,
}

impl Bottlenecks {
    fn of(hosts: &[KernelHost], links: &[LinkSpec], own: &[&LinkSpec]) -> Result<Self, Unsupported> {
        let mut shared: BTreeMap<usize, Shared> = BTreeMap::new();
        for link in own {
            let Some(number) = link.bottleneck else { continue };
            let of_others =
                |other: &&LinkSpec| other.bottleneck == Some(number) && other.source != link.source;
            if links.iter().any(|other| of_others(&other)) {
                let reason = "the kernel shapes at each source, so several hosts can't share a rate; \
                              use the emulator, or `share: host`";
                return Err(unsupported(hosts, link, "share: group", reason));
            }
            let class = PARENTS + shared.len();
            let entry =
                shared.entry(number).or_insert_with(|| Shared { class, members: 0, first: link.profile });
            entry.members += 1;
        }
        shared.retain(|_, shared| shared.members > 1 && shared.first.rate.is_some());
        Ok(Self { shared })
    }

    fn of_link(&self, link: &LinkSpec) -> Option<&Shared> {
        self.shared.get(&link.bottleneck?)
    }

    /// What the link does, with the rate and the queue of its bottleneck.
    fn profile(&self, link: &LinkSpec) -> Profile {
        self.of_link(link).map_or(link.profile, |shared| Profile {
            rate: shared.first.rate,
            queue: shared.first.queue,
            ecn: shared.first.ecn,
            ..link.profile
        })
    }

    /// The command that makes a link's class.
    fn class(&self, device: &str, class: usize, link: &LinkSpec) -> String {
        let ceiling = self.profile(link).rate.map_or(UNLIMITED, Rate::bits_per_s);
        let (parent, own) = self.of_link(link).map_or_else(
            || ("1:".to_owned(), ceiling),
            |shared| (format!("1:{:x}", shared.class), (ceiling / shared.members).max(8)),
        );
        let terms = terms(own, ceiling);
        format!("tc class add dev {device} parent {parent} classid 1:{class:x} htb {terms}")
    }
}

impl Shared {
    fn class(&self, device: &str) -> String {
        let rate = self.first.rate.map_or(UNLIMITED, Rate::bits_per_s);
        format!("tc class add dev {device} parent 1: classid 1:{:x} htb {}", self.class, terms(rate, rate))
    }
}

/// A class's own rate, and the one up to which it may borrow.
fn terms(rate: u64, ceiling: u64) -> String {
    let burst = |rate: u64| {
        let bytes = u128::from(rate) * u128::from(BURST_NS) / 8_000_000_000;
        FRAME.max(bytes as u64)
    };
    format!(
        "rate {rate}bit ceil {ceiling}bit burst {}b cburst {}b quantum {QUANTUM}",
        burst(rate),
        burst(ceiling)
    )
}
