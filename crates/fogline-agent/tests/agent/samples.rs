use crate::{Guest, until};
use fogline_agent::{ExecRequest, SAMPLE_COLUMNS};
use std::time::Duration;

fn rows(csv: &str) -> Vec<Vec<f64>> {
    csv.lines().skip(1).map(|line| line.split(',').map(|value| value.parse().unwrap()).collect()).collect()
}

#[test]
fn samples_have_a_header_and_a_line_per_interval_and_see_work() {
    let guest = Guest::start();
    let csv = guest.path().join("dstat/host.csv");
    guest.client.start_samples(&csv, Duration::from_millis(100)).unwrap();
    let error = guest.client.start_samples(&csv, Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");
    // A process that works and ends between two lines is in the sum through whoever waited for it.
    let work = ExecRequest::new(["sh", "-c", "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"]);
    guest.client.exec(&work).unwrap();
    until("three lines", || std::fs::read_to_string(&csv).unwrap().lines().count() > 3);
    guest.client.stop_samples().unwrap();
    guest.client.stop_samples().unwrap();
    let text = std::fs::read_to_string(&csv).unwrap();
    assert_eq!(text.lines().next(), Some(SAMPLE_COLUMNS));
    let rows = rows(&text);
    assert!(rows.iter().all(|row| row.len() == SAMPLE_COLUMNS.split(',').count()), "{text}");
    assert!(rows.windows(2).all(|pair| pair[1][0] >= pair[0][0]), "{text}");
    assert!(rows.iter().any(|row| row[1] > 0.0), "some line has CPU time: {text}");
    assert!(rows.iter().all(|row| row[2] > 0.0 && row[3] >= 1.0), "{text}");
}

#[test]
fn samples_that_cannot_be_written_are_refused() {
    let guest = Guest::start();
    let file = guest.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = guest.client.start_samples(&file.join("x.csv"), Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
    let error = guest.client.start_samples(&guest.path().join("y.csv"), Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("too short"), "{error}");
}
