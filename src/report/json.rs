//! `report.json`: everything that is known of a run, for programs. Its form is `docs/report.schema.json`.

use serde_json::{Map, Value, json};

use super::words;
use crate::outcome::RunOutcome;

/// The version of the form. It changes only when a program that reads the old one would read the new one
/// wrongly; fields may be added without.
const VERSION: u64 = 1;

/// The report as text.
pub(super) fn report(outcome: &RunOutcome) -> serde_json::Result<String> {
    let mut report = Map::new();
    report.insert("version".into(), VERSION.into());
    report.insert("vieter".into(), env!("CARGO_PKG_VERSION").into());
    report.insert("exit_status".into(), outcome.exit_status().code().into());
    report.insert("seconds".into(), words::seconds(words::run_duration(outcome)).into());
    let verdicts = ["published", "up_to_date", "skipped", "failed", "blocked", "not_reached"];
    let counts = verdicts.map(|verdict| (verdict.to_owned(), outcome.count(verdict).into()));
    report.insert("counts".into(), Value::Object(counts.into_iter().collect()));
    // By way of a value, because an entry that is skipped has two reasons: none for building it, and one for
    // not. Written directly, the name would be there twice; in a value the later one stays.
    match serde_json::to_value(outcome)? {
        Value::Object(run) => report.extend(run),
        other => drop(report.insert("run".into(), json!(other))),
    }
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

#[cfg(test)]
mod tests;
