//! The spans of a run: run > image, run > plan, run > entry > step > command.
//!
//! Names and attributes follow the OpenTelemetry conventions for CI/CD where they say something
//! (<https://opentelemetry.io/docs/specs/semconv/cicd/cicd-spans/>): the run is a pipeline run, and all that
//! is below it is a task run. `cicd.pipeline.task.run.url.full` is left out: a task has no page of its own.
//! What the conventions do not name has the prefix `vieter.`.
//!
//! Spans are made at every log level; how much is logged and what is traced are different questions.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry_semantic_conventions::attribute as key;
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::escape::shorten;
use super::propagation;
use crate::outcome::{
    Ending, EntryOutcome, Failure, FailureKind, RunErrorKind, RunOutcome, Step, Stop, Verdict,
};

/// `cicd.pipeline.name`, and the name of the service where nobody gives another one.
pub(super) const PIPELINE: &str = "vieter";

/// The longest error description in a span, in bytes.
const MESSAGE_LIMIT: usize = 1024;

/// The values that the conventions know for `cicd.pipeline.result` and `cicd.pipeline.task.run.result`.
pub(super) mod result {
    pub const SUCCESS: &str = "success";
    pub const FAILURE: &str = "failure";
    pub const TIMEOUT: &str = "timeout";
    pub const CANCELLATION: &str = "cancellation";
    pub const ERROR: &str = "error";
    pub const SKIP: &str = "skip";
}

/// The root span: the whole run, a child of the span that `TRACEPARENT` names, if any.
///
/// Its name is `{action} {pipeline}` and its kind `SERVER`, as the conventions have it.
pub fn run_span(run_id: &str) -> Span {
    let span = info_span!(target: "vieter", "run", otel.name = "BUILD vieter", otel.kind = "server");
    if let Some(caller) = propagation::caller() {
        // Fails only where nothing is exported: then the span has no parent and no id either.
        let _ = span.set_parent(caller);
    }
    span.set_attribute(key::CICD_PIPELINE_NAME, PIPELINE);
    span.set_attribute(key::CICD_PIPELINE_ACTION_NAME, "BUILD");
    span.set_attribute(key::CICD_PIPELINE_RUN_ID, run_id.to_owned());
    span
}

/// Stage 1: the builder image.
pub fn image_span() -> Span {
    task(info_span!(target: "vieter", "image"), "image", None)
}

/// Looking at the list, the branches and the package server before anything is built.
pub fn plan_span() -> Span {
    task(info_span!(target: "vieter", "plan"), "plan", None)
}

/// One repository entry.
///
/// Its name is the package base. Span names should be the most general string that is an interesting class
/// of spans (<https://opentelemetry.io/docs/specs/otel/trace/api/#span>): all builds of one package are such
/// a class, like the jobs of a CI system; how long they take from night to night is what people ask. Their
/// number is that of the list and does not grow with the runs. Where the package base is not known yet, the
/// span is called `entry` until [`name_entry`] or [`finish_entry`].
pub fn entry_span(entry: &str, repo: &str, pkgbase: Option<&str>) -> Span {
    let span = info_span!(
        target: "vieter",
        "entry",
        otel.name = pkgbase,
        vieter.entry = entry,
        vieter.repo = repo,
        vieter.pkgbase = pkgbase,
        vieter.version = Empty,
    );
    task(span, pkgbase.unwrap_or(entry), Some("build"))
}

/// One of the five steps of an entry.
pub fn step_span(step: Step) -> Span {
    let name = step.as_str();
    let kind = match step {
        Step::Make => Some("build"),
        Step::Publish => Some("deploy"),
        Step::Clone | Step::Version | Step::Check => None,
    };
    task(info_span!(target: "vieter", "step", otel.name = name, vieter.step = name), name, kind)
}

/// One command inside a container. `name` says which: few and stable, such as `pacman` or `makepkg`.
pub fn exec_span(name: &str) -> Span {
    task(info_span!(target: "vieter", "exec", otel.name = name), name, None)
}

/// Adds what the conventions ask of a task. The id is unique within the run, which is all that they demand.
fn task(span: Span, name: &str, kind: Option<&'static str>) -> Span {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let id = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
    span.set_attribute(key::CICD_PIPELINE_TASK_NAME, name.to_owned());
    span.set_attribute(key::CICD_PIPELINE_TASK_RUN_ID, id);
    if let Some(kind) = kind {
        span.set_attribute(key::CICD_PIPELINE_TASK_TYPE, kind);
    }
    span
}

/// Says of an entry's span which Git repository, branch and commit it is about. `url` must be without
/// credentials.
pub fn source(span: &Span, url: &str, branch: Option<&str>, revision: Option<&str>) {
    span.set_attribute(key::VCS_REPOSITORY_URL_FULL, url.to_owned());
    if let Some(branch) = branch {
        span.set_attribute(key::VCS_REF_HEAD_NAME, branch.to_owned());
        span.set_attribute(key::VCS_REF_HEAD_TYPE, "branch");
    }
    if let Some(revision) = revision {
        span.set_attribute(key::VCS_REF_HEAD_REVISION, revision.to_owned());
    }
}

/// Says of a span in which container it happens.
pub fn container(span: &Span, id: &str) {
    span.set_attribute(key::CONTAINER_ID, id.to_owned());
}

/// Says with which exit code a command ended. Any but 0 makes the span one that failed.
pub fn exited(span: &Span, code: i64) {
    span.set_attribute(key::PROCESS_EXIT_CODE, code);
    if code == 0 {
        succeed(span);
    } else {
        span.set_attribute(key::CICD_PIPELINE_TASK_RUN_RESULT, result::FAILURE);
        fail(span, "exit_code", &format!("exit code {code}"));
    }
}

/// Marks a span as failed: `error_type` is one of few stable names, `message` is for people.
pub fn fail(span: &Span, error_type: &str, message: &str) {
    span.set_attribute(key::ERROR_TYPE, error_type.to_owned());
    span.set_status(Status::error(shorten(message, MESSAGE_LIMIT).into_owned()));
}

/// Records that a task did what it should. The status stays unset, as it should where nothing is wrong
/// (<https://opentelemetry.io/docs/specs/otel/trace/api/#set-status>).
pub fn succeed(span: &Span) {
    span.set_attribute(key::CICD_PIPELINE_TASK_RUN_RESULT, result::SUCCESS);
}

/// Records how a step, a command or stage 1 ended.
pub fn finish_step(span: &Span, failure: Option<&Failure>) {
    let Some(failure) = failure else { return succeed(span) };
    span.set_attribute(key::CICD_PIPELINE_TASK_RUN_RESULT, failure_result(failure.kind));
    if let Some(code) = failure.exit_code {
        span.set_attribute(key::PROCESS_EXIT_CODE, code);
    }
    fail(span, failure.kind.as_str(), &failure.message);
}

/// Gives an entry's span the package base once it is known; log lines name it from then on.
pub fn name_entry(span: &Span, pkgbase: &str) {
    span.record("vieter.pkgbase", pkgbase);
    span.set_attribute(key::CICD_PIPELINE_TASK_NAME, pkgbase.to_owned());
    span.context().span().update_name(pkgbase.to_owned());
}

/// Records what became of an entry, and its package base and version where they are known by now.
pub fn finish_entry(span: &Span, outcome: &EntryOutcome) {
    if let Some(pkgbase) = &outcome.pkgbase {
        name_entry(span, pkgbase);
    }
    if let Some(version) = &outcome.version {
        span.record("vieter.version", version.as_str());
    }
    span.set_attribute("vieter.verdict", outcome.verdict.as_str());
    match &outcome.verdict {
        Verdict::Published | Verdict::UpToDate => succeed(span),
        Verdict::Skipped { .. } | Verdict::Blocked { .. } => {
            span.set_attribute(key::CICD_PIPELINE_TASK_RUN_RESULT, result::SKIP);
        }
        Verdict::NotReached => {
            span.set_attribute(key::CICD_PIPELINE_TASK_RUN_RESULT, result::CANCELLATION);
        }
        Verdict::Failed { failure } => finish_step(span, Some(failure)),
    }
}

/// Records how the run ended.
pub fn finish_run(span: &Span, outcome: &RunOutcome) {
    let (result, error) = run_result(outcome);
    span.set_attribute(key::CICD_PIPELINE_RESULT, result);
    span.set_attribute(key::PROCESS_EXIT_CODE, i64::from(outcome.exit_status().code()));
    let Some(error) = error else { return };
    let message = match &outcome.ending {
        Ending::Finished => format!("failed: {}", failed_names(outcome)),
        Ending::Stopped { by } => by.to_string(),
        Ending::Failed { error } => error.message.clone(),
    };
    fail(span, error, &message);
}

/// A run's `cicd.pipeline.result`, and its `error.type` unless it succeeded.
pub(super) fn run_result(outcome: &RunOutcome) -> (&'static str, Option<&'static str>) {
    match &outcome.ending {
        Ending::Finished if outcome.entries.iter().all(|entry| entry.verdict.is_success()) => {
            (result::SUCCESS, None)
        }
        Ending::Finished => (result::FAILURE, Some("entries_failed")),
        Ending::Stopped { by: Stop::Deadline } => (result::TIMEOUT, Some("deadline")),
        Ending::Stopped { by: Stop::Interrupted } => (result::CANCELLATION, Some("interrupted")),
        Ending::Stopped { by: Stop::Terminated } => (result::CANCELLATION, Some("terminated")),
        Ending::Failed { error } => (result::ERROR, Some(run_error(error.kind))),
    }
}

/// The `error.type` of what the run lacked.
fn run_error(kind: RunErrorKind) -> &'static str {
    match kind {
        RunErrorKind::Docker => "docker",
        RunErrorKind::Image => "image",
        RunErrorKind::List => "list",
        RunErrorKind::Configuration => "configuration",
        RunErrorKind::Locked => "locked",
        RunErrorKind::Internal => "internal",
    }
}

/// The `cicd.pipeline.task.run.result` of a failure: `error` where this program or its surroundings failed,
/// and `failure` where the package did.
fn failure_result(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Timeout | FailureKind::NoOutput => result::TIMEOUT,
        FailureKind::Stopped => result::CANCELLATION,
        FailureKind::Docker | FailureKind::Server => result::ERROR,
        FailureKind::BadEntry
        | FailureKind::Clone
        | FailureKind::Pkgbuild
        | FailureKind::Version
        | FailureKind::Dependency
        | FailureKind::Build
        | FailureKind::OutOfMemory
        | FailureKind::Refused
        | FailureKind::Publish => result::FAILURE,
    }
}

fn failed_names(outcome: &RunOutcome) -> String {
    let failed = outcome.entries.iter().filter(|entry| !entry.verdict.is_success());
    failed.map(EntryOutcome::name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
