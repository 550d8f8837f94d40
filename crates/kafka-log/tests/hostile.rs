//! Bytes that are not Kafka's protocol, and clients that misbehave: the server must not care.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails loudly and says what it skips")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use support::{Fixture, PATIENCE};

fn connect(fixture: &Fixture) -> TcpStream {
    let stream = TcpStream::connect(fixture.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes(), body].concat()
}

fn exchange(stream: &mut TcpStream, body: &[u8]) -> Vec<u8> {
    stream.write_all(&frame(body)).unwrap();
    let mut size = [0; 4];
    stream.read_exact(&mut size).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// The server still answers: Metadata 1 about everything names one broker.
fn assert_alive(fixture: &Fixture) {
    let answer =
        exchange(&mut connect(fixture), &[0, 3, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(answer[..8], [0, 0, 0, 9, 0, 0, 0, 1]);
}

/// Writes bytes, says that nothing follows, and reads until the server closes; it may close before that.
fn throw(fixture: &Fixture, bytes: &[u8]) {
    let mut stream = connect(fixture);
    if stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write)).is_ok() {
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the server hangs"),
        }
    }
}

#[test]
fn random_bytes_close_the_connection_and_nothing_else() {
    let fixture = Fixture::start();
    fixture.create_topic("t", 3);
    let raw = prop::collection::vec(any::<u8>(), 0..300);
    let framed = raw.clone().prop_map(|body| frame(&body));
    let headed = (0_u8..70, 0_u8..14, raw.clone()).prop_map(|(key, version, body)| {
        frame(&[&[0, key, 0, version, 0, 0, 0, 1, 0, 1, b'c'], body.as_slice()].concat())
    });
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 600, failure_persistence: None, ..Default::default() });
    runner
        .run(&prop_oneof![raw, framed, headed], |bytes| {
            throw(&fixture, &bytes);
            Ok(())
        })
        .unwrap();
    assert_alive(&fixture);
}

#[test]
fn unknown_versions_are_answered_in_version_0() {
    let fixture = Fixture::start();
    let answer = exchange(&mut connect(&fixture), &[0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff]);
    assert_eq!(answer[..6], [0, 0, 0, 5, 0, 35], "UNSUPPORTED_VERSION");
    assert!(answer.len() > 100, "with the versions that are served");
    throw(&fixture, &frame(&[0, 3, 0, 99, 0, 0, 0, 5, 0xff, 0xff]));
    throw(&fixture, &frame(&[0, 17, 0, 0, 0, 0, 0, 5, 0xff, 0xff]));
    assert!(
        fixture.events.lock().unwrap().iter().any(|event| event.contains("Metadata requests are served"))
    );
    assert_alive(&fixture);
}

#[test]
fn oversized_requests_are_refused_without_reading_them() {
    let fixture = Fixture::start();
    for size in [i32::MAX, i32::MIN, -1, 17 << 20] {
        throw(&fixture, &size.to_be_bytes());
    }
    let events = fixture.events.lock().unwrap();
    assert_eq!(events.iter().filter(|event| event.contains("at most 16777216")).count(), 4, "{events:?}");
    drop(events);
    assert_alive(&fixture);
}

#[test]
fn connections_beyond_the_limit_are_closed_and_free_again_later() {
    let fixture = Fixture::with(|config| config.limits.connections_max = 3);
    let open: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = connect(&fixture);
            exchange(&mut stream, &[0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
            stream
        })
        .collect();
    let mut refused = connect(&fixture);
    assert_eq!(refused.read(&mut [0]).unwrap(), 0);
    drop(open);
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let mut stream = connect(&fixture);
        let sent = stream.write_all(&frame(&[0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]));
        if sent.is_ok() && stream.read(&mut [0; 4]).is_ok_and(|count| count > 0) {
            break;
        }
        assert!(std::time::Instant::now() < deadline);
    }
}

#[test]
fn half_a_request_does_not_hold_the_server() {
    let fixture = Fixture::with(|config| config.limits.transfer = Duration::from_millis(300));
    let mut stalled = connect(&fixture);
    stalled.write_all(&[0, 0, 1, 0, 0, 3]).unwrap();
    assert_eq!(stalled.read(&mut [0]).unwrap(), 0, "closed after the time for a transfer");
    let waiting = connect(&fixture);
    assert_alive(&fixture);
    drop((waiting, fixture));
}

#[test]
fn two_servers_cannot_share_a_folder_or_a_port() {
    let fixture = Fixture::start();
    let same_folder = kafka_log::Config::new(([127, 0, 0, 1], 0).into(), fixture.dir.path());
    let refused = kafka_log::Server::start(same_folder).unwrap_err();
    assert!(matches!(refused, kafka_log::StartError::DataInUse { .. }), "{refused}");
    let other = tempfile::tempdir().unwrap();
    let same_port = kafka_log::Config::new(fixture.address().parse().unwrap(), other.path());
    let refused = kafka_log::Server::start(same_port).unwrap_err();
    assert!(refused.to_string().contains("ss -ltnp 'sport = :"), "{refused}");
    let mut anywhere = kafka_log::Config::new(([0, 0, 0, 0], 0).into(), other.path());
    assert!(kafka_log::Server::start(anywhere.clone()).unwrap_err().to_string().contains("advertise"));
    anywhere.retention_bytes = 10;
    assert!(kafka_log::Server::start(anywhere).unwrap_err().to_string().contains("retention_bytes is 10"));
}
