//! An Apache Flink session cluster: a job manager and one task manager, each one process, and the command line.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use super::process::{JVM, Process, free_ports};
use super::{PATIENCE, software};

/// One cluster at a time: two would starve each other on a small machine.
static TURN: Mutex<()> = Mutex::new(());

/// Slots of a task manager.
const SLOTS: u64 = 4;

/// The packages that Flink opens up for itself on Java 17 (its own `config.yaml` has the same list).
const OPENED: [&str; 13] = [
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

/// A session cluster on 127.0.0.1 with the counting job's bridge in its class path.
pub(crate) struct Flink {
    job_manager: Process,
    task_manager: Process,
    rest: String,
    java: Vec<String>,
    jar: PathBuf,
    dir: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Flink {
    /// Starts both managers, and waits until the slots are there; `None`, said loudly, where something is missing.
    pub(crate) fn start() -> Option<Self> {
        let flink = software("flink", "lib")?;
        let counting = software("people-counting", "people-counting.jar")?;
        // A test that failed has taken its cluster along.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let [rpc, rest] = free_ports();
        fs::write(dir.path().join("config.yaml"), options(dir.path(), rpc, rest)).unwrap();
        fs::write(
            dir.path().join("log4j.properties"),
            "rootLogger.level=INFO\nrootLogger.appenderRef.c.ref=C\nappender.c.name=C\nappender.c.type=CONSOLE\n\
             appender.c.layout.type=PatternLayout\nappender.c.layout.pattern=%d %-5p %c - %m%n\n\
             logger.kafka.name=org.apache.kafka\nlogger.kafka.level=WARN\n",
        )
        .unwrap();
        let java = java(dir.path(), &flink, &counting);
        let process = |name: &str, main: &str, memory: &[&str]| {
            let mut args: Vec<String> = memory.iter().map(|flag| (*flag).to_owned()).collect();
            args.extend(java.iter().cloned());
            args.extend([main.to_owned(), "--configDir".to_owned(), dir.path().display().to_string()]);
            Process::new(name, "java", args, &dir.path().join(format!("{name}.log").replace(' ', "-")))
        };
        let mut job_manager = process(
            "Flink job manager",
            "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
            &["-Xmx400m"],
        );
        let mut task_manager = process(
            "Flink task manager",
            "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
            &["-Xmx500m", "-XX:MaxDirectMemorySize=300m"],
        );
        job_manager.start();
        task_manager.start();
        let jar = counting.join("people-counting.jar");
        let mut flink = Self {
            job_manager,
            task_manager,
            rest: format!("127.0.0.1:{rest}"),
            java,
            jar,
            dir,
            _turn: turn,
        };
        flink.wait_slots();
        Some(flink)
    }

    fn wait_slots(&mut self) {
        let rest = self.rest.clone();
        self.task_manager.until("the slots are there", || slots(&rest) == Some(SLOTS));
    }

    /// Kills the task manager (SIGKILL), and waits until the job manager has noticed.
    pub(crate) fn kill_task_manager(&mut self) {
        self.task_manager.kill();
        let rest = self.rest.clone();
        self.job_manager.until("the slots are gone", || slots(&rest) == Some(0));
    }

    /// Starts the task manager again, and waits for its slots.
    pub(crate) fn start_task_manager(&mut self) {
        self.task_manager.start();
        self.wait_slots();
    }

    /// A file or folder of this cluster's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `flink run -d`: submits the counting job, from a savepoint if one is given, and waits until all of it runs;
    /// returns its id.
    pub(crate) fn submit(&mut self, savepoint: Option<&str>, args: &[&str]) -> String {
        let jar = self.jar.display().to_string();
        let mut all = vec!["run", "-d", "-p", "2"];
        all.extend(savepoint.iter().flat_map(|path| ["-s", path]));
        all.push(&jar);
        all.extend(args);
        let said = self.command(&all).unwrap_or_else(|said| panic!("{said}"));
        let id = after(&said, "JobID ").to_owned();
        let rest = self.rest.clone();
        self.job_manager.until("the job runs", || runs(&rest, &id));
        id
    }

    /// `flink stop`: stops a job with a savepoint; returns the savepoint's path.
    pub(crate) fn stop(&self, job: &str) -> String {
        let folder = self.path("savepoints").display().to_string();
        let said = self.command(&["stop", "--savepointPath", &folder, job]);
        after(&said.unwrap_or_else(|said| panic!("{said}")), "Path: ").to_owned()
    }

    /// Runs Flink's command line; what it said, `Err` where it failed.
    pub(crate) fn command(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "java", "-Xmx200m"])
            .args(&self.java)
            .arg("org.apache.flink.client.cli.CliFrontend")
            .args(args)
            .env("FLINK_CONF_DIR", self.dir.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    /// Asks the job manager's REST interface.
    pub(crate) fn ask(&self, path: &str) -> Option<Value> {
        ask(&self.rest, path)
    }

    /// Waits for a condition while the job manager lives.
    pub(crate) fn until(&mut self, what: &str, condition: impl FnMut() -> bool) {
        self.job_manager.until(what, condition);
    }
}

/// The word after a mark in what a program said.
fn after<'a>(said: &'a str, mark: &str) -> &'a str {
    let rest = said.split_once(mark).unwrap_or_else(|| panic!("no {mark:?} in\n{said}")).1;
    rest.split_whitespace().next().unwrap()
}

/// What every Java machine of the cluster is given.
fn java(dir: &Path, flink: &Path, counting: &Path) -> Vec<String> {
    let mut args: Vec<String> = JVM.map(str::to_owned).into();
    args.extend(OPENED.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
    let (lib, bridge) = (flink.join("lib/*"), counting.join("lib/vision-bridge.jar"));
    args.extend([
        format!("-Dlog4j.configurationFile=file:{}", dir.join("log4j.properties").display()),
        format!("-Djava.library.path={}", counting.join("lib").display()),
        format!("-Djava.io.tmpdir={}", dir.display()),
        "-cp".to_owned(),
        format!("{}:{}", lib.display(), bridge.display()),
    ]);
    args
}

/// Small managers that notice soon when one of them is gone.
fn options(dir: &Path, rpc: u16, rest: u16) -> String {
    let dir = dir.display();
    format!(
        "jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {rpc}
jobmanager.bind-host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest}
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: {SLOTS}
taskmanager.cpu.cores: 2.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 256m
taskmanager.memory.task.off-heap.size: 0m
taskmanager.memory.managed.size: 16m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 64m
taskmanager.memory.jvm-overhead.max: 64m
heartbeat.interval: 1000
heartbeat.timeout: 15000
io.tmp.dirs: {dir}
web.upload.dir: {dir}
"
    )
}

/// The answer to `GET path`, if there is one.
fn ask(rest: &str, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(rest).ok()?;
    stream.set_read_timeout(Some(PATIENCE / 10)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {rest}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

fn slots(rest: &str) -> Option<u64> {
    ask(rest, "/overview")?["slots-total"].as_u64()
}

/// Whether every task of a job runs.
fn runs(rest: &str, job: &str) -> bool {
    let Some(answer) = ask(rest, &format!("/jobs/{job}")) else { return false };
    let vertices = answer["vertices"].as_array().cloned().unwrap_or_default();
    !vertices.is_empty() && vertices.iter().all(|vertex| vertex["status"] == "RUNNING")
}
