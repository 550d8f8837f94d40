//! Apache Kafka in KRaft mode: one broker or several, each one process with its folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use super::process::{JVM, Process, accepts, free_ports};
use super::{PATIENCE, software, until};

/// A KRaft cluster on 127.0.0.1; every node is broker and controller. What a killed node has written is there when it is
/// started again.
pub(crate) struct Kafka {
    nodes: Vec<Node>,
    _dir: TempDir,
}

struct Node {
    address: String,
    process: Process,
}

impl Kafka {
    /// Starts as many brokers, and waits until they know each other; `None`, said loudly, where Kafka is not here.
    pub(crate) fn start(count: usize) -> Option<Self> {
        let libs = software("kafka", "libs")?.join("libs").join("*");
        let dir = tempfile::tempdir().unwrap();
        let ports: Vec<[u16; 2]> = (0..count).map(|_| free_ports()).collect();
        let voters: Vec<String> =
            (1..).zip(&ports).map(|(id, [_, controller])| format!("{id}@127.0.0.1:{controller}")).collect();
        let mut nodes: Vec<Node> = (1..)
            .zip(&ports)
            .map(|(id, ports)| Node::new(dir.path(), &libs, id, *ports, &voters.join(",")))
            .collect();
        nodes.iter_mut().for_each(|node| node.process.start());
        let mut kafka = Self { nodes, _dir: dir };
        kafka.wait(count);
        Some(kafka)
    }

    /// What clients are given: all brokers, comma-separated.
    pub(crate) fn urls(&self) -> String {
        let addresses: Vec<&str> = self.nodes.iter().map(|node| node.address.as_str()).collect();
        addresses.join(",")
    }

    /// Kills a broker (SIGKILL); the first is number 0.
    pub(crate) fn kill(&mut self, number: usize) {
        self.nodes[number].process.kill();
    }

    /// Starts a killed broker on the same folder and port, and waits until it serves.
    pub(crate) fn start_again(&mut self, number: usize) {
        self.nodes[number].process.start();
        let node = &mut self.nodes[number];
        let address = node.address.clone();
        node.process.until("the broker accepts again", || accepts(&address));
        self.wait(self.nodes.len());
    }

    /// Waits until a client sees this many brokers.
    fn wait(&mut self, count: usize) {
        for node in &mut self.nodes {
            let address = node.address.clone();
            node.process.until("the broker accepts", || accepts(&address));
        }
        let client: BaseConsumer = self.client().create().unwrap();
        until("all brokers are in the metadata", || {
            let metadata = client.fetch_metadata(None, PATIENCE / 30);
            metadata.is_ok_and(|metadata| metadata.brokers().len() == count)
        });
    }

    /// Options of any client of this cluster.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.urls())
            .set("broker.address.family", "v4")
            .set("reconnect.backoff.max.ms", "500")
            .set("log_level", "2");
        config
    }
}

impl Node {
    /// Writes the node's options and formats its folder.
    fn new(dir: &Path, libs: &Path, id: usize, [port, controller]: [u16; 2], voters: &str) -> Self {
        let data = dir.join(format!("node-{id}"));
        fs::create_dir(&data).unwrap();
        let options = data.join("server.properties");
        fs::write(&options, properties(&data, id, port, controller, voters)).unwrap();
        // Slower brokers and less noise than Kafka's own.
        let logging = data.join("log4j.properties");
        fs::write(
            &logging,
            "log4j.rootLogger=WARN,out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n\
             log4j.appender.out.layout=org.apache.log4j.PatternLayout\n\
             log4j.appender.out.layout.ConversionPattern=%d %p %c: %m%n\n",
        )
        .unwrap();
        let java = |main: &str, args: &[&str]| -> Vec<String> {
            let mut all: Vec<String> = JVM.map(str::to_owned).into();
            all.extend(["-Xms64m".into(), "-Xmx400m".into()]);
            all.push(format!("-Dlog4j.configuration=file:{}", logging.display()));
            all.extend(["-cp".into(), libs.display().to_string(), main.into()]);
            all.extend(args.iter().map(|arg| (*arg).to_owned()));
            all
        };
        let file = options.display().to_string();
        let format = Command::new("java")
            .args(java("kafka.tools.StorageTool", &["format", "-t", "Zm9nbGluZS10ZXN0LTAwMQ", "-c", &file]))
            .output()
            .unwrap();
        assert!(format.status.success(), "{}", String::from_utf8_lossy(&format.stderr));
        let name = format!("Kafka broker {id}");
        let process = Process::new(
            &name,
            "java",
            java("kafka.Kafka", &[&file]),
            &PathBuf::from(&data).join("broker.log"),
        );
        Self { address: format!("127.0.0.1:{port}"), process }
    }
}

/// The options of one node. As many copies as there are brokers, up to three; of those, two must have a record.
fn properties(data: &Path, id: usize, port: u16, controller: u16, voters: &str) -> String {
    let brokers = voters.split(',').count();
    let copies = brokers.min(3);
    let in_sync = if brokers >= 3 { 2 } else { 1 };
    format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={}
auto.create.topics.enable=false
num.partitions=8
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
broker.session.timeout.ms=6000
",
        data.join("data").display()
    )
}
