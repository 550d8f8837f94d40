//! What the gateway knows about the frames under way, shared by intake, workers and Kafka's delivery reports.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use frame::{CameraId, Header};
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Publish;

use super::ackline::{AckLine, Ticket};
use crate::seen::Seen;
use crate::tally::Tally;

/// Most cameras one gateway serves; frames of further ones are dropped, so that invented names cannot fill
/// the memory.
const CAMERAS_MAX: usize = 10_000;

/// Latency from reception here to Kafka's acknowledgement.
pub(super) const LATENCY: &str = "fog-to-kafka";

/// A frame under way through the gateway.
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) camera: CameraId,
    pub(super) received_unix_ns: u64,
    pub(super) last: bool,
    pub(super) ticket: Option<Ticket>,
}

/// How a passage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Kafka has acknowledged this many bytes.
    Delivered(usize),
    /// It ended here, for this reason.
    Dropped(&'static str),
}

/// Whether a frame may enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It is new.
    New,
    /// It has been here before.
    Duplicate,
    /// One camera too many.
    TooMany,
}

#[derive(Debug)]
struct Stream {
    seen: Seen,
    frames: u64,
    /// Sequence number of the end marker, once Kafka has it.
    ended_at: Option<u64>,
    marker: Option<u64>,
}

#[derive(Default)]
struct State {
    line: AckLine,
    streams: BTreeMap<CameraId, Stream>,
    under_way: usize,
}

/// See the module.
pub(super) struct Flow {
    client: AsyncClient,
    pub(super) tally: Tally,
    state: Mutex<State>,
}

impl Flow {
    /// Nothing under way yet.
    pub(super) fn new(client: AsyncClient, tally: Tally) -> Self {
        Self { client, tally, state: Mutex::new(State::default()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A publication arrived. QoS 0, which only strangers use, is never acknowledged.
    pub(super) fn arrive(&self, publish: &Publish) -> Option<Ticket> {
        (publish.qos == QoS::AtLeastOnce).then(|| self.lock().line.arrive(publish.pkid))
    }

    /// Decides whether a frame is new. A new one counts as under way until [`Flow::end`].
    pub(super) fn enter(&self, header: &Header) -> Entry {
        let mut state = self.lock();
        if state.streams.len() >= CAMERAS_MAX && !state.streams.contains_key(&header.camera) {
            return Entry::TooMany;
        }
        let stream = state.streams.entry(header.camera.clone()).or_insert_with(|| Stream {
            seen: Seen::new(),
            frames: 0,
            ended_at: None,
            marker: None,
        });
        if !stream.seen.insert(header.sequence) {
            return Entry::Duplicate;
        }
        if header.last {
            stream.marker = Some(header.sequence);
        } else {
            stream.frames += 1;
        }
        state.under_way += 1;
        Entry::New
    }

    /// A frame's way through the gateway is over.
    pub(super) fn end(&self, passage: &Passage, end: End) {
        let camera = passage.camera.as_str();
        match end {
            _ if passage.last => {}
            End::Delivered(bytes) => {
                self.tally.note(|recorder| recorder.frame_out(camera, bytes));
                self.tally.latency_since(LATENCY, passage.received_unix_ns);
            }
            End::Dropped(reason) => self.tally.note(|recorder| recorder.dropped(camera, reason)),
        }
        let mut state = self.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if let Some(stream) = state.streams.get_mut(&passage.camera)
            && passage.last
            && matches!(end, End::Delivered(_))
        {
            stream.ended_at = stream.marker;
        }
        self.acknowledge(&mut state, passage.ticket);
    }

    /// Acknowledges a publication that goes no further.
    pub(super) fn done(&self, ticket: Option<Ticket>) {
        self.acknowledge(&mut self.lock(), ticket);
    }

    /// Called under the lock, so that acknowledgements leave in order.
    fn acknowledge(&self, state: &mut State, ticket: Option<Ticket>) {
        let Some(ticket) = ticket else { return };
        for pkid in state.line.done(ticket) {
            let publish = Publish { pkid, qos: QoS::AtLeastOnce, ..Publish::default() };
            // The client's queue has room for every packet identifier there is; if it is gone, so are we.
            let _ = self.client.try_ack(&publish);
        }
    }

    /// The connection was lost or is new: old tickets mean nothing.
    pub(super) fn disconnected(&self) {
        self.lock().line.clear();
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().under_way == 0
    }

    /// Cameras whose end marker has not been delivered yet.
    pub(super) fn open_cameras(&self) -> Vec<String> {
        let state = self.lock();
        let open = state.streams.iter().filter(|(_, stream)| stream.ended_at.is_none());
        open.map(|(camera, _)| camera.to_string()).collect()
    }

    /// Frames that ended streams announced (sequence numbers have no gaps) and that never came.
    pub(super) fn missing(&self) -> u64 {
        let state = self.lock();
        state.streams.values().filter_map(|s| Some(s.ended_at?.saturating_sub(s.frames))).sum()
    }
}
