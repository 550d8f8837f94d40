//! The library as a Java virtual machine sees it, through the class that Flink uses.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what it skips, and fails loudly")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Opens a judge, counts what is counted, uncounted, corrupt and wrong, and says what came of it.
const CALLER: &str = r#"
import dev.fogline.vision.Judge;
import java.nio.file.*;

public class Caller {
    interface Call { Object of() throws Exception; }

    static void say(String what, Call call) {
        Object answer;
        try { answer = call.of(); } catch (Exception error) { answer = error.getClass().getSimpleName() + ": " + error.getMessage(); }
        System.out.println(what + " " + answer);
    }

    public static void main(String[] args) throws Exception {
        byte[] picture = Files.readAllBytes(Path.of(args[0]));
        Judge judge = new Judge("motion", 0);
        say("gated", () -> judge.count("c", picture, true, -1, null, 2));
        say("given", () -> judge.count("c", picture, true, 5, "somebody", 4));
        say("learning", () -> judge.count("c", picture, false, -1, null, -1));
        say("empty", () -> judge.count("c", new byte[0], true, -1, null, -1));
        say("corrupt", () -> judge.count("c", new byte[9], true, -1, null, -1) == Judge.CORRUPT);
        say("camera", () -> judge.count("a b", picture, true, -1, null, -1));
        say("null", () -> judge.count("c", null, true, -1, null, -1));
        say("figures", () -> judge.figures());
        judge.close();
        judge.close();
        say("closed", () -> judge.figures());
        say("counter", () -> new Judge("yolo", 0));
        say("check", () -> new Judge("motion", -1));
    }
}
"#;

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Where cargo puts the library for tests: beside the test programs.
fn library_folder() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

#[test]
fn java_gets_counts_reasons_and_exceptions() {
    if !Command::new("javac").arg("-version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no javac; install the package openjdk-17-jdk-headless");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
    encoder.encode(&[128; 64 * 48], 64, 48, jpeg_encoder::ColorType::Luma).unwrap();
    fs::write(at("grey.jpg"), jpeg).unwrap();
    fs::write(at("Caller.java"), CALLER).unwrap();
    let bridge = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../flink/bridge/src/main/java/dev/fogline/vision/Judge.java");
    run("javac", &["-d", &at("."), &bridge.display().to_string(), &at("Caller.java")]);
    let library = format!("-Djava.library.path={}", library_folder().display());
    let said = run(
        "java",
        &["-Xcheck:jni", "-XX:+UseSerialGC", &library, "-cp", &at("."), "Caller", &at("grey.jpg")],
    );
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("WARNING")).collect();
    let expected = [
        "gated 0",
        "given 5",
        "learning -1",
        "empty -1",
        "corrupt true",
        "camera IllegalArgumentException: camera name \"a b\" holds ' '",
        "null IllegalArgumentException: ",
        "figures {\"truth_frames.motion\":1,\"abs_error_sum.motion\":2,\"error_sum.motion\":-2,\
         \"truth_frames.somebody\":1,\"abs_error_sum.somebody\":1,\"error_sum.somebody\":1}",
        "closed IllegalArgumentException: there is no judge 0",
        "counter IllegalArgumentException: there is no counter \"yolo\"",
        "check IllegalArgumentException: checkEvery is negative",
    ];
    assert_eq!(lines.len(), expected.len(), "{said}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line:?} does not begin with {expected:?}");
    }
}
