//! A gateway: frames in over MQTT, gated or counted, out to Kafka.

mod ackline;
mod flow;
mod forward;
mod intake;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;
use rumqttc::v5::{AsyncClient, EventLoop};

use crate::counters::CounterName;
use crate::exit::Failure;
use crate::kafka;
use crate::mqtt;
use crate::options::{Brokers, Endpoint, span};
use crate::presence::Presence;
use crate::signals;
use crate::tally::{Tally, UNDRAINED};
use flow::{Flow, LATENCY};
use forward::Forward;
use intake::{Intake, Progress};
use worker::{Item, Process, Work, Worker};

/// How long the broker keeps the session, and with it unacknowledged frames, of a gateway that is away.
const SESSION_EXPIRY_S: u32 = 600;

/// Room for an acknowledgement of every MQTT packet identifier, so that acknowledging never waits.
const CLIENT_QUEUE: usize = 66_000;

/// Forward the frames of all cameras of an MQTT broker to Kafka.
///
/// Subscribes to `cameras/+/frames`, drops second deliveries, stamps and processes each frame, and produces
/// it to Kafka keyed by its camera (acks=all, idempotent). A frame is acknowledged to the MQTT broker only
/// after Kafka has it, so a gateway that dies loses nothing. At most `--queue` frames are inside at a time;
/// the rest waits at the broker, also while Kafka is away. A frame that Kafka does not take within two minutes is dropped
/// as `kafka`. A broken header, an unreadable picture and a count of more than 10000
/// cameras drop the frame, counted by reason.
///
/// SIGTERM drains: the gateway goes on until every camera it has seen has sent its end marker and Kafka has
/// everything, or until `--drain-timeout`.
#[derive(Debug, clap::Args)]
pub(crate) struct GatewayArgs {
    /// Name of the gateway: 1 to 64 characters of A-Z a-z 0-9 . _ -
    #[arg(long)]
    id: String,
    /// The MQTT broker
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883")]
    mqtt: Endpoint,
    /// Kafka brokers, one or more
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Brokers,
    /// Topic to produce to
    #[arg(long, default_value = "in-uni-data")]
    topic: String,
    /// What to do to a frame
    #[arg(long, value_enum, default_value_t = Process::Gate)]
    process: Process,
    /// Who counts with `--process count`
    #[arg(long, value_enum, default_value_t = CounterName::Motion)]
    counter: CounterName,
    /// With `--process gate`: drop frames on which nothing moves (reason `still`) instead of forwarding their
    /// count of zero
    #[arg(long)]
    drop_still: bool,
    /// Kafka producer: largest batch
    #[arg(long, value_name = "BYTES", default_value_t = 200_000)]
    batch_size: u32,
    /// Kafka producer: how long a batch waits to fill
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    linger: u64,
    /// Folder for metrics, pid and ready files
    #[arg(long, value_name = "DIR")]
    metrics: PathBuf,
    /// Threads that process frames; those of one camera stay in order
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Most frames inside the gateway at a time (the MQTT receive maximum)
    #[arg(long, value_name = "FRAMES", default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    queue: u16,
    /// How long to try to reach the brokers at the start
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "10s")]
    connect_timeout: Duration,
    /// How long to drain after SIGTERM
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "30s")]
    drain_timeout: Duration,
}

/// Runs the gateway to its end.
pub(crate) fn run(args: &GatewayArgs) -> Result<(), Failure> {
    let presence = Presence::announce(&args.metrics, "gateway", &args.id)?;
    let tally = Tally::create(&args.metrics, "gateway", &args.id, LATENCY)?;
    let stop = signals::stop_flag()?;
    let name = format!("gateway-{}", args.id);
    let probe: BaseConsumer = kafka::consumer(&args.kafka, &name, &name)
        .create()
        .map_err(|error| Failure::failed(format!("cannot make a Kafka client: {error}")))?;
    kafka::await_topic(&probe, &args.kafka, &args.topic, args.connect_timeout)?;
    drop(probe);

    let (client, events) = AsyncClient::new(mqtt_options(args, &name), CLIENT_QUEUE);
    let flow = Arc::new(Flow::new(client.clone(), tally.clone()));
    let linger = Duration::from_millis(args.linger);
    let config = kafka::producer(&args.kafka, &name, args.batch_size, linger);
    let forward = Arc::new(Forward::new(&config, &args.topic, Arc::clone(&flow))?);
    let (workers, threads) = start_workers(args, &flow, &forward)?;
    let progress = Arc::new(Progress::default());
    let intake = Intake { client, flow: Arc::clone(&flow), workers, progress };

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the event loop: {error}")))?;
    let outcome = runtime.block_on(live(args, &intake, events, &presence, &stop));
    drop(intake);
    threads.into_iter().for_each(|thread| {
        // A worker that panicked has printed why; its frames stay open in the account.
        let _ = thread.join();
    });
    forward.flush(Duration::from_secs(2));
    close(args, &tally, &flow, outcome)
}

fn mqtt_options(args: &GatewayArgs, name: &str) -> rumqttc::v5::MqttOptions {
    let mut options = mqtt::options(name, &args.mqtt, Duration::from_secs(60));
    options
        .set_manual_acks(true)
        .set_clean_start(false)
        .set_session_expiry_interval(Some(SESSION_EXPIRY_S))
        .set_receive_maximum(Some(args.queue));
    options
}

type Workers = (Vec<SyncSender<Item>>, Vec<JoinHandle<()>>);

fn start_workers(args: &GatewayArgs, flow: &Arc<Flow>, forward: &Arc<Forward>) -> Result<Workers, Failure> {
    let work = Work { process: args.process, counter: args.counter, drop_still: args.drop_still };
    let (mut senders, mut threads) = (Vec::new(), Vec::new());
    for number in 0..args.workers {
        let worker = Worker::new(work, Arc::clone(flow), Arc::clone(forward))?;
        let (sender, items) = sync_channel(usize::from(args.queue));
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || worker.run(&items))
            .map_err(|error| Failure::failed(format!("cannot start a worker: {error}")))?;
        senders.push(sender);
        threads.push(thread);
    }
    Ok((senders, threads))
}

/// The gateway's life beside its data: subscribe, tick, drain, good-bye. Says which cameras were still open.
async fn live(
    args: &GatewayArgs,
    intake: &Intake,
    events: EventLoop,
    presence: &Presence,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<String>, Failure> {
    tokio::select! {
        biased;
        outcome = watch(args, intake, presence, stop) => outcome,
        outcome = intake.drive(events) => outcome.map(|()| Vec::new()),
    }
}

async fn watch(
    args: &GatewayArgs,
    intake: &Intake,
    presence: &Presence,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<String>, Failure> {
    let mut pulse = tokio::time::interval(Duration::from_millis(100));
    pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let started = Instant::now();
    while !intake.progress.subscribed.load(Ordering::Acquire) {
        if started.elapsed() >= args.connect_timeout {
            return Err(Failure::unreachable(format!(
                "the MQTT broker at {} did not confirm a subscription within {:?}; is it running?",
                args.mqtt, args.connect_timeout
            )));
        }
        pulse.tick().await;
    }
    presence.ready()?;
    let mut drain_since: Option<Instant> = None;
    loop {
        pulse.tick().await;
        intake.flow.tally.tick()?;
        if stop.load(Ordering::Relaxed) {
            let since = *drain_since.get_or_insert_with(Instant::now);
            let open = intake.flow.open_cameras();
            if (open.is_empty() && intake.flow.is_empty()) || since.elapsed() >= args.drain_timeout {
                goodbye(intake, &mut pulse).await;
                return Ok(open);
            }
        }
    }
}

/// Disconnects after the acknowledgements that are still queued, and gives that a second.
async fn goodbye(intake: &Intake, pulse: &mut tokio::time::Interval) {
    if intake.client.try_disconnect().is_err() {
        return;
    }
    let asked = Instant::now();
    while !intake.progress.closed.load(Ordering::Acquire) && asked.elapsed() < Duration::from_secs(1) {
        pulse.tick().await;
    }
}

/// Writes the final account and turns what is left open into the exit code.
fn close(
    args: &GatewayArgs,
    tally: &Tally,
    flow: &Flow,
    outcome: Result<Vec<String>, Failure>,
) -> Result<(), Failure> {
    tally.note(|recorder| {
        recorder.fact("missing_frames", flow.missing());
        recorder.fact("process", format!("{:?}", args.process).to_lowercase());
        if let Ok(open) = &outcome
            && !open.is_empty()
        {
            recorder.fact(UNDRAINED, open.clone());
        }
    });
    let account = tally.finish("unfinished")?;
    let open = outcome?;
    let unfinished = account.total().dropped.get("unfinished").copied().unwrap_or(0);
    if open.is_empty() && unfinished == 0 {
        return Ok(());
    }
    Err(Failure::incomplete(format!(
        "gateway {}: the drain ended after {:?} with {unfinished} frames under way and without the end \
         markers of {} cameras: {}",
        args.id,
        args.drain_timeout,
        open.len(),
        crate::exit::shortened(&open)
    )))
}
