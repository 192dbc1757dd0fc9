//! What became of each repository entry and of the run. Logs, spans, reports and the exit status are
//! all made from these values.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// The five steps of one repository entry, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Fetch the Git repository and send it into the container.
    Clone,
    /// Bring `pkgver` up to date.
    Version,
    /// Ask the package server whether it has every package.
    Check,
    /// Install the dependencies and run makepkg.
    Make,
    /// Check the archives and upload them.
    Publish,
}

impl Step {
    /// The step's name in logs, spans and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Version => "version",
            Self::Check => "check",
            Self::Make => "make",
            Self::Publish => "publish",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kinds of failure: few and stable, so that dashboards can count them (`error.type` of spans).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The entry of the list itself is malformed.
    BadEntry,
    /// The Git repository cannot be fetched, or lacks the branch or path.
    Clone,
    /// makepkg cannot read the PKGBUILD.
    Pkgbuild,
    /// Sources cannot be downloaded or do not match, or `pkgver()` failed.
    Version,
    /// A dependency cannot be found or installed.
    Dependency,
    /// makepkg failed.
    Build,
    /// The entry's time ran out.
    Timeout,
    /// Nothing was printed for too long.
    NoOutput,
    /// The memory limit was reached.
    OutOfMemory,
    /// What came out of the container is not what was promised.
    Refused,
    /// The package server did not take a package, or does not show it.
    Publish,
    /// The package server cannot be asked.
    Server,
    /// Docker failed.
    Docker,
    /// The run was stopped in the middle of the entry.
    Stopped,
}

impl FailureKind {
    /// The name in `error.type` and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadEntry => "bad_entry",
            Self::Clone => "clone",
            Self::Pkgbuild => "pkgbuild",
            Self::Version => "version",
            Self::Dependency => "dependency",
            Self::Build => "build",
            Self::Timeout => "timeout",
            Self::NoOutput => "no_output",
            Self::OutOfMemory => "out_of_memory",
            Self::Refused => "refused",
            Self::Publish => "publish",
            Self::Server => "server",
            Self::Docker => "docker",
            Self::Stopped => "stopped",
        }
    }
}

/// Why one entry failed: what failed and why, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which kind of trouble.
    pub kind: FailureKind,
    /// The step it happened in; none before the first.
    pub step: Option<Step>,
    /// What failed and why, one sentence, for people.
    pub message: String,
    /// What to do, one sentence; empty when the message says it all.
    pub hint: String,
    /// The exit code of the command that failed, where one did.
    pub exit_code: Option<i64>,
}

impl Failure {
    /// A failure without step, hint and exit code.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, step: None, message: message.into(), hint: String::new(), exit_code: None }
    }

    /// The same with advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same with the step in which it happened, unless one is known already.
    pub fn at(mut self, step: Step) -> Self {
        self.step.get_or_insert(step);
        self
    }

    /// The same with the exit code of the command that failed.
    pub fn exit_code(mut self, code: i64) -> Self {
        self.exit_code = Some(code);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// One package that is on the package server because of this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The package's name.
    pub name: String,
    /// Its full version.
    pub version: String,
    /// Its architecture.
    pub arch: String,
    /// The archive's file name.
    pub file: String,
    /// The archive's size in bytes.
    pub bytes: u64,
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Verdict {
    /// Built and published.
    Published,
    /// The package server has every package of this version.
    UpToDate,
    /// Not for this run: another architecture, another shard, ignored.
    Skipped {
        /// Why.
        reason: String,
    },
    /// Not built because an entry it depends on failed.
    Blocked {
        /// The package bases that failed.
        by: Vec<String>,
    },
    /// Failed.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// The run ended before its turn.
    NotReached,
}

impl Verdict {
    /// The name in logs, spans and reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::UpToDate => "up_to_date",
            Self::Skipped { .. } => "skipped",
            Self::Blocked { .. } => "blocked",
            Self::Failed { .. } => "failed",
            Self::NotReached => "not_reached",
        }
    }

    /// Whether the entry is as it should be after a run.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Published | Self::UpToDate | Self::Skipped { .. })
    }
}

/// How one step went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepRecord {
    /// Which step.
    pub step: Step,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    #[serde(rename = "seconds")]
    pub duration: Duration,
    /// Whether it succeeded.
    pub ok: bool,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// What became of one entry, with all that is known of it.
#[derive(Debug, Clone, Serialize)]
pub struct EntryOutcome {
    /// The Git repository, without credentials, and its branch and path where given.
    pub entry: String,
    /// The pacman repository to publish to.
    pub repo: String,
    /// The package base, where it is known.
    pub pkgbase: Option<String>,
    /// The full version that was found or built, where it is known.
    pub version: Option<String>,
    /// Why it was built or looked into.
    pub reason: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Packages that are on the server because of this entry: also when it failed half-way.
    pub published: Vec<Published>,
    /// The steps that ran.
    pub steps: Vec<StepRecord>,
    /// How long it took in all.
    #[serde(serialize_with = "seconds")]
    #[serde(rename = "seconds")]
    pub duration: Duration,
    /// The file with its whole log, relative to the report directory.
    pub log: Option<String>,
}

impl EntryOutcome {
    /// That of an entry of which nothing else is known.
    pub fn new(entry: String, repo: String, verdict: Verdict) -> Self {
        Self {
            entry,
            repo,
            pkgbase: None,
            version: None,
            reason: None,
            verdict,
            published: Vec::new(),
            steps: Vec::new(),
            duration: Duration::ZERO,
            log: None,
        }
    }

    /// The package base, or the repository where that is not known.
    pub fn name(&self) -> &str {
        self.pkgbase.as_deref().unwrap_or(&self.entry)
    }
}

/// Why the run could not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunError {
    /// What could not be had.
    pub kind: RunErrorKind,
    /// What failed and why, for people.
    pub message: String,
    /// What to do, one sentence.
    pub hint: String,
}

/// What the run lacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunErrorKind {
    /// The Docker daemon.
    Docker,
    /// The base image, or the builder image made from it.
    Image,
    /// The list of repository entries.
    List,
    /// A setting that can be used, such as the place of the lock file.
    Configuration,
    /// The lock: another run holds it.
    Locked,
    /// Correctness of this program.
    Internal,
}

impl RunError {
    /// A run error.
    pub fn new(kind: RunErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for RunError {}

/// What stopped a run before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// The run's deadline.
    Deadline,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "interrupted (SIGINT)",
            Self::Terminated => "terminated (SIGTERM)",
            Self::Deadline => "the run's deadline (VIETER_RUN_TIMEOUT) passed",
        })
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum Ending {
    /// It went through its whole list.
    Finished,
    /// It was stopped.
    Stopped {
        /// By what.
        by: Stop,
    },
    /// It could not go on.
    Failed {
        /// Why.
        error: RunError,
    },
}

/// One execution of `vieter build`.
#[derive(Debug, Clone, Serialize)]
pub struct RunOutcome {
    /// The run's id.
    pub run_id: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
    /// What became of each entry, in the order of the plan.
    pub entries: Vec<EntryOutcome>,
}

impl RunOutcome {
    /// How many entries have the verdict of this name.
    pub fn count(&self, verdict: &str) -> usize {
        self.entries.iter().filter(|e| e.verdict.as_str() == verdict).count()
    }
}
