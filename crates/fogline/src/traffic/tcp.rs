//! Bulk TCP.

use super::{ANY, Sent, TcpAnswer, TcpReceive, TcpReceived, TcpSend, seconds, timed_out, wait_until};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long connections may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one attempt to connect to the next.
const RETRY: Duration = Duration::from_millis(10);
/// Read at once.
const READ_BYTES: usize = 128 << 10;
/// Longest silence of a connection, after which it is looked at again.
const SILENCE: Duration = Duration::from_millis(100);
/// A paced sender that is late by more than this goes on from now.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Takes all connections, then counts payload as it is read.
pub(super) fn receive(args: &TcpReceive) -> io::Result<TcpReceived> {
    let listener = TcpListener::bind((ANY, args.port))?;
    let streams = accept(&listener, args.flows)?;
    let (from, length) = (Instant::now() + seconds(args.skip)?, seconds(args.seconds)?);
    let (bytes, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let readers: Vec<_> = streams
            .into_iter()
            .map(|stream| scope.spawn(|| count(stream, from..from + length, &bytes, &done)))
            .collect();
        wait_until(from + length);
        done.store(true, Ordering::Relaxed);
        readers.into_iter().try_for_each(|reader| {
            reader.join().unwrap_or_else(|_| Err(io::Error::other("a reader panicked")))
        })
    })?;
    Ok(TcpReceived { bytes: bytes.into_inner(), seconds: length.as_secs_f64() })
}

fn accept(listener: &TcpListener, flows: usize) -> io::Result<Vec<TcpStream>> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + PATIENCE;
    let mut streams = Vec::with_capacity(flows);
    while streams.len() < flows {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(SILENCE))?;
                streams.push(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if Instant::now() > deadline {
                    return Err(timed_out(&format!("{} of {flows} connections came", streams.len())));
                }
                wait_until(Instant::now() + RETRY);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(streams)
}

/// Adds what arrives within `counted` to `bytes`; ends the connection when `done`.
fn count(
    mut stream: TcpStream,
    counted: std::ops::Range<Instant>,
    bytes: &AtomicU64,
    done: &AtomicBool,
) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    while !done.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the sender ended first")),
            Ok(length) if counted.contains(&Instant::now()) => {
                bytes.fetch_add(length as u64, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(error) if super::is_busy(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Answers every connection on a thread of its own; how many there were.
pub(super) fn answer(args: &TcpAnswer) -> io::Result<Sent> {
    let listener = TcpListener::bind((ANY, args.port))?;
    listener.set_nonblocking(true)?;
    let (start, patience) = (Instant::now(), seconds(args.patience)?);
    let mut sent = Sent::default();
    while start.elapsed() < patience {
        match listener.accept() {
            Ok((stream, _)) => {
                sent.packets += 1;
                stream.set_nonblocking(false)?;
                // A connection that breaks ends its thread alone.
                thread::Builder::new().spawn(move || send_back(&stream))?;
            }
            Err(error) if super::is_busy(&error) => wait_until(Instant::now() + RETRY),
            Err(error) => return Err(error),
        }
    }
    sent.seconds = start.elapsed().as_secs_f64();
    Ok(sent)
}

fn send_back(mut stream: &TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match stream.read(&mut buffer)? {
            0 => return stream.shutdown(Shutdown::Write),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

/// Connects, and sends until the receiver closes.
pub(super) fn send(args: &TcpSend) -> io::Result<Sent> {
    let streams: Vec<TcpStream> = (0..args.flows).map(|_| connect(args.to)).collect::<io::Result<_>>()?;
    let pause = args.rate.map(|rate| args.block as f64 * 8.0 / rate).map(seconds).transpose()?;
    let start = Instant::now();
    let blocks = thread::scope(|scope| {
        let senders: Vec<_> =
            streams.into_iter().map(|stream| scope.spawn(move || fill(stream, args.block, pause))).collect();
        let joined = senders
            .into_iter()
            .map(|sender| sender.join().unwrap_or_else(|_| Err(io::Error::other("a sender panicked"))));
        joined.sum::<io::Result<u64>>()
    })?;
    Ok(Sent { packets: blocks, refused: 0, seconds: start.elapsed().as_secs_f64() })
}

/// The receiver may not be listening yet.
fn connect(to: SocketAddrV4) -> io::Result<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect_timeout(&to.into(), PATIENCE) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline => {
                wait_until(Instant::now() + RETRY);
            }
            result => return result,
        }
    }
}

/// Writes blocks, one per `pause` where there is one, until the other side has closed; how many.
fn fill(mut stream: TcpStream, block: usize, pause: Option<Duration>) -> io::Result<u64> {
    stream.set_nodelay(true)?;
    let block = vec![1; block];
    let mut blocks = 0;
    let mut due = Instant::now();
    loop {
        if let Some(pause) = pause {
            wait_until(due);
            let late = Instant::now().checked_sub(CATCH_UP).unwrap_or(due);
            due = due.max(late) + pause;
        }
        match stream.write_all(&block) {
            Ok(()) => blocks += 1,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                return Ok(blocks);
            }
            Err(error) => return Err(error),
        }
    }
}
