//! What is missing is named, and so is what to do about it.

use crate::bed::address;
use crate::is_root;
use netem::{Device, DeviceError, DeviceOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[test]
fn missing_rights_are_named_with_their_remedy() {
    let create = |name: &str, prefix_len: u8, tun: &Path| {
        let options = DeviceOptions { tun: tun.to_owned(), ..DeviceOptions::default() };
        Device::create(name, address(0), prefix_len, &options).unwrap_err()
    };
    let missing = create("net0", 16, Path::new("/nowhere/tun"));
    assert!(
        missing.to_string().starts_with("/nowhere/tun is missing: load it with `sudo modprobe tun`"),
        "{missing}"
    );
    let null = Path::new("/dev/null");
    assert!(create("net 0", 16, null).to_string().starts_with("\"net 0\" can't name a device"));
    assert!(create("net0", 0, null).to_string().starts_with("prefix length 0 of 10.77.0.1"));
    assert!(matches!(create("net0", 16, null), DeviceError::Refused { .. }));
    if !is_root() {
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("tun");
        std::fs::write(&closed, "").unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
        let forbidden = create("net0", 16, &closed).to_string();
        assert!(forbidden.contains("sudo chmod 0666"), "{forbidden}");
        match create("net0", 16, Path::new("/dev/net/tun")) {
            DeviceError::NoNetAdmin { .. } | DeviceError::TunForbidden { .. } | DeviceError::NoTun { .. } => {
            }
            other => panic!("{other}"),
        }
    }
}
