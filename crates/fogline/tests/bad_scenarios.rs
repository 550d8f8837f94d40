//! Every bad input in `tests/bad/` is refused by `fogline check` with file, line, column and cause.

mod support;

use std::path::Path;
use std::process::Command;
use support::{FOGLINE, repository};

/// Copies the surveillance scenario into `folder` and the bad case's own files over it.
fn assemble(case: &Path, folder: &Path) {
    let good = repository().join("scenarios/smart-surveillance");
    for name in ["layers_services.yaml", "network.yaml", "workflow.yaml"] {
        std::fs::copy(good.join(name), folder.join(name)).expect("a good file");
    }
    let artifacts = folder.join("artifacts");
    std::fs::create_dir_all(artifacts.join("dataset")).expect("artifacts");
    std::fs::copy(good.join("artifacts/job.json"), artifacts.join("job.json")).expect("the job");
    copy_over(case, folder);
}

fn copy_over(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a case").filter_map(Result::ok) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            std::fs::create_dir_all(&target).expect("a folder");
            copy_over(&source, &target);
        } else {
            std::fs::copy(&source, &target).expect("a bad file");
        }
    }
}

#[test]
fn check_names_file_line_and_cause() {
    let root = repository().join("crates/fogline/tests/bad");
    let mut cases: Vec<_> =
        std::fs::read_dir(&root).expect("tests/bad").filter_map(Result::ok).map(|e| e.path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    assert!(cases.len() >= 40, "only {} bad inputs", cases.len());
    let mut said = String::new();
    for case in cases {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        let folder = tempfile::tempdir().expect("a folder");
        assemble(&case, folder.path());
        let output = Command::new(FOGLINE)
            .arg("check")
            .arg(".")
            .current_dir(folder.path())
            .output()
            .expect("fogline runs");
        let errors =
            String::from_utf8_lossy(&output.stderr).replace(&*folder.path().to_string_lossy(), "<scenario>");
        assert_eq!(output.status.code(), Some(2), "{name} was not refused:\n{errors}");
        assert!(!errors.contains("panicked"), "{name}: {errors}");
        said.push_str(&format!("== {name}\n{errors}\n"));
    }
    insta::assert_snapshot!("check", said);
}
