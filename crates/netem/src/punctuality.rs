//! How late packets leave: recorded by a worker, for all links of one delay together.

use crate::histogram::Histogram;
use crate::{DelayLateness, Lateness, LinkSpec};

/// Histograms that a worker keeps at most. A network of more different delays has neighbours put together.
const GROUPS_MAX: usize = 64;

/// Links by their delay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DelayGroups {
    /// The delay by which each group is judged, the shortest in it; ascending.
    delays: Vec<u64>,
    /// The group of each link.
    of_link: Vec<usize>,
}

impl DelayGroups {
    /// Groups the links of a network.
    pub(crate) fn new(links: &[LinkSpec]) -> Self {
        let mut distinct: Vec<u64> = links.iter().map(|link| link.profile.delay.nanos()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let neighbours = distinct.len().div_ceil(GROUPS_MAX).max(1);
        let delays: Vec<u64> = distinct.into_iter().step_by(neighbours).collect();
        let group =
            |link: &LinkSpec| delays.partition_point(|delay| *delay <= link.profile.delay.nanos()) - 1;
        let of_link = links.iter().map(group).collect();
        Self { delays, of_link }
    }

    /// What a worker with some of the links needs to know.
    pub(crate) fn part(&self, links: &[usize]) -> Self {
        let of_link = links.iter().map(|link| self.of_link[*link]).collect();
        Self { delays: self.delays.clone(), of_link }
    }

    /// Groups in which nothing has left yet.
    pub(crate) fn empty(&self) -> Vec<DelayLateness> {
        let group = |delay_ns: &u64| DelayLateness { delay_ns: *delay_ns, lateness: Lateness::default() };
        self.delays.iter().map(group).collect()
    }
}

/// What one worker saw.
#[derive(Debug)]
pub(crate) struct Punctuality {
    by_group: Vec<Histogram>,
    of_link: Vec<usize>,
    link_max: Vec<u64>,
    read_wait: Histogram,
}

impl Punctuality {
    pub(crate) fn new(groups: DelayGroups) -> Self {
        Self {
            by_group: groups.delays.iter().map(|_| Histogram::new()).collect(),
            link_max: vec![0; groups.of_link.len()],
            of_link: groups.of_link,
            read_wait: Histogram::new(),
        }
    }

    /// Wire packets that came by a link, so late.
    pub(crate) fn left(&mut self, link: usize, late_ns: u64, packets: u32) {
        self.by_group[self.of_link[link]].record(late_ns, u64::from(packets));
        self.link_max[link] = self.link_max[link].max(late_ns);
    }

    /// Wire packets that may have waited so long to be read.
    pub(crate) fn read(&mut self, waited_ns: u64, packets: u64) {
        self.read_wait.record(waited_ns, packets);
    }

    /// The lateness of each group.
    pub(crate) fn groups(&self) -> Vec<Lateness> {
        self.by_group.iter().map(summary).collect()
    }

    /// The greatest lateness on each link.
    pub(crate) fn link_max(&self) -> &[u64] {
        &self.link_max
    }

    /// The waits to be read.
    pub(crate) fn read_wait(&self) -> Lateness {
        summary(&self.read_wait)
    }
}

fn summary(histogram: &Histogram) -> Lateness {
    Lateness::from_buckets(histogram.buckets(), histogram.max())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;
    use units::Delay;

    fn links(delays: impl Iterator<Item = u64>) -> Vec<LinkSpec> {
        let profile = |millis| Profile { delay: Delay::from_millis(millis), ..Profile::default() };
        delays.map(|millis| (0, 1, profile(millis)).into()).collect()
    }

    #[test]
    fn links_of_one_delay_are_one_group() {
        let groups = DelayGroups::new(&links([50, 5, 0, 5].into_iter()));
        assert_eq!(groups.delays, [0, 5_000_000, 50_000_000]);
        assert_eq!(groups.of_link, [2, 1, 0, 1]);
        let mut seen = Punctuality::new(groups.part(&[1, 3]));
        seen.left(1, 40, 2);
        seen.left(0, 30, 1);
        assert_eq!(seen.link_max(), [30, 40]);
        assert_eq!(seen.groups().iter().map(|group| group.count).collect::<Vec<_>>(), [0, 3, 0]);
    }

    #[test]
    fn many_delays_share_groups_and_are_judged_by_the_shortest() {
        let groups = DelayGroups::new(&links((1..=200).rev()));
        assert_eq!(groups.delays.len(), 50);
        for (link, group) in groups.of_link.iter().enumerate() {
            let delay = (200 - link as u64) * 1_000_000;
            let judged = groups.delays[*group];
            assert!(judged <= delay && delay < judged + 4_000_000, "{judged} {delay}");
        }
        assert_eq!(DelayGroups::new(&[]).delays, [0; 0]);
    }
}
