//! Round trips over links without delay: what the emulator's path adds.

use super::bed::{Bed, pair};
use super::row::{Bound, Comparison, Row};
use super::statistics::percentile;
use super::{Bench, Stop};
use crate::traffic::{Sent, Trips};

const PORT: u16 = 5003;
/// Pause between round trips, microseconds: a moderate pace, so that each meets an idle machine.
const PACE_US: u64 = 1000;
/// Less than this is added to the median, microseconds.
const ADDED_MAX: f64 = 30.0;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>, Stop> {
    let (rounds, count) = bench.choose((5, 2000), (1, 100));
    let beds = Bed::both(bench, &pair())?;
    let mut rows = Vec::new();
    for icmp in [true, false] {
        bench.say(format_args!(
            "{} round trips, {rounds} rounds of {count}",
            if icmp { "ICMP" } else { "UDP" }
        ));
        let mut trips = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (bed, trips) in beds.iter().zip(&mut trips) {
                trips.push(if icmp { echo(bed, count)? } else { ping_pong(bed, count)? });
            }
        }
        let [bridge, emulator] = trips;
        rows.extend(rows_of(bench, icmp, &bridge, &emulator));
    }
    beds.into_iter().try_for_each(Bed::release)?;
    Ok(rows)
}

/// Medians and 99th percentiles; each round's is one repetition.
fn rows_of(bench: &Bench, icmp: bool, bridge: &[Vec<f64>], emulator: &[Vec<f64>]) -> [Row; 2] {
    let (name, what) = if icmp { ("icmp", "round trip, ICMP") } else { ("udp", "round trip, UDP ping-pong") };
    let each =
        |rounds: &[Vec<f64>], share: f64| rounds.iter().map(|trips| percentile(trips, share)).collect();
    [(50, 0.5), (99, 0.99)].map(|(percent, share)| {
        let row = Row::new(
            format!("latency-{name}-p{percent}"),
            format!("{what}, p{percent}"),
            "us",
            each(emulator, share),
        );
        let row = row.against_bridge(each(bridge, share), Comparison::Difference);
        if icmp && percent == 50 { row.bound(Bound::Below(ADDED_MAX), bench.quick) } else { row }
    })
}

fn echo(bed: &Bed, count: u32) -> Result<Vec<f64>, Stop> {
    let command = format!("echo --to {}:0 --count {count} --interval-us {PACE_US}", bed.address(1));
    micros(bed.start(0, &command)?.finish()?)
}

fn ping_pong(bed: &Bed, count: u32) -> Result<Vec<f64>, Stop> {
    let answer = bed.start(1, &format!("udp-answer --port {PORT}"))?;
    let trips =
        bed.start(0, &format!("udp-echo --to {}:{PORT} --count {count}", bed.address(1)))?.finish()?;
    let _: Sent = answer.finish()?;
    micros(trips)
}

fn micros(trips: Trips) -> Result<Vec<f64>, Stop> {
    if trips.unanswered > 0 {
        return Err(Stop::Measurement(format!("{} round trips were not answered", trips.unanswered)));
    }
    Ok(trips.nanos.iter().map(|nanos| *nanos as f64 / 1e3).collect())
}
