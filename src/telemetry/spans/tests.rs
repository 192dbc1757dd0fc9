use std::time::Duration;

use opentelemetry::trace::SpanKind;

use super::super::Format;
use super::super::tests::{attribute, see};
use super::*;
use crate::config::LogLevel;
use crate::outcome::RunError;

fn outcome(verdict: Verdict) -> EntryOutcome {
    EntryOutcome {
        entry: "https://example.org/foo.git".into(),
        repo: "extra".into(),
        pkgbase: Some("foo".into()),
        version: Some("1.2-1".into()),
        reason: None,
        verdict,
        published: Vec::new(),
        steps: Vec::new(),
        duration: Duration::from_secs(1),
        log: None,
    }
}

fn run(ending: Ending, entries: Vec<EntryOutcome>) -> RunOutcome {
    let now = "2026-11-22T03:04:05Z".parse().unwrap();
    RunOutcome { run_id: "run-1".into(), started: now, finished: now, ending, entries }
}

#[test]
fn the_tree_is_as_designed() {
    let seen = see(LogLevel::Info, true, Format::Json, || {
        let run = run_span("run-1");
        let _run = run.enter();
        drop(image_span());
        drop(plan_span());
        let entry = entry_span("https://example.org/foo.git main", "extra", Some("foo"));
        source(&entry, "https://example.org/foo.git", Some("main"), Some("abc"));
        let _entry = entry.enter();
        let _step = step_span(Step::Make).entered();
        let exec = exec_span("makepkg");
        container(&exec, "c0ffee");
        exited(&exec, 2);
    });
    let parents = [
        ("image", "BUILD vieter"),
        ("plan", "BUILD vieter"),
        ("foo", "BUILD vieter"),
        ("make", "foo"),
        ("makepkg", "make"),
    ];
    for (child, parent) in parents {
        assert_eq!(seen.span(child).parent_span_id, seen.span(parent).span_context.span_id(), "{child}");
    }
    let root = seen.span("BUILD vieter");
    assert_eq!(root.span_kind, SpanKind::Server);
    assert_eq!(attribute(root, "cicd.pipeline.run.id").unwrap(), "run-1");
    let entry = seen.span("foo");
    assert_eq!(entry.span_kind, SpanKind::Internal);
    let expected = [
        ("cicd.pipeline.task.name", "foo"),
        ("cicd.pipeline.task.type", "build"),
        ("vcs.repository.url.full", "https://example.org/foo.git"),
        ("vcs.ref.head.name", "main"),
        ("vcs.ref.head.revision", "abc"),
        ("vieter.repo", "extra"),
    ];
    for (key, value) in expected {
        assert_eq!(attribute(entry, key).as_deref(), Some(value), "{key}");
    }
    let exec = seen.span("makepkg");
    assert_eq!(attribute(exec, "container.id").unwrap(), "c0ffee");
    assert_eq!(attribute(exec, "process.exit.code").unwrap(), "2");
    assert_eq!(exec.status, Status::error("exit code 2"));
}

#[test]
fn ids_of_tasks_are_unique() {
    let seen = see(LogLevel::Info, true, Format::Json, || {
        let _ = [step_span(Step::Make), step_span(Step::Make), exec_span("pacman")];
    });
    let mut ids: Vec<_> =
        seen.spans.iter().map(|span| attribute(span, "cicd.pipeline.task.run.id").unwrap()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn entries_get_their_name_and_verdict() {
    let seen = see(LogLevel::Info, true, Format::Json, || {
        let failure = Failure::new(FailureKind::Build, "makepkg failed").at(Step::Make).exit_code(4);
        let span = entry_span("https://example.org/foo.git", "extra", None);
        finish_entry(&span, &outcome(Verdict::Failed { failure }));
    });
    let span = seen.span("foo");
    assert_eq!(span.status, Status::error("makepkg failed"));
    let expected = [
        ("error.type", "build"),
        ("cicd.pipeline.task.run.result", "failure"),
        ("cicd.pipeline.task.name", "foo"),
        ("process.exit.code", "4"),
        ("vieter.pkgbase", "foo"),
        ("vieter.version", "1.2-1"),
        ("vieter.verdict", "failed"),
    ];
    for (key, value) in expected {
        assert_eq!(attribute(span, key).as_deref(), Some(value), "{key}");
    }
}

#[test]
fn success_leaves_the_status_unset() {
    let seen = see(LogLevel::Info, true, Format::Json, || {
        let span = run_span("run-1");
        finish_entry(&span, &outcome(Verdict::Published));
        finish_run(&span, &run(Ending::Finished, vec![outcome(Verdict::UpToDate)]));
    });
    let [span] = seen.spans.try_into().unwrap();
    assert_eq!(span.status, Status::Unset);
    assert_eq!(attribute(&span, "error.type"), None);
    assert_eq!(attribute(&span, "cicd.pipeline.result").unwrap(), "success");
}

#[test]
fn runs_end_as_the_conventions_name_it() {
    let failed = || outcome(Verdict::Failed { failure: Failure::new(FailureKind::Clone, "x") });
    let error = RunError::new(RunErrorKind::Docker, "no daemon", "start it");
    let cases = [
        (run(Ending::Finished, vec![failed()]), "failure", "entries_failed", "failed: foo"),
        (
            run(Ending::Stopped { by: Stop::Deadline }, vec![]),
            "timeout",
            "deadline",
            "the run's deadline (VIETER_RUN_TIMEOUT) passed",
        ),
        (
            run(Ending::Stopped { by: Stop::Terminated }, vec![]),
            "cancellation",
            "terminated",
            "terminated (SIGTERM)",
        ),
        (run(Ending::Failed { error }, vec![]), "error", "docker", "no daemon"),
    ];
    for (outcome, result, error_type, message) in cases {
        let seen = see(LogLevel::Info, true, Format::Json, || finish_run(&run_span("run-1"), &outcome));
        let [span] = seen.spans.try_into().unwrap();
        assert_eq!(attribute(&span, "cicd.pipeline.result").as_deref(), Some(result));
        assert_eq!(attribute(&span, "error.type").as_deref(), Some(error_type));
        assert_eq!(span.status, Status::error(message));
    }
}

#[test]
fn long_messages_are_cut() {
    let seen = see(LogLevel::Info, true, Format::Json, || {
        fail(&run_span("run-1"), "build", &"é".repeat(5000));
    });
    let [span] = seen.spans.try_into().unwrap();
    let Status::Error { description } = &span.status else { panic!("{:?}", span.status) };
    assert!(description.len() <= MESSAGE_LIMIT && description.ends_with('…'));
}

#[test]
fn without_an_exporter_nothing_breaks() {
    let seen = see(LogLevel::Info, false, Format::Json, || {
        let span = entry_span("https://example.org/foo.git", "extra", None);
        finish_entry(&span, &outcome(Verdict::Published));
        exited(&span, 1);
        span.in_scope(|| tracing::info!("still named"));
    });
    assert_eq!(seen.json()[0]["pkgbase"], "foo");
}
