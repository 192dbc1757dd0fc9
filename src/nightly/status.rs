//! What the scheduler does, in a file, and what `vieter healthcheck` makes of it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{HEARTBEAT, Purpose};

/// A scheduler that has not written for this long hangs or is gone.
const SILENCE: Duration = Duration::from_secs(4 * HEARTBEAT.as_secs());
/// How long a run may take after its own deadline.
const GRACE: Duration = Duration::from_secs(300);
/// How long a run without a deadline may take before it counts as stuck.
const STUCK: Duration = Duration::from_secs(24 * 3600);

/// Where the status is when nobody says otherwise.
pub fn default_path() -> PathBuf {
    std::env::temp_dir().join("vieter-status.json")
}

/// How the last run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Its exit status.
    pub exit_status: i32,
}

/// What is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    beat: Timestamp,
    next: Option<Timestamp>,
    running_since: Option<Timestamp>,
    run_limit_seconds: u64,
    last: Option<Last>,
}

/// The status file of a scheduler.
pub struct Status {
    path: PathBuf,
    record: Record,
    /// Whether the last attempt to write it failed.
    failing: bool,
}

impl Status {
    /// For a scheduler whose runs may take so long.
    pub fn new(path: PathBuf, run_limit: Option<Duration>) -> Self {
        let limit = run_limit.map_or(STUCK, |limit| limit + GRACE);
        let last = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        let record = Record {
            beat: Timestamp::now(),
            next: None,
            running_since: None,
            run_limit_seconds: limit.as_secs(),
            last: last.and_then(|record| record.last),
        };
        Self { path, record, failing: false }
    }

    /// Notes for the first time when a run starts.
    ///
    /// # Errors
    /// When the file cannot be written: whoever has set things up is still there to mend it.
    pub fn begin(&mut self, next: Option<Timestamp>) -> io::Result<()> {
        self.record.next = next;
        self.write()
    }

    /// Notes that a run starts at that time.
    pub fn waiting(&mut self, next: Option<Timestamp>) {
        self.record.next = next;
        self.beat();
    }

    /// Notes that a run has started.
    pub fn running(&mut self) {
        self.record.next = None;
        self.record.running_since = Some(Timestamp::now());
        self.beat();
    }

    /// Notes how the run ended.
    pub fn finished(&mut self, exit_status: i32) {
        let finished = Timestamp::now();
        let started = self.record.running_since.take().unwrap_or(finished);
        self.record.last = Some(Last { started, finished, exit_status });
        self.beat();
    }

    /// Notes that the scheduler is alive. Packages are worth more than this file: where it cannot be
    /// written (a full disk), the scheduler goes on, and says so once.
    pub fn beat(&mut self) {
        let written = self.write();
        let failing = std::mem::replace(&mut self.failing, written.is_err());
        match (written, failing) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => tracing::info!("the status file can be written again"),
            (Err(error), false) => {
                tracing::warn!("{error}; the scheduler goes on, but its health check will find it silent");
            }
        }
    }

    fn write(&self) -> io::Result<()> {
        let record = Record { beat: Timestamp::now(), ..self.record.clone() };
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(&serde_json::to_vec(&record)?)?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().map_err(|error: io::Error| {
            let message = format!(
                "the status file {} cannot be written: {error}; set VIETER_STATUS_FILE to a file that this \
                 user can write",
                self.path.display()
            );
            io::Error::new(error.kind(), message)
        })
    }
}

/// What `vieter healthcheck` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether all is well.
    pub healthy: bool,
    /// What is the case, one line.
    pub message: String,
}

impl Health {
    /// Judges the status file at a time. Where no scheduler belongs, there is nothing that could be unwell; a
    /// status file there is that of another container's, on a volume that they share.
    pub fn judge(path: &Path, purpose: Purpose, now: Timestamp) -> Self {
        let well = |message: String| Self { healthy: true, message };
        let unwell = |message: String| Self { healthy: false, message };
        let name = path.display();
        if purpose == Purpose::OneRun {
            return well("this container is for one run, without a scheduler".into());
        }
        match std::fs::read(path) {
            Ok(text) => match serde_json::from_slice::<Record>(&text) {
                Ok(record) => record.judge(now),
                Err(error) => unwell(format!("{name} is damaged: {error}")),
            },
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                unwell(format!("cannot read {name}: {error}"))
            }
            Err(_) if purpose == Purpose::Scheduler => unwell(format!(
                "this container is for the scheduler, but its status file {name} is not there; give both the \
                 same VIETER_STATUS_FILE"
            )),
            Err(_) => well(format!("no scheduler was started here: there is no status file {name}")),
        }
    }
}

impl Record {
    fn judge(&self, now: Timestamp) -> Health {
        let since = |then: Timestamp| now.duration_since(then).max(SignedDuration::ZERO).unsigned_abs();
        let whole = |time: Duration| humantime::format_duration(Duration::from_secs(time.as_secs()));
        let last = match &self.last {
            None => "no run has ended yet".to_owned(),
            Some(last) => format!("the last run ended at {} with status {}", last.finished, last.exit_status),
        };
        let silent = since(self.beat);
        if silent > SILENCE {
            let message = format!("the scheduler has been silent for {}; {last}", whole(silent));
            return Health { healthy: false, message };
        }
        match (self.running_since, self.next) {
            (Some(start), _) => {
                let time = since(start);
                let healthy = time <= Duration::from_secs(self.run_limit_seconds);
                let state = if healthy { "has been going on" } else { "is stuck: it has been going on" };
                Health { healthy, message: format!("a run {state} for {}; {last}", whole(time)) }
            }
            (None, Some(next)) => {
                Health { healthy: true, message: format!("the next run is at {next}; {last}") }
            }
            (None, None) => Health { healthy: false, message: format!("no run is due; {last}") },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_after(seconds: i64, change: impl FnOnce(&mut Status)) -> Health {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("status.json");
        let mut status = Status::new(path.clone(), Some(Duration::from_secs(60)));
        change(&mut status);
        Health::judge(&path, Purpose::Unknown, Timestamp::now() + SignedDuration::from_secs(seconds))
    }

    #[test]
    fn a_scheduler_that_waits_is_healthy_and_a_silent_one_is_not() {
        let soon = Timestamp::now() + SignedDuration::from_hours(1);
        let wait = |status: &mut Status| status.begin(Some(soon)).expect("written");
        assert!(judge_after(10, wait).healthy);
        let silent = judge_after(200, wait);
        assert!(!silent.healthy && silent.message.contains("silent"), "{}", silent.message);
    }

    #[test]
    fn a_run_beyond_its_limit_is_stuck() {
        let run = |status: &mut Status| {
            status.running();
            status.record.running_since = Some(Timestamp::now() - SignedDuration::from_secs(400));
            status.beat();
        };
        let health = judge_after(0, run);
        assert!(!health.healthy && health.message.contains("stuck"), "{}", health.message);
    }

    #[test]
    fn the_last_status_is_told_and_does_not_make_it_unhealthy() {
        let health = judge_after(1, |status| {
            status.running();
            status.finished(1);
            status.waiting(Some(Timestamp::now()));
        });
        assert!(health.healthy && health.message.contains("with status 1"), "{}", health.message);
    }

    #[test]
    fn only_the_first_failure_to_write_is_fatal() {
        let directory = tempfile::tempdir().expect("a directory");
        let (here, away) = (directory.path().join("here"), directory.path().join("away"));
        let mut status = Status::new(here.join("status.json"), None);
        let error = status.begin(None).expect_err("there is no such directory");
        assert!(error.to_string().contains("VIETER_STATUS_FILE"), "{error}");
        std::fs::create_dir(&here).expect("made");
        status.begin(None).expect("written");
        std::fs::rename(&here, &away).expect("moved");
        status.running();
        status.finished(1);
        std::fs::rename(&away, &here).expect("moved back");
        status.waiting(Some(Timestamp::now()));
        let health = Health::judge(&here.join("status.json"), Purpose::Unknown, Timestamp::now());
        assert!(health.healthy && health.message.contains("with status 1"), "{}", health.message);
    }

    #[test]
    fn without_a_status_file_it_depends_on_what_the_container_is_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("status.json");
        let judge = |purpose| Health::judge(&path, purpose, Timestamp::now());
        assert!(judge(Purpose::OneRun).healthy && judge(Purpose::Unknown).healthy);
        let missing = judge(Purpose::Scheduler);
        assert!(!missing.healthy && missing.message.contains("is not there"), "{}", missing.message);
        std::fs::write(&path, "{").expect("written");
        assert!(!judge(Purpose::Scheduler).healthy && !judge(Purpose::Unknown).healthy);
        // It is not this container's.
        assert!(judge(Purpose::OneRun).healthy);
    }
}
