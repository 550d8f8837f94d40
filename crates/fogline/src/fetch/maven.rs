//! Maven as a child process: started in a folder with a project, watched, and ended when somebody asks.

use super::FetchError;
use crate::software::require::{Lacking, Requirement, own_directories};
use crate::sys;
use fogline_workflow::Cancel;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a running Maven is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long nothing may come before it is given up; Maven itself would wait half an hour for a silent server.
const STALL: Duration = Duration::from_secs(600);
/// How long Maven gets to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// Lines of what Maven complains about that are shown.
const COMPLAINTS_MAX: usize = 6;

/// The user's Maven.
pub(crate) struct Maven {
    settings: Option<PathBuf>,
    cancel: Cancel,
}

impl Maven {
    /// Maven with its own settings, or with those in `settings`; `cancel` ends what it does.
    pub(crate) fn new(settings: Option<&Path>, cancel: &Cancel) -> Self {
        Self { settings: settings.map(crate::load::absolute), cancel: cancel.clone() }
    }

    /// Builds `project` in `folder`. `look` is called again and again meanwhile, and says how much has come.
    ///
    /// # Errors
    /// When Maven or one of `requires` is not on this machine, when Maven fails, when nothing has come for ten minutes,
    /// when somebody asks to stop.
    pub(crate) fn build(
        &self,
        folder: &Path,
        project: &str,
        requires: &[Requirement],
        look: &mut dyn FnMut() -> u64,
    ) -> Result<(), FetchError> {
        let directories = own_directories();
        let maven = Requirement { program: "mvn".to_owned(), least: None, package: "maven".to_owned() };
        let program = maven.find(&directories).ok_or(FetchError::Lacking(Lacking::Absent(maven)))?;
        for requirement in requires {
            requirement.look(&directories).map_err(FetchError::Lacking)?;
        }
        let path = folder.join("pom.xml");
        std::fs::write(&path, project).map_err(FetchError::io("write", &path))?;
        let log = folder.join("mvn.log");
        let mut running = self.start(&program, folder, &log)?;
        let (mut most, mut since) = (0, Instant::now());
        loop {
            let ended = running.0.try_wait();
            if let Some(status) = ended.map_err(FetchError::io("wait for", &program))? {
                look();
                return judge(status, &log);
            }
            let come = look() + std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
            if come > most {
                (most, since) = (come, Instant::now());
            } else if since.elapsed() > STALL {
                let minutes = STALL.as_secs() / 60;
                return Err(FetchError::Maven(format!(
                    "nothing has come for {minutes} minutes; what has come so far is kept (Maven's output: {})",
                    log.display()
                )));
            }
            self.cancel.wait(LOOK).map_err(|_| FetchError::Interrupted)?;
        }
    }

    fn start(&self, program: &Path, folder: &Path, log: &Path) -> Result<Running, FetchError> {
        let output = File::create(log).map_err(FetchError::io("write", log))?;
        let errors = output.try_clone().map_err(FetchError::io("write", log))?;
        let mut command = Command::new(program);
        // A process group of its own: Ctrl-C is for this program, which then ends Maven in good order.
        command.args(["-B", "validate"]).current_dir(folder).process_group(0);
        if let Some(settings) = &self.settings {
            command.arg("--settings").arg(settings);
        }
        sys::die_with_parent(&mut command);
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        Ok(Running(child.map_err(FetchError::io("start", program))?))
    }
}

/// A running Maven, which ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let deadline = Instant::now() + GRACE;
        // Nothing can be done about a child that can be neither asked nor waited for.
        while matches!(self.0.try_wait(), Ok(None)) {
            let signal = if Instant::now() < deadline { libc::SIGTERM } else { libc::SIGKILL };
            if sys::signal_group(&self.0, signal).is_err() {
                return;
            }
            std::thread::park_timeout(LOOK / 4);
        }
    }
}

/// What Maven's end means.
fn judge(status: ExitStatus, log: &Path) -> Result<(), FetchError> {
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let complaints = complaints(&said);
    let complaints: String = complaints.iter().map(|line| format!("\n  {line}")).collect();
    Err(FetchError::Maven(format!(
        "Maven could not bring the files ({status}); what has come so far is kept{complaints}\n  \
         all of its output: {}",
        log.display()
    )))
}

/// The first lines that Maven marks as errors, without its advice on how to see more.
fn complaints(said: &str) -> Vec<&str> {
    let errors = said.lines().filter_map(|line| line.strip_prefix("[ERROR] ")).map(str::trim);
    let advice = ["To see the full", "Re-run Maven", "For more information", "[Help "];
    let mut lines: Vec<&str> = Vec::new();
    for line in errors.filter(|line| !line.is_empty() && !advice.iter().any(|start| line.starts_with(start)))
    {
        if !lines.contains(&line) && lines.len() < COMPLAINTS_MAX {
            lines.push(line);
        }
    }
    match lines.is_empty() {
        // Its start script complains without a mark.
        true => said.lines().rev().find(|line| !line.trim().is_empty()).into_iter().collect(),
        false => lines,
    }
}

#[cfg(test)]
mod tests {
    use super::complaints;

    #[test]
    fn errors_are_shown_once_and_without_advice() {
        let said =
            "[INFO] x\n[ERROR] no such file\n[ERROR] no such file\n[ERROR] \n[ERROR] Re-run Maven using -X\n";
        assert_eq!(complaints(said), ["no such file"]);
        assert_eq!(
            complaints("[INFO] x\nThe JAVA_HOME environment variable is wrong\n\n"),
            ["The JAVA_HOME environment variable is wrong"]
        );
    }
}
