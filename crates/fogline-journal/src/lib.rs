//! The run folder: names of its files, events, manifest, validation files.
