//! Run edge-to-cloud applications as repeatable experiments.

fn main() {}
