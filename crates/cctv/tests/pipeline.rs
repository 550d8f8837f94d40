//! Cameras, gateway, job and collectors over real brokers: every frame is accounted for.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod support;

use meter::Account;
use support::{Bench, Brokers, Running};

const CAMERAS: usize = 8;

fn balances(account: &Account) {
    assert!(account.complete, "{} {} is not complete", account.role, account.instance);
    assert_eq!(account.unbalanced(), [], "{} {}", account.role, account.instance);
}

/// Both sides name the same cameras, and what left the one entered the other.
fn nothing_lost(from: &Account, to: &Account) {
    for (camera, there) in &to.cameras {
        let here = &from.cameras[camera];
        assert_eq!(here.frames_out, there.frames_in, "{camera}: {} to {}", from.role, to.role);
    }
    assert_eq!(from.cameras.len(), to.cameras.len());
}

#[test]
fn the_ledger_of_a_small_run_balances_whoever_is_stopped_first() {
    let Some(brokers) = Brokers::start() else { return };
    let bench = Bench::new();
    let mut job = bench.start_job(&brokers, &["--parallelism", "3"]);
    let mut gateway = bench.gateway(&brokers, "1", &["--process", "gate"]);
    let _sinks = ["in-sink", "out-sink"].map(|sink| bench.collector(&brokers, sink, &[]));
    for role in ["job", "gateway", "in-sink", "out-sink"] {
        bench.wait_ready(role, 1);
    }
    let ids: Vec<String> = (1..=CAMERAS).map(|n| format!("edge-{n}")).collect();
    let cameras: Vec<_> = ids.iter().map(|id| bench.camera(&brokers, id, "20", "3s", &[])).collect();
    bench.wait_ready("camera", CAMERAS);

    // The job first, while the cameras still film: it has to go on until their end markers have come through.
    job.terminate();
    let count = CAMERAS.to_string();
    support::cctv(&["wait", "camera", "--metrics", &bench.metrics(), "--count", &count, "--timeout", "40s"])
        .ok();
    for mut camera in cameras {
        assert_eq!(camera.exit_code(), 0);
    }
    for role in ["job", "gateway", "in-sink", "out-sink"] {
        bench.stop(role).ok();
    }
    assert_eq!((job.exit_code(), gateway.exit_code()), (0, 0));

    let stands_in = follow(&bench, &brokers);
    let [gateway, job] = ["gateway", "job"].map(|role| bench.account(role, "1"));
    let [frames, windows] = ["in-sink", "out-sink"].map(|role| bench.account(role, "1"));
    [&gateway, &job, &frames, &windows].into_iter().for_each(balances);
    for id in &ids {
        let camera = bench.account("camera", id);
        balances(&camera);
        assert_eq!(camera.total().frames_in, 60);
        assert!(camera.total().frames_out > 0, "{camera:?}");
        assert_eq!(camera.cameras[id].frames_out, gateway.cameras[id].frames_in);
    }
    nothing_lost(&gateway, &job);
    nothing_lost(&gateway, &frames);
    nothing_lost(&job, &windows);
    assert_eq!(stands_in.cameras, job.cameras, "what can be seen of a job says the same as the job");
    assert_eq!(stands_in.facts["windows"], job.facts["windows"]);
    assert_eq!(gateway.facts["missing_frames"], 0);
    assert_eq!(job.total().dropped_total(), 0, "frames came in order and in time: {:?}", job.total());
    assert!(job.facts["truth_frames.motion"].as_u64().unwrap() > 0);
    let per_camera = windows.facts["windows_per_camera"].as_object().unwrap();
    assert_eq!(per_camera.len(), CAMERAS);
    assert!(per_camera.values().all(|n| n.as_u64().unwrap() >= 6), "{per_camera:?}");

    let file = std::path::Path::new(&bench.metrics()).join("in-sink-1.hlog");
    let intervals = meter::read_intervals(&file).unwrap();
    let seen = |tag: &str| intervals.iter().filter(|i| i.tag == tag).map(|i| i.latency.count()).sum::<u64>();
    assert_eq!(seen("fog-to-cloud"), frames.total().frames_in);
    assert_eq!(seen("capture-to-cloud"), frames.total().frames_in);
}

/// The account that a follower of the job writes from the topics alone.
fn follow(bench: &Bench, brokers: &Brokers) -> Account {
    let metrics = format!("{}/followed", bench.metrics());
    let args = ["follow", "--kafka", &brokers.kafka, "--group", "test", "--metrics", &metrics];
    let mut follower = Running::cctv(&args);
    support::cctv(&["wait", "job", "--until", "ready", "--metrics", &metrics, "--timeout", "30s"]).ok();
    support::cctv(&["stop", "job", "--metrics", &metrics, "--timeout", "40s"]).ok();
    assert_eq!(follower.exit_code(), 0);
    let account = Account::read(&std::path::Path::new(&metrics).join("job-1.account.json")).unwrap();
    balances(&account);
    account
}

#[test]
fn counting_at_the_gateway_forwards_no_picture_and_the_job_takes_the_counts() {
    let Some(brokers) = Brokers::start() else { return };
    let bench = Bench::new();
    let _job = bench.start_job(&brokers, &[]);
    let _gateway = bench.gateway(&brokers, "1", &["--process", "count"]);
    bench.wait_ready("job", 1);
    bench.wait_ready("gateway", 1);
    assert_eq!(bench.camera(&brokers, "c", "30", "1s", &[]).exit_code(), 0);
    bench.stop("gateway").ok();
    bench.stop("job").ok();
    // A collector that comes when all is over: it reads everything, and measures nothing.
    let _sinks = ["in-sink", "out-sink"].map(|sink| bench.collector(&brokers, sink, &[]));
    for sink in ["in-sink", "out-sink"] {
        bench.wait_ready(sink, 1);
        bench.stop(sink).ok();
    }
    let (job, frames, windows) =
        (bench.account("job", "1"), bench.account("in-sink", "1"), bench.account("out-sink", "1"));
    assert_eq!((frames.total().frames_in, job.total().frames_in, windows.total().frames_in), (30, 30, 30));
    let csv = std::path::Path::new(&bench.metrics()).join("in-sink-1.csv");
    let seconds = meter::read_seconds(&csv).unwrap();
    assert_eq!(seconds.iter().map(|s| s.bytes_in).sum::<u64>(), 0, "no pictures");
    assert_eq!(seconds.iter().map(|s| s.latency_count).sum::<u64>(), 0, "all was there before the sink");
    assert_eq!(frames.facts["before_ready"], 31, "frames and the end marker");
}
