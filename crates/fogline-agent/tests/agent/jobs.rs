use crate::{Guest, is_alive, until};
use fogline_agent::{ExecRequest, Exit, JobId, JobRequest};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

fn job(script: &str) -> JobRequest {
    let exec =
        ExecRequest { timeout: Duration::from_secs(1000), ..ExecRequest::new(["/bin/sh", "-c", script]) };
    JobRequest { label: format!("job: {script}"), exec }
}

#[test]
fn a_job_runs_on_and_tells_its_end() {
    let guest = Guest::start();
    let gate = guest.path().join("gate");
    let script =
        format!("echo out; echo err >&2; until [ -e {} ]; do sleep 0.01; done; exit 5", gate.display());
    let id = guest.client.start_job(&job(&script)).unwrap();
    let running = guest.client.job(id).unwrap();
    assert_eq!((running.exit, running.id, running.label), (None, id, job(&script).label));
    std::fs::write(gate, "").unwrap();
    let ended = guest.client.wait_job(id, LONG).unwrap();
    assert_eq!(ended.exit, Some(Exit::Code(5)));
    assert_eq!((ended.stdout_tail, ended.stderr_tail), (b"out\n".to_vec(), b"err\n".to_vec()));
    assert_eq!(std::fs::read_to_string(ended.stdout_path).unwrap(), "out\n");
    assert_eq!(guest.client.job(id).unwrap().elapsed, ended.elapsed, "time stands still after the end");
}

#[test]
fn a_job_gets_its_input_and_a_tail_is_the_end_of_its_output() {
    let guest = Guest::start();
    let mut request = job("cat; head -c 200000 /dev/zero | tr '\\0' x; printf end");
    request.exec.stdin = b"begin".to_vec();
    let id = guest.client.start_job(&request).unwrap();
    let status = guest.client.wait_job(id, LONG).unwrap();
    assert_eq!(status.exit, Some(Exit::Code(0)));
    assert_eq!(status.stdout_tail.len(), 64 << 10);
    assert!(status.stdout_tail.ends_with(b"xxend"));
    assert!(std::fs::read(&status.stdout_path).unwrap().starts_with(b"beginxx"));
}

#[test]
fn a_job_beyond_its_limit_times_out() {
    let guest = Guest::start();
    let mut request = job("exec sleep 1000");
    request.exec.timeout = Duration::from_millis(50);
    let id = guest.client.start_job(&request).unwrap();
    let status = guest.client.wait_job(id, LONG).unwrap();
    assert_eq!(status.exit, Some(Exit::TimedOut));
    assert!(!is_alive(status.pid));
}

#[test]
fn ending_a_job_lets_it_tidy_up() {
    let guest = Guest::start();
    let id = guest
        .client
        .start_job(&job("trap 'echo tidy; exit 7' TERM; echo ready; while :; do sleep 0.01; done"))
        .unwrap();
    until("the job's trap", || guest.client.job(id).unwrap().stdout_tail == b"ready\n");
    let status = guest.client.end_job(id, LONG).unwrap();
    assert_eq!((status.exit, status.stdout_tail), (Some(Exit::Code(7)), b"ready\ntidy\n".to_vec()));
    assert_eq!(
        guest.client.end_job(id, LONG).unwrap().exit,
        Some(Exit::Code(7)),
        "ending twice does no harm"
    );
}

#[test]
fn a_job_that_will_not_end_is_killed_with_its_group() {
    let guest = Guest::start();
    let id =
        guest.client.start_job(&job("trap '' TERM; sleep 1000 & echo $!; while :; do wait; done")).unwrap();
    until("the job's child", || guest.client.job(id).unwrap().stdout_tail.ends_with(b"\n"));
    let status = guest.client.end_job(id, Duration::from_millis(50)).unwrap();
    assert_eq!(status.exit, Some(Exit::Signal(9)));
    let child = String::from_utf8(status.stdout_tail).unwrap().trim().parse().unwrap();
    until("the child's end", || !is_alive(child));
}

#[test]
fn a_group_whose_leader_ends_first_keeps_its_grace() {
    let guest = Guest::start();
    // The leader dies of the signal at once; its child writes its result first.
    let child = "trap 'sleep 0.2; echo result; exit' TERM; echo ready; while :; do sleep 0.01; done";
    let id = guest.client.start_job(&job(&format!("sh -c \"{child}\" & wait"))).unwrap();
    until("the child's trap", || guest.client.job(id).unwrap().stdout_tail == b"ready\n");
    let status = guest.client.end_job(id, LONG).unwrap();
    assert_eq!(status.stdout_tail, b"ready\nresult\n");
    assert_eq!(status.exit, Some(Exit::Signal(15)));
}

#[test]
fn many_jobs_start_at_once_and_are_all_listed() {
    let guest = Guest::start();
    let requests: Vec<_> = (0..80).map(|number| job(&format!("echo {number}; exec sleep 1000"))).collect();
    let ids: Vec<JobId> =
        guest.client.start_jobs(&requests).unwrap().into_iter().map(|started| started.unwrap()).collect();
    let listed = guest.client.jobs().unwrap();
    assert_eq!(listed.len(), 80);
    assert!(listed.iter().all(|status| status.exit.is_none() && is_alive(status.pid)));
    for (id, request) in ids.iter().zip(&requests) {
        assert_eq!(listed.iter().find(|status| status.id == *id).unwrap().label, request.label);
    }
    guest.end();
    for status in listed {
        until("the jobs' end with the agent", || !is_alive(status.pid));
    }
}

#[test]
fn what_is_no_job_is_refused_by_name() {
    let guest = Guest::start();
    let error = guest.client.job(JobId(99)).unwrap_err();
    assert!(error.to_string().contains("knows no job 99"), "{error}");
    let mut request = job("");
    request.exec.argv = vec!["no-such-program-here".to_owned()];
    let error = guest.client.start_job(&request).unwrap_err();
    assert!(error.to_string().contains("no-such-program-here"), "{error}");
    assert!(guest.client.jobs().unwrap().is_empty());
}
