//! The model half, judged from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bottleneck;
mod chance;
mod cutting;
mod division;
mod edits;
mod extremes;
mod fabric;
mod frames;
mod networks;
mod reference;
mod timeline;
mod traffic;
