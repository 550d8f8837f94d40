//! Recordings of real links.

mod read;

use serde::{Deserialize, Serialize};
use std::fmt;
use units::{Delay, Percent, Rate};

/// What one delivery of a [`Trace::Deliveries`] can carry, bytes on the wire: a full Ethernet frame. Mahimahi means 1,504
/// bytes of its own framing, one full IP packet.
pub const DELIVERY_BYTES: u64 = 1514;

/// Most rows that a trace may have.
pub const TRACE_ROWS_MAX: usize = 1_000_000;

/// The latest moment that a trace may name: a year after its beginning.
pub const TRACE_TIME_MAX: Delay = Delay::from_millis(365 * 24 * 3_600_000);

/// How a link behaved over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// Mahimahi's packet-delivery format: at each of these milliseconds the link can deliver [`DELIVERY_BYTES`]; a
    /// chance that nothing waits for is gone. Ascending, the last above zero; after the last it begins again.
    Deliveries(Vec<u64>),
    /// The link's properties from some moments on, ascending, the first at zero. The last holds on.
    Steps(Vec<Step>),
}

/// One row of a [`Trace::Steps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Since the beginning of the trace.
    pub at: Delay,
    /// Rate from then on; the link's own when absent.
    pub rate: Option<Rate>,
    /// Delay from then on; the link's own when absent.
    pub delay: Option<Delay>,
    /// Loss from then on; the link's own when absent.
    pub loss: Option<Percent>,
}

/// Why a text is no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TraceError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Trace {
    /// Reads a recording of either format from the text of the file `file_name`: steps if the name ends with `.csv` or
    /// the first line that says something is no plain number, else deliveries.
    ///
    /// # Errors
    /// As [`deliveries`](Self::deliveries) and [`steps`](Self::steps).
    pub fn parse(text: &str, file_name: &str) -> Result<Self, TraceError> {
        let csv = file_name.to_ascii_lowercase().ends_with(".csv");
        if csv || read::begins_with_words(text) { Self::steps(text) } else { Self::deliveries(text) }
    }

    /// Reads Mahimahi's packet-delivery format: a whole number of milliseconds a line, ascending, several alike for
    /// several packets in that millisecond. Blank lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// When a line is no such number, is below the one before or above [`TRACE_TIME_MAX`], when there are none or more
    /// than [`TRACE_ROWS_MAX`], or when the last is zero.
    pub fn deliveries(text: &str) -> Result<Self, TraceError> {
        read::deliveries(text).map(Self::Deliveries)
    }

    /// Reads a CSV text. Its first line names the columns: `time` and any of `rate`, `delay`, `loss`, in any order. A
    /// time is in seconds or has a unit, the others are written as in scenarios (`12mbit`, `50ms`, `2%`); a column
    /// whose name ends with a unit (`rate_mbit`, `delay_ms`, `loss_percent`, `time_ms`) takes plain numbers too. What
    /// an empty cell does not say is the link's own. Blank lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// When the columns are others, when a row has more or fewer cells, when a cell is no such value, when the first
    /// time is not zero, or one is not after the one before or above [`TRACE_TIME_MAX`], or when there are no rows or
    /// more than [`TRACE_ROWS_MAX`].
    pub fn steps(text: &str) -> Result<Self, TraceError> {
        read::steps(text).map(Self::Steps)
    }

    /// The rate over the whole recording, in bytes on the wire. The last of [`Steps`](Self::Steps), which holds on,
    /// counts as long as the one before it; `None` when a step leaves the rate to the link.
    pub fn mean_rate(&self) -> Option<Rate> {
        let bits = match self {
            Self::Deliveries(millis) => {
                let bits = millis.len() as u128 * u128::from(DELIVERY_BYTES) * 8;
                (bits * 1000).checked_div(u128::from(*millis.last()?))?.max(1)
            }
            Self::Steps(steps) => mean_of_steps(steps)?,
        };
        Rate::from_bits_per_s(u64::try_from(bits).ok()?)
    }
}

fn mean_of_steps(steps: &[Step]) -> Option<u128> {
    let between = |pair: &[Step]| u128::from(pair[1].at.nanos().saturating_sub(pair[0].at.nanos()));
    let last = steps.windows(2).next_back().map_or(1, between);
    let lengths = steps.windows(2).map(between).chain([last]);
    let (mut bits, mut length) = (0_u128, 0_u128);
    for (step, lasts) in steps.iter().zip(lengths) {
        bits = bits.checked_add(u128::from(step.rate?.bits_per_s()) * lasts)?;
        length += lasts;
    }
    bits.checked_div(length)
}

/// The text that [`Trace::parse`] reads as the same trace.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliveries(millis) => millis.iter().try_for_each(|millis| writeln!(f, "{millis}")),
            Self::Steps(steps) => {
                writeln!(f, "time,rate,delay,loss")?;
                steps.iter().try_for_each(|step| {
                    let Step { at, rate, delay, loss } = step;
                    writeln!(f, "{at},{},{},{}", cell(*rate), cell(*delay), cell(*loss))
                })
            }
        }
    }
}

fn cell(value: Option<impl fmt::Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
