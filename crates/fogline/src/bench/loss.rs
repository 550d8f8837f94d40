//! How far losses are off: datagrams that do not arrive, at a pace at which nothing else drops any.

use super::bed::{Bed, Way, plan};
use super::row::{Bound, Comparison, Row};
use super::{Bench, Stop};
use crate::traffic::{Sent, UdpReceived};
use fogline_plan::Profile;
use link::LossModel;
use units::Percent;

const PORT: u16 = 5006;
const LOSSES: [&str; 3] = ["0.1%", "2%", "5%"];
const PAYLOAD: usize = 100;
/// Standard errors that the count may be off.
const DEVIATION_MAX: f64 = 3.0;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>, Stop> {
    let losses: Vec<(Percent, &str)> =
        LOSSES.iter().filter_map(|text| Some((text.parse().ok()?, *text))).collect();
    let link = |(index, (loss, _)): (usize, &(Percent, &str))| {
        let there = Profile { loss: LossModel::Independent(*loss), ..Profile::default() };
        [(2 * index, 2 * index + 1, there), (2 * index + 1, 2 * index, Profile::default())]
    };
    let links: Vec<_> = losses.iter().enumerate().flat_map(link).collect();
    let bed = Bed::deploy(bench, &plan(2 * losses.len(), &links), Way::Emulator)?;
    let mut rows = Vec::new();
    for (index, (loss, text)) in losses.iter().enumerate() {
        bench.say(format_args!("loss of {text}"));
        rows.push(row(bench, &bed, index, loss.fraction(), text)?);
    }
    bed.release()?;
    Ok(rows)
}

fn row(bench: &Bench, bed: &Bed, index: usize, share: f64, text: &str) -> Result<Row, Stop> {
    let (packets, pace) = bench.choose((200_000_u64, 25_000), (10_000, 25_000));
    let receiver = bed.start(2 * index + 1, &format!("udp-receive --port {PORT}"))?;
    let to = bed.address(2 * index + 1);
    let send = format!("udp-send --to {to}:{PORT} --payload {PAYLOAD} --pace {pace} --packets {packets}");
    let sent: Sent = bed.start(2 * index, &send)?.finish()?;
    let received: UdpReceived = receiver.finish()?;
    // What the receiver's socket dropped had come through the network.
    let arrived = received.packets + received.socket_drops;
    let lost = sent.packets.saturating_sub(arrived) as f64 / sent.packets as f64;
    let network = bed.network()?;
    let device = |host: usize| network.devices[host].transmit_dropped + network.devices[host].receive_dropped;
    let standard_error = (share * (1.0 - share) / sent.packets as f64).sqrt() * 100.0;
    Ok(Row::new(
        format!("loss-{text}"),
        format!("loss {text} of {packets} datagrams"),
        "%",
        vec![lost * 100.0],
    )
    .against_theory(share * 100.0, Comparison::Deviation, standard_error)
    .bound(Bound::Within(DEVIATION_MAX), bench.quick)
    .detail("sent", sent.packets)
    .detail("received", received.packets)
    .detail("duplicates", received.duplicates)
    .detail("standard_error_percent", standard_error)
    .detail("receiver_socket_drops", received.socket_drops)
    .detail("lost_by_model", network.links[2 * index].lost.packets)
    .detail("device_drops", device(2 * index) + device(2 * index + 1)))
}
