//! The host's side of a device: addresses, routes, and what its network namespace is set to.

use super::DeviceOptions;
use super::error::{DeviceError, refused};
use crate::netlink::{self, Message, Netlink, Route};
use crate::sys;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kernel makes `lo` the first device of every network namespace.
const LOOPBACK: u32 = 1;

/// Receive buffers of TCP (least, initial, most; bytes) that leave 1 gbit/s over a round trip of 200 ms, 25 MB under
/// way, to the congestion control rather than to the window.
const TCP_RMEM: &str = "4096 131072 67108864";
/// What a send buffer begins with, bytes.
const TCP_WMEM_INITIAL: u64 = 65_536;

/// What the kernel granted.
#[derive(Debug, Default)]
pub(super) struct Granted {
    pub(super) address6: Option<Ipv6Addr>,
    pub(super) congestion: String,
    pub(super) congestion_to: Vec<(IpAddr, String)>,
    pub(super) warnings: Vec<String>,
}

/// What a device is told to be.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) index: u32,
    pub(super) address: Ipv4Addr,
    pub(super) prefix_len: u8,
    pub(super) options: &'a DeviceOptions,
}

/// Does what `first` says, brings `lo` up and gives the device its addresses and routes: all in one call of the
/// kernel's, and a second one if something is refused.
pub(super) fn configure(
    netlink: &mut Netlink,
    wanted: &Wanted<'_>,
    first: Vec<(&'static str, Message)>,
    warnings: Vec<String>,
) -> Result<Granted, DeviceError> {
    let &Wanted { name, index, address, prefix_len, options } = wanted;
    let routes = routes(wanted);
    let mut steps = first;
    steps.push(("bring lo up", netlink::bring_up(LOOPBACK)));
    steps.push(("add its address", netlink::add_address(index, address, prefix_len)));
    if let Some((address6, prefix_len)) = options.address6 {
        steps.push((ADDRESS6, netlink::add_address6(index, address6, prefix_len)));
    }
    let before_routes = steps.len();
    steps.extend(routes.iter().map(|route| (ROUTE, netlink::add_route(route))));
    let (names, messages): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let refusals =
        netlink.perform_all(messages).map_err(|source| refused(name, "talk to the kernel", source))?;
    let mut granted = Granted {
        address6: options.address6.map(|(address6, _)| address6),
        congestion: options.congestion.clone().unwrap_or_else(default_congestion),
        congestion_to: options.congestion_to.clone(),
        warnings,
    };
    let mut again = Vec::new();
    for (position, error) in refusals {
        match (names[position], position.checked_sub(before_routes).and_then(|at| routes.get(at))) {
            (ADDRESS6, _) => granted.lose_ipv6(&error),
            (_, Some(route)) if route.source.is_ipv6() && granted.address6.is_none() => {}
            (_, Some(route)) if route.congestion.is_some() => {
                if granted.lose_congestion(route, &error) {
                    again.push(netlink::add_route(&Route { congestion: None, ..route.clone() }));
                }
            }
            (step, _) => return Err(refused(name, step, error)),
        }
    }
    match netlink.perform_all(again).map(|mut refusals| refusals.pop()) {
        Ok(None) => {}
        Ok(Some((_, error))) | Err(error) => return Err(refused(name, ROUTE, error)),
    }
    granted.warnings.dedup();
    Ok(granted)
}

const ADDRESS6: &str = "add its IPv6 address";
const ROUTE: &str = "add a route";

/// The on-link route, one for IPv4 multicast, the same for IPv6 (where the kernel has the latter already), and those
/// of destinations with a congestion control of their own.
fn routes(wanted: &Wanted<'_>) -> Vec<Route> {
    let &Wanted { index, address, prefix_len, options, .. } = wanted;
    let route = |source: IpAddr, prefix: (IpAddr, u8), congestion: Option<&String>| Route {
        index,
        source,
        prefix,
        congestion: congestion.cloned(),
    };
    let usual = options.congestion.as_ref();
    let mut routes = vec![
        route(address.into(), (address.into(), prefix_len), usual),
        route(address.into(), (Ipv4Addr::new(224, 0, 0, 0).into(), 4), usual),
    ];
    let address6 = options.address6.map(|(address6, prefix_len)| {
        routes.push(route(address6.into(), (address6.into(), prefix_len), usual));
        IpAddr::from(address6)
    });
    for (destination, congestion) in &options.congestion_to {
        let (source, bits) = match destination {
            IpAddr::V4(_) => (Some(address.into()), 32),
            IpAddr::V6(_) => (address6, 128),
        };
        routes.extend(source.map(|source| route(source, (*destination, bits), Some(congestion))));
    }
    routes
}

impl Granted {
    fn lose_ipv6(&mut self, error: &io::Error) {
        self.address6 = None;
        self.congestion_to.retain(|(destination, _)| destination.is_ipv4());
        self.warnings.push(format!("no IPv6 address ({error}): the host has IPv4 only"));
    }

    /// Notes that a route was refused for its congestion control; tells whether it is needed without.
    fn lose_congestion(&mut self, route: &Route, error: &io::Error) -> bool {
        let asked = route.congestion.as_deref().unwrap_or_default();
        let before = self.congestion_to.len();
        self.congestion_to.retain(|(destination, _)| *destination != route.prefix.0);
        let usual = self.congestion_to.len() == before;
        if usual {
            self.congestion = default_congestion();
        }
        self.warnings
            .push(format!("congestion control {asked} refused ({error}); {} is used", self.congestion));
        usual
    }
}

/// The namespace's own congestion control, `unknown` where the kernel does not tell.
fn default_congestion() -> String {
    std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Sets what belongs to the namespace and not to a device, before there is one; returns refusals as warnings.
pub(super) fn tune_namespace(options: &DeviceOptions) -> Vec<String> {
    let mut warnings = Vec::new();
    // There are no routers to ask for, and the questions of a thousand hosts go to a thousand hosts each. Where this
    // is refused, they do no harm but that.
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
    let most = options.send_buffer.bytes().max(TCP_WMEM_INITIAL);
    let tcp_wmem = format!("4096 {TCP_WMEM_INITIAL} {most}");
    for (setting, value) in [("tcp_rmem", TCP_RMEM), ("tcp_wmem", &tcp_wmem)] {
        if let Err(error) = std::fs::write(format!("/proc/sys/net/ipv4/{setting}"), value) {
            warnings
                .push(format!("net.ipv4.{setting} stays as it is ({error}): fast long paths are limited"));
        }
    }
    // In a user namespace only groups that are mapped can be named; often that is one.
    let own = sys::effective_group();
    let ranges = ["0 2147483647".to_owned(), format!("0 {own}"), format!("{own} {own}")];
    let opened =
        ranges.iter().any(|range| std::fs::write("/proc/sys/net/ipv4/ping_group_range", range).is_ok());
    if !opened {
        warnings.push("net.ipv4.ping_group_range is refused: ping may need privileges".to_owned());
    }
    warnings
}
