use serde_json::{Value, json};

use super::super::tests::{all_kinds, broken, run, stopped};
use super::*;
use crate::outcome::Ending;

const SCHEMA: &str = include_str!("../../../docs/report.schema.json");

fn read(outcome: &RunOutcome) -> Value {
    serde_json::from_str(&report(outcome).unwrap()).unwrap()
}

/// What the schema has against a value.
fn problems(value: &Value) -> Vec<String> {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

#[test]
fn reports_follow_the_schema() {
    let runs = [
        run(Ending::Finished, all_kinds()),
        run(Ending::Finished, Vec::new()),
        stopped(all_kinds()),
        broken(),
    ];
    for outcome in runs {
        assert_eq!(problems(&read(&outcome)), [""; 0]);
    }
}

#[test]
fn the_schema_refuses_what_is_not_a_report() {
    let good = read(&run(Ending::Finished, all_kinds()));
    let bad = [
        ("/version", json!(2)),
        ("/ended", json!("stopped")),
        ("/exit_status", json!(2)),
        ("/counts/failed", json!(-1)),
        ("/entries/0/result", json!("failed")),
        ("/entries/3/failure/kind", json!("bad luck")),
        ("/entries/3/steps/0/step", json!("prepare")),
    ];
    for (place, value) in bad {
        let mut report = good.clone();
        *report.pointer_mut(place).unwrap() = value;
        assert_ne!(problems(&report), [""; 0], "{place}");
    }
}

/// The schema lists every field that there is, so that its descriptions are the reference.
#[test]
fn the_schema_knows_every_field() {
    let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let closed = ["", "/$defs/entry", "/$defs/failure", "/$defs/package", "/properties/error"];
    for place in closed {
        schema.pointer_mut(place).unwrap()["additionalProperties"] = json!(false);
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    for outcome in [run(Ending::Finished, all_kinds()), stopped(all_kinds()), broken()] {
        let problems: Vec<_> =
            validator.iter_errors(&read(&outcome)).map(|error| error.to_string()).collect();
        assert_eq!(problems, [""; 0]);
    }
}

#[test]
fn the_version_comes_first_and_no_name_twice() {
    let text = report(&run(Ending::Finished, all_kinds())).unwrap();
    assert!(text.starts_with("{\n  \"version\": 1,\n"), "{text}");
    let value = read(&run(Ending::Finished, all_kinds()));
    assert_eq!(value["entries"][2]["reason"], "not for x86_64");
    assert_eq!(text.matches("\"reason\"").count(), all_kinds().len());
    assert_eq!(
        value["counts"],
        json!({
            "published": 1, "up_to_date": 1, "skipped": 1, "failed": 2, "blocked": 1, "not_reached": 1,
        })
    );
    assert_eq!((&value["seconds"], &value["exit_status"]), (&json!(3723.0), &json!(1)));
}
