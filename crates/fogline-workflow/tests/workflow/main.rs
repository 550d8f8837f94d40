//! Plays on real agents, over socket pairs: what comes of the modules and keywords on the hosts, in the journal and in
//! the run folder.

mod blocks;
mod checking;
mod jobs;
mod keywords;
mod lab;
mod modules;
mod scale;
mod templates;
