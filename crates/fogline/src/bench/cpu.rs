//! What the emulator takes from the machine while the surveillance topology carries 300 Mbit/s of TCP.

use super::bed::{Bed, Way};
use super::row::{Bound, Row};
use super::{Bench, Stop};
use crate::load::definitions_built_in;
use crate::traffic::{Sent, TcpReceived};
use fogline_plan::{HostId, Plan};
use fogline_scenario::{Source, Sources};
use link::LossModel;
use std::time::Duration;

const PORT: u16 = 5007;
/// Payload of all flows together, bits per second.
const PAYLOAD_BITS: f64 = 300e6;
/// Written at once, about a camera's frame.
const BLOCK_BYTES: usize = 16 << 10;
/// Of one core, percent.
const CPU_MAX: f64 = 25.0;
/// The flows must carry this much of what they are to, else the figure is of another load.
const CARRIED_MIN: f64 = 0.97;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>, Stop> {
    let shipped = surveillance()?;
    let mut clean = shipped.clone();
    for link in &mut clean.links {
        link.profile.loss = LossModel::default();
    }
    bench.say("surveillance topology without losses: 300 Mbit/s of TCP");
    let without = carry(bench, &clean)?;
    bench.say("surveillance topology as shipped: the same flows");
    let with = carry(bench, &shipped)?;
    let carried_mbit = |load: &Load| load.bits_per_s / 1e6;
    let enough = without.bits_per_s >= PAYLOAD_BITS * CARRIED_MIN;
    // A load that was not reached says nothing about the bound, so it is not met.
    let figure = if enough || bench.quick { without.cpu_percent } else { f64::NAN };
    Ok(vec![
        Row::new(
            "cpu-surveillance",
            "300 Mbit/s of TCP over the surveillance links, no loss: emulator's CPU",
            "% of a core",
            vec![figure],
        )
        .bound(Bound::Below(CPU_MAX), bench.quick)
        .detail("carried_mbit_per_s", carried_mbit(&without))
        .detail("cpu_percent", without.cpu_percent),
        Row::new("carried-surveillance", "carried meanwhile, of 300", "Mbit/s", vec![carried_mbit(&without)]),
        Row::new(
            "cpu-surveillance-lossy",
            "the same flows with the losses: emulator's CPU",
            "% of a core",
            vec![with.cpu_percent],
        ),
        Row::new(
            "carried-surveillance-lossy",
            "carried meanwhile by cubic",
            "Mbit/s",
            vec![carried_mbit(&with)],
        ),
    ])
}

/// The shipped scenario's hosts and links.
fn surveillance() -> Result<Plan, Stop> {
    let source = |name: &str, text: &str| Source::new(name, text);
    let sources = Sources {
        layers: source(
            "layers_services.yaml",
            include_str!("../../../../scenarios/smart-surveillance/layers_services.yaml"),
        ),
        network: Some(source(
            "network.yaml",
            include_str!("../../../../scenarios/smart-surveillance/network.yaml"),
        )),
        workflow: None,
        services: definitions_built_in(),
        traces: Vec::new(),
    };
    let wrong = || Stop::Measurement("the shipped surveillance scenario cannot be planned".to_owned());
    let scenario = fogline_scenario::parse(&sources).0.ok_or_else(wrong)?;
    let plan = fogline_plan::plan(&scenario, &fogline_plan::Options::default()).0;
    plan.filter(|plan| !plan.links.is_empty()).ok_or_else(wrong)
}

struct Load {
    cpu_percent: f64,
    bits_per_s: f64,
}

/// One flow from each edge host to a fog host.
fn carry(bench: &Bench, plan: &Plan) -> Result<Load, Stop> {
    let (lead, time) = bench.choose((3.0, 6.0), (0.5, 0.5));
    let bed = Bed::deploy(bench, plan, Way::Emulator)?;
    let of = |layer: &str| -> Vec<usize> {
        (0..plan.hosts.len()).filter(|host| plan.host(HostId(*host)).layer == layer).collect()
    };
    let (edge, fog) = (of("edge"), of("fog"));
    let rate = PAYLOAD_BITS / edge.len() as f64;
    let receive = |port: u16, host: usize| {
        bed.start(host, &format!("tcp-receive --port {port} --skip {lead} --seconds {time}"))
    };
    let flows: Vec<(usize, usize, u16)> = edge
        .iter()
        .zip(fog.iter().cycle())
        .zip(PORT..)
        .map(|((from, to), port)| (*from, *to, port))
        .collect();
    let receivers = flows.iter().map(|(_, to, port)| receive(*port, *to)).collect::<Result<Vec<_>, _>>()?;
    let send = |(from, to, port): &(usize, usize, u16)| {
        let to = bed.address(*to);
        bed.start(*from, &format!("tcp-send --to {to}:{port} --rate {rate} --block {BLOCK_BYTES}"))
    };
    let senders = flows.iter().map(send).collect::<Result<Vec<_>, _>>()?;
    bed.wait(Duration::from_secs_f64(lead))?;
    let before = bed.network()?;
    bed.wait(Duration::from_secs_f64(time * 0.8))?;
    let change = bed.network()?.since(&before);
    let mut bits_per_s = 0.0;
    for receiver in receivers {
        let received: TcpReceived = receiver.finish()?;
        bits_per_s += received.bytes as f64 * 8.0 / received.seconds;
    }
    for sender in senders {
        let _: Sent = sender.finish()?;
    }
    bed.release()?;
    Ok(Load { cpu_percent: change.cpu_s / change.elapsed_s * 100.0, bits_per_s })
}
