//! Hosts and links of a plan, by selectors.

use crate::lookup::look_up;
use crate::selector::Directory;
use crate::{HostId, Plan};
use fogline_scenario::{Findings, Place, Spanned};
use std::collections::BTreeSet;

impl Plan {
    /// The hosts that `selector` (as in `network.yaml`) selects, in registration order; there is at least one.
    ///
    /// # Errors
    /// When it cannot be read or selects no host; says what there is to be selected.
    pub fn select(&self, selector: &str) -> Result<Vec<HostId>, String> {
        let directory = Directory { hosts: &self.hosts, services: &self.services };
        let mut findings = Findings::default();
        let place = Place { file: "".into(), line: 1, column: 1 };
        let spanned = Spanned { value: selector.to_owned(), place };
        let services = look_up(&spanned, "selector", directory, &mut findings);
        if services.is_empty() {
            let said = findings.sorted().into_iter().map(|finding| match finding.hint {
                Some(hint) => format!("{}: {hint}", finding.message),
                None => finding.message,
            });
            return Err(said.collect::<Vec<_>>().join("; "));
        }
        Ok(services.into_iter().map(|service| self.services[service].host).collect())
    }

    /// The links from any of `sources` to any of `destinations`, as ascending indices into [`Plan::links`].
    pub fn links_between(&self, sources: &[HostId], destinations: &[HostId]) -> Vec<usize> {
        let (from, to): (BTreeSet<_>, BTreeSet<_>) =
            (sources.iter().collect(), destinations.iter().collect());
        let links = self.links.iter().enumerate();
        let between = links.filter(|(_, link)| from.contains(&link.source) && to.contains(&link.destination));
        between.map(|(index, _)| index).collect()
    }
}
