//! Trace contexts across processes: from our caller (`TRACEPARENT`, `TRACESTATE`), and on to the package
//! server (`traceparent`, `tracestate` headers), in the form of <https://www.w3.org/TR/trace-context/>.

use std::collections::HashMap;
use std::sync::OnceLock;

use opentelemetry::Context;
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::settings::Settings;

/// How this process takes part in traces: decided once, when telemetry is set up.
static PROPAGATION: OnceLock<Propagation> = OnceLock::new();

/// Whether contexts cross the border of this process, and which one came in.
#[derive(Debug, Clone, Default)]
pub(super) struct Propagation {
    enabled: bool,
    caller: Option<Context>,
}

impl Propagation {
    /// What the settings ask for. A malformed `TRACEPARENT` is a warning.
    pub fn new(settings: &Settings, warnings: &mut Vec<String>) -> Self {
        let mut carrier = HashMap::new();
        if let (true, Some(parent)) = (settings.propagate, &settings.traceparent) {
            carrier.insert("traceparent".to_owned(), parent.clone());
            carrier.extend(settings.tracestate.clone().map(|state| ("tracestate".to_owned(), state)));
        }
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
        let caller = context.span().span_context().is_valid().then_some(context);
        if !carrier.is_empty() && caller.is_none() {
            warnings.push(
                "TRACEPARENT is not of the form 00-<32 hex digits>-<16 hex digits>-<2 hex digits>; \
                 the run begins a trace of its own"
                    .into(),
            );
        }
        Self { enabled: settings.propagate, caller }
    }

    /// Makes it what [`inject`] and [`caller`] go by.
    pub fn install(self) {
        // A second set-up, which only tests do, changes nothing.
        let _ = PROPAGATION.set(self);
    }

    /// Adds the headers for `current`; for the caller's span, when there is no span of our own.
    fn inject(&self, current: &Context, headers: &mut HeaderMap) {
        if !self.enabled {
            return;
        }
        let ours = Some(current).filter(|context| context.span().span_context().is_valid());
        if let Some(context) = ours.or(self.caller.as_ref()) {
            TraceContextPropagator::new().inject_context(context, &mut Headers(headers));
        }
    }
}

/// The span that this run is a child of.
pub(super) fn caller() -> Option<Context> {
    PROPAGATION.get()?.caller.clone()
}

/// Adds `traceparent` and `tracestate` of the current span to the headers of a request to the package
/// server. Without an exporter the caller's context is handed on as it came; without that one, or with
/// `OTEL_PROPAGATORS=none`, nothing is added.
pub fn inject(headers: &mut HeaderMap) {
    if let Some(propagation) = PROPAGATION.get() {
        propagation.inject(&tracing::Span::current().context(), headers);
    }
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (key.parse::<HeaderName>(), HeaderValue::try_from(value))
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
