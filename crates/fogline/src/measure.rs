//! The network phase: measure every rule before anything depends on it, and write down what came out.

use fogline_agent::Client;
use fogline_journal::{Event, Journal, NetworkMeasured, RunFolder};
use fogline_plan::Plan;
use fogline_testbed::{MeasureOptions, RuleMeasurement};

/// Measures all rules of the plan, all at once where they do not disturb each other, and records the results.
///
/// # Errors
/// When an agent is lost or the run folder cannot be written. A network that is not as asked is no error here: the
/// results say so, and the verdict follows from them.
pub(crate) fn measure(
    plan: &Plan,
    agents: &[Client],
    folder: &RunFolder,
    journal: &Journal,
) -> Result<(), Box<dyn std::error::Error>> {
    for measured in fogline_testbed::measure(plan, agents, &MeasureOptions::default())? {
        fogline_journal::write_network_validation(folder, &measured.rule, &measured)?;
        journal.emit(Event::NetworkMeasured(event(&measured)))?;
    }
    Ok(())
}
