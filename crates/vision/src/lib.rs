//! JPEG to luminance to motion to people.
//!
//! Two counters behind one trait, [`Counter`]: `motion`, a background model of our own, and `nanodet`, a
//! neural detector. And a [`Gate`], which blanks the parts of a frame where nothing moves, so that the frame
//! becomes small and who counts on it later needs no memory of the camera.
//!
//! A [`Judge`] is what a job counts its frames by, whichever engine runs it.
//!
//! Nothing here starts a thread, looks at a clock or opens a file. State per camera is bounded.

mod background;
mod cameras;
mod count;
mod error;
mod gate;
mod gated;
mod image;
mod judge;
mod mask;
mod motion;
mod nanodet;

pub use count::{BoundingBox, Count, Counter};
pub use error::{ImageError, VisionError};
pub use gate::{Gate, GateOptions, Gated};
pub use judge::{Judge, Scores};
pub use motion::MotionCounter;
pub use nanodet::NanoDet;

/// The names of the counters that [`counter`] makes.
pub const COUNTERS: [&str; 2] = ["motion", "nanodet"];

/// Makes the counter of this name.
///
/// # Errors
/// When there is none of this name, or the detector's model cannot be loaded.
pub fn counter(name: &str) -> Result<Box<dyn Counter>, VisionError> {
    match name {
        "motion" => Ok(Box::new(MotionCounter::new())),
        "nanodet" => Ok(Box::new(NanoDet::new()?)),
        other => Err(VisionError::UnknownCounter { name: other.to_owned() }),
    }
}
