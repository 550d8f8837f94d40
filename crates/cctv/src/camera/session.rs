//! One camera's connection to its broker: publishes, acknowledges, reconnects.
//!
//! Everything runs on one thread: the event loop is driven by one future, frames are offered by another, and
//! they share this session through a `RefCell` that is never borrowed across an await.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use frame::Header;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use tokio::sync::Notify;

use super::outbox::{Outbox, Sent};
use crate::mqtt::{self, Backoff};
use crate::tally::Tally;

/// Latency from the intended capture to the broker's acknowledgement.
pub(super) const LATENCY: &str = "capture-to-broker";

/// A publication as it is kept until it is acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    header: Header,
    jpeg: Vec<u8>,
}

/// What became of a frame that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It is on its way.
    Sent,
    /// It was dropped, for this reason.
    Dropped(&'static str),
}

struct State {
    outbox: Outbox<Publication>,
    connected: bool,
    connections: u64,
    republished: u64,
    marker_acknowledged: bool,
    closed: bool,
    last_error: Option<String>,
}

/// The session; see the module.
pub(super) struct Session {
    client: AsyncClient,
    topic: String,
    tally: Tally,
    state: RefCell<State>,
    changed: Notify,
}

impl Session {
    /// A session that is not yet connected.
    pub(super) fn new(client: AsyncClient, topic: String, backlog: usize, tally: Tally) -> Self {
        let state = State {
            outbox: Outbox::new(backlog),
            connected: false,
            connections: 0,
            republished: 0,
            marker_acknowledged: false,
            closed: false,
            last_error: None,
        };
        Self { client, topic, tally, state: RefCell::new(state), changed: Notify::new() }
    }

    /// Offers a frame: sends it, or says why it is dropped. Waits for nothing.
    pub(super) fn offer(&self, header: Header, jpeg: Vec<u8>) -> Offered {
        let mut state = self.state.borrow_mut();
        if !state.connected {
            return Offered::Dropped("disconnected");
        }
        if state.outbox.is_full() && !header.last {
            return Offered::Dropped("backlog");
        }
        let publication = Publication { header, jpeg };
        if !self.publish(&publication) {
            return Offered::Dropped("backlog");
        }
        state.outbox.hand_over(Sent {
            sequence: publication.header.sequence,
            captured_unix_ns: publication.header.captured_unix_ns,
            publication,
        });
        Offered::Sent
    }

    fn publish(&self, publication: &Publication) -> bool {
        let properties = mqtt::properties(&publication.header);
        let (topic, payload) = (self.topic.as_str(), publication.jpeg.clone());
        self.client.try_publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties).is_ok()
    }

    /// Drives the connection for as long as the future lives.
    pub(super) async fn drive(&self, mut events: EventLoop, mut backoff: Backoff) -> Infallible {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    backoff.reset();
                    self.connected();
                }
                Ok(Event::Outgoing(Outgoing::Publish(packet))) => {
                    self.state.borrow_mut().outbox.identified(packet);
                }
                Ok(Event::Incoming(Packet::PubAck(ack))) => self.acknowledged(ack.pkid, ack.reason),
                Ok(Event::Outgoing(Outgoing::Disconnect)) => {
                    self.state.borrow_mut().closed = true;
                    self.changed.notify_waiters();
                    return std::future::pending().await;
                }
                Ok(_) => {}
                Err(error) => {
                    // rumqttc keeps a collision of packet identifiers across connections, and then sends
                    // nothing more.
                    events.state.collision = None;
                    self.lost(error.to_string());
                    tokio::time::sleep(backoff.pause()).await;
                }
            }
        }
    }

    fn connected(&self) {
        let mut state = self.state.borrow_mut();
        state.connected = true;
        state.connections += 1;
        let again = state.outbox.start_over();
        state.republished += again.len() as u64;
        for publication in &again {
            // The client's queue is empty on a new connection and longer than the outbox.
            if !self.publish(publication) {
                break;
            }
        }
        self.changed.notify_waiters();
    }

    fn lost(&self, error: String) {
        let mut state = self.state.borrow_mut();
        state.connected = false;
        state.last_error = Some(error);
        self.changed.notify_waiters();
    }

    fn acknowledged(&self, packet: u16, reason: PubAckReason) {
        let mut state = self.state.borrow_mut();
        let Some(sent) = state.outbox.acknowledged(packet) else { return };
        let header = &sent.publication.header;
        if header.last {
            state.marker_acknowledged = reason == PubAckReason::Success;
        } else {
            let camera = header.camera.as_str();
            match reason {
                PubAckReason::Success => {
                    self.tally.note(|recorder| recorder.frame_out(camera, sent.publication.jpeg.len()));
                    self.tally.latency_since(LATENCY, sent.captured_unix_ns);
                }
                PubAckReason::NoMatchingSubscribers => {
                    self.tally.note(|recorder| recorder.dropped(camera, "no-subscriber"));
                }
                _ => self.tally.note(|recorder| recorder.dropped(camera, "refused")),
            }
        }
        self.changed.notify_waiters();
    }

    /// Waits until `condition` holds or `patience` has passed, and says whether it holds. Ticks the metrics
    /// meanwhile.
    pub(super) async fn until(&self, patience: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let changed = self.changed.notified();
            if condition(self) {
                return true;
            }
            let now = tokio::time::Instant::now();
            if now >= deadline {
                return false;
            }
            let pause = (deadline - now).min(Duration::from_secs(1));
            // The outcome does not matter: the condition is looked at again either way.
            let _ = tokio::time::timeout(pause, changed).await;
            let _ = self.tally.tick();
        }
    }

    /// Whether the connection stands.
    pub(super) fn is_connected(&self) -> bool {
        self.state.borrow().connected
    }

    /// Whether everything sent has been acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.state.borrow().outbox.len() == 0
    }

    /// Whether a subscriber's broker has taken the end marker.
    pub(super) fn marker_acknowledged(&self) -> bool {
        self.state.borrow().marker_acknowledged
    }

    /// Why the connection was lost last.
    pub(super) fn last_error(&self) -> String {
        self.state.borrow().last_error.clone().unwrap_or_else(|| "no answer".to_owned())
    }

    /// Takes the frames that were never acknowledged, and the number of them.
    pub(super) fn give_up(&self) -> u64 {
        let open = self.state.borrow_mut().outbox.give_up();
        open.iter().filter(|sent| !sent.publication.header.last).count() as u64
    }

    /// Says good-bye to the broker, and gives that a moment.
    pub(super) async fn disconnect(&self) {
        // When the queue is full the connection is stuck, and closing the socket must do.
        if self.is_connected() && self.client.try_disconnect().is_ok() {
            self.until(Duration::from_millis(500), |session| session.state.borrow().closed).await;
        }
    }

    /// Puts what is known about the connection into the account.
    pub(super) fn note_facts(&self) {
        let state = self.state.borrow();
        let (connections, republished) = (state.connections, state.republished);
        self.tally.note(|recorder| {
            recorder.fact("connections", connections);
            recorder.fact("republished", republished);
        });
    }
}
