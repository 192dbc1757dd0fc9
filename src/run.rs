//! One run, from top to bottom: lock, list, plan, builder image, entries, clean-up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tracing::Instrument as _;

use crate::build::{Begun, Room, Task, Workshop};
use crate::catalog::Fetches;
use crate::config::{Config, ServerAddress};
use crate::done::{Course, Done};
use crate::engine::{self, Engine, EngineError};
use crate::event::{Event, Events};
use crate::image::BuilderImages;
use crate::lock::Lock;
use crate::outcome::{Ending, EntryOutcome, RunError, RunErrorKind, RunOutcome, Verdict};
use crate::plan::{Decision, Plan, Planned, Reason};
use crate::server::directory::Directory;
use crate::server::repo_add::RepoAdd;
use crate::server::vieter::Vieter;
use crate::server::{List, PackageServer};
use crate::shutdown::Shutdown;
use crate::sources;
use crate::survey::Surveyor;
use crate::telemetry;

/// How long cleaning up may take after a signal: `docker stop` waits 10 s before it kills.
const CLEAN_UP: Duration = Duration::from_secs(8);
/// How long the trusted container of a static repository lives at most.
const REPO_ADD_LIFETIME: Duration = Duration::from_secs(48 * 3600);

/// What a run has come to so far. It outlives whatever is stopped in the middle.
#[derive(Default)]
struct Progress {
    engine: Option<Arc<Engine>>,
    entries: Vec<EntryOutcome>,
    plan: VecDeque<Planned>,
    /// The first of the plan, while it is being built.
    begun: Begun,
}

/// One run of `vieter build`.
pub struct Run<'a> {
    config: &'a Config,
    events: &'a Events,
    run_id: &'a str,
    progress: Mutex<Progress>,
}

impl<'a> Run<'a> {
    /// A run that is yet to begin.
    pub fn new(config: &'a Config, events: &'a Events, run_id: &'a str) -> Self {
        Self { config, events, run_id, progress: Mutex::default() }
    }

    /// Builds what is new. Whatever happens is in the outcome, and nothing of the run is left on the
    /// Docker daemon.
    pub async fn build(self, shutdown: &Shutdown) -> RunOutcome {
        let started = Timestamp::now();
        self.events.emit(Event::RunStarted);
        self.config.warnings.iter().for_each(|warning| self.events.warn(warning));
        let ending = tokio::select! {
            result = self.work() => match result {
                Ok(()) => Ending::Finished,
                Err(error) => Ending::Failed { error },
            },
            by = shutdown.stopped() => Ending::Stopped { by },
        };
        self.clean_up().await;
        self.note_what_was_begun();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = std::mem::take(&mut progress.entries);
        entries.extend(progress.plan.drain(..).map(not_reached));
        let finished = Timestamp::now();
        let outcome = RunOutcome { run_id: self.run_id.to_owned(), started, finished, ending, entries };
        self.events.emit(Event::RunFinished { outcome: Arc::new(outcome.clone()) });
        outcome
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(&self) -> Result<(), RunError> {
        let _lock = Lock::take(self.config)?;
        let engine = self.connect().await?;
        let server = Arc::new(open_server(self.config)?);
        let plan = self.make_plan(&engine, &server).await?;
        let total = plan.to_do();
        self.progress().plan = plan.entries.into();
        if total == 0 {
            self.conclude_rest();
            return Ok(());
        }
        self.remove_left_overs(&engine).await;
        let workshop = self.workshop(engine, server).await?;
        // Beside the builds, so that it is done also when this run is stopped; what they use is left alone.
        let kept = workshop.engine.source_volumes().await;
        let prune =
            async { sources::prune(kept?, &workshop.engine, &workshop.images, &workshop.settings).await };
        let (pruned, ()) = tokio::join!(prune, self.build_all(&workshop, total));
        if let Err(error) = pruned {
            self.events.warn(format!("{error}; kept sources are not pruned"));
        }
        Ok(())
    }

    /// What `vieter plan` shows: looks at everything, and changes nothing.
    ///
    /// # Errors
    /// When Docker or the list cannot be had.
    pub async fn plan(self) -> Result<Plan, RunError> {
        self.config.warnings.iter().for_each(|warning| self.events.warn(warning));
        let engine = self.connect().await?;
        let server = open_server(self.config)?;
        self.make_plan(&engine, &server).await
    }

    async fn make_plan(&self, engine: &Engine, server: &PackageServer) -> Result<Plan, RunError> {
        let look = async {
            let list = read_list(self.config, server, self.events).await?;
            let surveyor = Surveyor::new(self.config, server, &engine.info.arch, self.events);
            let plan = surveyor.plan(list).await;
            for cycle in &plan.cycles {
                let names = cycle.join(", ");
                self.events.warn(format!("{names} need each other; they are built in the list's order"));
            }
            let count = |wanted: fn(&Decision) -> bool| {
                plan.entries.iter().filter(|planned| wanted(&planned.decision)).count()
            };
            self.events.emit(Event::Planned {
                to_do: plan.to_do(),
                up_to_date: count(|d| matches!(d, Decision::UpToDate)),
                skipped: count(|d| matches!(d, Decision::Skip(_))),
            });
            Ok(plan)
        };
        look.instrument(telemetry::plan_span()).await
    }

    async fn connect(&self) -> Result<Arc<Engine>, RunError> {
        let wait = self.config.docker.docker_wait.0;
        let waiting = |error: &EngineError| self.events.warn(format!("{error}; waiting for it"));
        let engine = engine::connect(self.run_id, wait, waiting).await.map_err(|error| {
            let hint = "is Docker running, DOCKER_HOST right, and may this user use its socket?";
            RunError::new(RunErrorKind::Docker, error.to_string(), hint)
        })?;
        self.progress().engine = Some(Arc::clone(&engine));
        Ok(engine)
    }

    async fn workshop(&self, engine: Arc<Engine>, server: Arc<PackageServer>) -> Result<Workshop, RunError> {
        let span = telemetry::image_span();
        let network = self.config.docker.network.clone();
        let work = async {
            let prepared = BuilderImages::prepare(
                Arc::clone(&engine),
                self.config.image.clone(),
                network.clone(),
                self.events.clone(),
            )
            .await;
            match &prepared {
                Ok(_) => telemetry::succeed(&tracing::Span::current()),
                Err(error) => telemetry::fail(&tracing::Span::current(), "image", &error.message),
            }
            prepared
        };
        let images = work.instrument(span).await.map(Arc::new)?;
        let lifetime = self.config.build.run_timeout.limit().unwrap_or(REPO_ADD_LIFETIME);
        Ok(Workshop {
            fetches: Fetches::new(self.config.server.http_attempts.0),
            repo_add: RepoAdd::new(Arc::clone(&images), lifetime),
            engine,
            images,
            server,
            network,
            settings: self.config.build.clone(),
            upload_logs: self.config.server.upload_logs.0,
            selection: self.config.selection.clone(),
            events: self.events.clone(),
            begun: self.progress().begun.clone(),
        })
    }

    /// Goes through the plan in order. An entry leaves the plan when its outcome is known.
    async fn build_all(&self, workshop: &Workshop, total: usize) {
        let mut number = 0;
        let mut done = Done::default();
        let mut room = None;
        loop {
            let next = self.progress().plan.front().cloned();
            let Some(planned) = next else { break };
            let course = done.course(&planned, self.config.selection.rebuild_dependents.0);
            let outcome = match (&planned.entry, course) {
                (Some(entry), Some(Course { decided, reason })) => {
                    number += 1;
                    let task = Task {
                        entry: Arc::clone(entry),
                        pkgbase: planned.pkgbase.clone(),
                        number,
                        total: total.max(number),
                        reason,
                        decided,
                        facts: planned.facts_for_build().filter(|_| decided),
                        seen: planned.seen.clone(),
                        suspects: done.suspects(&planned, workshop).await,
                    };
                    let (outcome, next) =
                        tokio::join!(workshop.build(&task, room.take()), self.prepare_next(workshop));
                    room = next;
                    outcome
                }
                _ => self.conclude(&planned),
            };
            let failed = !outcome.verdict.is_success();
            done.note(&planned, &outcome);
            let mut progress = self.progress();
            progress.begun.take();
            progress.plan.pop_front();
            progress.entries.push(outcome);
            if failed && self.config.selection.fail_fast.0 {
                break;
            }
        }
        if let Some(unused) = room {
            unused.discard();
        }
    }

    /// A container for the entry after the one that is being worked on, if it needs one.
    async fn prepare_next(&self, workshop: &Workshop) -> Option<Room> {
        let next = self.progress().plan.iter().skip(1).find(|p| p.decision.needs_container()).cloned()?;
        let is_certain = matches!(next.decision, Decision::Build(_)) && next.facts_for_build().is_some();
        workshop.prepare(next.entry.as_ref()?, is_certain).await
    }

    /// Concludes what is left of the plan, none of which needs a container.
    fn conclude_rest(&self) {
        let plan = std::mem::take(&mut self.progress().plan);
        let outcomes: Vec<EntryOutcome> = plan.iter().map(|planned| self.conclude(planned)).collect();
        self.progress().entries.extend(outcomes);
    }

    /// The outcome of an entry that needs no container.
    fn conclude(&self, planned: &Planned) -> EntryOutcome {
        let verdict = match &planned.decision {
            Decision::UpToDate | Decision::Build(Reason::DependencyRebuilt(_)) => Verdict::UpToDate,
            Decision::Skip(reason) => Verdict::Skipped { reason: reason.clone() },
            Decision::Failed(failure) => Verdict::Failed { failure: failure.clone() },
            Decision::Build(_) | Decision::LookInside(_) => Verdict::NotReached,
        };
        self.announced(outcome_of(planned, verdict))
    }

    /// The entry in the middle of which the run was stopped is not one that was not reached.
    fn note_what_was_begun(&self) {
        let Some((outcome, was_stopped)) = self.progress().begun.take() else { return };
        let outcome = if was_stopped { self.announced(outcome) } else { outcome };
        let mut progress = self.progress();
        progress.plan.pop_front();
        progress.entries.push(outcome);
    }

    fn announced(&self, outcome: EntryOutcome) -> EntryOutcome {
        self.events.emit(Event::EntryFinished { outcome: Arc::new(outcome.clone()) });
        outcome
    }

    async fn remove_left_overs(&self, engine: &Engine) {
        match engine.remove_expired(Timestamp::now()).await {
            Ok(0) => {}
            Ok(count) => self.events.warn(format!("removed {count} containers that an earlier run left")),
            Err(error) => self.events.warn(error.to_string()),
        }
    }

    async fn clean_up(&self) {
        let Some(engine) = self.progress().engine.clone() else { return };
        match tokio::time::timeout(CLEAN_UP, engine.remove_all()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.events.warn(format!("{error}; a later run will remove it")),
            Err(_) => self.events.warn("Docker does not remove containers in time; a later run will"),
        }
    }
}

fn not_reached(planned: Planned) -> EntryOutcome {
    outcome_of(&planned, Verdict::NotReached)
}

fn outcome_of(planned: &Planned, verdict: Verdict) -> EntryOutcome {
    let repo = planned.entry.as_ref().map(|entry| entry.repo.clone()).unwrap_or_default();
    EntryOutcome {
        pkgbase: planned.pkgbase.clone(),
        version: planned.version(),
        ..EntryOutcome::new(planned.name.clone(), repo, verdict)
    }
}

/// The package server that the configuration names.
pub(crate) fn open_server(config: &Config) -> Result<PackageServer, RunError> {
    let settings = &config.server;
    match (&settings.address, &settings.api_key) {
        (ServerAddress::Directory(root), _) => Ok(PackageServer::Directory(Directory::new(root.clone()))),
        (ServerAddress::Http(url), Some(key)) => {
            let (timeout, attempts) = (settings.http_timeout.0, settings.http_attempts.0);
            let server = Vieter::new(url, key.clone(), timeout, attempts).map_err(|error| {
                let message = format!("the HTTP client cannot be made: {error:#}");
                RunError::new(RunErrorKind::List, message, "check the CA certificates of this machine")
            })?;
            Ok(PackageServer::Vieter(server))
        }
        (ServerAddress::Http(_), None) => {
            let message = "there is no API key, although the configuration was checked for one";
            Err(RunError::new(RunErrorKind::Internal, message, ""))
        }
    }
}

/// The list: from the file where one is named, else from the server.
pub(crate) async fn read_list(
    config: &Config,
    server: &PackageServer,
    events: &Events,
) -> Result<List, RunError> {
    let (list, from) = match (&config.server.repos_file, server) {
        (Some(path), _) => {
            let failed = |why: String| {
                let message = format!("the list {} {why}", path.display());
                RunError::new(RunErrorKind::List, message, "correct VIETER_REPOS_FILE or the file")
            };
            let text = tokio::fs::read_to_string(path).await;
            let text = text.map_err(|error| failed(format!("cannot be read: {error}")))?;
            (crate::catalog::parse_file(&text).map_err(failed)?, path.display().to_string())
        }
        (None, PackageServer::Vieter(server)) => {
            let list = server.list().await.map_err(|error| {
                let message = format!("the list cannot be had: {error}");
                RunError::new(RunErrorKind::List, message, error.hint())
            })?;
            (list, server.address().to_owned())
        }
        (None, PackageServer::Directory(_)) => {
            let message = "there is no list, although the configuration was checked for one";
            return Err(RunError::new(RunErrorKind::Internal, message, ""));
        }
    };
    events.emit(Event::ListRead { entries: list.len(), from });
    Ok(list)
}

/// Where the list comes from.
pub(crate) fn list_source(config: &Config) -> String {
    match &config.server.repos_file {
        Some(path) => path.display().to_string(),
        None => config.server.address.to_string(),
    }
}
