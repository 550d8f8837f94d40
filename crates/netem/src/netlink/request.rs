//! What can be asked for.

use super::message::{Message, ifinfo, push_attribute, with_nul};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_TXQLEN: u16 = 13;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_F_NODAD: u32 = 0x02;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTAX_CC_ALGO: u16 = 16;
const NLA_F_NESTED: u16 = 0x8000;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
const IFF_UP: u32 = 0x1;
const IFF_NOARP: u32 = 0x80;

/// Sets address, MTU, queue length and NOARP of a device that is down.
pub(crate) fn configure(index: u32, mac: [u8; 6], mtu: u32, queue_len: u32) -> Message {
    let mut message = Message::link(RTM_NEWLINK, 0, index, IFF_NOARP, IFF_NOARP);
    message.attribute(IFLA_ADDRESS, &mac);
    message.attribute(IFLA_MTU, &mtu.to_ne_bytes());
    message.attribute(IFLA_TXQLEN, &queue_len.to_ne_bytes());
    message
}

/// Brings a device up.
pub(crate) fn bring_up(index: u32) -> Message {
    Message::link(RTM_NEWLINK, 0, index, IFF_UP, IFF_UP)
}

/// A pair of devices that are each other's cable.
pub(crate) struct Veth<'a> {
    /// The end in this namespace.
    pub(crate) near: Ends<'a>,
    /// The end in the namespace `far_namespace`.
    pub(crate) far: Ends<'a>,
    /// The index of both: the kernel wants to choose both or none.
    pub(crate) index: u32,
    pub(crate) far_namespace: BorrowedFd<'a>,
    pub(crate) mtu: u32,
    pub(crate) queue_len: u32,
    /// Whether the near end does without ARP and neighbour discovery.
    pub(crate) no_arp: bool,
}

/// One end of a [`Veth`].
pub(crate) struct Ends<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: [u8; 6],
}

/// Makes a pair of devices, the near one up. The far one can't be before it has a near one.
pub(crate) fn veth(pair: &Veth<'_>) -> Message {
    let attributes = |end: &Ends<'_>| {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, IFLA_IFNAME, &with_nul(end.name));
        push_attribute(&mut bytes, IFLA_ADDRESS, &end.mac);
        push_attribute(&mut bytes, IFLA_MTU, &pair.mtu.to_ne_bytes());
        push_attribute(&mut bytes, IFLA_TXQLEN, &pair.queue_len.to_ne_bytes());
        // One queue each: the kernel would make one for every processor there may ever be.
        push_attribute(&mut bytes, IFLA_NUM_TX_QUEUES, &1_u32.to_ne_bytes());
        push_attribute(&mut bytes, IFLA_NUM_RX_QUEUES, &1_u32.to_ne_bytes());
        bytes
    };
    let flags = IFF_UP | if pair.no_arp { IFF_NOARP } else { 0 };
    let mut message = Message::link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, pair.index, flags, flags);
    message.append(&attributes(&pair.near));
    let mut far = ifinfo(pair.index, 0, 0).to_vec();
    far.extend(attributes(&pair.far));
    push_attribute(&mut far, IFLA_NET_NS_FD, &pair.far_namespace.as_raw_fd().to_ne_bytes());
    let mut data = Vec::new();
    push_attribute(&mut data, VETH_INFO_PEER | NLA_F_NESTED, &far);
    link_info(&mut message, b"veth", &data);
    message
}

/// Makes a bridge that forwards at once and to all ports of a group address, and brings it up.
pub(crate) fn bridge(name: &str, index: u32) -> Message {
    let mut message = Message::link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, index, IFF_UP, IFF_UP);
    message.attribute(IFLA_IFNAME, &with_nul(name));
    let mut data = Vec::new();
    push_attribute(&mut data, IFLA_BR_STP_STATE, &0_u32.to_ne_bytes());
    push_attribute(&mut data, IFLA_BR_FORWARD_DELAY, &0_u32.to_ne_bytes());
    push_attribute(&mut data, IFLA_BR_MCAST_SNOOPING, &[0]);
    link_info(&mut message, b"bridge", &data);
    message
}

fn link_info(message: &mut Message, kind: &[u8], data: &[u8]) {
    let mut info = Vec::new();
    push_attribute(&mut info, IFLA_INFO_KIND, kind);
    push_attribute(&mut info, IFLA_INFO_DATA | NLA_F_NESTED, data);
    message.nested(IFLA_LINKINFO, &info);
}

/// Makes a device a port of a bridge, and brings it up.
pub(crate) fn enslave(port: u32, bridge: u32) -> Message {
    let mut message = Message::link(RTM_NEWLINK, 0, port, IFF_UP, IFF_UP);
    message.attribute(IFLA_MASTER, &bridge.to_ne_bytes());
    message
}

/// Gives a device an address, without the route that usually comes with it.
pub(crate) fn add_address(index: u32, address: Ipv4Addr, prefix_len: u8) -> Message {
    let mut message = Message::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    message.append(&[libc::AF_INET as u8, prefix_len, 0, 0]);
    message.append(&index.to_ne_bytes());
    message.attribute(IFA_LOCAL, &address.octets());
    message.attribute(IFA_ADDRESS, &address.octets());
    message.attribute(IFA_BROADCAST, &broadcast_of(address, prefix_len).octets());
    message.attribute(IFA_FLAGS, &IFA_F_NOPREFIXROUTE.to_ne_bytes());
    message
}

/// Gives a device an IPv6 address that is usable at once: it is not asked whether somebody else has it.
pub(crate) fn add_address6(index: u32, address: Ipv6Addr, prefix_len: u8) -> Message {
    let mut message = Message::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    message.append(&[libc::AF_INET6 as u8, prefix_len, 0, 0]);
    message.append(&index.to_ne_bytes());
    message.attribute(IFA_LOCAL, &address.octets());
    message.attribute(IFA_ADDRESS, &address.octets());
    message.attribute(IFA_FLAGS, &(IFA_F_NODAD | IFA_F_NOPREFIXROUTE).to_ne_bytes());
    message
}

/// A way to addresses on the link.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) index: u32,
    /// What to send from: of the same family as the prefix.
    pub(crate) source: IpAddr,
    pub(crate) prefix: (IpAddr, u8),
    /// TCP congestion control of connections that take it.
    pub(crate) congestion: Option<String>,
}

/// Routes a prefix straight to a device.
pub(crate) fn add_route(route: &Route) -> Message {
    let (network, prefix_len) = (network_of(route.prefix.0, route.prefix.1), route.prefix.1);
    let mut message = Message::new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    // IPv6 routes know no scope.
    let (family, scope) = match network {
        IpAddr::V4(_) => (libc::AF_INET, RT_SCOPE_LINK),
        IpAddr::V6(_) => (libc::AF_INET6, RT_SCOPE_UNIVERSE),
    };
    message.append(&[family as u8, prefix_len, 0, 0]);
    message.append(&[RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST]);
    message.append(&0_u32.to_ne_bytes());
    message.attribute(RTA_DST, &octets_of(network));
    message.attribute(RTA_OIF, &route.index.to_ne_bytes());
    message.attribute(RTA_PREFSRC, &octets_of(route.source));
    if let Some(name) = &route.congestion {
        let mut metrics = Vec::new();
        push_attribute(&mut metrics, RTAX_CC_ALGO, &with_nul(name));
        message.nested(RTA_METRICS, &metrics);
    }
    message
}

fn octets_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn network_of(address: IpAddr, prefix_len: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & mask(prefix_len)).into(),
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_len.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// The last address of the subnet of `address`.
pub(crate) fn broadcast_of(address: Ipv4Addr, prefix_len: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits() | !mask(prefix_len))
}

fn mask(prefix_len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix_len.min(32))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_cover_every_prefix_length() {
        assert_eq!(mask(0), 0);
        assert_eq!(mask(16), 0xffff_0000);
        assert_eq!(mask(32), u32::MAX);
        let network = |text: &str, prefix_len| network_of(text.parse().unwrap(), prefix_len).to_string();
        assert_eq!(network("10.77.3.4", 16), "10.77.0.0");
        assert_eq!(network("fd00:1::7", 0), "::");
        assert_eq!(network("fd00:1::7", 64), "fd00:1::");
        assert_eq!(network("fd00:1::7", 128), "fd00:1::7");
    }
}
