//! Hosts with links of all kinds, and what iperf3 and ping say about them.

mod iperf;

use fogline_agent::{Client, ExecRequest, ExecResult};
use fogline_plan::{Host, HostId, Link, Plan, Profile};
use fogline_testbed::{LocalOptions, LocalTestbed, TestbedError, probe_rights_with};
use link::{Limit, LossModel, Queue};
use netem::DataPath;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use units::Size;

/// Attempts at what a busy machine may spoil; what must never be is looked at in each.
const ATTEMPTS: usize = 4;
/// Full frames without their checksum, as rates count them; payload of TCP with time stamps, and of the datagrams sent.
const FRAME_BYTES: f64 = 1514.0;
const SEGMENT_BYTES: f64 = 1448.0;
const DATAGRAM_BYTES: f64 = 1400.0;
const HEADER_BYTES: f64 = 42.0;
const RATE: f64 = 20e6;
const SLOW_RATE: f64 = 10e6;
const LOSS: f64 = 0.05;

/// Why nobody judges.
pub(crate) enum Verdict {
    /// The machine lacks something.
    Skipped(String),
    /// It should have worked.
    Broken(String),
}

/// Pairs of hosts: 2 n sends to 2 n + 1.
#[derive(Clone, Copy)]
enum Pair {
    /// 20 ms there and back.
    Symmetric,
    /// 30 ms there, nothing asked of the way back.
    Asymmetric,
    /// 20 mbit each way, with a queue that does not overflow: what a queue drops makes TCP's rate jump.
    TcpThere,
    /// The same rule, looked at from the other side.
    TcpBack,
    /// 20 mbit each way, with the usual queue.
    Udp,
    /// 10 mbit there, nothing asked of the way back.
    SlowThere,
    /// The same rule, looked at from the other side.
    FreeBack,
    /// 5 % loss there.
    Lossy,
}

const PAIRS: [Pair; 8] = [
    Pair::Symmetric,
    Pair::Asymmetric,
    Pair::TcpThere,
    Pair::TcpBack,
    Pair::Udp,
    Pair::SlowThere,
    Pair::FreeBack,
    Pair::Lossy,
];

impl Pair {
    /// There and back.
    fn profiles(self) -> (Profile, Option<Profile>) {
        let deep = Queue { limit: Limit::Bytes(Size::from_bytes(64 << 20)), ..Queue::default() };
        let rate = |bits: f64, queue: Queue| Profile {
            rate: units::Rate::from_bits_per_s(bits as u64),
            delay: units::Delay::from_millis(5),
            queue,
            ..Profile::default()
        };
        let delay = |millis: u64| Profile { delay: units::Delay::from_millis(millis), ..Profile::default() };
        let loss = LossModel::Independent("5%".parse().expect("a share"));
        match self {
            Self::Symmetric => (delay(20), Some(delay(20))),
            Self::Asymmetric => (delay(30), None),
            Self::TcpThere | Self::TcpBack => (rate(RATE, deep), Some(rate(RATE, deep))),
            Self::Udp => (rate(RATE, Queue::default()), Some(rate(RATE, Queue::default()))),
            Self::SlowThere | Self::FreeBack => (rate(SLOW_RATE, deep), None),
            Self::Lossy => (Profile { loss, ..Profile::default() }, None),
        }
    }
}

/// The hosts and the judges on them.
pub(crate) struct Judge {
    plan: Plan,
    testbed: LocalTestbed,
}

impl Judge {
    /// Brings the hosts up.
    ///
    /// # Errors
    /// When the machine lacks something, or refuses what it said it allows.
    pub(crate) fn of(program: &Path, path: DataPath) -> Result<Self, Verdict> {
        for tool in ["iperf3", "ping"] {
            let found = std::process::Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
            if !found.is_ok_and(|output| output.status.success()) {
                return Err(Verdict::Skipped(format!(
                    "{tool} is not installed (scripts/need test installs it)"
                )));
            }
        }
        let lab_command = (program.to_owned(), vec!["__lab".to_owned()]);
        let options = LocalOptions { lab_command, path: Some(path), ..LocalOptions::default() };
        match probe_rights_with(&options) {
            Ok(_) => {}
            Err(TestbedError::Right(missing)) => return Err(Verdict::Skipped(missing.to_string())),
            Err(error) => return Err(Verdict::Broken(error.to_string())),
        }
        let plan = plan();
        let testbed =
            LocalTestbed::deploy(&plan, &options).map_err(|error| Verdict::Broken(error.to_string()))?;
        Ok(Self { plan, testbed })
    }

    /// Hears all judges at once: each has a pair of hosts for itself.
    pub(crate) fn hear(self) {
        std::thread::scope(|scope| {
            for (index, pair) in PAIRS.into_iter().enumerate() {
                let there = Side {
                    from: &self.testbed.agents()[2 * index],
                    to: &self.testbed.agents()[2 * index + 1],
                    address: self.plan.hosts[2 * index + 1].address,
                };
                scope.spawn(move || there.judge(pair));
            }
        });
        self.testbed.release().expect("everything is released");
    }
}

fn plan() -> Plan {
    let host = |index: u8| Host {
        name: format!("judge-{index}"),
        address: Ipv4Addr::new(10, 78, 0, index + 1),
        layer: "judges".to_owned(),
        roles: Vec::new(),
        monitored: false,
        software: Vec::new(),
    };
    let links = PAIRS.into_iter().enumerate().flat_map(|(index, pair)| {
        let (near, far) = (HostId(2 * index), HostId(2 * index + 1));
        let (there, back) = pair.profiles();
        [Some(Link::new(near, far, there)), back.map(|back| Link::new(far, near, back))].into_iter().flatten()
    });
    Plan {
        scenario: "judges".to_owned(),
        hosts: (0..PAIRS.len() as u8 * 2).map(host).collect(),
        links: links.collect(),
        ..Plan::default()
    }
}

/// A pair of hosts.
#[derive(Clone, Copy)]
struct Side<'a> {
    from: &'a Client,
    to: &'a Client,
    address: Ipv4Addr,
}

impl Side<'_> {
    fn judge(self, pair: Pair) {
        let tcp_share = SEGMENT_BYTES / FRAME_BYTES;
        let udp_share = DATAGRAM_BYTES / (DATAGRAM_BYTES + HEADER_BYTES);
        let datagrams = format!("-u -b {} -l {DATAGRAM_BYTES}", RATE * 1.2);
        match pair {
            Pair::Symmetric => self.round_trip(40.0),
            Pair::Asymmetric => self.round_trip(30.0),
            Pair::TcpThere => self.rate("", RATE * tcp_share),
            Pair::TcpBack => self.rate("-R", RATE * tcp_share),
            Pair::Udp => self.rate(&datagrams, RATE * udp_share),
            Pair::SlowThere => self.rate("", SLOW_RATE * tcp_share),
            Pair::FreeBack => self.unlimited("-R -b 40M", 2.0 * SLOW_RATE),
            Pair::Lossy => self.loss("-u -b 4M -l 200"),
        }
    }

    /// No answer is early; most come in time.
    fn round_trip(self, asked_ms: f64) {
        let mut seen = Vec::new();
        for _ in 0..ATTEMPTS {
            let ping = format!("ping -n -i 0.05 -c 40 {}", self.address);
            let result = exec(self.from, &ping);
            let text = String::from_utf8_lossy(&result.stdout).into_owned();
            let times =
                text.lines().filter_map(|line| line.split_once("time=")?.1.split(' ').next()?.parse().ok());
            let mut times: Vec<f64> = times.collect();
            times.sort_by(f64::total_cmp);
            assert!(times.len() >= 38, "ping to {} lost packets: {text}", self.address);
            // ping cuts its figures, so the last digit may be missing.
            assert!(times[0] >= asked_ms - 0.1, "an answer after {} ms, asked are {asked_ms}", times[0]);
            let median = times[times.len() / 2];
            if median <= asked_ms * 1.2 {
                return;
            }
            seen.push(median);
        }
        panic!("round trips of {seen:?} ms, asked are {asked_ms}");
    }

    /// Never more than asked, and in the best attempt nearly that much.
    fn rate(self, options: &str, asked: f64) {
        let mut seen = Vec::new();
        for _ in 0..ATTEMPTS {
            let heard = iperf::run(self, options, 4);
            let rate = heard.median_bits_per_s();
            assert!(rate <= asked * 1.01, "iperf3 {options}: {rate} bit/s, asked are {asked}");
            if rate >= asked * 0.9 {
                return;
            }
            seen.push(rate);
        }
        panic!("iperf3 {options}: {seen:?} bit/s, asked are {asked}");
    }

    /// More than a limit that holds in the other direction only.
    fn unlimited(self, options: &str, least: f64) {
        let mut seen = Vec::new();
        for _ in 0..ATTEMPTS {
            let rate = iperf::run(self, options, 2).median_bits_per_s();
            if rate >= least {
                return;
            }
            seen.push(rate);
        }
        panic!("iperf3 {options}: {seen:?} bit/s, which nothing limits to less than {least}");
    }

    /// The share lost is within four standard errors; what a busy receiver loses by itself comes on top, so another
    /// attempt may be better.
    fn loss(self, options: &str) {
        let mut seen = Vec::new();
        for _ in 0..ATTEMPTS {
            let heard = iperf::run(self, options, 6);
            assert!(heard.packets >= 10_000, "only {} datagrams", heard.packets);
            let share = heard.lost as f64 / heard.packets as f64;
            let standard_error = (LOSS * (1.0 - LOSS) / heard.packets as f64).sqrt();
            assert!(
                share >= LOSS - 4.0 * standard_error,
                "only {share} of the datagrams are lost, asked are {LOSS}"
            );
            if share <= LOSS + 4.0 * standard_error {
                return;
            }
            seen.push(share);
        }
        panic!("{seen:?} of the datagrams are lost, asked are {LOSS}");
    }
}

/// Runs a command on a host.
fn exec(host: &Client, command: &str) -> ExecResult {
    let request =
        ExecRequest { timeout: Duration::from_secs(60), ..ExecRequest::new(command.split_whitespace()) };
    host.exec(&request).unwrap_or_else(|error| panic!("{command}: {error}"))
}
