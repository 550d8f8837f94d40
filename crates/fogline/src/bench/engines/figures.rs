//! What of a run is compared.

use super::ServiceHosts;
use fogline_report::{Figures, HostFigures};
use serde::Serialize;

/// One figure of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figure {
    /// For machines: `cpu-kafka`.
    pub(super) name: String,
    /// For people, with the unit.
    pub(super) what: String,
    /// The value; absent where the run did not give it.
    pub(super) value: Option<f64>,
}

impl Figure {
    fn new(name: impl Into<String>, what: impl Into<String>, value: Option<f64>) -> Self {
        Self { name: name.into(), what: what.into(), value: value.filter(|value| value.is_finite()) }
    }
}

/// All figures of a run in the order of the table. `duration_s` is what was asked for between launch and finalize, in
/// which every camera sends.
pub(super) fn figures(
    run: &Figures,
    duration_s: u64,
    services_ready_s: Option<f64>,
    services: &ServiceHosts,
) -> Vec<Figure> {
    let per_s = |frames: u64| (frames > 0).then(|| frames as f64 / duration_s.max(1) as f64);
    let per_1000 = |cpu_s: f64| Some(cpu_s * 1000.0 / run.frames_counted as f64);
    let hosts_cpu_s: f64 = run.hosts.iter().map(|host| host.cpu_s).sum();
    let whole = run.emulator_cpu_s.filter(|_| !run.hosts.is_empty()).map(|emulator| emulator + hosts_cpu_s);
    let mut all = vec![
        Figure::new("sent", "frames/s that the cameras sent", per_s(run.frames_sent)),
        Figure::new("counted", "frames/s that the job counted", per_s(run.frames_counted)),
        Figure::new("drained", "last frame sent to last window collected, s", run.drained_s),
    ];
    for (role, tag) in [("out-sink", "end-to-end"), ("in-sink", "fog-to-cloud")] {
        let latency = run.latencies.iter().find(|latency| latency.role == role && latency.tag == tag);
        let (p50, p99) = latency.map_or((None, None), |latency| (latency.p50_ms, latency.p99_ms));
        all.push(Figure::new(format!("{tag}-p50"), format!("{tag}, median, ms"), p50));
        all.push(Figure::new(format!("{tag}-p99"), format!("{tag}, p99, ms"), p99));
    }
    let what = "CPU s per 1,000 frames, all hosts and the emulator";
    all.push(Figure::new("cpu", what, whole.and_then(per_1000)));
    for (service, hosts) in services {
        let sum = sum(run, hosts, |host| host.cpu_s);
        let what = format!("CPU s per 1,000 frames, hosts of {service}");
        all.push(Figure::new(format!("cpu-{}", service.to_lowercase()), what, sum.and_then(per_1000)));
    }
    for (service, hosts) in services {
        let sum = sum(run, hosts, |host| host.memory_mib_max);
        let what = format!("resident memory, hosts of {service}, MiB");
        all.push(Figure::new(format!("memory-{}", service.to_lowercase()), what, sum));
    }
    all.push(Figure::new("services-ready", "deploy to services ready, s", services_ready_s));
    all.push(Figure::new("cameras-started", "deploy to last camera started, s", run.cameras_started_s));
    all
}

/// The sum over some hosts; `None` when one of them was not sampled.
fn sum(run: &Figures, hosts: &[String], value: fn(&HostFigures) -> f64) -> Option<f64> {
    hosts.iter().map(|name| run.hosts.iter().find(|host| host.host == *name).map(value)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_report::LatencyFigures;

    fn run() -> Figures {
        let host =
            |name: &str, cpu_s, memory_mib_max| HostFigures { host: name.to_owned(), cpu_s, memory_mib_max };
        Figures {
            frames_sent: 1000,
            frames_counted: 500,
            drained_s: Some(3.0),
            cameras_started_s: Some(6.5),
            latencies: vec![LatencyFigures {
                role: "out-sink".to_owned(),
                tag: "end-to-end".to_owned(),
                samples: 2000,
                p50_ms: Some(70.0),
                p99_ms: Some(90.0),
            }],
            hosts: vec![host("kafka-1", 2.0, 100.0), host("kafka-2", 3.0, 50.0), host("edge-1", 4.0, 10.0)],
            emulator_cpu_s: Some(1.0),
        }
    }

    #[test]
    fn figures_are_per_second_of_the_run_and_per_thousand_frames_counted() {
        let hosts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let services = ServiceHosts::from([
            ("Kafka".to_owned(), hosts(&["kafka-1", "kafka-2"])),
            ("Lost".to_owned(), hosts(&["kafka-1", "nobody"])),
        ]);
        let figures = figures(&run(), 10, Some(1.5), &services);
        let value = |name: &str| figures.iter().find(|figure| figure.name == name).expect(name).value;
        assert_eq!([value("sent"), value("counted")], [Some(100.0), Some(50.0)]);
        assert_eq!([value("cpu"), value("cpu-kafka"), value("cpu-lost")], [Some(20.0), Some(10.0), None]);
        assert_eq!([value("memory-kafka"), value("memory-lost")], [Some(150.0), None]);
        assert_eq!([value("end-to-end-p99"), value("fog-to-cloud-p50")], [Some(90.0), None]);
        assert_eq!([value("services-ready"), value("cameras-started")], [Some(1.5), Some(6.5)]);
    }

    #[test]
    fn a_run_without_frames_has_no_costs_of_frames() {
        let run = Figures { frames_counted: 0, ..run() };
        let figures = figures(&run, 10, None, &ServiceHosts::new());
        let value = |name: &str| figures.iter().find(|figure| figure.name == name).expect(name).value;
        assert_eq!([value("counted"), value("cpu")], [None, None]);
    }
}
