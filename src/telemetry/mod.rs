//! Logs on standard error, and traces and metrics by OTLP, all made from the same events and spans.
//!
//! Nothing here can fail a run: what cannot be set up or delivered is a warning in the log. When no endpoint
//! is set, there is no exporter, spans have no ids, and log lines are without `trace_id` and `span_id`.

mod escape;
mod export;
mod format;
mod lines;
mod logs;
mod metrics;
mod propagation;
mod settings;
mod sink;
mod spans;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub use escape::{escape, is_unsafe, shorten};
pub use format::Format;
pub use logs::LogObserver;
pub use propagation::inject;
pub use sink::{Sink, write_stderr};
pub use spans::{
    container, entry_span, exec_span, exited, fail, finish_entry, finish_run, finish_step, image_span,
    name_entry, plan_span, run_span, source, step_span, succeed,
};

use crate::config::{Environment, LogLevel};
use crate::event::Observer;
use export::{Providers, Trouble};
use lines::LogLayer;
use propagation::Propagation;
use settings::Settings;

/// How long the exit may be held up until what was measured is delivered. A little less than the five
/// seconds that are promised.
const FLUSH: Duration = Duration::from_millis(4500);

/// Everything that must be brought to an end before the process ends.
#[derive(Debug)]
#[must_use = "spans and metrics are lost without `shutdown`"]
pub struct Telemetry {
    providers: Providers,
}

/// Sets up logs, traces and metrics for the whole process.
///
/// Log lines down to `level` go to `sink`, each in one piece. Traces and metrics go where the `OTEL_*`
/// variables say.
pub fn init(
    level: LogLevel,
    format: Format,
    run_id: &str,
    sink: Sink,
    environment: &dyn Environment,
) -> Telemetry {
    let settings = Settings::read(environment);
    let mut warnings = settings.warnings.clone();
    let log = || LogLayer::new(format, run_id, sink.clone());
    // The SDK logs what it does not like about its variables while it is being set up.
    let providers = tracing::subscriber::with_default(subscriber(level, log(), None), || {
        Providers::new(&settings, run_id, &mut warnings)
    });
    Propagation::new(&settings, &mut warnings).install();
    // Fails when there is a subscriber already, which happens only in tests: then that one goes on.
    let _ = subscriber(level, log(), providers.traces.as_ref()).try_init();
    log_panics();
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Telemetry { providers }
}

/// What takes all events and spans: the log, and the exporter where there is one.
fn subscriber(
    level: LogLevel,
    log: LogLayer,
    traces: Option<&SdkTracerProvider>,
) -> impl Subscriber + Send + Sync {
    let traces = traces.map(|provider| {
        let exported = filter_fn(|metadata| {
            // Of libraries nothing, the exporter's own HTTP client least of all; of our own events only
            // warnings: errors are the status of spans, and build output belongs in the log.
            lines::is_ours(metadata.target()) && (metadata.is_span() || *metadata.level() == Level::WARN)
        });
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(exported.with_max_level_hint(LevelFilter::INFO))
    });
    tracing_subscriber::registry().with(log.with_filter(lines::filter(level))).with(traces)
}

impl Telemetry {
    /// The observer that measures, when metrics are exported.
    pub fn metrics(&self) -> Option<Box<dyn Observer>> {
        let provider = self.providers.metrics.as_ref()?;
        Some(Box::new(metrics::MetricsObserver::new(provider)))
    }

    /// Delivers what is left, within five seconds. To be called when the root span is closed, from a thread
    /// that runs no asynchronous code.
    pub fn shutdown(self) {
        let Providers { traces, metrics, trouble } = self.providers;
        let mut tasks: Vec<Box<dyn FnOnce() -> OTelSdkResult + Send>> = Vec::new();
        if let Some(traces) = traces {
            tasks.push(Box::new(move || traces.shutdown_with_timeout(FLUSH)));
        }
        if let Some(metrics) = metrics {
            tasks.push(Box::new(move || metrics.shutdown_with_timeout(FLUSH)));
        }
        finish(tasks, FLUSH, &trouble);
    }
}

/// Runs the tasks at once, on threads of their own, and waits for them until time is up. What is not done
/// then ends with the process.
fn finish(tasks: Vec<Box<dyn FnOnce() -> OTelSdkResult + Send>>, limit: Duration, trouble: &Trouble) {
    let end = Instant::now() + limit;
    let (sender, results) = mpsc::channel();
    for task in tasks {
        let sender = sender.clone();
        let spawned = thread::Builder::new().name("telemetry-end".into()).spawn(move || {
            // Nobody listens any more when time is up.
            let _ = sender.send(task());
        });
        if let Err(error) = spawned {
            trouble.report(format!("the last traces and metrics are lost: {error}"));
        }
    }
    drop(sender);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match results.recv_timeout(left) {
            Ok(Ok(())) => {}
            Ok(Err(OTelSdkError::Timeout(_))) | Err(mpsc::RecvTimeoutError::Timeout) => {
                trouble.report("the last traces and metrics are lost: the collector does not answer");
                return;
            }
            Ok(Err(error)) => {
                let reason = export::reason(&error);
                trouble.report(format!("the last traces and metrics are lost: {reason}"));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Makes a panic a log line like any other, so that standard error stays one object a line. With a backtrace
/// when `RUST_BACKTRACE` asks for one.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        let message = info.payload_as_str().unwrap_or("no message");
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(place, backtrace, "this is a bug in vieter: {message}");
    }));
}

#[cfg(test)]
mod tests;
