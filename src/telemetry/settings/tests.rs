use super::*;
use crate::config::made_up::MadeUp;

fn read(variables: &[(&'static str, &'static str)]) -> Settings {
    Settings::read(&MadeUp::new(variables))
}

fn urls(settings: &Settings) -> (Option<&str>, Option<&str>) {
    (settings.traces.as_ref().map(Url::as_str), settings.metrics.as_ref().map(Url::as_str))
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
const BOTH: (Option<&str>, Option<&str>) =
    (Some("http://collector:4318/v1/traces"), Some("http://collector:4318/v1/metrics"));

#[test]
fn without_an_endpoint_nothing_is_exported() {
    let settings = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", ""), ("OTEL_TRACES_EXPORTER", "otlp")]);
    assert_eq!(settings, Settings { propagate: true, ..Settings::default() });
}

#[test]
fn the_common_endpoint_gets_a_path_and_an_own_one_does_not() {
    assert_eq!(urls(&read(&[ENDPOINT])), BOTH);
    let settings = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector/otlp/"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1/here"),
    ]);
    let metrics = "https://collector/otlp/v1/metrics";
    assert_eq!(urls(&settings), (Some("http://traces:1/here"), Some(metrics)));
    let only = read(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:1/x")]);
    assert_eq!(urls(&only), (None, Some("http://m:1/x")));
}

#[test]
fn it_can_be_switched_off() {
    assert_eq!(urls(&read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")])), (None, None));
    assert_eq!(urls(&read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")])), (None, BOTH.1));
    assert_eq!(urls(&read(&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "none")])), (BOTH.0, None));
    assert_eq!(urls(&read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "false")])), BOTH);
}

#[test]
fn what_cannot_be_done_is_named() {
    let cases = [
        (("OTEL_SDK_DISABLED", "1"), BOTH, "`1`"),
        (("OTEL_TRACES_EXPORTER", "zipkin"), (None, BOTH.1), "OTEL_TRACES_EXPORTER: `zipkin`"),
        (("OTEL_TRACES_EXPORTER", "otlp,console"), BOTH, "`console`"),
        (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), (None, None), "OTEL_EXPORTER_OTLP_PROTOCOL: `grpc`"),
        (("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"), (None, BOTH.1), "`http/json`"),
        (("OTEL_PROPAGATORS", "b3"), BOTH, "`b3`"),
    ];
    for (variable, expected, named) in cases {
        let settings = read(&[ENDPOINT, variable]);
        assert_eq!(urls(&settings), expected, "{variable:?}");
        assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
        assert!(settings.warnings[0].contains(named), "{:?}", settings.warnings);
    }
    assert_eq!(read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]).warnings, [""; 0]);
}

#[test]
fn a_bad_endpoint_is_not_repeated() {
    let settings = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "user:secret@collector:4318")]);
    assert_eq!(urls(&settings), (None, None));
    assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
    assert!(!settings.warnings[0].contains("secret"), "{:?}", settings.warnings);
    let url = "https://user:secret@collector/v1/traces?key=secret#secret".parse().unwrap();
    assert_eq!(shown(&url), "https://collector/v1/traces");
}

#[test]
fn propagators() {
    assert!(read(&[]).propagate);
    assert!(read(&[("OTEL_PROPAGATORS", "baggage, tracecontext")]).propagate);
    assert!(!read(&[("OTEL_PROPAGATORS", "none")]).propagate);
    assert!(!read(&[("OTEL_PROPAGATORS", "baggage")]).propagate);
    // Even then: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>
    assert!(read(&[("OTEL_SDK_DISABLED", "true")]).propagate);
}
