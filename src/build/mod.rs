//! Stage 2: one repository entry in a fresh container, in five steps.

mod archive;
mod check;
mod clone;
mod dependencies;
mod freshen;
pub mod log;
mod make;
mod makepkg;
mod publish;
mod record;
mod room;
mod server_log;
mod session;
mod srcinfo;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument as _;

pub(crate) use check::server_failure;

pub use archive::{ArchiveFacts, inspect};
pub use makepkg::parse_package_file;
pub use record::Begun;
pub use room::Room;

use crate::catalog::git::Seen;
use crate::catalog::pkgbuild::Facts;
use crate::catalog::{Entry, Fetches};
use crate::config::{Build as Settings, Selection};
use crate::engine::Engine;
use crate::event::{Event, Events};
use crate::image::BuilderImages;
use crate::outcome::{EntryOutcome, Failure, FailureKind, Step, Verdict};
use crate::plan::Need;
use crate::report::log_path;
use crate::server::PackageServer;
use crate::server::repo_add::RepoAdd;
use crate::telemetry;
use session::Session;

/// The longest that a container may live where no limit is set.
const ONE_DAY: Duration = Duration::from_secs(24 * 3600);

/// What all entries of a run are built with.
pub struct Workshop {
    /// The Docker daemon.
    pub engine: Arc<Engine>,
    /// The image of the containers.
    pub images: Arc<BuilderImages>,
    /// Where packages are looked up and published.
    pub server: Arc<PackageServer>,
    /// What is fetched with Git.
    pub fetches: Fetches,
    /// Adds packages to a static repository.
    pub repo_add: RepoAdd,
    /// The network of the build containers, or Docker's default.
    pub network: Option<String>,
    /// Limits and options.
    pub settings: Settings,
    /// Whether build logs are sent to servers that keep them.
    pub upload_logs: bool,
    /// What the user wants to be built.
    pub selection: Selection,
    /// Where everything that happens is told.
    pub events: Events,
    /// What has become of the entry that is being built.
    pub begun: Begun,
}

/// One entry to be built, or to be looked into.
pub struct Task {
    /// The entry.
    pub entry: Arc<Entry>,
    /// The package base, where it is known already.
    pub pkgbase: Option<String>,
    /// Its place among those to do, from 1.
    pub number: usize,
    /// How many there are to do.
    pub total: usize,
    /// Why it is built or looked into.
    pub reason: String,
    /// Whether it is built whatever the package server has; else the steps up to the check decide.
    pub decided: bool,
    /// What it makes, where that is certain.
    pub facts: Option<Arc<Facts>>,
    /// The tip of its branch, as the plan saw it.
    pub seen: Option<Seen>,
    /// Entries that it needs and that failed: if what they make cannot be had, that is why.
    pub suspects: Vec<Need>,
}

impl Workshop {
    /// Builds one entry and publishes its packages, in the container that was prepared for it, if there is one.
    /// Whatever happens is in the outcome.
    pub async fn build(&self, task: &Task, room: Option<Room>) -> EntryOutcome {
        let started = Instant::now();
        let entry = task.entry.to_string();
        let span = telemetry::entry_span(&entry, &task.entry.repo, task.pkgbase.as_deref());
        let work = async {
            telemetry::source(
                &tracing::Span::current(),
                &task.entry.url.to_string(),
                task.entry.branch.as_deref(),
                task.seen.as_ref().map(|seen| seen.commit.as_str()),
            );
            let name = task.pkgbase.clone().unwrap_or_else(|| entry.clone());
            let log = log_path(task.number, task.total, &name);
            self.events.emit(Event::EntryStarted {
                number: task.number,
                total: task.total,
                name,
                reason: task.reason.clone(),
            });
            let session = Session::new(self, task, room);
            let begun = begun(task, log);
            self.begun.goes_on(begun.clone(), session.shared_record());
            let limit = self.settings.build_timeout.limit().unwrap_or(ONE_DAY);
            let result = match tokio::time::timeout(limit, session.run()).await {
                Ok(result) => result,
                Err(_) => Err(out_of_time(limit)),
            };
            session.close();
            let (record, server_log) = session.into_parts();
            let outcome = EntryOutcome { duration: started.elapsed(), ..record.conclude(begun, result) };
            self.begun.has_ended(outcome.clone());
            telemetry::finish_entry(&tracing::Span::current(), &outcome);
            self.events.emit(Event::EntryFinished { outcome: Arc::new(outcome.clone()) });
            if let Some(log) = server_log {
                log.send(self, &outcome).await;
            }
            outcome
        };
        work.instrument(span).await
    }
}

/// The outcome of an entry of which nothing is known yet but that it was begun.
fn begun(task: &Task, log: String) -> EntryOutcome {
    EntryOutcome {
        pkgbase: task.pkgbase.clone(),
        reason: Some(task.reason.clone()),
        log: Some(log),
        ..EntryOutcome::new(task.entry.to_string(), task.entry.repo.clone(), Verdict::NotReached)
    }
}

fn out_of_time(limit: Duration) -> Failure {
    let limit = humantime::format_duration(limit);
    Failure::new(FailureKind::Timeout, format!("the build was stopped after {limit}"))
        .hint("raise VIETER_BUILD_TIMEOUT if it needs longer")
}

/// The result of one step.
type StepResult<T> = Result<T, Failure>;

/// The step that an entry is in; none before the first.
type CurrentStep = Option<Step>;
