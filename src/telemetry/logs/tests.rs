use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::Format;
use super::super::tests::see;
use super::*;
use crate::config::LogLevel;
use crate::outcome::{Failure, FailureKind, Published, RunError, RunErrorKind, StepRecord, Stop};

fn outcome(verdict: Verdict) -> EntryOutcome {
    EntryOutcome {
        entry: "https://example.org/foo.git".into(),
        repo: "extra".into(),
        pkgbase: Some("foo".into()),
        version: Some("1.2-1".into()),
        reason: Some("new".into()),
        verdict,
        published: Vec::new(),
        steps: vec![StepRecord { step: Step::Clone, duration: Duration::from_secs(1), ok: true }],
        duration: Duration::from_millis(84_321),
        log: Some("logs/01-foo.log".into()),
    }
}

fn failed() -> EntryOutcome {
    let failure = Failure::new(FailureKind::Build, "makepkg ended with exit code 4")
        .at(Step::Make)
        .hint("See the lines above.")
        .exit_code(4);
    outcome(Verdict::Failed { failure })
}

fn run(ending: Ending, entries: Vec<EntryOutcome>) -> Event {
    let outcome = RunOutcome {
        run_id: "run-1".into(),
        started: "2026-11-22T03:00:00Z".parse().unwrap(),
        finished: "2026-11-22T04:02:03Z".parse().unwrap(),
        ending,
        entries,
    };
    Event::RunFinished { outcome: Arc::new(outcome) }
}

fn logged(event: Event) -> Value {
    let seen = see(LogLevel::Debug, false, Format::Json, || LogObserver::new("run-1").observe(&event));
    let [line] = seen.json().try_into().unwrap();
    line
}

#[track_caller]
fn assert_line(event: Event, level: &str, message: &str, fields: Value) {
    let line = logged(event);
    assert_eq!((line["level"].as_str(), line["message"].as_str()), (Some(level), Some(message)));
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&line[name], value, "{name} in {line}");
    }
}

#[test]
fn a_failed_entry_says_what_why_and_what_to_do() {
    let event = Event::EntryFinished { outcome: Arc::new(failed()) };
    assert_line(
        event,
        "error",
        "foo 1.2-1: failed in step make: makepkg ended with exit code 4",
        json!({
            "repo": "extra", "pkgbase": "foo", "version": "1.2-1", "step": "make", "kind": "build",
            "exit_code": 4, "hint": "See the lines above.", "log": "logs/01-foo.log", "seconds": 84.321,
        }),
    );
}

#[test]
fn entries_that_are_well() {
    let mut published = outcome(Verdict::Published);
    published.published.push(Published {
        name: "foo".into(),
        version: "1.2-1".into(),
        arch: "any".into(),
        file: "foo-1.2-1-any.pkg.tar.zst".into(),
        bytes: 5,
    });
    let event = |outcome| Event::EntryFinished { outcome: Arc::new(outcome) };
    assert_line(event(published), "info", "foo 1.2-1: published 1 package in 1m 24s", json!({}));
    assert_line(event(outcome(Verdict::UpToDate)), "info", "foo 1.2-1: up to date", json!({}));
    let quiet = EntryOutcome { steps: Vec::new(), ..outcome(Verdict::UpToDate) };
    assert_line(event(quiet), "debug", "foo 1.2-1: up to date", json!({}));
    let blocked = outcome(Verdict::Blocked { by: vec!["bar".into()] });
    assert_line(event(blocked), "error", "foo 1.2-1: not built, because bar failed", json!({}));
}

#[test]
fn output_is_the_line_itself() {
    let event = Event::Output { step: Some(Step::Make), line: "gcc {} -c %s".into() };
    assert_line(event, "info", "gcc {} -c %s", json!({ "step": "make" }));
    let event = Event::Output { step: None, line: "downloading".into() };
    assert_line(event, "info", "downloading", json!({}));
}

#[test]
fn the_last_line_of_a_run() {
    let entries = || vec![outcome(Verdict::Published), failed()];
    assert_line(
        run(Ending::Finished, entries()),
        "error",
        "run finished in 1h 2m 3s: 1 published, 1 failed",
        json!({ "exit_status": 1, "published": 1, "failed": 1, "failed_entries": "foo", "seconds": 3723.0 }),
    );
    assert_line(
        run(Ending::Finished, vec![]),
        "info",
        "run finished in 1h 2m 3s: no entries",
        json!({ "exit_status": 0 }),
    );
    assert_line(
        run(Ending::Stopped { by: Stop::Terminated }, vec![outcome(Verdict::NotReached)]),
        "warn",
        "run stopped after 1h 2m 3s, terminated (SIGTERM): 1 not reached",
        json!({ "exit_status": 143 }),
    );
    let error = RunError::new(RunErrorKind::Docker, "Docker does not answer", "Is the daemon running?");
    assert_line(
        run(Ending::Failed { error }, vec![]),
        "error",
        "the run could not go on: Docker does not answer",
        json!({ "exit_status": 69, "hint": "Is the daemon running?" }),
    );
}

#[test]
fn the_rest_is_said_in_passing() {
    let lines = [
        (Event::RunStarted, "info"),
        (Event::Warning { message: "w".into() }, "warn"),
        (Event::ListRead { entries: 1, from: "http://x".into() }, "info"),
        (Event::Planned { to_do: 1, up_to_date: 2, skipped: 3 }, "info"),
        (Event::ImageProgress { what: "pulling".into(), bytes: None }, "debug"),
        (Event::ImageReady { image: "i".into(), how: "made", duration: Duration::from_secs(1) }, "info"),
        (Event::EntryStarted { number: 1, total: 2, name: "foo".into(), reason: "new".into() }, "info"),
        (Event::StepStarted { step: Step::Make }, "debug"),
        (Event::StepFinished { step: Step::Make, duration: Duration::ZERO, ok: false }, "info"),
        (Event::Published { file: "f".into(), bytes: 1536 }, "info"),
    ];
    for (event, level) in lines {
        assert_eq!(logged(event)["level"], level);
    }
    let published = logged(Event::Published { file: "f".into(), bytes: 1536 });
    assert_eq!(published["message"], "published f (1.5 KiB)");
}
