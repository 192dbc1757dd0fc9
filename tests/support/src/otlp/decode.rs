//! From the messages of OTLP to what a test wants to know.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint, number_data_point};
use opentelemetry_proto::tonic::trace::v1 as proto;

use super::{Attributes, Point, Span};

pub(super) fn spans(export: ExportTraceServiceRequest) -> impl Iterator<Item = Span> {
    export.resource_spans.into_iter().flat_map(|group| {
        let resource = attributes(&group.resource.unwrap_or_default().attributes);
        let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(move |span| from_proto(span, resource.clone())).collect::<Vec<_>>()
    })
}

fn from_proto(span: proto::Span, resource: Attributes) -> Span {
    let status = span.status.unwrap_or_default();
    let events = span.events.into_iter();
    Span {
        name: span.name,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        trace_state: span.trace_state,
        status: status.code,
        status_message: status.message,
        attributes: attributes(&span.attributes),
        events: events.map(|event| (event.name, attributes(&event.attributes))).collect(),
        resource,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
    }
}

pub(super) fn points(export: ExportMetricsServiceRequest) -> impl Iterator<Item = Point> {
    let groups = export.resource_metrics.into_iter().flat_map(|group| group.scope_metrics);
    groups.flat_map(|scope| scope.metrics).flat_map(|metric| {
        let point = |value, count, pairs: &[KeyValue]| Point {
            name: metric.name.clone(),
            unit: metric.unit.clone(),
            value,
            count,
            attributes: attributes(pairs),
        };
        let number = |point: &Option<number_data_point::Value>| match point {
            Some(number_data_point::Value::AsDouble(value)) => *value,
            Some(number_data_point::Value::AsInt(value)) => *value as f64,
            None => f64::NAN,
        };
        let numbers = |points: &[NumberDataPoint]| {
            points.iter().map(|p| point(number(&p.value), 1, &p.attributes)).collect()
        };
        match &metric.data {
            Some(Data::Gauge(gauge)) => numbers(&gauge.data_points),
            Some(Data::Sum(sum)) => numbers(&sum.data_points),
            Some(Data::Histogram(histogram)) => {
                let points = histogram.data_points.iter();
                let point = |p: &HistogramDataPoint| point(p.sum.unwrap_or(f64::NAN), p.count, &p.attributes);
                points.map(point).collect()
            }
            _ => Vec::new(),
        }
    })
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map(text).unwrap_or_default())).collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        Some(any_value::Value::IntValue(value)) => value.to_string(),
        Some(any_value::Value::DoubleValue(value)) => value.to_string(),
        Some(any_value::Value::ArrayValue(array)) => {
            format!("[{}]", array.values.iter().map(self::text).collect::<Vec<_>>().join(", "))
        }
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
