//! Topics: create them, list them.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::exit::Failure;
use crate::kafka::{self, Topic};
use crate::options::{Brokers, span};

/// Create or list topics.
#[derive(Debug, clap::Args)]
pub(crate) struct TopicArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Create(CreateArgs),
    List(ListArgs),
}

/// Create topics, and wait until each of their partitions has a leader. A topic that exists is fine when it is as asked
/// for.
///
/// With three or more replicas a record counts as written when two of them have it, so that the death of one broker
/// neither loses a record nor stops the writers.
#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Kafka brokers, one or more
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Brokers,
    /// Partitions of each topic
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    partitions: u16,
    /// Brokers on which each partition lies
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    replication: u16,
    /// How long to try
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "10s")]
    timeout: Duration,
    /// The topics
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// List topics with their number of partitions.
#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Kafka brokers, one or more
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Brokers,
    /// How long to try
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "10s")]
    timeout: Duration,
}

/// Runs `cctv topic`; returns the lines to print.
pub(crate) fn run(args: &TopicArgs) -> Result<Vec<String>, Failure> {
    match &args.action {
        Action::Create(args) => create(args),
        Action::List(args) => list(args),
    }
}

fn probe(brokers: &Brokers) -> Result<BaseConsumer, Failure> {
    kafka::consumer(brokers, "cctv-topic", "cctv-topic")
        .create()
        .map_err(|error| Failure::failed(format!("cannot make a Kafka client: {error}")))
}

fn list(args: &ListArgs) -> Result<Vec<String>, Failure> {
    let metadata = probe(&args.kafka)?
        .fetch_metadata(None, args.timeout)
        .map_err(|error| Failure::unreachable(format!("Kafka at {} did not answer: {error}", args.kafka)))?;
    let lines =
        metadata.topics().iter().map(|topic| format!("{} {}", topic.name(), topic.partitions().len()));
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    Ok(lines)
}

fn create(args: &CreateArgs) -> Result<Vec<String>, Failure> {
    let wanted = Topic { partitions: args.partitions.into(), replication: args.replication.into() };
    let options = if wanted.replication >= 3 { &[("min.insync.replicas", "2")][..] } else { &[] };
    ensure(&args.kafka, &args.names, wanted, options, args.timeout)?;
    Ok(args.names.iter().map(|name| format!("{name} {}", wanted.partitions)).collect())
}

/// Creates the topics that are missing, and waits until all of them can be written to.
///
/// # Errors
/// When `timeout` passes first, or a topic exists and is not as `wanted`.
pub(crate) fn ensure(
    brokers: &Brokers,
    names: &[String],
    wanted: Topic,
    options: &[(&str, &str)],
    timeout: Duration,
) -> Result<(), Failure> {
    let probe = probe(brokers)?;
    let deadline = Instant::now() + timeout;
    loop {
        let mut missing = Vec::new();
        let mut trouble = None;
        for name in names {
            match kafka::topic(&probe, name) {
                Ok(Some(found)) => agree(name, found, wanted)?,
                Ok(None) => missing.push(name.as_str()),
                Err(error) => trouble = Some(error),
            }
        }
        if missing.is_empty() && trouble.is_none() {
            return Ok(());
        }
        if let (None, Err(error)) = (&trouble, ask(brokers, &missing, wanted, options)) {
            trouble = Some(error);
        }
        if Instant::now() >= deadline {
            let reason = trouble.unwrap_or_else(|| format!("{missing:?} did not appear"));
            return Err(Failure::unreachable(format!(
                "could not create topics at {brokers} within {timeout:?}: {reason}; are all brokers running?"
            )));
        }
        // A cluster takes a moment until all of it knows a new topic, or a new broker.
        probe.poll(Duration::from_millis(100));
    }
}

fn agree(name: &str, found: Topic, wanted: Topic) -> Result<(), Failure> {
    let figures = [
        ("partitions", found.partitions, wanted.partitions),
        ("replicas of each partition", found.replication, wanted.replication),
    ];
    match figures.iter().find(|(_, found, wanted)| found != wanted) {
        None => Ok(()),
        Some((what, found, wanted)) => Err(Failure::failed(format!(
            "topic {name:?} exists with {found} {what}, not {wanted}; delete it or ask for {found}"
        ))),
    }
}

/// Asks once for these topics; one that exists by now is no error.
fn ask(brokers: &Brokers, missing: &[&str], wanted: Topic, options: &[(&str, &str)]) -> Result<(), String> {
    let admin: AdminClient<DefaultClientContext> =
        kafka::client(brokers, "cctv-topic").create().map_err(|error| error.to_string())?;
    let topic = |name| {
        let replication = TopicReplication::Fixed(wanted.replication);
        let topic = NewTopic::new(name, wanted.partitions, replication);
        options.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
    };
    let topics: Vec<_> = missing.iter().map(|name| topic(name)).collect();
    let patience = Some(Duration::from_secs(5));
    let options = AdminOptions::new().request_timeout(patience).operation_timeout(patience);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let answers =
        runtime.block_on(admin.create_topics(&topics, &options)).map_err(|error| error.to_string())?;
    let refused = answers.into_iter().filter_map(Result::err);
    let refused = refused.filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists);
    let reasons: Vec<String> = refused.map(|(name, code)| format!("{name}: {code}")).collect();
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
}
