//! `fogline fetch`: what it says without Maven, and what Maven brings it from a repository of this test's own.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::{FOGLINE, alive, descendants, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);

/// A cache, a repository with settings that lead to it, and a lock file.
struct Bed {
    folder: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let bed = Self { folder: tempfile::tempdir().expect("a folder") };
        bed.settings(&format!("file://{}", bed.path("repository").display()));
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Maven's settings: all artifacts come from `url`. Plugins come from the user's local repository if they are
    /// there, else from where Maven usually has them.
    fn settings(&self, url: &str) {
        let home = std::env::var("HOME").unwrap_or_else(|_| "/nonexistent".to_owned());
        let local = self.path("local").display().to_string();
        let text = format!(
            "<settings><localRepository>{local}</localRepository><profiles><profile><id>test</id>\
             <repositories><repository><id>central</id><url>{url}</url></repository></repositories>\
             <pluginRepositories><pluginRepository><id>here</id><url>file://{home}/.m2/repository</url>\
             </pluginRepository></pluginRepositories></profile></profiles>\
             <activeProfiles><activeProfile>test</activeProfile></activeProfiles></settings>"
        );
        std::fs::write(self.path("settings.xml"), text).expect("settings");
    }

    /// Puts a file into the repository, with its project file; gives its line in a lock file.
    fn publish(&self, artifact: &str, content: &str, depends_on: &[&str]) -> String {
        let folder = self.path("repository").join(format!("test/fogline/{artifact}/1.0"));
        std::fs::create_dir_all(&folder).expect("a repository");
        let name = format!("{artifact}-1.0.jar");
        std::fs::write(folder.join(&name), content).expect("a jar");
        let dependency = |artifact: &&str| {
            format!(
                "<dependency><groupId>test.fogline</groupId><artifactId>{artifact}</artifactId>\
                 <version>1.0</version></dependency>"
            )
        };
        let dependencies: String = depends_on.iter().map(dependency).collect();
        let project = format!(
            "<project><modelVersion>4.0.0</modelVersion><groupId>test.fogline</groupId>\
             <artifactId>{artifact}</artifactId><version>1.0</version>\
             <dependencies>{dependencies}</dependencies></project>"
        );
        std::fs::write(folder.join(format!("{artifact}-1.0.pom")), project).expect("a project");
        let digest = fogline_journal::digest_files(&folder, &[&name]).expect("a digest").remove(0);
        format!("test.fogline:{artifact}:1.0  {}  {}\n", digest.sha256, digest.bytes)
    }

    fn lock(&self, lines: &[&str]) -> PathBuf {
        let path = self.path("engine.lock");
        let head = "summary: an engine\nversion: 1.0\nlicence: MIT\nfolder: libs\n\n";
        std::fs::write(&path, format!("{head}{}", lines.concat())).expect("a lock file");
        path
    }

    fn command(&self) -> Command {
        let mut command = Command::new(FOGLINE);
        command.arg("fetch").env("FOGLINE_CACHE", self.path("cache")).env_remove("FOGLINE_SOFTWARE");
        command.arg("--settings").arg(self.path("settings.xml")).stdin(Stdio::null());
        command
    }

    fn fetch(&self) -> Output {
        self.command().arg(self.path("engine.lock")).output().expect("fogline runs")
    }

    /// Where there is no Maven and no Java.
    fn fetch_without_maven(&self) -> Output {
        let mut command = self.command();
        command.env("PATH", "/nonexistent").env_remove("JAVA_HOME");
        command.arg(self.path("engine.lock")).output().expect("fogline runs")
    }

    fn package(&self) -> PathBuf {
        self.path("cache/software/engine")
    }

    /// Contents of the package's files, and nothing else in it.
    fn assert_package(&self, contents: &[(&str, &str)]) {
        for (artifact, content) in contents {
            let path = self.package().join(format!("libs/{artifact}-1.0.jar"));
            assert_eq!(std::fs::read_to_string(&path).expect("a jar"), *content, "{artifact}");
        }
        let count = |path: PathBuf| std::fs::read_dir(path).expect("a folder").count();
        assert_eq!((count(self.package().join("libs")), count(self.package())), (contents.len(), 2));
        assert!(!self.path("cache/software/.engine.work").exists(), "what it worked in is left");
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Expects an exit code and words.
fn expect(output: &Output, code: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn no_maven() -> bool {
    let found = Command::new("mvn").arg("-version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: no mvn on this machine (package maven)");
    }
    !found
}

#[test]
fn what_is_known_is_listed_with_version_and_licence() {
    let bed = Bed::new();
    // Beside the program there may be packages that were built.
    let output = bed.command().arg("--list").env("FOGLINE_SOFTWARE", bed.path("none")).output();
    let output = output.expect("fogline runs");
    let words = ["kafka", "3.9.1", "zookeeper", "flink", "Apache-2.0", "missing", "scripts/flink-job"];
    expect(&output, 0, &words);
}

#[test]
fn what_cannot_be_fetched_is_named() {
    let bed = Bed::new();
    let fetch = |name: &str| bed.command().arg(name).output().expect("fogline runs");
    expect(&fetch("kafak"), 2, &["`kafak`", "kafka, zookeeper, flink"]);
    expect(&fetch("people-counting"), 2, &["not fetched but built", "scripts/flink-job"]);
    expect(&fetch("mosquitto"), 0, &["apt-get install mosquitto"]);
    expect(&fetch("/nonexistent/x.lock"), 2, &["cannot read /nonexistent/x.lock"]);
    let wrong = bed.lock(&["test.fogline:a:1.0  abc  5\n"]);
    expect(&fetch(&wrong.to_string_lossy()), 2, &["engine.lock:6", "not a SHA-256"]);
}

#[test]
fn without_maven_the_package_that_brings_it_is_named() {
    let bed = Bed::new();
    let line = bed.publish("a", "alpha", &[]);
    bed.lock(&[&line]);
    expect(&bed.fetch_without_maven(), 3, &["no `mvn` on this machine", "apt-get install maven"]);
}

/// What Maven would have brought is there before; so this needs none.
#[test]
fn what_is_there_and_right_is_kept() {
    let bed = Bed::new();
    let line = bed.publish("a", "alpha", &[]);
    bed.lock(&[&line]);
    let begun = bed.path("cache/software/.engine.work/set/libs");
    std::fs::create_dir_all(&begun).expect("a folder");
    std::fs::write(begun.join("a-1.0.jar"), "alpha").expect("a jar");
    std::fs::write(begun.join("old-0.9.jar"), "of another version").expect("a jar");
    expect(&bed.fetch_without_maven(), 0, &["engine 1.0: fetched"]);
    bed.assert_package(&[("a", "alpha")]);
    expect(&bed.fetch_without_maven(), 0, &["engine 1.0: is there"]);
    // A damaged file takes Maven again, and leaves the package where it is until it is whole.
    std::fs::write(bed.package().join("libs/a-1.0.jar"), "alphA").expect("a jar");
    expect(&bed.fetch_without_maven(), 3, &["no `mvn`"]);
    assert!(bed.package().join("libs/a-1.0.jar").exists());
}

#[test]
#[ignore = "starts Maven: scripts/test runs it"]
fn maven_brings_what_is_missing_and_only_that() {
    if no_maven() {
        return;
    }
    let bed = Bed::new();
    let lines =
        [bed.publish("a", "alpha", &[]), bed.publish("b", "beta", &["c"]), bed.publish("d", "delta", &[])];
    bed.lock(&[&lines[0], &lines[1], &lines[2]]);
    expect(&bed.fetch(), 0, &["engine 1.0: fetched, 3 files"]);
    // `c`, on which `b` depends, is in no repository, and nobody has asked for it.
    let all = [("a", "alpha"), ("b", "beta"), ("d", "delta")];
    bed.assert_package(&all);
    expect(&bed.fetch_without_maven(), 0, &["is there"]);
    // Repaired without what is right: that is nowhere any more.
    std::fs::write(bed.package().join("libs/b-1.0.jar"), "damaged").expect("a jar");
    for gone in ["repository/test/fogline/a", "repository/test/fogline/d", "local/test"] {
        std::fs::remove_dir_all(bed.path(gone)).expect("a folder to remove");
    }
    expect(&bed.fetch(), 0, &["fetched"]);
    bed.assert_package(&all);
}

#[test]
#[ignore = "starts Maven: scripts/test runs it"]
fn a_fetch_goes_on_where_it_stopped() {
    if no_maven() {
        return;
    }
    let bed = Bed::new();
    let lines = [bed.publish("a", "alpha", &[]), bed.publish("b", "beta", &[])];
    bed.lock(&[&lines[0], &lines[1]]);
    let absent = bed.path("repository/test/fogline/b");
    std::fs::rename(&absent, bed.path("b")).expect("to hide a file");
    expect(&bed.fetch(), 4, &["test.fogline:b:jar:1.0", "what has come so far is kept"]);
    assert!(!bed.package().exists(), "half a package is in place");
    // What has come needs no repository any more.
    std::fs::remove_dir_all(bed.path("repository/test/fogline/a")).expect("a folder to remove");
    std::fs::remove_dir_all(bed.path("local/test")).expect("a folder to remove");
    std::fs::rename(bed.path("b"), &absent).expect("to show a file");
    expect(&bed.fetch(), 0, &["fetched"]);
    bed.assert_package(&[("a", "alpha"), ("b", "beta")]);
}

#[test]
#[ignore = "starts Maven: scripts/test runs it"]
fn a_wrong_file_is_named_with_both_sums_and_removed() {
    if no_maven() {
        return;
    }
    let bed = Bed::new();
    let (right, pinned) = (bed.publish("a", "alpha", &[]), bed.publish("b", "beta", &[]));
    let served = bed.publish("b", "Beta", &[]);
    bed.lock(&[&right, &pinned]);
    let sum = |line: &str| line.split_whitespace().nth(1).expect("a sum").to_owned();
    let output = bed.fetch();
    let words =
        ["1 of 2 files", "test.fogline:b:1.0", &sum(&pinned), &sum(&served), "removed", "local repository"];
    expect(&output, 4, &words);
    let work = bed.path("cache/software/.engine.work/set/libs");
    assert!(work.join("a-1.0.jar").exists() && !work.join("b-1.0.jar").exists());
    assert!(!bed.package().exists(), "a wrong package is in place");
}

#[test]
#[ignore = "starts Maven: scripts/test runs it"]
fn two_fetches_at_once_make_one_package() {
    if no_maven() {
        return;
    }
    let bed = Bed::new();
    let lines = [bed.publish("a", "alpha", &[]), bed.publish("b", "beta", &[])];
    let lock = bed.lock(&[&lines[0], &lines[1]]);
    let start = || {
        let mut command = bed.command();
        command.arg(&lock).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("fogline starts")
    };
    let outputs = [start(), start()].map(|child| child.wait_with_output().expect("an end"));
    outputs.iter().for_each(|output| expect(output, 0, &["2 files"]));
    let fetched = outputs.iter().filter(|output| said(output).contains("fetched")).count();
    assert_eq!(fetched, 1, "{:?}", outputs.map(|output| said(&output)));
    bed.assert_package(&[("a", "alpha"), ("b", "beta")]);
}

#[test]
#[ignore = "starts Maven: scripts/test runs it"]
fn an_interrupted_fetch_leaves_no_maven() {
    if no_maven() {
        return;
    }
    let bed = Bed::new();
    let line = bed.publish("a", "alpha", &[]);
    let lock = bed.lock(&[&line]);
    // A repository that takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    silent.set_nonblocking(true).expect("a listener that can be asked");
    bed.settings(&format!("http://{}", silent.local_addr().expect("an address")));
    let mut command = bed.command();
    let runner =
        command.arg(&lock).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("fogline starts");
    let connection = wait_for("Maven asks the repository", PATIENCE, || silent.accept().ok());
    let started = descendants(runner.id());
    assert!(!started.is_empty(), "no Maven is at work");
    let sent = Command::new("kill").args(["-s", "INT", &runner.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    expect(&runner.wait_with_output().expect("an end"), 130, &["interrupted"]);
    wait_for("Maven ends", PATIENCE, || alive(&started).is_empty().then_some(()));
    drop(connection);
}

#[test]
#[ignore = "starts Maven: scripts/test runs it"]
fn files_are_pinned_anew_from_their_roots() {
    if no_maven() {
        return;
    }
    let bed = Bed::new();
    let lines = [bed.publish("a", "alpha", &[]), bed.publish("b", "beta", &["a", "unwanted"])];
    bed.publish("unwanted", "junk", &[]);
    let head = "# kept\nsummary: an engine\nversion: 1.0\nlicence: MIT\nfolder: libs\nroot: test.fogline:b:1.0\n\
                exclude: test.fogline:unwanted\n\n";
    let path: &Path = &bed.path("engine.lock");
    std::fs::write(path, format!("{head}test.fogline:old:1.0  {}  1\n", "0".repeat(64)))
        .expect("a lock file");
    expect(&bed.command().arg("--relock").arg(path).output().expect("fogline runs"), 0, &["2 files"]);
    let written = std::fs::read_to_string(path).expect("the lock file");
    assert_eq!(written, format!("{head}{}", lines.concat()));
}
