//! Real brokers and real processes for the tests of this crate.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what it skips, and fails loudly")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use meter::Account;
use tempfile::TempDir;

/// The longest any single step may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Both embedded brokers on free ports, or `None` (said loudly) where the binary has not been built.
pub(crate) struct Brokers {
    pub(crate) mqtt: String,
    pub(crate) kafka: String,
    processes: Vec<Running>,
    _data: Option<TempDir>,
}

impl Brokers {
    pub(crate) fn start() -> Option<Self> {
        let binary = Path::new(env!("CARGO_BIN_EXE_cctv")).with_file_name("broker");
        if !binary.exists() {
            eprintln!("SKIPPED: {} is not built; `cargo build --release -p broker` first", binary.display());
            return None;
        }
        let data = tempfile::tempdir().unwrap();
        let kafka = free_address();
        let log = data.path().join("kafka").display().to_string();
        let kafka_args = ["kafka", "--listen", &kafka, "--advertise", &kafka, "--data", &log];
        let process = Running::start_binary(&binary, "broker-kafka", &kafka_args);
        until(&format!("{kafka} accepts"), || TcpStream::connect(&kafka).is_ok());
        let mut brokers = Self::with_kafka(&kafka)?;
        brokers.processes.push(process);
        brokers._data = Some(data);
        cctv(&[
            "topic",
            "create",
            "--kafka",
            &brokers.kafka,
            "--partitions",
            "8",
            "in-uni-data",
            "out-uni-data",
        ])
        .ok();
        Some(brokers)
    }

    /// The embedded MQTT broker beside Kafka brokers that are there already.
    pub(crate) fn with_kafka(urls: &str) -> Option<Self> {
        let binary = Path::new(env!("CARGO_BIN_EXE_cctv")).with_file_name("broker");
        if !binary.exists() {
            eprintln!("SKIPPED: {} is not built; `cargo build --release -p broker` first", binary.display());
            return None;
        }
        let mqtt = free_address();
        let processes = vec![Running::start_binary(&binary, "broker-mqtt", &["mqtt", "--listen", &mqtt])];
        until(&format!("{mqtt} accepts"), || TcpStream::connect(&mqtt).is_ok());
        Some(Self { mqtt, kafka: urls.to_owned(), processes, _data: None })
    }
}

impl Brokers {
    /// Kills the MQTT broker, which keeps nothing, and starts it again at the same address.
    pub(crate) fn restart_mqtt(&mut self) {
        self.processes[0].kill();
        let binary = Path::new(env!("CARGO_BIN_EXE_cctv")).with_file_name("broker");
        self.processes[0] = Running::start_binary(&binary, "broker-mqtt", &["mqtt", "--listen", &self.mqtt]);
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Waits for a condition, and fails the test when it does not come.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A process of this test; killed when the test ends.
pub(crate) struct Running {
    name: String,
    child: Child,
}

impl Running {
    fn start_binary(binary: &Path, name: &str, args: &[&str]) -> Self {
        let child = Command::new(binary).args(args).stdin(Stdio::null()).spawn().unwrap();
        Self { name: name.to_owned(), child }
    }

    /// Starts `cctv ARGS`.
    pub(crate) fn cctv(args: &[&str]) -> Self {
        Self::start_binary(Path::new(env!("CARGO_BIN_EXE_cctv")), &args.join(" "), args)
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end and returns the exit code.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let mut code = None;
        let (name, child) = (&self.name, &mut self.child);
        until(&format!("the end of {name}"), || {
            code = child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code()).unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished `cctv` said.
pub(crate) struct Said {
    command: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "cctv {}\n{}", self.command, self.stderr);
        self
    }

    pub(crate) fn fails(self, code: i32, naming: &str) {
        assert_eq!(self.code, code, "cctv {}\n{}", self.command, self.stderr);
        assert!(
            self.stderr.contains(naming),
            "cctv {}\n{} does not name {naming}",
            self.command,
            self.stderr
        );
    }
}

/// Runs `cctv ARGS` to its end.
pub(crate) fn cctv(args: &[&str]) -> Said {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_cctv")).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        command: args.join(" "),
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A folder for metrics, a folder of pictures, a job file.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pictures = dir.path().join("pictures");
        fs::create_dir(&pictures).unwrap();
        let mut truth = String::from("file,people\n");
        for number in 0..24 {
            let name = format!("{number:03}.jpg");
            fs::write(pictures.join(&name), picture(number)).unwrap();
            truth.push_str(&format!("{name},1\n"));
        }
        fs::write(pictures.join("truth.csv"), truth).unwrap();
        let job = r#"{"input_topic":"in-uni-data","output_topic":"out-uni-data","group_id":"test","counter":"motion",
            "watermark_bound_ms":2000,"idle_ms":3000,"window_ms":500,"guarantee":"at-least-once"}"#;
        fs::write(dir.path().join("job.json"), job).unwrap();
        Self { dir }
    }

    pub(crate) fn pictures(&self) -> String {
        self.dir.path().join("pictures").display().to_string()
    }

    pub(crate) fn metrics(&self) -> String {
        self.dir.path().join("metrics").display().to_string()
    }

    pub(crate) fn job(&self) -> String {
        self.dir.path().join("job.json").display().to_string()
    }

    pub(crate) fn account(&self, role: &str, instance: &str) -> Account {
        let file: PathBuf = self.dir.path().join("metrics").join(format!("{role}-{instance}.account.json"));
        Account::read(&file).unwrap()
    }

    pub(crate) fn wait_ready(&self, role: &str, count: usize) {
        let (metrics, count) = (self.metrics(), count.to_string());
        cctv(&[
            "wait",
            role,
            "--until",
            "ready",
            "--metrics",
            &metrics,
            "--count",
            &count,
            "--timeout",
            "30s",
        ])
        .ok();
    }

    pub(crate) fn gateway(&self, brokers: &Brokers, id: &str, more: &[&str]) -> Running {
        let metrics = self.metrics();
        let mut args = vec!["gateway", "--id", id, "--mqtt", &brokers.mqtt, "--kafka", &brokers.kafka];
        args.extend(["--metrics", &metrics, "--linger", "5"]);
        args.extend(more);
        Running::cctv(&args)
    }

    pub(crate) fn start_job(&self, brokers: &Brokers, more: &[&str]) -> Running {
        let (metrics, job) = (self.metrics(), self.job());
        let mut args = vec!["job", "--spec", &job, "--kafka", &brokers.kafka, "--metrics", &metrics];
        args.extend(more);
        Running::cctv(&args)
    }

    pub(crate) fn collector(&self, brokers: &Brokers, sink: &str, more: &[&str]) -> Running {
        let topic = if sink == "in-sink" { "in-uni-data" } else { "out-uni-data" };
        let metrics = self.metrics();
        let mut args = vec!["collector", "--as", sink, "--topic", topic, "--kafka", &brokers.kafka];
        args.extend(["--metrics", &metrics]);
        args.extend(more);
        Running::cctv(&args)
    }

    pub(crate) fn camera(
        &self,
        brokers: &Brokers,
        id: &str,
        fps: &str,
        span: &str,
        more: &[&str],
    ) -> Running {
        let (metrics, pictures) = (self.metrics(), self.pictures());
        let mut args = vec!["camera", "--id", id, "--data", &pictures, "--fps", fps, "--for", span];
        args.extend(["--mqtt", &brokers.mqtt, "--metrics", &metrics]);
        args.extend(more);
        Running::cctv(&args)
    }

    pub(crate) fn stop(&self, role: &str) -> Said {
        cctv(&["stop", role, "--metrics", &self.metrics(), "--timeout", "40s"])
    }
}

/// A picture of one walker before a textured wall: real enough for the motion model.
pub(crate) fn picture(number: usize) -> Vec<u8> {
    let (width, height) = (192usize, 144usize);
    let walker = 20 + number * 5;
    let pixels: Vec<u8> = (0..width * height)
        .map(|at| {
            let (x, y) = (at % width, at / width);
            let inside = (walker..walker + 14).contains(&x) && (60..110).contains(&y);
            if inside { 230 } else { ((x * 7 + y * 3) % 64) as u8 + 40 }
        })
        .collect();
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 80)
        .encode(&pixels, width as u16, height as u16, jpeg_encoder::ColorType::Luma)
        .unwrap();
    jpeg
}
