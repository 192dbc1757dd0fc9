//! What the standard variables of OpenTelemetry ask for.
//!
//! Names and meanings:
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>,
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/> and, for `TRACEPARENT` and `TRACESTATE`,
//! <https://opentelemetry.io/docs/specs/otel/context/env-carriers/>. The exporter itself reads
//! `OTEL_EXPORTER_OTLP_*HEADERS`, `*TIMEOUT` and `*COMPRESSION`; the SDK reads `OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and the `OTEL_BSP_*` and `OTEL_SPAN_*` limits. The rest
//! neither of them reads, so it is read here.

use std::collections::HashMap;

use url::Url;

use crate::config::Environment;

/// What is exported, and where to; and what to do with trace contexts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// The URL that spans are sent to; none when they are not exported.
    pub traces: Option<Url>,
    /// The URL that metrics are sent to; none when they are not exported.
    pub metrics: Option<Url>,
    /// Whether trace contexts are taken from our caller and handed on to the package server.
    pub propagate: bool,
    /// The caller's span, in the form of W3C trace context.
    pub traceparent: Option<String>,
    /// What the caller's tracing systems add to it.
    pub tracestate: Option<String>,
    /// What is set but cannot be done.
    pub warnings: Vec<String>,
}

/// One of the two kinds of data that can be exported.
struct Signal {
    /// The part of its variables' names.
    name: &'static str,
    /// What the OTLP specification adds to the common endpoint.
    path: &'static str,
}

const TRACES: Signal = Signal { name: "TRACES", path: "v1/traces" };
const METRICS: Signal = Signal { name: "METRICS", path: "v1/metrics" };

impl Settings {
    /// Reads them. An empty variable is one that is not set, as the specification demands.
    pub fn read(environment: &dyn Environment) -> Self {
        let mut reader = Reader { variables: HashMap::new(), warnings: Vec::new() };
        for (name, value) in environment.variables() {
            let Some(name) = name.to_str() else { continue };
            match value.into_string() {
                Ok(value) if !value.trim().is_empty() => {
                    reader.variables.insert(name.to_owned(), value.trim().to_owned());
                }
                Ok(_) => {}
                Err(_) if name.starts_with("OTEL_") => {
                    reader.warn(format!("{name} is not valid UTF-8 and is passed over"));
                }
                Err(_) => {}
            }
        }
        let enabled = !reader.disabled();
        Self {
            traces: if enabled { reader.endpoint(&TRACES) } else { None },
            metrics: if enabled { reader.endpoint(&METRICS) } else { None },
            // The specification keeps propagators at work in an SDK that is disabled.
            propagate: reader.propagate(),
            traceparent: reader.variables.remove("TRACEPARENT"),
            tracestate: reader.variables.remove("TRACESTATE"),
            warnings: reader.warnings,
        }
    }
}

struct Reader {
    variables: HashMap<String, String>,
    warnings: Vec<String>,
}

impl Reader {
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Adds a warning, once.
    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The first of two variables that is set, with its name.
    fn either(&self, first: String, second: &str) -> Option<(String, String)> {
        let value = |name: &str| self.get(name).map(|value| (name.to_owned(), value.to_owned()));
        value(&first).or_else(|| value(second))
    }

    fn disabled(&mut self) -> bool {
        match self.get("OTEL_SDK_DISABLED").map(str::to_ascii_lowercase).as_deref() {
            Some("true") => true,
            None | Some("false") => false,
            Some(other) => {
                let warning = format!("OTEL_SDK_DISABLED is `{other}`; only `true` disables the SDK");
                self.warn(warning);
                false
            }
        }
    }

    /// Where a signal is sent to, unless it is not exported.
    fn endpoint(&mut self, signal: &Signal) -> Option<Url> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.name);
        let (variable, value) = self.either(own.clone(), "OTEL_EXPORTER_OTLP_ENDPOINT")?;
        if !self.exporter_is_otlp(signal) || !self.protocol_is_known(signal) {
            return None;
        }
        let Some(mut url) = Url::parse(&value).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
        else {
            // The value may hold a password, so it is not repeated.
            self.warn(format!(
                "{variable} is not an http:// or https:// URL; nothing is sent there. \
                 Set it to something like http://localhost:4318"
            ));
            return None;
        };
        if variable != own {
            // "a base URL, and the signals are sent to these paths relative to that"
            let path = format!("{}/{}", url.path().trim_end_matches('/'), signal.path);
            url.set_path(&path);
        }
        Some(url)
    }

    /// Whether `OTEL_<signal>_EXPORTER` asks for OTLP, which it does when it is not set.
    fn exporter_is_otlp(&mut self, signal: &Signal) -> bool {
        let variable = format!("OTEL_{}_EXPORTER", signal.name);
        let value = self.get(&variable).unwrap_or("otlp").to_owned();
        let mut otlp = false;
        for exporter in value.split(',').map(str::trim) {
            match exporter {
                "otlp" => otlp = true,
                "none" | "" => {}
                _ => self
                    .warn(format!("{variable}: `{exporter}` is not supported, only `otlp` and `none` are")),
            }
        }
        otlp
    }

    fn protocol_is_known(&mut self, signal: &Signal) -> bool {
        let own = format!("OTEL_EXPORTER_OTLP_{}_PROTOCOL", signal.name);
        match self.either(own, "OTEL_EXPORTER_OTLP_PROTOCOL") {
            None => true,
            Some((_, protocol)) if protocol == "http/protobuf" => true,
            Some((variable, protocol)) => {
                self.warn(format!(
                    "{variable}: `{protocol}` is not supported; nothing is sent. \
                     Use `http/protobuf` (port 4318 of most collectors)"
                ));
                false
            }
        }
    }

    /// Whether `OTEL_PROPAGATORS` asks for W3C trace context, which it does when it is not set.
    fn propagate(&mut self) -> bool {
        let value = self.get("OTEL_PROPAGATORS").unwrap_or("tracecontext").to_owned();
        let mut propagate = false;
        for propagator in value.split(',').map(str::trim) {
            match propagator {
                "tracecontext" => propagate = true,
                // There is never any baggage here.
                "none" | "baggage" | "" => {}
                _ => self.warn(format!(
                    "OTEL_PROPAGATORS: `{propagator}` is not supported, only `tracecontext` and `none` are"
                )),
            }
        }
        propagate
    }
}

/// A URL for people: without user name, password, query and fragment, where secrets may be.
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests;
