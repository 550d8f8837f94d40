//! Bulk TCP without limits: what the emulator's path costs in throughput.

use super::bed::{Bed, pair};
use super::row::{Bound, Comparison, Row};
use super::{Bench, Stop};
use crate::traffic::{Sent, TcpReceived};

const PORT: u16 = 5001;
/// Beginning of each round that does not count, seconds.
const SKIP_S: f64 = 0.5;
/// At least so much of the bridge's throughput, percent.
const SHARE_MIN: f64 = 60.0;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>, Stop> {
    let (rounds, time) = bench.choose((7, 2.0), (1, 0.5));
    let beds = Bed::both(bench, &pair())?;
    let mut rows = Vec::new();
    for flows in [1, 16] {
        bench.say(format_args!("bulk TCP, {flows} flows, {rounds} rounds"));
        // Bridge and emulator take turns, so that whatever else the machine does hits both alike.
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (bed, rates) in beds.iter().zip(&mut rates) {
                rates.push(bulk(bed, flows, time)?);
            }
        }
        let [bridge, emulator] = rates;
        let what = format!("bulk TCP, {flows} flow{}", if flows == 1 { "" } else { "s" });
        let network = beds[1].network()?;
        let row = Row::new(format!("bulk-tcp-{flows}"), what, "Gbit/s", emulator)
            .against_bridge(bridge, Comparison::Ratio);
        // Many flows have more under way than the processor's caches hold, which costs who copies most.
        let row = if flows == 1 { row.bound(Bound::AtLeast(SHARE_MIN), bench.quick) } else { row };
        rows.push(
            row.detail("data_path", network.data_path)
                .detail("offload", network.offload)
                .detail("scheduling", network.scheduling)
                .detail("timer", network.timer),
        );
    }
    beds.into_iter().try_for_each(Bed::release)?;
    Ok(rows)
}

/// Payload from host 0 to host 1, Gbit/s.
fn bulk(bed: &Bed, flows: usize, time: f64) -> Result<f64, Stop> {
    let receive = format!("tcp-receive --port {PORT} --flows {flows} --skip {SKIP_S} --seconds {time}");
    let receiver = bed.start(1, &receive)?;
    let sender = bed.start(0, &format!("tcp-send --to {}:{PORT} --flows {flows}", bed.address(1)))?;
    let received: TcpReceived = receiver.finish()?;
    let _: Sent = sender.finish()?;
    Ok(received.bytes as f64 * 8e-9 / received.seconds)
}
