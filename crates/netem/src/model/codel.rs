//! The control law of `CoDel` (RFC 8289), one packet at a time: its appendix A, with the loops of the dequeuing turned
//! inside out, so that whoever keeps the packets asks about each as it comes up. Marks as the kernel's `codel_impl.h`.

/// A queue of less than this is no standing queue, bytes: a full Ethernet frame (`maxpacket`).
const PACKET_MAX: u64 = 1514;

/// What happened at the packet before, at the same moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// Nothing, or not at the same moment.
    #[default]
    Nothing,
    /// It was dropped, the first of a series.
    FirstDrop,
    /// It was dropped, in the course of a series.
    Drop,
}

/// The state of the law.
#[derive(Clone, Copy, Debug)]
pub struct Codel {
    target_ns: u64,
    interval_ns: u64,
    /// When waits will have been too long for an interval, if they are too long now.
    first_above: Option<u64>,
    dropping: bool,
    drop_next: u64,
    count: u64,
    last_count: u64,
    before: Before,
}

impl Codel {
    /// The law for waits of at most `target_ns`, judged over `interval_ns`.
    pub const fn new(target_ns: u64, interval_ns: u64) -> Self {
        Self {
            target_ns,
            interval_ns,
            first_above: None,
            dropping: false,
            drop_next: 0,
            count: 0,
            last_count: 0,
            before: Before::Nothing,
        }
    }

    /// Goes on with other bounds.
    pub const fn follow(&mut self, target_ns: u64, interval_ns: u64) {
        (self.target_ns, self.interval_ns) = (target_ns, interval_ns);
    }

    /// Whether the packet that leaves the queue at `now`, having waited `wait_ns`, is to be dropped or marked. `backlog`:
    /// bytes behind it. If so, [`struck`](Self::struck) must follow.
    pub fn strikes(&mut self, now: u64, wait_ns: u64, backlog: u64) -> bool {
        let standing = self.stands(now, wait_ns, backlog);
        let before = std::mem::take(&mut self.before);
        if !self.dropping {
            return standing;
        }
        if before == Before::FirstDrop {
            return false;
        }
        if !standing {
            self.dropping = false;
            return false;
        }
        if before == Before::Drop {
            self.drop_next = self.after(self.drop_next);
        }
        now >= self.drop_next
    }

    /// The packet was dropped, or marked instead.
    pub fn struck(&mut self, now: u64, marked: bool) {
        if self.dropping {
            self.count += 1;
            if marked {
                self.drop_next = self.after(self.drop_next);
            } else {
                self.before = Before::Drop;
            }
            return;
        }
        self.dropping = true;
        // A series soon after another takes up its pace.
        let earlier = self.count - self.last_count;
        let soon = now.saturating_sub(self.drop_next) < self.interval_ns.saturating_mul(16);
        self.count = if earlier > 1 && soon { earlier } else { 1 };
        self.drop_next = self.after(now);
        self.last_count = self.count;
        if !marked {
            self.before = Before::FirstDrop;
        }
    }

    /// The queue was found empty.
    pub fn emptied(&mut self) {
        self.first_above = None;
        if std::mem::take(&mut self.before) != Before::FirstDrop {
            self.dropping = false;
        }
    }

    /// Before which moment no packet can be struck, if the next leaves the queue at `next`.
    pub fn spares_until(&self, next: u64) -> u64 {
        if self.dropping {
            self.drop_next
        } else {
            self.first_above.unwrap_or_else(|| next.saturating_add(self.interval_ns))
        }
    }

    fn stands(&mut self, now: u64, wait_ns: u64, backlog: u64) -> bool {
        if wait_ns < self.target_ns || backlog <= PACKET_MAX {
            self.first_above = None;
            return false;
        }
        match self.first_above {
            None => {
                self.first_above = Some(now.saturating_add(self.interval_ns));
                false
            }
            Some(moment) => now >= moment,
        }
    }

    fn after(&self, moment: u64) -> u64 {
        moment.saturating_add((self.interval_ns as f64 / (self.count as f64).sqrt()) as u64)
    }
}
