//! The nightly container: starts a run whenever it is time, one at a time, each a process of its own, so
//! that nothing leaks from night to night.

mod purpose;
mod schedule;
mod status;

use std::io;
use std::process::ExitStatus as ProcessStatus;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

pub use purpose::Purpose;
pub use schedule::{kept_or_earlier, next_start};
pub use status::{Health, Last, Status, default_path};

use crate::config::{Config, Nightly};
use crate::exit_status::ExitStatus;
use crate::outcome::Stop;
use crate::shutdown::Shutdown;

/// How often the status file is written anew, so that a scheduler that hangs is noticed.
pub const HEARTBEAT: Duration = Duration::from_secs(30);
/// The longest that a child may take to clean up after a signal, a little more than its own limit.
const CLEAN_UP: Duration = Duration::from_secs(15);
/// How long a child that may have had a signal already is left alone.
const MOMENT: Duration = Duration::from_secs(2);
/// The program that runs, also when its file was replaced by a newer one since, or removed.
const OURSELVES: &str = "/proc/self/exe";

/// Starts runs until it is told to stop.
pub struct Nights<'a> {
    settings: &'a Nightly,
    zone: TimeZone,
    status: Status,
}

/// When a run is to start, and how much of that is chance.
#[derive(Debug, Clone, Copy)]
struct Due {
    at: Timestamp,
    jitter: Duration,
}

impl<'a> Nights<'a> {
    /// A scheduler for these settings.
    ///
    /// # Errors
    /// When no zone is set but by `TZ`, and that one cannot be read.
    pub fn new(config: &'a Config) -> io::Result<Self> {
        let settings = &config.nightly;
        let zone = match &settings.timezone {
            Some(zone) => zone.0.clone(),
            None => system_zone()?,
        };
        let limit = config.build.run_timeout.limit();
        let path = settings.status_file.clone().unwrap_or_else(default_path);
        Ok(Self { settings, zone, status: Status::new(path, limit) })
    }

    /// Goes on until a signal comes. A run in progress is stopped and cleaned up then.
    ///
    /// # Errors
    /// When the status file cannot be written at the beginning.
    pub async fn keep(mut self, shutdown: &Shutdown) -> io::Result<ExitStatus> {
        let at_once = Due { at: Timestamp::now(), jitter: Duration::ZERO };
        let mut due = if self.settings.run_at_start.0 { Some(at_once) } else { self.next() };
        self.status.begin(due.map(|due| due.at))?;
        loop {
            let Some(start) = due else {
                tracing::error!("the schedule never comes true; nothing will ever be built");
                return Ok(ExitStatus::Usage);
            };
            tracing::info!("the next run starts at {}", self.local(start.at));
            tokio::select! {
                () = self.wait_until(start) => {}
                by = shutdown.stopped() => return Ok(by.into()),
            }
            match self.run(shutdown).await {
                Ok(None) => {}
                Ok(Some(by)) => return Ok(by.into()),
                Err(error) => {
                    tracing::error!("a run cannot be started or watched: {error}");
                    return Ok(ExitStatus::Unavailable);
                }
            }
            due = self.next();
            self.status.waiting(due.map(|due| due.at));
        }
    }

    fn next(&self) -> Option<Due> {
        let jitter = self.settings.jitter.0.mul_f64(fastrand::f64());
        let at = next_start(&self.settings.schedule.0, jitter, &self.zone, Timestamp::now())?;
        Some(Due { at, jitter })
    }

    fn local(&self, time: Timestamp) -> jiff::Zoned {
        time.to_zoned(self.zone.clone())
    }

    /// Sleeps in small pieces: clocks are set, and machines are suspended.
    async fn wait_until(&mut self, mut due: Due) {
        loop {
            let now = Timestamp::now();
            let at = kept_or_earlier(due.at, &self.settings.schedule.0, due.jitter, &self.zone, now);
            if at < due.at {
                tracing::info!("the clock was set back: the next run starts at {}", self.local(at));
                due.at = at;
                self.status.waiting(Some(at));
            }
            let left = Duration::try_from(due.at.duration_since(now)).unwrap_or_default();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(HEARTBEAT)).await;
            self.status.beat();
        }
    }

    /// One run, as a child process with our environment and output. Returns what stopped us, if anything.
    async fn run(&mut self, shutdown: &Shutdown) -> io::Result<Option<Stop>> {
        // A process group of its own: Ctrl-C on a terminal is for us alone, and the run hears of it from us,
        // once. Two signals would end it before it has cleaned up.
        let mut child = Command::new(OURSELVES).arg0("vieter").arg("build").process_group(0).spawn()?;
        self.status.running();
        let (ended, stopped) = loop {
            tokio::select! {
                ended = child.wait() => break (ended, None),
                () = tokio::time::sleep(HEARTBEAT) => self.status.beat(),
                by = shutdown.stopped() => break (stop(&mut child, patience(by)).await, Some(by)),
            }
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Whatever becomes of us, nothing goes on unwatched.
                let _ = stop(&mut child, Duration::ZERO).await;
                return Err(error);
            }
        };
        let code = code_of(ended);
        self.status.finished(code);
        tracing::info!(exit_status = code, "the run has ended");
        Ok(stopped)
    }
}

/// The zone of `TZ`, else that of this machine, else UTC.
fn system_zone() -> io::Result<TimeZone> {
    match (TimeZone::try_system(), std::env::var_os("TZ")) {
        (Ok(zone), _) => Ok(zone),
        // A container rarely has a zone of its own.
        (Err(_), None) => Ok(TimeZone::UTC),
        (Err(_), Some(name)) => {
            let name = name.to_string_lossy();
            let message = format!(
                "TZ is `{name}`, which is no time zone; correct it, or set VIETER_TIMEZONE to a name such as \
                 Europe/Brussels"
            );
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }
}

/// The exit status as a shell shows it.
fn code_of(status: ProcessStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// How long to see whether the run ends by itself before it is told to. systemd signals every process of a
/// service unless it has `KillMode=mixed` (and sets this variable for each).
fn patience(by: Stop) -> Duration {
    let by_systemd = by == Stop::Terminated && std::env::var_os("INVOCATION_ID").is_some();
    if by_systemd { MOMENT } else { Duration::ZERO }
}

/// Waits a while for the end of a run, then asks it to stop and waits until it has cleaned up.
async fn stop(child: &mut Child, patience: Duration) -> io::Result<ProcessStatus> {
    if let Ok(ended) = tokio::time::timeout(patience, child.wait()).await {
        return ended;
    }
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended in this moment.
        let _ = kill_process(pid, Signal::TERM);
    }
    if let Ok(ended) = tokio::time::timeout(CLEAN_UP, child.wait()).await {
        return ended;
    }
    tracing::warn!("the run does not stop; it is killed");
    if let Some(pid) = pid {
        // With what it has started, Git for one.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    child.wait().await
}
