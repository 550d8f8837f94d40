use crate::{Guest, is_alive, until};
use fogline_agent::{AgentError, Client, ExecRequest, ExecResult, Exit, Role, serve};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

fn shell(script: &str) -> ExecRequest {
    ExecRequest::new(["/bin/sh", "-c", script])
}

fn run(request: &ExecRequest) -> ExecResult {
    let guest = Guest::start();
    let result = guest.client.exec(request).unwrap();
    guest.end();
    result
}

#[test]
fn output_input_environment_and_directory_reach_the_command() {
    let guest = Guest::start();
    let request = ExecRequest {
        environment: vec![("WHO".to_owned(), "fog".to_owned())],
        directory: Some(guest.path().to_owned()),
        stdin: b"from the runner".to_vec(),
        ..shell("cat; echo \" to $WHO\"; pwd >&2; exit 3")
    };
    let result = guest.client.exec(&request).unwrap();
    assert_eq!(result.exit, Exit::Code(3));
    assert_eq!(String::from_utf8_lossy(&result.stdout), "from the runner to fog\n");
    let directory = guest.path().canonicalize().unwrap();
    assert_eq!(String::from_utf8_lossy(&result.stderr).trim_end(), directory.to_str().unwrap());
    assert!(!result.truncated);
}

#[test]
fn a_signal_is_told_as_a_signal() {
    let result = run(&shell("kill -KILL $$"));
    assert_eq!(result.exit, Exit::Signal(9));
    assert_eq!(result.exit.rc(), 137);
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_its_group() {
    let guest = Guest::start();
    let pids = guest.path().join("pids");
    let script =
        format!("sleep 1000 & echo $! $$ > {}; trap '' TERM; while :; do wait; done", pids.display());
    let request = ExecRequest { timeout: Duration::from_millis(300), ..shell(&script) };
    let result = guest.client.exec(&request).unwrap();
    assert_eq!(result.exit, Exit::TimedOut);
    assert_eq!(result.exit.rc(), 124);
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.split_whitespace().count(), 2);
    for pid in pids.split_whitespace() {
        until("the group's end", || !is_alive(pid.parse().unwrap()));
    }
}

#[test]
fn a_child_in_the_background_that_holds_the_pipes_does_not_hold_the_answer() {
    let guest = Guest::start();
    let result = guest.client.exec(&shell("sleep 1000 & echo $!")).unwrap();
    assert_eq!(result.exit, Exit::Code(0));
    let pid: i32 = String::from_utf8(result.stdout).unwrap().trim().parse().unwrap();
    assert!(is_alive(pid), "what a command leaves in the background goes on");
    assert!(guest.client.exec(&ExecRequest::new(["kill", &pid.to_string()])).unwrap().exit.is_success());
}

#[test]
fn long_output_is_truncated_and_does_not_block_the_command() {
    let result = run(&shell("head -c 3000000 /dev/zero; head -c 100 /dev/zero >&2"));
    assert_eq!(result.exit, Exit::Code(0));
    assert_eq!((result.stdout.len(), result.stderr.len()), (1 << 20, 100));
    assert!(result.truncated);
}

#[test]
fn input_that_the_command_does_not_read_does_no_harm() {
    let result = run(&ExecRequest { stdin: vec![b'x'; 1 << 20], ..shell("exit 0") });
    assert_eq!(result.exit, Exit::Code(0));
}

#[test]
fn large_input_and_large_output_at_once_do_not_deadlock() {
    let input: Vec<u8> = (0..900_000_u32).map(|index| (index % 251) as u8).collect();
    let result = run(&ExecRequest { stdin: input.clone(), ..ExecRequest::new(["cat"]) });
    assert!(result.stdout == input, "cat gives back what it got");
}

#[test]
fn what_cannot_start_is_refused_by_name() {
    let guest = Guest::start();
    let error = guest.client.exec(&ExecRequest::new(["no-such-program-here"])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("guest: cannot start no-such-program-here: No such file"), "{text}");
    let AgentError::Refused { failure, .. } = error else { panic!("{error:?}") };
    assert_eq!(failure.errno, Some(2));

    let request = ExecRequest { directory: Some("/no/such/place".into()), ..ExecRequest::new(["true"]) };
    let text = guest.client.exec(&request).unwrap_err().to_string();
    assert!(text.contains("cannot start a command in /no/such/place"), "{text}");

    let text = guest.client.exec(&ExecRequest::new(Vec::<String>::new())).unwrap_err().to_string();
    assert!(text.contains("argv is empty"), "{text}");

    let request = ExecRequest { stdin: vec![0; 3 << 20], ..ExecRequest::new(["cat"]) };
    let text = guest.client.exec(&request).unwrap_err().to_string();
    assert!(text.contains("put a file instead"), "{text}");
}

#[test]
fn a_hundred_commands_at_once_all_run() {
    let guest = Guest::start();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..100)
            .map(|number| {
                let client = guest.client.clone();
                scope.spawn(move || client.exec(&shell(&format!("echo {number}"))).unwrap().stdout)
            })
            .collect();
        for (number, run) in runs.into_iter().enumerate() {
            assert_eq!(run.join().unwrap(), format!("{number}\n").into_bytes());
        }
    });
}

#[test]
fn what_runs_is_killed_when_the_runner_goes() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let (ours, theirs) = UnixStream::pair().unwrap();
    let agent = std::thread::spawn(move || serve(theirs, Role::Guest));
    let client = Client::new(ours.try_clone().unwrap(), "guest").unwrap();
    let request = shell(&format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", pid_file.display()));
    let run = std::thread::spawn(move || client.exec(&request));
    until("the command's start", || pid_file.exists());
    let pid: i32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    assert!(is_alive(pid));
    ours.shutdown(Shutdown::Both).unwrap();
    assert!(matches!(run.join().unwrap(), Err(AgentError::Lost { .. })));
    agent.join().unwrap().unwrap();
    until("the command's end", || !is_alive(pid));
}
