//! Run folders in, ledger and page out. The metric files are written by the very recorder that the application uses.

mod support;

use fogline_journal::{Clock, Event, Journal, Manifest, NetworkMeasured, Verdict};
use fogline_report::Evaluation;
use meter::Recorder;
use std::path::Path;
use std::time::Duration;
use support::Run;

const FRAMES: u64 = 50;

impl Run {
    fn recorder(&self, role: &str) -> Recorder {
        let directory = self.folder.experiment_results().join(role).join("host").join("opt/metrics");
        std::fs::create_dir_all(&directory).expect("a folder");
        Recorder::create(&directory, role, "1", meter::Clock::system()).expect("a recorder")
    }

    /// One process that passes all frames of one camera on, but for `dropped` ones, and takes 20 ms for each.
    fn pass(&self, role: &str, entered: u64, dropped: u64) {
        let mut recorder = self.recorder(role);
        recorder.latency_of("capture-to-here");
        recorder.frames_in("cam-1", entered, 1000);
        recorder.frames_out("cam-1", entered - dropped, 900);
        recorder.dropped_n("cam-1", "corrupt", dropped);
        for _ in 0..entered {
            recorder.latency("capture-to-here", Duration::from_millis(20));
        }
        recorder.finish().expect("an account");
    }

    fn pass_all(&self, lost_at_job: u64) {
        self.pass("camera", FRAMES, 0);
        self.pass("gateway", FRAMES, 3);
        self.pass("in-sink", FRAMES - 3, 0);
        self.pass("job", FRAMES - 3 - lost_at_job, 0);
        self.pass("out-sink", FRAMES - 3 - lost_at_job, 0);
    }

    fn network(&self, agrees: bool) {
        let journal = Journal::open(&self.folder, &Clock::system(), Vec::new()).expect("a journal");
        let measured = NetworkMeasured {
            rule: "cloud-fog".to_owned(),
            source: "cloud".to_owned(),
            destination: "fog".to_owned(),
            delay_ms_asked: 5.0,
            delay_ms: Some(5.04),
            rate_bits_per_s_asked: Some(1_000_000_000),
            rate_bits_per_s: Some(987_000_000),
            loss_asked: 0.02,
            loss: Some(0.0201),
            agrees,
            ..NetworkMeasured::default()
        };
        journal.emit(Event::NetworkMeasured(measured)).expect("an event");
    }

    fn evaluate(&self) -> Evaluation {
        Evaluation::of(&self.folder).expect("a run that can be read")
    }

    fn page(&self, manifest: &Manifest) -> String {
        self.evaluate().write(&self.folder, manifest).expect("a report");
        std::fs::read_to_string(self.folder.report()).expect("a page")
    }
}

#[test]
fn a_balanced_run_has_no_reason_for_doubt() {
    let run = Run::new();
    run.pass_all(0);
    run.network(true);
    let evaluation = run.evaluate();
    assert_eq!(evaluation.reasons(), [] as [String; 0]);
    assert_eq!(evaluation.ledger().unexplained(), 0);
    assert!(
        evaluation.summary(&Manifest::default())[0]
            .contains("50 due at 1 cameras, 50 sent, 47 counted, 0 unexplained")
    );
}

#[test]
fn a_vanished_frame_is_unexplained_and_named() {
    let run = Run::new();
    run.pass_all(2);
    let evaluation = run.evaluate();
    assert_eq!(evaluation.ledger().unexplained(), 2);
    assert!(
        evaluation.reasons().iter().any(|reason| reason.contains("2 frames of 1 cameras are unexplained"))
    );
    let manifest = Manifest { verdict: Some(Verdict::Invalid), ..Manifest::default() };
    assert!(run.page(&manifest).contains("must not be used"));
    let ledger = std::fs::read_to_string(run.folder.ledger()).expect("a ledger");
    let row = ledger.lines().nth(1).expect("one camera");
    assert!(row.starts_with("cam-1,50,50,,0,50,47,corrupt:3,0,") && row.ends_with(",2"), "{row}");
}

#[test]
fn a_stage_without_account_and_a_cut_one_are_reasons() {
    let run = Run::new();
    run.pass("camera", FRAMES, 0);
    let mut gateway = run.recorder("gateway");
    gateway.frames_in("cam-1", FRAMES, 1000);
    gateway.frames_out("cam-1", FRAMES, 1000);
    gateway.tick(meter::Clock::system().unix_ns() + 10_000_000_000).expect("an intermediate account");
    drop(gateway);
    let reasons = run.evaluate().reasons().join("; ");
    assert!(reasons.contains("no job left an account"), "{reasons}");
    assert!(reasons.contains("1 gateway processes did not come to an orderly end: 1"), "{reasons}");
}

#[test]
fn a_stage_that_ended_before_its_streams_is_a_reason() {
    let run = Run::new();
    run.pass_all(0);
    let mut job = run.recorder("job");
    job.frames_in("cam-1", FRAMES - 3, 1000);
    job.frames_out("cam-1", FRAMES - 3, 900);
    job.fact("undrained", 1);
    job.finish().expect("an account");
    let reasons = run.evaluate().reasons().join("; ");
    assert!(reasons.contains("1 job processes did not come to an orderly end"), "{reasons}");
}

#[test]
fn a_network_that_is_off_is_a_reason() {
    let run = Run::new();
    run.network(false);
    let reasons = run.evaluate().reasons().join("; ");
    assert!(reasons.contains("cloud-fog (cloud to fog) does not measure as asked"), "{reasons}");
}

#[test]
fn the_page_stands_alone_and_escapes_what_it_shows() {
    let run = Run::new();
    run.pass_all(0);
    run.network(true);
    let cpu = "time_unix_s,cpu_percent,rss_kib\n1700000000.0,12.5,2048\n1700000001.0,37.5,4096\n";
    std::fs::write(run.folder.dstat_of("edge-1"), cpu).expect("samples");
    let manifest = Manifest {
        scenario: "a <b> & c".to_owned(),
        verdict: Some(Verdict::Passed),
        congestion: "cubic".to_owned(),
        ..Manifest::default()
    };
    let page = run.page(&manifest);
    assert!(page.contains("a &lt;b&gt; &amp; c") && !page.contains("<b>"));
    for outside in ["http://", "https://", "<script", "@import", "src="] {
        assert!(!page.contains(outside), "the page reaches outside by {outside}");
    }
    for shown in ["capture-to-here", "cubic", "edge-1", "25.0", "cloud-fog", "987.0", "corrupt:3"] {
        assert!(page.contains(shown), "the page does not show {shown}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn a_broken_metric_file_is_named() {
    let run = Run::new();
    let path = run.folder.experiment_results().join("job-1.account.json");
    std::fs::write(&path, "{").expect("a broken account");
    let error = Evaluation::of(&run.folder).expect_err("broken").to_string();
    assert!(error.contains("job-1.account.json"), "{error}");
}

#[test]
fn an_empty_run_folder_still_gives_a_page() {
    let run = Run::new();
    assert!(run.page(&Manifest::default()).contains("No process left an account"));
    assert!(Path::new(&run.folder.ledger()).is_file());
}
