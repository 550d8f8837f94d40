//! `broker mqtt`: the crate rmqtt, bounded.

use std::io::{self, Write};
use std::num::NonZeroU16;
use std::time::Duration;

use rmqtt::context::ServerContext;
use rmqtt::net::{Builder, Listener};
use rmqtt::server::MqttServer;

use crate::cli::Mqtt;
use crate::{Failure, signals};

/// Tasks that deliver at once, and tasks that wait for one of these. rmqtt's defaults are for a million clients.
const DELIVERIES: usize = 500;
const DELIVERIES_WAITING: usize = 50_000;
/// How long connections may take to end after a signal.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Runs the broker until a signal comes.
pub(crate) fn run(options: &Mqtt) -> Result<(), Failure> {
    let signals = signals::take()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { what: "start the MQTT runtime", source })?;
    let address = runtime.block_on(async {
        let listener = bind(options)?;
        let address = listener.local_addr().map_err(|error| listen_error(options, &error))?;
        let context = ServerContext::new()
            // Otherwise rmqtt refuses clients while the machine is busy, which an experiment always is.
            .busy_check_enable(false)
            .task_exec_workers(DELIVERIES)
            .task_exec_queue_max(DELIVERIES_WAITING)
            .build()
            .await;
        MqttServer::new(context).listener_by_id(listener, address.port()).build().start();
        Ok::<_, Failure>(address)
    })?;
    println!("ready on {address}");
    // Nobody may be reading; the broker runs all the same.
    let _ = io::stdout().flush();
    signals::wait(signals);
    runtime.shutdown_timeout(SHUTDOWN);
    Ok(())
}

fn bind(options: &Mqtt) -> Result<Listener, Failure> {
    let packet = u32::try_from(options.max_packet.0).unwrap_or(u32::MAX);
    Builder::new()
        .name("mqtt")
        .laddr(options.listen)
        .reuseaddr(Some(true))
        .nodelay(true)
        .allow_anonymous(true)
        .max_connections(options.connections as usize)
        .max_handshaking_limit(options.connections as usize)
        .max_packet_size(packet)
        .max_mqueue_len(options.queue as usize)
        .max_inflight(NonZeroU16::new(options.inflight).unwrap_or(NonZeroU16::MAX))
        .bind()
        .and_then(Listener::tcp)
        .map_err(|error| listen_error(options, &error))
}

fn listen_error(options: &Mqtt, error: &rmqtt::Error) -> Failure {
    let address = options.listen;
    match error.downcast_ref::<io::Error>() {
        Some(cause) if cause.kind() == io::ErrorKind::AddrInUse => Failure::AddressInUse { address },
        _ => Failure::Listen { address, why: error.to_string() },
    }
}
