//! The message that Kubernetes keeps of a container that ended: `kubectl describe pod` shows it
//! (<https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use super::words;
use crate::outcome::{Ending, RunOutcome};
use crate::telemetry::{escape, shorten};

/// Where Kubernetes reads it, unless the Pod's `terminationMessagePath` says otherwise.
pub(super) const DEFAULT_PATH: &str = "/dev/termination-log";

/// The most bytes that Kubernetes keeps.
const LIMIT: usize = 4096;
/// The longest line, in bytes, so that one entry does not hide the others.
const MAX_LINE: usize = 400;

/// Writes the message where there is a file for it. Kubernetes mounts that file, so it is written in place.
pub(super) fn write(path: &Path, message: &str) -> io::Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    match OpenOptions::new().write(true).truncate(true).open(path) {
        Ok(mut file) => file.write_all(message.as_bytes()),
        // Not a report that somebody asked for: the file just happens to be there.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// The message: how the run ended, then what failed and what to do, as many lines as there is room for.
pub(super) fn message(outcome: &RunOutcome) -> String {
    let status = outcome.exit_status().code();
    let mut lines = vec![format!("exit status {status}: {}", words::run(outcome))];
    if let Ending::Failed { error } = &outcome.ending
        && !error.hint.is_empty()
    {
        lines.push(error.hint.clone());
    }
    for entry in outcome.entries.iter().filter(|entry| !entry.verdict.is_success()) {
        lines.push(match words::hint(entry) {
            Some(hint) => format!("{}; {hint}", words::entry(entry)),
            None => words::entry(entry),
        });
    }
    let mut message = String::new();
    let mut left = lines.len();
    for line in &lines {
        let more = format!("… and {left} more\n");
        let line = format!("{}\n", escape(&shorten(line, MAX_LINE)));
        let room = if left == 1 { LIMIT } else { LIMIT - more.len() };
        if message.len() + line.len() > room {
            message += &more;
            break;
        }
        message += &line;
        left -= 1;
    }
    message
}

#[cfg(test)]
mod tests;
