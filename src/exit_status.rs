//! The exit status: the contract with whoever started the program (`docs/exit-status.md`).
//!
//! The numbers follow `sysexits.h` (64, 69, 70, 75), `timeout(1)` (124) and the shells' 128 + signal.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::outcome::{Ending, RunErrorKind, RunOutcome, Stop};

/// Why the program ended, as a number that a scheduler can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Every entry is built and published, up to date, or skipped for a stated reason.
    Success = 0,
    /// The run finished, and at least one entry failed to be cloned, built or published.
    SomeFailed = 1,
    /// Bad configuration or usage; nothing was done.
    Usage = 64,
    /// Docker, the package server's list or the base image could not be had.
    Unavailable = 69,
    /// A bug in this program.
    Internal = 70,
    /// Another run holds the lock; nothing was done.
    Locked = 75,
    /// The run's deadline passed; what was in progress was stopped and cleaned up.
    Deadline = 124,
    /// SIGINT: stopped and cleaned up.
    Interrupted = 130,
    /// SIGTERM: stopped and cleaned up.
    Terminated = 143,
}

impl ExitStatus {
    /// The number itself.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// What `work` comes to. A panic in it is a bug of this program: the status says so, and the log asks for a
/// report. Nothing that `work` has touched may be relied on afterwards.
pub fn of(work: impl FnOnce() -> ExitStatus) -> ExitStatus {
    // What went wrong, the panic hook has said by now.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        const MESSAGE: &str = "the program ended by an internal error";
        const HINT: &str = "report it, with the lines of the log before this one";
        if tracing::dispatcher::has_been_set() {
            tracing::error!(exit_status = ExitStatus::Internal.code(), hint = HINT, "{MESSAGE}");
        } else {
            eprintln!("vieter: {MESSAGE}; {HINT}");
        }
        ExitStatus::Internal
    })
}

impl RunOutcome {
    /// The exit status that follows.
    pub fn exit_status(&self) -> ExitStatus {
        match &self.ending {
            Ending::Stopped { by } => (*by).into(),
            Ending::Failed { error } => error.kind.into(),
            Ending::Finished if self.entries.iter().all(|e| e.verdict.is_success()) => ExitStatus::Success,
            Ending::Finished => ExitStatus::SomeFailed,
        }
    }
}

impl From<Stop> for ExitStatus {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Interrupted => Self::Interrupted,
            Stop::Terminated => Self::Terminated,
            Stop::Deadline => Self::Deadline,
        }
    }
}

impl From<RunErrorKind> for ExitStatus {
    fn from(kind: RunErrorKind) -> Self {
        match kind {
            RunErrorKind::Docker | RunErrorKind::Image | RunErrorKind::List => Self::Unavailable,
            RunErrorKind::Configuration => Self::Usage,
            RunErrorKind::Locked => Self::Locked,
            RunErrorKind::Internal => Self::Internal,
        }
    }
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
