//! `rumqttc` judges the MQTT broker: versions 5 and 3.1.1 on one port, user properties, large payloads.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails loudly and says what it skips")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rumqttc::{Client, Event, MqttOptions, Packet, QoS, v5};

const PATIENCE: Duration = Duration::from_secs(20);
/// Room for a packet of 1 MiB and its header.
const PACKET: usize = (1 << 20) + 4096;

struct Broker {
    child: Child,
    address: SocketAddr,
}

impl Broker {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_broker"));
        command.args(["mqtt", "--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready on ").unwrap().parse().unwrap();
        Self { child, address }
    }

    fn v5(&self, id: &str) -> (v5::Client, v5::Connection) {
        let mut options = v5::MqttOptions::new(id, self.address.ip().to_string(), self.address.port());
        options.set_max_packet_size(Some(PACKET as u32)).set_keep_alive(Duration::from_secs(10));
        v5::Client::new(options, 100)
    }

    fn v4(&self, id: &str) -> (Client, rumqttc::Connection) {
        let mut options = MqttOptions::new(id, self.address.ip().to_string(), self.address.port());
        options.set_max_packet_size(PACKET, PACKET).set_keep_alive(Duration::from_secs(10));
        Client::new(options, 100)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads events of an MQTT 5 connection until `wanted` gives something.
fn until5<T>(connection: &mut v5::Connection, wanted: impl Fn(v5::mqttbytes::v5::Packet) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match connection.recv_timeout(left).expect("an event in time") {
            Ok(v5::Event::Incoming(packet)) => {
                if let Some(found) = wanted(packet) {
                    return found;
                }
            }
            Ok(v5::Event::Outgoing(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The same for MQTT 3.1.1.
fn until4<T>(connection: &mut rumqttc::Connection, wanted: impl Fn(Packet) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match connection.recv_timeout(left).expect("an event in time") {
            Ok(Event::Incoming(packet)) => {
                if let Some(found) = wanted(packet) {
                    return found;
                }
            }
            Ok(Event::Outgoing(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn published5(packet: v5::mqttbytes::v5::Packet) -> Option<v5::mqttbytes::v5::Publish> {
    match packet {
        v5::mqttbytes::v5::Packet::Publish(publish) => Some(publish),
        _ => None,
    }
}

fn subscribed5(packet: v5::mqttbytes::v5::Packet) -> Option<()> {
    matches!(packet, v5::mqttbytes::v5::Packet::SubAck(_)).then_some(())
}

fn acknowledged5(packet: v5::mqttbytes::v5::Packet) -> Option<()> {
    matches!(packet, v5::mqttbytes::v5::Packet::PubAck(_)).then_some(())
}

fn publish4(packet: Packet) -> Option<rumqttc::Publish> {
    match packet {
        Packet::Publish(publish) => Some(publish),
        _ => None,
    }
}

fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 253) as u8).collect()
}

#[test]
fn frames_and_their_properties_pass_from_v5_to_v5_and_v4() {
    let broker = Broker::start(&[]);
    let (new, mut new_events) = broker.v5("new");
    new.subscribe("cameras/+", v5::mqttbytes::QoS::AtLeastOnce).unwrap();
    until5(&mut new_events, subscribed5);
    let (old, mut old_events) = broker.v4("old");
    old.subscribe("cameras/#", QoS::AtLeastOnce).unwrap();
    until4(&mut old_events, |packet| matches!(packet, Packet::SubAck(_)).then_some(()));

    let (camera, mut camera_events) = broker.v5("camera");
    for bytes in [20_000, 1 << 20] {
        let properties = v5::mqttbytes::v5::PublishProperties {
            user_properties: vec![("camera".into(), "7".into()), ("sequence".into(), "42".into())],
            ..Default::default()
        };
        let qos = v5::mqttbytes::QoS::AtLeastOnce;
        camera.publish_with_properties("cameras/7", qos, false, payload(bytes), properties.clone()).unwrap();
        until5(&mut camera_events, acknowledged5);
        let got = until5(&mut new_events, published5);
        assert_eq!(got.payload.as_ref(), payload(bytes));
        assert_eq!(got.properties.unwrap().user_properties, properties.user_properties);
        let got = until4(&mut old_events, publish4);
        assert_eq!((got.topic.as_str(), got.payload.as_ref()), ("cameras/7", payload(bytes).as_slice()));
        assert_eq!(got.qos, QoS::AtLeastOnce);
    }
    old.publish("cameras/8", QoS::AtLeastOnce, false, "from 3.1.1").unwrap();
    assert_eq!(until4(&mut old_events, publish4).payload.as_ref(), b"from 3.1.1");
    assert_eq!(until5(&mut new_events, published5).payload.as_ref(), b"from 3.1.1");
}

#[test]
fn a_burst_for_a_slow_subscriber_is_kept() {
    let broker = Broker::start(&["--queue", "3000"]);
    let (slow, mut slow_events) = broker.v5("slow");
    slow.subscribe("t", v5::mqttbytes::QoS::AtLeastOnce).unwrap();
    until5(&mut slow_events, subscribed5);
    let (camera, mut camera_events) = broker.v5("camera");
    // More than the window to the subscriber, which reads nothing meanwhile.
    for n in 0..2500_u32 {
        camera.publish("t", v5::mqttbytes::QoS::AtLeastOnce, false, n.to_be_bytes().repeat(250)).unwrap();
        until5(&mut camera_events, acknowledged5);
    }
    for n in 0..2500_u32 {
        let got = until5(&mut slow_events, published5);
        assert_eq!(got.payload[..4], n.to_be_bytes(), "in order, none lost");
    }
}

#[test]
fn a_packet_beyond_the_limit_closes_only_its_connection() {
    let broker = Broker::start(&["--max-packet", "64KiB"]);
    let (big, mut big_events) = broker.v4("big");
    big.publish("t", QoS::AtLeastOnce, false, payload(100_000)).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "the connection stayed open");
        match big_events.recv_timeout(PATIENCE).expect("an event in time") {
            Ok(Event::Incoming(Packet::PubAck(_))) => panic!("a packet beyond the limit was acknowledged"),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    let (small, mut small_events) = broker.v4("small");
    small.publish("t", QoS::AtLeastOnce, false, payload(50_000)).unwrap();
    until4(&mut small_events, |packet| matches!(packet, Packet::PubAck(_)).then_some(()));
}
