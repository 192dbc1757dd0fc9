//! Reports for machines and people, all made from the events of a run: `report.json`, `junit.xml` and a log
//! file for each entry in `VIETER_REPORT_DIR`, a GitHub step summary, and a Kubernetes termination message.
//!
//! They are written whenever a run ends, also when it failed or was stopped. A report that cannot be written
//! is a warning in the log and never changes the exit status.

mod entry_log;
mod github;
mod json;
mod junit;
pub mod progress;
mod termination;
pub mod words;

use std::collections::HashMap;
use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use entry_log::log_path;

use crate::config::{self, Environment};
use crate::event::{Event, Observer};
use crate::outcome::{EntryOutcome, RunOutcome};
use entry_log::{EntryLog, Tail};

/// Where reports go besides `VIETER_REPORT_DIR`.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The file of the GitHub step summary, from `GITHUB_STEP_SUMMARY`.
    pub step_summary: Option<PathBuf>,
    /// The file of the Kubernetes termination message; passed over when there is none.
    pub termination_log: PathBuf,
}

impl Surroundings {
    /// What the environment says, and the place where Kubernetes puts the termination message.
    pub fn new(environment: &dyn Environment) -> Self {
        let summary = environment.variables().into_iter().find(|(name, _)| name == "GITHUB_STEP_SUMMARY");
        Self {
            step_summary: summary.filter(|(_, path)| !path.is_empty()).map(|(_, path)| path.into()),
            termination_log: termination::DEFAULT_PATH.into(),
        }
    }
}

/// The observers that write reports.
pub fn observers(output: &config::Output, surroundings: Surroundings) -> Vec<Box<dyn Observer>> {
    vec![Box::new(Reports { directory: output.report_dir.clone(), surroundings, state: Mutex::default() })]
}

/// The end of the logs of entries that failed, by repository and entry.
type Tails = HashMap<(String, String), Vec<String>>;

/// Writes all reports but the progress display.
struct Reports {
    directory: Option<PathBuf>,
    surroundings: Surroundings,
    state: Mutex<State>,
}

/// What is known so far.
#[derive(Default)]
struct State {
    /// The log of stage 1 or of the entry whose turn it is.
    log: Option<EntryLog>,
    tail: Tail,
    tails: Tails,
}

impl State {
    fn line(&mut self, line: &str) {
        self.tail.push(line);
        if let Some(log) = &mut self.log {
            log.line(line);
        }
    }

    fn close_log(&mut self) {
        if let Some(log) = self.log.take() {
            log.close();
        }
    }

    fn open_log(&mut self, directory: Option<&Path>, path: &str) {
        self.close_log();
        self.tail = Tail::default();
        self.log = directory.and_then(|directory| EntryLog::open(directory, path));
    }

    fn entry_finished(&mut self, outcome: &EntryOutcome) {
        if !outcome.verdict.is_success() {
            let key = (outcome.repo.clone(), outcome.entry.clone());
            self.tails.insert(key, std::mem::take(&mut self.tail).into_lines());
        }
        if let Some(log) = &mut self.log {
            log.line(&format!("==> {}", words::entry(outcome)));
            if let Some(hint) = words::hint(outcome) {
                log.line(&format!("==> {hint}"));
            }
        }
        self.close_log();
        self.tail = Tail::default();
    }
}

impl Observer for Reports {
    fn observe(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.directory.as_deref();
        match event {
            // Not before: a run that another one keeps from working must not touch that one's files.
            Event::ListRead { .. } => directory.into_iter().for_each(entry_log::prepare),
            Event::ImageProgress { what, bytes } => {
                if state.log.is_none() {
                    state.open_log(directory, entry_log::IMAGE_LOG);
                }
                if bytes.is_none() {
                    state.line(&format!("==> {what}"));
                }
            }
            Event::ImageReady { .. } => state.close_log(),
            Event::EntryStarted { number, total, name, .. } => {
                state.open_log(directory, &log_path(*number, *total, name));
            }
            Event::StepStarted { step } => state.line(&format!("==> step {step}")),
            Event::Output { line, .. } => state.line(line),
            Event::EntryFinished { outcome } => state.entry_finished(outcome),
            Event::RunFinished { outcome } => {
                state.close_log();
                self.write(outcome, &state.tails);
            }
            Event::RunStarted
            | Event::Warning { .. }
            | Event::Planned { .. }
            | Event::StepFinished { .. }
            | Event::Published { .. } => {}
        }
    }
}

impl Reports {
    fn write(&self, outcome: &RunOutcome, tails: &Tails) {
        if let Some(directory) = &self.directory {
            let write = |name: &str, contents: io::Result<String>| {
                let path = directory.join(name);
                let written = contents.and_then(|contents| write_aside(&path, contents.as_bytes()));
                warn(&path, written);
            };
            write("report.json", json::report(outcome).map_err(io::Error::other));
            write("junit.xml", junit::report(outcome, tails).map_err(io::Error::other));
        }
        if let Some(path) = &self.surroundings.step_summary {
            warn(path, github::append(path, &github::summary(outcome, tails)));
        }
        let path = &self.surroundings.termination_log;
        warn(path, termination::write(path, &termination::message(outcome)));
    }
}

/// Logs that a report could not be written.
fn warn(path: &Path, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("the report {} could not be written: {error}", path.display());
    }
}

/// Writes a file beside its place and renames it, so that nobody ever sees half of it. The directory is made
/// when it is not there. Who may read it is up to the process's umask.
fn write_aside(path: &Path, contents: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".report-").permissions(Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests;
