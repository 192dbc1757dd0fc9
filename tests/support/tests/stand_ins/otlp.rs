use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use vieter_test_support::otlp::{Collector, Mode};

fn post(collector: &Collector, path: &str, encoding: &str, body: &[u8]) -> Option<u16> {
    let address = collector.endpoint().replace("http://", "");
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\n{encoding}Content-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1)?.parse().ok()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(any_value::Value::StringValue(value.to_string()));
    KeyValue { key: key.to_string(), value: Some(AnyValue { value }), ..Default::default() }
}

fn span(name: &str, id: u8, parent: &[u8], failed: bool) -> Span {
    Span {
        name: name.to_string(),
        trace_id: vec![1; 16],
        span_id: vec![id],
        parent_span_id: parent.to_vec(),
        start_time_unix_nano: u64::from(id),
        end_time_unix_nano: u64::from(id) + 1,
        attributes: vec![attribute("repo", "tiny")],
        status: failed.then(|| Status { message: "broken".to_string(), code: 2 }),
        ..Span::default()
    }
}

fn export(spans: Vec<Span>) -> Vec<u8> {
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let group = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}

#[test]
fn spans_make_a_tree() {
    let collector = Collector::start();
    let children = export(vec![span("make", 3, &[1], true), span("clone", 2, &[1], false)]);
    assert_eq!(post(&collector, "/v1/traces", "", &children), Some(200));
    let root = vieter_test_support::packages::compress(
        &export(vec![span("run", 1, &[], false)]),
        vieter_test_support::packages::Compression::Gzip,
    );
    assert_eq!(post(&collector, "/v1/traces", "Content-Encoding: gzip\r\n", &root), Some(200));
    let spans = collector.wait_for(3, Duration::from_secs(1));
    assert_eq!((spans[0].name.as_str(), spans[0].trace_id.len()), ("run", 32));
    assert_eq!(collector.tree(), "run\n  clone\n  make !\n");
    assert!(collector.tree_with(&["repo"]).contains("  make repo=tiny !\n"));
    let failed = &collector.spans_named("make")[0];
    assert_eq!((failed.status, failed.status_message.as_str()), (2, "broken"));
    assert!(collector.contains("broken") && !collector.contains("whole"));
}

#[test]
fn metrics_are_numbers() {
    let value = Some(metrics::number_data_point::Value::AsInt(3));
    let point = metrics::NumberDataPoint { value, ..Default::default() };
    let sum = metrics::Sum { data_points: vec![point], ..Default::default() };
    let data = Some(metrics::metric::Data::Sum(sum));
    let metric = metrics::Metric { name: "builds".to_string(), data, ..Default::default() };
    let scope = metrics::ScopeMetrics { metrics: vec![metric], ..Default::default() };
    let group = metrics::ResourceMetrics { scope_metrics: vec![scope], ..Default::default() };
    let body = ExportMetricsServiceRequest { resource_metrics: vec![group] }.encode_to_vec();
    let collector = Collector::start();
    assert_eq!(post(&collector, "/v1/metrics", "", &body), Some(200));
    let points = collector.metrics();
    assert_eq!((points[0].name.as_str(), points[0].value), ("builds", 3.0));
}

#[test]
#[should_panic(expected = "no OTLP")]
fn what_is_no_otlp_fails() {
    let collector = Collector::start();
    assert_eq!(post(&collector, "/v1/traces", "", b"nonsense"), Some(400));
    collector.spans();
}

#[test]
fn a_collector_can_be_out_of_order() {
    let body = export(vec![span("run", 1, &[], false)]);
    let post = |mode| post(&Collector::with_mode(mode), "/v1/traces", "", &body);
    assert_eq!(post(Mode::Fail), Some(500));
    assert_eq!(post(Mode::Hang), None);
    assert_eq!(post(Mode::Refuse), None);
    let collector = Collector::with_mode(Mode::Refuse);
    assert!(TcpStream::connect(collector.endpoint().replace("http://", "")).is_err());
}
