//! Names and addresses of hosts.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Longest label of a host name (RFC 1035).
const LABEL_MAX: usize = 63;
/// Hosts that 10.99.0.0/16 has addresses for, its network and broadcast address left out.
pub(crate) const HOSTS_MAX: u64 = 65_534;

/// The address of the host at `index`: 10.99.0.1 and up.
pub(crate) fn address(index: usize) -> Ipv4Addr {
    let base = u32::from(Ipv4Addr::new(10, 99, 0, 1));
    // The number of hosts is checked before any address is given.
    Ipv4Addr::from(base + u32::try_from(index).unwrap_or(0))
}

/// Gives each host a name of its own.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// `layer-service-service id-machine`, in lower case with `-` for `_`. A name that is too long or taken (as `a_b`
    /// takes `a-b`) is shortened and ends in the host's address suffix `x<index>`.
    pub(crate) fn give(&mut self, layer: &str, service: &str, ids: (usize, usize), index: usize) -> String {
        let plain: String = format!("{layer}-{service}-{}-{}", ids.0, ids.1)
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let plain = plain.trim_matches('-').to_owned();
        let mut name = plain.clone();
        let mut number = index + 1;
        while name.len() > LABEL_MAX || self.0.contains(&name) {
            let suffix = format!("-x{number}");
            let cut = plain.len().min(LABEL_MAX - suffix.len());
            name = format!("{}{suffix}", plain[..cut].trim_end_matches('-'));
            number += 1;
        }
        self.0.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_and_differ() {
        let mut names = Names::default();
        assert_eq!(names.give("edge", "Producer", (3, 1), 0), "edge-producer-3-1");
        assert_eq!(
            names.give("experiment_manager", "Metrics_collector", (1, 1), 1),
            "experiment-manager-metrics-collector-1-1"
        );
        assert_eq!(names.give("a_b", "c", (1, 1), 2), "a-b-c-1-1");
        assert_eq!(names.give("a-b", "c", (1, 1), 3), "a-b-c-1-1-x4");
        let long = names.give(&"x".repeat(80), "c", (1, 1), 4);
        assert_eq!(long.len(), 63);
        assert_ne!(long, names.give(&"x".repeat(80), "c", (2, 1), 5));
    }

    #[test]
    fn addresses_count_up_through_the_network() {
        assert_eq!(address(0), Ipv4Addr::new(10, 99, 0, 1));
        assert_eq!(address(255), Ipv4Addr::new(10, 99, 1, 0));
        assert_eq!(address(65_533), Ipv4Addr::new(10, 99, 255, 254));
    }
}
