use super::super::Format;
use super::super::tests::see;
use super::*;
use crate::config::LogLevel;

#[test]
fn trouble_is_one_warning() {
    let seen = see(LogLevel::Info, false, Format::Json, || {
        let trouble = Trouble::default();
        let url = "http://user:secret@localhost:1/v1/traces?key=secret".parse().unwrap();
        let exporter = watched((), "traces", &url, &trouble);
        for _ in 0..3 {
            let error = Err(OTelSdkError::InternalFailure("connection refused".into()));
            exporter.check(error).unwrap_err();
        }
        trouble.clone().report("something else");
        exporter.check(Ok(())).unwrap();
    });
    let [line] = seen.json().try_into().unwrap();
    assert_eq!(
        line["message"],
        "traces cannot be delivered to http://localhost:1/v1/traces: connection refused; \
         the run goes on"
    );
}

#[test]
fn attributes_are_there_once_with_the_last_value() {
    let pair = |key: &'static str, value: i64| KeyValue::new(key, value);
    let mut attributes = vec![pair("a", 1), pair("b", 2), pair("a", 3), pair("c", 4), pair("b", 5)];
    keep_last(&mut attributes);
    assert_eq!(attributes, [pair("a", 3), pair("c", 4), pair("b", 5)]);
}

#[test]
fn spans_and_metrics_say_who_sends_them() {
    let get = |resource: &Resource, key| resource.get(&Key::from_static_str(key));
    let spans = resource(Some(KeyValue::new(attribute::CICD_PIPELINE_RUN_ID, "run-1")));
    assert_eq!(get(&spans, "service.version"), Some(env!("CARGO_PKG_VERSION").into()));
    assert_eq!(get(&spans, "cicd.pipeline.run.id"), Some("run-1".into()));
    assert_eq!(get(&resource(None), "cicd.pipeline.run.id"), None);
}
