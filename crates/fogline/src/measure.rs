//! The network phase: measure every rule before anything depends on it, and write down what came out.

use fogline_journal::{Event, Journal, NetworkMeasured, RunFolder};
use fogline_plan::Plan;
use fogline_testbed::{LocalTestbed, MeasureOptions, RuleMeasurement, Verdict};

/// Measures all rules of the plan, all at once where they do not disturb each other, and records the results.
///
/// # Errors
/// When an agent is lost or the run folder cannot be written. A network that is not as asked is no error here: the
/// results say so, and the verdict follows from them.
pub(crate) fn measure(
    plan: &Plan,
    testbed: &LocalTestbed,
    folder: &RunFolder,
    journal: &Journal,
) -> Result<(), Box<dyn std::error::Error>> {
    let network = || testbed.network().ok();
    for measured in fogline_testbed::measure(plan, testbed.agents(), &network, &MeasureOptions::default())? {
        fogline_journal::write_network_validation(folder, &measured.rule, &measured)?;
        journal.emit(Event::NetworkMeasured(event(&measured)))?;
        for what in unclear(&measured) {
            let message =
                format!("the {what} of rule {} could be neither confirmed nor refuted", measured.rule);
            journal.emit(Event::Warning { message })?;
        }
    }
    Ok(())
}

fn event(measured: &RuleMeasurement) -> NetworkMeasured {
    NetworkMeasured {
        rule: measured.rule.clone(),
        source: measured.source.clone(),
        destination: measured.destination.clone(),
        delay_ms_asked: measured.delay.asked_ms,
        delay_ms: measured.delay.one_way_ms_p50,
        rate_bits_per_s_asked: measured.rate.asked_bits_per_s,
        rate_bits_per_s: measured.rate.measured_bits_per_s.map(|rate| rate.round() as u64),
        loss_asked: measured.loss.asked,
        loss: measured.loss.measured,
        jitter_ms_asked: measured.jitter.as_ref().map(|jitter| jitter.expected_deviation_ms),
        jitter_ms: measured.jitter.as_ref().and_then(|jitter| jitter.deviation_ms),
        mtu: measured.mtu.measured_bytes.map(u64::from),
        agrees: measured.agrees(),
    }
}

/// What of a rule too few packets could be measured for.
fn unclear(measured: &RuleMeasurement) -> impl Iterator<Item = &'static str> {
    measured.verdicts().filter(|(_, verdict)| *verdict == Verdict::Unclear).map(|(what, _)| what)
}
