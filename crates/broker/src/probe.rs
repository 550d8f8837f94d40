//! `broker probe`: asks a broker in its own protocol, again and again until it answers or the time is over.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::cli::{Probe, Protocol};

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(25);
/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Waits for the broker.
pub(crate) fn run(options: &Probe) -> Result<(), Failure> {
    let deadline = Instant::now() + options.timeout;
    loop {
        let reason = match attempt(options, deadline) {
            Ok(()) => return Ok(()),
            Err(reason) => reason,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let protocol = match options.protocol {
                Protocol::Mqtt => "MQTT",
                Protocol::Kafka => "Kafka's protocol",
            };
            let (address, waited) = (&options.address, options.timeout);
            return Err(Failure::NotReady(format!(
                "{address} does not speak {protocol} after {waited:?}; last attempt: {reason}"
            )));
        }
        thread::park_timeout(PAUSE.min(left));
    }
}

fn attempt(options: &Probe, deadline: Instant) -> io::Result<()> {
    let mut reason = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in options.address.to_socket_addrs()? {
        match ask(options.protocol, &address, deadline) {
            Ok(()) => return Ok(()),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

fn ask(protocol: Protocol, address: &SocketAddr, deadline: Instant) -> io::Result<()> {
    let patience = deadline.saturating_duration_since(Instant::now()).clamp(PAUSE, ANSWER);
    let mut stream = TcpStream::connect_timeout(address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    match protocol {
        Protocol::Mqtt => ask_mqtt(&mut stream),
        Protocol::Kafka => ask_kafka(&mut stream),
    }
}

/// CONNECT of MQTT 3.1.1 with a clean session and no client id; the answer is CONNACK with return code 0.
fn ask_mqtt(stream: &mut TcpStream) -> io::Result<()> {
    const CONNECT: [u8; 14] = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 10, 0, 0];
    const DISCONNECT: [u8; 2] = [0xe0, 0];
    stream.write_all(&CONNECT)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if answer[..2] != [0x20, 2] || answer[3] != 0 {
        return Err(io::Error::other(format!("CONNECT was answered with {answer:02x?}")));
    }
    stream.write_all(&DISCONNECT)
}

/// ApiVersions 0 and Metadata 1 without topics; both answers carry our correlation ids, the first no error.
fn ask_kafka(stream: &mut TcpStream) -> io::Result<()> {
    const API_VERSIONS: [u8; 10] = [0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    const METADATA: [u8; 14] = [0, 3, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0, 0, 0, 0];
    let versions = exchange(stream, &API_VERSIONS)?;
    if versions.get(..6) != Some([0, 0, 0, 1, 0, 0].as_slice()) {
        return Err(io::Error::other("ApiVersions was answered with an error or not at all"));
    }
    let metadata = exchange(stream, &METADATA)?;
    let brokers = metadata.get(4..8);
    if metadata.get(..4) != Some([0, 0, 0, 2].as_slice()) || brokers == Some([0, 0, 0, 0].as_slice()) {
        return Err(io::Error::other("Metadata names no broker"));
    }
    Ok(())
}

fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    const ANSWER_LEN_MAX: u32 = 1 << 20;
    let len = u32::try_from(request.len()).map_err(io::Error::other)?;
    let frame = [len.to_be_bytes().as_slice(), request].concat();
    stream.write_all(&frame)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = u32::from_be_bytes(size);
    if size > ANSWER_LEN_MAX {
        return Err(io::Error::other(format!("an answer of {size} bytes")));
    }
    let mut answer = vec![0; size as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
