//! iperf3, and what its receiving side says.

use super::{Side, exec};
use fogline_agent::{ExecRequest, JobRequest};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const PORT: u16 = 5201;
/// Time for the server to be there.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest run.
const LIFE: Duration = Duration::from_secs(60);
/// Intervals of half a second that do not count: a flow's beginning.
const SKIPPED: usize = 2;

/// What the receiver heard.
pub(super) struct Heard {
    /// Payload per second in each half second after the first ones.
    rates: Vec<f64>,
    /// Datagrams that should have come.
    pub(super) packets: u64,
    /// Those that did not.
    pub(super) lost: u64,
}

impl Heard {
    pub(super) fn median_bits_per_s(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(0.0)
    }
}

/// One run of so many seconds; a server serves one.
pub(super) fn run(side: Side<'_>, options: &str, seconds: u32) -> Heard {
    let serve = format!("iperf3 -s -1 -J -i 0.5 -p {PORT}");
    let exec_request = ExecRequest { timeout: LIFE, ..ExecRequest::new(serve.split_whitespace()) };
    let server = JobRequest { label: "iperf3".to_owned(), exec: exec_request };
    let job = side.to.start_job(&server).expect("iperf3 starts");
    let client = format!("iperf3 -c {} -J -i 0.5 -p {PORT} -t {seconds} {options}", side.address);
    let deadline = Instant::now() + PATIENCE;
    let sent = loop {
        let result = exec(side.from, &client);
        let text = String::from_utf8_lossy(&result.stdout).into_owned();
        // With -J some versions end with 0 whatever happened.
        if result.exit.is_success() && !text.contains("\"error\":") {
            break text;
        }
        assert!(text.contains("refused") && Instant::now() < deadline, "{client}: {text}");
        std::thread::park_timeout(Duration::from_millis(20));
    };
    let status = side.to.wait_job(job, LIFE).expect("the server's end");
    let tail = String::from_utf8_lossy(&status.stdout_tail);
    let ended = status.exit.is_some_and(fogline_agent::Exit::is_success);
    assert!(ended, "the server of `{client}` ended with {:?}: {tail}\nThe client said: {sent}", status.exit);
    let backwards = options.split_whitespace().any(|option| option == "-R");
    heard(&if backwards { sent } else { output(side, &status.stdout_path) })
}

fn output(side: Side<'_>, path: &Path) -> String {
    let result = exec(side.to, &format!("cat {}", path.display()));
    String::from_utf8_lossy(&result.stdout).into_owned()
}

fn heard(text: &str) -> Heard {
    let told: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("iperf3: {error}: {text}"));
    let intervals = told["intervals"].as_array().cloned().unwrap_or_default();
    // The last one may be a sliver.
    let whole = |sum: &&Value| sum["seconds"].as_f64().is_some_and(|seconds| seconds > 0.3);
    let rates = intervals.iter().map(|interval| &interval["sum"]).filter(whole);
    let rates: Vec<f64> = rates.filter_map(|sum| sum["bits_per_second"].as_f64()).skip(SKIPPED).collect();
    assert!(!rates.is_empty(), "iperf3 told no rates: {text}");
    let total = |key: &str| told["end"]["sum"][key].as_u64().unwrap_or(0);
    Heard { rates, packets: total("packets"), lost: total("lost_packets") }
}
