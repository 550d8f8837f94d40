use super::lock::{Coordinates, Lock};
use super::{LOCKS, known};

const SUM: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn lock(lines: &str) -> Result<Lock, String> {
    let text = format!("# mine\nsummary: x\nversion: 1\nlicence: MIT\nfolder: libs\n{lines}");
    Lock::parse("some/engine.lock", &text).map_err(|error| error.to_string())
}

#[test]
fn what_is_built_in_can_be_read() {
    assert_eq!(known().len(), LOCKS.len());
    for lock in known() {
        assert!(!lock.requires.is_empty(), "{}", lock.name);
        // Whoever names roots has pinned what comes of them, the roots themselves among them.
        for root in &lock.roots {
            assert!(lock.files.iter().any(|file| file.coordinates == *root), "{}: {root}", lock.name);
        }
        assert_eq!(lock.roots.is_empty(), lock.files.is_empty(), "{}", lock.name);
        for (group, artifact) in &lock.excludes {
            let left = lock.files.iter().map(|file| &file.coordinates);
            assert!(!left.into_iter().any(|c| c.group == *group && c.artifact == *artifact), "{artifact}");
        }
    }
}

#[test]
fn what_is_built_here_has_the_version_of_this_program() {
    let built: Vec<Lock> = known().into_iter().filter(|lock| lock.made_by.is_some()).collect();
    assert!(
        built.iter().all(|lock| lock.version == env!("CARGO_PKG_VERSION")) && built.len() == 1,
        "{built:?}"
    );
}

#[test]
fn files_have_names_sizes_and_places() {
    let lock =
        lock(&format!("requires: java 17 jre\n\na.b:c:1.0  {SUM}  5\na.b:d:2:so:linux-x86  {SUM}  7\n"))
            .unwrap();
    assert_eq!((lock.name.as_str(), lock.bytes()), ("engine", 12));
    let paths: Vec<_> = lock.expected().collect();
    let expected = [("libs/c-1.0.jar".to_owned(), Some(5)), ("libs/d-2-linux-x86.so".to_owned(), Some(7))];
    assert_eq!(paths, expected);
    let built =
        Lock::parse("x.lock", "summary: x\nversion: 1\nlicence: MIT\nmade-by: make it\ncontains: lib/x.so\n");
    assert_eq!(built.unwrap().expected().collect::<Vec<_>>(), [("lib/x.so".to_owned(), None)]);
}

#[test]
fn every_mistake_is_named_with_its_line() {
    for (lines, words) in [
        (format!("a.b:c:1.0 {SUM} 5\na.x:c:1.0 {SUM} 5\n"), "engine.lock:7: `c-1.0.jar` is there twice"),
        (format!("a.b:c {SUM} 5\n"), "engine.lock:6: `a.b:c` is not of the form"),
        (format!("a.b:../c:1 {SUM} 5\n"), "`a.b:../c:1` is not of the form"),
        (format!("a.b:<c>:1 {SUM} 5\n"), "is not of the form"),
        (format!("a.b:c:1 {SUM} -5\n"), "`-5` is not a number of bytes"),
        (format!("a.b:c:1 {} 5\n", SUM.to_uppercase()), "is not a SHA-256"),
        (format!("a.b:c:1 {SUM}\n"), "neither `key: value` nor"),
        ("licens: MIT\n".to_owned(), "`licens` is no key of a lock file"),
        ("folder: ../libs\n".to_owned(), "`../libs` is not the name of a folder"),
        ("contains: ../../etc/passwd\n".to_owned(), "is not a path within the package"),
        ("exclude: a\n".to_owned(), "not of the form group:artifact"),
        ("requires: java\n".to_owned(), "PROGRAM [LEAST VERSION] DEBIAN-PACKAGE"),
    ] {
        let message = lock(&lines).unwrap_err();
        assert!(message.contains(words), "{lines}: {message}");
    }
    for (text, words) in [
        ("version: 1\nlicence: MIT\n", "no line `summary: ...`"),
        ("summary: x\nversion: 1\n", "no line `licence: ...`"),
        ("summary: x\nversion: 1\nlicence: MIT\nroot: a:b:1\n", "no line `folder: ...`"),
    ] {
        let message = Lock::parse("engine.lock", text).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    let message = Lock::parse("a b.lock", "summary: x\n").unwrap_err().to_string();
    assert!(message.contains("cannot be the name of a package"), "{message}");
}

#[test]
fn paths_in_a_repository_tell_coordinates() {
    for (path, written) in [
        ("org/apache/kafka/kafka_2.13/3.9.1/kafka_2.13-3.9.1.jar", "org.apache.kafka:kafka_2.13:3.9.1"),
        (
            "io/netty/epoll/4.1.1.Final/epoll-4.1.1.Final-linux-x86_64.jar",
            "io.netty:epoll:4.1.1.Final:jar:linux-x86_64",
        ),
        ("a/b/1/b-1.tar.gz", "a:b:1:tar.gz"),
    ] {
        let coordinates = Coordinates::of_repository_path(path).unwrap();
        assert_eq!(coordinates.to_string(), written);
        assert_eq!(written.parse::<Coordinates>().unwrap(), coordinates);
        assert!(path.ends_with(&coordinates.file_name()), "{path}");
    }
    for path in ["b-1.jar", "a/b/1/c-1.jar", "a/b/1/b-2.jar", ""] {
        assert_eq!(Coordinates::of_repository_path(path), None, "{path}");
    }
}
