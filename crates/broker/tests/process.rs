//! The brokers as processes: start, signals, bad input, `kill -9`, a full disk.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails loudly and says what it skips")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(30);
const BROKER: &str = env!("CARGO_BIN_EXE_broker");

/// A broker process, killed when dropped.
struct Broker {
    child: Child,
    address: String,
}

impl Broker {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready on ").map(str::to_owned);
        let Some(address) = address else {
            let mut trouble = String::new();
            child.stderr.take().unwrap().read_to_string(&mut trouble).unwrap();
            panic!("not ready: {line}{trouble}");
        };
        Self { child, address }
    }

    fn kafka(data: &Path, listen: &str) -> Self {
        let mut command = Command::new(BROKER);
        Self::start(command.args(["kafka", "--listen", listen, "--retention-ms", "-1", "--data"]).arg(data))
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.address)
            .set("group.id", "g")
            .set("enable.auto.commit", "false");
        config.set("auto.offset.reset", "earliest").set("enable.idempotence", "true");
        config
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; its exit code and what it wrote to standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let mut trouble = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut trouble).unwrap();
        (self.child.wait().unwrap().code(), trouble)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Fails if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(BROKER).args(arguments).output().unwrap()
}

fn create_topic(broker: &Broker, name: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let made = admin.create_topics([&topic], &options);
    // The request is sent when the future is made; the topic is there when the metadata says so.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metadata = admin.inner().fetch_metadata(None, PATIENCE).unwrap();
        if metadata.topics().iter().any(|topic| topic.name() == name) {
            break;
        }
        assert!(Instant::now() < deadline, "the topic was not made");
    }
    drop(made);
}

#[test]
fn both_brokers_become_ready_and_end_on_signals() {
    let data = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let kafka = Broker::kafka(data.path(), "127.0.0.1:0");
        let mqtt = Broker::start(Command::new(BROKER).args(["mqtt", "--listen", "127.0.0.1:0"]));
        for (protocol, broker) in [("kafka", &kafka), ("mqtt", &mqtt)] {
            let probe = run(&["probe", protocol, &broker.address, "--timeout", "10s"]);
            assert!(probe.status.success(), "{}", String::from_utf8_lossy(&probe.stderr));
        }
        let crossed = run(&["probe", "mqtt", &kafka.address, "--timeout", "300ms"]);
        assert_eq!(crossed.status.code(), Some(1));
        for broker in [kafka, mqtt] {
            broker.signal(signal);
            let (code, trouble) = broker.end();
            assert_eq!(code, Some(0), "{trouble}");
        }
    }
}

#[test]
fn a_port_in_use_and_bad_values_are_told() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for arguments in
        [vec!["mqtt", "--listen", &address], vec!["kafka", "--listen", &address, "--data", folder]]
    {
        let output = run(&arguments);
        let trouble = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(trouble.contains("is in use") && trouble.contains("ss -ltnp"), "{trouble}");
        assert!(output.stdout.is_empty());
    }
    let cases: [(&[&str], i32, &str); 7] = [
        (&["kafka", "--listen", "0.0.0.0:0", "--data", folder], 1, "advertise"),
        (&["kafka", "--listen", "127.0.0.1:0", "--data", "/proc/none"], 1, "/proc/none"),
        (
            &["kafka", "--listen", "127.0.0.1:0", "--data", folder, "--retention-bytes", "1MiB"],
            1,
            "retention_bytes",
        ),
        (&["kafka", "--listen", "somewhere", "--data", folder], 2, "invalid socket address"),
        (&["kafka", "--listen", "127.0.0.1:0", "--data", folder, "--segment-bytes", "1MB"], 2, "MiB"),
        (&["mqtt", "--listen", "192.0.2.1:1883"], 1, "192.0.2.1:1883"),
        (&["probe", "kafka", "127.0.0.1:1", "--timeout", "100ms"], 1, "last attempt"),
    ];
    for (arguments, code, words) in cases {
        let output = run(arguments);
        let trouble = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {trouble}");
        assert!(trouble.contains(words), "{arguments:?}: {trouble}");
    }
}

/// Counts acknowledged messages.
#[derive(Default)]
struct Acknowledged(std::sync::atomic::AtomicI64, std::sync::Mutex<Vec<String>>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
            Err((error, _)) => self.1.lock().unwrap().push(error.to_string()),
        }
    }
}

#[test]
fn acknowledged_records_and_offsets_survive_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let broker = Broker::kafka(data.path(), "127.0.0.1:0");
    create_topic(&broker, "t", 1);
    let producer: BaseProducer<Acknowledged> =
        broker.client().set("linger.ms", "1").create_with_context(Acknowledged::default()).unwrap();
    let total = 3000_u32;
    let address = broker.address.clone();
    let mut broker = Some(broker);
    for n in (0..total).filter(|n| !(total / 3 + 1..=total / 3 + 100).contains(n)) {
        producer.send(BaseRecord::<(), _>::to("t").payload(&n.to_be_bytes().repeat(500))).unwrap();
        producer.poll(Duration::ZERO);
        if n == total / 3 {
            // A consumer commits, and the broker dies with records on their way.
            let running = broker.take().unwrap();
            let consumer: BaseConsumer = running.client().create().unwrap();
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset("t", 0, Offset::Offset(321)).unwrap();
            consumer.commit(&offsets, CommitMode::Sync).unwrap();
            for more in 0..100 {
                producer
                    .send(BaseRecord::<(), _>::to("t").payload(&(n + 1 + more).to_be_bytes().repeat(500)))
                    .unwrap();
            }
            producer.poll(Duration::from_millis(2));
            drop(running);
        }
        if broker.is_none() && n == total / 3 + 200 {
            broker = Some(Broker::kafka(data.path(), &address));
        }
    }
    producer.flush(PATIENCE).unwrap();
    let acknowledged = producer.context().0.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(acknowledged, i64::from(total), "{:?}", producer.context().1.lock().unwrap().first());

    let broker = broker.unwrap();
    let consumer: BaseConsumer = broker.client().create().unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition("t", 0);
    let committed = consumer.committed_offsets(asked.clone(), PATIENCE).unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(321));
    asked.set_partition_offset("t", 0, Offset::Beginning).unwrap();
    consumer.assign(&asked).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut next = 0_u32;
    while next < total {
        assert!(Instant::now() < deadline, "only {next} records");
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            // Each once and in order: the producer's sequences survived too.
            assert_eq!(message.unwrap().payload(), Some(next.to_be_bytes().repeat(500).as_slice()));
            next += 1;
        }
    }
    assert!(consumer.poll(Duration::from_millis(200)).is_none());
}

/// In its own mount namespace, with a file system of 12 MiB.
#[test]
fn a_full_disk_is_told_to_producers_and_on_standard_error() {
    let data = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=12m none \"$1\" && exec \"$0\" kafka --listen 127.0.0.1:0 --data \"$1\" \
                  --retention-bytes 64MiB --auto-create-topics";
    let isolate = ["-r", "-m", "--", "sh", "-c"];
    let able =
        Command::new("unshare").args(isolate).args(["mount -t tmpfs none \"$0\""]).arg(data.path()).output();
    if !able.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no rights to mount a small file system in a namespace");
        return;
    }
    let broker = Broker::start(Command::new("unshare").args(isolate).args([script, BROKER]).arg(data.path()));
    let mut config = broker.client();
    config.set("enable.idempotence", "false").set("message.timeout.ms", "2000").set("retries", "0");
    let producer: BaseProducer<Acknowledged> = config.create_with_context(Acknowledged::default()).unwrap();
    for _ in 0..200 {
        producer.send(BaseRecord::<(), _>::to("t").payload(&vec![7; 100_000])).unwrap();
        producer.poll(Duration::from_millis(1));
    }
    producer.flush(PATIENCE).unwrap();
    let stored = producer.context().0.load(std::sync::atomic::Ordering::Relaxed);
    let errors = producer.context().1.lock().unwrap().clone();
    // 125 records of 100,000 bytes and their framing fit into 12 MiB, if nothing else needs a page.
    assert!((80..=125).contains(&stored), "{stored} of 100 KB on 12 MiB");
    assert!(
        errors.iter().any(|error| error.contains("KafkaStorageError") || error.contains("storage")),
        "{errors:?}"
    );
    let consumer: BaseConsumer = broker.client().create().unwrap();
    let (start, end) = consumer.fetch_watermarks("t", 0, PATIENCE).unwrap();
    assert_eq!((start, end), (0, stored), "what was acknowledged is there, and nothing else");
    broker.signal("-TERM");
    let (code, trouble) = broker.end();
    assert_eq!(code, Some(0));
    assert_eq!(trouble.matches("KAFKA_STORAGE_ERROR").count(), 1, "told once: {trouble}");
    assert!(trouble.contains("No space left on device"), "{trouble}");
}
