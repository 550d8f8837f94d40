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

/// What is sent over one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Traffic {
    Delay { packets: u32 },
    Loss { packets: u32 },
    Rate { offered_bits_per_s: u64 },
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

    /// What a rate flow of this round came to.
    pub(super) fn rate_probe(&self, plan: &Plan, flow: &Flow) -> RateProbe {
        let key = (flow.rule, flow.link);
        let link = &plan.links[flow.link];
        let bits = self.sent.get(&key).map_or(0.0, |sent| sent.frame_bytes as f64 * 8.0);
        let seconds = self.sending.get(&key).map_or(f64::INFINITY, Duration::as_secs_f64);
        RateProbe {
            source: plan.hosts[link.source.0].name.clone(),
            destination: plan.hosts[link.destination.0].name.clone(),
            offered_bits_per_s: bits / seconds,
            measured_bits_per_s: self.received.get(&key).and_then(FlowReport::bits_per_s),
            receiver_drops: self.receiver_drops.get(&flow.rule).copied().unwrap_or(0),
        }
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

/// One call per sending host and kind of traffic (and per rate, as a rate is one plan's).
fn sends(plan: &Plan, flows: &[Flow], ports: &Ports, duration: Duration) -> Vec<Send> {
    let mut groups: BTreeMap<(HostId, ProbeKindKey), Vec<&Flow>> = BTreeMap::new();
    for flow in flows {
        groups.entry((plan.links[flow.link].source, kind_key(flow.traffic))).or_default().push(flow);
    }
    groups
        .into_iter()
        .map(|((host, key), flows)| {
            let targets = flows.iter().filter_map(|flow| target(plan, flow, ports)).collect();
            let flows: Vec<Flow> = flows.into_iter().copied().collect();
            let plan = ProbePlan {
                kind: kind(key),
                source: IpAddr::V4(plan.hosts[host.0].address),
                targets,
                duration,
                echo_wait: LATE + 2 * longest(plan, &flows),
                payload_bytes: PAYLOAD_BYTES,
            };
            Send { host, plan, keys: flows.iter().map(|flow| (flow.rule, flow.link)).collect() }
        })
        .collect()
}

fn target(plan: &Plan, flow: &Flow, ports: &Ports) -> Option<ProbeTarget> {
    let port = ports.get(&(flow.rule, plan.links[flow.link].destination))?;
    let packets = match flow.traffic {
        Traffic::Delay { packets } | Traffic::Loss { packets } => packets,
        Traffic::Rate { .. } => 0,
    };
    Some(ProbeTarget { address: port.address, flow: u32::try_from(flow.link).ok()?, packets })
}

/// Orders kinds of traffic, without the numbers of packets.
type ProbeKindKey = (u8, u64);

fn kind_key(traffic: Traffic) -> ProbeKindKey {
    match traffic {
        Traffic::Delay { .. } => (0, 0),
        Traffic::Loss { .. } => (1, 0),
        Traffic::Rate { offered_bits_per_s } => (2, offered_bits_per_s),
    }
}

fn kind(key: ProbeKindKey) -> ProbeKind {
    match key {
        (0, _) => ProbeKind::Delay,
        (1, _) => ProbeKind::Loss,
        (_, offered_bits_per_s) => ProbeKind::Rate { offered_bits_per_s },
    }
}

/// The longest that a packet is under way on an idle link, and between two packets of a full one.
fn longest(plan: &Plan, flows: &[Flow]) -> Duration {
    let times = flows.iter().map(|flow| {
        let profile = &plan.links[flow.link].profile;
        let gap_ns = profile.rate.map_or(0, |rate| rate.nanos_for(4 * 1514));
        profile.delay.duration() + Duration::from_nanos(gap_ns)
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
