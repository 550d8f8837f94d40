//! The embedded brokers: MQTT and Kafka protocol.

fn main() {}
