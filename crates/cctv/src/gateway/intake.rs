//! From MQTT into the gateway.
//!
//! Policy when the gateway is slower than its cameras: nothing is dropped here. The connection's receive
//! maximum is `--queue`, and a publication is acknowledged only after Kafka has its frame, so the broker
//! holds back what exceeds the queue. Should a broker ignore the receive maximum, the gateway stops reading
//! its socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use frame::{CameraId, Header, stable_hash};
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop};

use super::flow::{Entry, Flow, Passage};
use super::worker::Item;
use crate::clock;
use crate::exit::Failure;
use crate::mqtt::{self, Backoff};

/// What the outside sees of the intake's state.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The broker has confirmed the subscription, at least once.
    pub(super) subscribed: AtomicBool,
    /// The good-bye has been said.
    pub(super) closed: AtomicBool,
}

/// The MQTT side of the gateway.
pub(super) struct Intake {
    pub(super) client: AsyncClient,
    pub(super) flow: Arc<Flow>,
    pub(super) workers: Vec<SyncSender<Item>>,
    pub(super) progress: Arc<Progress>,
}

impl Intake {
    /// Drives the connection until something makes going on pointless; never returns `Ok` before the
    /// good-bye.
    pub(super) async fn drive(&self, mut events: EventLoop) -> Result<(), Failure> {
        let mut backoff = Backoff::new(std::process::id().into());
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    backoff.reset();
                    self.flow.disconnected();
                    self.subscribe()?;
                }
                Ok(Event::Incoming(Packet::SubAck(ack))) => {
                    if !ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))) {
                        return Err(Failure::unreachable(format!(
                            "the MQTT broker refused the subscription to {}: {:?}",
                            frame::TOPIC_FILTER,
                            ack.return_codes
                        )));
                    }
                    self.progress.subscribed.store(true, Ordering::Release);
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => self.take(publish).await?,
                Ok(Event::Outgoing(Outgoing::Disconnect)) => {
                    self.progress.closed.store(true, Ordering::Release);
                    return std::future::pending().await;
                }
                Ok(_) => {}
                Err(error) => {
                    self.flow.disconnected();
                    if self.progress.subscribed.load(Ordering::Acquire) {
                        self.flow.tally.note(|recorder| recorder.fact("mqtt_last_error", error.to_string()));
                    }
                    tokio::time::sleep(backoff.pause()).await;
                }
            }
        }
    }

    /// Subscribes anew on every connection: the broker may have forgotten the session.
    fn subscribe(&self) -> Result<(), Failure> {
        self.client
            .try_subscribe(frame::TOPIC_FILTER, QoS::AtLeastOnce)
            .map_err(|error| Failure::failed(format!("cannot subscribe: {error}")))
    }

    /// Takes one publication: reads its header, sorts out duplicates, hands it to its camera's worker.
    async fn take(&self, publish: Publish) -> Result<(), Failure> {
        let received_unix_ns = clock::unix_ns();
        let ticket = self.flow.arrive(&publish);
        let topic = std::str::from_utf8(&publish.topic).unwrap_or_default();
        let Some(camera) = frame::camera_of_topic(topic) else {
            self.refuse(meter::OTHERS, &publish, "bad-topic");
            self.flow.done(ticket);
            return Ok(());
        };
        let Some(header) = header_of(&publish, &camera, received_unix_ns) else {
            self.refuse(camera.as_str(), &publish, "bad-header");
            self.flow.done(ticket);
            return Ok(());
        };
        match self.flow.enter(&header) {
            Entry::New => {}
            Entry::Duplicate => {
                self.flow.tally.note(|recorder| recorder.duplicate(camera.as_str()));
                self.flow.done(ticket);
                return Ok(());
            }
            Entry::TooMany => {
                self.refuse(meter::OTHERS, &publish, "too-many-cameras");
                self.flow.done(ticket);
                return Ok(());
            }
        }
        if !header.last {
            self.flow.tally.note(|recorder| recorder.frame_in(camera.as_str(), publish.payload.len()));
        }
        let passage = Passage { camera, received_unix_ns, last: header.last, ticket };
        self.hand_over(Item { passage, header, jpeg: publish.payload }).await
    }

    fn refuse(&self, camera: &str, publish: &Publish, reason: &'static str) {
        self.flow.tally.note(|recorder| {
            recorder.frame_in(camera, publish.payload.len());
            recorder.dropped(camera, reason);
        });
    }

    /// All frames of a camera go to the same worker, which keeps their order.
    async fn hand_over(&self, mut item: Item) -> Result<(), Failure> {
        let slot = (stable_hash(item.header.camera.as_str()) % self.workers.len() as u64) as usize;
        loop {
            match self.workers[slot].try_send(item) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) => {
                    item = back;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(TrySendError::Disconnected(_)) => {
                    return Err(Failure::failed("a worker of the gateway has died"));
                }
            }
        }
    }
}

/// The header of a publication, stamped; `None` when it is broken or speaks of another camera than the topic.
fn header_of(publish: &Publish, camera: &CameraId, received_unix_ns: u64) -> Option<Header> {
    let mut header = mqtt::header(publish.properties.as_ref()).ok()?;
    header.received_fog_unix_ns = Some(received_unix_ns);
    (header.camera == *camera).then_some(header)
}
