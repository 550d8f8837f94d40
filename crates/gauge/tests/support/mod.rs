//! A real Flink cluster on loopback: a job manager and a task manager, from the jars that `fogline fetch flink` keeps.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const GAUGE: &str = env!("CARGO_BIN_EXE_gauge");
/// How long anything may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const JOB_MANAGER: &str = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint";
const TASK_MANAGER: &str = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner";
const CLI: &str = "org.apache.flink.client.cli.CliFrontend";
/// What Flink needs opened of the Java 17 class library.
const OPENS: [&str; 13] = [
    "sun.net.util",
    "java.lang",
    "java.net",
    "java.io",
    "java.nio",
    "sun.nio.ch",
    "java.lang.reflect",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
];

/// A process that dies with this value.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().expect("a process starts"))
    }

    /// SIGTERM; its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        done(Command::new("kill").args(["-TERM", &self.0.id().to_string()]));
        wait_for("the end after SIGTERM", || self.0.try_wait().expect("a child")).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `found` gives something.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: nothing within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// The jars of the software `name`, where the runner finds them: `FOGLINE_SOFTWARE`, beside the programs, the cache.
fn software(name: &str) -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let built = Path::new(GAUGE).parent().map(|folder| folder.join("software"));
    let cache = var("FOGLINE_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|cache| cache.join("fogline")))
        .or_else(|| var("HOME").map(|home| home.join(".cache/fogline")))
        .map(|cache| cache.join("software"));
    let folders = [var("FOGLINE_SOFTWARE"), built, cache];
    let mut jars = folders.into_iter().flatten().map(|folder| folder.join(name).join("lib"));
    jars.find(|jars| jars.is_dir())
}

/// What is needed for a cluster, or what of it is missing.
pub(crate) fn flink() -> Result<PathBuf, String> {
    for tool in ["java", "javac", "jar"] {
        let found = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
        if !found {
            return Err(format!("{tool} is missing (package default-jdk-headless)"));
        }
    }
    software("flink").ok_or_else(|| "Flink is missing (`fogline fetch flink`)".to_owned())
}

/// A cluster under way.
pub(crate) struct Cluster {
    jars: PathBuf,
    folder: TempDir,
    pub(crate) port: u16,
    job_manager: Option<Running>,
    task_manager: Option<Running>,
}

impl Cluster {
    /// With a job manager and nothing else.
    pub(crate) fn start(jars: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [port, rpc] = free_ports();
        let here = folder.path().display();
        let config = format!(
            "jobmanager.rpc.address: 127.0.0.1\njobmanager.rpc.port: {rpc}\njobmanager.bind-host: 127.0.0.1\n\
             rest.address: 127.0.0.1\nrest.bind-address: 127.0.0.1\nrest.port: {port}\n\
             taskmanager.host: 127.0.0.1\ntaskmanager.bind-host: 127.0.0.1\ntaskmanager.numberOfTaskSlots: 4\n\
             taskmanager.cpu.cores: 2\ntaskmanager.memory.task.heap.size: 64m\ntaskmanager.memory.managed.size: 0m\n\
             taskmanager.memory.network.min: 32m\ntaskmanager.memory.network.max: 32m\n\
             taskmanager.memory.task.off-heap.size: 0m\ntaskmanager.memory.framework.heap.size: 64m\n\
             taskmanager.memory.framework.off-heap.size: 64m\ntaskmanager.memory.jvm-metaspace.size: 128m\n\
             taskmanager.memory.jvm-overhead.min: 64m\ntaskmanager.memory.jvm-overhead.max: 64m\n\
             jobmanager.memory.heap.size: 200m\n\
             parallelism.default: 2\nexecution.checkpointing.interval: 1s\n\
             execution.checkpointing.dir: file://{here}/checkpoints\nmetrics.fetcher.update-interval: 1000\n\
             restart-strategy.type: fixed-delay\nrestart-strategy.fixed-delay.attempts: 1000\n\
             restart-strategy.fixed-delay.delay: 200ms\nio.tmp.dirs: {here}\n"
        );
        fs::write(folder.path().join("config.yaml"), config).expect("the configuration");
        let log = "rootLogger.level=WARN\nrootLogger.appenderRef.c.ref=C\nappender.c.name=C\nappender.c.type=CONSOLE\n\
                   appender.c.layout.type=PatternLayout\nappender.c.layout.pattern=%d %p %c %m%n\n";
        fs::write(folder.path().join("log4j.properties"), log).expect("the log's configuration");
        let mut cluster = Self { jars, folder, port, job_manager: None, task_manager: None };
        cluster.start_job_manager();
        cluster
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn start_job_manager(&mut self) {
        self.job_manager = Some(self.java(JOB_MANAGER, "job-manager", &["--configDir", "."]));
    }

    pub(crate) fn kill_job_manager(&mut self) {
        self.job_manager = None;
    }

    pub(crate) fn start_task_manager(&mut self) {
        self.task_manager = Some(self.java(TASK_MANAGER, "task-manager", &["--configDir", "."]));
    }

    pub(crate) fn kill_task_manager(&mut self) {
        self.task_manager = None;
    }

    fn java(&self, main: &str, log: &str, arguments: &[&str]) -> Running {
        let path = self.folder().join(format!("{log}.log"));
        let log = File::options().create(true).append(true).open(path).expect("a log");
        let mut command = self.command(main, arguments);
        Running::spawn(command.stdout(log.try_clone().expect("a second handle")).stderr(log))
    }

    fn command(&self, main: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.current_dir(self.folder()).env("FLINK_CONF_DIR", self.folder());
        command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
        command.args(OPENS.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
        command.arg("-Dlog4j.configurationFile=log4j.properties");
        command.arg("-cp").arg(self.jars.join("*")).arg(main).args(arguments);
        command
    }

    /// Compiles the job of these tests and submits it as `name`; with `failure` it fails with these words.
    pub(crate) fn submit(&self, name: &str, failure: Option<&str>) {
        let classes = self.folder().join("classes");
        if !classes.is_dir() {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/job/Ticks.java");
            let mut javac = Command::new("javac");
            done(javac.arg("-cp").arg(self.jars.join("*")).arg("-d").arg(&classes).arg(source));
            let mut jar = Command::new("jar");
            done(jar.current_dir(self.folder()).args([
                "--create",
                "--file",
                "ticks.jar",
                "-C",
                "classes",
                ".",
            ]));
        }
        let words = ["run", "-d", "-c", "Ticks", "ticks.jar", name];
        done(&mut self.command(CLI, &words.into_iter().chain(failure).collect::<Vec<_>>()));
    }

    /// Runs `gauge`.
    pub(crate) fn gauge(&self, words: &[&str]) -> Output {
        Command::new(GAUGE).args(words).output().expect("gauge runs")
    }

    /// Runs `gauge`, which succeeds; its line.
    pub(crate) fn answer(&self, words: &[&str]) -> serde_json::Value {
        let output = self.gauge(words);
        assert!(output.status.success(), "{words:?}: {output:?}\n{}", self.logs());
        assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1, "one line: {output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Runs `gauge`, which fails; its complaint.
    pub(crate) fn complaint(&self, words: &[&str]) -> String {
        let output = self.gauge(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}\n{}", self.logs());
        String::from_utf8(output.stderr).expect("text")
    }

    /// The ends of the cluster's logs.
    fn logs(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder().join(name)).unwrap_or_default();
        let tail =
            |text: String| text.lines().rev().take(15).map(str::to_owned).collect::<Vec<_>>().join("\n");
        format!(
            "job manager, newest first:\n{}\ntask manager:\n{}",
            tail(read("job-manager.log")),
            tail(read("task-manager.log"))
        )
    }
}

fn done(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Ports that the kernel has just given away and taken back.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}
