use serde_json::json;

use super::super::tests::see;
use super::super::{entry_span, exec_span, run_span, step_span};
use super::*;
use crate::outcome::Step;

#[test]
fn lines_say_where_they_belong() {
    let seen = see(LogLevel::Info, true, Format::Json, || {
        tracing::info!("before");
        let _run = run_span("run-1").entered();
        tracing::info!("run");
        let entry = entry_span("https://example.org/foo.git", "extra", None).entered();
        tracing::info!("entry");
        entry.record("vieter.pkgbase", "foo");
        let _step = step_span(Step::Make).entered();
        let _exec = exec_span("makepkg").entered();
        tracing::info!(target: OUTPUT, step = "make", "output");
    });
    let [before, run, entry, output] = seen.json().try_into().unwrap();
    for line in [&before, &run, &entry, &output] {
        assert_eq!(line["run_id"], "run-1");
    }
    assert_eq!(before.get("trace_id"), None);
    assert_eq!(run.get("repo"), None);
    assert_eq!(entry["entry"], "https://example.org/foo.git");
    assert_eq!((&entry["repo"], entry.get("step")), (&json!("extra"), None));
    assert_eq!((&output["pkgbase"], &output["step"]), (&json!("foo"), &json!("make")));
    assert_eq!(output.get("entry"), None);

    let trace = seen.span("BUILD vieter").span_context.trace_id().to_string();
    let id = |name: &str| seen.span(name).span_context.span_id().to_string();
    assert_eq!(run["trace_id"], trace.as_str());
    assert_eq!(output["trace_id"], trace.as_str());
    assert_eq!(run["span_id"], id("BUILD vieter").as_str());
    assert_eq!(output["span_id"], id("makepkg").as_str());
}

#[test]
fn without_an_exporter_there_are_no_ids_but_all_the_rest() {
    let seen = see(LogLevel::Info, false, Format::Json, || {
        let _run = run_span("run-1").entered();
        let _entry = entry_span("https://example.org/foo.git", "extra", Some("foo")).entered();
        tracing::warn!(count = 3, share = 0.5, nan = f64::NAN, ok = true, "hello");
    });
    let [line] = seen.json().try_into().unwrap();
    assert_eq!((line.get("trace_id"), line.get("span_id")), (None, None));
    assert_eq!((&line["pkgbase"], &line["level"]), (&json!("foo"), &json!("warn")));
    assert_eq!((&line["count"], &line["share"], &line["nan"]), (&json!(3), &json!(0.5), &json!(null)));
}

#[test]
fn spans_are_there_at_every_level() {
    let seen = see(LogLevel::Error, true, Format::Json, || {
        let _run = run_span("run-1").entered();
        let _entry = entry_span("https://example.org/foo.git", "extra", Some("foo")).entered();
        tracing::warn!("not this");
        tracing::error!("this");
    });
    let [line] = seen.json().try_into().unwrap();
    assert_eq!((&line["message"], &line["pkgbase"]), (&json!("this"), &json!("foo")));
    assert_eq!(seen.spans.len(), 2);
}

#[test]
fn libraries_are_quiet_unless_all_is_wanted() {
    let emit = || {
        tracing::debug!(target: "bollard::docker", "request");
        tracing::warn!(target: "bollard::docker", "odd");
        tracing::error!(name: "BatchSpanProcessor.ExportError", target: "opentelemetry_sdk", "no");
        tracing::warn!(name: "TracerProvider.Config.X", target: "opentelemetry_sdk", "setting");
        tracing::debug!(target: "vieter::server", "HEAD");
        tracing::info!(target: "vieterx", "somebody else");
    };
    let messages = |level| {
        let seen = see(level, false, Format::Json, emit).json();
        seen.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(messages(LogLevel::Error), ["no"; 0]);
    assert_eq!(messages(LogLevel::Info), ["odd", "setting"]);
    assert_eq!(messages(LogLevel::Debug), ["odd", "setting", "HEAD"]);
    assert_eq!(messages(LogLevel::Trace).len(), 6);
    let seen = see(LogLevel::Info, false, Format::Json, emit).json();
    assert_eq!(seen[0]["target"], "bollard::docker");
}
