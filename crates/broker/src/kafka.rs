//! `broker kafka`.

use std::io::Write;

use kafka_log::{Advertised, Config, EventSink, Server};

use crate::cli::Kafka;
use crate::{Failure, signals};

/// Runs the log until a signal comes.
pub(crate) fn run(options: &Kafka) -> Result<(), Failure> {
    let signals = signals::take()?;
    let server = Server::start(config(options))?;
    println!("ready on {}", server.address());
    // Nobody may be reading; the broker runs all the same.
    let _ = std::io::stdout().flush();
    signals::wait(signals);
    server.shutdown();
    Ok(())
}

fn config(options: &Kafka) -> Config {
    let mut config = Config::new(options.listen, &options.data);
    let advertise = options.advertise.clone();
    config.advertise = advertise.map(|at| Advertised { host: at.host, port: at.port });
    config.retention_bytes = options.retention_bytes.0;
    config.retention_bytes_total = match options.retention_bytes_total {
        Some(size) => size.0,
        None => config.retention_bytes_total.max(options.retention_bytes.0),
    };
    config.retention = options.retention_ms.0;
    config.segment_bytes = options.segment_bytes.0;
    config.message_bytes_max = usize::try_from(options.message_max_bytes.0).unwrap_or(usize::MAX);
    config.auto_create_topics = options.auto_create_topics;
    config.partitions_default = options.partitions;
    let room = config.message_bytes_max.saturating_add(1 << 20);
    config.limits.request_bytes_max = config.limits.request_bytes_max.max(room);
    config.limits.request_bytes_total =
        config.limits.request_bytes_total.max(config.limits.request_bytes_max);
    config.events = EventSink::new(|event| eprintln!("broker kafka: {event}"));
    config
}
