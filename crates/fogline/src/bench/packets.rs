//! Small datagrams as fast as one sender makes them.

use super::bed::{Bed, pair};
use super::row::{Comparison, Row};
use super::statistics::median;
use super::{Bench, Stop};
use crate::traffic::{Sent, UdpReceived};

const PORT: u16 = 5002;
const PAYLOAD: usize = 100;

/// What arrived in one round, thousands per second, and which part did not.
struct Round {
    thousands_per_s: f64,
    missing: f64,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>, Stop> {
    let (rounds, time) = bench.choose((5, 2.0), (1, 0.3));
    bench.say(format_args!("datagrams of {PAYLOAD} bytes, {rounds} rounds"));
    let beds = Bed::both(bench, &pair())?;
    let mut results = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (bed, results) in beds.iter().zip(&mut results) {
            results.push(flood(bed, time)?);
        }
    }
    beds.into_iter().try_for_each(Bed::release)?;
    let [bridge, emulator] = results;
    let of = |rounds: &[Round], value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
    let missing = |rounds: &[Round]| median(&of(rounds, |round| round.missing));
    let speed = |rounds: &[Round]| of(rounds, |round| round.thousands_per_s);
    let row = Row::new("packets", format!("UDP of {PAYLOAD} bytes, received"), "kpps", speed(&emulator))
        .against_bridge(speed(&bridge), Comparison::Ratio)
        .detail("missing_share_bridge", missing(&bridge))
        .detail("missing_share_emulator", missing(&emulator));
    let loss = Row::new(
        "packets-missing",
        format!("UDP of {PAYLOAD} bytes, missing at that speed"),
        "%",
        of(&emulator, |round| round.missing * 100.0),
    );
    let loss = loss.against_bridge(of(&bridge, |round| round.missing * 100.0), Comparison::Difference);
    Ok(vec![row, loss])
}

fn flood(bed: &Bed, time: f64) -> Result<Round, Stop> {
    let receiver = bed.start(1, &format!("udp-receive --port {PORT}"))?;
    let send = format!("udp-send --to {}:{PORT} --payload {PAYLOAD} --seconds {time}", bed.address(1));
    let _: Sent = bed.start(0, &send)?.finish()?;
    let received: UdpReceived = receiver.finish()?;
    Ok(Round {
        thousands_per_s: received.rate_packets as f64 / received.rate_seconds / 1e3,
        missing: 1.0 - received.packets as f64 / received.sent as f64,
    })
}
