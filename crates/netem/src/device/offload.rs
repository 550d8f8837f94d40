//! Which unfinished work a virtual Ethernet device may leave in its frames when a packet socket reads them.

use crate::sys;
use std::io;
use std::sync::OnceLock;

/// Kinds of super-packets and checksums that the virtio-net header of a packet socket cannot describe: reading one
/// would fail, or lose what makes it one (`virtio_net_hdr_from_skb` in `linux/virtio_net.h`). The host's kernel
/// finishes such packets itself once they are switched off.
const INDESCRIBABLE: [&str; 13] = [
    "tx-gre-segmentation",
    "tx-gre-csum-segmentation",
    "tx-ipxip4-segmentation",
    "tx-ipxip6-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
    "tx-tunnel-remcsum-segmentation",
    "tx-gso-partial",
    "tx-gso-list",
    "tx-gso-robust",
    "tx-esp-segmentation",
    "tx-sctp-segmentation",
    "tx-checksum-sctp",
];
/// The header knows of these since [`USO_SINCE`].
const USO: &str = "tx-udp-segmentation";
const USO_SINCE: (u32, u32) = (6, 2);

/// What is to be switched off.
#[derive(Debug)]
struct Limits {
    bits: Vec<usize>,
    /// How many bits there are in all.
    count: usize,
    /// Whether super-packets of UDP may stay.
    uso: bool,
}

/// Has the kernel finish what could not be read, and names what remains.
pub(super) fn limit(device: &str) -> io::Result<&'static str> {
    // The bits are the same for all devices of a kernel.
    static LIMITS: OnceLock<Limits> = OnceLock::new();
    let Limits { bits, count, uso } = match LIMITS.get() {
        Some(known) => known,
        None => {
            let uso = crate::release::running() >= USO_SINCE;
            let names = sys::feature_names(device)?;
            let is_off = |name: &str| INDESCRIBABLE.contains(&name) || (name == USO && !uso);
            let bits = (0..names.len()).filter(|bit| is_off(&names[*bit])).collect();
            LIMITS.get_or_init(|| Limits { bits, count: names.len(), uso })
        }
    };
    sys::switch_off(device, bits, *count)?;
    Ok(if *uso { "csum+tso+uso" } else { "csum+tso" })
}
