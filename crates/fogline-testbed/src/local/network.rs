//! Addresses and links of a plan, as the emulator takes them.

use super::control::{HostOrder, LinkOrder};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// The network is never smaller than this, so that its own and its broadcast address are far from the hosts'.
const PREFIX_MAX: u8 = 16;
const PREFIX_MIN: u8 = 8;

/// The prefix length that holds all hosts, which are checked on the way.
pub(crate) fn prefix(hosts: &[HostOrder]) -> Result<u8, String> {
    let first = hosts.first().ok_or("it has no host")?;
    let mut names = BTreeSet::new();
    let mut owners = BTreeMap::new();
    let mut prefix = PREFIX_MAX;
    for host in hosts {
        check_name(&host.name)?;
        if !names.insert(&host.name) {
            return Err(format!("two hosts are called {}", host.name));
        }
        if let Some(other) = owners.insert(host.address, &host.name) {
            return Err(format!("{other} and {} both have the address {}", host.name, host.address));
        }
        let differ = u32::from(first.address) ^ u32::from(host.address);
        prefix = prefix.min(differ.leading_zeros() as u8);
    }
    if prefix < PREFIX_MIN {
        return Err(format!(
            "its addresses span more than one /{PREFIX_MIN} network; give all hosts one, as 10.0.0.0/8"
        ));
    }
    for host in hosts {
        let bits = u32::from(host.address);
        let rest = bits & (u32::MAX >> prefix);
        if rest == 0 || rest == u32::MAX >> prefix || !usable(host.address) {
            return Err(format!("{} cannot be the address of {}", host.address, host.name));
        }
    }
    Ok(prefix)
}

fn usable(address: Ipv4Addr) -> bool {
    !address.is_loopback()
        && !address.is_multicast()
        && !address.is_unspecified()
        && address.octets()[0] < 240
}

fn check_name(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) || name == "localhost" {
        return Err(format!("{name:?} cannot be a host's name; use 1 to 63 of a-z, 0-9 and -"));
    }
    Ok(())
}

/// The host as the lab is told it.
pub(crate) fn host(host: &fogline_plan::Host) -> HostOrder {
    HostOrder {
        name: host.name.clone(),
        address: host.address,
        address6: host.address6(),
        congestion_to: Vec::new(),
        send_buffer_bytes: 0,
        software: Vec::new(),
    }
}

/// Tells hosts the congestion control of what they send over links that have one of their own. The links are checked.
pub(crate) fn control_congestion(hosts: &mut [HostOrder], links: &[fogline_plan::Link]) {
    for link in links {
        let Some(congestion) = link.congestion else { continue };
        let to = &hosts[link.destination.0];
        let addresses = [IpAddr::V4(to.address), IpAddr::V6(to.address6)];
        let special = addresses.map(|address| (address, congestion.name().to_owned()));
        hosts[link.source.0].congestion_to.extend(special);
    }
}

/// Checks that links join two hosts that exist.
pub(crate) fn check_links(hosts: usize, links: &[fogline_plan::Link]) -> Result<(), String> {
    for link in links {
        let (source, destination) = (link.source.0, link.destination.0);
        if source >= hosts || destination >= hosts || source == destination {
            return Err(format!("it has a link from host {source} to host {destination} of {hosts} hosts"));
        }
    }
    Ok(())
}

/// What every host reads as `/etc/hosts`, its own name included.
///
/// A name stands for the IPv4 address alone; the IPv6 address has the name with `.ip6` after it. Were both under one name,
/// programs would try IPv6 first (RFC 6724) and find nobody where a service listens on 0.0.0.0 only.
pub(crate) fn hosts_file(hosts: &[HostOrder]) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for host in hosts {
        text.push_str(&format!("{} {}\n", host.address, host.name));
    }
    for host in hosts {
        text.push_str(&format!("{} {}.ip6\n", host.address6, host.name));
    }
    text
}

/// The link as the emulator takes it.
pub(crate) const fn link(order: &LinkOrder) -> netem::LinkSpec {
    netem::LinkSpec {
        source: order.source,
        destination: order.destination,
        profile: order.profile,
        bottleneck: order.bottleneck,
        seed: order.seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, address: &str) -> HostOrder {
        let address: Ipv4Addr = address.parse().unwrap();
        let (name, address6) = (name.to_owned(), address.to_ipv6_mapped());
        HostOrder {
            name,
            address,
            address6,
            congestion_to: Vec::new(),
            send_buffer_bytes: 0,
            software: Vec::new(),
        }
    }

    #[test]
    fn the_prefix_holds_all_hosts() {
        let near = [host("a", "10.144.0.1"), host("b", "10.144.0.15")];
        assert_eq!(prefix(&near), Ok(16));
        let far = [host("a", "10.144.0.1"), host("b", "10.145.0.1")];
        assert_eq!(prefix(&far), Ok(15));
    }

    #[test]
    fn plans_that_cannot_be_are_refused_by_name() {
        let cases = [
            (vec![], "no host"),
            (vec![host("a", "10.0.0.1"), host("a", "10.0.0.2")], "two hosts are called a"),
            (vec![host("a", "10.0.0.1"), host("b", "10.0.0.1")], "a and b both have the address 10.0.0.1"),
            (vec![host("a", "10.0.0.1"), host("b", "192.168.0.1")], "/8"),
            (vec![host("a", "10.0.0.0")], "10.0.0.0 cannot be the address of a"),
            (vec![host("a", "10.0.255.255")], "10.0.255.255 cannot be the address of a"),
            (vec![host("a", "127.0.0.5")], "127.0.0.5 cannot"),
            (vec![host("A_b", "10.0.0.1")], "\"A_b\" cannot be a host's name"),
            (vec![host("", "10.0.0.1")], "cannot be a host's name"),
        ];
        for (hosts, part) in cases {
            let error = prefix(&hosts).unwrap_err();
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }

    #[test]
    fn every_name_is_in_the_hosts_file() {
        let text = hosts_file(&[host("a", "10.0.0.1"), host("b", "10.0.0.2")]);
        assert!(text.contains("127.0.0.1 localhost\n") && text.contains("10.0.0.1 a\n10.0.0.2 b\n"));
        assert!(text.ends_with("::ffff:10.0.0.1 a.ip6\n::ffff:10.0.0.2 b.ip6\n"), "{text}");
    }
}
