//! A camera frame and its header, as MQTT and Kafka carry it.
//!
//! Contract (the crate's author keeps these names and shapes; details may grow):
//!
//! - `Header { camera: CameraId, sequence: u64, captured_unix_ns: u64, people: Option<Counted>, truth: Option<u32>, gated: bool, last: bool }`;
//!   `captured_unix_ns` is the **intended** capture time. `last` marks a camera's end-of-stream record, which has an
//!   empty payload and the sequence number after its last frame.
//! - `Header::to_pairs(&self) -> Vec<(&'static str, String)>` and `Header::from_pairs(iter of (&str, &[u8])) -> Result<Header, HeaderError>`
//!   serve MQTT user properties and Kafka record headers alike; unknown keys are ignored, missing or broken ones are named.
//! - `CameraId`: 1 to 64 characters of `A-Za-z0-9._-` (a topic level and a record key); `topic(&CameraId)` =
//!   `cameras/<id>/frames`, `TOPIC_FILTER` = `cameras/+/frames`.
//! - `Window { camera, start_unix_ns, end_unix_ns, frames, people_mean, people_max, late, counter, last_captured_unix_ns, ... }` with
//!   JSON to and from: the one record per camera and window on `out-uni-data`.
