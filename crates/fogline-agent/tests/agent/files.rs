use crate::Guest;
use fogline_agent::{AgentError, FileKind, Put};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names_in(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Bytes without a period that a chunk's size could hide.
fn content(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

#[test]
fn a_put_changes_what_differs_and_nothing_else() {
    let guest = Guest::start();
    let destination = guest.path().join("a/b/c.conf");
    let put = guest.client.put_bytes(b"one", &destination, None).unwrap();
    assert_eq!(put, Put { changed: true, bytes: 3 });
    assert_eq!((fs::read(&destination).unwrap(), mode_of(&destination)), (b"one".to_vec(), 0o644));

    assert!(!guest.client.put_bytes(b"one", &destination, None).unwrap().changed);
    assert!(guest.client.put_bytes(b"one", &destination, Some(0o600)).unwrap().changed);
    assert_eq!(mode_of(&destination), 0o600);
    assert!(guest.client.put_bytes(b"two", &destination, None).unwrap().changed);
    assert_eq!((fs::read(&destination).unwrap(), mode_of(&destination)), (b"two".to_vec(), 0o600));
    assert_eq!(names_in(destination.parent().unwrap()), ["c.conf"], "nothing temporary is left");
}

#[test]
fn files_of_any_size_go_there_and_back() {
    let guest = Guest::start();
    for length in [0, 1, 256 << 10, (256 << 10) + 1, 5_000_003] {
        let (source, there, back) =
            (guest.path().join("source"), guest.path().join("there"), guest.path().join("new/back"));
        fs::write(&source, content(length)).unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o751)).unwrap();
        let put = guest.client.put_file(&source, &there, None).unwrap();
        assert_eq!(put, Put { changed: true, bytes: length as u64 }, "length {length}");
        assert_eq!(mode_of(&there), 0o751);
        assert!(!guest.client.put_file(&source, &there, None).unwrap().changed);
        assert_eq!(guest.client.get_file(&there, &back).unwrap(), length as u64);
        assert!(fs::read(&back).unwrap() == content(length), "length {length}");
        fs::remove_file(&there).unwrap();
    }
    assert_eq!(names_in(&guest.path().join("new")), ["back"]);
}

#[test]
fn bytes_longer_than_a_chunk_arrive_whole() {
    let guest = Guest::start();
    let destination = guest.path().join("long");
    guest.client.put_bytes(&content(1_000_000), &destination, Some(0o640)).unwrap();
    assert!(fs::read(&destination).unwrap() == content(1_000_000));
    assert_eq!(mode_of(&destination), 0o640);
}

#[test]
fn a_directory_goes_with_all_it_holds() {
    let guest = Guest::start();
    let source = guest.path().join("site");
    fs::create_dir_all(source.join("deep/er/empty")).unwrap();
    for number in 0..40 {
        fs::write(source.join(format!("deep/{number}.txt")), format!("file {number}")).unwrap();
    }
    fs::write(source.join("deep/er/large"), content(700_000)).unwrap();
    fs::write(source.join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(source.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run.sh", source.join("link")).unwrap();

    let into = guest.path().join("into");
    assert!(guest.client.put_directory(&source, &into, false).unwrap().changed);
    assert_eq!(names_in(&into), ["site"]);
    assert!(into.join("site/deep/er/empty").is_dir());
    assert_eq!(fs::read_to_string(into.join("site/deep/39.txt")).unwrap(), "file 39");
    assert!(fs::read(into.join("site/deep/er/large")).unwrap() == content(700_000));
    assert_eq!(mode_of(&into.join("site/run.sh")), 0o755);
    assert_eq!(fs::read_link(into.join("site/link")).unwrap(), Path::new("run.sh"));

    assert!(!guest.client.put_directory(&source, &into, false).unwrap().changed);
    fs::write(source.join("deep/7.txt"), "another").unwrap();
    assert!(guest.client.put_directory(&source, &into, false).unwrap().changed);
    assert_eq!(fs::read_to_string(into.join("site/deep/7.txt")).unwrap(), "another");

    let flat = guest.path().join("flat");
    guest.client.put_directory(&source, &flat, true).unwrap();
    assert_eq!(names_in(&flat), ["deep", "link", "run.sh"]);
}

#[test]
fn stat_make_and_remove_tell_what_they_did() {
    let guest = Guest::start();
    let directory = guest.path().join("x/y");
    assert_eq!(guest.client.stat(&directory).unwrap(), None);
    assert!(guest.client.make_directory(&directory, Some(0o750)).unwrap());
    assert!(!guest.client.make_directory(&directory, Some(0o750)).unwrap());
    assert!(guest.client.make_directory(&directory, Some(0o700)).unwrap());
    let stat = guest.client.stat(&directory).unwrap().unwrap();
    assert_eq!((stat.kind, stat.mode), (FileKind::Directory, 0o700));
    let file = directory.join("f");
    guest.client.put_bytes(b"12345", &file, Some(0o640)).unwrap();
    let stat = guest.client.stat(&file).unwrap().unwrap();
    assert_eq!((stat.kind, stat.mode, stat.bytes), (FileKind::File, 0o640, 5));
    assert!(stat.modified_unix_s > 1_600_000_000);
    symlink("/no/such/target", directory.join("dangling")).unwrap();
    assert_eq!(guest.client.stat(&directory.join("dangling")).unwrap().unwrap().kind, FileKind::Link);
    assert!(guest.client.remove(&directory).unwrap());
    assert!(!guest.client.remove(&directory).unwrap());
    assert!(guest.client.remove(Path::new("/")).unwrap_err().to_string().contains("it is the root"));
}

#[test]
fn failures_name_the_path_and_the_cause() {
    let guest = Guest::start();
    let (missing, local) = (guest.path().join("missing"), guest.path().join("local"));
    let error = guest.client.get_file(&missing, &local).unwrap_err();
    assert!(
        error.to_string().contains(&format!("cannot read {}: No such file", missing.display())),
        "{error}"
    );
    assert!(!local.exists());
    let error = guest.client.put_file(&missing, &local, None).unwrap_err();
    assert!(matches!(error, AgentError::Local { .. }), "{error:?}");

    fs::write(&local, "a file").unwrap();
    let error = guest.client.put_bytes(b"x", &local.join("below"), None).unwrap_err();
    let AgentError::Refused { failure, .. } = &error else { panic!("{error:?}") };
    assert!(failure.path.as_ref().unwrap().starts_with(&local), "{error}");
    assert_eq!(failure.errno, Some(20), "{error}");

    let error = guest.client.put_bytes(b"x", guest.path(), None).unwrap_err();
    assert!(error.to_string().contains("directory"), "{error}");
}

#[test]
fn a_full_disk_is_told_with_the_path() {
    let guest = Guest::start();
    let full = guest.path().join("full");
    fs::create_dir(&full).unwrap();
    // A small file system of its own, in a mount namespace that only this command sees.
    let script = format!("mount -t tmpfs -o size=64k tmpfs {0} && touch {0}/there", full.display());
    let mounted = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    if !mounted.status.success() {
        eprintln!(
            "SKIPPED: no right to mount a small file system: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        return;
    }
    let small = guest.client.put_bytes(&content(200_000), &full.join("small"), None);
    let large = guest.client.put_bytes(&content(1_000_000), &full.join("large"), None);
    let left = names_in(&full);
    assert!(std::process::Command::new("umount").arg(&full).status().unwrap().success());
    for (name, result) in [("small", small), ("large", large)] {
        let error = result.unwrap_err();
        let AgentError::Refused { failure, .. } = &error else { panic!("{error:?}") };
        assert_eq!(failure.errno, Some(28), "{error}");
        assert!(failure.path.as_ref().unwrap().to_str().unwrap().contains(name), "{error}");
    }
    assert_eq!(left, ["there"], "nothing half written is left");
}
