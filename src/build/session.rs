//! One entry on its way through the five steps: what is known so far, and how commands are run for it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tracing::Instrument as _;

use super::check::Checked;
use super::log::{Budget, Fate, printable};
use super::record::{Record, SharedRecord};
use super::room::Room;
use super::server_log::ServerLog;
use super::{CurrentStep, StepResult, Task, Workshop};
use crate::catalog::pkgbuild::Facts;
use crate::engine::{Container, EngineError, Exec, SourceVolume};
use crate::event::Event;
use crate::image::BUILD_HOME;
use crate::outcome::{Failure, FailureKind, Step, StepRecord, Verdict};
use crate::plan::Need;
use crate::plan::relation::Relation;
use crate::telemetry;

/// Whom a command in the container runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// The build user: PKGBUILD code runs.
    Builder,
    /// Root: pacman runs.
    Root,
}

pub(super) struct Session<'a> {
    pub workshop: &'a Workshop,
    pub task: &'a Task,
    container: OnceCell<Container>,
    /// The volume that keeps the sources of the entry, if they are kept.
    sources: Option<SourceVolume>,
    /// The entry's span.
    pub span: tracing::Span,
    record: SharedRecord,
    log: Mutex<Budget>,
    server_log: Option<ServerLog>,
}

impl<'a> Session<'a> {
    pub fn new(workshop: &'a Workshop, task: &'a Task, room: Option<Room>) -> Self {
        let sources = workshop.sources_of(&task.entry, task.facts.is_some());
        let container = room.and_then(|room| room.for_sources(sources.as_ref()));
        Self {
            workshop,
            task,
            container: OnceCell::new_with(container),
            sources,
            span: tracing::Span::current(),
            record: Arc::new(Mutex::new(Record { facts: task.facts.clone(), ..Record::default() })),
            log: Mutex::new(Budget::new(workshop.settings.log_limit.limit())),
            server_log: ServerLog::begin(workshop, task),
        }
    }

    /// Goes through the steps, as far as they are needed.
    pub async fn run(&self) -> StepResult<Verdict> {
        let directory = self.step(Step::Clone, self.clone_step()).await?;
        if self.facts().is_none() {
            let version = async {
                let unwanted = self.unwanted(&directory).await?;
                if unwanted.is_none() {
                    self.version_step(&directory).await?;
                }
                Ok(unwanted)
            };
            if let Some(verdict) = self.step(Step::Version, version).await? {
                return Ok(verdict);
            }
        }
        let promises = match self.step(Step::Check, self.check_step(&directory)).await? {
            Checked::Build(promises) => promises,
            Checked::Enough(verdict) => return Ok(verdict),
        };
        self.step(Step::Make, self.make_step(&directory, &promises)).await?;
        self.step(Step::Publish, self.publish_step(&promises)).await?;
        Ok(Verdict::Published)
    }

    /// Removes the container, in the background.
    pub fn close(&self) {
        if let Some(container) = self.container.get() {
            container.discard();
        }
    }

    pub fn into_parts(self) -> (Record, Option<ServerLog>) {
        let record = std::mem::take(&mut *self.record());
        (record, self.server_log)
    }

    /// What is known so far, to be looked at by others.
    pub fn shared_record(&self) -> SharedRecord {
        Arc::clone(&self.record)
    }

    /// What the entry makes, where that is certain.
    pub fn facts(&self) -> Option<Arc<Facts>> {
        self.record().facts.clone()
    }

    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn step<T>(&self, step: Step, work: impl Future<Output = StepResult<T>>) -> StepResult<T> {
        let span = telemetry::step_span(step);
        let started = Instant::now();
        self.record().current_step = Some(step);
        let result = async {
            self.workshop.events.emit(Event::StepStarted { step });
            let result = work.await.map_err(|failure| failure.at(step));
            telemetry::finish_step(&tracing::Span::current(), result.as_ref().err());
            let (duration, ok) = (started.elapsed(), result.is_ok());
            self.workshop.events.emit(Event::StepFinished { step, duration, ok });
            self.record().steps.push(StepRecord { step, duration, ok });
            result
        };
        result.instrument(span).await
    }

    /// The build container, started at the first use.
    pub async fn container(&self) -> StepResult<&Container> {
        let start = || self.workshop.start(self.sources.clone(), Duration::ZERO);
        self.container.get_or_try_init(start).await.map_err(engine_failure)
    }

    /// Whether the sources of this entry are kept.
    pub fn keeps_sources(&self) -> bool {
        self.sources.is_some()
    }

    /// Runs a command and logs what it prints. Its exit code is the caller's to judge.
    pub async fn run_command(
        &self,
        name: &'static str,
        who: As,
        directory: &str,
        command: &[&str],
    ) -> StepResult<i64> {
        Ok(self.execute(name, who, directory, command, false).await?.0)
    }

    /// Runs a command and returns its exit code and standard output; what it says on standard error is
    /// logged.
    pub async fn ask_command(
        &self,
        name: &'static str,
        who: As,
        directory: &str,
        command: &[&str],
    ) -> StepResult<(i64, String)> {
        self.execute(name, who, directory, command, true).await
    }

    async fn execute(
        &self,
        name: &'static str,
        who: As,
        directory: &str,
        command: &[&str],
        capture: bool,
    ) -> StepResult<(i64, String)> {
        let container = self.container().await?;
        let uid = format!("{0}:{0}", self.workshop.images.uid());
        let (user, env) = match who {
            As::Builder => (uid.as_str(), builder_environment()),
            As::Root => ("0:0", vec!["LC_ALL=C".to_owned()]),
        };
        let idle = self.workshop.settings.idle_timeout.limit();
        let exec = Exec { user, command, env: &env, directory, idle, capture };
        let step = self.record().current_step;
        let span = telemetry::exec_span(name);
        telemetry::container(&span, container.id());
        let run = async {
            let ran = container.exec(exec, |line| self.log_line(step, line)).await;
            let ran = ran.map_err(engine_failure)?;
            telemetry::exited(&tracing::Span::current(), ran.code);
            Ok((ran.code, ran.output))
        };
        run.instrument(span).await
    }

    fn log_line(&self, step: CurrentStep, line: &str) {
        let line = printable(line);
        let fate = self.log.lock().unwrap_or_else(PoisonError::into_inner).take(&line);
        match fate {
            Fate::Log => {
                if let Some(log) = &self.server_log {
                    log.line(&line);
                }
                self.workshop.events.emit(Event::Output { step, line });
            }
            Fate::Announce => self.workshop.events.warn(
                "the log limit of this entry is reached; the rest of its output is dropped \
                 (VIETER_LOG_LIMIT)",
            ),
            Fate::Drop => {}
        }
    }

    /// Those failed entries that make something which the last lines name.
    pub fn named_suspects(&self) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let is_part = |c: char| c.is_ascii_alphanumeric() || "@._+-".contains(c);
        let names: HashSet<&str> = log.tail().flat_map(|line| line.split(|c| !is_part(c))).collect();
        let is_named = |need: &&Need| {
            need.dependencies.iter().any(|wanted| names.contains(Relation::parse(wanted).name))
        };
        self.task.suspects.iter().filter(is_named).map(|need| need.name.clone()).collect()
    }

    /// The last lines that were printed and say something, for an error message.
    pub fn last_words(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // makepkg's own last lines say no more than the exit code does.
        let says_something = |line: &&str| {
            !line.trim().is_empty()
                && line.trim() != "Aborting..."
                && !line.starts_with("==> ERROR: A failure occurred in")
        };
        let lines: Vec<&str> = log.tail().filter(says_something).collect();
        lines[lines.len().saturating_sub(4)..].join(" | ")
    }

    /// Explains a command that failed: for want of memory, or as the caller says.
    pub async fn explain(&self, code: i64, failure: Failure) -> Failure {
        let memory = self.workshop.settings.memory.limit();
        let killed = match (memory, self.container.get()) {
            // Docker tells it only of containers that have ended.
            (Some(_), Some(container)) if container.kill().await.is_ok() => {
                container.ran_out_of_memory().await
            }
            _ => false,
        };
        if killed {
            let message = format!(
                "the memory limit of {} was reached: {}",
                bytesize::ByteSize(memory.unwrap_or_default()),
                failure.message
            );
            return Failure::new(FailureKind::OutOfMemory, message)
                .hint("raise VIETER_MEMORY")
                .exit_code(code);
        }
        failure.exit_code(code)
    }
}

/// The build user's environment: nothing of ours, and makepkg's messages in English.
fn builder_environment() -> Vec<String> {
    [format!("HOME={BUILD_HOME}"), "USER=builder".into(), "LOGNAME=builder".into(), "LC_ALL=C.UTF-8".into()]
        .into()
}

pub(super) fn engine_failure(error: EngineError) -> Failure {
    match error {
        EngineError::Silent(limit) => {
            let limit = humantime::format_duration(Duration::from_secs(limit.as_secs().max(1)));
            Failure::new(FailureKind::NoOutput, format!("nothing was printed for {limit}"))
                .hint("the build hangs, or needs a larger VIETER_IDLE_TIMEOUT")
        }
        error => Failure::new(FailureKind::Docker, error.to_string()).hint("look at the Docker daemon's log"),
    }
}
