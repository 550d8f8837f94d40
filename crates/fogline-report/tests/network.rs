//! What the page says of a network: rule by rule, over time, and against its bounds.

use fogline_journal::{
    ChangedBy, Clock, Event, Journal, LateBound, Manifest, NetworkChanged, NetworkMeasured, NetworkPlan,
    NetworkRule, NetworkVerdict, RunFolder, RunPhase, Turn, Verdict, write_json,
};
use fogline_report::Evaluation;
use link::{Bounds, Congestion, Profile, Share};
use serde_json::json;

const VIOLATION: &str = "packets of links of 5 ms left late: p99 3.00 ms, bound 1.00 ms";

fn folder() -> (tempfile::TempDir, RunFolder) {
    let scenario = tempfile::tempdir().expect("a folder");
    let folder = RunFolder::create(scenario.path(), &Clock::fixed(1_700_000_000_000_000_000)).expect("a run");
    (scenario, folder)
}

fn rule(source: &str, destination: &str, links: Vec<usize>) -> NetworkRule {
    NetworkRule {
        name: format!("{source}-{destination}"),
        source: source.to_owned(),
        destination: destination.to_owned(),
        mirrored: false,
        profile: Profile { delay: "5ms".parse().expect("a delay"), ..Profile::default() },
        share: Share::Group,
        congestion: Some(Congestion::Reno),
        seed: None,
        links,
    }
}

/// A run whose cloud sent 30 packets over two links, one of which was cut by schedule and slowed by hand.
fn fill(folder: &RunFolder, violations: &[&str]) {
    let rules = vec![rule("cloud", "fog", vec![0, 1]), rule("fog", "cloud", vec![2])];
    NetworkPlan { rules, ..NetworkPlan::default() }.write(folder).expect("a plan");
    let late = vec![LateBound { delay_ns: 5_000_000, bound_ns: 1_000_000 }];
    let violations = violations.iter().map(|text| (*text).to_owned()).collect();
    NetworkVerdict { bounds: Bounds::default(), late, violations }.write(folder).expect("a verdict");
    let tally = |packets: u64| json!({ "packets": packets, "bytes": packets * 100 });
    let late = json!({ "count": 27, "p50_ns": 40_000, "p90_ns": 0, "p99_ns": 3_000_000, "max_ns": 9_000_000, "buckets": [] });
    let account = json!({
        "data_path": "tap+vnet_hdr", "offload": "csum+tso", "timer": "epoll_pwait2", "scheduling": "SCHED_OTHER", "seed": 42,
        "elapsed_s": 10.0, "cpu_s": 2.0, "workers": [{ "cpu_s": 2.0, "stalled_s": 0.5, "devices": 3, "links": 3 }],
        "lateness": late, "by_delay": [{ "delay_ns": 5_000_000, "lateness": late }], "unshaped": tally(7),
        "links": [
            { "entered": tally(20), "delivered": tally(17), "cut": tally(3) },
            { "entered": tally(10), "delivered": tally(10) },
            { "entered": tally(4), "delivered": tally(4), "unknown to this version": 1 },
        ],
        "devices": [
            { "node": "fog-1", "transmit_dropped": 5, "receive_dropped": 0, "refused": 0 }, { "node": "cloud-1" },
        ],
    });
    write_json(&folder.network(), &account).expect("an account");
    let journal = Journal::open(folder, &Clock::system(), Vec::new()).expect("a journal");
    let emit = |event| journal.emit(event).expect("an event");
    emit(Event::NetworkMeasured(NetworkMeasured {
        rule: "cloud-fog".to_owned(),
        jitter_ms_asked: Some(2.0),
        jitter_ms: Some(2.25),
        mtu: Some(1500),
        agrees: true,
        ..NetworkMeasured::default()
    }));
    emit(Event::PhaseStarted { phase: RunPhase::Run });
    let change = |by, at_s, turn, what: &str| {
        let what = what.to_owned();
        Event::NetworkChanged(NetworkChanged { by, at_s: Some(at_s), turn, what, links: 2 })
    };
    emit(change(ChangedBy::Timeline, 2.0, Turn::Begins, "cloud-fog: cut"));
    emit(change(ChangedBy::Hand, 3.0, Turn::Begins, "cloud to <fog>: delay 20ms"));
    emit(change(ChangedBy::Timeline, 4.5, Turn::Ends, "cloud-fog: cut"));
    emit(change(ChangedBy::Runner, 10.0, Turn::Ends, "all changes"));
    emit(Event::PhaseEnded { phase: RunPhase::Run, ok: true, elapsed_ms: 10_000.0 });
}

fn page(folder: &RunFolder, verdict: Verdict) -> String {
    let evaluation = Evaluation::of(folder).expect("a run that can be read");
    let manifest = Manifest { verdict: Some(verdict), congestion: "cubic".to_owned(), ..Manifest::default() };
    evaluation.write(folder, &manifest).expect("a report");
    std::fs::read_to_string(folder.report()).expect("a page")
}

/// The cells of the first row that has all of `words`.
fn row(page: &str, words: &[&str]) -> Vec<String> {
    let rows = page.split("<tr>").filter(|row| words.iter().all(|word| row.contains(word)));
    let row = rows.last().unwrap_or_else(|| panic!("no row has {words:?}"));
    row.split("<td")
        .skip(1)
        .map(|cell| cell.split(['>', '<']).nth(1).unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn rules_show_what_became_of_their_packets() {
    let (_scenario, folder) = folder();
    fill(&folder, &[]);
    let page = page(&folder, Verdict::Passed);
    let asked = "delay 5ms, rate shared by group, tcp reno";
    let cloud = row(&page, &[">cloud<", ">fog<", asked, ">2<"]);
    assert_eq!(cloud[2..], [asked, "2", "30", "27", "0", "3", "0"].map(str::to_owned));
    assert!(page.contains("<th class=\"n\">cut</th>") && !page.contains("CoDel</th>"), "only what happened");
    assert!(page.contains("7 more packets"), "unshaped ones are told");
    for shown in ["2.25", "1500", "tap+vnet_hdr", "csum+tso", "SCHED_OTHER", "worker 1 of 1", "42", "cubic"] {
        assert!(page.contains(shown), "the page does not show {shown}");
    }
    assert!(page.contains("Frames dropped at 1 of 2 devices"));
    assert_eq!(row(&page, &["fog-1"])[1], "5");
}

#[test]
fn changes_lie_on_the_time_of_the_run() {
    let (_scenario, folder) = folder();
    fill(&folder, &[]);
    let page = page(&folder, Verdict::Passed);
    let cut = row(&page, &["cloud-fog: cut"]);
    assert_eq!(cut[..5], ["2.0", "4.5", "timeline", "cloud-fog: cut", "2"].map(str::to_owned));
    let slow = row(&page, &["cloud to &lt;fog&gt;: delay 20ms"]);
    assert_eq!(slow[..3], ["3.0", "10.0", "hand"].map(str::to_owned));
    assert!(page.contains("margin-left:20.00%;width:25.00%"), "from 2 s to 4.5 s of 10 s");
}

#[test]
fn a_broken_bound_is_a_reason_and_a_banner() {
    let (_scenario, folder) = folder();
    fill(&folder, &[VIOLATION]);
    let reasons = Evaluation::of(&folder).expect("a run that can be read").reasons().join("; ");
    assert!(reasons.contains(VIOLATION), "{reasons}");
    let page = page(&folder, Verdict::Invalid);
    let banner = page.find("INVALID").expect("a banner");
    assert!(
        page[banner..].find(VIOLATION).expect("the reason") < page[banner..].find("<h2>").expect("sections")
    );
    assert_eq!(row(&page, &[">5.000<"]).last().map(String::as_str), Some("NO"));
}

#[test]
fn an_account_of_an_early_version_still_gives_a_page() {
    let (_scenario, folder) = folder();
    let account =
        json!({ "data_path": "tap", "links": [{ "entered": { "packets": 1, "bytes": 2 } }], "seed": 1 });
    write_json(&folder.network(), &account).expect("an account");
    assert!(page(&folder, Verdict::Passed).contains("How the network was made"));
    std::fs::write(folder.network_verdict(), "{").expect("a broken file");
    let error = Evaluation::of(&folder).expect_err("broken").to_string();
    assert!(error.contains("network-verdict.json"), "{error}");
}
