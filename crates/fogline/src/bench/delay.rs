//! How far delays are off under a moderate load: a ring of hosts, each of which sends to the next.

use super::bed::{Bed, Way, plan};
use super::row::{Bound, Row};
use super::statistics::percentile;
use super::{Bench, Stop};
use crate::traffic::{Sent, UdpReceived};
use fogline_plan::Profile;
use units::Delay;

const PORT: u16 = 5004;
const HOSTS: usize = 14;
const DELAY: Delay = Delay::from_millis(50);
/// Of all hosts together.
const PACKETS_PER_S: f64 = 3000.0;
const PAYLOAD: usize = 200;
/// The 99th percentile of the error is below this, milliseconds.
const ERROR_MAX: f64 = 0.2;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>, Stop> {
    let (rounds, time) = bench.choose((3, 5.0), (1, 0.5));
    let profile = Profile { delay: DELAY, ..Profile::default() };
    let ring: Vec<_> = (0..HOSTS).map(|host| (host, (host + 1) % HOSTS, profile)).collect();
    let bed = Bed::deploy(bench, &plan(HOSTS, &ring), Way::Emulator)?;
    bench.say(format_args!("delay of {DELAY}, {HOSTS} hosts, {PACKETS_PER_S} packets/s, {rounds} rounds"));
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(errors(&bed, time)?);
    }
    let network = bed.network()?;
    bed.release()?;
    let of = |share: f64| all.iter().map(|errors| percentile(errors, share)).collect::<Vec<_>>();
    let what = |which: &str| format!("delay {DELAY}, {HOSTS} hosts, 3,000 packets/s: error, {which}");
    let packets: usize = all.iter().map(Vec::len).sum();
    let p99 = Row::new("delay-error-p99", what("p99"), "ms", of(0.99))
        .bound(Bound::Below(ERROR_MAX), bench.quick)
        .detail("packets", packets)
        .detail("emulator_lateness_p50_ns", network.lateness.p50_ns)
        .detail("emulator_lateness_p99_ns", network.lateness.p99_ns)
        .detail("emulator_lateness_max_ns", network.lateness.max_ns);
    let early = all.iter().flatten().filter(|error| **error < 0.0).count();
    let p50 = Row::new("delay-error-p50", what("p50"), "ms", of(0.5)).detail("early_packets", early);
    Ok(vec![p50, p99, Row::new("delay-error-max", what("max"), "ms", of(1.0))])
}

/// Kernel's receive stamp less sender's stamp less the delay asked for, milliseconds, of every datagram.
fn errors(bed: &Bed, time: f64) -> Result<Vec<f64>, Stop> {
    let pace = PACKETS_PER_S / HOSTS as f64;
    let receive = format!("udp-receive --port {PORT} --delays");
    let receivers = (0..HOSTS).map(|host| bed.start(host, &receive)).collect::<Result<Vec<_>, _>>()?;
    let send = |host: usize| {
        let to = bed.address((host + 1) % HOSTS);
        bed.start(
            host,
            &format!("udp-send --to {to}:{PORT} --payload {PAYLOAD} --pace {pace} --seconds {time}"),
        )
    };
    let senders = (0..HOSTS).map(send).collect::<Result<Vec<_>, _>>()?;
    for sender in senders {
        let _: Sent = sender.finish()?;
    }
    let mut errors = Vec::new();
    for receiver in receivers {
        let received: UdpReceived = receiver.finish()?;
        let asked = i64::try_from(DELAY.nanos()).unwrap_or(i64::MAX);
        errors.extend(received.delays_ns.iter().map(|delay| (delay - asked) as f64 / 1e6));
    }
    Ok(errors)
}
