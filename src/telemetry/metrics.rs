//! What is measured: durations, outcomes, and what was published.
//!
//! Names follow <https://opentelemetry.io/docs/specs/semconv/cicd/cicd-metrics/> where it has one; ours have
//! the prefix `vieter.`. No attribute has more than a handful of values.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_semantic_conventions::{attribute as key, metric};

use super::spans::{PIPELINE, result, run_result};
use crate::event::{Event, Observer};
use crate::outcome::{EntryOutcome, RunOutcome, Verdict};

/// Bounds of the buckets of durations in seconds: from a look-up to a night.
const SECONDS: [f64; 16] = [
    0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0,
];

/// Measures the events of a run.
pub(super) struct MetricsObserver {
    run: Histogram<f64>,
    errors: Counter<u64>,
    image: Histogram<f64>,
    step: Histogram<f64>,
    entry: Histogram<f64>,
    entries: Counter<u64>,
    packages: Counter<u64>,
    size: Counter<u64>,
}

impl MetricsObserver {
    pub fn new(provider: &SdkMeterProvider) -> Self {
        let meter = provider.meter(env!("CARGO_PKG_NAME"));
        let counter = |name: &'static str, unit: &'static str, about: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(about).build()
        };
        Self {
            run: seconds(&meter, metric::CICD_PIPELINE_RUN_DURATION, "Duration of a run"),
            errors: counter(metric::CICD_PIPELINE_RUN_ERRORS, "{error}", "Entries that failed, by error"),
            image: seconds(&meter, "vieter.image.duration", "Duration of stage 1, the builder image"),
            step: seconds(&meter, "vieter.step.duration", "Duration of a step of an entry"),
            entry: seconds(
                &meter,
                "vieter.entry.duration",
                "Duration of an entry that was built or looked into",
            ),
            entries: counter("vieter.entries", "{entry}", "Entries, by what became of them"),
            packages: counter("vieter.packages.published", "{package}", "Packages published"),
            size: counter("vieter.packages.size", "By", "Size of the packages published"),
        }
    }

    fn entry_finished(&self, outcome: &EntryOutcome) {
        let verdict = KeyValue::new("vieter.verdict", outcome.verdict.as_str());
        // An entry without a step cost nothing; it would only hide how long the others took.
        if !outcome.steps.is_empty() {
            self.entry.record(outcome.duration.as_secs_f64(), &[verdict]);
        }
        if let Verdict::Failed { failure } = &outcome.verdict {
            let error = KeyValue::new(key::ERROR_TYPE, failure.kind.as_str());
            self.errors.add(1, &[KeyValue::new(key::CICD_PIPELINE_NAME, PIPELINE), error]);
        }
    }

    fn run_finished(&self, outcome: &RunOutcome) {
        // Here and not one by one, so that entries that no `EntryFinished` told of are counted too.
        for entry in &outcome.entries {
            self.entries.add(1, &[KeyValue::new("vieter.verdict", entry.verdict.as_str())]);
        }
        let (result, error) = run_result(outcome);
        let mut attributes = vec![
            KeyValue::new(key::CICD_PIPELINE_NAME, PIPELINE),
            KeyValue::new(key::CICD_PIPELINE_RUN_STATE, "executing"),
            KeyValue::new(key::CICD_PIPELINE_RESULT, result),
        ];
        attributes.extend(error.map(|error| KeyValue::new(key::ERROR_TYPE, error)));
        let duration = outcome.finished.duration_since(outcome.started).as_secs_f64();
        self.run.record(duration.max(0.0), &attributes);
    }
}

fn seconds(meter: &Meter, name: &'static str, about: &'static str) -> Histogram<f64> {
    let histogram = meter.f64_histogram(name).with_unit("s").with_description(about);
    histogram.with_boundaries(SECONDS.to_vec()).build()
}

impl Observer for MetricsObserver {
    fn observe(&self, event: &Event) {
        match event {
            Event::ImageReady { how, duration, .. } => {
                self.image.record(duration.as_secs_f64(), &[KeyValue::new("vieter.image.how", *how)]);
            }
            Event::StepFinished { step, duration, ok } => {
                let result = if *ok { result::SUCCESS } else { result::FAILURE };
                let attributes = [
                    KeyValue::new("vieter.step", step.as_str()),
                    KeyValue::new(key::CICD_PIPELINE_TASK_RUN_RESULT, result),
                ];
                self.step.record(duration.as_secs_f64(), &attributes);
            }
            Event::Published { bytes, .. } => {
                self.packages.add(1, &[]);
                self.size.add(*bytes, &[]);
            }
            Event::EntryFinished { outcome } => self.entry_finished(outcome),
            Event::RunFinished { outcome } => self.run_finished(outcome),
            Event::RunStarted
            | Event::Warning { .. }
            | Event::ListRead { .. }
            | Event::Planned { .. }
            | Event::ImageProgress { .. }
            | Event::EntryStarted { .. }
            | Event::StepStarted { .. }
            | Event::Output { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
