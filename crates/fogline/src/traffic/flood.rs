//! More than anything can carry.

use super::{ANY, Flood, Sent, Spin, is_busy, seconds};
use std::io;
use std::net::UdpSocket;
use std::time::Instant;

/// Datagrams sent without looking at the clock.
const RUN: u32 = 64;

/// Sends as fast as the kernel takes it.
pub(super) fn flood(args: &Flood) -> io::Result<Sent> {
    let socket = UdpSocket::bind((ANY, 0))?;
    let (payload, time) = (vec![0; args.payload], seconds(args.seconds)?);
    let (start, mut sent) = (Instant::now(), Sent::default());
    while start.elapsed() < time {
        for _ in 0..RUN {
            match socket.send_to(&payload, args.to) {
                Ok(_) => sent.packets += 1,
                Err(error) if is_busy(&error) => sent.refused += 1,
                Err(error) => return Err(error),
            }
        }
    }
    sent.seconds = start.elapsed().as_secs_f64();
    Ok(sent)
}

/// Takes processor time from everybody else.
pub(super) fn spin(args: &Spin) -> Sent {
    let start = Instant::now();
    let rounds = std::thread::scope(|scope| {
        let spin = || {
            let mut rounds = 0_u64;
            while start.elapsed().as_secs_f64() < args.seconds {
                rounds += 1;
            }
            rounds
        };
        let threads: Vec<_> = (0..args.threads).map(|_| scope.spawn(spin)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    });
    Sent { packets: rounds, refused: 0, seconds: start.elapsed().as_secs_f64() }
}
