//! The section on engines, from files as `gauge sample flink` and Kafka's JmxTool write them.

mod support;

use fogline_journal::Manifest;
use fogline_report::Evaluation;
use std::fs;
use std::path::Path;
use support::Run;

const HEADER: &str = "time_unix_ms,job,job_id,state,vertex,subtasks,records_in,records_out,records_in_per_s,\
    records_out_per_s,busy_ms_per_s,backpressured_ms_per_s,idle_ms_per_s,pending_records,records_lag_max,\
    watermark_lag_ms,checkpoints_completed,checkpoints_failed,checkpoint_ms,checkpoint_bytes,restarts,\
    job_manager_heap_bytes,job_manager_cpu_load,task_managers,task_managers_heap_bytes,task_managers_cpu_load,\
    task_managers_cpu_s";

/// A cluster before its job, the job's first samples, and a line that was cut off. The third checkpoint is seen twice.
fn flink() -> String {
    let lines = [
        "1000,,,,,,,,,,,,,,,,,,,,,38679136,0.012,1,57078080,0.014,15",
        "2000,count,0a,RUNNING,Source: frames,16,0,0,,,,,,,,,,,,,0,38679136,0.012,1,57078080,0.014,15",
        "3000,count,0a,RUNNING,Source: frames,16,300,300,300,300,250,400,400,75,80,2500,2,1,40,2048,0,1,0.1,1,1,0.1,1",
        "3000,count,0a,RUNNING,\"windows, by camera\",16,300,10,300,10,800,0,200,,,,2,1,40,2048,0,1,0.1,1,1,0.1,1",
        "4000,count,0a,RUNNING,Source: frames,16,400,400,100,100,50,0,940,5,80,1500,3,1,90,4096,1,1,0.1,1,104857600,0.1,1",
        "5000,count,0a,RUNNING,Source: frames,16,400,400,0,0,0,0,1000,5,80,1500,3,1,90,4096,1,1,0.1,1,1,0.1,1",
        "6000,count,0a,RUN",
    ];
    format!("{HEADER}\n{}", lines.join("\n"))
}

fn kafka(ms: u64, bytes: u64, p99: f64) -> String {
    let heap = "javax.management.openmbean.CompositeDataSupport(compositeType=javax.management.openmbean.CompositeType(\
        name=java.lang.management.MemoryUsage,items=((itemName=used,itemType=javax.management.openmbean.SimpleType(\
        name=java.lang.Long)))),contents={committed=304087040, init=314572800, max=304087040, used=209715200})";
    format!(
        "time,\"{ms}\"\n\
         java.lang:type=Memory:HeapMemoryUsage,\"{heap}\"\n\
         java.lang:type=OperatingSystem:ProcessCpuLoad,\"0.25\"\n\
         kafka.log:type=Log,name=Size,topic=in,partition=0:Value,\"77\"\n\
         kafka.network:type=RequestMetrics,name=TotalTimeMs,request=Produce:99thPercentile,\"{p99}\"\n\
         kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec:Count,\"{bytes}\"\n"
    )
}

impl Run {
    fn put(folder: &Path, name: &str, text: &str) {
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join(name), text).expect("a file");
    }

    /// The section alone.
    fn section(&self, manifest: &Manifest) -> Option<String> {
        Evaluation::of(&self.folder).expect("readable").write(&self.folder, manifest).expect("a report");
        let page = fs::read_to_string(self.folder.report()).expect("a page");
        let begin = page.find("<h2>Engines</h2>")?;
        let rest = &page[begin + 4..];
        Some(rest[..rest.find("<h2>").unwrap_or(rest.len())].to_owned())
    }

    fn refusal(&self) -> String {
        Evaluation::of(&self.folder).expect_err("broken").to_string()
    }
}

fn manifest() -> Manifest {
    let engines = serde_json::json!({"Kafka": "apache", "Mosquitto": "embedded", "Flink": "apache"});
    Manifest {
        facts: [("engines".to_owned(), engines)].into(),
        versions: [("flink".to_owned(), "2.2.1".to_owned())].into(),
        ..Manifest::default()
    }
}

/// The cells of the row that has `first` in its first cell or its second.
fn row(section: &str, first: &str) -> Vec<String> {
    let rows = section.split("<tr>").skip(1).map(|row| {
        let cells = row.split("<td").skip(1).filter_map(|cell| cell.split_once('>')?.1.split_once("</td>"));
        cells.map(|(cell, _)| cell.to_owned()).collect::<Vec<_>>()
    });
    let mut rows = rows.filter(|cells| cells.iter().take(2).any(|cell| cell == first));
    rows.next().unwrap_or_else(|| panic!("no row {first}: {section}"))
}

#[test]
fn without_metrics_the_engines_are_named_and_nothing_is_drawn() {
    let section = Run::new().section(&manifest()).expect("a section");
    assert_eq!(row(&section, "apache"), ["apache", "Kafka, Flink"]);
    assert_eq!(row(&section, "embedded"), ["embedded", "Mosquitto"]);
    assert!(section.contains("flink 2.2.1") && !section.contains("<svg") && !section.contains("<h3>"));
}

#[test]
fn runs_of_versions_that_named_no_engines_have_no_section() {
    assert_eq!(Run::new().section(&Manifest::default()), None);
}

#[test]
fn throughput_lag_back_pressure_and_checkpoints_of_flink_are_shown() {
    let run = Run::new();
    Run::put(&run.folder.flink_metrics(), "main.csv", &flink());
    let section = run.section(&manifest()).expect("a section");
    let source = row(&section, "Source: frames");
    assert_eq!(source[2..], ["16", "133.3", "300.0", "133.3", "10.0", "25.0", "13.3", "40.0", "75", "2.5"]);
    let windows = row(&section, "windows, by camera");
    assert_eq!(windows[2..], ["16", "300.0", "300.0", "10.0", "80.0", "80.0", "0.0", "0.0", "–", "–"]);
    let job = row(&section, "main");
    assert_eq!(job, ["count", "main", "3", "1", "90", "90", "4.0", "1", "100"], "two durations: 40 and 90");
    assert_eq!(section.matches("<svg").count(), 4, "records, lag, back-pressure, checkpoints");
}

#[test]
fn traffic_and_times_of_brokers_are_shown() {
    let run = Run::new();
    let list = kafka(10_000, 5_000_000, 1.5)
        + "WARN a word between\n"
        + &kafka(15_000, 25_000_000, 12.25)
        + "time,\"200";
    Run::put(&run.folder.kafka_metrics(), "kafka-1.csv", &list);
    Run::put(&run.folder.kafka_metrics(), "kafka-2.csv", "");
    let section = run.section(&manifest()).expect("a section");
    let broker = row(&section, "kafka-1");
    assert_eq!(
        (broker[2].as_str(), broker[5].as_str(), broker[11].as_str()),
        ("20.0", "12.2", "200"),
        "{broker:?}"
    );
    assert!(section.contains("kafka-1 in") && !section.contains("kafka-2"));
}

#[test]
fn what_no_sampler_wrote_is_named() {
    let run = Run::new();
    Run::put(&run.folder.flink_metrics(), "main.csv", "a,b\n1,2\n");
    let said = run.refusal();
    assert!(said.contains("main.csv") && said.contains("no column `time_unix_ms`"), "{said}");
    Run::put(
        &run.folder.flink_metrics(),
        "main.csv",
        &flink().replace(",300,300,300,300,", ",300,300,many,300,"),
    );
    assert!(run.refusal().contains("`many` in column `records_in_per_s` is no number"));
    let run = Run::new();
    Run::put(&run.folder.kafka_metrics(), "kafka-1.csv", "Error: no such broker\n");
    let said = run.refusal();
    assert!(said.contains("kafka-1.csv") && said.contains("is no list of JmxTool's"), "{said}");
}
