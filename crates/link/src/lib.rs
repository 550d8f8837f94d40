//! What a link does to packets, one way, and how that changes over time: the one description that the scenario
//! writes, the plan expands, the emulator obeys and the report shows. Pure: no clock, no file, no randomness.

mod bounds;
mod change;
mod profile;
mod text;
mod trace;

pub use bounds::Bounds;
pub use change::{Action, Change, Patch, Schedule};
pub use profile::{
    Congestion, Discipline, Jitter, JitterShape, Limit, LossModel, LossUnit, Profile, Queue, Share,
};
pub use text::Property;
pub use trace::{DELIVERY_BYTES, Step, TRACE_ROWS_MAX, TRACE_TIME_MAX, Trace, TraceError};
