use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};

use super::*;
use crate::outcome::{Ending, Failure, FailureKind, Step, StepRecord};

/// Keeps the text of what it is given.
#[derive(Clone, Default)]
struct Exported(Arc<Mutex<String>>);

impl PushMetricExporter for Exported {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        *self.0.lock().unwrap() = format!("{metrics:?}");
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn failed() -> EntryOutcome {
    EntryOutcome {
        entry: "https://example.org/foo.git".into(),
        repo: "extra".into(),
        pkgbase: Some("foo".into()),
        version: None,
        reason: None,
        verdict: Verdict::Failed { failure: Failure::new(FailureKind::Dependency, "no bar") },
        published: Vec::new(),
        steps: vec![StepRecord { step: Step::Make, duration: Duration::from_secs(1), ok: false }],
        duration: Duration::from_secs(5),
        log: None,
    }
}

#[test]
fn everything_is_measured_under_its_name() {
    let exported = Exported::default();
    let reader = PeriodicReader::builder(exported.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let observer = MetricsObserver::new(&provider);
    let second = Duration::from_secs(1);
    let run = RunOutcome {
        run_id: "run-1".into(),
        started: "2026-11-22T03:00:00Z".parse().unwrap(),
        finished: "2026-11-22T04:02:03Z".parse().unwrap(),
        ending: Ending::Finished,
        entries: vec![failed()],
    };
    let events = [
        Event::RunStarted,
        Event::ImageReady { image: "i".into(), how: "made", duration: second },
        Event::StepFinished { step: Step::Make, duration: second, ok: true },
        Event::Published { file: "f".into(), bytes: 4711 },
        Event::EntryFinished { outcome: Arc::new(failed()) },
        Event::RunFinished { outcome: Arc::new(run) },
    ];
    for event in &events {
        observer.observe(event);
    }
    provider.force_flush().unwrap();
    let text = exported.0.lock().unwrap().clone();
    let expected = [
        "cicd.pipeline.run.duration",
        "cicd.pipeline.run.errors",
        "vieter.image.duration",
        "vieter.step.duration",
        "vieter.entry.duration",
        "vieter.entries",
        "vieter.packages.published",
        "vieter.packages.size",
        "4711",
        "3723.0",
        "dependency",
        "entries_failed",
    ];
    for expected in expected {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains("foo"), "an attribute with many values: {text}");
}
