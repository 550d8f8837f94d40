//! What waits for a bottleneck.

use super::gso::Layout;
use super::wire::Shape;

/// Consecutive wire packets of one frame. They wait together and are sent one by one.
#[derive(Debug)]
pub struct Waiting {
    /// The link that they go on by.
    pub link: usize,
    /// When they arrived.
    pub arrived: u64,
    /// How long their frame may have waited before it was read, nanoseconds.
    pub waited_ns: u64,
    /// How the frame looks on the wire.
    pub shape: Shape,
    /// The frame.
    pub frame: Vec<u8>,
    /// How much later than by the link's delay they come, or earlier if negative, nanoseconds.
    pub jitter_ns: i64,
    /// Whether they pass without delay.
    pub reorder: bool,
    /// The first packet that is still here.
    pub first: u32,
    /// The first packet that was not sent yet.
    pub sent: u32,
}

impl Waiting {
    /// Whether their delay is not that of their link.
    pub const fn is_peculiar(&self) -> bool {
        self.reorder || self.jitter_ns != 0
    }

    /// Packets `first` to `first + count - 1` as a piece of their own.
    pub fn part(&self, first: u32, count: u32) -> Self {
        let frame = match Layout::parse(&self.frame) {
            Some(layout) if count < self.shape.segments => layout.cut(&self.frame, first, count),
            _ => self.frame.clone(),
        };
        Self { shape: self.shape.part(first, count), frame, first: 0, sent: 0, ..*self }
    }
}
