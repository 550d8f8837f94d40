//! What the gateway does to a frame: nothing, gate it, or count the people on it.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use frame::{Counted, Header};
use vision::{Counter, Gate, GateOptions, Gated};

use super::flow::{End, Flow, Passage};
use super::forward::Forward;
use crate::counters::{CounterName, counter};
use crate::exit::Failure;

/// A frame for a worker.
pub(super) struct Item {
    pub(super) passage: Passage,
    pub(super) header: Header,
    pub(super) jpeg: bytes::Bytes,
}

/// Where the people are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Process {
    /// Nowhere near: forward the picture as it is, without looking at it
    None,
    /// Partly here: blank what does not move, so that the cloud counts on a small picture without memory
    Gate,
    /// All here: count, and forward the count without the picture
    Count,
}

/// How the workers process frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) process: Process,
    pub(super) counter: CounterName,
    pub(super) drop_still: bool,
}

enum Tool {
    Nothing,
    Gate(Box<Gate>),
    Counter(Box<dyn Counter>),
}

/// One worker; the frames of a camera always go through the same one.
pub(super) struct Worker {
    tool: Tool,
    drop_still: bool,
    flow: Arc<Flow>,
    forward: Arc<Forward>,
}

impl Worker {
    /// A worker with its own tool: no memory is shared between workers.
    pub(super) fn new(work: Work, flow: Arc<Flow>, forward: Arc<Forward>) -> Result<Self, Failure> {
        let tool = match work.process {
            Process::None => Tool::Nothing,
            Process::Gate => Tool::Gate(Box::new(Gate::new(GateOptions::default()))),
            Process::Count => Tool::Counter(counter(work.counter)?),
        };
        Ok(Self { tool, drop_still: work.drop_still, flow, forward })
    }

    /// Works until nobody sends any more.
    pub(super) fn run(mut self, items: &Receiver<Item>) {
        while let Ok(item) = items.recv() {
            let Item { passage, mut header, jpeg } = item;
            if header.last {
                self.forward.send(passage, &header, &[]);
                continue;
            }
            match self.process(&mut header, jpeg) {
                Ok(payload) => self.forward.send(passage, &header, &payload),
                Err(reason) => self.flow.end(&passage, End::Dropped(reason)),
            }
        }
    }

    /// What to forward for one frame, or why it is dropped.
    fn process(&mut self, header: &mut Header, jpeg: bytes::Bytes) -> Result<bytes::Bytes, &'static str> {
        match &mut self.tool {
            Tool::Nothing => Ok(jpeg),
            Tool::Gate(gate) => match gate.gate(&header.camera, &jpeg).map_err(|_| "corrupt")? {
                Gated::Learning => Ok(jpeg),
                Gated::Still if self.drop_still => Err("still"),
                Gated::Still => {
                    // A frame on which nothing moves is all grey: its count says more than its picture.
                    header.gated = true;
                    header.people = Some(Counted { people: 0, counter: CounterName::Motion.to_string() });
                    Ok(bytes::Bytes::new())
                }
                Gated::Moving { jpeg, .. } => {
                    header.gated = true;
                    Ok(jpeg.into())
                }
            },
            Tool::Counter(counter) => {
                let count = counter.count(&header.camera, &jpeg, header.gated).map_err(|_| "corrupt")?;
                let name = counter.name();
                header.people = count.map(|count| Counted { people: count.people, counter: name.to_owned() });
                Ok(bytes::Bytes::new())
            }
        }
    }
}
