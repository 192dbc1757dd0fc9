//! The log of a build for package servers that keep logs.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tempfile::NamedTempFile;

use super::{Task, Workshop};
use crate::outcome::{EntryOutcome, Step, Verdict};
use crate::server::PackageServer;
use crate::server::vieter::BuildLog;

/// A log that is written while the build goes on, and sent when it has ended.
pub(super) struct ServerLog {
    target: i64,
    started: Timestamp,
    file: Mutex<NamedTempFile>,
}

impl ServerLog {
    /// A log for an entry that the server knows by a number, where the server keeps logs and the user wants
    /// them there.
    pub fn begin(workshop: &Workshop, task: &Task) -> Option<Self> {
        let PackageServer::Vieter(server) = &*workshop.server else { return None };
        let target = task.entry.target_id.filter(|_| workshop.upload_logs && server.keeps_logs())?;
        let file = tempfile::Builder::new().prefix("vieter-log-").tempfile().ok()?;
        Some(Self { target, started: Timestamp::now(), file: Mutex::new(file) })
    }

    /// Adds a line.
    pub fn line(&self, line: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written whole is sent as far as it goes.
        let _ = writeln!(file, "{line}");
    }

    /// Sends the log of an entry that was built, or was to be.
    pub async fn send(self, workshop: &Workshop, outcome: &EntryOutcome) {
        let PackageServer::Vieter(server) = &*workshop.server else { return };
        let exit_code = match &outcome.verdict {
            Verdict::Published => 0,
            Verdict::Failed { failure } => failure.exit_code.filter(|code| *code != 0).unwrap_or(1),
            _ => return,
        };
        if !outcome.steps.iter().any(|step| step.step == Step::Make || !step.ok) {
            return;
        }
        if let Verdict::Failed { failure } = &outcome.verdict {
            self.line(&failure.to_string());
        }
        let file = self.file.into_inner().unwrap_or_else(PoisonError::into_inner);
        let log = BuildLog {
            target: self.target,
            start: self.started.as_second(),
            end: Timestamp::now().as_second(),
            arch: workshop.engine.info.arch.clone(),
            exit_code,
            file: file.path().to_owned(),
        };
        if let Err(error) = server.send_log(&log).await {
            workshop.events.warn(format!("the log of {} is not on the server: {error}", outcome.name()));
        }
    }
}
