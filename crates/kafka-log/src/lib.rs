//! A one-node log that speaks Kafka's protocol.
