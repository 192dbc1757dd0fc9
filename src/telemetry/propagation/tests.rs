use super::super::tests::see;
use super::super::{Format, run_span};
use super::*;
use crate::config::LogLevel;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn propagation(parent: &str, propagate: bool) -> (Propagation, Vec<String>) {
    let settings = Settings {
        propagate,
        traceparent: Some(parent.into()),
        tracestate: Some("vendor=value".into()),
        ..Settings::default()
    };
    let mut warnings = Vec::new();
    (Propagation::new(&settings, &mut warnings), warnings)
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn the_callers_span_is_the_parent_and_ours_goes_on() {
    let (propagation, warnings) = propagation(PARENT, true);
    assert_eq!(warnings, [""; 0]);
    let mut headers = HeaderMap::new();
    let seen = see(LogLevel::Info, true, Format::Json, || {
        let run = run_span("run-1");
        run.set_parent(propagation.caller.clone().unwrap()).unwrap();
        let _run = run.entered();
        propagation.inject(&tracing::Span::current().context(), &mut headers);
    });
    let run = seen.span("BUILD vieter");
    assert_eq!(run.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(run.parent_span_id.to_string(), "b7ad6b7169203331");
    let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", run.span_context.span_id());
    assert_eq!(header(&headers, "traceparent"), Some(expected));
    assert_eq!(header(&headers, "tracestate"), Some("vendor=value".into()));
}

#[test]
fn without_spans_of_our_own_the_callers_context_goes_on() {
    let mut headers = HeaderMap::new();
    propagation(PARENT, true).0.inject(&Context::new(), &mut headers);
    assert_eq!(header(&headers, "traceparent"), Some(PARENT.into()));
}

#[test]
fn nothing_is_taken_or_handed_on_when_it_is_switched_off() {
    let (propagation, warnings) = propagation(PARENT, false);
    assert!(propagation.caller.is_none() && warnings.is_empty());
    let mut headers = HeaderMap::new();
    propagation.inject(&Context::new(), &mut headers);
    assert!(headers.is_empty());
}

#[test]
fn a_malformed_parent_is_a_warning() {
    for parent in ["", "nonsense", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
        let (propagation, warnings) = propagation(parent, true);
        assert!(propagation.caller.is_none());
        assert_eq!(warnings.len(), 1, "{parent}: {warnings:?}");
        let mut headers = HeaderMap::new();
        propagation.inject(&Context::new(), &mut headers);
        assert!(headers.is_empty());
    }
}
