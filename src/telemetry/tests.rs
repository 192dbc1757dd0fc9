use std::sync::{Arc, Mutex};

use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::*;

/// Keeps the spans it is given.
#[derive(Debug, Clone, Default)]
pub(super) struct Exported(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Exported {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// What came of some work: spans in the order of their ends, and log lines.
pub(super) struct Seen {
    pub spans: Vec<SpanData>,
    pub lines: Vec<String>,
}

impl Seen {
    pub fn span(&self, name: &str) -> &SpanData {
        let mut named = self.spans.iter().filter(|span| span.name == name);
        let span = named.next().unwrap_or_else(|| panic!("no span {name}: {:?}", self.spans));
        assert!(named.next().is_none(), "several spans {name}");
        span
    }

    pub fn json(&self) -> Vec<serde_json::Value> {
        self.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Does the work under a subscriber like the real one, and returns what came of it.
pub(super) fn see(level: LogLevel, traced: bool, format: Format, work: impl FnOnce()) -> Seen {
    let exported = Exported::default();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let provider = SdkTracerProvider::builder().with_simple_exporter(exported.clone()).build();
    let sink = Sink::new({
        let lines = lines.clone();
        move |line| lines.lock().unwrap().push(line.to_owned())
    });
    let subscriber = subscriber(level, LogLayer::new(format, "run-1", sink), traced.then_some(&provider));
    tracing::subscriber::with_default(subscriber, work);
    Seen { spans: exported.0.lock().unwrap().clone(), lines: std::mem::take(&mut lines.lock().unwrap()) }
}

/// The value of an attribute, as text.
pub(super) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let mut values = span.attributes.iter().filter(|pair| pair.key.as_str() == key);
    // The last one counts: some are set anew when more is known.
    values.next_back().map(|pair| pair.value.to_string())
}

#[test]
fn only_our_warnings_are_events_of_spans() {
    let seen = see(LogLevel::Trace, true, Format::Json, || {
        let _run = run_span("run-1").entered();
        tracing::info!(target: "vieter::output", "gcc -c hello.c");
        tracing::warn!(target: "vieter::plan", "look here");
        tracing::error!(target: "vieter", "failed");
        tracing::warn!(target: "reqwest::connect", "a library");
        let _library = tracing::info_span!(target: "hyper", "request").entered();
    });
    assert_eq!(seen.spans.len(), 1, "{:?}", seen.spans);
    let span = seen.span("BUILD vieter");
    let events: Vec<_> = span.events.iter().map(|event| event.name.to_string()).collect();
    assert_eq!(events, ["look here"]);
    assert_eq!(span.status, opentelemetry::trace::Status::Unset);
    assert_eq!(seen.lines.len(), 4);
}

#[test]
fn end_waits_for_what_is_left_but_not_for_ever() {
    let done = Arc::new(Mutex::new(false));
    let trouble = Trouble::default();
    let quick = done.clone();
    let started = Instant::now();
    finish(
        vec![
            Box::new(move || {
                thread::sleep(Duration::from_millis(50));
                *quick.lock().unwrap() = true;
                Ok(())
            }),
            Box::new(|| {
                thread::sleep(Duration::from_secs(60));
                Ok(())
            }),
        ],
        Duration::from_secs(2),
        &trouble,
    );
    assert!(*done.lock().unwrap());
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn end_does_not_wait_when_there_is_nothing_to_wait_for() {
    let started = Instant::now();
    finish(Vec::new(), Duration::from_secs(60), &Trouble::default());
    finish(vec![Box::new(|| Ok(()))], Duration::from_secs(60), &Trouble::default());
    assert!(started.elapsed() < Duration::from_secs(5));
}
