//! The agent as pid 1 of a real pid namespace: this test's own program, started again by `unshare`.

use crate::until;
use fogline_agent::{Client, ExecRequest, Exit, JobRequest, Role, serve};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MARK: &str = "FOGLINE_AGENT_TEST_INIT";

/// Not a test of its own: the body of pid 1, with the stream as its standard input.
#[test]
fn init_body() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
    let stream = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    serve(UnixStream::from(stream), Role::Init).unwrap();
    std::process::exit(0);
}

/// A client of a pid 1, and the `unshare` around it. `None`, said aloud, where the kernel does not allow it.
fn start() -> Option<(Client, Child)> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "init::init_body", "--nocapture"]);
    command.env(MARK, "1").stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("SKIPPED: no unshare(1): {error}");
            return None;
        }
    };
    // The command must not keep the other end open.
    drop(command);
    let client = Client::new(ours, "init").unwrap();
    match client.info(Duration::from_secs(20)) {
        Ok(info) => {
            assert_eq!((info.role, info.pid), (Role::Init, 1));
            Some((client, child))
        }
        Err(error) => {
            eprintln!("SKIPPED: no pid namespace of our own here: {error}");
            child.wait_with_output().unwrap();
            None
        }
    }
}

fn shell(script: &str) -> ExecRequest {
    ExecRequest::new(["/bin/sh", "-c", script])
}

/// Process ids in the namespace with their states, without the shell that looks.
fn processes(client: &Client) -> Vec<String> {
    let script = "for p in /proc/[0-9]*/stat; do read -r l < $p && echo \"$l\"; done 2>/dev/null";
    let listed = client.exec(&shell(script)).unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let mut found: Vec<_> = text
        .lines()
        .filter(|line| !line.contains("(sh)"))
        .map(|line| line.chars().take(40).collect())
        .collect();
    found.sort();
    found
}

#[test]
fn orphans_are_reaped_and_no_status_is_lost() {
    let Some((client, _child)) = start() else { return };
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let client = client.clone();
            scope.spawn(move || {
                for round in 0..20 {
                    let code = (worker * 20 + round) % 256;
                    // Leaves an orphan behind each time; pid 1 inherits it and reaps it when it ends.
                    let result = client.exec(&shell(&format!("(sleep 0.0{round} &) ; exit {code}"))).unwrap();
                    assert_eq!(result.exit, Exit::Code(code));
                }
            });
        }
        for _ in 0..20 {
            // A start that fails is reaped by the standard library, in competition with the reaper.
            client.exec(&ExecRequest::new(["/no/such/program"])).unwrap_err();
        }
    });
    until("only pid 1 is left", || processes(&client).len() == 1);
    assert!(processes(&client)[0].starts_with("1 ("), "{:?}", processes(&client));
}

#[test]
fn jobs_end_limits_hold_and_time_of_the_dead_counts() {
    let Some((client, _child)) = start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("samples.csv");
    client.start_samples(&csv, Duration::from_millis(100)).unwrap();
    let job = |script: &str, timeout: Duration| JobRequest {
        label: script.to_owned(),
        exec: ExecRequest { timeout, ..shell(script) },
    };
    let long = Duration::from_secs(100);
    let requests = [
        job("exit 4", long),
        job("exec sleep 1000", Duration::from_millis(50)),
        job("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done", long),
    ];
    let ids: Vec<_> = client.start_jobs(&requests).unwrap().into_iter().map(|id| id.unwrap()).collect();
    let exits: Vec<_> = ids.iter().map(|id| client.wait_job(*id, long).unwrap().exit).collect();
    assert_eq!(exits, [Some(Exit::Code(4)), Some(Exit::TimedOut), Some(Exit::Code(0))]);
    client.stop_samples().unwrap();
    let text = std::fs::read_to_string(&csv).unwrap();
    let rows: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').map(|it| it.parse().unwrap()).collect()).collect();
    assert!(rows.iter().any(|row| row[1] > 0.0), "the loop's time, though it has ended: {text}");
    assert!(rows.iter().all(|row| row[3] < 20.0), "only this host's processes: {text}");
}

#[test]
fn the_host_ends_with_its_runner() {
    let Some((client, mut child)) = start() else { return };
    let request =
        JobRequest { label: "left".to_owned(), exec: shell("trap '' TERM; while :; do sleep 1; done") };
    client.start_job(&request).unwrap();
    drop(client);
    until("the end of pid 1", || child.try_wait().unwrap().is_some());
}
