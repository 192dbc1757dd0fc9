//! From a tracing event to a log line: with the run, the place in the trace, and what the spans around it say.

use std::fmt;
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::format::{self, Format, Line, Place};
use super::sink::Sink;
use crate::config::LogLevel;

/// The target of this program's own events and spans.
pub(super) const OURS: &str = "vieter";
/// The target of events that are lines of a build's output.
pub(super) const OUTPUT: &str = "vieter::output";

/// Whether an event or span is this program's own and not a library's.
pub(super) fn is_ours(target: &str) -> bool {
    target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What is logged at a level: all of our own down to it; of libraries, warnings, unless it is `trace`. The
/// trace exporter's complaints are passed over, since [`super::export`] makes one warning of them all.
pub(super) fn filter(level: LogLevel) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Clone> {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let libraries = if ours == LevelFilter::TRACE { ours } else { ours.min(LevelFilter::WARN) };
    let wanted = move |metadata: &Metadata<'_>| {
        if metadata.is_span() {
            // Whatever the level: spans say where a line belongs.
            is_ours(metadata.target())
        } else if is_ours(metadata.target()) {
            metadata.level() <= &ours
        } else if metadata.target().starts_with("opentelemetry") && ours != LevelFilter::TRACE {
            metadata.level() <= &libraries && metadata.name().contains("Config")
        } else {
            metadata.level() <= &libraries
        }
    };
    filter_fn(wanted).with_max_level_hint(ours.max(LevelFilter::INFO))
}

/// Writes each event as one line.
#[derive(Debug)]
pub(super) struct LogLayer {
    format: Format,
    run_id: String,
    sink: Sink,
    zone: TimeZone,
    dispatch: OnceLock<WeakDispatch>,
}

impl LogLayer {
    pub fn new(format: Format, run_id: &str, sink: Sink) -> Self {
        let zone = TimeZone::system();
        Self { format, run_id: run_id.to_owned(), sink, zone, dispatch: OnceLock::new() }
    }

    /// The trace and span ids of a span, when it is part of a trace that can be exported.
    fn ids(&self, span: &Id) -> Option<(String, String)> {
        let dispatch = self.dispatch.get()?.upgrade()?;
        let context = tracing_opentelemetry::get_otel_context(span, &dispatch)?;
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| (ids.trace_id().to_string(), ids.span_id().to_string()))
    }

    /// What the spans around an event say; the innermost wins.
    fn place<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> Place
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut place = Place::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Place>() {
                place.or(outer);
            }
            if place.trace_id.is_none() {
                (place.trace_id, place.span_id) = self.ids(&span.id()).unzip();
            }
        }
        place
    }
}

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        // Only the first: the subscriber that this layer is part of.
        let _ = self.dispatch.set(subscriber.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut place = Place::default();
            attributes.record(&mut place);
            span.extensions_mut().insert(place);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(place) = span.extensions_mut().get_mut::<Place>()
        {
            values.record(place);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let library = !is_ours(metadata.target());
        let line = Line {
            time: Timestamp::now(),
            level: *metadata.level(),
            message: fields.message.unwrap_or_else(|| metadata.name().to_owned()),
            target: library.then(|| fields.target.unwrap_or_else(|| metadata.target().to_owned())),
            output: metadata.target() == OUTPUT,
            worded: metadata.target() == super::logs::TARGET,
            place: self.place(event, &context),
            fields: fields.values,
        };
        self.sink.write(&match self.format {
            Format::Json => format::json(&line, &self.run_id),
            Format::Text { colours } => format::text(&line, colours, &self.zone),
        });
    }
}

/// Spans carry these as `vieter.` attributes; log lines name them without the prefix.
impl Visit for Place {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "vieter.entry" => &mut self.entry,
            "vieter.repo" => &mut self.repo,
            "vieter.pkgbase" => &mut self.pkgbase,
            "vieter.step" => &mut self.step,
            _ => return,
        };
        *place = Some(value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name().starts_with("vieter.") {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: Option<String>,
    /// The true target of a record that comes from the `log` crate.
    target: Option<String>,
    values: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.values.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = Some(value.to_owned()),
            "log.target" => self.target = Some(value.to_owned()),
            name if name.starts_with("log.") => {}
            _ => self.put(field, value.into()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if !field.name().starts_with("log.") {
            self.put(field, value.into());
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests;
