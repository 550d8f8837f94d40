//! Frames as a TAP with `IFF_VNET_HDR` carries them.

/// Length of the virtio-net header in front of every frame, bytes.
pub const VNET_LEN: usize = 10;
