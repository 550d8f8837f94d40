//! One round of probes: open ports, send, collect.

use super::{PAYLOAD_BYTES, RateProbe};
use fogline_agent::{
    AgentError, Client, FlowReport, FlowSent, ProbeKind, ProbeListen, ProbePlan, ProbePort, ProbeSent,
    ProbeTarget,
};
use fogline_plan::{HostId, Plan};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

/// Longest life of a probe port; a round takes a tenth of it.
const PORT_LIFE: Duration = Duration::from_secs(60);
/// Beginning of a rate probe that does not count: a link's burst credit, and the sender's start.
const RATE_SKIP: Duration = Duration::from_millis(60);
/// How much later than a link's delay and queue a packet may come.
const LATE: Duration = Duration::from_millis(100);

/// The most that is waited longer for the sake of jitter.
const LATE_JITTER_MAX: Duration = Duration::from_secs(2);

/// What is sent over one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Traffic {
    Delay { packets: u32 },
    Loss { packets: u32 },
    Size { payload_bytes: usize, packets: u32 },
    Rate { offered_bits_per_s: u64 },
}

impl Traffic {
    /// Packets to send; a rate decides that itself.
    pub(super) const fn packets(self) -> u32 {
        match self {
            Self::Delay { packets } | Self::Loss { packets } | Self::Size { packets, .. } => packets,
            Self::Rate { .. } => 0,
        }
    }

    pub(super) const fn set_packets(&mut self, number: u32) {
        match self {
            Self::Delay { packets } | Self::Loss { packets } | Self::Size { packets, .. } => {
                *packets = number;
            }
            Self::Rate { .. } => {}
        }
    }

    /// What one call sends: the kind and the payload of its packets.
    const fn kind(self) -> (ProbeKind, usize) {
        match self {
            Self::Delay { .. } => (ProbeKind::Delay, PAYLOAD_BYTES),
            Self::Loss { .. } => (ProbeKind::Loss, PAYLOAD_BYTES),
            Self::Size { payload_bytes, .. } => (ProbeKind::Size, payload_bytes),
            Self::Rate { offered_bits_per_s } => (ProbeKind::Rate { offered_bits_per_s }, PAYLOAD_BYTES),
        }
    }

    /// Orders what goes into different calls.
    const fn order(self) -> (u8, u64) {
        match self {
            Self::Delay { .. } => (0, 0),
            Self::Loss { .. } => (1, 0),
            Self::Size { payload_bytes, .. } => (2, payload_bytes as u64),
            Self::Rate { offered_bits_per_s } => (3, offered_bits_per_s),
        }
    }
}

/// One link to measure for one rule; the link's index is the number of the flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) rule: usize,
    pub(super) link: usize,
    pub(super) traffic: Traffic,
}

/// What a round found, by rule and link.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) sent: HashMap<(usize, usize), FlowSent>,
    pub(super) received: HashMap<(usize, usize), FlowReport>,
    /// Drops of the receiving sockets, by rule: each rule has sockets of its own.
    pub(super) receiver_drops: HashMap<usize, u64>,
    /// Drops of the hosts' interfaces while they sent.
    pub(super) interface_drops: HashMap<HostId, u64>,
    sending: HashMap<(usize, usize), Duration>,
}

/// A receiving host of a rule.
type PortKey = (usize, HostId);
type Ports = BTreeMap<PortKey, ProbePort>;

impl Round {
    /// Sends all flows at the same time, over `duration`.
    pub(super) fn run(
        plan: &Plan,
        agents: &[Client],
        flows: &[Flow],
        duration: Duration,
    ) -> Result<Self, AgentError> {
        let mut round = Self::default();
        let listen: Vec<PortKey> = {
            let mut keys: Vec<_> =
                flows.iter().map(|flow| (flow.rule, plan.links[flow.link].destination)).collect();
            keys.sort();
            keys.dedup();
            keys
        };
        let opened = all_at_once(&listen, |key| agents[key.1.0].probe_listen(&listen_on(plan, key.1)))?;
        let ports: Ports = listen.iter().copied().zip(opened).collect();
        let sends = sends(plan, flows, &ports, duration);
        let sent = all_at_once(&sends, |send| agents[send.host.0].probe_send(&send.plan))?;
        for (send, sent) in sends.iter().zip(sent) {
            round.note_sent(send, sent);
        }
        let quiet = LATE + longest(plan, flows);
        let keys: Vec<(PortKey, ProbePort)> = ports.into_iter().collect();
        let reports = all_at_once(&keys, |((_, host), port)| agents[host.0].probe_report(port, quiet))?;
        for (((rule, _), _), report) in keys.iter().zip(reports) {
            *round.receiver_drops.entry(*rule).or_default() += report.socket_drops;
            for flow in report.flows {
                round.received.insert((*rule, flow.flow as usize), flow);
            }
        }
        Ok(round)
    }

    fn note_sent(&mut self, send: &Send, sent: ProbeSent) {
        *self.interface_drops.entry(send.host).or_default() += sent.interface_drops;
        for (key, flow) in send.keys.iter().zip(sent.flows) {
            self.sent.insert(*key, flow);
            self.sending.insert(*key, sent.elapsed);
        }
    }

    /// What rate flows that share a rate came to, all together.
    pub(super) fn rate_probe(&self, plan: &Plan, flows: &[Flow]) -> Option<RateProbe> {
        let first = &plan.links[flows.first()?.link];
        let (mut offered, mut measured) = (0.0, None);
        for flow in flows {
            let key = (flow.rule, flow.link);
            let bits = self.sent.get(&key).map_or(0.0, |sent| sent.frame_bytes as f64 * 8.0);
            offered += bits / self.sending.get(&key).map_or(f64::INFINITY, Duration::as_secs_f64);
            if let Some(rate) = self.received.get(&key).and_then(FlowReport::bits_per_s) {
                *measured.get_or_insert(0.0) += rate;
            }
        }
        Some(RateProbe {
            source: plan.hosts[first.source.0].name.clone(),
            destination: plan.hosts[first.destination.0].name.clone(),
            with: flows[1..].iter().map(|flow| pair_name(plan, flow.link)).collect(),
            offered_bits_per_s: offered,
            measured_bits_per_s: measured,
            receiver_drops: flows
                .first()
                .map_or(0, |flow| self.receiver_drops.get(&flow.rule).copied().unwrap_or(0)),
        })
    }
}

fn listen_on(plan: &Plan, host: HostId) -> ProbeListen {
    let address = IpAddr::V4(plan.hosts[host.0].address);
    ProbeListen { address, life: PORT_LIFE, rate_skip: RATE_SKIP }
}

/// What one host sends in one call.
struct Send {
    host: HostId,
    plan: ProbePlan,
    keys: Vec<(usize, usize)>,
}

/// One call per sending host and kind of traffic.
fn sends(plan: &Plan, flows: &[Flow], ports: &Ports, duration: Duration) -> Vec<Send> {
    let mut groups: BTreeMap<(HostId, (u8, u64)), Vec<&Flow>> = BTreeMap::new();
    for flow in flows {
        groups.entry((plan.links[flow.link].source, flow.traffic.order())).or_default().push(flow);
    }
    groups
        .into_iter()
        .map(|((host, _), flows)| {
            let targets = flows.iter().filter_map(|flow| target(plan, flow, ports)).collect();
            let flows: Vec<Flow> = flows.into_iter().copied().collect();
            let (kind, payload_bytes) = flows[0].traffic.kind();
            let plan = ProbePlan {
                kind,
                source: IpAddr::V4(plan.hosts[host.0].address),
                targets,
                duration,
                echo_wait: LATE + 2 * longest(plan, &flows),
                payload_bytes,
            };
            Send { host, plan, keys: flows.iter().map(|flow| (flow.rule, flow.link)).collect() }
        })
        .collect()
}

fn target(plan: &Plan, flow: &Flow, ports: &Ports) -> Option<ProbeTarget> {
    let port = ports.get(&(flow.rule, plan.links[flow.link].destination))?;
    let packets = flow.traffic.packets();
    Some(ProbeTarget { address: port.address, flow: u32::try_from(flow.link).ok()?, packets })
}

pub(super) fn pair_name(plan: &Plan, link: usize) -> String {
    let link = &plan.links[link];
    format!("{} > {}", plan.hosts[link.source.0].name, plan.hosts[link.destination.0].name)
}

/// The longest that a packet is under way on an idle link, and between two packets of a full one.
fn longest(plan: &Plan, flows: &[Flow]) -> Duration {
    let times = flows.iter().map(|flow| {
        let profile = &plan.links[flow.link].profile;
        let gap_ns = profile.rate.map_or(0, |rate| rate.nanos_for(4 * 1514));
        // Of a Pareto jitter one packet in 30,000 comes later than this.
        let late = profile.jitter.map_or(Duration::ZERO, |jitter| 8 * jitter.spread.duration());
        profile.delay.duration() + Duration::from_nanos(gap_ns) + late.min(LATE_JITTER_MAX)
    });
    times.max().unwrap_or_default()
}

/// Makes a call for each item, all at the same time, each on a thread of its own; results in the items' order.
fn all_at_once<T: Sync, R: std::marker::Send>(
    items: &[T],
    call: impl Fn(&T) -> Result<R, AgentError> + Sync,
) -> Result<Vec<R>, AgentError> {
    std::thread::scope(|scope| {
        let calls: Vec<_> = items.iter().map(|item| scope.spawn(|| call(item))).collect();
        calls
            .into_iter()
            .map(|call| call.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
