//! Topics: create them, list them.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::exit::Failure;
use crate::kafka;
use crate::options::{Endpoint, span};

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

/// Create topics. One that exists with the same number of partitions is fine, one with another number is not.
#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// A Kafka broker
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Endpoint,
    /// Partitions of each topic
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    partitions: u16,
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
    /// A Kafka broker
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Endpoint,
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

fn probe(broker: &Endpoint) -> Result<BaseConsumer, Failure> {
    kafka::consumer(broker, "cctv-topic", "cctv-topic")
        .create()
        .map_err(|error| Failure::failed(format!("cannot make a Kafka client: {error}")))
}

fn list(args: &ListArgs) -> Result<Vec<String>, Failure> {
    let metadata = probe(&args.kafka)?.fetch_metadata(None, args.timeout).map_err(|error| {
        Failure::unreachable(format!("the Kafka broker at {} did not answer: {error}", args.kafka))
    })?;
    let lines =
        metadata.topics().iter().map(|topic| format!("{} {}", topic.name(), topic.partitions().len()));
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    Ok(lines)
}

fn create(args: &CreateArgs) -> Result<Vec<String>, Failure> {
    let probe = probe(&args.kafka)?;
    let deadline = Instant::now() + args.timeout;
    let wanted = i32::from(args.partitions);
    loop {
        let mut missing = Vec::new();
        let mut trouble = None;
        for name in &args.names {
            match kafka::partitions(&probe, name) {
                Ok(Some(found)) if found == wanted => {}
                Ok(Some(found)) => {
                    return Err(Failure::failed(format!(
                        "topic {name:?} exists with {found} partitions, not {wanted}; \
                         delete it or ask for {found}"
                    )));
                }
                Ok(None) => missing.push(name.as_str()),
                Err(error) => trouble = Some(error),
            }
        }
        if missing.is_empty() && trouble.is_none() {
            return Ok(args.names.iter().map(|name| format!("{name} {wanted}")).collect());
        }
        if let (None, Err(error)) = (&trouble, ask(args, &missing)) {
            trouble = Some(error);
        }
        if Instant::now() >= deadline {
            let reason = trouble.unwrap_or_else(|| format!("{missing:?} did not appear"));
            return Err(Failure::unreachable(format!(
                "could not create topics at {} within {:?}: {reason}; is the broker running?",
                args.kafka, args.timeout
            )));
        }
        // A broker takes a moment until all of it knows a new topic.
        probe.poll(Duration::from_millis(100));
    }
}

/// Asks the broker once for these topics; one that exists by now is no error.
fn ask(args: &CreateArgs, missing: &[&str]) -> Result<(), String> {
    let admin: AdminClient<DefaultClientContext> =
        kafka::client(&args.kafka, "cctv-topic").create().map_err(|error| error.to_string())?;
    let partitions = i32::from(args.partitions);
    let topics: Vec<_> =
        missing.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1))).collect();
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
