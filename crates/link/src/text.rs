//! Values as a person reads them.

use crate::{Action, Congestion, Discipline, Jitter, JitterShape, Limit, LossUnit, Patch, Profile, Queue};
use crate::{Schedule, Share, Trace};
use std::fmt;
use units::Percent;

/// A property by the name of its key in the network file, and its value.
pub type Property = (&'static str, String);

impl Profile {
    /// What it asks for, in the order of its fields; what is as usual is left out.
    pub fn properties(&self) -> Vec<Property> {
        let usual = Self::default();
        let mut found = Vec::new();
        let mut add = |asked: bool, name, value: String| {
            if asked {
                found.push((name, value));
            }
        };
        add(self.cut, "cut", String::new());
        add(self.delay != usual.delay, "delay", self.delay.to_string());
        add(
            self.jitter.is_some(),
            "jitter",
            self.jitter.map(|jitter| jitter.to_string()).unwrap_or_default(),
        );
        add(self.rate.is_some(), "rate", self.rate.map(|rate| rate.to_string()).unwrap_or_default());
        add(self.loss != usual.loss, "loss", self.loss.to_string());
        add(self.loss_unit == LossUnit::Skb, "loss unit", "skb".to_owned());
        for (name, share) in self.mishaps() {
            add(share != Percent::NONE, name, share.to_string());
        }
        add(self.queue != usual.queue, "queue", self.queue.to_string());
        add(self.ecn, "ecn", String::new());
        found
    }

    const fn mishaps(&self) -> [(&'static str, Percent); 3] {
        [("reorder", self.reorder), ("duplicate", self.duplicate), ("corrupt", self.corrupt)]
    }
}

impl fmt::Display for Profile {
    /// `delay 50ms, rate 150mbit, loss 5%`; `as it comes` when nothing is asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.properties(), "as it comes")
    }
}

impl Patch {
    /// What it gives other values, in the order of its fields.
    pub fn properties(&self) -> Vec<Property> {
        let cut = |cut: bool| if cut { ("cut", String::new()) } else { ("not cut", String::new()) };
        let all = [
            self.cut.map(cut),
            self.delay.map(|delay| ("delay", delay.to_string())),
            self.jitter.map(|jitter| ("jitter", jitter.to_string())),
            self.rate.map(|rate| ("rate", rate.to_string())),
            self.loss.map(|loss| ("loss", loss.to_string())),
            self.reorder.map(|share| ("reorder", share.to_string())),
            self.duplicate.map(|share| ("duplicate", share.to_string())),
            self.corrupt.map(|share| ("corrupt", share.to_string())),
            self.queue.map(|queue| ("queue", queue.to_string())),
        ];
        all.into_iter().flatten().collect()
    }
}

impl fmt::Display for Patch {
    /// `delay 100ms, loss 20%`; `nothing` when it changes nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.properties(), "nothing")
    }
}

fn list(f: &mut fmt::Formatter<'_>, properties: &[Property], none: &str) -> fmt::Result {
    let words = properties
        .iter()
        .map(|(name, value)| if value.is_empty() { (*name).to_owned() } else { format!("{name} {value}") });
    let text = words.collect::<Vec<_>>().join(", ");
    f.pad(if text.is_empty() { none } else { &text })
}

impl fmt::Display for Jitter {
    /// `2ms`, `2ms normal`, `2ms pareto correlated 25% reordering`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spread.fmt(f)?;
        match self.shape {
            JitterShape::Uniform => {}
            JitterShape::Normal => f.write_str(" normal")?,
            JitterShape::Pareto => f.write_str(" pareto")?,
        }
        if self.correlation != Percent::NONE {
            write!(f, " correlated {}", self.correlation)?;
        }
        f.write_str(if self.reorder { " reordering" } else { "" })
    }
}

impl fmt::Display for Limit {
    /// `100 packets`, `64kib`, `50ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packets(packets) => write!(f, "{packets} packets"),
            Self::Bytes(size) => size.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

impl fmt::Display for Queue {
    /// `50ms`, `100 packets codel 5ms/100ms`, `codel 5ms/100ms` where the room is the usual one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Discipline::Codel { target, interval } = self.discipline else { return self.limit.fmt(f) };
        if self.limit != Limit::default() {
            write!(f, "{} ", self.limit)?;
        }
        write!(f, "codel {target}/{interval}")
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pair => "pair",
            Self::Host => "host",
            Self::Group => "group",
        })
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Schedule {
    /// `at 30s for 20s every 60s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}", self.at)?;
        if let Some(lasts) = self.lasts {
            write!(f, " for {lasts}")?;
        }
        self.every.map_or(Ok(()), |every| write!(f, " every {every}"))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alter(patch) => patch.fmt(f),
            Self::Follow(Trace::Deliveries(moments)) => {
                write!(f, "follows a trace of {} deliveries", moments.len())
            }
            Self::Follow(Trace::Steps(steps)) => write!(f, "follows a trace of {} steps", steps.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LossModel;
    use units::{Delay, Size};

    #[test]
    fn only_what_is_asked_for_is_said() {
        assert_eq!(Profile::default().to_string(), "as it comes");
        let profile = Profile {
            delay: Delay::from_millis(50),
            rate: "150mbit".parse().ok(),
            loss: LossModel::Independent("5%".parse().expect("a percentage")),
            ecn: true,
            ..Profile::default()
        };
        assert_eq!(profile.to_string(), "delay 50ms, rate 150mbit, loss 5%, ecn");
        assert_eq!(Profile { cut: true, ..Profile::default() }.to_string(), "cut");
    }

    #[test]
    fn richer_values_read_as_words() {
        let jitter = Jitter {
            spread: Delay::from_millis(2),
            shape: JitterShape::Pareto,
            correlation: "25%".parse().expect("a percentage"),
            reorder: true,
        };
        let codel = Discipline::Codel { target: Delay::from_millis(5), interval: Delay::from_millis(100) };
        let patch = Patch {
            jitter: Some(jitter),
            queue: Some(Queue { limit: Limit::Packets(100), discipline: codel }),
            cut: Some(false),
            ..Patch::default()
        };
        assert_eq!(
            patch.to_string(),
            "not cut, jitter 2ms pareto correlated 25% reordering, queue 100 packets codel 5ms/100ms"
        );
        assert_eq!(Limit::Bytes(Size::from_bytes(65536)).to_string(), "64kib");
        assert_eq!(Patch::default().to_string(), "nothing");
        assert_eq!(Queue { discipline: codel, ..Queue::default() }.to_string(), "codel 5ms/100ms");
    }

    #[test]
    fn a_schedule_reads_as_it_is_written() {
        let at = |seconds: u64| Delay::from_millis(seconds * 1000);
        let schedule = Schedule { at: at(30), lasts: Some(at(20)), every: Some(at(60)) };
        assert_eq!(schedule.to_string(), "at 30s for 20s every 60s");
    }
}
