//! `fogline ssh -f` against a running experiment.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::experiment::Experiment;
use support::no_testbed;

const PATIENCE: Duration = Duration::from_secs(120);
const CLOUD: &str = "cloud-echo-1-1";

/// A running forward, and the port here that it has chosen.
struct Forward {
    child: Child,
    port: u16,
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Forward {
    fn start(experiment: &Experiment, words: &[&str]) -> Self {
        let mut command = experiment.fogline(&[&["ssh", ".", "-f", "-l", "0", "-r"], words].concat());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("fogline starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let port = line.split_once(':').and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        Self { child, port: port.unwrap_or_else(|| panic!("no port in {line:?}")) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the forward listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Ends it by Ctrl-C; its exit code, and what it said on standard error.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        let mut said = String::new();
        self.child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
        (self.child.wait().expect("a status").code(), said)
    }
}

/// Sends `bytes` bytes, ends that direction, and compares what comes back.
fn exchange(stream: &TcpStream, bytes: usize) {
    let sent: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    let mut came = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = stream;
            stream.write_all(&sent).expect("the host takes it");
            stream.shutdown(Shutdown::Write).expect("a half-close");
        });
        let mut stream = stream;
        stream.read_to_end(&mut came).expect("the other direction goes on, and ends in good order");
    });
    assert!(came == sent, "{} bytes of {bytes} came back", came.len());
}

/// Sends without reading until nothing more is taken; how much was.
fn stall(stream: &TcpStream) -> usize {
    let (block, mut stream, mut sent) = ([7; 65536], stream, 0);
    stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    loop {
        match stream.write(&block) {
            Ok(bytes) => sent += bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return sent,
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 256 << 20, "what nobody reads is held somewhere");
    }
}

#[test]
fn two_forwards_carry_many_connections_beside_one_that_stalls() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    for experiment in [Some(Experiment::running()), Experiment::of_ordinary_user()].into_iter().flatten() {
        // The one host with a service on that port; and by name.
        let forwards =
            [Forward::start(&experiment, &["7007"]), Forward::start(&experiment, &["7007", CLOUD])];
        let stalled = forwards[0].connect();
        let held = stall(&stalled);
        std::thread::scope(|scope| {
            for forward in &forwards {
                for _ in 0..12 {
                    scope.spawn(|| exchange(&forward.connect(), 3_000_000));
                }
            }
        });
        // Now it is read after all, and nothing is missing.
        stalled.shutdown(Shutdown::Write).expect("a half-close");
        let mut came = Vec::new();
        (&stalled).read_to_end(&mut came).expect("all of it");
        assert_eq!((came.len(), came.iter().all(|byte| *byte == 7)), (held, true));
        for forward in forwards {
            assert_eq!(forward.interrupt(), (Some(130), String::new()));
        }
    }
}

#[test]
fn a_port_where_nobody_listens_is_a_reset_and_a_message() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let experiment = Experiment::running();
    let forward = Forward::start(&experiment, &["7008", CLOUD]);
    let mut stream = forward.connect();
    let error = stream.read(&mut [0; 16]).expect_err("no data comes from nowhere");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let (code, said) = forward.interrupt();
    assert_eq!(code, Some(130));
    assert!(said.contains(&format!("{CLOUD}:7008")) && said.contains("refused"), "{said}");
    let taken = Forward::start(&experiment, &["7007", CLOUD]);
    let words = ["ssh", ".", "-f", "-l", &taken.port.to_string(), "-r", "7007"];
    let refused = experiment.fogline(&words).output().expect("fogline runs");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(&format!("port {}", taken.port)) && said.contains("in use"), "{said}");
    // One that breaks off here breaks off there, and the forward goes on.
    let broken = taken.connect();
    assert!(stall(&broken) > 0);
    drop(broken);
    exchange(&taken.connect(), 100_000);
}
