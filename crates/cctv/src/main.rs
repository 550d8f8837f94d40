//! The surveillance application: camera, gateway, job, collector.

fn main() {}
