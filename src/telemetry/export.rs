//! The exporters of traces and metrics: OTLP over HTTP with protobuf bodies.
//!
//! Each runs on a thread of its own that the SDK starts, with a blocking HTTP client, so it neither needs nor
//! delays the program's own runtime.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use opentelemetry_semantic_conventions::attribute;
use url::Url;

use super::settings::{Settings, shown};
use super::spans::PIPELINE;

/// Whether it was already said that telemetry cannot be delivered. Once is enough: a collector that is gone
/// would otherwise be complained about for the rest of the night.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble(Arc<AtomicBool>);

impl Trouble {
    /// Logs what is wrong unless something was logged before.
    pub fn report(&self, message: impl fmt::Display) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!("{message}");
        }
    }
}

/// What an error says, without the SDK's words before it.
pub(super) fn reason(error: &OTelSdkError) -> String {
    match error {
        OTelSdkError::InternalFailure(reason) => reason.clone(),
        error => error.to_string(),
    }
}

/// An exporter that reports its first failure as a warning.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    /// What it exports.
    what: &'static str,
    /// Where to.
    to: String,
    trouble: Trouble,
}

impl<E> Watched<E> {
    fn check(&self, result: OTelSdkResult) -> OTelSdkResult {
        if let Err(error) = &result {
            let (what, to, why) = (self.what, &self.to, reason(error));
            let message = format!("{what} cannot be delivered to {to}: {why}; the run goes on");
            self.trouble.report(message);
        }
        result
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Watched<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            keep_last(&mut span.attributes);
        }
        self.check(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Of attributes that were set more than once keeps the last. Setting one again should replace it
/// (<https://opentelemetry.io/docs/specs/otel/trace/api/#set-attributes>), but the SDK only adds it.
fn keep_last(attributes: &mut Vec<KeyValue>) {
    let mut seen = HashSet::new();
    attributes.reverse();
    attributes.retain(|pair| seen.insert(pair.key.clone()));
    attributes.reverse();
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.check(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

/// What makes spans and measurements, and sends them.
#[derive(Debug, Default)]
pub(super) struct Providers {
    pub traces: Option<SdkTracerProvider>,
    pub metrics: Option<SdkMeterProvider>,
    pub trouble: Trouble,
}

impl Providers {
    /// Sets up what the settings ask for; what cannot be set up is a warning.
    pub fn new(settings: &Settings, run_id: &str, warnings: &mut Vec<String>) -> Self {
        let trouble = Trouble::default();
        let mut failed = |what: &str, url: &Url, error: &dyn fmt::Display| {
            warnings.push(format!("{what} cannot be sent to {}: {error}", shown(url)));
        };
        let traces = settings.traces.as_ref().and_then(|url| {
            let exporter = SpanExporter::builder().with_http().with_endpoint(url.as_str());
            let exporter = exporter.with_protocol(Protocol::HttpBinary).build();
            let exporter = exporter.inspect_err(|error| failed("traces", url, error)).ok()?;
            let exporter = watched(exporter, "traces", url, &trouble);
            // Each run has a provider of its own, so that all of its spans can carry its id
            // (<https://opentelemetry.io/docs/specs/semconv/resource/cicd/>).
            let run = KeyValue::new(attribute::CICD_PIPELINE_RUN_ID, run_id.to_owned());
            let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
            Some(provider.with_resource(resource(Some(run))).build())
        });
        let metrics = settings.metrics.as_ref().and_then(|url| {
            let exporter = MetricExporter::builder().with_http().with_endpoint(url.as_str());
            let exporter = exporter.with_protocol(Protocol::HttpBinary).build();
            let exporter = exporter.inspect_err(|error| failed("metrics", url, error)).ok()?;
            let exporter = watched(exporter, "metrics", url, &trouble);
            let provider = SdkMeterProvider::builder();
            let provider = provider.with_reader(PeriodicReader::builder(exporter).build());
            Some(provider.with_resource(resource(None)).build())
        });
        Self { traces, metrics, trouble }
    }
}

fn watched<E>(exporter: E, what: &'static str, url: &Url, trouble: &Trouble) -> Watched<E> {
    Watched { exporter, what, to: shown(url), trouble: trouble.clone() }
}

/// Who sends: what the environment says (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`), and what it does
/// not say. The run's id is for spans only: every run would be a new time series of every metric.
fn resource(run: Option<KeyValue>) -> Resource {
    let given = Resource::builder().build();
    let mut builder = Resource::builder();
    let service = given.get(&Key::from_static_str(attribute::SERVICE_NAME));
    // What the SDK puts there when nobody says anything.
    if service.is_none_or(|name| name.as_str().starts_with("unknown_service")) {
        builder = builder.with_service_name(PIPELINE);
    }
    let defaults = [
        KeyValue::new(attribute::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        KeyValue::new(attribute::CICD_PIPELINE_NAME, PIPELINE),
    ];
    let missing = |pair: &KeyValue| given.get_ref(&pair.key).is_none();
    builder.with_attributes(defaults.into_iter().filter(missing).chain(run)).build()
}

#[cfg(test)]
mod tests;
