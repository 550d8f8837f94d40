//! A camera frame and its header, as MQTT and Kafka carry it, and the result of a window of frames.
//!
//! The payload of a frame is a plain JPEG, so that any tool can look at it. Everything else about it is a
//! [`Header`], which travels as text pairs: MQTT 5 user properties on the way to the gateway, Kafka record
//! headers from there to the job. Keys that this version does not know are ignored, so that a newer camera
//! can talk to an older gateway; a key that is missing, broken or there twice is named in the [`HeaderError`].
//!
//! A [`Window`] is what the job says about one camera and one span of event time: one JSON object per record. A
//! [`CameraEnd`] is its account of a camera that has ended.
//!
//! Every time in this crate is in nanoseconds since the Unix epoch. The crate itself looks at no clock.

mod camera;
mod end;
mod hash;
mod header;
mod window;

pub use camera::{CameraId, CameraIdError, TOPIC_FILTER, camera_of_topic, topic};
pub use end::CameraEnd;
pub use hash::stable_hash;
pub use header::{Counted, Header, HeaderError};
pub use window::{CountError, Window, WindowError};
